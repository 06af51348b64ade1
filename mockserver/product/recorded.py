"""What recordings show of resources beyond their schemas: which code is for which of them."""

from collections.abc import Sequence
from typing import Final

from mockserver.base.jsontext import Json
from mockserver.journal.state import State
from mockserver.product import certificates, issued, objects, patterns, security, stores, vaults
from mockserver.product.objects import Write
from mockserver.world.model import World

_WRITES: Final = {**stores.WRITES, **security.WRITES, **vaults.WRITES, **patterns.WRITES}
_VALUES: Final = {**stores.VALUES, **security.VALUES}
# By the `action` of a document.
ACTIONS: Final = {**certificates.ACTIONS, "csr_context": patterns.csr_context}


def rows(world: World, path: str) -> Sequence[Json]:
    """Return the objects of a collection."""
    if path in security.PATHS:
        return security.rows(world)[path]
    if vaults.owns(path):
        return vaults.rows(world, path)
    return objects.rows(world, path)


def is_listed(path: str, row: Json, parameters: Json) -> bool:
    """Say whether a list with these parameters has an object at all."""
    return path != certificates.CERTIFICATES or issued.is_listed(row, parameters)


def shown(path: str, row: Json, parameters: Json) -> Json:
    """Return an object as a call with these parameters is shown it."""
    return issued.shown(row, parameters) if path == certificates.CERTIFICATES else row


def keep(state: State, path: str, kept: Sequence[Json], grown: int) -> None:
    """Put the objects of a collection, now so many octets more, in the place of those before."""
    if path in security.PATHS:
        security.keep(state, path, kept, grown)
    elif vaults.owns(path):
        vaults.keep(state, path, kept, grown)
    else:
        state.put_resources({path: kept}, grown)


def written(collection: str, write: Write) -> Json:
    """Return an object of a collection as it is kept, with all that the product adds."""
    complete = _WRITES.get(collection)
    return complete(write) if complete else write.row


def value(world: World, name: str, row: Json) -> object:
    """Return a member that is made of others, by its `x-value` in the documents."""
    return _VALUES[name](world, row)

"""What recordings show of resources beyond their schemas: which code is for which of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from mockserver.base.jsontext import Json
from mockserver.journal.state import State
from mockserver.journal.trace import timestamp
from mockserver.product import objects, patterns, security, stores, vaults
from mockserver.product.keyfactor import Answer, Call
from mockserver.product.objects import Write
from mockserver.world.model import World

_WRITES: Final = {**stores.WRITES, **security.WRITES, **vaults.WRITES, **patterns.WRITES}
_VALUES: Final = {**stores.VALUES, **security.VALUES}


def action(name: str) -> Callable[[Call, Mapping[str, Any]], Awaitable[Answer | None]]:
    """Return the code for an `action` of a document."""
    if name == "csr_context":
        return patterns.csr_context
    # With the first of its actions: its cryptography takes as long as half of the rest.
    from mockserver.product.certificates import ACTIONS  # noqa: PLC0415

    return ACTIONS[name]


def rows(world: World, path: str) -> Sequence[Json]:
    """Return the objects of a collection."""
    if path in security.PATHS:
        return security.rows(world)[path]
    if vaults.owns(path):
        return vaults.rows(world, path)
    return objects.rows(world, path)


def is_listed(path: str, row: Json, parameters: Json) -> bool:
    """Say whether a list has an object at all: revoked and expired certificates are asked for."""
    if path != objects.CERTIFICATES:
        return True
    if row.get("CertState") == objects.REVOKED and not parameters["IncludeRevoked"]:
        return False
    if parameters["IncludeExpired"]:
        return True
    return str(row.get("NotAfter", "9")) > timestamp(datetime.now(UTC), "seconds")


def shown(path: str, row: Json, parameters: Json) -> Json:
    """Return an object without what a call with these parameters has not asked for."""
    if path != objects.CERTIFICATES:
        return row
    hidden: Json = {}
    if not parameters["includeLocations"]:
        hidden |= {"Locations": [], "LocationsCount": []}
    if not parameters["includeMetadata"]:
        hidden["Metadata"] = {}
    if not parameters["includeHasPrivateKey"]:
        hidden["HasPrivateKey"] = False
    return {**row, **hidden}


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

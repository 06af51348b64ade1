"""Objects of resources as the world has them, and one that is about to be kept."""

import marshal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Final, NamedTuple

from mockserver.base.jsontext import Json
from mockserver.journal.state import State
from mockserver.world.model import World

CERTIFICATES: Final = "/Certificates"
REVOKED: Final = 2  # a CertState


def rows(world: World, path: str) -> Sequence[Json]:
    """Return the objects of a collection as the world has them."""
    return world.resources.get(path, ())


def found(objects: Iterable[Json], member: str, wanted: object) -> Json | None:
    """Return the first object with this value, None where there is none."""
    return next((row for row in objects if row.get(member) == wanted), None)


def folded(key: object) -> str:
    """Return a key as it is compared: a GUID and a name have any letter case."""
    return str(key).casefold()


def highest(objects: Sequence[Json], member: str) -> int:
    """Return the highest number that objects have in a member, 0 where none has one."""
    with suppress(KeyError, TypeError):  # in most cases each has one, and this is much faster
        found = max(map(itemgetter(member), objects), default=0)
        return found if isinstance(found, int) else 0
    numbers = [row.get(member) for row in objects]
    return max([number for number in numbers if type(number) is int], default=0)


def size(row: Json) -> int:
    """Return how many octets an object counts for, where their number is bounded."""
    return len(marshal.dumps(row, 2))  # in a quarter of the time that JSON takes


class Write(NamedTuple):
    """An object that is to be kept, beside the body that asked for it and what it replaces."""

    state: State
    path: str
    sent: Json
    row: Json
    old: Json | None

    def numbered(self, items: Iterable[Json], member: str) -> list[Json]:
        """Give the items of a member their ids: one counter for all objects, none used twice."""
        known = {item.get("Name"): item["Id"] for item in (self.old or {}).get(member) or ()}
        every = [
            item for row in rows(self.state.world, self.path) for item in row.get(member) or ()
        ]
        path, most = f"{self.path} {member}", highest(every, "Id")
        return [
            {**item, "Id": known.get(item["Name"]) or self.state.number(path, most)}
            for item in items
        ]

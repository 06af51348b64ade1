"""The memory of a mock: states, each with a world, a journal and counters, kept by name."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mockserver.base.jsontext import Json
from mockserver.base.problems import Errors, Kind, Problem
from mockserver.journal.coverage import Coverage
from mockserver.journal.feed import Feed
from mockserver.journal.journal import Journal, Pool, Tally
from mockserver.world.loading import patched, with_profile, with_resources
from mockserver.world.model import World

if TYPE_CHECKING:
    from mockserver.base.issuer import Issuer

DEFAULT = ""
_MAX_COUNTERS: Final = 10_000
_MAX_NAMESPACES: Final = 1_000
_NONE: Final[Mapping[str, Any]] = {}
_MAX_OBJECTS: Final = 10_000
_MAX_OCTETS: Final = 64 * 1024 * 1024

_UNAUTHORIZED: Final = 401
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Called with a world and where it comes from; raises WorldError.
_Check = Callable[[World, str], None]


class State:
    """Hold all that changes in the program; every request and every mail works on one state."""

    def __init__(
        self, world: World, journal: Journal, check: _Check, issuer: "Callable[[], Issuer]"
    ) -> None:
        self.world = world
        self.journal = journal
        self._issuer = issuer
        self.private_keys: dict[int, Any] = {}  # by certificate; in no answer without a password
        self._check = check
        self._uses: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self.counted: dict[str, Sequence[Json]] = {}  # by path, objects with no higher number
        self._octets = 0  # of resources that were made by the API
        self._over = asyncio.Event()

    @property
    def issuer(self) -> "Issuer":
        """Give the issuer of all states of a mock."""
        return self._issuer()

    @property
    def only_strangers(self) -> bool:
        """Say whether there were calls, and each was refused with 401."""
        exchanges = self.journal.exchanges
        return len(exchanges) > 0 and all(each.status == _UNAUTHORIZED for each in exchanges)

    def count_use(self, key: str) -> int:
        """Count one use of a key, and return how many there were, this one included.

        Of more than 10,000 keys the one that was used first is forgotten.
        """
        self._uses[key] = self._uses.get(key, 0) + 1
        if len(self._uses) > _MAX_COUNTERS:
            del self._uses[next(iter(self._uses))]
        return self._uses[key]

    def keep_key(self, number: int, key: object) -> None:
        """Keep the private key of a certificate; of more than 10,000 the first is forgotten."""
        self.private_keys[number] = key
        if len(self.private_keys) > _MAX_OBJECTS:
            del self.private_keys[next(iter(self.private_keys))]

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the state is reset or the mock stops."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    def close(self) -> None:
        """End every wait now, and those that are still to come."""
        self._over.set()
        self.journal.close()

    def patch_world(self, patch: object) -> None:
        """Apply a merge patch (RFC 7396) to the world.

        Requests under way keep the world that they began with. Raises WorldError, and then changes
        nothing.
        """
        world = patched(self.world, patch)
        self._check(world, "patch")
        self.world = world

    def number(self, path: str, highest: int) -> int:
        """Return a new number for an object at a path: above `highest`, and never given before."""
        self.count(path, highest)
        self._numbers[path] += 1
        return self._numbers[path]

    def count(self, path: str, highest: int) -> None:
        """Never give a number up to `highest` again, even when its object is removed."""
        self._numbers[path] = max(self._numbers.get(path, 0), highest)

    def put_resources(
        self, tables: Mapping[str, Sequence[Json]], grown: int, others: Mapping[str, Any] = _NONE
    ) -> None:
        """Put objects, by their path, in the place of the world's; `others` are parts of the world.

        They take `grown` octets more than before. Problem 429 for more than 10,000 at a path, or
        64 MiB in all.
        """
        most = max(map(len, tables.values()))
        if grown > 0 and (most > _MAX_OBJECTS or self._octets + grown > _MAX_OCTETS):
            text = f"more than {_MAX_OBJECTS} objects at a path, or {_MAX_OCTETS} octets in all"
            raise Problem(Kind.TOO_LARGE, f"{text}; DELETE some, or POST /_mock/reset.", status=429)
        self._octets += grown
        self.world = with_resources(self.world, tables, others)

    def put_profile(self, profile: Mapping[str, object]) -> None:
        """Put a whole SMTP profile in the place of the world's.

        Requests under way keep the world that they began with.
        """
        self.world = with_profile(self.world, profile)


class States:
    """Keep the states by name; the one that needs no name is `DEFAULT`, each other a namespace.

    `check` looks at each world that a patch makes; WorldError refuses it. `coverage` is what the
    calls in all of them try.
    """

    def __init__(
        self, loaded: World, check: _Check = lambda *_: None, coverage: Coverage | None = None
    ) -> None:
        self.coverage = coverage or Coverage((), loaded)
        self._loaded = loaded
        self._issuer = cache(_new_issuer)  # for all states, and over resets: its root is trusted
        self._check = check
        self._begin()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._states))

    @property
    def tally(self) -> Tally:
        """Give what was counted of all calls since the mock was started."""
        return self._pool.tally

    def get(self, name: str = DEFAULT) -> State:
        """Return the state of that name, made from the loaded world on first use.

        Problem 400 for what is no name, 429 for a namespace more than 1,000; those go first whose
        only calls were refused with 401, as anybody can make those.
        """
        if name not in self._states:
            if not _NAME.fullmatch(name):
                text = "the name of a namespace has 1 to 64 characters of A-Z a-z 0-9 . _ -"
                raise Problem(Kind.CONTROL, text, status=400)
            if len(self._states) > _MAX_NAMESPACES and not self._drop_a_strangers():
                text = f"there are {_MAX_NAMESPACES} namespaces; DELETE /_mock/ns/NAME drops one"
                raise Problem(Kind.CONTROL, text, status=429)
            self._states[name] = self._new(Feed())
        return self._states[name]

    @property
    def errors(self) -> Errors:
        """Give the errors of the loaded world, for what is refused before a state is known."""
        return self._loaded.errors

    def reset(self, name: str = DEFAULT) -> None:
        """Put a new state, with the loaded world and an empty journal, in the place of the old one.

        What is still under way ends in the old one, where nobody sees it; a wait ends now.
        """
        old = self.get(name)
        old.close()
        self._states[name] = self._new(old.journal.feed)
        old.journal.feed.publish("reset")

    def drop(self, name: str) -> None:
        """Forget a namespace, if there is one of that name."""
        if name != DEFAULT and (state := self._states.pop(name, None)):
            state.close()
            state.journal.feed.end()

    def _drop_a_strangers(self) -> bool:
        strange = (name for name, state in self._states.items() if name and state.only_strangers)
        name = next(strange, DEFAULT)
        self.drop(name)
        return name != DEFAULT

    def close(self) -> None:
        """End every wait and every feed now; what is kept can still be read."""
        self._closed = True
        for state in self._states.values():
            state.close()
            state.journal.feed.end()

    def reopen(self) -> None:
        """Forget what was closed, and begin anew: the loaded world, empty journals."""
        if self._closed:
            self._begin()

    def _begin(self) -> None:
        self._closed = False
        self.coverage.clear()
        self._pool = Pool()
        self._states = {DEFAULT: self._new(Feed())}

    def _new(self, feed: Feed) -> State:
        return State(self._loaded, Journal(self._pool, feed), self._check, self._issuer)


def _new_issuer() -> "Issuer":
    # Few tests need it, and its cryptography takes as long as half of the rest.
    from mockserver.base.issuer import Issuer  # noqa: PLC0415

    return Issuer()

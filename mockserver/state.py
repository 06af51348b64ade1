"""One mock's memory: a world, a journal and counters; and the registry of such states by name."""

from collections import Counter
from collections.abc import Iterator, Mapping

from mockserver.journal import Journal, Pool
from mockserver.world import World

DEFAULT = ""


class State:
    """Hold all that changes in the program; every request and every mail works on one state."""

    def __init__(self, world: World, journal: Journal) -> None:
        self.world = world
        self.journal = journal
        self._uses: Counter[str] = Counter()

    def uses(self, key: str) -> int:
        """Count one use of a key, and return how many there were, this one included."""
        self._uses[key] += 1
        return self._uses[key]

    def patch_world(self, patch: object) -> None:
        """Apply a merge patch (RFC 7396) to the world.

        Requests under way keep the world that they began with. Raises WorldError, and then changes
        nothing.
        """
        self.world = self.world.patched(patch)

    def put_profile(self, profile: Mapping[str, object]) -> None:
        """Put a whole SMTP profile in the place of the world's.

        Requests under way keep the world that they began with.
        """
        self.world = self.world.with_profile(profile)


class States:
    """Keep the states by name; the one that needs no name is `DEFAULT`."""

    def __init__(self, loaded: World) -> None:
        self._loaded = loaded
        self._pool = Pool()
        self._states: dict[str, State] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._states))

    def get(self, name: str = DEFAULT) -> State:
        """Return the state of that name, made from the loaded world on first use."""
        if name not in self._states:
            self._states[name] = self._new()
        return self._states[name]

    def reset(self, name: str = DEFAULT) -> None:
        """Put a new state, with the loaded world and an empty journal, in the place of the old one.

        What is still under way ends in the old one, where nobody sees it; a wait ends now.
        """
        self.get(name).journal.close()
        self._states[name] = self._new()

    def close(self) -> None:
        """End every wait now."""
        for state in self._states.values():
            state.journal.close()

    def _new(self) -> State:
        return State(self._loaded, Journal(self._pool))

"""What happens, told to those who follow it: written once for all, as server-sent events."""

import asyncio
import json
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from mockserver.base.problems import Problem
from mockserver.http.wire import contained
from mockserver.journal.message import Message
from mockserver.journal.outside import SmtpSession
from mockserver.journal.trace import Exchange

_MAX_BEHIND: Final = 8 * 1024 * 1024  # octets that may wait for one follower

_EVENT_OCTETS: Final = 256  # what an event takes in a queue, beside its own octets
_NOT_WRITTEN: Final = b": an event that could not be written; the log says why\n\n"


class Follower:
    """Take events one by one, each as the octets of a server-sent event (HTML standard, 9.2)."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._octets = 0

    async def next(self) -> bytes | None:
        """Wait for the next event; None is the end."""
        event = await self._events.get()
        self._octets -= _weight(event)
        return event

    def tell(self, event: bytes | None) -> bool:
        """Add an event, and say whether there will be more: not after None, or for one too slow.

        What a slow one has not taken is forgotten.
        """
        if event is not None and self._octets <= _MAX_BEHIND:
            self._add(event)
            return True
        if event is not None:
            self._events, self._octets = asyncio.Queue(), 0
        self._add(None)
        return False

    def _add(self, event: bytes | None) -> None:
        self._octets += _weight(event)
        self._events.put_nowait(event)


class Feed:
    """Tell those who follow what happens in one state, across its resets.

    An event is a `message`, a `request` or a `session` that has ended, with its entry, or a
    `reset`. A follower that is 8 MiB behind is told no more.
    """

    def __init__(self) -> None:
        # Weak: a follower whose connection is gone needs no call to leave.
        self._followers: WeakSet[Follower] = WeakSet()

    def follow(self) -> Follower:
        """Return what gets every event from now on, as long as the caller keeps it."""
        follower = Follower()
        self._followers.add(follower)
        return follower

    def publish(self, kind: str, entry: Exchange | Message | SmtpSession | None = None) -> None:
        """Tell all followers."""
        if not self._followers:
            return
        event = _NOT_WRITTEN
        with suppress(Problem), contained("an event"):
            event = _written(kind, entry)
        self._tell(event)

    def end(self) -> None:
        """Tell all followers that nothing more comes."""
        self._tell(None)

    def _tell(self, event: bytes | None) -> None:
        for follower in list(self._followers):
            if not follower.tell(event):
                self._followers.discard(follower)


def _weight(event: bytes | None) -> int:
    return len(event or b"") + _EVENT_OCTETS


def _written(kind: str, entry: Exchange | Message | SmtpSession | None) -> bytes:
    data = json.dumps(entry.as_json() if entry else {})
    return f"event: {kind}\n{f'id: {entry.id}' if entry else 'id'}\ndata: {data}\n\n".encode()

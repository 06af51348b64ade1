"""What is kept: exchanges and messages, bounded, and waited for."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from itertools import chain
from sys import getsizeof
from time import monotonic
from typing import Any, Final, Generic, TypeVar, cast

from mockserver.journal.feed import Feed
from mockserver.journal.message import Message
from mockserver.journal.outside import SessionTrace, SmtpSession, TokenCall
from mockserver.journal.rows import held
from mockserver.journal.trace import Exchange, Trace

_MAX_ENTRIES: Final = 1_000
_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_BYTES_OF_ALL: Final = 256 * 1024 * 1024
_ENTRY_BYTES: Final = 1_024  # of an entry and its place, beside what is in it
_PART_BYTES: Final = 160  # of a header or a violation, beside its octets
_STEPS: Final = 3  # parts that the steps of a call take together
_WHOLE: Final = frozenset((str, bytes, int, float, bool, type(None), datetime))
_SLICE_S: Final = 0.02  # of looking at entries before others have their turn

Entry = TypeVar("Entry", Exchange, Message, SmtpSession, TokenCall)
_Item = TypeVar("_Item")


async def in_turns(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """Give items one by one, with a turn for others where what is done with them takes long."""
    until = monotonic() + _SLICE_S
    for item in items:
        yield item
        if monotonic() > until:
            await asyncio.sleep(0)
            until = monotonic() + _SLICE_S


class Shelf(Generic[Entry]):
    """Keep the entries of one kind in order of arrival, and tell those who wait for one.

    Behind those that are kept come those that are under way, as they are now.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._released = False
        self._entries: deque[tuple[Entry, int]] = deque()
        self._under_way: dict[str, Callable[[], Entry]] = {}
        self._waiting: dict[asyncio.Future[None], Callable[[Entry], bool]] = {}

    def __iter__(self) -> Iterator[Entry]:
        kept = [entry for entry, _ in self._entries.copy()]  # other threads may ask too
        return iter(kept + [look() for look in list(self._under_way.values())])

    def __len__(self) -> int:
        return len(self._entries) + len(self._under_way)

    @property
    def full(self) -> bool:
        """Say whether there are as many as may be kept."""
        return len(self._entries) > _MAX_ENTRIES

    def find(self, wanted: str | None) -> Entry | None:
        """Return the entry of that id, or None."""
        return next((entry for entry in self if entry.id == wanted), None)

    async def wait(
        self, matches: Callable[[Entry], bool], seconds: float, count: int = 1
    ) -> list[Entry]:
        """Return the entries that match as soon as `count` have ended, or when the time is over."""
        until = monotonic() + seconds
        while True:
            arrival = asyncio.get_running_loop().create_future()
            self._waiting[arrival] = matches  # before looking, which takes turns
            try:
                found = [entry async for entry in in_turns(self) if matches(entry)]
                left = until - monotonic()
                if left <= 0 or self._released or sum(entry.ended for entry in found) >= count:
                    return found
                await asyncio.wait([arrival], timeout=left)
            finally:
                del self._waiting[arrival]

    def release(self) -> None:
        """End every wait now, and those that are still to come."""
        self._released = True
        for arrival in self._waiting:
            if not arrival.done():
                arrival.set_result(None)

    def oldest(self) -> datetime | None:
        """Return when the oldest entry came, or None."""
        return self._entries[0][0].received_at if self._entries else None

    def append(self, entry: Entry, size: int) -> None:
        """Add an entry that counts as `size` bytes, and wake those who wait for it."""
        self._under_way.pop(entry.id, None)
        self._entries.append((entry, size))
        if self._waiting:
            self.tell(lambda: entry)

    def begin(self, identity: str, look: Callable[[], Entry]) -> None:
        """Show what `look` gives as an entry, until one of this id is added."""
        self._under_way[identity] = look

    def tell(self, look: Callable[[], Entry]) -> None:
        """Wake those who wait for such an entry as `look` gives."""
        if not self._waiting:
            return
        entry = look()
        for arrival, matches in self._waiting.items():
            if not arrival.done() and entry.ended and matches(entry):
                arrival.set_result(None)

    def drop_oldest(self) -> int:
        """Drop one entry, count it as dropped, and return its bytes."""
        self.dropped += 1
        return self._entries.popleft()[1]

    def remove(self, matches: Callable[[Entry], bool]) -> int:
        """Remove the entries that match; return their bytes."""
        kept = [(entry, size) for entry, size in self._entries if not matches(entry)]
        freed = sum(size for _, size in self._entries) - sum(size for _, size in kept)
        self._entries = deque(kept)
        return freed


@dataclass
class Tally:
    """Count the calls of a run, over all states and through every reset.

    `report` is told of each call, and of each session from outside, when it has ended.
    """

    calls: int = 0
    refused: int = 0
    first_refused: Exchange | None = None
    report: Callable[[Exchange | SmtpSession], None] = lambda _: None

    def add(self, exchange: Exchange) -> None:
        """Count one call."""
        self.calls += 1
        self.report(exchange)
        if exchange.refused:
            self.refused += 1
            self.first_refused = self.first_refused or exchange


class Pool:
    """Hold the journals of one mock under one bound of bytes: the largest gives way first."""

    def __init__(self, max_bytes: int = _MAX_BYTES_OF_ALL) -> None:
        self.used = 0
        self.tally = Tally()
        self._max_bytes = max_bytes
        self._journals: set[Journal] = set()

    def join(self, journal: "Journal") -> None:
        """Count a journal from now on."""
        self._journals.add(journal)

    def leave(self, journal: "Journal") -> None:
        """Count a journal no longer."""
        self._journals.discard(journal)
        self.used -= journal.size

    def trim(self) -> None:
        """Drop the oldest entries of the largest journal until all fit."""
        while self.used > self._max_bytes:
            max(self._journals, key=lambda journal: journal.size).drop_oldest()


class Journal:
    """Keep what happened in one state: at most 1,000 entries of each kind, and 64 MiB."""

    def __init__(
        self, pool: Pool, feed: Feed | None = None, *, max_bytes: int = _MAX_BYTES
    ) -> None:
        self.feed = feed or Feed()
        self.messages: Shelf[Message] = Shelf()
        self.exchanges: Shelf[Exchange] = Shelf()
        self.sessions: Shelf[SmtpSession] = Shelf()
        self.tokens: Shelf[TokenCall] = Shelf()
        self.size = 0
        self._max_bytes = max_bytes
        self._pool = pool
        self._tally = pool.tally
        pool.join(self)

    def add_message(self, message: Message) -> None:
        """Keep a message."""
        self._add(self.messages, message, _octets_of_mail(message) + message.may_remember)
        self.feed.publish("message", message)

    def add_exchange(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._tally.add(exchange)
        self._add(self.exchanges, exchange, _octets_of_call(exchange))
        self.feed.publish("request", exchange)

    def begin_exchange(self, trace: Trace) -> None:
        """Show a call that is under way, until its exchange is added."""
        self.exchanges.begin(trace.request_id, trace.under_way)

    def begin_session(self, trace: SessionTrace) -> None:
        """Show a session from outside as it goes on, and keep it when it ends."""
        self.sessions.begin(trace.id, trace.kept)
        trace.tell = self._follow

    def add_token(self, request: TokenCall) -> None:
        """Keep a request to the identity provider."""
        self._add(self.tokens, request, _octets(request))

    def _follow(self, trace: SessionTrace) -> None:
        if trace.closed_at is None:
            self.sessions.tell(trace.kept)
            return
        session = trace.kept()
        self._add(self.sessions, session, _octets(session))
        self._tally.report(session)
        self.feed.publish("session", session)

    def remove_messages(self, matches: Callable[[Message], bool]) -> None:
        """Remove the messages that match."""
        self._count(-self.messages.remove(matches))

    def clear(self) -> None:
        """Remove everything, and tell who follows as a reset does; the world stays."""
        for shelf in self._shelves:
            self._count(-shelf.remove(lambda _: True))
        self.feed.publish("reset")

    def drop_oldest(self) -> None:
        """Drop the entry that came first."""
        filled = [shelf for shelf in self._shelves if shelf.oldest()]
        self._count(-min(filled, key=lambda shelf: cast("datetime", shelf.oldest())).drop_oldest())

    def close(self) -> None:
        """End every wait and give the room back; what is still added counts no more."""
        for shelf in self._shelves:
            shelf.release()
        self._pool.leave(self)
        self._pool = Pool()

    @property
    def _shelves(self) -> "tuple[Shelf[Any], ...]":
        return self.messages, self.exchanges, self.sessions, self.tokens

    def _add(self, shelf: Shelf[Entry], entry: Entry, size: int) -> None:
        size += _ENTRY_BYTES
        shelf.append(entry, size)
        self._count(size)
        if shelf.full:
            self._count(-shelf.drop_oldest())
        while self.size > self._max_bytes:
            self.drop_oldest()
        self._pool.trim()

    def _count(self, size: int) -> None:
        self.size += size
        self._pool.used += size


def _octets(kept: object) -> int:
    """Return what a kept value takes in memory, with all that is in it."""
    return getsizeof(kept) + _octets_inside(kept)


def _octets_inside(kept: object) -> int:
    kind: Any = type(kept)
    if kind is tuple or kind is list:
        inner: Collection[object] = cast("Collection[object]", kept)
    elif is_dataclass(kind):
        inner = held(kept)
    elif isinstance(kept, Mapping):
        inner = [*chain.from_iterable(kept.items())]
    else:
        return 0
    size = sum(map(getsizeof, inner))
    if _WHOLE.issuperset(map(type, inner)):
        return size
    return size + sum([_octets_inside(each) for each in inner if type(each) not in _WHOLE])


def _octets_of_mail(mail: Message) -> int:
    """Return about what `_octets` would, but sooner."""
    envelope, given = mail.envelope, (mail.parameters.mail, *mail.parameters.rcpt)
    texts = [mail.raw, mail.helo, mail.username, envelope.sender, *envelope.recipients]
    texts += chain.from_iterable([pair for each in given for pair in each.items()])
    said = [line for _, line in mail.dialogue]
    size = sum(map(getsizeof, texts)) + sum(map(getsizeof, said))
    return size + _PART_BYTES * (len(said) + len(given))


def _octets_of_call(call: Exchange) -> int:
    """Return about what `_octets` would, but sooner: only what few calls have is walked."""
    problem, permission = call.problem, call.permission
    headers = call.request.headers
    texts = [call.method, call.path, call.version, call.identity, call.request.kept]
    parts = len(headers) + len(call.violations) + _STEPS
    if problem is not None:
        texts += problem.message, problem.field
    for each in call.violations:
        texts += each.path, each.message
    if call.delivery is not None:
        said = [line for _, _, line in call.delivery.dialogue]
        texts += said
        parts += len(said)
    if permission is not None:
        texts += permission.required
        parts += len(permission.held)  # which are of the world
    size = _PART_BYTES * parts + sum(map(getsizeof, texts))
    size += sum(map(len, chain.from_iterable(headers)))
    rare = call.secrets, call.token_requests, call.lenient
    return size + sum([_octets(each) for each in rare if each])

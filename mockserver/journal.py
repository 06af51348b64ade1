"""What is kept: exchanges and messages, bounded, filtered, and waited for."""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from mockserver.problems import Code
from mockserver.trace import Endpoint, Exchange, Message, TokenRequest
from mockserver.world import Relay, host_name, nearest

MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_BYTES_OF_ALL: Final = 256 * 1024 * 1024
MAX_BEHIND: Final = 1_000  # events
ENTRY_BYTES: Final = 4_096  # what an entry takes beside what a client may make long

NOTHING: Final = "null"
MAX_SHOWN: Final = 100  # characters
MAX_PORT: Final = 65_535

Entry = TypeVar("Entry", Exchange, Message)
Asked = TypeVar("Asked")


class Shelf(Generic[Entry]):
    """Keep the entries of one kind in order of arrival, and tell those who wait for one."""

    def __init__(self) -> None:
        self.dropped = 0
        self._entries: deque[tuple[Entry, int]] = deque()
        self._waiting: dict[asyncio.Future[None], Callable[[Entry], bool]] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter([entry for entry, _ in self._entries])

    def __len__(self) -> int:
        return len(self._entries)

    async def wait(self, matches: Callable[[Entry], bool], seconds: float) -> list[Entry]:
        """Return the entries that match as soon as there is one, or none when the time is over."""
        found = [entry for entry in self if matches(entry)]
        if found or seconds <= 0:
            return found
        arrival = asyncio.get_running_loop().create_future()
        self._waiting[arrival] = matches
        try:
            await asyncio.wait([arrival], timeout=seconds)
        finally:
            del self._waiting[arrival]
        # Another request may have reset or filled the shelf meanwhile: what matches is read anew.
        return [entry for entry in self if matches(entry)]

    def release(self) -> None:
        """End every wait now."""
        for arrival in self._waiting:
            if not arrival.done():
                arrival.set_result(None)

    def oldest(self) -> datetime | None:
        """Return when the oldest entry came, or None."""
        return self._entries[0][0].received_at if self._entries else None

    def append(self, entry: Entry, size: int) -> None:
        """Add an entry that counts as `size` bytes."""
        self._entries.append((entry, size))
        for arrival, matches in self._waiting.items():
            if not arrival.done() and matches(entry):
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


Event = tuple[str, Exchange | Message | None]


class Feed:
    """Tell those who follow what happens in one state, across its resets.

    An event is `message` or `request` with the entry, or `reset`; None ends a feed, also for who
    falls 1,000 events behind.
    """

    def __init__(self) -> None:
        # Who goes away without a word is forgotten.
        self._followers: WeakSet[asyncio.Queue[Event | None]] = WeakSet()

    def follow(self) -> "asyncio.Queue[Event | None]":
        """Return a queue that gets every event from now on, as long as the caller keeps it."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._followers.add(queue)
        return queue

    def publish(self, event: Event | None) -> None:
        """Tell all followers."""
        for queue in list(self._followers):
            if event is None or queue.qsize() >= MAX_BEHIND:
                self._followers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)


class Pool:
    """Hold the journals of one mock under one bound of bytes: the largest gives way first."""

    def __init__(self, max_bytes: int = MAX_BYTES_OF_ALL) -> None:
        self.used = 0
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
    """Keep what happened in one state: at most 1,000 exchanges, 1,000 messages and 64 MiB."""

    def __init__(self, pool: Pool, feed: Feed | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        self.feed = feed or Feed()
        self.messages: Shelf[Message] = Shelf()
        self.exchanges: Shelf[Exchange] = Shelf()
        self.size = 0
        self._max_bytes = max_bytes
        self._pool = pool
        pool.join(self)

    def add_message(self, message: Message) -> None:
        """Keep a message."""
        self._add(self.messages, message, len(message.raw) + ENTRY_BYTES)
        self.feed.publish(("message", message))

    def add_exchange(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._add(self.exchanges, exchange, _size(exchange))
        self.feed.publish(("request", exchange))

    def remove_messages(self, matches: Callable[[Message], bool]) -> None:
        """Remove the messages that match."""
        self._count(-self.messages.remove(matches))

    def clear(self) -> None:
        """Remove everything, and tell who follows as a reset does; the world stays."""
        self._count(-self.exchanges.remove(lambda _: True))
        self.remove_messages(lambda _: True)
        self.feed.publish(("reset", None))

    def drop_oldest(self) -> None:
        """Drop the entry that came first."""
        messages, exchanges = self.messages.oldest(), self.exchanges.oldest()
        if exchanges is None or (messages is not None and messages < exchanges):
            self._count(-self.messages.drop_oldest())
        else:
            self._count(-self.exchanges.drop_oldest())

    def close(self) -> None:
        """End every wait and give the room back; what is still added counts no more."""
        self.messages.release()
        self.exchanges.release()
        self._pool.leave(self)
        self._pool = Pool()

    def _add(self, shelf: Shelf[Entry], entry: Entry, size: int) -> None:
        shelf.append(entry, size)
        self._count(size)
        if len(shelf) > MAX_ENTRIES:
            self._count(-shelf.drop_oldest())
        while self.size > self._max_bytes:
            self.drop_oldest()
        self._pool.trim()

    def _count(self, size: int) -> None:
        self.size += size
        self._pool.used += size


def _size(exchange: Exchange) -> int:
    """Return the bytes that an exchange takes, near enough."""
    request, delivery = exchange.request, exchange.delivery
    texts = [text for pair in request.headers for text in pair]
    texts += [line for *_, line in delivery.dialogue] if delivery else []
    body = request.body_text or ""
    wide = 1 if body.isascii() else 4  # octets of a character in memory, at most
    return wide * len(body) + sum(map(len, texts)) + ENTRY_BYTES


# What is looked for


class Either(tuple[str, ...]):
    """Several readings of one value, of which one is enough."""

    __slots__ = ()


@dataclass(frozen=True)
class Criterion:
    """One thing that entries are asked for.

    `read` gives what an entry has; None and `null` are nothing. `normal` gives the form in which
    texts are compared, and raises ValueError, saying why, for a value that no entry can have.
    """

    read: Callable[[Any], Iterable[object]]
    normal: Callable[[str], str]
    in_part: bool = False

    def wanted(self, value: object) -> list[str]:
        """Return the readings of a value in the form that is compared; ValueError for a bad one."""
        readings = value if isinstance(value, Either) else (_text(value),)
        try:
            return [self.normal(reading) for reading in readings]
        except ValueError as error:
            raise ValueError(f"{readings[0][:MAX_SHOWN]!r} {error}") from None

    def holds(self, wanted: Iterable[str], found: Iterable[object]) -> bool:
        """Say whether one of the readings is one of the things found."""
        forms = [self._form(_text(each)) for each in found]
        if self.in_part:
            # Every text contains the empty one; who asks for that means an empty text.
            return any(each in form if each else not form for each in wanted for form in forms)
        return not set(forms).isdisjoint(wanted)

    def _form(self, text: str) -> str:
        try:
            return self.normal(text)
        except ValueError:  # nobody can ask for it
            return text


class Filter(Generic[Asked]):
    """Test entries: each criterion holds.

    Raises ValueError for a criterion or a value that cannot be. `also` are names that the caller
    takes beside the criteria; they are listed with them.
    """

    def __init__(
        self,
        criteria: Mapping[str, Criterion],
        wanted: Mapping[str, object],
        also: Iterable[str] = (),
    ) -> None:
        known = (*criteria, *also)
        self._wanted: list[tuple[str, Criterion, list[str]]] = []
        for name, value in wanted.items():
            if name not in criteria:
                near = nearest(name, known)
                text = f"there are {', '.join(known)}; the nearest is {near}"
                raise ValueError(f"no filter {name[:MAX_SHOWN]}; {text}")
            try:
                self._wanted.append((name, criteria[name], criteria[name].wanted(value)))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def __call__(self, entry: Asked) -> bool:
        """Say whether an entry fulfils every criterion."""
        return not self.misses(entry)

    def misses(self, entry: Asked) -> dict[str, list[object]]:
        """Give, for each criterion that does not hold, what the entry has instead."""
        found = {name: list(criterion.read(entry)) for name, criterion, _ in self._wanted}
        return {
            name: found[name]
            for name, criterion, wanted in self._wanted
            if not criterion.holds(wanted, found[name])
        }


def message_filter(wanted: Mapping[str, object], also: Iterable[str] = ()) -> Filter[Message]:
    """Return a test for messages; ValueError for a criterion or a value that cannot be."""
    return Filter(_MESSAGE_CRITERIA, wanted, also)


def exchange_filter(
    wanted: Mapping[str, object], also: Iterable[str] = (), *, operations: Iterable[str]
) -> Filter[Exchange]:
    """Return a test for exchanges in the same way; `operations` are all that there are."""
    operation = Criterion(lambda exchange: [exchange.operation], _one_of(*operations, NOTHING))
    return Filter({**_EXCHANGE_CRITERIA, "operation": operation}, wanted, also)


def token_filter(wanted: Mapping[str, object], also: Iterable[str] = ()) -> Filter[TokenRequest]:
    """Return a test for requests to an identity provider in the same way."""
    return Filter(_TOKEN_CRITERIA, wanted, also)


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)


def _folded(text: str) -> str:
    if not text:
        raise ValueError("is empty; leave the filter out")
    return text.casefold()


def _one_of(*known: str) -> Callable[[str], str]:
    forms = {each.casefold() for each in known}

    def normal(text: str) -> str:
        if (folded := _folded(text)) not in forms:
            near = nearest(text, set(known) - {NOTHING})
            raise ValueError(f"is unknown; the nearest is {near}; there are {', '.join(known)}")
        return folded

    return normal


def _status(text: str) -> str:
    if not _STATUS.fullmatch(folded := text.casefold()):
        raise ValueError(f"is neither an HTTP status from 100 to 599 nor {NOTHING}")
    return folded


def _address(text: str) -> str:
    """Return an address with the A-labels of its domain; what is no address stays a text."""
    local, at, domain = text.rpartition("@")
    with suppress(ValueError):
        domain = host_name(domain) if at else domain
    return _folded(f"{local}{at}{domain}")


def _sender(text: str) -> str:
    return _address(text) if text else ""  # the null path


def _relay(text: str) -> str:
    found = _RELAY.fullmatch(text)
    with suppress(ValueError):
        # An IPv6 address without brackets has no port.
        host, port = found.groups("") if found else (str(IPv6Address(text)), "")
        if int(port[1:] or 0) <= MAX_PORT:
            return host_name(host) + port
    raise ValueError("is neither HOST nor HOST:PORT")


_STATUS: Final = re.compile(rf"[1-5][0-9]{{2}}|{NOTHING}")
_RELAY: Final = re.compile(r"(\[[^\]]*:[^\]]*\]|[^\s:/@\[\]]+)(:[1-9][0-9]{0,4})?")
_TLS_MODES: Final = ("none", "starttls", "implicit")
_KINDS: Final = ("discovery", "jwks", "token")
_STAGES: Final = [
    code.name.removeprefix("MAIL_").lower() for code in Code if code.name.startswith("MAIL_")
]

# All but the subject compare the whole, and all without letter case.
_MESSAGE_CRITERIA: Final[Mapping[str, Criterion]] = {
    "recipient": Criterion(lambda message: message.envelope.recipients, _address),
    "sender": Criterion(lambda message: _or_nothing(message.envelope.sender), _sender),
    "subject": Criterion(lambda message: [message.subject], str.casefold, in_part=True),
    "relay": Criterion(lambda message: _places(message.relay), _relay),
    "request_id": Criterion(lambda message: [message.request_id], _folded),
    "identity": Criterion(lambda message: [message.identity], _folded),
    "tls_mode": Criterion(lambda message: [message.tls_mode], _one_of(*_TLS_MODES)),
    # Those that a relay offers of itself are all that there are.
    "mechanism": Criterion(
        lambda message: [message.mechanism], _one_of(*Relay.mechanisms, NOTHING)
    ),
    "username": Criterion(lambda message: [message.username], _address),
}
_EXCHANGE_CRITERIA: Final[Mapping[str, Criterion]] = {
    "path": Criterion(lambda exchange: [exchange.path], _folded),
    "status": Criterion(lambda exchange: [exchange.status], _status),
    "identity": Criterion(lambda exchange: [exchange.identity], _folded),
    "version": Criterion(lambda exchange: [exchange.version], _one_of("1", "2", NOTHING)),
    "code": Criterion(
        lambda exchange: [exchange.problem and exchange.problem.code], _one_of(*Code, NOTHING)
    ),
    "stage": Criterion(
        lambda exchange: [exchange.delivery and exchange.delivery.stage],
        _one_of(*_STAGES, NOTHING),
    ),
}
# Scopes, audiences and URLs have a letter case (RFC 6749, 3.3; RFC 3986, 6.2.2.1).
_TOKEN_CRITERIA: Final[Mapping[str, Criterion]] = {
    "scope": Criterion(lambda request: [request.scope], str),
    "audience": Criterion(lambda request: [request.audience], str),
    "url": Criterion(lambda request: [request.url], str),
    "status": Criterion(lambda request: [request.status], _status),
    "kind": Criterion(lambda request: [request.kind], _one_of(*_KINDS)),
}


def _or_nothing(sender: str) -> list[str | None]:
    return [sender] if sender else ["", None]


def _places(relay: Endpoint) -> list[str]:
    host = host_name(relay.host)
    return [host, f"{host}:{relay.port}"]

"""What happened: exchanges and messages, bounded, with all that one call caused in one trace."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage
from functools import cached_property
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import uuid4

from mockserver.problems import Problem, Violation

Json = dict[str, Any]
Speaker = Literal["C", "S"]

MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_BYTES_OF_ALL: Final = 256 * 1024 * 1024
ENTRY_BYTES: Final = 4_096  # what an entry takes beside its body


_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")  # RFC 5322, 2.2.3


def new_id() -> str:
    """Return an id that is unique in every mock."""
    return uuid4().hex


@dataclass(frozen=True)
class Endpoint:
    """A relay as a request names it, or a listening address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def as_json(self) -> Json:
        """Give it as the journal shows it."""
        return {"host": self.host, "port": self.port}


@dataclass
class Dialogue:
    """Record the lines of one SMTP session, with milliseconds since it was begun.

    Whoever adds a line masks it first.
    """

    started: float = field(default_factory=time.perf_counter)
    lines: list[tuple[float, Speaker, str]] = field(default_factory=list)

    def add(self, who: Speaker, line: str) -> None:
        """Append one line without its line end."""
        self.lines.append((milliseconds(self.started), who, line))


@dataclass
class Delivery:
    """Record one attempt to deliver: `stage` is where it failed, or `data` when it was sent."""

    relay: Endpoint
    tls_mode: str
    dialogue: Dialogue
    mechanism: str | None = None
    stage: str = "resolve"
    reply: str | None = None

    def as_json(self) -> Json:
        """Give it as the journal shows it."""
        return {
            "relay": self.relay.as_json(),
            "tls_mode": self.tls_mode,
            "mechanism": self.mechanism,
            "stage": self.stage,
            "reply": self.reply,
            "dialogue": [list(line) for line in self.dialogue.lines],
        }


@dataclass
class Trace:
    """Record what one call causes, while it happens; passed down the call, never looked up."""

    request_id: str = field(default_factory=new_id)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.perf_counter)
    version: str | None = None
    operation: str | None = None
    deprecated: bool = False
    identity: str | None = None
    permission: Json | None = None
    body: object = None
    body_bytes: int = 0
    violations: list[Violation] = field(default_factory=list)
    secrets: list[Json] = field(default_factory=list)
    token_requests: list[Json] = field(default_factory=list)
    delivery: Delivery | None = None
    message_id: str | None = None
    lenient: list[Json] = field(default_factory=list)


@dataclass(frozen=True)
class Exchange:
    """One API call and all that it caused; nothing secret is in it."""

    id: str
    received_at: datetime
    duration_ms: float
    method: str
    path: str
    status: int
    request_headers: tuple[tuple[str, str], ...]
    trace: Trace
    problem: Problem | None = None

    def as_json(self) -> Json:
        """Give the exchange as `GET /_mock/requests` shows it."""
        trace = self.trace
        return {
            "id": self.id,
            "received_at": timestamp(self.received_at),
            "duration_ms": self.duration_ms,
            "method": self.method,
            "path": self.path,
            "version": trace.version,
            "operation": trace.operation,
            "identity": trace.identity,
            "status": self.status,
            "deprecated": trace.deprecated,
            "permission": trace.permission,
            "request": {
                "headers": [list(pair) for pair in self.request_headers],
                "body": trace.body,
            },
            "violations": [violation.as_json() for violation in trace.violations],
            "problem": self.problem
            and {"code": self.problem.code.value, "message": self.problem.message},
            "secrets": trace.secrets,
            "token_requests": trace.token_requests,
            "delivery": trace.delivery and trace.delivery.as_json(),
            "message_id": trace.message_id,
            "lenient": trace.lenient,
        }


@dataclass(frozen=True)
class Message:
    """One mail that the sink kept; `raw` are its bytes as they came over the wire."""

    raw: bytes
    sender: str
    recipients: tuple[str, ...]
    relay: Endpoint
    tls_mode: str
    tls_version: str | None
    mechanism: str | None
    username: str | None
    dialogue: tuple[tuple[Speaker, str], ...]
    request_id: str | None = None
    identity: str | None = None
    id: str = field(default_factory=new_id)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def parsed(self) -> EmailMessage:
        """Parse the mail once, when somebody looks."""
        return message_from_bytes(self.raw, policy=policy.default)

    @cached_property
    def text(self) -> str:
        """Give the plain text part, or an empty text where there is none."""
        part = self.parsed.get_body(preferencelist=("plain",))
        return "" if part is None else str(part.get_content())

    @property
    def subject(self) -> str:
        """Give the decoded `Subject`, empty where there is none."""
        return self._header("Subject")

    @cached_property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Give all headers, unfolded and decoded, in the order of the mail."""
        return tuple((name, _decoded(value)) for name, value in self.parsed.raw_items())

    def _header(self, wanted: str) -> str:
        return next((value for name, value in self.headers if name.lower() == wanted.lower()), "")

    def as_json(self) -> Json:
        """Give the message as `GET /_mock/messages` shows it."""
        return {
            "id": self.id,
            "request_id": self.request_id,
            "identity": self.identity,
            "received_at": timestamp(self.received_at),
            "relay": self.relay.as_json(),
            "tls_mode": self.tls_mode,
            "tls_version": self.tls_version,
            "mechanism": self.mechanism,
            "username": self.username,
            "envelope": {"sender": self.sender, "recipients": list(self.recipients)},
            "subject": self.subject,
            "from": self._header("From"),
            "to": self._header("To"),
            "headers": [list(pair) for pair in self.headers],
            "text": self.text,
            "size": len(self.raw),
            "dialogue": [list(line) for line in self.dialogue],
        }


def _decoded(value: str) -> str:
    """Decode a header as it was parsed: folded, with encoded words, or UTF-8 (RFC 6532)."""
    # The parser's own decoding leaves blanks between adjacent encoded words (Python 3.11).
    text = _FOLD.sub("", value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError, HeaderParseError):
        return text


def milliseconds(since: float) -> float:
    """Return the milliseconds since a `time.perf_counter()`, to the microsecond."""
    return round((time.perf_counter() - since) * 1_000, 3)


def timestamp(moment: datetime) -> str:
    """Return a moment in UTC as RFC 3339, 5.6 writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Entry = TypeVar("Entry", Exchange, Message)


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

    def __init__(self, pool: Pool, max_bytes: int = MAX_BYTES) -> None:
        self.messages: Shelf[Message] = Shelf()
        self.exchanges: Shelf[Exchange] = Shelf()
        self.size = 0
        self._max_bytes = max_bytes
        self._pool = pool
        pool.join(self)

    def add_message(self, message: Message) -> None:
        """Keep a message."""
        self._add(self.messages, message, len(message.raw) + ENTRY_BYTES)

    def add_exchange(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        # A parsed body takes a few times the room of its text.
        self._add(self.exchanges, exchange, 4 * exchange.trace.body_bytes + ENTRY_BYTES)

    def remove_messages(self, matches: Callable[[Message], bool]) -> None:
        """Remove the messages that match."""
        self._count(-self.messages.remove(matches))

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


def message_filter(wanted: Mapping[str, str]) -> Callable[[Message], bool]:
    """Return a test for messages: every criterion holds, ignoring case.

    `recipient`, `sender`, `relay` (host, or host:port), `request_id` and `identity` compare the
    whole value, `subject` a part of it. Raises ValueError for another name.
    """
    return _filter(_MESSAGE_CRITERIA, wanted)


def exchange_filter(wanted: Mapping[str, str]) -> Callable[[Exchange], bool]:
    """Return a test for exchanges: `path`, `status`, `identity` and `version`, ignoring case.

    Raises ValueError for another name.
    """
    return _filter(_EXCHANGE_CRITERIA, wanted)


Criterion = Callable[[Any], Iterable[str | None]]


def _filter(criteria: Mapping[str, Criterion], wanted: Mapping[str, str]) -> Callable[[Any], bool]:
    if unknown := sorted(wanted.keys() - criteria.keys()):
        raise ValueError(f"no filter {', '.join(unknown)}; there are {', '.join(criteria)}")
    folded = {name: value.casefold() for name, value in wanted.items()}

    def matches(entry: object) -> bool:
        return all(_holds(name, value, criteria[name](entry)) for name, value in folded.items())

    return matches


def _holds(name: str, value: str, found: Iterable[str | None]) -> bool:
    texts = [text.casefold() for text in found if text is not None]
    return any(value in text if name == "subject" else value == text for text in texts)


_MESSAGE_CRITERIA: Final[Mapping[str, Criterion]] = {
    "recipient": lambda message: message.recipients,
    "sender": lambda message: [message.sender],
    "subject": lambda message: [message.subject],
    "relay": lambda message: [message.relay.host, str(message.relay)],
    "request_id": lambda message: [message.request_id],
    "identity": lambda message: [message.identity],
}
_EXCHANGE_CRITERIA: Final[Mapping[str, Criterion]] = {
    "path": lambda exchange: [exchange.path],
    "status": lambda exchange: [str(exchange.status)],
    "identity": lambda exchange: [exchange.trace.identity],
    "version": lambda exchange: [exchange.trace.version],
}

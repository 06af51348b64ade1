"""What one call causes: recorded while it happens, then kept as values that cannot change."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeVar, cast
from uuid import uuid4

from mockserver.base.problems import Errors, Kind, Note, Problem, Violation
from mockserver.contract.upgrade import Upgrade, Upgraded
from mockserver.journal import mailtext

Json = dict[str, Any]
_Read = TypeVar("_Read")
Headers = tuple[tuple[str, str], ...]
_Speaker = Literal["C", "S"]
Said = tuple[_Speaker, str]

_NO_ERRORS: Final[Errors] = MappingProxyType({})
_MAX_SUBJECT: Final = 4_000  # characters by which a mail is found
_REMEMBERED: Final = 4_096  # octets of a mail of which is kept what was read of it
_WIDE: Final = 4  # octets of a character in memory, at most


def new_id() -> str:
    """Return an id that is unique in every mock."""
    return uuid4().hex


def milliseconds(since: float) -> float:
    """Return the milliseconds since a `time.perf_counter()`, to the microsecond."""
    return round((time.perf_counter() - since) * 1_000, 3)


def timestamp(moment: datetime) -> str:
    """Return a moment in UTC as RFC 3339, 5.6 writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# What is kept


@dataclass(frozen=True)
class Endpoint:
    """A relay as a request names it, or a listening address."""

    host: str
    port: int

    def __str__(self) -> str:
        # RFC 3986, 3.2.2: an IPv6 address has brackets; it may come with them, or without.
        host = f"[{self.host.strip('[]')}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Envelope:
    """What MAIL FROM and RCPT TO said; an empty sender is the null path."""

    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Parameters:
    """The ESMTP parameters of MAIL, and those of RCPT for each recipient (RFC 5321, 4.1.1.11)."""

    mail: Mapping[str, str] = field(default_factory=dict)
    rcpt: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Permission:
    """The decision on what a caller may do."""

    required: tuple[str, ...]
    held: tuple[str, ...]
    granted: bool


@dataclass(frozen=True)
class Received:
    """What a client sent, masked; `body` is None where it was not read."""

    headers: Headers
    body_text: str | None = field(default=None, repr=False)

    @property
    def body(self) -> Any:  # noqa: ANN401  # any JSON
        """Give the masked body, each time a copy."""
        return None if self.body_text is None else json.loads(self.body_text)


@dataclass(frozen=True)
class SecretRead:
    """One secret of a body, without its value: a literal, or a look-up in a PAM provider."""

    field: str
    source: str
    provider: str | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class TokenRequest:
    """One request to an identity provider; `status` is None where there was no answer."""

    url: str
    kind: str
    headers: Headers
    scope: str | None = None
    audience: str | None = None
    status: int | None = None


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver: `stage` is where it failed, or `data` when it was sent.

    Each line of `dialogue` has the milliseconds since the call came, who spoke, and the text.
    """

    relay: Endpoint
    tls_mode: str
    mechanism: str | None
    stage: str
    reply: str | None
    dialogue: tuple[tuple[float, _Speaker, str], ...]


@dataclass(frozen=True)
class Refusal:
    """What a client got instead of an answer."""

    kind: Kind
    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True)
class Step:
    """A part of a call, with the milliseconds since the call came."""

    name: str
    ms: float
    duration_ms: float


@dataclass(frozen=True)
class Exchange:
    """One API call and all that it caused; nothing secret is in it.

    `status` is None where a fault broke the connection off without an answer, where the client
    left before it, and as long as the call is under way, which has not `ended`.
    """

    id: str
    received_at: datetime
    duration_ms: float
    method: str
    path: str
    version: str | None
    operation: str | None
    identity: str | None
    status: int | None
    deprecated: bool
    permission: Permission | None
    request: Received
    violations: tuple[Violation, ...]
    problem: Refusal | None
    secrets: tuple[SecretRead, ...]
    token_requests: tuple[TokenRequest, ...]
    delivery: Delivery | None
    message_id: str | None
    lenient: tuple[Note, ...]
    steps: tuple[Step, ...]
    ended: bool = True
    upgrade: Upgrade | None = field(default=None, repr=False, compare=False)

    @property
    def v2(self) -> Upgraded | None:
        """Give the call of version 2 that does the same as one of deprecated version 1, or None.

        The name of its field stands for each password, as in `<RelayPassword>`.
        """
        if self.upgrade is None:
            return None
        return self.upgrade(self.request.headers, self.request.body)

    @property
    def refused(self) -> bool:
        """Say whether the client got a problem; who left before the answer did not."""
        return self.problem is not None and self.problem.kind is not Kind.CLIENT_LEFT

    def as_json(self) -> Json:
        """Give the exchange as `GET /_mock/requests` shows it: each field under its name."""
        request = {"headers": self.request.headers, "body": self.request.body}
        shown = {**as_plain(self), "request": request, "v2": self.v2 and vars(self.v2)}
        del shown["upgrade"]
        return shown


@dataclass(frozen=True, kw_only=True)
class Message:
    """One mail that the sink kept; `raw` are its bytes as they came over the wire."""

    ended: ClassVar[bool] = True  # a mail is kept when all of it has come
    id: str = field(default_factory=new_id)
    request_id: str | None = None
    identity: str | None = None
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    relay: Endpoint
    tls_mode: str
    tls_version: str | None
    mechanism: str | None
    username: str | None
    envelope: Envelope
    helo: str | None = None
    parameters: Parameters = field(default_factory=Parameters)
    dialogue: tuple[Said, ...]
    raw: bytes = field(repr=False)

    @property
    def parsed(self) -> EmailMessage:
        """Parse the mail as the standard library does, which may raise for a malformed one."""
        return message_from_bytes(self.raw, policy=policy.default)

    @property
    def text(self) -> str:
        """Give the plain text part, or an empty text where there is none."""
        return self._parts.text

    @property
    def html(self) -> str:
        """Give the HTML part, or an empty text where there is none."""
        return self._parts.html

    @cached_property
    def subject(self) -> str:
        """Give the decoded `Subject`, empty where there is none."""
        return self._header("Subject")[:_MAX_SUBJECT]

    @property
    def from_(self) -> str:
        """Give the decoded `From`: `from` is a word of the language."""
        return self._header("From")

    @property
    def to(self) -> str:
        """Give the decoded `To`, empty where there is none."""
        return self._header("To")

    @property
    def cc(self) -> str:
        """Give the decoded `Cc`, empty where there is none."""
        return self._header("Cc")

    @property
    def from_addresses(self) -> tuple[mailtext.Address, ...]:
        """Give the names and addresses of `From`."""
        return mailtext.Reading(self.raw).addresses("From")

    @property
    def to_addresses(self) -> tuple[mailtext.Address, ...]:
        """Give the names and addresses of `To`."""
        return mailtext.Reading(self.raw).addresses("To")

    @property
    def attachments(self) -> tuple[mailtext.Attachment, ...]:
        """Give the attachments, each with its content."""
        return self._parts.attachments

    @property
    def defects(self) -> tuple[str, ...]:
        """Say what a strict receiver would miss (RFC 5322, 3.6), or not take."""
        return mailtext.Reading(self.raw).defects()

    @property
    def size(self) -> int:
        """Give the octets of the mail."""
        return len(self.raw)

    @property
    def headers(self) -> Headers:
        """Give all headers, unfolded and decoded, in the order of the mail."""
        return self._remembered("headers", lambda: mailtext.Reading(self.raw).headers())

    @property
    def may_remember(self) -> int:
        """Give the octets that are kept of what was read, at most."""
        return _WIDE * (3 * self.size if self.size <= _REMEMBERED else _MAX_SUBJECT)

    @property
    def _parts(self) -> mailtext.Content:
        return self._remembered("parts", lambda: mailtext.Reading(self.raw).content())

    def _remembered(self, name: str, read: Callable[[], _Read]) -> _Read:
        """Return what is read, and keep it where the mail is small."""
        if self.size > _REMEMBERED:
            return read()
        kept = vars(self)
        if name not in kept:
            kept[name] = read()
        return cast("_Read", kept[name])

    def _header(self, wanted: str) -> str:
        return _first(self.headers, wanted)

    def as_json(self) -> Json:
        """Give the message as `GET /_mock/messages` shows it: its fields, and what is read of it.

        The octets themselves have a call of their own.
        """
        shown, reading = as_plain(self), mailtext.Reading(self.raw)
        headers, content = reading.headers(), reading.content()
        dialogue, _ = shown.pop("dialogue"), shown.pop("raw")
        read: Json = {
            name.lower(): _first(headers, name) for name in ("Subject", "From", "To", "Cc")
        }
        for name in ("From", "To"):
            read[f"{name.lower()}_addresses"] = _plain(reading.addresses(name))
        files = [each.as_json() for each in content.attachments]
        read |= {"headers": headers, **content._asdict(), "attachments": files}
        read |= {"defects": reading.defects(), "size": self.size}
        return {**shown, **read, "dialogue": dialogue}


def _first(headers: Headers, wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted.lower()), "")


def as_plain(kept: Any) -> Json:  # noqa: ANN401  # any dataclass
    """Return the fields of a kept value under their names, in the types of JSON."""
    return {each.name: _plain(getattr(kept, each.name)) for each in fields(kept)}


def _plain(value: object) -> object:
    """Return a kept value in the types of JSON."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return as_plain(value)
    if isinstance(value, datetime):
        return timestamp(value)
    return dict(value) if isinstance(value, Mapping) else value


# What records


@dataclass
class Dialogue:
    """Record the lines of one SMTP session, with milliseconds since `started`.

    Whoever adds a line masks it first.
    """

    started: float = field(default_factory=time.perf_counter)
    lines: list[tuple[float, _Speaker, str]] = field(default_factory=list)

    def add(self, who: _Speaker, line: str) -> None:
        """Append one line without its line end."""
        self.lines.append((milliseconds(self.started), who, line))


@dataclass
class Attempt:
    """Record one delivery on its way through the stages."""

    relay: Endpoint
    tls_mode: str
    dialogue: Dialogue
    mechanism: str | None = None
    stage: str = "resolve"
    reply: str | None = None

    def kept(self) -> Delivery:
        """Give what there is so far as a value."""
        fixed = {"tls_mode": str(self.tls_mode), "dialogue": tuple(self.dialogue.lines)}
        return Delivery(**{**vars(self), **fixed})


class Asked(NamedTuple):
    """What a call that kept the contract sent; `body` is spelled as in the document.

    `given` are the parameters, with defaults; `query` has the names in the query as they came.
    """

    body: object
    given: Mapping[str, object]
    query: Sequence[str]


@dataclass
class Trace:
    """Record what one call causes, while it happens; passed down the call, never looked up."""

    method: str = ""
    path: str = ""
    headers: Headers = ()
    request_id: str = field(default_factory=new_id)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.perf_counter)
    version: str | None = None
    operation: str | None = None
    deprecated: bool = False
    upgrade: Upgrade | None = None
    identity: str | None = None
    permission: Permission | None = None
    body_text: str | None = None
    violations: list[Violation] = field(default_factory=list)
    secrets: list[SecretRead] = field(default_factory=list)
    token_requests: list[TokenRequest] = field(default_factory=list)
    delivery: Attempt | None = None
    message_id: str | None = None
    lenient: list[Note] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    asked: Asked | None = None

    def body(self, masked: object) -> None:
        """Record the body, which the caller has masked."""
        self.body_text = json.dumps(masked, ensure_ascii=False)

    def secret(
        self, name: str, provider: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Record that a secret is read: a literal, or from a provider with masked parameters."""
        frozen = None if parameters is None else MappingProxyType(parameters)
        source = "literal" if provider is None else "pam"
        self.secrets.append(SecretRead(name, source, provider, frozen))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record how long a part of the call takes, however it ends."""
        began = milliseconds(self.started)
        try:
            yield
        finally:
            ended = milliseconds(self.started)
            self.steps.append(Step(name, began, round(ended - began, 3)))

    def under_way(self) -> Exchange:
        """Give what there is so far as a value."""
        return replace(self.exchange(None, None), ended=False)

    def exchange(
        self, status: int | None, problem: Problem | None, errors: Errors = _NO_ERRORS
    ) -> Exchange:
        """Give what there is as a value, with the answer; `errors` are those of the world."""
        ended: Json = {
            "id": self.request_id,
            "duration_ms": milliseconds(self.started),
            "status": status,
            "request": Received(self.headers, self.body_text),
            "problem": problem and _refusal(problem, errors),
            "delivery": self.delivery and self.delivery.kept(),
        }
        recorded = {name: value for name, value in vars(self).items() if name in _KEPT}
        lists = {name: tuple(value) for name, value in recorded.items() if type(value) is list}
        return Exchange(**{**recorded, **lists, **ended})


def _refusal(problem: Problem, errors: Errors) -> Refusal:
    # Not the problem that was raised: it holds the frames that it passed through.
    return Refusal(problem.kind, problem.told(errors).code, problem.message, problem.field)


_KEPT: Final = frozenset(each.name for each in fields(Exchange))

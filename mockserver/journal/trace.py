"""What one call causes: recorded while it happens, then kept as values that cannot change."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from os import urandom
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, cast

from mockserver.base.jsontext import Json
from mockserver.base.masking import Sealed
from mockserver.base.problems import Errors, Kind, Note, Problem, Violation
from mockserver.base.text import once
from mockserver.contract.upgrade import Upgrade, Upgraded
from mockserver.journal.rows import late, letters, mapping, mappings, numbers, rows, texts

Headers = tuple[tuple[str, str], ...]
_Speaker = Literal["C", "S"]
Said = tuple[_Speaker, str]

_VERSION_4: Final = 0x4 << 76 | 0x2 << 62  # and its variant
_RANDOM: Final = ~(0xF << 76 | 0x3 << 62)
_NO_ERRORS: Final[Errors] = MappingProxyType({})


def new_id() -> str:
    """Return an id that is unique in every mock: a random UUID (RFC 9562, 5.4) without hyphens."""
    # It asks the kernel each time: a generator of our own would go on alike in forked processes.
    # `uuid4` makes an object of them first, which takes longer than all else here.
    return f"{int.from_bytes(urandom(16), 'big') & _RANDOM | _VERSION_4:032x}"


def _milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, to the microsecond."""
    return int(seconds * 1_000_000) / 1_000  # to round them would take three times as long


def timestamp(moment: datetime, precision: str = "milliseconds") -> str:
    """Return a moment in UTC as RFC 3339, 5.6 writes it; `precision` is one of `isoformat`."""
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


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

    mail: Mapping[str, str] = mapping()
    rcpt: tuple[Mapping[str, str], ...] = mappings()


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
    kept: str | Sealed | None = field(default=None, repr=False)

    @property
    def body_text(self) -> str | None:
        """Give the masked body as JSON."""
        return self.kept.text if isinstance(self.kept, Sealed) else self.kept

    @property
    def body(self) -> Any:  # noqa: ANN401  # any JSON
        """Give the masked body, each time a copy."""
        return None if self.kept is None else json.loads(self.body_text or "")


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
    dialogue: tuple[tuple[float, _Speaker, str], ...] = rows(numbers, letters, texts)


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


def _steps(kept: tuple[Any, ...]) -> tuple[Step, ...]:
    """Return the steps of a call: of when it came and the marks of its `Trace`, or as they are."""
    match kept:
        case (float(started), *marks):
            return tuple([_step(started, *marks[at : at + 3]) for at in range(0, len(marks), 3)])
        case _:
            return kept


def _step(started: float, name: str, began: float, ended: float) -> Step:
    ms = _milliseconds(began - started)
    return Step(name, ms, round(_milliseconds(ended - started) - ms, 3))


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
    steps: tuple[Step, ...] = late(_steps)
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


def as_plain(kept: Any) -> Json:  # noqa: ANN401  # any dataclass
    """Return the fields of a kept value under their names, in the types of JSON."""
    return {each.name: plain(getattr(kept, each.name)) for each in fields(kept)}


def plain(value: object) -> object:
    """Return a kept value in the types of JSON."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, tuple):
        return [plain(each) for each in value]
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
        self.lines.append((_milliseconds(time.perf_counter() - self.started), who, line))


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
        said = tuple(self.dialogue.lines)
        mode, reply = once(str(self.tls_mode)), self.reply and once(self.reply)
        return Delivery(self.relay, mode, self.mechanism, self.stage, reply, said)


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
    body: str | Sealed | None = None
    violations: tuple[Violation, ...] = ()
    secrets: tuple[SecretRead, ...] = ()
    token_requests: tuple[TokenRequest, ...] = ()
    delivery: Attempt | None = None
    message_id: str | None = None
    lenient: tuple[Note, ...] = ()
    # Of each step its name, its begin and its end, in the seconds of `started`.
    marks: tuple[str | float, ...] = ()
    asked: Asked | None = None

    def secret(
        self, name: str, provider: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Record that a secret is read: a literal, or from a provider with masked parameters."""
        read = _literal(name) if provider is None else SecretRead(name, "pam", provider, parameters)
        self.secrets += (read,)

    def note(self, *notes: Note) -> None:
        """Record what is worth a note."""
        self.lenient += notes

    def step(self, name: str) -> "_Timed":
        """Record how long a part of the call takes, however it ends."""
        return _Timed(self, name)

    def under_way(self) -> Exchange:
        """Give what there is so far as a value."""
        return replace(self.exchange(None, None), ended=False)

    def exchange(
        self, status: int | None, problem: Problem | None, errors: Errors = _NO_ERRORS
    ) -> Exchange:
        """Give what there is as a value, with the answer; `errors` are those of the world."""
        return Exchange(
            id=self.request_id,
            received_at=self.received_at,
            duration_ms=_milliseconds(time.perf_counter() - self.started),
            method=once(self.method),
            path=once(self.path),
            version=self.version,
            operation=self.operation,
            identity=self.identity,
            status=status,
            deprecated=self.deprecated,
            permission=self.permission,
            request=Received(self.headers, self.body),
            violations=self.violations,
            problem=None if problem is None else _refusal(problem, errors),
            secrets=self.secrets,
            token_requests=self.token_requests,
            delivery=None if self.delivery is None else self.delivery.kept(),
            message_id=self.message_id,
            lenient=self.lenient,
            steps=cast("tuple[Step, ...]", (self.started, *self.marks)),
            upgrade=self.upgrade,
        )


class _Timed:
    """Time a part of a call; a generator would cost more than most parts take."""

    __slots__ = ("_began", "_name", "_trace")

    def __init__(self, trace: Trace, name: str) -> None:
        self._trace = trace
        self._name = name
        self._began = time.perf_counter()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._trace.marks += self._name, self._began, time.perf_counter()


@lru_cache(maxsize=64)  # so that what recurs is held once
def _literal(name: str) -> SecretRead:
    return SecretRead(name, "literal")


def _refusal(problem: Problem, errors: Errors) -> Refusal:
    # Not the problem that was raised: it holds the frames that it passed through.
    return Refusal(problem.kind, problem.told(errors).code, problem.message, problem.field)

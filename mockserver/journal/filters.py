"""The criteria by which tests find messages, exchanges and token requests, and their values."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from typing import Any, Final, Generic, NamedTuple, TypeVar

from mockserver.base.problems import Errors, Kind
from mockserver.base.sasl import MECHANISMS
from mockserver.base.text import cut, host_name, nearest
from mockserver.contract.operations import Operation
from mockserver.journal.message import Message
from mockserver.journal.outside import SmtpSession
from mockserver.journal.trace import Endpoint, Exchange, TokenRequest

_NOTHING: Final = "null"
_MAX_PORT: Final = 65_535

_Asked_contra = TypeVar("_Asked_contra", contravariant=True)


class Either(tuple[str, ...]):
    """Several readings of one value, of which one is enough."""

    __slots__ = ()


class _Criterion(NamedTuple):
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
            raise ValueError(f"{cut(repr(readings[0]))} {error}") from None

    def holds(self, wanted: Iterable[str], found: Iterable[object]) -> bool:
        """Say whether one of the readings is one of the things found."""
        forms = [self._form(_text(each)) for each in found]
        if self.in_part:
            # Every text contains the empty one; whoever asks for that means that there is none.
            return any(each in form if each else not form for each in wanted for form in forms)
        return not set(forms).isdisjoint(wanted)

    def _form(self, text: str) -> str:
        try:
            return self.normal(text)
        except ValueError:  # a value that nobody can ask for
            return text


class _Headers(_Criterion):
    """Ask for a header by its name, and by a part of its value."""

    def holds(self, wanted: Iterable[str], found: Iterable[object]) -> bool:
        there = [self._form(str(each)).partition(": ")[::2] for each in found]
        asked = [each.partition(": ")[::2] for each in wanted]
        return any(name == its and part in value for name, part in asked for its, value in there)


class Filter(Generic[_Asked_contra]):
    """Test whether an entry fulfils every criterion.

    Raises ValueError for a criterion or a value that cannot be. `also` are names that the caller
    takes beside the criteria; they are listed with them.
    """

    def __init__(
        self,
        criteria: Mapping[str, _Criterion],
        wanted: Mapping[str, object],
        also: Iterable[str] = (),
    ) -> None:
        known = (*criteria, *also)
        self._wanted: list[tuple[str, _Criterion, list[str]]] = []
        for name, value in wanted.items():
            if name not in criteria:
                near = nearest(name, known)
                text = f"there are {', '.join(known)}; the nearest is {near}"
                raise ValueError(f"no filter {cut(name)}; {text}")
            try:
                self._wanted.append((name, criteria[name], criteria[name].wanted(value)))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def __call__(self, entry: _Asked_contra) -> bool:
        """Say whether an entry fulfils every criterion."""
        return not self.misses(entry)

    def misses(self, entry: _Asked_contra) -> dict[str, list[object]]:
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
    wanted: Mapping[str, object],
    also: Iterable[str] = (),
    *,
    operations: Collection[Operation],
    errors: Errors,
) -> Filter[Exchange]:
    """Return a test for exchanges in the same way.

    `operations` are all that there are, and the codes those of `errors`.
    """
    codes = dict.fromkeys(told.code for told in errors.values())
    ids = [operation.id for operation in operations]
    versions = dict.fromkeys(operation.version for operation in operations)
    documented = {
        "code": _Criterion(
            lambda exchange: [exchange.problem and exchange.problem.code], _one_of(*codes, _NOTHING)
        ),
        "version": _Criterion(lambda exchange: [exchange.version], _one_of(*versions, _NOTHING)),
        "operation": _Criterion(lambda exchange: [exchange.operation], _one_of(*ids, _NOTHING)),
    }
    return Filter({**_EXCHANGE_CRITERIA, **documented}, wanted, also)


def session_filter(wanted: Mapping[str, object], also: Iterable[str] = ()) -> Filter[SmtpSession]:
    """Return a test for SMTP sessions in the same way."""
    return Filter(_SESSION_CRITERIA, wanted, also)


def token_filter(wanted: Mapping[str, object], also: Iterable[str] = ()) -> Filter[TokenRequest]:
    """Return a test for requests to an identity provider in the same way."""
    return Filter(_TOKEN_CRITERIA, wanted, also)


def _text(value: object) -> str:
    return _NOTHING if value is None else str(value)


def _folded(text: str) -> str:
    if not text:
        raise ValueError("is empty; leave the filter out")
    return text.casefold()


def _one_of(*known: str) -> Callable[[str], str]:
    forms = {each.casefold() for each in known}

    def normal(text: str) -> str:
        if (folded := _folded(text)) not in forms:
            near = nearest(text, set(known) - {_NOTHING})
            raise ValueError(f"is unknown; the nearest is {near}; there are {', '.join(known)}")
        return folded

    return normal


def _status(text: str) -> str:
    if not _STATUS.fullmatch(folded := text.casefold()):
        raise ValueError(f"is neither an HTTP status from 100 to 599 nor {_NOTHING}")
    return folded


def _address(text: str) -> str:
    """Return an address with the A-labels of its domain; what is no address stays a text."""
    local, at, domain = text.rpartition("@")
    with suppress(ValueError):
        domain = host_name(domain) if at else domain
    return _folded(f"{local}{at}{domain}")


def _sender(text: str) -> str:
    return _address(text) if text else ""  # the null path


def _header(text: str) -> str:
    """Return a header as `name: value`, without letter case and blanks around the value."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError("is no header: write NAME:VALUE, or NAME: for any value")
    return f"{name.strip()}: {value.strip()}".casefold()


def _relay(text: str) -> str:
    found = _RELAY.fullmatch(text)
    with suppress(ValueError):
        # An IPv6 address without brackets has no port.
        host, port = found.groups("") if found else (str(IPv6Address(text)), "")
        if int(port[1:] or 0) <= _MAX_PORT:
            return host_name(host) + port
    raise ValueError("is neither HOST nor HOST:PORT")


_STATUS: Final = re.compile(rf"[1-5][0-9]{{2}}|{_NOTHING}")
_RELAY: Final = re.compile(r"(\[[^\]]*:[^\]]*\]|[^\s:/@\[\]]+)(:[1-9][0-9]{0,4})?")
_TLS_MODES: Final = ("none", "starttls", "implicit")
_KINDS: Final = ("discovery", "jwks", "token")
_MAIL: Final = "mail_"
_STAGES: Final = [kind.removeprefix(_MAIL) for kind in Kind if kind.startswith(_MAIL)]

# All but the subject compare the whole, and all without letter case.
_MESSAGE_CRITERIA: Final[Mapping[str, _Criterion]] = {
    "recipient": _Criterion(lambda message: message.envelope.recipients, _address),
    "sender": _Criterion(lambda message: _or_nothing(message.envelope.sender), _sender),
    "subject": _Criterion(lambda message: [message.subject], str.casefold, in_part=True),
    "relay": _Criterion(lambda message: _spellings(message.relay), _relay),
    "request_id": _Criterion(lambda message: [message.request_id], _folded),
    "identity": _Criterion(lambda message: [message.identity], _folded),
    "tls_mode": _Criterion(lambda message: [message.tls_mode], _one_of(*_TLS_MODES)),
    "mechanism": _Criterion(lambda message: [message.mechanism], _one_of(*MECHANISMS, _NOTHING)),
    "username": _Criterion(lambda message: [message.username], _address),
    "text": _Criterion(
        lambda message: [f"{message.text}\n{message.html}".strip()], str.casefold, in_part=True
    ),
    "header": _Headers(
        lambda message: [f"{name}: {value}" for name, value in message.headers], _header
    ),
}
_SESSION_CRITERIA: Final[Mapping[str, _Criterion]] = {
    "relay": _Criterion(lambda session: _spellings(session.relay), _relay),
    "username": _Criterion(lambda session: [session.username], _address),
    "stage": _Criterion(
        lambda session: [each.stage for each in session.refusals] or [None],
        _one_of(*_STAGES, _NOTHING),
    ),
    "tls_mode": _MESSAGE_CRITERIA["tls_mode"],
    "mechanism": _MESSAGE_CRITERIA["mechanism"],
    "id": _Criterion(lambda session: [session.id], _folded),
}
_EXCHANGE_CRITERIA: Final[Mapping[str, _Criterion]] = {
    "path": _Criterion(lambda exchange: [exchange.path], _folded),
    "status": _Criterion(lambda exchange: [exchange.status], _status),
    "identity": _Criterion(lambda exchange: [exchange.identity], _folded),
    "stage": _Criterion(
        lambda exchange: [exchange.delivery and exchange.delivery.stage],
        _one_of(*_STAGES, _NOTHING),
    ),
    "ended": _Criterion(lambda exchange: [exchange.ended], _one_of("true", "false")),
}
# Scopes, audiences and URLs have a letter case (RFC 6749, 3.3; RFC 3986, 6.2.2.1).
_TOKEN_CRITERIA: Final[Mapping[str, _Criterion]] = {
    "scope": _Criterion(lambda request: [request.scope], str),
    "audience": _Criterion(lambda request: [request.audience], str),
    "url": _Criterion(lambda request: [request.url], str),
    "status": _Criterion(lambda request: [request.status], _status),
    "kind": _Criterion(lambda request: [request.kind], _one_of(*_KINDS)),
    # A client of its own is asked for only where there is one: in what came from outside.
    "client_id": _Criterion(lambda request: [getattr(request, "client_id", None)], str),
    "error": _Criterion(lambda request: [getattr(request, "error", None)], _folded),
}


def _or_nothing(sender: str) -> list[str | None]:
    return [sender] if sender else ["", None]


def _spellings(relay: Endpoint) -> list[str]:
    host = host_name(relay.host)
    return [host, f"{host}:{relay.port}"]

"""What a test sees of one state of a mock, and what it asserts on that."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack

from mockserver.base.loops import Loop
from mockserver.base.problems import Errors, Note
from mockserver.contract.operations import Operation
from mockserver.journal.coverage import Tried
from mockserver.journal.filters import exchange_filter, message_filter, session_filter, token_filter
from mockserver.journal.journal import Entry, Shelf, Tally
from mockserver.journal.message import Message
from mockserver.journal.outside import SmtpSession, TokenCall
from mockserver.journal.state import State, States
from mockserver.journal.story import exchange_text, message_line, session_text, token_line, tone
from mockserver.journal.trace import Exchange, TokenRequest
from mockserver.world.model import World

_Seen = TypeVar("_Seen")

_MAX_SHOWN: Final = 10


class MessageCriteria(TypedDict, total=False):
    """What a message may be asked for; texts without letter case.

    `subject` and `text` go by a part, and so does the value of a `header`, such as
    `X-Mailer: x`. A value that no message can have is a ValueError.
    """

    recipient: str
    sender: str | None
    subject: str
    relay: str
    request_id: str | None
    identity: str | None
    tls_mode: str
    mechanism: str | None
    username: str | None
    text: str
    header: str


class SessionCriteria(TypedDict, total=False):
    """What an SMTP session from outside may be asked for; `stage` is one that was refused."""

    relay: str
    username: str | None
    stage: str | None
    tls_mode: str
    mechanism: str | None
    id: str


class RequestCriteria(TypedDict, total=False):
    """What a call may be asked for; a value that no call can have is a ValueError."""

    path: str
    status: int | None
    identity: str | None
    version: str | None
    operation: str | None
    code: str | None
    stage: str | None


class RejectionCriteria(TypedDict, total=False):
    """What a refused call may be asked for, `field` and `rule` of one and the same violation.

    `field` is a JSON pointer with or without its first slash (`Host`, `RelayPassword/SecretValue`),
    the name of a header or parameter, or the field whose secret could not be read. A value of the
    others that no call can have is a ValueError.
    """

    field: str
    rule: str
    status: int | None
    code: str
    stage: str | None
    version: str | None
    operation: str | None
    identity: str | None
    path: str


class TokenCriteria(TypedDict, total=False):
    """What a request to an identity provider may be asked for; `headers` are some of its own."""

    scope: str | None
    audience: str | None
    headers: Mapping[str, str] | Sequence[tuple[str, str]]
    url: str
    status: int | None
    kind: str
    client_id: str | None
    error: str | None


class View:
    """One state of a mock: its world, what happened in it, and assertions that explain themselves.

    Everything may be called from any thread. What it returns are values that do not change.
    """

    def __init__(
        self, states: States, name: str, operations: Collection[Operation], loop: Loop
    ) -> None:
        self._states = states
        self._name = name
        self._operations = operations
        self._loop = loop
        self._expected: set[str] = set()

    @property
    def messages(self) -> tuple[Message, ...]:
        """Give the messages that are kept, oldest first."""
        return self._loop.call(lambda: tuple(self._state.journal.messages))

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """Give the exchanges that are kept, oldest first."""
        return self._loop.call(lambda: tuple(self._state.journal.exchanges))

    @property
    def sessions(self) -> tuple[SmtpSession, ...]:
        """Give the SMTP sessions from outside, those that were refused too; last the open ones."""
        return self._loop.call(lambda: tuple(self._state.journal.sessions))

    @property
    def tokens(self) -> tuple[TokenCall, ...]:
        """Give the requests from outside to the identity provider, refused ones too."""
        return self._loop.call(lambda: tuple(self._state.journal.tokens))

    @property
    def world(self) -> World:
        """Give the world as it is now."""
        return self._loop.call(lambda: self._state.world)

    @property
    def tally(self) -> Tally:
        """Give what was counted of all calls since the mock was started, in namespaces too."""
        return self._states.tally

    @property
    def coverage(self) -> list[Tried]:
        """Give what was tried of each operation since the mock was started, in namespaces too."""
        return self._loop.call(lambda: deepcopy(self._states.coverage.tried()))

    def patch_world(self, patch: Mapping[str, Any]) -> None:
        """Apply a merge patch (RFC 7396) to the world; WorldError for a bad one changes nothing."""
        self._loop.call(lambda: self._state.patch_world(patch))

    def reset(self) -> None:
        """Empty the journal, and restore the world that was loaded."""
        self._loop.call(lambda: self._states.reset(self._name))
        self._expected.clear()

    def wait_for_message(
        self, *, timeout: float = 5, **criteria: Unpack[MessageCriteria]
    ) -> Message:
        """Return the newest message that fulfils every criterion, waiting up to `timeout` seconds.

        Raises TimeoutError. Only for a mock in a thread: on its own loop, `await next_message()`.
        """
        return self._loop.run(self._message(criteria, timeout))

    def wait_for_request(
        self, *, timeout: float = 5, **criteria: Unpack[RequestCriteria]
    ) -> Exchange:
        """Return the newest call that has ended and fulfils every criterion, in the same way."""
        ended = {"ended": True, **criteria}
        errors = self.world.errors
        misses = exchange_filter(ended, operations=self._operations, errors=errors).misses
        wanted = Wanted("a call", criteria, misses, exchange_text)
        return self._loop.run(self._arrival(lambda: self._state.journal.exchanges, wanted, timeout))

    def wait_for_session(
        self, *, timeout: float = 5, **criteria: Unpack[SessionCriteria]
    ) -> SmtpSession:
        """Return the newest SMTP session from outside that fulfils every criterion, likewise.

        It may still be open.
        """
        wanted = Wanted("an SMTP session", criteria, session_filter(criteria).misses, session_text)
        return self._loop.run(self._arrival(lambda: self._state.journal.sessions, wanted, timeout))

    async def next_message(
        self,
        *,
        timeout: float = 5,  # noqa: ASYNC109  # part of the question, not of its handling
        **criteria: Unpack[MessageCriteria],
    ) -> Message:
        """Do the same as `wait_for_message` on the loop of the mock, or on any other."""
        return await self._loop.awaitable(self._message(criteria, timeout))

    def assert_delivered(self, *, count: int = 1, **criteria: Unpack[MessageCriteria]) -> Message:
        """Return the newest of the messages that fulfil the criteria; there must be `count`."""
        __tracebackhide__ = True
        if count < 1:
            raise ValueError("count is at least 1; for none there is assert_not_delivered")
        noun = "1 message" if count == 1 else f"{count} messages"
        wanted = Wanted(noun, criteria, message_filter(criteria).misses, message_line)
        return self._newest(wanted, self.messages, count)

    def assert_not_delivered(self, **criteria: Unpack[MessageCriteria]) -> None:
        """Fail if a message fulfils the criteria; without any, if there is a message."""
        __tracebackhide__ = True
        wanted = Wanted("no message", criteria, message_filter(criteria).misses, message_line)
        messages = self.messages
        if found := wanted.among(messages):
            raise AssertionError(wanted.failure(found, messages))

    def assert_session(self, **criteria: Unpack[SessionCriteria]) -> SmtpSession:
        """Return the newest SMTP session from outside that fulfils the criteria."""
        __tracebackhide__ = True
        wanted = Wanted("an SMTP session", criteria, session_filter(criteria).misses, session_text)
        return self._newest(wanted, self.sessions)

    def assert_rejected(self, **criteria: Unpack[RejectionCriteria]) -> Exchange:
        """Return the newest refused call that fulfils the criteria; there must be one or more."""
        __tracebackhide__ = True
        misses = _misses_of_rejection(self._operations, self.world.errors, **criteria)
        wanted = Wanted("a refused call", criteria, misses, exchange_text)
        refused = [exchange for exchange in self.requests if exchange.refused]
        self._expected |= {exchange.id for exchange in wanted.among(refused)}
        return self._newest(wanted, refused)

    def assert_token_requested(self, **criteria: Unpack[TokenCriteria]) -> TokenRequest:
        """Return the newest request to an identity provider that fulfils the criteria.

        It came for a test mail, or from outside. There must be one or more; `kind` is `token`,
        unless `discovery` or `jwks` is asked for.
        """
        __tracebackhide__ = True
        asked_for: TokenCriteria = {"kind": "token", **criteria}
        wanted = Wanted("a token request", asked_for, _misses_of_token(**asked_for), token_line)
        timed: list[tuple[datetime, TokenRequest]] = [
            (exchange.received_at, request)
            for exchange in self.requests
            for request in exchange.token_requests
        ]
        timed += [(request.received_at, request) for request in self.tokens]
        timed.sort(key=lambda each: each[0])
        return self._newest(wanted, [request for _, request in timed])

    @property
    def unexpected(self) -> tuple[Exchange, ...]:
        """Give the calls that were refused with 4xx, and that no assertion has asked for."""
        return tuple(
            exchange
            for exchange in self.requests
            if tone(exchange) == "refused" and exchange.id not in self._expected
        )

    def notes(self, kinds: Collection[str]) -> tuple[tuple[Exchange, Note], ...]:
        """Give the notes of some kinds, each with its call."""
        return tuple(
            (exchange, note)
            for exchange in self.requests
            for note in exchange.lenient
            if note.kind in kinds
        )

    @property
    def _state(self) -> State:
        return self._states.get(self._name)

    async def _message(self, criteria: MessageCriteria, seconds: float) -> Message:
        wanted = Wanted("a message", criteria, message_filter(criteria).misses, message_line)
        return await self._arrival(lambda: self._state.journal.messages, wanted, seconds)

    async def _arrival(
        self, shelf: Callable[[], Shelf[Entry]], wanted: "Wanted[Entry]", seconds: float
    ) -> Entry:
        entries = shelf()
        found = await entries.wait(wanted.fits, seconds)
        if not found:
            wanted = replace(wanted, noun=f"{wanted.noun} within {seconds:g} s")
            raise TimeoutError(wanted.failure(found, list(entries)))
        return found[-1]

    def _newest(
        self, wanted: "Wanted[_Seen]", entries: Sequence[_Seen], count: int | None = None
    ) -> _Seen:
        """Return the newest entry that is wanted; without `count` there may be several."""
        __tracebackhide__ = True
        found = wanted.among(entries)
        if found and count in (None, len(found)):
            return found[-1]
        text = wanted.failure(found, entries)
        if not entries:  # to compare with
            calls = self.requests
            last = f"the last call: {exchange_text(calls[-1])}" if calls else "there was no call"
            text += f"\n{last}"
        raise AssertionError(text)


@dataclass(frozen=True)
class Wanted(Generic[_Seen]):
    """What an assertion looks for, and how it says that it is not there.

    `misses` gives what an entry has instead of each criterion that it does not fulfil.
    """

    noun: str
    criteria: Mapping[str, object]
    misses: Callable[[_Seen], Mapping[str, Sequence[object]]]
    describe: Callable[[_Seen], str]

    def fits(self, entry: _Seen) -> bool:
        """Say whether an entry misses nothing."""
        return not self.misses(entry)

    def among(self, entries: Sequence[_Seen]) -> list[_Seen]:
        """Return the entries that miss nothing."""
        return [entry for entry in entries if self.fits(entry)]

    def failure(self, found: Sequence[_Seen], entries: Sequence[_Seen]) -> str:
        """Say what was expected, what was found, or what comes nearest, and where it differs."""
        criteria = ", ".join(f"{name}={value!r}" for name, value in self.criteria.items())
        text = f"expected {self.noun}{' with ' if criteria else ''}{criteria}"
        text += f", found {len(found) or 'none'} of {len(entries)}"
        if found:
            return text + "".join(f"\n  {self.describe(entry)}" for entry in found[-_MAX_SHOWN:])
        return text + (self._nearest(entries) if entries else "")

    def _nearest(self, entries: Sequence[_Seen]) -> str:
        """Describe the entry with the fewest differences, the newest of several."""
        nearest = min(reversed(entries), key=lambda entry: len(self.misses(entry)))
        lines = [f"\nthe nearest: {self.describe(nearest)}".rstrip()]
        for name, found in self.misses(nearest).items():
            shown = " or ".join(map(_shown, found)) or "none"
            lines.append(f"  {name}: expected {self.criteria.get(name)!r}, found {shown}")
        return "\n".join(lines)


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) or value is None else str(value)


def _misses_of_rejection(
    operations: Collection[Operation],
    errors: Errors,
    field: str | None = None,
    rule: str | None = None,
    **others: object,
) -> Callable[[Exchange], dict[str, list[object]]]:
    matches = exchange_filter(others, ("field", "rule"), operations=operations, errors=errors)

    def misses(exchange: Exchange) -> dict[str, list[object]]:
        missed = matches.misses(exchange)
        broken = list(_broken(exchange))
        if not any(field in (None, *names) and rule in (None, each) for names, each in broken):
            if field is not None:
                missed["field"] = [names[0] for names, _ in broken]
            if rule is not None:
                missed["rule"] = [each for _, each in broken]
        return missed

    return misses


def _broken(exchange: Exchange) -> Iterator[tuple[Sequence[str], str | None]]:
    """Give the spellings of each field that was refused, with the rule that it broke."""
    for violation in exchange.violations:
        path = violation.path
        yield (path.removeprefix("/"), path, path.rpartition(" ")[2]), violation.rule
    if exchange.problem and exchange.problem.field:
        yield (exchange.problem.field,), None


def _misses_of_token(
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (), **others: object
) -> Callable[[TokenRequest], dict[str, list[object]]]:
    matches, expected = token_filter(others, ("headers",)), _pairs(dict(headers).items())

    def misses(request: TokenRequest) -> dict[str, list[object]]:
        missed = matches.misses(request)
        if not expected <= _pairs(request.headers):
            missed["headers"] = [dict(request.headers)]
        return missed

    return misses


def _pairs(headers: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(name.lower(), value) for name, value in headers}

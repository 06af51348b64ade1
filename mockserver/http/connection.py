"""One connection of HTTP/1.1: limits for its client, and an end within an answer.

ASGI can neither bound a header block nor reset a connection; a subclass of uvicorn's protocol can.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from mockserver.base.problems import Errors, Kind, Problem
from mockserver.base.sockets import reset_when_closed
from mockserver.http.framing import closing, misframed, written
from mockserver.http.handshakes import cause
from mockserver.http.pacing import Paced
from mockserver.http.wire import BREAK_OFF, LEFT, MAX_DISCARDED, UNREAD, Broken, refuse

_BETWEEN, _HEAD, _BODY = range(3)


@dataclass(frozen=True)
class Limits:
    """What HTTP clients may take: octets, seconds (`_s`), connections of all listeners together.

    `head` is the request line with the headers, timed from its first octet; `pause_s` the time
    between two parts of a body, `body_s` that of a whole one. `body` is more than the application
    takes: what is read, trailers included, to bring a refused body to its end. A connection that
    asks nothing is closed after `idle_s`; one that was refused is read for `linger_s`. So many
    requests of one connection may be `waiting` for their turn; an answer has to be taken in
    `taken_s`.
    """

    head: int = 64 * 1024
    head_s: float = 10
    body: int = 4 * MAX_DISCARDED
    pause_s: float = 30
    body_s: float = 60
    idle_s: int = 75
    linger_s: float = 0.5
    waiting: int = 64
    taken_s: float = 60
    connections: int = 4_000


LIMITS: Final = Limits()


class _Nothing(list[tuple[bytes, bytes]]):
    """Keep nothing of what is added."""

    def append(self, _: tuple[bytes, bytes]) -> None: ...


class _Answers(NamedTuple):
    """What uvicorn writes answers to: the transport, but closed in our way."""

    write: Callable[[bytes], None]
    is_closing: Callable[[], bool]
    close: Callable[[], None]


class _OneProtocol(Paced):
    """Read a request that offers another protocol (RFC 9110, 7.8) as if it made no offer.

    The parser takes what follows a head with an offer for octets of that protocol, though it is
    the body. So a new parser reads the same head without the offer, and then the rest.
    """

    _offered: list[tuple[bytes, bytes]] | None = None  # headers with an offer, until they are read

    def feed(self, data: memoryview) -> None:
        """Have the parser read everything."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                end = offer.args[0]
            else:
                return
            # Not above: whatever is raised there has the offer as its context.
            if self._offered is not None:
                head = self._without_offer(self._offered)
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn
                self.parser.feed_data(head)
            data = data[end:]

    def _without_offer(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        version = self.parser.get_http_version().encode()
        first = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        lines = [b"%s: %s\r\n" % pair for pair in headers if pair[0] != b"upgrade"]
        return b"".join([first, *lines, b"\r\n"])

    def on_headers_complete(self) -> None:
        if self._offered is not None:
            self.headers[:], self._offered = self._offered, None
        elif self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._offered = self.headers
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._offered is None:
            super().on_message_complete()


class Connection(_OneProtocol):
    """Speak HTTP/1.1 with one client, within limits, and break off when the application asks."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        limits: Limits,
        errors: Errors,
        warn: Callable[..., None],
    ) -> None:
        self._left = asyncio.Event()
        told = {LEFT: self._left, BREAK_OFF: self._break_off}
        super().__init__(config, state, told, limits.waiting, limits.taken_s)
        self._limits = limits
        self._errors = errors
        self._warn = warn
        self._part = _BETWEEN
        self._octets = 0  # of the header block or the body, so far
        # What is answered to whatever comes, such as where there is one connection too many.
        self.refusal: Problem | None = None
        # Nothing is read any more; the head began in the octets at hand.
        self._deaf = self._new = False
        self._until: float | None = None  # when the part of the request must be complete
        self._timer: asyncio.TimerHandle | None = None

    @property
    def _given_up(self) -> bool:
        """Say whether nothing is read any more, and no answer will come."""
        return self._deaf and (self.cycle is None or self.cycle.response_complete)

    # Called by the loop.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._answers: Any = _Answers(transport.write, transport.is_closing, self._finish)
        if len(self.connections) > self._limits.connections:
            self.refusal = _too_many()
        if self.refusal is not None:
            # Some clients take an answer that comes before their request for a fault of the server.
            self._timer = self.loop.call_later(
                self._limits.linger_s, self._refuse_all, self.refusal
            )
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        if not self._given_up:
            self._left.set()
        if isinstance(exc, ssl.SSLError):
            # Some clients look at the certificate when the handshake is over.
            self._warn(f"HTTPS connection failed from {_peer(self.client)} {cause(exc)}")
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells only the newest of several requests, and lets the others write.
            _end(self._running)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns nothing
        """Keep the connection where an answer is due: the client may still read.

        What comes is the same whether it has closed its own half only (RFC 9293, 3.6) or has left,
        so it counts as having left. TLS knows no halves.
        """
        if self._given_up:
            return False
        self._left.set()
        if self._part == _BODY and not self._deaf:
            if not self.pipeline:
                return False
            self._refuse_all(closing(Kind.HTTP, 400, "the body ended early"))
        due = self.cycle is not None and not self.cycle.response_started
        if not due or not self.transport.can_write_eof():
            return False
        _end_body(self.cycle)
        return True

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._set_timer(None)
        if self.refusal is not None:
            self._refuse_all(self.refusal)
            return
        self._unset_keepalive_if_required()
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            self._refuse_all(_unreadable(error))

    def _read(self, data: bytes) -> None:
        """Have the parser read what there is room for; bound and time what is not complete."""
        for part in self._in_turn(data):
            self._new = False
            self.feed(part)
            if self._part != _BETWEEN:
                self._count(len(part))
            if self._deaf:
                return
        if self._part != _BETWEEN and not self.flow.held:
            self._await_rest()

    # Called by the parser.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part, self._octets, self._new, self._until = _HEAD, 0, True, None

    def on_headers_complete(self) -> None:
        if _size(self.url, self.headers) > self._limits.head:
            raise _too_large(self.url, self._limits.head)
        version = self.parser.get_http_version()
        if (problem := misframed(version, self.headers)) is not None:
            raise problem
        # RFC 9110, 10.1.1
        self.expect_100_continue = self.expect_100_continue and version != "1.0"
        super().on_headers_complete()
        if self._offered is not None:
            return
        self._part, self._octets, self._until = _BODY, 0, None
        # Trailer fields are no headers (RFC 9110, 6.5.1); uvicorn would add them, without a bound.
        self.headers = _Nothing()
        self.cycle.transport = self._answers
        if self.cycle.waiting_for_100_continue and self.cycle.keep_alive:
            # Until somebody wants the body, nobody knows whether it will come.
            self.cycle.keep_alive = False
            self.cycle.transport = self._answers._replace(write=partial(self._expected, self.cycle))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._offered is not None:
            return
        self._part = _BETWEEN
        if not self.pipeline:
            # A large body pauses the reading; nobody would see that the client leaves.
            self.flow.resume_reading()

    def _expected(self, cycle: RequestResponseCycle, octets: bytes) -> None:
        if cycle.waiting_for_100_continue:  # still: these octets ask for the body
            cycle.keep_alive = True
        self.transport.write(octets)

    # Limits.

    def _count(self, size: int) -> None:
        """Bound what is not complete after the octets at hand."""
        if self._part == _HEAD:
            # A header that is not complete stays in the parser: only the octets tell its size.
            self._octets += _size(self.url, self.headers) if self._new else size
            if self._octets > self._limits.head:
                self._refuse_all(_too_large(self.url, self._limits.head))
            return
        self._octets += size
        if self._octets > self._limits.body:
            text = f"the body is larger than {self._limits.body} octets"
            self._refuse_all(closing(Kind.TOO_LARGE, 413, text))

    def _await_rest(self) -> None:
        now, limits, in_head = self.loop.time(), self._limits, self._part == _HEAD
        if self._until is None:
            self._until = now + (limits.head_s if in_head else limits.body_s)
        pause = limits.head_s if in_head else limits.pause_s
        self._set_timer(self.loop.call_at(min(self._until, now + pause), self._expired))

    def _expired(self) -> None:
        if self._part == _HEAD:
            text = f"the headers are not complete after {self._limits.head_s} s"
            self._refuse_all(closing(Kind.HTTP, 408, text))
        elif self.flow.read_paused or self.cycle.waiting_for_100_continue:
            # The client waits for us: for the application to read, or to want the body at all.
            self._until = None
            self._await_rest()
        elif self.cycle.response_complete:
            self._hang_up(at_once=True)
        else:
            # The application reads what there is, sees the problem, and answers.
            text = "the body came too slowly, or its rest did not come"
            self.scope["state"][UNREAD] = closing(Kind.HTTP, 408, text)
            _end_body(self.cycle)

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    # Refusals.

    def _refuse_all(self, problem: Problem) -> None:
        """Refuse what is no request, or too large a one, when the answers before it are given."""
        if self._part == _BODY:
            self.scope["state"][UNREAD] = problem
            in_turn = not (self.cycle.response_started or self.pipeline)
        else:
            told = f"{_peer(self.client)}: {problem.status} {problem.message}"
            # Fuzzers do it all the time, so it is no warning.
            self._warn(f"HTTP request refused from {told}", logging.INFO)
            in_turn = self.cycle is None or self.cycle.response_complete
        if in_turn:
            answer = refuse(problem, self._errors)
            self.transport.write(b"".join(written(self.server_state.default_headers, answer)))
        if in_turn or (self._part == _BODY and not self.pipeline):
            self._hang_up(at_once=False)
            return
        # The answers to the requests before it still come, each in its turn, and its own at last.
        self._deaf = True
        _end_body(self.cycle)

    # Ends.

    def _break_off(self, broken: Broken) -> None:
        """End the connection within an answer, or before it."""
        _end(cast("RequestResponseCycle", self._running))
        if self.transport.is_closing():
            return
        if broken.part is None:
            reset_when_closed(self.transport)
            self.transport.abort()
            return
        head, body = written(self.server_state.default_headers, broken.response)
        self.transport.write(broken.part(head, body))
        self._hang_up(at_once=True)

    def _finish(self) -> None:
        """Close after the last answer, in the way that lets a client read it."""
        if self._part == _BODY:
            self._hang_up(at_once=False)
        else:
            self._close()

    def _hang_up(self, *, at_once: bool) -> None:
        """Close, and read on for a moment: unread octets would reset what was just sent.

        TLS cannot do both, so `at_once` closes it only where the client has sent everything.
        """
        self._deaf = True
        if self.cycle is not None:
            _end(self.cycle)
        self.pipeline.clear()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        elif at_once:
            self.transport.close()
        self._set_timer(self.loop.call_later(self._limits.linger_s, self.transport.abort))


def _end(cycle: RequestResponseCycle) -> None:
    """Let uvicorn write nothing more for a request, and tell its application that it is over."""
    cycle.disconnected = cycle.response_complete = True
    cycle.message_event.set()


def _end_body(cycle: RequestResponseCycle) -> None:
    """Let a request have no more of its body, and be the last of its connection."""
    cycle.keep_alive = cycle.more_body = cycle.waiting_for_100_continue = False
    cycle.message_event.set()


def _unreadable(error: httptools.HttpParserError) -> Problem:
    """Return the refusal of what the parser cannot read, or a callback of it refuses."""
    cause = error.__context__
    if isinstance(cause, Problem):
        return cause
    # What a callback raises may quote the target; the parser's own texts are constants.
    reason = "its target cannot be read" if cause else str(error)
    return closing(Kind.HTTP, 400, f"the request is not HTTP/1.1: {reason}")


def _size(url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the octets of a header block, as far as the parser has read it."""
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _peer(client: tuple[str, int] | None) -> str:
    return client[0] if client else "nobody"


def _too_large(url: bytes, limit: int) -> Problem:
    if len(url) > limit:
        return closing(Kind.TOO_LARGE, 414, f"the URL is longer than {limit} octets")
    return closing(Kind.TOO_LARGE, 431, f"the headers are larger than {limit} octets")


def _too_many() -> Problem:
    text = "too many connections are open: close some, or wait"
    headers = {"Connection": "close", "Retry-After": "1"}
    return Problem(Kind.HTTP, text, headers, status=503)

"""HTTP on sockets: bounds on what a client takes, and connections that break off when asked.

ASGI can neither bound a header block nor reset a connection; a subclass of uvicorn's protocol can.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache, partial
from typing import Final

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from mockserver.problems import Code, Problem
from mockserver.wire import BREAK_OFF, LATE, MAX_DISCARDED, refuse

BACKLOG: Final = 2_048
MALFORMED: Final = b"this is not HTTP\r\n\r\n"
FILES_PER_CONNECTION: Final = 4  # it, both ends of a delivery, and room

_BETWEEN, _HEAD, _BODY = range(3)
_LINGER_OF_NOTHING: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Limits:
    """What HTTP clients may take: octets, seconds (`_s`), connections of all listeners together.

    `head` is the request line with the headers, timed from its first octet; `pause_s` the time
    between two parts of a body, `body_s` that of a whole one. `body` is more than the application
    takes: what is read, trailers included, to bring a refused body to its end. A connection that
    asks nothing is closed after `idle_s`; one that was refused is read for `linger_s`.
    """

    head: int = 64 * 1024
    head_s: float = 10
    body: int = 4 * MAX_DISCARDED
    pause_s: float = 30
    body_s: float = 60
    idle_s: int = 75
    linger_s: float = 0.5
    connections: int = 4_000


LIMITS: Final = Limits()


class HttpListener:
    """Serve an application on bound sockets with uvicorn's protocol, on the running loop.

    uvicorn's own server ticks ten times a second and takes as long to stop; this one does neither.
    """

    def __init__(self, app: ASGIApp, limits: Limits = LIMITS) -> None:
        self._config = uvicorn.Config(
            app,
            http=_Connection,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=limits.idle_s,
        )
        self._config.load()
        self._limits = limits
        self._state = _DatedState()
        self._servers: list[asyncio.Server] = []

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept connections on a bound socket."""
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self._config, self._state, self._limits),
            sock=sock,
            ssl=tls,
            ssl_handshake_timeout=self._limits.head_s if tls else None,
            backlog=BACKLOG,
        )
        self._servers.append(server)

    def close(self) -> None:
        """Accept nothing more; connections end when they have answered."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def drain(self, seconds: float) -> None:
        """Wait until every answer is given, at most some seconds; then cut what is left."""
        await self._idle(self._state.tasks, self._limits.linger_s)
        for connection in list(self._state.connections):
            # Nobody knows whether the rest of such a body will ever come.
            if getattr(getattr(connection, "cycle", None), "more_body", False):
                connection.transport.abort()
        await self._idle(self._state.tasks, seconds)
        # What is left has its answers. A TLS client that does not close its side takes 30 s.
        await self._idle(self._state.connections, self._limits.linger_s)
        for connection in self._state.connections:
            connection.transport.abort()
        await self._idle(self._state.tasks, seconds)

    async def _idle(self, left: Collection[object], seconds: float) -> None:
        # uvicorn has sets of what it is busy with, and no event for them.
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.001)


@lru_cache(maxsize=1)
def _date(second: int) -> list[tuple[bytes, bytes]]:
    return [(b"date", formatdate(second, usegmt=True).encode())]


class _DatedState(ServerState):
    """Give each answer its `Date` (RFC 9110, 6.6.1), which uvicorn's own server does by a tick."""

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        return _date(int(time.time()))

    @default_headers.setter
    def default_headers(self, _: object) -> None: ...


class _Nothing(list[tuple[bytes, bytes]]):
    """Keep nothing of what is added."""

    def append(self, _: tuple[bytes, bytes]) -> None: ...


class _Connection(HttpToolsProtocol):
    """Speak HTTP/1.1 with one client, within limits, and break off when the application asks.

    It builds on uvicorn's protocol for httptools; the one for h11 is not supported. A request that
    comes in one piece sets no timer.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState, limits: Limits) -> None:
        super().__init__(config, state, {})
        self._limits = limits
        self._part = _BETWEEN
        self._octets = 0  # of the header block or the body, so far
        self._new = False  # whether the header block began in the octets at hand
        self._until: float | None = None  # when the part of the request must be complete
        self._timer: asyncio.TimerHandle | None = None
        self._full = False
        self._deaf = False

    # Called by the loop.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._full = len(self.connections) > self._limits.connections
        if self._full:
            # Some clients take an answer that comes before their request for a fault of the server.
            self._timer = self.loop.call_later(self._limits.linger_s, self._refuse, _too_many())
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._timer is not None:
            self._set_timer(None)
        if self._full:
            self._refuse(_too_many())
            return
        self._new = False
        super().data_received(data)
        if self._part != _BETWEEN and not self._deaf:
            self._unfinished(len(data))

    # Called by the parser.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part, self._octets, self._new, self._until = _HEAD, 0, True, None

    def on_headers_complete(self) -> None:
        if self._head() > self._limits.head:
            raise self._too_large()
        super().on_headers_complete()
        self._part, self._octets, self._until = _BODY, 0, None
        # What follows a body is no header (RFC 9110, 6.5.1); uvicorn would add it, without a bound.
        self.headers = _Nothing()
        self.scope["state"][BREAK_OFF] = partial(self._break_off, self.cycle)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._part = _BETWEEN

    # Limits.

    def _head(self) -> int:
        """Return the octets of the header block, as far as the parser has read it."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _unfinished(self, size: int) -> None:
        """Bound what is not complete after the octets at hand."""
        if self._part == _HEAD:
            # A header that is not complete stays in the parser: only the octets tell its size.
            self._octets += self._head() if self._new else size
            if self._octets > self._limits.head:
                self._refuse(self._too_large())
                return
        else:
            self._octets += size
            if self._octets > self._limits.body:
                text = f"the body is larger than {self._limits.body} octets"
                self._refuse(_closing(413, Code.TOO_LARGE, text))
                return
        self._await_rest()

    def _await_rest(self) -> None:
        now = self.loop.time()
        if self._until is None:
            limits = self._limits
            self._until = now + (limits.head_s if self._part == _HEAD else limits.body_s)
        pause = self._limits.pause_s if self._part == _BODY else self._limits.head_s
        self._set_timer(self.loop.call_at(min(self._until, now + pause), self._expired))

    def _expired(self) -> None:
        if self._part == _HEAD:
            text = f"the headers are not complete after {self._limits.head_s} s"
            self._refuse(_closing(408, Code.TIMEOUT, text))
        elif self.flow.read_paused or self.cycle.waiting_for_100_continue:
            # The client waits for us: for the application to read, or to want the body at all.
            self._until = None
            self._await_rest()
        elif self.cycle.response_complete:
            self._hang_up(at_once=True)
        else:
            # The application reads what there is, sees the mark, and answers.
            self.scope["state"][LATE] = True
            self.cycle.keep_alive = self.cycle.more_body = False
            self.cycle.message_event.set()

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    # Refusals.

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser cannot read, or what one of the methods above refused."""
        del msg  # it says nothing, and the exception that uvicorn has caught does
        error = sys.exception()
        cause = error and error.__context__
        if isinstance(cause, Problem):
            self._refuse(cause)
        else:
            # What a callback raises may quote the target; the parser's own texts are constants.
            reason = "its target cannot be read" if cause else str(error)
            self._refuse(_closing(400, Code.NOT_HTTP, f"the request is not HTTP/1.1: {reason}"))

    def _too_large(self) -> Problem:
        limit = self._limits.head
        if len(self.url) > limit:
            return _closing(414, Code.HEAD_TOO_LARGE, f"the URL is longer than {limit} octets")
        return _closing(431, Code.HEAD_TOO_LARGE, f"the headers are larger than {limit} octets")

    def _refuse(self, problem: Problem) -> None:
        """Answer what is no request that the application can have, where that is its turn."""
        if self._part == _BODY:
            in_turn = not (self.cycle.response_started or self.pipeline)
        else:
            in_turn = self.cycle is None or self.cycle.response_complete
        if in_turn:
            head, body = self._written(refuse(problem))
            self.transport.write(head + body)
        if in_turn or self._part == _BODY:
            self._hang_up(at_once=False)
        else:
            # The answers to the requests before it still come.
            self._deaf = True
            self.cycle.keep_alive = False

    def _written(self, response: Response) -> tuple[bytes, bytes]:
        """Return head and body of an answer as uvicorn writes them."""
        headers = (*self.server_state.default_headers, *response.raw_headers)
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        head = b"".join([STATUS_LINE[response.status_code], *lines, b"\r\n"])
        return head, bytes(response.body)

    # Ends.

    def _break_off(self, cycle: RequestResponseCycle, how: str, response: Response) -> None:
        """End the connection in the way of a fault, in the place of an answer."""
        _end(cycle)
        if self.transport.is_closing():
            return
        if how == "reset":
            # To close with a linger of nothing sends RST (Linux: socket(7); POSIX: SO_LINGER).
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OF_NOTHING)
            self.transport.abort()
            return
        head, body = self._written(response)
        if cycle.scope["method"] == "HEAD":
            body = b""
        half = head + body[: len(body) // 2] if body else head[: len(head) // 2]
        self.transport.write({"truncate": half, "malformed": MALFORMED, "empty": b""}[how])
        self._hang_up(at_once=True)

    def _hang_up(self, *, at_once: bool) -> None:
        """Close, and read on for a moment: octets unread would reset what was just sent.

        TLS cannot do both, so who may still be sending is not told `at_once`.
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


def _closing(status: int, code: Code, message: str) -> Problem:
    return Problem(status, code, message, {"Connection": "close"})


def _too_many() -> Problem:
    text = "too many connections are open: close some, or wait"
    headers = {"Connection": "close", "Retry-After": "1"}
    return Problem(503, Code.TOO_MANY_CONNECTIONS, text, headers)


def raise_file_limit(connections: int = LIMITS.connections) -> None:
    """Raise this process's limit of open files as far as so many connections need, where it may."""
    import resource  # noqa: PLC0415  # not on every platform

    wanted = connections * FILES_PER_CONNECTION
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Without a limit it is -1 on Linux, and a very large number elsewhere.
    wanted = wanted if hard < 0 else min(wanted, hard)
    if 0 <= soft < wanted:
        # macOS refuses more than the kernel's own bound, even where it says that there is none.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

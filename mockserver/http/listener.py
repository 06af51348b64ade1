"""HTTP on sockets: listening, in clear and by TLS, and a stop that answers what is under way."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Collection
from email.utils import formatdate
from functools import lru_cache
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from mockserver.base.problems import Errors, Kind
from mockserver.base.sockets import BACKLOG
from mockserver.http.connection import LIMITS, Connection, Limits
from mockserver.http.framing import closing
from mockserver.http.handshakes import NO_TLS, Warnings, cause

_FILES_PER_CONNECTION: Final = 4  # it, both ends of a delivery, and room

_ACCEPT_PAUSE_S: Final = 0.1
_LAST_S: Final = 1.0  # for what a client has still to send or to take when the mock stops


class HttpListener:
    """Serve an application on bound sockets with uvicorn's protocol, on the running loop.

    uvicorn's own server ticks ten times a second and takes as long to stop; this one does neither.
    """

    def __init__(self, app: ASGIApp, errors: Errors, limits: Limits = LIMITS) -> None:
        self._config = uvicorn.Config(
            app,
            http=Connection,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=limits.idle_s,
        )
        self._config.load()
        self._errors = errors
        self._limits = limits
        self._state = _DatedState()
        self._warn = Warnings()
        self._servers: list[asyncio.Server] = []
        self._secure: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept connections on a bound socket."""
        if tls is not None:
            sock.setblocking(False)
            with contextlib.suppress(NotImplementedError):  # Windows: no reason in the log there
                self._await_client(sock, tls)
                self._secure.append(sock)
                return
        server = await asyncio.get_running_loop().create_server(
            self._connection, sock=sock, backlog=BACKLOG, ssl=tls, start_serving=False
        )
        self._servers.append(server)  # before it serves: a start may be cancelled then
        await server.start_serving()

    def close(self) -> None:
        """Accept nothing more; connections end when they have answered."""
        for server in self._servers:
            server.close()
        for sock in self._secure:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def drain(self, seconds: float) -> None:
        """Wait until every answer is given, at most some seconds; then cut what is left."""
        await asyncio.sleep(0)  # a task cancelled before it begins would leave its socket open
        for task in self._handshakes:
            task.cancel()
        await self._idle(self._handshakes, seconds)
        await self._idle(self._state.tasks, _LAST_S)
        for connection in list(self._state.connections):
            if isinstance(connection, Connection) and connection.waits_for_client:
                connection.transport.abort()
        await self._idle(self._state.tasks, seconds)
        # What is left has its answers. A TLS client that does not close its side takes 30 s.
        await self._idle(self._state.connections, self._limits.linger_s)
        for connection in self._state.connections:
            connection.transport.abort()
        await self._idle(self._state.tasks, seconds)

    def _connection(self, warn: Callable[..., None] | None = None) -> "Connection":
        warn = warn or self._warn
        return Connection(self._config, self._state, self._limits, self._errors, warn)

    def _await_client(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        with contextlib.suppress(ValueError):  # it is closed by now
            asyncio.get_running_loop().add_reader(sock, self._accept, sock, tls)

    def _accept(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        """Accept one connection; asyncio's own server would not say why a handshake fails."""
        loop = asyncio.get_running_loop()
        try:
            accepted, peer = sock.accept()
        except OSError:  # most likely no file is left
            loop.remove_reader(sock)
            loop.call_later(_ACCEPT_PAUSE_S, self._await_client, sock, tls)
            return
        accepted.setblocking(False)
        task = loop.create_task(self._shake_hands(accepted, peer[0], tls))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, sock: socket.socket, peer: str, tls: ssl.SSLContext) -> None:
        try:
            spare = sock.dup()  # a handshake that fails closes the other one
        except OSError:  # no file is left
            sock.close()
            return
        with spare:
            try:
                await asyncio.get_running_loop().connect_accepted_socket(
                    self._connection, sock, ssl=tls, ssl_handshake_timeout=self._limits.head_s
                )
            except OSError as error:
                reason = cause(error)
                self._warn(f"HTTPS handshake failed from {peer} {reason}")
                if reason.endswith(NO_TLS):
                    await self._refuse_clear(socket.socket(fileno=spare.detach()))

    async def _refuse_clear(self, sock: socket.socket) -> None:
        """Answer HTTP in clear on a port for HTTPS; what was asked went to the handshake."""

        def refusing() -> Connection:
            connection = self._connection(lambda *_: None)  # it is in the log already
            connection.refusal = closing(Kind.HTTP, 400, f"this port is for HTTPS: {NO_TLS}")
            return connection

        loop = asyncio.get_running_loop()
        _, connection = await loop.connect_accepted_socket(refusing, sock)
        connection.data_received(b"")  # what was asked is gone, and the rest may have come by now

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


def raise_file_limit() -> None:
    """Raise this process's limit of open files as far as all connections need, where it may."""
    try:
        import resource  # noqa: PLC0415  # not on every platform
    except ImportError:
        return
    wanted = LIMITS.connections * _FILES_PER_CONNECTION
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Without a limit it is -1 on Linux, and a very large number elsewhere.
    wanted = wanted if hard < 0 else min(wanted, hard)
    if 0 <= soft < wanted:
        # macOS refuses more than the kernel's own bound, even where it says that there is none.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

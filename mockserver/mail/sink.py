"""The server side of mail: the sink, in which sessions that play the relays begin and end."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

from mockserver.base.certificates import Authority
from mockserver.base.sockets import BACKLOG
from mockserver.journal.outside import SessionTrace
from mockserver.journal.state import State
from mockserver.journal.trace import Dialogue, Endpoint
from mockserver.mail.authentication import Tokens
from mockserver.mail.connections import Connections
from mockserver.mail.part import Part
from mockserver.mail.pipe import Pipe
from mockserver.world.model import Relay

if TYPE_CHECKING:
    from mockserver.mail.connection import Connection


class Sink:
    """Play every relay of the worlds; all sessions end with `close`."""

    def __init__(self, authority: Authority, tokens: Tokens) -> None:
        self.connections = Connections()
        self._authority = authority
        self._tokens = tokens
        self._servers: list[asyncio.Server] = []
        self._from_outside: WeakSet[Connection] = WeakSet()

    def open(self) -> None:
        """Take connections again after `close`."""
        self.connections.closed = False

    async def pipe(self, part: Part) -> Pipe:
        """Open a session that plays a part, over a connection that is never to be encrypted.

        Returns the client's end, for the caller to close; nothing is dialled. If the part's fault
        is that the relay cannot be reached, raises what a network would: socket.gaierror,
        ConnectionRefusedError.
        """
        _reach(part)
        ours, theirs = Pipe.pair()
        ours.attach(self._connection(part))
        return theirs

    async def connect(self, part: Part) -> socket.socket:
        """Do as `pipe` does, but over a socket pair, which event loops can encrypt."""
        _reach(part)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        opening = loop.connect_accepted_socket(lambda: self._connection(part), sock=ours)
        try:
            # If this is cancelled, loops differ in whether they end the session that begins.
            # Closing the client's end does, on each of them.
            await asyncio.shield(opening)
        except BaseException:
            theirs.close()
            raise
        return theirs

    async def listen(
        self,
        sock: socket.socket,
        state: Callable[[], State],
        key: str = "*",
        *,
        implicit: bool = False,
    ) -> None:
        """Accept mail from outside on a bound socket, and play the relay with that key.

        `state` is called for each connection, which so gets the world and journal of that moment.
        """
        endpoint = Endpoint(*sock.getsockname()[:2])

        def accept() -> "Connection":
            now = state()
            relay = now.world.relays.get(key, Relay())
            session = SessionTrace(endpoint, Dialogue())
            part = Part(now, now.world, key, relay, session, implicit, now.journal.add_message)
            connection = self._connection(part)
            now.journal.begin_session(session)
            self._from_outside.add(connection)
            return connection

        server = await asyncio.get_running_loop().create_server(
            accept, sock=sock, backlog=BACKLOG, start_serving=False
        )
        self._servers.append(server)  # before it serves: a start may be cancelled then
        await server.start_serving()

    def dismiss(self) -> None:
        """Stop listening, and take leave of clients from outside; deliveries go on."""
        for server in self._servers:
            server.close()
        for connection in list(self._from_outside):
            connection.dismiss()

    async def close(self) -> None:
        """End all sessions; one that comes now ends as it begins."""
        self.dismiss()
        await self.connections.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def _connection(self, part: Part) -> "Connection":
        # Imported when first needed: aiosmtpd takes as long as a fifth of the rest.
        from mockserver.mail.connection import Connection  # noqa: PLC0415  # see above
        from mockserver.mail.session import Session  # noqa: PLC0415

        def converse(connection: Connection) -> Awaitable[None]:
            return Session(connection, part, self._authority, self._tokens).converse()

        idle_timeout = part.relay.idle_timeout + part.relay.delay
        return Connection(self.connections, part.session, idle_timeout, converse)


def _reach(part: Part) -> None:
    if part.fault and part.fault.error:
        raise part.fault.error()

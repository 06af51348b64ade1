"""The server side of mail: where sessions that play the relays begin and end."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from mockserver.base.certificates import Authority
from mockserver.journal.state import State
from mockserver.journal.trace import Attempt, Endpoint, Trace
from mockserver.mail.session import CheckToken, Part, Session
from mockserver.world.model import Relay, World


def _no_tokens(_token: str, _audience: str | None) -> Mapping[str, Any]:
    raise ValueError("there is no identity provider")


class Sink:
    """Play every relay of the worlds; all sessions end with `close`.

    `check_token` returns the claims of a good token, for an audience where one is given, and raises
    ValueError for others; `discovery_url` says where clients learn of its identity provider.
    """

    def __init__(
        self,
        authority: Authority,
        check_token: CheckToken = _no_tokens,
        discovery_url: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.authority = authority
        self.check_token = check_token
        self.discovery_url = discovery_url
        self.sessions: set[Session] = set()
        self.closed = False
        self._servers: list[asyncio.Server] = []

    async def connect(self, state: State, world: World, trace: Trace) -> socket.socket:
        """Open a session with the relay that the trace's delivery names; return the client's end.

        Nothing is dialled: the end is one of a socket pair, for the caller to close. Raises what a
        network would: socket.gaierror, ConnectionRefusedError.
        """
        delivery = cast("Attempt", trace.delivery)
        found = world.relay(delivery.relay.host, delivery.relay.port)
        if found is None or found[1].fault == "unresolvable":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if found[1].fault == "refused":
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        implicit = delivery.tls_mode == "implicit"
        implicit = implicit or delivery.relay.port in found[1].implicit_ports
        part = Part(state, world, *found, delivery.relay, implicit, delivery.dialogue, trace)
        return await self._open(part)

    async def listen(
        self,
        sock: socket.socket,
        state: Callable[[], State],
        key: str = "*",
        *,
        implicit: bool = False,
    ) -> None:
        """Accept mail from outside on a bound socket, and play the relay with that key.

        `state` is asked for each connection, so that it finds the world and journal of the moment.
        """
        endpoint = Endpoint(*sock.getsockname()[:2])

        def new_session() -> Session:
            now = state()
            relay = now.world.relays.get(key, Relay())
            return Session(self, Part(now, now.world, key, relay, endpoint, implicit))

        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(new_session, sock=sock))

    async def close(self) -> None:
        """Stop listening and end all sessions; one that comes now ends as it begins."""
        self.closed = True
        for server in self._servers:
            server.close()
        while self.sessions:
            await asyncio.wait([session.end() for session in self.sessions])
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _open(self, part: Part) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        opening = loop.connect_accepted_socket(lambda: Session(self, part), sock=ours)
        try:
            # Loops do not agree on who ends a session that is cancelled as it begins; an end that
            # is closed ends it for sure.
            await asyncio.shield(opening)
        except BaseException:
            theirs.close()
            raise
        return theirs

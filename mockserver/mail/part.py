"""What a session plays: a relay's entry, with its delay, its replies and its fault."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import Final, NamedTuple

from mockserver.base.sockets import reset_when_closed
from mockserver.journal.message import Message
from mockserver.journal.outside import SessionTrace
from mockserver.journal.state import State
from mockserver.journal.trace import Endpoint
from mockserver.world.model import Relay, World


class RefusedError(Exception):
    """Refuse a command; the text is the reply."""


class _Fault(NamedTuple):
    """Where and how a session ends; `connect` is before the first stage, and before TLS.

    A test mail does not get that far if there is an `error`: that is what its dialling raises.
    """

    stage: str
    end: Callable[[asyncio.Transport], None]
    error: Callable[[], OSError] | None = None


def _reset(transport: asyncio.Transport) -> None:
    reset_when_closed(transport)
    transport.abort()


def _no_such_host() -> OSError:
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _no_listener() -> OSError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


# One more fault is an entry here, and its name in the schema of a world.
_FAULTS: Final[Mapping[str, _Fault]] = {
    "unresolvable": _Fault("connect", _reset, _no_such_host),
    "refused": _Fault("connect", _reset, _no_listener),
    "timeout": _Fault("connect", lambda _: None),
    "dropped": _Fault("data", methodcaller("close")),
}


class Part(NamedTuple):
    """What one session plays, for whom, and where its messages go.

    `relay` is the world's entry under `key`, and `implicit` whether TLS begins with the first
    octet. `session` records it, with the address that the client called. Mail from outside has no
    `request_id`.
    """

    state: State
    world: World
    key: str
    relay: Relay
    session: SessionTrace
    implicit: bool
    keep: Callable[[Message], None]
    request_id: str | None = None
    identity: str | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Give the address that the client called."""
        return self.session.relay

    @property
    def fault(self) -> _Fault | None:
        """Give the relay's fault, if it has one."""
        return _FAULTS.get(self.relay.fault or "")

    async def play(
        self, stage: str, transport: asyncio.Transport, address: str | None = None
    ) -> None:
        """Do at this stage what the relay's entry says, for this sender or recipient if it has one.

        RefusedError has the reply of the entry. If the fault ends the session here, the task waits
        to be cancelled, which happens when the connection is lost.
        """
        if (fault := self.fault) and fault.stage == stage:
            fault.end(transport)
            await asyncio.Event().wait()
        if self.relay.delay and stage != "connect":
            await asyncio.sleep(self.relay.delay)
        for number, reply in enumerate(self.relay.replies.get(stage, ())):
            if not reply.covers(address):
                continue
            use = f"relay {self.key} {stage} {number}"
            if reply.first is None or self.state.count_use(use) <= reply.first:
                raise RefusedError(reply.reply)

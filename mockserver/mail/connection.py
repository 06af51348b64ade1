"""The connection of a session: its lines and replies, its TLS, its idle time, and its end."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, cast

from aiosmtpd.smtp import SMTP

from mockserver.base.text import once
from mockserver.journal.outside import SessionTrace
from mockserver.mail.connections import Connections

MAX_LINE: Final = 1_000  # octets with the line end; RFC 5321, 4.5.3.1.6
_MAX_AUTH_LINE: Final = 12_288  # octets with the line end; RFC 4954, 4
_LEADING_BACK: Final = ("event_handler", "_client_connected_cb", "_timeout_handle", "_writer")


class Connection(SMTP):
    """Read the lines of one client and send it replies, which its `trace` records.

    `converse` is called with the connection, which ends when that does. `idle_timeout` is how many
    seconds it may wait for a line.
    """

    line_length_limit = _MAX_AUTH_LINE
    # None only before there is a connection, but aiosmtpd declares it so for good.
    transport: Any

    def __init__(
        self,
        others: Connections,
        trace: SessionTrace,
        idle_timeout: float,
        converse: "Callable[[Connection], Awaitable[None]]",
    ) -> None:
        # aiosmtpd scans itself and its handler for verbs and hooks: an empty dir() is quickest.
        # Without a host name it would ask the DNS.
        loop = asyncio.get_running_loop()
        super().__init__(self, hostname="-", timeout=idle_timeout, loop=loop)
        self.trace = trace
        self.dialogue = trace.dialogue
        self.tls_version: str | None = None
        self._others = others
        self._converse = converse
        self._heard = loop.time()
        self._may_speak = self._is_over = False

    def __dir__(self) -> Iterable[str]:
        return ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the conversation."""
        self._others.add(self)
        super().connection_made(transport)
        if self._others.closed:
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        """End once, and record an unusual reason: TLS that failed, or a reset."""
        if self not in self._others:
            return
        self._others.discard(self)
        if error is not None:
            reason = getattr(error, "reason", None) or type(error).__name__
            text = f"<connection lost: {reason}>"
            self.dialogue.add("C", text)
            if self.trace.stage == "tls":
                self.trace.refuse(text)
        self.trace.close()
        super().connection_lost(error)
        self._let_go()

    def eof_received(self) -> bool:
        """End: a client that has hung up gets no more replies."""
        super().eof_received()
        return False

    def end(self) -> asyncio.Task[None]:
        """Cut the connection; return the task that ends with it."""
        self.transport.abort()
        # uvloop would let a TLS handshake wait for its client all the same.
        task = cast("asyncio.Task[None]", self._handler_coroutine)
        task.cancel()
        return task

    def dismiss(self) -> None:
        """Take leave of the client (RFC 5321, 3.8), because the mock stops."""
        if self._may_speak and not self._writer.is_closing():
            self._write("421 4.3.2 The mock is stopping")
            self._writer.close()

    async def say(self, reply: str) -> None:
        """Send a reply; after 221 and 421 the connection is closed (RFC 5321, 3.8)."""
        self._write(reply)
        await self._writer.drain()
        if reply.startswith(("221", "421")):
            self._writer.close()

    async def read_pieces(self) -> list[bytes]:
        """Read the whole lines that have come, or wait for one; of a line too long, a piece.

        A line that is a dot alone ends a mail: it is returned by itself, and nothing after it. Few
        lines, of which only the first may begin with a dot, are one piece.
        """
        buffer = self._buffer
        end = buffer.find(b"\r\n.\r\n") if b"\r\n.\r\n" in buffer else buffer.rfind(b"\r\n")
        if end < 1 or buffer.startswith(b".\r\n"):
            try:
                pieces = [await self._reader.readuntil(b"\r\n")]
            except asyncio.LimitOverrunError as error:
                pieces = [await self._reader.read(error.consumed)]
        else:
            lines = await self._reader.readexactly(end + len(b"\r\n"))
            pieces = [lines]
            if len(lines) > MAX_LINE or b"\r\n." in lines:
                pieces = [line + b"\r\n" for line in lines[:-2].split(b"\r\n")]
        self._heard = self.loop.time()
        return pieces

    async def read_line(self) -> bytes | None:
        """Read a line with its end, or skip one of more than 12,288 octets and return None."""
        fits = True
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                await self._reader.read(error.consumed)
                fits = False
            else:
                self._heard = self.loop.time()
                return line if fits and len(line) <= _MAX_AUTH_LINE else None

    @property
    def _buffer(self) -> bytearray:
        buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001  # no other way
        return buffer

    async def start_tls(self, context: ssl.SSLContext, *, implicit: bool = False) -> None:
        """Encrypt the connection, from its first octet if TLS is `implicit`."""
        # What came in the clear must not be read as if it had been encrypted (RFC 3207, 4.2). With
        # implicit TLS it is the handshake, which a busy uvloop reads before this runs.
        self._may_speak = False
        self.trace.stage = "tls"
        if implicit and self._buffer:
            self.loop.call_soon(self._hand_over, bytes(self._buffer))
        self._buffer.clear()
        transport = await self.loop.start_tls(self.transport, self, context, server_side=True)
        # As aiosmtpd does it: a new writer would not do, as the old one closes the connection when
        # it is collected.
        self.transport = self._reader._transport = self._writer._transport = transport  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        self.tls_version = once(self.transport.get_extra_info("ssl_object").version())
        self._heard = self.loop.time()
        self._may_speak = True

    def _hand_over(self, handshake: bytes) -> None:
        """Give the handshake to TLS, between its taking over and its start."""
        protocol = self.transport.get_protocol()
        protocol.get_buffer(len(handshake))[: len(handshake)] = handshake
        protocol.buffer_updated(len(handshake))

    def _write(self, reply: str) -> None:
        """Write and record a reply, each line of it with its code (RFC 5321, 4.2.1)."""
        lines = [f"{line[:3]}-{line[4:]}" for line in reply.splitlines()]
        lines[-1] = f"{lines[-1][:3]} {lines[-1][4:]}"
        for line in lines:
            self.dialogue.add("S", line)
        if reply[0] in "45":
            self.trace.refuse(reply)
        self._writer.write("\r\n".join([*lines, ""]).encode())
        self._may_speak = True

    def _timeout_cb(self) -> None:
        """Close if no line came in time, with a reply unless that would break into a handshake."""
        left = self._heard + self._timeout_duration - self.loop.time()
        if left > 0:
            self._reset_timeout(left)
        elif self._may_speak and not self._writer.is_closing():
            self._write("421 4.4.2 No line came in time")
            self._writer.close()
            self._reset_timeout()  # in case the client does not read this either
        else:
            self.end()

    async def _handle_client(self) -> None:
        try:
            await self._converse(self)
        except OSError as error:
            # Neither loop calls this if the connection is lost during a TLS handshake.
            self.connection_lost(error)
        except asyncio.CancelledError:
            self.connection_lost(None)  # see above
            raise
        finally:
            self._writer.close()
            self._is_over = True
            self._let_go()

    def _let_go(self) -> None:
        """Forget what leads back here: only the collector would find all of this."""
        if self._is_over and self not in self._others:
            self._may_speak = False
            vars(self).update(dict.fromkeys(_LEADING_BACK))

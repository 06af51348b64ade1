"""The server side of mail: aiosmtpd sessions that play the relays of a world."""

import asyncio
import binascii
import errno
import hmac
import json
import os
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from aiosmtpd.smtp import MISSING, SMTP

from mockserver.certificates import Authority, Kind
from mockserver.masking import MASK
from mockserver.state import State
from mockserver.trace import Attempt, Dialogue, Endpoint, Envelope, Message, Trace, new_id
from mockserver.world import Account, Relay, World, host_name

MECHANISMS: Final = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")
MAIL_SCOPE: Final = "smtp.send"  # what a challenge names, as in the default world

MAX_AUTH_LINE: Final = 12_288  # octets with the line end; RFC 4954, 4
MAX_LINE: Final = 1_000  # octets with the line end; RFC 5321, 4.5.3.1.6
MAX_RECIPIENTS: Final = 100  # RFC 5321, 4.5.3.1.8
MAX_COMMANDS: Final = 1_000
IDLE_SECONDS: Final = 60

_BAD_CREDENTIALS: Final = "535 5.7.8 Authentication credentials invalid"

NULL_PATH: Final = "<>"  # aiosmtpd takes an empty sender for none at all

# RFC 5321, 4.1.2: a path is kept as it is, quoted local parts too.
_PATH = re.compile(
    r'(<(?:"(?:[^"\\\x00-\x1f\x7f]|\\.)*"|[^<>"\x00-\x20\x7f])*>)(?: +(.*))?', re.ASCII
)
_AUTH = re.compile(rb"AUTH +([A-Z0-9_-]{1,20})(?: +(.*))?", re.IGNORECASE | re.DOTALL)


# Google's XOAUTH2 protocol, "Initial Client Response"; RFC 7628, 3.1 (a gs2-header, then pairs).
_XOAUTH2 = re.compile(rb"user=([^\x01]+)\x01auth=Bearer +([!-~]+)\x01\x01", re.IGNORECASE)
_OAUTHBEARER = re.compile(
    # Without a user, or without a token (RFC 7628, 4.3), it is a response that is refused.
    rb"[ny],(?:a=([^,\x01]+))?,\x01(?:(?!auth=)[a-z]+=[^\x01]*\x01)*"
    rb"auth=(?:Bearer +([!-~]+))?\x01(?:[a-z]+=[^\x01]*\x01)*\x01",
    re.IGNORECASE,
)

CheckToken = Callable[[str, str | None], Mapping[str, Any]]


def _no_tokens(_token: str, _audience: str | None) -> Mapping[str, Any]:
    raise ValueError("there is no identity provider")


class _RefusedError(Exception):
    """Break off what the client began; the text is the reply."""


@dataclass(frozen=True)
class _Part:
    """What a session plays, and where it writes; `trace` is None for mail from outside."""

    state: State
    world: World
    key: str
    relay: Relay
    endpoint: Endpoint
    implicit: bool
    dialogue: Dialogue = field(default_factory=Dialogue)
    trace: Trace | None = None

    def reply(self, stage: str) -> str | None:
        """Return the relay's own reply to this stage, where it has one that is not used up."""
        reply = self.relay.replies.get(stage)
        if reply is None:
            return None
        if reply.first is not None and self.state.uses(f"relay {self.key} {stage}") > reply.first:
            return None
        return reply.reply


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
        self.sessions: set[_Session] = set()
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
        part = _Part(state, world, *found, delivery.relay, implicit, delivery.dialogue, trace)
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

        def new_session() -> _Session:
            now = state()
            relay = now.world.relays.get(key, Relay())
            return _Session(self, _Part(now, now.world, key, relay, endpoint, implicit))

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

    async def _open(self, part: _Part) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        opening = loop.connect_accepted_socket(lambda: _Session(self, part), sock=ours)
        try:
            # Loops do not agree on who ends a session that is cancelled as it begins; an end that
            # is closed ends it for sure.
            await asyncio.shield(opening)
        except BaseException:
            theirs.close()
            raise
        return theirs


class _Session(SMTP):
    """One SMTP session: strict, bounded, and as bad as the relay's entry says."""

    line_length_limit = MAX_AUTH_LINE
    # None only before there is a connection, but aiosmtpd declares them so for good.
    session: Any
    envelope: Any
    transport: Any

    def __init__(self, sink: Sink, part: _Part) -> None:
        self._name = host_name(part.endpoint.host)
        super().__init__(
            None,
            hostname=self._name,
            enable_SMTPUTF8=part.relay.smtputf8,
            data_size_limit=None,  # checked here, with the right reply
            timeout=IDLE_SECONDS + part.relay.delay,
            loop=asyncio.get_running_loop(),
        )
        self._sink = sink
        self._part = part
        self._tls_version: str | None = None
        self._mechanism: str | None = None
        self._username: str | None = None
        self._account: Account | None = None
        self._handle_hooks = {"MAIL": self._on_mail, "RCPT": self._on_rcpt}

    def __dir__(self) -> Iterable[str]:
        # For every session aiosmtpd looks through all names three times; this is all it can find.
        return _VERBS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._sink.sessions.add(self)
        super().connection_made(transport)
        if self._sink.closed:
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        """End, once; and say why where it is not the usual way: TLS that failed, a reset."""
        if self not in self._sink.sessions:
            return
        self._sink.sessions.discard(self)
        if error is not None:
            reason = getattr(error, "reason", None) or type(error).__name__
            self._part.dialogue.add("C", f"<connection lost: {reason}>")
        super().connection_lost(error)

    def eof_received(self) -> bool:
        """End too: a client that hangs up gets no more replies."""
        super().eof_received()
        return False

    def end(self) -> asyncio.Task[None]:
        """Cut the connection; return the task that ends with it."""
        self.transport.abort()
        # uvloop would let a TLS handshake wait for its client all the same.
        task = cast("asyncio.Task[None]", self._handler_coroutine)
        task.cancel()
        return task

    async def push(self, status: str | bytes) -> None:
        """Send and record a reply; one with 421 is the last (RFC 5321, 3.8)."""
        raw = status if isinstance(status, bytes) else status.encode("utf-8", "surrogateescape")
        text = raw.decode("utf-8", "replace")
        for line in text.split("\r\n"):
            self._part.dialogue.add("S", line)
        self._writer.write(raw + b"\r\n")
        await self._writer.drain()
        if text.startswith("421"):
            self._writer.close()

    async def _handle_client(self) -> None:
        try:
            await self._converse()
        except OSError as error:
            # Nobody else says so where the connection is lost in a TLS handshake.
            self.connection_lost(error)
        except asyncio.CancelledError:
            self.connection_lost(None)  # as above
            raise
        finally:
            self._writer.close()

    async def _converse(self) -> None:
        if self._part.relay.fault == "timeout":
            await asyncio.Event().wait()
        if self._part.implicit:
            await self._start_tls()
        if reply := await self._own_reply("greeting"):
            await self.push(reply)
            return
        await self.push(f"220 {self._name} ESMTP keyfactor-mock")
        for _ in range(MAX_COMMANDS):
            await self._obey(await self._read_line(b"\n"))
            if self._writer.is_closing():
                return
        await self.push("421 4.7.0 Too many commands")

    async def _own_reply(self, stage: str) -> str | None:
        if self._part.relay.delay:
            await asyncio.sleep(self._part.relay.delay)
        return self._part.reply(stage)

    async def _read_line(self, end: bytes = b"\r\n") -> bytes | None:
        """Read a line with its end; None for one of more than 12,288 octets, which is forgotten."""
        fits = True
        while True:
            try:
                line = await self._reader.readuntil(end)
            except asyncio.LimitOverrunError as error:
                await self._reader.read(error.consumed)
                fits = False
            else:
                return line if fits and len(line) <= MAX_AUTH_LINE else None

    async def _obey(self, line: bytes | None) -> None:
        self._reset_timeout()
        verb, _, argument = (line or b"").rstrip(b"\r\n").partition(b" ")
        name = verb.upper().decode("ascii", "replace")
        method = self._smtp_methods.get(name)
        self._part.dialogue.add("C", _shown(line, known=method is not None))
        if line is None or (len(line) > MAX_LINE and name != "AUTH"):
            await self.push("500 5.5.6 Line too long")
        elif method is None:
            await self.push("500 5.5.2 Command not recognized")
        else:
            await method(argument.strip().decode("utf-8", "surrogateescape") or None)

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802  # aiosmtpd's way to name verbs
        """Offer what the relay's entry says."""
        if not hostname:
            await self.push("501 5.5.4 Syntax: EHLO hostname")
            return
        if reply := await self._own_reply("ehlo"):
            await self.push(reply)
            return
        self._set_rset_state()  # type: ignore[no-untyped-call]  # aiosmtpd's
        self.session.extended_smtp = True
        self.session.host_name = hostname
        features = [self._name, f"SIZE {self._part.relay.max_size}", *self._features()]
        lines = [*(f"250-{feature}" for feature in features), "250 8BITMIME"]
        await self.push("\r\n".join(lines))

    def _features(self) -> Iterable[str]:
        if self._part.relay.smtputf8:
            yield "SMTPUTF8"
        if self._offers_starttls:
            yield "STARTTLS"
        if self._mechanisms and not self._needs_tls:
            yield f"AUTH {' '.join(self._mechanisms)}"

    @property
    def _offers_starttls(self) -> bool:
        return self._part.relay.starttls and self._tls_version is None

    @property
    def _needs_tls(self) -> bool:
        return self._part.relay.require_tls and self._tls_version is None

    @property
    def _mechanisms(self) -> list[str]:
        return [name for name in MECHANISMS if name in self._part.relay.mechanisms]

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802  # as above
        """Encrypt the connection, and forget all that was said before (RFC 3207, 4.2)."""
        if arg:
            await self.push("501 5.5.4 Syntax: STARTTLS")
        elif not self._offers_starttls:
            await self.push("502 5.5.1 STARTTLS not available")
        elif reply := await self._own_reply("starttls"):
            await self.push(reply)
        else:
            await self.push("220 2.0.0 Ready to start TLS")
            await self._start_tls()
            self.session = self._create_session()
            self._set_rset_state()  # type: ignore[no-untyped-call]  # aiosmtpd's
            self._mechanism = self._username = self._account = None

    async def _start_tls(self) -> None:
        part = self._part
        names = [self._name.strip("[]")] if part.trace else [self._name.strip("[]"), "localhost"]
        context = self._sink.authority.server_context(
            *names, kind=cast("Kind", part.relay.certificate)
        )
        # What came unencrypted must not be read as if it had come encrypted (RFC 3207, 4.2). Where
        # TLS is implicit it is the handshake: a busy uvloop reads it before this runs.
        buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001  # no other way
        if part.implicit and buffer:
            self.loop.call_soon(self._hand_over, bytes(buffer))
        buffer.clear()
        transport = await self.loop.start_tls(self.transport, self, context, server_side=True)
        # Loops do not agree on what they return when the idle timer ends a handshake.
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        if tls is None:
            raise ConnectionResetError("hung up in the handshake")
        # As aiosmtpd does it; a second writer would close the connection when the first one goes.
        self.transport = self._reader._transport = self._writer._transport = transport  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        self._tls_version = tls.version()

    def _hand_over(self, handshake: bytes) -> None:
        """Give TLS what was read before it was there: after it took over, before it begins."""
        protocol = self.transport.get_protocol()
        protocol.get_buffer(len(handshake))[: len(handshake)] = handshake
        protocol.buffer_updated(len(handshake))

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802  # as above
        """Check a login (RFC 4954)."""
        mechanism, _, initial = (arg or "").partition(" ")
        mechanism = mechanism.upper()
        try:
            self._check_auth(mechanism)
            exchange = self._exchanges[mechanism]
            username, proof = await exchange(initial.strip())
            reply = await self._own_reply("auth")
            if reply is None:
                await self._verify(mechanism, username, proof)
        except _RefusedError as refused:
            reply = str(refused)
        await self.push(reply or "235 2.7.0 Authentication successful")

    def _check_auth(self, mechanism: str) -> None:
        session = self.session
        if not session.extended_smtp:
            raise _RefusedError("503 5.5.1 Send EHLO first")
        if session.authenticated or self.envelope.mail_from:
            raise _RefusedError("503 5.5.1 AUTH not permitted now")
        if self._needs_tls:
            raise _RefusedError(
                "538 5.7.11 Encryption required for requested authentication mechanism"
            )
        if not self._mechanisms:
            raise _RefusedError("502 5.5.1 AUTH not available")
        if mechanism not in self._mechanisms:
            raise _RefusedError("504 5.5.4 Unrecognized authentication type")

    @property
    def _exchanges(self) -> Mapping[str, Callable[[str], Awaitable[tuple[str, bytes]]]]:
        return {
            "PLAIN": self._plain,
            "LOGIN": self._login,
            "XOAUTH2": self._xoauth2,
            "OAUTHBEARER": self._oauthbearer,
        }

    async def _plain(self, initial: str) -> tuple[str, bytes]:
        parts = (await self._sasl(initial, b"")).split(b"\0")  # RFC 4616, 2
        if len(parts) != 3:  # noqa: PLR2004  # authorization identity, user name, password
            raise _RefusedError("501 5.5.2 Not a PLAIN response")
        return _text(parts[1]), parts[2]

    async def _login(self, initial: str) -> tuple[str, bytes]:
        username = await self._sasl(initial, b"Username:")
        return _text(username), await self._sasl("", b"Password:")

    async def _xoauth2(self, initial: str) -> tuple[str, bytes]:
        found = _XOAUTH2.fullmatch(await self._sasl(initial, b""))
        if found is None:
            raise _RefusedError("501 5.5.2 Not an XOAUTH2 response")
        return _text(found[1]), found[2]

    async def _oauthbearer(self, initial: str) -> tuple[str, bytes]:
        found = _OAUTHBEARER.fullmatch(await self._sasl(initial, b""))
        if found is None:
            raise _RefusedError("501 5.5.2 Not an OAUTHBEARER response")
        # RFC 5801, 4
        name, token = found.groups(default=b"")
        return _text(name).replace("=2C", ",").replace("=3D", "="), token

    async def _sasl(self, initial: str, challenge: bytes) -> bytes:
        """Return the decoded initial response, or where there is none the answer to a challenge."""
        response = initial.encode("utf-8", "surrogateescape")
        if not response:
            await self.push(b"334 " + b64encode(challenge))
            line = await self._read_line(b"\n")
            self._part.dialogue.add("C", MASK)
            if line is None:
                raise _RefusedError("500 5.5.6 Line too long")
            response = line.rstrip(b"\r\n")
        if response == b"*":
            raise _RefusedError("501 5.7.0 Authentication cancelled")
        try:
            # RFC 4954, 4: "=" is an initial response that is empty.
            return b"" if response == b"=" else b64decode(response, validate=True)
        except binascii.Error:
            raise _RefusedError("501 5.5.2 Not base64") from None

    async def _verify(self, mechanism: str, username: str, proof: bytes) -> None:
        """Let the client in, or refuse it."""
        account = self._part.relay.account(username)
        if mechanism in {"XOAUTH2", "OAUTHBEARER"}:
            if not self._is_good(proof.decode(), username):
                await self._challenge(mechanism)
                raise _RefusedError(_BAD_CREDENTIALS)
        else:
            expected = account.password.reveal().encode() if account else b""
            same = hmac.compare_digest(expected, proof)
            if self._part.relay.accounts is not None and not (account and same):
                raise _RefusedError(_BAD_CREDENTIALS)
        self._mechanism, self._username, self._account = mechanism, username, account
        self.session.authenticated = True

    def _is_good(self, token: str, mailbox: str) -> bool:
        """Check a token for real, in every relay: a friendly one too takes no forged token."""
        try:
            claims = self._sink.check_token(token, self._part.relay.audience)
        except ValueError as error:
            self._part.dialogue.add("S", f"<token refused: {error}>")
            return False
        client = self._part.world.oauth_client(claims["sub"])
        good = client is not None and client.may_use(mailbox)
        if not good:
            self._part.dialogue.add("S", "<token refused: its client may not use this mailbox>")
        return good

    async def _challenge(self, mechanism: str) -> None:
        """Say why, and let the client answer; only then comes the reply (RFC 7628, 3.2.2)."""
        facts = {"status": "401", "schemes": "bearer", "scope": MAIL_SCOPE}
        if mechanism == "OAUTHBEARER":
            url = self._sink.discovery_url()
            facts = {"status": "invalid_token", "scope": MAIL_SCOPE}
            facts |= {"openid-configuration": url} if url else {}
        await self.push(b"334 " + b64encode(json.dumps(facts).encode()))
        line = (await self._read_line(b"\n") or b"").rstrip(b"\r\n")
        # What the protocols ask for may show; anything else may be a secret.
        self._part.dialogue.add("C", line.decode() if line in {b"", b"AQ=="} else MASK)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        # aiosmtpd's own rewrites quoted local parts.
        found = _PATH.fullmatch(arg)
        if found is None:
            return None, None
        path, parameters = found.groups(default="")
        return (path if path == NULL_PATH else path[1:-1]), parameters

    async def _on_mail(self, *args: Any) -> Any:  # noqa: ANN401  # a hook: a reply, or MISSING to accept
        *_, sender, options = args
        return await self._own_reply("mail") or self._refuse_sender(sender, options) or MISSING

    def _refuse_sender(self, sender: str, options: list[str]) -> str | None:
        relay = self._part.relay
        if relay.require_auth and not self.session.authenticated:
            return "530 5.7.0 Authentication required"
        size = next((option[5:] for option in options if option.startswith("SIZE=")), "0")
        if size.isdecimal() and int(size) > relay.max_size:
            return "552 5.3.4 Message too big"
        if self._account is not None and not self._account.may_send_as(sender):
            return "550 5.7.60 Client does not have permissions to send as this sender"
        return self._refuse_address(sender)

    async def _on_rcpt(self, *args: Any) -> Any:  # noqa: ANN401  # a hook, as above
        *_, recipient, _options = args
        return await self._own_reply("rcpt") or self._refuse_recipient(recipient) or MISSING

    def _refuse_recipient(self, recipient: str) -> str | None:
        if recipient == NULL_PATH:
            return "553 5.1.3 A recipient must not be empty"
        if len(self.envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        return self._refuse_address(recipient)

    def _refuse_address(self, address: str) -> str | None:
        if address.isascii():
            return None
        try:
            address.encode()
        except UnicodeEncodeError:
            return "553 5.6.7 Address is not UTF-8"
        # RFC 6531, 3.5
        return None if self.envelope.smtp_utf8 else "553 5.6.7 Address needs SMTPUTF8"

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802  # as above
        """Take a message, and keep it before saying so."""
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Need MAIL and RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content, refusal = await self._content()
        if self._part.relay.fault == "dropped":
            self._writer.close()
            return
        refusal = refusal or self._refuse_headers(content)
        reply = await self._own_reply("data") or refusal or self._keep(content)
        self._set_post_data_state()  # type: ignore[no-untyped-call]  # aiosmtpd's
        await self.push(reply)

    def _refuse_headers(self, content: bytes) -> str | None:
        # RFC 6531, 3.2: headers are ASCII unless the client asked for more.
        if self.envelope.smtp_utf8 or content.partition(b"\r\n\r\n")[0].isascii():
            return None
        return "554 5.6.7 Headers need SMTPUTF8"

    async def _content(self) -> tuple[bytes, str | None]:
        """Read to the final dot; return the content, and the reply that refuses it or None."""
        lines: list[bytes] = []
        size = 0
        refusal = None
        while (line := await self._read_line()) != b".\r\n":
            text = (line or b"").removeprefix(b".")
            size += len(text)
            if line is None or len(text) > MAX_LINE:
                refusal = "500 5.6.0 Line too long"
            elif size > self._part.relay.max_size:
                refusal = "552 5.3.4 Message too big"
            if refusal is None:
                lines.append(text)
        self._part.dialogue.add("C", f"<{size} octets>")
        return b"".join(lines), refusal

    def _keep(self, content: bytes) -> str:
        part, trace = self._part, self._part.trace
        message_id = new_id()
        reply = f"250 2.0.0 Kept as {message_id}"
        message = Message(
            raw=content,
            envelope=Envelope(
                self.envelope.mail_from.replace(NULL_PATH, ""), tuple(self.envelope.rcpt_tos)
            ),
            relay=part.endpoint,
            tls_mode=self._tls_mode,
            tls_version=self._tls_version,
            mechanism=self._mechanism,
            username=self._username,
            dialogue=(*((who, line) for _, who, line in part.dialogue.lines), ("S", reply)),
            request_id=trace.request_id if trace else None,
            identity=trace.identity if trace else None,
            id=message_id,
        )
        part.state.journal.add_message(message)
        if trace:
            trace.message_id = message_id
        return reply

    @property
    def _tls_mode(self) -> str:
        if self._part.implicit:
            return "implicit"
        return "starttls" if self._tls_version else "none"


_VERBS: Final = tuple(
    f"smtp_{verb}"
    for verb in (
        "EHLO",
        "HELO",
        "STARTTLS",
        "AUTH",
        "MAIL",
        "RCPT",
        "DATA",
        "RSET",
        "NOOP",
        "VRFY",
        "QUIT",
    )
)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _shown(line: bytes | None, *, known: bool) -> str:
    """Return a command line as it may be recorded: with no password, and none that may be one."""
    if line is None:
        return "<line too long>"
    if not known:
        return MASK  # a client that lost count may send its password as a command
    text = line.rstrip(b"\r\n")
    if not text.upper().startswith(b"AUTH"):
        return text.decode("utf-8", "replace")
    found = _AUTH.fullmatch(text)
    if found is None:
        return f"AUTH {MASK}"
    return f"AUTH {found[1].decode()}" + (f" {MASK}" if found[2] else "")

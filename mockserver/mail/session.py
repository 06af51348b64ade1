"""One SMTP session: strict, bounded, and as bad as the entry of the relay that it plays."""

import asyncio
import binascii
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Protocol, cast

from aiosmtpd.smtp import SMTP

from mockserver.base.certificates import Authority, Kind
from mockserver.base.masking import MASK
from mockserver.base.sockets import reset_when_closed
from mockserver.base.text import host_name
from mockserver.journal.state import State
from mockserver.journal.trace import Dialogue, Endpoint, Envelope, Message, Trace, new_id
from mockserver.world.model import Account, Relay, World

MECHANISMS: Final = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")
MAIL_SCOPE: Final = "smtp.send"  # what a challenge names, as in the default world

MAX_AUTH_LINE: Final = 12_288  # octets with the line end; RFC 4954, 4
MAX_LINE: Final = 1_000  # octets with the line end; RFC 5321, 4.5.3.1.6
MAX_RECIPIENTS: Final = 100  # RFC 5321, 4.5.3.1.8
MAX_COMMANDS: Final = 1_000

_BAD_CREDENTIALS: Final = "535 5.7.8 Authentication credentials invalid"

# RFC 5321, 4.1.2: a mailbox is kept as it is, a quoted local part too. The source route before it
# is accepted and ignored (4.1.1.3 and appendix C).
_PATH = re.compile(
    r"<(?:>|(?:@[^<>@,:\x00-\x20\x7f]+(?:,@[^<>@,:\x00-\x20\x7f]+)*:)?+"
    r'((?:"(?:[^"\\\x00-\x1f\x7f]|\\.)*"|[^<>"\x00-\x20\x7f])+)>)(?: +(.*))?',
    re.ASCII,
)
# Each parameter of MAIL: the keyword of EHLO that offers it, and how it is written.
_OF_MAIL: Final = {
    "SIZE": ("SIZE", re.compile(r"=[0-9]{1,20}")),  # RFC 1870, 3
    "BODY": ("8BITMIME", re.compile(r"=(?:7BIT|8BITMIME)", re.IGNORECASE)),  # RFC 6152, 2
    "SMTPUTF8": ("SMTPUTF8", re.compile("")),  # RFC 6531, 3.4
    # RFC 4954, 5: a mailbox as xtext (RFC 3461, 4), or `<>`.
    "AUTH": ("AUTH", re.compile(r"=(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")),
}
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_AUTH = re.compile(rb"AUTH +([A-Z0-9_-]{1,20})(?: +(.*))?", re.IGNORECASE | re.DOTALL)

# The responses that come in one piece: a user name, and a password or a token.
_RESPONSES: Final = {
    "PLAIN": re.compile(rb"[^\0]*\0([^\0]*)\0([^\0]*)"),  # RFC 4616, 2
    # Google's XOAUTH2 protocol, "Initial Client Response"
    "XOAUTH2": re.compile(rb"user=([^\x01]+)\x01auth=Bearer +([!-~]+)\x01\x01", re.IGNORECASE),
    # RFC 7628, 3.1: a gs2-header, then pairs. Without a user, or without a token (4.3), it is a
    # response that is refused.
    "OAUTHBEARER": re.compile(
        rb"[ny],(?:a=([^,\x01]+))?,\x01(?:(?!auth=)[a-z]+=[^\x01]*\x01)*"
        rb"auth=(?:Bearer +([!-~]+))?\x01(?:[a-z]+=[^\x01]*\x01)*\x01",
        re.IGNORECASE,
    ),
}

CheckToken = Callable[[str, str | None], Mapping[str, Any]]


class Home(Protocol):
    """What sessions share: the certificates, who checks tokens, and the set that they are in."""

    authority: Authority
    check_token: CheckToken
    discovery_url: Callable[[], str | None]
    sessions: "set[Session]"
    closed: bool


class _RefusedError(Exception):
    """Break off what the client began; the text is the reply."""


@dataclass(frozen=True)
class Part:
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
        if (
            reply.first is not None
            and self.state.count_use(f"relay {self.key} {stage}") > reply.first
        ):
            return None
        return reply.reply


@dataclass
class _Peer:
    """What the client said of itself; forgotten when TLS begins (RFC 3207, 4.2)."""

    name: str = ""
    extended: bool = False
    mechanism: str | None = None
    username: str | None = None
    account: Account | None = None


@dataclass
class _Transaction:
    """What the client said of a mail; None as sender: it said nothing yet."""

    sender: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    recipients: list[str] = field(default_factory=list)


class Session(SMTP):
    """One SMTP session: strict, bounded, and as bad as the relay's entry says."""

    line_length_limit = MAX_AUTH_LINE
    # None only before there is a connection, but aiosmtpd declares it so for good.
    transport: Any

    def __init__(self, home: Home, part: Part) -> None:
        self._name = _smtp_name(part.endpoint.host)
        super().__init__(
            None,
            hostname=self._name,
            timeout=part.relay.idle_timeout + part.relay.delay,
            loop=asyncio.get_running_loop(),
        )
        self._home = home
        self._part = part
        self._tls_version: str | None = None
        self._peer = _Peer()
        self._mail = _Transaction()
        self._heard = self.loop.time()
        self._may_speak = False
        self._before_mail: int | None = None  # how much of the dialogue came before any MAIL

    def __dir__(self) -> Iterable[str]:
        # aiosmtpd scans dir(self) three times per session; our verbs are in a table instead.
        return ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or reset the connection where the relay's entry says that there is none."""
        self._home.sessions.add(self)
        super().connection_made(transport)
        refuses = self._part.relay.fault in {"refused", "unresolvable"}
        if refuses:
            reset_when_closed(transport)
        if refuses or self._home.closed:
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        """End, once; and say why where it is not the usual way: TLS that failed, a reset."""
        if self not in self._home.sessions:
            return
        self._home.sessions.discard(self)
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

    def _timeout_cb(self) -> None:
        """Close, with a reply where there can be one, if no line came for so long; or wait on."""
        left = self._heard + self._timeout_duration - self.loop.time()
        if left > 0:
            self._reset_timeout(left)
        elif self._may_speak and not self._writer.is_closing():
            self._write("421 4.4.2 No line came in time")
            self._writer.close()
            self._reset_timeout()  # for a client that does not even read this
        else:
            self.end()

    async def say(self, reply: str) -> None:
        """Send a reply; after 221 and 421 the connection is closed (RFC 5321, 3.8)."""
        self._write(reply)
        await self._writer.drain()
        if reply.startswith(("221", "421")):
            self._writer.close()

    def _write(self, reply: str) -> None:
        """Write and record a reply, each line of it with its code (RFC 5321, 4.2.1)."""
        *more, last = reply.splitlines()
        lines = [*(f"{line[:3]}-{line[4:]}" for line in more), f"{last[:3]} {last[4:]}"]
        for line in lines:
            self._part.dialogue.add("S", line)
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())

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
        self._may_speak = True
        try:
            await self._stage("greeting")
        except _RefusedError as refused:
            await self.say(str(refused))
            return
        protocol = "ESMTP" if self._part.relay.esmtp else "SMTP"
        await self.say(f"220 {self._name} {protocol} keyfactor-mock")
        for _ in range(MAX_COMMANDS):
            await self._obey(await self._read_line(b"\n"))
            if self._writer.is_closing():
                return
        await self.say("421 4.7.0 Too many commands")

    async def _stage(self, stage: str) -> None:
        """Take the relay's time, and refuse where its entry has a reply to this stage."""
        if self._part.relay.delay:
            await asyncio.sleep(self._part.relay.delay)
        if reply := self._part.reply(stage):
            raise _RefusedError(reply)

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
                self._heard = self.loop.time()
                return line if fits and len(line) <= MAX_AUTH_LINE else None

    async def _obey(self, line: bytes | None) -> None:
        word, _, rest = (line or b"").rstrip(b"\r\n").partition(b" ")
        name = word.upper().decode("ascii", "replace")
        self._part.dialogue.add("C", _shown(line, known=name in _VERBS))
        try:
            if line is None or (len(line) > MAX_LINE and name != "AUTH"):
                reply: str | None = "500 5.5.6 Line too long"
            else:
                reply = await self._answer(name, rest.strip())
        except _RefusedError as refused:
            reply = str(refused)
        if reply is not None:
            await self.say(reply)

    async def _answer(self, name: str, argument: bytes) -> str | None:
        verb = _VERBS.get(name)
        if verb is None:
            return "500 5.5.2 Command not recognized"
        if bool(argument) != bool(verb.syntax) and not verb.syntax.startswith("["):
            return f"501 5.5.4 Syntax: {name} {verb.syntax}".rstrip()
        if isinstance(verb.answer, str):
            return verb.answer
        return await verb.answer(self, argument.decode("utf-8", "surrogateescape"))

    async def ehlo(self, name: str) -> str:
        """Offer what the relay's entry says."""
        await self._meet(name, extended=True)
        return "\n".join(f"250 {line}" for line in (self._name, *self._features()))

    async def helo(self, name: str) -> str:
        """Offer nothing."""
        await self._meet(name, extended=False)
        return f"250 {self._name}"

    async def _meet(self, name: str, *, extended: bool) -> None:
        await self._stage("ehlo")
        if extended and not self._part.relay.esmtp:
            raise _RefusedError("502 5.5.1 EHLO not implemented")
        self._mail = _Transaction()
        self._peer.name, self._peer.extended = name, extended

    def _features(self) -> Iterable[str]:
        yield f"SIZE {self._part.relay.max_size}"
        if self._part.relay.smtputf8:
            yield "SMTPUTF8"
        if self._offers_starttls:
            yield "STARTTLS"
        if self._mechanisms and not self._needs_tls:
            yield f"AUTH {' '.join(self._mechanisms)}"
        yield "8BITMIME"

    @property
    def _offers_starttls(self) -> bool:
        relay = self._part.relay
        return relay.esmtp and relay.starttls and self._tls_version is None

    @property
    def _needs_tls(self) -> bool:
        return self._part.relay.require_tls and self._tls_version is None

    @property
    def _mechanisms(self) -> list[str]:
        return [name for name in MECHANISMS if name in self._part.relay.mechanisms]

    async def starttls(self, _: str) -> None:
        """Encrypt the connection, and forget all that was said before (RFC 3207, 4.2)."""
        if not self._offers_starttls:
            raise _RefusedError("502 5.5.1 STARTTLS not available")
        await self._stage("starttls")
        await self.say("220 2.0.0 Ready to start TLS")
        self._may_speak = False
        await self._start_tls()
        self._may_speak = True
        self._peer = _Peer()
        self._mail = _Transaction()
        self._before_mail = None

    async def _start_tls(self) -> None:
        part = self._part
        host = host_name(part.endpoint.host).strip("[]")
        names = [host] if part.trace else [host, "localhost"]
        context = self._home.authority.server_context(
            *names, kind=cast("Kind", part.relay.certificate)
        )
        # What came unencrypted must not be read as if it had come encrypted (RFC 3207, 4.2). Where
        # TLS is implicit it is the handshake: a busy uvloop reads it before this runs.
        buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001  # no other way
        if part.implicit and buffer:
            self.loop.call_soon(self._hand_over, bytes(buffer))
        buffer.clear()
        transport = await self.loop.start_tls(self.transport, self, context, server_side=True)
        # As aiosmtpd does it; a second writer would close the connection when the first one goes.
        self.transport = self._reader._transport = self._writer._transport = transport  # type: ignore[attr-defined]  # noqa: SLF001  # see above
        self._tls_version = self.transport.get_extra_info("ssl_object").version()
        self._heard = self.loop.time()

    def _hand_over(self, handshake: bytes) -> None:
        """Give TLS what was read before it was there: after it took over, before it begins."""
        protocol = self.transport.get_protocol()
        protocol.get_buffer(len(handshake))[: len(handshake)] = handshake
        protocol.buffer_updated(len(handshake))

    async def auth(self, argument: str) -> str:
        """Check a login (RFC 4954)."""
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        self._check_auth(mechanism)
        username, proof = await self._response(mechanism, initial.strip())
        await self._stage("auth")
        await self._verify(mechanism, username, proof)
        return "235 2.7.0 Authentication successful"

    def _check_auth(self, mechanism: str) -> None:
        if not self._peer.extended:
            raise _RefusedError("503 5.5.1 Send EHLO first")
        if self._peer.mechanism or self._mail.sender is not None:
            raise _RefusedError("503 5.5.1 AUTH not permitted now")
        if self._needs_tls:
            raise _RefusedError(
                "538 5.7.11 Encryption required for requested authentication mechanism"
            )
        if not self._mechanisms:
            raise _RefusedError("502 5.5.1 AUTH not available")
        if mechanism not in self._mechanisms:
            raise _RefusedError("504 5.5.4 Unrecognized authentication type")

    async def _response(self, mechanism: str, initial: str) -> tuple[str, bytes]:
        """Return a user name, and the password or token that goes with it."""
        if mechanism == "LOGIN":
            username = await self._sasl(initial, b"Username:")
            return _text(username), await self._sasl("", b"Password:")
        found = _RESPONSES[mechanism].fullmatch(await self._sasl(initial, b""))
        if found is None:
            raise _RefusedError(f"501 5.5.2 Not a response of {mechanism}")
        username, proof = found.groups(default=b"")
        if mechanism == "OAUTHBEARER":  # RFC 5801, 4
            username = username.replace(b"=2C", b",").replace(b"=3D", b"=")
        return _text(username), proof

    async def _sasl(self, initial: str, challenge: bytes) -> bytes:
        """Return the decoded initial response, or where there is none the answer to a challenge."""
        response = initial.encode("utf-8", "surrogateescape")
        if not response:
            await self.say(f"334 {b64encode(challenge).decode()}")
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
            if reason := self._refusal_of(proof.decode(), username):
                await self._challenge(mechanism)
                raise _RefusedError(f"535 5.7.8 Token refused: {reason}")
        else:
            expected = account.password.reveal().encode() if account else b""
            same = hmac.compare_digest(expected, proof)
            if self._part.relay.accounts is not None and not (account and same):
                raise _RefusedError(_BAD_CREDENTIALS)
        peer = self._peer
        peer.mechanism, peer.username, peer.account = mechanism, username, account
        self._before_mail = None  # the login is for every mail that follows

    def _refusal_of(self, token: str, mailbox: str) -> str | None:
        """Check a token for real, in every relay: a friendly one too takes no forged token."""
        try:
            claims = self._home.check_token(token, self._part.relay.audience)
        except ValueError as error:
            return str(error)
        client = self._part.world.oauth_client(claims["sub"])
        good = client is not None and client.may_use(mailbox)
        return None if good else "its client may not use this mailbox"

    async def _challenge(self, mechanism: str) -> None:
        """Say why, and let the client answer; only then comes the reply (RFC 7628, 3.2.2)."""
        facts = {"status": "401", "schemes": "bearer", "scope": MAIL_SCOPE}
        if mechanism == "OAUTHBEARER":
            url = self._home.discovery_url()
            facts = {"status": "invalid_token", "scope": MAIL_SCOPE}
            facts |= {"openid-configuration": url} if url else {}
        await self.say(f"334 {b64encode(json.dumps(facts).encode()).decode()}")
        line = (await self._read_line(b"\n") or b"").rstrip(b"\r\n")
        # What the protocols ask for may show; anything else may be a secret.
        self._part.dialogue.add("C", line.decode() if line in {b"", b"AQ=="} else MASK)

    async def mail(self, argument: str) -> str:
        """Begin a transaction."""
        if self._before_mail is None:
            self._before_mail = len(self._part.dialogue.lines) - 1
        if not self._peer.name:
            raise _RefusedError("503 5.5.1 Send EHLO first")
        if self._mail.sender is not None:
            raise _RefusedError("503 5.5.1 There is a sender already")
        sender, words = _path("FROM:", argument)
        parameters = self._parameters(words, _OF_MAIL)
        await self._stage("mail")
        self._check_sender(sender, parameters)
        self._mail = _Transaction(sender, parameters)
        return "250 OK"

    def _parameters(
        self, words: str, known: Mapping[str, tuple[str, re.Pattern[str]]]
    ) -> dict[str, str]:
        """Read parameters (RFC 5321, 4.1.1.11): each once, and as it is offered."""
        offered = {line.partition(" ")[0] for line in self._features() if self._peer.extended}
        parameters: dict[str, str] = {}
        for word in words.split():
            name = word.partition("=")[0].upper()
            value = word[len(name) :]
            found = known.get(name)
            if found is None or found[0] not in offered:
                raise _RefusedError("555 5.5.4 A parameter that is not offered")
            if name in parameters or not found[1].fullmatch(value):
                raise _RefusedError(f"501 5.5.4 {name} is malformed, or stands twice")
            parameters[name] = value.removeprefix("=")
        return parameters

    def _check_sender(self, sender: str, parameters: Mapping[str, str]) -> None:
        relay, peer = self._part.relay, self._peer
        if relay.require_auth and peer.mechanism is None:
            raise _RefusedError("530 5.7.0 Authentication required")
        if int(parameters.get("SIZE", "0")) > relay.max_size:
            raise _RefusedError("552 5.3.4 Message too big")
        if peer.account is not None and not peer.account.may_send_as(sender):
            raise _RefusedError(
                "550 5.7.60 Client does not have permissions to send as this sender"
            )
        _check_address(sender, utf8="SMTPUTF8" in parameters)

    async def rcpt(self, argument: str) -> str:
        """Add a recipient."""
        if self._mail.sender is None:
            raise _RefusedError("503 5.5.1 Send MAIL first")
        recipient, words = _path("TO:", argument)
        self._parameters(words, {})
        await self._stage("rcpt")
        if not recipient:
            raise _RefusedError("553 5.1.3 A recipient must not be empty")
        if len(self._mail.recipients) >= MAX_RECIPIENTS:
            raise _RefusedError("452 4.5.3 Too many recipients")
        _check_address(recipient, utf8="SMTPUTF8" in self._mail.parameters)
        self._mail.recipients.append(recipient)
        return "250 OK"

    async def data(self, _: str) -> None:
        """Take a message, keep it before saying so, and forget what was said of it."""
        if not self._mail.recipients:
            raise _RefusedError("503 5.5.1 Need MAIL and RCPT first")
        await self.say("354 End data with <CR><LF>.<CR><LF>")
        content, refusal = await self._content()
        if self._part.relay.fault == "dropped":
            self._writer.close()
            return
        try:
            await self._stage("data")
            reply = refusal or self._refuse_content(content) or self._keep(content)
        except _RefusedError as refused:
            reply = str(refused)
        self._mail = _Transaction()
        await self.say(reply)
        # The dialogue of the next message begins without this one; that of an API call stays whole.
        if self._part.trace is None:
            del self._part.dialogue.lines[self._before_mail :]

    def _refuse_content(self, content: bytes) -> str | None:
        if _BARE.search(content):
            # RFC 5321, 2.3.8. A server that takes them for line ends can be made to see a second
            # mail inside of the first.
            return "554 5.6.0 A CR or LF stands alone; each line must end with CR LF"
        # RFC 6531, 3.2: headers are ASCII unless the client asked for more.
        asked = "SMTPUTF8" in self._mail.parameters
        if asked or content.partition(b"\r\n\r\n")[0].isascii():
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
        part, peer, trace = self._part, self._peer, self._part.trace
        message_id = new_id()
        reply = f"250 2.0.0 Kept as {message_id}"
        message = Message(
            raw=content,
            envelope=Envelope(self._mail.sender or "", tuple(self._mail.recipients)),
            relay=part.endpoint,
            tls_mode=self._tls_mode,
            tls_version=self._tls_version,
            mechanism=peer.mechanism,
            username=peer.username,
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

    async def rset(self, _: str) -> str:
        """Forget the transaction."""
        self._mail = _Transaction()
        return "250 OK"

    async def advise(self, verb: str) -> str:
        """Say how a verb is written, or every one."""
        names = [name for name in _VERBS if name == verb.upper()] or _VERBS
        return "\n".join(f"214 {name} {_VERBS[name].syntax}".rstrip() for name in names)


@dataclass(frozen=True)
class _Verb:
    """What follows a verb (in brackets where it may be left out), and the reply or who gives it."""

    syntax: str
    answer: Callable[[Session, str], Awaitable[str | None]] | str


_VERBS: Final = {
    "EHLO": _Verb("name", Session.ehlo),
    "HELO": _Verb("name", Session.helo),
    "STARTTLS": _Verb("", Session.starttls),
    "AUTH": _Verb("mechanism [initial-response]", Session.auth),
    "MAIL": _Verb("FROM:<address> [parameters]", Session.mail),
    "RCPT": _Verb("TO:<address>", Session.rcpt),
    "DATA": _Verb("", Session.data),
    "RSET": _Verb("", Session.rset),
    # RFC 5321, 3.5.3: 252 promises nothing, and only VRFY must be known.
    "VRFY": _Verb("address", "252 2.5.0 Not verified; try to send to it"),
    "EXPN": _Verb("list", "502 5.5.1 EXPN not implemented"),
    "HELP": _Verb("[verb]", Session.advise),
    "NOOP": _Verb("[text]", "250 OK"),
    "QUIT": _Verb("", "221 Bye"),
}


def _smtp_name(host: str) -> str:
    """Return a host as SMTP names it, an address as a literal (RFC 5321, 4.1.3)."""
    name = host_name(host)
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return name
    return f"[{'IPv6:' if address.version == 6 else ''}{address}]"  # noqa: PLR2004  # of IP


def _path(keyword: str, argument: str) -> tuple[str, str]:
    """Return the mailbox of a path, empty for the null path, and what follows."""
    if argument[: len(keyword)].upper() != keyword:
        raise _RefusedError(f"501 5.5.4 Syntax: {keyword}<address>")
    found = _PATH.fullmatch(argument[len(keyword) :].lstrip())
    if found is None:
        raise _RefusedError("553 5.1.3 Malformed address")
    mailbox, words = found.groups(default="")
    return mailbox, words


def _check_address(address: str, *, utf8: bool) -> None:
    try:
        address.encode()
    except UnicodeEncodeError:
        raise _RefusedError("553 5.6.7 Address is not UTF-8") from None
    if not utf8 and not address.isascii():
        raise _RefusedError("553 5.6.7 Address needs SMTPUTF8")  # RFC 6531, 3.5


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

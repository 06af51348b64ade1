"""The conversation of a session: the verbs of SMTP, strictly and within bounds."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Final, cast

from mockserver.base.certificates import Authority, Kind
from mockserver.base.masking import MASK
from mockserver.base.sasl import MECHANISMS
from mockserver.base.text import host_name
from mockserver.journal.trace import Envelope, Message, new_id
from mockserver.mail.authentication import Authentication, LoggedIn, Tokens
from mockserver.mail.connection import Connection
from mockserver.mail.part import Part, RefusedError
from mockserver.mail.syntax import Parameters, check_address, read_parameters, read_path

MAX_LINE: Final = 1_000  # octets with the line end; RFC 5321, 4.5.3.1.6
_MAX_RECIPIENTS: Final = 100  # RFC 5321, 4.5.3.1.8
MAX_COMMANDS: Final = 1_000
_LINES_AT_ONCE: Final = 1_000

_AUTH: Final = re.compile(rb"AUTH +([A-Z0-9_-]{1,20})(?: +(.*))?", re.IGNORECASE | re.DOTALL)


@dataclass
class _Peer:
    """What the client said of itself; forgotten when TLS begins (RFC 3207, 4.2)."""

    name: str = ""
    extended: bool = False
    login: LoggedIn = field(default_factory=LoggedIn)


@dataclass
class _Transaction:
    """What the client said of a mail; the sender is None before MAIL, and empty for `<>`."""

    sender: str | None = None
    parameters: Parameters = field(default_factory=dict)
    recipients: list[str] = field(default_factory=list)


class Session:
    """The conversation with one client, verb by verb."""

    def __init__(
        self, connection: Connection, part: Part, authority: Authority, tokens: Tokens
    ) -> None:
        self._connection = connection
        self._part = part
        self._authority = authority
        self._authentication = Authentication(connection, part, tokens)
        self._name = _smtp_name(part.endpoint.host)
        self._peer = _Peer()
        self._mail = _Transaction()
        self._before_mail: int | None = None  # how many lines were said before the first MAIL

    async def converse(self) -> None:
        """Greet the client, and answer its commands until the connection ends."""
        connection, relay = self._connection, self._part.relay
        await self._stage("connect")
        if self._part.implicit:
            await connection.start_tls(self._tls_context(), implicit=True)
        try:
            await self._stage("greeting")
        except RefusedError as refused:
            await connection.say(str(refused))
            return
        await connection.say(f"220 {self._name} {'E' if relay.esmtp else ''}SMTP keyfactor-mock")
        for _ in range(MAX_COMMANDS):
            await self._obey(await connection.read_line())
            if connection.transport.is_closing():
                return
        await connection.say("421 4.7.0 Too many commands")

    async def _stage(self, stage: str) -> None:
        await self._part.play(stage, self._connection.transport)

    async def _obey(self, line: bytes | None) -> None:
        word, _, rest = (line or b"").rstrip(b"\r\n").partition(b" ")
        name = word.upper().decode("ascii", "replace")
        self._connection.dialogue.add("C", _shown(line, known=name in _VERBS))
        try:
            if line is None or (len(line) > MAX_LINE and name != "AUTH"):
                reply: str | None = "500 5.5.6 Line too long"
            else:
                reply = await self._answer(name, rest.strip())
        except RefusedError as refused:
            reply = str(refused)
        if reply is not None:
            await self._connection.say(reply)

    async def _answer(self, name: str, argument: bytes) -> str | None:
        verb = _VERBS.get(name)
        if verb is None:
            return "500 5.5.2 Command not recognized"
        if bool(argument) != bool(verb.syntax) and not verb.syntax.startswith("["):
            return f"501 5.5.4 Syntax: {name} {verb.syntax}".rstrip()
        if isinstance(verb.answer, str):
            return verb.answer
        return await verb.answer(self, argument.decode("utf-8", "surrogateescape"))

    # What the relay offers

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
        return relay.esmtp and relay.starttls and self._connection.tls_version is None

    @property
    def _needs_tls(self) -> bool:
        return self._part.relay.require_tls and self._connection.tls_version is None

    @property
    def _mechanisms(self) -> list[str]:
        return [name for name in MECHANISMS if name in self._part.relay.mechanisms]

    # Before a mail

    async def hello(self, name: str, *, extended: bool) -> str:
        """Take the client's name, and say what the relay offers to one that said EHLO."""
        await self._stage("ehlo")
        if extended and not self._part.relay.esmtp:
            raise RefusedError("502 5.5.1 EHLO not implemented")
        self._mail = _Transaction()
        self._peer.name, self._peer.extended = name, extended
        features = self._features() if extended else ()
        return "\n".join(f"250 {line}" for line in (self._name, *features))

    async def starttls(self, _: str) -> None:
        """Encrypt the connection, and forget all that was said before (RFC 3207, 4.2)."""
        if not self._offers_starttls:
            raise RefusedError("502 5.5.1 STARTTLS not available")
        await self._stage("starttls")
        await self._connection.say("220 2.0.0 Ready to start TLS")
        await self._connection.start_tls(self._tls_context())
        self._peer = _Peer()
        self._mail = _Transaction()
        self._before_mail = None

    def _tls_context(self) -> ssl.SSLContext:
        host = host_name(self._part.endpoint.host).strip("[]")
        names = [host] if self._part.request_id else [host, "localhost"]
        kind = cast("Kind", self._part.relay.certificate)
        return self._authority.server_context(*names, kind=kind)

    async def auth(self, argument: str) -> str:
        """Check a login (RFC 4954)."""
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        self._check_auth(mechanism)
        self._peer.login = await self._authentication.log_in(mechanism, initial.strip())
        self._before_mail = None  # the login is for every mail that follows
        return "235 2.7.0 Authentication successful"

    def _check_auth(self, mechanism: str) -> None:
        if not self._peer.extended:
            raise RefusedError("503 5.5.1 Send EHLO first")
        if self._peer.login.mechanism or self._mail.sender is not None:
            raise RefusedError("503 5.5.1 AUTH not permitted now")
        if self._needs_tls:
            raise RefusedError(
                "538 5.7.11 Encryption required for requested authentication mechanism"
            )
        if not self._mechanisms:
            raise RefusedError("502 5.5.1 AUTH not available")
        if mechanism not in self._mechanisms:
            raise RefusedError("504 5.5.4 Unrecognized authentication type")

    # A mail

    async def mail(self, argument: str) -> str:
        """Begin a transaction."""
        if self._before_mail is None:
            self._before_mail = len(self._connection.dialogue.lines) - 1
        if not self._peer.name:
            raise RefusedError("503 5.5.1 Send EHLO first")
        if self._mail.sender is not None:
            raise RefusedError("503 5.5.1 There is a sender already")
        sender, words = read_path("FROM:", argument)
        offered = self._features() if self._peer.extended else ()
        parameters = read_parameters(words, offered)
        await self._stage("mail")
        self._check_sender(sender, parameters)
        self._mail = _Transaction(sender, parameters)
        return "250 OK"

    def _check_sender(self, sender: str, parameters: Parameters) -> None:
        relay, login = self._part.relay, self._peer.login
        if relay.require_auth and login.mechanism is None:
            raise RefusedError("530 5.7.0 Authentication required")
        if int(parameters.get("SIZE", "0")) > relay.max_size:
            raise RefusedError("552 5.3.4 Message too big")
        if login.account and not login.account.may_send_as(sender):
            raise RefusedError("550 5.7.60 Client does not have permissions to send as this sender")
        check_address(sender, utf8="SMTPUTF8" in parameters)

    async def rcpt(self, argument: str) -> str:
        """Add a recipient."""
        if self._mail.sender is None:
            raise RefusedError("503 5.5.1 Send MAIL first")
        recipient, words = read_path("TO:", argument)
        read_parameters(words, ())
        await self._stage("rcpt")
        if not recipient:
            raise RefusedError("553 5.1.3 A recipient must not be empty")
        if len(self._mail.recipients) >= _MAX_RECIPIENTS:
            raise RefusedError("452 4.5.3 Too many recipients")
        check_address(recipient, utf8="SMTPUTF8" in self._mail.parameters)
        self._mail.recipients.append(recipient)
        return "250 OK"

    async def data(self, _: str) -> None:
        """Take a message, and keep it before the client hears so."""
        if not self._mail.recipients:
            raise RefusedError("503 5.5.1 Need MAIL and RCPT first")
        await self._connection.say("354 End data with <CR><LF>.<CR><LF>")
        content, refusal = await _read_content(self._connection, self._part.relay.max_size)
        try:
            await self._stage("data")
            utf8 = "SMTPUTF8" in self._mail.parameters
            reply = refusal or _refuse_content(content, utf8=utf8) or self._keep(content)
        except RefusedError as refused:
            reply = str(refused)
        self._mail = _Transaction()
        await self._connection.say(reply)
        # The next message of this session is kept without this part of the dialogue. An API call
        # sends one message only, and its dialogue stays whole.
        if self._part.request_id is None:
            del self._connection.dialogue.lines[self._before_mail :]

    def _keep(self, content: bytes) -> str:
        part, login = self._part, self._peer.login
        message_id = new_id()
        reply = f"250 2.0.0 Kept as {message_id}"
        lines = self._connection.dialogue.lines
        message = Message(
            raw=content,
            envelope=Envelope(self._mail.sender or "", tuple(self._mail.recipients)),
            relay=part.endpoint,
            tls_mode=self._tls_mode,
            tls_version=self._connection.tls_version,
            mechanism=login.mechanism,
            username=login.username,
            dialogue=(*((who, line) for _, who, line in lines), ("S", reply)),
            request_id=part.request_id,
            identity=part.identity,
            id=message_id,
        )
        part.keep(message)
        return reply

    @property
    def _tls_mode(self) -> str:
        if self._part.implicit:
            return "implicit"
        return "starttls" if self._connection.tls_version else "none"

    async def rset(self, _: str) -> str:
        """Forget the transaction."""
        self._mail = _Transaction()
        return "250 OK"

    async def advise(self, verb: str) -> str:
        """Say how one verb is written, or each of them."""
        names = [name for name in _VERBS if name == verb.upper()] or _VERBS
        return "\n".join(f"214 {name} {_VERBS[name].syntax}".rstrip() for name in names)


@dataclass(frozen=True)
class _Verb:
    """What follows a verb, in brackets if it is optional, and the reply or the method for it."""

    syntax: str
    answer: Callable[[Session, str], Awaitable[str | None]] | str


_VERBS: Final[Mapping[str, _Verb]] = {
    "EHLO": _Verb("name", partial(Session.hello, extended=True)),
    "HELO": _Verb("name", partial(Session.hello, extended=False)),
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


def _shown(line: bytes | None, *, known: bool) -> str:
    """Return a command line without anything that is a password, or may be one."""
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


async def _read_content(connection: Connection, max_size: int) -> tuple[bytes, str | None]:
    """Read to the final dot; return the content, and the reply if that is refused already."""
    content = bytearray()
    size = lines = 0
    refusal = None
    while (line := await connection.read_line(b"\r\n")) != b".\r\n":
        text = (line or b"").removeprefix(b".")
        size += len(text)
        if line is None or len(text) > MAX_LINE:
            refusal = "500 5.6.0 Line too long"
        elif size > max_size:
            refusal = "552 5.3.4 Message too big"
        if refusal is None:
            content += text
        lines += 1
        if lines % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)  # very short lines would keep others waiting
    connection.dialogue.add("C", f"<{size} octets>")
    return bytes(content), refusal


def _refuse_content(content: bytes, *, utf8: bool) -> str | None:
    # An expression would look at each octet of a large mail for ten times as long.
    pairs = content.count(b"\r\n")
    if not content.count(b"\r") == content.count(b"\n") == pairs:
        # RFC 5321, 2.3.8. A server that takes them for line ends lets a client smuggle a second
        # mail in the first.
        return "554 5.6.0 A CR or LF stands alone; each line must end with CR LF"
    # RFC 6531, 3.2: headers are ASCII unless the client asked for more.
    if utf8 or content.partition(b"\r\n\r\n")[0].isascii():
        return None
    return "554 5.6.7 Headers need SMTPUTF8"

"""The conversation of a session: the verbs of SMTP, strictly and within bounds."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Final, NamedTuple, cast

from mockserver.base.certificates import Authority, Kind
from mockserver.base.masking import MASK
from mockserver.base.sasl import MECHANISMS
from mockserver.base.text import host_name, once
from mockserver.journal.message import Message
from mockserver.journal.trace import Envelope, new_id
from mockserver.journal.trace import Parameters as Given
from mockserver.mail.authentication import Authentication, LoggedIn, Tokens
from mockserver.mail.connection import MAX_LINE, Connection
from mockserver.mail.part import Part, RefusedError
from mockserver.mail.syntax import Parameters, check_address, read_parameters, read_path
from mockserver.world.model import Relay

_MAX_RECIPIENTS: Final = 100  # RFC 5321, 4.5.3.1.8
_MAX_COMMANDS: Final = 1_000
_LINES_AT_ONCE: Final = 1_000

_AUTH: Final = re.compile(rb"AUTH +([A-Z0-9_-]{1,20})(?: +(.*))?", re.IGNORECASE | re.DOTALL)


@dataclass
class _Peer:
    """What the client said of itself; forgotten when TLS begins (RFC 3207, 4.2)."""

    name: str = ""
    extended: bool = False
    features: Sequence[str] = ()  # what the relay offers it in answer to EHLO
    login: LoggedIn = field(default_factory=LoggedIn)


@dataclass
class _Transaction:
    """What the client said of a mail; the sender is None before MAIL, and empty for `<>`."""

    sender: str | None = None
    parameters: Parameters = field(default_factory=dict)
    recipients: list[tuple[str, Parameters]] = field(default_factory=list)


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
        self._mail_began: int | None = None  # at which line; None before the first MAIL
        self._of_others: set[int] = set()  # the lines that belong to earlier mails

    async def converse(self) -> None:
        """Greet the client, and answer its commands until the connection ends."""
        connection, relay = self._connection, self._part.relay
        await self._stage("connect")
        if self._part.implicit:
            self._part.session.tls_mode = "implicit"
            await connection.start_tls(self._tls_context(), implicit=True)
        self._part.session.stage = "greeting"
        try:
            await self._stage("greeting")
        except RefusedError as refused:
            await connection.say(str(refused))
            return
        await connection.say(f"220 {self._name} {'E' if relay.esmtp else ''}SMTP keyfactor-mock")
        for _ in range(_MAX_COMMANDS):
            await self._obey(await connection.read_line())
            if connection.transport.is_closing():
                return
        await connection.say("421 4.7.0 Too many commands")

    async def _stage(self, stage: str, address: str | None = None) -> None:
        await self._part.play(stage, self._connection.transport, address)

    async def _obey(self, line: bytes | None) -> None:
        word, _, rest = (line or b"").rstrip(b"\r\n").partition(b" ")
        name = word.upper().decode("ascii", "replace")
        verb = _VERBS.get(name)
        if verb is not None and verb.stage:
            self._part.session.stage = verb.stage
        self._connection.dialogue.add("C", _shown(line, known=verb is not None))
        try:
            if line is None or (len(line) > MAX_LINE and name != "AUTH"):
                reply: str | None = "500 5.5.6 Line too long"
            else:
                reply = await self._answer(name, verb, rest.strip())
        except RefusedError as refused:
            reply = str(refused)
        if reply is not None:
            await self._connection.say(reply)

    async def _answer(self, name: str, verb: "_Verb | None", argument: bytes) -> str | None:
        if verb is None:
            return "500 5.5.2 Command not recognized"
        if bool(argument) != bool(verb.syntax) and not verb.syntax.startswith("["):
            return f"501 5.5.4 Syntax: {name} {verb.syntax}".rstrip()
        if isinstance(verb.answer, str):
            return verb.answer
        return await verb.answer(self, argument.decode("utf-8", "surrogateescape"))

    # What the relay offers

    def _features(self) -> list[str]:
        relay = self._part.relay
        switches = {
            f"SIZE {relay.max_size}": relay.size,
            "PIPELINING": relay.pipelining,
            "ENHANCEDSTATUSCODES": relay.enhancedstatuscodes,
            "DSN": relay.dsn,
            "SMTPUTF8": relay.smtputf8,
            "STARTTLS": self._offers_starttls,
            f"AUTH {' '.join(self._mechanisms)}": self._mechanisms and not self._needs_tls,
            "8BITMIME": relay.eightbitmime,
        }
        return [line for line, offered in switches.items() if offered]

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
        name = once(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        await self._stage("ehlo")
        if extended and not self._part.relay.esmtp:
            raise RefusedError("502 5.5.1 EHLO not implemented")
        self._mail = _Transaction()
        self._peer.name, self._peer.extended = name, extended
        self._peer.features = self._features() if extended else ()
        self._part.session.helo = name
        return "\n".join(f"250 {line}" for line in (self._name, *self._peer.features))

    async def starttls(self, _: str) -> None:
        """Encrypt the connection, and forget all that was said before (RFC 3207, 4.2)."""
        if not self._offers_starttls:
            raise RefusedError("502 5.5.1 STARTTLS not available")
        await self._stage("starttls")
        await self._connection.say("220 2.0.0 Ready to start TLS")
        self._part.session.tls_mode = "starttls"
        await self._connection.start_tls(self._tls_context())
        self._peer = _Peer()
        self._mail = _Transaction()
        self._mail_began = None

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
        self._mail_began = None  # the login is for every mail that follows
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
        if self._mail_began is None:
            self._mail_began = len(self._connection.dialogue.lines) - 1
        if not self._peer.name:
            raise RefusedError("503 5.5.1 Send EHLO first")
        if self._mail.sender is not None:
            raise RefusedError("503 5.5.1 There is a sender already")
        sender, words = read_path("FROM:", argument)
        parameters = read_parameters(words, self._peer.features)
        await self._stage("mail", sender)
        self._check_sender(sender, parameters)
        self._mail = _Transaction(sender, parameters)
        return "250 2.1.0 OK"

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
        parameters = read_parameters(words, self._peer.features, of_rcpt=True)
        await self._stage("rcpt", recipient)
        if not recipient:
            raise RefusedError("553 5.1.3 A recipient must not be empty")
        if len(self._mail.recipients) >= _MAX_RECIPIENTS:
            raise RefusedError("452 4.5.3 Too many recipients")
        check_address(recipient, utf8="SMTPUTF8" in self._mail.parameters)
        self._mail.recipients.append((recipient, parameters))
        return "250 2.1.5 OK"

    async def data(self, _: str) -> None:
        """Take a message, and keep it before the client hears so."""
        if not self._mail.recipients:
            raise RefusedError("503 5.5.1 Need MAIL and RCPT first")
        await self._connection.say("354 End data with <CR><LF>.<CR><LF>")
        content, refusal = await _read_content(self._connection, self._part.relay)
        try:
            await self._stage("data")
            utf8 = "SMTPUTF8" in self._mail.parameters or not self._part.relay.strict
            reply = refusal or _refuse_content(content, utf8=utf8) or self._keep(content)
        except RefusedError as refused:
            reply = str(refused)
        self._mail = _Transaction()
        await self._connection.say(reply)
        # The next message of this session is kept without this part of the dialogue.
        said = len(self._connection.dialogue.lines)
        self._of_others.update(range(self._mail_began or 0, said))
        self._mail_began = said

    def _keep(self, content: bytes) -> str:
        part, login = self._part, self._peer.login
        message_id = new_id()
        reply = f"250 2.0.0 Kept as {message_id}"
        lines = enumerate(self._connection.dialogue.lines)
        own = ((who, line) for at, (_, who, line) in lines if at not in self._of_others)
        mail, recipients = self._mail, self._mail.recipients
        given = mail.parameters, *[each for _, each in recipients]
        message = Message(
            raw=content,
            envelope=_envelope(mail.sender or "", tuple([each for each, _ in recipients])),
            helo=self._peer.name,
            parameters=_given(*[tuple(each.items()) for each in given]),
            relay=part.endpoint,
            tls_mode=part.session.tls_mode,
            tls_version=self._connection.tls_version,
            mechanism=login.mechanism,
            username=login.username,
            dialogue=(*own, ("S", reply)),
            request_id=part.request_id,
            identity=part.identity,
            id=message_id,
        )
        part.keep(message)
        part.session.message_ids.append(message_id)
        return reply

    async def rset(self, _: str) -> str:
        """Forget the transaction."""
        self._mail = _Transaction()
        return "250 2.0.0 OK"

    async def advise(self, verb: str) -> str:
        """Say how one verb is written, or each of them."""
        names = [name for name in _VERBS if name == verb.upper()] or _VERBS
        return "\n".join(f"214 2.0.0 {name} {_VERBS[name].syntax}".rstrip() for name in names)


class _Verb(NamedTuple):
    """What follows a verb, in brackets if it is optional, and the reply or the method for it."""

    syntax: str
    answer: Callable[[Session, str], Awaitable[str | None]] | str
    stage: str = ""


_VERBS: Final[Mapping[str, _Verb]] = {
    "EHLO": _Verb("name", partial(Session.hello, extended=True), "ehlo"),
    "HELO": _Verb("name", partial(Session.hello, extended=False), "ehlo"),
    "STARTTLS": _Verb("", Session.starttls, "starttls"),
    "AUTH": _Verb("mechanism [initial-response]", Session.auth, "auth"),
    "MAIL": _Verb("FROM:<address> [parameters]", Session.mail, "mail"),
    "RCPT": _Verb("TO:<address> [parameters]", Session.rcpt, "rcpt"),
    "DATA": _Verb("", Session.data, "data"),
    "RSET": _Verb("", Session.rset),
    # RFC 5321, 3.5.3: 252 promises nothing, and only VRFY must be known.
    "VRFY": _Verb("address", "252 2.5.0 Not verified; try to send to it"),
    "EXPN": _Verb("list", "502 5.5.1 EXPN not implemented"),
    "HELP": _Verb("[verb]", Session.advise),
    "NOOP": _Verb("[text]", "250 2.0.0 OK"),
    "QUIT": _Verb("", "221 2.0.0 Bye"),
}


_envelope: Final = lru_cache(maxsize=8)(Envelope)  # the journal holds each of them once
_Pairs = tuple[tuple[str, str], ...]


@lru_cache(maxsize=8)  # as above
def _given(mail: _Pairs, *rcpt: _Pairs) -> Given:
    return Given(dict(mail), tuple(map(dict, rcpt)))


@lru_cache(maxsize=128)
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


async def _read_content(connection: Connection, relay: Relay) -> tuple[bytes, str | None]:
    """Read to the final dot; return the content, and the reply if that is refused already."""
    content = _Content(relay)
    lines = 0
    while not any(map(content.ends, pieces := await connection.read_pieces())):
        lines += len(pieces)
        if lines >= _LINES_AT_ONCE:
            lines = 0
            await asyncio.sleep(0)  # very short lines would keep others waiting
    connection.dialogue.add("C", f"<{content.size} octets>")
    return bytes(content.octets), content.refusal


class _Content:
    """A mail as it comes, piece by piece; `refusal` is the reply where a relay does not take it."""

    def __init__(self, relay: Relay) -> None:
        self.octets = bytearray()
        self.size = 0
        self.refusal: str | None = None
        self._relay = relay
        self._begins = True  # a line, of which there may be several pieces

    def ends(self, text: bytes) -> bool:
        """Take a piece, and say whether it is the final dot."""
        if self._begins and text == b".\r\n":
            return True
        whole = self._begins and text.endswith(b"\r\n")
        text = text.removeprefix(b".") if self._begins else text
        self._begins = text.endswith(b"\r\n")
        self.size += len(text)
        if self._relay.strict and not (whole and len(text) <= MAX_LINE):
            self.refusal = self.refusal or "500 5.6.0 Line too long"
        elif self.size > self._relay.max_size:
            self.refusal = self.refusal or "552 5.3.4 Message too big"
        if self.refusal is None:
            self.octets += text
        return False


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

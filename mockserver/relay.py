"""The client side of mail: compose the test message, and deliver it by SMTP stage by stage."""

import asyncio
import json
import re
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import Final, cast

from aiosmtplib.auth import auth_login_encode, auth_plain_encode, auth_xoauth2_encode
from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from mockserver.masking import Secret
from mockserver.problems import Code, Problem
from mockserver.trace import Attempt, Endpoint, new_id
from mockserver.world import host_name

IMPLICIT_PORT: Final = 465  # RFC 8314, 3.3
LOCAL_NAME: Final = "keyfactor-command.test"
SUBJECT: Final = "Keyfactor Command test message"
QUIT_SECONDS: Final = 2

MAX_LINE: Final = 78  # what a line should have at most; it must have at most 998 (RFC 5322, 2.1.1)
MAX_PHRASE: Final = 400  # perhaps without a blank to fold at, and a backslash before each character
CHUNK_BYTES: Final = 45  # of UTF-8: an encoded word of 72 octets, at most 75 (RFC 2047, 2)
MAX_REPLY: Final = 500

# RFC 5321, 4.1.2, with what RFC 6531, 3.3 adds; white space needs quotes, of whatever script.
_ATOM: Final = r"[^\x00-\x20\x7f\s\"(),.:;<>@\[\\\]]+"
_DOT_STRING: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_STRING: Final = re.compile(r'"(?:[^"\\]|\\[ -~])*"')
_LITERAL: Final = re.compile(r"\[[0-9A-Za-z:.]+\]")
_PHRASE = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
# Nothing is folded behind the name of a header: not every parser expects an empty line there.
_WORD = re.compile(r"^[^ ]+ [^ ]+| *[^ ]+")

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_BAD_CERTIFICATES: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed and not trusted",
    19: "is of an authority that is not trusted",
    20: "is of an authority that is not trusted",
    21: "is of an authority that is not trusted",
    62: "is for another host name",
    64: "is for another address",
}

# The first that fits: aiosmtplib's errors are of several kinds at once.
_REASONS: Final = (
    (TimeoutError, "no answer within {timeout:g} seconds"),
    (socket.gaierror, "its name cannot be resolved"),
    (ConnectionRefusedError, "it refused the connection"),
    (ConnectionError, "it closed the connection"),
    (SMTPResponseException, "its answer is not SMTP"),
)


class TlsMode(StrEnum):
    """Name the ways in which a connection may be encrypted."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True)
class Login:
    """A user name and a password, for the mechanisms PLAIN and LOGIN."""

    username: str
    password: Secret


@dataclass(frozen=True)
class TokenLogin:
    """A mailbox and an access token, for the mechanisms XOAUTH2 and OAUTHBEARER."""

    username: str
    token: Secret


@dataclass(frozen=True)
class Submission:
    """One test mail to deliver.

    `host` is a name of A-labels without a trailing dot, or an IP literal without brackets, as
    certificates have it; `timeout` is for the whole delivery, in seconds. A relay that `speaks_tls`
    does so from the first octet, whatever was asked for.
    """

    host: str
    port: int
    tls_mode: TlsMode
    sender_name: str
    sender: str
    recipient: str
    login: Login | TokenLogin | None = None
    timeout: float = 30
    speaks_tls: bool = False

    @property
    def relay(self) -> Endpoint:
        """Give host and port."""
        return Endpoint(self.host, self.port)


def tls_mode(*, use_ssl: bool, port: int) -> TlsMode:
    """Tell how UseSSL and the port are to be understood; the product does not document it."""
    if not use_ssl:
        return TlsMode.NONE
    return TlsMode.IMPLICIT if port == IMPLICIT_PORT else TlsMode.STARTTLS


def compose(submission: Submission, now: datetime, message_id: str) -> bytes:
    """Write the test mail; `message_id` is the part before the @.

    It is put together as text, since `EmailMessage` takes half as long as the delivery. Addresses
    stand in it as `mailbox` writes them.
    """
    name = _phrase(submission.sender_name) or " ".join(_encoded_words(submission.sender_name))
    recipient = mailbox(submission.recipient)
    return (
        f"{_folded(f'From: {name} <{mailbox(submission.sender)}>')}\r\n"
        f"{_folded(f'To: {recipient}' if _divided(recipient)[1] else f'To: <{recipient}>')}\r\n"
        f"Subject: {SUBJECT}\r\n"
        f"Date: {format_datetime(now)}\r\n"
        f"Message-ID: <{message_id}@{LOCAL_NAME}>\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: text/plain; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "This is a test message from Keyfactor Command.\r\n"
        "\r\n"
        "It was sent to check the SMTP settings; there is nothing to do.\r\n"
        f"Relay: {submission.relay}, TLS: {submission.tls_mode}\r\n"
    ).encode()


def _folded(header: str) -> str:
    """Fold a header at its blanks, of which none is lost (RFC 5322, 2.2.3)."""
    first, *words = _WORD.findall(header)
    lines = [first]
    for word in words:
        if len(lines[-1]) + len(word) <= MAX_LINE:
            lines[-1] += word
        else:
            lines.append(word)
    return "\r\n".join(lines)


def mailbox(text: str) -> str:
    """Return an address, or any text that stands in the place of one, as mail has it.

    It is what stands between the angle brackets of a path (RFC 5321, 4.1.2) and of a header alike.
    What is not quoted and must be is quoted; a text without a domain is a local part as a whole.
    The text must have no control characters, and angle brackets only where it is quoted.
    """
    local, domain = _divided(text)
    # In a header, some readers would decode what looks like an encoded word.
    is_plain = _DOT_STRING.fullmatch(local) and "=?" not in local
    if is_plain or _QUOTED_STRING.fullmatch(local):
        return text
    return '"' + re.sub(r'["\\]|=(?=\?)', r"\\\g<0>", local) + '"' + domain


def _divided(address: str) -> tuple[str, str]:
    """Return the local part, and the domain with its @, or nothing where there is no domain."""
    local, _, domain = address.rpartition("@")
    if local and (_DOT_STRING.fullmatch(domain) or _LITERAL.fullmatch(domain)):
        return local, f"@{domain}"
    return address, ""


def _phrase(name: str) -> str | None:
    """Return the name as a phrase or a quoted string (RFC 5322, 3.2), if it can be one."""
    if len(name) > MAX_PHRASE or "=?" in name or not _PRINTABLE.fullmatch(name):
        return None
    if _PHRASE.fullmatch(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encoded_words(text: str) -> Iterator[str]:
    """Encode by RFC 2047, no character divided between two words."""
    chunk = b""
    for character in text:
        encoded = character.encode()
        if len(chunk) + len(encoded) > CHUNK_BYTES:
            yield _encoded_word(chunk)
            chunk = b""
        chunk += encoded
    yield _encoded_word(chunk)


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{b64encode(chunk).decode()}?="


def oauthbearer_encode(submission: Submission, login: TokenLogin) -> bytes:
    """Encode the client's response of OAUTHBEARER (RFC 7628, 3.1)."""
    # RFC 5801, 4: a comma and an equals sign have a meaning in the header before the names.
    name = login.username.replace("=", "=3D").replace(",", "=2C")
    pairs = (
        f"n,a={name},",
        f"host={submission.host}",
        f"port={submission.port}",
        f"auth=Bearer {login.token.reveal()}",
    )
    return b64encode("".join(f"{pair}\x01" for pair in (*pairs, "")).encode())


def _challenge_status(challenge: str) -> str:
    """Return the status in a relay's challenge to a token (RFC 7628, 3.2.2)."""
    try:
        value = json.loads(b64decode(challenge, validate=True))
    except (ValueError, RecursionError):
        value = None
    status = value.get("status") if isinstance(value, dict) else None
    return str(status or "unreadable")[:MAX_REPLY]


class _RefusedTokenError(SMTPResponseException):
    """A relay refused a token, and said why in a challenge before its reply."""

    def __init__(self, response: SMTPResponse, challenge: str) -> None:
        super().__init__(response.code, response.message)
        self.status = _challenge_status(challenge)


async def deliver(
    submission: Submission,
    dial: Callable[[], Awaitable[socket.socket]],
    trust: Callable[[], ssl.SSLContext],
    delivery: Attempt,
) -> None:
    """Deliver the test mail over the connection that `dial` opens.

    `delivery` gets stage, mechanism and reply on the way. Raises Problem with the code of the stage
    that failed. `trust` gives the context that certificates are verified with, if it comes to that.
    """
    client = _Client(submission, delivery)
    try:
        async with asyncio.timeout(submission.timeout):
            await client.connect(dial, trust)
            await client.send()
    except (SMTPException, OSError) as error:
        raise _problem(error, submission, delivery) from error
    else:
        await client.quit()
    finally:
        client.close()


class _Client:
    """One SMTP connection, as the client sees it."""

    def __init__(self, submission: Submission, delivery: Attempt) -> None:
        self._submission = submission
        self._delivery = delivery
        self._protocol = SMTPProtocol()
        self._extensions: dict[str, str] = {}
        self._mechanisms: list[str] = []

    async def connect(
        self, dial: Callable[[], Awaitable[socket.socket]], trust: Callable[[], ssl.SSLContext]
    ) -> None:
        """Dial, encrypt as asked, and say hello."""
        mode = self._submission.tls_mode
        sock = await self._dial(dial)
        if self._submission.speaks_tls and mode is not TlsMode.IMPLICIT:
            sock.close()
            self._delivery.stage = "tls"
            raise SMTPException(_unheard(self._submission))
        context = trust() if mode is TlsMode.IMPLICIT else None
        self._delivery.stage = "tls" if context else "connect"
        await asyncio.get_running_loop().create_connection(
            lambda: self._protocol,
            sock=sock,
            ssl=context,
            server_hostname=self._submission.host if context else None,
        )
        self._delivery.stage = "greeting"
        self._expect(await self._protocol.read_response(), 220)
        await self._hello()
        if mode is TlsMode.STARTTLS:
            await self._start_tls(trust())
            await self._hello()

    async def send(self) -> None:
        """Log in if there is a login, and send the mail."""
        submission = self._submission
        if submission.login:
            self._delivery.stage = "auth"
            await self._log_in(submission.login)
        submission = _addressed(submission, utf8="smtputf8" in self._extensions)
        message = compose(submission, datetime.now(UTC), new_id())
        self._delivery.stage = "mail"
        options = self._options(submission, len(message))
        await self._command(b"MAIL", f"FROM:<{submission.sender}>".encode(), *options)
        self._delivery.stage = "rcpt"
        await self._command(b"RCPT", f"TO:<{submission.recipient}>".encode())
        self._delivery.stage = "data"
        self._expect(await self._protocol.execute_data_command(message), 250)

    async def quit(self) -> None:
        """Say goodbye; the mail is delivered whatever comes of it."""
        with suppress(SMTPException, OSError):
            async with asyncio.timeout(QUIT_SECONDS):
                await self._protocol.execute_command(b"QUIT")

    def close(self) -> None:
        """Cut the connection where there is one."""
        if self._protocol.transport is not None:
            cast("asyncio.Transport", self._protocol.transport).abort()

    async def _dial(self, dial: Callable[[], Awaitable[socket.socket]]) -> socket.socket:
        self._delivery.stage = "connect"
        try:
            return await dial()
        except socket.gaierror:
            self._delivery.stage = "resolve"
            raise

    async def _hello(self) -> None:
        """Say EHLO, or where that is unknown and not needed HELO (RFC 5321, 2.2.1 and 3.2)."""
        self._delivery.stage = "ehlo"
        needed = self._submission.login or self._submission.tls_mode is TlsMode.STARTTLS
        try:
            response = await self._command(b"EHLO", LOCAL_NAME.encode())
        except SMTPResponseException as refused:
            if needed or refused.code not in {500, 502}:
                raise
            await self._command(b"HELO", LOCAL_NAME.encode())
        else:
            self._extensions, self._mechanisms = parse_esmtp_extensions(response.message)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        self._delivery.stage = "starttls"
        self._need("STARTTLS", "which UseSSL asks for")
        self._delivery.stage = "tls"
        try:
            await self._protocol.start_tls(context, server_hostname=self._submission.host)
        except SMTPResponseException:
            self._delivery.stage = "starttls"
            raise

    async def _log_in(self, login: Login | TokenLogin) -> None:
        if isinstance(login, Login):
            await self._by_password(login)
        else:
            await self._by_token(login)

    async def _by_token(self, login: TokenLogin) -> None:
        if "xoauth2" in self._mechanisms:
            mechanism, answer = "XOAUTH2", b""
            response = auth_xoauth2_encode(login.username, login.token.reveal())
        elif "oauthbearer" in self._mechanisms:
            mechanism, answer = "OAUTHBEARER", b"AQ=="  # RFC 7628, 3.2.3: one octet 0x01
            response = oauthbearer_encode(self._submission, login)
        else:
            raise SMTPException("it offers neither AUTH XOAUTH2 nor AUTH OAUTHBEARER")
        self._delivery.mechanism = mechanism
        reply = await self._protocol.execute_command(b"AUTH", mechanism.encode(), response)
        if reply.code == 334:  # noqa: PLR2004  # a challenge, which is how a refusal begins
            refusal = await self._protocol.execute_command(answer)
            raise _RefusedTokenError(refusal, reply.message)
        self._expect(reply, 235)

    async def _by_password(self, login: Login) -> None:
        """Log in by the strongest mechanism that both sides know: PLAIN is one step, LOGIN two."""
        username, password = login.username, login.password.reveal()
        if "plain" in self._mechanisms:
            self._delivery.mechanism = "PLAIN"
            await self._command(b"AUTH", b"PLAIN", auth_plain_encode(username, password), code=235)
        elif "login" in self._mechanisms:
            self._delivery.mechanism = "LOGIN"
            name, word = auth_login_encode(username, password)
            await self._command(b"AUTH", b"LOGIN", name, code=334)
            await self._command(word, code=235)
        else:
            raise SMTPException("it offers neither AUTH PLAIN nor AUTH LOGIN")

    def _options(self, submission: Submission, size: int) -> Iterator[bytes]:
        """Give the parameters of MAIL, SMTPUTF8 only where an address needs it (RFC 6531)."""
        if "size" in self._extensions:
            yield f"SIZE={size}".encode()
        for address in (submission.sender, submission.recipient):
            if not address.isascii():
                for extension in ("SMTPUTF8", "8BITMIME"):
                    self._need(extension, f"which the address {address} needs")
                yield from (b"BODY=8BITMIME", b"SMTPUTF8")
                return

    def _need(self, extension: str, reason: str) -> None:
        if extension.lower() not in self._extensions:
            raise SMTPException(f"it does not offer {extension}, {reason}")

    async def _command(self, *words: bytes, code: int = 250) -> SMTPResponse:
        return self._expect(await self._protocol.execute_command(*words), code)

    def _expect(self, response: SMTPResponse, code: int) -> SMTPResponse:
        if response.code != code:
            raise SMTPResponseException(response.code, response.message)
        self._delivery.reply = _reply(response.code, response.message)
        return response


def _addressed(submission: Submission, *, utf8: bool) -> Submission:
    """Return the submission with its addresses as this relay takes them."""
    sender, recipient = map(mailbox, (submission.sender, submission.recipient))
    if not utf8:
        sender, recipient = map(_with_a_label, (sender, recipient))
    return replace(submission, sender=sender, recipient=recipient)


def _with_a_label(address: str) -> str:
    """Return the address with its domain in ASCII, if that can be done."""
    local, domain = _divided(address)
    try:
        return address if domain.isascii() else f"{local}@{host_name(domain[1:])}"
    except ValueError:
        return address


def _unheard(submission: Submission) -> str:
    """Say why a relay that waits for TLS would never hear what this client says."""
    advice = "set UseSSL" if submission.tls_mode is TlsMode.NONE else "UseSSL is STARTTLS there"
    return f"it speaks TLS from the first octet on port {submission.port}; {advice}"


def _reply(code: int, message: str) -> str:
    # aiosmtplib decodes with surrogates, which no JSON can hold.
    text = message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return f"{code} {' '.join(text.split())}"[:MAX_REPLY]


def _problem(error: Exception, submission: Submission, delivery: Attempt) -> Problem:
    """Say what failed at which stage; the only place where errors of mail become a problem."""
    code = Code[f"MAIL_{delivery.stage.upper()}"]
    delivery.reply = None
    if isinstance(error, SMTPResponseException) and error.code > 0:
        delivery.reply = _reply(error.code, error.message)
    reason = delivery.reply or _reason(error, submission.timeout)
    if isinstance(error, _RefusedTokenError):
        reason += f" (it challenged the token: status {error.status})"
    return Problem(
        400, code, f"The relay {submission.relay} failed at stage {delivery.stage}: {reason}"
    )


def _reason(error: Exception, timeout: float) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate {_BAD_CERTIFICATES.get(error.verify_code, 'is not valid')}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS handshake ({error.reason or 'it was cut short'})"
    known = (text for kind, text in _REASONS if isinstance(error, kind))
    return next(known, "{error}").format(timeout=timeout, error=error)

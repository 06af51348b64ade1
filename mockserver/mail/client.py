"""The client side of mail: deliver a submission by SMTP, stage by stage."""

import asyncio
import json
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, cast

from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from mockserver.base.problems import Kind, Problem
from mockserver.base.sasl import MECHANISMS
from mockserver.journal.trace import Attempt, new_id
from mockserver.mail.pipe import Pipe
from mockserver.mail.submission import LOCAL_NAME, Login, Submission, TlsMode, addressed, compose

_Dial = Callable[[], Awaitable[socket.socket | Pipe]]

_read_extensions: Final = lru_cache(maxsize=64)(parse_esmtp_extensions)  # most offer the same
_QUIT_SECONDS: Final = 2
_MAX_REPLY: Final = 500

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

# The first match counts, as aiosmtplib's errors have several of these bases.
_REASONS: Final = (
    (TimeoutError, "no answer within {timeout:g} seconds"),
    (socket.gaierror, "its name cannot be resolved"),
    (ConnectionRefusedError, "it refused the connection"),
    (ConnectionError, "it closed the connection"),
    (SMTPResponseException, "its answer is not SMTP"),
)


def _challenge_status(challenge: str) -> str:
    """Return the status in a relay's challenge to a token (RFC 7628, 3.2.2)."""
    try:
        value = json.loads(b64decode(challenge, validate=True))
    except (ValueError, RecursionError):
        value = None
    status = value.get("status") if isinstance(value, dict) else None
    return str(status or "unreadable")[:_MAX_REPLY]


class _RefusedTokenError(SMTPResponseException):
    """A relay refused a token, and said why in a challenge before its reply."""

    def __init__(self, response: SMTPResponse, challenge: str) -> None:
        super().__init__(response.code, response.message)
        self.status = _challenge_status(challenge)


async def deliver(
    submission: Submission,
    dial: _Dial,
    trust: Callable[[], ssl.SSLContext],
    delivery: Attempt,
) -> None:
    """Deliver the test mail over the connection that `dial` opens.

    `trust` is asked for the context that verifies certificates only if there is TLS. `delivery`
    records stage, mechanism and reply. Raises Problem with the code of the stage that failed.
    """
    client = _Client(submission, delivery)
    try:
        async with asyncio.timeout(submission.timeout) as limit:
            await client.connect(dial, trust)
            await client.send()
            limit.reschedule(asyncio.get_running_loop().time() + _QUIT_SECONDS)
            await client.quit()
    except (SMTPException, OSError) as error:
        if not client.sent:
            raise _problem(error, submission, delivery) from error
    finally:
        client.close()


class _Client:
    """One SMTP connection, as the client sees it."""

    def __init__(self, submission: Submission, delivery: Attempt) -> None:
        self._submission = submission
        self._delivery = delivery
        self._protocol = SMTPProtocol()
        self.sent = False
        self._extensions: dict[str, str] = {}
        self._mechanisms: list[str] = []

    async def connect(self, dial: _Dial, trust: Callable[[], ssl.SSLContext]) -> None:
        """Dial, encrypt as asked, and say hello."""
        mode = self._submission.tls_mode
        self._delivery.stage = "connect"
        line = await dial()
        if self._submission.speaks_tls and mode is not TlsMode.IMPLICIT:
            line.close()
            self._delivery.stage = "tls"
            raise SMTPException(_unheard(self._submission))
        context = trust() if mode is TlsMode.IMPLICIT else None
        self._delivery.stage = "tls" if context else "connect"
        if isinstance(line, Pipe):
            line.attach(self._protocol)
        else:
            await asyncio.get_running_loop().create_connection(
                lambda: self._protocol,
                sock=line,
                ssl=context,
                server_hostname=self._submission.host if context else None,
            )
        self._delivery.stage = "greeting"
        _expect(await self._protocol.read_response(), 220)
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
        submission = addressed(submission, utf8="smtputf8" in self._extensions)
        message = compose(submission, datetime.now(UTC), new_id())
        self._delivery.stage = "mail"
        options = self._options(submission, len(message))
        await self._command(b"MAIL", f"FROM:<{submission.sender}>".encode(), *options)
        self._delivery.stage = "rcpt"
        await self._command(b"RCPT", f"TO:<{submission.recipient}>".encode())
        self._delivery.stage = "data"
        self._delivery.reply = _reply(await self._protocol.execute_data_command(message))
        self.sent = True

    async def quit(self) -> None:
        """Say goodbye."""
        await self._protocol.execute_command(b"QUIT")

    def close(self) -> None:
        """Cut the connection, if there is one."""
        if self._protocol.transport is not None:
            cast("asyncio.Transport", self._protocol.transport).abort()

    async def _hello(self) -> None:
        """Say EHLO, or HELO to a server that knows no other, if that will do (RFC 5321, 3.2)."""
        self._delivery.stage = "ehlo"
        needed = self._submission.login or self._submission.tls_mode is TlsMode.STARTTLS
        try:
            response = await self._command(b"EHLO", LOCAL_NAME.encode())
        except SMTPResponseException as refused:
            if needed or refused.code not in {500, 502}:
                raise
            await self._command(b"HELO", LOCAL_NAME.encode())
        else:
            self._extensions, self._mechanisms = _read_extensions(response.message)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        self._delivery.stage = "starttls"
        self._need("STARTTLS", "which UseSSL asks for")
        self._delivery.stage = "tls"
        try:
            await self._protocol.start_tls(context, server_hostname=self._submission.host)
        except SMTPResponseException:
            self._delivery.stage = "starttls"
            raise

    async def _log_in(self, login: Login) -> None:
        """Log in by the first mechanism of the table that fits the login and is offered."""
        names = [name for name, each in MECHANISMS.items() if each.by_token is login.by_token]
        name = next((name for name in names if name.lower() in self._mechanisms), None)
        if name is None:
            raise SMTPException(f"it offers neither {' nor '.join(f'AUTH {n}' for n in names)}")
        self._delivery.mechanism = name
        mechanism, to = MECHANISMS[name], self._submission
        words = mechanism.write(login.username, login.proof.reveal(), to.host, to.port)
        first, *others = (b64encode(word.encode()) for word in words)
        reply = await self._protocol.execute_command(b"AUTH", name.encode(), first)
        for word in others:
            _expect(reply, 334)
            reply = await self._protocol.execute_command(word)
        if reply.code == 334 and login.by_token:  # noqa: PLR2004  # a refusal begins with a challenge
            refusal = await self._protocol.execute_command(b64encode(mechanism.dismissal))
            raise _RefusedTokenError(refusal, reply.message)
        _expect(reply, 235)

    def _options(self, submission: Submission, size: int) -> Iterator[bytes]:
        """Yield the parameters of MAIL: SMTPUTF8 only if an address needs it (RFC 6531)."""
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

    async def _command(self, *words: bytes) -> SMTPResponse:
        return _expect(await self._protocol.execute_command(*words), 250)


def _expect(response: SMTPResponse, code: int) -> SMTPResponse:
    if response.code != code:
        raise SMTPResponseException(response.code, response.message)
    return response


def _unheard(submission: Submission) -> str:
    """Say why there is no conversation: this client speaks, and the relay waits for TLS."""
    advice = "set UseSSL" if submission.tls_mode is TlsMode.NONE else "UseSSL is STARTTLS there"
    return f"it speaks TLS from the first octet on port {submission.port}; {advice}"


def _reply(response: SMTPResponse | SMTPResponseException) -> str:
    # aiosmtplib decodes with surrogates, which no JSON can hold.
    text = response.message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return f"{response.code} {' '.join(text.split())}"[:_MAX_REPLY]


def _problem(error: Exception, submission: Submission, delivery: Attempt) -> Problem:
    """Return what a client of the API is told of a failed delivery, and record it."""
    if isinstance(error, socket.gaierror):
        delivery.stage = "resolve"
    delivery.reply = None
    if isinstance(error, SMTPResponseException) and error.code > 0:
        delivery.reply = _reply(error)
    reason = delivery.reply or _reason(error, submission.timeout)
    if isinstance(error, _RefusedTokenError):
        reason += f" (it challenged the token: status {error.status})"
    return Problem(
        Kind(f"mail_{delivery.stage}"),
        f"The relay {submission.relay} failed at stage {delivery.stage}: {reason}",
    )


def _reason(error: Exception, timeout: float) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate {_BAD_CERTIFICATES.get(error.verify_code, 'is not valid')}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS handshake ({error.reason or 'it was cut short'})"
    known = (text for kind, text in _REASONS if isinstance(error, kind))
    return next(known, "{error}").format(timeout=timeout, error=error)

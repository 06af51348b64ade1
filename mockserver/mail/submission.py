"""What is to be sent: a submission, and the test mail as it is written."""

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from mockserver.base.masking import Secret
from mockserver.base.text import host_name
from mockserver.journal.trace import Endpoint

_IMPLICIT_PORT: Final = 465  # RFC 8314, 3.3
LOCAL_NAME: Final = "keyfactor-command.test"
_SUBJECT: Final = "Keyfactor Command test message"

_MAX_LINE: Final = 78  # characters that a line should have; it may have 998 (RFC 5322, 2.1.1)
_MAX_PHRASE: Final = 400  # it may offer no place to fold, and need a backslash for each character
_CHUNK_BYTES: Final = 45  # of UTF-8: an encoded word of 72 octets, at most 75 (RFC 2047, 2)

# RFC 5321, 4.1.2, with what RFC 6531, 3.3 adds; white space needs quotes, of whatever script.
_ATOM: Final = r"[^\x00-\x20\x7f\s\"(),.:;<>@\[\\\]]+"
_DOT_STRING: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_STRING: Final = re.compile(r'"(?:[^"\\]|\\[ -~])*"')
_LITERAL: Final = re.compile(r"\[[0-9A-Za-z:.]+\]")
_PHRASE = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
# The first line has more than the header's name: not every parser takes an empty one.
_WORD = re.compile(r"^[^ ]+ [^ ]+| *[^ ]+")


class TlsMode(StrEnum):
    """Name the ways in which a connection may be encrypted."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class Login(NamedTuple):
    """A user name, and what proves it: a password, or `by_token` an access token."""

    username: str
    proof: Secret
    by_token: bool = False


class Submission(NamedTuple):
    """One test mail to deliver.

    `host` is written as in certificates: A-labels without a trailing dot, or an IP address without
    brackets. `timeout` is for the whole delivery, in seconds. `speaks_tls` tells that the relay
    begins TLS with the first octet, whatever the submission asks for.
    """

    host: str
    port: int
    tls_mode: TlsMode
    sender_name: str
    sender: str
    recipient: str
    login: Login | None = None
    timeout: float = 30
    speaks_tls: bool = False

    @property
    def needs_tls(self) -> bool:
        """Say whether any side of the conversation is to encrypt it."""
        return self.speaks_tls or self.tls_mode is not TlsMode.NONE

    @property
    def relay(self) -> Endpoint:
        """Give host and port."""
        return Endpoint(self.host, self.port)


def tls_mode(*, use_ssl: bool, port: int) -> TlsMode:
    """Return what UseSSL means on this port; the product does not document it."""
    if not use_ssl:
        return TlsMode.NONE
    return TlsMode.IMPLICIT if port == _IMPLICIT_PORT else TlsMode.STARTTLS


def compose(submission: Submission, now: datetime, message_id: str) -> bytes:
    """Write the test mail; `message_id` is the part before the @.

    It is put together as text: `EmailMessage` would take half as long as the whole delivery.
    """
    return (
        f"{_addresses(submission.sender_name, submission.sender, submission.recipient)}\r\n"
        f"Subject: {_SUBJECT}\r\n"
        f"Date: {_date(now.replace(microsecond=0))}\r\n"
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


_date: Final = lru_cache(maxsize=1)(format_datetime)


@lru_cache(maxsize=1)  # they seldom change, and a name may be long
def _addresses(sender_name: str, sender: str, recipient: str) -> str:
    name = _phrase(sender_name) or " ".join(_encoded_words(sender_name))
    recipient = _mailbox(recipient)
    to = recipient if _divided(recipient)[1] else f"<{recipient}>"
    return "\r\n".join(map(_folded, (f"From: {name} <{_mailbox(sender)}>", f"To: {to}")))


def _folded(header: str) -> str:
    """Fold a header at its blanks, of which none is lost (RFC 5322, 2.2.3)."""
    first, *words = _WORD.findall(header)
    lines = [first]
    for word in words:
        if len(lines[-1]) + len(word) <= _MAX_LINE:
            lines[-1] += word
        else:
            lines.append(word)
    return "\r\n".join(lines)


def _mailbox(text: str) -> str:
    """Return an address as it stands between angle brackets in a header and in a path.

    A local part is quoted if it has to be (RFC 5321, 4.1.2). A text without a domain is a local
    part as a whole. Control characters are not allowed, angle brackets only in quotes.
    """
    local, domain = _divided(text)
    # In a header, some readers would decode what looks like an encoded word.
    is_plain = _DOT_STRING.fullmatch(local) and "=?" not in local
    if is_plain or _QUOTED_STRING.fullmatch(local):
        return text
    return '"' + re.sub(r'["\\]|=(?=\?)', r"\\\g<0>", local) + '"' + domain


def _divided(address: str) -> tuple[str, str]:
    """Return the local part, and the domain with its @ or an empty text."""
    local, _, domain = address.rpartition("@")
    if local and (_DOT_STRING.fullmatch(domain) or _LITERAL.fullmatch(domain)):
        return local, f"@{domain}"
    return address, ""


def _phrase(name: str) -> str | None:
    """Return the name as a phrase or a quoted string (RFC 5322, 3.2), or None if it is neither."""
    if len(name) > _MAX_PHRASE or "=?" in name or not _PRINTABLE.fullmatch(name):
        return None
    if _PHRASE.fullmatch(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encoded_words(text: str) -> Iterator[str]:
    """Yield the text as encoded words (RFC 2047), of whole characters."""
    chunk = b""
    for character in text:
        encoded = character.encode()
        if len(chunk) + len(encoded) > _CHUNK_BYTES:
            yield _encoded_word(chunk)
            chunk = b""
        chunk += encoded
    yield _encoded_word(chunk)


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{b64encode(chunk).decode()}?="


def addressed(submission: Submission, *, utf8: bool) -> Submission:
    """Return the submission with addresses for the envelope; without `utf8`, with A-labels."""
    sender, recipient = map(_mailbox, (submission.sender, submission.recipient))
    if not utf8:
        sender, recipient = map(_with_a_label, (sender, recipient))
    if (sender, recipient) == (submission.sender, submission.recipient):
        return submission
    return submission._replace(sender=sender, recipient=recipient)


def _with_a_label(address: str) -> str:
    """Return the address with its domain in ASCII, if IDNA knows it."""
    local, domain = _divided(address)
    try:
        return address if domain.isascii() else f"{local}@{host_name(domain[1:])}"
    except ValueError:
        return address

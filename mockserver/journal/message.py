"""A mail that the sink kept, with all that is read of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from functools import cached_property, partial
from typing import ClassVar, Final, TypeVar, cast

from mockserver.base.jsontext import Json
from mockserver.journal import mailtext
from mockserver.journal.rows import letters, rows, texts
from mockserver.journal.trace import (
    Endpoint,
    Envelope,
    Headers,
    Parameters,
    Said,
    as_plain,
    new_id,
    plain,
)

_Read = TypeVar("_Read")

_MAX_SUBJECT: Final = 4_000  # characters by which a mail is found
_REMEMBERED: Final = 4_096  # octets of a mail of which is kept what was read of it
_WIDE: Final = 4  # octets of a character in memory, at most


@dataclass(frozen=True, kw_only=True)
class Message:
    """One mail that the sink kept; `raw` are its bytes as they came over the wire."""

    ended: ClassVar[bool] = True  # a mail is kept when all of it has come
    id: str = field(default_factory=new_id)
    request_id: str | None = None
    identity: str | None = None
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    relay: Endpoint
    tls_mode: str
    tls_version: str | None
    mechanism: str | None
    username: str | None
    envelope: Envelope
    helo: str | None = None
    parameters: Parameters = field(default_factory=partial(Parameters, {}, ()))
    dialogue: tuple[Said, ...] = rows(letters, texts)
    raw: bytes = field(repr=False)

    @property
    def parsed(self) -> EmailMessage:
        """Parse the mail as the standard library does, which may raise for a malformed one."""
        from email.policy import default  # noqa: PLC0415  # slow, and few ask

        return message_from_bytes(self.raw, policy=default)

    @property
    def text(self) -> str:
        """Give the plain text part, or an empty text where there is none."""
        return self._parts.text

    @property
    def html(self) -> str:
        """Give the HTML part, or an empty text where there is none."""
        return self._parts.html

    @cached_property
    def subject(self) -> str:
        """Give the decoded `Subject`, empty where there is none."""
        return self._header("Subject")[:_MAX_SUBJECT]

    @property
    def from_(self) -> str:
        """Give the decoded `From`: `from` is a word of the language."""
        return self._header("From")

    @property
    def to(self) -> str:
        """Give the decoded `To`, empty where there is none."""
        return self._header("To")

    @property
    def cc(self) -> str:
        """Give the decoded `Cc`, empty where there is none."""
        return self._header("Cc")

    @property
    def from_addresses(self) -> tuple[mailtext.Address, ...]:
        """Give the names and addresses of `From`."""
        return mailtext.Reading(self.raw).addresses("From")

    @property
    def to_addresses(self) -> tuple[mailtext.Address, ...]:
        """Give the names and addresses of `To`."""
        return mailtext.Reading(self.raw).addresses("To")

    @property
    def attachments(self) -> tuple[mailtext.Attachment, ...]:
        """Give the attachments, each with its content."""
        return self._parts.attachments

    @property
    def defects(self) -> tuple[str, ...]:
        """Say what a strict receiver would miss (RFC 5322, 3.6), or not take."""
        return mailtext.Reading(self.raw).defects()

    @property
    def size(self) -> int:
        """Give the octets of the mail."""
        return len(self.raw)

    @property
    def headers(self) -> Headers:
        """Give all headers, unfolded and decoded, in the order of the mail."""
        return self._remembered("headers", lambda: mailtext.Reading(self.raw).headers())

    @property
    def may_remember(self) -> int:
        """Give the octets that are kept of what was read, at most."""
        return _WIDE * (3 * self.size if self.size <= _REMEMBERED else _MAX_SUBJECT)

    @property
    def _parts(self) -> mailtext.Content:
        return self._remembered("parts", lambda: mailtext.Reading(self.raw).content())

    def _remembered(self, name: str, read: Callable[[], _Read]) -> _Read:
        """Return what is read, and keep it where the mail is small."""
        if self.size > _REMEMBERED:
            return read()
        kept = vars(self)
        if name not in kept:
            kept[name] = read()
        return cast("_Read", kept[name])

    def _header(self, wanted: str) -> str:
        return _first(self.headers, wanted)

    def as_json(self) -> Json:
        """Give the message as `GET /_mock/messages` shows it: its fields, and what is read of it.

        The octets themselves have a call of their own.
        """
        shown, reading = as_plain(self), mailtext.Reading(self.raw)
        headers, content = reading.headers(), reading.content()
        dialogue, _ = shown.pop("dialogue"), shown.pop("raw")
        read: Json = {
            name.lower(): _first(headers, name) for name in ("Subject", "From", "To", "Cc")
        }
        for name in ("From", "To"):
            read[f"{name.lower()}_addresses"] = plain(reading.addresses(name))
        files = [each.as_json() for each in content.attachments]
        read |= {"headers": headers, **content._asdict(), "attachments": files}
        read |= {"defects": reading.defects(), "size": self.size}
        return {**shown, **read, "dialogue": dialogue}


def _first(headers: Headers, wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted.lower()), "")

"""What comes from outside beside calls: SMTP sessions, and requests to the identity provider."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import ClassVar, Final

from mockserver.base.jsontext import Json
from mockserver.base.text import cut
from mockserver.journal.rows import letters, rows, texts
from mockserver.journal.trace import Dialogue, Endpoint, Said, TokenRequest, as_plain, new_id

_MAX_REFUSALS: Final = 100  # of one session; all that was said is in its dialogue
_MAX_TEXT: Final = 500


@dataclass(frozen=True)
class SessionRefusal:
    """A reply that refuses, or why TLS failed, and the stage of the session."""

    stage: str
    reply: str


@dataclass(frozen=True, kw_only=True)
class SmtpSession:
    """One SMTP connection from outside; `closed_at` is None as long as it is open."""

    ended: ClassVar[bool] = True  # an open one is worth looking at
    id: str
    relay: Endpoint
    opened_at: datetime
    closed_at: datetime | None
    tls_mode: str
    mechanism: str | None
    username: str | None
    helo: str | None
    refusals: tuple[SessionRefusal, ...]
    message_ids: tuple[str, ...]
    dialogue: tuple[Said, ...] = rows(letters, texts)

    @property
    def received_at(self) -> datetime:
        """Give when it was opened."""
        return self.opened_at

    def as_json(self) -> Json:
        """Give the session as `GET /_mock/sessions` shows it."""
        return as_plain(self)


@dataclass
class SessionTrace:
    """Record one SMTP session while it goes on; `tell` is called when a test may look again."""

    relay: Endpoint
    dialogue: Dialogue
    id: str = field(default_factory=new_id)
    opened_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    closed_at: datetime | None = None
    stage: str = "connect"
    tls_mode: str = "none"
    mechanism: str | None = None
    username: str | None = None
    helo: str | None = None
    refusals: list[SessionRefusal] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    tell: Callable[["SessionTrace"], None] = lambda _: None

    def refuse(self, reply: str) -> None:
        """Record a reply that refuses."""
        if len(self.refusals) < _MAX_REFUSALS:
            self.refusals.append(SessionRefusal(self.stage, cut(reply, _MAX_TEXT)))
        self.tell(self)

    def close(self) -> None:
        """Record the end."""
        self.closed_at = datetime.now(UTC)
        self.tell(self)

    def kept(self) -> SmtpSession:
        """Give what there is so far as a value."""
        kept = {each.name: getattr(self, each.name) for each in fields(SmtpSession)}
        kept |= {name: tuple(kept[name]) for name in ("refusals", "message_ids")}
        kept["dialogue"] = tuple((who, line) for _, who, line in self.dialogue.lines)
        return SmtpSession(**kept)


@dataclass(frozen=True, kw_only=True)
class TokenCall(TokenRequest):
    """One request to the identity provider from outside; `error` is the code of RFC 6749, 5.2."""

    ended: ClassVar[bool] = True
    id: str = field(default_factory=new_id)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    client_id: str | None = None
    error: str | None = None

    def as_json(self) -> Json:
        """Give the request as `GET /_mock/tokens` shows it."""
        shown = as_plain(self)
        return {name: shown[name] for name in _SHOWN}


_SHOWN: Final = (
    *("id", "received_at", "kind", "client_id", "scope", "audience", "status", "error"),
)

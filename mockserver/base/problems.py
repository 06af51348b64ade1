"""What is wrong with a request, or only worth a note: problems and their kinds, and violations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """Name the sorts of refusal; the world's `errors` give each a status and an `ErrorCode`."""

    BODY = "body"
    JSON = "json"
    HEADER_MISSING = "header_missing"
    HEADER_VALUE = "header_value"
    VERSION = "version"
    NOT_FOUND = "not_found"
    METHOD = "method"
    MEDIA_TYPE = "media_type"
    TOO_LARGE = "too_large"
    PERMISSION = "permission"
    MAIL_RESOLVE = "mail_resolve"
    MAIL_CONNECT = "mail_connect"
    MAIL_GREETING = "mail_greeting"
    MAIL_EHLO = "mail_ehlo"
    MAIL_STARTTLS = "mail_starttls"
    MAIL_TLS = "mail_tls"
    MAIL_AUTH = "mail_auth"
    MAIL_MAIL = "mail_mail"
    MAIL_RCPT = "mail_rcpt"
    MAIL_DATA = "mail_data"
    TOKEN = "token"  # noqa: S105  # a kind, no token
    SECRET = "secret"  # noqa: S105  # a kind, no secret
    FAULT = "fault"
    INTERNAL = "internal"

    # What the product has no ErrorCode for: a 401 has no body, the rest is the mock's own.
    UNAUTHORIZED = "unauthorized"
    CONTROL = "control"
    HTTP = "http"
    CLIENT_LEFT = "client_left"


class Told(NamedTuple):
    """What a client is told of a refusal, beside its message."""

    status: int
    code: str


Errors = Mapping[str, Told]


@dataclass(frozen=True)
class Violation:
    """One way a request breaks its operation; it never holds the offending value.

    `path` is a JSON pointer into the body (`/Host`), or a place and a name for a parameter
    (`header x-…`, `path id`, `query SortField`); `rule` a JSON Schema keyword; `pointer` the rule's
    place in the document.
    """

    path: str
    rule: str
    message: str
    pointer: str


class NoteKind(StrEnum):
    """Name what a note is about."""

    LETTER_CASE = "letter_case"
    WHOLE_NUMBER = "whole_number"
    UNKNOWN_FIELD = "unknown_field"
    TEXT_VALUE = "text_value"
    MISSING_FIELD = "missing_field"
    TRAILING_TEXT = "trailing_text"
    UNUSED = "unused"
    TOKEN_ENDPOINT = "token_endpoint"  # noqa: S105  # a kind, no token
    PLAIN_PASSWORD = "plain_password"  # noqa: S105  # a kind, no password
    ASTERISKS = "asterisks"
    SAMPLED = "sampled"
    ANY_ROLE = "any_role"


# What a strict test fails on: the other kinds tell of documented use.
STRICT_KINDS: Final = tuple(
    kind
    for kind in NoteKind
    if kind not in {"token_endpoint", "plain_password", "sampled", "any_role"}
)


@dataclass(frozen=True)
class Note:
    """Something that was taken, and that a stricter product might refuse, or that hides a mistake.

    `path` is a JSON pointer into the body as it was sent, `rule` the JSON Schema keyword that the
    field would have broken, or the kind again where there is none. No value is in it.
    """

    path: str
    rule: str
    message: str
    kind: NoteKind


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818  # the word that the field uses (RFC 9457)
    """Refuse a request; `status` beats the one that the world has for the kind.

    A 401 is answered with an empty body, as observed; its message is for the journal only. `field`
    is the one whose value could not be used, where the body as such is well-formed.
    """

    kind: Kind
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    field: str | None = None
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    def told(self, errors: Errors) -> Told:
        """Return status and `ErrorCode` as a world has them."""
        told = errors[self.kind]
        return told if self.status is None else told._replace(status=self.status)

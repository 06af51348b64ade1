"""What is wrong with a request, or only worth a note: problems with their codes, and violations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """Name each kind of refusal by its `ErrorCode`.

    The form, and the first three values, are observed; the product documents no others,
    so the rest are assumed and lie in ranges of their own: request, mail, secret, token, fault.
    """

    NOT_FOUND = "0xA0110002"
    HEADER = "0xA0110007"
    FORBIDDEN = "0xA0140002"

    UNAUTHORIZED = "0xA014F001"
    BODY = "0xA011F001"
    JSON = "0xA011F002"
    VERSION = "0xA011F003"
    METHOD = "0xA011F004"
    MEDIA_TYPE = "0xA011F005"
    TOO_LARGE = "0xA011F006"
    CONTROL = "0xA011F008"
    NOT_HTTP = "0xA011F009"
    HEAD_TOO_LARGE = "0xA011F00A"
    TIMEOUT = "0xA011F00B"
    TOO_MANY_CONNECTIONS = "0xA011F00C"
    NAMESPACE = "0xA011F00D"
    CLIENT_LEFT = "0xA011F00E"
    INTERNAL = "0xA011F0FF"

    MAIL_RESOLVE = "0xA015F001"
    MAIL_CONNECT = "0xA015F002"
    MAIL_GREETING = "0xA015F003"
    MAIL_EHLO = "0xA015F004"
    MAIL_STARTTLS = "0xA015F005"
    MAIL_TLS = "0xA015F006"
    MAIL_AUTH = "0xA015F007"
    MAIL_MAIL = "0xA015F008"
    MAIL_RCPT = "0xA015F009"
    MAIL_DATA = "0xA015F00A"

    PAM_PROVIDER = "0xA016F001"
    PAM_PARAMETER_MISSING = "0xA016F002"
    PAM_PARAMETER_UNKNOWN = "0xA016F003"
    PAM_PARAMETER_OF_TYPE = "0xA016F004"
    PAM_UNKNOWN = "0xA016F005"
    PAM_SEALED = "0xA016F006"
    PAM_EMPTY = "0xA016F007"

    GRANT_CONNECT = "0xA017F001"
    GRANT_REFUSED = "0xA017F002"
    GRANT_ANSWER = "0xA017F003"

    FAULT = "0xA018F001"


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
    UNUSED = "unused"
    TOKEN_ENDPOINT = "token_endpoint"  # noqa: S105  # a kind, no token
    PLAIN_PASSWORD = "plain_password"  # noqa: S105  # a kind, no password
    ASTERISKS = "asterisks"


# What a strict test fails on: the other kinds tell of documented use.
STRICT_KINDS: Final = tuple(
    kind for kind in NoteKind if kind not in {NoteKind.TOKEN_ENDPOINT, NoteKind.PLAIN_PASSWORD}
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
    """Refuse a request with a status and the product's two-member error body.

    A 401 is answered with an empty body, as observed; its message is for the journal only. `field`
    is the one whose value could not be used, where the body as such is well-formed.
    """

    status: int
    code: Code
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    field: str | None = None

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

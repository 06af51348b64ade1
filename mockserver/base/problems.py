"""What is wrong with a request, or only worth a note: problems and their kinds, and violations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Final, NamedTuple


class Kind(StrEnum):
    """Name the sorts of refusal; the world's `errors` give each a status and an `ErrorCode`."""

    BODY = auto()
    JSON = auto()
    HEADER_MISSING = auto()
    HEADER_VALUE = auto()
    VERSION = auto()
    NOT_FOUND = auto()
    METHOD = auto()
    MEDIA_TYPE = auto()
    TOO_LARGE = auto()
    PERMISSION = auto()
    MAIL_RESOLVE = auto()
    MAIL_CONNECT = auto()
    MAIL_GREETING = auto()
    MAIL_EHLO = auto()
    MAIL_STARTTLS = auto()
    MAIL_TLS = auto()
    MAIL_AUTH = auto()
    MAIL_MAIL = auto()
    MAIL_RCPT = auto()
    MAIL_DATA = auto()
    TOKEN = auto()
    SECRET = auto()
    FAULT = auto()
    INTERNAL = auto()

    # What the product has no ErrorCode for: a 401 has no body, the rest is the mock's own.
    UNAUTHORIZED = auto()
    CONTROL = auto()
    HTTP = auto()
    CLIENT_LEFT = auto()


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

    LETTER_CASE = auto()
    WHOLE_NUMBER = auto()
    UNKNOWN_FIELD = auto()
    TEXT_VALUE = auto()
    MISSING_FIELD = auto()
    TRAILING_TEXT = auto()
    UNUSED = auto()
    TOKEN_ENDPOINT = auto()
    PLAIN_PASSWORD = auto()
    ASTERISKS = auto()
    SAMPLED = auto()
    ANY_ROLE = auto()


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

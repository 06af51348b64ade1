"""What a person reads of a mail: its headers and texts, as well as they can be read.

A sink takes any octets. So nothing here raises, gives a lone surrogate, or takes long: of very
many headers or parts, and of a very long text, the beginning is read, which says so. What breaks a
rule is read as an ordinary mail reader would.
"""

import re
from binascii import a2b_base64, a2b_qp
from codecs import lookup
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses, parsedate_to_datetime, unquote
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple, TypeVar

_MAX_DEPTH: Final = 30  # of parts within parts; what lies deeper is not divided any more
_MAX_HEAD: Final = 128 * 1024  # octets of headers
_MAX_TEXT: Final = 1024 * 1024  # octets of a text
_MAX_LINES: Final = 2_000  # of headers
_MAX_PARTS: Final = 1_000
_MAX_DIVIDED: Final = 24 * 1024 * 1024  # octets of all parts that are divided, one within another
_MAX_FILES: Final = 100  # attachments of one mail
_MAX_NAME: Final = 200  # characters
_MAX_PARAMETERS: Final = 2_000  # characters of a header in which the name of a file is looked for
_MAX_LINE: Final = 1_000  # octets with the line end (RFC 5322, 2.1.1)
_MAX_ADDRESSES: Final = 10_000  # characters of a header
_TEXTS: Final = ("text/plain", "text/html")
_MAX_BOUNDARY: Final = 998  # RFC 2046, 5.1.1 says 70; no line has more

_MORE: Final = "…"  # no name of a header

_Pairs = tuple[tuple[str, str], ...]
_Read = TypeVar("_Read")

_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")  # RFC 5322, 2.2.3
_TYPE: Final = re.compile(r"[^\s/;()]+/[^\s/;()]+")
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PARAMETER: Final = re.compile(rf';\s*([^\s=;"]+)\s*=\s*({_QUOTED}|[^\s;]*)', re.DOTALL)

# RFC 2047, 2. What stands before an at sign is a part of an address, where there are none (5).
_WORD: Final = re.compile(r"=\?([^?\s]+)\?([bq])\?([^?]*)\?=(?!@)", re.IGNORECASE)
_WORDS: Final = rf"{_WORD.pattern}(?:\s*{_WORD.pattern})*+"
# Nor are there any in a quoted string (5 (3)), or between angle brackets.
_LITERAL: Final = rf"\\.|{_QUOTED}|<[^<>]*>"
_IN_TEXT: Final = re.compile(_WORDS, re.IGNORECASE)
_IN_ADDRESSES: Final = re.compile(rf"{_LITERAL}|{_WORDS}", re.IGNORECASE | re.DOTALL)
_OF_ADDRESSES: Final = {"from", "sender", "reply-to", "to", "cc", "bcc"}  # RFC 5322, 3.6

# Encodings of Python's own, which no mail means; the first two take hours for a large one.
_NO_CHARSETS: Final = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
_ENCODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "b": lambda octets: a2b_base64(octets + b"==="),
    "q": partial(a2b_qp, header=True),
    "base64": lambda octets: a2b_base64(octets + b"==="),
    "quoted-printable": a2b_qp,
}


@dataclass(frozen=True)
class Address:
    """One address of a header, with the name before it."""

    name: str
    address: str


@dataclass(frozen=True)
class Attachment:
    """A part that is a file; `content` are its octets, decoded."""

    filename: str | None
    content_type: str
    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Give the octets of its content."""
        return len(self.content)

    def as_json(self) -> dict[str, str | int | None]:
        """Give what a message shows of it."""
        return {"filename": self.filename, "content_type": self.content_type, "size": self.size}


class Content(NamedTuple):
    """What is in a mail: the first plain text and HTML that are no attachments, and those."""

    text: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()


class Reading:
    """Read one mail, each thing when it is asked for."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._mail = raw.decode("latin-1")
        self._top = _divided(self._mail)

    def headers(self) -> _Pairs:
        """Return all headers, unfolded and decoded, in the order of the mail."""
        return _first(lambda: _headers(self._top), tuple)

    def content(self) -> Content:
        """Return what is in it."""
        return _first(lambda: _content(self._mail, self._top), Content)

    def addresses(self, name: str) -> tuple[Address, ...]:
        """Return the addresses of each header of that name."""
        return _first(lambda: _addresses(self._top.headers.get_all(name, ())), tuple)

    def defects(self) -> tuple[str, ...]:
        """Say what a strict receiver would miss (RFC 5322, 3.6), or not take (2.1.1 and 2.2)."""
        return _first(lambda: tuple(_defects(self._raw, self._top.headers)), tuple)


def _first(*readings: Callable[[], _Read]) -> _Read:
    """Return what the first reading gives that does not fail, whatever it fails by."""
    for reading in readings[:-1]:
        with suppress(Exception):
            return reading()
    return readings[-1]()  # one that cannot fail


class _Part(NamedTuple):
    """A mail or a part, its octets as Latin-1; of its headers some octets may be `unread`."""

    headers: Message
    body: str
    unread: int


@dataclass
class _Left:
    """How much may still be looked at: parts, and octets to divide."""

    parts: int = _MAX_PARTS
    octets: int = _MAX_DIVIDED


def _divided(mail: str) -> _Part:
    whole, after = _before_empty_line(mail)
    head = "".join(whole[:_MAX_HEAD].splitlines(keepends=True)[:_MAX_LINES])
    message = HeaderParser().parsestr(head)
    # From a line on that is no header, all is body.
    rest = len(message.get_payload())
    begin = len(head) - rest if rest else after
    return _Part(message, mail[begin:], 0 if rest else len(whole) - len(head))


def _before_empty_line(mail: str) -> tuple[str, int]:
    """Return what stands before the first empty line, and where that ends."""
    lines = f"\n{mail}"
    found = [(at, len(end)) for end in ("\n\n", "\n\r\n") if (at := lines.find(end)) >= 0]
    at, size = min(found, default=(len(mail), 1))
    return mail[:at], at + size - 1


def _decoded(octets: bytes, codec: str) -> str:
    """Decode octets of a charset that a mail names, rightly or not."""
    found = _first(
        lambda: octets.decode(codec),
        lambda: octets.decode("utf-8"),
        lambda: octets.decode(codec, "replace"),
        lambda: octets.decode("utf-8", "replace"),
    )
    # UTF-7 has half a surrogate pair too, which is no text and cannot be sent as UTF-8.
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _codec(charset: str) -> str:
    """Return the name of the codec for a charset; LookupError or ValueError where there is none."""
    name = lookup(charset).name
    if name in _NO_CHARSETS:
        raise LookupError(name)
    return name


# Headers


def _headers(found: _Part) -> _Pairs:
    shown = tuple((name, _header(name, value)) for name, value in found.headers.raw_items())
    return (*shown, (_MORE, _more(found.unread))) if found.unread else shown


def _more(octets: int) -> str:
    return f"[{octets} more octets, which the raw mail has]"


def _header(name: str, value: str) -> str:
    """Decode encoded words where they may stand (RFC 2047, 5), and UTF-8 beside them (RFC 6532)."""
    of_addresses = name.lower().removeprefix("resent-") in _OF_ADDRESSES
    line = _decoded(_FOLD.sub("", value).encode("latin-1"), "utf-8")
    return (_IN_ADDRESSES if of_addresses else _IN_TEXT).sub(_read, line)


def _read(found: re.Match[str]) -> str:
    """Decode adjacent encoded words, or leave them where one cannot be; what is literal stays."""
    stretch = found[0]
    return _first(partial(_joined, stretch), lambda: stretch) if stretch[0] == "=" else stretch


def _joined(words: str) -> str:
    # The blanks between them are no text (RFC 2047, 6.2), and many senders divide a character
    # between two; a language may stand behind the charset (RFC 2231, 5).
    found = [(word[1].partition("*")[0].lower(), word) for word in _WORD.finditer(words)]
    return "".join(
        _decoded(b"".join(_octets(word[2], word[3].encode()) for _, word in alike), _codec(charset))
        for charset, alike in groupby(found, lambda each: each[0])
    )


def _octets(encoding: str, octets: bytes) -> bytes:
    return _ENCODINGS[encoding.lower()](octets)


def _addresses(values: Iterable[str]) -> tuple[Address, ...]:
    # Before anything is decoded: a decoded name may have a comma.
    found = getaddresses([_FOLD.sub("", value)[:_MAX_ADDRESSES] for value in values])
    return tuple(
        Address(_header("Subject", name), _header("To", address))
        for name, address in found
        if address
    )


def _defects(raw: bytes, headers: Message) -> Iterator[str]:
    for name, holds in _DEMANDED.items():
        values = headers.get_all(name, ())
        if len(values) != 1:
            yield f"{name} is {'there more than once' if values else 'missing'}"
        elif not _first(partial(holds, _FOLD.sub("", values[0])[:_MAX_ADDRESSES]), bool):
            yield f"{name} is malformed"
    if not raw[: raw.find(b"\r\n\r\n")].isascii():
        yield "a header has octets beyond ASCII (RFC 6532)"
    if _has_long_line(raw):
        yield "a line has more than 998 octets"


def _has_long_line(raw: bytes) -> bool:
    begin = 0
    while len(raw) - begin > _MAX_LINE:
        begin = raw.rfind(b"\n", begin, begin + _MAX_LINE) + 1
        if not begin:
            return True
    return False


# Content


def _content(mail: str, top: _Part) -> Content:
    left = _Left()
    texts: dict[str, str] = {}
    files: list[Attachment] = []
    for kind, part, body, is_file in _leaves(mail, left, top=top):
        if is_file and len(files) < _MAX_FILES:
            files.append(Attachment(_filename(part), kind[:_MAX_NAME], _octets_of(part, body)))
        elif not is_file and kind not in texts:
            texts[kind] = _text(part, body)
    # Of very many parts the first are looked at.
    unread = "[one of very many parts, which the raw mail has]" if left.parts < 0 else ""
    text, html = (texts.get(kind, unread) for kind in _TEXTS)
    return Content(text, html, tuple(files))


def _leaves(
    mail: str, left: _Left, depth: int = 0, top: _Part | None = None
) -> Iterator[tuple[str, Message, str, bool]]:
    """Give type, headers and body of each part that has none within it, and whether it is a file.

    What cannot be understood is plain text (RFC 2045, 5.2); a file is what is called an attachment,
    and what is neither plain text nor HTML.
    """
    left.parts -= 1
    if left.parts < 0:
        return
    part, body, _ = top or _divided(mail)
    found = _TYPE.match(_field(part, "Content-Type"))
    kind = found[0].lower() if found else "text/plain"
    if _field(part, "Content-Disposition").lower().startswith("attachment"):
        yield kind, part, body, True
        return
    within = []
    if kind.startswith("multipart/"):
        kind = "text/plain"
        boundary = _parameter(part, "boundary")[:_MAX_BOUNDARY]
        left.octets -= len(body)
        divisible = boundary and depth < _MAX_DEPTH and left.octets >= 0
        within = _parts(body, boundary) if divisible else []
    for each in within:
        yield from _leaves(each, left, depth + 1)
    if not within:
        yield kind, part, body, kind not in _TEXTS


def _filename(part: Message) -> str | None:
    """Return what a file is called (RFC 2183, 2.3), in any of the ways in which it is encoded."""
    short = Message()  # of a long one the library makes copies, for each character one
    for name in ("Content-Disposition", "Content-Type"):
        short[name] = _field(part, name)[:_MAX_PARAMETERS]
    found = _first(lambda: short.get_filename() or "", str)
    # UTF-8 as it is, or else what was decoded already; encoded words, which many write here too.
    plain = _first(lambda: found.encode("latin-1").decode(), lambda: found)
    return (
        _decoded(_IN_TEXT.sub(_read, plain).encode("utf-8", "replace"), "utf-8")[:_MAX_NAME] or None
    )


def _parts(body: str, boundary: str) -> list[str]:
    """Divide the body of a multipart (RFC 2046, 5.1.1)."""
    delimiter = rf"\n--{re.escape(boundary)}"
    inner = re.split(rf"{delimiter}--[ \t\r]*(?=\n|\Z)", f"\n{body}", maxsplit=1)[0]
    parts = re.split(rf"{delimiter}[ \t\r]*(?=\n|\Z)", inner, maxsplit=_MAX_PARTS)[1:]
    return [part[1:].removesuffix("\r") for part in parts]


def _field(part: Message, name: str) -> str:
    return _FOLD.sub("", part.get(name, "")).strip()


def _parameter(part: Message, name: str) -> str:
    pairs = _PARAMETER.finditer(_field(part, "Content-Type"))
    return next((unquote(pair[2]) for pair in pairs if pair[1].lower() == name), "")


def _octets_of(part: Message, body: str) -> bytes:
    """Return the octets of a body, decoded where its encoding is known."""
    octets = body.encode("latin-1")
    encoding = _field(part, "Content-Transfer-Encoding")
    return _first(lambda: _octets(encoding, octets), lambda: octets)


def _text(part: Message, body: str) -> str:
    plain = _octets_of(part, body[:_MAX_TEXT])
    text = _decoded(plain, _first(lambda: _codec(_parameter(part, "charset")), lambda: "utf-8"))
    more = max(0, len(body) - _MAX_TEXT)
    return f"{text}\n{_more(more)}" if more else text


_DEMANDED: Final[Mapping[str, Callable[[str], object]]] = {
    "Date": parsedate_to_datetime,
    "From": lambda value: any("@" in address for _, address in getaddresses([value])),
    "Message-ID": re.compile(r"\s*<[^<>@\s]+@[^<>@\s]+>\s*").fullmatch,
}

"""JSON, read strictly, before the API looks at a field, and written as .NET writes it."""

import json
import math
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut

Json = dict[str, Any]  # an object

_MAX_NESTING: Final = 64
MAX_DIGITS: Final = 300
_MAX_VALUES: Final = 5_000  # far more than any body needs; each is a possible violation

# JavaScriptEncoder.Default: all of Basic Latin but control characters and " & ' + < > \ `
_UNSAFE: Final = re.compile(r"[^ !#-%(-*,-;=?-\[\]-_a-~]")
_SHORT: Final = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", "\\": r"\\"}
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(raw: bytes) -> object:
    """Parse JSON (RFC 8259) strictly; Problem 400 says where it is not, and never quotes a value.

    Refused as well: duplicate names, numbers out of range, lone surrogates, deep nesting.
    """
    if not raw:
        raise _not_json("the body is empty; send a JSON object")
    try:
        text = raw.removeprefix(BOM_UTF8).decode()
        if text.count(",") >= _MAX_VALUES:
            raise _not_json(f"the body has {_MAX_VALUES} values or more")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise _not_json(f"the body is not UTF-8 at octet {error.start}") from None
    except json.JSONDecodeError as error:
        raise _not_json(
            f"the body is not JSON at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > _MAX_NESTING:
        _check_nesting(value)
    if _SURROGATE.search(text):
        _check_surrogates(value)
    return value


_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact_json(value: object) -> str:
    """Write a value as JSON in the way of the product's answers: no blanks, nothing escaped."""
    return _COMPACT.encode(value)


def first_value(raw: bytes) -> bytes:
    """Return an object without the text that follows it; anything else is returned as it is."""
    try:
        text = raw.decode("utf-8-sig").strip()
        _, end = _DECODER.raw_decode(text) if text[:1] == "{" else (None, len(text))
    except (ValueError, RecursionError, Problem):
        return raw
    return text[:end].encode() if end < len(text) else raw


def dotnet_text(text: str) -> str:
    """Return a text as JSON in the way of System.Text.Json with its default encoder (recorded).

    It escapes what HTML or a script could take for its own, and all that is not ASCII.
    """
    return f'"{_UNSAFE.sub(_escaped, text)}"'


def plain_text(text: str) -> str:
    """Return a text as JSON with nothing escaped that need not be."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    if character > "\uffff":
        high, low = divmod(ord(character) - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04X}\\u{0xDC00 + low:04X}"
    # Half of a pair alone is no character.
    return "\\uFFFD" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04X}"


def _not_json(text: str) -> Problem:
    return Problem(Kind.JSON, text)


def _too_deep() -> Problem:
    return _not_json(f"the body is nested deeper than {_MAX_NESTING} levels")


def _check_nesting(value: object) -> None:
    level = [value]
    for _ in range(_MAX_NESTING + 1):
        level = [child for item in level for child in _children(item)]
    if level:
        raise _too_deep()


def _children(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _not_json("the body has a lone surrogate in a \\u escape") from None


def _unique(pairs: list[tuple[str, object]]) -> Json:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _not_json(f"the name {cut(twice)} stands twice in one object")
    return entries


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _not_json(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _not_json("a number is too large")
    return value


def _constant(name: str) -> NoReturn:
    raise _not_json(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)

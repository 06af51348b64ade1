"""Secrets that do not show: a text whose repr is `***`, and masks for what is recorded."""

import hmac
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

MASK: Final = "***"

_SECRET_HEADER = re.compile(r"authorization|cookie|key(?!factor)|secret|token", re.IGNORECASE)
_SECRET_FIELD = re.compile(
    r"pass(word|wd|phrase)|pwd|secret(?!name|id|fieldname)|^token$|api.?key|credential",
    re.IGNORECASE,
)
_SECRET_OBJECT = re.compile(rf"{_SECRET_FIELD.pattern}|username|clientid", re.IGNORECASE)


class Secret:
    """Hold a text that must not show in a log, a repr or an answer."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that needs it."""
        return self._text

    def is_one_of(self, texts: Iterable[str]) -> bool:
        """Say whether a text is the same, in a time that depends only on what was given."""
        given = self._text.encode()
        return sum(hmac.compare_digest(given, text.encode()) for text in texts) > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return MASK


def headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the header pairs with the values of secret ones replaced.

    The scheme of an `Authorization` value stays: `Bearer ***`.
    """
    return [(name, _header_value(name, value)) for name, value in pairs]


def _header_value(name: str, value: str) -> str:
    if not _is_secret(name):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and name.lower() == "authorization" else MASK


@lru_cache(maxsize=128)
def _is_secret(name: str) -> bool:
    return bool(_SECRET_HEADER.search(name))


def body(value: object) -> object:
    """Return a parsed body, valid or not, with every value in a secret's place replaced.

    A text that has no name could be a secret too.
    """
    if isinstance(value, dict):
        return _mapping(value)
    if isinstance(value, list):
        return [body(item) for item in value]
    return MASK if isinstance(value, str) else value


def _mapping(value: dict[str, object]) -> dict[str, object]:
    # RequestHeaders: {"Name": "X-Api-Key", "Value": "…"} is a header in two members.
    # A lenient world takes any letter case, and a refused body is recorded as well.
    names = [item for key, item in value.items() if key.lower() == "name"]
    hidden = any(isinstance(name, str) and _SECRET_HEADER.search(name) for name in names)
    return {
        key: MASK if hidden and key.lower() == "value" else _field(key, item)
        for key, item in value.items()
    }


def _field(key: str, item: object) -> object:
    if item is None:
        return None
    if isinstance(item, dict) and _SECRET_OBJECT.search(key):
        return {name: _member(name, member) for name, member in item.items()}
    if isinstance(item, dict | list) and not _SECRET_FIELD.search(key):
        return body(item)
    return MASK if _SECRET_FIELD.search(key) else item


def _member(name: str, member: object) -> object:
    """Mask a member of a secret object but for the reference into a PAM provider."""
    if name.lower() == "parameters" and isinstance(member, dict):
        return {key: _field(key, item) for key, item in member.items()}
    return member if member is None or name.lower() == "provider" else MASK

"""Secrets that do not show: a text whose repr is `***`, and masks for what is recorded."""

import hmac
import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

MASK: Final = "***"

# Names of headers, fields and parameters, in any spelling: X-Api-Key, apikey, ApiKey.
_SECRET: Final = re.compile(
    r"pass(?:word|wd|phrase|code)|pwd|credential|authorization|cookie|bearer|jwt|session"
    r"|secret(?!name|id|fieldname|type)|token(?!endpoint|type|ur[il])"
    r"|(?:\b|[-_.]|api|access|account|private|shared|subscription)key(?![a-z])"
    r"|(?:\b|[-_.])auth(?![a-z])",
    re.IGNORECASE,
)
_SECRET_OBJECT: Final = re.compile(rf"{_SECRET.pattern}|username|clientid", re.IGNORECASE)
# What stands before the credentials (RFC 9110, 11.4); anything else may be a part of them.
_SCHEMES: Final = frozenset({"basic", "bearer", "digest", "dpop", "negotiate", "ntlm", "oauth"})
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_QUERY_VALUE: Final = re.compile(r"=[^&;]*")
_PRIVATE_KEY: Final = "PRIVATE KEY-----"  # of PEM, wherever it stands
_COMPARED: Final = 100  # characters of a name
_LOOKED_UP: Final = 20  # unknown names of one body that are compared with the known ones


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


class Sealed:
    """Hold octets with secrets in them, of which nobody sees more than a masked text.

    The text is made by `mask` each time that somebody looks: most of what is kept, nobody does.
    """

    __slots__ = ("_mask", "_octets")

    def __init__(self, octets: bytes, mask: Callable[[bytes], str]) -> None:
        self._octets = octets
        self._mask = mask

    @property
    def text(self) -> str:
        """Give the masked text; where the mask fails, in the form of JSON, nothing but stars."""
        try:
            return self._mask(self._octets)
        except Exception:  # noqa: BLE001  # its frames, which a report may print, have the octets
            return f'"{MASK}"'

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return self.text == (other.text if isinstance(other, Sealed) else other)

    def __hash__(self) -> int:
        return hash(self.text)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + len(self._octets)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # A copy, in another process too, has the text alone.
        return str, (self.text,)


def headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the header pairs with the values of secret ones replaced.

    The scheme of an `Authorization` value stays, if it is a known one: `Bearer ***`.
    """
    return [
        (name, _header_value(name, value) if is_secret(name) or "://" in value else value)
        for name, value in pairs
    ]


def _header_value(name: str, value: str) -> str:
    if not is_secret(name):
        return url(value)
    scheme, space, _ = value.partition(" ")
    shown = space and name.lower() == "authorization" and scheme.lower() in _SCHEMES
    return f"{scheme} {MASK}" if shown else MASK


@lru_cache(maxsize=1_024)
def is_secret(name: str) -> bool:
    """Say whether what has this name, a header or a field, is a secret."""
    if len(name) > _COMPARED:
        is_secret.cache_clear()  # of such names at most one is remembered
    return bool(_SECRET.search(name))


def url(text: str) -> str:
    """Return a URL without what is secret in it: user info, and the values of its query."""
    if not _URL.match(text):
        return text
    begin, mark, rest = text.partition("?")
    scheme, slashes, place = begin.partition("://")
    authority, slash, path = place.partition("/")
    user, at, host = authority.rpartition("@")
    begin = f"{scheme}{slashes}{MASK if user else ''}{at}{host}{slash}{path}"
    return begin + mark + (_QUERY_VALUE.sub(f"={MASK}", rest) if "=" in rest else MASK * bool(rest))


def body(value: object, known: Sequence[str] = ()) -> object:
    """Return a parsed body, valid or not, with every value in a secret's place replaced.

    A text that has no name could be a secret too, and so could one whose name is nearly that of a
    secret among the `known` ones.
    """
    return _Masks(known).value(value)


class _Masks:
    """One way through a body."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = _lowered(tuple(known))
        self._looked_up = 0

    def value(self, value: object) -> object:
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return MASK if isinstance(value, str) else value

    def _mapping(self, value: dict[str, object]) -> dict[str, object]:
        # RequestHeaders: {"Name": "X-Api-Key", "Value": "…"} is a header in two members.
        # A lenient world takes any letter case, and a refused body is recorded as well.
        names = [item for key, item in value.items() if key.lower() == "name"]
        hidden = any(isinstance(name, str) and is_secret(name) for name in names)
        return {
            key: MASK if hidden and key.lower() == "value" else self._field(key, item)
            for key, item in value.items()
        }

    def _field(self, key: str, item: object) -> object:
        if item is None:
            return None
        if (kept := _of_a_type(key.lower(), item)) is not None:
            return kept
        if isinstance(item, dict) and _SECRET_OBJECT.search(key):
            return {name: self._member(name, member) for name, member in item.items()}
        if self._is_secret(key):
            return MASK
        if isinstance(item, str):
            return MASK if _PRIVATE_KEY in item else url(item)
        return self.value(item)

    def _member(self, name: str, member: object) -> object:
        """Mask a member of a secret object but for the reference into a PAM provider."""
        if name.lower() == "parameters" and isinstance(member, dict):
            return {key: self._field(key, item) for key, item in member.items()}
        return member if member is None or name.lower() == "provider" else MASK

    def _is_secret(self, key: str) -> bool:
        if is_secret(key):
            return True
        if not self._known or key.lower() in self._known:
            return False
        from difflib import get_close_matches  # noqa: PLC0415  # for mistakes alone

        self._looked_up += 1
        if self._looked_up > _LOOKED_UP:
            return True
        near = get_close_matches(key[:_COMPARED].lower(), self._known, n=1)
        return any(map(is_secret, near))


@lru_cache(maxsize=128)
def _lowered(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _of_a_type(name: str, item: object) -> object:
    """Return properties of a store, or values of a PAM provider, without any value; None of others.

    Which of them are secret, only their type says, which nobody has looked at yet.
    """
    if name == "properties" and isinstance(item, str):
        return _properties(item)
    if name == "providertypeparamvalues" and isinstance(item, list):
        return [_without_values(each) for each in item]
    return None


def _properties(text: str) -> str:
    try:
        return json.dumps(_without_texts(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return MASK


def _without_texts(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_texts(item) for item in value]
    return MASK if isinstance(value, str) else value


def _without_values(item: object) -> object:
    if not isinstance(item, dict):
        return MASK
    return {
        key: MASK if key.lower() == "value" and value is not None else body(value)
        for key, value in item.items()
    }

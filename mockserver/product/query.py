"""The list parameters of the product: which rows are meant, in which order, and one page of them.

`QueryString` is a language of its own: conditions such as `Name -eq "Local"`, joined by AND and OR
and grouped by brackets; AND binds tighter. Every list of the product speaks it.
"""

import json
import operator
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut, nearest

_MAX_TOKENS: Final = 200  # conditions, brackets and the words between them

_DEFAULTS: Final[Json] = {
    "querystring": "",
    "pagereturned": 1,
    "returnlimit": 50,
    "sortfield": None,
    "sortascending": 0,
}
_TYPES: Final = {name: int if isinstance(value, int) else str for name, value in _DEFAULTS.items()}
_TOKEN: Final = re.compile(
    r" *(?:(?P<bracket>[()])|(?P<joint>and|or)\b|(?P<field>\w+) +-(?P<how>\w+)"
    r' +(?:"(?P<quoted>[^"]*)"|(?P<bare>[^ "()]+))) *',
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(?:[.][0-9]{1,15})?")
_COMPARING: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_SEARCHING: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": operator.contains,
    "notcontains": lambda value, part: part not in value,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
# SQL Server compares the last six bytes of a uniqueidentifier first, and the first four last.
_GUID_BYTES: Final = (*range(10, 16), 8, 9, 6, 7, 4, 5, 0, 1, 2, 3)

_EXAMPLE: Final = 'Name -eq "Local"'

_Keeps = Callable[[Json], bool]


def page(
    rows: Iterable[Json],
    parameters: Mapping[str, Any],
    columns: Callable[[Json], Json] = lambda row: row,
) -> tuple[list[Json], int]:
    """Return the rows that the list parameters ask for, and how many match on all pages.

    `rows` come in the order that a list has without SortField, and rows that are equal in that
    field keep it. Parameters have their documented names, in any letter case and with any prefix
    (`pq.`); what is absent has the product's default. A page past the end is empty. `columns` gives
    what a row is asked for by. Problem 400 for a QueryString that is none, and for a field that no
    row has.
    """
    asked = dict(_DEFAULTS)
    for name, value in parameters.items():
        bare = name.rpartition(".")[2].lower()
        # A document of a user's may give the name another type, and so another meaning.
        if bare in asked and type(value) is _TYPES[bare]:
            asked[bare] = value
    for name in ("pagereturned", "returnlimit"):
        if asked[name] < 1:
            raise Problem(Kind.BODY, f"{name}: must be at least 1.")
    found = [*rows]
    if asked["querystring"] or asked["sortfield"]:
        pairs = [(columns(row), row) for row in found]
        names = {name.lower(): name for each, _ in pairs for name in each}
        keeps = _parsed(asked["querystring"], names)
        pairs = [pair for pair in pairs if keeps(pair[0])]
        if asked["sortfield"]:
            column = _column("SortField", asked["sortfield"], names)
            pairs.sort(key=lambda pair: rank(pair[0].get(column)))
        found = [row for _, row in pairs]
    if asked["sortascending"] == 1:  # 0 is ascending, 1 descending
        found.reverse()
    first = (asked["pagereturned"] - 1) * asked["returnlimit"]
    return found[first : first + asked["returnlimit"]], len(found)


def guid_order(guid: str) -> bytes:
    """Return what a GUID is sorted by where the product sorts by id, as SQL Server does."""
    octets = UUID(guid).bytes_le
    return bytes(octets[index] for index in _GUID_BYTES)


def _parsed(text: str, names: Mapping[str, str]) -> _Keeps:
    """Return what tells the rows that a QueryString means; an empty one means all."""
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    keeps = _either(tokens, names)
    if tokens:
        raise _refused(f"nothing can be at {_next(tokens)}, but AND or OR")
    return keeps


def _tokens(text: str) -> deque[re.Match[str]]:
    tokens: deque[re.Match[str]] = deque()
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            raise _refused(f"no condition such as {_EXAMPLE} begins at {cut(text[place:])}")
        tokens.append(found)
        place = found.end()
    if len(tokens) > _MAX_TOKENS:
        raise _refused(f"more than {_MAX_TOKENS} conditions, brackets, ANDs and ORs")
    return tokens


def _either(tokens: deque[re.Match[str]], names: Mapping[str, str]) -> _Keeps:
    parts = [_both(tokens, names)]
    while _took(tokens, "or"):
        parts.append(_both(tokens, names))
    return parts[0] if len(parts) == 1 else lambda row: any(keeps(row) for keeps in parts)


def _both(tokens: deque[re.Match[str]], names: Mapping[str, str]) -> _Keeps:
    parts = [_one(tokens, names)]
    while _took(tokens, "and"):
        parts.append(_one(tokens, names))
    return parts[0] if len(parts) == 1 else lambda row: all(keeps(row) for keeps in parts)


def _one(tokens: deque[re.Match[str]], names: Mapping[str, str]) -> _Keeps:
    if _took(tokens, "("):
        keeps = _either(tokens, names)
        if not _took(tokens, ")"):
            raise _refused(f"a bracket is open at {_next(tokens)}")
        return keeps
    if not tokens or not tokens[0]["field"]:
        raise _refused(f"a condition such as {_EXAMPLE} is missing at {_next(tokens)}")
    token = tokens.popleft()
    how, quoted = token["how"], token["quoted"]
    if how not in _COMPARING and how not in _SEARCHING:
        near = nearest(how, [*_COMPARING, *_SEARCHING])
        raise _refused(f"-{cut(how)} is no operator; the nearest known is -{near}")
    text = token["bare"] if quoted is None else quoted
    is_null = quoted is None and text.lower() == "null" and how in {"eq", "ne"}
    return _Condition(_column("QueryString", token["field"], names), how, None if is_null else text)


def _took(tokens: deque[re.Match[str]], word: str) -> bool:
    """Say whether a bracket, AND or OR comes next, and leave it behind."""
    if not tokens or (tokens[0]["bracket"] or tokens[0]["joint"] or "").lower() != word:
        return False
    tokens.popleft()
    return True


def _next(tokens: deque[re.Match[str]]) -> str:
    return cut(tokens[0][0].strip()) if tokens else "its end"


def _column(parameter: str, name: str, names: Mapping[str, str]) -> str:
    """Return a field as the rows spell it; without any rows, every field will do."""
    if not names or name.lower() in names:
        return names.get(name.lower(), name)
    text = f"{parameter}: there is no field {cut(name)}; the nearest known is"
    raise Problem(Kind.HEADER_VALUE, f"{text} {nearest(name, names.values())}.")


@dataclass(frozen=True)
class _Condition:
    """One condition of a QueryString; None as text is null."""

    column: str
    how: str
    text: str | None

    def __call__(self, row: Json) -> bool:
        """Say whether a row keeps the condition."""
        value = _plain(row.get(self.column))
        if value is None or self.text is None:
            return self.how == ("eq" if value is self.text else "ne")
        if isinstance(value, int | float):
            if self.how in _COMPARING and _NUMBER.fullmatch(self.text):
                return _COMPARING[self.how](value, float(self.text))
            value = json.dumps(value)
        own, wanted = value.casefold(), self.text.casefold()
        if self.how in _SEARCHING:
            return _SEARCHING[self.how](own, wanted)
        # As SQL has it, blanks at the end make no difference; some clients send them.
        return _COMPARING[self.how](own.rstrip(), wanted.rstrip())


def _plain(value: Any) -> Any:  # noqa: ANN401  # any JSON; a text, a number or None comes out
    """Return what a value is compared by: an object counts as its name, a list as its texts."""
    if isinstance(value, dict):
        return _plain(value.get("Name"))
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def rank(value: object) -> tuple[int, Any]:
    """Return what a value is sorted by: nothing comes before numbers, and those before texts."""
    value = _plain(value)
    if value is None:
        return 0, 0
    return (2, value.casefold()) if isinstance(value, str) else (1, value)


def _refused(text: str) -> Problem:
    return Problem(Kind.HEADER_VALUE, f"QueryString: {text}.")

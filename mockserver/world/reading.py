"""What may be a world at all: plain JSON, and not too much of it."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from mockserver.base.documents import MAX_DEPTH, DocumentError
from mockserver.base.schema import pointer
from mockserver.base.text import one_line

_MAX_VALUES: Final = 100_000


class WorldError(DocumentError):
    """Say in one line what is wrong with a world: the source, and each error with its pointer."""


def refuse_unless_json(tree: object, source: str) -> None:
    """Raise WorldError for what JSON has no form for, or that is too much."""
    pending: list[tuple[object, str, int]] = [(tree, "", 0)]
    seen = 0
    while pending:
        value, place, depth = pending.pop()
        seen += 1
        # An alias may stand for much more than the file is long, even for itself.
        if depth > MAX_DEPTH or seen > _MAX_VALUES:
            text = f"more than {MAX_DEPTH} levels deep, or than {_MAX_VALUES} values"
            raise WorldError(source, [(place, text)])
        if problem := _json_problem(value):
            raise WorldError(source, [(place, problem)])
        pending += [(item, place + pointer([str(key)]), depth + 1) for key, item in _items(value)]


def _json_problem(value: object) -> str | None:
    if isinstance(value, Mapping):
        others = [key for key in value if not isinstance(key, str)]
        if others:
            return f"the key {one_line(str(others[0]))} is not a text; write it in quotes"
        return next(filter(None, map(_json_problem, value)), None)
    if isinstance(value, str):
        is_unicode = not re.search(r"[\ud800-\udfff]", value)
        return None if is_unicode else "a text that is not Unicode (a lone surrogate)"
    known = value is None or isinstance(value, int | float | list | tuple)
    return None if known else f"JSON has no {type(value).__name__}"


def _items(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple) else ()

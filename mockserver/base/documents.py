"""Files read strictly as plain data, and the one error for all that is wrong with a file."""

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mockserver.base.kept import Kept, is_ours
from mockserver.base.text import cut, one_line

MAX_DEPTH: Final = 32

_MAX_OCTETS: Final = 4 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_SHOWN_ERRORS: Final = 5


class DocumentError(Exception):
    """Say in one line what is wrong with a file: its name, and each error with its pointer."""

    def __init__(self, source: str, errors: Iterable[tuple[str, str]]) -> None:
        self.source = source
        self.errors = tuple(sorted(set(errors)))
        lines = [f"{one_line(place)}: {text}" if place else text for place, text in self.errors]
        more = [f"and {len(lines) - _SHOWN_ERRORS} more"] if len(lines) > _SHOWN_ERRORS else []
        super().__init__(f"{cut(source, 2_000)}: {'; '.join(lines[:_SHOWN_ERRORS] + more)}")


def read_yaml(
    path: Path, error: type[DocumentError] = DocumentError, *, numbers: bool = False
) -> Any:  # noqa: ANN401  # any JSON
    """Read a file as JSON-like data: no dates, no sets, no merge keys, no duplicate keys.

    Raises `error`, with line and column where the file is not such data. With `numbers` a whole
    number as a key is its text.
    """
    return _parsed(path, read_octets(path, error), error, numbers=numbers)


def read_ours(
    path: Path,
    error: type[DocumentError] = DocumentError,
    check: Callable[[Any, str], object] = lambda _, __: None,
) -> Any:  # noqa: ANN401  # any JSON
    """Read a file as `read_yaml` does; what is parsed and checked of one of ours is kept.

    `check` gets the value and the name of the file, and may raise `error`.
    """
    content = read_octets(path, error)
    kept = Kept(path, content) if is_ours(path) else None
    value = kept and kept.read()
    if value is None:
        value = _parsed(path, content, error)
        check(value, str(path))
        if kept:
            kept.write(value)
    return value


def _parsed(
    path: Path, content: bytes, error: type[DocumentError], *, numbers: bool = False
) -> object:
    from mockserver.base.yamltext import parse_yaml  # noqa: PLC0415  # seldom needed, and slow

    try:
        return parse_yaml(content, MAX_DEPTH, numbers=numbers)
    except ValueError as found:
        raise error(str(path), [("", str(found))]) from None


def read_octets(path: Path, error: type[DocumentError] = DocumentError) -> bytes:
    """Read a file of at most 4 MiB; raises `error`."""
    content = b""
    try:
        with path.open("rb") as file:
            # Not all at once, since room for the most that it may be would be made for each file.
            while len(content) <= _MAX_OCTETS and (more := file.read(_CHUNK)):
                content += more
    except (OSError, ValueError) as found:
        text = getattr(found, "strerror", "no path can have this name")
        raise error(str(path), [("", f"cannot be read: {text}")]) from None
    if len(content) > _MAX_OCTETS:
        raise error(str(path), [("", f"is larger than {_MAX_OCTETS} octets")])
    return content


def merge(target: object, patch: object) -> Any:  # noqa: ANN401  # any JSON
    """Return the target with a JSON merge patch applied; both stay as they are (RFC 7396, 2)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged

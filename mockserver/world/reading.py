"""Worlds as files: YAML read as plain data, strictly, and the one error for all that is wrong."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

Errors = Iterable[tuple[str, str]]

MAX_FILE_OCTETS: Final = 4 * 1024 * 1024
MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 32
SHOWN_ERRORS: Final = 5
SHOWN_CHARACTERS: Final = 200


class WorldError(Exception):
    """Say in one line what is wrong with a world: the source, and each error with its pointer."""

    def __init__(self, source: str, errors: Errors) -> None:
        self.source = source
        self.errors = tuple(sorted(set(errors)))
        lines = [f"{shortened(place)}: {text}" if place else text for place, text in self.errors]
        more = [f"and {len(lines) - SHOWN_ERRORS} more"] if len(lines) > SHOWN_ERRORS else []
        super().__init__(_printable(f"{source}: {'; '.join(lines[:SHOWN_ERRORS] + more)}"))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of the two
    """Read plain JSON-like data only: no dates, no sets, no merge keys, no duplicate keys."""

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        """Construct a map; each error has the line."""
        entries: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _at(key, "a key that is not a text; write it in quotes")
            if key.value in entries:
                raise _at(key, f"the key {shortened(key.value)} stands twice")
            try:
                entries[key.value] = self.construct_object(value, deep=True)
            except ValueError:
                raise _at(value, "a value that cannot be read; write it in quotes") from None
        return entries


_Loader.yaml_constructors = {
    f"tag:yaml.org,2002:{name}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
    for name, kind in (
        *((kind, kind) for kind in ("null", "bool", "int", "float", "str", "seq")),
        ("timestamp", "str"),
    )
} | {
    "tag:yaml.org,2002:map": _Loader.mapping,
    None: yaml.SafeLoader.yaml_constructors[None],
}


def _at(place: yaml.Node | yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def read_file(path: Path) -> bytes:
    """Return what is in a file; WorldError for one that cannot be read, or is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_OCTETS + 1)
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", "no path can have this name")
        raise WorldError(str(path), [("", f"cannot be read: {text}")]) from None
    if len(content) > MAX_FILE_OCTETS:
        raise WorldError(str(path), [("", f"is larger than {MAX_FILE_OCTETS} octets")])
    return content


def parsed(content: bytes, source: str) -> Any:  # noqa: ANN401  # any JSON
    """Parse YAML as plain data; WorldError with line and column where it cannot be."""
    try:
        # Constructing nested data recurses in C and overflows its stack; reading events does not.
        depth = 0
        for event in yaml.parse(content, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _at(event, f"nested deeper than {MAX_DEPTH} levels")
        return yaml.load(content, Loader=_Loader)  # noqa: S506  # it constructs plain data only
    except (yaml.YAMLError, ValueError) as error:
        raise WorldError(source, [("", _place_and_problem(error, content))]) from None


def _place_and_problem(error: Exception, content: bytes) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        # The parser may quote what it could not read, and that may be a secret.
        problem = re.sub(r"'[^']{2,}'", "'…'", error.problem or "")
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    position = getattr(error, "position", 0)
    line = content[:position].count(b"\n") + 1
    return f"line {line}: {getattr(error, 'reason', 'cannot be read')}"


def refuse_unless_json(tree: object, source: str) -> None:
    """Raise WorldError for what JSON has no form for, or that is too much."""
    pending: list[tuple[object, str, int]] = [(tree, "", 0)]
    seen = 0
    while pending:
        value, place, depth = pending.pop()
        seen += 1
        # An alias may stand for much more than the file is long, even for itself.
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            text = f"more than {MAX_DEPTH} levels deep, or than {MAX_VALUES} values"
            raise WorldError(source, [(place, text)])
        if problem := _json_problem(value):
            raise WorldError(source, [(place, problem)])
        pending += [(item, place + step(key), depth + 1) for key, item in _items(value)]


def _json_problem(value: object) -> str | None:
    if isinstance(value, Mapping):
        return next((text for key in value if (text := _key_problem(key))), None)
    if isinstance(value, str):
        return None if _is_unicode(value) else "a text that is not Unicode (a lone surrogate)"
    known = value is None or isinstance(value, int | float | list | tuple)
    return None if known else f"JSON has no {type(value).__name__}"


def _key_problem(key: object) -> str | None:
    if not isinstance(key, str):
        return f"the key {shortened(str(key))} is not a text; write it in quotes"
    return None if _is_unicode(key) else "a key that is not Unicode (a lone surrogate)"


def _is_unicode(text: str) -> bool:
    return not re.search(r"[\ud800-\udfff]", text)


def _items(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple) else ()


def step(key: object) -> str:
    """Return a key as a step of a JSON pointer (RFC 6901, 3)."""
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def shortened(text: str) -> str:
    """Return a text of at most 200 characters."""
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)

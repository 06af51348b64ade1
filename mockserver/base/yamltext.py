"""YAML parsed strictly as plain data."""

import re
from typing import Any, Final

import yaml

from mockserver.base.text import one_line

_TAG: Final = "tag:yaml.org,2002:"
_TEXTS: Final = frozenset({f"{_TAG}str", f"{_TAG}timestamp"})  # JSON has no dates
_TEXT: Final = frozenset({f"{_TAG}str"})
_TEXT_OR_NUMBER: Final = _TEXT | {f"{_TAG}int"}
_KNOWN: Final = _TEXTS | {
    f"{_TAG}{kind}" for kind in ("null", "bool", "int", "float", "map", "seq")
}


def parse_yaml(content: bytes, max_depth: int, *, numbers: bool = False) -> Any:  # noqa: ANN401  # any JSON
    """Return the data of the one document; ValueError says what is wrong, and where.

    With `numbers` a whole number as a key is its text.
    """
    try:
        return _Reader(content, max_depth, _TEXT_OR_NUMBER if numbers else _TEXT).document()
    except (yaml.YAMLError, ValueError) as found:
        raise ValueError(_place_and_problem(found, content)) from None


class _Reader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of the two
    """Build data from the parser's events: half the time of the library's own two passes."""

    def __init__(self, content: bytes, max_depth: int, keys: frozenset[str]) -> None:
        super().__init__(content)
        self._max_depth = max_depth
        self._keys = keys
        self._anchors: dict[str, Any] = {}

    def document(self) -> object:
        """Return what the one document of the stream holds, None where there is none."""
        self.get_event()  # the start of the stream
        if self.check_event(yaml.StreamEndEvent):
            return None
        self.get_event()  # the start of the document
        value = self._value(0)
        self.get_event()  # its end
        if not self.check_event(yaml.StreamEndEvent):
            raise _at(self.get_event(), "another document; a file holds one")
        return value

    def _value(self, depth: int) -> object:
        event = self.get_event()
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _at(event, "found undefined alias")
            return self._anchors[event.anchor]
        if depth > self._max_depth and isinstance(event, yaml.CollectionStartEvent):
            raise _at(event, f"nested deeper than {self._max_depth} levels")  # the stack has an end
        value = self._built(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _built(self, event: Any, depth: int) -> object:  # noqa: ANN401  # as above
        tag = self._tag(event)
        if tag not in _KNOWN:
            raise _at(event, "could not determine a constructor for the tag")
        if isinstance(event, yaml.MappingStartEvent):
            return self._map(depth + 1)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(depth + 1)
        if tag in _TEXTS:
            return event.value
        try:
            return self.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:
            raise _at(event, "a value that cannot be read; write it in quotes") from None

    def _tag(self, event: Any) -> str:  # noqa: ANN401  # one of those with a tag
        tag: str = event.tag or f"{_TAG}map"  # or a list, which is as good
        if isinstance(event, yaml.ScalarEvent) and not event.tag:
            tag = self.resolve(yaml.ScalarNode, event.value, event.implicit)
        return tag

    def _list(self, depth: int) -> list[object]:
        values = []
        while not self.check_event(yaml.SequenceEndEvent):
            values.append(self._value(depth))
        self.get_event()
        return values

    def _map(self, depth: int) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not self.check_event(yaml.MappingEndEvent):
            place = self.get_event()
            if not (isinstance(place, yaml.ScalarEvent) and self._tag(place) in self._keys):
                raise _at(place, "a key that is not a text; write it in quotes")
            key = place.value
            if key in entries:
                raise _at(place, f"the key {one_line(key)} stands twice")
            entries[key] = self._value(depth)
        self.get_event()
        return entries


def _at(place: yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _place_and_problem(error: Exception, content: bytes) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        # The parser may quote what it could not read, and that may be a secret.
        problem = re.sub(r"""['"].{2,}['"]""", "'…'", error.problem or "", flags=re.DOTALL)
        if content.decode(errors="replace")[mark.index : mark.index + 1] == "\t":
            problem = "a tab; YAML is indented with blanks"
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    position = getattr(error, "position", 0)
    line = content[:position].count(b"\n") + 1
    return f"line {line}: {getattr(error, 'reason', 'cannot be read')}"

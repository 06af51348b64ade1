"""How a body is read: what its spellings and texts stand for, and what is noted of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

from mockserver.base.jsontext import MAX_DIGITS
from mockserver.base.problems import Kind, Note, NoteKind, Problem
from mockserver.base.schema import Node, pointer
from mockserver.base.text import cut, lowered

Json = dict[str, Any]

_MAX_NOTES: Final = 100
_MAX_FORM_FIELDS: Final = 100

# A number comes as text; what JSON would not write as one stays a text (01, +1).
_INTEGER: Final = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})")
_BOOLEANS: Final = {"true": True, "false": False}
_LOOKED_INTO: Final = frozenset({dict, float, list})  # nothing else is wrong by itself


def typed(text: str, types: Iterable[str]) -> object:
    """Return what a text stands for where one of these JSON types is wanted, else the text."""
    if "integer" in types and _INTEGER.fullmatch(text):
        return int(text)
    if "boolean" in types:
        return _BOOLEANS.get(text.lower(), text)
    return text


@dataclass(frozen=True)
class Shape:
    """What a schema says of how a value is written: its types, and the names below it.

    References are followed once, each when it is first needed; conditions name no field of their
    own, and are not looked into.
    """

    node: Node
    # By the schema's place, so that one that refers to itself has an end.
    _shapes: dict[str, "Shape"] = field(default_factory=dict, repr=False)

    @cached_property
    def _rule(self) -> Node:
        """The schema itself, and of `anyOf` the first branch: the other one is null."""
        return self.node.at("anyOf", 0) if "anyOf" in self.node.value else self.node

    @cached_property
    def types(self) -> frozenset[str]:
        """The JSON types."""
        return self._rule.types

    @cached_property
    def members(self) -> Mapping[str, "Shape"]:
        """The documented properties; where there are none, all names are data."""
        names = self._rule.value.get("properties", ())
        return {name: self._below("properties", name) for name in names}

    @cached_property
    def ignores_others(self) -> bool:
        """Whether names that are not documented are ignored: where the schema does not say."""
        return "additionalProperties" not in self._rule.value

    @cached_property
    def items(self) -> "Shape | None":
        """What the elements of a list are."""
        return self._below("items") if "items" in self._rule.value else None

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The documented names by their lower case."""
        return {lowered(name): name for name in self.members}

    def all_names(self) -> Iterator[str]:
        """Give the documented names at this depth and below."""
        pending, seen = [self], {self.node.pointer}
        while pending:
            shape = pending.pop()
            yield from shape.members
            below = [*shape.members.values(), *([shape.items] if shape.items else [])]
            pending += [each for each in below if each.node.pointer not in seen]
            seen |= {each.node.pointer for each in below}

    def _below(self, *keys: str) -> "Shape":
        node = self._rule.at(*keys)
        return self._shapes.setdefault(node.pointer, Shape(node, self._shapes))

    def fits(self, value: object) -> bool:
        """Say whether a value is spelled as documented: every name, every whole number."""
        if isinstance(value, dict):
            members = self.members
            if not value.keys() <= members.keys():
                return not members
            for name, item in value.items():
                if type(item) in _LOOKED_INTO and not members[name].fits(item):
                    return False
            return True
        if isinstance(value, list):
            return self.items is None or all(map(self.items.fits, value))
        return not (isinstance(value, float) and value.is_integer() and "integer" in self.types)


def read_form(raw: bytes, shape: Shape) -> Json:
    """Parse a form (application/x-www-form-urlencoded) by the types of a flat schema.

    A name that stands twice stays a list, which its type refuses. Problem 400 when it is no form.
    """
    fields: dict[str, list[str]] = {}
    try:
        text = raw.decode("utf-8-sig")
        for name, value in parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS
        ):
            fields.setdefault(name, []).append(value)
    except ValueError:
        raise Problem(
            Kind.JSON, f"the body is not a form in UTF-8 of at most {_MAX_FORM_FIELDS} fields"
        ) from None
    types = {lowered(name): member.types for name, member in shape.members.items()}
    return {
        name: values if len(values) > 1 else typed(values[0], types.get(lowered(name), ()))
        for name, values in fields.items()
    }


def relaxed(body: object, shape: Shape, *, lenient: bool) -> tuple[object, list[Note]]:
    """Return a body as the documents spell it, and at most 100 notes; the body stays.

    Names come in any letter case, and whole numbers with a fraction of zeros, in every world. A
    lenient one ignores unknown fields too, takes texts for numbers and booleans, and fills in what
    the document allows it to. What no world takes stays, for the check to refuse.
    """
    if not lenient and shape.fits(body):
        return body, []
    reader = _Reader(lenient)
    return reader.value(body, shape, ""), reader.notes


class _Reader:
    """One way through a body, with the notes so far."""

    def __init__(self, lenient: bool) -> None:
        self._lenient = lenient
        self.notes: list[Note] = []

    def value(self, value: object, shape: Shape, path: str) -> object:
        """Return a value as the documents spell it."""
        if isinstance(value, dict):
            return self._object(value, shape, path) if shape.members else value
        if isinstance(value, list):
            return self._list(value, shape.items, path)
        if isinstance(value, float) and value.is_integer() and "integer" in shape.types:
            self._note(NoteKind.WHOLE_NUMBER, path, "type", "taken as an integer")
            return int(value)
        if isinstance(value, str) and self._lenient and "string" not in shape.types:
            return self._text(value, shape, path)
        return value

    def _list(self, values: list[object], shape: Shape | None, path: str) -> list[object]:
        if shape is None:
            return values
        return [self.value(value, shape, f"{path}/{index}") for index, value in enumerate(values)]

    def _text(self, text: str, shape: Shape, path: str) -> object:
        value = typed(text, shape.types)
        if value is not text:
            kind = "a boolean" if isinstance(value, bool) else "an integer"
            self._note(NoteKind.TEXT_VALUE, path, "type", f"taken as {kind}")
        return value

    def _object(self, value: Json, shape: Shape, path: str) -> Json:
        spelled: Json = {}
        for given, item in value.items():
            place = path + pointer([cut(given)])
            name = shape.names.get(lowered(given))
            if name is None and (self._lenient or shape.ignores_others):
                self._note(NoteKind.UNKNOWN_FIELD, place, "additionalProperties", "ignored")
            elif name is None or (name != given and (name in value or name in spelled)):
                spelled[given] = item  # unknown, or given twice
            else:
                if name != given:
                    text = f"taken as {name}"
                    self._note(NoteKind.LETTER_CASE, place, "additionalProperties", text)
                spelled[name] = self.value(item, shape.members[name], place)
        if self._lenient:
            self._fill(spelled, shape, path)
        return spelled

    def _fill(self, spelled: Json, shape: Shape, path: str) -> None:
        for name, member in shape.members.items():
            default = member.node.value.get("x-lenient-default")
            if spelled.get(name) is None and default is not None:
                spelled[name] = default
                text = f"left out, taken as {spelled[name]}"
                self._note(NoteKind.MISSING_FIELD, f"{path}/{name}", "required", text)

    def _note(self, kind: NoteKind, path: str, rule: str, text: str) -> None:
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(Note(path, rule, f"{path.removeprefix('/')}: {text}.", kind))

"""How a body is read: what its spellings and texts stand for, and what is noted of them."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import parse_qsl

from mockserver.base.jsontext import MAX_DIGITS, Json
from mockserver.base.problems import Kind, Note, NoteKind, Problem
from mockserver.base.schema import pointer
from mockserver.base.text import cut, lowered
from mockserver.contract.form import Form
from mockserver.contract.wording import type_of

_MAX_NOTES: Final = 100
_MAX_FORM_FIELDS: Final = 100

# A number comes as text; what JSON would not write as one stays a text (01, +1).
_INTEGER: Final = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:[.][0-9]{1,99})?(?:[eE][+-]?[0-9]{1,2})?")
_BOOLEANS: Final = {"true": True, "false": False}
_LOOKED_INTO: Final = frozenset({dict, float, list})  # nothing else is wrong by itself


def typed(text: str, types: Iterable[str]) -> object:
    """Return what a text stands for where one of these JSON types is wanted, else the text."""
    if ("integer" in types or "number" in types) and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text):
        return float(text)
    if "boolean" in types:
        return _BOOLEANS.get(text.lower(), text)
    return text


def field_names(form: Form) -> Iterator[str]:
    """Give the documented names at every depth."""
    pending, seen = [form], {id(form)}
    while pending:
        each = pending.pop()
        yield from each.properties
        below = [*each.properties.values(), *([each.items] if each.items else [])]
        pending += [inner for inner in below if id(inner) not in seen]
        seen |= set(map(id, below))


def _fits(value: object, form: Form) -> bool:
    """Say whether a value is spelled as documented: every name, every whole number."""
    if isinstance(value, dict):
        known = form.properties
        if not value.keys() <= known.keys():
            return not known
        for name, item in value.items():
            if type(item) in _LOOKED_INTO and not _fits(item, known[name]):
                return False
        return True
    if isinstance(value, list):
        return form.items is None or all(_fits(item, form.items) for item in value)
    return not (isinstance(value, float) and value.is_integer() and "integer" in form.types)


def read_form(raw: bytes, form: Form) -> Json:
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
    types = {lowered(name): member.types for name, member in form.properties.items()}
    return {
        name: values if len(values) > 1 else typed(values[0], types.get(lowered(name), ()))
        for name, values in fields.items()
    }


def relaxed(body: object, form: Form, *, lenient: bool) -> tuple[object, list[Note]]:
    """Return a body as the documents spell it, and at most 100 notes; the body stays.

    Names come in any letter case, and whole numbers with a fraction of zeros, in every world. A
    lenient one ignores unknown fields too, takes texts for numbers and booleans, and fills in what
    the document allows it to. What no world takes stays, for the check to refuse.
    """
    if not lenient and _fits(body, form):
        return body, []
    reader = _Reader(lenient)
    return reader.value(body, form, ""), reader.notes


class _Reader:
    """One way through a body, with the notes so far."""

    def __init__(self, lenient: bool) -> None:
        self._lenient = lenient
        self.notes: list[Note] = []

    def value(self, value: object, form: Form, path: str) -> object:
        """Return a value as the documents spell it."""
        if isinstance(value, dict):
            return self._object(value, form, path) if form.properties else value
        if isinstance(value, list):
            return self._list(value, form.items, path)
        if isinstance(value, float) and value.is_integer() and "integer" in form.types:
            self._note(NoteKind.WHOLE_NUMBER, path, "type", "taken as an integer")
            return int(value)
        if isinstance(value, str) and self._lenient and "string" not in form.types:
            return self._text(value, form, path)
        return value

    def _list(self, values: list[object], form: Form | None, path: str) -> list[object]:
        if form is None:
            return values
        return [self.value(value, form, f"{path}/{index}") for index, value in enumerate(values)]

    def _text(self, text: str, form: Form, path: str) -> object:
        value = typed(text, form.types)
        if value is not text:
            self._note(NoteKind.TEXT_VALUE, path, "type", f"taken as {type_of(value)}")
        return value

    def _object(self, value: Json, form: Form, path: str) -> Json:
        spelled: Json = {}
        for given, item in value.items():
            place = path + pointer([cut(given)])
            name = form.names.get(lowered(given))
            if name is None and (self._lenient or "additionalProperties" not in form.rule):
                self._note(NoteKind.UNKNOWN_FIELD, place, "additionalProperties", "ignored")
            elif name is None or (name != given and (name in value or name in spelled)):
                spelled[given] = item  # unknown, or given twice
            else:
                if name != given:
                    text = f"taken as {name}"
                    self._note(NoteKind.LETTER_CASE, place, "additionalProperties", text)
                spelled[name] = self.value(item, form.properties[name], place)
        if self._lenient:
            self._fill(spelled, form, path)
        return spelled

    def _fill(self, spelled: Json, form: Form, path: str) -> None:
        for name, member in form.properties.items():
            default = member.rule.get("x-lenient-default")
            if spelled.get(name) is None and default is not None:
                spelled[name] = default
                text = f"left out, taken as {spelled[name]}"
                self._note(NoteKind.MISSING_FIELD, path + pointer([name]), "required", text)

    def _note(self, kind: NoteKind, path: str, rule: str, text: str) -> None:
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(Note(path, rule, f"{path.removeprefix('/')}: {text}.", kind))

"""Bodies made strict: what a form's texts stand for, and what a lenient product takes for what."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from mockserver.jsontext import MAX_DIGITS, cut
from mockserver.problems import Code, Problem
from mockserver.trace import Leniency

Json = dict[str, Any]

MAX_NOTES: Final = 100
MAX_FORM_FIELDS: Final = 100

# A number comes as text; what JSON would not write as one stays a text (01, +1).
_INTEGER: Final = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})")
_BOOLEANS: Final = {"true": True, "false": False}


def typed(text: str, types: Iterable[str]) -> object:
    """Return what a text stands for where one of these JSON types is wanted, else the text."""
    if "integer" in types and _INTEGER.fullmatch(text):
        return int(text)
    if "boolean" in types:
        return _BOOLEANS.get(text.lower(), text)
    return text


def types_of(schema: Json) -> frozenset[str]:
    """Return the types that the schema itself allows."""
    types = schema.get("type", ())
    return frozenset([types] if isinstance(types, str) else types)


def read_form(raw: bytes, schema: Json) -> Json:
    """Parse a form (application/x-www-form-urlencoded) by the types of a flat schema.

    A name that stands twice stays a list, which its type refuses. Problem 400 when it is no form.
    """
    fields: dict[str, list[str]] = {}
    try:
        text = raw.decode("utf-8-sig")
        for name, value in parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
        ):
            fields.setdefault(name, []).append(value)
    except ValueError:
        raise Problem(
            400, Code.BODY, f"the body is not a form in UTF-8 of at most {MAX_FORM_FIELDS} fields"
        ) from None
    known = schema["properties"]
    return {
        name: values if len(values) > 1 else typed(values[0], types_of(known.get(name, {})))
        for name, values in fields.items()
    }


@dataclass(frozen=True)
class Coercion:
    """Turn bodies into their strict form by the schemas of one document, and note each change.

    A note has the JSON pointer of what was sent, the JSON Schema keyword that it would have broken,
    and a message, which never holds a value.
    """

    document: Json = field(repr=False)

    def relaxed(self, body: object, schema: Json) -> tuple[object, list[Leniency]]:
        """Return the strict form of a body, and at most MAX_NOTES notes; the body stays as it is.

        What cannot be made strict stays, for the check to refuse.
        """
        notes: list[Leniency] = []
        return self._value(body, schema, "", notes), notes

    def _value(self, value: object, schema: Json, path: str, notes: list[Leniency]) -> object:
        rule = self._rule(schema)
        if isinstance(value, dict):
            return self._object(value, rule, path, notes)
        if isinstance(value, list) and "items" in rule:
            return [
                self._value(item, rule["items"], f"{path}/{index}", notes)
                for index, item in enumerate(value)
            ]
        strict = _scalar(value, types_of(rule))
        if strict is not value:
            kind = "a boolean" if isinstance(strict, bool) else "an integer"
            _note(notes, path, "type", f"taken as {kind}")
        return strict

    def _object(self, value: Json, rule: Json, path: str, notes: list[Leniency]) -> Json:
        known = rule.get("properties", {})
        if not known:
            return value
        names = {name.casefold(): name for name in known}
        strict: Json = {}
        # The exact spelling goes before the others.
        for given in sorted(value, key=lambda name: name not in known):
            name = names.get(given.casefold())
            place = f"{path}/{_step(given)}"
            if name is None or name in strict:
                _note(notes, place, "additionalProperties", "ignored")
                continue
            if name != given:
                _note(notes, place, "additionalProperties", f"taken as {name}")
            strict[name] = self._value(value[given], known[name], place, notes)
        for name, default in _defaults(known):
            if strict.get(name) is None:
                _note(notes, f"{path}/{name}", "required", f"left out, taken as {default}")
                strict[name] = default
        return strict

    def _rule(self, schema: Json) -> Json:
        """Follow a reference, and take the first branch of `anyOf`: the other one is null."""
        rule = schema["anyOf"][0] if "anyOf" in schema else schema
        if "$ref" not in rule:
            return rule
        found = self.document
        for part in rule["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found


def _scalar(value: object, types: frozenset[str]) -> object:
    if isinstance(value, str) and "string" not in types:
        return typed(value, types)
    if isinstance(value, float) and value.is_integer() and "integer" in types:
        return int(value)
    return value


def _defaults(known: Mapping[str, Json]) -> Iterator[tuple[str, object]]:
    for name, schema in known.items():
        if "x-lenient-default" in schema:
            yield name, schema["x-lenient-default"]


def _note(notes: list[Leniency], path: str, rule: str, text: str) -> None:
    if len(notes) < MAX_NOTES:
        message = f"{path.removeprefix('/')}: {text}."
        notes.append(Leniency(path, rule, message))


def _step(name: str) -> str:
    """Return a name as it stands in a JSON pointer (RFC 6901, 3), cut to what can be shown."""
    return cut(name).replace("~", "~0").replace("/", "~1")

"""A schema as the form of values: how a request is spelled, what an answer shows, and samples."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mockserver.base import masking
from mockserver.base.jsontext import Json
from mockserver.base.schema import referred, types_of
from mockserver.base.text import lowered

# Gives what a value is to be shown as, by the name that the schema has for it (`x-value`).
_Values = Callable[[str, Json], object]

# How secrets are given back (recorded).
ASTERISKS: Final = "*" * 20
NO_GUID: Final = "00000000-0000-0000-0000-000000000000"

_FORMATS: Final = {
    "uuid": NO_GUID,
    "date-time": "0001-01-01T00:00:00Z",  # what C# has where nothing was set
    "date": "0001-01-01",
    "time": "00:00:00Z",
    "email": "jsmith@keyexample.com",
    "uri": "https://keyexample.com/",
    "hostname": "keyexample.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "",
}
# One of these keeps most patterns that documents have.
_TRIED: Final = ("", "a", "A", "1", "01", "A1", "a-b", "/a/", "1.0", "12:00", "PT1M", "#000000")
# How much is made of a schema, as those of many objects that refer to one another have no end.
_MOST_OBJECTS: Final = 1_000
_MOST_DEEP: Final = 10
_MOST_ITEMS: Final = 100
_MOST_CHARACTERS: Final = 10_000
_TYPES: Final = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


@dataclass(eq=False)
class Form:
    """A schema as the form of a value, with references followed and several schemas made one."""

    document: Json = field(repr=False)
    schema: Json
    name: str = ""
    # By the schema's identity, so that one that refers to itself has an end.
    forms: dict[tuple[int, str], "Form"] = field(default_factory=dict, repr=False)
    making: "_Making" = field(default_factory=lambda: _Making(), repr=False)  # noqa: PLW0108  # it comes below

    @cached_property
    def rule(self) -> Json:
        """The schema without references and branches; of several branches the first counts."""
        rule = self.schema
        while "$ref" in rule:
            rule = {**referred(self.document, rule["$ref"]), **_without(rule, "$ref")}
        for part in rule.get("allOf", ()):
            inner = self._below(part, "").rule
            properties = {**inner.get("properties", {}), **rule.get("properties", {})}
            rule = {**inner, **_without(rule, "allOf")}
            if properties:
                rule["properties"] = properties
        parts = [*rule.get("anyOf", ()), *rule.get("oneOf", ())]
        branches = [self._below(part, "").rule for part in parts]
        if branches:
            first = next((each for each in branches if each.get("type") != "null"), branches[0])
            types = types_of(first) | types_of(rule)
            if len(branches) > 1 and any("null" in types_of(each) for each in branches):
                types |= {"null"}
            rule = {**first, **_without(rule, "anyOf", "oneOf"), "type": sorted(types)}
        return rule

    @cached_property
    def types(self) -> frozenset[str]:
        """The JSON types; what has properties or items and no type is an object or an array."""
        implied = {"properties": "object", "additionalProperties": "object", "items": "array"}
        return types_of(self.rule) or frozenset(
            [kind for keyword, kind in implied.items() if keyword in self.rule][:1]
        )

    @cached_property
    def properties(self) -> Mapping[str, "Form"]:
        """The documented members; where there are none, all names are data."""
        return {
            name: self._below(schema if isinstance(schema, dict) else {}, name)
            for name, schema in self.rule.get("properties", {}).items()
        }

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The documented names by their lower case."""
        return {lowered(name): name for name in self.properties}

    @cached_property
    def members(self) -> Mapping[str, "Form"]:
        """The properties that an answer shows, in their order."""
        own = self.properties.items()
        return {name: form for name, form in own if not form.schema.get("writeOnly")}

    @cached_property
    def items(self) -> "Form | None":
        """What the elements of a list are."""
        items = self.rule.get("items")
        return self._below(items, self.name) if isinstance(items, dict) else None

    @cached_property
    def is_secret(self) -> bool:
        """Say whether a text here is a secret: marked as one, or named so."""
        marked = self.rule.get("writeOnly") or self.rule.get("format") == "password"
        named = masking.is_secret(self.name) and not {"enum", "x-names"} & self.rule.keys()
        return bool(marked or (named and self.rule.get("format") is None))

    @cached_property
    def optional(self) -> bool:
        """Say whether it is left out of an answer where it has no value."""
        return bool(self.rule.get("x-left-out"))

    def _below(self, schema: Json, name: str) -> "Form":
        while set(schema) == {"$ref"}:
            schema = referred(self.document, schema["$ref"])
        key = id(schema), name
        return self.forms.setdefault(
            key, Form(self.document, schema, name, self.forms, self.making)
        )

    def made(self, value: object, values: _Values) -> object:
        """Return a value in this form; `values` gives those members that are made of others."""
        kinds = self._kinds
        if value is None or not (kinds is None or isinstance(value, kinds)):
            return self.empty
        if isinstance(value, str):
            return ASTERISKS if value and self.is_secret else value
        if isinstance(value, int):
            return self._number(value)
        if isinstance(value, dict) and self.members:
            return self._object(value, values)
        if isinstance(value, list | tuple):
            items = self.items
            return [items.made(item, values) for item in value] if items else [*value]
        return value

    def _number(self, value: int) -> object:
        """Return the text that stands for a number, or the number; a boolean is none."""
        if isinstance(value, bool) and self._kinds is not None and bool not in self._kinds:
            return self.empty
        names = self.rule.get("x-names", ())
        return names[value] if 0 <= value < len(names) else value

    def _object(self, value: Json, values: _Values) -> Json:
        made: Json = {}
        for name, form, derived in self._shown:
            item = value.get(name) if derived is None else values(derived, value)
            if item is not None or not form.optional:
                made[name] = form.made(item, values)
        return made

    @cached_property
    def _shown(self) -> list[tuple[str, "Form", str | None]]:
        """The members, each with what it is made of where that is not the member itself."""
        return [(name, form, form.rule.get("x-value")) for name, form in self.members.items()]

    @cached_property
    def _kinds(self) -> tuple[type, ...] | None:
        """What is taken as it is; what has another type counts as absent. None takes everything."""
        if not self.types or "x-names" in self.rule:
            return None
        return tuple(kind for name in self.types for kind in _TYPES.get(name, ()))

    def stored(self, value: object) -> object:
        """Return a value of a request as it is kept: no secret, and numbers for their names."""
        if isinstance(value, dict):
            return {
                name: (self.properties.get(name) or Form({}, {}, name)).stored(item)
                for name, item in value.items()
            }
        if isinstance(value, list):
            below = self.items or Form({}, {}, self.name)
            return [below.stored(item) for item in value]
        if isinstance(value, str):
            if value in self.rule.get("x-names", ()):
                return self.rule["x-names"].index(value)
            if value and self.is_secret:
                return ASTERISKS
        return value

    @property
    def empty(self) -> object:
        """What stands where nothing was given: null, `[]`, false, 0, an empty text, by its type."""
        if "null" in self.types or not self.types:
            return None
        fixed = [self.rule[keyword] for keyword in ("enum", "x-names") if self.rule.get(keyword)]
        return fixed[0][0] if fixed else self.rule.get("const", self._by_type("empty"))

    @property
    def sample(self) -> object:
        """An example, the same each time: that of the document, or one made by its types."""
        lists = (self.rule.get(keyword) for keyword in ("examples", "enum"))
        given = [self.rule[keyword] for keyword in ("example", "default") if keyword in self.rule]
        given += [values[0] for values in lists if values]
        return given[0] if given else self.rule.get("const", self._by_type("sample"))

    def _by_type(self, wanted: str) -> object:
        """Make a value of the first type that is known, with `empty` or `sample` members."""
        kind = next((name for name in _TYPES if name in self.types), None)
        if kind == "object":
            return dict(self._each(wanted))
        if kind == "array":
            return self._items(wanted)
        if kind == "string":
            return _text(self.rule)
        return _number(self.rule) if kind in {"integer", "number"} else kind and False

    def _items(self, wanted: str) -> list[object]:
        least = self.rule.get("minItems", 1 if wanted == "sample" else 0)
        if self.items is None or self.rule.get("maxItems") == 0 or self.making.is_busy(self.items):
            return []
        with self.making.of(self):
            return [getattr(self.items, wanted)] * min(least, _MOST_ITEMS)

    def _each(self, wanted: str) -> Iterator[tuple[str, object]]:
        """Give each member; where a schema comes back to itself, only what must be there."""
        required = self.rule.get("required", ())
        with self.making.of(self):
            for name, form in self.members.items():
                is_busy = self.making.is_busy(form)
                if not form.optional and not is_busy:
                    yield name, getattr(form, wanted)
                elif is_busy and name in required:
                    yield name, None if "null" in form.types else {}


@dataclass
class _Making:
    """What a value is being made of: a schema may refer to itself, and many to one another."""

    busy: set[int] = field(default_factory=set)  # by identity
    left: int = _MOST_OBJECTS

    @contextmanager
    def of(self, form: Form) -> Iterator[None]:
        """Make the value of one more object or array, inside of those that are being made."""
        self.left = self.left - 1 if self.busy else _MOST_OBJECTS
        self.busy.add(id(form.schema))
        try:
            yield
        finally:
            self.busy.discard(id(form.schema))

    def is_busy(self, form: Form) -> bool:
        """Say whether nothing of this schema is made: it would be in itself, or be too much."""
        if id(form.schema) in self.busy:
            return True
        return (self.left <= 0 or len(self.busy) >= _MOST_DEEP) and bool(form.members)


def _without(rule: Json, *keywords: str) -> Json:
    return {keyword: value for keyword, value in rule.items() if keyword not in keywords}


def _number(rule: Json) -> Any:  # noqa: ANN401  # an integer or a number
    """Return the number nearest to 0 that a schema allows."""
    low = rule.get("minimum", rule.get("exclusiveMinimum", -1) + 1)
    high = rule.get("maximum", rule.get("exclusiveMaximum", 1) - 1)
    number = low if low > 0 else min(0, high)
    step = rule.get("multipleOf")
    return -(-number // step) * step if step else number


def _text(rule: Json) -> str:
    text = _FORMATS.get(rule.get("format", ""), "")
    if "pattern" in rule:
        text = next((each for each in _TRIED if _matches(rule["pattern"], each)), text)
    return text.ljust(min(rule.get("minLength", 0), _MOST_CHARACTERS), "a")[: rule.get("maxLength")]


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False

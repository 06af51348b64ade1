"""Schemas of documents of others: checked, and brought to JSON Schema as OpenAPI 3.1 has it."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote

from jsonschema_rs import Draft202012Validator

from mockserver.base.documents import DocumentError
from mockserver.base.jsontext import Json
from mockserver.base.schema import Node, pointer, referred
from mockserver.base.text import cut

_Part = tuple[Any, str]  # what stands in a document, and its pointer

# Where the paths are as they were given, if something refers into them; `paths` are made anew.
_GIVEN_PATHS: Final = "x-paths"
# What OpenAPI 2.0 keeps at the top, and where 3.1 has it.
_MOVED: Final = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
# What a parameter of OpenAPI 2.0 has beside its schema; all else is the schema.
_BESIDE: Final = ("name", "in", "required", "description", "collectionFormat", "x-example")
_STYLES: Final = {"csv": "form", "ssv": "spaceDelimited", "pipes": "pipeDelimited"}
# What holds any data, and what says who may call: they only look like schemas or references.
_SECURITY: Final = ("security", "securityDefinitions", "securitySchemes")
_DATA: Final = {"const", "default", "enum", "example", "examples", *_SECURITY}
# Objects whose keys are names, and so no keywords.
_NAMES: Final = {
    *("callbacks", "content", "encoding", "headers", "links", "parameters", "pathItems", "paths"),
    *("requestBodies", "responses", "webhooks"),
}
_NAMED_SCHEMAS: Final = {"definitions", "schemas"}
# Where a schema has others in it: one, a list of them, or some by their names.
_ONE: Final = {
    *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
    *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
}
_LIST: Final = {"allOf", "anyOf", "oneOf", "prefixItems"}
_BY_NAME: Final = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
_WITH_SCHEMAS: Final = _ONE | _LIST | _BY_NAME
# Those that are about the value of the schema itself, beside a reference.
_OF_ITSELF: Final = ("allOf", "anyOf", "oneOf")
_MADE_OF: Final = {"$ref", *_OF_ITSELF}
_LOOKED_AT: Final = {"$dynamicRef", "pattern", "patternProperties", *_OF_ITSELF}
_MOST_OF_ITSELF: Final = 50
_COUNTS: Final = tuple(
    f"{bound}{what}" for bound in ("min", "max") for what in ("Length", "Items", "Properties")
)
# Keywords that allow and forbid nothing: where one has another type, it is left out.
_TELLING: Final = {
    **dict.fromkeys(("$comment", "contentEncoding", "contentMediaType", "description"), str),
    **dict.fromkeys(("format", "title", "x-expected", "x-when"), str),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "x-left-out"), bool),
    **dict.fromkeys(("examples", "x-names"), list),
}
# Names of schemas, which are found by their pointers here, and what only code of the mock's makes.
_LEFT_OUT: Final = ("$id", "$schema", "x-value")
_BESIDE_A_REFERENCE: Final = {"$ref", "default", "example", *_TELLING}
_OF_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties")
_SUSPECT: Final = {*_LEFT_OUT, *_OF_MEMBERS, *_TELLING, "required", "type"}
_OTHERWISE_BEFORE: Final = {"exclusiveMaximum", "exclusiveMinimum", "nullable", *_COUNTS}


def mend(root: Node) -> None:
    """Bring the schemas of a document to the newest form, and its references, in place.

    DocumentError, with the pointer that the file has, for a reference that leads nowhere or in a
    circle, and for a schema or a pattern that cannot be compiled. In a member or an element a
    schema may come back to itself.
    """
    mender = _Mender(root)
    mender.mend()
    mender.check()


class _Mender:
    """One way through a document, with what was found on it."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._is_old = "swagger" in root.document
        self._pending: list[tuple[Any, str, bool]] = [(root.document, "", False)]
        # By identity, as one part may stand at many places; as a schema and as what is none.
        self._seen: dict[tuple[int, bool], Any] = {}
        self._schemas: dict[str, Any] = {}
        self._patterns: dict[str, str] = {}  # the first place of each
        self._targets: dict[str, _Part] = {}  # of references, as they were and as they are then
        self._made_of_others: list[tuple[Json, str]] = []
        self._heights: dict[int, int] = {}

    def mend(self) -> None:
        """Visit everything that is no data."""
        while self._pending:
            value, place, is_schema = self._pending.pop()
            if (id(value), is_schema) in self._seen:
                continue
            self._seen[id(value), is_schema] = value
            if isinstance(value, list):
                parts = enumerate(value)
                self._pending += [(each, f"{place}/{index}", False) for index, each in parts]
            elif isinstance(value, dict):
                if is_schema:
                    _modernise(value)
                if isinstance(value.get("$ref"), str):
                    self._follow(value, place, is_schema=is_schema)
                if len(value) > 1 or "$ref" not in value:
                    (self._schema if is_schema else self._object)(value, place)

    def check(self) -> None:
        """Refuse circles, and what is no schema."""
        for schema, place in self._made_of_others:
            self._height(schema, place, ())
        told = [
            (f"{each.instance_path[1]}{pointer(each.instance_path[2:])}", cut(each.message, 200))
            for each in _metaschema().iter_errors({"$defs": self._schemas})
        ]
        told += [
            (place, f"the pattern {cut(text)} cannot be compiled")
            for text, place in self._patterns.items()
            if not _is_pattern(text)
        ]
        if told:
            errors = [(place, f"not valid JSON Schema: {text}") for place, text in told]
            raise DocumentError(self._root.source, errors)

    # What is no schema, and has some.

    def _object(self, value: Json, place: str) -> None:
        if self._is_old and isinstance(value.get("in"), str) and "$ref" not in value:
            _give_schema(value)
            # The file has no such step, but for a body.
            self._add_schema(value["schema"], f"{place}/schema" if value["in"] == "body" else place)
            return
        for name, each in value.items():
            if name == "schema":
                value[name] = _no_boolean(each)
                self._add_schema(value[name], f"{place}/{name}")
            elif not isinstance(each, dict | list) or name in _DATA or name.startswith("x-"):
                continue
            elif name in _NAMED_SCHEMAS and isinstance(each, dict):
                self._named(each, f"{place}/{name}", self._add_schema)
            elif name in _NAMES and isinstance(each, dict):
                parts = each.items()
                self._pending += [(x, _below(f"{place}/{name}", key), False) for key, x in parts]
            else:
                self._pending.append((each, _below(place, name), False))

    def _add_schema(self, schema: Any, place: str) -> None:  # noqa: ANN401  # any JSON
        self._schemas[place] = schema
        self._pending.append((schema, place, True))

    # Schemas.

    def _schema(self, schema: Json, place: str) -> None:
        if not _LOOKED_AT.isdisjoint(schema):
            self._rules(schema, place)
        for name, each in schema.items():
            if name not in _WITH_SCHEMAS:
                continue
            at = f"{place}/{name}"
            if name in _ONE:
                schema[name] = _no_boolean(each)
                self._pending.append((schema[name], at, True))
            elif name in _LIST and isinstance(each, list):
                each[:] = map(_no_boolean, each)
                self._pending += [(x, f"{at}/{index}", True) for index, x in enumerate(each)]
            elif name in _BY_NAME and isinstance(each, dict):
                self._named(each, at, lambda *part: self._pending.append((*part, True)))

    def _rules(self, schema: Json, place: str) -> None:
        if "$dynamicRef" in schema:
            self._fail(place, "a $dynamicRef is not read; a $ref is")
        if isinstance(schema.get("pattern"), str):
            self._patterns.setdefault(schema["pattern"], f"{place}/pattern")
        if isinstance(schema.get("patternProperties"), dict):
            for text in schema["patternProperties"]:
                self._patterns.setdefault(text, place + pointer(["patternProperties", text]))
        if not schema.keys().isdisjoint(_OF_ITSELF):
            self._made_of_others.append((schema, place))

    @staticmethod
    def _named(schemas: Json, place: str, add: Callable[[Any, str], None]) -> None:
        for key, each in schemas.items():
            schemas[key] = _no_boolean(each)
            add(schemas[key], _below(place, key))

    # References.

    def _follow(self, value: Json, place: str, *, is_schema: bool) -> None:
        """See that a reference leads to something of this file, which is then visited too."""
        reference = value["$ref"]
        if reference not in self._targets:
            found = self._target(reference, place)
            if isinstance(found, bool):
                del value["$ref"]
                value |= _no_boolean(found)
                return
            self._targets[reference] = found, unquote(reference[1:])
            self._targets[self._moved(reference)] = self._targets[reference]
        value["$ref"] = self._moved(reference)
        target, at = self._targets[reference]
        if not target.keys().isdisjoint(_MADE_OF):
            self._made_of_others.append((value, place))
        if is_schema:
            self._add_schema(target, at)
        else:
            self._pending.append((target, at, False))

    def _target(self, reference: str, place: str) -> Json | bool:
        try:
            target = referred(self._root.document, reference) if reference[:2] == "#/" else None
        except (LookupError, TypeError, ValueError):
            target = None
        if not isinstance(target, dict | bool):
            where = "nothing in" if reference[:1] == "#" else "outside of"
            self._fail(place, f"the $ref {cut(reference)!r} leads to {where} this file")
        return target

    def _moved(self, reference: str) -> str:
        """Return a reference to where its target will be, with nothing that no URI has."""
        if reference.startswith("#/paths/"):
            document = self._root.document
            document[_GIVEN_PATHS] = document["paths"]
            reference = reference.replace("paths", _GIVEN_PATHS, 1)
        for old, new in _MOVED.items() if self._is_old else ():
            if reference.startswith(old):
                reference = new + reference.removeprefix(old)
        return "#" + quote(unquote(reference[1:]))

    def _height(self, schema: Json, place: str, above: tuple[int, ...]) -> int:
        """Return how many schemas one is made of, in one another, that are about the same value."""
        if id(schema) in above or len(above) > _MOST_OF_ITSELF:
            self._fail(
                place, "made of itself: only a member or an element may have the same schema"
            )
        if id(schema) not in self._heights:
            way = (*above, id(schema))
            heights = (self._height(part, at, way) for part, at in self._parts(schema, place))
            self._heights[id(schema)] = 1 + max(heights, default=0)
        height = self._heights[id(schema)]
        if len(above) + height > _MOST_OF_ITSELF:
            self._fail(place, f"made of more than {_MOST_OF_ITSELF} schemas in one another")
        return height

    def _parts(self, schema: Json, place: str) -> Iterator[tuple[Json, str]]:
        if (reference := str(schema.get("$ref"))) in self._targets:
            yield self._targets[reference]
        for name in _OF_ITSELF:
            parts = schema.get(name)
            for index, each in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(each, dict):
                    yield each, f"{place}/{name}/{index}"

    def _fail(self, place: str, text: str) -> NoReturn:
        raise DocumentError(self._root.source, [(place, text)])


def _give_schema(parameter: Json) -> None:
    """Put what a parameter of OpenAPI 2.0 says of its values in a schema, as later versions do."""
    if "schema" not in parameter:
        names = [name for name in parameter if name not in _BESIDE]
        parameter["schema"] = {name: parameter.pop(name) for name in names}
        style = _STYLES.get(parameter.get("collectionFormat", "csv"))
        parameter |= {"explode": style is None} | ({"style": style} if style else {})
    parameter["schema"] = _no_boolean(parameter["schema"])


def _no_boolean(schema: Any) -> Any:  # noqa: ANN401  # any JSON
    return schema if not isinstance(schema, bool) else {} if schema else {"not": {}}


def _below(place: str, name: str) -> str:
    """Return the pointer of what has a name there; most names need no escapes."""
    return place + pointer([name]) if "/" in name or "~" in name else f"{place}/{name}"


def _modernise(schema: Json) -> None:
    """Bring one schema to the newest form, but for those in it."""
    suspects = [name for name, value in schema.items() if value is None or name in _SUSPECT]
    for name in suspects:
        if _says_nothing(name, schema[name]):
            del schema[name]
    if isinstance(schema.get("type"), list):
        schema["type"] = ["null" if each is None else each for each in schema["type"]]
    if not _OTHERWISE_BEFORE.isdisjoint(schema):
        _rewrite(schema)
    if "$ref" in schema and not schema.keys() <= _BESIDE_A_REFERENCE:
        # The place of a rule beside a reference is found only if the reference is a part.
        parts = schema.get("allOf", [])
        schema["allOf"] = [
            {"$ref": schema.pop("$ref")},
            *(parts if type(parts) is list else [parts]),
        ]


def _rewrite(schema: Json) -> None:
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
    for name in _COUNTS:
        if isinstance(schema.get(name), float) and schema[name].is_integer():
            schema[name] = int(schema[name])
    if isinstance(schema.get("nullable"), bool) and schema.pop("nullable"):
        _allow_null(schema)


def _says_nothing(name: str, value: object) -> bool:
    """Say whether a keyword forbids nothing, or only members, which real servers ignore."""
    if value is None:
        return name not in _DATA
    if name in _OF_MEMBERS:
        return value is False
    if name == "required":  # a list of members; only a parameter says it of itself
        return isinstance(value, bool)
    if name == "type":
        return value == "file"
    return name in _LEFT_OUT or not isinstance(value, _TELLING[name])


def _allow_null(schema: Json) -> None:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    elif schema:
        inner = dict(schema)
        schema.clear()
        schema["anyOf"] = [inner, {"type": "null"}]


@cache
def _metaschema() -> Draft202012Validator:
    # By this all schemas are checked in a tenth of the time that it takes to compile them.
    return Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})


def _is_pattern(text: str) -> bool:
    try:
        Draft202012Validator({"pattern": text})
    except ValueError:
        return False
    return True

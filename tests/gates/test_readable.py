"""That every generator and contract tool can read the documents: nothing that one breaks on."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from mockserver.base.data import data_folder
from mockserver.contract.operations import Contract
from support import Caller

Json = dict[str, Any]
Steps = tuple[str | int, ...]

CONTRACT = Contract.load(data_folder("openapi"))
VERSIONS = [*CONTRACT.documents]


def nodes(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:  # noqa: ANN401  # any JSON
    """Give every value of a document with the steps that lead to it."""
    yield steps, value
    if isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(item, (*steps, step))


def is_property(steps: Steps) -> bool:
    return steps[:1] == ("components",) and steps[-2:-1] == ("properties",)


# What a tool breaks on. Each takes a document, an object in it, and the steps that lead there.


def is_null_alone(_: Json, node: Json, steps: Steps) -> bool:
    return is_property(steps) and node.get("type") in ("null", ["null"])


def has_conditions_in_a_list(_: Json, node: Json, __: Steps) -> bool:
    return any("if" in part for part in node.get("allOf", ()))


def forgets_its_type(document: Json, node: Json, steps: Steps) -> bool:
    reference = {"$ref": "/".join(["#", *map(str, steps)])}
    return {"if", "then"} <= set(node) and any(
        value == reference and found[-2:-1] == ("anyOf",) for found, value in nodes(document)
    )


def has_nameless_numbers(document: Json, node: Json, _: Steps) -> bool:
    if not any(isinstance(value, int) for value in node.get("enum", ())):
        return False
    # A constant of the name of a component would be declared twice.
    names = {name for name in node.get("x-enum-varnames", ()) if name.isidentifier()}
    return len(names - set(document["components"]["schemas"])) != len(node["enum"])


def is_named_like_a_property(document: Json, _: Json, steps: Steps) -> bool:
    return steps[:-1] == ("components", "schemas") and any(
        found[-2:] == ("properties", steps[-1]) for found, _ in nodes(document)
    )


def is_required_by_its_default(_: Json, node: Json, steps: Steps) -> bool:
    return is_property(steps) and "default" in node


def has_no_example(_: Json, node: Json, steps: Steps) -> bool:
    return is_property(steps) and "pattern" in node and "example" not in node


def has_a_boolean_schema(_: Json, node: Json, __: Steps) -> bool:
    return any(isinstance(value, bool) for value in node.get("properties", {}).values())


def is_named_like_a_resource(document: Json, _: Json, steps: Steps) -> bool:
    """Say whether an id of this component would be put into the path of another one."""
    items = re.findall(r"(\w+)s/{", " ".join(document.get("paths", ())))
    return steps[:-1] == ("components", "schemas") and any(
        str(steps[-1]).startswith(item) for item in items
    )


def has_many_media_types(_: Json, node: Json, __: Steps) -> bool:
    return len(node.get("content", ())) > 1


OBJECTS: dict[str, Callable[[Json, Json, Steps], bool]] = {
    "null alone is no type (OpenAPI Generator: python, go, typescript-fetch)": is_null_alone,
    "conditions in allOf (OpenAPI Generator: python; hey-api, orval)": has_conditions_in_a_list,
    "if beside then where anyOf refers to it (OpenAPI Generator)": forgets_its_type,
    "numbers without names of their own (OpenAPI Generator: go)": has_nameless_numbers,
    "a component named like a property (datamodel-code-generator)": is_named_like_a_property,
    "a default that requires the property (openapi-typescript)": is_required_by_its_default,
    "a pattern without an example (openapi-sampler)": has_no_example,
    "a boolean for a schema (openapi-python-client)": has_a_boolean_schema,
    "an item of a path begins the name (Schemathesis)": is_named_like_a_resource,
    "more than one media type (openapi-python-client)": has_many_media_types,
}
RAW = "a raw character (OpenAPI Generator: go, python; PyYAML)"


def is_raw(text: object, steps: Steps) -> bool:
    if not isinstance(text, str):
        return False
    # Prose has lines; the patterns of a document have none.
    line = text if steps[-1:] == ("pattern",) else text.replace("\n", "")
    return not (line.isascii() and line.isprintable())


def findings(document: Json) -> set[tuple[str, str]]:
    """Give what a tool breaks on in a document, each with the place."""
    found = set()
    for steps, value in nodes(document):
        place = "/".join(map(str, steps))
        if is_raw(value, steps) or any(is_raw(step, ()) for step in steps[-1:]):
            found.add((RAW, place))
        if isinstance(value, dict) and not {"example", "examples"} & set(steps):
            found |= {
                (name, place) for name, breaks in OBJECTS.items() if breaks(document, value, steps)
            }
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_has_nothing_that_a_tool_breaks_on(version: str) -> None:
    assert findings(CONTRACT.documents[version]) == set()


def with_schemas(**schemas: Json) -> Json:
    return {"components": {"schemas": schemas}}


def with_property(name: str, schema: object) -> Json:
    return with_schemas(Thing={"type": "object", "properties": {name: schema}})


CONDITION: Json = {"if": {"required": ["a"]}, "then": {"required": ["b"]}}
NULL: Json = {"properties": {"a": {"type": "null"}}}
PATTERN: Json = {"properties": {"a": {"pattern": "@"}}}
EXAMPLE: Json = {"type": "string", "pattern": "@", "example": "a@b"}
NUMBERS: Json = {"type": "integer", "enum": [0, 2]}
OR_NULL: Json = {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]}
THING = "components/schemas/Thing"
# The beginning of what is found, the place, the document.
BAD: list[tuple[str, str, Json]] = [
    ("a raw", f"{THING}/pattern", with_schemas(Thing={"pattern": "^[^\u0000]+$"})),
    ("a raw", f"{THING}/pattern", with_schemas(Thing={"pattern": "^\u007f$"})),
    ("a raw", f"{THING}/pattern", with_schemas(Thing={"pattern": "^a\n$"})),
    ("a raw", f"{THING}/pattern", with_schemas(Thing={"pattern": "^\u00fc$"})),
    ("a raw", f"{THING}/description", with_schemas(Thing={"description": "0x\u2026"})),
    ("a raw", f"{THING}/example/a", with_schemas(Thing={"example": {"a": "\ufeff"}})),
    ("a raw", f"{THING}/properties/\u00e4", with_schemas(Thing={"properties": {"\u00e4": {}}})),
    ("null", f"{THING}/properties/a", with_schemas(Thing=NULL)),
    (
        "null",
        f"{THING}/properties/a",
        with_schemas(Thing={"properties": {"a": {"type": ["null"]}}}),
    ),
    ("null", f"{THING}/else/properties/a", with_schemas(Thing={"if": {}, "else": NULL})),
    ("conditions", THING, with_schemas(Thing={"allOf": [{"type": "object"}, CONDITION]})),
    ("if", THING, with_schemas(Thing=CONDITION, Other={"properties": {"a": OR_NULL}})),
    ("numbers", THING, with_schemas(Thing=NUMBERS)),
    ("numbers", THING, with_schemas(Thing=NUMBERS | {"x-enum-varnames": ["A"]})),
    ("numbers", THING, with_schemas(Thing=NUMBERS | {"x-enum-varnames": ["A", "A"]})),
    ("numbers", THING, with_schemas(Thing=NUMBERS | {"x-enum-varnames": ["A", "2"]})),
    ("numbers", THING, with_schemas(Thing=NUMBERS | {"x-enum-varnames": ["A", "Thing"]})),
    (
        "a component",
        THING,
        with_schemas(Thing={"type": "object"}, Other={"properties": {"Thing": {}}}),
    ),
    (
        "a default",
        f"{THING}/properties/a",
        with_schemas(Thing={"properties": {"a": {"default": 1}}}),
    ),
    ("a pattern", f"{THING}/properties/a", with_schemas(Thing=PATTERN)),
    ("a pattern", f"{THING}/then/properties/a", with_schemas(Thing={"if": {}, "then": PATTERN})),
    ("a boolean", THING, with_schemas(Thing={"properties": {"a": False}})),
    ("an", THING, with_schemas(Thing={"type": "object"}) | {"paths": {"/a/Things/{id}": {}}}),
    ("an", THING, with_schemas(Thing={"type": "object"}) | {"paths": {"/Thins/{id}": {}}}),
    ("more", "paths/body", {"paths": {"body": {"content": {"text/json": {}, "text/plain": {}}}}}),
]
GOOD: list[Json] = [
    with_schemas(Thing={"description": "two\nlines", "example": {"default": None, "type": "null"}}),
    with_schemas(Thing={"properties": {"a": {"type": ["string", "null"], "const": None}}}),
    with_schemas(Thing={"type": "object"}, Other={"properties": {"a": OR_NULL}}),
    with_schemas(Thing={**CONDITION, "else": CONDITION}),
    with_schemas(Thing={"if": {}, "else": CONDITION}, Other={"properties": {"a": OR_NULL}}),
    with_schemas(Thing={"allOf": [{"type": "object"}]}),
    with_schemas(Thing=NUMBERS | {"x-enum-varnames": ["A", "B"]}),
    with_schemas(Thing={"type": "string", "enum": ["2", "2.0"]}),
    with_schemas(Thing={"properties": {"thing": EXAMPLE}}),
    with_schemas(Thing={"type": "object"}) | {"paths": {"/OtherThings/{id}": {}, "/Things": {}}},
    {"components": {"parameters": {"A": {"schema": {"type": "integer", "default": 1}}}}},
]


@pytest.mark.parametrize(("beginning", "place", "document"), BAD)
def test_what_a_tool_breaks_on_is_found(beginning: str, place: str, document: Json) -> None:
    ((name, found),) = findings(document)
    assert name.startswith(beginning + " ")
    assert found == place


def test_each_pattern_that_breaks_a_tool_has_a_bad_document() -> None:
    beginnings = {beginning for beginning, _, _ in BAD}
    for name in (RAW, *OBJECTS):
        assert any(name.startswith(beginning + " ") for beginning in beginnings), name


@pytest.mark.parametrize("document", GOOD)
def test_what_every_tool_reads_is_no_finding(document: Json) -> None:
    assert findings(document) == set()


# As it is printed and served


def printed(_: Caller, version: str) -> str:
    return subprocess.check_output(
        [sys.executable, "-m", "mockserver", "openapi", version], text=True
    )


def served(caller: Caller, version: str) -> str:
    return caller.http.get(f"/_mock/openapi/v{version}.json").text


def shown(caller: Caller, version: str) -> str:
    return caller.http.get(f"/KeyfactorAPI/swagger/v{version}.json").text


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("text_of", [printed, served, shown])
def test_a_document_is_sent_in_ascii_and_readers_of_yaml_take_it(
    caller: Caller, version: str, text_of: Callable[[Caller, str], str]
) -> None:
    text = text_of(caller, version)
    assert text.replace("\n", "").isascii()
    document = yaml.load(text, Loader=yaml.SafeLoader)
    assert document == json.loads(text) == CONTRACT.documents[version]
    OpenAPIV31SpecValidator(document).validate()


# What the patterns mean

# The ends of every range that a pattern names, and their neighbours.
EDGES = {
    int(escape, 16) + step
    for version in VERSIONS
    for escape in re.findall(r"u([0-9A-F]{4})", json.dumps(CONTRACT.documents[version]))
    for step in (-1, 0, 1)
}
# No surrogate is a character.
CODES = {*range(0x80), *EDGES, 0x1F600} - {-1} - set(range(0xD800, 0xE000))
CHARACTERS = [chr(code) for code in sorted(CODES)]
PATTERNS = sorted(
    {
        value
        for version in VERSIONS
        for steps, value in nodes(CONTRACT.documents[version])
        if steps[-1:] == ("pattern",) and isinstance(value, str)
    }
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_means_the_same_to_another_engine(pattern: str) -> None:
    validator = jsonschema_rs.Draft202012Validator({"pattern": pattern})
    other = re.compile(pattern)
    assert len(CHARACTERS) > 250
    for character in CHARACTERS:
        for frame in ("{}", "a{}b", "a{}@b.c", "a@b{}c.de", "http://a/{}b", 'Name -eq "{}"'):
            text = frame.format(character)
            # At the end of a text Python's `$` also matches before a line feed.
            if not text.endswith("\n"):
                assert validator.is_valid(text) is bool(other.search(text)), text

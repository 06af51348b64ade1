"""What an answer is by its schema: of a value, of none, and as an example."""

from typing import Any

import pytest

from mockserver.base.schema import Node, Schema
from mockserver.contract.form import ASTERISKS, Form
from mockserver.contract.wording import WORDS

Json = dict[str, Any]

NODE: Json = {
    "type": "object",
    "required": ["Self", "Next"],
    "properties": {
        "Self": {"$ref": "#/components/schemas/Node"},
        "Next": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]},
        "More": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
    },
}
DOCUMENT: Json = {"components": {"schemas": {"Node": NODE}}}


def form(schema: Json, name: str = "") -> Form:
    return Form(DOCUMENT, schema, name)


def made(schema: Json, value: object, name: str = "") -> object:
    return form(schema, name).made(value, lambda name, _: f"made of {name}")


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "object"}, {"any": 1}, {"any": 1}),
        ({"type": "array"}, [1, "x"], [1, "x"]),
        ({"type": "number"}, 1.5, 1.5),
        ({}, True, True),
        ({"type": "integer"}, True, 0),
        ({"type": "integer"}, "7", 0),
        ({"type": "boolean"}, True, True),
        ({"type": "string", "x-names": ["a", "b"]}, 1, "b"),
        ({"type": "string", "x-names": ["a", "b"]}, 2, 2),
        ({"type": "string", "format": "password"}, "hush", ASTERISKS),
        ({"type": "string", "format": "password"}, "", ""),
        ({"properties": {"a": {"x-value": "b"}, "c": {"type": "string"}}}, {"c": "d", "e": 1},
         {"a": "made of b", "c": "d"}),
        ({"properties": {"a": {"type": "string", "x-left-out": True}}}, {}, {}),
        ({"properties": {"a": True}}, {"a": 1}, {"a": 1}),
        ({"allOf": [{"properties": {"a": {}, "b": {}}}], "properties": {"a": {"type": "null"}}},
         {"a": 1, "b": 2}, {"a": None, "b": 2}),
    ],
)  # fmt: skip
def test_a_value_is_brought_into_its_form(schema: Json, value: object, expected: object) -> None:
    assert made(schema, value) == expected


@pytest.mark.parametrize("name", ["Password", "ClientSecret", "ApiKey"])
def test_a_text_that_is_named_as_a_secret_is_not_shown(name: str) -> None:
    assert made({"type": "string"}, "hush", name) == ASTERISKS
    assert made({"type": "string", "enum": ["a"]}, "a", name) == "a"


@pytest.mark.parametrize(
    ("schema", "empty", "sample"),
    [
        ({}, None, None),
        ({"type": ["string", "null"]}, None, ""),
        ({"type": "string"}, "", ""),
        ({"type": "string", "example": "x"}, "", "x"),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "aa", "aa"),
        ({"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"}, "12:00", "12:00"),
        ({"type": "string", "pattern": "("}, "", ""),
        ({"type": "string", "const": "x"}, "x", "x"),
        ({"type": "string", "examples": ["x"]}, "", "x"),
        ({"enum": ["x", "y"], "type": "string"}, "x", "x"),
        ({"type": "integer", "minimum": 3}, 3, 3),
        ({"type": "integer", "maximum": -3}, -3, -3),
        ({"type": "integer", "minimum": 3, "multipleOf": 5}, 5, 5),
        ({"type": "array", "items": {"type": "integer"}}, [], [0]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0], [0, 0]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, [], []),
        ({"type": "array"}, [], []),
        (
            NODE,
            {"Self": {}, "Next": None, "More": []},
            {"Self": {}, "Next": {"Self": {}, "Next": None, "More": []}, "More": []},
        ),
    ],
)
def test_what_stands_for_nothing_and_what_is_an_example(
    schema: Json, empty: object, sample: object
) -> None:
    assert form(schema).empty == empty
    assert form(schema).sample == sample


def test_a_schema_may_refer_to_a_part_of_another_one() -> None:
    other = {"allOf": [{"type": "integer"}]}
    whole = {
        "type": "object",
        "properties": {
            "a": {"$ref": "#/components/schemas/Other"},
            "b": {"$ref": "#/components/schemas/Other/allOf/0"},
        },
    }
    document = {"components": {"schemas": {"Other": other, "Whole": whole}, "unused": {}}}
    node = Node.root("x.yaml", document).at("components", "schemas", "Whole")
    schema = Schema(node, WORDS)
    assert schema.breaches({"a": 1, "b": 2}) == []
    assert [each.path for each in schema.breaches({"a": "1", "b": "2"})] == [("a",), ("b",)]

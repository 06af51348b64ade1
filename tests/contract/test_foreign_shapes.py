"""Odd but real documents of others: each is served, or refused at the start with its pointer."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mockserver import MockServer
from mockserver.base.documents import DocumentError
from support import ADMIN, Json, calling

HEADERS = {"x-keyfactor-requested-with": "APIClient", "content-type": "application/json"}
TEXT: Json = {"type": "string"}
ODD_BODIES: list[Any] = [
    {},
    [],
    [{}],
    "x",
    None,
    1,
    [1, "x"],
    {"Id": "x"},
    {"Id": [], "Name": {"Name": {}}},
]
ODD_QUERIES = [
    "?PageReturned=x&ReturnLimit=2",
    "?QueryString=Name -eq 1",
    "?SortField=Name&a=1&a=2",
]


def answer(schema: Any, media: str = "application/json") -> Json:  # noqa: ANN401  # a boolean too
    return {"200": {"description": "good", "content": {media: {"schema": schema}}}}


def body(schema: Any, media: str = "application/json") -> Json:  # noqa: ANN401  # as above
    return {"content": {media: {"schema": schema}}}


def modern(paths: Json, **schemas: Any) -> Json:  # noqa: ANN401  # as above
    info = {"title": "Theirs", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def old(paths: Json, **definitions: Any) -> Json:  # noqa: ANN401  # as above
    info = {"title": "Theirs", "version": "1"}
    return {"swagger": "2.0", "info": info, "paths": paths, "definitions": definitions}


def posting(schema: Any, schemas: Json | None = None) -> Json:  # noqa: ANN401  # as above
    """Make a document with one operation that takes and gives the same."""
    operation = {"requestBody": body(schema), "responses": answer(schema)}
    return modern({"/Odd": {"post": operation}}, **(schemas or {}))


def asking(*parameters: Json, path: str = "/Odd") -> Json:
    return modern({path: {"get": {"parameters": [*parameters], "responses": answer(TEXT)}}})


def to(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def a_list_of(name: str, **operations: Json) -> Json:
    return {"get": {"responses": answer({"type": "array", "items": to(name)})}, **operations}


ITEM = {"type": "object", "properties": {"Name": TEXT, "Size": {"type": "number"}}}
NUMBERED = {"type": "object", "properties": {"Id": {"type": "integer"}, "Name": {}}}
TREE = {
    "type": "object",
    "properties": {"Name": TEXT, "Parts": {"type": "array", "items": to("X")}},
}
WEB = {
    f"S{one}": {
        "type": "object",
        "properties": {f"To{two}": to(f"S{two}") for two in range(25)},
    }
    for one in range(25)
}
CHAIN = {
    f"S{one}": {"type": "object", "properties": {"Next": to(f"S{one + 1}")}} for one in range(1_200)
} | {"S1200": TEXT}
PUT_ARRAY = {"requestBody": body({"type": "array", "items": to("Item")}), "responses": {}}
PATCHED = {
    "parameters": [{"name": "Name", "in": "path", "required": True, "schema": TEXT}],
    "requestBody": body({"type": "array", "items": {}}, "application/json-patch+json"),
    "responses": answer(to("Item")),
}

# A document, a call, and the status that it must have.
SERVED: Mapping[str, tuple[Json, str, Any, int]] = {
    "a boolean as a schema": (posting(True), "POST /Odd", [1], 200),
    "a schema that nothing fits": (posting(False), "POST /Odd", 1, 400),
    "additionalProperties: false in an item": (
        posting({"type": "array", "items": {**ITEM, "additionalProperties": False}}),
        "POST /Odd",
        [{"Unknown": 1}],
        200,
    ),
    "items: true, and booleans in all places of a schema": (
        posting(
            {
                "type": "object",
                "properties": {"Any": True, "None": False, "List": {"items": True}},
                "allOf": [True],
                "anyOf": [True, {"type": "null"}],
                "not": False,
                "if": True,
                "then": {"properties": {"Deep": True}},
                "else": False,
                "patternProperties": {"^x-": True},
                "unevaluatedProperties": False,
            },
        ),
        "POST /Odd",
        {"Any": 1, "List": [1, "x"]},
        200,
    ),
    "members that are called like keywords": (
        posting(
            {
                "type": "object",
                "properties": {
                    name: {"type": "integer", "nullable": True}
                    for name in ("$ref", "$id", "example", "items", "required", "enum", "a/b", "in")
                },
            }
        ),
        "POST /Odd",
        {"$ref": 1, "example": None, "a/b": 2},
        200,
    ),
    "a tree": (posting(to("X"), {"X": TREE}), "POST /Odd", {"Parts": [{"Parts": []}]}, 200),
    "a list of itself": (
        posting(to("X"), {"X": {"type": "array", "items": to("X")}}),
        "POST /Odd",
        [[]],
        200,
    ),
    "25 schemas that all refer to one another": (posting(to("S0"), WEB), "POST /Odd", {}, 200),
    "a chain of 1,200 schemas": (posting(to("S0"), CHAIN), "POST /Odd", {"Next": {}}, 200),
    "an allOf about a number in a query": (
        asking({"name": "Kind", "in": "query", "schema": {"allOf": [{"type": "integer"}]}}),
        "GET /Odd?Kind=2",
        None,
        200,
    ),
    "one element of an array": (
        asking(
            {
                "name": "Ids",
                "in": "query",
                "schema": {"type": "array", "items": {"type": "integer"}},
            }
        ),
        "GET /Odd?Ids=2",
        None,
        200,
    ),
    "an element of another type": (
        asking(
            {
                "name": "Ids",
                "in": "query",
                "schema": {"type": "array", "items": {"type": "integer"}},
            }
        ),
        "GET /Odd?Ids=2&Ids=x",
        None,
        400,
    ),
    "numbers in header, path and query": (
        asking(
            {"name": "X-Size", "in": "header", "schema": {"type": "integer"}},
            {"name": "Size", "in": "path", "required": True, "schema": {"type": "number"}},
            {"name": "Least", "in": "query", "schema": {"type": "number", "minimum": 0.5}},
            path="/Odd/{Size}",
        ),
        "GET /Odd/1.5?Least=7e-1",
        None,
        200,
    ),
    "headers that say nothing, a path parameter of another path, an object in a query": (
        asking(
            {"name": "Content-Type", "in": "header", "required": True, "schema": {"enum": ["x"]}},
            {"name": "Id", "in": "path", "required": True, "schema": TEXT},
            {"name": "Filter", "in": "query", "required": True, "schema": {"type": "object"}},
            {"name": "As", "in": "query", "content": {"application/json": {"schema": {}}}},
        ),
        "GET /Odd?Filter[a]=1&As=x",
        None,
        200,
    ),
    "list parameters of other types": (
        modern(
            {
                "/Odd": a_list_of("Item")
                | {
                    "parameters": [
                        {"name": "pageReturned", "in": "query", "schema": TEXT},
                        {"name": "returnLimit", "in": "query", "schema": {"type": "number"}},
                        {
                            "name": "queryString",
                            "in": "query",
                            "schema": {"type": "array", "items": TEXT},
                        },
                    ]
                }
            },
            Item=ITEM,
        ),
        "GET /Odd?pageReturned=x&returnLimit=1.5&queryString=x",
        None,
        200,
    ),
    "csv, the default of 2.0": (
        old(
            {
                "/Odd": {
                    "get": {
                        "parameters": [
                            {
                                "name": "Ids",
                                "in": "query",
                                "type": "array",
                                "items": {"type": "integer"},
                            }
                        ],
                        "responses": {"200": {"description": "a file", "schema": {"type": "file"}}},
                    }
                }
            }
        ),
        "GET /Odd?Ids=1,2",
        None,
        200,
    ),
    "names of generic classes": (
        old(
            {
                "/Odd": {
                    "post": {
                        "parameters": [
                            {
                                "name": "x",
                                "in": "body",
                                "schema": {"$ref": "#/definitions/List«Item»"},
                            }
                        ],
                        "responses": {
                            "200": {
                                "description": "",
                                "schema": {"$ref": "#/definitions/A<B c>[1]%"},
                            }
                        },
                    }
                }
            },
            **{
                "List«Item»": {"properties": {"A": {"$ref": "#/definitions/A<B c>[1]%"}}},
                "A<B c>[1]%": {"items": {"$ref": "#/definitions/List«Item»"}},
            },
        ),
        "POST /Odd",
        {"Size": 1},
        200,
    ),
    "references into paths": (
        old(
            {
                "/Odd": {
                    "post": {
                        "parameters": [{"name": "b", "in": "body", "schema": ITEM}],
                        "responses": {"200": {"description": "", "schema": ITEM}},
                    }
                },
                "/Even": {
                    "put": {
                        "parameters": [
                            {
                                "name": "b",
                                "in": "body",
                                "schema": {"$ref": "#/paths/~1Odd/post/parameters/0/schema"},
                            }
                        ],
                        "responses": {
                            "200": {
                                "description": "",
                                "schema": {"$ref": "#/paths/~1Odd/post/responses/200/schema"},
                            }
                        },
                    }
                },
            }
        ),
        "PUT /Even",
        {"Size": 1.5},
        200,
    ),
    "a path that is another one, and an extension": (
        modern(
            {"x-ours": True, "/Odd": {"$ref": "#/paths/~1Even"}, "/Even": a_list_of("Item")},
            Item=ITEM,
        ),
        "GET /Odd",
        None,
        200,
    ),
    "a parameter that is another one": (
        modern(
            {
                "/Odd": {
                    "get": {"parameters": [{"$ref": "#/components/parameters/A"}], "responses": {}}
                }
            }
        )
        | {
            "components": {
                "parameters": {
                    "A": {"$ref": "#/components/parameters/B"},
                    "B": {
                        "name": "b",
                        "in": "query",
                        "required": True,
                        "schema": {"type": "boolean"},
                    },
                }
            }
        },
        "GET /Odd?b=TRUE",
        None,
        200,
    ),
    "any media type, none with a schema": (
        modern(
            {
                "/Odd": {
                    "post": {
                        "requestBody": {"content": {"*/*": {}}},
                        "responses": answer(ITEM, "*/*"),
                    }
                }
            }
        ),
        "POST /Odd",
        [1],
        200,
    ),
    "204 with a body, 20 and 2000 as statuses": (
        modern(
            {
                "/Odd": {"get": {"responses": {"204": answer(ITEM)["200"]}}},
                "/Even": {"get": {"responses": {"20": answer(ITEM)["200"], "2000": {}}}},
            }
        ),
        "GET /Odd",
        None,
        204,
    ),
    "keywords that say nothing": (
        posting(
            {
                "$id": "https://vendor.example/odd",
                "$schema": "http://json-schema.org/draft-04/schema#",
                "type": "object",
                "title": 2024,
                "description": None,
                "required": None,
                "examples": {"one": {"value": {"$ref": "#/nowhere"}}},
                "example": {"$ref": "1", "$id": "2"},
                "x-value": "vendor",
                "x-names": "vendor",
                "properties": {
                    "Name": {"type": ["string", None], "minLength": 1.0, "maxLength": 9.0},
                    "Size": {"type": "integer", "exclusiveMinimum": True},
                    "Kind": {"enum": []},
                    "Deep": to("Item"),
                },
            },
            {"Item": {**ITEM, "$id": "item", "x-value": "vendor"}},
        ),
        "POST /Odd",
        {"Name": None, "Size": 1},
        200,
    ),
    "what a collection is sent as a list": (
        modern({"/Odd": a_list_of("Item", put=PUT_ARRAY, post=PUT_ARRAY)}, Item=NUMBERED),
        "POST /Odd",
        [{"Name": "x"}],
        200,
    ),
    "an object that is found by its name, and a JSON patch": (
        modern(
            {
                "/Odd": a_list_of(
                    "Item", post={"requestBody": body(to("Item")), "responses": answer(to("Item"))}
                ),
                "/Odd/{Name}": {"patch": PATCHED, "get": {**PATCHED, "requestBody": {}}},
            },
            Item=ITEM,
        ),
        "POST /Odd",
        {"Size": 1},
        200,
    ),
    "names of parameters that Python would format": (
        modern(
            {
                "/Odd/{a.b}/{c:int}/Items": a_list_of("Item")
                | {
                    "parameters": [
                        {"name": name, "in": "path", "required": True, "schema": TEXT}
                        for name in ("a.b", "c:int")
                    ]
                }
            },
            Item=NUMBERED,
        ),
        "GET /Odd/1/2/Items",
        None,
        200,
    ),
    "tags and deprecated as nobody should write them": (
        modern({"/Odd": {"get": {"tags": [{"name": "x"}], "deprecated": "yes", "responses": {}}}}),
        "GET /Odd",
        None,
        200,
    ),
    "conditions, tuples and counts of 3.1": (
        posting(
            {
                "type": "object",
                "dependentRequired": {"a": ["b"]},
                "dependentSchemas": {"a": {"required": ["c"]}},
                "propertyNames": {"pattern": "^[a-z]$"},
                "properties": {
                    "d": {
                        "prefixItems": [{"const": 1}],
                        "contains": {"type": "integer"},
                        "maxItems": 3,
                    },
                    "e": {"oneOf": [{"type": "integer"}, {"multipleOf": 2}]},
                },
            },
        ),
        "POST /Odd",
        {"a": 1, "F": 1, "d": [2, "x"], "e": 2},
        400,
    ),
    "minItems and minLength beyond all measure": (
        modern(
            {
                "/Odd": {
                    "get": {
                        "responses": answer(
                            {
                                "properties": {
                                    "a": {"minItems": 10**9, "items": {"minLength": 10**9}}
                                }
                            }
                        )
                    }
                }
            }
        ),
        "GET /Odd",
        None,
        200,
    ),
    "schemas in places of one's own": (
        posting({"$ref": "#/models/X"})
        | {
            "models": {
                "X": {"$ref": "#/models/Y"},
                "Y": {"items": {"$ref": "#/models/Any"}},
                "Any": True,
            }
        },
        "POST /Odd",
        [1, "x"],
        200,
    ),
    "rules beside a reference": (
        posting(
            {"type": "array", "items": {**to("Item"), "maxProperties": 1, "required": ["Size"]}},
            {"Item": ITEM},
        ),
        "POST /Odd",
        [{"Name": "x"}, {"Name": "x", "Size": 1}],
        400,
    ),
    "a reference among the statuses": (
        modern({"/Odd": {"get": {"responses": {"$ref": "#/paths"}}}}),
        "GET /Odd",
        None,
        200,
    ),
    "security of 2.0, which looks like a parameter": (
        old({"/Odd": {"get": {"responses": {}, "security": [{"key": []}]}}})
        | {"securityDefinitions": {"key": {"type": "apiKey", "name": "X-Key", "in": "header"}}},
        "GET /Odd",
        None,
        200,
    ),
    "a part of 2.0 that is a schema only by a reference to it": (
        old(
            {
                "/Odd": {
                    "post": {
                        "parameters": [{"name": "x", "in": "body", "schema": {"$ref": "#/own/X"}}],
                        "responses": {},
                    }
                }
            },
            Item=ITEM,
        )
        | {"own": {"X": {"$ref": "#/definitions/Item", "required": ["Size"]}}},
        "POST /Odd",
        {"Name": "x"},
        400,
    ),
    "an untyped body of a collection": (
        modern(
            {
                "/Odd": a_list_of(
                    "Item", post={"requestBody": body({}), "responses": answer(to("Item"))}
                )
            },
            Item=NUMBERED,
        ),
        "POST /Odd",
        ["x"],
        200,
    ),
}

REFUSED: Mapping[str, tuple[Json, str]] = {
    "a reference to itself": (posting(to("X"), {"X": to("X")}), "/components/schemas/X"),
    "a circle of references": (
        posting(to("X"), {"X": to("Y"), "Y": to("X")}),
        "/components/schemas/",
    ),
    "a circle by allOf": (
        posting(to("X"), {"X": {"allOf": [to("Y")]}, "Y": {"allOf": [to("X"), ITEM]}}),
        "/components/schemas/",
    ),
    "a circle by oneOf, as for a discriminator": (
        posting(to("X"), {"X": {"oneOf": [to("Y")]}, "Y": {"allOf": [to("X")]}}),
        "/components/schemas/",
    ),
    "a circle of 2.0": (
        old({}, X={"anyOf": [{"$ref": "#/definitions/X"}]}),
        "/definitions/X",
    ),
    "a circle of parameters": (
        modern({"/Odd": {"parameters": [{"$ref": "#/paths/~1Odd/parameters/0"}], "get": {}}}),
        "/paths/~1Odd/parameters/0",
    ),
    "a circle of paths": (
        modern({"/A": {"$ref": "#/paths/~1B"}, "/B": {"$ref": "#/paths/~1A"}}),
        "/paths/~1",
    ),
    "sixty schemas about one value": (
        posting(
            to("S0"),
            {f"S{each}": {"allOf": [to(f"S{each + 1}")]} for each in range(60)} | {"S60": ITEM},
        ),
        "/components/schemas/S",
    ),
    "a pattern that is none": (
        posting({"type": "object", "properties": {"a/b": {"pattern": "[a"}}}),
        "/schema/properties/a~1b/pattern: not valid JSON Schema: the pattern [a cannot be",
    ),
    "a pattern in a parameter of 2.0": (
        old(
            {
                "/Odd": {
                    "get": {
                        "parameters": [
                            {"name": "a", "in": "query", "type": "string", "pattern": "("}
                        ]
                    }
                }
            }
        ),
        "/paths/~1Odd/get/parameters/0/pattern",
    ),
    "a pattern of names": (
        posting(to("X"), {"X": {"patternProperties": {"*": {}}}}),
        "/components/schemas/X/patternProperties/*",
    ),
    "a type that is none, in an answer": (
        modern({"/Odd": {"get": {"responses": answer({"type": "int"})}}}),
        "/paths/~1Odd/get/responses/200/content/application~1json/schema/type",
    ),
    "bounds and members that are none": (
        posting(
            to("X"), {"X": {"properties": {"a": {"minimum": "0"}, "b": None, "c": {"enum": "x"}}}}
        ),
        "/components/schemas/X/properties/b",
    ),
    "a list of element schemas": (
        old({}, X={"type": "array", "items": [{"type": "string"}]}),
        "/definitions/X/items",
    ),
    "properties that are a list": (posting({"properties": []}), "/schema/properties"),
    "an allOf of a number": (posting({"allOf": [1]}), "/schema/allOf/0"),
    "an allOf that is none, beside a reference": (
        posting({**to("X"), "allOf": 1}, {"X": ITEM}),
        "/schema/allOf/1",
    ),
    "a reference that is no text": (posting({"allOf": [{"$ref": {}}]}), "/schema/allOf/0/$ref"),
    "an anchor": (posting({"$ref": "#x"}), "/paths/~1Odd/post"),
    "a dynamic reference": (posting({"$dynamicRef": "#x"}), "/paths/~1Odd/post"),
    "a reference to what is no object": (posting({"$ref": "#/info/title"}), "/paths/~1Odd/post"),
    "a path with a query": (modern({"/Odd?a=1": {"get": {"responses": {}}}}), "/paths/~1Odd?a=1"),
    "a parameter within a segment": (
        modern({"/Odd/{a}.json": {"get": {}}}),
        "/paths/~1Odd~1{a}.json",
    ),
    "a parameter that is null": (
        modern({"/Odd": {"get": {"parameters": [None]}}}),
        "/paths/~1Odd/get",
    ),
    "what only our documents say of a resource": (
        modern({"/Odd": {"get": {"x-resource": {"action": "enroll"}, "responses": {}}}}),
        "/paths/~1Odd/get",
    ),
    "an operation that is a list": (modern({"/Odd": {"parameters": 1}}), "/paths/~1Odd"),
}


def written(folder: Path, document: Json) -> Path:
    path = folder / "vendor.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


@pytest.mark.parametrize("shape", SERVED)
def test_an_odd_document_is_served(tmp_path: Path, shape: str) -> None:
    document, call, sent, status = SERVED[shape]
    path = written(tmp_path, document)
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:

        def asked(method: str, where: str, content: object = None) -> httpx2.Response:
            return caller.http.request(
                method,
                f"/KeyfactorAPI{where}",
                content=json.dumps(content),
                headers=HEADERS,
                auth=ADMIN,
            )

        method, where = call.split(" ", 1)
        got = asked(method, where, sent)
        assert got.status_code == status, got.text
        for place, item in copy.deepcopy(document["paths"]).items():
            for name in ("get", "put", "post", "patch", "delete") if isinstance(item, dict) else ():
                for content in ODD_BODIES:
                    at = place.replace("{", "").replace("}", "")
                    for query in ODD_QUERIES if name == "get" else [""]:
                        status = asked(name, at + query, content).status_code
                        assert status in {200, 204, 400, 404, 405}, (name, at, query, content)


@pytest.mark.parametrize("shape", REFUSED)
def test_an_odd_document_is_refused_at_the_start_with_its_pointer(
    tmp_path: Path, shape: str
) -> None:
    document, place = REFUSED[shape]
    path = written(tmp_path, document)
    with pytest.raises(DocumentError) as caught:
        MockServer(openapi=[path])
    assert str(caught.value).startswith(f"{path}: ")
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "query", "told"),
    [
        ({"schema": {"type": "array", "items": {"type": "integer"}}}, "a=1", None),
        ({"schema": {"type": "array", "items": {"type": "integer"}}}, "a=1&a=2", None),
        ({"schema": {"type": "array", "items": {"type": "integer"}}}, "a=1,2", "a/0"),
        ({"schema": {"items": {"type": "boolean"}}, "explode": False}, "a=true,FALSE", None),
        ({"schema": {"type": "array", "items": TEXT}, "style": "pipeDelimited"}, "a=1|2", None),
        ({"schema": {"type": "array", "minItems": 2}, "style": "pipeDelimited"}, "a=1,2", "a"),
        ({"schema": {"type": "array", "minItems": 2}, "style": "spaceDelimited"}, "a=1 2", None),
        ({"schema": {"anyOf": [{"type": "array", "maxItems": 1}, {"type": "null"}]}}, "a=1", None),
        ({"schema": TEXT}, "a=1&a=2", "a"),
        ({"schema": {"type": "number"}}, "a=1e99", None),
        ({"schema": {"type": "number"}}, "a=1e999", "a"),
        ({"schema": {"type": "integer"}}, "a=1.5", "a"),
    ],
)
def test_a_parameter_is_read_by_the_type_of_its_schema(
    tmp_path: Path, parameter: Json, query: str, told: str | None
) -> None:
    path = written(tmp_path, asking({"name": "a", "in": "query", **parameter}))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:
        got = caller.http.get(f"/KeyfactorAPI/Odd?{query}", headers=HEADERS, auth=ADMIN)
        if told is None:
            assert got.status_code == 200, got.text
        else:
            assert (got.status_code, got.json()["Message"].split(":")[0]) == (400, told)


@pytest.mark.parametrize(
    ("form", "given", "status"),
    [("csv", "1,2", 200), ("pipes", "1|2", 200), ("ssv", "1 2", 200), ("multi", "1,2", 400)],
)
def test_a_collection_format_of_2_0_is_that_of_the_array(
    tmp_path: Path, form: str, given: str, status: int
) -> None:
    numbers = {"type": "array", "items": {"type": "integer"}, "collectionFormat": form}
    parameters = [{"name": "a", "in": "query", **numbers}]
    path = written(tmp_path, old({"/Odd": {"get": {"parameters": parameters, "responses": {}}}}))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:
        url = "/KeyfactorAPI/Odd"
        got = caller.http.get(url, params={"a": given}, headers=HEADERS, auth=ADMIN)
        assert got.status_code == status, got.text


def test_an_array_in_a_header_or_a_path_is_one_text(tmp_path: Path) -> None:
    numbers = {"type": "array", "items": {"type": "integer"}, "minItems": 2}
    parameters: list[Json] = [
        {"name": "X-Ids", "in": "header", "schema": numbers},
        {"name": "Ids", "in": "path", "required": True, "schema": numbers},
    ]
    path = written(tmp_path, asking(*parameters, path="/Odd/{Ids}"))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:

        def status(ids: str, header: str) -> int:
            url = f"/KeyfactorAPI/Odd/{ids}"
            headers = {**HEADERS, "x-ids": header}
            return caller.http.get(url, headers=headers, auth=ADMIN).status_code

        assert status("1,2", "3, 4") == 200
        assert status("1,x", "3, 4") == status("1,2", "3") == 400


def test_an_answer_of_any_media_type_is_json(tmp_path: Path) -> None:
    path = written(tmp_path, modern({"/Odd": {"get": {"responses": answer(ITEM, "*/*")}}}))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:
        got = caller.http.get("/KeyfactorAPI/Odd", headers=HEADERS, auth=ADMIN)
        assert got.json() == {"Name": "", "Size": 0}


def test_a_name_with_a_slash_is_escaped_in_what_is_told_of_it(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "required": ["a/b"],
        "properties": {"a/b": {**TEXT, "minLength": 1}},
    }
    path = written(tmp_path, posting(schema))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:
        for sent in ({}, {"a/b": ""}):
            caller.http.post("/KeyfactorAPI/Odd", json=sent, headers=HEADERS, auth=ADMIN)
        tried = next(each for each in mock.coverage if each.path == "/Odd")
        reached = {point.path for point, is_reached in tried.points.items() if is_reached}
        assert {"/a~1b"} == {point.path for point in tried.points if "a" in point.path} <= reached

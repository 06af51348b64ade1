"""A document as a vendor has it, of 450 operations, in any version of OpenAPI."""

import json
from typing import Any

Json = dict[str, Any]

AREAS = 50
OPERATIONS = 9 * AREAS


def document(version: str, areas: int = AREAS) -> Json:
    """Make a document of 2.0, 3.0.1 or 3.1.0 that says the same in each."""
    made: Json = {
        "info": {"title": "A vendor's API", "version": "v1"},
        "paths": {},
        "components": {"schemas": {}},
    }
    for number in range(areas):
        _add(made, f"Widget{number}", f"Widget{(number + 1) % areas}")
    if version == "2.0":
        return _of_2_0(made)
    text = json.dumps({"openapi": version, "servers": [{"url": "/KeyfactorAPI"}], **made})
    if version.startswith("3.1"):
        text = text.replace('"type": "string", "nullable": true', '"type": ["string", "null"]')
    loaded: Json = json.loads(text)
    return loaded


def _of_2_0(made: Json) -> Json:
    text = json.dumps({**made, "components": {}})
    for item in (loaded := json.loads(text.replace("/components/schemas/", "/definitions/")))[
        "paths"
    ].values():
        for operation in item.values():
            given = [each.pop("schema") | each for each in operation["parameters"]]
            if "requestBody" in operation:
                body = operation.pop("requestBody")["content"]["application/json"]["schema"]
                given.append({"name": "body", "in": "body", "schema": body})
            operation["parameters"] = given
            for response in operation["responses"].values():
                content = response.pop("content", None)
                if content:
                    response["schema"] = content["application/json"]["schema"]
    schemas = json.dumps(made["components"]["schemas"])
    definitions = json.loads(
        schemas.replace("/components/schemas/", "/definitions/").replace("nullable", "x-nullable")
    )
    return {**loaded, "swagger": "2.0", "basePath": "/KeyfactorAPI", "definitions": definitions}


def _add(made: Json, name: str, following: str) -> None:
    texts = {f"Text{each}": _type("string", nullable=True) for each in range(12)}
    whole = {
        "Id": _type("integer", format="int32"),
        "Name": _type("string", nullable=True),
        "Kind": _type("integer", enum=[1, 2]),
        "When": _type("string", format="date-time"),
        "Code": _type("string", pattern="^[0-9]{2}:[0-9]{2}$"),
        "Number": _type("number", minimum=2.5),
        "Tags": {"type": "array", "items": _type("string"), "minItems": 1},
        "Parent": _reference(name),
        "Next": {"allOf": [_reference(following)]},
        "Either": {"oneOf": [_type("integer"), _type("string")]},
        "ApiKey": _type("string", nullable=True),
        **texts,
    }
    request = {"Name": _type("string", minLength=1), "ApiKey": _type("string"), **texts}
    made["components"]["schemas"] |= {
        name: _object(whole),
        f"{name}Create": {**_object(request), "required": ["Name"]},
        f"{name}Update": {**_object({"Id": _type("integer"), **request}), "required": ["Id"]},
    }
    item, create = _reference(name), _reference(f"{name}Create")
    many = {"type": "array", "items": item}
    path = f"/{name}s"
    made["paths"] |= {
        path: {
            "get": _operation(name, many, LIST),
            "post": _operation(name, item, (), create),
            "put": _operation(name, item, (), _reference(f"{name}Update")),
        },
        f"{path}/{{id}}": {
            "get": _operation(name, item, ID),
            "patch": _operation(name, item, ID, create),
            "delete": _operation(name, None, ID),
        },
        f"{path}/{{id}}/Status": {
            "get": _operation(name, _type("string", enum=["Good", "Bad"]), ID),
            "post": _operation(name, item, ID, create),
        },
        f"{path}/Bulk": {
            "post": _operation(name, many, (), {"type": "array", "items": _type("integer")})
        },
    }


def _type(kind: str, **rules: object) -> Json:
    return {"type": kind, **rules}


def _object(properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, where: str, kind: str, **rules: object) -> Json:
    return {"name": name, "in": where, "required": where == "path", "schema": _type(kind, **rules)}


ID = (_parameter("id", "path", "integer", format="int32"),)
LIST = (
    _parameter("pq.queryString", "query", "string"),
    _parameter("pq.pageReturned", "query", "integer"),
    _parameter("pq.returnLimit", "query", "integer"),
    _parameter("pq.sortField", "query", "string"),
    _parameter("pq.sortAscending", "query", "integer", enum=[0, 1]),
)


def _operation(
    tag: str, answer: Json | None, parameters: tuple[Json, ...], body: Json | None = None
) -> Json:
    good: Json = {"204": {"description": "gone"}}
    if answer is not None:
        good = {"200": {"description": "good", **_content(answer)}}
    operation: Json = {
        "tags": [tag],
        "summary": "What it does, as vendors say it.",
        "parameters": [dict(each) for each in parameters],
        "responses": {**good, "401": {"description": "who?"}, "403": {"description": "no"}},
    }
    if body is not None:
        operation["requestBody"] = _content(body)
    return operation


def _content(schema: Json) -> Json:
    return {"content": {kind: {"schema": schema} for kind in ("text/json", "application/json")}}

"""OpenAPI documents of others, versions 2.0, 3.0 and 3.1, brought to the form of our own."""

import json
import re
from pathlib import Path
from typing import Any, Final, cast

from mockserver.base.documents import DocumentError, read_yaml
from mockserver.base.jsontext import Json
from mockserver.base.schema import Node, pointer, referred
from mockserver.base.text import apart, media_type
from mockserver.contract.operations import JSON_TYPE, METHODS
from mockserver.contract.parameters import PLACES

# What OpenAPI 2.0 keeps at the top, and where 3.1 has it.
_MOVED: Final = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
# What a parameter of OpenAPI 2.0 has beside its schema; all else is the schema.
_BESIDE: Final = ("name", "in", "required", "description", "collectionFormat", "x-example")


def read_foreign(path: Path) -> Node:
    """Read a document of any version; DocumentError names the file, and the place.

    What it says of security is left out, as its scopes are no permissions. Members that it forbids
    are only unknown here: real servers ignore them, and real clients send them.
    """
    document = _read(path)
    place = Node.root(str(path), document)
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        place.fail("no OpenAPI document: it has no paths")
    version = str(document.get("swagger") or document.get("openapi"))
    if not version.startswith(("2.0", "3.0", "3.1")):
        place.fail(f"OpenAPI {version[:20]} is none of 2.0, 3.0 and 3.1")
    try:
        if "swagger" in document:
            _modernise(document)
        _mend(document, "", place)
        _complete(document, path.stem)
    except (AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
        place.fail(f"not a valid OpenAPI document: {type(error).__name__} {error}")
    return place


def _read(path: Path) -> Any:  # noqa: ANN401  # any JSON
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DocumentError(str(path), [("", f"cannot be read: {error.strerror}")]) from None
    if not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return read_yaml(path)
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DocumentError(str(path), [("", f"not JSON: {error}")]) from None


def _mend(value: Any, place: str, root: Node) -> None:  # noqa: ANN401  # any JSON
    """Bring schemas to JSON Schema as 3.1 has it, in place, and see that each reference leads."""
    if isinstance(value, dict):
        _mend_schema(value, place, root)
        items = [each for each in value.items() if each[0] not in {"example", "examples"}]
    else:
        items = [*enumerate(value)]
    for name, item in items:
        if type(item) in (dict, list):
            _mend(item, place + pointer([name]), root)


def _mend_schema(schema: Json, place: str, root: Node) -> None:
    if isinstance(schema.get("$ref"), str):
        schema["$ref"] = _reference(schema["$ref"], place, root)
    if schema.get("additionalProperties") is False:
        del schema["additionalProperties"]
    if isinstance(schema.get("required"), bool) and "in" not in schema:
        del schema["required"]  # a list of members in a schema; only a parameter says it of itself
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive):
            schema[exclusive] = schema.pop(bound)
    if isinstance(schema.get("nullable"), bool) and schema.pop("nullable"):
        _allow_null(schema)


def _reference(reference: str, place: str, root: Node) -> str:
    """Return a reference as our form has it; DocumentError where it does not lead to anything."""
    for old, new in _MOVED.items():
        if reference.startswith(old):
            reference = new + reference.removeprefix(old)
    where = "nothing in" if reference[:1] == "#" else "outside of"
    try:
        known = reference[:1] == "#" and referred(root.document, reference) is not None
    except (LookupError, TypeError, ValueError):
        known = False
    if not known:
        text = f"the $ref {reference!r} leads to {where} this file"
        Node(root.source, root.document, place, None).fail(text)
    return reference


def _allow_null(schema: Json) -> None:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    elif schema:
        inner = dict(schema)
        schema.clear()
        schema["anyOf"] = [inner, {"type": "null"}]


# OpenAPI 2.0


def _modernise(document: Json) -> None:
    document["openapi"] = "3.1.0"
    old = {name: document.pop(name, {}) for name in ("definitions", "parameters", "responses")}
    document["components"] = {
        "schemas": old["definitions"],
        "parameters": {name: _parameter(each) for name, each in old["parameters"].items()},
        "responses": {name: _response(each) for name, each in old["responses"].items()},
    }
    for item in document["paths"].values():
        operations = [item[method] for method in METHODS if method in item]
        for owner in (item, *operations):
            owner["parameters"] = [_parameter(each) for each in owner.get("parameters", ())]
        for each in operations:
            given = each["responses"].items()
            each["responses"] = {status: _response(response) for status, response in given}


def _parameter(parameter: Json) -> Json:
    if "$ref" in parameter or "schema" in parameter:
        return parameter
    schema = {name: value for name, value in parameter.items() if name not in _BESIDE}
    return {**{name: parameter[name] for name in _BESIDE if name in parameter}, "schema": schema}


def _response(response: Json) -> Json:
    if "schema" not in response:
        return response
    content = {"application/json": {"schema": response["schema"]}}
    return {"description": response.get("description", ""), "content": content}


# Every version


def _complete(document: Json, name: str) -> None:
    """Give each operation what ours have: an id, a tag, whole parameters, one JSON body, a 2xx."""
    taken: dict[str, int] = {}
    for path, item in document["paths"].items():
        shared = _parameters(item, document)
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            every = [*(shared | _parameters(operation, document)).values()]
            _body(operation, document, every)
            operation["parameters"] = [each for each in every if each["in"] in PLACES]
            operation["operationId"] = _id(operation.get("operationId"), method, path, taken)
            operation["responses"] = _responses(operation, document)
            operation["security"] = [{"Basic": []}, {"Bearer": []}]
            operation["tags"] = [*(operation.get("tags") or [name])]
            operation["x-resource"] = {"any_role": True, **operation.get("x-resource", {})}
        item.pop("parameters", None)


def _followed(given: Json, document: Json) -> Json:
    return cast("Json", referred(document, given["$ref"])) if "$ref" in given else given


def _parameters(owner: Json, document: Json) -> dict[tuple[str, str], Json]:
    given = [_followed(each, document) for each in owner.get("parameters", ())]
    whole = [{"schema": {}, **each, "required": bool(each.get("required"))} for each in given]
    return {(each["name"].lower(), each["in"]): each for each in whole}


def _body(operation: Json, document: Json, parameters: list[Json]) -> None:
    """Leave one body, as JSON; one of 2.0 is a parameter, and one without JSON is ignored."""
    content = _followed(operation.pop("requestBody", None) or {}, document).get("content", {})
    for parameter in parameters:
        if parameter["in"] == "body":
            content = {"application/json": {"schema": parameter["schema"]}}
    if (chosen := _as_json(content)) is not None:
        operation["requestBody"] = {"content": {"application/json": chosen}, "required": True}


def _as_json(content: Json) -> Json | None:
    return next((content[name] for name in content if JSON_TYPE.fullmatch(media_type(name))), None)


def _responses(operation: Json, document: Json) -> Json:
    """Leave the first good answer; what is not documented at all is an empty 200."""
    given: Json = operation.get("responses", {})
    status = min((each for each in given if each[:1] == "2"), default="default")
    answer = _followed(given.get(status, {}), document)
    chosen = _as_json(answer.get("content", {}))
    content = {} if chosen is None else {"content": {"application/json": chosen}}
    shown = {"description": answer.get("description", ""), **content}
    others = {each: value for each, value in given.items() if each[:1] not in "2d"}
    return {status if status.isdigit() else "200": shown, **others}


def _id(given: str | None, method: str, path: str, taken: dict[str, int]) -> str:
    """Return an id as ours are, lower case with underscores, and no other operation has it."""
    words = apart(given or f"{method}_{path}", "_")
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:90]
    name = name if name[:1].isalpha() else f"{method}_{name}"
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"

"""OpenAPI documents of others, versions 2.0, 3.0 and 3.1, brought to the form of our own."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from mockserver.base.documents import DocumentError, read_octets, read_yaml
from mockserver.base.jsontext import Json
from mockserver.base.schema import Node, pointer, referred, types_of
from mockserver.base.text import apart, cut, media_type
from mockserver.contract.form import Form
from mockserver.contract.mending import mend
from mockserver.contract.operations import JSON_TYPE, METHODS
from mockserver.contract.parameters import PLACES
from mockserver.contract.paths import TEMPLATE

_PATH: Final = re.compile(r"(?:/(?:[^/{}?#]*|[{][^/{}]+[}]))+")
# Says nothing of a request (OpenAPI 3.0.3, 4.7.12.1).
_NO_PARAMETERS: Final = {"accept", "authorization", "content-type"}
# What a user's document may say of a resource; all else is for documents of ours.
_OF_A_RESOURCE: Final = {
    **dict.fromkeys(("collection", "key", "missing", "order"), str),
    "fields": dict,
    "unique": list,
}
_GOOD: Final = re.compile(r"2[0-9][0-9]")
_OTHER_STATUSES: Final = {"1", "3", "4", "5"}
_EMPTY: Final = {"204", "205"}  # RFC 9110, 15.3.5 and 15.3.6
_ANY_TYPE: Final = ("application/*", "*/*")


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
    with _told(place):
        mend(place)
        if document.pop("swagger", None):
            _modernise(document)
        document["paths"] = _completed(place, path.stem)
        place.registry()  # which refuses what no validator could read
    return place


@contextmanager
def _told(place: Node) -> Iterator[None]:
    """Tell by its place what has another form than OpenAPI has it."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        place.fail(f"not a valid OpenAPI document: {type(error).__name__} {error}")


def _read(path: Path) -> Any:  # noqa: ANN401  # any JSON
    raw = read_octets(path)
    if not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return read_yaml(path, numbers=True)  # as statuses are written, without quotes
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DocumentError(str(path), [("", f"not JSON: {error}")]) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


# OpenAPI 2.0


def _modernise(document: Json) -> None:
    document["openapi"] = "3.1.0"
    document["components"] = {
        "schemas": document.pop("definitions", {}),
        "parameters": document.pop("parameters", {}),
        "responses": document.pop("responses", {}),
    }


# Every version


def _completed(root: Node, name: str) -> Json:
    """Return the paths, with all that operations of ours have; nothing that is given changes."""
    taken: dict[str, int] = {}
    paths: Json = {}
    for path, given in root.document["paths"].items():
        if path.startswith("x-"):
            continue
        place = replace(root, pointer=pointer(["paths", path]), value=given)
        if not _PATH.fullmatch(path):
            place.fail("a path begins with /, and a parameter is a whole segment: /Things/{Id}")
        with _told(place):
            item = _followed(given, root.document)
            shared = _parameters(item, path, root.document)
            paths[path] = {"x-resource": _named(item, place)}
        for method in METHODS:
            if isinstance(item.get(method), dict):
                at = replace(place, pointer=f"{place.pointer}/{method}", value=item[method])
                with _told(at):
                    made = _operation(at, shared, path)
                    made["operationId"] = _id(made.get("operationId"), method, path, taken)
                    made["tags"] = _texts(made.get("tags")) or [name]
                    paths[path][method] = made
    return paths


def _operation(place: Node, shared: dict[tuple[str, str], Json], path: str) -> Json:
    """Give an operation whole parameters, one JSON body, a 2xx, and a way to authenticate."""
    given, document = place.value, place.document
    every = (shared | _parameters(given, path, document)).values()
    body = _followed(given.get("requestBody") or {}, document)
    bodies = [_response(each) for each in every if each["in"] == "body"]
    chosen = _as_json((bodies or [body])[0].get("content") or {})
    request = {"content": {"application/json": chosen}, "required": True}
    return {
        **{key: value for key, value in given.items() if key != "requestBody"},
        **({} if chosen is None else {"requestBody": request}),
        "parameters": [each for each in every if each["in"] in PLACES],
        "responses": _responses(given.get("responses") or {}, document),
        "security": [{"Basic": []}, {"Bearer": []}],
        "x-resource": {"any_role": True, **_named(given, place)},
    }


def _followed(given: Json, document: Json) -> Json:
    while "$ref" in given:
        given = referred(document, given["$ref"])
    return given


def _texts(given: object) -> list[str]:
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _named(owner: Json, place: Node) -> Json:
    """Return what a document says of a resource; DocumentError for what a user's cannot say."""
    named: Json = owner.get("x-resource", {})
    for name, value in named.items():
        if not isinstance(value, _OF_A_RESOURCE.get(name, ())):
            known = ", ".join(_OF_A_RESOURCE)
            place.fail(f"x-resource: {cut(name)} is not one of {known}, or has another type")
    return named


def _parameters(owner: Json, path: str, document: Json) -> dict[tuple[str, str], Json]:
    """Return the parameters that say something of a request, by name and place."""
    given = [_followed(each, document) for each in owner.get("parameters") or ()]
    segments = TEMPLATE.findall(path)
    return {
        (each["name"].lower(), each["in"]): _parameter(each, document)
        for each in given
        if (each["in"] != "path" or each["name"] in segments)
        and (each["in"] != "header" or each["name"].lower() not in _NO_PARAMETERS)
    }


def _parameter(given: Json, document: Json) -> Json:
    """Return a parameter with a schema; that of an object is open, as URLs have no one form."""
    whole = {"schema": {}, **given, "required": bool(given.get("required"))}
    types = types_of(whole["schema"]) or Form(document, whole["schema"]).types
    if "object" in types and given["in"] != "body":
        whole |= {"schema": {}, "required": False}
    return whole


def _response(response: Json) -> Json:
    """Return a response, or a body, of OpenAPI 2.0 as later versions have it."""
    if "schema" not in response:
        return response
    return {**response, "content": {"application/json": {"schema": response["schema"]}}}


def _as_json(content: Json) -> Json | None:
    names = {media_type(name): name for name in content}
    fitting = [name for name in names if JSON_TYPE.fullmatch(name)]
    fitting += [name for name in _ANY_TYPE if name in names]
    return {"schema": {}, **(content[names[fitting[0]]] or {})} if fitting else None


def _responses(given: Json, document: Json) -> Json:
    """Leave the first good answer; what is not documented at all is an empty 200."""
    good = [each for each in given if _GOOD.fullmatch(each)]
    status = min(good or [each for each in given if each.upper() == "2XX"], default="default")
    answer = _response(_followed(given.get(status) or {}, document))
    chosen = None if status in _EMPTY else _as_json(answer.get("content") or {})
    content = {} if chosen is None else {"content": {"application/json": chosen}}
    shown = {"description": answer.get("description", ""), **content}
    others = {each: value for each, value in given.items() if each[:1] in _OTHER_STATUSES}
    return {status if good else "200": shown, **others}


def _id(given: str | None, method: str, path: str, taken: dict[str, int]) -> str:
    """Return an id as ours are, lower case with underscores, and no other operation has it."""
    words = apart(given or f"{method}_{path}", "_")
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:90]
    name = name if name[:1].isalpha() else f"{method}_{name}"
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"

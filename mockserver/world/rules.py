"""The schema of a world: what is valid, what is secret, and the words for what breaks a rule."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import jsonschema_rs

from mockserver.base.data import data_folder
from mockserver.base.masking import MASK
from mockserver.base.text import nearest
from mockserver.world.model import World, endpoint_key, fold, relay_key
from mockserver.world.reading import WorldError, parsed, read_file, shortened, step


@cache
def _schema() -> dict[str, Any]:
    path = data_folder("fixtures") / "schema.yaml"
    schema: dict[str, Any] = parsed(read_file(path), str(path))
    return schema


@cache
def _validator(part: str | None) -> jsonschema_rs.Draft202012Validator:
    schema = _schema()
    if part is not None:
        schema = {"$schema": schema["$schema"], "$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def valid(data: Any, source: str, part: str | None = None) -> Mapping[str, Any]:  # noqa: ANN401  # any JSON
    """Return a world's data, or a `part` of them by its name in the schema; WorldError if bad."""
    errors = [line for error in _validator(part).iter_errors(data) for line in _explained(error)]
    if part is None:
        errors = errors or list(_conflicts(data))
    if errors:
        raise WorldError(source, errors)
    valid: Mapping[str, Any] = data
    return valid


def _explained(error: jsonschema_rs.ValidationError) -> Iterator[tuple[str, str]]:
    kind, facts = error.kind.name, error.kind.as_dict()
    place = "".join(step(key) for key in error.instance_path)
    rule = _at_path(error.schema_path[:-1])
    if kind == "additionalProperties":
        for name in facts["unexpected"]:
            near = nearest(name, rule["properties"])
            yield place + step(name), f"unknown key; did you mean '{near}'?"
    elif kind == "required":
        yield place + step(facts["property"]), _missing(facts["property"], error)
        if not place and "required" in error.schema_path:
            yield "", "a file that is no complete world starts with 'extends: default'"
    elif kind == "propertyNames":
        yield place + step(facts["error"].instance), rule["x-expected"]
    else:
        yield place, _expectation(kind, facts, rule, error.instance)


def _missing(name: str, error: jsonschema_rs.ValidationError) -> str:
    # The validator calls both keywords by the same name.
    if error.schema_path[-1] == "required":
        return "missing"
    given: Any = error.instance
    needs = _at_path(error.schema_path)
    keys = [f"'{key}'" for key in given if name in needs.get(key, ())]
    return f"missing; needed by {', '.join(keys)}"


def _expectation(
    kind: str, facts: Mapping[str, Any], rule: Mapping[str, Any], value: object
) -> str:
    if kind == "type":
        quotes = facts["types"] == ["string"] and isinstance(value, int | float)
        names = " or ".join(_TYPES[name] for name in facts["types"])
        pointless = isinstance(value, str) and _EXPONENT.fullmatch(value)
        hint = "; write it in quotes" if quotes else "; write it with a point, as in 1.0e-3"
        return f"must be {names}" + (hint if quotes or pointless else "")
    if kind == "enum":
        return f"must be one of {', '.join(facts['options'])}"
    # Only the schema knows what a pattern means.
    return rule["x-expected"] if kind in {"pattern", "not"} else _LIMITS[kind].format(**facts)


_EXPONENT: Final = re.compile(r"-?[0-9]+[eE][+-]?[0-9]+")  # a number in JSON, a text in YAML 1.1
_TYPES: Final = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_LIMITS: Final = {
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "exclusiveMinimum": "must be more than {limit}",
    "minLength": "must have {limit} characters or more",
    "maxLength": "must have {limit} characters or fewer",
    "minProperties": "must have {limit} entries or more",
    "minItems": "must have {limit} entries or more",
    "uniqueItems": "must not name anything twice",
}


def _at_path(path: Iterable[str | int]) -> Any:  # noqa: ANN401  # a place in a schema
    place: Any = _schema()
    for key in path:
        place = place[key]
    return place


def masked(world: World) -> dict[str, Any]:
    """Return a copy of a world's data, with `***` for what the schema marks `writeOnly`."""
    copied: dict[str, Any] = _masked(world.data, _schema())
    return copied


def _masked(value: Any, rule: Mapping[str, Any]) -> Any:  # noqa: ANN401  # any JSON
    if "$ref" in rule:
        rule = _at_path(rule["$ref"].removeprefix("#/").split("/"))
    if rule.get("writeOnly"):
        return MASK
    if isinstance(value, Mapping):
        known, others = rule.get("properties", {}), rule.get("additionalProperties") or {}
        return {key: _masked(item, known.get(key, others)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, rule["items"]) for item in value]
    return value


# What a schema cannot say


def _conflicts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section in ("users", "oauth_clients"):
        for name, entry in data[section].items():
            for index, role in enumerate(entry.get("roles", ())):
                if role not in data["roles"]:
                    near = nearest(role, data["roles"])
                    place = f"/{section}{step(name)}/roles/{index}"
                    yield place, f"unknown role; did you mean '{near}'?"
    yield from _twins("/users", data["users"], fold)
    yield from _twins("/token_endpoints", data["token_endpoints"], endpoint_key)
    yield from _twins("/relays", data["relays"], relay_key)
    listening: dict[int | str, str] = {}
    for key, relay in data["relays"].items():
        yield from _twins(f"/relays{step(key)}/accounts", relay.get("accounts", {}), fold)
        twin = listening.setdefault(relay.get("listen", key), key)
        if twin != key:
            yield (
                f"/relays{step(key)}/listen",
                f"the same port as that of the relay '{shortened(twin)}'",
            )


def _twins(
    place: str, keys: Iterable[str], normal: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for key in keys:
        try:
            twin = seen.setdefault(normal(key), key)
        except ValueError:
            yield place + step(key), "this host name or port cannot exist"
            continue
        if twin is not key:
            yield place + step(key), f"the same as the key '{shortened(twin)}'"

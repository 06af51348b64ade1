"""The rules of a world: what is valid, what is secret, and the words for what breaks a rule."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

from mockserver.base.data import data_folder
from mockserver.base.documents import read_ours
from mockserver.base.masking import MASK, is_secret
from mockserver.base.schema import Breach, Node, Schema, Words, pointer
from mockserver.base.text import nearest, one_line
from mockserver.world.model import World, endpoint_key, relay_key
from mockserver.world.reading import WorldError

_NO_WORLD: Final = (
    "is no complete world; a file starts with 'extends: default', and then holds what differs"
)
_REMOVED: Final = "null removes it, and no world is without it; leave the key out to keep it"
_MAX_CONFLICTS: Final = 6  # one more than is shown, each with a hint
_EXPONENT: Final = re.compile(r"-?[0-9]+[eE][+-]?[0-9]+")  # a number in JSON, a text in YAML 1.1


def _hint(types: Sequence[str], value: object) -> str:
    if list(types) == ["string"] and isinstance(value, int | float):
        return "; write it in quotes"
    is_number = isinstance(value, str) and _EXPONENT.fullmatch(value)
    return "; write it with a point, as in 1.0e-3" if is_number else ""


_WORDS: Final = Words(
    types={
        "object": "a map",
        "array": "a list",
        "string": "a text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
    },
    required="missing",
    unknown="unknown key; did you mean '{near}'?",
    expected="{expected}",
    hint=_hint,
)


@cache
def _schema(*place: str) -> Schema:
    path = data_folder("fixtures") / "schema.yaml"
    return Schema(Node.root(str(path), read_ours(path)).at(*place), _WORDS)


def valid(
    data: Any,  # noqa: ANN401  # any JSON
    source: str,
    part: str | None = None,
    patch: object = None,
) -> Mapping[str, Any]:
    """Return a world's data, or a `part` of them by its name in the schema; WorldError if bad.

    `patch` is what made them of another world; what it removed is told in other words.
    """
    breaches = (_schema() if part is None else _schema("$defs", part)).breaches(data)
    errors = [(pointer(breach.path), _told(breach, patch)) for breach in _mistakes(breaches)]
    if part is None:
        lacks = any(breach.rule == "required" and len(breach.path) == 1 for breach in breaches)
        if patch is None and (lacks or not isinstance(data, Mapping)):
            raise WorldError(source, [("", _NO_WORLD)])
        errors = errors or list(islice(_conflicts(data), _MAX_CONFLICTS))
    if errors:
        raise WorldError(source, errors)
    valid: Mapping[str, Any] = data
    return valid


def _mistakes(breaches: Sequence[Breach]) -> list[Breach]:
    """Leave out what is missing because its name is spelled in another way, which is told."""
    unknown = [each for each in breaches if each.rule == "additionalProperties"]
    meant = {(*each.path[:-1], each.text.split("'")[1]) for each in unknown}
    return [each for each in breaches if each.rule != "required" or each.path not in meant]


def _told(breach: Breach, patch: object) -> str:
    """Word a broken rule: what is missing may be so because a patch has null for it."""
    for step in breach.path if breach.rule == "required" else ():
        patch = patch.get(step, "") if isinstance(patch, Mapping) else ""
    return _REMOVED if patch is None and breach.rule == "required" else breach.text


def file_schema() -> dict[str, Any]:
    """Return the schema of a world's file, for editors: it may hold a part, and null removes."""
    root = _schema().node.value
    schema: dict[str, Any] = _of_patch(root)
    schema["properties"] |= {"extends": root["$defs"]["extends"]}
    return schema


def _of_patch(rule: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(rule, list):
        return [_of_patch(each) for each in rule]
    if not isinstance(rule, Mapping):
        return rule
    made = {
        key: each if key == "not" else _of_patch(each)
        for key, each in rule.items()
        if key not in _OF_WHOLES
    }
    if "properties" in made:
        made["properties"] = {name: _or_null(each) for name, each in made["properties"].items()}
    if made.get("additionalProperties"):
        made["additionalProperties"] = _or_null(made["additionalProperties"])
    return made


def _or_null(rule: object) -> object:
    return {"anyOf": [rule, {"type": "null"}]}


_OF_WHOLES: Final = {"required", "dependentRequired", "minProperties"}


def masked(world: World) -> dict[str, Any]:
    """Return a copy of a world's data, with `***` for what the schema marks `writeOnly`."""
    copied: dict[str, Any] = _masked(world.data, _schema().node)
    return copied


def _masked(value: Any, rule: Node) -> Any:  # noqa: ANN401  # any JSON
    if rule.value.get("writeOnly"):
        return MASK
    if rule.value.get("x-named-secrets"):
        return _named(value)
    if isinstance(value, Mapping):
        known = rule.value.get("properties", ())
        return {
            key: _masked(
                item,
                rule.at("properties", key) if key in known else rule.at("additionalProperties"),
            )
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(item, rule.at("items")) for item in value]
    return value


def _named(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return a copy of an object, with `***` for texts whose name says that they are secret."""
    if isinstance(value, Mapping):
        return {
            key: MASK if isinstance(item, str) and item and is_secret(key) else _named(item)
            for key, item in value.items()
        }
    return [_named(item) for item in value] if isinstance(value, list | tuple) else value


# What a schema cannot say


def _conflicts(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section in ("users", "oauth_clients"):
        for name, entry in data[section].items():
            for index, role in enumerate(entry.get("roles", ())):
                if role not in data["roles"]:
                    near = nearest(role, data["roles"])
                    place = pointer([section, name, "roles", index])
                    yield place, f"unknown role; did you mean '{near}'?"
    yield from _twins("/users", data["users"], str.casefold)
    yield from _twins("/token_endpoints", data["token_endpoints"], endpoint_key)
    yield from _twins("/relays", data["relays"], relay_key)
    listening: dict[int | str, str] = {}
    for key, relay in data["relays"].items():
        yield from _twins(
            pointer(["relays", key, "accounts"]), relay.get("accounts", {}), str.casefold
        )
        twin = listening.setdefault(relay.get("listen", key), key)
        if twin != key:
            place = pointer(["relays", key, "listen"])
            namespaces = _of_namespaces(relay, data["relays"][twin])
            yield place, f"the same port as that of the relay '{one_line(twin)}'{namespaces}"


def _of_namespaces(*relays: Mapping[str, Any]) -> str:
    own, others = (relay.get("namespace") for relay in relays)
    if own == others:
        return ""
    return f"; this is for {_namespace(own)}, that for {_namespace(others)}"


def _namespace(name: str | None) -> str:
    return "the state without a name" if name is None else f"the namespace '{name}'"


def _twins(
    place: str, keys: Iterable[str], normal: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for key in keys:
        try:
            twin = seen.setdefault(normal(key), key)
        except ValueError:
            yield place + pointer([key]), "this host name or port cannot exist"
            continue
        if twin is not key:
            yield place + pointer([key]), f"the same as the key '{one_line(twin)}'"

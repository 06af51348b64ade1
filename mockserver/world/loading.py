"""Worlds loaded from files and patches, and changed by merge patch."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from mockserver.base.data import data_folder
from mockserver.base.documents import merge, read_ours, read_yaml
from mockserver.base.masking import Secret
from mockserver.base.problems import Told
from mockserver.base.text import nearest, one_line
from mockserver.world.model import (
    Account,
    ApiFault,
    OAuthClient,
    PamProvider,
    Relay,
    Reply,
    TokenEndpoint,
    User,
    World,
    endpoint_key,
    relay_key,
)
from mockserver.world.reading import WorldError, refuse_unless_json
from mockserver.world.rules import valid

_T = TypeVar("_T")

NAMED: Final = ("default", "fuzz")  # the worlds that come with the mock

_MAX_FILES: Final = 10
_NO_FILE: Final = "is for files; a patch changes the world that is there, so leave the key out"


def load(source: str | PathLike[str] | Mapping[str, Any] | None = None) -> World:
    """Load a world: from a file, from a patch over the default world, or (None) the default one.

    `default` and `fuzz` are the names of the worlds that come with the mock, not paths. Whatever is
    wrong with it comes out as WorldError, a file that is not there too.
    """
    if source is None:
        return _default_world()
    if isinstance(source, Mapping):
        return _world(_patched(_default(), source, "world"))
    path = _named(source) or Path(source)
    if source == "" or not os.path.lexists(path):
        raise WorldError(str(source) or "''", [("", _no_file(path))])
    return _world(_read(path))


def _named(source: object) -> Path | None:
    return data_folder("fixtures") / f"{source}.yaml" if source in NAMED else None


def patched(world: World, patch: object) -> World:
    """Return a world with a JSON merge patch (RFC 7396); WorldError for a bad one."""
    # What the API keeps in the profile may be `***`; only what is new is checked.
    checked: Any = _patched({**world.data, "smtp_profile": {}}, patch, "patch")
    profile = merge(world.data["smtp_profile"], cast("Any", patch).get("smtp_profile", {}))
    return _world({**checked, "smtp_profile": profile})


def with_profile(world: World, profile: Mapping[str, Any]) -> World:
    """Return a world with another SMTP profile, one that the API's document accepts."""
    return _world({**world.data, "smtp_profile": profile})


def with_resources(
    world: World, tables: Mapping[str, Sequence[Mapping[str, Any]]], others: Mapping[str, Any]
) -> World:
    """Return a world with other objects, by their path, and with other parts, all of them valid."""
    data = {**world.data, **others, "resources": {**world.resources, **tables}}
    if others:
        return _world(data)
    changed = object.__new__(World)
    vars(changed).update(vars(world), data=data)  # with its callers, who are looked up once
    return changed


def read_api_fault(entry: object, source: str) -> ApiFault:
    """Return one entry of `api_faults` that stands by itself; WorldError for a bad one."""
    return _entry(ApiFault, valid(entry, source, "api_fault"), {})


# From plain data to a frozen world


def _world(data: Mapping[str, Any]) -> World:
    parts = {name: part for name, part in data.items() if name != "resources"}
    return _entry(World, {"edition": _default()["edition"], **parts}, {"data": data})


def _table(
    entries: Mapping[str, Any],
    kind: Callable[..., _T],
    *,
    normal: Callable[[str], str] = str,
    name: str | None = None,
) -> Mapping[str, _T]:
    """Make each entry one of a kind, with its key as the field `name` where that is given."""
    return MappingProxyType(
        {
            normal(key): _entry(kind, entry, {} if name is None else {name: key})
            for key, entry in entries.items()
        }
    )


def _entry(kind: Callable[..., _T], entry: object, fields: Mapping[str, Any]) -> _T:
    if not isinstance(entry, Mapping):  # a secret, or a reply alone
        return kind(entry)
    parts = {
        key: _PARTS[key](each) if key in _PARTS else _frozen(each) for key, each in entry.items()
    }
    return kind(**fields, **parts)


def _replies(entry: object) -> tuple[Reply, ...]:
    """Return the replies of a stage: of several, the first that covers an address counts."""
    entries = entry if isinstance(entry, list | tuple) else [entry]
    return tuple(_entry(Reply, each, {}) for each in entries)


def _frozen(value: Any) -> Any:  # noqa: ANN401  # any JSON, and the callers know which
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    # To JSON Schema 25.0 is an integer; as a key it must be 25.
    return int(value) if isinstance(value, float) and value.is_integer() else value


_PARTS: Final[Mapping[str, Callable[[Any], object]]] = {
    "accounts": partial(_table, kind=Account),
    "api_faults": partial(_table, kind=ApiFault),
    "errors": partial(_table, kind=Told),
    "oauth_clients": partial(_table, kind=OAuthClient, name="id"),
    "pam_providers": partial(_table, kind=PamProvider, name="id"),
    "password": Secret,
    "relays": partial(_table, kind=Relay, normal=relay_key),
    "replies": lambda stages: MappingProxyType(
        {stage: _replies(entry) for stage, entry in stages.items()}
    ),
    "secret": Secret,
    "secrets": partial(_table, kind=Secret),
    "token_endpoints": partial(_table, kind=TokenEndpoint, normal=endpoint_key),
    "users": partial(_table, kind=User, name="name"),
}


@cache
def _default() -> Mapping[str, Any]:
    path = data_folder("fixtures") / "default.yaml"
    default: Mapping[str, Any] = read_ours(path, WorldError, valid)
    return default


@cache  # each patch is checked beside it
def _default_world() -> World:
    return _world(_default())


def _read(path: Path, files: int = 1) -> Mapping[str, Any]:
    source = str(path)
    # In a world of a user there may be secrets, so nothing of it is kept, wherever it is.
    read = read_ours if path in map(_named, NAMED) else read_yaml
    tree = read(path, WorldError)
    refuse_unless_json(tree, source)
    if not isinstance(tree, dict) or "extends" not in tree:
        return valid(tree, source)
    base = tree.pop("extends")
    if not (isinstance(base, str) and base):
        raise WorldError(source, [("/extends", "must be 'default' or the path of a file")])
    if files == _MAX_FILES:
        text = f"{_MAX_FILES} files extend one another; do they go in a circle?"
        raise WorldError(source, [("/extends", text)])
    below = _named(base) or path.parent / base
    if not os.path.lexists(below):
        raise WorldError(source, [("/extends", f"{one_line(base)}: {_no_file(below)}")])
    return _patched(_default() if base == "default" else _read(below, files + 1), tree, source)


def _no_file(path: Path) -> str:
    """Say that there is no such file, and which one is most like it."""
    files = [] if "\0" in str(path) else [each.name for each in path.parent.glob("*.y*ml")]
    return (
        f"there is no such file; did you mean '{nearest(path.name or NAMED[0], [*NAMED, *files])}'?"
    )


def _patched(data: Mapping[str, Any], patch: object, source: str) -> Mapping[str, Any]:
    refuse_unless_json(patch, source)
    if isinstance(patch, Mapping) and "extends" in patch:
        raise WorldError(source, [("/extends", _NO_FILE)])
    return valid(merge(data, patch), source, patch=patch or {})

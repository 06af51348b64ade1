"""Everything that exists in one mock: loaded from a file, frozen, changed by merge patch."""

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import jsonschema_rs
import yaml

from mockserver.base.data import data_folder
from mockserver.base.masking import MASK, Secret
from mockserver.base.text import host_name, nearest

T = TypeVar("T")
Errors = Iterable[tuple[str, str]]

MAX_FILE_OCTETS: Final = 4 * 1024 * 1024
MAX_FILES: Final = 10
MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 32
SHOWN_ERRORS: Final = 5
SHOWN_CHARACTERS: Final = 200


class WorldError(Exception):
    """Say in one line what is wrong with a world: the source, and each error with its pointer."""

    def __init__(self, source: str, errors: Errors) -> None:
        self.source = source
        self.errors = tuple(sorted(set(errors)))
        lines = [f"{_cut(place)}: {text}" if place else text for place, text in self.errors]
        more = [f"and {len(lines) - SHOWN_ERRORS} more"] if len(lines) > SHOWN_ERRORS else []
        super().__init__(_printable(f"{source}: {'; '.join(lines[:SHOWN_ERRORS] + more)}"))


@dataclass(frozen=True)
class User:
    """An account that may call the API with Basic."""

    name: str
    domain: str
    password: Secret
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class OAuthClient:
    """A client of the identity provider; None as secret, scopes or audiences means: any."""

    id: str
    secret: Secret | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    audiences: tuple[str, ...] | None = None
    mailboxes: tuple[str, ...] = ()

    def may_use(self, mailbox: str) -> bool:
        """Tell whether one of its patterns covers the mailbox."""
        return _covers(self.mailboxes, mailbox)


@dataclass(frozen=True)
class PamProvider:
    """A vault; `safe` and `secret_field_name` are compared only where it names one."""

    id: str
    name: str
    type: str
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    fault: str | None = None
    delay: float = 0
    safe: str | None = None
    secret_field_name: str | None = None
    description: str = ""

    def secret(self, *values: str) -> Secret | None:
        """Find a secret by the values of its type's parameters, in their order."""
        key = "/".join(value.replace("/", "%2F") for value in values)
        return self.secrets.get(key, self.secrets.get("*"))


@dataclass(frozen=True)
class TokenEndpoint:
    """How one token endpoint behaves; `delay` in seconds."""

    fault: str | None = None
    delay: float = 0
    description: str = ""


@dataclass(frozen=True)
class Reply:
    """What a relay answers at a stage, in one line or more, the first so many times or always."""

    reply: str
    first: int | None = None


@dataclass(frozen=True)
class Account:
    """A login of a relay, and the senders that it may use."""

    password: Secret
    senders: tuple[str, ...] = ("*",)

    def may_send_as(self, sender: str) -> bool:
        """Tell whether one of its patterns covers the sender."""
        return _covers(self.senders, sender)


@dataclass(frozen=True)
class Relay:
    """How one mail server behaves, times in seconds; None as accounts: any login is accepted."""

    esmtp: bool = True
    starttls: bool = True
    require_auth: bool = False
    require_tls: bool = False
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")
    accounts: Mapping[str, Account] | None = None
    fault: str | None = None
    replies: Mapping[str, Reply] = field(default_factory=dict)
    certificate: str = "good"
    delay: float = 0
    timeout: float = 30
    idle_timeout: float = 60
    listen: int | None = None
    implicit_ports: tuple[int, ...] = (465,)
    audience: str | None = None
    max_size: int = 10 * 1024 * 1024
    smtputf8: bool = True
    description: str = ""

    def account(self, name: str) -> Account | None:
        """Find an account by its name in any letter case."""
        # Active Directory compares user names without letter case.
        return next(
            (a for key, a in (self.accounts or {}).items() if _fold(key) == _fold(name)), None
        )


@dataclass(frozen=True)
class ApiFault:
    """How one operation of the API misbehaves; times in seconds."""

    status: int | None = None
    retry_after: int | None = None
    delay: float = 0
    first: int | None = None
    reset: bool = False
    empty: bool = False
    truncate: bool = False
    malformed: bool = False

    @property
    def breaks_off(self) -> str | None:
        """Give the way in which the connection ends, or None where it goes on."""
        ways = ("reset", "empty", "malformed", "truncate")
        return next((way for way in ways if getattr(self, way)), None)


@dataclass(frozen=True)
class World:
    """Hold everything that exists in one mock; `data` is the same as plain, unmasked JSON."""

    data: Mapping[str, Any] = field(repr=False)
    lenient: bool
    product_version: str
    roles: Mapping[str, tuple[str, ...]]
    users: Mapping[str, User]
    oauth_clients: Mapping[str, OAuthClient]
    api_audiences: tuple[str, ...]
    pam_providers: Mapping[str, PamProvider]
    token_endpoints: Mapping[str, TokenEndpoint]
    relays: Mapping[str, Relay]
    api_faults: Mapping[str, ApiFault]
    smtp_profile: Mapping[str, Any] = field(repr=False)

    def relay(self, host: str, port: int) -> tuple[str, Relay] | None:
        """Find the relay that plays host and port, and its key.

        The most specific key wins: `host:port`, `host`, `*.suffix`, `*`. Nothing plays what is no
        host name.
        """
        try:
            name = host_name(host)
        except ValueError:
            return None
        return _most_specific(self.relays, (f"{name}:{port}", name), name)

    def token_endpoint(self, url: str) -> tuple[str, TokenEndpoint] | None:
        """Find the token endpoint that plays the URL, and its key.

        The most specific key wins: the URL, the URL without its query, `host`, `*.suffix`, `*`.
        Raises ValueError when it is no URL with a host.
        """
        name, normal = host_name(urlsplit(url).hostname or ""), _url(url)
        return _most_specific(self.token_endpoints, (normal, normal.partition("?")[0], name), name)

    def user(self, name: str) -> User | None:
        r"""Find the user by `name`, `DOMAIN\name` or `name@DOMAIN`, in any letter case."""
        wanted = _fold(name)
        return next((user for user in self.users.values() if wanted in _spellings(user)), None)

    def provider(self, number: str) -> PamProvider | None:
        """Find the PAM provider with this id, else the one for any id."""
        return self.pam_providers.get(number, self.pam_providers.get("*"))

    def oauth_client(self, name: str) -> OAuthClient | None:
        """Find the OAuth client with this id, else the one for any id."""
        return self.oauth_clients.get(name, self.oauth_clients.get("*"))

    def api_fault(self, operation: str) -> ApiFault | None:
        """Find the fault of this operation, else the one of any operation."""
        return self.api_faults.get(operation, self.api_faults.get("*"))

    def masked(self) -> dict[str, Any]:
        """Return a copy of the data, with `***` for what the schema marks `writeOnly`."""
        copied: dict[str, Any] = _masked(self.data, _schema())
        return copied

    def patched(self, patch: object) -> "World":
        """Return this world with a JSON merge patch (RFC 7396); WorldError for a bad one."""
        # What the API keeps in the profile may be `***`; only what is new is checked.
        checked: Any = _patched({**self.data, "smtp_profile": {}}, patch, "patch")
        profile = merge(self.data["smtp_profile"], cast("Any", patch).get("smtp_profile", {}))
        return _world({**checked, "smtp_profile": profile})

    def with_profile(self, profile: Mapping[str, Any]) -> "World":
        """Return this world with another SMTP profile, one that the API's document accepts."""
        return _world({**self.data, "smtp_profile": profile})


def load(source: str | PathLike[str] | Mapping[str, Any] | None = None) -> World:
    """Load a world: from a file, from a patch over the default world, or (None) the default one.

    `default` and `fuzz` are the names of the worlds that come with the mock, not paths. Whatever is
    wrong with it comes out as WorldError, a file that is not there too.
    """
    if source is None:
        return _world(_default())
    if isinstance(source, Mapping):
        return _world(_patched(_default(), source, "world"))
    return _world(_read(_named(source) or Path(source)))


def _named(source: object) -> Path | None:
    return data_folder("fixtures") / f"{source}.yaml" if source in ("default", "fuzz") else None


def read_api_fault(entry: object, source: str) -> ApiFault:
    """Return one entry of `api_faults` that stands by itself; WorldError for a bad one."""
    valid = _valid(entry, source, "api_fault")
    return _api_fault("", valid)


def merge(target: object, patch: object) -> object:
    """Return the target with a JSON merge patch applied; both stay as they are (RFC 7396, 2)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


# Keys and lookups


def _fold(name: str) -> str:
    return name.casefold()


def _covers(patterns: Iterable[str], address: str) -> bool:
    return any(fnmatchcase(_fold(address), _fold(pattern)) for pattern in patterns)


def _spellings(user: User) -> tuple[str, str, str]:
    name, domain = _fold(user.name), _fold(user.domain)
    return name, f"{domain}\\{name}", f"{name}@{domain}"


def _most_specific(table: Mapping[str, T], exact: Sequence[str], host: str) -> tuple[str, T] | None:
    labels = host.split(".")
    suffixes = (f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels)))
    return next(((key, table[key]) for key in (*exact, *suffixes, "*") if key in table), None)


def _relay_key(key: str) -> str:
    wildcard = "*." if key.startswith("*.") else ""
    host, port = re.fullmatch(r"(\[.*\]|[^:]*)(.*)", key.removeprefix(wildcard)).groups()  # type: ignore[union-attr]  # matches any text of one line
    return f"{wildcard}{host_name(host)}{port}"


def _endpoint_key(key: str) -> str:
    return _url(key) if "://" in key else _relay_key(key)


def _url(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host_name(parts.hostname or '')}:{port}{parts.path or '/'}{query}"


# From plain data to a frozen world


def _world(data: Mapping[str, Any]) -> World:
    return World(
        data=data,
        lenient=data["lenient"],
        product_version=data["product_version"],
        roles=_frozen(data["roles"]),
        users=_table(data["users"], _user),
        oauth_clients=_table(data["oauth_clients"], _oauth_client),
        api_audiences=tuple(data.get("api_audiences", ())),
        pam_providers=_table(data["pam_providers"], _provider),
        token_endpoints=_table(data["token_endpoints"], _token_endpoint, _endpoint_key),
        relays=_table(data["relays"], _relay, _relay_key),
        api_faults=_table(data["api_faults"], _api_fault),
        smtp_profile=_frozen(data["smtp_profile"]),
    )


def _table(
    entries: Mapping[str, Any], build: Callable[[str, Any], T], normal: Callable[[str], str] = str
) -> Mapping[str, T]:
    return MappingProxyType({normal(key): build(key, entry) for key, entry in entries.items()})


def _user(name: str, entry: Mapping[str, Any]) -> User:
    return User(**_fields(entry, name=name))


def _oauth_client(name: str, entry: Mapping[str, Any]) -> OAuthClient:
    return OAuthClient(**_fields(entry, id=name))


def _provider(number: str, entry: Mapping[str, Any]) -> PamProvider:
    secrets = _table(entry.get("secrets", {}), lambda _, value: Secret(value))
    return PamProvider(**_fields(entry, id=number, secrets=secrets))


def _token_endpoint(_: str, entry: Mapping[str, Any]) -> TokenEndpoint:
    return TokenEndpoint(**_fields(entry))


def _relay(_: str, entry: Mapping[str, Any]) -> Relay:
    accounts = _table(entry["accounts"], _account) if "accounts" in entry else None
    replies = _table(entry.get("replies", {}), _reply)
    return Relay(**_fields(entry, accounts=accounts, replies=replies))


def _account(_: str, entry: Mapping[str, Any]) -> Account:
    return Account(**_fields(entry))


def _reply(_: str, entry: str | Mapping[str, Any]) -> Reply:
    return Reply(entry) if isinstance(entry, str) else Reply(**_fields(entry))


def _api_fault(_: str, entry: Mapping[str, Any]) -> ApiFault:
    return ApiFault(**_fields(entry))


def _fields(entry: Mapping[str, Any], **others: object) -> dict[str, Any]:
    own = {
        key: Secret(value) if key in {"password", "secret"} else _frozen(value)
        for key, value in entry.items()
        if key not in others
    }
    return own | others


def _frozen(value: Any) -> Any:  # noqa: ANN401  # any JSON, and the callers know which
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    # To JSON Schema 25.0 is an integer; as a key it must be 25.
    return int(value) if isinstance(value, float) and value.is_integer() else value


# From a file to plain data


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of the two
    """Read plain JSON-like data only: no dates, no sets, no merge keys, no duplicate keys."""

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        """Construct a map; each error has the line."""
        entries: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _at(key, "a key that is not a text; write it in quotes")
            if key.value in entries:
                raise _at(key, f"the key {_cut(key.value)} stands twice")
            try:
                entries[key.value] = self.construct_object(value, deep=True)
            except ValueError:
                raise _at(value, "a value that cannot be read; write it in quotes") from None
        return entries


_Loader.yaml_constructors = {
    f"tag:yaml.org,2002:{name}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
    for name, kind in (
        *((kind, kind) for kind in ("null", "bool", "int", "float", "str", "seq")),
        ("timestamp", "str"),
    )
} | {
    "tag:yaml.org,2002:map": _Loader.mapping,
    None: yaml.SafeLoader.yaml_constructors[None],
}


def _at(place: yaml.Node | yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


@cache
def _default() -> Mapping[str, Any]:
    return _read(data_folder("fixtures") / "default.yaml")


def _read(path: Path, files: int = 1) -> Mapping[str, Any]:
    source = str(path)
    tree = _parsed(_content(path), source)
    _refuse_unless_json(tree, source)
    if not isinstance(tree, dict) or "extends" not in tree:
        return _valid(tree, source)
    base = tree.pop("extends")
    if not isinstance(base, str):
        raise WorldError(source, [("/extends", "must be 'default' or the path of a file")])
    if files == MAX_FILES:
        text = f"{MAX_FILES} files extend one another; do they go in a circle?"
        raise WorldError(source, [("/extends", text)])
    below = (
        _default() if base == "default" else _read(_named(base) or path.parent / base, files + 1)
    )
    return _patched(below, tree, source)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_OCTETS + 1)
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", "no path can have this name")
        raise WorldError(str(path), [("", f"cannot be read: {text}")]) from None
    if len(content) > MAX_FILE_OCTETS:
        raise WorldError(str(path), [("", f"is larger than {MAX_FILE_OCTETS} octets")])
    return content


def _parsed(content: bytes, source: str) -> Any:  # noqa: ANN401  # any JSON
    try:
        # Constructing nested data recurses in C and overflows its stack; reading events does not.
        depth = 0
        for event in yaml.parse(content, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _at(event, f"nested deeper than {MAX_DEPTH} levels")
        return yaml.load(content, Loader=_Loader)  # noqa: S506  # it constructs plain data only
    except (yaml.YAMLError, ValueError) as error:
        raise WorldError(source, [("", _place_and_problem(error, content))]) from None


def _place_and_problem(error: Exception, content: bytes) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        # The parser may quote what it could not read, and that may be a secret.
        problem = re.sub(r"'[^']{2,}'", "'…'", error.problem or "")
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    position = getattr(error, "position", 0)
    line = content[:position].count(b"\n") + 1
    return f"line {line}: {getattr(error, 'reason', 'cannot be read')}"


def _patched(data: Mapping[str, Any], patch: object, source: str) -> Mapping[str, Any]:
    _refuse_unless_json(patch, source)
    return _valid(merge(data, patch), source)


def _refuse_unless_json(tree: object, source: str) -> None:
    pending: list[tuple[object, str, int]] = [(tree, "", 0)]
    seen = 0
    while pending:
        value, place, depth = pending.pop()
        seen += 1
        # An alias may stand for much more than the file is long, even for itself.
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            text = f"more than {MAX_DEPTH} levels deep, or than {MAX_VALUES} values"
            raise WorldError(source, [(place, text)])
        if problem := _json_problem(value):
            raise WorldError(source, [(place, problem)])
        pending += [(item, place + _step(key), depth + 1) for key, item in _items(value)]


def _json_problem(value: object) -> str | None:
    if isinstance(value, Mapping):
        return next((text for key in value if (text := _key_problem(key))), None)
    if isinstance(value, str):
        return None if _is_unicode(value) else "a text that is not Unicode (a lone surrogate)"
    known = value is None or isinstance(value, int | float | list | tuple)
    return None if known else f"JSON has no {type(value).__name__}"


def _key_problem(key: object) -> str | None:
    if not isinstance(key, str):
        return f"the key {_cut(str(key))} is not a text; write it in quotes"
    return None if _is_unicode(key) else "a key that is not Unicode (a lone surrogate)"


def _is_unicode(text: str) -> bool:
    return not re.search(r"[\ud800-\udfff]", text)


def _items(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple) else ()


# The schema


@cache
def _schema() -> dict[str, Any]:
    path = data_folder("fixtures") / "schema.yaml"
    schema: dict[str, Any] = _parsed(_content(path), str(path))
    return schema


@cache
def _validator(part: str | None) -> jsonschema_rs.Draft202012Validator:
    schema = _schema()
    if part is not None:
        schema = {"$schema": schema["$schema"], "$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def _valid(data: Any, source: str, part: str | None = None) -> Mapping[str, Any]:  # noqa: ANN401  # any JSON
    errors = [line for error in _validator(part).iter_errors(data) for line in _explained(error)]
    if part is None:
        errors = errors or list(_conflicts(data))
    if errors:
        raise WorldError(source, errors)
    valid: Mapping[str, Any] = data
    return valid


def _explained(error: jsonschema_rs.ValidationError) -> Iterator[tuple[str, str]]:
    kind, facts = error.kind.name, error.kind.as_dict()
    place = "".join(_step(key) for key in error.instance_path)
    rule = _at_path(error.schema_path[:-1])
    if kind == "additionalProperties":
        for name in facts["unexpected"]:
            near = nearest(name, rule["properties"])
            yield place + _step(name), f"unknown key; did you mean '{near}'?"
    elif kind == "required":
        yield place + _step(facts["property"]), _missing(facts["property"], error)
        if not place and "required" in error.schema_path:
            yield "", "a file that is no complete world starts with 'extends: default'"
    elif kind == "propertyNames":
        yield place + _step(facts["error"].instance), rule["x-expected"]
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
                    place = f"/{section}{_step(name)}/roles/{index}"
                    yield place, f"unknown role; did you mean '{near}'?"
    yield from _twins("/users", data["users"], _fold)
    yield from _twins("/token_endpoints", data["token_endpoints"], _endpoint_key)
    yield from _twins("/relays", data["relays"], _relay_key)
    listening: dict[int | str, str] = {}
    for key, relay in data["relays"].items():
        yield from _twins(f"/relays{_step(key)}/accounts", relay.get("accounts", {}), _fold)
        twin = listening.setdefault(relay.get("listen", key), key)
        if twin != key:
            yield (
                f"/relays{_step(key)}/listen",
                f"the same port as that of the relay '{_cut(twin)}'",
            )


def _twins(
    place: str, keys: Iterable[str], normal: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for key in keys:
        try:
            twin = seen.setdefault(normal(key), key)
        except ValueError:
            yield place + _step(key), "this host name or port cannot exist"
            continue
        if twin is not key:
            yield place + _step(key), f"the same as the key '{_cut(twin)}'"


# Texts


def _step(key: object) -> str:
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)

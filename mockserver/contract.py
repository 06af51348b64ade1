"""The documents as the program: operations with validators, each compiled once."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, Self, cast

import yaml
from jsonschema_rs import (
    Draft202012Validator,
    ValidationError,
    ValidationErrorKind,
)

from mockserver.coercion import Shape, lowered, read_form, relaxed, typed, types_of
from mockserver.jsontext import cut, parse_json
from mockserver.problems import Code, Note, Problem, Violation
from mockserver.world import nearest

Json = dict[str, Any]

VERSION_HEADER: Final = "x-keyfactor-api-version"
MAX_VIOLATIONS: Final = 100

# Without the header the product answers as version 1 (facts (d)).
_VERSIONS: Final = ("1", "2")
_METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put", "trace")
# The document publishes application/json alone, because lists of media types break code generators;
# clients send the others (facts (a.1)), one of them with the asterisk.
_JSON_TYPE: Final = re.compile(r"text/json|application/(?:[a-z0-9!#$&^_.*-]+\+)?json")
_FORM: Final = re.compile(r" *application/x-www-form-urlencoded *(?:;|$)", re.IGNORECASE)
_TEMPLATE: Final = re.compile(r"[{]([^{}]*)[}]")
_PLACES: Final = ("header", "path", "query")
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_TEXTS: Final = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have {} or more characters",
    "maxLength": "must have {} or fewer characters",
    "maxItems": "must have {} or fewer items",
    "minProperties": "must have {} or more members",
    "maxProperties": "must have {} or fewer members",
}
_ARTICLES: Final = {"array": "an ", "integer": "an ", "object": "an ", "null": ""}
_TYPES: Final[Mapping[type, str]] = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    type(None): "null",
}
# The rules that are told before all others of a value: as long as one of them is broken, what the
# others say of it is beside the point, or untrue (an empty text has no NUL character).
_FOREMOST: Final = {"not": 0, "type": 0, "enum": 1, "minLength": 2, "maxLength": 2}
_NEAR: Final = 0.75  # how alike a typing error and its path are; /Templates and /SMTP/Test have 0.6


class ContractError(Exception):
    """A document is missing or broken; the mock cannot start."""


@dataclass(frozen=True)
class _Place:
    """A node of a document, with the JSON pointer at which it really stands."""

    source: Path
    document: Json
    pointer: str = ""
    value: Any = None
    # Many operations refer to one parameter: it is compiled once.
    schemas: dict[str, "_Schema"] = field(default_factory=dict, repr=False)

    def at(self, *keys: str | int) -> "_Place":
        """Go down, through references; ContractError when there is nothing."""
        place = self
        for key in keys:
            place = place._child(key)
        return place

    def _child(self, key: str | int) -> "_Place":
        try:
            value = self.value[key]
        except (KeyError, IndexError, TypeError):
            value = None
        if value is None:
            self.fail(f"{key} is missing")
        if isinstance(value, dict) and "$ref" in value:
            root = replace(self, pointer="", value=self.document)
            return root.at(*str(value["$ref"]).removeprefix("#/").split("/"))
        return replace(self, pointer=f"{self.pointer}/{_escaped(key)}", value=value)

    def items(self) -> Iterator["_Place"]:
        """Give the elements of a list."""
        return (self.at(index) for index in range(len(self.value)))

    def fail(self, text: str) -> NoReturn:
        """Stop the start, naming file and place."""
        raise ContractError(f"{self.source}: {self.pointer or '/'}: {text}")

    def schema(self) -> "_Schema":
        """Give the schema that stands here."""
        return self.schemas.setdefault(self.pointer, _Schema(self))


@dataclass(frozen=True)
class _Schema:
    """A schema that words its violations by the document's annotations."""

    place: _Place
    # By schema path: each rule is read when it is first broken.
    rules: dict[tuple[str | int, ...], "_Rule"] = field(default_factory=dict, repr=False)

    @property
    def document(self) -> Json:
        """The whole document."""
        return self.place.document

    @cached_property
    def shape(self) -> Shape:
        """What decides how a body is read."""
        return Shape(self.document, self.place.value)

    @cached_property
    def validator(self) -> Draft202012Validator:
        """The compiled schema; ContractError when it cannot be compiled."""
        # The document is the root, so that a violation's path is its real place; less of it is
        # faster, and all that schemas refer to is below components.
        part = self.place.pointer.split("/")[1]
        root = {name: self.document.get(name, {}) for name in ("components", part)}
        schema = {**root, "$ref": f"#{self.place.pointer}"}
        try:
            return Draft202012Validator(schema, validate_formats=True, offline=True)
        except ValidationError as error:
            place = "/".join(str(part) for part in error.instance_path)
            self.place.fail(f"a schema that cannot be compiled: {place}: {error.message}")

    def violations(self, instance: object, root: str = "") -> list[Violation]:
        """Return one violation for each place that is wrong; `root` names what is not the body."""
        if self.validator.is_valid(instance):  # which is faster than a list of no errors
            return []
        told: dict[tuple[str | int, ...], _Broken] = {}
        for broken in chain.from_iterable(map(_broken, self.validator.iter_errors(instance))):
            known = told.get(broken.path)
            if known is None or broken.order < known.order:
                told[broken.path] = broken
            if len(told) > MAX_VIOLATIONS:
                break
        return [self._violation(broken, root) for broken in told.values()]

    def _violation(self, broken: "_Broken", root: str) -> Violation:
        rule = self._rule(broken)
        names = [cut(str(part)) for part in broken.path]
        shown = "/".join(names) or root.partition(" ")[2] or "body"
        text = rule.text or _unknown(names[-1], rule.known, broken.error)
        path = root or "".join(f"/{_escaped(name)}" for name in names)
        return Violation(path, broken.rule, f"{shown}: {text}.", rule.pointer)

    def _rule(self, broken: "_Broken") -> "_Rule":
        steps = tuple(broken.error.evaluation_path)
        if steps not in self.rules:
            self.rules[steps] = self._read(broken, steps)
        return self.rules[steps]

    def _read(self, broken: "_Broken", steps: Sequence[str | int]) -> "_Rule":
        """Read what words a rule: the innermost `x-expected` and `x-when` on the way to it.

        The way leads through references, so that what refers to a schema may add a condition.
        """
        node = self.place
        expected, when = "valid", ""
        for part in steps[:-1]:  # from the schema as a whole, by a reference, to that of the rule
            node = node if part == "$ref" else node.at(part)  # which follows references
            if isinstance(node.value, dict):
                expected = node.value.get("x-expected", expected)
                when = f" when {node.value['x-when']}" if "x-when" in node.value else when
        pointer = f"{node.pointer}/{_escaped(steps[-1])}"
        if broken.rule == "additionalProperties":
            return _Rule("", pointer, tuple(node.value["properties"]))
        return _Rule(_text(broken, expected) + when, pointer)

    @property
    def members(self) -> Mapping[str, Mapping[str, Sequence[object]]]:
        """The members of an object, each with the types and the values that it may have."""
        properties = self.place.at("properties")
        return {name: _choices(properties.at(name)) for name in properties.value}

    @property
    def required(self) -> frozenset[str]:
        """The members that an object must have, whatever else is in it."""
        return frozenset(self.place.value.get("required", ()))


class _Rule(NamedTuple):
    """How a rule of a document is told; `known` are the names where others are unknown."""

    text: str
    pointer: str
    known: tuple[str, ...] = ()


class _Broken(NamedTuple):
    """A broken rule: where in the instance, and for a `type` what it should be."""

    path: tuple[str | int, ...]
    rule: str
    error: ValidationError
    types: Sequence[str] = ()

    @property
    def order(self) -> tuple[int, int, int]:
        """Where it stands among the broken rules of one place; the first one is told."""
        # Of two types that of a condition is narrower, and so the whole truth; of other rules that
        # of the field itself, to which the way is shorter, goes before a condition that repeats it.
        rank = _FOREMOST.get(self.rule, len(_FOREMOST))
        return rank, len(self.types), len(self.error.schema_path)


def _broken(error: ValidationError) -> Iterator[_Broken]:
    kind, path = error.kind, tuple(error.instance_path)
    if isinstance(kind, ValidationErrorKind.AnyOf):
        yield from _of_branches(error, kind.context)
    elif isinstance(kind, ValidationErrorKind.Required):
        yield _Broken((*path, kind.property), "required", error)
    elif isinstance(kind, ValidationErrorKind.AdditionalProperties):
        for name in kind.unexpected:
            yield _Broken((*path, name), kind.name, error)
    else:
        types = kind.types if isinstance(kind, ValidationErrorKind.Type) else ()
        yield _Broken(path, kind.name, error, types)


def _of_branches(
    error: ValidationError, branches: Sequence[Sequence[ValidationError]]
) -> Iterator[_Broken]:
    """Tell an anyOf by the one branch whose type fits, or by the types of all of them."""
    types = [_types_refused(branch, error.instance_path) for branch in branches]
    fitting = [branch for branch, refused in zip(branches, types, strict=True) if not refused]
    if not fitting:
        names = [name for refused in types for name in refused]
        yield _Broken(tuple(error.instance_path), "type", error, names)
    for inner in fitting[0] if fitting else ():
        yield from _broken(inner)


@dataclass(frozen=True)
class _Parameter:
    """A parameter of an operation; `place` is `header`, `path` or `query`."""

    name: str
    place: str
    required: bool
    pointer: str
    schema: _Schema
    types: frozenset[str]
    values: tuple[str, ...]
    default: object

    def violations(self, given: Mapping[str, object]) -> Iterator[Violation]:
        """Give what is wrong with this parameter of a request."""
        where = f"{self.place} {self.name}"
        value = given.get(self.name)
        if value is not None:
            yield from self.schema.violations(value, where)
        elif self.required:
            text = f"{self.name}: required."
            yield Violation(where, "required", text, f"{self.pointer}/required")

    def read(self, texts: list[str] | None) -> object:
        """Return what the texts of this parameter stand for, the default where there are none.

        One that stands twice stays a list, which its type refuses.
        """
        if texts is None or len(texts) > 1:
            return texts or self.default
        return typed(texts[0], self.types)


@dataclass(frozen=True)
class Operation:
    """One method of one path in one version; `permissions` are the roles in its `security`.

    Path and permissions may be templates with the names of path parameters in braces.
    """

    id: str
    version: str
    method: str
    path: str
    permissions: tuple[str, ...]
    deprecated: bool
    parameters: tuple[_Parameter, ...] = field(repr=False)
    body: _Schema | None = field(repr=False)
    defaults: Mapping[str, object] = field(repr=False)
    takes_form: bool
    status: int
    # The bodies of the same operation in other versions.
    others: Mapping[str, _Schema] = field(default_factory=dict, repr=False)

    def read(self, content_type: str | None, raw: bytes) -> object:
        """Parse a body; Problem 415 when it is not sent as JSON or form, 400 when it is neither.

        An operation without a body ignores what comes as one.
        """
        if self.body is None:
            return None
        if self.takes_form and _FORM.match(content_type or ""):
            return read_form(raw, self.body.shape)
        if not _is_json(content_type or ""):
            raise Problem(
                415, Code.MEDIA_TYPE, "send the body as Content-Type: application/json, in UTF-8"
            )
        return parse_json(raw)

    def relaxed(self, body: object, *, lenient: bool) -> tuple[object, list[Note]]:
        """Return a body as the document spells it, and a note for each change; see `relaxed`."""
        return (body, []) if self.body is None else relaxed(body, self.body.shape, lenient=lenient)

    def given(self, path: str, query: Iterable[tuple[str, str]]) -> Json:
        """Return the parameters of a request's path and query, typed, with defaults; none checked.

        A name in the query has any letter case; an unknown one is ignored.
        """
        segments = zip(self.path.split("/"), path.split("/"), strict=True)
        texts = {f"path {own[1:-1].lower()}": [text] for own, text in segments if own[:1] == "{"}
        for name, text in query:
            texts.setdefault(f"query {name.lower()}", []).append(text)
        values = {
            parameter.name: parameter.read(texts.get(f"{parameter.place} {parameter.name.lower()}"))
            for parameter in self.parameters
            if parameter.place != "header"
        }
        return {name: value for name, value in values.items() if value is not None}

    def required(self, given: Mapping[str, object]) -> tuple[str, ...]:
        """Return the permissions that a request with these parameters needs."""
        return tuple(
            _TEMPLATE.sub(lambda found: str(given[found[1]]), permission)
            for permission in self.permissions
        )

    def check(
        self, headers: Mapping[str, str], body: object, given: Mapping[str, object] = _NOTHING
    ) -> list[Violation]:
        """Return the violations of headers, body and parameters, but no more than MAX_VIOLATIONS.

        The names of `headers` are in lower case, or their letter case does not matter.
        """
        return list(islice(self._violations(headers, body, given), MAX_VIOLATIONS))

    def describe(
        self, headers: Mapping[str, str], body: object, violations: Sequence[Violation]
    ) -> str:
        """Make one message of what `check` found.

        It begins with the version where no header chose it, and another one would find less.
        """
        texts = [violation.message for violation in violations]
        if VERSION_HEADER not in headers and any(self._other(each, body) for each in violations):
            reason = f"the header {VERSION_HEADER} is absent"
            texts.insert(0, f"This call is version {self.version}, because {reason}.")
        return " ".join(dict.fromkeys(texts))

    def filled(self, body: Json) -> Json:
        """Return a valid body with the document's defaults; a null is the same as absent."""
        given = {name: value for name, value in body.items() if value is not None}
        return {**self.defaults, **given}

    def _violations(
        self, headers: Mapping[str, str], body: object, given: Mapping[str, object]
    ) -> Iterator[Violation]:
        for parameter in self.parameters:
            yield from parameter.violations(headers if parameter.place == "header" else given)
        if self.body is not None:
            for violation in self.body.violations(body):
                yield self._compared(violation, body)

    def _compared(self, violation: Violation, body: object) -> Violation:
        """Name the version of the operation that takes what this one refuses."""
        other = self._other(violation, body)
        if other is None or violation.rule == "required":
            return violation
        if violation.rule == "additionalProperties":
            text = f"{violation.path[1:]}: unknown in version {self.version}; it belongs to"
            message = f"{text} version {other.version}."
        else:
            text = f"{violation.message.removesuffix('.')}; version {other.version} takes"
            message = f"{text} {other.takes[0]}."
        return Violation(violation.path, violation.rule, message, violation.pointer)

    def _other(self, violation: Violation, body: object) -> "_Elsewhere | None":
        """Return the version that would not find a violation, and what it takes of the body."""
        other = self._elsewhere.get((lowered(violation.path), violation.rule))
        if other is None or not other.takes:
            return other
        value = cast("Json", body)[other.member]
        given = _with_article(_TYPES[type(value)]) if violation.rule == "type" else value
        return other._replace(takes=[given]) if given in other.takes else None

    @cached_property
    def _elsewhere(self) -> Mapping[tuple[str, str], "_Elsewhere"]:
        """By path without letter case, and rule: the violations that another version lacks."""
        if self.body is None:
            return {}
        return {
            (f"/{_escaped(lowered(name))}", rule): _Elsewhere(name, version, takes)
            for version, other in self.others.items()
            for rule, name, takes in _lacking(self.body, other)
        }


class _Elsewhere(NamedTuple):
    """A version that lacks a rule of this one for a member, and what only that version takes."""

    member: str
    version: str
    takes: Sequence[object] = ()


@dataclass(frozen=True)
class Contract:
    """All documents, by version, and the operations that they describe."""

    documents: Mapping[str, Json]
    operations: tuple[Operation, ...]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read and compile v1.yaml and v2.yaml; ContractError names file and place."""
        documents = {version: _document(folder / f"v{version}.yaml") for version in _VERSIONS}
        operations = tuple(
            operation
            for version, place in documents.items()
            for operation in _operations(version, place)
        )
        operations = tuple(
            replace(operation, others=_others(operation, operations)) for operation in operations
        )
        return cls({version: place.document for version, place in documents.items()}, operations)

    def compile(self) -> None:
        """Compile every schema now, not when it is first needed; ContractError for a bad one."""
        for operation in self.operations:
            for schema in (operation.body, *(each.schema for each in operation.parameters)):
                if schema is not None:
                    _ = schema.validator

    def operation(self, path: str, method: str, version: str | None) -> Operation:
        """Find an operation by the path below the base path and the version header's value.

        Problem 404 for the path, then 405 for a method that no version has, then 400 for the
        version: each refusal tells what is wrong before what depends on it.
        """
        # An answer to HEAD is that to GET, and the server leaves out its body (RFC 9110, 9.3.2).
        served = "GET" if method == "HEAD" else method
        candidates = [found for found in self._at(path) if found.method == served]
        if not candidates:
            allow = self.allow(path)
            raise Problem(
                405,
                Code.METHOD,
                f"{cut(method)} is not allowed, only {allow}",
                {"Allow": allow},
            )
        wanted = self.version(version)
        if wanted is None:
            known = ", ".join(self._spellings)
            raise Problem(400, Code.VERSION, f"{VERSION_HEADER}: must be one of {known}.")
        for operation in candidates:
            if operation.version == wanted:
                return operation
        raise Problem(
            400, Code.VERSION, f"{VERSION_HEADER}: {method} {path} has no version {wanted}."
        )

    def allow(self, path: str) -> str:
        """Return the `Allow` header of a path, for all versions together; Problem 404."""
        methods = {found.method for found in self._at(path)}
        return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))

    def _at(self, path: str) -> list[Operation]:
        if path.lower() in self._literal:
            return self._literal[path.lower()]
        found = [operation for operation in self.operations if _matches(operation.path, path)]
        if not found:
            known = tuple(dict.fromkeys(operation.path for operation in self.operations))
            text = f"nothing is at {cut(path)}"
            for near in _near_paths(cut(path), known):
                text += f"; the nearest known path is {near}"
            raise Problem(404, Code.NOT_FOUND, text)
        # A literal segment goes before a template.
        best = min(_templates(operation.path) for operation in found)
        return [operation for operation in found if _templates(operation.path) == best]

    @cached_property
    def _literal(self) -> Mapping[str, list[Operation]]:
        """The operations of each path without a template, which need no search."""
        found: dict[str, list[Operation]] = {}
        for operation in self.operations:
            if not any(_templates(operation.path)):
                found.setdefault(operation.path.lower(), []).append(operation)
        return found

    def version(self, value: str | None) -> str | None:
        """Return the version that a header value selects; None where no document lists it."""
        return _VERSIONS[0] if value is None else self._spellings.get(value)

    @cached_property
    def _spellings(self) -> Mapping[str, str]:
        return {
            spelling: operation.version
            for operation in self.operations
            for parameter in operation.parameters
            if parameter.name == VERSION_HEADER
            for spelling in parameter.values
        }


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    media_type, *parameters = content_type.lower().split(";")
    charsets = [
        value.strip().strip('"')
        for name, _, value in (parameter.partition("=") for parameter in parameters)
        if name.strip() == "charset"
    ]
    return bool(_JSON_TYPE.fullmatch(media_type.strip())) and set(charsets) <= {"utf-8"}


def _unknown(name: str, known: tuple[str, ...], error: ValidationError) -> str:
    near = _nearest(name, known)
    if lowered(near) == lowered(name) and near in cast("Json", error.instance):
        return f"given twice; {near} is the same name"
    return f"unknown; the nearest known name is {near}"


@lru_cache(maxsize=1_024)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    return nearest(name, known)


@lru_cache(maxsize=1_024)
def _near_paths(path: str, known: tuple[str, ...]) -> list[str]:
    """Return the known path that was probably meant, or none: one of the same area, or a typo."""
    area = path.split("/")[1].lower()
    related = {each.lower(): each for each in known if each.split("/")[1].lower() == area}
    paths = related or {each.lower(): each for each in known}
    cutoff = 0 if related else _NEAR
    return [paths[each] for each in difflib.get_close_matches(path.lower(), paths, 1, cutoff)]


def _text(broken: _Broken, expected: str) -> str:
    kind: Any = broken.error.kind
    if broken.rule in {"const", "format", "not", "pattern"}:
        return f"must be {expected}"
    if broken.rule == "required":
        return "required"
    if broken.rule == "type":
        return _type_text(broken.types)
    if broken.rule == "enum":
        return f"must be one of {', '.join(str(option) for option in kind.options)}"
    return _TEXTS.get(broken.rule, "breaks its rule").format(kind.value)


def _type_text(types: Sequence[str]) -> str:
    return "must be " + " or ".join(map(_with_article, sorted(types, key="null".__eq__)))


def _with_article(name: str) -> str:
    return _ARTICLES.get(name, "a ") + name


def _types_refused(branch: Sequence[ValidationError], path: Sequence[str | int]) -> list[str]:
    return [
        name
        for error in branch
        if isinstance(error.kind, ValidationErrorKind.Type) and error.instance_path == path
        for name in error.kind.types
    ]


def _escaped(part: str | int) -> str:
    """Return a part of a path as it stands in a JSON pointer (RFC 6901, 3)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _document(path: Path) -> _Place:
    try:
        node = yaml.compose(path.read_bytes(), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ContractError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    document = _plain(node) if node else {}
    return _Place(path, document, "", document)


def _plain(node: yaml.Node) -> Any:  # noqa: ANN401  # any JSON
    """Construct JSON-like data, in half the time of the library's own way to any data."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    is_text = node.tag == "tag:yaml.org,2002:str"
    return node.value if is_text else yaml.SafeLoader("").construct_object(node)


def _operations(version: str, document: _Place) -> Iterator[Operation]:
    paths = document.at("paths")
    for path in paths.value:
        item = paths.at(path)
        for method in _METHODS:
            if method in item.value:
                try:
                    yield _operation(version, path, method, item.at(method))
                except (AttributeError, TypeError) as error:
                    item.fail(f"not an OpenAPI operation: {error}")


def _operation(version: str, path: str, method: str, place: _Place) -> Operation:
    # The ways to authenticate are alternatives that all require the same roles.
    permissions = tuple(chain.from_iterable(place.at("security", 0).value.values()))
    parameters = tuple(_parameter(parameter) for parameter in place.at("parameters").items())
    known = {parameter.name for parameter in parameters if parameter.place == "path"}
    for name in _TEMPLATE.findall(path + "".join(permissions)):
        if name not in known:
            place.fail(f"the path parameter {name} is missing")
    body = None
    if "requestBody" in place.value:
        body = place.at("requestBody", "content", "application/json", "schema")
    return Operation(
        id=place.at("operationId").value,
        version=version,
        method=method.upper(),
        path=path,
        permissions=permissions,
        deprecated=place.value.get("deprecated", False),
        parameters=parameters,
        body=body.schema() if body else None,
        defaults=_defaults(body) if body else {},
        takes_form=place.value.get("requestBody", {}).get("x-accepts-form", False),
        status=next(int(status) for status in place.at("responses").value if status[0] == "2"),
    )


def _others(own: Operation, operations: Iterable[Operation]) -> Mapping[str, _Schema]:
    return {
        other.version: other.body
        for other in operations
        if other.body and other is not own and (other.path, other.method) == (own.path, own.method)
    }


def _lacking(own: _Schema, other: _Schema) -> Iterator[tuple[str, str, Sequence[object]]]:
    """Give each rule and member that only one of two objects refuses, and what the other takes."""
    known = own.members
    for name, choices in other.members.items():
        if name not in known:
            yield "additionalProperties", name, ()
            continue
        for rule, takes in choices.items():
            more = [each for each in takes if each not in known[name][rule]]
            if more:
                yield rule, name, more
    for name in own.required - other.required:
        yield "required", name, ()


def _choices(place: _Place) -> Mapping[str, Sequence[object]]:
    """Return the types, with their articles, and the values that a schema enumerates."""
    branches = list(place.at("anyOf").items()) if "anyOf" in place.value else [place]
    types = chain.from_iterable(types_of(branch.value) for branch in branches)
    values = chain.from_iterable(branch.value.get("enum", ()) for branch in branches)
    return {"type": [*map(_with_article, types)], "enum": [*values]}


def _defaults(body: _Place) -> Json:
    return {
        name: schema["x-default"]
        for name, schema in body.at("properties").value.items()
        if "x-default" in schema
    }


def _parameter(place: _Place) -> _Parameter:
    schema = place.at("schema")
    where, name = place.at("in").value, place.at("name").value
    if where not in _PLACES:
        place.fail(f"in must be one of {', '.join(_PLACES)}")
    return _Parameter(
        name=name.lower() if where == "header" else name,
        place=where,
        required=place.value.get("required", False),
        pointer=place.pointer,
        schema=schema.schema(),
        types=types_of(schema.value),
        values=tuple(schema.value.get("enum", ())),
        default=schema.value.get("default"),
    )


def _matches(template: str, path: str) -> bool:
    own, given = template.lower().split("/"), path.lower().split("/")
    return len(own) == len(given) and all(
        text == part or (part[:1] == "{" and text != "")
        for part, text in zip(own, given, strict=True)
    )


def _templates(path: str) -> list[bool]:
    return [part[:1] == "{" for part in path.split("/")]

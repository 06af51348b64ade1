"""The documents as the program: operations with validators, compiled once at start."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NoReturn, Self

import yaml
from jsonschema_rs import (
    Draft202012Validator,
    ValidationError,
    ValidationErrorKind,
)

from mockserver.problems import Code, Problem, Violation
from mockserver.world import nearest

Json = dict[str, Any]

VERSION_HEADER: Final = "x-keyfactor-api-version"
MAX_NESTING: Final = 64
MAX_DIGITS: Final = 300
MAX_VIOLATIONS: Final = 100
MAX_NAME: Final = 64

# Without the header the product answers as version 1 (facts (d)).
_VERSIONS: Final = ("1", "2")
_METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put", "trace")
# The document publishes application/json alone, because lists of media types break code generators;
# clients send the others (facts (a.1)), one of them with the asterisk.
_JSON_TYPE: Final = re.compile(r"text/json|application/(?:[a-z0-9!#$&^_.*-]+\+)?json")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
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


class ContractError(Exception):
    """A document is missing or broken; the mock cannot start."""


@dataclass(frozen=True)
class _Place:
    """A node of a document, with the JSON pointer at which it really stands."""

    source: Path
    document: Json
    pointer: str = ""
    value: Any = None

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
            root = _Place(self.source, self.document, "", self.document)
            return root.at(*str(value["$ref"]).removeprefix("#/").split("/"))
        return _Place(self.source, self.document, f"{self.pointer}/{_escaped(key)}", value)

    def items(self) -> Iterator["_Place"]:
        """Give the elements of a list."""
        return (self.at(index) for index in range(len(self.value)))

    def fail(self, text: str) -> NoReturn:
        """Stop the start, naming file and place."""
        raise ContractError(f"{self.source}: {self.pointer or '/'}: {text}")

    def compiled(self) -> "_Schema":
        """Compile the schema that stands here."""
        # The document is the root, so that a violation's path is its real place.
        schema = {**self.document, "$ref": f"#{self.pointer}"}
        try:
            return _Schema(
                self.document, Draft202012Validator(schema, validate_formats=True, offline=True)
            )
        except ValidationError as error:
            place = "/".join(str(part) for part in error.instance_path)
            self.fail(f"a schema that cannot be compiled: {place}: {error.message}")


@dataclass(frozen=True)
class _Schema:
    """A compiled schema that words its violations by the document's annotations."""

    document: Json
    validator: Draft202012Validator

    def violations(self, instance: object, root: str = "") -> Iterator[Violation]:
        """Give what is wrong with the instance; `root` names it where it is not the body."""
        for error in self.validator.iter_errors(instance):
            yield from self._of(error, root)

    def _of(self, error: ValidationError, root: str) -> Iterator[Violation]:
        kind, path = error.kind, error.instance_path
        if isinstance(kind, ValidationErrorKind.AnyOf):
            yield from self._of_branches(error, kind.context, root)
        elif isinstance(kind, ValidationErrorKind.Required):
            yield self._violation(error, "required", "required", [*path, kind.property], root)
        elif isinstance(kind, ValidationErrorKind.AdditionalProperties):
            known = tuple(self._schema_of(error)["properties"])
            for name in kind.unexpected:
                text = f"unknown; the nearest known name is {_nearest(_cut(name), known)}"
                yield self._violation(error, kind.name, text, [*path, name], root)
        else:
            yield self._violation(error, kind.name, _text(kind), path, root)

    def _of_branches(
        self, error: ValidationError, branches: Sequence[Sequence[ValidationError]], root: str
    ) -> Iterator[Violation]:
        """Word an anyOf by the one branch whose type fits, or by the types of all of them."""
        types = [_types_refused(branch, error.instance_path) for branch in branches]
        fitting = [branch for branch, refused in zip(branches, types, strict=True) if not refused]
        if not fitting:
            text = _type_text([name for refused in types for name in refused])
            yield self._violation(error, "type", text, error.instance_path, root)
        for inner in fitting[0] if fitting else ():
            yield from self._of(inner, root)

    def _violation(
        self, error: ValidationError, rule: str, text: str, path: Sequence[str | int], root: str
    ) -> Violation:
        expected, when = self._annotations(error)
        if rule in {"pattern", "format", "not"}:
            text = f"must be {expected}"
        names = [_cut(str(part)) for part in path]
        shown = "/".join(names) or root.removeprefix("header ") or "body"
        return Violation(
            root or "".join(f"/{_escaped(name)}" for name in names),
            rule,
            f"{shown}: {text}{when}.",
            "".join(f"/{_escaped(part)}" for part in error.schema_path),
        )

    def _annotations(self, error: ValidationError) -> tuple[str, str]:
        """Return the innermost `x-expected` and `x-when` on the way to the broken rule."""
        node: Any = self.document
        expected, when = "valid", ""
        for part in error.schema_path:
            node = node[part]
            if isinstance(node, dict):
                expected = node.get("x-expected", expected)
                when = f" when {node['x-when']}" if "x-when" in node else when
        return expected, when

    def _schema_of(self, error: ValidationError) -> Json:
        node: Any = self.document
        for part in error.schema_path[:-1]:
            node = node[part]
        return dict(node)


@dataclass(frozen=True)
class _Header:
    """A header parameter of an operation."""

    name: str
    required: bool
    pointer: str
    schema: _Schema
    values: tuple[str, ...]

    def violations(self, headers: Mapping[str, str]) -> Iterator[Violation]:
        """Give what is wrong with this header of a request."""
        place = f"header {self.name}"
        value = headers.get(self.name)
        if value is not None:
            yield from self.schema.violations(value, place)
        elif self.required:
            text = f"{self.name}: required."
            yield Violation(place, "required", text, f"{self.pointer}/required")


@dataclass(frozen=True)
class Operation:
    """One method of one path in one version; `permissions` are the roles in its `security`."""

    id: str
    version: str
    method: str
    path: str
    permissions: tuple[str, ...]
    deprecated: bool
    headers: tuple[_Header, ...] = field(repr=False)
    body: _Schema = field(repr=False)
    defaults: Mapping[str, object] = field(repr=False)

    def read(self, content_type: str | None, raw: bytes) -> object:
        """Parse a body; Problem 415 when it is not sent as JSON, 400 when it is not JSON."""
        if not _is_json(content_type or ""):
            raise Problem(
                415, Code.MEDIA_TYPE, "send the body as Content-Type: application/json, in UTF-8"
            )
        return parse_json(raw)

    def check(self, headers: Mapping[str, str], body: object) -> list[Violation]:
        """Return all violations of headers and body, but no more than MAX_VIOLATIONS.

        The names of `headers` are in lower case, or their letter case does not matter.
        """
        found = islice(self._violations(headers, body), MAX_VIOLATIONS)
        # A condition repeats a rule of the field itself: one of the two says enough.
        return list({(violation.path, violation.rule): violation for violation in found}.values())

    def filled(self, body: Json) -> Json:
        """Return a valid body with the document's defaults; a null is the same as absent."""
        given = {name: value for name, value in body.items() if value is not None}
        return {**self.defaults, **given}

    def _violations(self, headers: Mapping[str, str], body: object) -> Iterator[Violation]:
        for header in self.headers:
            yield from header.violations(headers)
        yield from self.body.violations(_without_whole_floats(body))


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
        return cls({version: place.document for version, place in documents.items()}, operations)

    def operation(self, path: str, method: str, version: str | None) -> Operation:
        """Find an operation by the path below the base path and the version header's value.

        Problem 404 for the path, then 405 for a method that no version has, then 400 for the
        version: each refusal tells what is wrong before what depends on it.
        """
        candidates = [found for found in self._at(path) if found.method == method]
        if not candidates:
            allow = self.allow(path)
            raise Problem(
                405,
                Code.METHOD,
                f"{_cut(method)} is not allowed, only {allow}",
                {"Allow": allow},
            )
        wanted = self._version(version)
        for operation in candidates:
            if operation.version == wanted:
                return operation
        raise Problem(
            400, Code.VERSION, f"{VERSION_HEADER}: {method} {path} has no version {wanted}."
        )

    def allow(self, path: str) -> str:
        """Return the `Allow` header of a path, for all versions together; Problem 404."""
        return ", ".join(sorted({"OPTIONS"} | {found.method for found in self._at(path)}))

    def _at(self, path: str) -> list[Operation]:
        wanted = path.lower()
        found = [operation for operation in self.operations if operation.path.lower() == wanted]
        if not found:
            known = tuple(dict.fromkeys(operation.path for operation in self.operations))
            raise Problem(
                404,
                Code.NOT_FOUND,
                f"nothing is at {_cut(path)}; the nearest known path is "
                f"{_nearest(_cut(path), known)}",
            )
        return found

    def _version(self, value: str | None) -> str:
        """Return the version that a header value selects, as the documents list them."""
        if value is None:
            return _VERSIONS[0]
        spellings = {
            spelling: operation.version
            for operation in self.operations
            for header in operation.headers
            if header.name == VERSION_HEADER
            for spelling in header.values
        }
        if value not in spellings:
            raise Problem(
                400, Code.VERSION, f"{VERSION_HEADER}: must be one of {', '.join(spellings)}."
            )
        return spellings[value]


def describe(violations: Iterable[Violation]) -> str:
    """Make one message of many violations."""
    return " ".join(dict.fromkeys(violation.message for violation in violations))


def parse_json(raw: bytes) -> object:
    """Parse JSON (RFC 8259) strictly; Problem 400 says where it is not, and never quotes a value.

    Refused as well: duplicate names, numbers out of range, lone surrogates, deep nesting.
    """
    if not raw:
        raise _not_json("the body is empty; send a JSON object")
    try:
        text = raw.decode("utf-8-sig")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise _not_json(f"the body is not UTF-8 at octet {error.start}") from None
    except json.JSONDecodeError as error:
        raise _not_json(
            f"the body is not JSON at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > MAX_NESTING:
        _check_nesting(value)
    if _SURROGATE.search(text):
        _check_surrogates(value)
    return value


def _not_json(text: str) -> Problem:
    return Problem(400, Code.JSON, text)


def _too_deep() -> Problem:
    return _not_json(f"the body is nested deeper than {MAX_NESTING} levels")


def _check_nesting(value: object) -> None:
    level = [value]
    for _ in range(MAX_NESTING + 1):
        level = [child for item in level for child in _children(item)]
    if level:
        raise _too_deep()


def _children(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _not_json("the body has a lone surrogate in a \\u escape") from None


def _unique(pairs: list[tuple[str, object]]) -> Json:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _not_json(f"the name {_cut(twice)} stands twice in one object")
    return entries


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _not_json(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _not_json("a number is too large")
    return value


def _constant(name: str) -> NoReturn:
    raise _not_json(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _without_whole_floats(value: object) -> object:
    """Return the value with 587.0 changed so that it fails `type: integer`."""
    # JSON Schema calls 587.0 an integer; every number of this API is written as one.
    if isinstance(value, float):
        return value + 0.5 if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _without_whole_floats(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_whole_floats(item) for item in value]
    return value


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    media_type, *parameters = content_type.lower().split(";")
    charsets = [
        value.strip().strip('"')
        for name, _, value in (parameter.partition("=") for parameter in parameters)
        if name.strip() == "charset"
    ]
    return bool(_JSON_TYPE.fullmatch(media_type.strip())) and set(charsets) <= {"utf-8"}


@lru_cache(maxsize=1_024)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    return nearest(name, known)


def _text(kind: ValidationErrorKind) -> str:
    if isinstance(kind, ValidationErrorKind.Type):
        return _type_text(kind.types)
    if isinstance(kind, ValidationErrorKind.Enum):
        return f"must be one of {', '.join(str(option) for option in kind.options)}"
    return _TEXTS.get(kind.name, "breaks its rule").format(kind.value)


def _type_text(types: Sequence[str]) -> str:
    if types == ["null"]:
        return "must be absent"
    names = sorted(types, key="null".__eq__)
    return "must be " + " or ".join(_ARTICLES.get(name, "a ") + name for name in names)


def _types_refused(branch: Sequence[ValidationError], path: Sequence[str | int]) -> list[str]:
    return [
        name
        for error in branch
        if isinstance(error.kind, ValidationErrorKind.Type) and error.instance_path == path
        for name in error.kind.types
    ]


def _cut(name: str) -> str:
    shown = name if name.isprintable() else ascii(name)
    return shown if len(shown) <= MAX_NAME else f"{shown[:MAX_NAME]}…"


def _escaped(part: str | int) -> str:
    """Return a part of a path as it stands in a JSON pointer (RFC 6901, 3)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _document(path: Path) -> _Place:
    try:
        document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ContractError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    return _Place(path, document, "", document)


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
    body = place.at("requestBody", "content", "application/json", "schema")
    return Operation(
        id=place.at("operationId").value,
        version=version,
        method=method.upper(),
        path=path,
        # The ways to authenticate are alternatives that all require the same roles.
        permissions=tuple(chain.from_iterable(place.at("security", 0).value.values())),
        deprecated=place.value.get("deprecated", False),
        headers=tuple(_header(parameter) for parameter in place.at("parameters").items()),
        body=body.compiled(),
        defaults={
            name: schema["default"]
            for name, schema in body.at("properties").value.items()
            if "default" in schema
        },
    )


def _header(place: _Place) -> _Header:
    schema = place.at("schema")
    return _Header(
        name=place.at("name").value.lower(),
        required=place.at("required").value,
        pointer=place.pointer,
        schema=schema.compiled(),
        values=tuple(schema.value.get("enum", ())),
    )

"""The documents as the program: operations with validators, each compiled once."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self, cast

from mockserver.base.jsontext import parse_json
from mockserver.base.problems import Code, Note, Problem, Violation
from mockserver.base.text import cut
from mockserver.contract.coercion import lowered, read_form, relaxed, typed, types_of
from mockserver.contract.document import (
    MAX_VIOLATIONS,
    TYPE_NAMES,
    Node,
    Schema,
    escaped,
    read_document,
    with_article,
)

Json = dict[str, Any]

VERSION_HEADER: Final = "x-keyfactor-api-version"

# Without the header the product answers as version 1 (observed; see the fidelity table).
_VERSIONS: Final = ("1", "2")
_METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put", "trace")
# The document publishes application/json alone, because lists of media types break code generators;
# real clients send the others too, application/*+json among them.
_JSON_TYPE: Final = re.compile(r"text/json|application/(?:[a-z0-9!#$&^_.*-]+\+)?json")
_FORM: Final = re.compile(r" *application/x-www-form-urlencoded *(?:;|$)", re.IGNORECASE)
_TEMPLATE: Final = re.compile(r"[{]([^{}]*)[}]")
_PLACES: Final = ("header", "path", "query")
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_NEAR: Final = 0.75  # how alike a typing error and its path are; /Templates and /SMTP/Test have 0.6


@dataclass(frozen=True)
class _Parameter:
    """A parameter of an operation; `place` is `header`, `path` or `query`."""

    name: str
    place: str
    required: bool
    pointer: str
    schema: Schema
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
    body: Schema | None = field(repr=False)
    defaults: Mapping[str, object] = field(repr=False)
    takes_form: bool
    status: int
    # The bodies of the same operation in other versions.
    others: Mapping[str, Schema] = field(default_factory=dict, repr=False)

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

        A name in the query has any letter case, and may have a prefix with a dot (`pq.`, recorded);
        an unknown one is ignored.
        """
        segments = zip(self.path.split("/"), path.split("/"), strict=True)
        texts = {f"path {_bare(own[1:-1])}": [text] for own, text in segments if own[:1] == "{"}
        for name, text in query:
            texts.setdefault(f"query {_bare(name)}", []).append(text)
        values = {
            parameter.name: parameter.read(texts.get(f"{parameter.place} {_bare(parameter.name)}"))
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
        given = with_article(TYPE_NAMES[type(value)]) if violation.rule == "type" else value
        return other._replace(takes=[given]) if given in other.takes else None

    @cached_property
    def _elsewhere(self) -> Mapping[tuple[str, str], "_Elsewhere"]:
        """By path without letter case, and rule: the violations that another version lacks."""
        if self.body is None:
            return {}
        return {
            (f"/{escaped(lowered(name))}", rule): _Elsewhere(name, version, takes)
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
        documents = {version: read_document(folder / f"v{version}.yaml") for version in _VERSIONS}
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


@lru_cache(maxsize=1_024)
def _near_paths(path: str, known: tuple[str, ...]) -> list[str]:
    """Return the known path that was probably meant, or none: one of the same area, or a typo."""
    area = path.split("/")[1].lower()
    related = {each.lower(): each for each in known if each.split("/")[1].lower() == area}
    paths = related or {each.lower(): each for each in known}
    cutoff = 0 if related else _NEAR
    return [paths[each] for each in difflib.get_close_matches(path.lower(), paths, 1, cutoff)]


def _operations(version: str, document: Node) -> Iterator[Operation]:
    paths = document.at("paths")
    for path in paths.value:
        item = paths.at(path)
        for method in _METHODS:
            if method in item.value:
                try:
                    yield _operation(version, path, method, item.at(method))
                except (AttributeError, TypeError) as error:
                    item.fail(f"not an OpenAPI operation: {error}")


def _operation(version: str, path: str, method: str, place: Node) -> Operation:
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


def _others(own: Operation, operations: Iterable[Operation]) -> Mapping[str, Schema]:
    return {
        other.version: other.body
        for other in operations
        if other.body and other is not own and (other.path, other.method) == (own.path, own.method)
    }


def _lacking(own: Schema, other: Schema) -> Iterator[tuple[str, str, Sequence[object]]]:
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


def _defaults(body: Node) -> Json:
    return {
        name: schema["x-default"]
        for name, schema in body.at("properties").value.items()
        if "x-default" in schema
    }


def _parameter(place: Node) -> _Parameter:
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


def _bare(name: str) -> str:
    return name.lower().rpartition(".")[2]


def _matches(template: str, path: str) -> bool:
    own, given = template.lower().split("/"), path.lower().split("/")
    return len(own) == len(given) and all(
        text == part or (part[:1] == "{" and text != "")
        for part, text in zip(own, given, strict=True)
    )


def _templates(path: str) -> list[bool]:
    return [part[:1] == "{" for part in path.split("/")]

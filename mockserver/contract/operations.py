"""The documents as the program: operations with validators, each compiled once."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self, cast

from mockserver.base.documents import DocumentError, read_ours
from mockserver.base.jsontext import Json, parse_json
from mockserver.base.problems import Kind, Note, Problem, Violation
from mockserver.base.schema import Node, Schema
from mockserver.base.text import cut, lowered, media_type
from mockserver.contract.coercion import field_names, read_form, relaxed
from mockserver.contract.form import Form
from mockserver.contract.parameters import Parameter, read_parameter, read_parameters
from mockserver.contract.paths import TEMPLATE, Paths, unnamed
from mockserver.contract.wording import WORDS, type_of, violations

VERSION_HEADER: Final = "x-keyfactor-api-version"

_MAX_VIOLATIONS: Final = 100
_LONGEST: Final = 256  # characters of a path or a media type that is remembered
METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put", "trace")
# The document publishes application/json alone, because lists of media types break code generators;
# real clients send the others too, application/*+json among them.
JSON_TYPE: Final = re.compile(r"text/json|application/(?:[a-z0-9!#$&^_.*-]+\+)?json")
_CHARSET: Final = re.compile(r";\s*charset\s*(?:=([^;]*))?(?:$|(?=;))")
_FORM: Final = "application/x-www-form-urlencoded"
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_UNKNOWN: Final = "additionalProperties"
# The rules in which versions differ, each with those that it is compared with: what another version
# does not know, or enumerates otherwise, it does not take.
_OF_VERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    _UNKNOWN: (_UNKNOWN,),
    "enum": (_UNKNOWN, "enum", "type"),
    "required": ("required",),
    "type": (_UNKNOWN, "enum", "type"),
}


@dataclass(frozen=True, eq=False)
class Operation:
    """One method of one path in one version; `permissions` are the roles in its `security`.

    Path and permissions may be templates with the names of path parameters in braces.
    """

    id: str
    version: str
    method: str
    path: str
    permissions: tuple[str, ...]
    tag: str
    deprecated: bool
    parameters: tuple[Parameter, ...] = field(repr=False)
    body: Schema | None = field(repr=False)
    defaults: Mapping[str, object] = field(repr=False)
    takes_form: bool
    media_types: tuple[str, ...]  # of a body, where not all JSON is taken
    status: int
    place: Node = field(repr=False)
    # What the document names because nobody can derive it (`x-resource`).
    named: Mapping[str, Any] = field(default_factory=dict, repr=False)
    # The same one in other versions, where it has a body too.
    others: tuple["Operation", ...] = field(default=(), repr=False)

    @cached_property
    def answer(self) -> Form | None:
        """The form of a good answer, None where that has no body."""
        content = self.place.at("responses", str(self.status)).value.get("content", {})
        return self._form(content)

    @cached_property
    def request(self) -> Form | None:
        """The form of the body, None where there is none."""
        if self.body is None:
            return None
        return self._form(self.place.at("requestBody").value["content"])

    def _form(self, content: Json) -> Form | None:
        schema = content.get("application/json", {}).get("schema")
        return None if schema is None else Form(self.place.document, schema)

    def read(self, content_type: str | None, raw: bytes) -> object:
        """Parse a body; Problem 415 when it is not sent as JSON or form, 400 when it is neither.

        An operation without a body ignores what comes as one.
        """
        if self.request is None:
            return None
        if not self.takes(content_type or ""):
            text = "send the body as Content-Type: application/json, in UTF-8"
            raise Problem(Kind.MEDIA_TYPE, text)
        if media_type(content_type or "") == _FORM:
            return read_form(raw, self.request)
        return parse_json(raw)

    def takes(self, media: str) -> bool:
        """Say whether a body may come as that media type."""
        return (self.takes_form and media_type(media) == _FORM) or _is_json(media, self.media_types)

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        """The documented names of the body's fields, at every depth."""
        return tuple(field_names(self.request)) if self.request else ()

    def relaxed(self, body: object, *, lenient: bool) -> tuple[object, list[Note]]:
        """Return a body as the document spells it, and a note for each change; see `relaxed`."""
        if self.request is None:
            return body, []
        return relaxed(body, self.request, lenient=lenient)

    def given(self, path: str, query: Iterable[tuple[str, str]]) -> Json:
        """Return the parameters of a request's path and query, typed, with defaults; none checked.

        A name in the query has any letter case, and may have a prefix with a dot (`pq.`, recorded);
        an unknown one is ignored.
        """
        return read_parameters(self.parameters, self.path, path, query)

    def required(self, given: Mapping[str, object]) -> tuple[str, ...]:
        """Return the permissions that a request with these parameters needs."""
        if not given:
            return self.permissions
        return tuple(
            TEMPLATE.sub(lambda found: str(given[found[1]]), permission)
            for permission in self.permissions
        )

    def headers(self, sent: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return those of a request's headers, by names in lower case, that it depends on."""
        return tuple([(name, sent[name]) for name in self._header_names if name in sent])

    @cached_property
    def _header_names(self) -> frozenset[str]:
        own = {each.name for each in self.parameters if each.place == "header"}
        return frozenset({"content-type", VERSION_HEADER, *own})

    def check(
        self, headers: Mapping[str, str], body: object, given: Mapping[str, object] = _NOTHING
    ) -> list[Violation]:
        """Return the violations of headers, body and parameters, but no more than 100.

        The names of `headers` are in lower case, or their letter case does not matter.
        """
        found: list[Violation] = []
        for parameter in self.parameters:
            found += parameter.violations(headers if parameter.place == "header" else given)
        if self.body is not None and (broken := violations(self.body, body)):
            taken = self._taken_elsewhere(broken, body)
            found += [self._compared(each, body, taken.get(each.path)) for each in broken]
        return found[:_MAX_VIOLATIONS]

    def describe(
        self, headers: Mapping[str, str], body: object, violations: Sequence[Violation]
    ) -> str:
        """Make one message of what `check` found.

        It begins with the version where no header chose it, and another one would find less.
        """
        texts = [violation.message for violation in violations]
        if VERSION_HEADER not in headers and self._taken_elsewhere(violations, body):
            reason = f"the header {VERSION_HEADER} is absent"
            texts.insert(0, f"This call is version {self.version}, because {reason}.")
        return " ".join(dict.fromkeys(texts))

    def filled(self, body: Any) -> Any:  # noqa: ANN401  # an object, or what is none
        """Return a valid body with the document's defaults; a null is the same as absent."""
        if not isinstance(body, dict):
            return body
        given = {name: value for name, value in body.items() if value is not None}
        return {**self.defaults, **given}

    def _compared(self, violation: Violation, body: object, version: str | None) -> Violation:
        """Name the version of the operation that takes what this one refuses."""
        if version is None or violation.rule == "required":
            return violation
        name = violation.path[1:]
        if violation.rule == _UNKNOWN:
            text = f"{name}: unknown in version {self.version}; it belongs to version {version}."
        else:
            value = cast("Json", body)[name]
            takes = type_of(value) if violation.rule == "type" else value
            text = f"{violation.message.removesuffix('.')}; version {version} takes {takes}."
        return replace(violation, message=text)

    def _taken_elsewhere(self, found: Iterable[Violation], body: object) -> Mapping[str, str]:
        """Return, by path, the version that takes the member that a violation is about."""
        asked = [violation for violation in found if self._may_differ(violation, body)]
        taken = {}
        for other in self.others if asked else ():
            spelled, _ = other.relaxed(body, lenient=False)
            others = violations(cast("Schema", other.body), spelled)
            if len(others) > _MAX_VIOLATIONS:
                continue  # these are not all
            refused = {(lowered(each.path), each.rule) for each in others}
            for each in asked:
                rules = ((lowered(each.path), rule) for rule in _OF_VERSIONS[each.rule])
                if refused.isdisjoint(rules):
                    taken[each.path] = other.version
        return taken

    def _may_differ(self, violation: Violation, body: object) -> bool:
        """Say whether it is about a member as a whole, and of a rule in which versions differ."""
        rule = violation.rule
        parameter, _, name = violation.path.partition("/")
        if parameter or not name or "/" in name or rule not in _OF_VERSIONS:
            return False
        if rule == _UNKNOWN:  # a name that is known here was given twice
            return lowered(name) not in cast("Form", self.request).names
        return rule == "required" or name in cast("Json", body)


@dataclass(frozen=True)
class Contract:
    """All documents, by version from the oldest on, and the operations that they describe."""

    documents: Mapping[str, Json]
    operations: tuple[Operation, ...]
    # Further documents, by their names, which may have operations of any version.
    resources: Mapping[str, Json] = field(default_factory=dict)
    # What one of these has that another document had before, with its name.
    left: tuple[tuple[str, Operation], ...] = ()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every `v*.yaml` of a folder; DocumentError names file and place."""
        contract = cls.of(
            Node.root(str(path), read_ours(path)) for path in sorted(folder.glob("v*.yaml"))
        )
        if not contract.documents:
            raise DocumentError(str(folder), [("", "no document v*.yaml is in this folder")])
        return contract

    @classmethod
    def of(cls, documents: Iterable[Node]) -> Self:
        """Combine documents, each of a version of its own; DocumentError names the place."""
        found: dict[str, Node] = {}
        for document in documents:
            version = document.at("info", "version")
            other = found.setdefault(version.value, document)
            if other is not document:
                version.fail(f"{other.source} is version {version.value} already")
        ordered = {
            version: found[version] for version in sorted(found, key=lambda each: (len(each), each))
        }
        operations = chain.from_iterable(map(_read_operations, ordered.values()))
        values = {version: node.document for version, node in ordered.items()}
        return cls(values, _compared(operations))

    def extended(self, documents: Mapping[str, Node]) -> Self:
        """Return a contract with more documents, in which ours go before theirs.

        Their operations have the versions that their header takes, else that of the document, else
        all. DocumentError where two of the documents have the same operation.
        """
        known = {_key(each) for each in self.operations}
        ids = {each.id for each in self.operations}
        added: dict[tuple[str, str, str], tuple[str, Operation]] = {}
        left, served = [*self.left], dict(self.resources)
        for name, document in documents.items():
            for operation in chain.from_iterable(
                map(self._versions_of, _read_operations(document))
            ):
                served[name], key = document.document, _key(operation)
                other, _ = added.get(key, (name, operation))
                if other != name:
                    source = documents[other].source
                    operation.place.fail(f"{key[0]} {operation.path} is in {source} as well")
                if key in known:
                    left.append((name, operation))
                else:
                    twin = operation.id in ids
                    new = replace(operation, id=f"{operation.id}_other") if twin else operation
                    added[key] = name, new
        operations = _compared((*self.operations, *(each for _, each in added.values())))
        return type(self)(self.documents, operations, served, tuple(left))

    def _versions_of(self, operation: Operation) -> Iterator[Operation]:
        header = (each.values for each in operation.parameters if each.name == VERSION_HEADER)
        known, taken = [*self.documents], next(header, ())
        versions = [each for each in known if each in taken]
        if not taken:
            own = operation.version.lower().removeprefix("v")
            versions = [own] if own in known else known
        for version in versions:
            yield operation if version == operation.version else replace(operation, version=version)

    @property
    def of_versions(self) -> list[Operation]:
        """Those operations that the documents of versions have."""
        own = {id(document) for document in self.documents.values()}
        return [each for each in self.operations if id(each.place.document) in own]

    def operation(self, path: str, method: str, version: str | None) -> Operation:
        """Find an operation by path below the base path, method, and the version header's value.

        Problem 404 for the path, then 405 for a method that no version has, then 400 for the
        version: each refusal tells what is wrong before what depends on it.
        """
        find = self._known_operation if len(path) <= _LONGEST else self._operation
        return find(path, method, version)

    @cached_property
    def _known_operation(self) -> Callable[[str, str, str | None], Operation]:
        return lru_cache(maxsize=128)(self._operation)

    def _operation(self, path: str, method: str, version: str | None) -> Operation:
        # An answer to HEAD is that to GET, and the server leaves out its body (RFC 9110, 9.3.2).
        served = "GET" if method == "HEAD" else method
        candidates = [found for found in self._paths.at(path) if found.method == served]
        if not candidates:
            allow = self.allow(path)
            text = f"{cut(method)} is not allowed, only {allow}"
            raise Problem(Kind.METHOD, text, {"Allow": allow})
        wanted = self.version(version)
        if wanted is None:
            known = ", ".join(self._spellings)
            raise Problem(Kind.VERSION, f"{VERSION_HEADER}: must be one of {known}.")
        for candidate in candidates:
            if candidate.version == wanted:
                return candidate
        raise Problem(Kind.VERSION, f"{VERSION_HEADER}: {method} {path} has no version {wanted}.")

    def allow(self, path: str) -> str:
        """Return the `Allow` header of a path, for all versions together; Problem 404."""
        methods = {found.method for found in self._paths.at(path)}
        return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))

    @cached_property
    def _paths(self) -> Paths[Operation]:
        return Paths((operation.path, operation) for operation in self.operations)

    def tag(self, path: str) -> str:
        """Return the tag of what is at a path; Problem 404."""
        return self._paths.at(path)[0].tag

    def version(self, value: str | None) -> str | None:
        """Return the version that a header value selects; None where no document lists it."""
        # Without the header the product answers as its oldest version does (observed).
        return next(iter(self.documents)) if value is None else self._spellings.get(value)

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
def _is_json(content_type: str, only: tuple[str, ...]) -> bool:
    if len(content_type) > _LONGEST:
        _is_json.cache_clear()  # of such at most one is remembered
    given = media_type(content_type)
    charsets = {found.strip().strip('"') for found in _CHARSET.findall(content_type.lower())}
    return charsets <= {"utf-8"} and bool(given in only if only else JSON_TYPE.fullmatch(given))


def _read_operations(document: Node) -> Iterator[Operation]:
    """Give the operations of a document, in its order; DocumentError names the place."""
    version = str(document.at("info", "version").value)
    parameters: dict[str, Parameter] = {}
    paths = document.at("paths")
    for path in paths.value:
        item = paths.at(path)
        for method in METHODS:
            if method in item.value:
                try:
                    yield _operation(version, path, method, item, parameters)
                except (AttributeError, TypeError) as error:
                    item.fail(f"not an OpenAPI operation: {error}")


def _key(operation: Operation) -> tuple[str, str, str]:
    return operation.method, unnamed(operation.path), operation.version


def _operation(
    version: str, path: str, method: str, item: Node, known: dict[str, Parameter]
) -> Operation:
    place = item.at(method)
    # The ways to authenticate are alternatives that all require the same roles.
    permissions = tuple(chain.from_iterable(place.at("security", 0).value.values()))
    # Many operations refer to one parameter, which is compiled once.
    parameters = tuple(
        known.get(each.pointer) or known.setdefault(each.pointer, read_parameter(each))
        for each in place.at("parameters").items()
    )
    named = {parameter.name for parameter in parameters if parameter.place == "path"}
    for name in TEMPLATE.findall(path + "".join(permissions)):
        if name not in named:
            place.fail(f"the path parameter {name} is missing")
    request = place.value.get("requestBody", {})
    body = place.at("requestBody", "content", "application/json", "schema") if request else None
    fields = body.value.get("properties", {}) if body else {}
    return Operation(
        id=place.at("operationId").value,
        version=version,
        method=method.upper(),
        path=path,
        permissions=permissions,
        tag=place.at("tags", 0).value,
        deprecated=place.value.get("deprecated", False),
        parameters=parameters,
        body=Schema(body, WORDS) if body else None,
        defaults={name: each["x-default"] for name, each in fields.items() if "x-default" in each},
        takes_form=request.get("x-accepts-form", False),
        media_types=tuple(request.get("x-media-types", ())),
        status=next(int(status) for status in place.at("responses").value if status[0] == "2"),
        place=place,
        named={**item.value.get("x-resource", {}), **place.value.get("x-resource", {})},
    )


def _compared(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return operations that know those of the same path and method in other versions."""
    given = tuple(operations)
    same: dict[tuple[str, str], list[Operation]] = {}
    for each in given:
        same.setdefault((each.path, each.method), []).append(each)

    def others(own: Operation) -> tuple[Operation, ...]:
        return tuple(each for each in same[own.path, own.method] if each.body and each is not own)

    return tuple(replace(each, others=found) if (found := others(each)) else each for each in given)

"""A document as a tree of nodes, and the words for what breaks the schemas in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, cast

import yaml
from jsonschema_rs import (
    Draft202012Validator,
    ValidationError,
    ValidationErrorKind,
)

from mockserver.base.problems import Violation
from mockserver.base.text import cut, nearest
from mockserver.contract.coercion import Shape, lowered, types_of

Json = dict[str, Any]

MAX_VIOLATIONS: Final = 100

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
TYPE_NAMES: Final[Mapping[type, str]] = {
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


class ContractError(Exception):
    """A document is missing or broken; the mock cannot start."""


@dataclass(frozen=True)
class Node:
    """A node of a document, with the JSON pointer at which it really stands."""

    source: Path
    document: Json
    pointer: str = ""
    value: Any = None
    # Many operations refer to one parameter: it is compiled once.
    schemas: dict[str, "Schema"] = field(default_factory=dict, repr=False)

    def at(self, *keys: str | int) -> "Node":
        """Go down, through references; ContractError when there is nothing."""
        place = self
        for key in keys:
            place = place._child(key)
        return place

    def _child(self, key: str | int) -> "Node":
        try:
            value = self.value[key]
        except (KeyError, IndexError, TypeError):
            value = None
        if value is None:
            self.fail(f"{key} is missing")
        if isinstance(value, dict) and "$ref" in value:
            root = replace(self, pointer="", value=self.document)
            return root.at(*str(value["$ref"]).removeprefix("#/").split("/"))
        return replace(self, pointer=f"{self.pointer}/{escaped(key)}", value=value)

    def items(self) -> Iterator["Node"]:
        """Give the elements of a list."""
        return (self.at(index) for index in range(len(self.value)))

    def fail(self, text: str) -> NoReturn:
        """Stop the start, naming file and place."""
        raise ContractError(f"{self.source}: {self.pointer or '/'}: {text}")

    def schema(self) -> "Schema":
        """Give the schema that stands here."""
        return self.schemas.setdefault(self.pointer, Schema(self))


@dataclass(frozen=True)
class Schema:
    """A schema that words its violations by the document's annotations."""

    place: Node
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
        path = root or "".join(f"/{escaped(name)}" for name in names)
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
        pointer = f"{node.pointer}/{escaped(steps[-1])}"
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


def _choices(place: Node) -> Mapping[str, Sequence[object]]:
    """Return the types, with their articles, and the values that a schema enumerates."""
    branches = list(place.at("anyOf").items()) if "anyOf" in place.value else [place]
    types = chain.from_iterable(types_of(branch.value) for branch in branches)
    values = chain.from_iterable(branch.value.get("enum", ()) for branch in branches)
    return {"type": [*map(with_article, types)], "enum": [*values]}


def _unknown(name: str, known: tuple[str, ...], error: ValidationError) -> str:
    near = _nearest(name, known)
    if lowered(near) == lowered(name) and near in cast("Json", error.instance):
        return f"given twice; {near} is the same name"
    return f"unknown; the nearest known name is {near}"


@lru_cache(maxsize=1_024)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    return nearest(name, known)


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
    return "must be " + " or ".join(map(with_article, sorted(types, key="null".__eq__)))


def with_article(name: str) -> str:
    """Return the name of a JSON type as a sentence has it."""
    return _ARTICLES.get(name, "a ") + name


def _types_refused(branch: Sequence[ValidationError], path: Sequence[str | int]) -> list[str]:
    return [
        name
        for error in branch
        if isinstance(error.kind, ValidationErrorKind.Type) and error.instance_path == path
        for name in error.kind.types
    ]


def escaped(part: str | int) -> str:
    """Return a part of a path as it stands in a JSON pointer (RFC 6901, 3)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def read_document(path: Path) -> Node:
    """Read a document from YAML, and return its root; ContractError when it cannot be read."""
    try:
        node = yaml.compose(path.read_bytes(), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ContractError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    document = _plain(node) if node else {}
    return Node(path, document, "", document)


def _plain(node: yaml.Node) -> Any:  # noqa: ANN401  # any JSON
    """Construct JSON-like data, in half the time of the library's own way to any data."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    is_text = node.tag == "tag:yaml.org,2002:str"
    return node.value if is_text else yaml.SafeLoader("").construct_object(node)

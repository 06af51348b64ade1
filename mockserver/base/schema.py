"""JSON Schemas inside documents: pointers, references, validators, and what is told of a breach."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple, NoReturn, cast
from urllib.parse import quote, unquote

from jsonschema_rs import Draft202012Validator, Registry, ValidationError, ValidationErrorKind

from mockserver.base.documents import DocumentError
from mockserver.base.jsontext import Json
from mockserver.base.text import cut, lowered, nearest

_Steps = tuple[str | int, ...]

_URI: Final = "urn:document"
_OF_A_SCHEMA: Final = ("$schema", "$id", "$ref")
_MAX_TOLD: Final = 100
_MAX_ALL_TOLD: Final = 32_000
_MAX_RULES: Final = 1_000
_BOUNDS: Final = {
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "exclusiveMinimum": "must be more than {limit}",
    "minLength": "must have {limit} or more characters",
    "maxLength": "must have {limit} or fewer characters",
    "minItems": "must have {limit} or more items",
    "maxItems": "must have {limit} or fewer items",
    "minProperties": "must have {limit} or more members",
    "maxProperties": "must have {limit} or fewer members",
    "uniqueItems": "must not name anything twice",
}
# The rules that are told before all others of a value: as long as one of them is broken, what the
# others say of it is beside the point, or untrue (an empty text has no NUL character).
# What has another type breaks a `not` only because that says nothing of the type.
_FOREMOST: Final = {"type": 0, "not": 1, "enum": 2, "minLength": 3, "maxLength": 3}


def pointer(steps: Iterable[str | int]) -> str:
    """Return the JSON pointer of these steps (RFC 6901, 3)."""
    return "".join(map(_step, steps))


def _step(step: str | int) -> str:
    return f"/{str(step).replace('~', '~0').replace('/', '~1')}"


def _steps(reference: str) -> list[str]:
    """Return the steps of a JSON pointer, or of a reference within a document."""
    parts = unquote(reference.removeprefix("#")).split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def referred(document: Json, reference: str) -> Any:  # noqa: ANN401  # any JSON
    """Return what a `$ref` leads to; LookupError, TypeError or ValueError if that is nothing."""
    value: Any = document
    for step in _steps(reference):
        value = value[int(step) if isinstance(value, list) else step]
    return value


def types_of(schema: Json) -> frozenset[str]:
    """Return the JSON types that a schema allows by itself."""
    types = schema.get("type", ())
    return frozenset([types] if isinstance(types, str) else types)


class _Document:
    """A document, and what all its nodes share."""

    def __init__(self, source: str, data: Json) -> None:
        self.source = source
        self.data = data
        self.targets: dict[str, Node] = {}  # by the reference that leads there

    @cached_property
    def registry(self) -> Registry:
        """The document as validators refer to it."""
        # What names a whole schema means nothing in a document that only has schemas in it.
        parts = {key: each for key, each in self.data.items() if key not in _OF_A_SCHEMA}
        return Registry([(_URI, parts)])


@dataclass(frozen=True)
class Node:
    """A node of a document, with the JSON pointer at which it really stands."""

    _document: _Document = field(repr=False)
    pointer: str
    value: Any

    @classmethod
    def root(cls, source: str, document: Json) -> "Node":
        """Return the root of a document; `source` names it in errors."""
        return cls(_Document(source, document), "", document)

    @property
    def source(self) -> str:
        """The name of the document."""
        return self._document.source

    @property
    def document(self) -> Json:
        """The whole document."""
        return self._document.data

    def at(self, *keys: str | int) -> "Node":
        """Go down, through references; DocumentError when there is nothing."""
        node = self
        for key in keys:
            node = node._child(key)
        return node

    def _child(self, key: str | int) -> "Node":
        try:
            value = self.value[int(key) if isinstance(self.value, list) else key]
        except (KeyError, IndexError, TypeError, ValueError):
            value = None
        if value is None:
            self.fail(f"{key} is missing")
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):  # or a member's name
            return self._target(value["$ref"])
        return Node(self._document, self.pointer + _step(key), value)

    def _target(self, reference: str) -> "Node":
        targets = self._document.targets
        if reference not in targets:
            root = Node(self._document, "", self.document)
            targets[reference] = root.at(*_steps(reference))
        return targets[reference]

    def items(self) -> Iterator["Node"]:
        """Give the elements of a list."""
        return map(self._child, range(len(self.value)))

    @property
    def types(self) -> frozenset[str]:
        """The JSON types that the schema here allows by itself."""
        return types_of(self.value)

    def registry(self) -> Registry:
        """Return the document as validators refer to it; all its nodes share one."""
        return self._document.registry

    def fail(self, text: str) -> NoReturn:
        """Raise DocumentError, which names the document and this place in it."""
        raise DocumentError(self.source, [(self.pointer, text)])


class Words(NamedTuple):
    """What the sentences about broken rules have of their own: requests are JSON, worlds YAML.

    `types` are the JSON types as a sentence has them. `hint` adds to a wrong type, by the types
    that fit and the value. `twice` is for documents in which the letter case of names is free.
    """

    types: Mapping[str, str]
    required: str
    unknown: str
    expected: str
    twice: str = ""
    hint: Callable[[Sequence[str], object], str] = lambda _, __: ""


class Breach(NamedTuple):
    """A broken rule: where in the instance, the keyword, what is told, the rule's pointer."""

    path: _Steps
    rule: str
    text: str
    pointer: str


class Schema:
    """A schema of a document, compiled when it is first needed."""

    def __init__(self, node: Node, words: Words) -> None:
        self.node = node
        self._words = words
        # By schema path: each rule is read when it is first broken.
        self._rules: dict[_Steps, _Rule] = {}

    @cached_property
    def validator(self) -> Draft202012Validator:
        """The compiled schema; DocumentError when it cannot be compiled."""
        schema = {"$ref": f"{_URI}#{quote(self.node.pointer)}"}
        try:
            return Draft202012Validator(
                schema, validate_formats=True, offline=True, registry=self.node.registry()
            )
        except ValueError as error:
            place = "/".join(map(str, getattr(error, "instance_path", ())))
            text = f"{place}: {getattr(error, 'message', error)}"
            self.node.fail(f"a schema that cannot be compiled: {text}")

    def breaches(self, instance: object) -> list[Breach]:
        """Return one breach for each place that is wrong, but not many more than 100.

        Of an instance of more than 32,000 characters the first error alone is told: all of them
        would take a time that grows with the square of its size.
        """
        if self.validator.is_valid(instance):
            return []
        told: dict[_Steps, _Broken] = {}
        for broken in chain.from_iterable(map(_broken, self._errors(instance))):
            known = told.get(broken.path)
            if known is None or broken.order < known.order:
                told[broken.path] = broken
            if len(told) > _MAX_TOLD:
                break
        return [self._breach(broken) for broken in told.values()]

    def _errors(self, instance: object) -> Iterator[ValidationError]:
        if len(str(instance)) <= _MAX_ALL_TOLD:
            yield from self.validator.iter_errors(instance)
        else:
            try:
                self.validator.validate(instance)
            except ValidationError as first:
                yield first

    def _breach(self, broken: "_Broken") -> Breach:
        steps = tuple(broken.error.evaluation_path)
        rule = self._rules.get(steps)
        if rule is None:
            if len(self._rules) >= _MAX_RULES:  # there are any number of ways in what is recursive
                self._rules.clear()
            rule = self._rules[steps] = self._read(broken, steps)
        text = rule.text or self._text(broken, rule)
        return Breach(broken.path, broken.rule, text, rule.pointer)

    def _read(self, broken: "_Broken", steps: _Steps) -> "_Rule":
        """Read what words a rule: the innermost `x-expected` and `x-when` on the way to it.

        The way leads through references, so that what refers to a schema may add a condition.
        """
        node = self.node
        expected, when = "valid", ""
        for part in steps[:-1]:  # from the schema as a whole, by a reference, to that of the rule
            node = node if part == "$ref" else node.at(part)  # which follows references
            if isinstance(node.value, dict):
                expected = node.value.get("x-expected", expected)
                when = f" when {node.value['x-when']}" if "x-when" in node.value else when
        text = self._bound(broken, expected)
        return _Rule(node.value, node.pointer + pointer(steps[-1:]), text and text + when, when)

    def _bound(self, broken: "_Broken", expected: str) -> str:
        """Tell a rule that is the same for all instances; the text of others is empty."""
        if broken.rule in {"additionalProperties", "required", "type"}:
            return ""
        facts = broken.error.kind.as_dict()
        if broken.rule == "enum":
            return f"must be one of {', '.join(map(str, facts['options']))}"
        # Only the schema knows what a pattern means.
        return _BOUNDS.get(broken.rule, self._words.expected).format(expected=expected, **facts)

    def _text(self, broken: "_Broken", rule: "_Rule") -> str:
        if broken.rule == "additionalProperties":
            return self._unknown(broken, rule)
        words, instance = self._words, cast("Any", broken.error.instance)
        if broken.rule == "required":
            # The validator gives dependentRequired the same name.
            needs = rule.schema.get("dependentRequired", {})
            given = [f"'{key}'" for key in instance if broken.path[-1] in needs.get(key, ())]
            needed = f"; needed by {', '.join(given)}" if given else ""
            return words.required + rule.when + needed
        # null comes last
        names = [words.types[name] for name in sorted(broken.types, key="null".__eq__)]
        return f"must be {' or '.join(names)}{rule.when}{words.hint(broken.types, instance)}"

    def _unknown(self, broken: "_Broken", rule: "_Rule") -> str:
        name = cut(str(broken.path[-1]))
        near = _nearest(name, tuple(rule.schema["properties"]))
        is_twice = lowered(near) == lowered(name) and near in cast("Json", broken.error.instance)
        words = self._words
        return (words.twice if is_twice and words.twice else words.unknown).format(near=near)


class _Rule(NamedTuple):
    """A rule of a document: the schema that it is a keyword of, its place, and how it is told."""

    schema: Json
    pointer: str
    text: str
    when: str


class _Broken(NamedTuple):
    """A broken rule: where in the instance, and for a `type` what it should be."""

    path: _Steps
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
    elif isinstance(kind, ValidationErrorKind.PropertyNames):
        for inner in _broken(kind.error):
            yield inner._replace(path=(*path, str(inner.error.instance)))
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


def _types_refused(branch: Sequence[ValidationError], path: Sequence[str | int]) -> list[str]:
    return [
        name
        for error in branch
        if isinstance(error.kind, ValidationErrorKind.Type) and error.instance_path == path
        for name in error.kind.types
    ]


@lru_cache(maxsize=1_024)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    return nearest(name, known)

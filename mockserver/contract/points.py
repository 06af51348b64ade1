"""What can be tried of an operation: its rules, fields, values and conditions, as points."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from operator import eq
from typing import Final, NamedTuple

from mockserver.base.schema import Node, Schema, pointer
from mockserver.contract.operations import VERSION_HEADER, Operation
from mockserver.contract.wording import WORDS

_Steps = tuple[str, ...]
_Test = Callable[[object], bool]
_Conditions = tuple[tuple[Schema, bool], ...]

# What a validator does not look at, or what only says how a value is written.
_UNCHECKED: Final = {"int32", "int64", "float", "double", "password", "byte", "binary"}
_ANY: Final = "*"  # stands in a path for any element, or for any member that has no name of its own
# Of schemas that refer to one another the ways have no end.
_MOST_SOUGHT: Final = 2_000
_MOST_DEEP: Final = 30
_SENTENCES: Final = {
    "additionalProperties": "for an unknown field in {name}",
    "enum": "because {name} is none of the known values",
    "exclusiveMinimum": "because {name} is too small",
    "format": "because {name} is not {expected}",
    "maximum": "because {name} is too large",
    "maxItems": "because {name} has too many items",
    "maxLength": "because {name} is too long",
    "maxProperties": "because {name} has too many members",
    "minimum": "because {name} is too small",
    "minItems": "because {name} has too few items",
    "minLength": "because {name} is empty",
    "minProperties": "because {name} is empty",
    "not": "because {name} is not {expected}",
    "pattern": "because {name} is not {expected}",
    "required": "for a missing {name}",
    "type": "because {name} has another type",
    "uniqueItems": "because {name} names a thing twice",
}


class Point(NamedTuple):
    """One thing that a suite can try; `text` says that it has not.

    `path` is a JSON pointer into the body, in which `*` stands for any element, or a place and a
    name for a parameter; `rule` a JSON Schema keyword, a status or a stage.
    """

    kind: str
    path: str
    rule: str
    pointer: str
    text: str

    @property
    def key(self) -> tuple[str, ...]:
        """Give what a call that reaches the point has in common with it."""
        if self.kind == "rule":
            return rule_key(self.path, self.rule, self.pointer)
        return self.kind, self.path, self.rule, self.pointer


def rule_key(path: str, rule: str, pointer: str) -> tuple[str, ...]:
    """Return the key of a broken rule: one of the document counts once, wherever it is broken."""
    return "rule", pointer, path.rpartition("/")[2] if rule == "required" else ""


class Sought(NamedTuple):
    """A point of what an accepted call has, and how to see whether it has it.

    The first of the `steps` is a member of the body, empty for all of it, or a parameter such as
    `query SortField`; the others lead to the values, of which `test` has to take one.
    """

    point: Point
    steps: _Steps
    test: _Test


class _Visited(NamedTuple):
    """A schema on the way to its rules; `typed` says whether its own types are told."""

    node: Node
    path: str
    expected: str = "valid"
    when: str = ""
    typed: bool = True


def rules(operation: Operation) -> Iterator[Point]:
    """Give the rules that a request can break."""
    for each in operation.parameters:
        where = f"{each.place} {each.name}"
        if each.required and each.place != "path":
            yield _rule(where, "required", f"{each.pointer}/required")
        # Another version is another operation, and a header is always a text.
        if each.name != VERSION_HEADER:
            textual = each.place == "header" or (
                each.place == "path" and "string" in each.schema.node.types
            )
            for point in _rules(each.schema.node, where):
                if point.rule != "type" or not textual:
                    yield point
    if operation.body is not None:
        yield from _rules(operation.body.node, "")


def sought(operation: Operation) -> Iterator[Sought]:
    """Give the fields, values and branches of conditions that an accepted call can have."""
    for each in operation.parameters:
        if each.place == "query":
            where = f"query {each.name}"
            yield from _field(each.schema.node, where, (where,), ())
    if operation.body is not None:
        yield from islice(_parts(operation.body.node, "", (), ()), _MOST_SOUGHT)


def statuses(operation: Operation) -> tuple[str, ...]:
    """Return the statuses that the document lists for an operation."""
    return tuple(operation.place.at("responses").value)


def values_at(value: object, steps: _Steps) -> list[object]:
    """Return what stands at the end of the steps, and is not null."""
    found = [value]
    for step in steps:
        inner: list[object] = []
        for each in found:
            if step == _ANY:
                inner += each if isinstance(each, list) else []
            else:
                inner += [each.get(step)] if isinstance(each, dict) else []
        found = inner
    return [each for each in found if each is not None]


def _name(path: str) -> str:
    """Return what a sentence calls a place: its last name, without what leads to it."""
    names = [part for part in path.rpartition(" ")[2].split("/") if part not in ("", _ANY)]
    element = "a member of " if path.endswith(f"/{_ANY}") else ""
    return element + (names[-1] if names else "the body")


def _rule(path: str, rule: str, pointer: str, expected: str = "", when: str = "") -> Point:
    what = _SENTENCES[rule].format(name=_name(path), expected=expected)
    return Point("rule", path, rule, pointer, f"never refused {what}{when}")


def _rules(node: Node, path: str) -> Iterator[Point]:
    """Give the rules of a schema and of all in it, each place of the document once."""
    seen: set[tuple[str, bool]] = set()
    pending = [_Visited(node, path)]
    while pending:
        each = pending.pop()
        key = each.node.pointer, each.typed
        if key not in seen:
            seen.add(key)
            schema = each.node.value
            expected = schema.get("x-expected", each.expected)
            when = f" when {schema['x-when']}" if "x-when" in schema else each.when
            here = each._replace(expected=expected, when=when)
            yield from _own(here)
            inner = [here._replace(node=at, path=to, typed=kept) for at, to, kept in _inner(here)]
            pending += reversed(inner)


def _own(each: "_Visited") -> Iterator[Point]:
    """Give the rules of a schema alone."""
    node, path, when = each.node, each.path, each.when
    for rule, value in node.value.items():
        at = f"{node.pointer}/{rule}"
        if rule == "required":
            yield from (_rule(path + pointer([name]), rule, at, when=when) for name in value)
        elif rule == "anyOf":
            yield _rule(path, "type", at, when=when)
        elif rule in _SENTENCES and not _untold(rule, value, typed=each.typed):
            yield _rule(path, rule, at, each.expected, when)


def _untold(rule: str, value: object, *, typed: bool) -> bool:
    if rule == "additionalProperties":
        return value is not False
    return (rule == "type" and not typed) or (rule == "format" and value in _UNCHECKED)


def _inner(each: "_Visited") -> Iterator[tuple[Node, str, bool]]:
    """Give the schemas that one consists of, where they are about, and whether types are told."""
    node, path = each.node, each.path
    for name in node.value.get("properties", ()):
        yield node.at("properties", name), path + pointer([name]), True
    for rule in ("items", "additionalProperties"):
        if isinstance(node.value.get(rule), dict):
            yield node.at(rule), f"{path}/{_ANY}", True
    for branch in node.at("anyOf").items() if "anyOf" in node.value else ():
        yield branch, path, False
    for rule in ("then", "else"):
        if rule in node.value:
            yield node.at(rule), path, True


def _parts(node: Node, path: str, steps: _Steps, way: _Steps) -> Iterator[Sought]:
    """Give the branches and the members of what a schema describes, unless it is in itself."""
    if node.pointer in way or len(way) > _MOST_DEEP:
        return
    way = (*way, node.pointer)
    yield from _branches(node, path, steps, ())
    for name in node.value.get("properties", ()):
        yield from _field(node.at("properties", name), path + pointer([name]), (*steps, name), way)
    if isinstance(node.value.get("items"), dict):
        yield from _parts(node.at("items"), f"{path}/{_ANY}", (*steps, _ANY), way)
    for branch in node.at("anyOf").items() if "anyOf" in node.value else ():
        yield from _parts(branch, path, steps, way)


def _field(node: Node, path: str, steps: _Steps, way: _Steps) -> Iterator[Sought]:
    """Give a field, its enumerated values, and what is in it."""
    shown = _shown(path)
    point = Point("field", path, "properties", node.pointer, f"{shown} never sent")
    yield Sought(point, steps, lambda _: True)
    for each in node.at("anyOf").items() if "anyOf" in node.value else [node]:
        for index, value in enumerate(each.value.get("enum", ())):
            if value is not None:
                at = f"{each.pointer}/enum/{index}"
                point = Point("value", path, "enum", at, f"{shown} never {value}")
                yield Sought(point, steps, partial(eq, value))
    yield from _parts(node, path, steps, way)


def _branches(node: Node, path: str, steps: _Steps, before: _Conditions) -> Iterator[Sought]:
    """Give the branches that ask for fields; the others are what is left of the fields."""
    if "if" not in node.value:
        return
    condition = _condition(node.at("if"))
    for keyword in ("then", "else"):
        if keyword in node.value:
            branch = node.at(keyword)
            conditions = (*before, (condition, keyword == "then"))
            if branch.value.keys() >= {"x-when", "required"}:
                text = f"{_shown(path)} never accepted when {branch.value['x-when']}".strip()
                point = Point("branch", path, keyword, branch.pointer, text)
                needs = frozenset(branch.value["required"])
                yield Sought(point, steps or ("",), partial(_holds, needs, conditions))
            yield from _branches(branch, path, steps, conditions)


def _shown(path: str) -> str:
    return path.removeprefix("query ").removeprefix("/").replace(f"/{_ANY}/", "/")


def _condition(node: Node) -> Schema:
    # Most refer to nothing, and alone they are compiled in a hundredth of the time.
    alone = "$ref" not in str(node.value)
    return Schema(Node.root(node.source, node.value) if alone else node, WORDS)


def _holds(needs: frozenset[str], conditions: _Conditions, value: object) -> bool:
    """Say whether a value that was accepted is one that the conditions lead to a branch with.

    What the branch needs is looked for first, as that is faster than a validator.
    """
    there = isinstance(value, dict) and needs <= value.keys()
    return there and all(
        schema.validator.is_valid(value) is wanted for schema, wanted in conditions
    )

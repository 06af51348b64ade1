"""The rest of the API: operations without a method of their own, answered from their schemas."""

import re
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import isawaitable
from pathlib import Path
from typing import Final, NamedTuple, cast
from uuid import uuid4

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Note, NoteKind, Problem
from mockserver.base.schema import pointer
from mockserver.base.text import apart, nearest
from mockserver.contract.form import Form
from mockserver.contract.operations import Operation
from mockserver.contract.paths import TEMPLATE
from mockserver.product import access, objects, query, recorded
from mockserver.product.keyfactor import Answer, Call
from mockserver.product.objects import Write, folded
from mockserver.world.loading import load
from mockserver.world.model import World
from mockserver.world.reading import WorldError

_SAMPLED: Final = "sampled"

_KEY: Final = "Id"  # what tells objects apart where no parameter is called like a member
_WRITES: Final = {"create", "merge", "replace"}
# What a document may name of a collection (`x-resource`).
_NAMED: Final = ("key", "order", "missing", "fields", "unique")


@dataclass(frozen=True)
class _Collection:
    """Objects of one kind.

    `path` is their key in `resources` of the world, with names in braces where the path has
    parameters; `key` the member that tells them apart, and `form` that of a whole object.
    """

    path: str
    form: Form = field(repr=False)
    key: str = _KEY
    order: str | None = None
    missing: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    unique: Sequence[str] = ()

    def sorted(self, rows: Iterable[Json]) -> Sequence[Json]:
        """Return objects in the order that a list has without SortField."""
        if self.order == "guid-sql" and self.form.members[self.key].rule.get("format") == "uuid":
            return sorted(rows, key=lambda row: query.guid_order(row[self.key]))
        order = self.order or ("Name" if "Name" in self.form.members else "")
        if order not in self.form.members:
            return [*rows]
        return sorted(rows, key=lambda row: query.rank(row.get(order)))

    @property
    def noun(self) -> str:
        """What one object is called: CertificateStore of /CertificateStores."""
        noun = next(part for part in reversed(self.path.split("/")) if part[:1] != "{")
        return f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("s")

    @property
    def title(self) -> str:
        """The same in words, as a refusal has it."""
        return apart(self.noun, " ")


class _Plan(NamedTuple):
    """How an operation is answered: what is done, with which collection, found by what."""

    operation: Operation
    action: str = _SAMPLED
    collection: _Collection | None = None
    parameter: str | None = None

    @property
    def kind(self) -> str:
        """Say whether the answer is made of objects, or an example."""
        return _SAMPLED if self.collection is None else "resource"


class _Served(NamedTuple):
    """One operation for a list of them: its file, how it is answered (`how`), how many objects."""

    operation: str
    version: str
    file: str
    how: str
    objects: int | None


class Resources:
    """Answer operations by what their documents say, from the objects of the world.

    `written` are the ids of those that have a method.
    """

    def __init__(self, operations: Iterable[Operation], written: Container[str] = ()) -> None:
        self._operations = tuple(operations)
        self._written = written
        self._plans: dict[int, _Plan] = {}

    @cached_property
    def _collections(self) -> Mapping[str, _Collection]:
        """The collections by path: where a GET answers an array."""
        lists = {
            each.path: each
            for each in self._operations
            if each.method == "GET" and _is_list(each) and "collection" not in each.named
        }
        return {path: _collection(listed, self._operations) for path, listed in lists.items()}

    def plan(self, operation: Operation) -> _Plan:
        """Return how an operation is answered."""
        if id(operation) not in self._plans:
            self._plans[id(operation)] = self._planned(operation)
        return self._plans[id(operation)]

    def _planned(self, operation: Operation) -> _Plan:
        path, named = operation.path, operation.named
        parameter = named.get("parameter")
        if parameter is None and path.endswith("}"):
            path, _, last = path.rpartition("/")
            parameter = last[1:-1]
        collection = self._collections.get(named.get("collection", path))
        actions = _OF_ALL if parameter is None else _OF_ONE
        action = named.get("action", actions.get(operation.method, _SAMPLED))
        if collection is None or action == _SAMPLED or not _is_for_one(action, operation):
            return _Plan(operation)
        if "key" in named:
            collection = replace(collection, key=named["key"])
        known = collection.key in collection.form.members
        return _Plan(operation, action, collection, parameter) if known else _Plan(operation)

    def served(self, world: World) -> Iterator[_Served]:
        """Give every operation: which file has it, how it is answered, and how many objects."""
        for operation in self._operations:
            plan = self.plan(operation)
            path = plan.collection.path if plan.collection else None
            yield _Served(
                f"{operation.method} {operation.path}",
                operation.version,
                Path(operation.place.source).name,
                "method" if operation.id in self._written else plan.kind,
                len(recorded.rows(world, path)) if path else None,
            )

    async def answer(self, operation: Operation, call: Call) -> object:
        """Answer a call; Problem 404 for an object that is not there, 400 for what cannot be."""
        plan = self.plan(operation)
        if operation.named.get("any_role"):
            access.require_a_role(call.identity, call.trace)
            text = "the document names no permission, so any role suffices"
            call.trace.lenient.append(Note("", NoteKind.ANY_ROLE, text, NoteKind.ANY_ROLE))
        if plan.collection is None:
            text = "the answer is an example made by its schema; nothing is kept"
            call.trace.lenient.append(Note("", NoteKind.SAMPLED, text, NoteKind.SAMPLED))
            return operation.answer and operation.answer.sample
        done = _ACTIONS[plan.action](_Use(plan, plan.collection, call))
        return await done if isawaitable(done) else done


def check_paths(world: World, operations: Iterable[Operation], source: str) -> None:
    """Refuse a world with objects at a path that no document reads, by WorldError.

    Those of the default world may stand in any, also where other documents are loaded.
    """
    known = [each.path for each in operations if each.method == "GET"]
    patterns = [TEMPLATE.sub("[^/]+", path) for path in known]
    for path in world.resources.keys() - load().resources.keys():
        if not any(re.fullmatch(each, path) for each in patterns):
            text = f"nothing is read there; did you mean '{nearest(path, known)}'?"
            raise WorldError(source, [(f"/resources{pointer([path])}", text)])


def _is_for_one(action: str, operation: Operation) -> bool:
    """Say whether what writes an object is sent one: a body of a user's document may be a list."""
    types = operation.request.types if operation.request else frozenset[str]()
    return action not in _WRITES or not types or "object" in types


def _is_list(operation: Operation) -> bool:
    return operation.answer is not None and operation.answer.items is not None


def _collection(listed: Operation, operations: Sequence[Operation]) -> _Collection:
    path, named = listed.path, listed.named
    single = [each for each in operations if each.path.rpartition("/{")[0] == path]
    whole = [each.answer for each in single if each.method == "GET" and not _is_list(each)]
    form = cast("Form", cast("Form", listed.answer).items)
    form = next(filter(None, whole), form)
    parameter = single[0].path.rpartition("{")[2][:-1] if single else _KEY
    given = {name: named[name] for name in _NAMED if name in named}
    found = _Collection(path, form, **given)
    return found if "key" in given else replace(found, key=_key(form, parameter, found.noun))


def _key(form: Form, parameter: str, noun: str) -> str:
    """Return the member that is called like the parameter, or else like the objects."""
    known = {name.lower(): name for name in form.members}
    for name in (parameter, _KEY, f"{noun}{_KEY}", noun):
        if name.lower() in known:
            return known[name.lower()]
    return next((name for name in form.members if noun.endswith(name)), _KEY)


@dataclass(frozen=True)
class _Use:
    """One call of a planned operation."""

    plan: _Plan
    collection: _Collection
    call: Call

    @cached_property
    def path(self) -> str:
        """Where the world has the objects: the collection's path with the values of the call."""
        given = self.call.parameters
        return TEMPLATE.sub(lambda found: str(given[found[1]]), self.collection.path)

    @property
    def rows(self) -> Sequence[Json]:
        return recorded.rows(self.call.state.world, self.path)

    def list(self) -> Answer:
        """Give those objects that the list parameters ask for."""
        path, parameters = self.collection.path, self.call.parameters
        seen = [row for row in self.rows if recorded.is_listed(path, row, parameters)]
        page, total = query.page(self.collection.sorted(seen), parameters, self._columns)
        counts = self.plan.operation.named.get("total", True)
        shown = [recorded.shown(path, row, parameters) for row in page]
        return Answer(self._made(shown), {"x-total-count": str(total)} if counts else {})

    def _columns(self, row: Json) -> Json:
        """Return an object as lists are asked for it: every member, and what is derived."""
        form = cast("Form", cast("Form", self.plan.operation.answer).items)
        derived = {
            name: self._value(member.rule["x-value"], row)
            for name, member in form.members.items()
            if "x-value" in member.rule and name not in row
        }
        columns = {**dict.fromkeys(form.members), **row, **derived}
        others = {name: columns.get(own) for name, own in self.collection.fields.items()}
        return {**columns, **others}

    def show(self) -> object:
        """Give the one object; where the answer is an array, all that have the key."""
        if _is_list(self.plan.operation):
            return self._made([row for row in self.rows if self._has(row, self._wanted)])
        row = self._row(self._wanted)
        return self._made(recorded.shown(self.collection.path, row, self.call.parameters))

    async def act(self) -> Answer:
        """Do what only code can, and give its answer in the form of the document."""
        if self.plan.parameter:
            self._row(self._wanted)  # which must be there
        answer = await recorded.ACTIONS[self.plan.action](self.call, self.plan.operation.named)
        return Answer(answer and self._made(answer.body), answer.headers if answer else {})

    def create(self) -> object:
        key, row, rows = self.collection.key, dict(self._body), self.rows
        kind = self.collection.form.members[key]
        if not kind.types.isdisjoint({"integer", "number"}):
            row[key] = self.call.state.number(self.path, objects.highest(rows, key))
        elif kind.rule.get("format") == "uuid" or key not in row:
            row[key] = str(uuid4())
        return self._kept(row, rows)

    def replace(self) -> object:
        """Replace an object; what the request has no member for stays."""
        rows = self.rows
        old = self._row(self._wanted, rows)
        request = self.plan.operation.request
        known = request.members if request else {}
        kept = {name: value for name, value in old.items() if name not in known}
        return self._changed({**kept, **self._body}, rows, old)

    def set(self) -> None:
        """Give the objects whose keys are in the body the values that the document names."""
        values = self.plan.operation.named["values"]
        rows = [{**row, **values} if self._is_listed(row) else row for row in self.rows]
        recorded.keep(self.call.state, self.path, rows, 0)

    def merge(self) -> object:
        """Change those members of an object that are given."""
        rows = self.rows
        old = self._row(self._wanted, rows)
        return self._changed({**old, **self._body}, rows, old)

    def _changed(self, row: Json, rows: Sequence[Json], old: Json) -> object:
        """Keep an object in the place of an old one, whose key stays."""
        return self._kept({**row, self.collection.key: old[self.collection.key]}, rows, old)

    def remove(self) -> None:
        rows = self.rows
        self._remove(rows, [self._row(self._wanted, rows)])

    def remove_many(self) -> None:
        """Remove the objects whose keys are in the body; a key that none has is ignored."""
        rows = self.rows
        self._remove(rows, [row for row in rows if self._is_listed(row)])

    @cached_property
    def _listed(self) -> frozenset[str]:
        """The keys in the body."""
        listed = cast("object", self.call.body)
        return frozenset(map(folded, listed if isinstance(listed, list) else ()))

    def _is_listed(self, row: Json) -> bool:
        return folded(row.get(self.collection.key)) in self._listed

    def _remove(self, rows: Sequence[Json], gone: Sequence[Json]) -> None:
        self.call.state.count(self.path, objects.highest(rows, self.collection.key))
        ids = set(map(id, gone))
        left = [row for row in rows if id(row) not in ids]
        recorded.keep(self.call.state, self.path, left, -sum(map(objects.size, gone)))

    def _kept(self, row: Json, rows: Sequence[Json], old: Json | None = None) -> object:
        self._check_twins(row, rows, old)
        write = Write(self.call.state, self.path, self.call.body, row, old)
        row = recorded.written(self.collection.path, write)
        kept = [row if each is old else each for each in rows]
        if old is None:
            kept.append(row)
        recorded.keep(
            self.call.state, self.path, kept, objects.size(row) - (objects.size(old) if old else 0)
        )
        # What others add to an object is seen when it is read again.
        return self._made(self._row(row[self.collection.key]))

    def _check_twins(self, row: Json, rows: Sequence[Json], old: Json | None) -> None:
        """Refuse what another object has already, of the members that must differ."""
        members = self.collection.unique or (self.collection.key,)
        wanted = [folded(row.get(name)) for name in members]
        for each in rows:
            if each is not old and [folded(each.get(name)) for name in members] == wanted:
                text = f"{', '.join(members)}: another {self.collection.title} has the same."
                raise Problem(Kind.BODY, text)

    @cached_property
    def _body(self) -> Json:
        """The body without its secrets."""
        request = self.plan.operation.request
        return cast("Json", request.stored(self._sent)) if request else {}

    @property
    def _sent(self) -> Json:
        """The body as it came; one that is no object has no members."""
        return self.call.body if isinstance(self.call.body, dict) else {}

    @property
    def _wanted(self) -> object:
        """The key of the object that is meant: of the path or the query, else of the body."""
        where = self.call.parameters if self.plan.parameter else self._sent
        return where.get(self.plan.parameter or self.collection.key)

    def _row(self, wanted: object, rows: Sequence[Json] | None = None) -> Json:
        """Return the object with a key; Problem 404 where there is none."""
        for row in self.rows if rows is None else rows:
            if self._has(row, wanted):
                return row
        text = self.collection.missing or f"Unable to find '{self.collection.title}' with Id '{{}}'"
        raise Problem(Kind.NOT_FOUND, text.replace("{}", str(wanted)))

    def _has(self, row: Json, key: object) -> bool:
        return folded(row.get(self.collection.key)) == folded(key)

    def _made(self, value: object) -> object:
        form = self.plan.operation.answer
        return form and form.made(value, self._value)

    def _value(self, name: str, row: Json) -> object:
        where, _, member = name.partition("/")
        if where == "sent":
            return self._sent.get(member)
        return recorded.value(self.call.state.world, name, row)


_ACTIONS: Final[Mapping[str, Callable[[_Use], object | Awaitable[object]]]] = {
    **dict.fromkeys(recorded.ACTIONS, _Use.act),
    "list": _Use.list,
    "show": _Use.show,
    "create": _Use.create,
    "replace": _Use.replace,
    "merge": _Use.merge,
    "set": _Use.set,
    "remove": _Use.remove,
    "remove_many": _Use.remove_many,
}
_OF_ALL: Final = {"GET": "list", "POST": "create", "PUT": "replace", "DELETE": "remove_many"}
_OF_ONE: Final = {"GET": "show", "PUT": "replace", "PATCH": "merge", "DELETE": "remove"}

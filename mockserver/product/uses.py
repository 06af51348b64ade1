"""What a call does with the objects of a resource: list, show, create, change, remove."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast
from uuid import uuid4

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.contract.form import Form
from mockserver.contract.paths import TEMPLATE
from mockserver.product import objects, query, recorded
from mockserver.product.keyfactor import Answer, Call
from mockserver.product.objects import Write, folded
from mockserver.product.plans import Collection, Plan, is_list


def use(plan: Plan, collection: Collection, call: Call) -> object:
    """Answer a planned call, or give what is to be awaited for the answer.

    Problem 404 for an object that is not there, 400 for what cannot be.
    """
    return _ACTIONS.get(plan.action, _Use.act)(_Use(plan, collection, call))


@dataclass(frozen=True)
class _Use:
    """One call of a planned operation."""

    plan: Plan
    collection: Collection
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
        page, total = query.page(self._sorted(seen), parameters, self._columns)
        counts = self.plan.operation.named.get("total", True)
        shown = [recorded.shown(path, row, parameters) for row in page]
        return Answer(self._made(shown), {"x-total-count": str(total)} if counts else {})

    def _sorted(self, rows: Sequence[Json]) -> Sequence[Json]:
        """Return objects in the order that a list has without SortField."""
        collection = self.collection
        if (
            collection.order == "guid-sql"
            and collection.form.members[collection.key].rule.get("format") == "uuid"
        ):
            return sorted(rows, key=lambda row: query.guid_order(row[collection.key]))
        order = collection.order or ("Name" if "Name" in collection.form.members else "")
        if order not in collection.form.members:
            return [*rows]
        return sorted(rows, key=lambda row: query.rank(row.get(order)))

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
        if is_list(self.plan.operation):
            return self._made([row for row in self.rows if self._has(row, self._wanted)])
        row = self._row(self._wanted)
        return self._made(recorded.shown(self.collection.path, row, self.call.parameters))

    async def act(self) -> Answer:
        """Do what only code can, and give its answer in the form of the document."""
        if self.plan.parameter:
            self._row(self._wanted)  # which must be there
        answer = await recorded.action(self.plan.action)(self.call, self.plan.operation.named)
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
    "list": _Use.list,
    "show": _Use.show,
    "create": _Use.create,
    "replace": _Use.replace,
    "merge": _Use.merge,
    "set": _Use.set,
    "remove": _Use.remove,
    "remove_many": _Use.remove_many,
}

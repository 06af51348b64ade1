"""How the operations of resources are answered, planned from their schemas."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, NamedTuple, cast

from mockserver.base.text import apart
from mockserver.contract.form import Form
from mockserver.contract.operations import Operation

_SAMPLED: Final = "sampled"
_OF_ALL: Final = {"GET": "list", "POST": "create", "PUT": "replace", "DELETE": "remove_many"}
_OF_ONE: Final = {"GET": "show", "PUT": "replace", "PATCH": "merge", "DELETE": "remove"}

_KEY: Final = "Id"  # what tells objects apart where no parameter is called like a member
_WRITES: Final = {"create", "merge", "replace"}
# What a document may name of a collection (`x-resource`).
_NAMED: Final = ("key", "order", "missing", "fields", "unique")


@dataclass(frozen=True)
class Collection:
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

    @property
    def noun(self) -> str:
        """What one object is called: CertificateStore of /CertificateStores."""
        noun = next(part for part in reversed(self.path.split("/")) if part[:1] != "{")
        return f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("s")

    @property
    def title(self) -> str:
        """The same in words, as a refusal has it."""
        return apart(self.noun, " ")


class Plan(NamedTuple):
    """How an operation is answered: what is done, with which collection, found by what."""

    operation: Operation
    action: str = _SAMPLED
    collection: Collection | None = None
    parameter: str | None = None

    @property
    def kind(self) -> str:
        """Say whether the answer is made of objects, or an example."""
        return _SAMPLED if self.collection is None else "resource"


class Plans:
    """Plan how each of some operations is answered, when it is first asked for."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = tuple(operations)
        self._plans: dict[int, Plan] = {}

    def of(self, operation: Operation) -> Plan:
        """Return the plan of one of the operations."""
        if id(operation) not in self._plans:
            self._plans[id(operation)] = self._planned(operation)
        return self._plans[id(operation)]

    @cached_property
    def _collections(self) -> Mapping[str, Collection]:
        """The collections by path: where a GET answers an array."""
        lists = {
            each.path: each
            for each in self._operations
            if each.method == "GET" and is_list(each) and "collection" not in each.named
        }
        return {path: _collection(listed, self._operations) for path, listed in lists.items()}

    def _planned(self, operation: Operation) -> Plan:
        path, named = operation.path, operation.named
        parameter = named.get("parameter")
        if parameter is None and path.endswith("}"):
            path, _, last = path.rpartition("/")
            parameter = last[1:-1]
        collection = self._collections.get(named.get("collection", path))
        actions = _OF_ALL if parameter is None else _OF_ONE
        action = named.get("action", actions.get(operation.method, _SAMPLED))
        if collection is None or action == _SAMPLED or not _is_for_one(action, operation):
            return Plan(operation)
        if "key" in named:
            collection = replace(collection, key=named["key"])
        known = collection.key in collection.form.members
        return Plan(operation, action, collection, parameter) if known else Plan(operation)


def is_list(operation: Operation) -> bool:
    """Say whether an operation answers an array."""
    return operation.answer is not None and operation.answer.items is not None


def _is_for_one(action: str, operation: Operation) -> bool:
    """Say whether what writes an object is sent one: a body of a user's document may be a list."""
    types = operation.request.types if operation.request else frozenset[str]()
    return action not in _WRITES or not types or "object" in types


def _collection(listed: Operation, operations: Sequence[Operation]) -> Collection:
    path, named = listed.path, listed.named
    single = [each for each in operations if each.path.rpartition("/{")[0] == path]
    whole = [each.answer for each in single if each.method == "GET" and not is_list(each)]
    form = cast("Form", cast("Form", listed.answer).items)
    form = next(filter(None, whole), form)
    parameter = single[0].path.rpartition("{")[2][:-1] if single else _KEY
    given = {name: named[name] for name in _NAMED if name in named}
    found = Collection(path, form, **given)
    return found if "key" in given else replace(found, key=_key(form, parameter, found.noun))


def _key(form: Form, parameter: str, noun: str) -> str:
    """Return the member that is called like the parameter, or else like the objects."""
    known = {name.lower(): name for name in form.members}
    for name in (parameter, _KEY, f"{noun}{_KEY}", noun):
        if name.lower() in known:
            return known[name.lower()]
    return next((name for name in form.members if noun.endswith(name)), _KEY)

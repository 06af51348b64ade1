"""The rest of the API: operations without a method of their own, answered from their schemas."""

import re
from collections.abc import Container, Iterable, Iterator
from inspect import isawaitable
from pathlib import Path
from typing import NamedTuple

from mockserver.base.problems import Note, NoteKind
from mockserver.base.schema import pointer
from mockserver.base.text import nearest
from mockserver.contract.operations import Operation
from mockserver.contract.paths import TEMPLATE
from mockserver.product import access
from mockserver.product.keyfactor import Call
from mockserver.product.plans import Plans
from mockserver.world.loading import load
from mockserver.world.model import World
from mockserver.world.reading import WorldError


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
        self._plans = Plans(self._operations)

    def served(self, world: World) -> Iterator[_Served]:
        """Give every operation: which file has it, how it is answered, and how many objects."""
        from mockserver.product import recorded  # noqa: PLC0415  # as below

        for operation in self._operations:
            plan = self._plans.of(operation)
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
        plan = self._plans.of(operation)
        if operation.named.get("any_role"):
            access.require_a_role(call.identity, call.trace)
            text = "the document names no permission, so any role suffices"
            call.trace.note(Note("", NoteKind.ANY_ROLE, text, NoteKind.ANY_ROLE))
        if plan.collection is None:
            text = "the answer is an example made by its schema; nothing is kept"
            call.trace.note(Note("", NoteKind.SAMPLED, text, NoteKind.SAMPLED))
            return operation.answer and operation.answer.sample
        # The code of all resources, which a start need not wait for.
        from mockserver.product.uses import use  # noqa: PLC0415

        done = use(plan, plan.collection, call)
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

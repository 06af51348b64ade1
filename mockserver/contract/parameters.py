"""Parameters of operations: how they are read from the path and the query of a request."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Final

from mockserver.base.jsontext import Json
from mockserver.base.problems import Violation
from mockserver.base.schema import Node, Schema
from mockserver.contract.coercion import typed
from mockserver.contract.wording import WORDS, violations

PLACES: Final = ("header", "path", "query")
_SHORT: Final = 64  # characters


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation; `place` is one of PLACES, the name of a header in lower case."""

    name: str
    place: str
    required: bool
    pointer: str
    schema: Schema

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The values that its schema enumerates."""
        return tuple(self.schema.node.value.get("enum", ()))

    @cached_property
    def _key(self) -> str:
        return f"{self.place} {_bare(self.name)}"

    def violations(self, given: Mapping[str, object]) -> Sequence[Violation]:
        """Return what is wrong with this parameter of a request."""
        value = given.get(self.name)
        if value is None:
            return self._missing if self.required else ()
        is_short = isinstance(value, str) and len(value) <= _SHORT
        return self._of_short(value) if is_short else self._of(value)

    @cached_property
    def _of(self) -> Callable[[object], Sequence[Violation]]:
        return partial(violations, self.schema, root=self._where)

    @cached_property
    def _of_short(self) -> Callable[[object], Sequence[Violation]]:
        """Remembers what it said: most calls send the same few texts."""
        return lru_cache(maxsize=64)(self._of)

    @cached_property
    def _where(self) -> str:
        return f"{self.place} {self.name}"

    @cached_property
    def _missing(self) -> Sequence[Violation]:
        text = f"{self.name}: required."
        return (Violation(self._where, "required", text, f"{self.pointer}/required"),)

    def read(self, texts: Mapping[str, list[str]]) -> object:
        """Return what stands for this one in the texts of a request, else the default.

        One that stands twice stays a list, which its type refuses.
        """
        given = texts.get(self._key, [])
        node = self.schema.node
        return (
            typed(given[0], node.types) if len(given) == 1 else given or node.value.get("default")
        )


def read_parameter(place: Node) -> Parameter:
    """Return a parameter of a document; DocumentError names the place."""
    where, name = place.at("in").value, place.at("name").value
    if where not in PLACES:
        place.fail(f"in must be one of {', '.join(PLACES)}")
    return Parameter(
        name=name.lower() if where == "header" else name,
        place=where,
        required=place.value.get("required", False),
        pointer=place.pointer,
        schema=Schema(place.at("schema"), WORDS),
    )


def read_parameters(
    parameters: Sequence[Parameter], template: str, path: str, query: Iterable[tuple[str, str]]
) -> Json:
    """Return the parameters in the path and the query of a request, typed, with defaults."""
    if all(each.place == "header" for each in parameters):
        return {}
    segments = zip(template.split("/"), path.split("/"), strict=True)
    texts = {f"path {_bare(own[1:-1])}": [text] for own, text in segments if own[:1] == "{"}
    for name, text in query:
        texts.setdefault(f"query {_bare(name)}", []).append(text)
    values = {each.name: each.read(texts) for each in parameters if each.place != "header"}
    return {name: value for name, value in values.items() if value is not None}


def _bare(name: str) -> str:
    return name.lower().rpartition(".")[2]

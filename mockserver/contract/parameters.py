"""Parameters of operations: how they are read from the path and the query of a request."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Final

from mockserver.base.jsontext import Json
from mockserver.base.problems import Violation
from mockserver.base.schema import Node, Schema
from mockserver.contract.coercion import typed
from mockserver.contract.form import Form
from mockserver.contract.wording import WORDS, violations

PLACES: Final = ("header", "path", "query")
_SHORT: Final = 64  # characters

_MARKS: Final = {"spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation; `place` is one of PLACES, the name of a header in lower case.

    `mark` stands between the elements of an array that is one text.
    """

    name: str
    place: str
    required: bool
    pointer: str
    schema: Schema
    mark: str = ""

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
        check = partial(violations, self.schema, root=self._where)
        types, items = self._types
        if self.place != "header" or (items is None and types <= {"string"}):
            return check
        return lambda text: check(self._typed([str(text)]))

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

    @cached_property
    def _types(self) -> tuple[frozenset[str], frozenset[str] | None]:
        """The types of its value, and for an array those of an element."""
        form = Form(self.schema.node.document, self.schema.node.value)
        items = form.items.types if form.items else frozenset[str]()
        return form.types, items if "array" in form.types else None

    def read(self, texts: Mapping[str, list[str]]) -> object:
        """Return what stands for this one in the texts of a request, else the default.

        An array takes one or many; of anything else one that stands twice stays a list, which its
        type refuses.
        """
        given = texts.get(self._key)
        return self._typed(given) if given else self.schema.node.value.get("default")

    def _typed(self, texts: list[str]) -> object:
        types, items = self._types
        if items is not None:
            mark = self.mark
            parts = (part.strip() for text in texts for part in text.split(mark)) if mark else texts
            return [typed(part, items) for part in parts]
        return typed(texts[0], types) if len(texts) == 1 else texts


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
        mark=_mark(place.value),
    )


def _mark(parameter: Json) -> str:
    """Return what is between the elements of an array; in a query each is a text by default."""
    style = parameter.get("style", "form" if parameter["in"] == "query" else "simple")
    is_apart = parameter["in"] == "query" and parameter.get("explode", style == "form")
    return "" if is_apart else _MARKS.get(style, ",")


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

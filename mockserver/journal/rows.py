"""Rows of what is kept: held by their columns, and made of them for whoever looks."""

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

from mockserver.base.text import once

_Column = Callable[[Iterable[Any]], object]


def numbers(column: Iterable[float]) -> object:
    """Hold the numbers of a column, each in eight octets."""
    return array("d", column)


def letters(column: Iterable[str]) -> object:
    """Hold the letters of a column as one text; what recurs is held once for all rows."""
    return once("".join(column))


def texts(column: Iterable[str]) -> object:
    """Hold the texts of a column, each of them as above."""
    return tuple(map(once, column))


class _Field:
    """A field of a frozen dataclass that is held in another form than it is shown in."""

    def __init__(self, hold: Callable[[Any], object], show: Callable[[Any], object]) -> None:
        self._hold = hold
        self._show = show

    def __set_name__(self, _: type, name: str) -> None:
        self.kept_as = f"_{name}"

    def __get__(self, kept: object | None, _: type) -> object:
        if kept is None:
            raise AttributeError(self.kept_as)  # or the field would have this as its default
        return self._show(getattr(kept, self.kept_as))

    def __set__(self, kept: object, value: object) -> None:
        object.__setattr__(kept, self.kept_as, self._hold(value))


def rows(*columns: _Column) -> Any:  # noqa: ANN401  # the type that the field is declared with
    """Declare a field of tuples by what holds each of their columns, in a fifth of their room."""

    def hold(rows: Iterable[tuple[Any, ...]]) -> object:
        found = tuple(zip(*rows, strict=True))
        pairs = zip(columns, found, strict=found != ())
        return tuple(hold(column) for hold, column in pairs)

    return _Field(hold, lambda held: tuple(zip(*held, strict=True)))


def late(show: Callable[[tuple[Any, ...]], object]) -> Any:  # noqa: ANN401  # as above
    """Declare a field of a tuple as it was recorded, of which `show` makes what somebody sees.

    `show` returns as it is what it has made itself: who copies an entry gives that back.
    """
    return _Field(tuple, show)


def mapping() -> Any:  # noqa: ANN401  # as above
    """Declare a field of a mapping from texts to texts; whoever changes one changes a copy."""
    return _Field(_pairs, dict)


def mappings() -> Any:  # noqa: ANN401  # as above
    """Declare a field of several such mappings."""
    return _Field(lambda each: tuple(map(_pairs, each)), lambda held: tuple(map(dict, held)))


def _pairs(each: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(each.items())


def held(kept: object) -> tuple[object, ...]:
    """Return what a dataclass of several fields really holds of them."""
    kind: Any = type(kept)
    return _getter(kind)(kept)


@cache
def _getter(kind: Any) -> Callable[[object], tuple[object, ...]]:  # noqa: ANN401  # a type
    own = {name: each.kept_as for name, each in vars(kind).items() if isinstance(each, _Field)}
    return attrgetter(*[own.get(each.name, each.name) for each in fields(kind)])

"""Rows of what is kept: held by their columns, and made of them for whoever looks."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cache
from itertools import starmap
from operator import attrgetter
from typing import Any, Final

from mockserver.base.text import shared

_Column = Callable[[Iterable[Any]], object]


def numbers(column: Iterable[float]) -> object:
    """Hold the numbers of a column, each in eight octets."""
    return array("d", column)


texts: Final[_Column] = shared  # those that recur are held once for all rows
letters: Final[_Column] = "".join


class _Rows:
    """A field of a frozen dataclass: a tuple of rows, which take a fifth of their room."""

    def __init__(self, columns: tuple[_Column, ...], kind: Any) -> None:  # noqa: ANN401  # a type
        self._columns = columns
        self._kind = kind
        self._told = kind and attrgetter(*[each.name for each in fields(kind)])

    def __set_name__(self, _: type, name: str) -> None:
        self.kept_as = f"_{name}"

    def __get__(self, kept: object | None, _: type) -> tuple[Any, ...]:
        if kept is None:
            raise AttributeError(self.kept_as)  # or the field would have this as its default
        found = zip(*getattr(kept, self.kept_as), strict=True)
        return tuple(found if self._kind is None else starmap(self._kind, found))

    def __set__(self, kept: object, rows: Iterable[Any]) -> None:
        columns = tuple(zip(*map(self._told, rows) if self._told else rows, strict=True))
        pairs = zip(self._columns, columns, strict=columns != ())
        object.__setattr__(kept, self.kept_as, tuple(hold(column) for hold, column in pairs))


def rows(*columns: _Column, kind: type | None = None) -> Any:  # noqa: ANN401  # that of the field
    """Declare a field of rows by what holds each of their columns; it has no default.

    A row is a tuple, or a dataclass of that `kind`.
    """
    return _Rows(columns, kind)


def held(kept: object) -> tuple[object, ...]:
    """Return what a dataclass of several fields really holds of them."""
    kind: Any = type(kept)
    return _getter(kind)(kept)


@cache
def _getter(kind: Any) -> Callable[[object], tuple[object, ...]]:  # noqa: ANN401  # a type
    own = {name: each.kept_as for name, each in vars(kind).items() if isinstance(each, _Rows)}
    return attrgetter(*[own.get(each.name, each.name) for each in fields(kind)])

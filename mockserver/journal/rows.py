"""Rows of what is kept: held by their columns, and made of them for whoever looks."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from mockserver.base.text import shared

_Column = Callable[[Iterable[Any]], object]


def numbers(column: Iterable[float]) -> object:
    """Hold the numbers of a column, each in eight octets."""
    return array("d", column)


texts: Final[_Column] = shared  # those that recur are held once for all rows
letters: Final[_Column] = "".join


class _Field(ABC):
    """A field of a frozen dataclass that is held in another form than it is given in."""

    def __set_name__(self, _: type, name: str) -> None:
        self.kept_as = f"_{name}"

    def __get__(self, kept: object | None, _: type) -> tuple[Any, ...]:
        if kept is None:
            raise AttributeError(self.kept_as)  # or the field would have this as its default
        return self._rows(getattr(kept, self.kept_as))

    def __set__(self, kept: object, rows: Iterable[Any]) -> None:
        object.__setattr__(kept, self.kept_as, self._held(rows))

    @abstractmethod
    def _rows(self, held: tuple[Any, ...]) -> tuple[Any, ...]: ...

    @abstractmethod
    def _held(self, rows: Iterable[Any]) -> tuple[Any, ...]: ...


class _Rows(_Field):
    """Tuples, held by their columns: that takes a fifth of their room."""

    def __init__(self, columns: tuple[_Column, ...]) -> None:
        self._columns = columns

    def _rows(self, held: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(zip(*held, strict=True))

    def _held(self, rows: Iterable[Any]) -> tuple[Any, ...]:
        columns = tuple(zip(*rows, strict=True))
        pairs = zip(self._columns, columns, strict=columns != ())
        return tuple(hold(column) for hold, column in pairs)


class _Flat(_Field):
    """A few small dataclasses, held by their members alone: that takes half of their room."""

    def __init__(self, kind: Any) -> None:  # noqa: ANN401  # a type
        self._kind = kind
        self._members = attrgetter(*[each.name for each in fields(kind)])
        self._width = len(fields(kind))

    def _rows(self, held: tuple[Any, ...]) -> tuple[Any, ...]:
        width = self._width
        return tuple([self._kind(*held[at : at + width]) for at in range(0, len(held), width)])

    def _held(self, rows: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(chain.from_iterable(map(self._members, rows)))


def rows(*columns: _Column) -> Any:  # noqa: ANN401  # the type that the field is declared with
    """Declare a field of rows by what holds each of their columns; it has no default."""
    return _Rows(columns)


def flat(kind: type) -> Any:  # noqa: ANN401  # as above
    """Declare a field of dataclasses of a kind that has several members; it has no default."""
    return _Flat(kind)


def held(kept: object) -> tuple[object, ...]:
    """Return what a dataclass of several fields really holds of them."""
    kind: Any = type(kept)
    return _getter(kind)(kept)


@cache
def _getter(kind: Any) -> Callable[[object], tuple[object, ...]]:  # noqa: ANN401  # a type
    own = {name: each.kept_as for name, each in vars(kind).items() if isinstance(each, _Field)}
    return attrgetter(*[own.get(each.name, each.name) for each in fields(kind)])

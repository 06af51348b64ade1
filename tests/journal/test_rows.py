"""Fields of rows: as any other field to whoever looks, and held in little room."""

import copy
import pickle
import tracemalloc
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, replace
from typing import Any

import pytest

from mockserver.journal.journal import _octets
from mockserver.journal.rows import (
    held,
    late,
    letters,
    mapping,
    mappings,
    numbers,
    rows,
    texts,
)

ROWS = ((0.5, "C", "EHLO a.test"), (1.25, "S", "250 OK"))


@dataclass(frozen=True)
class Talk:
    """Something with rows."""

    name: str
    lines: tuple[tuple[float, str, str], ...] = rows(numbers, letters, texts)


def test_rows_are_the_same_whoever_looks() -> None:
    talk = Talk("a", ROWS)
    assert talk.lines == ROWS
    assert talk == Talk("a", ROWS) != Talk("a", ROWS[:1])
    assert hash(talk) == hash(Talk("a", ROWS))
    assert repr(ROWS) in repr(talk)
    assert asdict(talk) == {"name": "a", "lines": ROWS}
    assert replace(talk, name="b").lines == replace(talk, lines=ROWS).lines == ROWS
    for copied in (copy.copy(talk), copy.deepcopy(talk), pickle.loads(pickle.dumps(talk))):
        assert (copied, copied.lines) == (talk, ROWS)


def test_no_rows_are_rows_too() -> None:
    assert Talk("a", ()).lines == ()
    assert Talk("a", ()) != Talk("a", ROWS)


def test_rows_are_as_frozen_as_the_rest_and_have_no_default() -> None:
    with pytest.raises(FrozenInstanceError):
        Talk("a", ROWS).lines = ()  # type: ignore[misc]  # what is tried
    with pytest.raises(TypeError, match="lines"):
        Talk("a")


@pytest.mark.parametrize("bad", [((0.5, "C"),), ((0.5, "C", "x", "y"),), (*ROWS, (0.5,))])
def test_each_row_has_all_columns(bad: tuple[tuple[float, str, str], ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        Talk("a", bad)


def test_equal_texts_are_held_once() -> None:
    first, second = (Talk("a", ((0.5, "C", f"EHLO {'x' * 50}"),)) for _ in range(2))
    assert first.lines[0][2] is second.lines[0][2]


def test_of_texts_that_nobody_holds_any_more_few_are_remembered() -> None:
    tracemalloc.start()
    try:
        for number in range(5_000):
            Talk("a", ((0.5, "C", f"RCPT TO:<{number:060}>"), (1.5, "S", f"{number:0999}")))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 450_000  # what `sys.intern` is given stays for ever in some Pythons


def test_what_is_held_takes_less_room() -> None:
    name, columns = held(Talk("a", ROWS * 100))
    assert name == "a"
    assert _octets(columns) < _octets(ROWS * 100) / 2


@dataclass(frozen=True)
class Part:
    """Something small."""

    name: str
    ms: float


def _parts(kept: tuple[Any, ...]) -> tuple[Part, ...]:
    """Make parts of names with milliseconds, as they were recorded; parts stay as they are."""
    if kept and isinstance(kept[0], Part):
        return kept
    return tuple(Part(*pair) for pair in zip(kept[::2], kept[1::2], strict=True))


@dataclass(frozen=True)
class Whole:
    """Something with parts and mappings."""

    parts: tuple[Part, ...] = late(_parts)
    one: Mapping[str, str] = mapping()
    more: tuple[Mapping[str, str], ...] = mappings()


RECORDED: Any = ("check", 0.5, "delivery", 1.5)
WHOLE = Whole(RECORDED, {"SIZE": "1"}, ({}, {"NOTIFY": "x"}))


def test_parts_and_mappings_are_the_same_whoever_looks() -> None:
    parts = Part("check", 0.5), Part("delivery", 1.5)
    more: tuple[dict[str, str], ...] = ({}, {"NOTIFY": "x"})
    for copied in (WHOLE, replace(WHOLE), copy.deepcopy(WHOLE), pickle.loads(pickle.dumps(WHOLE))):
        assert (copied.parts, copied.one, copied.more) == (parts, {"SIZE": "1"}, more)
        assert copied == WHOLE != replace(WHOLE, parts=())
    plain = {"parts": tuple(map(asdict, parts)), "one": {"SIZE": "1"}, "more": more}
    assert asdict(WHOLE) == plain
    assert repr(parts) in repr(WHOLE)


def test_whoever_changes_a_mapping_changes_a_copy() -> None:
    for each in (WHOLE.one, *WHOLE.more):
        assert isinstance(each, dict)
        each["SIZE"] = "2"
    assert (WHOLE.one, WHOLE.more) == ({"SIZE": "1"}, ({}, {"NOTIFY": "x"}))

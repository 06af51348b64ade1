"""The fidelity table: each row has a mark, its source where it was recorded, and a test."""

import re

import pytest

from support import ROOT

MARKS = ("documented", "recorded", "observed", "assumed", "our own")
RELEASE_AND_FILE = re.compile(r"\(.*2[0-9]\.[0-9]\.[0-9], `[a-z0-9_]+`.*\)")


def rows() -> dict[str, tuple[str, str]]:
    """Give mark and tests of each question."""
    text = (ROOT / "openapi" / "README.md").read_text()
    table = text.partition("## How true it is")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return {question: (mark, tests) for question, _, mark, tests in cells}


ROWS = rows()


@pytest.fixture(scope="module")
def defined() -> set[str]:
    """Give the names of all tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for each in files for name in re.findall(r"def (test_\w+)", each.read_text())}


def test_the_table_is_read() -> None:
    assert len(ROWS) > 40


@pytest.mark.parametrize("question", ROWS)
def test_a_row_names_tests_that_exist(question: str, defined: set[str]) -> None:
    named = re.findall(r"`(\w+)`", ROWS[question][1])
    assert named
    assert [name for name in named if name not in defined] == []


@pytest.mark.parametrize("question", ROWS)
def test_a_row_has_a_mark_and_a_recording_its_release_and_file(question: str) -> None:
    mark = ROWS[question][0]
    assert any(each in mark for each in MARKS)
    if "recorded" in mark:
        assert RELEASE_AND_FILE.search(mark)

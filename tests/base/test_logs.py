"""Lines of the log: their form, and that none is lost."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mockserver.base import logs

log = logging.getLogger("mockserver.test")


@contextmanager
def configured(log_format: str) -> Iterator[None]:
    """Let `configure` find a process of its own, and forget what it sets."""
    names = ("logThreads", "logProcesses", "logMultiprocessing", "_srcfile")
    before = {name: getattr(logging, name) for name in names}
    handlers, logging.root.handlers = logging.root.handlers, []  # pytest has its own there
    level = logging.root.level
    try:
        logs.configure(log_format, "info")
        yield
    finally:
        logging.root.handlers = handlers
        logging.root.setLevel(level)
        logging.getLogger("mockserver").setLevel(logging.NOTSET)
        for name, value in before.items():
            setattr(logging, name, value)


def test_a_line_without_a_loop_is_written_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with configured("text"):
        logs.info(log, {"id": "a b", "path": 'a "b', "namespace": None, "ms": 1.5})
        log.warning("two\nlines")
    first, second = capsys.readouterr().err.splitlines()
    assert first.partition(" ")[2] == r'INFO id=a b path="a \"b" ms=1.5'
    assert second.partition(" ")[2] == r"WARNING two\nlines"


def test_lines_of_one_turn_of_a_loop_are_written_together_and_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def several() -> str:
        for number in range(3):
            logs.info(log, {"id": str(number), "namespace": None})
        at_once = capsys.readouterr().err
        await asyncio.sleep(0)
        return at_once

    with configured("json"):
        assert asyncio.run(several()) == ""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["id"] for line in lines] == ["0", "1", "2"]
    assert {line["namespace"] for line in lines} == {None}
    assert {line["level"] for line in lines} == {"info"}


def test_what_nobody_reads_any_more_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    with configured("text"):
        logs.info(log, {"id": "1"})


def test_who_has_a_handler_beside_gets_records() -> None:
    class Kept(logging.Handler):
        records: list[logging.LogRecord] = []  # noqa: RUF012  # of this test

        def emit(self, record: logging.LogRecord) -> None:
            self.records.append(record)

    with configured("text"):
        logging.root.addHandler(Kept())
        logs.info(log, {"id": "1"})
    assert [record.getMessage() for record in Kept.records] == ["id=1"]

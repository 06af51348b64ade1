"""Lines of the log: their form, and that none is lost."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

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


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_line_says_to_the_millisecond_when_it_was_said(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    began = datetime.now(UTC)
    with configured(log_format):
        logs.info(log, {"id": "1"})
    line = capsys.readouterr().err
    said = line.split()[0] if log_format == "text" else json.loads(line)["time"]
    moment = datetime.fromisoformat(said)
    assert said == moment.isoformat(timespec="milliseconds")
    assert began - timedelta(milliseconds=1) < moment < datetime.now(UTC)


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


def test_lines_of_a_loop_that_is_gone_come_with_the_next_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def one(number: int) -> None:
        logs.info(log, {"id": str(number)})

    with configured("text"):
        loop = asyncio.new_event_loop()
        loop.call_soon(logs.info, log, {"id": "0"})
        loop.call_soon(loop.stop)  # in the same turn, after which it would write
        loop.run_forever()
        loop.close()
        asyncio.run(one(1))
        lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition("=")[2] for line in lines] == ["0", "1"]


LINES = 1_500


def say(name: int) -> Iterator[int]:
    for number in range(LINES):
        logs.info(log, {"id": f"{name}.{number}"})
        yield number


async def say_on_a_loop(name: int) -> None:
    for number in say(name):
        if number % 7 == 0:
            await asyncio.sleep(0)


def in_a_thread(name: int) -> threading.Thread:
    def main() -> None:
        if name % 2:
            asyncio.run(say_on_a_loop(name))
        else:
            list(say(name))

    return threading.Thread(target=main)


def test_no_line_of_several_threads_is_lost_or_mixed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with configured("text"):
        threads = [in_a_thread(name) for name in range(4)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
        lines = [line.rpartition("id=")[2] for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 4 * LINES
    for name in range(4):
        own = [line for line in lines if line.startswith(f"{name}.")]
        assert own == [f"{name}.{number}" for number in range(LINES)]


def test_a_record_that_cannot_be_written_raises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with configured("text"):
        logging.getLogger("other").warning("%d of them", "secret")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.partition(" ")[2] == "WARNING other logs what cannot be written"


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_without_standard_error_all_goes_on(redirection: str) -> None:
    code = (
        "import logging; from mockserver.base import logs; logs.configure('text', 'info');"
        "[logs.info(logging.getLogger('mockserver'), {'id': 'x' * 9000}) for _ in range(9)];"
        "print('still here')"
    )
    ended = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    assert ended.stdout == b"still here\n"


def test_of_long_values_only_the_last_is_remembered() -> None:
    with configured("text"):
        for number in range(9):
            logs.info(log, {"path": f"{number}{'x' * 3_000}"})
    assert logs._template.cache_info().currsize == 1  # noqa: SLF001  # nothing else tells

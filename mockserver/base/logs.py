"""Log lines: one for each request, as text or JSON, with nothing secret and no traceback."""

import asyncio
import json
import logging
import re
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from threading import RLock
from typing import Final

_APART: Final = re.compile(r'[ "=]')
_NEW: Final = frozenset(("id", "ms"))
_LONG: Final = 2_048  # characters; of longer lines the last one is remembered


def configure(log_format: str, level: str) -> None:
    """Send the mock's own records of a level and above to standard error, as `text` or `json`."""
    handler = _Lines(as_json=log_format == "json")
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("mockserver").setLevel(level.upper())
    # A record need not know what no line shows ("Optimization" in Python's Logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # named there


def info(log: logging.Logger, fields: Mapping[str, object]) -> None:
    """Log fields as a line of level INFO, which the caller found wanted; None is in JSON only."""
    match logging.root.handlers:
        case [_Lines() as lines]:
            # A record for each request would take longer than its line.
            lines.write("INFO", None, fields)
        case _:
            log.info(_pairs(fields), extra={"fields": fields})


# When, in seconds, the level, the text or None, and the fields.
_Said = tuple[float, str, str | None, Mapping[str, object]]


class _Lines(logging.Handler):
    """Write each record as one line, whatever is in it; tracebacks stay out."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self._stream = sys.stderr
        self._said: deque[_Said] = deque()
        self._due: asyncio.AbstractEventLoop | None = None  # which loop is to write them
        self._writing = RLock()  # several threads may have lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001  # its arguments may be anything
            text = f"{record.name} logs what cannot be written"
        self.write(record.levelname, text, {"message": text})

    def write(self, level: str, text: str | None, fields: Mapping[str, object]) -> None:
        """Write a line: in JSON the fields, else the text, or the fields where that is None.

        On a loop the lines of one turn are made together at its end, when answers are on their way.
        """
        self._said.append((time.time(), level, text, fields))
        due = self._due  # once: another thread may be writing
        if due is not None and due.is_running():
            return  # one that has ended will not write
        try:
            self._due = loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        with self._writing:
            self._due = None
            lines = [self._line(*self._said.popleft()) for _ in range(len(self._said))]
            # Nobody reads it any more, or it was closed from the beginning, which makes it None.
            with suppress(OSError, ValueError, AttributeError):
                self._stream.write("".join(lines))
                self._stream.flush()

    def _line(
        self, moment: float, level: str, text: str | None, fields: Mapping[str, object]
    ) -> str:
        second, thousandths = divmod(int(moment * 1_000), 1_000)
        now = f"{_second(second)}.{thousandths:03}+00:00"
        if self._as_json:
            return f"{json.dumps({'time': now, 'level': level.lower(), **fields})}\n"
        if text is not None and not text.isprintable():
            text = text.encode("unicode_escape").decode("ascii")
        return f"{now} {level} {_pairs(fields) if text is None else text}\n"


@lru_cache(maxsize=1)
def _second(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _pairs(fields: Mapping[str, object]) -> str:
    # Ids and times never come again, the rest often does.
    recurring = tuple([fields[name] for name in fields if name not in _NEW])
    return _template(tuple(fields), recurring) % fields


@lru_cache(maxsize=64)
def _template(names: tuple[str, ...], recurring: tuple[object, ...]) -> str:
    """Return the fields for the log, with a place for each that is new."""
    values = iter(recurring)
    places = [f"%({name})s" if name in _NEW else _place(next(values)) for name in names]
    pairs = zip(names, places, strict=True)
    text = " ".join(f"{name}={place}" for name, place in pairs if place is not None)
    if len(text) > _LONG:
        _template.cache_clear()
    return text


def _place(value: object) -> str | None:
    """Return a value as a line has it, in quotes if it could be taken for several, or None."""
    if value is None:
        return None
    text = str(value)
    quoted = json.dumps(text) if _APART.search(text) or not text.isprintable() else text
    return quoted.replace("%", "%%")

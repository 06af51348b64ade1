"""Log lines: one for each request, as text or JSON, with nothing secret and no traceback."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_APART: Final = re.compile(r'[ "=]')
_NEW: Final = frozenset(("id", "ms"))


def configure(log_format: str, level: str) -> None:
    """Send the mock's own records of a level and above to standard error, as `text` or `json`."""
    handler = _Lines(as_json=log_format == "json")
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("mockserver").setLevel(level.upper())
    # A record need not know what no line shows ("Optimization" in Python's Logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # named there


def info(log: logging.Logger, fields: Mapping[str, object]) -> None:
    """Log fields, those of None only in JSON; the caller has looked whether INFO is wanted."""
    match logging.root.handlers:
        case [_Lines() as lines]:
            # A record for each request would take longer than its line.
            lines.write("INFO", _pairs(fields), fields)
        case _:
            log.info(_pairs(fields), extra={"fields": fields})


class _Lines(logging.Handler):
    """Write each record as one line, whatever is in it; tracebacks stay out."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self._stream = sys.stderr
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.write(record.levelname, text, {"message": text})

    def write(self, level: str, text: str, fields: Mapping[str, object]) -> None:
        """Write a line: a text, or the fields as JSON."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        if self._as_json:
            line = json.dumps({"time": now, "level": level.lower(), **fields})
        else:
            line = f"{now} {level} {text}"
            if not line.isprintable():
                line = line.encode("unicode_escape").decode("ascii")
        self._lines.append(f"{line}\n")
        if len(self._lines) > 1:
            return  # the one before goes soon, and takes this one along
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        with suppress(OSError, ValueError):  # nobody reads it any more
            self._stream.writelines(lines)
            self._stream.flush()


def _pairs(fields: Mapping[str, object]) -> str:
    # Ids and times never come again, the rest often does.
    return " ".join(
        [
            f"{name}={value}" if name in _NEW else _pair(name, value)
            for name, value in fields.items()
            if value is not None
        ]
    )


@lru_cache(maxsize=256)
def _pair(name: str, value: object) -> str:
    """Return a field for the log, its value in quotes if it could be taken for several."""
    text = str(value)
    return f"{name}={text if text.isprintable() and not _APART.search(text) else json.dumps(text)}"

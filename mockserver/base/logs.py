"""Log lines: one for each request, as text or JSON, with nothing secret and no traceback."""

import json
import logging
from datetime import UTC, datetime


def configure(log_format: str, level: str) -> None:
    """Send the mock's own records of a level and above to standard error, as `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if log_format == "json" else _TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("mockserver").setLevel(level.upper())
    # A record need not know what no line shows ("Optimization" in Python's Logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # named there


class _TextLines(logging.Formatter):
    """Write a record as one line, whatever is in it; tracebacks stay out."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_time(record)} {record.levelname} {record.getMessage()}"
        return text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text


class _JsonLines(logging.Formatter):
    """Write a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        return json.dumps({"time": _time(record), "level": record.levelname.lower(), **fields})


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

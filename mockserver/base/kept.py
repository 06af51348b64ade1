"""Our own YAML files kept as JSON, as Python keeps bytecode: that is read in a tenth of the time.

A wheel brings these files, a checkout makes them where it may. Each begins with a hash of the YAML
and of the code that parses it, and is not read where that is another: a change counts at once.
"""

import json
import os
import sys
from contextlib import suppress
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from mockserver.base.data import data_folder

_CODE: Final = [*map(Path(__file__).with_name, ("documents.py", "kept.py", "yamltext.py"))]


def is_ours(path: Path) -> bool:
    """Say whether a file is in one of our folders, so that something may be kept beside it."""
    return any(data_folder(name) in path.parents for name in ("openapi", "fixtures"))


class Kept:
    """What is kept of one file with this content; `place` is where."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.place = path.parent / "__pycache__" / f"{path.stem}.jsonl"
        self._content = content

    def read(self) -> Any:  # noqa: ANN401  # any JSON
        """Return the value, None where there is none of this very content."""
        with suppress(OSError, ValueError):  # nothing is there, or half of it
            mark, text = self._mark, self.place.read_bytes()
            return json.loads(text[len(mark) :]) if text.startswith(mark) else None
        return None

    def write(self, value: object) -> None:
        """Keep a value for the next time, if the folder can be written and Python writes there."""
        if sys.dont_write_bytecode or sys.pycache_prefix:
            return
        # Others read and write at the same time, so it is there as a whole or not at all.
        new = self.place.with_name(f"{self.place.name}.{os.urandom(8).hex()}")
        with suppress(OSError):
            new.parent.mkdir(exist_ok=True)
            try:
                new.write_bytes(self.text(value))
                new.replace(self.place)
            finally:
                new.unlink(missing_ok=True)

    def text(self, value: object) -> bytes:
        """Return the two lines that keep a value: the hash, and the value as JSON."""
        return self._mark + json.dumps(value, separators=(",", ":")).encode()

    @cached_property
    def _mark(self) -> bytes:
        return f'"{sha256(_code() + self._content).hexdigest()}"\n'.encode()


@cache
def _code() -> bytes:
    return sha256(b"".join(path.read_bytes() for path in _CODE)).digest()

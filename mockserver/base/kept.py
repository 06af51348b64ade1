"""Our own YAML files kept as Python keeps bytecode: they are read in a fiftieth of the time.

A wheel brings these files, a checkout makes them where it may. Each begins with a hash of the YAML
and of the code that parses it, and is not read where that is another: a change counts at once.
"""

import json
import marshal
import os
import sys
from contextlib import suppress
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from mockserver.base.data import data_folder

_FORMAT: Final = 4  # which Python 3.4 and all later ones read
_CODE: Final = [*map(Path(__file__).with_name, ("documents.py", "kept.py", "yamltext.py"))]


def is_ours(path: Path) -> bool:
    """Say whether a file is in one of our folders, so that something may be kept beside it."""
    return any(data_folder(name) in path.parents for name in ("openapi", "fixtures"))


class Kept:
    """What is kept of one file with this content; `place` is where."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.place = path.parent / "__pycache__" / f"{path.stem}.marshal"
        self._content = content

    def read(self) -> Any:  # noqa: ANN401  # any JSON
        """Return the value, None where there is none of this very content."""
        with suppress(OSError):  # nothing is there
            mark, _, rest = self.place.read_bytes().partition(b"\n")
            check, _, octets = rest.partition(b"\n")
            # The second hash finds what is damaged, or half of it: `marshal` could crash of that.
            if mark == self._mark and check == _hash(octets):
                return marshal.loads(octets)  # noqa: S302  # as Python does with bytecode
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
                new.write_bytes(self.octets(value))
                new.replace(self.place)
            finally:
                new.unlink(missing_ok=True)

    def octets(self, value: object) -> bytes:
        """Return what keeps a value."""
        known: dict[str, Any] = {}
        octets = marshal.dumps(_once(value, known), _FORMAT)
        return b"\n".join((self._mark, _hash(octets), octets))

    @cached_property
    def _mark(self) -> bytes:
        return _hash(_code() + self._content)


def _once(value: object, known: dict[str, Any]) -> Any:  # noqa: ANN401  # any JSON
    """Return an equal value in which all that is equal is one object, kept and read once."""
    if isinstance(value, dict):
        value = {_once(key, known): _once(each, known) for key, each in value.items()}
    elif isinstance(value, list):
        value = [_once(each, known) for each in value]
    return known.setdefault(json.dumps(value), value)  # the texts of 1 and True differ


def _hash(octets: bytes) -> bytes:
    return sha256(octets).hexdigest().encode("ascii")


@cache
def _code() -> bytes:
    return sha256(b"".join(path.read_bytes() for path in _CODE)).digest()

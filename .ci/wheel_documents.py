# ruff: noqa: INP001  # no package, a script of the build
"""Put our documents and worlds into a wheel as they are kept too: no start has to parse YAML."""

import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Documents(BuildHookInterface[Any]):
    """Make the files before the wheel is built, and remove them afterwards."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write each file, and say where it goes; an editable install keeps to the originals."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from mockserver.base.documents import read_yaml  # noqa: PLC0415  # found there only now
        from mockserver.base.kept import Kept  # noqa: PLC0415  # as above

        self._folder = Path(mkdtemp())
        for folder in ("openapi", "fixtures"):
            for path in Path(self.root, folder).rglob("*.yaml"):
                kept = Kept(path, path.read_bytes())
                name = kept.place.relative_to(self.root)
                made = self._folder / name
                made.parent.mkdir(parents=True, exist_ok=True)
                made.write_bytes(kept.octets(read_yaml(path)))
                build_data["force_include"][str(made)] = f"mockserver/{name.as_posix()}"

    def finalize(self, version: str, _: dict[str, Any], __: str) -> None:
        """Remove what was made."""
        if version != "editable":
            shutil.rmtree(self._folder)

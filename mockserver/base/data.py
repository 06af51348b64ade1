"""Where the files are that are no Python: documents, worlds, and what the pages are made of."""

from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent.parent


def data_folder(name: str) -> Path:
    """Return the data folder of that name: inside the package (wheel) or beside it (checkout)."""
    # importlib.resources does not find force-included data in an editable install.
    inside, beside = PACKAGE / name, PACKAGE.parent / name
    return beside if beside.is_dir() and not inside.is_dir() else inside

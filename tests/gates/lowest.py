"""Print the lowest supported version of each dependency of the mock, as pip takes it."""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def lowest() -> list[str]:
    """Return the requirements with `==` in the place of `>=`."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    return [re.sub(r">=([^;]+?)\s*(?:;.*)?$", r"==\1", each) for each in project["dependencies"]]


if __name__ == "__main__":
    print("\n".join(lowest()))  # noqa: T201  # that is its purpose

"""Calls only go down: no package imports one of its own layer or of a higher one."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from mockserver.base.data import PACKAGE

# The whole package is above all that is in it: it names what is public.
LAYERS = (
    {"base"},
    {"contract", "http", "world"},
    {"journal"},
    {"mail", "oauth"},
    {"product"},
    {"control"},
    {"server"},
    {"cli", "pytest_plugin"},
    {"__main__"},
    {""},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MAX_ROOMS = 12


def name_of(module: Path) -> str:
    """Return the dotted name of a module below the package."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(module: Path) -> set[str]:
    """Return the modules of the package that a module imports, wherever in its text."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mockserver":
            inner = (node.module or "").removeprefix("mockserver").removeprefix(".")
            below = {f"{inner}.{alias.name}".removeprefix(".") for alias in node.names}
            names |= (below & MODULES.keys()) or {inner}
        elif isinstance(node, ast.Import):
            found = [alias.name.split(".") for alias in node.names]
            names |= {".".join(parts[1:]) for parts in found if parts[0] == "mockserver"}
    return names


def room(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_a_module_imports_only_lower_layers(name: str) -> None:
    others = {room(other) for other in imported(MODULES[name])} - {room(name)}
    assert {other for other in others if LEVEL[other] >= LEVEL[room(name)]} == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: imported(path) - {name} for name, path in MODULES.items() if name}
    assert list(TopologicalSorter(graph).static_order())  # a circle is a CycleError


def test_the_package_has_few_rooms() -> None:
    rooms = {room(name) for name in MODULES} - {"", "__main__"}
    assert len(rooms) <= MAX_ROOMS

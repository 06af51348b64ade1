"""Calls only go down: no module imports one of its own layer or of a higher one."""

import ast
from pathlib import Path

import pytest

import mockserver

PACKAGE = Path(mockserver.__file__).parent
LAYERS = (
    {"problems", "masking", "logs", "mailtext"},
    {"world", "trace", "certificates", "jsontext", "pagefiles"},
    {"journal", "report", "coercion", "wire"},
    {"state"},
    {"contract", "access", "faults", "pam", "idp", "listing", "oauth", "relay", "sink"},
    {"command"},
    {"recipes"},
    {"app", "control", "inbox", "reference", "listener", "view"},
    {"server"},
    {"cli", "pytest_plugin"},
    {"__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "mockserver":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mockserver."):
            names.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {
                alias.name.split(".")[1] for alias in node.names if "mockserver." in alias.name
            }
    return names


MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.stem))
def test_a_module_imports_only_lower_layers(module: Path) -> None:
    name = module.stem
    assert {other for other in imported(module) if LEVEL[other] >= LEVEL[name]} == set()

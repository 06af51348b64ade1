"""What a stranger can expect of a module: a size to read, and no public name without a user."""

import ast
import inspect
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from itertools import chain

import pytest

import mockserver
from mockserver.base.data import PACKAGE
from mockserver.contract.editions import load_editions
from test_layers import MODULES

MAX_MODULE = 450
MAX_CLASS = 249

Trees = Mapping[str, ast.Module]

TREES: Trees = {
    f"mockserver.{name}".rstrip("."): ast.parse(path.read_text("utf-8"))
    for name, path in MODULES.items()
}
CALLED = (property, cached_property, classmethod, staticmethod)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_and_its_classes_have_a_size_to_read(name: str) -> None:
    text = MODULES[name].read_text("utf-8")
    assert len(text.splitlines()) <= MAX_MODULE
    assert {each for each, lines in sizes(ast.parse(text)) if lines > MAX_CLASS} == set()


def sizes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Give the name of each class, and how many lines it has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_a_class_in_another_one_counts_too() -> None:
    tree = ast.parse("def f():\n  class A:\n    class B:\n      x = 1\n      y = 2\n")
    assert set(sizes(tree)) == {("A", 4), ("B", 3)}


# Public names of modules


def defined(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Give each public name that a module defines, with its statement."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        for target in targets:
            name = getattr(target, "id", getattr(target, "name", "_"))
            if not name.startswith("_"):
                yield name, node


def taken(tree: ast.Module) -> Iterator[str]:
    """Give what a module takes of others by name, wherever in its text: `mockserver.cli.main`."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    homes = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in imports
        for alias in node.names
    }
    yield from homes.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{homes.get(node.value.id)}.{node.attr}"


def unused(trees: Trees) -> Iterator[tuple[str, ast.stmt]]:
    """Give each public name that no other module takes, with its statement."""
    used = {name: set(taken(tree)) for name, tree in trees.items()}
    for name, tree in trees.items():
        others = set(chain.from_iterable(used[each] for each in trees if each != name))
        yield from (
            (f"{name}.{own}", at) for own, at in defined(tree) if f"{name}.{own}" not in others
        )


@cache
def commands() -> set[str]:
    """Return what the installed commands call."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    return {target.replace(":", ".") for target in project["scripts"].values()}


@cache
def shown() -> set[type]:
    """Return the classes that users see: the public ones, and what their members lead to."""
    pending: list[object] = [getattr(mockserver, name) for name in mockserver.__all__]
    found: set[type] = set()
    while pending:
        each = pending.pop()
        pending += typing.get_args(each)
        if isinstance(each, type) and each.__module__ in TREES and each not in found:
            found.add(each)
            pending += [*each.__mro__, *typing.get_type_hints(each).values()]
            for name, member in vars(each).items():
                call = member.fget if isinstance(member, property) else member
                if inspect.isfunction(call) and not name.startswith("_"):
                    pending += typing.get_type_hints(call).values()
    return found


def is_found(name: str, node: ast.stmt) -> bool:
    """Say whether somebody else finds a definition: click, pytest, the installer, or a user."""
    home, _, own = name.rpartition(".")
    marks = " ".join(map(ast.unparse, getattr(node, "decorator_list", ())))
    return (
        bool(re.search(r"\.(command|group|fixture)\b", marks))
        or own.startswith("pytest_")
        or name in commands()
        or (isinstance(node, ast.ClassDef) and getattr(import_module(home), own) in shown())
    )


def test_a_public_name_has_a_user_in_another_module() -> None:
    assert {name for name, node in unused(TREES) if not is_found(name, node)} == set()


def test_a_name_without_a_user_is_found() -> None:
    sample = {
        "mockserver.a": "import re\nN: int = 1\nM = N\n_O = 2\ndef f(): ...\nclass C: ...\n",
        "mockserver.b": "from mockserver.a import N\nfrom mockserver import a as x\nx.f\nM = 1",
    }
    trees = {name: ast.parse(text) for name, text in sample.items()}
    found = {"mockserver.a.M", "mockserver.a.C", "mockserver.b.M"}
    assert {name for name, _ in unused(trees)} == found


# Public methods of classes


@cache
def named_outside() -> set[str]:
    """Return the names that the documents and the templates call members by."""
    pages = " ".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.html"))
    operations = load_editions().newest.contract.operations
    return {*re.findall(r"\w+", pages), *(operation.id for operation in operations)}


@cache
def asked() -> set[tuple[str, str]]:
    return set(chain.from_iterable(map(attributes, TREES.values())))


def attributes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Give each attribute that is asked for, and the class that asks itself, or an empty text."""
    own: dict[ast.AST, str] = {}
    for each in ast.walk(tree):
        if isinstance(each, ast.ClassDef):
            own |= dict.fromkeys(ast.walk(each), each.name)
        if isinstance(each, ast.Attribute):
            itself = isinstance(each.value, ast.Name) and each.value.id in {"self", "cls"}
            yield each.attr, own.get(each, "") if itself else ""


def lonely(home: str) -> Iterator[str]:
    """Give the public methods of a module's classes that only their own class calls."""
    for each in vars(import_module(home)).values():
        if not isinstance(each, type) or each.__module__ != home or each in shown():
            continue
        for name, member in vars(each).items():
            inherited = any(name in vars(base) for base in each.__mro__[1:])
            is_method = inspect.isfunction(member) or isinstance(member, CALLED)
            if is_method and not (name.startswith("_") or inherited or name in named_outside()):
                used = {by for attr, by in asked() if attr == name}
                if used <= {each.__name__}:
                    yield f"{each.__name__}.{name}"


@pytest.mark.parametrize("home", sorted(TREES.keys() - {"mockserver.__main__"}))
def test_a_public_method_has_a_user_outside_its_class(home: str) -> None:
    assert set(lonely(home)) == set()

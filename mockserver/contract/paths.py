"""Paths of documents, in which a segment in braces stands for any, and what is at them."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut

_T = TypeVar("_T")

TEMPLATE: Final = re.compile(r"[{]([^{}]*)[}]")

_ANY: Final = "{}"
_HERE: Final = "/"  # is no segment
_NEAR: Final = 0.75  # how alike a typing error and its path are; /Templates and /SMTP/Test have 0.6


def unnamed(path: str) -> str:
    """Return a path in lower case, and no names of parameters: they make no difference."""
    return TEMPLATE.sub(_ANY, path.lower())


class Paths(Generic[_T]):
    """What is at each path, found by a request's path in any letter case."""

    def __init__(self, entries: Iterable[tuple[str, _T]]) -> None:
        self._known: dict[str, None] = {}
        self._tree: dict[str, Any] = {}  # by segments
        for path, entry in entries:
            self._known[path] = None
            inner = self._tree
            for part in unnamed(path).split("/"):
                inner = inner.setdefault(part, {})
            inner.setdefault(_HERE, []).append(entry)

    def at(self, path: str) -> list[_T]:
        """Return what is at a path; a literal segment goes before a template. Problem 404."""
        if found := self._below(self._tree, path.lower().split("/")):
            return found
        text = f"nothing is at {cut(path)}"
        for close in _near(cut(path), tuple(self._known)):
            text += f"; the nearest known path is {close}"
        raise Problem(Kind.NOT_FOUND, text)

    def _below(self, tree: dict[str, Any], parts: Sequence[str]) -> list[_T]:
        if not parts:
            here: list[_T] = tree.get(_HERE, [])
            return here
        for key in (parts[0], _ANY) if parts[0] else ("",):
            if key in tree and (found := self._below(tree[key], parts[1:])):
                return found
        return []


@lru_cache(maxsize=1_024)
def _near(path: str, known: tuple[str, ...]) -> list[str]:
    """Return the known path that was probably meant, or none: one of the same area, or a typo."""
    import difflib  # noqa: PLC0415  # for mistakes alone

    area = path.lower().split("/")[1:2]
    related = {each.lower(): each for each in known if each.lower().split("/")[1:2] == area}
    paths = related or {each.lower(): each for each in known}
    cutoff = 0 if related else _NEAR
    return [paths[each] for each in difflib.get_close_matches(path.lower(), paths, 1, cutoff)]

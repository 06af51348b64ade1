"""What is told of a request that breaks its schema."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from mockserver.base.problems import Violation
from mockserver.base.schema import Schema, Words, pointer
from mockserver.base.text import cut

_NAMES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_TYPES: Final = {name: f"{'an' if name[0] in 'aio' else 'a'} {name}" for name in _NAMES} | {
    "null": "null"
}
_OF_PYTHON: Final = dict(
    zip((list, bool, int, type(None), float, dict, str), _TYPES.values(), strict=True)
)
_DEEPEST: Final = 8  # names
WORDS: Final = Words(
    types=_TYPES,
    required="required",
    unknown="unknown; the nearest known name is {near}",
    twice="given twice; {near} is the same name",
    expected="must be {expected}",
)


def violations(schema: Schema, instance: object, root: str = "") -> list[Violation]:
    """Return one violation for each place that is wrong; `root` names what is not the body."""
    return [
        _violation(tuple([cut(str(part)) for part in path]), rule, text, at, root)
        for path, rule, text, at in schema.breaches(instance)
    ]


@lru_cache(maxsize=512)  # most bodies are wrong in the same few ways
def _violation(names: Sequence[str], rule: str, text: str, at: str, root: str) -> Violation:
    if len(names) > _DEEPEST:
        _violation.cache_clear()  # of such at most one is remembered
    shown = "/".join([root.partition(" ")[2], *names] if root else names) or "body"
    return Violation(root or pointer(names), rule, f"{shown}: {text}.", at)


def type_of(value: object) -> str:
    """Return the JSON type of a value as a sentence has it."""
    return _OF_PYTHON[type(value)]

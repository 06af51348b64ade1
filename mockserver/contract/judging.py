"""What the contract says of a request, whoever sends it; remembered, as requests recur."""

import json
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Final, NamedTuple

from mockserver.base import masking
from mockserver.base.masking import Sealed
from mockserver.base.problems import Kind, Note, Violation
from mockserver.contract.operations import Operation

_REMEMBERED: Final = 64
_LARGEST: Final = 2_048  # octets, or characters, of a request that is remembered
_Pairs = tuple[tuple[str, str], ...]


class _Judged(NamedTuple):
    """What the contract says of a request.

    A refused one has `kind` and `message`, another one `body`: as JSON, spelled as in the document,
    from which each call makes a body of its own. `sealed` is what the journal keeps of what was
    sent, None where the operation knows no body.
    """

    sealed: Sealed | None
    notes: tuple[Note, ...]
    violations: tuple[Violation, ...]
    kind: Kind = Kind.BODY
    message: str = ""
    body: str = "null"


class Sent(NamedTuple):
    """What the contract looks at in a request; `headers` are those that an operation knows."""

    path: str
    query: _Pairs
    headers: _Pairs
    octets: bytes


class Judge:
    """Ask the contract of requests; most tests send the same few, each of them again and again."""

    def __init__(self) -> None:
        self._recurring = lru_cache(maxsize=_REMEMBERED)(_judged)

    def judge(self, operation: Operation, sent: Sent, *, lenient: bool) -> _Judged:
        """Return what the contract says; Problem where the body cannot be read."""
        texts = chain(*sent.query, *sent.headers, (sent.path, sent.octets))
        judge = self._recurring if sum(map(len, texts)) <= _LARGEST else _judged
        return judge(operation, sent, lenient=lenient)


def seal(operation: Operation, media: str | None, octets: bytes) -> Sealed | None:
    """Return what the journal keeps of a readable body, None where the operation knows none."""
    if operation.request is None:
        return None
    return Sealed(octets, partial(_masked, operation, media))


def _masked(operation: Operation, media: str | None, octets: bytes) -> str:
    body = masking.body(operation.read(media, octets), operation.field_names)
    return json.dumps(body, ensure_ascii=False)


def _judged(operation: Operation, sent: Sent, *, lenient: bool) -> _Judged:
    headers = dict(sent.headers)
    media = headers.get("content-type")
    body = operation.read(media, sent.octets)
    body, notes = operation.relaxed(body, lenient=lenient)
    violations = tuple(operation.check(headers, body, operation.given(sent.path, sent.query)))
    noted = seal(operation, media, sent.octets), tuple(notes), violations
    if not violations:
        return _Judged(*noted, body=json.dumps(body))
    message = operation.describe(headers, body, violations)
    return _Judged(*noted, _kind(violations), message)


def _kind(violations: Sequence[Violation]) -> Kind:
    """Return the kind that goes first where headers, parameters and body break several rules.

    What cannot be bound to its type comes before what is missing or has a wrong value.
    """
    if any(each.rule == "type" for each in violations):
        return Kind.JSON
    beside = [each for each in violations if each.path.startswith(("header ", "query "))]
    if any(each.rule == "required" for each in beside):
        return Kind.HEADER_MISSING
    return Kind.HEADER_VALUE if beside else Kind.BODY

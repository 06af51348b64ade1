"""Faults of the API itself: read from a header, or chosen from the world."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mockserver.base.jsontext import parse_json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut, nearest
from mockserver.contract.operations import Operation
from mockserver.http.wire import Broken, Part, whole_body
from mockserver.journal.state import State
from mockserver.journal.trace import Trace
from mockserver.product import access
from mockserver.world.loading import load, read_api_fault
from mockserver.world.model import ApiFault, World
from mockserver.world.reading import WorldError

HEADER: Final = "X-Mock-Fault"
_MAX_TEXT: Final = 1_000
NONE: Final = ApiFault()

_ASSIGNMENT: Final = re.compile(r"\s*[=:]\s*")
_BETWEEN: Final = re.compile(r"[;,\s]+")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_WORDS: Final = {"true": True, "false": False}


def due(state: State, world: World, operation: str, header: str | None) -> tuple[ApiFault, str]:
    """Return the fault of a call, and what it comes from; `NONE` if there is none, or no more.

    The header beats the entry of the world, even once its `first` calls are over. Problem 400 for
    a header that cannot be read.
    """
    if header is not None:
        # The header is part of the key, so that each test that sends another text counts from one.
        return _counted(state, f"{operation} {header}", _read(header)), HEADER
    return _counted(state, operation, world.api_fault(operation)), "api_faults of the world"


def _counted(state: State, key: str, fault: ApiFault | None) -> ApiFault:
    if fault is None:
        return NONE
    if fault.first is not None and state.count_use(f"api {key}") > fault.first:
        return NONE
    return fault


def _read(text: str) -> ApiFault:
    """Read a fault from the header: a JSON object, or words such as `status=503; retry_after=2`.

    A word without a value is a status, or stands for true. Problem 400 for any other form, and for
    what the schema of `api_faults` refuses.
    """
    if not text.strip() or len(text) > _MAX_TEXT:
        raise _refused(f"must be a text of 1 to {_MAX_TEXT} characters, such as status=503")
    entry = _object(text) if text.lstrip().startswith("{") else _words(text)
    try:
        return read_api_fault(entry, HEADER)
    except WorldError as error:
        raise Problem(Kind.CONTROL, str(error)) from None


def _object(text: str) -> object:
    try:
        return parse_json(text.encode())
    except Problem as problem:
        raise _refused(problem.message.replace("the body", "the value")) from None


def _words(text: str) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for word in filter(None, _BETWEEN.split(_ASSIGNMENT.sub("=", text))):
        name, given, value = word.partition("=")
        if not given:
            name, value = ("status", word) if _NUMBER.fullmatch(word) else (word, "true")
        name = name.lower().replace("-", "_")
        if name in entry:
            raise _refused(f"{cut(name)} stands twice")
        entry[name] = _value(value)
    return entry


def _value(text: str) -> object:
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return _WORDS.get(text.lower(), text)


def _refused(text: str) -> Problem:
    return Problem(Kind.CONTROL, f"{HEADER}: {text}")


async def delayed(
    request: Request, fault: ApiFault, state: State, trace: Trace
) -> bytes | Problem | None:
    """Wait as long as a fault says; return the body, or why it was refused, if there was a wait."""
    # A client may give up during the delay, so read its body first. A refusal waits for its turn.
    early = await whole_body(request) if fault.delay else None
    with trace.step("delay"):
        await state.pause(fault.delay)
    return early


def check(fault: ApiFault, source: str) -> None:
    """Raise the Problem of a fault that replaces the operation."""
    if fault.status is not None:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.status == 401:  # noqa: PLR2004  # an HTTP status
            headers["WWW-Authenticate"] = access.CHALLENGE
        text = f"status {fault.status}, as {source} says"
        raise Problem(Kind.FAULT, text, headers, status=fault.status)
    if fault.breaks_off in _WITHOUT_ANSWER:
        # No client sees this status, as the answer is not sent.
        raise Problem(Kind.FAULT, f"{fault.breaks_off}, as {source} says")


def break_off(
    request: Request, response: Response, problem: Problem | None, breaks_off: tuple[str, str]
) -> tuple[Broken, int | None, Problem | None]:
    """Return what a fault sends in the place of an answer, and the status and problem to record."""
    how, text = breaks_off
    if how in _WITHOUT_ANSWER:
        return Broken(response, _WITHOUT_ANSWER[how]), None, problem
    recorded = Problem(Kind.FAULT, text)
    if problem is not None:
        recorded = Problem(problem.kind, f"{problem.message} ({text})")
    return Broken(response, _half(request.method, response)), response.status_code, recorded


def _half(method: str, response: Response) -> Part:
    """Truncate an answer in such a way that a client notices that the rest is missing.

    Many clients do not notice it of headers. So an answer without a body promises one, and one
    that must not have a body (RFC 9112, 6.3) ends within its status.
    """
    if method == "HEAD" or response.status_code == HTTPStatus.NO_CONTENT:
        return lambda head, _: head[: len("HTTP/1.1 2")]
    response.headers["Content-Length"] = str(len(response.body) or 2)
    return lambda head, body: head + body[: len(body) // 2]


_MAX_SHOWN: Final = 6  # one more than an error shows: each has a hint, which takes time

# The ways to break off before anything is performed, with what is sent; None resets the connection.
_WITHOUT_ANSWER: Final[Mapping[str, Part | None]] = {
    "reset": None,
    "empty": lambda *_: b"",
    "malformed": lambda *_: b"this is not HTTP\r\n\r\n",
}


def check_names(world: World, operations: Iterable[Operation], source: str) -> None:
    """Refuse a world that names an operation or a tag that no document has, by WorldError.

    The tags of the default world may stand in any, also where other documents are loaded.
    """
    tags = {each.id: each.tag for each in operations}
    usual = load().api_supported_versions
    sections = (
        ("api_faults", world.api_faults, tags, "operation"),
        ("api_supported_versions", world.api_supported_versions, {*tags.values(), *usual}, "tag"),
    )
    errors = [
        (f"/{section}/{name}", f"no such {what}; did you mean '{nearest(name, known)}'?")
        for section, given, known, what in sections
        for name in sorted(given.keys() - {"*", *known})[:_MAX_SHOWN]
    ]
    if errors:
        raise WorldError(source, errors)

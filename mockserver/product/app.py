"""The request path of the API: from HTTP to a method of the product, and back."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.base import logs, masking
from mockserver.base.documents import DocumentError
from mockserver.base.jsontext import first_value
from mockserver.base.problems import Kind, Note, NoteKind, Problem
from mockserver.base.text import cut, one_line
from mockserver.contract.editions import Edition, Editions
from mockserver.contract.judging import Judge, Sent, seal
from mockserver.contract.operations import VERSION_HEADER, Contract, Operation
from mockserver.http.wire import (
    LEFT,
    answer_at_once,
    contained,
    namespace,
    product_json,
    refuse,
    whole_body,
)
from mockserver.journal.state import State, States
from mockserver.journal.trace import Asked, Exchange, Headers, Trace
from mockserver.product import access
from mockserver.product import api_faults as faults
from mockserver.product.keyfactor import Answer, Call, KeyfactorCommand
from mockserver.product.resources import Resources
from mockserver.world.model import World

# RFC 9745 wants a date; that of Command 25.1, which deprecated version 1, is assumed.
_DEPRECATED_SINCE: Final = b"@1735689600"
_UNAUTHORIZED: Final = 401
_LONGEST: Final = 4_096  # octets of headers that are remembered
_OF_A_HEADER: Final = 64  # octets that each takes beside those of its name and value
_SINGLE: Final = frozenset(("authorization", "content-type", "x-mock-namespace"))

_Method = Callable[[Call], Awaitable[object]]
# How a fault breaks the connection off, and the words for that; None if none does.
_Broken = tuple[str, str] | None

_logger = logging.getLogger(__name__)


class Api:
    """Answer every path below the base path, and refuse the rest, as an ASGI application."""

    def __init__(
        self,
        editions: Editions,
        command: KeyfactorCommand,
        states: States,
        check_token: access.CheckToken,
        base_path: str,
    ) -> None:
        self._editions = editions
        self._newest = editions.newest
        contract = self._newest.contract
        self._methods = _methods(contract, command)
        self._tags = {operation.id: operation.tag for operation in contract.operations}
        self._resources: dict[str, Resources] = {}  # by edition
        self._states = states
        self._check_token = check_token
        self._base_path = base_path
        self._judge = Judge()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ASGI has it."""
        answer = await self.answer(Request(scope, receive))
        await answer_at_once(answer, scope, receive, send)

    async def answer(self, request: Request) -> ASGIApp:
        """Answer one request; its exchange is in the journal before the answer leaves."""
        headers, masked = _read_headers(tuple(request.scope["headers"]))
        name = namespace(request.scope, headers)
        try:
            state = self._states.get(name)
        except Problem as no_state:
            # And there is no journal to keep the call in.
            return refuse(no_state, self._states.errors)
        world = state.world
        trace = Trace(request.method, request.scope["path"], masked)
        state.journal.begin_exchange(trace)
        outcome, broken = await self._perform(request, headers, state, trace)
        if isinstance(outcome, Problem):
            # The product writes errors in chunks (recorded), which HTTP/1.0 does not know.
            chunked = request.scope["http_version"] != "1.0"
            problem, response = outcome, refuse(outcome, world.errors, chunked=chunked)
        else:
            problem, response = None, outcome
        response.raw_headers += self._on_every_answer(world, trace)
        answer, status, problem = _ended(request, response, problem, broken)
        exchange = trace.exchange(status, problem, world.errors)
        state.journal.add_exchange(exchange)
        meant = trace.operation or (self._meant(world, trace) if status == _UNAUTHORIZED else None)
        self._states.coverage.count(meant, exchange, world, trace.asked)
        _log(exchange, name)
        return answer

    def _meant(self, world: World, trace: Trace) -> str | None:
        """Return the operation that somebody unknown asked for, which no other step looked up."""
        contract = self._editions[world.edition].contract
        with suppress(Problem):
            return contract.operation(self.below(trace.path), trace.method, trace.version).id
        return None

    def _on_every_answer(self, world: World, trace: Trace) -> list[tuple[bytes, bytes]]:
        """Return the headers of every answer: three are recorded, the last one is ours."""
        identity, edition = trace.request_id.encode(), self._editions[world.edition]
        found = []
        if trace.deprecated and world.deprecation_header:
            found.append((b"deprecation", _DEPRECATED_SINCE))
        if edition.version_headers:
            if (versions := self._supported(world, edition, trace)) is not None:
                found.append((b"api-supported-versions", versions.encode()))
            groups = identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:]
            found.append((b"x-keyfactor-correlation-id", b"-".join(groups)))
            found.append((b"x-keyfactor-product-version", self._product(world, edition).encode()))
        found.append((b"x-mock-request-id", identity))
        return found

    def _product(self, world: World, edition: Edition) -> str:
        """Return the version that a world names, or that of its edition where it names none."""
        named = world.product_version != self._newest.product_version
        return world.product_version if named else edition.product_version

    def _supported(self, world: World, edition: Edition, trace: Trace) -> str | None:
        """Return the versions of the controller that a path belongs to, None where none does."""
        tag = self._tags.get(trace.operation or "")
        if tag is None:  # refused before its operation was found
            try:
                tag = edition.contract.tag(self.below(trace.path))
            except Problem:
                return None
        given = world.api_supported_versions
        return given.get(tag, given.get("*", edition.versions[tag])) or None

    async def _perform(
        self, request: Request, headers: Mapping[str, str], state: State, trace: Trace
    ) -> tuple[Response | Problem, _Broken]:
        """Admit the request, do what a fault says, and operate."""
        broken: _Broken = None
        try:
            with contained(trace.request_id):
                found = self._admitted(request, headers, state, trace)
                if isinstance(found, Response):
                    return found, None
                header = found.headers.get(faults.HEADER.lower())
                fault, source = faults.due(state, found.world, found.operation.id, header)
                early = None
                if fault is not faults.NONE:
                    early = await faults.delayed(request, fault, state, trace)
                    if fault.breaks_off:
                        broken = fault.breaks_off, f"{fault.breaks_off}, as {source} says"
                    faults.check(fault, source)
                return await self._operate(found, early), broken
        except Problem as refusal:
            return refusal.with_traceback(None), broken  # which holds all that it passed through

    def _admitted(
        self, request: Request, headers: Mapping[str, str], state: State, trace: Trace
    ) -> "_Admitted | Response":
        """Take the first steps: 404, 401, 405; OPTIONS is answered here."""
        world = state.world
        edition = self._editions[world.edition]
        contract = edition.contract
        trace.version = contract.version(headers.get(VERSION_HEADER))
        # Not request.url.path: that ends where a %3F was, and drops line ends.
        path = self.below(request.scope["path"])
        identity = access.authenticate(world, headers.get("authorization"), self._check_token)
        trace.identity = identity.name
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": contract.allow(path)})
        operation = contract.operation(path, request.method, headers.get(VERSION_HEADER))
        trace.operation = operation.id
        trace.deprecated = operation.deprecated
        if operation.deprecated:
            trace.upgrade = edition.upgrades.get(operation.id)
        caller = headers, identity
        return _Admitted(request, state, world, trace, contract, path, *caller, operation)

    async def _operate(
        self, found: "_Admitted", early: bytes | Problem | None
    ) -> Response | Problem:
        """Take the other steps: 403, 413, 415, 400; `early` is the body if it was read already."""
        request, trace, operation = found.request, found.trace, found.operation
        query = request.query_params.multi_items() if request.scope["query_string"] else ()
        given = operation.given(found.path, query)
        try:
            access.require(found.identity, operation.required(given), trace)
        except Problem:
            if early is not None or "expect" not in found.headers:
                # The journal has the body, so that the call can be sent again by another caller.
                with suppress(Problem):
                    octets = _whole(found, await whole_body(request) if early is None else early)
                    media = found.headers.get("content-type")
                    operation.read(media, octets)
                    trace.body = seal(operation, media, octets)
            raise
        octets = _whole(found, await whole_body(request) if early is None else early)
        with trace.step("check"):
            sent = Sent(found.path, tuple(query), operation.headers(found.headers), octets)
            judged = self._judge.judge(operation, sent, lenient=found.world.lenient)
        trace.body = judged.sealed
        trace.note(*judged.notes)
        trace.violations = judged.violations
        if judged.violations:
            return Problem(judged.kind, judged.message)
        body = json.loads(judged.body)
        filled = operation.filled(body or {})
        trace.asked = Asked(body, given, tuple(dict(query)))
        caller = found.state, found.world, found.identity
        call = Call(*caller, given, filled, trace, found.contract, found.headers)
        return _answered(await self._done(operation, call), operation.status)

    def _done(self, operation: Operation, call: Call) -> Awaitable[object]:
        """Do what an operation asks for: by its method, or where it has none as a resource."""
        if operation.id in self._methods:
            return self._methods[operation.id](call)
        edition = call.world.edition
        if edition not in self._resources:
            self._resources[edition] = Resources(call.contract.operations)
        return self._resources[edition].answer(operation, call)

    def below(self, path: str) -> str:
        """Return the path below the base path, slashes folded; letter case is free. Problem 404."""
        folded = "/" + "/".join([part for part in path.split("/") if part])
        base, below = folded[: len(self._base_path)], folded[len(self._base_path) :]
        if base.lower() == self._base_path.lower() and below[:1] == "/":
            return below
        text = f": the API is below {self._base_path}, the control calls are below /_mock"
        if folded.lower() == self._base_path.lower():
            example = self._base_path + self._newest.contract.operations[0].path
            text = f" itself: a path of the API goes on, such as {example}"
        raise Problem(Kind.NOT_FOUND, f"nothing is at {cut(folded)}{text}")


class _Admitted(NamedTuple):
    """A request whose caller and operation are known, with the world as it was when it came in."""

    request: Request
    state: State
    world: World
    trace: Trace
    contract: Contract
    path: str
    headers: Mapping[str, str]
    identity: access.Identity
    operation: Operation


def methods_of(command: type[KeyfactorCommand] | KeyfactorCommand) -> frozenset[str]:
    """Return the ids of the operations that have a method."""
    return frozenset(name for name in dir(command) if not name.startswith("_"))


def _methods(contract: Contract, command: KeyfactorCommand) -> Mapping[str, _Method]:
    documented = {operation.id for operation in contract.operations}
    written = methods_of(command)
    if unknown := written - documented:
        text = f"no document has the operations {', '.join(sorted(unknown))}"
        raise DocumentError(type(command).__name__, [("", text)])
    return {name: getattr(command, name) for name in written}


@lru_cache(maxsize=64)
def _read_headers(raw: tuple[tuple[bytes, bytes], ...]) -> tuple[Mapping[str, str], Headers]:
    """Return headers by their names, and as the journal keeps them; remembered, as they recur.

    Repeated headers are joined with commas, so they match no allowed single value; of those that
    are no lists the first one counts.
    """
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    if sum(_OF_A_HEADER + len(name) + len(value) for name, value in raw) > _LONGEST:
        _read_headers.cache_clear()  # of such at most one is remembered
    # RFC 9110, 5.3 and 5.5: lines of one name are a list; white space around a value is no part.
    combined: dict[str, str] = {}
    for name, value in pairs:
        if name not in combined:
            combined[name] = value.strip()
        elif name not in _SINGLE:
            combined[name] += f", {value.strip()}"
    return combined, tuple(masking.headers(pairs))


def _ended(
    request: Request, response: Response, problem: Problem | None, broken: _Broken
) -> tuple[ASGIApp, int | None, Problem | None]:
    """Return the answer, and status and problem for the journal, after faults and departures."""
    answer: ASGIApp = response
    status: int | None = response.status_code
    if broken is not None:
        answer, status, problem = faults.break_off(request, response, problem, broken)
    if (left := _left(request, response, problem)) is not None:
        return answer, None, left
    return answer, status, problem


def _left(request: Request, response: Response, problem: Problem | None) -> Problem | None:
    """Return the problem for the journal if the client left before the answer, else None."""
    if problem is not None and problem.kind is Kind.CLIENT_LEFT:
        return problem
    left = request.scope.get("state", {}).get(LEFT)
    if left is None or not left.is_set():
        return None
    answer = problem.message if problem else f"status {response.status_code}"
    text = f"the client closed the connection before the answer ({answer})"
    return Problem(Kind.CLIENT_LEFT, text)


def _whole(found: _Admitted, octets: bytes | Problem) -> bytes:
    """Return the octets of a body that the contract is to judge; a lenient world cuts what follows.

    Raises the Problem for which a body was refused before.
    """
    if isinstance(octets, Problem):
        raise octets
    if found.world.lenient and (first := first_value(octets)) is not octets:
        text = "the text after the JSON object was ignored"
        found.trace.note(Note("", NoteKind.TRAILING_TEXT, text, NoteKind.TRAILING_TEXT))
        return first
    return octets


def _answered(value: object, status: int) -> Response:
    answer = value if isinstance(value, Answer) else Answer(value, {})
    response = Response(status_code=status)
    if answer.body is not None:
        response = product_json(answer.body, status)
    if answer.headers:
        response.headers.update(answer.headers)
    return response


def _log(exchange: Exchange, name: str) -> None:
    if not _logger.isEnabledFor(logging.INFO):
        return
    fields = {
        "id": exchange.id,
        "namespace": name or None,
        "method": exchange.method,
        "path": exchange.path,
        "version": exchange.version,
        "operation": exchange.operation,
        "identity": exchange.identity,
        "status": exchange.status,
        "code": exchange.problem and exchange.problem.code,
        "ms": exchange.duration_ms,
        "problem": exchange.problem and one_line(exchange.problem.message),
    }
    logs.info(_logger, fields)

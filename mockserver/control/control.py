"""The `/_mock` endpoints: what arrived, what happened, and the world."""

import asyncio
import json
import re
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.base.certificates import Authority
from mockserver.base.jsontext import Json, parse_json, plain_text
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut, media_type, one_line
from mockserver.control import streams
from mockserver.control.guard import CHAIN, CRL, PREFIX, Guard
from mockserver.control.impact import Impact
from mockserver.control.listing import Lists, find, matching, query_of
from mockserver.http import wire
from mockserver.http.wire import namespace, read_body, refuse
from mockserver.journal.coverage import report
from mockserver.journal.filters import exchange_filter, message_filter, session_filter, token_filter
from mockserver.journal.journal import Entry, Shelf
from mockserver.journal.state import State, States
from mockserver.journal.story import exchange_text, message_line, session_text, token_line
from mockserver.oauth.idp import MOUNT, IdentityProvider
from mockserver.world.reading import WorldError
from mockserver.world.rules import masked

if TYPE_CHECKING:
    from starlette.routing import Mount, Route

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")
_PATCHES: Final = ("application/merge-patch+json", "application/json")  # RFC 5789, 3.1
# The answers belong to a test, not to a cache, to a page that guesses types, or to a foreign frame.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class Control:
    """Answer the control calls, as an ASGI application.

    `status` gives the index page's facts, `ready` among them.
    """

    def __init__(  # noqa: PLR0913  # each is a part of the mock that some call shows
        self,
        states: States,
        impact: Impact,
        authority: Authority,
        *,
        guard: Guard,
        idp: IdentityProvider,
        status: Callable[[], Json],
    ) -> None:
        self._states = states
        self._impact = impact
        self._authority = authority
        self._guard = guard
        self._status = status
        self._idp = idp
        self._lists = Lists(_HEADERS)

    @cached_property
    def _app(self) -> ASGIApp:
        return wire.application(self._routes(), _shown, f"not a control call; {PREFIX} lists them")

    def _routes(self) -> "list[Route | Mount]":
        from starlette.routing import Mount, Route  # noqa: PLC0415  # see `wire.application`

        return [
            Route("/livez", self._livez),
            Route("/readyz", self._readyz),
            Route(PREFIX, self._index),
            Route(f"{PREFIX}/messages", self._messages),
            Route(f"{PREFIX}/messages", self._delete_messages, methods=["DELETE"]),
            Route(f"{PREFIX}/messages/{{id}}", self._message),
            Route(f"{PREFIX}/messages/{{id}}/raw", self._raw_message),
            Route(f"{PREFIX}/messages/{{id}}/attachments/{{number}}", self._attachment),
            Route(f"{PREFIX}/sessions", self._sessions),
            Route(f"{PREFIX}/sessions/{{id}}", self._session),
            Route(f"{PREFIX}/tokens", self._tokens),
            Route(f"{PREFIX}/requests", self._requests),
            Route(f"{PREFIX}/requests/{{id}}", self._request),
            Route(f"{PREFIX}/reset", self._reset, methods=["POST"]),
            Route(f"{PREFIX}/events", self._events),
            Route(f"{PREFIX}/ns/{{name}}", self._drop, methods=["DELETE"]),
            Route(f"{PREFIX}/world", self._world),
            Route(f"{PREFIX}/world", self._patch_world, methods=["PATCH"]),
            Route(f"{PREFIX}/openapi/{{name}}.json", self._openapi),
            Route(f"{PREFIX}/editions", self._judged),
            Route(f"{PREFIX}/editions/check", self._judge, methods=["POST"]),
            Route(f"{PREFIX}/coverage", self._coverage),
            Route(f"{PREFIX}/coverage", self._forget_coverage, methods=["DELETE"]),
            Route(f"{PREFIX}/ca.pem", self._ca),
            Route(CRL, self._crl),
            Route(CHAIN, self._chain),
            Mount(MOUNT, self._identity_provider),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ASGI has it."""
        request = Request(scope, receive)
        try:
            self._guard.check(request.method, scope["path"], request.headers)
        except Problem as problem:
            await refuse(problem, scope[wire.ERRORS], plain_text)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _livez(self, _: Request) -> Response:
        return Response("alive\n", media_type="text/plain", headers=_HEADERS)

    async def _readyz(self, _: Request) -> Response:
        ready = bool(self._status()["ready"])
        text = "ready\n" if ready else "not ready\n"
        return Response(text, 200 if ready else 503, _HEADERS, "text/plain")

    async def _index(self, _: Request) -> Response:
        links = sorted({each.path for each in self._routes()})
        return _json({**self._status(), "states": list(self._states), "links": links})

    async def _messages(self, request: Request) -> Response:
        shelf = self._state(request).journal.messages
        return await self._lists.answer(request, "messages", shelf, message_filter, message_line)

    async def _delete_messages(self, request: Request) -> Response:
        matches = matching(message_filter, query_of(request))
        self._state(request).journal.remove_messages(matches)
        return Response(status_code=204, headers=_HEADERS)

    async def _message(self, request: Request) -> Response:
        return _json(_one(request, self._state(request).journal.messages).as_json())

    async def _raw_message(self, request: Request) -> Response:
        message = _one(request, self._state(request).journal.messages)
        return Response(message.raw, headers=_HEADERS, media_type="message/rfc822")

    async def _attachment(self, request: Request) -> Response:
        """Answer one attachment, by its place in `attachments`: the first is 0."""
        attachments = _one(request, self._state(request).journal.messages).attachments
        files = {str(place): file for place, file in enumerate(attachments)}
        number = request.path_params["number"]
        if (file := files.get(number)) is None:
            text = f"the message has {len(files)} attachments; the first is 0"
            raise Problem(Kind.CONTROL, text, status=404)
        name = quote(file.filename or f"attachment-{number}", safe="", errors="replace")
        # Never shown by a browser: whoever wrote the mail would speak for the mock.
        known = _MEDIA_TYPE.fullmatch(file.content_type)
        headers = {
            **_HEADERS,
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Content-Security-Policy": f"{_HEADERS['Content-Security-Policy']}; sandbox",
            "Content-Type": file.content_type if known else "application/octet-stream",
        }
        return Response(file.content, headers=headers)

    async def _sessions(self, request: Request) -> Response:
        shelf = self._state(request).journal.sessions
        return await self._lists.answer(request, "sessions", shelf, session_filter, session_text)

    async def _session(self, request: Request) -> Response:
        return _json(_one(request, self._state(request).journal.sessions).as_json())

    async def _tokens(self, request: Request) -> Response:
        shelf = self._state(request).journal.tokens
        return await self._lists.answer(request, "tokens", shelf, token_filter, token_line)

    async def _requests(self, request: Request) -> Response:
        shelf = self._state(request).journal.exchanges
        make = partial(
            exchange_filter,
            operations=self._impact.editions.newest.contract.operations,
            errors=self._state(request).world.errors,
        )
        return await self._lists.answer(request, "requests", shelf, make, exchange_text)

    async def _request(self, request: Request) -> Response:
        journal = self._state(request).journal
        exchange = _one(request, journal.exchanges)
        accept = request.headers.get("accept", "")
        if "text/plain" not in accept or "json" in accept:
            return _json(exchange.as_json())
        text = exchange_text(exchange, journal.messages.find(exchange.message_id))
        return Response(text, headers=_HEADERS, media_type="text/plain")

    async def _reset(self, request: Request) -> Response:
        self._states.reset(namespace(request.scope, request.headers))
        return Response(status_code=204, headers=_HEADERS)

    async def _drop(self, request: Request) -> Response:
        self._states.drop(request.path_params["name"])
        return Response(status_code=204, headers=_HEADERS)

    async def _events(self, request: Request) -> Response:
        # Before the answer begins, so that the client misses nothing once it has that.
        follower = self._state(request).journal.feed.follow()
        headers = {**_HEADERS, "Content-Type": "text/event-stream; charset=utf-8"}
        if request.method == "HEAD":
            return Response(headers=headers)
        return StreamingResponse(streams.events(follower), headers=headers)

    async def _world(self, request: Request) -> Response:
        return _json(masked(self._state(request).world))

    async def _patch_world(self, request: Request) -> Response:
        kind = media_type(request.headers.get("content-type", ""))
        if kind not in _PATCHES:
            text = (
                f"a patch has the Content-Type {' or '.join(_PATCHES)}, not {cut(kind) or 'none'}"
            )
            raise Problem(Kind.CONTROL, text, {"Accept-Patch": ", ".join(_PATCHES)}, status=415)
        state = self._state(request)
        try:
            state.patch_world(parse_json(await read_body(request)))
        except WorldError as error:
            raise Problem(Kind.CONTROL, str(error)) from None
        return _json(masked(state.world))

    async def _openapi(self, request: Request) -> Response:
        name = request.path_params["name"]
        contract = self._impact.editions[self._state(request).world.edition].contract
        published = {f"v{version}": each for version, each in contract.documents.items()}
        document = {**contract.resources, **published}.get(name)
        if document is None:
            raise HTTPException(404)
        # In ASCII, which every reader of JSON and YAML takes.
        return Response(json.dumps(document), headers=_HEADERS, media_type="application/json")

    async def _judged(self, request: Request) -> Response:
        state = self._state(request)
        own, calls = state.world.edition, tuple(state.journal.exchanges)
        # So many calls, each by every edition, are not for the loop.
        return _json(await asyncio.to_thread(self._impact.of_calls, own, calls))

    async def _judge(self, request: Request) -> Response:
        return _json(self._impact.of_question(parse_json(await read_body(request))))

    async def _coverage(self, request: Request) -> Response:
        globs = _asked(request, "operations")
        return _json(report(self._states.coverage.tried(), globs))

    async def _forget_coverage(self, _: Request) -> Response:
        self._states.coverage.clear()
        return Response(status_code=204, headers=_HEADERS)

    async def _ca(self, _: Request) -> Response:
        return Response(self._authority.pem, headers=_HEADERS, media_type="application/x-pem-file")

    async def _crl(self, request: Request) -> Response:
        from mockserver.product.certificates import revocations  # noqa: PLC0415  # few need it

        asked = next(iter(_asked(request, "authority")), None)
        try:
            octets = revocations(self._state(request), asked)
        except ValueError as unknown:
            raise Problem(Kind.CONTROL, str(unknown), status=404) from None
        return Response(octets, headers=_HEADERS, media_type="application/pkix-crl")

    async def _chain(self, request: Request) -> Response:
        from mockserver.product.certificates import chain_pem  # noqa: PLC0415  # few need it

        pem = chain_pem(self._state(request))
        return Response(pem, headers=_HEADERS, media_type="application/x-pem-file")

    async def _identity_provider(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play the mock's own token endpoint under the name that the client calls it by."""
        request = Request(scope)
        prefix = scope.get(wire.PREFIX, PREFIX)
        url = str(request.url.replace(path=f"{prefix}/idp/token", query=""))
        state = self._state(request)
        outside = {**scope, "path": prefix + scope["path"].removeprefix(PREFIX)}
        try:
            site = self._idp.play(state.world, url, state.journal.add_token)
            await site(outside, receive, send)
        except ConnectionRefusedError:
            # The connection is open already; this comes nearest to refusing one.
            await Response(status_code=503, headers=_HEADERS)(scope, receive, send)

    def _state(self, request: Request) -> State:
        return self._states.get(namespace(request.scope, request.headers))


def _one(request: Request, shelf: Shelf[Entry]) -> Entry:
    return find(shelf, request.path_params["id"])


def _asked(request: Request, known: str) -> list[str]:
    """Return the values of the only parameter that a call has; Problem for another name."""
    for name in request.query_params:
        if name != known:
            text = f"{one_line(name)}: unknown; the one parameter here is {known}"
            raise Problem(Kind.CONTROL, text)
    return request.query_params.getlist(known)


def _json(value: object) -> Response:
    return JSONResponse(value, headers=_HEADERS)


def _shown(request: Request, problem: Problem) -> Response:
    response = refuse(problem, request.scope[wire.ERRORS], plain_text)
    response.headers.update(_HEADERS)
    return response

"""The HTTP form of bodies and problems, and what the application and its listener agree on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mockserver.problems import Code, Problem

MAX_BODY: Final = 1024 * 1024
MAX_DISCARDED: Final = 16 * 1024 * 1024

# Names in a scope whose URL names a namespace: its name, and the path that leads to it.
NAMESPACE: Final = "keyfactor_mock.namespace"
PREFIX: Final = "keyfactor_mock.prefix"
TOKEN_COOKIE: Final = "keyfactor_mock_token"  # noqa: S105  # its name
# Names in `scope["state"]`: a function that ends the connection, the event of the client's leaving,
# and the Problem for which the listener has read no more of the body.
BREAK_OFF: Final = "keyfactor_mock.break_off"
LEFT: Final = "keyfactor_mock.left"
UNREAD: Final = "keyfactor_mock.unread"


def namespace(request: Request) -> str:
    """Return the name of the state that a request is for: by its URL, else by its header."""
    named: str = request.scope.get(NAMESPACE, "")
    return named or request.headers.get("x-mock-namespace", "").strip()


def token_cookie(headers: Mapping[str, str]) -> str:
    """Return the control token that a browser has as a cookie, or an empty text."""
    return unquote(cookie_parser(headers.get("cookie", "")).get(TOKEN_COOKIE, ""))


def product_json(value: object, status: int = 200) -> Response:
    """Answer JSON as the product writes it: what means something in HTML is escaped (facts (f))."""
    text = json.dumps(value, separators=(",", ":")).translate(_ESCAPED)
    return Response(text, status, {"Content-Type": "application/json; charset=utf-8"})


_ESCAPED: Final = {ord(character): f"\\u{ord(character):04X}" for character in "'<>&+`"}


def refuse(problem: Problem) -> Response:
    """Answer a problem: the observed two-member body, or an empty one for a 401."""
    if problem.status == 401:  # noqa: PLR2004  # an HTTP status
        response = Response(status_code=401)
    else:
        response = product_json(
            {"ErrorCode": problem.code.value, "Message": problem.message}, problem.status
        )
    response.headers.update(problem.headers)
    return response


@dataclass(frozen=True)
class Broken:
    """Break the connection off in the place of an answer, as an ASGI application.

    `how` is `reset`, `empty`, `malformed`, or `truncate` for the first half of the answer.
    """

    how: str
    response: Response

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        """Leave it to the listener, which has the connection."""
        scope["state"][BREAK_OFF](self.how, self.response)


async def read_body(request: Request) -> bytes:
    """Read the body, or refuse it; a client that sends all of it first gets the refusal too."""
    body = await whole_body(request)
    if isinstance(body, Problem):
        raise body
    return body


async def whole_body(request: Request) -> bytes | Problem:
    """Wait for the end of the body; return it, or why it is refused.

    Problem where that end will not come.
    """
    chunks = []
    size = 0
    # The identity provider is also called without a listener.
    state = request.scope.get("state", {})
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= MAX_BODY:
                chunks.append(chunk)
            elif size > MAX_DISCARDED:
                break
    except ClientDisconnect:
        # Nobody sees the status: the client has left, or the listener has answered.
        ended = Problem(400, Code.CLIENT_LEFT, "the connection ended before the body did")
        raise state.get(UNREAD, ended) from None
    unread: Problem | None = state.get(UNREAD)
    if unread is not None:
        return unread
    if size > MAX_BODY:
        return Problem(413, Code.TOO_LARGE, f"the body is larger than {MAX_BODY} bytes")
    return b"".join(chunks)

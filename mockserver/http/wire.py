"""Bodies and problems as HTTP has them, and what applications and their listener agree on."""

import logging
import traceback
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.base.jsontext import compact_json, dotnet_text
from mockserver.base.problems import Errors, Kind, Problem
from mockserver.base.text import cut

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_MAX_BODY: Final = 1024 * 1024
MAX_DISCARDED: Final = 16 * 1024 * 1024

# ASGI scope keys, set when the URL contains a namespace: its name, and the URL prefix.
NAMESPACE: Final = "keyfactor_mock.namespace"
PREFIX: Final = "keyfactor_mock.prefix"
# And one that is always set: what the loaded world has for refusals that no state has a part in.
ERRORS: Final = "keyfactor_mock.errors"
TOKEN_COOKIE: Final = "keyfactor_mock_token"  # noqa: S105  # its name
# Names in `scope["state"]`: a function that ends the connection, one that writes a whole Response
# where it can and says whether it did, the event of the client's leaving, and the Problem for which
# the listener has read no more of the body.
BREAK_OFF: Final = "keyfactor_mock.break_off"
WRITE: Final = "keyfactor_mock.write"
LEFT: Final = "keyfactor_mock.left"
UNREAD: Final = "keyfactor_mock.unread"

_log = logging.getLogger(__name__)


def namespace(scope: Scope, headers: Mapping[str, str]) -> str:
    """Return the name of the state that a request is for: by its URL, else by its header."""
    named: str = scope.get(NAMESPACE, "")
    return named or headers.get("x-mock-namespace", "").strip()


def token_cookie(headers: Mapping[str, str]) -> str:
    """Return the control token that a browser has as a cookie, or an empty text."""
    return unquote(cookie_parser(headers.get("cookie", "")).get(TOKEN_COOKIE, ""))


def authorization(header: str) -> tuple[str, str]:
    """Split an Authorization header into its scheme, in lower case, and the credentials."""
    scheme, _, credentials = header.partition(" ")
    return scheme.lower(), credentials.strip()


def basic(user: str, password: str) -> str:
    """Return `Authorization` for a user (RFC 7617)."""
    octets = f"{user}:{password}".encode(errors="surrogateescape")  # as the environment has them
    return f"Basic {b64encode(octets).decode()}"


def basic_credentials(text: str) -> tuple[bytes, bytes]:
    """Return name and password from the credentials of the scheme Basic (RFC 7617, 2).

    ValueError says why there are none, and does not quote them.
    """
    try:
        name, colon, password = b64decode(text, validate=True).partition(b":")
    except ValueError:
        raise ValueError("the Basic credentials are not base64") from None
    if not colon:
        raise ValueError("the Basic credentials have no colon")
    return name, password


def readings(octets: bytes) -> list[str]:
    """Decode credentials in each encoding that fits them, UTF-8 and Latin-1.

    RFC 7617, 2.1 leaves it open where the challenge names none, and clients use both.
    """
    texts = [octets.decode("latin-1")]
    with suppress(UnicodeDecodeError):
        texts.insert(0, octets.decode())
    return texts


def product_json(value: object, status: int) -> Response:
    """Answer JSON as the product does where nothing is wrong: nothing escaped (recorded)."""
    return _Json(compact_json(value), status)


class _Json(Response):
    """Answer JSON; Starlette would look through headers of which there are none."""

    def __init__(self, text: str, status: int, *, chunked: bool = False) -> None:
        self.status_code = status
        self.background = None
        self.body = text.encode()
        self.raw_headers = [(b"content-type", _JSON)]
        if not chunked:
            self.raw_headers.insert(0, (b"content-length", b"%d" % len(self.body)))


_JSON: Final = b"application/json; charset=utf-8"


def refuse(
    problem: Problem,
    errors: Errors,
    written: Callable[[str], str] = dotnet_text,
    *,
    chunked: bool = False,
) -> Response:
    """Answer a problem: the recorded two-member body, or an empty one for a 401.

    `written` makes JSON of its message: as the product does, or plainly where the mock speaks. A
    `chunked` body has no length, so that a listener of HTTP/1.1 writes it in chunks.
    """
    status, code = problem.told(errors)
    if status == 401:  # noqa: PLR2004  # an HTTP status
        response = Response(status_code=401)
    else:
        text = f'{{"ErrorCode":"{code}","Message":{written(problem.message)}}}'
        response = _Json(text, status, chunked=chunked)
    if problem.headers:
        response.headers.update(problem.headers)
    return response


class contained:  # noqa: N801  # read after `with`
    """Turn an error that nobody foresaw into Problem 500, and log `name`, its type and its line.

    That is enough to find it; its text or a traceback could show a secret.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, Problem | ClientDisconnect):
            return
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).stem}.{frame.name}:{frame.lineno}"
        _log.error("%s %s at %s", self._name, type(error).__name__, where)
        raise Problem(Kind.INTERNAL, f"the mock failed; its log names {self._name}") from None


class Net:
    """Catch the errors of an application that nobody foresaw, as an ASGI application around it."""

    def __init__(self, application: ASGIApp, errors: Errors) -> None:
        self._application = application
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 500, or break an answer off that has begun."""
        scope[ERRORS] = self._errors
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            with contained(f"{scope['method']} {scope['path']}"):
                await self._application(scope, receive, sending)
        except ClientDisconnect:
            return  # there is nobody to answer
        except Problem as problem:
            if not begun:
                await refuse(problem, self._errors)(scope, receive, send)


def application(
    routes: "Sequence[BaseRoute]", show: Callable[[Request, Problem], Response], no_part: str
) -> ASGIApp:
    """Make an application of routes that answers every refusal by `show`.

    `no_part` ends the sentence on a path or a method that no route has. An error that nobody
    foresaw is left to the net around the whole application.
    """
    # The first call that needs them imports them, as they take some milliseconds of a start.
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101  # the handler of this class
        return show(request, error)

    async def not_served(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # the handler of this class
        path = request.scope["path"]
        text = f"{request.method} {path} is {no_part}"
        if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
            return show(request, Problem(Kind.CONTROL, text, status=error.status_code))
        # Starlette itself names the methods of the first route alone.
        same = [each for each in routes if isinstance(each, Route) and each.path_regex.match(path)]
        allow = ", ".join(sorted({method for each in same for method in each.methods or ()}))
        text, headers = f"{text}; {allow} are", {"Allow": allow}
        return show(request, Problem(Kind.CONTROL, text, headers, status=error.status_code))

    async def unforeseen(_: Request, error: Exception) -> Response:
        raise error

    handlers = {Problem: refuse, HTTPException: not_served, Exception: unforeseen}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


# Of the head and the body of an answer, what is sent.
Part = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True)
class Broken:
    """Send a part of an answer and close the connection, as an ASGI application.

    Without a part nothing is sent, and the connection is reset.
    """

    response: Response
    part: Part | None

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        """Leave it to the listener, which has the connection."""
        scope["state"][BREAK_OFF](self)


async def answer_at_once(answer: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as ASGI has it, but head and body together where the listener takes them so."""
    write = scope.get("state", {}).get(WRITE)
    if write is None or not isinstance(answer, Response) or not write(answer):
        await answer(scope, receive, send)


async def read_body(request: Request) -> bytes:
    """Read the whole body, or raise the Problem for which it is refused."""
    body = await whole_body(request)
    if isinstance(body, Problem):
        raise body
    return body


async def whole_body(request: Request) -> bytes | Problem:
    """Wait for the end of the body, then return it or the Problem for which it is refused.

    Most clients read no answer before they have sent all. A body that ends early raises Problem.
    """
    chunks = []
    size = 0
    # The identity provider is also called without a listener.
    state = request.scope.get("state", {})
    more = True
    while more and size <= MAX_DISCARDED:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            # Nobody sees the status: the client has left, or the listener has answered.
            ended = Problem(Kind.CLIENT_LEFT, "the connection ended before the body did")
            raise state.get(UNREAD, ended)
        size += len(chunk := message.get("body", b""))
        if size <= _MAX_BODY:
            chunks.append(chunk)
        more = message.get("more_body", False)
    unread: Problem | None = state.get(UNREAD)
    if unread is not None:
        return unread
    if size > _MAX_BODY:
        return Problem(Kind.TOO_LARGE, f"the body is larger than {_MAX_BODY} bytes")
    body = b"".join(chunks)
    return (_coding_refused(request) if body else None) or body


def _coding_refused(request: Request) -> Problem | None:
    """Return the refusal of a content coding (RFC 9110, 8.4): nothing here decodes one."""
    if b"content-encoding" not in dict(request.scope["headers"]):
        return None
    listed = ",".join(request.headers.getlist("content-encoding"))
    codings = [coding.strip() for coding in listed.split(",")]
    unknown = [coding for coding in codings if coding.lower() not in {"", "identity"}]
    if not unknown:
        return None
    shown = cut(", ".join(unknown))
    text = f"the body has the content coding {shown}; send it as it is, without Content-Encoding"
    # The header says what would have been taken (RFC 9110, 15.5.16).
    return Problem(Kind.MEDIA_TYPE, text, {"Accept-Encoding": "identity"})

"""The client side of OAuth: fetch a token for a test mail by client credentials (RFC 6749, 4.4)."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlencode, urlsplit

from starlette.types import ASGIApp, Message, Scope

from mockserver.base import masking
from mockserver.base.jsontext import Json
from mockserver.base.masking import Secret
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import normal_url
from mockserver.base.version import __version__
from mockserver.journal.trace import Headers, TokenRequest, Trace
from mockserver.oauth.idp import FORM, discovery_url

_TIMEOUT_S: Final = 30
_MAX_REASON: Final = 500
_OWN_HEADERS: Final = (
    ("Accept", "application/json"),
    ("User-Agent", f"keyfactor-mock/{__version__}"),
)


@dataclass(frozen=True)
class Grant:
    """One client-credentials request (RFC 6749, 4.4); `request_headers` go with every request."""

    client_id: str
    client_secret: Secret
    token_endpoint: str
    scope: str | None = None
    audience: str | None = None
    request_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


async def token(grant: Grant, play: Callable[[str], ASGIApp], trace: Trace) -> Secret:
    """Fetch the discovery document, the key set and a token, each anew.

    `play` returns the server behind a token URL; nothing is dialled. The trace gets each request.
    Problem 400 names the TokenEndpoint, and never a secret.
    """
    url = normal_url(grant.token_endpoint)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await _TokenClient(grant, url, play(url), trace).fetch()
    except TimeoutError:
        text = f"TokenEndpoint {masking.url(url)}: no answer within {_TIMEOUT_S} seconds"
        raise Problem(Kind.TOKEN, text) from None


class _TokenClient:
    """The requests to one identity provider for one token."""

    def __init__(self, grant: Grant, url: str, server: ASGIApp, trace: Trace) -> None:
        self._grant = grant
        self._url = url
        self._server = server
        self._trace = trace

    async def fetch(self) -> Secret:
        """Make the three requests, and return the token; the relay judges whether it is valid."""
        document = await self._ask("discovery", discovery_url(self._url))
        await self._ask("jwks", document["jwks_uri"])
        answer = await self._ask("token", self._url, self._form())
        text = answer.get("access_token")
        if not isinstance(text, str):
            raise self._problem("the token answer has no access_token")
        if str(answer.get("token_type")).lower() != "bearer":
            raise self._problem("the token_type is not Bearer")
        return Secret(text)

    def _form(self) -> bytes:
        asked = {"scope": self._grant.scope, "audience": self._grant.audience}
        form = {
            "grant_type": "client_credentials",
            "client_id": self._grant.client_id,
            "client_secret": self._grant.client_secret.reveal(),
            **{name: value for name, value in asked.items() if value is not None},
        }
        return urlencode(form).encode()

    async def _ask(self, kind: str, url: str, form: bytes | None = None) -> Json:
        """Send a GET, or a POST where there is a form, and return the object of the answer."""
        headers = self._headers(url, form)
        record = TokenRequest(
            masking.url(url),
            kind,
            tuple(masking.headers(headers)),
            scope=self._grant.scope if form else None,
            audience=self._grant.audience if form else None,
        )
        asked = self._trace.token_requests
        self._trace.token_requests = (*asked, record)
        try:
            with self._trace.step(f"token request {kind}"):
                status, content = await _answer(self._server, url, headers, form)
        except OSError as error:
            raise self._problem(f"{kind} request: {error}") from None
        self._trace.token_requests = (*asked, _lately(replace(record, status=status)))
        if status != 200:  # noqa: PLR2004  # an HTTP status
            raise self._problem(f"{kind} request: HTTP {status}{_oauth_error(content)}")
        answer = _json_object(content)
        if answer is None:
            raise self._problem(f"the {kind} answer is no JSON object")
        return answer

    def _headers(self, url: str, form: bytes | None) -> Headers:
        """Return the headers of a request; a RequestHeader stands in for ours of that name."""
        own = [("Host", urlsplit(url).netloc), *_OWN_HEADERS]
        given = self._grant.request_headers
        if form is not None:
            # Whatever RequestHeaders say, the body is a form.
            given = tuple(pair for pair in given if pair[0].lower() != "content-type")
            own += [("Content-Type", FORM), ("Content-Length", str(len(form)))]
        names = {name.lower() for name, _ in given}
        return *(pair for pair in own if pair[0].lower() not in names), *given

    def _problem(self, reason: str) -> Problem:
        return Problem(Kind.TOKEN, f"TokenEndpoint {masking.url(self._url)}: {reason}")


async def _answer(
    server: ASGIApp, url: str, headers: Headers, form: bytes | None
) -> tuple[int, bytes]:
    """Send a request to an ASGI application (ASGI 3.0, HTTP); return status and body."""
    parts = urlsplit(url)
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET" if form is None else "POST",
        "scheme": parts.scheme,
        "path": unquote(parts.path) or "/",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    answer: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": form or b""}

    async def send(message: Message) -> None:
        answer.append(message)

    await server(scope, receive, send)
    return answer[0]["status"], b"".join(message.get("body", b"") for message in answer)


@lru_cache(maxsize=8)
def _lately(request: TokenRequest) -> TokenRequest:
    """Return an equal request, if there was one lately, so that it is held once."""
    return request


def _json_object(content: bytes | str) -> Json | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _oauth_error(content: bytes) -> str:
    """Return the error of a refused token request (RFC 6749, 5.2), after a comma."""
    answer = _json_object(content) or {}
    words = (answer.get("error"), answer.get("error_description"))
    return "".join(f", {word}" for word in words if isinstance(word, str))[:_MAX_REASON]

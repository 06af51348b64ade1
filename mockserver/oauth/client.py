"""The client side of OAuth: fetch a token for a test mail by client credentials (RFC 6749, 4.4)."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from mockserver.base import masking
from mockserver.base.jsontext import Json
from mockserver.base.masking import Secret
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import host_name, shared
from mockserver.journal.trace import Headers, TokenRequest, Trace
from mockserver.oauth.idp import discovery_url

if TYPE_CHECKING:
    import httpx2

_TIMEOUT_S: Final = 30
_MAX_REASON: Final = 500


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
    import httpx2  # noqa: PLC0415  # takes as long as half of the program, and only OAuth needs it

    url = _url(grant.token_endpoint)
    transport = httpx2.ASGITransport(play(url))
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as http:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await _TokenClient(grant, url, http, trace).fetch()
        except TimeoutError:
            text = f"TokenEndpoint {masking.url(url)}: no answer within {_TIMEOUT_S} seconds"
            raise Problem(Kind.TOKEN, text) from None


def _url(text: str) -> str:
    """Return a token endpoint with a host in A-labels; Problem for one that cannot be called."""
    from httpx2 import URL, InvalidURL  # noqa: PLC0415  # as above

    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
        url = URL(parts._replace(netloc=host_name(parts.hostname or "") + port).geturl())
        _ = url.host  # what every request asks for: it reads the A-labels again
    except (InvalidURL, ValueError):
        shown = f"TokenEndpoint {masking.url(text)}: its host is no name that IDNA knows"
        raise Problem(Kind.TOKEN, shown) from None
    return str(url)


class _TokenClient:
    """The requests to one identity provider for one token."""

    def __init__(self, grant: Grant, url: str, http: "httpx2.AsyncClient", trace: Trace) -> None:
        self._grant = grant
        self._url = url
        self._http = http
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

    def _form(self) -> dict[str, str]:
        asked = {"scope": self._grant.scope, "audience": self._grant.audience}
        return {
            "grant_type": "client_credentials",
            "client_id": self._grant.client_id,
            "client_secret": self._grant.client_secret.reveal(),
            **{name: value for name, value in asked.items() if value is not None},
        }

    async def _ask(self, kind: str, url: str, form: dict[str, str] | None = None) -> Json:
        """Send a GET, or a POST where there is a form, and return the object of the answer."""
        request = self._request(url, form)
        record = TokenRequest(
            masking.url(url),
            kind,
            _kept(request.headers.raw),
            scope=self._grant.scope if form else None,
            audience=self._grant.audience if form else None,
        )
        self._trace.token_requests.append(record)
        try:
            with self._trace.step(f"token request {kind}"):
                response = await self._http.send(request)
        except OSError as error:
            raise self._problem(f"{kind} request: {error}") from None
        self._trace.token_requests[-1] = replace(record, status=response.status_code)
        if response.status_code != 200:  # noqa: PLR2004  # an HTTP status
            reason = f"{kind} request: HTTP {response.status_code}{_oauth_error(response.content)}"
            raise self._problem(reason)
        answer = _json_object(response.content)
        if answer is None:
            raise self._problem(f"the {kind} answer is no JSON object")
        return answer

    def _request(self, url: str, form: dict[str, str] | None) -> "httpx2.Request":
        headers = list(self._grant.request_headers)
        if form is None:
            return self._http.build_request("GET", url, headers=headers)
        # Whatever RequestHeaders say, the body is a form.
        headers = [pair for pair in headers if pair[0].lower() != "content-type"]
        return self._http.build_request("POST", url, headers=headers, data=form)

    def _problem(self, reason: str) -> Problem:
        return Problem(Kind.TOKEN, f"TokenEndpoint {masking.url(self._url)}: {reason}")


def _kept(raw: list[tuple[bytes, bytes]]) -> Headers:
    """Return headers as the journal keeps them; most requests have the same ones."""
    pairs = [(name.decode("ascii"), value.decode("ascii")) for name, value in raw]
    names, values = zip(*masking.headers(pairs), strict=True)
    return _lately(tuple(zip(shared(names), shared(values), strict=True)))


@lru_cache(maxsize=8)
def _lately(headers: Headers) -> Headers:
    """Return equal headers, if there were any lately, so that they are held once."""
    return headers


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

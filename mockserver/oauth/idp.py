"""The identity provider: discovery document, key set, token endpoint, and the check of a token."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.base import masking
from mockserver.base.jsontext import Json
from mockserver.base.masking import Secret
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut, media_type, one_line
from mockserver.http import wire
from mockserver.journal.outside import TokenCall
from mockserver.journal.trace import new_id
from mockserver.world.model import OAuthClient, TokenEndpoint, World

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

MOUNT: Final = "/_mock/idp"
FORM: Final = "application/x-www-form-urlencoded"
# Clients look for either name after the path of the issuer (OpenID Connect Discovery 1.0, 4) or
# before it (RFC 8414, 3.1).
METADATA: Final = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
_API_AUDIENCE: Final = "keyfactor-command"
_OTHER_AUDIENCE: Final = "another-audience.test"
_ALGORITHM: Final = "ES256"
_LIFETIME_S: Final = 3_600
_MAX_PARAMETERS: Final = 100
_MAX_KEPT: Final = 500  # characters of what a client asked for
_Keep = Callable[[TokenCall], None]
_Answer = Callable[[Request], Awaitable[Response]]

_STATUS: Final = {Kind.TOO_LARGE: 413, Kind.MEDIA_TYPE: 415}  # of what RFC 6749 does not foresee
_NOT_STORED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, 5.1
_OWN_ISSUER = re.compile(r"/_mock(?:/ns/[^/]+)?/idp")


class _GrantError(Exception):
    """A refused token request, with its error code (RFC 6749, 5.2; RFC 8693, 2.2.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


class IdentityProvider:
    """Play the token endpoints of all worlds, and sign every token with the same key."""

    def play(self, world: World, token_url: str, keep: _Keep = lambda _: None) -> ASGIApp:
        """Return the server behind a token URL, as an ASGI application.

        `keep` gets each request of a kind that an identity provider knows, with its answer. It
        raises ConnectionRefusedError, as a network would, where the world has no such endpoint or
        says that it is down.
        """
        found = world.token_endpoint(token_url)
        if found is None or found[1].fault == "down":
            return _refuse_connection
        return _Site(self, world, found[1], token_url, keep)

    def issue(self, claims: Json, fault: str | None = None) -> str:
        """Sign a token that is valid for an hour, or has the fault of that name."""
        from joserfc import jwt  # noqa: PLC0415  # takes as long to import as half of the program

        now = int(time.time()) - (2 * _LIFETIME_S if fault == "expired" else 0)
        if fault == "wrong_audience":
            claims = claims | {"aud": _OTHER_AUDIENCE}
        times = {"exp": now + _LIFETIME_S, "iat": now, "nbf": now, "jti": new_id()}
        key = _new_key() if fault == "forged" else self._key
        # RFC 9068, 2.1. A forged token names the genuine key, so only the signature gives it away.
        header = {"alg": _ALGORITHM, "typ": "at+jwt", "kid": self._key.kid}
        return jwt.encode(header, claims | times, key)

    def check(
        self, token: str, audience: str | None = None, *, public: bool = False
    ) -> Mapping[str, Any]:
        """Return the claims of a valid token; ValueError says what is wrong, and quotes nothing.

        With None as `audience` any will do. `public` refuses a token that was issued by one of the
        world's token endpoints for a test mail: a caller of the API gets its token over HTTP.
        """
        from joserfc import jwt  # noqa: PLC0415  # see `issue`
        from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError  # noqa: PLC0415

        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
        except BadSignatureError:
            raise ValueError("its signature is not of this identity provider") from None
        except ExpiredTokenError:
            raise ValueError("it has expired") from None
        except (JoseError, TypeError, ValueError):  # the last two for some malformed headers
            raise ValueError("it is not a token of this identity provider") from None
        if audience is not None and claims["aud"] != audience:
            raise ValueError("it is for another audience")
        if public and not _OWN_ISSUER.fullmatch(urlsplit(claims["iss"]).path):
            raise ValueError("it is of another issuer")
        return claims

    def key_set(self) -> Json:
        """Return the public key as a JWK set (RFC 7517, 5)."""
        return {"keys": [self._key.as_dict(private=False)]}

    @cached_property
    def _key(self) -> "ECKey":
        return _new_key()


def discovery_url(token_url: str) -> str:
    """Return the URL of the discovery document that belongs to a token endpoint."""
    return f"{_issuer(token_url)}{METADATA[0]}"


def _issuer(token_url: str) -> str:
    parts = urlsplit(token_url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}"


@dataclass(frozen=True)
class _Site:
    """The server behind one token URL, as an ASGI application."""

    idp: IdentityProvider
    world: World
    endpoint: TokenEndpoint
    token_url: str
    keep: _Keep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, issuer = Request(scope, receive), _issuer(self.token_url)
        routes: list[tuple[str, str, str, _Answer]] = [
            *[("GET", path, "discovery", self._discovery) for path in _metadata_paths(issuer)],
            ("GET", _path(f"{issuer}/jwks"), "jwks", self._key_set),
            ("GET", _path(f"{issuer}/authorize"), "", _authorize),
            ("POST", _path(f"{issuer}/authorize"), "", _authorize),
            ("POST", _path(self.token_url), "token", self._token),
        ]
        here = {method: (kind, do) for method, path, kind, do in routes if path == scope["path"]}
        if request.method in here:
            await asyncio.sleep(self.endpoint.delay)
            response = await here[request.method][1](request)
        else:
            response = self._refusal(request, ", ".join(here))
        if kind := next((kind for kind, _ in reversed(here.values())), ""):
            self.keep(_told(request, self.token_url, kind, response))
        response.headers.update(_NOT_STORED)
        await response(scope, receive, send)

    def _refusal(self, request: Request, allow: str) -> Response:
        """Refuse a path at which nothing is, or a method other than those that it allows."""
        if allow:
            text = f"{request.method} is not allowed, only {allow}"
            return _refused(_GrantError("invalid_request", text, 405), {"Allow": allow})
        path = one_line(request.scope["path"])
        text = f"nothing is at {path}; the token endpoint is {self.token_url}"
        return _refused(_GrantError("invalid_request", text, 404))

    async def _discovery(self, _: Request) -> Response:
        """Answer with the metadata of RFC 8414, 2 and of OpenID Connect Discovery 1.0, 3."""
        issuer = _issuer(self.token_url)
        return JSONResponse(
            {
                "issuer": issuer,
                # No user can log in here, and there are no ID tokens. But MSAL for Python requires
                # this endpoint, and clients that validate metadata require "code" and "RS256".
                "authorization_endpoint": f"{issuer}/authorize",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256", _ALGORITHM],
                "token_endpoint": self.token_url,
                "jwks_uri": f"{issuer}/jwks",
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "subject_types_supported": ["public"],
            }
        )

    async def _key_set(self, _: Request) -> Response:
        return JSONResponse(self.idp.key_set(), media_type="application/jwk-set+json")

    async def _token(self, request: Request) -> Response:
        try:
            return self._granted(*await _asked(request, self.world))
        except _GrantError as refusal:
            request.state.error = refusal.error
            response = _refused(refusal)
            # RFC 6749, 5.2: only a client that used the header gets a challenge.
            if refusal.status == 401 and "authorization" in request.headers:  # noqa: PLR2004  # an HTTP status
                response.headers["WWW-Authenticate"] = 'Basic realm="identity provider"'
            return response

    def _granted(self, client_id: str, client: OAuthClient, form: Mapping[str, str]) -> Response:
        """Answer with a token (RFC 6749, 5.1), or as the endpoint's fault says."""
        fault = self.endpoint.fault
        scope, audience = _scope(client, form), _audience(client, form)
        if fault == "garbage":
            return Response("<!doctype html><title>Service</title>", media_type="text/html")
        claims = {"iss": _issuer(self.token_url), "sub": client_id, "aud": audience, "scope": scope}
        answer = {
            "access_token": self.idp.issue(claims, fault),
            "token_type": "mac" if fault == "wrong_type" else "Bearer",
            "expires_in": _LIFETIME_S,
            "scope": scope,
        }
        hidden = "access_token" if fault == "no_token" else "" if scope else "scope"
        return JSONResponse({name: value for name, value in answer.items() if name != hidden})


def _told(request: Request, token_url: str, kind: str, response: Response) -> TokenCall:
    """Return what is kept of a request: what it asked for, and never a secret."""
    found = request.scope.get("state", {})
    form, site = found.get("form", {}), urlsplit(token_url)

    def asked(name: str) -> str | None:
        value = found.get(name) or form.get(name)
        return value and cut(value, _MAX_KEPT)

    return TokenCall(
        url=f"{site.scheme}://{site.netloc}{request.scope['path']}",
        kind=kind,
        headers=tuple(masking.headers(request.headers.items())),
        status=response.status_code,
        error=found.get("error"),
        client_id=asked("client_id"),
        scope=asked("scope"),
        audience=asked("audience"),
    )


async def _asked(request: Request, world: World) -> tuple[str, OAuthClient, Mapping[str, str]]:
    """Return the client of a client-credentials request, and the form (RFC 6749, 4.4.2)."""
    request.state.form = form = await _form(request)
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise _GrantError("invalid_request", "grant_type is missing")
    if grant_type != "client_credentials":
        raise _GrantError("unsupported_grant_type", "only client_credentials is supported")
    names, secrets = _credentials(request.headers.get("authorization"), form)
    request.state.client_id = names[0]
    return *_authenticated(world, names, secrets), form


def _authenticated(
    world: World, names: Sequence[str], secrets: Sequence[str]
) -> tuple[str, OAuthClient]:
    """Return the client that has one of these names and one of these secrets."""
    # Where the world knows none of the names, its entry for any client gets the likeliest one.
    for name in [name for name in names if name in world.oauth_clients] or names[:1]:
        client = world.oauth_client(name)
        # An unknown client takes as long as a wrong secret.
        expected = (client and client.secret) or Secret(secrets[0])
        if expected.is_one_of(secrets) and client is not None:
            return name, client
    raise _unknown_client("unknown client, or wrong secret")


async def _form(request: Request) -> Mapping[str, str]:
    if media_type(request.headers.get("content-type", "")) != FORM:
        raise _GrantError("invalid_request", f"send the parameters as {FORM}")
    try:
        body = (await wire.read_body(request)).decode()
        pairs = parse_qsl(body, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except Problem as problem:
        status = problem.status or _STATUS.get(problem.kind, 400)
        raise _GrantError("invalid_request", problem.message, status) from None
    except ValueError:
        raise _GrantError("invalid_request", "the body is no form in UTF-8") from None
    # RFC 6749, 3.2: no parameter may be repeated, and one without a value counts as absent.
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise _GrantError("invalid_request", "a parameter stands twice")
    return dict(pairs)


def _credentials(
    authorization: str | None, form: Mapping[str, str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Return client id and secret, from the header or else from the form (RFC 6749, 2.3).

    Each is a list of what the client may have meant.
    """
    if authorization is None:
        if "client_id" not in form or "client_secret" not in form:
            raise _unknown_client("client_id or client_secret is missing")
        return [form["client_id"]], [form["client_secret"]]
    if "client_secret" in form:
        raise _GrantError("invalid_request", "the client authenticates in two ways")
    names, secrets = _basic(authorization)
    names = [name for name in names if form.get("client_id", name) == name]
    if not names:
        raise _GrantError("invalid_request", "client_id is not that of the Authorization header")
    return names, secrets


def _basic(authorization: str) -> tuple[list[str], list[str]]:
    scheme, credentials = wire.authorization(authorization)
    if scheme != "basic":
        raise _unknown_client("the Authorization header has no Basic credentials")
    try:
        client_id, secret = wire.basic_credentials(credentials)
    except ValueError as error:
        raise _unknown_client(str(error)) from None
    return _texts(client_id), _texts(secret)


def _texts(sent: bytes) -> list[str]:
    """Return what may be meant by a client id or a secret in an Authorization header.

    RFC 6749, 2.3.1 wants both form-encoded as UTF-8. But many clients send them as they are, one
    encodes only the colon, and some use Latin-1.
    """
    forms = unquote_to_bytes(sent.replace(b"+", b" ")), sent, sent.replace(b"%3A", b":")
    return [text for form in forms for text in wire.readings(form)]


def _scope(client: OAuthClient, form: Mapping[str, str]) -> str:
    """Return the scopes to grant: those that were asked for, else all that the client may have."""
    asked = form.get("scope")
    if asked is None:
        return " ".join(client.scopes or ())
    if client.scopes is not None and not set(asked.split(" ")) <= set(client.scopes):
        raise _GrantError("invalid_scope", "the client may not have this scope")
    return asked


def _audience(client: OAuthClient, form: Mapping[str, str]) -> str:
    """Return the audience that was asked for, else the first that the client may have."""
    asked = form.get("audience")
    if asked is None:
        return (client.audiences or (_API_AUDIENCE,))[0]
    if client.audiences is not None and asked not in client.audiences:
        raise _GrantError("invalid_target", "the client may not ask for this audience")
    return asked


async def _authorize(_: Request) -> Response:
    # No client has a redirection URI to send the error to (RFC 6749, 4.1.2.1).
    text = "no user logs in here; a client asks the token endpoint, by client_credentials"
    return _refused(_GrantError("unsupported_response_type", text))


def _refused(refusal: _GrantError, headers: Mapping[str, str] | None = None) -> Response:
    answer = {"error": refusal.error, "error_description": str(refusal)}
    return JSONResponse(answer, refusal.status, headers)


def _unknown_client(description: str) -> _GrantError:
    return _GrantError("invalid_client", description, 401)


async def _refuse_connection(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ConnectionRefusedError("it refused the connection")


def _metadata_paths(issuer: str) -> list[str]:
    own = unquote(urlsplit(issuer).path)
    return [path for name in METADATA for path in (own + name, name + own)]


def _path(url: str) -> str:
    return unquote(urlsplit(url).path) or "/"


def _new_key() -> "ECKey":
    from joserfc.jwk import ECKey  # noqa: PLC0415  # see `issue`

    return ECKey.generate_key("P-256", {"use": "sig", "alg": _ALGORITHM}, auto_kid=True)

"""The identity provider: discovery document, key set, token endpoint, and checks of its tokens."""

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

from mockserver.base.masking import Secret
from mockserver.base.problems import Problem
from mockserver.http.wire import basic_credentials, read_body, readings
from mockserver.journal.trace import new_id
from mockserver.world.model import OAuthClient, TokenEndpoint, World

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

Json = dict[str, Any]

MOUNT: Final = "/_mock/idp"
# They stand behind the path of an issuer (OpenID Connect Discovery 1.0, 4) or before it (RFC 8414,
# 3.1), and clients look for either of them in either place.
METADATA: Final = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
)
API_AUDIENCE: Final = "keyfactor-command"
OTHER_AUDIENCE: Final = "another-audience.test"
ALGORITHM: Final = "ES256"
LIFETIME_S: Final = 3_600
MAX_PARAMETERS: Final = 100

_FORM: Final = "application/x-www-form-urlencoded"
_NOT_STORED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, 5.1
_OWN_ISSUER = re.compile(r"/_mock(?:/ns/[^/]+)?/idp")


class TokenError(ValueError):
    """Say why a token is refused; the text never quotes the token."""


class _GrantError(Exception):
    """Refuse a token request with an error code (RFC 6749, 5.2; RFC 8693, 2.2.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


class IdentityProvider:
    """Play every token endpoint of the worlds with one key; the key is made when first needed."""

    def play(self, world: World, token_url: str) -> ASGIApp:
        """Return the server behind a token URL, with its discovery document and its key set.

        Where the world has no such endpoint, or it is down, each request to it raises
        ConnectionRefusedError, as a network would.
        """
        found = world.token_endpoint(token_url)
        if found is None or found[1].fault == "down":
            return _refuse_connection
        return _Site(self, world, found[1], token_url)

    def issue(self, claims: Json, fault: str | None = None) -> str:
        """Sign a token of one client, good for an hour, or as bad as the fault says."""
        from joserfc import jwt  # noqa: PLC0415  # as long to import as half of the program

        now = int(time.time()) - (2 * LIFETIME_S if fault == "expired" else 0)
        if fault == "wrong_audience":
            claims = claims | {"aud": OTHER_AUDIENCE}
        times = {"exp": now + LIFETIME_S, "iat": now, "nbf": now, "jti": new_id()}
        key = self._foreign_key if fault == "forged" else self._key
        # RFC 9068, 2.1. A forged token names the good key, so that only its signature tells.
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._key.kid}
        return jwt.encode(header, claims | times, key)

    def check(
        self, token: str, audience: str | None = None, *, public: bool = False
    ) -> Mapping[str, Any]:
        """Return the claims of a good token; TokenError says why it is none.

        Without `audience` it may be for any. A `public` one was fetched from the mock over HTTP,
        not on behalf of a test mail from a server that the mock only plays.
        """
        from joserfc import jwt  # noqa: PLC0415  # see `issue`
        from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError  # noqa: PLC0415

        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
        except BadSignatureError:
            raise TokenError("its signature is not of this identity provider") from None
        except ExpiredTokenError:
            raise TokenError("it has expired") from None
        except (JoseError, TypeError, ValueError):  # joserfc stumbles over some odd headers
            raise TokenError("it is not a token of this identity provider") from None
        if audience is not None and claims["aud"] != audience:
            raise TokenError("it is for another audience")
        if public and not _OWN_ISSUER.fullmatch(urlsplit(claims["iss"]).path):
            raise TokenError("it is of another issuer")
        return claims

    def key_set(self) -> Json:
        """Give the public key as a JWK set (RFC 7517, 5)."""
        return {"keys": [self._key.as_dict(private=False)]}

    @cached_property
    def _key(self) -> "ECKey":
        return _new_key()

    @cached_property
    def _foreign_key(self) -> "ECKey":
        return _new_key()


def issuer_of(token_url: str) -> str:
    """Return the issuer of a token endpoint: its URL without query and last segment."""
    parts = urlsplit(token_url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}"


def discovery_url(token_url: str) -> str:
    """Return where the discovery document of a token endpoint's issuer is."""
    return f"{issuer_of(token_url)}/.well-known/openid-configuration"


@dataclass(frozen=True)
class _Site:
    """The server behind one token URL, as an ASGI application."""

    idp: IdentityProvider
    world: World
    endpoint: TokenEndpoint
    token_url: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ASGI has it."""
        response = await self._answer(Request(scope, receive))
        response.headers.update(_NOT_STORED)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        issuer = issuer_of(self.token_url)
        routes: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            **{("GET", path): self._discovery for path in _metadata_paths(issuer)},
            ("GET", _path(issuer + "/jwks")): self._key_set,
            **{(method, _path(issuer + "/authorize")): _authorize for method in ("GET", "POST")},
            ("POST", _path(self.token_url)): self._token,
        }
        path = request.scope["path"]
        answer = routes.get((request.method, path))
        if answer is None:
            allowed = [method for method, known in routes if known == path]
            return Response(
                status_code=405 if allowed else 404,
                headers={"Allow": ", ".join(allowed)} if allowed else None,
            )
        await asyncio.sleep(self.endpoint.delay)
        return await answer(request)

    async def _discovery(self, _: Request) -> Response:
        """Answer the metadata (RFC 8414, 2; what OpenID Connect Discovery 1.0, 3 requires too)."""
        issuer = issuer_of(self.token_url)
        return JSONResponse(
            {
                "issuer": issuer,
                # No user logs in here, and no ID token is issued. MSAL for Python needs this
                # endpoint all the same, and who checks metadata needs "code" and "RS256".
                "authorization_endpoint": f"{issuer}/authorize",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256", ALGORITHM],
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
            response = _refused(refusal)
            # RFC 6749, 5.2: a challenge for a client that used the header, and for no other.
            if refusal.status == 401 and "authorization" in request.headers:  # noqa: PLR2004  # an HTTP status
                response.headers["WWW-Authenticate"] = 'Basic realm="identity provider"'
            return response

    def _granted(self, client_id: str, client: OAuthClient, form: Mapping[str, str]) -> Response:
        """Answer with a token (RFC 6749, 5.1), or as the endpoint's fault says."""
        fault = self.endpoint.fault
        scope, audience = _scope(client, form), _audience(client, form)
        if fault == "garbage":
            return Response("<!doctype html><title>Service</title>", media_type="text/html")
        claims = {
            "iss": issuer_of(self.token_url),
            "sub": client_id,
            "aud": audience,
            "scope": scope,
        }
        answer = {
            "access_token": self.idp.issue(claims, fault),
            "token_type": "mac" if fault == "wrong_type" else "Bearer",
            "expires_in": LIFETIME_S,
            "scope": scope,
        }
        hidden = "access_token" if fault == "no_token" else "" if scope else "scope"
        return JSONResponse({name: value for name, value in answer.items() if name != hidden})


async def _asked(request: Request, world: World) -> tuple[str, OAuthClient, Mapping[str, str]]:
    """Return who asks, and the form of a client-credentials request (RFC 6749, 4.4.2)."""
    form = await _form(request)
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise _GrantError("invalid_request", "grant_type is missing")
    if grant_type != "client_credentials":
        raise _GrantError("unsupported_grant_type", "only client_credentials is supported")
    names, secrets = _credentials(request.headers.get("authorization"), form)
    return *_authenticated(world, names, secrets), form


def _authenticated(
    world: World, names: Sequence[str], secrets: Sequence[str]
) -> tuple[str, OAuthClient]:
    """Return the client that goes by one of the names and has one of the secrets."""
    # Where the world has none of the names, the entry for any client gets the likeliest one.
    for name in [name for name in names if name in world.oauth_clients] or names[:1]:
        client = world.oauth_client(name)
        # An unknown client costs the same comparison as a wrong secret.
        expected = (client and client.secret) or Secret(secrets[0])
        if expected.is_one_of(secrets) and client is not None:
            return name, client
    raise _unknown_client("unknown client, or wrong secret")


async def _form(request: Request) -> Mapping[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        raise _GrantError("invalid_request", f"send the parameters as {_FORM}")
    try:
        body = (await read_body(request)).decode()
        pairs = parse_qsl(body, errors="strict", max_num_fields=MAX_PARAMETERS)
    except Problem as problem:
        raise _GrantError("invalid_request", problem.message, problem.status) from None
    except ValueError:
        raise _GrantError("invalid_request", "the body is no form in UTF-8") from None
    # RFC 6749, 3.2: none twice, and one without a value counts as absent.
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise _GrantError("invalid_request", "a parameter stands twice")
    return dict(pairs)


def _credentials(
    authorization: str | None, form: Mapping[str, str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Return client id and secret from the header or from the form, never from both (2.3).

    Each is a list of the texts that it may stand for.
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
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _unknown_client("the Authorization header has no Basic credentials")
    try:
        client_id, secret = basic_credentials(credentials)
    except ValueError as error:
        raise _unknown_client(str(error)) from None
    return _texts(client_id), _texts(secret)


def _texts(sent: bytes) -> list[str]:
    """Return what a client may mean by a client id or a secret in its Authorization header.

    Both are to be form-encoded as UTF-8 before they are joined (RFC 6749, 2.3.1). Many clients send
    them as they are, one encodes nothing but the colon, and some take Latin-1.
    """
    forms = unquote_to_bytes(sent.replace(b"+", b" ")), sent, sent.replace(b"%3A", b":")
    return [text for form in forms for text in readings(form)]


def _scope(client: OAuthClient, form: Mapping[str, str]) -> str:
    """Return the granted scopes: those asked for, else all that the client may have."""
    asked = form.get("scope")
    if asked is None:
        return " ".join(client.scopes or ())
    if client.scopes is not None and not set(asked.split(" ")) <= set(client.scopes):
        raise _GrantError("invalid_scope", "the client may not have this scope")
    return asked


def _audience(client: OAuthClient, form: Mapping[str, str]) -> str:
    """Return the audience: the one asked for, else the first that the client may ask for."""
    asked = form.get("audience")
    if asked is None:
        return (client.audiences or (API_AUDIENCE,))[0]
    if client.audiences is not None and asked not in client.audiences:
        raise _GrantError("invalid_target", "the client may not ask for this audience")
    return asked


async def _authorize(_: Request) -> Response:
    # No client has a redirection URI, so nobody is sent back (RFC 6749, 4.1.2.1).
    text = "no user logs in here; a client asks the token endpoint, by client_credentials"
    return _refused(_GrantError("unsupported_response_type", text))


def _refused(refusal: _GrantError) -> Response:
    answer = {"error": refusal.error, "error_description": str(refusal)}
    return JSONResponse(answer, refusal.status)


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

    return ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)

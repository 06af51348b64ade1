"""The identity provider over real HTTP: documents, token requests, refusals, and its tokens."""

import asyncio
import gzip
import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import httpx2
import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from mockserver import MockServer
from mockserver.oauth.idp import IdentityProvider, discovery_url
from mockserver.world.loading import load
from support import Caller, Json, calling

TOKEN = "/_mock/idp/token"
GOOD = {
    "grant_type": "client_credentials",
    "client_id": "command-email",
    "client_secret": "MySuperSecretClientSecret",
}
API = {
    "grant_type": "client_credentials",
    "client_id": "api-client",
    "client_secret": "api-client-secret",
}
CLIENT_CREDENTIALS = {"grant_type": "client_credentials"}
FORM = "application/x-www-form-urlencoded"
CLAIMS = {"iss": "https://idp.test/a", "sub": "api-client", "aud": "x", "scope": ""}


def without(form: Json, name: str) -> Json:
    return {key: value for key, value in form.items() if key != name}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": basic_header(f"{name}:{secret}".encode())}


def basic_header(octets: bytes) -> str:
    return "Basic " + b64encode(octets).decode()


def segment(part: str) -> Any:  # noqa: ANN401  # JSON
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def number(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def claims_of(token: str, keys: Json) -> Json:
    """Verify an ES256 token with OpenSSL's own primitives (RFC 7518, 3.4)."""
    header, payload, signature = token.split(".")
    (key,) = [key for key in keys["keys"] if key["kid"] == segment(header)["kid"]]
    point = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1())
    raw = urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    point.public_key().verify(der, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    claims: Json = segment(payload)
    return claims


# An independent client


@contextmanager
def oauth(mock: MockServer, folder: Path, **arguments: Any) -> Iterator[OAuth2Session]:  # noqa: ANN401  # of another library
    ca = folder / "ca.pem"
    ca.write_bytes(mock.ca_pem)
    with OAuth2Session(client=BackendApplicationClient(**arguments)) as session:
        session.trust_env = False
        session.verify = str(ca)
        yield session


@pytest.mark.parametrize(
    "in_form", [True, False], ids=["client_secret_post", "client_secret_basic"]
)
def test_an_independent_client_gets_a_token_that_verifies(
    mock: MockServer, tmp_path: Path, in_form: bool
) -> None:
    issuer = f"{mock.https_url}/_mock/idp"
    secret = GOOD["client_secret"]
    with oauth(mock, tmp_path, client_id="command-email", scope=["smtp.send"]) as session:
        document = requests.get(
            f"{issuer}/.well-known/openid-configuration", verify=session.verify, timeout=10
        ).json()
        token = session.fetch_token(
            document["token_endpoint"],
            include_client_id=in_form,
            client_secret=secret if in_form else None,
            auth=None if in_form else HTTPBasicAuth("command-email", secret),
            audience="smtp.keyexample.com",
            verify=session.verify,  # type: ignore[arg-type]  # a path will do, says requests
        )
        keys = requests.get(document["jwks_uri"], verify=session.verify, timeout=10).json()
    assert document["issuer"] == issuer
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
    claims = claims_of(token["access_token"], keys)
    assert set(claims) == {"iss", "sub", "aud", "scope", "exp", "iat", "nbf", "jti"}
    assert (claims["iss"], claims["sub"]) == (issuer, "command-email")
    assert (claims["aud"], claims["scope"]) == ("smtp.keyexample.com", "smtp.send")
    assert claims["exp"] - claims["iat"] == 3600


def test_the_same_client_reports_a_refusal(mock: MockServer, tmp_path: Path) -> None:
    with (
        oauth(mock, tmp_path, client_id="command-email") as session,
        pytest.raises(OAuth2Error, match="invalid_client"),
    ):
        session.fetch_token(
            f"{mock.https_url}{TOKEN}",
            auth=HTTPBasicAuth("command-email", "wrong"),
            verify=session.verify,  # type: ignore[arg-type]  # a path will do, says requests
        )


# Documents


def test_the_documents_agree_with_each_other(caller: Caller) -> None:
    document = caller.http.get("/_mock/idp/.well-known/openid-configuration").json()
    issuer = f"{caller.mock.url}/_mock/idp"
    assert document["issuer"] == issuer
    assert document["token_endpoint"] == caller.mock.token_url == f"{issuer}/token"
    assert document["jwks_uri"] == f"{issuer}/jwks"
    assert document["grant_types_supported"] == ["client_credentials"]
    keys = caller.http.get(document["jwks_uri"])
    assert keys.headers["content-type"] == "application/jwk-set+json"
    (key,) = keys.json()["keys"]
    assert "d" not in key
    assert (key["alg"], key["use"], key["crv"]) == ("ES256", "sig", "P-256")


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
@pytest.mark.parametrize("space", ["", "/ns/metadata"])
def test_the_metadata_stand_before_and_behind_the_path_of_the_issuer(
    caller: Caller, space: str, name: str
) -> None:
    issuer = f"/_mock{space}/idp"
    behind = caller.http.get(f"{issuer}/.well-known/{name}")
    before = caller.http.get(f"/.well-known/{name}{issuer}")
    assert (before.status_code, before.json()) == (behind.status_code, behind.json())
    assert before.json()["issuer"] == f"{caller.mock.url}{issuer}"
    assert caller.http.get(before.json()["jwks_uri"]).status_code == 200
    caller.mock.namespace("metadata").drop()


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
@pytest.mark.parametrize(
    ("issuer", "token_url"),
    [
        ("https://idp.test/a b", "https://idp.test/a%20b/token?v=2"),
        ("https://idp.test", "https://idp.test/token"),
    ],
)
def test_a_token_endpoint_of_the_world_has_its_metadata_in_both_places_too(
    issuer: str, token_url: str, name: str
) -> None:
    async def read(path: str) -> Json:
        play = httpx2.ASGITransport(IdentityProvider().play(load(), token_url))
        async with httpx2.AsyncClient(transport=play, base_url="https://idp.test") as http:
            document: Json = (await http.get(path)).json()
            return document

    path = issuer.removeprefix("https://idp.test")
    behind = asyncio.run(read(f"{path}/.well-known/{name}"))
    assert behind == asyncio.run(read(f"/.well-known/{name}{path}"))
    assert behind["token_endpoint"] == token_url
    assert behind["issuer"] == issuer.replace(" ", "%20")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/.well-known/oauth-authorization-server/_mock/idp", 200),
        ("/.well-known/openid-configuration/_mock/ns/a/idp", 200),
        ("/.well-known/oauth-authorization-server/_mock", 404),
        ("/.well-known/oauth-authorization-server/KeyfactorAPI", 404),
        ("/.well-known/openid-configuration/", 404),
        ("/_mock/messages", 401),
    ],
)
def test_metadata_need_no_control_token_but_a_host_that_is_ours(path: str, status: int) -> None:
    with MockServer(control_token="control") as mock, calling(mock) as caller:
        answered = caller.http.get(path)
        refused = caller.http.get(path, headers={"host": "evil.test"})
        assert (answered.status_code, refused.status_code) == (status, 403)
        assert mock.requests == ()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_logs_in_at_the_authorization_endpoint(caller: Caller, method: str) -> None:
    document = caller.http.get("/_mock/idp/.well-known/openid-configuration").json()
    asked = {"response_type": "code", "client_id": "api-client", "redirect_uri": "https://a.test/"}
    response = caller.http.request(method, document["authorization_endpoint"], params=asked)
    assert (response.status_code, response.json()["error"]) == (400, "unsupported_response_type")
    assert "location" not in response.headers


def test_an_issuer_is_what_the_client_calls_it(caller: Caller) -> None:
    port = caller.mock.port("http")
    headers = {"host": f"localhost:{port}"}
    document = caller.http.get(
        "/_mock/idp/.well-known/openid-configuration", headers=headers
    ).json()
    assert document["token_endpoint"] == f"http://localhost:{port}/_mock/idp/token"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "token", 405, "POST"),
        ("POST", "jwks", 405, "GET"),
        ("PUT", "authorize", 405, "GET, POST"),
        ("POST", ".well-known/openid-configuration", 405, "GET"),
        ("GET", "login", 404, None),
        ("POST", "tokens", 404, None),
    ],
)
def test_other_paths_and_methods_are_refused(
    caller: Caller, method: str, path: str, status: int, allow: str | None
) -> None:
    response = caller.http.request(method, f"/_mock/idp/{path}")
    assert (response.status_code, response.headers.get("allow")) == (status, allow)
    assert response.json() == {
        "error": "invalid_request",
        "error_description": f"{method} is not allowed, only {allow}"
        if allow
        else f"nothing is at /_mock/idp/{path}; the token endpoint is {caller.mock.token_url}",
    }


def test_no_control_token_is_needed_but_the_host_must_be_ours() -> None:
    with MockServer(control_token="control") as mock:
        answered = httpx2.post(mock.token_url, data=API)
        refused = httpx2.post(mock.token_url, data=API, headers={"host": "evil.test"})
    assert (answered.status_code, refused.status_code) == (200, 403)


# Token requests


@pytest.mark.parametrize(
    ("form", "audience", "scope"),
    [
        (API, "keyfactor-command", ""),
        (API | {"scope": ' ü  "b\\\t'}, "keyfactor-command", ' ü  "b\\\t'),
        (API | {"audience": "https://any.test/ü"}, "https://any.test/ü", ""),
        (API | {"scope": "", "audience": "", "unknown": "1"}, "keyfactor-command", ""),
        (GOOD, "smtp.keyexample.com", "smtp.send"),
        (GOOD | {"scope": "smtp.send"}, "smtp.keyexample.com", "smtp.send"),
    ],
    ids=["nothing asked", "any scope", "any audience", "empty is absent", "defaults", "allowed"],
)
def test_scope_and_audience_are_granted(
    caller: Caller, form: Json, audience: str, scope: str
) -> None:
    response = caller.http.post(TOKEN, data=form)
    assert response.status_code == 200
    assert (response.headers["cache-control"], response.headers["pragma"]) == (
        "no-store",
        "no-cache",
    )
    body = response.json()
    assert body.get("scope", "") == scope
    claims = claims_of(body["access_token"], caller.http.get("/_mock/idp/jwks").json())
    assert (claims["aud"], claims["scope"], claims["sub"]) == (audience, scope, form["client_id"])


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (without(GOOD, "grant_type"), 400, "invalid_request"),
        (GOOD | {"grant_type": ""}, 400, "invalid_request"),
        (GOOD | {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (GOOD | {"grant_type": ["client_credentials"] * 2}, 400, "invalid_request"),
        (GOOD | {"audience": ["a", "b"]}, 400, "invalid_request"),
        (without(GOOD, "client_id"), 401, "invalid_client"),
        (without(GOOD, "client_secret"), 401, "invalid_client"),
        (GOOD | {"client_id": "nobody"}, 401, "invalid_client"),
        (GOOD | {"client_secret": "wröng"}, 401, "invalid_client"),
        (GOOD | {"scope": "smtp.send other"}, 400, "invalid_scope"),
        (GOOD | {"scope": "smtp.send  smtp.send"}, 400, "invalid_scope"),
        (GOOD | {"scope": "Smtp.Send"}, 400, "invalid_scope"),
        (GOOD | {"audience": "keyfactor-command"}, 400, "invalid_target"),
        ({f"p{index}": "x" for index in range(200)}, 400, "invalid_request"),
    ],
)
def test_a_bad_token_request_is_refused(
    caller: Caller, form: Json, status: int, error: str
) -> None:
    response = caller.http.post(TOKEN, data=form)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.headers["cache-control"] == "no-store"
    # RFC 6749, 5.2: only for a client that used the Authorization header.
    assert "www-authenticate" not in response.headers
    assert "MySuperSecretClientSecret" not in response.text
    assert "wröng" not in response.text


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (json.dumps(GOOD).encode(), "application/json", 400),
        (b"", None, 400),
        (b"grant_type=\xff", FORM, 400),
        (b"grant_type=%ff", FORM, 400),
        (b"a=" + b"x" * 2 * 1024 * 1024, FORM, 413),
    ],
    ids=["JSON", "nothing", "not UTF-8", "not UTF-8 when decoded", "too large"],
)
def test_only_a_form_is_accepted(
    caller: Caller, content: bytes, media_type: str | None, status: int
) -> None:
    headers = {"content-type": media_type} if media_type else {}
    response = caller.http.post(TOKEN, content=content, headers=headers)
    assert (response.status_code, response.json()["error"]) == (status, "invalid_request")


def test_a_content_coding_is_refused_by_name(caller: Caller) -> None:
    content = gzip.compress(urlencode(GOOD).encode())
    headers = {"content-type": FORM, "content-encoding": "gzip"}
    response = caller.http.post(TOKEN, content=content, headers=headers)
    assert (response.status_code, response.json()["error"]) == (415, "invalid_request")
    assert "content coding gzip" in response.json()["error_description"]


# What clients make of a text before they join id and secret with a colon. RFC 6749, 2.3.1 asks for
# the first, and real libraries do each of the others.
SENT: dict[str, Callable[[str], bytes]] = {
    "form-encoded UTF-8": lambda text: quote_plus(text).encode(),
    "percent-encoded UTF-8": lambda text: quote(text, safe="").encode(),
    "form-encoded Latin-1": lambda text: quote_plus(text, encoding="latin-1").encode(),
    "an encoded colon": lambda text: text.replace(":", "%3A").encode(),
    "raw UTF-8": str.encode,
    "raw Latin-1": lambda text: text.encode("latin-1"),
}


@pytest.mark.parametrize("of_secret", SENT)
@pytest.mark.parametrize("of_id", SENT)
def test_basic_credentials_are_taken_as_clients_send_them(
    mock: MockServer, caller: Caller, of_id: str, of_secret: str
) -> None:
    client_id, secret = "a+b%41 ü", "p+w%41 /=:ü"
    mock.patch_world({"oauth_clients": {client_id: {"secret": secret}}})
    sent = SENT[of_id](client_id) + b":" + SENT[of_secret](secret)
    for octets, status in ((sent, 200), (sent + b"x", 401)):
        response = caller.http.post(
            TOKEN, data=CLIENT_CREDENTIALS, headers={"authorization": basic_header(octets)}
        )
        assert response.status_code == status
        assert secret not in response.text
    for named, status in ((client_id, 200), ("other", 400)):
        form = CLIENT_CREDENTIALS | {"client_id": named}
        response = caller.http.post(TOKEN, data=form, headers={"authorization": basic_header(sent)})
        assert response.status_code == status


def test_an_encoded_colon_belongs_to_the_client_id(mock: MockServer, caller: Caller) -> None:
    mock.patch_world({"oauth_clients": {"a:b": {"secret": "s"}}})
    response = caller.http.post(TOKEN, data=CLIENT_CREDENTIALS, headers=basic("a%3Ab", "s"))
    assert response.status_code == 200


def test_what_a_name_may_also_be_read_as_is_no_other_client(
    mock: MockServer, caller: Caller
) -> None:
    def subject(headers: dict[str, str]) -> object:
        response = caller.http.post(TOKEN, data=CLIENT_CREDENTIALS, headers=headers)
        token = response.json().get("access_token")
        return token and segment(token.split(".")[1])["sub"]

    mock.patch_world({"oauth_clients": {"a+b": {"secret": "plus"}, "a b": {"secret": "blank"}}})
    assert subject(basic("a+b", "plus")) == "a+b"
    assert subject(basic("a+b", "blank")) == "a b"
    assert subject(basic("a%2Bb", "blank")) is None
    # The entry for any other client does not take the place of one that the world names.
    mock.patch_world({"oauth_clients": {"a b": None, "*": {}}})
    assert subject(basic("a+b", "wrong")) is None
    assert subject(basic("c+d", "any")) == "c d"


@pytest.mark.parametrize(
    ("form", "headers", "error"),
    [
        ({}, {"Authorization": "Bearer x"}, "invalid_client"),
        ({}, {"Authorization": "Basic !"}, "invalid_client"),
        ({}, {"Authorization": "Basic " + b64encode(b"api-client").decode()}, "invalid_client"),
        ({}, basic("api-client", "wrong"), "invalid_client"),
        ({"client_id": "other"}, basic("api-client", "api-client-secret"), "invalid_request"),
        (
            {"client_secret": "api-client-secret"},
            basic("api-client", "api-client-secret"),
            "invalid_request",
        ),
    ],
)
def test_bad_credentials_in_the_header_are_refused(
    caller: Caller, form: Json, headers: dict[str, str], error: str
) -> None:
    response = caller.http.post(TOKEN, data=CLIENT_CREDENTIALS | form, headers=headers)
    refused = error == "invalid_client"
    assert (response.status_code, response.json()["error"]) == (401 if refused else 400, error)
    assert response.headers.get("www-authenticate", "").startswith("Basic realm=") is refused


def test_a_client_without_a_secret_takes_any(mock: MockServer, caller: Caller) -> None:
    mock.patch_world({"oauth_clients": {"*": {}}})
    form = GOOD | {"client_id": "whoever", "client_secret": "whatever"}
    assert caller.http.post(TOKEN, data=form).status_code == 200


@pytest.mark.parametrize("entry", [{"fault": "down"}, None], ids=["down", "unknown"])
def test_over_http_an_endpoint_that_is_down_is_a_503(
    mock: MockServer, caller: Caller, entry: Json | None
) -> None:
    mock.patch_world({"token_endpoints": {"*": entry}})
    assert caller.http.post(TOKEN, data=GOOD).status_code == 503


@pytest.mark.parametrize("host", ["localhost:99999", "127.0.0.1:", "[::1]:1"])
def test_an_odd_port_in_the_host_header_does_no_harm(caller: Caller, host: str) -> None:
    response = caller.http.post(TOKEN, data=GOOD, headers={"host": host})
    assert response.status_code == 200


# Tokens


def test_a_good_token_passes_with_its_audience() -> None:
    idp = IdentityProvider()
    token = idp.issue(CLAIMS)
    assert idp.check(token)["sub"] == "api-client"
    assert idp.check(token, "x")["jti"] != idp.check(idp.issue(CLAIMS))["jti"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("expired", "expired"),
        ("forged", "signature"),
        ("wrong_audience", "audience"),
    ],
)
def test_a_faulty_token_is_refused_for_its_fault(fault: str, reason: str) -> None:
    idp = IdentityProvider()
    with pytest.raises(ValueError, match=reason):
        idp.check(idp.issue(CLAIMS, fault), "x")


def test_a_token_of_another_mock_or_issuer_is_refused() -> None:
    idp = IdentityProvider()
    with pytest.raises(ValueError, match="signature"):
        idp.check(IdentityProvider().issue(CLAIMS))
    with pytest.raises(ValueError, match="issuer"):
        idp.check(idp.issue(CLAIMS), public=True)


SHARED = IdentityProvider()


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


@pytest.mark.parametrize(
    "header",
    [
        "{}",
        "[]",
        "null",
        '"alg"',
        '{"alg":"none"}',
        '{"alg":"HS256"}',
        '{"alg":"ES256","crit":1}',
        '{"alg":"ES256","crit":["b64"],"b64":false}',
        '{"alg":["ES256"]}',
        "[" * 9_000,
    ],
)
def test_an_odd_header_is_only_a_bad_token(header: str) -> None:
    payload = SHARED.issue(CLAIMS).split(".")[1]
    for signature in ("", "AA", "A" * 86):
        with pytest.raises(ValueError, match=r"it is not a token|its signature"):
            SHARED.check(f"{encoded(header)}.{payload}.{signature}")


@given(st.text() | st.from_regex(r"[\w=-]*\.[\w=-]*\.[\w=-]*"))
def test_no_text_but_a_token_is_a_token(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is not a token|its signature"):
        SHARED.check(text)


@pytest.mark.parametrize("url", ["https://idp.test", "https://idp.test/", "https://idp.test/token"])
def test_an_endpoint_at_the_root_has_the_host_as_its_issuer(url: str) -> None:
    assert discovery_url(url) == "https://idp.test/.well-known/openid-configuration"


def test_a_server_imports_the_libraries_of_oauth_only_when_it_needs_them() -> None:
    code = "import sys, mockserver.server; print({'httpx2', 'joserfc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_start_imports_nothing_that_only_some_calls_need() -> None:
    late = {
        *("starlette.applications", "starlette.routing", "difflib", "email.policy", "trustme"),
        *("aiosmtpd", "aiosmtplib", "cryptography", "mockserver.product.uses"),
    }
    code = f"import sys, mockserver.cli; print({late} & set(sys.modules)); "
    # Of resources, only certificates need it.
    code += "import mockserver.product.uses; print('cryptography' in sys.modules)"
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.split() == ["set()", "False"]

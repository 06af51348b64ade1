"""The identity provider over real HTTP: documents, token requests, refusals, and its tokens."""

import gzip
import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

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
from mockserver.idp import API_AUDIENCE, IdentityProvider, TokenError, discovery_url
from support import Caller, Json

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
FORM = "application/x-www-form-urlencoded"
CLAIMS = {"iss": "https://idp.test/a", "sub": "api-client", "aud": "x", "scope": ""}


def without(form: Json, name: str) -> Json:
    return {key: value for key, value in form.items() if key != name}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{secret}".encode()).decode()}


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
        ("GET", "authorize", 404, None),
        ("POST", "tokens", 404, None),
    ],
)
def test_other_paths_and_methods_are_refused(
    caller: Caller, method: str, path: str, status: int, allow: str | None
) -> None:
    response = caller.http.request(method, f"/_mock/idp/{path}")
    assert (response.status_code, response.headers.get("allow")) == (status, allow)


def test_no_control_token_is_needed_but_the_host_must_be_ours() -> None:
    with MockServer(control_token="control") as mock:
        answered = httpx2.post(mock.token_url, data=API)
        refused = httpx2.post(mock.token_url, data=API, headers={"host": "evil.test"})
    assert (answered.status_code, refused.status_code) == (200, 403)


# Token requests


@pytest.mark.parametrize(
    ("form", "audience", "scope"),
    [
        (API, API_AUDIENCE, ""),
        (API | {"scope": "a b:c/d"}, API_AUDIENCE, "a b:c/d"),
        (API | {"audience": "https://any.test/ü"}, "https://any.test/ü", ""),
        (API | {"scope": "", "audience": "", "unknown": "1"}, API_AUDIENCE, ""),
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
        (API | {"scope": "a  b"}, 400, "invalid_scope"),
        (API | {"scope": 'a"b'}, 400, "invalid_scope"),
        (GOOD | {"audience": API_AUDIENCE}, 400, "invalid_target"),
        ({f"p{index}": "x" for index in range(200)}, 400, "invalid_request"),
    ],
)
def test_a_bad_token_request_is_refused(
    caller: Caller, form: Json, status: int, error: str
) -> None:
    response = caller.http.post(TOKEN, data=form)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers.get("www-authenticate", "").startswith("Basic") is (status == 401)
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


def test_basic_credentials_are_form_encoded_first(mock: MockServer, caller: Caller) -> None:
    mock.patch_world({"oauth_clients": {"a:b": {"secret": "p%+ ü"}}})
    grant = {"grant_type": "client_credentials"}
    encoded = basic("a%3Ab", "p%25%2B+%C3%BC")
    assert caller.http.post(TOKEN, data=grant, headers=encoded).status_code == 200
    refused = caller.http.post(TOKEN, data=grant, headers=basic("a%3Ab", "p%+ ü"))
    assert refused.status_code == 401


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
    form = {"grant_type": "client_credentials"} | form
    response = caller.http.post(TOKEN, data=form, headers=headers)
    assert (response.status_code, response.json()["error"]) == (
        401 if error == "invalid_client" else 400,
        error,
    )


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


@pytest.mark.parametrize("host", ["localhost:99999", "localhost:x", "127.0.0.1:", "[::1]:1"])
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
    with pytest.raises(TokenError, match=reason):
        idp.check(idp.issue(CLAIMS, fault), "x")


def test_a_token_of_another_mock_or_issuer_is_refused() -> None:
    idp = IdentityProvider()
    with pytest.raises(TokenError, match="signature"):
        idp.check(IdentityProvider().issue(CLAIMS))
    with pytest.raises(TokenError, match="issuer"):
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
        with pytest.raises(TokenError):
            SHARED.check(f"{encoded(header)}.{payload}.{signature}")


@given(st.text() | st.from_regex(r"[\w=-]*\.[\w=-]*\.[\w=-]*"))
def test_no_text_but_a_token_is_a_token(text: str) -> None:
    with pytest.raises(TokenError):
        SHARED.check(text)


@pytest.mark.parametrize("url", ["https://idp.test", "https://idp.test/", "https://idp.test/token"])
def test_an_endpoint_at_the_root_has_the_host_as_its_issuer(url: str) -> None:
    assert discovery_url(url) == "https://idp.test/.well-known/openid-configuration"


def test_a_server_imports_the_libraries_of_oauth_only_when_it_needs_them() -> None:
    code = "import sys, mockserver.server; print({'httpx2', 'joserfc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

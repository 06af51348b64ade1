"""OAuth libraries as their users use them: each gets a token over HTTPS, and calls with it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mockserver import MockServer

# What form encoding changes, in a secret and in an id: no two kinds of client send them alike.
CLIENT_ID = "app+1 %41"
SECRET = "p+w%41 /="

# It allows no newer cryptography than it knows, and would bind all that is installed beside it: it
# gets a folder of its own, without what is there anyway.
MSAL = ("msal==1.39.0", "PyJWT==2.15.1")
NPM = (
    "oauth4webapi@3.8.8",
    "openid-client@6.8.9",
    "@badgateway/oauth2-client@3.3.1",
    "simple-oauth2@5.1.0",
)
NODE_COMMAND = ("node", "--input-type=module", "-e")
NO_REGISTRY = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT")

PYTHON_PRELUDE = """
import os
import requests

issuer, api, client_id, secret = (os.environ[name] for name in ("ISSUER", "API", "ID", "SECRET"))
url, headers = f"{api}/PamProviders", {"x-keyfactor-requested-with": "APIClient"}

def call(token):
    print(requests.get(url, headers={**headers, "Authorization": f"Bearer {token}"}).status_code)
"""

# Each prints the status of a call for each way in which the library can authenticate itself.
PYTHON = {
    "requests-oauthlib": """
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

for auth in ({"auth": HTTPBasicAuth(client_id, secret)}, {"client_secret": secret}):
    with OAuth2Session(client=BackendApplicationClient(client_id=client_id)) as session:
        session.fetch_token(f"{issuer}/token", include_client_id="auth" not in auth, **auth)
        print(session.get(url, headers=headers).status_code)
""",
    "Authlib": """
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oidc.discovery import OpenIDProviderMetadata

document = requests.get(get_well_known_url(issuer, external=True), timeout=10).json()
AuthorizationServerMetadata(document).validate()
OpenIDProviderMetadata(document).validate()
for method in document["token_endpoint_auth_methods_supported"]:
    with OAuth2Session(client_id, secret, token_endpoint_auth_method=method) as session:
        session.fetch_token(document["token_endpoint"], grant_type="client_credentials")
        print(session.get(url, headers=headers).status_code)
""",
    "requests-oauth2client": """
from requests_oauth2client import ClientSecretBasic, ClientSecretPost, OAuth2Client

for method in (ClientSecretBasic, ClientSecretPost):
    auth = method(client_id, secret)
    client = OAuth2Client.from_discovery_endpoint(issuer=issuer, auth=auth)
    call(client.client_credentials().access_token)
""",
    "MSAL": """
import msal

app = msal.ConfidentialClientApplication(client_id, secret, oidc_authority=issuer)
token = app.acquire_token_for_client(["api/.default"])
call(token["access_token"])
""",
}

NODE_PRELUDE = """
const { ISSUER, API, ID, SECRET } = process.env
const call = async (token) => {
  const headers = { 'x-keyfactor-requested-with': 'APIClient', authorization: `Bearer ${token}` }
  console.log((await fetch(`${API}/PamProviders`, { headers })).status)
}
"""
NODE = {
    "oauth4webapi": """
import * as oauth from 'oauth4webapi'
const issuer = new URL(ISSUER), client = { client_id: ID }
for (const algorithm of ['oidc', 'oauth2']) {
  const found = await oauth.discoveryRequest(issuer, { algorithm })
  const as = await oauth.processDiscoveryResponse(issuer, found)
  for (const method of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
    const answer = await oauth.clientCredentialsGrantRequest(as, client, method(SECRET), {})
    const token = await oauth.processClientCredentialsResponse(as, client, answer)
    await call(token.access_token)
  }
}
""",
    "openid-client": """
import * as client from 'openid-client'
for (const algorithm of ['oidc', 'oauth2']) {
  for (const method of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const [issuer, auth] = [new URL(ISSUER), method(SECRET)]
    const config = await client.discovery(issuer, ID, {}, auth, { algorithm })
    await call((await client.clientCredentialsGrant(config)).access_token)
  }
}
""",
    "@badgateway/oauth2-client": """
import { OAuth2Client } from '@badgateway/oauth2-client'
for (const authenticationMethod of [undefined, 'client_secret_basic', 'client_secret_post']) {
  const settings = { tokenEndpoint: `${ISSUER}/token`, clientId: ID, clientSecret: SECRET }
  const client = new OAuth2Client({ ...settings, authenticationMethod })
  await call((await client.clientCredentials()).accessToken)
}
""",
    "simple-oauth2": """
import { ClientCredentials } from 'simple-oauth2'
const auth = { tokenHost: ISSUER, tokenPath: `${new URL(ISSUER).pathname}/token` }
for (const authorizationMethod of ['header', 'body']) {
  const options = { authorizationMethod }
  const client = new ClientCredentials({ client: { id: ID, secret: SECRET }, auth, options })
  await call((await client.getToken({})).token.access_token)
}
""",
}


# Where an answer has a challenge, the library tells of that, and not of what else it says.
REFUSED = """
import * as oauth from 'oauth4webapi'
const as = { issuer: ISSUER, token_endpoint: `${ISSUER}/token` }, client = { client_id: ID }
for (const method of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
  const answer = await oauth.clientCredentialsGrantRequest(as, client, method('wrong'), {})
  await oauth.processClientCredentialsResponse(as, client, answer).catch((error) => {
    console.log(error.code, error.error ?? error.cause[0].scheme)
  })
}
"""


def run(*command: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def facts(mock: MockServer, folder: Path) -> dict[str, str]:
    """Make the client known to the mock; return the variables in which a script finds both."""
    mock.patch_world({"oauth_clients": {CLIENT_ID: {"secret": SECRET, "roles": ["Administrator"]}}})
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(mock.ca_pem)
    return {
        "ISSUER": f"{mock.https_url}/_mock/idp",
        "API": f"{mock.https_url}/KeyfactorAPI",
        "ID": CLIENT_ID,
        "SECRET": SECRET,
        "REQUESTS_CA_BUNDLE": str(ca_file),
        "NODE_EXTRA_CA_CERTS": str(ca_file),
    }


def check(mock: MockServer, output: str, ways: int) -> None:
    assert output.split() == ["200"] * ways
    assert [exchange.identity for exchange in mock.requests] == [CLIENT_ID] * ways


@pytest.fixture(scope="module")
def msal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("msal")
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target")
    run(*install, str(folder), *MSAL, folder=folder)
    return folder


@pytest.mark.parametrize(
    ("library", "ways"),
    [("requests-oauthlib", 2), ("Authlib", 2), ("requests-oauth2client", 2), ("MSAL", 1)],
)
def test_a_python_library_gets_a_token_and_calls(
    mock: MockServer, tmp_path: Path, request: pytest.FixtureRequest, library: str, ways: int
) -> None:
    variables = facts(mock, tmp_path)
    if library == "MSAL":
        variables["PYTHONPATH"] = str(request.getfixturevalue("msal"))
    script = PYTHON_PRELUDE + PYTHON[library]
    check(mock, run(sys.executable, "-c", script, folder=tmp_path, **variables), ways)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the libraries; skip only where npm or its registry cannot be had."""
    folder = tmp_path_factory.mktemp("node")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0")
    try:
        run(npm, "install", *quiet, *NPM, folder=folder)
    except AssertionError as error:
        if NO_REGISTRY.search(str(error)):
            pytest.skip("needs the npm registry")
        raise
    return folder


@pytest.mark.parametrize(
    ("library", "ways"),
    [
        ("oauth4webapi", 4),
        ("openid-client", 4),
        ("@badgateway/oauth2-client", 3),
        ("simple-oauth2", 2),
    ],
)
def test_a_node_library_gets_a_token_and_calls(
    mock: MockServer, tmp_path: Path, node: Path, library: str, ways: int
) -> None:
    script = NODE_PRELUDE + NODE[library]
    check(mock, run(*NODE_COMMAND, script, folder=node, **facts(mock, tmp_path)), ways)


def test_a_node_library_says_why_it_got_no_token(
    mock: MockServer, tmp_path: Path, node: Path
) -> None:
    variables = facts(mock, tmp_path)
    output = run(*NODE_COMMAND, NODE_PRELUDE + REFUSED, folder=node, **variables)
    assert output.splitlines() == [
        "OAUTH_WWW_AUTHENTICATE_CHALLENGE basic",
        "OAUTH_RESPONSE_BODY_ERROR invalid_client",
    ]

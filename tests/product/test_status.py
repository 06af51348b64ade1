"""What clients call before anything else: status and permissions; and how each of them calls."""

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing

import httpx2
import pytest

from mockserver import MockServer
from mockserver.contract.editions import load_editions
from support import ADMIN, PATH, V1, V2, Caller, Json, refusal

ENDPOINTS = "/KeyfactorAPI/Status/Endpoints"
HEALTH = "/KeyfactorAPI/Status/HealthCheck"
PERMISSIONS = "/KeyfactorAPI/Security/My/Permissions"
OPEN = ["GET /Security/My/Permissions", "GET /Status/Endpoints", "GET /Status/HealthCheck"]
KNOWN = [
    *OPEN,
    *(
        "GET /PamProviders",
        "GET /PamProviders/Types",
        "GET /PamProviders/{id}",
        "GET /SMTP",
        "POST /SMTP/Test",
        "PUT /SMTP",
    ),
]
NEWCOMER = ("newcomer", "newcomer-password")
BASIC = "Basic " + base64.b64encode(b"KEYEXAMPLE\\admin:admin-password").decode()


def get(
    caller: Caller, path: str, auth: tuple[str, str] | None = ADMIN, version: str = "1"
) -> httpx2.Response:
    headers = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": version}
    return caller.http.get(path, headers=headers, auth=auth or httpx2.Auth())


@pytest.mark.parametrize(
    ("held", "reached"),
    [
        (["/"], KNOWN),
        (["/system_settings/"], [*OPEN, "GET /SMTP", "POST /SMTP/Test", "PUT /SMTP"]),
        (["/system_settings/read/"], [*OPEN, "GET /SMTP"]),
        (["/system_setting/modify/"], [*OPEN, "POST /SMTP/Test", "PUT /SMTP"]),
        (["/pam/read/"], [*OPEN, *(each for each in KNOWN if "Pam" in each)]),
        (["/pam/read/5/"], [*OPEN, "GET /PamProviders/{id}"]),
        (["/pam/read/5/6/"], OPEN),
        (["/pam/modify/"], OPEN),
        (["/reports/", "/system_settings/read/"], [*OPEN, "GET /SMTP"]),
    ],
)
def test_endpoints_are_those_that_the_permissions_reach(
    caller: Caller, held: list[str], reached: list[str]
) -> None:
    caller.mock.patch_world({"roles": {"Auditor": held}})
    response = get(caller, ENDPOINTS, ("auditor", "auditor-password"))
    listed = response.json()
    assert (response.status_code, listed) == (200, sorted(listed))
    assert set(listed) & set(KNOWN) == set(reached)
    assert response.headers["x-keyfactor-product-version"] == "25.5.1"


def test_whoever_may_do_all_reaches_every_operation_of_the_documents(caller: Caller) -> None:
    every = {f"{each.method} {each.path}" for each in load_editions().newest.contract.operations}
    assert get(caller, ENDPOINTS).json() == sorted(every)


def test_a_caller_without_a_role_has_no_endpoints(caller: Caller) -> None:
    response = get(caller, ENDPOINTS, NEWCOMER)
    assert refusal(response) == (
        403,
        "User KEYEXAMPLE\\newcomer doesn't have the required permission",
    )
    assert "doesn\\u0027t" in response.text
    assert caller.exchange(response)["permission"] == {
        "required": [],
        "held": [],
        "granted": False,
    }


@pytest.mark.parametrize("path", [ENDPOINTS, HEALTH, PERMISSIONS])
def test_an_unknown_caller_has_no_status(caller: Caller, path: str) -> None:
    response = get(caller, path, ("admin", "wrong"))
    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("auth", [ADMIN, NEWCOMER])
def test_health_needs_credentials_alone(caller: Caller, auth: tuple[str, str]) -> None:
    response = get(caller, HEALTH, auth)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers
    assert response.headers["x-keyfactor-product-version"] == "25.5.1"


def test_permissions_are_those_of_all_roles_as_they_stand(caller: Caller) -> None:
    caller.mock.patch_world({"users": {"auditor": {"roles": ["Auditor", "Mail operator"]}}})
    response = get(caller, PERMISSIONS, ("auditor", "auditor-password"))
    assert response.json() == {"Permissions": ["/system_settings/read/", "/system_setting/modify/"]}
    assert get(caller, PERMISSIONS, NEWCOMER).json() == {"Permissions": []}


@pytest.mark.parametrize("path", [ENDPOINTS, HEALTH, PERMISSIONS])
def test_status_has_no_version_2(caller: Caller, path: str) -> None:
    assert refusal(get(caller, path, version="2"))[0] == 400


@pytest.mark.parametrize("path", [ENDPOINTS, PERMISSIONS])
def test_status_needs_the_header_of_the_vendor(caller: Caller, path: str) -> None:
    status, message = refusal(caller.http.get(path, auth=ADMIN))
    assert (status, message) == (400, "x-keyfactor-requested-with: required.")


# Probes as clients send them: what they call, their headers, their body.


@pytest.fixture
def connection(mock: MockServer) -> Iterator[http.client.HTTPConnection]:
    with closing(
        http.client.HTTPConnection("127.0.0.1", mock.port("http") or 0, timeout=10)
    ) as opened:
        yield opened


def call(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | list[bytes] | None,
) -> tuple[int, Mapping[str, str], bytes]:
    """Send these headers and no others but Host and the length."""
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    chunked = isinstance(body, list)
    if isinstance(body, bytes):
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body, encode_chunked=chunked)
    response = connection.getresponse()
    answer = response.read()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, answer


def text(body: Json) -> bytes:
    return json.dumps(body).encode()


AGENT = "User-Agent"
VENDOR = {"x-keyfactor-requested-with": "APIClient"}
PROBES = {
    "curl": (
        *("POST", PATH),
        {AGENT: "curl/8.5.0", "Accept": "*/*", **VENDOR, "Content-Type": "application/json"},
        text(V1),
    ),
    "requests, as the vendor's examples": (
        *("POST", PATH),
        {
            AGENT: "python-requests/2.32.3",
            "Accept-Encoding": "gzip, deflate",
            "accept": "text/plain",
            "Connection": "keep-alive",
            "content-type": "application/json",
            **VENDOR,
            "x-keyfactor-api-version": "2.0",
        },
        text(V2),
    ),
    "requests with two slashes": (
        *("GET", "/KeyfactorAPI//Status/Endpoints"),
        {AGENT: "python-requests/2.32.3", "content-type": "application/json", **VENDOR},
        None,
    ),
    "PowerShell 5.1 that expects 100": (
        *("POST", PATH),
        {
            AGENT: "Mozilla/5.0 (Windows NT; Windows NT 10.0) WindowsPowerShell/5.1",
            "x-keyfactor-api-version": "1.0",
            "X-Keyfactor-Requested-With": "XMLHttpRequest",
            "Content-Type": "application/json; charset=utf-8",
            "Expect": "100-continue",
        },
        text(V1),
    ),
    "PowerShell with a byte order mark": (
        *("POST", PATH),
        {**VENDOR, "Content-Type": "application/json", "x-keyfactor-api-version": "2"},
        b"\xef\xbb\xbf" + text(V2),
    ),
    "PowerShell in pieces": (
        *("POST", PATH),
        {**VENDOR, "Content-Type": "application/json", "Transfer-Encoding": "chunked"},
        [text(V1)[:20], text(V1)[20:]],
    ),
    "UO_Install.ps1 in lower case": (
        *("GET", "/keyfactorapi/status/endpoints"),
        {**VENDOR, "Content-Type": "application/json"},
        None,
    ),
    "Ansible": (
        *("GET", HEALTH),
        {AGENT: "ansible-httpget", "X-Keyfactor-Requested-With": "XMLHttpRequest"},
        None,
    ),
    "Go: the login probe": (
        *("GET", ENDPOINTS),
        {
            AGENT: "Go-http-client/1.1",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-Keyfactor-Api-Version": "1",
            "X-Keyfactor-Requested-With": "APIClient",
            "Accept-Encoding": "gzip",
        },
        None,
    ),
    "Go: GET with the body null": (
        *("GET", "/KeyfactorAPI/SMTP"),
        {"Content-Type": "application/json", **VENDOR, "X-Keyfactor-Api-Version": "1"},
        b"null",
    ),
}


@pytest.mark.parametrize(("method", "path", "headers", "body"), PROBES.values(), ids=PROBES)
def test_a_client_is_challenged_and_then_served(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | list[bytes] | None,
) -> None:
    status, answered, content = call(connection, method, path, headers, body)
    assert (status, content) == (401, b"")
    assert answered["www-authenticate"].startswith("Basic realm=")
    status, answered, content = call(
        connection, method, path, {**headers, "Authorization": BASIC}, body
    )
    assert status == (204 if path == HEALTH else 200), content
    assert answered["x-keyfactor-product-version"] == "25.5.1"
    if content:
        assert answered["content-type"] == "application/json; charset=utf-8"
        assert json.loads(content)

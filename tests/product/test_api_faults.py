"""Faults of the API itself, asked for by the world or by a header: looked at as octets."""

import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx2
import pytest
import requests

from faults_table import api_faults
from mockserver import MockServer
from mockserver.base.problems import Kind, Problem
from mockserver.contract.editions import load_editions
from mockserver.control import recipes
from mockserver.journal.trace import Exchange
from mockserver.product.api_faults import _read
from mockserver.product.worlds import load_world
from mockserver.world.model import ApiFault
from mockserver.world.reading import WorldError
from support import ADMIN, PATH, V1, V2, VALID, Caller, Json, calling, refusal

CREDENTIALS = b64encode(":".join(ADMIN).encode()).decode()
OPERATION = "test_smtp_v2"
FAULT_CODE = "0xA018F001"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def on_each_loop(request: pytest.FixtureRequest) -> Iterator[MockServer]:
    """Run a mock with HTTPS on each of the loops."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "asyncio":
            patched.setitem(sys.modules, "uvloop", None)
        with MockServer(https_port=0) as mock:
            yield mock


Send = Callable[..., socket.socket]


@pytest.fixture(params=["http", "https"])
def send(request: pytest.FixtureRequest, on_each_loop: MockServer) -> Send:
    """Give what sends a test request as octets, in clear or by TLS; its socket is to be read."""
    on_each_loop.reset()
    trust = ssl.create_default_context(cadata=on_each_loop.ca_pem.decode())

    def sent(
        fault: str | None, version: str = "2", method: str = "POST", path: str = PATH
    ) -> socket.socket:
        port = on_each_loop.port(request.param) or 0
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        if request.param == "https":
            sock = trust.wrap_socket(sock, server_hostname="localhost")
        asked = f"X-Mock-Fault: {fault}\r\n" if fault else ""
        sock.sendall(written(asked, version, method, path))
        return sock

    return sent


def written(more: str, version: str = "2", method: str = "POST", path: str = PATH) -> bytes:
    """Write a request as octets, with more headers."""
    body = json.dumps(VALID[version]).encode()
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {CREDENTIALS}\r\n"
        f"x-keyfactor-requested-with: APIClient\r\nx-keyfactor-api-version: {version}\r\n"
        f"{more}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def delayed(mock: MockServer, more: str) -> socket.socket:
    """Send a request that is held up, and return when it has come."""
    sock = socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=30)
    sock.sendall(written(f"Connection: close\r\n{more}"))
    # A connection that was made later is served already, so this one is too.
    assert httpx2.get(f"{mock.url}/livez").status_code == 200
    time.sleep(0.05)
    return sock


def until_closed(sock: socket.socket) -> bytes:
    with sock:
        return b"".join(iter(lambda: sock.recv(65_536), b""))


def only_exchange(mock: MockServer) -> Exchange:
    (exchange,) = mock.requests
    return exchange


def problem(exchange: Exchange) -> tuple[str, str]:
    assert exchange.problem is not None
    return exchange.problem.code, exchange.problem.message


# On the wire


def test_reset_resets_the_connection(send: Send, on_each_loop: MockServer) -> None:
    # Python's TLS calls a reset an end: only the socket below tells one from the other.
    sock = socket.socket(fileno=send("reset").detach())
    sock.settimeout(10)
    with pytest.raises(ConnectionResetError):
        until_closed(sock)
    exchange = only_exchange(on_each_loop)
    assert exchange.status is None
    assert exchange.operation == OPERATION
    assert problem(exchange) == (FAULT_CODE, "reset, as X-Mock-Fault says")
    assert on_each_loop.messages == ()


def test_empty_closes_without_an_octet(send: Send, on_each_loop: MockServer) -> None:
    assert until_closed(send("empty")) == b""
    exchange = only_exchange(on_each_loop)
    assert exchange.status is None
    assert problem(exchange) == (FAULT_CODE, "empty, as X-Mock-Fault says")
    assert on_each_loop.messages == ()


def test_malformed_answers_what_is_not_http(send: Send, on_each_loop: MockServer) -> None:
    assert until_closed(send("malformed")) == b"this is not HTTP\r\n\r\n"
    exchange = only_exchange(on_each_loop)
    assert exchange.status is None
    assert problem(exchange) == (FAULT_CODE, "malformed, as X-Mock-Fault says")
    assert on_each_loop.messages == ()


def test_truncate_breaks_off_in_the_body(send: Send, on_each_loop: MockServer) -> None:
    raw = until_closed(send("truncate", "1"))
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert body.startswith(b'{"Host":"corpexch02.keyexample.com","Id":1,')
    assert len(body) == int(headers["content-length"]) // 2
    exchange = only_exchange(on_each_loop)
    assert headers["x-mock-request-id"] == exchange.id
    assert exchange.status == 200
    assert problem(exchange) == (FAULT_CODE, "truncate, as X-Mock-Fault says")
    assert len(on_each_loop.messages) == 1


def test_truncate_promises_a_body_in_an_empty_answer(send: Send, on_each_loop: MockServer) -> None:
    raw = until_closed(send("truncate"))
    assert raw.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert raw.lower().count(b"\r\ncontent-length: 2\r\n") == 1
    assert raw.count(b"content-length") == 1
    assert raw.endswith(b"\r\n\r\n")
    assert only_exchange(on_each_loop).status == 200


HEALTH = "/KeyfactorAPI/Status/HealthCheck"


@pytest.mark.parametrize(
    ("method", "path"), [("HEAD", "/KeyfactorAPI/PamProviders"), ("GET", HEALTH)]
)
def test_truncate_breaks_off_in_the_status_where_no_body_may_come(
    send: Send, on_each_loop: MockServer, method: str, path: str
) -> None:
    assert until_closed(send("truncate", "1", method, path)) == b"HTTP/1.1 2"
    assert only_exchange(on_each_loop).status == (200 if method == "HEAD" else 204)


TRUNCATED = {
    "empty": ("POST", PATH, "2"),
    "body": ("POST", PATH, "1"),
    "HEAD": ("HEAD", "/KeyfactorAPI/PamProviders", "1"),
    "204": ("GET", HEALTH, "1"),
}
Call = Callable[[MockServer, str, str, dict[str, str], str | None], None]


def by_curl(
    mock: MockServer, method: str, path: str, headers: dict[str, str], body: str | None
) -> None:
    how = ["-d", body] if body else ["--head" if method == "HEAD" else "--get"]
    how += [word for pair in headers.items() for word in ("-H", ": ".join(pair))]
    subprocess.run(["curl", "-sS", mock.url + path, *how], check=True, timeout=30)


def by_http_client(
    mock: MockServer, method: str, path: str, headers: dict[str, str], body: str | None
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", mock.port("http"), timeout=10)
    with closing(connection):
        connection.request(method, path, body, headers)
        connection.getresponse().read()


def by_requests(
    mock: MockServer, method: str, path: str, headers: dict[str, str], body: str | None
) -> None:
    requests.request(method, mock.url + path, data=body, headers=headers, timeout=10)


def by_httpx(
    mock: MockServer, method: str, path: str, headers: dict[str, str], body: str | None
) -> None:
    httpx2.request(method, mock.url + path, content=body, headers=headers)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (by_curl, subprocess.CalledProcessError),
        (by_http_client, http.client.HTTPException),
        (by_requests, requests.RequestException),
        (by_httpx, httpx2.RemoteProtocolError),
    ],
)
@pytest.mark.parametrize("asked", TRUNCATED.values(), ids=TRUNCATED)
def test_clients_notice_that_an_answer_is_truncated(
    mock: MockServer, call: Call, error: type[Exception], asked: tuple[str, str, str]
) -> None:
    method, path, version = asked
    headers = {
        "Authorization": f"Basic {CREDENTIALS}",
        "x-keyfactor-requested-with": "APIClient",
        "x-keyfactor-api-version": version,
        "Content-Type": "application/json",
    }
    body = json.dumps(VALID[version]) if method == "POST" else None
    call(mock, method, path, headers, body)
    with pytest.raises(error):
        call(mock, method, path, headers | {"X-Mock-Fault": "truncate"}, body)


def test_status_and_truncate_break_a_refusal_off(send: Send, on_each_loop: MockServer) -> None:
    head, _, body = until_closed(send("503 truncate")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert body.startswith(b'{"ErrorCode":"0xA018F001","Mess')
    assert b"}" not in body
    exchange = only_exchange(on_each_loop)
    assert exchange.status == 503
    assert problem(exchange) == (
        FAULT_CODE, "status 503, as X-Mock-Fault says (truncate, as X-Mock-Fault says)",
    )  # fmt: skip


def test_the_next_connection_works(send: Send) -> None:
    until_closed(send("malformed"))
    sock = send(None)
    assert sock.recv(17) == b"HTTP/1.1 200 OK\r\n"
    sock.close()


def test_requests_behind_a_broken_one_are_not_performed(mock: MockServer) -> None:
    request = (
        f"GET /KeyfactorAPI/PamProviders HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Basic {CREDENTIALS}\r\nx-keyfactor-requested-with: APIClient\r\n"
    )
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.sendall(f"{request}X-Mock-Fault: empty\r\n\r\n{request}\r\n".encode())
        assert sock.recv(1) == b""
    assert len(mock.requests) == 1


# What a client sees


def test_status_answers_the_products_error_body_with_retry_after(caller: Caller) -> None:
    response = caller.send("2", V2, headers={"X-Mock-Fault": "status=503; retry_after=2"})
    assert refusal(response) == (503, "status 503, as X-Mock-Fault says")
    assert response.json()["ErrorCode"] == FAULT_CODE
    assert response.headers["retry-after"] == "2"
    exchange = caller.exchange(response)
    assert (exchange["status"], exchange["problem"]["code"]) == (503, FAULT_CODE)
    assert caller.messages() == []


def test_status_401_is_answered_as_every_401(caller: Caller) -> None:
    response = caller.send("2", V2, headers={"X-Mock-Fault": "401"})
    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"]


def test_delay_waits_before_the_operation_is_performed(caller: Caller) -> None:
    started = time.monotonic()
    response = caller.send("2", V2, headers={"X-Mock-Fault": "delay=0.2"})
    assert response.status_code == 200
    assert 0.2 <= time.monotonic() - started < 2
    (exchange,) = caller.mock.requests
    assert exchange.problem is None
    assert next(step for step in exchange.steps if step.name == "delay").duration_ms >= 190


def test_a_fault_comes_before_the_permission_and_the_body(caller: Caller) -> None:
    fault = {"X-Mock-Fault": "503"}
    auditor = ("KEYEXAMPLE\\auditor", "auditor-password")
    assert caller.send("2", {}, auth=auditor, headers=fault).status_code == 503
    assert caller.send("2", V2, auth=("x", "y"), headers=fault).status_code == 401
    assert caller.send("2", V2, path="/KeyfactorAPI/Nothing", headers=fault).status_code == 404
    assert caller.send("9", V2, headers=fault).status_code == 400


def test_truncate_breaks_the_products_own_refusal_off(caller: Caller) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        caller.send("2", V2 | {"Port": 0}, headers={"X-Mock-Fault": "truncate"})
    (exchange,) = caller.mock.requests
    assert exchange.status == 400
    assert problem(exchange)[1].startswith("Port: must be at least 1")
    assert problem(exchange)[1].endswith("(truncate, as X-Mock-Fault says)")


def test_calls_without_an_answer_are_found_by_their_status(caller: Caller) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        caller.send("2", V2, headers={"X-Mock-Fault": "empty"})
    caller.send("2", V2)
    found = caller.http.get("/_mock/requests", params={"status": "null"}).json()["requests"]
    assert [exchange["problem"]["message"] for exchange in found] == ["empty, as X-Mock-Fault says"]


# By the world


def test_the_world_has_faults_by_operation(caller: Caller) -> None:
    caller.mock.patch_world({"api_faults": {OPERATION: {"status": 503}}})
    assert refusal(caller.send("2", V2)) == (503, "status 503, as api_faults of the world says")
    assert caller.send("1", V1).status_code == 200
    caller.mock.patch_world({"api_faults": {OPERATION: None}})
    assert caller.send("2", V2).status_code == 200


def test_a_star_stands_for_any_other_operation(caller: Caller) -> None:
    caller.mock.patch_world({"api_faults": {"*": {"status": 500}, OPERATION: {"status": 503}}})
    assert caller.send("2", V2).status_code == 503
    assert caller.send("1", V1).status_code == 500


def test_the_header_goes_before_the_world(caller: Caller) -> None:
    caller.mock.patch_world({"api_faults": {"*": {"status": 500}}})
    assert caller.send("2", V2, headers={"X-Mock-Fault": "503"}).status_code == 503
    over = {"X-Mock-Fault": "status=503; first=1"}
    statuses = [caller.send("2", V2, headers=over).status_code for _ in range(2)]
    assert statuses == [503, 200]


def test_first_counts_the_calls_of_each_operation(caller: Caller) -> None:
    caller.mock.patch_world({"api_faults": {"*": {"status": 503, "first": 2}}})
    assert [caller.send("2", V2).status_code for _ in range(3)] == [503, 503, 200]
    assert [caller.send("1", V1).status_code for _ in range(3)] == [503, 503, 200]
    caller.mock.reset()
    caller.mock.patch_world({"api_faults": {"*": {"status": 503, "first": 2}}})
    assert caller.send("2", V2).status_code == 503


def test_first_in_the_header_counts_for_each_text(caller: Caller) -> None:
    for text in ("503 first=1", "503, first=1"):
        fault = {"X-Mock-Fault": text}
        assert [caller.send("2", V2, headers=fault).status_code for _ in range(2)] == [503, 200]
        assert caller.send("1", V1, headers=fault).status_code == 503


def test_counters_do_not_grow_for_ever(mock: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.journal.state._MAX_COUNTERS", 2)
    state = mock._states.get()  # noqa: SLF001  # no client can look at it
    assert [state.count_use(key) for key in ("a", "b", "a", "c", "b", "a")] == [1, 1, 2, 1, 2, 1]


def test_a_fault_of_an_unknown_operation_is_refused_everywhere(caller: Caller) -> None:
    patch = {"api_faults": {"test_smtp_v3": {"status": 503}}}
    text = r"/api_faults/test_smtp_v3: no such operation; did you mean 'test_smtp_v[12]'\?"
    with pytest.raises(WorldError, match=f"^world: {text}"):
        MockServer(patch)
    with pytest.raises(WorldError, match=f"^patch: {text}"):
        caller.mock.patch_world(patch)
    assert caller.http.patch("/_mock/world", json=patch).status_code == 400
    assert caller.http.get("/_mock/world").json()["api_faults"] == {}


def test_every_operation_can_have_a_fault() -> None:
    operations = {operation.id for operation in load_editions().newest.contract.operations}
    world = load_world({"api_faults": {operation: {"reset": True} for operation in operations}})
    assert set(world.api_faults) == operations


# A long delay


def test_a_stop_does_not_wait_for_a_delay() -> None:
    with MockServer({"api_faults": {"*": {"delay": 300}}}) as mock:
        sock = delayed(mock, "")
        started = time.monotonic()
    assert until_closed(sock).startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - started < 5


def test_a_reset_ends_a_delay(mock: MockServer) -> None:
    sock = delayed(mock, "X-Mock-Fault: 503; delay=300\r\n")
    started = time.monotonic()
    httpx2.post(f"{mock.control_url}/reset")
    assert until_closed(sock).startswith(b"HTTP/1.1 503 ")
    assert time.monotonic() - started < 5
    assert mock.requests == ()


# Who leaves before the answer


LEFT_CODE = "0xA011F00E"
LEFT = "the client closed the connection before the answer"


def of_who_left(mock: MockServer) -> tuple[str, str]:
    """Wait for the call of a client that has left; return what the journal says of it."""
    (found,) = httpx2.get(f"{mock.control_url}/requests?wait=5").json()["requests"]
    assert found["status"] is None
    assert found["problem"]["code"] == LEFT_CODE
    assert mock.unexpected == ()
    with pytest.raises(AssertionError, match=r"expected a refused call, found none of 0\nthe last"):
        mock.assert_rejected()
    assert recipes.assertion(mock.requests[-1], None) is None
    return found["operation"], found["problem"]["message"]


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("delay=0.2", "status 200"),
        ("503; delay=0.2", "status 503, as X-Mock-Fault says"),
        ("delay=0.2; reset", "reset, as X-Mock-Fault says"),
        ("delay=0.2; truncate", "truncate, as X-Mock-Fault says"),
    ],
)
def test_who_leaves_during_a_delay_was_not_refused(
    send: Send, on_each_loop: MockServer, fault: str, answer: str
) -> None:
    send(fault).close()
    assert of_who_left(on_each_loop) == (OPERATION, f"{LEFT} ({answer})")
    # The work is done all the same.
    assert len(on_each_loop.messages) == (
        answer in {"status 200", "truncate, as X-Mock-Fault says"}
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_leaves_during_the_delay_of_a_call_without_a_body_was_not_refused(
    mock: MockServer, method: str
) -> None:
    octets = written("X-Mock-Fault: delay=0.2\r\n", "2", method, "/KeyfactorAPI/PamProviders")
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.sendall(octets.partition(b"Content-Type")[0] + b"\r\n")
    assert of_who_left(mock) == ("get_pam_providers_v2", f"{LEFT} (status 200)")


@pytest.mark.parametrize("size", [150_000, 200_000, 300_000])
def test_who_leaves_behind_a_large_body_is_noticed(mock: MockServer, size: int) -> None:
    body = b" " * size + json.dumps(V2).encode()
    head, name, _ = written("X-Mock-Fault: delay=0.2\r\n").partition(b"Content-Length: ")
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.sendall(b"%s%s%d\r\n\r\n%s" % (head, name, len(body), body))
    assert of_who_left(mock) == (OPERATION, f"{LEFT} (status 200)")


SLOW: dict[str, tuple[Json, Json]] = {
    "relay": ({"relays": {"late.test": {"delay": 0.1}}}, V2 | {"Host": "late.test"}),
    "PAM provider": (
        {"pam_providers": {"92": {"delay": 0.5}}},
        V2
        | {
            "RelayAuthenticationType": 2,
            "RelayUsername": {
                "Provider": "92",
                "Parameters": {"SecretName": "EmailSenderUsername"},
            },
            "RelayPassword": {"SecretValue": "MySuperSecretPassword"},
        },
    ),
    "identity provider": (
        {"token_endpoints": {"https://idp-slow.test/token": {"delay": 0.2}}},
        V2
        | {
            "RelayAuthenticationType": 3,
            "ClientId": {"SecretValue": "command-email"},
            "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
            "TokenEndpoint": "https://idp-slow.test/token",
        },
    ),
    "refusing relay": (
        {"relays": {"late.test": {"delay": 0.1, "replies": {"rcpt": "550 5.1.1 Nobody"}}}},
        V2 | {"Host": "late.test"},
    ),
}


@pytest.mark.parametrize(("patch", "body"), SLOW.values(), ids=SLOW)
def test_who_leaves_while_others_are_slow_was_not_refused(
    mock: MockServer, patch: Json, body: Json
) -> None:
    mock.patch_world(patch)
    with calling(mock) as other:
        other.http.timeout = httpx2.Timeout(10, read=0.05)
        with pytest.raises(httpx2.ReadTimeout):
            other.send("2", body)
    operation, message = of_who_left(mock)
    assert (operation, message.startswith(f"{LEFT} (")) == (OPERATION, True)
    assert ("550 5.1.1 Nobody" in message) != (len(mock.messages) == 1)


def test_who_leaves_amid_the_body_is_recorded_at_once(mock: MockServer) -> None:
    octets = written("X-Mock-Fault: delay=300\r\n")
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.sendall(octets[:-1])
    assert of_who_left(mock) == (OPERATION, "the connection ended before the body did")
    assert mock.messages == ()


def test_the_body_is_read_before_a_delay(mock: MockServer) -> None:
    octets = written("X-Mock-Fault: delay=300\r\nExpect: 100-continue\r\n")
    head, end, body = octets.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.sendall(head + end)
        assert sock.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
    mock.reset()


def test_a_body_that_was_read_before_a_delay_is_refused_in_its_turn(caller: Caller) -> None:
    auditor = ("KEYEXAMPLE\\auditor", "auditor-password")
    large = b" " * 2_000_000
    for body in (large, b"{"):
        assert caller.send("2", body, headers={"X-Mock-Fault": "503 delay=0.01"}).status_code == 503
        fault = {"X-Mock-Fault": "delay=0.01"}
        assert caller.send("2", body, auth=auditor, headers=fault).status_code == 403
        assert caller.send("2", body, headers=fault).status_code == (413 if body == large else 400)


# The header


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"status": 503, "retry_after": 2}', ApiFault(status=503, retry_after=2)),
        (' {"reset": true}', ApiFault(reset=True)),
        ("status=503; retry_after=2", ApiFault(status=503, retry_after=2)),
        ("status: 503, Retry-After: 2", ApiFault(status=503, retry_after=2)),
        ("503", ApiFault(status=503)),
        ("503 truncate", ApiFault(status=503, truncate=True)),
        (" delay = 1.5 ;; reset ", ApiFault(delay=1.5, reset=True)),
        ("RESET=TRUE empty=false", ApiFault(reset=True)),
        ("status=503.0", ApiFault(status=503)),
    ],
)
def test_a_header_is_read_in_many_forms(text: str, fault: ApiFault) -> None:
    assert _read(text) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a text of 1 to 1000 characters, such as status=503"),
        (" " * 1_001 + "reset", "must be a text of 1 to 1000 characters, such as status=503"),
        ("statsu=503", "/statsu: unknown key; did you mean 'status'?"),
        ("rest", "/rest: unknown key; did you mean 'reset'?"),
        ("200", "/status: must be at least 400"),
        ("503.5", "/status: must be a whole number"),
        ("status=unavailable", "/status: must be a whole number"),
        ("delay=301", "/delay: must be at most 300"),
        ("delay=-1", "/delay: must be at least 0"),
        ("delay=inf", "/delay: must be a number"),
        ("reset=1", "/reset: must be true or false"),
        ("503 status=503", "status stands twice"),
        ("retry_after=2", "/status: missing; needed by 'retry_after'"),
        ("first=0", "/first: must be at least 1"),
        ('{"status": 503', "the value is not JSON at line 1, column 15"),
        ('{"delay": 1e999}', "a number is too large"),
        ('{"status": 503, "status": 503}', "the name status stands twice in one object"),
        *((text, 'must have only one of "reset", "empty", "truncate" and "malformed"')
          for text in ("reset empty", "reset truncate", "reset malformed", "empty truncate",
                       "empty malformed", "truncate malformed", "reset 503", "empty 503",
                       "malformed 503")),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_header_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(Problem) as caught:
        _read(text)
    assert caught.value.kind is Kind.CONTROL
    assert caught.value.message.startswith(f"X-Mock-Fault: {message}")


def test_a_bad_header_is_a_400_in_the_products_error_body(caller: Caller) -> None:
    response = caller.send("2", V2, headers={"X-Mock-Fault": "stauts=503"})
    expected = "X-Mock-Fault: /stauts: unknown key; did you mean 'status'?"
    assert refusal(response) == (400, expected)
    assert caller.messages() == []


def test_two_lines_of_the_header_are_one_list(caller: Caller) -> None:
    lines = [("X-Mock-Fault", "503"), ("X-Mock-Fault", "retry_after=7")]
    response = caller.http.post(PATH, auth=ADMIN, headers=lines)
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(("key", "rule"), api_faults().items())
def test_the_readmes_examples_are_valid(key: str, rule: Json) -> None:
    assert getattr(_read(rule["x-header"]), key)


@pytest.mark.parametrize("name", ["x-keyfactor-api-version", "x-keyfactor-requested-with"])
def test_a_vendor_header_that_stands_twice_is_refused(caller: Caller, name: str) -> None:
    headers = {
        "x-keyfactor-api-version": "2",
        "x-keyfactor-requested-with": "APIClient",
        "content-type": "application/json",
    }
    twice = [*headers.items(), (name, headers[name])]
    response = caller.http.post(PATH, content=json.dumps(V2), auth=ADMIN, headers=twice)
    status, message = refusal(response)
    assert status == 400
    assert message.startswith(f"{name}: must be")


def test_of_a_header_that_is_no_list_the_first_counts(caller: Caller) -> None:
    first = ("authorization", f"Basic {b64encode(':'.join(ADMIN).encode()).decode()}")
    headers = [("x-keyfactor-requested-with", "APIClient"), first, ("authorization", "Bearer x")]
    headers += [("content-type", "application/json"), ("content-type", "text/html")]
    headers += [("x-mock-namespace", "first"), ("x-mock-namespace", "second")]
    response = caller.http.post(PATH, content=json.dumps(VALID["1"]), headers=headers)
    assert response.status_code == 200
    assert len(caller.mock.namespace("first").requests) == 1

"""What HTTP clients may take, and what they get who take more: looked at as octets on sockets."""

import gc
import logging
import os
import resource
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest

from mockserver import MockServer
from mockserver.http.connection import Limits
from raw_http import (
    BODY,
    CREDENTIALS,
    HEALTH,
    answer,
    ask,
    chunked,
    post,
    refused,
    until,
    until_closed,
)
from support import ADMIN, PATH, V2, refusal

SMALL: Final = Limits(
    head=4_096,
    body=100_000,
    head_s=0.2,
    pause_s=0.2,
    body_s=0.4,
    linger_s=0.1,
    connections=10,
)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def small(request: pytest.FixtureRequest) -> Iterator[MockServer]:
    """Run a mock that allows little, on each of the loops."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "asyncio":
            patched.setitem(sys.modules, "uvloop", None)
        with MockServer(https_port=0, limits=SMALL) as mock:
            yield mock


Connect = Callable[[], socket.socket]


@pytest.fixture(params=["http", "https"])
def connect(request: pytest.FixtureRequest, small: MockServer) -> Connect:
    """Give what connects to the small mock, in clear or by TLS."""
    small.reset()
    trust = ssl.create_default_context(cadata=small.ca_pem.decode())

    def connected() -> socket.socket:
        port = small.port(request.param) or 0
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        if request.param == "http":
            return sock
        return trust.wrap_socket(sock, server_hostname="localhost")

    return connected


# Octets


def test_headers_of_the_size_that_is_allowed_are_read(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(HEALTH[:-2] + b"X: %s\r\n\r\n" % (b"x" * (SMALL.head - 40)))
        assert sock.recv(1_000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "headers",
    [
        b"X: %s\r\n\r\n" % (b"x" * SMALL.head),
        b"".join(b"X-%d: x\r\n" % number for number in range(1_000)) + b"\r\n",
        b"".join(b"X-%d: x\r\n" % number for number in range(1_000)),
    ],
    ids=["one large", "many small", "without an end"],
)
def test_headers_that_are_larger_get_a_431(connect: Connect, headers: bytes) -> None:
    with connect() as sock:
        sock.sendall(HEALTH[:-2] + headers)
        assert refused(until_closed(sock)) == (431, "the headers are larger than 4096 octets")


def test_a_header_that_never_ends_gets_a_431(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(HEALTH[:-2] + b"X: ")
        for _ in range(10):
            sock.sendall(b"x" * 1_000)
            time.sleep(0.005)
        assert refused(until_closed(sock))[0] == 431


def test_a_url_that_is_longer_gets_a_414(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * SMALL.head))
        assert refused(until_closed(sock)) == (414, "the URL is longer than 4096 octets")


def test_the_limit_is_64_kib_unless_another_is_given(mock: MockServer) -> None:
    for size, status in ((60_000, 200), (16 * 1024 * 1024, 431)):
        with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
            # Who does not read while it sends may find the connection closed.
            try:
                sock.sendall(HEALTH[:-2] + b"X: %s\r\n\r\n" % (b"x" * size))
            except OSError:
                continue
            assert int(sock.recv(1_000).split()[1]) == status


def test_many_requests_at_once_are_no_large_header(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(HEALTH * 200 + HEALTH[:20])
        time.sleep(0.05)
        sock.sendall(HEALTH[20:-2] + b"Connection: close\r\n\r\n")
        assert until_closed(sock).count(b"HTTP/1.1 200 ") == 201


def test_a_body_without_an_end_gets_a_413(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(post(length=SMALL.body * 3))
        for _ in range(4):
            sock.sendall(b" " * 30_000)
        assert refused(until_closed(sock)) == (413, "the body is larger than 100000 octets")


def test_trailers_are_no_headers_and_have_a_bound_too(connect: Connect, small: MockServer) -> None:
    with connect() as sock:
        body = b"%x\r\n%s\r\n" % (len(BODY), BODY)
        sock.sendall(chunked(body) + b"0\r\nX-Mock-Fault: 503\r\nX: x\r\n\r\n")
        assert sock.recv(17) == b"HTTP/1.1 200 OK\r\n"
    with connect() as sock:
        sock.sendall(chunked(b"0\r\nX: "))
        for _ in range(4):
            sock.sendall(b"x" * 30_000)
        assert refused(until_closed(sock))[0] == 413
    names = {name for exchange in small.requests for name, _ in exchange.request.headers}
    assert not names & {"x", "x-mock-fault"}


# Time


def test_headers_that_are_not_complete_in_time_get_a_408(connect: Connect) -> None:
    with connect() as sock:
        started = time.monotonic()
        for octet in HEALTH[:20]:
            sock.sendall(bytes([octet]))
            time.sleep(0.005)
        raw = until_closed(sock)
        assert refused(raw) == (408, "the headers are not complete after 0.2 s")
        assert 0.15 < time.monotonic() - started < 2


def test_the_next_headers_on_a_connection_have_a_time_too(connect: Connect) -> None:
    with connect() as sock:
        ask(sock)
        sock.sendall(HEALTH[:20])
        assert refused(until_closed(sock))[0] == 408


def test_a_client_that_still_sends_can_read_an_answer_that_is_the_last(small: MockServer) -> None:
    head = b"POST /_mock/reset HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", small.port("http") or 0), timeout=10) as sock:
        sock.sendall(head + b"Content-Length: 2\r\n\r\n")
        # The answer is there; it must not be lost when octets come that nobody reads.
        assert select.select([sock], [], [], 10)[0]
        sock.sendall(b"{")
        sock.sendall(b"}")
        assert until_closed(sock).startswith(b"HTTP/1.1 204 ")


def test_a_body_that_pauses_too_long_gets_a_408_that_is_in_the_journal(
    connect: Connect, small: MockServer
) -> None:
    with connect() as sock:
        sock.sendall(post() + BODY[:-1])
        raw = until_closed(sock)
    status, message = refused(raw)
    assert (status, message) == (408, "the body came too slowly, or its rest did not come")
    (exchange,) = small.requests
    assert exchange.problem is not None
    assert (exchange.status, exchange.problem.message) == (408, message)
    assert f"x-mock-request-id: {exchange.id}".encode() in raw
    assert small.messages == ()


def test_a_body_that_trickles_too_long_gets_a_408(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(post())
        for octet in BODY[:6]:
            time.sleep(0.06)
            sock.sendall(bytes([octet]))
        last = time.monotonic()
        assert refused(until_closed(sock))[0] == 408
        assert time.monotonic() - last < SMALL.pause_s


def test_a_body_with_pauses_is_read(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(post(more="Connection: close\r\n"))
        for start in range(0, len(BODY), 50):
            time.sleep(0.03)
            sock.sendall(BODY[start : start + 50])
        assert until_closed(sock).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_nobody_wants_ends_the_connection_when_it_stops(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(post(path="/KeyfactorAPI/Nothing") + BODY[:-1])
        assert answer(until_closed(sock))[0] == 404


def test_a_client_that_waits_for_the_mock_is_not_late(connect: Connect) -> None:
    before = post(more="X-Mock-Fault: delay=0.5\r\n") + BODY
    large = b" " * 90_000 + BODY  # more than is read before somebody wants it
    with connect() as wanting, connect() as sending:
        wanting.sendall(before + post(more="Expect: 100-continue\r\nConnection: close\r\n"))
        sending.sendall(before + post(more="Connection: close\r\n", length=len(large)) + large)
        first = until(wanting, b"100 Continue\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200 ")
        wanting.sendall(BODY)
        assert until_closed(wanting).startswith(b"HTTP/1.1 200 ")
        assert until_closed(sending).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (chunked(b"z\r\n"), 400),
        (chunked(b"2\r\n{}\r\n") + b"x", 400),
        (post(length=SMALL.body + 1) + b" " * (SMALL.body + 1), 413),
        (post() + BODY[:-1], 408),
    ],
    ids=["no chunk", "no end", "too large", "late"],
)
def test_a_bad_body_leaves_the_answers_before_it(
    connect: Connect, small: MockServer, second: bytes, status: int
) -> None:
    with connect() as sock:
        sock.sendall(post(more="X-Mock-Fault: delay=0.3\r\n") + BODY + second)
        first, rest = until_closed(sock).split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 ")
    assert refused(b"HTTP/1.1 " + rest)[0] == status
    assert [exchange.status for exchange in small.requests] == [200, status]


def test_a_connection_that_asks_nothing_is_closed() -> None:
    with (
        MockServer(limits=Limits(idle_s=0)) as mock,
        socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock,
    ):
        assert sock.recv(1) == b""


def test_a_tls_handshake_has_a_time() -> None:
    with (
        MockServer(https_port=0, limits=Limits(head_s=0.1)) as mock,
        socket.create_connection(("127.0.0.1", mock.port("https") or 0), timeout=10) as sock,
    ):
        assert sock.recv(1) == b""


# Connections


def test_one_connection_too_many_gets_a_503(connect: Connect) -> None:
    held = [connect() for _ in range(SMALL.connections)]
    for sock in held:
        ask(sock)
    with connect() as asking, connect() as silent:
        asking.sendall(HEALTH)
        for sock in (asking, silent):
            raw = until_closed(sock)
            assert refused(raw) == (503, "too many connections are open: close some, or wait")
            assert answer(raw)[1]["retry-after"] == "1"
    for sock in held:
        ask(sock)
        sock.close()
    time.sleep(0.05)
    with connect() as sock:
        ask(sock)


def test_serving_raises_the_limit_of_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = subprocess.run(
        [
            *("sh", "-c", 'ulimit -Sn 256; exec "$@"', "sh"),
            *(sys.executable, "-m", "mockserver", "run", "--", "sh", "-c", "ulimit -Sn"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert int(done.stdout) == (16_000 if hard < 0 else min(16_000, hard))


# What is not HTTP


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"FOO / HTTP/1.1\r\n\r\n", "Invalid method"),
        (b"\x16\x03\x01\x02\x00\x01", "Invalid method"),
        (HEALTH[:-2] + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "Content-Length"),
        (HEALTH[:-2] + b"Bad Name: x\r\n\r\n", "header token"),
        (b"GET http://[secret HTTP/1.1\r\nHost: localhost\r\n\r\n", "its target cannot be read"),
    ],
    ids=["method", "TLS", "lengths", "name", "target"],
)
def test_what_is_not_http_gets_a_400(connect: Connect, raw: bytes, reason: str) -> None:
    with connect() as sock:
        sock.sendall(raw)
        status, message = refused(until_closed(sock))
        assert status == 400
        assert message.startswith("the request is not HTTP/1.1: ")
        assert reason in message
        assert "secret" not in message


def test_after_a_refusal_nothing_more_is_read(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(b"FOO / HTTP/1.1\r\n\r\n")
        time.sleep(0.02)
        sock.sendall(HEALTH)
        assert refused(until_closed(sock))[0] == 400


def test_a_body_that_is_not_http_gets_a_400(connect: Connect, small: MockServer) -> None:
    with connect() as sock:
        sock.sendall(chunked(b"1\r\n{\r\n"))
        time.sleep(0.02)
        sock.sendall(b"no size\r\n")
        status, message = refused(until_closed(sock))
    assert (status, message) == (
        400, "the request is not HTTP/1.1: Invalid character in chunk size",
    )  # fmt: skip
    (exchange,) = small.requests
    assert exchange.problem is not None
    assert (exchange.status, exchange.problem.message) == (status, message)


def test_a_bad_body_after_its_answer_ends_the_connection(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(chunked(b"1\r\n{\r\n", "/KeyfactorAPI/Nothing"))
        raw = sock.recv(10_000)
        sock.sendall(b"no size\r\n")
        assert answer(raw + until_closed(sock))[0] == 404


def test_the_answers_to_earlier_requests_come_first(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(post() + BODY + b"FOO / HTTP/1.1\r\n\r\n")
        raw = until_closed(sock)
        assert raw.startswith(b"HTTP/1.1 200 ")
        assert raw.count(b"HTTP/1.1") == 1


def test_stopping_does_not_wait_for_who_was_refused() -> None:
    with MockServer(limits=Limits(linger_s=30)) as mock:
        sock = socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10)
        sock.sendall(post()[:-2] + b"X")
        sock.sendall(b"\0\r\n\r\n")
        assert refused(until_closed(sock))[0] == 400
        started = time.monotonic()
    assert time.monotonic() - started < 2
    sock.close()


def test_two_thousand_idle_connections_are_held() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with MockServer() as mock:
        port = mock.port("http") or 0
        held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2_000)]
        for sock in held:
            sock.sendall(HEALTH)
        assert all(sock.recv(1_000).startswith(b"HTTP/1.1 200 ") for sock in held)
        assert httpx2.get(f"{mock.url}/livez").status_code == 200
        for sock in held:
            sock.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Offers of another protocol

JAVA: Final = (
    "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\nUpgrade: h2c\r\n"
)
OFFERS: Final = {
    "Java": JAVA,
    "letter case": JAVA.replace("Upgrade", "uPGRADE").replace("h2c", "H2C"),
    "websocket": "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    "several": "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket, TLS/1.3\r\n",
}
LAST: Final = "Connection: close\r\n"


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that nothing is in the log that anybody should see."""
    yield
    records = caplog.get_records("call")
    assert [record.getMessage() for record in records if record.levelname != "INFO"] == []


def whole(sock: socket.socket, octets: bytes) -> None:
    """Send octets at once."""
    sock.sendall(octets)


def in_small_parts(sock: socket.socket, octets: bytes) -> None:
    """Send octets one by one."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in octets:
        sock.sendall(bytes([octet]))


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("send", [whole, in_small_parts], ids=["whole", "in parts"])
def test_an_offer_of_another_protocol_is_ignored(
    connect: Connect,
    small: MockServer,
    offer: str,
    send: Callable[[socket.socket, bytes], None],
) -> None:
    with connect() as sock:
        for _ in range(2):
            send(sock, post(more=offer) + BODY)
            assert until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        ask(sock)
    assert len(small.messages) == 2
    pairs = [line.split(": ") for line in offer.splitlines() if "Sec-" not in line]
    came = [(name.lower(), value) for name, value in pairs]
    for exchange in small.requests:
        assert [pair for pair in exchange.request.headers if pair in came] == came


@pytest.mark.usefixtures("quiet")
def test_an_offer_is_ignored_wherever_the_octets_are_divided(mock: MockServer) -> None:
    octets = post(more=JAVA) + BODY
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(1, len(octets)):
            sock.sendall(octets[:place])
            time.sleep(0.0005)
            sock.sendall(octets[place:])
            assert until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert {exchange.status for exchange in mock.requests} == {200}


def test_offers_behind_each_other_are_ignored(connect: Connect, small: MockServer) -> None:
    nothing = HEALTH[:-2] + JAVA.encode() + b"\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    offering, plain = post(more=JAVA) + BODY, post() + BODY
    framed = post(more=JAVA).replace(
        b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked"
    )
    with connect() as sock:
        sock.sendall(offering + nothing + plain + framed + chunks + nothing + offering)
        sock.sendall(post(more=LAST) + BODY)
        assert until_closed(sock).count(b"HTTP/1.1 200 ") == 7
    assert len(small.messages) == 5


def test_a_thousand_offers_in_one_piece_are_ignored(mock: MockServer) -> None:
    offer = HEALTH[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.sendall(offer * 1_000 + HEALTH[:-2] + LAST.encode() + b"\r\n")
        assert until_closed(sock).count(b"HTTP/1.1 200 ") == 1_001


def test_an_offer_changes_nothing_else_of_a_request(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(post(more=f"Expect: 100-continue\r\n{LAST}{JAVA}"))
        assert until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BODY)
        assert until_closed(sock).startswith(b"HTTP/1.1 200 ")
    with connect() as sock:
        sock.sendall((post(more=JAVA) + BODY).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert until_closed(sock).startswith(b"HTTP/1.1 200 ")
    with connect() as sock:
        sock.sendall(HEALTH[:-2] + JAVA.encode() + b"X: %s\r\n\r\n" % (b"x" * SMALL.head))
        assert refused(until_closed(sock))[0] == 431
    with connect() as sock:
        sock.sendall(post(more=JAVA) + BODY[:-1])
        assert refused(until_closed(sock))[0] == 408


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (post("http://[secret", JAVA) + BODY, "its target cannot be read"),
        (chunked(b"no size\r\n").replace(b"\r\n", b"\r\n" + JAVA.encode(), 1), "in chunk size"),
    ],
    ids=["target", "body"],
)
def test_what_is_not_http_gets_a_400_beside_an_offer(
    connect: Connect, raw: bytes, reason: str
) -> None:
    with connect() as sock:
        sock.sendall(raw)
        status, message = refused(until_closed(sock))
        assert (status, message.endswith(reason)) == (400, True)


def test_what_follows_a_connect_is_the_next_request(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(b"CONNECT /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" + HEALTH)
        raw = until(sock, b"alive\n")
        assert raw.startswith(b"HTTP/1.1 404 ")
        assert raw.count(b"HTTP/1.1 ") == 2


def test_curl_offers_http_2_and_is_answered(mock: MockServer) -> None:
    command = ["curl", "-sS", "--http2", "-u", ":".join(ADMIN), "--data-binary", "@-"]
    for line in post().decode().split("\r\n")[3:6]:
        command += ["-H", line]
    command += ["-w", "%{http_code} %{http_version}", mock.url + PATH]
    done = subprocess.run(command, input=BODY, capture_output=True, check=True, timeout=30)
    assert done.stdout == b"200 1.1"
    (exchange,) = mock.requests
    assert ("upgrade", "h2c") in exchange.request.headers


JAVA_CLIENT: Final = """
import java.net.URI;
import java.net.http.*;
public class Main {
    public static void main(String[] args) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest request = HttpRequest.newBuilder(URI.create(args[0]))
            .headers("Authorization", "Basic " + args[1], "Content-Type", "application/json",
                     "x-keyfactor-requested-with", "APIClient", "x-keyfactor-api-version", "2")
            .POST(HttpRequest.BodyPublishers.ofString(args[2])).build();
        for (int call = 0; call < 3; call++) {
            var response = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(response.statusCode() + " " + response.version() + response.body());
        }
    }
}
"""


@pytest.mark.usefixtures("quiet")
@pytest.mark.skipif(
    not shutil.which("java"), reason="there is no java here, whose client this tries"
)
def test_the_http_client_of_java_is_answered(mock: MockServer, tmp_path: Path) -> None:
    program = tmp_path / "Main.java"
    program.write_text(JAVA_CLIENT)
    arguments = (mock.url + PATH, CREDENTIALS, BODY.decode())
    done = subprocess.run(
        ["java", program, *arguments], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout == "200 HTTP_1_1\n" * 3
    offers = [dict(exchange.request.headers).get("upgrade") for exchange in mock.requests]
    assert offers == ["h2c"] * 3


# Why TLS failed


@pytest.fixture(params=["uvloop", "asyncio"])
def secure(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[MockServer]:
    """Run a mock that has said nothing yet, on each of the loops."""
    caplog.set_level(logging.WARNING)
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "asyncio":
            patched.setitem(sys.modules, "uvloop", None)
        with MockServer(http_port=None, https_port=0, limits=Limits(head_s=0.3)) as mock:
            yield mock


def logged(caplog: pytest.LogCaptureFixture, count: int = 1) -> list[str]:
    """Wait for so many lines of the log, and return all."""
    deadline = time.monotonic() + 10
    while len(caplog.records) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(record.exc_info is None for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


DISTRUST: Final = "the client does not trust the CA of the certificate"


S_CLIENT: Final = "openssl s_client -connect localhost:PORT -verify_return_error"
HANDSHAKES: Final = {
    "curl": (
        "curl -sS https://localhost:PORT/livez",
        f"tlsv1 alert unknown ca): {DISTRUST}; GET /_mock/ca.pem has the mock's own",
    ),
    "TLS 1.2": ("curl -sS --tls-max 1.2 https://localhost:PORT/", f"unknown ca): {DISTRUST};"),
    "openssl": (S_CLIENT, f"unknown ca): {DISTRUST}"),
    "another name": (
        f"{S_CLIENT} -CAfile ca.pem -verify_hostname other.test",
        f"bad certificate): {DISTRUST} (GET /_mock/ca.pem has the mock's own), or asks for a name",
    ),
    "TLS 1.1": (f"{S_CLIENT} -tls1_1 -cipher ALL:@SECLEVEL=0", "(unsupported protocol)"),
    "HTTP": (
        "curl -sS --fail http://localhost:PORT/livez",
        "(http request): the client does not speak TLS; the URL of this port begins with https://",
    ),
    "DELETE": (
        "curl -sS --fail -X DELETE http://localhost:PORT/",
        "version number): the client does not",
    ),
}


@pytest.mark.parametrize(("command", "reason"), HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_failed_handshake_is_one_line_with_its_likely_cause(
    secure: MockServer,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    command: str,
    reason: str,
) -> None:
    (tmp_path / "ca.pem").write_bytes(secure.ca_pem)
    words = command.replace("PORT", str(secure.port("https"))).split()
    done = subprocess.run(words, check=False, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=30)
    assert done.returncode != 0
    (line,) = logged(caplog)
    assert line.startswith("HTTPS handshake failed from 127.0.0.1 (")
    assert reason in line


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("size", [0, 100_000])
def test_http_in_clear_on_the_port_for_https_is_told_so(
    secure: MockServer, method: str, size: int
) -> None:
    url = f"http://localhost:{secure.port('https')}/livez"
    response = httpx2.request(method, url, content=b"x" * size)
    text = "this port is for HTTPS: the client does not speak TLS"
    assert refusal(response) == (400, f"{text}; the URL of this port begins with https://")
    assert response.headers["connection"] == "close"


def test_a_body_that_follows_in_clear_is_refused_once(
    secure: MockServer, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(60):
        with socket.create_connection(("127.0.0.1", secure.port("https") or 0), timeout=10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
            time.sleep(number % 6 / 2_000)
            sock.sendall(b"{}")
            assert until_closed(sock).count(b"HTTP/1.1 400 ") == 1
    gc.collect()
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_client_that_goes_away_in_the_handshake_is_one_line(
    secure: MockServer, caplog: pytest.LogCaptureFixture
) -> None:
    # As Node does: it sends no alert.
    sent = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), sent, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    with socket.create_connection(("127.0.0.1", secure.port("https") or 0), timeout=10) as sock:
        sock.sendall(sent.read())
        assert sock.recv(1)
    (line,) = logged(caplog)
    assert f"failed from 127.0.0.1 (the client closed the connection): perhaps {DISTRUST};" in line


def test_a_handshake_that_takes_too_long_is_one_line(
    secure: MockServer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", secure.port("https") or 0), timeout=10) as sock:
        assert sock.recv(1) == b""
    text = "HTTPS handshake failed from 127.0.0.1 (the client did not finish it in time)"
    assert logged(caplog) == [text]


def test_tls_that_fails_after_the_handshake_is_one_line(
    secure: MockServer, caplog: pytest.LogCaptureFixture
) -> None:
    trust = ssl.create_default_context(cadata=secure.ca_pem.decode())
    plain = socket.create_connection(("127.0.0.1", secure.port("https") or 0), timeout=10)
    with trust.wrap_socket(plain, server_hostname="localhost") as sock:
        ask(sock)
        os.write(sock.fileno(), b"\x17\x03\x03\x00\x20" + b"x" * 32)
        (line,) = logged(caplog)
    assert line.startswith("HTTPS connection failed from 127.0.0.1 (decryption failed")


def test_clients_cannot_fill_the_log(secure: MockServer, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", secure.port("https") or 0), timeout=10) as sock:
            sock.sendall(HEALTH)
            assert until_closed(sock).startswith(b"HTTP/1.1 400 ")
    lines = logged(caplog, 20)
    assert len(lines) == 20
    assert lines[-1].endswith("; more lines like it are left out for 10 s")


def test_without_a_free_file_a_connection_waits(secure: MockServer) -> None:
    trust = ssl.create_default_context(cadata=secure.ca_pem.decode())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as plain:
        plain.settimeout(10)
        free = os.dup(plain.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        plain.connect(("127.0.0.1", secure.port("https") or 0))
        time.sleep(0.05)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with trust.wrap_socket(plain, server_hostname="localhost") as sock:
            ask(sock)


def test_with_one_free_file_a_connection_is_closed(secure: MockServer) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as plain:
        plain.settimeout(10)
        free = os.dup(plain.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))
        try:
            plain.connect(("127.0.0.1", secure.port("https") or 0))
            assert plain.recv(1) == b""
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_no_request_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # fuzzers do it all the time, so it is no warning
    with (
        MockServer() as mock,
        socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock,
    ):
        sock.sendall(b"FOO / HTTP/1.1\r\n\r\n")
        until_closed(sock)
        (line,) = logged(caplog)
    text = "HTTP request refused from 127.0.0.1: 400 the request is not HTTP/1.1: Invalid method"
    assert line.startswith(text)


# Who closes one half, or all


def test_who_closes_its_half_is_answered(small: MockServer) -> None:
    small.reset()
    small.patch_world({"relays": {V2["Host"]: {"delay": 0.05}}})
    with socket.create_connection(("127.0.0.1", small.port("http") or 0), timeout=10) as sock:
        sock.sendall(post() + BODY + post() + BODY)
        sock.shutdown(socket.SHUT_WR)
        assert until_closed(sock).count(b"HTTP/1.1 200 ") == 2
    assert len(small.messages) == 2


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (b"no request\r\n\r\n", b""),
        (b"GET / HT", b""),
        (chunked(b"no chunk\r\n"), b"Invalid character in chunk size"),
        (chunked(b"5\r\n{"), b""),
        (post(), b""),
    ],
    ids=["no request", "half a head", "no chunk", "half a chunk", "no body"],
)
def test_what_comes_after_leaves_the_answer_to_who_closes_its_half(
    small: MockServer, last: bytes, said: bytes
) -> None:
    small.reset()
    small.patch_world({"relays": {V2["Host"]: {"delay": 0.05}}})
    with socket.create_connection(("127.0.0.1", small.port("http") or 0), timeout=10) as sock:
        sock.sendall(post() + BODY + post() + BODY + last)
        sock.shutdown(socket.SHUT_WR)
        raw = until_closed(sock)
    assert raw.count(b"HTTP/1.1 200 ") == 2
    assert said in raw
    assert {call.status for call in small.requests} == {None}  # it may as well have left


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["closed", "reset"])
def test_who_leaves_before_several_answers_disturbs_nobody(
    small: MockServer, connect: Connect, linger: bytes | None
) -> None:
    small.patch_world({"relays": {V2["Host"]: {"delay": 0.05}}})
    with connect() as sock:
        sock.sendall(post() + BODY + post() + BODY)
        time.sleep(0.02)
        if linger:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    (first, *_) = httpx2.get(f"{small.control_url}/requests?wait=5").json()["requests"]
    with connect() as sock:
        ask(sock)
    assert (first["status"], first["delivery"]["stage"]) == (None, "data")

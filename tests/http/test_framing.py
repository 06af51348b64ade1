"""Which requests of HTTP/1.1 a server must refuse though they can be read: on sockets."""

import socket
from collections.abc import Iterator

import pytest

from mockserver import MockServer
from raw_http import BODY, post, refused, until, until_closed

HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n\r\n"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"
NO_HTTP = "the request is not HTTP/1.1: "


@pytest.fixture
def sock(mock: MockServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as connected:
        yield connected


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", 400, "it has no header Host"),
        (b"GET /livez HTTP/1.1\r\n" + HOST * 2 + b"\r\n", 400, "it has two headers Host"),
        (b"GET /livez HTTP/1.0\r\n" + HOST * 2 + b"\r\n", 400, "it has two headers Host"),
        (b"GET /_mock HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "neither HOST nor HOST:PORT"),
        (b"GET /_mock HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "neither HOST nor HOST:PORT"),
        (b"GET /_mock HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "neither HOST nor HOST:PORT"),
        (
            b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
            *(400, "version 1.0 has no Transfer-Encoding"),
        ),
        (
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
            *(501, "the only Transfer-Encoding that is known is chunked"),
        ),
        (
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
            *(501, "the only Transfer-Encoding that is known is chunked"),
        ),
        (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505, "neither 1.0 nor 1.1"),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505, "neither 1.0 nor 1.1"),
        (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400, "Invalid HTTP version"),
    ],
)
def test_what_is_misframed_is_refused(
    sock: socket.socket, raw: bytes, status: int, reason: str
) -> None:
    sock.sendall(raw)
    found, message = refused(until_closed(sock))
    assert (found, message.startswith(NO_HTTP)) == (status, status == 400)
    assert reason in message


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.0\r\n\r\n",
        b"GET /livez HTTP/1.0\r\nHost: localhost:80\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost:\r\n" + CLOSE,
        b"GET /livez HTTP/1.1\r\nHost: [::1]:80\r\n" + CLOSE,
        b"GET /livez HTTP/1.1\r\nHost: a_b.test\r\n" + CLOSE,
        b"GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n" + CLOSE + b"0\r\n\r\n",
    ],
)
def test_what_is_framed_well_is_answered(sock: socket.socket, head: bytes) -> None:
    sock.sendall(head)
    assert until_closed(sock).startswith(b"HTTP/1.1 200 ")


def test_version_1_0_is_not_told_to_continue(sock: socket.socket) -> None:
    request = post(more="Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
    sock.sendall(request + BODY)
    assert until_closed(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"X-Other: ", b"401"),
        (b"Authorization: Basic bmV3Y29tZXI6bmV3Y29tZXItcGFzc3dvcmQ=\r\nX-Other: ", b"403"),
    ],
    ids=["nobody", "newcomer"],
)
def test_a_refusal_before_an_expected_body_ends_the_connection(
    sock: socket.socket, header: bytes, status: bytes
) -> None:
    head = post(more="Expect: 100-continue\r\n").replace(b"Authorization: ", header)
    sock.sendall(head)
    raw = until_closed(sock).lower()
    assert raw.startswith(b"http/1.1 " + status)
    assert b"\r\nconnection: close\r\n" in raw


def test_an_expected_body_that_was_asked_for_keeps_the_connection(sock: socket.socket) -> None:
    for _ in range(2):
        sock.sendall(post(more="Expect: 100-continue\r\n"))
        assert until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BODY)
        raw = until(sock, b"\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 200 ")
        assert b"close" not in raw

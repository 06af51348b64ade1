"""Clients that send or read at their own pace cost little and have an end: looked at on sockets."""

import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import getpagesize
from smtplib import SMTP

import pytest

from mockserver import MockServer
from mockserver.http.connection import Limits
from raw_http import HEALTH, until_closed

LIMITS = Limits(taken_s=0.3, idle_s=1)
LAST = HEALTH[:-2] + b"Connection: close\r\n\r\n"
PAGE = b"GET /_mock/openapi/v2.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
MIB = 1024 * 1024


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def hasty(request: pytest.FixtureRequest) -> Iterator[MockServer]:
    """Run a mock that does not wait long, with a large message, on each of the loops."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "asyncio":
            patched.setitem(sys.modules, "uvloop", None)
        with MockServer(https_port=0, smtp_port=0, limits=LIMITS) as mock:
            with SMTP("127.0.0.1", mock.port("smtp") or 0) as client:
                client.sendmail(
                    "a@b.test", ["c@d.test"], b"Subject: x\r\n\r\n" + (b"y" * 900 + b"\r\n") * 4_000
                )
            yield mock


Connect = Callable[[], socket.socket]


@pytest.fixture(params=["http", "https"])
def connect(request: pytest.FixtureRequest, hasty: MockServer) -> Connect:
    """Give what connects with a small buffer, in clear or by TLS."""
    trust = ssl.create_default_context(cadata=hasty.ca_pem.decode())

    def connected() -> socket.socket:
        sock = socket.socket()
        sock.settimeout(10)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        sock.connect(("127.0.0.1", hasty.port(request.param) or 0))
        return (
            sock
            if request.param == "http"
            else trust.wrap_socket(sock, False, True, True, "localhost")
        )

    return connected


def resident() -> int:
    """Return the octets of memory that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * getpagesize()


def cut_off(sock: socket.socket) -> None:
    """Read to the end, which is no whole answer; a connection that is cut is reset, or says so."""
    raw = until_closed(sock)
    head, _, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: ([0-9]+)", head)
    assert length
    assert len(body) < int(length[1])
    raise ConnectionResetError("reset, or as good as that")


def test_more_requests_than_may_wait_are_answered_in_turn(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(HEALTH * 300)
        sock.sendall(HEALTH[:30])
        time.sleep(0.05)
        sock.sendall(HEALTH[30:] + LAST)
        assert until_closed(sock).count(b"HTTP/1.1 200 ") == 302


def test_large_requests_that_wait_are_answered_in_turn(connect: Connect) -> None:
    large = HEALTH[:-2] + b"X: %s\r\n\r\n" % (b"x" * 50_000)
    body = b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000
    with connect() as sock:
        sock.sendall(large * 4 + body * 2 + LAST)
        assert until_closed(sock).count(b"HTTP/1.1 ") == 7


def test_who_asks_and_never_reads_is_cut_and_costs_little(connect: Connect) -> None:
    before = resident()
    with connect() as sock:
        sock.settimeout(1)
        with pytest.raises((OSError, TimeoutError)):
            sock.sendall(HEALTH * 1_000_000)
        assert resident() - before < 40 * MIB


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
def test_an_answer_has_to_be_taken_in_time(
    connect: Connect, hasty: MockServer, more: bytes
) -> None:
    path = f"/_mock/messages/{hasty.messages[0].id}/raw".encode()
    with connect() as sock:
        sock.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, more))
        time.sleep(LIMITS.taken_s + LIMITS.idle_s + 0.3)
        with pytest.raises(OSError, match=r"reset|EOF|violation"):
            cut_off(sock)


def test_who_takes_an_answer_slowly_and_steadily_has_it_whole(connect: Connect) -> None:
    with connect() as sock:
        sock.sendall(PAGE[:-2] + b"Connection: close\r\n\r\n")
        raw = b""
        while octets := sock.recv(8_192):
            raw += octets
            time.sleep(0.005)
    assert raw.rstrip().endswith(b"}")

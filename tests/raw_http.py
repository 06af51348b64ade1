"""Requests and answers as octets on sockets, for tests of what no client library would send."""

import json
import socket
import time
from base64 import b64encode
from email.utils import parsedate_to_datetime
from typing import Final

from support import ADMIN, PATH, V2, Json, unchunked

HEALTH: Final = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY: Final = json.dumps(V2).encode()
CREDENTIALS: Final = b64encode(":".join(ADMIN).encode()).decode()


def post(path: str = PATH, more: str = "", length: int = len(BODY)) -> bytes:
    """Write the head of a test request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {CREDENTIALS}\r\n"
        "x-keyfactor-requested-with: APIClient\r\nx-keyfactor-api-version: 2\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()


def chunked(chunks: bytes, path: str = PATH) -> bytes:
    """Write a test request with a body in chunks."""
    head = post(path).replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    return head + chunks


def until_closed(sock: socket.socket) -> bytes:
    """Read all that comes, to the end of the connection."""
    return b"".join(iter(lambda: sock.recv(65_536), b""))


def until(sock: socket.socket, end: bytes) -> bytes:
    """Read until some octets have come."""
    raw = b""
    while not raw.endswith(end):
        octets = sock.recv(65_536)
        assert octets
        raw += octets
    return raw


def ask(sock: socket.socket) -> None:
    """Make a call that works, and read its answer whole."""
    sock.sendall(HEALTH)
    assert until(sock, b"\r\n\r\nalive\n").startswith(b"HTTP/1.1 200 ")


def answer(raw: bytes) -> tuple[int, dict[str, str], Json]:
    """Take one answer with a JSON body apart; nothing may follow it."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        body = unchunked(body)
    else:
        assert int(headers["content-length"]) == len(body)
    return int(status.split()[1]), headers, json.loads(body)


def refused(raw: bytes) -> tuple[int, str]:
    """Return status and message of a refusal that ends the connection, after a look at its form."""
    status, headers, body = answer(raw)
    assert list(body) == ["ErrorCode", "Message"]
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["connection"] == "close"
    assert abs(parsedate_to_datetime(headers["date"]).timestamp() - time.time()) < 5
    return status, body["Message"]

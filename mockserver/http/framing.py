"""The frame of HTTP/1.1 (RFC 9112): what a server must not take, and how answers are written."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from mockserver.base.problems import Kind, Problem

_WITHOUT_BODY: Final = (204, 304)
_CONTROLS: Final = bytes([*range(32), 127]).replace(b"\t", b"")  # none is in a field of a head
_VERSIONS: Final = ("1.0", "1.1")
# RFC 3986, 3.2.2 and 3.2.3; which names there are is not decided here.
_HOST: Final = re.compile(rb"(?:\[[^\[\]/?#@\s]*\]|[^\[\]/?#@\s:]*)(?::[0-9]*)?")


def closing(kind: Kind, status: int, message: str) -> Problem:
    """Return a problem after which the connection ends."""
    return Problem(kind, message, {"Connection": "close"}, status=status)


def is_host(octets: bytes) -> bool:
    """Say whether octets are a name or an address, perhaps with a port."""
    return _HOST.fullmatch(octets) is not None


def misframed(version: str, headers: Sequence[tuple[bytes, bytes]]) -> Problem | None:
    """Return why a request with these headers, names in lower case, cannot be understood."""
    if version not in _VERSIONS:
        text = "the version of HTTP is neither 1.0 nor 1.1"
        return closing(Kind.HTTP, 505, text)  # RFC 9110, 15.6.6
    hosts = [value.strip() for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        return _no_http(f"it has {'two headers' if hosts else 'no header'} Host")  # RFC 9112, 3.2
    if hosts and not is_host(hosts[0]):
        return _no_http("its header Host is neither HOST nor HOST:PORT")
    return _coded(version, [value for name, value in headers if name == b"transfer-encoding"])


def _coded(version: str, codings: Sequence[bytes]) -> Problem | None:
    """Return the refusal of a transfer coding, which must be `chunked` alone (RFC 9112, 6.1)."""
    if codings and version == "1.0":
        return _no_http("version 1.0 has no Transfer-Encoding")
    if codings and b",".join(codings).strip().lower() != b"chunked":
        return closing(Kind.HTTP, 501, "the only Transfer-Encoding that is known is chunked")
    return None


def _no_http(reason: str) -> Problem:
    return closing(Kind.HTTP, 400, f"the request is not HTTP/1.1: {reason}")


def written(usual: Iterable[tuple[bytes, bytes]], response: Response) -> tuple[bytes, bytes]:
    """Return head and body of an answer as uvicorn writes them, with the usual headers."""
    lines = [b"%s: %s\r\n" % pair for pair in (*usual, *response.raw_headers)]
    return b"".join([STATUS_LINE[response.status_code], *lines, b"\r\n"]), bytes(response.body)


def whole(usual: Sequence[tuple[bytes, bytes]], response: Response) -> bytes | None:
    """Return an answer that leaves the connection open, None for one that needs uvicorn's care."""
    head, body = written(usual, response)
    lines = len(usual) + len(response.raw_headers) + 2  # with the first and the empty one
    if len(head.translate(None, _CONTROLS)) != len(head) - 2 * lines or b"\r\nconnection:" in head:
        return None
    if response.status_code in _WITHOUT_BODY or b"\r\ncontent-length:" in head:
        return head + body
    chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return b"%stransfer-encoding: chunked\r\n\r\n%s0\r\n\r\n" % (head[:-2], chunk)

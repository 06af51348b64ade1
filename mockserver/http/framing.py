"""What the parser takes for HTTP/1.1, and a server must not (RFC 9112)."""

import re
from collections.abc import Sequence
from typing import Final

from mockserver.base.problems import Kind, Problem

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

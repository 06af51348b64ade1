"""Who may use the control calls and the pages."""

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from mockserver.base.problems import Kind, Problem
from mockserver.http.framing import is_host
from mockserver.http.wire import token_cookie
from mockserver.oauth import idp

PREFIX: Final = "/_mock"
HEALTH: Final = ("/livez", "/readyz")
CRL: Final = f"{PREFIX}/certificates/crl"
CHAIN: Final = f"{PREFIX}/certificates/chain.pem"
_PUBLIC: Final = (*HEALTH, f"{PREFIX}/ca.pem", CRL, CHAIN)
_PUBLIC_BELOW: Final = tuple(f"{path}/" for path in (idp.MOUNT, *idp.METADATA))


class Guard(NamedTuple):
    """Decide who may use the control calls, by the host that is addressed and by a token."""

    names: frozenset[str]
    token: str | None = None

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Let a request pass, or raise Problem 400, 401 or 403.

        A page of another origin must neither read nor reset a mock, whatever name it makes point
        here (DNS rebinding); it may link to one. Health paths are exempt.
        """
        if path in HEALTH:
            return
        host = headers.get("host", "")
        if not self._answers_to(_name(host)):
            raise _forbidden(f"not for the host {host!r}: use an IP address or localhost")
        self._check_origin(headers.get("origin"), host)
        if headers.get("sec-fetch-site") == "cross-site" and not _follows_link(method, headers):
            raise _forbidden("not for pages of another site")
        public = path in _PUBLIC or path.startswith(_PUBLIC_BELOW)
        if self.token is not None and not public:
            # A browser sends the cookie that the inbox page sets.
            given = headers.get("x-mock-token") or token_cookie(headers)
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                raise Problem(Kind.CONTROL, "X-Mock-Token is missing or wrong", status=401)

    def _check_origin(self, origin: str | None, host: str) -> None:
        if origin is None:
            return
        place = origin.partition("://")[2]
        # RFC 6454, 7.1
        if origin != "null" and not (place and is_host(place.encode("latin-1"))):
            raise Problem(Kind.CONTROL, "the header Origin is no origin")
        if place != host:
            raise _forbidden("not for pages of another origin")

    def _answers_to(self, name: str) -> bool:
        name = name.lower().rstrip(".")
        if name == "localhost" or name.endswith(".localhost") or name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _follows_link(method: str, headers: Mapping[str, str]) -> bool:
    """Say whether a browser opens an address as the page of a window, and not of a frame.

    What it then shows, the page with the link cannot read (Fetch Metadata Request Headers, 2).
    """
    how = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return method == "GET" and how == ("navigate", "document")


def _name(host: str) -> str:
    """Return the name in a Host header without its port, or an empty text where there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _forbidden(reason: str) -> Problem:
    return Problem(Kind.CONTROL, reason, status=403)

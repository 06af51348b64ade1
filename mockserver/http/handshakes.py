"""What the log says of TLS that failed: why, and what is likely behind it."""

import logging
import ssl
import time
from typing import Final

_WARNINGS: Final = 20  # lines of the log in ten seconds, at most
_WARNINGS_S: Final = 10

_OWN_CA: Final = "GET /_mock/ca.pem has the mock's own"
_UNTRUSTED: Final = f"the client does not trust the CA of the certificate; {_OWN_CA}"
_REFUSED: Final = (
    f"the client does not trust the CA of the certificate ({_OWN_CA}), "
    "or asks for a name that is not in it (--tls-name adds one)"
)
NO_TLS: Final = "the client does not speak TLS; the URL of this port begins with https://"
# By the ends of OpenSSL's names: what they begin with depends on its version.
_LIKELY: Final = {
    "UNKNOWN_CA": _UNTRUSTED,
    "BAD_CERTIFICATE": _REFUSED,
    "CERTIFICATE_UNKNOWN": _REFUSED,
    "HTTP_REQUEST": NO_TLS,
    "HTTPS_PROXY_REQUEST": NO_TLS,
    "WRONG_VERSION_NUMBER": NO_TLS,
}

_log = logging.getLogger(__name__)


class Warnings:
    """Write to the log what clients cause, and no more than 20 lines in ten seconds."""

    def __init__(self) -> None:
        self._until = 0.0
        self._more = 0

    def __call__(self, text: str, level: int = logging.WARNING) -> None:
        """Write one line, if there is room for it."""
        now = time.monotonic()
        if now >= self._until:
            self._until, self._more = now + _WARNINGS_S, _WARNINGS
        self._more -= 1
        if self._more >= 0:
            last = "" if self._more else f"; more lines like it are left out for {_WARNINGS_S} s"
            _log.log(level, "%s%s", text, last)


def cause(error: OSError) -> str:
    """Say why TLS failed, and what is likely behind it."""
    if isinstance(error, ssl.SSLError):
        name = error.reason or "no reason given"
        likely = next((f": {text}" for end, text in _LIKELY.items() if name.endswith(end)), "")
        return f"({name.replace('_', ' ').lower()}){likely}"
    if isinstance(error, ConnectionAbortedError):
        return "(the client did not finish it in time)"
    return f"(the client closed the connection): perhaps {_UNTRUSTED}"

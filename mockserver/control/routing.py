"""Which part of the mock answers a request, by its path."""

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.control.guard import HEALTH, PREFIX
from mockserver.control.inbox import Inbox
from mockserver.control.reference import Reference
from mockserver.http import wire
from mockserver.oauth.idp import METADATA

_NAMESPACED: Final = re.compile(r"(/_mock/ns/([^/]+))(/.+)", re.DOTALL)
_CONTROL: Final = tuple(f"{path}/" for path in (PREFIX, *METADATA))
# RFC 8414, 3.1 puts `/.well-known/...` before the path of the issuer.
_METADATA: Final = re.compile(
    rf"({'|'.join(map(re.escape, METADATA))})({PREFIX}(?:/ns/[^/]+)?/idp)"
)


class Router:
    """Pass each request on to the inbox, the control calls, the API reference or the API.

    It is an ASGI application, as these are.
    """

    def __init__(
        self, base_path: str, *, inbox: Inbox, control: ASGIApp, reference: Reference, api: ASGIApp
    ) -> None:
        self._base_path = base_path
        self._inbox = inbox
        self._control = control
        self._reference = reference
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ASGI has it."""
        scope = _in_namespace(_below_issuer(scope), self._base_path)
        await self._part(scope)(scope, receive, send)

    def _part(self, scope: Scope) -> ASGIApp:
        path = scope["path"]
        if self._inbox.serves(scope):
            return self._inbox
        if path == PREFIX or path.startswith(_CONTROL) or path in HEALTH:
            return self._control
        return self._reference if self._reference.serves(path) else self._api


def _below_issuer(scope: Scope) -> Scope:
    """Move `/.well-known/...` from before the path of an issuer to behind it."""
    found = _METADATA.fullmatch(scope["path"])
    return scope if found is None else {**scope, "path": found[2] + found[1]}


def _in_namespace(scope: Scope, base_path: str) -> Scope:
    """Take `/_mock/ns/NAME` out of a path, and note the namespace in the scope."""
    found = _NAMESPACED.fullmatch(scope["path"])
    if found is None:
        return scope
    prefix, name, path = found.groups()
    folded = "".join(f"/{part}" for part in path.lower().split("/") if part)
    is_api = f"{folded}/".startswith(f"{base_path.lower()}/")
    return {
        **scope,
        "path": path if is_api else PREFIX + path,
        wire.NAMESPACE: name,
        wire.PREFIX: prefix,
    }

"""Which part of the mock answers a request, by its path."""

import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.control.guard import HEALTH, PREFIX
from mockserver.control.inbox import Inbox
from mockserver.control.reference import Reference
from mockserver.http import wire
from mockserver.oauth.idp import METADATA

# What of a scope changes.
_Changes = dict[str, Any]

_NAMESPACED: Final = re.compile(r"(/_mock/ns/([^/]+))(/.+)", re.DOTALL)
_LONGEST: Final = 256  # characters of a path that is remembered
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
        path = scope["path"]
        find = self._part if len(path) <= _LONGEST else self._found
        part, changes = find(path, scope["method"])
        await part({**scope, **changes} if changes else scope, receive, send)

    @cached_property
    def _part(self) -> Callable[[str, str], tuple[ASGIApp, _Changes]]:
        """Gives the part for a path and a method, and what of the scope changes; remembers it."""
        return lru_cache(maxsize=128)(self._found)

    def _found(self, path: str, method: str) -> tuple[ASGIApp, _Changes]:
        changes = _below_issuer(path)
        changes |= _in_namespace(changes.get("path", path), self._base_path)
        path = changes.get("path", path)
        part = self._reference if self._reference.serves(path) else self._api
        if self._inbox.serves(path, method):
            part = self._inbox
        elif path == PREFIX or path.startswith(_CONTROL) or path in HEALTH:
            part = self._control
        return part, changes


def _below_issuer(path: str) -> _Changes:
    """Move `/.well-known/...` from before the path of an issuer to behind it."""
    found = _METADATA.fullmatch(path)
    return {} if found is None else {"path": found[2] + found[1]}


def _in_namespace(path: str, base_path: str) -> _Changes:
    """Take `/_mock/ns/NAME` out of a path, and note the namespace for the scope."""
    found = _NAMESPACED.fullmatch(path)
    if found is None:
        return {}
    prefix, name, below = found.groups()
    folded = "".join(f"/{part}" for part in below.lower().split("/") if part)
    is_api = f"{folded}/".startswith(f"{base_path.lower()}/")
    return {
        "path": below if is_api else PREFIX + below,
        wire.NAMESPACE: name,
        wire.PREFIX: prefix,
    }

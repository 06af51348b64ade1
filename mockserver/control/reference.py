"""The product's API Reference and Utility page: Swagger UI over the documents of the mock."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.contract.operations import Contract
from mockserver.control.pagefiles import HEADERS, PAGES, POLICY, TYPES, File, read_file, render
from mockserver.http.wire import ERRORS, refuse
from mockserver.product.access import shown_account
from mockserver.world.model import World

_SWAGGER_UI: Final = (
    "favicon-32x32.png",
    "index.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
)
_HEADERS: Final = {
    **HEADERS,
    # Nothing but our own files, and Swagger UI's icons, which stand in its style sheet.
    "Content-Security-Policy": f"{POLICY}; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}


class Reference:
    """Answer the page below the base path and all that it loads, as an ASGI application.

    No credentials are needed, and the journal keeps none of it: it shows what is published anyway,
    an account of the default world too, which stands beside Authorize.
    """

    def __init__(self, contract: Contract, world: World, base_path: str) -> None:
        name, password = shown_account(world, ("/",)) or ("", None)
        self._documents: Mapping[str, Json] = {**contract.documents, **contract.resources}
        self._account = f"{name}, password {password}" if password else ""
        self._base_url = quote(base_path.rstrip("/"))
        self._root = _parts(f"{base_path}/swagger")

    def serves(self, path: str) -> bool:
        """Say whether a path is that of the page or below, whatever its letter case and slashes."""
        return _parts(path)[: len(self._root)] == self._root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ASGI has it."""
        try:
            response = self._answer(Request(scope))
        except Problem as problem:
            response = refuse(problem, scope[ERRORS])
        response.headers.update(_HEADERS)
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path = request.scope["path"]
        file = self._files.get("/".join(_parts(path)[len(self._root) :]))
        if file is None:
            raise Problem(Kind.CONTROL, f"{path} is no part of the API reference", status=404)
        if request.method not in ("GET", "HEAD"):
            text, allow = "the API reference is only read: GET or HEAD", {"Allow": "GET, HEAD"}
            raise Problem(Kind.CONTROL, text, allow, status=405)
        return file.answer(request)

    @cached_property
    def _files(self) -> Mapping[str, File]:
        """Read, at the first request, every file that there is; the page itself has no name."""
        documents = {_file_name(name): self._document(name) for name in self._documents}
        return {
            "": self._page(),
            **documents,
            **{name: read_file(_swagger_ui() / name) for name in _SWAGGER_UI},
            "reference.js": read_file(PAGES / "reference.js"),
        }

    def _document(self, version: str) -> File:
        """Give a document with the server at the base path that the mock really has."""
        document = {**self._documents[version], "servers": [{"url": self._base_url or "/"}]}
        return File(json.dumps(document).encode(), TYPES[".json"])

    def _page(self) -> File:
        # The newest first: Swagger UI opens that one.
        documents = [
            (_file_name(name), document["info"]["title"])
            for name, document in sorted(self._documents.items(), key=_newest_first)
        ]
        values = {
            "url": f"{self._base_url}/swagger",
            "documents": documents,
            "account": self._account,
        }
        return File(render("reference.html", values), TYPES[".html"])


def _file_name(name: str) -> str:
    # A user's document is named by its path.
    return (
        f"v{name}.json" if name.isdigit() else f"{name.strip('/').replace('/', '-')}.json".lower()
    )


def _newest_first(document: tuple[str, Json]) -> tuple[int, str]:
    """Put the versions of what has methods before other documents, and the newest one first."""
    name, _ = document
    return (-int(name), "") if name.isdigit() else (1, name)


def _parts(path: str) -> list[str]:
    return [part for part in path.lower().split("/") if part]


def _swagger_ui() -> Path:
    from importlib.metadata import distribution  # noqa: PLC0415  # most mocks show no page

    # Found, not imported: only its files are of use here.
    return Path(str(distribution("flask-swagger-ui").locate_file("flask_swagger_ui/dist")))

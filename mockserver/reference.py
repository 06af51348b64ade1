"""The product's API Reference and Utility page: Swagger UI over the documents of the mock."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mockserver.problems import Code, Problem
from mockserver.wire import refuse

Json = dict[str, Any]

_PAGES: Final = Path(__file__).with_name("pages")
_SWAGGER_UI: Final = (
    "favicon-32x32.png",
    "index.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
)
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
}
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # kept, but asked for again: the next version has other files
    # Nothing but our own files, and Swagger UI's icons, which stand in its style sheet.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class _File:
    content: bytes = field(repr=False)
    media_type: str

    @cached_property
    def etag(self) -> str:
        return f'"{sha256(self.content).hexdigest()}"'


class Reference:
    """Answer the page below the base path and all that it loads, as an ASGI application.

    No credentials are needed, and the journal keeps none of it: it shows what is published anyway.
    """

    def __init__(self, documents: Mapping[str, Json], base_path: str) -> None:
        self._documents = documents
        self._base_url = quote(base_path.rstrip("/"))
        self._root = _parts(f"{base_path}/swagger")

    def serves(self, path: str) -> bool:
        """Say whether a path is the page or below it; letter case and repeated slashes are free."""
        return _parts(path)[: len(self._root)] == self._root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ASGI has it."""
        try:
            response = self._answer(Request(scope))
        except Problem as problem:
            response = refuse(problem)
        response.headers.update(_HEADERS)
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path = request.scope["path"]
        file = self._files.get("/".join(_parts(path)[len(self._root) :]))
        if file is None:
            raise Problem(404, Code.NOT_FOUND, f"{path} is no part of the API reference")
        if request.method not in ("GET", "HEAD"):
            allow = {"Allow": "GET, HEAD"}
            raise Problem(405, Code.METHOD, "the API reference is only read: GET or HEAD", allow)
        headers = {"ETag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers={**headers, "Content-Type": file.media_type})

    @cached_property
    def _files(self) -> Mapping[str, _File]:
        """Read, at the first request, every file that there is; the page itself has no name."""
        documents = {f"v{version}.json": self._document(version) for version in self._documents}
        return {
            "": self._page(),
            **documents,
            **{name: _read(_swagger_ui() / name) for name in _SWAGGER_UI},
            "reference.js": _read(_PAGES / "reference.js"),
        }

    def _document(self, version: str) -> _File:
        """Give a document with the server at the base path that the mock really has."""
        document = {**self._documents[version], "servers": [{"url": self._base_url or "/"}]}
        return _File(json.dumps(document).encode(), _TYPES[".json"])

    def _page(self) -> _File:
        import jinja2  # noqa: PLC0415  # for this page alone

        template = jinja2.Template(
            (_PAGES / "reference.html").read_text(encoding="utf-8"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        # The newest first: Swagger UI opens that one.
        documents = [
            (f"v{version}.json", document["info"]["title"])
            for version, document in sorted(self._documents.items(), reverse=True)
        ]
        text = template.render(url=f"{self._base_url}/swagger", documents=documents)
        return _File(text.encode(), _TYPES[".html"])


def _parts(path: str) -> list[str]:
    return [part for part in path.lower().split("/") if part]


def _read(path: Path) -> _File:
    return _File(path.read_bytes(), _TYPES[path.suffix])


def _swagger_ui() -> Path:
    # Found, not imported: only its files are of use here.
    return Path(str(distribution("swagger-ui-py").locate_file("swagger_ui/static")))

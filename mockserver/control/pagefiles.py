"""What the pages are made of: files with a type and an ETag, templates, and a strict policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mockserver.base.data import PACKAGE
from mockserver.base.text import printable

PAGES: Final = PACKAGE / "control" / "pages"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
HEADERS: Final = {
    "Cache-Control": "no-cache",  # asked for again each time: the next version has other files
    "X-Content-Type-Options": "nosniff",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class File:
    """A file in memory."""

    content: bytes = field(repr=False)
    media_type: str

    @cached_property
    def _etag(self) -> str:
        # Only the same content has it.
        return f'"{sha256(self.content).hexdigest()}"'

    def answer(self, request: Request) -> Response:
        """Answer with the content, or with 304 to a client that has it."""
        headers = {"ETag": self._etag}
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers={**headers, "Content-Type": self.media_type})


def read_file(path: Path) -> File:
    """Read a file; its ending says its type."""
    return File(path.read_bytes(), TYPES[path.suffix])


def render(name: str, values: Mapping[str, object]) -> bytes:
    """Render a template of the pages; whatever is put into it comes out as text, escaped."""
    text: str = _templates().get_template(name).render(values)
    return text.encode()


@cache
def _templates() -> Any:  # noqa: ANN401  # an environment of a module that is imported late
    import jinja2  # noqa: PLC0415  # for the pages alone

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        auto_reload=False,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )


def _visible(value: object) -> object:
    """Write what no eye can see, or what turns a line round, as an escape sequence."""
    # Subclasses are markup that the templates made.
    return printable(value, kept="\n\t") if type(value) is str else value

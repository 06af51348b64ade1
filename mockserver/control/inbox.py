"""The inbox: one page that shows what happened, the world, and test mails to try."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.control import recipes
from mockserver.control.guard import PREFIX
from mockserver.control.impact import Impact
from mockserver.control.pagefiles import HEADERS, PAGES, POLICY, File, read_file, render
from mockserver.http import wire
from mockserver.journal.coverage import gaps, report
from mockserver.journal.journal import Journal, in_turns
from mockserver.journal.message import Message
from mockserver.journal.state import DEFAULT, State, States
from mockserver.journal.story import story, tone
from mockserver.journal.trace import Exchange
from mockserver.product.access import identity_of, may
from mockserver.product.app import methods_of
from mockserver.product.keyfactor import KeyfactorCommand
from mockserver.product.resources import Resources
from mockserver.world.model import World

# Raises Problem for a request of that method, path and headers, 401 where a token is missing.
_Check = Callable[[str, str, Mapping[str, str]], None]
_Answer = Callable[[Request], Awaitable[ASGIApp]]

_ROOT: Final = f"{PREFIX}/inbox"
_MAX_ROWS: Final = 200
_MAX_SHOWN: Final = 100_000  # characters of a mail

_FILES: Final = ("inbox.css", "inbox.js", "icon.svg")
_HEADERS: Final = {
    **HEADERS,
    "Content-Security-Policy": f"{POLICY}; frame-src 'self'; form-action 'self'",
    # Not `no-referrer`: a browser then sends forms with `Origin: null`, which is refused.
    "Referrer-Policy": "same-origin",
}
# A mail may look as it likes, and nothing else: no script, no form, no load, no name to resolve.
_MAIL_HEADERS: Final = {
    **HEADERS,
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
}
_NO_STORE: Final = {"Cache-Control": "no-store"}


class _Row(NamedTuple):
    """One row of the list: a call with the mail that it led to, or a mail whose call is not kept.

    `kept` is what the row stands for, of the two.
    """

    exchange: Exchange | None
    message: Message | None
    kept: Exchange | Message

    @property
    def parameters(self) -> Mapping[str, str]:
        """Give the query that selects it."""
        return {"request" if self.exchange else "message": self.kept.id}

    @property
    def relay(self) -> object:
        """Give the relay that was named, or None."""
        if self.message:
            return self.message.relay
        return self.exchange and self.exchange.delivery and self.exchange.delivery.relay

    @property
    def tone(self) -> str:
        return tone(self.exchange) if self.exchange else "mail"

    def holds(self, words: Sequence[str]) -> bool:
        """Say whether each word stands somewhere in what the row shows."""
        text = " ".join(map(str, self._texts())).casefold()
        return all(word in text for word in words)

    def _texts(self) -> Iterator[object]:
        yield self.kept.id
        yield self.relay or ""
        yield self.kept.identity or ""
        if self.exchange:
            yield f"{self.exchange.status or 'none'} v{self.exchange.version or '?'}"
            yield f"{self.exchange.operation or ''} {self.exchange.method} {self.exchange.path}"
            yield self.exchange.problem and self.exchange.problem.message
        if self.message:
            yield f"mail {self.message.subject} {self.message.from_}"
            yield from self.message.envelope.recipients


class Inbox:
    """Answer the page and all that it loads and sends, as an ASGI application.

    `check` is the guard of the control calls; `answer` the API, for what is tried in the page.
    """

    def __init__(
        self, states: States, impact: Impact, base_path: str, *, check: _Check, answer: _Answer
    ) -> None:
        self._states = states
        self._impact = impact
        self._base_path = base_path
        self._check = check
        self._answer = answer

    @cached_property
    def _app(self) -> ASGIApp:
        from starlette.routing import Route  # noqa: PLC0415  # see `wire.application`

        return wire.application(
            [
                Route("/", self._page),
                Route(f"{_ROOT}/mail", self._mail),
                Route(f"{_ROOT}/try", self._try, methods=["POST"]),
                Route(f"{_ROOT}/clear", self._clear, methods=["POST"]),
                Route(f"{_ROOT}/token", self._token, methods=["POST"]),
                *(Route(f"{_ROOT}/{name}", self._file) for name in _FILES),
            ],
            _problem_page,
            "no part of the inbox",
        )

    @staticmethod
    def serves(path: str, method: str) -> bool:
        """Say whether a request is for the page; what is sent to `/` is still for the API."""
        return method in ("GET", "HEAD") if path == "/" else path.startswith(f"{_ROOT}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ASGI has it."""
        request = Request(scope, receive)
        try:
            self._check(request.method, scope["path"], request.headers)
        except Problem as problem:
            # Whoever has no token yet may look at what the page is made of, and send it.
            name = scope["path"].rpartition("/")[2]
            if problem.status != 401 or name not in (*_FILES, "token"):  # noqa: PLR2004  # an HTTP status
                await _problem_page(request, problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    # What is read

    async def _page(self, request: Request) -> Response:
        ask = request.query_params
        name = ask.get("ns", DEFAULT)
        state = self._states.get(name)
        part = ask.get("fragment")
        values = {
            "ns": name,
            "link": _Links(name, ask.get("q", ""), ask.get("all", "")),
            "base": quote(self._base_path),
        }
        if part != "pane":
            values |= await _listing(state.journal, ask)
        if part != "list":
            values |= self._pane(request, state)
        values["namespaces"] = sorted(self._states)
        values["reading"] = any(each in ask for each in ("request", "message", "view"))
        template = f"{part}.html" if part in ("list", "pane") else "inbox.html"
        return Response(
            render(template, values), headers={**_HEADERS, **_NO_STORE}, media_type="text/html"
        )

    async def _mail(self, request: Request) -> Response:
        """Answer the HTML of a mail as it is, for a frame that lets it do nothing."""
        state = self._states.get(request.query_params.get("ns", DEFAULT))
        message = state.journal.messages.find(request.query_params.get("message"))
        if message and message.html:
            headers = {**_MAIL_HEADERS, **_NO_STORE}
            return Response(message.html, headers=headers, media_type="text/html")
        text = "No mail with HTML has this id; perhaps it was dropped."
        raise Problem(Kind.CONTROL, text, status=404)

    async def _file(self, request: Request) -> Response:
        file = self._files[request.scope["path"].rpartition("/")[2]]
        response = file.answer(request)
        response.headers.update(_HEADERS)
        return response

    @cached_property
    def _files(self) -> Mapping[str, File]:
        return {name: read_file(PAGES / name) for name in _FILES}

    def _pane(self, request: Request, state: State) -> Json:
        """Give what the right side shows: the selected row, or else the world."""
        ask = request.query_params
        wanted = ask.get("request") or ask.get("message")
        if ask.get("view") == "coverage":
            found = report(self._states.coverage.tried())
            return {"coverage": found, "gaps": gaps(found)}
        if ask.get("view") == "sessions":
            kept = list(state.journal.sessions)[-_MAX_ROWS:]
            return {"sessions": kept[::-1]}
        for row in [] if wanted is None else _rows(state.journal):
            if wanted in (row.kept.id, row.message and row.message.id):
                return {"selected": row, **self._trace(request, state.world, row)}
        return {"gone": wanted is not None, **self._world(state.world, ask)}

    def _trace(self, request: Request, world: World, row: _Row) -> Json:
        exchange, message = row.exchange, row.message
        name = request.query_params.get("ns", DEFAULT)
        root = f"{request.url.scheme}://{request.headers['host']}{_prefix(name)}"
        # A character has at most four octets; no more than is shown is looked at.
        octets = message.raw[: 4 * _MAX_SHOWN] if message else b""
        raw = _lines(octets.decode("utf-8", "replace"))
        text = _lines(message.text) if message else ""
        return {
            "lines": list(story(exchange, message)),
            "scale": exchange and max(1e-3, exchange.duration_ms),
            "reference": self._reference.get((exchange and exchange.operation) or ""),
            "body": exchange and json.dumps(exchange.request.body, indent=2, ensure_ascii=False),
            "raw": raw[:_MAX_SHOWN],
            "text": text[:_MAX_SHOWN],
            "cut": max(len(raw), len(text)) > _MAX_SHOWN,
            "files": message.attachments if message else (),
            "defects": message.defects if message else (),
            "curl": exchange and recipes.curl(exchange, root),
            "newer": exchange and recipes.newer(exchange, root),
            "editions": list(self._impact.told(world.edition, exchange)) if exchange else [],
            "assertion": recipes.assertion(exchange, message),
        }

    @cached_property
    def _reference(self) -> Mapping[str, str]:
        """Map each operation to its address in the API reference."""
        page = quote(f"{self._base_path}/swagger")
        addresses = {}
        for each in self._impact.editions.newest.contract.operations:
            title = each.place.document["info"]["title"]
            chosen = urlencode({"urls.primaryName": title}, quote_via=quote)
            name = each.place.value["operationId"]
            addresses[each.id] = f"{page}?{chosen}#/{each.tag}/{name}"
        return addresses

    def _world(self, world: World, ask: Mapping[str, str]) -> Json:
        needs = self._impact.editions.newest.latest("POST", "/SMTP/Test").permissions
        users = []
        for key, user in world.users.items():
            identity = identity_of(world, user)
            users.append((key, identity, user.roles, may(identity, needs)))
        first = next((f"relays/{key}" for key in world.relays if "*" not in key), "")
        row = ask.get("row") or first
        contract = self._impact.editions[world.edition].contract
        return {
            "world": world,
            "served": [*Resources(contract.operations, methods_of(KeyfactorCommand)).served(world)],
            "users": users,
            "caller": next((key for key, *_, permitted in users if permitted), ""),
            "trial": _trial(world, row) if row else recipes.body(world, "", 25, 0, use_ssl=False),
        }

    # What is sent

    async def _try(self, request: Request) -> Response:
        """Send a test mail through the API as a client would, and show its trace."""
        form = await _form(request)
        name = form.get("ns", DEFAULT)
        world = self._states.get(name).world
        body = _trial(world, form["row"]) if form.get("row") else _asked_for(world, form)
        body["TestRecipient"] = form.get("recipient") or body["TestRecipient"]
        version = self._impact.editions[world.edition].latest("POST", "/SMTP/Test").version
        if version == "1":  # has texts where version 2 has secret objects
            body = {key: _text(value) for key, value in body.items()}
        headers = {
            "host": request.headers["host"],
            "content-type": "application/json",
            "user-agent": "keyfactor-mock inbox",
            "x-keyfactor-api-version": version,
            "x-keyfactor-requested-with": "APIClient",
            **_authorization(world, form.get("user", "")),
        }
        number = await self._called(request, name, headers, json.dumps(body).encode())
        return _see_other(_Links(name)(request=number))

    async def _called(
        self, request: Request, name: str, headers: Mapping[str, str], body: bytes
    ) -> str:
        """Call the API, and return the id of the exchange."""

        async def receive() -> Json:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {
            **request.scope,
            "path": f"{self._base_path}/SMTP/Test",
            "query_string": b"",
            "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
            "state": {},
            wire.NAMESPACE: name,
            wire.PREFIX: _prefix(name),
        }
        answer = await self._answer(Request(scope, receive))
        response = answer.response if isinstance(answer, wire.Broken) else answer
        assert isinstance(response, Response)  # noqa: S101  # the API has no others
        return response.headers["X-Mock-Request-Id"]

    async def _clear(self, request: Request) -> Response:
        """Empty the journal; the world stays as it is."""
        name = (await _form(request)).get("ns", DEFAULT)
        self._states.get(name).journal.clear()
        return _see_other(_Links(name)())

    async def _token(self, request: Request) -> Response:
        """Keep the control token in the browser, if it is the right one."""
        token = (await _form(request)).get("token", "")
        self._check("POST", _ROOT, {"host": request.headers["host"], "x-mock-token": token})
        response = _see_other("/")
        secure = request.url.scheme == "https"
        # Not `strict`: then whoever comes by a link of another site would be asked once more.
        response.set_cookie(
            wire.TOKEN_COOKIE, quote(token), httponly=True, samesite="lax", secure=secure
        )
        return response


class _Links:
    """Make the addresses of the page, with what stays the same from one to the next."""

    def __init__(self, name: str, words: str = "", everything: str = "") -> None:
        self._kept = {"ns": name, "q": words, "all": everything}

    def __call__(self, **parameters: str) -> str:
        given = {key: value for key, value in (self._kept | parameters).items() if value}
        # Lone surrogates, which only a query can bring here, are no text to give back.
        return f"/?{urlencode(given, errors='replace')}" if given else "/"

    @property
    def words(self) -> str:
        """Give the text of the filter."""
        return self._kept["q"]

    @property
    def prefix(self) -> str:
        """Give what stands before the base path of the API in this namespace."""
        return _prefix(self._kept["ns"])

    @property
    def control(self) -> str:
        """Give the address of the control calls."""
        return self.prefix or PREFIX

    def mail(self, message: Message) -> str:
        """Give the address of the HTML of a mail."""
        return f"{_ROOT}/mail?{urlencode({'ns': self._kept['ns'], 'message': message.id})}"


def _prefix(name: str) -> str:
    return f"{PREFIX}/ns/{name}" if name else ""


def _rows(journal: Journal) -> list[_Row]:
    """Return the rows of the list, newest first."""
    mail = {message.id: message for message in journal.messages}
    rows = [_Row(each, mail.pop(each.message_id or "", None), each) for each in journal.exchanges]
    rows += [_Row(None, message, message) for message in mail.values()]
    return sorted(rows, key=lambda row: row.kept.received_at, reverse=True)


async def _listing(journal: Journal, ask: Mapping[str, str]) -> Json:
    rows = _rows(journal)
    words = ask.get("q", "").casefold().split()
    found = [row async for row in in_turns(rows) if row.holds(words)] if words else rows
    shown = found if ask.get("all") else found[:_MAX_ROWS]
    async for row in in_turns(shown):
        _ = row.message and row.message.subject  # it is read once, and the page shows it
    return {
        "rows": shown,
        "found": len(found),
        "total": len(rows),
        "dropped": journal.exchanges.dropped + journal.messages.dropped,
        "current": ask.get("request") or ask.get("message") or "",
    }


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _trial(world: World, row: str) -> Json:
    section, _, key = row.partition("/")
    try:
        return recipes.trial(world, section, key)
    except KeyError:
        text = "The world has no such relay, token endpoint or provider."
        raise Problem(Kind.CONTROL, text, status=404) from None


def _text(value: object) -> object:
    return value.get("SecretValue", value) if isinstance(value, dict) else value


def _asked_for(world: World, form: Mapping[str, str]) -> Json:
    """Return the body that a form describes; what is wrong in it is for the API to refuse."""
    port, kind = (_number(form.get(name, "")) for name in ("port", "type"))
    return recipes.body(world, form.get("host", ""), port, kind, use_ssl="ssl" in form)


def _number(text: str) -> Any:  # noqa: ANN401  # what the API is then asked with
    try:
        return int(text)
    except ValueError:
        return text


def _authorization(world: World, key: str) -> Mapping[str, str]:
    """Return the header of a user of the world, or none for a caller that gives no name."""
    if not key:
        return {}
    if key not in world.users:
        raise Problem(Kind.CONTROL, "The world has no such user.", status=404)
    user = world.users[key]
    return {"authorization": wire.basic(f"{user.domain}\\{user.name}", user.password.reveal())}


async def _form(request: Request) -> Mapping[str, str]:
    text = (await wire.read_body(request)).decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True))


def _see_other(address: str) -> Response:
    return RedirectResponse(address, 303, _NO_STORE)


def _problem_page(request: Request, problem: Problem) -> Response:
    status, _ = problem.told(request.scope[wire.ERRORS])
    values = {"status": status, "message": problem.message, "ns": "", "link": _Links("")}
    headers = {**_HEADERS, **_NO_STORE, **problem.headers}
    return Response(render("problem.html", values), status, headers, "text/html")

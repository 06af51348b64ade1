"""Lists: what a query asks for, waited for, and written in pieces."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mockserver.base.jsontext import compact_json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import one_line
from mockserver.journal.assertions import Wanted
from mockserver.journal.filters import Either, Filter
from mockserver.journal.journal import Entry, Shelf

_MakeFilter = Callable[[Mapping[str, object], Iterable[str]], Filter[Entry]]

_MAX_WAIT_S: Final = 60
_MAX_LISTED: Final = 1_000
_NUMBER: Final = re.compile("[0-9]{1,4}")
_OF_LISTS: Final = ("wait", "limit", "after", "expect")  # beside the filters
_JSON: Final = "application/json"
_PIECE: Final = 64 * 1024  # octets, at least


class Lists:
    """Answer lists, one piece of one list in each turn of the loop, however many are asked for."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._turn = asyncio.Lock()

    async def answer(
        self,
        request: Request,
        name: str,
        shelf: Shelf[Entry],
        make: _MakeFilter[Entry],
        describe: Callable[[Entry], str],
    ) -> Response:
        """List what a query asks for, as soon as there is something, or when the wait is over."""
        query = query_of(request)
        own = {key: query.pop(key)[0] for key in _OF_LISTS if key in query}
        seconds = _seconds(own.get("wait", "0"))
        limit = _number("limit", own.get("limit", str(_MAX_LISTED)), least=1)
        wanted = matching(make, query, _OF_LISTS)
        passed = _passed(shelf, own.get("after"))
        expected = _number("expect", own.get("expect", "0"), least=0)

        def matches(entry: Entry) -> bool:
            return entry.id not in passed and wanted(entry)

        found = await shelf.wait(matches, seconds, max(1, expected))
        if sum(entry.ended for entry in found) < expected:
            noun = f"at least {expected} {name if expected > 1 else name[:-1]}"
            criteria = {key: readings[0] for key, readings in query.items()}
            text = Wanted(noun, criteria, wanted.misses, describe).failure(found, list(shelf))
            raise Problem(Kind.CONTROL, text, status=404)
        counts = {"count": len(found), "total": len(shelf), "dropped": shelf.dropped}
        return await self._written(request, self._pieces(name, found[:limit], counts))

    async def _written(self, request: Request, pieces: AsyncIterator[bytes]) -> Response:
        # If something is wrong with an entry, most likely it is before the answer begins.
        first = await anext(pieces)
        if request.scope["http_version"] == "1.0":  # which knows no chunks (RFC 9112, 7.1)
            whole = first + b"".join([each async for each in pieces])
            return Response(whole, 200, self._headers, _JSON)
        return StreamingResponse(_then(first, pieces), 200, self._headers, _JSON)

    async def _pieces(
        self, name: str, entries: list[Entry], counts: Mapping[str, int]
    ) -> AsyncIterator[bytes]:
        piece = bytearray(f'{{"{name}":['.encode())
        for number, entry in enumerate(entries):
            piece += b"," if number else b""
            piece += compact_json(entry.as_json()).encode()
            if len(piece) >= _PIECE:
                yield bytes(piece)
                piece.clear()
                async with self._turn:
                    await asyncio.sleep(0)
        yield bytes(piece) + b"]," + compact_json(counts)[1:].encode()


async def _then(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


def query_of(request: Request) -> dict[str, Either]:
    """Read the query: each name once, with what its value may mean.

    Forms, and the libraries of most languages, write a blank as `+` and a plus as `%2B` (URL
    standard, 5.2); in a URL that a person types a plus is a plus (RFC 3986, 2.2). Either is found.
    """
    query: dict[str, Either] = {}
    for pair in filter(None, request.scope["query_string"].split(b"&")):
        name, _, value = pair.partition(b"=")
        readings = Either((unquote(value), unquote(value.replace(b"+", b" "))))
        if query.setdefault(unquote(name), readings) is not readings:
            text = f"{one_line(unquote(name))}: given twice; each filter is given once"
            raise Problem(Kind.CONTROL, text)
    return query


def matching(
    make: _MakeFilter[Entry], criteria: Mapping[str, Either], also: Iterable[str] = ()
) -> Filter[Entry]:
    """Make a filter; Problem for a criterion or a value that cannot be."""
    try:
        return make(criteria, also)
    except ValueError as error:
        raise Problem(Kind.CONTROL, str(error)) from None


def find(shelf: Shelf[Entry], wanted: str, place: str = "") -> Entry:
    """Return the entry of that id; Problem 404, which begins with the place of the id."""
    if entry := shelf.find(wanted):
        return entry
    text = f"{place}no entry has this id; perhaps it was dropped, or reset"
    raise Problem(Kind.CONTROL, text, status=404)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _MAX_WAIT_S:
        raise Problem(Kind.CONTROL, f"wait: a number of seconds from 0 to {_MAX_WAIT_S}")
    return seconds


def _number(name: str, text: str, least: int) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= _MAX_LISTED:
        raise Problem(Kind.CONTROL, f"{name}: a number from {least} to {_MAX_LISTED}")
    return int(text)


def _passed(shelf: Shelf[Entry], after: str | None) -> set[str]:
    """Return the ids of an entry and of those before it."""
    if after is None:
        return set()
    find(shelf, after, "after: ")
    ids = [entry.id for entry in shelf]
    return set(ids[: ids.index(after) + 1])

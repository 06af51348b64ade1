"""Answers in pieces: lists, which may be long, and events, which have no end."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from starlette.responses import Response, StreamingResponse

from mockserver.base.jsontext import compact_json
from mockserver.journal.feed import Follower
from mockserver.journal.journal import Entry

KEEP_ALIVE_S: Final = 15

_JSON: Final = "application/json"
_PIECE: Final = 64 * 1024  # octets, at least


class Lists:
    """Write lists, one piece of one list in each turn of the loop, however many are asked for."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def answer(
        self,
        name: str,
        entries: list[Entry],
        counts: Mapping[str, int],
        headers: Mapping[str, str],
        *,
        whole: bool,
    ) -> Response:
        """Answer entries as JSON, with their counts behind them; `whole` in one piece."""
        pieces = self._pieces(name, entries, counts)
        # If something is wrong with an entry, most likely it is before the answer begins.
        first = await anext(pieces)
        if whole:
            return Response(first + b"".join([each async for each in pieces]), 200, headers, _JSON)
        return StreamingResponse(_then(first, pieces), 200, headers, _JSON)

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


async def events(follower: Follower) -> AsyncIterator[bytes]:
    """Write events as they come, and a comment now and then."""
    yield b": what happens from now on\n\n"
    while True:
        try:
            event = await asyncio.wait_for(follower.next(), KEEP_ALIVE_S)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        if event is None:
            return
        yield event

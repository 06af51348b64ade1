"""The connections of a sink, which end together."""

import asyncio
from typing import Protocol


class _Connection(Protocol):
    def end(self) -> asyncio.Task[None]: ...


class Connections(set[_Connection]):
    """The open connections of a sink; while it is `closed`, a new one ends at once."""

    closed = False

    async def close(self) -> None:
        """End all of them."""
        self.closed = True
        while self:
            await asyncio.wait([connection.end() for connection in self])

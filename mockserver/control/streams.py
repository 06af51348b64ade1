"""Events as they come: an answer that has no end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from mockserver.journal.feed import Follower

_KEEP_ALIVE_S: Final = 15


async def events(follower: Follower) -> AsyncIterator[bytes]:
    """Write events as they come, and a comment now and then."""
    yield b": what happens from now on\n\n"
    while True:
        try:
            event = await asyncio.wait_for(follower.next(), _KEEP_ALIVE_S)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        if event is None:
            return
        yield event

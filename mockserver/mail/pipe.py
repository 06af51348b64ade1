"""A connection within one event loop: what a socket pair does, without the system in between."""

import asyncio
from typing import Final, cast

_NOBODY: Final = asyncio.Protocol()  # it does nothing


class Pipe(asyncio.Transport):
    """One of the two ends of a connection.

    What is written is received at the `other` end at once, and kept nowhere on its way. So neither
    protocol may write when it receives, but only wake a task that does, as streams do; and neither
    can make the other pause.
    """

    def __init__(self) -> None:
        super().__init__()
        self.other: Pipe | None = None  # while the connection is open
        self._protocol = _NOBODY

    @classmethod
    def pair(cls) -> tuple["Pipe", "Pipe"]:
        """Make a connection; return its ends, which wait for their protocols."""
        one, other = cls(), cls()
        one.other, other.other = other, one
        return one, other

    def get_protocol(self) -> asyncio.Protocol:
        """Return what speaks and listens at this end."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have this protocol speak and listen at this end."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Have the other end receive this, unless the connection is closed."""
        if self.other is not None:
            self.other.get_protocol().data_received(bytes(data))

    def close(self) -> None:
        """Close both ends; their protocols are told in the next turn of the loop."""
        other, self.other = self.other, None
        if other is not None:
            asyncio.get_running_loop().call_soon(self._lose)
            other.close()

    abort = close  # nothing is on its way that could be lost

    def is_closing(self) -> bool:
        """Say whether the connection is closed."""
        return self.other is None

    def _lose(self) -> None:
        # With this, nothing leads in a circle any more, and no collector is needed.
        protocol, self._protocol = self._protocol, _NOBODY
        protocol.connection_lost(None)

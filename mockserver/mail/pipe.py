"""A connection within one event loop: what a socket pair does, without the system in between."""

import asyncio


class Pipe(asyncio.Transport):
    """One of the two ends of a connection.

    What is written is received at the `other` end at once, if a protocol is attached there. So no
    protocol may write when it receives, but only wake a task that does, as streams do; and none can
    make the other pause.
    """

    def __init__(self) -> None:
        super().__init__()
        self.other: Pipe | None = None  # while the connection is open
        self._protocol: asyncio.Protocol | None = None
        self._early = b""

    @classmethod
    def pair(cls) -> tuple["Pipe", "Pipe"]:
        """Make a connection; return its ends."""
        one, other = cls(), cls()
        one.other, other.other = other, one
        return one, other

    def attach(self, protocol: asyncio.Protocol) -> None:
        """Have a protocol speak and listen here; it receives what came before, too."""
        self._protocol = protocol
        protocol.connection_made(self)
        if self._early:
            protocol.data_received(self._early)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send this to the other end, unless the connection is closed."""
        if self.other is not None:
            self.other.receive(bytes(data))

    def receive(self, data: bytes) -> None:
        """Take what was written at the other end."""
        if self._protocol is None:
            self._early += data
        else:
            self._protocol.data_received(data)

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
        # Protocol and end no longer hold each other, so they are freed without the collector.
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(None)

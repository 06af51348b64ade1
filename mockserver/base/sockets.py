"""What a socket is told that a loop has no call for."""

import asyncio
import socket
import struct
from typing import Final

_LINGER_OF_NOTHING: Final = struct.pack("ii", 1, 0)


def reset_when_closed(transport: asyncio.BaseTransport) -> None:
    """Have a connection end with a reset (TCP RST) and not with a FIN, whoever closes it."""
    # A linger of no time does that (Linux: socket(7); POSIX: SO_LINGER).
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OF_NOTHING)

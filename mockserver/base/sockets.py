"""Sockets: how they listen and how they end, where the event loop has no call for it."""

import asyncio
import errno
import ipaddress
import os
import socket
import struct
from typing import Final

BACKLOG: Final = 2_048  # connections that wait to be accepted

# Its two numbers are shorter on Windows.
_LINGER_OF_NOTHING: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class BindError(Exception):
    """A port cannot be listened on.

    `listener` is `http`, `https`, `smtp`, `smtps`, or `smtp KEY` for a relay's own; where another
    port would not help, `other_port` is false.
    """

    def __init__(self, text: str, listener: str, *, other_port: bool) -> None:
        super().__init__(text)
        self.listener = listener
        self.other_port = other_port


def is_loopback(host: str) -> bool:
    """Say whether a host is one that only this machine can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int, listener: str) -> socket.socket:
    """Return a socket that listens on host and port, 0 for a free one; BindError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        text = f"cannot listen on {host}, port {port}, for {listener}: {reason}"
        other = error.errno in {errno.EADDRINUSE, errno.EACCES}
        raise BindError(text, listener, other_port=other) from None
    # Connections inherit the option; uvloop sets it by itself, asyncio only for some sockets.
    # Without it, clients that delay acknowledgements (RFC 1122, 4.2.3.2) get answers 40 ms late.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def reset_when_closed(transport: asyncio.BaseTransport) -> None:
    """Have a connection end with a reset (TCP RST) and not with a FIN, whoever closes it."""
    # A linger of no time does that (Linux: socket(7); POSIX: SO_LINGER).
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OF_NOTHING)

"""What is written comes whole and in order, whenever the connection ends: looked at on sockets."""

import asyncio
import socket
import sys
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from mockserver import MockServer
from mockserver.base.loops import new_event_loop
from mockserver.base.sockets import listening
from mockserver.http.listener import HttpListener
from raw_http import post, until_closed

HEAD = b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
STRANGER = b"GET /KeyfactorAPI/SMTP HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each of the loops."""
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    """Connect to a mock of its own."""
    with (
        MockServer() as mock,
        socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=5) as connected,
    ):
        yield connected


def test_an_answer_without_a_body_reaches_who_closes_its_half(sock: socket.socket) -> None:
    sock.sendall(HEAD)
    sock.shutdown(socket.SHUT_WR)
    assert until_closed(sock).startswith(b"HTTP/1.1 200 ")


def test_an_answer_with_an_empty_body_is_written_and_the_connection_closed(
    sock: socket.socket,
) -> None:
    sock.sendall(STRANGER)
    head, end, rest = until_closed(sock).partition(b"\r\n\r\n")
    assert (head[:13], end, rest) == (b"HTTP/1.1 401 ", b"\r\n\r\n", b"")


def test_who_asked_whether_to_send_is_told_before_an_answer_that_breaks_off(
    sock: socket.socket,
) -> None:
    more = "Expect: 100-continue\r\nX-Mock-Fault: truncate\r\n"
    sock.sendall(post(more=more, length=2) + b"{}")
    first, second, *_ = until_closed(sock).split(b"\r\n\r\n")
    assert first == b"HTTP/1.1 100 Continue"
    assert second.startswith(b"HTTP/1.1 400 ")


def test_a_stop_in_the_turn_of_an_answer_leaves_it_whole() -> None:
    async def answered() -> bytes:
        async def last(_: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 204, "headers": [(b"a", b"b")]})
            await send({"type": "http.response.body"})
            listener.close()

        listener = HttpListener(last, {})
        server = listening("127.0.0.1", 0, "http")
        await listener.listen(server, None)
        reader, writer = await asyncio.open_connection(*server.getsockname())
        writer.write(HEAD)
        raw = await reader.read()
        writer.close()
        await listener.drain(1)
        return raw

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        raw = runner.run(answered())
    assert raw.startswith(b"HTTP/1.1 204 ")
    assert raw.endswith(b"\r\n\r\n")

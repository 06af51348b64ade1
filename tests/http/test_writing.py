"""What is written comes whole and in order, whenever the connection ends: looked at on sockets."""

import asyncio
import re
import socket
import sys
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mockserver import MockServer
from mockserver.base.loops import new_event_loop
from mockserver.base.sockets import listening
from mockserver.http.listener import HttpListener
from mockserver.http.wire import answer_at_once
from raw_http import BODY, post, until_closed

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


@pytest.mark.parametrize("last", [b"no request\r\n\r\n", b""], ids=["no request", "end"])
def test_who_asked_whether_to_send_is_let_go_after_the_last_answer(
    sock: socket.socket, last: bytes
) -> None:
    asked = post(more="Expect: 100-continue\r\n") + BODY
    sock.sendall(post() + BODY + asked + last)
    if not last:
        sock.shutdown(socket.SHUT_WR)
    assert until_closed(sock).count(b"HTTP/1.1 200 ") == 2


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


BODIES: dict[str, tuple[int, list[bytes]]] = {
    "/length": (200, [b"hello"]),
    "/empty": (401, [b""]),
    "/none": (204, [b""]),
    "/same": (304, [b""]),
    "/chunks": (200, [b"x" * 10, b"y" * 300_000, b"", b"z"]),
    "/parts": (200, [b"x" * 10, b"y" * 300_000, b"", b"z"]),
}


# And what is there as a whole: status, headers, body.
WHOLE: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/whole/length": (400, {"a": "b", "content-length": "5"}, b"hello"),
    "/whole/chunk": (400, {"a": "b\tc"}, b"x" * 300),
    "/whole/empty": (200, {}, b""),
    "/whole/none": (204, {"a": "b"}, b""),
    "/whole/same": (304, {}, b""),
}
PATHS = [*BODIES, *WHOLE]
LAST = {
    "/chunks": b"Connection: close\r\n",
    "/whole/chunk": b"Connection: close\r\n",
    "/whole/closing": b"",
    "/whole/unwritable": b"",
}
ENDS = {
    "/whole/closing": (503, {"connection": "close"}, b"x"),
    "/whole/unwritable": (200, {"a": "b\r\nc: d"}, b"x"),
}


def whole(path: str) -> Response:
    """Make a response of octets, with no headers but those that it is to have."""
    status, headers, body = {**WHOLE, **ENDS}[path]
    response = Response(body, status)
    response.raw_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    return response


async def various(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in parts, some in one turn of the loop and some in several, in each way of framing."""
    while (await receive()).get("more_body"):
        pass
    path = scope["path"]
    if path not in BODIES:
        await answer_at_once(whole(path), scope, receive, send)
        return
    status, parts = BODIES[path]
    length = [(b"content-length", b"%d" % sum(map(len, parts)))]
    framed = length if path in {"/length", "/empty", "/parts"} else []
    await send({"type": "http.response.start", "status": status, "headers": framed})
    for number, part in enumerate(parts, 1):
        more = number < len(parts)
        await send({"type": "http.response.body", "body": part, "more_body": more})
        if number % 2:
            await asyncio.sleep(0)


def asked(last: str) -> bytes:
    """Ask for everything, in one piece; the last answer ends the connection."""
    post = b"POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
    lines = [b"%s %s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"GET", path.encode()) for path in PATHS]
    lines += [line.replace(b"GET", b"HEAD") for line in lines]
    lines += [post % path.encode() for path in PATHS]
    end = b"GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (last.encode(), LAST[last])
    return b"".join(lines) + end


@pytest.mark.parametrize("last", LAST)
def test_what_is_written_is_to_the_octet_what_uvicorn_writes(last: str) -> None:
    async def answers(address: tuple[str, int]) -> bytes:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(asked(last))
        async with asyncio.timeout(10):  # sooner than who is idle is cut
            raw = await reader.read()
        writer.close()
        return re.sub(rb"date: [^\r]*\r\n", b"", raw)

    async def both() -> list[bytes]:
        listener, ours = HttpListener(various, {}), listening("127.0.0.1", 0, "http")
        await listener.listen(ours, None)
        config = uvicorn.Config(
            various, http="httptools", lifespan="off", server_header=False, log_config=None
        )
        config.load()
        stock = await asyncio.get_running_loop().create_server(
            lambda: HttpToolsProtocol(config, ServerState(), {}), "127.0.0.1", 0
        )
        try:
            return [await answers(each.getsockname()) for each in (ours, *stock.sockets)]
        finally:  # a loop of uvloop does not close while a connection is open
            stock.close()
            listener.close()
            await listener.drain(1)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        ours, stock = runner.run(both())
    said = last != "/whole/unwritable"  # of which uvicorn closes the connection
    assert ours.count(b"HTTP/1.1 ") == 4 * len(PATHS) + said  # with those of Expect
    assert ours == stock

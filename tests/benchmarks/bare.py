"""Bare Starlette on the listener of the mock, which it is measured against.

`bare.py PORT` imports nothing else, so that its start and its memory are its own.
"""

import asyncio
import logging
import socket
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mockserver.base.loops import new_event_loop
from mockserver.http.listener import HttpListener


async def serve() -> None:
    """Serve an endpoint that reads JSON and answers a refusal; print the port."""

    async def refuse(request: Request) -> JSONResponse:
        await request.json()
        return JSONResponse({"ErrorCode": "0xA011000F", "Message": "Port: required."}, 400)

    listener = HttpListener(Starlette(routes=[Route("/", refuse, methods=["POST"])]), {})
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    await listener.listen(sock, None)
    print(sock.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        sys.exit(runner.run(serve()))

"""A connection that reads no more than it serves, and waits for its client no longer than a while.

uvicorn queues every request that it has octets of, and writes to who does not read.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final, cast

import uvicorn
from starlette.responses import Response
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from mockserver.http.framing import whole
from mockserver.http.wire import WRITE

_SHORTEST: Final = len(b"GET / HTTP/1.0\r\n\r\n")  # so many octets begin at most one request
_MAX_WAITING_OCTETS: Final = 64 * 1024


class _Flow(FlowControl):
    """Read on only where nothing is held."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Paced(HttpToolsProtocol):
    """Hold what a client sends before its turn, and drop one that does not take its answers.

    At most so many requests wait, and an answer must be taken in so many seconds.
    """

    flow: _Flow

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        app_state: dict[str, Any],
        waiting: int,
        taken_s: float,
    ) -> None:
        super().__init__(config, state, {**app_state, WRITE: self._write_answer})
        self._max_waiting = waiting
        self._taken_s = taken_s
        self._held = b""  # octets that came, and that the parser has not seen
        self._waiting = 0  # octets of the requests in the pipeline
        self._untaken: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None

    @property
    def waits_for_client(self) -> bool:
        """Say whether a request is not yet sent, or its answer not yet taken."""
        running = self._running
        return running is not None and (
            (running.response_started and not running.response_complete) or self.cycle.more_body
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = _Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cut_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.pipeline:
            self._waiting += sum(len(name) + len(value) for name, value in self.headers)
            self._waiting += len(self.url)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.pipeline:
            self._waiting += len(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401  # uvicorn's own type
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        # It leads back to the connection, so that only the collector would find both then.
        cast("RequestResponseCycle", self._running).scope["state"].clear()
        super().on_response_complete()
        if self.pipeline:
            return
        self._waiting = 0
        if self._held:
            self.data_received(b"")
            self.flow.resume_reading()

    def _write_answer(self, response: Response) -> bool:
        """Write an answer in one piece, as uvicorn would in two; say whether it is such a one."""
        cycle = cast("RequestResponseCycle", self._running)
        usual = cycle.keep_alive and not (cycle.disconnected or self.flow.write_paused)
        if not usual or cycle.scope["method"] == "HEAD":
            return False
        if (octets := whole(cycle.default_headers, response)) is None:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        self.transport.write(octets)
        cycle.on_response()
        return True

    def _in_turn(self, data: bytes) -> Iterator[memoryview]:
        """Give octets for the parser, as far as there is room for more requests."""
        octets = memoryview(self._held + data)
        self._forget()
        while octets and not self.transport.is_closing():
            size = self._room() * _SHORTEST
            if not size:
                self._held, self.flow.held = bytes(octets), True
                self.flow.pause_reading()
                return
            yield octets[:size]
            octets = octets[size:]

    def _room(self) -> int:
        """Return how many requests more may wait."""
        full = self._waiting >= _MAX_WAITING_OCTETS
        return 0 if full else self._max_waiting - len(self.pipeline)

    def _forget(self) -> None:
        self._held, self.flow.held = b"", False

    def _close(self) -> None:
        """Close when everything is written, or when that takes too long."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._cut_later()

    def _cut_later(self) -> None:
        if self._untaken is None:
            self._untaken = self.loop.call_later(self._taken_s, self.transport.abort)

"""Event loops: the fastest that there is, and one in a thread of its own that other threads ask."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, Final, TypeVar
from weakref import WeakSet

with suppress(ImportError):  # not on every platform
    import uvloop  # noqa: F401  # here too, so that the first start in a program need not wait

_Result = TypeVar("_Result")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of uvloop where that is installed, else one of asyncio."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LoopThread:
    """Start something on a loop in a thread, and stop it there; raise what the start raises.

    The thread does not keep a program alive. In a forked child it is not there: whoever asks
    it is told so, and its end is left to the parent.
    """

    def __init__(
        self, start: Callable[[], Awaitable[object]], stop: Callable[[], Awaitable[object]]
    ) -> None:
        self._start = start
        self._stop = stop
        self._lock = Lock()
        self._began = self._runs = self._ran = self._asked_to_stop = self._forked = False
        # Not a Future: an interrupt in the wrong moment leaves the lock within it held for ever.
        self._starting = Lock()
        self._starting.acquire()
        self._refused: BaseException | None = None
        self._failed: BaseException | None = None
        self._wish: Future[None] = Future()
        self._thread = Thread(target=self._main, name="keyfactor-mock", daemon=True)
        _THREADS.add(self)
        try:
            self._begin()
        except BaseException:
            self.stop()  # an interrupt finds it started, or about to be
            raise

    def _begin(self) -> None:
        self._thread.start()
        self._starting.acquire()
        if self._refused is not None:
            raise self._refused

    def ask(self, read: Callable[[], _Result]) -> _Result:
        """Call a function on the loop, and where that has ended, here: nothing else calls then."""
        future: Future[_Result] = Future()

        def call() -> None:
            try:
                future.set_result(read())
            except BaseException as error:  # noqa: BLE001  # raised in the thread that asked
                future.set_exception(error)

        self._check_process()
        with self._lock:
            if self._runs:
                self._loop.call_soon_threadsafe(call)
            else:
                call()
        return future.result()

    def submit(self, coroutine: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        """Run a coroutine on the loop; RuntimeError where that stops, or has stopped."""
        with self._lock:
            if not (self._asked_to_stop or self._forked):
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        self._check_process()
        raise RuntimeError("the mock has stopped: nothing more comes")

    def stop(self) -> None:
        """Stop, and return when the thread has ended, or raise what the stop raised."""
        if self._forked:
            return
        with self._lock:
            wished, self._asked_to_stop = self._asked_to_stop, True
        if not self._began:
            return  # nor will it
        if not wished:
            self._wish.set_result(None)
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def forked(self) -> None:
        """Note that this is the copy of a child process."""
        self._forked = True
        self._lock = Lock()  # another thread of the parent may have held it

    def _check_process(self) -> None:
        if self._forked:
            raise RuntimeError(
                "this mock runs in the parent process: call it by its URLs, or make another here"
            )

    def _main(self) -> None:
        with self._lock:
            if self._asked_to_stop:
                return
            self._began = True
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits for it
            if self._ran:
                self._failed = error
            else:
                self._refused = error
                self._starting.release()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._start()
        self._runs = self._ran = True
        self._starting.release()
        await asyncio.wrap_future(self._wish)
        try:
            await self._stop()
        finally:
            with self._lock:
                self._runs = False
            await asyncio.sleep(0)  # for what was asked before


class Loop:
    """Run things on the loop of a mock, where alone its states may be touched.

    `thread` has that loop where it runs in one; without a thread, the caller is on the loop.
    """

    def __init__(self) -> None:
        self.thread: LoopThread | None = None

    def call(self, read: Callable[[], _Result]) -> _Result:
        """Call a function on the loop."""
        thread = self.thread
        return read() if thread is None else thread.ask(read)

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine to its end, from another thread; RuntimeError where there is none."""
        thread = self.thread
        if thread is None:
            coroutine.close()
            raise RuntimeError("the mock runs in no thread: on a loop, await next_message(...)")
        return thread.submit(coroutine).result()

    def awaitable(self, coroutine: Coroutine[Any, Any, _Result]) -> Awaitable[_Result]:
        """Return what a coroutine gives, to be awaited on whatever loop runs here."""
        thread = self.thread
        return coroutine if thread is None else asyncio.wrap_future(thread.submit(coroutine))


_THREADS: Final[WeakSet[LoopThread]] = WeakSet()


def _in_child() -> None:
    for thread in _THREADS:
        thread.forked()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_in_child)

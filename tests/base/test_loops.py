"""A loop in a thread of its own, whatever happens to it."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType

import pytest

from mockserver.base.loops import LoopThread, new_event_loop


async def nothing() -> None:
    pass


def test_what_the_start_raises_is_raised_here() -> None:
    async def fail() -> None:
        raise LookupError("no")

    before = threading.active_count()
    with pytest.raises(LookupError, match="no"):
        LoopThread(fail, nothing)
    assert threading.active_count() == before


def test_what_the_stop_raises_is_raised_here() -> None:
    async def fail() -> None:
        raise LookupError("no")

    before = threading.active_count()
    thread = LoopThread(nothing, fail)
    with pytest.raises(LookupError, match="no"):
        thread.stop()
    assert threading.active_count() == before


def test_what_a_call_raises_is_raised_here() -> None:
    thread = LoopThread(nothing, nothing)
    try:
        with pytest.raises(ZeroDivisionError):
            thread.ask(lambda: 1 // 0)
        assert thread.ask(threading.current_thread).daemon
    finally:
        thread.stop()
    assert thread.ask(threading.current_thread) is threading.current_thread()
    thread.stop()  # once more is harmless
    with pytest.raises(RuntimeError, match="has stopped"):
        thread.submit(nothing())


def test_one_that_is_to_stop_before_it_begins_does_not_begin() -> None:
    thread = LoopThread(nothing, nothing)
    thread.stop()
    vars(thread)["_began"] = False
    thread._main()  # noqa: SLF001  # an interrupt comes this early once in thousands of times
    assert not vars(thread)["_began"]
    thread.stop()


def test_without_a_loop_the_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_loop() -> None:
        raise OSError("too many open files")

    monkeypatch.setattr("mockserver.base.loops.new_event_loop", no_loop)
    with pytest.raises(OSError, match="too many"):
        LoopThread(nothing, nothing)


def test_each_call_ends_while_the_loop_stops() -> None:
    for _ in range(20):
        thread = LoopThread(nothing, lambda: asyncio.sleep(0.001))
        began = threading.Barrier(5)

        def ask(thread: LoopThread = thread, began: threading.Barrier = began) -> None:
            began.wait()
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                assert thread.ask(lambda: 7) == 7
                try:
                    thread.submit(nothing()).result(timeout=5)
                except RuntimeError as error:
                    assert "has stopped" in str(error)  # noqa: PT017  # either is right

        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask) for _ in range(4)]
            began.wait()
            thread.stop()
            for each in asked:
                each.result(timeout=10)


@pytest.fixture
def interrupted() -> Iterator[None]:
    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("ms", [0.01, 0.1, 0.3, 1, 3, 10])
def test_an_interrupt_during_the_start_leaves_no_thread(ms: float) -> None:
    before = {*threading.enumerate()}  # of which one of another test may still be ending
    stopped: Future[None] = Future()

    async def stop() -> None:
        stopped.set_result(None)

    started = threading.Event()

    async def start() -> None:
        started.set()
        await asyncio.sleep(0.02)

    def begin() -> None:
        signal.setitimer(signal.ITIMER_REAL, ms / 1_000)
        LoopThread(start, stop)

    with pytest.raises(KeyboardInterrupt):
        begin()
    deadline = time.monotonic() + 5  # for a thread that was about to begin, and does not
    # One that was interrupted within `Thread.start` can be listed for ever, though it never begins.
    while {each for each in threading.enumerate() if each.is_alive()} - before:
        assert time.monotonic() < deadline
    assert stopped.done() or not started.is_set()


def test_a_forked_child_is_told_so() -> None:
    thread = LoopThread(nothing, nothing)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        said = []
        for call in (lambda: thread.ask(int), lambda: thread.submit(nothing())):
            try:
                call()
            except RuntimeError as error:
                said.append(str(error))
        thread.stop()
        os.write(writing, "\n".join(said).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as file:
        lines = file.read().splitlines()
    assert len(lines) == 2
    assert all("runs in the parent process" in line for line in lines)
    assert thread.ask(int) == 0
    thread.stop()


def test_a_loop_is_that_of_uvloop_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvloop", None)
    loop = new_event_loop()
    assert type(loop).__module__.startswith("asyncio")
    loop.close()

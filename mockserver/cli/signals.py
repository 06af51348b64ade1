"""Signals: what ends a command, and what is passed on; Windows has few of them."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final


def _known(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


ENDING: Final = _known("SIGINT", "SIGTERM", "SIGHUP")
PASSED_ON: Final = _known("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_TYPED: Final = _known("SIGINT", "SIGQUIT")


def on_signals(numbers: Iterable[signal.Signals], act: Callable[[int], object]) -> None:
    """Have the running loop call a function with each of these signals that comes."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        try:
            loop.add_signal_handler(number, act, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda got, _: loop.call_soon_threadsafe(act, got))


async def pass_on(signals: asyncio.Queue[int], process: asyncio.subprocess.Process) -> None:
    """Send a process each signal that the queue gets."""
    while True:
        number = await signals.get()
        # What is typed at a terminal reaches every process in the foreground anyway.
        if number not in _TYPED or not _in_foreground():
            with suppress(ProcessLookupError):  # it has just ended
                process.send_signal(number)


def _in_foreground() -> bool:
    if not hasattr(os, "tcgetpgrp"):  # Windows: whatever has the console is
        return True
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False

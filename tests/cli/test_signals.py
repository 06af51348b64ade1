"""Signals that are passed on to a command, however fast that ends."""

import asyncio
import signal
import sys

from mockserver.cli.signals import pass_on


async def passed_on_to_one_that_has_ended() -> bool:
    """Say whether signals are still passed on after one for a command that is no more."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    signals: asyncio.Queue[int] = asyncio.Queue()
    passing = asyncio.create_task(pass_on(signals, process))
    signals.put_nowait(signal.SIGTERM)
    done, _ = await asyncio.wait([passing], timeout=0.2)
    passing.cancel()
    return not done and signals.empty()


def test_a_signal_for_a_command_that_has_just_ended_is_lost_without_a_word() -> None:
    assert asyncio.run(passed_on_to_one_that_has_ended())

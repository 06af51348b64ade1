"""A pipe does what a socket pair does: between two stock streams, and below a delivery."""

import asyncio
import gc
import re
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import uvloop

from mockserver.base.certificates import Authority
from mockserver.base.masking import Secret
from mockserver.base.problems import Problem
from mockserver.journal.state import States
from mockserver.journal.trace import Attempt
from mockserver.mail.client import deliver
from mockserver.mail.part import _FAULTS
from mockserver.mail.pipe import Pipe
from mockserver.mail.sink import Sink
from mockserver.mail.submission import Login, Submission, TlsMode
from mockserver.world.loading import load
from support import NO_TOKENS, part_of

AUTHORITY = Authority()
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Notebook(asyncio.Protocol):
    """Write down what is received."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def data_received(self, data: bytes) -> None:
        """Note the octets."""
        self.heard.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        self.heard.append(error)


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("how", ["close", "abort"])
def test_both_ends_are_told_once_of_the_end_and_in_a_later_turn(end: int, how: str) -> None:
    async def talk() -> None:
        pipes, notebooks = Pipe.pair(), (Notebook(), Notebook())
        for pipe, notebook in zip(pipes, notebooks, strict=True):
            pipe.attach(notebook)
        pipes[0].write(bytearray(b"to the other"))
        pipes[1].write(b"and back")
        assert not any(pipe.is_closing() for pipe in pipes)
        getattr(pipes[end], how)()
        assert all(pipe.is_closing() for pipe in pipes)
        for pipe in pipes:
            pipe.close()
            pipe.write(b"too late")
        assert [each.heard for each in notebooks] == [[b"and back"], [b"to the other"]]
        await asyncio.sleep(0)
        assert [each.heard[1:] for each in notebooks] == [[None], [None]]

    asyncio.run(talk())


def test_what_comes_before_there_is_a_protocol_is_received_by_it() -> None:
    # An eager task factory (Python 3.12) has the sink greet before its client listens.
    async def talk() -> None:
        early, late = Pipe.pair()
        early.write(b"421 not")
        early.write(b" now")
        early.close()
        notebook = Notebook()
        late.attach(notebook)
        assert notebook.heard == [b"421 not now"]
        await asyncio.sleep(0)
        assert notebook.heard == [b"421 not now", None]

    asyncio.run(talk())


def test_an_end_without_a_protocol_can_be_closed() -> None:
    async def close() -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        Pipe.pair()[0].close()
        await asyncio.sleep(0)
        assert errors == []

    asyncio.run(close())


def test_the_fault_of_a_dropped_session_closes_the_connection() -> None:
    async def drop() -> None:
        ours, theirs = Pipe.pair()
        _FAULTS["dropped"].end(ours)
        assert theirs.is_closing()

    asyncio.run(drop())


def test_stock_streams_speak_through_a_pipe() -> None:
    async def talk() -> None:
        loop = asyncio.get_running_loop()
        ends = []
        for pipe in Pipe.pair():
            reader = asyncio.StreamReader(limit=100)  # far less than what comes at once
            protocol = asyncio.StreamReaderProtocol(reader)
            pipe.attach(protocol)
            ends.append((reader, asyncio.StreamWriter(pipe, protocol, reader, loop)))
        (left, to_right), (right, to_left) = ends
        to_right.writelines([b"x" * 10_000, b"\n", b"the rest"])
        await to_right.drain()
        assert await right.readexactly(10_001) == b"x" * 10_000 + b"\n"
        to_left.write(b"heard\n")
        assert await left.readline() == b"heard\n"
        to_right.close()
        await to_right.wait_closed()
        assert await right.read() == b"the rest"
        assert await left.read() == b""

    asyncio.run(talk())


RELAYS: dict[str, dict[str, Any]] = {
    "good": {},
    "old": {"esmtp": False},
    "slow": {"delay": 0.01},
    "never": {"fault": "timeout", "timeout": 0.05},
    "dropped": {"fault": "dropped"},
    "unresolvable": {"fault": "unresolvable"},
    "refused": {"fault": "refused"},
    "idle": {"idle_timeout": 0.05, "fault": "timeout", "timeout": 5},
    "small": {"max_size": 100, "size": False},
    **{
        stage: {"replies": {stage: f"451 4.3.0 No {stage}\n451 today"}}
        for stage in ("ehlo", "rcpt")
    },
    "greeting": {"replies": {"greeting": "421 4.3.2 Not now"}},
    "data": {"replies": {"data": "554 5.6.0 No"}},
}


def outcome(
    relay: dict[str, Any],
    login: Login | None,
    new_loop: Callable[[], Any],
    *,
    by_pipe: bool,
    closed: bool = False,
) -> tuple[object, ...]:
    """Deliver a mail by a pipe or by a socket pair; return all that is known afterwards."""
    states = States(load({"relays": {"*": relay}}))
    state, sink = states.get(), Sink(AUTHORITY, NO_TOKENS)
    part = part_of(state, "relay.test", 25)
    limit = part.relay.timeout
    what = Submission(
        "relay.test", 25, TlsMode.NONE, "Keyfactor", "a@b.test", "c@d.test", login, limit
    )
    attempt = Attempt(part.endpoint, what.tls_mode, part.session.dialogue)
    told = []

    async def send() -> None:
        dial = sink.pipe if by_pipe else sink.connect
        if closed:
            await sink.close()
        try:
            await deliver(what, partial(dial, part), AUTHORITY.client_context, attempt)
        except Problem as problem:
            told.append((problem.kind, problem.message))
        await asyncio.sleep(0.01)
        assert not sink.connections
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await sink.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(send())
    lines = [
        re.sub("[0-9a-f]{32}", "ID", f"{who}: {line}") for _, who, line in attempt.dialogue.lines
    ]
    session = part.session
    mails = [(mail.envelope, mail.tls_mode, len(mail.raw)) for mail in state.journal.messages]
    kept = (
        session.stage,
        session.tls_mode,
        session.helo,
        session.refusals,
        len(session.message_ids),
    )
    return told, lines, mails, kept, attempt.stage, re.sub("[0-9a-f]{32}", "ID", str(attempt.reply))


@pytest.mark.parametrize("login", [None, Login("mail", Secret("password"))], ids=["", "login"])
@pytest.mark.parametrize("relay", RELAYS.values(), ids=RELAYS.keys())
@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_delivery_is_the_same_by_a_pipe_and_by_a_socket_pair(
    relay: dict[str, Any], login: Login | None, new_loop: Callable[[], Any]
) -> None:
    by_pipe, by_socket = (
        outcome(relay, login, new_loop, by_pipe=by_pipe) for by_pipe in (True, False)
    )
    assert by_pipe == by_socket


@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_closed_sink_ends_either_as_it_begins(new_loop: Callable[[], Any]) -> None:
    by_pipe, by_socket = (
        outcome({"timeout": 5}, None, new_loop, by_pipe=by_pipe, closed=True)
        for by_pipe in (True, False)
    )
    assert by_pipe == by_socket
    assert "at stage greeting: it closed the connection" in str(by_pipe)


@pytest.mark.parametrize("mode", TlsMode)
@pytest.mark.parametrize("speaks_tls", [False, True])
def test_what_no_side_encrypts_goes_by_a_pipe(mode: TlsMode, *, speaks_tls: bool) -> None:
    what = Submission("relay.test", 25, mode, "", "a@b.test", "c@d.test", speaks_tls=speaks_tls)
    assert what.needs_tls == ((mode, speaks_tls) != (TlsMode.NONE, False))


def test_a_delivery_by_a_pipe_leaves_nothing_to_the_collector() -> None:
    ends: list[weakref.ref[Pipe]] = []

    async def send() -> None:
        state, sink = States(load({"relays": {"*": {}}})).get(), Sink(AUTHORITY, NO_TOKENS)
        part = part_of(state, "relay.test", 25)
        what = Submission("relay.test", 25, TlsMode.NONE, "", "a@b.test", "c@d.test")
        attempt = Attempt(part.endpoint, what.tls_mode, part.session.dialogue)

        async def dial() -> Pipe:
            pipe = await sink.pipe(part)
            ends.extend(weakref.ref(end) for end in (pipe, pipe.other) if end is not None)
            return pipe

        await deliver(what, dial, AUTHORITY.client_context, attempt)
        await asyncio.sleep(0.01)
        assert not sink.connections

    gc.collect()
    gc.disable()
    try:
        asyncio.run(send())
        assert len(ends) == 2
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()

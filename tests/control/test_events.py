"""Server-sent events: what happens, as it happens."""

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from mockserver import MockServer
from mockserver.control import streams
from mockserver.journal.feed import _MAX_BEHIND, Feed
from mockserver.journal.trace import Trace
from support import V2, Caller, Json, following


def test_what_happens_comes_in_its_order(mock: MockServer, caller: Caller) -> None:
    for path in ("/livez", "/_mock"):  # calls that are no events
        caller.http.get(path)
    with following(mock) as found:
        caller.send("2", V2)
        mock.reset()
        caller.send("2", V2 | {"Port": 0})
        message, request, reset, refused = (next(found) for _ in range(4))
    assert [each["event"] for each in (message, request, reset, refused)] == [
        "message", "request", "reset", "request",
    ]  # fmt: skip
    data = json.loads(message["data"])
    assert data["envelope"]["recipients"] == ["mjones@keyexample.com"]
    assert message["id"] == data["id"] == json.loads(request["data"])["message_id"]
    assert json.loads(reset["data"]) == {}
    assert json.loads(refused["data"]) == mock.requests[0].as_json() | json.loads(refused["data"])
    assert json.loads(refused["data"])["status"] == 400


def test_a_follower_sees_one_namespace(mock: MockServer, caller: Caller) -> None:
    with following(mock, "/_mock/ns/followed/events") as found:
        caller.send("2", V2)
        caller.send("2", V2 | {"Port": 0}, headers={"x-mock-namespace": "followed"})
        assert json.loads(next(found)["data"])["status"] == 400
        mock.namespace("followed").drop()
        assert list(found) == []


def test_a_stop_ends_every_stream_at_once() -> None:
    with ThreadPoolExecutor(20) as pool:
        with MockServer() as mock:
            ready = []

            def follow() -> list[Json]:
                with following(mock) as found:
                    ready.append(1)
                    return list(found)

            ends = [pool.submit(follow) for _ in range(20)]
            while len(ready) < 20:
                time.sleep(0.01)
            started = time.monotonic()
        assert time.monotonic() - started < 2
        assert [end.result() for end in ends] == [[]] * 20


def test_a_silent_stream_says_that_it_is_alive(
    caller: Caller, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_KEEP_ALIVE_S", 0.05)
    with httpx2.stream("GET", f"{mock.url}/_mock/events", timeout=20) as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(5)] == [
            ": what happens from now on", "", ": still here", "", ": still here",
        ]  # fmt: skip
    assert caller.http.head("/_mock/events").content == b""


def test_one_that_goes_away_costs_nothing(mock: MockServer, caller: Caller) -> None:
    feed = mock._states.get().journal.feed  # noqa: SLF001  # what is left of a stream shows nowhere else
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", mock.port("http") or 0)) as sock:
            sock.sendall(b"GET /_mock/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in sock.recv(10_000)
    deadline = time.monotonic() + 10
    while len(vars(feed)["_followers"]) and time.monotonic() < deadline:
        caller.send("2", V2)
    assert len(vars(feed)["_followers"]) == 0


def test_who_falls_behind_is_cut_off_and_what_waits_is_forgotten() -> None:
    async def scenario() -> None:
        feed = Feed()
        slow, other = feed.follow(), feed.follow()
        call = Trace("POST", "/", body=json.dumps("x" * 100_000)).exchange(200, None)
        for number in range(2 * _MAX_BEHIND // 100_000):
            feed.publish("request", call)
            event = await other.next()
            assert event
            assert event.startswith(b"event: request\nid: ")
            if number == 10:
                assert await slow.next() == event
        feed.end()
        assert await slow.next() is await other.next() is None

    asyncio.run(scenario())


def test_very_many_small_events_are_too_many_too() -> None:
    async def scenario() -> None:
        feed = Feed()
        slow = feed.follow()
        for _ in range(_MAX_BEHIND // 256):
            feed.publish("reset")
        assert await slow.next() is None

    asyncio.run(scenario())


def test_an_event_is_written_once_for_all(mock: MockServer) -> None:
    feed = mock._states.get().journal.feed  # noqa: SLF001  # nothing else has followers at hand

    async def scenario() -> None:
        followers = [feed.follow() for _ in range(3)]
        feed.publish("request", Trace("POST", "/").exchange(200, None))
        first, *others = [await each.next() for each in followers]
        assert all(event is first for event in others)

    asyncio.run(scenario())


def test_an_event_that_cannot_be_written_is_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        feed = Feed()
        follower = feed.follow()
        feed.publish("request", Trace("POST", "/", body="no JSON").exchange(200, None))
        assert (
            await follower.next() == b": an event that could not be written; the log says why\n\n"
        )

    asyncio.run(scenario())
    assert "an event JSONDecodeError" in caplog.text


def test_a_page_of_another_origin_may_not_follow(caller: Caller) -> None:
    for headers in ({"origin": "http://evil.test"}, {"host": "evil.test"}):
        assert caller.http.get("/_mock/events", headers=headers).status_code == 403

"""What nobody foresaw: an answer for the client, and a line in the log, for every way in."""

import asyncio
import json
import logging
from dataclasses import fields

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from mockserver import MockServer
from mockserver.http.wire import Net
from mockserver.journal.message import Message
from mockserver.journal.trace import Endpoint, Envelope, Exchange, Trace
from support import ERRORS, V2, Caller, following, refusal


class BrokenMessage(Message):
    """A message that a bug makes unreadable."""

    @property
    def subject(self) -> str:
        raise KeyError("a secret")

    def as_json(self) -> dict[str, object]:
        raise KeyError("a secret")


class BrokenExchange(Exchange):
    """An exchange that a bug makes unreadable."""

    def as_json(self) -> dict[str, object]:
        raise RecursionError("a secret")


def keep(mock: MockServer) -> str:
    """Keep one of each; return the id of the exchange."""
    message = BrokenMessage(
        raw=b"",
        envelope=Envelope("a@b.test", ("c@d.test",)),
        relay=Endpoint("relay.test", 25),
        tls_mode="none",
        tls_version=None,
        mechanism=None,
        username=None,
        dialogue=(),
    )
    made = Trace("GET", "/", message_id=message.id).exchange(200, None)
    exchange = BrokenExchange(**{each.name: getattr(made, each.name) for each in fields(made)})
    journal = mock._states.get().journal  # noqa: SLF001  # no client can put such a thing there
    mock._loop.call(lambda: journal.add_message(message))  # noqa: SLF001  # as above
    mock._loop.call(lambda: journal.add_exchange(exchange))  # noqa: SLF001  # as above
    return exchange.id


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info for record in found] == [None] * len(found)
    return [record.getMessage() for record in found]


@pytest.mark.parametrize(
    ("path", "accept", "place"),
    [
        ("/_mock/messages", "*/*", "KeyError at test_wire.as_json:"),
        ("/_mock/messages?subject=x", "*/*", "KeyError at test_wire.subject:"),
        ("/_mock/requests", "*/*", "RecursionError at test_wire.as_json:"),
        ("/_mock/requests/{id}", "text/plain", "KeyError at test_wire.subject:"),
        ("/", "*/*", "KeyError at test_wire.subject:"),
        ("/?request={id}&fragment=pane", "*/*", "KeyError at test_wire.subject:"),
    ],
)
def test_a_bug_in_a_control_call_or_a_page_is_a_500_and_a_line_in_the_log(
    caller: Caller, caplog: pytest.LogCaptureFixture, path: str, accept: str, place: str
) -> None:
    path = path.format(id=keep(caller.mock))
    response = caller.http.get(path, headers={"accept": accept})
    call = f"GET {path.partition('?')[0]}"
    assert refusal(response) == (500, f"the mock failed; its log names {call}")
    (line,) = errors(caplog)
    assert line.startswith(f"{call} {place}")
    assert "secret" not in line + response.text
    assert caller.send("2", V2).status_code == 200


def test_an_event_that_cannot_be_written_ends_no_stream(
    mock: MockServer, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with following(mock) as found:
        keep(mock)
        caller.send("2", V2)
        first = next(found)
        assert first["event"] == "message"
        assert json.loads(first["data"])["id"] == mock.messages[-1].id
    assert [line.rpartition(":")[0] for line in errors(caplog)] == [
        "an event KeyError at test_wire.as_json",
        "an event RecursionError at test_wire.as_json",
    ]


def played(application: ASGIApp) -> list[ASGIMessage]:
    """Give what is sent to the client of an application in the net."""
    sent: list[ASGIMessage] = []

    async def receive() -> ASGIMessage:
        return {"type": "http.disconnect"}

    async def send(message: ASGIMessage) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "PATCH", "path": "/_mock/world", "headers": []}
    asyncio.run(Net(application, ERRORS)(scope, receive, send))
    return sent


def test_an_answer_that_has_begun_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise IndexError

    assert [message["type"] for message in played(half)] == ["http.response.start"]
    assert [line.rpartition(":")[0] for line in errors(caplog)] == [
        "PATCH /_mock/world IndexError at test_wire.half"
    ]


def test_a_client_that_has_gone_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    async def read(scope: Scope, receive: Receive, _send: Send) -> None:
        await Request(scope, receive).body()

    assert played(read) == []
    assert errors(caplog) == []

"""An exchange as a person reads it."""

import re

import pytest

from mockserver import MockServer
from mockserver.journal.story import exchange_text
from mockserver.journal.trace import Attempt, Dialogue, Endpoint, Trace
from support import V1, V2, Caller


def lines(mock: MockServer) -> list[str]:
    messages = {message.id: message for message in mock.messages}
    exchange = mock.requests[-1]
    return exchange_text(exchange, messages.get(exchange.message_id or "")).splitlines()


def facts(mock: MockServer) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines(mock)[1:]:
        name, _, text = line.strip().partition(" ")
        found.setdefault(name, text.strip())
    return found


def test_all_that_a_call_caused_is_there_in_order(mock: MockServer, caller: Caller) -> None:
    provider = {"Provider": "1", "Parameters": {"SecretName": "EmailSenderClientSecret"}}
    body = V2 | {
        "Host": "smtp.keyexample.com",
        "Port": 587,
        "UseSSL": True,
        "RelayAuthenticationType": 3,
        "ClientId": {"SecretValue": "command-email"},
        "ClientSecret": provider,
        "SenderAccount": "command@keyexample.com",
        "RelayUsername": {"SecretValue": "unused"},
    }
    assert caller.send("2", body).status_code == 200
    names = [line[2:13].strip() for line in lines(mock)[1:]]
    kinds = [name for name in names if not name.replace(".", "").isdigit() and name != "header"]
    assert kinds == [
        "id", "identity", "operation", "permission", "body", "note",
        "note", "check", "secret", "secret", "token", "token", "token", "delivery", "message",
    ]  # fmt: skip
    found = facts(mock)
    assert found["identity"] == "KEYEXAMPLE\\admin"
    assert found["operation"] == "test_smtp_v2, version 2"
    assert found["permission"] == "granted: needs /system_setting/modify/; has /"
    assert "  header      authorization: Basic ***" in lines(mock)
    assert found["note"] == "unused RelayUsername: not used when RelayAuthenticationType is 3."
    assert f"  {'note':11} token_endpoint TokenEndpoint: left out; " in "\n".join(lines(mock))
    assert found["secret"] == "ClientId from the body"
    assert found["token"].startswith("discovery http://127.0.0.1:")
    assert found["delivery"].startswith(
        "smtp.keyexample.com:587, starttls, XOAUTH2: stage data, 250 2.0.0 Kept as "
    )
    assert any(line.endswith("C AUTH XOAUTH2 ***") for line in lines(mock))
    assert any("ClientSecret from PAM provider 1 {" in line for line in lines(mock))


def test_a_refusal_says_how_far_it_got(mock: MockServer, caller: Caller) -> None:
    caller.send("1", V1 | {"Port": 0})
    found = facts(mock)
    assert found["operation"] == "test_smtp_v1, version 1, deprecated"
    assert found["violation"].startswith("minimum Port: must be at least 1. /components/")
    assert found["problem"] == "0xA011000F Port: must be at least 1."
    assert re.fullmatch(r"1 violation \(\d+\.\d ms\)", found["check"])
    caller.send("2", V2, auth=("newcomer", "newcomer-password"))
    assert facts(mock)["permission"] == "refused: needs /system_setting/modify/; has none"
    caller.send("2", V2, auth=None)
    found = facts(mock)
    assert (found["identity"], found["problem"][:10]) == ("unknown", "0xA014F001")
    assert "operation" not in found


def test_a_text_harms_no_terminal_and_no_line_is_long() -> None:
    attempt = Attempt(Endpoint("relay.test", 25), "none", Dialogue())
    attempt.dialogue.add("S", "\x1b[2J\u2028" + "x" * 500)
    for _ in range(150):
        attempt.dialogue.add("C", "NOOP")
    trace = Trace("POST", "/\x07", delivery=attempt)
    shown = exchange_text(trace.exchange(400, None)).splitlines()
    assert all(line.isprintable() and len(line) <= 201 for line in shown)
    assert "S \\x1b[2J\\u2028xxx" in shown[4]
    assert shown[-1].strip() == "… 51 lines more"
    assert shown[0].startswith("POST /\\x07 -> 400")


def test_an_exchange_is_served_as_plain_text_where_that_is_asked_for(caller: Caller) -> None:
    response = caller.send("2", V2)
    url = f"/_mock/requests/{response.headers['x-mock-request-id']}"
    shown = caller.http.get(url, headers={"accept": "text/plain"})
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert shown.text.startswith("POST /KeyfactorAPI/SMTP/Test -> 200 in ")
    assert "\n  message     " in shown.text
    for accept in ("*/*", "application/json", "application/json, text/plain, */*"):
        assert caller.http.get(url, headers={"accept": accept}).json()["status"] == 200


def test_of_a_message_that_is_not_at_hand_the_id_is_told(mock: MockServer, caller: Caller) -> None:
    caller.send("2", V2)
    (exchange,), (message,) = mock.requests, mock.messages
    assert exchange_text(exchange).endswith(f"\n  message     {message.id}\n")
    with pytest.raises(AssertionError) as caught:
        mock.assert_rejected()
    assert str(caught.value).endswith(f"\n  message     {message.id}\n")

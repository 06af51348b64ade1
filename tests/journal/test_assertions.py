"""What a test sees of a mock, and how its assertions explain themselves."""

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from mockserver import MockServer
from mockserver.base.loops import Loop
from mockserver.journal.assertions import View
from mockserver.journal.state import DEFAULT, States
from mockserver.world.loading import load
from support import V1, V2, Caller, Json

OAUTH: Json = V2 | {
    "Host": "smtp.keyexample.com",
    "Port": 587,
    "UseSSL": True,
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
    "SenderAccount": "command@keyexample.com",
    "RequestHeaders": [{"Name": "X-Tenant", "Value": "t1"}],
}


def failure(check: Callable[[], object]) -> str:
    with pytest.raises(AssertionError) as caught:
        check()
    return str(caught.value)


def test_a_delivered_message_is_returned(mock: MockServer, caller: Caller) -> None:
    caller.send("2", V2 | {"TestRecipient": "first@b.test"})
    caller.send("2", OAUTH)
    message = mock.assert_delivered(
        recipient="MJONES@keyexample.com",
        sender="command@keyexample.com",
        subject="TEST",
        relay="smtp.keyexample.com:587",
        tls_mode="starttls",
        mechanism="XOAUTH2",
        username="command@keyexample.com",
        identity="KEYEXAMPLE\\admin",
        request_id=mock.requests[-1].id,
    )
    assert message is mock.messages[-1]
    assert mock.assert_delivered(mechanism=None).envelope.recipients == ("first@b.test",)
    assert mock.assert_delivered(count=2) is message
    mock.assert_not_delivered(recipient="nobody@b.test")


def test_the_nearest_message_is_shown_with_what_differs(mock: MockServer, caller: Caller) -> None:
    caller.send("2", V2 | {"Host": "other.test", "TestRecipient": "other@b.test"})
    caller.send("2", V2 | {"Host": "near.test", "TestRecipient": "near@b.test"})
    text = failure(
        lambda: mock.assert_delivered(
            recipient="near@b.test", tls_mode="starttls", mechanism="PLAIN", relay="near.test"
        )
    )
    first, nearest, *lines = text.split("\n")
    assert first == (
        "expected 1 message with recipient='near@b.test', tls_mode='starttls', mechanism='PLAIN', "
        "relay='near.test', found none of 2"
    )
    assert nearest == (
        f"the nearest: {mock.messages[1].id} <jsmith@keyexample.com> to <near@b.test> by "
        "near.test:25, none, no login: Keyfactor Command test message"
    )
    assert lines == [
        "  tls_mode: expected 'starttls', found 'none'",
        "  mechanism: expected 'PLAIN', found None",
    ]


def test_where_nothing_arrived_the_last_call_is_shown(mock: MockServer, caller: Caller) -> None:
    assert failure(mock.assert_delivered) == (
        "expected 1 message, found none of 0\nthere was no call"
    )
    caller.send("2", V2 | {"Port": 0})
    text = failure(lambda: mock.assert_delivered(count=2, subject="x"))
    assert text.startswith(
        "expected 2 messages with subject='x', found none of 0\n"
        "the last call: POST /KeyfactorAPI/SMTP/Test -> 400 in "
    )
    assert "violation   minimum Port: must be at least 1. /components/" in text


def test_too_many_messages_are_listed(mock: MockServer, caller: Caller) -> None:
    for _ in range(12):
        caller.send("2", V2)
    text = failure(lambda: mock.assert_delivered(recipient="mjones@keyexample.com"))
    assert text.startswith(
        "expected 1 message with recipient='mjones@keyexample.com', found 12 of 12\n"
    )
    assert [message.id in text for message in mock.messages] == [False] * 2 + [True] * 10
    text = failure(lambda: mock.assert_not_delivered(tls_mode="none"))
    assert text.startswith("expected no message with tls_mode='none', found 12 of 12\n")


def test_criteria_that_cannot_be_are_refused(mock: MockServer) -> None:
    with pytest.raises(ValueError, match="there is assert_not_delivered"):
        mock.assert_delivered(count=0)
    with pytest.raises(ValueError, match="no filter colour"):
        mock.assert_delivered(colour="red")  # type: ignore[call-arg]  # on purpose
    with pytest.raises(ValueError, match="no filter colour"):
        mock.assert_rejected(colour="red")  # type: ignore[call-arg]  # on purpose
    with pytest.raises(ValueError, match="no filter colour"):
        mock.assert_token_requested(colour="red")  # type: ignore[call-arg]  # on purpose


def test_a_value_that_cannot_be_is_refused_with_the_nearest(mock: MockServer) -> None:
    checks: list[tuple[Callable[[], object], str]] = [
        (lambda: mock.assert_delivered(tls_mode="startls"), "tls_mode: 'startls' .* starttls;"),
        (lambda: mock.assert_not_delivered(mechanism="plian"), "mechanism: 'plian' .* PLAIN;"),
        (lambda: mock.wait_for_message(relay="x.test:y"), "relay: 'x.test:y' .* HOST:PORT"),
        (lambda: mock.assert_rejected(stage="rcptt"), "stage: 'rcptt' .* is rcpt;"),
        (lambda: mock.assert_rejected(status=40), "status: '40' .* from 100 to 599"),
        (lambda: mock.namespace("x").assert_rejected(operation="smtp_test"), "test_smtp_v1, "),
        (lambda: mock.assert_token_requested(kind="tokens"), "kind: 'tokens' .* is token;"),
        (lambda: mock.assert_token_requested(status=1), "status: '1' .* from 100 to 599"),
        (lambda: mock.assert_rejected(feild="x"), "field, rule; the nearest is field"),  # type: ignore[call-arg]  # on purpose
    ]
    for check, says in checks:
        with pytest.raises(ValueError, match=says):
            check()
    mock.namespace("x").drop()


def test_criteria_are_taken_literally(mock: MockServer, caller: Caller) -> None:
    caller.send("2", V2 | {"TestRecipient": "user+tag@b.test"})
    mock.assert_delivered(recipient="user+tag@B.test.", subject="Keyfactor Command")
    mock.assert_not_delivered(recipient="user%2Btag@b.test")
    mock.assert_not_delivered(subject="Keyfactor+Command")


def test_a_rejection_is_found_by_each_of_its_facts(mock: MockServer, caller: Caller) -> None:
    login = {"SecretValue": "u", "Extra": "x"}
    body = V2 | {"Port": 0, "RelayUsername": login, "RelayAuthenticationType": 2}
    caller.send("2", body, headers={"x-keyfactor-requested-with": "nobody"})
    exchange = mock.assert_rejected(
        field="Port", rule="minimum", status=400, version="2", code="0xA0110008",
        operation="TEST_SMTP_V2", identity="keyexample\\admin", path="/keyfactorapi/smtp/test",
    )  # fmt: skip
    assert exchange is mock.requests[-1]
    assert mock.assert_rejected(field="/Port") is exchange
    assert mock.assert_rejected(field="RelayPassword", rule="required") is exchange
    assert mock.assert_rejected(field="RelayUsername/Extra") is exchange
    assert mock.assert_rejected(field="x-keyfactor-requested-with", rule="pattern") is exchange
    assert mock.assert_rejected(field="header x-keyfactor-requested-with") is exchange
    assert mock.assert_rejected(rule="additionalProperties") is exchange
    assert mock.assert_rejected() is exchange


def test_a_rejection_by_a_relay_or_a_provider_is_found_too(
    mock: MockServer, caller: Caller
) -> None:
    caller.send("2", V2 | {"Host": "denied.test"})
    sealed = {"Provider": "91", "Parameters": {"SecretName": "x"}}
    caller.send(
        "2",
        V2
        | {"RelayAuthenticationType": 2, "RelayUsername": sealed}
        | {"RelayPassword": {"SecretValue": "x"}},
    )
    caller.send("2", V2, auth=("admin", "wrong"))
    relay, provider, login = mock.requests
    assert mock.assert_rejected(stage="rcpt") is relay
    assert mock.assert_rejected(field="RelayUsername") is provider
    assert mock.assert_rejected(status=401, identity=None) is login


def test_field_and_rule_belong_to_one_violation(mock: MockServer, caller: Caller) -> None:
    caller.send("2", V2 | {"Port": 0, "Host": 1})
    text = failure(lambda: mock.assert_rejected(field="Host", rule="minimum", version="1"))
    assert text.startswith(
        "expected a refused call with field='Host', rule='minimum', version='1', found none of 1\n"
        "the nearest: POST /KeyfactorAPI/SMTP/Test -> 400"
    )
    assert text.endswith(
        "  version: expected '1', found '2'\n"
        "  field: expected 'Host', found 'Host' or 'Port'\n"
        "  rule: expected 'minimum', found 'type' or 'minimum'"
    )
    text = failure(lambda: mock.assert_rejected(field="SenderName"))
    assert text.endswith("  field: expected 'SenderName', found 'Host' or 'Port'")
    caller.send("1", V1 | {"Host": "denied.test"})
    text = failure(lambda: mock.assert_rejected(rule="minimum", version="1"))
    assert text.endswith("  rule: expected 'minimum', found none")


def test_without_a_rejection_the_last_call_is_shown(mock: MockServer, caller: Caller) -> None:
    caller.send("2", V2)
    text = failure(lambda: mock.assert_rejected(field="Host"))
    assert text.startswith("expected a refused call with field='Host', found none of 0\n")
    assert "the last call: POST /KeyfactorAPI/SMTP/Test -> 200" in text


def test_a_token_request_is_found_by_its_facts(mock: MockServer, caller: Caller) -> None:
    caller.send("2", OAUTH | {"Scope": "smtp.send", "Audience": "smtp.keyexample.com"})
    request = mock.assert_token_requested(
        scope="smtp.send",
        audience="smtp.keyexample.com",
        headers={"x-tenant": "t1"},
        url=mock.token_url,
        status=200,
    )
    assert request.kind == "token"
    assert ("Content-Type", "application/x-www-form-urlencoded") in request.headers
    assert mock.assert_token_requested(headers=[("x-Tenant", "t1")]) is request
    assert mock.assert_token_requested(kind="jwks", scope=None).url.endswith("/jwks")


def test_the_nearest_token_request_is_shown(mock: MockServer, caller: Caller) -> None:
    caller.send("2", OAUTH)
    text = failure(lambda: mock.assert_token_requested(scope="a", headers={"X-Tenant": "t2"}))
    assert text.startswith(
        "expected a token request with kind='token', scope='a', headers={'X-Tenant': 't2'}, "
        "found none of 3\nthe nearest: TokenRequest(url='http"
    )
    assert "  scope: expected 'a', found None\n  headers: expected {'X-Tenant': 't2'}, " in text
    assert "'X-Tenant': 't1'" in text.partition("  headers:")[2]
    mock.reset()
    text = failure(lambda: mock.assert_token_requested(scope="a"))
    assert text.endswith("found none of 0\nthere was no call")


def test_what_no_assertion_asked_for_is_unexpected(mock: MockServer, caller: Caller) -> None:
    caller.send("2", V2)
    caller.send("2", V2 | {"Port": 0})
    caller.send("2", V2 | {"Host": ""})
    assert mock.unexpected == mock.requests[1:]
    mock.assert_rejected(field="Port")
    assert mock.unexpected == mock.requests[2:]
    mock.reset()
    assert mock.unexpected == ()


def test_what_is_kept_cannot_be_changed(mock: MockServer, caller: Caller) -> None:
    caller.send("2", OAUTH)
    (exchange,), (message,) = mock.requests, mock.messages
    for value in (exchange, exchange.request, exchange.delivery, exchange.secrets[0], message):
        name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]  # a dataclass
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    exchange.request.body["Host"] = "changed"
    assert exchange.request.body["Host"] == "smtp.keyexample.com"
    assert hash((exchange.violations, exchange.token_requests, exchange.steps, message.dialogue))


def test_steps_have_the_milliseconds_since_the_call_came(mock: MockServer, caller: Caller) -> None:
    slow = {"delay": 0.05}
    mock.patch_world({"relays": {"slow.test": slow}, "pam_providers": {"92": slow}})
    caller.send("2", OAUTH | {"Host": "slow.test", "RelayAuthenticationType": 0})
    caller.send(
        "2",
        OAUTH
        | {
            "ClientId": {"Provider": "92", "Parameters": {"SecretName": "EmailSenderID"}},
            "TokenEndpoint": "https://idp-garbage.test/token",
        },
    )
    sent, refused = mock.requests
    assert [step.name for step in sent.steps] == ["check", "delivery"]
    assert sent.delivery is not None
    (check, delivery), ms = sent.steps, sent.delivery.dialogue[0][0]
    assert check.ms < check.ms + check.duration_ms <= delivery.ms
    assert ms - delivery.ms > 45, "the relay waits before it greets"
    assert delivery.ms < ms < delivery.ms + delivery.duration_ms <= sent.duration_ms
    assert [step.name for step in refused.steps] == [
        "check",
        "secret ClientId",
        "token request discovery",
        "token request jwks",
        "token request token",
    ]
    assert refused.steps[1].duration_ms > 45


def test_a_mock_in_a_thread_is_awaited_on_any_loop(mock: MockServer, caller: Caller) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(mock.next_message(recipient="mjones@keyexample.com"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await asyncio.to_thread(caller.send, "2", V2)
        assert await waiting == mock.messages[0]
        with pytest.raises(TimeoutError, match=r"the nearest: .* tls_mode: expected 'implicit', "):
            raise_on_one_line(await asyncio.gather(soon(), return_exceptions=True))
        cancelled = asyncio.create_task(mock.next_message(subject="never", timeout=60))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    async def soon() -> object:
        return await mock.next_message(tls_mode="implicit", timeout=0.01)

    def raise_on_one_line(results: tuple[object]) -> None:
        (error,) = results
        assert isinstance(error, TimeoutError)
        raise TimeoutError(str(error).replace("\n", " "))

    asyncio.run(scenario())


def test_a_view_needs_a_memory_and_no_server() -> None:
    view = View(States(load()), DEFAULT, (), Loop())
    assert (view.messages, view.requests, view.unexpected) == ((), (), ())
    view.patch_world({"lenient": True})
    lenient = [view.world.lenient]
    view.reset()
    assert [*lenient, view.world.lenient] == [True, False]
    with pytest.raises(RuntimeError, match="runs in no thread"):
        view.wait_for_message()
    with pytest.raises(TimeoutError, match="expected a message within 0 s, found none of 0"):
        asyncio.run(view.next_message(timeout=0))

"""Every fault of a relay by its name, end to end, in both versions."""

import re
import smtplib
import time

import pytest

from mockserver.control import recipes
from mockserver.mail.part import _FAULTS as FAULTS_OF_A_SINK
from mockserver.world import loading as world
from support import ERRORS, VALID, Caller, Json, refusal, rule_of_relay

TLS: Json = {"Port": 587, "UseSSL": True}
LOGIN: dict[str, Json] = {
    "1": {"RelayAuthenticationType": 2, "RelayUsername": "a@b.test", "RelayPassword": "p"},
    "2": {
        "RelayAuthenticationType": 2,
        "RelayUsername": {"SecretValue": "a@b.test"},
        "RelayPassword": {"SecretValue": "p"},
    },
}

# name: (what the request has beside its host, stage, what the message says, the relay's reply)
FAULTS: dict[str, tuple[Json, str, str, str | None]] = {
    "unresolvable.test": ({}, "resolve", "cannot be resolved", None),
    "refused.test": ({}, "connect", "refused the connection", None),
    "timeout.test": ({}, "greeting", "no answer within 2 seconds", None),
    "greeting421.test": ({}, "greeting", "", "421 4.3.2 Service not available"),
    "ehlo-refused.test": ({}, "ehlo", "", "502 5.5.1 Command not implemented"),
    "notls.test": (TLS, "starttls", "does not offer STARTTLS", None),
    "starttls-refused.test": (TLS, "starttls", "", "454 4.7.0 TLS not available"),
    "badcert-expired.test": (TLS, "tls", "has expired", None),
    "badcert-name.test": (TLS, "tls", "is for another host name", None),
    "badcert-untrusted.test": (TLS, "tls", "is not trusted", None),
    "noauth.test": ({"login": True}, "auth", "AUTH", None),
    "auth-required.test": ({}, "mail", "", "530 5.7.0 Authentication required"),
    "tls-required.test": ({"login": True}, "auth", "AUTH", None),
    "badlogin.test": (
        {"login": True}, "auth", "", "535 5.7.8 Authentication credentials invalid",
    ),
    "sender-denied.test": (
        {}, "mail", "", "550 5.7.60 Client does not have permissions to send as this sender",
    ),
    "no-smtputf8.test": ({"TestRecipient": "jörg@b.test"}, "mail", "SMTPUTF8", None),
    "denied.test": ({}, "rcpt", "", "550 5.7.1 Relaying denied"),
    "unknown-user.test": ({}, "rcpt", "", "550 5.1.1 User unknown"),
    "greylisted.test": ({}, "rcpt", "", "451 4.7.1 Greylisted"),
    "full.test": ({}, "rcpt", "", "452 4.3.1 Insufficient system storage"),
    "toolarge.test": ({}, "data", "", "552 5.3.4 Message too big for system"),
    "rejected.test": ({}, "data", "", "554 5.6.0 Message rejected"),
    "dropped.test": ({}, "data", "closed the connection", None),
}  # fmt: skip
NOT_REFUSED = {"slow.test", "oauthbearer.test", "helo-only.test"}


def body_of(version: str, host: str, changes: Json) -> Json:
    login = LOGIN[version] if changes.get("login") else {}
    rest = {name: value for name, value in changes.items() if name != "login"}
    return VALID[version] | login | rest | {"Host": host}


DESCRIBED = [name for name, relay in world.load().relays.items() if relay.description]
KINDS: list[str] = rule_of_relay("fault")["enum"]


def test_the_default_world_has_these_faults() -> None:
    assert FAULTS.keys() | NOT_REFUSED <= set(DESCRIBED)


@pytest.mark.parametrize("host", [name for name in DESCRIBED if name not in FAULTS])
def test_any_other_relay_that_is_described_delivers_or_says_at_which_stage_it_failed(
    caller: Caller, host: str
) -> None:
    caller.mock.patch_world({"relays": {host: {"delay": 0, "timeout": 1}}})
    response = caller.send("2", recipes.trial(world.load(), "relays", host))
    stage = caller.exchange(response)["delivery"]["stage"]
    if response.status_code != 200:
        assert response.json()["ErrorCode"] == ERRORS[f"mail_{stage}"].code
    assert len(caller.messages()) == (response.status_code == 200)


def test_the_schema_and_the_sink_know_the_same_faults() -> None:
    assert set(FAULTS_OF_A_SINK) == set(KINDS)
    assert {"unresolvable", "refused", "timeout", "dropped"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_any_kind_is_met_by_a_call_and_by_a_client_from_outside(
    caller: Caller, kind: str
) -> None:
    relay = {"fault": kind, "timeout": 0.3, "idle_timeout": 0.3}
    caller.mock.patch_world({"relays": {"bad.test": relay, "*": relay}})
    response = caller.send("2", body_of("2", "bad.test", {}))
    assert refusal(response)[0] == 400
    port = caller.mock.port("smtp")
    assert port is not None
    with pytest.raises((smtplib.SMTPException, OSError)):  # noqa: SIM117  # wherever it comes
        with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=5) as client:
            client.sendmail("a@b.test", ["c@d.test"], b"Subject: x\r\n\r\nx\r\n")
    assert caller.messages() == []


def test_a_code_that_a_description_names_is_in_the_answer(caller: Caller) -> None:
    relays = world.load().relays
    codes = {name: re.findall(r"\b[245]\d\d\b", relays[name].description) for name in relays}
    assert codes["auth-required.test"] == ["530"]
    for name in filter(codes.get, codes):
        _, message = refusal(caller.send("2", body_of("2", name, FAULTS.get(name, ({},))[0])))
        assert all(f" {code} " in message for code in codes[name]), name


@pytest.mark.parametrize("version", VALID)
def test_a_relay_without_ehlo_takes_plain_mail_only(caller: Caller, version: str) -> None:
    response = caller.send(version, body_of(version, "helo-only.test", {}))
    assert response.status_code == 200
    (message,) = caller.messages()
    assert ["C", "HELO keyfactor-command.test"] in message["dialogue"]
    for changes in (TLS, {"login": True}):
        response = caller.send(version, body_of(version, "helo-only.test", changes))
        assert "at stage ehlo: 502 5.5.1 EHLO not implemented" in refusal(response)[1]


@pytest.mark.parametrize("version", VALID)
@pytest.mark.parametrize("host", FAULTS)
def test_a_fault_is_refused_with_its_stage_and_reply(
    caller: Caller, version: str, host: str
) -> None:
    changes, stage, text, reply = FAULTS[host]
    response = caller.send(version, body_of(version, host, changes))
    status, message = refusal(response)
    assert status == 400
    assert response.json()["ErrorCode"] == ERRORS[f"mail_{stage}"].code
    for part in (host, f"stage {stage}", text, reply or ""):
        assert part in message
    exchange = caller.exchange(response)
    delivery = exchange["delivery"]
    assert (delivery["stage"], delivery["reply"]) == (stage, reply)
    assert exchange["problem"]["message"] == message
    if reply is not None:
        assert ["S", reply] in [line[1:] for line in delivery["dialogue"]]
    assert caller.messages() == []


def test_every_stage_has_an_error_code_of_its_own() -> None:
    codes = {ERRORS[f"mail_{stage}"].code for _, stage, _, _ in FAULTS.values()}
    assert len(codes) == len({stage for _, stage, _, _ in FAULTS.values()}) == 10


@pytest.mark.parametrize("version", VALID)
def test_greylisting_ends_after_the_first_try_until_the_reset(caller: Caller, version: str) -> None:
    for _ in range(2):
        statuses = [
            caller.send(version, body_of(version, "greylisted.test", {})).status_code
            for _ in range(3)
        ]
        assert statuses == [400, 200, 200]
        caller.mock.reset()


def test_a_slow_relay_takes_its_time_at_each_stage(caller: Caller) -> None:
    # The entry of the default world takes two seconds; the same takes less long here.
    assert world.load().relays["slow.test"].delay == 2
    caller.mock.patch_world({"relays": {"slow.test": {"delay": 0.1}}})
    started = time.monotonic()
    response = caller.send("2", body_of("2", "slow.test", {}))
    assert response.status_code == 200
    assert 0.5 <= time.monotonic() - started < 2
    times = [moment for moment, *_ in caller.exchange(response)["delivery"]["dialogue"]]
    assert times == sorted(times)
    assert times[-1] >= 500


@pytest.mark.parametrize("version", VALID)
@pytest.mark.parametrize("tls", [{}, TLS], ids=["plain", "starttls"])
def test_an_active_directory_user_logs_in(caller: Caller, version: str, tls: Json) -> None:
    logins: dict[str, Json] = {
        "1": {"RelayUsername": r"KEYEXAMPLE\mail", "RelayPassword": "MySuperSecretPassword"},
        "2": {
            "RelayUsername": {"SecretValue": r"KEYEXAMPLE\mail"},
            "RelayPassword": {"SecretValue": "MySuperSecretPassword"},
        },
    }
    body = VALID[version] | tls | logins[version] | {
        "Host": "exchange.keyexample.com",
        "RelayAuthenticationType": 2,
        "SenderAccount": "mail@keyexample.com",
    }  # fmt: skip
    assert caller.send(version, body).status_code == 200
    (message,) = caller.messages()
    # This relay offers LOGIN and no PLAIN.
    assert (message["mechanism"], message["username"]) == ("LOGIN", r"KEYEXAMPLE\mail")
    status, text = refusal(caller.send(version, body | {"SenderAccount": "ceo@other.test"}))
    assert (status, "550 5.7.60" in text) == (400, True)
    status, text = refusal(caller.send(version, body | {"RelayAuthenticationType": 0}))
    assert (status, "530 5.7.0" in text) == (400, True)


def test_a_login_is_refused_before_tls_where_the_relay_says_so(caller: Caller) -> None:
    over_tls = caller.send("2", body_of("2", "tls-required.test", {"login": True} | TLS))
    assert over_tls.status_code == 200
    plain = caller.send("2", body_of("2", "tls-required.test", {"login": True}))
    lines = [line for _, _, line in caller.exchange(plain)["delivery"]["dialogue"]]
    assert not any("AUTH" in line for line in lines)


@pytest.mark.parametrize(
    ("port", "ssl", "fault", "stage"),
    [
        (465, False, {"implicit_ports": []}, None),
        (465, False, {}, "tls"),
        (465, False, {"fault": "timeout", "timeout": 0.1}, "tls"),
        (465, False, {"fault": "refused"}, "connect"),
        (2465, True, {"implicit_ports": [465, 2465]}, "tls"),
        (587, True, {"starttls": False}, "starttls"),
        (465, True, {"certificate": "untrusted"}, "tls"),
        (25, True, {"replies": {"starttls": "454 4.7.0 Not now"}}, "starttls"),
    ],
)
def test_tls_is_never_given_up_for_plain_text(
    caller: Caller, port: int, ssl: bool, fault: Json, stage: str | None
) -> None:
    caller.mock.patch_world({"relays": {"mismatch.test": fault}})
    response = caller.send("2", VALID["2"] | {"Host": "mismatch.test", "Port": port, "UseSSL": ssl})
    delivery = caller.exchange(response)["delivery"]
    if stage is None:
        assert (response.status_code, delivery["tls_mode"]) == (200, "none")
    else:
        assert (response.status_code, delivery["stage"]) == (400, stage)
        assert not any(line.startswith("MAIL") for _, _, line in delivery["dialogue"])

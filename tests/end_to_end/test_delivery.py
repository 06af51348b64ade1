"""The mail, end to end: version x authentication type x TLS mode, over real HTTP and SMTP."""

import asyncio
import json
import ssl

import httpx2
import pytest

from mockserver import MockServer
from mockserver.base.certificates import Authority
from mockserver.base.problems import Problem
from mockserver.contract.editions import load_editions
from mockserver.journal.state import States
from mockserver.journal.trace import Trace
from mockserver.mail.sink import Sink
from mockserver.oauth.idp import IdentityProvider
from mockserver.product.access import Identity
from mockserver.product.keyfactor import Call, KeyfactorCommand
from mockserver.world.loading import load
from support import ADMIN, NO_TOKENS, PATH, V1, V2, VALID, Caller, Json

TLS: dict[str, Json] = {
    "none": {"Port": 25, "UseSSL": False},
    "starttls": {"Port": 587, "UseSSL": True},
    "implicit": {"Port": 465, "UseSSL": True},
}
LOGIN: dict[str, Json] = {
    "1": {
        "RelayAuthenticationType": 2,
        "RelayUsername": "command@keyexample.com",
        "RelayPassword": "MySuperSecretPassword",
        "SenderAccount": "command@keyexample.com",
    },
    "2": {
        "RelayAuthenticationType": 2,
        "RelayUsername": {"SecretValue": "command@keyexample.com"},
        "RelayPassword": {"SecretValue": "MySuperSecretPassword"},
        "SenderAccount": "command@keyexample.com",
    },
}


@pytest.mark.parametrize("tls_mode", TLS)
@pytest.mark.parametrize("login", [False, True], ids=["anonymous", "basic"])
@pytest.mark.parametrize("version", VALID)
def test_the_mail_arrives(caller: Caller, version: str, login: bool, tls_mode: str) -> None:
    body = VALID[version] | TLS[tls_mode] | (LOGIN[version] if login else {})
    response = caller.send(version, body)
    assert response.status_code == 200
    (message,) = caller.messages()
    assert message["tls_mode"] == tls_mode
    assert (message["tls_version"] or "").startswith("" if tls_mode == "none" else "TLSv1.")
    assert (message["mechanism"], message["username"]) == (
        ("PLAIN", "command@keyexample.com") if login else (None, None)
    )
    assert message["envelope"] == {
        "sender": body["SenderAccount"],
        "recipients": [body["TestRecipient"]],
    }
    exchange = caller.exchange(response)
    assert exchange["message_id"] == message["id"]
    assert (exchange["id"], exchange["identity"]) == (message["request_id"], message["identity"])
    delivery = exchange["delivery"]
    assert (delivery["stage"], delivery["mechanism"]) == ("data", message["mechanism"])
    assert [line for _, _, line in delivery["dialogue"]][: len(message["dialogue"])] == [
        line for _, line in message["dialogue"]
    ]


def test_a_relay_that_speaks_tls_from_the_first_octet_greets_nobody_in_plain_text(
    caller: Caller,
) -> None:
    response = caller.send("2", V2 | TLS["implicit"] | {"UseSSL": False})
    assert response.status_code == 400
    delivery = caller.exchange(response)["delivery"]
    assert (delivery["stage"], delivery["dialogue"]) == ("tls", [])


@pytest.mark.parametrize("version", VALID)
def test_it_works_over_https_too(mock: MockServer, version: str) -> None:
    trust = ssl.create_default_context(cadata=mock.ca_pem.decode())
    response = httpx2.post(
        f"{mock.https_url}{PATH}",
        content=json.dumps(VALID[version]),
        auth=ADMIN,
        verify=trust,
        headers={
            "content-type": "application/json",
            "x-keyfactor-requested-with": "XMLHttpRequest",
            "x-keyfactor-api-version": version,
        },
    )
    assert response.status_code == 200
    assert len(mock.messages) == 1


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("Relay.Test.", "relay.test"),
        ("bücher.example.", "xn--bcher-kva.example"),
        ("Mail_1.test", "mail_1.test"),
        ("_x.bücher.example", "_x.xn--bcher-kva.example"),
        ("ab--cd." * 35, ("ab--cd." * 35)[:-1]),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "[::1]"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
    ],
)
@pytest.mark.parametrize("tls_mode", TLS)
def test_hosts_of_every_form_have_a_certificate(
    caller: Caller, host: str, shown: str, tls_mode: str
) -> None:
    assert caller.send("2", V2 | TLS[tls_mode] | {"Host": host}).status_code == 200
    (message,) = caller.messages()
    assert message["relay"]["host"] == shown


def test_a_version_1_answer_has_no_password(caller: Caller) -> None:
    response = caller.send("1", V1 | LOGIN["1"])
    assert response.json()["RelayUsername"] == "command@keyexample.com"
    assert "MySuperSecretPassword" not in response.text


def test_a_name_that_idna_does_not_know_cannot_be_resolved() -> None:
    """No document lets such a name pass, but its IDNA is that of another library."""
    authority = Authority()
    command = KeyfactorCommand(
        Sink(authority, NO_TOKENS), authority, IdentityProvider(), lambda: ""
    )
    state, trace, contract = States(load()).get(), Trace(), load_editions().newest.contract
    identity = Identity("KEYEXAMPLE\\admin", ())
    operation = contract.operation("/SMTP/Test", "POST", "2")
    body = operation.filled(V2 | {"Host": "\u00fc" * 60})
    call = Call(state, state.world, identity, {}, body, trace, contract)
    with pytest.raises(Problem, match="failed at stage resolve: its name cannot be resolved"):
        asyncio.run(command.test_smtp_v2(call))
    assert trace.delivery
    assert trace.delivery.stage == "resolve"

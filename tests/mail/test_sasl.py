"""What the client's encodings say, the sink reads: whoever logs in is who the sink kept.

The mechanisms come from the table and the schema, so that one more of them is tested by itself.
"""

import asyncio
import smtplib
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import cast

import httpx2
import pytest
from aiosmtplib.auth import auth_login_encode, auth_plain_encode, auth_xoauth2_encode
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mockserver import MockServer
from mockserver.base.certificates import Authority
from mockserver.base.masking import Secret
from mockserver.base.sasl import MECHANISMS, _Mechanism
from mockserver.control import recipes
from mockserver.journal.state import States
from mockserver.journal.trace import Attempt
from mockserver.mail.client import deliver
from mockserver.mail.sink import Sink
from mockserver.mail.submission import Login, Submission, TlsMode
from mockserver.product.keyfactor import BASIC, OAUTH
from mockserver.world.loading import load
from mockserver.world.model import Relay
from support import NO_TOKENS, Caller, part_of, rule_of_relay

# One example is one connection.
few = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def names(without: str) -> st.SearchStrategy[str]:
    wanted = st.characters(exclude_categories=["Cs"], exclude_characters=without)
    return st.text(wanted, min_size=1, max_size=40)


# A world has no user names with control characters, and no masks as passwords.
ACCOUNTS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="*"), min_size=1, max_size=40
)


ODD = ("=2C,=3D", "a=b,c", "KEYEXAMPLE\\mail", "jörg@bücher.example", '"a b"@x', "*", "=", "\r\n")


def username(mock: MockServer, mechanism: str, *responses: bytes) -> str | None:
    """Log in with these responses, send a mail, and tell whom the sink took for its sender."""
    mock.reset()
    port = mock.port("smtp")
    assert port is not None
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test") as client:
        client.ehlo()
        reply = client.docmd("AUTH", f"{mechanism} {responses[0].decode()}")
        for response in responses[1:]:
            assert reply[0] == 334
            reply = client.docmd(response.decode())
        assert reply[0] == 235, reply
        client.sendmail("a@b.test", ["c@d.test"], b"Subject: x\r\n\r\n.\r\n")
    (message,) = mock.messages
    assert message.mechanism == mechanism
    return message.username


@pytest.fixture(scope="session")
def token(session_mock: MockServer) -> str:
    form = {"grant_type": "client_credentials"}
    client = ("command-email", "MySuperSecretClientSecret")
    answer = httpx2.post(session_mock.token_url, data=form, auth=client).json()
    return str(answer["access_token"])


def each_odd(test: Callable[..., None]) -> Callable[..., None]:
    for name in ODD:
        test = example(name=name)(test)
    return test


@few
@each_odd
@given(name=names("\0"))
def test_plain_and_login_carry_any_name(session_mock: MockServer, name: str) -> None:
    assert username(session_mock, "PLAIN", auth_plain_encode(name, "pässword")) == name
    assert username(session_mock, "LOGIN", *auth_login_encode(name, "pässword")) == name


@few
@each_odd
@given(name=names("\x01"))
def test_xoauth2_carries_any_name(session_mock: MockServer, token: str, name: str) -> None:
    response = auth_xoauth2_encode(name, token)
    assert username(session_mock, "XOAUTH2", response) == name


@few
@each_odd
@given(name=names("\x01"))
def test_oauthbearer_carries_any_name(session_mock: MockServer, token: str, name: str) -> None:
    (response,) = MECHANISMS["OAUTHBEARER"].write(name, token, "relay.test", 587)
    assert username(session_mock, "OAUTHBEARER", b64encode(response.encode())) == name


@few
@given(first=ACCOUNTS, second=ACCOUNTS)
def test_a_password_in_the_place_of_another_is_refused(
    session_mock: MockServer, first: str, second: str
) -> None:
    session_mock.reset()
    relays = {"*": {"accounts": {first: {"password": second}}}}
    session_mock.patch_world({"relays": relays})
    port = session_mock.port("smtp")
    assert port is not None
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test") as client:
        client.ehlo()
        wrong = b64encode(f"\0{first}\0{second}x".encode()).decode()
        assert client.docmd("AUTH", f"PLAIN {wrong}")[0] == 535
        right = b64encode(f"\0{first}\0{second}".encode()).decode()
        assert client.docmd("AUTH", f"PLAIN {right}")[0] == 235
    session_mock.reset()


def test_the_schema_and_the_table_know_the_same_mechanisms() -> None:
    rule = rule_of_relay("mechanisms")
    assert rule["items"]["enum"] == rule["default"] == list(MECHANISMS)
    assert {"PLAIN", "XOAUTH2"} <= MECHANISMS.keys()


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_call_logs_in_by_each_mechanism_and_shows_no_secret(caller: Caller, name: str) -> None:
    patch = {"relays": {"one.test": {"mechanisms": [name]}}}
    caller.mock.patch_world(patch)
    body = recipes.trial(load(patch), "relays", "one.test") | {
        "RelayAuthenticationType": OAUTH if MECHANISMS[name].by_token else BASIC,
        "RelayUsername": {"SecretValue": "user"},
        "RelayPassword": {"SecretValue": "hunter2-hunter2"},
        "ClientId": {"SecretValue": "command-email"},
        "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
    }
    assert caller.send("2", body).status_code == 200
    (message,) = caller.messages()
    assert message["mechanism"] == name
    assert message["username"] == (body["SenderAccount"] if MECHANISMS[name].by_token else "user")
    assert ["C", f"AUTH {name} ***"] in message["dialogue"]
    masked = [line for who, line in message["dialogue"] if (who, line) == ("C", "***")]
    assert len(masked) == len(MECHANISMS[name].prompts) - 1
    assert "hunter2" not in str(message)


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_mechanism_reads_what_it_writes(name: str) -> None:
    mechanism = MECHANISMS[name]
    responses = mechanism.write("a,b=2C@d.test", "proof", "relay.test", 587)
    assert len(responses) == len(mechanism.prompts)
    octets = [response.encode() for response in responses]
    assert mechanism.read(*octets) == (b"a,b=2C@d.test", b"proof")


def test_one_entry_makes_a_mechanism_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    three = _Mechanism(
        lambda name, password, host, _: (host, name, password),
        lambda _, name, password: (name, password),
        prompts=(b"Host?", b"Name?", b"Password?"),
    )
    monkeypatch.setitem(cast("dict[str, _Mechanism]", MECHANISMS), "THREE", three)
    state, authority = States(load()).get(), Authority()
    part = part_of(state)._replace(relay=Relay(mechanisms=("THREE",)))
    login = Login("me", Secret("pw"))
    what = Submission("relay.test", 25, TlsMode.NONE, "n", "a@b.test", "c@d.test", login)
    delivery = Attempt(part.endpoint, "none", part.session.dialogue)

    async def send() -> None:
        sink = Sink(authority, NO_TOKENS)
        await deliver(what, partial(sink.connect, part), authority.client_context, delivery)
        await sink.close()

    asyncio.run(send())
    (message,) = state.journal.messages
    assert (message.mechanism, message.username, delivery.mechanism) == ("THREE", "me", "THREE")

"""What the client's encodings say, the sink reads: whoever logs in is who the sink kept."""

import smtplib
from base64 import b64encode
from collections.abc import Callable

import httpx2
import pytest
from aiosmtplib.auth import auth_login_encode, auth_plain_encode, auth_xoauth2_encode
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mockserver import MockServer
from mockserver.base.masking import Secret
from mockserver.mail.client import oauthbearer_encode
from mockserver.mail.submission import Submission, TlsMode, TokenLogin

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
    submission = Submission("relay.test", 587, TlsMode.NONE, "n", "a@b.test", "c@d.test")
    login = TokenLogin(name, Secret(token))
    assert username(session_mock, "OAUTHBEARER", oauthbearer_encode(submission, login)) == name


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

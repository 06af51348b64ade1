"""OAuth end to end: Bearer callers, type 3 mail, tokens at the sink and at stock clients."""

import asyncio
import base64
import json
import shutil
import smtplib
import socket
import ssl
import subprocess
from base64 import b64decode
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiosmtpd.handlers import Sink as Discard
from aiosmtpd.smtp import SMTP, AuthResult

from mockserver import MockServer
from mockserver.base.masking import Secret
from mockserver.base.problems import Problem
from mockserver.base.sasl import MECHANISMS
from mockserver.journal.trace import Attempt, Dialogue, Endpoint
from mockserver.mail.client import deliver
from mockserver.mail.submission import Login, Submission, TlsMode
from mockserver.oauth import client as oauth
from mockserver.oauth.idp import IdentityProvider
from support import V2, Caller, Json, refusal

MAILBOX = "command@keyexample.com"
HOST = "smtp.keyexample.com"
OAUTH: Json = V2 | {
    "Host": HOST,
    "Port": 587,
    "UseSSL": True,
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
    "SenderAccount": MAILBOX,
}
TLS: dict[str, Json] = {
    "none": {"Port": 25, "UseSSL": False},
    "starttls": {"Port": 587, "UseSSL": True},
    "implicit": {"Port": 465, "UseSSL": True},
}
SOURCES: dict[str, Json] = {
    "literal": {},
    "local": {
        "ClientId": {"Provider": "1", "Parameters": {"SecretName": "EmailSenderID"}},
        "ClientSecret": {"Provider": "1", "Parameters": {"SecretName": "EmailSenderClientSecret"}},
    },
    "cyberark": {
        "ClientId": {
            "Provider": "2",
            "Parameters": {"Folder": "MyFolderName", "Object": "MyEmailClientID"},
        },
        "ClientSecret": {
            "Provider": "2",
            "Parameters": {"Folder": "MyFolderName", "Object": "MyEmailUserClientSecret"},
        },
    },
    "delinea": {
        "ClientId": {"Provider": "3", "Parameters": {"SecretId": "MyEmailUserClientId"}},
        "ClientSecret": {"Provider": "3", "Parameters": {"SecretId": "MyEmailUserClientSecretId"}},
    },
}


def token_of(mock: MockServer, client: str = "command-email", **asked: str) -> str:
    secrets = {"command-email": "MySuperSecretClientSecret", "api-client": "api-client-secret"}
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secrets[client],
    }
    token: str = httpx2.post(mock.token_url, data=form | asked).json()["access_token"]
    return token


def bearer(token: str) -> dict[str, str | None]:
    return {"authorization": f"Bearer {token}"}


# Mail with a token


@pytest.mark.parametrize(
    ("tls_mode", "mechanism", "source"),
    list(product(TLS, ["XOAUTH2", "OAUTHBEARER"], SOURCES)),
    ids="-".join,
)
def test_the_mail_arrives_with_a_token(
    caller: Caller, tls_mode: str, mechanism: str, source: str
) -> None:
    host = {"XOAUTH2": "relay.test", "OAUTHBEARER": "oauthbearer.test"}[mechanism]
    body = OAUTH | {"Host": host} | TLS[tls_mode] | SOURCES[source]
    response = caller.send("2", body)
    assert (response.status_code, response.content) == (200, b"")
    (message,) = caller.messages()
    assert (message["tls_mode"], message["mechanism"]) == (tls_mode, mechanism)
    assert (message["username"], message["envelope"]["sender"]) == (MAILBOX, MAILBOX)
    exchange = caller.exchange(response)
    assert (exchange["delivery"]["stage"], exchange["delivery"]["mechanism"]) == ("data", mechanism)
    assert [secret["field"] for secret in exchange["secrets"]] == ["ClientId", "ClientSecret"]
    assert [request["status"] for request in exchange["token_requests"]] == [200, 200, 200]


def test_the_example_of_the_document_works(caller: Caller) -> None:
    document = caller.http.get("/_mock/openapi/v2.json").json()
    content = document["paths"]["/SMTP/Test"]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"].values()
    bodies = [
        example["value"]
        for example in examples
        if example["value"].get("RelayAuthenticationType") == 3
    ]
    assert bodies
    assert [caller.send("2", body).status_code for body in bodies] == [200] * len(bodies)


def test_all_three_requests_stand_in_the_trace_with_the_request_headers(caller: Caller) -> None:
    changes: Json = {
        "TokenEndpoint": "https://login.keyexample.com:8443/tenant/oauth2/token?v=2",
        "Scope": "smtp.send",
        "Audience": HOST,
        "RequestHeaders": [
            {"Name": "X-Tenant", "Value": "keyexample"},
            {"Name": "X-Tenant", "Value": "another"},
            {"Name": "X-Api-Key", "Value": "canary"},
            {"Name": "content-type", "Value": "text/plain"},
        ],
    }
    response = caller.send("2", OAUTH | changes)
    assert response.status_code == 200
    requests = caller.exchange(response)["token_requests"]
    assert [(request["kind"], request["url"]) for request in requests] == [
        (
            "discovery",
            "https://login.keyexample.com:8443/tenant/oauth2/.well-known/openid-configuration",
        ),
        ("jwks", "https://login.keyexample.com:8443/tenant/oauth2/jwks"),
        ("token", changes["TokenEndpoint"].replace("=2", "=***")),
    ]
    for request in requests:
        assert ["X-Tenant", "keyexample"] in request["headers"]
        assert ["X-Tenant", "another"] in request["headers"]
        assert ["X-Api-Key", "***"] in request["headers"]
    assert [(request["scope"], request["audience"]) for request in requests] == [
        (None, None),
        (None, None),
        ("smtp.send", HOST),
    ]
    types = [value for name, value in requests[2]["headers"] if name.lower() == "content-type"]
    assert types == ["application/x-www-form-urlencoded"]


@pytest.mark.parametrize("headers", [None, []], ids=["null", "empty"])
def test_without_a_token_endpoint_it_is_the_mocks_own(
    caller: Caller, headers: list[Json] | None
) -> None:
    response = caller.send("2", OAUTH | {"TokenEndpoint": None, "RequestHeaders": headers})
    assert response.status_code == 200
    requests = caller.exchange(response)["token_requests"]
    assert [request["url"] for request in requests] == [
        f"{caller.mock.control_url}/idp/.well-known/openid-configuration",
        f"{caller.mock.control_url}/idp/jwks",
        caller.mock.token_url,
    ]


def test_every_mail_fetches_everything_anew(caller: Caller) -> None:
    first = caller.exchange(caller.send("2", OAUTH))["token_requests"]
    second = caller.exchange(caller.send("2", OAUTH))["token_requests"]
    assert len(first) == len(second) == 3


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.test",
        "HTTP://IDP.test:80/?a=b",
        "https://idp.test/a//../%2e%2e/t%20/x",
        "https://idp.test/%E4/token",
        "https://idp.test/jwks",
        "https://idp.test/.well-known/openid-configuration",
        "https://mail_1.test./token",
        "https://ab--cd.test",
        "https://bücher.example/token",
        "https://xn--bcher-kva.example",
        "https://xn--bcher-kva.a_b.test/token",
        "https://[2001:DB8::1]:8443/token",
        "https://127.0.0.1/token",
    ],
)
def test_token_endpoints_of_every_form_are_played(caller: Caller, url: str) -> None:
    response = caller.send("2", OAUTH | {"TokenEndpoint": url})
    assert (response.status_code, response.text) == (200, "")


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("HTTPS://IDP.Test:443/Token", "https://idp.test/Token"),
        ("http://idp.test:443/token", "http://idp.test:443/token"),
        ("https://idp.test:0/token", "https://idp.test/token"),
        ("https://idp.test/a/b/../../token", "https://idp.test/token"),
        ("https://idp.test/../a/./token", "https://idp.test/a/token"),
        ("https://idp.test/a/..", "https://idp.test/"),
        ("https://idp.test/a//.?b=/../c", "https://idp.test/a//?b=***"),
        ("https://idp.test/%2e%2e/...", "https://idp.test/%2e%2e/..."),
    ],
)
def test_a_token_endpoint_is_called_as_clients_do(caller: Caller, given: str, called: str) -> None:
    # An entry of the world may say it either way, but for the letter case of its scheme.
    for key in (called.partition("?")[0], given.replace("HTTPS:", "https:")):
        caller.mock.reset()
        caller.mock.patch_world({"token_endpoints": {key: {"fault": "garbage"}}})
        response = caller.send("2", OAUTH | {"TokenEndpoint": given})
        assert f"TokenEndpoint {called}: the token answer is no JSON object" in refusal(response)[1]
        (*_, asked) = caller.exchange(response)["token_requests"]
        assert asked["url"] == called
        assert ["Host", called.split("/")[2]] in asked["headers"]


# What goes wrong


@pytest.mark.parametrize(
    ("endpoint", "code", "says", "statuses"),
    [
        ("https://idp-down.test/token", "0xA017F001", "refused the connection", [None]),
        ("https://idp-down.test/token?x=***", "0xA017F001", "refused the connection", [None]),
        ("https://idp-garbage.test/token", "0xA017F001", "no JSON", [200, 200, 200]),
        ("https://idp-no-token.test/token", "0xA017F001", "no access_token", [200, 200, 200]),
        ("https://idp-wrong-type.test/token", "0xA017F001", "token_type", [200, 200, 200]),
        ("https://idp-expired.test/token", "0xA015F007", "status 401", [200, 200, 200]),
        ("https://idp-forged.test/token", "0xA015F007", "status 401", [200, 200, 200]),
        ("https://idp-wrong-audience.test/token", "0xA015F007", "status 401", [200, 200, 200]),
    ],
    ids=lambda value: value.split("/")[2] if str(value).startswith("https") else "",
)
def test_each_fault_of_an_identity_provider_is_refused(
    caller: Caller, endpoint: str, code: str, says: str, statuses: list[int | None]
) -> None:
    response = caller.send("2", OAUTH | {"TokenEndpoint": endpoint})
    status, message = refusal(response)
    assert (status, response.json()["ErrorCode"]) == (400, code)
    assert says in message
    at_relay = code == "0xA015F007"
    assert ("535 5.7.8" in message) is at_relay
    assert (f"TokenEndpoint {endpoint}" in message) is not at_relay
    exchange = caller.exchange(response)
    assert [request["status"] for request in exchange["token_requests"]] == statuses
    assert (exchange["delivery"] is not None) is at_relay
    assert caller.messages() == []


@pytest.mark.parametrize("blank", ["", " ", "\t\r\n "])
def test_a_blank_text_is_the_same_as_none(caller: Caller, blank: str) -> None:
    fields = ("Scope", "Audience", "TokenEndpoint")
    for body in (OAUTH | dict.fromkeys(fields, blank), OAUTH | dict.fromkeys(fields)):
        response = caller.send("2", body)
        assert response.status_code == 200, response.text
        asked = caller.exchange(response)["token_requests"][-1]
        assert (asked["scope"], asked["audience"]) == (None, None)
        assert asked["url"].endswith("/_mock/idp/token")


def test_a_slow_identity_provider_takes_its_time(mock: MockServer, caller: Caller) -> None:
    mock.patch_world({"token_endpoints": {"slow.test": {"delay": 0.1}}})
    response = caller.send("2", OAUTH | {"TokenEndpoint": "https://slow.test/token"})
    assert response.status_code == 200
    assert caller.exchange(response)["duration_ms"] > 300


def test_an_identity_provider_that_is_too_slow_is_a_timeout(
    mock: MockServer, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "_TIMEOUT_S", 0.05)
    mock.patch_world({"token_endpoints": {"slow.test": {"delay": 2}}})
    response = caller.send("2", OAUTH | {"TokenEndpoint": "https://slow.test/token"})
    assert "no answer within 0.05 seconds" in refusal(response)[1]
    (request,) = caller.exchange(response)["token_requests"]
    assert request["status"] is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ClientSecret": {"SecretValue": "wrong-canary"}}, "HTTP 401, invalid_client"),
        ({"ClientId": {"SecretValue": "nobody-canary"}}, "HTTP 401, invalid_client"),
        ({"Scope": "smtp.send everything"}, "HTTP 400, invalid_scope"),
        ({"Audience": "elsewhere.test"}, "HTTP 400, invalid_target"),
    ],
)
def test_a_refused_token_request_names_the_oauth_error(
    caller: Caller, changes: Json, says: str
) -> None:
    response = caller.send("2", OAUTH | changes)
    status, message = refusal(response)
    assert (status, response.json()["ErrorCode"]) == (400, "0xA017F001")
    assert f"TokenEndpoint {caller.mock.token_url}: token request: {says}" in message
    assert "canary" not in response.text + json.dumps(caller.exchange(response))
    assert caller.exchange(response)["token_requests"][-1]["status"] in (400, 401)


@pytest.mark.parametrize(
    ("host", "status", "challenge", "answer"),
    [
        ("relay.test", "401", ["status", "schemes", "scope"], ""),
        (
            "oauthbearer.test",
            "invalid_token",
            ["status", "scope", "openid-configuration"],
            "AQ==",
        ),
    ],
    ids=["XOAUTH2", "OAUTHBEARER"],
)
def test_the_challenge_is_answered_as_specified(
    caller: Caller, host: str, status: str, challenge: list[str], answer: str
) -> None:
    changes = {"Host": host, "TokenEndpoint": "https://idp-expired.test/token"}
    response = caller.send("2", OAUTH | changes)
    assert "535 5.7.8" in refusal(response)[1]
    assert f"status {status}" in refusal(response)[1]
    delivery = caller.exchange(response)["delivery"]
    lines = [(who, line) for _, who, line in delivery["dialogue"]]
    place = next(index for index, (_, line) in enumerate(lines) if line.startswith("334"))
    facts = json.loads(b64decode(lines[place][1][4:]))
    assert list(facts) == challenge
    assert facts["status"] == status
    assert lines[place - 1][1].startswith("AUTH ")
    assert lines[place + 1][:2] == ("C", answer)
    assert lines[place + 2] == ("S", "535 5.7.8 Token refused: it has expired")
    assert delivery["reply"] == "535 5.7.8 Token refused: it has expired"
    url = facts.get("openid-configuration")
    assert url is None or caller.http.get(url).json()["token_endpoint"] == caller.mock.token_url


def test_each_bad_token_is_refused_for_its_own_reason(caller: Caller) -> None:
    reasons = {
        "expired": "it has expired",
        "forged": "its signature is not of this identity provider",
        "wrong-audience": "it is for another audience",
    }
    for fault, reason in reasons.items():
        changes = {"TokenEndpoint": f"https://idp-{fault}.test/token"}
        response = caller.send("2", OAUTH | changes)
        assert f"stage auth: 535 5.7.8 Token refused: {reason} (" in refusal(response)[1]
        assert caller.exchange(response)["delivery"]["reply"].endswith(reason)


@pytest.mark.parametrize(
    ("world", "changes", "says"),
    [
        ({}, {"Host": "noauth.test"}, "neither AUTH XOAUTH2 nor AUTH OAUTHBEARER"),
        ({}, {"Host": "badlogin.test"}, "535 5.7.8"),
        ({"mailboxes": ["other@keyexample.com"]}, {}, "its client may not use this mailbox"),
        ({"mailboxes": None}, {"Host": "relay.test"}, "535 5.7.8"),
        ({}, {"Host": "corpexch02.keyexample.com", "SenderAccount": MAILBOX}, None),
        ({}, {"Host": "strict.test"}, "550 5.7.60"),
    ],
    ids=["no mechanism", "scripted", "other mailbox", "no mailbox", "accounts", "senders"],
)
def test_the_relay_has_its_say(
    mock: MockServer, caller: Caller, world: Json, changes: Json, says: str | None
) -> None:
    account = {MAILBOX: {"password": "x", "senders": ["other@keyexample.com"]}}
    patch = {
        "oauth_clients": {"command-email": world},
        "relays": {"strict.test": {"accounts": account}},
    }
    mock.patch_world(patch)
    response = caller.send("2", OAUTH | changes)
    if says is None:
        assert response.status_code == 200
    else:
        assert says in refusal(response)[1]


def test_a_client_that_is_dropped_from_the_world_loses_its_token(mock: MockServer) -> None:
    token = token_of(mock)
    mock.patch_world({"oauth_clients": {"command-email": None}})
    assert authenticate(mock, "XOAUTH2", token, MAILBOX) == 535


# The sink and a stock client


def authenticate(mock: MockServer, mechanism: str, token: str, user: str) -> int:
    encode = {
        "XOAUTH2": f"user={user}\x01auth=Bearer {token}\x01\x01",
        "OAUTHBEARER": f"n,a={user},\x01host=h\x01port=25\x01auth=Bearer {token}\x01\x01",
    }

    def respond(challenge: bytes | None = None) -> str:
        if challenge is None:
            return encode[mechanism]
        return "" if mechanism == "XOAUTH2" else "\x01"

    with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0, "client.test", timeout=10) as smtp:
        smtp.starttls(context=ssl.create_default_context(cadata=mock.ca_pem.decode()))
        smtp.ehlo()
        try:
            code, _ = smtp.auth(mechanism, respond)
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code
        smtp.sendmail(user, ["to@example.com"], b"Subject: hello\r\n\r\nhello")
        return code


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_the_standard_library_logs_in_with_a_token(mock: MockServer, mechanism: str) -> None:
    user = "a=b@keyexample.com".replace("=", "=3D" if mechanism == "OAUTHBEARER" else "=")
    assert authenticate(mock, mechanism, token_of(mock), user) == 235
    (message,) = mock.messages
    assert (message.mechanism, message.username) == (mechanism, "a=b@keyexample.com")
    assert message.request_id is None
    assert ("C", f"AUTH {mechanism} ***") in message.dialogue


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("token", ["x", "a.b.c"])
def test_the_standard_library_hears_535_for_a_bad_token(
    mock: MockServer, mechanism: str, token: str
) -> None:
    assert authenticate(mock, mechanism, token, MAILBOX) == 535


@pytest.mark.parametrize(("good", "status"), [(True, 0), (False, 67)], ids=["good", "bad"])
@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_logs_in_with_a_token(
    mock: MockServer, tmp_path: Path, mechanism: str, good: bool, status: int
) -> None:
    # Where both are offered, curl takes OAUTHBEARER, whatever its options say.
    mock.patch_world({"relays": {"*": {"mechanisms": [mechanism]}}})
    mail, ca = tmp_path / "mail", tmp_path / "ca.pem"
    mail.write_bytes(b"Subject: hello\r\n\r\nhello\r\n")
    ca.write_bytes(mock.ca_pem)
    config = (
        f'url = "smtps://localhost:{mock.port("smtps")}/client.test"\n'
        f'cacert = "{ca}"\nupload-file = "{mail}"\n'
        f'mail-from = "{MAILBOX}"\nmail-rcpt = "to@example.com"\nuser = "{MAILBOX}:"\n'
        f'login-options = "AUTH={mechanism}"\n'
        f'oauth2-bearer = "{token_of(mock) if good else "x.y.z"}"\n'
    )
    done = subprocess.run(
        ["curl", "--disable", "--silent", "--max-time", "20", "--config", "-"],
        input=config.encode(),
        check=False,
    )
    assert done.returncode == status
    assert [message.mechanism for message in mock.messages] == [mechanism] * good


def test_a_client_without_mailboxes_has_none(mock: MockServer) -> None:
    assert authenticate(mock, "XOAUTH2", token_of(mock, "api-client"), MAILBOX) == 535


class Raw:
    """A bare SMTP connection after EHLO."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.sock.makefile("rb")
        self.reply()
        self.say("EHLO client.test")

    def say(self, line: str) -> str:
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def reply(self) -> str:
        while (line := self.file.readline().decode())[3:4] == "-":
            pass
        return line.rstrip()

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def sasl(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("mechanism", "text", "reply"),
    [
        ("XOAUTH2", "user=a@b.test\x01auth=Bearer x\x01", "501 5.5.2 Not a response of XOAUTH2"),
        ("XOAUTH2", "auth=Bearer x\x01\x01", "501 5.5.2 Not a response of XOAUTH2"),
        ("XOAUTH2", "user=a\x01auth=Basic x\x01\x01", "501 5.5.2 Not a response of XOAUTH2"),
        ("OAUTHBEARER", "n,a=u,\x01host=h\x01\x01", "501 5.5.2 Not a response of OAUTHBEARER"),
        (
            "OAUTHBEARER",
            "user=u\x01auth=Bearer x\x01\x01",
            "501 5.5.2 Not a response of OAUTHBEARER",
        ),
        ("OAUTHBEARER", "y,a=u,\x01auth=Bearer x\x01\x01", "334 "),
        # RFC 7628, 4.3: no token, to be told where to get one; and one without a user.
        ("OAUTHBEARER", "n,a=u,\x01host=h\x01port=1\x01auth=\x01\x01", "334 "),
        ("OAUTHBEARER", "n,,\x01auth=Bearer x\x01\x01", "334 "),
        ("XOAUTH2", "user=a\x01auth=Bearer x\x01\x01", "334 "),
    ],
)
def test_a_malformed_token_login_is_refused_at_once(
    mock: MockServer, mechanism: str, text: str, reply: str
) -> None:
    raw = Raw(mock.port("smtp") or 0)
    assert raw.say(f"AUTH {mechanism} {sasl(text)}").startswith(reply)
    raw.close()


def test_a_token_may_come_after_an_empty_challenge(mock: MockServer) -> None:
    raw = Raw(mock.port("smtp") or 0)
    assert raw.say("AUTH XOAUTH2") == "334"
    token = token_of(mock)
    assert raw.say(sasl(f"user=u\x01auth=Bearer {token}\x01\x01")).startswith("235")
    raw.close()


@pytest.mark.parametrize(("octets", "reply"), [(12_288, "334"), (12_289, "500 5.5.6")])
def test_an_auth_line_has_up_to_12288_octets(mock: MockServer, octets: int, reply: str) -> None:
    raw = Raw(mock.port("smtp") or 0)
    start = "AUTH XOAUTH2 "
    size = (octets - len(start) - 2) // 4 * 3
    text = "user=u\x01auth=Bearer ".ljust(size - 2, "x") + "\x01\x01"
    line = (start + sasl(text)).ljust(octets - 2, " ")
    assert raw.say(line).startswith(reply)
    raw.close()


def test_what_answers_a_challenge_wrongly_does_not_show(mock: MockServer) -> None:
    raw = Raw(mock.port("smtp") or 0)
    assert raw.say("AUTH XOAUTH2 " + sasl("user=u\x01auth=Bearer x\x01\x01")).startswith("334")
    assert raw.say("canary").startswith("535")
    raw.say("MAIL FROM:<a@b.test>")
    raw.say("RCPT TO:<c@d.test>")
    raw.say("DATA")
    assert raw.say("Subject: x\r\n\r\n.").startswith("250")
    raw.close()
    (message,) = mock.messages
    assert message.mechanism is None
    assert "canary" not in repr(message.dialogue)


# The client and a stock server


class Stock(SMTP):
    """A stock server that refuses every token with a challenge of its own."""

    challenge = b""
    heard: bytes | None = None

    async def auth_XOAUTH2(self, _server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802  # aiosmtpd's way to name mechanisms
        type(self).heard = b64decode(args[1]) + b"|"
        answer = await self.challenge_auth(self.challenge, encode_to_b64=False)
        type(self).heard = (type(self).heard or b"") + (
            answer if isinstance(answer, bytes) else b"?"
        )
        return AuthResult(success=False, handled=False)


@pytest.mark.parametrize(
    ("challenge", "shown"),
    [
        (b'{"status":"400","schemes":"Bearer"}', "status 400"),
        (b"no JSON", "status unreadable"),
        (b"[]", "status unreadable"),
        (None, "status unreadable"),
    ],
)
def test_a_stock_server_hears_the_token_and_an_empty_answer(
    challenge: bytes | None, shown: str
) -> None:
    Stock.challenge = base64.b64encode(challenge) if challenge is not None else b"!!"
    submission = Submission(
        host="stock.test",
        port=25,
        tls_mode=TlsMode.NONE,
        sender_name="n",
        sender="user",
        recipient="to@example.com",
        login=Login("user", Secret("mF_9.B5f-4.1JqM"), by_token=True),
    )
    delivery = Attempt(Endpoint("stock.test", 25), "none", Dialogue())

    async def attempt() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Stock(Discard(), auth_require_tls=False, hostname="stock.test", loop=loop),
            "127.0.0.1",
            0,
        )

        async def dial() -> socket.socket:
            sock = socket.create_connection(server.sockets[0].getsockname())
            sock.setblocking(False)
            return sock

        async with server:
            await deliver(submission, dial, ssl.create_default_context, delivery)

    with pytest.raises(Problem) as caught:
        asyncio.run(attempt())
    assert "535" in caught.value.message
    assert shown in caught.value.message
    assert (delivery.stage, delivery.mechanism) == ("auth", "XOAUTH2")
    assert Stock.heard == b"user=user\x01auth=Bearer mF_9.B5f-4.1JqM\x01\x01|"


def test_xoauth2_is_encoded_as_curl_expects_it() -> None:
    # curl's test 908
    expected = b"dXNlcj11c2VyAWF1dGg9QmVhcmVyIG1GXzkuQjVmLTQuMUpxTQEB"
    (response,) = MECHANISMS["XOAUTH2"].write("user", "mF_9.B5f-4.1JqM", "server.example.com", 143)
    assert base64.b64encode(response.encode()) == expected


def oauthbearer(host: str, port: int, user: str, token: str) -> bytes:
    (response,) = MECHANISMS["OAUTHBEARER"].write(user, token, host, port)
    return base64.b64encode(response.encode())


def test_oauthbearer_is_encoded_as_the_rfc_shows_it() -> None:
    # RFC 7628, 4.1
    expected = (
        b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVy"
        b"IHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    assert oauthbearer("server.example.com", 143, "user@example.com", token) == expected


def test_a_name_with_separators_is_escaped_in_oauthbearer() -> None:
    assert b64decode(oauthbearer("h", 25, "a,b=c@d", "t")).startswith(b"n,a=a=2Cb=3Dc@d,\x01")


# Bearer callers


def test_a_token_of_the_identity_provider_calls_the_api(caller: Caller) -> None:
    response = caller.send("2", V2, auth=None, headers=bearer(token_of(caller.mock, "api-client")))
    assert response.status_code == 200
    exchange = caller.exchange(response)
    assert exchange["identity"] == "api-client"
    assert exchange["permission"]["held"] == ["/"]
    assert ["authorization", "Bearer ***"] in exchange["request"]["headers"]
    assert caller.messages()[0]["identity"] == "api-client"


def test_a_client_without_roles_is_forbidden(mock: MockServer, caller: Caller) -> None:
    token = token_of(mock, "api-client")
    mock.patch_world({"oauth_clients": {"api-client": {"roles": []}}})
    status, message = refusal(caller.send("2", V2, auth=None, headers=bearer(token)))
    assert status == 403
    assert "User api-client doesn't have the required permission" in message


def of_a_fault(mock: MockServer, fault: str | None) -> str:
    entry = {"*": {"fault": fault}}
    mock.patch_world({"token_endpoints": entry})
    return token_of(mock, "api-client")


BAD_TOKENS: dict[str, Any] = {
    "expired": lambda mock: of_a_fault(mock, "expired"),
    "forged": lambda mock: of_a_fault(mock, "forged"),
    "foreign": lambda _: IdentityProvider().issue(
        {"iss": "http://127.0.0.1/_mock/idp", "sub": "api-client", "aud": "keyfactor-command"}
    ),
    "not a token": lambda _: "x.y.z",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_401_with_its_own_challenge(caller: Caller, kind: str) -> None:
    headers = bearer(BAD_TOKENS[kind](caller.mock))
    response = caller.send("2", V2, auth=None, headers=headers)
    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("named", "asked", "status"),
    [
        (None, {}, 200),
        (None, {"audience": "https://any.test"}, 200),
        (["https://command.test", "keyfactor-command"], {"audience": "https://command.test"}, 200),
        (["https://command.test", "keyfactor-command"], {}, 200),
        (["https://command.test"], {}, 401),
        (["https://command.test"], {"audience": "https://any.test"}, 401),
    ],
)
def test_a_token_may_be_for_any_audience_unless_the_world_names_some(
    mock: MockServer, caller: Caller, named: list[str] | None, asked: dict[str, str], status: int
) -> None:
    mock.patch_world({"api_audiences": named})
    headers = bearer(token_of(mock, "api-client", **asked))
    response = caller.send("2", V2, auth=None, headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert "audience" in caller.exchange(response)["problem"]["message"]


def test_the_account_of_a_mailbox_is_a_caller_without_a_role(caller: Caller) -> None:
    response = caller.send("2", V2, auth=None, headers=bearer(token_of(caller.mock)))
    assert refusal(response)[0] == 403


def test_a_client_that_is_gone_is_401(mock: MockServer, caller: Caller) -> None:
    token = token_of(mock, "api-client")
    mock.patch_world({"oauth_clients": {"api-client": None}})
    response = caller.send("2", V2, auth=None, headers=bearer(token))
    assert response.status_code == 401
    assert "unknown" in caller.exchange(response)["problem"]["message"]


def test_no_credentials_keep_both_challenges(caller: Caller) -> None:
    response = caller.send("2", V2, auth=None)
    assert response.headers["www-authenticate"] == 'Basic realm="Keyfactor Command", Bearer'


# Basic callers


@pytest.mark.parametrize("name", ["jörg", "KEYEXAMPLE\\jörg", "jörg@keyexample"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_credentials_of_a_caller_are_utf_8_or_latin_1(
    mock: MockServer, caller: Caller, encoding: str, name: str
) -> None:
    user = {"domain": "KEYEXAMPLE", "password": "p+w%41 ü:=", "roles": ["Administrator"]}
    mock.patch_world({"users": {"jörg": user}})

    def status(password: str) -> int:
        octets = base64.b64encode(f"{name}:{password}".encode(encoding))
        headers: dict[str, str | None] = {"authorization": f"Basic {octets.decode()}"}
        return caller.send("2", V2, auth=None, headers=headers).status_code

    assert status("p+w%41 ü:=") == 200
    # Form encoding belongs to the token endpoint alone (RFC 7617, 2).
    assert [status("p wA ü:="), status("p%2Bw%2541+%C3%BC%3A%3D")] == [401, 401]

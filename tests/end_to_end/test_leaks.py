"""No password shows in any answer, log, journal entry or mail, whatever is done with it."""

import json
import logging
import pickle
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import pytest

from mockserver import MockServer
from mockserver.journal.trace import Exchange
from mockserver.product.worlds import load_world
from mockserver.world.reading import WorldError
from support import V1, V2, Json, calling

CANARY = "c4n4ry-Pä$$w0rd"
USER = {"domain": "D", "password": CANARY, "roles": ["Administrator"]}
ACCOUNT = {"accounts": {"user@canary.test": {"password": CANARY}}, "require_auth": True}
MAILER = {"secret": CANARY, "mailboxes": ["*"], "audiences": ["mail.test"]}
WORLD: Json = {
    "users": {"ci": USER},
    "relays": {"relay.test": ACCOUNT},
    "oauth_clients": {"mailer": MAILER, "caller": {"secret": CANARY, "roles": ["Administrator"]}},
}
CALLER = {"grant_type": "client_credentials", "client_id": "caller", "client_secret": CANARY}
# `{"typ":"at+jwt"`, so it is in every token, plain or inside a SASL string.
TOKEN_START = b"eyJ0eXAiOiJhdCtqd3Qi"


SECRET_HEADERS = ("X-Api-Key", "X-Password", "X-Auth", "X-JWT", "X-Session-Id")


def shapes(secret: str) -> list[str]:
    """Give the forms in which a secret could show."""
    raw = secret.encode()
    plain = b64encode(raw).decode().rstrip("=")
    encoded = b64encode(b"\0user@canary.test\0" + raw).decode().rstrip("=")
    basic = b64encode(b"ci:" + raw).decode().rstrip("=")
    return [secret, json.dumps(secret)[1:-1], quote(secret), plain, encoded, basic]


def hidden(text: str) -> Iterator[bytes]:
    """Give all that is in the text, and all that base64 hides in it, at any offset."""
    yield text.encode()
    for run in re.findall(r"[A-Za-z0-9+/_-]{16,}", text):
        for start in range(4):
            coded = run[start : len(run) - (len(run) - start) % 4]
            yield b64decode(coded, b"-_" if set("-_") & set(coded) else b"+/")


def bodies() -> list[tuple[str, Json | bytes]]:
    login1: Json = V1 | {
        "Host": "relay.test",
        "RelayAuthenticationType": 2,
        "RelayUsername": "user@canary.test",
        "RelayPassword": CANARY,
    }
    login2: Json = V2 | {
        "Host": "relay.test",
        "RelayAuthenticationType": 2,
        "RelayUsername": {"SecretValue": "user@canary.test"},
        "RelayPassword": {"SecretValue": CANARY},
    }
    oauth: Json = {
        "Host": "relay.test",
        "RelayAuthenticationType": 3,
        "ClientId": {"SecretValue": "mailer"},
        "ClientSecret": {"SecretValue": CANARY},
    }
    header = {"Name": "X-Api-Key", "Value": CANARY.encode().hex()}
    return [
        ("1", login1),
        ("2", login2),
        ("1", login1 | {"RelayUsername": "other"}),
        ("2", login2 | {"Host": "badlogin.test"}),
        ("2", login2 | {"Host": "dropped.test"}),
        ("2", login2 | {"Host": "badcert-name.test", "UseSSL": True}),
        ("2", login1),
        ("1", login2),
        ("2", login2 | {"RelayPassword": CANARY}),
        ("2", login2 | {"RelayPassword": [CANARY]}),
        ("2", login2 | {"RelayPassword": {"SecretValue": CANARY, "Provider": "1"}}),
        ("2", login2 | {"relaypassword": CANARY, "RelayPassword": None}),
        ("1", login1 | {"RelayPassword": f"\0{CANARY}"}),
        ("2", V2 | oauth),
        ("2", V2 | oauth | {"RequestHeaders": [header]}),
        ("2", V2 | oauth | {"ClientId": {"SecretValue": "other"}}),
        ("2", V2 | oauth | {"Scope": "a b", "Audience": "nowhere.test"}),
        ("2", V2 | oauth | {"Host": "badlogin.test"}),
        ("2", V2 | oauth | {"Host": "oauthbearer.test"}),
        *(
            ("2", V2 | oauth | {"Host": host, "TokenEndpoint": f"https://idp-{fault}.test/token"})
            for host in ("relay.test", "oauthbearer.test")
            for fault in ("down", "garbage", "no-token", "wrong-type", "expired", "forged")
        ),
        ("2", V2 | {"RequestHeaders": [{"Name": "X-Api-Key", "Value": CANARY}]}),
        ("2", login2 | {"RelayPasword": CANARY}),
        ("1", login1 | {"relayPassw0rt": CANARY, "Pasword": [CANARY]}),
        ("2", V2 | {"ClientSecert": {"SecretValue": CANARY}}),
        ("2", V2 | oauth | {"RequestHeaders": dict.fromkeys(SECRET_HEADERS, CANARY)}),
        *(
            ("2", V2 | oauth | {"TokenEndpoint": f"https://{place}"})
            for place in (
                f"user:{quote(CANARY)}@idp-down.test/token",
                f"idp-down.test/token?api_key={quote(CANARY)}",
                f"idp-down.test/token?{quote(CANARY)}",
                f"user:{quote(CANARY)}@a..b/token?key={quote(CANARY)}",
            )
        ),
        ("2", json.dumps(login2).encode()[:-3]),
        ("2", json.dumps(login2).encode().replace(b"}}", b'}, "RelayPassword": 1}')),
    ]


def looks(exchange: Exchange) -> list[object]:
    """Look at a call in every way: its body is masked when somebody does."""
    body, copy = exchange.request.body_text, pickle.dumps(deepcopy(exchange))
    return [exchange, body, copy, asdict(exchange), vars(exchange.request)]


def test_no_password_shows_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    with MockServer(WORLD) as mock, calling(mock) as caller:
        for version, body in bodies():
            for headers in ({}, {"x-api-key": CANARY.encode().hex(), "cookie": "c4n4ry"}):
                response = caller.send(version, body, auth=("ci", CANARY), headers=headers)
                seen += [response.text, str(response.headers)]
        seen.append(caller.send("2", V2, auth=("ci", CANARY + "x")).text)
        given = CANARY.encode().hex()
        for authorization in (given, f"{given} x", f"Token {given}", f"Basic {given}", "Basic"):
            headers = {"authorization": authorization, "referer": f"http://a:{given}@b/?c={given}"}
            headers |= dict.fromkeys(SECRET_HEADERS, given)
            seen.append(caller.send("2", V2, auth=None, headers=headers).text)
        token = caller.http.post("/_mock/idp/token", data=CALLER).json()["access_token"]
        for given in (token, token + "x", token[:-9]):
            headers = {"authorization": f"Bearer {given}"}
            response = caller.send("2", V2, auth=None, headers=headers)
            seen += [response.text, str(response.headers)]
        for wrong in (
            {"client_secret": CANARY + "x"},
            {"scope": ["a", "b"]},
            {"grant_type": CANARY},
        ):
            seen.append(caller.http.post("/_mock/idp/token", data=CALLER | wrong).text)
        for path in ("messages", "requests", "world", "openapi/v1.json", "openapi/v2.json"):
            seen.append(caller.http.get(f"/_mock/{path}").text)
        patch = {"users": {"ci": {"password": [CANARY]}}}
        seen.append(caller.http.patch("/_mock/world", json=patch).text)
        seen += [message.raw.decode() for message in mock.messages]
        seen += [repr(value) for value in (mock.messages, *map(looks, mock.requests), mock.world)]
        sent = [message["username"] for message in caller.messages()]
        mechanisms = {message["mechanism"] for message in caller.messages()}
    assert sent.count("user@canary.test") == 4, "the secret was really used"
    text = "\n".join([*seen, caplog.text])
    assert [shape for shape in shapes(CANARY) if shape in text] == []
    assert CANARY.encode().hex() not in text
    assert mechanisms == {None, "PLAIN", "XOAUTH2", "OAUTHBEARER"}, "so were the tokens"
    assert [found for found in hidden(text) if TOKEN_START in found] == []
    assert [found for found in hidden(text) if CANARY.encode() in found] == []


@pytest.mark.parametrize(
    "text",
    ["!canary", "!can'ary", "!!python/name:canary", "*canary", "canary: canary: x", "@canary"],
)
def test_no_mistake_in_a_file_quotes_what_stands_there(tmp_path: Path, text: str) -> None:
    world = tmp_path / "world.yaml"
    world.write_text(f"users: {{ci: {{password: {text}}}}}\n")
    with pytest.raises(WorldError) as raised:
        load_world(world)
    assert "ary" not in str(raised.value).replace(str(world), "")


def test_a_leak_would_be_found() -> None:
    login = f"user=u\x01auth=Bearer {TOKEN_START.decode()}LCJ\x01\x01"
    for padding in ("", "x", "xx"):
        line = "AUTH XOAUTH2 " + b64encode((padding + login).encode()).decode()
        assert any(TOKEN_START in found for found in hidden(line))

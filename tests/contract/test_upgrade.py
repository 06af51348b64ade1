"""The call of version 2 that does the same as one of version 1."""

import json
import pickle
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mockserver import MockServer
from support import PATH, V1, V2, Caller, calling

Json = dict[str, Any]

PASSWORD = "MySuperSecretPassword"
LOGIN: Json = {
    "RelayAuthenticationType": 2,
    "RelayUsername": "KEYEXAMPLE\\mail",
    "RelayPassword": PASSWORD,
    "UseSSL": True,
}
NO_BODY = "The answer has no body in version 2."


def v2(caller: Caller, body: Json | bytes | None, path: str = PATH, version: str = "1") -> Json:
    found: Json = caller.exchange(caller.send(version, body, path=path))["v2"]
    return found


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Port": 587, "UseSSL": True},
        LOGIN,
        {"TestRecipient": None, "SenderAccount": "command@keyexample.com"} | LOGIN,
        {"relayusername": "", "RelayPassword": ""},
        {"Host": "denied.test"},
        {"Host": "badlogin.test"} | LOGIN,
    ],
)
def test_it_sends_the_same_mail(caller: Caller, change: Json) -> None:
    """The caller puts the passwords in, as they are masked in the journal."""
    first = caller.send("1", V1 | change)
    made = caller.exchange(first)["v2"]
    assert made["lost"] == [NO_BODY]
    assert PASSWORD not in json.dumps(made)
    text = json.dumps(made["body"]).replace("<RelayPassword>", PASSWORD)
    headers = dict(made["headers"])
    assert headers.pop("authorization") == "Basic ***"
    assert headers["x-keyfactor-api-version"] == "2"
    second = caller.http.post(PATH, content=text, auth=("admin", "admin-password"), headers=headers)
    assert caller.exchange(second)["version"] == "2"
    assert second.status_code == first.status_code
    if first.status_code == 200:
        assert second.content == b""
        one, other = caller.mock.messages
        assert one.envelope == other.envelope
        for name in (
            "relay",
            "tls_mode",
            "mechanism",
            "username",
            "subject",
            "from_",
            "to",
            "text",
        ):
            assert getattr(one, name) == getattr(other, name), name
    else:
        assert second.json() == first.json()


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        (V1 | {"TestRecipient": None, "SenderAccount": "nobody"}, ["TestRecipient: must be one "]),
        (V1 | {"Unknown": 1, "Other": None}, ["Unknown: unknown in version 2."]),
        ({"Id": 1}, ["TestRecipient: required."]),  # and not what is missing in both
        ([V1], ["The body is no object."]),
        (b"{", ["The body is no object."]),
    ],
)
def test_what_cannot_be_carried_over_is_told(caller: Caller, body: Any, lost: list[str]) -> None:  # noqa: ANN401  # any JSON
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = [text for text in v2(caller, raw)["lost"] if text != NO_BODY]
    assert len(found) == len(lost)
    for text, begin in zip(found, lost, strict=True):
        assert text.startswith(begin)


def test_a_profile_is_put_the_same(caller: Caller) -> None:
    profile = {name: value for name, value in (V1 | LOGIN).items() if name != "TestRecipient"}
    form = "&".join(f"{name}={value}" for name, value in profile.items()).encode()
    path = "/KeyfactorAPI/SMTP"
    for body, media in ((json.dumps(profile).encode(), "application/json"), (form, FORM)):
        sent = caller.send("1", body, path=f"PUT {path}", headers={"content-type": media})
        assert sent.status_code == 200
        made = caller.exchange(sent)["v2"]
        assert made["lost"] == []
        assert dict(made["headers"])["content-type"] == "application/json"
        text = json.dumps(made["body"]).replace("<RelayPassword>", PASSWORD).encode()
        again = caller.send("2", text, path=f"PUT {path}")
        assert again.status_code == 200
        assert caller.send("1", None, path=f"GET {path}").json() == sent.json()


FORM = "application/x-www-form-urlencoded"


def test_a_call_without_a_body_has_a_header_only(caller: Caller) -> None:
    made = v2(caller, None, "GET /KeyfactorAPI/SMTP")
    assert (made["body"], made["lost"]) == (None, [])
    assert ["x-keyfactor-api-version", "2"] in made["headers"]
    assert not {"host", "content-type"} & dict(made["headers"]).keys()


def test_other_calls_have_none(caller: Caller) -> None:
    assert v2(caller, V2, version="2") is None
    assert v2(caller, None, "GET /KeyfactorAPI/PamProviders") is None
    assert caller.mock.requests[-1].v2 is None


def test_an_edition_without_the_newer_version_has_none() -> None:
    with MockServer(edition="25.1") as mock, calling(mock) as caller:
        assert v2(caller, V1) is None
        assert v2(caller, None, "GET /KeyfactorAPI/SMTP")["body"] is None


def test_a_call_can_be_copied_and_handed_on(caller: Caller) -> None:
    caller.send("1", V1)
    [exchange] = caller.mock.requests
    assert exchange.v2 is not None
    assert deepcopy(exchange).v2 == exchange.v2
    assert asdict(exchange)["id"] == exchange.id
    sent = pickle.loads(pickle.dumps(exchange))
    assert (sent, sent.v2) == (exchange, None)


def test_story_and_inbox_show_it(caller: Caller) -> None:
    number = caller.send("1", V1 | LOGIN).headers["x-mock-request-id"]
    url = f"/_mock/requests/{number}"
    text = caller.http.get(url, headers={"accept": "text/plain"}).text
    assert 'version 2   x-keyfactor-api-version: 2 {"Host": "corpexch02.keyexample.com"' in text
    assert f"lost        {NO_BODY}" in text
    page = caller.http.get(f"/?request={number}").text
    assert "<h4>version 2</h4>" in page
    copied = page.partition('<pre id="as-v2"')[2].partition("</pre>")[0]
    assert "-H &#39;x-keyfactor-api-version: 2&#39;" in copied
    assert "&lt;RelayPassword&gt;" in copied
    assert f'<p class="hint">{NO_BODY}</p>' in page
    other = caller.send("2", V2).headers["x-mock-request-id"]
    assert "as-v2" not in caller.http.get(f"/?request={other}").text
    profile = caller.send("1", None, path="GET /KeyfactorAPI/SMTP").headers["x-mock-request-id"]
    assert "as-v2" in caller.http.get(f"/?request={profile}").text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"allOf": [{"type": "object", "properties": {"Numbers": {"type": "array"}}}]},
        {"type": "object", "properties": {"Numbers": {"type": "array", "items": True}}},
    ],
)
def test_a_body_of_a_given_document_is_carried_over(tmp_path: Path, schema: Json) -> None:
    """Its members may be unnamed, or stand in a part of its schema."""
    operation = {
        "deprecated": True,
        "requestBody": {"content": {"application/json": {"schema": schema}}},
    }
    paths = {"/Things/Count": {"post": operation}}
    document = {"openapi": "3.1.0", "info": {"version": "given"}, "paths": paths}
    path = tmp_path / "given.json"
    path.write_text(json.dumps(document))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:
        sent = caller.send("1", {"Numbers": [1]}, path="/KeyfactorAPI/Things/Count")
        assert sent.status_code == 200
        made = caller.exchange(sent)["v2"]
        assert (made["body"], made["lost"]) == ({"Numbers": [1]}, [])

"""What each edition would say to the calls of a test, and what the inbox says of it."""

import re

import pytest

from mockserver import MockServer
from support import V1, V2, Caller, Json, refusal

NAMES = ["10", "11", "25.1", "current"]
WITH_PORT: Json = {**V1, "Port": 25}
VERSION = "header x-keyfactor-api-version"


def impact(caller: Caller, path: str = "/_mock/editions") -> dict[str, Json]:
    """Return what each edition says of the calls, by its name."""
    editions = caller.http.get(path).json()["editions"]
    assert [each["name"] for each in editions] == NAMES
    return {each["name"]: each for each in editions}


def counts(edition: Json) -> tuple[int, int, int]:
    return edition["accepted"], edition["refused"], edition["unknown"]


def broken(edition: Json) -> list[list[tuple[str, str]]]:
    """Return path and rule of each violation, by refused call."""
    return [
        [(each["path"], each["rule"]) for each in refused["violations"]]
        for refused in edition["refusals"]
    ]


def test_every_call_is_judged_by_every_edition(caller: Caller) -> None:
    first = caller.send("1", WITH_PORT)
    caller.send("1", V1)
    second = caller.send("2", V2)
    found = impact(caller)
    assert {name: counts(each) for name, each in found.items()} == {
        "10": (1, 2, 0),
        "11": (1, 2, 0),
        "25.1": (1, 2, 0),
        "current": (3, 0, 0),
    }
    assert broken(found["10"]) == [[("/Port", "required")], [(VERSION, "enum")]]
    (_, told) = found["25.1"]["refusals"]
    assert told["request_id"] == second.headers["x-mock-request-id"]
    assert told["operation"] == "test_smtp_v2"
    assert told["violations"][0]["message"].endswith("POST /SMTP/Test has no version 2.")
    assert first.headers["x-mock-request-id"] not in str(found)
    assert found["11"]["product_version"] == "11.6.0.0"


def test_an_unknown_field_is_no_refusal(caller: Caller) -> None:
    caller.mock.patch_world({"lenient": True})
    answer = caller.send("1", {**WITH_PORT, "ClientId": "a", "Scope": "b"})
    assert answer.status_code == 200
    found = impact(caller)
    assert {counts(each) for each in found.values()} == {(0, 0, 1)}
    (unknown,) = found["10"]["unknown_fields"]
    assert unknown == {
        "request_id": answer.headers["x-mock-request-id"],
        "operation": "test_smtp_v1",
        "fields": ["/ClientId", "/Scope"],
    }


def test_a_profile_with_oauth_is_judged_field_by_field(caller: Caller) -> None:
    body = {name: V2[name] for name in ("Host", "Port", "SenderAccount")} | {"Scope": "a"}
    caller.send("2", body, path="PUT /KeyfactorAPI/SMTP")
    found = impact(caller)
    assert counts(found["25.1"]) == (0, 0, 1)
    assert found["25.1"]["unknown_fields"][0]["fields"] == ["/Scope"]
    assert counts(found["current"]) == (1, 0, 0)


@pytest.mark.parametrize(
    "secret",
    [
        {"SecretValue": "", "Provider": "1", "Parameters": {"SecretName": "EmailSenderPassword"}},
        {"SecretValue": "MySuperSecretPassword"},
    ],
)
def test_what_only_the_mask_breaks_does_not_count(caller: Caller, secret: Json) -> None:
    body = {**V2, "RelayAuthenticationType": 2, "RelayUsername": secret, "RelayPassword": secret}
    assert caller.exchange(caller.send("2", body))["violations"] == []
    assert counts(impact(caller)["current"]) == (1, 0, 0)


def test_a_form_is_judged_by_its_media_type(caller: Caller) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b"Host=a.test&Id=1&SenderAccount=b&SenderName=c"
    caller.send("1", body, path="PUT /KeyfactorAPI/SMTP", headers=form)
    found = impact(caller)
    assert [counts(found[name])[0] for name in NAMES] == [1, 0, 0, 1]
    assert broken(found["11"]) == [[("header content-type", "enum")]]


def test_calls_that_were_refused_are_judged_too(caller: Caller) -> None:
    caller.mock.patch_world({"edition": "10"})
    caller.send("2", V2)
    caller.send("2", [1])  # type: ignore[arg-type]  # no object
    caller.send("1", None, path="GET /KeyfactorAPI/Status/HealthCheck")
    caller.send("1", None, path="/elsewhere")
    found = impact(caller)
    assert counts(found["10"]) == (0, 3, 0)
    assert counts(found["current"]) == (3, 0, 0)
    assert broken(found["11"])[2] == [("path", "enum")]


def test_a_namespace_has_calls_of_its_own(caller: Caller) -> None:
    caller.send("2", V2, headers={"X-Mock-Namespace": "a"})
    assert counts(impact(caller)["current"]) == (0, 0, 0)
    assert counts(impact(caller, "/_mock/ns/a/editions")["current"]) == (1, 0, 0)
    caller.mock.namespace("a").drop()


@pytest.mark.parametrize(
    ("asked", "accepted"),
    [
        ({"path": "/SMTP/Test", "version": "1", "body": WITH_PORT}, NAMES),
        ({"path": "/SMTP/Test", "version": "1", "body": V1}, ["current"]),
        ({"path": "/KeyfactorAPI/SMTP/Test", "body": V1}, ["current"]),
        ({"path": "/SMTP/Test", "version": "2", "body": V2}, ["current"]),
        ({"path": "/SMTP/Test", "version": "2"}, []),
        ({"method": "GET", "path": "/SMTP", "version": "2"}, ["25.1", "current"]),
        ({"method": "GET", "path": "/nowhere"}, []),
        ({"method": "GET", "path": "nowhere"}, []),
    ],
)
def test_a_call_that_was_never_sent_is_judged(
    caller: Caller, asked: Json, accepted: list[str]
) -> None:
    answer = caller.http.post("/_mock/editions/check", json=asked)
    assert answer.status_code == 200
    found = answer.json()["editions"]
    assert [each["name"] for each in found if each["accepted"]] == accepted
    assert all(sum(counts(each)) == 1 for each in found)
    assert caller.mock.requests == ()


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ([], 'send {"method", "path", "version", "body"}; the path is a text'),
        ({"version": "1"}, "the path is a text"),
        ({"path": 1}, "the path is a text"),
        (
            {"path": "/SMTP", "versoin": "1"},
            "versoin: unknown key; the nearest known one is version",
        ),
        ({"path": "/SMTP", "version": 1}, "method and version are texts"),
        ({"path": "/SMTP", "method": None}, "method and version are texts"),
    ],
)
def test_a_bad_question_is_refused(caller: Caller, asked: object, text: str) -> None:
    answer = caller.http.post("/_mock/editions/check", json=asked)
    assert refusal(answer) == (400, answer.json()["Message"])
    assert text in answer.json()["Message"]


def test_the_inbox_says_which_editions_refuse_a_call(caller: Caller) -> None:
    caller.mock.patch_world({"lenient": True})
    body = {name: V2[name] for name in ("Host", "Port", "SenderAccount")} | {"Scope": "a"}
    answer = caller.send("2", body, path="PUT /KeyfactorAPI/SMTP")
    number = answer.headers["x-mock-request-id"]
    page = caller.http.get("/", params={"request": number}).text
    (section,) = re.findall(r'<ul class="editions">(.*?)</ul>', page, re.DOTALL)
    assert [line.strip() for line in re.findall(r"<li>(.*?)</li>", section)] == [
        "refused by 10: x-keyfactor-api-version: must be one of 1, 1.0.",
        "refused by 11: x-keyfactor-api-version: must be one of 1, 1.0.",
        "25.1 does not know /Scope (a server may ignore it)",
    ]


def test_the_inbox_is_silent_of_what_all_editions_take(caller: Caller) -> None:
    for answer in (caller.send("1", WITH_PORT), caller.send("1", None, path="/elsewhere")):
        number = answer.headers["x-mock-request-id"]
        assert "Editions" not in caller.http.get("/", params={"request": number}).text


def test_mail_from_outside_has_no_edition(mock: MockServer, caller: Caller) -> None:
    caller.send("1", WITH_PORT)
    (message,) = mock.messages
    mock._states.get().journal.exchanges.remove(lambda _: True)  # noqa: SLF001  # as if it were old
    assert "Editions" not in caller.http.get("/", params={"message": message.id}).text

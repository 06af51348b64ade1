"""GET and PUT /SMTP: the one SMTP profile of a mock."""

import gzip
import json
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from mockserver.base.data import data_folder
from mockserver.contract.operations import Contract
from support import ADMIN, V1, V2, Caller, Json, refusal

CONTRACT = Contract.load(data_folder("openapi"))
PATH = "/KeyfactorAPI/SMTP"
AUDITOR = ("auditor", "auditor-password")
OPERATOR = ("operator", "operator-password")
FORM = "application/x-www-form-urlencoded"

LOADED_1: Json = {
    "Host": "smtp.keyexample.com",
    "Id": 1,
    "Port": 25,
    "RelayAuthenticationType": 0,
    "RelayUsername": None,
    "SenderAccount": "jsmith@keyexample.com",
    "SenderName": "Keyfactor Command",
    "UseSSL": False,
}
STARS = "*" * 20
LITERAL: Json = {"SecretValue": STARS, "Parameters": {}, "Provider": None}
OAUTH: dict[str, None] = dict.fromkeys(
    ["ClientId", "ClientSecret", "TokenEndpoint", "Scope", "Audience", "RequestHeaders"]
)
LOADED: dict[str, Json] = {"1": LOADED_1, "2": {**LOADED_1, "RelayPassword": None, **OAUTH}}
CLEARED: Json = {
    **dict.fromkeys(LOADED["2"]),
    "Id": 1,
    "Port": 0,
    "RelayAuthenticationType": 0,
    "UseSSL": False,
}
FULL: Json = {
    "Host": "mail.keyexample.com",
    "Id": 1,
    "Port": 587,
    "RelayAuthenticationType": 3,
    "RelayUsername": {"SecretValue": "s3cret-user"},
    "RelayPassword": {"Provider": "2", "Parameters": {"Folder": "F", "Object": "O"}},
    "SenderAccount": "a@keyexample.com",
    "SenderName": "A",
    "UseSSL": True,
    "ClientId": {"Provider": 1, "Parameters": {"SecretName": "N"}},
    "ClientSecret": {"SecretValue": "s3cret-client"},
    "TokenEndpoint": "https://idp.keyexample.com/token",
    "Scope": "a b",
    "Audience": "mail",
    "RequestHeaders": [
        {"Name": "X-Tenant", "Value": "keyexample"},
        {"Name": "X-Api-Key", "Value": "s3cret-key"},
        {"Name": "X-Empty"},
    ],
}
SHOWN: Json = {
    **FULL,
    "RelayUsername": LITERAL,
    "RelayPassword": {
        "SecretValue": None,
        "Parameters": {"Folder": "F", "Object": "O"},
        "Provider": 2,
    },
    "ClientId": {"SecretValue": None, "Parameters": {"SecretName": "N"}, "Provider": 1},
    "ClientSecret": LITERAL,
    "RequestHeaders": [
        {"Name": "X-Tenant", "Value": "keyexample"},
        {"Name": "X-Api-Key", "Value": STARS},
        {"Name": "X-Empty", "Value": None},
    ],
}
VERSIONS = pytest.mark.parametrize("version", ["1", "2"])


def get(caller: Caller, version: str, auth: tuple[str, str] = ADMIN) -> httpx2.Response:
    headers = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": version}
    return caller.http.get(PATH, headers=headers, auth=auth)


def put(
    caller: Caller,
    version: str,
    body: Json | bytes,
    media_type: str = "application/json",
    auth: tuple[str, str] = ADMIN,
) -> httpx2.Response:
    headers = {
        "content-type": media_type,
        "x-keyfactor-requested-with": "APIClient",
        "x-keyfactor-api-version": version,
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return caller.http.put(PATH, content=content, headers=headers, auth=auth)


def profile(caller: Caller, version: str) -> Json:
    response = get(caller, version)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    found: Json = response.json()
    listed = CONTRACT.documents[version]["components"]["schemas"]["SMTPResponse"]["properties"]
    assert list(found) == list(listed)
    return found


@VERSIONS
def test_the_loaded_profile_is_shown(caller: Caller, version: str) -> None:
    assert profile(caller, version) == LOADED[version]


@VERSIONS
def test_only_version_1_of_the_profile_is_deprecated(caller: Caller, version: str) -> None:
    caller.mock.patch_world({"deprecation_header": True})
    for response in (get(caller, version), put(caller, version, {})):
        assert ("deprecation" in response.headers) is (version == "1")


def test_a_whole_profile_comes_back_without_a_secret(caller: Caller) -> None:
    response = put(caller, "2", FULL)
    assert (response.status_code, response.json()) == (200, SHOWN)
    assert profile(caller, "2") == SHOWN
    for name in ("RelayUsername", "RelayPassword", "ClientId", "ClientSecret"):
        assert list(response.json()[name]) == ["SecretValue", "Parameters", "Provider"]
    exchanges = caller.http.get("/_mock/requests").text
    for text in (response.text, exchanges, caller.http.get("/_mock/world").text):
        assert "s3cret" not in text


def test_what_was_answered_can_be_put_again(caller: Caller) -> None:
    put(caller, "2", FULL)
    assert put(caller, "2", profile(caller, "2")).json() == SHOWN
    # What was kept are the asterisks: nobody could send back the value that was hidden.
    assert profile(caller, "1")["RelayUsername"] == STARS


REFERENCE = {"SecretValue": None, "Parameters": {"a": "b"}, "Provider": 7}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, None),
        ({}, None),
        ({"SecretValue": ""}, None),
        ({"SecretValue": None, "Parameters": None, "Provider": None}, None),
        ({"SecretValue": "", "Parameters": {}, "Provider": ""}, None),
        ({"SecretValue": "x"}, LITERAL),
        ({"SecretValue": " "}, LITERAL),
        ({"SecretValue": "***", "Parameters": {}, "Provider": ""}, LITERAL),
        (LITERAL, LITERAL),
        ({"Parameters": {"a": "b"}, "Provider": "7"}, REFERENCE),
        (REFERENCE, REFERENCE),
        ({**REFERENCE, "SecretValue": ""}, REFERENCE),
        ({"Provider": 0}, {"SecretValue": None, "Parameters": None, "Provider": 0}),
        ({"Provider": "0", "Parameters": {}}, {**REFERENCE, "Parameters": {}, "Provider": 0}),
        ({"Parameters": {"a": "b"}}, {**REFERENCE, "Provider": None}),
        ({"Parameters": {"a": "b"}, "Provider": ""}, {**REFERENCE, "Provider": None}),
    ],
)
def test_a_secret_is_shown_by_its_form_and_can_be_put_again(
    caller: Caller, given: Json | None, shown: Json | None
) -> None:
    names = ("RelayUsername", "RelayPassword", "ClientId", "ClientSecret")
    for body in (dict.fromkeys(names, given), dict.fromkeys(names, shown)):
        answer = put(caller, "2", body).json()
        assert {name: answer[name] for name in names} == dict.fromkeys(names, shown)
    if shown and shown["SecretValue"] is None:
        assert profile(caller, "1")["RelayUsername"] == "UnsupportedPAMSecret"


@pytest.mark.parametrize("value", [None, "", "s3cret"])
def test_only_a_value_of_a_secret_header_is_hidden(caller: Caller, value: str | None) -> None:
    headers = [{"Name": name, "Value": value} for name in ("X-Api-Key", "X-Tenant")]
    answer = put(caller, "2", {"RequestHeaders": headers}).json()
    secret, tenant = (header["Value"] for header in answer["RequestHeaders"])
    assert (secret, tenant) == (STARS if value else value, value)


# What GET answers is what POST takes.

SENDING: Json = {
    "Host": "smtp.keyexample.com",
    "Port": 587,
    "UseSSL": True,
    "SenderAccount": "command@keyexample.com",
    "SenderName": "Keyfactor Command",
}
LOGINS: dict[str, tuple[Json, Json]] = {
    "password": (
        {
            "RelayAuthenticationType": 2,
            "RelayUsername": {"Provider": "1", "Parameters": {"SecretName": "EmailSenderUsername"}},
            "RelayPassword": {"Provider": "1", "Parameters": {"SecretName": "EmailSenderPassword"}},
        },
        {"RelayPassword": {"SecretValue": "MySuperSecretPassword"}},
    ),
    "token": (
        {
            "RelayAuthenticationType": 3,
            "ClientId": {"Provider": "1", "Parameters": {"SecretName": "EmailSenderID"}},
            "ClientSecret": {
                "Provider": "1",
                "Parameters": {"SecretName": "EmailSenderClientSecret"},
            },
            "RequestHeaders": [{"Name": "X-Api-Key", "Value": "s3cret"}],
        },
        {"ClientSecret": {"SecretValue": "MySuperSecretClientSecret"}},
    ),
}


def sent_as_shown(caller: Caller) -> httpx2.Response:
    return caller.send("2", profile(caller, "2") | {"TestRecipient": "mjones@keyexample.com"})


def test_the_loaded_profile_can_be_tried_as_it_is_shown(caller: Caller) -> None:
    assert sent_as_shown(caller).status_code == 200


@pytest.mark.parametrize("login", LOGINS)
def test_a_profile_with_references_delivers_as_it_is_shown(caller: Caller, login: str) -> None:
    put(caller, "2", SENDING | LOGINS[login][0])
    response = sent_as_shown(caller)
    assert response.status_code == 200, response.text
    (message,) = caller.messages()
    assert message["mechanism"] == {"password": "PLAIN", "token": "XOAUTH2"}[login]


@pytest.mark.parametrize(("login", "stage"), [("password", "535 5.7.8"), ("token", "HTTP 401")])
def test_a_profile_with_a_literal_logs_in_with_asterisks(
    caller: Caller, login: str, stage: str
) -> None:
    references, literal = LOGINS[login]
    put(caller, "2", SENDING | references | literal)
    response = sent_as_shown(caller)
    status, message = refusal(response)
    assert (status, stage in message) == (400, True), message
    notes = [note for note in caller.exchange(response)["lenient"] if note["kind"] == "asterisks"]
    assert {note["path"] for note in notes} == {f"/{name}" for name in literal} | (
        {"/RequestHeaders/0/Value"} if login == "token" else set()
    )
    # Where every password is right, the asterisks are too.
    body = profile(caller, "2") | {"TestRecipient": "mjones@keyexample.com"}
    if login == "password":
        assert caller.send("2", body | {"Host": "any.test"}).status_code == 200


@VERSIONS
def test_what_is_left_out_is_cleared(caller: Caller, version: str) -> None:
    put(caller, "2", FULL)
    response = put(caller, version, {})
    assert response.json() == {name: CLEARED[name] for name in LOADED[version]}
    assert profile(caller, "2") == CLEARED


@VERSIONS
def test_null_clears_a_field_too(caller: Caller, version: str) -> None:
    put(caller, "2", FULL)
    body = dict.fromkeys(LOADED[version])
    assert put(caller, version, body).json() == {name: CLEARED[name] for name in LOADED[version]}


def test_a_secret_changes_from_a_reference_to_a_literal(caller: Caller) -> None:
    put(caller, "2", {"RelayUsername": FULL["ClientId"]})
    answer = put(caller, "2", {"RelayUsername": {"SecretValue": "u"}}).json()
    assert answer["RelayUsername"] == LITERAL
    assert profile(caller, "1")["RelayUsername"] == "u"


def test_version_1_cannot_show_a_user_name_from_a_provider(caller: Caller) -> None:
    put(caller, "2", {"RelayUsername": {"Provider": "1", "Parameters": {"SecretName": "N"}}})
    assert profile(caller, "1")["RelayUsername"] == "UnsupportedPAMSecret"


def test_version_1_keeps_the_password_to_itself(caller: Caller) -> None:
    body = {"RelayUsername": "KEYEXAMPLE\\mail", "RelayPassword": "s3cret", "Id": 7}
    response = put(caller, "1", body)
    assert response.json()["RelayUsername"] == "KEYEXAMPLE\\mail"
    assert response.json()["Id"] == 1
    assert "s3cret" not in response.text
    assert profile(caller, "2")["RelayPassword"] == LITERAL


def test_reset_brings_the_loaded_profile_back(caller: Caller) -> None:
    put(caller, "2", FULL)
    caller.http.post("/_mock/reset")
    assert profile(caller, "2") == LOADED["2"]


def test_a_profile_survives_a_patch_of_the_world(caller: Caller) -> None:
    put(caller, "2", FULL)
    caller.mock.patch_world({"smtp_profile": {"Port": 26}})
    assert profile(caller, "2") == {**SHOWN, "Port": 26}


def test_asterisks_are_a_secret_to_the_api_and_none_to_a_patch(caller: Caller) -> None:
    secret = {"RelayPassword": {"SecretValue": "***"}}
    headers = {"RequestHeaders": [{"Name": "X-Api-Key", "Value": "***"}]}
    put(caller, "2", secret | headers)
    shown = profile(caller, "2")
    for body in (secret, headers):
        response = caller.http.patch("/_mock/world", json={"smtp_profile": body})
        assert (response.status_code, "only stands for a secret" in response.text) == (400, True)
    # What the API took is no fault of a patch that does not name it.
    for patch in ({"lenient": False}, {"smtp_profile": {"Host": "other.test"}}):
        assert caller.http.patch("/_mock/world", json=patch).status_code == 200
    assert profile(caller, "2") == {**shown, "Host": "other.test"}
    caller.mock.patch_world({"smtp_profile": {"RelayPassword": None}})
    assert profile(caller, "2") == {**shown, "Host": "other.test", "RelayPassword": None}


@pytest.mark.parametrize(("version", "body"), [("1", V1), ("2", V2)])
def test_a_test_mail_neither_needs_nor_changes_the_profile(
    caller: Caller, version: str, body: Json
) -> None:
    put(caller, version, {})
    assert caller.send(version, body).status_code == 200
    assert profile(caller, "2") == CLEARED


@pytest.mark.parametrize(
    ("auth", "reads", "writes"), [(AUDITOR, 200, 403), (OPERATOR, 403, 200), (ADMIN, 200, 200)]
)
@VERSIONS
def test_reading_and_writing_need_a_permission_each(
    caller: Caller, version: str, auth: tuple[str, str], reads: int, writes: int
) -> None:
    assert get(caller, version, auth).status_code == reads
    assert put(caller, version, {}, auth=auth).status_code == writes


def test_a_refused_reader_is_told_the_permission(caller: Caller) -> None:
    assert refusal(get(caller, "2", OPERATOR))[1] == (
        "User KEYEXAMPLE\\operator does not have the required permissions: /system_settings/read/."
    )


@pytest.mark.parametrize(
    ("version", "body", "names"),
    [
        ("1", {"Port": "25"}, "Port: must be an integer or null."),
        ("1", {"Port": 2**31}, "Port: must be at most 2147483647."),
        ("1", {"Host": 1}, "Host: must be a string or null."),
        (
            "1",
            {"RelayUsername": {"SecretValue": "u"}},
            "RelayUsername: must be a string or null; version 2 takes an object.",
        ),
        ("1", {"ClientId": "x"}, "ClientId: unknown"),
        (
            "2",
            {"RelayUsername": "u"},
            "RelayUsername: must be an object or null; version 1 takes a string.",
        ),
        ("2", {"RequestHeaders": [{"Name": "N"}] * 65}, "RequestHeaders: must have 64 or fewer"),
        ("2", {"ClientId": {"Provider": "x"}}, "ClientId/Provider: must be the id"),
        (
            "2",
            {"ClientId": {"SecretValue": "x", "Provider": 1}},
            "ClientId/Provider: must be absent when SecretValue is given.",
        ),
        ("2", {"Hosts": "x"}, "Hosts: unknown; the nearest known name is Host."),
        ("2", {"Host": "x", "host": "x"}, "host: given twice; Host is the same name."),
    ],
)
def test_a_bad_profile_is_refused_and_changes_nothing(
    caller: Caller, version: str, body: Json, names: str
) -> None:
    status, message = refusal(put(caller, version, body))
    assert (status, names in message) == (400, True), message
    assert profile(caller, "2") == LOADED["2"]


FIELDS: Any = [
    ("Host", "mail.keyexample.com"),
    ("Port", "587"),
    ("RelayAuthenticationType", "2"),
    ("RelayUsername", "KEYEXAMPLE\\jörg"),
    ("RelayPassword", "25"),
    ("SenderName", "true"),
    ("UseSSL", "True"),
]


@pytest.mark.parametrize("media_type", [FORM, FORM.upper() + "; charset=UTF-8"])
def test_version_1_takes_a_form(caller: Caller, media_type: str) -> None:
    response = put(caller, "1", urlencode(FIELDS).encode(), media_type)
    assert response.status_code == 200, response.text
    assert response.json() == {
        "Host": "mail.keyexample.com",
        "Id": 1,
        "Port": 587,
        "RelayAuthenticationType": 2,
        "RelayUsername": "KEYEXAMPLE\\jörg",
        "SenderAccount": None,
        "SenderName": "true",
        "UseSSL": True,
    }
    exchange = caller.exchange(response)
    assert exchange["request"]["body"]["RelayPassword"] == "***"


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (b"Port=x", "Port: must be an integer or null."),
        (b"Port=01", "Port: must be an integer or null."),
        (b"Port=1&Port=2", "Port: must be an integer or null."),
        (b"UseSSL=yes", "UseSSL: must be a boolean or null."),
        (b"Prot=1", "Prot: unknown; the nearest known name is Port."),
        (b"Host=%ff", "not a form in UTF-8"),
        (b"Host=\xff", "not a form in UTF-8"),
        (b"&".join(b"Host=a" for _ in range(101)), "at most 100 fields"),
    ],
)
def test_a_bad_form_is_refused(caller: Caller, form: bytes, names: str) -> None:
    status, message = refusal(put(caller, "1", form, FORM))
    assert (status, names in message) == (400, True), message


def test_an_empty_form_clears_the_profile(caller: Caller) -> None:
    assert put(caller, "1", b"", FORM).status_code == 200
    assert profile(caller, "2") == CLEARED


def test_a_form_with_a_content_coding_is_refused(caller: Caller) -> None:
    headers = {
        "content-type": FORM,
        "content-encoding": "gzip",
        "x-keyfactor-requested-with": "APIClient",
    }
    form = gzip.compress(b"Port=25")
    status, message = refusal(caller.http.put(PATH, content=form, headers=headers, auth=ADMIN))
    assert (status, "content coding gzip" in message) == (415, True)


def test_only_the_profile_of_version_1_takes_a_form(caller: Caller) -> None:
    assert refusal(put(caller, "2", b"Port=25", FORM))[0] == 415
    assert refusal(caller.send("1", b"Port=25", headers={"content-type": FORM}))[0] == 415
    accepted = [operation.id for operation in CONTRACT.operations if operation.takes_form]
    assert accepted == ["put_smtp_v1"]
    published = CONTRACT.documents["1"]["paths"]["/SMTP"]["put"]["requestBody"]["content"]
    assert list(published) == ["application/json"]


def test_other_methods_are_named(caller: Caller) -> None:
    response = caller.http.delete(PATH, auth=ADMIN)
    assert refusal(response)[0] == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"

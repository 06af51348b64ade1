"""GET and PUT /SMTP: the one SMTP profile of a mock."""

import gzip
import json
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from mockserver.contract import Contract
from mockserver.world import data_folder
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
NOTHING = {"SecretValue": None, "Parameters": None, "Provider": None}
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
    "RelayUsername": NOTHING,
    "RelayPassword": {**NOTHING, "Provider": 2, "Parameters": {"Folder": "F", "Object": "O"}},
    "ClientId": {**NOTHING, "Provider": 1, "Parameters": {"SecretName": "N"}},
    "ClientSecret": NOTHING,
    "RequestHeaders": [
        {"Name": "X-Tenant", "Value": "keyexample"},
        {"Name": "X-Api-Key", "Value": None},
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
    for response in (get(caller, version), put(caller, version, {})):
        assert ("deprecation" in response.headers) is (version == "1")


def test_a_whole_profile_comes_back_without_a_secret(caller: Caller) -> None:
    response = put(caller, "2", FULL)
    assert (response.status_code, response.json()) == (200, SHOWN)
    assert profile(caller, "2") == SHOWN
    exchanges = caller.http.get("/_mock/requests").text
    for text in (response.text, exchanges, caller.http.get("/_mock/world").text):
        assert "s3cret" not in text


def test_what_was_answered_can_be_put_again(caller: Caller) -> None:
    put(caller, "2", FULL)
    again = put(caller, "2", profile(caller, "2"))
    # The secrets that were given as they were are gone: nobody could send them back.
    gone = {"RelayUsername": None, "ClientSecret": None}
    assert again.json() == {**SHOWN, **gone}


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
    assert put(caller, "2", {"RelayUsername": {"SecretValue": "u"}}).json()["RelayUsername"] == (
        NOTHING
    )
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
    assert profile(caller, "2")["RelayPassword"] == NOTHING


def test_reset_brings_the_loaded_profile_back(caller: Caller) -> None:
    put(caller, "2", FULL)
    caller.http.post("/_mock/reset")
    assert profile(caller, "2") == LOADED["2"]


def test_a_profile_survives_a_patch_of_the_world(caller: Caller) -> None:
    put(caller, "2", FULL)
    caller.mock.patch_world({"smtp_profile": {"Port": 26}})
    assert profile(caller, "2") == {**SHOWN, "Port": 26}


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
        ("1", {"RelayPassword": "***"}, "RelayPassword: must be the secret itself"),
        ("1", {"ClientId": "x"}, "ClientId: unknown"),
        (
            "2",
            {"RelayUsername": "u"},
            "RelayUsername: must be an object or null; version 1 takes a string.",
        ),
        ("2", {"ClientSecret": {"SecretValue": "***"}}, "ClientSecret/SecretValue: must be the"),
        ("2", {"RequestHeaders": [{"Name": "N", "Value": "***"}]}, "RequestHeaders/0/Value: must"),
        ("2", {"RequestHeaders": [{"Name": "N"}] * 65}, "RequestHeaders: must have 64 or fewer"),
        ("2", {"ClientId": {"Provider": "x"}}, "ClientId/Provider: must be the id"),
        ("2", {"ClientId": {"SecretValue": "x", "Provider": 1}}, "when SecretValue is given"),
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

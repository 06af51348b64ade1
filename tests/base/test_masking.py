"""Masks: what shows, and what does not."""

import pickle
from copy import deepcopy
from sys import getsizeof

import pytest

from mockserver.base import masking
from mockserver.base.masking import Sealed, Secret


def test_a_secret_shows_nowhere() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]} {{'a': secret}}".count("hunter2") == 0
    assert secret.reveal() == "hunter2"


def test_secrets_compare_by_their_text() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"
    assert (bool(Secret("")), bool(Secret("a"))) == (False, True)


def test_values_of_secret_headers_are_masked() -> None:
    shown = dict(
        masking.headers(
            [
                ("authorization", "Basic YWRtaW4="),
                ("Proxy-Authorization", "Basic YWRtaW4="),
                ("cookie", "session=1"),
                ("x-api-key", "k"),
                ("X-Client-Secret", "s"),
                ("x-auth-token", "t"),
                ("x-keyfactor-api-version", "2"),
                ("accept", "*/*"),
            ]
        )
    )
    assert shown == {
        "authorization": "Basic ***",
        "Proxy-Authorization": "***",
        "cookie": "***",
        "x-api-key": "***",
        "X-Client-Secret": "***",
        "x-auth-token": "***",
        "x-keyfactor-api-version": "2",
        "accept": "*/*",
    }


SECRETS = """
X-Password X-Passwd X-Auth X-Auth-User X-JWT X-Session-Id X-Api-Key x-functions-key Set-Cookie
Proxy-Authorization Api_Key ApiKey Key Passphrase X-Client-Secret X-Access-Token Credentials
"""
PLAIN = """
SecretName SecretId SecretFieldName TokenEndpoint TokenURL KeySize KeyRetentionDays X-Keyfactor
x-keyfactor-requested-with RelayAuthenticationType Author Host Provider X-Request-Id
"""


@pytest.mark.parametrize(
    "name",
    SECRETS.split(),
)
def test_one_list_says_what_is_secret_in_headers_and_fields(name: str) -> None:
    assert masking.is_secret(name)
    assert masking.headers([(name, "v")]) == [(name, "***")]
    assert masking.body({name: "v"}) == {name: "***"}
    assert masking.body([{"Name": name, "Value": "v"}]) == [{"Name": name, "Value": "***"}]


@pytest.mark.parametrize(
    "name",
    PLAIN.split(),
)
def test_what_is_no_secret_shows(name: str) -> None:
    assert masking.headers([(name, "v")]) == [(name, "v")]
    assert masking.body({name: "v"}) == {name: "v"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Bearer t", "Bearer ***"),
        ("NTLM t", "NTLM ***"),
        ("t", "***"),
        ("Secret t", "***"),
        ("hunter2 ", "***"),
    ],
)
def test_only_a_known_scheme_is_shown(value: str, shown: str) -> None:
    assert masking.headers([("Authorization", value)]) == [("Authorization", shown)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@idp.test/token", "https://***@idp.test/token"),
        ("https://u@idp.test", "https://***@idp.test"),
        ("https://idp.test/token?key=a&v=b;c=d#e", "https://idp.test/token?key=***&v=***;c=***"),
        ("https://idp.test/token?secret", "https://idp.test/token?***"),
        ("https://idp.test/a@b?", "https://idp.test/a@b?"),
        ("no URL?a=b", "no URL?a=b"),
    ],
)
def test_a_url_shows_without_user_info_and_values(url: str, shown: str) -> None:
    assert masking.url(url) == shown
    assert masking.headers([("Referer", url)]) == [("Referer", shown)]
    assert masking.body({"TokenEndpoint": url}) == {"TokenEndpoint": shown}


KNOWN = ("Host", "RelayPassword", "ClientSecret", "RequestHeaders", "TestRecipient")


def test_a_field_that_is_nearly_a_secret_is_masked() -> None:
    assert masking.body(
        {"RelayPasword": "p", "clientsecert": {"SecretValue": "s"}, "Hst": "h", "Recipient": "r"},
        KNOWN,
    ) == {"RelayPasword": "***", "clientsecert": "***", "Hst": "h", "Recipient": "r"}
    assert masking.body({"RequestHeaders": {"X-Api-Key": "k", "X-Tenant": "t"}}, KNOWN) == {
        "RequestHeaders": {"X-Api-Key": "***", "X-Tenant": "t"}
    }
    many = {f"Field {number}": "x" for number in range(1_000)}
    shown = masking.body(many | {"host": "h"}, KNOWN)
    assert isinstance(shown, dict)
    assert list(shown.values()) == ["x"] * 20 + ["***"] * 980 + ["h"]


def test_nothing_in_the_place_of_a_secret_shows_but_a_reference() -> None:
    reference = {"Provider": "1", "Parameters": {"SecretName": "n"}}
    assert masking.body({"RelayUsername": reference}) == {"RelayUsername": reference}
    assert masking.body(
        {
            "RelayPassword": {"value": "x", "Parameters": "x", "SecretValue": None},
            "ClientId": {"Parameters": {"Password": "x", "Folder": "f"}},
            "smtpPwd": ["x"],
            "APIKey": "x",
            "RelayUsername": "user",
            "List": ["x", 1],
        }
    ) == {
        "RelayPassword": {"value": "***", "Parameters": "***", "SecretValue": None},
        "ClientId": {"Parameters": {"Password": "***", "Folder": "f"}},
        "smtpPwd": "***",
        "APIKey": "***",
        "RelayUsername": "user",
        "List": ["***", 1],
    }
    assert masking.body("x") == "***"


def test_values_in_the_place_of_a_secret_are_masked_in_valid_and_invalid_bodies() -> None:
    body = {
        "RelayPassword": "p",
        "relaypassword": 5,
        "ClientSecret": {"SecretValue": "s", "Provider": "1"},
        "ClientId": {"Provider": "1", "Parameters": {"SecretName": "n", "SecretId": "i"}},
        "Token": ["t"],
        "TokenEndpoint": "https://idp.test/token",
        "RequestHeaders": [
            {"Name": "X-Api-Key", "Value": "k"},
            {"Name": "X-Tenant", "Value": "v"},
            {"Value": "w"},
        ],
        "Secret": None,
    }
    assert masking.body([body]) == [
        {
            "RelayPassword": "***",
            "relaypassword": "***",
            "ClientSecret": {"SecretValue": "***", "Provider": "1"},
            "ClientId": {"Provider": "1", "Parameters": {"SecretName": "n", "SecretId": "i"}},
            "Token": "***",
            "TokenEndpoint": "https://idp.test/token",
            "RequestHeaders": [
                {"Name": "X-Api-Key", "Value": "***"},
                {"Name": "X-Tenant", "Value": "v"},
                {"Value": "w"},
            ],
            "Secret": None,
        }
    ]


def test_what_only_a_type_can_tell_to_be_secret_has_no_values() -> None:
    given = {
        "Properties": '{"Token":{"value":"hush"},"Port":1,"Hosts":["hush"]}',
        "properties": "hush",
        "ProviderTypeParamValues": [{"Id": 1, "Value": "hush", "Name": None}, "hush"],
    }
    assert masking.body(given) == {
        "Properties": '{"Token": {"value": "***"}, "Port": 1, "Hosts": ["***"]}',
        "properties": "***",
        "ProviderTypeParamValues": [{"Id": 1, "Value": "***", "Name": None}, "***"],
    }


def test_of_what_is_sealed_only_the_mask_shows() -> None:
    sealed = Sealed(b"hunter2", lambda octets: f"{len(octets)} octets")
    assert sealed.text == "7 octets"
    assert f"{sealed} {sealed!r} {pickle.dumps(sealed)!r}".count("hunter2") == 0
    assert deepcopy(sealed) == "7 octets" == sealed
    assert sealed == Sealed(b"7654321", lambda octets: f"{len(octets)} octets")
    assert len({sealed, Sealed(b"1234567", lambda _: "7 octets"), "7 octets"}) == 1
    assert getsizeof(Sealed(bytes(10_000), bytes.hex)) > 10_000


def test_a_mask_that_fails_shows_nothing() -> None:
    def failing(octets: bytes) -> str:
        raise RecursionError(octets)

    assert Sealed(b"hunter2", failing).text == '"***"'

"""Masks: what shows, and what does not."""

from mockserver.base import masking
from mockserver.base.masking import Secret


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

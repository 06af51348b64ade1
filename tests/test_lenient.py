"""A lenient world: what the product is believed to take, and a note of each leniency."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver import MockServer
from mockserver.contract import Contract
from mockserver.trace import Leniency
from mockserver.world import data_folder
from support import ADMIN, V1, V2, VALID, Caller, Json, calling, refusal

CONTRACT = Contract.load(data_folder("openapi"))
HEADERS = {"x-keyfactor-requested-with": "APIClient"}
WITHOUT_ID = {name: value for name, value in V1.items() if name != "Id"}
SECRET = "MySuperSecretPassword"
LOGIN2 = {
    "relayauthenticationtype": "2",
    "relayUsername": {"secretValue": "command@keyexample.com"},
    "relayPassword": {"provider": "1", "PARAMETERS": {"SecretName": "EmailSenderPassword"}},
}


@pytest.fixture(scope="module")
def lenient_caller() -> Iterator[Caller]:
    with MockServer({"lenient": True}) as mock, calling(mock) as caller:
        yield caller


@pytest.fixture
def lenient(lenient_caller: Caller) -> Caller:
    lenient_caller.mock.reset()
    return lenient_caller


def relaxed(version: str, body: object) -> tuple[object, list[Leniency]]:
    return CONTRACT.operation("/SMTP/Test", "POST", version).relaxed(body)


def note(path: str, rule: str, text: str) -> Json:
    return {"path": path, "rule": rule, "message": f"{path[1:]}: {text}."}


UNKNOWN = "additionalProperties"


@pytest.mark.parametrize(
    ("version", "body", "notes"),
    [
        ("1", WITHOUT_ID, [note("/Id", "required", "left out, taken as 1")]),
        ("1", {**V1, "Id": None}, [note("/Id", "required", "left out, taken as 1")]),
        ("1", {**WITHOUT_ID, "id": 1}, [note("/id", UNKNOWN, "taken as Id")]),
        ("1", {**V1, "Port": "25"}, [note("/Port", "type", "taken as an integer")]),
        ("1", {**V1, "Port": 25.0}, [note("/Port", "type", "taken as an integer")]),
        ("1", {**V1, "UseSSL": "False"}, [note("/UseSSL", "type", "taken as a boolean")]),
        ("1", {**V1, "SenderAddress": SECRET}, [note("/SenderAddress", UNKNOWN, "ignored")]),
        ("1", {**V1, "HOST": "x.test"}, [note("/HOST", UNKNOWN, "ignored")]),
        ("1", {**V1, "a/~b": 1}, [note("/a~1~0b", UNKNOWN, "ignored")]),
        (
            "2",
            {**V2, "port": "25", "Port": 25},
            [note("/port", UNKNOWN, "ignored")],
        ),
        (
            "2",
            {**V2, "relayAuthenticationType": "0"},
            [
                note("/relayAuthenticationType", UNKNOWN, "taken as RelayAuthenticationType"),
                note("/relayAuthenticationType", "type", "taken as an integer"),
            ],
        ),
    ],
)
def test_a_leniency_is_taken_and_noted(
    lenient: Caller, version: str, body: Json, notes: list[Json]
) -> None:
    response = lenient.send(version, body)
    assert response.status_code == 200, response.text
    exchange = lenient.exchange(response)
    assert exchange["lenient"] == notes
    assert exchange["violations"] == []
    assert exchange["request"]["body"] == body
    assert len(lenient.messages(recipient="mjones@keyexample.com")) == 1


@pytest.mark.parametrize(("version", "answer"), [("1", 1), ("2", None)])
def test_a_strict_body_has_no_notes(lenient: Caller, version: str, answer: int | None) -> None:
    response = lenient.send(version, VALID[version])
    assert lenient.exchange(response)["lenient"] == []
    assert (response.json()["Id"] if response.content else None) == answer


def test_what_is_lenient_is_refused_in_a_strict_world(caller: Caller) -> None:
    body = {**WITHOUT_ID, "port": 25, "UseSSL": "true"}
    status, message = refusal(caller.send("1", body))
    assert status == 400
    for name in ("Id: required", "port: unknown", "UseSSL: must be a boolean"):
        assert name in message


def test_leniency_goes_into_secret_objects(lenient: Caller) -> None:
    body = {**V2, **LOGIN2, "Host": "smtp.keyexample.com", "Port": 587.0, "useSsl": True} | {
        "SenderAccount": "command@keyexample.com"
    }
    response = lenient.send("2", body)
    assert response.status_code == 200, response.text
    (message,) = lenient.messages(recipient="mjones@keyexample.com")
    assert (message["username"], message["tls_mode"]) == ("command@keyexample.com", "starttls")
    exchange = lenient.exchange(response)
    assert exchange["request"]["body"]["relayUsername"] == {"secretValue": "***"}
    assert {each["path"] for each in exchange["lenient"]} == {
        *("/Port", "/useSsl", "/relayauthenticationtype"),
        *("/relayUsername", "/relayUsername/secretValue"),
        *("/relayPassword", "/relayPassword/provider", "/relayPassword/PARAMETERS"),
    }


def test_leniency_goes_into_lists_and_hides_what_is_in_them(lenient: Caller) -> None:
    body = {**V2, "requestHeaders": [{"name": "X-Api-Key", "value": SECRET, "Extra": 1}]}
    response = lenient.send("2", body)
    assert response.status_code == 200, response.text
    exchange = lenient.exchange(response)
    assert SECRET not in json.dumps(exchange)
    paths = [each["path"] for each in exchange["lenient"] if each["rule"] == UNKNOWN]
    assert paths == [
        "/requestHeaders",
        *(f"/requestHeaders/0/{name}" for name in ("name", "value", "Extra")),
    ]


def test_a_refused_body_hides_a_header_in_any_letter_case(caller: Caller) -> None:
    body = {**V2, "RequestHeaders": [{"name": "X-Api-Key", "VALUE": SECRET}]}
    response = caller.send("2", body)
    assert response.status_code == 400
    assert SECRET not in json.dumps(caller.exchange(response))


@pytest.mark.parametrize(
    ("version", "body", "names"),
    [
        ("1", {**V1, "Port": "twenty"}, "Port: must be an integer or null."),
        ("1", {**V1, "Port": "025"}, "Port: must be an integer or null."),
        ("1", {**V1, "Port": 25.5}, "Port: must be an integer or null."),
        ("1", {**V1, "Port": "65536"}, "Port: must be at most 65535."),
        ("1", {**V1, "UseSSL": "yes"}, "UseSSL: must be a boolean or null."),
        ("1", {**V1, "UseSSL": 1}, "UseSSL: must be a boolean or null."),
        ("1", {"Id": 1}, "Host: required."),
        ("2", {**V2, "RelayUsername": "u"}, "RelayUsername: must be an object or null;"),
        ("2", {**V2, "relayauthenticationtype": "2"}, "RelayPassword: required"),
    ],
)
def test_other_rules_stay(lenient: Caller, version: str, body: Json, names: str) -> None:
    status, message = refusal(lenient.send(version, body))
    assert (status, names in message) == (400, True), message


@pytest.mark.parametrize("body", [b"null", b"[]", b"[[{}]]", b'"x"', b"1.0"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_body_that_is_no_object_stays_refused(lenient: Caller, version: str, body: bytes) -> None:
    assert refusal(lenient.send(version, body))[0] == 400


def test_notes_have_a_bound(lenient: Caller) -> None:
    response = lenient.send("2", {**V2, **{f"x{number}": 1 for number in range(500)}})
    assert response.status_code == 200
    assert len(lenient.exchange(response)["lenient"]) == 100


def test_a_long_name_is_cut(lenient: Caller) -> None:
    (only,) = lenient.exchange(lenient.send("2", {**V2, "x" * 10_000: 1}))["lenient"]
    assert len(only["path"]) < 100


def test_what_the_body_has_for_another_type_is_noted_as_well(lenient: Caller) -> None:
    body = {**V1, "relayusername": "u"}
    rules = [each["rule"] for each in lenient.exchange(lenient.send("1", body))["lenient"]]
    assert rules == [UNKNOWN, "unused"]


def test_a_form_may_have_any_letter_case(lenient: Caller) -> None:
    response = lenient.http.put(
        "/KeyfactorAPI/SMTP",
        content=urlencode({"port": "587", "usessl": "TRUE", "other": "x"}).encode(),
        headers={**HEADERS, "content-type": "application/x-www-form-urlencoded"},
        auth=ADMIN,
    )
    assert response.status_code == 200, response.text
    assert (response.json()["Port"], response.json()["UseSSL"]) == (587, True)


def test_an_operation_without_a_body_has_nothing_to_relax(lenient: Caller) -> None:
    response = lenient.http.get(
        "/KeyfactorAPI/SMTP", headers={**HEADERS, "x-keyfactor-api-version": "2"}, auth=ADMIN
    )
    assert response.status_code == 200


def test_a_patch_makes_a_world_lenient_and_reset_strict(caller: Caller) -> None:
    caller.mock.patch_world({"lenient": True})
    assert caller.send("1", WITHOUT_ID).status_code == 200
    caller.mock.reset()
    assert caller.send("1", WITHOUT_ID).status_code == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = [*CONTRACT.documents["2"]["components"]["schemas"]["SMTPTestRequest"]["properties"]]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from("12"), JSON | st.dictionaries(st.sampled_from(NAMES), JSON))
def test_the_strict_form_needs_no_leniency_and_the_body_stays(version: str, body: object) -> None:
    before = json.dumps(body)
    strict, _ = relaxed(version, body)
    assert relaxed(version, strict) == (strict, [])
    assert json.dumps(body) == before


@pytest.mark.parametrize("version", ["1", "2"])
def test_letter_case_and_texts_change_nothing(version: str) -> None:
    operation = CONTRACT.operation("/SMTP/Test", "POST", version)
    body = {**VALID[version], "Port": 587, "UseSSL": True}
    sloppy = {
        name.swapcase(): json.dumps(value) if isinstance(value, int) else value
        for name, value in body.items()
    }
    strict, _ = operation.relaxed(sloppy)
    assert strict == body
    assert operation.check(HEADERS, strict) == []

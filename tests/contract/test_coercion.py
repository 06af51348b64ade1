"""What is taken and noted, in every world and in a lenient one, and what is refused."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver import MockServer
from mockserver.base.data import data_folder
from mockserver.contract.coercion import relaxed
from mockserver.contract.form import Form
from mockserver.contract.operations import Contract, Operation
from mockserver.product.keyfactor import _notes
from support import ADMIN, V1, V2, VALID, Caller, Json, calling, refusal

CONTRACT = Contract.load(data_folder("openapi"))
HEADERS = {"x-keyfactor-requested-with": "APIClient"}
FORM = "application/x-www-form-urlencoded"
WITHOUT_ID = {name: value for name, value in V1.items() if name != "Id"}
SECRET = "MySuperSecretPassword"
LOGIN1 = {
    "RelayAuthenticationType": 2,
    "RelayUsername": "command@keyexample.com",
    "RelayPassword": SECRET,
}
LOGIN2 = {
    "RelayAuthenticationType": 2,
    "RelayUsername": {"SecretValue": "command@keyexample.com"},
    "RelayPassword": {
        "Provider": "1",
        "Parameters": {"SecretName": "EmailSenderPassword"},
    },
}
OAUTH = {
    "Host": "smtp.keyexample.com",
    "Port": 587,
    "UseSSL": True,
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
    "TokenEndpoint": "https://idp.keyexample.com/oauth2/token",
    "SenderAccount": "command@keyexample.com",
}
OAUTH_FIELDS = [
    *("ClientId", "ClientSecret", "TokenEndpoint", "Scope", "Audience", "RequestHeaders"),
]
UNKNOWN = "additionalProperties"


@pytest.fixture(scope="module")
def lenient_caller() -> Iterator[Caller]:
    with MockServer({"lenient": True}) as mock, calling(mock) as caller:
        yield caller


@pytest.fixture
def lenient(lenient_caller: Caller) -> Caller:
    lenient_caller.mock.reset()
    return lenient_caller


def operation(version: str) -> Operation:
    return CONTRACT.operation("/SMTP/Test", "POST", version)


def note(kind: str, path: str, rule: str, text: str) -> Json:
    return {"path": path, "rule": rule, "message": f"{path[1:]}: {text}.", "kind": kind}


def spelled(body: Json, spell: str) -> Json:
    """Spell every name of a body by a method of `str`, but for those of Parameters."""
    return {
        getattr(name, spell)(): spelled(value, spell)
        if isinstance(value, dict) and name != "Parameters"
        else [spelled(item, spell) for item in value]
        if isinstance(value, list)
        else value
        for name, value in body.items()
    }


# The verdict of each decision, with its source: (source and case, version, body) and the kinds of
# notes of what is accepted, or a part of the message of what is refused.
VERDICTS: dict[str, tuple[str, Json, set[str] | str]] = {
    "documented: as the page has it": ("2", V2, set()),
    "observed: camelCase, as the SDK sends it": (
        "1",
        {name[0].lower() + name[1:]: value for name, value in V1.items()},
        {"letter_case"},
    ),
    "observed: upper case": ("2", spelled(V2, "upper"), {"letter_case"}),
    "observed: letter case of secret objects and lists": (
        "2",
        spelled(V2 | OAUTH | {"RequestHeaders": [{"Name": "a", "Value": "b"}]}, "lower"),
        {"letter_case"},
    ),
    "observed: letter case in a list alone": (
        "2",
        V2 | OAUTH | {"RequestHeaders": [{"Name": "a", "value": "b"}]},
        {"letter_case"},
    ),
    "observed: a name twice": ("2", V2 | {"host": "a"}, "host: given twice; Host is the same name"),
    "ours: 587.0 for 587": ("2", V2 | {"Port": 587.0}, {"whole_number"}),
    "ours: 587.5 for 587": ("2", V2 | {"Port": 587.5}, "Port: must be an integer."),
    "ours: an unknown field": (
        "2",
        V2 | {"Prot": 25},
        "Prot: unknown; the nearest known name is Port.",
    ),
    "ours: a field of the other version": (
        "1",
        V1 | {"scope": "a"},
        "scope: unknown in version 1; it belongs to version 2.",
    ),
    "ours: a text for a number": ("2", V2 | {"Port": "25"}, "Port: must be an integer."),
    "ours: a text for a number, in another letter case": (
        "2",
        spelled(V2, "lower") | {"port": "25"},
        "Port: must be an integer.",
    ),
    "ours: a text for a boolean": ("2", V2 | {"UseSSL": "true"}, "UseSSL: must be a boolean"),
    "documented: version 1 without Id": ("1", WITHOUT_ID, "Id: required."),
    "observed: credentials of another type": ("2", V2 | {"Scope": "a"}, {"unused"}),
    "observed: null for an optional field": ("2", V2 | {"Scope": None, "UseSSL": None}, set()),
    "documented: a token by the own identity provider": (
        "2",
        V2 | OAUTH | {"TokenEndpoint": None},
        {"token_endpoint"},
    ),
    "documented: a password without TLS": ("1", V1 | LOGIN1, {"plain_password"}),
    "ours: a secret of asterisks": (
        "1",
        V1 | LOGIN1 | {"Host": "relay.test", "RelayPassword": "*" * 20, "UseSSL": True},
        {"asterisks"},
    ),
}


@pytest.mark.parametrize(("version", "body", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_the_verdict_of_each_decision(
    caller: Caller, version: str, body: Json, verdict: set[str] | str
) -> None:
    response = caller.send(version, body)
    if isinstance(verdict, str):
        status, message = refusal(response)
        assert (status, verdict in message) == (400, True), message
    else:
        assert response.status_code == 200, response.text
        assert {each["kind"] for each in caller.exchange(response)["lenient"]} == verdict


# Names in any letter case, at every depth, in every world


def test_each_name_is_noted_as_it_was_sent(caller: Caller) -> None:
    body = V2 | {
        "requestHeaders": [{"name": "X-Tenant", "Value": "a"}],
        "clientid": {"secretValue": "a"},
        "ClientSecret": {"PROVIDER": 1.0, "Parameters": {"secretname": "a"}},
    }
    response = caller.send("2", body)
    assert response.status_code == 200, response.text
    exchange = caller.exchange(response)
    assert exchange["lenient"][:6] == [
        note("letter_case", "/requestHeaders", UNKNOWN, "taken as RequestHeaders"),
        note("letter_case", "/requestHeaders/0/name", UNKNOWN, "taken as Name"),
        note("letter_case", "/clientid", UNKNOWN, "taken as ClientId"),
        note("letter_case", "/clientid/secretValue", UNKNOWN, "taken as SecretValue"),
        note("letter_case", "/ClientSecret/PROVIDER", UNKNOWN, "taken as Provider"),
        note("whole_number", "/ClientSecret/PROVIDER", "type", "taken as an integer"),
    ]
    assert {each["kind"] for each in exchange["lenient"][6:]} == {"unused"}


def test_the_names_in_parameters_are_data(caller: Caller) -> None:
    body = V2 | LOGIN2 | {"relaypassword": {"provider": 1, "PARAMETERS": {"secretname": "x"}}}
    del body["RelayPassword"]
    response = caller.send("2", body)
    assert refusal(response) == (
        400,
        (
            "RelayPassword: PAM provider 1 (Local), of type local, has no parameter secretname; "
            "the nearest known is SecretName, and needs SecretName."
        ),
    )


def test_a_violation_has_the_documented_spelling(caller: Caller) -> None:
    body = V2 | {"requestheaders": [{"NAME": "a b", "value": ""}], "clientid": {"provider": "x"}}
    response = caller.send("2", body)
    assert response.status_code == 400
    assert {each["path"] for each in caller.exchange(response)["violations"]} == {
        *("/RequestHeaders/0/Name", "/RequestHeaders/0/Value"),
        *("/ClientId/Provider", "/ClientId/Parameters"),
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Host": "a", "host": "b", "HOST": "c"}, {"host": "Host", "HOST": "Host"}),
        ({"HOST": "a", "host": "b"}, {"host": "Host"}),
        ({"port": 25, "Port": 25}, {"port": "Port"}),
        ({"relayPassword": {"secretValue": "a", "SECRETVALUE": "a"}}, {
            "RelayPassword/SECRETVALUE": "SecretValue",
        }),
        ({"RequestHeaders": [{"Name": "a", "name": "a", "Value": "b"}]}, {
            "RequestHeaders/0/name": "Name",
        }),
    ],
)  # fmt: skip
@pytest.mark.parametrize("world", [{}, {"lenient": True}], ids=["strict", "lenient"])
def test_a_name_that_is_given_twice_is_refused_in_every_world(
    caller: Caller, world: Json, given: Json, told: dict[str, str]
) -> None:
    caller.mock.patch_world(world)
    body = {name: value for name, value in V2.items() if name.lower() not in map(str.lower, given)}
    response = caller.send("2", body | given)
    expected = [f"{name}: given twice; {known} is the same name." for name, known in told.items()]
    assert response.status_code == 400
    violations = caller.exchange(response)["violations"]
    assert [each["message"] for each in violations] == expected
    assert [each["path"] for each in violations] == [f"/{name}" for name in told]
    assert {each["rule"] for each in violations} == {UNKNOWN}


def test_a_letter_that_only_folds_like_another_is_another(caller: Caller) -> None:
    long_s = V2 | {"Ho\u017ft": "a"}
    status, message = refusal(caller.send("2", long_s))
    assert (status, message) == (400, "Ho\u017ft: unknown; the nearest known name is Host.")


def test_a_form_may_have_any_letter_case(caller: Caller) -> None:
    def put(form: object) -> Json:
        response = caller.http.put(
            "/KeyfactorAPI/SMTP",
            content=urlencode(form).encode(),  # type: ignore[arg-type]  # pairs or a dict
            headers={**HEADERS, "content-type": FORM},
            auth=ADMIN,
        )
        return {**response.json(), "notes": caller.exchange(response)["lenient"]}

    kept = put({"port": "587", "usessl": "TRUE", "HOST": "587"})
    assert (kept["Port"], kept["UseSSL"], kept["Host"]) == (587, True, "587")
    assert [each["path"] for each in kept["notes"]] == ["/port", "/usessl", "/HOST"]
    assert put([("port", "1"), ("Port", "2")])["Message"] == (
        "port: given twice; Port is the same name."
    )
    caller.mock.patch_world({"lenient": True})
    assert {each["kind"] for each in put({"port": "587", "x": "y"})["notes"]} == {
        *("letter_case", "unknown_field"),
    }


def test_a_camel_case_body_of_version_2_without_the_header_is_told_so(caller: Caller) -> None:
    body = spelled(V2 | OAUTH, "lower")
    status, message = refusal(caller.send(None, body))
    assert (status, message) == (
        400,
        (
            "This call is version 1, because the header x-keyfactor-api-version is absent. "
            "Id: required. RelayAuthenticationType: must be one of 0, 2; version 2 takes 3. "
            "clientid: unknown in version 1; it belongs to version 2. "
            "clientsecret: unknown in version 1; it belongs to version 2. "
            "tokenendpoint: unknown in version 1; it belongs to version 2."
        ),
    )


@pytest.mark.parametrize("wrong", [{}, {"Port": 0}], ids=["accepted", "refused"])
@pytest.mark.parametrize("spell", ["lower", "upper", "swapcase"])
def test_what_is_recorded_hides_secrets_in_any_letter_case(
    caller: Caller, spell: str, wrong: Json
) -> None:
    secrets = {
        "RelayPassword": {"SecretValue": SECRET},
        "ClientId": {"SecretValue": SECRET},
        "ClientSecret": {"Provider": "1", "Parameters": {"Password": SECRET}},
        "RequestHeaders": [{"Name": "X-Api-Key", "Value": SECRET}],
    }
    body = spelled(V2 | secrets | wrong, spell)
    response = caller.send("2", body)
    assert response.status_code == (400 if wrong else 200)
    exchange = caller.exchange(response)
    assert SECRET not in json.dumps(exchange)
    recorded = exchange["request"]["body"]
    assert list(recorded) == list(body)
    assert recorded[getattr("ClientSecret", spell)()][getattr("Provider", spell)()] == "1"
    assert recorded[getattr("Host", spell)()] == V2["Host"]


# Whole numbers


def test_a_whole_number_is_an_integer_from_there_on(caller: Caller) -> None:
    response = caller.send("1", V1 | {"Port": 587.0, "Id": -0.0, "RelayAuthenticationType": 0.0})
    assert response.status_code == 200, response.text
    answer = '"Id":0,"Port":587,"RelayAuthenticationType":0,'
    assert answer in response.text
    exchange = caller.exchange(response)
    assert '"Port":587.0' in caller.http.get(f"/_mock/requests/{exchange['id']}").text
    assert exchange["lenient"] == [
        note("whole_number", f"/{name}", "type", "taken as an integer")
        for name in ("Id", "Port", "RelayAuthenticationType")
    ]


@pytest.mark.parametrize("number", ["1e300", "-1e300", "1.7976931348623157e308", "65536.0"])
def test_a_large_number_breaks_its_bound(caller: Caller, number: str) -> None:
    body = json.dumps(V2).replace("25", number).encode()
    bound = "at least 1" if number[0] == "-" else "at most 65535"
    assert refusal(caller.send("2", body)) == (400, f"Port: must be {bound}.")


def test_a_float_stays_one_where_no_integer_is_wanted(caller: Caller) -> None:
    body = V2 | {"UseSSL": 1.0, "Host": 587.0}
    status, message = refusal(caller.send("2", body))
    assert (status, message) == (400, "Host: must be a string. UseSSL: must be a boolean or null.")


# What the product notes


def noted(body: Json) -> list[str]:
    """Give what is noted of a call that has the document's defaults, without the usual kinds."""
    filled = operation("2").filled(body)
    return [f"{each.kind} {each.path}" for each in _notes(filled)]


@pytest.mark.parametrize(
    "blank",
    [
        *(None, "", " \t\n", {}, [], {"SecretValue": ""}, {"SecretValue": None}),
        {"SecretValue": None, "Provider": None, "Parameters": None},
        {"SecretValue": "", "Provider": None, "Parameters": {}},
    ],
)
def test_what_is_blank_is_not_noted(blank: object) -> None:
    unused = dict.fromkeys(["RelayUsername", "RelayPassword", *OAUTH_FIELDS], blank)
    assert noted(V2 | unused) == []
    assert noted(V2 | OAUTH | {"TokenEndpoint": blank}) == ["token_endpoint /TokenEndpoint"]


@pytest.mark.parametrize("value", [" a", {"Provider": 0}, {"SecretValue": "*"}, [{}], 0, False])
def test_what_is_not_blank_is_noted(value: object) -> None:
    assert noted(V2 | {"Scope": value}) == ["unused /Scope"]


def test_a_token_endpoint_that_is_left_out_is_noted(caller: Caller) -> None:
    response = caller.send("2", V2 | OAUTH | {"TokenEndpoint": None})
    assert response.status_code == 200, response.text
    text = "left out; the mock's own identity provider is asked"
    assert caller.exchange(response)["lenient"] == [
        note("token_endpoint", "/TokenEndpoint", "token_endpoint", text)
    ]


@pytest.mark.parametrize(
    ("version", "body", "what"),
    [
        ("1", LOGIN1, "password"),
        ("2", LOGIN2 | {"UseSSL": False}, "password"),
        ("2", OAUTH | {"UseSSL": None}, "token"),
    ],
)
def test_a_login_without_tls_is_noted(caller: Caller, version: str, body: Json, what: str) -> None:
    response = caller.send(version, VALID[version] | body)
    text = f"false, so no TLS protects the {what}"
    expected = note("plain_password", "/UseSSL", "plain_password", text)
    assert caller.exchange(response)["lenient"] == [expected]
    response = caller.send(version, VALID[version] | body | {"UseSSL": True})
    assert caller.exchange(response)["lenient"] == []


STARS = "*" * 20


@pytest.mark.parametrize(
    ("version", "body", "fields"),
    [
        ("1", LOGIN1 | {"RelayPassword": "*"}, ["RelayPassword"]),
        ("1", LOGIN1 | {"RelayPassword": "*a*"}, []),
        (
            "2",
            LOGIN2 | {name: {"SecretValue": STARS} for name in ("RelayUsername", "RelayPassword")},
            ["RelayUsername", "RelayPassword"],
        ),
        (
            "2",
            OAUTH | {
                "ClientSecret": {"SecretValue": STARS},
                "Scope": STARS,
                "RequestHeaders": [{"Name": "a", "Value": "b"}, {"Name": "X-Key", "Value": STARS}],
            },
            ["ClientSecret", "RequestHeaders/1/Value"],
        ),
        ("2", OAUTH | {"RequestHeaders": []}, []),
    ],
)  # fmt: skip
def test_a_secret_of_asterisks_is_used_and_noted(
    caller: Caller, version: str, body: Json, fields: list[str]
) -> None:
    response = caller.send(version, VALID[version] | body | {"UseSSL": True})
    found = [each for each in caller.exchange(response)["lenient"] if each["kind"] == "asterisks"]
    text = "only asterisks, the form in which secrets are given back; it is used as it is"
    assert found == [note("asterisks", f"/{field}", "asterisks", text) for field in fields]


# A lenient world


@pytest.mark.parametrize(
    ("version", "body", "expected"),
    [
        ("1", WITHOUT_ID, [note("missing_field", "/Id", "required", "left out, taken as 1")]),
        (
            "1",
            {**V1, "Id": None},
            [note("missing_field", "/Id", "required", "left out, taken as 1")],
        ),
        ("1", {**WITHOUT_ID, "id": 1}, [note("letter_case", "/id", UNKNOWN, "taken as Id")]),
        (
            "1",
            {**V1, "Port": "25"},
            [note("text_value", "/Port", "type", "taken as an integer")],
        ),
        (
            "1",
            {**V1, "Port": 25.0},
            [note("whole_number", "/Port", "type", "taken as an integer")],
        ),
        (
            "1",
            {**V1, "UseSSL": "False"},
            [note("text_value", "/UseSSL", "type", "taken as a boolean")],
        ),
        (
            "1",
            {**V1, "SenderAddress": SECRET},
            [note("unknown_field", "/SenderAddress", UNKNOWN, "ignored")],
        ),
        ("1", {**V1, "a/~b": 1}, [note("unknown_field", "/a~1~0b", UNKNOWN, "ignored")]),
        (
            "2",
            {**V2, "relayAuthenticationType": "0"},
            [
                note(
                    "letter_case",
                    "/relayAuthenticationType",
                    UNKNOWN,
                    "taken as RelayAuthenticationType",
                ),
                note("text_value", "/relayAuthenticationType", "type", "taken as an integer"),
            ],
        ),
    ],
)
def test_a_leniency_is_taken_and_noted(
    lenient: Caller, version: str, body: Json, expected: list[Json]
) -> None:
    response = lenient.send(version, body)
    assert response.status_code == 200, response.text
    exchange = lenient.exchange(response)
    assert exchange["lenient"] == expected
    assert exchange["violations"] == []
    assert exchange["request"]["body"] == body
    assert len(lenient.messages(recipient="mjones@keyexample.com")) == 1


@pytest.mark.parametrize(("version", "answer"), [("1", 1), ("2", None)])
def test_a_strict_body_has_no_notes(lenient: Caller, version: str, answer: int | None) -> None:
    response = lenient.send(version, VALID[version])
    assert lenient.exchange(response)["lenient"] == []
    assert (response.json()["Id"] if response.content else None) == answer


def test_leniency_goes_into_secret_objects(lenient: Caller) -> None:
    login = {
        "relayauthenticationtype": "2",
        "relayUsername": {"secretValue": "command@keyexample.com", "extra": 1},
        "relayPassword": {"provider": "1", "PARAMETERS": {"SecretName": "EmailSenderPassword"}},
    }
    body = {**V2, **login, "Host": "smtp.keyexample.com", "Port": "587", "useSsl": True} | {
        "SenderAccount": "command@keyexample.com"
    }
    response = lenient.send("2", body)
    assert response.status_code == 200, response.text
    (message,) = lenient.messages(recipient="mjones@keyexample.com")
    assert (message["username"], message["tls_mode"]) == ("command@keyexample.com", "starttls")
    exchange = lenient.exchange(response)
    assert exchange["request"]["body"]["relayUsername"] == {"secretValue": "***", "extra": "***"}
    assert {each["path"] for each in exchange["lenient"]} == {
        *("/Port", "/useSsl", "/relayauthenticationtype"),
        *("/relayUsername", "/relayUsername/secretValue", "/relayUsername/extra"),
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
@pytest.mark.parametrize("version", VALID)
def test_a_body_that_is_no_object_stays_refused(
    caller: Caller, lenient: Caller, version: str, body: bytes
) -> None:
    for each in (caller, lenient):
        assert refusal(each.send(version, body))[0] == 400


def test_notes_have_a_bound(lenient: Caller) -> None:
    response = lenient.send("2", {**V2, **{f"x{number}": 1 for number in range(500)}})
    assert response.status_code == 200
    assert len(lenient.exchange(response)["lenient"]) == 100


def test_a_long_name_is_cut(lenient: Caller) -> None:
    (only,) = lenient.exchange(lenient.send("2", {**V2, "x" * 10_000: 1}))["lenient"]
    assert len(only["path"]) < 100


def test_an_operation_without_a_body_has_nothing_to_note(lenient: Caller) -> None:
    response = lenient.http.get(
        "/KeyfactorAPI/SMTP", headers={**HEADERS, "x-keyfactor-api-version": "2"}, auth=ADMIN
    )
    assert response.status_code == 200


def test_a_patch_makes_a_world_lenient_and_reset_strict(caller: Caller) -> None:
    caller.mock.patch_world({"lenient": True})
    assert caller.send("1", WITHOUT_ID).status_code == 200
    caller.mock.reset()
    assert caller.send("1", WITHOUT_ID).status_code == 400


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = [*CONTRACT.documents["2"]["components"]["schemas"]["SMTPTestRequest"]["properties"]]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    version=st.sampled_from("12"),
    body=JSON | st.dictionaries(st.sampled_from([*NAMES, "host", "PORT", "iD"]), JSON),
    lenient=st.booleans(),
)
def test_what_was_relaxed_needs_no_more_notes_and_the_body_stays(
    version: str, body: object, lenient: bool
) -> None:
    before = json.dumps(body)
    strict, _ = operation(version).relaxed(body, lenient=lenient)
    assert operation(version).relaxed(strict, lenient=lenient) == (strict, [])
    assert json.dumps(body) == before


@given(
    body=st.dictionaries(st.sampled_from([*NAMES, "Unknown"]), st.none() | st.integers()),
    swapped=st.sets(st.sampled_from([*NAMES, "Unknown"])),
)
def test_letter_case_changes_nothing_but_the_notes(body: Json, swapped: set[str]) -> None:
    sent = {name.swapcase() if name in swapped else name: value for name, value in body.items()}
    strict, noted = operation("2").relaxed(sent, lenient=False)
    wanted = {name.swapcase() if name in swapped - {*NAMES} else name for name in body}
    assert isinstance(strict, dict)
    assert (set(strict), [*strict.values()]) == (wanted, [*body.values()])
    changed = [name.swapcase() for name in body if name in swapped & {*NAMES}]
    assert [each.path for each in noted] == [f"/{name}" for name in changed]


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("1", V1),
        ("2", V2 | OAUTH | {"RequestHeaders": [{"Value": 0.5}], "Scope": ["a", {"b": 1.0}]}),
    ],
)
def test_a_body_that_is_spelled_as_documented_is_not_even_copied(version: str, body: Json) -> None:
    assert operation(version).relaxed(body, lenient=False)[0] is body


@pytest.mark.parametrize("version", VALID)
def test_letter_case_and_texts_change_nothing(version: str) -> None:
    body = {**VALID[version], "Port": 587, "UseSSL": True}
    sloppy = {
        name.swapcase(): json.dumps(value) if isinstance(value, int) else value
        for name, value in body.items()
    }
    strict, _ = operation(version).relaxed(sloppy, lenient=True)
    assert strict == body
    assert operation(version).check(HEADERS, strict) == []


def test_a_schema_that_refers_to_itself_has_an_end() -> None:
    tree: Json = {
        "properties": {
            "Left": {"$ref": "#/Tree"},
            "Right": {"anyOf": [{"$ref": "#/Tree"}, {"type": "null"}]},
            "Many": {"type": "array", "items": {"$ref": "#/Tree"}},
            "Any": {"type": "array"},
            "Size": {"type": "integer"},
        }
    }
    form = Form({"Tree": tree}, tree)
    body: Json = {"Size": 1}
    wanted: Json = {"Size": 1}
    for name in ("Left", "Right", "Left", "Right", "Left", "Right"):
        body = {name.lower(): body, "many": [{"size": 2.0}], "Any": [{"x": 1.0}]}
        wanted = {name: wanted, "Many": [{"Size": 2}], "Any": [{"x": 1.0}]}
    assert relaxed(wanted, form, lenient=False) == (wanted, [])
    for lenient in (False, True):
        strict, noted = relaxed(body, form, lenient=lenient)
        assert json.dumps(strict) == json.dumps(wanted)
        assert len(noted) == 6 * 4
    assert form.properties["Left"] is form.properties["Left"].properties["Left"]


def test_names_of_a_schema_in_parts_have_any_letter_case() -> None:
    parts = [{"properties": {"Host": {"type": "string"}}}, {"properties": {"Port": {}}}]
    strict, noted = relaxed({"host": "a", "PORT": 1}, Form({}, {"allOf": parts}), lenient=False)
    assert strict == {"Host": "a", "Port": 1}
    assert [note.path for note in noted] == ["/host", "/PORT"]

"""Secret objects: the vendor's examples, each way to go wrong, and what the trace keeps."""

import asyncio
import copy
import pickle
import time
from dataclasses import asdict
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.base import masking
from mockserver.base.problems import Kind, Problem
from mockserver.journal.trace import Trace
from mockserver.product import pam
from mockserver.world.loading import load
from mockserver.world.model import World
from support import ADMIN, ERRORS, ROOT, V2, VALID, Caller, refusal

Json = dict[str, Any]

DEFAULT = load()
FUZZ = load(ROOT / "fixtures/fuzz.yaml")
FIELD = "RelayPassword"
VALUE = "MySuperSecretPassword"


def reference(provider: object, **parameters: str) -> Json:
    return {"Provider": provider, "Parameters": parameters}


LOCAL = reference("1", SecretName="EmailSenderPassword")
CYBERARK = reference("2", Folder="MyFolderName", Object="MyEmailUserPassword")
DELINEA = reference("3", SecretId="MyEmailUserPasswordId")

# POST SMTP Test, table 888: the twelve references and the four literals.
EXAMPLES = [
    ("RelayPassword", {"SecretValue": "MySuperSecretPassword"}, "MySuperSecretPassword"),
    ("RelayPassword", LOCAL, "MySuperSecretPassword"),
    ("RelayPassword", CYBERARK, "MySuperSecretPassword"),
    ("RelayPassword", DELINEA, "MySuperSecretPassword"),
    ("RelayUsername", {"SecretValue": "command@keyexample.com"}, "command@keyexample.com"),
    ("RelayUsername", reference("1", SecretName="EmailSenderUsername"), "command@keyexample.com"),
    (
        "RelayUsername",
        reference("2", Folder="MyFolderName", Object="MyEmailUsername"),
        "command@keyexample.com",
    ),
    ("RelayUsername", reference("3", SecretId="MyEmailUserId"), "command@keyexample.com"),
    ("ClientId", {"SecretValue": "command-email"}, "command-email"),
    ("ClientId", reference("1", SecretName="EmailSenderID"), "command-email"),
    ("ClientId", reference("2", Folder="MyFolderName", Object="MyEmailClientID"), "command-email"),
    ("ClientId", reference("3", SecretId="MyEmailUserClientId"), "command-email"),
    ("ClientSecret", {"SecretValue": "MySuperSecretClientSecret"}, "MySuperSecretClientSecret"),
    (
        "ClientSecret",
        reference("1", SecretName="EmailSenderClientSecret"),
        "MySuperSecretClientSecret",
    ),
    (
        "ClientSecret",
        reference("2", Folder="MyFolderName", Object="MyEmailUserClientSecret"),
        "MySuperSecretClientSecret",
    ),
    (
        "ClientSecret",
        reference("3", SecretId="MyEmailUserClientSecretId"),
        "MySuperSecretClientSecret",
    ),
]


def resolve(value: Json, world: World = DEFAULT, trace: Trace | None = None) -> str:
    """Resolve a secret object as a call would."""
    return asyncio.run(pam.resolve(value, FIELD, world, trace or Trace())).reveal()


@pytest.mark.parametrize(("field", "value", "secret"), EXAMPLES)
def test_each_example_of_the_vendor_resolves(field: str, value: Json, secret: str) -> None:
    trace = Trace()
    found = asyncio.run(pam.resolve(value, field, DEFAULT, trace))
    assert found.reveal() == secret
    provider = value.get("Provider")
    assert [vars(read) for read in trace.secrets] == [
        {
            "field": field,
            "source": "pam" if provider else "literal",
            "provider": provider,
            "parameters": value.get("Parameters"),
        }
    ]


@pytest.mark.parametrize("provider", ["1", 1])
def test_a_provider_is_a_text_or_a_number(provider: object) -> None:
    trace = Trace()
    assert resolve({**LOCAL, "Provider": provider}, trace=trace) == VALUE
    assert trace.secrets[0].provider == "1"


@pytest.mark.parametrize(
    "value",
    [
        {**LOCAL, "SecretValue": None},
        {"SecretValue": VALUE, "Provider": None, "Parameters": None},
        reference("2", Folder="MyFolderName", Object="MyEmailUserPassword", Safe="any"),
        reference("2", Object="MyEmailUserPassword", Folder="MyFolderName"),
        reference("3", SecretId="MyEmailUserPasswordId", SecretFieldName="any"),
    ],
)
def test_null_and_optional_parameters_change_nothing(value: Json) -> None:
    assert resolve(value) == VALUE


CHANGED = load(
    {
        "pam_providers": {
            "2": {"safe": "Mail", "secrets": {"a%2Fb/c": "slash"}},
            "3": {"secret_field_name": "password"},
            "4": {"name": "Bare", "type": "local"},
            "5": {"name": "Open", "type": "any", "secrets": {"1/2": "both", "2": "one"}},
        }
    }
)


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        (CYBERARK, VALUE),
        (reference("2", **CYBERARK["Parameters"], Safe="Mail"), VALUE),
        (reference("2", Folder="a/b", Object="c"), "slash"),
        (reference("3", **DELINEA["Parameters"], SecretFieldName="password"), VALUE),
        (reference("5", a="1", b="2"), "both"),
        (reference("5", b="2", a="1"), "both"),
        (reference("5", Whatever="2"), "one"),
    ],
)
def test_a_changed_world_resolves(value: Json, secret: str) -> None:
    assert resolve(value, CHANGED) == secret


@given(
    provider=st.integers(0, 2**31 - 1).map(str) | st.sampled_from(["01", "1"]),
    parameters=st.dictionaries(st.text(), st.text(), min_size=1, max_size=4),
)
def test_the_world_for_fuzzing_knows_every_secret(provider: str, parameters: Json) -> None:
    assert resolve({"Provider": provider, "Parameters": parameters}, FUZZ) == "fuzz-secret"


WRONG: dict[str, tuple[World, Json, str]] = {
    "unknown provider": (
        DEFAULT,
        {**LOCAL, "Provider": 7},
        "no PAM provider with the id 7; known: 1, 2, 3, 91, 92, 93",
    ),
    "an id with a zero before it": (
        DEFAULT,
        {**LOCAL, "Provider": "01"},
        "the id 01",
    ),
    "no provider at all": (
        load({"pam_providers": dict.fromkeys(DEFAULT.pam_providers)}),
        LOCAL,
        "known: none",
    ),
    "unknown secret": (
        DEFAULT,
        reference("1", SecretName="EmailSenderPasswort"),
        "no such secret; the nearest known is EmailSenderPassword",
    ),
    "unknown folder": (
        DEFAULT,
        reference("2", Folder="Other", Object="MyEmailUserPassword"),
        "no such secret; the nearest known is MyFolderName/MyEmailUserPassword",
    ),
    "a provider without secrets": (
        CHANGED,
        reference("4", SecretName="x"),
        "no such secret; it has none",
    ),
    "another safe": (
        CHANGED,
        reference("2", **CYBERARK["Parameters"], Safe="mail"),
        "has another Safe: Mail",
    ),
    "another field of the secret": (
        CHANGED,
        reference("3", **DELINEA["Parameters"], SecretFieldName="notes"),
        "has another SecretFieldName: password",
    ),
    "a missing parameter": (
        DEFAULT,
        reference("2", Folder="MyFolderName"),
        "of type cyberark, needs Object",
    ),
    "optional parameters only": (
        DEFAULT,
        reference("2", Safe="x"),
        "needs Folder and Object",
    ),
    "an extra parameter": (
        DEFAULT,
        reference("1", SecretName="EmailSenderPassword", Version="2"),
        "has no parameter Version; the nearest known is SecretName",
    ),
    "a misspelt parameter": (
        DEFAULT,
        reference("2", folder="MyFolderName", Object="MyEmailUserPassword"),
        "has no parameter folder; the nearest known is Folder, and needs Folder",
    ),
    "a parameter that cannot be printed": (
        DEFAULT,
        reference("1", **{"SecretName\r\n" + "x" * 1_000: "a"}),
        r"SecretName\r\nxxx",
    ),
    "parameters of another type": (
        DEFAULT,
        reference("1", SecretId="MyEmailUserPasswordId"),
        "has no parameter SecretId, which belongs to type delinea, and needs SecretName",
    ),
    "sealed": (
        DEFAULT,
        {**LOCAL, "Provider": "91"},
        "PAM provider 91 (Sealed vault) is sealed",
    ),
    "empty": (
        DEFAULT,
        {**LOCAL, "Provider": "93"},
        "PAM provider 93 (Empty vault) gave an empty value",
    ),
}


@pytest.mark.parametrize(("world", "value", "names"), WRONG.values(), ids=WRONG.keys())
def test_a_look_up_that_fails_says_where_and_why(world: World, value: Json, names: str) -> None:
    trace = Trace()
    with pytest.raises(Problem) as caught:
        resolve(value, world, trace)
    problem = caught.value
    assert problem.kind is Kind.SECRET
    assert names in problem.message
    number = str(value["Provider"])
    assert problem.message.startswith(f"{FIELD}: ")
    if number in world.pam_providers:
        assert f"PAM provider {number} ({world.pam_providers[number].name})" in problem.message
    assert VALUE not in problem.message
    assert problem.message.isprintable()
    assert len(problem.message) < 300
    (looked_up,) = trace.secrets
    assert looked_up.provider == number


def test_a_slow_provider_takes_its_time() -> None:
    world = load({"pam_providers": {"92": {"delay": 0.2}}})
    started = time.perf_counter()
    assert resolve({**LOCAL, "Provider": "92"}, world) == VALUE
    assert time.perf_counter() - started >= 0.19


def test_a_secret_in_the_wrong_place_is_masked_in_the_trace() -> None:
    trace = Trace()
    with pytest.raises(Problem) as caught:
        resolve(reference("1", SecretValue="hunter2", Password="hunter2"), trace=trace)
    assert "hunter2" not in caught.value.message
    assert trace.secrets[0].parameters == {"SecretValue": "***", "Password": "***"}


# End to end

BASIC: Json = {
    "Host": "smtp.keyexample.com",
    "Port": 587,
    "UseSSL": True,
    "RelayAuthenticationType": 2,
    "SenderAccount": "command@keyexample.com",
}
SOURCES = {
    "literal": ("command@keyexample.com", VALUE),
    "local": (reference("1", SecretName="EmailSenderUsername"), LOCAL),
    "cyberark": (reference("2", Folder="MyFolderName", Object="MyEmailUsername"), CYBERARK),
    "delinea": (reference("3", SecretId="MyEmailUserId"), DELINEA),
}


def login(username: object, password: object) -> Json:
    """Give the two secrets of type 2 to a working body of version 2; a text is a literal."""
    fields = {"RelayUsername": username, "RelayPassword": password}
    secrets = {
        field: {"SecretValue": value} if isinstance(value, str) else value
        for field, value in fields.items()
    }
    return V2 | BASIC | secrets


@pytest.mark.parametrize("password", SOURCES)
@pytest.mark.parametrize("username", SOURCES)
def test_a_login_from_any_two_sources_works(caller: Caller, username: str, password: str) -> None:
    response = caller.send("2", login(SOURCES[username][0], SOURCES[password][1]))
    assert response.status_code == 200
    (message,) = caller.messages()
    assert (message["mechanism"], message["username"]) == ("PLAIN", "command@keyexample.com")
    secrets = caller.exchange(response)["secrets"]
    assert [(entry["field"], entry["source"]) for entry in secrets] == [
        ("RelayUsername", "literal" if username == "literal" else "pam"),
        ("RelayPassword", "literal" if password == "literal" else "pam"),
    ]
    assert VALUE not in str(caller.exchange(response))


def test_version_1_records_its_literals(caller: Caller) -> None:
    names = {"RelayUsername": "command@keyexample.com", "RelayPassword": VALUE}
    response = caller.send("1", VALID["1"] | BASIC | names)
    assert response.status_code == 200
    assert caller.exchange(response)["secrets"] == [
        {"field": field, "source": "literal", "provider": None, "parameters": None}
        for field in ("RelayUsername", "RelayPassword")
    ]


@pytest.mark.parametrize("field", ["RelayUsername", "RelayPassword"])
def test_nothing_is_sent_when_a_secret_is_missing(caller: Caller, field: str) -> None:
    sealed = {**LOCAL, "Provider": "91"}
    response = caller.send("2", login("command@keyexample.com", VALUE) | {field: sealed})
    status, message = refusal(response)
    assert (status, message) == (400, f"{field}: PAM provider 91 (Sealed vault) is sealed.")
    assert response.json()["ErrorCode"] == ERRORS["secret"].code
    assert caller.messages() == []
    exchange = caller.exchange(response)
    assert exchange["delivery"] is None
    assert exchange["secrets"][-1]["provider"] == "91"


# As GET /SMTP shows an id, it is a number of 32 bits.
@pytest.mark.parametrize("provider", ["2147483648", "9999999999", "00000000001", 2147483648])
def test_an_id_that_no_provider_can_have_is_refused(caller: Caller, provider: object) -> None:
    body = login("command@keyexample.com", {**LOCAL, "Provider": provider})
    limit = "must be the id of a PAM provider in digits, at most 2147483647."
    if not isinstance(provider, str):
        limit = "must be at most 2147483647."
    for response in (caller.send("2", body), put(caller, body)):
        assert refusal(response) == (400, f"RelayPassword/Provider: {limit}")


@pytest.mark.parametrize("provider", ["2147483647", 2147483647, "0000000012"])
def test_a_profile_shows_the_id_of_its_provider_as_a_number(
    caller: Caller, provider: object
) -> None:
    body = login("command@keyexample.com", {**LOCAL, "Provider": provider})
    response = put(caller, body)
    assert response.status_code == 200
    assert response.json()["RelayPassword"]["Provider"] == int(str(provider))
    assert f"no PAM provider with the id {provider};" in refusal(caller.send("2", body))[1]


def put(caller: Caller, body: Json) -> httpx2.Response:
    headers = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": "2"}
    profile = {name: value for name, value in body.items() if name != "TestRecipient"}
    return caller.http.put("/KeyfactorAPI/SMTP", json=profile, auth=ADMIN, headers=headers)


UNUSED = {
    "RelayUsername": {"SecretValue": "a"},
    "RelayPassword": {"Provider": "7", "Parameters": {"a": "b"}},
    "ClientId": {"SecretValue": "a"},
    "ClientSecret": {"Provider": "7", "Parameters": {"a": "b"}},
    "TokenEndpoint": "https://idp-down.test/token",
    "Scope": "a",
    "Audience": "b",
    "RequestHeaders": [{"Name": "a", "Value": "b"}],
}
OAUTH_FIELDS = list(UNUSED)[2:]


@pytest.mark.parametrize(
    ("version", "body", "given", "unused"),
    [
        ("1", VALID["1"], {"RelayUsername": "a"}, ["RelayUsername"]),
        ("1", VALID["1"], {"RelayPassword": "a"}, ["RelayPassword"]),
        ("1", VALID["1"], {"RelayPassword": None}, []),
        ("2", V2, {"RequestHeaders": [], "Scope": None}, []),
        ("2", V2, UNUSED, list(UNUSED)),
        *(("2", V2, {field: UNUSED[field]}, [field]) for field in UNUSED),
        (
            "2",
            login("command@keyexample.com", VALUE),
            {field: UNUSED[field] for field in OAUTH_FIELDS},
            OAUTH_FIELDS,
        ),
        ("2", login("command@keyexample.com", VALUE), {}, []),
    ],
)
def test_what_belongs_to_another_authentication_type_is_noted_and_not_read(
    caller: Caller, version: str, body: Json, given: Json, unused: list[str]
) -> None:
    response = caller.send(version, body | given)
    assert response.status_code == 200
    exchange = caller.exchange(response)
    kind = body.get("RelayAuthenticationType", 0)
    assert [each for each in exchange["lenient"] if each["kind"] == "unused"] == [
        {
            "path": f"/{field}",
            "rule": "unused",
            "message": f"{field}: not used when RelayAuthenticationType is {kind}.",
            "kind": "unused",
        }
        for field in unused
    ]
    assert {entry["field"] for entry in exchange["secrets"]}.isdisjoint(unused)


# Required if: version x authentication type x field (POST SMTP Test, tables 888 and 889)

SENDER = {"SenderAccount": "command@keyexample.com"}
SECRETS = {
    "RelayUsername": "command@keyexample.com",
    "RelayPassword": VALUE,
    "ClientId": "command-email",
    "ClientSecret": "MySuperSecretClientSecret",
}
GIVEN: dict[str, Json] = {
    "1": {field: SECRETS[field] for field in ("RelayUsername", "RelayPassword")},
    "2": {field: {"SecretValue": secret} for field, secret in SECRETS.items()}
    | {
        "TokenEndpoint": "https://idp.keyexample.com/token",
        "Scope": "smtp.send",
        "Audience": "smtp.keyexample.com",
        "RequestHeaders": [{"Name": "X-Tenant", "Value": "keyexample"}],
    },
}
REQUIRED = {0: [], 2: list(SECRETS)[:2], 3: list(SECRETS)[2:]}
OPTIONAL = {0: [], 2: [], 3: ["TokenEndpoint", "Scope", "Audience", "RequestHeaders"]}
CELLS = [
    (version, kind, field)
    for version, kinds in (("1", (0, 2)), ("2", (0, 2, 3)))
    for kind in kinds
    for field in GIVEN[version]
]


@pytest.mark.parametrize(("version", "kind", "field"), CELLS)
def test_a_field_is_required_optional_or_meaningless(
    caller: Caller, version: str, kind: int, field: str
) -> None:
    login = {name: GIVEN[version][name] for name in REQUIRED[kind] if name != field}
    body = VALID[version] | SENDER | {"RelayAuthenticationType": kind} | login

    accepted = caller.send(version, body | {field: GIVEN[version][field]})
    assert accepted.status_code == 200, accepted.text
    meaningless = field not in REQUIRED[kind] + OPTIONAL[kind]
    notes = caller.exchange(accepted)["lenient"]
    noted = [entry["path"] for entry in notes if entry["kind"] == "unused"]
    assert noted == ([f"/{field}"] if meaningless else [])

    status, message = refusal(caller.send(version, body | {field: 1}))
    assert status == 400
    assert f"{field}: " in message

    blank = {"SecretValue": ""} if isinstance(GIVEN[version][field], dict) else ""
    response = caller.send(version, body | {field: [] if field == "RequestHeaders" else blank})
    assert response.status_code == (400 if field in REQUIRED[kind] else 200), response.text

    absent = caller.send(version, body)
    if field in REQUIRED[kind]:
        assert refusal(absent) == (
            400,
            f"{field}: required when RelayAuthenticationType is {kind}.",
        )
    else:
        assert absent.status_code == 200, absent.text


@pytest.mark.parametrize("secret", [LOCAL, CYBERARK, DELINEA])
def test_a_call_with_a_look_up_can_be_copied_and_sent_to_another_process(
    caller: Caller, secret: Json
) -> None:
    body = {**V2, "RelayAuthenticationType": 2, "RelayUsername": {"SecretValue": "x"}}
    caller.send("2", body | {FIELD: secret})
    (exchange,) = caller.mock.requests
    assert exchange.secrets[-1].parameters == masking.body(secret["Parameters"])
    for copied in (copy.deepcopy(exchange), pickle.loads(pickle.dumps(exchange))):
        assert copied == exchange
    assert asdict(exchange)["secrets"] == tuple(asdict(each) for each in exchange.secrets)

"""The documents as validators, code generators and fuzzers read them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mockserver.base.data import data_folder
from mockserver.contract.operations import Contract, Operation
from support import ADMIN, ERRORS, V1, V2, VALID, Caller

Json = dict[str, Any]

FOLDER = data_folder("openapi")
CONTRACT = Contract.load(FOLDER)
VERSIONS = [*CONTRACT.documents]
OF_SMTP = [*VALID]
HEADERS = {"x-keyfactor-requested-with": "APIClient"}
EXAMPLES = [
    pytest.param(operation, example["value"], id=f"{operation.id}-{name}")
    for operation in CONTRACT.operations
    if operation.body
    for name, example in CONTRACT.documents[operation.version]["paths"][operation.path][
        operation.method.lower()
    ]["requestBody"]["content"]["application/json"]["examples"].items()
]
SHARED = {
    "parameters": [
        "ProviderId", "QueryString", "PageReturned", "ReturnLimit", "SortField", "SortAscending",
    ],
    "schemas": [
        "Error", "PamParameterDataType", "ListedTypeResponse", "ProviderTypeResponse",
        "ProviderTypeParamResponse", "ProviderTypeParamValue", "ProviderTypeParameter",
    ],
}  # fmt: skip
# POST SMTP Test, table 890
ANSWERED = [
    "Host", "Id", "Port", "RelayAuthenticationType", "RelayUsername", "SenderAccount", "SenderName",
    "TestRecipient", "UseSSL",
]  # fmt: skip


def schema(version: str, name: str) -> Json:
    found: Json = CONTRACT.documents[version]["components"]["schemas"][name]
    return found


def operation_object(operation: Operation) -> Json:
    paths = CONTRACT.documents[operation.version]["paths"]
    found: Json = paths[operation.path][operation.method.lower()]
    return found


def resolved(version: str, node: Json) -> Json:
    found: Json = CONTRACT.documents[version]
    if "$ref" not in node:
        return node
    for part in node["$ref"].split("/")[1:]:
        found = found[part]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_is_openapi_3_1(version: str) -> None:
    document = CONTRACT.documents[version]
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/KeyfactorAPI"}]
    OpenAPIV31SpecValidator(document).validate()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_can_be_sent_as_json(version: str) -> None:
    document = CONTRACT.documents[version]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize(("operation", "body"), EXAMPLES)
def test_an_example_keeps_its_own_contract(operation: Operation, body: Json) -> None:
    assert operation.check(HEADERS, body) == []


@pytest.mark.parametrize("version", OF_SMTP)
def test_the_example_of_a_field_is_accepted(version: str) -> None:
    properties = schema(version, "SMTPTestRequest")["properties"]
    assert all("example" in field and "description" in field for field in properties.values())
    body = {name: field["example"] for name, field in properties.items()}
    assert CONTRACT.operation("/SMTP/Test", "POST", version).check(HEADERS, body) == []


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_each_way_to_authenticate_requires_the_same_permission(operation: Operation) -> None:
    assert operation_object(operation)["security"] == [
        {scheme: list(operation.permissions)} for scheme in ("Basic", "Bearer")
    ]


ALWAYS = (
    "Api-Supported-Versions",
    "X-Keyfactor-Correlation-Id",
    "X-Keyfactor-Product-Version",
    "X-Mock-Request-Id",
)


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_every_answer_names_its_call_and_its_error(operation: Operation) -> None:
    for status, response in operation_object(operation)["responses"].items():
        answer = resolved(operation.version, response)
        assert set(ALWAYS) <= set(answer["headers"])
        if status == "401":
            assert "WWW-Authenticate" in answer["headers"]
            assert "content" not in answer
        elif status not in {"200", "204"}:
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_example_of_a_refusal_has_a_code_of_the_world(version: str) -> None:
    found = CONTRACT.documents[version]["components"]["responses"]
    bodies = [
        answer["content"]["application/json"] for answer in found.values() if "content" in answer
    ]
    codes = {told.code for told in ERRORS.values()}
    assert bodies
    assert {body["example"]["ErrorCode"] for body in bodies} <= codes


# Operations whose body names something that may not be there.
REFERRING = ("POST /PamProviders", "PUT /PamProviders")


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_every_answer_that_can_come_is_documented(operation: Operation) -> None:
    assert (operation.status == 204) >= (operation.path == "/Status/HealthCheck")
    expected = [
        str(operation.status),
        "400",
        "401",
        "403",
        "408",
        "413",
        "415",
        "429",
        "431",
        "503",
    ]
    refers = "{" in operation.path or f"{operation.method} {operation.path}" in REFERRING
    expected += ["404"] if refers else []
    answers = operation_object(operation)["responses"]
    assert sorted(answers) == sorted(expected)
    is_list = any(parameter.name == "ReturnLimit" for parameter in operation.parameters)
    silent = {"401", "204"} | ({"200"} if operation.id == "test_smtp_v2" else set())
    for status, response in answers.items():
        answer = resolved(operation.version, response)
        assert set(answer["headers"]) == {
            *ALWAYS,
            *(["WWW-Authenticate"] if status == "401" else []),
            *(["Retry-After"] if status in {"429", "503"} else []),
            *(["Accept-Encoding"] if status == "415" else []),
            *(["Deprecation"] if status == "200" and operation.deprecated else []),
            *(["x-total-count"] if status == "200" and is_list else []),
        }
        assert ("content" in answer) is (status not in silent)


LISTING = ["QueryString", "PageReturned", "ReturnLimit", "SortField", "SortAscending"]
# name: place, whether it is required, default, whether it is a number
PARAMETERS: dict[str, tuple[str, bool, object, bool]] = {
    "x-keyfactor-requested-with": ("header", True, "APIClient", False),
    "x-keyfactor-api-version": ("header", False, None, False),
    "id": ("path", True, None, True),
    "QueryString": ("query", False, "", False),
    "PageReturned": ("query", False, 1, True),
    "ReturnLimit": ("query", False, 50, True),
    "SortField": ("query", False, "Name", False),
    "SortAscending": ("query", False, 0, True),
}


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_an_operation_has_the_headers_and_what_its_path_asks_for(operation: Operation) -> None:
    found = [
        resolved(operation.version, each) for each in operation_object(operation)["parameters"]
    ]
    names = [parameter["name"] for parameter in found]
    assert names[:2] == ["x-keyfactor-requested-with", "x-keyfactor-api-version"]
    in_path = [parameter["name"] for parameter in found if parameter["in"] == "path"]
    assert in_path == re.findall(r"{(.+?)}", operation.path)
    is_list = (operation.method, operation.path) == ("GET", "/PamProviders")
    assert names[2:] == LISTING or not is_list
    for parameter in found:
        if parameter["name"] not in PARAMETERS:
            continue
        place, required, default, number = PARAMETERS[parameter["name"]]
        if parameter["name"] == "x-keyfactor-api-version":
            default = operation.version
        assert (parameter["in"], parameter["required"]) == (place, required)
        assert parameter["schema"].get("default") == default
        assert parameter["schema"]["type"] == ("integer" if number else "string")
        if default is not None:
            assert parameter["schema"].get("enum", [default]).count(default) == 1


PERMISSIONS = {
    "test_smtp": ["/system_setting/modify/"],
    "get_smtp": ["/system_settings/read/"],
    "put_smtp": ["/system_setting/modify/"],
    "get_pam_providers": ["/pam/read/"],
    "get_pam_provider_types": ["/pam/read/"],
    "get_pam_provider": ["/pam/read/{id}/"],
    "post_pam_providers": ["/pam/modify/"],
    "put_pam_providers": ["/pam/modify/"],
    "post_pam_provider_types": ["/pam/modify/"],
    "delete_pam_provider": ["/pam/modify/{id}/"],
    "get_status_endpoints": [],
    "get_health_check": [],
    "get_my_permissions": [],
}


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_an_operation_requires_its_permission(operation: Operation) -> None:
    found = list(operation.permissions)
    assert found == PERMISSIONS.get(operation.id.rpartition("_")[0], found)
    assert all(re.fullmatch("/([^/]+/)+", permission) for permission in found)


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_a_body_is_required_where_there_is_one(operation: Operation) -> None:
    body = operation_object(operation).get("requestBody")
    assert (body is None) is (operation.method in {"GET", "DELETE"})
    if body:
        assert body["required"] is True
        assert operation.takes_form is (operation.id == "put_smtp_v1")


def nodes(value: object) -> Iterator[Json]:
    """Give every object of a document that is no example."""
    if isinstance(value, dict):
        yield value
        for name, item in value.items():
            if name not in {"example", "examples"}:
                yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_integer_is_an_int32_but_where_it_may_be_a_text(version: str) -> None:
    integers = [
        node for node in nodes(CONTRACT.documents[version]) if "integer" in node.get("type", ())
    ]
    assert integers
    for node in integers:
        assert ("format" in node) is ("string" not in node["type"])
        assert node.get("format", "int32") == "int32"


@pytest.mark.parametrize("version", OF_SMTP)
def test_what_only_goes_in_is_a_password(version: str) -> None:
    secrets = [
        node
        for node in nodes(CONTRACT.documents[version])
        if "writeOnly" in node or node.get("format") == "password"
    ]
    assert len(secrets) == 2
    for node in secrets:
        assert (node["writeOnly"], node["format"]) == (True, "password")


# What an answer may have as null; whoever generates a client relies on it.
NULLABLE = {
    "SMTPTestResponse": {"RelayUsername", "TestRecipient"},
    "SMTPResponse": {
        *("Host", "RelayUsername", "RelayPassword", "SenderAccount", "SenderName", "ClientId"),
        *("ClientSecret", "TokenEndpoint", "Scope", "Audience", "RequestHeaders"),
    },
    "SecretResponse": {"SecretValue", "Parameters", "Provider"},
    "RequestHeaderResponse": {"Value"},
    "ProviderResponseLegacy": {"Name", "ProviderTypeParamValues", "SecuredAreaId"},
    "ProviderResponse": {"Name", "ProviderTypeParamValues"},
    "ListedTypeResponse": {"Name", "Parameters"},
    "ProviderTypeResponse": {"Name", "ProviderTypeParams"},
    "ProviderTypeParamResponse": {"Name", "DisplayName", "ProviderType"},
    "ProviderTypeParamValue": {"Value", "InstanceId", "InstanceGuid"},
    "ProviderTypeParameter": {"Name", "DisplayName"},
    "MyPermissionsResponse": set[str](),
    "Error": set[str](),
}


def takes_null(node: Json) -> bool:
    return "null" in node.get("type", ()) or any(map(takes_null, node.get("anyOf", ())))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_may_be_null_in_an_answer(version: str) -> None:
    schemas = CONTRACT.documents[version]["components"]["schemas"]
    for name in set(schemas) & set(NULLABLE):
        properties = schemas[name]["properties"]
        assert {each for each, node in properties.items() if takes_null(node)} == {
            each for each in NULLABLE[name] if each in properties
        }, name


# What really comes, and what a schema that has become too wide would let pass


def answers(caller: Caller, version: str) -> dict[str, Any]:
    """Give a full answer of each kind, by the path of its operation."""
    secret = {"Provider": "1", "Parameters": {"SecretName": "EmailSenderPassword"}}
    names = ("RelayUsername", "RelayPassword", "ClientId", "ClientSecret")
    profile: Json = V1 | {"RelayUsername": "a"}
    if version == "2":
        headers = [{"Name": "X-Tenant", "Value": "a"}]
        profile = V2 | {"RequestHeaders": headers} | dict.fromkeys(names, secret)
        profile |= {"TokenEndpoint": "https://idp.test/", "Scope": "a", "Audience": "a"}
    profile.pop("TestRecipient")
    found = {}
    caller.mock.patch_world({"pam_providers": {"2": {"safe": "MySafe"}}})
    for method, path in (
        *(("PUT", "/SMTP"), ("POST", "/SMTP/Test"), ("GET", "/PamProviders")),
        *(("GET", "/PamProviders/{id}"), ("GET", "/PamProviders/Types")),
        ("GET", "/Security/My/Permissions"),
        ("GET", "/Status/Endpoints"),
    ):
        sent = {"PUT": profile, "POST": V1 | {"RelayUsername": "a"}}.get(method)
        response = caller.http.request(
            method,
            "/KeyfactorAPI" + path.format(id=2),
            json=sent,
            auth=ADMIN,
            headers={
                "x-keyfactor-requested-with": "APIClient",
                "x-keyfactor-api-version": version,
            },
        )
        if response.status_code == 200:
            found[f"{method} {path}"] = response.json()
    return found


def spoiled(value: Any) -> Iterator[Any]:  # noqa: ANN401  # any JSON
    """Give values that are wrong in one place: another type, a member too many or too few."""
    yield [[value]] if isinstance(value, dict) else {"x": value}
    if isinstance(value, dict):
        yield {**value, "Unknown": None}
        for name, item in value.items():
            if name != "SecretName":  # what a vault is asked with has names of its own
                yield {each: value[each] for each in value if each != name}
            for wrong in spoiled(item):
                yield {**value, name: wrong}
    elif isinstance(value, list):
        for wrong in [each for item in value[:1] for each in spoiled(item)]:
            yield [wrong, *value[1:]]
    else:
        yield [value]
        yield "no uuid" if isinstance(value, int) or value is None else -7


@pytest.mark.parametrize("version", OF_SMTP)
def test_only_a_whole_answer_keeps_the_schema(caller: Caller, version: str) -> None:
    document = CONTRACT.documents[version]
    found = answers(caller, version)
    assert len(found) == {"1": 7, "2": 4}[version]
    for name, answer in found.items():
        method, _, path = name.partition(" ")
        responses = document["paths"][path][method.lower()]["responses"]
        place = responses["200"]["content"]["application/json"]["schema"]
        schema = jsonschema_rs.Draft202012Validator(
            {**document, **place}, validate_formats=True, offline=True
        )
        schema.validate(answer)
        for wrong in spoiled(answer):
            assert not schema.is_valid(wrong), (name, wrong)


@pytest.mark.parametrize("version", OF_SMTP)
def test_only_a_whole_refusal_keeps_the_schema(caller: Caller, version: str) -> None:
    document = CONTRACT.documents[version]
    error = jsonschema_rs.Draft202012Validator(
        {**document, "$ref": "#/components/schemas/Error"}, offline=True
    )
    refused = caller.send(version, {}).json()
    error.validate(refused)
    for wrong in spoiled(refused):
        assert not error.is_valid(wrong), wrong
    for code in ("0x1", "0xa011f001", "A011F001", "0xA011F0010"):
        assert not error.is_valid(refused | {"ErrorCode": code})
    assert not error.is_valid(refused | {"Message": ""})
    assert error.is_valid(refused | {"Message": "x"})


@pytest.mark.parametrize("version", OF_SMTP)
def test_a_parameter_of_a_vault_is_a_text_or_a_secret(version: str) -> None:
    kind = schema(version, "PamParameterDataType")
    valid = [number for number in range(-1, 5) if jsonschema_rs.is_valid(kind, number)]
    assert valid == [1, 2]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_schema_says_its_type(version: str) -> None:
    # What an enum or a condition says already, a code generator wants to read there too.
    schemas = CONTRACT.documents[version]["components"]["schemas"]
    for name, found in schemas.items():
        properties = found.get("properties", {})
        for place, node in {"": found, **properties}.items():
            assert {"type", "anyOf", "$ref"} & set(node), (name, place)


UUID = "16fc28fa-d2e4-4152-9895-ebf261b011b5"


@pytest.mark.parametrize(
    ("name", "field", "good", "bad"),
    [
        ("ProviderResponseLegacy", "SecuredAreaId", 1, "1"),
        ("ProviderTypeParamValue", "InstanceId", 1, "1"),
        ("ProviderTypeParamValue", "InstanceGuid", UUID, "no uuid"),
        ("ProviderTypeResponse", "Id", UUID, "no uuid"),
    ],
)
def test_what_only_the_product_gives_is_described_too(
    name: str, field: str, good: object, bad: object
) -> None:
    found = schema("1", name)["properties"][field]
    valid = [jsonschema_rs.is_valid(found, value, validate_formats=True) for value in (good, bad)]
    assert valid == [True, False]


# name: what it may be, and what it may not
ANSWER_HEADERS: dict[str, tuple[list[object], list[object]]] = {
    "Api-Supported-Versions": (["1.0, 2"], [1]),
    "X-Keyfactor-Correlation-Id": ([UUID], ["5f0c1d8e", 1]),
    "X-Keyfactor-Product-Version": (["25.5.1"], [1]),
    "X-Mock-Request-Id": (["5f0c1d8e"], [1]),
    "Deprecation": (["@1735689600", "@-1"], ["1735689600", "@x", "@1 ", 1]),
    "x-total-count": (["0", "120"], ["-1", "", "x", "1x", 1]),
    "WWW-Authenticate": (["Bearer"], [1]),
    "Retry-After": (["2"], [2]),
    "Accept-Encoding": (["identity"], [1]),
}


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_the_headers_of_an_answer_have_their_form(operation: Operation) -> None:
    for response in operation_object(operation)["responses"].values():
        headers = resolved(operation.version, response)["headers"]
        for name, reference in headers.items():
            form = resolved(operation.version, reference)["schema"]
            good, bad = ANSWER_HEADERS[name]
            fits = jsonschema_rs.validator_for(form, validate_formats=True).is_valid
            assert [fits(value) for value in [*good, *bad]] == [
                *(True for _ in good),
                *(False for _ in bad),
            ]


def test_version_1_answers_nine_properties_in_order_and_no_password() -> None:
    answer = schema("1", "SMTPTestResponse")
    assert answer["required"] == list(answer["properties"]) == ANSWERED
    assert answer["additionalProperties"] is False


def test_what_is_deprecated_is_version_1_of_mail_and_nothing_else() -> None:
    deprecated = {each.id for each in CONTRACT.operations if each.deprecated}
    assert deprecated == {"test_smtp_v1", "get_smtp_v1", "put_smtp_v1"}


def test_version_2_answers_without_a_body() -> None:
    operation = CONTRACT.operation("/SMTP/Test", "POST", "2")
    assert "content" not in operation_object(operation)["responses"]["200"]


def test_what_both_versions_say_of_a_field_is_the_same() -> None:
    first, second = (schema(version, "SMTPTestRequest")["properties"] for version in OF_SMTP)
    kept = ("pattern", "minLength", "maxLength", "minimum", "maximum", "if", "then", "x-expected")
    for name in set(first) & set(second) - {"RelayUsername", "RelayPassword"}:
        for keyword in kept:
            assert first[name].get(keyword) == second[name].get(keyword), (name, keyword)
    for part in ("headers", "securitySchemes", "responses"):
        one, two = (CONTRACT.documents[version]["components"][part] for version in OF_SMTP)
        assert {name: one[name] for name in two} == two
    first, second = (CONTRACT.documents[version]["components"] for version in OF_SMTP)
    for part, names in SHARED.items():
        for name in names:
            assert first[part][name] == second[part][name], name
    legacy, provider = (
        first["schemas"]["ProviderResponseLegacy"],
        schema("2", "ProviderResponse"),
    )
    fields = {name: legacy["properties"][name] for name in provider["properties"]}
    assert fields == provider["properties"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_lists_its_properties_in_order_and_has_all(version: str) -> None:
    schemas = CONTRACT.documents[version]["components"]["schemas"]
    answers = [name for name in schemas if name.startswith(("Provider", "My")) or "Resp" in name]
    assert "SMTPResponse" in answers or version not in OF_SMTP
    for name in answers:
        assert schemas[name]["required"] == list(schemas[name]["properties"])


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_the_example_of_a_parameter_keeps_its_own_contract(operation: Operation) -> None:
    found = [
        resolved(operation.version, each) for each in operation_object(operation)["parameters"]
    ]
    examples = {
        place: {each["name"]: str(each["example"]) for each in found if each["in"] == place}
        for place in ("header", "path", "query")
    }
    assert sum(map(len, examples.values())) == len(found)
    path = operation.path.format_map(examples["path"])
    given = operation.given(path, examples["query"].items())
    assert {name: str(value) for name, value in given.items()} == {
        **examples["path"],
        **examples["query"],
    }
    without_body = replace(operation, body=None)
    assert without_body.check(examples["header"], None, given) == []


ROUND_TRIP = """
import json, sys
from {package}.models import SMTPTestRequest
for body in json.load(sys.stdin):
    again = SMTPTestRequest.from_dict(dict(body)).to_dict()
    assert again == body, (again, body)
from {package}.api.smtp import test_smtp_v{version}
print(callable(test_smtp_v{version}.sync_detailed))
"""


@pytest.mark.parametrize("version", OF_SMTP)
def test_a_client_is_generated_without_a_warning_and_works(version: str, tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent  # the generator formats with the ruff that stands there
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    package = f"client_{version}"
    generated = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"),
            *("--path", FOLDER / f"v{version}.yaml"),
            *("--meta", "none", "--output-path", tmp_path / package),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    assert "warning" not in (generated.stdout + generated.stderr).lower()
    bodies = [
        example.values[1] for example in EXAMPLES if example.id == f"test_smtp_v{version}-basic"
    ]
    used = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP.format(package=package, version=version)],
        cwd=tmp_path,
        env=environment,
        input=json.dumps(bodies),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (used.returncode, used.stdout) == (0, "True\n"), used.stderr

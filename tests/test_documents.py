"""The documents as validators, code generators and fuzzers read them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mockserver.contract import Contract, Operation
from mockserver.world import data_folder

Json = dict[str, Any]

FOLDER = data_folder("openapi")
CONTRACT = Contract.load(FOLDER)
VERSIONS = ["1", "2"]
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
        "Error", "PamParameterDataType", "ProviderType", "ProviderTypeParam",
        "ProviderTypeParamValue", "ProviderTypeParameter",
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


@pytest.mark.parametrize("version", VERSIONS)
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


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_every_answer_names_its_call_and_its_error(operation: Operation) -> None:
    for status, response in operation_object(operation)["responses"].items():
        answer = resolved(operation.version, response)
        assert {"X-Keyfactor-Product-Version", "X-Mock-Request-Id"} <= set(answer["headers"])
        if status == "401":
            assert "WWW-Authenticate" in answer["headers"]
            assert "content" not in answer
        elif status not in {"200", "204"}:
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}


def test_version_1_answers_nine_properties_in_order_and_no_password() -> None:
    answer = schema("1", "SMTPTestResponse")
    assert answer["required"] == list(answer["properties"]) == ANSWERED
    assert answer["additionalProperties"] is False
    deprecated = {operation.id for operation in CONTRACT.operations if operation.deprecated}
    assert deprecated == {"test_smtp_v1", "get_smtp_v1", "put_smtp_v1"}


def test_version_2_answers_without_a_body() -> None:
    operation = CONTRACT.operation("/SMTP/Test", "POST", "2")
    assert "content" not in operation_object(operation)["responses"]["200"]


def test_what_both_versions_say_of_a_field_is_the_same() -> None:
    first, second = (schema(version, "SMTPTestRequest")["properties"] for version in VERSIONS)
    kept = ("pattern", "minLength", "maxLength", "minimum", "maximum", "if", "then", "x-expected")
    for name in set(first) & set(second) - {"RelayUsername", "RelayPassword"}:
        for keyword in kept:
            assert first[name].get(keyword) == second[name].get(keyword), (name, keyword)
    for part in ("headers", "securitySchemes", "responses"):
        one, two = (CONTRACT.documents[version]["components"][part] for version in VERSIONS)
        assert {name: one[name] for name in two} == two
    first, second = (CONTRACT.documents[version]["components"] for version in VERSIONS)
    for part, names in SHARED.items():
        for name in names:
            assert first[part][name] == second[part][name], name
    legacy, provider = first["schemas"]["ProviderResponseLegacy"], schema("2", "ProviderResponse")
    fields = {name: legacy["properties"][name] for name in provider["properties"]}
    assert fields == provider["properties"]


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_an_answer_lists_its_properties_in_order_and_has_all(operation: Operation) -> None:
    schemas = CONTRACT.documents[operation.version]["components"]["schemas"]
    answers = [name for name in schemas if name.startswith(("Provider", "SMTPR", "MyP"))]
    answers.remove("SMTPRequest")
    assert answers
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


@pytest.mark.parametrize("version", VERSIONS)
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

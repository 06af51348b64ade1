"""Our own documents of resources, as validators and code generators read them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mockserver.base.data import data_folder
from mockserver.contract.editions import load_editions
from mockserver.contract.operations import Operation
from mockserver.product.recorded import _VALUES
from support import compile_all

CONTRACT = load_editions().newest.contract
NAMES = sorted(path.stem for path in (data_folder("openapi") / "resources").glob("*.yaml"))
OPERATIONS = [
    each
    for each in CONTRACT.operations
    if any(each.place.document is CONTRACT.resources[name] for name in NAMES)
]
SHARED = ("RequestedWith", "PageReturned", "ReturnLimit", "SortAscending", "Number", "Guid")


def schemas(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # any JSON
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from schemas(item)
    elif isinstance(value, list):
        for item in value:
            yield from schemas(item)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_openapi_3_1_and_json(name: str) -> None:
    document = CONTRACT.resources[name]
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/KeyfactorAPI"}]
    OpenAPIV31SpecValidator(document).validate()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("name", NAMES)
def test_documents_agree_in_what_they_share(name: str) -> None:
    first = CONTRACT.resources[NAMES[0]]["components"]
    own = CONTRACT.resources[name]["components"]
    assert own["securitySchemes"] == first["securitySchemes"]
    assert own["responses"] == first["responses"]
    assert [own["parameters"][each] for each in SHARED] == [
        first["parameters"][each] for each in SHARED
    ]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.id}")
def test_an_operation_says_what_every_one_says(operation: Operation) -> None:
    own = operation.place.value
    assert own["operationId"].endswith(f"_v{operation.version}")
    assert own["summary"]
    (permission,) = operation.permissions
    assert own["security"] == [{"Basic": [permission]}, {"Bearer": [permission]}]
    assert permission.startswith("/")
    assert permission.endswith("/")
    assert {"401", "default"} < own["responses"].keys()
    tags = [tag["name"] for tag in operation.place.document["tags"]]
    assert own["tags"][0] in tags


@pytest.mark.parametrize("name", NAMES)
def test_requests_ignore_what_they_do_not_know(name: str) -> None:
    document = CONTRACT.resources[name]
    for operation in OPERATIONS:
        if operation.place.document is document and operation.request is not None:
            assert "additionalProperties" not in operation.request.rule


def test_every_derived_member_has_its_code() -> None:
    documents = [CONTRACT.resources[name] for name in NAMES]
    named = {each["x-value"] for each in schemas(documents) if "x-value" in each}
    assert {name for name in named if not name.startswith("sent/")} == _VALUES.keys()


def test_every_schema_can_be_compiled() -> None:
    compile_all(CONTRACT)

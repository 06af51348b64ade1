"""What it takes to add to the API: an endpoint is a path and a method, a version is a document."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from mockserver import MockServer
from mockserver.base.data import data_folder
from mockserver.contract.operations import Contract
from mockserver.product.keyfactor import Call, KeyfactorCommand
from support import ADMIN, Caller, calling

Json = dict[str, Any]

DOCUMENTS = Contract.load(data_folder("openapi")).documents
NEW = str(max(map(int, DOCUMENTS)) + 1)


class More(KeyfactorCommand):
    """The product with two operations more."""

    async def get_added_colour(self, call: Call) -> Json:
        return {"Colour": "blue", **call.parameters}

    async def put_added_colour(self, call: Call) -> Json:
        return {"Colour": call.body["Colour"]}


def with_an_endpoint(document: Json) -> Json:
    """Return version 1 with one path more."""
    added = json.loads(json.dumps(document["paths"]["/PamProviders/{id}"]["get"]))
    added["operationId"] = "get_added_colour"
    shade = {"name": "Shade", "in": "query", "schema": {"type": "string", "default": "dark"}}
    added["parameters"].append(shade)
    return {**document, "paths": {**document["paths"], "/AddedColours/{id}": {"get": added}}}


def new_version(document: Json) -> Json:
    """Return a document of a version that is not there yet, with one operation."""
    document = json.loads(json.dumps(document))
    document["info"] |= {"version": NEW, "title": f"Keyfactor Command API, version {NEW}"}
    document["components"]["parameters"]["ApiVersion"]["schema"] |= {"enum": [NEW], "default": NEW}
    added = document["paths"]["/SMTP"]["put"]
    added |= {"operationId": "put_added_colour", "deprecated": False}
    added["requestBody"]["content"]["application/json"]["schema"] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["Colour"],
        "properties": {"Colour": {"type": "string", "enum": ["red", "blue"]}},
    }
    document["paths"] = {"/AddedColours": {"put": added}}
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("openapi")
    documents = dict(DOCUMENTS)
    documents[NEW] = new_version(documents["1"])
    documents["1"] = with_an_endpoint(documents["1"])
    for version, document in documents.items():
        text = yaml.safe_dump(document, sort_keys=False)
        (copy / f"v{version}.yaml").write_text(text, encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def more(folder: Path) -> Iterator[Caller]:
    with MockServer(documents=folder, command=More) as mock, calling(mock) as caller:
        yield caller


def call(
    caller: Caller, method: str, path: str, version: str | None, body: object = None
) -> httpx2.Response:
    headers = {"x-keyfactor-requested-with": "APIClient"}
    headers |= {} if version is None else {"x-keyfactor-api-version": version}
    return caller.http.request(
        method, f"/KeyfactorAPI{path}", json=body, auth=ADMIN, headers=headers
    )


def test_an_endpoint_is_a_path_and_a_method(more: Caller) -> None:
    response = call(more, "GET", "/addedcolours/7", None)
    assert (response.status_code, response.json()) == (
        200,
        {"Colour": "blue", "id": 7, "Shade": "dark"},
    )
    assert more.exchange(response)["operation"] == "get_added_colour"
    assert call(more, "GET", "/AddedColours/x", None).status_code == 400
    assert "GET /AddedColours/{id}" in call(more, "GET", "/Status/Endpoints", "1").json()


def test_a_version_is_a_document_and_its_methods(more: Caller) -> None:
    response = call(more, "PUT", "/AddedColours", NEW, {"colour": "red"})
    assert (response.status_code, response.json()) == (200, {"Colour": "red"})
    exchange = more.exchange(response)
    assert (exchange["operation"], exchange["version"]) == ("put_added_colour", NEW)
    refused = call(more, "PUT", "/AddedColours", NEW, {"Colour": "grey"}).json()
    assert refused["Message"] == "Colour: must be one of red, blue."
    missing = call(more, "PUT", "/AddedColours", "2", {"Colour": "red"}).json()
    assert missing["Message"].endswith("PUT /AddedColours has no version 2.")


def test_every_text_that_names_versions_names_the_new_one(more: Caller) -> None:
    unknown = call(more, "PUT", "/AddedColours", "99", {}).json()
    assert re.fullmatch(rf"x-keyfactor-api-version: .* 1, 1.0, .*, {NEW}[.]", unknown["Message"])
    call(more, "PUT", "/AddedColours", NEW, {})
    listed = more.http.get("/_mock/requests", params={"version": NEW}).json()
    assert {each["version"] for each in listed["requests"]} == {NEW}
    wrong = more.http.get("/_mock/requests", params={"version": "99"})
    assert f", {NEW}, null" in wrong.text
    document = more.http.get(f"/_mock/openapi/v{NEW}.json").json()
    assert document["info"]["version"] == NEW
    page = more.http.get("/KeyfactorAPI/swagger").text
    assert page.index(f"version {NEW}") < page.index("version 2") < page.index("version 1")
    assert more.http.get(f"/KeyfactorAPI/swagger/v{NEW}.json").json() == document


def test_a_mock_with_other_documents_leaves_the_usual_one_alone(caller: Caller) -> None:
    assert call(caller, "GET", "/AddedColours/7", None).status_code == 404
    assert caller.http.get(f"/_mock/openapi/v{NEW}.json").status_code == 404

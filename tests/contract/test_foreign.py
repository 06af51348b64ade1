"""Documents of others: every version of OpenAPI, what is wrong with one, what a large one costs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest

import vendor
from mockserver import MockServer
from mockserver.base.documents import DocumentError
from mockserver.contract.editions import load_editions
from mockserver.contract.foreign import read_foreign
from mockserver.product.query import guid_order
from support import ADMIN, Json, calling, refusal

HEADERS = {"x-keyfactor-requested-with": "APIClient"}
VERSIONS = ["2.0", "3.0.1", "3.1.0"]


def written(folder: Path, document: object, name: str = "vendor.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_of_a_large_document_answers_by_its_schema(
    tmp_path: Path, version: str
) -> None:
    path = written(tmp_path, vendor.document(version, areas=6))
    contract = load_editions(str(path)).newest.contract
    document = contract.resources[str(path)]
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:
        asked = 0
        for operation in contract.operations:
            if operation.place.document is not document:
                continue
            body = operation.request and operation.request.sample
            url = f"/KeyfactorAPI{operation.path}".replace("{id}", "1")
            if operation.method == "DELETE":
                continue
            if operation.method == "PUT":
                body = {**cast("Json", body), "Id": 1}
            answer = caller.http.request(
                operation.method, url, json=body, headers=HEADERS, auth=ADMIN
            )
            if operation.method in {"GET", "PUT", "PATCH"} and url.endswith("/1"):
                assert answer.status_code in {200, 404}
            if answer.status_code == 200:
                asked += 1
                form = operation.answer
                assert form is not None
                jsonschema_rs.validate({**document, **form.schema}, answer.json())
        assert asked >= 6 * 4


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_of_any_version_is_kept_and_answered(tmp_path: Path, version: str) -> None:
    path = written(tmp_path, vendor.document(version, areas=1))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:
        http = caller.http
        url = "/KeyfactorAPI/Widget0s"

        def call(method: str, where: str = url, body: object = None) -> Any:  # noqa: ANN401  # any JSON
            answer = http.request(method, where, json=body, headers=HEADERS, auth=ADMIN)
            assert answer.status_code == 200, answer.text
            return answer.json()

        made = call("POST", url, {"Name": "one", "ApiKey": "hush", "Unknown": 1})
        assert (made["Id"], made["Name"], made["ApiKey"]) == (1, "one", "*" * 20)
        assert made["Kind"] == 1
        assert made["Code"] == "12:00"
        assert "Unknown" not in made
        assert call("GET", f"{url}/1") == made
        assert call("GET", f'{url}?pq.queryString=Name -eq "one"') == [made]
        assert call("GET", f"{url}?pq.pageReturned=2") == []
        assert call("PUT", url, {"Id": 1, "Name": "two"})["Name"] == "two"
        merged = call("PATCH", f"{url}/1", {"Name": "three", "Text1": "x"})
        assert (merged["Name"], merged["Text1"]) == ("three", "x")
        assert call("GET", f"{url}/1/Status") == "Good"
        gone = http.delete(f"{url}/1", headers=HEADERS, auth=ADMIN)
        assert gone.status_code == 204
        assert refusal(http.get(f"{url}/1", headers=HEADERS, auth=ADMIN)) == (
            404,
            "Unable to find 'Widget0' with Id '1'",
        )
        for query, told in (("pq.pageReturned=0", "pagereturned"), ("pq.queryString=x", "Query")):
            status, message = refusal(http.get(f"{url}?{query}", headers=HEADERS, auth=ADMIN))
            assert status == 400
            assert told in message
        status, _ = refusal(http.get(url, headers=HEADERS, auth=("newcomer", "newcomer-password")))
        assert status == 403
        notes = [each.kind for request in mock.requests for each in request.lenient]
        assert {"any_role", "unknown_field", "sampled"} <= set(notes)


def test_ours_go_before_a_given_document(tmp_path: Path) -> None:
    given = vendor.document("3.0.1", areas=1)
    given["paths"]["/agents/{agentId}"] = {
        "get": {
            "parameters": [{"name": "agentId", "in": "path", "schema": {"type": "string"}}],
            "responses": {"200": {"description": "theirs"}},
        }
    }
    path = written(tmp_path, given)
    contract = load_editions(str(path)).newest.contract
    assert [(name, left.path) for name, left in contract.left] == [(str(path), "/agents/{agentId}")]
    assert contract.operation("/Agents/1", "GET", None).id == "get_agent_v1"


def test_two_given_documents_with_one_operation_are_told_by_name(tmp_path: Path) -> None:
    one = written(tmp_path, vendor.document("3.0.1", areas=1))
    two = written(tmp_path, vendor.document("2.0", areas=1), "other.json")
    with pytest.raises(DocumentError) as caught:
        MockServer(openapi=[one, two])
    assert "GET /Widget0s" in str(caught.value)
    assert str(one) in str(caught.value)
    assert str(two) in str(caught.value)


def broken(**changes: object) -> Json:
    return {**vendor.document("3.0.1", areas=1), **changes}


ELSEWHERE = {"/x": {"get": {"responses": {"200": {"$ref": "common.json#/Answer"}}}}}
NOWHERE = {"/x": {"get": {"responses": {"200": {"$ref": "#/components/responses/None"}}}}}
NAMELESS = {"/x": {"get": {"parameters": [{"in": "query"}], "responses": {}}}}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "not JSON"),
        ("[1", "line 2, column 1: did not find"),
        ("1.5: x", "line 1, column 1: a key that is not a text; write it in quotes"),
        ("- 1", "it has no paths"),
        ("{}", "it has no paths"),
        (broken(openapi="4.0"), "OpenAPI 4.0 is none of 2.0, 3.0 and 3.1"),
        (broken(paths=ELSEWHERE), "'common.json#/Answer' leads to outside of this file"),
        (broken(paths=NOWHERE), "'#/components/responses/None' leads to nothing in this file"),
        (broken(paths=NAMELESS), "not a valid OpenAPI document: KeyError 'name'"),
        (broken(paths={"/x": []}), "not a valid OpenAPI document"),
        (broken(paths={"/x/{y}": {"get": {"responses": {}}}}), "the path parameter y is missing"),
        ('{"a":' * 2_000 + "1" + "}" * 2_000, "maximum recursion depth"),
        ('{"paths": {"/x": {"get": {"maximum": NaN}}}}', "not JSON: NaN is no number"),
        (broken(info={"title": "\ud800"}), "not a valid OpenAPI document: ValueError"),
        (broken(info=json.loads("[" * 300 + "]" * 300)), "not a valid OpenAPI document"),
        (f'{{"a": "{"x" * 4 * 2**20}"}}', "is larger than 4194304 octets"),
    ],
)
def test_a_document_that_cannot_be_used_is_told_by_name(
    tmp_path: Path, document: object, told: str
) -> None:
    path = written(tmp_path, document)
    with pytest.raises(DocumentError) as caught:
        MockServer(openapi=[path])
    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)


def test_a_careless_document_is_kept(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"Name": {"type": "string", "required": True}}}
    lines = {"application/json-seq": {"schema": {"type": "string"}}}
    operation = {
        "tags": [],
        "requestBody": {"content": {"application/json; charset=utf-8": {"schema": schema}}},
        "responses": {"200": {"description": "lines", "content": lines}},
    }
    path = written(tmp_path, broken(paths={"/x": {"post": operation}}))
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:

        def sent(body: Json) -> tuple[int, bytes]:
            answer = caller.http.post("/KeyfactorAPI/x", json=body, headers=HEADERS, auth=ADMIN)
            return answer.status_code, answer.content

        assert sent({}) == (200, b"")
        assert sent({"Name": 1})[0] == 400


def test_a_document_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"none\.json: cannot be read: No such file"):
        read_foreign(tmp_path / "none.json")
    with pytest.raises(DocumentError, match="cannot be read: no path can have this name"):
        MockServer(openapi=["a\0b"])


def test_a_document_may_be_yaml(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        openapi: 3.0.0
        info: {title: One, version: "2"}
        paths:
          /Things:
            x-resource: {order: guid-sql}
            parameters: [{$ref: "#/components/parameters/Who"}]
            get:
              operationId: Things_GetAll
              responses: {2XX: {$ref: "#/components/responses/Things"}}
            post:
              requestBody: {$ref: "#/components/requestBodies/Thing"}
              responses: {default: {description: Nothing.}}
            patch:
              requestBody: {content: {text/csv: {}}}
              responses: {202: {description: Taken.}}
        components:
          parameters: {Who: {name: who, in: cookie, schema: {type: string}}}
          requestBodies: {Thing: {content: {application/*+json: {schema: {type: object}}}}}
          responses:
            Things:
              description: Some.
              content:
                application/json:
                  schema:
                    type: array
                    items:
                      type: object
                      properties:
                        id: {type: string, format: uuid}
                        size: {type: integer, minimum: 0, exclusiveMinimum: true}
                        kind: {type: string, enum: [a], nullable: true}
                        part: {nullable: true, allOf: [{type: object}]}
                        all: {nullable: true}
        """,
        "things.yaml",
    )
    with MockServer(openapi=[path]) as mock, calling(mock) as caller:

        def call(method: str, body: object = None) -> tuple[int, bytes]:
            answer = caller.http.request(
                method,
                "/KeyfactorAPI/Things",
                json=body,
                headers={**HEADERS, "x-keyfactor-api-version": "2"},
                auth=ADMIN,
            )
            return answer.status_code, answer.content

        assert call("GET") == (200, b"[]")
        assert {call("POST", {"size": 3})[0] for _ in range(5)} == {200}
        status, listed = call("GET")
        things = json.loads(listed)
        assert things == sorted(things, key=lambda each: guid_order(each["id"]))
        thing = things[0]
        assert (status, thing["size"], thing["kind"], thing["part"]) == (200, 3, None, None)
        assert call("PATCH", {}) == (202, b"")
    named = {
        each.id
        for each in load_editions(str(path)).newest.contract.operations
        if each.path == "/Things"
    }
    assert named == {"things_get_all", "post_things", "patch_things"}


PROBE = """
import resource, sys, time
from mockserver.contract.editions import load_editions
load_editions().newest.contract
def memory(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before, began = memory(), time.process_time()
contract = load_editions(sys.argv[1]).newest.contract
print(time.process_time() - began, (memory() - before) / 2**20, len(contract.operations))
"""


def test_more_than_four_hundred_operations_cost_little_at_the_start(tmp_path: Path) -> None:
    path = written(tmp_path, vendor.document("3.0.1"))
    command = [sys.executable, "-c", PROBE, str(path)]
    # Coverage would measure itself.
    plain = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    runs = [subprocess.check_output(command, text=True, env=plain).split() for _ in range(3)]
    own = len(load_editions().newest.contract.operations)
    assert {int(run[2]) - own for run in runs} == {vendor.OPERATIONS}
    assert min(float(run[0]) for run in runs) < 0.25  # seconds
    assert max(float(run[1]) for run in runs) < 40  # MiB


def test_a_file_that_has_changed_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def served(folder: str, path: str) -> list[str]:
        (tmp_path / folder).mkdir(exist_ok=True)
        answers = {"responses": {"204": {"description": "done"}}}
        document = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}}
        document |= {"paths": {path: {"get": answers}}}
        (tmp_path / folder / "api.json").write_text(json.dumps(document))
        monkeypatch.chdir(tmp_path / folder)
        given = load_editions("api.json").newest.contract.resources["api.json"]
        return [*given["paths"]]

    assert served("one", "/First") == ["/First"]
    assert served("one", "/Second") == ["/Second"]
    assert served("two", "/Third") == ["/Third"]

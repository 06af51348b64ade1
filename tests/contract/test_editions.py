"""The files of the editions: what they may say, and what they come to."""

import shutil
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from editions_table import PAGE, with_editions
from mockserver.base.data import data_folder
from mockserver.base.documents import DocumentError
from mockserver.contract.editions import Editions
from support import V1, V2, compile_all

FOLDER = data_folder("openapi")
EDITIONS = Editions(FOLDER)
MARKS = ("recorded", "documented", "observed", "assumed")


def test_the_editions_are_those_of_the_files_the_oldest_first() -> None:
    assert EDITIONS.names == ("10", "11", "25.1", "current")
    assert [edition.name for edition in EDITIONS] == list(EDITIONS.names)
    assert EDITIONS.newest is EDITIONS["current"]


@pytest.mark.parametrize("name", EDITIONS.names)
def test_the_documents_of_an_edition_are_valid(name: str) -> None:
    compile_all(EDITIONS[name].contract)
    for document in EDITIONS[name].contract.documents.values():
        validate(document)


@pytest.mark.parametrize("name", EDITIONS.names)
def test_a_mark_is_of_something_that_differs(name: str) -> None:
    rows = [
        f"{each.operation} {each.what}" for each in EDITIONS.differences() if each.edition == name
    ]
    for mark in EDITIONS[name].marks:
        assert any(fnmatchcase(row, mark["row"]) for row in rows), mark


def test_everything_that_differs_has_a_mark_and_a_source() -> None:
    found = list(EDITIONS.differences())
    assert {each.mark for each in found} <= set(MARKS)
    assert all(each.source for each in found)
    assert {each.edition for each in found} == {"10", "11", "25.1"}


def test_the_table_of_editions_is_that_of_the_files() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_editions(page) == page, "`make format` writes it"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("9", "edition '9': unknown; the editions are 10, 11, 25.1, current"),
        ("", "edition '': unknown; the editions are 10, 11, 25.1, current"),
        ("12", "edition '12': not defined, since of 12.x only the pages"),
        ("12.5", "edition '12.5': not defined, since of 12.x only the pages"),
        ("24.4.3", "edition '24.4.3': not defined, since of 24.x no page"),
    ],
)
def test_an_edition_that_is_not_there_is_refused_with_the_reason(name: str, text: str) -> None:
    with pytest.raises(DocumentError) as refused:
        EDITIONS[name]
    assert str(refused.value).startswith(text)
    assert str(refused.value).endswith("the editions are 10, 11, 25.1, current")


def test_a_list_of_editions_is_read_name_by_name() -> None:
    assert EDITIONS.named("all") == EDITIONS.names
    assert EDITIONS.named("current, 10") == ("current", "10")
    with pytest.raises(DocumentError, match="edition '9': unknown"):
        EDITIONS.named("10,9")


FILE = "product_version: '9.0'\nversion_headers: true\nmarks: []\nnot_played: []\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "v1: {paths: {/SMTP/Tset: null}}",
            "/v1/paths/~1SMTP~1Tset: the document has no such place",
        ),
        ("v2: {info: {titel: 1}}", "/v2/info/titel: the document has no such place"),
        ("v1: {info: {title: {a: b}}}", "/v1/info/title: the document has no object there"),
        ("v1: {x-new: {a: b}}", "/v1/x-new: the document has no object there"),
        ("v3: null", "9.yaml: v3: unknown key"),
        ("v1: {paths: {/SMTP: {put: {requestBody: {required: true, content: null}}}}}", "content"),
    ],
)
def test_a_file_that_its_documents_do_not_fit_is_refused_by_name(
    tmp_path: Path, text: str, message: str
) -> None:
    folder = tmp_path / "openapi"
    shutil.copytree(FOLDER, folder)
    (folder / "editions" / "9.yaml").write_text(FILE + text, encoding="utf-8")
    with pytest.raises(DocumentError) as refused:
        Editions(folder)["9"]
    assert str(folder / "editions" / "9.yaml") in str(refused.value)
    assert message in str(refused.value)


def test_a_file_without_a_fact_or_a_mark_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "openapi"
    shutil.copytree(FOLDER, folder)
    file = folder / "editions" / "9.yaml"
    file.write_text("version_headers: true", encoding="utf-8")
    with pytest.raises(DocumentError, match="product_version is missing"):
        Editions(folder)["9"]
    file.write_text(FILE + "v2: null", encoding="utf-8")
    with pytest.raises(DocumentError, match="9: no mark for 'GET /SMTP version 2 '"):
        list(Editions(folder).differences())


def test_another_edition_costs_less_than_the_documents_and_only_once() -> None:
    """Reading and compiling those takes about 30 ms; the best of some tries counts."""
    documents, another = [], []
    for _ in range(5):
        begin = time.perf_counter()
        editions = Editions(FOLDER)
        compile_all(editions.newest.contract)
        between = time.perf_counter()
        compile_all(editions["10"].contract)
        documents.append(between - begin)
        another.append(time.perf_counter() - between)
        assert editions["10"] is editions["10"]
    assert min(another) < min(documents)


@pytest.mark.parametrize(
    ("name", "version", "body", "found"),
    [
        ("10", "1", {**V1, "Port": 25}, []),
        ("10", "1", V1, [("/Port", "required")]),
        ("10", "2", V2, [("header x-keyfactor-api-version", "enum")]),
        ("25.1", "2", V2, [("header x-keyfactor-api-version", "enum")]),
        ("current", "2", V2, []),
        ("current", "1", {**V1, "host": "a.test"}, [("/host", "additionalProperties")]),
    ],
)
def test_a_call_is_judged_by_the_documents_of_an_edition(
    name: str, version: str, body: object, found: list[tuple[str, str]]
) -> None:
    judged = EDITIONS[name].judge("POST", "/smtp/test", version, body)
    assert [(each.path, each.rule) for each in judged] == found


def test_a_call_that_an_edition_does_not_have_is_refused_by_its_place() -> None:
    (gone,) = EDITIONS["10"].judge("GET", "/Status/HealthCheck", "1")
    (method,) = EDITIONS["10"].judge("DELETE", "/SMTP", "1")
    (media,) = EDITIONS["11"].judge(
        "PUT", "/SMTP", "1", {}, media="application/x-www-form-urlencoded"
    )
    assert [each.path for each in (gone, method, media)] == [
        "path",
        "method",
        "header content-type",
    ]
    assert EDITIONS["10"].judge("GET", "/SMTP", "1", {"any": "body"}) == []
    assert EDITIONS["10"].judge("PUT", "/SMTP", "1") == []


def test_documents_without_editions_are_one_by_any_name(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "v2.yaml", tmp_path)
    editions = Editions(tmp_path)
    assert editions["current"] is editions.newest
    assert list(editions.newest.contract.documents) == ["2"]
    assert not [*editions, *editions.differences()]

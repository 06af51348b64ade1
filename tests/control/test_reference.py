"""The API reference and what it loads, over real HTTP; test_browser.py opens it."""

import re
import ssl
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2
import pytest
from openapi_spec_validator import validate

from mockserver import MockServer
from mockserver.contract.editions import load_editions
from support import V2, Caller, calling, refusal

PAGE = "/KeyfactorAPI/swagger"
TYPES = {
    "": "text/html; charset=utf-8",
    "/favicon-32x32.png": "image/png",
    "/index.css": "text/css; charset=utf-8",
    "/reference.js": "text/javascript; charset=utf-8",
    "/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "/swagger-ui-standalone-preset.js": "text/javascript; charset=utf-8",
    "/swagger-ui.css": "text/css; charset=utf-8",
    **{
        f"/v{version}.json": "application/json"
        for version in load_editions().newest.contract.documents
    },
    **{f"/{name}.json": "application/json" for name in load_editions().newest.contract.resources},
}


class Links(HTMLParser):
    """Collect what a page loads, and whether anything stands in it that its policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [str(given[name]) for name in ("href", "src") if name in given]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


def links(text: str) -> Links:
    found = Links()
    found.feed(text)
    return found


@pytest.mark.parametrize("name", TYPES)
def test_each_part_has_its_type_and_a_strict_policy(caller: Caller, name: str) -> None:
    answer = caller.http.get(PAGE + name)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[name]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    rules = dict(
        rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";")
    )
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == rules["style-src"] == "'self'"
    assert not any("unsafe" in sources or "http" in sources for sources in rules.values())


def test_the_page_loads_exactly_the_other_parts_and_nothing_from_elsewhere(caller: Caller) -> None:
    found = links(caller.http.get(PAGE).text)
    assert sorted(found.loaded) == sorted(PAGE + name for name in TYPES if name)
    assert found.inline == []


def test_the_newest_document_comes_first(caller: Caller) -> None:
    titles = re.findall(r'rel="service-desc".*?title="(.*?)"', caller.http.get(PAGE).text)
    assert titles[:2] == ["Keyfactor Command API, version 2", "Keyfactor Command API, version 1"]


def test_own_script_and_style_name_no_other_host(caller: Caller) -> None:
    for name in ("", "/reference.js", "/index.css"):
        assert "//" not in re.sub(
            r"^ *// .*$", "", caller.http.get(PAGE + name).text, flags=re.MULTILINE
        )


@pytest.mark.parametrize(
    "path",
    ["/KeyfactorAPI/swagger/", "/keyfactorapi/SWAGGER", "//KeyfactorAPI//swagger//", PAGE + "?a=b"],
)
def test_letter_case_slashes_and_query_are_free(caller: Caller, path: str) -> None:
    # The client would fold the slashes itself in a base URL.
    answer = httpx2.get(caller.mock.url + path)
    assert (answer.status_code, answer.text) == (200, caller.http.get(PAGE).text)


@pytest.mark.parametrize("name", TYPES)
def test_head_is_get_without_a_body(caller: Caller, name: str) -> None:
    got, headed = caller.http.get(PAGE + name), caller.http.head(PAGE + name)
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["etag"] == got.headers["etag"]
    assert headed.headers["content-length"] == str(len(got.content))


def test_what_a_browser_has_is_not_sent_again(caller: Caller) -> None:
    first = caller.http.get(PAGE + "/swagger-ui-bundle.js")
    assert first.headers["cache-control"] == "no-cache"
    known = {"if-none-match": f'"other", W/{first.headers["etag"]}'}
    again = caller.http.get(PAGE + "/swagger-ui-bundle.js", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert caller.http.get(PAGE + "/swagger-ui.css", headers=known).status_code == 200


@pytest.mark.parametrize(
    "below",
    [
        "/swagger-editor.js",
        "/LICENSE",
        "/reference.html",
        "/v99.json",
        "/static/swagger-ui.css",
        "/..%2fpages/reference.js",
        "/%2e%2e/%2e%2e/core.py",
        "/../__init__.py",
        "/..%5c..%5ccore.py",
        "/%00",
        "//etc/passwd",
        "/swagger-ui.css%00.js",
        "/swagger-ui.css/x",
    ],
)
def test_nothing_else_is_served(mock: MockServer, below: str) -> None:
    # curl, because it sends a path as it stands.
    done = subprocess.run(
        ["curl", "-s", "--path-as-is", "-w", "\n%{http_code}", f"{mock.url}{PAGE}{below}"],
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    assert status == "404"
    assert "is no part of the API reference" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_it_is_only_read(caller: Caller, method: str) -> None:
    answer = caller.http.request(method, PAGE, content=b"x" * 100_000)
    assert refusal(answer)[0] == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert "frame-ancestors" in answer.headers["content-security-policy"]


def test_the_rest_of_the_api_still_asks_for_credentials(caller: Caller) -> None:
    for path in ("/KeyfactorAPI/swaggers", "/KeyfactorAPI/SMTP/swagger", "/KeyfactorAPI/SMTP/Test"):
        assert caller.http.get(path).status_code == 401
    assert caller.send("2", V2, auth=None).status_code == 401
    assert caller.http.get("/swagger").status_code == 404


def test_reading_it_is_no_exchange(caller: Caller) -> None:
    caller.http.get(PAGE)
    caller.http.get(PAGE + "/v2.json")
    assert caller.mock.requests == ()


@pytest.mark.parametrize("version", load_editions().newest.contract.documents)
def test_a_document_is_the_contract_with_the_servers_that_are_there(
    caller: Caller, version: str
) -> None:
    document = caller.http.get(f"{PAGE}/v{version}.json").json()
    validate(document)
    assert document == load_editions().newest.contract.documents[version]
    assert document == caller.http.get(f"/_mock/openapi/v{version}.json").json()


@pytest.mark.parametrize("base_path", ["/a/b", "/the API", '/a"><b>', "/bücher"])
def test_another_base_path_is_in_page_and_documents(base_path: str) -> None:
    with MockServer(base_path=base_path) as mock, calling(mock) as caller:
        page = caller.http.get(f"{base_path}/swagger")
        assert page.status_code == 200
        found = links(page.text)
        assert len(found.loaded) == len(TYPES) - 1
        for address in found.loaded:
            answer = httpx2.get(urljoin(str(page.url), address))
            assert answer.status_code == 200
            if address.endswith("v2.json"):
                (server,) = answer.json()["servers"]
                path = urljoin(str(page.url), server["url"]) + "/SMTP/Test"
                assert caller.send("2", V2, path=path).status_code == 200
        assert '"><b>' not in page.text
        assert caller.http.get(f"{PAGE}").status_code == 404


def test_it_is_there_by_https_and_under_any_host_name(mock: MockServer) -> None:
    trust = ssl.create_default_context(cadata=mock.ca_pem.decode())
    with httpx2.Client(verify=trust) as http:
        answer = http.get(f"{mock.https_url}{PAGE}", headers={"host": "keyfactor.example"})
    assert answer.status_code == 200
    assert "keyfactor.example" not in answer.text


def test_a_mock_whose_page_is_not_opened_pays_for_none_of_it() -> None:
    program = (
        "import sys; from mockserver import MockServer\n"
        "with MockServer(): print({'jinja2', 'swagger_ui'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


OWN: dict[str, object] = {"users": {"admin": {"password": "ours"}}}


@pytest.mark.parametrize(
    ("world", "account"),
    [
        (None, "KEYEXAMPLE\\admin, password admin-password"),
        (OWN, ""),
        ({"users": {"admin": None}}, ""),
    ],
)
def test_the_page_names_the_account_of_the_default_world_and_no_other(
    world: dict[str, object] | None, account: str
) -> None:
    with MockServer(world) as mock:
        page = httpx2.get(f"{mock.api_url}/swagger").text
    assert f'data-account="{account}"' in page
    assert "ours" not in page

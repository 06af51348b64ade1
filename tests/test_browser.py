"""The pages in headless Chromium, as a person uses them: `make browser`."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, Response, sync_playwright

from mockserver import MockServer

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
ELSEWHERE = "keyfactor.test"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.exit(
            f"there is no Chromium: none of {', '.join(NAMES)} is in PATH; "
            "install one, on Debian by: apt-get install chromium",
            returncode=1,
        )
    with sync_playwright() as playwright:
        # Whatever a page may ask for ends on this machine.
        rules = "--host-resolver-rules=MAP * 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=found, args=[rules])
        yield browser
        browser.close()


@dataclass
class Reference:
    """The API reference in one tab, and all that it asked for and complained about."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(10_000)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.errors.append(message.text) if message.type == "error" else None,
        )

    def open(self, api_url: str) -> None:
        self.page.goto(f"{api_url}/swagger")
        self.shown("2")

    def choose(self, version: str) -> None:
        self.page.locator("#select").select_option(
            label=f"Keyfactor Command API, version {version}"
        )
        self.shown(version)

    def shown(self, version: str) -> None:
        self.page.locator(".info .title", has_text=f"version {version}").wait_for()
        self.operation().wait_for()

    def authorize(self, scheme: str, **fields: str) -> None:
        self.page.get_by_role("button", name="Authorize", exact=True).click()
        form = self.page.locator(".auth-container", has_text=f"{scheme}\xa0")
        for name, value in fields.items():
            form.locator(f"#auth-{scheme.lower()}-{name}").fill(value)
        form.get_by_role("button", name="Apply credentials").click()
        form.get_by_role("button", name="Close").click()

    def operation(self) -> Locator:
        return self.page.locator(".opblock", has_text="/SMTP/Test")

    def try_out(self, example: str | None = None) -> Response:
        operation = self.operation()
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        if example:
            operation.locator(".examples-select select").first.select_option(label=example)
        with self.page.expect_response("**/SMTP/Test") as answer:
            operation.get_by_role("button", name="Execute").click()
        shown = operation.locator(".live-responses-table tbody .response-col_status").first
        shown.get_by_text(str(answer.value.status)).wait_for()
        return answer.value


@pytest.fixture
def reference(browser: Browser) -> Iterator[Reference]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 1000}, ignore_https_errors=True
    )
    yield Reference(context.new_page())
    context.close()


def admin(reference: Reference) -> None:
    reference.authorize("Basic", username="KEYEXAMPLE\\admin", password="admin-password")


def token(mock: MockServer) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": "api-client",
        "client_secret": "api-client-secret",
    }
    answer: str = httpx2.post(mock.token_url, data=form).json()["access_token"]
    return answer


def test_version_2_is_tried_out_with_basic(reference: Reference, mock: MockServer) -> None:
    reference.open(mock.api_url)
    admin(reference)
    answer = reference.try_out("User name and password as they are")
    assert (answer.status, answer.body()) == (200, b"")
    (message,) = mock.messages
    assert (message.tls_mode, message.username) == ("starttls", "command@keyexample.com")
    (exchange,) = mock.requests
    assert (exchange.version, exchange.identity) == ("2", "KEYEXAMPLE\\admin")
    assert reference.errors == []
    assert reference.hosts == {urlsplit(mock.url).netloc}


def test_version_2_is_tried_out_with_a_token(reference: Reference, mock: MockServer) -> None:
    reference.open(mock.api_url)
    reference.authorize("Bearer", value=token(mock))
    assert reference.try_out().status == 200
    (exchange,) = mock.requests
    assert (exchange.version, exchange.identity) == ("2", "api-client")
    assert len(mock.messages) == 1
    assert reference.errors == []


def test_version_1_is_tried_out(reference: Reference, mock: MockServer) -> None:
    reference.open(mock.api_url)
    reference.choose("1")
    admin(reference)
    answer = reference.try_out()
    assert answer.status == 200
    assert answer.json()["SenderName"] == "Keyfactor Command"
    (exchange,) = mock.requests
    assert exchange.version == "1"
    assert len(mock.messages) == 1
    assert reference.errors == []


def test_each_version_starts_with_its_own_body(reference: Reference, mock: MockServer) -> None:
    reference.open(mock.api_url)
    for version in ("2", "1", "2", "1"):
        reference.choose(version)
        admin(reference)
        answer = reference.try_out()
        sent = json.loads(answer.request.post_data or "")
        assert (answer.status, "Id" in sent) == (200, version == "1")
        assert answer.request.headers["x-keyfactor-api-version"] == version
    assert reference.errors == []


def test_a_link_to_a_call_opens_it(reference: Reference, mock: MockServer) -> None:
    reference.page.goto(f"{mock.api_url}/swagger#/SMTP/test_smtp_v2")
    reference.page.locator(".opblock.is-open", has_text="/SMTP/Test").wait_for()
    reference.operation().get_by_role("button", name="Try it out").wait_for()
    reference.page.get_by_role("tab", name="Schema").first.click()
    reference.operation().get_by_text("Expand all").first.click()
    reference.operation().get_by_text("SenderAccount", exact=True).wait_for()
    assert reference.errors == []


def test_only_what_was_authorized_is_sent_and_the_refusal_is_shown(
    reference: Reference, mock: MockServer
) -> None:
    # Cookies know no ports: another program on this machine may have set one.
    reference.page.context.add_cookies([{"name": "session", "value": "x", "url": mock.url}])
    reference.open(mock.api_url)
    assert reference.try_out().status == 401
    (exchange,) = mock.requests
    assert not {"authorization", "cookie"} & {name for name, _ in exchange.request.headers}
    (complaint,) = reference.errors
    assert "401" in complaint


@pytest.fixture
def moved() -> Iterator[MockServer]:
    with MockServer(base_path="/Keyfactor/the API", https_port=0) as mock:
        yield mock


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_works_under_another_name_base_path_and_scheme(
    moved: MockServer, reference: Reference, scheme: str
) -> None:
    netloc = f"{ELSEWHERE}:{moved.port(scheme)}"
    reference.open(f"{scheme}://{netloc}/keyfactor/THE%20api/")
    admin(reference)
    assert reference.try_out().status == 200
    assert len(moved.messages) == 1
    assert reference.errors == []
    assert reference.hosts == {netloc}

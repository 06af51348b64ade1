"""The pages in headless Chromium, as a person uses them: `make browser`."""

import json
import re
import shutil
import smtplib
import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, sync_playwright

from mockserver import MockServer
from support import ROOT, V1, V2, VALID, Caller, calling

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
ELSEWHERE = "keyfactor.test"
BLOCKED = ("TypeError: Failed to fetch",)  # by a browser that guards the local network


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


def _is_error(message: ConsoleMessage) -> bool:
    # Swagger UI takes each underscore of a link to an operation for a space of an older form.
    return message.type == "error" and "deep link whitespace" not in message.text


@dataclass
class Tab:
    """A page in one tab, and all that it asked for and complained about."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(10_000)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.errors.append(message.text) if _is_error(message) else None,
        )


@dataclass
class Reference(Tab):
    """The API reference in one tab."""

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


def test_the_default_account_stands_beside_authorize_and_works(
    reference: Reference, mock: MockServer
) -> None:
    reference.open(mock.api_url)
    text = reference.page.locator(".scheme-container p").inner_text()
    name, password = text.split(", password ")
    reference.authorize("Basic", username=name, password=password)
    assert reference.try_out().status == 200
    assert not reference.errors


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
    with MockServer(base_path="/Keyfactor/the-API", https_port=0) as mock:
        yield mock


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_works_under_another_name_base_path_and_scheme(
    moved: MockServer, reference: Reference, scheme: str
) -> None:
    netloc = f"{ELSEWHERE}:{moved.port(scheme)}"
    reference.open(f"{scheme}://{netloc}/keyfactor/THE-api/")
    admin(reference)
    assert reference.try_out().status == 200
    assert len(moved.messages) == 1
    assert reference.errors == []
    assert reference.hosts == {netloc}


# The inbox

SCREENSHOTS = ROOT / "tests/screenshots"
HOSTILE = (
    '<script>document.title = "hacked"; parent.x = 1</script>'
    '<img src="http://{host}/x" onerror="parent.x = 1">'
    '<meta http-equiv="refresh" content="0; url=http://{host}/">'
    '<link rel="stylesheet" href="http://{host}/x.css"><body onload="parent.x = 1">'
    '<form action="http://{host}/"><button id="b">b</button></form>'
    '<a href="http://{host}/" target="_top">a link out</a><h1>The HTML part</h1>'
)
PAYLOAD = '"><script>document.title = "hacked"</script><img src=x onerror=document.title="hacked">'


@dataclass
class InboxPage(Tab):
    """The inbox in one tab."""

    def open(self, mock: MockServer, query: str = "") -> None:
        self.page.goto(f"{mock.url}/{query}")
        self.page.locator("#live.live.live", has_text="live").wait_for()

    def rows(self) -> Locator:
        return self.page.locator("#list a.row")

    def row(self, text: str) -> Locator:
        return self.rows().filter(has_text=text)

    def heading(self, text: str) -> Locator:
        return self.page.locator("#pane h2", has_text=text)

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        picture = self.page.screenshot()
        (SCREENSHOTS / f"inbox-{name}.png").write_bytes(packed(picture))


def packed(picture: bytes) -> bytes:
    """Return a PNG with its pixels compressed as well as zlib can; Chromium is in a hurry."""
    chunks: list[tuple[bytes, bytes]] = []
    start, data = 8, b""
    while start < len(picture):
        size = int.from_bytes(picture[start : start + 4])
        kind, body = picture[start + 4 : start + 8], picture[start + 8 : start + 8 + size]
        data, chunks = (data + body, chunks) if kind == b"IDAT" else (data, [*chunks, (kind, body)])
        start += size + 12
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(data), 9)))
    return picture[:8] + b"".join(
        len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
        for kind, body in chunks
    )


@pytest.fixture
def inbox(browser: Browser, mock: MockServer) -> Iterator[InboxPage]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    inbox = InboxPage(context.new_page())
    yield inbox
    context.close()
    assert inbox.errors == []
    assert inbox.hosts == {urlsplit(mock.url).netloc}


def test_what_happens_appears_by_itself(inbox: InboxPage, caller: Caller, mock: MockServer) -> None:
    inbox.open(mock)
    inbox.page.get_by_text("Nothing has happened yet").wait_for()
    caller.send("2", V2)
    inbox.row("test_smtp_v2").wait_for()
    assert inbox.row("Keyfactor Command test message").count() == 1
    inbox.page.locator("#said", has_text="One new entry").wait_for(state="attached")
    caller.send("2", V2 | {"Host": "refused.test"})
    inbox.row("refused.test").wait_for()
    assert inbox.rows().first.inner_text().startswith("400")
    inbox.page.get_by_role("button", name="Clear").click()
    inbox.page.get_by_text("Nothing has happened yet").wait_for()
    assert mock.requests == ()


def test_a_burst_of_calls_is_shown_to_its_end(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    inbox.open(mock)
    asked: list[str] = []
    inbox.page.on("request", lambda request: asked.append(request.url))
    for number in range(300):
        caller.send("2", V2 | {"TestRecipient": f"n{number}@b.test"})
    inbox.row("n299@b.test").wait_for()
    inbox.page.locator(".count", has_text="300 entries").wait_for()
    assert len(asked) < 100
    assert inbox.rows().count() == 200


def test_the_filter_and_the_address_say_the_same(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    caller.send("2", V2)
    caller.send("2", V2 | {"Host": "denied.test"})
    inbox.open(mock)
    inbox.page.keyboard.press("/")
    inbox.page.keyboard.type("400 DENIED")
    inbox.page.locator(".count", has_text="1 of 2").wait_for()
    assert inbox.rows().count() == 1
    assert "q=400+DENIED" in inbox.page.url
    caller.send("2", V2)
    inbox.page.locator(".count", has_text="1 of 3").wait_for()
    inbox.page.reload()
    assert (inbox.rows().count(), inbox.page.locator("#filter").input_value()) == (1, "400 DENIED")


def test_a_trace_is_opened_and_left_by_the_keyboard_alone(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    for host in ("first.test", "second.test", "denied.test"):
        caller.send("2", V2 | {"Host": host})
    inbox.open(mock)
    press = inbox.page.keyboard.press
    press("?")
    inbox.page.get_by_role("dialog", name="Keys").wait_for()
    press("Escape")
    for key in ("j", "j", "ArrowDown", "k"):
        press(key)
    assert "second.test" in inbox.page.locator(":focus").inner_text()
    press("Enter")
    inbox.page.locator("#pane .spans", has_text="second.test").wait_for()
    assert inbox.page.locator("a.row[aria-current]").count() == 1
    inbox.page.locator("h2:focus").wait_for()
    press("Escape")
    inbox.heading("The world").wait_for()
    inbox.page.locator("a.row:focus", has_text="second.test").wait_for()
    press("w")
    inbox.page.wait_for_url("**/?view=world")
    inbox.page.go_back()
    inbox.page.go_back()
    inbox.page.locator("#pane .spans", has_text="second.test").wait_for()


def test_the_focus_stays_where_it_is_when_something_arrives(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    caller.send("2", V2 | {"Host": "first.test"})
    inbox.open(mock)
    inbox.page.keyboard.press("j")
    caller.send("2", V2 | {"Host": "denied.test"})
    inbox.row("denied.test").wait_for()
    assert "first.test" in inbox.page.locator(":focus").inner_text()


def test_a_list_that_comes_late_does_not_undo_a_selection(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    caller.send("2", V2 | {"Host": "first.test"})
    inbox.open(mock)
    inbox.page.evaluate(
        """() => {
          const real = fetch;
          window.fetch = async (address) => {
            const answer = await real(address);
            if (address.includes("fragment=list")) await new Promise((go) => setTimeout(go, 500));
            return answer;
          };
        }"""
    )
    with inbox.page.expect_response("**/*fragment=list*"):
        caller.send("2", V2 | {"Host": "denied.test"})
    inbox.row("first.test").click()
    inbox.row("denied.test").wait_for()
    assert "first.test" in inbox.page.locator("a.row[aria-current]").inner_text()


def test_a_line_that_is_being_clicked_stays_under_the_mouse(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    for number in range(40):
        caller.send("2", V2 | {"Host": f"n{number}.test"})
    inbox.open(mock)
    line = inbox.row("n5.test")
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    assert box
    inbox.page.mouse.move(box["x"] + 30, box["y"] + 20)
    inbox.page.mouse.down()
    caller.send("2", V2 | {"Host": "denied.test"})
    inbox.row("denied.test").wait_for(state="attached")
    assert line.bounding_box() == pytest.approx(box, abs=1)
    inbox.page.mouse.up()
    inbox.page.locator("#pane .spans", has_text="n5.test").wait_for()


def test_a_violation_leads_to_its_operation_in_the_reference(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    for version in VALID:
        caller.send(version, VALID[version] | {"Port": 0})
        inbox.open(mock)
        inbox.rows().first.click()
        inbox.page.get_by_role("link", name="minimum").click()
        inbox.page.locator(".info .title", has_text=f"version {version}").wait_for()
        opened = inbox.page.locator(".opblock", has_text="/SMTP/Test")
        opened.get_by_role("button", name="Try it out").wait_for()


def test_a_relay_is_tried_by_one_click(inbox: InboxPage, mock: MockServer) -> None:
    inbox.open(mock)
    inbox.page.get_by_role("button", name="Try denied.test").click()
    inbox.heading("test_smtp_v2").wait_for()
    inbox.page.locator(".note", has_text="550 5.7.1 Relaying denied").wait_for()
    inbox.row("denied.test").wait_for()
    (exchange,) = mock.requests
    assert (exchange.identity, exchange.status) == ("KEYEXAMPLE\\admin", 400)


def test_a_form_that_a_row_has_filled_sends_what_it_shows(
    inbox: InboxPage, mock: MockServer
) -> None:
    inbox.open(mock)
    inbox.page.get_by_role("link", name="smtp.keyexample.com:465").click()
    inbox.page.locator("[name=port][value='465']").wait_for()
    inbox.page.get_by_label("Recipient").fill("me@b.test")
    inbox.page.get_by_role("button", name="Send", exact=True).click()
    inbox.heading("test_smtp_v2").wait_for()
    message = mock.assert_delivered(recipient="me@b.test", tls_mode="implicit")
    assert message.username == "command@keyexample.com"


def test_a_namespace_is_chosen_and_followed(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    view = mock.namespace("ci")
    try:
        inbox.open(mock)
        inbox.page.get_by_label("Namespace").select_option("ci")
        inbox.page.wait_for_url("**/?ns=ci&q=")
        inbox.page.locator("#live", has_text="live").wait_for()
        caller.send("2", V2)
        caller.send("2", V2 | {"Host": "denied.test"}, path=f"{view.api_url}/SMTP/Test")
        inbox.row("denied.test").wait_for()
        assert inbox.rows().count() == 1
        inbox.page.get_by_role("button", name="Try full.test").click()
        inbox.heading("test_smtp_v2").wait_for()
        assert [len(mock.requests), len(view.requests)] == [1, 2]
    finally:
        view.drop()


def test_what_is_hostile_runs_nothing_and_loads_nothing(
    inbox: InboxPage, caller: Caller, mock: MockServer
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    host = f"evil.test:{listener.getsockname()[1]}"
    mail = EmailMessage()
    mail["Subject"], mail["From"] = PAYLOAD, '"<script>alert(1)</script>" <a@b.test>'
    mail["X-Html"] = PAYLOAD
    mail.set_content(PAYLOAD)
    mail.add_alternative(HOSTILE.format(host=host), subtype="html")
    with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0) as client:
        client.send_message(mail, "a@b.test", ["x@b.test"])
    caller.send("2", V2 | {"Host": PAYLOAD}, headers={"x-odd": PAYLOAD})
    mock.patch_world({"users": {PAYLOAD: {"domain": "<b>", "password": "p", "roles": []}}})
    inbox.open(mock)
    inbox.page.evaluate("() => { window.x = 0; window.alert = () => { window.x = 2 } }")
    for number in (0, 1):
        inbox.rows().nth(number).click()
        inbox.page.locator("#pane dt", has_text=("x-odd", "X-Html")[number]).wait_for(
            state="attached"
        )
        for summary in inbox.page.locator("#pane summary").all():
            summary.click()
    frame = inbox.page.frame_locator("#pane iframe")
    frame.get_by_role("heading", name="The HTML part").wait_for()
    frame.get_by_text("a link out").click()
    frame.locator("#b").click()
    listener.settimeout(0.5)
    with listener, pytest.raises(TimeoutError):
        listener.accept()
    assert frame.get_by_role("heading", name="The HTML part").is_visible()
    assert inbox.page.evaluate("window.x") == 0
    assert inbox.page.title() == "Inbox: keyfactor-mock"
    assert len(inbox.page.context.pages) == 1
    # The browser says what it did not do, and names whom it did not ask; nothing else is wrong.
    inbox.hosts.discard(host)
    blocked = ("Content Security Policy", "sandboxed")
    inbox.errors = [each for each in inbox.errors if not any(text in each for text in blocked)]


def test_a_page_of_another_origin_neither_reads_nor_resets(
    browser: Browser, caller: Caller, mock: MockServer
) -> None:
    caller.send("2", V2)
    context = browser.new_context()
    page = context.new_page()
    form = f'<form method="post" action="{mock.url}/_mock/inbox/clear"><button>x</button></form>'
    page.route(
        "http://evil.test/",
        lambda route: route.fulfill(body=f"<!doctype html>{form}", content_type="text/html"),
    )
    page.goto("http://evil.test/")
    ask = """async ([url, options]) => {
        try { return await (await fetch(url, options)).text(); }
        catch (error) { return `${error}`; }
    }"""
    for path in ("/_mock/messages", "/_mock/world", "/"):
        assert page.evaluate(ask, [mock.url + path, {}]).startswith("TypeError")
        # In this mode a request is sent, and its answer is hidden.
        assert page.evaluate(ask, [mock.url + path, {"mode": "no-cors"}]) in ("", *BLOCKED)
    for path in ("/_mock/reset", "/_mock/inbox/clear"):
        page.evaluate(ask, [mock.url + path, {"method": "POST", "mode": "no-cors"}])
    page.evaluate(ask, [f"{mock.url}/_mock/messages", {"method": "DELETE"}])
    with page.expect_navigation() as sent:
        page.get_by_role("button").click()
    assert sent.value.status == 403
    # A name that is made to point here (DNS rebinding) is of the same origin as the mock.
    answer = page.goto(f"http://evil.test:{mock.port('http')}/_mock/messages")
    assert answer is not None
    assert answer.status == 403
    context.close()
    assert len(mock.messages) == 1


def test_a_link_of_another_site_opens_the_inbox_and_a_frame_does_not(browser: Browser) -> None:
    with MockServer(control_token="the-token") as mock, calling(mock) as caller:
        context = browser.new_context()
        inbox = InboxPage(context.new_page())
        inbox.page.goto(mock.url)
        inbox.page.get_by_label("Control token").fill("the-token")
        inbox.page.get_by_role("button", name="Open").click()
        inbox.page.locator("#live", has_text="live").wait_for()
        number = caller.send("2", V2).headers["x-mock-request-id"]
        answers: list[tuple[str, int]] = []
        address = f"{mock.url}/?request={number}"
        body = f'<!doctype html><a href="{address}">the call</a><iframe src="{address}"></iframe>'
        inbox.page.route(
            "http://elsewhere.test/",
            lambda route: route.fulfill(body=body, content_type="text/html"),
        )
        # The frame is refused, unless the browser has guarded the local network already.
        inbox.page.on("response", lambda answer: answers.append((answer.url, answer.status)))
        inbox.page.goto("http://elsewhere.test/")
        assert (address, 200) not in answers
        inbox.page.get_by_role("link", name="the call").click()
        inbox.heading("test_smtp_v2").wait_for()
        assert (address, 200) in answers
        context.close()


def test_it_can_be_read_without_scripts(browser: Browser, caller: Caller, mock: MockServer) -> None:
    caller.send("2", V2)
    context = browser.new_context(java_script_enabled=False)
    inbox = InboxPage(context.new_page())
    inbox.page.goto(mock.url)
    inbox.rows().first.click()
    inbox.page.locator(".dialogue", has_text="250 2.0.0 Kept as").wait_for()
    inbox.page.locator("#filter").fill("nothing like it")
    inbox.page.get_by_role("button", name="Apply").click()
    inbox.page.get_by_text("Nothing matches the filter").wait_for()
    inbox.page.get_by_role("button", name="Try denied.test").click()
    inbox.page.locator(".note", has_text="550 5.7.1 Relaying denied").wait_for()
    inbox.page.get_by_role("button", name="Clear").click()
    inbox.page.get_by_text("Nothing has happened yet").wait_for()
    context.close()


def test_a_remote_mock_asks_for_its_token_once(browser: Browser) -> None:
    with MockServer(control_token="a; token,x") as mock, calling(mock) as caller:
        context = browser.new_context()
        inbox = InboxPage(context.new_page())
        inbox.page.goto(mock.url)
        inbox.page.get_by_label("Control token").fill("a; token,x")
        inbox.page.get_by_role("button", name="Open").click()
        inbox.page.locator("#live", has_text="live").wait_for()
        caller.send("2", V2)
        inbox.row("test_smtp_v2").click()
        inbox.heading("test_smtp_v2").wait_for()
        inbox.page.get_by_role("button", name="Clear").click()
        inbox.page.get_by_text("Nothing has happened yet").wait_for()
        context.close()


def scene(caller: Caller) -> None:
    """Make the calls that the screenshots show."""
    login = {
        "Port": 587,
        "UseSSL": True,
        "RelayAuthenticationType": 2,
        "RelayUsername": {"SecretValue": "command@keyexample.com"},
        "SenderAccount": "command@keyexample.com",
        "Host": "smtp.keyexample.com",
    }
    caller.send("2", V2)
    caller.send("1", V1)
    caller.send("2", V2, auth=("auditor", "auditor-password"))
    caller.send("2", V2 | {"Host": "denied.test"})
    caller.send("2", V2, auth=None)
    caller.send("2", V2 | {"Host": "badcert-expired.test", "UseSSL": True})
    refused = V2 | {"Port": 0, "RelayAuthenticationType": 2, "Recipient": "x"}
    caller.send("2", refused)
    caller.send("2", V2, headers={"x-mock-fault": "status=503"})
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Nightly report", "cron@b.test", "ops@b.test"
    mail.set_content("All is well.\n")
    with smtplib.SMTP("127.0.0.1", caller.mock.port("smtp") or 0) as client:
        client.send_message(mail)
    vault = {
        "Provider": "2",
        "Parameters": {"Folder": "MyFolderName", "Object": "MyEmailUserPassword"},
    }
    caller.send("2", V2 | login | {"RelayPassword": vault})


@dataclass(frozen=True)
class Look:
    """One screenshot: how the screen is, and which entry is open."""

    scheme: Literal["light", "dark"]
    width: int
    height: int
    row: str | None = None


WIDE = (1120, 570)
NARROW = (390, 760)
LOOKS = {
    "trace": Look("light", 1120, 960, row="smtp.keyexample.com:587"),  # down to the dialogue
    "violations": Look("dark", *WIDE, row="Port: must be"),
    "world": Look("light", *WIDE),
    "narrow": Look("light", *NARROW, row="smtp.keyexample.com:587"),
    "narrow-list": Look("dark", *NARROW),
}


@pytest.mark.parametrize("name", LOOKS)
def test_it_has_its_looks(inbox: InboxPage, caller: Caller, mock: MockServer, name: str) -> None:
    look = LOOKS[name]
    scene(caller)
    inbox.page.emulate_media(color_scheme=look.scheme)
    inbox.page.set_viewport_size({"width": look.width, "height": look.height})
    inbox.open(mock)
    if look.row:
        inbox.row(look.row).click()
        inbox.heading("test_smtp_v2").wait_for()
    inbox.shoot(name)
    # Nothing is wider than the screen.
    assert inbox.page.evaluate("document.documentElement.scrollWidth") <= look.width
    back = inbox.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back))) < 384) == (look.scheme == "dark")

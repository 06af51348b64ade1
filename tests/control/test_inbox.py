"""The inbox over real HTTP, as it is without scripts; test_browser.py opens it."""

import base64
import contextlib
import json
import re
import smtplib
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urljoin

import httpx2
import pytest

from mockserver import MockServer
from mockserver.control import recipes
from mockserver.control.inbox import _MAX_ROWS, _MAX_SHOWN
from mockserver.journal.message import Message
from mockserver.journal.story import exchange_text, story
from mockserver.world import loading as world
from support import ADMIN, PATH, V2, VALID, Caller, Json, calling

PAYLOADS = {
    "script": '<script>alert(1)</script><img src=x onerror="alert(1)">',
    "attribute": '" onfocus="alert(1)" autofocus x="',
    "quote": "' onclick='alert(1)' y='",
    "closing": "</code></a></pre></option></select></title><style>*{}</style><iframe src=//x>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "entity": "&lt;script&gt;&#x3c;b&#x3e;&amp;",
    "address": "javascript:alert(1)",
}
OAUTH = {
    "Host": "smtp.keyexample.com",
    "Port": 587,
    "UseSSL": True,
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {
        "Provider": "3",
        "Parameters": {"SecretId": "MyEmailUserClientSecretId"},
    },
    "TokenEndpoint": "https://idp.keyexample.com/oauth2/token",
    "Scope": "smtp.send",
    "Audience": "smtp.keyexample.com",
}


class Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.words += " "

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def text(self) -> str:
        return " ".join(self.words.split())

    @property
    def shape(self) -> Counter[tuple[str, ...]]:
        return Counter((tag, *sorted(given)) for tag, given in self.elements)

    def values(self, tag: str, name: str) -> list[str]:
        return [given[name] for each, given in self.elements if each == tag and name in given]


def look(caller: Caller, status: int = 200, **query: str) -> Page:
    answer = caller.http.get("/", params=query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def post(caller: Caller, name: str, **form: str) -> Page:
    """Send a form, and follow to the page that it leads to."""
    answer = caller.http.post(f"/_mock/inbox/{name}", data=form)
    assert answer.status_code == 303, answer.text
    page = caller.http.get(answer.headers["location"])
    assert page.status_code == 200
    return Page(page.text)


def mail_from_outside(mock: MockServer, raw: bytes, recipient: str = "x@b.test") -> Message:
    with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0) as client:
        client.sendmail("a@b.test", [recipient], raw)
    return mock.messages[-1]


# The page and its parts


def test_the_page_loads_its_own_files_only_and_has_nothing_inline(caller: Caller) -> None:
    caller.send("2", V2)
    page = look(caller, request=caller.mock.requests[0].id)
    loaded = [*page.values("script", "src"), *page.values("link", "href")]
    assert sorted(loaded) == [
        f"/_mock/inbox/{name}" for name in ("icon.svg", "inbox.css", "inbox.js")
    ]
    for address in loaded:
        assert caller.http.get(address).status_code == 200
    assert "style" not in {tag for tag, _ in page.elements}
    names = {name for _, given in page.elements for name in given}
    assert not {name for name in names if name == "style" or name.startswith("on")}


@pytest.mark.parametrize("path", ["/", "/_mock/inbox/inbox.js", "/_mock/inbox/none"])
def test_every_answer_has_a_strict_policy(caller: Caller, path: str) -> None:
    headers = caller.http.get(path).headers
    rules = dict(
        rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";")
    )
    for name in ("default-src", "base-uri", "frame-ancestors"):
        assert rules[name] == "'none'"
    for name in ("script-src", "style-src", "connect-src", "frame-src", "form-action"):
        assert rules[name] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("name", ["inbox.css", "inbox.js", "icon.svg"])
def test_a_file_that_a_browser_has_is_not_sent_again(caller: Caller, name: str) -> None:
    path = f"/_mock/inbox/{name}"
    first = caller.http.get(path)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", first.text)
    again = caller.http.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-security-policy" in again.headers
    assert caller.http.head(path).headers["content-length"] == str(len(first.content))


def test_the_page_itself_is_never_kept(caller: Caller) -> None:
    assert caller.http.get("/").headers["cache-control"] == "no-store"
    assert caller.http.head("/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_mock/inbox/inbox.html", 404),
        ("GET", "/_mock/inbox/reference.js", 404),
        ("GET", "/_mock/inbox/%2e%2e/inbox.py", 404),
        ("GET", "/_mock/inbox/", 404),
        ("GET", "/_mock/inbox/mail", 404),
        ("GET", "/_mock/inbox/mail?message=none", 404),
        ("GET", "/_mock/inbox/try", 405),
        ("POST", "/_mock/inbox/inbox.js", 405),
        ("GET", "/?ns=a%20b", 400),
        ("GET", "/?ns=%ff", 400),
    ],
)
def test_what_is_not_there_is_a_page_too(
    caller: Caller, method: str, path: str, status: int
) -> None:
    answer = caller.http.request(method, path)
    assert answer.status_code == status
    assert Page(answer.text).values("a", "href") == ["/"]
    assert ("allow" in answer.headers) == (status == 405)


def test_looking_is_no_call_and_what_is_sent_to_the_root_is_one(caller: Caller) -> None:
    look(caller)
    caller.http.get("/_mock/inbox/inbox.js")
    assert caller.mock.requests == ()
    for method in ("POST", "PUT", "DELETE"):
        assert caller.http.request(method, "/", auth=ADMIN).status_code == 404
    assert len(caller.mock.requests) == 3


# The list


def test_a_line_says_what_was_asked_by_whom_and_what_came_of_it(caller: Caller) -> None:
    caller.send("2", V2)
    caller.send("1", VALID["1"], auth=("auditor", "auditor-password"))
    caller.send("2", V2 | {"Host": "denied.test"})
    caller.send("2", V2, auth=None)
    mail_from_outside(caller.mock, b"Subject: hello\r\n\r\n.\r\n")
    page = look(caller, fragment="list")
    assert page.text.startswith("5 entries mail from outside")
    for text in (
        "200 test_smtp_v2 v2",
        "KEYEXAMPLE\\admin corpexch02.keyexample.com:25",
        "✉ Keyfactor Command test message to mjones@keyexample.com",
        "403 test_smtp_v1 v1",
        "KEYEXAMPLE\\auditor User KEYEXAMPLE\\auditor does not have the required permissions",
        "denied.test:25 The relay denied.test:25 failed at stage rcpt: 550 5.7.1 Relaying denied",
        f"401 POST {PATH}",
        "unknown caller",
        f"a@b.test 127.0.0.1:{caller.mock.port('smtp')} ✉ hello to x@b.test",
    ):
        assert text in page.text
    assert len(page.values("a", "id")) == 5


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", 4),
        ("200 smtp_v2", 1),  # a port may have these digits too
        ("400 DENIED", 1),
        ("v1", 1),
        ("test_smtp", 3),
        ("auditor", 1),
        ("none@here", 0),
        ("mail", 2),
        ("x@b.test", 1),
        ("Relaying", 1),
        ("denied nothing", 0),
    ],
)
def test_the_filter_finds_lines_that_hold_every_word(
    caller: Caller, words: str, found: int
) -> None:
    caller.send("2", V2)
    caller.send("2", V2 | {"Host": "denied.test"})
    caller.send("1", VALID["1"], auth=("auditor", "auditor-password"))
    mail_from_outside(caller.mock, b"Subject: hello\r\n\r\n.\r\n")
    page = look(caller, q=words)
    assert len(page.values("a", "id")) == found
    assert ("Nothing matches" in page.text) == (found == 0)
    assert page.values("input", "value")[0] == words


def test_the_newest_lines_come_first_and_the_rest_on_demand(caller: Caller) -> None:
    for number in range(_MAX_ROWS + 5):
        caller.http.get("/KeyfactorAPI/none", auth=ADMIN, headers={"x-number": str(number)})
    page = look(caller)
    rows = page.values("a", "id")
    assert rows == [f"e-{each.id}" for each in reversed(caller.mock.requests[5:])]
    assert "Show 5 more" in page.text
    assert len(look(caller, all="1").values("a", "id")) == _MAX_ROWS + 5


def test_what_was_dropped_is_counted(caller: Caller) -> None:
    assert "Nothing has happened yet" in look(caller).text
    for _ in range(1_002):
        caller.http.get("/none")
    assert "1000 entries, 2 older ones dropped" in look(caller, fragment="list").text


def test_a_fragment_is_a_part_of_the_page(caller: Caller) -> None:
    caller.send("2", V2)
    query = {"request": caller.mock.requests[0].id}
    whole = caller.http.get("/", params=query).text
    for part in ("list", "pane"):
        text = caller.http.get("/", params=query | {"fragment": part}).text
        assert text.strip() in whole
        assert len(text) > 500
    assert look(caller, request=query["request"]).values("a", "aria-current") == ["true"]


# A trace


def trace(caller: Caller, number: int = -1) -> Page:
    return look(caller, fragment="pane", request=caller.mock.requests[number].id)


def test_a_trace_goes_from_the_call_to_the_message(caller: Caller) -> None:
    caller.send("2", V2 | OAUTH | {"SenderAccount": "command@keyexample.com"})
    page = trace(caller)
    lines: list[str] = [
        "Call POST /KeyfactorAPI/SMTP/Test -> 200",
        "Identity KEYEXAMPLE\\admin",
        "Permission granted: needs /system_setting/modify/; has /",
        "Check keeps the contract",
        "Secret ClientId from the body",
        "Secret ClientSecret from PAM provider 3",
        "Token discovery https://idp.keyexample.com/",
        "Token token https://idp.keyexample.com/oauth2/token -> 200",
        "Delivery smtp.keyexample.com:587, starttls, XOAUTH2: stage data",
        f"Message {caller.mock.messages[0].id} <command@keyexample.com> to <mjones@keyexample.com>",
        "SMTP dialogue",
        "EHLO keyfactor-command.test",
        "Subject Keyfactor Command test message",
        "TLS starttls, TLSv1.3",
        "Login XOAUTH2 as command@keyexample.com",
    ]
    assert re.search(".*".join(map(re.escape, lines)), page.text), page.text
    assert "scope smtp.send audience smtp.keyexample.com" in page.text


def test_the_page_and_the_text_tell_the_same_story(caller: Caller) -> None:
    caller.send("2", V2 | OAUTH | {"SenderAccount": "command@keyexample.com"})
    (exchange,), (message,) = caller.mock.requests, caller.mock.messages
    text, page = exchange_text(exchange, message), trace(caller).text
    told = list(story(exchange, message))
    assert {line.label for line in told} > {"call", "permission", "secret", "token", "message"}
    for line in told:
        if line.kind == "smtp":
            assert f" {line.label} {line.text}" in text
            assert f" {line.label} {line.text}" in page
        else:
            assert line.label == "call" or f"  {line.label:11} {line.text}"[:200] in text
        if line.kind == "event":
            assert f" {line.label.capitalize()} {line.text}" in page


def test_bars_are_drawn_to_scale(caller: Caller) -> None:
    caller.mock.patch_world({"api_faults": {"test_smtp_v2": {"delay": 0.3}}})
    caller.send("2", V2 | {"Host": "badcert-name.test", "UseSSL": True})
    exchange = caller.mock.requests[-1]
    page = trace(caller)
    bars = [
        (float(given["x"]), float(given["width"])) for tag, given in page.elements if tag == "rect"
    ]
    assert bars[0] == (0.0, 1000.0)
    delay = next(step for step in exchange.steps if step.name == "delay")
    assert bars[1][1] == pytest.approx(delay.duration_ms / exchange.duration_ms * 1000, abs=0.1)
    assert all(start + width <= 1_001 for start, width in bars)
    assert "Fault of the API itself" in page.text
    assert "mail from" not in page.text


def test_each_violation_names_its_field_and_leads_to_the_reference(caller: Caller) -> None:
    for version in VALID:
        caller.send(version, VALID[version] | {"Port": 0, "Hots": 1})
        page = trace(caller)
        assert "Port minimum must be at least 1." in page.text
        assert "Hots additionalProperties unknown;" in page.text
        title = f"Keyfactor%20Command%20API%2C%20version%20{version}"
        place = f"/KeyfactorAPI/swagger?urls.primaryName={title}#/SMTP/test_smtp_v{version}"
        assert page.values("a", "href").count(place) == 3
        assert "Check 2 violations" in page.text
    caller.send("2", V2 | {"Port": 0})
    assert "Check 1 violation 0" in trace(caller).text


def test_notes_are_shown_with_their_kind(caller: Caller) -> None:
    caller.send("2", V2)
    assert "Notes" not in trace(caller).text
    caller.send("2", V2 | {"Port": 25.0, "clientId": {"secretValue": "hunter2"}})
    page = trace(caller)
    for line in (
        "Notes",
        "Port whole_number taken as an integer.",
        "clientId/secretValue letter_case taken as SecretValue.",
        "ClientId unused not used when RelayAuthenticationType is 0.",
    ):
        assert line in page.text
    assert "hunter2" not in page.text
    caller.mock.patch_world({"lenient": True})
    assert ", lenient." in look(caller).text


@pytest.mark.parametrize(
    ("headers", "texts"),
    [
        (
            {"x-mock-fault": "reset"},
            ("cut off", "Call POST /KeyfactorAPI/SMTP/Test -> no answer"),
        ),
        ({"x-mock-fault": "status=503"}, ("503 test_smtp_v2", "status 503, as X-Mock-Fault says")),
    ],
)
def test_a_fault_of_the_api_is_shown(
    caller: Caller, headers: dict[str, str], texts: tuple[str, ...]
) -> None:
    with contextlib.suppress(httpx2.TransportError):
        caller.send("2", V2, headers=headers)
    for text in texts:
        assert text in trace(caller).text


def test_who_has_no_role_needs_any(caller: Caller) -> None:
    auth = ("newcomer", "newcomer-password")
    headers = {"x-keyfactor-requested-with": "APIClient"}
    caller.http.get("/KeyfactorAPI/Status/Endpoints", auth=auth, headers=headers)
    assert "Permission refused: needs any role; has none" in trace(caller).text


def test_a_secret_that_cannot_be_read_and_a_silent_token_endpoint_stand_out(caller: Caller) -> None:
    down = {"TokenEndpoint": "https://idp-down.test/token"}
    caller.send("2", V2 | OAUTH | down)
    page = trace(caller)
    assert "idp-down.test/.well-known/openid-configuration -> no answer" in page.text
    caller.send(
        "2", V2 | OAUTH | {"ClientSecret": {"Provider": "91", "Parameters": {"SecretName": "x"}}}
    )
    assert "Secret ClientSecret from PAM provider 91" in trace(caller).text


def test_a_mail_leads_to_the_call_that_sent_it(caller: Caller) -> None:
    caller.send("2", V2)
    (message,) = caller.mock.messages
    page = look(caller, message=message.id)
    assert f"{message.size} octets" in page.text
    assert "Call POST" in page.text
    assert page.values("a", "aria-current") == ["true"]
    for _ in range(1_000):
        caller.http.get("/none")
    text = look(caller, message=message.id, all="1").text
    assert "Mail by a call that is not kept" in text
    assert "mail by a call" in text
    caller.mock.reset()
    assert "This entry is not there any more" in look(caller, message=message.id).text


RAW = b"""Subject: =?utf-8?q?hell=C3=B6?=\r
From: a@b.test\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary=x\r
\r
--x\r
Content-Type: text/plain; charset=no-such-charset\r
\r
plain \xff text\r
--x\r
Content-Type: text/html; charset=undefined\r
\r
<b onclick=x>rich</b>\r
--x--\r
"""


def test_a_mail_from_outside_is_shown_with_all_its_parts(caller: Caller) -> None:
    message = mail_from_outside(caller.mock, RAW)
    page = look(caller, message=message.id)
    for text in (
        "mail hellö Mail from outside",
        "Subject hellö",
        "To (none)",
        "Login none",
        "plain � text",
        "Content-Type: text/html; charset=undefined <b onclick=x>rich</b>",
        "ehlo",
    ):
        assert text in page.text
    ((_, frame),) = [each for each in page.elements if each[0] == "iframe"]
    assert frame["sandbox"] == ""
    answer = caller.http.get(frame["src"])
    assert answer.text.strip() == "<b onclick=x>rich</b>"
    rules = answer.headers["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "form-action 'none'"} <= set(rules)
    assert caller.messages()[0]["text"].strip() == "plain � text"
    # Without HTML there is no frame, and nothing for one.
    other = mail_from_outside(caller.mock, b"\r\nhi\r\n")
    page = look(caller, message=other.id)
    assert "iframe" not in {tag for tag, _ in page.elements}
    assert "(no subject)" in page.text
    assert caller.http.get(f"/_mock/inbox/mail?message={other.id}").status_code == 404


def test_of_a_long_mail_the_beginning_is_shown(caller: Caller) -> None:
    message = mail_from_outside(caller.mock, b"Subject: x\r\n\r\n" + b"0123456\r\n" * 20_000)
    answer = caller.http.get("/", params={"message": message.id, "fragment": "pane"})
    assert "not all of it is shown" in answer.text
    assert len(answer.text) < 2 * _MAX_SHOWN + 20_000


# What is hostile


def in_user(caller: Caller, text: str) -> None:
    text = text.replace(":", "")  # which ends a name in Basic
    user = {"domain": text, "password": "p", "roles": ["Administrator"]}
    caller.mock.patch_world({"users": {text: user}})
    caller.send("2", V2, auth=(f"{text}\\{text}", "p"))


def in_world(caller: Caller, text: str) -> None:
    caller.mock.patch_world(
        {
            "roles": {text: []},
            "oauth_clients": {text: {"secret": "s", "roles": [text], "mailboxes": [text]}},
            "pam_providers": {"7": {"name": text, "type": "local", "description": text}},
            "relays": {"x.test": {"description": text}},
        }
    )
    caller.send("2", V2)


def in_mail(caller: Caller, text: str) -> None:
    lines = [
        f"Subject: {text}",
        f'From: "{text}" <a@b.test>',
        f"To: {text}",
        f"X-A: {text}",
        "",
        text,
    ]
    mail_from_outside(caller.mock, "\r\n".join(lines).encode())


def in_header_name(caller: Caller, text: str) -> None:
    name = re.sub(r"[ :]", "", text)
    mail_from_outside(caller.mock, f"{name}: x\r\n\r\n.\r\n".encode())


def in_dialogue(caller: Caller, text: str) -> None:
    with smtplib.SMTP("127.0.0.1", caller.mock.port("smtp") or 0, local_hostname="x") as client:
        client.helo(text.replace(" ", ""))
        client.sendmail("a@b.test", ["x@b.test"], b"\r\n.\r\n")


def in_reply(caller: Caller, text: str) -> None:
    replies = {"rcpt": f"550 5.7.1 {text}"}
    caller.mock.patch_world({"relays": {"own.test": {"replies": replies, "description": text}}})
    caller.send("2", V2 | {"Host": "own.test"})


def in_body(caller: Caller, text: str) -> None:
    caller.send("2", V2 | {"Host": text, text: text, "SenderName": text, "TestRecipient": text})


def in_request(caller: Caller, text: str) -> None:
    caller.http.get(f"/KeyfactorAPI/{quote(text)}", auth=ADMIN, headers={"x-odd": text})


PLACES: list[Callable[[Caller, str], None]] = [
    in_user, in_world, in_mail, in_header_name, in_dialogue, in_reply, in_body, in_request,
]  # fmt: skip


def seen(caller: Caller, place: Callable[[Caller, str], None], text: str) -> list[Page]:
    caller.mock.reset()
    place(caller, text)
    numbers = [each.id for each in caller.mock.requests] + [
        each.id for each in caller.mock.messages
    ]
    traces = [look(caller, request=numbers[-1])]
    return [look(caller), *traces]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.__name__))
def test_whatever_is_hostile_stays_text(
    caller: Caller, place: Callable[[Caller, str], None], payload: str
) -> None:
    harmless = "".join(letter if letter.isalnum() else "~" for letter in payload)
    found, expected = seen(caller, place, payload), seen(caller, place, harmless)
    for hostile, plain in zip(found, expected, strict=True):
        assert hostile.shape == plain.shape
        assert not any(each.startswith("javascript") for each in hostile.values("a", "href"))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_hostile_filter_stays_text(caller: Caller, payload: str) -> None:
    caller.send("2", V2)
    found, expected = look(caller, q=payload), look(caller, q="harmless")
    assert found.shape == expected.shape
    assert payload in found.values("input", "value")
    refused = caller.http.get("/", params={"ns": payload})
    assert (refused.status_code, payload in refused.text) == (400, False)


def test_what_turns_text_round_or_hides_in_it_is_written_out(caller: Caller) -> None:
    subject = base64.b64encode("a\u202eb\u200bc\x1b[2Jd".encode()).decode()
    raw = f"Subject: =?utf-8?b?{subject}?=\r\n\r\n\tx\r\ny\r\n"
    message = mail_from_outside(caller.mock, raw.encode())
    text = caller.http.get("/", params={"message": message.id}).text
    assert "a\\u202eb\\u200bc\\x1b[2Jd" in text
    assert not any(each in text for each in "\u202e\u200b\x1b")
    assert text.count("\tx\ny") == 2


@pytest.mark.parametrize("text", ["%ff", "%ed%a0%80", "%00", "%0d%0aX:%20y"])
def test_a_filter_that_is_no_text_is_no_trouble(caller: Caller, text: str) -> None:
    answer = caller.http.get(f"/?q={text}&request={text}&row=relays/denied.test")
    assert answer.status_code == 200


# Copy as


CALLS: dict[str, tuple[Json, dict[str, str]]] = {
    "delivered": (V2, {}),
    "violations": (V2 | {"Port": 0, "SenderName": 'O\'Brien "$(id)" `id` \\ !'}, {}),
    "relay": (V2 | {"Host": "denied.test"}, {}),
    "secret": (
        V2
        | {
            "RelayAuthenticationType": 2,
            "RelayUsername": {"SecretValue": "x"},
            "RelayPassword": {"Provider": "91", "Parameters": {"SecretName": "x"}},
        },
        {},
    ),
    "fault": (V2, {"x-mock-fault": "status=503", "x-odd": "'; id #", "x-empty": ""}),
    "path": (V2, {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_can_be_sent_again_and_asserted_on(caller: Caller, name: str) -> None:
    body, headers = CALLS[name]
    path = "/KeyfactorAPI/SMTP/Te'st $(id)%3F" if name == "path" else PATH
    answer = caller.send("2", body, headers=headers, path=path)
    mock = caller.mock
    (exchange,) = mock.requests
    line = recipes.curl(exchange, mock.url)
    assert " ".join(line.split()) in trace(caller).text
    line = line.replace("USER:PASSWORD", f"'{':'.join(ADMIN)}'")
    command = f"{line} -s -o /dev/null -w '%{{http_code}}'"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == str(answer.status_code)
    again = mock.requests[1]
    assert (again.request.body, again.path) == (exchange.request.body, exchange.path)
    for each in ("x-odd", "x-empty", "x-mock-fault", "content-type"):
        assert dict(again.request.headers).get(each) == dict(exchange.request.headers).get(each)
    message = next(iter(mock.messages), None)
    assertion = str(recipes.assertion(exchange, message))
    assert assertion in trace(caller, 0).text
    expected = assertion.replace(")", ", count=2)") if message else assertion
    exec(expected, {"keyfactor": mock})
    mock.reset()
    with pytest.raises(AssertionError):
        exec(assertion, {"keyfactor": mock})


def test_a_call_without_permission_can_be_sent_again_with_its_body(caller: Caller) -> None:
    for body in (V2 | {"RelayPassword": {"SecretValue": "hidden"}}, b"{", None):
        assert caller.send("2", body, auth=("auditor", "auditor-password")).status_code == 403
    first, *others = caller.mock.requests
    line = recipes.curl(first, caller.mock.url).replace("USER:PASSWORD", ":".join(ADMIN))
    assert '"Host": "corpexch02.keyexample.com"' in line
    assert "hidden" not in line
    assert [each.request.body for each in others] == [None, None]


def test_a_token_is_no_password_and_what_was_answered_needs_no_assertion(caller: Caller) -> None:
    form = {"grant_type": "client_credentials"}
    client = ("api-client", "api-client-secret")
    token = httpx2.post(caller.mock.token_url, data=form, auth=client).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "x-keyfactor-requested-with": "APIClient"}
    assert caller.http.get("/KeyfactorAPI/PamProviders", headers=headers).status_code == 200
    text = trace(caller).text
    assert "-H 'authorization: Bearer TOKEN'" in text
    assert token not in text
    assert "-X GET" in text
    assert "(none, or not read)" in text
    assert "pytest" not in text
    mail_from_outside(caller.mock, b"Subject: x\r\n\r\n.\r\n")
    text = look(caller, message=caller.mock.messages[0].id).text
    assert "keyfactor.assert_delivered(recipient='x@b.test', subject='x'" in text
    assert "curl" not in text


# Namespaces


def test_a_namespace_has_a_page_of_its_own(caller: Caller) -> None:
    view = caller.mock.namespace("ci.1")
    try:
        caller.send("2", V2, path=f"{view.api_url}/SMTP/Test")
        page = look(caller, ns="ci.1", q="200")
        chosen = [given["value"] for tag, given in page.elements if "selected" in given]
        assert chosen[0] == "ci.1"
        assert "1 entry" in page.text
        assert "0 entries" in look(caller).text
        assert page.values("body", "data-events") == ["/_mock/ns/ci.1/events"]
        (row,) = [given["href"] for tag, given in page.elements if given.get("class") == "row"]
        text = Page(caller.http.get(row).text).text
        assert f"{view.control_url}/KeyfactorAPI/SMTP/Test" in text
        assert (
            caller.http.get(f"/_mock/ns/ci.1/messages/{view.messages[0].id}/raw").status_code == 200
        )
        tried = post(caller, "try", ns="ci.1", row="relays/denied.test", user="admin")
        assert "Relaying denied" in tried.text
        assert [len(view.requests), len(caller.mock.requests)] == [2, 0]
        post(caller, "clear", ns="ci.1")
        assert view.requests == ()
    finally:
        view.drop()


# Try it


def rows(page: Page) -> Iterator[str]:
    for tag, given in page.elements:
        if tag == "button" and given.get("name") == "row":
            yield given["value"]


def test_every_part_of_the_world_shows_what_it_does(caller: Caller) -> None:
    """Each fault fails, where it says so, and each part without a fault works."""
    works = ("*", "keyexample.com", "oauthbearer", "helo-only", "/1", "/2", "/3")
    mock = caller.mock
    slow = {key: {"delay": 0.01} for key in ("slow.test", "timeout.test")}
    mock.patch_world({"relays": slow | {"timeout.test": {"timeout": 0.05}}})
    slow_parts = {"pam_providers": {"92": {"delay": 0}}}
    slow_parts["token_endpoints"] = {"https://idp-slow.test/token": {"delay": 0}}
    mock.patch_world(slow_parts)
    every = list(rows(look(caller)))
    assert len(every) == sum(
        len(part)
        for part in (mock.world.relays, mock.world.token_endpoints, mock.world.pam_providers)
    )
    for row in every:
        post(caller, "try", row=row, user="admin", recipient="me@b.test")
        exchange = mock.requests[-1]
        fine = "slow" in row or "/92" in row or any(part in row for part in works)
        fine = fine and "*.invalid" not in row
        assert exchange.violations == (), row
        assert (exchange.status == 200) == fine, (row, exchange.problem)
    assert mock.messages[-1].envelope.recipients == ("me@b.test",)


def test_no_secret_of_the_world_is_shown(caller: Caller) -> None:
    for row in ("relays/smtp.keyexample.com:587", "relays/oauthbearer.test", "pam_providers/2"):
        page = caller.http.get("/", params={"row": row}).text
        answer = caller.http.post("/_mock/inbox/try", data={"row": row, "user": "admin"})
        page += caller.http.get(answer.headers["location"]).text
        basic = base64.b64encode(b"KEYEXAMPLE\\admin:admin-password").decode()
        for secret in ("admin-password", "MySuperSecret", "api-client-secret", basic):
            assert secret not in page


def test_coverage_has_a_page(caller: Caller) -> None:
    assert 'href="/?view=coverage">Coverage</a>' in caller.http.get("/").text
    caller.http.delete("/_mock/coverage")
    text = caller.http.get("/?view=coverage").text
    assert "Coverage: 0.0 %" in text
    assert "Not tried yet" not in text
    caller.send("2", V2)
    caller.send("2", V2 | {"Port": 0}, headers={"x-mock-namespace": "a"})
    for query in ("view=coverage", "view=coverage&fragment=pane&ns=a"):
        text = caller.http.get(f"/?{query}").text
        assert "Coverage: 5.0 %" in text
        assert "8 of 157" in text
        assert "1 with 200, 1 with 400" in text
        assert "test_smtp_v2: RequestHeaders never sent" in text


def test_a_form_says_who_sends_and_where(caller: Caller) -> None:
    form = {"host": "x.test", "port": "25", "type": "0", "recipient": "me@b.test"}
    post(caller, "try", **form, user="operator")
    page = post(caller, "try", **form, user="auditor")
    assert page.text.count("403") >= 1
    post(caller, "try", **form, user="")
    post(caller, "try", **form, user="admin", ssl="on")
    found = [(each.status, each.identity) for each in caller.mock.requests]
    assert found == [
        (200, "KEYEXAMPLE\\operator"),
        (403, "KEYEXAMPLE\\auditor"),
        (401, None),
        (200, "KEYEXAMPLE\\admin"),
    ]
    assert [each.tls_mode for each in caller.mock.messages] == ["none", "starttls"]
    assert dict(caller.mock.requests[0].request.headers)["authorization"] == "Basic ***"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"host": "x.test", "port": "many", "type": "0"}, "Port"),
        ({"host": "x.test", "port": "9" * 5_000, "type": "0"}, "Port"),
        ({"host": "x.test", "port": "25", "type": "1"}, "RelayAuthenticationType"),
        ({"host": "a..b", "port": "25", "type": "0"}, "Host"),
        ({"host": "[::g]", "port": "25", "type": "0"}, "Host"),
        ({}, "Host"),
    ],
)
def test_what_is_wrong_in_a_form_is_refused_by_the_api(
    caller: Caller, form: dict[str, str], field: str
) -> None:
    page = post(caller, "try", user="admin", **form)
    caller.mock.assert_rejected(field=field)
    assert "Violations" in page.text


@pytest.mark.parametrize(
    "form",
    [
        {"row": "relays/none.test"},
        {"row": "users/admin"},
        {"row": "token_endpoints/none"},
        {"row": "pam_providers/none"},
        {"row": "relays/*", "user": "nobody"},
    ],
)
def test_what_the_world_has_not_cannot_be_tried(caller: Caller, form: dict[str, str]) -> None:
    answer = caller.http.post("/_mock/inbox/try", data={"user": "admin", **form})
    assert answer.status_code == 404
    assert "The world has no such" in answer.text
    assert caller.mock.requests == ()
    if form["row"] != "relays/*":
        assert "The world has no such" in look(caller, 404, row=form["row"]).text


def test_a_call_that_is_broken_off_has_a_trace_too(caller: Caller) -> None:
    caller.mock.patch_world({"api_faults": {"test_smtp_v2": {"reset": True}}})
    page = post(caller, "try", row="relays/*", user="admin")
    assert "cut off test_smtp_v2" in page.text
    assert "Faults of the API test_smtp_v2" in look(caller).text


def test_a_row_fills_the_form(caller: Caller) -> None:
    page = look(caller, row="relays/smtp.keyexample.com:465")
    fields = {given.get("name"): given for tag, given in page.elements if tag == "input"}
    assert (fields["host"]["value"], fields["port"]["value"]) == ("smtp.keyexample.com", "465")
    assert "checked" in fields["ssl"]
    page = look(caller, row="relays/refused.test")
    assert not any("checked" in given for _, given in page.elements)


def test_a_world_of_patterns_and_of_nothing_can_be_shown_and_tried() -> None:
    nothing: Json = {
        "users": {"solo": {"domain": "D", "password": "p", "roles": ["Administrator"]}},
        **{key: dict.fromkeys(getattr(world.load(), key)) for key in ("oauth_clients",)},
        "relays": {
            **dict.fromkeys(world.load().relays),
            "*.own.test": {
                "accounts": {"robot": {"password": "p", "senders": ["robot"]}},
                "mechanisms": ["XOAUTH2"],
            },
            "[::1]:26": {"description": "an address"},
        },
        "token_endpoints": {"*.idp.test": {}, "https://idp-slow.test/token": None},
        "pam_providers": {
            "92": None,
            "*": {"name": "Any", "type": "any", "secrets": {"*": "x"}},
            "5": {"name": "Slashes", "type": "cyberark", "secrets": {"a%2Fb/c": "x"}},
        },
    }
    with MockServer(nothing) as mock, calling(mock) as caller:
        for row in rows(look(caller)):
            post(caller, "try", row=row, user="solo")
            body: Any = mock.requests[-1].request.body
            assert mock.requests[-1].violations == (), (row, mock.requests[-1].problem)
            if row == "relays/[::1]:26":
                assert (body["Host"], body["Port"]) == ("[::1]", 26)
            if row == "pam_providers/5":
                parameters = body["RelayPassword"]["Parameters"]
                assert parameters == {"Folder": "a/b", "Object": "c"}
        mock.patch_world({"relays": {"[::1]:26": None}})
        assert look(caller).values("input", "value")[-2:]


def test_it_works_below_another_base_path() -> None:
    with MockServer(base_path="/the-API/a&b") as mock, calling(mock) as caller:
        page = post(caller, "try", row="relays/refused.test", user="admin")
        (exchange,) = mock.requests
        assert exchange.path == "/the-API/a&b/SMTP/Test"
        assert "/the-API/a%26b/SMTP/Test" in page.text
        links = [each for each in page.values("a", "href") if "swagger" in each]
        assert caller.http.get(urljoin(mock.url, links[0])).status_code == 200


# Clear


def test_clear_forgets_what_happened_and_keeps_the_world(caller: Caller) -> None:
    caller.mock.patch_world({"product_version": "99.1"})
    caller.send("2", V2)
    page = post(caller, "clear")
    assert "Nothing has happened yet" in page.text
    assert (caller.mock.requests, caller.mock.messages) == ((), ())
    assert caller.mock.world.product_version == "99.1"
    assert caller.mock._states.get().journal.size == 0  # noqa: SLF001  # nowhere to be seen


# Who may look


STRANGE: list[dict[str, str]] = [
    {"origin": "http://evil.test"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"host": "evil.test"},
]


@pytest.mark.parametrize("headers", STRANGE, ids=json.dumps)
def test_a_page_from_elsewhere_may_do_nothing(caller: Caller, headers: dict[str, str]) -> None:
    caller.send("2", V2)
    for name in ("clear", "try", "token"):
        form = {"row": "relays/*", "user": "admin", "token": "x"}
        answer = caller.http.post(f"/_mock/inbox/{name}", data=form, headers=headers)
        assert answer.status_code == 403
    for path in ("/", "/_mock/inbox/inbox.js"):
        assert caller.http.get(path, headers=headers).status_code == 403
    assert len(caller.mock.requests) == 1


LINK = {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}


def test_a_link_of_another_site_leads_to_the_page(caller: Caller) -> None:
    response = caller.send("2", V2)
    address = f"/?request={response.headers['x-mock-request-id']}"
    page = caller.http.get(address, headers=LINK)
    assert "test_smtp_v2" in page.text
    # It may be looked at, and by no page that hides it in a frame of its own.
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for name in ("clear", "try", "token"):
        form = {"row": "relays/*", "user": "admin", "token": "x"}
        answer = caller.http.post(f"/_mock/inbox/{name}", data=form, headers=LINK)
        assert answer.status_code == 403
    frame = LINK | {"sec-fetch-dest": "iframe"}
    assert caller.http.get("/", headers=frame).status_code == 403
    assert len(caller.mock.requests) == 1


TOKEN = 'a; token, "x'


def test_a_remote_mock_asks_for_its_token_and_keeps_it_in_a_cookie() -> None:
    with MockServer(control_token=TOKEN, https_port=0) as mock, calling(mock) as caller:
        page = look(caller, 401)
        assert page.values("form", "action") == ["/_mock/inbox/token"]
        assert caller.http.get("/_mock/inbox/inbox.css").status_code == 200
        for name in ("clear", "try", "none"):
            assert caller.http.post(f"/_mock/inbox/{name}").status_code == 401
        for form in ({"token": "wrong"}, {}):
            answer = caller.http.post("/_mock/inbox/token", data=form)
            assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        answer = caller.http.post("/_mock/inbox/token", data={"token": TOKEN})
        assert answer.status_code == 303
        parts = answer.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(parts)
        assert "Secure" not in parts
        # The client keeps it, as a browser does.
        assert "Nothing has happened yet" in look(caller).text
        assert caller.http.get("/_mock/requests").status_code == 200
        with caller.http.stream("GET", "/_mock/events") as events:
            assert events.status_code == 200
        caller.http.cookies.clear()
        assert caller.http.get("/", headers={"cookie": "keyfactor_mock_token=x"}).status_code == 401
        secure = httpx2.post(
            f"{mock.https_url}/_mock/inbox/token", data={"token": TOKEN}, verify=False
        )
        assert "Secure" in secure.headers["set-cookie"].split("; ")

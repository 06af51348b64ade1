"""What real servers were recorded to answer: by raw octets, with curl and with httpx."""

import json
import re
import socket
import subprocess
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from mockserver.base.jsontext import dotnet_text
from mockserver.base.problems import Kind
from mockserver.world.loading import load
from mockserver.world.reading import WorldError
from support import ADMIN, ERRORS, V1, V2, Caller, Json, unchunked

BASE = "/KeyfactorAPI"
NEWCOMER = ("KEYEXAMPLE\\newcomer", "newcomer-password")


class Call(NamedTuple):
    """A request, and what of its answer was recorded."""

    status: int
    method: str
    below: str
    versions: str | None = "1.0, 2"
    body: bytes = b""
    auth: tuple[str, str] | None = ADMIN
    headers: Mapping[str, str | None] = {}
    code: str | None = None
    message: str = ""

    def sent(self) -> dict[str, str]:
        """Give the headers that are sent."""
        credentials = self.auth and b64encode(":".join(self.auth).encode()).decode()
        headers = {
            "Authorization": credentials and f"Basic {credentials}",
            "x-keyfactor-requested-with": "APIClient",
            "x-keyfactor-api-version": "2",
            "Content-Type": "application/json" if self.body else None,
            **self.headers,
        }
        return {name: value for name, value in headers.items() if value is not None}


class Answer(NamedTuple):
    """An answer as it came: names in lower case, the body without its chunks."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def encoded(body: Json) -> bytes:
    return json.dumps(body).encode()


OLD = {"x-keyfactor-api-version": "1"}
ALONE = {"x-keyfactor-api-version": "1", "x-keyfactor-requested-with": None}
QUERY = "/PamProviders?SortAscending=7"

CALLS: dict[str, Call] = {
    "200 with a body": Call(200, "GET", "/SMTP"),
    "200 of version 1": Call(200, "POST", "/SMTP/Test", body=encoded(V1), headers=OLD),
    "200 without a body": Call(200, "POST", "/SMTP/Test", body=encoded(V2)),
    "200 of a list": Call(200, "GET", "/PamProviders"),
    "200 of a controller with version 1 only": Call(
        200, "GET", "/Status/Endpoints", "1.0", headers=OLD
    ),
    "204": Call(204, "GET", "/Status/HealthCheck", "1.0", headers=OLD),
    "204 to OPTIONS": Call(204, "OPTIONS", "/SMTP"),
    "400 of a value": Call(
        400, "POST", "/SMTP/Test", body=encoded(V2 | {"Port": 0}), code="0xA011000F"
    ),
    "400 of a value that is left out": Call(
        400, "POST", "/SMTP/Test", body=encoded({}) , code="0xA011000F"
    ),
    "400 of a body that is no JSON": Call(
        400, "POST", "/SMTP/Test", body=b"{", code="0xA0F00003"
    ),
    "400 of a wrong JSON type": Call(
        400, "POST", "/SMTP/Test", body=encoded(V2 | {"Port": "x"}), code="0xA0F00003"
    ),
    "400 of a header that is missing": Call(
        400, "GET", "/SMTP", headers=ALONE, code="0xA0110007"
    ),
    "400 of a header with another value": Call(
        400, "GET", "/SMTP", headers={"x-keyfactor-requested-with": "Me"}, code="0xA0110008"
    ),
    "400 of a query with another value": Call(400, "GET", QUERY, code="0xA0110008"),
    "400 of a version": Call(
        400, "GET", "/Status/Endpoints", "1.0", code=ERRORS["version"].code
    ),
    "401": Call(401, "GET", "/SMTP", auth=None),
    "401 before the path is looked at": Call(401, "GET", "/Nothing", None, auth=None),
    "403": Call(
        403, "GET", "/SMTP", auth=NEWCOMER, code="0xA0140002",
        message=r"User KEYEXAMPLE\newcomer doesn't have the required permission",
    ),
    "404 of an object": Call(
        404, "GET", "/PamProviders/999", code="0xA0110002",
        message="Unable to find 'PAM Provider' with Id '999'",
    ),
    "404 of a path": Call(404, "GET", "/Nothing", None, code="0xA0110002"),
    "405": Call(405, "DELETE", "/SMTP", code=ERRORS["method"].code),
    "415": Call(
        415, "POST", "/SMTP/Test", body=b"<a/>", headers={"Content-Type": "text/xml"},
        code=ERRORS["media_type"].code,
    ),
    "503 of a fault": Call(
        503, "GET", "/SMTP", headers={"X-Mock-Fault": "503"}, code=ERRORS["fault"].code
    ),
}  # fmt: skip


def by_octets(caller: Caller, call: Call, version: str = "1.1") -> Answer:
    lines = [f"{call.method} {BASE}{call.below} HTTP/{version}", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in call.sent().items()]
    lines += [f"Content-Length: {len(call.body)}", "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", caller.mock.port("http") or 0), 10) as sock:
        sock.sendall("\r\n".join(lines).encode() + call.body)
        raw = b"".join(iter(lambda: sock.recv(65_536), b""))
    return taken_apart(raw)


def by_old_octets(caller: Caller, call: Call) -> Answer:
    return by_octets(caller, call, "1.0")


def by_curl(caller: Caller, call: Call) -> Answer:
    options = [part for pair in call.sent().items() for part in ("-H", ": ".join(pair))]
    if call.body:
        options += ["--data-binary", call.body.decode()]
    command = ["curl", "-sS", "-i", "--raw", "-X", call.method, *options, caller.mock.url + BASE]
    command[-1] += call.below
    return taken_apart(subprocess.run(command, capture_output=True, check=True).stdout)


def by_httpx(caller: Caller, call: Call) -> Answer:
    response = caller.http.request(
        call.method, BASE + call.below, content=call.body or None, headers=call.sent()
    )
    return Answer(response.status_code, response.headers, response.content)


def taken_apart(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if "transfer-encoding" in headers:
        body = unchunked(body)
    return Answer(int(status.split()[1]), headers, body)


WAYS: list[Callable[[Caller, Call], Answer]] = [by_octets, by_old_octets, by_curl, by_httpx]
each_way = pytest.mark.parametrize("asked", WAYS, ids=lambda way: way.__name__)
each_call = pytest.mark.parametrize("name", CALLS)


@each_call
@each_way
def test_every_answer_has_the_recorded_headers(
    caller: Caller, asked: Callable[[Caller, Call], Answer], name: str
) -> None:
    call = CALLS[name]
    found = asked(caller, call)
    assert found.status == call.status
    assert found.headers.get("api-supported-versions") == call.versions
    assert found.headers["x-keyfactor-product-version"] == "25.5.1"
    correlation = found.headers["x-keyfactor-correlation-id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", correlation)
    assert uuid.UUID(correlation).hex == found.headers["x-mock-request-id"]
    assert "deprecation" not in found.headers


@each_call
@each_way
def test_errors_come_in_chunks_and_all_else_with_a_length(
    caller: Caller, asked: Callable[[Caller, Call], Answer], name: str
) -> None:
    call = CALLS[name]
    found = asked(caller, call)
    framing = {"content-length", "transfer-encoding", "content-type"} & {*found.headers}
    if call.status == 204:
        assert (framing, found.body) == (set(), b"")
        return
    if call.code is None or asked is by_old_octets:
        assert found.headers["content-length"] == str(len(found.body))
        assert "transfer-encoding" not in framing
    else:
        assert found.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in framing
    if found.body:
        assert found.headers["content-type"] == "application/json; charset=utf-8"


@each_call
def test_an_error_has_two_members_and_its_code(caller: Caller, name: str) -> None:
    call = CALLS[name]
    found = by_octets(caller, call)
    if call.code is None:
        assert b"ErrorCode" not in found.body
        return
    body = json.loads(found.body)
    assert list(body) == ["ErrorCode", "Message"]
    assert body["ErrorCode"] == call.code
    assert body["Message"] == (call.message or body["Message"])
    assert found.body == f'{{"ErrorCode":"{call.code}",'.encode() + (
        f'"Message":{dotnet_text(body["Message"])}}}'.encode()
    )


def test_a_401_has_no_body_and_says_so(caller: Caller) -> None:
    found = by_octets(caller, CALLS["401"])
    assert (found.headers["content-length"], found.body) == ("0", b"")
    assert found.headers["www-authenticate"] == 'basic realm="keyfactor command", bearer'


# How texts are written

# Letters, digits and these stand for themselves in System.Text.Json's default encoder.
PLAIN = " !#$%()*,-./:;=?@[]^_{|}~"
SHORT = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", "\\": r"\\"}
RECORDED = {
    r"The format \u0027STORE\u0027 is invalid.": "The format 'STORE' is invalid.",
    r"\u0027Policies\u0027 cannot be empty": "'Policies' cannot be empty",
}


@pytest.mark.parametrize("written", RECORDED)
def test_a_recorded_text_is_written_as_it_was(written: str) -> None:
    assert dotnet_text(RECORDED[written]) == f'"{written}"'


def test_every_character_is_escaped_or_not_as_dotnet_does() -> None:
    for number in range(0x10000):
        character = chr(number)
        expected = f"\\u{number:04X}"
        if character in SHORT:
            expected = SHORT[character]
        elif character in PLAIN or (character.isascii() and character.isalnum()):
            expected = character
        elif 0xD800 <= number <= 0xDFFF:
            expected = r"\uFFFD"
        assert dotnet_text(f"a{character}b") == f'"a{expected}b"', hex(number)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", ""),
        ("\N{GRINNING FACE}", r"\uD83D\uDE00"),
        ("\U00010000\U0010ffff", r"\uD800\uDC00\uDBFF\uDFFF"),
        ("a < b && c > 'd'", r"a \u003C b \u0026\u0026 c \u003E \u0027d\u0027"),
        ("`a` + b", r"\u0060a\u0060 \u002B b"),
        ('"quoted" \\ slash / \x7f\x0b', r"\u0022quoted\u0022 \\ slash / \u007F\u000B"),
        ("Zoë", r"Zo\u00EB"),
    ],
)  # fmt: skip
def test_a_text_is_escaped_as_dotnet_does(text: str, written: str) -> None:
    assert dotnet_text(text) == f'"{written}"'
    assert json.loads(dotnet_text(text)) == text


MARKUP = "Zoë & 'Söhne' <+> `x` \N{GRINNING FACE}"


def test_an_error_is_escaped_and_an_answer_is_not(caller: Caller) -> None:
    error = by_octets(caller, Call(400, "POST", "/SMTP/Test", body=encoded(V2 | {MARKUP: 1})))
    assert dotnet_text(MARKUP).strip('"').encode() in error.body
    assert error.body.isascii()
    put = by_octets(caller, Call(200, "PUT", "/SMTP", body=encoded({"SenderName": MARKUP})))
    assert f'"SenderName":"{MARKUP}"'.encode() in put.body


# Which code goes first

TYPE = V2 | {"Port": "x"}
VALUE = V2 | {"Port": 0}
BAD = {"x-keyfactor-requested-with": "Me"}
NONE = {"x-keyfactor-requested-with": None}


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        (NONE, TYPE, Kind.JSON),
        (BAD, TYPE, Kind.JSON),
        (BAD, TYPE | {"Host": ""}, Kind.JSON),
        (NONE, b"{", Kind.JSON),
        (NONE, VALUE, Kind.HEADER_MISSING),
        (BAD, VALUE, Kind.HEADER_VALUE),
        (BAD, {}, Kind.HEADER_VALUE),
        ({}, VALUE, Kind.BODY),
        ({}, {}, Kind.BODY),
        ({}, V2 | {"RelayAuthenticationType": 1}, Kind.BODY),
    ],
)
def test_one_code_goes_first(
    caller: Caller, headers: Mapping[str, str | None], body: Json | bytes, kind: Kind
) -> None:
    response = caller.send("2", body, headers=headers)
    assert response.status_code == 400
    assert response.json()["ErrorCode"] == ERRORS[kind].code


def test_a_missing_header_goes_before_a_wrong_parameter(caller: Caller) -> None:
    for below, headers, kind in (
        (QUERY, NONE, Kind.HEADER_MISSING),
        ("/PamProviders?PageReturned=x&SortAscending=7", NONE, Kind.JSON),
        ("/PamProviders/x", NONE, Kind.JSON),
        (QUERY, {}, Kind.HEADER_VALUE),
        ("/PamProviders?PageReturned=0", {}, Kind.HEADER_VALUE),
    ):
        found = by_octets(caller, Call(400, "GET", below, headers=headers))
        assert json.loads(found.body)["ErrorCode"] == ERRORS[kind].code, (below, kind)


# What the world says of it


def test_the_world_says_how_a_refusal_is_told(caller: Caller) -> None:
    told = {"not_found": {"status": 400, "code": "0xA0110022"}, "body": {"code": "0xA0110033"}}
    caller.mock.patch_world({"errors": told})
    found = by_octets(caller, CALLS["404 of an object"])
    assert (found.status, found.body[:27]) == (400, b'{"ErrorCode":"0xA0110022","')
    assert caller.send("2", VALUE).json()["ErrorCode"] == "0xA0110033"
    caller.mock.assert_rejected(code="0xa0110033")
    listed = caller.http.get("/_mock/requests?code=0xA0110022").json()
    assert [(each["status"], each["problem"]["code"]) for each in listed["requests"]] == [
        (400, "0xA0110022")
    ]
    old = caller.http.get("/_mock/requests?code=0xA011000F")
    assert old.status_code == 400
    assert "0xA011000F' is unknown; the nearest is 0xA01100" in old.json()["Message"]


def test_what_fails_before_there_is_a_state_is_told_as_in_the_loaded_world(caller: Caller) -> None:
    caller.mock.patch_world({"errors": {"control": {"code": "0xA0110044"}}})
    for path in ("/_mock/ns/a b/KeyfactorAPI/SMTP", "/_mock/requests/x"):
        found = caller.http.get(path, headers=CALLS["401"].sent())
        assert found.json()["ErrorCode"] == ERRORS["control"].code


def test_every_kind_has_an_entry_in_the_table_and_its_schema() -> None:
    assert {*ERRORS} == {*Kind}
    codes = [told.code for told in ERRORS.values()]
    assert len({*codes}) == len(codes)


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ({"errors": {"not_fund": {}}}, "/errors/not_fund: unknown key; did you mean 'not_found'?"),
        ({"errors": {"mail_rctp": {}}}, "unknown key; did you mean 'mail_rcpt'?"),
        ({"errors": {"body": {"status": 200}}}, "/errors/body/status: must be at least 400"),
        ({"errors": {"body": {"status": 600}}}, "/errors/body/status: must be at most 599"),
        ({"errors": {"body": {"code": "0xa011000f"}}}, 'must be a code such as "0xA011000F"'),
        ({"errors": {"body": {"text": "x"}}}, "/errors/body/text: unknown key"),
        ({"errors": {"body": None}}, "/errors/body: null removes it"),
        ({"errors": None}, "/errors: null removes it"),
        ({"api_supported_versions": {"SMTP": "one"}}, 'must be versions such as "1.0, 2"'),
        ({"api_supported_versions": {"SMPT": "1.0"}}, "no such tag; did you mean 'SMTP'?"),
        ({"deprecation_header": "yes"}, "/deprecation_header: must be true or false"),
    ],
)  # fmt: skip
def test_a_world_that_says_it_wrong_is_refused(caller: Caller, patch: Json, says: str) -> None:
    with pytest.raises(WorldError) as caught:
        caller.mock.patch_world(patch)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "smtp", "status"),
    [
        ({}, "1.0, 2", "1.0"),
        ({"SMTP": "1.0"}, "1.0", "1.0"),
        ({"*": "1.0, 2, 3"}, "1.0, 2, 3", "1.0, 2, 3"),
        ({"*": "", "Status": "1.0"}, None, "1.0"),
    ],
)
def test_the_world_may_say_which_versions_are_supported(
    caller: Caller, said: dict[str, str], smtp: str | None, status: str
) -> None:
    caller.mock.patch_world({"api_supported_versions": said})
    for name, expected in (
        ("200 with a body", smtp),
        ("401", smtp),
        ("405", smtp),
        ("204", status),
        ("404 of a path", None),
    ):
        headers = by_octets(caller, CALLS[name]).headers
        assert headers.get("api-supported-versions") == expected, name


@pytest.mark.parametrize("version", ["25.5.1", "25.4.1+0123456789abcdef0123456789abcdef01234567"])
def test_a_product_version_is_told_as_it_is(caller: Caller, version: str) -> None:
    caller.mock.patch_world({"product_version": version})
    assert by_octets(caller, CALLS["204"]).headers["x-keyfactor-product-version"] == version


def test_a_world_of_its_own_may_say_all_of_it() -> None:
    patch: dict[str, Any] = {
        "errors": {"permission": {"status": 404.0}},
        "deprecation_header": True,
    }
    world = load(patch)
    assert world.errors["permission"] == (404, "0xA0140002")
    assert world.deprecation_header

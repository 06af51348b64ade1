"""The request path over real HTTP: versions, headers, paths, permissions, bodies, answers."""

import asyncio
import gzip
import http.client
import json
import logging
import socket
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver import MockServer
from mockserver.base.certificates import Authority
from mockserver.base.documents import DocumentError
from mockserver.contract.editions import load_editions
from mockserver.journal.state import States
from mockserver.mail.sink import Sink
from mockserver.oauth.idp import IdentityProvider
from mockserver.product.app import Api
from mockserver.product.keyfactor import Call, KeyfactorCommand
from mockserver.world import loading as world
from support import ADMIN, NO_TOKENS, PATH, V1, V2, VALID, Caller, Json, refusal

OPERATOR = ("operator", "operator-password")
AUDITOR = ("auditor", "auditor-password")
NEWCOMER = ("newcomer", "newcomer-password")


def without(body: Json, *names: str) -> Json:
    return {name: value for name, value in body.items() if name not in names}


# Answers


def test_version_1_answers_the_nine_documented_properties_in_order(caller: Caller) -> None:
    response = caller.send("1", V1)
    assert response.status_code == 200
    assert list(response.json().items()) == [
        ("Host", "corpexch02.keyexample.com"),
        ("Id", 1),
        ("Port", 25),
        ("RelayAuthenticationType", 0),
        ("RelayUsername", None),
        ("SenderAccount", "jsmith@keyexample.com"),
        ("SenderName", "Keyfactor Command"),
        ("TestRecipient", "mjones@keyexample.com"),
        ("UseSSL", False),
    ]
    assert response.headers["content-type"] == "application/json; charset=utf-8"


def test_version_1_echoes_what_was_sent(caller: Caller) -> None:
    sent = V1 | {"Id": 7, "Port": 2525, "RelayUsername": "somebody", "UseSSL": True}
    answer = caller.send("1", sent).json()
    assert answer == {"RelayAuthenticationType": 0, **sent}


def test_version_1_without_a_recipient_sends_to_the_sender(caller: Caller) -> None:
    response = caller.send("1", without(V1, "TestRecipient"))
    assert response.json()["TestRecipient"] is None
    (message,) = caller.messages()
    assert message["envelope"]["recipients"] == ["jsmith@keyexample.com"]


def test_version_2_answers_with_an_empty_body(caller: Caller) -> None:
    response = caller.send("2", V2)
    assert (response.status_code, response.content) == (200, b"")


def test_every_answer_names_the_product_version_and_its_exchange(caller: Caller) -> None:
    for response in (caller.send("2", V2), caller.send("2", V2, auth=None), caller.send("2", b"")):
        assert response.headers["x-keyfactor-product-version"] == "25.5.1"
        assert caller.exchange(response)["status"] == response.status_code


@pytest.mark.parametrize("said", [True, False, None])
def test_only_version_1_is_deprecated(caller: Caller, said: bool | None) -> None:  # a case
    caller.mock.patch_world({"deprecation_header": said})
    old, new = caller.send("1", V1), caller.send("2", V2)
    assert old.headers.get("deprecation", "").startswith("@") is bool(said)
    assert "deprecation" not in new.headers
    assert [caller.exchange(response)["deprecated"] for response in (old, new)] == [True, False]


# Versions, headers, paths


@pytest.mark.parametrize(("header", "version"), [(None, "1"), ("1", "1"), ("1.0", "1")])
def test_version_1_is_the_default(caller: Caller, header: str | None, version: str) -> None:
    response = caller.send(header, V1)
    assert (response.status_code, caller.exchange(response)["version"]) == (200, version)


@pytest.mark.parametrize(
    ("header", "version"),
    [(None, "1"), ("1.0", "1"), ("2", "2"), ("2.0", "2"), ("99", None), ("", None)],
)
def test_a_refused_call_has_the_version_that_was_asked_for(
    caller: Caller, header: str | None, version: str | None
) -> None:
    for path, auth, status in (
        (PATH, None, 401),
        ("/KeyfactorAPI/Mail", ADMIN, 404),
        ("/elsewhere", ADMIN, 404),
        ("/KeyfactorAPI/Status/Endpoints", ADMIN, 405),
    ):
        response = caller.send(header, V2, auth=auth, path=path)
        assert (response.status_code, caller.exchange(response)["version"]) == (status, version)


def test_the_version_of_a_path_that_lacks_it_is_kept(caller: Caller) -> None:
    headers = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": "2"}
    response = caller.http.get("/KeyfactorAPI/Status/Endpoints", auth=ADMIN, headers=headers)
    assert (response.status_code, caller.exchange(response)["version"]) == (400, "2")


@pytest.mark.parametrize("header", ["2", "2.0"])
def test_version_2_has_two_spellings(caller: Caller, header: str) -> None:
    response = caller.send(header, V2)
    assert (response.status_code, caller.exchange(response)["version"]) == (200, "2")


@pytest.mark.parametrize("header", ["", "99", "abc", "1.1", "02", "2.0.0", "v2", "1, 2"])
def test_another_version_is_refused(caller: Caller, header: str) -> None:
    status, message = refusal(caller.send(header, V2))
    assert status == 400
    assert "x-keyfactor-api-version" in message


@pytest.mark.parametrize("value", ["APIClient", "apiclient", "XMLHttpRequest", "XMLHTTPREQUEST"])
def test_requested_with_takes_both_values_in_any_case(caller: Caller, value: str) -> None:
    response = caller.send("2", V2, headers={"x-keyfactor-requested-with": value})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("value", "code"),
    [(None, "07"), ("", "08"), ("Browser", "08"), ("APIClient2", "08")],
)
def test_requested_with_is_required(caller: Caller, value: str | None, code: str) -> None:
    response = caller.send("2", V2, headers={"x-keyfactor-requested-with": value})
    status, message = refusal(response)
    assert status == 400
    assert "x-keyfactor-requested-with" in message
    assert response.json()["ErrorCode"] == f"0xA01100{code}"


@pytest.mark.parametrize(
    "path",
    [
        "/keyfactorapi/smtp/test",
        "/KEYFACTORAPI/SMTP/TEST",
        "//KeyfactorAPI//SMTP///Test",
        f"{PATH}/",
    ],
)
def test_paths_have_any_case_and_slashes(caller: Caller, path: str) -> None:
    assert caller.send("2", V2, path=caller.mock.url + path).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/KeyfactorAPI", "/KeyfactorAPI/Mail", "/KeyfactorAPI/SMTP/Test/1", "/", "/x", "/Keyfactor"],
)
def test_an_unknown_path_is_404(caller: Caller, path: str) -> None:
    assert refusal(caller.send("2", V2, path=path))[0] == 404


@pytest.mark.parametrize("path", ["/KeyfactorAPI", "/KeyfactorAPI/", "//keyfactorapi//"])
def test_the_base_path_itself_names_a_path_below_it(caller: Caller, path: str) -> None:
    shown = path.replace("//", "/").rstrip("/")
    assert refusal(caller.send("2", V2, path=caller.mock.url + path)) == (
        404,
        f"nothing is at {shown} itself: a path of the API goes on, such as /KeyfactorAPI/SMTP",
    )


@pytest.mark.parametrize("path", ["/", "/Keyfactor", "/KeyfactorAPIs", "/SMTP/Test"])
def test_a_path_that_is_not_below_the_base_path_is_told_where_that_is(
    caller: Caller, path: str
) -> None:
    assert refusal(caller.send("2", V2, path=path)) == (
        404,
        f"nothing is at {path}: the API is below /KeyfactorAPI, the control calls are below /_mock",
    )


def test_a_long_path_is_shown_short(caller: Caller) -> None:
    _, message = refusal(caller.send("2", V2, path="/" + "x" * 10_000))
    assert len(message) < 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "QUERY"])
def test_another_method_is_405_and_names_the_allowed(caller: Caller, method: str) -> None:
    response = caller.http.request(method, PATH, auth=ADMIN)
    assert refusal(response)[0] == 405
    assert response.headers["allow"] == "OPTIONS, POST"


def test_head_is_405_without_a_body(caller: Caller) -> None:
    response = caller.http.head(PATH, auth=ADMIN)
    assert (response.status_code, response.content) == (405, b"")
    assert response.headers["allow"] == "OPTIONS, POST"


def test_options_names_the_methods(caller: Caller) -> None:
    response = caller.http.options(PATH, auth=ADMIN)
    assert (response.status_code, response.headers["allow"]) == (204, "OPTIONS, POST")


# Who and what


@pytest.mark.parametrize(
    "name",
    ["admin", "KEYEXAMPLE\\admin", "admin@KEYEXAMPLE", "keyexample\\ADMIN", "Admin@keyexample"],
)
def test_an_account_has_three_spellings(caller: Caller, name: str) -> None:
    response = caller.send("2", V2, auth=(name, "admin-password"))
    assert response.status_code == 200
    assert caller.exchange(response)["identity"] == "KEYEXAMPLE\\admin"


CHALLENGE = 'Basic realm="Keyfactor Command", Bearer'


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic " + b64encode(b"admin").decode(),
        "Basic " + b64encode(b"\xff:\xff").decode(),
        "Basic " + b64encode(b"admin:wrong").decode(),
        "Basic " + b64encode(b"admin:").decode(),
        "Basic " + b64encode(b"nobody:admin-password").decode(),
        "Basic " + b64encode(b"OTHER\\admin:admin-password").decode(),
        "Digest x",
        "Negotiate x",
    ],
)
def test_an_unknown_caller_is_401_with_a_challenge(
    caller: Caller, authorization: str | None
) -> None:
    response = caller.send("2", V2, auth=None, headers={"authorization": authorization})
    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"] == CHALLENGE


def test_a_role_with_the_documented_permission_suffices(caller: Caller) -> None:
    response = caller.send("2", V2, auth=OPERATOR)
    assert response.status_code == 200
    assert caller.exchange(response)["permission"] == {
        "required": ["/system_setting/modify/"],
        "held": ["/system_setting/modify/"],
        "granted": True,
    }


@pytest.mark.parametrize(
    ("held", "status"),
    [
        ("/", 200),
        ("/system_settings/", 200),
        ("/system_setting/", 200),
        ("/system_settings/modify/", 200),
        ("/system_setting/modify/", 200),
        ("/system_settings/read/", 403),
        ("/system_settings/modify/1/", 403),
        ("/system/", 403),
    ],
)
def test_a_permission_covers_what_starts_with_it(caller: Caller, held: str, status: int) -> None:
    caller.mock.patch_world({"roles": {"Mail operator": [held]}})
    assert caller.send("2", V2, auth=OPERATOR).status_code == status


def test_a_role_without_the_permission_is_refused_as_observed(caller: Caller) -> None:
    response = caller.send("2", V2, auth=AUDITOR)
    assert response.status_code == 403
    assert response.json() == {
        "ErrorCode": "0xA0140002",
        "Message": r"User KEYEXAMPLE\auditor does not have the required permissions: "
        "/system_setting/modify/.",
    }


def test_a_caller_without_a_role_is_refused_as_observed(caller: Caller) -> None:
    response = caller.send("2", V2, auth=NEWCOMER)
    assert response.status_code == 403
    assert response.text == (
        '{"ErrorCode":"0xA0140002",'
        r'"Message":"User KEYEXAMPLE\\newcomer doesn\u0027t have the required permission"}'
    )


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_a_scheme_has_any_letter_case(caller: Caller, scheme: str) -> None:
    credentials = b64encode(":".join(ADMIN).encode()).decode()
    headers = {"authorization": f"{scheme} {credentials}"}
    assert caller.send("2", V2, auth=None, headers=headers).status_code == 200


def test_checks_come_in_their_order(caller: Caller) -> None:
    def status(**changes: Any) -> int:  # noqa: ANN401  # any argument of send
        return caller.send(**({"version": "2", "body": V2} | changes)).status_code

    nothing_right: Json = {
        "auth": None,
        "version": "99",
        "body": b"[" * 2_000_000,
        "headers": {"content-type": "text/plain", "x-keyfactor-requested-with": None},
    }
    assert status(**nothing_right) == 401
    for caller_without in (AUDITOR, NEWCOMER):
        assert status(**nothing_right | {"auth": caller_without}) == 400
    assert status(**nothing_right | {"auth": AUDITOR, "version": "2"}) == 403
    assert status(**nothing_right | {"auth": ADMIN, "version": "2"}) == 413
    assert status(**nothing_right | {"auth": ADMIN, "version": "2", "body": b"["}) == 415


# Bodies


def nested(depth: int) -> bytes:
    return b'{"Host":' + b"[" * depth + b"]" * depth + b"}"


def replaced(old: str, new: str) -> bytes:
    text = json.dumps(V2)
    assert old in text
    return text.replace(old, new).encode()


BAD_BODIES = {
    "empty": (b"", "empty"),
    "not JSON": (b"Host: x", "line 1"),
    "truncated": (b'{"Host": "x"', "line 1"),
    "a list": (b"[]", "object"),
    "a string": (b'"x"', "object"),
    "null": (b"null", "object"),
    "duplicate names": (replaced('"Port": 25', '"Port": 25, "Port": 26'), "Port"),
    "NaN": (replaced("25", "NaN"), "NaN"),
    "Infinity": (replaced("25", "-Infinity"), "Infinity"),
    "1e400": (replaced("25", "1e400"), "number"),
    "5,000 digits": (replaced("25", "9" * 5_000), "digits"),
    "587.5": (replaced("25", "587.5"), "Port"),
    "a name twice": (replaced('"Port": 25', '"Port": 25, "port": 25'), "port: given twice"),
    "a digit string": (replaced("25", '"25"'), "Port"),
    "true for a number": (replaced("25", "true"), "Port"),
    "port 0": (replaced("25", "0"), "Port"),
    "port 65536": (replaced("25", "65536"), "Port"),
    "2^63": (replaced("25", str(2**63)), "Port"),
    "null where required": (replaced("25", "null"), "Port"),
    "lone surrogate in a value": (replaced("Keyfactor Command", r"\ud800"), "surrogate"),
    "lone surrogate in a name": (replaced("Port", r"\udc00"), "surrogate"),
    "invalid UTF-8": (replaced("Keyfactor Command", "@@").replace(b"@@", b"\xff\xfe"), "UTF-8"),
    "400,000 values": (replaced("25", '25, "RequestHeaders": [' + "{}," * 300_000 + "{}]"), "5000"),
    "nesting of 300": (nested(300), "nested"),
    "nesting of 980": (nested(980), "nested"),
    "nesting of 100,000": (nested(100_000), "nested"),
}


@pytest.mark.parametrize(("body", "names"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_gets_a_clear_400(caller: Caller, body: bytes, names: str) -> None:
    status, message = refusal(caller.send("2", body))
    assert status == 400
    assert names in message
    assert len(message) < 1_000


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 200), (1024 * 1024 + 1, 413)])
def test_a_body_may_have_one_mebibyte(caller: Caller, size: int, status: int) -> None:
    assert caller.send("2", json.dumps(V2).encode().rjust(size)).status_code == status


@pytest.mark.parametrize("size", [2_000_000, 20_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_large_body_is_413_and_the_connection_stays(
    mock: MockServer, size: int, chunked: bool
) -> None:
    body = b'{"Host": "' + b"x" * size + b'"}'
    connection = http.client.HTTPConnection("127.0.0.1", mock.port("http") or 0, timeout=30)
    headers = {
        "Authorization": "Basic " + b64encode(b"admin:admin-password").decode(),
        "Content-Type": "application/json",
        "x-keyfactor-requested-with": "APIClient",
        "x-keyfactor-api-version": "2",
    }
    for _ in range(2):  # the second request goes over the same connection
        data = iter([body[:1_000_000], body[1_000_000:]]) if chunked else body
        connection.request("POST", PATH, data, headers, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == 413
        assert "1048576" in json.loads(response.read())["Message"]
    connection.close()


def test_a_body_that_was_not_kept_takes_no_room_in_the_journal(caller: Caller) -> None:
    caller.send("2", V2)
    for auth in (ADMIN, None):
        large = caller.send("2", b" " * 20_000_000, auth=auth)
        assert caller.exchange(large)["status"] == large.status_code
    assert len(caller.messages()) == 1


def test_white_space_around_a_header_is_no_part_of_it(mock: MockServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", mock.port("http") or 0, timeout=30)
    headers = {
        "Authorization": "Basic " + b64encode(b"admin:admin-password").decode(),
        "Content-Type": "application/json",
        "x-keyfactor-requested-with": "\tAPIClient ",
        "x-keyfactor-api-version": "2 \t",
    }
    connection.request("POST", PATH, json.dumps(V2), headers)
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "text/json",
        "application/json-patch+json",
        "application/vnd.keyfactor+json",
        "application/*+json",
    ],
)
def test_json_media_types_are_accepted(caller: Caller, media_type: str) -> None:
    assert caller.send("2", V2, headers={"content-type": media_type}).status_code == 200


@pytest.mark.parametrize(
    "media_type",
    [None, "", "text/plain", "application/xml", "application/x-www-form-urlencoded", "json",
     "application/json; charset=latin-1", "application/json; charset=utf-16", "image/png"],
)  # fmt: skip
def test_another_media_type_is_415(caller: Caller, media_type: str | None) -> None:
    assert refusal(caller.send("2", V2, headers={"content-type": media_type}))[0] == 415


PLAIN = json.dumps(V2).encode()


@pytest.mark.parametrize(
    ("body", "codings", "named"),
    [
        (PLAIN, ["gzip"], "gzip"),
        (gzip.compress(PLAIN), ["gzip"], "gzip"),
        (gzip.compress(PLAIN), ["identity, GZip"], "GZip"),
        (PLAIN, ["br", "identity", "x-mine"], "br, x-mine"),
        (PLAIN, ["x" * 10_000], "x" * 64 + "…"),
        (b"no JSON", ["gz\x85ip"], r"gz\x85ip"),
    ],
    ids=["a plain body", "gzip", "a list", "three lines", "a long one", "not printable"],
)
def test_a_content_coding_is_415_and_named(
    caller: Caller, body: bytes, codings: list[str], named: str
) -> None:
    headers = [
        *(("x-keyfactor-requested-with", "APIClient"), ("x-keyfactor-api-version", "2")),
        ("content-type", "application/json"),
        *(("content-encoding", coding) for coding in codings),
    ]
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    response = caller.http.post(PATH, content=body, headers=encoded, auth=ADMIN)
    text = f"the body has the content coding {named}; send it as it is, without Content-Encoding"
    assert refusal(response) == (415, text)
    # RFC 9110, 15.5.16: what would have been taken.
    assert response.headers["accept-encoding"] == "identity"
    assert caller.messages() == []


@pytest.mark.parametrize("coding", ["", "identity", "Identity , identity", ","])
def test_a_body_as_it_is_may_say_so(caller: Caller, coding: str) -> None:
    assert caller.send("2", V2, headers={"content-encoding": coding}).status_code == 200


def test_a_call_without_a_body_has_no_coding(caller: Caller) -> None:
    headers = {"x-keyfactor-requested-with": "APIClient", "content-encoding": "gzip"}
    profile = "/KeyfactorAPI/SMTP"
    assert caller.http.get(profile, auth=ADMIN, headers=headers).status_code == 200
    encoded = caller.http.request("GET", profile, content=b"x", auth=ADMIN, headers=headers)
    assert refusal(encoded)[0] == 415
    assert refusal(caller.send("2", b"", headers=headers))[1].startswith("the body is empty")


def test_a_byte_order_mark_is_accepted(caller: Caller) -> None:
    assert caller.send("2", b"\xef\xbb\xbf" + json.dumps(V2).encode()).status_code == 200


def test_a_chunked_body_after_100_continue_is_accepted(mock: MockServer) -> None:
    credentials = b64encode(b"admin:admin-password").decode()
    body = json.dumps(V2).encode()
    with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10) as sock:
        sock.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
            "x-keyfactor-requested-with: APIClient\r\nx-keyfactor-api-version: 2\r\n"
            "Content-Type: application/json\r\nExpect: 100-continue\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
        )
        assert sock.recv(1_000).startswith(b"HTTP/1.1 100 ")
        for part in (body[:10], body[10:]):
            sock.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        sock.sendall(b"0\r\n\r\n")
        assert sock.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


def test_all_violations_are_named_at_once(caller: Caller) -> None:
    response = caller.send("2", {"Host": "", "Prot": 25, "SenderName": "a\r\nBcc: b@c.test"})
    status, message = refusal(response)
    assert status == 400
    violations = caller.exchange(response)["violations"]
    assert {violation["path"] for violation in violations} == {
        "/Host", "/Port", "/SenderAccount", "/SenderName", "/TestRecipient", "/Prot",
    }  # fmt: skip
    for violation in violations:
        assert violation["message"] in message


def test_a_body_of_version_2_without_the_header_is_told_which_version_it_met(
    caller: Caller,
) -> None:
    login = {"RelayAuthenticationType": 3, "ClientId": {"SecretValue": "a"}}
    response = caller.send(None, V2 | login)
    status, message = refusal(response)
    assert (status, message) == (
        400,
        (
            "This call is version 1, because the header x-keyfactor-api-version is absent. "
            "Id: required. RelayAuthenticationType: must be one of 0, 2; version 2 takes 3. "
            "ClientId: unknown in version 1; it belongs to version 2."
        ),
    )
    exchange = caller.exchange(response)
    assert exchange["problem"]["message"] == message
    found = {(each["path"], each["rule"], each["message"]) for each in exchange["violations"]}
    assert (
        "/ClientId",
        "additionalProperties",
        "ClientId: unknown in version 1; it belongs to version 2.",
    ) in found
    assert len(found) == 3


def test_an_unknown_field_is_told_its_nearest_name(caller: Caller) -> None:
    _, message = refusal(caller.send("2", V2 | {"UseSLS": True, "SenderNames": "x"}))
    assert "UseSLS: unknown; the nearest known name is UseSSL." in message
    assert "SenderNames: unknown; the nearest known name is SenderName." in message


@pytest.mark.parametrize("version", VALID)
def test_null_for_an_optional_field_is_the_same_as_absent(caller: Caller, version: str) -> None:
    optional = {"UseSSL": None, "RelayUsername": None, "RelayPassword": None}
    assert caller.send(version, VALID[version] | optional).status_code == 200


@pytest.mark.parametrize("field", ["SenderAccount", "TestRecipient", "Host", "SenderName"])
@pytest.mark.parametrize("text", ["a@x.test\r\nDATA", "a@x.test\x00", "\u2028", "\n", "", "\x7f"])
@pytest.mark.parametrize("version", VALID)
def test_nothing_hostile_gets_through(caller: Caller, version: str, field: str, text: str) -> None:
    response = caller.send(version, VALID[version] | {field: text})
    assert response.status_code == 400
    assert field in response.json()["Message"]
    assert caller.messages() == []


@given(body=st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(V2)), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_gets_a_5xx(caller: Caller, body: bytes) -> None:
    assert 400 <= caller.send("2", body).status_code < 500
    assert caller.send("2", V2).status_code == 200


# What must not happen


class BrokenCommand(KeyfactorCommand):
    """A product with a bug, for what the mock makes of one."""

    async def test_smtp_v2(self, call: Call) -> None:
        raise ValueError(call.body["SenderName"])


def serve(command: KeyfactorCommand) -> Api:
    states = States(world.load())
    return Api(load_editions(), command, states, IdentityProvider().check, "/KeyfactorAPI")


def parts() -> tuple[Sink, Authority, IdentityProvider, Callable[[], str]]:
    authority = Authority()
    return (
        Sink(authority, NO_TOKENS),
        authority,
        IdentityProvider(),
        lambda: "http://localhost/token",
    )


def test_a_bug_of_the_mock_is_a_500_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    api = serve(BrokenCommand(*parts()))

    async def call() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=api)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            headers = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": "2"}
            return await http.post(PATH, json=V2, headers=headers, auth=ADMIN)

    response = asyncio.run(call())
    status, message = refusal(response)
    assert (status, response.headers["x-mock-request-id"] in message) == (500, True)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "ValueError at test_app.test_smtp_v2:" in record.getMessage()
    assert record.exc_info is None
    assert "Keyfactor Command" not in record.getMessage() + message


def test_a_call_of_the_product_shows_no_header() -> None:
    told = []

    class LookingCommand(KeyfactorCommand):
        async def get_health_check_v1(self, call: Call) -> None:
            assert "authorization" in call.headers
            told.append(repr(call))

    with MockServer(command=LookingCommand) as mock:
        headers = {"x-keyfactor-requested-with": "APIClient"}
        url = f"{mock.api_url}/Status/HealthCheck"
        assert httpx2.get(url, headers=headers, auth=ADMIN).status_code == 204
    assert b64encode(":".join(ADMIN).encode()).decode() not in told[0]


def test_a_method_without_a_document_stops_the_start() -> None:
    class MoreCommand(KeyfactorCommand):
        async def invent(self, call: Call) -> None: ...

    with pytest.raises(DocumentError, match="MoreCommand: no document has the operations invent"):
        serve(MoreCommand(*parts()))


def test_a_client_that_goes_away_is_in_the_journal(caller: Caller) -> None:
    credentials = b64encode(b"admin:admin-password").decode()
    with socket.create_connection(("127.0.0.1", caller.mock.port("http") or 0)) as sock:
        sock.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
    listing = caller.http.get("/_mock/requests", params={"wait": "5"}).json()
    (exchange,) = listing["requests"]
    assert exchange["status"] is None
    assert exchange["problem"]["message"] == "the connection ended before the body did"


# The log


def test_a_refusal_is_logged_with_its_reason_in_bounds(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mockserver")
    caller.send("2", V2)
    caller.send("2", V2 | {"Port": 0})
    caller.send("2", V2 | {f"Field{number}": 1 for number in range(90)})
    caller.send("2", V2, auth=("admin", "wrong-canary"))
    for authorization in (None, "canary", "Canary canary", "Bearer canary"):
        caller.send("2", V2, auth=None, headers={"authorization": authorization})
    ends = [record.getMessage().partition(" ms=")[2] for record in caplog.records]
    assert "problem" not in ends[0]
    assert ends[1].endswith(' problem="Port: must be at least 1."')
    assert 150 < len(ends[2]) < 300
    assert [end.partition(" ")[2] for end in ends[3:]] == [
        'problem="unknown user, or wrong password"',
        'problem="there is no header Authorization"',
        'problem="the scheme of Authorization is neither Basic nor Bearer"',
        'problem="the scheme of Authorization is neither Basic nor Bearer"',
        'problem="the Bearer token: it is not a token of this identity provider"',
    ]
    assert "canary" not in caplog.text
    assert "canary" not in repr(caller.mock.requests[3:])


def test_a_client_that_leaves_is_logged(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mockserver")
    credentials = b64encode(":".join(ADMIN).encode()).decode()
    with socket.create_connection(("127.0.0.1", caller.mock.port("http") or 0)) as sock:
        sock.sendall(
            f"GET /KeyfactorAPI/SMTP HTTP/1.1\r\nHost: localhost\r\nX-Mock-Fault: delay=0.2\r\n"
            f"Authorization: Basic {credentials}\r\n\r\n".encode()
        )
    caller.http.get("/_mock/requests", params={"wait": "5"})
    (record,) = caplog.records
    text = (
        "the client closed the connection before the answer (x-keyfactor-requested-with: required.)"
    )
    assert record.getMessage().endswith(f' problem="{text}"')
    assert " status=" not in record.getMessage()


# A body that comes again


def test_a_body_that_comes_again_is_judged_the_same(caller: Caller) -> None:
    refused = V2 | {"Port": 0, "UseSSL": "yes"}
    first, second = (caller.send("2", refused) for _ in range(2))
    assert refusal(first) == refusal(second)
    kept = [caller.exchange(response) for response in (first, second)]
    for name in ("violations", "problem", "request", "lenient"):
        assert kept[0][name] == kept[1][name]


def test_what_a_body_meets_decides_each_time_anew(caller: Caller) -> None:
    body = {**V2, "host": "corpexch02.keyexample.com"}
    del body["Host"]
    octets = json.dumps(body).encode() + b" and more"
    for _ in range(2):
        assert caller.send("2", octets).status_code == 400
        caller.mock.patch_world({"lenient": True})
        response = caller.send("2", octets)
        assert (response.status_code, len(caller.exchange(response)["lenient"])) == (200, 2)
        caller.mock.patch_world({"lenient": False})
    for version, status in (("1", 400), ("2", 200), (None, 400), ("2", 200)):
        assert caller.send(version, V2).status_code == status
    for media, status in (("text/plain", 415), ("application/json", 200)):
        headers: dict[str, str | None] = {"content-type": media}
        assert caller.send("2", V2, headers=headers).status_code == status
    headers = {"x-keyfactor-requested-with": None}
    assert caller.send("2", V2, headers=headers).status_code == 400
    profile = f"PUT {PATH.removesuffix('/Test')}"
    for path, status in ((PATH, 200), (profile, 400), (PATH, 200)):
        assert caller.send("2", V2, path=path).status_code == status


def test_a_path_and_a_query_are_judged_with_their_body(caller: Caller) -> None:
    for query, status in (("", 200), ("?ReturnLimit=x", 400), ("?ReturnLimit=1", 200)):
        path = f"GET /KeyfactorAPI/CertificateStores{query}"
        assert caller.send("1", None, path=path).status_code == status
    for number, status in (("1", 200), ("x", 400), ("2", 200)):
        path = f"GET /KeyfactorAPI/PamProviders/{number}"
        assert caller.send("1", None, path=path).status_code == status

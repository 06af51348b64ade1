"""What the documents accept and refuse, in which words, and how a body is read."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.base.data import data_folder
from mockserver.base.documents import DocumentError
from mockserver.base.jsontext import MAX_DIGITS, parse_json
from mockserver.base.problems import Kind, Problem
from mockserver.base.schema import Node
from mockserver.base.text import cut, host_name
from mockserver.contract.operations import Contract, Operation, _read_operations
from support import BASIC, BODIES, BODY, ERRORS, HEADERS, OAUTH, PAM, SECRET, Json, compile_all

MAX_LEVELS = 64

CONTRACT = Contract.load(data_folder("openapi"))

# Secret objects without a value, and those with half a reference.
BLANK_SECRETS: list[object] = [
    {}, {"SecretValue": ""}, {"SecretValue": None}, {"Provider": None}, {"Parameters": {}},
    {"Provider": "", "Parameters": None}, {"SecretValue": "", "Provider": None, "Parameters": {}},
]  # fmt: skip
HALVES: list[tuple[object, str, str]] = [
    ({"Provider": "1"}, "required", "/Parameters"),
    ({"Provider": 0, "SecretValue": ""}, "required", "/Parameters"),
    ({"Parameters": {"a": "b"}}, "required", "/Provider"),
    ({**PAM, "Provider": None}, "type", "/Provider"),
    ({**PAM, "Provider": ""}, "minLength", "/Provider"),
    ({**PAM, "Parameters": None}, "type", "/Parameters"),
    ({**PAM, "Parameters": {}}, "minProperties", "/Parameters"),
]
IPV6 = "2001:db8:0:0:0:0:0:1"
LABEL = "x" * 63
LONGEST = f"{'a' * 64}@{LABEL}.{LABEL}.{'x' * 61}"
MANY = [str(number) for number in range(33)]


def operation(version: str) -> Operation:
    return CONTRACT.operation("/SMTP/Test", "POST", version)


def broken(version: str, body: object) -> set[tuple[str, str]]:
    return {(found.path, found.rule) for found in operation(version).check(HEADERS, body)}


def refusal(call: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value


# Fields: what is accepted, and what is refused by which rule

ACCEPTED: dict[str, list[object]] = {
    "Host": [
        "a", "smtp.keyexample.com", "SMTP.Test", "1a", "a.1", "a-b.test", "a--b.test", "smtp.test.",
        "a_b.test", "_smtp._tcp.test", "ab--cd.test", "bücher.example.", "_x.bücher.example",
        "xn--bcher-kva.example", "xn--bcher-kva.example.", "bücher.example", "почта.example",
        "例え.テスト", "אב.test", "1.אב.test", "ü" * 14, "ü" * 40, f"{'ü' * 14}.{'ü' * 41}",
        LABEL, f"{LABEL}.{LABEL}.{LABEL}.{'x' * 61}", "127.0.0.1", "255.255.255.255",
        "::", "::1", "[::1]", "1::", "1:2:3:4:5:6:7::", "fe80::1:2", IPV6, f"[{IPV6}]",
    ],
    "Port": [1, 25, 65535, 587.0],
    "Id": [0, -(2**31), 2**31 - 1, -0.0],
    "RelayAuthenticationType": [0, None, 0.0],
    "UseSSL": [True, False, None],
    "SenderAccount": [
        "a@b", "jörg@bücher.example", "用户@例子.广告", "o'neil+x@keyexample.com", "noreply",
        "John Smith", "a", " ", "a" * 254, '"a"@b', '"', "\\", "a@[127.0.0.1]", "a@b@c", "a@", "@b",
        "a..b@c", "a@b.", "a@-b", "a@b_c", "a@x, b@x", " a@b ", "=?utf-8?q?a?=@b", "a@xn--a", "ö",
        f"{'a' * 65}@b", "\u202ea@b", "\u00a0", "\ufeff", "ö" * 127, "中" * 84, "😀" * 63,
    ],
    "SenderName": [
        "K", "Keyfactor Command", "x" * 400, 'A "quoted", name', "שלום עולם", "😀", "=?", "a=?b",
        "=?utf-8?q?a?=", "a =?x?b?YQ==?= b",
    ],
    "TestRecipient": [
        "a@b", "jörg@bücher.example", "a!#$%&'*+/=?^_`{|}~-z@b.test", LONGEST, "a@b_c", "a@_b",
        '"john smith"@x.test', '"a@b"@c', '"a\\"b\\\\"@c', '"<,>"@c', '""@c', '"ö"@bücher.example',
        "a@[192.0.2.1]", "a@[IPv6:::1]", "a@[ipv6:2001:db8::1]", "a@ab--cd.test",
        "a@xn--bcher-kva.test", "=?utf-8?q?a?=@b", "😀@b", f"{'a' * 64}@b", f'"{"a" * 62}"@b',
        f"{'ö' * 32}@b", f"{'中' * 21}@b", f"{'😀' * 16}@b", "a@1.2.3.4",
    ],
}  # fmt: skip

REFUSED: dict[str, list[tuple[object, str]]] = {
    "Host": [
        *((text, "pattern") for text in (
            "a..b", ".a", ".", "-a", "a-", "a.-b", "a-.b", "a-.", "a b", "a/b", "a:25", "a@b",
            "a..", "1.2.3", "256.1.1.1", "01.2.3.4", "1.2.3.4.", "::1]", "[::1", "[a]",
            ":::", "1::2::3", "1:2:3",
            "fe80::1%eth0", "smtp.test\n", "a\x00", "\u2028", "a。b", "a\u200db", "x" * 64,
        )),
        ("", "minLength"),
        ("x" * 254, "maxLength"),
        *((text, "format") for text in (
            "xn--a.test", "a.XN--a", "1א.test", "ü" * 60, "ü_x.test", "_ü.test", "ab--cd.ü",
            "ŀ.test", f"_.{'ü' * 15}", f"{'ü.' * 29}_",
        )),
        (None, "type"), (25, "type"), ([], "type"),
    ],
    "Port": [
        (0, "minimum"), (65536, "maximum"), (10**250, "maximum"), (-1, "minimum"), ("25", "type"),
        (587.5, "type"), (1e300, "maximum"), (True, "type"), ({}, "type"),
    ],
    "Id": [(2**31, "maximum"), (-(2**31) - 1, "minimum"), ("1", "type"), (1.5, "type")],
    "RelayAuthenticationType": [
        (1, "enum"), (4, "enum"), (-1, "enum"), ("0", "type"), (0.5, "type"), (False, "type"),
    ],
    "UseSSL": [("true", "type"), (1, "type"), (0, "type")],
    "SenderAccount": [
        *((text, "pattern") for text in (
            "<a@b>", "A <a@b>", "a<", ">", "a@b\n", "a\r\n@b", "a\x00@b", "\t", "a\x7f@b", "\x85",
            "a\u2028", "\u2029a", "ö" * 128, "中" * 85, "😀" * 64,
        )),
        ("", "minLength"), ("a" * 255, "maxLength"), (None, "type"),
    ],
    "SenderName": [
        *((text, "pattern") for text in (
            " ", "\u00a0", "\u200b", "a\r\nBcc: b@c.test", "a\x00", "a\x1f", "a\x7f",
            "a\x85", "a\u2028",
        )),
        ("", "minLength"), ("x" * 401, "maxLength"), (None, "type"), (1, "type"),
    ],
    "TestRecipient": [
        *((text, "pattern") for text in (
            "mjones", "a@", "@b", "a@b@c", "a@b, c@d", "a..b@c", ".a@b", "a.@b", "a@b.", "a@-b",
            "a@b..c", "a@b c", "<a@b>", "A <a@b>", "a b@c", "a@b ", " a@b", "a@b\r\nDATA",
            "a\x00@b", 'a"b"@c', '"a"b@c', '"a@b', '"a"b"@c', '"\\"@c', '"a\n"@c', '"\\ö"@c',
            "a@[1.2.3]", "a@[256.1.1.1]", "a@[IPv6:g]", "a@[x:y]", "a@[1.2.3.4", f"{'a' * 65}@b",
            f"{'ö' * 33}@b", f"{'中' * 22}@b", f"{'😀' * 17}@b", f"a@{'x' * 64}",
        )),
        *((text, "format") for text in ("a@xn--a", "a@x.XN--a", f"a@{'ü' * 60}", "a@ü_x.test")),
        (["a@b"], "type"), ("", "minLength"), ("a" * 255, "maxLength"),
    ],
}  # fmt: skip

ACCEPTED_V2: dict[str, list[object]] = {
    "Id": [None],
    "RelayAuthenticationType": [0],
    "RelayPassword": [
        None, SECRET, PAM, {**PAM, "Provider": 1}, {**PAM, "SecretValue": None},
        {**PAM, "Provider": 1.0}, {**PAM, "SecretValue": ""},
        {**SECRET, "Parameters": {}, "Provider": None},
        {**SECRET, "Provider": None, "Parameters": None}, {**SECRET, "Provider": ""},
        *BLANK_SECRETS,
        {"Provider": "2", "Parameters": {"Folder": "MyFolderName", "Object": "MyEmailUsername"}},
        {"SecretValue": "x"}, {"SecretValue": "x" * 1024}, {**PAM, "Provider": 0},
        {**PAM, "Provider": 2**31 - 1},
        {**PAM, "Parameters": dict.fromkeys(MANY[1:], "x" * 1024)},
    ],
    "TokenEndpoint": [
        "http://a/" + "a" * 1991, "", " ", "\r\n\t\v\f", "https://a_b/", "https://ab--cd/", "https://1a.test",
        "https://idp.test./token", "https://idp.test.", "https://[::1]:8080/a", "http://[1::]",
        "https://bücher.example./token", "https://אב.test?a", "https://x.ü", f"https://{'ü' * 14}",
        f"https://{'ü' * 14}.{'x' * 41}:1", "https://xn--bcher-kva.example", f"https://{LABEL}.{LABEL}",
        None, "http://a", "https://idp.keyexample.com/oauth2/token", "HTTPS://IDP.test:65535/a?b=c%20d",
        "https://127.0.0.1:8080/_mock/idp/token", "https://idp-down.test/token",
    ],
    "Scope": [None, "", " a  b ", "smtp.send", "api://x/.default", "a\t\x00", "ü", "a" * 1000],
    "Audience": [None, "", " ", "smtp.keyexample.com", "ein Publikum\n", "übung", "a" * 1000],
    "RequestHeaders": [
        None, [], [{"Name": "X-Tenant", "Value": "a b"}], [{"Name": "Hosts", "Value": "!"}] * 64,
        [{"Name": "a", "Value": "b"}, {"Name": "a" * 128, "Value": "b" * 4096}],
    ],
}  # fmt: skip

REFUSED_V2: dict[str, list[tuple[object, str, str]]] = {
    "RelayPassword": [
        ("hunter2", "type", ""), ([], "type", ""),
        *HALVES,
        ({**PAM, **SECRET}, "not", "/Provider"), ({**PAM, **SECRET}, "not", "/Parameters"),
        ({**SECRET, "Provider": 0}, "not", "/Provider"),
        ({"SecretValue": "x" * 1025}, "maxLength", "/SecretValue"),
        ({"SecretValue": "a\x00"}, "pattern", "/SecretValue"),
        ({"SecretValue": 1}, "type", "/SecretValue"),
        ({**PAM, "Provider": "one"}, "pattern", "/Provider"),
        ({**PAM, "Provider": -1}, "minimum", "/Provider"),
        ({**PAM, "Provider": 2**31}, "maximum", "/Provider"),
        ({**PAM, "Provider": 1.5}, "type", "/Provider"),
        ({**PAM, "Parameters": dict.fromkeys(MANY, "")}, "maxProperties", "/Parameters"),
        ({**PAM, "Parameters": {"a/b~c": 1}}, "type", "/Parameters/a~1b~0c"),
        ({**PAM, "Parameters": {"a": "x" * 1025}}, "maxLength", "/Parameters/a"),
        ({"secretvalue": "x"}, "additionalProperties", "/secretvalue"),
    ],
    "TokenEndpoint": [
        *((text, "pattern", "") for text in (
            "ftp://idp.test/", "idp.test/token", "https:///token", "https://u:p@idp.test/", "https://a/#b",
            "https://a/ b", "https://a/\n", "https://a:65536/", "https://a..b/",
            "https://1.2.3/", "https://1.2.3.4./", "https://256.1.1.1", "https://a/%zz", "https://a/ü",
            "https://", "https://.", "https://-a", "https://a-/", "https://a-.b", "https://a-:1",
            "https://::1/", "https://[::1", "https://[1.2.3.4]", "https://[::1]a", "http:///",
            "https://ŀ.test/", "https://1א.test", "https://א1.test", "https://_ü", "https://ü._",
            "https://ab--cd.ü", f"https://{'ü' * 15}", f"https://{'ü.' * 28}x", f"https://{LABEL}x",
            " https://a/", "https://a\u3000/", f"https://{f'{LABEL}.' * 4}",
        )),
        (1, "type", ""),
        ("http://a/" + "a" * 1992, "maxLength", ""),
    ],
    "Scope": [
        ("a" * 1001, "maxLength", ""), (1, "type", ""),
    ],
    "Audience": [("a" * 1001, "maxLength", ""), (1, "type", "")],
    "RequestHeaders": [
        ({}, "type", ""), ([{"Name": "a", "Value": "b"}] * 65, "maxItems", ""),
        ([None], "type", "/0"), ([{}], "required", "/0/Name"), ([{}], "required", "/0/Value"),
        *(([{"Name": name, "Value": "x"}], "pattern", "/0/Name") for name in (
            "host", "HOST", "Content-Length", "transfer-encoding",
            "Authorization", "a b", "a:", "ü",
            "a\n",
        )),
        *(([{"Name": "a", "Value": value}], "pattern", "/0/Value") for value in (
            " a", "a ", "a\r\nb", "ü", "\x7f",
        )),
        ([{"Name": "", "Value": ""}], "minLength", "/0/Name"),
        ([{"Name": "", "Value": ""}], "minLength", "/0/Value"),
        ([{"Name": "a" * 129, "Value": "b"}], "maxLength", "/0/Name"),
        ([{"Name": "a", "Value": "b" * 4097}], "maxLength", "/0/Value"),
        ([{"Name": "a", "Value": "b", "value": "c"}], "additionalProperties", "/0/value"),
    ],
}  # fmt: skip

CREDENTIALS_V1 = [("x" * 10_000, "maxLength"), ("a\x00", "pattern"), (1, "type")]


@pytest.mark.parametrize("version", BODIES)
@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in ACCEPTED.items() for value in values]
)
def test_a_value_is_accepted(version: str, field: str, value: object) -> None:
    assert broken(version, BODIES[version] | {field: value}) == set()


@pytest.mark.parametrize("version", BODIES)
@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [(field, value, rule) for field, values in REFUSED.items() for value, rule in values],
)
def test_a_value_is_refused_by_its_rule(version: str, field: str, value: object, rule: str) -> None:
    assert broken(version, BODIES[version] | {field: value}) == {(f"/{field}", rule)}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in ACCEPTED_V2.items() for value in values],
)
def test_a_value_of_version_2_is_accepted(field: str, value: object) -> None:
    assert broken("2", BODY | {field: value}) == set()


@pytest.mark.parametrize(
    ("field", "value", "rule", "below"),
    [(field, *case) for field, cases in REFUSED_V2.items() for case in cases],
)
def test_a_value_of_version_2_is_refused_by_its_rule(
    field: str, value: object, rule: str, below: str
) -> None:
    found = broken("2", BODY | {field: value})
    assert (f"/{field}{below}", rule) in found
    assert {path.split("/")[1] for path, _ in found} == {field}


@pytest.mark.parametrize(("path", "method"), [("/SMTP/Test", "POST"), ("/SMTP", "PUT")])
@pytest.mark.parametrize("value", [1, True, {}, []], ids=str)
def test_a_secret_value_of_another_type_is_given_all_the_same(
    path: str, method: str, value: object
) -> None:
    check = CONTRACT.operation(path, method, "2").check
    body = BODIES["2"] | BASIC["2"]
    if method == "PUT":
        del body["TestRecipient"]
    wrong = ("/RelayPassword/SecretValue", "type")
    beside = {("/RelayPassword/Provider", "not"), ("/RelayPassword/Parameters", "not")}
    for reference, found in (({}, {wrong}), (PAM, {wrong, *beside})):
        password = {**reference, "SecretValue": value}
        violations = check(HEADERS, body | {"RelayPassword": password})
        assert {(each.path, each.rule) for each in violations} == found


@pytest.mark.parametrize("field", ["RelayUsername", "RelayPassword"])
@pytest.mark.parametrize(("value", "rule"), CREDENTIALS_V1)
def test_a_credential_of_version_1_is_refused_by_its_rule(
    field: str, value: object, rule: str
) -> None:
    assert broken("1", BODIES["1"] | {field: value}) == {(f"/{field}", rule)}
    longest = "x" * 1024
    for accepted in (longest, ""):
        assert broken("1", BODIES["1"] | {field: accepted}) == set()
    assert broken("1", BODIES["1"] | {field: longest + "x"}) == {(f"/{field}", "maxLength")}


# The profile: nearly anything, but of the right type

INT32 = ("Id", "Port", "RelayAuthenticationType")
SECRETS = ("RelayUsername", "RelayPassword", "ClientId", "ClientSecret")
TEXTS_OF_ALL = ("Host", "SenderAccount", "SenderName")
HEADER = {"Name": "X-Tenant", "Value": "a"}

KEPT_SECRETS: list[object] = [
    None, *BLANK_SECRETS, {"SecretValue": None, **PAM}, {"SecretValue": "", **PAM},
    {"SecretValue": "***"}, {"SecretValue": "x", "Provider": "", "Parameters": {}},
    {"SecretValue": "*" * 20, "Provider": None, "Parameters": None},
    {"Provider": 0, "Parameters": dict.fromkeys(MANY[1:], "x" * 1024)},
    {"Provider": 2**31 - 1}, {"Provider": "1234567890"}, {"Parameters": {"a": "b"}},
]  # fmt: skip
KEPT_HEADERS: list[object] = [
    None, [], [HEADER] * 64, [{"Name": ""}], [{"Name": "a", "Value": None}],
    [{**HEADER, "Value": "***"}],
]  # fmt: skip
KEPT: dict[str, list[Json]] = {
    "1": [
        *({name: value} for name in INT32 for value in (-(2**31), 2**31 - 1, None)),
        *(
            {name: value}
            for name in (*TEXTS_OF_ALL, *SECRETS[:2])
            for value in ("", "a b", "***", None)
        ),
        *({"UseSSL": value} for value in (True, False, None)),
    ],
    "2": [
        *({name: value} for name in INT32 for value in (-(2**31), 2**31 - 1, None)),
        *(
            {name: value}
            for name in (*TEXTS_OF_ALL, "TokenEndpoint", "Scope", "Audience")
            for value in ("", "a b", None)
        ),
        *({name: value} for name in SECRETS for value in KEPT_SECRETS),
        *({"RequestHeaders": value} for value in KEPT_HEADERS),
    ],
}

KEPT_BY_VERSION: list[tuple[str, Json]] = [
    (version, body) for version, bodies in KEPT.items() for body in bodies
]

SECRETS_REFUSED: list[tuple[object, str, str]] = [
    ("***", "type", ""), ([], "type", ""), ({"x": 1}, "additionalProperties", "/x"),
    ({"SecretValue": 1}, "type", "/SecretValue"),
    ({"SecretValue": "x", "Provider": "1"}, "not", "/Provider"),
    ({"SecretValue": "x", "Provider": 1}, "not", "/Provider"),
    ({"SecretValue": "x", "Parameters": {"a": "b"}}, "not", "/Parameters"),
    ({"Provider": -1}, "minimum", "/Provider"), ({"Provider": 2**31}, "maximum", "/Provider"),
    ({"Provider": "x"}, "pattern", "/Provider"), ({"Provider": []}, "type", "/Provider"),
    ({"Parameters": []}, "type", "/Parameters"),
    ({"Parameters": dict.fromkeys(MANY, "")}, "maxProperties", "/Parameters"),
    ({"Parameters": {"a": 1}}, "type", "/Parameters/a"),
    ({"Parameters": {"a": "x" * 1025}}, "maxLength", "/Parameters/a"),
]  # fmt: skip
HEADERS_REFUSED: list[tuple[object, str, str]] = [
    ({}, "type", ""), ([HEADER] * 65, "maxItems", ""), ([1], "type", "/0"),
    ([{"Value": "a"}], "required", "/0/Name"), ([{"Name": None}], "type", "/0/Name"),
    ([{**HEADER, "x": 1}], "additionalProperties", "/0/x"),
    ([{**HEADER, "Value": 1}], "type", "/0/Value"),
]  # fmt: skip
NOT_KEPT: dict[str, list[tuple[str, object, str, str]]] = {
    version: [
        *((name, 2**31, "maximum", "") for name in INT32),
        *((name, -(2**31) - 1, "minimum", "") for name in INT32),
        *((name, "1", "type", "") for name in INT32),
        *((name, 1, "type", "") for name in TEXTS_OF_ALL),
        ("UseSSL", "true", "type", ""),
        ("host", "a", "additionalProperties", ""),
    ]
    for version in BODIES
}
NOT_KEPT["1"] += [(name, 1, "type", "") for name in SECRETS[:2]]
NOT_KEPT["2"] += [(name, 1, "type", "") for name in ("TokenEndpoint", "Scope", "Audience")]
NOT_KEPT["2"] += [(name, *case) for name in SECRETS for case in SECRETS_REFUSED]
NOT_KEPT["2"] += [("RequestHeaders", *case) for case in HEADERS_REFUSED]


def broken_profile(version: str, body: object) -> set[tuple[str, str]]:
    put = CONTRACT.operation("/SMTP", "PUT", version)
    return {(found.path, found.rule) for found in put.check(HEADERS, body)}


@pytest.mark.parametrize(
    ("version", "body"),
    KEPT_BY_VERSION,
)
def test_a_profile_may_be_nearly_anything(version: str, body: Json) -> None:
    assert broken_profile(version, body) == set()


@pytest.mark.parametrize(
    ("version", "field", "value", "rule", "below"),
    [(version, *case) for version, cases in NOT_KEPT.items() for case in cases],
)
def test_a_value_of_the_profile_is_refused_by_its_rule(
    version: str, field: str, value: object, rule: str, below: str
) -> None:
    found = broken_profile(version, {field: value})
    assert (f"/{field}{below}", rule) in found
    assert {path.split("/")[1] for path, _ in found} == {field}


@pytest.mark.parametrize("version", BODIES)
@pytest.mark.parametrize("body", [None, [], "x", 1])
def test_a_profile_is_an_object(version: str, body: object) -> None:
    assert ("", "type") in broken_profile(version, body)


# Required, optional, required if


@pytest.mark.parametrize(
    ("version", "field"),
    [
        *(("1", field) for field in ("Host", "Id", "SenderAccount", "SenderName")),
        *(("2", field) for field in BODY),
    ],
)
def test_a_required_field_is_missed_and_may_not_be_null(version: str, field: str) -> None:
    body = dict(BODIES[version])
    del body[field]
    assert broken(version, body) == {(f"/{field}", "required")}
    assert broken(version, body | {field: None}) == {(f"/{field}", "type")}


@pytest.mark.parametrize("version", BODIES)
def test_every_other_field_may_be_absent_or_null(version: str) -> None:
    schema = CONTRACT.documents[version]["components"]["schemas"]["SMTPTestRequest"]
    required = {field: BODIES[version][field] for field in schema["required"]}
    optional = set(schema["properties"]) - set(required)
    assert broken(version, required) == set()
    assert broken(version, required | dict.fromkeys(optional)) == set()


CONDITIONAL = [
    ("1", BASIC["1"], "RelayUsername", 2), ("1", BASIC["1"], "RelayPassword", 2),
    ("2", BASIC["2"], "RelayUsername", 2), ("2", BASIC["2"], "RelayPassword", 2),
    ("2", OAUTH, "ClientId", 3), ("2", OAUTH, "ClientSecret", 3),
]  # fmt: skip


@pytest.mark.parametrize(("version", "login", "field", "kind"), CONDITIONAL)
def test_a_login_needs_its_credentials(version: str, login: Json, field: str, kind: int) -> None:
    body = BODIES[version] | login
    assert broken(version, body) == set()
    assert broken(version, body | {field: None}) == {(f"/{field}", "type")}
    del body[field]
    (violation,) = operation(version).check(HEADERS, body)
    assert (violation.path, violation.rule) == (f"/{field}", "required")
    assert violation.message == f"{field}: required when RelayAuthenticationType is {kind}."


@pytest.mark.parametrize(("version", "login"), [("1", BASIC["1"]), ("2", BASIC["2"]), ("2", OAUTH)])
def test_a_login_may_have_any_sender(version: str, login: Json) -> None:
    assert broken(version, BODIES[version] | login | {"SenderAccount": "noreply"}) == set()


@pytest.mark.parametrize("field", ["RelayUsername", "RelayPassword"])
def test_a_login_needs_credentials_that_are_not_blank(field: str) -> None:
    assert broken("1", BODIES["1"] | BASIC["1"] | {field: ""}) == {(f"/{field}", "minLength")}
    assert broken("1", BODIES["1"] | BASIC["1"] | {field: "x"}) == set()


@pytest.mark.parametrize(("version", "login", "field"), [case[:3] for case in CONDITIONAL[2:]])
@pytest.mark.parametrize(
    "secret",
    [
        *({"SecretValue": "x"}, {"SecretValue": "x", "Parameters": {}, "Provider": None}),
        *({**PAM, "Provider": 1}, {**PAM, "SecretValue": ""}, {**PAM, "SecretValue": None}),
    ],
    ids=str,
)
def test_a_login_takes_every_form_of_a_secret(
    version: str, login: Json, field: str, secret: Json
) -> None:
    assert broken(version, BODIES[version] | login | {field: secret}) == set()


@pytest.mark.parametrize(("version", "login", "field"), [case[:3] for case in CONDITIONAL[2:]])
@pytest.mark.parametrize("secret", BLANK_SECRETS)
def test_a_login_needs_secrets_that_are_not_blank(
    version: str, login: Json, field: str, secret: Json
) -> None:
    body = BODIES[version] | login | {field: secret}
    found = operation(version).check(HEADERS, body)
    assert {violation.path for violation in found} == {f"/{field}/Provider", f"/{field}/Parameters"}
    if secret == {}:
        assert {violation.message for violation in found} == {
            f"{field}/{name}: required when SecretValue is absent or empty."
            for name in ("Provider", "Parameters")
        }
    assert broken(version, BODY | {field: secret}) == set()


@pytest.mark.parametrize(("version", "login", "field"), [case[:3] for case in CONDITIONAL[2:]])
@pytest.mark.parametrize("half", HALVES, ids=str)
def test_half_a_reference_is_told_once(
    version: str, login: Json, field: str, half: tuple[Json, str, str]
) -> None:
    secret, rule, below = half
    for body in (BODY, BODIES[version] | login):
        assert broken(version, body | {field: secret}) == {(f"/{field}{below}", rule)}


@pytest.mark.parametrize("version", BODIES)
def test_credentials_without_a_login_are_accepted(version: str) -> None:
    assert (
        broken(version, BODIES[version] | BASIC[version] | {"RelayAuthenticationType": 0}) == set()
    )


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        (PAM, ["Parameters", "Provider"]),
        ({**PAM, "Provider": None}, ["Parameters"]),
        ({**PAM, "Parameters": None}, ["Provider"]),
        ({"Provider": "1"}, ["Provider"]),
        ({"Provider": "1", "Parameters": {}}, ["Provider"]),
        ({**PAM, "Provider": ""}, ["Parameters"]),
        ({**PAM, "SecretValue": "x"}, ["Parameters", "Provider"]),
        ({"Parameters": PAM["Parameters"]}, ["Parameters"]),
    ],
)
def test_a_secret_has_one_source_only(more: Json, refused: list[str]) -> None:
    violations = operation("2").check(HEADERS, BODY | {"ClientSecret": {**SECRET, **more}})
    assert sorted(found.message for found in violations) == [
        f"ClientSecret/{name}: must be absent when SecretValue is given." for name in refused
    ]
    assert {found.rule for found in violations} == {"not"}


def test_version_1_has_no_oauth() -> None:
    found = broken("1", BODIES["1"] | OAUTH)
    assert found == {
        ("/RelayAuthenticationType", "enum"),
        ("/ClientId", "additionalProperties"),
        ("/ClientSecret", "additionalProperties"),
    }


# Messages


def test_all_violations_come_at_once_and_in_words() -> None:
    body = {
        "Host": "a b",
        "Port": 70000,
        "sendername": "x",
        "RelayAuthenticationType": 1,
        "UseSSL": 1,
    }
    headers = {"x-keyfactor-api-version": "2"}
    message = operation("2").describe(headers, body, operation("2").check(headers, body))
    assert set(message.removesuffix(".").split(". ")) == {
        "x-keyfactor-requested-with: required",
        "Host: must be a host name or an IP address",
        "Port: must be at most 65535",
        "sendername: unknown; the nearest known name is SenderName",
        "RelayAuthenticationType: must be one of 0, 2, 3",
        "UseSSL: must be a boolean or null",
        "SenderAccount: required",
        "SenderName: required",
        "TestRecipient: required",
    }


@pytest.mark.parametrize("body", [None, [], "x", 1, True, [{}]])
def test_a_body_that_is_no_object_is_one_violation(body: object) -> None:
    (violation,) = operation("2").check(HEADERS, body)
    assert (violation.path, violation.rule) == ("", "type")
    assert violation.message == "body: must be an object."


@pytest.mark.parametrize("version", BODIES)
def test_a_pointer_leads_to_the_rule_in_the_document(version: str) -> None:
    wrong = ["Host", "Port", "RelayPassword", "ClientId", "RequestHeaders", "x"]
    violations = operation(version).check({}, dict.fromkeys(wrong, 1))
    assert violations
    for violation in violations:
        node = CONTRACT.documents[version]
        for part in violation.pointer.split("/")[1:]:
            node = node[part.replace("~1", "/").replace("~0", "~")]


@pytest.mark.parametrize("version", BODIES)
@pytest.mark.parametrize(
    "secret", ["hunter2\x00", 4711, {"SecretValue": "hunter2\x00"}, ["hunter2"]]
)
def test_no_message_shows_a_value(version: str, secret: object) -> None:
    fields = CONTRACT.documents[version]["components"]["schemas"]["SMTPTestRequest"]["properties"]
    violations = operation(version).check(HEADERS, dict.fromkeys(fields, secret))
    assert len(violations) >= len(fields) - 2
    text = repr(violations)
    assert "hunter2" not in text
    assert "4711" not in text


def test_names_are_shown_short_and_printable() -> None:
    (violation,) = operation("2").check(HEADERS, BODY | {"x\r\n" + "y" * 100_000: 1})
    assert violation.message.isprintable()
    assert len(violation.message) < 200


def test_the_number_of_violations_is_bounded() -> None:
    fields = {f"field {number}": 1 for number in range(1_000)}
    assert len(operation("2").check(HEADERS, fields)) == 100
    # All errors of a large body would take long; the first one is told.
    assert len(operation("2").check(HEADERS, {f"{name * 9}": 1 for name in fields})) == 1


def test_the_same_sentence_is_said_once() -> None:
    unknown = {"x" * 64 + letter: 1 for letter in "ab"}  # names are cut where they are shown
    violations = operation("2").check(HEADERS, BODY | unknown)
    assert len(violations) == 2
    assert operation("2").describe(HEADERS, unknown, violations) == violations[0].message


# Headers


@pytest.mark.parametrize("value", ["APIClient", "apiclient", "XMLHttpRequest", "XMLHTTPREQUEST"])
def test_requested_with_has_any_letter_case(value: str) -> None:
    assert operation("2").check({"x-keyfactor-requested-with": value}, BODY) == []


@pytest.mark.parametrize("value", ["", "APIClient ", "curl", "APIClient, APIClient"])
def test_another_requested_with_is_refused(value: str) -> None:
    (violation,) = operation("2").check({"x-keyfactor-requested-with": value}, BODY)
    assert (violation.path, violation.rule) == ("header x-keyfactor-requested-with", "pattern")
    assert violation.message == "x-keyfactor-requested-with: must be APIClient or XMLHttpRequest."


# Defaults


def test_defaults_fill_what_is_absent_or_null() -> None:
    body = {"Host": "a", "Id": 7, "UseSSL": None}
    assert operation("1").filled(body) == {
        "Host": "a",
        "Id": 7,
        "Port": 25,
        "RelayAuthenticationType": 0,
        "UseSSL": False,
    }


# Reading

BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "line 2, column 1"),
    "a word": (b"hunter2", "line 1, column 1"),
    "truncated": (b'{"a": \n"hunter2', "line 2, column 1"),
    "two values": (b"{} {}", "line 1, column 4"),
    "a control character": (b'{"a": "\n"}', "line 1"),
    "invalid UTF-8": (b'{"a": "\xff"}', "octet 7"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "UTF-8"),
    "a lone surrogate": (rb'{"a": "\ud800"}', "surrogate"),
    "a lone surrogate in a name": (rb'{"\uDFFF": 1}', "surrogate"),
    "surrogates in the wrong order": (rb'["\udc00\ud800"]', "surrogate"),
    "duplicate names": (b'{"Port": 25, "Host": "a", "Port": 26}', "Port"),
    "duplicate names below": (b'[{"a": {"x": 1, "x": 1}}]', "x stands twice"),
    "NaN": (b'{"a": NaN}', "NaN"),
    "Infinity": (b"[-Infinity]", "-Infinity"),
    "1e400": (b"[1e400]", "too large"),
    "-1e400": (b"[-1e400]", "too large"),
    "5,000 digits": (b"9" * 5_000, "digits"),
    "one digit too many": (b"9" * (MAX_DIGITS + 1), "digits"),
    "one level too deep": (b"[" * (MAX_LEVELS + 2) + b"]" * (MAX_LEVELS + 2), "nested"),
    "300 objects": (b'{"a":' * 300 + b"1" + b"}" * 300, "nested"),
    "980 lists": (b"[" * 980 + b"]" * 980, "nested"),
    "100,000 lists": (b"[" * 100_000 + b"]" * 100_000, "nested"),
}


@pytest.mark.parametrize(("raw", "names"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_what_is_not_json_is_named(raw: bytes, names: str) -> None:
    problem = refusal(lambda: operation("2").read("application/json", raw))
    assert (problem.told(ERRORS).status, problem.kind) == (400, Kind.JSON)
    assert names in problem.message
    assert "hunter2" not in problem.message
    assert len(problem.message) < 200


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b" null ", None),
        ('"ü😀"'.encode(), "ü😀"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\\ud800"', "\\ud800"),
        (b"-0.5e-400", -0.0),
        (b"9" * MAX_DIGITS, 10**MAX_DIGITS - 1),
        (b"[[],{}] ", [[], {}]),
        (b"[" + b"[]," * 1_000 + b"[]]", [[]] * 1_001),
    ],
)
def test_json_is_read(raw: bytes, value: object) -> None:
    assert parse_json(raw) == value


def test_nesting_is_allowed_to_its_limit() -> None:
    raw = b"[" * (MAX_LEVELS + 1) + b"]" * (MAX_LEVELS + 1)
    assert json.dumps(parse_json(raw)).encode() == raw


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json", "Application/JSON", "application/json; charset=utf-8",
        'application/json;charset="UTF-8"', "application/json; a=b; charset=UTF-8", "text/json",
        "application/json-patch+json", "application/*+json", "application/vnd.keyfactor+json",
        " application/json ;",
    ],
)  # fmt: skip
def test_json_media_types_are_read(media_type: str) -> None:
    assert operation("2").read(media_type, b"{}") == {}


@pytest.mark.parametrize(
    "media_type",
    [
        None, "", ";", "json", "text/plain", "application/xml", "application/jsonp", "text/x+json",
        "application/+json", "application/json/x", "application/json, text/json", "*/*",
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/json; charset=latin-1", "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=latin-1",
    ],
)  # fmt: skip
def test_other_media_types_are_415(media_type: str | None) -> None:
    problem = refusal(lambda: operation("2").read(media_type, b"{}"))
    assert (problem.told(ERRORS).status, problem.kind) == (415, Kind.MEDIA_TYPE)
    assert "application/json" in problem.message


# Whatever comes

TEXTS = st.text() | st.sampled_from(["Host", "Port", "a@b", "\ud800", "0", "ü.test"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)
FIELDS = sorted(CONTRACT.documents["2"]["components"]["schemas"]["SMTPTestRequest"]["properties"])


def answer(version: str, content_type: str, raw: bytes) -> None:
    try:
        body = operation(version).read(content_type, raw)
        violations = operation(version).check(HEADERS, body)
        message = operation(version).describe(HEADERS, body, violations)
    except Problem as problem:
        status, message = problem.told(ERRORS).status, problem.message
    else:
        status = 400
    assert status in {400, 415}
    assert message.encode().decode() == message


@given(raw=st.binary(), content_type=st.just("application/json") | st.text())
def test_no_octets_raise_anything_but_a_problem(raw: bytes, content_type: str) -> None:
    answer("2", content_type, raw)


@given(body=ANYTHING | st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_no_json_raises_anything_but_a_problem(body: object) -> None:
    for version in BODIES:
        answer(version, "application/json", json.dumps(body).encode())


PROPERTIES = CONTRACT.documents["2"]["components"]["schemas"]["SMTPTestRequest"]["properties"]


@given(host=st.from_regex(PROPERTIES["Host"]["pattern"], fullmatch=True))
def test_an_accepted_host_name_can_be_written_as_a_labels(host: str) -> None:
    if not broken("2", BODY | {"Host": host}):
        name = host_name(host)
        assert name.isascii()
        assert len(name) <= 253


@given(url=st.from_regex(PROPERTIES["TokenEndpoint"]["pattern"], fullmatch=True))
def test_the_host_of_an_accepted_url_can_be_written_as_a_labels(url: str) -> None:
    if not broken("2", BODY | {"TokenEndpoint": url}) and url.strip():
        name = host_name(urlsplit(url).hostname or "")
        assert name
        assert name.isascii()
        assert max(map(len, name.split("."))) <= 63 or ":" in name
        assert len(name) <= 253


@given(recipient=st.from_regex(PROPERTIES["TestRecipient"]["pattern"], fullmatch=True))
def test_an_accepted_address_has_a_short_local_part_and_a_domain(recipient: str) -> None:
    if not broken("2", BODY | {"TestRecipient": recipient}):
        local, _, domain = recipient.rpartition("@")
        assert 1 <= len(local.encode()) <= 64
        if not domain.startswith("["):
            assert host_name(domain).isascii()


@given(sender=st.text(min_size=1, max_size=254))
def test_an_accepted_sender_is_short_enough_for_mail(sender: str) -> None:
    if not broken("2", BODY | {"SenderAccount": sender}):
        assert len(sender.encode()) <= 254
        assert not set(sender) & {"<", ">", "\r", "\n", "\0"}


# Operations


@pytest.mark.parametrize(
    ("version", "found"),
    [(None, "test_smtp_v1"), ("1", "test_smtp_v1"), ("1.0", "test_smtp_v1"),
     ("2", "test_smtp_v2"), ("2.0", "test_smtp_v2")],
)  # fmt: skip
def test_the_header_selects_the_version(version: str | None, found: str) -> None:
    operation = CONTRACT.operation("/smtp/TEST", "POST", version)
    assert (operation.id, operation.version) == (found, found[-1])
    assert operation.permissions == ("/system_setting/modify/",)
    assert operation.deprecated is (found == "test_smtp_v1")


@pytest.mark.parametrize("version", ["", "99", "0", "1.", "01", "2.00", "v2", " 2", "abc", "2,2"])
def test_another_version_is_400(version: str) -> None:
    problem = refusal(lambda: operation(version))
    assert (problem.told(ERRORS).status, problem.kind) == (400, Kind.VERSION)
    assert "must be one of 1, 1.0, 2, 2.0" in problem.message


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/SMPT", "/SMTP"),
        ("/smpt/test", "/SMTP/Test"),
        ("/SMTP/Tset", "/SMTP/Test"),
        ("/SMTP/Test/", "/SMTP/Test"),
        ("/PamProvider", "/PamProviders"),
        ("/smtp/" + "x" * 10_000, "/SMTP/Test"),
        ("/SECURITY/Roles", "/Security/My/Permissions"),
    ],
)
def test_an_unknown_path_is_404_before_all_else(path: str, near: str) -> None:
    problem = refusal(lambda: CONTRACT.operation(path, "BREW", "9"))
    assert (problem.told(ERRORS).status, problem.kind) == (404, Kind.NOT_FOUND)
    assert problem.message.endswith(f"; the nearest known path is {near}")
    assert len(problem.message) < 200


@pytest.mark.parametrize(
    "path",
    ["/", "/x", "/Agents", "/Templates", "/SSL", "/Workflow/Definitions", "/" + "x" * 10_000],
)
def test_an_unknown_path_with_nothing_near_names_no_other(path: str) -> None:
    problem = refusal(lambda: CONTRACT.operation(path, "GET", "1"))
    assert problem.message == f"nothing is at {cut(path)}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "post", "BREW"])
def test_another_method_is_405_before_the_version(method: str) -> None:
    problem = refusal(lambda: CONTRACT.operation("/SMTP/Test", method, "9"))
    assert (problem.told(ERRORS).status, problem.kind) == (405, Kind.METHOD)
    assert problem.headers == {"Allow": CONTRACT.allow("/SMTP/Test")} == {"Allow": "OPTIONS, POST"}


# Loading


def load(folder: Path, change: Callable[[Json], object]) -> Contract:
    for version in BODIES:
        document = json.loads(json.dumps(CONTRACT.documents[version]))
        if version == "2":
            change(document)
        (folder / f"v{version}.yaml").write_text(json.dumps(document), encoding="utf-8")
    return Contract.load(folder)


def post(document: Json) -> Json:
    operation: Json = document["paths"]["/SMTP/Test"]["post"]
    return operation


def host(document: Json) -> Json:
    schema: Json = document["components"]["schemas"]["SMTPTestRequest"]["properties"]["Host"]
    return schema


def test_a_version_that_a_path_lacks_is_400(tmp_path: Path) -> None:
    contract = load(
        tmp_path, lambda document: document["paths"].update({"/Two": {"get": post(document)}})
    )
    assert contract.operation("/Two", "GET", "2").method == "GET"
    problem = refusal(lambda: contract.operation("/Two", "GET", None))
    assert (problem.told(ERRORS).status, problem.kind) == (400, Kind.VERSION)
    assert "/Two" in problem.message


@pytest.mark.parametrize("documented", ["PageReturned", "pq.pageReturned"])
@pytest.mark.parametrize(
    "sent", ["PageReturned", "pagereturned", "pq.PageReturned", "a.b.pageReturned"]
)
def test_a_name_in_the_query_has_any_prefix(tmp_path: Path, documented: str, sent: str) -> None:
    def change(document: Json) -> None:
        document["components"]["parameters"]["PageReturned"]["name"] = documented

    listing = load(tmp_path, change).operation("/PamProviders", "GET", "2")
    assert listing.given("/PamProviders", [(sent, "7")])[documented] == 7


def test_a_literal_segment_goes_before_a_template() -> None:
    for path in ("/PamProviders/Types", "/pamproviders/TYPES"):
        assert CONTRACT.operation(path, "GET", "2").path == "/PamProviders/Types"
    assert CONTRACT.operation("/PamProviders/Type", "GET", "2").path == "/PamProviders/{id}"
    nothing = refusal(lambda: CONTRACT.operation("/PamProviders/", "GET", "2"))
    assert nothing.kind is Kind.NOT_FOUND


@pytest.mark.parametrize(
    ("kind", "text", "value", "rules"),
    [
        ("integer", "7", 7, []),
        ("integer", "-7", -7, []),
        ("integer", "9" * MAX_DIGITS, 10**MAX_DIGITS - 1, []),
        ("integer", "9" * (MAX_DIGITS + 1), "9" * (MAX_DIGITS + 1), ["type"]),
        ("integer", "07", "07", ["type"]),
        ("integer", " 7", " 7", ["type"]),
        ("integer", "", "", ["type"]),
        ("boolean", "true", True, []),
        ("boolean", "False", False, []),
        ("boolean", "1", "1", ["type"]),
        ("string", "7", "7", []),
        (["integer", "boolean"], "7", 7, []),
        (["integer", "boolean"], "true", True, []),
    ],
)
def test_a_text_of_the_query_becomes_what_its_type_says(
    tmp_path: Path, kind: object, text: str, value: object, rules: list[str]
) -> None:
    parameter = {"name": "Wanted", "in": "query", "schema": {"type": kind}}
    contract = load(tmp_path, lambda document: post(document)["parameters"].append(parameter))
    found = contract.operation("/SMTP/Test", "POST", "2")
    given = found.given("/SMTP/Test", [("wanted", text), ("Other", "x")])
    assert given == {"Wanted": value}
    assert [broken.rule for broken in found.check(HEADERS, BODY, given)] == rules
    assert found.given("/SMTP/Test", []) == {}


def test_a_required_parameter_of_the_query_is_missed(tmp_path: Path) -> None:
    parameter = {"name": "Wanted", "in": "query", "required": True, "schema": {"type": "string"}}
    contract = load(tmp_path, lambda document: post(document)["parameters"].append(parameter))
    (violation,) = contract.operation("/SMTP/Test", "POST", "2").check(HEADERS, BODY)
    assert (violation.path, violation.message) == ("query Wanted", "Wanted: required.")


BROKEN: dict[str, tuple[Callable[[Json], object], str]] = {
    "no paths": (lambda document: document.pop("paths"), "v2.yaml: paths is missing"),
    "an empty path": (
        lambda document: document["paths"].update({"/a": None}),
        "/paths: /a is missing",
    ),
    "no operationId": (
        lambda document: post(document).pop("operationId"),
        "/paths/~1SMTP~1Test/post: operationId is missing",
    ),
    "no security": (
        lambda document: post(document).update(security=[]),
        "/paths/~1SMTP~1Test/post/security: 0 is missing",
    ),
    "security of another form": (
        lambda document: post(document).update(security=["Basic"]),
        "/paths/~1SMTP~1Test: not an OpenAPI operation",
    ),
    "an unknown parameter": (
        lambda document: post(document)["parameters"].append({"$ref": "#/components/parameters/X"}),
        "/components/parameters: X is missing",
    ),
    "a parameter in another place": (
        lambda document: post(document)["parameters"].append(
            {"name": "session", "in": "cookie", "schema": {"type": "string"}}
        ),
        "/paths/~1SMTP~1Test/post/parameters/2: in must be one of header, path, query",
    ),
    "a template without its parameter": (
        lambda document: document["paths"].update({"/SMTP/{id}": {"post": post(document)}}),
        "/paths/~1SMTP~1{id}/post: the path parameter id is missing",
    ),
    "a permission without its parameter": (
        lambda document: post(document).update(security=[{"Basic": ["/pam/read/{number}/"]}]),
        "/paths/~1SMTP~1Test/post: the path parameter number is missing",
    ),
    "an unknown schema": (
        lambda document: document["components"]["schemas"].pop("Secret"),
        "Pointer '/components/schemas/Secret' does not exist",
    ),
    "a schema elsewhere": (
        lambda document: host(document).update({"$ref": "http://127.0.0.1:1/"}),
        "Resource 'http://127.0.0.1:1/' is not present",
    ),
    "an unknown type": (
        lambda document: host(document).update(type="text"),
        "components/schemas/SMTPTestRequest/properties/Host/type",
    ),
    "a pattern that is none": (
        lambda document: host(document).update(pattern="("),
        "components/schemas/SMTPTestRequest/properties/Host/pattern",
    ),
}


@pytest.mark.parametrize(("change", "names"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_document_is_named_with_its_place(
    tmp_path: Path, change: Callable[[Json], object], names: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        compile_all(load(tmp_path, change))
    assert str(tmp_path / "v2.yaml") in str(caught.value)
    assert names in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("paths:\n  a: b: c\n", r"line 2, column 7: mapping values"),
        ("paths: {a: {}}\npaths: {b: {}}\n", r"line 2, column 1: the key paths stands twice"),
        ("", "info is missing"),
    ],
)
def test_a_document_that_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, text: str, names: str
) -> None:
    (tmp_path / "v1.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError, match=rf"v1\.yaml: {names}"):
        Contract.load(tmp_path)


def test_a_folder_without_a_document_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=rf"{tmp_path}: no document v\*\.yaml"):
        Contract.load(tmp_path)


def test_two_documents_of_one_version_are_refused(tmp_path: Path) -> None:
    def change(document: Json) -> None:
        document["info"]["version"] = "1"

    with pytest.raises(DocumentError, match=r"v2\.yaml: /info/version: .*v1\.yaml is version 1"):
        load(tmp_path, change)


def test_the_version_comes_from_the_document_and_the_oldest_is_the_default(tmp_path: Path) -> None:
    load(tmp_path, lambda document: document["info"].update(version="10"))
    (tmp_path / "v1.yaml").rename(tmp_path / "v9.yaml")
    contract = Contract.load(tmp_path)
    assert list(contract.documents) == ["1", "10"]
    assert contract.operation("/SMTP/Test", "POST", None).version == "1"
    assert contract.operation("/SMTP/Test", "POST", "2.0").version == "10"


def test_operations_are_read_from_a_document_in_memory() -> None:
    root = Node.root("memory", CONTRACT.documents["1"])
    found = [operation.id for operation in _read_operations(root)]
    assert found == [each.id for each in CONTRACT.operations if each.version == "1"]
    assert "test_smtp_v1" in found

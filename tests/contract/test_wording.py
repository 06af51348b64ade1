"""How a refused body is told: one sentence for each mistake, each of them true."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.base.data import data_folder
from mockserver.base.problems import Violation
from mockserver.base.schema import Node, Schema
from mockserver.contract import wording
from mockserver.contract.operations import Contract, Operation
from mockserver.contract.wording import violations
from support import BASIC, BODIES, BODY, HEADERS, OAUTH, PAM, SECRET, Json

CONTRACT = Contract.load(data_folder("openapi"))
STARS = "***"


SENDER = (
    "SenderAccount: must be text without control characters and angle brackets, at most 127 "
    "characters if not all are ASCII (84 beyond U+07FF, 63 beyond U+FFFF)."
)


def told(
    version: str | None, body: object, call: str = "POST /SMTP/Test", contract: Contract = CONTRACT
) -> str:
    method, path = call.split()
    found = contract.operation(path, method, version)
    headers = HEADERS | ({} if version is None else {"x-keyfactor-api-version": version})
    return found.describe(headers, body, found.check(headers, body))


# One sentence for each mistake


@pytest.mark.parametrize(
    ("version", "wrong", "sentence"),
    [
        ("1", {"Host": ""}, "Host: must have 1 or more characters."),
        (
            "1",
            BASIC["1"] | {"RelayPassword": ""},
            "RelayPassword: must have 1 or more characters when RelayAuthenticationType is 2.",
        ),
        ("2", {"TestRecipient": ""}, "TestRecipient: must have 1 or more characters."),
        (
            "2",
            {"TokenEndpoint": "http://"},
            "TokenEndpoint: must be an absolute http or https URL without user name or fragment.",
        ),
        ("2", {"Host": "ü_"}, "Host: must be a host name or an IP address."),
        ("2", {"Host": "a_" * 200}, "Host: must have 253 or fewer characters."),
        ("2", {"Port": 65535.5}, "Port: must be an integer."),
        ("2", {"Port": 70000.0}, "Port: must be at most 65535."),
        ("1", {"Port": 0.5}, "Port: must be an integer or null."),
        ("2", {"host": "a"}, "host: given twice; Host is the same name."),
        (
            "1",
            {"RelayAuthenticationType": 0.5},
            "RelayAuthenticationType: must be an integer or null.",
        ),
        (
            "2",
            {"RelayPassword": {"SecretValue": "", "Provider": "1"}},
            "RelayPassword/Parameters: required when SecretValue is absent or empty.",
        ),
        (
            "2",
            {"RelayPassword": {"SecretValue": "x", "Provider": "one"}},
            "RelayPassword/Provider: must be absent when SecretValue is given.",
        ),
        (
            "2",
            OAUTH | {"ClientId": []},
            "ClientId: must be an object when RelayAuthenticationType is 3.",
        ),
        (
            "2",
            OAUTH | {"ClientId": {**PAM, "Parameters": {}}},
            "ClientId/Parameters: must have 1 or more members when SecretValue is absent or empty.",
        ),
        (
            "2",
            OAUTH | {"SenderAccount": "A <a@b.test>"},
            SENDER,
        ),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_sentence(version: str, wrong: Json, sentence: str) -> None:
    (violation,) = CONTRACT.operation("/SMTP/Test", "POST", version).check(
        HEADERS, BODIES[version] | wrong
    )
    assert violation.message == sentence


def test_a_parameter_gets_one_sentence() -> None:
    found = CONTRACT.operation("/PamProviders", "GET", "2")
    given = found.given("/PamProviders", [("SortAscending", "x"), ("ReturnLimit", "0")])
    assert [violation.message for violation in found.check(HEADERS, None, given)] == [
        "ReturnLimit: must be at least 1.",
        "SortAscending: must be an integer.",
    ]


# Each of them true


def json_type(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def is_number(value: object) -> bool:
    return json_type(value) in {"integer", "number"}


# What a sentence says, and whether that is so; the document's own patterns are not asked.
TRUTHS: dict[str, Callable[[Any, str], bool]] = {
    r"must be at least (-?\d+)": lambda value, limit: is_number(value) and value < int(limit),
    r"must be at most (-?\d+)": lambda value, limit: is_number(value) and value > int(limit),
    r"must have (\d+) or more (?:characters|members)": lambda value, limit: len(value) < int(limit),
    r"must have (\d+) or fewer (?:characters|members|items)": (
        lambda value, limit: len(value) > int(limit)
    ),
    r"must be one of ((?:\d, )*\d)": (
        lambda value, known: is_number(value) and str(value) not in known.split(", ")
    ),
    r"must be ((?:an? \w+|null)(?: or (?:an? \w+|null))*)": (
        lambda value, known: json_type(value) not in re.split(r" or | ?\ban? ", known)
    ),
    r"must be (absent)": lambda value, _: value is not None,
    r"must be (text without a NUL character)": lambda value, _: "\0" in value,
    r"must be the id of a PAM provider in digits, at most (\d+)": (
        lambda value, limit: value == "" or not value.isdigit() or int(value) > int(limit)
    ),
    r"must be (an absolute http or https URL .*)": (
        lambda value, _: value.strip() and len(value) <= 2_000 and value != "http://a"
    ),
    r"must be (one e-mail address)": lambda value, _: 0 < len(value) < 255 and value != "a@b",
    r"must be (a header name other than Host, .*)": (
        lambda value, _: value != "" and not re.fullmatch("[a-zA-GI-Z]{1,9}", value)
    ),
    r"must be (text without control .*)": lambda value, _: "\0" in value,
    # Any of these takes a text of a few letters.
    r"must be (a host name .*|a visible name .*|visible ASCII .*)": (
        lambda value, _: value != "" and not re.fullmatch("[A-Za-z]{1,9}", value)
    ),
}  # fmt: skip
SENTENCE = re.compile(
    r"(?P<text>.*?)(?: when (?P<name>\w+) is (?P<state>given|absent or empty|\d))?"
    r"(?:; version (?P<version>\d) takes (?P<takes>3|null|an? \w+))?[.]"
)


def at(body: Any, names: list[str]) -> Any:  # noqa: ANN401  # any JSON
    for name in names:
        body = body[int(name)] if isinstance(body, list) else body[name]
    return body


def holds(name: str, state: str, body: Json) -> bool:
    value = body.get(name)
    given = value is not None and value != ""
    return str(value) == state if state.isdigit() else given is (state == "given")


def assert_true(found: Operation, body: Json, violation: Violation) -> None:
    shown, _, sentence = violation.message.partition(": ")
    assert shown == violation.path[1:]
    *above, name = violation.path[1:].split("/")
    parent = at(body, above)
    if violation.rule == "additionalProperties":
        twice = re.fullmatch(r"given twice; (\w+) is the same name[.]", sentence)
        assert name in parent
        assert sentence.startswith("unknown") or (twice and twice[1] in parent)
        assert not twice or (twice[1] != name and twice[1].lower() == name.lower())
        return
    parts = SENTENCE.fullmatch(sentence)
    assert parts is not None, sentence
    assert parts["name"] is None or holds(parts["name"], parts["state"], parent)
    if violation.rule == "required":
        assert (parts["text"], name in parent) == ("required", False)
        return
    value = at(parent, [name])
    (truth,) = [
        test(value, groups[1])
        for form, test in TRUTHS.items()
        if (groups := re.fullmatch(form, parts["text"]))
    ]
    assert truth, (violation.message, value)
    if parts["version"]:
        other = CONTRACT.operation(found.path, found.method, parts["version"])
        rules = {each.rule for each in other.check(HEADERS, body) if each.path == violation.path}
        assert not rules & {"type", "enum", "additionalProperties"}
        assert parts["takes"].removeprefix("an ").removeprefix("a ") in {
            str(value),
            json_type(value),
        }


VALUES = st.sampled_from(
    [
        *("", " ", "a", "Host", "a b", "a@b", "ü", "a\0", STARS, "1", "http://a", "x" * 5_000),
        *(0, 1, 2, 3, -1, 587.0, 65535.0, 65535.5, 70_000, 2**31, 1e300, True, None, [], [None]),
        *({}, SECRET, PAM, {**SECRET, **PAM}, {"Name": "Host", "Value": ""}),
        *(dict.fromkeys(map(str, range(33)), ""), [{"Name": "a", "Value": "b"}] * 65),
    ]
)
PARTS = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["SecretValue", "Provider", "Parameters", "Name", "Value", "x"]), inner
        )
    ),
    max_leaves=5,
)
FIELDS = CONTRACT.documents["2"]["components"]["schemas"]["SMTPTestRequest"]["properties"]


@given(
    body=st.dictionaries(st.sampled_from([*FIELDS, "x", "host"]), PARTS),
    base=st.sampled_from([{}, BODY, BODY | BASIC["1"], BODY | BASIC["2"], BODY | OAUTH]),
)
def test_no_two_sentences_are_about_one_place_and_each_is_true(body: Json, base: Json) -> None:
    for found in CONTRACT.operations:
        if found.body is not None:
            violations = found.check(HEADERS, base | body)
            assert len({violation.path for violation in violations}) == len(violations)
            for violation in violations:
                assert_true(found, base | body, violation)


# What belongs to another version

ABSENT = "This call is version 1, because the header x-keyfactor-api-version is absent. "
TOO_NEW = (
    "Id: required. RelayAuthenticationType: must be one of 0, 2; version 2 takes 3. "
    "ClientId: unknown in version 1; it belongs to version 2. "
    "ClientSecret: unknown in version 1; it belongs to version 2."
)


def test_a_body_of_version_2_without_the_header_is_told_so() -> None:
    assert told(None, BODY | OAUTH) == ABSENT + TOO_NEW
    assert told("1", BODY | OAUTH) == TOO_NEW
    assert told(None, BODY) == ABSENT + "Id: required."


@pytest.mark.parametrize(("version", "other"), [("1", "2"), ("2", "1")])
def test_a_type_that_the_other_version_takes_is_named_with_it(version: str, other: str) -> None:
    types = {"1": "a string", "2": "an object"}
    condition = f"must be {types[version]} when RelayAuthenticationType is 2"
    assert told(version, BODIES[version] | BASIC[other]) == (
        f"RelayUsername: {condition}; version {other} takes {types[other]}. "
        f"RelayPassword: {condition}; version {other} takes {types[other]}."
    )


def test_what_no_version_takes_is_told_without_one() -> None:
    assert (
        told("1", BODIES["1"] | {"RelayUsername": 1}) == "RelayUsername: must be a string or null."
    )
    assert told(None, BODIES["1"] | {"Port": 0, "TestRecipients": "a@b"}) == (
        "Port: must be at least 1. "
        "TestRecipients: unknown; the nearest known name is TestRecipient."
    )
    assert told(None, BODIES["1"] | {"RelayAuthenticationType": 1, "Id": "1"}) == (
        "Id: must be an integer. RelayAuthenticationType: must be one of 0, 2."
    )


def test_the_other_version_is_that_of_the_same_operation() -> None:
    assert told(None, {"Scope": "a"}, "PUT /SMTP") == (
        ABSENT + "Scope: unknown in version 1; it belongs to version 2."
    )
    assert "version" not in told("1", {"TestRecipient": "a@b"}, "PUT /SMTP")


def test_a_name_of_another_version_may_have_any_letter_case() -> None:
    assert told("1", BODIES["1"] | {"clientid": SECRET}) == (
        "clientid: unknown in version 1; it belongs to version 2."
    )
    assert "version" not in told("2", BODY | {"x" * 70: 1, "port": 1})


def test_where_not_all_mistakes_are_looked_for_no_version_is_named() -> None:
    many = {f"Field{number}": 1 for number in range(200)}
    assert "version" not in told("1", many)
    assert "version" not in told("2", many)


def test_what_belongs_to_a_version_is_read_from_the_documents(tmp_path: Path) -> None:
    for version in BODIES:
        document = json.loads(json.dumps(CONTRACT.documents[version]))
        schema = document["components"]["schemas"]["SMTPTestRequest"]
        del schema["properties"][{"1": "Port", "2": "UseSSL"}[version]]
        schema["required"] = ["Host"]
        (tmp_path / f"v{version}.yaml").write_text(json.dumps(document), encoding="utf-8")
    contract = Contract.load(tmp_path)
    body = {"Host": "a", "Port": 25, "UseSSL": False}
    assert told("1", body, contract=contract) == (
        "Port: unknown in version 1; it belongs to version 2."
    )
    assert told("2", body, contract=contract) == (
        "UseSSL: unknown in version 2; it belongs to version 1."
    )


def test_of_mistakes_deep_in_a_body_at_most_one_is_remembered() -> None:
    document: Json = {"any": {"type": "object", "additionalProperties": {"$ref": "#/any"}}}
    schema = Schema(Node.root("any.yaml", document).at("any"), wording.WORDS)
    for number in range(9):
        body: object = number
        for _ in range(20):
            body = {f"{number}": body}
        assert [each.rule for each in violations(schema, body)] == ["type"]
    assert wording._violation.cache_info().currsize == 1  # noqa: SLF001  # nothing else tells

"""One request id joins all that a call caused, for each way to log in."""

import dataclasses
import os
import re
import subprocess
import sys
import uuid

import httpx2
import pytest

from mockserver import Exchange, Message
from support import ROOT, V1, V2, Caller, Json

LOCAL = {"Provider": "1", "Parameters": {"SecretName": "EmailSenderPassword"}}
ACCOUNT: Json = {
    "Host": "smtp.keyexample.com",
    "Port": 587,
    "UseSSL": True,
    "SenderAccount": "command@keyexample.com",
}
BASIC_1: Json = {
    "RelayAuthenticationType": 2,
    "RelayUsername": "command@keyexample.com",
    "RelayPassword": "MySuperSecretPassword",
}
BASIC_2: Json = {
    "RelayAuthenticationType": 2,
    "RelayUsername": {"SecretValue": "command@keyexample.com"},
    "RelayPassword": LOCAL,
}
OAUTH: Json = {
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"Provider": "3", "Parameters": {"SecretId": "MyEmailUserClientSecretId"}},
    "Scope": "smtp.send",
    "Audience": "smtp.keyexample.com",
    "RequestHeaders": [{"Name": "X-Tenant", "Value": "t1"}, {"Name": "X-Key", "Value": "k"}],
}

Sources = list[tuple[str, str, str | None]]
LITERAL: Sources = [("RelayUsername", "literal", None), ("RelayPassword", "literal", None)]
FROM_PAM: Sources = [("RelayUsername", "literal", None), ("RelayPassword", "pam", "1")]
OF_CLIENT: Sources = [("ClientId", "literal", None), ("ClientSecret", "pam", "3")]

CASES = {
    "version 1, anonymous": ("1", V1, None, []),
    "version 1, basic": ("1", V1 | ACCOUNT | BASIC_1, "PLAIN", LITERAL),
    "version 2, anonymous": ("2", V2, None, []),
    "version 2, basic": ("2", V2 | ACCOUNT | BASIC_2, "PLAIN", FROM_PAM),
    "version 2, OAuth": ("2", V2 | ACCOUNT | OAUTH, "XOAUTH2", OF_CLIENT),
}


TWO_FORKS = """
import os, sys
from mockserver.journal.trace import new_id
for _ in range(2):
    if os.fork() == 0:
        print(new_id(), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_processes_that_were_forked_from_one_have_ids_of_their_own() -> None:
    told = subprocess.check_output([sys.executable, "-c", TWO_FORKS], text=True, timeout=30)
    ids = [uuid.UUID(line) for line in told.split()]
    assert len(set(ids)) == 2
    assert {each.version for each in ids} == {4}


@pytest.mark.parametrize(("version", "body", "mechanism", "sources"), CASES.values(), ids=CASES)
def test_one_id_joins_all_that_a_call_caused(
    caller: Caller, version: str, body: Json, mechanism: str | None, sources: Sources
) -> None:
    response = caller.send(version, body)
    assert response.status_code == 200
    exchange = caller.exchange(response)
    (message,) = caller.messages(request_id=exchange["id"])
    assert exchange["message_id"] == message["id"]
    assert exchange["permission"]["granted"]
    assert exchange["deprecated"] is (version == "1")
    assert [(each["field"], each["source"], each["provider"]) for each in exchange["secrets"]] == (
        sources
    )
    kinds = [each["kind"] for each in exchange["token_requests"]]
    assert kinds == (["discovery", "jwks", "token"] if mechanism == "XOAUTH2" else [])
    for each in exchange["token_requests"]:
        assert {("X-Tenant", "t1"), ("X-Key", "***")} <= set(map(tuple, each["headers"]))
        assert each["status"] == 200
    delivery = exchange["delivery"]
    assert (delivery["stage"], delivery["mechanism"]) == ("data", mechanism)
    times = [ms for ms, _, _ in delivery["dialogue"]]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < exchange["duration_ms"]
    lines = [[who, line] for _, who, line in delivery["dialogue"]]
    assert lines[: len(message["dialogue"])] == message["dialogue"]


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_violation_points_to_its_rule_in_the_document(caller: Caller, version: str) -> None:
    body = (V1 if version == "1" else V2) | {"Port": 0, "RelayAuthenticationType": 2}
    exchange = caller.exchange(caller.send(version, body))
    document = caller.http.get(f"/_mock/openapi/v{version}.json").json()
    rules = {each["path"]: at(document, each["pointer"]) for each in exchange["violations"]}
    assert rules["/Port"] == 1
    assert "RelayPassword" in str(rules["/RelayPassword"])


def at(document: Json, pointer: str) -> object:
    """Resolve a JSON pointer (RFC 6901)."""
    found: object = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]  # type: ignore[index]  # an object
    return found


def test_a_refusal_has_what_came_before_it(caller: Caller) -> None:
    def journal(response: httpx2.Response) -> list[object]:
        exchange = caller.exchange(response)
        names = ("permission", "secrets", "token_requests", "delivery", "message_id")
        return [bool(exchange[name]) for name in names]

    wrong = OAUTH | {"TokenEndpoint": "https://idp-down.test/token"}
    sealed = BASIC_2 | {"RelayUsername": {"Provider": "91", "Parameters": {"SecretName": "x"}}}
    assert journal(caller.send("2", V2, auth=("x", "y"))) == [False] * 5
    assert journal(caller.send("2", V2 | {"Port": 0})) == [True] + [False] * 4
    assert journal(caller.send("2", V2 | sealed)) == [True] * 2 + [False] * 3
    assert journal(caller.send("2", V2 | wrong)) == [True] * 3 + [False] * 2
    assert journal(caller.send("2", V2 | {"Host": "denied.test"})) == (
        [True, False, False, True, False]
    )


README = ROOT / "tests/README.md"
READ_OF_A_MAIL = {
    *("subject", "from", "to", "cc", "from_addresses", "to_addresses", "headers", "text", "html"),
    *("attachments", "defects", "size"),
}


def names(kept: type[Exchange | Message]) -> set[str]:
    found = {each.name for each in dataclasses.fields(kept)}
    # What is kept is the way to it.
    return found - {"upgrade"} | {"v2"} if "upgrade" in found else found


def test_what_is_kept_has_the_same_fields_in_python_as_json_and_in_the_readme(
    caller: Caller,
) -> None:
    exchange = caller.exchange(caller.send("2", V2))
    assert exchange.keys() == names(Exchange)
    assert caller.messages()[0].keys() == names(Message) - {"raw"} | READ_OF_A_MAIL
    table = README.read_text(encoding="utf-8").partition("| field of a call |")[2].split("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == names(Exchange)


def test_a_call_tells_when_its_steps_began_and_which_field_failed(caller: Caller) -> None:
    sent = caller.exchange(caller.send("2", V2))
    assert [step["name"] for step in sent["steps"]] == ["check", "delivery"]
    for step in sent["steps"]:
        assert 0 < step["ms"] < step["ms"] + step["duration_ms"] < sent["duration_ms"]
    login = {"RelayUsername": {"Provider": "91", "Parameters": {"SecretName": "x"}}}
    refused = caller.exchange(caller.send("2", V2 | BASIC_2 | login))
    assert refused["problem"].keys() == {"kind", "code", "message", "field"}
    assert refused["problem"]["kind"] == "secret"
    assert refused["problem"]["field"] == "RelayUsername"
    assert caller.exchange(caller.send("2", V2 | {"Port": 0}))["problem"]["field"] is None

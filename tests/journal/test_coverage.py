"""What coverage counts, and what it says is missing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mockserver import MockServer
from mockserver.base.problems import Problem
from mockserver.contract.editions import load_editions
from mockserver.journal.coverage import Wanted, _told, added, gaps, packed, report, unpacked
from support import V1, V2, Caller, calling

Json = dict[str, Any]

SECRET = {"SecretValue": "x"}
REFERENCE = {"Provider": "1", "Parameters": {"SecretName": "EmailSenderPassword"}}
LOGIN = {"RelayAuthenticationType": 2, "RelayUsername": SECRET, "RelayPassword": REFERENCE}
LOGIN_1 = {"RelayAuthenticationType": 2, "RelayUsername": "x", "RelayPassword": "x"}
OAUTH: Json = {
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
    "TokenEndpoint": "https://idp.test/token",
    "Scope": "smtp.send",
    "Audience": "smtp.keyexample.com",
    "RequestHeaders": [{"Name": "X-Tenant", "Value": "keyexample"}],
}
BODY_1, BODY_2 = V1 | {"Host": "relay.test"}, V2 | {"Host": "relay.test"}
EDGE = {"Id": -(2**31) - 1}, {"Id": 2**31}
TEST, PUT = "POST /KeyfactorAPI/SMTP/Test", "PUT /KeyfactorAPI/SMTP"

# One refused call for each stage, and for each kind of secret and token that is refused.
REFUSED: list[Json] = [
    {"Host": "unresolvable.test"},
    {"Host": "refused.test"},
    {"Host": "greeting421.test"},
    {"Host": "ehlo-refused.test", "UseSSL": True},
    {"Host": "notls.test", "UseSSL": True},
    {"Host": "badcert-name.test", "UseSSL": True},
    {"Host": "sender-denied.test"},
    {"Host": "denied.test"},
    {"Host": "rejected.test"},
]
REFUSED_2: list[Json] = [
    *REFUSED,
    {"Host": "badlogin.test"} | LOGIN,
    LOGIN | {"RelayPassword": {"Provider": "91", "Parameters": {"SecretName": "a"}}},
    LOGIN | {"RelayPassword": {"Provider": "77", "Parameters": {"SecretName": "a"}}},
    LOGIN | {"RelayPassword": {"Provider": "1", "Parameters": {"SecretName": "a"}}},
    OAUTH | {"Scope": "x", "TokenEndpoint": " "},
    OAUTH | {"Host": "noauth.test"},
    *(
        {"Host": "smtp.keyexample.com", "Port": 587, "UseSSL": True}
        | OAUTH
        | {"TokenEndpoint": f"https://idp-{name}.test/token"}
        for name in (
            "down", "garbage", "no-token", "wrong-type", "expired", "forged", "wrong-audience",
        )
    ),
]  # fmt: skip
ACCEPTED_2: list[Json] = [
    {"RelayAuthenticationType": 0, "UseSSL": False, "Id": 1},
    LOGIN,
    LOGIN | {"RelayUsername": REFERENCE, "RelayPassword": SECRET},
    OAUTH,
    OAUTH
    | {
        "ClientId": {"Provider": "1", "Parameters": {"SecretName": "EmailSenderID"}},
        "ClientSecret": {"Provider": "1", "Parameters": {"SecretName": "EmailSenderClientSecret"}},
    },
]


def wrong_types(*names: str) -> Json:
    return {name: [] for name in names}


# What breaks the rules of version 2, many at once: each place tells one.
BROKEN_2: list[Json] = [
    wrong_types(
        "Host", "Id", "Port", "RelayAuthenticationType", "RelayUsername", "RelayPassword",
        "SenderAccount", "SenderName", "TestRecipient", "UseSSL", "ClientId", "ClientSecret",
        "TokenEndpoint", "Scope", "Audience",
    )
    | {"RequestHeaders": {}},
    {
        "Host": "", "SenderAccount": "", "SenderName": "", "TestRecipient": "", "Port": 0,
        "RelayAuthenticationType": 1, "Unknown": 1,
        "RelayUsername": {"SecretValue": 5}, "RelayPassword": {"Unknown": 1},
        "ClientId": {"Provider": -1, "Parameters": {"a": 5}},
        "ClientSecret": {"Provider": "x", "Parameters": {"a": "x" * 1_025}},
        "RequestHeaders": [
            5, {}, {"Name": "", "Value": ""}, {"Name": "x", "Value": "x", "Unknown": 1},
            {"Name": "Host", "Value": " x"}, {"Name": 5, "Value": 5},
            {"Name": "x" * 129, "Value": "x" * 4_097},
        ],
    },
    {
        "Host": "a" * 254, "SenderAccount": "a" * 255, "SenderName": "a" * 401,
        "TestRecipient": "a" * 255, "Port": 65_536, "TokenEndpoint": "x" * 2_001,
        "Scope": "x" * 1_001, "Audience": "x" * 1_001,
        "RelayUsername": {"SecretValue": "x" * 1_025},
        "RelayPassword": {"Provider": 2**31, "Parameters": dict.fromkeys(map(str, range(33)), "")},
        "ClientId": {"Provider": [], "Parameters": []},
        "RequestHeaders": [{"Name": "x", "Value": "x"}] * 65,
    },
    {
        "Host": "a b", "SenderAccount": "<", "SenderName": " ", "TestRecipient": "x",
        "TokenEndpoint": "x", "RelayUsername": {"SecretValue": "\0"},
        "RelayPassword": {"SecretValue": "x", "Provider": "1", "Parameters": {"a": "b"}},
        "ClientId": {"Provider": "1"}, "ClientSecret": {"Parameters": {"a": "b"}},
    },
    {
        "Host": "xn--0.test", "TestRecipient": "a@xn--0.test",
        "RelayUsername": {"Provider": None, "Parameters": {"a": "b"}},
        "RelayPassword": {"Provider": "", "Parameters": {"a": "b"}},
        "ClientId": {"Provider": "1", "Parameters": None},
        "ClientSecret": {"Provider": "1", "Parameters": {}},
    },
    {"RelayAuthenticationType": 2},
    {"RelayAuthenticationType": 2, "RelayUsername": None, "RelayPassword": {}},
    {
        "RelayAuthenticationType": 2, "RelayUsername": {"Provider": None, "Parameters": None},
        "RelayPassword": {"Provider": "", "Parameters": {}},
    },
    {"RelayAuthenticationType": 3},
    *EDGE,
]  # fmt: skip


BROKEN_1: list[Json] = [
    wrong_types(
        "Host", "Id", "Port", "RelayAuthenticationType", "RelayUsername", "RelayPassword",
        "SenderAccount", "SenderName", "TestRecipient", "UseSSL",
    ),
    {
        "Host": "", "SenderAccount": "", "SenderName": "", "TestRecipient": "", "Port": 0,
        "RelayAuthenticationType": 1, "Unknown": 1, "RelayUsername": "\0", "RelayPassword": "\0",
    },
    {
        "Host": "a" * 254, "SenderAccount": "a" * 255, "SenderName": "a" * 401,
        "TestRecipient": "a" * 255, "Port": 65_536, "RelayUsername": "x" * 1_025,
        "RelayPassword": "x" * 1_025,
    },
    {"Host": "a b", "SenderAccount": "<", "SenderName": " ", "TestRecipient": "x"},
    {"Host": "xn--0.test", "TestRecipient": "a@xn--0.test"},
    {"RelayAuthenticationType": 2},
    {"RelayAuthenticationType": 2, "RelayUsername": None, "RelayPassword": None},
    {"RelayAuthenticationType": 2, "RelayUsername": "", "RelayPassword": ""},
    *EDGE,
]  # fmt: skip
PROFILE_1: Json = BODY_1 | LOGIN_1 | {"Port": 25, "UseSSL": True}
PROFILE_2: Json = BODY_2 | LOGIN | OAUTH | {"Id": 1, "UseSSL": True}
SWAPPED: Json = {"RelayUsername": REFERENCE, "RelayPassword": SECRET}
SWAPPED |= {"ClientId": REFERENCE, "ClientSecret": REFERENCE}
del PROFILE_1["TestRecipient"], PROFILE_2["TestRecipient"]
NUMBERS = "Id", "Port", "RelayAuthenticationType"
BROKEN_PROFILES: list[Json] = [
    dict.fromkeys(NUMBERS, -(2**31) - 1) | {"Unknown": 1},
    dict.fromkeys(NUMBERS, 2**31),
]
BROKEN_PROFILES_2: list[Json] = [
    *BROKEN_PROFILES,
    {
        "RelayUsername": {"SecretValue": 5}, "RelayPassword": {"Unknown": 1},
        "ClientId": {"Provider": -1, "Parameters": {"a": 5}},
        "ClientSecret": {"Provider": "x", "Parameters": {"a": "x" * 1_025}},
        "RequestHeaders": [5, {}, {"Name": 5, "Value": 5, "Unknown": 1}],
    },
    {
        "RelayUsername": {"SecretValue": "x", "Provider": "1", "Parameters": {"a": "b"}},
        "RelayPassword": {"Provider": 2**31, "Parameters": dict.fromkeys(map(str, range(33)), "")},
        "ClientId": {"Provider": [], "Parameters": []},
        "RequestHeaders": [{"Name": "x", "Value": "x"}] * 65,
    },
]  # fmt: skip
LIST_OK = [
    "QueryString=Name%20-eq%20x&pageReturned=1&pq.returnLimit=1&SortField=Name&SortAscending=0",
    "SortField=Area&SortAscending=1", "SortField=ProviderType", "SortField=SecuredAreaId",
]  # fmt: skip
LIST_BAD = [
    "PageReturned=x&ReturnLimit=x&SortAscending=x&QueryString=x&SortField=x",
    "PageReturned=0&ReturnLimit=0&SortAscending=2",
    "PageReturned=2147483648&ReturnLimit=2147483648&QueryString=a&QueryString=b&SortField=a&SortField=b",
]
# By operation: paths and bodies that are accepted, and those that are refused for what is in them.
GETS = {
    "/SMTP": "12", "/Status/Endpoints": "1", "/Status/HealthCheck": "1",
    "/Security/My/Permissions": "1", "/PamProviders": "12", "/PamProviders/Types": "12",
    "/PamProviders/1": "12",
}  # fmt: skip


@pytest.fixture
def fresh() -> Iterator[Caller]:
    with MockServer() as mock, calling(mock) as caller:
        yield caller


def refused_for_its_form(caller: Caller, version: str, path: str, body: Json | None) -> None:
    """Make the calls that are refused before a body is looked at."""
    for value in (None, "x"):
        headers = {"x-keyfactor-requested-with": value}
        assert caller.send(version, body, path=path, headers=headers).status_code == 400
    assert caller.send(version, body, path=path, auth=("nobody", "x")).status_code == 401
    # What needs no permission refuses nobody, but for a fault.
    headers = {"x-mock-fault": "403"}
    assert caller.send(version, body, path=path, headers=headers).status_code == 403
    headers = {"content-encoding": "gzip"}
    assert caller.send(version, b"x", path=path, headers=headers).status_code == 415


def with_bodies(caller: Caller, version: str, path: str, good: list[Json], bad: list[Any]) -> None:
    refused_for_its_form(caller, version, path, good[0])
    for body in good:
        assert caller.send(version, body, path=path).status_code == 200, body
    for body in bad:
        sent = json.dumps(body).encode()
        assert caller.send(version, sent, path=path).status_code == 400, body


def the_test_mail(caller: Caller) -> None:
    """Try all that there is of `POST /SMTP/Test`."""
    good = [BODY_2 | change for change in ACCEPTED_2]
    bad = [[], {}, *(BODY_2 | change for change in (*REFUSED_2, *BROKEN_2))]
    with_bodies(caller, "2", TEST, good, bad)
    settings = {"Port": 25, "UseSSL": False, "RelayAuthenticationType": 0}
    good = [BODY_1 | settings, BODY_1 | LOGIN_1]
    refused = [*REFUSED, LOGIN_1 | {"Host": "badlogin.test"}]
    bad = [[], {}, *(BODY_1 | change for change in (*refused, *BROKEN_1))]
    with_bodies(caller, "1", TEST, good, bad)


def all_the_rest(caller: Caller) -> None:
    with_bodies(caller, "1", PUT, [PROFILE_1], [[], wrong_types(*PROFILE_1), *BROKEN_PROFILES])
    types = wrong_types(*PROFILE_2) | {"RequestHeaders": {}}
    with_bodies(caller, "2", PUT, [PROFILE_2, PROFILE_2 | SWAPPED], [[], types, *BROKEN_PROFILES_2])
    for path, versions in GETS.items():
        for version in versions:
            target = f"GET /KeyfactorAPI{path}"
            refused_for_its_form(caller, version, target, None)
            assert caller.send(version, None, path=target).is_success
            if path == "/PamProviders":
                for query in (*LIST_OK, *LIST_BAD):
                    answer = caller.send(version, None, path=f"{target}?{query}")
                    assert answer.is_success == (query in LIST_OK), query
            if path == "/PamProviders/1":
                for number in ("x", "-1", "2147483648", "77"):
                    caller.send(version, None, path=f"GET /KeyfactorAPI/PamProviders/{number}")


def test_a_suite_that_covers_everything_comes_to_100(fresh: Caller) -> None:
    the_test_mail(fresh)
    all_the_rest(fresh)
    found = fresh.http.get("/_mock/coverage").json()
    assert gaps(found) == []
    called = [each for each in found["operations"] if each["calls"]]
    points = sum(each["points"] for each in called)
    assert found["summary"] == {"points": points, "covered": points, "percent": 100}
    assert len(called) == 4 + sum(map(len, GETS.values()))


def test_half_a_suite_comes_to_half_of_it(fresh: Caller) -> None:
    """Every field once, and every second of the calls that are refused."""
    for change in ACCEPTED_2:
        fresh.send("2", BODY_2 | change)
    for change in [*REFUSED_2, *BROKEN_2][::2]:
        fresh.send("2", BODY_2 | change)
    found = report(fresh.mock.coverage)
    assert 45 < found["summary"]["percent"] < 65
    [operation] = [each for each in found["operations"] if each["calls"]]
    assert operation["operation"] == "test_smtp_v2"
    assert operation["points"] - operation["covered"] == len(operation["missing"])
    assert {each["kind"] for each in operation["missing"]} == {"rule", "status", "stage"}


def test_the_first_gaps_are_worth_reading(fresh: Caller) -> None:
    assert fresh.send("2", BODY_2).status_code == 200
    lines = list(_told(report(fresh.mock.coverage)))
    assert lines[0] == "test_smtp_v2     6 of  157  1 call: 1 with 200"
    assert lines[1] == "3.8 %: 6 of 157 points"
    assert len(lines) == 12
    for line in (
        "never accepted when RelayAuthenticationType is 3",
        "never refused for a missing ClientSecret when RelayAuthenticationType is 3",
        "never saw the relay refuse the login (such as badlogin.test)",
        "never called with wrong credentials (401)",
        "RequestHeaders never sent",
    ):
        assert f"  test_smtp_v2: {line}" in lines


def test_a_gap_has_its_place_in_the_document(fresh: Caller) -> None:
    fresh.send("2", BODY_2)
    found = fresh.http.get("/_mock/coverage").json()
    [operation] = [each for each in found["operations"] if each["calls"]]
    assert operation.keys() == {
        "operation", "version", "calls", "statuses", "points", "covered", "missing",
    }  # fmt: skip
    gap = {
        "kind": "rule",
        "path": "/Port",
        "rule": "maximum",
        "pointer": "/components/schemas/SMTPTestRequest/properties/Port/maximum",
        "text": "never refused because Port is too large",
    }
    assert gap in operation["missing"]
    assert {each["kind"] for each in operation["missing"]} == {
        "rule", "field", "value", "branch", "status", "stage",
    }  # fmt: skip


def covered(caller: Caller, *globs: str) -> int:
    found: int = report(caller.mock.coverage, globs)["summary"]["covered"]
    return found


def test_it_survives_a_reset_and_adds_up_over_namespaces(fresh: Caller) -> None:
    fresh.send("2", BODY_2)
    once = covered(fresh)
    fresh.mock.reset()
    space = fresh.mock.namespace("one")
    fresh.send("2", BODY_2 | {"Port": 0}, headers={"x-mock-namespace": "one"})
    assert covered(fresh) == once + 2  # the rule and the status
    assert report(space.coverage) == report(fresh.mock.coverage)
    space.drop()
    assert fresh.http.get("/_mock/coverage").json()["summary"]["covered"] == once + 2
    assert fresh.http.delete("/_mock/coverage").status_code == 204
    assert covered(fresh) == 0
    fresh.send("2", BODY_2)
    assert covered(fresh) == once


def test_a_mock_that_starts_again_has_tried_nothing() -> None:
    mock = MockServer()
    for _ in range(2):
        with mock, calling(mock) as caller:
            assert covered(caller) == 0
            caller.send("2", BODY_2)
            assert covered(caller) == 6
        assert report(mock.coverage)["summary"]["covered"] == 6


def test_what_is_no_operation_is_not_counted(fresh: Caller) -> None:
    fresh.send("2", BODY_2, path="/KeyfactorAPI/Nothing")
    fresh.send("2", BODY_2, path="/KeyfactorAPI/Nothing", auth=("nobody", "x"))
    fresh.send("9", BODY_2)
    fresh.send("2", None, path="DELETE /KeyfactorAPI/SMTP/Test")
    assert not any(each.calls for each in fresh.mock.coverage)


@pytest.mark.parametrize("status", [408, 413, 429, 431, 503])
def test_a_status_that_no_client_can_provoke_is_shown_and_not_counted(
    fresh: Caller, status: int
) -> None:
    fresh.send("2", BODY_2, headers={"x-mock-fault": str(status)})
    [found] = [each.as_json() for each in fresh.mock.coverage if each.calls]
    assert found["statuses"] == {str(status): 1}
    assert found["covered"] == 0
    assert str(status) not in {each["rule"] for each in found["missing"]}


def test_a_call_without_an_answer_is_counted(fresh: Caller) -> None:
    with pytest.raises(httpx2.HTTPError):
        fresh.send("2", BODY_2, headers={"x-mock-fault": "reset"})
    [found] = [each.as_json() for each in fresh.mock.coverage if each.calls]
    assert (found["statuses"], found["covered"]) == ({"none": 1}, 0)


def test_a_null_is_not_sent(fresh: Caller) -> None:
    for value, is_sent in ((None, False), (True, True)):
        assert fresh.send("2", BODY_2 | {"UseSSL": value}).status_code == 200
        assert ("test_smtp_v2: UseSSL never sent" in gaps(report(fresh.mock.coverage))) != is_sent


def test_after_all_is_tried_calls_are_still_counted(fresh: Caller) -> None:
    path = "GET /KeyfactorAPI/Security/My/Permissions"
    refused_for_its_form(fresh, "1", path, None)
    for _ in range(3):
        fresh.send("1", None, path=path)
    [found] = [each.as_json() for each in fresh.mock.coverage if each.calls]
    assert (found["calls"], found["missing"], found["statuses"]["200"]) == (8, [], 3)


def test_a_status_that_the_document_does_not_name_is_the_default(fresh: Caller) -> None:
    path = "GET /KeyfactorAPI/Agents/x"
    for fault, missing in ((503, True), (418, False)):
        fresh.send("1", None, path=path, headers={"x-mock-fault": str(fault)})
        [found] = [each.as_json() for each in fresh.mock.coverage if each.calls]
        assert ("never refused" in {each["text"] for each in found["missing"]}) is missing


def test_a_schema_that_is_in_itself_has_an_end(tmp_path: Path) -> None:
    node = {"type": "object", "properties": {"Inner": {"$ref": "#/components/schemas/Node"}}}
    schema = {"$ref": "#/components/schemas/Node"}
    content = {"application/json": {"schema": schema}}
    answers = {"200": {"description": "."}}
    post = {"operationId": "post_tree", "requestBody": {"content": content}, "responses": answers}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/Tree": {"post": post}},
        "components": {"schemas": {"Node": node}},
    }
    file = tmp_path / "tree.json"
    file.write_text(json.dumps(document), "utf-8")
    with MockServer(openapi=[file]) as mock, calling(mock) as caller:
        sent = caller.send("1", {"Inner": {"Inner": {}}}, path="POST /KeyfactorAPI/Tree")
        assert sent.status_code == 200
        [found] = [each.as_json() for each in mock.coverage if each.calls]
    assert (found["operation"], found["covered"]) == ("post_tree", 2)


def test_a_world_without_faults_has_fewer_points() -> None:
    with MockServer("fuzz") as mock, calling(mock) as caller:
        caller.send("2", V2)
        [found] = [each.as_json() for each in mock.coverage if each.calls]
    stages = {each["rule"] for each in found["missing"] if each["kind"] == "stage"}
    assert {"auth", "token", "secret"} <= stages
    assert not {"token down", "secret sealed"} & stages


def test_an_older_edition_has_the_points_of_its_documents() -> None:
    with MockServer(edition="10") as mock, calling(mock) as caller:
        caller.send("1", V1)
        caller.mock.patch_world({"edition": "current"})
        caller.send("2", V2)  # which this mock was not started for
        found = mock.coverage
    assert "test_smtp_v2" not in {each.operation for each in found}
    assert sum(each.calls for each in found) == 1


def test_operations_count_that_a_glob_names(fresh: Caller) -> None:
    fresh.send("2", BODY_2)
    called, more, all_of_it = (
        report(fresh.mock.coverage, globs)["summary"]["points"]
        for globs in ((), ("/pamproviders*",), ("*", "get_smtp_v?"))
    )
    assert 0 < called < more < all_of_it
    answer = fresh.http.get("/_mock/coverage", params={"operations": "get_smpt_v1"})
    assert answer.status_code == 400
    assert (
        "'get_smpt_v1' names no operation; the nearest is get_smtp_v1" in answer.json()["Message"]
    )


def test_runs_are_added_up_whatever_their_points_are(fresh: Caller) -> None:
    fresh.send("2", BODY_2)
    first = unpacked(packed(fresh.mock.coverage))
    assert first == fresh.mock.coverage
    fresh.http.delete("/_mock/coverage")
    fresh.send("2", BODY_2 | {"Port": 0})
    fresh.send("2", BODY_2)
    both = added(first, fresh.mock.coverage)
    [found] = [each.as_json() for each in both if each.calls]
    assert (found["calls"], found["statuses"], found["covered"]) == (3, {"200": 2, "400": 1}, 8)
    assert added(both, [])[0] is not both[0]
    assert report([])["summary"] == {"points": 0, "covered": 0, "percent": 0}


def test_runs_with_other_worlds_are_added_up(fresh: Caller) -> None:
    """The words of a gap name a host of the world, and it is the same gap."""
    fresh.send("2", BODY_2)
    with MockServer("fuzz") as other, calling(other) as caller:
        caller.send("2", BODY_2)
        both = report(added(other.coverage, fresh.mock.coverage))
    assert both["summary"] == report(fresh.mock.coverage)["summary"]


def test_a_mail_that_arrived_was_refused_by_no_relay(fresh: Caller) -> None:
    with pytest.raises(httpx2.HTTPError):
        fresh.send("2", BODY_2, headers={"x-mock-fault": "truncate"})
    [found] = [each.as_json() for each in fresh.mock.coverage if each.calls]
    assert (found["statuses"], found["covered"]) == ({"200": 1}, 1)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(minimum=101), "--x-min: 101 is no percentage from 0 to 100"),
        (Wanted(minimum=float("nan")), "--x-min: nan is no percentage from 0 to 100"),
        (Wanted(globs=("x*",)), "--x-operations: 'x*' names no operation; the nearest is "),
        (Wanted(file="/no/such.json"), "--x-json /no/such.json: there is no such folder"),
        (Wanted(file=""), "--x-json '': it is a folder"),
        (Wanted(file="/"), "--x-json /: it is a folder"),
    ],
)
def test_what_could_not_be_told_is_refused_before(wanted: Wanted, says: str) -> None:
    with pytest.raises(Problem, match=r".") as refused:
        wanted.check(load_editions().newest.contract.operations, "--x")
    assert refused.value.message.startswith(says)


def test_a_file_that_cannot_be_written_fails_the_run(fresh: Caller, tmp_path: Path) -> None:
    file = tmp_path / "later"
    wanted = Wanted(file=file)
    wanted.check(load_editions().newest.contract.operations, "--x")
    file.mkdir()
    lines, good = wanted.conclude(fresh.mock.coverage)
    assert (lines, good) == ([f"cannot write {file}: Is a directory"], False)
    lines, good = Wanted(file=str(tmp_path / "c.json"), minimum=0).conclude(fresh.mock.coverage)
    assert (lines, good) == ([], True)
    assert json.loads((tmp_path / "c.json").read_text("utf-8")) == report(fresh.mock.coverage)

"""The PAM providers and their types over real HTTP, as tables."""

import re
from typing import Any

import httpx2
import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.base.data import data_folder
from mockserver.contract.editions import load_editions
from support import ADMIN, Caller, Json, refusal

PATH = "/KeyfactorAPI/PamProviders"
OPERATOR = ("operator", "operator-password")
VERSIONS = ["1", "2"]
NAMES = ["CyberArk", "Delinea", "Empty vault", "Local", "Sealed vault", "Slow vault"]
VAULTS = ["Sealed vault", "Slow vault"]
DOCUMENTS = load_editions().newest.contract.documents
LIST_PARAMETERS = DOCUMENTS["1"]["components"]["parameters"]

# As captured from the product, with the id and the name of the default world (observed).
SAFE = {
    "Id": 1,
    "Name": "Safe",
    "DisplayName": "PrivateArk Safe",
    "DataType": 1,
    "InstanceLevel": False,
}
CYBERARK: Json = {
    "Id": 2,
    "Name": "CyberArk",
    "Area": 1,
    "ProviderType": {
        "Id": "16fc28fa-d2e4-4152-9895-ebf261b011b5",
        "Name": "CyberArk",
        "ProviderTypeParams": [
            {**SAFE, "ProviderType": None},
            {
                "Id": 2,
                "Name": "Folder",
                "DisplayName": "PrivateArk Folder Name",
                "DataType": 1,
                "InstanceLevel": True,
                "ProviderType": None,
            },
            {
                "Id": 3,
                "Name": "Object",
                "DisplayName": "PrivateArk Protected Password Name",
                "DataType": 1,
                "InstanceLevel": True,
                "ProviderType": None,
            },
            {
                "Id": 4,
                "Name": "AppId",
                "DisplayName": "Application ID",
                "DataType": 1,
                "InstanceLevel": False,
                "ProviderType": None,
            },
        ],
    },
    "ProviderTypeParamValues": [
        {
            "Id": 2,
            "Value": "MySafe",
            "InstanceId": None,
            "InstanceGuid": None,
            "ProviderTypeParam": SAFE,
        }
    ],
    "SecuredAreaId": None,
    "Remote": False,
}


def get(caller: Caller, version: str | None = "2", below: str = "", **changes: Any) -> Any:  # noqa: ANN401  # an answer, and any argument of request
    headers = {"x-keyfactor-requested-with": "APIClient"}
    if version is not None:
        headers["x-keyfactor-api-version"] = version
    headers |= changes.pop("headers", {})
    auth = changes.pop("auth", ADMIN)
    method = changes.pop("method", "GET")
    url = f"{caller.mock.url}{PATH}{below}"
    return caller.http.request(method, url, auth=auth, headers=headers, **changes)


def names(response: httpx2.Response) -> list[str]:
    assert response.status_code == 200
    return [provider["Name"] for provider in response.json()]


def schema_of(version: str) -> Json:
    name = "ProviderResponseLegacy" if version == "1" else "ProviderResponse"
    return DOCUMENTS[version] | {"$ref": f"#/components/schemas/{name}"}


# Answers


def test_version_1_answers_as_captured(caller: Caller) -> None:
    caller.mock.patch_world({"pam_providers": {"2": {"safe": "MySafe"}}})
    answer = get(caller, "1", "/2")
    assert answer.status_code == 200
    assert answer.json() == CYBERARK
    assert list(answer.json()) == list(CYBERARK)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert CYBERARK in get(caller, "1").json()


def test_version_2_answers_the_same_without_areas(caller: Caller) -> None:
    caller.mock.patch_world({"pam_providers": {"2": {"safe": "MySafe"}}})
    without = [name for name in CYBERARK if name not in {"Area", "SecuredAreaId"}]
    answer = get(caller, "2", "/2").json()
    assert answer == {name: CYBERARK[name] for name in without}
    assert list(answer) == without
    assert answer in get(caller, "2").json()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_provider_keeps_the_schema_and_has_a_known_type(caller: Caller, version: str) -> None:
    caller.mock.patch_world({"pam_providers": {"5": {"name": "Open", "type": "any"}}})
    answer = get(caller, version)
    for provider in answer.json():
        jsonschema_rs.validate(schema_of(version), provider, validate_formats=True)
        assert get(caller, version, f"/{provider['Id']}").json() == provider
    types = {provider["Id"]: provider["ProviderType"]["Name"] for provider in answer.json()}
    assert [types[number] for number in (1, 2, 3, 5)] == [
        "Command Secret Provider",
        "CyberArk",
        "Thycotic",
        "Any",
    ]


def test_an_id_can_be_looked_up_by_name_and_used(caller: Caller) -> None:
    (provider,) = get(caller, params={"QueryString": 'Name -eq "Delinea"'}).json()
    parameters = [
        each["Name"]
        for each in provider["ProviderType"]["ProviderTypeParams"]
        if each["InstanceLevel"]
    ]
    assert (provider["Id"], parameters) == (3, ["SecretId"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("below", ["", "/1", "/2", "/3"])
def test_no_secret_comes_back_out(caller: Caller, version: str, below: str) -> None:
    text = get(caller, version, below).text
    for secret in ("MySuperSecretPassword", "MySuperSecretClientSecret", "command-email"):
        assert secret not in text


def test_the_provider_for_any_id_is_not_listed(caller: Caller) -> None:
    patch = {"*": {"name": "Any", "type": "any", "secrets": {"*": "x"}}}
    caller.mock.patch_world({"pam_providers": patch})
    assert names(get(caller)) == NAMES
    assert get(caller, below="/7").status_code == 404


def test_without_a_version_header_version_1_answers(caller: Caller) -> None:
    response = get(caller, None)
    assert "Area" in response.json()[0]
    assert "deprecation" not in response.headers
    assert caller.exchange(response)["operation"] == "get_pam_providers_v1"


# Types

# As recorded of 25.4.1: id and name; of each parameter id, names, data type and level.
TYPES: list[tuple[str, str, list[tuple[int, str, str, int, bool]]]] = [
    (
        "54ebf9ac-a1e4-48ae-b16e-1bfb9755465c",
        "Command Secret Provider",
        [(9, "SecretName", "Secret Reference Name", 1, True)],
    ),
    (
        "c09bbfa5-a081-4194-9dd2-31f3cc3fabcc",
        "Thycotic",
        [
            (5, "SecretServerUrl", "Server URL", 1, False),
            (6, "RuleName", "Rule Name", 1, False),
            (7, "SecretId", "Thycotic Secret ID", 1, True),
            (8, "RuleKey", "Rule Key", 2, False),
        ],
    ),
    (
        "16fc28fa-d2e4-4152-9895-ebf261b011b5",
        "CyberArk",
        [
            (1, "Safe", "PrivateArk Safe", 1, False),
            (2, "Folder", "PrivateArk Folder Name", 1, True),
            (3, "Object", "PrivateArk Protected Password Name", 1, True),
            (4, "AppId", "Application ID", 1, False),
        ],
    ),
]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_types_are_those_of_a_recording_in_its_order(caller: Caller, version: str) -> None:
    response = get(caller, version, "/Types")
    assert response.status_code == 200
    assert "x-total-count" not in response.headers
    assert [list(each) for each in response.json()] == [["Id", "Name", "Parameters"]] * 3
    assert [
        (each["Id"], each["Name"], [tuple(one.values()) for one in each["Parameters"]])
        for each in response.json()
    ] == TYPES
    document = DOCUMENTS[version] | {"$ref": "#/components/schemas/ListedTypeResponse"}
    for each in response.json():
        jsonschema_rs.validate(document, each, validate_formats=True)


def test_each_type_of_the_world_is_listed_where_it_is_used(caller: Caller) -> None:
    schema = yaml.safe_load((data_folder("fixtures") / "schema.yaml").read_bytes())
    pattern = schema["$defs"]["pam_provider"]["properties"]["type"]["pattern"]
    kinds = re.findall("[a-z]+(?=[|])", pattern)
    patch = {str(200 + n): {"name": kind, "type": kind} for n, kind in enumerate(kinds)}
    caller.mock.patch_world({"pam_providers": patch})
    listed = {each["Id"]: each["Name"] for each in get(caller, "1", "/Types").json()}
    assert len(listed) == len(kinds)
    for number in patch:
        provider = get(caller, "1", f"/{number}").json()
        shown = provider["ProviderType"]
        assert listed[shown["Id"]] == shown["Name"]


@pytest.mark.parametrize("below", ["/types", "//TYPES/"])
def test_types_are_no_id_in_any_letter_case(caller: Caller, below: str) -> None:
    assert len(get(caller, below=below).json()) == 3


# List parameters

LISTED: list[tuple[Json, list[str]]] = [
    ({}, NAMES),
    ({"PageReturned": 1}, NAMES),
    ({"PageReturned": 2}, []),
    ({"PageReturned": 2**31 - 1, "ReturnLimit": 2**31 - 1}, []),
    ({"ReturnLimit": 2}, NAMES[:2]),
    ({"ReturnLimit": 2, "PageReturned": 3}, NAMES[4:]),
    ({"ReturnLimit": 4, "PageReturned": 2}, NAMES[4:]),
    ({"SortField": "Name", "SortAscending": 0}, NAMES),
    ({"SortAscending": 1}, NAMES[::-1]),
    ({"SortAscending": 1, "ReturnLimit": 1}, ["Slow vault"]),
    (
        {"SortField": "ProviderType"},
        ["Local", "Sealed vault", "Slow vault", "Empty vault", "CyberArk", "Delinea"],
    ),
    (
        {"SortField": "SecuredAreaId"},
        ["Local", "CyberArk", "Delinea", "Sealed vault", "Slow vault", "Empty vault"],
    ),
    (
        {"SortField": "Area", "SortAscending": 1},
        ["Empty vault", "Slow vault", "Sealed vault", "Delinea", "CyberArk", "Local"],
    ),
    ({"pagereturned": 1, "RETURNLIMIT": 1, "sortField": "Name"}, NAMES[:1]),
    ({"Unknown": "x"}, NAMES),
    ({"pq.pageReturned": 2, "query.returnLimit": 4}, NAMES[4:]),
    ({"certificateStoreQuery.sortAscending": 1, "PQ.RETURNLIMIT": 1}, NAMES[-1:]),
    ({"pq.queryString": ""}, NAMES),
    ({"PageReturned": 7, "ReturnLimit": 1}, []),
    ({"QueryString": ""}, NAMES),
]

QUERIES = [
    ("Name -eq Local", ["Local"]),
    ("Name -eq local", ["Local"]),
    ('Name -eq "Slow vault"', ["Slow vault"]),
    ('Name -eq ""', []),
    ("Name -ne Local", [name for name in NAMES if name != "Local"]),
    ("Name -contains VAULT", ["Empty vault", "Sealed vault", "Slow vault"]),
    ("Name -notcontains vault", ["CyberArk", "Delinea", "Local"]),
    ("Name -startswith s", ["Sealed vault", "Slow vault"]),
    ('Name -endswith "ty vault"', ["Empty vault"]),
    ("ProviderType -eq CyberArk", ["CyberArk"]),
    ("ProviderType -startswith Thy", ["Delinea"]),
    ("Name  -contains  vault  AND  Name  -ne  x", ["Empty vault", "Sealed vault", "Slow vault"]),
    ("Name -contains vault AND Name -startswith s AND Area -eq 1", ["Sealed vault", "Slow vault"]),
    ('Name -eq "a AND Name -eq b"', []),
    ("Name -eq AND", []),
    ("Name -eq AND AND Name -eq AND", []),
    ("Name -ne AND AND Name -eq Local", ["Local"]),
    ("Area -eq 1", NAMES),
    ("Area -ne 1", []),
    ("Area -lt 1", []),
    ("Area -le 1", NAMES),
    ("Area -gt 0", NAMES),
    ("Area -ge 2", []),
    ("Area -eq null", []),
    ("SecuredAreaId -eq null", NAMES),
    ("SecuredAreaId -ne null", []),
    ("SecuredAreaId -eq 1", []),
    ("SecuredAreaId -lt 1", []),
    ("SecuredAreaId -eq NULL", NAMES),
    ('name -eq "local"', ["Local"]),
    ('((NAME -eq "Delinea"))', ["Delinea"]),
    ("providertype -eq thycotic", ["Delinea"]),
    ("Name -eq Local OR Name -eq Delinea", ["Delinea", "Local"]),
    ("Name -eq Local or area -eq 2", ["Local"]),
    ("Name -eq Local OR Name -contains vault AND Name -startswith s", ["Local", *VAULTS]),
    ("(Name -eq Local OR Name -contains vault) and (Name -startswith s)", VAULTS),
    ("(((Name -eq Local) OR Name -eq Delinea) AND Area -eq 1)", ["Delinea", "Local"]),
    ('Name -eq "(Local)" OR Name -eq "Local "', ["Local"]),
    (" OR ".join(["Name -eq Local"] * 8), ["Local"]),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("parameters", "expected"), LISTED)
def test_a_list_parameter_does_its_work(
    caller: Caller, version: str, parameters: Json, expected: list[str]
) -> None:
    response = get(caller, version, params=parameters)
    assert names(response) == expected
    assert response.headers["x-total-count"] == "6"


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_a_query_string_filters(caller: Caller, query: str, expected: list[str]) -> None:
    response = get(caller, params={"pq.queryString": query, "ReturnLimit": 2})
    assert names(response) == expected[:2]
    assert response.headers["x-total-count"] == str(len(expected))


@given(query=st.from_regex(LIST_PARAMETERS["QueryString"]["schema"]["pattern"], fullmatch=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_query_string_that_the_document_accepts_is_evaluated(
    caller: Caller, query: str
) -> None:
    response = get(caller, params={"QueryString": query})
    # The generator may end a text with a line end, which the document refuses.
    assert response.status_code == (400 if query.endswith("\n") else 200)


REFUSED: list[tuple[Json, str]] = [
    ({"PageReturned": 0}, "PageReturned: must be at least 1."),
    ({"PageReturned": -1}, "PageReturned: must be at least 1."),
    ({"PageReturned": 2**31}, "PageReturned: must be at most 2147483647."),
    ({"PageReturned": "9" * 400}, "PageReturned: must be an integer."),
    ({"PageReturned": "one"}, "PageReturned: must be an integer."),
    ({"PageReturned": ""}, "PageReturned: must be an integer."),
    ({"PageReturned": "01"}, "PageReturned: must be an integer."),
    ({"PageReturned": "+1"}, "PageReturned: must be an integer."),
    ({"PageReturned": "1.0"}, "PageReturned: must be an integer."),
    ({"PageReturned": "\u0661"}, "PageReturned: must be an integer."),
    ({"PageReturned": [1, 2]}, "PageReturned: must be an integer."),
    ({"ReturnLimit": 0}, "ReturnLimit: must be at least 1."),
    ({"ReturnLimit": 2**31}, "ReturnLimit: must be at most 2147483647."),
    ({"SortField": "Id"}, "SortField: must be one of Name, Area, ProviderType, SecuredAreaId."),
    ({"SortField": "name"}, "SortField: must be one of Name, Area, ProviderType, SecuredAreaId."),
    ({"SortAscending": 2}, "SortAscending: must be one of 0, 1."),
    ({"SortAscending": "true"}, "SortAscending: must be an integer."),
    ({"QueryString": ["Name -eq a", "Name -eq b"]}, "QueryString: must be a string."),
    *(
        ({"QueryString": query}, 'QueryString: must be conditions such as Name -eq "Local"')
        for query in (
            " ",
            "Local",
            "Name",
            "Name -eq",
            "Name -eq ",
            "Name eq Local",
            "Name -is Local",
            "Name -eq a b",
            'Name -eq "a',
            'Name -eq "a\nb"',
            "Id -eq 1",
            "Area -contains 1",
            "Area -eq x",
            "Area -eq 1234567890",
            "Area -lt null",
            "Name -eq a AND",
            "Name -eq a AND Name",
            "Name -eq a OR",
            "Name -eq a XOR Name -eq b",
            "OR Name -eq a",
            "()",
            "(Name -eq a",
            "Name -eq a)",
            ")Name -eq a(",
            "(Name -eq a) (Name -eq b)",
            "Name (-eq a)",
            "((((Name -eq a))))",
            "(Name -eq a AND (Name -eq b OR (Area -eq 1 AND (Area -eq 2))))",
            '(Name -eq "a)',
            "Name -eq aAND Name -eq b Name -eq c",
            "Name -eq " + "x" * 101,
            " AND ".join(["Area -eq 1"] * 9),
        )
    ),
]


@pytest.mark.parametrize(("parameters", "text"), REFUSED)
def test_a_bad_list_parameter_is_named(caller: Caller, parameters: Json, text: str) -> None:
    response = get(caller, params=parameters)
    status, message = refusal(response)
    assert (status, text in message) == (400, True)
    violations = caller.exchange(response)["violations"]
    assert {found["path"] for found in violations} == {f"query {next(iter(parameters))}"}
    for violation in violations:
        node = DOCUMENTS["2"]
        for part in violation["pointer"].split("/")[1:]:
            node = node[part.replace("~1", "/").replace("~0", "~")]


def test_all_violations_of_parameters_and_headers_come_at_once(caller: Caller) -> None:
    headers = {"x-keyfactor-requested-with": "curl"}
    response = get(caller, params={"PageReturned": "x", "SortAscending": "2"}, headers=headers)
    assert [found["path"] for found in caller.exchange(response)["violations"]] == [
        "header x-keyfactor-requested-with",
        "query PageReturned",
        "query SortAscending",
    ]


# One provider


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("below", "status", "text"),
    [
        ("/7", 404, "Unable to find 'PAM Provider' with Id '7'"),
        ("/2147483647", 404, "Unable to find 'PAM Provider' with Id '2147483647'"),
        ("/2147483648", 400, "id: must be at most 2147483647."),
        ("/-1", 400, "id: must be at least 0."),
        ("/abc", 400, "id: must be an integer."),
        ("/01", 400, "id: must be an integer."),
        ("/1%3Fa", 400, "id: must be an integer."),
        ("/1%0A", 400, "id: must be an integer."),
        ("/%00", 400, "id: must be an integer."),
        ("/%7Bid%7D", 400, "id: must be an integer."),
        ("/1/2", 404, "nothing is at /PamProviders/1/2"),
        ("/1%2F2", 404, "nothing is at /PamProviders/1/2"),
    ],
)
def test_an_id_that_names_nothing_is_refused(
    caller: Caller, version: str, below: str, status: int, text: str
) -> None:
    found, message = refusal(get(caller, version, below))
    assert (found, message[: len(text)]) == (status, text)


def test_the_path_of_a_violation_names_the_parameter(caller: Caller) -> None:
    (violation,) = caller.exchange(get(caller, below="/x"))["violations"]
    assert (violation["path"], violation["rule"]) == ("path id", "type")


@pytest.mark.parametrize("below", ["", "/", "/1", "/1/"])
def test_letter_case_and_slashes_are_free(caller: Caller, below: str) -> None:
    url = f"{caller.mock.url}//keyfactorapi/PAMPROVIDERS{below}"
    headers = {"x-keyfactor-requested-with": "APIClient"}
    assert caller.http.get(url, auth=ADMIN, headers=headers).status_code == 200


# Permissions


@pytest.mark.parametrize(
    ("held", "statuses"),
    [
        (["/"], (200, 200, 200)),
        (["/pam/"], (200, 200, 200)),
        (["/pam/read/"], (200, 200, 200)),
        (["/pam/read/1/"], (403, 200, 403)),
        (["/pam/read/1/", "/pam/read/2/"], (403, 200, 200)),
        (["/pam/read/20/"], (403, 403, 403)),
        (["/pam/modify/"], (403, 403, 403)),
        (["/system_settings/"], (403, 403, 403)),
        ([], (403, 403, 403)),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_permission_for_all_or_for_one(
    caller: Caller, version: str, held: list[str], statuses: tuple[int, ...]
) -> None:
    caller.mock.patch_world({"roles": {"Mail operator": held}})
    found = [get(caller, version, below, auth=OPERATOR).status_code for below in ("", "/1", "/2")]
    assert tuple(found) == statuses


def test_a_refusal_names_the_permission_for_this_one(caller: Caller) -> None:
    response = get(caller, below="/2", auth=OPERATOR)
    assert refusal(response) == (
        403,
        "User KEYEXAMPLE\\operator does not have the required permissions: /pam/read/2/.",
    )
    assert caller.exchange(response)["permission"]["required"] == ["/pam/read/2/"]


@pytest.mark.parametrize("below", ["", "/1"])
def test_checks_come_in_their_order(caller: Caller, below: str) -> None:
    def status(**changes: Any) -> int:  # noqa: ANN401  # any argument of get
        bad: Json = {"params": {"PageReturned": 0}, "headers": {"x-keyfactor-requested-with": ""}}
        found: int = get(caller, below=below, **(bad | changes)).status_code
        return found

    assert status(auth=("admin", "wrong"), method="PATCH", version="99") == 401
    assert status(auth=OPERATOR, method="PATCH", version="99") == 405
    assert status(auth=OPERATOR, version="99") == 400
    assert status(auth=OPERATOR) == 403
    assert status() == 400


# Methods and bodies


@pytest.mark.parametrize(
    ("below", "method", "allowed"),
    [
        ("", "DELETE", "GET, HEAD, OPTIONS, POST, PUT"),
        ("", "PATCH", "GET, HEAD, OPTIONS, POST, PUT"),
        ("/1", "POST", "DELETE, GET, HEAD, OPTIONS"),
        ("/1", "PUT", "DELETE, GET, HEAD, OPTIONS"),
        ("/1", "PATCH", "DELETE, GET, HEAD, OPTIONS"),
        ("/Types", "PUT", "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_another_method_is_405(caller: Caller, below: str, method: str, allowed: str) -> None:
    response = get(caller, below=below, method=method)
    assert refusal(response)[0] == 405
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("below", ["", "/1", "/7"])
def test_head_answers_as_get_without_the_body(caller: Caller, below: str) -> None:
    head, full = (get(caller, below=below, method=method) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (full.status_code, b"")
    # RFC 9112, 6.1: what has no body need not say how it would be written.
    assert {*head.headers} == {*full.headers} - {"transfer-encoding"}
    for name in ("content-length", "content-type"):
        assert head.headers.get(name) == full.headers.get(name)


def test_options_names_the_methods(caller: Caller) -> None:
    response = get(caller, method="OPTIONS")
    allowed = "GET, HEAD, OPTIONS, POST, PUT"
    assert (response.status_code, response.headers["allow"]) == (204, allowed)


@pytest.mark.parametrize("body", [b"", b"null", b"{", b"\xff"])
def test_a_body_is_ignored(caller: Caller, body: bytes) -> None:
    response = get(caller, content=body, headers={"content-type": "application/json"})
    assert names(response) == NAMES
    assert caller.exchange(response)["request"]["body"] is None


def test_a_body_without_end_is_not(caller: Caller) -> None:
    assert refusal(get(caller, content=b"x" * 2_000_000))[0] == 413

"""A mock that plays an older release, as its clients see it."""

import pytest

from mockserver import MockServer, WorldError
from mockserver.base.documents import DocumentError
from support import V1, V2, Caller, Json, calling, refusal

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
WITH_PORT: Json = {**V1, "Port": 25}
WITHOUT_ID: Json = {name: value for name, value in WITH_PORT.items() if name != "Id"}
LOGIN: Json = {**WITH_PORT, "RelayAuthenticationType": 2, "RelayUsername": "a"}
PROFILE: Json = {name: V1[name] for name in ("Host", "Id", "SenderAccount", "SenderName")}
# Method and path, version, body, media type.
Call = tuple[str, str | None, Json | bytes | None, str]

TEST, SMTP, PAM = "POST /SMTP/Test", "PUT /SMTP", "GET /PamProviders"
VERSION = "x-keyfactor-api-version"


@pytest.mark.parametrize(
    ("edition", "call", "status", "text"),
    [
        ("10", (TEST, "2", V2, JSON), 400, f"{VERSION}: must be one of 1, 1.0."),
        ("10", (SMTP, "2", PROFILE, JSON), 400, f"{VERSION}: must be one of 1, 1.0."),
        ("10", (TEST, "1", WITH_PORT, JSON), 200, ""),
        ("10", (TEST, None, WITHOUT_ID, JSON), 200, '"Id":0'),
        ("10", (TEST, "1", V1, JSON), 400, "Port: required."),
        ("10", (TEST, "1", LOGIN, JSON), 400, "RelayPassword: required"),
        ("10", (TEST, "1", {**WITH_PORT, "ClientId": "a"}, JSON), 400, "ClientId: unknown"),
        ("10", (TEST, "1", WITH_PORT, "text/json"), 415, "application/json"),
        ("10", (TEST, "1", b"Host=a.test", FORM), 415, "application/json"),
        ("10", (SMTP, "1", PROFILE, "text/json"), 200, ""),
        ("10", (SMTP, "1", b"Host=a.test&Id=1&SenderAccount=b&SenderName=c", FORM), 200, "a.test"),
        ("10", (SMTP, "1", {"Host": "a.test"}, JSON), 400, "Id: required."),
        ("10", ("GET /Status/HealthCheck", "1", None, JSON), 404, "nothing is at"),
        ("10", (PAM, "1", None, JSON), 200, "CyberArk"),
        ("11", (TEST, "2", V2, JSON), 400, f"{VERSION}: must be one of 1, 1.0."),
        ("11", (TEST, "1", WITHOUT_ID, "application/json-patch+json"), 200, '"Id":0'),
        ("11", (TEST, "1", V1, JSON), 400, "Port: required."),
        ("11", (SMTP, "1", b"Host=a.test", FORM), 415, "application/json"),
        ("11", (SMTP, "1", {"Host": "a.test"}, JSON), 200, "a.test"),
        ("11", ("GET /Status/HealthCheck", "1", None, JSON), 404, "nothing is at"),
        ("25.1", (TEST, "2", V2, JSON), 400, f"{VERSION}: POST /SMTP/Test has no version 2."),
        ("25.1", (TEST, "1", WITHOUT_ID, JSON), 200, '"Id":0'),
        ("25.1", (SMTP, "2", {**PROFILE, "Port": 25, "Scope": "a"}, JSON), 400, "Scope: unknown"),
        ("25.1", (SMTP, "2", PROFILE, JSON), 400, "Port: required."),
        ("25.1", ("GET /Status/HealthCheck", "1", None, JSON), 204, ""),
        ("current", (TEST, "1", WITHOUT_ID, JSON), 400, "Id: required."),
        ("current", (TEST, "2", V2, JSON), 200, ""),
        ("current", (SMTP, "1", b"Host=a.test", FORM), 200, "a.test"),
    ],
)
def test_an_edition_takes_what_its_documents_take(
    caller: Caller, edition: str, call: Call, status: int, text: str
) -> None:
    caller.mock.patch_world({"edition": edition})
    operation, version, body, media = call
    path = operation.replace("/", "/KeyfactorAPI/", 1)
    answer = caller.send(version, body, path=path, headers={"content-type": media})
    assert answer.status_code == status, answer.text
    assert text in (refusal(answer)[1] if status >= 400 else answer.text)


def test_25_1_shows_a_profile_without_oauth(caller: Caller) -> None:
    caller.mock.patch_world({"edition": "25.1"})
    secret = {"Provider": "1", "Parameters": {"SecretName": "EmailSenderPassword"}}
    body = {**PROFILE, "Port": 587, "RelayPassword": secret}
    answers = [
        caller.send("2", sent, path=f"{method} /KeyfactorAPI/SMTP").json()
        for method, sent in (("PUT", body), ("GET", None))
    ]
    assert answers[0] == answers[1]
    assert list(answers[0]) == [
        *("Host", "Id", "Port", "RelayAuthenticationType", "RelayUsername", "RelayPassword"),
        *("SenderAccount", "SenderName", "UseSSL"),
    ]
    assert answers[0]["RelayPassword"]["Provider"] == 1


@pytest.mark.parametrize(
    ("world", "product"),
    [
        ({"edition": "10"}, None),
        ({"edition": "10", "product_version": "10.3.1"}, None),
        ({"edition": "11"}, "11.6.0.0"),
        ({"edition": "11", "product_version": "11.2.0.0"}, "11.2.0.0"),
        ({"edition": "25.1"}, "25.1.1.0"),
        ({"edition": "current"}, "25.5.1"),
    ],
)
def test_an_edition_tells_its_version_or_none(
    caller: Caller, world: Json, product: str | None
) -> None:
    caller.mock.patch_world(world)
    for answer in (caller.send("1", WITH_PORT), caller.send("9", None)):
        assert answer.headers.get("x-keyfactor-product-version") == product
        assert ("x-keyfactor-correlation-id" in answer.headers) is (product is not None)
        assert "x-mock-request-id" in answer.headers


@pytest.mark.parametrize(
    ("edition", "versions"),
    [("10", None), ("11", "1.0"), ("25.1", "1.0, 2"), ("current", "1.0, 2")],
)
def test_an_edition_supports_the_versions_of_its_documents(
    caller: Caller, edition: str, versions: str | None
) -> None:
    caller.mock.patch_world({"edition": edition})
    for answer in (caller.send("1", WITH_PORT), caller.send("9", None)):
        assert answer.headers.get("api-supported-versions") == versions


@pytest.mark.parametrize(
    ("edition", "held", "status"),
    [
        ("10", "SystemSettings: Modify", 200),
        ("10", "/system_settings/modify/", 200),
        ("10", "/system_setting/modify/", 200),
        ("10", "SystemSettings: Read", 403),
        ("current", "SystemSettings: Modify", 200),
        ("current", "SystemSettings:Modify", 200),
        ("current", "SystemSettings:Read", 403),
    ],
)
def test_a_permission_counts_in_both_spellings(
    caller: Caller, edition: str, held: str, status: int
) -> None:
    caller.mock.patch_world({"edition": edition, "roles": {"Administrator": [held]}})
    answer = caller.send("1", WITH_PORT)
    assert answer.status_code == status
    if status == 403:
        shown = "SystemSettings: Modify" if edition == "10" else "/system_setting/modify/"
        assert shown in refusal(answer)[1]


@pytest.mark.parametrize(
    ("held", "status"), [("PrivilegedAccessManagement: Read", 200), ("/", 200)]
)
def test_the_vaults_have_a_permission_with_another_name_in_10(
    caller: Caller, held: str, status: int
) -> None:
    roles = {"Administrator": [held, "SystemSettings: Read"]}
    caller.mock.patch_world({"edition": "10", "roles": roles})
    answer = caller.send("1", None, path="GET /KeyfactorAPI/PamProviders/1")
    assert answer.status_code == status


def test_the_documents_are_those_of_the_edition(caller: Caller) -> None:
    caller.mock.patch_world({"edition": "10"})
    document = caller.http.get("/_mock/openapi/v1.json").json()
    security = document["paths"]["/SMTP/Test"]["post"]["security"]
    assert security[0] == {"Basic": ["SystemSettings: Modify"]}
    assert caller.http.get("/_mock/openapi/v2.json").status_code == 404
    endpoints = caller.send("1", None, path="GET /KeyfactorAPI/Status/Endpoints").json()
    assert "GET /Status/HealthCheck" not in endpoints
    caller.mock.reset()
    assert caller.http.get("/_mock/openapi/v2.json").status_code == 200


def test_the_pages_show_the_edition_that_the_mock_was_started_with() -> None:
    with MockServer(edition="10") as mock, calling(mock) as caller:
        assert "/v2.json" not in caller.http.get("/KeyfactorAPI/swagger").text
        assert "edition 10" in caller.http.get("/KeyfactorAPI/swagger/v1.json").text
        caller.mock.reset()
        assert mock.world.edition == "10"


def test_an_edition_goes_before_that_of_the_world() -> None:
    assert MockServer({"edition": "11"}, edition="10").world.edition == "10"
    assert MockServer({"edition": "11"}).world.edition == "11"
    mock = MockServer({"edition": "11"})
    mock.patch_world({"edition": None})
    assert mock.world.edition == MockServer().world.edition == "current"


def test_an_edition_that_is_not_there_is_refused_with_those_that_are(caller: Caller) -> None:
    known = "the editions are 10, 11, 25.1, current"
    with pytest.raises(DocumentError, match=f"edition '9': unknown; {known}"):
        MockServer(edition="9")
    with pytest.raises(WorldError, match="world: /edition: edition '12': not defined"):
        MockServer({"edition": "12"})
    with pytest.raises(WorldError, match="/edition: must be a text; write it in quotes"):
        MockServer({"edition": 10})
    answer = caller.http.patch("/_mock/world", json={"edition": "24.4"})
    assert answer.status_code == 400
    assert known in answer.text
    assert caller.send("2", V2).status_code == 200


@pytest.mark.parametrize("edition", ["10", "11", "25.1", "current"])
def test_the_inbox_tries_a_relay_in_the_newest_version_that_there_is(
    caller: Caller, edition: str
) -> None:
    caller.mock.patch_world({"edition": edition})
    form = {"row": "relays/smtp.keyexample.com:587", "user": "admin"}
    caller.http.post("/_mock/inbox/try", data=form)
    (call,) = caller.mock.requests
    assert (call.status, call.version) == (200, "2" if edition == "current" else "1")
    assert caller.mock.messages[0].username == "command@keyexample.com"

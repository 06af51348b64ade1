"""Templates and enrolment patterns that the API changes, and what may be enrolled by them."""

from typing import Any

import pytest

from enrolling import PASSWORD, Client, request_for
from mockserver import MockServer
from mockserver.world.reading import WorldError
from support import Caller, Json, calling, refusal

PATTERN: Json = {
    "AssociatedRoles": ["Administrator"],
    "Name": "Mirror",
    "Policies": {
        "CertificateOwnerRole": 2,
        "DefaultCertificateOwnerOverride": True,
        "DefaultCertificateOwnerRoleId": 1,
    },
    "Template": 1,
    "UseADPermissions": False,
}


@pytest.fixture
def client(caller: Caller) -> Client:
    return Client(caller)


def changed(client: Client, method: str, path: str, body: object) -> Any:  # noqa: ANN401  # JSON
    answer = client.send(method, path, body, form=None)
    assert answer.status_code == 200, answer.text
    return answer.json()


# Enrolment patterns


def test_a_pattern_is_made_as_recorded(client: Client) -> None:
    made = changed(client, "POST", "/EnrollmentPatterns", PATTERN)
    assert made["Template"] == {
        "Id": 1, "TemplateName": "Web Server", "CommonName": "WebServer",
        "ConfigurationTenant": "keyexample.com", "RequiresApproval": False, "FriendlyName": None,
    }  # fmt: skip
    wanted = {
        "Id": 2,
        "Description": None,
        "TemplateDefault": False,
        "AllowedEnrollmentTypes": 0,
        "AssociatedRoles": [{"Id": 1, "Name": "Administrator"}],
        "CertificateAuthorities": [],
    }
    assert {name: made[name] for name in wanted} == wanted
    policies = {name: made["Policies"][name] for name in PATTERN["Policies"]}
    assert policies == PATTERN["Policies"]
    assert made["Policies"]["DefaultCertificateOwnerRoleName"] == "Administrator"
    assert changed(client, "GET", "/EnrollmentPatterns/2", None) == made


def test_the_first_pattern_of_a_template_is_its_default(client: Client) -> None:
    first = changed(client, "POST", "/EnrollmentPatterns", {**PATTERN, "Template": 2})
    second = changed(
        client, "POST", "/EnrollmentPatterns", {**PATTERN, "Template": 2, "Name": "Other"}
    )
    assert (first["TemplateDefault"], second["TemplateDefault"]) == (True, False)
    sent = {**PATTERN, "TemplateDefault": False}
    put = changed(client, "PUT", "/EnrollmentPatterns/2?forceTemplateDefault=true", sent)
    assert put["TemplateDefault"] is True


def test_a_put_replaces_all_but_the_template(client: Client) -> None:
    changed(client, "POST", "/EnrollmentPatterns", {**PATTERN, "Description": "old"})
    body = {
        "Name": "New",
        "Policies": {},
        "AssociatedRoles": ["mail operator"],
        "CertificateAuthorities": [1],
        "AllowedEnrollmentTypes": 3,
        "RestrictCAs": True,
    }
    put = changed(client, "PUT", "/EnrollmentPatterns/2", body)
    assert (put["Name"], put["Description"], put["Template"]["Id"]) == ("New", None, 1)
    assert [role["Name"] for role in put["AssociatedRoles"]] == ["Mail operator"]
    (authority,) = put["CertificateAuthorities"]
    assert authority == {
        "Id": 1, "LogicalName": "Key Example Issuing CA", "HostName": "ca01.keyexample.com",
        "ConfigurationTenant": "keyexample.com",
    }  # fmt: skip
    assert put["Policies"]["DefaultCertificateOwnerRoleName"] is None


def test_a_pattern_that_was_made_decides_who_enrols_and_one_that_is_gone_does_not(
    client: Client,
) -> None:
    made = changed(client, "POST", "/EnrollmentPatterns", {**PATTERN, "AllowedEnrollmentTypes": 2})
    body = {"CSR": request_for(), "EnrollmentPatternId": made["Id"]}
    number = client.post("/Enrollment/CSR", body)["CertificateInformation"]["KeyfactorID"]
    assert client.shown(number)["EnrollmentPatternId"] == made["Id"]
    asked = {"Subject": "CN=a", "Password": PASSWORD, "EnrollmentPatternId": made["Id"]}
    _, message = refusal(client.send("POST", "/Enrollment/PFX", asked, form="PFX"))
    assert message == "PFX enrollment is not allowed by 'Mirror'."
    gone = client.send("DELETE", f"/EnrollmentPatterns/{made['Id']}?force=false", form=None)
    assert (gone.status_code, gone.content) == (204, b"")
    assert refusal(client.send("POST", "/Enrollment/CSR", body))[0] == 404


def test_what_is_null_is_as_good_as_absent(client: Client, mock: MockServer) -> None:
    none = dict.fromkeys(("AllowedEnrollmentTypes", "AssociatedRoles", "Description"))
    made = changed(client, "POST", "/EnrollmentPatterns", {**PATTERN, **none})
    sent = template(client, 1, KeyUsage=None, AllowedRequesters=None)
    changed(client, "PUT", "/Templates", sent)
    mock.patch_world({"lenient": True})  # it may still be patched
    body = {"CSR": request_for(), "EnrollmentPatternId": made["Id"]}
    assert refusal(client.send("POST", "/Enrollment/CSR", body))[0] == 403
    number = client.enroll()["KeyfactorID"]
    assert client.shown(number)["KeyUsage"] == 160


BAD_WORLDS: list[tuple[str, Json, str]] = [
    ("/Templates", {"KeyUsage": "160"}, "/0/KeyUsage: must be a whole number"),
    ("/Templates", {"KeySize": "big"}, "/0/KeySize: must be a size in bits such as"),
    ("/Templates", {"ExtendedKeyUsages": [{"Oid": "TLS"}]}, "/0/Oid: must be an object identifier"),
    ("/Templates", {"ExtendedKeyUsages": [{"Id": 1}]}, "/ExtendedKeyUsages/0/Oid: missing"),
    ("/Templates", {"CommonName": 5}, "/0/CommonName: must be a text"),
    ("/Templates", {"KeyTypes": ["RSA"]}, "/0/KeyTypes: must be a text"),
    ("/Templates", {"KeyType": 1}, "/0/KeyType: must be a text"),
    ("/Templates", {"AllowedEnrollmentTypes": "3"}, "must be a whole number"),
    ("/Templates", {"AllowedRequesters": [1]}, "/AllowedRequesters/0: must be a text"),
    ("/EnrollmentPatterns", {"AssociatedRoles": ["Admin"]}, "/AssociatedRoles/0: must be a map"),
    ("/EnrollmentPatterns", {"CertificateAuthorities": [1]}, "Authorities/0: must be a map"),
    ("/EnrollmentPatterns", {"Template": 1}, "/0/Template: must be a map"),
    ("/EnrollmentPatterns", {"AllowedEnrollmentTypes": "3"}, "must be a whole number"),
    ("/CertificateAuthority", {"LogicalName": ""}, "/0/LogicalName: must have 1 or more"),
]


@pytest.mark.parametrize(("path", "row", "wanted"), BAD_WORLDS, ids=str)
def test_a_world_that_nobody_could_enrol_by_is_refused(path: str, row: Json, wanted: str) -> None:
    with pytest.raises(WorldError) as refused:
        MockServer({"resources": {path: [{"Id": 1, **row}]}})
    assert wanted in str(refused.value)


BAD_PATTERNS: list[tuple[Json, str]] = [
    ({"Template": 7}, "Template: there is no template with Id 7."),
    ({"Template": "WebServer"}, "Template: must be an integer."),
    ({"AssociatedRoles": ["Nobody"]}, "AssociatedRoles: there is no role 'Nobody'."),
    ({"CertificateAuthorities": [1, 9]}, "CertificateAuthorities: there is none with Id 9."),
    ({"Policies": {"DefaultCertificateOwnerRoleId": 99}},
     "Policies/DefaultCertificateOwnerRoleId: there is no role with Id 99."),
    ({"Policies": None}, "Policies: must be an object."),
    ({"Name": "web server"}, "Name: another Enrollment Pattern has the same."),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "wanted"), BAD_PATTERNS, ids=str)
def test_a_bad_pattern_is_refused_by_name(client: Client, changes: Json, wanted: str) -> None:
    answer = client.send("POST", "/EnrollmentPatterns", {**PATTERN, **changes}, form=None)
    assert refusal(answer) == (400, wanted)
    assert len(changed(client, "GET", "/EnrollmentPatterns", None)) == 1


# Templates


def template(client: Client, number: int = 1, **changes: object) -> Json:
    """Return a template as a client sends it back."""
    return {**changed(client, "GET", f"/Templates/{number}", None), "TemplatePolicy": {}, **changes}


def test_a_template_is_changed(client: Client) -> None:
    sent = template(client, FriendlyName="Web", KeyRetention="Indefinite", RequiresApproval=True)
    put = changed(client, "PUT", "/Templates/", sent)
    assert (put["FriendlyName"], put["KeyRetention"], put["KeyTypes"]) == (
        "Web", "Indefinite", sent["KeyTypes"],
    )  # fmt: skip
    assert changed(client, "GET", "/Templates/1", None) == put
    assert client.enroll()["RequestDisposition"] == "PENDING"


def test_requesters_of_a_template_decide_who_enrols(client: Client, mock: MockServer) -> None:
    mock.patch_world({"resources": {"/EnrollmentPatterns": []}})
    sent = template(client, UseAllowedRequesters=True, AllowedRequesters=["Nobody"])
    changed(client, "PUT", "/Templates", sent)
    status, _ = refusal(client.send("POST", "/Enrollment/CSR", {"CSR": request_for(), **by(1)}))
    assert status == 403
    changed(client, "PUT", "/Templates", {**sent, "AllowedRequesters": ["Administrator"]})
    assert client.enroll()["KeyfactorID"] == 1


def by(number: int) -> Json:
    return {"Template": {1: "WebServer", 2: "User"}[number]}


BAD_TEMPLATES: list[tuple[Json, tuple[int, str]]] = [
    ({"TemplatePolicy": None}, (400, "'Policies' cannot be empty")),
    ({"UseAllowedRequesters": True, "AllowedRequesters": []},
     (400, "Enrollment Pattern needs to have at least one associated role.")),
    ({"KeyRetention": "FromIssuance", "KeyRetentionDays": 0},
     (400, "KeyRetentionDays: this KeyRetention needs a number of days.")),
    ({"FriendlyName": "x" * 51}, (400, "FriendlyName: must have 50 or fewer characters.")),
    ({"Id": 7}, (404, "Unable to find 'Template' with Id '7'")),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "wanted"), BAD_TEMPLATES, ids=str)
def test_a_bad_template_is_refused(client: Client, changes: Json, wanted: tuple[int, str]) -> None:
    before = changed(client, "GET", "/Templates/1", None)
    answer = client.send("PUT", "/Templates", template(client, **changes), form=None)
    assert refusal(answer) == wanted
    assert changed(client, "GET", "/Templates/1", None) == before


# What a caller may enrol


def test_the_context_has_what_the_caller_may_enrol(client: Client, mock: MockServer) -> None:
    context = changed(client, "GET", "/Enrollment/CSR/Context/My", None)
    assert list(context) == ["Templates", "StandaloneCAs"]
    assert context["StandaloneCAs"] == []
    names = [each["Name"] for each in context["Templates"]]
    assert names == ["WebServer", "User", "denied", "pending", "slow", "ca-down"]
    first = context["Templates"][0]
    assert list(first) == [
        "Id", "Name", "DisplayName", "Forest", "RequiresApproval", "RFCEnforcement", "CAs",
        "EnrollmentFields", "MetadataFields", "Regexes", "ExtendedKeyUsages",
        "EnrollmentTemplatePolicy", "KeySize", "KeyType", "Curve",
    ]  # fmt: skip
    assert (first["Id"], first["DisplayName"], first["Forest"]) == (
        1,
        "Web Server",
        "keyexample.com",
    )
    assert [ca["DisplayName"] for ca in first["CAs"]] == ["Key Example Issuing CA"]
    mock.patch_world({"roles": {"Mail operator": ["/certificates/enrollment/csr/"]}})
    answer = client.send(
        "GET", "/Enrollment/CSR/Context/My", auth=("operator", "operator-password"), form=None
    )
    assert "WebServer" not in [each["Name"] for each in answer.json()["Templates"]]


def test_the_context_leaves_out_what_no_request_can_be_enrolled_by() -> None:
    rows = [
        {"Id": 1, "CommonName": "Pfx", "AllowedEnrollmentTypes": 1},
        {"Id": 2, "CommonName": "Csr", "AllowedEnrollmentTypes": 2},
        {"Id": 3, "CommonName": "Roles", "AllowedEnrollmentTypes": 2, "UseAllowedRequesters": True},
    ]
    alone = {"Id": 9, "LogicalName": "Alone", "Standalone": True, "UseForEnrollment": True}
    world: Json = {
        "resources": {
            "/Templates": rows,
            "/EnrollmentPatterns": [],
            "/CertificateAuthority": [alone, {"Id": 8, "LogicalName": "Off"}],
        }
    }
    with MockServer(world) as mock, calling(mock) as caller:
        context = changed(Client(caller), "GET", "/Enrollment/CSR/Context/My", None)
    assert [each["Name"] for each in context["Templates"]] == ["Csr"]
    assert context["Templates"][0]["CAs"] == []
    assert [each["DisplayName"] for each in context["StandaloneCAs"]] == ["Alone"]


# Certificates that are removed


def test_certificates_are_removed(client: Client) -> None:
    for _ in range(4):
        client.enroll()
    assert client.send("DELETE", "/Certificates/2", form=None).status_code == 204
    many = client.send("DELETE", "/Certificates?collectionId=0", [1, 2, 99], form=None)
    assert (many.status_code, many.content) == (204, b"")
    assert [row["Id"] for row in client.listed()] == [3, 4]
    answer = client.send("DELETE", "/Certificates/2", form=None)
    assert refusal(answer) == (404, "Unable to find 'Certificate' with Id '2'")
    assert client.enroll()["KeyfactorID"] == 5

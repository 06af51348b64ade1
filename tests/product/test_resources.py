"""The rest of the API, answered from documents: cycles, recorded answers, one store, bad input."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from mockserver.contract.editions import load_editions
from mockserver.contract.operations import Operation
from mockserver.product import security
from mockserver.product.plans import Plan, Plans
from support import ADMIN, Caller, Json, refusal

API = "/KeyfactorAPI"
CONTRACT = load_editions().newest.contract
_PLANS = Plans(CONTRACT.operations)
PLANS = [_PLANS.of(each) for each in CONTRACT.operations]
LOCAL = "54ebf9ac-a1e4-48ae-b16e-1bfb9755465c"
CYBERARK = "16fc28fa-d2e4-4152-9895-ebf261b011b5"
ENTRIES = "/PamProviders/Local/1/Entries"
GLOBAL = "099c05f0-deba-4562-a5b1-f491e19c0749"
AGENT = "7c1d2f60-51e9-4a3b-9d8f-2b6a0e4c1d01"
STORE = "4ab3f8a1-6a6f-4b4e-9d24-0c9a2f3b5d10"
NEWCOMER = ("newcomer", "newcomer-password")


def send(  # noqa: PLR0913  # a request has these
    caller: Caller,
    method: str,
    path: str,
    body: object = None,
    *,
    version: str = "1",
    auth: tuple[str, str] = ADMIN,
    headers: Json | None = None,
) -> httpx2.Response:
    sent = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": version}
    content = None if body is None else json.dumps(body).encode()
    if content is not None:
        sent["content-type"] = "application/json"
    return caller.http.request(
        method, API + path, content=content, auth=auth, headers={**sent, **(headers or {})}
    )


def got(caller: Caller, path: str, version: str = "1") -> Any:  # noqa: ANN401  # any JSON
    answer = send(caller, "GET", path, version=version)
    assert answer.status_code == 200, answer.text
    return answer.json()


# The cycle of each resource, from the documents

# What a schema cannot say of a body: what it refers to, and what a client would give.
BODIES: dict[str, Json] = {
    "/CertificateStores": {"CertStoreType": 104, "AgentId": AGENT, "Properties": "{}"},
    "/MetadataFields": {"DisplayOrder": 7},
    "/PamProviders": {"ProviderType": {"Id": LOCAL}},
    "/Security/Claims": {"ClaimType": 5},
    "/Security/Roles": {"PermissionSetId": GLOBAL},
}
NAMES = {
    "/CertificateStores": "ClientMachine",
    "/CertificateStoreTypes": "ShortName",
    "/Security/Claims": "ClaimValue",
    "/Security/Identities": "AccountName",
}
CREATING = [each for each in PLANS if each.action == "create" and "{" not in each.operation.path]


def other(plan: Plan, action: str) -> Operation | None:
    """Return the operation of the same collection and version that does something else."""
    found = (
        each.operation
        for each in PLANS
        if each.action == action
        and each.collection
        and plan.collection
        and each.collection.path == plan.collection.path
        and each.collection.key == plan.collection.key
        and "collection" not in each.operation.named
    )
    versions = {each.version: each for each in found}
    return versions.get(plan.operation.version, next(iter(versions.values()), None))


def body_for(plan: Plan, operation: Operation, name: str) -> Json:
    assert operation.request is not None
    assert plan.collection is not None
    path = plan.collection.path
    sample = operation.request.sample
    assert isinstance(sample, dict)
    required = operation.request.rule["required"]
    body = {key: value for key, value in sample.items() if key in required}
    given = {key: value for key, value in BODIES.get(path, {}).items() if key in sample}
    return {**body, **given, NAMES.get(path, "Name"): name}


class Cycle:
    """The steps of one collection, each by the operation that its document has for it."""

    def __init__(self, caller: Caller, plan: Plan) -> None:
        assert plan.collection is not None
        self.path, self.key = plan.collection.path, plan.collection.key
        self.name = NAMES.get(self.path, "Name")
        self._caller, self._plan, self._version = caller, plan, plan.operation.version

    def make(self, name: str) -> Any:  # noqa: ANN401  # the key of an object
        body = body_for(self._plan, self._plan.operation, name)
        made = send(self._caller, "POST", self.path, body, version=self._version)
        assert made.status_code == 200, made.text
        valid(self._plan.operation, made.json())
        assert made.json()[self.name] == name
        return made.json()[self.key]

    def find(self, name: str) -> list[object]:
        """Return the keys of those that a list gives for a name in any letter case."""
        query = f"{self.path}?QueryString=({self.name} -eq {json.dumps(name)})"
        found = send(self._caller, "GET", query, version=self._version)
        rows = found.json()
        if self.path == "/PamProviders/Types":  # that list has no parameters, and no count
            return [row[self.key] for row in rows if row["Name"].lower() == name.lower()]
        assert found.headers["x-total-count"] == str(len(rows))
        return [row[self.key] for row in rows]

    def read(self, key: object, name: str) -> None:
        if (shown := other(self._plan, "show")) is not None:
            read = send(self._caller, "GET", f"{self.path}/{key}", version=shown.version)
            assert read.status_code == 200
            valid(shown, read.json())
            assert read.json()[self.name] == name

    def replace(self, key: object) -> None:
        if (replacing := other(self._plan, "replace")) is not None:
            body = {**body_for(self._plan, replacing, "second"), self.key: key}
            path = f"{self.path}/{key}" if replacing.path.endswith("}") else self.path
            replaced = send(self._caller, "PUT", path, body, version=replacing.version)
            assert replaced.status_code == 200, replaced.text
            valid(replacing, replaced.json())
            assert replaced.json()[self.key] == key

    def remove(self, key: object) -> httpx2.Response:
        removing = other(self._plan, "remove")
        assert removing is not None
        return send(self._caller, "DELETE", f"{self.path}/{key}", version=removing.version)


@pytest.mark.parametrize(
    "plan", CREATING, ids=lambda plan: f"{plan.collection.path} {plan.operation.version}"
)
def test_an_object_is_made_read_found_replaced_and_removed(caller: Caller, plan: Plan) -> None:
    cycle = Cycle(caller, plan)
    key = cycle.make("first")
    assert cycle.find("FIRST") == [key]
    cycle.read(key, "first")
    cycle.replace(key)
    gone = cycle.remove(key)
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-type" not in gone.headers
    status, message = refusal(cycle.remove(key))
    assert (status, f"'{key}'" in message) == (404, True)
    assert cycle.find("first") == cycle.find("second") == []
    assert cycle.make("third") != key  # none is used twice


def valid(operation: Operation, answer: object) -> None:
    """See that an answer keeps the schema of its document, and has the members in its order."""
    form = operation.answer
    assert form is not None
    schema = {**operation.place.document, **form.schema}
    jsonschema_rs.validate(schema, answer)
    if isinstance(answer, dict):
        order = [name for name in form.members if name in answer]
        assert list(answer) == order
        assert all(name in answer or each.optional for name, each in form.members.items())


def test_every_documented_get_answers_by_its_schema(caller: Caller) -> None:
    keys = {"StoreType": 102, "AgentId": AGENT, "ShortName": "PEM"}
    caller.mock.patch_world({"resources": {"/Certificates": [{"Id": 1}]}})
    for plan in PLANS:
        operation = plan.operation
        if operation.method != "GET" or operation.answer is None:
            continue
        if operation.method == "GET" and "providerId" in operation.path:
            continue
        is_guid = operation.path.startswith("/CertificateStores/")
        wanted = STORE if is_guid else keys.get(plan.collection.key if plan.collection else "", 1)
        path = operation.path.replace("{id}", str(wanted)).replace("{name}", "PEM")
        answer = send(caller, "GET", f"{path}?accountName=admin", version=operation.version)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        valid(operation, answer.json())
        assert answer.json() != [] or "Inventory" not in path


# What recordings show

ORDERS = {
    "/CertificateStoreTypes/102": (
        "Name ShortName Capability StoreType ImportType LocalStore SupportedOperations Properties "
        "EntryParameters PasswordOptions StorePathValue PrivateKeyAllowed CertificateFormat "
        "JobProperties ServerRequired PowerShell BlueprintAllowed CustomAliasAllowed "
        "ServerRegistration InventoryEndpoint InventoryJobType ManagementJobType EnrollmentJobType"
    ),
    f"/CertificateStores/{STORE}": (
        "Id ContainerId DisplayName ClientMachine Storepath CertStoreInventoryJobId CertStoreType "
        "Approved CreateIfMissing Properties AgentId AgentAssigned ContainerName InventorySchedule "
        "ReenrollmentStatus SetNewPasswordAllowed Password"
    ),
    f"/Agents/{AGENT}": (
        "AgentId ClientMachine Username AgentPlatform Version Status LastSeen Capabilities "
        "Blueprint Thumbprint LegacyThumbprint AuthCertificateReenrollment LastThumbprintUsed "
        "LastErrorCode LastErrorMessage JobTypes"
    ),
    "/Applications/1": "Id Name Schedule CertStoreType CertificateStores",
    "/Security/Roles/1": (
        "Id Description EmailAddress Enabled Immutable Valid Private PermissionSetId Identities "
        "Name Permissions"
    ),
    "/Security/Claims/1": "Id Description ClaimType ClaimValue Provider",
    "/MetadataFields/1": (
        "Id Name Description DataType Hint Validation Enrollment Message Options DefaultValue "
        "AllowAPI ExplicitUpdate DisplayOrder CaseSensitive ExemptFromActionedCount"
    ),
    "/CertificateCollections/1": (
        "Id Name Description Automated Content DuplicationField ShowOnDashboard Favorite "
        "EstimatedCertCount LastEstimated"
    ),
    "/Templates/1": (
        "Id CommonName TemplateName Oid KeySize KeyType ForestRoot ConfigurationTenant "
        "FriendlyName KeyRetention KeyRetentionDays KeyArchival EnrollmentFields MetadataFields "
        "AllowedEnrollmentTypes TemplateRegexes TemplateDefaults TemplatePolicy KeyAlgorithms "
        "UseAllowedRequesters AllowedRequesters DisplayName RFCEnforcement RequiresApproval "
        "KeyUsage ExtendedKeyUsages Curve AllowOneClickRenewals KeyTypes CertificateCleanupEnabled "
        "TimeAfterExpiration TimeAfterExpirationUnits DeleteWithArchivedKey Manageability"
    ),
}
LISTED = {
    "/CertificateStoreContainers": "Id Name OverwriteSchedules Schedule CertStoreType StoreCount",
    "/Security/Identities": "Id AccountName IdentityType Roles Valid",
    "/PermissionSets": "Id Name Permissions",
}


@pytest.mark.parametrize("path", ORDERS)
def test_an_answer_has_the_recorded_members_in_their_order(caller: Caller, path: str) -> None:
    assert list(got(caller, path)) == ORDERS[path].split()


@pytest.mark.parametrize("path", LISTED)
def test_a_list_has_the_recorded_members_in_their_order(caller: Caller, path: str) -> None:
    assert list(got(caller, path)[0]) == LISTED[path].split()


def test_a_role_of_version_2_has_the_recorded_members(caller: Caller) -> None:
    whole = "Id Name Description EmailAddress Immutable PermissionSetId Permissions Claims"
    assert list(got(caller, "/Security/Roles/1", "2")) == whole.split()
    listed = "Id Name EmailAddress Immutable PermissionSetId ClaimsCount"
    assert list(got(caller, "/Security/Roles", "2")[0]) == listed.split()


STORE_TYPE: Json = {
    "Name": "A new type",
    "ShortName": "NEW",
    "StoreType": 0,
    "SupportedOperations": {"Add": True, "Create": False, "Discovery": True, "Remove": False},
    "Properties": [
        {"Name": "Secret", "Type": "Secret", "Required": True, "IsPAMEligible": True},
        {"Name": "Plain", "Type": 1, "DefaultValue": True, "DependsOn": "", "StoreTypeId": 0},
    ],
    "EntryParameters": [
        {"Name": "one", "RequiredWhen": {"OnAdd": True, "OnReenrollment": True}},
        {"Name": "two", "ValidationOptions": {"OnRemove": 1}},
    ],
    "PrivateKeyAllowed": 2,
    "CustomAliasAllowed": "Optional",
    "ServerRequired": True,
}


def test_a_store_type_gets_what_the_product_adds(caller: Caller) -> None:
    made = send(caller, "POST", "/CertificateStoreTypes", STORE_TYPE).json()
    number = made["StoreType"]
    assert number == 105
    assert made["Capability"] == "NEW"
    assert made["ImportType"] == made["CertificateFormat"] == 0
    assert (made["PrivateKeyAllowed"], made["CustomAliasAllowed"]) == ("Required", "Optional")
    assert made["PasswordOptions"] == {
        "EntrySupported": False, "StoreRequired": False, "Style": "Default",
    }  # fmt: skip
    assert made["InventoryEndpoint"] == "/AnyInventory/Update"
    assert made["ServerRegistration"] == 2
    jobs = [name for name in made if name.endswith("JobType")]
    assert jobs == ["InventoryJobType", "ManagementJobType", "DiscoveryJobType"]
    first, second = made["Properties"]
    assert (first["StoreTypeId"], first["Type"], first["ValidationOptions"]) == (
        number, "Secret", {"OnCreation": 1},
    )  # fmt: skip
    assert (second["Id"], second["Type"], second["DefaultValue"]) == (
        first["Id"] + 1, "Bool", "true",
    )  # fmt: skip
    assert "DependsOn" not in second
    one, two = made["EntryParameters"]
    assert list(one)[-1] == "Id"
    assert one["ValidationOptions"] == {
        "HasPrivateKey": 0, "OnAdd": 1, "OnRemove": 0, "OnODKG": 1,
    }  # fmt: skip
    assert two["RequiredWhen"] == {
        "HasPrivateKey": False, "OnAdd": False, "OnRemove": True, "OnReenrollment": False,
    }  # fmt: skip
    assert made["JobProperties"] == ["one", "two"]
    changed = {**STORE_TYPE, "StoreType": number, "ShortName": "NEWER"}
    again = send(caller, "PUT", "/CertificateStoreTypes", changed).json()
    kept = ["StoreType", "Capability", "ServerRegistration", *jobs, "Properties", "EntryParameters"]
    assert [again[name] for name in kept] == [made[name] for name in kept]
    assert again["ShortName"] == "NEWER"


def test_what_a_store_type_does_not_know_is_noted(caller: Caller) -> None:
    answer = send(caller, "POST", "/CertificateStoreTypes", STORE_TYPE)
    notes = {each["path"]: each["kind"] for each in caller.exchange(answer)["lenient"]}
    assert notes["/StoreType"] == "unknown_field"
    assert notes["/Properties/0/IsPAMEligible"] == "unknown_field"


def test_answers_of_a_store_differ_as_recorded(caller: Caller) -> None:
    number = send(caller, "POST", "/CertificateStoreTypes", STORE_TYPE).json()["StoreType"]
    body = {
        "ContainerId": 1,
        "ContainerName": "Web servers",
        "ClientMachine": "app01.keyexample.com",
        "StorePath": "/etc/app",
        "CertStoreType": number,
        "Approved": False,
        "AgentId": AGENT,
        "InventorySchedule": {"Daily": {"Time": "2025-01-31T23:30:00Z"}},
        "Properties": json.dumps(
            {
                "Secret": {"value": {"SecretValue": "first"}},
                "Plain": {"value": "true"},
                "Other": "x",
            }
        ),
    }
    made = send(caller, "POST", "/CertificateStores", body).json()
    assert made["DisplayName"] == "app01.keyexample.com - /etc/app"
    assert made["Approved"] is made["AgentAssigned"] is True
    assert made["ContainerName"] is made["ReenrollmentStatus"] is made["Password"] is None
    assert made["InventorySchedule"] == {"Daily": {"Time": "2025-01-31T23:30:00Z"}}
    guid, *others = json.loads(made["Properties"]).values()
    assert (len(guid), others) == (36, ["true", "x"])

    listed = got(caller, '/CertificateStores?QueryString=ClientMachine -startswith "app01"')[0]
    assert json.loads(listed["Properties"])["Secret"] == guid
    assert (listed["ContainerName"], listed["Password"]) == ("Web servers", None)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert listed["InventorySchedule"] == {"Daily": {"Time": f"{today}T23:30:00Z"}}

    shown = got(caller, f"/CertificateStores/{made['Id']}")
    secret = json.loads(shown["Properties"])["Secret"]
    assert (secret["Value"], secret["HasValue"]) == ("*" * 20, True)
    assert shown["Password"] == secret
    assert shown["ContainerName"] == "Web servers"
    assert shown["ReenrollmentStatus"]["Message"].startswith("Key generation is not supported")

    properties = '{"Secret":"second","Plain":"false"}'
    changed = {"Id": made["Id"], "Properties": properties, "AgentId": AGENT}
    replaced = send(caller, "PUT", "/CertificateStores", changed).json()
    assert replaced["Properties"] == properties
    assert (replaced["ContainerName"], replaced["InventorySchedule"]) == (None, {})
    assert (replaced["ClientMachine"], replaced["CertStoreType"]) == (
        "app01.keyexample.com", number,
    )  # fmt: skip
    listed = got(caller, f'/CertificateStores?QueryString=Id -eq "{made["Id"]}"')[0]
    assert json.loads(listed["Properties"]) == {"Secret": guid, "Plain": "false"}
    assert (listed["ContainerName"], listed["InventorySchedule"]) == ("", None)


def test_no_secret_of_a_store_is_kept_anywhere(caller: Caller) -> None:
    number = send(caller, "POST", "/CertificateStoreTypes", STORE_TYPE).json()["StoreType"]
    body = {
        "ClientMachine": "app01.keyexample.com",
        "Storepath": "/etc/app",
        "CertStoreType": number,
        "AgentId": AGENT,
        "Properties": '{"Secret":"Open-Sesame","Nested":{"SecretValue":"Open-Sesame"}}',
        "Password": {"SecretValue": "Open-Sesame"},
    }
    made = send(caller, "POST", "/CertificateStores", body)
    item = f"/CertificateStores/{made.json()['Id']}"
    shown = [
        made.text,
        json.dumps(got(caller, item)),
        json.dumps(got(caller, "/CertificateStores")),
        json.dumps(caller.exchange(made)),
        caller.http.get("/_mock/world").text,
    ]
    assert [text for text in shown if "Open-Sesame" in text] == []


def test_schedules_are_codes_in_lists_and_objects_elsewhere(caller: Caller) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    table: list[tuple[Json | None, str | None, Json]] = [
        ({"Interval": {"Minutes": 60}}, "I_60", {"Interval": {"Minutes": 60}}),
        (
            {"Daily": {"Time": "2025-01-01T23:30:00Z"}, "Interval": None},
            "D_23:30",
            {"Daily": {"Time": f"{today}T23:30:00Z"}},
        ),
        (
            {"Monthly": {"Day": 1, "Time": "2025-01-01T04:00:00Z"}},
            "M_1_04:00",
            {"Monthly": {"Day": 1, "Time": f"{today}T04:00:00Z"}},
        ),
        (
            {"Weekly": {"Days": ["Monday"], "Time": "12:00:00"}},
            "W_12:00",
            {"Weekly": {"Days": ["Monday"], "Time": f"{today}T12:00:00Z"}},
        ),
        (
            {"ExactlyOnce": {"Time": "2025-01-01T04:00:00Z"}},
            None,
            {"ExactlyOnce": {"Time": "2025-01-01T04:00:00Z"}},
        ),
        (None, None, {}),
    ]
    for number, (schedule, code, shown) in enumerate(table, 2):
        body = {"Name": f"application {number}", "Schedule": schedule, "OverwriteSchedules": True}
        made = send(caller, "POST", "/Applications", body).json()
        sent = {name: item for name, item in (schedule or {}).items() if item is not None}
        assert (made["Id"], made["Schedule"]) == (number, sent)
        assert "OverwriteSchedules" not in made
        assert got(caller, f"/CertificateStoreContainers/{number}")["Schedule"] == shown
        query = f"/CertificateStoreContainers?QueryString=Id -eq {number}"
        assert [row["Schedule"] for row in got(caller, query)] == [code]


def test_lists_come_in_the_recorded_order(caller: Caller) -> None:
    assert [row["ShortName"] for row in got(caller, "/CertificateStoreTypes")] == [
        "IISU", "K8SSecret", "PEM",
    ]  # fmt: skip
    assert [row["CommonName"] for row in got(caller, "/Templates")] == [
        "ca-down", "denied", "pending", "slow", "User", "WebServer",
    ]  # fmt: skip
    assert [row["DisplayOrder"] for row in got(caller, "/MetadataFields")] == [0, 1]
    descending = got(caller, "/Agents?SortField=clientmachine&SortAscending=1")
    assert [row["ClientMachine"] for row in descending] == [
        "orch02.keyexample.com", "orch01.keyexample.com",
    ]  # fmt: skip


def test_agents_are_approved_and_disapproved(caller: Caller) -> None:
    for verb, status in (("Disapprove", 3), ("Approve", 2)):
        answer = send(caller, "POST", f"/Agents/{verb}", [AGENT.upper()])
        assert (answer.status_code, answer.content) == (204, b"")
        assert got(caller, f"/Agents/{AGENT}")["Status"] == status
    assert got(caller, "/Agents?QueryString=Status -eq 1")[0]["ClientMachine"].startswith("orch02")


def test_some_objects_are_removed_at_once_and_others_ignored(caller: Caller) -> None:
    answer = send(caller, "DELETE", "/CertificateStoreTypes", [103, 999])
    assert answer.status_code == 204
    assert [row["StoreType"] for row in got(caller, "/CertificateStoreTypes")] == [102, 104]


# One store: roles, claims and identities, and who may call


def may(caller: Caller, account: tuple[str, str]) -> bool:
    status = send(caller, "GET", "/SMTP", auth=account).status_code
    assert status in {200, 403}
    return status == 200


def role(name: str, permissions: list[str], **more: object) -> Json:
    body = {"Name": name, "Description": name, "Permissions": permissions, **more}
    return {**body, "PermissionSetId": GLOBAL}


def test_a_role_of_version_1_gives_its_permissions_and_a_lost_identity_takes_them(
    caller: Caller,
) -> None:
    assert not may(caller, NEWCOMER)
    body = role(
        "Readers", ["SystemSettings:Read"], Identities=[{"AccountName": "KEYEXAMPLE\\newcomer"}]
    )
    made = send(caller, "POST", "/Security/Roles", body).json()
    assert (made["Permissions"], made["PermissionSetId"]) == (["SystemSettings:Read"], GLOBAL)
    assert may(caller, NEWCOMER)
    shown = got(caller, f"/Security/Roles/{made['Id']}", "2")
    assert shown["Permissions"] == ["/system_settings/read/"]
    (identity,) = made["Identities"]
    assert identity["AccountName"] == "KEYEXAMPLE\\newcomer"
    send(caller, "DELETE", f"/Security/Identities/{identity['Id']}")
    assert not may(caller, NEWCOMER)
    assert got(caller, f"/Security/Roles/{made['Id']}")["Identities"] == []


def test_a_role_of_version_2_gives_its_permissions_by_claims(caller: Caller) -> None:
    claims = [
        {"ClaimType": "User", "ClaimValue": "KEYEXAMPLE\\newcomer", "Description": "a user"},
        {"ClaimType": 6, "ClaimValue": "command-email", "Description": "a client"},
    ]
    body = role("Readers", ["/system_settings/read/"], Claims=claims)
    made = send(caller, "POST", "/Security/Roles", body, version="2").json()
    assert [each["ClaimType"] for each in made["Claims"]] == ["User", "OAuthClientId"]
    assert may(caller, NEWCOMER)
    world = caller.http.get("/_mock/world").json()
    assert world["oauth_clients"]["command-email"]["roles"] == ["Readers"]
    ids = [each["Id"] for each in made["Claims"]]

    # A claim is found by type, value and scheme; the order is that in which they were sent.
    changed = {**body, "Id": made["Id"], "Claims": claims[::-1]}
    again = send(caller, "PUT", "/Security/Roles", changed, version="2").json()
    assert [each["Id"] for each in again["Claims"]] == ids[::-1]
    assert got(caller, '/Security/Roles?QueryString=Name -eq "Readers"', "2")[0]["ClaimsCount"] == 2

    send(caller, "DELETE", f"/Security/Claims/{ids[0]}")
    assert not may(caller, NEWCOMER)
    emptied = {**body, "Id": made["Id"], "Claims": []}
    assert send(caller, "PUT", "/Security/Roles", emptied, version="2").json()["Claims"] == []
    assert got(caller, f"/Security/Claims/{ids[1]}")["ClaimValue"] == "command-email"  # it lives on
    world = caller.http.get("/_mock/world").json()
    assert world["oauth_clients"]["command-email"]["roles"] == []


def test_a_role_that_is_removed_or_emptied_takes_its_permissions(caller: Caller) -> None:
    auditor = ("auditor", "auditor-password")
    assert may(caller, auditor)
    number = next(row["Id"] for row in got(caller, "/Security/Roles") if row["Name"] == "Auditor")
    emptied = {**role("Auditor", []), "Id": number}
    send(caller, "PUT", "/Security/Roles", emptied, version="2")
    assert not may(caller, auditor)
    assert send(caller, "DELETE", f"/Security/Roles/{number}").status_code == 204
    assert caller.http.get("/_mock/world").json()["users"]["auditor"]["roles"] == []


def test_roles_are_brought_to_a_world_once(caller: Caller) -> None:
    world, roles = caller.mock.world, "/Security/Roles"
    assert security.rows(world)[roles] is security.rows(world)[roles]
    caller.mock.patch_world({"roles": {"Other": ["/"]}})
    names = [role["Name"] for role in security.rows(caller.mock.world)[roles]]
    assert names == [*(role["Name"] for role in security.rows(world)[roles]), "Other"]


def test_a_patch_of_the_world_shows_in_roles_and_identities(caller: Caller) -> None:
    send(caller, "POST", "/Security/Roles", role("Readers", ["SystemSettings:Read"]))
    caller.mock.patch_world(
        {
            "users": {"newcomer": {"roles": ["Readers"]}},
            "roles": {"Auditor": ["/metadata/types/read/"]},
        }
    )
    named = {row["Name"]: row for row in got(caller, "/Security/Roles")}
    assert [each["AccountName"] for each in named["Readers"]["Identities"]] == [
        "KEYEXAMPLE\\newcomer"
    ]
    assert named["Auditor"]["Permissions"] == []
    identity = got(caller, "/Security/Identities")[-1]
    assert (identity["AccountName"], identity["Roles"][0]["Name"]) == (
        "KEYEXAMPLE\\newcomer", "Readers",
    )  # fmt: skip
    claim = got(
        caller, '/Security/Claims?QueryString=((ClaimValue -eq "api-client" and ClaimType -eq 6))'
    )
    assert claim[0]["Provider"]["AuthenticationScheme"] == "System"


def test_the_administrator_stays(caller: Caller) -> None:
    status, message = refusal(send(caller, "DELETE", "/Security/Roles/1"))
    assert (status, message) == (400, "The role 'Administrator' is immutable.")
    renamed = {**role("Somebody", ["/"]), "Id": 1}
    assert send(caller, "PUT", "/Security/Roles", renamed, version="2").status_code == 400
    assert got(caller, "/Security/Roles/1")["Name"] == "Administrator"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/Security/Roles", role("Auditor", [])),
        ("/Security/Identities", {"AccountName": "keyexample\\ADMIN"}),
        ("/Security/Claims", {"ClaimType": 6, "ClaimValue": "api-client", "Description": "x"}),
        ("/MetadataFields", {"Name": "owner", "Description": "x", "DataType": 1}),
    ],
)
def test_a_name_that_exists_is_refused(caller: Caller, path: str, body: Json) -> None:
    before = got(caller, path)
    status, message = refusal(send(caller, "POST", path, body))
    assert (status, "has the same" in message) == (400, True)
    assert got(caller, path) == before


# One store: PAM providers, and the secrets that a test mail needs


def mail(caller: Caller, provider: int, **parameters: str) -> httpx2.Response:
    secret = {"Provider": str(provider), "Parameters": parameters}
    body = {
        "Host": "smtp.keyexample.com",
        "Port": 587,
        "UseSSL": True,
        "SenderName": "Keyfactor Command",
        "SenderAccount": "command@keyexample.com",
        "TestRecipient": "mjones@keyexample.com",
        "RelayAuthenticationType": 2,
        "RelayUsername": {"SecretValue": "command@keyexample.com"},
        "RelayPassword": secret,
    }
    return send(caller, "POST", "/SMTP/Test", body, version="2")


def test_a_local_provider_made_by_the_api_resolves_the_secrets_given_to_it(caller: Caller) -> None:
    body = {"Name": "Mine", "ProviderType": {"Id": LOCAL}}
    made = send(caller, "POST", "/PamProviders", body).json()
    number = made["Id"]
    assert (made["Area"], made["SecuredAreaId"], made["Remote"]) == (1, None, False)
    assert made["ProviderTypeParamValues"] == []
    assert mail(caller, number, SecretName="password").status_code == 400
    entries = f"/PamProviders/Local/{number}/Entries"
    entry = {"SecretName": "password", "SecretValue": "MySuperSecretPassword"}
    kept = send(caller, "POST", entries, {**entry, "Description": "of the relay"})
    assert kept.json() == {
        "ProviderId": number, "SecretName": "password", "Description": "of the relay",
    }  # fmt: skip
    assert mail(caller, number, SecretName="password").status_code == 200
    assert got(caller, entries) == [kept.json()]
    assert refusal(send(caller, "POST", entries, entry))[0] == 400

    described = {"SecretName": "PASSWORD", "Description": "changed"}
    assert refusal(send(caller, "PUT", entries, {**described, "SecretName": "none"}))[0] == 404
    assert send(caller, "PUT", entries, {**described, "SecretName": "password"}).status_code == 200
    assert mail(caller, number, SecretName="password").status_code == 200
    wrong = {"SecretName": "password", "SecretValue": "another"}
    assert send(caller, "PUT", entries, wrong).status_code == 200
    assert mail(caller, number, SecretName="password").status_code == 400
    assert send(caller, "DELETE", f"{entries}?secretName=password").status_code == 204
    assert got(caller, entries) == []
    assert send(caller, "DELETE", f"/PamProviders/{number}").status_code == 204
    assert "no PAM provider" in refusal(mail(caller, number, SecretName="password"))[1]


def test_a_provider_made_by_the_api_opens_the_same_vault_as_another_of_its_type(
    caller: Caller,
) -> None:
    safe = {"Id": 1, "Value": "A safe"}
    body = {"name": "Second", "providerType": {"id": CYBERARK}, "ProviderTypeParamValues": [safe]}
    number = send(caller, "POST", "/PamProviders", body).json()["Id"]
    asked = {"Folder": "MyFolderName", "Object": "MyEmailUserPassword"}
    assert mail(caller, number, **asked).status_code == 200
    assert "another Safe" in refusal(mail(caller, number, **asked, Safe="Another"))[1]
    world = caller.http.get("/_mock/world").json()["pam_providers"][str(number)]
    assert (world["name"], world["type"], world["safe"]) == ("Second", "cyberark", "A safe")


def test_secrets_of_a_provider_are_guids_that_stay(caller: Caller) -> None:
    kind = {
        "Name": "A vault",
        "Parameters": [
            {"Name": "Host", "DataType": 1},
            {"Name": "Token", "DisplayName": "The token", "DataType": 2},
            {"Name": "Key", "DataType": 1, "InstanceLevel": True},
        ],
    }
    made = send(caller, "POST", "/PamProviders/Types", kind).json()
    assert list(made) == ["Id", "Name", "Parameters"]
    host, token, key = (each["Id"] for each in made["Parameters"])
    assert (token, key) == (host + 1, host + 2)
    assert made in got(caller, "/PamProviders/Types", "2")
    caller.mock.patch_world({"lenient": False})  # the world is valid still

    values = [
        {"Id": host, "Value": "vault.keyexample.com"},
        {"Value": "Open-Sesame", "ProviderTypeParam": {"Id": token}},
    ]
    body = {"Name": "One", "ProviderType": {"Id": made["Id"]}, "ProviderTypeParamValues": values}
    answer = send(caller, "POST", "/PamProviders", body)
    first = answer.json()
    guid = first["ProviderTypeParamValues"][1]["InstanceGuid"]
    assert first["ProviderTypeParamValues"][1]["Value"] == guid
    assert first["ProviderTypeParamValues"][0]["Value"] == "vault.keyexample.com"
    assert "Open-Sesame" not in answer.text + json.dumps(caller.exchange(answer))
    assert "Open-Sesame" not in caller.http.get("/_mock/world").text

    changed = {"Id": first["Id"], "Name": "Two", "Remote": False}
    values[1]["Value"] = "another"
    again = send(
        caller, "PUT", "/PamProviders", {**changed, "ProviderTypeParamValues": values}, version="2"
    ).json()
    assert again["ProviderTypeParamValues"] == first["ProviderTypeParamValues"]
    assert again["Name"] == "Two"
    assert list(again) == [name for name in first if name not in {"Area", "SecuredAreaId"}]
    assert got(caller, f"/PamProviders/{first['Id']}")["Name"] == "Two"
    message = refusal(mail(caller, first["Id"], Host="x"))[1]
    assert "of type A vault, " in message
    assert "has no such secret; it has none" in refusal(mail(caller, first["Id"], Key="x"))[1]

    for path in (f"/PamProviders/Types/{made['Id']}", f"/PamProviders/Types/{LOCAL}"):
        status, message = refusal(send(caller, "DELETE", path))
        assert (status, "built in, or a PAM provider has it" in message) == (400, True)
    for path in (f"/PamProviders/{first['Id']}", f"/PamProviders/Types/{made['Id']}"):
        assert send(caller, "DELETE", path).status_code == 204
    assert made not in got(caller, "/PamProviders/Types")


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"ProviderType": {"Id": GLOBAL}}, 404, f"find 'PAM Provider Type' with Id '{GLOBAL}'"),
        (
            {"ProviderTypeParamValues": [{"Id": 77}]},
            404,
            "Unable to find 'PAM Provider Type Parameter' with Id '77'",
        ),
        (
            {"Remote": True, "ProviderTypeParamValues": [{"Id": 1, "Value": "x"}]},
            400,
            "Provider type parameters are not allowed for remote PAM providers.",
        ),
        ({"Name": "a\nb"}, 400, "Name: must be a name without control characters"),
    ],
)
def test_a_provider_that_cannot_be_is_refused(
    caller: Caller, changes: Json, status: int, told: str
) -> None:
    before = got(caller, "/PamProviders")
    body = {"Name": "New", "ProviderType": {"Id": CYBERARK}, **changes}
    found, message = refusal(send(caller, "POST", "/PamProviders", body))
    assert (found, told in message) == (status, True)
    assert got(caller, "/PamProviders") == before


@pytest.mark.parametrize(("number", "status"), [(2, 400), (77, 404)])
def test_only_a_local_provider_has_entries(caller: Caller, number: int, status: int) -> None:
    path = f"/PamProviders/Local/{number}/Entries"
    entry = {"SecretName": "a", "SecretValue": "b"}
    for answer in (send(caller, "GET", path), send(caller, "POST", path, entry)):
        assert refusal(answer)[0] == status


# State


def test_the_number_of_a_removed_object_is_not_given_again(caller: Caller) -> None:
    send(caller, "DELETE", "/MetadataFields/2")
    body = {"Name": "New", "Description": "x", "DataType": 1}
    assert send(caller, "POST", "/MetadataFields", body).json()["Id"] == 3


def test_a_reset_restores_and_a_namespace_has_objects_of_its_own(caller: Caller) -> None:
    def names(below: str = "") -> list[str]:
        url = f"{below}{API}/CertificateCollections"
        answer = caller.http.get(
            url, auth=ADMIN, headers={"x-keyfactor-requested-with": "APIClient"}
        )
        return [row["Name"] for row in answer.json()]

    send(caller, "POST", "/CertificateCollections", {"Name": "A new one"})
    assert names() == ["A new one", "My Certificates"]
    assert names("/_mock/ns/other") == ["My Certificates"]
    caller.mock.reset()
    assert names() == ["My Certificates"]


def test_objects_of_a_world_replace_those_of_the_default_one(caller: Caller) -> None:
    caller.mock.patch_world(
        {"resources": {"/CertificateCollections": [{"Id": 7, "Name": "Seven"}]}}
    )
    (only,) = got(caller, "/CertificateCollections")
    assert (only["Id"], only["Name"], only["Description"]) == (7, "Seven", None)
    made = send(caller, "POST", "/CertificateCollections", {"Name": "Eight"}).json()
    assert made["Id"] == 8
    shown = caller.http.get("/_mock/world").json()["resources"]["/CertificateCollections"]
    assert [row["Name"] for row in shown] == ["Seven", "Eight"]


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"/Agent": []}, "/resources/~1Agent: nothing is read there; did you mean '/Agents'?"),
        ({"Agents": []}, "must be the path of a collection such as"),
        ({"/Agents": {}}, "/resources/~1Agents: must be a list"),
        ({"/Agents": [1]}, "/resources/~1Agents/0: must be a map"),
    ],
)
def test_objects_that_nothing_reads_are_refused(caller: Caller, resources: Json, told: str) -> None:
    answer = caller.http.patch("/_mock/world", json={"resources": resources})
    assert (answer.status_code, told in answer.json()["Message"]) == (400, True), answer.text


def test_the_world_shows_no_secret_of_an_object(caller: Caller) -> None:
    row = {"Id": 1, "Name": "One", "Password": "hush", "Nested": [{"ApiKey": "hush", "Label": "x"}]}
    caller.mock.patch_world({"resources": {"/Applications": [row]}})
    shown = caller.http.get("/_mock/world").json()["resources"]["/Applications"]
    assert shown == [{**row, "Password": "***", "Nested": [{"ApiKey": "***", "Label": "x"}]}]


def test_writes_at_the_same_time_do_not_lose_one_another(caller: Caller) -> None:
    def make(number: int) -> int:
        body = {"Name": f"collection {number}"}
        made: int = send(caller, "POST", "/CertificateCollections", body).json()["Id"]
        return made

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(make, range(40)))
    assert len(set(ids)) == 40
    assert len(got(caller, "/CertificateCollections?ReturnLimit=100")) == 41


# Bad input


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("GET", "/Agents?QueryString=nonsense", None, "QueryString"),
        ("GET", "/Agents?QueryString=Colour -eq 1", None, "there is no field Colour"),
        ("GET", "/Agents?SortField=Colour", None, "there is no field Colour"),
        ("GET", "/Agents?PageReturned=0", None, "PageReturned: must be at least 1"),
        ("GET", "/Agents?ReturnLimit=0", None, "ReturnLimit: must be at least 1"),
        ("GET", "/Agents/7", None, "path id: "),
        ("GET", "/Security/Roles/x", None, "id: must be an integer"),
        ("POST", "/CertificateStores", {}, "ClientMachine: required."),
        ("POST", "/Applications", {"Name": 1}, "Name: must be a string"),
        ("POST", "/Applications", [], "must be an object"),
        ("POST", "/Agents/Approve", {}, "must be an array"),
        (
            "POST",
            "/Security/Claims",
            {"ClaimType": 7, "ClaimValue": "x", "Description": "x"},
            "ClaimType: must be one of 0, 1",
        ),
        ("POST", "/Security/Roles", role("x", ["everything"]), "such as Certificates:Read"),
    ],
)
def test_a_bad_request_is_refused_in_the_recorded_form(
    caller: Caller, method: str, path: str, body: object, told: str
) -> None:
    status, message = refusal(send(caller, method, path, body))
    assert status == 400
    assert told.removeprefix("path ") in message or told in message


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/Security/Roles/999", "Unable to find 'Security Role' with Id '999'"),
        ("/Security/Claims/999", "Unable to find 'Security Claim' with Id '999'"),
        (
            "/CertificateStoreTypes/999",
            "The certificate store type with StoreType '999' does not exist.",
        ),
        (f"/CertificateStores/{GLOBAL}", f"Certificate store with id '{GLOBAL}' does not exist."),
        (f"/Agents/{GLOBAL}", f"Agent with id of '{GLOBAL}' does not exist"),
        ("/Templates/999", "Unable to find 'Template' with Id '999'"),
        ("/MetadataFields/999", "Unable to find 'Metadata Field' with Id '999'"),
        ("/MetadataFields/999/InUse", "Unable to find 'Metadata Field' with Id '999'"),
    ],
)
def test_what_is_not_there_is_told_as_recorded(caller: Caller, path: str, told: str) -> None:
    assert refusal(send(caller, "GET", path)) == (404, told)


@pytest.mark.parametrize("properties", ["{", "[]", "1", '"x"', "[" * 2_000])
def test_properties_that_are_no_object_are_refused(caller: Caller, properties: str) -> None:
    body = {
        "ClientMachine": "app01.keyexample.com",
        "Storepath": "/etc/app",
        "CertStoreType": 104,
        "AgentId": AGENT,
        "Properties": properties,
    }
    assert refusal(send(caller, "POST", "/CertificateStores", body)) == (
        400,
        "Properties: must be a JSON object, as text.",
    )
    unknown = {**body, "Properties": "{}", "CertStoreType": 9}
    assert refusal(send(caller, "POST", "/CertificateStores", unknown))[0] == 404


def test_ten_thousand_objects_are_listed_in_time_and_no_more_are_taken(caller: Caller) -> None:
    rows = [{"Id": number, "Name": f"collection {number:05}"} for number in range(1, 10_001)]
    caller.mock.patch_world({"resources": {"/CertificateCollections": rows}})
    query = 'QueryString=Name -contains "collection"&SortField=Name&SortAscending=1'
    page, *_ = [got(caller, f"/CertificateCollections?{query}") for _ in range(3)]
    kept = caller.http.get("/_mock/requests").json()["requests"]
    assert min(each["duration_ms"] for each in kept) < 1_000
    assert (len(page), page[0]["Id"]) == (50, 10_000)
    assert len(got(caller, "/CertificateCollections?ReturnLimit=2147483647")) == 10_000
    answer = send(caller, "POST", "/CertificateCollections", {"Name": "one more"})
    assert "more than 10000 objects" in refusal(answer)[1]
    assert send(caller, "DELETE", "/CertificateCollections/1").status_code == 204
    assert send(caller, "POST", "/CertificateCollections", {"Name": "one more"}).status_code == 200


def test_objects_are_bounded_in_octets(caller: Caller) -> None:
    made = 0
    while True:
        body = {"Name": f"collection {made}", "Query": "x" * 1_000_000}
        answer = send(caller, "POST", "/CertificateCollections", body)
        if answer.status_code != 200:
            break
        made += 1
        assert made < 70
    assert "octets in all" in refusal(answer)[1]
    assert made > 60


@pytest.mark.parametrize(
    ("path", "versions"),
    [
        ("/Security/Roles", "1.0, 2"),
        ("/PamProviders", "1.0, 2"),
        ("/Security/Claims", "1.0"),
        ("/CertificateStoreTypes", "1.0"),
        ("/Agents", "1.0"),
        ("/Templates", "1.0"),
    ],
)
def test_the_supported_versions_are_the_recorded_ones(
    caller: Caller, path: str, versions: str
) -> None:
    assert send(caller, "GET", path).headers["api-supported-versions"] == versions

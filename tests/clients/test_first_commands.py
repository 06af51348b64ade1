"""The calls that the vendor's clients make first, as they send them, and read as they do."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support import ADMIN, Caller, Json

AGENT = "7c1d2f60-51e9-4a3b-9d8f-2b6a0e4c1d01"
STORE = "4ab3f8a1-6a6f-4b4e-9d24-0c9a2f3b5d10"
GLOBAL = "099c05f0-deba-4562-a5b1-f491e19c0749"

# go-client, on which kfutil and the Terraform provider stand: a body `null`, and its type, in GET
# and DELETE too. The SDK: no body, and another user agent.
GO_CLIENT = {"content-type": "application/json", "x-keyfactor-api-version": "1"}
SDK = {"user-agent": "OpenAPI-Generator/1.0.0/go", "accept": "application/json"}
COMMON = {"x-keyfactor-requested-with": "APIClient"}


class Client:
    """Call as one of the two libraries does, after the probe that each begins with."""

    def __init__(self, caller: Caller, headers: dict[str, str]) -> None:
        self._http = caller.http
        self._headers = {**COMMON, **headers}
        probe = {**COMMON, **headers, "x-keyfactor-api-version": "1"}
        answer = self._http.get("/KeyfactorAPI/Status/Endpoints", headers=probe, auth=ADMIN)
        assert "GET /CertificateStoreTypes" in answer.json()

    def send(self, method: str, path: str, body: object = None) -> httpx2.Response:
        content = None
        if body is not None or "content-type" in self._headers:
            content = json.dumps(body).encode()
        headers = {**self._headers}
        if content is not None:
            headers["content-type"] = "application/json"
        url = f"/KeyfactorAPI/{path}"
        answer = self._http.request(method, url, content=content, headers=headers, auth=ADMIN)
        assert answer.status_code in {200, 204}, answer.text
        assert answer.headers["x-keyfactor-product-version"]
        return answer

    def get(self, path: str) -> Any:  # noqa: ANN401  # any JSON
        answer = self.send("GET", path)
        assert answer.headers["content-type"].startswith("application/json")
        return answer.json()

    def pages(self, path: str, prefix: str) -> Iterator[Json]:
        """Give what is on all pages, until one is empty."""
        number = 1
        while found := self.get(f"{path}{prefix}pageReturned={number}"):
            yield from found
            number += 1
            assert number < 10


@pytest.fixture
def go_client(caller: Caller) -> Client:
    return Client(caller, GO_CLIENT)


@pytest.fixture
def sdk(caller: Caller) -> Client:
    return Client(caller, SDK)


def is_text(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def test_kfutil_lists_and_shows_store_types(go_client: Client) -> None:
    found = go_client.get("CertificateStoreTypes")
    for kind in found:
        assert is_text(kind["PrivateKeyAllowed"], kind["CustomAliasAllowed"])
        assert is_text(kind["PasswordOptions"]["Style"])
        assert is_text(*(each["Type"] for each in kind["Properties"]))
    number, name = found[0]["StoreType"], found[0]["ShortName"]
    assert go_client.get(f"CertificateStoreTypes/{number}") == found[0]
    assert go_client.get(f"CertificateStoreTypes/Name/{name}") == found[:1]


def test_kfutil_makes_and_removes_a_store_type(go_client: Client) -> None:
    # As its file of templates has one.
    body = {
        "Name": "Fortanix",
        "ShortName": "FORTANIX",
        "Capability": "FORTANIX",
        "LocalStore": False,
        "SupportedOperations": {
            "Add": False, "Create": False, "Discovery": False, "Enrollment": False, "Remove": False,
        },
        "Properties": [
            {
                "Name": "ServerUsername",
                "DisplayName": "Server Username",
                "Type": "Secret",
                "DependsOn": None,
                "DefaultValue": None,
                "Required": False,
                "IsPAMEligible": True,
                "Description": "Who logs in.",
            }
        ],
        "EntryParameters": None,
        "PasswordOptions": {"EntrySupported": False, "StoreRequired": False, "Style": "Default"},
        "StorePathType": "",
        "StorePathValue": "",
        "PrivateKeyAllowed": "Forbidden",
        "ServerRequired": True,
        "PowerShell": False,
        "BlueprintAllowed": True,
        "CustomAliasAllowed": "Forbidden",
        "ClientMachineDescription": "The server.",
        "StorePathDescription": "The group.",
    }  # fmt: skip
    made = go_client.send("POST", "CertificateStoreTypes", body).json()
    found = go_client.get("CertificateStoreTypes/Name/FORTANIX")
    assert [each["StoreType"] for each in found] == [made["StoreType"]]
    go_client.send("DELETE", f"CertificateStoreTypes/{made['StoreType']}")
    assert go_client.get("CertificateStoreTypes/Name/FORTANIX") == []


def test_kfutil_lists_stores_and_their_inventory(go_client: Client) -> None:
    first = "CertificateStores/?certificateStoreQuery.queryString=&"
    stores = [*go_client.pages(first, "certificateStoreQuery.")]
    assert STORE in [store["Id"] for store in stores]
    store = go_client.get(f"CertificateStores/{STORE}")
    assert isinstance(json.loads(store["Properties"]), dict)
    (item,) = go_client.pages(f"CertificateStores/{STORE}/Inventory?", "query.")
    assert item["Certificates"][0]["Thumbprint"]


def test_kfutil_lists_orchestrators_containers_and_roles(go_client: Client) -> None:
    assert len(go_client.get("Agents")) == 2
    for query in (f'AgentId -eq "{AGENT}"', 'ClientMachine -eq "orch01.keyexample.com"'):
        (agent,) = go_client.get(f"Agents?pq.queryString={query}")
        assert agent["AgentId"] == AGENT
    (container,) = go_client.get("CertificateStoreContainers")
    assert go_client.get(f"CertificateStoreContainers/{container['Id']}")["Name"] == "Web servers"
    query = 'CertificateStoreContainers?pq.queryString=Name -eq "Web servers"'
    assert go_client.get(query) == [container]
    assert go_client.get("Security/Roles")
    assert go_client.get("MetadataFields")
    assert go_client.get("CertificateCollections")


def test_terraform_reads_its_data_sources(go_client: Client) -> None:
    (role,) = go_client.get('Security/Roles?pq.queryString=name -eq "Administrator"')
    assert isinstance(role["Permissions"], list)
    assert go_client.get('Security/Roles?pq.queryString=name -eq "none"') == []
    identities = go_client.get("Security/Identities")
    assert identities[0]["Roles"][0]["Name"] == "Administrator"
    templates = go_client.get("Templates/")
    assert "WebServer" in [template["CommonName"] for template in templates]
    query = 'StorePath -eq "My" AND ClientMachine -eq "web01.keyexample.com"'
    path = f"CertificateStores?certificateStoreQuery.queryString={query}"
    (store,) = go_client.get(path)
    kind = go_client.get(f"CertificateStoreTypes/{store['CertStoreType']}")
    assert kind["ShortName"] == "IISU"


def test_terraform_makes_changes_and_removes_a_store(go_client: Client) -> None:
    (kind,) = go_client.get("CertificateStoreTypes/Name/IISU")
    (agent,) = go_client.get(f'Agents?pq.queryString=AgentId -eq "{AGENT}"')
    properties = {
        "ServerUsername": {"value": {"SecretValue": "admin"}},
        "ServerPassword": {"value": {"Provider": 1, "Parameters": {"SecretName": "x"}}},
        "ServerUseSsl": "true",
    }
    body = {
        "ContainerId": None,
        "ClientMachine": "web02.keyexample.com",
        "StorePath": "My",
        "CertStoreType": kind["StoreType"],
        "Approved": True,
        "CreateIfMissing": False,
        "Properties": json.dumps(properties),
        "AgentId": agent["AgentId"],
        "AgentAssigned": True,
        "ContainerName": None,
        "InventorySchedule": {"Immediate": None, "Interval": {"Minutes": 60}},
        "SetNewPasswordAllowed": False,
        "Password": {"SecretValue": None},
    }
    made = go_client.send("POST", "CertificateStores", body).json()
    shown = go_client.get(f"CertificateStores/{made['Id']}")
    assert shown["InventorySchedule"] == {"Interval": {"Minutes": 60}}
    changed = go_client.send("PUT", "CertificateStores", {**body, "Id": made["Id"]}).json()
    assert changed["Id"] == made["Id"]
    go_client.send("DELETE", f"CertificateStores/{made['Id']}")


def test_terraform_ties_a_claim_to_a_role_by_the_sdk(caller: Caller, sdk: Client) -> None:
    second = Client(caller, {**SDK, "x-keyfactor-api-version": "2"})
    sets = sdk.get("PermissionSets?PageReturned=1&ReturnLimit=50")
    body = {
        "Name": "tf",
        "Description": "made by Terraform",
        "PermissionSetId": sets[0]["Id"],
        "Permissions": [],
    }
    role = second.send("POST", "Security/Roles", body).json()
    assert role["Claims"] == []
    claim_body = {
        "ClaimType": 5,
        "ClaimValue": "tf-subject",
        "Description": "a subject",
        "ProviderAuthenticationScheme": "System",
    }
    claim = sdk.send("POST", "Security/Claims", claim_body).json()
    assert claim["ClaimType"] == "OAuthSubject"
    query = 'Security/Claims?QueryString=((ClaimValue+-eq+"tf-subject"+and+ClaimType+-eq+5))'
    assert sdk.get(query) == [claim]
    tied = second.send(
        "PUT", "Security/Roles", {**body, "Id": role["Id"], "Claims": [claim_body]}
    ).json()
    assert tied["Claims"] == [claim]
    assert second.get('Security/Roles?QueryString=((Name -eq "tf"))')[0]["ClaimsCount"] == 1
    sdk.send("DELETE", f"Security/Roles/{role['Id']}")
    sdk.send("DELETE", f"Security/Claims/{claim['Id']}")


@pytest.mark.parametrize(
    "path",
    [
        "enrollmentpatterns?ReturnLimit=500",
        "EnrollmentPatterns?QueryString=Name+-eq+%22Web Server%22",
    ],
)
def test_the_issuer_finds_its_pattern(sdk: Client, path: str) -> None:
    (pattern,) = sdk.get(path)
    assert pattern["Template"]["CommonName"] == "WebServer"
    assert sdk.get(f"EnrollmentPatterns/{pattern['Id']}") == pattern

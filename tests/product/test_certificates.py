"""Certificates: what is issued is verified by others, and what becomes of it afterwards."""

import base64
import datetime as dt
import json
import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from enrolling import (
    API,
    AUTHORITY,
    KEY,
    PASSWORD,
    Client,
    certificates,
    dns,
    enroll_pfx,
    from_p7b,
    request_for,
)
from mockserver import MockServer
from support import ADMIN, Caller, Json, calling, refusal


@pytest.fixture
def client(caller: Caller) -> Client:
    return Client(caller)


# What is issued


def test_a_certificate_is_verified_by_cryptography(client: Client) -> None:
    names = dns("web01.keyexample.com", "www.keyexample.com")
    leaf, sub, root = certificates(client.enroll(request_for(extensions=(names,))))
    verifier = PolicyBuilder().store(Store([root])).time(dt.datetime.now(dt.UTC))
    server = verifier.build_server_verifier(x509.DNSName("www.keyexample.com"))
    assert server.verify(leaf, [sub]) == [leaf, sub, root]
    assert leaf.public_key() == KEY.public_key()
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [*purposes] == [ExtendedKeyUsageOID.SERVER_AUTH]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_encipherment) == (True, True)
    assert not usage.value.key_cert_sign
    since = dt.datetime.now(dt.UTC) - leaf.not_valid_before_utc
    assert 0 <= since.total_seconds() - 600 < 60
    year = dt.timedelta(days=365, seconds=-1)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == year


def test_openssl_verifies_a_certificate_and_sees_its_revocation(
    client: Client, tmp_path: Path
) -> None:
    information = client.enroll()
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(information["Certificates"][0])
    chain = tmp_path / "chain.pem"
    chain.write_bytes(client.control("/certificates/chain.pem").content)

    def verify(*options: str) -> str:
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", chain, "-x509_strict", *options, leaf],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert verify().endswith(": OK\n")

    def revocations() -> list[str]:
        answer = client.control("/certificates/crl")
        assert answer.headers["content-type"] == "application/pkix-crl"
        crl = x509.load_der_x509_crl(answer.content)
        path = tmp_path / "crl.pem"
        path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        return ["-crl_check", "-CRLfile", str(path)]

    assert verify(*revocations()).endswith(": OK\n")
    revoked = {"CertificateIds": [information["KeyfactorID"]], "Reason": 1, "Comment": "Lost"}
    client.post("/Certificates/Revoke", revoked, form=None)
    assert "certificate revoked" in verify(*revocations())
    crl = x509.load_der_x509_crl(client.control("/certificates/crl").content)
    entry = crl.get_revoked_certificate_by_serial_number(int(information["SerialNumber"], 16))
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value
    assert reason.reason is x509.ReasonFlags.key_compromise


def test_a_reason_of_zero_stands_in_no_entry(client: Client) -> None:
    number = client.enroll()["KeyfactorID"]
    client.post("/Certificates/Revoke", {"CertificateIds": [number]}, form=None)
    (entry,) = x509.load_der_x509_crl(client.control("/certificates/crl").content)
    assert not list(entry.extensions)


def test_each_authority_has_a_revocation_list(client: Client) -> None:
    named = client.control("/certificates/crl?authority=Key%20Example%20Issuing%20CA")
    assert named.status_code == 200
    status, message = refusal(client.control("/certificates/crl?authority=Other"))
    assert status == 404
    assert "known are Key Example Issuing CA" in message


def test_authorities_have_a_certificate_each_below_one_root() -> None:
    authorities = [{"Id": n, "LogicalName": f"CA {n}", "UseForEnrollment": n == 2} for n in (1, 2)]
    world = {"resources": {"/CertificateAuthority": authorities}}
    with MockServer(world) as mock, calling(mock) as caller:
        client = Client(caller)
        chain = client.control("/certificates/chain.pem").content
        first, second, root = x509.load_pem_x509_certificates(chain)
        assert client.enroll()["IssuerDN"] == "CN=CA 2"
        leaf, sub, top = certificates(client.enroll(CertificateAuthority="ca 1"))
        client.post("/Certificates/Revoke", {"CertificateIds": [1]}, form=None)
        lists = [client.control(f"/certificates/crl?authority=CA {n}").content for n in (1, 2)]
    assert (sub, top) == (first, root)
    leaf.verify_directly_issued_by(first)
    second.verify_directly_issued_by(root)
    assert [len(x509.load_der_x509_crl(each)) for each in lists] == [0, 1]


def test_a_world_without_authorities_issues_nothing() -> None:
    world: Json = {"resources": {"/CertificateAuthority": []}}
    with MockServer(world) as mock, calling(mock) as caller:
        client = Client(caller)
        body = {"CSR": request_for(), "Template": "WebServer"}
        _, message = refusal(client.send("POST", "/Enrollment/CSR", body))
        assert message == "CertificateAuthority: no authority is there for enrollment."
        assert client.control("/certificates/crl").status_code == 200


def test_the_root_stays_over_resets_and_is_not_that_of_the_listeners(
    client: Client, mock: MockServer
) -> None:
    before = client.control("/certificates/chain.pem").content
    mock.reset()
    assert client.control("/certificates/chain.pem").content == before
    assert mock.ca_pem not in before
    assert client.listed("IncludeRevoked=true") == []


def test_what_a_request_asks_beside_its_names_is_ignored(client: Client) -> None:
    wishes = (
        x509.BasicConstraints(ca=True, path_length=3),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    )
    leaf, *_ = certificates(client.enroll(request_for(extensions=wishes)))
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert "1.2.3.4" not in [each.oid.dotted_string for each in leaf.extensions]


@pytest.mark.parametrize(("usage", "shown"), [(0x86, "80"), (0x06, "a0"), (0xF8, "f8")])
def test_no_template_makes_an_authority(
    client: Client, mock: MockServer, usage: int, shown: str
) -> None:
    mock.patch_world(template_with(KeyUsage=usage))
    leaf, *_ = certificates(client.enroll())
    found = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (found.key_cert_sign, found.crl_sign, found.digital_signature) == (False, False, True)
    assert client.shown(1)["DetailedKeyUsage"]["HexCode"] == shown


KEYS: dict[str, tuple[Callable[[], Any], Json]] = {
    "RSA": (
        lambda: rsa.generate_private_key(65537, 2048),
        {"KeySizeInBits": 2048, "KeyType": 1, "KeyAlgorithm": "1.2.840.113549.1.1.1",
         "Curve": None},
    ),
    "ECC": (
        lambda: KEY,
        {"KeySizeInBits": 256, "KeyType": 3, "KeyAlgorithm": "1.2.840.10045.2.1",
         "Curve": "1.2.840.10045.3.1.7"},
    ),
    "Ed448": (
        ed448.Ed448PrivateKey.generate,
        {"KeySizeInBits": 448, "KeyType": 5, "KeyAlgorithm": "1.3.101.113", "Curve": None},
    ),
    "Ed25519": (
        ed25519.Ed25519PrivateKey.generate,
        {"KeySizeInBits": 255, "KeyType": 6, "KeyAlgorithm": "1.3.101.112", "Curve": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KEYS)
def test_keys_are_described_as_recorded(client: Client, kind: str) -> None:
    make, wanted = KEYS[kind]
    number = client.enroll(request_for(key=make()))["KeyfactorID"]
    row = client.shown(number)
    assert {name: row[name] for name in wanted} == wanted
    assert row["KeyTypeString"] == kind
    assert (row["SigningAlgorithm"], row["KeyUsage"]) == ("SHA-256withRSA", 160)


# The forms of answers


def test_pem_has_a_line_with_the_subject_above_each_certificate(client: Client) -> None:
    information = client.enroll()
    assert [text.partition("\n")[0] for text in information["Certificates"]] == [
        "#CN=web01.keyexample.com,OU=Web,C=US",
        "#CN=Key Example Issuing CA",
        "#CN=Key Example Root CA",
    ]
    for text in information["Certificates"]:
        lines = text.splitlines()
        assert text.endswith("-----END CERTIFICATE-----\n")
        assert {len(line) for line in lines[2:-2]} == {64}
    assert len(client.enroll(IncludeChain=False)["Certificates"]) == 1
    assert list(information) == [
        "SerialNumber", "IssuerDN", "Thumbprint", "KeyfactorID", "Certificates",
        "WorkflowInstanceId", "WorkflowReferenceId", "KeyfactorRequestId", "RequestDisposition",
        "DispositionMessage", "EnrollmentContext",
    ]  # fmt: skip
    leaf, *_ = chain = certificates(information)
    pems = [each.public_bytes(serialization.Encoding.PEM).decode() for each in chain]
    assert [text.partition("\n")[2] for text in information["Certificates"]] == pems
    assert information["SerialNumber"] == f"{leaf.serial_number:040X}"
    assert information["Thumbprint"] == leaf.fingerprint(hashes.SHA1()).hex().upper()
    assert information["RequestDisposition"] == "ISSUED"


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_enrolment_answers_with_its_headers(client: Client, version: str) -> None:
    body = {"CSR": request_for("*.ä\r\n"), "EnrollmentPatternId": 1}
    answer = client.send("POST", "/Enrollment/CSR", body, form="pem", version=version)
    assert answer.status_code == 200
    assert answer.headers["x-certificatefile"] == "*.%C3%A4%0D%0A.pem"
    assert answer.headers["api-supported-versions"] == "1.0, 2"
    (pem,) = answer.json()["CertificateInformation"]["Certificates"]
    assert pem.count("\n-----BEGIN") == 1
    assert answer.json()["Metadata"] == {}


def test_p7b_has_indefinite_lengths_and_the_leaf_first(client: Client, tmp_path: Path) -> None:
    names = dns(*(f"host{n}.keyexample.com" for n in range(40)))  # sorted by octets it comes last
    chain = certificates(client.enroll(request_for(extensions=(names,))))
    wanted = {"CertID": 1, "IncludeChain": True}
    content = base64.b64decode(client.post("/Certificates/Download", wanted, form="P7B")["Content"])
    assert content.startswith(bytes.fromhex("3080"))
    path = tmp_path / "chain.p7b"
    path.write_bytes(content)
    printed = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-in", path, "-print_certs"],
        capture_output=True,
        check=True,
    ).stdout
    assert x509.load_pem_x509_certificates(printed) == chain
    assert from_p7b(content) == chain
    (text,) = client.post(
        "/Enrollment/CSR",
        {"CSR": request_for(), "Template": "Web Server", "IncludeChain": True},
        form="P7B",
    )["CertificateInformation"]["Certificates"]
    assert len(from_p7b(base64.b64decode(text))) == 3


def test_a_certificate_is_downloaded_in_each_form(client: Client) -> None:
    information = client.enroll()
    leaf, sub, root = certificates(information)
    row = client.shown(1)
    asked: list[Json] = [
        {"CertId": 1},
        {"Thumbprint": information["Thumbprint"].lower()},
        {"SerialNumber": information["SerialNumber"], "IssuerDN": information["IssuerDN"]},
    ]
    for wanted in asked:
        content = client.post("/Certificates/Download", wanted, form="DER")["Content"]
        assert base64.b64decode(content) == leaf.public_bytes(serialization.Encoding.DER)
        assert content == row["ContentBytes"]
    asked = [
        {"IncludeChain": True},
        {"IncludeChain": True, "ChainOrder": "ROOTFIRST", "IncludeSubjectHeader": True},
    ]
    texts = [
        base64.b64decode(
            client.post("/Certificates/Download", {"CertID": 1, **wanted})["Content"]
        ).decode()
        for wanted in asked
    ]
    chains = [x509.load_pem_x509_certificates(text.encode()) for text in texts]
    assert chains == [[leaf, sub, root], [root, sub, leaf]]
    assert [text.count("#CN=") for text in texts] == [0, 3]


# Lists and single certificates


def test_a_certificate_has_all_members_in_the_recorded_order(client: Client) -> None:
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("web01.keyexample.com"),
            x509.IPAddress(ip_address("192.0.2.7")),
        ]
    )
    csr = request_for(extensions=(names,))
    number = client.enroll(csr, Metadata={"owner": "Web team", "Email-Contact": ""})["KeyfactorID"]
    row = client.shown(number, "includeMetadata=true&includeHasPrivateKey=true")
    assert list(row) == MEMBERS.split()
    assert row["SubjectAltNameElements"] == [
        {"Id": 1, "Value": "192.0.2.7", "Type": 7, "ValueHash": row_hash("192.0.2.7")},
        {"Id": 2, "Value": "web01.keyexample.com", "Type": 2,
         "ValueHash": row_hash("web01.keyexample.com")},
    ]  # fmt: skip
    wanted = {
        "IssuedDN": "CN=web01.keyexample.com,OU=Web,C=US",
        "IssuedCN": "web01.keyexample.com",
        "IssuedOU": "Web",
        "IssuedEmail": None,
        "IssuerDN": "CN=Key Example Issuing CA",
        "CertState": 1,
        "CertStateString": "Active (1)",
        "TemplateName": "WebServer",
        "EnrollmentPatternId": 1,
        "CertificateAuthorityName": AUTHORITY,
        "RequesterName": "KEYEXAMPLE\\admin",
        "Metadata": {"Owner": "Web team"},
        "HasPrivateKey": False,
        "KeyRecoverable": False,
        "Lifespan": 365,
        "CARecordId": row["SerialNumber"],
    }
    assert {name: row[name] for name in wanted} == wanted
    assert row["DetailedKeyUsage"]["HexCode"] == "a0"
    assert [name for name, is_on in row["DetailedKeyUsage"].items() if is_on is True] == [
        "DigitalSignature", "KeyEncipherment",
    ]  # fmt: skip
    (listed,) = client.listed()
    assert list(listed) == MEMBERS.split()[2:]
    assert (listed["Metadata"], client.shown(number, "")["Metadata"]) == ({}, {})
    assert client.listed("includeMetadata=true")[0]["Metadata"] == {"Owner": "Web team"}


def row_hash(text: str) -> str:
    """Return the hash that recordings have of a text."""
    digest = hashes.Hash(hashes.MD5())
    digest.update(text.encode("utf-16-le"))
    return digest.finalize().hex().upper()


MEMBERS = (
    "IsCACertificate PathLengthConstraint Id Thumbprint SerialNumber IssuedDN IssuedCN ImportDate "
    "NotBefore NotAfter IssuerDN PrincipalId OwnerRoleId OwnerRoleName TemplateId CertState "
    "KeySizeInBits KeyType KeyAlgorithm AltKeyAlgorithm AltKeySizeInBits AltKeyType RequesterId "
    "IssuedOU IssuedEmail KeyUsage SigningAlgorithm AltSigningAlgorithm CertStateString "
    "KeyTypeString AltKeyTypeString RevocationEffDate RevocationReason RevocationComment "
    "CertificateAuthorityId CertificateAuthorityName TemplateName ArchivedKey HasPrivateKey "
    "HasAltPrivateKey PrincipalName CertRequestId RequesterName ContentBytes ExtendedKeyUsages "
    "SubjectAltNameElements CRLDistributionPoints LocationsCount SSLLocations Locations Metadata "
    "CARowIndex CARecordId DetailedKeyUsage KeyRecoverable Curve EnrollmentPatternId Lifespan"
)


def test_lists_find_certificates_and_leave_out_revoked_and_expired_ones(client: Client) -> None:
    first = client.enroll(request_for("a.keyexample.com"))
    client.enroll(request_for("b.keyexample.com"))
    queries = {
        f'Thumbprint -eq "{first["Thumbprint"].lower()}"': [1],
        'IssuedCN -contains "keyexample"': [1, 2],
        "CertId -eq 2": [2],
        "CertRequestId -eq 2": [2],
        f'CA -eq "{AUTHORITY} "': [1, 2],
        'TemplateShortName -eq "webserver" AND CertState -eq 1': [1, 2],
    }
    for query, found in queries.items():
        asked = f"pq.queryString={query}&SortField=CertId"
        assert [row["Id"] for row in client.listed(asked)] == found, query
    sorting = "SortField=IssuedCN&SortAscending=1"
    assert [row["Id"] for row in client.listed(sorting)] == [2, 1]
    assert refusal(client.send("GET", "/Certificates?SortField=Id"))[0] == 400
    client.post("/Certificates/Revoke", {"CertificateIds": [1]}, form=None)
    assert [row["Id"] for row in client.listed()] == [2]
    assert [row["Id"] for row in client.listed("IncludeRevoked=true")] == [1, 2]


def test_certificates_of_the_world_are_there_too(caller: Caller) -> None:
    rows = [
        {"Id": 7, "IssuedCN": "old.keyexample.com", "NotAfter": "2020-01-01T00:00:00Z"},
        {
            "Id": 8,
            "IssuedCN": "new.keyexample.com",
            "LocationsCount": [{"Type": "PEM", "Count": 1}],
        },
    ]
    caller.mock.patch_world({"resources": {"/Certificates": rows}})
    client = Client(caller)
    assert [row["Id"] for row in client.listed()] == [8]
    assert [row["Id"] for row in client.listed("IncludeExpired=true")] == [7, 8]
    assert client.shown(8, "")["LocationsCount"] == []
    assert client.shown(8, "includeLocations=true")["LocationsCount"] != []
    status, message = refusal(client.send("POST", "/Certificates/Download", {"CertID": 8}))
    assert (status, message) == (400, "The world has no ContentBytes of the certificate 8.")
    assert client.enroll()["KeyfactorID"] == 9
    issued = client.shown(9)
    caller.mock.patch_world({"resources": {"/Certificates": [{**issued, "Id": 1}]}})
    answer = client.post("/Certificates/Download", {"CertID": 1, "IncludeChain": True})
    assert base64.b64decode(answer["Content"]).count(b"BEGIN") == 1  # nobody knows its authority
    assert [client.enroll()["KeyfactorID"] for _ in range(2)] == [10, 11]
    caller.mock.patch_world({"resources": {"/Certificates": [{**issued, "Id": 50}, issued]}})
    assert [client.enroll()["KeyfactorID"] for _ in range(2)] == [51, 52]


def test_a_thousand_certificates_come_in_pages(client: Client) -> None:
    csr = request_for()
    body = {"CSR": csr, "Template": "WebServer"}
    for _ in range(1_000):
        assert client.send("POST", "/Enrollment/CSR", body).status_code == 200
    found: list[int] = []
    page = 1
    while rows := client.listed(f"pq.pageReturned={page}&pq.returnLimit=170"):
        found += [row["Id"] for row in rows]
        page += 1
    assert page == 7
    assert found == [*range(1, 1_001)]
    last = client.send("GET", "/Certificates?PageReturned=99", form=None)
    assert (last.json(), last.headers["x-total-count"]) == ([], "1000")


# Revocation and metadata


def test_a_revocation_is_seen_and_a_hold_is_removed(client: Client) -> None:
    client.enroll()
    client.enroll()
    hold = {
        "CertificateIds": [2, 1, 2],
        "Reason": 6,
        "Comment": "Looked for",
        "EffectiveDate": "2026-01-15T10:30:00+02:00",
        "PublishCRL": True,
    }
    answer = client.send("POST", "/Certificates/Revoke", hold, form=None)
    assert answer.json() == {"RevokedIds": [2, 1], "SuspendedCerts": []}
    assert answer.headers["api-supported-versions"] == "1.0, 2"
    row = client.shown(1)
    names = ("CertState", "CertStateString", "RevocationEffDate", "RevocationReason",
             "RevocationComment")  # fmt: skip
    assert [row[name] for name in names] == [
        2, "Revoked (2)", "2026-01-15T08:30:00Z", 6, "Looked for",
    ]  # fmt: skip
    client.post("/Certificates/Revoke", {"CertificateIds": [1], "Reason": -1}, form=None)
    assert [client.shown(1)[name] for name in names] == [1, "Active (1)", None, None, None]
    again = {"CertificateIds": [1], "Reason": 7}
    _, message = refusal(client.send("POST", "/Certificates/Revoke", again))
    assert message == "Reason: the certificate 1 is not on hold."


def test_what_a_world_has_without_an_id_stays(client: Client, mock: MockServer) -> None:
    rows: list[Json] = [{"Thumbprint": "AA"}, {"Thumbprint": "BB"}, {"Thumbprint": "CC", "Id": 3}]
    mock.patch_world({"resources": {"/Certificates": rows}})
    client.post("/Certificates/Revoke", {"CertificateIds": [3]}, form=None)
    kept = [row["Thumbprint"] for row in client.listed("includeRevoked=true")]
    assert kept == ["AA", "BB", "CC"]
    for path, body in (("Download", {}), ("Recover", {"Password": PASSWORD})):
        sent = {"Thumbprint": "bb", **body}
        status, _ = refusal(client.send("POST", f"/Certificates/{path}", sent))
        assert status == 400


def test_the_vault_engine_can_revoke_in_a_lenient_world(client: Client, mock: MockServer) -> None:
    client.enroll()
    body = (
        '{"CertificateIds":[1],"Reason":0,"Comment":"Revoked by Vault",'
        '"EffectiveDate":"2026-01-15T08:30:00"}}'
    )
    status, message = refusal(client.send("POST", "/Certificates/Revoke", body, form=None))
    assert (status, "not JSON" in message) == (400, True)
    mock.patch_world({"lenient": True})
    assert client.post("/Certificates/Revoke", body, form=None)["RevokedIds"] == [1]
    assert [note.kind for note in mock.requests[-1].lenient] == ["trailing_text"]
    for bad in ('{"CertificateIds":[1]', "[1] 2", '{"a":1,"a":2}}'):
        assert refusal(client.send("POST", "/Certificates/Revoke", bad, form=None))[0] == 400


def in_use(client: Client) -> list[str]:
    """Name the metadata fields of which a certificate has a value."""
    fields = client.send("GET", "/MetadataFields", form=None).json()
    paths = {field["Name"]: f"/MetadataFields/{field['Id']}/InUse" for field in fields}
    return [name for name in paths if client.send("GET", paths[name], form=None).json()]


def test_metadata_is_changed_and_an_empty_text_removes_it(client: Client) -> None:
    assert in_use(client) == []
    client.enroll(Metadata={"Owner": "Web team"})
    assert in_use(client) == ["Owner"]
    body: Json = {"Id": 1, "Metadata": {"Owner": "", "email-contact": True}, "CollectionId": 0}
    answer = client.send("PUT", "/Certificates/Metadata", body, form=None)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.shown(1)["Metadata"] == {"Email-Contact": "true"}
    assert in_use(client) == ["Email-Contact"]
    body["Metadata"] = {"Email-Contact": None}
    client.send("PUT", "/Certificates/Metadata", body, form=None)
    assert client.shown(1)["Metadata"] == {}
    assert in_use(client) == []


# Keys that the product makes


def test_a_pfx_has_key_and_chain_and_is_recovered(client: Client) -> None:
    answer = enroll_pfx(client, Metadata={"Owner": "Web team"})
    assert list(answer) == ["SuccessfulStores", "CertificateInformation", "Metadata"]
    assert answer["Metadata"] == {"Email-Contact": "", "Owner": "Web team"}
    information = answer["CertificateInformation"]
    assert information["DispositionMessage"] == "The private key was successfully retained."
    assert information["Password"] is None
    blob = base64.b64decode(information["Pkcs12Blob"])
    opened = pkcs12.load_pkcs12(blob, PASSWORD.encode())
    assert opened.cert is not None
    assert opened.key is not None
    leaf = opened.cert.certificate
    assert opened.cert.friendly_name == b"web"
    assert leaf.public_key() == opened.key.public_key()
    assert leaf.subject.rfc4514_string() == "CN=web01.keyexample.com,O=Key Example,C=US"
    assert [each.rfc4514_attribute_name for each in leaf.subject] == ["C", "O", "CN"]
    assert len(opened.additional_certs) == 2
    flags = "includeHasPrivateKey=true&includeMetadata=true"
    row = client.shown(1, flags)
    assert (row["HasPrivateKey"], row["Metadata"]) == (True, {"Owner": "Web team"})
    assert client.shown(1)["HasPrivateKey"] is False
    for legacy in (False, True):
        recover = {"CertID": 1, "Password": "other", "UseLegacyEncryption": legacy}
        recovered = client.post("/Certificates/Recover", recover, form="PFX")
        assert recovered["FileName"] == "web01.keyexample.com.pfx"
        again = pkcs12.load_pkcs12(base64.b64decode(recovered["PFX"]), b"other")
        assert again.cert is not None
        assert (again.cert.certificate, again.additional_certs) == (leaf, [])


def test_recovered_pem_has_the_key_below_its_certificate(client: Client) -> None:
    enroll_pfx(client, form="PEM", version="1")
    wanted = {"CertID": 1, "Password": PASSWORD, "IncludeChain": True}
    recovered = client.post("/Certificates/Recover", wanted)
    text = base64.b64decode(recovered["PFX"]).decode()
    assert recovered["FileName"] == "web01.keyexample.com.pem"
    heads = [line for line in text.splitlines() if line[:1] == "#" or line.startswith("-----B")]
    assert [head[:23] for head in heads] == [
        "#CN=web01.keyexample.co", "-----BEGIN CERTIFICATE-", "-----BEGIN ENCRYPTED PR",
        "#CN=Key Example Issuing", "-----BEGIN CERTIFICATE-", "#CN=Key Example Root CA",
        "-----BEGIN CERTIFICATE-",
    ]  # fmt: skip
    leaf, *_ = x509.load_pem_x509_certificates(text.encode())
    key = serialization.load_pem_private_key(text.encode(), PASSWORD.encode())
    assert key.public_key() == leaf.public_key()


KEY_WISHES: list[tuple[Json, str]] = [
    ({"KeyType": "ecc", "Curve": "1.2.840.10045.3.1.7"}, "1.2.840.10045.3.1.7"),
    ({"KeyType": "ECC", "KeyLength": 384}, "1.3.132.0.34"),
    ({"KeyType": "Ed25519", "KeyLength": 255}, "Ed25519"),
    ({"KeyType": "Ed448"}, "Ed448"),
    ({"KeyType": "RSA", "KeyLength": 3072}, "RSA"),
]


@pytest.mark.parametrize(("wish", "shown"), KEY_WISHES, ids=str)
def test_a_template_without_retention_keeps_no_key(client: Client, wish: Json, shown: str) -> None:
    body = {"Subject": "CN=a", "Password": PASSWORD, "EnrollmentPatternId": 1, "Template": ""}
    answer = client.send("POST", "/Enrollment/PFX", {**body, **wish}, form="STORE", version="2")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-privatekeystatus"] == "NoRetention"
    assert answer.headers["x-certificatefile"] == "a.store"
    information = answer.json()["CertificateInformation"]
    assert information["DispositionMessage"].startswith("The template was not set up")
    opened = pkcs12.load_pkcs12(base64.b64decode(information["Pkcs12Blob"]), PASSWORD.encode())
    assert (opened.cert and opened.cert.friendly_name, opened.additional_certs) == (None, [])
    row = client.shown(information["KeyfactorId"], "includeHasPrivateKey=true")
    assert shown in (row["Curve"], row["KeyTypeString"])
    assert row["HasPrivateKey"] is False


def test_the_key_is_looked_up_before_the_format(client: Client) -> None:
    client.enroll()
    enroll_pfx(client)
    for number, form, code, message in (
        (1, "STORE", "0xA0110002", "No private key could be found for the given certificate."),
        (1, "PEM", "0xA0110002", "No private key could be found for the given certificate."),
        (2, "STORE", "0xA0110008", "The format 'STORE' is invalid."),
    ):
        body = {"CertId": number, "Password": PASSWORD}
        answer = client.send("POST", "/Certificates/Recover", body, form=form)
        assert (answer.status_code, answer.json()) == (400, {"ErrorCode": code, "Message": message})
        assert "x-certificatefile" not in answer.headers


def test_no_page_has_a_key_or_a_password(client: Client, mock: MockServer) -> None:
    enroll_pfx(client, Password="never shown")
    client.enroll(PrivateKey="never shown")
    pages = [client.control(path).text for path in ("/world", "/requests")]
    pages += [json.dumps(client.listed("includeHasPrivateKey=true"))]
    pages += [repr(vars(each)) for each in mock.requests]
    for page in pages:
        assert "never shown" not in page
        assert "PRIVATE KEY" not in page


def test_ten_thousand_keys_are_kept() -> None:
    with MockServer() as mock:
        state = mock._states.get()  # noqa: SLF001  # nobody makes so many by HTTP
        for number in range(10_001):
            state.keep_key(number, object())
    assert len(state.private_keys) == 10_000
    assert 0 not in state.private_keys


# Who may enrol, and what is refused

OPERATOR = ("operator", "operator-password")


def pattern_with(**changes: object) -> Json:
    pattern = {
        "Id": 1,
        "Name": "Web Server",
        "Template": {"Id": 1},
        "TemplateDefault": True,
        "AssociatedRoles": [{"Id": 1, "Name": "Administrator"}],
        "AllowedEnrollmentTypes": 3,
    }
    return {"resources": {"/EnrollmentPatterns": [{**pattern, **changes}]}}


def template_with(**changes: object) -> Json:
    template = {"Id": 1, "CommonName": "WebServer", "AllowedEnrollmentTypes": 3}
    rows = {"/Templates": [{**template, **changes}], "/EnrollmentPatterns": []}
    return {"resources": rows}


@pytest.mark.parametrize(
    ("world", "what"),
    [
        ({}, "pattern 'Web Server'"),
        (pattern_with(AssociatedRoles=[]), "pattern 'Web Server'"),
        (pattern_with(UseADPermissions=True), None),
        (pattern_with(AssociatedRoles=[{"Name": "Mail operator"}]), None),
        (template_with(), None),
        (template_with(UseAllowedRequesters=True), "template 'WebServer'"),
        (template_with(UseAllowedRequesters=True, AllowedRequesters=["Mail operator"]), None),
    ],
    ids=str,
)
def test_patterns_and_templates_decide_who_may_enrol(
    client: Client, mock: MockServer, world: Json, what: str | None
) -> None:
    roles = {"Mail operator": ["/certificates/enrollment/csr/"]}
    mock.patch_world({**world, "roles": roles})
    body = {"CSR": request_for(), "Template": "webserver"}
    answer = client.send("POST", "/Enrollment/CSR", body, auth=OPERATOR)
    permission = mock.requests[-1].permission
    assert permission is not None
    if what is None:
        assert (answer.status_code, permission.granted) == (200, True), answer.text
    else:
        user = "User KEYEXAMPLE\\operator does not have the required permissions"
        assert refusal(answer) == (403, f"{user}: a role of the {what}.")
        assert answer.json()["ErrorCode"] == "0xA0140002"
        assert not permission.granted


def test_an_oauth_client_enrols_by_its_roles(client: Client, mock: MockServer) -> None:
    form = {"grant_type": "client_credentials"}
    basic = ("api-client", "api-client-secret")
    token = httpx2.post(mock.token_url, data=form, auth=basic).json()["access_token"]
    headers = {
        "authorization": f"Bearer {token}",
        "x-keyfactor-requested-with": "APIClient",
        "x-certificateformat": "PEM",
    }
    body = {"CSR": request_for(), "Template": "WebServer"}
    answer = httpx2.post(f"{mock.api_url}/Enrollment/CSR", json=body, headers=headers)
    assert answer.status_code == 200
    assert client.shown(1)["RequesterName"] == "api-client"


def test_faults_of_templates_go_by_name(client: Client) -> None:
    refusals = {
        "denied": "The certificate request was denied by the certificate authority.",
        "ca-down": "The certificate authority could not be contacted: ",
    }
    for template, text in refusals.items():
        body = {"CSR": request_for(), "Template": template}
        answer = client.send("POST", "/Enrollment/CSR", body)
        status, message = refusal(answer)
        assert (status, message[: len(text)]) == (400, text)
        assert answer.json()["ErrorCode"] == "0xA011000F"
    pending = client.enroll(Template="pending")
    assert (pending["RequestDisposition"], pending["Certificates"]) == ("PENDING", None)
    assert pending["KeyfactorID"] == 0
    made = enroll_pfx(client, Template="pending")["CertificateInformation"]
    assert (made["RequestDisposition"], made["Pkcs12Blob"]) == ("PENDING", None)
    assert client.listed() == []
    began = dt.datetime.now(dt.UTC)
    client.enroll(Template="slow")
    assert (dt.datetime.now(dt.UTC) - began).total_seconds() >= 1.9


def test_a_pattern_chooses_template_and_authority(client: Client, mock: MockServer) -> None:
    other = {"Id": 2, "LogicalName": "Other CA", "HostName": "ca02", "UseForEnrollment": True}
    first = {"Id": 1, "LogicalName": "First CA", "HostName": "ca01", "UseForEnrollment": True}
    world = pattern_with(
        CertificateAuthorities=[{"Id": 2}],
        RestrictCAs=True,
        Template={"Id": 9, "CommonName": "Own", "AllowedEnrollmentTypes": 2},
    )
    world["resources"]["/CertificateAuthority"] = [first, other]
    mock.patch_world(world)
    body: Json = {"CSR": request_for(), "EnrollmentPatternId": 1}
    client.post("/Enrollment/CSR", body)
    row = client.shown(1)
    assert (row["TemplateName"], row["CertificateAuthorityName"]) == ("Own", "ca02\\Other CA")
    body["CertificateAuthority"] = "CA01\\first ca"
    _, message = refusal(client.send("POST", "/Enrollment/CSR", body))
    assert message == "CertificateAuthority: the pattern does not allow 'CA01\\first ca'."
    assert client.post("/Enrollment/CSR", {**body, "CertificateAuthority": "other CA"})


SMALL = rsa.generate_private_key(65537, 1024)
RSA = rsa.generate_private_key(65537, 2048)
BROKEN = base64.b64decode("".join(request_for(key=RSA).splitlines()[1:-1]))
DSA = base64.b64decode("".join(request_for(key=dsa.generate_private_key(2048)).splitlines()[1:-1]))


def der(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


BAD_REQUESTS: dict[str, tuple[Json, str]] = {
    "no CSR": ({"CSR": None}, "CSR: must be a string."),
    "empty": ({"CSR": ""}, "CSR: must have 1 or more characters."),
    "no request": ({"CSR": "hello"}, "CSR: must be a PKCS #10 request, as PEM or base64."),
    "no PEM": ({"CSR": "-----BEGIN X"}, "CSR: must be a PKCS #10 request, as PEM or base64."),
    "no base64": ({"CSR": "ä" * 9}, "CSR: must be a PKCS #10 request, as PEM or base64."),
    "half": ({"CSR": der(BROKEN[:200])}, "CSR: must be a PKCS #10 request, as PEM or base64."),
    "signature": (
        {"CSR": der(BROKEN[:-3] + bytes([BROKEN[-3] ^ 1]) + BROKEN[-2:])},
        "CSR: its signature is not that of its key, or made with MD5 or SHA-1.",
    ),
    "DSA": (
        {"CSR": der(DSA)},
        "CSR: its key is none of RSA, P-256, P-384, P-521, Ed25519 and Ed448.",
    ),
    "curve": (
        {"CSR": request_for(key=ec.generate_private_key(ec.SECP256K1()))},
        "CSR: its key is none of RSA, P-256, P-384, P-521, Ed25519 and Ed448.",
    ),
    "small": ({"CSR": request_for(key=SMALL)}, "The key RSA 1024 is not allowed by the template"),
    "other": (
        {"CSR": request_for(key=ec.generate_private_key(ec.SECP521R1()))},
        "The key ECC secp521r1 is not allowed by the template 'WebServer': RSA 2048, RSA 3072",
    ),
    "no name": ({"CSR": request_for("")}, "The subject has no name, and there are no SANs."),
    "no template": ({"Template": ""}, "Template: required where there is no EnrollmentPatternId."),
    "template": ({"Template": "Nobody"}, "Template: there is no template 'Nobody'."),
    "pattern": ({"EnrollmentPatternId": 9}, "Unable to find 'Enrollment Pattern' with Id '9'"),
    "authority": (
        {"CertificateAuthority": "ca99\\Nobody"},
        "CertificateAuthority: there is no authority 'ca99\\Nobody'.",
    ),
    "metadata": ({"Metadata": {"Ownr": "x"}}, "Metadata: there is no metadata field 'Ownr'."),
    "SAN type": ({"SANs": {"upn": ["a"]}}, "SANs: upn is none of dns, uri, rfc822, ip, ip4, ip6."),
    "address": ({"SANs": {"IP4": ["256.1.1.1"]}}, "SANs/IP4: '256.1.1.1' is no such name."),
    "zone": ({"SANs": {"ip6": ["fe80::1%eth0"]}}, "SANs/ip6: 'fe80::1%eth0' is no such name."),
    "network": ({"SANs": {"ip": ["10.0.0.0/8"]}}, "SANs/ip: '10.0.0.0/8' is no such name."),
    "host": ({"SANs": {"dns": ["a b"]}}, "SANs/dns: 'a b' is no such name."),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_refused_by_name(client: Client, name: str) -> None:
    changes, wanted = BAD_REQUESTS[name]
    body = {"CSR": request_for(), "Template": "WebServer", **changes}
    answer = client.send("POST", "/Enrollment/CSR", body)
    status, message = refusal(answer)
    assert message.startswith(wanted)
    assert status == (404 if name == "pattern" else 400)
    assert client.listed() == []


def test_names_of_the_body_go_before_those_of_the_request(client: Client) -> None:
    names = {
        "DNS": ["a.keyexample.com ", "*.keyexample.com"],
        "uri": ["spiffe://keyexample.com/web"],
        "ip6": ["2001:db8::1"],
        "rfc822": ["jsmith@keyexample.com"],
        "ip4": None,
    }
    csr = request_for("", extensions=(dns("other.keyexample.com"),))
    number = client.enroll(csr, SANs=names)["KeyfactorID"]
    row = client.shown(number)
    assert [(each["Type"], each["Value"]) for each in row["SubjectAltNameElements"]] == [
        (7, "2001:db8::1"), (2, "a.keyexample.com"), (2, "*.keyexample.com"),
        (6, "spiffe://keyexample.com/web"), (1, "jsmith@keyexample.com"),
    ]  # fmt: skip
    assert (row["IssuedCN"], row["IssuedDN"]) == ("", "")
    leaf, *_ = certificates(client.enroll(csr, SANs={}))
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert found.value == dns("other.keyexample.com")
    assert found.critical  # RFC 5280, 4.2.1.6


BAD_PFX: list[tuple[Json, str]] = [
    ({"Subject": "nobody"}, "Subject: must be a name such as CN="),
    ({"Subject": "C=USA"}, "Subject: must be a name such as CN="),
    ({"Subject": None}, "The subject has no name"),
    ({"KeyType": "DSA"}, "KeyType: must be one of RSA, ECC, Ed448, Ed25519."),
    ({"KeyLength": 2047}, "KeyLength: must be one of 1024, 2048, 3072, 4096, 8192."),
    ({"KeyLength": 8192}, "The key RSA 8192 is not allowed by the template 'WebServer'"),
    ({"KeyType": "ECC", "Curve": "1.2.3"}, "Curve: must be one of 1.2.840.10045.3.1.7, "),
    ({"Password": ""}, "Password: must have 1 or more characters."),
]


@pytest.mark.parametrize(("changes", "wanted"), BAD_PFX, ids=str)
def test_a_bad_pfx_enrolment_is_refused_by_name(client: Client, changes: Json, wanted: str) -> None:
    body = {"Subject": "CN=a", "Password": PASSWORD, "Template": "WebServer", **changes}
    _, message = refusal(client.send("POST", "/Enrollment/PFX", body, form="PFX"))
    assert message.startswith(wanted)


def test_a_way_to_enrol_must_be_allowed(client: Client, mock: MockServer) -> None:
    body: Json = {"Subject": "CN=a", "Password": PASSWORD, "CSR": request_for()}
    mock.patch_world(pattern_with(AllowedEnrollmentTypes=1))
    asked = {**body, "EnrollmentPatternId": 1}
    _, message = refusal(client.send("POST", "/Enrollment/CSR", asked))
    assert message == "CSR enrollment is not allowed by 'Web Server'."
    mock.patch_world(template_with(AllowedEnrollmentTypes=2, KeySize="2048"))
    asked = {**body, "Template": "WebServer"}
    _, message = refusal(client.send("POST", "/Enrollment/PFX", asked, form="PFX"))
    assert message == "PFX enrollment is not allowed by 'WebServer'."
    assert client.post("/Enrollment/CSR", asked)  # and without KeyTypes any key will do


BAD_CALLS: list[tuple[str, str, Json, str | None, tuple[int, str, str]]] = [
    ("POST", "/Enrollment/CSR", {"CSR": "x"}, None, (400, "0xA0110007", "x-certificateformat")),
    ("POST", "/Certificates/Download", {"CertID": 1}, "JKS",
     (400, "0xA0110008", "The format 'JKS' is invalid.")),
    ("POST", "/Certificates/Download", {"CertID": 7}, "PEM",
     (404, "0xA0110002", "Unable to find 'Certificate' with Id '7'")),
    ("POST", "/Certificates/Download", {"Thumbprint": "AB"}, "PEM",
     (404, "0xA0110002", "Unable to find 'Certificate' with Id 'AB'")),
    ("POST", "/Certificates/Download", {"CertID": 0}, "PEM", (400, "0xA011000F", "CertID, ")),
    ("POST", "/Certificates/Revoke", {"CertificateIds": [1, 7]}, None,
     (404, "0xA0110002", "Unable to find 'Certificate' with Id '7'")),
    ("POST", "/Certificates/Revoke", {"CertificateIds": [1], "Reason": 8}, None,
     (400, "0xA011000F", "Reason: ")),
    ("POST", "/Certificates/Revoke", {"CertificateIds": [1], "EffectiveDate": "now"}, None,
     (400, "0xA011000F", "EffectiveDate: must be a date and time")),
    ("POST", "/Certificates/Revoke",
     {"CertificateIds": [1], "EffectiveDate": "0001-01-01T00:00:00+14:00"}, None,
     (400, "0xA011000F", "EffectiveDate: must be a date and time")),
    ("PUT", "/Certificates/Metadata", {"Id": 7, "Metadata": {}}, None,
     (404, "0xA0110002", "Unable to find 'Certificate' with Id '7'")),
    ("PUT", "/Certificates/Metadata", {"Id": 1, "Metadata": {"x": "y"}}, None,
     (400, "0xA011000F", "Metadata: there is no metadata field 'x'.")),
]  # fmt: skip


@pytest.mark.parametrize("call", BAD_CALLS, ids=str)
def test_a_bad_call_is_refused_by_name(
    client: Client, call: tuple[str, str, Json, str | None, tuple[int, str, str]]
) -> None:
    method, path, body, form, (status, code, text) = call
    client.enroll()
    before = client.listed()
    answer = client.send(method, path, body, form=form)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (status, code)
    assert answer.json()["Message"].startswith(text)
    assert client.listed() == before


# The first commands of real clients, as they send them


def test_what_the_cert_manager_issuer_sends_is_answered(client: Client) -> None:
    fields = client.send("GET", "/MetadataFields", form=None).json()
    assert all(each["Name"] for each in fields)
    query = '/EnrollmentPatterns?QueryString=Name -eq "Web Server"'
    (pattern,) = client.send("GET", query, form=None).json()
    csr = json.dumps(request_for())
    body = (
        f'{{"CSR":{csr},"CertificateAuthority":"Key Example Issuing CA","IncludeChain":true,'
        f'"Metadata":{{}},"SANs":{{}},"Timestamp":"2026-01-15T08:30:00Z",'
        f'"Template":"","EnrollmentPatternId":{pattern["Id"]}}}'
    )
    information = client.post("/Enrollment/CSR", body)["CertificateInformation"]
    assert len(certificates(information)) == 3


def test_what_the_vault_engine_sends_is_answered(caller: Caller) -> None:
    """It names no version, has a time without a zone, and cuts what stands before BEGIN."""
    sent = {
        "CSR": request_for(),
        "CertificateAuthority": AUTHORITY,
        "IncludeChain": True,
        "Metadata": {},
        "Timestamp": "2026-01-15T08:30:00",
        "Template": "WebServer",
        "SANs": {"DNS": ["web01.keyexample.com"]},
    }
    body = json.dumps(sent)
    headers = {
        "x-keyfactor-requested-with": "APIClient",
        "content-type": "application/json",
        "x-certificateformat": "PEM",
    }
    answer = caller.http.post(
        f"{API}/Enrollment/CSR", content=body.encode(), auth=ADMIN, headers=headers
    )
    information = answer.json()["CertificateInformation"]
    pems = [text[text.index("-----BEGIN") :] for text in information["Certificates"]]
    assert len([x509.load_pem_x509_certificate(pem.encode()) for pem in pems]) == 3
    assert isinstance(information["KeyfactorID"], int)
    query = f'pq.queryString=CA -eq "{AUTHORITY} "&ReturnLimit=1'
    client = Client(caller)
    (row,) = client.listed(query)
    wanted = {"CertID": row["Id"], "IncludeChain": True, "ChainOrder": "EndEntityFirst"}
    content = client.post("/Certificates/Download", wanted, form="P7B")["Content"]
    found = from_p7b(base64.b64decode(content))
    assert found[1].subject.rfc4514_string() == "CN=Key Example Issuing CA"


def test_what_go_client_sends_is_answered(client: Client) -> None:
    """Template, Approved and the like, which no specification has, are ignored or taken."""
    csr = client.post(
        "/Enrollment/CSR",
        {
            "CSR": request_for().replace("\n", "\r\n"),
            "CertificateAuthority": AUTHORITY,
            "IncludeChain": True,
            "Metadata": None,
            "AdditionalEnrollmentFields": None,
            "Timestamp": "2026-01-15T08:30:00Z",
            "Template": "WebServer",
            "SANs": {"ip4": ["192.0.2.7"], "dns": ["web01.keyexample.com"]},
        },
    )["CertificateInformation"]
    number = csr["KeyfactorID"]
    flags = "includeLocations=true&includeMetadata=true&collectionId=0&includeHasPrivateKey=true"
    assert client.shown(number, flags)["HasPrivateKey"] is False
    recover = {"CertId": number, "Password": PASSWORD, "IncludeChain": True}
    assert client.send("POST", "/Certificates/Recover", recover, form="STORE").status_code == 400
    made = enroll_pfx(client, EnrollmentPatternId=None, RenewalCertificateId=None, Stores=None)
    recover["CertId"] = made["CertificateInformation"]["KeyfactorId"]
    assert client.post("/Certificates/Recover", recover, form="PFX")["PFX"]
    revoke = {
        "CertificateIds": [number],
        "Reason": 5,
        "Comment": "Destroyed",
        "EffectiveDate": "2026-01-15T08:30:00Z",
        "CollectionId": 0,
    }
    assert client.post("/Certificates/Revoke", revoke, form=None) == {
        "RevokedIds": [number],
        "SuspendedCerts": [],
    }


def test_what_terraform_sends_for_a_certificate_is_answered(client: Client) -> None:
    patterns = client.send("GET", "/EnrollmentPatterns?ReturnLimit=500", form=None).json()
    made = enroll_pfx(client, EnrollmentPatternId=patterns[0]["Id"], Template="")
    assert made["CertificateInformation"]["KeyfactorId"] == 1
    number = enroll_pfx(client)["CertificateInformation"]["KeyfactorId"]
    flags = "includeLocations=true&includeMetadata=true&includeHasPrivateKey=true&collectionId=0"
    row = client.shown(number, flags)
    for query in (f'Thumbprint -eq "{row["Thumbprint"]}"', f"CertId -eq {number}"):
        (found,) = client.listed(f"pq.queryString={query}&{flags}")
        assert found["Id"] == number
    assert len(client.listed(f'pq.queryString=IssuedCN -eq "{row["IssuedCN"]}"')) == 2
    assert client.send("GET", "/MetadataFields", form=None).status_code == 200
    body: Json = {"Id": number, "Metadata": {"Owner": "Web team"}, "CollectionId": 0}
    sent = client.send("PUT", "/Certificates/Metadata", body, form=None)
    assert sent.status_code == 204
    wanted = {"CertID": number, "IncludeChain": True, "ChainOrder": "endentityfirst"}
    content = client.post("/Certificates/Download", wanted, form="P7B")["Content"]
    leaf, *above = from_p7b(base64.b64decode(content))
    recovered = client.post(
        "/Certificates/Recover", {**wanted, "Password": PASSWORD, "FriendlyName": "web"}, form="PFX"
    )
    opened = pkcs12.load_pkcs12(base64.b64decode(recovered["PFX"]), PASSWORD.encode())
    assert opened.cert is not None
    assert opened.cert.certificate == leaf
    assert {each.certificate for each in opened.additional_certs} == {*above}
    pattern = client.send("GET", f"/EnrollmentPatterns/{patterns[0]['Id']}", form=None)
    assert pattern.json() == patterns[0]

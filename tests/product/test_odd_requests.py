"""Odd requests for certificates: each is issued as it is asked for, or refused by name."""

import base64
import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from enrolling import KEY, Client, certificates, enroll_pfx, from_p7b, request_for
from mockserver import MockServer
from support import Caller, Json, refusal

CN = x509.NameOID.COMMON_NAME
RSA = rsa.generate_private_key(65537, 2048)
NONE = "CSR: must be a PKCS #10 request, as PEM or base64."
LONG = "CSR: its CN or C has a length that RFC 5280 does not allow."
ODD_NAME = "CSR: a name of its subjectAltName is no such name."


@pytest.fixture
def client(caller: Caller) -> Client:
    return Client(caller)


# DER by hand, since no library writes what is wrong


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, *([length] if length < 128 else [0x80 | len(octets), *octets])]) + content


def named(value: bytes, tag: int = 0x0C, oid: str = "550403") -> bytes:
    """Return a subject with one attribute, by default a CN in UTF-8."""
    return tlv(0x30, tlv(0x31, tlv(0x30, tlv(0x06, bytes.fromhex(oid)), tlv(tag, value))))


def with_names(*names: bytes) -> bytes:
    return tlv(0x30, tlv(0x06, bytes.fromhex("551d11")), tlv(0x04, tlv(0x30, *names)))


def other(oid: str, value: bytes) -> bytes:
    return tlv(0x30, tlv(0x06, bytes.fromhex(oid)), tlv(0x04, value))


def der(subject: bytes = b"\x30\x00", *extensions: bytes, version: int = 0) -> bytes:
    """Return a request, signed, for a subject and with extensions as they are given."""
    content = to_sign(KEY.public_key(), subject, *extensions, version=version)
    return signed(content, "2a8648ce3d040302", KEY.sign(content, ec.ECDSA(hashes.SHA256())))


def to_sign(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    subject: bytes,
    *extensions: bytes,
    version: int = 0,
) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    octets = key.public_bytes(serialization.Encoding.DER, form)
    oid = tlv(0x06, bytes.fromhex("2a864886f70d01090e"))
    attribute = tlv(0x30, oid, tlv(0x31, tlv(0x30, *extensions))) if extensions else b""
    return tlv(0x30, tlv(0x02, bytes([version])), subject, octets, tlv(0xA0, attribute))


def signed(content: bytes, oid: str, signature: bytes) -> bytes:
    algorithm = tlv(0x30, tlv(0x06, bytes.fromhex(oid)))
    return tlv(0x30, content, algorithm, tlv(0x03, b"\0", signature))


def by_sha_1() -> bytes:
    content = to_sign(RSA.public_key(), named(b"a.test"))
    signature = RSA.sign(content, padding.PKCS1v15(), hashes.SHA1())  # as once
    return signed(content, "2a864886f70d010105", signature)


def by_pss() -> str:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(CN, "a.test")]))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    request = builder.sign(RSA, hashes.SHA256(), rsa_padding=pss)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def in_pkcs7(csr: bytes) -> bytes:
    """Return a request as Windows writes a renewal, here with no signer."""
    signed, data = (tlv(0x06, bytes.fromhex(f"2a864886f70d01070{n}")) for n in (2, 1))
    content = tlv(0x30, data, tlv(0xA0, tlv(0x04, csr)))
    return tlv(0x30, signed, tlv(0xA0, tlv(0x30, b"\2\1\1\x31\0", content, b"\x31\0")))


A = named(b"a.test")
PEM = request_for("a.test")
B64 = base64.b64encode(der(A)).decode()
NAME = tlv(0x82, b"x.test")

REFUSED: dict[str, tuple[bytes | str, str]] = {
    "no names": (der(b"\x30\x00", with_names()), "The subject has no name, and there are no SANs."),
    "no SAN": (der(A, other("551d11", b"xx")), NONE),
    "empty DNS name": (der(A, with_names(tlv(0x82, b""))), ODD_NAME),
    "NUL in a DNS name": (der(A, with_names(tlv(0x82, b"a.test\0.b.test"))), ODD_NAME),
    "line in a DNS name": (der(A, with_names(tlv(0x82, b"a\r\nb"))), ODD_NAME),
    "letters of no host": (der(A, with_names(tlv(0x82, "ä.test".encode()))), ODD_NAME),
    "address without a domain": (der(A, with_names(tlv(0x81, "ä@x.test".encode()))), ODD_NAME),
    "blank in a URI": (der(A, with_names(tlv(0x86, b"urn: x"))), ODD_NAME),
    "a network": (der(A, with_names(tlv(0x87, bytes([10, 0, 0, 0, 255, 0, 0, 0])))),
                  "CSR: its subjectAltName has a network, not an address."),
    "five octets": (der(A, with_names(tlv(0x87, b"12345"))), NONE),
    "X.400 name": (der(A, with_names(tlv(0xA3, b""))), NONE),
    "two SANs": (der(A, with_names(NAME), with_names(NAME)), NONE),
    "bad key usage": (der(A, other("551d0f", b"xx")), NONE),
    "version 2": (der(A, version=1), NONE),
    "long CN": (der(named(b"a" * 5_000)), LONG),
    "empty CN": (der(named(b"")), LONG),
    "country of three": (der(named(b"USA", 0x13, "550406")), LONG),
    "no UTF-8": (der(named(b"\xff")), NONE),
    "half a surrogate": (der(named(b"\xd8\x00", 0x1E)), NONE),
    "CN that is a number": (der(named(b"\5", 0x02)), NONE),
    "empty RDN": (der(tlv(0x30, tlv(0x31))), NONE),
    "more after it": (der(A) + b"\0\0", NONE),
    "nesting": (bytes.fromhex("3080") * 20_000, NONE),
    "SHA-1": (
        by_sha_1(),
        "CSR: its signature is not that of its key, or made with MD5 or SHA-1.",
    ),
    "label of a certificate": (PEM.replace("CERTIFICATE REQUEST", "CERTIFICATE"), NONE),
    "backslash n": (PEM.replace("\n", "\\n"), NONE),
    "base64 of PEM": (base64.b64encode(PEM.encode()).decode(), NONE),
    "blanks": ("   ", NONE),
    "PKCS #7": (in_pkcs7(der(A)), NONE),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_request_is_refused_by_name(client: Client, name: str) -> None:
    csr, wanted = REFUSED[name]
    text = csr if isinstance(csr, str) else base64.b64encode(csr).decode()
    body = {"CSR": text, "Template": "WebServer"}
    answer = client.send("POST", "/Enrollment/CSR", body)
    assert refusal(answer) == (400, wanted)
    assert answer.json()["ErrorCode"] == "0xA011000F"


@pytest.mark.parametrize("name", ["long CN", "empty CN", "country of three"])
def test_a_bad_length_is_refused_without_a_warning(name: str) -> None:
    """Here a warning is an error; elsewhere, whoever asks would write into the log of a mock."""
    csr, _ = REFUSED[name]
    assert isinstance(csr, bytes)
    code = (
        "import sys; from mockserver.product import subjects\n"
        "try: subjects.read_csr(sys.argv[1])\n"
        "except subjects.Problem as refused: print(refused.message)"
    )
    command = [sys.executable, "-c", code, base64.b64encode(csr).decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{LONG}\n", "")


def test_a_name_of_a_bad_length_gives_no_warning_whoever_sets_filters(
    mock: MockServer, client: Client
) -> None:
    """As pytest does around each test. A world may have a certificate with such a name."""
    csr, _ = REFUSED["long CN"]
    assert isinstance(csr, bytes)
    for _ in range(2):  # the first may import what sets a filter
        caught = warned(mock, client, csr)
        assert {each.filename for each in caught} == {__file__}


def warned(mock: MockServer, client: Client, csr: bytes) -> list[warnings.WarningMessage]:
    """Send the request and download a certificate of the world; return all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x" * 70, _validate=False)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now)
        octets = builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        row = {"Id": 9, "ContentBytes": base64.b64encode(octets).decode()}
        mock.patch_world({"resources": {"/Certificates": [row]}})
        body = {"CSR": base64.b64encode(csr).decode(), "Template": "WebServer"}
        assert refusal(client.send("POST", "/Enrollment/CSR", body)) == (400, LONG)
        assert client.send("POST", "/Certificates/Download", {"CertID": 9}).status_code == 200
    return caught


ISSUED: dict[str, tuple[bytes | str, Json]] = {
    "no subject": (der(b"\x30\x00", with_names(NAME)), {"IssuedDN": "", "IssuedCN": ""}),
    "empty SAN": (der(A, with_names()), {"SubjectAltNameElements": []}),
    "no extensions": (der(A), {"SubjectAltNameElements": []}),
    "extensions that are none": (der(A, b""), {"SubjectAltNameElements": []}),
    "other names": (
        der(
            A,
            with_names(
                tlv(0xA4, named(b"d.test")),
                tlv(0x88, b"\x2a\x03"),
                tlv(0xA0, tlv(0x06, b"\x2a\x03"), tlv(0xA0, b"\x0c\1a")),
            ),
        ),
        {"SubjectAltNameElements": [(4, "CN=d.test"), (8, "1.2.3"), (0, "0C0161")]},
    ),
    "unknown extension": (der(A, other("2a0304", b"\5\0")), {"IssuedCN": "a.test"}),
    "BMP string": (der(named("ä".encode("utf-16-be"), 0x1E)), {"IssuedDN": "CN=ä"}),
    "numbers only": (der(named(b"12", 0x12)), {"IssuedCN": "12"}),
    "NUL in the CN": (der(named(b"a\0b")), {"IssuedDN": "CN=a\\00b"}),
    "lines in the CN": (der(named(b"a\r\n-----END CERTIFICATE-----\n")), {"IssuedOU": None}),
    "unknown attribute": (der(named(b"z", 0x0C, "2a0304")), {"IssuedDN": "1.2.3.4=z"}),
    "address": (
        der(named(b"a@x.test", 0x16, "2a864886f70d010901")),
        {"IssuedDN": "E=a@x.test", "IssuedEmail": None},
    ),
    "RSA-PSS": (by_pss(), {"KeyTypeString": "RSA"}),
    "text around it": (f"Data:\n    Version: 1\n{PEM}\nthe end\n", {"IssuedCN": "a.test"}),
    "two of them": (PEM + request_for("b.test"), {"IssuedCN": "a.test"}),
    "NEW in its label": (PEM.replace("CERTIFICATE R", "NEW CERTIFICATE R"), {"IssuedOU": "Web"}),
    "in one line": (PEM.replace("\n", " "), {"IssuedOU": "Web"}),
    "indented": (PEM.replace("\n", "\r\n  "), {"IssuedOU": "Web"}),
    "byte order mark": ("\ufeff" + PEM, {"IssuedOU": "Web"}),
    "base64 alone": (B64, {"IssuedDN": "CN=a.test"}),
    "base64 in lines": ("\r\n".join([B64[:64], B64[64:], ""]), {"IssuedDN": "CN=a.test"}),
}


@pytest.mark.parametrize("name", ISSUED)
def test_an_odd_request_is_issued_as_it_is(client: Client, name: str, tmp_path: Path) -> None:
    csr, wanted = ISSUED[name]
    text = csr if isinstance(csr, str) else base64.b64encode(csr).decode()
    information = client.enroll(text)
    row = client.shown(information["KeyfactorID"])
    names = [(each["Type"], each["Value"]) for each in row["SubjectAltNameElements"]]
    found = {**row, "SubjectAltNameElements": names}
    assert {member: found[member] for member in wanted} == wanted
    chain = certificates(information)
    assert [pem.count("-----BEGIN") for pem in information["Certificates"]] == [1, 1, 1]
    for place, each in enumerate(chain):
        path = tmp_path / f"{place}.pem"
        path.write_bytes(each.public_bytes(serialization.Encoding.PEM))
    command = ["openssl", "verify", "-CAfile", "2.pem", "-untrusted", "1.pem", "0.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "0.pem: OK\n"
    for form in ("PEM", "DER", "P7B"):
        asked = {"CertID": row["Id"], "IncludeChain": True, "IncludeSubjectHeader": True}
        content = client.post("/Certificates/Download", asked, form=form)["Content"]
        octets = base64.b64decode(content)
        if form == "PEM":
            assert x509.load_pem_x509_certificates(octets) == chain
        elif form == "P7B":
            assert from_p7b(octets) == chain
        else:
            assert x509.load_der_x509_certificate(octets) == chain[0]


def test_twenty_thousand_names_are_all_in_the_certificate(client: Client) -> None:
    names = [tlv(0x82, f"h{n}.test".encode()) for n in range(20_000)]
    leaf, *_ = certificates(client.enroll(base64.b64encode(der(A, with_names(*names))).decode()))
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len([*found]) == 20_000
    assert len(client.shown(1)["SubjectAltNameElements"]) == 20_000


def test_a_key_that_came_with_a_request_is_in_no_page(client: Client, mock: MockServer) -> None:
    """Some tools write key and request into one file, and some clients send all of it."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key = KEY.private_bytes(encoding, form, serialization.NoEncryption()).decode()
    client.enroll(key + PEM)
    refusal(client.send("POST", "/Enrollment/CSR", {"CSR": key, "Template": "WebServer"}))
    refusal(client.send("POST", "/Certificates/Download", {"FileExtension": key}))
    pages = [client.control(path).text for path in ("/world", "/requests")]
    pages += [repr(vars(each)) for each in mock.requests]
    for page in pages:
        assert "PRIVATE KEY" not in page
        assert key.splitlines()[1][:40] not in page


# Revocation lists


@pytest.mark.parametrize(
    ("date", "seen"),
    [
        ("0001-01-01T00:00:00", 1950),  # what C# has where nothing was set
        ("1949-12-31", 1950),
        ("2026-01-15T08:30:00.1234567Z", 2026),
        ("9999-12-31T23:59:59Z", 9999),
    ],
)
def test_a_list_has_each_date_that_a_revocation_may_have(
    client: Client, tmp_path: Path, date: str, seen: int
) -> None:
    client.enroll()
    for _ in range(2):  # who revokes twice has the same answer
        revoked = {"CertificateIds": [1], "Reason": 4, "EffectiveDate": date}
        assert client.post("/Certificates/Revoke", revoked, form=None)["RevokedIds"] == [1]
    answer = client.control("/certificates/crl")
    (entry,) = x509.load_der_x509_crl(answer.content)
    assert entry.revocation_date_utc.year == seen
    path = tmp_path / "ca.crl"
    path.write_bytes(answer.content)
    command = ["openssl", "crl", "-inform", "DER", "-in", str(path), "-noout", "-text"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{entry.serial_number:X}" in printed
    assert "Superseded" in printed


def test_a_list_has_nothing_of_a_world_that_it_cannot_have(
    client: Client, mock: MockServer
) -> None:
    number = client.enroll()["KeyfactorID"]
    client.post("/Certificates/Revoke", {"CertificateIds": [number]}, form=None)
    row = client.control("/world").json()["resources"]["/Certificates"][0]
    odd: list[Json] = [
        {"SerialNumber": "x"},
        {"RevocationEffDate": "soon"},
        {"RevocationEffDate": None},
    ]
    rows = [row, *({**row, "Id": 2 + n, **changes} for n, changes in enumerate(odd))]
    mock.patch_world({"resources": {"/Certificates": rows}})
    (entry,) = x509.load_der_x509_crl(client.control("/certificates/crl").content)
    assert f"{entry.serial_number:040X}" == row["SerialNumber"]


# Keys and chains under a password


@pytest.mark.parametrize("password", ["x", " ", "ä😀", "\n", '"\\', "p" * 1_000], ids=ascii)
def test_openssl_reads_what_any_password_protects(
    client: Client, tmp_path: Path, password: str
) -> None:
    made = enroll_pfx(client, Password=password, CustomFriendlyName="ä\nb")
    blob = base64.b64decode(made["CertificateInformation"]["Pkcs12Blob"])
    path = tmp_path / "web.pfx"
    path.write_bytes(blob)
    command = ["openssl", "pkcs12", "-in", str(path), "-passin", "env:PASSWORD", "-nodes"]
    environment = {**os.environ, "PASSWORD": password}
    printed = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    assert len(x509.load_pem_x509_certificates(printed)) == 3
    opened = pkcs12.load_pkcs12(blob, password.encode())
    assert opened.cert is not None
    assert opened.cert.friendly_name == "ä\nb".encode()
    asked = {"CertID": 1, "Password": password}
    pem = base64.b64decode(client.post("/Certificates/Recover", asked)["PFX"])
    key = serialization.load_pem_private_key(pem, password.encode())
    assert key.public_key() == opened.cert.certificate.public_key()

"""Help tests of certificates: requests, and a client that enrols."""

import warnings
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from support import ADMIN, Caller, Json

API = "/KeyfactorAPI"
KEY = ec.generate_private_key(ec.SECP256R1())
PASSWORD = "MySuperSecretPassword"
AUTHORITY = "ca01.keyexample.com\\Key Example Issuing CA"


def request_for(
    name: str = "web01.keyexample.com",
    key: Any = KEY,  # noqa: ANN401  # any private key
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> str:
    """Return a request as PEM, for a subject that is no name if the name is empty."""
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Web"),
        x509.NameAttribute(NameOID.COMMON_NAME, name or "-"),
    ]
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes if name else []))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    is_edwards = isinstance(key, ed448.Ed448PrivateKey | ed25519.Ed25519PrivateKey)
    signed = builder.sign(key, None if is_edwards else hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def dns(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


class Client:
    """Call the certificates of one mock as a client would."""

    def __init__(self, caller: Caller) -> None:
        self._http, self.control_url = caller.http, caller.mock.control_url

    def send(  # noqa: PLR0913  # a request has these
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        form: str | None = "PEM",
        version: str = "1",
        auth: tuple[str, str] = ADMIN,
    ) -> httpx2.Response:
        headers = {"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": version}
        if form is not None:
            headers["x-certificateformat"] = form
        if isinstance(body, str):
            headers["content-type"] = "application/json"
            return self._http.request(
                method, API + path, content=body.encode(), auth=auth, headers=headers
            )
        return self._http.request(method, API + path, json=body, auth=auth, headers=headers)

    def post(self, path: str, body: object, **how: Any) -> Json:  # noqa: ANN401  # as of send
        answer = self.send("POST", path, body, **how)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def enroll(self, csr: str | None = None, **changes: object) -> Json:
        """Enrol a request by the template for web servers; return what is said of it."""
        body = {"CSR": csr or request_for(), "Template": "WebServer", "IncludeChain": True}
        answer = self.post("/Enrollment/CSR", {**body, **changes})
        return dict(answer["CertificateInformation"])

    def shown(self, number: int, flags: str = "includeMetadata=true") -> Json:
        answer = self.send("GET", f"/Certificates/{number}?{flags}", form=None)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def listed(self, query: str = "") -> list[Json]:
        answer = self.send("GET", f"/Certificates?{query}", form=None)
        assert answer.status_code == 200, answer.text
        rows = answer.json()
        assert int(answer.headers["x-total-count"]) >= len(rows)
        return list(rows)

    def control(self, path: str) -> httpx2.Response:
        return self._http.get(f"{self.control_url}{path}")


def certificates(information: Json) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in information["Certificates"]]


def from_p7b(octets: bytes) -> list[x509.Certificate]:
    with warnings.catch_warnings():  # of lengths that are indefinite, as recorded
        warnings.simplefilter("ignore")
        return pkcs7.load_der_pkcs7_certificates(octets)


def enroll_pfx(client: Client, form: str = "PFX", version: str = "2", **changes: object) -> Json:
    body = {
        "Subject": "CN=web01.keyexample.com, O=Key Example, C=US",
        "Password": PASSWORD,
        "Template": "User",
        "CertificateAuthority": "",
        "IncludeChain": True,
        "SANs": {"DNS": ["web01.keyexample.com"]},
        "CustomFriendlyName": "web",
    }
    return client.post("/Enrollment/PFX", {**body, **changes}, form=form, version=version)

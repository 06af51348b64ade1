"""Certificates as objects of the API: all that is kept of one, and how much of it a call sees."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mockserver.base.issuer import YEAR, Wanted
from mockserver.base.jsontext import Json
from mockserver.journal.state import State
from mockserver.product import enrollment
from mockserver.product.enrollment import CURVES, KINDS, Chosen, Key
from mockserver.product.keyfactor import Call

if TYPE_CHECKING:  # imported when first needed: it takes as long as half of the rest
    from cryptography import x509

REVOKED: Final = 2  # CertState
_SAN_TYPES: Final = {"RFC822Name": 1, "DNSName": 2, "UniformResourceIdentifier": 6, "IPAddress": 7}
_DETAILS: Final = {
    "CrlSign": 0x02,
    "DataEncipherment": 0x10,
    "DecipherOnly": 0x8000,
    "DigitalSignature": 0x80,
    "EncipherOnly": 0x01,
    "KeyAgreement": 0x08,
    "KeyCertSign": 0x04,
    "KeyEncipherment": 0x20,
    "NonRepudiation": 0x40,
}
ACTIVE: Final[Json] = {
    "CertState": 1,
    "CertStateString": "Active (1)",
    "RevocationEffDate": None,
    "RevocationReason": None,
    "RevocationComment": None,
}


def _asked(call: Call, chosen: Chosen, key: Key) -> Json:
    """Return what a certificate has of the call, of its template and of its key."""
    template, body = chosen.template, call.body
    number, algorithm = KINDS[key.kind]
    return {
        **ACTIVE,
        "OwnerRoleId": body.get("OwnerRoleId"),
        "OwnerRoleName": body.get("OwnerRoleName"),
        "TemplateId": template.get("Id"),
        "TemplateName": template.get("CommonName"),
        "EnrollmentPatternId": chosen.pattern and chosen.pattern["Id"],
        "KeySizeInBits": key.size,
        "KeyType": number,
        "KeyTypeString": key.kind,
        "KeyAlgorithm": algorithm,
        "Curve": CURVES.get(key.curve or ""),
        "RequesterId": 1,
        "RequesterName": call.identity.name,
        "SigningAlgorithm": "SHA-256withRSA",
        "CertificateAuthorityId": chosen.authority.get("Id"),
        "CertificateAuthorityName": enrollment.full_name(chosen.authority),
        "AuthorityName": chosen.logical_name,  # not shown: by it the chain is found
        "ExtendedKeyUsages": template.get("ExtendedKeyUsages") or [],
        "Lifespan": YEAR.days,
    }


def _seen(state: State, issued: "x509.Certificate", wanted: Wanted, authority: str) -> Json:
    """Return what is read from a certificate itself, with what was wanted of it."""
    from cryptography import x509  # noqa: PLC0415  # see above
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    der, subject = issued.public_bytes(Encoding.DER), wanted.subject
    serial = f"{issued.serial_number:040X}"
    bits = wanted.bits
    details = {name: bool(bits & bit) for name, bit in _DETAILS.items()}
    return {
        "Thumbprint": hashlib.sha1(der, usedforsecurity=False).hexdigest().upper(),
        "SerialNumber": serial,
        "CARecordId": serial,
        "IssuedDN": subject.rfc4514_string(),
        "IssuedCN": _one(subject, x509.NameOID.COMMON_NAME) or "",
        "IssuedOU": _one(subject, x509.NameOID.ORGANIZATIONAL_UNIT_NAME),
        "IssuerDN": state.issuer.text(authority),
        "ImportDate": instant(datetime.now(UTC), "milliseconds"),
        "NotBefore": instant(issued.not_valid_before_utc),
        "NotAfter": instant(issued.not_valid_after_utc),
        "KeyUsage": bits,
        "DetailedKeyUsage": {**details, "HexCode": f"{bits:x}"},
        "ContentBytes": base64.b64encode(der).decode("ascii"),
        "SubjectAltNameElements": [_element(state, name) for name in wanted.names],
    }


def _one(name: "x509.Name", kind: "x509.ObjectIdentifier") -> str | None:
    return next((str(each.value) for each in name.get_attributes_for_oid(kind)), None)


def _element(state: State, name: "x509.GeneralName") -> Json:
    text = str(name.value)
    digest = hashlib.md5(text.encode("utf-16-le"), usedforsecurity=False)  # recorded
    return {
        "Id": state.number("SubjectAltNameElements", 0),
        "Value": text,
        "Type": _SAN_TYPES.get(type(name).__name__, 0),
        "ValueHash": digest.hexdigest().upper(),
    }


def instant(when: datetime, precision: str = "seconds") -> str:
    """Return a time as certificates show it, in UTC."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def row_of(
    call: Call, chosen: Chosen, key: Key, wanted: Wanted, issued: "x509.Certificate"
) -> Json:
    """Return all that is kept of a certificate but its id."""
    seen = _seen(call.state, issued, wanted, chosen.logical_name)
    return {**_asked(call, chosen, key), **seen}


def is_listed(row: Json, asked: Json) -> bool:
    """Say whether a list has a certificate: revoked and expired ones are asked for."""
    if row.get("CertState") == REVOKED and not asked["IncludeRevoked"]:
        return False
    return bool(asked["IncludeExpired"] or row.get("NotAfter", "9") > instant(datetime.now(UTC)))


def shown(row: Json, asked: Json) -> Json:
    """Return a certificate without what was not asked for."""
    hidden: Json = {}
    if not asked["includeLocations"]:
        hidden |= {"Locations": [], "LocationsCount": []}
    if not asked["includeMetadata"]:
        hidden["Metadata"] = {}
    if not asked["includeHasPrivateKey"]:
        hidden["HasPrivateKey"] = False
    return {**row, **hidden}

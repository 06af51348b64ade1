"""Certificates as objects of the API: all that is kept of one, and how much of it a call sees."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from mockserver.base.issuer import YEAR, Certified, Wanted
from mockserver.base.jsontext import Json
from mockserver.journal.state import State
from mockserver.product import enrollment
from mockserver.product.enrollment import CURVES, KINDS, Chosen, Key
from mockserver.product.keyfactor import Call

if TYPE_CHECKING:  # imported when first needed: it takes as long as half of the rest
    from cryptography import x509

REVOKED: Final = 2  # CertState
# By the numbers that RFC 5280, 4.2.1.6, has for them; 2, 6 and 7 are recorded.
_SAN_TYPES: Final = {
    "OtherName": 0,
    "RFC822Name": 1,
    "DNSName": 2,
    "DirectoryName": 4,
    "UniformResourceIdentifier": 6,
    "IPAddress": 7,
    "RegisteredID": 8,
}
# Of the others the text of their value.
_SAN_TEXTS: Final[Mapping[int, Callable[[Any], str]]] = {
    0: lambda octets: octets.hex().upper(),
    4: lambda name: name.rfc4514_string(),
    8: lambda oid: oid.dotted_string,
}
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


def _seen(state: State, issued: Certified, wanted: Wanted, authority: str) -> Json:
    """Return what is read from a certificate itself, with what was wanted of it."""
    from cryptography.x509 import NameOID  # noqa: PLC0415  # see above

    serial = f"{issued.certificate.serial_number:040X}"
    names = {each.oid: str(each.value) for each in reversed([*issued.name])}  # the first counts
    return {
        "Thumbprint": hashlib.sha1(issued.der, usedforsecurity=False).hexdigest().upper(),
        "SerialNumber": serial,
        "CARecordId": serial,
        "IssuedDN": issued.subject,
        "IssuedCN": names.get(NameOID.COMMON_NAME, ""),
        "IssuedOU": names.get(NameOID.ORGANIZATIONAL_UNIT_NAME),
        "IssuerDN": state.issuer.chain(authority)[0].subject,
        "ImportDate": instant(datetime.now(UTC), "milliseconds"),
        "NotBefore": instant(issued.certificate.not_valid_before_utc),
        "NotAfter": instant(issued.certificate.not_valid_after_utc),
        "KeyUsage": wanted.bits,
        "DetailedKeyUsage": _details(wanted.bits),
        "ContentBytes": base64.b64encode(issued.der).decode("ascii"),
        "SubjectAltNameElements": [_element(state, name) for name in wanted.names],
    }


@lru_cache(maxsize=128)
def _details(bits: int) -> Json:
    details = {name: bool(bits & bit) for name, bit in _DETAILS.items()}
    return {**details, "HexCode": f"{bits:x}"}


def _element(state: State, name: "x509.GeneralName") -> Json:
    kind = _SAN_TYPES[type(name).__name__]
    text = _SAN_TEXTS.get(kind, str)(name.value)
    digest = hashlib.md5(text.encode("utf-16-le"), usedforsecurity=False)  # recorded
    return {
        "Id": state.number("SubjectAltNameElements", 0),
        "Value": text,
        "Type": kind,
        "ValueHash": digest.hexdigest().upper(),
    }


def instant(when: datetime, precision: str = "seconds") -> str:
    """Return a time as certificates show it, in UTC."""
    return when.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def row_of(call: Call, chosen: Chosen, key: Key, wanted: Wanted, issued: Certified) -> Json:
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

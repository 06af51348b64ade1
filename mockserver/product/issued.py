"""Certificates as objects of the API: all that is kept of one that is issued."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from cryptography import x509

from mockserver.base.issuer import YEAR, Certified, Wanted
from mockserver.base.jsontext import Json
from mockserver.journal.state import State
from mockserver.journal.trace import timestamp
from mockserver.product import enrollment
from mockserver.product.enrollment import Chosen
from mockserver.product.keyfactor import Call
from mockserver.product.subjects import CURVES, KINDS, Key

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
    serial = f"{issued.certificate.serial_number:040X}"
    names = {each.oid: str(each.value) for each in reversed([*issued.name])}  # the first counts
    return {
        "Thumbprint": hashlib.sha1(issued.der, usedforsecurity=False).hexdigest().upper(),
        "SerialNumber": serial,
        "CARecordId": serial,
        "IssuedDN": issued.subject,
        "IssuedCN": names.get(x509.NameOID.COMMON_NAME, ""),
        "IssuedOU": names.get(x509.NameOID.ORGANIZATIONAL_UNIT_NAME),
        "IssuerDN": state.issuer.chain(authority)[0].subject,
        "ImportDate": timestamp(datetime.now(UTC)),
        "NotBefore": timestamp(issued.certificate.not_valid_before_utc, "seconds"),
        "NotAfter": timestamp(issued.certificate.not_valid_after_utc, "seconds"),
        "KeyUsage": wanted.bits,
        "DetailedKeyUsage": _details(wanted.bits),
        "ContentBytes": base64.b64encode(issued.der).decode("ascii"),
        "SubjectAltNameElements": [_element(state, name) for name in wanted.names],
    }


@lru_cache(maxsize=128)
def _details(bits: int) -> Json:
    details = {name: bool(bits & bit) for name, bit in _DETAILS.items()}
    return {**details, "HexCode": f"{bits:x}"}


def _element(state: State, name: x509.GeneralName) -> Json:
    kind = _SAN_TYPES[type(name).__name__]
    text = _SAN_TEXTS.get(kind, str)(name.value)
    digest = hashlib.md5(text.encode("utf-16-le"), usedforsecurity=False)  # recorded
    return {
        "Id": state.number("SubjectAltNameElements", 0),
        "Value": text,
        "Type": kind,
        "ValueHash": digest.hexdigest().upper(),
    }


def row_of(call: Call, chosen: Chosen, key: Key, wanted: Wanted, issued: Certified) -> Json:
    """Return all that is kept of a certificate but its id."""
    seen = _seen(call.state, issued, wanted, chosen.logical_name)
    return {**_asked(call, chosen, key), **seen}

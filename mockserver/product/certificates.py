"""Certificates: enrolment that really issues, and what becomes of a certificate afterwards."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from mockserver.base.issuer import (
    Certified,
    Revoked,
    Wanted,
    certified,
    ignore_lengths,
    p7b,
    with_subjects,
)
from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut
from mockserver.journal.state import State
from mockserver.journal.trace import timestamp
from mockserver.product import enrollment, objects, subjects
from mockserver.product.enrollment import AUTHORITIES, Chosen
from mockserver.product.issued import ACTIVE, row_of
from mockserver.product.keyfactor import Answer, Call
from mockserver.product.objects import CERTIFICATES, REVOKED, folded
from mockserver.product.subjects import Asked

_Named = Mapping[str, Any]

_FIELDS: Final = "/MetadataFields"
_ISSUED: Final = {"RequestDisposition": "ISSUED", "DispositionMessage": ""}
_PENDING: Final = {
    "RequestDisposition": "PENDING",
    "DispositionMessage": "The certificate request is pending approval.",
}
_SAVED: Final = "The private key was successfully retained."
_NOT_SAVED: Final = (
    "The template was not set up for private key retention, so no private key was saved."
)

# Enrolment


async def _enroll_csr(call: Call, named: _Named) -> Answer:
    body = call.body
    chosen = await enrollment.choose(call, enrollment.CSR)
    asked = subjects.read_csr(body["CSR"])
    form = _format(call, named)
    metadata = _metadata(call, body.get("Metadata") or {})
    row, issued, answer = _enrolled(call, chosen, asked, {"Metadata": _set(metadata)})
    information = {"KeyfactorID": 0, **answer}
    if row is None:
        return Answer({"CertificateInformation": information, "Metadata": metadata}, {})
    chain = _chain(call, row, issued)
    texts = [*with_subjects(chain)] if form == "PEM" else [_base64(_octets(form, chain))]
    information |= {"KeyfactorID": row["Id"], "Certificates": texts}
    return Answer({"CertificateInformation": information, "Metadata": metadata}, _file(row, form))


async def _enroll_pfx(call: Call, named: _Named) -> Answer:
    body = call.body
    chosen = await enrollment.choose(call, enrollment.PFX)
    form = _format(call, named)
    wanted = subjects.wanted_key(body, chosen.template)
    wanted.check(chosen.template)
    subject = subjects.read_subject(body.get("Subject") or "")
    given = _metadata(call, body.get("Metadata") or {})
    # Of a field that was not sent the answer has an empty text (recorded).
    names = (row["Name"] for row in objects.rows(call.state.world, _FIELDS))
    metadata = {**dict.fromkeys(names, ""), **given}
    kept = str(chosen.template.get("KeyRetention") or "None") != "None"
    private = await asyncio.to_thread(subjects.new_key, wanted)
    asked = Asked(subject, (), private.public_key())
    members = {"Metadata": _set(given), "HasPrivateKey": kept}
    row, issued, answer = _enrolled(call, chosen, asked, members)
    information = {"KeyfactorId": 0, "StoreIdsInvalidForRenewal": [], **answer}
    if row is None:
        return Answer({"CertificateInformation": information, "Metadata": metadata}, {})
    if kept:
        call.state.keep_key(row["Id"], private)
    chain = _chain(call, row, issued)
    information |= {
        "KeyfactorId": row["Id"],
        "Pkcs12Blob": _with_key(call, chain, private, form, body.get("CustomFriendlyName")),
        "DispositionMessage": _SAVED if kept else _NOT_SAVED,
    }
    headers = {"x-privatekeystatus": "Saved" if kept else "NoRetention"}
    return Answer(
        {"CertificateInformation": information, "Metadata": metadata},
        {**_file(row, form), **headers},
    )


def _enrolled(
    call: Call, chosen: Chosen, asked: Asked, members: Json
) -> tuple[Json | None, Certified | None, Json]:
    """Issue a certificate and keep it with further members; return both, and what answers say.

    None where the template wants an approval first.
    """
    state, body = call.state, call.body
    key = subjects.key_of(asked.key)
    key.check(chosen.template)
    names = subjects.alternative_names(body.get("SANs") or {}, asked.names)
    if not list(asked.subject) and not names:
        raise Problem(Kind.BODY, "The subject has no name, and there are no SANs.")
    work = {
        "WorkflowInstanceId": str(uuid4()),
        "WorkflowReferenceId": state.number("WorkflowReferenceId", 0),
    }
    if chosen.template.get("RequiresApproval"):
        return None, None, {**work, **_PENDING}
    purposes = [each["Oid"] for each in chosen.template.get("ExtendedKeyUsages") or ()]
    wanted = Wanted(asked.subject, asked.key, names, chosen.template.get("KeyUsage") or 0, purposes)
    issued = state.issuer.issue(chosen.logical_name, wanted)
    row = {**row_of(call, chosen, key, wanted, issued), **members}
    rows = objects.rows(state.world, CERTIFICATES)
    # Of 500 certificates a look at each takes a tenth of the time.
    if rows is not state.counted.get(CERTIFICATES):
        state.count(CERTIFICATES, objects.highest(rows, "Id"))
    row["Id"] = row["CertRequestId"] = state.number(CERTIFICATES, 0)
    state.counted[CERTIFICATES] = kept = [*rows, row]
    state.put_resources({CERTIFICATES: kept}, objects.size(row))
    told = {name: row[name] for name in ("SerialNumber", "IssuerDN", "Thumbprint")}
    return row, issued, {**told, **work, **_ISSUED}


def _format(call: Call, named: _Named) -> str:
    given = call.headers["x-certificateformat"]
    if given.upper() not in named["formats"]:
        raise Problem(Kind.HEADER_VALUE, f"The format '{cut(given)}' is invalid.")  # recorded
    return given.upper()


def _metadata(call: Call, given: Json) -> Json:
    """Return metadata as texts, by the names of their fields; Problem for an unknown one."""
    rows = objects.rows(call.state.world, _FIELDS)
    known = {str(row["Name"]).casefold(): row["Name"] for row in rows}
    for name in given:
        if name.casefold() not in known:
            raise Problem(Kind.BODY, f"Metadata: there is no metadata field '{cut(name)}'.")
    return {known[name.casefold()]: _text(value) for name, value in given.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _set(metadata: Json) -> Json:
    """Return those that have a value: an empty one is not kept (recorded)."""
    return {name: value for name, value in metadata.items() if value != ""}


# The forms of files


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets(form: str, chain: Sequence[Certified], *, lines: bool = False) -> bytes:
    """Return certificates in a form that has no key; DER has the first one only."""
    if form == "DER":
        return chain[0].der
    if form == "P7B":
        return p7b(each.der for each in chain)
    texts = with_subjects(chain) if lines else (each.pem for each in chain)
    return "".join(texts).encode()


def _file(row: Json, form: str) -> dict[str, str]:
    return {"x-certificatefile": f"{quote(_stem(row), safe=' *@')}.{form.lower()}"}


def _stem(row: Json) -> str:
    return row.get("IssuedCN") or "certificate"


# Afterwards


async def _download(call: Call, named: _Named) -> Answer:
    row = _wanted(call)
    form = _format(call, named)
    chain = _chain(call, row)
    if folded(call.body.get("ChainOrder")) == "rootfirst" and form != "DER":
        chain.reverse()
    content = _octets(form, chain, lines=bool(call.body.get("IncludeSubjectHeader")))
    return Answer({"Content": _base64(content)}, _file(row, form))


async def _recover(call: Call, named: _Named) -> Answer:
    row = _wanted(call)
    # The key is looked up before the format is (recorded).
    private = call.state.private_keys.get(row.get("Id", 0))
    if private is None:
        text = "No private key could be found for the given certificate."
        raise Problem(Kind.NOT_FOUND, text, status=400)
    form = _format(call, named)
    content = _with_key(call, _chain(call, row), private, form, call.body.get("FriendlyName"))
    name = f"{_stem(row)}.{form.lower()}"
    return Answer({"PFX": content, "FileName": name}, _file(row, form))


def _with_key(
    call: Call,
    chain: Sequence[Certified],
    private: Any,  # noqa: ANN401  # a key
    form: str,
    friendly: str | None,
) -> str:
    """Return a chain and the key of its first as base64, under the password of the body."""
    password = call.body["Password"].encode()
    if form == "PEM":
        encoding, style = Encoding.PEM, PrivateFormat.PKCS8
        secret = BestAvailableEncryption(password)
        key = private.private_bytes(encoding, style, secret).decode("ascii")
        own, *others = with_subjects(chain)
        return _base64("".join([own, key, *others]).encode())
    name = friendly.encode() if friendly else None
    encryption = _pkcs12_encryption(password, legacy=bool(call.body.get("UseLegacyEncryption")))
    leaf, *above = (each.certificate for each in chain)
    return _base64(pkcs12.serialize_key_and_certificates(name, private, leaf, above, encryption))


def _pkcs12_encryption(password: bytes, *, legacy: bool) -> KeySerializationEncryption:
    kinds = pkcs12.PBES
    kind = kinds.PBESv1SHA1And3KeyTripleDESCBC if legacy else kinds.PBESv2SHA256AndAES256CBC
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1_024)  # recorded
    return builder.key_cert_algorithm(kind).hmac_hash(hashes.SHA1()).build(password)  # noqa: S303  # recorded


def _wanted(call: Call) -> Json:
    """Return the certificate that a body names by id, thumbprint, or serial number and issuer."""
    sent = {**call.body, "Id": call.body.get("CertID")}
    body = {name: value for name, value in sent.items() if value not in (None, "", 0)}
    for members in (("Id",), ("Thumbprint",), ("SerialNumber", "IssuerDN")):
        if members[0] in body:
            wanted = [folded(body.get(name)) for name in members]
            for row in objects.rows(call.state.world, CERTIFICATES):
                if [folded(row.get(name)) for name in members] == wanted:
                    return row
            raise _missing(body[members[0]])
    text = "CertID, Thumbprint, or SerialNumber with IssuerDN: one of them is required."
    raise Problem(Kind.BODY, text)


def _missing(wanted: object) -> Problem:
    return Problem(Kind.NOT_FOUND, f"Unable to find 'Certificate' with Id '{cut(str(wanted))}'")


def _certified(row: Json) -> Certified:
    ignore_lengths()
    try:
        der = base64.b64decode(row.get("ContentBytes") or "")
        found = x509.load_der_x509_certificate(der)
        return certified(found, found.subject)
    except ValueError:
        text = f"The world has no ContentBytes of the certificate {row.get('Id')}."
        raise Problem(Kind.BODY, text) from None


def _chain(call: Call, row: Json, issued: Certified | None = None) -> list[Certified]:
    """Return a certificate, as `issued` where that is at hand, and where asked those above it."""
    leaf = issued or _certified(row)
    if call.body.get("IncludeChain") and "AuthorityName" in row:
        return [leaf, *call.state.issuer.chain(row["AuthorityName"])]
    return [leaf]


_ON_HOLD: Final = 6
_RELEASES: Final = (-1, 7)  # reasons by which a certificate on hold becomes active again


async def _revoke(call: Call, _: _Named) -> Answer:
    body = call.body
    rows = {row.get("Id"): row for row in objects.rows(call.state.world, CERTIFICATES)}
    ids = dict.fromkeys(body["CertificateIds"])
    for number in ids:
        if number not in rows:
            raise _missing(number)
        if body["Reason"] in _RELEASES and rows[number].get("RevocationReason") != _ON_HOLD:
            raise Problem(Kind.BODY, f"Reason: the certificate {number} is not on hold.")
    changes = ACTIVE
    if body["Reason"] not in _RELEASES:
        changes = {
            "CertState": REVOKED,
            "CertStateString": "Revoked (2)",
            "RevocationEffDate": _effective(body.get("EffectiveDate")),
            "RevocationReason": body["Reason"],
            "RevocationComment": body.get("Comment"),
        }
    for _ in ids:
        call.state.number("WorkflowReferenceId", 0)
    every = objects.rows(call.state.world, CERTIFICATES)
    kept = [{**row, **changes} if row.get("Id") in ids else row for row in every]
    call.state.put_resources({CERTIFICATES: kept}, 0)
    return Answer({"RevokedIds": [*ids], "SuspendedCerts": []}, {})


def _effective(given: str | None) -> str:
    try:
        when = _utc(given).astimezone(UTC) if given else datetime.now(UTC)
        return timestamp(when, "seconds")
    except (ValueError, OverflowError):
        text = "EffectiveDate: must be a date and time such as 2026-01-15T08:30:00Z."
        raise Problem(Kind.BODY, text) from None


def _utc(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


async def _put_metadata(call: Call, _: _Named) -> None:
    number = call.body["Id"]
    rows = objects.rows(call.state.world, CERTIFICATES)
    old = objects.found(rows, "Id", number)
    if old is None:
        raise _missing(number)
    metadata = {**(old.get("Metadata") or {}), **_metadata(call, call.body["Metadata"])}
    new = {**old, "Metadata": _set(metadata)}
    kept = [new if row is old else row for row in rows]
    call.state.put_resources({CERTIFICATES: kept}, objects.size(new) - objects.size(old))


async def _in_use(call: Call, _: _Named) -> Answer:
    """Say whether a certificate has a value of a metadata field."""
    world, number = call.state.world, call.parameters["id"]
    name = next(row["Name"] for row in objects.rows(world, _FIELDS) if row["Id"] == number)
    given = (row.get("Metadata") or {} for row in objects.rows(world, CERTIFICATES))
    return Answer(any(metadata.get(name) for metadata in given), {})


ACTIONS: Final[Mapping[str, Callable[[Call, _Named], Awaitable[Answer | None]]]] = {
    "enroll_csr": _enroll_csr,
    "enroll_pfx": _enroll_pfx,
    "download": _download,
    "recover": _recover,
    "revoke": _revoke,
    "metadata": _put_metadata,
    "in_use": _in_use,
}


# What a client verifies with


def chain_pem(state: State) -> bytes:
    """Return the certificates above those that are issued: each authority, then the root."""
    chains = [state.issuer.chain(name) for name in _authorities(state)]
    every = [chain[0] for chain in chains] + chains[0][1:]
    return "".join(each.pem for each in every).encode()


def revocations(state: State, name: str | None = None) -> bytes:
    """Return the revocation list of an authority, by default the first, as DER; ValueError."""
    known = _authorities(state)
    if name is not None and name not in known:
        raise ValueError(f"there is no authority {cut(name)}; known are {', '.join(known)}")
    wanted = known[0] if name is None else name
    return state.issuer.revocations(wanted, _revoked(state, wanted))


def _authorities(state: State) -> list[str]:
    rows = objects.rows(state.world, AUTHORITIES)
    return [str(row["LogicalName"]) for row in rows if row.get("LogicalName")] or ["Issuing CA"]


def _revoked(state: State, name: str) -> Iterator[Revoked]:
    for row in objects.rows(state.world, CERTIFICATES):
        if row.get("CertState") == REVOKED and row.get("AuthorityName") == name:
            with suppress(KeyError, TypeError, ValueError):  # of a world, where nobody checks it
                serial, reason = int(row["SerialNumber"], 16), int(row["RevocationReason"])
                yield Revoked(serial, _utc(row["RevocationEffDate"]), reason)

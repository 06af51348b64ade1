"""The subject of a certificate as an enrolment gives it: its key, its name and further names."""

import base64
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final, NamedTuple, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from mockserver.base.issuer import ignore_lengths
from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut
from mockserver.product.objects import folded

# Keys

CURVES: Final = {
    "secp256r1": "1.2.840.10045.3.1.7",
    "secp384r1": "1.3.132.0.34",
    "secp521r1": "1.3.132.0.35",
}
# KeyType and KeyAlgorithm of a certificate (recorded).
KINDS: Final = {
    "RSA": (1, "1.2.840.113549.1.1.1"),
    "ECC": (3, "1.2.840.10045.2.1"),
    "Ed448": (5, "1.3.101.113"),
    "Ed25519": (6, "1.3.101.112"),
}
_SIZES: Final = {"Ed448": 448, "Ed25519": 255}  # recorded
_RSA_SIZES: Final = (1024, 2048, 3072, 4096, 8192)


def _refuse(text: str) -> NoReturn:
    raise Problem(Kind.BODY, text)


class Key(NamedTuple):
    """What sort of key: `kind` is one of `KINDS`, `curve` one of `CURVES` for ECC."""

    kind: str
    size: int
    curve: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self._detail}".rstrip()

    @property
    def _detail(self) -> str:
        return self.curve or ("" if self.kind in _SIZES else str(self.size))

    def check(self, template: Json) -> None:
        """Refuse a key that a template does not list in its KeyTypes."""
        listed = _listed(str(template.get("KeyTypes") or ""))
        if listed and not any((self.kind, self._detail) in keys for keys in listed.values()):
            name = template["CommonName"]
            _refuse(f"The key {self} is not allowed by the template '{name}': {', '.join(listed)}.")


@lru_cache(maxsize=64)
def _listed(text: str) -> Mapping[str, Collection[tuple[str, str]]]:
    """Return the sorts of KeyTypes, such as `RSA 2048/4096, Ed25519`, with the keys of each."""
    listed = {}
    for each in filter(None, map(str.strip, text.split(","))):
        kind, _, detail = each.partition(" ")
        listed[each] = {(kind, one) for one in (detail, *re.split("[ /]", detail))}
    return listed


def key_of(public: object) -> Key:
    """Return the sort of a public key; Problem for one that no certificate here has."""
    if isinstance(public, rsa.RSAPublicKey):
        return Key("RSA", public.key_size)
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in CURVES:
        return Key("ECC", public.curve.key_size, public.curve.name)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return Key("Ed25519", _SIZES["Ed25519"])
    if isinstance(public, ed448.Ed448PublicKey):
        return Key("Ed448", _SIZES["Ed448"])
    _refuse("CSR: its key is none of RSA, P-256, P-384, P-521, Ed25519 and Ed448.")


def wanted_key(body: Json, template: Json) -> Key:
    """Return the sort of key that a PFX enrolment asks for, by default that of the template."""
    kind = body.get("KeyType") or template.get("KeyType") or "RSA"
    known = next((each for each in KINDS if folded(each) == folded(kind).strip()), None)
    if known is None:
        _refuse(f"KeyType: must be one of {', '.join(KINDS)}.")
    size = body.get("KeyLength")
    if known in _SIZES:
        return Key(known, _SIZES[known])
    if known == "ECC":
        wanted = body.get("Curve") or f"secp{size or 256}r1"
        curves = {text: name for name, oid in CURVES.items() for text in (name, oid)}
        if wanted not in curves:
            _refuse(f"Curve: must be one of {', '.join(CURVES.values())}.")
        return Key(known, int(curves[wanted][4:7]), curves[wanted])
    size = size or int(template.get("KeySize") or 2048)
    if size not in _RSA_SIZES:
        _refuse(f"KeyLength: must be one of {', '.join(map(str, _RSA_SIZES))}.")
    return Key(known, size)


def new_key(wanted: Key) -> CertificateIssuerPrivateKeyTypes:
    """Make a key of that sort; an RSA key of 4096 bits takes a second."""
    if wanted.kind == "RSA":
        return rsa.generate_private_key(65537, wanted.size)
    if wanted.curve:
        curve: ec.EllipticCurve = getattr(ec, wanted.curve.upper())()
        return ec.generate_private_key(curve)
    if wanted.kind == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.generate()


# Names


class Asked(NamedTuple):
    """What a certificate is asked for: its subject, further names, and a public key."""

    subject: x509.Name
    names: Sequence[x509.GeneralName]
    key: Any


def read_csr(text: str) -> Asked:
    """Read a PKCS #10 request, PEM or base64, and check its signature; Problem for a bad one.

    Of its extensions only the names count: an authority decides the rest itself.
    """
    asked, is_signed = _parsed(text)
    if not is_signed:
        _refuse("CSR: its signature is not that of its key, or made with MD5 or SHA-1.")
    for each in asked.subject:
        if len(each.value) not in _LENGTHS.get(each.rfc4514_attribute_name, _ANY):
            _refuse("CSR: its CN or C has a length that RFC 5280 does not allow.")
    for name in asked.names:
        if not _VISIBLE.fullmatch(name.value if isinstance(name.value, str) else "-"):
            _refuse("CSR: a name of its subjectAltName is no such name.")
        if isinstance(name.value, IPv4Network | IPv6Network):
            _refuse("CSR: its subjectAltName has a network, not an address.")
    return asked


def _parsed(text: str) -> tuple[Asked, bool]:
    """Return what a request asks for, and whether its signature is good."""
    ignore_lengths()  # `read_csr` refuses bad ones
    try:
        if "-----BEGIN" in text:
            request = x509.load_pem_x509_csr(text.encode())
        else:
            request = x509.load_der_x509_csr(base64.b64decode("".join(text.split()), validate=True))
        oid = x509.SubjectAlternativeName.oid
        lists = (each.value for each in request.extensions if each.oid == oid)
        asked = Asked(request.subject, [*next(lists, ())], request.public_key())
        is_signed = request.is_signature_valid
    except _BAD:
        _refuse("CSR: must be a PKCS #10 request, as PEM or base64.")
    return asked, is_signed


_BAD: Final = (
    *(ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion),
    *(x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
_LENGTHS: Final = {"CN": range(1, 65), "C": range(2, 3)}
_ANY: Final = range(sys.maxsize)
_VISIBLE: Final = re.compile("[!-~]+")


def read_subject(text: str) -> x509.Name:
    """Read a subject such as `CN=web01,O=Key Example,C=US`; Problem for what is none."""
    oid = x509.NameOID
    others = {
        "E": oid.EMAIL_ADDRESS,
        "EMAILADDRESS": oid.EMAIL_ADDRESS,
        "S": oid.STATE_OR_PROVINCE_NAME,
    }
    try:
        return x509.Name.from_rfc4514_string(_AFTER_COMMA.sub(",", text.strip()), others)
    except (ValueError, TypeError):
        _refuse("Subject: must be a name such as CN=web01.keyexample.com,O=Key Example,C=US.")


_AFTER_COMMA: Final = re.compile(r", +(?=[A-Za-z0-9.]+=)")
_IP: Final = re.compile(r"[0-9A-Fa-f:.]+")  # and no zone
_HOST: Final = re.compile(r"(?:\*\.)?[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_ADDRESS: Final = re.compile(r"[!-?A-~]+@[!-?A-~]+")


def alternative_names(
    given: Mapping[str, Iterable[str] | None], own: Sequence[x509.GeneralName]
) -> list[x509.GeneralName]:
    """Return the names of a body's SANs, else those of the request; addresses come first."""
    texts = [(kind, text) for kind, values in given.items() for text in values or ()]
    names = [_name(kind, text.strip()) for kind, text in texts] or [*own]
    return sorted(names, key=lambda name: not isinstance(name, x509.IPAddress))  # recorded


def _name(kind: str, text: str) -> x509.GeneralName:
    makers: dict[str, tuple[re.Pattern[str], Callable[[str], x509.GeneralName]]] = {
        "dns": (_HOST, x509.DNSName),
        "uri": (_URI, x509.UniformResourceIdentifier),
        "rfc822": (_ADDRESS, x509.RFC822Name),
        **dict.fromkeys(("ip", "ip4", "ip6"), (_IP, lambda text: x509.IPAddress(ip_address(text)))),
    }
    if kind.lower() not in makers:
        _refuse(f"SANs: {cut(kind)} is none of {', '.join(makers)}.")
    pattern, make = makers[kind.lower()]
    with suppress(ValueError):
        if pattern.fullmatch(text):
            return make(text)
    _refuse(f"SANs/{kind}: '{cut(text)}' is no such name.")

"""Issue certificates as the product does: a root authority, and below it one for each name."""

import ssl
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

_ROOT: Final = "Key Example Root CA"
_MAX_NAME: Final = 64  # RFC 5280, appendix A.1
_MAX_AUTHORITIES: Final = 64
_BACK: Final = timedelta(minutes=10)
YEAR: Final = timedelta(days=365)
_LONG: Final = 10 * YEAR
_NEXT: Final = timedelta(days=7)
_FIRST: Final = datetime(1950, 1, 1, tzinfo=UTC)  # UTCTime has no earlier one
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
# Bits of KeyUsage from 0x80 down (RFC 5280, 4.2.1.3).
_OF_AUTHORITY: Final = 0x86
_OF_LEAF: Final = 0xF8
_USUAL: Final = 0xA0  # digitalSignature and keyEncipherment (recorded)
# RFC 5280, 5.3.1, without 0, which stands for no reason, and 7, which is not used.
_REASONS: Final = (
    "key_compromise",
    "ca_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "certificate_hold",
)


class Wanted(NamedTuple):
    """What a certificate is to say; `usage` are the bits of KeyUsage, `purposes` OIDs."""

    subject: x509.Name
    key: CertificatePublicKeyTypes
    names: Sequence[x509.GeneralName] = ()
    usage: int = _USUAL
    purposes: Sequence[str] = ()

    @property
    def bits(self) -> int:
        """The bits of KeyUsage that it gets: never those of an authority."""
        return self.usage & _OF_LEAF or _USUAL


class Revoked(NamedTuple):
    """An entry of a revocation list."""

    serial: int
    since: datetime
    reason: int


class Certified(NamedTuple):
    """A certificate and its subject, with what is written of it more than once."""

    certificate: x509.Certificate
    name: x509.Name
    subject: str
    der: bytes
    pem: str


def certified(certificate: x509.Certificate, name: x509.Name) -> Certified:
    """Write a certificate; its `name` as text (RFC 4514) has E for an address, as requests have."""
    subject = name.rfc4514_string({x509.NameOID.EMAIL_ADDRESS: "E"})
    der = certificate.public_bytes(Encoding.DER)
    return Certified(certificate, name, subject, der, ssl.DER_cert_to_PEM_cert(der))


def ignore_lengths() -> None:
    """Let cryptography read a name with a length that RFC 5280 does not allow, without a warning.

    It is called before each reading: a test runner such as pytest puts back, after each test, the
    filters that were there before it.
    """
    warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning, r"mockserver\.")


class Issuer:
    """Hold a root and the authorities below it, all of them made when first asked for."""

    def __init__(self) -> None:
        self._authority = lru_cache(maxsize=_MAX_AUTHORITIES)(self._made)

    def chain(self, name: str) -> list[Certified]:
        """Return the authority of that name, and the root."""
        return [self._authority(name[:_MAX_NAME]), self._root]

    def issue(self, name: str, wanted: Wanted) -> Certified:
        """Issue a certificate for a year from ten minutes ago on, as recorded."""
        authority = self._authority(name[:_MAX_NAME])
        extensions = [*_for_leaf(wanted.bits, tuple(wanted.purposes))]
        if wanted.names:
            # RFC 5280, 4.2.1.6: without a subject the names are critical.
            names = x509.SubjectAlternativeName(wanted.names)
            extensions.append(_extension(names, critical=not list(wanted.subject)))
        return _signed(wanted, authority.name, (self._key, self._key_id), extensions, YEAR)

    def revocations(self, name: str, revoked: Iterable[Revoked]) -> bytes:
        """Return the revocation list of an authority, as DER."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._authority(name[:_MAX_NAME]).name)
            .last_update(now - _BACK)
            .next_update(now + _NEXT)
            .add_extension(self._key_id.value, critical=False)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1_000)), critical=False)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder(each.serial, max(each.since, _FIRST))
            if 1 <= each.reason <= len(_REASONS):
                reason = x509.CRLReason(x509.ReasonFlags[_REASONS[each.reason - 1]])
                entry = entry.add_extension(reason, critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(Encoding.DER)

    @cached_property
    def _root_key(self) -> rsa.RSAPrivateKey:
        return _new_key()

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        """The key of all authorities below the root: a key for each would take as long again."""
        return _new_key()

    @cached_property
    def _root(self) -> Certified:
        return self._signed_authority(_ROOT, self._root_key, None)

    @cached_property
    def _key_id(self) -> x509.Extension[x509.AuthorityKeyIdentifier]:
        return _key_id(self._key)

    def _made(self, name: str) -> Certified:
        return self._signed_authority(name, self._key, 0)

    def _signed_authority(self, name: str, key: rsa.RSAPrivateKey, length: int | None) -> Certified:
        subject, issuer = (
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)])
            for each in (name, _ROOT)
        )
        extensions = [
            _extension(x509.BasicConstraints(ca=True, path_length=length), critical=True),
            _extension(_usage(_OF_AUTHORITY), critical=True),
        ]
        signer = self._root_key, _key_id(self._root_key)
        return _signed(Wanted(subject, key.public_key()), issuer, signer, extensions, _LONG)


def _key_id(key: rsa.RSAPrivateKey) -> x509.Extension[x509.AuthorityKeyIdentifier]:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return _extension(identifier, critical=False)


@lru_cache(maxsize=128)
def _for_leaf(bits: int, purposes: Sequence[str]) -> Sequence[x509.Extension[Any]]:
    """Return the extensions that all certificates of a template have in common."""
    extensions = [
        _extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        _extension(_usage(bits), critical=True),
    ]
    if purposes:
        usage = x509.ExtendedKeyUsage(map(x509.ObjectIdentifier, purposes))
        extensions.append(_extension(usage, critical=False))
    return extensions


def _extension(value: _Extension, *, critical: bool) -> x509.Extension[_Extension]:
    return x509.Extension(value.oid, critical, value)


def _signed(
    wanted: Wanted,
    issuer: x509.Name,
    signer: tuple[rsa.RSAPrivateKey, x509.Extension[x509.AuthorityKeyIdentifier]],
    extensions: Iterable[x509.Extension[Any]],
    validity: timedelta,
) -> Certified:
    key, key_id = signer
    begin = datetime.now(UTC).replace(microsecond=0) - _BACK
    end = begin + validity - timedelta(seconds=1)
    number = x509.random_serial_number()
    identifier = x509.SubjectKeyIdentifier.from_public_key(wanted.key)
    every = [key_id, _extension(identifier, critical=False), *extensions]
    builder = x509.CertificateBuilder(issuer, wanted.subject, wanted.key, number, begin, end, every)
    return certified(builder.sign(key, hashes.SHA256()), wanted.subject)


def _usage(bits: int) -> x509.KeyUsage:
    return x509.KeyUsage(*(bool(bits & (0x80 >> place)) for place in range(9)))


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


# RFC 5652, 5.1, for certificates alone, with indefinite lengths (X.690, 8.1.3.6) as recorded.
# Writers of DER sort the set, by which a leaf can come last; readers take the first.
_BEFORE: Final = bytes.fromhex(
    "3080 06092A864886F70D010702 A080 3080 020101 3100 3080 06092A864886F70D010701 0000 A080"
)
_AFTER: Final = bytes.fromhex("0000 3100 0000 0000 0000")


def p7b(certificates: Iterable[bytes]) -> bytes:
    """Return certificates (DER) in their order as PKCS #7."""
    return b"".join([_BEFORE, *certificates, _AFTER])


def with_subjects(chain: Iterable[Certified]) -> Iterator[str]:
    """Give certificates as PEM, each below a line with its subject (recorded)."""
    for each in chain:
        yield f"#{' '.join(each.subject.splitlines())}\n{each.pem}"

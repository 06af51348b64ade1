"""The mock's own certificate authority: certificates per host, made when first asked for."""

import asyncio
import os
import re
import shutil
import ssl
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import mkdtemp, mkstemp
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from weakref import finalize

from mockserver.base.text import host_name

if TYPE_CHECKING:
    from cryptography import x509

Kind = Literal["good", "expired", "name", "untrusted"]

_MAX_CONTEXTS: Final = 256
_OTHER_NAME: Final = "another-host.test"
# Apple's verifier refuses host certificates that are valid for more than 825 days.
_VALIDITY: Final = timedelta(days=397)
# RFC 7468, 5.1; OpenSSL takes two more labels.
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----.*?-----END \1-----", re.DOTALL
)

_HOST_NAME: Final = re.compile(r"(?:\*\.)?[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*")


class CertificateError(Exception):
    """A certificate that was given cannot be used."""


def given_context(certificate: str | Path, key: str | Path) -> ssl.SSLContext:
    """Return a server's context with a certificate of the user's own; CertificateError if bad."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    for what, file in (("certificate", certificate), ("key", key)):
        try:
            Path(file).read_bytes()  # OpenSSL does not say which of them it could not read
        except (OSError, ValueError) as error:
            text = f"{what} {file}: {getattr(error, 'strerror', error)}"
            raise CertificateError(text) from None
    try:
        # An encrypted key must not ask at the terminal; this is no password of any.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        reason = (getattr(error, "reason", None) or "").replace("_", " ").lower()
        text = reason or "no PEM of a certificate and its key, which has no password"
        raise CertificateError(f"certificate {certificate} with key {key}: {text}") from None
    return context


def given_certificates(path: str | Path) -> bytes:
    """Return the certificates of a PEM file without the key that may stand beside them."""
    blocks = (found[0] for found in _CERTIFICATE.finditer(Path(path).read_bytes()))
    return b"".join(block + b"\n" for block in blocks)


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Authority:
    """Issue certificates for servers; who trusts `pem` trusts the good ones."""

    def __init__(self) -> None:
        self._issued = lru_cache(maxsize=_MAX_CONTEXTS)(self._issue)

    async def prepare(self) -> None:
        """Have another process make the authority, so that this one need not import cryptography.

        That takes 12 MiB, and as long as half of the rest of the program. Where no process can be
        made, the authority is made here when somebody asks for it, as it is without this call.
        """
        # -P: nothing is imported from the current folder, which may be anybody's.
        command = sys.executable, "-P", "-m", "mockserver.base.certificates"
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        with suppress(OSError):
            process = await asyncio.create_subprocess_exec(
                *command, stdin=nothing, stdout=pipe, stderr=nothing
            )
            told, _ = await process.communicate()
            key, begin, rest = told.partition(b"-----BEGIN CERTIFICATE-----")
            if rest and process.returncode == 0:
                # Somebody may have asked meanwhile.
                vars(self).setdefault("_trusted", _Issued(key, begin + rest))

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self._trusted.certificate

    def server_context(self, *names: str, kind: Kind = "good") -> ssl.SSLContext:
        """Return a server's context with a certificate for these host names and IP addresses.

        The other kinds are for relays that misbehave: `expired`, for another `name`, or of an
        authority that is `untrusted`. The contexts of the last 256 hosts are kept.
        """
        return self._issued(names, kind)

    def listener_context(self, host: str, more: Sequence[str]) -> ssl.SSLContext:
        """Return a server's context for a host, localhost, and more names; CertificateError if bad.

        Without more names the first handshake makes its certificate, so a listener that nobody uses
        costs nothing.
        """
        hosts = dict.fromkeys(("localhost", "127.0.0.1", "::1", host))
        if more:
            return self.server_context(*hosts | dict.fromkeys(map(_checked, (host, *more))))
        context = _context(ssl.PROTOCOL_TLS_SERVER)

        def choose(connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
            connection.context = self.server_context(*hosts)

        context.sni_callback = choose  # called without a name too
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a context that trusts this authority only, and verifies host names."""
        return self._client_context

    @cached_property
    def _client_context(self) -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.pem.decode("ascii"))
        return context

    @cached_property
    def _trusted(self) -> "_Issued":
        return _new_authority()

    @cached_property
    def _untrusted(self) -> "_Issued":
        return _new_authority()

    def _issue(self, names: tuple[str, ...], kind: Kind) -> ssl.SSLContext:
        authority = self._untrusted if kind == "untrusted" else self._trusted
        begin = datetime.now(UTC) - (2 * _VALIDITY if kind == "expired" else timedelta(days=1))
        leaf = _leaf(authority, (_OTHER_NAME,) if kind == "name" else names, begin)
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        # Python's binding of OpenSSL reads files only; this one is its owner's alone.
        descriptor, file = mkstemp(prefix="keyfactor-mock-", suffix=".pem")
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(b"".join(leaf))
            context.load_cert_chain(file)
        finally:
            Path(file).unlink()
        return context


class TrustFile:
    """Keep a PEM file of what a client must trust, in a folder that is its owner's alone.

    The certificates that were `given` come first. The folder is removed on demand, or with this
    object, or when the process ends.
    """

    def __init__(self, given: bytes) -> None:
        self._given = given
        self._remove: finalize[..., TrustFile] | None = None
        self._path = Path()

    def path(self, pem: bytes) -> Path:
        """Return the path of the file, which is made with these certificates too if need be."""
        if self._remove is None:
            folder = Path(mkdtemp(prefix="keyfactor-mock-"))
            self._remove = finalize(self, _remove, folder, os.getpid())
            self._path = folder / "ca.pem"
            self._path.write_bytes(self._given + pem)
        return self._path

    def remove(self) -> None:
        """Remove the folder, if it was made."""
        if self._remove is not None:
            self._remove()
        self._remove = None


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child leaves it to the parent
        shutil.rmtree(folder, ignore_errors=True)


class _Issued(NamedTuple):
    """A certificate and its key, as PEM."""

    key: bytes
    certificate: bytes


def _leaf(authority: _Issued, names: Iterable[str], begin: datetime) -> _Issued:
    """Issue a certificate for the names, those too that `CA.issue_cert` refuses (`mail_1.test`)."""
    from cryptography import x509  # noqa: PLC0415  # see below
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509 import oid  # noqa: PLC0415

    issuer = x509.load_pem_x509_certificate(authority.certificate).subject
    signer: Any = serialization.load_pem_private_key(authority.key, None)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, "keyfactor-mock")])
    number, end = x509.random_serial_number(), begin + _VALIDITY
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), number, begin, end)
    # RFC 5280, 4.2: what verifiers look for, those that are strict too.
    for extension in (
        x509.SubjectAlternativeName([_general_name(name) for name in names]),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]),
    ):
        builder = builder.add_extension(extension, critical=False)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    return _Issued(secret, builder.sign(signer, hashes.SHA256()).public_bytes(pem))


def _checked(name: str) -> str:
    """Return a host as a certificate has it; CertificateError for what is none."""
    try:
        bare = host_name(name).strip("[]")
        _general_name(bare)
    except ValueError:
        text = f"the TLS name {name!r}: neither a host name nor an IP address"
        raise CertificateError(text) from None
    return bare


def _general_name(name: str) -> "x509.GeneralName":
    """Return a host in ASCII, or an IP address, as certificates have it; ValueError for others."""
    from cryptography import x509  # noqa: PLC0415  # see below

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        if not _HOST_NAME.fullmatch(name):
            raise
        return x509.DNSName(name)


def _new_authority() -> _Issued:
    # Imported when first needed: it takes as long as half of the rest of the program.
    import trustme  # noqa: PLC0415  # see above

    made = trustme.CA(organization_name="keyfactor-mock", key_type=trustme.KeyType.ECDSA)
    return _Issued(made.private_key_pem.bytes(), made.cert_pem.bytes())


if __name__ == "__main__":  # for `prepare`
    sys.stdout.buffer.write(b"".join(_new_authority()))

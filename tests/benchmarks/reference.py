"""What the mock is measured against: cryptography, aiosmtplib with aiosmtpd, uvicorn."""

import asyncio
import datetime as dt
import inspect
import socket
import ssl
import threading
import time
from functools import cache
from typing import Any, Self

import aiosmtplib
import uvicorn
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from starlette.applications import Starlette

HOST = "relay.test"
MAIL = (
    b"From: Keyfactor Command <jsmith@keyexample.com>\r\nTo: mjones@keyexample.com\r\n"
    b"Subject: Test\r\n\r\nThis is a test message.\r\n"
)


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def issued(csr: str) -> str:
    """Issue a certificate for a request by cryptography alone, with the extensions of ours."""
    request = x509.load_pem_x509_csr(csr.encode())
    if not request.is_signature_valid:
        raise ValueError
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    public, now = request.public_key(), dt.datetime.now(dt.UTC)
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Bare CA")])
    builder = x509.CertificateBuilder(
        issuer, request.subject, public, x509.random_serial_number(), now, now + dt.timedelta(365)
    )
    usage = dict.fromkeys(inspect.signature(x509.KeyUsage).parameters, False)
    for extension in (
        x509.AuthorityKeyIdentifier.from_issuer_public_key(_key().public_key()),
        x509.SubjectKeyIdentifier.from_public_key(public),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.KeyUsage(**{**usage, "digital_signature": True}),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        names.value,
    ):
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(_key(), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


class _Handler:
    async def handle_DATA(self, *_: Any) -> str:  # noqa: ANN401, N802  # aiosmtpd's form
        return "250 OK"


async def exchange(server: ssl.SSLContext | None, client: ssl.SSLContext | None) -> None:
    """Deliver one mail over a socket pair, with STARTTLS where there are contexts."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    await loop.connect_accepted_socket(
        lambda: SMTP(_Handler(), hostname=HOST, tls_context=server, loop=loop), sock=ours
    )
    smtp = aiosmtplib.SMTP(
        hostname=HOST,
        port=None,
        sock=theirs,
        local_hostname="client.test",
        start_tls=client is not None,
        tls_context=client,
    )
    async with smtp:
        await smtp.sendmail("jsmith@keyexample.com", ["mjones@keyexample.com"], MAIL)


class UvicornThread:
    """Run uvicorn's own server in a thread, as fixtures usually do."""

    def __enter__(self) -> Self:
        config = uvicorn.Config(Starlette(), port=0, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.0001)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

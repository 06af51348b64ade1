"""Certificates: verified by the standard library and by openssl."""

import asyncio
import gc
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from mockserver.base.certificates import Authority, Kind, TrustFile


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(ours, server_side=True).close()
        except OSError:
            ours.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(theirs, server_hostname=name) as encrypted:
            return encrypted.version()
    finally:
        theirs.close()
        thread.join()


@pytest.mark.parametrize(
    "name",
    [
        *("relay.test", "127.0.0.1", "::1", "xn--bcher-kva.example", "mail_1.test", "ab--cd.test"),
        *("_x", "xn--a.test", ".".join(["x" * 62] * 4)),
    ],
)
def test_a_good_certificate_is_verified_against_its_host(authority: Authority, name: str) -> None:
    version = shake_hands(authority.server_context(name), authority.client_context(), name)
    assert version == "TLSv1.3"


@pytest.mark.parametrize("python", [sys.executable, "/no/python", shutil.which("false")])
def test_an_authority_is_made_in_another_process_where_one_can(
    monkeypatch: pytest.MonkeyPatch, python: str
) -> None:
    can = python == sys.executable
    monkeypatch.setattr(sys, "executable", python)
    made = Authority()
    asyncio.run(made.prepare())
    assert ("_trusted" in vars(made)) is can
    assert shake_hands(made.server_context("a.test"), made.client_context(), "a.test")


def test_an_authority_that_was_asked_for_stays() -> None:
    made = Authority()
    pem = made.pem
    asyncio.run(made.prepare())
    assert made.pem == pem


def test_a_certificate_is_good_for_a_strict_client(authority: Authority) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=authority.pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert shake_hands(authority.server_context("relay.test"), client, "relay.test")


@pytest.mark.parametrize("name", ["a b", "", ".", "a..b", "bücher.example", "a/b", "a\n"])
def test_what_is_no_name_has_no_certificate(authority: Authority, name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        authority.server_context(name)


def test_one_certificate_can_have_several_names(authority: Authority) -> None:
    server = authority.server_context("localhost", "127.0.0.1", "mock.test")
    for name in ("localhost", "127.0.0.1", "mock.test"):
        assert shake_hands(server, authority.client_context(), name)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("expired", 10), ("name", 62), ("untrusted", 20)],
)
def test_a_bad_certificate_is_bad_in_its_own_way(
    authority: Authority, kind: Kind, code: int
) -> None:
    server = authority.server_context("relay.test", kind=kind)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_hands(server, authority.client_context(), "relay.test")
    assert caught.value.verify_code == code


def test_old_tls_versions_are_refused(authority: Authority) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(cadata=authority.pem.decode())
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"(?i)alert|protocol|ciphers|reset|eof"):
        shake_hands(authority.server_context("relay.test"), old, "relay.test")


def test_a_host_keeps_its_certificate_until_256_others_came() -> None:
    authority = Authority()
    first = authority.server_context("first.test")
    second = authority.server_context("second.test")
    for number in range(256 - 2):
        authority.server_context(f"host{number}.test")
    assert authority.server_context("first.test") is first
    authority.server_context("one-more.test")
    assert authority.server_context("first.test") is first
    assert authority.server_context("second.test") is not second


def test_no_key_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Authority().server_context("relay.test")
    assert list(tmp_path.iterdir()) == []


def test_openssl_reads_the_authority_as_one(authority: Authority) -> None:
    command: list[Any] = ["openssl", "x509", "-noout", "-ext", "basicConstraints"]
    shown = subprocess.run(command, input=authority.pem, capture_output=True, check=True)
    assert b"CA:TRUE" in shown.stdout


def test_what_a_client_must_trust_is_in_a_file_of_the_owner_until_it_is_removed() -> None:
    kept = TrustFile(b"given\n")
    path = kept.path(b"own\n")
    assert path.read_bytes() == b"given\nown\n"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert kept.path(b"another\n") == path
    kept.remove()
    assert not path.parent.exists()
    later = kept.path(b"later\n")
    assert later.read_bytes() == b"given\nlater\n"
    del kept
    gc.collect()
    assert not later.parent.exists()


def test_a_file_that_nobody_asked_for_has_nothing_to_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    TrustFile(b"").remove()
    assert list(tmp_path.iterdir()) == []

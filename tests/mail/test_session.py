"""The sink against clients that are not ours: smtplib, raw sockets, swaks, curl and openssl."""

import asyncio
import base64
import gc
import logging
import shutil
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.base.certificates import Authority
from mockserver.journal.message import Message
from mockserver.journal.state import State, States
from mockserver.journal.trace import Endpoint
from mockserver.mail.connection import _MAX_AUTH_LINE, MAX_LINE
from mockserver.mail.session import _MAX_COMMANDS
from mockserver.mail.sink import Sink
from mockserver.world.loading import load
from support import NO_TOKENS, part_of

AUTHORITY = Authority()
MAIL = b"Subject: hello\r\n\r\n.dot\r\nJ\xc3\xb6rg\r\n"


def state_of(relay: dict[str, Any] | None = None) -> State:
    return States(load({"relays": {"*": relay or {}}})).get()


class Running:
    """A sink on real ports, on a loop of its own in a thread."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.loop = asyncio.new_event_loop()
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.sink = Sink(AUTHORITY, NO_TOKENS)
        self.port = 0
        self.tls_port = 0

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run on the loop of the sink."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def start(self) -> None:
        """Listen on two free ports."""
        self.thread.start()
        self.port, self.tls_port = self.open(), self.open(implicit=True)

    def open(self, *, implicit: bool = False) -> int:
        """Listen on a free port, and return it."""
        sock = socket.create_server(("127.0.0.1", 0))
        self.do(self.sink.listen(sock, lambda: self.state, implicit=implicit))
        return int(sock.getsockname()[1])

    def stop(self) -> None:
        """End, and leave nothing behind."""
        self.do(self.sink.close())
        self.do(no_tasks_left())
        assert not self.sink.connections
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    @property
    def messages(self) -> list[Message]:
        """All that is kept."""
        return list(self.state.journal.messages)

    def smtp(self) -> smtplib.SMTP:
        """Connect with the standard library."""
        return smtplib.SMTP("127.0.0.1", self.port, "client.test", timeout=10)

    def raw(self) -> "Raw":
        """Connect without one."""
        return Raw(self.port)


class Raw:
    """A bare connection: lines out, lines in."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.sock.makefile("rb")
        self.reply()

    def say(self, line: bytes) -> str:
        """Send a line, and return the last line of the reply."""
        self.sock.sendall(line + b"\r\n")
        return self.reply()

    def reply(self) -> str:
        """Return the last line of a reply."""
        while True:
            line = self.file.readline().decode("utf-8", "replace").rstrip("\r\n")
            if line[3:4] != "-":
                return line

    def close(self) -> None:
        """Hang up."""
        self.file.close()
        self.sock.close()


async def no_tasks_left() -> None:
    await asyncio.sleep(0.005)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@contextmanager
def running(relay: dict[str, Any] | None = None) -> Iterator[Running]:
    server = Running(state_of(relay))
    server.start()
    try:
        yield server
    finally:
        server.stop()
    gc.collect()
    assert server.errors == []


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.WARNING)
    yield
    assert caplog.get_records("call") == []


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def plain(username: str, password: str) -> bytes:
    return base64.b64encode(f"\0{username}\0{password}".encode())


def test_a_plain_mail_is_kept_as_it_came() -> None:
    with running() as server, server.smtp() as client:
        client.sendmail("a@b.test", ["c@d.test", "e@f.test"], MAIL)
        (message,) = server.messages
    assert (message.envelope.sender, message.envelope.recipients) == (
        "a@b.test",
        ("c@d.test", "e@f.test"),
    )
    assert message.raw == MAIL
    assert (message.tls_mode, message.tls_version, message.mechanism) == ("none", None, None)
    assert (message.relay, message.request_id) == (Endpoint("127.0.0.1", server.port), None)
    assert message.dialogue[-2:] == (
        ("C", f"<{len(MAIL)} octets>"),
        ("S", f"250 2.0.0 Kept as {message.id}"),
    )


def test_starttls_forgets_what_was_said_before() -> None:
    with running({"require_tls": True}) as server, server.smtp() as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH PLAIN AGEAYg==")[0] == 538
        client.mail("before@b.test")
        client.starttls(context=AUTHORITY.client_context())
        assert client.docmd("MAIL FROM:<a@b.test>")[0] == 503
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.docmd("STARTTLS")[0] == 502
        client.login("someone", "something")
        client.sendmail("a@b.test", ["c@d.test"], MAIL)
        (message,) = server.messages
    assert (message.tls_mode, message.tls_version) == ("starttls", "TLSv1.3")
    assert (message.mechanism, message.username) == ("PLAIN", "someone")
    assert message.envelope.sender == "a@b.test"


def test_starttls_forgets_a_login() -> None:
    with running({"require_auth": True}) as server, server.smtp() as client:
        client.login("someone", "something")
        client.starttls(context=AUTHORITY.client_context())
        client.ehlo()
        assert client.docmd("MAIL FROM:<a@b.test>")[0] == 530
    with running() as server, server.smtp() as client:
        client.login("someone", "something")
        client.starttls(context=AUTHORITY.client_context())
        client.sendmail("a@b.test", ["c@d.test"], MAIL)
        (message,) = server.messages
    assert (message.mechanism, message.username) == (None, None)


def test_implicit_tls_on_its_own_port() -> None:
    with (
        running() as server,
        smtplib.SMTP_SSL(
            "localhost", server.tls_port, "client.test", context=AUTHORITY.client_context()
        ) as client,
    ):
        client.login("someone", "something")
        client.sendmail("a@b.test", ["c@d.test"], MAIL)
        (message,) = server.messages
    assert (message.tls_mode, message.tls_version) == ("implicit", "TLSv1.3")


def test_what_was_sent_with_starttls_in_one_packet_is_not_obeyed() -> None:
    with running() as server:
        client = Raw(server.port)
        client.say(b"EHLO client.test")
        client.sock.sendall(b"STARTTLS\r\nMAIL FROM:<injected@b.test>\r\n")
        assert client.reply().startswith("220")
        context = AUTHORITY.client_context()
        with context.wrap_socket(client.sock, server_hostname="localhost") as encrypted:
            encrypted.sendall(b"EHLO client.test\r\n")
            assert encrypted.recv(4).startswith(b"250")
            encrypted.recv(4096)
            encrypted.sendall(b"RCPT TO:<c@d.test>\r\n")
            assert encrypted.recv(4096).startswith(b"503")
        client.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("name", ["KEYEXAMPLE\\mail", "keyexample\\MAIL"])
def test_a_login_is_checked_against_the_accounts(mechanism: str, name: str) -> None:
    accounts = {"KEYEXAMPLE\\mail": {"password": "pässword", "senders": ["*@b.test"]}}
    relay = {"accounts": accounts, "mechanisms": [mechanism], "require_auth": True}
    with running(relay) as server, server.smtp() as client:
        assert client.docmd("EHLO x")[1].endswith(f"AUTH {mechanism}\n8BITMIME".encode())
        assert client.docmd("MAIL FROM:<a@b.test>") == (530, b"5.7.0 Authentication required")
        client.user, client.password = name, "wrong"
        check = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            client.auth(mechanism, check)
        assert caught.value.smtp_code == 535
        blob = [base64.b64encode(part.encode()).decode() for part in (name, "pässword")]
        if mechanism == "PLAIN":
            assert client.docmd("AUTH PLAIN", plain(name, "pässword").decode())[0] == 235
        else:
            assert client.docmd("AUTH login") == (334, b"VXNlcm5hbWU6")
            assert client.docmd(blob[0]) == (334, b"UGFzc3dvcmQ6")
            assert client.docmd(blob[1])[0] == 235
        assert client.docmd("AUTH PLAIN AGEAYg==")[0] == 503
        assert client.docmd("MAIL FROM:<a@other.test>")[1].startswith(b"5.7.60")
        client.sendmail("a@b.test", ["c@d.test"], MAIL)
        (message,) = server.messages
    assert (message.mechanism, message.username) == (mechanism, name)
    shown = str(message.dialogue)
    assert "***" in shown
    assert not any(secret in shown for secret in ("pässword", *blob))


def test_what_is_no_command_is_not_recorded() -> None:
    with running() as server, server.smtp() as client:
        client.ehlo()
        assert client.docmd("hunter2")[0] == 500
        client.sendmail("a@b.test", ["c@d.test"], MAIL)
        (message,) = server.messages
    assert ("C", "***") in message.dialogue
    assert "hunter2" not in str(message.dialogue)


def test_rfc_4616_and_the_login_draft_give_these_examples() -> None:
    # RFC 4616, 4: authorization identity Ursel, user Kurt, password xipj3plmq.
    accounts = {"Kurt": {"password": "xipj3plmq"}, "tim": {"password": "tanstaaftanstaaf"}}
    with running({"accounts": accounts}) as server:
        for line in (b"VXJzZWwAS3VydAB4aXBqM3BsbXE=", b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm"):
            client = server.raw()
            client.say(b"EHLO x")
            assert client.say(b"AUTH PLAIN") == "334 "
            assert client.say(line).startswith("235")
            client.close()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([b"AUTH PLAIN AGEAYg=="], "503"),
        ([b"HELO x", b"AUTH PLAIN AGEAYg=="], "503"),
        ([b"EHLO x", b"MAIL FROM:<a@b.test>", b"AUTH PLAIN AGEAYg=="], "503"),
        ([b"EHLO x", b"AUTH"], "501"),
        ([b"EHLO x", b"AUTH CRAM-MD5"], "504"),
        ([b"EHLO x", b"AUTH PLAIN not base64"], "501"),
        ([b"EHLO x", b"AUTH PLAIN \xff\xfe"], "501"),
        ([b"EHLO x", b"AUTH PLAIN ="], "501"),
        ([b"EHLO x", b"AUTH PLAIN YQ=="], "501"),
        ([b"EHLO x", b"AUTH PLAIN", b"*"], "501"),
        ([b"EHLO x", b"AUTH LOGIN", b"YQ==", b"*"], "501"),
        ([b"EHLO x", b"AUTH PLAIN", b"A" * 20_000], "500"),
        ([b"EHLO x", b"AUTH PLAIN " + b"A" * 20_000], "500"),
        ([b"EHLO x", b"AUTH PLAIN " + plain("u", "p" * 9_000)], "235"),
    ],
    ids=lambda value: None if isinstance(value, str) else b" | ".join(value)[:60].decode("latin-1"),
)
def test_auth_is_answered_as_rfc_4954_says(lines: list[bytes], code: str) -> None:
    with running() as server:
        client = server.raw()
        replies = [client.say(line) for line in lines]
        assert replies[-1].startswith(code)
        assert client.say(b"NOOP").startswith("250")
        client.close()


def test_auth_lines_may_have_12288_octets_and_others_1000() -> None:
    with running() as server:
        client = server.raw()
        client.say(b"EHLO x")
        start = b"AUTH PLAIN "
        whole = start + b"A" * (_MAX_AUTH_LINE - 2 - len(start))
        assert client.say(whole).startswith("501")
        assert client.say(whole + b"A").startswith("500")
        assert client.say(b"NOOP " + b"x" * (MAX_LINE - 7)).startswith("250")
        assert client.say(b"NOOP " + b"x" * (MAX_LINE - 6)).startswith("500")
        client.close()


def test_a_relay_without_mechanisms_knows_no_auth() -> None:
    with running({"mechanisms": []}) as server, server.smtp() as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH XOAUTH2 YQ==")[0] == 502


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        ("XOAUTH2", b"user=u\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"n,a=u,\x01auth=Bearer x\x01\x01"),
    ],
)
def test_a_sink_without_an_identity_provider_takes_no_token(
    mechanism: str, response: bytes
) -> None:
    with running() as server, server.smtp() as client:
        client.ehlo()
        code, challenge = client.docmd(f"AUTH {mechanism} {base64.b64encode(response).decode()}")
        assert (code, "openid-configuration" in base64.b64decode(challenge).decode()) == (
            334,
            False,
        )
        assert client.docmd("")[0] == 535


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"MAIL FROM:<>", "250"),
        (b'MAIL FROM:<"a b"@c.test>', "250"),
        (b"MAIL FROM:<word>", "250"),
        (b"mail from:<a@b.test> SIZE=100 BODY=8BITMIME", "250"),
        ("MAIL FROM:<jörg@bücher.example> SMTPUTF8".encode(), "250"),
        ("MAIL FROM:<jörg@b.test>".encode(), "553"),
        (b"MAIL FROM:<\xff@b.test> SMTPUTF8", "553"),
        (b"MAIL FROM:<a@b.test> SIZE=10485761", "552"),
        (b"MAIL FROM:a@b.test", "553"),
        (b"MAIL FROM:<a@b.test", "553"),
        (b"MAIL FROM:<a@b\x00.test>", "553"),
        (b"MAIL FROM:<@relay.test:>", "553"),
        (b"MAIL FROM: <a@b.test>", "250"),
        (b"MAIL TO:<a@b.test>", "501"),
        (b"MAIL", "501"),
        (b"DATA", "503"),
        (b"VRFY \xff", "252"),
        (b"EHLO", "501"),
        (b"STARTTLS now", "501"),
        (b"AUTHORITY", "500"),
        (b"", "500"),
        (b"\xff\xfe\x00", "500"),
        (b"GET / HTTP/1.1", "500"),
        (b"x" * 1_000_000, "500"),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_each_line_gets_its_reply(line: bytes, code: str) -> None:
    with running() as server:
        client = server.raw()
        client.say(b"EHLO x")
        reply = client.say(line)
        assert reply.startswith(code), reply
        assert client.say(b"RSET").startswith("250")
        assert client.say(b"RSET now").startswith("501")
        client.close()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"RCPT TO:<>", "553"),
        ("RCPT TO:<jörg@b.test>".encode(), "553"),
        (b'RCPT TO:<"a\\"b"@c.test>', "250"),
        (b"MAIL FROM:<again@b.test>", "503"),
        (b"DATA", "503"),
    ],
)
def test_each_line_after_mail_gets_its_reply(line: bytes, code: str) -> None:
    with running() as server:
        client = server.raw()
        for before in (b"EHLO x", b"MAIL FROM:<>"):
            client.say(before)
        assert client.say(line).startswith(code)
        client.close()


def test_the_envelope_is_kept_to_the_letter() -> None:
    sender, recipient = '"a  \\"b"@c.test', "jörg@bücher.example"
    with running() as server, server.smtp() as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        client.mail(sender, ["SMTPUTF8", "BODY=8BITMIME"])
        assert client.docmd(f"RCPT TO:<{recipient}>")[0] == 250
        assert client.data(MAIL)[0] == 250
        assert client.docmd("MAIL FROM:<>")[0] == 250
        client.rcpt("c@d.test")
        assert client.docmd("DATA now")[0] == 501
        client.data(MAIL)
        first, second = server.messages
    assert (first.envelope.sender, first.envelope.recipients) == (sender, (recipient,))
    assert (second.envelope.sender, second.envelope.recipients) == ("", ("c@d.test",))


PARAMETERS = {
    "250": [
        "AUTH=<>",
        "auth=<>",
        "AUTH=e+3Dmc2@example.com",  # RFC 4954, 5.1
        "SIZE=0",
        "size=00000000000000000100",
        "BODY=7BIT",
        "body=8bitmime",
        "SMTPUTF8",
        "smtputf8",
        "AUTH=<> SIZE=1  Body=8BitMime SMTPUTF8",
    ],
    "501": [
        "AUTH",
        "AUTH=",
        "AUTH=a=b",
        "AUTH=a+3db",
        "AUTH=a+",
        "AUTH=jörg@b.test",
        "AUTH=<> auth=<>",
        "SIZE",
        "SIZE=",
        "SIZE=-1",
        "SIZE=²",
        "SIZE=000000000000000000100",
        "SIZE=1 size=1",
        "BODY",
        "BODY=BINARYMIME",
        "BODY=7BIT BODY=7BIT",
        "SMTPUTF8=",
        "SMTPUTF8=yes",
        "SMTPUTF8 smtputf8",
    ],
    "552": ["SIZE=10485761", "SIZE=99999999999999999999"],
    "555": ["FOO", "FOO=1", "=1", "=", "RET=FULL", "ENVID=x", "8BITMIME", "STARTTLS", "SIZE:1"],
}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [(parameters, code) for code, each in PARAMETERS.items() for parameters in each],
)
def test_each_parameter_of_mail_is_read_as_its_rfc_says(parameters: str, code: str) -> None:
    with running() as server:
        client = server.raw()
        client.say(b"EHLO x")
        line = f"MAIL FROM:<a@b.test> {parameters}"
        assert client.say(line.encode()).startswith(code)
        client.say(b"MAIL FROM:<a@b.test>")
        client.say(b"RCPT TO:<c@d.test>")
        client.say(b"DATA")
        client.say(b".")
        client.close()
        assert ("C", line) in server.messages[0].dialogue


@pytest.mark.parametrize(
    ("relay", "hello", "parameter"),
    [
        ({"smtputf8": False}, "EHLO x", "SMTPUTF8"),
        ({"mechanisms": []}, "EHLO x", "AUTH=<>"),
        ({"require_tls": True}, "EHLO x", "AUTH=<>"),
        *(({}, "HELO x", each) for each in ("SIZE=1", "BODY=7BIT", "SMTPUTF8", "AUTH=<>")),
    ],
)
def test_a_parameter_goes_with_what_ehlo_offers(
    relay: dict[str, Any], hello: str, parameter: str
) -> None:
    with running(relay) as server, server.smtp() as client:
        client.docmd(hello)
        assert client.docmd(f"MAIL FROM:<a@b.test> {parameter}")[0] == 555
        client.starttls(context=AUTHORITY.client_context())
        client.docmd("EHLO x")
        offered = client.docmd(f"MAIL FROM:<a@b.test> {parameter}")[0] == 250
        assert offered is ("smtputf8" not in relay and "mechanisms" not in relay)


@pytest.mark.parametrize("parameter", ["NOTIFY=NEVER", "ORCPT=rfc822;c@d.test", "SIZE=1", "x"])
def test_rcpt_has_no_parameters(parameter: str) -> None:
    with running() as server, server.smtp() as client:
        client.ehlo()
        client.mail("a@b.test")
        assert client.docmd(f"RCPT TO:<c@d.test> {parameter}")[0] == 555
        assert client.docmd("RCPT TO:<c@d.test> ")[0] == 250


def test_a_source_route_is_taken_off() -> None:
    with running() as server, server.smtp() as client:
        client.ehlo()
        # RFC 5321, appendix C
        assert client.docmd("MAIL FROM:<@one.test:a@b.test>")[0] == 250
        assert client.docmd("RCPT TO:<@one.test,@two.test:c@d.test>")[0] == 250
        assert client.docmd('RCPT TO:<@one.test:"@x:y"@d.test>')[0] == 250
        client.data(MAIL)
        (message,) = server.messages
    assert message.envelope.sender == "a@b.test"
    assert message.envelope.recipients == ("c@d.test", '"@x:y"@d.test')


def test_verbs_that_only_inform_are_answered_at_any_time() -> None:
    with running() as server, server.smtp() as client:
        for _ in range(2):
            assert client.verify("mjones@keyexample.com")[0] == 252
            assert client.docmd("VRFY")[0] == 501
            assert client.expn("staff")[0] == 502
            assert client.docmd("NOOP", "with a text")[0] == 250
            assert client.noop()[0] == 250
            verbs = {line.split()[1] for line in client.help().decode().splitlines()}
            assert verbs >= {"EHLO", "HELO", "MAIL", "RCPT", "DATA", "AUTH", "STARTTLS", "QUIT"}
            assert client.docmd("HELP", "mail") == (214, b"2.0.0 MAIL FROM:<address> [parameters]")
            assert client.docmd("HELP", "me")[0] == 214
            client.ehlo()


def test_a_relay_may_know_helo_only() -> None:
    with running({"esmtp": False}) as server, server.smtp() as client:
        assert client.docmd("EHLO x")[0] == 502
        assert client.docmd("STARTTLS")[0] == 502
        assert client.docmd("AUTH PLAIN AGEAYg==")[0] == 503
        assert client.docmd("HELO x") == (250, b"[127.0.0.1]")
        client.sendmail("a@b.test", ["c@d.test"], MAIL.replace("ö".encode(), b"o"))
        assert len(server.messages) == 1


def test_who_refuses_ehlo_refuses_helo_too() -> None:
    with running({"replies": {"ehlo": "502 5.5.1 No"}}) as server, server.smtp() as client:
        with pytest.raises(smtplib.SMTPHeloError):
            client.ehlo_or_helo_if_needed()
        assert client.docmd("MAIL FROM:<a@b.test>")[0] == 503


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1", "[127.0.0.1]"),
        ("::1", "[IPv6:::1]"),
        ("[2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ("Relay.Test.", "relay.test"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
    ],
)
def test_an_address_is_a_literal_where_the_relay_says_its_name(host: str, name: str) -> None:
    async def names() -> list[str]:
        state, sink = state_of(), Sink(AUTHORITY, NO_TOKENS)
        sock = await sink.connect(part_of(state, host))
        reader, writer = await asyncio.open_connection(sock=sock)
        writer.write(b"EHLO x\r\nHELO x\r\nQUIT\r\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        await writer.wait_closed()
        await sink.close()
        return lines

    greeting, ehlo, *_, helo, _ = asyncio.run(names())
    assert greeting == f"220 {name} ESMTP keyfactor-mock"
    assert ehlo == f"250-{name}"
    assert helo == f"250 {name}"


REPLY = "550 5.7.1 Relaying denied\n550-5.7.1 Ask postmaster@relay.test\n550 5.7.1 or go\n"


@pytest.mark.parametrize("stage", ["greeting", "mail", "data"])
@pytest.mark.parametrize("reply", [REPLY, {"first": 1, "reply": REPLY}], ids=["always", "first"])
def test_a_reply_may_have_several_lines(stage: str, reply: object) -> None:
    text = b"5.7.1 Relaying denied\n5.7.1 Ask postmaster@relay.test\n5.7.1 or go"
    with running({"replies": {stage: reply}}) as server:
        if stage == "greeting":
            with pytest.raises(smtplib.SMTPConnectError) as caught:
                server.smtp()
            assert (caught.value.smtp_code, caught.value.smtp_error) == (550, text)
            return
        with server.smtp() as client:
            client.ehlo()
            replies = [client.mail("a@b.test"), client.rcpt("c@d.test")]
            replies += [client.data(MAIL)] if stage == "data" else []
        assert (550, text) in replies


def test_without_smtputf8_the_extension_is_refused() -> None:
    with running({"smtputf8": False}) as server, server.smtp() as client:
        client.ehlo()
        assert not client.has_extn("smtputf8")
        assert client.docmd("MAIL FROM:<a@b.test> SMTPUTF8")[0] == 555


def test_recipients_are_bounded() -> None:
    with running() as server, server.smtp() as client:
        refused = client.sendmail("a@b.test", [f"r{n}@d.test" for n in range(102)], MAIL)
        assert set(refused.values()) == {(452, b"4.5.3 Too many recipients")}
        assert len(server.messages[0].envelope.recipients) == 100


def test_commands_are_bounded() -> None:
    with running() as server:
        client = server.raw()
        for _ in range(_MAX_COMMANDS):
            client.say(b"NOOP")
        assert client.reply() == "421 4.7.0 Too many commands"
        assert client.file.read() == b""
        client.close()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"x" * 998 + b"\r\n", 250),
        (b"." + b"x" * 997 + b"\r\n", 250),
        (b"x" * 999 + b"\r\n", 500),
        (b"x" * 1_000_000 + b"\r\nrest\r\n", 500),
        (b"x" * 98 + b"\r\n", 250),
        ((b"x" * 98 + b"\r\n") * 30, 552),
        ((b"x" * 98 + b"\r\n") * 20, 250),
        ((b"x" * 98 + b"\r\n") * 20 + b"\r\n", 552),
    ],
    ids=[
        "998",
        "998 with a dot",
        "999",
        "a million",
        "small",
        "over max_size",
        "max_size",
        "2,002",
    ],
)
def test_lines_and_size_of_a_message_are_bounded(content: bytes, code: int) -> None:
    with running({"max_size": 2_000}) as server, server.smtp() as client:
        client.ehlo()
        for _ in range(2):
            client.mail("a@b.test")
            client.rcpt("c@d.test")
            assert client.data(content)[0] == code
        assert [message.raw for message in server.messages] == [content] * 2 * (code == 250)


# What other servers took for the end of a message, so that a second one could be smuggled in.
NOT_THE_END = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\n\n.\r\n",
]


@pytest.mark.parametrize("end", NOT_THE_END)
def test_only_cr_lf_dot_cr_lf_ends_a_message(end: bytes) -> None:
    smuggled = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nSubject: evil"
    with running() as server:
        client = server.raw()
        for line in (b"EHLO x", b"MAIL FROM:<a@b.test>", b"RCPT TO:<c@d.test>", b"DATA"):
            client.say(line)
        reply = client.say(b"Subject: one\r\n\r\nfirst" + end + smuggled + b"\r\n.")
        assert reply == "554 5.6.0 A CR or LF stands alone; each line must end with CR LF"
        assert client.say(b"NOOP").startswith("250")
        client.close()
        assert server.messages == []


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"\n\r\n", b"\r\r\n"])
def test_a_bare_cr_or_lf_is_refused_and_the_session_goes_on(content: bytes) -> None:
    with running() as server:
        client = server.raw()
        client.say(b"EHLO x")
        for text, code in ((content, "554"), (b"fine\r\n", "250")):
            for line in (b"MAIL FROM:<a@b.test>", b"RCPT TO:<c@d.test>", b"DATA"):
                client.say(line)
            assert client.say(text + b".").startswith(code)
        client.close()
        assert [message.raw for message in server.messages] == [b"fine\r\n"]


def said(message: Message) -> list[str]:
    return [line for _, line in message.dialogue]


def test_a_message_has_its_own_part_of_the_dialogue_and_the_beginning() -> None:
    with running() as server, server.smtp() as client:
        client.ehlo()
        for _ in range(300):
            client.mail("a@b.test")
            client.rcpt("c@d.test")
            client.data(MAIL)
        messages = server.messages
    assert len(messages) == 300
    beginning = said(messages[0])[:-8]
    assert (beginning[0][:3], beginning[1], beginning[-1]) == (
        "220",
        "ehlo client.test",
        "250 8BITMIME",
    )
    for message in messages:
        assert said(message) == [
            *beginning,
            *("mail FROM:<a@b.test>", "250 2.1.0 OK", "rcpt TO:<c@d.test>", "250 2.1.5 OK"),
            *("data", "354 End data with <CR><LF>.<CR><LF>", f"<{len(MAIL)} octets>"),
            f"250 2.0.0 Kept as {message.id}",
        ]


def test_every_message_shows_how_its_session_came_to_tls_and_login() -> None:
    with running() as server, server.smtp() as client:
        steps: list[Callable[[], object]] = [
            client.ehlo,
            lambda: client.starttls(context=AUTHORITY.client_context()),
            client.ehlo,
            lambda: client.login("someone", "something"),
            client.noop,
        ]
        for prepare in steps:
            prepare()
            client.ehlo_or_helo_if_needed()
            client.sendmail("a@b.test", ["c@d.test"], MAIL)
        first, tls, again, login, last = map(said, server.messages)
    assert "STARTTLS" not in first
    for later in (tls, again, login, last):
        assert "STARTTLS" in later
    for later in (login, last):
        assert "235 2.7.0 Authentication successful" in later
    assert "noop" in last
    assert [sum(line.startswith("354") for line in lines) for lines in (again, last)] == [1, 1]


@pytest.mark.parametrize("stage", ["ehlo", "starttls", "auth", "mail", "rcpt", "data"])
def test_a_relay_says_its_own_reply_the_first_time(stage: str) -> None:
    reply = {"reply": "451 4.7.1 Not now", "first": 1}
    with running({"replies": {stage: reply}}) as server:
        client = server.raw()
        lines = {
            "ehlo": b"EHLO x",
            "auth": b"AUTH PLAIN AGEAYg==",
            "mail": b"MAIL FROM:<a@b.test>",
            "rcpt": b"RCPT TO:<c@d.test>",
            "data": b"DATA",
            "starttls": b"STARTTLS",
        }
        for step, line in lines.items():
            for attempt in range(2 if step == stage else 1):
                if step == "data" and attempt:
                    client.say(lines["mail"])
                    client.say(lines["rcpt"])
                answer = client.say(line)
                if answer.startswith("354"):
                    answer = client.say(b"x\r\n.")
                expected = "451 4.7.1 Not now" if step == stage and not attempt else "2"
                assert answer.startswith(expected)
        client.close()
        assert len(server.messages) == 1


def test_each_stage_of_a_relay_counts_for_itself() -> None:
    replies = {name: {"reply": "451 4.7.1 Not now", "first": 1} for name in ("mail", "rcpt")}
    with running({"replies": replies}) as server:
        client = server.raw()
        client.say(b"EHLO x")
        for line in (b"MAIL FROM:<a@b.test>", b"RCPT TO:<c@d.test>"):
            assert [client.say(line)[:3] for _ in range(2)] == ["451", "250"]
        client.close()


def test_a_greeting_that_refuses_closes_the_connection() -> None:
    with running({"replies": {"greeting": "421 4.3.2 Not available"}}) as server:
        with pytest.raises(smtplib.SMTPConnectError) as caught:
            server.smtp()
        assert caught.value.smtp_code == 421


def test_a_421_is_the_last_reply() -> None:
    with running({"replies": {"mail": "421 4.7.0 Enough"}}) as server:
        client = server.raw()
        client.say(b"EHLO x")
        client.sock.sendall(b"MAIL FROM:<a@b.test>\r\nNOOP\r\nNOOP\r\n")
        assert client.file.read() == b"421 4.7.0 Enough\r\n"
        client.close()


def test_a_relay_may_drop_the_message_and_the_connection() -> None:
    with running({"fault": "dropped"}) as server:
        client = server.smtp()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail("a@b.test", ["c@d.test"], MAIL)
        client.close()
        assert server.messages == []


def test_a_relay_may_never_speak() -> None:
    with (
        running({"fault": "timeout"}) as server,
        socket.create_connection(("127.0.0.1", server.port), 0.1) as sock,
        pytest.raises(TimeoutError),
    ):
        sock.recv(1)


def test_a_relay_may_be_slow_at_each_stage() -> None:
    with running({"delay": 0.05}) as server:
        begin = time.monotonic()
        with server.smtp() as client:
            client.sendmail("a@b.test", ["c@d.test"], MAIL)
        assert time.monotonic() - begin >= 0.25


IDLE = {
    "nothing": b"",
    "half a line": b"EHLO",
    "a command": b"EHLO x\r\n",
    "a login": b"EHLO x\r\nAUTH LOGIN\r\n",
    "a message": b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nhalf a li",
}


@pytest.mark.parametrize("sent", IDLE.values(), ids=IDLE)
def test_an_idle_session_is_told_why_it_ends(sent: bytes) -> None:
    with running({"idle_timeout": 0.4, "delay": 0.01}) as server:
        client = server.raw()
        client.sock.sendall(sent)
        *_, last = client.file.read().splitlines()
        assert last == b"421 4.4.2 No line came in time"
        client.close()
        eventually(lambda: not server.sink.connections)


def test_a_client_that_sends_lines_slowly_is_not_idle() -> None:
    with running({"idle_timeout": 1}) as server:
        client = server.raw()
        begin = time.monotonic()
        while time.monotonic() - begin < 1.2:
            assert client.say(b"NOOP").startswith("250")
            time.sleep(0.05)
        for line in (b"EHLO x", b"MAIL FROM:<a@b.test>", b"RCPT TO:<c@d.test>", b"DATA"):
            client.say(line)
        while time.monotonic() - begin < 2.4:
            client.sock.sendall(b"a line of many\r\n")
            time.sleep(0.05)
        assert client.say(b".").startswith("250")
        client.close()
        assert len(server.messages) == 1


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_that_reads_nothing_does_not_stay(new_loop: Callable[[], Any]) -> None:
    reply = "\n".join(["550 " + "x" * 490] * 8)  # so that many do not fit where they wait
    state = state_of({"idle_timeout": 0.2, "replies": {"ehlo": reply}})

    async def flood() -> None:
        sink = Sink(AUTHORITY, NO_TOKENS)
        with await sink.connect(part_of(state)) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, b"EHLO x\r\n" * 900)
            async with asyncio.timeout(5):
                while sink.connections:  # noqa: ASYNC110  # as a user would see it
                    await asyncio.sleep(0.01)
        await sink.close()
        await no_tasks_left()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(flood())
    gc.collect()


def test_a_client_that_does_not_end_tls_does_not_stay() -> None:
    with running({"idle_timeout": 0.1}) as server:
        context = AUTHORITY.client_context()
        with (
            socket.create_connection(("127.0.0.1", server.tls_port), 5) as plain_sock,
            context.wrap_socket(plain_sock, server_hostname="localhost"),
        ):
            eventually(lambda: not server.sink.connections)


def test_a_relay_that_never_speaks_says_nothing_at_the_end_either() -> None:
    with (
        running({"fault": "timeout", "idle_timeout": 0.1}) as server,
        socket.create_connection(("127.0.0.1", server.port), 5) as sock,
    ):
        assert sock.recv(100) == b""


@pytest.mark.parametrize("fault", ["refused", "unresolvable"])
@pytest.mark.parametrize("implicit", [False, True], ids=["plain", "implicit"])
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_relay_that_refuses_resets_what_comes_to_its_port(
    fault: str, new_loop: Callable[[], Any], *, implicit: bool
) -> None:
    async def knock() -> None:
        state, sink = state_of({"fault": fault}), Sink(AUTHORITY, NO_TOKENS)
        listener = socket.create_server(("127.0.0.1", 0))
        await sink.listen(listener, lambda: state, implicit=implicit)
        with socket.create_connection(listener.getsockname()) as sock:
            sock.setblocking(False)
            async with asyncio.timeout(5):
                with pytest.raises(ConnectionResetError):
                    await asyncio.get_running_loop().sock_recv(sock, 1)
        while sink.connections:  # noqa: ASYNC110  # as a user would see it
            await asyncio.sleep(0.01)
        await sink.close()
        await no_tasks_left()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(knock())
    gc.collect()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"EHLO x\r\n",
        b"EHLO x\r\nAUTH LOGIN\r\n",
        b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nhalf a li",
        b"EHLO x\r\nSTARTTLS\r\n",
        b"STARTTLS\r\n\x16\x03\x01\x00\x05hello",
        b"STARTTLS\r\n\x16\x03\x01\xff\xff" + b"x" * 100_000,
    ],
    ids=["nothing", "ehlo", "auth", "data", "starttls", "bad hello", "long hello"],
)
@pytest.mark.parametrize("how", ["close", "reset", "half close"])
@pytest.mark.parametrize("implicit", [False, True], ids=["plain", "implicit"])
def test_a_client_that_goes_away_leaves_nothing(sent: bytes, how: str, *, implicit: bool) -> None:
    with running() as server:
        port = server.tls_port if implicit else server.port
        with socket.create_connection(("127.0.0.1", port)) as sock:
            eventually(lambda: bool(server.sink.connections))
            if how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            try:
                for line in sent.splitlines(keepends=True):
                    sock.sendall(line)
                    time.sleep(0.002)
            except OSError:
                assert implicit or b"\x16" in sent
            if how == "half close":
                sock.settimeout(5)
                try:
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(4096):
                        pass
                except OSError:
                    assert implicit or b"\x16" in sent
        eventually(lambda: not server.sink.connections)


def test_a_client_that_does_not_trust_us_leaves_nothing() -> None:
    stranger = ssl.create_default_context()
    with running() as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            smtplib.SMTP_SSL("localhost", server.tls_port, context=stranger)
        with server.smtp() as client, pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=stranger)
        eventually(lambda: not server.sink.connections)


def test_closing_ends_sessions_in_every_state() -> None:
    with running() as server:
        waiting = [server.raw() for _ in range(3)]
        waiting[1].say(b"STARTTLS")
        hello = socket.create_connection(("127.0.0.1", server.tls_port))
        eventually(lambda: len(server.sink.connections) == 4)
    left = [client.file.read() for client in waiting]
    for client in waiting:
        client.close()
    hello.close()
    leave = b"421 4.3.2 The mock is stopping\r\n"
    assert left == [leave, b"", leave]  # in a handshake there is nobody who could read it


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_handshake_that_comes_before_the_session_is_answered(
    new_loop: Callable[[], Any],
) -> None:
    async def shake_hands() -> bytes:
        state, sink = state_of(), Sink(AUTHORITY, NO_TOKENS)
        listener = socket.create_server(("127.0.0.1", 0))
        hello = ssl.MemoryBIO()
        client = AUTHORITY.client_context().wrap_bio(
            ssl.MemoryBIO(), hello, server_hostname="localhost"
        )
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        await sink.listen(listener, lambda: state, implicit=True)
        # All of it before the loop can accept.
        with socket.create_connection(listener.getsockname()) as sock:
            sock.sendall(hello.read())
            sock.setblocking(False)
            async with asyncio.timeout(5):
                answer = await asyncio.get_running_loop().sock_recv(sock, 1)
        await sink.close()
        return answer

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(shake_hands()) == b"\x16"  # RFC 8446, 5.1: a handshake record


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_handshake_that_does_not_come_ends_with_the_idle_time(
    new_loop: Callable[[], Any], *, implicit: bool
) -> None:
    async def wait() -> None:
        state, sink = state_of({"idle_timeout": 0.3}), Sink(AUTHORITY, NO_TOKENS)
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        listener = socket.create_server(("127.0.0.1", 0))
        await sink.listen(listener, lambda: state, implicit=implicit)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        async with asyncio.timeout(5):
            if not implicit:
                writer.write(b"STARTTLS\r\n")
                assert (await reader.readuntil(b"TLS\r\n")).startswith(b"220")
            # A 421 could not be told from a part of the handshake.
            assert await reader.read() == b""
            while sink.connections:  # noqa: ASYNC110  # as a user would see it
                await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        await sink.close()
        gc.collect()
        assert errors == []

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(wait())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_closing_does_not_wait_for_a_handshake(new_loop: Callable[[], Any]) -> None:
    async def close() -> None:
        state, sink = state_of(), Sink(AUTHORITY, NO_TOKENS)
        listener = socket.create_server(("127.0.0.1", 0))
        await sink.listen(listener, lambda: state, implicit=True)
        with socket.create_connection(listener.getsockname()):
            await asyncio.sleep(0.05)
            assert len(sink.connections) == 1
            async with asyncio.timeout(5):
                await sink.close()
        await no_tasks_left()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(close())
    gc.collect()


def test_a_closed_sink_begins_no_session() -> None:
    async def connect() -> bytes:
        state, sink = state_of(), Sink(AUTHORITY, NO_TOKENS)
        await sink.close()
        reader, writer = await asyncio.open_connection(sock=await sink.connect(part_of(state)))
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert not sink.connections
        return received

    assert asyncio.run(connect()) == b""


def test_a_relay_on_port_465_greets_nobody_before_tls() -> None:
    async def greeting() -> bytes:
        state, sink = state_of(), Sink(AUTHORITY, NO_TOKENS)
        reader, writer = await asyncio.open_connection(
            sock=await sink.connect(part_of(state, port=465)),
            ssl=AUTHORITY.client_context(),
            server_hostname="relay.test",
        )
        line = await reader.readline()
        await sink.close()
        writer.transport.abort()
        return line

    assert asyncio.run(greeting()).startswith(b"220 relay.test ESMTP")


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_connect_that_is_cancelled_leaves_nothing(new_loop: Callable[[], Any]) -> None:
    async def connect() -> None:
        state, sink = state_of(), Sink(AUTHORITY, NO_TOKENS)
        task = asyncio.create_task(sink.connect(part_of(state)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await no_tasks_left()
        assert not sink.connections

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(connect())
    gc.collect()


@settings(max_examples=40)  # each has a server of its own
@given(st.lists(st.binary(max_size=40), max_size=20), st.booleans())
def test_no_bytes_break_a_session(lines: list[bytes], login: bool) -> None:
    async def talk() -> None:
        state, sink = state_of(), Sink(AUTHORITY, NO_TOKENS)
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        sock = await sink.connect(part_of(state))
        reader, writer = await asyncio.open_connection(sock=sock)
        start = b"EHLO x\r\nAUTH LOGIN\r\n" if login else b"EHLO x\r\n"
        writer.write(start + b"\r\n".join(lines) + b"\r\n.\r\nQUIT\r\n")
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        await sink.close()
        gc.collect()
        assert errors == []
        await no_tasks_left()

    asyncio.run(talk())


def test_a_patched_world_counts_for_the_next_connection() -> None:
    with running() as server:
        server.state.patch_world({"relays": {"*": {"replies": {"mail": "550 5.7.1 No"}}}})
        with server.smtp() as client:
            client.ehlo()
            assert client.mail("a@b.test")[0] == 550
        server.state.patch_world({"relays": {"*": None}})
        with server.smtp() as client:
            client.ehlo()
            assert client.mail("a@b.test")[0] == 250


def test_swaks_curl_and_openssl_can_talk_to_it(tmp_path: Path) -> None:
    tools = {name: shutil.which(name) for name in ("swaks", "curl", "openssl")}
    if missing := [name for name, path in tools.items() if path is None]:
        pytest.skip(f"not installed: {missing}")
    mail = tmp_path / "mail"
    mail.write_bytes(MAIL)
    authority = tmp_path / "ca.pem"
    authority.write_bytes(AUTHORITY.pem)
    accounts = {"me": {"password": "pw"}}
    with running({"accounts": accounts, "require_auth": True}) as server:
        plain_port, tls_port = server.port, server.tls_port
        swaks = f"swaks --server 127.0.0.1:{plain_port} --from a@b.test --to c@d.test -tls"
        login = "--auth-user me --auth-password pw"
        envelope = f"--mail-from a@b.test --mail-rcpt c@d.test -T {mail}"
        curl = f"curl -sS --cacert {authority} --user me:pw {envelope}"
        openssl = f"openssl s_client -quiet -connect 127.0.0.1:{tls_port} -CAfile {authority}"
        for command in (
            f"{swaks} --auth LOGIN {login}",
            f"{swaks} --auth PLAIN {login}",
            f"{curl} smtp://localhost:{plain_port} --ssl-reqd",
            f"{curl} smtps://localhost:{tls_port}",
            f"{openssl} -verify_hostname localhost -verify_return_error",
        ):
            done = subprocess.run(
                command.split(), input=b"QUIT\r\n", capture_output=True, timeout=30, check=False
            )
            assert done.returncode == 0, (done.stdout, done.stderr)
        modes = [(message.tls_mode, message.mechanism) for message in server.messages]
    assert modes == [
        ("starttls", "LOGIN"),
        ("starttls", "PLAIN"),
        ("starttls", "PLAIN"),
        ("implicit", "PLAIN"),
    ]


def test_curl_and_swaks_use_what_is_offered(tmp_path: Path) -> None:
    tools = {name: shutil.which(name) for name in ("swaks", "curl")}
    if missing := [name for name, path in tools.items() if path is None]:
        pytest.skip(f"not installed: {missing}")
    mail = tmp_path / "mail"
    mail.write_bytes(b"Subject: hello\n\nlines that end with LF alone\n")
    with running() as server:
        curl = f"curl -sS smtp://127.0.0.1:{server.port}"
        envelope = f"--mail-from a@b.test --mail-rcpt c@d.test -T {mail}"
        swaks = f"swaks --server 127.0.0.1:{server.port} --from a@b.test --to c@d.test"
        replies = []
        for command in (
            f"{curl} {envelope} --crlf --user me:pw --mail-auth e@b.test",
            f"{curl} {envelope} --crlf --user me:pw --mail-auth ",
            f"{curl} {envelope}",
            f"{curl} --mail-rcpt mjones@keyexample.com",
            f"{curl} -X HELP",
            f"{swaks} --data {mail}",
            f"{swaks} --protocol SMTP --data {mail}",
        ):
            done = subprocess.run(
                command.split(" "), capture_output=True, timeout=30, check=False, text=True
            )
            replies.append((done.returncode, done.stdout[:4]))
        lines = [line for message in server.messages for line in said(message)]
    # 8 is "weird server reply", to lines that end with LF.
    assert [code for code, _ in replies] == [0, 0, 8, 0, 0, 0, 0]
    assert [reply for _, reply in replies[3:5]] == ["252 ", "214-"]
    assert [line.partition(" SIZE")[0] for line in lines if line.startswith("MAIL")] == [
        "MAIL FROM:<a@b.test> AUTH=<e@b.test>",
        "MAIL FROM:<a@b.test> AUTH=<>",
        *["MAIL FROM:<a@b.test>"] * 2,
    ]
    assert sum(line.startswith("HELO ") for line in lines) == 1


def test_a_mail_with_utf8_headers_is_kept() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "jörg@b.test", "ü@d.test", "Größe"
    mail.set_content("Grüße")
    with running() as server, server.smtp() as client:
        client.send_message(mail)
        (message,) = server.messages
    assert (message.envelope.sender, message.envelope.recipients) == ("jörg@b.test", ("ü@d.test",))
    assert (message.subject, message.text) == ("Größe", "Grüße\r\n")

"""The client side against a stock aiosmtpd server, and against the sink without a network."""

import asyncio
import email.policy
import errno
import gc
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import unquote
from functools import partial
from typing import Any, cast

import pytest
import uvloop
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mockserver.base.certificates import Authority
from mockserver.base.masking import Secret
from mockserver.base.problems import Kind, Problem
from mockserver.journal.message import Message
from mockserver.journal.state import State, States
from mockserver.journal.trace import Attempt, Dialogue, Endpoint
from mockserver.journal.trace import Envelope as TraceEnvelope
from mockserver.mail.client import deliver
from mockserver.mail.part import _FAULTS
from mockserver.mail.sink import Sink
from mockserver.mail.submission import (
    _MAX_PHRASE,
    _SUBJECT,
    Login,
    Submission,
    TlsMode,
    _mailbox,
    compose,
    tls_mode,
)
from mockserver.world.loading import load
from support import NO_TOKENS, part_of

AUTHORITY = Authority()
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LOGIN = Login("KEYEXAMPLE\\mail", Secret("pässword"))
HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
]


def submission(**changes: object) -> Submission:
    fields: dict[str, Any] = {
        "host": "relay.test",
        "port": 25,
        "tls_mode": TlsMode.NONE,
        "sender_name": "Keyfactor Command",
        "sender": "jsmith@keyexample.com",
        "recipient": "mjones@keyexample.com",
        "timeout": 5,
    }
    return Submission(**{**fields, **changes})


def name_of(mail: bytes) -> str:
    # The newer parser puts a blank between two encoded words, against RFC 2047, 6.2.
    phrase = str(message_from_bytes(mail)["From"]).replace("\r\n", "").rpartition(" <")[0]
    if phrase.startswith('"'):
        return unquote(phrase)
    return str(make_header(decode_header(phrase)))


def parsed(mail: bytes) -> EmailMessage:
    return message_from_bytes(mail, policy=email.policy.default)


def unfolded(mail: bytes) -> list[bytes]:
    """Give the lines that are too long and could be folded, and those that are too long for mail.

    RFC 5322, 2.1.1 and 2.2.3. Behind a header's name is no place to fold it.
    """
    long = [line for line in mail.split(b"\r\n") if len(line.decode()) > 78]
    foldable = [line for line in long if b" " in line.removeprefix(b"From: ").strip(b" ")]
    return foldable + [line for line in long if len(line) > 998]


def run(
    work: Coroutine[Any, Any, None], new_loop: Callable[[], Any] = asyncio.new_event_loop
) -> None:
    errors: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        await work
        await asyncio.sleep(0.005)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(watched())
    gc.collect()
    assert errors == []


class Post:
    """Deliveries into the sink of a world with one relay."""

    def __init__(self, relay: dict[str, Any] | None = None) -> None:
        self.state: State = States(load({"relays": {"*": relay or {}}})).get()
        self.sink = Sink(AUTHORITY, NO_TOKENS)
        self.delivery = Attempt(Endpoint("", 0), "", Dialogue())

    async def send(self, what: Submission) -> None:
        """Deliver, as the product does."""
        implicit = what.speaks_tls or what.tls_mode is TlsMode.IMPLICIT
        part = part_of(self.state, what.host, what.port, implicit=implicit)
        self.delivery = Attempt(part.endpoint, what.tls_mode, part.session.dialogue)
        try:
            dial = self.sink.connect if what.needs_tls else self.sink.pipe
            await deliver(what, partial(dial, part), AUTHORITY.client_context, self.delivery)
        finally:
            json.dumps(asdict(self.delivery.kept())).encode()
            await self.sink.close()

    @property
    def message(self) -> Message:
        """The one that arrived."""
        (message,) = self.state.journal.messages
        return message


def delivered(relay: dict[str, Any], **changes: object) -> Post:
    post = Post(relay)
    run(post.send(submission(**changes)))
    return post


def refused(
    relay: dict[str, Any],
    changes: dict[str, Any],
    new_loop: Callable[[], Any] = asyncio.new_event_loop,
) -> tuple[Post, Problem]:
    post = Post(relay)
    problems: list[Problem] = []

    async def attempt() -> None:
        with pytest.raises(Problem) as caught:
            await post.send(submission(**changes))
        problems.append(caught.value)

    run(attempt(), new_loop)
    assert problems[0].kind.startswith("mail_")
    assert list(post.state.journal.messages) == []
    return post, problems[0]


@pytest.mark.parametrize(
    ("use_ssl", "port", "mode"),
    [
        (False, 25, "none"),
        (False, 465, "none"),
        (True, 25, "starttls"),
        (True, 587, "starttls"),
        (True, 465, "implicit"),
    ],
)
def test_tls_mode_follows_from_use_ssl_and_port(use_ssl: bool, port: int, mode: str) -> None:
    assert tls_mode(use_ssl=use_ssl, port=port) == mode


NAMES = [
    "Keyfactor Command",
    "Command, Keyfactor",
    'The "real" \\ one',
    "Jörg Müller",
    "שלום עולם",
    "🔑" * 100,
    "x" * 300,
    "long name " * 30 + "end",
    "long, name " * 30 + "end",
    "x " * 36 + "x",
    "x" * 72 + " y",
    "x" * 73 + " y",
    "x" * 73 + ", y",
    '"\\' * 200,
    "two  blanks, " * 30,
    "Ünï cödé " * 34,
    "a@b.test, c@d.test",
    "=?utf-8?q?x=0ABcc:_evil@x?=",
    "(comment)",
    "a.b",
    ";:<>[]",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_the_mail_has_exactly_its_headers_whatever_the_name(name: str) -> None:
    mail = compose(submission(sender_name=name), NOW, "unique")
    read = parsed(mail)
    assert read.keys() == HEADERS
    (mailbox,) = read["From"].addresses
    assert mailbox.addr_spec == "jsmith@keyexample.com"
    assert [box.addr_spec for box in read["To"].addresses] == ["mjones@keyexample.com"]
    assert name_of(mail) == name
    assert unfolded(mail) == []
    assert read.defects == []


SHORT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300)
    | st.lists(SHORT, min_size=1, max_size=20).map(" ".join)
)
@example(" ")
@example('"')
@example("a  b")
@example("ends with a blank ")
def test_any_name_comes_back(name: str) -> None:
    mail = compose(submission(sender_name=name), NOW, "unique")
    read = parsed(mail)
    assert read.keys() == HEADERS
    (mailbox,) = read["From"].addresses
    assert mailbox.addr_spec == "jsmith@keyexample.com"
    assert name_of(mail) == name
    assert unfolded(mail) == []


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
@example("evil>\r\nBcc: x@y.test")
def test_no_name_at_all_can_add_a_header(name: str) -> None:
    head, _, body = compose(submission(sender_name=name), NOW, "unique").partition(b"\r\n\r\n")
    lines = head.replace(b"\r\n ", b" ").split(b"\r\n")
    assert [line.partition(b":")[0].decode() for line in lines] == HEADERS
    assert body.startswith(b"This is a test message")


def test_the_mail_says_what_it_is() -> None:
    now = NOW.astimezone(timezone(timedelta(hours=2)))
    read = parsed(compose(submission(), now, "unique"))
    assert read["Subject"] == _SUBJECT
    assert "Keyfactor Command" in _SUBJECT
    assert read["Date"].datetime == NOW
    assert read["Message-ID"] == "<unique@keyfactor-command.test>"
    assert read["From"] == "Keyfactor Command <jsmith@keyexample.com>"
    assert read.get_content_type() == "text/plain"
    assert read.get_content_charset() == "utf-8"
    assert "test message from Keyfactor Command" in read.get_content()
    assert "relay.test:25" in read.get_content()


def test_an_ipv6_address_has_brackets_beside_its_port() -> None:
    mail = compose(submission(host="2001:db8::1"), NOW, "unique")
    assert "Relay: [2001:db8::1]:25, TLS: none" in parsed(mail).get_content()
    _, problem = refused({"fault": "refused"}, {"host": "2001:db8::1"})
    assert "The relay [2001:db8::1]:25 failed" in problem.message
    for host in ("2001:db8::1", "[2001:db8::1]"):
        assert str(Endpoint(host, 25)) == "[2001:db8::1]:25"


@given(st.lists(SHORT, min_size=1, max_size=20).map(" ".join))
@example("a, b " * 40)
@example("  two  blanks, " * 40)
def test_a_folded_name_is_for_the_standard_library_the_name_itself(name: str) -> None:
    assume(len(name) <= _MAX_PHRASE and "=?" not in name)
    mail = compose(submission(sender_name=name), NOW, "unique")
    (mailbox,) = parsed(mail)["From"].addresses
    assert mailbox.display_name == name


def test_international_addresses_stand_in_the_headers_as_they_are() -> None:
    sender, recipient = "jörg@bücher.example", "用户@例え.example"
    mail = compose(submission(sender=sender, recipient=recipient), NOW, "unique")
    read = message_from_string(mail.decode(), policy=email.policy.default)
    assert read["From"].addresses[0].addr_spec == sender
    assert read["To"].addresses[0].addr_spec == recipient


MAILBOXES = {
    "jsmith@keyexample.com": "jsmith@keyexample.com",
    "o'neil+x@a_b.test": "o'neil+x@a_b.test",
    "noreply": "noreply",
    "ö": "ö",
    "jörg@bücher.example": "jörg@bücher.example",
    "a@[192.0.2.1]": "a@[192.0.2.1]",
    "a@[IPv6:::1]": "a@[IPv6:::1]",
    "John Smith": '"John Smith"',
    " ": '" "',
    "KEYEXAMPLE\\mail": '"KEYEXAMPLE\\\\mail"',
    'the "real" one': '"the \\"real\\" one"',
    "a b@c.test": '"a b"@c.test',
    "a@b@c.test": '"a@b"@c.test',
    ".a..b.@c.test": '".a..b."@c.test',
    "a\u3000b@c.test": '"a\u3000b"@c.test',
    '"a b"@c.test': '"a b"@c.test',
    '"a@b"': '"a@b"',
    '""@c.test': '""@c.test',
    r'"a\"b"@c.test': r'"a\"b"@c.test',
    r'"a\ö"@c.test': r'"\"a\\ö\""@c.test',
    '"a': '"\\"a"',
    "a@": '"a@"',
    "@b": '"@b"',
    "a@b.": '"a@b."',
    "a@b..c": '"a@b..c"',
    "a@b c": '"a@b c"',
    "a@b\u00a0c": '"a@b\u00a0c"',
    "@a,@b:c@d.test": '"@a,@b:c"@d.test',
    "=?utf-8?q?a?=@b.test": '"\\=?utf-8?q?a?="@b.test',
}


@pytest.mark.parametrize(("text", "written"), MAILBOXES.items())
def test_what_is_no_address_is_quoted_where_it_must_be(text: str, written: str) -> None:
    assert _mailbox(text) == _mailbox(written) == written
    post = delivered({}, sender=text, recipient=text)
    assert post.message.envelope == TraceEnvelope(written, (written,))
    assert ("C", f"RCPT TO:<{written}>") in post.message.dialogue


# What the documents accept as a sender, and what makes trouble in it.
SENDERS = (
    st.text(
        st.characters(
            exclude_categories=["Cs", "Cc"], exclude_characters="<>\N{LINE SEPARATOR}\u2029"
        ),
        min_size=1,
        max_size=254,
    )
    | st.text('ab "\\@.[]()=?,:;ö', min_size=1, max_size=100)
    | st.builds(
        "{}@{}".format,
        st.text('ab "\\@.=?,ö', min_size=1, max_size=64),
        st.sampled_from(["b.test", "ö.test", "[192.0.2.1]"]),
    )
)


@given(SENDERS)
@example('""')
def test_any_sender_comes_back_from_the_headers(text: str) -> None:
    written = _mailbox(text)
    assert _mailbox(written) == written
    mail = compose(submission(sender=text, recipient=text), NOW, "unique")
    read = message_from_string(mail.decode(), policy=email.policy.default)
    assert read.keys() == HEADERS
    for header in ("From", "To"):
        (box,) = read[header].addresses
        local = written.removesuffix(f"@{box.domain}")
        meant = re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local
        assert box.username == meant
        assert written == (f"{local}@{box.domain}" if box.domain else local)
    assert max(len(line) for line in mail.split(b"\r\n")) <= 998


def test_a_sender_of_one_word_is_sent_as_it_is() -> None:
    post = delivered({}, sender="command")
    assert post.message.envelope.sender == "command"
    assert post.message.parsed["From"] == "Keyfactor Command <command>"


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("mechanism", [None, "PLAIN", "LOGIN"])
@pytest.mark.parametrize("mode", TlsMode)
@pytest.mark.parametrize("host", ["relay.test", "127.0.0.1", "::1"])
def test_a_mail_arrives(
    host: str, mode: TlsMode, mechanism: str | None, new_loop: Callable[[], Any]
) -> None:
    account = {"password": "pässword", "senders": ["*@keyexample.com"]}
    relay = (
        {"mechanisms": [mechanism], "require_auth": True, "accounts": {"KEYEXAMPLE\\mail": account}}
        if mechanism
        else {}
    )
    post = Post(relay)
    login = LOGIN if mechanism else None
    run(post.send(submission(host=host, tls_mode=mode, login=login)), new_loop)
    message, delivery = post.message, post.delivery
    assert (message.envelope.sender, message.envelope.recipients) == (
        "jsmith@keyexample.com",
        ("mjones@keyexample.com",),
    )
    assert message.tls_mode == mode
    assert message.tls_version == (None if mode is TlsMode.NONE else "TLSv1.3")
    assert (message.mechanism, delivery.mechanism) == (mechanism, mechanism)
    assert message.username == (login and login.username)
    assert (message.request_id, message.identity) == ("1", None)
    assert message.relay == Endpoint(host, 25)
    assert (delivery.stage, delivery.reply) == ("data", f"250 2.0.0 Kept as {message.id}")
    lines = tuple((who, line) for _, who, line in delivery.dialogue.lines)
    assert lines[: len(message.dialogue)] == message.dialogue
    assert lines[len(message.dialogue) :] == (("C", "QUIT"), ("S", "221 2.0.0 Bye"))
    assert "pässword" not in str(lines)


def test_the_strongest_mechanism_is_taken() -> None:
    assert delivered({"mechanisms": ["LOGIN", "PLAIN"]}, login=LOGIN).delivery.mechanism == "PLAIN"


def test_utf8_is_asked_for_where_an_address_needs_it() -> None:
    post = delivered({}, sender="jörg@bücher.example")
    assert post.message.envelope.sender == "jörg@bücher.example"
    assert "SMTPUTF8" in str(post.message.dialogue[-8:])
    assert "SMTPUTF8" not in str(delivered({}).message.dialogue[-8:])


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("stage", ["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data"])
@pytest.mark.parametrize("code", ["421", "550"])
def test_a_refusal_names_stage_and_reply(
    stage: str, code: str, new_loop: Callable[[], Any]
) -> None:
    reply = f"{code} 5.7.1 Not today"
    changes = {"tls_mode": TlsMode.STARTTLS, "login": LOGIN}
    post, problem = refused({"replies": {stage: reply}}, changes, new_loop)
    assert problem.kind == f"mail_{stage}"
    assert problem.message == f"The relay relay.test:25 failed at stage {stage}: {reply}"
    assert (post.delivery.stage, post.delivery.reply) == (stage, reply)


@pytest.mark.parametrize(
    ("relay", "changes", "stage", "reason"),
    [
        ({"fault": "unresolvable"}, {}, "resolve", "its name cannot be resolved"),
        ({"fault": "refused"}, {}, "connect", "it refused the connection"),
        ({"fault": "timeout"}, {"timeout": 0.1}, "greeting", "no answer within 0.1 seconds"),
        (
            {"fault": "timeout"},
            {"timeout": 0.1, "tls_mode": TlsMode.IMPLICIT},
            "tls",
            "no answer within 0.1 seconds",
        ),
        ({"delay": 0.3}, {"timeout": 0.5}, "ehlo", "no answer within 0.5 seconds"),
        ({"fault": "dropped"}, {}, "data", "it closed the connection"),
        (
            {"starttls": False},
            {"tls_mode": TlsMode.STARTTLS},
            "starttls",
            "it does not offer STARTTLS, which UseSSL asks for",
        ),
        ({"mechanisms": []}, {"login": LOGIN}, "auth", "it offers neither AUTH PLAIN nor"),
        ({"accounts": {}}, {"login": LOGIN}, "auth", "535 5.7.8 "),
        ({"require_tls": True}, {"login": LOGIN}, "auth", "it offers neither AUTH PLAIN nor"),
        ({"require_auth": True}, {}, "mail", "530 5.7.0 "),
        (
            {"smtputf8": False},
            {"recipient": "jörg@b.test"},
            "mail",
            "it does not offer SMTPUTF8, which the address jörg@b.test needs",
        ),
        (
            {"smtputf8": False},
            {"sender": "jörg müller"},
            "mail",
            'it does not offer SMTPUTF8, which the address "jörg müller" needs',
        ),
        (  # a domain that IDNA does not know
            {"smtputf8": False},
            {"sender": "a@1א.test"},
            "mail",
            "it does not offer SMTPUTF8, which the address a@1א.test needs",
        ),
        ({"max_size": 100}, {}, "mail", "552 5.3.4 "),
        (
            {"implicit_ports": [25]},
            {"speaks_tls": True},
            "tls",
            "it speaks TLS from the first octet on port 25; set UseSSL",
        ),
        (
            {"implicit_ports": [25]},
            {"speaks_tls": True, "tls_mode": TlsMode.STARTTLS},
            "tls",
            "it speaks TLS from the first octet on port 25; UseSSL is STARTTLS there",
        ),
        ({"fault": "refused"}, {"speaks_tls": True}, "connect", "it refused the connection"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_every_way_to_fail_says_which(
    relay: dict[str, Any],
    changes: dict[str, Any],
    stage: str,
    reason: str,
    new_loop: Callable[[], Any],
) -> None:
    post, problem = refused(relay, changes, new_loop)
    assert (problem.kind, post.delivery.stage) == (f"mail_{stage}", stage)
    assert problem.message.startswith(f"The relay relay.test:25 failed at stage {stage}: {reason}")


@pytest.mark.parametrize("mode", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("expired", "has expired"),
        ("name", "is for another host name"),
        ("untrusted", "is of an authority that is not trusted"),
    ],
)
def test_a_bad_certificate_says_why(mode: TlsMode, certificate: str, reason: str) -> None:
    post, problem = refused({"certificate": certificate}, {"tls_mode": mode})
    assert post.delivery.stage == "tls"
    assert problem.message.endswith(f"at stage tls: its certificate {reason}")


def test_a_login_may_not_use_every_sender() -> None:
    account = {"password": "pässword", "senders": ["*@other.test"]}
    _, problem = refused({"accounts": {"KEYEXAMPLE\\mail": account}}, {"login": LOGIN})
    assert "stage mail: 550 5.7.60 " in problem.message


HELO_ONLY = {"esmtp": False}


@pytest.mark.parametrize("mode", [TlsMode.NONE, TlsMode.IMPLICIT])
@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_a_relay_that_knows_helo_only_gets_plain_mail(
    mode: TlsMode, new_loop: Callable[[], Any]
) -> None:
    post = Post(HELO_ONLY)
    run(post.send(submission(tls_mode=mode, sender="jsmith@bücher.example")), new_loop)
    message = post.message
    assert (message.tls_mode, message.envelope.sender) == (mode, "jsmith@xn--bcher-kva.example")
    lines = [line for _, line in message.dialogue]
    assert lines[lines.index("HELO keyfactor-command.test") - 1] == "502 5.5.1 EHLO not implemented"
    # SIZE, which only EHLO could offer, is not there.
    assert "MAIL FROM:<jsmith@xn--bcher-kva.example>" in lines


@pytest.mark.parametrize(
    ("changes", "stage", "reason"),
    [
        ({"login": LOGIN}, "ehlo", "502 5.5.1 EHLO not implemented"),
        ({"tls_mode": TlsMode.STARTTLS}, "ehlo", "502 5.5.1 EHLO not implemented"),
        (
            {"sender": "jörg@b.test"},
            "mail",
            "it does not offer SMTPUTF8, which the address jörg@b.test needs",
        ),
    ],
)
def test_what_needs_more_than_helo_is_not_sent_by_it(
    changes: dict[str, Any], stage: str, reason: str
) -> None:
    post, problem = refused(HELO_ONLY, changes)
    assert problem.message.endswith(f"failed at stage {stage}: {reason}")
    assert not any(line.startswith("MAIL") for _, _, line in post.delivery.dialogue.lines)


@pytest.mark.parametrize(
    ("code", "goes_on"), [(500, True), (502, True), (421, False), (550, False)]
)
def test_only_an_unknown_ehlo_is_followed_by_helo(code: int, goes_on: bool) -> None:
    relay = {"replies": {"ehlo": f"{code} 5.5.1 No"}}
    post, problem = refused(relay, {})
    assert problem.message.endswith(f"failed at stage ehlo: {code} 5.5.1 No")
    helos = [line for _, _, line in post.delivery.dialogue.lines if line.startswith("HELO")]
    assert len(helos) == goes_on


def test_a_stock_server_without_ehlo_gets_the_mail() -> None:
    class Old(SMTP):
        async def smtp_EHLO(self, _: str) -> None:  # noqa: N802  # aiosmtpd's way to name verbs
            await self.push("500 Error: command not recognized")

    keeper = Keeper()
    delivery = Attempt(Endpoint("relay.test", 25), "none", Dialogue())

    async def attempt() -> None:
        async with stock_server(keeper, kind=Old) as dial:
            await deliver(submission(), dial, AUTHORITY.client_context, delivery)

    run(attempt())
    ((session, envelope),) = keeper.kept
    assert (session.extended_smtp, session.host_name) == (False, "keyfactor-command.test")
    assert (envelope.mail_from, envelope.mail_options) == ("jsmith@keyexample.com", [])


def test_a_relay_must_offer_all_that_a_utf8_address_needs() -> None:
    words = [b"220 hi\r\n", b"250-relay.test\r\n250 SMTPUTF8\r\n"]
    delivery = Attempt(Endpoint("relay.test", 25), "none", Dialogue())

    async def dial() -> socket.socket:
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: Chatter(words), ours)
        theirs.setblocking(False)
        return theirs

    async def attempt() -> None:
        what = submission(sender="jörg@b.test")
        with pytest.raises(Problem, match="it does not offer 8BITMIME, which the address jörg@b"):
            await deliver(what, dial, AUTHORITY.client_context, delivery)

    run(attempt())


def test_a_reply_of_several_lines_is_one_line_of_the_problem() -> None:
    reply = "550 5.7.1 Relaying denied\n550 5.7.1 Ask postmaster@relay.test\n"
    post, problem = refused({"replies": {"rcpt": reply}}, {})
    shown = "550 5.7.1 Relaying denied 5.7.1 Ask postmaster@relay.test"
    assert problem.message.endswith(f"failed at stage rcpt: {shown}")
    assert post.delivery.reply == shown
    lines = [line for _, who, line in post.delivery.dialogue.lines if line.startswith("550")]
    assert lines == ["550-5.7.1 Relaying denied", "550 5.7.1 Ask postmaster@relay.test"]


def test_one_entry_makes_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    at_rcpt = _FAULTS["dropped"]._replace(stage="rcpt")
    monkeypatch.setitem(cast("dict[str, object]", _FAULTS), "dropped", at_rcpt)
    post, problem = refused({"fault": "dropped"}, {})
    assert problem.message.endswith("failed at stage rcpt: it closed the connection")
    assert post.delivery.dialogue.lines[-1][1:] == ("C", "RCPT TO:<mjones@keyexample.com>")


def test_an_unknown_relay_cannot_be_resolved() -> None:
    post = Post()
    post.state.patch_world({"relays": {"*": None}})

    async def attempt() -> None:
        with pytest.raises(Problem, match="cannot be resolved"):
            await post.send(submission(host="nowhere.test"))

    run(attempt())


class Chatter(asyncio.Protocol):
    """A server that says fixed words, one for each packet that comes, and then hangs up."""

    def __init__(self, words: list[bytes]) -> None:
        self.words = iter(words)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self.transport = cast("asyncio.Transport", transport)
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Say the next word."""
        del data
        word = next(self.words, None)
        if word is None:
            self.transport.close()
        else:
            self.transport.write(word)


EHLO = b"250-relay.test\r\n250-AUTH LOGIN\r\n250 STARTTLS\r\n"


@pytest.mark.parametrize(
    ("words", "changes", "stage", "reason"),
    [
        ([], {}, "greeting", "it closed the connection"),
        ([b"220 hi\r\n"], {}, "ehlo", "it closed the connection"),
        ([b"hello, who is there?\r\n"], {}, "greeting", "its answer is not SMTP"),
        ([b"220 hi\r\n", b"x" * 40_000], {}, "ehlo", "its answer is not SMTP"),
        ([b"550-no\r\n550 \xff never\r\n"], {}, "greeting", "550 no \ufffd never"),
        ([b"554 " + b"x" * 4_000 + b"\r\n"], {}, "greeting", "554 x"),
        (
            [b"220 hi\r\n", EHLO, b"220 go\r\n250 injected\r\n", b"no TLS"],
            {"tls_mode": TlsMode.STARTTLS},
            "tls",
            "no TLS handshake (WRONG_VERSION_NUMBER)",
        ),
        (
            [b"220 hi\r\n", EHLO, b"220 go\r\n"],
            {"tls_mode": TlsMode.STARTTLS},
            "tls",
            "it closed the connection",
        ),
        (
            [b"220 this is plain\r\n"],
            {"tls_mode": TlsMode.IMPLICIT},
            "tls",
            "no TLS handshake (WRONG_VERSION_NUMBER)",
        ),
        ([b"220 hi\r\n", EHLO, b"504 no\r\n"], {"login": LOGIN}, "auth", "504 no"),
        ([b"220 hi\r\n", EHLO, b"334 x\r\n", b"535 no\r\n"], {"login": LOGIN}, "auth", "535 no"),
    ],
)
def test_a_server_that_is_no_smtp_server_is_told_apart(
    words: list[bytes], changes: dict[str, Any], stage: str, reason: str
) -> None:
    delivery = Attempt(Endpoint("relay.test", 25), "none", Dialogue())

    async def dial() -> socket.socket:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: Chatter(words), ours)
        theirs.setblocking(False)
        return theirs

    async def attempt() -> None:
        with pytest.raises(Problem) as caught:
            await deliver(submission(**changes), dial, AUTHORITY.client_context, delivery)
        assert delivery.stage == stage
        assert f"failed at stage {stage}: {reason}" in caught.value.message
        assert len(caught.value.message) < 600
        json.dumps(asdict(delivery.kept()), ensure_ascii=False).encode()

    run(attempt())


@pytest.mark.parametrize("bye", [[], [b""], [b"bye\r\n"]], ids=["gone", "silent", "no-smtp"])
def test_after_the_250_nothing_can_fail(monkeypatch: pytest.MonkeyPatch, bye: list[bytes]) -> None:
    monkeypatch.setattr("mockserver.mail.client._QUIT_SECONDS", 0.05)
    words = [
        b"220 hi\r\n",
        b"250 hi\r\n",
        b"250 ok\r\n",
        b"250 ok\r\n",
        b"354 go\r\n",
        b"250 ok\r\n",
        *bye,
    ]
    delivery = Attempt(Endpoint("relay.test", 25), "none", Dialogue())

    async def dial() -> socket.socket:
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: Chatter(words), ours)
        theirs.setblocking(False)
        return theirs

    what = submission(timeout=30)
    run(asyncio.wait_for(deliver(what, dial, AUTHORITY.client_context, delivery), 10))
    assert (delivery.stage, delivery.reply) == ("data", "250 ok")


def test_any_other_error_of_the_network_is_told_too() -> None:
    delivery = Attempt(Endpoint("relay.test", 25), "none", Dialogue())

    async def dial() -> socket.socket:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    async def attempt() -> None:
        with pytest.raises(Problem, match=r"stage connect: .*Network is unreachable"):
            await deliver(submission(), dial, AUTHORITY.client_context, delivery)

    run(attempt())


@pytest.mark.parametrize("mode", TlsMode)
def test_a_delivery_can_be_cancelled(mode: TlsMode) -> None:
    post = Post({"fault": "timeout"})

    async def attempt() -> None:
        task = asyncio.create_task(post.send(submission(tls_mode=mode)))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(attempt())


class Keeper:
    """The handler of a stock aiosmtpd: it keeps envelopes."""

    def __init__(self) -> None:
        self.kept: list[tuple[Session, Envelope]] = []

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """Keep it."""
        self.kept.append((session, envelope))
        return "250 2.0.0 Kept"


def check_login(*args: object) -> AuthResult:
    login = args[-1]
    assert isinstance(login, LoginPassword)
    good = (login.login, login.password) == (b"KEYEXAMPLE\\mail", "pässword".encode())
    return AuthResult(success=good, handled=False, auth_data=login)


@asynccontextmanager
async def stock_server(
    keeper: Keeper,
    tls: ssl.SSLContext | None = None,
    kind: type[SMTP] = SMTP,
    **options: Any,  # noqa: ANN401  # whatever aiosmtpd takes
) -> AsyncIterator[Callable[[], Awaitable[socket.socket]]]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: kind(keeper, hostname="relay.test", **options), "127.0.0.1", 0, ssl=tls
    )

    async def dial() -> socket.socket:
        sock = socket.create_connection(server.sockets[0].getsockname())
        sock.setblocking(False)
        return sock

    try:
        yield dial
    finally:
        server.close()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("excluded", [[], ["PLAIN"]], ids=["PLAIN", "LOGIN"])
@pytest.mark.parametrize("mode", TlsMode)
def test_a_stock_server_gets_the_mail(mode: TlsMode, excluded: list[str]) -> None:
    context = AUTHORITY.server_context("relay.test")
    options: dict[TlsMode, dict[str, Any]] = {
        TlsMode.NONE: {"auth_require_tls": False},
        TlsMode.STARTTLS: {"tls_context": context, "require_starttls": True},
        TlsMode.IMPLICIT: {"tls": context, "auth_require_tls": False},
    }
    delivery = Attempt(Endpoint("relay.test", 25), mode, Dialogue())
    keeper = Keeper()
    good = submission(tls_mode=mode, login=LOGIN, sender="jörg@keyexample.com")
    bad = submission(tls_mode=mode, login=Login("KEYEXAMPLE\\mail", Secret("wrong")))

    async def attempt() -> None:
        async with stock_server(
            keeper,
            authenticator=check_login,
            auth_exclude_mechanism=excluded,
            enable_SMTPUTF8=True,
            **options[mode],
        ) as dial:
            await deliver(good, dial, AUTHORITY.client_context, delivery)
            with pytest.raises(Problem, match=r"stage auth: 535 5.7.8"):
                await deliver(bad, dial, AUTHORITY.client_context, delivery)

    run(attempt())
    ((session, envelope),) = keeper.kept
    assert session.authenticated
    assert (envelope.mail_from, envelope.rcpt_tos) == (good.sender, [good.recipient])
    assert isinstance(envelope.content, bytes)
    assert parsed(envelope.content).keys() == HEADERS
    assert delivery.mechanism == ("LOGIN" if excluded else "PLAIN")


def test_a_stranger_with_a_certificate_is_not_trusted() -> None:
    stranger = Authority().server_context("relay.test")
    delivery = Attempt(Endpoint("relay.test", 465), "implicit", Dialogue())
    what = submission(tls_mode=TlsMode.IMPLICIT)

    async def attempt() -> None:
        async with stock_server(Keeper(), tls=stranger) as dial:
            with pytest.raises(Problem, match="not trusted") as caught:
                await deliver(what, dial, AUTHORITY.client_context, delivery)
        assert caught.value.kind is Kind.MAIL_TLS

    run(attempt())

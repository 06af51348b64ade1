"""What comes from outside beside calls: SMTP sessions and token requests, by stock clients."""

import json
import shutil
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage

import httpx2
import pytest

from mockserver import MockServer, SmtpSession, TokenCall, WorldError
from mockserver.journal.journal import _MAX_ENTRIES
from mockserver.journal.story import journal_text
from support import V2, Caller, Json, following, refusal

OAUTH_2: Json = {
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
}
MAIL = b"Subject: hello\r\n\r\ntext\r\n"
TOKEN = "/_mock/idp/token"
CLIENT = {"client_id": "api-client", "client_secret": "api-client-secret"}
GRANT = {"grant_type": "client_credentials", **CLIENT}


def smtp(mock: MockServer, listener: str = "smtp") -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", mock.port(listener) or 0, "client.test", timeout=10)


def relay(mock: MockServer, **entry: object) -> None:
    mock.patch_world({"relays": {"*": entry}})


def trust(mock: MockServer, *, check_hostname: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=mock.ca_pem.decode())
    context.check_hostname = check_hostname
    return context


def sessions(caller: Caller, query: str = "") -> list[Json]:
    found: list[Json] = caller.http.get(f"/_mock/sessions?{query}").json()["sessions"]
    return found


def test_a_session_has_its_documented_keys(caller: Caller) -> None:
    with smtp(caller.mock) as client:
        client.starttls(context=trust(caller.mock, check_hostname=False))
        client.login("me@keyexample.com", "any-password")
        client.sendmail("a@b.test", ["c@d.test"], MAIL)
    listing = caller.http.get("/_mock/sessions", params={"wait": "5"}).json()
    assert listing.keys() == {"sessions", "count", "total", "dropped"}
    (session,) = listing["sessions"]
    assert list(session) == [
        "id", "relay", "opened_at", "closed_at", "tls_mode", "mechanism", "username", "helo",
        "refusals", "message_ids", "dialogue",
    ]  # fmt: skip
    (message,) = caller.messages()
    assert session["relay"] == {"host": "127.0.0.1", "port": caller.mock.port("smtp")}
    assert (session["tls_mode"], session["mechanism"]) == ("starttls", "PLAIN")
    assert (session["username"], session["helo"]) == ("me@keyexample.com", "client.test")
    assert (session["refusals"], session["message_ids"]) == ([], [message["id"]])
    assert ["C", "AUTH PLAIN ***"] in session["dialogue"]
    assert "any-password" not in str(session)
    assert caller.http.get(f"/_mock/sessions/{session['id']}").json()["helo"] == "client.test"
    assert (message["helo"], message["parameters"]) == (
        "client.test",
        {"mail": {"SIZE": str(len(MAIL))}, "rcpt": [{}]},
    )


def logged_in(client: smtplib.SMTP) -> None:
    client.login("nobody", "wrong")


def sent(client: smtplib.SMTP) -> None:
    client.sendmail("a@b.test", ["c@d.test"], MAIL)


def encrypted(client: smtplib.SMTP) -> None:
    client.starttls(context=ssl.create_default_context())


ACCOUNT = {"accounts": {"me": {"password": "right"}}}
REFUSED: dict[str, tuple[str, Json, Callable[[smtplib.SMTP], None], str]] = {
    "login": ("auth", ACCOUNT, logged_in, "535 5.7.8"),
    "hello": ("ehlo", {"replies": {"ehlo": "550 5.7.1 No"}}, sent, "550 5.7.1 No"),
    "STARTTLS": ("starttls", {"replies": {"starttls": "454 4.7.0 No"}}, encrypted, "454"),
    "certificate": ("tls", {}, encrypted, "<connection lost: TLSV1_ALERT_UNKNOWN_CA>"),
    "sender": ("mail", {"require_auth": True}, sent, "530 5.7.0"),
    "recipient": ("rcpt", {"replies": {"rcpt": "550 5.1.1 No\n550 5.1.1 body"}}, sent, "550 5.1.1"),
    "content": ("data", {"replies": {"data": "554 5.6.0 No"}}, sent, "554 5.6.0 No"),
}


@pytest.mark.parametrize(("stage", "entry", "attempt", "reply"), REFUSED.values(), ids=REFUSED)
def test_a_session_that_was_refused_says_where(
    caller: Caller, stage: str, entry: Json, attempt: Callable[[smtplib.SMTP], None], reply: str
) -> None:
    relay(caller.mock, **entry)
    with suppress(smtplib.SMTPException, OSError), smtp(caller.mock) as client:
        attempt(client)
    found = caller.mock.wait_for_session(stage=stage)
    assert caller.mock.assert_session(stage=stage).id == found.id
    assert (found.refusals[0].stage, found.message_ids) == (stage, ())
    assert found.refusals[0].reply.startswith(reply)
    (listed,) = sessions(caller, f"stage={stage}&wait=5")
    assert listed["refusals"][0] == {"stage": stage, "reply": found.refusals[0].reply}
    assert sessions(caller, "stage=null") == []
    if stage == "auth":
        assert sessions(caller, "username=nobody") == [listed]
        assert "wrong" not in json.dumps(listed)


def test_a_refusal_shows_while_the_session_is_still_open(caller: Caller) -> None:
    relay(caller.mock, **ACCOUNT)
    with smtp(caller.mock) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("nobody", "wrong")
        found = caller.mock.assert_session(stage="auth", username="nobody", tls_mode="none")
        assert (found.closed_at, found.received_at) == (None, found.opened_at)
        listing = caller.http.get("/_mock/sessions?stage=auth&expect=1").json()
        assert (listing["count"], listing["total"]) == (1, 1)
        assert listing["sessions"][0]["closed_at"] is None
        text = "refused at auth: 535 5.7.8 Authentication credentials invalid"
        with pytest.raises(AssertionError, match=rf"still open: {text}") as failure:
            caller.mock.assert_session(stage="rcpt")
        assert "stage: expected 'rcpt', found 'auth'" in str(failure.value)


def test_who_waits_for_a_refusal_hears_of_it_at_once(caller: Caller) -> None:
    relay(caller.mock, **ACCOUNT)

    def attempt() -> None:
        time.sleep(0.1)
        with smtp(caller.mock) as client, suppress(smtplib.SMTPException):
            client.login("nobody", "wrong")
            time.sleep(3)

    thread = threading.Thread(target=attempt)
    thread.start()
    began = time.monotonic()
    assert caller.mock.wait_for_session(stage="auth").username == "nobody"
    assert time.monotonic() - began < 2
    thread.join()


def test_a_session_is_an_event_when_it_ends(caller: Caller) -> None:
    with following(caller.mock) as events:
        with smtp(caller.mock) as client:
            sent(client)
        assert next(events)["event"] == "message"
        event = next(events)
        session = json.loads(event["data"])
        assert (event["event"], len(session["message_ids"])) == ("session", 1)
        assert session["closed_at"] > session["opened_at"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("stage=rcp", "stage: 'rcp' is unknown; the nearest is rcpt"),
        ("tls_mode=tls", "tls_mode: 'tls' is unknown"),
        ("relay=a%20b", "relay: 'a b' is neither HOST nor HOST:PORT"),
        ("user=x", "no filter user; there are relay, username, stage, tls_mode, mechanism, id,"),
        ("stage=auth&stage=auth", "given twice"),
    ],
)
def test_filters_of_sessions_are_checked(caller: Caller, query: str, words: str) -> None:
    status, message = refusal(caller.http.get(f"/_mock/sessions?{query}"))
    assert (status, words in message) == (400, True), message


def test_what_a_client_says_of_itself_is_always_text(caller: Caller) -> None:
    with smtp(caller.mock) as client:
        client.send(b"EHLO \xff\xfe\r\n")
        client.getreply()
        client.mail("a@b.test")
        client.rcpt("c@d.test")
        client.data(MAIL)
    (session,) = sessions(caller, "wait=5")
    assert session["helo"] == caller.messages()[0]["helo"] == "\ufffd\ufffd"


def test_sessions_are_bounded(caller: Caller) -> None:
    port = caller.mock.port("smtp") or 0
    for _ in range(_MAX_ENTRIES + 20):
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            sock.recv(100)
    deadline = time.monotonic() + 5
    listing: Json = {}
    while listing.get("dropped") != 20 and time.monotonic() < deadline:
        listing = caller.http.get("/_mock/sessions?limit=1").json()
    assert (listing["total"], listing["dropped"]) == (_MAX_ENTRIES, 20)
    caller.mock.reset()
    assert caller.mock.sessions == ()


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
def test_swaks_leaves_a_trace_of_its_refusal(caller: Caller) -> None:
    relay(caller.mock, **ACCOUNT)
    words = ["swaks", "--server", f"127.0.0.1:{caller.mock.port('smtp')}", "--to", "a@b.test"]
    words += ["--auth", "LOGIN", "--auth-user", "swaks-user", "--auth-password", "wrong"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=30)
    assert done.returncode != 0
    session = caller.mock.assert_session(stage="auth", username="swaks-user", mechanism="LOGIN")
    assert session.refusals[0].reply.startswith("535 5.7.8")


def test_curl_leaves_a_trace_of_its_refusal(caller: Caller) -> None:
    relay(caller.mock, replies={"rcpt": "550 5.1.1 Who?"})
    url = f"smtp://127.0.0.1:{caller.mock.port('smtp')}"
    words = ["curl", "-sS", url, "--mail-from", "a@b.test", "--mail-rcpt", "c@d.test", "-T", "-"]
    done = subprocess.run(words, input=MAIL, capture_output=True, check=False, timeout=30)
    assert done.returncode != 0
    caller.mock.assert_session(stage="rcpt")


# Replies


def test_some_of_the_recipients_are_refused(caller: Caller) -> None:
    blocked = {"match": "*@BLOCKED.test", "reply": "550 5.7.1 Blocked\n550 5.7.1 see policy"}
    relay(caller.mock, replies={"rcpt": [blocked]})
    with smtp(caller.mock) as client:
        refused = client.sendmail(
            "a@b.test", ["1@blocked.test", "2@b.test", "3@blocked.test"], MAIL
        )
    text = b"5.7.1 Blocked\n5.7.1 see policy"
    assert refused == {"1@blocked.test": (550, text), "3@blocked.test": (550, text)}
    assert caller.mock.assert_delivered(recipient="2@b.test").envelope.recipients == ("2@b.test",)
    assert len(caller.mock.wait_for_session(stage="rcpt").refusals) == 2


def test_replies_of_a_list_are_for_senders_and_for_times(caller: Caller) -> None:
    first = {"match": "a@*", "first": 1, "reply": "451 4.7.1 Later"}
    relay(caller.mock, replies={"mail": [first, {"match": "a@*", "reply": "550 5.7.1 Never"}]})
    with smtp(caller.mock) as client:
        client.ehlo()
        codes = [client.mail(f"{name}@b.test")[0] for name in ("a", "a", "a", "b")]
    assert codes == [451, 550, 550, 250]


def test_a_relay_that_is_not_strict_takes_more_and_says_what(caller: Caller) -> None:
    raw = "Subject: Größe\r\n\r\n".encode() + b"x" * 40_000 + b"\r\n..dot\r\n"
    relay(caller.mock, strict=False)
    with smtp(caller.mock) as client:
        client.ehlo()
        client.mail("a@b.test")
        client.rcpt("c@d.test")
        client.putcmd("data")
        client.getreply()
        client.send(raw + b".\r\n")
        assert client.getreply()[0] == 250
    (message,) = caller.messages()
    assert message["defects"] == [
        "Date is missing",
        "From is missing",
        "Message-ID is missing",
        "a header has octets beyond ASCII (RFC 6532)",
        "a line has more than 998 octets",
    ]
    assert caller.mock.messages[0].raw == raw.replace(b"..dot", b".dot")


SWITCHES = ("size", "smtputf8", "eightbitmime", "pipelining", "enhancedstatuscodes", "starttls")


@pytest.mark.parametrize("switch", [*SWITCHES, "dsn"])
def test_each_keyword_has_its_switch(caller: Caller, switch: str) -> None:
    keyword = "8bitmime" if switch == "eightbitmime" else switch
    for offered in (True, False):
        relay(caller.mock, **{switch: offered})
        with smtp(caller.mock) as client:
            client.ehlo()
            assert client.has_extn(keyword) is offered


def test_parameters_of_recipients_are_kept_where_they_are_offered(caller: Caller) -> None:
    relay(caller.mock, dsn=True)
    with smtp(caller.mock) as client:
        client.ehlo()
        client.mail("a@b.test", ["RET=HDRS", "ENVID=QQ314159"])
        assert client.rcpt("c@d.test", ["NOTIFY=SOMETIMES"])[0] == 501
        client.rcpt("c@d.test", ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;c@d.test"])
        client.data(MAIL)
    assert caller.messages()[0]["parameters"] == {
        "mail": {"RET": "HDRS", "ENVID": "QQ314159"},
        "rcpt": [{"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;c@d.test"}],
    }


def test_commands_may_come_all_at_once(caller: Caller) -> None:
    port = caller.mock.port("smtp") or 0
    with socket.create_connection(("127.0.0.1", port), 10) as sock, sock.makefile("rb") as file:
        sock.sendall(
            b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
            + MAIL
            + b".\r\nQUIT\r\n"
        )
        assert file.read().splitlines()[-1].startswith(b"221 2.0.0")
    assert len(caller.messages()) == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_mail_of_a_port_may_belong_to_a_namespace() -> None:
    port = free_port()
    world = {"relays": {"job.test": {"listen": port, "namespace": "job-17"}}}
    with MockServer(world) as mock:
        with smtplib.SMTP("127.0.0.1", port) as client:
            sent(client)
        assert mock.messages == ()
        job = mock.namespace("job-17")
        job.assert_delivered(recipient="c@d.test")
        assert job.wait_for_session().relay.port == port
        for number in range(1_000):  # until there is no room for it any more
            mock.namespace(f"other-{number}") if number else job.drop()
        mock.namespace("last")
        with smtplib.SMTP("127.0.0.1", port) as client:
            sent(client)
        mock.assert_delivered(recipient="c@d.test")


def test_two_namespaces_cannot_have_one_port() -> None:
    entries = {
        "a.test": {"listen": 2525, "namespace": "one"},
        "b.test": {"listen": 2525, "namespace": "two"},
    }
    with pytest.raises(WorldError) as error:
        MockServer({"relays": entries})
    text = "'a.test'; this is for the namespace 'two', that for the namespace 'one'"
    assert text in str(error.value)
    del entries["a.test"]["namespace"]
    with pytest.raises(WorldError, match="that for the state without a name"):
        MockServer({"relays": entries})
    with pytest.raises(WorldError, match="listen"):
        MockServer({"relays": {"a.test": {"namespace": "one"}}})


# What is in a mail


FILE = b"\x00\x01" * 500


def with_files() -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = '"Doe, Jane" <jane@keyexample.com>'
    mail["To"] = "Jörg <joerg@keyexample.com>, team@keyexample.com"
    mail["Cc"] = "boss@keyexample.com"
    mail["X-Mailer"] = "acme 2.0"
    mail.set_content("Certificate expires\n")
    mail.add_alternative("<p>Certificate <b>expires</b></p>\n", subtype="html")
    mail.add_attachment(
        b"\x00\x01" * 500, maintype="application", subtype="x-pem", filename="a.pem"
    )
    mail.add_attachment("1;2\n", subtype="csv", filename="Größe.csv")
    return mail


def test_a_message_shows_html_files_and_addresses(caller: Caller) -> None:
    with smtp(caller.mock) as client:
        client.send_message(with_files())
    (message,) = caller.messages()
    assert message["html"].strip() == "<p>Certificate <b>expires</b></p>"
    assert message["text"].strip() == "Certificate expires"
    assert message["cc"] == "boss@keyexample.com"
    assert message["from_addresses"] == [{"name": "Doe, Jane", "address": "jane@keyexample.com"}]
    assert message["to_addresses"] == [
        {"name": "Jörg", "address": "joerg@keyexample.com"},
        {"name": "", "address": "team@keyexample.com"},
    ]
    assert message["attachments"] == [
        {"filename": "a.pem", "content_type": "application/x-pem", "size": 1_000},
        {"filename": "Größe.csv", "content_type": "text/csv", "size": 5},
    ]
    assert message["defects"] == ["Date is missing", "Message-ID is missing"]
    base = f"/_mock/messages/{message['id']}/attachments"
    first, second = (caller.http.get(f"{base}/{number}") for number in (0, 1))
    assert (first.content, first.headers["content-type"]) == (
        b"\x00\x01" * 500,
        "application/x-pem",
    )
    assert (
        second.headers["content-disposition"] == "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"
    )
    assert "sandbox" in second.headers["content-security-policy"]
    for number in ("2", "-1", "x", "9" * 50):
        status, text = refusal(caller.http.get(f"{base}/{number}"))
        assert (status, text) == (404, "the message has 2 attachments; the first is 0")
    kept = caller.mock.messages[0]
    assert (kept.cc, kept.attachments[1].content) == ("boss@keyexample.com", b"1;2\r\n")
    assert (kept.from_addresses[0].name, len(kept.to_addresses)) == ("Doe, Jane", 2)
    assert kept.defects == ("Date is missing", "Message-ID is missing")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=certificate+EXPIRES", 1),
        ("text=%3Cb%3Eexpires", 1),
        ("text=renewed", 0),
        ("header=X-Mailer:acme", 1),
        ("header=x-mailer:%202.0", 1),
        ("header=X-Mailer:", 1),
        ("header=Mailer:acme", 0),
        ("header=X-Mailer:other", 0),
    ],
)
def test_messages_are_found_by_text_and_header(caller: Caller, query: str, found: int) -> None:
    with smtp(caller.mock) as client:
        client.send_message(with_files())
    assert caller.http.get(f"/_mock/messages?{query}").json()["count"] == found


def test_a_header_to_look_for_has_a_name(caller: Caller) -> None:
    status, message = refusal(caller.http.get("/_mock/messages?header=acme"))
    assert (status, "is no header: write NAME:VALUE" in message) == (400, True)


NASTY_PARTS = {
    "type": b'Content-Type: application/\x01x; name="a"\r\n\r\nx',
    "name": b"Content-Disposition: attachment; filename*=nonsense''%FF\r\n\r\nx",
    "long": b"Content-Disposition: attachment; filename=" + b"x" * 900 + b"\r\n\r\nx",
    "encoding": b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n\xff!",
}


@pytest.mark.parametrize("part", NASTY_PARTS.values(), ids=NASTY_PARTS)
def test_an_odd_attachment_does_no_harm(caller: Caller, part: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    with smtp(caller.mock) as client:
        client.sendmail("a@b.test", ["c@d.test"], head + part + b"\r\n--b--\r\n")
    (message,) = caller.messages()
    assert len(message["attachments"]) == 1
    answer = caller.http.get(f"/_mock/messages/{message['id']}/attachments/0")
    assert (answer.status_code, len(answer.content)) == (200, message["attachments"][0]["size"])
    for number in ("1", "000001", "x", "٣"):
        answer = caller.http.get(f"/_mock/messages/{message['id']}/attachments/{number}")
        assert refusal(answer)[0] == 404


# Lists


def test_a_list_may_have_to_be_so_long(caller: Caller) -> None:
    with smtp(caller.mock) as client:
        sent(client)
    assert caller.http.get("/_mock/messages?recipient=c@d.test&expect=1").status_code == 200
    status, message = refusal(caller.http.get("/_mock/messages?recipient=x@d.test&expect=1"))
    assert status == 404
    assert message.startswith("expected at least 1 message with recipient='x@d.test', found none")
    assert "recipient: expected 'x@d.test', found 'c@d.test'" in message
    status, message = refusal(caller.http.get("/_mock/messages?expect=2&wait=0.05"))
    assert (status, message.partition("\n")[0]) == (
        404,
        "expected at least 2 messages, found 1 of 1",
    )
    for name in ("sessions", "tokens", "requests"):
        status, message = refusal(caller.http.get(f"/_mock/{name}?expect=9"))
        assert (status, f"9 {name}" in message) == (404, True)
    for bad in ("-1", "x", "1001", ""):
        status, message = refusal(caller.http.get(f"/_mock/messages?expect={bad}"))
        assert (status, message) == (400, "expect: a number from 0 to 1000")


def test_a_wait_is_for_as_many_as_are_expected(caller: Caller) -> None:
    def later() -> None:
        for _ in range(2):
            time.sleep(0.1)
            with smtp(caller.mock) as client:
                sent(client)

    thread = threading.Thread(target=later)
    thread.start()
    assert caller.http.get("/_mock/messages?wait=10&expect=2").json()["count"] == 2
    thread.join()


def test_a_call_that_is_under_way_is_in_the_list(caller: Caller) -> None:
    caller.mock.patch_world({"api_faults": {"test_smtp_v2": {"delay": 1}}})
    thread = threading.Thread(target=caller.send, args=("2", V2))
    thread.start()
    listing: Json = {"requests": []}
    while not listing["requests"]:
        listing = caller.http.get("/_mock/requests?ended=false").json()
    (call,) = listing["requests"]
    assert (call["status"], call["ended"], listing["total"]) == (None, False, 1)
    assert call["operation"] == "test_smtp_v2"
    assert "under way" in caller.http.get("/").text
    story = caller.http.get(f"/_mock/requests/{call['id']}", headers={"accept": "text/plain"}).text
    assert "-> under way" in story
    ended = caller.mock.wait_for_request(operation="test_smtp_v2")
    assert (ended.id, ended.status, ended.ended) == (call["id"], 200, True)
    thread.join()
    with pytest.raises(TimeoutError, match=r"expected a call within 0\.05 s"):
        caller.mock.wait_for_request(status=500, timeout=0.05)


# Tokens


def test_requests_for_tokens_are_listed(caller: Caller) -> None:
    good = GRANT | {"scope": "x", "audience": "keyfactor-command"}
    assert caller.http.post(TOKEN, data=good).status_code == 200
    assert caller.http.post(TOKEN, data=GRANT | {"client_secret": "wrong"}).status_code == 401
    basic = b64encode(b"api-client:api-client-secret").decode()
    headers = {"authorization": f"Basic {basic}", "x-trace": "1"}
    caller.http.post(TOKEN, data={"grant_type": "client_credentials"}, headers=headers)
    caller.http.get("/_mock/idp/.well-known/openid-configuration")
    caller.http.get("/_mock/idp/jwks")
    caller.http.get("/_mock/idp/nothing")
    listing = caller.http.get("/_mock/tokens").json()
    assert listing.keys() == {"tokens", "count", "total", "dropped"}
    assert list(listing["tokens"][0]) == [
        "id", "received_at", "kind", "client_id", "scope", "audience", "status", "error",
    ]  # fmt: skip
    assert [
        (each["kind"], each["client_id"], each["scope"], each["status"], each["error"])
        for each in listing["tokens"]
    ] == [
        ("token", "api-client", "x", 200, None),
        ("token", "api-client", None, 401, "invalid_client"),
        ("token", "api-client", None, 200, None),
        ("discovery", None, None, 200, None),
        ("jwks", None, None, 200, None),
    ]
    assert "secret" not in json.dumps(listing)
    for query, count in (("kind=token", 3), ("status=401", 1), ("client_id=api-client", 3),
                         ("error=INVALID_CLIENT", 1), ("scope=x", 1)):  # fmt: skip
        assert caller.http.get(f"/_mock/tokens?{query}").json()["count"] == count
    assert [type(each) for each in caller.mock.tokens] == [TokenCall] * 5
    found = caller.mock.assert_token_requested(headers={"X-Trace": "1"})
    assert found == caller.mock.tokens[2]
    with pytest.raises(AssertionError, match="outside -> 401 invalid_client: client api-"):
        caller.mock.assert_token_requested(client_id="api-client", status=401, scope="y")


def test_an_assertion_looks_at_both_sides(caller: Caller) -> None:
    caller.http.post(TOKEN, data=GRANT | {"scope": "outside"})
    caller.send("2", V2 | OAUTH_2)
    assert isinstance(caller.mock.assert_token_requested(scope="outside"), TokenCall)
    newest = caller.mock.assert_token_requested()
    assert not isinstance(newest, TokenCall)
    caller.mock.reset()
    assert caller.mock.tokens == ()


def test_what_a_client_asks_for_is_kept_cut(caller: Caller) -> None:
    caller.http.post(TOKEN, data=GRANT | {"scope": "x" * 9_000, "client_id": "\u0000é"})
    (kept,) = caller.mock.tokens
    assert len(kept.scope or "") < 600
    assert kept.client_id == "\\x00é"


def test_a_state_of_its_own_has_sessions_and_tokens_of_its_own(caller: Caller) -> None:
    caller.http.post("/_mock/ns/job/idp/token", data=GRANT)
    assert caller.http.get("/_mock/tokens").json()["total"] == 0
    assert caller.http.get("/_mock/ns/job/tokens").json()["total"] == 1
    assert isinstance(caller.mock.namespace("job").tokens[0], TokenCall)
    assert SmtpSession.ended
    assert httpx2.get(f"{caller.mock.control_url}/ns/job/sessions").json()["total"] == 0
    caller.http.delete("/_mock/ns/job")


# In the inbox


def test_the_inbox_lists_sessions_and_what_a_mail_has(caller: Caller) -> None:
    assert "No mail client has connected yet" in caller.http.get("/?view=sessions").text
    with smtp(caller.mock) as client:
        client.send_message(with_files())
    relay(caller.mock, **ACCOUNT)
    with smtp(caller.mock) as client, suppress(smtplib.SMTPException):
        client.login("<b>nobody", "wrong")
    page = caller.http.get("/?view=sessions").text
    assert "535 5.7.8 Authentication credentials invalid" in page
    assert "&lt;b&gt;nobody" in page
    assert page.index("nobody") < page.index("1 kept")
    (message,) = caller.messages()
    shown = caller.http.get(f"/?message={message['id']}").text
    assert f"/_mock/messages/{message['id']}/attachments/1" in shown
    assert "Größe.csv" in shown
    assert "Date is missing; Message-ID is missing" in shown


def test_of_a_long_session_the_end_is_told(caller: Caller) -> None:
    relay(caller.mock, replies={"rcpt": "550 5.1.1 Who?"})
    with smtp(caller.mock) as client:
        client.ehlo()
        client.mail("a@b.test")
        for _ in range(150):
            client.rcpt("c@d.test")
    session = caller.mock.wait_for_session(stage="rcpt")
    assert len(session.refusals) == 100
    _, text = refusal(caller.http.get("/_mock/sessions?stage=auth&expect=1"))
    assert "lines before" in text
    assert text.count("550 5.1.1 Who?") < 100
    assert journal_text([], [], 5, [session]).count("\n") < 120

"""The mail that arrives, for names and addresses of every kind, end to end."""

import smtplib
from email.utils import parseaddr, parsedate_to_datetime

import pytest

from support import V2, VALID, Caller

HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding",
]  # fmt: skip
NAMES = {
    "plain": "Keyfactor Command",
    "quotes and commas": 'Mail, "the" \\ robot; <x@y.test>',
    "umlauts": "Schlüsselverwaltung für Bücher",
    "right to left": "ניהול מפתחות",
    "emoji": "Keys \U0001f511 and more \U0001f511",
    "300 letters": "Keyfactor " * 30,
    "300 umlauts": "ä" * 300,
    "a header": "X: y",
    "nearly an encoded word": "=?utf-8?q?x",
    "an encoded word": "=?utf-8?q?x=0D=0ABcc=3A_a?=",
    "among encoded words": "a =?x?b?YQ==?= b",
    "a leading space": "  spaced  out",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("version", VALID)
def test_a_name_arrives_as_it_is_and_adds_nothing(caller: Caller, version: str, name: str) -> None:
    assert caller.send(version, VALID[version] | {"SenderName": name}).status_code == 200
    (kept,) = caller.mock.messages
    (message,) = caller.messages()
    assert [header for header, _ in message["headers"]] == HEADERS
    sender = kept.parsed["From"].addresses
    assert [address.addr_spec for address in sender] == ["jsmith@keyexample.com"]
    shown, address = parseaddr(message["from"])
    assert address == "jsmith@keyexample.com"
    assert shown.split() == name.split()
    assert message["envelope"]["recipients"] == ["mjones@keyexample.com"]


def test_a_message_is_well_formed(caller: Caller) -> None:
    caller.send("2", V2 | {"SenderName": "ä" * 300})
    (message,) = caller.mock.messages
    assert message.raw.count(b"\r\n") == message.raw.count(b"\n") == message.raw.count(b"\r")
    assert max(len(line) for line in message.raw.split(b"\r\n")) <= 998
    headers = dict(message.headers)
    assert parsedate_to_datetime(headers["Date"]).tzinfo is not None
    assert headers["Message-ID"].startswith("<")
    assert headers["Message-ID"].endswith(">")
    assert headers["MIME-Version"] == "1.0"
    assert "utf-8" in headers["Content-Type"]
    assert "Keyfactor Command test message" in message.subject
    assert "test message from Keyfactor Command" in message.text


def test_every_mail_has_a_message_id_of_its_own(caller: Caller) -> None:
    for _ in range(3):
        caller.send("2", V2)
    assert len({dict(message.headers)["Message-ID"] for message in caller.mock.messages}) == 3


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("jörg@keyexample.com", "mjones@keyexample.com"),
        ("jsmith@keyexample.com", "用户@例子.公司"),
        ("jsmith@bücher.example", "ñandú@bücher.example"),
    ],
)
@pytest.mark.parametrize("version", VALID)
def test_international_addresses_go_by_smtputf8(
    caller: Caller, version: str, sender: str, recipient: str
) -> None:
    body = VALID[version] | {"SenderAccount": sender, "TestRecipient": recipient}
    response = caller.send(version, body)
    assert response.status_code == 200
    (message,) = caller.messages()
    assert message["envelope"] == {"sender": sender, "recipients": [recipient]}
    assert (parseaddr(message["from"])[1], message["to"]) == (sender, recipient)
    (mail,) = [line for who, line in message["dialogue"] if who == "C" and "MAIL" in line]
    assert mail.endswith("SMTPUTF8")


@pytest.mark.parametrize("version", VALID)
def test_an_international_domain_goes_as_a_labels_where_smtputf8_is_not_offered(
    caller: Caller, version: str
) -> None:
    addresses = {"SenderAccount": "a@bücher.example", "TestRecipient": "b@bücher.example"}
    body = VALID[version] | addresses | {"Host": "no-smtputf8.test"}
    assert caller.send(version, body).status_code == 200
    (message,) = caller.messages()
    assert message["envelope"] == {
        "sender": "a@xn--bcher-kva.example",
        "recipients": ["b@xn--bcher-kva.example"],
    }
    assert message["to"] == "b@xn--bcher-kva.example"
    assert "SMTPUTF8" not in str(message["dialogue"])


def test_smtputf8_is_taken_from_outside_only_when_asked_for(caller: Caller) -> None:
    with smtplib.SMTP("localhost", caller.mock.port("smtp") or 0) as client:
        client.ehlo()
        client.send("MAIL FROM:<jörg@keyexample.com>\r\n".encode())
        assert client.getreply()[0] == 553

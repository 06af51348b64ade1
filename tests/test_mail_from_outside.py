"""Mail that comes to the sink over TCP, sent by stock smtplib to a mock that runs."""

import smtplib
import socket
import ssl
from email.message import EmailMessage

import pytest

from mockserver import MockServer
from mockserver.server import BindError
from support import V2, Caller, calling


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Jörg Ö. <joerg@keyexample.com>"
    message["To"] = "mjones@keyexample.com"
    message["Subject"] = "Grüße"
    message.set_content("Guten Tag\n")
    return message


def trust(mock: MockServer) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=mock.ca_pem.decode())


def test_the_plain_port_offers_starttls_and_auth(caller: Caller) -> None:
    mock = caller.mock
    with smtplib.SMTP("localhost", mock.port("smtp") or 0) as client:
        client.starttls(context=trust(mock))
        client.login("anybody", "any-password")
        client.send_message(mail())
    (message,) = caller.messages()
    assert (message["tls_mode"], message["mechanism"]) == ("starttls", "PLAIN")
    assert (message["username"], message["request_id"]) == ("anybody", None)
    assert message["relay"] == {"host": "127.0.0.1", "port": mock.port("smtp")}
    assert (message["subject"], message["text"].split()) == ("Grüße", ["Guten", "Tag"])
    assert "any-password" not in str(message)


def test_the_other_port_is_tls_from_the_first_octet(caller: Caller) -> None:
    mock = caller.mock
    port = mock.port("smtps") or 0
    with smtplib.SMTP_SSL("localhost", port, context=trust(mock)) as client:
        client.send_message(mail())
    (message,) = caller.messages()
    assert (message["tls_mode"], message["identity"]) == ("implicit", None)


def test_headers_beyond_ascii_need_smtputf8(caller: Caller) -> None:
    raw = "From: a@b.test\r\nSubject: Größe\r\n\r\nGrüße\r\n".encode()
    with smtplib.SMTP("localhost", caller.mock.port("smtp") or 0) as client:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("a@b.test", ["c@d.test"], raw)
        assert refused.value.smtp_error == b"5.6.7 Headers need SMTPUTF8"
        client.sendmail("a@b.test", ["c@d.test"], raw, mail_options=["SMTPUTF8"])
        client.sendmail("a@b.test", ["c@d.test"], raw.replace("Größe".encode(), b"Size"))
    assert [message["subject"] for message in caller.messages()] == ["Größe", "Size"]


def test_it_is_filtered_and_removed_like_any_other(caller: Caller) -> None:
    caller.send("2", V2)
    with smtplib.SMTP("localhost", caller.mock.port("smtp") or 0) as client:
        client.send_message(mail())
    assert len(caller.messages()) == 2
    assert len(caller.messages(sender="joerg@keyexample.com")) == 1
    caller.mock.reset()
    assert caller.messages() == []


def test_a_relay_of_the_world_listens_where_its_entry_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world = {"relays": {"mail.example.com": {"listen": port, "replies": {"rcpt": "550 5.1.1 No"}}}}
    with MockServer(world) as mock, calling(mock) as caller:
        assert caller.http.get("/_mock").json()["listeners"]["smtp mail.example.com"] == {
            "host": "127.0.0.1",
            "port": port,
        }
        with smtplib.SMTP("localhost", port) as client:
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                client.send_message(mail())
            assert refused.value.recipients == {"mjones@keyexample.com": (550, b"5.1.1 No")}
        with pytest.raises(BindError), MockServer(world):
            pass

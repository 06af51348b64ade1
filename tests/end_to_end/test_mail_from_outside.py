"""Mail that comes to the sink over TCP, sent by stock smtplib to a mock that runs."""

import smtplib
import socket
import ssl
from email.message import EmailMessage

import pytest

from mockserver import MockServer, WorldError
from mockserver.base.sockets import BindError
from support import V2, Caller, calling, refusal


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


@pytest.mark.parametrize("listener", ["smtp", "smtps"])
def test_an_idle_session_ends_with_a_reply(caller: Caller, listener: str) -> None:
    mock = caller.mock
    mock.patch_world({"relays": {"*": {"idle_timeout": 1}}})
    port = mock.port(listener) or 0
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        encrypted = listener == "smtps"
        sock = trust(mock).wrap_socket(plain, server_hostname="localhost") if encrypted else plain
        with sock, sock.makefile("rb") as file:
            sock.sendall(b"EHLO x\r\n")
            assert file.read().splitlines()[-1] == b"421 4.4.2 No line came in time"


def test_the_ports_play_a_relay_that_is_down(caller: Caller) -> None:
    mock = caller.mock
    mock.patch_world({"relays": {"*": {"fault": "unresolvable"}}})
    # It may come before `connect` returns, or after.
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", mock.port("smtp") or 0), 10) as sock,
    ):
        sock.recv(1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_a_relay_that_refuses_resets_its_own_port_as_long_as_it_does() -> None:
    port = free_port()
    world = {"relays": {"mail.example.com": {"listen": port, "fault": "refused"}}}
    with MockServer(world) as mock:
        with pytest.raises(smtplib.SMTPServerDisconnected, match="reset by peer"):
            smtplib.SMTP("127.0.0.1", port)
        mock.patch_world({"relays": {"mail.example.com": {"fault": None}}})
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.send_message(mail())
        assert len(mock.messages) == 1


def test_a_port_that_only_a_patch_names_is_refused() -> None:
    port = free_port()
    entry = {"listen": port, "smtputf8": False}
    with MockServer({"relays": {"mail.example.com": entry, "other.test": {}}}) as mock:
        for changes in (
            {"other.test": {"listen": port + 1}},
            {"mail.example.com": {"listen": port + 1}},
            {"new.test": {"listen": port + 1}},
        ):
            with pytest.raises(WorldError) as refused:
                mock.patch_world({"relays": changes})
            (name,) = changes
            assert str(refused.value) == (
                f"patch: /relays/{name}/listen: opens at a start only; "
                "put it in the world to start with"
            )
        with calling(mock) as caller:
            patch = {"relays": {"other.test": {"listen": port + 1}}}
            answer = caller.http.patch("/_mock/world", json=patch)
            assert (answer.status_code, "opens at a start only" in answer.text) == (400, True)
        # What leaves the ports alone passes.
        mock.patch_world({"relays": {"mail.example.com": {"listen": port, "delay": 0.01}}})
        mock.patch_world({"relays": {"mail.example.com": {"listen": None}}})
        mock.patch_world({"relays": {"mail.example.com": {"listen": port}}})
        mock.patch_world({"relays": {"mail.example.com": None}})
        mock.namespace("other").patch_world({"lenient": True})
        mock.reset()
        assert mock.world.relays["mail.example.com"].listen == port
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            assert not client.has_extn("smtputf8")


def test_a_patch_before_the_start_opens_its_port() -> None:
    port = free_port()
    mock = MockServer()
    mock.patch_world({"relays": {"mail.example.com": {"listen": port}}})
    with mock, smtplib.SMTP("127.0.0.1", port) as client:
        assert client.noop()[0] == 250


def test_a_relay_of_the_world_listens_where_its_entry_says() -> None:
    port = free_port()
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


def test_a_relay_that_speaks_tls_from_the_first_octet_does_so_on_its_own_port() -> None:
    port = free_port()
    relay = {"listen": port, "implicit_ports": [port]}
    with MockServer({"relays": {"mail.example.com": relay}}) as mock, calling(mock) as caller:
        with smtplib.SMTP_SSL("localhost", port, context=trust(mock)) as client:
            client.send_message(mail())
        (message,) = caller.messages()
        assert (message["tls_mode"], message["relay"]["port"]) == ("implicit", port)
        body = V2 | {"Host": "mail.example.com", "Port": port}
        for use_ssl, advice in ((False, "set UseSSL"), (True, "UseSSL is STARTTLS there")):
            status, text = refusal(caller.send("2", body | {"UseSSL": use_ssl}))
            assert status == 400
            assert text == (
                f"The relay mail.example.com:{port} failed at stage tls: "
                f"it speaks TLS from the first octet on port {port}; {advice}"
            )

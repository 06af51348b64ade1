"""What the mailer does, against a mock of the server."""

from collections.abc import Callable

import pytest
from mailer import Mailer, MailSettingsError

from mockserver import MockServer


@pytest.fixture
def mailer(keyfactor: MockServer) -> Mailer:
    return Mailer(keyfactor.api_url, "ci", "ci-password")


def test_the_mail_arrives(keyfactor: MockServer, mailer: Mailer) -> None:
    mailer.check("mjones@keyexample.com", "mail.example.com", tls=False)
    message = keyfactor.assert_delivered(recipient="mjones@keyexample.com", subject="test")
    assert message.from_ == "Keyfactor Command <jsmith@keyexample.com>"


def test_the_mail_goes_over_tls(keyfactor: MockServer, mailer: Mailer) -> None:
    mailer.check("mjones@keyexample.com", "mail.example.com", tls=True)
    keyfactor.assert_delivered(recipient="mjones@keyexample.com", tls_mode="starttls")


@pytest.mark.keyfactor(world={"relays": {"mail.example.com": {"fault": "refused"}}})
def test_a_relay_that_is_down_is_reported(keyfactor: MockServer, mailer: Mailer) -> None:
    with pytest.raises(MailSettingsError, match="refused the connection"):
        mailer.check("mjones@keyexample.com", "mail.example.com", tls=False)
    keyfactor.assert_rejected(stage="connect")
    keyfactor.assert_not_delivered()


def test_a_bad_recipient_is_reported(keyfactor: MockServer, mailer: Mailer) -> None:
    with pytest.raises(MailSettingsError, match="TestRecipient"):
        mailer.check("nobody", "mail.example.com", tls=False)
    keyfactor.assert_rejected(field="TestRecipient", rule="pattern")


def test_an_older_server_of_its_own(keyfactor_factory: Callable[..., MockServer]) -> None:
    old = keyfactor_factory({"product_version": "24.4.0.0"})
    Mailer(old.api_url, "admin", "admin-password").check("a@b.test", "c.test", tls=False)
    assert old.requests[0].status == 200

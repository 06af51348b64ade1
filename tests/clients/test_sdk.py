"""The vendor's public Python SDKs, unmodified, over HTTPS, each against the editions it is for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support import Caller

# One needs an h11 that is too old for the mock's own client: each gets a folder of its own.
SDK = "keyfactor-v-1-client==1.0.3"
SDK_11 = "keyfactor-command-sdk==11.0.0a1"

SCRIPT = """
import base64, json, sys
from keyfactor_v_1_client.api.smtp import smtp_smtp, smtp_test_smtp, smtp_update_smtp
from keyfactor_v_1_client.api.status import status_get_endpoints
from keyfactor_v_1_client.client import AuthenticatedClient
from keyfactor_v_1_client.models.keyfactor_api_models_smtpsmtp_request import (
    KeyfactorAPIModelsSMTPSMTPRequest as Profile,
)
from keyfactor_v_1_client.models.keyfactor_api_models_smtpsmtp_test_request import (
    KeyfactorAPIModelsSMTPSMTPTestRequest as Test,
)

url, ca = sys.argv[1:]
token = base64.b64encode(b"KEYEXAMPLE\\\\admin:admin-password").decode()
client = AuthenticatedClient(url, token=token, prefix="Basic", verify_ssl=ca)
settings = dict(
    host="smtp.keyexample.com", id=1, port=587, relay_authentication_type=2,
    relay_username="command@keyexample.com", relay_password="MySuperSecretPassword",
    sender_account="command@keyexample.com", sender_name="Keyfactor Command", use_ssl=True,
)
profile = Profile(**settings)
test = Test(**settings, test_recipient="sdk@keyexample.com")
answers = [
    smtp_smtp.sync_detailed(client=client),
    smtp_update_smtp.sync_detailed(client=client, form_data=profile, json_body=profile),
    smtp_smtp.sync_detailed(client=client),
    smtp_test_smtp.sync_detailed(client=client, json_body=test),
]
print(json.dumps([[answer.status_code, answer.parsed.to_dict()] for answer in answers]))
print(json.dumps(status_get_endpoints.sync(client=client)))
"""

# It asks for a token by itself, and names fields in camelCase.
SCRIPT_11 = """
import json, sys
from command_v11_client.api.smtp import get_smtp, post_smtp_test, put_smtp
from command_v11_client.api.status import get_status_endpoints
from command_v11_client.client import AuthenticatedClient
from command_v11_client.models.keyfactor_web_keyfactor_api_models_smtpsmtp_request import (
    KeyfactorWebKeyfactorApiModelsSMTPSMTPRequest as Profile,
)
from command_v11_client.models.keyfactor_web_keyfactor_api_models_smtpsmtp_test_request import (
    KeyfactorWebKeyfactorApiModelsSMTPSMTPTestRequest as Test,
)

url, ca, token_url = sys.argv[1:]
account = dict(tokenURL=token_url, clientId="api-client", clientSecret="api-client-secret")
client = AuthenticatedClient(url, token="", verify_ssl=ca, idp_args=account)
settings = dict(
    host="smtp.keyexample.com", id=1, port=587, relay_authentication_type=2,
    relay_username="command@keyexample.com", relay_password="MySuperSecretPassword",
    sender_account="command@keyexample.com", sender_name="Keyfactor Command", use_ssl=True,
)
answers = [
    get_smtp.sync_detailed(client=client),
    put_smtp.sync_detailed(client=client, json_body=Profile(**settings)),
    get_smtp.sync_detailed(client=client),
    post_smtp_test.sync_detailed(
        client=client, json_body=Test(**settings, test_recipient="sdk@keyexample.com")
    ),
]
print(json.dumps([[answer.status_code, json.loads(answer.content)] for answer in answers]))
print(json.dumps(get_status_endpoints.sync(client=client)))
"""


def installed(folder: Path, package: str) -> Path:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # What it says of packages outside the folder is no failure: they stay as they are.
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("sdk"), SDK)


@pytest.fixture(scope="module")
def sdk_11(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("sdk_11"), SDK_11)


@pytest.mark.parametrize(
    ("edition", "package"),
    [("10", "sdk"), ("11", "sdk_11"), ("current", "sdk")],
    ids=["10", "11", "current"],
)
def test_an_sdk_reads_writes_and_tests_mail_settings(
    caller: Caller, request: pytest.FixtureRequest, tmp_path: Path, edition: str, package: str
) -> None:
    caller.mock.patch_world({"edition": edition})
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(caller.mock.ca_pem)
    urls = [f"{caller.mock.https_url}/KeyfactorAPI", str(ca_file)]
    script = {"sdk": SCRIPT, "sdk_11": SCRIPT_11}[package]
    urls += [caller.mock.token_url] * (package == "sdk_11")
    done = subprocess.run(
        [sys.executable, "-c", script, *urls],
        cwd=tmp_path,
        env={"PYTHONPATH": str(request.getfixturevalue(package)), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers, endpoints = map(json.loads, done.stdout.splitlines())
    assert [status for status, _ in answers] == [200] * 4
    loaded, written, read, tested = (body for _, body in answers)
    assert (loaded["Port"], loaded["RelayUsername"]) == (25, None)
    assert written == read
    assert tested == {**read, "TestRecipient": "sdk@keyexample.com"}
    assert read["RelayUsername"] == "command@keyexample.com"
    assert (read["Port"], read["UseSSL"], read["SenderName"]) == (587, True, "Keyfactor Command")
    assert "PUT /SMTP" in endpoints
    (message,) = caller.messages(recipient="sdk@keyexample.com")
    assert {exchange.version for exchange in caller.mock.requests} == {"1"}
    assert (message["tls_mode"], message["username"]) == ("starttls", "command@keyexample.com")


def test_the_sdk_refuses_a_mock_whose_authority_it_does_not_know(
    caller: Caller, sdk: Path, tmp_path: Path
) -> None:
    script = SCRIPT.replace("verify_ssl=ca", "verify_ssl=True")
    done = subprocess.run(
        [sys.executable, "-c", script, f"{caller.mock.https_url}/KeyfactorAPI", "-"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(sdk), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr

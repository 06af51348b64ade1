"""Clients that openapi-python-client generates from both documents, against a running mock."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mockserver.base.data import data_folder
from support import Caller, Json

PRELUDE = """
import base64, json, sys
from client import AuthenticatedClient, models
from client.api.smtp import get_smtp_v{version} as get, put_smtp_v{version} as put
from client.api.smtp import test_smtp_v{version} as test

token = base64.b64encode(b"admin:admin-password").decode()
client = AuthenticatedClient(sys.argv[1], token=token, prefix="Basic")
headers = dict(x_keyfactor_requested_with="APIClient", x_keyfactor_api_version="{version}")
settings = json.loads(sys.argv[2])
profile = models.SMTPRequest.from_dict(settings)
message = models.SMTPTestRequest.from_dict(
    dict(settings, Id=1, TestRecipient="generated@keyexample.com")
)
answers = [
    get.sync_detailed(client=client, **headers),
    put.sync_detailed(client=client, body=profile, **headers),
    get.sync_detailed(client=client, **headers),
    test.sync_detailed(client=client, body=message, **headers),
]
print(json.dumps([[a.status_code, a.parsed and a.parsed.to_dict()] for a in answers]))
"""
STATUS = """
from client.api.security import get_my_permissions_v1
from client.api.status import get_health_check_v1, get_status_endpoints_v1

print(get_health_check_v1.sync_detailed(client=client, **headers).status_code.value)
print(json.dumps(get_status_endpoints_v1.sync(client=client, **headers)))
print(get_my_permissions_v1.sync(client=client, **headers).permissions)
"""
COMMON: Json = {
    "Host": "smtp.keyexample.com",
    "Port": 587,
    "RelayAuthenticationType": 2,
    "SenderAccount": "command@keyexample.com",
    "SenderName": "Keyfactor Command",
    "UseSSL": True,
}
REFERENCE = {"Parameters": {"SecretName": "EmailSenderPassword"}, "Provider": "1"}
LOGIN: dict[str, Json] = {
    "1": {"RelayUsername": "command@keyexample.com", "RelayPassword": "MySuperSecretPassword"},
    "2": {
        "RelayUsername": {"SecretValue": "command@keyexample.com"},
        "RelayPassword": REFERENCE,
    },
}
OAUTH = ("ClientId", "ClientSecret", "TokenEndpoint", "Scope", "Audience", "RequestHeaders")
SHOWN: dict[str, Json] = {
    "1": {"RelayUsername": "command@keyexample.com"},
    "2": {
        "RelayUsername": {"SecretValue": "*" * 20, "Parameters": {}, "Provider": None},
        "RelayPassword": {**REFERENCE, "SecretValue": None, "Provider": 1},
        **dict.fromkeys(OAUTH),
    },
}


def run(*command: str, cwd: Path) -> str:
    scripts = Path(sys.executable).parent  # the generator formats with the ruff that stands there
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_generated_client_reads_writes_and_tests_mail_settings(
    caller: Caller, version: str, tmp_path: Path
) -> None:
    document = str(data_folder("openapi") / f"v{version}.yaml")
    generate = ["-m", "openapi_python_client", "generate", "--fail-on-warning", "--path", document]
    run(*generate, "--meta", "none", "--output-path", str(tmp_path / "client"), cwd=tmp_path)
    script = PRELUDE.format(version=version) + (STATUS if version == "1" else "")
    body = json.dumps({**COMMON, **LOGIN[version]})
    answers, *status = run("-c", script, caller.mock.api_url, body, cwd=tmp_path).splitlines()
    (_, loaded), (_, written), (_, read), (_, tested) = found = json.loads(answers)
    assert [code for code, _ in found] == [200] * 4
    assert (loaded["Port"], loaded["RelayUsername"]) == (25, None)
    assert written == read == {**COMMON, "Id": 1, **SHOWN[version]}
    assert (tested is None) is (version == "2")
    (message,) = caller.messages(recipient="generated@keyexample.com")
    assert message["username"] == "command@keyexample.com"
    if version == "1":
        assert tested == {**read, "TestRecipient": "generated@keyexample.com"}
        assert (status[0], "PUT /SMTP" in json.loads(status[1]), status[2]) == (
            "204",
            True,
            "['/']",
        )

"""What is taken, what is refused, and how it goes on, each with the source of the verdict.

documented: the vendor's page of POST SMTP Test. observed: the vendor's specification files, and
what its clients send. recorded: traffic of a real server. ours: a choice for tests. The rest is
assumed.
"""

import json
from typing import Any

import pytest

from support import V1, V2, Caller

Json = dict[str, Any]

BASIC_1 = {
    "RelayAuthenticationType": 2,
    "RelayUsername": "command@keyexample.com",
    "RelayPassword": "MySuperSecretPassword",
}
BASIC_2 = {
    "RelayAuthenticationType": 2,
    "RelayUsername": {"SecretValue": "command@keyexample.com"},
    "RelayPassword": {"SecretValue": "MySuperSecretPassword"},
}
OAUTH = {
    "RelayAuthenticationType": 3,
    "ClientId": {"SecretValue": "api-client"},
    "ClientSecret": {"SecretValue": "api-client-secret"},
}
MAIL = {**OAUTH, **{name: {"SecretValue": "x"} for name in ("ClientId", "ClientSecret")}}
PAM = {"Provider": 1, "Parameters": {"SecretName": "EmailSenderPassword"}}
BLANK = {"SecretValue": ""}
UNSET = {"SecretValue": None, "Parameters": None, "Provider": None}
REFERENCE = {"SecretValue": None, **PAM}
GIVEN_BACK: Json = {"SecretValue": "MySuperSecretPassword", "Parameters": {}, "Provider": None}
WORLD = {
    "oauth_clients": {
        "api-client": {"mailboxes": ["*"]},
        "x": {"mailboxes": ["*"], "scopes": ["a", "b"]},
    }
}

TAKEN = 200
REFUSED = 400
# The source; versions; what is sent beside a good body; the verdict; what shows how it goes on.
VERDICTS: list[tuple[str, str, Json, int, str]] = [
    # SenderAccount
    ("documented", "12", {"SenderAccount": "John Smith"}, TAKEN, 'MAIL FROM:<"John Smith">'),
    ("documented", "12", {"SenderAccount": "noreply"}, TAKEN, "MAIL FROM:<noreply>"),
    ("documented", "12", {"SenderAccount": "a b@c.test"}, TAKEN, 'MAIL FROM:<"a b"@c.test>'),
    ("documented", "12", {"SenderAccount": '"a b"@c.test'}, TAKEN, 'MAIL FROM:<"a b"@c.test>'),
    ("documented", "12", {"SenderAccount": "a@b@c.test"}, TAKEN, 'MAIL FROM:<"a@b"@c.test>'),
    ("documented", "12", {"SenderAccount": "a@[192.0.2.1]"}, TAKEN, "MAIL FROM:<a@[192.0.2.1]>"),
    ("documented", "12", {"SenderAccount": "\u540d \u524d"}, TAKEN, "BODY=8BITMIME SMTPUTF8"),
    ("documented", "1", {"SenderAccount": "A B", "TestRecipient": None}, TAKEN, 'TO:<"A B">'),
    ("documented", "1", BASIC_1 | {"SenderAccount": "A B"}, REFUSED, "stage mail: 550 5.7.60"),
    ("documented", "2", BASIC_2 | {"SenderAccount": "A B"}, REFUSED, "stage mail: 550 5.7.60"),
    ("documented", "2", OAUTH | {"SenderAccount": "A B"}, TAKEN, 'MAIL FROM:<"A B">'),
    ("ours", "12", {"SenderAccount": "A <a@b.test>"}, REFUSED, "SenderAccount: must be text"),
    ("ours", "12", {"SenderAccount": "a\r\nRSET"}, REFUSED, "SenderAccount: must be text"),
    ("ours", "12", {"SenderAccount": "\xf6" * 128}, REFUSED, "SenderAccount: must be text"),
    # SenderName
    ("documented", "12", {"SenderName": "=?utf-8?q?x?="}, TAKEN, '"subject": "Keyfactor Command'),
    ("ours", "12", {"SenderName": "\u200b "}, REFUSED, "SenderName: must be a visible name"),
    # TestRecipient
    ("documented", "12", {"TestRecipient": '"a b"@x.test'}, TAKEN, 'RCPT TO:<"a b"@x.test>'),
    ("documented", "12", {"TestRecipient": "a@[IPv6:::1]"}, TAKEN, "RCPT TO:<a@[IPv6:::1]>"),
    ("documented", "12", {"TestRecipient": "a@b_c.test"}, TAKEN, "RCPT TO:<a@b_c.test>"),
    ("documented", "12", {"TestRecipient": "mjones"}, REFUSED, "TestRecipient: must be one e-mail"),
    ("documented", "12", {"TestRecipient": "a@b.c, d@e.f"}, REFUSED, "must be one e-mail address"),
    # Host and Port
    ("assumed", "12", {"Host": "a_b.test"}, TAKEN, '"relay": {"host": "a_b.test"'),
    ("assumed", "12", {"Host": "A.Test."}, TAKEN, '"relay": {"host": "a.test"'),
    ("assumed", "12", {"Host": "b\xfccher.test."}, TAKEN, '"host": "xn--bcher-kva.test"'),
    ("assumed", "12", {"Host": "_x.test", "UseSSL": True, "Port": 587}, TAKEN, "STARTTLS"),
    ("assumed", "12", {"Host": "a b.test"}, REFUSED, "Host: must be a host name or an IP address"),
    ("documented", "12", {"Port": 465, "UseSSL": True}, TAKEN, '"tls_mode": "implicit"'),
    ("documented", "12", {"Port": 465}, REFUSED, "stage tls: it speaks TLS from the first octet"),
    # Credentials that the authentication type does not use
    ("observed", "1", {"RelayUsername": "", "RelayPassword": ""}, TAKEN, ""),
    ("observed", "2", {"RelayUsername": BLANK, "ClientSecret": {}, "ClientId": UNSET}, TAKEN, ""),
    ("observed", "2", {"TokenEndpoint": "", "Scope": " ", "Audience": ""}, TAKEN, ""),
    ("observed", "1", {"RelayPassword": "a\0"}, REFUSED, "must be text without a NUL"),
    ("observed", "2", {"RelayPassword": {"Provider": 1}}, REFUSED, "Parameters: required when"),
    ("observed", "2", {"TokenEndpoint": "idp.test"}, REFUSED, "must be an absolute http or https"),
    ("documented", "1", BASIC_1 | {"RelayPassword": ""}, REFUSED, "RelayPassword: must have 1 or"),
    ("documented", "2", BASIC_2 | {"RelayPassword": BLANK}, REFUSED, "Password/Provider: required"),
    ("documented", "2", OAUTH | {"ClientId": UNSET}, REFUSED, "Parameters: must be an object"),
    # Secret objects
    ("recorded", "2", BASIC_2 | {"RelayPassword": GIVEN_BACK}, TAKEN, "AUTH PLAIN"),
    ("recorded", "2", BASIC_2 | {"RelayPassword": REFERENCE}, TAKEN, "AUTH PLAIN"),
    ("observed", "2", BASIC_2 | {"RelayPassword": {**PAM, **BLANK}}, TAKEN, "AUTH PLAIN"),
    ("recorded", "2", BASIC_2 | {"RelayPassword": {"SecretValue": "*" * 20}}, REFUSED, "535 5.7.8"),
    ("documented", "2", {"ClientId": {**PAM, "SecretValue": "x"}}, REFUSED, "must be absent when"),
    # What goes to the identity provider
    ("documented", "2", OAUTH | {"Scope": " a  b\t"}, TAKEN, '"scope": " a  b\\t"'),
    ("documented", "2", OAUTH | {"Audience": "\xfc b "}, TAKEN, '"audience": "\\u00fc b "'),
    ("documented", "2", MAIL | {"Scope": "a b"}, TAKEN, '"scope": "a b"'),
    ("documented", "2", MAIL | {"Scope": "a  b"}, REFUSED, "HTTP 400, invalid_scope"),
    ("assumed", "2", OAUTH | {"Scope": " ", "Audience": ""}, TAKEN, '"status": 200'),
    ("assumed", "2", OAUTH | {"TokenEndpoint": "\t "}, TAKEN, "/_mock/idp/token"),
    ("assumed", "2", OAUTH | {"TokenEndpoint": "https://a_b.test./t"}, TAKEN, "https://a_b.test/t"),
    ("assumed", "2", OAUTH | {"TokenEndpoint": "https://\xfc.test/t"}, TAKEN, "https://xn--tda."),
    ("assumed", "2", OAUTH | {"TokenEndpoint": "https://[::1]:1/t"}, TAKEN, "https://[::1]:1/t"),
    ("assumed", "2", OAUTH | {"TokenEndpoint": "https://u@a/"}, REFUSED, "without user name or"),
    ("assumed", "2", OAUTH | {"TokenEndpoint": "https://a/#b"}, REFUSED, "or fragment"),
    # What stays refused
    ("ours", "12", {"Unknown": 1}, REFUSED, "Unknown: unknown"),
    ("ours", "12", {"Port": "25"}, REFUSED, "Port: must be an integer"),
    ("documented", "1", {"Id": None}, REFUSED, "Id: must be an integer"),
    ("assumed", "12", {"RelayAuthenticationType": 1}, REFUSED, "must be one of 0, 2"),
    ("assumed", "12", {"RelayAuthenticationType": 4}, REFUSED, "must be one of 0, 2"),
]  # fmt: skip
CASES = [
    pytest.param(version, *case, id=f"{source}-v{version}-{json.dumps(case[0])[:60]}")
    for source, versions, *case in VERDICTS
    for version in versions
]


@pytest.mark.parametrize(("version", "changes", "verdict", "shows"), CASES)
def test_a_body_gets_its_verdict(
    caller: Caller, version: str, changes: Json, verdict: int, shows: str
) -> None:
    caller.mock.patch_world(WORLD)
    response = caller.send(version, {"1": V1, "2": V2}[version] | changes)
    assert response.status_code == verdict, response.text
    exchange = caller.exchange(response)
    for message in caller.messages():
        del message["dialogue"]
        exchange["message"] = message
    lines = [line for _, _, line in (exchange["delivery"] or {"dialogue": []})["dialogue"]]
    if verdict == REFUSED:
        assert shows in exchange["problem"]["message"]
    else:
        assert shows in "\n".join([*lines, json.dumps(exchange)])

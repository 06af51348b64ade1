"""What the end-to-end tests share: bodies that work, and a caller that sends them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from mockserver import MockServer
from mockserver.contract.operations import Contract
from mockserver.journal.outside import SessionTrace
from mockserver.journal.state import State
from mockserver.journal.trace import Dialogue, Endpoint
from mockserver.mail.authentication import Tokens
from mockserver.mail.part import Part
from mockserver.world.loading import load
from mockserver.world.model import Relay

Json = dict[str, Any]

ROOT = Path(__file__).parents[1]

ADMIN = ("KEYEXAMPLE\\admin", "admin-password")
PATH = "/KeyfactorAPI/SMTP/Test"

V1: Json = {
    "Host": "corpexch02.keyexample.com",
    "Id": 1,
    "SenderAccount": "jsmith@keyexample.com",
    "SenderName": "Keyfactor Command",
    "TestRecipient": "mjones@keyexample.com",
}
V2: Json = {
    "Host": "corpexch02.keyexample.com",
    "Port": 25,
    "SenderAccount": "jsmith@keyexample.com",
    "SenderName": "Keyfactor Command",
    "TestRecipient": "mjones@keyexample.com",
}
VALID: dict[str, Json] = {"1": V1, "2": V2}

# What the tests of the documents send.
HEADERS = {"x-keyfactor-requested-with": "APIClient"}
SECRET = {"SecretValue": "hunter2"}
PAM = {"Provider": "1", "Parameters": {"SecretName": "EmailSenderPassword"}}
BODY: Json = V2 | {"Host": "smtp.keyexample.com", "Port": 587}
BODIES: dict[str, Json] = {"1": {**BODY, "Id": 1}, "2": BODY}
BASIC: dict[str, Json] = {
    "1": {"RelayAuthenticationType": 2, "RelayUsername": "KEYEXAMPLE\\mail", "RelayPassword": "x"},
    "2": {"RelayAuthenticationType": 2, "RelayUsername": SECRET, "RelayPassword": PAM},
}
OAUTH: Json = {"RelayAuthenticationType": 3, "ClientId": SECRET, "ClientSecret": PAM}

ERRORS = load().errors


def compile_all(contract: Contract) -> None:
    """Compile every schema of a contract, as the mock does when one is first needed."""
    for operation in contract.operations:
        for schema in (operation.body, *(each.schema for each in operation.parameters)):
            _ = schema and schema.validator


def _no_token(_token: str, _audience: str | None) -> Mapping[str, Any]:
    raise ValueError("there is no identity provider")


NO_TOKENS = Tokens(_no_token, lambda: None)


def part_of(state: State, host: str = "relay.test", port: int = 25, **changes: Any) -> Part:  # noqa: ANN401  # fields of a part
    """Return what the relay of the state's world plays for a call that names it."""
    key, relay = state.world.relay(host, port) or ("", Relay(fault="unresolvable"))
    fields: Json = {"implicit": port in relay.implicit_ports, "request_id": "1"} | changes
    session, keep = SessionTrace(Endpoint(host, port), Dialogue()), state.journal.add_message
    return Part(state, state.world, key, relay, session, keep=keep, **fields)


def rule_of_relay(key: str) -> Json:
    """Return what the schema of a world says of one key of a relay."""
    schema = yaml.safe_load((ROOT / "fixtures" / "schema.yaml").read_text("utf-8"))
    rule: Json = schema["$defs"]["relay"]["properties"][key]
    return rule


class Caller:
    """Call the API and the control endpoints of one mock as a client would, over real HTTP."""

    def __init__(self, mock: MockServer, http: httpx2.Client) -> None:
        self.mock = mock
        self.http = http

    def send(
        self,
        version: str | None,
        body: Json | bytes | None,
        *,
        auth: tuple[str, str] | None = ADMIN,
        headers: Mapping[str, str | None] | None = None,
        path: str = PATH,
    ) -> httpx2.Response:
        """POST a test request; a header given as None is left out; `path` may name a method."""
        sent: dict[str, str | None] = {
            "content-type": "application/json",
            "x-keyfactor-requested-with": "APIClient",
            "x-keyfactor-api-version": version,
            **(headers or {}),
        }
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        method, target = path.split(" ", 1) if path[:1].isupper() else ("POST", path)
        return self.http.request(
            method,
            target,
            content=content,
            auth=auth or httpx2.Auth(),
            headers={name: value for name, value in sent.items() if value is not None},
        )

    def exchange(self, response: httpx2.Response) -> Json:
        """Read back the exchange of an answer."""
        url = f"/_mock/requests/{response.headers['x-mock-request-id']}"
        found: Json = self.http.get(url).json()
        return found

    def messages(self, **criteria: str) -> list[Json]:
        """Read back the messages that fulfil the criteria."""
        found: list[Json] = self.http.get("/_mock/messages", params=criteria).json()["messages"]
        return found


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Return status and message of a refusal, after a look at its form."""
    body = response.json()
    assert list(body) == ["ErrorCode", "Message"]
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    return response.status_code, body["Message"]


def unchunked(body: bytes) -> bytes:
    """Take the chunks of a whole body apart (RFC 9112, 7.1); nothing may follow them."""
    found = b""
    while body != b"0\r\n\r\n":
        line, _, rest = body.partition(b"\r\n")
        size = int(line, 16)
        assert rest[size : size + 2] == b"\r\n"
        found, body = found + rest[:size], rest[size + 2 :]
    return found


@contextmanager
def calling(mock: MockServer) -> Iterator[Caller]:
    """Open a caller of a mock that runs."""
    with httpx2.Client(base_url=mock.url, timeout=30) as http:
        yield Caller(mock, http)


@contextmanager
def following(mock: MockServer, path: str = "/_mock/events") -> Iterator[Iterator[Json]]:
    """Follow events; give each as its fields."""
    # A stream says that it is alive less often than this: silence is a failure, not a wait.
    with httpx2.stream("GET", mock.url + path, timeout=5) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        yield _events(response.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[Json]:
    fields: Json = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.strip()
        elif fields:
            yield fields
            fields = {}

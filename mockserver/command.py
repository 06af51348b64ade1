"""The mocked product: one method per operation; the vendor's JSON stays in here."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from mockserver import relay
from mockserver.access import Identity
from mockserver.certificates import Authority
from mockserver.journal import Delivery, Dialogue, Endpoint, Trace
from mockserver.masking import Secret
from mockserver.problems import Code, Problem
from mockserver.relay import Login, Submission
from mockserver.sink import Sink
from mockserver.state import State
from mockserver.world import World, host_name

Json = dict[str, Any]

# RelayAuthenticationType (POST SMTP Test, tables 888 and 889).
BASIC: Final = 2
OAUTH: Final = 3


@dataclass(frozen=True)
class Call:
    """One permitted and valid call of an operation, with the world as it was when the call came.

    `body` has the defaults of the document where the request had nothing.
    """

    state: State
    world: World
    identity: Identity
    body: Json
    trace: Trace


class KeyfactorCommand:
    """Do what Keyfactor Command does; every public method is an operation of the documents."""

    def __init__(self, sink: Sink, authority: Authority) -> None:
        self._sink = sink
        self._authority = authority

    async def test_smtp_v1(self, call: Call) -> Json:
        """Send a test mail, and answer with the settings without the password (table 890)."""
        body = call.body
        login = None
        if body["RelayAuthenticationType"] == BASIC:
            login = Login(body["RelayUsername"], Secret(body["RelayPassword"]))
        recipient = body.get("TestRecipient") or body["SenderAccount"]
        await self._send(call, recipient, login)
        return {name: body.get(name) for name in _V1_ANSWER}

    async def test_smtp_v2(self, call: Call) -> None:
        """Send a test mail."""
        body = call.body
        login = None
        if body["RelayAuthenticationType"] == BASIC:
            username = _literal(body, "RelayUsername")
            login = Login(username.reveal(), _literal(body, "RelayPassword"))
        elif body["RelayAuthenticationType"] == OAUTH:
            raise Problem(
                400, Code.UNSUPPORTED, "RelayAuthenticationType: 3 (OAuth) is not served yet"
            )
        await self._send(call, body["TestRecipient"], login)

    async def _send(self, call: Call, recipient: str, login: Login | None) -> None:
        body = call.body
        host, port = host_name(body["Host"]), body["Port"]
        mode = relay.tls_mode(use_ssl=body["UseSSL"], port=port)
        call.trace.delivery = Delivery(Endpoint(host, port), mode, Dialogue())
        found = call.world.relay(host, port)
        submission = Submission(
            host=host.strip("[]"),
            port=port,
            tls_mode=mode,
            sender_name=body["SenderName"],
            sender=body["SenderAccount"],
            recipient=recipient,
            login=login,
            timeout=found[1].timeout if found else 0,
        )
        dial = partial(self._sink.connect, call.state, call.world, call.trace)
        trust = self._authority.client_context
        await relay.deliver(submission, dial, trust, call.trace.delivery)


_V1_ANSWER: Final = (
    "Host",
    "Id",
    "Port",
    "RelayAuthenticationType",
    "RelayUsername",
    "SenderAccount",
    "SenderName",
    "TestRecipient",
    "UseSSL",
)


def _literal(body: Json, field: str) -> Secret:
    value = body[field].get("SecretValue")
    if value is None:
        raise Problem(400, Code.UNSUPPORTED, f"{field}: PAM providers are not served yet")
    return Secret(value)

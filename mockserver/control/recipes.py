"""What the inbox offers to copy and to try: curl lines, assertions, and bodies of test mails."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from mockserver.base.jsontext import Json
from mockserver.base.masking import MASK, Secret
from mockserver.base.sasl import MECHANISMS
from mockserver.journal.message import Message
from mockserver.journal.trace import Exchange, Received
from mockserver.product import pam
from mockserver.product.keyfactor import ANONYMOUS, BASIC, OAUTH
from mockserver.world.model import OAuthClient, PamProvider, Relay, World

_SENDER: Final = "command@keyexample.com"
_RECIPIENT: Final = "mjones@keyexample.com"
_PORT: Final = 25
# Those that curl adds by itself, or that belong to the connection of the first call.
_OWN_HEADERS: Final = {"accept-encoding", "connection", "content-length", "host", "user-agent"}
_TOKEN_MECHANISMS: Final = {name for name, each in MECHANISMS.items() if each.by_token}


# An exchange once more


def curl(exchange: Exchange, root: str) -> str:
    """Return a command for a POSIX shell that sends a call again to the mock at `root`.

    What was masked stays so: whoever runs it puts the credentials in.
    """
    words = ["curl", "-i", "-X", exchange.method]
    for name, value in exchange.request.headers:
        if name == "authorization":
            words += _credentials(value)
        elif name not in _OWN_HEADERS:
            # A header without a value has a semicolon in curl's own language.
            words += ["-H", f"{name}: {value}" if value else f"{name};"]
    if exchange.request.body is not None:
        words += ["--data-raw", exchange.request.body_text or ""]
    # The brackets of an IPv6 address are no range to expand.
    words += ["--globoff", root + quote(exchange.path)]
    return shlex.join(words)


def newer(exchange: Exchange, root: str) -> tuple[str, Sequence[str]] | None:
    """Return such a command for the call of version 2 that does the same, and what that loses."""
    if (made := exchange.v2) is None:
        return None
    text = None if made.body is None else json.dumps(made.body, ensure_ascii=False)
    request = Received(made.headers, text)
    return curl(replace(exchange, request=request), root), made.lost


def _credentials(value: str) -> list[str]:
    scheme = value.partition(" ")[0]
    if scheme.lower() == "basic":
        return ["-u", "USER:PASSWORD"]
    return ["-H", f"authorization: {value.replace(MASK, 'TOKEN')}"]


def assertion(exchange: Exchange | None, message: Message | None) -> str | None:
    """Return the line of a test with pytest that holds for a call or a mail, if there is one."""
    if message is not None:
        wanted = {
            "recipient": message.envelope.recipients[0],
            "subject": message.subject,
            "tls_mode": str(message.tls_mode),
            "mechanism": message.mechanism,
        }
        return f"keyfactor.assert_delivered({_arguments(wanted)})"
    if exchange is None or not exchange.refused:
        return None
    return f"keyfactor.assert_rejected({_arguments(_rejection(exchange))})"


def _rejection(exchange: Exchange) -> Mapping[str, object]:
    if exchange.violations:
        first = exchange.violations[0]
        return {"field": first.path.removeprefix("/"), "rule": first.rule}
    if exchange.delivery:
        return {"stage": exchange.delivery.stage}
    if exchange.problem and exchange.problem.field:
        return {"field": exchange.problem.field}
    return {"status": exchange.status, "code": exchange.problem and exchange.problem.code}


def _arguments(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


# A test mail for a part of the world


def trial(world: World, section: str, key: str) -> Json:
    """Return a body of `POST /SMTP/Test`, version 2, that shows how a part of the world behaves.

    KeyError where the world has no such section, one of `relays`, `token_endpoints` and
    `pam_providers`, or no such key in it.
    """
    return _TRIALS[section](world, key)


def _for_relay(world: World, key: str) -> Json:
    relay = world.relays[key]
    host, port = _address(key)
    kind = ANONYMOUS
    if relay.accounts or "auth" in relay.replies or relay.require_tls or not relay.mechanisms:
        kind = BASIC
    if relay.mechanisms and _TOKEN_MECHANISMS.issuperset(relay.mechanisms):
        kind = OAUTH
    return body(world, host, port, kind, use_ssl=_shows_in_tls(relay, port))


def _for_token_endpoint(world: World, key: str) -> Json:
    world.token_endpoints[key]  # a KeyError for one that is not there
    # Preferably with a relay that checks the audience of the token.
    asks = next((name for name, relay in world.relays.items() if relay.audience), "*")
    host, port = _address(asks)
    url = key if "://" in key else f"https://{_named(key)}/token"
    return body(world, host, port, OAUTH, use_ssl=True) | {"TokenEndpoint": url}


def _for_provider(world: World, key: str) -> Json:
    provider = world.pam_providers[key]
    reference = {"Provider": _named(key, "1"), "Parameters": _parameters(provider)}
    made = body(world, _named("*"), _PORT, BASIC, use_ssl=True)
    return made | {"RelayPassword": reference}


_TRIALS: Final[Mapping[str, Callable[[World, str], Json]]] = {
    "relays": _for_relay,
    "token_endpoints": _for_token_endpoint,
    "pam_providers": _for_provider,
}


def body(world: World, host: str, port: object, kind: int, *, use_ssl: bool) -> Json:
    """Return such a body, with a login that the relay knows, where it has accounts."""
    relay = _relay(world, host, port)
    name, account = next(iter((relay.accounts or {}).items()), (_SENDER, None))
    sender = account.senders[0].replace("*", "test") if account and account.senders else _SENDER
    made: Json = {
        "Host": host,
        "Port": port,
        "RelayAuthenticationType": kind,
        "SenderAccount": sender if "@" in sender else _SENDER,
        "SenderName": "Keyfactor Command",
        "TestRecipient": _RECIPIENT,
        "UseSSL": use_ssl,
    }
    if not relay.smtputf8:
        made["SenderAccount"] = "jörg@keyexample.com"
    if kind == BASIC:
        password = account.password if account else Secret("any-password")
        made["RelayUsername"] = {"SecretValue": name}
        made["RelayPassword"] = {"SecretValue": password.reveal()}
    return made | (_client(world, relay) if kind == OAUTH else {})


def _client(world: World, relay: Relay) -> Json:
    """Return what a mail account of the identity provider needs, the first that may send mail."""
    client = next((each for each in world.oauth_clients.values() if each.mailboxes), None)
    client = client or OAuthClient("unknown")
    secret = client.secret or Secret("any-secret")
    audience = relay.audience or next(iter(client.audiences or ()), None)
    scope = next(iter(client.scopes or ()), None)
    return {
        "ClientId": {"SecretValue": client.id},
        "ClientSecret": {"SecretValue": secret.reveal()},
        "TokenEndpoint": f"https://{_named('*')}/token",
        **({"Scope": scope} if scope else {}),
        **({"Audience": audience} if audience else {}),
    }


def _relay(world: World, host: str, port: object) -> Relay:
    found = world.relay(host, port) if isinstance(port, int) else None
    return found[1] if found else Relay()


def _shows_in_tls(relay: Relay, port: int) -> bool:
    """Say whether a relay shows what it does only to a client that asks for TLS."""
    asks = relay.certificate != "good" or not relay.starttls or "starttls" in relay.replies
    return asks or port in relay.implicit_ports or bool(relay.accounts and not relay.require_tls)


def _address(key: str) -> tuple[str, int]:
    host, colon, port = key.rpartition(":")
    return (_named(host), int(port)) if colon and port.isdecimal() else (_named(key), _PORT)


def _named(key: str, anything: str = "any.test") -> str:
    """Return a name that a key with a wildcard stands for."""
    return anything if key == "*" else key.replace("*", "any")


def _parameters(provider: PamProvider) -> Json:
    """Return the parameters of a secret that a provider has, or of one that it could have."""
    names = pam.needed(provider.type) or ("SecretName",)
    known = [key.split("/") for key in provider.secrets if key != "*"]
    # The one that is most likely a password.
    values = max(known, key=lambda parts: "password" in parts[-1].lower(), default=[])
    values += ["Password"] * (len(names) - len(values))
    return {name: value.replace("%2F", "/") for name, value in zip(names, values, strict=False)}

"""The mocked product: one method per operation; the vendor's JSON stays in here."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as member
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, cast

from mockserver.base import masking
from mockserver.base.certificates import Authority
from mockserver.base.documents import merge
from mockserver.base.jsontext import Json
from mockserver.base.problems import Note, NoteKind
from mockserver.base.text import host_name
from mockserver.contract.form import ASTERISKS
from mockserver.contract.operations import Contract
from mockserver.journal.message import Message
from mockserver.journal.outside import SessionTrace
from mockserver.journal.state import State
from mockserver.journal.trace import Attempt, Dialogue, Endpoint, Trace
from mockserver.mail.part import Part
from mockserver.mail.sink import Sink
from mockserver.mail.submission import Login, Submission, TlsMode, tls_mode
from mockserver.oauth import client as oauth
from mockserver.oauth.client import Grant
from mockserver.oauth.idp import IdentityProvider
from mockserver.product import access, pam
from mockserver.product.access import Identity
from mockserver.world.model import Relay, World

# RelayAuthenticationType (POST SMTP Test, tables 888 and 889).
ANONYMOUS: Final = 0
BASIC: Final = 2
OAUTH: Final = 3


@dataclass(frozen=True)
class Call:
    """A permitted and valid call of an operation, with the world as it was when the call came in.

    `parameters` are those of path and query, by their documented names. They and `body` have the
    document's defaults for what the request left out. `headers` have names in lower case.
    """

    state: State
    world: World
    identity: Identity
    parameters: Json
    body: Json
    trace: Trace
    contract: Contract
    headers: Mapping[str, str] = member(default_factory=dict, repr=False)


class Answer(NamedTuple):
    """A body, and the headers that go with it."""

    body: Any
    headers: Mapping[str, str]


class KeyfactorCommand:
    """Do what Keyfactor Command does: each public method is an operation of the documents."""

    def __init__(
        self, sink: Sink, authority: Authority, idp: IdentityProvider, token_url: Callable[[], str]
    ) -> None:
        self._sink = sink
        self._authority = authority
        self._idp = idp
        self._token_url = token_url

    async def test_smtp_v1(self, call: Call) -> Json:
        """Send a test mail, and answer with the settings without the password (table 890)."""
        call.trace.note(*_notes(call.body))
        body = call.body
        login = None
        if body["RelayAuthenticationType"] == BASIC:
            login = await _login(call, lambda field: {"SecretValue": body[field]})
        recipient = body.get("TestRecipient") or body["SenderAccount"]
        await self._send(call, recipient, login)
        return _shaped(call, "1", "SMTPTestResponse", body)

    async def test_smtp_v2(self, call: Call) -> None:
        """Send a test mail."""
        call.trace.note(*_notes(call.body))
        body = call.body
        login: Login | None = None
        if body["RelayAuthenticationType"] == BASIC:
            login = await _login(call, body.__getitem__)
        elif body["RelayAuthenticationType"] == OAUTH:
            login = await self._token_login(call)
        await self._send(call, body["TestRecipient"], login)

    async def get_smtp_v1(self, call: Call) -> Json:
        """Return the SMTP profile without the password."""
        return _profile_v1(call)

    async def get_smtp_v2(self, call: Call) -> Json:
        """Return the SMTP profile without any secret."""
        return _profile_v2(call)

    async def put_smtp_v1(self, call: Call) -> Json:
        """Replace the whole SMTP profile, including what only version 2 knows."""
        body = {
            name: {"SecretValue": value} if name in _CREDENTIALS[BASIC] else value
            for name, value in call.body.items()
        }
        _put_profile(call.state, body)
        return _profile_v1(call)

    async def put_smtp_v2(self, call: Call) -> Json:
        """Replace the whole SMTP profile."""
        _put_profile(call.state, call.body)
        return _profile_v2(call)

    async def get_status_endpoints_v1(self, call: Call) -> list[str]:
        """List the operations that the caller may call; Problem 403 for one without a role."""
        access.require_a_role(call.identity, call.trace)
        reached = {
            f"{operation.method} {operation.path}"
            for operation in call.contract.operations
            if all(access.reaches(call.identity, wanted) for wanted in operation.permissions)
        }
        return sorted(reached)

    async def get_health_check_v1(self, call: Call) -> None:
        """Answer with nothing: a call that gets this far shows that the mock works."""

    async def get_my_permissions_v1(self, call: Call) -> Json:
        """List the permissions of the caller's roles."""
        return {"Permissions": list(call.identity.permissions)}

    async def _token_login(self, call: Call) -> Login:
        """Fetch a token, and return the login of type 3 for the mailbox SenderAccount."""
        body = call.body
        client_id, client_secret = [
            await pam.resolve(body[field], field, call.world, call.trace)
            for field in ("ClientId", "ClientSecret")
        ]
        grant = Grant(
            client_id=client_id.reveal(),
            client_secret=client_secret,
            token_endpoint=_given(body, "TokenEndpoint") or self._token_url(),
            scope=_given(body, "Scope"),
            audience=_given(body, "Audience"),
            request_headers=tuple(
                (header["Name"], header["Value"]) for header in body.get("RequestHeaders", ())
            ),
        )
        play = partial(self._idp.play, call.world)
        token = await oauth.token(grant, play, call.trace)
        return Login(body["SenderAccount"], token, by_token=True)

    async def _send(self, call: Call, recipient: str, login: Login | None) -> None:
        sink, body, trace = self._sink, call.body, call.trace
        host, port = body["Host"], body["Port"]
        with suppress(ValueError):  # no relay has a host name that IDNA does not know
            host = host_name(host)
        mode = tls_mode(use_ssl=body["UseSSL"], port=port)
        attempt = Attempt(_endpoint(host, port), mode, Dialogue(trace.started))
        trace.delivery = attempt
        key, relay = call.world.relay(host, port) or ("", _NO_RELAY)
        speaks_tls = port in relay.implicit_ports
        submission = Submission(
            host=host.strip("[]"),
            port=port,
            tls_mode=mode,
            sender_name=body["SenderName"],
            sender=body["SenderAccount"],
            recipient=recipient,
            login=login,
            timeout=relay.timeout,
            speaks_tls=speaks_tls,
        )

        def keep(message: Message) -> None:
            call.state.journal.add_message(message)
            trace.message_id = message.id

        part = Part(
            call.state,
            call.world,
            key,
            relay,
            SessionTrace(attempt.relay, attempt.dialogue, trace.request_id),
            implicit=speaks_tls or mode is TlsMode.IMPLICIT,
            keep=keep,
            request_id=trace.request_id,
            identity=call.identity.name,
        )
        from mockserver.mail.client import deliver  # noqa: PLC0415  # only mail needs aiosmtplib

        with trace.step("delivery"):
            dial = sink.connect if submission.needs_tls else sink.pipe
            await deliver(submission, partial(dial, part), self._authority.client_context, attempt)


_endpoint: Final = lru_cache(maxsize=64)(Endpoint)  # the journal holds each of them once
# What plays a host that the world does not have.
_NO_RELAY: Final = Relay(fault="unresolvable")


def _shaped(call: Call, version: str, schema: str, values: Mapping[str, Any]) -> Json:
    """Return the members of an answer in the order of its schema, null where there is no value."""
    members = call.contract.documents[version]["components"]["schemas"][schema]["properties"]
    return {name: values.get(name) for name in members}


# The fields that only one authentication type uses (POST SMTP Test, table 888).
_CREDENTIALS: Final = {
    BASIC: ("RelayUsername", "RelayPassword"),
    OAUTH: ("ClientId", "ClientSecret", "TokenEndpoint", "Scope", "Audience", "RequestHeaders"),
}


def _notes(body: Json) -> Iterator[Note]:
    """Yield the notes on a valid body of POST /SMTP/Test."""
    chosen = body["RelayAuthenticationType"]
    for kind, fields in _CREDENTIALS.items():
        for field in fields:
            if kind != chosen and not _is_blank(body.get(field)):
                text = f"not used when RelayAuthenticationType is {chosen}"
                yield _note(NoteKind.UNUSED, field, text)
    if chosen == OAUTH and _is_blank(body.get("TokenEndpoint")):
        text = "left out; the mock's own identity provider is asked"
        yield _note(NoteKind.TOKEN_ENDPOINT, "TokenEndpoint", text)
    mode = tls_mode(use_ssl=body["UseSSL"], port=body["Port"])
    if chosen != ANONYMOUS and mode is TlsMode.NONE:
        text = f"false, so no TLS protects the {'token' if chosen == OAUTH else 'password'}"
        yield _note(NoteKind.PLAIN_PASSWORD, "UseSSL", text)
    for field, literal in _literals(body, chosen):
        if literal and not literal.strip("*"):
            text = "only asterisks, the form in which secrets are given back; it is used as it is"
            yield _note(NoteKind.ASTERISKS, field, text)


@lru_cache(maxsize=64)  # so that what recurs is held once
def _note(kind: NoteKind, field: str, text: str) -> Note:
    return Note(f"/{field}", kind, f"{field}: {text}.", kind)


def _is_blank(value: object) -> bool:
    """Say whether a value is one that clients send in place of none."""
    if isinstance(value, dict):
        return all(map(_is_blank, value.values()))
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _literals(body: Json, chosen: int) -> Iterator[tuple[str, str | None]]:
    """Yield the secrets and header values that the body has as literals, each with its field."""
    for field in _CREDENTIALS.get(chosen, ()):
        value: Any = body.get(field)
        if field == "RequestHeaders":
            for index, header in enumerate(value or ()):
                yield f"{field}/{index}/Value", header["Value"]
        elif field in _SECRETS:
            yield field, value if isinstance(value, str) else value.get("SecretValue")


def _given(body: Json, field: str) -> str | None:
    """Return a text of the body, or None if it is blank."""
    return None if _is_blank(body.get(field)) else body[field]


async def _login(call: Call, value: Callable[[str], Json]) -> Login:
    """Return the login of type 2; `value` returns the secret object of a field."""
    username, password = [
        await pam.resolve(value(field), field, call.world, call.trace)
        for field in _CREDENTIALS[BASIC]
    ]
    return Login(username.reveal(), password)


# The SMTP profile

_SECRETS: Final = ("RelayUsername", "RelayPassword", "ClientId", "ClientSecret")
# The values that C# gives to what was never set.
_UNSET: Final[Mapping[str, object]] = {"Port": 0, "RelayAuthenticationType": 0, "UseSSL": False}
# What version 1 answers for a user name in a PAM provider (observed).
_UNSUPPORTED: Final = "UnsupportedPAMSecret"


def _put_profile(state: State, body: Json) -> None:
    given = merge({}, body)  # without nulls
    state.put_profile({name: given[name] for name in given if name != "Id"})


def _profile_v1(call: Call) -> Json:
    profile = {**_UNSET, **call.state.world.smtp_profile, "Id": 1}
    username = profile.get("RelayUsername", {})
    profile["RelayUsername"] = (
        _UNSUPPORTED if _is_reference(username) else username.get("SecretValue")
    )
    return _shaped(call, "1", "SMTPResponse", profile)


def _profile_v2(call: Call) -> Json:
    profile = {**_UNSET, **call.state.world.smtp_profile, "Id": 1}
    for name in _SECRETS:
        profile[name] = _shown_secret(profile.get(name))
    if "RequestHeaders" in profile:
        profile["RequestHeaders"] = [_shown_header(header) for header in profile["RequestHeaders"]]
    return _shaped(call, "2", "SMTPResponse", profile)


def _shown_secret(secret: Mapping[str, Any] | None) -> Json | None:
    """Return a secret object without its value, or None if it is not set."""
    if not secret:
        return None
    if secret.get("SecretValue"):
        return {"SecretValue": ASTERISKS, "Parameters": {}, "Provider": None}
    if not _is_reference(secret):
        return None
    parameters, provider = secret.get("Parameters"), secret.get("Provider")
    return {
        "SecretValue": None,
        "Parameters": None if parameters is None else dict(parameters),
        "Provider": None if _is_blank(provider) else int(cast("int | str", provider)),
    }


def _is_reference(secret: Mapping[str, Any]) -> bool:
    """Say whether a secret object refers to a PAM provider, if only by one of the two keys."""
    refers = not _is_blank(secret.get("Provider")) or secret.get("Parameters")
    return bool(refers and not secret.get("SecretValue"))


def _shown_header(header: Mapping[str, str]) -> Json:
    """Return a header, with asterisks as the value if its name says that it is a secret."""
    name, value = header["Name"], header.get("Value")
    if value and masking.is_secret(name):
        value = ASTERISKS
    return {"Name": name, "Value": value}

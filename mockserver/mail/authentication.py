"""The server's side of AUTH (RFC 4954): it asks for responses, and checks them."""

import binascii
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mockserver.base.masking import MASK
from mockserver.base.sasl import MECHANISMS
from mockserver.base.text import once
from mockserver.mail.part import Part, RefusedError
from mockserver.world.model import Account

if TYPE_CHECKING:
    from mockserver.mail.connection import Connection

# The answers to a challenge that the protocols demand; any other could be a secret.
_DISMISSALS: Final = {b64encode(mechanism.dismissal) for mechanism in MECHANISMS.values()}


class Tokens(NamedTuple):
    """How tokens are checked.

    `check` takes a token, and its audience if it must have one; it returns the claims, or raises
    ValueError with the reason. `discovery_url` is where clients learn of the identity provider.
    """

    check: Callable[[str, str | None], Mapping[str, Any]]
    discovery_url: Callable[[], str | None]


class LoggedIn(NamedTuple):
    """Who a client is, None where nobody knows; `account` is the relay's of that name."""

    mechanism: str | None = None
    username: str | None = None
    account: Account | None = None


class Authentication(NamedTuple):
    """Log clients in as the relay demands it."""

    connection: "Connection"
    part: Part
    tokens: Tokens

    async def log_in(self, name: str, initial: str) -> LoggedIn:
        """Ask for the responses that follow `initial`, and check them; RefusedError if bad."""
        mechanism = MECHANISMS[name]
        self.part.session.mechanism = name
        responses = []
        for prompt in mechanism.prompts:
            responses.append(await self._response(initial, prompt))
            initial = ""
        found = mechanism.read(*responses)
        if found is None:
            raise RefusedError(f"501 5.5.2 Not a response of {name}")
        username, proof = once(found[0].decode("utf-8", "replace")), found[1]
        self.part.session.username = username
        await self.part.play("auth", self.connection.transport)
        account = self.part.relay.account(username)
        if mechanism.challenge is None:
            self._check_password(account, proof)
        elif reason := self._refusal_of(proof.decode(), username):
            await self._challenge(mechanism.challenge(self.tokens.discovery_url()))
            raise RefusedError(f"535 5.7.8 Token refused: {reason}")
        return LoggedIn(name, username, account)

    async def _response(self, initial: str, prompt: bytes) -> bytes:
        """Return the initial response, or else the answer to a prompt, decoded."""
        response = initial.encode("utf-8", "surrogateescape")
        if not response:
            await self.connection.say(f"334 {b64encode(prompt).decode()}")
            line = await self.connection.read_line()
            self.connection.dialogue.add("C", MASK)
            if line is None:
                raise RefusedError("500 5.5.6 Line too long")
            response = line.rstrip(b"\r\n")
        if response == b"*":
            raise RefusedError("501 5.7.0 Authentication cancelled")
        try:
            # RFC 4954, 4: "=" is an initial response that is empty.
            return b"" if response == b"=" else b64decode(response, validate=True)
        except binascii.Error:
            raise RefusedError("501 5.5.2 Not base64") from None

    def _check_password(self, account: Account | None, password: bytes) -> None:
        # An unknown user costs the same comparison as a wrong password.
        expected = account.password.reveal().encode() if account else b""
        same = hmac.compare_digest(expected, password)
        if self.part.relay.accounts is not None and not (account and same):
            raise RefusedError("535 5.7.8 Authentication credentials invalid")

    def _refusal_of(self, token: str, mailbox: str) -> str | None:
        """Return what is wrong with a token; it is checked even where any password would do."""
        try:
            claims = self.tokens.check(token, self.part.relay.audience)
        except ValueError as error:
            return str(error)
        client = self.part.world.oauth_client(claims["sub"])
        good = client is not None and client.may_use(mailbox)
        return None if good else "its client may not use this mailbox"

    async def _challenge(self, facts: Mapping[str, str]) -> None:
        """Say why a token is refused, and read the answer; then comes the reply (RFC 7628, 3.2)."""
        await self.connection.say(f"334 {b64encode(json.dumps(facts).encode()).decode()}")
        line = (await self.connection.read_line() or b"").rstrip(b"\r\n")
        self.connection.dialogue.add("C", line.decode() if line in _DISMISSALS else MASK)

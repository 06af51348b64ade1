"""Everything that exists in one mock, as frozen values, and how it is looked up."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mockserver.base.masking import Secret
from mockserver.base.problems import Errors
from mockserver.base.sasl import MECHANISMS
from mockserver.base.text import host_name, normal_url

_T = TypeVar("_T")


@dataclass(frozen=True)
class User:
    """An account that may call the API with Basic."""

    name: str
    domain: str
    password: Secret
    roles: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        r"""The name with the domain: `DOMAIN\name`."""
        return f"{self.domain}\\{self.name}"


@dataclass(frozen=True)
class OAuthClient:
    """A client of the identity provider; None as secret, scopes or audiences means: any."""

    id: str
    secret: Secret | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    audiences: tuple[str, ...] | None = None
    mailboxes: tuple[str, ...] = ()

    def may_use(self, mailbox: str) -> bool:
        """Tell whether one of its patterns covers the mailbox."""
        return _covers(self.mailboxes, mailbox)


@dataclass(frozen=True)
class PamProvider:
    """A vault; `safe` and `secret_field_name` are compared only where it names one."""

    id: str
    name: str
    type: str
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    fault: str | None = None
    delay: float = 0
    safe: str | None = None
    secret_field_name: str | None = None
    description: str = ""

    def secret(self, *values: str) -> Secret | None:
        """Find a secret by the values of its type's parameters, in their order."""
        key = "/".join(value.replace("/", "%2F") for value in values)
        return self.secrets.get(key, self.secrets.get("*"))


@dataclass(frozen=True)
class TokenEndpoint:
    """How one token endpoint behaves; `delay` in seconds."""

    fault: str | None = None
    delay: float = 0
    description: str = ""


@dataclass(frozen=True)
class Reply:
    """What a relay answers at a stage, in one line or more, the first so many times or always.

    `match` is a pattern of the senders or recipients that get it; None is all.
    """

    reply: str
    first: int | None = None
    match: str | None = None

    def covers(self, address: str | None) -> bool:
        """Tell whether the reply is for this sender or recipient."""
        return self.match is None or _covers((self.match,), address or "")


@dataclass(frozen=True)
class Account:
    """A login of a relay, and the senders that it may use."""

    password: Secret
    senders: tuple[str, ...] = ("*",)

    def may_send_as(self, sender: str) -> bool:
        """Tell whether one of its patterns covers the sender."""
        return _covers(self.senders, sender)


@dataclass(frozen=True)
class Relay:
    """How one mail server behaves, times in seconds; None as accounts: any login is accepted."""

    esmtp: bool = True
    starttls: bool = True
    require_auth: bool = False
    require_tls: bool = False
    mechanisms: tuple[str, ...] = tuple(MECHANISMS)
    accounts: Mapping[str, Account] | None = None
    fault: str | None = None
    replies: Mapping[str, tuple[Reply, ...]] = field(default_factory=dict)
    certificate: str = "good"
    delay: float = 0
    timeout: float = 30
    idle_timeout: float = 60
    listen: int | None = None
    implicit_ports: tuple[int, ...] = (465,)
    audience: str | None = None
    max_size: int = 10 * 1024 * 1024
    size: bool = True
    smtputf8: bool = True
    eightbitmime: bool = True
    pipelining: bool = True
    enhancedstatuscodes: bool = True
    dsn: bool = False
    strict: bool = True
    namespace: str = ""
    description: str = ""

    def account(self, name: str) -> Account | None:
        """Find an account by its name in any letter case."""
        # Active Directory compares user names without letter case.
        return next(
            (a for key, a in (self.accounts or {}).items() if key.casefold() == name.casefold()),
            None,
        )


@dataclass(frozen=True)
class ApiFault:
    """How one operation of the API misbehaves; times in seconds."""

    status: int | None = None
    retry_after: int | None = None
    delay: float = 0
    first: int | None = None
    reset: bool = False
    empty: bool = False
    truncate: bool = False
    malformed: bool = False

    @property
    def breaks_off(self) -> str | None:
        """Give the way in which the connection ends, or None where it goes on."""
        ways = ("reset", "empty", "malformed", "truncate")
        return next((way for way in ways if getattr(self, way)), None)


@dataclass(frozen=True)
class World:
    """Hold everything that exists in one mock; `data` is the same as plain, unmasked JSON."""

    data: Mapping[str, Any] = field(repr=False)
    lenient: bool
    product_version: str
    errors: Errors
    edition: str
    roles: Mapping[str, tuple[str, ...]]
    users: Mapping[str, User]
    oauth_clients: Mapping[str, OAuthClient]
    pam_providers: Mapping[str, PamProvider]
    token_endpoints: Mapping[str, TokenEndpoint]
    relays: Mapping[str, Relay]
    api_faults: Mapping[str, ApiFault]
    smtp_profile: Mapping[str, Any] = field(repr=False)
    api_audiences: tuple[str, ...] = ()
    api_supported_versions: Mapping[str, str] = field(default_factory=dict)
    deprecation_header: bool = False

    @cached_property
    def callers(self) -> dict[str, Any]:
        """Who has called with a password, by the credentials: each is checked once in a world."""
        return {}

    @property
    def resources(self) -> Mapping[str, Sequence[dict[str, Any]]]:
        """The objects that operations without code of their own answer with, by their path."""
        found: Mapping[str, Sequence[dict[str, Any]]] = self.data.get("resources", {})
        return found

    def relay(self, host: str, port: int) -> tuple[str, Relay] | None:
        """Find the relay that plays host and port, and its key.

        The most specific key wins: `host:port`, `host`, `*.suffix`, `*`. Nothing plays what is no
        host name.
        """
        try:
            name = host_name(host)
        except ValueError:
            return None
        return _most_specific(self.relays, (f"{name}:{port}", name), name)

    def token_endpoint(self, url: str) -> tuple[str, TokenEndpoint] | None:
        """Find the token endpoint that plays the URL, and its key.

        The most specific key wins: the URL, the URL without its query, `host`, `*.suffix`, `*`.
        Raises ValueError when it is no URL with a host.
        """
        name, normal = host_name(urlsplit(url).hostname or ""), normal_url(url)
        return _most_specific(self.token_endpoints, (normal, normal.partition("?")[0], name), name)

    def user(self, name: str) -> User | None:
        r"""Find the user by `name`, `DOMAIN\name` or `name@DOMAIN`, in any letter case."""
        return self._users.get(name.casefold())

    @cached_property
    def _users(self) -> Mapping[str, User]:
        """The users by each spelling; of two with the same one the first counts."""
        users = reversed([*self.users.values()])
        return {spelling: user for user in users for spelling in _spellings(user)}

    def provider(self, number: str) -> PamProvider | None:
        """Find the PAM provider with this id, else the one for any id."""
        return self.pam_providers.get(number, self.pam_providers.get("*"))

    def oauth_client(self, name: str) -> OAuthClient | None:
        """Find the OAuth client with this id, else the one for any id."""
        return self.oauth_clients.get(name, self.oauth_clients.get("*"))

    def api_fault(self, operation: str) -> ApiFault | None:
        """Find the fault of this operation, else the one of any operation."""
        return self.api_faults.get(operation, self.api_faults.get("*"))


# Keys and lookups


def _covers(patterns: Iterable[str], address: str) -> bool:
    return any(fnmatchcase(address.casefold(), pattern.casefold()) for pattern in patterns)


def _spellings(user: User) -> tuple[str, str, str]:
    name = user.name.casefold()
    return name, user.account.casefold(), f"{name}@{user.domain.casefold()}"


def _most_specific(
    table: Mapping[str, _T], exact: Sequence[str], host: str
) -> tuple[str, _T] | None:
    labels = host.split(".")
    suffixes = (f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels)))
    return next(((key, table[key]) for key in (*exact, *suffixes, "*") if key in table), None)


def relay_key(key: str) -> str:
    """Return a key of `relays` in the form that look-ups have; ValueError where none can be."""
    wildcard = "*." if key.startswith("*.") else ""
    host, port = re.fullmatch(r"(\[.*\]|[^:]*)(.*)", key.removeprefix(wildcard)).groups()  # type: ignore[union-attr]  # matches any text of one line
    return f"{wildcard}{host_name(host)}{port}"


def endpoint_key(key: str) -> str:
    """Return a key of `token_endpoints` in the form that look-ups have, in the same way."""
    return normal_url(key) if "://" in key else relay_key(key)

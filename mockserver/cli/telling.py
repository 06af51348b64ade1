"""What is told of a mock: to whoever starts it, to the command that it runs for, in a file."""

import json
import os
import shlex
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import click

from mockserver.base.masking import Secret
from mockserver.base.version import __version__
from mockserver.contract.editions import load_editions
from mockserver.oauth import idp
from mockserver.product import access
from mockserver.server import MockServer
from mockserver.world import loading as worlds
from mockserver.world.model import OAuthClient, User, World

_BUNDLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")

_Account = TypeVar("_Account", User, OAuthClient)


def variables(mock: MockServer, kind: str | None) -> dict[str, str]:
    """Return the environment of a command: ours, where the mock is, and credentials of a kind.

    ClickException if the world has no permitted account of the kind that is wanted.
    """
    return _inherited() | _environment(mock) | _accounts(mock, kind)


def _inherited() -> dict[str, str]:
    """Return our environment without variables that lead elsewhere, or that trust other CAs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KEYFACTOR_") and name != "SSL_CERT_DIR"
    }
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, [os.environ.get(name), "localhost", "127.0.0.1", "::1"]))
    return kept


def _environment(mock: MockServer) -> dict[str, str]:
    """Return the variables that tell a command where the mock is, and to trust it."""
    variables = {
        "KEYFACTOR_MOCK_URL": mock.url,
        "KEYFACTOR_MOCK_API_URL": mock.api_url,
        "KEYFACTOR_MOCK_CONTROL_URL": mock.control_url,
        "KEYFACTOR_MOCK_TOKEN_URL": mock.token_url,
        **{
            f"KEYFACTOR_MOCK_{name.upper()}_PORT": str(mock.port(name))
            for name in ("smtp", "smtps")
            if mock.port(name) is not None
        },
        # What the vendor's own clients read.
        "KEYFACTOR_API_PATH": mock.base_path.strip("/"),
    }
    if mock.https_url is None:
        return variables
    bundle = mock.ca_file.with_name("bundle.pem")
    system = ssl.create_default_context().get_ca_certs(binary_form=True)
    text = mock.ca_file.read_text("utf-8") + "".join(map(ssl.DER_cert_to_PEM_cert, system))
    bundle.write_text(text, "utf-8")
    return variables | {
        "KEYFACTOR_MOCK_HTTPS_URL": mock.https_url,
        "KEYFACTOR_MOCK_HTTPS_API_URL": str(mock.https_api_url),
        "KEYFACTOR_HOSTNAME": mock.https_url.partition("://")[2],
        # The Go SDKs take the port from the host name if their own is 0.
        "KEYFACTOR_PORT": "0",
        "KEYFACTOR_CA_CERT": str(mock.ca_file),
        **dict.fromkeys(_BUNDLES, str(bundle)),
    }


def _accounts(mock: MockServer, kind: str | None) -> dict[str, str]:
    """Return the variables from which the vendor's clients take credentials."""
    world = mock.world
    user = _permitted(world, world.users.values()) if kind != "oauth" else None
    client = _permitted(world, world.oauth_clients.values()) if kind != "basic" else None
    if kind and not (user or client):
        raise click.ClickException(f"--auth {kind}: the world has none that may send a test mail")
    variables: dict[str, str] = {}
    if user:
        variables |= {
            "KEYFACTOR_USERNAME": user.name,
            "KEYFACTOR_PASSWORD": user.password.reveal(),
            "KEYFACTOR_DOMAIN": user.domain,
        }
    if client:
        # A client without a secret accepts any. KEYFACTOR_CA_CERT is valid for this URL too.
        secret = client.secret or Secret("any-secret")
        variables |= {
            "KEYFACTOR_AUTH_CLIENT_ID": client.id,
            "KEYFACTOR_AUTH_CLIENT_SECRET": secret.reveal(),
            "KEYFACTOR_AUTH_TOKEN_URL": f"{mock.https_url or mock.url}{idp.MOUNT}/token",
        }
    return variables


def facts(mock: MockServer) -> dict[str, Any]:
    """Return what the ready file has."""
    return {
        "pid": os.getpid(),
        "version": __version__,
        "url": mock.url,
        "api_url": mock.api_url,
        "https_url": mock.https_url,
        "smtp_port": mock.port("smtp"),
        "smtps_port": mock.port("smtps"),
        "ca_file": str(mock.ca_file),
        "token_url": mock.token_url,
        "control_url": mock.control_url,
    }


def announce(mock: MockServer) -> None:
    """Print where the mock listens, and a command to paste."""
    click.echo(f"API      {mock.api_url}")
    if mock.https_url:
        click.echo(f"HTTPS    {mock.https_api_url}   CA in {mock.ca_file}")
    for name in ("smtp", "smtps"):
        if mock.port(name) is not None:
            click.echo(f"{name.upper():8} {mock.host}:{mock.port(name)}")
    click.echo(f"Inbox    {mock.url}/")
    click.echo(f"Control  {mock.control_url}")
    if logins := _logins(mock.world):
        click.echo(f"Logins   {logins}")
    click.echo("Send a test mail:\n\n" + _curl(mock) + "\n")


def _curl(mock: MockServer) -> str:
    """Return a command to paste; it has a password only if that is the default world's."""
    body = {
        "Host": "smtp.keyexample.com",
        "Port": 25,
        "SenderAccount": "jsmith@keyexample.com",
        "SenderName": "Keyfactor Command",
        "TestRecipient": "mjones@keyexample.com",
    }
    words = ["curl", "-i", "-u", _credentials(mock.world)]
    version = load_editions()[mock.world.edition].latest("POST", "/SMTP/Test").version
    for header in ("requested-with: APIClient", f"api-version: {version}"):
        words += ["-H", f"x-keyfactor-{header}"]
    words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join([*words, f"{mock.api_url}/SMTP/Test"])


def _logins(world: World) -> str:
    """Return a login for each relay of the default world that needs one; none has a secret."""
    known = worlds.load().relays
    relays: dict[str, list[str]] = {}
    for key, relay in world.relays.items():
        if relay.require_auth and relay == known.get(key):
            name, account = next(iter((relay.accounts or {}).items()), ("any login", None))
            login = f"{name}:{account.password.reveal()}" if account else name
            relays.setdefault(login, []).append(key)
    return "; ".join(f"{', '.join(keys)} by {login}" for login, keys in relays.items())


def _credentials(world: World) -> str:
    """Return what `curl -u` needs for a permitted user; curl asks for a password left out."""
    name, password = access.shown_account(world, _permissions()) or ("USER", None)
    return name if password is None else f"{name}:{password}"


def _permitted(world: World, accounts: Iterable[_Account]) -> _Account | None:
    """Return the first of the accounts that may send a test mail."""
    return access.first_permitted(world, accounts, _permissions())


def _permissions() -> Sequence[str]:
    return load_editions().newest.latest("POST", "/SMTP/Test").permissions

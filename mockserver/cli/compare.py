"""The command `compare`."""

import asyncio
import contextlib
import gc
import json
import os
import re
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from mockserver.base.loops import new_event_loop
from mockserver.cli.parts import EXIT_FAILED, check_place, option, written
from mockserver.control import compare as comparing
from mockserver.control.questions import VERSIONS, questions
from mockserver.http.wire import basic
from mockserver.product.worlds import load_world
from mockserver.server import MockServer
from mockserver.world import loading as worlds


@contextlib.contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except comparing.CompareError as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.argument("url", required=False)
@option("--user", "who asks", metavar="NAME")
@option("--password-env", "the variable that has the password", metavar="VARIABLE")
@option("--token-env", "the variable that has a token, in place of both", metavar="VARIABLE")
@option("--ca", "the CA that signed the certificate of the server", metavar="FILE")
@option("--world", "world file, or the name default or fuzz", default="default", metavar="FILE")
@option("--edition", "the release that the mock plays", metavar="NAME")
@option("--api-version", "", type=click.Choice([*VERSIONS, "both"]), default="both")
@option("--send-to", "send test mails to this address, by --relay", metavar="ADDRESS")
@option("--relay", "the mail server for them", metavar="HOST:PORT")
@option("--timeout", "seconds for one answer", type=click.FloatRange(0, 600, True), default=30)
@option("--json", "all of it as JSON; - writes it in place of the text", metavar="FILE")
@option("--adopt", "a world that answers as the server does", metavar="FILE")
@option("--list", "what would be sent, and no more", is_flag=True)
@_worded()
def compare(url: str | None, **options: Any) -> int:  # noqa: ANN401  # click's own
    """Ask the server at URL and a fresh mock the same questions, and tell where they differ.

    URL is the base of its API, such as https://HOST/KeyfactorAPI. Nothing of it is changed, and no
    mail is sent without --send-to. Ends with 1 where anything differs.
    """
    versions = VERSIONS if options["api_version"] == "both" else (options["api_version"],)
    asked = questions(versions, _places(options["send_to"], options["relay"]))
    if options["list"]:
        click.echo("\n".join(map(str, asked)))
        return 0
    new, report = options["adopt"], options["json"]
    if new and os.path.lexists(new):
        raise click.ClickException(f"--adopt {new}: is there already; a new file is made")
    for place, name in (("--adopt", new), ("--json", report)):
        if name not in {None, "-"}:
            check_place(name, place)
    server = comparing.server(
        url or "", *_authorization(options), _trust(options["ca"]), options["timeout"]
    )
    base, edition = options["world"], options["edition"]
    world = load_world(base, edition=edition)
    beside = partial(_beside, base, edition)
    gc.enable()  # it is off since the start
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        found = comparing.compare(server, asked, world, beside, _show_progress)
        below = {"extends": base if base in worlds.NAMED else str(Path(base).resolve())}
        below |= {"edition": world.edition} if edition else {}
        return _told(runner.run(found), report, new, below)


@contextlib.asynccontextmanager
async def _beside(base: str, edition: str | None, patch: dict[str, Any]) -> AsyncIterator[str]:
    """Run a mock of a world with a patch, and give the URL of its API."""
    mock = MockServer(base, edition=edition)
    mock.patch_world(patch)
    async with mock:
        yield mock.api_url


def _told(
    found: comparing.Comparison, report: str | None, new: str | None, below: dict[str, Any]
) -> int:
    """Tell what came of it, and write the files; return the status of the command."""
    as_json = json.dumps(found.json(), indent=1)
    click.echo(as_json if report == "-" else found.text())
    if report not in {None, "-"}:
        written(report, as_json, "--json")
    if new:
        written(new, found.world(below), "--adopt")
    return EXIT_FAILED if found.of("differs") else 0


def _places(recipient: str | None, relay: str | None) -> dict[str, object] | None:
    """Return where a test mail goes, as the questions name it, None where none does."""
    if recipient is None and relay is None:
        return None
    if recipient is None or relay is None:
        raise click.ClickException("--send-to ADDRESS and --relay HOST:PORT belong together")
    host, _, port = relay.rpartition(":")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", recipient):
        raise click.ClickException(f"--send-to: {recipient!r} is no address")
    if not (host and port.isdecimal()):
        raise click.ClickException(f"--relay: {relay!r} is not HOST:PORT")
    return {"$send_to": recipient, "$relay_host": host, "$relay_port": int(port)}


def _authorization(options: Mapping[str, Any]) -> tuple[str, str]:
    """Return the header for the server, and the secret in it."""
    user, variable, token = (options[name] for name in ("user", "password_env", "token_env"))
    if (user is None) != (variable is None) or (user is None) == (token is None):
        raise click.ClickException("who asks: --user and --password-env, or --token-env")
    name, place = (token, "--token-env") if token else (variable, "--password-env")
    secret = os.environ.get(name, "")
    if not secret:
        raise click.ClickException(f"{place}: the variable {name} is not set, or empty")
    if token and not re.fullmatch("[!-~]+", secret):
        raise click.ClickException(f"{place}: what {name} has cannot stand in a header")
    if ":" in (user or ""):
        raise click.ClickException(
            "--user: a name without a colon, which would end it (RFC 7617, 2)"
        )
    return f"Bearer {secret}" if token else basic(user, secret), secret


def _trust(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        reason = "no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise click.ClickException(f"--ca {ca}: {reason}") from None


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)

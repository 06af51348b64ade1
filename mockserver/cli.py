"""The command line: serve, openapi, check."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

import mockserver
from mockserver import access
from mockserver import world as worlds
from mockserver.server import BindError, MockServer, is_loopback, load_contract, new_event_loop
from mockserver.world import World

EXIT_USAGE: Final = 2
EXIT_PORT_TAKEN: Final = 3

Command = TypeVar("Command", bound=Callable[..., Any])


def _port(_: click.Context, __: click.Parameter, text: str) -> int | None:
    """Read a port: 0 picks a free one, `none` switches the listener off."""
    if text.lower() == "none":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):  # noqa: PLR2004  # RFC 9293, 3.1
        raise click.BadParameter(f"{text!r} is neither a port (0 to 65535) nor 'none'")
    return int(text)


def _option(name: str, help_text: str, **settings: Any) -> Callable[[Command], Command]:  # noqa: ANN401  # click's own
    """Make an option that is an environment variable too, such as KEYFACTOR_MOCK_SMTP_PORT."""
    variable = "KEYFACTOR_MOCK_" + name.strip("-").replace("-", "_").upper()
    return click.option(
        name, help=help_text, envvar=variable, show_envvar=True, show_default=True, **settings
    )


_SERVER_OPTIONS: Final = (
    _option("--host", "address to listen on", default="127.0.0.1"),
    _option("--port", "HTTP; 0 picks a free port, 'none' is off", callback=_port, default="8080"),
    _option("--https-port", "HTTPS, likewise", callback=_port, default="8443"),
    _option("--smtp-port", "mail from outside, likewise", callback=_port, default="1025"),
    _option("--smtps-port", "the same, with implicit TLS", callback=_port, default="1465"),
    _option("--world", "world file; without it the default world", metavar="FILE"),
    _option("--base-path", "where the API is", default="/KeyfactorAPI"),
    _option("--tls-name", "one more name of the HTTPS certificate", multiple=True),
    _option("--ready-file", "written when everything accepts connections", metavar="FILE"),
    _option("--log-format", "", type=click.Choice(["text", "json"]), default="text"),
    _option(
        "--log-level",
        "",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        default="info",
    ),
    _option("--allow-remote", "let other machines connect", is_flag=True),
    _option("--control-token", "what X-Mock-Token must be, if others may connect"),
)


def _with_server_options(command: Command) -> Command:
    for option in reversed(_SERVER_OPTIONS):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mockserver.__version__, package_name="keyfactor-mock")
def cli() -> None:
    """Mock a Keyfactor Command server on localhost, for contract tests."""


@cli.command()
@_with_server_options
def serve(**options: Any) -> None:  # noqa: ANN401  # click's own
    """Serve until SIGINT or SIGTERM."""
    _configure_logging(options["log_format"], options["log_level"])
    mock = _mock(options)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(mock, options["ready_file"]))


@cli.command()
@click.argument("version", type=click.Choice(["1", "2"]))
def openapi(version: str) -> None:
    """Print the OpenAPI document of an API version as JSON."""
    click.echo(json.dumps(load_contract().documents[version], indent=2, ensure_ascii=False))


@cli.command()
@click.argument("world")
def check(world: str) -> None:
    """Validate a world file."""
    worlds.load(world)
    click.echo(f"{world}: a valid world")


def main() -> None:
    """Run the command line; every error is one line, usage and worlds exit with 2, ports with 3."""
    try:
        cli.main(prog_name="keyfactor-mock", standalone_mode=False)
    except (click.ClickException, worlds.WorldError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        _fail(text, EXIT_USAGE)
    except BindError as error:
        _fail(str(error), EXIT_PORT_TAKEN)


def _fail(message: str, status: int) -> None:
    click.echo(f"keyfactor-mock: {' '.join(message.split())}", err=True)
    sys.exit(status)


def _mock(options: Mapping[str, Any]) -> MockServer:
    remote = not is_loopback(options["host"])
    if remote and not options["allow_remote"]:
        raise click.UsageError(
            f"--host {options['host']}: other machines could connect; --allow-remote permits it"
        )
    token = options["control_token"]
    if remote and token is None:
        token = secrets.token_urlsafe(16)
        click.echo(f"X-Mock-Token: {token}")
    return MockServer(
        options["world"],
        host=options["host"],
        http_port=options["port"],
        https_port=options["https_port"],
        smtp_port=options["smtp_port"],
        smtps_port=options["smtps_port"],
        base_path=options["base_path"],
        tls_names=options["tls_name"],
        control_token=token if remote else None,
    )


async def _serve(mock: MockServer, ready_file: str | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="keyfactor-mock-") as folder:
        ca_file = Path(folder, "ca.pem")
        ca_file.write_bytes(mock.ca_pem)  # noqa: ASYNC240  # nothing else runs yet
        async with mock:
            with _ready_file(ready_file, _facts(mock, ca_file)):
                _announce(mock, ca_file)
                await stop.wait()


def _facts(mock: MockServer, ca_file: Path) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "version": mockserver.__version__,
        "url": mock.url,
        "api_url": mock.api_url,
        "https_url": mock.https_url,
        "smtp_port": mock.port("smtp"),
        "smtps_port": mock.port("smtps"),
        "ca_file": str(ca_file),
        "token_url": mock.token_url,
        "control_url": mock.control_url,
    }


@contextlib.contextmanager
def _ready_file(name: str | None, facts: Mapping[str, Any]) -> Iterator[None]:
    """Keep the file, whole and for its owner only, as long as the mock is ready."""
    if name is None:
        yield
        return
    path = Path(name)
    try:
        descriptor, partial = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(facts, file, indent=1)
        Path(partial).replace(path)
    except OSError as error:
        raise click.UsageError(f"--ready-file {name}: {error.strerror}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _announce(mock: MockServer, ca_file: Path) -> None:
    click.echo(f"API      {mock.api_url}")
    if mock.https_url:
        click.echo(f"HTTPS    {mock.https_url}{mock.base_path}   CA in {ca_file}")
    for name in ("smtp", "smtps"):
        if mock.port(name) is not None:
            click.echo(f"{name.upper():8} {mock.host}:{mock.port(name)}")
    click.echo(f"Control  {mock.control_url}")
    click.echo("Send a test mail:\n\n" + _curl(mock) + "\n")


def _curl(mock: MockServer) -> str:
    """Return a line that works when pasted; it shows a password only of the published world."""
    body = {
        "Host": "smtp.keyexample.com",
        "Port": 25,
        "SenderAccount": "jsmith@keyexample.com",
        "SenderName": "Keyfactor Command",
        "TestRecipient": "mjones@keyexample.com",
    }
    words = ["curl", "-i", "-u", _credentials(mock.world)]
    for header in ("requested-with: APIClient", "api-version: 2"):
        words += ["-H", f"x-keyfactor-{header}"]
    words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join([*words, f"{mock.api_url}/SMTP/Test"])


def _credentials(world: World) -> str:
    """Return what a permitted user gives to `curl -u`; without the password curl asks for it."""
    operation = load_contract().operation("/SMTP/Test", "POST", "2")
    for key, user in world.users.items():
        identity = access.identity_of(world, user)
        if all(access.covers(identity, wanted) for wanted in operation.permissions):
            published = worlds.load().users.get(key) == user
            return f"{identity.name}:{user.password.reveal()}" if published else identity.name
    return "USER"


def _configure_logging(log_format: str, level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if log_format == "json" else _TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("mockserver").setLevel(level.upper())


class _TextLines(logging.Formatter):
    """Write a record as one line, whatever is in it; tracebacks stay out."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_time(record)} {record.levelname} {record.getMessage()}"
        return text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text


class _JsonLines(logging.Formatter):
    """Write a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        return json.dumps({"time": _time(record), "level": record.levelname.lower(), **fields})


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")

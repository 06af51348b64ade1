"""The command line: serve, run, openapi, editions, resources, schema, check, compare."""

import asyncio
import contextlib
import gc
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from mockserver.base import logs
from mockserver.base.certificates import CertificateError
from mockserver.base.documents import DocumentError
from mockserver.base.loops import new_event_loop
from mockserver.base.problems import Problem
from mockserver.base.sockets import BindError
from mockserver.base.text import one_line
from mockserver.base.version import __version__
from mockserver.cli import report
from mockserver.cli.parts import EXIT_FAILED, Command, option, table, written
from mockserver.cli.signals import ENDING, PASSED_ON, on_signals, pass_on
from mockserver.cli.telling import announce, facts, variables
from mockserver.contract.editions import load_editions
from mockserver.http.listener import raise_file_limit
from mockserver.http.settings import SettingError
from mockserver.journal.coverage import Tried, Wanted, added
from mockserver.journal.journal import Tally
from mockserver.product.app import methods_of
from mockserver.product.keyfactor import KeyfactorCommand
from mockserver.product.resources import Resources
from mockserver.product.worlds import load_world
from mockserver.server import MockServer
from mockserver.world.rules import file_schema

_EXIT_USAGE: Final = 2
_EXIT_PORT_TAKEN: Final = 3
_EXIT_INTERRUPTED: Final = 130  # as a shell has it for SIGINT

# Another port for each listener, as beside a second mock all of them are taken.
_OTHERS: Final = {"http": 9000, "https": 9443, "smtp": 2025, "smtps": 2465}

_LEVELS: Final = ("debug", "info", "warning", "error")
_KINDS: Final = ("basic", "oauth")
# A call leaves nothing for the collector, so it seldom need look: by default at each 700 objects
# that are new, and at all of them so often that there are pauses of 50 ms.
_COLLECTED: Final = 10_000, 10, 100
_FREE: Final = dict.fromkeys(("port", "https-port", "smtp-port", "smtps-port"), "0")


def _port(_: click.Context, __: click.Parameter, text: str) -> int | None:
    """Read a port: 0 picks a free one, `none` switches the listener off."""
    if text.lower() == "none":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):  # noqa: PLR2004  # RFC 9293, 3.1
        raise click.BadParameter(f"{text!r} is neither a port (0 to 65535) nor 'none'")
    return int(text)


def _version(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """Read a version of the API, one that a document describes."""
    return click.Choice([*load_editions().newest.contract.documents]).convert(
        text, parameter, context
    )


_SERVER_OPTIONS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("host", "address to listen on", {"default": "127.0.0.1"}),
    ("port", "HTTP; 0: a free port, none: off", {"callback": _port, "default": "8080"}),
    ("https-port", "HTTPS, likewise", {"callback": _port, "default": "8443"}),
    ("smtp-port", "mail from outside, likewise", {"callback": _port, "default": "1025"}),
    ("smtps-port", "the same with implicit TLS", {"callback": _port, "default": "1465"}),
    ("world", "world file, or the name default or fuzz", {"metavar": "FILE"}),
    ("edition", "the release to play, of those that `editions` lists", {"metavar": "NAME"}),
    ("base-path", "where the API is", {"default": "/KeyfactorAPI"}),
    ("openapi", "one more OpenAPI document to answer from", {"multiple": True, "metavar": "FILE"}),
    ("tls-name", "one more name of the HTTPS certificate", {"multiple": True}),
    ("tls-cert", "certificate for HTTPS (PEM), with --tls-key", {"metavar": "FILE"}),
    ("tls-key", "its key", {"metavar": "FILE"}),
    ("ready-file", "written when everything accepts connections", {"metavar": "FILE"}),
    ("log-format", "", {"type": click.Choice(["text", "json"]), "default": "text"}),
    ("log-level", "", {"type": click.Choice(_LEVELS, case_sensitive=False), "default": "info"}),
    ("allow-remote", "let other machines connect", {"is_flag": True}),
    ("control-token", "what X-Mock-Token must be; made, if others may connect", {}),
)


def _server_options(**defaults: str) -> Callable[[Command], Command]:
    """Add the options of a server to a command; `defaults` replace those of `serve`."""

    def decorated(command: Command) -> Command:
        for name, help_text, settings in reversed(_SERVER_OPTIONS):
            default = {"default": defaults[name]} if name in defaults else {}
            command = option(f"--{name}", help_text, **settings | default)(command)
        return command

    return decorated


_COMPLETION: Final = """\b
Completion in bash (zsh_source, fish_source for others):
  eval "$(_KEYFACTOR_MOCK_COMPLETE=bash_source keyfactor-mock)\""""


class _Commands(click.Group):
    """Import `compare` when it is asked for: what it imports is for nobody else."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "compare":
            from mockserver.cli.compare import compare  # noqa: PLC0415  # as above

            self.add_command(compare)
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    epilog=_COMPLETION,
)
@click.version_option(__version__, package_name="keyfactor-mock")
def cli() -> None:
    """Mock a Keyfactor Command server on localhost, for contract tests."""


cli.add_command(click.Command("compare"))  # so that its name is known


@cli.command()
@_server_options()
def serve(**options: Any) -> None:  # noqa: ANN401  # click's own
    """Serve until SIGINT or SIGTERM."""
    logs.configure(options["log_format"], options["log_level"])
    raise_file_limit()
    mock = _mock(options)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(mock, options["ready_file"]))


@cli.command()
@_server_options(**_FREE, **{"log-level": "warning"})
@option("--auth", "the one kind of account that COMMAND gets", type=click.Choice(_KINDS))
@option("--editions", "run COMMAND once for each: all, or such as 10,current", metavar="NAMES")
@option("--coverage", "end with what of the contract COMMAND has tried", is_flag=True)
@option("--coverage-json", "write that to a file", metavar="FILE")
@option("--coverage-min", "fail below so much of it", metavar="PERCENT", type=float)
@option("--coverage-operations", "count these too, if not called", metavar="GLOB", multiple=True)
@report.report_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    command: tuple[str, ...],
    auth: str | None,
    editions: str | None,
    **options: Any,  # noqa: ANN401  # click's own
) -> int:
    """Serve as long as COMMAND runs, and end with its status.

    It finds the mock in its environment: KEYFACTOR_MOCK_URL and others, and what the vendor's
    clients read. Of those, some go by user name and password where they find both kinds of account:
    --auth hands down only one. With --editions it ends with a table, and the worst status. Where
    COMMAND fails, the story of each refused call and mail goes to stderr.
    """
    logs.configure(options["log_format"], options["log_level"])
    raise_file_limit()
    told, wanted = report.begin(options), _wanted(options)
    tried: list[list[Tried]] = []

    def once(edition: str | None) -> tuple[int, Tally]:
        mock = _mock({**options, "edition": edition})
        mock.tally.report = told.add
        told.prefix = f"edition {edition}: " if editions else ""
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            status = runner.run(_run(mock, options["ready_file"], command, auth))
        tried.append(mock.coverage)
        return status, mock.tally

    table: list[str] = []
    if editions is None:
        status, _ = once(options["edition"])
    elif options["edition"] is not None:
        raise click.ClickException("--edition and --editions exclude each other")
    else:
        status, table = _rehearse(load_editions().named(editions), once)
    lines, good = wanted.conclude(added(*tried))
    try:
        return report.end(told, status if good else status or EXIT_FAILED, options)
    finally:  # the command may have removed the place of the report
        for line in (*lines, *table):
            click.echo(line, err=True)


def _wanted(options: Mapping[str, Any]) -> Wanted:
    """Read what is wanted to know of coverage; ClickException for what could not be told."""
    wanted = Wanted(*[options[f"coverage{each}"] for each in ("", "_json", "_min", "_operations")])
    try:
        operations = load_editions(*options["openapi"]).newest.contract.operations
        wanted.check(operations, "--coverage")
    except Problem as problem:
        raise click.ClickException(problem.message) from None
    return wanted


@cli.command()
@click.argument("version", callback=_version)
@option("--edition", "of this release, not of the newest", metavar="NAME")
def openapi(version: str, edition: str | None) -> None:
    """Print the OpenAPI document of an API version as JSON."""
    contract = (load_editions()[edition] if edition else load_editions().newest).contract
    if version not in contract.documents:
        raise click.ClickException(f"the edition {edition} has no version {version}")
    click.echo(json.dumps(contract.documents[version], indent=2))


@cli.command()
def editions() -> None:
    """Print what each edition documents in another way than the newest, a line for each thing."""
    for each in load_editions().differences():
        click.echo(f"{each.edition:5} {each}")


_openapi = option(
    "--openapi", "one more OpenAPI document to answer from", multiple=True, metavar="FILE"
)


@cli.command()
@_openapi
@option("--world", "world file, or the name default or fuzz", metavar="FILE")
def resources(openapi: tuple[str, ...], world: str | None) -> None:
    """List what is served: by which document, how, and how many objects there are."""
    editions = load_editions(*openapi)
    loaded = load_world(world, editions)
    contract = editions[loaded.edition].contract
    lines = [("operation", "version", "document", "answered by", "objects")]
    for each in Resources(contract.operations, methods_of(KeyfactorCommand)).served(loaded):
        objects = "" if each.objects is None else str(each.objects)
        lines.append((each.operation, each.version, each.file, each.how, objects))
    for name, left in contract.left:
        lines.append((f"{left.method} {left.path}", left.version, name, "left to ours", ""))
    for line in table(lines, "  "):
        click.echo(line)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of a world's file, for editors.

    yaml-language-server finds it by a line of the file: `# yaml-language-server: $schema=FILE`.
    """
    click.echo(json.dumps(file_schema(), indent=2))


@cli.command()
@click.argument("world")
@_openapi
def check(world: str, openapi: tuple[str, ...]) -> None:
    """Validate a world file."""
    load_world(world, load_editions(*openapi))
    click.echo(f"{world}: a valid world")


def main() -> None:
    """Run the command line; an error is one line, and the status 2, or 3 for a port in use."""
    _open_standard_files()
    try:
        sys.exit(cli.main(prog_name="keyfactor-mock", standalone_mode=False))
    except click.ClickException as error:
        _fail(_with_help(error), _EXIT_USAGE)
    except (DocumentError, CertificateError, SettingError) as error:
        _fail(str(error), _EXIT_USAGE)
    except BindError as error:
        _fail(f"{error}; {_remedy(error)}", _EXIT_PORT_TAKEN)
    except OSError as error:
        # What could not be written would be tried once more at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _fail(f"cannot go on: {error.strerror}", EXIT_FAILED)
    except click.Abort:  # pragma: no cover  # a test sees it, but an interrupt may end the tracing
        _fail("interrupted", _EXIT_INTERRUPTED)


def _open_standard_files() -> None:
    """Open closed standard files: a socket would get their number, here or in a child."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004  # POSIX: STDERR_FILENO
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _with_help(error: click.ClickException) -> str:
    """Word what click refuses: a bad value says what is good, and all else leads to the help."""
    context = getattr(error, "ctx", None)
    if context is None or type(error) is click.BadParameter:
        return error.format_message()
    return f"{error.format_message()} (see {context.command_path} --help)"


def _remedy(error: BindError) -> str:
    if not error.other_port:
        return "--host takes an address of this machine"
    name, _, relay = error.listener.partition(" ")
    if relay:
        return f"the relay {relay} of the world has this port as `listen`"
    ours = f"--port {_OTHERS[name]}" if name == "http" else f"--{name}-port {_OTHERS[name]}"
    by_make = (
        f"make run PORT={_OTHERS[name]}" if name == "http" else f"with make run: SERVE='{ours}'"
    )
    return f"{ours} takes another one ({by_make}), 0 a free one, none does without"


def _fail(message: str, status: int) -> None:
    click.echo(f"keyfactor-mock: {' '.join(message.split())}", err=True)
    sys.exit(status)


def _mock(options: Mapping[str, Any]) -> MockServer:
    tls_files = options["tls_cert"], options["tls_key"]
    if tls_files.count(None) == 1:
        raise click.ClickException("--tls-cert and --tls-key belong together")
    mock = MockServer(
        options["world"],
        edition=options["edition"],
        host=options["host"],
        http_port=options["port"],
        https_port=options["https_port"],
        smtp_port=options["smtp_port"],
        smtps_port=options["smtps_port"],
        base_path=options["base_path"],
        tls_names=options["tls_name"],
        tls_files=None if None in tls_files else tls_files,
        control_token=options["control_token"],
        allow_remote=options["allow_remote"],
        openapi=options["openapi"],
    )
    if mock.control_token != options["control_token"]:
        click.echo(f"X-Mock-Token: {mock.control_token}")
    return mock


async def _serve(mock: MockServer, ready_file: str | None) -> None:
    stop = asyncio.Event()
    on_signals(ENDING, lambda _: stop.set())
    async with _ready(mock, ready_file):
        announce(mock)
        await stop.wait()


async def _run(
    mock: MockServer, ready_file: str | None, command: tuple[str, ...], auth: str | None
) -> int:
    """Run the command, and return its status as a shell does: 128 + signal, 126 or 127 too."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    on_signals(PASSED_ON, signals.put_nowait)
    async with _ready(mock, ready_file):
        environment = variables(mock, auth)
        try:
            process = await asyncio.create_subprocess_exec(*command, env=environment)
        except OSError as error:
            click.echo(f"keyfactor-mock: cannot run {command[0]}: {error.strerror}", err=True)
            return 127 if isinstance(error, FileNotFoundError) else 126
        passing = asyncio.create_task(pass_on(signals, process))
        status = await process.wait()
        passing.cancel()
    return status if status >= 0 else 128 - status


def _rehearse(
    names: Iterable[str], once: Callable[[str], tuple[int, Tally]]
) -> tuple[int, list[str]]:
    """Run the command once for each edition; return the worst status and a table, line by line."""
    rows = [("edition", "exit", "calls", "refused", "first refusal")]
    worst = 0
    for name in names:
        click.echo(f"keyfactor-mock: edition {name}", err=True)
        status, tally = once(name)
        first, worst = "", max(worst, status)
        if (call := tally.first_refused) and call.problem:
            first = one_line(f"{call.method} {call.path} -> {call.status}: {call.problem.message}")
        rows.append((name, str(status), str(tally.calls), str(tally.refused), first))
        if status - 128 in PASSED_ON:
            break  # whoever ended this one means all
    return worst, table(rows, " | ")


@contextlib.asynccontextmanager
async def _ready(mock: MockServer, ready_file: str | None) -> AsyncIterator[None]:
    """Run the mock, with its ready file if there is to be one."""
    async with mock:
        # What is there now stays to the end, and what a journal keeps is in no cycle: to look
        # through all of it again and again is a pause for nothing. This process is the command's
        # own; a mock in somebody else's leaves their collector as it is.
        gc.freeze()
        gc.set_threshold(*_COLLECTED)
        gc.enable()
        if ready_file is not None or mock.https_url is not None:  # either tells where the CA is
            await mock.authority.prepare()  # the first calls do not wait for it
        with _ready_file(ready_file, mock):
            yield


@contextlib.contextmanager
def _ready_file(name: str | None, mock: MockServer) -> Iterator[None]:
    """Write the file at once and for its owner only, and remove it at the end."""
    if name is None:
        yield
        return
    ours = written(name, json.dumps(facts(mock), indent=1), "--ready-file")
    try:
        yield
    finally:
        # Another mock may have put its own there meanwhile.
        with contextlib.suppress(OSError):
            if os.path.samestat(Path(name).lstat(), ours):
                Path(name).unlink()

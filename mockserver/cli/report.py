"""What `run` tells of the calls that were refused, and when it fails by them."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from mockserver.base.problems import STRICT_KINDS
from mockserver.cli.parts import EXIT_FAILED, Command, check_place, option, written

if TYPE_CHECKING:  # imported when first needed: only `run` has a report
    from mockserver.journal.report import Expected, Report

_ON_FAILURE: Final = "-"  # where no file is named


def _expected(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> "tuple[Expected, ...]":
    from mockserver.journal.report import Expected  # noqa: PLC0415  # see above

    try:
        return tuple(map(Expected.read, texts))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def report_options(command: Command) -> Command:
    """Add the options of a report to a command."""
    for add in (
        option(
            "--expect",
            "a refusal that is meant, such as 400:/SMTP/Test",
            multiple=True,
            metavar="STATUS:PATH",
            callback=_expected,
        ),
        option("--strict", "fail on any other 4xx, and on notes", is_flag=True),
        option(
            "--report",
            "write what was refused, as text, or as the name ends: .json, .xml (JUnit); without "
            "FILE it goes to stderr if COMMAND fails, as it does without the option",
            is_flag=False,
            flag_value=_ON_FAILURE,
            default=_ON_FAILURE,
            metavar="[FILE]",
        ),
    ):
        command = add(command)
    return command


def begin(options: dict[str, Any]) -> "Report":
    """Return the report that the options ask for; ClickException for a file that cannot be."""
    from mockserver.journal.report import Report  # noqa: PLC0415  # see above

    if options["report"] != _ON_FAILURE:
        check_place(options["report"], "--report")
    return Report(options["expect"], STRICT_KINDS if options["strict"] else ())


def end(report: "Report", status: int, options: dict[str, Any]) -> int:
    """Tell what was refused, where that is wanted; return the status of the run."""
    name, strict = options["report"], options["strict"] and report.faults > 0
    if name != _ON_FAILURE:
        written(name, report.written(name), "--report")
    elif report.told and (status or strict):
        _tell([report.text()])
    if status or not strict:
        return status
    faults = [f"  {story.title}: {fault}" for story in report.stories for fault in story.faults]
    _tell(["keyfactor-mock: --strict: the command passed, but", *faults])
    return EXIT_FAILED


def _tell(lines: list[str]) -> None:
    """Write lines to stderr; the status of the run is the same if nobody can read them."""
    with suppress(OSError):
        click.echo("\n".join(lines), err=True)

"""What the commands share: options that are variables too, and files that are whole."""

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

EXIT_FAILED: Final = 1  # what was run, compared or written is not as it was wanted

Command = TypeVar("Command", bound=Callable[..., Any])


def option(name: str, help_text: str, **settings: Any) -> Callable[[Command], Command]:  # noqa: ANN401  # click's own
    """Make an option that is an environment variable too, such as KEYFACTOR_MOCK_SMTP_PORT."""
    variable = "KEYFACTOR_MOCK_" + name.strip("-").replace("-", "_").upper()
    if settings.get("metavar") in {"FILE", "[FILE]"}:
        settings["callback"] = _refuse_no_name
    return click.option(
        name, help=help_text, envvar=variable, show_envvar=True, show_default=True, **settings
    )


def _refuse_no_name(_: click.Context, __: click.Parameter, value: Any) -> Any:  # noqa: ANN401  # click's own
    """Refuse an empty name of a file, which stands for the folder one is in."""
    if "" in ([value] if isinstance(value, str) else value or ()):
        raise click.BadParameter("'' names no file")
    return value


def table(rows: Sequence[Sequence[str]], between: str) -> list[str]:
    """Return rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [between.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def written(name: str, text: str, option: str) -> os.stat_result:
    """Put a whole file in the place of another one, if there is one; return what the system knows.

    ClickException, which names the option, for what cannot be written or is no regular file.
    """
    with _refused(name, option):
        return _written(Path(name), text)


def check_place(name: str, option: str) -> None:
    """Raise the ClickException now that `written` would raise in the end."""
    with _refused(name, option):
        descriptor, partial = _opened(Path(name))
        os.close(descriptor)
        Path(partial).unlink()


@contextmanager
def _refused(name: str, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{option} {name}: {error.strerror}") from None


def _opened(path: Path) -> tuple[int, str]:
    if os.path.lexists(path) and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is there, and is no regular file")
    return tempfile.mkstemp(prefix=path.name, dir=path.parent)


def _written(path: Path, text: str) -> os.stat_result:
    descriptor, partial = _opened(path)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        ours = os.lstat(partial)
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)  # it is there only if something failed
    return ours

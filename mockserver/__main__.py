"""The command `keyfactor-mock`, and `python -m mockserver`."""

import gc
import sys
from contextlib import suppress

from mockserver.base.version import __version__


def main() -> None:
    """Run the command line; who only asks for the version need not wait for all of it."""
    if sys.argv[1:] == ["--version"]:
        with suppress(OSError):  # of which the command line has more to say
            print(f"keyfactor-mock, version {__version__}", flush=True)  # noqa: T201  # what was asked for
            return
    # All that a start makes stays to the end. Whatever runs for longer enables the collector then.
    gc.disable()
    from mockserver.cli import main as run  # noqa: PLC0415  # as above

    run()


if __name__ == "__main__":
    main()

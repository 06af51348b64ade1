"""The command in processes of its own, each forked from one that has imported it once."""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# A line asks for a process; the answer is its status. An alarm ends the one that hangs.
_IMPORTED = """
import json, os, signal, sys
from mockserver import cli, server
from mockserver.__main__ import main

server.load_editions()
for line in sys.stdin:
    sys.argv[1:], environment, files = json.loads(line)
    if os.fork() == 0:
        signal.alarm(60)
        os.environ.clear()
        os.environ.update(environment)
        for number, file in enumerate(files):
            os.dup2(os.open(file, os.O_RDWR), number)
        main()
        sys.exit()
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@cache
def _imported() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _IMPORTED]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with these variables beside those of this process."""
    process = _imported()
    assert process.stdin is not None
    assert process.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        told = [Path(folder, name) for name in ("output", "errors")]
        for file in told:
            file.touch()
        asked = arguments, os.environ | variables, [os.devnull, *map(str, told)]
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        status = int(process.stdout.readline())
        return subprocess.CompletedProcess(arguments, status, *[file.read_text() for file in told])


def end() -> None:
    """End what `run` has begun."""
    if _imported.cache_info().currsize:
        with _imported() as process:
            process.communicate(timeout=20)
        _imported.cache_clear()

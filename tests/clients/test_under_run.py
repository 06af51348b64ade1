"""The same small integration test in several languages, under `keyfactor-mock run`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).with_name("under_run")
COMMANDS = {
    "shell": ("sh", "check.sh"),
    "Node": ("node", "check.mjs"),
    "Java": ("java", "Check.java"),
    "Go": ("go", "run", "check.go"),
}


def run(language: str, relay: str, *options: str) -> subprocess.CompletedProcess[str]:
    program, *words = COMMANDS[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed, so {language} is left out")
    command = [*(program, *words[:-1]), str(HERE / words[-1]), relay]
    return subprocess.run(
        [sys.executable, "-m", "mockserver", "run", *options, "--", *command],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ,
    )


@pytest.mark.parametrize("language", COMMANDS)
def test_a_good_client_passes_and_nothing_is_said(language: str) -> None:
    done = run(language, "corpexch02.keyexample.com", "--strict")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("language", COMMANDS)
def test_a_fault_is_found_and_explained(language: str) -> None:
    done = run(language, "denied.test")
    assert done.returncode != 0
    told = [line.strip() for line in done.stderr.splitlines()]
    assert "S 550 5.7.1 Relaying denied" in {line.partition("   ")[2] for line in told}
    assert any(line.startswith("problem") and "stage rcpt" in line for line in told), done.stderr

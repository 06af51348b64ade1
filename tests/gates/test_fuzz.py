"""Short runs of the fuzzer with a fixed seed; `make fuzz` makes the long ones."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import RESOURCES, ROOT, fuzz, fuzz_resources
from mockserver.contract.editions import load_editions

SHORT = ("--seed", "1", "--max-examples")
README = (ROOT / "tests/README.md").read_text(encoding="utf-8")


# Measuring coverage in the fuzzer's own process would double its time.
ENVIRONMENT = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


def test_what_the_readme_offers_finds_nothing(tmp_path: Path) -> None:
    """Both versions, by password, in the short form; the other phases have a test of their own."""
    (block,) = re.findall(
        r"^```sh\n(keyfactor-mock run --world fuzz .*?)^```$", README, re.DOTALL | re.MULTILINE
    )
    assert "--phases examples,coverage" in block
    block = block.replace("--phases", f"{' '.join(SHORT)} 5 --phases")
    done = subprocess.run(
        ["bash", "-euc", block],
        cwd=tmp_path,
        env=ENVIRONMENT | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # That nobody guesses the id of a provider to replace may be worth a warning.
    assert len(re.findall("No issues found|1 warning in", done.stdout)) == 2
    assert done.stderr == ""  # what is no HTTP is meant so
    reports = [path.name.partition("-")[0] for path in (tmp_path / "schemathesis-report").iterdir()]
    assert sorted(reports) == ["har", "har", "junit", "junit"]


@pytest.mark.parametrize(
    ("version", "caller", "world"),
    [("1", "password", "fuzz"), ("2", "token", "fuzz"), ("2", "password", "default")],
)
def test_what_is_invented_for_a_caller_finds_nothing(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    caller: str,
    world: str,
) -> None:
    for name in os.environ.keys() - ENVIRONMENT.keys():
        monkeypatch.delenv(name)
    phases = "examples,fuzzing,stateful"
    status = fuzz(version, caller, *SHORT, "2", "--phases", phases, world=world)
    output = capfd.readouterr().out
    assert status == 0, output
    # The default world refuses nearly all that is invented, which may be worth a warning.
    assert re.search("(?:No issues found|1 warning) in", output), output


@pytest.mark.long
@pytest.mark.parametrize(
    ("edition", "version"),
    [
        (edition.name, version)
        for edition in load_editions()
        for version in edition.contract.documents
        if edition is not load_editions().newest
    ],
)
def test_an_older_edition_keeps_its_own_documents(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    edition: str,
    version: str,
) -> None:
    for name in os.environ.keys() - ENVIRONMENT.keys():
        monkeypatch.delenv(name)
    options = (*SHORT, "1", "--phases", "examples,coverage")
    status = fuzz(version, "password", *options, edition=edition)
    output = capfd.readouterr().out
    assert status == 0, output
    assert re.search("(?:No issues found|1 warning) in", output), output


@pytest.mark.parametrize("name", RESOURCES)
def test_the_documents_of_resources_find_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in os.environ.keys() - ENVIRONMENT.keys():
        monkeypatch.delenv(variable)
    status = fuzz_resources(name, *SHORT, "2", "--phases", "examples,fuzzing,stateful")
    assert status == 0, capfd.readouterr().out

"""The blocks of the README and of the pages behind it, as a new user would paste them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from faults_table import with_table
from mockserver.base.problems import NoteKind
from mockserver.world import loading as world
from support import ROOT, Json

PAGES = {
    page: (ROOT / page).read_text(encoding="utf-8")
    for page in ("README.md", "fixtures/README.md", "openapi/README.md", "tests/README.md")
}
TARGETS = ("make run", "make test")
MAX_LINES = 200  # the README is a door, not a manual


def blocks(language: str) -> list[str]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [block for text in PAGES.values() for block in pattern.findall(text)]


# test_fuzz.py runs the one of the fuzzer, which takes its time.
PASTED = [
    block for block in blocks("sh") if block.strip() not in TARGETS and "schemathesis" not in block
]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Json]:
    """Serve by `make run`, on free ports."""
    ready = tmp_path_factory.mktemp("readme") / "ready.json"
    ports = " ".join(f"--{name} 0" for name in ("port", "https-port", "smtp-port", "smtps-port"))
    # The environment that runs the tests is the one that make would set up.
    (Path(sys.prefix) / "installed").touch()
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=os.environ | {"SERVE": f"{ports} --ready-file {ready}", "SERVING": sys.prefix},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not ready.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield json.loads(ready.read_text())
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)


def test_every_kind_of_note_is_explained() -> None:
    _, _, notes = PAGES["tests/README.md"].partition("## Notes\n")
    table = notes.partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", table)) >= {*NoteKind}


def test_two_commands_set_everything_up() -> None:
    assert [block.strip() for block in blocks("sh") if block.startswith("make")] == list(TARGETS)


def pasted(block: str, facts: Json, folder: Path) -> str:
    """Run a block, against the mock of this module; return what it prints."""
    https_port = facts["https_url"].rpartition(":")[2]
    text = block.replace("http://127.0.0.1:8080", facts["url"])
    text = text.replace(":8443", f":{https_port}").replace(":1025", f":{facts['smtp_port']}")
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.mark.parametrize("block", PASTED, ids=lambda block: block.split("\n")[0][:40])
def test_a_shell_block_works_when_pasted(block: str, facts: Json, tmp_path: Path) -> None:
    if "messages" in block:
        pasted(PASTED[0], facts, tmp_path)  # as the reader has done by then
    output = pasted(block, facts, tmp_path)
    assert "ErrorCode" not in output or "--expect" in block
    if "curl -i" in block:
        assert output.startswith("HTTP/1.1 200 OK")
    if "messages" in block and "mjones@keyexample.com" in block:
        assert "mjones@keyexample.com" in output


def test_the_table_of_faults_is_that_of_the_default_world() -> None:
    page = PAGES["fixtures/README.md"]
    assert with_table(page) == page, "`make format` writes it"


@pytest.mark.parametrize("block", [block for block in blocks("python") if "pytest" not in block])
def test_a_python_block_runs(block: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=ROOT, timeout=60, check=True)


@pytest.mark.parametrize("block", [block for block in blocks("python") if "pytest" in block])
def test_a_pytest_block_finds_the_bug_of_its_client(block: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=block, mailer=(ROOT / "tests/downstream/mailer.py").read_text(encoding="utf-8")
    )
    pytester.syspathinsert()
    result = pytester.runpytest_inprocess("--keyfactor-strict", "--strict-markers")
    result.assert_outcomes(passed=1, failed=1)
    # The text of the README, but for the id of the message and the width of a terminal.
    (text,) = [text for text in blocks("text") if text.startswith("AssertionError")]
    for line in text.splitlines():
        result.stdout.fnmatch_lines([f"E*{line.replace('0b1e…', '*')}"])


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_world_block_is_valid(block: str, tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(block)
    loaded = world.load(path)
    for section, entries in yaml.safe_load(block).items():
        if section != "extends":
            assert set(entries) <= set(getattr(loaded, section))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_into_the_project_lead_somewhere(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short() -> None:
    assert PAGES["README.md"].count("\n") <= MAX_LINES

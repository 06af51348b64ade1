"""The recipes of tests/README.md, each as a file with the name that it gives itself."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support import ROOT, Json

PAGE = (ROOT / "tests/README.md").read_text(encoding="utf-8")
_, _, RECIPES = PAGE.partition("\n## Recipes\n")
RECIPES, _, _ = RECIPES.partition("\n## ")
MADE = {
    re.sub("^(?://|#) ", "", text.partition("\n")[0]): text
    for text in re.findall(r"^```\w+\n((?://|#) \S+\n.*?)^```$", RECIPES, re.DOTALL | re.MULTILINE)
}
# What is needed beside the file; a machine without it does not run the recipe.
RUN = {
    "test_mail.py": "python -m unittest -v test_mail",
    "mail.test.mjs": "keyfactor-mock run -- node --test mail.test.mjs",
    "Mail.java": "keyfactor-mock run -- java Mail.java",
    "mail_test.go": "keyfactor-mock run -- go test ./...",
}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path, "GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def written(name: str, folder: Path) -> None:
    (folder / name).write_text(MADE[name], encoding="utf-8")
    if name.endswith(".go"):
        (folder / "go.mod").write_text("module mail\n")


def test_each_recipe_that_is_a_file_is_run() -> None:
    assert {*MADE} == {*RUN, ".github/workflows/contract.yaml"}


@pytest.mark.parametrize("name", RUN)
def test_a_recipe_works_as_it_stands(name: str, tmp_path: Path) -> None:
    command = shlex.split(RUN[name])
    program = command[3] if command[0] == "keyfactor-mock" else command[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    assert name.endswith(".py") or RUN[name] in RECIPES
    written(name, tmp_path)
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", sorted({*RUN} - {"test_mail.py"}))
def test_a_recipe_fails_where_the_call_is_refused(name: str, tmp_path: Path) -> None:
    command = shlex.split(RUN[name])
    if shutil.which(command[3]) is None:
        pytest.skip(f"{command[3]} is not here")
    written(name, tmp_path)
    world = tmp_path / "world.yaml"
    world.write_text("extends: default\nrelays: {mail.test: {fault: refused}}\n")
    assert run([*command[:2], "--world", str(world), *command[2:]], tmp_path).returncode != 0


@pytest.mark.long
def test_the_unittest_recipe_runs_under_xdist(tmp_path: Path) -> None:
    written("test_mail.py", tmp_path)
    options = ["-p", "no:cacheprovider", "-p", "xdist", "-n", "2", "--rootdir", str(tmp_path)]
    done = run([sys.executable, "-m", "pytest", *options, "test_mail.py"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_shell_part_of_the_job_runs(tmp_path: Path) -> None:
    job: Json = yaml.safe_load(MADE[".github/workflows/contract.yaml"])["jobs"]["contract"]
    install, *steps = [step["run"] for step in job["steps"] if "run" in step]
    # How a wheel is installed, test_wheel.py shows.
    assert install == "pip install vendor/keyfactor_mock-*.whl"
    written("test_mail.py", tmp_path)
    for step in steps:
        done = run(["bash", "-ec", step], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_lists_all_variables_that_run_sets() -> None:
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    done = run(["keyfactor-mock", "run", "--", sys.executable, "-c", script], ROOT)
    found = json.loads(done.stdout)
    _, _, table = PAGE.partition("\n## What `run` sets\n")
    table, _, _ = table.partition("\n## ")
    listed = set(
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    )
    assert {name for name in found if name.startswith("KEYFACTOR_")} <= listed
    assert listed <= {*found}


TRUST = {
    "node": 'node -e \'fetch(process.env.KEYFACTOR_MOCK_HTTPS_URL + "/livez").then('
    "(answer) => answer.text()).then(console.log)'",
    "python": "python -c 'import os, urllib.request as http; print("
    'http.urlopen(os.environ["KEYFACTOR_MOCK_HTTPS_URL"] + "/livez").read().decode())\'',
    "curl": 'curl -sS "$KEYFACTOR_MOCK_HTTPS_URL/livez"',
}


@pytest.mark.parametrize("client", TRUST)
def test_a_client_under_run_trusts_the_mock(client: str) -> None:
    if shutil.which(client) is None and client != "python":
        pytest.skip(f"{client} is not here")
    done = run(["keyfactor-mock", "run", "--", "sh", "-c", TRUST[client]], ROOT)
    assert (done.stdout.strip(), done.stderr) == ("alive", "")


ASKED_AGAIN = """
import java.net.*; import java.util.*;
public class Again { public static void main(String[] arguments) throws Exception {
  URL url = new URL(System.getenv("KEYFACTOR_MOCK_API_URL") + "/SMTP/Test");
  HttpURLConnection call = (HttpURLConnection) url.openConnection();
  call.setRequestProperty("X-Mock-Fault", "empty");
  call.setRequestProperty("Authorization", "Basic YWRtaW46YWRtaW4tcGFzc3dvcmQ=");
  call.setDoOutput(true);
  call.getOutputStream().write("{}".getBytes());
  try { call.getResponseCode(); } catch (SocketException error) { }
} }
"""
COUNT = '; curl -sS "$KEYFACTOR_MOCK_CONTROL_URL/requests?limit=1"'
CURL = (
    "curl -sS -u admin:admin-password -H 'X-Mock-Fault: empty' $KEYFACTOR_MOCK_URL/livez "
    "$KEYFACTOR_MOCK_API_URL/SMTP"
)
AFTER_EMPTY = {
    "java Again.java": 2,
    "java -Dsun.net.http.retryPost=false Again.java": 1,
    CURL: 2,
    CURL.replace("$KEYFACTOR_MOCK_URL/livez ", ""): 1,
}


@pytest.mark.parametrize("command", AFTER_EMPTY)
def test_some_clients_ask_again_after_an_empty_answer(command: str, tmp_path: Path) -> None:
    if shutil.which(command.split(maxsplit=1)[0]) is None:
        pytest.skip("the client is not here")
    (tmp_path / "Again.java").write_text(ASKED_AGAIN)
    ask = ["keyfactor-mock", "run", "--", "sh", "-c", f"{command} > /dev/null{COUNT}"]
    done = run(ask, tmp_path)
    assert json.loads(done.stdout)["count"] == AFTER_EMPTY[command], done.stderr

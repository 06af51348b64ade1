"""The wheel, in an empty environment: `make wheel`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from mockserver.base.documents import read_yaml
from mockserver.base.kept import Kept
from support import ADMIN, ROOT, V2, Json
from test_pytest_plugin import CALL

pytestmark = pytest.mark.wheel

SHIPPED = {
    "mockserver/": "mockserver/",
    "openapi/": "mockserver/openapi/",
    "fixtures/": "mockserver/fixtures/",
}
WHERE = (
    "from mockserver.base.data import data_folder; from mockserver.world.loading import load; "
    "load(); print(data_folder('openapi'))"
)


def run(*command: str | Path, cwd: Path, status: int = 0, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout.strip()


@contextmanager
def serving(command: Sequence[str], ready: Path, folder: Path) -> Iterator[Json]:
    """Serve until the block ends; give what the ready file says."""
    process = subprocess.Popen(command, cwd=folder, start_new_session=True)
    try:
        deadline = time.monotonic() + 120  # make installs first
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield json.loads(ready.read_text())
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in an empty environment; give the folder of its commands."""
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    found = folder / "venv" / "bin"
    run(found / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return found


def test_the_wheel_holds_what_is_in_the_project_and_nothing_else(wheel: Path) -> None:
    tracked = run("git", "ls-files", *SHIPPED, cwd=ROOT).splitlines()
    expected = {
        SHIPPED[folder] + name.removeprefix(folder)
        for name in tracked
        for folder in SHIPPED
        if name.startswith(folder)
    }
    # And each document once more, as it is kept.
    expected |= {str(Kept(Path(name), b"").place) for name in expected if name.endswith(".yaml")}
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == expected
    assert {name.partition(".dist-info/")[2] for name in metadata} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE",
    }  # fmt: skip


def test_the_documents_of_the_wheel_are_ours_and_need_no_yaml(
    wheel: Path, scripts: Path, tmp_path: Path
) -> None:
    files = zipfile.ZipFile(wheel)
    for path in (*ROOT.glob("openapi/**/*.yaml"), *ROOT.glob("fixtures/*.yaml")):
        value, kept = read_yaml(path), Kept(path, path.read_bytes())
        brought = files.read(f"mockserver/{kept.place.relative_to(ROOT)}")
        kept.place = tmp_path / "brought"
        kept.place.write_bytes(brought)
        assert json.dumps(kept.read()) == json.dumps(value), path
    code = "import sys, mockserver.cli as c; c.MockServer(); print('yaml' in sys.modules)"
    assert run(scripts / "python", "-c", code, cwd=wheel.parent) == "False"


def test_it_serves_from_an_empty_environment(scripts: Path, tmp_path: Path) -> None:
    assert run(scripts / "python", "-m", "pip", "check", cwd=tmp_path)
    assert run(scripts / "keyfactor-mock", "--version", cwd=tmp_path).startswith("keyfactor-mock")
    document = json.loads(run(scripts / "keyfactor-mock", "openapi", "2", cwd=tmp_path))
    assert document["info"]["version"] == "2"
    ready = tmp_path / "ready.json"
    ports = ["--port", "0", "--https-port", "0", "--smtp-port", "0", "--smtps-port", "0"]
    command = [str(scripts / "keyfactor-mock"), "serve", *ports, "--ready-file", str(ready)]
    with serving(command, ready, tmp_path) as facts:
        response = httpx2.post(
            facts["api_url"] + "/SMTP/Test",
            json=V2 | {"Port": 587, "UseSSL": True},
            auth=ADMIN,
            headers={"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": "2"},
        )
        assert response.status_code == 200
        (message,) = httpx2.get(facts["control_url"] + "/messages").json()["messages"]
        assert message["tls_mode"] == "starttls"


# Plugins that do similar things, or that run tests in other ways.
NEIGHBOURS = ("anyio", "pytest-asyncio", "pytest-httpserver", "pytest-xdist", "respx", "smtpdfix")
BESIDE = """
import asyncio

import pytest
from client import call


def test_httpserver(keyfactor, httpserver):
    httpserver.expect_request("/").respond_with_data("theirs")
    assert call(keyfactor) == 200
    keyfactor.assert_delivered()


def test_smtpdfix(keyfactor, smtpd):
    assert call(keyfactor) == 200
    assert (len(smtpd.messages), len(keyfactor.messages)) == (0, 1)


@pytest.mark.respx(assert_all_mocked=True)
def test_respx(keyfactor, respx_mock):
    assert call(keyfactor) == 200


@pytest.mark.asyncio
async def test_asyncio(keyfactor):
    waiting = asyncio.create_task(keyfactor.next_message(recipient="c@d.test"))
    assert await asyncio.to_thread(call, keyfactor) == 200
    assert await waiting == keyfactor.messages[0]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(keyfactor, anyio_backend):
    assert await asyncio.to_thread(call, keyfactor) == 200
    assert (await keyfactor.next_message()).subject
"""


def test_a_downstream_repository_uses_it_beside_other_plugins(
    scripts: Path, tmp_path: Path
) -> None:
    run(scripts / "python", "-m", "pip", "install", "--quiet", "pytest", *NEIGHBOURS, cwd=tmp_path)
    folder = tmp_path / "downstream"
    shutil.copytree(ROOT / "tests/downstream", folder)
    output = run(scripts / "python", "-m", "pytest", "-n2", cwd=folder, status=1)
    assert "1 failed, 4 passed" in output
    assert "tls_mode: expected 'starttls', found 'none'" in output
    (tmp_path / "client.py").write_text(textwrap.dedent(CALL), encoding="utf-8")
    (tmp_path / "test_beside.py").write_text(BESIDE, encoding="utf-8")
    output = run(scripts / "python", "-m", "pytest", "-q", "test_beside.py", cwd=tmp_path)
    assert "5 passed" in output


@pytest.mark.parametrize(
    ("tool", "command", "variable"),
    [("uv", ["tool", "install"], "UV_TOOL_BIN_DIR"), ("pipx", ["install"], "PIPX_BIN_DIR")],
)
def test_a_tool_puts_the_command_on_the_path(
    wheel: Path, tmp_path: Path, tool: str, command: list[str], variable: str
) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    scripts = tmp_path / "venv" / "bin"
    run(scripts / "python", "-m", "pip", "install", "--quiet", tool, cwd=tmp_path)
    words = (f"HOME={tmp_path / 'home'}", f"{variable}={tmp_path / 'bin'}", scripts / tool)
    run("env", *words, *command, wheel, cwd=tmp_path)
    output = run(tmp_path / "bin" / "keyfactor-mock", "--version", cwd=tmp_path)
    assert output.startswith("keyfactor-mock")


def test_make_run_and_make_dist_have_an_environment_of_their_own(
    wheel: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", ROOT, clone, cwd=tmp_path)
    ports = "--https-port none --smtp-port none --smtps-port none"
    ready = tmp_path / "ready.json"
    command = ["make", "run", "PORT=0", f"SERVE={ports} --ready-file {ready}"]
    with serving(command, ready, clone) as facts:
        assert httpx2.get(facts["url"] + "/readyz").status_code == 200
    listed = json.loads(
        run(clone / ".venv-run/bin/python", "-m", "pip", "list", "--format=json", cwd=clone)
    )
    assert "starlette" in {package["name"] for package in listed}
    assert "pytest" not in {package["name"] for package in listed}
    sizes = [path.lstat().st_size for path in (clone / ".venv-run").rglob("*")]
    assert sum(sizes) < 90e6, "the README says how large it is"
    (clone / "dist").mkdir()
    (clone / "dist" / "keyfactor_mock-0.0.1-py3-none-any.whl").touch()
    run("make", "dist", cwd=clone)
    (built,) = (clone / "dist").iterdir()
    assert built.name == wheel.name
    assert not (clone / ".venv").exists(), "a wheel needs no tools of the developers"


def test_the_data_are_found_in_wheel_editable_install_and_checkout(
    scripts: Path, tmp_path: Path
) -> None:
    installed = Path(run(scripts / "python", "-c", WHERE, cwd=tmp_path))
    assert installed.parts[-3:] == ("site-packages", "mockserver", "openapi")
    assert Path(run(sys.executable, "-c", WHERE, cwd=tmp_path)) == ROOT / "openapi"
    run("git", "clone", "--quiet", ROOT, tmp_path / "checkout", cwd=tmp_path)
    checkout = Path(
        run(sys.executable, "-c", WHERE, cwd=tmp_path, PYTHONPATH=str(tmp_path / "checkout"))
    )
    assert checkout == tmp_path / "checkout" / "openapi"

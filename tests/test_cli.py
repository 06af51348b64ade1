"""The command line, as processes."""

import fcntl
import gc
import json
import os
import pty
import re
import shlex
import signal
import socket
import ssl
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from command import run
from mockserver.base.version import __version__
from mockserver.contract.editions import load_editions
from support import Json

COMMAND = [sys.executable, "-m", "mockserver"]
PORTS = ["--port", "0", "--https-port", "0", "--smtp-port", "0", "--smtps-port", "0"]


@contextmanager
def serving(
    folder: Path, *arguments: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], Json]]:
    """Serve until the block ends; give the process and the facts of its ready file."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*COMMAND, "serve", *PORTS, "--ready-file", str(ready), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    )
    try:
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process, json.loads(ready.read_text())
    finally:
        process.terminate()
        process.communicate()


def stopped(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str, str]:
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    return process.returncode, output, errors


def test_the_ready_file_has_its_documented_facts(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, facts):
        assert list(facts) == [
            "pid", "version", "url", "api_url", "https_url", "smtp_port", "smtps_port", "ca_file",
            "token_url", "control_url",
        ]  # fmt: skip
        assert (facts["pid"], facts["version"]) == (process.pid, "0.1.0")
        assert facts["api_url"] == facts["url"] + "/KeyfactorAPI"
        assert facts["control_url"] == facts["url"] + "/_mock"
        assert facts["token_url"] == facts["url"] + "/_mock/idp/token"
        assert facts["https_url"].startswith("https://localhost:")
        ca_file = Path(facts["ca_file"])
        assert stat.S_IMODE((tmp_path / "ready.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(ca_file.parent.stat().st_mode) == 0o700
        assert ca_file.read_bytes() == httpx2.get(facts["control_url"] + "/ca.pem").content
        assert [path.name for path in ca_file.parent.iterdir()] == ["ca.pem"]
        for port in (facts["smtp_port"], facts["smtps_port"]):
            socket.create_connection(("127.0.0.1", port)).close()
        assert stopped(process)[0] == 0
        assert not ca_file.parent.exists()
        assert list(tmp_path.iterdir()) == []


def test_the_printed_line_works_when_pasted(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, facts):
        status, output, _ = stopped_after_reading(process)
        line = next(line for line in output.splitlines() if line.startswith("curl "))
        assert status == 0
        assert facts["api_url"] in line
    assert shlex.split(line)[0] == "curl"
    with serving(tmp_path) as (_, facts):
        pasted = line.replace(line.split("http://")[1].split("/")[0], facts["url"].split("//")[1])
        done = subprocess.run(pasted, shell=True, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("HTTP/1.1 200 OK")
        (message,) = httpx2.get(facts["control_url"] + "/messages").json()["messages"]
        assert message["envelope"]["recipients"] == ["mjones@keyexample.com"]


def stopped_after_reading(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    time.sleep(0.2)
    return stopped(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as (process, _):
        status, _, errors = stopped(process, number)
    assert (status, errors) == (0, "")


def test_the_collector_looks_at_little_and_is_changed_in_the_own_process_only() -> None:
    tell = "print(gc.get_freeze_count() > 10_000, gc.get_threshold())"
    as_command = f"""
import atexit, gc, sys, mockserver.cli
atexit.register(lambda: {tell})
sys.argv[1:] = ["run", "--", "true"]
mockserver.cli.main()
"""
    as_library = f"import gc, mockserver\nwith mockserver.MockServer(): {tell}"
    told = [
        subprocess.check_output([sys.executable, "-c", code], text=True, timeout=30)
        for code in (as_command, as_library)
    ]
    assert told == ["True (10000, 10, 100)\n", f"False {gc.get_threshold()}\n"]


@pytest.mark.parametrize(
    "words", ["run -- true", "compare http://127.0.0.1:1/KeyfactorAPI --user u --password-env HOME"]
)
def test_the_collector_works_in_what_takes_long(words: str) -> None:
    code = f"""
import atexit, gc, sys, mockserver.__main__ as command
atexit.register(lambda: print(gc.isenabled()))
sys.argv[1:] = {words.split()}
command.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "True\n", done.stderr


def test_a_start_imports_only_what_it_needs() -> None:
    rare = (
        "cli.compare",
        "control.compare",
        "contract.foreign",
        "contract.mending",
        "journal.report",
    )
    of_others = {"aiosmtpd", "aiosmtplib", "cryptography", "jinja2", "trustme"}
    names = {*(f"mockserver.{each}" for each in rare), *of_others}
    code = f"""
import sys, mockserver.cli
mockserver.cli.MockServer()
print(*sorted({names} & {{*sys.modules}}))
"""
    told = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=30)
    assert told == "\n"


@pytest.mark.parametrize(("https", "made"), [("0", True), ("none", False)])
def test_a_ca_is_made_where_somebody_is_told_of_it(https: str, made: bool) -> None:
    code = f"""
import atexit, resource, sys, mockserver.__main__ as command
children = lambda: resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
atexit.register(lambda: print("trustme" in sys.modules, children()))
sys.argv[1:] = ["serve", *{[*PORTS, "--https-port", https]}]
command.main()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as serve:
        assert serve.stdout is not None
        told = "".join(iter(serve.stdout.readline, "Send a test mail:\n"))
        _, _, ca_file = told.partition("CA in ")
        if made:
            ssl.create_default_context(cafile=ca_file.splitlines()[0])
        serve.terminate()
        last = serve.stdout.read().splitlines()[-1]
    assert (bool(ca_file), last) == (made, f"False {made}")


def test_it_serves_without_a_ready_file() -> None:
    process = subprocess.Popen([*COMMAND, "serve", *PORTS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any(line.startswith("curl ") for line in process.stdout)
    process.stdout.close()
    process.terminate()
    assert process.wait(timeout=20) == 0


def test_a_password_of_an_own_world_is_not_printed(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text(
        "extends: default\n"
        "users:\n"
        "  admin: null\n  operator: null\n"
        "  ci: {domain: D, password: canary, roles: [Mail operator]}\n"
    )
    with serving(tmp_path, "--world", str(world), "--log-level", "debug") as (process, facts):
        httpx2.post(facts["api_url"] + "/SMTP/Test", auth=("ci", "canary"))
        ready = (tmp_path / "ready.json").read_text()
        _, output, errors = stopped_after_reading(process)
    assert "-u 'D\\ci' " in output
    assert "canary" not in ready + output + errors
    world.write_text("extends: default\nroles: {Administrator: [], Mail operator: []}\n")
    with serving(tmp_path, "--world", str(world)) as (process, _):
        assert "-u USER " in stopped_after_reading(process)[1]


def test_an_option_is_a_variable_too_and_beats_it(tmp_path: Path) -> None:
    variables = {"KEYFACTOR_MOCK_BASE_PATH": "/A", "KEYFACTOR_MOCK_HTTPS_PORT": "none"}
    with serving(tmp_path, **variables) as (_, facts):
        assert facts["api_url"] == facts["url"] + "/A"
        assert facts["https_url"] is not None  # the option was given
    with serving(tmp_path, "--base-path", "/B", **variables) as (_, facts):
        assert facts["api_url"] == facts["url"] + "/B"


def test_none_switches_a_listener_off(tmp_path: Path) -> None:
    off = ("--https-port", "none", "--smtp-port", "NONE", "--smtps-port", "none")
    with serving(tmp_path, *off) as (_, facts):
        assert (facts["https_url"], facts["smtp_port"], facts["smtps_port"]) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--port", "x"], "'x' is neither a port"),
        (["serve", "--port", "65536"], "--port"),
        (["serve", "--port", "-1"], "--port"),
        (["serve", "--port", "٣"], "--port"),  # a digit, but not an ASCII one
        (["serve", "--log-level", "loud"], "--log-level"),
        (["serve", "--host", "0.0.0.0"], "--allow-remote"),
        (["serve", "--world", "missing.yaml"], "missing.yaml"),
        (["serve", *PORTS, "--ready-file", "missing/ready.json"], "missing/ready.json"),
        (["serve", *PORTS, "--host", "host.invalid", "--allow-remote"], "host.invalid"),
        (["openapi", "99"], "'99' is not one of '1', '2'"),
        (["check"], "WORLD"),
        (["check", "missing.yaml"], "missing.yaml"),
        (["bake"], "No such command 'bake'. (see keyfactor-mock --help)"),
        ([], "Missing command. (see keyfactor-mock --help)"),
        (["serve", "x"], "(see keyfactor-mock serve --help)"),
        (["run"], "Missing argument 'COMMAND...'. (see keyfactor-mock run --help)"),
        (["check", ""], "'': there is no such file; did you mean '"),
        (["check", "http://a/b.yaml"], "http://a/b.yaml: there is no such file"),
        (["serve", *PORTS, "--openapi", ""], "'KEYFACTOR_MOCK_OPENAPI'): '' names no file"),
        (["serve", *PORTS, "--ready-file", ""], "'KEYFACTOR_MOCK_READY_FILE'): '' names no file"),
        (["serve", *PORTS, "--base-path", "/_mock"], "/_mock"),
        (["serve", *PORTS, "--base-path", "/a?b"], "'/a?b' is not one such as /KeyfactorAPI"),
        (["serve", *PORTS, "--host", "", "--allow-remote"], "the host is empty"),
        (["serve", *PORTS, "--control-token", "a\nb"], "visible characters of ASCII"),
        (["serve", *PORTS, "--openapi", "missing.json"], "missing.json: cannot be read"),
        (["serve", *PORTS, "--tls-name", "a b"], "name 'a b': neither a host name nor an IP addr"),
        (["serve", *PORTS, "--tls-name", ""], "name '': neither a host name nor an IP address"),
        (["serve", *PORTS, "--tls-name", "::g"], "name '::g': neither a host name nor an IP addr"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_clear_line_and_status_2(arguments: list[str], names: str) -> None:
    done = run(*arguments)
    assert done.returncode == (3 if "host.invalid" in names else 2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("keyfactor-mock: ")
    assert names in line


def test_a_slip_in_any_command_is_told_alike() -> None:
    # Not every click names the nearest one.
    early, late = (run(name[:-1]).stderr for name in ("openapi", "compare"))
    assert late == early.replace("openapi", "compare").replace("openap'", "compar'")


def test_a_bad_variable_names_itself() -> None:
    done = run("serve", KEYFACTOR_MOCK_PORT="x")
    assert (done.returncode, "KEYFACTOR_MOCK_PORT" in done.stderr) == (2, True)


# Another number for each: beside a second mock all four are taken.
OTHERS = {"https": 9443, "smtp": 2025, "smtps": 2465}
TAKEN = {
    "http": "--port 9000 takes another one (make run PORT=9000), 0 a free one, none does without"
} | {
    name: f"--{name}-port {port} takes another one (with make run: SERVE='--{name}-port {port}'), "
    "0 a free one, none does without"
    for name, port in OTHERS.items()
}


@pytest.mark.parametrize("listener", TAKEN)
def test_a_taken_port_is_status_3_and_says_which_option_takes_another(listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        option = "--port" if listener == "http" else f"--{listener}-port"
        done = run("serve", *PORTS, option, port)
    assert done.returncode == 3
    assert done.stderr == (
        f"keyfactor-mock: cannot listen on 127.0.0.1, port {port}, for {listener}: "
        f"Address already in use; {TAKEN[listener]}\n"
    )


def test_the_port_of_a_relay_that_is_taken_names_the_relay(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world.write_text(f"extends: default\nrelays: {{mail.test: {{listen: {port}}}}}\n")
        done = run("serve", *PORTS, "--world", str(world))
    assert done.returncode == 3
    assert done.stderr.endswith("; the relay mail.test of the world has this port as `listen`\n")


def test_the_logins_of_the_default_world_are_one_line_and_no_others(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, _):
        _, output, _ = stopped_after_reading(process)
    (line,) = re.findall("^Logins .*", output, re.MULTILINE)
    assert line == (
        "Logins   smtp.keyexample.com:587, smtp.keyexample.com:465 by "
        "command@keyexample.com:MySuperSecretPassword; "
        "exchange.keyexample.com by KEYEXAMPLE\\mail:MySuperSecretPassword; "
        "auth-required.test by any login"
    )
    world = tmp_path / "world.yaml"
    world.write_text(
        "extends: default\nrelays: {auth-required.test: null, exchange.keyexample.com: null, "
        "'smtp.keyexample.com:465': null, 'smtp.keyexample.com:587': {require_auth: true, "
        "accounts: {command@keyexample.com: {password: ours}}}}"
    )
    with serving(tmp_path, "--world", str(world)) as (process, _):
        _, output, _ = stopped_after_reading(process)
    assert "Logins" not in output
    assert "ours" not in output


def test_a_bad_world_is_one_line_with_file_path_and_nearest_key(tmp_path: Path) -> None:
    world = tmp_path / "bad.yaml"
    world.write_text("extends: default\nrelays: {x.test: {startls: true}}\n")
    for arguments in (["check", str(world)], ["serve", "--world", str(world)]):
        done = run(*arguments)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert f"{world}: /relays/x.test/startls" in line
        assert "'starttls'" in line


def test_a_good_world_is_said_to_be_valid(tmp_path: Path) -> None:
    world = tmp_path / "good.yaml"
    world.write_text("extends: default\n")
    done = run("check", str(world))
    assert (done.returncode, done.stdout) == (0, f"{world}: a valid world\n")


@pytest.mark.parametrize("version", load_editions().newest.contract.documents)
def test_a_document_is_printed_as_json(version: str) -> None:
    document = json.loads(run("openapi", version).stdout)
    assert document["info"]["version"] == version


def test_every_operation_is_listed_with_what_answers_it(tmp_path: Path) -> None:
    given = {"get": {"responses": {"200": {"description": "a thing"}}}}
    document = {"openapi": "3.0.0", "info": {"version": "1"}}
    path = tmp_path / "own.json"
    path.write_text(json.dumps({**document, "paths": {"/Things": given, "/Agents": given}}))
    done = run("resources", "--openapi", str(path), "--world", "fuzz")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["POST", "/SMTP/Test", "2", "v2.yaml", "method"] in lines
    assert ["GET", "/Agents", "1", "stores.yaml", "resource", "2"] in lines
    assert ["GET", "/Security/Identities/Lookup", "1", "security.yaml", "sampled"] in lines
    assert ["GET", "/Things", "1", "own.json", "sampled"] in lines
    assert ["GET", "/Agents", "1", str(path), "left", "to", "ours"] in lines


def test_a_world_for_a_given_document_is_valid_with_it(tmp_path: Path) -> None:
    things = {"get": {"responses": {"200": {"description": "things"}}}}
    document = {"openapi": "3.0.0", "info": {"version": "1"}, "paths": {"/Things": things}}
    (tmp_path / "own.json").write_text(json.dumps(document))
    world = tmp_path / "world.yaml"
    world.write_text("extends: default\nresources: {/Things: [{Id: 1}]}\n")
    alone = run("check", str(world))
    assert (alone.returncode, "/resources/~1Things: nothing is read there" in alone.stderr) == (
        2,
        True,
    )
    done = run("check", str(world), "--openapi", str(tmp_path / "own.json"))
    assert (done.returncode, done.stdout) == (0, f"{world}: a valid world\n")


@pytest.mark.parametrize("command", [["serve"], ["resources"], ["check", "default"]])
def test_a_given_document_that_is_none_ends_with_its_name(
    tmp_path: Path, command: list[str]
) -> None:
    path = tmp_path / "none.json"
    done = run(*command, KEYFACTOR_MOCK_OPENAPI=str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert str(path) in done.stderr


def test_others_need_a_token_where_they_can_connect(tmp_path: Path) -> None:
    remote = ("--host", "0.0.0.0", "--allow-remote")
    with serving(tmp_path, *remote, "--control-token", "the-token") as (_, facts):
        url = facts["control_url"] + "/messages"
        assert httpx2.get(url).status_code == 401
        assert httpx2.get(url, headers={"x-mock-token": "the-token"}).status_code == 200
    with serving(tmp_path, *remote) as (process, facts):
        assert httpx2.get(facts["control_url"]).status_code == 401
        _, output, _ = stopped_after_reading(process)
    made = next(line for line in output.splitlines() if line.startswith("X-Mock-Token: "))
    assert len(made.split()[1]) > 16


def test_a_request_is_one_line_of_the_log_in_text_or_json(tmp_path: Path) -> None:
    def log(*options: str) -> str:
        with serving(tmp_path, *options) as (process, facts):
            path, headers = "/x%1b[31m%0astatus=200", {"x-mock-namespace": "ci-7"}
            httpx2.post(facts["api_url"] + path, auth=("admin", "admin-password"), headers=headers)
            return stopped(process)[2]

    (line,) = log().splitlines()
    assert " INFO " in line
    assert re.search(
        r" id=[0-9a-f]{32} namespace=ci-7 method=POST "
        r'path="/KeyfactorAPI/x\\u001b\[31m\\nstatus=200" version=1 '
        r"identity=KEYEXAMPLE\\admin status=404 code=0xA0110002 ms=[0-9.]+ "
        r'problem="nothing is at [^"]+"$',
        line,
    )
    (line,) = log("--log-format", "json").splitlines()
    fields = json.loads(line)
    assert (fields["level"], fields["status"], fields["code"]) == ("info", 404, "0xA0110002")
    assert (fields["namespace"], fields["path"][-11:]) == ("ci-7", "\nstatus=200")
    assert fields["problem"].startswith("nothing is at ")
    assert log("--log-level", "warning") == ""


def test_the_schema_of_a_world_is_printed_as_json() -> None:
    schema = json.loads(run("schema").stdout)
    assert schema["properties"]["extends"]["default"] == "default"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_help_says_how_the_command_is_completed(shell: str) -> None:
    (line,) = [line for line in run("--help").stdout.splitlines() if "eval" in line]
    (name,) = re.findall(r"(\w+)=bash_source", line)
    assert "keyfactor" in run(**{name: f"{shell}_source"}).stdout
    words = {"COMP_WORDS": "keyfactor-mock serve --smt", "COMP_CWORD": "2"}
    if shell != "fish":
        assert "--smtp-port" in run(**{name: f"{shell}_complete"}, **words).stdout


def test_the_version_is_told_without_loading_the_rest() -> None:
    code = """
import sys
from mockserver.__main__ import main
sys.argv[1:] = ["--version"]
main()
print(*({"click", "starlette", "yaml"} & {*sys.modules}))
"""
    said = f"keyfactor-mock, version {__version__}\n"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == f"{said}\n"
    assert run("--version").stdout == said


def test_help_lists_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("serve", "openapi", "check"):
        assert name in done.stdout
    assert run("--version").stdout == "keyfactor-mock, version 0.1.0\n"


def test_a_token_that_was_given_is_asked_for_on_loopback_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--control-token", "the-token") as (_, facts):
        url = facts["control_url"] + "/messages"
        assert httpx2.get(url).status_code == 401
        assert httpx2.get(url, headers={"x-mock-token": "the-token"}).status_code == 200


@pytest.mark.parametrize(
    "arguments", [["--version"], ["openapi", "1"], ["check", "default"], ["serve", *PORTS]]
)
def test_a_full_standard_output_is_one_line_and_status_1(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "keyfactor-mock: cannot go on: No space left on device\n"


def test_closed_standard_files_are_not_taken_for_connections(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"ls -l /proc/self/fd > {seen}; curl -sS --fail $KEYFACTOR_MOCK_URL/livez >> {seen}"
    command = shlex.join([*COMMAND, "run", *PORTS, "--", "sh", "-c", script])
    subprocess.run(f"{command} <&- >&- 2>&-", shell=True, check=True, timeout=30)
    lines = seen.read_text()
    assert re.search(r" 0 -> /dev/null\n", lines)
    assert re.search(r" 2 -> /dev/null\n", lines)
    assert lines.endswith("alive\n")


def test_a_ready_file_is_put_in_the_place_of_a_file_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    before = sorted(tmp_path.iterdir())
    for name in ("pipe", "link"):
        done = run("serve", *PORTS, "--ready-file", str(tmp_path / name))
        assert done.returncode == 2
        assert done.stderr.endswith("is there, and is no regular file\n")
    assert sorted(tmp_path.iterdir()) == before


def test_a_ready_file_that_cannot_be_put_there_leaves_nothing(tmp_path: Path) -> None:
    done = run("serve", *PORTS, "--ready-file", f"{tmp_path}/{'x' * 250}")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])


def test_the_ready_file_of_another_mock_stays(tmp_path: Path) -> None:
    with serving(tmp_path) as (first, facts):
        ready = tmp_path / "ready.json"
        second = subprocess.Popen(
            [*COMMAND, "serve", *PORTS, "--ready-file", ready], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while json.loads(ready.read_text()) == facts:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert stopped(first)[0] == 0
        assert json.loads(ready.read_text())["pid"] == second.pid
        second.terminate()
        assert second.wait(timeout=20) == 0
        assert not ready.exists()


def test_https_may_have_a_certificate_of_ones_own(tmp_path: Path) -> None:
    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)

    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem"
        " -subj /CN=x -addext subjectAltName=DNS:localhost -days 1"
    )
    openssl("ec -in key.pem -aes128 -passout pass:secret -out encrypted.pem")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with serving(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key)) as (_, facts):
        for file in (certificate, facts["ca_file"]):
            trust = ssl.create_default_context(cafile=file)
            assert httpx2.get(facts["https_url"] + "/livez", verify=trust).status_code == 200
    own = ("--tls-cert", str(certificate), "--tls-key", str(key))
    script = 'for file in "$KEYFACTOR_CA_CERT" "$SSL_CERT_FILE"; do'
    script += ' curl -sS --cacert "$file" "$KEYFACTOR_MOCK_HTTPS_URL/livez"; done'
    assert under_mock(script, *own).stdout == "alive\nalive\n"
    no_pem, not_its = "no PEM of a certificate and its key", "key values mismatch"
    openssl("ecparam -name prime256v1 -genkey -noout -out other.pem")
    for first, second, text in (
        ("cert.pem", "encrypted.pem", f"/encrypted.pem: {no_pem}"),
        ("cert.pem", "cert.pem", f"/cert.pem: {no_pem}"),
        ("cert.pem", "other.pem", f"/other.pem: {not_its}"),
        ("missing.pem", "key.pem", "mock: certificate /missing.pem: No such file or directory"),
        ("cert.pem", "missing.pem", "mock: key /missing.pem: No such file or directory"),
        ("cert.pem", "/", "mock: key /: Is a directory"),
    ):
        files = "--tls-cert", str(tmp_path / first), "--tls-key", str(tmp_path / second)
        done = run("serve", *PORTS, *files)
        told = done.stderr.replace(str(tmp_path), "")
        assert (done.returncode, text in told, told.count("\n")) == (2, True, 1), told
    assert "--tls-key" in run("serve", *PORTS, "--tls-cert", str(certificate)).stderr


# run


def under_mock(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run("run", *options, "--", "bash", "-c", script)


def test_a_command_finds_the_mock_in_its_environment() -> None:
    done = under_mock('curl -sS --fail "$KEYFACTOR_MOCK_CONTROL_URL" && echo && env')
    assert (done.returncode, done.stderr) == (0, "")
    index, *lines = done.stdout.splitlines()
    listeners = json.loads(index)["listeners"]
    found = dict(line.partition("=")[::2] for line in lines)
    assert found["KEYFACTOR_MOCK_URL"].endswith(f":{listeners['http']['port']}")
    assert found["KEYFACTOR_MOCK_API_URL"] == found["KEYFACTOR_MOCK_URL"] + "/KeyfactorAPI"
    assert found["KEYFACTOR_MOCK_TOKEN_URL"] == found["KEYFACTOR_MOCK_URL"] + "/_mock/idp/token"
    assert found["KEYFACTOR_HOSTNAME"] == f"localhost:{listeners['https']['port']}"
    assert found["KEYFACTOR_MOCK_HTTPS_URL"] == f"https://{found['KEYFACTOR_HOSTNAME']}"
    assert found["KEYFACTOR_API_PATH"] == "KeyfactorAPI"
    assert found["KEYFACTOR_USERNAME"] == "admin"
    assert found["KEYFACTOR_PASSWORD"] == "admin-password"
    assert found["KEYFACTOR_DOMAIN"] == "KEYEXAMPLE"
    assert found["KEYFACTOR_CA_CERT"].endswith("/ca.pem")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert found[name].endswith("/bundle.pem")


BASIC = {
    "KEYFACTOR_USERNAME": "admin",
    "KEYFACTOR_PASSWORD": "admin-password",
    "KEYFACTOR_DOMAIN": "KEYEXAMPLE",
}
OAUTH = {
    "KEYFACTOR_AUTH_CLIENT_ID": "api-client",
    "KEYFACTOR_AUTH_CLIENT_SECRET": "api-client-secret",
    "KEYFACTOR_AUTH_TOKEN_URL": "https://localhost:PORT/_mock/idp/token",
}


@pytest.mark.parametrize(
    ("options", "variables", "handed"),
    [
        ((), {}, BASIC | OAUTH),
        (("--auth", "basic"), {}, BASIC),
        (("--auth", "oauth"), {"KEYFACTOR_MOCK_AUTH": "basic"}, OAUTH),
        ((), {"KEYFACTOR_MOCK_AUTH": "oauth"}, OAUTH),
    ],
)
def test_a_command_gets_accounts_of_both_kinds_or_of_one(
    options: tuple[str, ...], variables: dict[str, str], handed: dict[str, str]
) -> None:
    done = run("run", *options, "--", "env", **variables)
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    accounts = {
        name: re.sub(r":\d+/", ":PORT/", value)
        for name, value in found.items()
        if name.startswith("KEYFACTOR_AUTH") or name in BASIC
    }
    assert accounts == handed


@pytest.mark.parametrize("https", ["0", "none"])
def test_the_oauth_client_that_is_handed_down_gets_a_token(https: str) -> None:
    script = (
        'curl -sS --fail -u "$KEYFACTOR_AUTH_CLIENT_ID:$KEYFACTOR_AUTH_CLIENT_SECRET"'
        ' -d grant_type=client_credentials "$KEYFACTOR_AUTH_TOKEN_URL"'
    )
    done = under_mock(script, "--https-port", https, "--world", "fuzz")
    assert json.loads(done.stdout)["token_type"] == "Bearer", done.stderr


@pytest.mark.parametrize("kind", ["basic", "oauth"])
def test_a_kind_of_account_that_the_world_has_not_is_a_mistake(tmp_path: Path, kind: str) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("extends: default\nroles: {Administrator: [], Mail operator: []}\n")
    done = under_mock("true", "--auth", kind, "--world", str(world))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"keyfactor-mock: --auth {kind}: ")


def test_a_command_trusts_the_mock_and_what_it_trusted_before() -> None:
    done = under_mock(
        'curl -sS --fail --cacert "$KEYFACTOR_CA_CERT" "$KEYFACTOR_MOCK_HTTPS_URL/livez"'
        ' && grep -c BEGIN "$SSL_CERT_FILE" && cd "$(dirname "$KEYFACTOR_CA_CERT")" && pwd && ls'
        ' && ! grep "PRIVATE KEY" *'
    )
    assert done.returncode == 0, done.stderr
    alive, certificates, folder, *files = done.stdout.split()
    before = len(ssl.create_default_context().get_ca_certs())
    assert (alive, int(certificates)) == ("alive", before + 1)
    assert files == ["bundle.pem", "ca.pem"]
    assert not Path(folder).exists()


def test_nothing_inherited_leads_a_command_past_the_mock() -> None:
    inherited = {
        "KEYFACTOR_PORT": "443",
        "KEYFACTOR_AUTH_ACCESS_TOKEN": "real",
        "SSL_CERT_DIR": "/etc/ssl/certs",
        "CURL_CA_BUNDLE": "/nowhere",
        "http_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "intranet.test",
    }
    script = 'curl -sS --fail "$KEYFACTOR_MOCK_HTTPS_URL/livez" "$KEYFACTOR_MOCK_URL/livez"; env'
    done = run("run", "--", "bash", "-c", script, **inherited)
    assert done.stdout.startswith("alive\nalive\n"), done.stderr
    lines = done.stdout.splitlines()
    assert "KEYFACTOR_PORT=0" in lines
    assert "NO_PROXY=intranet.test,localhost,127.0.0.1,::1" in lines
    assert not any(line.startswith(("KEYFACTOR_AUTH_ACC", "SSL_CERT_DIR")) for line in lines)


def test_without_https_and_without_a_permitted_user_their_variables_are_missing(
    tmp_path: Path,
) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("extends: default\nroles: {Administrator: [], Mail operator: []}\n")
    done = under_mock("env", "--https-port", "none", "--world", str(world))
    assert "KEYFACTOR_MOCK_URL=" in done.stdout
    for name in ("HOSTNAME", "USERNAME", "CA_CERT", "AUTH_CLIENT_ID", "AUTH_TOKEN_URL"):
        assert f"KEYFACTOR_{name}=" not in done.stdout


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill $$", 143)]
)
def test_the_status_is_that_of_the_command(script: str, status: int) -> None:
    assert under_mock(script).returncode == status


@pytest.mark.parametrize(("command", "status"), [("no-such-command", 127), ("/", 126)])
def test_a_command_that_cannot_start_has_the_status_of_a_shell(command: str, status: int) -> None:
    done = run("run", "--", command)
    assert done.returncode == status
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"keyfactor-mock: cannot run {command}: ")


def test_run_needs_a_command() -> None:
    assert run("run").returncode == run("run", "--").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_reaches_the_command(number: int) -> None:
    script = f"trap 'exit 42' {number:d}; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [*COMMAND, "run", "--", "bash", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal, as in CI
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(timeout=20) == 42
    process.stdout.close()


def test_what_is_typed_at_a_terminal_reaches_the_command_once() -> None:
    script = """
import signal, sys, time
got = []
signal.signal(signal.SIGINT, lambda *_: got.append(1))
print("ready", flush=True)
time.sleep(1)
sys.exit(len(got))
"""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", "--", sys.executable, "-c", script],
        stdin=theirs,
        stdout=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # the only way to get a terminal
    )
    os.close(theirs)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(ours, 100)
    os.write(ours, b"\x03")
    assert process.wait(timeout=20) == 1
    os.close(ours)


# editions


def test_the_editions_are_listed_a_line_for_each_difference() -> None:
    done = run("editions")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)
    line = next(line for line in lines if "/SMTP/Test version 1 /Id" in line)
    assert line == (
        "10    POST /SMTP/Test version 1 /Id: optional, an integer, 0 when left out"
        " (newest: required, an integer)"
        " [documented: POST SMTP Test, 10.3 (table 576); 0 when left out is assumed]"
    )
    assert "10    GET and PUT /SMTP as XML: offered (not played) [" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("serve", "--edition", "9"), "edition '9': unknown; the editions are 10, 11, 25.1,"),
        (("run", "--edition", "12", "--", "true"), "edition '12': not defined, since of 12.x only"),
        (("run", "--editions", "10,9", "--", "true"), "edition '9': unknown; the editions are"),
        (("run", "--editions", "all", "--edition", "10", "--", "true"), "exclude each other"),
        (("openapi", "1", "--edition", "24"), "edition '24': not defined, since of 24.x no page"),
        (("openapi", "2", "--edition", "10"), "the edition 10 has no version 2"),
    ],
)
def test_an_edition_that_is_not_there_is_one_line(arguments: tuple[str, ...], text: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert text in done.stderr


def test_the_document_of_an_edition_is_printed() -> None:
    done = run("openapi", "1", "--edition", "11")
    assert json.loads(done.stdout)["info"]["title"].endswith("edition 11")


def test_the_printed_line_works_in_an_older_edition(tmp_path: Path) -> None:
    with serving(tmp_path, "--edition", "25.1") as (process, facts):
        _, output, _ = stopped_after_reading(process)
    line = next(line for line in output.splitlines() if line.startswith("curl "))
    with serving(tmp_path, KEYFACTOR_MOCK_EDITION="25.1") as (_, facts):
        pasted = line.replace(line.split("http://")[1].split("/")[0], facts["url"].split("//")[1])
        done = subprocess.run(pasted, shell=True, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("HTTP/1.1 200 OK")


PROBE = (
    'curl -sS -o /dev/null -u "$KEYFACTOR_USERNAME:$KEYFACTOR_PASSWORD" '
    '-H "x-keyfactor-requested-with: APIClient" -H "x-keyfactor-api-version: 2" '
)
VERSIONS = "x-keyfactor-api-version: must be one of 1, 1.0."
NO_PROVIDER = "Unable to find 'PAM Provider' with Id '7'"


def test_a_rehearsal_ends_with_a_table_and_the_worst_status() -> None:
    """Calls in a namespace, and from before a reset, are counted too."""
    script = (
        f"{PROBE} $KEYFACTOR_MOCK_API_URL/SMTP; curl -sS -X POST $KEYFACTOR_MOCK_CONTROL_URL/reset;"
        f"{PROBE} $KEYFACTOR_MOCK_CONTROL_URL/ns/a/KeyfactorAPI/PamProviders/7;"
        f'{PROBE} -w "%{{http_code}}\\n" $KEYFACTOR_MOCK_API_URL/SMTP > status;'
        'read code < status; rm status; exit "${code%00}"'
    )
    done = under_mock(script, "--editions", "11, current")
    assert (done.returncode, done.stdout) == (4, "")
    path = "/KeyfactorAPI"
    lines = done.stderr.splitlines()
    assert lines[:2] == ["keyfactor-mock: edition 11", "keyfactor-mock: edition current"]
    assert lines[-3:] == [
        "edition | exit | calls | refused | first refusal",
        f"11      | 4    | 3     | 3       | GET {path}/SMTP -> 400: {VERSIONS}",
        f"current | 2    | 3     | 1       | GET {path}/PamProviders/7 -> 404: {NO_PROVIDER}",
    ]


def test_a_signal_ends_all_of_a_rehearsal() -> None:
    done = under_mock("kill -TERM $$", "--editions", "all")
    assert done.returncode == 128 + signal.SIGTERM
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == ["edition", "10"]


# coverage


def test_a_run_tells_what_it_has_tried(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    options = ("--coverage", "--coverage-json", str(file), "--coverage-min", "50")
    script = f"{PROBE} $KEYFACTOR_MOCK_CONTROL_URL/ns/a/KeyfactorAPI/SMTP"
    done = under_mock(script, *options, "--coverage-operations", "get_smtp_v?")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "get_smtp_v2     1 of    7  1 call: 1 with 200"
    assert lines[1] == "7.1 %: 1 of 14 points"
    assert lines[2] == "  get_smtp_v2: never called with wrong credentials (401)"
    assert lines[-1] == "coverage 7.1 % is below 50 %"
    assert json.loads(file.read_text("utf-8"))["summary"]["points"] == 14


def test_what_was_tried_in_each_edition_is_added_up() -> None:
    script = f"{PROBE} $KEYFACTOR_MOCK_API_URL/SMTP"
    done = under_mock(f"{script}; exit 3", "--editions", "25.1,current", "--coverage")
    assert done.returncode == 3
    assert "get_smtp_v2     1 of    7  2 calls: 2 with 200" in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (("--coverage-min", "101"), "--coverage-min: 101 is no percentage from 0 to 100"),
        (("--coverage-min", "x"), "'x' is not a valid float"),
        (("--coverage-json", "no/x"), "--coverage-json no/x: there is no such folder"),
        (("--coverage-json", ""), "'KEYFACTOR_MOCK_COVERAGE_JSON'): '' names no file"),
        (("--coverage-operations", "tst"), "--coverage-operations: 'tst' names no operation; the "),
    ],
)
def test_what_cannot_be_told_of_coverage_is_one_line(option: tuple[str, str], text: str) -> None:
    done = run("run", *option, "--", "true")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert text in done.stderr


# What only POSIX has, taken away before the command is imported.
WITHOUT_POSIX = """
import asyncio, os, signal, sys

for name in ("SIGHUP", "SIGQUIT"):
    delattr(signal, name)
for name in ("register_at_fork", "fork", "tcgetpgrp", "getpgrp"):
    delattr(os, name)
sys.modules |= {"resource": None, "fcntl": None, "pwd": None, "termios": None, "uvloop": None}

def not_there(*_):
    raise NotImplementedError

for loop in (asyncio.SelectorEventLoop, asyncio.SelectorEventLoop.__base__):
    for name in ("add_signal_handler", "add_reader"):
        setattr(loop, name, not_there)

from mockserver.cli import main

main()
"""
ASK = (
    "import os, ssl, urllib.request as http;"
    "assert http.urlopen(os.environ['KEYFACTOR_MOCK_CONTROL_URL']).status == 200;"
    "assert http.urlopen(os.environ['KEYFACTOR_MOCK_HTTPS_URL'] + '/livez').status == 200"
)


def test_the_commands_need_nothing_that_only_posix_has(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_POSIX]
    done = subprocess.run(
        [*command, "run", "--", sys.executable, "-c", f"{ASK}; raise SystemExit(7)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    for typed in (signal.SIGINT, signal.SIGTERM):
        ready = tmp_path / "ready.json"
        with subprocess.Popen([*command, "serve", *PORTS, "--ready-file", str(ready)]) as process:
            while not ready.exists():
                assert process.poll() is None
                time.sleep(0.02)
            assert httpx2.get(json.loads(ready.read_text())["url"] + "/livez").status_code == 200
            process.send_signal(typed)
            assert process.wait(timeout=20) == 0
        assert not ready.exists()


def test_what_is_typed_at_a_console_without_process_groups_is_not_passed_on() -> None:
    script = "import time; print(flush=True); time.sleep(1); raise SystemExit(5)"
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_POSIX, "run", "--", sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 5

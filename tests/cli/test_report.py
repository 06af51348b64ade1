"""What `run` tells of refused calls and mails, as processes."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import command
from mockserver.journal.report import Expected, Report
from mockserver.journal.trace import Trace

HEADERS = "-H 'x-keyfactor-requested-with: APIClient' -H 'content-type: application/json'"
CALL = f"""curl -sS -o /dev/null -u "$KEYFACTOR_USERNAME:$KEYFACTOR_PASSWORD" {HEADERS} \
  "$KEYFACTOR_MOCK_API_URL/SMTP/Test" """
REFUSED = f"{CALL} -d '{{}}'\n"
NOTED = f"""{CALL} -H 'x-keyfactor-api-version: 2' -d '{{"host": "a.test", "Port": 25,
  "SenderAccount": "a@b.test", "SenderName": "n", "TestRecipient": "c@d.test"}}'\n"""
MAIL = """curl -s "smtp://127.0.0.1:$KEYFACTOR_MOCK_SMTP_PORT" --mail-from a@b.test \
  --mail-rcpt c@d.test --user me:wrong -T /dev/null || true
env -u CURL_CA_BUNDLE -u SSL_CERT_FILE \
  curl -s "smtps://127.0.0.1:$KEYFACTOR_MOCK_SMTPS_PORT" || true\n"""
ACCOUNTS = "extends: default\nrelays: {'*': {accounts: {me: {password: right}}}}\n"


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return command.run("run", *options, "--", "sh", "-c", script)


def test_a_failure_is_told_with_the_stories_of_what_was_refused(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text(ACCOUNTS)
    done = run(f"{REFUSED}{MAIL}exit 7", "--world", str(world))
    assert done.returncode == 7
    assert "1 call, 3 calls or sessions to look at" in done.stderr
    assert "POST /KeyfactorAPI/SMTP/Test -> 400" in done.stderr
    assert "Host: required" in done.stderr or "Host" in done.stderr
    assert "refused at auth: 535 5.7.8 Authentication credentials invalid" in done.stderr
    assert "refused at tls: <connection lost: TLSV1_ALERT_UNKNOWN_CA>" in done.stderr
    assert "wrong" not in done.stderr


def test_a_failure_that_nobody_can_be_told_keeps_its_status() -> None:
    words = [
        sys.executable,
        "-m",
        "mockserver",
        "run",
        "--port",
        "0",
        "--",
        "sh",
        "-c",
        f"{REFUSED}exit 7",
    ]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(words, stderr=full, timeout=60, check=False).returncode == 7


def test_a_success_is_told_only_in_a_file(tmp_path: Path) -> None:
    assert run(REFUSED + NOTED).stderr == ""
    assert run(MAIL).stderr == ""
    assert run(REFUSED, "--report").stderr == ""
    assert run("exit 3").stderr == ""
    for name in ("report.txt", "report.json", "report.xml"):
        done = run(REFUSED, "--report", str(tmp_path / name))
        assert (done.returncode, done.stderr) == (0, "")
    assert "-> 400" in (tmp_path / "report.txt").read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["calls"], report["told"]) == (1, 1)
    (story,) = report["stories"]
    assert story["kind"] == "call"
    assert "no --expect 400:PATH names" in story["faults"][0]
    assert "violation" in story["text"]
    suites = ET.parse(tmp_path / "report.xml").getroot()
    assert (suites.tag, suites.attrib) == ("testsuites", {"tests": "2", "failures": "1"})
    passed, failed = suites.findall("./testsuite/testcase")
    assert passed.find("failure") is None
    assert "violation" in (failed.findtext("failure") or "")


@pytest.mark.parametrize(
    ("script", "options", "status", "words"),
    [
        ("true", (), 0, ""),
        (REFUSED, (), 1, "refused with 400, which no --expect 400:PATH names"),
        (REFUSED, ("--expect", "400:/SMTP/Test"), 0, ""),
        (REFUSED, ("--expect", "400:/keyfactorapi/smtp/*"), 0, ""),
        (REFUSED, ("--expect", "401:/SMTP/Test", "--expect", "400:/Test/No"), 1, "no --expect"),
        (NOTED, (), 1, "letter_case: "),
        (REFUSED + "exit 4", (), 4, "calls or sessions to look at"),
    ],
)
def test_a_strict_run_fails_by_what_was_not_expected(
    script: str, options: tuple[str, ...], status: int, words: str
) -> None:
    done = run(script, "--strict", *options)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert bool(words) == bool(done.stderr)


def test_each_edition_has_its_stories(tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    run(REFUSED, "--editions", "10,current", "--report", str(file))
    titles = [each["title"] for each in json.loads(file.read_text())["stories"]]
    assert [title.partition(":")[0] for title in titles] == ["edition 10", "edition current"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--expect", "4xx:/SMTP"), "'4xx:/SMTP' is not STATUS:PATH, such as 400:/SMTP/Test"),
        (("--expect", "200:/SMTP"), "is not STATUS:PATH"),
        (("--expect", "400"), "is not STATUS:PATH"),
        (("--report", "/no/such/folder/r.txt"), "--report /no/such/folder/r.txt: No such file"),
        (("--report", "/dev/null"), "is there, and is no regular file"),
        (("--report", ""), "'KEYFACTOR_MOCK_REPORT'): '' names no file"),
    ],
)
def test_options_that_cannot_be_are_refused(options: tuple[str, ...], words: str) -> None:
    done = run("echo ran", *options)
    assert (done.returncode, words in done.stderr, done.stdout) == (2, True, ""), done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_whose_folder_the_command_removes_loses_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "build" / "report.txt"
    file.parent.mkdir()
    done = run(f"rmdir {file.parent}", "--report", str(file), "--editions", "10", "--coverage")
    assert done.returncode == 2
    assert "edition | exit" in done.stderr
    assert f"--report {file}: No such file or directory" in done.stderr


def test_a_command_finds_every_port() -> None:
    done = run("env")
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert found["KEYFACTOR_MOCK_HTTPS_API_URL"] == (
        found["KEYFACTOR_MOCK_HTTPS_URL"] + "/KeyfactorAPI"
    )
    for name in ("SMTP", "SMTPS"):
        assert int(found[f"KEYFACTOR_MOCK_{name}_PORT"]) > 0
    done = run("env", "--smtp-port", "none", "--smtps-port", "none", "--https-port", "none")
    assert "SMTP" not in done.stdout
    assert "HTTPS" not in done.stdout


def test_of_very_many_the_first_and_the_last_are_told() -> None:
    report = Report()
    for number in range(1_000):
        report.add(Trace("GET", f"/{number}\x07").exchange(404, None))
    kept = [each.title.split()[1] for each in report.stories]
    assert kept[:100] == [f"/{number}\x07" for number in range(100)]
    assert kept[100:] == [f"/{number}\x07" for number in range(900, 1_000)]
    text = report.text()
    assert text.index("GET /99") < text.index("… 800 more") < text.index("GET /900")
    assert len(ET.fromstring(report.written("r.XML")).findall(".//failure")) == 200


def test_an_expectation_is_for_the_whole_path_or_for_its_end() -> None:
    call = Trace("GET", "/KeyfactorAPI/SMTP").exchange(404, None)
    for text, holds in (("404:/smtp", True), ("404:/KeyfactorAPI/SMTP", True), ("404:*", True),
                        ("404:/MTP", False), ("400:/SMTP", False)):  # fmt: skip
        assert Expected.read(text).names(call) is holds

"""The fixtures, as the tests of a downstream repository use them."""

import json
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DOWNSTREAM = Path(__file__).parent / "downstream"

CALL = """
    import json, urllib.error, urllib.request

    def call(mock, secret="RelayPassword", **changes):
        body = {
            "Host": "relay.test", "Port": 25, "SenderAccount": "a@b.test", "SenderName": "n",
            "TestRecipient": "c@d.test", **changes,
        }
        request = urllib.request.Request(
            mock.api_url + "/SMTP/Test",
            data=json.dumps({key: body[key] for key in body if body[key] is not None}).encode(),
            headers={
                "Authorization": "Basic YWRtaW46YWRtaW4tcGFzc3dvcmQ=",
                "Content-Type": "application/json",
                "x-keyfactor-requested-with": "APIClient",
                "x-keyfactor-api-version": "2",
            },
        )
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
"""

STORY = "- keyfactor-mock -"


@pytest.fixture(autouse=True)
def client(pytester: pytest.Pytester) -> None:
    """Give every inner test a client."""
    pytester.makepyfile(client=CALL)
    pytester.syspathinsert()


def inner(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    """Run a test module; warnings are errors there too."""
    pytester.makepyfile(test_inner="from client import call\n" + source)
    # The package is there already, in the session that runs this one.
    warnings = ("-Werror", "-Wignore::pytest.PytestAssertRewriteWarning")
    others = ("cacheprovider", "rerunfailures", "run-parallel", "schemathesis")
    return pytester.runpytest_inprocess(*warnings, *[f"-pno:{name}" for name in others], *options)


def test_each_test_gets_the_mock_as_new(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        """
import pytest

servers = set()

@pytest.mark.parametrize("number", range(3))
def test_it(keyfactor, keyfactor_server, number):
    assert (keyfactor.messages, keyfactor.requests) == ((), ())
    assert call(keyfactor) == 200
    keyfactor.assert_delivered(recipient="C@d.test", tls_mode="none", mechanism=None)
    keyfactor.patch_world({"relays": {"*": {"fault": "refused"}}})
    assert call(keyfactor) == 400
    servers.add(keyfactor_server.port("http"))
    assert len(servers) == 1
    assert keyfactor.https_url.startswith("https://localhost:")
    assert {keyfactor.port("smtp"), keyfactor.port("smtps")} & {None, 0} == set()
""",
    )
    result.assert_outcomes(passed=3)


def test_markers_patch_the_world_from_the_outside_in(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        """
import pytest

pytestmark = pytest.mark.keyfactor(world={"product_version": "1.0", "lenient": True})

@pytest.mark.keyfactor(world={"product_version": "2.0"})
class TestClass:
    @pytest.mark.keyfactor(world={"product_version": "3.0"})
    def test_inner(self, keyfactor):
        assert (keyfactor.world.product_version, keyfactor.world.lenient) == ("3.0", True)

    def test_class(self, keyfactor):
        assert keyfactor.world.product_version == "2.0"

def test_module(keyfactor):
    assert keyfactor.world.product_version == "1.0"

@pytest.mark.keyfactor
def test_bare(keyfactor):
    assert keyfactor.world.product_version == "1.0"
""",
        "--strict-markers",
    )
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ('{"lenient": True}', '*test_it: the marker is keyfactor(world={...}, edition="...")'),
        ("wrld={}", '*test_it: the marker is keyfactor(world={...}, edition="...")'),
        ('world="w.yaml"', '*test_it: the marker is keyfactor(world={...}, edition="...")'),
        ('world={"relais": {}}', "the marker keyfactor: patch: /relais: unknown key; *'relays'*"),
        ('edition="12"', "the marker keyfactor: patch: /edition: edition '12': not defined, *"),
    ],
)
def test_a_marker_that_is_wrong_says_so(pytester: pytest.Pytester, marker: str, text: str) -> None:
    result = inner(
        pytester,
        f"""
import pytest

@pytest.mark.keyfactor({marker})
def test_it(keyfactor):
    pass
""",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([text])


WORLDS = {
    "marker": """
import pytest

@pytest.mark.keyfactor(world={"product_version": "1.0"})
def test_it(keyfactor):
    assert keyfactor.world.product_version == "1.0"
""",
    "other": """
def test_it(keyfactor, keyfactor_factory):
    assert keyfactor.world.product_version == EXPECTED
    assert keyfactor_factory().world.product_version == EXPECTED
    assert keyfactor_factory({"lenient": True}).world.product_version == "25.5.1"
""",
}
OVERRIDE = """
import pytest

@pytest.fixture(scope="session")
def keyfactor_world():
    return {"product_version": "3.0"}
"""


def world_file(pytester: pytest.Pytester, name: str, version: str) -> Path:
    text = f"extends: default\nproduct_version: '{version}'\n"
    return pytester.makefile(".yaml", **{name: text})


@pytest.mark.parametrize("marker", [True, False], ids=["marker", "none"])
@pytest.mark.parametrize("option", [True, False], ids=["option", "none"])
@pytest.mark.parametrize("fixture", [True, False], ids=["fixture", "none"])
@pytest.mark.parametrize("ini", [True, False], ids=["ini", "none"])
def test_the_nearest_world_wins(
    pytester: pytest.Pytester, marker: bool, option: bool, fixture: bool, ini: bool
) -> None:
    """Marker, then option, then fixture, then ini, then default."""
    options = []
    if ini:
        world_file(pytester, "ini", "4.0")
        pytester.makeini("[pytest]\nkeyfactor_world = ini.yaml\n")
    if option:
        world_file(pytester, "option", "2.0")
        options.append("--keyfactor-world=option.yaml")
    if fixture:
        pytester.makeconftest(OVERRIDE)
    given = ("2.0",) * option + ("3.0",) * fixture + ("4.0",) * ini + ("25.5.1",)
    source = WORLDS["marker" if marker else "other"]
    result = inner(pytester, source.replace("EXPECTED", repr(given[0])), *options)
    result.assert_outcomes(passed=1)


def test_a_world_that_is_wrong_is_named(pytester: pytest.Pytester) -> None:
    result = inner(pytester, "def test_it(keyfactor): pass", "--keyfactor-world=no.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["/*no.yaml: there is no such file; did you mean '*'?"])
    result.stdout.no_fnmatch_line("*mockserver*")  # nothing of the mock's own lines


def test_the_world_of_the_session_may_be_asked_for(pytester: pytest.Pytester) -> None:
    path = world_file(pytester, "option", "2.0")
    source = f"def test_it(keyfactor_world): assert str(keyfactor_world) == {str(path)!r}"
    inner(pytester, source, "--keyfactor-world=option.yaml").assert_outcomes(passed=1)


def test_servers_of_the_factory_end_with_their_test(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        """
import socket, threading

ports = []
threads = threading.active_count()

def test_it(keyfactor_factory):
    first, second = keyfactor_factory(), keyfactor_factory({"lenient": True}, https_port=0)
    ports.extend((first.port("http"), second.port("http"), second.port("https")))
    assert (call(first), call(second)) == (200, 200)
    assert second.world.lenient

def test_they_are_gone():
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", port)) != 0
    assert threading.active_count() == threads
""",
    )
    result.assert_outcomes(passed=2)


FAILING = """
import pytest

@pytest.fixture
def broken(keyfactor):
    call(keyfactor, SenderName=None)
    raise ValueError("own error of the fixture")

def test_call(keyfactor):
    call(keyfactor, RelayAuthenticationType=2, RelayUsername={"SecretValue": "hunter2-user"},
         RelayPassword={"SecretValue": "hunter2"})
    call(keyfactor, Port=0)
    assert 1 == 2, "own error of the test"

def test_setup(broken):
    pass

def test_factory(keyfactor_factory):
    call(keyfactor_factory())
    raise SystemError("own error of the test")

def test_nothing(keyfactor):
    raise SystemError("own error of the test")

def test_without():
    raise SystemError("own error of the test")
"""


def test_a_failure_shows_what_happened_in_the_mock(pytester: pytest.Pytester) -> None:
    result = inner(pytester, FAILING)
    result.assert_outcomes(failed=4, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ValueError: own error of the fixture",
            "*- keyfactor-mock -*",
            "POST /KeyfactorAPI/SMTP/Test -> 400 in * ms",
            "*violation *required SenderName: required. */required",
            "*AssertionError: own error of the test",
            "*- keyfactor-mock -*",
            "POST /KeyfactorAPI/SMTP/Test -> 200 in * ms",
            "*permission *granted: needs /system_setting/modify/; has /",
            "*secret *RelayPassword from the body*",
            "*delivery *relay.test:25, none, PLAIN: stage data, 250 2.0.0 Kept as *",
            "*C AUTH PLAIN ***",
            "*message *<a@b.test> to <c@d.test> by relay.test:25, none, PLAIN as hunter2-user: *",
            "POST /KeyfactorAPI/SMTP/Test -> 400 in * ms",
            "*- keyfactor-mock -*",
            "POST /KeyfactorAPI/SMTP/Test -> 200 in * ms",
            "*- keyfactor-mock -*",
            "there was no call",
        ]
    )
    output = result.stdout.str()
    assert output.count(STORY) == 4
    # What shows it is the test's own source.
    assert "hunter2" not in output.replace("hunter2-user", "").replace('Value": "hunter2"}', "")


OTHER_FAILURES = """
@pytest.fixture
def breaks(keyfactor):
    yield
    raise ValueError("own error of the fixture")

def test_teardown(keyfactor, breaks):
    call(keyfactor)

def test_without_traceback(keyfactor):
    call(keyfactor)
    pytest.fail("own error of the test", pytrace=False)

@pytest.mark.xfail(strict=True, reason="own reason")
def test_strict_xfail(keyfactor):
    call(keyfactor)

def test_unknown_fixture(keyfactor, not_there):
    pass
"""


def told(pytester: pytest.Pytester) -> dict[str | None, list[tuple[str, int, int]]]:
    """Give the failures of each test in the JUnit XML, with the stories and calls in each."""
    found: dict[str | None, list[tuple[str, int, int]]] = {}
    for case in ET.parse(pytester.path / "report.xml").iter("testcase"):
        for failure in case:
            text = failure.text or ""
            counts = text.count(STORY), text.count("POST /KeyfactorAPI")
            found.setdefault(case.get("name"), []).append((failure.tag, *counts))
    return found


@pytest.mark.parametrize("ci", ["", "true"])  # with it, the summary has whole messages
@pytest.mark.parametrize("option", ["--tb=long", "--tb=short", "--tb=line", "--tb=no", "-n1"])
def test_junit_xml_has_the_story_in_the_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, alone: str, option: str, ci: str
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(test_inner="from client import call\n" + FAILING + OTHER_FAILURES)
    run = pytester.runpytest_subprocess if option == "-n1" else pytester.runpytest_inprocess
    result = run(alone, "-pxdist.plugin", option, "--junitxml=report.xml")
    assert told(pytester) == {
        "test_call": [("failure", 1, 2)],
        "test_setup": [("error", 1, 1)],
        "test_factory": [("failure", 1, 1)],
        "test_nothing": [("failure", 1, 0)],
        "test_without": [("failure", 0, 0)],
        "test_teardown": [("error", 1, 1)],
        "test_without_traceback": [("failure", 1, 1)],
        "test_strict_xfail": [("failure", 1, 1)],
        "test_unknown_fixture": [("error", 1, 0)],
    }
    assert result.stdout.str().count(STORY) == (0 if option == "--tb=no" else 8)


def test_a_test_that_runs_again_tells_of_its_last_run(
    pytester: pytest.Pytester, alone: str
) -> None:
    pytester.makepyfile(
        test_inner="""
        import pytest
        from client import call

        runs, ends = [], []

        def test_call(keyfactor, keyfactor_factory):
            runs.append(None)
            call(keyfactor, SenderName=f"run {len(runs)}")
            call(keyfactor_factory(), Port=0)
            raise SystemError("own error of the test")

        @pytest.fixture
        def breaks(keyfactor):
            yield
            ends.append(None)
            raise ValueError("own error of the fixture")

        @pytest.fixture
        def begins_once(breaks):
            assert not ends

        def test_setup(keyfactor, begins_once):
            call(keyfactor, Port=0)
        """
    )
    options = ("-ppytest_rerunfailures", "--reruns=1", "--junitxml=report.xml")
    result = pytester.runpytest_subprocess(alone, *options, "--keyfactor-strict")
    assert result.parseoutcomes() == {"failed": 1, "passed": 1, "errors": 2, "rerun": 2}
    # The first run of the second test passed, and called; neither is true of the last one.
    assert told(pytester) == {"test_call": [("failure", 1, 2)], "test_setup": [("error", 1, 0)] * 2}
    assert "run 2" in result.stdout.str()
    assert "run 1" not in result.stdout.str()


def test_threads_that_would_share_one_mock_run_one_after_the_other(
    pytester: pytest.Pytester, alone: str
) -> None:
    """A test gets its fixtures once, whatever number of threads then calls it."""
    pytester.makepyfile(
        test_inner="""
        from client import call

        def test_shared(keyfactor):
            assert call(keyfactor) == 200
            keyfactor.assert_delivered()

        def test_factory(keyfactor_factory):
            server = keyfactor_factory()
            assert call(server) == 200
            server.assert_delivered()

        def test_namespace(keyfactor_server, thread_index, iteration_index):
            view = keyfactor_server.namespace(f"{thread_index}-{iteration_index}")
            assert call(view) == 200
            view.assert_delivered()
        """
    )
    threads = ("-ppytest_run_parallel.plugin", "--parallel-threads=4", "--iterations=2")
    result = pytester.runpytest_subprocess(alone, "-v", "-Werror", *threads)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "*::test_shared PASSED ?thread-unsafe]*",
            "*::test_factory PARALLEL PASSED*",
            "*::test_namespace PARALLEL PASSED*",
            "*::test_shared was not run in parallel: * a thread takes keyfactor_server.namespace(*",
        ]
    )


def test_a_marker_without_the_fixture_is_warned_of(pytester: pytest.Pytester) -> None:
    source = """
import pytest

pytestmark = pytest.mark.keyfactor(world={"lenient": True})

@pytest.fixture
def mailer(keyfactor):
    return keyfactor

@pytest.mark.keyfactor(world={"product_version": "1.0"})
class TestClass:
    def test_neither(self): pass

    @pytest.mark.keyfactor(world={"product_version": "2.0"})
    def test_indirect(self, mailer):
        assert mailer.world.product_version == "2.0"

@pytest.mark.keyfactor(world={"product_version": "2.0"})
@pytest.mark.usefixtures("keyfactor")
def test_used(): pass
"""
    inner(pytester, source).assert_outcomes(passed=3)
    forgotten = """
@pytest.mark.keyfactor(world={"product_version": "2.0"})
@pytest.mark.parametrize("number", range(3))
def test_forgotten(keyfactor_server, number): pass
"""
    result = inner(pytester, source + forgotten, "-Wdefault:test_inner.py:pytest.PytestWarning")
    result.assert_outcomes(passed=6, warnings=1)
    said = "*PytestWarning: test_inner.py::test_forgotten: *take `keyfactor` as an argument, or *"
    result.stdout.fnmatch_lines(["*test_inner.py:*", said])
    result = inner(pytester, source + forgotten)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR collecting test_inner.py*", f"E  {said}"])


def test_the_story_of_a_failure_is_bounded(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        """
import smtplib

def test_it(keyfactor):
    for _ in range(15):
        call(keyfactor, SenderName="x" * 200)
    with smtplib.SMTP("127.0.0.1", keyfactor.port("smtp")) as client:
        client.sendmail("o@b.test", ["c@d.test"], b"Subject: outside\\r\\n\\r\\n")
    assert not keyfactor.messages
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["… 5 earlier calls", "mail from outside: * <o@b.test> *outside"])
    story = result.stdout.str().partition(STORY)[2]
    assert story.count("POST /KeyfactorAPI") == 10
    assert len(story) < 25_000


def test_a_long_story_keeps_its_end(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        """
def test_it(keyfactor_factory):
    for _ in range(4):
        mock = keyfactor_factory()
        for number in range(10):
            call(mock, **{f"unknown{each}": each + 1 for each in range(30)})
    call(mock, Host="last.test")
    assert not mock.messages
""",
    )
    result.assert_outcomes(failed=1)
    story = result.stdout.str().partition(STORY)[2]
    assert "last.test:25, none: stage data" in story
    assert 19_000 < len(story) < 21_000


def test_a_story_that_cannot_be_told_hides_no_error(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        """
def test_it(keyfactor, monkeypatch):
    monkeypatch.setattr(type(keyfactor), "requests", None)
    raise SystemError("own error of the test")
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*SystemError: own error of the test", "the traces cannot be shown: TypeError"]
    )


STRICT = """
import pytest

def test_unexpected(keyfactor):
    assert call(keyfactor, Port=0) == 400

def test_expected(keyfactor):
    assert call(keyfactor, Port=0) == 400
    assert call(keyfactor, Host="denied.test") == 400
    keyfactor.assert_rejected(field="Port")
    keyfactor.assert_rejected(stage="rcpt")

def test_failed(keyfactor):
    call(keyfactor, Port=0)
    raise SystemError("own error of the test")

def test_of_a_factory(keyfactor_factory):
    call(keyfactor_factory(), Host=None)

@pytest.mark.xfail(raises=SystemError)
def test_expected_to_fail(keyfactor):
    call(keyfactor, Port=0)
    raise SystemError

@pytest.fixture
def breaks(keyfactor):
    yield
    raise ValueError("own error of the fixture")

def test_fixture_breaks(keyfactor, breaks):
    call(keyfactor, Port=0)
"""


def test_strict_makes_an_unexpected_refusal_an_error(pytester: pytest.Pytester) -> None:
    result = inner(pytester, STRICT, "--keyfactor-strict")
    result.assert_outcomes(passed=4, failed=1, errors=3, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_unexpected*",
            "calls were refused that no assert_rejected asked for:",
            "  POST /KeyfactorAPI/SMTP/Test -> 400 in * ms: Port: must be at least 1.",
            "*ERROR at teardown of test_of_a_factory*",
            "  POST /KeyfactorAPI/SMTP/Test -> 400 in * ms: Host: required.",
            "*ERROR at teardown of test_fixture_breaks*",
            "E *ValueError: own error of the fixture",
        ]
    )
    inner(pytester, STRICT).assert_outcomes(passed=4, failed=1, errors=1, xfailed=1)


NOTED = """
def test_letter_case(keyfactor):
    assert call(keyfactor, Host=None, host="relay.test") == 200

def test_two_kinds(keyfactor_factory):
    mock = keyfactor_factory()
    assert call(mock, Port=25.0, Scope="a") == 200
    assert call(mock, Port=0) == 400
    mock.assert_rejected(field="Port")

def test_documented_use(keyfactor):
    secret = {"SecretValue": "x"}
    login = {"RelayAuthenticationType": 2, "RelayUsername": secret, "RelayPassword": secret}
    assert call(keyfactor, **login) == 200

def test_nothing_is_noted(keyfactor):
    assert call(keyfactor) == 200
"""


def test_strict_makes_a_note_an_error(pytester: pytest.Pytester) -> None:
    result = inner(pytester, NOTED, "--keyfactor-strict")
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_letter_case*",
            "calls have notes (--keyfactor-strict=KIND,... chooses the kinds):",
            "  POST * -> 200 in * ms: letter_case, host: taken as Host.",
            "*ERROR at teardown of test_two_kinds*",
            "calls have notes *",
            "  POST * -> 200 in * ms: whole_number, Port: taken as an integer.",
            "  POST * -> 200 in * ms: unused, Scope: not used when RelayAuthenticationType is 0.",
        ]
    )
    assert "were refused" not in result.stdout.str()
    inner(pytester, NOTED).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("kinds", "errors"),
    [
        ("plain_password", 1),
        ("unused, letter_case", 2),
        ("whole_number,plain_password,letter_case", 3),
        ("asterisks", 0),
    ],
)
def test_strict_with_kinds_looks_at_those(
    pytester: pytest.Pytester, kinds: str, errors: int
) -> None:
    option = f"--keyfactor-strict={kinds}"
    inner(pytester, NOTED, option).assert_outcomes(passed=4, errors=errors)
    inner(pytester, STRICT, option).assert_outcomes(passed=4, failed=1, errors=3, xfailed=1)


def test_both_are_told(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        "def test_it(keyfactor): call(keyfactor, Port=0, Scope='a'); call(keyfactor, Scope='b')",
        "--keyfactor-strict",
    )
    result.stdout.fnmatch_lines(
        [
            "calls were refused that no assert_rejected asked for:",
            "  POST * -> 400 in * ms: Port: must be at least 1.",
            "calls have notes *",
            "  POST * -> 200 in * ms: unused, Scope: *",
        ]
    )


def test_an_unknown_kind_is_told_with_the_nearest(pytester: pytest.Pytester) -> None:
    for kinds, unknown, near in (
        ("letter_cases", "letter_cases", "letter_case"),
        ("unused,", "", "*"),
        ("unused,PLAIN_PASSWORD", "PLAIN_PASSWORD", "plain_password"),
    ):
        result = inner(pytester, NOTED, f"--keyfactor-strict={kinds}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"ERROR: *: unknown kind '{unknown}', the nearest is {near}; the kinds *any_role"]
        )


@pytest.mark.parametrize("place", ["before", "after", "configured"])
def test_a_path_may_follow_the_bare_option(
    pytester: pytest.Pytester, alone: str, place: str
) -> None:
    folder = pytester.mkdir("folder")
    pytester.makepyfile(test_other="raise SystemError")
    (folder / "test_inner.py").write_text("from client import call\n" + NOTED, encoding="utf-8")
    # An option of a conftest.py is known only where pytest saw the path before it read them all.
    (folder / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--own', required=True)", encoding="utf-8"
    )
    options = [str(folder), "--own=1", alone]
    if place == "configured":
        pytester.makeini("[pytest]\naddopts = --keyfactor-strict")
    else:
        options.insert(0 if place == "before" else 1, "--keyfactor-strict")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=4, errors=2)
    options.append("--keyfactor-strict=plain_password")  # the last one counts
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=4, errors=1)


def test_strict_is_strict_in_workers_of_xdist(pytester: pytest.Pytester, alone: str) -> None:
    pytester.makepyfile(test_inner="from client import call\n" + NOTED)
    workers = ("-pxdist.plugin", "--numprocesses=1")
    for option, errors in (("--keyfactor-strict", 2), ("--keyfactor-strict=plain_password", 1)):
        result = pytester.runpytest_subprocess(alone, *workers, option)
        result.assert_outcomes(passed=4, errors=errors)


def test_strict_takes_no_client_that_gave_up_for_a_refused_one(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        """
import socket, time
import pytest

@pytest.mark.keyfactor(world={"api_faults": {"*": {"delay": 0.5}}})
@pytest.mark.parametrize("changes", [{}, {"Port": 0}])
def test_it(keyfactor, monkeypatch, changes):
    socket.setdefaulttimeout(0.1)
    try:
        with pytest.raises(TimeoutError):
            call(keyfactor, **changes)
    finally:
        socket.setdefaulttimeout(None)
    deadline = time.monotonic() + 10
    while not keyfactor.requests[0].ended and time.monotonic() < deadline:
        time.sleep(0.01)
    (exchange,) = keyfactor.requests
    assert (exchange.status, exchange.refused) == (None, False)
    assert "the client closed the connection before the answer" in exchange.problem.message
""",
        "--keyfactor-strict",
    )
    result.assert_outcomes(passed=2)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> str:
    """Load no other plugin of this environment; give the option that loads this one."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return "-pmockserver.pytest_plugin"


def test_a_session_without_it_loads_nothing(pytester: pytest.Pytester, alone: str) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert "mockserver.pytest_plugin" in sys.modules
            assert not loaded & {
                "starlette", "uvicorn", "aiosmtpd", "aiosmtplib", "jsonschema_rs", "yaml", "httpx2",
                "trustme", "cryptography", "joserfc", "jinja2", "click", "asyncio",
            }
        """
    )
    pytester.runpytest_subprocess(alone).assert_outcomes(passed=1)


def test_what_only_tls_or_oauth_needs_is_not_loaded_for_the_rest(
    pytester: pytest.Pytester, alone: str
) -> None:
    pytester.makepyfile(
        test_inner="""
        import sys
        from client import call

        def test_it(keyfactor):
            assert call(keyfactor) == 200
            assert not {"trustme", "cryptography", "joserfc", "httpx2", "jinja2"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess(alone).assert_outcomes(passed=1)


def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(keyfactor): pass")
    result = pytester.runpytest_inprocess("-p", "no:keyfactor_mock")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'keyfactor' not found*"])


def test_each_worker_of_xdist_has_a_mock_of_its_own(pytester: pytest.Pytester, alone: str) -> None:
    pytester.makepyfile(
        test_inner="""
        import pathlib, time
        from client import call

        FOLDER = pathlib.Path(__file__).parent

        def test_it(keyfactor, worker_id):
            (FOLDER / worker_id).write_text(str(keyfactor.port("http")))
            deadline = time.monotonic() + 20
            while len(list(FOLDER.glob("gw*"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert call(keyfactor) == 200
            keyfactor.assert_delivered()
            assert len({path.read_text() for path in FOLDER.glob("gw*")}) == 2
        """
    )
    result = pytester.runpytest_subprocess(alone, "-pxdist.plugin", "--dist=each", "--tx=2*popen")
    result.assert_outcomes(passed=2)


def test_a_downstream_repository_finds_its_bug(pytester: pytest.Pytester, alone: str) -> None:
    folder = pytester.path / "downstream"
    shutil.copytree(DOWNSTREAM, folder, ignore=shutil.ignore_patterns("__pycache__"))
    result = pytester.run(sys.executable, "-m", "pytest", "-Werror", alone, folder)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_the_mail_goes_over_tls*",
            "E *expected 1 message with recipient='*', tls_mode='starttls', found none of 1",
            "E *the nearest: * by mail.example.com:587, none, no login: Keyfactor Command test *",
            "E *tls_mode: expected 'starttls', found 'none'",
        ]
    )


VERSIONS = """
import pytest

def test_it(keyfactor):
    assert call(keyfactor) == (200 if keyfactor.world.edition == "current" else 400)

@pytest.mark.keyfactor(edition="11", world={"lenient": True})
def test_one(keyfactor):
    assert keyfactor.world.edition == "11"
    assert keyfactor.world.lenient

def test_without():
    pass
"""


def test_tests_run_once_for_each_edition(pytester: pytest.Pytester) -> None:
    result = inner(pytester, VERSIONS, "--keyfactor-editions", "10,current", "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["*::test_it?10? PASSED*", "*::test_it?current? PASSED*", "*::test_one PASSED*"]
    )


def test_all_tests_run_for_one_edition(pytester: pytest.Pytester) -> None:
    source = """
def test_it(keyfactor, keyfactor_factory):
    assert keyfactor.world.edition == "25.1"
    assert keyfactor_factory().world.edition == "25.1"
    assert keyfactor_factory(edition="10").world.edition == "10"
    assert call(keyfactor) == 400
"""
    inner(pytester, source, "--keyfactor-edition", "25.1").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--keyfactor-edition=9"], "*edition '9': unknown; the editions are 10, 11, 25.1,*"),
        (["--keyfactor-editions=10,12"], "*edition '12': not defined, since of 12.x only*"),
        (["--keyfactor-editions=all", "--keyfactor-edition=10"], "*exclude each other*"),
    ],
)
def test_an_edition_that_is_not_there_ends_the_session(
    pytester: pytest.Pytester, options: list[str], text: str
) -> None:
    result = inner(pytester, "def test_it(): pass", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


def test_a_marker_with_an_unknown_edition_is_an_error(pytester: pytest.Pytester) -> None:
    source = 'import pytest\n@pytest.mark.keyfactor(edition="9")\ndef test_it(keyfactor): pass'
    result = inner(pytester, source)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["the marker *: patch: /edition: edition '9': unknown; the editions are *"]
    )


def test_the_downstream_repository_is_rehearsed_with_all_editions(
    pytester: pytest.Pytester, alone: str
) -> None:
    """Its client sends test mails in version 2 only, which older editions do not have."""
    folder = pytester.path / "downstream"
    shutil.copytree(DOWNSTREAM, folder, ignore=shutil.ignore_patterns("__pycache__"))
    options = ("-Werror", alone, "--keyfactor-editions=all")
    result = pytester.run(sys.executable, "-m", "pytest", *options, folder)
    result.stdout.fnmatch_lines(
        ["FAILED *::test_the_mail_arrives?10? - *", "FAILED *::test_the_mail_arrives?25.1? - *"]
    )
    result.assert_outcomes(passed=4, failed=13)


# Coverage

THREE = """
import pytest

def test_accepted(keyfactor):
    assert call(keyfactor) == 200

@pytest.mark.parametrize("port", [0, 65_536])
def test_refused(keyfactor, port):
    assert call(keyfactor, Port=port) == 400
    assert len(keyfactor.requests) == 1
"""
ALL_OF_IT = "test_smtp_v2 *9 of  157  3 calls: 1 with 200, 2 with 400"


def test_coverage_survives_the_reset_before_each_test(pytester: pytest.Pytester) -> None:
    options = ("--keyfactor-coverage", "--keyfactor-coverage-json=found.json")
    result = inner(pytester, THREE, *options)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*= keyfactor-mock coverage =*",
            ALL_OF_IT,
            "5.7 %: 9 of 157 points",
            "  test_smtp_v2: never saw the relay refuse the login (such as badlogin.test)",
        ]
    )
    found = json.loads((pytester.path / "found.json").read_text("utf-8"))
    assert found["summary"] == {"points": 157, "covered": 9, "percent": 5.7}


def test_coverage_of_other_mocks_is_added(pytester: pytest.Pytester) -> None:
    source = """
def test_it(keyfactor, keyfactor_factory):
    assert call(keyfactor) == 200
    for port in (0, 65_536):
        assert call(keyfactor_factory(), Port=port) == 400
"""
    result = inner(pytester, source, "--keyfactor-coverage")
    result.stdout.fnmatch_lines([ALL_OF_IT])


def test_too_little_coverage_fails_the_run(pytester: pytest.Pytester) -> None:
    result = inner(pytester, THREE, "--keyfactor-coverage-min=5.8")
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["coverage 5.7 % is below 5.8 %"])
    result.stdout.no_fnmatch_line("*never*")
    result = inner(pytester, THREE, "--keyfactor-coverage-min=5.7")
    assert result.ret == pytest.ExitCode.OK
    options = ("--keyfactor-coverage-min=5.7", "--keyfactor-coverage-operations=/smtp*")
    result = inner(pytester, THREE, *options)
    result.stdout.fnmatch_lines(["coverage * % is below 5.7 %"])


def test_a_session_without_a_mock_has_covered_nothing(pytester: pytest.Pytester) -> None:
    result = inner(pytester, "def test_it(): pass", "--keyfactor-coverage")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["0.0 %: 0 of 0 points"])
    result = inner(pytester, "def test_it(): assert False", "--keyfactor-coverage-min=1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result = inner(pytester, "", "--keyfactor-coverage-min=1")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("-min=101", "*: --keyfactor-coverage-min: 101 is no percentage from 0 to 100*"),
        ("-min=x", "*--keyfactor-coverage-min: invalid float value: 'x'*"),
        ("-json=no/such.json", "*-coverage-json */no/such.json: there is no such folder*"),
        ("-operations=tst*", "*-coverage-operations: 'tst[*]' names no operation; the nearest *"),
    ],
)
def test_what_cannot_be_told_of_coverage_ends_the_session(
    pytester: pytest.Pytester, option: str, text: str
) -> None:
    result = inner(pytester, "def test_it(): pass", f"--keyfactor-coverage{option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


def test_coverage_of_workers_of_xdist_is_added_up(pytester: pytest.Pytester, alone: str) -> None:
    pytester.makepyfile(test_inner="from client import call\n" + THREE)
    workers = ("-pxdist.plugin", "--dist=each", "--tx=2*popen")
    options = ("--keyfactor-coverage", "--keyfactor-coverage-min=6")
    result = pytester.runpytest_subprocess(alone, *workers, *options)
    result.assert_outcomes(passed=6)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "test_smtp_v2 *9 of  157  6 calls: 2 with 200, 4 with 400",
            "coverage 5.7 % is below 6 %",
        ]
    )


def test_the_coverage_of_the_downstream_repository_is_that_in_the_readme(
    pytester: pytest.Pytester, alone: str
) -> None:
    folder = pytester.path / "downstream"
    shutil.copytree(DOWNSTREAM, folder, ignore=shutil.ignore_patterns("__pycache__"))
    options = ("-Werror", alone, "--keyfactor-coverage")
    result = pytester.run(sys.executable, "-m", "pytest", *options, folder)
    told = result.stdout.str().partition("keyfactor-mock coverage =")[2]
    told = told.partition("\n")[2].partition("\n====")[0]
    readme = (DOWNSTREAM.parent / "README.md").read_text("utf-8")
    assert told in readme
    assert told.count("\n") == 11

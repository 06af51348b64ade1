"""Fixtures for the tests of an integration; what they need is imported when a test asks for it."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from mockserver.base.problems import STRICT_KINDS, NoteKind, Problem

if TYPE_CHECKING:
    from mockserver.journal.assertions import View
    from mockserver.journal.coverage import Tried, Wanted
    from mockserver.server import MockServer

_MAX_CALLS: Final = 10
_MAX_STORY: Final = 20_000  # characters

_TITLE: Final = "keyfactor-mock"
_SHARED: Final = (
    "uses the fixture keyfactor, one mock for all threads; for a state of its own, a thread takes "
    "keyfactor_server.namespace(NAME)"
)

_STRICT: Final = "--keyfactor-strict"
_COVERAGE: Final = "--keyfactor-coverage"

_EDITIONS: Final = pytest.StashKey[tuple[str, ...]]()
_KINDS: Final = pytest.StashKey[frozenset[str] | None]()
_MOCKS: Final = pytest.StashKey[list["View"]]()
_PASSED: Final = pytest.StashKey[bool]()
_WANTED: Final = pytest.StashKey["Wanted | None"]()
_TRIED: Final = pytest.StashKey[list[list["Tried"]]]()
_TOLD: Final = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the setting."""
    group = parser.getgroup("keyfactor-mock")
    group.addoption(
        "--keyfactor-world",
        metavar="FILE",
        help="the world file of the mock Keyfactor Command server; goes before the ini setting",
    )
    group.addoption(
        "--keyfactor-edition",
        metavar="NAME",
        help="the release of Keyfactor Command to play; `keyfactor-mock editions` lists them",
    )
    group.addoption(
        "--keyfactor-editions",
        metavar="NAMES",
        help="run each test that uses `keyfactor` once for each of these editions: all, or such "
        "as 10,current",
    )
    group.addoption(
        _STRICT,
        nargs="?",
        const=",".join(STRICT_KINDS),
        metavar="KIND,...",
        help="make a call that the mock refused with 4xx, and that no keyfactor.assert_rejected "
        "asked for, an error of a test that passed, and so a call with a note of one of the kinds "
        f"(without any: {', '.join(STRICT_KINDS)}); write --keyfactor-strict=KIND,...",
    )
    group.addoption(
        _COVERAGE,
        action="store_true",
        help="end with a table of what of the contract the tests have tried, and what is missing",
    )
    group.addoption(f"{_COVERAGE}-json", metavar="FILE", help="write the same, whole, to a file")
    group.addoption(
        f"{_COVERAGE}-min", metavar="PERCENT", type=float, help="fail if less than that was tried"
    )
    group.addoption(
        f"{_COVERAGE}-operations",
        metavar="GLOB",
        action="append",
        default=[],
        help="count these operations too, by name or path, if no test calls them; repeatable",
    )
    parser.addini("keyfactor_world", "the world file, relative to the folder of this file")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Let a path follow the bare option, which would be taken for its kinds."""
    if _STRICT in args:
        kinds = f"{_STRICT}={','.join(STRICT_KINDS)}"
        args[:] = [kinds if arg == _STRICT else arg for arg in args]
        # Of these the paths are taken whose conftest.py is loaded first.
        early_config.known_args_namespace = parser.parse_known_args(
            args, namespace=copy(early_config.option)
        )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and read the options."""
    config.stash[_TRIED], config.stash[_TOLD] = [], []
    config.stash[_WANTED] = _wanted(config)
    config.stash[_EDITIONS] = _editions(config)
    config.stash[_KINDS] = _kinds(config.getoption(_STRICT))
    config.addinivalue_line(
        "markers",
        "keyfactor(world, edition): a merge patch (RFC 7396) over the world of the fixture "
        "`keyfactor`, and the edition that it plays, for this test; those of module and class go "
        "before it",
    )


@pytest.fixture(scope="session")
def keyfactor_world(pytestconfig: pytest.Config) -> Any:  # noqa: ANN401  # whatever an override gives
    """Give the world of the session: a path, a merge patch over the default one, or None for that.

    To be overridden in a conftest.py; the option `--keyfactor-world` goes before it all the same.
    """
    if path := _of_option(pytestconfig):
        return path
    path = pytestconfig.getini("keyfactor_world")
    return pytestconfig.rootpath / path if path else None


@pytest.fixture(scope="session")
def keyfactor_server(pytestconfig: pytest.Config, keyfactor_world: Any) -> Iterator["MockServer"]:  # noqa: ANN401  # as above
    """Run one mock for the session (with xdist: for the worker), with all listeners."""
    from mockserver.server import MockServer

    world = _of_option(pytestconfig) or keyfactor_world
    edition = pytestconfig.getoption("--keyfactor-edition")
    with _told_alone():
        mock = MockServer(world, edition=edition, https_port=0, smtp_port=0, smtps_port=0)
    with mock:
        yield mock
        _count(pytestconfig, [mock])


@pytest.fixture
def keyfactor_edition(request: pytest.FixtureRequest) -> str | None:
    """Give the edition that `--keyfactor-editions` runs this test for, or None."""
    edition: str | None = getattr(request, "param", None)
    return edition


@pytest.fixture
def keyfactor(
    request: pytest.FixtureRequest, keyfactor_server: "MockServer", keyfactor_edition: str | None
) -> "MockServer":
    """Give the session's mock as new: an empty journal, and its world with the marker's patches."""
    keyfactor_server.reset()
    if keyfactor_edition is not None:
        keyfactor_server.patch_world({"edition": keyfactor_edition})
    with _told_alone("the marker keyfactor: "):
        for patch in _patches(request.node):
            keyfactor_server.patch_world(patch)
    _watch(request.node, keyfactor_server)
    return keyfactor_server


@pytest.fixture
def keyfactor_factory(
    request: pytest.FixtureRequest,
    keyfactor_world: Any,  # noqa: ANN401  # as above
) -> Iterator[Callable[..., "MockServer"]]:
    """Give a function that starts more mocks, with the arguments of MockServer.

    They stop when the test ends. Without a world they have that of the session.
    """
    from mockserver.server import MockServer

    usual = _of_option(request.config) or keyfactor_world
    edition = request.config.getoption("--keyfactor-edition")
    made: list[MockServer] = []
    with ExitStack() as running:

        def make(world: Any = None, **options: Any) -> MockServer:  # noqa: ANN401  # MockServer's own
            options.setdefault("edition", edition)
            mock = MockServer(usual if world is None else world, **options)
            _watch(request.node, mock)
            made.append(mock)
            return running.enter_context(mock)

        yield make
    _count(request.config, made)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each edition, and warn of a marker without the fixture.

    A test whose marker names its edition runs for that one alone.
    """
    test = metafunc.definition
    names = metafunc.config.stash[_EDITIONS]
    named = any("edition" in marker.kwargs for marker in test.iter_markers("keyfactor"))
    if names and not named and "keyfactor_edition" in metafunc.fixturenames:
        metafunc.parametrize("keyfactor_edition", names, indirect=True)
    # A marker of a class or a module is for those of its tests that use the fixture.
    marked = any(marker.name == "keyfactor" for marker in test.own_markers)
    if marked and "keyfactor" not in metafunc.fixturenames:
        text = (
            f"{test.nodeid}: the marker keyfactor changes nothing, as the test does not use the "
            "fixture: take `keyfactor` as an argument, or add "
            '@pytest.mark.usefixtures("keyfactor")'
        )
        test.warn(pytest.PytestWarning(text))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have pytest-run-parallel call a test once where it shares one mock with itself."""
    there = item.config.getoption("parallel_threads", None) is not None
    if there and "keyfactor" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.thread_unsafe(reason=_SHARED))
        item.add_marker(pytest.mark.iterations(1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget what happened when the test ran before."""
    item.stash[_MOCKS] = []
    item.stash[_PASSED] = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what happened in the mocks of a test to the report of its failure."""
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    if report.failed and (mocks := item.stash.get(_MOCKS, None)):
        _add_section(report, _TITLE, _story(mocks))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Under `--keyfactor-strict`, make what nobody asked for an error of a passed test."""
    found = "\n".join(_unexpected(item))
    # What goes wrong in the test's own fixtures is raised from here, and goes first.
    result = yield
    if found:
        pytest.fail(found, pytrace=False)
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401  # of pytest-xdist
    """Take what the tests of a worker have tried."""
    if text := getattr(node, "workeroutput", {}).get(_COVERAGE):
        from mockserver.journal.coverage import unpacked

        node.config.stash[_TRIED].append(unpacked(text))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add up what was tried, and fail a run that tried too little; a worker hands it on."""
    wanted, runs = session.config.stash[_WANTED], session.config.stash[_TRIED]
    if wanted is None:
        return
    from mockserver.journal.coverage import added, packed

    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_COVERAGE] = packed(added(*runs))
        return
    session.config.stash[_TOLD], good = wanted.conclude(added(*runs))
    if not good and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:  # noqa: ANN401  # pytest has no public type
    """Tell what of the contract was tried."""
    if lines := config.stash[_TOLD]:
        terminalreporter.section(f"{_TITLE} coverage")
        for line in lines:
            terminalreporter.line(line)


def _of_option(config: pytest.Config) -> Path | None:
    path = config.getoption("--keyfactor-world")
    return config.invocation_params.dir / path if path else None


@contextmanager
def _told_alone(place: str = "") -> Iterator[None]:
    """Fail by the sentence of a mistake in a world: which line of the mock found it is no help."""
    from mockserver.base.documents import DocumentError

    try:
        yield
    except DocumentError as error:
        raise pytest.fail.Exception(f"{place}{error}", pytrace=False) from None


def _patches(node: pytest.Item) -> Iterator[Mapping[str, Any]]:
    """Give the patches of the markers, those of the test itself last."""
    for marker in reversed(list(node.iter_markers("keyfactor"))):
        world = marker.kwargs.get("world", {})
        known = {"world", "edition"}
        if marker.args or marker.kwargs.keys() - known or not isinstance(world, Mapping):
            form = 'keyfactor(world={...}, edition="...")'
            raise pytest.UsageError(f"{node.nodeid}: the marker is {form}")
        edition = {"edition": marker.kwargs["edition"]} if "edition" in marker.kwargs else {}
        yield {**world, **edition}


def _add_section(report: pytest.TestReport, title: str, text: str) -> None:
    """Add a section to the failure itself: beside that JUnit XML has only captured output."""
    if not hasattr(report.longrepr, "addsection"):
        _make_room(report)
    report.longrepr.addsection(title, text)  # type: ignore[union-attr]  # see above


def _make_room(report: pytest.TestReport) -> None:
    """Give a failure that is a mere text, such as that of a strict xfail, a form with sections.

    What is added to the text itself would stand in the summary too, whole where `CI` is set.
    """
    text, (path, line, _) = str(report.longrepr), report.location
    try:
        pytest.fail(text, pytrace=False)
    except pytest.fail.Exception:
        failure = pytest.ExceptionInfo.from_current().getrepr(style="value")
    crash: Any = failure.reprcrash  # it has one: the frame above is not hidden
    crash.path, crash.lineno, crash.message = path, (line or 0) + 1, text
    report.longrepr = failure


def _watch(item: pytest.Item, mock: "View") -> None:
    item.stash.setdefault(_MOCKS, []).append(mock)


def _editions(config: pytest.Config) -> tuple[str, ...]:
    """Return the names of the editions to run each test for; UsageError for an unknown one."""
    one, several = map(config.getoption, ("--keyfactor-edition", "--keyfactor-editions"))
    if one is None and several is None:
        return ()
    from mockserver.base.documents import DocumentError
    from mockserver.contract.editions import load_editions

    if one is not None and several is not None:
        raise pytest.UsageError("--keyfactor-edition and --keyfactor-editions exclude each other")
    editions = load_editions()
    try:
        names = (editions[one].name,) if several is None else editions.named(several)
    except DocumentError as error:
        raise pytest.UsageError(str(error)) from None
    return () if several is None else names  # the one is that of the mock itself


def _count(config: pytest.Config, mocks: Iterable["MockServer"]) -> None:
    """Keep what was tried of these, where somebody wants to know: it takes a tenth of a second."""
    if config.stash[_WANTED] is not None:
        config.stash[_TRIED].extend(mock.coverage for mock in mocks)


def _wanted(config: pytest.Config) -> "Wanted | None":
    """Read what is wanted to know of coverage; UsageError for what could not be told."""
    names = ("", "-json", "-min", "-operations")
    table, file, minimum, globs = (config.getoption(_COVERAGE + name) for name in names)
    if not table and file is None and minimum is None and not globs:
        return None
    from mockserver.contract.editions import load_editions
    from mockserver.journal.coverage import Wanted

    wanted = Wanted(table, file and config.invocation_params.dir / file, minimum, tuple(globs))
    try:
        wanted.check(load_editions().newest.contract.operations, _COVERAGE)
    except Problem as problem:
        raise pytest.UsageError(problem.message) from None
    return wanted


def _kinds(option: str | None) -> frozenset[str] | None:
    """Read the kinds of notes that the option names; UsageError for an unknown one."""
    if option is None:
        return None
    kinds = [kind.strip() for kind in option.split(",")]
    for kind in kinds:
        if kind not in [*NoteKind]:
            from mockserver.base.text import nearest

            raise pytest.UsageError(
                f"{_STRICT}: unknown kind {kind!r}, the nearest is {nearest(kind, NoteKind)}; "
                f"the kinds of notes are {', '.join(NoteKind)}"
            )
    return frozenset(kinds)


def _unexpected(item: pytest.Item) -> Iterator[str]:
    """Give the refused calls that nobody asked for, and the notes, each below its heading."""
    kinds = item.config.stash[_KINDS]
    if kinds is None or not item.stash.get(_PASSED, False):
        return
    from mockserver.journal.story import headline

    mocks = item.stash.get(_MOCKS, [])
    refused = [
        f"  {headline(exchange)}: {exchange.problem and exchange.problem.message}"
        for mock in mocks
        for exchange in mock.unexpected
    ]
    noted = [
        f"  {headline(exchange)}: {note.kind}, {note.message}"
        for mock in mocks
        for exchange, note in mock.notes(kinds)
    ]
    if refused:
        yield from ("calls were refused that no assert_rejected asked for:", *refused)
    if noted:
        yield from (f"calls have notes ({_STRICT}=KIND,... chooses the kinds):", *noted)


def _story(mocks: Iterable["View"]) -> str:
    """Tell what happened, the newest calls last, and never fail: a test has failed already."""
    try:
        from mockserver.journal.story import journal_text

        texts = [
            journal_text(mock.requests, mock.messages, _MAX_CALLS, mock.sessions) for mock in mocks
        ]
    except Exception as error:  # noqa: BLE001  # see above
        return f"the traces cannot be shown: {type(error).__name__}"
    text = "\n".join(texts) or "there was no call"
    return text if len(text) <= _MAX_STORY else f"…{text[-_MAX_STORY:]}"

"""Show that the gate can fail: break each rule in turn, and see which test notices.

Needs `fork`: the libraries are imported once, and each trial is a child of this process.
"""

import argparse
import copy
import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
import yaml

from mutations import EQUIVALENT, OF_THE_SERVER

Json = dict[str, Any]
Steps = tuple[str | int, ...]
Edit = Callable[[Any], object]

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = (
    *("mockserver", "openapi", "fixtures", "tests", ".ci"),
    *("pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "LICENSE"),
)
WORKERS: Final = 2
TRIAL_SECONDS: Final = 900  # many times what a stage takes: only a hang lasts so long
OPTIONS: Final = (
    *("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=1"),
    # That the libraries are there already is the point.
    *("--disable-plugin-autoload", "-p", "_hypothesis_pytestplugin"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)

# Imported before the first trial, for all of them; nothing of the project is among them.
LIBRARIES: Final = (
    *("aiosmtpd.smtp", "aiosmtplib", "click", "httpx2", "hypothesis.strategies", "idna", "jinja2"),
    *(
        "_hypothesis_pytestplugin",
        "joserfc.jwt",
        "jsonschema_rs",
        "openapi_spec_validator",
        "schemathesis",
        "schemathesis.cli",
    ),
    *("starlette.applications", "trustme", "uvicorn", "uvloop"),
)

# The files of tests by what they are named after; two folders may have one of the same name.
FILES: Final[dict[str, list[str]]] = {}
for _path in sorted((ROOT / "tests").rglob("test_*.py")):
    if "downstream" not in _path.parts:
        _name = _path.stem.removeprefix("test_")
        FILES.setdefault(_name, []).append(str(_path.relative_to(ROOT)))

# The tests that know the documents come first; what looks at other things is never run.
FIRST: Final = (
    *("document", "operations", "provider_bodies", "profile", "status", "pam_providers"),
    *("coercion", "app", "resources", "readable", "reference", "control"),
)
# A module's own tests are named after it; these know it too.
RELATED: Final[Mapping[str, tuple[str, ...]]] = {
    "__init__": ("cli",),
    "access": ("app", "status", "idp", "oauth", "memory"),
    "app": ("api_faults", "recorded", "memory"),
    "certificates": ("server",),
    "coercion": ("profile",),
    "operations": ("wording", "memory", "pam_providers"),
    "kept": ("documents",),
    "keyfactor": ("coercion", "app", "profile", "status", "oauth", "pam_providers", "delivery"),
    "idp": ("oauth", "app"),
    "jsontext": ("operations",),
    "connection": ("api_faults", "writing", "session"),
    "handshakes": ("connection",),
    "pacing": ("writing",),
    "pam": ("pam_providers", "verdicts"),
    "query": ("pam_providers",),
    "routing": ("memory", "idp", "namespaces"),
    "masking": ("app", "profile", "memory", "odd_requests"),
    "session": ("oauth", "sasl"),
    "client": ("oauth", "delivery"),
    "filters": ("journal", "control"),
    "journal": ("events", "control", "memory"),
    "judging": ("app", "operations", "coercion", "memory", "recorded"),
    "enrollment": ("certificates", "recorded"),
    "subjects": ("certificates", "recorded", "odd_requests"),
    "recorded": ("certificates",),
    "issued": ("certificates",),
    "issuer": ("certificates", "odd_requests"),
    "guard": ("attacks", "control"),
    "listing": ("control", "journal"),
    "part": ("session", "client"),
    "authentication": ("session", "sasl", "oauth"),
    "syntax": ("session", "client"),
    "text": ("operations", "coercion", "loading"),
    "paths": ("operations", "app"),
    "feed": ("events",),
    "parameters": ("query", "operations", "foreign_shapes"),
    "mending": ("foreign", "foreign_shapes"),
    "server": ("namespaces", "idp", "mail_from_outside"),
    "state": ("control", "namespaces", "events"),
    "trace": ("api_faults", "assertions"),
    "wire": ("app", "coercion", "namespaces", "idp"),
    "loading": ("api_faults",),
    "model": ("loading", "api_faults"),
    "rules": ("loading",),
    "schema": ("operations", "wording"),
    "form": ("profile",),
    "framing": ("writing",),
    "assertions": ("pytest_plugin",),
    "submission": ("client", "pipe"),
    "documents": ("reference",),
}
LAST: Final = ("relay_faults", "generated_clients", "sdk", "oauth_clients", "readme")
LEFT_OUT: Final = {"browser", "wheel", "fuzz", "layers", *LAST}
# Slow ones that seldom tell something new; they run when the others found nothing.
SLOW: Final = "client_is_generated or openapi_3_1"
FAST: Final = ("-m", "not hypothesis", "-k", f"not ({SLOW})")


@dataclass(frozen=True)
class Mutant:
    """One broken rule: each of `files` becomes its text; `kind` is what the totals count by."""

    kind: str
    rule: str
    place: str
    files: Mapping[str, Callable[[], str]] = field(repr=False)

    @property
    def name(self) -> str:
        """Name it in one line, for the table, the filter and the list of equivalents."""
        return f"{self.place}: {self.rule}"


# Mutants of the documents

# Names and words, which no rule is made of.
SKIPPED: Final = {"info", "tags", "servers", "example", "examples", "securitySchemes", "links"}
FREE: Final = (
    *("format", "not", "then", "else", "items", "additionalProperties"),
    *("writeOnly", "x-lenient-default", "x-accepts-form", "content"),
)
# Which way is looser.
BOUNDS: Final = {
    **dict.fromkeys(("minimum", "minLength", "minItems", "minProperties"), -1),
    **dict.fromkeys(("maximum", "maxLength", "maxItems", "maxProperties"), 1),
}
LISTS: Final = ("required", "enum", "anyOf", "type", "parameters", "security")
MAPS: Final = ("properties", "responses", "headers")
METHODS: Final = ("get", "put", "post")


def of_the_documents() -> Iterator[Mutant]:
    """Give the mutants of both documents; a rule that stands in both is broken in both at once.

    Otherwise the test that compares the two would kill it, and no behaviour would be seen.
    """
    found: dict[tuple[str, str, str], dict[str, Callable[[], str]]] = {}
    for path in sorted((ROOT / "openapi").glob("v*.yaml")):
        file = f"openapi/{path.name}"
        document = yaml.load((ROOT / file).read_bytes(), Loader=yaml.CSafeLoader)
        for steps, node in _nodes(document, ()):
            place = "".join(f"/{str(step).replace('/', '~1')}" for step in steps)
            for keyword, rule, edit in _edits(node, steps):
                files = found.setdefault((place, keyword, rule), {})
                files[file] = _edited(document, steps, edit)
    for (place, keyword, rule), files in found.items():
        versions = "+".join(Path(file).stem for file in files)
        yield Mutant(f"document: {keyword}", rule, f"{versions} {place}", files)


def _nodes(node: object, steps: Steps) -> Iterator[tuple[Steps, Json]]:
    if isinstance(node, dict):
        yield steps, node
        for key, value in node.items():
            if key not in SKIPPED:
                yield from _nodes(value, (*steps, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _nodes(value, (*steps, index))


def _edits(node: Json, steps: Steps) -> Iterator[tuple[str, str, Edit]]:
    """Give for each rule of a node its keyword, what is done to it, and how."""
    if steps[-1:] == ("components",):  # a map of names; its members are nodes of their own
        return
    for key, value in node.items():
        yield from ((key, rule, edit) for rule, edit in _edits_of(key, value))
    if "operationId" in node:
        now = node.get("deprecated", False)
        yield "deprecated", f"deprecated {now} flipped", _set("deprecated", not now)


def _edits_of(key: str, value: Any) -> Iterator[tuple[str, Edit]]:  # noqa: ANN401  # any JSON
    if key == "pattern":
        yield "pattern that takes anything", _set(key, "")
    elif key in FREE:
        yield f"{key} dropped", _without(key)
    elif key in BOUNDS:
        yield f"{key} {value} loosened", _set(key, value + BOUNDS[key])
        yield f"{key} {value} tightened", _set(key, value - BOUNDS[key])
    elif key in MAPS:
        yield from ((f"{key}/{name} dropped", _without(key, name)) for name in value)
    elif key in {"const", "default", "x-default"}:
        yield f"{key} {_shown(value)} changed", _set(key, _other(value))
    elif key in LISTS:
        yield from _edits_of_a_list(key, value)


def _edits_of_a_list(key: str, value: Any) -> Iterator[tuple[str, Edit]]:  # noqa: ANN401  # any JSON
    if isinstance(value, bool):
        yield f"{key} {value} flipped", _set(key, not value)
        return
    if isinstance(value, list) and (len(value) > 1 or key != "type"):
        for index, item in enumerate(value):
            yield f"{key} without {_shown(item)}", _without(key, index)
    if key == "type":
        yield f"type {_shown(value)} dropped", _without(key)
    elif key == "enum":
        yield "enum with one more", _set(key, [*value, _other(value[-1])])
    elif key == "security":
        other = [{name: ["/other/modify/"] for name in scheme} for scheme in value]
        yield "the permission replaced", _set(key, other)


def _without(*steps: str | int) -> Edit:
    def edit(node: Any) -> None:  # noqa: ANN401  # any JSON
        *above, last = steps
        for step in above:
            node = node[step]
        del node[last]

    return edit


def _set(*steps_and_value: Any) -> Edit:  # noqa: ANN401  # any JSON
    *above, last, value = steps_and_value

    def edit(node: Any) -> None:  # noqa: ANN401  # any JSON
        for step in above:
            node = node[step]
        node[last] = value

    return edit


def _other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}x"


def _shown(item: object) -> str:
    if isinstance(item, dict):
        return str(item.get("$ref", "/".join(map(str, item)))).rpartition("/")[2]
    return str(item)


def _edited(document: Json, steps: Steps, edit: Edit) -> Callable[[], str]:
    def text() -> str:
        node = changed = copy.deepcopy(document)
        for step in steps:
            node = node[step]  # type: ignore[index]  # a list's steps are numbers
        edit(node)
        return _dumped(changed)

    return text


def _dumped(document: Json) -> str:
    # Aliases would be right, and read badly where a mutant must be looked at.
    dumper = type("Dumper", (yaml.CSafeDumper,), {"ignore_aliases": lambda *_: True})
    return yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True)


# Mutants of the server


def of_the_server() -> Iterator[Mutant]:
    """Give the mutants of the list; each text must stand exactly once in the package."""
    sources = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "mockserver").rglob("*.py"))
    }
    for old, new, rule in OF_THE_SERVER:
        found = [file for file, source in sources.items() for _ in range(source.count(old))]
        if len(found) != 1:
            sys.exit(f"stands {len(found)} times, not once ({', '.join(found)}): {old!r}")
        source = sources[found[0]]
        line = source[: source.index(old)].count("\n") + 1
        change = partial(source.replace, old, new)
        yield Mutant("server", rule, f"{found[0]}:{line}", {found[0]: change})


# Trials


@dataclass
class Trial:
    """One mutant on its way through the stages, or none: the baseline, which must be green."""

    mutant: Mutant | None
    stages: tuple[tuple[str, ...], ...]
    killer: str | None = None


@dataclass
class Worker:
    """A copy of the project, and the trial that runs in it."""

    folder: Path
    child: int = 0
    trial: Trial | None = None
    since: float = 0

    def start(self, trial: Trial) -> None:
        """Begin the next stage of a trial."""
        self.trial, self.since = trial, time.monotonic()
        self.child = os.fork()
        if self.child == 0:
            _run(self.folder, trial)

    def ended(self) -> bool:
        """Say whether the stage is over, after the verdict is noted and the copy is mended."""
        assert self.trial is not None
        done, status = os.waitpid(self.child, os.WNOHANG)
        late = time.monotonic() - self.since > TRIAL_SECONDS
        if not done and not late:
            return False
        if not done:
            os.killpg(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        if self.trial.mutant:
            _mend(self.folder, self.trial.mutant)
        self.trial.killer = self._verdict(os.waitstatus_to_exitcode(status) if done else -1)
        self.trial.stages = self.trial.stages[1:]
        return True

    def _verdict(self, code: int) -> str | None:
        # A file may have nothing but what a stage leaves out.
        if code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            return None
        if code < 0:
            return f"no end within {TRIAL_SECONDS} s" if code == -1 else f"signal {-code}"
        if self.trial and self.trial.mutant is None and code != pytest.ExitCode.TESTS_FAILED:
            sys.exit(f"pytest ended with {code}:\n" + (self.folder / "output").read_text()[-2_000:])
        report = self.folder / "failed"
        return report.read_text(encoding="utf-8") if report.exists() else f"pytest itself ({code})"


class _Report:
    """Write down the first test that failed, wherever that may have gone to meanwhile."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report, report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report, f"{report.nodeid} (start)")

    def _note(self, report: pytest.TestReport | pytest.CollectReport, text: str) -> None:
        if report.failed and not self._file.exists():
            self._file.write_text(text, encoding="utf-8")


def _run(folder: Path, trial: Trial) -> NoReturn:
    """Be the child: break the copy, and run one stage on it."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        failed = folder / "failed"
        failed.unlink(missing_ok=True)
        sys.path[0] = os.environ["PYTHONPATH"] = str(folder)
        os.environ.pop("CI", None)
        if trial.mutant:
            # What is compiled from a broken file must not be found by the next trial.
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            sys.dont_write_bytecode = True
            _break(folder, trial.mutant)
        module = importlib.import_module("mockserver")
        assert Path(str(module.__file__)).is_relative_to(folder), module.__file__
        code = int(pytest.main([*OPTIONS, *trial.stages[0]], plugins=[_Report(failed)]))
    except BaseException:  # noqa: BLE001  # a child must never go on as its parent would
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _break(folder: Path, mutant: Mutant) -> None:
    for file, text in mutant.files.items():
        (folder / file).write_text(text(), encoding="utf-8")
        # Python knows a changed module by its size and by its time in whole seconds.
        os.utime(folder / file, (0, 0))


def _mend(folder: Path, mutant: Mutant) -> None:
    for file in mutant.files:
        shutil.copy2(folder / "whole" / file, folder / file)


def _copied(folder: Path) -> Path:
    """Copy the project, the documents as mutants have them, and once more to mend from."""
    folder = folder.resolve()
    whole = folder / "whole"
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, whole / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, whole / name)
    for path in (whole / "openapi").glob("*.yaml"):
        loaded = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        path.write_text(_dumped(loaded), encoding="utf-8")
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    return folder


def _stages(mutant: Mutant | None, *, quick: bool = False) -> tuple[tuple[str, ...], ...]:
    """Order the tests: those that know the rule, then (not `quick`) all others, then the fuzzer."""
    names = FILES.keys()
    first: Sequence[str] = FIRST
    if mutant and mutant.kind == "server":
        (module,) = (Path(file).stem for file in mutant.files)
        first = [*({module} & names), *RELATED.get(module, ())]
    knowing = tuple((*FAST, *FILES[name]) for name in first)
    if quick:
        return knowing
    others = (*sorted(names - {*first, *LEFT_OUT}), *LAST)
    return (
        *knowing,
        (*FAST, *_files(others)),
        ("-k", SLOW, *FILES["document"]),
        ("-m", "hypothesis", *_files((*first, *others))),
        (*FILES["fuzz"],),
    )


def _files(names: Iterable[str]) -> Iterator[str]:
    return chain.from_iterable(FILES[name] for name in names)


def tried(
    trials: Sequence[Trial], workers: Sequence[Worker], tell: Callable[[Trial], object]
) -> None:
    """Take all trials through their stages, as many at a time as there are workers."""
    waiting, idle, busy = deque(trials), list(workers), list[Worker]()
    try:
        while waiting or busy:
            while waiting and idle:
                busy.append(idle.pop())
                busy[-1].start(waiting.popleft())
            time.sleep(0.02)
            for worker in [worker for worker in busy if worker.ended()]:
                busy.remove(worker)
                idle.append(worker)
                trial = worker.trial
                assert trial is not None
                if trial.killer is None and trial.stages:
                    waiting.appendleft(trial)  # so that the verdicts come in order
                else:
                    tell(trial)
    finally:
        for worker in busy:
            with suppress(ProcessLookupError):
                os.killpg(worker.child, signal.SIGKILL)


def main() -> int:
    """Print the table and the totals; return 1 if a mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument(
        "filters", nargs="*", help="parts of a mutant's line, of which one must be there; or @FILE"
    )
    parser.add_argument("--quick", action="store_true", help="only the tests that come first")
    parser.add_argument("--list", action="store_true", help="list the mutants, and try none")
    options = parser.parse_args()
    mutants = [*of_the_documents(), *of_the_server()]
    unknown = EQUIVALENT.keys() - {mutant.name for mutant in mutants}
    if unknown:
        sys.exit("no mutant has this name: " + "; ".join(sorted(unknown)))
    wanted = options.filters or [""]
    chosen = [
        each for each in mutants if any(part in f"{each.kind} {each.name}" for part in wanted)
    ]
    if options.list:
        print(*(f"{each.kind:30} {each.name}" for each in chosen), sep="\n")
        return 0
    return _report(chosen, quick=options.quick)


def _report(chosen: Sequence[Mutant], *, quick: bool) -> int:
    began = time.monotonic()
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()
    trials = [
        Trial(each, _stages(each, quick=quick)) for each in chosen if each.name not in EQUIVALENT
    ]
    with tempfile.TemporaryDirectory() as folder:
        workers = [Worker(_copied(Path(folder) / str(number))) for number in range(WORKERS)]
        known = dict.fromkeys(stage for trial in trials for stage in trial.stages)
        _check_baseline(workers, tuple(known) if quick else _stages(None))
        tried(trials, workers, _tell)
    for each in chosen:
        if each.name in EQUIVALENT:
            print(f"equivalent  {each.name}: {EQUIVALENT[each.name]}")
    _totals(trials, chosen)
    print(f"{len(chosen)} mutants in {time.monotonic() - began:.0f} s")
    return int(any(trial.killer is None for trial in trials))


def _check_baseline(workers: Sequence[Worker], stages: Sequence[tuple[str, ...]]) -> None:
    """Run the stages on the copies as they are: green, and compiled for the trials."""
    trials = [Trial(None, (("--collect-only", *_stages(None)[-2][2:]),)) for _ in workers]
    for trial, worker in zip(trials, workers, strict=True):
        tried([trial], [worker], lambda _: None)
    trials += [Trial(None, (stage,)) for stage in stages]
    tried(trials[len(workers) :], workers, lambda _: None)
    for trial in trials:
        if trial.killer is not None:
            sys.exit(f"not green without a mutant: {trial.killer}")


def _tell(trial: Trial) -> None:
    assert trial.mutant is not None
    verdict = "killed    " if trial.killer else "SURVIVED  "
    print(f"{verdict}  {trial.mutant.name}  |  {trial.killer or ''}", flush=True)


def _totals(trials: Sequence[Trial], chosen: Sequence[Mutant]) -> None:
    by_kind = Counter(each.kind for each in chosen)
    killed = Counter(each.mutant.kind for each in trials if each.mutant and each.killer)
    survived = Counter(each.mutant.kind for each in trials if each.mutant and not each.killer)
    print(f"\n{'kind':32}{'mutants':>8}{'killed':>8}{'survived':>10}{'equivalent':>12}")
    for kind, count in sorted(by_kind.items()):
        other = count - killed[kind] - survived[kind]
        print(f"{kind:32}{count:8}{killed[kind]:8}{survived[kind]:10}{other:12}")
    files = Counter((each.killer or "").partition("::")[0] for each in trials if each.killer)
    print("\nkilled by")
    for file, count in files.most_common():
        print(f"{count:8}  {file}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)

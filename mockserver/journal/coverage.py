"""How much of the contract a run has tried: counted while calls come, and told in the end."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final, NamedTuple, cast

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import nearest
from mockserver.contract.operations import Operation
from mockserver.contract.points import Point, Sought, rule_key, rules, sought, statuses, values_at
from mockserver.journal.trace import Asked, Exchange
from mockserver.world.model import World

_MAX_GAPS: Final = 10
_MAIL: Final = "/SMTP/Test"
_TOKEN: Final = "TokenEndpoint"  # noqa: S105  # a field
_PROVIDER: Final = "Provider"
_UNCOUNTED: Final = {"408", "413", "429", "431", "503"}  # of the listener or of a fault
_MAIL_STAGES: Final = {
    "auth": "never saw the relay refuse the login",
    "rcpt": "never saw the relay refuse the recipient",
    "connect": "never saw the relay refuse the connection",
    "tls": "never saw TLS with the relay fail",
    "resolve": "never saw a relay whose host name does not exist",
    "mail": "never saw the relay refuse the sender",
    "starttls": "never saw a relay without STARTTLS, or that refuses it",
    "data": "never saw the relay refuse the message",
    "greeting": "never saw the relay refuse to greet, or stay silent",
    "ehlo": "never saw the relay refuse EHLO",
}
_STATUSES: Final = {
    "400": "never refused with 400",
    "401": "never called with wrong credentials (401)",
    "403": "never called without the permission (403)",
    "404": "never asked for what does not exist (404)",
    "default": "never refused",
    "415": "never sent in another media type or content coding (415)",
}
_OF_ANSWERS: Final = {"stage", "status", "value"}
# How telling a gap is: the first one of its sort, and how much less so each further one is.
_TELLING: Final = {
    "branch": (0, 2),
    "required": (1, 1.5),
    "stage": (1.2, 1.5),
    "status": (2, 2),
    "field": (2.5, 1.5),
    "value": (6, 2),
    "rule": (7, 1),
}


@dataclass
class Tried:
    """What was tried of one operation: its calls, and each of its points with whether it was."""

    operation: str
    version: str
    path: str
    calls: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    points: dict[Point, bool] = field(default_factory=dict)

    def add(self, other: "Tried") -> None:
        """Add what another process or mock tried of the same operation."""
        self.calls += other.calls
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        # The words of a point may differ, by the world.
        own = {point.key: point for point in self.points}
        for point, reached in other.points.items():
            known = own.get(point.key, point)
            self.points[known] = reached or self.points.get(known, False)

    def as_json(self) -> Json:
        """Give it as `GET /_mock/coverage` has it, the most telling gaps first."""
        gaps = _sorted([point for point, reached in self.points.items() if not reached])
        return {
            "operation": self.operation,
            "version": self.version,
            "calls": self.calls,
            "statuses": dict(sorted(self.statuses.items())),
            "points": len(self.points),
            "covered": len(self.points) - len(gaps),
            "missing": [point._asdict() for point in gaps],
        }


class _Counter:
    """Count the calls of one operation, and look in them for what was not tried yet."""

    def __init__(self, operation: Operation, world: World) -> None:
        self.tried = Tried(operation.id, operation.version, operation.path)
        self._listed = statuses(operation)
        self._sought: dict[str, list[Sought]] = {}  # by the member or the parameter that it is of
        found = [*_of_statuses(self._listed), *rules(operation)]
        for each in sought(operation):
            self._sought.setdefault(each.steps[0], []).append(each)
            found.append(each.point)
        if operation.path == _MAIL:
            found += _of_mail(world, self._sought)
        self._open: dict[tuple[str, ...], Point] = {}
        for point in found:
            self._open.setdefault(point.key, point)
        self.tried.points = dict.fromkeys(self._open.values(), False)

    def count(self, exchange: Exchange, world: World, asked: Asked | None) -> None:
        """Count one call; `asked` is there where it kept the contract."""
        tried, status = self.tried, str(exchange.status or "none")
        tried.calls += 1
        tried.statuses[status] = tried.statuses.get(status, 0) + 1
        if not self._open:
            return
        if status not in _UNCOUNTED:
            self._reach(("status", "", status if status in self._listed else "default", ""))
        for each in exchange.violations:
            self._reach(rule_key(each.path, each.rule, each.pointer))
        if exchange.problem is None and asked is not None:
            self._accepted(asked)
        else:
            for stage in _refusals(exchange, world, asked):
                self._reach(("stage", "", stage, ""))

    def _reach(self, key: tuple[str, ...]) -> None:
        if (point := self._open.pop(key, None)) is not None:
            self.tried.points[point] = True

    def _accepted(self, asked: Asked) -> None:
        body = asked.body if isinstance(asked.body, dict) else {}
        places = {"": body, **body}
        for name in asked.query:
            bare = name.lower().rpartition(".")[2]
            places |= {f"query {own}": it for own, it in asked.given.items() if own.lower() == bare}
        for name in places.keys() & self._sought.keys():
            open_still = []
            for each in self._sought[name]:
                if any(map(each.test, values_at(places[name], each.steps[1:]))):
                    self._reach(each.point.key)
                else:
                    open_still.append(each)
            self._sought[name] = open_still
            if not open_still:
                del self._sought[name]


class Coverage:
    """Count what the calls of a run try, over all states and through every reset."""

    def __init__(self, operations: Iterable[Operation], world: World) -> None:
        self._world = world  # as it was loaded: its faults can be met, and stay the same
        self._operations = {operation.id: operation for operation in operations}
        self._counters: dict[str, _Counter] = {}

    def count(
        self, operation: str | None, exchange: Exchange, world: World, asked: Asked | None
    ) -> None:
        """Count one call of an operation; that of none, or of another edition, is not counted."""
        if operation in self._operations:
            self._counter(operation).count(exchange, world, asked)

    def clear(self) -> None:
        """Forget what was counted."""
        self._counters = {}

    def tried(self) -> list[Tried]:
        """Give what was tried of each operation, in the order of the documents."""
        return [self._counter(name).tried for name in self._operations]

    def _counter(self, name: str) -> _Counter:
        if name not in self._counters:
            self._counters[name] = _Counter(self._operations[name], self._world)
        return self._counters[name]


def _of_statuses(listed: Iterable[str]) -> Iterator[Point]:
    # A 400 comes of so much else that it says the least.
    for status in sorted(listed, key="400".__eq__):
        if status not in _UNCOUNTED:
            text = "never accepted" if status[0] == "2" else _STATUSES.get(status, "")
            yield Point("status", "", status, "", text or f"never answered with {status}")


def _of_mail(world: World, fields: Mapping[str, Iterable[Sought]]) -> Iterator[Point]:
    """Give the points of an operation that sends a mail: what can be refused on its way."""
    for stage, text in _MAIL_STAGES.items():
        yield Point("stage", "", stage, "", text + _by_name(world, stage))
    if _TOKEN in fields:
        yield Point("stage", "", "token", "", "never saw the identity provider refuse a token")
        for url, endpoint in world.token_endpoints.items():
            if endpoint.fault:
                text = f"never saw what {url} does: {endpoint.description or endpoint.fault}"
                yield Point("stage", "", f"token {endpoint.fault}", "", text)
    if any(each.steps[1:] == (_PROVIDER,) for each in chain.from_iterable(fields.values())):
        yield Point("stage", "", "secret", "", "never named a secret that its PAM provider lacks")
        yield Point("stage", "", "secret provider", "", "never named an unknown PAM provider")
        for number, provider in world.pam_providers.items():
            if provider.fault:
                text = f"never saw PAM provider {number}, which is {provider.fault}"
                yield Point("stage", "", f"secret {provider.fault}", "", text)


def _by_name(world: World, stage: str) -> str:
    """Name a host of the world whose relay refuses at a stage, if there is one."""
    fault = {"resolve": "unresolvable", "connect": "refused"}.get(stage, "")
    for key, relay in world.relays.items():
        shows = stage in relay.replies or relay.fault == fault
        if "*" not in key and (shows or (stage == "tls" and relay.certificate != "good")):
            return f" (such as {key})"
    return ""


def _refusals(exchange: Exchange, world: World, asked: Asked | None) -> Iterator[str]:
    """Name what refused a test mail: a stage of its delivery, a secret, or a token."""
    kind = exchange.problem.kind if exchange.problem else ""
    if kind.startswith("mail_"):
        yield kind.removeprefix("mail_")
    if kind is Kind.SECRET and exchange.secrets:
        provider = world.provider(exchange.secrets[-1].provider or "")
        yield "secret provider" if provider is None else f"secret {provider.fault or ''}".strip()
    if kind in {Kind.TOKEN, Kind.MAIL_AUTH} and exchange.token_requests and asked is not None:
        named = (cast("Json", asked.body).get(_TOKEN) or "").strip()
        found = world.token_endpoint(named or exchange.token_requests[-1].url)
        fault = found[1].fault if found else None
        # A relay refuses the tokens that some endpoints give.
        if fault or kind is Kind.TOKEN:
            yield f"token {fault or ''}".strip()


def _sorted(gaps: Iterable[Point]) -> list[Point]:
    """Put the most telling gaps first, and mix their sorts."""
    seen: dict[str, int] = {}
    ranked = []
    points = list(gaps)
    ordered = [each for each in points if each.kind in _OF_ANSWERS]
    # A document begins with what everybody sends.
    ordered += [each for each in reversed(points) if each.kind not in _OF_ANSWERS]
    for point in sorted(ordered, key=_plainness):
        sort = point.kind
        if sort == "rule" and point.rule == "required" and point.path[:1] == "/":
            sort = "required"
        first, step = _TELLING[sort]
        ranked.append((first + step * seen.get(sort, 0), point))
        seen[sort] = seen.get(sort, 0) + 1
    return [point for _, point in sorted(ranked, key=lambda pair: pair[0])]


def _plainness(point: Point) -> tuple[int, bool]:
    """Sort what lies deep in a body last, and at each depth what has a condition first."""
    return point.path.count("/"), " when " not in point.text


# What is told in the end


def added(*runs: Iterable[Tried]) -> list[Tried]:
    """Add up what several mocks or processes tried."""
    found: dict[str, Tried] = {}
    for each in (each for run in runs for each in run):
        if each.operation not in found:
            found[each.operation] = Tried(each.operation, each.version, each.path)
        found[each.operation].add(each)
    return list(found.values())


def packed(tried: Iterable[Tried]) -> str:
    """Write what was tried as a text, for another process."""
    return json.dumps([{**vars(each), "points": [*each.points.items()]} for each in tried])


def unpacked(text: str) -> list[Tried]:
    """Read what `packed` has written."""
    return [
        Tried(**{**each, "points": {Point(*point): reached for point, reached in each["points"]}})
        for each in json.loads(text)
    ]


def report(tried: Iterable[Tried], globs: Sequence[str] = ()) -> Json:
    """Give what was tried as `GET /_mock/coverage` has it.

    The summary is about the operations that were called, and those that a glob names by operation
    or path. Problem for one that names none.
    """
    tried = list(tried)
    counted = [each for each in tried if each.calls or any(_names(glob, each) for glob in globs)]
    for glob in globs:
        if not any(_names(glob, each) for each in tried):
            near = nearest(glob, [each.operation for each in tried])
            raise Problem(Kind.CONTROL, f"{glob!r} names no operation; the nearest is {near}")
    points = sum(len(each.points) for each in counted)
    covered = sum(sum(each.points.values()) for each in counted)
    # Rounded down: 100 is for all of them.
    percent = covered * 1_000 // points / 10 if points else 0.0
    return {
        "summary": {"points": points, "covered": covered, "percent": percent},
        "operations": [each.as_json() for each in tried],
    }


def _names(glob: str, each: Tried) -> bool:
    return any(fnmatchcase(text.lower(), glob.lower()) for text in (each.operation, each.path))


def _told(found: Json) -> Iterator[str]:
    """Tell a report as lines: a table of what was called, and the most telling gaps."""
    called = [each for each in found["operations"] if each["calls"]]
    width = max([len(each["operation"]) for each in called] or [0])
    for each in called:
        seen = ", ".join(f"{count} with {status}" for status, count in each["statuses"].items())
        share = f"{each['covered']:4} of {each['points']:4}"
        calls = f"{each['calls']} call{'s' * (each['calls'] > 1)}"
        yield f"{each['operation']:{width}}  {share}  {calls}: {seen}"
    summary = found["summary"]
    yield f"{summary['percent']} %: {summary['covered']} of {summary['points']} points"
    for text in gaps(found)[:_MAX_GAPS]:
        yield f"  {text}"


def gaps(found: Json) -> list[str]:
    """Return what was not tried of the operations that were called, the most telling first."""
    called = [each for each in found["operations"] if each["calls"]]
    texts = [
        [f"{each['operation']}: {point['text']}" for point in each["missing"]]
        for each in sorted(called, key=lambda each: -each["calls"])
    ]
    return [text for those in zip_longest(*texts) for text in those if text]


def _refusal(file: Path) -> str:
    """Say why a file cannot be written there, as far as that can be seen before."""
    if file.is_dir():
        return "it is a folder"
    return "" if file.absolute().parent.is_dir() else "there is no such folder"


class Wanted(NamedTuple):
    """What whoever starts a run wants to know of its coverage; `minimum` is in percent."""

    table: bool = False
    file: str | Path | None = None
    minimum: float | None = None
    globs: tuple[str, ...] = ()

    def check(self, operations: Iterable[Operation], option: str) -> None:
        """Raise Problem for a glob, a percentage or a file that `conclude` could not use.

        It begins with the option at fault, whose name begins with that of coverage itself.
        """
        try:
            report([Tried(each.id, each.version, each.path) for each in operations], self.globs)
        except Problem as problem:
            raise Problem(Kind.CONTROL, f"{option}-operations: {problem.message}") from None
        if self.minimum is not None and not 0 <= self.minimum <= 100:  # noqa: PLR2004  # percent
            text = f"{option}-min: {self.minimum:g} is no percentage from 0 to 100"
            raise Problem(Kind.CONTROL, text)
        if self.file is not None and (reason := _refusal(Path(self.file))):
            name = self.file or repr(self.file)
            raise Problem(Kind.CONTROL, f"{option}-json {name}: {reason}")

    def conclude(self, tried: Iterable[Tried]) -> tuple[list[str], bool]:
        """Write the file; return what is to be told, and whether the run may pass."""
        found = report(tried, self.globs)
        lines = list(_told(found)) if self.table else []
        good = True
        if self.minimum is not None and found["summary"]["percent"] < self.minimum:
            lines.append(f"coverage {found['summary']['percent']} % is below {self.minimum:g} %")
            good = False
        if self.file is not None:
            try:
                Path(self.file).write_text(json.dumps(found, indent=1) + "\n", "utf-8")
            except OSError as error:
                lines.append(f"cannot write {self.file}: {error.strerror}")
                good = False
        return lines, good

"""What a run refused, told at its end: as text, JSON or JUnit XML."""

import json
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import PurePath
from typing import Final
from xml.etree import ElementTree as ET

from mockserver.base.jsontext import Json
from mockserver.journal.outside import SmtpSession
from mockserver.journal.story import exchange_text, headline, session_line, session_text, tone
from mockserver.journal.trace import Exchange

_MOST: Final = 100  # stories from the beginning, and as many from the end
_MAX_STORY: Final = 20_000  # characters
_NO_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


@dataclass(frozen=True)
class Expected:
    """A refusal that a run is meant to have: a status, and a pattern of the path."""

    status: int
    path: str

    @classmethod
    def read(cls, text: str) -> "Expected":
        """Read `STATUS:PATH`, such as `400:/SMTP/Test`; ValueError where it is none."""
        status, _, path = text.partition(":")
        if not re.fullmatch("[45][0-9][0-9]", status) or not path.startswith(("/", "*")):
            raise ValueError(f"{text!r} is not STATUS:PATH, such as 400:/SMTP/Test")
        return cls(int(status), path)

    def names(self, exchange: Exchange) -> bool:
        """Say whether it is this call, by its whole path or by one below the base path."""
        path, wanted = exchange.path.casefold(), self.path.casefold()
        found = fnmatchcase(path, wanted) or fnmatchcase(path, f"/*{wanted}")
        return found and exchange.status == self.status


@dataclass(frozen=True)
class _Story:
    """What is told of a call or of a session; `faults` say why a strict run fails by it."""

    kind: str
    title: str
    text: str
    faults: tuple[str, ...]


class Report:
    """Take what happens in a run, and keep the stories of what was refused.

    A call is told that was refused or not answered, unless that was expected, or that has a note of
    one of `kinds`; a session from outside, if it had a refusal. Of very many the first and the last
    100 are kept.
    """

    def __init__(self, expected: Collection[Expected] = (), kinds: Collection[str] = ()) -> None:
        self.calls = 0
        self.told = 0
        self.faults = 0
        self.prefix = ""
        self._expected = expected
        self._kinds = kinds
        self._first: list[_Story] = []
        self._last: deque[_Story] = deque(maxlen=_MOST)

    @property
    def stories(self) -> Iterable[_Story]:
        """Give the stories that are kept, in their order."""
        return chain(self._first, self._last)

    def add(self, entry: Exchange | SmtpSession) -> None:
        """Take a call or a session that has ended."""
        if isinstance(entry, Exchange):
            self.calls += 1
            expected = any(each.names(entry) for each in self._expected)
            faults = tuple(self._faults(entry, expected=expected))
            if faults or ((entry.status or 500) >= 400 and not expected):  # noqa: PLR2004  # HTTP statuses
                self._tell("call", headline(entry), exchange_text(entry), faults)
        elif entry.refusals:
            self._tell("session", session_line(entry), session_text(entry), ())

    def _faults(self, call: Exchange, *, expected: bool) -> Iterable[str]:
        if tone(call) == "refused" and not expected:
            yield f"refused with {call.status}, which no --expect {call.status}:PATH names"
        for note in call.lenient:
            if note.kind in self._kinds:
                yield f"{note.kind}: {note.message}"

    def _tell(self, kind: str, title: str, text: str, faults: tuple[str, ...]) -> None:
        self.told += 1
        self.faults += bool(faults)
        story = _Story(kind, self.prefix + title, self.prefix + text[:_MAX_STORY], faults)
        if len(self._first) < _MOST:
            self._first.append(story)
        else:
            self._last.append(story)

    # What is written

    def text(self) -> str:
        """Tell the stories for people."""
        left_out = self.told - len(self._first) - len(self._last)
        texts = [each.text for each in self._first]
        if left_out:
            texts.append(f"… {left_out} more\n")
        texts += [each.text for each in self._last]
        head = f"keyfactor-mock: {self._called}, {self.told} calls or sessions to look at\n"
        return head + "\n".join(["", *texts])

    def written(self, name: str) -> str:
        """Give the whole report as a file of that name has it: by `.json`, `.xml`, or as text."""
        writers: Mapping[str, Callable[[], str]] = {".json": self._json, ".xml": self._junit}
        return writers.get(PurePath(name).suffix.lower(), self.text)()

    @property
    def _called(self) -> str:
        return f"{self.calls} call{'' if self.calls == 1 else 's'}"

    def _json(self) -> str:
        stories = [
            {"kind": each.kind, "title": each.title, "faults": each.faults, "text": each.text}
            for each in self.stories
        ]
        report: Json = {"calls": self.calls, "told": self.told, "stories": stories}
        return json.dumps(report, indent=1, ensure_ascii=False) + "\n"

    def _junit(self) -> str:
        """Write a test case for each story, and one for all other calls."""
        stories = list(self.stories)
        counts = {"tests": str(len(stories) + 1), "failures": str(len(stories))}
        suites = ET.Element("testsuites", counts)
        suite = ET.SubElement(suites, "testsuite", {"name": "keyfactor-mock", **counts})
        ET.SubElement(suite, "testcase", {"classname": "keyfactor-mock", "name": self._called})
        for each in stories:
            named = {"classname": f"keyfactor-mock.{each.kind}", "name": _xml(each.title)}
            case = ET.SubElement(suite, "testcase", named)
            message = "; ".join(each.faults) or each.title
            ET.SubElement(case, "failure", {"message": _xml(message)}).text = _xml(each.text)
        ET.indent(suites)
        return ET.tostring(suites, encoding="unicode", xml_declaration=False) + "\n"


def _xml(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)

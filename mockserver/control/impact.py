"""What each edition would say to the calls that came, or to one that was never sent."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Final, NamedTuple

from mockserver.base.jsontext import Json
from mockserver.base.masking import MASK
from mockserver.base.problems import Kind, Problem, Violation
from mockserver.base.text import nearest, one_line
from mockserver.contract.editions import Edition, Editions
from mockserver.contract.operations import VERSION_HEADER
from mockserver.journal.trace import Exchange

_Place = tuple[str, str]  # a path, and the rule that is broken there

_UNKNOWN: Final = "additionalProperties"
_ASKED: Final = ("method", "path", "version", "body")


class _Verdict(NamedTuple):
    """What one edition does not take of a call, and what it does not know of it."""

    call: Json
    refused: list[Violation]
    unknown: list[str]


class Impact:
    """Judge calls by the documents of every edition; `below` gives a path below the base path.

    A field that an edition does not know is no refusal, as real servers ignore it. `own` is the
    edition that the calls were sent to.
    """

    def __init__(self, editions: Editions, below: Callable[[str], str]) -> None:
        self.editions = editions
        self._below = below

    def of_calls(self, own: str, calls: Iterable[Exchange]) -> Json:
        """Judge calls; one outside the API is no edition's business, and is not counted."""
        asked = [(call, self._masked(own, call)) for call in calls if self._path(call.path)]
        return self._summed(lambda edition: [self._verdict(edition, *each) for each in asked])

    def of_question(self, asked: object) -> Json:
        """Judge `{"method", "path", "version", "body"}` in the same form; Problem 400."""
        if not isinstance(asked, dict) or not isinstance(asked.get("path"), str):
            raise _bad('send {"method", "path", "version", "body"}; the path is a text')
        for key in asked:
            if key not in _ASKED:
                near = nearest(key, _ASKED)
                raise _bad(f"{one_line(key)}: unknown key; the nearest known one is {near}")
        method, version = asked.get("method", "POST"), asked.get("version")
        if not isinstance(method, str) or not isinstance(version, str | None):
            raise _bad("method and version are texts")
        call = method, self._path(asked["path"]) or asked["path"], version, asked.get("body")
        none = {"request_id": None, "operation": None}
        return self._summed(lambda edition: [_split(none, edition.judge(*call))])

    def _summed(self, judged: Callable[[Edition], list[_Verdict]]) -> Json:
        return {"editions": [_summary(edition, judged(edition)) for edition in self.editions]}

    def told(self, own: str, call: Exchange) -> Iterator[str]:
        """Say, a line for each, which other editions refuse a call, or do not know a field."""
        if not self._path(call.path):
            return
        masked = self._masked(own, call)
        for edition in (each for each in self.editions if each.name != own):
            _, refused, unknown = self._verdict(edition, call, masked)
            if refused:
                texts = dict.fromkeys(violation.message for violation in refused)
                yield f"refused by {edition.name}: {' '.join(texts)}"
            elif unknown:
                fields = ", ".join(unknown)
                yield f"{edition.name} does not know {fields} (a server may ignore it)"

    def _masked(self, own: str, call: Exchange) -> set[_Place]:
        """Return what a call seems to break only because the journal has masks in it."""
        body = call.request.body
        members = body.items() if isinstance(body, dict) else ()
        hidden = {name.lower() for name, value in members if MASK in json.dumps(value)}
        masked = {
            _place(each)
            for each in self._judged(self.editions[own], call)
            if not hidden.isdisjoint(each.path.lower().split("/")[1:2])
        }
        # Its own edition has judged the body itself.
        return masked - {_place(each) for each in call.violations}

    def _verdict(self, edition: Edition, call: Exchange, masked: set[_Place]) -> _Verdict:
        """Judge a call as the journal has it, but for what only its masks break."""
        found = [each for each in self._judged(edition, call) if _place(each) not in masked]
        return _split({"request_id": call.id, "operation": call.operation}, found)

    def _judged(self, edition: Edition, call: Exchange) -> list[Violation]:
        headers = {name.lower(): value for name, value in call.request.headers}
        body = () if call.request.body_text is None else (call.request.body,)
        asked = call.method, self._path(call.path) or "", headers.get(VERSION_HEADER)
        return edition.judge(*asked, *body, media=headers.get("content-type", ""))

    def _path(self, path: str) -> str | None:
        try:
            return self._below(path)
        except Problem:
            return None


def _place(violation: Violation) -> _Place:
    return violation.path.lower(), violation.rule


def _split(call: Json, found: list[Violation]) -> _Verdict:
    unknown = [each.path for each in found if each.rule == _UNKNOWN]
    return _Verdict(call, [each for each in found if each.rule != _UNKNOWN], unknown)


def _summary(edition: Edition, verdicts: list[_Verdict]) -> Json:
    refused = [each for each in verdicts if each.refused]
    unknown = [each for each in verdicts if each.unknown and not each.refused]
    return {
        "name": edition.name,
        "product_version": edition.product_version,
        "accepted": len(verdicts) - len(refused) - len(unknown),
        "refused": len(refused),
        "unknown": len(unknown),
        "refusals": [
            {**call, "violations": [asdict(each) for each in broken]} for call, broken, _ in refused
        ],
        "unknown_fields": [{**call, "fields": fields} for call, _, fields in unknown],
    }


def _bad(text: str) -> Problem:
    return Problem(Kind.CONTROL, text)

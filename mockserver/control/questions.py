"""The questions of a comparison, read from `fixtures/questions.yaml` as requests to send."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mockserver.base.data import data_folder
from mockserver.base.documents import merge, read_ours
from mockserver.contract.operations import VERSION_HEADER

VERSIONS: Final = ("1", "2")

_PATH: Final = data_folder("fixtures") / "questions.yaml"
_USUAL: Final = {"accept": "application/json", "x-keyfactor-requested-with": "APIClient"}


@dataclass(frozen=True)
class Question:
    """One request, and what is compared of its answers, by row of the fidelity table.

    What the fields after `content` mean is described in `fixtures/questions.schema.yaml`.
    """

    name: str
    path: str
    headers: Mapping[str, str]
    content: bytes | None
    compare: Mapping[str, Sequence[str]]
    caller: str | None = None
    only: int | None = None
    like: str | None = None
    adopt: Mapping[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """Give the method, which is POST where there is a body."""
        return "GET" if self.content is None else "POST"

    def __str__(self) -> str:
        """Return what is sent, and by whom, as one line."""
        words = [self.method, self.path, json.dumps(self.headers), (self.content or b"").decode()]
        return " ".join([*filter(None, words), f"({self.caller or 'own'} credentials)"])


def rows() -> Mapping[str, str | None]:
    """Return the rows of the fidelity table; a text says why no question is for one alone."""
    found: Mapping[str, str | None] = _data()["rows"]
    return found


def questions(
    versions: Collection[str] = VERSIONS, places: Mapping[str, object] | None = None
) -> list[Question]:
    """Return what is asked of these versions.

    Without `places`, values for `$send_to`, `$relay_host` and `$relay_port`, none sends a mail.
    """
    data = _data()
    return [
        _question(entry, version, data["bodies"][version], places or {})
        for entry in data["questions"]
        for version in entry.get("versions", VERSIONS)
        if version in versions and (places or not entry.get("sends"))
    ]


def _data() -> Any:  # noqa: ANN401  # JSON; the schema has its form
    return read_ours(_PATH)


def _question(entry: Any, version: str, usual: Any, places: Mapping[str, object]) -> Question:  # noqa: ANN401  # as above
    text = entry.get("text")
    if "body" in entry:
        body = merge(usual, entry["body"])
        text = json.dumps({name: places.get(str(value), value) for name, value in body.items()})
    media = None if text is None else "application/json"
    headers = {**_USUAL, VERSION_HEADER: version, "content-type": media, **entry.get("headers", {})}
    named: Any = {
        key: f"{entry[key]} (version {version})" for key in ("name", "like") if key in entry
    }
    return Question(
        path=entry["path"],
        headers={name: value for name, value in headers.items() if value is not None},
        content=None if text is None else text.encode(),
        **named,
        **{key: entry[key] for key in ("compare", "caller", "only", "adopt") if key in entry},
    )

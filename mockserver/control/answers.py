"""Answers of any server, and the aspects in which two of them are compared."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mockserver.base import masking

NOTHING: Final = object()  # where there is nothing to compare, such as members of an empty list

_SCHEME: Final = re.compile(r"(?:^|,)\s*([\w-]+)(?=\s*(?:,|$)|\s+[\w-]+\s*=)")  # RFC 9110, 11.6.1


@dataclass(frozen=True)
class Answer:
    """An answer, header names in lower case, or why there is none."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    failure: str | None = None
    taken: bool = False  # as the question that it is like

    @cached_property
    def json(self) -> Any:  # noqa: ANN401  # any JSON
        """Give the body as JSON, None where it is not."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @property
    def members(self) -> Mapping[str, Any]:
        """Give the body if it is an object of JSON, else an empty one."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def is_error(self) -> bool:
        """Say whether it is a refusal, or a failure of the server."""
        return self.status >= 400  # noqa: PLR2004  # an HTTP status

    @property
    def is_of_the_product(self) -> bool:
        """Say whether Keyfactor Command could have answered so."""
        refused = self.status in {401, 403}
        return (
            "x-keyfactor-product-version" in self.headers
            or self.members.keys() == {"ErrorCode", "Message"}
            or (refused and ("www-authenticate" in self.headers or self.json is not None))
        )

    @property
    def refusal(self) -> tuple[object, ...]:
        """Give what answers to one and the same mistake have in common."""
        return self.status, self.members.get("ErrorCode"), _text(self)


def aspect(answer: Answer, name: str) -> Any:  # noqa: ANN401  # any JSON
    """Return one aspect of an answer, as `questions.schema.yaml` describes them, or NOTHING."""
    kind, _, header = name.partition(" ")
    if answer.failure is not None:
        return f"no answer: {answer.failure}" if kind == "status" else NOTHING
    if header:
        return _OF_A_HEADER[kind](answer.headers.get(header.lower()))
    return _OF_AN_ANSWER[kind](answer)


def _form(answer: Answer) -> str:
    media = answer.headers.get("content-type", "no media type") if answer.text else "no body"
    named = answer.is_error and answer.members
    return f"{media} {{{', '.join(answer.members)}}}" if named else media


def _framing(answer: Answer) -> str:
    if "transfer-encoding" in answer.headers:
        return "in chunks"
    return "with a length" if "content-length" in answer.headers else "neither length nor chunks"


def _escapes(answer: Answer) -> object:
    return next((form for form in (r"\u0027", "'") if form in answer.text), NOTHING)


def _text(answer: Answer) -> str:
    # Who asks has another name on each side.
    return re.sub(r"^User \S+ ", "User … ", str(answer.members.get("Message")))


def _members(answer: Answer) -> object:
    first = answer.json[:1] if isinstance(answer.json, list) else [answer.json]
    return list(first[0]) if first and isinstance(first[0], dict) else NOTHING


def _value(answer: Answer) -> object:
    value: Any = masking.body(answer.json)
    if isinstance(held := answer.members.get("Permissions"), list):
        value["Permissions"] = sorted(map(str, held))  # in any order, and no secrets
    return value


_OF_AN_ANSWER: Final[Mapping[str, Callable[[Answer], object]]] = {
    "status": lambda answer: answer.status,
    "code": lambda answer: answer.members.get("ErrorCode"),
    "form": _form,
    "framing": _framing,
    "escapes": _escapes,
    "taken": lambda answer: "taken" if answer.taken else "refused",
    "text": _text,
    "members": _members,
    "value": _value,
}
_OF_A_HEADER: Final[Mapping[str, Callable[[str | None], object]]] = {
    "header": lambda value: value,
    "shape": lambda value: value and re.sub("[0-9a-f]", "h", value),
    "schemes": lambda value: _SCHEME.findall(value or ""),
    "presence": lambda value: "absent" if value is None else "there",
}

"""From one version of an operation to the next: the call that does the same there."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from mockserver.base.jsontext import Json
from mockserver.base.masking import MASK
from mockserver.contract.form import Form
from mockserver.contract.operations import VERSION_HEADER, Contract, Operation
from mockserver.contract.wording import violations

_Headers = Iterable[tuple[str, str]]

# Those of a connection, and of the body as it was written.
_LEFT_OUT: Final = {"connection", "content-length", "content-type", "host", "transfer-encoding"}


@dataclass(frozen=True)
class Upgraded:
    """A call of a newer version, and in words what of the older one it does not carry over."""

    headers: tuple[tuple[str, str], ...]
    body: Any
    lost: tuple[str, ...]


class Upgrade:
    """Make the call of a newer version from that of an older one, both of one operation."""

    def __init__(self, older: Operation, newer: Operation) -> None:
        self._older = older
        self._newer = newer

    def __deepcopy__(self, _: object) -> Self:
        return self  # nothing in it changes

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a compiled document does not go to another process

    def __call__(self, headers: _Headers, body: object) -> Upgraded:
        """Return the newer call; a masked value is the name of its field in angle brackets."""
        kept = [(name, value) for name, value in headers if name.lower() not in _LEFT_OUT]
        kept = [pair for pair in kept if pair[0].lower() != VERSION_HEADER]
        kept.append((VERSION_HEADER, self._newer.version))
        if self._newer.body is None:
            return Upgraded(tuple(kept), None, tuple(self._answers()))
        kept.append(("content-type", "application/json"))
        spelled, _ = self._older.relaxed(_named(body), lenient=False)
        if not isinstance(spelled, dict) or self._older.body is None:
            return Upgraded(tuple(kept), spelled, ("The body is no object.",))
        old, new = cast("Form", self._older.request), cast("Form", self._newer.request)
        made, lost = self._body(spelled, old, new)
        known = {(each.path, each.rule) for each in violations(self._older.body, spelled)}
        lost += [
            each.message
            for each in violations(self._newer.body, made)
            if (each.path, each.rule) not in known
        ]
        return Upgraded(tuple(kept), made, (*lost, *self._answers()))

    def _body(self, body: Json, old: Form, new: Form) -> tuple[Json, list[str]]:
        made, lost = {}, []
        for name, value in body.items():
            if name in new.properties:
                made[name] = _carried(value, new.properties[name])
            elif not new.properties:
                made[name] = value
            elif value is not None:
                lost.append(f"{name}: unknown in version {self._newer.version}.")
        for name in new.rule.get("required", ()):
            if made.get(name) is None and name in old.properties:
                rule = old.properties[name].rule
                value = rule.get("x-default", body.get(rule.get("x-default-from", "")))
                made |= {} if value is None else {name: value}
        return made, lost

    def _answers(self) -> Iterator[str]:
        if self._older.answer is not None and self._newer.answer is None:
            yield f"The answer has no body in version {self._newer.version}."


def upgrades(contract: Contract) -> Mapping[str, Upgrade]:
    """Map each deprecated operation to the way to the newest version of it, where there is one."""
    newest = {(each.method, each.path): each for each in contract.operations}
    pairs = [(each, newest[each.method, each.path]) for each in contract.operations]
    return {old.id: Upgrade(old, new) for old, new in pairs if old.deprecated and old != new}


def _named(value: object, name: str = "") -> object:
    """Put the name of a field in place of its mask."""
    if isinstance(value, dict):
        return {key: _named(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_named(each, name) for each in value]
    return f"<{name}>" if value == MASK else value


def _carried(value: object, form: Form) -> object:
    """Return a value as a schema wants it: a text where that has objects is their secret."""
    members = form.properties.items()
    secret = next((name for name, each in members if each.rule.get("writeOnly")), None)
    return {secret: value} if secret is not None and isinstance(value, str) else value

"""From one version of an operation to the next: the call that does the same there."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from mockserver.base.masking import MASK
from mockserver.base.schema import Node
from mockserver.contract.operations import VERSION_HEADER, Contract, Operation
from mockserver.contract.wording import violations

Json = dict[str, Any]
Headers = Iterable[tuple[str, str]]

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

    def __call__(self, headers: Headers, body: object) -> Upgraded:
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
        made, lost = self._body(spelled, self._older.body.node, self._newer.body.node)
        known = {(each.path, each.rule) for each in violations(self._older.body, spelled)}
        lost += [
            each.message
            for each in violations(self._newer.body, made)
            if (each.path, each.rule) not in known
        ]
        return Upgraded(tuple(kept), made, (*lost, *self._answers()))

    def _body(self, body: Json, old: Node, new: Node) -> tuple[Json, list[str]]:
        properties = new.value["properties"]
        made, lost = {}, []
        for name, value in body.items():
            if name in properties:
                made[name] = _carried(value, new.at("properties", name))
            elif value is not None:
                lost.append(f"{name}: unknown in version {self._newer.version}.")
        for name in new.value.get("required", ()):
            if made.get(name) is None and name in old.value["properties"]:
                rule: Json = old.value["properties"][name]
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


def _carried(value: object, node: Node) -> object:
    """Return a value as a schema wants it: a text where that has objects is their secret."""
    branches = list(node.at("anyOf").items()) if "anyOf" in node.value else [node]
    for branch in branches:
        members: Json = branch.value.get("properties", {})
        secret = next((name for name, each in members.items() if each.get("writeOnly")), None)
        if isinstance(value, str) and secret is not None:
            return {secret: value}
    return value

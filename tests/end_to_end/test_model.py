"""The control calls against a model of them: whatever a test does, it finds what it did."""

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support import V1, V2, VALID, Caller, Json

# A step is one to three calls over HTTP.
few = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)

HOSTS = ("corpexch02.keyexample.com", "a.test", "refused.test")
ADDRESSES = ("one@a.test", "TWO@a.test", "three@b.test")
USERS = {"admin": ["/"], "auditor": ["/system_settings/read/"], "newcomer": []}
PATCHES: tuple[Json, ...] = (
    {"product_version": "25.9"},
    {"product_version": "24.0", "relays": {"a.test": {"replies": {"rcpt": "550 5.1.1 No such"}}}},
    {"relays": {"a.test": None, "refused.test": None}},
    {"relays": {"refused.test": {}}},
    {"lenient": True},
    {"users": {"newcomer": {"roles": ["Administrator"]}}},
)
BAD_PATCHES: tuple[Any, ...] = (
    {"relays": {"*": {"delay": "long"}}},
    {"users": {"admin": {"roles": ["Nobody"]}}},
    {"product_version": None},
    [],
)


@dataclass
class Model:
    """What one state holds, as plain values."""

    loaded: Json
    world: Json
    # recipient and relay of each message, path, status and version of each exchange
    messages: list[dict[str, str]] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)

    def reset(self) -> None:
        self.world = copy.deepcopy(self.loaded)
        self.messages, self.requests = [], []

    def refusal(self, host: str, user: str) -> int | None:
        """Say with which status a mail to this host is refused, by the few rules in play."""
        if self.world["users"][user]["roles"] != ["Administrator"]:
            return 403
        relays = self.world["relays"]
        relay = relays.get(host, relays["*"])
        return 400 if "fault" in relay or "rcpt" in relay.get("replies", {}) else None


def patched(target: Json, patch: Json) -> Json:
    """Apply a merge patch one path at a time."""
    result = copy.deepcopy(target)
    pending: list[tuple[tuple[str, ...], object]] = [((), patch)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict) and path:
            node = result
            for step in path[:-1]:
                node = node[step]
            if not isinstance(node.get(path[-1]), dict):
                node[path[-1]] = {}
        if isinstance(value, dict):
            pending += [((*path, key), item) for key, item in value.items()]
            continue
        node = result
        for step in path[:-1]:
            node = node[step]
        if value is None:
            node.pop(path[-1], None)
        else:
            node[path[-1]] = value
    return result


class Control(RuleBasedStateMachine):
    """Do the same to the mock and to the model."""

    # A mock with namespaces has one model for each; a step then begins with the name of one.

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self.caller = caller
        caller.mock.reset()
        world = caller.http.get("/_mock/world").json()
        self.model = Model(world, copy.deepcopy(world))

    @rule(
        version=st.sampled_from(sorted(VALID)),
        host=st.sampled_from(HOSTS),
        recipient=st.sampled_from(ADDRESSES),
        user=st.sampled_from(sorted(USERS)),
    )
    def send(self, version: str, host: str, recipient: str, user: str) -> None:
        changed = {"Host": host, "TestRecipient": recipient, "Port": 25}
        body = {"1": V1, "2": V2}[version] | changed
        response = self.caller.send(version, body, auth=(user, f"{user}-password"))
        refused = self.model.refusal(host, user)
        assert response.status_code == (refused or 200)
        version_of_product = response.headers["x-keyfactor-product-version"]
        assert version_of_product == self.model.world["product_version"]
        if refused is None:
            self.model.messages.append({"recipient": recipient, "relay": host})
        self._called("/KeyfactorAPI/SMTP/Test", response.status_code, version)

    @rule(version=st.sampled_from(["1", "2"]))
    def send_nothing(self, version: str) -> None:
        response = self.caller.send(version, {})
        assert response.status_code == 400
        self._called("/KeyfactorAPI/SMTP/Test", 400, version)

    def _called(self, path: str, status: int, version: str) -> None:
        self.model.requests.append({"path": path, "status": str(status), "version": version})

    @rule(criteria=st.fixed_dictionaries({}, optional={
        "recipient": st.sampled_from(ADDRESSES), "relay": st.sampled_from(HOSTS)
    }))  # fmt: skip
    def filter_messages(self, criteria: dict[str, str]) -> None:
        found = self.caller.messages(**{name: text.swapcase() for name, text in criteria.items()})
        wanted = [each for each in self.model.messages if criteria.items() <= each.items()]
        assert [as_modelled(message) for message in found] == wanted

    @rule(criteria=st.fixed_dictionaries({}, optional={
        "status": st.sampled_from(["200", "400", "403"]), "version": st.sampled_from(["1", "2"])
    }))  # fmt: skip
    def filter_requests(self, criteria: dict[str, str]) -> None:
        answer = self.caller.http.get("/_mock/requests", params=criteria).json()
        wanted = [each for each in self.model.requests if criteria.items() <= each.items()]
        assert len(answer["requests"]) == len(wanted)
        for found, expected in zip(answer["requests"], wanted, strict=True):
            assert {name: str(found[name]) for name in expected} == expected

    @rule(recipient=st.sampled_from(ADDRESSES))
    def delete_messages_to(self, recipient: str) -> None:
        url = "/_mock/messages"
        assert self.caller.http.delete(url, params={"recipient": recipient}).status_code == 204
        kept = [each for each in self.model.messages if each["recipient"] != recipient]
        self.model.messages = kept

    @rule()
    def delete_all_messages(self) -> None:
        assert self.caller.http.delete("/_mock/messages").status_code == 204
        self.model.messages = []

    @rule(patch=st.sampled_from(PATCHES))
    def patch_world(self, patch: Json) -> None:
        response = self.caller.http.patch("/_mock/world", json=patch)
        self.model.world = patched(self.model.world, patch)
        assert (response.status_code, response.json()) == (200, self.model.world)

    @rule(patch=st.sampled_from(BAD_PATCHES))
    def patch_world_badly(self, patch: object) -> None:
        assert self.caller.http.patch("/_mock/world", json=patch).status_code == 400

    @precondition(lambda self: self.model.messages or self.model.world != self.model.loaded)
    @rule()
    def reset(self) -> None:
        assert self.caller.http.post("/_mock/reset").status_code == 204
        self.model.reset()

    @invariant()
    def all_is_there_and_in_order(self) -> None:
        http = self.caller.http
        messages = http.get("/_mock/messages").json()
        assert [as_modelled(each) for each in messages["messages"]] == self.model.messages
        assert (messages["total"], messages["dropped"]) == (len(self.model.messages), 0)
        requests = http.get("/_mock/requests").json()
        assert [str(each["status"]) for each in requests["requests"]] == [
            each["status"] for each in self.model.requests
        ]
        assert (requests["total"], requests["dropped"]) == (len(self.model.requests), 0)
        sent = {each["message_id"] for each in requests["requests"]} - {None}
        assert {each["id"] for each in messages["messages"]} <= sent
        assert http.get("/_mock/world").json() == self.model.world


def as_modelled(message: Json) -> dict[str, str]:
    (recipient,) = message["envelope"]["recipients"]
    return {"recipient": recipient, "relay": message["relay"]["host"]}


def test_the_control_calls_do_as_their_model(caller: Caller) -> None:
    run_state_machine_as_test(partial(Control, caller), settings=few)  # type: ignore[arg-type]  # it only calls it
    caller.mock.reset()

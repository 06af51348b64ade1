"""Who is calling, looked at without a listener."""

from base64 import b64encode
from itertools import islice, product

import pytest

from mockserver.base.problems import Problem
from mockserver.product.access import _REMEMBERED, authenticate
from mockserver.product.worlds import load_world
from mockserver.world.loading import patched, with_resources
from support import ADMIN


def basic(name: str, password: str) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def no_token(_: str) -> dict[str, str]:
    raise ValueError("there is none")


def test_callers_are_remembered_for_their_world_alone_and_not_without_end() -> None:
    world = load_world("default")
    name, password = ADMIN[0].rpartition("\\")[2], ADMIN[1]
    for letters in islice(product(*zip("keyexample", "KEYEXAMPLE", strict=True)), _REMEMBERED + 5):
        account = f"{''.join(letters)}\\{name}"
        found = authenticate(world, basic(account, password), no_token)
        assert found.name == f"KEYEXAMPLE\\{name}"
    assert len(world.callers) == _REMEMBERED
    changed = patched(world, {"users": {name: {"password": "another"}}})
    with pytest.raises(Problem):
        authenticate(changed, basic(name, password), no_token)
    for place, known in ((changed, "another"), (world, password)):
        assert authenticate(place, basic(name, known), no_token).name == f"KEYEXAMPLE\\{name}"


def test_callers_are_remembered_while_objects_change_but_not_when_their_roles_do() -> None:
    world = load_world("default")
    known = authenticate(world, basic(*ADMIN), no_token)
    objects = with_resources(world, {"/Agents": []}, {})
    assert authenticate(objects, basic(*ADMIN), no_token) is known
    assert objects.resources["/Agents"] == []
    assert world.resources["/Agents"]
    others = with_resources(objects, {}, {"roles": {role: [] for role in world.roles}})
    assert authenticate(others, basic(*ADMIN), no_token).permissions == ()

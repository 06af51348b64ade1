"""Who is calling, looked at without a listener."""

from base64 import b64encode
from itertools import islice, product

import pytest

from mockserver.base.problems import Problem
from mockserver.product.access import _REMEMBERED, authenticate
from mockserver.product.worlds import load_world
from mockserver.world.loading import patched
from support import ADMIN


def basic(name: str, password: str) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def no_token(_: str) -> dict[str, str]:
    raise ValueError("there is none")


def test_callers_are_remembered_for_their_world_alone_and_not_without_end() -> None:
    world = load_world("default")
    name, password = ADMIN[0].rpartition("\\")[2], ADMIN[1]
    cases = product(*((letter.lower(), letter.upper()) for letter in f"keyexample\\{name}"))
    for letters in islice(cases, _REMEMBERED + 5):
        found = authenticate(world, basic("".join(letters), password), no_token)
        assert found is not None
        assert found.name.lower() == f"keyexample\\{name}"
    assert len(world.callers) == _REMEMBERED
    changed = patched(world, {"users": {name: {"password": "another"}}})
    with pytest.raises(Problem):
        authenticate(changed, basic(name, password), no_token)
    assert authenticate(changed, basic(name, "another"), no_token)
    assert authenticate(world, basic(name, password), no_token)

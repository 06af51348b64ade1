"""Worlds that name what the documents do not have are refused, wherever they come from."""

import json
from pathlib import Path

import pytest

from mockserver import WorldError
from mockserver.base.documents import DocumentError
from mockserver.contract.editions import load_editions
from mockserver.product.worlds import check_world, load_world
from mockserver.world.loading import load


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ({"edition": "9"}, "/edition: edition '9': "),
        ({"api_faults": {"invent": {"status": 503}}}, "/api_faults/invent: no such operation"),
        ({"resources": {"/Inventions": []}}, "/resources/~1Inventions: "),
    ],
)
def test_a_world_names_only_what_the_documents_have(
    patch: dict[str, object], text: str, tmp_path: Path
) -> None:
    with pytest.raises(WorldError) as raised:
        load_world(patch)
    assert str(raised.value).startswith(f"world: {text}")
    with pytest.raises(WorldError) as raised:
        check_world(load(patch), load_editions(), "patch")
    assert str(raised.value).startswith(f"patch: {text}")
    file = tmp_path / "world.yaml"
    file.write_text(json.dumps({"extends": "default", **patch}))
    with pytest.raises(WorldError) as raised:
        load_world(file)
    assert str(raised.value).startswith(f"{file}: {text}")


def test_an_edition_goes_before_the_one_that_the_world_names() -> None:
    assert load_world({"edition": "10"}).edition == "10"
    assert load_world({"edition": "10"}, edition="11").edition == "11"
    with pytest.raises(DocumentError, match=r"the editions are 10, 11, 25\.1, current"):
        load_world(None, edition="9")

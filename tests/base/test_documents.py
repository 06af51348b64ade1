"""How our own files are read, and those of a user."""

from pathlib import Path

import pytest

from mockserver.base import documents
from mockserver.base.documents import read_yaml


def test_only_what_a_wheel_has_beside_our_own_files_is_read_in_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "openapi" / "v1.yaml"
    path.parent.mkdir()
    path.write_text("a: 1")
    path.with_suffix(".json").write_text('{"a": 2}')
    assert read_yaml(path) == {"a": 1}
    monkeypatch.setattr(documents, "PACKAGE", tmp_path)  # as if the wheel were installed here
    assert read_yaml(path) == {"a": 2}
    path.with_suffix(".json").unlink()
    assert read_yaml(path) == {"a": 1}

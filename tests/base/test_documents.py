"""How our own files are read, and those of a user."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mockserver.base import data, documents, kept
from mockserver.base.documents import DocumentError, read_ours, read_yaml
from mockserver.base.kept import Kept


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file of a mock that is installed elsewhere."""
    monkeypatch.setattr(data, "PACKAGE", tmp_path / "mockserver")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    path = tmp_path / "openapi" / "v1.yaml"
    path.parent.mkdir()
    path.write_text("a: 1")
    return path


def place(path: Path) -> Path:
    return Kept(path, b"").place


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_of_ours_is_parsed_once(ours: Path) -> None:
    assert read_ours(ours) == {"a": 1}
    assert names(ours.parent) == ["__pycache__", "__pycache__/v1.marshal", "v1.yaml"]
    place(ours).write_bytes(Kept(ours, b"a: 1").octets({"a": 2}))  # it is this that is read
    assert read_ours(ours) == {"a": 2}
    assert read_yaml(ours) == {"a": 1}


def test_another_content_counts_whatever_its_time_and_size(ours: Path) -> None:
    before = ours.stat()
    for text, value in (("a: 1", 1), ("a: 2", 2), ("a: 1", 1)):  # a branch, and back
        ours.write_text(text)
        os.utime(ours, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert read_ours(ours) == {"a": value}


def test_another_parser_reads_anew(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_ours(ours)
    before = place(ours).read_bytes()
    changed = tmp_path / "yamltext.py"
    changed.write_text("# stricter")
    monkeypatch.setattr(kept, "_CODE", [changed])
    kept._code.cache_clear()  # noqa: SLF001  # as a new process has none
    try:
        read_ours(ours)
        assert place(ours).read_bytes() != before
    finally:
        kept._code.cache_clear()  # noqa: SLF001  # as above


def test_what_is_damaged_is_not_read(ours: Path) -> None:
    other = Kept(ours, b"a: 1").octets({"a": 2}).splitlines()
    read_ours(ours)
    whole = place(ours).read_bytes()
    place(ours).write_bytes(b"\n".join([*whole.splitlines()[:2], *other[2:]]))
    assert read_ours(ours) == {"a": 1}
    assert place(ours).read_bytes() == whole


def test_what_is_kept_is_the_same_value_in_the_same_order(ours: Path) -> None:
    value = {"b": [1, True, 1.0, "1", None, {"x": []}], "a": {"x": []}, "1": 0.5, "ü": -(10**20)}
    ours.write_text(json.dumps(value))
    assert [json.dumps(read_ours(ours)) for _ in range(2)] == [json.dumps(value)] * 2


def test_what_is_kept_does_not_depend_on_the_process() -> None:
    code = "import sys; from pathlib import Path; from mockserver.base.kept import Kept; "
    code += "from mockserver.base.documents import read_yaml; path = Path(sys.argv[1]); "
    code += "sys.stdout.buffer.write(Kept(path, b'').octets(read_yaml(path)))"
    path = Path(__file__).parents[2] / "openapi" / "v2.yaml"
    first, second = (
        subprocess.check_output([sys.executable, "-c", code, path], env=env)
        for env in (os.environ | {"PYTHONHASHSEED": seed} for seed in ("1", "2"))
    )
    assert first == second


@pytest.mark.parametrize("size", [0, 10, 67, 70, 135])
def test_half_of_what_is_kept_is_nothing(ours: Path, size: int) -> None:
    read_ours(ours)
    whole = place(ours).read_bytes()
    place(ours).write_bytes(whole[:size])
    assert read_ours(ours) == {"a": 1}
    assert place(ours).read_bytes() == whole


def test_what_is_wrong_is_told_each_time_and_not_kept(ours: Path) -> None:
    ours.write_text("a: 1\na: 2")
    for _ in range(2):
        with pytest.raises(DocumentError, match="line 2, column 1: the key a stands twice"):
            read_ours(ours)
    assert names(ours.parent) == ["v1.yaml"]


def test_where_nothing_can_be_kept_it_is_read_all_the_same(ours: Path) -> None:
    (ours.parent / "__pycache__").touch()
    assert read_ours(ours) == {"a": 1}
    (ours.parent / "__pycache__").unlink()
    place(ours).mkdir(parents=True)
    assert read_ours(ours) == {"a": 1}
    assert names(ours.parent) == ["__pycache__", "__pycache__/v1.marshal", "v1.yaml"]


@pytest.mark.parametrize(
    ("name", "value"), [("dont_write_bytecode", True), ("pycache_prefix", "elsewhere")]
)
def test_nothing_is_written_where_python_writes_nothing(
    ours: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(sys, name, value)
    assert read_ours(ours) == {"a": 1}
    assert names(ours.parent) == ["v1.yaml"]


def test_what_a_check_refuses_is_not_kept(ours: Path) -> None:
    def check(value: object, source: str) -> None:
        raise DocumentError(source, [("/a", f"not good: {value}")])

    for _ in range(2):
        with pytest.raises(DocumentError, match=f"{ours}: /a: not good: {{'a': 1}}"):
            read_ours(ours, check=check)
    read_ours(ours)
    assert read_ours(ours, check=check) == {"a": 1}, "which was checked before"


def test_nothing_is_kept_of_a_file_of_a_user(ours: Path, tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text("password: secret")
    assert read_ours(path) == {"password": "secret"}
    assert not place(path).exists()
    assert ours.exists()


def test_many_may_read_at_once(ours: Path) -> None:
    contents = ["a: 1", "a: 2\nb: " + "x" * 100_000]

    def turn(number: int) -> bool:
        new = ours.with_name(f"{number}.new")
        new.write_text(contents[number % 2])
        new.replace(ours)
        return read_ours(ours)["a"] in {1, 2}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(200)))
    assert names(ours.parent) == ["__pycache__", "__pycache__/v1.marshal", "v1.yaml"]
    assert read_ours(ours) == documents._parsed(ours, ours.read_bytes(), DocumentError)  # noqa: SLF001

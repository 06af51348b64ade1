"""A short run of the fuzzer with a fixed seed; `make fuzz` is the long one."""

import pytest

from fuzz import VERSIONS, fuzz


@pytest.mark.parametrize("version", VERSIONS)
def test_schemathesis_finds_nothing(version: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = fuzz(version, "--seed", "1", "--max-examples", "10")
    output = capfd.readouterr().out
    assert status == 0, output
    assert "No issues found" in output

"""A short run of the fuzzer with a fixed seed; `make fuzz` is the long one."""

import pytest

from fuzz import fuzz


def test_schemathesis_finds_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    failed = fuzz("--seed", "1", "--max-examples", "25")
    output = capfd.readouterr().out
    assert failed == 0, output
    assert output.count("No issues found") == 2

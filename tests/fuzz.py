"""Run Schemathesis over both documents, against a mock in which every well-formed call succeeds."""

import os
import subprocess
import sys
from pathlib import Path

from mockserver import MockServer

ROOT = Path(__file__).parent.parent


def fuzz(*options: str) -> int:
    """Fuzz both versions with the options of `schemathesis run`; return how many runs failed."""
    failed = 0
    with MockServer(ROOT / "fixtures/fuzz.yaml") as mock:
        for version in ("1", "2"):
            # Absent means version 1, so the document cannot require the header: it is pinned here.
            pinned = f"x-keyfactor-api-version: {version}"
            run = f"--config-file tests/schemathesis.toml run openapi/v{version}.yaml -H".split()
            # What is documented but not served yet (PAM providers, OAuth) is refused with a 400.
            left_out = () if version == "1" else ("--exclude-checks", "positive_data_acceptance")
            done = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli", *run, pinned, *left_out, *options],
                cwd=ROOT,
                env=os.environ | {"KEYFACTOR_MOCK_API_URL": mock.api_url},
                check=False,
            )
            failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(fuzz(*sys.argv[1:]))

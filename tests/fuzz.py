"""Run Schemathesis over a document, against a mock in which every well-formed call succeeds."""

import os
import subprocess
import sys
from pathlib import Path

from mockserver import MockServer

ROOT = Path(__file__).parent.parent
VERSIONS = ("1", "2")


def fuzz(version: str, *options: str) -> int:
    """Fuzz one version with options of `schemathesis run`; return the status of the run."""
    # Absent means version 1, so the document cannot require the header: it is pinned here.
    pinned = f"x-keyfactor-api-version: {version}"
    run = f"--config-file tests/schemathesis.toml run openapi/v{version}.yaml -H".split()
    with MockServer(ROOT / "fixtures/fuzz.yaml") as mock:
        return subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", *run, pinned, *options],
            cwd=ROOT,
            env=os.environ | {"KEYFACTOR_MOCK_API_URL": mock.api_url},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(max([fuzz(version, *sys.argv[1:]) for version in VERSIONS]))

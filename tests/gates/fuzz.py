"""Run Schemathesis over a document, against a mock in which every well-formed call succeeds.

And once more against the default world, which refuses by name what it does not have: there all
checks hold but the one that takes such a refusal for a mistake.
"""

import os
import subprocess
import sys
from pathlib import Path

from mockserver import MockServer
from mockserver.server import load_editions

ROOT = Path(__file__).parents[2]
VERSIONS = tuple(load_editions().newest.contract.documents)
CALLERS = {
    "password": ("run", "--auth", "admin:admin-password"),
    "token": ("--config-file", "tests/gates/token.toml", "run"),
}
WORLDS = {"fuzz": (), "default": ("--exclude-checks", "positive_data_acceptance")}


def fuzz(
    version: str, caller: str, *options: str, world: str = "fuzz", edition: str | None = None
) -> int:
    """Fuzz one version with options of `schemathesis run`; return the status of the run."""
    with MockServer(world, edition=edition) as mock:
        # Absent means version 1, so the document cannot require the header: it is pinned here.
        pinned = ("-H", f"x-keyfactor-api-version: {version}", "--url", mock.api_url)
        # What reproduces a finding can be pasted only with its headers.
        complete = ("--output-sanitize", "false")
        return subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", *CALLERS[caller]),
                *(
                    f"{mock.control_url}/openapi/v{version}.json",
                    *pinned,
                    *complete,
                    *WORLDS[world],
                    *options,
                ),
            ],
            cwd=ROOT,
            env=os.environ | {"KEYFACTOR_MOCK_API_URL": mock.api_url},
            check=False,
        ).returncode


if __name__ == "__main__":
    runs = [(version, caller, "fuzz") for version in VERSIONS for caller in CALLERS]
    runs += [(version, "password", "default") for version in VERSIONS]
    status = max(
        fuzz(version, caller, *sys.argv[1:], world=world) for version, caller, world in runs
    )
    for edition in [*load_editions()][:-1]:  # the newest has been done
        for version in edition.contract.documents:
            status |= fuzz(version, "password", *sys.argv[1:], edition=edition.name)
    sys.exit(status)

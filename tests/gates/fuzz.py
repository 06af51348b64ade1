"""Run Schemathesis over a document, against a mock in which every well-formed call succeeds.

And once more against the default world, which refuses by name what it does not have: there all
checks hold but the one that takes such a refusal for a mistake. The documents of resources meet
that world only, as it has the objects.
"""

import os
import subprocess
import sys
from pathlib import Path

from mockserver import MockServer
from mockserver.contract.editions import load_editions

ROOT = Path(__file__).parents[2]
VERSIONS = tuple(load_editions().newest.contract.documents)
CALLERS = {
    "password": ("run", "--auth", "admin:admin-password"),
    "token": ("--config-file", "tests/gates/token.toml", "run"),
}
WORLDS = {"fuzz": (), "default": ("--exclude-checks", "positive_data_acceptance")}


RESOURCES = sorted(path.stem for path in (ROOT / "openapi/resources").glob("*.yaml"))
# A path has the methods of all versions together, of which each of these documents describes one.
LEFT_OUT = "allow_header_conformance,positive_data_acceptance,unsupported_method"
# How many texts are drawn for one that a pattern takes is the luck of a seed.
PATIENT = ("--suppress-health-check", "filter_too_much")


def fuzz_resources(name: str, *options: str) -> int:
    """Fuzz one document of resources in its version, against the default world."""
    version = "2" if name.endswith("-v2") else "1"
    with MockServer() as mock:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", *CALLERS["password"]),
            *(f"openapi/resources/{name}.yaml", "-H", f"x-keyfactor-api-version: {version}"),
            *("--url", mock.api_url, "--output-sanitize", "false"),
            *("--exclude-checks", LEFT_OUT, *PATIENT, *options),
        ]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


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
                    *PATIENT,
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
    for name in RESOURCES:
        status |= fuzz_resources(name, *sys.argv[1:])
    sys.exit(status)

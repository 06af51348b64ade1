"""Write the table of faults from the default world and its schema: `make format` does."""

from pathlib import Path
from typing import Any

import yaml

from mockserver.base.data import data_folder
from mockserver.world import loading as world

Json = dict[str, Any]

PAGE = Path(__file__).parents[2] / "fixtures" / "README.md"
BEGIN = "<!-- made from fixtures/default.yaml and fixtures/schema.yaml -->\n"
END = "<!-- end -->\n"


def faults_table() -> str:
    """Return the table, with the names as a request gives them."""
    loaded = world.load().data
    rows = ["| in a request | what happens |", "|---|---|"]
    for field, entries in (
        ("Host", loaded["relays"]),
        ("TokenEndpoint", loaded["token_endpoints"]),
        ("Provider", loaded["pam_providers"]),
    ):
        rows += [
            f"| `{field}: {name}` | {entry['description']} |"
            for name, entry in entries.items()
            if "description" in entry
        ]
    rows += [
        f"| `Template: {template['CommonName']}` | {template['Fault']} |"
        for template in loaded["resources"]["/Templates"]
        if "Fault" in template
    ]
    rows += [
        f"| `X-Mock-Fault: {rule['x-header']}` | {rule['description']} |"
        for rule in api_faults().values()
    ]
    return "\n".join(rows) + "\n"


def api_faults() -> dict[str, Json]:
    """Return the schema's rules for each key of a fault of the API."""
    schema = yaml.safe_load((data_folder("fixtures") / "schema.yaml").read_text("utf-8"))
    keys: dict[str, Json] = schema["$defs"]["api_fault"]["properties"]
    return keys


def with_table(page: str) -> str:
    """Return the page with the table as it is now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{faults_table()}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""Write the table of editions from their files: `make format` does."""

from pathlib import Path

from mockserver.contract.editions import load_editions

PAGE = Path(__file__).parents[2] / "openapi" / "README.md"
BEGIN = "<!-- made from openapi/editions -->\n"
END = "<!-- end of the editions -->\n"


def editions_table() -> str:
    """Return the table, a line for each thing that an edition has in another way."""
    rows = ["| edition | operation | what | there | newest | mark | source |"]
    rows.append("|---" * 7 + "|")
    for each in load_editions().differences():
        cells = (each.operation, each.what or "offered", each.there, each.here, each.mark)
        rows.append(f"| {each.edition} | {' | '.join(cells)} | {each.source} |")
    return "\n".join(rows) + "\n"


def with_editions(page: str) -> str:
    """Return the page with the table as it is now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{editions_table()}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_editions(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

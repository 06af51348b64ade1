"""Generate clients from both documents, compile them, and let them call a mock: one table."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from generator_tools import TOOLS, Command, Tool
from mockserver import MockServer
from mockserver.contract.editions import load_editions

Json = dict[str, Any]

FOLDER: Final = Path(__file__).parents[3] / "build" / "generators"
PROGRAMS: Final = Path(__file__).parent / "programs"
VERSIONS: Final = [
    version
    for version, each in load_editions().newest.contract.documents.items()
    if "/SMTP/Test" in each["paths"]
]
HEADER: Final = ("tool", "version", "generates", "compiles", "calls")
SECONDS: Final = 600
OPERATIONS: Final = ("get_smtp", "test_smtp", "get_pam_providers")
# How the sink is logged in to, by RelayAuthenticationType.
MECHANISMS: Final = {0: None, 2: "PLAIN", 3: "XOAUTH2"}


class LeftOut(Exception):  # noqa: N818  # no error: the run goes on, and ends well
    """A tool cannot be had on this machine."""


class Failed(Exception):  # noqa: N818  # the tool's error, not this program's
    """A command of a tool that is here, or what came of it, is wrong."""


@dataclass
class Row:
    """What the table says of a tool; a step that failed ends its work."""

    tool: Tool
    cells: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the row in Markdown."""
        cells = [self.cells.get(name, "-") for name in HEADER[2:]]
        return f"| {' | '.join([self.tool.name, self.tool.version, *cells])} |"

    @property
    def failed(self) -> bool:
        """Say whether a step of the tool failed."""
        return "FAILED" in self.cells.values()


@dataclass(frozen=True)
class Bench:
    """One tool at one version of the API, in a folder of its own."""

    tool: Tool
    version: str
    home: Path

    @property
    def folder(self) -> Path:
        """Return where the commands run."""
        return self.home / f"v{self.version}"

    def prepare(self) -> None:
        """Lay out the programs and their bodies in an empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "bodies.json").write_text(json.dumps(examples(self.version)))
        for name, place in self.tool.programs:
            path = self.folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(program(name, self.version))

    def generate(self) -> None:
        """Generate."""
        self._run(self.tool.generate)

    def compile(self) -> None:
        """Compile what was generated, and the program that calls with it."""
        self._run(self.tool.compile)

    def call(self) -> None:
        """Let the program call a mock, and see in the mock that all calls were made."""
        with MockServer() as mock:
            self._run(self.tool.call, url=mock.api_url)
            answered = {call.operation for call in mock.requests if call.status == 200}
            used = [message.mechanism for message in mock.messages]
        missing = {f"{name}_v{self.version}" for name in OPERATIONS} - answered
        bodies = examples(self.version)[: 1 if self.tool.first_example else None]
        wanted = [MECHANISMS[body["RelayAuthenticationType"]] for body in bodies]
        if missing or used != wanted:
            raise Failed(f"calls without success: {missing or 'none'}; logins: {used}")

    def _run(self, commands: Iterable[Command], **values: str) -> None:
        site = next(self.home.glob("venv/lib/*/site-packages"), self.home)
        places = {
            "bodies": "bodies.json",
            "document": str(FOLDER / f"v{self.version}.json"),
            "home": str(self.home),
            "site": str(site),
        }
        for command in commands:
            filled = [part.format_map(places | values) for part in command]
            run(list(globbed(filled, self.folder)), self.folder, environment(self.home))


STEPS: Final = {"generates": Bench.generate, "compiles": Bench.compile, "calls": Bench.call}


@cache
def examples(version: str) -> list[Json]:
    """Give the bodies of the document's own examples; each works in the default world."""
    operation = load_editions().newest.contract.documents[version]["paths"]["/SMTP/Test"]["post"]
    found = operation["requestBody"]["content"]["application/json"]["examples"]
    return [example["value"] for example in found.values()]


def program(name: str, version: str) -> str:
    """Return the text of a program for a version, without the lines of the other one."""
    lines = (PROGRAMS / name).read_text().splitlines(keepends=True)
    other = re.compile(f"only in version [^{version}]$")
    text = "".join(line for line in lines if not other.search(line))
    return text.replace("@V@", version).replace("@BODIES@", json.dumps(examples(version)))


def globbed(parts: Iterable[str], folder: Path) -> Iterator[str]:
    """Give the parts of a command; one with an asterisk becomes the files that it matches."""
    for part in parts:
        if "*" in part:
            yield from (str(path.relative_to(folder)) for path in folder.glob(part))
        else:
            yield part


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which everything is kept in the folder."""
    caches = {
        name: str(FOLDER / "cache" / name.lower())
        for name in ("GOCACHE", "GOPATH", "PIP_CACHE_DIR", "npm_config_cache")
    }
    path = f"{home / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # Of Go's modules none can be needed, and no other toolchain is fetched.
    go = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    return os.environ | caches | go | {"PATH": path, "PYTHONPATH": ""}


def run(command: list[str], folder: Path, env: dict[str, str]) -> None:
    """Run a command to its end; Failed with its output."""
    print("+", *(part.replace(f"{FOLDER}/", "") for part in command), flush=True)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from None
    if done.returncode:
        raise Failed(done.stdout)


def install(tool: Tool, home: Path) -> None:
    """Install the packages of a tool in its folder, once; LeftOut where that cannot be done."""
    for name in tool.needs:
        if shutil.which(name) is None:
            raise LeftOut(f"left out: {name} is not here")
    stamp, wanted = home / "installed", " ".join([*tool.packages, *tool.modules])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for command in installers(tool, home):
        try:
            run(command, home, environment(home))
        except Failed as failure:
            print(failure, flush=True)
            raise LeftOut(f"left out: {wanted} cannot be installed") from None
    stamp.write_text(wanted)


def installers(tool: Tool, home: Path) -> Iterator[list[str]]:
    """Give the commands that install a tool's packages."""
    if tool.pip:
        yield [sys.executable, "-m", "venv", "--without-pip", "venv"]
        pip = ["-m", "pip", "--python", str(home / "venv" / "bin" / "python"), "install", "--quiet"]
        yield [sys.executable, *pip, *tool.packages]
    if tool.npm:
        yield ["npm", "install", "--silent", "--prefix", str(home), *tool.modules]


def row(tool: Tool) -> Row:
    """Try a tool with both documents, and say how far it comes."""
    made = Row(tool)
    home = FOLDER / re.sub("[^a-z]+", "-", tool.name.lower())
    benches = [Bench(tool, version, home) for version in VERSIONS]
    try:
        install(tool, home)
        for bench in benches:
            bench.prepare()
        for name, step in STEPS.items():
            if getattr(tool, step.__name__):
                made.cells[name] = "FAILED"
                for bench in benches:
                    step(bench)
                made.cells[name] = "yes"
    except LeftOut as reason:
        made.cells["generates"] = str(reason)
    except Failed as failure:
        print(failure, flush=True)
    return made


def main(wanted: list[str]) -> int:
    """Print the table of all tools, or of those whose name holds a word; 1 where one failed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for version in VERSIONS:
        printed = subprocess.check_output([sys.executable, "-m", "mockserver", "openapi", version])
        (FOLDER / f"v{version}.json").write_bytes(printed)
    tools = [tool for tool in TOOLS if not wanted or any(word in tool.name for word in wanted)]
    rows = [row(tool) for tool in tools]
    print(f"\n| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", *rows, sep="\n")
    return int(any(made.failed for made in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Measure speed and memory as ratios to a reference in the same run: `make bench`.

Medians of sequential calls over one connection, in milliseconds; ours and the reference take turns.
Before them closed loops of 1 and 32 connections, by `load.py`. `BASELINE=commit` builds that beside
ours. Where a row says which ratio is wanted, it says as well whether that is reached.
"""

import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import load
import reference
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mockserver import MockServer
from mockserver.base.certificates import Authority
from mockserver.base.loops import new_event_loop
from mockserver.contract.editions import load_editions
from mockserver.journal.coverage import Coverage
from mockserver.journal.trace import Asked

PATH = "/KeyfactorAPI/SMTP/Test"
PRISM = "node_modules/.bin/prism"

ROUNDS = 15
CALLS = 100
STARTS = 15
LOADS = 3
SECONDS = 10.0
MAIL = {
    "Host": "relay.test",
    "Port": 587,
    "SenderAccount": "jsmith@keyexample.com",
    "SenderName": "Keyfactor Command",
    "TestRecipient": "mjones@keyexample.com",
}
OAUTH = {
    "Host": "smtp.keyexample.com",
    "UseSSL": True,
    "RelayAuthenticationType": 3,
    "RelayUsername": {"SecretValue": "command@keyexample.com"},
    "SenderAccount": "command@keyexample.com",
    "ClientId": {"SecretValue": "command-email"},
    "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
}
NEW = load.NUMBER.decode()
BARE = str(Path(__file__).with_name("bare.py"))
OTHERS = [word for name in ("https", "smtp", "smtps") for word in (f"--{name}-port", "0")]
CREDENTIALS = b64encode(b"admin:admin-password").decode()


def request(path: str, body: dict[str, Any]) -> bytes:
    """Write a request of the API as bytes."""
    content = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {CREDENTIALS}\r\n"
        "x-keyfactor-requested-with: APIClient\r\nx-keyfactor-api-version: 2\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content


class Connection:
    """One HTTP connection that sends prepared bytes and reads answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def call(self, raw: bytes) -> int:
        """Send a request; return the status of the answer, read whole."""
        self._socket.sendall(raw)
        status = int(self._file.readline().split()[1])
        length: int | None = 0
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"transfer-encoding":
                length = None
        if length is None:
            while size := int(self._file.readline(), 16):
                self._file.read(size + 2)
            length = 2
        self._file.read(length)
        return status


@contextmanager
def mock(
    folder: str, level: str = "error", tree: str | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve the mock in a process of its own; give it and its port for HTTP.

    `tree` is a folder with another build of it. What it logs is read.
    """
    ready = Path(folder, "ready.json")
    options = ["--port", "0", *OTHERS, "--ready-file", str(ready), "--log-level", level]
    command = [sys.executable, "-m", "mockserver", "serve", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | ({"PYTHONPATH": tree} if tree else {}),
        cwd=tree,
    )
    threading.Thread(target=read_to_end, args=[process.stderr], daemon=True).start()
    assert process.stdout is not None
    try:
        process.stdout.readline()  # which comes when the file is there
        yield process, int(json.loads(ready.read_text())["url"].rpartition(":")[2])
    finally:
        process.stdout.close()
        process.terminate()
        process.wait()


def read_to_end(pipe: BinaryIO) -> None:
    """Read what nobody looks at."""
    while pipe.read1(65_536):  # type: ignore[attr-defined]  # it is buffered
        pass


@contextmanager
def built(commit: str) -> Iterator[str]:
    """Check out a commit; give its folder."""
    folder = str(Path("build/baseline").absolute())
    subprocess.run(["git", "worktree", "add", "--force", "--detach", folder, commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", folder], check=True)


@contextmanager
def bare() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve the bare endpoint in a process of its own; give it and its port."""
    process = subprocess.Popen([sys.executable, BARE, "0"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.stdout.close()
        process.terminate()
        process.wait()


@contextmanager
def begun(command: list[str], tree: str | None = None) -> Iterator[int]:
    """Start what listens on the port that ends its command; give that as soon as it does."""
    port = free_port()
    process = subprocess.Popen(
        [*command, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | ({"PYTHONPATH": tree} if tree else {}),
        cwd=tree,
    )
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def in_turns(*calls: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of each call."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, found in zip(calls, times, strict=True):
            for _ in range(CALLS):
                started = time.perf_counter()
                call()
                found.append((time.perf_counter() - started) * 1_000)
    return [statistics.median(found) for found in times]


def cold_starts(
    *calls: tuple[Callable[[], AbstractContextManager[int | None]], bytes],
) -> list[float]:
    """Return the median milliseconds from the start of each process to its first answer."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(STARTS):
        for (serve, raw), found in zip(calls, times, strict=True):
            started = time.perf_counter()
            with serve() as port:
                assert port is not None
                Connection(port).call(raw)
                found.append((time.perf_counter() - started) * 1_000)
    return [statistics.median(found) for found in times]


def resident(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of a process in MiB (Linux)."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1_024


def row(name: str, what: str, ours: float, theirs: float, *, wanted: str = "") -> None:
    """Print one line of the table; `wanted` is the ratio, such as `<= 4`."""
    ratio = ours / theirs
    if wanted:
        sign, limit = wanted.split()
        reached = ratio <= float(limit) if sign == "<=" else ratio >= float(limit)
        what += f"; wanted {wanted}: {'pass' if reached else 'MISS'}"
    print(f"{name:34} {ours:9.3f} {theirs:9.3f} {ratio:7.2f}  {what}", flush=True)


def first_starts(*servers: tuple[str, str]) -> list[float]:
    """Return the median milliseconds of first starts in processes that have imported it all.

    Each is a class of a module, and a folder to import it from.
    """
    times: list[list[float]] = [[] for _ in servers]
    for _ in range(STARTS):
        for (name, folder), found in zip(servers, times, strict=True):
            module, _, own = name.rpartition(".")
            code = f"import time, {module} as m; t = time.perf_counter(); s = m.{own}()"
            code += (
                "; s.__enter__(); print((time.perf_counter() - t) * 1e3); s.__exit__(*[None] * 3)"
            )
            said = subprocess.check_output([sys.executable, "-c", code], cwd=folder)
            found.append(float(said))
    return [statistics.median(found) for found in times]


def start_and_stop(make: Callable[[], AbstractContextManager[object]]) -> tuple[float, float]:
    """Return the median milliseconds of a start and of a stop, in a process that is warm."""
    starts, stops = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with make():
            running = time.perf_counter()
        starts.append((running - began) * 1_000)
        stops.append((time.perf_counter() - running) * 1_000)
    return statistics.median(starts), statistics.median(stops)


def in_threads() -> None:
    """Print how long a mock in a thread takes to start, to reset and to stop."""
    ours, theirs = start_and_stop(MockServer), start_and_stop(reference.UvicornThread)
    for name, pair in zip(("start", "stop"), zip(ours, theirs, strict=True), strict=True):
        row(f"{name} in a thread, ms", "the same", *pair)
    with MockServer() as server:
        row("reset, ms", "uvicorn's stop and start", in_turns(server.reset)[0], sum(theirs))


@contextmanager
def prism() -> Iterator[int | None]:
    """Serve our document of version 2 by Prism; give its port, or None where there is no npm."""
    if shutil.which("npm") is None:
        yield None
        return
    # It stays where `make clean` finds it.
    home = Path("build/prism").absolute()
    if not (home / PRISM).exists():
        command = ["npm", "install", "--silent", "--prefix", str(home), "@stoplight/prism-cli@5.15"]
        subprocess.run(command, check=True)
    with begun([str(home / PRISM), "mock", "openapi/v2.yaml", "--port"]) as port:
        yield port


def free_port() -> int:
    """Return a port that is free, and that no client is given: one that waits could meet itself."""
    for port in range(20_000, 30_000):
        with suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            return port
    raise SystemExit("no port is free")


def await_port(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.001)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")


def refusals(folder: str, ours: Connection) -> None:
    """Print how long it takes to refuse a body."""
    refused = request(PATH, MAIL | {"Port": 0})
    elsewhere = request("/", MAIL | {"Port": 0})
    with bare() as (_, port):
        theirs = Connection(port)
        medians = in_turns(lambda: ours.call(refused), lambda: theirs.call(elsewhere))
        row("refused body, ms", "bare Starlette endpoint", *medians)
    with prism() as other:
        if other is not None:
            theirs, to_prism = Connection(other), request("/SMTP/Test", MAIL | {"Port": 0})
            medians = in_turns(lambda: ours.call(refused), lambda: theirs.call(to_prism))
            row("refused body, ms", "Prism on the same document", *medians)
    with mock(folder, "info") as (_, port):
        talking = Connection(port)
        medians = in_turns(lambda: talking.call(refused), lambda: ours.call(refused))
        row("refused body with a log line, ms", "without", *medians)


def starts(folder: str) -> None:
    """Print how long the checkout and an installed wheel take to start."""
    wheel = str(Path(folder, "wheel"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--target", wheel, "."], check=True)
    refused = request(PATH, MAIL | {"Port": 0})
    serve = [sys.executable, "-m", "mockserver", "serve", *OTHERS, "--ready-file"]
    serve += [str(Path(folder, "ready.json")), "--port"]
    ours, installed, theirs = cold_starts(
        (lambda: begun(serve), refused),
        (lambda: begun(serve, tree=wheel), refused),
        (lambda: begun([sys.executable, BARE]), request("/", MAIL | {"Port": 0})),
    )
    usual = "bare Starlette endpoint"
    row("cold start of a checkout, ms", usual, ours, theirs, wanted="<= 1.7")
    row("the same of an installed wheel, ms", usual, installed, theirs, wanted="<= 1.7")
    if shutil.which("npm") is not None:
        [start] = cold_starts((prism, request("/SMTP/Test", MAIL | {"Port": 0})))
        row("cold start of a checkout, ms", "Prism on the same document", ours, start)
    server = "mockserver.server.MockServer"
    ours, installed, theirs = first_starts(
        (server, "."), (server, wheel), ("reference.UvicornThread", str(Path(__file__).parent))
    )
    row("first start in a thread, ms", "uvicorn in a thread", ours, theirs)
    row("the same", "15 ms", ours, 15.0, wanted="<= 1")
    row("the same of an installed wheel, ms", "15 ms", installed, 15.0, wanted="<= 1")


def loads(folder: str) -> None:
    """Print how ours does under load: refusals and deliveries, with a full journal and its log."""
    refused, plain, starttls = (
        request(PATH, MAIL | more) for more in ({"Port": 0}, {"Port": 25}, {"UseSSL": True})
    )
    with ExitStack() as stack:
        _, port = stack.enter_context(mock(folder, "info"))
        calls = {
            "refused": (port, refused),
            "another each time": (port, request(PATH, MAIL | {"Port": 0, "SenderName": NEW})),
            "delivered": (port, plain),
            "bare": (stack.enter_context(bare())[1], request("/", MAIL)),
        }
        if (other := stack.enter_context(prism())) is not None:
            calls["Prism"] = other, request("/SMTP/Test", MAIL | {"Port": 0})
        if commit := os.environ.get("BASELINE"):
            tree = stack.enter_context(built(commit))
            _, old = stack.enter_context(mock(folder, "info", tree))
            calls["baseline"], calls["baseline, STARTTLS"] = (old, plain), (old, starttls)
            calls["STARTTLS"] = port, starttls
        found = in_rounds(calls)
    several = {name: found[name, 32]["rate"] for name in calls}
    one = {name: found[name, 1] for name in calls}
    usual, name = "bare Starlette endpoint", "refused, 32 connections, calls/s"
    row(name, usual, several["refused"], several["bare"], wanted=">= 0.45")
    if "Prism" in calls:
        row(
            name,
            "Prism on the same document",
            several["refused"],
            several["Prism"],
            wanted=">= 4.5",
        )
    name = "the same, another body each time"
    row(name, usual, several["another each time"], several["bare"])
    row(
        "refused, 1 connection, ms",
        usual,
        one["refused"]["p50"],
        one["bare"]["p50"],
        wanted="<= 2.0",
    )
    for name in ("refused", "delivered"):
        row(f"{name}, p99 ms", "its median", one[name]["p99"], one[name]["p50"], wanted="<= 4")
    if "baseline" in calls:
        name = "delivered, 32 connections, calls/s"
        row(name, f"build of {commit}", several["delivered"], several["baseline"], wanted=">= 1.5")
        name = "the same with STARTTLS"
        row(name, "that build", several["STARTTLS"], several["baseline, STARTTLS"], wanted=">= 1.0")


def in_rounds(calls: dict[str, tuple[int, bytes]]) -> dict[tuple[str, int], dict[str, float]]:
    """Return the medians of what `load.py` says, by call and connections, after one round more."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(LOADS + 1):
        for name, (port, raw) in calls.items():
            for connections in (1, 32):
                words = [load.__file__, str(port), str(connections), str(SECONDS)]
                said = subprocess.check_output([sys.executable, *words], input=raw)
                found.setdefault((name, connections), []).append(json.loads(said))
    return {
        key: {each: statistics.median(one[each] for one in all_[1:]) for each in all_[0]}
        for key, all_ in found.items()
    }


def versions() -> None:
    """Print how long a process takes to tell its version."""
    code = "import starlette.applications, uvicorn"
    told, imported = (
        of_process([sys.executable, *words])
        for words in (["-m", "mockserver", "--version"], ["-c", code])
    )
    row(
        "keyfactor-mock --version, ms",
        "importing Starlette and uvicorn",
        told,
        imported,
        wanted="<= 1",
    )


def of_process(command: list[str]) -> float:
    """Return the median milliseconds of a process."""
    times = []
    for _ in range(STARTS):
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - started) * 1_000)
    return statistics.median(times)


def deliveries(ours: Connection) -> None:
    """Print how long it takes to deliver a mail."""
    plain, starttls = (request(PATH, MAIL | {"UseSSL": tls}) for tls in (False, True))
    authority = Authority()
    contexts = (authority.server_context(reference.HOST), authority.client_context())
    loop = new_event_loop()
    asyncio.set_event_loop(loop)

    def bare_mail(*tls: Any) -> Callable[[], object]:  # noqa: ANN401  # contexts or None
        return lambda: loop.run_until_complete(reference.exchange(*tls))

    medians = in_turns(lambda: ours.call(plain), bare_mail(None, None))
    row("delivered mail, ms", "aiosmtplib + aiosmtpd, no HTTP", *medians)
    medians = in_turns(lambda: ours.call(starttls), bare_mail(*contexts))
    row("delivered with STARTTLS, ms", "the same with STARTTLS", *medians)
    loop.close()


def coverage(ours: Connection) -> None:
    """Print how long it takes to count what a call tries, beside what it may take of the call."""
    operations = load_editions().newest.contract.operations
    with MockServer() as server:
        for name, port in (("refused", 0), ("delivered", 25)):
            body = MAIL | {"Port": port}
            Connection(server.port("http") or 0).call(request(PATH, body))
            [exchange], world = server.requests, server.world
            server.reset()
            asked = None if port == 0 else Asked(body, {}, ())
            known = Coverage(operations, world)
            count = partial(known.count, exchange.operation, exchange, world, asked)
            medians = in_turns(count, partial(ours.call, request(PATH, body)))
            row(f"coverage of a {name} call, ms", "2 % of it", medians[0], medians[1] / 50)


def enrolments(ours: Connection) -> None:
    """Print how long it takes to issue a certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web01.keyexample.com")])
    names = x509.SubjectAlternativeName([x509.DNSName("web01.keyexample.com")])
    builder = x509.CertificateSigningRequestBuilder(name).add_extension(names, critical=False)
    signed = builder.sign(key, hashes.SHA256())
    body = {"CSR": signed.public_bytes(Encoding.PEM).decode(), "Template": "WebServer"}
    form = b"x-certificateformat: PEM\r\nContent-Type"
    enrol, refused = (
        request("/KeyfactorAPI/Enrollment/CSR", sent).replace(b"Content-Type", form)
        for sent in (body, {**body, "Template": "Nobody"})
    )
    if (ours.call(enrol), ours.call(refused)) != (200, 400):
        raise SystemExit("a certificate is not issued as it should be")
    whole, call, theirs = in_turns(
        lambda: ours.call(enrol), lambda: ours.call(refused), lambda: reference.issued(body["CSR"])
    )
    row("issued certificate, ms", "cryptography alone, no HTTP", whole, theirs)
    row("the same without its call, ms", "the same", whole - call, theirs, wanted="<= 1.5")


def memory(folder: str) -> None:
    """Print what 100,000 calls leave behind, half of them refused, half delivered.

    Then each fourth of 10,000 more goes by STARTTLS, and each fourth with a token too.
    """
    with mock(folder) as (process, port):
        ours = Connection(port)
        many(ours, 1_000)
        before = resident(process)
        many(ours, 99_000)
        after = resident(process)
        row("memory after 100,000 calls, MiB", "after 1,000", after, before)
        mixed = [MAIL | {"Port": 0}, MAIL, MAIL | {"UseSSL": True}, MAIL | OAUTH]
        for raw in [request(PATH, body) for body in mixed] * 2_500:
            ours.call(raw)
        mix = resident(process)
    with bare() as (other, port):
        theirs, elsewhere = Connection(port), request("/", MAIL)
        for _ in range(10_000):
            theirs.call(elsewhere)
        name = "bare Starlette after 10,000"
        row("the same", name, after, resident(other), wanted="<= 1.75")
    row("memory with TLS and OAuth, MiB", "what is wanted", mix, 70, wanted="<= 1")


def many(ours: Connection, calls: int, **more: Any) -> None:  # noqa: ANN401  # of the body
    """Make many calls, half of them refused, half delivered."""
    refused, delivered = (request(PATH, MAIL | {"Port": port} | more) for port in (0, 587))
    for _ in range(calls // 2):
        ours.call(refused)
        ours.call(delivered)


def memory_of_all(process: subprocess.Popen[bytes], ours: Connection) -> None:
    """Print what is left of all loads and certificates, which were before, and of tokens."""
    many(ours, 2_000, **OAUTH)
    many(ours, 2_000)
    row("memory with 1,500 certificates, MiB", "with TLS and OAuth", resident(process), 70)


def installed(folder: str, packages: list[str]) -> float:
    """Install packages in an empty environment; return how many seconds that took."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", "--clear", f"{folder}/bare"], check=True)
    pip = [f"{folder}/bare/bin/pip", "install", "--quiet", *packages]
    subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def first_hour(folder: str) -> None:
    """Print how long a newcomer waits for a first mail, in seconds, with a warm package cache."""
    clone, ready = str(Path(folder, "clone")), Path(folder, "first.json")
    subprocess.run(["git", "clone", "--quiet", ".", clone], check=True)
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    _ = installed(folder, project["dependencies"])  # which fills the cache
    theirs = installed(folder, project["dependencies"])
    began = time.perf_counter()
    options = f"SERVE=--https-port none --smtp-port none --smtps-port none --ready-file {ready}"
    command = ["make", "run", "PORT=0", options]
    with Path(folder, "make.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=clone, stdout=log, stderr=log)
    try:
        while not ready.exists() and process.poll() is None:
            time.sleep(0.01)
        port = int(json.loads(ready.read_text())["url"].rpartition(":")[2])
        Connection(port).call(request(PATH, MAIL | {"Port": 25}))
        ours = time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()
    row("make run to its first mail, s", "installing what it needs", ours, theirs, wanted="<= 1.3")


def main() -> None:
    """Print the table."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever measures starts has started before
    print(f"{'':34} {'ours':>9} {'reference':>9} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        loads(folder)
    with tempfile.TemporaryDirectory() as folder, mock(folder) as (process, port):
        ours = Connection(port)
        for wrong, status in ((0, 400), (25, 200)):
            if ours.call(request(PATH, MAIL | {"Port": wrong})) != status:
                raise SystemExit("the mock does not answer as it should")
        refusals(folder, ours)
        deliveries(ours)
        coverage(ours)
        enrolments(ours)
        memory_of_all(process, ours)
    with tempfile.TemporaryDirectory() as folder:
        memory(folder)
    versions()
    with tempfile.TemporaryDirectory() as folder:
        starts(folder)
    in_threads()
    with tempfile.TemporaryDirectory() as folder:
        first_hour(folder)


if __name__ == "__main__":
    main()

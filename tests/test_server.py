"""MockServer: start, stop, failure, in a thread and on a loop."""

import asyncio
import json
import shutil
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import pytest
import uvloop

import mockserver
from mockserver import MockServer, SettingError
from mockserver.base.certificates import CertificateError
from mockserver.base.sockets import BindError, is_loopback
from mockserver.world.reading import WorldError
from support import ADMIN, PATH, V2, Json, calling


def open_port(port: int | None) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port or 0)) == 0


def test_a_stopped_mock_leaves_no_port_and_no_thread() -> None:
    before = threading.active_count()
    with MockServer(https_port=0, smtp_port=0, smtps_port=0) as mock:
        ports = [mock.port(name) for name in ("http", "https", "smtp", "smtps")]
        assert all(open_port(port) for port in ports)
    assert not any(open_port(port) for port in ports)
    assert threading.active_count() == before


def send(mock: MockServer, **changes: object) -> int:
    with calling(mock) as caller:
        return caller.send("2", V2 | changes).status_code


SLOW: Json = {"relays": {"slow.test": {"delay": 0.2}}}


def test_a_stopped_mock_starts_again_as_new() -> None:
    mock = MockServer(SLOW, smtp_port=0)
    mock.patch_world({"product_version": "1.0"})
    with mock:
        view = mock.namespace("job")
        view.patch_world({"lenient": True})
        assert mock.world.product_version == "1.0"
        assert send(mock) == 200
        ca = mock.ca_pem
    (message,), (exchange,) = mock.messages, mock.requests  # what was there last can be read
    assert message.request_id == exchange.id
    with mock, ThreadPoolExecutor() as pool:
        assert (mock.messages, mock.requests) == ((), ())
        assert mock.world.product_version == MockServer().world.product_version
        assert not view.world.lenient
        assert mock.ca_pem == ca  # who trusts it need not learn another
        with pytest.raises(TimeoutError):
            mock.wait_for_message(timeout=0.05)
        waiting = pool.submit(mock.wait_for_message, subject="test", timeout=10)
        assert send(mock, Host="slow.test") == 200
        assert waiting.result() == mock.messages[0]
        assert mock.requests[0].duration_ms > 200
        with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0) as client:
            client.sendmail("a@b.test", ["c@d.test"], b"Subject: outside\r\n\r\n")
        assert len(mock.messages) == 2


def test_it_starts_again_on_another_loop_and_in_a_thread() -> None:
    mock = MockServer(SLOW)
    ports = []

    async def scenario() -> None:
        async with mock:
            ports.append(mock.port("http"))
            assert not mock.messages
            waiting = asyncio.create_task(mock.next_message(timeout=10))
            assert await asyncio.to_thread(send, mock, Host="slow.test") == 200
            assert await waiting == mock.messages[0]
            assert mock.requests[0].duration_ms > 200
            await mock.stop()  # and once more at the end of the block
        assert len(mock.messages) == 1

    for _ in range(2):
        asyncio.run(scenario())
        with mock:
            ports.append(mock.port("http"))
            assert not mock.messages
            assert send(mock) == 200
    assert not any(open_port(port) for port in ports)


def test_a_mock_that_could_not_start_may_start_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mock = MockServer(SLOW, smtp_port=taken.getsockname()[1])
        with pytest.raises(BindError), mock:
            pass
    with mock:
        assert send(mock, Host="slow.test") == 200
        assert mock.requests[0].duration_ms > 200


def test_a_mock_that_runs_cannot_be_started_again() -> None:
    async def on_a_loop(mock: MockServer) -> None:
        async with mock:
            pass

    before = threading.active_count()
    with MockServer() as mock:
        for start in (mock.__enter__, lambda: asyncio.run(on_a_loop(mock))):
            with pytest.raises(RuntimeError, match="runs already"):
                start()
        assert send(mock) == 200  # and it goes on as if nothing had been
        assert len(mock.messages) == 1
    assert threading.active_count() == before


def test_urls_name_what_a_client_is_configured_with() -> None:
    with MockServer(https_port=0, base_path="Keyfactor/API/") as mock:
        assert mock.url == f"http://127.0.0.1:{mock.port('http')}"
        assert mock.https_url == f"https://localhost:{mock.port('https')}"
        assert mock.api_url == f"{mock.url}/Keyfactor/API"
        assert mock.token_url == f"{mock.control_url}/idp/token" == f"{mock.url}/_mock/idp/token"
        with calling(mock) as caller:
            assert caller.send("2", V2, path="/keyfactor/api/smtp/test").status_code == 200
            assert caller.send("2", V2).status_code == 404


def test_the_api_has_a_url_on_https_too() -> None:
    with MockServer(https_port=0, base_path="/K") as mock:
        trust = ssl.create_default_context(cafile=mock.ca_file)
        job = mock.namespace("job")
        assert mock.https_api_url == f"{mock.https_url}/K"
        assert job.https_api_url == f"{mock.https_url}/_mock/ns/job/K"
        for url in (mock.https_api_url, job.https_api_url):
            assert httpx2.get(f"{url}/SMTP", verify=trust).status_code == 401
        assert (len(mock.requests), len(job.requests)) == (1, 1)
    with MockServer() as mock:
        assert mock.https_api_url is mock.namespace("job").https_api_url is None


def test_the_ca_file_is_private_and_goes_with_the_mock() -> None:
    mock = MockServer(https_port=0)
    paths = set()
    for _ in range(2):
        with mock, ThreadPoolExecutor(8) as pool:
            (path,) = set(pool.map(lambda _: mock.ca_file, range(8)))  # made once
            assert path == mock.namespace("job").ca_file
            assert path.read_bytes() == mock.ca_pem
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            paths.add(path)
        with pytest.raises(RuntimeError, match="while the mock runs"):
            _ = mock.ca_file

    async def scenario() -> None:
        async with mock:
            paths.add(mock.ca_file)

    asyncio.run(scenario())
    assert len(paths) == 3
    assert not any(path.parent.exists() for path in paths)


def test_a_mock_that_nobody_asks_has_no_ca_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with MockServer(https_port=0) as mock:
        assert list(tmp_path.iterdir()) == []
        assert mock.ca_file.parent.parent == tmp_path
        shutil.rmtree(mock.ca_file.parent)  # somebody tidied up: no reason to fail
    assert list(tmp_path.iterdir()) == []


def test_the_ca_file_is_right_for_a_certificate_of_ones_own_and_for_mail(tmp_path: Path) -> None:
    """One file that holds key and certificate is usual; the key stays in there."""
    own = tmp_path / "own.pem"
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.pem"
        " -out certificate.pem -subj /CN=x -addext subjectAltName=DNS:localhost -days 1"
    )
    subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    certificate = (tmp_path / "certificate.pem").read_text()
    own.write_text(own.read_text() + certificate)
    with MockServer(https_port=0, smtp_port=0, tls_files=(own, own)) as mock:
        own.unlink()  # read once, like the key
        assert mock.ca_file.read_text() == certificate + mock.ca_pem.decode()
        trust = ssl.create_default_context(cafile=mock.ca_file)
        assert httpx2.get(f"{mock.https_url}/livez", verify=trust).status_code == 200
        with smtplib.SMTP("localhost", mock.port("smtp") or 0) as client:
            client.starttls(context=trust)


def test_a_listener_can_be_off() -> None:
    with MockServer(http_port=None, https_port=0) as mock:
        assert mock.port("http") is None
        assert mock.url == mock.https_url
    with MockServer() as mock:
        assert mock.https_url is None
        assert mock.port("smtp") is None


@pytest.mark.parametrize("listener", ["http_port", "https_port", "smtp_port", "smtps_port"])
def test_a_taken_port_raises_in_the_caller_and_leaves_nothing(listener: str) -> None:
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=f"port {port}"), MockServer(**{listener: port}):
            pass
    assert threading.active_count() == before
    with MockServer(**{listener: port}):  # and the port is free again
        pass


URLS = ["url", "api_url", "https_url", "https_api_url", "control_url", "token_url"]


@pytest.mark.parametrize("name", URLS)
def test_a_mock_has_no_url_before_its_start(name: str) -> None:
    mock = MockServer(https_port=0)
    with pytest.raises(RuntimeError, match="use `with` first"):
        getattr(mock, name)
    with mock:
        assert getattr(mock, name).startswith("http")


def test_a_host_that_others_reach_has_to_be_permitted_and_is_guarded() -> None:
    with pytest.raises(SettingError, match=r"0\.0\.0\.0: other machines .* allow_remote"):
        MockServer(host="0.0.0.0")
    assert MockServer().control_token is None
    with MockServer(host="0.0.0.0", allow_remote=True) as mock:
        assert len(mock.control_token or "") > 16
        assert httpx2.get(mock.control_url).status_code == 401
        token = {"X-Mock-Token": mock.control_token or ""}
        assert httpx2.get(mock.control_url, headers=token).status_code == 200


def test_a_mock_without_any_listener_is_refused() -> None:
    with pytest.raises(SettingError, match="every listener is off"):
        MockServer(http_port=None)


@pytest.mark.parametrize(
    "path", ["", "/", "/_mock", "/_MOCK/x", "/a//b", "/a?b", "/%41", "/a/..", "/a\n", "/a\x7f"]
)
def test_a_base_path_that_cannot_be_used_is_refused(path: str) -> None:
    with pytest.raises(SettingError, match=r"base path .* without [?] # % "):
        MockServer(base_path=path)


@pytest.mark.parametrize("token", ["", " a", "a\nb", "a\tb", "é", "\x7f"])
def test_a_control_token_that_no_header_can_have_is_refused(token: str) -> None:
    with pytest.raises(SettingError, match="visible characters of ASCII"):
        MockServer(control_token=token)


@pytest.mark.parametrize(
    ("host", "told"), [("", "is empty"), (".", "is empty"), ("::x", "neither")]
)
def test_a_host_that_is_none_is_refused(host: str, told: str) -> None:
    with pytest.raises(SettingError, match=f"the host .*{told}"):
        MockServer(host=host, allow_remote=True)


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost.", "[::1]", "0:0:0:0:0:0:0:1"])
def test_every_spelling_of_this_machine_is_no_other(host: str) -> None:
    with MockServer(host=host) as mock:
        assert mock.control_token is None
        assert httpx2.get(f"{mock.url}/livez").status_code == 200


def test_a_tls_name_that_cannot_be_used_raises_in_the_caller() -> None:
    with pytest.raises(CertificateError, match="a b"), MockServer(https_port=0, tls_names=("a b",)):
        pass


def test_another_loopback_address_has_its_own_https_url() -> None:
    with MockServer(host="127.0.0.2", https_port=0) as mock:
        trust = ssl.create_default_context(cadata=mock.ca_pem.decode())
        assert (mock.https_url or "").startswith("https://127.0.0.2:")
        assert httpx2.get(f"{mock.https_url}/livez", verify=trust).status_code == 200


def test_a_bad_world_raises_in_the_caller() -> None:
    with pytest.raises(WorldError, match="usres"):
        MockServer({"usres": {}})


def test_a_world_is_a_patch_over_the_default_world() -> None:
    world = {"users": {"ci": {"domain": "X", "password": "p", "roles": ["Administrator"]}}}
    with MockServer(world) as mock, calling(mock) as caller:
        assert caller.send("2", V2, auth=("ci@x", "p")).status_code == 200
        assert caller.send("2", V2).status_code == 200
        assert mock.world.users["ci"].domain == "X"


def test_the_journal_is_read_as_values() -> None:
    with MockServer() as mock, calling(mock) as caller:
        caller.send("2", V2)
        (message,), (exchange,) = mock.messages, mock.requests
        assert message.request_id == exchange.id
        assert mock.wait_for_message(recipient="mjones@keyexample.com") == message
        mock.reset()
        assert (mock.messages, mock.requests) == ((), ())


def test_waiting_ends_with_an_explanation() -> None:
    with MockServer() as mock:
        with pytest.raises(TimeoutError, match=r"within 0\.05 s with recipient='x'"):
            mock.wait_for_message(recipient="x", timeout=0.05)
        with pytest.raises(TimeoutError, match="found none of 0"):
            mock.wait_for_message(timeout=0.05)
        with pytest.raises(ValueError, match="no filter to"):
            mock.wait_for_message(to="x")  # type: ignore[call-arg]  # on purpose


def test_a_message_from_another_thread_ends_the_wait() -> None:
    with MockServer() as mock, calling(mock) as caller, ThreadPoolExecutor() as pool:
        waiting = pool.submit(mock.wait_for_message, subject="test", timeout=10)
        time.sleep(0.05)
        caller.send("2", V2)
        assert waiting.result().envelope.sender == "jsmith@keyexample.com"


def test_it_runs_on_the_callers_loop() -> None:
    async def scenario() -> None:
        async with MockServer() as mock, httpx2.AsyncClient(base_url=mock.url) as http:
            waiting = asyncio.create_task(mock.next_message(timeout=10))
            response = await http.post(
                PATH,
                json=V2,
                auth=ADMIN,
                headers={
                    "x-keyfactor-requested-with": "APIClient",
                    "x-keyfactor-api-version": "2",
                },
            )
            assert response.status_code == 200
            assert await waiting == mock.messages[0]
            with pytest.raises(RuntimeError, match="next_message"):
                mock.wait_for_message()

    asyncio.run(scenario())


def test_every_answer_has_the_date_of_now() -> None:
    with MockServer() as mock:
        for path in ("/livez", "/KeyfactorAPI/SMTP", "/KeyfactorAPI/swagger"):
            (date,) = httpx2.get(mock.url + path).headers.get_list("date")
            assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 5


def test_it_runs_on_plain_asyncio_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with MockServer() as mock, calling(mock) as caller:
        assert caller.send("2", V2 | {"Port": 587, "UseSSL": True}).status_code == 200
        assert mock.messages[0].tls_mode == "starttls"


def test_fifty_start_at_once() -> None:
    def use(_: int) -> int:
        with MockServer() as mock, calling(mock) as caller:
            return caller.send("2", V2).status_code

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(use, range(50))) == [200] * 50


def test_stopping_answers_what_is_under_way() -> None:
    with ThreadPoolExecutor() as pool, ExitStack() as clients:
        with MockServer({"relays": {"a.test": {"delay": 0.5}}}) as mock:
            caller = clients.enter_context(calling(mock))
            body = V2 | {"Host": "a.test"}
            answers = [pool.submit(caller.send, "2", body) for _ in range(5)]
            deadline = time.monotonic() + 20
            while len(mock._sink.connections) < 5:  # noqa: SLF001  # nothing else tells of them so early
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert not any(answer.done() for answer in answers)
        assert [answer.result().status_code for answer in answers] == [200] * 5


def test_stopping_ends_a_wait_at_once() -> None:
    def wait(mock: MockServer) -> list[Json]:
        with calling(mock) as caller:
            return caller.messages(wait="60")

    with ThreadPoolExecutor() as pool:
        with MockServer() as mock:
            waiting = pool.submit(wait, mock)
            time.sleep(0.2)
            started = time.monotonic()
        assert waiting.result() == []
        assert time.monotonic() - started < 2


def test_many_short_tls_connections_are_answered() -> None:
    with MockServer(https_port=0) as mock, ThreadPoolExecutor(8) as pool:
        trust = ssl.create_default_context(cadata=mock.ca_pem.decode())

        def call(_: int) -> int:  # as Go clients do: a connection for each call
            return httpx2.get(f"{mock.https_url}/livez", verify=trust).status_code

        assert list(pool.map(call, range(200))) == [200] * 200


@pytest.mark.parametrize("listener", ["http", "https"])
def test_stopping_does_not_wait_for_idle_connections(listener: str) -> None:
    with MockServer(https_port=0) as mock:
        port = mock.port(listener) or 0
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        if listener == "https":
            trust = ssl.create_default_context(cadata=mock.ca_pem.decode())
            sock = trust.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(10_000).startswith(b"HTTP/1.1 200 ")
        started = time.monotonic()
    assert time.monotonic() - started < 5
    sock.close()


def test_stopping_cuts_a_body_that_does_not_end() -> None:
    body = json.dumps(V2).encode()
    with MockServer() as mock:
        sock = socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=10)
        credentials = b64encode(b"admin:admin-password").decode()
        sock.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
            "x-keyfactor-api-version: 2\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) + 1}\r\n\r\n".encode()
            + body
        )
        time.sleep(0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    with sock:
        assert sock.recv(100) == b""


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_mock_for_all_addresses_has_urls_to_connect_to() -> None:
    with MockServer(host="0.0.0.0", allow_remote=True) as mock:
        assert mock.url.startswith("http://127.0.0.1:")
    with MockServer(host="::1", https_port=0) as mock:
        assert mock.url.startswith("http://[::1]:")
        assert httpx2.get(f"{mock.url}/livez").status_code == 200


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_no_answer_waits_for_a_late_acknowledgement(
    monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    """Head and body are two segments: without TCP_NODELAY the second one waits for 40 ms."""
    if loop == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    times = []
    with MockServer() as mock, socket.create_connection(("127.0.0.1", mock.port("http") or 0)) as s:
        for _ in range(200):
            started = time.perf_counter()
            s.sendall(request)
            received = b""
            while not received.endswith(b"alive\n"):
                received += s.recv(10_000)
            times.append(time.perf_counter() - started)
    assert sorted(times)[100] < 0.02


def test_what_the_package_names_is_there() -> None:
    assert all(getattr(mockserver, name) for name in mockserver.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = mockserver.Nothing


# Whatever a program or a client does


def test_a_mock_has_no_url_before_it_starts() -> None:
    mock = MockServer()
    with pytest.raises(RuntimeError, match="before it has started"):
        _ = mock.api_url
    mock.__exit__()  # nor an end
    with mock:
        url = mock.api_url
    assert mock.api_url == url  # of what it kept
    with pytest.raises(RuntimeError, match="no thread"):
        mock.wait_for_message()


def test_threads_that_read_while_it_stops_get_values() -> None:
    for _ in range(5):
        mock = MockServer()
        over = threading.Event()

        def read(mock: MockServer = mock, over: threading.Event = over) -> int:
            seen = 0
            while not over.is_set():
                assert mock.messages == () == mock.requests
                seen += 1
            return seen

        with ThreadPoolExecutor(8) as pool:
            with mock:
                waiting = pool.submit(mock.wait_for_message, timeout=60)
                reading = [pool.submit(read) for _ in range(4)]
                time.sleep(0.02)
            over.set()
            assert all(each.result(timeout=10) for each in reading)
            with pytest.raises((TimeoutError, RuntimeError)):
                waiting.result(timeout=10)


def test_of_two_starts_at_once_one_is_refused() -> None:
    mock = MockServer()
    barrier = threading.Barrier(2)

    def start() -> str:
        barrier.wait()
        try:
            mock.__enter__()
        except RuntimeError as error:
            return str(error)
        return "started"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(lambda _: start(), range(2)))
    assert said == ["started", "this mock runs already; one more is another MockServer"]
    assert send(mock) == 200
    mock.__exit__()
    with mock:
        assert send(mock) == 200


FORK = """
import os, sys, socket
from mockserver import MockServer
with MockServer() as mock:
    ca = mock.ca_file
    child = os.fork()
    if not child:
        try:
            mock.messages
        except RuntimeError as error:
            print(error, mock.url, flush=True)
    else:
        assert os.waitpid(child, 0)[1] == 0
        assert mock.messages == () and ca.exists()
        print("parent", flush=True)
"""


def test_a_forked_child_has_no_mock_and_leaves_that_of_the_parent_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=20, check=True
    )
    child, parent = done.stdout.splitlines()
    assert "runs in the parent process: call it by its URLs" in child
    assert "http://127.0.0.1:" in child
    assert (parent, done.stderr) == ("parent", "")


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_start_that_is_cancelled_leaves_no_listener(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scenario(steps: int) -> bool:
        mock = MockServer(https_port=0, smtp_port=0)
        starting = asyncio.create_task(mock.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        done = starting.done()
        starting.cancel()
        await asyncio.wait([starting])
        ports = [mock.port(name) for name in ("http", "https", "smtp")]
        await mock.stop()
        assert not any(port and open_port(port) for port in ports)
        return done

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert [runner.run(scenario(steps)) for steps in range(20)][-1]


def test_many_connect_to_a_mail_port_at_once() -> None:
    async def scenario() -> None:
        async with MockServer(smtp_port=0) as mock:
            # None of them is accepted before the last one: the loop is busy with this.
            address = ("127.0.0.1", mock.port("smtp") or 0)
            with ExitStack() as held:
                for _ in range(400):
                    held.enter_context(socket.create_connection(address, timeout=0.5))

    asyncio.run(scenario())


def connected(mock: MockServer, octets: bytes, listener: str = "http") -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", mock.port(listener) or 0))
    sock.sendall(octets)
    return sock


STUBBORN = {
    "events": ("http", b"GET /_mock/events HTTP/1.1\r\nHost: a.localhost\r\n\r\n"),
    "list": ("http", b"GET /_mock/messages HTTP/1.1\r\nHost: a.localhost\r\n\r\n"),
    "head": ("http", b"GET /_mock/messages HTTP/1.1\r\nHo"),
    "body": ("http", b"POST /_mock/reset HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"),
    "pipeline": ("http", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 5_000),
    "handshake": ("https", b"\x16\x03\x01"),
    "mail": ("smtp", b"EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nx\r\n"),
    "mail TLS": ("smtps", b"\x16\x03\x01"),
}


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_stopping_takes_two_seconds_whatever_clients_do(
    monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    if loop == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    with (
        ExitStack() as held,
        MockServer(https_port=0, smtp_port=0, smtps_port=0) as mock,
    ):
        for listener, octets in STUBBORN.values():
            held.enter_context(connected(mock, octets, listener))
        with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0) as client:
            for _ in range(6):
                client.sendmail("a@b.test", ["c@d.test"], b"Subject: x\r\n\r\n" + LINE * 1_000)
        held.enter_context(connected(mock, STUBBORN["list"][1]))
        time.sleep(0.2)
        started = time.monotonic()
        mock.__exit__()
        assert time.monotonic() - started < 2


LINE = b"x" * 900 + b"\r\n"


def test_mail_from_outside_is_refused_from_the_first_moment_of_a_stop() -> None:
    with ThreadPoolExecutor() as pool:
        mock = MockServer({"relays": {"a.test": {"delay": 0.3}}}, smtp_port=0).__enter__()
        clients = [smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0, timeout=10) for _ in range(2)]
        clients[0].sendmail("a@b.test", ["c@d.test"], b"Subject: kept\r\n\r\n")
        clients[1].mail("a@b.test")
        clients[1].rcpt("c@d.test")
        clients[1].docmd("DATA")
        delivery = pool.submit(send, mock, Host="a.test")
        time.sleep(0.2)
        stopping = pool.submit(mock.__exit__)
        time.sleep(0.1)
        assert not stopping.done()
        for client in clients:
            assert client.getreply() == (421, b"4.3.2 The mock is stopping")
            client.close()
        assert not open_port(mock.port("smtp"))
        assert not stopping.done()
        assert delivery.result() == 200
        stopping.result()
    assert [message.subject for message in mock.messages if not message.request_id] == ["kept"]

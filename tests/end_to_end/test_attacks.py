"""Under load and attack: others are served meanwhile, and nothing gets through."""

import json
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mockserver import MockServer
from support import ADMIN, PATH, V1, V2, Caller, Json

LONG = 1_000_000
PROMPT_S = 2  # what another client waits at most; idle it is a millisecond, on a busy machine more

Record = Callable[[str, object], None]


@pytest.fixture
def served(caller: Caller, record_property: Record) -> Iterator[Callable[[str], None]]:
    """Give a check that another client is served promptly, whose figure goes to the report."""

    def check(when: str) -> None:
        started = time.perf_counter()
        assert caller.send("2", V2).status_code == 200
        taken = time.perf_counter() - started
        record_property(when, f"{taken * 1_000:.1f} ms")
        assert taken < PROMPT_S

    check("before")
    yield check
    check("afterwards")


def smtp(mock: MockServer) -> socket.socket:
    """Open a raw SMTP session; its greeting is read."""
    sock = socket.create_connection(("127.0.0.1", mock.port("smtp") or 0), timeout=20)
    assert sock.recv(1_000).startswith(b"220 ")
    return sock


def replies(sock: socket.socket, text: bytes) -> bytes:
    """Send, and read until the session ends or says nothing for a moment."""
    sock.settimeout(0.3)
    found = b""
    try:
        sock.sendall(text)
        while chunk := sock.recv(65_536):
            found += chunk
    except (TimeoutError, ConnectionError):
        pass
    return found


def test_slow_smtp_clients_hold_up_nobody(mock: MockServer, served: Callable[[str], None]) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(smtp(mock)) for _ in range(200)]
        for session in sessions:
            session.sendall(b"EHLO slow.test\r\nMAIL FROM:<a@b.te")
        served("200 unfinished commands")
        for session in sessions:
            session.sendall(b"st>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nSubject: slow")
        served("200 unfinished messages")
        with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0, timeout=20) as client:
            client.sendmail("fast@b.test", ["c@d.test"], b"Subject: fast\r\n\r\n")
    assert mock.assert_delivered(sender="fast@b.test").subject == "fast"


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (b"", b"\r\n", b"500 5.5.6"),
        (b"EHLO ", b"\r\n", b"500 5.5.6"),
        (b"EHLO a.test\r\nAUTH PLAIN ", b"\r\n", b"500 5.5.6"),
        (b"EHLO a.test\r\nAUTH LOGIN\r\n", b"\r\n", b"500 5.5.6"),
        (
            b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n",
            b"\r\n.\r\n",
            b"500 5.6.0",
        ),
    ],
    ids=["verb", "argument", "initial response", "response", "content"],
)
def test_a_line_of_a_million_octets_is_refused_and_the_session_goes_on(
    mock: MockServer, served: Callable[[str], None], before: bytes, after: bytes, code: bytes
) -> None:
    with smtp(mock) as session:
        session.sendall(before + b"x" * LONG)
        served("amid the line")
        found = replies(session, after + b"NOOP\r\n")
        assert code in found
        assert found.endswith(b"250 2.0.0 OK\r\n")


def fields(body: Json) -> Iterator[str]:
    return (name for name, value in body.items() if isinstance(value, str))


EVIL = {
    "one letter": "a" * LONG,
    "labels": "a." * (LONG // 2),
    "digits and dots": "1." * (LONG // 2),
    "colons": "1:" * (LONG // 2),
    "at signs": "@" * LONG,
    "encoded words": "=?" * (LONG // 2),
    "beyond ASCII": "é" * 150_000,  # each is six octets of JSON
}


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize(("version", "body"), [("1", V1), ("2", V2)])
def test_a_million_characters_in_a_field_cost_no_second(
    caller: Caller, served: Callable[[str], None], version: str, body: Json, text: str
) -> None:
    optional = {"RelayUsername": "x", "RelayPassword": "x"} if version == "1" else {}
    for name in fields(body | optional):
        response = caller.send(version, body | {name: text})
        assert response.status_code == 400
        assert response.elapsed.total_seconds() < PROMPT_S
        assert len(response.content) < 2_000
        caller.mock.assert_rejected(field=name, rule="maxLength")
    served("after the long fields")


def test_ten_thousand_recipients_end_the_session(
    mock: MockServer, served: Callable[[str], None]
) -> None:
    with smtp(mock) as session, session.makefile("rwb") as file:
        file.write(b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\n")
        file.flush()
        while file.readline() != b"250 2.1.0 OK\r\n":
            pass
        found = []
        for number in range(10_000):
            file.write(b"RCPT TO:<r%d@b.test>\r\n" % number)
            file.flush()
            found.append(file.readline()[:9])
            if found[-1].startswith(b"421"):
                break
        served("after the recipients")
    # 100 recipients (RFC 5321, 4.5.3.1.8), and 1,000 commands, two of which came before.
    assert found == [b"250 2.1.5"] * 100 + [b"452 4.5.3"] * 898 + [b"421 4.7.0"]


def test_what_is_injected_before_tls_is_not_obeyed_after_it(mock: MockServer) -> None:
    trust = ssl.create_default_context(cadata=mock.ca_pem.decode())
    with smtp(mock) as plain:
        plain.sendall(b"EHLO a.test\r\n")
        assert b"STARTTLS" in plain.recv(10_000)
        plain.sendall(b"STARTTLS\r\nMAIL FROM:<injected@b.test>\r\nNOOP\r\n")
        assert plain.recv(10_000) == b"220 2.0.0 Ready to start TLS\r\n"
        with trust.wrap_socket(plain, server_hostname="localhost") as session:
            found = replies(session, b"RCPT TO:<c@d.test>\r\n")
            assert found.startswith(b"503 ")
            assert found.count(b"\r\n") == 1, "one reply, to the one command that came encrypted"


def test_no_field_splits_an_answer(caller: Caller) -> None:
    """A line end in any value of a body, in the path, the query or a header's value."""
    evil = "x\r\nSet-Cookie: stolen=1\r\n\r\n<script>"
    login = {"RelayAuthenticationType": 2, "RelayUsername": {"SecretValue": "u"}}
    full = V2 | login | {"RelayPassword": {"SecretValue": "p"}, "TokenEndpoint": "x", "Scope": "s"}
    for name in fields(full):
        response = caller.send("2", full | {name: evil})
        assert response.status_code == 400
        assert "set-cookie" not in response.headers
        assert "<script>" not in response.text
    for target in ("%0d%0aSet-Cookie:%20a=1", "SMTP/Test%0d%0aX: y", "SMTP?x=%0d%0aSet-Cookie:a=1"):
        response = caller.http.get(f"/KeyfactorAPI/{target}", auth=ADMIN)
        assert "set-cookie" not in response.headers
    for name in ("x-keyfactor-api-version", "x-mock-namespace", "x-mock-fault", "authorization"):
        with socket.create_connection(("127.0.0.1", caller.mock.port("http") or 0)) as sock:
            head = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            sock.sendall(f"{head}{name}: a\rSet-Cookie: b=1\r\n\r\n".encode())
            assert b"set-cookie" not in sock.makefile("rb").read().lower()


def test_bodies_of_many_names_cost_no_second(caller: Caller, served: Callable[[str], None]) -> None:
    """Names whose hashes collide cannot be made: Python's depend on a secret of the process."""
    many = {f"name{number}": number for number in range(4_900)}
    bodies = [many, V2 | many, {"RequestHeaders": [{"Name": "a", **many}]}, {"Port": [1] * 4_900}]
    twice = "{" + ",".join('"Host": "a"' for _ in range(4_900)) + "}"
    for raw in (*(json.dumps(body).encode() for body in bodies), twice.encode()):
        response = caller.send("2", raw)
        assert response.status_code == 400
        assert response.elapsed.total_seconds() < PROMPT_S
    served("after the bodies")


@pytest.mark.parametrize(
    "base",
    ["/KeyfactorAPI/", "/KeyfactorAPI/swagger/", "/_mock/openapi/", "/_mock/ns/a/", "/_mock/", "/"],
)
@pytest.mark.parametrize(
    "up", ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "....//", "..;/", "%252e%252e%252f"]
)
def test_no_path_leads_to_a_file(mock: MockServer, base: str, up: str) -> None:
    for target in ("etc/passwd", "fixtures/default.yaml", "mockserver/world/world.py"):
        with socket.create_connection(("127.0.0.1", mock.port("http") or 0), timeout=20) as sock:
            head = f"GET {base}{up * 12}{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close"
            sock.sendall(f"{head}\r\n\r\n".encode())
            answer = sock.makefile("rb").read()
        assert re.match(rb"HTTP/1.1 40[0134] ", answer)
        assert not re.search(rb"root:|admin-password|import ", answer)


def test_a_stop_answers_a_hundred_deliveries_and_exits_with_0(tmp_path: Path) -> None:
    """None is lost: each call that is under way gets its 200."""
    world, ready = tmp_path / "world.yaml", tmp_path / "ready.json"
    world.write_text('extends: default\nrelays: {"*": {delay: 0.1}}\n', encoding="utf-8")
    ports = [word for name in ("https", "smtp", "smtps") for word in (f"--{name}-port", "none")]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mockserver", "serve", "--port", "0", *ports),
            *("--world", str(world), "--ready-file", str(ready)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.01)
    port = int(json.loads(ready.read_text())["url"].rpartition(":")[2])
    with ExitStack() as stack:
        calls = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(100)
        ]
        for number, call in enumerate(calls):
            call.settimeout(30)
            call.sendall(raw_request(V2 | {"Host": f"h{number}.test"}))
        first = calls[0].recv(1_000)
        process.send_signal(signal.SIGTERM)
        answers = [first, *(call.makefile("rb").read() for call in calls[1:])]
    _, log = process.communicate(timeout=30)
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 100
    assert log.count("status=200") == 100
    assert process.returncode == 0


def raw_request(body: Json) -> bytes:
    """Write a request of version 2 as octets."""
    content = json.dumps(body)
    credentials = b64encode(":".join(ADMIN).encode()).decode()
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
        "x-keyfactor-requested-with: APIClient\r\nx-keyfactor-api-version: 2\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n{content}"
    ).encode()

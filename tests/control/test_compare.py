"""`keyfactor-mock compare`, against servers of several kinds."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
import uvicorn
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver import MockServer, cli
from mockserver.control.compare import _MAX_BODY, _ROLE
from mockserver.control.questions import questions, rows
from mockserver.world.loading import load
from support import ADMIN, ROOT, Json
from test_fidelity import ROWS

FIXTURES = ROOT / "fixtures"
AS_ADMIN = ("--user", ADMIN[0], "--password-env", "SERVER_PASSWORD")
SECRET = "s3cret/w\u00f6rd\"'"
TOKEN = "eyJ.a-token.of-the-server"

OTHER: Json = {
    "product_version": "24.4.1+3f2a",
    "api_supported_versions": {"SMTP": "1.0", "PAMProvider": ""},
    "deprecation_header": True,
    "lenient": True,
    "errors": {
        "body": {"status": 422, "code": "0xA0110001"},
        "json": {"code": "0xA0110003"},
        "header_missing": {"status": 406},
        "not_found": {"status": 400},
        "method": {"code": "0xA0110999"},
        "version": {"code": "0xA0119999"},
        "mail_resolve": {"status": 500, "code": "0xA0150000"},
        "token": {"status": 502},
        "secret": {"code": "0xA0160000"},
    },
    "roles": {"Administrator": ["/system_settings/", "/pam/", "/security/read/"]},
    "smtp_profile": {
        "Host": "mail.example.com",
        "SenderName": None,
        "RelayUsername": {"SecretValue": "user"},
    },
}


class Outcome(NamedTuple):
    """How a comparison ended."""

    status: int
    output: str
    errors: str


Compare = Callable[..., Outcome]


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compare:
    """Run the command in this process."""

    def run(*arguments: str | Path, password: str = ADMIN[1]) -> Outcome:
        monkeypatch.setenv("SERVER_PASSWORD", password)
        monkeypatch.setenv("SERVER_TOKEN", TOKEN)
        monkeypatch.setattr(sys, "argv", ["keyfactor-mock", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Outcome(int(str(ended.value.code)), *capsys.readouterr())

    return run


def report(outcome: Outcome) -> dict[str, Json]:
    """Give each row of a comparison that was told as JSON."""
    assert outcome.status in {0, 1}, outcome.errors
    return {row["row"]: row for row in json.loads(outcome.output)["rows"]}


def of(found: dict[str, Json], outcome: str) -> set[str]:
    return {name for name, row in found.items() if row["outcome"] == outcome}


@pytest.fixture(scope="module")
def other() -> Iterator[MockServer]:
    """Give a second mock, with another world."""
    with MockServer(OTHER) as mock:
        yield mock


# A server that is no mock: ASP.NET Core behind IIS, as its documentation has it.


class AspNet:
    """Answer like an API of ASP.NET Core with ProblemDetails, and keep what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = (await request.body()).decode()
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append((request.method, path, dict(request.headers), body))
        answer = self.answer(request, body)
        answer.headers["X-Powered-By"] = "ASP.NET"
        await answer(scope, receive, send)

    def answer(self, request: Request, body: str) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        if request.headers.get("x-keyfactor-api-version", "1") not in {"1", "2"}:
            return self.problem(400, "Unsupported API version", request)
        path = request.url.path.removeprefix("/Keyfactor/API")
        if path == "/SMTP/Test":
            return self.test(request, body)
        answers = {
            "/SMTP": {"Host": "mail.example.com", "Port": 587, "Secret": "of-the-profile"},
            "/Security/My/Permissions": {"Permissions": ["/system_settings/", "/pam/read/"]},
            "/PamProviders": [],
            "/Status/Endpoints": ["GET /SMTP"],
        }
        if path in answers:
            return JSONResponse(answers[path], headers={"Api-Supported-Versions": "1.0, 2.0"})
        return self.problem(404, "Not Found", request)

    def test(self, request: Request, body: str) -> Response:
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "POST"})
        if request.headers["content-type"] != "application/json":
            return self.problem(415, "Unsupported Media Type", request)
        try:
            given = json.loads(body)
        except ValueError:
            return self.problem(400, "One or more validation errors occurred.", request)
        if not isinstance(given, dict) or "SenderName" not in given:
            return self.problem(422, "One or more validation errors occurred.", request)
        told = {"ErrorCode": "0xA0150042", "Message": "The host 'relay.invalid' is unknown."}
        return JSONResponse(told, 500, media_type="application/json; charset=utf-8")

    @staticmethod
    def problem(status: int, title: str, request: Request) -> Response:
        trace = f"00-{request.headers['authorization']}-00"  # it must not be repeated by anyone
        told = {"type": "https://tools.ietf.org/html/rfc9110", "title": title, "traceId": trace}
        return JSONResponse(told, status, media_type="application/problem+json")


@contextmanager
def listening(app: ASGIApp, **settings: object) -> Iterator[int]:
    """Serve an application with uvicorn, in a thread; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(app, log_level="critical", server_header=False, **settings)  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


class Served(NamedTuple):
    """The independent server: where it is, its CA, and what it was asked."""

    url: str
    ca: Path
    app: AspNet


@pytest.fixture(scope="module")
def aspnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("aspnet")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "key")
    app = AspNet()
    files = {"ssl_certfile": folder / "key", "ssl_keyfile": folder / "key"}
    headers = {"headers": [("Server", "Microsoft-IIS/10.0")]}
    with listening(app, **files, **headers) as port:
        yield Served(f"https://localhost:{port}/Keyfactor/API", folder / "ca.pem", app)


# Comparisons


def test_a_mock_of_the_same_world_is_the_same(compare: Compare, mock: MockServer) -> None:
    outcome = compare(mock.api_url, *AS_ADMIN, "--json", "-")
    assert outcome.status == 0
    found = report(outcome)
    assert of(found, "differs") == set()
    assert len(of(found, "same")) > 30
    assert found["TLS"]["reason"] == "needs a mail server to look at"
    assert found["texts of a 403"]["reason"] == "the caller may do all that was asked"
    assert mock.messages == ()


def test_another_world_differs_and_adopted_does_not(
    compare: Compare, other: MockServer, tmp_path: Path
) -> None:
    file, told = tmp_path / "adopted.yaml", tmp_path / "report.json"
    first = compare(other.api_url, *AS_ADMIN, "--adopt", file, "--json", told)
    assert first.status == 1
    assert "  without SenderName (version 1): status 422 | 400; code 0xA0110001 | 0xA011000F\n" in (
        first.output
    )
    assert "a world cannot say" not in first.output
    assert first.output.splitlines()[-1].startswith(f"{other.api_url} (24.4.1+3f2a), ")
    assert json.loads(told.read_text())["summary"]["differs"] > 15
    again = compare(other.api_url, *AS_ADMIN, "--world", file)
    assert (again.status, "differs: " in again.output) == (0, False)

    adopted = yaml.safe_load(file.read_text())
    known = {name: OTHER[name] for name in ("product_version", "errors", "smtp_profile")}
    assert {name: adopted[name] for name in known} == known
    assert adopted["roles"] == {_ROLE: OTHER["roles"]["Administrator"]}
    assert (adopted["lenient"], adopted["deprecation_header"]) == (True, True)
    assert load(file).users["caller"].roles == (_ROLE,)


def test_an_adopted_world_is_adopted_from(
    compare: Compare, other: MockServer, tmp_path: Path
) -> None:
    base, file = tmp_path / "base.yaml", tmp_path / "adopted.yaml"
    base.write_text("extends: default\nproduct_version: '1.0'\n")
    assert compare(other.api_url, *AS_ADMIN, "--world", base, "--adopt", file).status == 1
    assert yaml.safe_load(file.read_text())["extends"] == str(base)
    assert load(file).product_version == OTHER["product_version"]


def test_another_edition_is_played_where_it_is_asked_for(compare: Compare, tmp_path: Path) -> None:
    file = tmp_path / "adopted.yaml"
    with MockServer(OTHER, edition="10") as old:
        newest = report(compare(old.api_url, *AS_ADMIN, "--json", "-"))
        same = report(
            compare(old.api_url, *AS_ADMIN, "--json", "-", "--edition", "10", "--adopt", file)
        )
        assert compare(old.api_url, *AS_ADMIN, "--world", file).status == 0
    assert newest["version 2 body"]["outcome"] == "differs"
    assert same["version"]["outcome"] == "differs"
    assert all(each["world_can_say"] for row in same.values() for each in row["differences"])
    assert yaml.safe_load(file.read_text())["edition"] == "10"


def test_an_independent_server_differs_in_what_it_does(
    compare: Compare, aspnet: Served, tmp_path: Path
) -> None:
    by_token = (aspnet.url, "--token-env", "SERVER_TOKEN", "--ca", aspnet.ca)
    file = tmp_path / "adopted.yaml"
    first = compare(*by_token, "--adopt", file, "--json", "-")
    assert first.status == 1
    found = report(first)
    differences = {
        (each["question"], each["aspect"]): (each["server"], each["mock"], each["world_can_say"])
        for row in found.values()
        for each in row["differences"]
    }
    form = "application/problem+json {type, title, traceId}"
    ours = "application/json; charset=utf-8 {ErrorCode, Message}"
    assert differences["version 3 (version 1)", "form"] == (form, ours, False)
    assert differences["version 3 (version 1)", "code"] == (None, "0xA011F003", False)
    assert differences["without SenderName (version 2)", "status"] == (422, 400, True)
    told = differences["a host that does not exist (version 1)", "status"]
    assert told == (500, 400, True)
    headers = found["headers of every answer"]["differences"]
    assert ("1.0, 2.0", "1.0, 2") in [(each["server"], each["mock"]) for each in headers]
    assert found["`GET /PamProviders`, `GET /PamProviders/{id}`"]["outcome"] == "differs"

    adopted = load(file)
    assert adopted.errors["mail_resolve"] == (500, "0xA0150042")
    assert adopted.errors["body"] == (422, "0xA011000F")  # it has no code
    assert adopted.smtp_profile["Port"] == 587
    again = report(compare(*by_token, "--world", file, "--json", "-"))
    left = {
        (each["question"], each["aspect"]) for row in again.values() for each in row["differences"]
    }
    assert left == {key for key, (_, _, said) in differences.items() if not said}
    text = compare(*by_token, "--world", file).output
    assert "a world cannot say all of: " in text
    assert max(map(len, text.splitlines()[-20:])) <= 120


def test_nothing_is_sent_but_what_is_listed(compare: Compare, aspnet: Served) -> None:
    listed = compare("--list").output.splitlines()
    aspnet.app.asked.clear()
    compare(aspnet.url, "--token-env", "SERVER_TOKEN", "--ca", aspnet.ca)
    assert len(aspnet.app.asked) == len(listed)
    for line, (method, path, headers, body) in zip(listed, aspnet.app.asked, strict=True):
        parts = re.fullmatch(r"(\S+) (\S+) (\{.*?\}) ?(.*) \((\w+) credentials\)", line)
        assert parts
        assert (method, path) == (parts[1], f"/Keyfactor/API{parts[2]}")
        assert body == parts[4]
        assert json.loads(parts[3]).items() <= headers.items()
        own = headers.get("authorization") == f"Bearer {TOKEN}"
        assert own == (parts[5] in {"own", "stranger"})
        beside = headers.keys() - json.loads(parts[3]).keys() - {"authorization", "content-length"}
        assert beside == {"host", "user-agent", "accept-encoding", "connection"}


def test_no_secret_is_repeated(compare: Compare, aspnet: Served, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "report.json", "--adopt", tmp_path / "adopted.yaml")
    outcome = compare(aspnet.url, "--token-env", "SERVER_TOKEN", "--ca", aspnet.ca, *files)
    shown = outcome.output + outcome.errors
    shown += "".join(path.read_text() for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2
    assert TOKEN not in shown
    assert "of-the-profile" not in shown


def test_a_password_is_not_repeated_in_any_form(compare: Compare) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        given = Request(scope).headers.get("authorization", "Basic Og==")
        password = b64decode(given.partition(" ")[2]).decode(errors="replace").partition(":")[2]
        told = {"ErrorCode": given, "Message": password, "Permissions": [password]}
        plain = json.dumps(told).encode()
        answer = Response(
            plain, 200, {"Api-Supported-Versions": given, "X-Keyfactor-Product-Version": "1"}
        )
        await answer(scope, receive, send)

    with listening(echo) as port:
        arguments = (f"http://127.0.0.1:{port}", "--user", "u", "--password-env", "SERVER_PASSWORD")
        outcome = compare(*arguments, "--json", "-", password=SECRET)
        text = compare(*arguments, password=SECRET)
    assert outcome.status == text.status == 1
    assert '"***"' in outcome.output
    shown = outcome.output + text.output
    for form in (SECRET, json.dumps(SECRET)[1:-1], "dTpzM2NyZXQ"):
        assert form not in shown


def test_a_caller_that_may_not_ask_is_told_so(compare: Compare, mock: MockServer) -> None:
    who = ("--user", "auditor", "--password-env", "SERVER_PASSWORD")
    outcome = compare(mock.api_url, *who, "--json", "-", password="auditor-password")
    found = report(outcome)
    assert found["version 1 body"]["outcome"] == "not asked"
    assert found["version 1 body"]["reason"] == "the caller may not ask (403)"
    assert found["texts of a 403"]["outcome"] == "same"
    assert of(found, "differs") == {"`GET /Status/HealthCheck`, `GET /Security/My/Permissions`"}


def test_one_version_only(compare: Compare, mock: MockServer) -> None:
    found = report(compare(mock.api_url, *AS_ADMIN, "--json", "-", "--api-version", "2"))
    assert found["version 1 body"]["outcome"] == "not asked"
    assert found["version 2 body"]["outcome"] == "same"
    assert {each.version for each in mock.requests} == {"2", None}


def test_mail_is_sent_only_where_it_is_asked_for(compare: Compare, mock: MockServer) -> None:
    to = ("--send-to", "me@example.com", "--relay", "mail.example.com:2525")
    found = report(compare(mock.api_url, *AS_ADMIN, "--json", "-", *to))
    assert {"version 1 answer", "version 2 answer"} <= of(found, "same")
    assert [message.envelope.recipients for message in mock.messages] == [("me@example.com",)] * 2
    assert {message.relay.port for message in mock.messages} == {2525}


def test_a_question_without_an_answer_is_a_difference(compare: Compare) -> None:
    faults = {"get_health_check_v1": {"reset": True}, "get_my_permissions_v1": {"delay": 5}}
    with MockServer({"api_faults": faults}) as mock:
        outcome = compare(mock.api_url, *AS_ADMIN, "--timeout", "1")
    assert outcome.status == 1
    assert "health (version 1): status no answer: " in outcome.output
    assert "status no answer: nothing within 1 seconds | 200" in outcome.output


# What cannot be compared


def answering(answer: Callable[[], Response], delay: float = 0) -> ASGIApp:
    """Return an application with one answer to everything, kept for half a moment."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(delay)
        await answer()(scope, receive, send)

    return app


HTML = "<html>Welcome</html>"


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (
            answering(lambda: PlainTextResponse(HTML, media_type="text/html")),
            "no answer is one of Keyfactor Command (status 200); the URL is the base of its API",
        ),
        (
            answering(lambda: RedirectResponse("https://sso.example.com/login")),
            "(status 307); it leads to https://sso.example.com/login, which was not followed",
        ),
        (answering(lambda: Response("[" * 100_000)), "no answer is one of Keyfactor Command"),
        (
            answering(lambda: Response(b" " * (_MAX_BODY + 1))),
            "no answer: more than 1048576 octets",
        ),
        (answering(Response, delay=2), "no answer: nothing within 0.5 seconds"),
        (answering(lambda: Response(status_code=401)), "refuses the credentials (401)"),
        (answering(lambda: JSONResponse({}), delay=0.2), "were answered within 5 seconds"),
        (
            answering(lambda: JSONResponse({"ErrorCode": "0x1", "Message": "not here"}, 404)),
            "every call is refused (status 404, 'not here'); the URL is the base of its API, such",
        ),
    ],
    ids=[
        "pages",
        "redirects",
        "brackets",
        "too much",
        "too slow",
        "401",
        "slow all the time",
        "404",
    ],
)
def test_what_is_no_such_api_is_told(compare: Compare, app: ASGIApp, message: str) -> None:
    with listening(app) as port:
        started = time.monotonic()
        outcome = compare(f"http://127.0.0.1:{port}/api", *AS_ADMIN, "--timeout", "0.5")
    assert time.monotonic() - started < 15
    assert outcome.status == 2
    assert outcome.output == ""
    assert outcome.errors.startswith(f"keyfactor-mock: http://127.0.0.1:{port}/api")
    assert message in outcome.errors
    assert outcome.errors.count("\n") == 1


@contextmanager
def speaking(octets: bytes, times: int) -> Iterator[int]:
    """Accept so many connections, answer each with these octets, and listen no more."""
    with socket.create_server(("127.0.0.1", 0)) as sock:

        def serve() -> None:
            for _ in range(times):
                connection, _ = sock.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(octets)
            sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield sock.getsockname()[1]
        thread.join()


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Keyfactor-Product-Version: 25.5.1\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "times", "message"),
    [
        (b"\x15\x03\x01 garbage\r\n\r\n", 1, "no answer: "),
        (GOOD, 2, "no answer: All connection attempts failed"),
    ],
    ids=["garbage", "gone"],
)
def test_what_speaks_no_more_is_told(
    compare: Compare, octets: bytes, times: int, message: str
) -> None:
    with speaking(octets, times) as port:
        outcome = compare(f"http://127.0.0.1:{port}", *AS_ADMIN)
    assert (outcome.status, outcome.output) == (2, "")
    assert message in outcome.errors


def test_who_refuses_the_connection_or_the_password_is_told(
    compare: Compare, mock: MockServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    refused = compare(f"http://127.0.0.1:{port}", *AS_ADMIN)
    assert (refused.status, "no answer: " in refused.errors) == (2, True)
    unknown = compare("http://host.invalid/api", *AS_ADMIN)
    assert (unknown.status, "Errno" in unknown.errors) == (2, False)
    clear = compare(mock.api_url.replace("http", "https"), *AS_ADMIN)
    assert "no answer: it does not speak TLS; perhaps its URL begins with http://" in clear.errors
    crossed = compare(str(mock.https_api_url).replace("https", "http"), *AS_ADMIN)
    assert (crossed.status, "'this port is for HTTPS: " in crossed.errors) == (2, True)
    wrong = compare(mock.api_url, *AS_ADMIN, password="wrong \udcff")  # an octet that is no UTF-8
    assert (wrong.status, "refuses the credentials (401)" in wrong.errors) == (2, True)


def test_a_certificate_is_verified(compare: Compare, aspnet: Served, mock: MockServer) -> None:
    unknown = compare(aspnet.url, "--token-env", "SERVER_TOKEN")
    assert unknown.status == 2
    assert "its certificate does not verify: " in unknown.errors
    assert "--ca FILE names the CA" in unknown.errors
    url = aspnet.url.replace("localhost", "127.0.0.1")
    assert compare(url, "--token-env", "SERVER_TOKEN", "--ca", aspnet.ca).status == 2
    assert compare(str(mock.https_api_url), *AS_ADMIN, "--ca", mock.ca_file).status == 0


BY_TOKEN = ("--token-env", "SERVER_TOKEN")
SENT = ("--send-to", "me@a.test")
URL = "http://127.0.0.1:1/api"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (BY_TOKEN, "the URL is the base of an API"),
        (("ftp://host/api", *BY_TOKEN), "the URL is the base of an API"),
        (("http://user:pw@host/api", *BY_TOKEN), "the URL is the base of an API"),
        (("http://host/api?x=1", *BY_TOKEN), "the URL is the base of an API"),
        (("http://[::1/api", *BY_TOKEN), "http://[::1/api: no answer: "),
        (("http://host:99999999/api", *BY_TOKEN), "no answer: "),
        ((URL,), "who asks: --user and --password-env, or --token-env"),
        ((URL, "--user", "me"), "who asks: --user and --password-env, or --token-env"),
        ((URL, *AS_ADMIN, *BY_TOKEN), "who asks: --user and --password-env, or --token-env"),
        ((URL, "--token-env", "NO_SUCH"), "--token-env: the variable NO_SUCH is not set, or empty"),
        (
            (URL, "--user", "me", "--password-env", "NO_SUCH"),
            "--password-env: the variable NO_SUCH",
        ),
        ((URL, "--token-env", "LINES"), "--token-env: what LINES has cannot stand in a header"),
        ((URL, "--user", "a:b", "--password-env", "LINES"), "--user: a name without a colon"),
        ((URL, *BY_TOKEN, "--ca", "no.pem"), "--ca no.pem: No such file or directory"),
        ((URL, *BY_TOKEN, "--ca", __file__), "test_compare.py: no certificate"),
        ((URL, *BY_TOKEN, "--send-to", "me@a.test"), "--send-to ADDRESS and --relay HOST:PORT"),
        ((URL, *BY_TOKEN, "--relay", "a.test:25"), "--send-to ADDRESS and --relay HOST:PORT"),
        ((URL, *BY_TOKEN, *SENT, "--relay", "a.test"), "--relay: 'a.test' is not HOST:PORT"),
        ((URL, *BY_TOKEN, *SENT, "--relay", "a.test:x"), "--relay: 'a.test:x' is not HOST:PORT"),
        ((URL, *BY_TOKEN, "--send-to", "me", "--relay", "a:25"), "--send-to: 'me' is no address"),
        ((URL, *BY_TOKEN, "--adopt", __file__), "test_compare.py: is there already; a new file is"),
        ((URL, *BY_TOKEN, "--adopt", "no/such/x"), "--adopt no/such/x: No such file or directory"),
        ((URL, *BY_TOKEN, "--json", "no/such/x"), "--json no/such/x: No such file or directory"),
        ((URL, *BY_TOKEN, "--json", ""), "'KEYFACTOR_MOCK_JSON'): '' names no file"),
        ((URL, *BY_TOKEN, "--world", ""), "'KEYFACTOR_MOCK_WORLD'): '' names no file"),
        ((URL, *BY_TOKEN, "--world", "no.yaml"), "no.yaml: there is no such file"),
        ((URL, *BY_TOKEN, "--edition", "9"), "9"),
        ((URL, *BY_TOKEN, "--timeout", "0"), "--timeout"),
        ((URL, *BY_TOKEN, "--api-version", "3"), "--api-version"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(
    compare: Compare, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("LINES", "two\nlines")
    outcome = compare(*arguments)
    assert (outcome.status, outcome.output) == (2, "")
    assert message in outcome.errors
    assert outcome.errors.count("\n") == 1
    assert not re.search("two|user:pw", outcome.errors)


def test_a_file_that_cannot_be_written_leaves_nothing(
    compare: Compare, mock: MockServer, tmp_path: Path
) -> None:
    folder = tmp_path / "report.json"
    folder.mkdir()
    outcome = compare(mock.api_url, *AS_ADMIN, "--json", folder)
    assert (outcome.status, outcome.output) == (2, "")
    assert "report.json: is there, and is no regular file" in outcome.errors
    assert mock.requests == ()  # nothing was asked
    assert list(tmp_path.iterdir()) == [folder]


def process(*arguments: str, errors: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mockserver", "compare", *arguments],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=os.environ | {"SERVER_PASSWORD": ADMIN[1]},
    )


def test_a_terminal_shows_how_far_it_is(mock: MockServer) -> None:
    ours, theirs = pty.openpty()
    with process(mock.api_url, *AS_ADMIN, errors=theirs) as running:
        os.close(theirs)
        shown = b""
        with ExitStack() as stack:
            stack.callback(os.close, ours)
            while True:
                try:
                    shown += os.read(ours, 1000)
                except OSError:  # Linux says so where the other end is closed
                    break
        assert running.wait(timeout=30) == 0
    assert shown.startswith(b"\r\x1b[K1 of ")
    assert shown.endswith(b"\r\x1b[K")


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Let commands heed SIGINT, which a shell has those ignore that it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeded")
def test_an_interrupted_comparison_ends_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with process(url, *AS_ADMIN, errors=subprocess.PIPE) as running, sock.accept()[0]:
            running.send_signal(signal.SIGINT)
            output, errors = running.communicate(timeout=30)
    assert (running.returncode, output) == (130, "")
    assert errors.strip() == "keyfactor-mock: interrupted"


# The questions


def test_the_questions_follow_their_schema() -> None:
    schema = yaml.safe_load((FIXTURES / "questions.schema.yaml").read_text())
    data = yaml.safe_load((FIXTURES / "questions.yaml").read_text())
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(data)] == []
    for change in (
        {"body": {"Host": "mail.example.com"}},
        {"body": {"Host": "$relay_host"}},
        {"body": {"TestRecipient": "me@example.com"}},
        {"body": {"TestRecipient": "$send_to"}},
        {"body": {"TokenEndpoint": "https://idp.example.com/token"}},
        {"text": '{"Host": "mail.example.com"}'},
        {"path": "/SMTP", "body": {}},
    ):
        question = {"name": "x", "path": "/SMTP/Test", "compare": {"path": ["status"]}, **change}
        broken = {**data, "questions": [question]}
        assert list(Draft202012Validator(schema).iter_errors(broken)), change


def test_the_rows_are_those_of_the_fidelity_table() -> None:
    assert list(rows()) == list(ROWS), "a new row has its line in fixtures/questions.yaml too"
    asked = {row for question in questions(places={"$relay_port": 25}) for row in question.compare}
    assert asked <= rows().keys()
    assert {name for name, reason in rows().items() if reason is None} <= asked


def test_every_body_goes_nowhere() -> None:
    bodies = [each.content.decode() for each in questions() if each.content is not None]
    assert len(bodies) >= 50
    for body in bodies:
        assert re.search(r'"host": "relay\.invalid"', body, re.IGNORECASE)
        assert set(re.findall(r"[\w.-]+@[\w@.-]+", body)) <= {
            *("sender@relay.invalid", "recipient@relay.invalid", "two@at@relay.invalid"),
        }


def test_kinds_and_tags_of_the_questions_exist() -> None:
    adopted = [question.adopt for question in questions()]
    assert {each["errors"] for each in adopted if "errors" in each} <= load().errors.keys()
    names = {question.name for question in questions()}
    assert {question.like for question in questions()} <= {*names, None}

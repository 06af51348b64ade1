"""No single input keeps another call waiting: the nastiest that there are, by their shape."""

import json
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from mockserver import MockServer
from support import ADMIN, V2, calling

MAX_DELAY_S = 1.0  # four times the goal: other work makes this one slower, and so does a tracer

Attack = Callable[[MockServer], object]


def patch(body: dict[str, Any]) -> Attack:
    headers = {"content-type": "application/json"}

    def send(mock: MockServer) -> object:
        content = json.dumps(body)
        answer = httpx2.patch(f"{mock.control_url}/world", content=content, headers=headers)
        assert answer.status_code == 400
        assert len(answer.text) < 5_000
        return answer

    return send


def call(body: dict[str, Any]) -> Attack:
    def send(mock: MockServer) -> object:
        with calling(mock) as caller:
            answer = caller.send("2", body)
            assert answer.status_code == 400
            return caller.exchange(answer)

    return send


def look(mock: MockServer) -> object:
    """Fill the journal with mails that take a while to read, and look at all, in each way."""
    raw = b"".join(b"X-%d: y\r\n" % number for number in range(2_000)) + b"\r\n"
    with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0, timeout=30) as client:
        for _ in range(60):
            client.sendmail("a@b.test", ["c@d.test"], raw)
    for path in ("/", "/?q=nothing", "/_mock/messages?subject=x", "/_mock/messages?limit=20"):
        assert httpx2.get(mock.url + path, timeout=30).status_code == 200
    large = httpx2.get(f"{mock.control_url}/messages?subject=large", timeout=30).json()
    page = httpx2.get(f"{mock.url}/?message={large['messages'][0]['id']}", timeout=30)
    assert page.status_code == 200
    assert len(page.text) < 1_000_000
    return page


def mail(octets: bytes) -> Attack:
    def send(mock: MockServer) -> object:
        with smtplib.SMTP("127.0.0.1", mock.port("smtp") or 0, timeout=30) as client:
            client.sendmail("a@b.test", ["c@d.test"], octets)
        return httpx2.get(f"{mock.control_url}/messages?subject=x", timeout=30).json()

    return send


LONG = "x" * 180
NASTY: dict[str, Attack] = {
    "unknown names in a patch": patch(
        {"relays": {"a.test": {f"{number}{LONG}": 1 for number in range(4_900)}}}
    ),
    "unknown roles among many": patch(
        {
            "roles": {f"{number}{LONG}": [] for number in range(2_000)},
            "users": {
                f"u{number}": {"domain": "D", "password": "p", "roles": [f"no {number}{LONG}"]}
                for number in range(500)
            },
        }
    ),
    "faults of unknown operations": patch(
        {"api_faults": {f"{LONG}{number}": {"status": 503} for number in range(1_500)}}
    ),
    "unknown fields in a body": call(
        V2 | {f"RelayPasswrd{LONG}{number}": "x" for number in range(4_800)}
    ),
    "unknown fields in a list": call(
        V2 | {"RequestHeaders": [{f"Nam{number}": "x"} for number in range(2_400)]}
    ),
    "a long host": call(V2 | {"Host": "a." * 100_000}),
    "very many lines of a mail": mail(b"Subject: x\r\n\r\n" + b"\r\n" * 1_000_000),
    "very many headers of a mail": mail(b"Subject: x\r\n" + b"X: y\r\n" * 500_000),
    "a large mail": mail(b"Subject: large x\r\n\r\n" + (b"x" * 900 + b"\r\n") * 10_000),
    "pages of long mails": look,
}


@pytest.fixture(scope="module")
def attacked() -> Iterator[MockServer]:
    with MockServer(smtp_port=0) as mock:
        yield mock


@pytest.mark.parametrize("attack", NASTY.values(), ids=NASTY)
def test_no_input_keeps_another_call_waiting(attacked: MockServer, attack: Attack) -> None:
    over = threading.Event()
    delays: list[float] = []

    def probe() -> None:
        # The time of the mock's thread alone: this machine may be busy with something else.
        clock = attacked._loop.call(lambda: time.pthread_getcpuclockid(threading.get_ident()))  # noqa: SLF001  # nothing else tells
        with httpx2.Client(base_url=attacked.url, timeout=30) as http:
            while not (delays and over.is_set()):
                began = time.clock_gettime(clock)
                http.get("/livez")
                delays.append(time.clock_gettime(clock) - began)

    probing = threading.Thread(target=probe)
    probing.start()
    try:
        attack(attacked)
    finally:
        over.set()
        probing.join()
    assert max(delays) < MAX_DELAY_S
    assert httpx2.get(f"{attacked.api_url}/SMTP", auth=ADMIN).status_code == 400

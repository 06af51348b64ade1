"""What the mock remembers and keeps of its callers has a bound in octets, whatever they send."""

import gc
import json
import tracemalloc
from collections.abc import Callable
from enum import Enum
from smtplib import SMTP
from sys import getsizeof
from types import BuiltinFunctionType, FunctionType

import pytest

from mockserver import MockServer
from mockserver.base.masking import Sealed
from mockserver.contract.operations import Operation
from mockserver.contract.upgrade import Upgrade
from support import BASIC, OAUTH, PATH, V1, V2, Caller, Json

MANY = 140  # more than what comes again most often
LONG = 15_000
WIDE = "%F0%9F%98%80"  # makes each character of a text take four octets
BOUND = 512 * 1024

Send = Callable[[Caller, str], object]


def get(path: str) -> Send:
    return lambda caller, text: caller.send(None, None, path=f"GET {path}{WIDE}{text}")


def media_type(caller: Caller, text: str) -> None:
    caller.send("2", V2, headers={"content-type": f"application/json; x={text}"})


def values(caller: Caller, text: str) -> None:
    """Send what is refused, or remembered by nothing that takes it."""
    for scheme in ("Basic", "Bearer", text):
        caller.send("2", V2, headers={"authorization": f"{scheme} {text}"})
    caller.send(text, V2, headers={"x-keyfactor-requested-with": text})
    caller.send("2", V2, headers={"x-mock-fault": text})
    caller.send(None, None, path=f"GET /KeyfactorAPI/Certificates?pq.queryString={WIDE}{text}")


def named(caller: Caller, text: str) -> None:
    caller.send("2", V2, headers={f"x-{text}": "1"})


def many_headers(caller: Caller, text: str) -> None:
    caller.send("2", V2, headers={"x-a": text[:4], **{f"x{number}": "" for number in range(800)}})


def body(caller: Caller, text: str) -> None:
    """Send a name that no document has, and look at what was kept of it."""
    caller.send("2", json.dumps({text: 1, "nested": {text: text}}).encode())
    assert caller.mock.requests[-1].request.body


def form(caller: Caller, text: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    caller.send("2", f"a={text}&{text}=b".encode(), headers=headers)


@pytest.mark.parametrize(
    "send",
    [
        pytest.param(get("/KeyfactorAPI/PamProviders/"), id="path"),
        pytest.param(get("/KeyfactorAPI/PamProviders/Types/"), id="other-path"),
        pytest.param(get("/_mock/ns/a/KeyfactorAPI/PamProviders/"), id="path-in-a-namespace"),
        pytest.param(get("/nowhere/"), id="unknown-path"),
        pytest.param(media_type, id="media-type"),
        pytest.param(values, id="other-values"),
        pytest.param(named, id="name-of-a-header"),
        pytest.param(many_headers, id="many-headers"),
        pytest.param(body, id="name-in-a-body"),
        pytest.param(form, id="name-in-a-form"),
    ],
)
def test_what_is_remembered_has_a_bound(mock: MockServer, caller: Caller, send: Send) -> None:
    def kept() -> int:
        mock.reset()
        mock.namespace("a").drop()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    send(caller, "x")
    assert caller.send("2", V2, path=PATH).status_code == 200
    tracemalloc.start()
    try:
        before = kept()
        for number in range(MANY):
            send(caller, f"{number}{'x' * LONG}")
            if number % 20 == 0:
                mock.reset()
        assert kept() - before < BOUND
    finally:
        tracemalloc.stop()


OF_ALL = (type, FunctionType, BuiltinFunctionType, Enum, Operation, Upgrade, bool, type(None))


def taken(kept: object) -> int:
    """Return the octets of a value and of all that it alone leads to, each once."""
    seen: dict[int, object] = {}
    found = [kept]
    while found:
        each = found.pop()
        if id(each) in seen or isinstance(each, OF_ALL):
            continue
        seen[id(each)] = each
        found += gc.get_referents(each)
    # What is sealed says the size of its octets, which are found too.
    return sum(
        object.__sizeof__(each) if isinstance(each, Sealed) else getsizeof(each)
        for each in seen.values()
    )


def counted_of(mock: MockServer, kind: str) -> list[tuple[object, int]]:
    """Return the entries of a kind, each with the octets that it counts as."""
    journal = mock._states.get().journal  # noqa: SLF001  # nothing else tells
    return list(getattr(journal, kind)._entries)  # noqa: SLF001  # as above


LOGIN: Json = V2 | {"Host": "relay.test"} | BASIC["2"]
UNKNOWN = {f"f{number}": 1 for number in range(200)}
LENIENT = json.dumps({name.lower(): str(value) for name, value in (V2 | UNKNOWN).items()})
PAIRS = [{"name": f"X-{number}", "value": "x"} for number in range(150)]


@pytest.mark.parametrize(
    ("version", "body", "headers"),
    [
        pytest.param("2", V2, {}, id="delivered"),
        pytest.param("1", V1, {}, id="deprecated"),
        pytest.param("2", V2, {f"x-h{number}": "x" for number in range(80)}, id="headers"),
        pytest.param("2", {}, {}, id="refused"),
        pytest.param("2", V2 | UNKNOWN, {}, id="100-violations"),
        pytest.param("2", V2 | {"requestHeaders": PAIRS}, {}, id="notes"),
        pytest.param("2", f"{LENIENT} more".encode(), {}, id="lenient"),
        pytest.param("2", V2 | {"SenderName": "\u00fc" * 100_000}, {}, id="large"),
        pytest.param("2", b"Host=a", {"content-type": "application/json"}, id="no-json"),
        pytest.param("2", V2, {"authorization": "Basic Og=="}, id="unknown-caller"),
        pytest.param("2", V2, {"x-mock-fault": "delay=0.01,status=503"}, id="fault"),
        pytest.param("2", LOGIN, {}, id="login"),
        pytest.param("2", LOGIN | {"Host": "badlogin.test"}, {}, id="bad-login"),
        pytest.param("2", V2 | {"Host": "relay.test"} | OAUTH, {}, id="oauth"),
        *(
            pytest.param(
                "2", LOGIN | {"RelayUsername": {"Provider": "1", "Parameters": parameters}}, {}
            )
            for parameters in ({"SecretName": "x"}, {"SecretName": "EmailSenderPassword"})
        ),
    ],
)
def test_what_is_kept_of_a_call_counts_as_what_it_takes(
    mock: MockServer, caller: Caller, version: str, body: Json | bytes, headers: dict[str, str]
) -> None:
    if isinstance(body, bytes):
        caller.http.patch("/_mock/world", json={"lenient": True})
    auth = None if "authorization" in headers else ("KEYEXAMPLE\\admin", "admin-password")
    caller.send(version, body, headers=headers, auth=auth)
    ((kept, counted),) = counted_of(mock, "exchanges")
    assert taken(kept) <= counted < 2 * taken(kept)


def test_what_is_kept_of_mail_and_tokens_counts_as_what_it_takes(
    mock: MockServer, caller: Caller
) -> None:
    caller.send("2", LOGIN)
    form = {"grant_type": "client_credentials", "scope": "x " * 500}
    caller.http.post("/_mock/idp/token", data=form)
    with SMTP("127.0.0.1", mock.port("smtp") or 0) as client:
        client.sendmail("a@b.test", [f"{number}@b.test" for number in range(50)], "Subject: x")
    assert mock.sessions
    kept = [each for kind in ("messages", "tokens", "sessions") for each in counted_of(mock, kind)]
    assert len(kept) == 4
    for entry, counted in kept:
        assert taken(entry) <= counted

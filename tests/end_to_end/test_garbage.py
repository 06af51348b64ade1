"""What a call leaves behind: nothing for the collector, and little in the journal."""

import gc
import http.client
import json
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from statistics import median

import pytest

from mockserver import MockServer
from support import ADMIN, PATH, V2, Json

HEADERS = {
    "Authorization": f"Basic {b64encode(':'.join(ADMIN).encode()).decode()}",
    "Content-Type": "application/json",
    "x-keyfactor-api-version": "2",
    "x-keyfactor-requested-with": "APIClient",
}
BODIES: dict[str, Json] = {
    "refused": V2 | {"Port": 0},
    "delivered": V2,
    "delivered with STARTTLS": V2 | {"UseSSL": True},
    "delivered with a token": V2
    | {
        "Host": "smtp.keyexample.com",
        "UseSSL": True,
        "RelayAuthenticationType": 3,
        "ClientId": {"SecretValue": "command-email"},
        "ClientSecret": {"SecretValue": "MySuperSecretClientSecret"},
        "SenderAccount": "command@keyexample.com",
    },
}


@contextmanager
def calling(body: Json) -> Iterator[tuple[MockServer, Callable[[], None]]]:
    """Run a mock, and give it with what calls it once over one connection."""
    with MockServer(https_port=None) as mock:
        client = http.client.HTTPConnection("127.0.0.1", mock.port("http"))

        def call() -> None:
            client.request("POST", PATH, json.dumps(body), HEADERS)
            client.getresponse().read()

        with closing(client):
            call()
            yield mock, call


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_no_call_waits_for_the_collector(body: Json) -> None:
    with calling(body) as (mock, call):
        mock.reset()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                call()
            mock.reset()  # asks the loop, which so has ended the last session
            found = gc.collect()
        finally:
            gc.enable()
    assert found < 20


# Octets of a call and its mail. With an object for each header and for each line that is said they
# were 2,800, 9,800, 12,100 and 19,400.
KEPT = dict(zip(BODIES, (2_000, 6_000, 6_500, 10_000), strict=True))


@pytest.mark.parametrize("name", KEPT)
def test_calls_are_kept_in_little_room(name: str) -> None:
    def kept(calls: int) -> int:
        for _ in range(calls):
            call()
        assert mock.requests  # which asks the loop, that so has ended the last session
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    with calling(BODIES[name]) as (mock, call):
        tracemalloc.start()
        try:
            sizes = [kept(calls=50) for _ in range(5)]
        finally:
            tracemalloc.stop()
    # A table that has grown meanwhile is in one of them alone.
    assert median(after - before for before, after in pairwise(sizes)) / 50 < KEPT[name]

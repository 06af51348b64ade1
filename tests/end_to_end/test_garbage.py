"""What a call leaves behind is gone when it ends, and not when the collector comes by."""

import gc
import http.client
import json
from base64 import b64encode

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
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_no_call_waits_for_the_collector(body: Json) -> None:
    with MockServer(https_port=None) as mock:
        client = http.client.HTTPConnection("127.0.0.1", mock.port("http"))

        def call() -> None:
            client.request("POST", PATH, json.dumps(body), HEADERS)
            client.getresponse().read()

        call()
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
        client.close()
    assert found < 20

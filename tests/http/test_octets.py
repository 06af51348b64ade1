"""Whatever octets arrive at the HTTP port: an answer below 500 or an end, in bounded time."""

import re
import socket
from collections.abc import Iterable
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mockserver import MockServer

SECONDS = 5
MAX_ANSWER = 4 * 1024 * 1024
STATUS = re.compile(rb"(?:^|(?<=\n)|(?<=\}))HTTP/1\.[01] ([0-9]{3}) ")

octets = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def whole(method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Write a request that is whole, however odd its parts are."""
    lines = [b"%s: %s" % pair for pair in headers]
    lines += [b"Host: localhost", b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"%s %s HTTP/1.1\r\n%s\r\n\r\n%s" % (method, path, b"\r\n".join(lines), body)


def answered(mock: MockServer, parts: Iterable[bytes], *, hang_up: bool = False) -> list[int]:
    """Send octets in parts, perhaps hang up; return the statuses of all answers until the end."""
    port = mock.port("http")
    assert port is not None
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for sent in parts:
                client.sendall(sent)
            if hang_up:
                client.shutdown(socket.SHUT_WR)
            while part := client.recv(65_536):
                received += part
                assert len(received) < MAX_ANSWER
        except ConnectionError:
            pass  # an end too; a connection that hangs is a TimeoutError, which is no such error
    return [int(status) for status in STATUS.findall(received)]


def check(mock: MockServer, sent: bytes, *, hang_up: bool = False) -> list[int]:
    """Check the answers to some octets, and that the mock still works after them."""
    statuses = answered(mock, [sent], hang_up=hang_up)
    assert all(100 <= status < 500 for status in statuses), statuses
    assert answered(mock, [whole(b"GET", b"/livez", [], b"")]) == [200]
    return statuses


METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"BREW", b"CONNECT"])
PATHS = st.sampled_from([b"/KeyfactorAPI/SMTP/Test", b"/_mock/messages", b"/livez", b"*"])
LINES = [
    b"Host: localhost\r\n", b"Content-Length: 2\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Content-Type: application/json\r\n",
    b"Authorization: Basic S0VZRVhBTVBMRVxhZG1pbjphZG1pbi1wYXNzd29yZA==\r\n",
    b"x-keyfactor-requested-with: APIClient\r\n", b"x-keyfactor-api-version: 2\r\n",
    b"\r\n", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"PRI * HTTP/2.0\r\n\r\n",
    b"GET /livez HTTP/1.1\r\n", b"GET /\xff HTTP/1.0\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01",
]  # fmt: skip


@octets
@given(parts=st.lists(st.binary(max_size=40) | st.sampled_from(LINES), max_size=12))
@example(parts=[])
@example(parts=[b"GET / HTTP/9.9\r\n\r\n"])
def test_any_octets_get_an_answer_or_an_end(session_mock: MockServer, parts: list[bytes]) -> None:
    # What is not whole must be ended; the answer to one that hung up may come too late.
    check(session_mock, b"".join(parts), hang_up=True)


NAMES = st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", fullmatch=True) | st.sampled_from(
    [b"Authorization", b"Cookie", b"X-Mock-Token", b"x-keyfactor-api-version", b"Content-Type"]
)
VALUES = st.from_regex(rb"[\t -~\x80-\xff]{0,60}", fullmatch=True) | st.sampled_from(
    [b"Basic", b"Basic Og==", b"Bearer a.b.c", b"Basic \xff", b"Bearer e30.e30.e30", b"2.0"]
)
# What would make it another message, which is the affair of the first test.
FRAMING = re.compile(
    rb"content-length|transfer-encoding|connection|upgrade|expect|host", re.IGNORECASE
)


@octets
@given(
    method=METHODS,
    path=PATHS,
    headers=st.lists(
        st.tuples(NAMES.filter(lambda name: not FRAMING.fullmatch(name)), VALUES), max_size=8
    ),
)
def test_any_headers_get_an_answer(
    session_mock: MockServer, method: bytes, path: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    assert check(session_mock, whole(method, path, headers, b""))


SEGMENTS = st.sampled_from(
    [b"/", b"//", b"/.", b"/..", b"%2e%2e", b"%2F", b"%00", b"%", b"%zz", b"%FF", b"%25", b";",
     b"?", b"/KeyfactorAPI", b"/keyfactorapi/SMTP", b"/PamProviders/", b"/_mock/", b"/docs",
     b"idp/token", b"openapi/v", b"\\", b"@", b":80", b"http://a/", b"\xc3\xbc"]
)  # fmt: skip


@octets
@given(
    method=METHODS.filter(lambda method: method != b"CONNECT"),
    parts=st.lists(SEGMENTS | st.binary(max_size=6).map(quote_from_bytes).map(str.encode)),
)
def test_any_path_gets_an_answer(
    session_mock: MockServer, method: bytes, parts: list[bytes]
) -> None:
    path = b"/" + b"".join(parts)
    assert check(session_mock, whole(method, path, [], b""))


ADMIN = b"Basic S0VZRVhBTVBMRVxhZG1pbjphZG1pbi1wYXNzd29yZA=="
TYPES = st.sampled_from(
    [b"application/json", b"application/x-www-form-urlencoded", b"application/merge-patch+json",
     b"multipart/form-data", b"text/plain", b""]
)  # fmt: skip
CALLS = st.sampled_from(
    [(b"POST", b"/KeyfactorAPI/SMTP/Test"), (b"PUT", b"/KeyfactorAPI/SMTP"),
     (b"GET", b"/KeyfactorAPI/SMTP"), (b"PATCH", b"/_mock/world"), (b"POST", b"/_mock/idp/token"),
     (b"POST", b"/_mock/reset"), (b"DELETE", b"/_mock/messages")]
)  # fmt: skip
BODIES = st.binary(max_size=200) | st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"Host"', b":", b",", b'"a@b"', b"1", b"1e999", b"null", b"\xff",
         b'"\\ud800"', b"grant_type=", b"client_credentials", b"&", b"%", b"%FF", b"=", b'"relays"']
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


@octets
@given(call=CALLS, content_type=TYPES, body=BODIES, version=st.sampled_from([b"1", b"2"]))
def test_any_body_gets_an_answer(
    session_mock: MockServer,
    call: tuple[bytes, bytes],
    content_type: bytes,
    body: bytes,
    version: bytes,
) -> None:
    headers = [
        *((b"Authorization", ADMIN), (b"Content-Type", content_type)),
        *((b"x-keyfactor-requested-with", b"APIClient"), (b"x-keyfactor-api-version", version)),
    ]
    assert check(session_mock, whole(*call, headers, body))
    session_mock.reset()


OFFER = (
    b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\nUpgrade: h2c\r\n"
)


def framed(body: bytes, sizes: list[int]) -> bytes:
    """Write a body with its Content-Length, or in chunks where sizes are given."""
    if not sizes:
        return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    chunks = [body[start : start + sizes[0]] for start in range(0, len(body), sizes[0])]
    written = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % written


@octets
@given(
    calls=st.lists(
        st.tuples(CALLS, BODIES, st.lists(st.integers(1, 50), max_size=1), st.booleans()),
        min_size=1,
        max_size=4,
    ),
    places=st.lists(st.integers(1, 2_000), max_size=6, unique=True).map(sorted),
)
def test_an_offer_of_another_protocol_changes_no_answer(
    session_mock: MockServer,
    calls: list[tuple[tuple[bytes, bytes], bytes, list[int], bool]],
    places: list[int],
) -> None:
    def statuses(offer: bytes) -> list[int]:
        sent = b""
        for number, ((method, path), body, sizes, offered) in enumerate(calls):
            last = b"Connection: close\r\n" if number == len(calls) - 1 else b""
            sent += b"%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n%s%s%s" % (
                *(method, path, ADMIN, last, offer if offered else b""),
                framed(body, sizes),
            )
        session_mock.reset()
        ends = [*places, len(sent)]
        return answered(session_mock, [sent[a:b] for a, b in zip([0, *places], ends, strict=True)])

    plain = statuses(b"")
    assert len(plain) == len(calls)
    assert statuses(OFFER) == plain

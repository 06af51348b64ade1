"""The `/_mock` endpoints over real HTTP."""

import gzip
import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver import MockServer
from support import ADMIN, V1, V2, VALID, Caller, calling, refusal


def test_the_index_names_listeners_states_and_links(caller: Caller) -> None:
    index = caller.http.get("/_mock").json()
    assert index["version"] == "0.1.0"
    assert index["listeners"]["http"] == {"host": "127.0.0.1", "port": caller.mock.port("http")}
    assert set(index["listeners"]) == {"http", "https", "smtp", "smtps"}
    assert "/_mock/messages/{id}/raw" in index["links"]


def test_health_is_plain(caller: Caller) -> None:
    assert [caller.http.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


@pytest.mark.parametrize(
    "path", ["/_mock", "/livez", "/_mock/messages", "/_mock/world", "/_mock/x"]
)
def test_answers_are_not_kept_and_not_guessed(caller: Caller, path: str) -> None:
    headers = caller.http.get(path).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


# Messages


def test_a_message_has_its_documented_keys(caller: Caller) -> None:
    response = caller.send("2", V2)
    (message,) = caller.messages()
    assert list(message) == [
        "id", "request_id", "identity", "received_at", "relay", "tls_mode", "tls_version",
        "mechanism", "username", "envelope", "helo", "parameters", "subject", "from", "to", "cc",
        "from_addresses", "to_addresses", "headers", "text", "html", "attachments", "defects",
        "size", "dialogue",
    ]  # fmt: skip
    assert message["request_id"] == response.headers["x-mock-request-id"]
    assert message["identity"] == "KEYEXAMPLE\\admin"
    assert message["relay"] == {"host": "corpexch02.keyexample.com", "port": 25}
    assert (message["tls_mode"], message["tls_version"], message["mechanism"]) == (
        "none",
        None,
        None,
    )
    assert message["envelope"] == {
        "sender": "jsmith@keyexample.com",
        "recipients": ["mjones@keyexample.com"],
    }
    assert message["from"] == "Keyfactor Command <jsmith@keyexample.com>"
    assert message["to"] == "mjones@keyexample.com"
    assert [name for name, _ in message["headers"]] == [
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    ]  # fmt: skip
    assert "Keyfactor Command" in message["subject"]
    assert "test message" in message["text"]
    assert message["dialogue"][0][0] == "S"
    assert message["dialogue"][-1][1].startswith("250 ")
    assert caller.http.get(f"/_mock/messages/{message['id']}").json() == message


def test_the_raw_message_is_what_came_over_the_wire(caller: Caller) -> None:
    caller.send("2", V2)
    (message,) = caller.messages()
    raw = caller.http.get(f"/_mock/messages/{message['id']}/raw")
    assert raw.headers["content-type"] == "message/rfc822"
    assert len(raw.content) == message["size"]
    assert raw.content.startswith(b"From: Keyfactor Command <jsmith@keyexample.com>\r\n")


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("recipient", "MJONES@keyexample.com", 1),
        ("recipient", "mjones", 0),
        ("sender", "jsmith@keyexample.com", 2),
        ("subject", "TEST MESSAGE", 2),
        ("subject", "invoice", 0),
        ("relay", "corpexch02.keyexample.com", 2),
        ("relay", "corpexch02.keyexample.com:25", 1),
        ("identity", "keyexample\\admin", 2),
        ("identity", "admin", 0),
        ("request_id", "unknown", 0),
    ],
)
def test_messages_are_filtered(caller: Caller, name: str, value: str, found: int) -> None:
    caller.send("2", V2)
    caller.send("2", V2 | {"TestRecipient": "other@keyexample.com", "Port": 26})
    assert len(caller.messages(**{name: value})) == found
    listing = caller.http.get("/_mock/messages", params={name: value}).json()
    assert list(listing) == ["messages", "count", "total", "dropped"]
    assert (listing["count"], listing["total"], listing["dropped"]) == (found, 2, 0)
    assert caller.http.delete("/_mock/messages", params={name: value}).status_code == 204
    assert len(caller.messages()) == 2 - found


def test_messages_are_listed_newest_last(caller: Caller) -> None:
    for number in range(3):
        caller.send("2", V2 | {"TestRecipient": f"{number}@keyexample.com"})
    assert [message["to"][0] for message in caller.messages()] == ["0", "1", "2"]


@pytest.mark.parametrize("seconds", ["-1", "60.1", "x", "nan", "inf", ""])
def test_wait_is_bounded(caller: Caller, seconds: str) -> None:
    for path in ("/_mock/messages", "/_mock/requests"):
        status, message = refusal(caller.http.get(path, params={"wait": seconds}))
        assert (status, "60" in message) == (400, True)


def test_a_list_is_read_in_parts(caller: Caller) -> None:
    sent = [caller.send("2", V2).headers["x-mock-request-id"] for _ in range(5)]
    for name, key in (("requests", "id"), ("messages", "request_id")):
        seen: list[str] = []
        after: dict[str, str] = {}
        for size in (2, 2, 1, 0):
            answer = caller.http.get(f"/_mock/{name}", params={"limit": "2"} | after).json()
            assert len(answer[name]) == size
            assert (answer["count"], answer["total"]) == (5 - len(seen), 5)
            seen += [entry[key] for entry in answer[name]]
            after = {"after": answer[name][-1]["id"]} if answer[name] else after
        assert seen == sent
    waiting = caller.http.get("/_mock/requests", params={"wait": "0.05"} | {"after": sent[-1]})
    assert waiting.json()["requests"] == []


@pytest.mark.parametrize(
    "limit", ["0", "1001", "x", "-1", "", "٣", "1" * 5_000, f"{1:05}{0:05000}"]
)
def test_a_limit_that_cannot_be_is_refused(caller: Caller, limit: str) -> None:
    status, message = refusal(caller.http.get("/_mock/messages", params={"limit": limit}))
    assert (status, message) == (400, "limit: a number from 1 to 1000")


def test_a_list_after_what_is_not_there_is_refused(caller: Caller) -> None:
    assert refusal(caller.http.get("/_mock/messages?after=x"))[0] == 404


def test_a_long_list_comes_in_pieces_and_whole_to_version_1_0(caller: Caller) -> None:
    for number in range(40):
        caller.send("2", V2 | {"Comment": "x" * 4_000, "Port": number})
    with caller.http.stream("GET", "/_mock/requests") as answer:
        assert "content-length" not in answer.headers
        pieces = list(answer.iter_raw())
    assert len(pieces) > 1
    found = json.loads(b"".join(pieces))
    assert len(found["requests"]) == found["count"] == 40
    with socket.create_connection(("127.0.0.1", caller.mock.port("http") or 0)) as sock:
        sock.sendall(b"GET /_mock/requests HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head, _, body = b"".join(iter(lambda: sock.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(body) in head
    assert json.loads(body) == found


def test_an_unknown_filter_is_refused(caller: Caller) -> None:
    for path in ("/_mock/messages", "/_mock/requests"):
        status, message = refusal(caller.http.get(path, params={"recipents": "x"}))
        assert (status, "recipents" in message) == (400, True)
        assert "recipient, " in message or "path, " in message
        assert message.endswith(
            "expect; the nearest is recipient" if "recipient" in message else ""
        )
    assert caller.http.delete("/_mock/messages", params={"to": "x"}).status_code == 400
    assert caller.http.delete("/_mock/messages", params={"wait": "1"}).status_code == 400


@pytest.mark.parametrize(
    "query", ["{0}=a&{0}=b", "{0}=a&{0}=a", "{0}=&x&{0}", "{0}=a&%{1:02x}{2}=b", "wait=0&wait=1"]
)
def test_a_filter_given_twice_is_refused(caller: Caller, query: str) -> None:
    caller.send("2", V2)
    for method, path, name in (
        ("GET", "messages", "recipient"),
        ("DELETE", "messages", "subject"),
        ("GET", "requests", "path"),
    ):
        asked = query.format(name, ord(name[0]), name[1:])
        status, message = refusal(caller.http.request(method, f"/_mock/{path}?{asked}"))
        assert (status, message.partition(":")[0]) == (400, asked.partition("=")[0])
        assert "given twice" in message
    assert len(caller.messages()) == 1


@pytest.mark.parametrize(
    ("path", "name", "value", "says"),
    [
        ("messages", "tls_mode", "startls", "the nearest is starttls"),
        ("messages", "mechanism", "plian", "the nearest is PLAIN"),
        ("messages", "relay", "smtp.test:x", "HOST:PORT"),
        ("messages", "recipient", "", "is empty"),
        ("requests", "status", "abc", "HTTP status"),
        ("requests", "stage", "rcptt", "the nearest is rcpt;"),
        ("requests", "version", "99", "there are 1, 2, "),
        ("requests", "code", "0xA01100F", "the nearest is 0xA011000F"),
        ("requests", "operation", "test_smtp_v3", "the nearest is test_smtp_v2"),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_once(
    caller: Caller, path: str, name: str, value: str, says: str
) -> None:
    caller.send("2", V2)
    answers = [caller.http.get(f"/_mock/{path}", params={name: value, "wait": "60"})]
    if path == "messages":
        answers.append(caller.http.delete("/_mock/messages", params={name: value}))
    for answer in answers:
        status, message = refusal(answer)
        assert (status, message.startswith(f"{name}: {value!r} "), says in message) == (
            400,
            True,
            True,
        )
    assert len(caller.messages()) == 1


def test_values_have_any_letter_case(caller: Caller) -> None:
    caller.send("2", V2 | {"Host": "any.test", "Port": 587, "UseSSL": True})
    assert len(caller.messages(tls_mode="STARTTLS", mechanism="NULL")) == 1
    for name, value in (("stage", "DATA"), ("operation", "Test_SMTP_v2"), ("code", "NULL")):
        found = caller.http.get("/_mock/requests", params={name: value}).json()
        assert found["count"] == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        # As a person types it, as curl's --data-urlencode sends it, and as forms do.
        ("recipient=user+tag@keyexample.com", ["user+tag"]),
        ("recipient=user%2btag%40keyexample.com", ["user+tag"]),
        ("recipient=user+tag%40keyexample.com", ["user+tag"]),
        ("recipient=user%20tag@keyexample.com", []),
        ("recipient=user@keyexample.com", []),
        ("subject=keyfactor+command", ["user+tag", "ops"]),
        ("subject=keyfactor%20command", ["user+tag", "ops"]),
        ("subject=keyfactor%2bcommand", []),
        ("identity=KEYEXAMPLE%5cjohn+smith", ["user+tag"]),
        ("identity=KEYEXAMPLE%5cjohn%20smith", ["user+tag"]),
        ("identity=KEYEXAMPLE%5cdev+ops", ["ops"]),
        ("identity=KEYEXAMPLE%5cdev%2bops", ["ops"]),
        ("&&recipient=user+tag@keyexample.com&", ["user+tag"]),
    ],
)  # fmt: skip
def test_a_plus_in_a_query_is_a_plus_or_a_blank(
    caller: Caller, query: str, found: list[str]
) -> None:
    user = {"domain": "KEYEXAMPLE", "password": "p", "roles": ["Administrator"]}
    caller.mock.patch_world({"users": {"john smith": user, "dev+ops": user}})
    for name, local in (("john smith", "user+tag"), ("dev+ops", "ops")):
        recipient = f"{local}@keyexample.com"
        assert caller.send("2", V2 | {"TestRecipient": recipient}, auth=(name, "p")).is_success
    listed = caller.http.get(f"/_mock/messages?{query}").json()["messages"]
    assert [each["envelope"]["recipients"][0].partition("@")[0] for each in listed] == found
    assert caller.http.delete(f"/_mock/messages?{query}").status_code == 204
    assert len(caller.messages()) == 2 - len(found)


def test_a_wait_for_an_address_with_a_plus_ends_when_it_comes(caller: Caller) -> None:
    caller.send("2", V2 | {"TestRecipient": "user+tag@keyexample.com"})
    started = time.monotonic()
    found = caller.http.get("/_mock/messages?recipient=user+tag@keyexample.com&wait=30").json()
    assert (found["count"], time.monotonic() - started < 10) == (1, True)


@pytest.mark.parametrize("recipient", ["jörg@bücher.example", "jörg@xn--bcher-kva.example"])
def test_an_internationalised_domain_is_found_by_either_form(
    caller: Caller, recipient: str
) -> None:
    body = V2 | {"Host": "bücher.example", "TestRecipient": recipient}
    assert caller.send("2", body | {"SenderAccount": recipient}).status_code == 200
    for domain in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example."):
        for name, text in (("recipient", f"jörg@{domain}"), ("relay", f"{domain}:25")):
            assert len(caller.messages(**{name: text})) == 1
        assert len(caller.messages(sender=f"JÖRG@{domain}", relay=domain)) == 1
    assert caller.messages(recipient="jörg@bucher.example") == []


def test_wait_holds_the_answer_until_a_message_matches(caller: Caller) -> None:
    def wait() -> list[str]:
        with calling(caller.mock) as other:
            found = other.messages(recipient="late@keyexample.com", wait="10")
            return [message["to"] for message in found]

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait)
        time.sleep(0.1)
        caller.send("2", V2)
        time.sleep(0.1)
        assert not waiting.done()
        caller.send("2", V2 | {"TestRecipient": "late@keyexample.com"})
        assert waiting.result(timeout=5) == ["late@keyexample.com"]


def test_wait_ends_with_nothing_when_the_time_is_over(caller: Caller) -> None:
    started = time.monotonic()
    assert caller.messages(wait="0.2") == []
    assert 0.2 <= time.monotonic() - started < 5


def test_a_reset_ends_a_wait(caller: Caller) -> None:
    timer = threading.Timer(0.2, caller.mock.reset)
    timer.start()
    started = time.monotonic()
    assert caller.messages(wait="30") == []
    assert time.monotonic() - started < 10
    timer.join()


@pytest.mark.parametrize(
    "path", ["/_mock/messages/x", "/_mock/messages/x/raw", "/_mock/requests/x"]
)
def test_an_unknown_id_is_404(caller: Caller, path: str) -> None:
    assert refusal(caller.http.get(path))[0] == 404


@pytest.mark.parametrize("path", ["/_mock/", "/_mock/x", "/_mock/openapi/v3.json"])
def test_an_unknown_call_is_404_and_names_the_index(caller: Caller, path: str) -> None:
    status, message = refusal(caller.http.get(path))
    assert status == 404
    assert "/_mock" in message


def test_another_method_is_405_and_names_the_allowed(caller: Caller) -> None:
    for method, path, allow in (
        ("GET", "/_mock/reset", "POST"),
        ("PUT", "/_mock/world", "GET, HEAD, PATCH"),
        ("POST", "/_mock/messages", "DELETE, GET, HEAD"),
    ):
        response = caller.http.request(method, path)
        assert refusal(response)[0] == 405
        assert response.headers["allow"] == allow


# Requests


def test_an_exchange_has_its_documented_keys(caller: Caller) -> None:
    exchange = caller.exchange(caller.send("2", V2))
    assert list(exchange) == [
        "id", "received_at", "duration_ms", "method", "path", "version", "operation", "identity",
        "status", "deprecated", "permission", "request", "violations", "problem", "secrets",
        "token_requests", "delivery", "message_id", "lenient", "steps", "ended", "v2",
    ]  # fmt: skip
    assert exchange["operation"] == "test_smtp_v2"
    assert exchange["request"]["body"] == V2
    assert ["x-keyfactor-api-version", "2"] in exchange["request"]["headers"]
    assert exchange["problem"] is None
    delivery = exchange["delivery"]
    assert (delivery["stage"], delivery["tls_mode"]) == ("data", "none")
    assert delivery["relay"] == {"host": "corpexch02.keyexample.com", "port": 25}
    assert delivery["reply"].startswith("250 ")
    assert [type(part) for part in delivery["dialogue"][0]] == [float, str, str]
    assert [message["id"] for message in caller.messages()] == [exchange["message_id"]]


def test_a_refused_call_has_no_further_than_it_got(caller: Caller) -> None:
    exchange = caller.exchange(caller.send("2", V2, auth=None))
    assert (exchange["status"], exchange["identity"], exchange["operation"]) == (401, None, None)
    assert (exchange["permission"], exchange["delivery"]) == (None, None)
    assert exchange["problem"]["message"]


def test_requests_are_filtered(caller: Caller) -> None:
    caller.send("2", V2)
    caller.send("1", V1)
    caller.send("1", b"")

    def count(**criteria: str) -> int:
        listing = caller.http.get("/_mock/requests", params=criteria).json()
        assert list(listing) == ["requests", "count", "total", "dropped"]
        assert (listing["total"], listing["dropped"]) == (3, 0)
        assert listing["count"] == len(listing["requests"])
        return len(listing["requests"])

    assert count() == 3
    assert count(version="1") == 2
    assert count(status="400") == 1
    assert count(path="/keyfactorapi/smtp/test") == 3
    assert count(identity="KEYEXAMPLE\\admin", version="2", status="200") == 1
    assert count(path="/other") == 0


def test_a_violation_names_path_rule_and_place_in_the_document(caller: Caller) -> None:
    exchange = caller.exchange(caller.send("2", V2 | {"Port": 70_000}))
    (violation,) = exchange["violations"]
    assert (violation["path"], violation["rule"]) == ("/Port", "maximum")
    document = caller.http.get("/_mock/openapi/v2.json").json()
    place = document
    for key in violation["pointer"].strip("/").split("/"):
        place = place[key]
    assert place == 65_535


# World and reset


def test_the_world_shows_no_secret(caller: Caller) -> None:
    world = caller.http.get("/_mock/world")
    assert world.json()["users"]["admin"] == {
        "domain": "KEYEXAMPLE",
        "password": "***",
        "roles": ["Administrator"],
    }
    for secret in ("admin-password", "MySuperSecretPassword", "MySuperSecretClientSecret"):
        assert secret not in world.text


def test_a_merge_patch_changes_the_world_until_the_reset(caller: Caller) -> None:
    patch = {"relays": {"*": {"replies": {"rcpt": "550 5.1.1 Not here"}}}}
    for media_type in ("application/merge-patch+json", "application/json; charset=utf-8"):
        answer = caller.http.patch("/_mock/world", json=patch, headers={"content-type": media_type})
        assert answer.status_code == 200
        assert answer.json() == caller.http.get("/_mock/world").json()
        assert answer.json()["relays"]["*"]["replies"] == {"rcpt": "550 5.1.1 Not here"}
        status, message = refusal(caller.send("2", V2 | {"Host": "any.test"}))
        assert (status, "550 5.1.1 Not here" in message) == (400, True)
        assert caller.http.post("/_mock/reset").status_code == 204
        assert caller.messages() == []
        assert caller.send("2", V2 | {"Host": "any.test"}).status_code == 200


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        ({"usres": {}}, ["/usres", "users"]),
        ({"users": {"ci": {"domain": "D"}}}, ["/users/ci", "password"]),
        ({"users": {"admin": {"password": "***"}}}, ["/users/admin/password"]),
        ({"relays": {"x.test": {"fault": "sleepy"}}}, ["/relays/x.test/fault", "refused"]),
        ({"lenient": "yes"}, ["/lenient"]),
        ([], ["must be a map"]),
    ],
    ids=str,
)
def test_a_bad_patch_is_refused_and_changes_nothing(
    caller: Caller, patch: object, names: list[str]
) -> None:
    before = caller.http.get("/_mock/world").json()
    status, message = refusal(caller.http.patch("/_mock/world", json=patch))
    assert status == 400
    for name in names:
        assert name in message
    assert caller.http.get("/_mock/world").json() == before


def test_a_patch_of_another_type_or_form_is_refused(caller: Caller) -> None:
    headers = {"content-type": "text/plain"}
    assert caller.http.patch("/_mock/world", content=b"{}", headers=headers).status_code == 415
    headers = {"content-type": "application/json"}
    assert caller.http.patch("/_mock/world", content=b"{", headers=headers).status_code == 400
    large = b'"' + b"x" * 2_000_000 + b'"'
    assert caller.http.patch("/_mock/world", content=large, headers=headers).status_code == 413
    headers["content-encoding"] = "gzip"
    response = caller.http.patch("/_mock/world", content=gzip.compress(b"{}"), headers=headers)
    status, message = refusal(response)
    assert (status, "content coding gzip" in message) == (415, True)


# Documents and certificates


@pytest.mark.parametrize("version", VALID)
def test_the_documents_are_served(caller: Caller, version: str) -> None:
    document = caller.http.get(f"/_mock/openapi/v{version}.json").json()
    assert document["openapi"].startswith("3.1")
    assert f"test_smtp_v{version}" in str(document["paths"])


def test_the_ca_signed_the_certificate_of_https(caller: Caller) -> None:
    pem = caller.http.get("/_mock/ca.pem").text
    context = ssl.create_default_context(cadata=pem)
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{caller.mock.port('https')}/livez"
        assert httpx2.get(url, verify=context).status_code == 200


# Who may ask


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("[::g]", 403),
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("mock.localhost", 200),
        ("192.0.2.1:80", 200),
        ("[::1]:8080", 200),
        ("keyfactor-mock.internal", 200),
        ("rebound.example", 403),
        ("localhost.example", 403),
        ("", 403),
    ],
)
def test_only_known_hosts_are_answered(host: str, status: int) -> None:
    with MockServer(tls_names=("keyfactor-mock.internal",)) as mock, calling(mock) as caller:
        for path in ("/_mock/messages", "/_mock/world"):
            assert caller.http.get(path, headers={"host": host}).status_code == status
        assert caller.http.get("/livez", headers={"host": host}).status_code == 200
        assert caller.send("2", V2, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:1"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
def test_pages_of_another_origin_are_refused(caller: Caller, headers: dict[str, str]) -> None:
    assert caller.http.post("/_mock/reset", headers=headers).status_code == 403
    assert caller.http.get("/_mock/messages", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "["},
        {"host": "[::1"},
        {"host": "localhost]"},
        {"origin": "http://["},
        {"origin": "http://"},
        {"origin": "evil.example"},
    ],
    ids=str,
)
def test_what_is_no_host_and_no_origin_gets_a_400(caller: Caller, headers: dict[str, str]) -> None:
    assert refusal(caller.http.post("/_mock/reset", headers=headers))[0] == 400
    assert refusal(caller.http.get("/_mock/messages", headers=headers))[0] == 400


LINK = {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-user": "?1",
}


def test_a_link_of_another_site_may_be_followed(caller: Caller) -> None:
    response = caller.send("2", V2)
    (message,) = caller.messages()
    for path in (
        "/_mock",
        "/_mock/messages",
        f"/_mock/messages/{message['id']}/raw",
        f"/_mock/requests/{response.headers['x-mock-request-id']}",
        "/_mock/world",
    ):
        answer = caller.http.get(path, headers=LINK)
        assert answer.status_code == 200
        # Where a browser does not say what it loads a page for, no frame shows it all the same.
        assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"


@pytest.mark.parametrize(
    "changes",
    [
        {"sec-fetch-dest": "iframe"},
        {"sec-fetch-dest": "object"},
        {"sec-fetch-dest": ""},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-mode": "no-cors"},
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"host": "rebound.example"},
    ],
    ids=str,
)
def test_nothing_but_a_link_leads_here_from_another_site(
    caller: Caller, changes: dict[str, str]
) -> None:
    assert caller.http.get("/_mock/messages", headers=LINK | changes).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT", "HEAD"])
def test_a_link_only_reads(caller: Caller, method: str) -> None:
    caller.send("2", V2)
    for path in ("/_mock/messages", "/_mock/reset", "/_mock/world"):
        assert caller.http.request(method, path, headers=LINK).status_code == 403
    assert len(caller.mock.messages) == 1


def test_a_page_of_the_mock_itself_may_ask(caller: Caller) -> None:
    headers = {"origin": caller.mock.url, "sec-fetch-site": "same-origin"}
    assert caller.http.post("/_mock/reset", headers=headers).status_code == 204


def test_a_token_is_asked_for_where_there_is_one() -> None:
    with MockServer(control_token="the-token") as mock, calling(mock) as caller:
        for path in ("/_mock", "/_mock/messages", "/_mock/world"):
            assert caller.http.get(path).status_code == 401
            assert caller.http.get(path, headers={"x-mock-token": "wrong"}).status_code == 401
            assert caller.http.get(path, headers={"x-mock-token": "the-token"}).status_code == 200
        for path in ("/livez", "/readyz", "/_mock/ca.pem"):
            assert caller.http.get(path).status_code == 200
        assert caller.send("2", V2).status_code == 200


@given(
    path=st.text(max_size=40),
    query=st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3),
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_gets_a_5xx(caller: Caller, path: str, query: dict[str, str], method: str) -> None:
    rest = quote(path, errors="replace") + "?" + urlencode(query, errors="replace")
    for prefix in ("/_mock/", "/KeyfactorAPI/", "/"):
        response = caller.http.request(method, caller.mock.url + prefix + rest, auth=ADMIN)
        assert response.status_code < 500

"""Tests that share one mock, each in a namespace of its own."""

import asyncio
import gc
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from mockserver import MockServer
from mockserver.base.problems import Problem
from mockserver.journal.state import _MAX_NAMESPACES, States
from mockserver.world.loading import load
from support import V2, Caller, Json, refusal

CI = {"users": {"ci": {"domain": "X", "password": "p", "roles": ["Administrator"]}}}


@pytest.fixture
def names(mock: MockServer) -> Iterator[list[str]]:
    """Give names of namespaces that are new, and are dropped afterwards."""
    given = ["a-name", "b.c-d_E"]
    yield given
    for name in given:
        mock.namespace(name).drop()


def in_header(name: str) -> dict[str, str]:
    return {"x-mock-namespace": name}


def test_header_and_url_lead_to_the_same_state(caller: Caller, names: list[str]) -> None:
    for name in names:
        base = f"/_mock/ns/{name}"
        assert caller.send("2", V2, headers=in_header(name)).status_code == 200
        assert caller.send("2", V2, path=f"{base}/KeyfactorAPI/SMTP/Test").status_code == 200
        assert caller.send("2", V2, path=f"{base}//keyfactorapi//smtp/TEST").status_code == 200
        by_url = caller.http.get(f"{base}/messages").json()
        by_header = caller.http.get("/_mock/messages", headers=in_header(name)).json()
        assert by_url == by_header
        assert by_url["total"] == 3
        paths = {each["path"] for each in caller.http.get(f"{base}/requests").json()["requests"]}
        assert paths == {"/KeyfactorAPI/SMTP/Test", "//keyfactorapi//smtp/TEST"}
    assert caller.messages() == []


def test_each_has_a_world_and_counters_of_its_own(caller: Caller, names: list[str]) -> None:
    first, second = names
    patched = caller.http.patch(f"/_mock/ns/{first}/world", json=CI)
    assert "ci" in patched.json()["users"]
    assert caller.send("2", V2, auth=("ci", "p"), headers=in_header(first)).status_code == 200
    assert caller.send("2", V2, auth=("ci", "p"), headers=in_header(second)).status_code == 401
    assert caller.send("2", V2, auth=("ci", "p")).status_code == 401
    greylisted = V2 | {"Host": "greylisted.test"}
    for name in names:
        answers = [caller.send("2", greylisted, headers=in_header(name)) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [400, 200]


def test_a_reset_touches_no_other(mock: MockServer, caller: Caller, names: list[str]) -> None:
    first, second = names
    for name in names:
        caller.http.patch(f"/_mock/ns/{name}/world", json=CI)
        caller.send("2", V2, headers=in_header(name))
    caller.send("2", V2)
    assert caller.http.post(f"/_mock/ns/{first}/reset").status_code == 204
    one, other = mock.namespace(first), mock.namespace(second)
    assert (len(one.messages), "ci" in one.world.users) == (0, False)
    assert (len(other.messages), "ci" in other.world.users) == (1, True)
    mock.reset()
    assert (len(mock.messages), len(other.messages)) == (0, 1)


def test_a_view_sees_one_namespace(mock: MockServer, caller: Caller, names: list[str]) -> None:
    view = mock.namespace(names[1])
    view.patch_world({"relays": {V2["Host"]: {"replies": {"rcpt": "550 5.1.1 No"}}}})
    assert view.api_url == f"{mock.url}/_mock/ns/{names[1]}/KeyfactorAPI"
    assert caller.send("2", V2, path=f"{view.api_url}/SMTP/Test").status_code == 400
    view.assert_rejected(stage="rcpt")
    view.assert_not_delivered()
    assert mock.requests == ()
    view.reset()
    caller.send("2", V2, path=f"{view.api_url}/SMTP/Test")
    assert view.wait_for_message() == view.assert_delivered()

    async def scenario() -> None:
        assert await view.next_message() == view.messages[0]

    asyncio.run(scenario())


def test_one_that_is_dropped_begins_anew(mock: MockServer, caller: Caller) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(caller.http.get, "/_mock/ns/gone/messages?wait=60&subject=never")
        caller.send("2", V2, headers=in_header("gone"))
        mock.namespace("gone").wait_for_message(timeout=10)
        assert caller.http.delete("/_mock/ns/gone").status_code == 204
        assert waiting.result().json()["messages"] == []
    assert "gone" not in caller.http.get("/_mock").json()["states"]
    assert mock.namespace("gone").messages == ()
    for _ in range(2):
        assert caller.http.delete("/_mock/ns/gone").status_code == 204


@pytest.mark.parametrize("name", ["a b", "x" * 65, "ü", "a%2Fb", "%00"])
def test_a_bad_name_is_refused(mock: MockServer, caller: Caller, name: str) -> None:
    answers = [caller.http.get(f"/_mock/ns/{name}/messages")]
    answers.append(caller.send("2", V2, path=f"/_mock/ns/{name}/KeyfactorAPI/SMTP/Test"))
    if name.isascii():
        answers.append(caller.send("2", V2, headers=in_header(name)))
    for answer in answers:
        assert answer.status_code in {400, 404}
    assert list(mock._states) == [""]  # noqa: SLF001  # nothing was made


def test_it_has_a_token_endpoint_of_its_own(mock: MockServer, caller: Caller) -> None:
    url = mock.namespace("tokens").token_url
    form = {"grant_type": "client_credentials"}
    answer = caller.http.post(url, data=form, auth=("api-client", "api-client-secret"))
    assert answer.status_code == 200
    assert [each.client_id for each in mock.namespace("tokens").tokens] == ["api-client"]


def test_the_name_is_checked_for_python_too(mock: MockServer) -> None:
    with pytest.raises(Problem, match="the name of a namespace has 1 to 64"):
        mock.namespace("a b")


def test_one_more_than_a_thousand_is_refused(caller: Caller) -> None:
    with MockServer() as mock:
        for number in range(_MAX_NAMESPACES):
            mock.namespace(f"n{number}")
        url = f"{mock.url}/_mock/ns/more/messages"
        status, message = refusal(httpx2.get(url))
        assert status == 429
        assert "DELETE /_mock/ns/NAME" in message
        assert (
            refusal(caller.send("2", V2, path=f"{mock.url}/_mock/ns/more/KeyfactorAPI/SMTP/Test"))[
                0
            ]
            == 429
        )
        mock.namespace("n0").drop()
        assert httpx2.get(url).status_code == 200


def test_of_a_thousand_those_that_only_strangers_called_go_first() -> None:
    with MockServer() as mock:

        def ask(name: str, password: str) -> int:
            headers = {"x-mock-namespace": name}
            url = f"{mock.api_url}/SMTP"
            return httpx2.get(url, auth=("admin", password), headers=headers).status_code

        assert ask("used", "wrong") == 401
        assert ask("used", "admin-password") == 400  # a header is missing
        assert ask("strange", "wrong") == 401
        assert mock.namespace("strange").requests[0].status == 401
        for number in range(_MAX_NAMESPACES - 2):
            mock.namespace(f"n{number}")
        assert ask("more", "admin-password") == 400
        assert "strange" not in mock._states  # noqa: SLF001  # asking for it would make it
        assert {"used", "more", "n0"} < set(mock._states)  # noqa: SLF001  # as above
        assert ask("too-many", "admin-password") == 429


def test_a_namespace_has_an_identity_provider_with_its_clients(
    caller: Caller, names: list[str]
) -> None:
    base = f"/_mock/ns/{names[0]}"
    client = {"mine": {"secret": "s", "roles": ["Administrator"]}}
    caller.http.patch(f"{base}/world", json={"oauth_clients": client})
    document = caller.http.get(f"{base}/idp/.well-known/openid-configuration").json()
    assert document["token_endpoint"] == f"{caller.mock.url}{base}/idp/token"
    assert caller.http.get(document["jwks_uri"]).json()["keys"]
    form = {"grant_type": "client_credentials", "client_id": "mine", "client_secret": "s"}
    assert caller.http.post("/_mock/idp/token", data=form).status_code == 401
    by_header = caller.http.post("/_mock/idp/token", data=form, headers=in_header(names[0]))
    for answer in (caller.http.post(document["token_endpoint"], data=form), by_header):
        token = answer.json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        path = f"{base}/KeyfactorAPI/SMTP/Test"
        assert caller.send("2", V2, auth=None, headers=headers, path=path).status_code == 200
        assert caller.send("2", V2, auth=None, headers=headers).status_code == 401


@pytest.mark.long
def test_two_hundred_clients_do_not_see_each_other(mock: MockServer) -> None:
    """Each with a user, a relay that refuses in its own words, and mail of its own."""

    async def client(http: httpx2.AsyncClient, number: int) -> None:
        name = f"client-{number}"
        base = f"/_mock/ns/{name}"
        reply = f"550 5.7.1 Refused in {name}"
        world = {
            "users": {name: {"domain": "X", "password": name, "roles": ["Administrator"]}},
            "relays": {"own.test": {"replies": {"rcpt": reply}}},
        }
        assert (await http.patch(f"{base}/world", json=world)).status_code == 200
        for host, status in (("own.test", 400), ("other.test", 200), ("greylisted.test", 400)):
            body = V2 | {"Host": host, "TestRecipient": f"{name}@b.test"}
            answer = await http.post(
                f"{base}/KeyfactorAPI/SMTP/Test",
                json=body,
                auth=(name, name),
                headers={"x-keyfactor-requested-with": "APIClient", "x-keyfactor-api-version": "2"},
            )
            assert answer.status_code == status
            assert (reply in answer.text) is (host == "own.test")
        kept = (await http.get(f"{base}/messages")).json()["messages"]
        assert [each["envelope"]["recipients"] for each in kept] == [[f"{name}@b.test"]]
        assert (await http.get(f"{base}/requests")).json()["total"] == 3
        assert (await http.delete(base)).status_code == 204

    async def scenario() -> None:
        limits = httpx2.Limits(max_connections=50)
        async with httpx2.AsyncClient(base_url=mock.url, timeout=60, limits=limits) as http:
            await asyncio.gather(*(client(http, number) for number in range(200)))

    asyncio.run(scenario())
    assert (mock.messages, mock.requests) == ((), ())


@pytest.mark.long
def test_a_world_is_patched_a_thousand_times_under_load(mock: MockServer) -> None:
    """Each answer is that of one world, the one before a patch or the one after it."""

    def world(number: int) -> Json:
        return {"product_version": f"1.{number}", "smtp_profile": {"SenderName": str(number)}}

    def load_it(done: threading.Event) -> set[tuple[str, str]]:
        seen = set()
        connection = http.client.HTTPConnection("127.0.0.1", mock.port("http"))
        headers = {
            "Authorization": "Basic YWRtaW46YWRtaW4tcGFzc3dvcmQ=",
            "x-keyfactor-requested-with": "APIClient",
        }
        while not done.is_set():
            connection.request("GET", "/KeyfactorAPI/SMTP", headers=headers)
            answer = connection.getresponse()
            name = json.load(answer)["SenderName"]
            seen.add((str(answer.headers["x-keyfactor-product-version"]), name))
        connection.close()
        return seen

    done = threading.Event()
    mock.patch_world(world(0))
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(load_it, done) for _ in range(4)]
        for number in range(1, 1_000):
            mock.patch_world(world(number))
        done.set()
        seen = set().union(*(each.result() for each in loads))
    assert mock.world.product_version == "1.999"
    assert len(seen) > 20
    assert all(version == f"1.{name}" for version, name in seen)


def test_a_namespace_that_is_dropped_leaves_no_bytes_behind() -> None:
    states = States(load())
    for number in range(50):
        name = f"n{number}"
        states.get(name).patch_world({"lenient": True})
        states.drop(name)
    gc.collect()
    assert list(states) == [""]
    assert json.dumps(sorted(vars(states)["_states"])) == '[""]'

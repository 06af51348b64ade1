"""Mistakes, and the one sentence that each is told by: where it is, and what to do."""

from pathlib import Path

import pytest

from mockserver.world.loading import load
from mockserver.world.reading import WorldError
from support import Caller

EXTENDS = "is for files; a patch changes the world that is there, so leave the key out"
LOST = "null removes it, and no world is without it; leave the key out to keep it"
NO_WORLD = (
    "is no complete world; a file starts with 'extends: default', and then holds what differs"
)
WORLDS = {
    "": NO_WORLD,
    "hello": NO_WORLD,
    "relays: {}": NO_WORLD,
    "extends: defualt": "/extends: defualt: there is no such file; did you mean 'default'?",
    "extends: bse.yaml": "/extends: bse.yaml: there is no such file; did you mean 'base.yaml'?",
    "extends: ''": "/extends: must be 'default' or the path of a file",
    "extends: [default]": "/extends: must be 'default' or the path of a file",
    "extends: default\nrelays: null": f"/relays: {LOST}",
    "extends: default\nerrors: {body: null}": f"/errors/body: {LOST}",
    "extends: default\nrelays: []": "/relays: must be a map",
    # A number breaks no rule about the keys of a map.
    "extends: default\nrelays: {x.test: 1}": "/relays/x.test: must be a map",
    "extends: default\nrelay: {}": "/relay: unknown key; did you mean 'relays'?",
    # What is missing is there, under another name.
    "extends: default\nusers: {bob: {domain: D, pasword: x}}": (
        "/users/bob/pasword: unknown key; did you mean 'password'?"
    ),
    "extends: default\nusers: {bob: {domain: D}}": "/users/bob/password: missing",
    "extends: default\nusers:\n\tbob: {}": "line 3, column 1: a tab; YAML is indented with blanks",
    "# ä\n\textends: default": "line 2, column 1: a tab; YAML is indented with blanks",
    "extends: default\nproduct_version: 25": "/product_version: must be a text; write it in quotes",
}


@pytest.mark.parametrize("text", WORLDS)
def test_a_mistake_in_a_world_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("extends: default\n")
    path = tmp_path / "world.yaml"
    path.write_text(text)
    with pytest.raises(WorldError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: {WORLDS[text]}"


@pytest.mark.parametrize(
    ("name", "told"), [("fuz", "fuz: {}'fuzz'?"), ("", "'': {}'default'?"), ("a//b", "a//b: {}'")]
)
def test_a_world_that_is_not_there_names_the_nearest(name: str, told: str) -> None:
    with pytest.raises(WorldError, match="no such file") as caught:
        load(name)
    assert str(caught.value).startswith(told.format("there is no such file; did you mean "))


def test_a_patch_extends_nothing() -> None:
    told = f"world: /extends: {EXTENDS}"
    with pytest.raises(WorldError, match=f"^{told}$"):
        load({"extends": "default", "lenient": True})


PATCH = "PATCH /_mock/world"
TYPES = "application/merge-patch+json or application/json"
CALLS = {
    (PATCH, "text/plain", b"{}"): (415, f"a patch has the Content-Type {TYPES}, not text/plain"),
    (PATCH, None, b"{}"): (415, f"a patch has the Content-Type {TYPES}, not none"),
    (PATCH, "application/json", b'{"relays": null}'): (400, f"patch: /relays: {LOST}"),
    (PATCH, "application/json", b'{"extends": "default"}'): (400, f"patch: /extends: {EXTENDS}"),
    (PATCH, "application/json", b"null"): (400, "patch: must be a map"),
    (PATCH, "application/json", b"[]"): (400, "patch: must be a map"),
    (PATCH, "application/json", b'{"relays": {"x\'+&\xc3\xb6.test": 1}}'): (
        400,
        "patch: /relays/x'+&ö.test: must be a map",
    ),
    ("GET /_mock/messages?wait='1'", None, b""): (400, "wait: a number of seconds from 0 to 60"),
    ("GET /_mock/messages?after=x", None, b""): (
        404,
        "after: no entry has this id; perhaps it was dropped, or reset",
    ),
    ("GET /_mock/coverage?operation=*", None, b""): (
        400,
        "operation: unknown; the one parameter here is operations",
    ),
    ("GET /_mock/certificates/crl?auth=x", None, b""): (
        400,
        "auth: unknown; the one parameter here is authority",
    ),
    ("GET /_mock/ns/a%20b/messages", None, b""): (
        400,
        "the name of a namespace has 1 to 64 characters of A-Z a-z 0-9 . _ -",
    ),
    ("POST /_mock/editions/check", None, b'{"path": "/SMTP", "bdy": 1}'): (
        400,
        "bdy: unknown key; the nearest known one is body",
    ),
    ("POST /_mock/editions/check", None, b"'"): (400, "the body is not JSON at line 1, column 1"),
}


@pytest.mark.parametrize(("call", "told"), CALLS.items(), ids=map(str, CALLS))
def test_a_mistake_in_a_control_call_is_told_in_plain_text(
    call: tuple[str, str | None, bytes], told: tuple[int, str], caller: Caller
) -> None:
    path, kind, body = call
    response = caller.send(None, body, path=path, headers={"content-type": kind})
    assert (response.status_code, response.json()["Message"]) == told
    # Only the product escapes as .NET does.
    assert "\\u" not in response.text


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "there is no header Authorization"),
        ("", "empty header Authorization"),
        ("secret", "the scheme of Authorization is neither Basic nor Bearer"),
        ("Basic", "the Basic credentials have no colon"),
    ],
)
def test_why_a_caller_is_unknown_is_in_the_journal(
    header: str | None, reason: str, caller: Caller
) -> None:
    response = caller.send("2", {}, auth=None, headers={"authorization": header})
    assert response.status_code == 401
    assert caller.exchange(response)["problem"]["message"] == reason

"""A world: the two that ship, look-ups, patches, files, and every way to get one wrong."""

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]  # as above

from mockserver.base import data
from mockserver.base.data import data_folder
from mockserver.base.documents import merge
from mockserver.base.masking import MASK, Secret
from mockserver.base.text import host_name, nearest
from mockserver.world import loading, model
from mockserver.world.loading import load, patched
from mockserver.world.model import World
from mockserver.world.reading import WorldError
from mockserver.world.rules import file_schema, masked
from support import ROOT

FIXTURES = ROOT / "fixtures"
SCHEMA: dict[str, Any] = yaml.safe_load((FIXTURES / "schema.yaml").read_text("utf-8"))
SECRETS = {
    "admin-password",
    "operator-password",
    "auditor-password",
    "newcomer-password",
    "api-client-secret",
    "MySuperSecretPassword",
    "MySuperSecretClientSecret",
    "fuzz-secret",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def refusal(source: str | Path | Mapping[str, Any]) -> str:
    with pytest.raises(WorldError) as caught:
        load(source)
    return str(caught.value)


def written(folder: Path, text: str | bytes, name: str = "world.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# The two worlds that ship


def test_the_default_world_is_complete_and_valid_to_an_independent_validator() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(dict(load().data))


def test_the_default_world_breaks_none_of_our_rules() -> None:
    # Where it has been checked a start leaves them out; as a file it is one that was given.
    assert load(FIXTURES / "default.yaml").data == load().data


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of our worlds, in a mock that is installed elsewhere."""
    folder = tmp_path / "fixtures"
    shutil.copytree(FIXTURES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with monkeypatch.context() as patched:
        patched.setattr(data, "PACKAGE", tmp_path / "mockserver")
        patched.setattr(sys, "dont_write_bytecode", False)
        patched.setattr(sys, "pycache_prefix", None)
        forget()
        yield folder
    forget()


def forget() -> None:
    """Forget the default world, as a new process knows none."""
    loading._default.cache_clear()  # noqa: SLF001  # there is no other way
    loading._default_world.cache_clear()  # noqa: SLF001  # as above


def test_a_mistake_in_the_default_world_is_told_at_each_start(elsewhere: Path) -> None:
    path = elsewhere / "default.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("password:", "pasword:", 1), "utf-8")
    for _ in range(2):
        with pytest.raises(WorldError) as caught:
            load()
        told = f"{path}: /users/admin/pasword: unknown key; did you mean 'password'?"
        assert str(caught.value) == told
    path.write_text(text.replace("admin-password", "other-password", 1), "utf-8")
    assert load().users["admin"].password.reveal() == "other-password"


def test_of_a_world_of_a_user_nothing_is_kept_beside_ours_either(elsewhere: Path) -> None:
    mine = written(elsewhere, "extends: fuzz\nlenient: true\n", "mine.yaml")
    outside = written(elsewhere.parent, "extends: default\nlenient: true\n", "outside.yaml")
    for path in (mine, elsewhere / ".." / outside.name):
        load(path)
    kept = {path.stem for path in elsewhere.parent.rglob("*.marshal")}
    assert kept - {"schema"} == {"default", "fuzz"}


@pytest.mark.parametrize(
    ("number", "values", "secret"),
    [
        ("1", ["EmailSenderUsername"], "command@keyexample.com"),
        ("1", ["EmailSenderPassword"], "MySuperSecretPassword"),
        ("1", ["EmailSenderID"], "command-email"),
        ("1", ["EmailSenderClientSecret"], "MySuperSecretClientSecret"),
        ("2", ["MyFolderName", "MyEmailUsername"], "command@keyexample.com"),
        ("2", ["MyFolderName", "MyEmailUserPassword"], "MySuperSecretPassword"),
        ("2", ["MyFolderName", "MyEmailClientID"], "command-email"),
        ("2", ["MyFolderName", "MyEmailUserClientSecret"], "MySuperSecretClientSecret"),
        ("3", ["MyEmailUserId"], "command@keyexample.com"),
        ("3", ["MyEmailUserPasswordId"], "MySuperSecretPassword"),
        ("3", ["MyEmailUserClientId"], "command-email"),
        ("3", ["MyEmailUserClientSecretId"], "MySuperSecretClientSecret"),
    ],
)
def test_the_vendors_twelve_examples_resolve(number: str, values: list[str], secret: str) -> None:
    provider = load().provider(number)
    assert provider
    assert provider.secret(*values) == Secret(secret)


def test_the_vendors_accounts_work() -> None:
    world = load()
    client = world.oauth_client("command-email")
    assert client
    assert client.secret == Secret("MySuperSecretClientSecret")
    assert client.may_use("jsmith@keyexample.com")
    found = world.relay("smtp.keyexample.com", 587)
    assert found
    account = found[1].account("Command@KeyExample.com")
    assert account
    assert account.password == Secret("MySuperSecretPassword")
    assert account.may_send_as("JSmith@KEYEXAMPLE.com")
    assert not account.may_send_as("jsmith@keyexample.com.evil.test")
    found = world.relay("corpexch02.keyexample.com", 25)
    assert found
    assert found[1].account(r"keyexample\MAIL")
    assert found[1].account("nobody") is None


@pytest.mark.parametrize(
    ("host", "differs"),
    [
        ("unresolvable.test", {"fault": "unresolvable"}),
        ("refused.test", {"fault": "refused"}),
        ("timeout.test", {"fault": "timeout", "timeout": 2}),
        ("dropped.test", {"fault": "dropped"}),
        ("notls.test", {"starttls": False}),
        ("badcert-expired.test", {"certificate": "expired"}),
        ("badcert-name.test", {"certificate": "name"}),
        ("badcert-untrusted.test", {"certificate": "untrusted"}),
        ("noauth.test", {"mechanisms": ()}),
        ("slow.test", {"delay": 2}),
        ("auth-required.test", {"require_auth": True}),
        ("tls-required.test", {"require_tls": True}),
        ("oauthbearer.test", {"mechanisms": ("OAUTHBEARER",)}),
        ("no-smtputf8.test", {"smtputf8": False}),
        ("helo-only.test", {"esmtp": False}),
    ],
)
def test_a_fault_by_name_is_an_entry(host: str, differs: dict[str, Any]) -> None:
    found = load().relay(host, 25)
    assert found
    assert found[0] == host
    assert found[1].description
    plain = dataclasses.replace(found[1], description="")
    assert plain == model.Relay(**{"replies": MappingProxyType({}), **differs})


@pytest.mark.parametrize(
    ("host", "stage", "reply"),
    [
        ("greeting421.test", "greeting", "421 4.3.2"),
        ("ehlo-refused.test", "ehlo", "502 5.5.1"),
        ("starttls-refused.test", "starttls", "454 4.7.0"),
        ("badlogin.test", "auth", "535 5.7.8"),
        ("sender-denied.test", "mail", "550 5.7.60"),
        ("denied.test", "rcpt", "550 5.7.1"),
        ("unknown-user.test", "rcpt", "550 5.1.1"),
        ("full.test", "rcpt", "452 4.3.1"),
        ("toolarge.test", "data", "552 5.3.4"),
        ("rejected.test", "data", "554 5.6.0"),
    ],
)
def test_a_refusal_by_name_has_its_stage_and_reply(host: str, stage: str, reply: str) -> None:
    found = load().relay(host, 25)
    assert found
    assert list(found[1].replies) == [stage]
    (told,) = found[1].replies[stage]
    assert told.reply.startswith(reply + " ")
    assert told.first is None


def test_greylisting_refuses_the_first_time_only() -> None:
    found = load().relay("greylisted.test", 25)
    assert found
    assert found[1].replies["rcpt"] == (model.Reply("451 4.7.1 Greylisted", first=1),)


def test_faults_of_token_endpoints_and_providers_have_their_names() -> None:
    world = load()
    for url, entry in world.data["token_endpoints"].items():
        if not url.startswith("*"):
            kind = re.fullmatch(r"https://idp-(.+)\.test/token", url)
            assert kind
            assert entry["description"]
            assert entry.get("fault", "slow") == kind[1].replace("-", "_")
    slow = world.token_endpoint("https://idp-slow.test/token")
    assert slow
    assert slow[1].delay == 2
    assert world.pam_providers["91"].fault == "sealed"
    assert world.pam_providers["92"].delay == 2
    assert world.pam_providers["93"].secret("any") == Secret("")
    assert world.provider("4") is None


def test_the_fuzzing_world_refuses_nothing() -> None:
    world = load(FIXTURES / "fuzz.yaml")
    assert list(world.relays) == list(world.token_endpoints) == ["*"]
    assert world.relays["*"] == model.Relay(replies=MappingProxyType({}), implicit_ports=())
    assert world.token_endpoints["*"] == model.TokenEndpoint()
    assert set(world.pam_providers) == {"1", "2", "1000000", "*"}, "some with an id, to be listed"
    for provider in (world.provider("1"), world.provider("2147483647")):
        assert provider
        assert (provider.type, provider.fault, provider.delay) == ("any", None, 0)
        assert provider.secret("whatever", "else")
    for client in (world.oauth_client("command-email"), world.oauth_client("api-client")):
        assert client
        assert (client.secret, client.scopes, client.audiences) == (None, None, None)
        assert client.may_use("x@y.example")


# Lookups

HOSTS = {
    "relays": {
        "mail.foo.test:25": {"description": "host:port"},
        "Mail.Foo.test": {"description": "host"},
        "*.foo.test": {"description": "suffix"},
        "*.b.foo.test": {"description": "long suffix"},
        "bücher.example.": {"description": "idn"},
        "[::1]:25": {"description": "v6:port"},
        "[0:0:0:0:0:0:0:1]": {"description": "v6"},
        "*": {"description": "any"},
    }
}


@pytest.mark.parametrize(
    ("host", "port", "description"),
    [
        ("mail.foo.test", 25, "host:port"),
        ("MAIL.foo.test.", 25, "host:port"),
        ("mail.foo.test", 26, "host"),
        ("x.foo.test", 25, "suffix"),
        ("a.b.foo.test", 25, "long suffix"),
        ("b.foo.test", 25, "suffix"),
        ("foo.test", 25, "any"),
        ("xn--bcher-kva.example", 25, "idn"),
        ("BÜCHER.example", 25, "idn"),
        ("::1", 25, "v6:port"),
        ("[::1]", 26, "v6"),
        ("127.0.0.1", 25, "any"),
        ("a_b..test", 25, "any"),
    ],
)
def test_the_most_specific_relay_wins(host: str, port: int, description: str) -> None:
    found = load(HOSTS).relay(host, port)
    assert found
    assert found[1].description == description


def test_a_relay_comes_with_its_key_in_one_spelling() -> None:
    found = load(HOSTS).relay("mail.foo.test", 26)
    assert found
    assert found[0] == "mail.foo.test"


def test_a_world_without_a_star_knows_only_its_own_hosts() -> None:
    assert load({"relays": {"*": None}}).relay("other.test", 25) is None


@pytest.mark.parametrize("host", ["ü..example", "[::zz]", "ü" * 64 + ".test"])
def test_what_is_no_host_name_is_a_value_error(host: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        host_name(host)
    assert load().relay(host, 25) is None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Mail_1.Test.", "mail_1.test"),
        ("ab--cd.test", "ab--cd.test"),
        ("_x.BÜCHER.example.", "_x.xn--bcher-kva.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--a.test", "xn--a.test"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
    ],
)
def test_a_host_name_has_one_spelling(host: str, name: str) -> None:
    assert host_name(host) == host_name(name) == name


@pytest.mark.parametrize(
    ("url", "description"),
    [
        ("https://idp.test/token", "exact"),
        ("HTTPS://IDP.test:443/token", "exact"),
        ("https://idp.test/token?tenant=1", "exact"),
        ("https://idp.test/token?tenant=2", "query"),
        ("https://idp.test/tokens?tenant=2", "host"),
        ("http://idp.test/token", "host"),
        ("https://login.idp.test", "suffix"),
        ("https://other.example/token", "any"),
        ("http://[::1]:8080/token", "v6"),
    ],
)
def test_the_most_specific_token_endpoint_wins(url: str, description: str) -> None:
    endpoints = {
        "https://Idp.test/token": {"description": "exact"},
        "https://idp.test/token?tenant=2": {"description": "query"},
        "idp.test": {"description": "host"},
        "*.idp.test": {"description": "suffix"},
        "[::1]": {"description": "v6"},
        "*": {"description": "any"},
    }
    found = load({"token_endpoints": endpoints}).token_endpoint(url)
    assert found
    assert found[1].description == description


def test_a_url_of_another_query_is_another_endpoint() -> None:
    world = load({"token_endpoints": {"https://idp.test/?a=1": {"fault": "down"}}})
    found = world.token_endpoint("https://idp.test/?a=1")
    assert found
    assert found[1].fault == "down"


@pytest.mark.parametrize(
    "name", ["admin", r"KEYEXAMPLE\admin", "admin@KEYEXAMPLE", "ADMIN", r"keyexample\Admin"]
)
def test_one_account_has_three_spellings_in_any_case(name: str) -> None:
    user = load().user(name)
    assert user
    assert (user.name, user.domain, user.roles) == ("admin", "KEYEXAMPLE", ("Administrator",))


@pytest.mark.parametrize("name", ["", "nobody", r"OTHER\admin", "admin@OTHER", r"\admin", "admin@"])
def test_no_other_spelling_is_an_account(name: str) -> None:
    assert load().user(name) is None


def test_a_slash_inside_a_secrets_value_is_written_as_percent_2f() -> None:
    entry = {"name": "V", "type": "cyberark", "secrets": {"a%2Fb/c": "one", "a/b%2Fc": "two"}}
    provider = load({"pam_providers": {"7": entry}}).provider("7")
    assert provider
    assert provider.secret("a/b", "c") == Secret("one")
    assert provider.secret("a", "b/c") == Secret("two")
    assert provider.secret("a", "b", "c") is None


def test_a_secret_of_its_own_wins_over_the_star_even_when_it_is_empty() -> None:
    entry = {"name": "V", "type": "local", "secrets": {"empty": "", "*": "other"}}
    provider = load({"pam_providers": {"7": entry}}).provider("7")
    assert provider
    assert provider.secret("empty") == Secret("")
    assert provider.secret("full") == Secret("other")


# Frozen, masked, patched


def test_a_world_cannot_be_changed() -> None:
    world = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        world.lenient = True  # type: ignore[misc]  # the point
    for table in (
        world.roles,
        world.relays,
        world.smtp_profile,
        world.relays["denied.test"].replies,
    ):
        assert isinstance(table, MappingProxyType)


def test_a_patch_changes_a_new_world_only() -> None:
    world = load()
    before = json.dumps(world.data)
    changed = patched(world, {"relays": {"denied.test": None, "new.test": {"delay": 1.0}}})
    assert json.dumps(world.data) == before
    assert "denied.test" in world.relays
    assert "denied.test" not in changed.relays
    assert changed.relays["new.test"].delay == 1
    assert isinstance(changed.relays["new.test"].delay, int)


def test_what_a_patch_was_made_of_may_change_later() -> None:
    senders = ["*@a.test"]
    patch = {"relays": {"n.test": {"accounts": {"u": {"password": "p", "senders": senders}}}}}
    world = load(patch)
    senders.append("*")
    assert patched(world, {}) == world
    assert masked(world)["relays"]["n.test"]["accounts"]["u"]["senders"] == ["*@a.test"]


def test_no_secret_shows_in_what_is_masked_or_printed() -> None:
    profile = {
        "RelayPassword": {"SecretValue": "canary-1"},
        "RequestHeaders": [{"Name": "X-Api-Key", "Value": "canary-2"}],
    }
    world = load({"smtp_profile": profile, "oauth_clients": {"new": {"secret": "canary-3"}}})
    for shown in (json.dumps(masked(world)), repr(world)):
        assert not [secret for secret in SECRETS if secret in shown]
        assert "canary" not in shown
    shown_data = masked(world)
    assert shown_data["users"]["admin"]["password"] == MASK
    assert shown_data["pam_providers"]["2"]["secrets"]["MyFolderName/MyEmailUsername"] == MASK
    assert shown_data["oauth_clients"]["new"] == {"secret": MASK}
    assert shown_data["smtp_profile"]["RequestHeaders"] == [{"Name": "X-Api-Key", "Value": MASK}]
    assert shown_data["relays"]["denied.test"] == world.data["relays"]["denied.test"]


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        ({"users": {"admin": {"password": MASK}}}, "/users/admin/password"),
        ({"oauth_clients": {"x": {"secret": MASK}}}, "/oauth_clients/x/secret"),
        ({"pam_providers": {"2": {"secrets": {"a/b": MASK}}}}, "/pam_providers/2/secrets/a~1b"),
        (
            {"smtp_profile": {"ClientSecret": {"SecretValue": MASK}}},
            "/smtp_profile/ClientSecret/SecretValue",
        ),
    ],
)
def test_a_mask_sent_back_is_refused_with_its_path(patch: dict[str, Any], place: str) -> None:
    with pytest.raises(WorldError) as caught:
        patched(load(), patch)
    assert str(caught.value).startswith(f'patch: {place}: "***" only stands for a secret')


def test_a_masked_world_as_a_whole_is_refused() -> None:
    world = load()
    with pytest.raises(WorldError, match=r"and [0-9]+ more$"):
        patched(world, masked(world))


@pytest.mark.parametrize("patch", [None, [], 1, "x", True])
def test_a_patch_that_is_no_map_is_refused(patch: object) -> None:
    with pytest.raises(WorldError, match=r"^patch: must be a map$"):
        patched(load(), patch)


# RFC 7396, appendix A
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_does_as_the_rfc_says(target: object, patch: object, result: object) -> None:
    assert merge(target, patch) == result


@given(JSON, JSON)
def test_merging_twice_is_merging_once(target: object, patch: object) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


@given(JSON, JSON)
def test_merging_leaves_its_arguments_alone(target: object, patch: object) -> None:
    before = json.dumps([target, patch])
    merge(target, patch)
    assert json.dumps([target, patch]) == before


def without_nulls(value: object) -> object:
    """Return what a merge patch can bring about: nulls in a map would take away."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def difference(old: object, new: object) -> object:
    """Return the smallest patch that makes one of the other."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    gone = dict.fromkeys(old.keys() - new.keys())
    return gone | {
        key: difference(old.get(key), item)
        for key, item in new.items()
        if key not in old or old[key] != item
    }


@given(JSON, JSON.map(without_nulls))
def test_the_difference_of_two_values_makes_one_of_the_other(old: object, new: object) -> None:
    assert merge(old, difference(old, new)) == new


@given(st.dictionaries(st.text(max_size=3), JSON), st.dictionaries(st.text(max_size=3), JSON))
def test_what_a_patch_does_not_name_stays(target: dict[str, Any], patch: dict[str, Any]) -> None:
    merged = merge(target, patch)
    assert isinstance(merged, dict)
    named = {key for key, value in patch.items() if value is not None}
    assert set(merged) == (set(target) - set(patch)) | named
    for key in set(target) - set(patch):
        assert merged[key] == target[key]
    for key in named:
        assert merged[key] == merge(target.get(key), patch[key])


NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\\@:*"), min_size=1
)
ROLES = st.lists(st.sampled_from(["Administrator", "Auditor"]), unique=True)
WORLDS = st.fixed_dictionaries(
    {},
    optional={
        "product_version": st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){1,3}", fullmatch=True),
        "lenient": st.booleans(),
        "users": st.dictionaries(
            NAMES.map(lambda name: f"x{name}"),
            st.fixed_dictionaries({"domain": NAMES, "password": NAMES, "roles": ROLES}),
            max_size=2,
        ),
        "relays": st.dictionaries(
            st.from_regex(r"[a-z]{1,8}\.test(:[1-9][0-9]{0,3})?", fullmatch=True),
            st.fixed_dictionaries(
                {},
                optional={
                    "delay": st.integers(0, 5) | st.floats(0.001, 5),
                    "require_tls": st.booleans(),
                    "max_size": st.integers(1, 1_000),
                    "replies": st.fixed_dictionaries({"rcpt": st.just("550 5.1.1 No")}),
                    "accounts": st.dictionaries(
                        NAMES, st.fixed_dictionaries({"password": NAMES}), max_size=2
                    ),
                },
            ),
            max_size=3,
        ),
        "smtp_profile": st.fixed_dictionaries(
            {}, optional={"Host": NAMES, "Port": st.integers(0, 65_535)}
        ),
    },
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patch=WORLDS)
def test_a_world_that_is_written_down_is_loaded_as_the_same(
    tmp_path: Path, patch: dict[str, Any]
) -> None:
    try:
        world = load(patch)
    except WorldError as error:
        # Two names may be the same one in another spelling; what else is there is well-formed.
        assert all("the same as" in text for _, text in error.errors)  # noqa: PT017  # see above
        return
    data = json.loads(json.dumps(world.data))
    assert load(data) == world
    # YAML reads all of JSON but the escapes of what is beyond 16 bits, and exponents without a
    # point, which such delays do not need.
    for text in (json.dumps(data, ensure_ascii=False), yaml.safe_dump(data, allow_unicode=True)):
        assert load(written(tmp_path, text)) == world


@given(JSON)
def test_any_patch_is_applied_or_refused_clearly(patch: object) -> None:
    try:
        world = patched(load(), {"relays": {"x.test": patch}})
    except WorldError as error:
        message = str(error)
    else:
        assert load(json.loads(json.dumps(world.data))) == world
        return
    assert message.startswith("patch: /relays/x.test")
    assert message.isprintable()


# Files


def test_a_file_over_the_default_world_holds_only_what_differs(tmp_path: Path) -> None:
    world = load(written(tmp_path, 'extends: default\nrelays: {"denied.test": null, a.test: {}}'))
    assert "denied.test" not in world.relays
    assert "a.test" in world.relays
    assert world.users == load().users


def test_a_file_may_extend_another_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    written(tmp_path / "base", "extends: default\nlenient: true", "base.yaml")
    world = load(str(written(tmp_path, "extends: base/base.yaml\nproduct_version: '26.0'")))
    assert (world.lenient, world.product_version) == (True, "26.0")


def test_a_complete_file_stands_for_itself(tmp_path: Path) -> None:
    text = yaml.safe_dump({**load().data, "users": {}})
    world = load(written(tmp_path, text))
    assert world.users == {}
    assert world.relays == load().relays


def test_a_file_may_begin_with_a_byte_order_mark_and_hold_dates_as_texts(tmp_path: Path) -> None:
    text = "\ufeffextends: default\nusers: {d: {domain: K, password: 2020-01-01}}"
    user = load(written(tmp_path, text)).user("d")
    assert user
    assert user.password == Secret("2020-01-01")


BAD_FILES = {
    "extends: default\nrelays: {foo.test: {startls: false}}": (
        "/relays/foo.test/startls: unknown key; did you mean 'starttls'?"
    ),
    "extends: default\nrelays: {foo.test: {TLS: false}}": "/relays/foo.test/TLS: unknown key; did",
    "extends: default\nzzzzzzzzzzzzzzz: 1": "/zzzzzzzzzzzzzzz: unknown key; did you mean '",
    "extend: default": "is no complete world; a file starts with 'extends: default', and then ",
    "extends: default\nroles: null": "/roles: null removes it, and no world is without it; leave ",
    "extends: default\nroles: {Administrator: null, Auditor: null, Mail operator: null}": (
        "/roles: must have 1 or more members"
    ),
    "extends: default\nroles: {R: [root]}": '/roles/R/0: must be a permission such as "/system_',
    "extends: default\nroles: {R: [/, /]}": "/roles/R: must not name anything twice",
    'extends: default\nroles: {"a\\tb": []}': "/roles/a\\tb: must be a name without control",
    "extends: default\nusers: {bob: {domain: K}}": "/users/bob/password: missing",
    "extends: default\nusers: {bob: {domain: K, password: ''}}": (
        "/users/bob/password: must have 1 or more characters"
    ),
    "extends: default\nusers: {bob: {domain: K, password: 12:30}}": (
        "/users/bob/password: must be a text; write it in quotes"
    ),
    "extends: default\nusers: {bob: {domain: K, password: p, roles: [Administratr]}}": (
        "/users/bob/roles/0: unknown role; did you mean 'Administrator'?"
    ),
    "extends: default\noauth_clients: {c: {roles: [auditors]}}": (
        "/oauth_clients/c/roles/0: unknown role; did you mean 'Auditor'?"
    ),
    "extends: default\nusers: {'K\\bob': {domain: K, password: p}}": (
        "/users/K\\bob: must be a user name without backslash"
    ),
    "extends: default\nusers: {ADMIN: {domain: K, password: p}}": (
        "/users/ADMIN: the same as the key 'admin'"
    ),
    "extends: default\npam_providers: {'01': {name: N, type: any}}": (
        '/pam_providers/01: must be a provider id such as "1"'
    ),
    "extends: default\npam_providers: {'2147483648': {name: N, type: any}}": (
        '/pam_providers/2147483648: must be a provider id such as "1", up to "2147483647"'
    ),
    "extends: default\nsmtp_profile: {ClientId: {Provider: '2147483648', Parameters: {a: b}}}": (
        "/smtp_profile/ClientId/Provider: must be the id of a PAM provider in digits, at most"
    ),
    "extends: default\napi_audiences: []": "/api_audiences: must have 1 or more items",
    "extends: default\napi_audiences: command": "/api_audiences: must be a list",
    "extends: default\npam_providers: {'1': {type: vault}}": (
        "/pam_providers/1/type: must be one of local, cyberark, delinea, any"
    ),
    "extends: default\ntoken_endpoints: {'ftp://a.test/': {}}": (
        "/token_endpoints/ftp:~1~1a.test~1: must be an http or https URL"
    ),
    "extends: default\ntoken_endpoints: {'https://a.test:99999/': {}}": (
        "/token_endpoints/https:~1~1a.test:99999~1: this host name or port cannot exist"
    ),
    "extends: default\ntoken_endpoints: {'https://a.test/': {}, 'https://A.test:443': {}}": (
        "/token_endpoints/https:~1~1A.test:443: the same as the key 'https://a.test/'"
    ),
    "extends: default\nrelays: {A.test.: {}, a.test: {}}": (
        "/relays/a.test: the same as the key 'A.test.'"
    ),
    "extends: default\nrelays: {ü..test: {}}": "/relays/ü..test: this host name or port cannot",
    "extends: default\nrelays: {'a.test:65536': {}}": '/relays/a.test:65536: must be "host:port"',
    "extends: default\nrelays: {'*.a.test:25': {}}": '/relays/*.a.test:25: must be "host:port"',
    "extends: default\nrelays: {a.test: {accounts: {U: {password: p}, u: {password: p}}}}": (
        "/relays/a.test/accounts/u: the same as the key 'U'"
    ),
    "extends: default\nrelays: {a.test: {timeout: 0}}": "/a.test/timeout: must be more than 0",
    "extends: default\nrelays: {a.test: {delay: 301}}": "/relays/a.test/delay: must be at most 300",
    "extends: default\nrelays: {a.test: {delay: .nan}}": "/relays/a.test/delay: must be a number",
    "extends: default\nrelays: {a.test: {delay: 1e-3}}": (
        "/relays/a.test/delay: must be a number; write it with a point, as in 1.0e-3"
    ),
    "extends: default\nrelays: {a.test: {listen: 0}}": "/relays/a.test/listen: must be at least 1",
    "extends: default\nrelays: {a.test: {listen: 1.5}}": "/relays/a.test/listen: must be a whole",
    "extends: default\nrelays: {a.test: {starttls: 'no'}}": "/starttls: must be true or false",
    "extends: default\nrelays: {a.test: {mechanisms: PLAIN}}": "/mechanisms: must be a list",
    "extends: default\nrelays: {a.test: {replies: {rcpt: 250 Ok}}}": (
        "/relays/a.test/replies/rcpt: must be a reply that refuses, such as 550"
    ),
    "extends: default\nrelays: {a.test: {replies: {rcpt: 550}}}": (
        "/rcpt: must be a text or a list or a map"
    ),
    'extends: default\nrelays: {a.test: {replies: {rcpt: "550 a\\n551 b"}}}': "same code in each",
    'extends: default\nrelays: {a.test: {replies: {rcpt: "550 a\\r\\n550 b"}}}': "must be a reply",
    'extends: default\nrelays: {a.test: {replies: {rcpt: "550 a\\n\\n550 b"}}}': "must be a reply",
    "extends: default\nrelays: {a.test: {fault: unresolvable, listen: 2525}}": (
        '/relays/a.test: must not have both "fault: unresolvable" and "listen": a host that does'
    ),
    "extends: default\nrelays: {a.test: {listen: 2525}, b.test: {listen: 2525.0}}": (
        "/relays/b.test/listen: the same port as that of the relay 'a.test'"
    ),
    "extends: default\nrelays: {a.test: {idle_timeout: 0}}": "idle_timeout: must be more than 0",
    "extends: default\nrelays: {a.test: {replies: {rcpt: {reply: 550 No}}}}": "rcpt/first: missing",
    f"extends: default\nrelays: {{a.test: {{replies: {{rcpt: 550 {'x' * 600}}}}}}}": (
        "at most 500 characters after it"
    ),
    "extends: default\nrelays: {a.test: [": "line 3, column 1: did not find expected",
    "extends: default\nrelays: {a.test: {}, a.test: {}}": (
        "line 2, column 22: the key a.test stands twice"
    ),
    "extends: default\npam_providers:\n  1: {name: N, type: any}": (
        "line 3, column 3: a key that is not a text; write it in quotes"
    ),
    "extends: default\nroles: {<<: {}}": "line 2, column 9: a key that is not a text; write it",
    f"extends: default\nlenient: {'9' * 5000}": "line 2, column 10: a value that cannot be read",
    "9" * 5000: "line 1, column 1: a value that cannot be read",
    "extends: default\nlenient: *hunter2": "line 2, column 10: found undefined alias",
    "extends: default\nlenient: !hunter2 x": "line 2, column 10: could not determine",
    "extends: default\nroles: !!str {a: b}": "/roles/a: must be a list",
    "extends: default\nroles: !!set {a, b}": "line 2, column 8: could not determine",
    "extends: default\na: !!binary aGk=": "line 2, column 4: could not determine a constructor",
    "extends: default\n\n\0": "line 3: control characters are not allowed",
    "extends: default\na: " + "[" * 100: "nested deeper than 32 levels",
    # The parser has a limit of its own, in some versions.
    "extends: default\na: " + "[" * 200_000: "nest",
    "a: &a\n  b: *a": "line 2, column 6: found undefined alias",
    "--- {}\n--- {}": "line 2, column 1: another document; a file holds one",
    "": "is no complete world; a file starts with 'extends: default', and then holds what differs",
    "[]": "is no complete world; a file starts with 'extends: default', and then holds what ",
    "extends: [default]": "/extends: must be 'default' or the path of a file",
    "extends: world.yaml": "/extends: 10 files extend one another; do they go in a circle?",
}


@pytest.mark.parametrize(
    ("text", "expected"), list(BAD_FILES.items()), ids=lambda text: ascii(text)[-60:]
)
def test_a_bad_file_is_refused_with_file_and_place(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = written(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "hunter2" not in message
    assert message.isprintable()


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, b"extends: default\nlenient: \xff")
    assert refusal(path) == f"{path}: line 2: invalid leading UTF-8 octet"


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "100000 values" in refusal(written(tmp_path, "\n".join(lines)))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/"), Path()):  # the last two have no name
        assert refusal(path) == f"{path}: cannot be read: Is a directory"


@pytest.mark.parametrize("name", ["missing.yaml", "\0", "\0/x", "missing/x"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    assert ": there is no such file; did you mean '" in refusal(tmp_path / name)


def test_the_file_that_is_extended_must_exist(tmp_path: Path) -> None:
    path = written(tmp_path, "extends: missing.yaml")
    text = "/extends: missing.yaml: there is no such file; did you mean '"
    assert refusal(path).startswith(f"{path}: {text}")


def test_an_error_in_an_extended_file_names_that_file(tmp_path: Path) -> None:
    base = written(tmp_path, "extends: default\nlenien: true", "base.yaml")
    message = refusal(written(tmp_path, "extends: base.yaml"))
    assert message == f"{base}: /lenien: unknown key; did you mean 'lenient'?"


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    assert "is larger than 4194304 octets" in refusal(written(tmp_path, b"#" * 5_000_000))


# Patches from Python


def test_a_patch_deeper_than_any_stack_is_refused() -> None:
    patch: dict[str, Any] = {}
    for _ in range(100_000):
        patch = {"a": patch}
    assert "more than 32 levels deep" in refusal(patch)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"pam_providers": {1: {}}}, "world: /pam_providers: the key 1 is not a text; write it in"),
        ({"lenient": b"x"}, "world: /lenient: JSON has no bytes"),
        (
            {"relays": {"a": {"delay": date(2020, 1, 1)}}},
            "world: /relays/a/delay: JSON has no date",
        ),
        ({"product_version": "\ud800"}, "world: /product_version: a text that is not Unicode"),
        ({"relays": {"\ud800": {}}}, "world: /relays: a text that is not Unicode"),
        ({"relays": {"x" * 5000: {}}}, "…: "),
        ({"relays": {"a\nb": {}}}, 'world: /relays/a\\nb: must be "host:port"'),
        ({"extends": "default"}, "world: /extends: is for files"),
        ({"relays": {"a": {"delay": float("inf")}}}, "world: /relays/a/delay: must be a number"),
        ({"relays": {"a": {"listen": 10**400}}}, "world: /relays/a/listen: must be"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_bad_patch_is_refused_with_its_place(patch: dict[str, Any], expected: str) -> None:
    message = refusal(patch)
    assert expected in message
    assert message.isprintable()
    assert len(message) < 2000


def test_many_errors_are_counted_in_one_line() -> None:
    message = refusal({"relays": {f"h{n}.test": {"dealy": 1} for n in range(9)}})
    assert message.count("did you mean 'delay'?") == 5
    assert message.endswith("; and 4 more")


def test_a_tuple_is_as_good_as_a_list() -> None:
    world = load({"relays": {"a.test": {"mechanisms": ("LOGIN",)}}})
    assert world.relays["a.test"].mechanisms == ("LOGIN",)
    assert masked(world)["relays"]["a.test"] == {"mechanisms": ["LOGIN"]}


def test_a_fault_of_the_api_is_an_entry() -> None:
    world = load({"api_faults": {"test_smtp_v2": {"status": 503, "retry_after": 2, "first": 1}}})
    assert world.api_faults["test_smtp_v2"] == model.ApiFault(status=503, retry_after=2, first=1)


def test_the_nearest_key_is_found_however_far() -> None:
    assert nearest("STARTTLS", ["delay", "starttls"]) == "starttls"
    assert nearest("qqq", ["delay"]) == "delay"


# The schema and the program


def rules(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401  # any JSON
    """Give each sub-schema with its place."""
    yield place, schema
    for key in ("properties", "$defs"):
        for name, rule in schema.get(key, {}).items():
            yield from rules(rule, f"{place}/{name}")
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield from rules(schema[key], f"{place}/{key}")


@pytest.mark.parametrize(("place", "rule"), list(rules(SCHEMA)), ids=lambda value: str(value)[:40])
def test_every_rule_of_the_schema_can_be_explained(place: str, rule: dict[str, Any]) -> None:
    if "$ref" not in rule and not place.endswith("propertyNames"):
        assert rule.get("description")
    if "pattern" in rule or "not" in rule:
        assert rule["x-expected"]
    if "properties" in rule and not place.startswith("/resources"):  # those are the product's
        assert rule["additionalProperties"] is False
    if "secret" in place.rpartition("/")[2].lower() and rule.get("type") == "string":
        assert rule["writeOnly"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("relay", model.Relay),
        ("account", model.Account),
        ("api_fault", model.ApiFault),
        ("token_endpoint", model.TokenEndpoint),
        ("pam_provider", model.PamProvider),
        ("oauth_client", model.OAuthClient),
        ("user", model.User),
    ],
)
def test_the_types_have_the_schemas_keys_and_defaults(name: str, kind: type) -> None:
    rule = SCHEMA["$defs"][name]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    assert set(rule["properties"]) <= set(fields) <= {*rule["properties"], "id", "name"}
    for key, of_key in rule["properties"].items():
        default = of_key.get("default")
        if default is not None:
            value = tuple(default) if isinstance(default, list) else default
            assert fields[key].default == value


def test_the_data_stand_beside_the_package_or_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data_folder("fixtures") == FIXTURES
    (tmp_path / "package" / "fixtures").mkdir(parents=True)
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "openapi").mkdir()
    monkeypatch.setattr(data, "PACKAGE", tmp_path / "package")
    assert data_folder("fixtures") == tmp_path / "package" / "fixtures"
    assert data_folder("openapi") == tmp_path / "openapi"
    assert data_folder("none") == tmp_path / "package" / "none"


def test_the_world_is_a_value() -> None:
    first, second = load(), load()
    assert first == second
    assert isinstance(first, World)
    assert first != load({"lenient": True})


EDITED = {
    "extends: default": [],
    "users: {ci: {password: x}, admin: null}": [],
    "relays: {x.test: {listen: null, accounts: {a: {password: null}}}}": [],
    "relays: {x.test: {startls: true}}": ["relays", "x.test"],
    "extends: 1": ["extends"],
    "relays: {x.test: {fault: refusd}}": ["relays", "x.test", "fault"],
    "relays: {x.test: {fault: unresolvable, listen: 25}}": ["relays", "x.test"],
}


@pytest.mark.parametrize("text", EDITED)
def test_the_schema_for_editors_takes_a_part_and_shows_a_mistake(text: str) -> None:
    error = best_match(Draft202012Validator(file_schema()).iter_errors(yaml.safe_load(text)))
    assert (list(error.absolute_path) if error else []) == EDITED[text]


@pytest.mark.parametrize("name", ["default", "fuzz"])
def test_the_worlds_that_come_with_the_mock_name_their_schema(name: str) -> None:
    text = (ROOT / "fixtures" / f"{name}.yaml").read_text("utf-8")
    line, _, _ = text.partition("\n")
    named = ROOT / "fixtures" / line.removeprefix("# yaml-language-server: $schema=")
    assert named.is_file()
    assert Draft202012Validator(file_schema()).is_valid(yaml.safe_load(text))

"""The journal's bounds and waits."""

import asyncio
import dataclasses
import time
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.base.data import data_folder
from mockserver.base.problems import Kind, Note, NoteKind, Problem, Violation
from mockserver.base.sasl import MECHANISMS
from mockserver.contract.operations import Contract
from mockserver.journal.filters import Either, exchange_filter, message_filter, token_filter
from mockserver.journal.journal import _MAX_ENTRIES, Journal, Pool, _octets
from mockserver.journal.message import Message
from mockserver.journal.trace import (
    Attempt,
    Dialogue,
    Endpoint,
    Envelope,
    Exchange,
    Permission,
    SecretRead,
    TokenRequest,
    Trace,
)
from mockserver.mail.submission import TlsMode
from support import ERRORS

CONTRACT = Contract.load(data_folder("openapi"))


def message(
    raw: bytes = b"Subject: x\r\n\r\ntext\r\n",
    recipient: str = "a@b.test",
    sender: str = "s@b.test",
    relay: Endpoint = Endpoint("relay.test", 25),  # noqa: B008  # a value
) -> Message:
    return Message(
        raw=raw,
        envelope=Envelope(sender, (recipient,)),
        relay=relay,
        tls_mode="none",
        tls_version=None,
        mechanism=None,
        username=None,
        dialogue=(),
    )


def exchange(body_bytes: int = 0) -> Exchange:
    return Trace("POST", "/", body="x" * body_bytes).exchange(200, None)


def test_the_oldest_messages_are_dropped_and_counted() -> None:
    journal = Journal(Pool())
    for number in range(_MAX_ENTRIES + 3):
        journal.add_message(message(recipient=f"{number}@b.test"))
    assert (len(journal.messages), journal.messages.dropped) == (_MAX_ENTRIES, 3) == (1_000, 3)
    assert next(iter(journal.messages)).envelope.recipients == ("3@b.test",)


def size(*entries: Message | Exchange) -> int:
    """Return what entries count together."""
    journal = Journal(Pool())
    for entry in entries:
        if isinstance(entry, Message):
            journal.add_message(entry)
        else:
            journal.add_exchange(entry)
    return journal.size


def test_bytes_are_bounded_over_messages_and_exchanges() -> None:
    first = exchange()
    large = message(b"x" * 100_000)
    journal = Journal(Pool(), max_bytes=5 * size(large) + 100)
    journal.add_exchange(first)
    for _ in range(5):
        journal.add_message(large)
    assert (len(journal.exchanges), journal.exchanges.dropped) == (0, 1)
    assert (len(journal.messages), journal.messages.dropped) == (5, 0)
    journal.add_exchange(exchange(2 * size(large)))
    assert (len(journal.messages), journal.messages.dropped) == (2, 3)
    assert journal.size <= 5 * size(large) + 100


LONG = "x" * 10_000


@pytest.mark.parametrize(
    "entry",
    [
        exchange(len(LONG)),
        Trace("POST", LONG).exchange(200, None),
        Trace(LONG, "/").exchange(200, None),
        Trace("POST", "/", (("x-long", LONG),)).exchange(200, None),
        Trace("POST", "/", identity=LONG).exchange(200, None),
        Trace("POST", "/", violations=(Violation("/Host", "type", LONG, "/"),)).exchange(400, None),
        Trace("POST", "/", lenient=(Note(LONG, "x", "y", NoteKind.UNUSED),)).exchange(200, None),
        Trace("POST", "/").exchange(400, Problem(Kind.BODY, LONG), ERRORS),
        Trace("POST", "/", permission=Permission((LONG,), (), granted=False)).exchange(403, None),
        Trace(
            "POST", "/", token_requests=(TokenRequest("https://x", "token", (("a", LONG),)),)
        ).exchange(200, None),
        Trace(
            "POST", "/", secrets=(SecretRead("ClientId", "pam", "1", {"SecretName": LONG}),)
        ).exchange(200, None),
        Trace(
            "POST",
            "/",
            delivery=Attempt(Endpoint("a", 25), "none", Dialogue(lines=[(0.1, "S", LONG)])),
        ).exchange(200, None),
        message(LONG.encode()),
        message(recipient=LONG),
        message(sender=LONG),
        dataclasses.replace(message(), username=LONG),
        dataclasses.replace(message(), dialogue=(("S", LONG),)),
        dataclasses.replace(message(), envelope=Envelope("", ("x",) * 200)),
    ],
    ids=lambda entry: type(entry).__name__,
)
def test_all_that_a_client_may_make_long_counts(entry: Message | Exchange) -> None:
    short = message() if isinstance(entry, Message) else exchange()
    assert len(LONG) * 0.9 < size(entry) - size(short) < 3 * len(LONG)


def test_what_is_kept_of_what_was_read_of_a_mail_is_counted_before() -> None:
    for raw in (
        b"Subject: x\r\n\r\n" + "\N{GRINNING FACE}".encode() * 1_000,
        b"\r\n" + b"x" * 10**6,
    ):
        kept = message(raw)
        counted = size(kept)
        assert kept.text
        assert kept.headers is not None
        assert kept.subject is not None
        remembered = {name: value for name, value in vars(kept).items() if name != "raw"}
        assert _octets(tuple(remembered.values())) + len(raw) <= counted
        assert counted < 2 * len(raw) + 60_000


def test_all_journals_share_one_bound_and_the_largest_gives_way() -> None:
    pool = Pool(max_bytes=10 * size(message()))
    small, large = Journal(pool), Journal(pool)
    small.add_message(message())
    for _ in range(20):
        large.add_message(message())
    assert len(small.messages) == 1
    assert (len(large.messages), large.messages.dropped) == (9, 11)
    assert pool.used == small.size + large.size <= 10 * size(message())


def test_a_long_look_at_the_entries_lets_others_have_their_turn() -> None:
    async def scenario() -> None:
        journal = Journal(Pool())
        for _ in range(5):
            journal.add_message(message())
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())

        def slow(_: Message) -> bool:
            time.sleep(0.03)
            return True

        assert len(await journal.messages.wait(slow, 0)) == 5
        counting.cancel()
        assert turns >= 4

    asyncio.run(scenario())


def test_a_closed_journal_gives_its_room_back() -> None:
    pool = Pool()
    journal = Journal(pool)
    journal.add_message(message())
    journal.close()
    assert pool.used == 0
    journal.add_message(message())
    assert pool.used == 0


def test_removing_frees_the_bytes() -> None:
    pool = Pool()
    journal = Journal(pool)
    journal.add_message(message(recipient="a@b.test"))
    journal.add_message(message(recipient="c@b.test"))
    journal.remove_messages(message_filter({"recipient": "A@B.test"}))
    assert [kept.envelope.recipients for kept in journal.messages] == [("c@b.test",)]
    journal.remove_messages(message_filter({}))
    assert (journal.size, pool.used) == (0, 0)


def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        journal = Journal(Pool())
        waits = [
            asyncio.create_task(journal.messages.wait(message_filter({}), 60)) for _ in range(100)
        ]
        await asyncio.sleep(0)
        for wait in waits[1:]:
            wait.cancel()
        await asyncio.sleep(0)
        journal.add_message(message())
        journal.add_message(message())
        journal.close()
        assert len(await waits[0]) == 2
        assert vars(journal.messages)["_waiting"] == {}

    asyncio.run(scenario())


def test_a_filter_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no filter form; there are recipient, sender"):
        message_filter({"form": "x"})
    for name, near in (("recipents", "recipient"), ("WAITS", "wait")):
        with pytest.raises(ValueError, match=rf"header, wait; the nearest is {near}$"):
            message_filter({name: "x"}, ["wait"])


asked_of = partial(exchange_filter, operations=[], errors=ERRORS)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.startswith("mail_")])
def test_each_stage_may_be_asked_for(kind: Kind) -> None:
    stage = kind.removeprefix("mail_")
    attempt = Attempt(Endpoint("relay.test", 25), "none", Dialogue(), stage=stage)
    call = Trace("POST", "/", delivery=attempt).exchange(400, Problem(kind, "no"), ERRORS)
    assert asked_of({"stage": stage.upper(), "code": ERRORS[kind].code.lower()})(call)
    assert not asked_of({"stage": "null"})(call)
    assert asked_of({"stage": None, "code": None})(exchange())


def test_all_that_a_mock_knows_may_be_asked_for() -> None:
    for mode in TlsMode:
        message_filter({"tls_mode": mode.upper()})
    for mechanism in (*MECHANISMS, None, "NULL"):
        message_filter({"mechanism": mechanism})
    for version in (*CONTRACT.documents, None):
        exchange_filter({"version": version}, operations=CONTRACT.operations, errors=ERRORS)
    for status in (100, "404", 599, None, "Null"):
        asked_of({"status": status})
        token_filter({"status": status})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("tls_mode", "startls", "the nearest is starttls; there are none, starttls, implicit"),
        ("tls_mode", None, "'null' is unknown; the nearest is none"),
        ("mechanism", "PLIAN", "the nearest is PLAIN; there are PLAIN, LOGIN"),
        ("relay", "", "neither HOST nor HOST:PORT"),
        ("relay", "smtp.test:", "neither HOST nor HOST:PORT"),
        ("relay", "smtp.test:smtp", "neither HOST nor HOST:PORT"),
        ("relay", "smtp.test:65536", "neither HOST nor HOST:PORT"),
        ("relay", "smtp.test:025", "neither HOST nor HOST:PORT"),
        ("relay", "smtp://smtp.test", "neither HOST nor HOST:PORT"),
        ("relay", "smtp test", "neither HOST nor HOST:PORT"),
        ("relay", "[smtp.test]", "neither HOST nor HOST:PORT"),
        ("relay", "[::1::]:25", "neither HOST nor HOST:PORT"),
        ("relay", "b\N{SNOWMAN}\u00ad\u2060.\u0301", "neither HOST nor HOST:PORT"),
        ("recipient", "", "is empty"),
        ("identity", "", "is empty"),
    ],
)
def test_a_value_that_no_message_has_is_refused(name: str, value: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: ") as caught:
        message_filter({name: value})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("status", "abc", "'abc' is neither an HTTP status from 100 to 599 nor null"),
        ("status", 99, "'99' is neither"),
        ("status", "600", "'600' is neither"),
        ("status", "٤٠٠", "is neither"),
        ("stage", "rcptt", "the nearest is rcpt; there are resolve, connect, greeting, ehlo, "),
        ("stage", "", "is empty"),
        ("version", "2.0", "the nearest is 2; there are 1, 2, null"),
        ("code", "0xA01100F", "the nearest is 0xA011000F"),
        ("operation", "test_smtp", "there are test_smtp_v1, test_smtp_v2, null"),
        ("path", "", "is empty"),
        ("stage", "x" * 1_000, f"'{'x' * 63}… is unknown"),
    ],
)
def test_a_value_that_no_call_has_is_refused(name: str, value: object, says: str) -> None:
    operations = [CONTRACT.operation("/SMTP/Test", "POST", version) for version in ("1", "2")]
    with pytest.raises(ValueError, match=f"^{name}: ") as caught:
        exchange_filter({name: value}, operations=operations, errors=ERRORS)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("jörg@bücher.example", "JÖRG@xn--bcher-kva.EXAMPLE.", True),
        ("a@straße.example", "a@xn--strae-oqa.example", True),
        ("a@straße.example", "a@strasse.example", False),
        ('"a@b"@bücher.example', '"A@b"@xn--bcher-kva.example', True),
        ("a@[IPv6:2001:db8::1]", "A@[ipv6:2001:DB8::1]", True),
        ("bücher.example", "xn--bcher-kva.example", False),
        ("b.test.", "b.test", False),
        ("user+tag@b.test", "user tag@b.test", False),
        ("user+tag@b.test", "user@b.test", False),
        ("a@b.test", "a", False),
    ],
)
def test_addresses_compare_by_the_a_labels_of_their_domains(
    one: str, other: str, same: bool
) -> None:
    for wanted, found in ((one, other), (other, one)):
        kept = message(recipient=found, sender=found)
        assert message_filter({"recipient": wanted})(kept) is same
        assert message_filter({"sender": wanted})(kept) is same
        assert message_filter({"recipient": found, "sender": found})(kept)


@given(st.text(min_size=1) | st.text().map("a@{}".format) | st.text().map("a@ü.{}".format))
def test_whatever_stands_in_an_envelope_is_found(text: str) -> None:
    kept = message(recipient=text, sender=text)
    wanted = {"recipient": text, "sender": text}
    assert message_filter(wanted)(kept)
    assert message_filter(dict.fromkeys(wanted, Either((text, "other"))))(kept)
    assert message_filter({"recipient": f"{text}x@"}).misses(kept) == {"recipient": [text]}


@pytest.mark.parametrize(
    ("relay", "wanted", "found"),
    [
        ("relay.test", "RELAY.test.", True),
        ("relay.test", "relay.test:25", True),
        ("relay.test", "relay.test.:25", True),
        ("relay.test", "relay.test:26", False),
        ("relay.test", "test", False),
        ("xn--bcher-kva.example", "bücher.example", True),
        ("xn--bcher-kva.example", "Bücher.example:25", True),
        ("[2001:db8::1]", "2001:DB8:0::1", True),
        ("[2001:db8::1]", "[2001:db8::1]:25", True),
        ("::1", "::1", True),
        ("::1", "[::1]:25", True),
        ("::1", "[::1]:26", False),
        ("127.0.0.1", "127.0.0.1:25", True),
    ],
)
def test_a_relay_is_found_by_each_spelling(relay: str, wanted: str, found: bool) -> None:
    kept = message(relay=Endpoint(relay, 25))
    assert message_filter({"relay": wanted})(kept) is found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"sender": ""}, True),
        ({"sender": None}, True),
        ({"sender": "null"}, True),
        ({"sender": "null@b.test"}, False),
        ({"subject": ""}, True),
        ({"subject": "null"}, False),
        ({"identity": None, "username": "null", "request_id": "null"}, True),
    ],
    ids=str,
)
def test_what_is_empty_or_absent_may_be_asked_for(wanted: dict[str, object], found: bool) -> None:
    assert message_filter(wanted)(message(b"\r\n", sender="")) is found
    full = message(b"Subject: null and void\r\n\r\n", sender="null@b.test")
    assert message_filter({"sender": ""})(full) is False
    assert message_filter({"subject": ""})(full) is False
    assert message_filter({"subject": "NULL"})(full) is True


def test_what_nobody_can_ask_for_is_in_nobodys_way() -> None:
    nameless = dataclasses.replace(message(), mechanism="PLAIN", username="")
    assert not message_filter({"username": "u"})(nameless)
    assert not message_filter({"username": None})(nameless)
    assert message_filter({"mechanism": "plain"})(nameless)


def test_one_of_several_readings_is_enough() -> None:
    kept = message(b"Subject: 1+1 is two\r\n\r\n")
    for readings, holds in (
        (("1+1+is", "1 1 is"), False),
        (("1+1 is", "1 1 is"), True),
        (("is+two", "is two"), True),
        (("is two",), True),
    ):
        assert message_filter({"subject": Either(readings)})(kept) is holds
    with pytest.raises(ValueError, match="'a'"):
        message_filter({"tls_mode": Either(("a", "none"))})


def test_a_message_without_a_text_part_has_an_empty_text() -> None:
    html = message(b"Content-Type: text/html\r\n\r\n<p>x</p>\r\n")
    assert (html.text, html.subject, html.as_json()["from"]) == ("", "", "")


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (b"Plain", "Plain"),
        (b"=?utf-8?b?SsO2cmc=?= <j@b.test>", "Jörg <j@b.test>"),
        (b"=?utf-8?b?SsO2?=\r\n =?utf-8?b?cmc=?=\r\n <j@b.test>", "Jörg <j@b.test>"),
        ("Jörg <jörg@b.test>".encode(), "Jörg <jörg@b.test>"),
        (b"=?no-such-charset?b?SsO2cmc=?=", "=?no-such-charset?b?SsO2cmc=?="),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
        (b"\xff", "\ufffd"),
    ],
)
def test_headers_are_unfolded_and_decoded(header: bytes, shown: str) -> None:
    kept = message(b"From: " + header + b"\r\n\r\n")
    assert kept.headers == (("From", shown),)
    assert kept.as_json()["from"] == shown

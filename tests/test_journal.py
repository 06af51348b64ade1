"""The journal's bounds and waits."""

import asyncio

import pytest

from mockserver.journal import ENTRY_BYTES, MAX_ENTRIES, Journal, Pool, message_filter
from mockserver.trace import Endpoint, Envelope, Exchange, Message, Trace


def message(raw: bytes = b"Subject: x\r\n\r\ntext\r\n", recipient: str = "a@b.test") -> Message:
    return Message(
        raw=raw,
        envelope=Envelope("s@b.test", (recipient,)),
        relay=Endpoint("relay.test", 25),
        tls_mode="none",
        tls_version=None,
        mechanism=None,
        username=None,
        dialogue=(),
    )


def exchange(body_bytes: int = 0) -> Exchange:
    return Trace("POST", "/", body_text="x" * body_bytes).exchange(200, None)


def test_the_oldest_messages_are_dropped_and_counted() -> None:
    journal = Journal(Pool())
    for number in range(MAX_ENTRIES + 3):
        journal.add_message(message(recipient=f"{number}@b.test"))
    assert (len(journal.messages), journal.messages.dropped) == (MAX_ENTRIES, 3) == (1_000, 3)
    assert next(iter(journal.messages)).envelope.recipients == ("3@b.test",)


def test_bytes_are_bounded_over_messages_and_exchanges() -> None:
    journal = Journal(Pool(), max_bytes=10 * ENTRY_BYTES)
    journal.add_exchange(exchange())
    for _ in range(5):
        journal.add_message(message(b"x" * ENTRY_BYTES))
    assert (len(journal.exchanges), journal.exchanges.dropped) == (0, 1)
    assert (len(journal.messages), journal.messages.dropped) == (5, 0)
    journal.add_exchange(exchange(3 * ENTRY_BYTES + 1))
    assert (len(journal.messages), journal.messages.dropped) == (2, 3)
    assert journal.size <= 10 * ENTRY_BYTES


def test_what_a_client_may_make_long_counts() -> None:
    journal = Journal(Pool())
    journal.add_exchange(exchange(1_000))
    assert journal.size - ENTRY_BYTES == 1_000
    journal.add_exchange(Trace("POST", "/", (("x-long", "y" * 2_000),)).exchange(200, None))
    assert journal.size - 2 * ENTRY_BYTES == 3_006


def test_all_journals_share_one_bound_and_the_largest_gives_way() -> None:
    pool = Pool(max_bytes=10 * ENTRY_BYTES)
    small, large = Journal(pool), Journal(pool)
    small.add_message(message())
    for _ in range(20):
        large.add_message(message())
    assert len(small.messages) == 1
    assert (len(large.messages), large.messages.dropped) == (8, 12)
    assert pool.used == small.size + large.size <= 10 * ENTRY_BYTES


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

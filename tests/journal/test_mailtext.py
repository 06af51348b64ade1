"""Headers and texts of a mail, from one that follows every rule to octets that follow none."""

import json
import re
import smtplib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from email import policy
from email.header import Header
from email.message import EmailMessage
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver import MockServer
from mockserver.journal.filters import message_filter
from mockserver.journal.mailtext import _MAX_DEPTH
from mockserver.journal.message import Message
from mockserver.journal.story import message_line
from mockserver.journal.trace import Endpoint, Envelope
from support import Caller, following


def message(raw: bytes) -> Message:
    endpoint, envelope = Endpoint("127.0.0.1", 25), Envelope("a@b.test", ("c@d.test",))
    return Message(
        raw=raw,
        envelope=envelope,
        relay=endpoint,
        tls_mode="none",
        tls_version=None,
        mechanism=None,
        username=None,
        dialogue=(),
    )


def header(line: str | bytes) -> str:
    octets = line if isinstance(line, bytes) else line.encode()
    ((_, value),) = message(octets + b"\r\n\r\n").headers
    return value


# Encoded words


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        # RFC 2047, 8; in a comment as well as in a text
        ("Subject: (=?ISO-8859-1?Q?a?=)", "(a)"),
        ("Subject: (=?ISO-8859-1?Q?a?= b)", "(a b)"),
        ("Subject: (=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("Subject: (=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("Subject: (=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        ("Subject: (=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        ("From: =?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        ("Cc: =?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>",
         "André Pirard <PIRARD@vm1.ulg.ac.be>"),
        # RFC 2231, 5
        ("Subject: =?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # raw UTF-8 beside them, as nodemailer writes it under SMTPUTF8
        ("From: =?UTF-8?Q?J=C3=B6rg_M=C3=BCller?= <jörg@bücher.example>",
         "Jörg Müller <jörg@bücher.example>"),
        ("To: =?UTF-8?Q?Zo=C3=AB=2C_B?= <b@x.test>, =?UTF-8?B?55So5oi3?=\r\n <用户@例.公司>",
         "Zoë, B <b@x.test>, 用户 <用户@例.公司>"),
        ("Subject: Größe =?utf-8?q?=C3=B6?= Ü", "Größe ö Ü"),
        # a character that is divided between two
        ("Subject: =?UTF-8?Q?Gr=C3=BC=C3?=\r\n =?utf-8?b?n2U=?= x", "Grüße x"),
        ("Subject: =?iso-2022-jp?B?GyRCRnw=?= =?iso-2022-jp?B?S1wbKEI=?=", "日本"),
        # not in a quoted string of an address (RFC 2047, 5 (3)), nor in the address (5)
        ('From: "=?utf-8?q?x?=" <a@b.test>', '"=?utf-8?q?x?=" <a@b.test>'),
        ('To: "a \\" =?utf-8?q?x?=" =?utf-8?q?y?= <a@b.test>',
         '"a \\" =?utf-8?q?x?=" y <a@b.test>'),
        ('Reply-To: =?utf-8?q?x?= "=?utf-8?q?x?=" <a@b.test>, =?utf-8?q?x?= <c@d.test>',
         'x "=?utf-8?q?x?=" <a@b.test>, x <c@d.test>'),
        ('Resent-Sender: "=?utf-8?q?x?="\r\n <a@b.test>', '"=?utf-8?q?x?=" <a@b.test>'),
        ("bcc: <=?utf-8?q?x?=@b.test>, =?utf-8?q?x?=@b.test, =?utf-8?q?x?=<c@d.test>",
         "<=?utf-8?q?x?=@b.test>, =?utf-8?q?x?=@b.test, x<c@d.test>"),
        (r'To: (\" =?utf-8?q?x?= \") <a@b.test>', r'(\" x \") <a@b.test>'),
        # but in a text, where quotation marks mean nothing
        ('Subject: "=?utf-8?q?x?="', '"x"'),
        ("X-Note: <=?utf-8?q?x?=>", "<x>"),
        # what is none, or nearly one
        ("Subject: =?utf-8?x?x?= =?utf-8?q?x", "=?utf-8?x?x?= =?utf-8?q?x"),
        ("Subject: =?nope?q?x?= =?utf-8?q?y?=", "=?nope?q?x?= =?utf-8?q?y?="),
        ("Subject: a =?utf-8?b?a?= b =?utf-8?b?eA?=", "a =?utf-8?b?a?= b x"),
        ("Subject: =?us-ascii?q?J=C3=B6rg?= =?utf-8?q?=FF?=", "Jörg\ufffd"),
        ("Subject: =?utf-7?q?+AOk-+2AA-?=", "é\ufffd"),
        ("Subject: =?unicode_escape?q?=5Cud800?=", "=?unicode_escape?q?=5Cud800?="),
    ],
)  # fmt: skip
def test_encoded_words_are_decoded_where_they_may_stand(line: str, shown: str) -> None:
    assert header(line) == shown


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1).filter(
    lambda text: "=?" not in text
)


@given(st.lists(WORDS, min_size=1, max_size=30).map(" ".join))
def test_a_subject_that_the_standard_library_encodes_comes_back(subject: str) -> None:
    # Not by `EmailMessage`, whose words lose the blanks between them (Python 3.11).
    words = Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n")
    assert header(f"Subject: {words}") == subject


# Texts


def written(kind: str, encoding: str, charset: str, *, attached: bool) -> EmailMessage:
    mail = EmailMessage(policy.SMTP)
    mail["Subject"] = "x"
    mail.set_content("Grüße, 1 = 1\nund mehr\n", cte=encoding, charset=charset)
    if kind == "related":
        mail.add_related(b"\x89PNG", "image", "png")
    elif kind != "plain":
        mail.add_alternative("<b>Grüße</b>\n", subtype="html", cte=encoding, charset=charset)
    if attached:
        mail.add_attachment("attached\n", filename="a.txt")
    return mail


@pytest.mark.parametrize("attached", [False, True], ids=["bare", "attached"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize("kind", ["plain", "alternative", "related"])
def test_a_mail_is_read_as_the_standard_library_reads_it(
    kind: str, encoding: str, charset: str, attached: bool
) -> None:
    mail = message(written(kind, encoding, charset, attached=attached).as_bytes())
    for subtype, text in (("plain", mail.text), ("html", mail.html)):
        part = mail.parsed.get_body((subtype,))
        assert text == ("" if part is None else part.get_content())
    assert mail.text.splitlines() == ["Grüße, 1 = 1", "und mehr"]


DIVIDED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\r\nno header\r\n", "no header\r\n"),
        (b"Subject: x\r\nno header\r\n\r\nbody\r\n", "no header\r\n\r\nbody\r\n"),
        (b"Subject: x\n\nbare\nlines\n", "bare\nlines\n"),
        (b"", ""),
        (b"Subject: x", ""),
        (b"Content-Type: nonsense\r\n\r\nbody", "body"),
        (b"Content-Type: text/plain charset=x\r\n\r\nbody", "body"),
        (b"Content-Type: text/plain; charset*; charset*0*\r\n\r\nbody", "body"),
        (b"Content-Type: text/plain; charset=utf-7\r\n\r\n+AOk-+2AA-", "é\ufffd"),
        (b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\ud800", "\\ud800"),
        (b"Content-Type: text/plain; charset=no\xff\0\r\n\r\nbod\xff", "bod\ufffd"),
        (b'Content-Type: TEXT/Plain (old); CharSet = "iso-8859-\\1"\r\n\r\n\xfc', "ü"),
        (b"Content-Type: text/plain; charset=us-ascii\r\n\r\n\xc3\xbc", "ü"),
        (b"Content-Type: text/plain; charset=shift_jis\r\n\r\n\x93\xfa\xff", "日\ufffd"),
        (b"Content-Disposition: attachment\r\n\r\nbody", ""),
        (b"Content-Type: text/html\r\n\r\nbody", ""),
        (b"Content-Transfer-Encoding: odd\r\n\r\nbody", "body"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nYm9keQ", "body"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nb", "b"),
        (b"Content-Transfer-Encoding: quoted-printable\r\n\r\nbo=\r\ndy=2", "body=2"),
        (b"Content-Type: multipart/mixed\r\n\r\n--\r\nbody\r\n--\r\n", "--\r\nbody\r\n--\r\n"),
        (DIVIDED + b"body", "body"),
        (DIVIDED + b"--bb\r\n\r\nbody\r\n", "--bb\r\n\r\nbody\r\n"),
        (b'Content-Type: multipart/mixed; boundary="b\r\n b"\r\n\r\n--b b\r\n\r\nbody\r\n',
         "body\r\n"),
        (DIVIDED + b"--b\r\n\r\nbody\r\n", "body\r\n"),
        (DIVIDED + b"--b \r\n\r\nbody\r\n--b-- \r\n--b\r\n", "body"),
        (DIVIDED + b"--b\r\n--b\r\n\r\nbody\r\n", ""),
        (DIVIDED + b"--b\r\nContent-Type: text/x\r\n\r\nx\r\n--b\r\n\r\nbody\r\n", "body\r\n"),
        (DIVIDED + b"--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b\r\n\r\nbody", "body"),
        (b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody", ""),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_read_as_well_as_it_can_be(raw: bytes, text: str) -> None:
    assert message(raw).text == text


MIB = 2**20
TEXT = b"Subject: s\r\n\r\n" + b"text of a line\r\n" * (10 * MIB // 16)
MULTIPART = b"Subject: s\r\nContent-Type: multipart/mixed; boundary="
B = MULTIPART + b"b\r\n\r\n"
ENCODED = b"Subject: s\r\nContent-Transfer-Encoding: "
ATTACHED = b"--b\r\nContent-Disposition: attachment\r\n\r\n\r\n"


def within(depth: int, inner: bytes) -> bytes:
    for level in range(depth):
        head = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        inner = head + inner + b"\r\n--b%d--\r\n" % level
    return b"Subject: s\r\n" + inner


NASTY = {
    "headers": b"Subject: s\r\n" + b"".join(b"X-%d: y\r\n" % each for each in range(800_000)),
    "one header": b"Subject: s\r\nX: " + b"y" * 10 * MIB,
    "folds": b"Subject: s\r\nX: y" + b"\r\n y" * (2 * MIB),
    "words": b"Subject: s\r\nX: " + b"\r\n ".join([b"=?utf-8?q?=C3=A9?="] * 400_000),
    "words in addresses": b"Subject: s\r\nTo: " + b" ".join([b"=?utf-8?q?=C3=A9?="] * 400_000),
    "quotes": b"Subject: s\r\nTo: " + b'"\\' * (3 * MIB),
    "angles": b"Subject: s\r\nTo: " + b"<" * (8 * MIB),
    "question marks": b"Subject: s\r\nTo: " + b"=?" * (4 * MIB),
    "parameters": MULTIPART + b"".join(b";\r\n a%d=b" % each for each in range(600_000)),
    "quoted parameters": MULTIPART + b'"' * (8 * MIB) + b"\r\n\r\n",
    "parts": B + b"--b\r\n\r\nx\r\n" * 800_000,
    "attachments": B + ATTACHED * 200_000,
    "attachments within": within(1, b"\r\n--b0\r\n".join([B + ATTACHED * 200] * 900)),
    "empty multiparts": B + (b"--b\r\n" + MULTIPART + b"c\r\n\r\n") * 120_000,
    "depth": within(60, TEXT),
    "depth of parts": within(60, b"--b\r\n\r\nx\r\n" * 800_000),
    "ends": B + b"--b--" * (2 * MIB),
    "blanks": MULTIPART + b"b\r\n\r\n--b" + b" " * (8 * MIB) + b"x",
    "text": TEXT,
    "base64": ENCODED + b"base64\r\n\r\n" + b"eHh4" * (2 * MIB),
    "quoted": ENCODED + b"quoted-printable\r\n\r\n" + b"=3D" * (3 * MIB),
    "UTF-7": b"Subject: s\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AGE-" * MIB,
    "empty lines": b"Subject: s\r\n" + b"\r\n" * (5 * MIB),
    "no line": b"Subject: s\r\n\r\n" + b"x" * 10 * MIB,
}  # fmt: skip


@pytest.mark.parametrize("raw", NASTY.values(), ids=NASTY)
def test_no_mail_takes_long(raw: bytes) -> None:
    mail = message(raw)
    began = process_time()
    shown = json.dumps(mail.as_json())
    taken = process_time() - began
    began = process_time()
    assert message_filter({"subject": "s"})(mail)
    assert max(taken, process_time() - began) < 1.0  # as in test_nasty_inputs.py
    assert len(shown) < 12 * MIB


@pytest.mark.parametrize(
    ("name", "more"), [("headers", "headers"), ("one header", "headers"), ("text", "text")]
)
def test_what_is_not_read_of_a_mail_is_said(name: str, more: str) -> None:
    mail = message(NASTY[name])
    said = mail.text if more == "text" else dict(mail.headers)["…"]
    found = re.search(r"\[([0-9]+) more octets, which the raw mail has\]$", said)
    assert found
    assert 0 < int(found[1]) < mail.size
    assert message(NASTY["attachments within"]).text == (
        "[one of very many parts, which the raw mail has]"
    )


def test_what_lies_too_deep_is_text_as_it_is() -> None:
    found = message(nested(_MAX_DEPTH - 1, "deep")).text
    assert found.strip() == "deep"
    found = message(nested(_MAX_DEPTH + 1, "deep")).text
    assert found.startswith(f"--b{_MAX_DEPTH}\r\n")
    assert "deep" in found


@pytest.mark.parametrize("charset", ["punycode", "idna"])
def test_a_large_mail_is_read_in_no_time_whatever_charset_it_names(charset: str) -> None:
    # As these codecs work, it would take hours.
    raw = f"Content-Type: text/plain; charset={charset}\r\n\r\na-{'b' * 2**23}".encode()
    assert message(raw).text.startswith(f"a-{'b' * 1_000}")


# What is malformed


def nested(depth: int, text: str) -> bytes:
    heads = [
        f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        for level in range(depth)
    ]
    return f"Subject: x\r\n{''.join(heads)}\r\n{text}\r\n".encode()


def check(mail: Message) -> None:
    """Look at a mail in every way in which one is looked at."""
    raw = mail.raw
    json.dumps(mail.as_json(), ensure_ascii=False, allow_nan=False).encode()
    texts = [mail.subject, mail.from_, mail.to, mail.text, mail.html, message_line(mail)]
    texts += [text for pair in mail.headers for text in pair]
    assert [text.encode().decode() for text in texts] == texts
    assert message_filter({"subject": mail.subject})(mail)
    assert mail.raw is raw


CHARSETS = st.sampled_from([
    "utf-8", "utf-7", "utf-16", "utf-32-be", "us-ascii", "iso-8859-1", "iso-2022-jp", "hz", "big5",
    "shift_jis", "cp037", "utf-8-sig", "unknown-8bit", "nope", "unicode_escape", "idna", "mbcs",
    "raw_unicode_escape", "punycode", "undefined", "rot13", "zlib", "hex", "base64", "quopri", "",
    "..", "\0", "%s", "aliases", "x" * 200, "utf-8*en", "''", "ü", "\udcff",
]) | st.text(max_size=5)  # fmt: skip
OCTETS = st.binary(max_size=40) | st.sampled_from([
    b"+2AA-", b"\\ud800", b"\xed\xa0\x80", b"\x00\xd8", b"xn--a-", b"~{<:Ky", b"\x1b$B", b"a" * 900,
])  # fmt: skip


def quoted(octets: bytes) -> bytes:
    return b"".join(b"=%02X" % octet for octet in octets)


WORD = st.builds(
    lambda charset, how, octets, end: b"=?%s?%s?%s%s" % (
        charset.encode("utf-8", "surrogateescape"),
        how[0],
        how[1](octets),
        end,
    ),
    CHARSETS,
    st.sampled_from([
        (b"q", quoted), (b"Q", bytes), (b"b", b64encode), (b"b", bytes), (b"x", bytes),
        (b"B", lambda octets: b64encode(octets)[:-3]),
    ]),
    OCTETS,
    st.sampled_from([b"?=", b"?= ", b"?=\r\n ", b"", b"?=@"]),
)  # fmt: skip
PARAMETER = st.builds(
    lambda name, star, value: b"; " + name + star + value.encode("utf-8", "surrogateescape"),
    st.sampled_from([b"charset", b"boundary", b"name", b"filename", b"x", b""]),
    st.sampled_from([b"*", b"=", b"*=", b"*0*=", b"*1=", b"*%s*=" % (b"9" * 5_000), b" = ", b""]),
    CHARSETS | st.sampled_from(["b", '"b"', '"b', "utf-8''%ED%A0%80", "nope'en'%", "'", '"\\']),
)  # fmt: skip
VALUE = st.lists(WORD | OCTETS | PARAMETER | st.sampled_from([
    b'"', b"<a@b.test>", b"(", b"multipart/mixed; boundary=b", b"multipart/alternative",
    b"text/plain", b"text/html", b"text", b"/", b"message/rfc822", b"message/external-body",
    b"base64", b"quoted-printable", b"x-uuencode", b"8BIT", b"attachment", b"inline", b":", b",",
]), max_size=6).map(b"".join)  # fmt: skip
NAMES = st.sampled_from([
    b"Subject", b"From", b"To", b"Date", b"Message-ID", b"Content-Type", b"Content-Type",
    b"Content-Transfer-Encoding", b"Content-Disposition", b"MIME-Version", b"", b" ", b"X-\xff",
    b"Received", b"Resent-Cc", b"x" * 900,
])  # fmt: skip
LINE = st.builds(lambda name, value: name + b": " + value + b"\r\n", NAMES, VALUE) | OCTETS
PART = st.builds(
    lambda lines, body: b"".join(lines) + b"\r\n" + body,
    st.lists(LINE, max_size=6),
    st.lists(OCTETS | st.sampled_from([
        b"\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"--b", b"--", b"=\r\n", b"begin 644 x\r\n",
    ]), max_size=6).map(b"".join),
)  # fmt: skip
MAILS = st.lists(PART, max_size=5).map(b"\r\n--b\r\n".join) | PART | st.binary()

MALFORMED = {
    "a lone surrogate in a subject": b"Subject: =?utf-7?q?+2AA-?=\r\n\r\n",
    "a lone surrogate in a name": b"From: =?utf-7?b?KzJBQS0=?= <a@b.test>\r\n\r\n",
    "a lone surrogate in a text": b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    "a lone surrogate in HTML": b"Content-Type: text/html; charset=utf-7\r\n\r\n+2AA-",
    "an escaped surrogate": b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\ud800",
    "an escaped surrogate in a subject": b"Subject: =?raw_unicode_escape?q?=5Cud800?=\r\n\r\n",
    "an asterisk without a value": b"Content-Type: text/plain; charset*\r\n\r\nx",
    "an asterisk without a value, empty": b"Content-Type: text/plain; name*=\r\n\r\nx",
    "a continuation without a beginning": b"Content-Type: text/plain; name*9*=x\r\n\r\nx",
    "a disposition with an asterisk": b"Content-Disposition: inline; filename*\r\n\r\nx",
    "an encoding of a parameter": b"Content-Type: text/plain; name*=\0'x'%ff\r\n\r\nx",
    "deep nesting": nested(3_000, "x"),
    "deep nesting of messages": b"Content-Type: message/rfc822\r\n\r\n" * 3_000,
    "a charset with a NUL": b'Content-Type: text/plain; charset="\0"\r\n\r\nx',
    "a charset with a NUL in a subject": b"Subject: =?\0?q?x?=\r\n\r\n",
    "a charset of dots": b"Content-Type: text/plain; charset=../..\r\n\r\nx",
    "a codec that is no charset": b"Content-Type: text/plain; charset=zlib\r\n\r\nx",
    "a codec of nothing": b"Content-Type: text/plain; charset=undefined\r\n\r\nx",
    "an address of nothing": b'From: <>,;:@[\\\r\nTo: "\r\n\r\n',
    "no name of a header": b": x\r\n\r\n",
    "only NUL": b"\0\0\0",
}


@given(MAILS)
def test_no_octets_at_all_make_a_mail_that_cannot_be_looked_at(raw: bytes) -> None:
    check(message(raw))
    # Nor do they hide what is well-formed before them.
    assert message(b"Subject: here\r\nX-Next: x\r\n" + raw).subject == "here"


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_mail_hides_nothing(mock: MockServer, caller: Caller, raw: bytes) -> None:
    with following(mock) as events, smtplib.SMTP("localhost", mock.port("smtp") or 0) as client:
        for each in (raw, b"Subject: good\r\n\r\n"):
            client.sendmail("a@b.test", ["c@d.test"], each, ["SMTPUTF8"])
        found = [json.loads(next(events)["data"]) for _ in range(2)]
    bad, good = mock.messages
    assert caller.messages() == found == json.loads(json.dumps([bad.as_json(), good.as_json()]))
    assert [each["id"] for each in caller.messages(subject="good")] == [good.id]
    assert caller.http.get(f"/_mock/messages/{bad.id}/raw").content.rstrip() == raw.rstrip()
    for path in ("/", f"/?message={bad.id}", "/?q=good", f"/_mock/messages/{bad.id}"):
        assert caller.http.get(path).status_code == 200
    assert caller.http.get(f"/_mock/inbox/mail?message={bad.id}").status_code in (200, 404)
    assert mock.assert_delivered(subject="good") == good
    check(bad)


def test_a_malformed_mail_disturbs_nobody_who_waits(mock: MockServer, caller: Caller) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.messages, subject="good", wait="20")
        with smtplib.SMTP("localhost", mock.port("smtp") or 0) as client:
            for raw in (*MALFORMED.values(), b"Subject: good\r\n\r\n"):
                client.sendmail("a@b.test", ["c@d.test"], raw, ["SMTPUTF8"])
        assert [each["subject"] for each in waiting.result()] == ["good"]

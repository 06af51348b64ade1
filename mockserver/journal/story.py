"""The story of a call for people: what it caused, line by line, as text and for the inbox page."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, Literal, NamedTuple

from mockserver.base.text import one_line
from mockserver.contract.operations import VERSION_HEADER
from mockserver.journal.message import Message
from mockserver.journal.outside import SmtpSession, TokenCall
from mockserver.journal.trace import Delivery, Exchange, Step, TokenRequest, timestamp

_MAX_DIALOGUE: Final = 100
_NO_STEP: Final = Step("", 0, 0)


class _Line(NamedTuple):
    """One line of a story.

    `kind` is `event` for what the mock or its client did, `smtp` for a line of the SMTP dialogue
    (its label says who spoke), `detail` for the rest. `step` is when that was, if it is known.
    """

    label: str
    text: str
    kind: Literal["event", "smtp", "detail"] = "detail"
    tone: str = "good"
    step: Step | None = None


def story(exchange: Exchange | None, message: Message | None = None) -> Iterator[_Line]:
    """Tell what a call caused, and which message came of it; or of a message alone, how it came.

    Of a message that is not given, such as one that was dropped meanwhile, only the id is told.
    """
    if exchange:
        steps = {step.name: step for step in exchange.steps}
        yield from _asked(exchange, steps.get("delay"))
        yield from _checked(exchange, steps.get("check", _NO_STEP))
        yield from _looked_up(exchange, steps)
        if exchange.delivery:
            yield from _delivered(exchange, exchange.delivery, steps.get("delivery"))
        if exchange.problem:
            yield _Line("problem", f"{exchange.problem.code} {exchange.problem.message}")
    if message:
        yield _Line("message", message_line(message), "event")
        if exchange is None:
            yield from (_Line(who, text, "smtp") for who, text in message.dialogue)
    elif exchange and exchange.message_id:
        yield _Line("message", exchange.message_id, "event")


def tone(exchange: Exchange) -> str:
    """Name the kind of outcome: `good`, `refused` (4xx), `bad`, or `broken` without an answer."""
    status = exchange.status
    if not exchange.ended:
        return "good"
    return "broken" if status is None else {2: "good", 4: "refused"}.get(status // 100, "bad")


def message_line(message: Message) -> str:
    """Say in one line which message it is."""
    recipients = ", ".join(message.envelope.recipients)
    login = f"{message.mechanism} as {message.username}" if message.mechanism else "no login"
    return (
        f"{message.id} <{message.envelope.sender}> to <{recipients}> by {message.relay}, "
        f"{message.tls_mode}, {login}: {message.subject}"
    )


def session_line(session: SmtpSession) -> str:
    """Say in one line which SMTP session it is, and how it went."""
    refusals = "; ".join(f"{each.stage}: {each.reply}" for each in session.refusals)
    went = f"refused at {refusals}" if refusals else f"{len(session.message_ids)} mail kept"
    who = f"{session.mechanism} as {session.username}" if session.mechanism else "no login"
    still = "" if session.closed_at else ", still open"
    return one_line(
        f"SMTP session {session.id} by {session.relay}, {session.tls_mode}, {who}{still}: {went}"
    )


def session_text(session: SmtpSession) -> str:
    """Tell a session line by line, the dialogue with at most 100 lines."""
    said = [f"  {who} {text}" for who, text in session.dialogue]
    lines = [session_line(session), *said[-_MAX_DIALOGUE:]]
    if len(said) > _MAX_DIALOGUE:
        lines.insert(1, f"  … {len(said) - _MAX_DIALOGUE} lines before")
    return "\n".join(map(one_line, lines)) + "\n"


def token_line(request: TokenRequest) -> str:
    """Say in one line which request to an identity provider it is."""
    if not isinstance(request, TokenCall):
        return repr(request)
    asked = f"client {request.client_id}, scope {request.scope}, audience {request.audience}"
    error = f" {request.error}" if request.error else ""
    return one_line(f"{request.kind} from outside -> {request.status}{error}: {asked}")


def _good(holds: object) -> str:
    return "good" if holds else "refused"


def _call(exchange: Exchange) -> str:
    answer = exchange.status or ("no answer" if exchange.ended else "under way")
    return f"{exchange.method} {exchange.path} -> {answer}"


def _asked(exchange: Exchange, delay: Step | None) -> Iterator[_Line]:
    whole = Step("call", 0, exchange.duration_ms)
    yield _Line("call", _call(exchange), "event", tone(exchange), whole)
    yield _Line("id", f"{exchange.id} at {timestamp(exchange.received_at)}")
    identity = exchange.identity
    yield _Line("identity", identity or "unknown", "event", _good(identity is not None))
    if exchange.operation:
        deprecated = ", deprecated" if exchange.deprecated else ""
        yield _Line("operation", f"{exchange.operation}, version {exchange.version}{deprecated}")
    if delay:
        yield _Line("fault", "of the API itself", "event", "bad", delay)
    if permission := exchange.permission:
        needs, has = ", ".join(permission.required), ", ".join(permission.held)
        granted = "granted" if permission.granted else "refused"
        text = f"{granted}: needs {needs or 'any role'}; has {has or 'none'}"
        yield _Line("permission", text, "event", _good(permission.granted))


def _checked(exchange: Exchange, check: Step) -> Iterator[_Line]:
    for name, value in exchange.request.headers:
        yield _Line("header", f"{name}: {value}")
    if exchange.request.body_text is not None:
        yield _Line("body", exchange.request.body_text)
    if newer := exchange.v2:
        body = "" if newer.body is None else f" {json.dumps(newer.body, ensure_ascii=False)}"
        yield _Line("version 2", f"{VERSION_HEADER}: {dict(newer.headers)[VERSION_HEADER]}{body}")
        yield from (_Line("lost", text) for text in newer.lost)
    for note in exchange.lenient:
        yield _Line("note", f"{note.kind} {note.message}")
    if check is not _NO_STEP:
        broken = len(exchange.violations)
        text = f"{broken} violation{'s' * (broken > 1)}" if broken else "keeps the contract"
        yield _Line("check", text, "event", _good(not broken), check)
    for violation in exchange.violations:
        yield _Line("violation", f"{violation.rule} {violation.message} {violation.pointer}")


def _looked_up(exchange: Exchange, steps: dict[str, Step]) -> Iterator[_Line]:
    failed = exchange.problem and exchange.problem.field
    for secret in exchange.secrets:
        parameters = json.dumps(dict(secret.parameters or {}))
        source = f"PAM provider {secret.provider} {parameters}" if secret.provider else "the body"
        text, step = f"{secret.field} from {source}", steps.get(f"secret {secret.field}")
        yield _Line("secret", text, "event", _good(failed != secret.field), step)
    for asked in exchange.token_requests:
        text = f"{asked.kind} {asked.url} -> {asked.status or 'no answer'}"
        step = steps.get(f"token request {asked.kind}")
        yield _Line("token", text, "event", _good(asked.status == 200), step)  # noqa: PLR2004  # an HTTP status


def _delivered(exchange: Exchange, delivery: Delivery, step: Step | None) -> Iterator[_Line]:
    login = f", {delivery.mechanism}" if delivery.mechanism else ""
    reply = f", {delivery.reply}" if delivery.reply else ""
    text = f"{delivery.relay}, {delivery.tls_mode}{login}: stage {delivery.stage}{reply}"
    yield _Line("delivery", text, "event", _good(exchange.message_id), step)
    ends = [ms for ms, *_ in delivery.dialogue[1:]]
    for (ms, who, said), end in zip(delivery.dialogue, [*ends, 0], strict=False):
        # A line lasts until the next begins.
        yield _Line(who, said, "smtp", step=Step(who, ms, max(0, end - ms)))


# As text


def headline(exchange: Exchange) -> str:
    """Say in one line what was asked, and what was answered."""
    return f"{_call(exchange)} in {exchange.duration_ms:.1f} ms"


def exchange_text(exchange: Exchange, message: Message | None = None) -> str:
    """Tell the story of an exchange, and of the message that it led to, as text.

    A line has at most 200 characters, the SMTP dialogue at most 100 lines.
    """
    lines = [headline(exchange)]
    for is_smtp, told in groupby(story(exchange, message), lambda line: line.kind == "smtp"):
        texts = [_text(line) for line in told if line.label != "call"]
        most = _MAX_DIALOGUE if is_smtp else len(texts)
        lines += texts[:most]
        if texts[most:]:
            lines.append(f"{'':14}… {len(texts) - most} lines more")
    return "\n".join(map(one_line, lines)) + "\n"


def journal_text(
    exchanges: Iterable[Exchange],
    messages: Iterable[Message],
    most: int,
    sessions: Iterable[SmtpSession] = (),
) -> str:
    """Tell the stories of the newest exchanges, of mail from outside, and of refused sessions."""
    found, mail = list(exchanges), {message.id: message for message in messages}
    texts = [exchange_text(each, mail.get(each.message_id or "")) for each in found[-most:]]
    if len(found) > most:
        texts.insert(0, f"… {len(found) - most} earlier calls\n")
    outside = [each for each in mail.values() if each.request_id is None]
    texts += [
        one_line(f"mail from outside: {message_line(each)}") + "\n" for each in outside[-most:]
    ]
    texts += [session_text(each) for each in [each for each in sessions if each.refusals][-most:]]
    return "\n".join(texts)


def _text(line: _Line) -> str:
    if line.step is None:
        return f"  {line.label:11} {line.text}"
    if line.kind == "smtp":
        return f"  {line.step.ms:9.3f}   {line.label} {line.text}"
    return f"  {line.label:11} {line.text} ({line.step.duration_ms:.1f} ms)"

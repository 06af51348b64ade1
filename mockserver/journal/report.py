"""What happened, as a person reads it: one exchange with all that it caused, as plain text."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from mockserver.base.text import one_line
from mockserver.journal.trace import Delivery, Exchange, Message, timestamp

MAX_DIALOGUE: Final = 100


def exchange_text(exchange: Exchange, message: Message | None = None) -> str:
    """Describe an exchange, and the message that it led to, in lines of at most 200 characters."""
    lines = [headline(exchange)]
    lines += [f"  {name:11} {text}" for name, text in _facts(exchange, message)]
    return "\n".join(one_line(each) for each in lines) + "\n"


def headline(exchange: Exchange) -> str:
    """Say in one line what was asked, and what was answered."""
    return (
        f"{exchange.method} {exchange.path} -> {exchange.status or 'no answer'}"
        f" in {exchange.duration_ms:.1f} ms"
    )


def message_line(message: Message) -> str:
    """Say in one line which message it is."""
    recipients = ", ".join(message.envelope.recipients)
    login = f"{message.mechanism} as {message.username}" if message.mechanism else "no login"
    return (
        f"{message.id} <{message.envelope.sender}> to <{recipients}> by {message.relay}, "
        f"{message.tls_mode}, {login}: {message.subject}"
    )


def _facts(exchange: Exchange, message: Message | None) -> Iterator[tuple[str, str]]:
    taken = {step.name: f" ({step.duration_ms:.1f} ms)" for step in exchange.steps}
    yield "id", f"{exchange.id} at {timestamp(exchange.received_at)}"
    yield from _caller(exchange)
    yield from _request(exchange)
    yield from _lookups(exchange, taken)
    if exchange.delivery:
        yield from _delivery(exchange.delivery, taken.get("delivery", ""))
    if exchange.problem:
        yield "problem", f"{exchange.problem.code} {exchange.problem.message}"
    if message:
        yield "message", message_line(message)


def _caller(exchange: Exchange) -> Iterator[tuple[str, str]]:
    yield "identity", exchange.identity or "unknown"
    if exchange.operation:
        deprecated = ", deprecated" if exchange.deprecated else ""
        yield "operation", f"{exchange.operation}, version {exchange.version}{deprecated}"
    if permission := exchange.permission:
        needs, has = (", ".join(each) or "none" for each in (permission.required, permission.held))
        granted = "granted" if permission.granted else "refused"
        yield "permission", f"{granted}: needs {needs}; has {has}"


def _request(exchange: Exchange) -> Iterator[tuple[str, str]]:
    for name, value in exchange.request.headers:
        yield "header", f"{name}: {value}"
    if exchange.request.body_text is not None:
        yield "body", exchange.request.body_text
    for note in exchange.lenient:
        yield "note", f"{note.kind} {note.message}"
    for violation in exchange.violations:
        yield "violation", f"{violation.rule} {violation.message} {violation.pointer}"


def _lookups(exchange: Exchange, taken: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for secret in exchange.secrets:
        parameters = json.dumps(dict(secret.parameters or {}))
        source = f"PAM provider {secret.provider} {parameters}" if secret.provider else "the body"
        yield "secret", f"{secret.field} from {source}{taken.get(f'secret {secret.field}', '')}"
    for request in exchange.token_requests:
        status = request.status or "no answer"
        time = taken.get(f"token request {request.kind}", "")
        yield "token", f"{request.kind} {request.url} -> {status}{time}"


def _delivery(delivery: Delivery, taken: str) -> Iterator[tuple[str, str]]:
    login = f", {delivery.mechanism}" if delivery.mechanism else ""
    reply = f", {delivery.reply}" if delivery.reply else ""
    yield (
        "delivery",
        f"{delivery.relay}, {delivery.tls_mode}{login}: stage {delivery.stage}{reply}{taken}",
    )
    for ms, who, line in delivery.dialogue[:MAX_DIALOGUE]:
        yield f"{ms:9.3f}", f"{who} {line}"
    if len(delivery.dialogue) > MAX_DIALOGUE:
        yield "", f"… {len(delivery.dialogue) - MAX_DIALOGUE} lines more"


def journal_text(exchanges: Iterable[Exchange], messages: Iterable[Message], most: int) -> str:
    """Describe the newest exchanges, and the mail that came from outside."""
    found, mail = list(exchanges), {message.id: message for message in messages}
    texts = [exchange_text(each, mail.get(each.message_id or "")) for each in found[-most:]]
    if len(found) > most:
        texts.insert(0, f"… {len(found) - most} earlier calls\n")
    outside = [each for each in mail.values() if each.request_id is None]
    texts += [
        one_line(f"mail from outside: {message_line(each)}") + "\n" for each in outside[-most:]
    ]
    return "\n".join(texts)

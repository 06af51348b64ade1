"""Put the same questions to a server and to a mock, and say row by row whether they differ."""

import asyncio
import json
import re
import secrets
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from mockserver.base.documents import merge
from mockserver.base.jsontext import Json, dotnet_text
from mockserver.base.masking import MASK
from mockserver.base.text import one_line
from mockserver.base.version import __version__
from mockserver.control.answers import NOTHING, Answer, aspect
from mockserver.control.questions import Question, rows
from mockserver.http.wire import basic
from mockserver.world.loading import patched
from mockserver.world.model import World
from mockserver.world.reading import WorldError

if TYPE_CHECKING:
    import httpx2

_Asked = Sequence[Question]
_Beside = Callable[[Json], AbstractAsyncContextManager[str]]

_MAX_BODY: Final = 1024 * 1024
_MAX_SILENT: Final = 3  # questions without an answer, one after the other
_TOTAL: Final = 10  # times the seconds of one question

_ROLE: Final = "Compared caller"  # of an adopted world: what the caller of the server may do
_USER: Final = {"domain": "KEYEXAMPLE", "password": "caller-password", "roles": [_ROLE]}
_REFUSED: Final = (401, 403)
_OUTCOMES: Final = ("same", "differs", "not asked")


class CompareError(Exception):
    """Say why there is nothing to compare, and what to do."""


@dataclass(frozen=True)
class _Server:
    """A server to ask: its base URL, by who asks the value of `Authorization`, whom to trust.

    What is in `hidden` stands in nothing that comes of it. CompareError for what is no base URL,
    which the text does not repeat: it could have a password.
    """

    url: str
    callers: Mapping[str | None, str | None] = field(repr=False)
    trust: ssl.SSLContext
    seconds: float
    hidden: tuple[str, ...] = field(default=(), repr=False)
    proxies: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[!-~]+", self.url) or re.search("[@?#]", self.url):
            text = "the URL is the base of an API, such as https://HOST/KeyfactorAPI, without "
            raise CompareError(f"{text}credentials, a query or a fragment")


def server(url: str, own: str, secret: str, trust: ssl.SSLContext, seconds: float) -> _Server:
    """Return the server that is asked with this `Authorization`, and that secret in it."""
    forms = {own.partition(" ")[2], secret, json.dumps(secret)[1:-1], dotnet_text(secret)[1:-1]}
    return _Server(url, _callers(own, own), trust, seconds, tuple(sorted(forms, key=len)[::-1]))


def _callers(own: str, stranger: str) -> Mapping[str | None, str | None]:
    unknown = basic(secrets.token_hex(8), secrets.token_hex(8))  # nobody has this name
    forged = f"Bearer {secrets.token_urlsafe(32)}"
    return {None: own, "stranger": stranger, "nobody": None, "unknown": unknown, "forged": forged}


@dataclass(frozen=True)
class Comparison:
    """What came of it; `patch` is what the answers of the server say of a world."""

    url: str
    product_version: str | None
    questions: int
    rows: Sequence[Json]
    patch: Json

    def of(self, outcome: str) -> list[Json]:
        """Give the rows with this outcome: `same`, `differs` or `not asked`."""
        return [row for row in self.rows if row["outcome"] == outcome]

    def json(self) -> Json:
        """Return all of it as JSON."""
        counts = {name: len(self.of(name)) for name in _OUTCOMES}
        facts = {"product_version": self.product_version, "questions": self.questions}
        return {"url": self.url, **facts, "summary": counts, "rows": list(self.rows)}

    def world(self, below: Json) -> str:
        """Return the world as a file, which begins with what is `below` it."""
        import yaml  # noqa: PLC0415  # seldom needed

        said = yaml.safe_dump({**below, **self.patch}, allow_unicode=True, sort_keys=False)
        version = self.product_version or "a server without a version"
        return f"# As {version} answered; made by `keyfactor-mock compare`.\n{said}"

    def text(self) -> str:
        """Return it for people: the differences, server before mock, then what fits a screen."""
        lines: list[str] = []
        for row in self.of("differs"):
            lines += [_plain(row), *_lines(row["differences"])]
        titles: dict[str, list[str]] = {}
        for row in self.rows:
            why = f", {row['reason']}" if row["outcome"] == "not asked" else ""
            titles.setdefault(f"{row['outcome']}{why}", []).append(_plain(row))
            if not all(each["world_can_say"] for each in row["differences"]):
                titles.setdefault("a world cannot say all of", []).append(_plain(row))
        for title in sorted(titles):
            lines += wrap(f"{title}: {', '.join(titles[title])}", 100, subsequent_indent="  ")
        counts = ", ".join(f"{len(self.of(name))} {name}" for name in _OUTCOMES)
        version = self.product_version or "no product version"
        return "\n".join([*lines, f"{self.url} ({version}), {self.questions} questions: {counts}"])


def _plain(row: Json) -> str:
    return re.sub(r"\[(.*?)\]\(.*?\)|`", r"\1", row["row"])


def _lines(differences: Iterable[Json]) -> Iterator[str]:
    for question, found in groupby(differences, lambda each: each["question"]):
        yield f"  {question}: {'; '.join(map(_words, found))}"


def _words(each: Json) -> str:
    said = "" if each["world_can_say"] else " (a world cannot say it)"
    return f"{each['aspect']} {_word(each['server'])} | {_word(each['mock'])}{said}"


def _word(value: object) -> str:
    if isinstance(value, str):
        return one_line(value)
    return "none" if value is None else one_line(json.dumps(value, ensure_ascii=False))


async def compare(
    server: _Server, asked: _Asked, world: World, beside: _Beside, progress: Callable[[str], object]
) -> Comparison:
    """Ask a server, and a fresh mock of that world, which `beside` starts with a patch.

    One more mock is asked, with the world that the answers of the server make: what differs even
    there a world cannot say. CompareError where the server cannot be asked.
    """
    try:
        theirs = await _answers(server, asked, progress)
    finally:
        progress("")
    _refuse_unless_api(server.url, asked, theirs)

    async def of_a_mock(patch: Json) -> list[Json]:
        accounts, callers = _accounts(world, patch)
        async with beside(merge(patch, accounts)) as url:
            mock = _Server(url, callers, server.trust, server.seconds, proxies=False)
            return _rows(asked, theirs, await _answers(mock, asked, lambda _: None))

    patch = _adopted(world, asked, theirs)
    found, left = await of_a_mock({}), await of_a_mock(patch)
    for row, after in zip(found, left, strict=True):
        unsaid = [(each["question"], each["aspect"]) for each in after["differences"]]
        for each in row["differences"]:
            each["world_can_say"] = (each["question"], each["aspect"]) not in unsaid
    versions = (each.headers.get("x-keyfactor-product-version") for each in theirs)
    version = next(map(one_line, filter(None, versions)), None)
    return Comparison(server.url, version, len(asked), found, patch)


# Asking


def _accounts(world: World, patch: Json) -> tuple[Json, Mapping[str | None, str | None]]:
    """Return a patch with accounts for the questions, and how these call."""
    stranger = f"{_ROLE}, stranger"
    held = patch.get("roles", {}).get(_ROLE) or list(world.roles.get(_ROLE, ["/"]))
    word, names = secrets.token_urlsafe(16), (f"compare-{secrets.token_hex(4)}", "compare-stranger")
    users = {
        name: {"domain": "KEYEXAMPLE", "password": word, "roles": [role]}
        for name, role in zip(names, (_ROLE, stranger), strict=True)
    }
    accounts = {"roles": {_ROLE: held, stranger: ["/compared/"]}, "users": users}
    return accounts, _callers(*(basic(name, word) for name in names))


async def _answers(
    server: _Server, asked: _Asked, progress: Callable[[str], object]
) -> list[Answer]:
    import httpx2  # noqa: PLC0415  # takes as long as half of the program, and only this needs it

    answers: list[Answer] = []
    async with httpx2.AsyncClient(
        verify=server.trust,
        trust_env=server.proxies,
        timeout=None,  # the one of `_ask` is for the whole answer
        headers={"user-agent": f"keyfactor-mock/{__version__}", "accept-encoding": "identity"},
        # One that the server closes meanwhile would look like a question without an answer.
        limits=httpx2.Limits(max_keepalive_connections=0),
    ) as http:
        try:
            async with asyncio.timeout(_TOTAL * server.seconds):
                for question in asked:
                    progress(f"{len(answers) + 1} of {len(asked)}: {question.name}")
                    answers.append(await _ask(http, server, question))
                    _refuse_a_silent_one(server, answers)
        except TimeoutError:
            count = f"only {len(answers)} of {len(asked)} questions were answered"
            text = f"{server.url}: {count} within {_TOTAL * server.seconds:g} seconds"
            raise CompareError(text) from None
    refusals = {question.name: each.refusal for question, each in zip(asked, answers, strict=True)}
    return [
        replace(each, taken=bool(question.like) and each.refusal == refusals[question.like or ""])
        for question, each in zip(asked, answers, strict=True)
    ]


async def _ask(http: "httpx2.AsyncClient", server: _Server, question: Question) -> Answer:
    from httpx2 import HTTPError, InvalidURL  # noqa: PLC0415  # as above

    url, own = server.url.rstrip("/") + question.path, server.callers[question.caller]
    headers = {**question.headers, **({"authorization": own} if own else {})}
    sent = http.stream(question.method, url, headers=headers, content=question.content)
    body = b""
    try:
        async with asyncio.timeout(server.seconds), sent as response:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _MAX_BODY:
                    return Answer(failure=f"more than {_MAX_BODY} octets")
    except TimeoutError:
        return Answer(failure=f"nothing within {server.seconds:g} seconds")
    # anyio raises AttributeError where a connection is reset in the moment that it is made.
    except (HTTPError, InvalidURL, AttributeError) as error:
        return Answer(failure=_without(server, _reason(error)))
    pairs = {name: _without(server, value) for name, value in response.headers.items()}
    return Answer(response.status_code, pairs, _without(server, body.decode(errors="replace")))


def _reason(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        reason = str(error).partition("failed: ")[2].partition(" (_ssl")[0]
        return f"its certificate does not verify: {reason}; --ca FILE names the CA that signed it"
    if "WRONG_VERSION_NUMBER" in str(error):
        return "it does not speak TLS; perhaps its URL begins with http://"
    told = "the connection was reset" if isinstance(error, AttributeError) else str(error)
    text = re.sub(r"^\[Errno -?[0-9]+\] ", "", told)
    return one_line(text) or type(error).__name__


def _without(server: _Server, text: str) -> str:
    """Return a text without what has to be hidden, should the server repeat it."""
    for secret in server.hidden:
        text = text.replace(secret, MASK)
    return text


def _refuse_a_silent_one(server: _Server, answers: Sequence[Answer]) -> None:
    last = answers[-1]
    silent = [each.failure for each in answers[-_MAX_SILENT:]]
    if last.failure and (len(answers) == 1 or (len(silent) == _MAX_SILENT and all(silent))):
        raise CompareError(f"{server.url}: no answer: {last.failure}")
    if len(answers) == 1 and last.status == _REFUSED[0]:
        raise CompareError(f"{server.url} refuses the credentials (401)")


def _refuse_unless_api(url: str, asked: _Asked, answers: Sequence[Answer]) -> None:
    """Raise CompareError where nothing is as the product has it, or the caller gets no answer."""
    own = [each for question, each in zip(asked, answers, strict=True) if question.caller is None]
    served = any(not each.is_error or each.status in _REFUSED for each in own)
    if served and any(each.is_of_the_product for each in answers):
        return
    statuses = ", ".join(sorted({str(each.status) for each in answers if each.status}))
    said = next((text for each in own if (text := each.members.get("Message"))), None)
    first = "" if said is None else f", '{one_line(str(said))}'"
    moved = next((each.headers["location"] for each in answers if "location" in each.headers), None)
    elsewhere = f"; it leads to {one_line(moved)}, which was not followed" if moved else ""
    what = "no answer is one of Keyfactor Command" if served else "every call is refused"
    raise CompareError(
        f"{url}: {what} (status {statuses}{first}){elsewhere}; the URL is the base of its API, "
        "such as https://HOST/KeyfactorAPI"
    )


# Comparing


def _rows(asked: _Asked, theirs: Sequence[Answer], mine: Sequence[Answer]) -> list[Json]:
    found: dict[str, Json] = {
        name: {"row": name, "outcome": "not asked", "reason": reason, "differences": []}
        for name, reason in rows().items()
    }
    for question, server, mock in zip(asked, theirs, mine, strict=True):
        reason = _why_not(question, server)
        for name, aspects in question.compare.items():
            row = found[name]
            if reason is None:
                row["differences"] += _differences(question, aspects, server, mock)
                row["outcome"] = "differs" if row["differences"] else "same"
            else:
                row["reason"] = row["reason"] or reason
    return list(found.values())


def _why_not(question: Question, server: Answer) -> str | None:
    """Return why an answer says nothing of its question, None where it does."""
    if question.only not in {None, server.status}:
        return "the caller may do all that was asked"
    if question.caller is None and server.status in _REFUSED:
        return f"the caller may not ask ({server.status})"
    return None


def _differences(
    question: Question, aspects: Iterable[str], server: Answer, mock: Answer
) -> Iterator[Json]:
    for name in aspects:
        pair = aspect(server, name), aspect(mock, name)
        # Beyond these, an error and a success cannot but differ.
        alike = server.is_error == mock.is_error or name in {"status", "code", "form", "taken"}
        if alike and NOTHING not in pair and pair[0] != pair[1]:
            sides = {"server": pair[0], "mock": pair[1]}
            yield {"question": question.name, "aspect": name, **sides}


# Adopting


def _adopted(world: World, asked: _Asked, answers: Sequence[Answer]) -> Json:
    """Return a merge patch with which the world answers as a server did, where it can say that."""
    pairs = list(zip(asked, answers, strict=True))
    taken = [answer.taken for question, answer in pairs if "lenient" in question.adopt]
    says = [patch for question, answer in pairs for patch in _says(question, answer)]
    says += [{"lenient": all(taken)}] if taken else []
    after = world
    for patch in reversed(says):  # what the first question says of a thing goes over all others
        try:
            after = patched(after, patch)
        except WorldError:
            continue  # a world cannot say that
    return _change(world.data, after.data)


def _says(question: Question, answer: Answer) -> Iterator[Json]:
    """Give what an answer says of a world, each thing by itself."""
    says, told = question.adopt, answer.members
    if answer.is_error:
        if "errors" in says and _why_not(question, answer) is None:
            yield {"errors": {says["errors"]: {"status": answer.status}}}
            yield {"errors": {says["errors"]: {"code": told.get("ErrorCode")}}}
        return
    of_headers: Json = {
        "product_version": answer.headers.get("x-keyfactor-product-version"),
        "api_supported_versions": {
            says.get("api_supported_versions"): answer.headers.get("api-supported-versions", "")
        },
        "deprecation_header": "deprecation" in answer.headers,
    }
    for what in (name for name in of_headers if name in says and answer.status):
        yield {what: of_headers[what]}
    for name, value in told.items() if "smtp_profile" in says else ():
        secret = name == "RelayUsername" and value is not None
        yield {"smtp_profile": {name: {"SecretValue": value} if secret else value}}
    if "permissions" in says and "Permissions" in told:
        yield {"roles": {_ROLE: told["Permissions"]}, "users": {"caller": _USER}}


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> Json:
    """Return the merge patch (RFC 7396) that leads from one to the other."""
    patch: Json = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            value = _change(old, value) or old  # noqa: PLW2901  # only what is new
        if value != old:
            patch[name] = value
    return patch

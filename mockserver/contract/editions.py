"""What each release documents: its own contract, and how that differs from the newest."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from mockserver.base.data import data_folder
from mockserver.base.documents import DocumentError, merge, read_ours
from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem, Violation
from mockserver.base.schema import Node, pointer
from mockserver.base.text import cut
from mockserver.contract.operations import VERSION_HEADER, Contract, Operation
from mockserver.contract.upgrade import Upgrade, upgrades
from mockserver.contract.wording import WORDS, violations

_FACTS: Final = {"product_version", "version_headers", "marks", "not_played", "undefined"}
# What an edition may add to a document; all else is there already, and changed.
_NEW: Final = re.compile(r"x-.*|required")
_PLACES: Final = {Kind.NOT_FOUND: "path", Kind.METHOD: "method"}


class _Difference(NamedTuple):
    """One thing that an edition has in another way than the newest one; `mark` says how we know."""

    edition: str
    operation: str
    what: str
    there: str
    here: str
    mark: str
    source: str

    def __str__(self) -> str:
        where = f"{self.operation} {self.what}".strip()
        here = f"newest: {self.here}" if self.operation else self.here
        return f"{where}: {self.there} ({here}) [{self.mark}: {self.source}]"


@dataclass(frozen=True)
class Edition:
    """One release: its documents, and what stands beside them in its file."""

    name: str
    product_version: str
    version_headers: bool
    contract: Contract = field(repr=False)
    marks: tuple[Mapping[str, str], ...] = field(repr=False)
    not_played: tuple[Mapping[str, str], ...] = field(repr=False)

    @cached_property
    def upgrades(self) -> Mapping[str, Upgrade]:
        """The ways from deprecated operations, by their ids, to the newest version."""
        return upgrades(self.contract)

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """The versions in which a tag has operations, as the product spells them (recorded)."""
        found = {(operation.tag, operation.version) for operation in self.contract.operations}
        spelled = {each: "1.0" if each == "1" else each for each in self.contract.documents}
        return {
            tag: ", ".join(text for each, text in spelled.items() if (tag, each) in found)
            for tag, _ in found
        }

    def judge(
        self, method: str, path: str, version: str | None, *body: object, media: str | None = None
    ) -> list[Violation]:
        """Return what of a call this edition does not take; the path is that below the base path.

        A call that it does not have at all is told as a violation of `path`, `method` or header.
        The body is looked at where there is one, and its media type where that is known.
        """
        try:
            operation = self.contract.operation(path, method, version)
        except Problem as problem:
            place = _PLACES.get(problem.kind, f"header {VERSION_HEADER}")
            return [Violation(place, "enum", problem.message, "")]
        if operation.body is None or not body:
            return []
        if media is not None and not operation.takes(media):
            text = f"the media type {cut(media)} is not taken"
            return [Violation("header content-type", "enum", text, "")]
        return violations(operation.body, operation.relaxed(body[0], lenient=False)[0])

    def latest(self, method: str, path: str) -> Operation:
        """Return the newest version that this edition has of an operation."""
        wanted = method, path
        return [each for each in self.contract.operations if (each.method, each.path) == wanted][-1]


class Editions:
    """The releases by name, each made when it is first asked for.

    A folder without files of editions has one by whatever name, its documents as they stand.
    What is below `resources` in the folder, and then `files`, documents of a user's, belong to each
    of them. DocumentError for a document or a file that cannot be used, and for an unknown name.
    """

    def __init__(self, folder: Path, files: Sequence[str] = ()) -> None:
        self._files = folder / "editions"
        self._contract = Contract.load(folder)
        more = sorted((folder / "resources").glob("*.yaml"))
        self._more = {path.stem: Node.root(str(path), read_ours(path)) for path in more}
        self._given = _foreign(files) if files else {}
        self._made: dict[str, Edition] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names, the oldest release first."""
        return tuple(sorted((path.stem for path in self._files.glob("*.yaml")), key=_age))

    def __getitem__(self, name: str) -> Edition:
        """Return an edition; DocumentError for an unknown name, with those that there are."""
        name = name if self.names else ""
        if name not in self._made:
            if self.names and name not in self.names:
                raise DocumentError(f"edition {name!r}", [("", self._refusal(name))])
            self._made[name] = self._edition(name)
        return self._made[name]

    def __iter__(self) -> Iterator[Edition]:
        return (self[name] for name in self.names)

    def named(self, text: str) -> tuple[str, ...]:
        """Return the names in a list such as `10,11`, or every name for `all`."""
        names = self.names if text == "all" else text.split(",")
        return tuple(self[name.strip()].name for name in names)

    @property
    def newest(self) -> Edition:
        """Give the edition that the documents are without a patch."""
        return self[self.names[-1] if self.names else ""]

    def differences(self) -> Iterator[_Difference]:
        """Give what an edition has in another way than the newest, and then what is not played."""
        usual = dict(_rows(self.newest))
        for edition in self:
            own = dict(_rows(edition))
            for row in dict.fromkeys([*usual, *own]):
                there, here = own.get(row, "no"), usual.get(row, "no")
                # Of an operation that is not there at all one line says so.
                gone = any((row[0], "") not in rows for rows in (own, usual))
                if there != here and not (gone and row[1]):
                    yield _Difference(edition.name, *row, there, here, *_mark(edition, row))
            for each in edition.not_played:
                told = each["there"], "not played", each["mark"], each["source"]
                yield _Difference(edition.name, "", each["what"], *told)

    def _refusal(self, name: str) -> str:
        known = f"the editions are {', '.join(self.names)}"
        reasons: Json = {}
        for path in self._files.glob("*.yaml"):
            reasons |= read_ours(path).get("undefined", {})
        release = name
        while release:
            if release in reasons:
                return f"not defined, since {reasons[release]}; {known}"
            release = release.rpartition(".")[0]
        return f"unknown; {known}"

    def _edition(self, name: str) -> Edition:
        if not name:
            return Edition(name, "", True, self._extended(self._contract), (), ())
        path = self._files / f"{name}.yaml"
        file = Node.root(str(path), read_ours(path))
        contract, documents = self._contract, self._contract.documents
        keys = {f"v{version}": document for version, document in documents.items()}
        for key in file.value.keys() - _FACTS - keys.keys():
            file.fail(f"{key}: unknown key")
        patches = {key: file.value.get(key, {}) for key in keys}
        for key, patch in patches.items():
            _check_places(keys[key], patch or {}, file.source, f"/{key}")
        if any(patch != {} for patch in patches.values()):
            contract = Contract.of(
                Node.root(file.source, merge(keys[key], patch))
                for key, patch in patches.items()
                if patch is not None
            )
        return Edition(
            name,
            file.at("product_version").value,
            file.at("version_headers").value,
            self._extended(contract),
            tuple(file.at("marks").value),
            tuple(file.at("not_played").value),
        )

    def _extended(self, contract: Contract) -> Contract:
        contract = contract.extended(self._more)
        return contract.extended(self._given) if self._given else contract


def _foreign(files: Iterable[str]) -> dict[str, Node]:
    from mockserver.contract.foreign import read_foreign  # noqa: PLC0415  # most users have none

    return {file: read_foreign(Path(file)) for file in files}


def load_editions(*files: str) -> Editions:
    """Load the project's documents, and these of a user's, once for all mocks of a program.

    A file that has changed meanwhile is loaded anew.
    """
    return _loaded(files, tuple(map(_state, files)))


@lru_cache(maxsize=16)
def _loaded(files: tuple[str, ...], _: tuple[object, ...]) -> Editions:
    return Editions(data_folder("openapi"), files)


def _state(file: str) -> object:
    """Return what tells a file from another one, also of the same name, and from its past."""
    try:
        found = Path(file).stat()
    except (OSError, ValueError):
        return None  # which is told where it is read
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _age(name: str) -> list[tuple[bool, int, str]]:
    parts = name.split(".")
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _check_places(target: Json, patch: Json, source: str, place: str) -> None:
    """Refuse a patch that changes what the document does not have: it would change nothing."""
    for key, value in patch.items():
        inner = place + pointer([key])
        if key not in target and not _NEW.fullmatch(key):
            raise DocumentError(source, [(inner, "the document has no such place")])
        if isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                raise DocumentError(source, [(inner, "the document has no object there")])
            _check_places(target[key], value, source, inner)


def _mark(edition: Edition, row: tuple[str, str]) -> tuple[str, str]:
    for each in edition.marks:
        if fnmatchcase(" ".join(row), each["row"]):
            return each["mark"], each["source"]
    raise DocumentError(edition.name, [("", f"no mark for {' '.join(row)!r}")])


def _rows(edition: Edition) -> Iterator[tuple[tuple[str, str], str]]:
    """Give all that a table of editions compares, by operation and by what of it."""
    yield ("every answer", ""), "yes"
    yield ("every answer", "version headers"), "sent" if edition.version_headers else "not sent"
    for operation in edition.contract.of_versions:
        label = f"{operation.method} {operation.path} version {operation.version}"
        for what, text in _facets(operation):
            yield (label, what), text
        for name in operation.answer.members if operation.answer else ():
            yield (label, f"answer /{name}"), "yes"


def _facets(operation: Operation) -> Iterator[tuple[str, str]]:
    yield "", "yes"
    yield "deprecated", "yes" if operation.deprecated else "no"
    yield "permission", ", ".join(operation.permissions) or "none"
    if operation.request is None:
        return
    types = ", ".join(operation.media_types or ("any JSON",))
    yield "media types", types + (", forms" if operation.takes_form else "")
    required = operation.request.rule.get("required", ())
    for name, form in operation.request.properties.items():
        kinds = sorted(WORDS.types[kind] for kind in form.types - {"null"})
        text = f"{'required' if name in required else 'optional'}, {' or '.join(kinds)}"
        if name in operation.defaults:
            text += f", {json.dumps(operation.defaults[name])} when left out"
        yield f"/{name}", text

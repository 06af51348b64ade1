"""What an enrolment goes by: which template, pattern and authority, and whether it may."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, NoReturn

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut
from mockserver.product import access, objects
from mockserver.product.keyfactor import Call
from mockserver.world.model import World

TEMPLATES: Final = "/Templates"
PATTERNS: Final = "/EnrollmentPatterns"
AUTHORITIES: Final = "/CertificateAuthority"


class _Way(NamedTuple):
    """A way to enrol, with its bit in AllowedEnrollmentTypes."""

    name: str
    bit: int


PFX: Final = _Way("PFX", 1)
CSR: Final = _Way("CSR", 2)


class Chosen(NamedTuple):
    """What an enrolment goes by; a template may be without a pattern."""

    template: Json
    pattern: Json | None
    authority: Json

    @property
    def logical_name(self) -> str:
        """The name of the authority, which is the subject of its certificate too."""
        return str(self.authority.get("LogicalName"))


async def choose(call: Call, way: _Way) -> Chosen:
    """Find template, pattern and authority; Problem for what is not there or not permitted.

    A template may wait first (`Delay`, seconds), or let its authority refuse (`Refusal`, a text).
    """
    body, world = call.body, call.state.world
    pattern = _pattern(world, body.get("EnrollmentPatternId"))
    template = _template(world, body.get("Template"), pattern)
    # Of a template alone, its default pattern is used (recorded).
    pattern = pattern or _default_pattern(world, template)
    _check_roles(call, template, pattern)
    if not _allows(template, pattern, way):
        name = (pattern or template).get("Name") or template.get("CommonName")
        _refuse(f"{way.name} enrollment is not allowed by '{name}'.")
    authority = _authority(world, body.get("CertificateAuthority"), pattern)
    delay, refusal = template.get("Delay"), template.get("Refusal")
    if isinstance(delay, int | float):  # no schema looks at the objects of a world
        with call.trace.step("delay"):
            await call.state.pause(delay)
    if refusal:
        _refuse(str(refusal))
    return Chosen(template, pattern, authority)


def _refuse(text: str) -> NoReturn:
    raise Problem(Kind.BODY, text)


def _same(name: object, wanted: str) -> bool:
    return str(name).casefold() == wanted.strip().casefold()


def _pattern(world: World, number: int | None) -> Json | None:
    if not number:
        return None
    pattern = objects.found(objects.rows(world, PATTERNS), "Id", number)
    if pattern is None:
        text = f"Unable to find 'Enrollment Pattern' with Id '{number}'"
        raise Problem(Kind.NOT_FOUND, text)
    return pattern


def _template(world: World, name: str | None, pattern: Json | None) -> Json:
    rows = objects.rows(world, TEMPLATES)
    if name:
        for row in rows:
            if any(_same(row.get(each), name) for each in ("CommonName", "TemplateName")):
                return row
        _refuse(f"Template: there is no template '{cut(name)}'.")
    if pattern is None:
        _refuse("Template: required where there is no EnrollmentPatternId.")
    own = pattern.get("Template") or {}
    return objects.found(rows, "Id", own.get("Id")) or own


def _default_pattern(world: World, template: Json) -> Json | None:
    for pattern in objects.rows(world, PATTERNS):
        number = (pattern.get("Template") or {}).get("Id")
        if pattern.get("TemplateDefault") and number == template.get("Id"):
            return pattern
    return None


def _check_roles(call: Call, template: Json, pattern: Json | None) -> None:
    for roles, what in _needed(template, pattern):
        access.require_one_of(call.identity, roles, what, call.trace)


def _needed(template: Json, pattern: Json | None) -> Iterator[tuple[Sequence[str], str]]:
    """Give the roles of the pattern, and those of a template that names requesters.

    Of each the caller has one, or may not enrol.
    """
    if pattern is not None and not pattern.get("UseADPermissions"):
        roles = [str(each.get("Name")) for each in pattern.get("AssociatedRoles") or ()]
        yield roles, f"pattern '{pattern.get('Name')}'"
    if template.get("UseAllowedRequesters"):
        yield template.get("AllowedRequesters") or (), f"template '{template.get('CommonName')}'"


def open_to(call: Call, way: _Way) -> Iterator[tuple[Json, list[Json]]]:
    """Give the templates by which a caller may enrol, each with its authorities."""
    world = call.state.world
    for template in objects.rows(world, TEMPLATES):
        pattern = _default_pattern(world, template)
        needed = _needed(template, pattern)
        is_known = all({*roles} & {*call.identity.roles} for roles, _ in needed)
        if is_known and _allows(template, pattern, way):
            yield template, _authorities(world, pattern)


def _allows(template: Json, pattern: Json | None, way: _Way) -> bool:
    return bool((pattern or template).get("AllowedEnrollmentTypes", 0) & way.bit)


def _authority(world: World, name: str | None, pattern: Json | None) -> Json:
    if name:
        every = objects.rows(world, AUTHORITIES)
        found = next((row for row in every if any(_same(own, name) for own in _names(row))), None)
        if found is None:
            _refuse(f"CertificateAuthority: there is no authority '{cut(name)}'.")
        if (pattern or {}).get("RestrictCAs") and found not in _authorities(world, pattern):
            _refuse(f"CertificateAuthority: the pattern does not allow '{cut(name)}'.")
        return found
    for row in _authorities(world, pattern):
        return row
    _refuse("CertificateAuthority: no authority is there for enrollment.")


def _authorities(world: World, pattern: Json | None) -> list[Json]:
    """Return those of a pattern, or where it names none, those that are for enrolment."""
    ids = {each.get("Id") for each in (pattern or {}).get("CertificateAuthorities") or ()}
    return [
        row
        for row in objects.rows(world, AUTHORITIES)
        if (row.get("Id") in ids if ids else row.get("UseForEnrollment"))
    ]


def _names(authority: Json) -> tuple[str, str]:
    return str(authority.get("LogicalName")), full_name(authority)


def full_name(authority: Json) -> str:
    r"""Return what certificates call their authority: host\logical name."""
    return f"{authority.get('HostName')}\\{authority.get('LogicalName')}"

"""Templates and enrolment patterns as the API changes them: what recordings show beyond schemas."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import cut
from mockserver.product import enrollment, security
from mockserver.product.enrollment import AUTHORITIES, CSR, PATTERNS, TEMPLATES
from mockserver.product.keyfactor import Answer, Call
from mockserver.product.objects import Write, folded, found, rows
from mockserver.world.model import World

_BY_DATE: Final = (2, 3)  # KeyRetention: FromExpiration, FromIssuance


def _pattern(write: Write) -> Json:
    """Return a pattern with the objects that a request names by number or name."""
    row, old, world = {**write.row}, write.old, write.state.world
    roles = security.rows(world)[security.ROLES]
    if old is None:
        row["Template"] = found(rows(world, TEMPLATES), "Id", row["Template"])
        if row["Template"] is None:
            _refuse(f"Template: there is no template with Id {write.sent['Template']}.")
    # The first pattern of a template is its default one, whatever a request says.
    row["TemplateDefault"] = old.get("TemplateDefault") if old else not _siblings(row, world)
    row["AssociatedRoles"] = [_role(roles, name) for name in row.get("AssociatedRoles") or ()]
    row["CertificateAuthorities"] = [
        found(rows(world, AUTHORITIES), "Id", each)
        or _refuse(f"CertificateAuthorities: there is none with Id {each}.")
        for each in row.get("CertificateAuthorities") or ()
    ]
    row["Policies"] = {**row["Policies"], **_owner(roles, row["Policies"])}
    return _set(row)


def _siblings(row: Json, world: World) -> list[Json]:
    number = row["Template"]["Id"]
    every = rows(world, PATTERNS)
    return [each for each in every if (each.get("Template") or {}).get("Id") == number]


def _role(roles: Sequence[Json], name: str) -> Json:
    for role in roles:
        if folded(role["Name"]) == folded(name):
            return {"Id": role["Id"], "Name": role["Name"]}
    return _refuse(f"AssociatedRoles: there is no role '{cut(name)}'.")


def _owner(roles: Sequence[Json], policies: Json) -> Json:
    number = policies.get("DefaultCertificateOwnerRoleId")
    role = found(roles, "Id", number) if number else {}
    if role is None:
        _refuse(f"Policies/DefaultCertificateOwnerRoleId: there is no role with Id {number}.")
    return {"DefaultCertificateOwnerRoleName": role.get("Name")}


def _template(write: Write) -> Json:
    row = write.row
    if row.get("TemplatePolicy") is None:
        _refuse("'Policies' cannot be empty")  # recorded
    if row.get("UseAllowedRequesters") and not row.get("AllowedRequesters"):
        _refuse("Enrollment Pattern needs to have at least one associated role.")  # observed
    if row.get("KeyRetention") in _BY_DATE and not row.get("KeyRetentionDays"):
        _refuse("KeyRetentionDays: this KeyRetention needs a number of days.")
    return _set(row)


def _set(row: Json) -> Json:
    """Return an object without what is null, which no world has either."""
    return {name: value for name, value in row.items() if value is not None}


async def csr_context(call: Call, _: Mapping[str, Any]) -> Answer:
    """Tell by which templates and authorities a caller may enrol a request."""
    templates = [
        {
            **template,
            "Name": template.get("CommonName"),
            "Forest": template.get("ForestRoot"),
            "CAs": [_named(each) for each in authorities if not each.get("Standalone")],
            "Regexes": template.get("TemplateRegexes"),
            "EnrollmentTemplatePolicy": template.get("TemplatePolicy"),
        }
        for template, authorities in enrollment.open_to(call, CSR)
    ]
    every = rows(call.state.world, AUTHORITIES)
    alone = [each for each in every if each.get("Standalone") and each.get("UseForEnrollment")]
    return Answer({"Templates": templates, "StandaloneCAs": [*map(_named, alone)]}, {})


def _named(authority: Json) -> Json:
    name = enrollment.full_name(authority)
    return {**authority, "Name": name, "DisplayName": authority.get("LogicalName")}


def _refuse(text: str) -> NoReturn:
    raise Problem(Kind.BODY, text)


WRITES: Final[Mapping[str, Callable[[Write], Json]]] = {PATTERNS: _pattern, TEMPLATES: _template}

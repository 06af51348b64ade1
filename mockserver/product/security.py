"""Roles, claims and identities: one store for the resources and for who may call the API.

The world says which roles its users and OAuth clients have. Here a user is an identity, and a
client a claim; what is written to either, or to a role, changes what the caller may do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from mockserver.base.jsontext import Json
from mockserver.base.problems import Kind, Problem
from mockserver.journal.state import State
from mockserver.product import access, objects
from mockserver.product.objects import Write
from mockserver.world.model import OAuthClient, User, World

_Tables = Mapping[str, Sequence[Json]]

ROLES: Final = "/Security/Roles"
_CLAIMS: Final = "/Security/Claims"
_IDENTITIES: Final = "/Security/Identities"
PATHS: Final = frozenset({ROLES, _CLAIMS, _IDENTITIES})

_GLOBAL: Final = "099c05f0-deba-4562-a5b1-f491e19c0749"  # the permission set (recorded)
_SYSTEM: Final = "c70e8641-a543-45b1-a47f-8b7d253fbf14"  # the provider of scheme System (recorded)
# ClaimType: User, Group, Computer, OAuthOid, OAuthRole, OAuthSubject, OAuthClientId
_USER, _SUBJECT, _CLIENT = 0, 5, 6
_ADMINISTRATOR: Final = "Administrator"
_SAME_CLAIM: Final = ("ClaimType", "ClaimValue", "ProviderAuthenticationScheme")


_KEPT: Final = "tables of security"  # beside the fields of a world


def rows(world: World) -> _Tables:
    """Return the three collections: what was written, brought to what the world says.

    They are made once for each world, since no world changes, and lists ask for them at each row.
    """
    kept = vars(world)
    if _KEPT not in kept:
        kept[_KEPT] = _rows(world)
    tables: _Tables = kept[_KEPT]
    return tables


def _rows(world: World) -> _Tables:
    users = {str.casefold(user.account): user for user in world.users.values()}
    clients = {name: client for name, client in world.oauth_clients.items() if name != "*"}
    claims = [*objects.rows(world, _CLAIMS)]
    _add(claims, "ClaimValue", map(_claim_of, (name for name in clients if clients[name].roles)))
    identities = [*objects.rows(world, _IDENTITIES)]
    accounts = (user.account for user in users.values() if user.roles)
    _add(identities, "AccountName", ({"AccountName": name} for name in accounts))
    roles = [row for row in objects.rows(world, ROLES) if row["Name"] in world.roles]
    _add(roles, "Name", ({"Name": name} for name in world.roles))
    tables = {_CLAIMS: claims, _IDENTITIES: identities}
    return {**tables, ROLES: [_brought(row, world, tables, users, clients) for row in roles]}


def _add(table: list[Json], member: str, needed: Iterable[Json]) -> None:
    """Add those objects that a table lacks, each with the next id."""
    present = {str.casefold(row[member]) for row in table}
    number = objects.highest(table, "Id")
    for row in needed:
        if str.casefold(row[member]) not in present:
            number += 1
            table.append({"Id": number, **row})


def _claim_of(client: str) -> Json:
    return {
        "Description": f"The OAuth client {client}",
        "ClaimType": _CLIENT,
        "ClaimValue": client,
        "ProviderAuthenticationScheme": "System",
    }


def _brought(
    row: Json,
    world: World,
    tables: _Tables,
    users: Mapping[str, User],
    clients: Mapping[str, OAuthClient],
) -> Json:
    """Return a role with the permissions and the holders that the world gives it."""
    name = row["Name"]
    claimed = {
        str.casefold(each["ClaimValue"]) for each in _of(row, "Claims", tables) if _is_user(each)
    }

    def holds(identity: Json) -> bool:
        user = users.get(str.casefold(identity["AccountName"]))
        before: bool = identity["Id"] in row.get("Identities", ())
        if user is None:
            return before
        return name in user.roles and (before or str.casefold(user.account) not in claimed)

    def has(claim: Json) -> bool:
        client = clients.get(claim["ClaimValue"]) if _is_client(claim) else None
        before: bool = claim["Id"] in row.get("Claims", ())
        return name in client.roles if client else before

    defaults = {"Description": name, "Enabled": True, "PermissionSetId": _GLOBAL}
    return {
        **defaults,
        **row,
        "Immutable": name == _ADMINISTRATOR,
        "Permissions": [*world.roles[name]],
        "Identities": _sorted(row, "Identities", filter(holds, tables[_IDENTITIES])),
        "Claims": _sorted(row, "Claims", filter(has, tables[_CLAIMS])),
    }


def _sorted(row: Json, member: str, holders: Iterable[Json]) -> list[int]:
    """Return the ids of holders in the order in which they were given."""
    order = {number: place for place, number in enumerate(row.get(member, ()))}
    return sorted((each["Id"] for each in holders), key=lambda number: order.get(number, 0))


def _of(row: Json, member: str, tables: _Tables) -> list[Json]:
    """Return the claims or identities of a role."""
    table = {each["Id"]: each for each in tables[_CLAIMS if member == "Claims" else _IDENTITIES]}
    return [table[number] for number in row.get(member, ()) if number in table]


def _is_user(claim: Json) -> bool:
    return bool(claim["ClaimType"] == _USER)


def _is_client(claim: Json) -> bool:
    return claim["ClaimType"] in (_SUBJECT, _CLIENT)


def keep(state: State, path: str, kept: Sequence[Json], grown: int) -> None:
    """Put one collection in the place of that before, and give the callers of the world its roles.

    Problem 400 where nobody could administer the mock any more.
    """
    tables = {**rows(state.world), path: kept}
    names = [role["Name"] for role in tables[ROLES]]
    if _ADMINISTRATOR in state.world.roles and _ADMINISTRATOR not in names:
        raise Problem(Kind.BODY, f"The role '{_ADMINISTRATOR}' is immutable.")
    users = _without_roles(state.world.data["users"])
    clients = _without_roles(state.world.data["oauth_clients"])
    accounts = {str.casefold(user.account): users[key] for key, user in state.world.users.items()}
    for role in tables[ROLES]:
        names = [str.casefold(each["AccountName"]) for each in _of(role, "Identities", tables)]
        claims = _of(role, "Claims", tables)
        names += [str.casefold(each["ClaimValue"]) for each in claims if _is_user(each)]
        holders = [accounts[name] for name in dict.fromkeys(names) if name in accounts]
        ids = dict.fromkeys(each["ClaimValue"] for each in claims if _is_client(each))
        holders += [clients[each] for each in ids if each in clients and each != "*"]
        for holder in holders:
            holder["roles"].append(role["Name"])
    permissions = {role["Name"]: role["Permissions"] for role in tables[ROLES]}
    callers = {"roles": permissions, "users": users, "oauth_clients": clients}
    state.put_resources(tables, grown, callers)


def _without_roles(entries: Mapping[str, Json]) -> dict[str, Json]:
    """Return entries of the world with no roles yet; that of any other client keeps its own."""
    return {
        name: {**entry, "roles": [] if name != "*" else entry.get("roles", [])}
        for name, entry in entries.items()
    }


# What is written


def _role(write: Write) -> Json:
    row, world = {**write.row}, write.state.world
    row["PermissionSetId"] = row.get("PermissionSetId") or _GLOBAL
    sent = row.get("Permissions") or []
    row["Permissions"] = [*map(access.renewed, sent)]
    row["Legacy"] = sent if any(":" in permission for permission in sent) else None
    for member, path, find in (
        ("Claims", _CLAIMS, _SAME_CLAIM),
        ("Identities", _IDENTITIES, ("AccountName",)),
    ):
        table = [*rows(world)[path]]
        given = row.get(member) or []
        row[member] = [_id(write.state, path, table, each, find) for each in given]
        if len(table) > len(rows(write.state.world)[path]):
            keep(write.state, path, table, 0)
    return row


def _id(
    state: State, path: str, table: list[Json], given: int | Json, members: Sequence[str]
) -> int:
    """Return the id of a claim or an identity; one that is not there is made."""
    if isinstance(given, int):
        return given
    wanted = {name: given.get(name) for name in members}
    for row in table:
        if {name: row.get(name) for name in members} == wanted:
            return int(row["Id"])
    number = state.number(path, objects.highest(table, "Id"))
    table.append({**given, "Id": number})
    return number


def _legacy(_: World, row: Json) -> list[str]:
    """Return the permissions of a role as version 1 has them, `/` and longer ones left out."""
    if row.get("Legacy"):
        return [*row["Legacy"]]
    parts = [permission.strip("/").split("/") for permission in row["Permissions"]]
    pairs = [each for each in parts if len(each) == 2]  # noqa: PLR2004  # an area and a verb
    return [":".join(word.title().replace("_", "") for word in pair) for pair in pairs]


# What is shown


def _members(member: str) -> Callable[[World, Json], list[Json]]:
    return lambda world, row: _of(row, member, rows(world))


def _roles_of(world: World, row: Json) -> list[Json]:
    """Return the roles of an identity; all but their names is empty there (recorded)."""
    shown = ("Id", "Name", "Description", "EmailAddress", "Immutable")
    return [
        {name: role.get(name) for name in shown}
        for role in rows(world)[ROLES]
        if row["Id"] in role["Identities"]
    ]


def _provider(_: World, row: Json) -> Json:
    scheme = row.get("ProviderAuthenticationScheme") or "System"
    number = _SYSTEM if scheme == "System" else str(uuid5(NAMESPACE_URL, scheme))
    return {"Id": number, "AuthenticationScheme": scheme, "DisplayName": scheme}


WRITES: Final[Mapping[str, Callable[[Write], Json]]] = {ROLES: _role}
VALUES: Final[Mapping[str, Callable[[World, Json], object]]] = {
    "role_claims": _members("Claims"),
    "role_claims_count": lambda _, row: len(row["Claims"]),
    "role_identities": _members("Identities"),
    "role_permissions": _legacy,
    "identity_roles": _roles_of,
    "claim_provider": _provider,
}

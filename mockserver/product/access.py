"""Who is calling, and what they may do."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mockserver.base.masking import Secret
from mockserver.base.problems import Code, Problem
from mockserver.http.wire import basic_credentials, readings
from mockserver.journal.trace import Permission, Trace
from mockserver.world.model import User, World

CHALLENGE: Final = 'Basic realm="Keyfactor Command", Bearer'
BAD_BEARER: Final = 'Bearer error="invalid_token"'  # RFC 6750, 3

CheckToken = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True)
class Identity:
    """One caller, with the permissions that its roles hold."""

    name: str
    permissions: tuple[str, ...]


def authenticate(world: World, authorization: str | None, check_token: CheckToken) -> Identity:
    """Return the caller that an `Authorization` header names; Problem 401 when there is none.

    `check_token` returns the claims of a good token of this API, and raises ValueError for others.
    """
    if authorization is None:
        raise _unauthorized("there is no header Authorization")
    scheme, _, credentials = authorization.partition(" ")
    known = _SCHEMES.get(scheme.lower())
    if known is None:
        # Not what stands there: without a scheme it is the secret itself.
        raise _unauthorized("the scheme of Authorization is neither Basic nor Bearer")
    return known(world, credentials.strip(), check_token)


def _user(world: World, credentials: str, _: CheckToken) -> Identity:
    try:
        name, password = basic_credentials(credentials)
    except ValueError as error:
        raise _unauthorized(str(error)) from None
    user = next(filter(None, map(world.user, readings(name))), None)
    # An unknown user costs the same comparison as a wrong password.
    expected = user.password if user else Secret("?")
    if not expected.is_one_of(readings(password)) or user is None:
        raise _unauthorized("unknown user, or wrong password")
    return identity_of(world, user)


def _client(world: World, credentials: str, check_token: CheckToken) -> Identity:
    try:
        claims = check_token(credentials)
    except ValueError as error:
        raise _unauthorized(f"the Bearer token: {error}", BAD_BEARER) from None
    if world.api_audiences and claims["aud"] not in world.api_audiences:
        text = "the Bearer token: its audience is none of the world's api_audiences"
        raise _unauthorized(text, BAD_BEARER)
    name = claims["sub"]
    client = world.oauth_client(name)
    if client is None:
        raise _unauthorized("the Bearer token: its client is unknown", BAD_BEARER)
    return Identity(name, held(world, client.roles))


_SCHEMES: Final = {"basic": _user, "bearer": _client}


def require(identity: Identity, permissions: Sequence[str], trace: Trace) -> None:
    """Let a caller pass that holds every permission, record the decision; Problem 403 otherwise.

    A held permission covers each one that starts with it (observed; see the fidelity table).
    """
    missing = [wanted for wanted in permissions if not covers(identity, wanted)]
    trace.permission = Permission(tuple(permissions), identity.permissions, not missing)
    if missing:
        raise _forbidden(identity, missing)


def require_a_role(identity: Identity, trace: Trace) -> None:
    """Let a caller pass that holds any permission; record a refusal, Problem 403."""
    if not identity.permissions:
        trace.permission = Permission((), (), granted=False)
        raise _forbidden(identity, ())


def _forbidden(identity: Identity, missing: Sequence[str]) -> Problem:
    # Both texts are observed: one for a caller without any role, one for the others.
    if identity.permissions:
        text = f"does not have the required permissions: {', '.join(missing)}."
    else:
        text = "doesn't have the required permission"
    return Problem(403, Code.FORBIDDEN, f"User {identity.name} {text}")


def identity_of(world: World, user: User) -> Identity:
    """Return the identity of a user, with the permissions of all its roles."""
    return Identity(f"{user.domain}\\{user.name}", held(world, user.roles))


def held(world: World, roles: Iterable[str]) -> tuple[str, ...]:
    """Return the permissions that some roles hold together."""
    return tuple(dict.fromkeys(permission for role in roles for permission in world.roles[role]))


def covers(identity: Identity, wanted: str) -> bool:
    """Say whether a permission that the caller holds covers the wanted one."""
    return any(_plural(wanted).startswith(_plural(held)) for held in identity.permissions)


def reaches(identity: Identity, template: str) -> bool:
    """Say whether the caller holds what covers a permission for some values of its parameters."""
    some = re.compile(re.sub(r"\\{[^/]*\\}", "[^/]+", re.escape(_plural(template))))
    return covers(identity, template) or any(
        some.fullmatch(_plural(held)) for held in identity.permissions
    )


def _plural(permission: str) -> str:
    # The page of POST /SMTP/Test has the singular, the product's list of permissions the plural.
    return permission.replace("/system_setting/", "/system_settings/")


def _unauthorized(reason: str, challenge: str = CHALLENGE) -> Problem:
    return Problem(401, Code.UNAUTHORIZED, reason, {"WWW-Authenticate": challenge})

"""Who is calling, and what they may do."""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mockserver.journal import Trace
from mockserver.problems import Code, Problem
from mockserver.world import User, World

CHALLENGE: Final = 'Basic realm="Keyfactor Command", Bearer'


@dataclass(frozen=True)
class Identity:
    """One caller, with the permissions that its roles hold."""

    name: str
    permissions: tuple[str, ...]


def authenticate(world: World, authorization: str | None) -> Identity:
    """Return the caller that an `Authorization` header names; Problem 401 when there is none."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        raise _unauthorized(f"no credentials of a known scheme, but {scheme!r}")
    name, password = _basic(credentials.strip())
    user = world.user(name)
    # An unknown user costs the same comparison as a wrong password.
    expected = user.password.reveal() if user else password + "?"
    if not hmac.compare_digest(expected.encode(), password.encode()) or user is None:
        raise _unauthorized("unknown user, or wrong password")
    return identity_of(world, user)


def require(identity: Identity, permissions: Sequence[str], trace: Trace) -> None:
    """Let a caller pass that holds every permission, record the decision; Problem 403 otherwise.

    A held permission covers each one that starts with it (facts (e.2)).
    """
    missing = [wanted for wanted in permissions if not covers(identity, wanted)]
    trace.permission = {
        "required": list(permissions),
        "held": list(identity.permissions),
        "granted": not missing,
    }
    if not missing:
        return
    # Both texts are observed (facts (f.3)): one for a caller without any role, one for the others.
    if identity.permissions:
        text = f"does not have the required permissions: {', '.join(missing)}."
    else:
        text = "doesn't have the required permission"
    raise Problem(403, Code.FORBIDDEN, f"User {identity.name} {text}")


def _basic(credentials: str) -> tuple[str, str]:
    try:
        name, colon, password = b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _unauthorized("the Basic credentials are not base64 of UTF-8 text") from None
    if not colon:
        raise _unauthorized("the Basic credentials have no colon")
    return name, password


def identity_of(world: World, user: User) -> Identity:
    """Return the identity of a user, with the permissions of all its roles."""
    held = dict.fromkeys(permission for role in user.roles for permission in world.roles[role])
    return Identity(name=f"{user.domain}\\{user.name}", permissions=tuple(held))


def covers(identity: Identity, wanted: str) -> bool:
    """Say whether a permission that the caller holds covers the wanted one."""
    return any(_plural(wanted).startswith(_plural(held)) for held in identity.permissions)


def _plural(permission: str) -> str:
    # The page of POST /SMTP/Test has the singular, the product's own list the plural (facts (e.2)).
    return permission.replace("/system_setting/", "/system_settings/")


def _unauthorized(reason: str) -> Problem:
    return Problem(401, Code.UNAUTHORIZED, reason, {"WWW-Authenticate": CHALLENGE})

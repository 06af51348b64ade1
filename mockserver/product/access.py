"""Who is calling, and what they may do."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

from mockserver.base.masking import Secret
from mockserver.base.problems import Kind, Problem
from mockserver.base.text import apart
from mockserver.http import wire
from mockserver.journal.trace import Permission, Trace
from mockserver.world import loading as worlds
from mockserver.world.model import OAuthClient, User, World

CHALLENGE: Final = 'Basic realm="Keyfactor Command", Bearer'
_BAD_BEARER: Final = 'Bearer error="invalid_token"'  # RFC 6750, 3

_REMEMBERED: Final = 100  # callers of a world, and decisions on one of them
_LONGEST: Final = 256  # characters of what is remembered: a path has a value of any length

CheckToken = Callable[[str], Mapping[str, Any]]
_Account = TypeVar("_Account", User, OAuthClient)


@dataclass(frozen=True)
class Identity:
    """One caller, with its roles and the permissions that they hold."""

    name: str
    permissions: tuple[str, ...]
    roles: tuple[str, ...] = ()
    _decided: dict[tuple[str, ...], Permission] = field(
        default_factory=dict, repr=False, compare=False
    )

    def decision(self, wanted: tuple[str, ...]) -> Permission:
        """Return whether the caller holds every permission; short questions are remembered."""
        known = self._decided.get(wanted)
        if known is None:
            granted = all(_covers(self.permissions, each) for each in wanted)
            known = Permission(wanted, self.permissions, granted)
            if len(self._decided) < _REMEMBERED and len("".join(wanted)) <= _LONGEST:
                self._decided[wanted] = known
        return known


def authenticate(world: World, header: str | None, check_token: CheckToken) -> Identity:
    """Return the caller that an Authorization header identifies; Problem 401 if it does not.

    `check_token` returns the claims of a valid token for this API, and raises ValueError otherwise.
    """
    if not header:
        raise _unauthorized(f"{'there is no' if header is None else 'empty'} header Authorization")
    scheme, credentials = wire.authorization(header)
    known = _SCHEMES.get(scheme)
    if known is None:
        # The scheme is not quoted: where a client forgot it, the secret stands in its place.
        raise _unauthorized("the scheme of Authorization is neither Basic nor Bearer")
    return known(world, credentials, check_token)


def _user(world: World, credentials: str, _: CheckToken) -> Identity:
    if (known := world.callers.get(credentials)) is None:
        known = _checked(world, credentials)
        if len(world.callers) < _REMEMBERED:
            world.callers[credentials] = known
    return cast("Identity", known)


def _checked(world: World, credentials: str) -> Identity:
    try:
        name, password = wire.basic_credentials(credentials)
    except ValueError as error:
        raise _unauthorized(str(error)) from None
    user = next(filter(None, map(world.user, wire.readings(name))), None)
    # An unknown user takes as long as a wrong password.
    expected = user.password if user else Secret("?")
    if not expected.is_one_of(wire.readings(password)) or user is None:
        raise _unauthorized("unknown user, or wrong password")
    return identity_of(world, user)


def _client(world: World, credentials: str, check_token: CheckToken) -> Identity:
    try:
        claims = check_token(credentials)
    except ValueError as error:
        raise _unauthorized(f"the Bearer token: {error}", _BAD_BEARER) from None
    if world.api_audiences and claims["aud"] not in world.api_audiences:
        text = "the Bearer token: its audience is none of the world's api_audiences"
        raise _unauthorized(text, _BAD_BEARER)
    name = claims["sub"]
    client = world.oauth_client(name)
    if client is None:
        raise _unauthorized("the Bearer token: its client is unknown", _BAD_BEARER)
    return Identity(name, _held(world, client.roles), tuple(client.roles))


_SCHEMES: Final = {"basic": _user, "bearer": _client}


def require(identity: Identity, permissions: Sequence[str], trace: Trace) -> None:
    """Record whether the caller holds every permission; Problem 403 if not."""
    trace.permission = identity.decision(tuple(permissions))
    if not trace.permission.granted:
        missing = [wanted for wanted in permissions if not _covers(identity.permissions, wanted)]
        raise _forbidden(identity, missing)


def require_a_role(identity: Identity, trace: Trace) -> None:
    """Refuse a caller without any permission by Problem 403, and record that."""
    if not identity.permissions:
        trace.permission = Permission((), (), granted=False)
        raise _forbidden(identity, ())


def require_one_of(identity: Identity, roles: Iterable[str], what: str, trace: Trace) -> None:
    """Refuse a caller that has none of the roles that may use something, by Problem 403."""
    if not {*identity.roles} & {*roles}:
        wanted = f"a role of the {what}"
        trace.permission = Permission((wanted,), identity.permissions, granted=False)
        raise _forbidden(identity, [wanted])


def _forbidden(identity: Identity, missing: Sequence[str]) -> Problem:
    # Both texts are observed, the one below for a caller without any role.
    if identity.permissions:
        text = f"does not have the required permissions: {', '.join(missing)}."
    else:
        text = "doesn't have the required permission"
    return Problem(Kind.PERMISSION, f"User {identity.name} {text}")


def identity_of(world: World, user: User) -> Identity:
    """Return the identity of a user, with the permissions of all its roles."""
    return Identity(user.account, _held(world, user.roles), tuple(user.roles))


def _held(world: World, roles: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(permission for role in roles for permission in world.roles[role]))


def first_permitted(
    world: World, accounts: Iterable[_Account], permissions: Sequence[str]
) -> _Account | None:
    """Return the first of the users or clients whose roles cover every permission."""
    for account in accounts:
        if may(Identity("", _held(world, account.roles)), permissions):
            return account
    return None


def shown_account(world: World, permissions: Sequence[str]) -> tuple[str, str | None] | None:
    """Return a user that may do this, and its password if that is the default world's."""
    user = first_permitted(world, world.users.values(), permissions)
    if user is None:
        return None
    known = user in worlds.load().users.values()
    return identity_of(world, user).name, user.password.reveal() if known else None


def may(identity: Identity, permissions: Iterable[str]) -> bool:
    """Say whether the permissions that the caller holds cover all of these."""
    return identity.decision(tuple(permissions)).granted


def _covers(held: Iterable[str], wanted: str) -> bool:
    # A permission covers each one that it is the beginning of (observed; see the fidelity table).
    return any(_normal(wanted).startswith(_normal(each)) for each in held)


def reaches(identity: Identity, template: str) -> bool:
    """Say whether the caller may use an operation for some value of its path parameters at least.

    `template` is the operation's permission, such as `/pam/read/{id}/`.
    """
    some = re.compile(re.sub(r"\\{[^/]*\\}", "[^/]+", re.escape(_normal(template))))
    return _covers(identity.permissions, template) or any(
        some.fullmatch(_normal(held)) for held in identity.permissions
    )


@lru_cache(maxsize=1_024)
def _normal(permission: str) -> str:
    if len(permission) > _LONGEST:
        _normal.cache_clear()  # of such at most one is remembered
    # The page of POST /SMTP/Test has the singular, the product's list of permissions the plural.
    permission = renewed(permission)
    return permission.replace("/system_setting/", "/system_settings/")


def renewed(permission: str) -> str:
    """Return a permission as a path, also one of release 9: `SystemSettings: Modify`."""
    if ":" not in permission:
        return permission
    words = [_FORMER.get(word.lower(), word) for word in re.split(": ?", permission)]
    return f"/{'/'.join(apart(word, '_') for word in words)}/".lower()


_FORMER: Final = {"privilegedaccessmanagement": "pam"}


def _unauthorized(reason: str, challenge: str = CHALLENGE) -> Problem:
    return Problem(Kind.UNAUTHORIZED, reason, {"WWW-Authenticate": challenge})

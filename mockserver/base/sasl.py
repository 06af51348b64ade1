"""The mechanisms of SMTP AUTH, as a client writes them and as a server reads them.

One more is an entry here, and its name in the schema of a world. They are in the base because
worlds offer them, filters know their names, and both ends of a mail speak them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

_SCOPE: Final = "smtp.send"  # what a challenge names, as in the default world

_PLAIN: Final = re.compile(rb"[^\0]*\0([^\0]*)\0([^\0]*)")  # RFC 4616, 2
# Google's XOAUTH2 protocol, "Initial Client Response"
_XOAUTH2: Final = re.compile(rb"user=([^\x01]+)\x01auth=Bearer +([!-~]+)\x01\x01", re.IGNORECASE)
# RFC 7628, 3.1: a gs2-header, then pairs. A response without a user, or without a token (4.3), is
# well-formed all the same.
_OAUTHBEARER: Final = re.compile(
    rb"[ny],(?:a=([^,\x01]+))?,\x01(?:(?!auth=)[a-z]+=[^\x01]*\x01)*"
    rb"auth=(?:Bearer +([!-~]+))?\x01(?:[a-z]+=[^\x01]*\x01)*\x01",
    re.IGNORECASE,
)


class _Mechanism(NamedTuple):
    """One way to log in.

    `write` makes the client's responses of a user name, a password or token, and the server's host
    and port. `read` gets these responses on the server, each asked for with one of `prompts`; it
    returns user name and password or token, or None if they are malformed.

    With a mechanism for tokens, a server says why it refuses one before it does so: `challenge`
    gives the members of that JSON object, for the discovery URL of the identity provider if there
    is one, and `dismissal` is what the client answers.
    """

    write: Callable[[str, str, str, int], tuple[str, ...]]
    read: Callable[..., tuple[bytes, bytes] | None]
    prompts: tuple[bytes, ...] = (b"",)
    challenge: Callable[[str | None], Mapping[str, str]] | None = None
    dismissal: bytes = b""

    @property
    def by_token(self) -> bool:
        """Tell whether a token proves the user name, and not a password."""
        return self.challenge is not None


def _read_oauthbearer(response: bytes) -> tuple[bytes, bytes] | None:
    if (groups := _groups(_OAUTHBEARER.fullmatch(response))) is None:
        return None
    name, token = groups
    return name.replace(b"=2C", b",").replace(b"=3D", b"="), token


def _groups(found: re.Match[bytes] | None) -> tuple[bytes, bytes] | None:
    return (found[1] or b"", found[2] or b"") if found else None


def _write_oauthbearer(name: str, token: str, host: str, port: int) -> tuple[str]:
    # RFC 5801, 4: a comma and an equals sign have a meaning in the header before the pairs.
    name = name.replace("=", "=3D").replace(",", "=2C")
    return (f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01",)


def _challenge_oauthbearer(discovery_url: str | None) -> Mapping[str, str]:  # RFC 7628, 3.2.2
    facts = {"status": "invalid_token", "scope": _SCOPE}
    return facts | ({"openid-configuration": discovery_url} if discovery_url else {})


# In the order in which servers offer them and clients prefer them: PLAIN needs one step, LOGIN two.
MECHANISMS: Final[Mapping[str, _Mechanism]] = {
    "PLAIN": _Mechanism(
        lambda name, password, *_: (f"\0{name}\0{password}",),
        lambda response: _groups(_PLAIN.fullmatch(response)),
    ),
    "LOGIN": _Mechanism(
        lambda name, password, *_: (name, password),
        lambda name, password: (name, password),
        prompts=(b"Username:", b"Password:"),
    ),
    "XOAUTH2": _Mechanism(
        lambda name, token, *_: (f"user={name}\x01auth=Bearer {token}\x01\x01",),
        lambda response: _groups(_XOAUTH2.fullmatch(response)),
        challenge=lambda _: {"status": "401", "schemes": "bearer", "scope": _SCOPE},
    ),
    "OAUTHBEARER": _Mechanism(
        _write_oauthbearer,
        _read_oauthbearer,
        challenge=_challenge_oauthbearer,
        dismissal=b"\x01",  # RFC 7628, 3.2.3
    ),
}

"""What stands behind MAIL and RCPT: paths and parameters (RFC 5321, 4.1.2)."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from mockserver.mail.part import RefusedError

Parameters = Mapping[str, str]

# RFC 5321, 4.1.2: a mailbox is kept as it is, a quoted local part too. The source route before it
# is accepted and ignored (4.1.1.3 and appendix C).
_PATH: Final = re.compile(
    r"<(?:>|(?:@[^<>@,:\x00-\x20\x7f]+(?:,@[^<>@,:\x00-\x20\x7f]+)*:)?+"
    r'((?:"(?:[^"\\\x00-\x1f\x7f]|\\.)*"|[^<>"\x00-\x20\x7f])+)>)(?: +(.*))?',
    re.ASCII,
)
_XTEXT: Final = r"=(?:[!-*,-<>-~]|\+[0-9A-F]{2})+"  # RFC 3461, 4
# Each parameter of MAIL: the keyword of EHLO that offers it, and how it is written.
_PARAMETERS: Final = {
    "SIZE": ("SIZE", re.compile(r"=[0-9]{1,20}")),  # RFC 1870, 3
    "BODY": ("8BITMIME", re.compile(r"=(?:7BIT|8BITMIME)", re.IGNORECASE)),  # RFC 6152, 2
    "SMTPUTF8": ("SMTPUTF8", re.compile("")),  # RFC 6531, 3.4
    # RFC 4954, 5: a mailbox as xtext (RFC 3461, 4), or `<>`.
    "AUTH": ("AUTH", re.compile(_XTEXT)),
    "RET": ("DSN", re.compile(r"=(?:FULL|HDRS)", re.IGNORECASE)),  # RFC 3461, 4.3
    "ENVID": ("DSN", re.compile(_XTEXT)),  # RFC 3461, 4.4
}
_WHEN: Final = "(?:SUCCESS|FAILURE|DELAY)"
# And those of RCPT.
_OF_RCPT: Final = {
    # RFC 3461, 4.1 and 4.2
    "NOTIFY": ("DSN", re.compile(rf"=(?:NEVER|{_WHEN}(?:,{_WHEN})*)", re.IGNORECASE)),
    "ORCPT": ("DSN", re.compile(r"=[A-Za-z0-9-]+;" + _XTEXT.removeprefix("="))),
}


def read_path(keyword: str, argument: str) -> tuple[str, str]:
    """Return the mailbox of a path, empty for the null path, and what follows."""
    if argument[: len(keyword)].upper() != keyword:
        raise RefusedError(f"501 5.5.4 Syntax: {keyword}<address>")
    found = _PATH.fullmatch(argument[len(keyword) :].lstrip())
    if found is None:
        raise RefusedError("553 5.1.3 Malformed address")
    mailbox, words = found.groups(default="")
    return mailbox, words


def read_parameters(words: str, features: Iterable[str], *, of_rcpt: bool = False) -> Parameters:
    """Read parameters (RFC 5321, 4.1.1.11): each once, and one that these lines of EHLO offer."""
    parameters: dict[str, str] = {}
    if not words:
        return parameters
    known = _OF_RCPT if of_rcpt else _PARAMETERS
    offered = {line.partition(" ")[0] for line in features}
    for word in words.split():
        name = word.partition("=")[0].upper()
        value = word[len(name) :]
        keyword, form = known.get(name, ("", re.compile("")))
        if keyword not in offered:
            raise RefusedError("555 5.5.4 A parameter that is not offered")
        if name in parameters or not form.fullmatch(value):
            raise RefusedError(f"501 5.5.4 {name} is malformed, or stands twice")
        parameters[name] = value.removeprefix("=")
    return parameters


def check_address(address: str, *, utf8: bool) -> None:
    """Refuse an address that needs SMTPUTF8, unless the client asked for that."""
    try:
        address.encode()
    except UnicodeEncodeError:
        raise RefusedError("553 5.6.7 Address is not UTF-8") from None
    if not utf8 and not address.isascii():
        raise RefusedError("553 5.6.7 Address needs SMTPUTF8")  # RFC 6531, 3.5

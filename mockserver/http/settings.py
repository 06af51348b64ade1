"""What a mock is started with, as it goes on the wire: its host, base path and control token."""

import re
from typing import Final

from mockserver.base.text import host_name

_BASE_PATH: Final = re.compile(r"(?:/(?![.]{1,2}(?:/|$))[^/?#%\\\x00-\x1f\x7f]+)+")
_TOKEN: Final = re.compile(r"[!-~]+(?: +[!-~]+)*")


class SettingError(Exception):
    """An option cannot be used."""


def read_host(text: str) -> str:
    """Return a host as sockets take it: in lower case, an IPv6 address without brackets."""
    try:
        host = host_name(text).removeprefix("[").removesuffix("]")
    except ValueError:
        raise SettingError(f"the host {text!r} is neither a name nor an address") from None
    if not host:
        raise SettingError("the host is empty; 0.0.0.0 stands for every address of this machine")
    return host


def read_base_path(text: str, reserved: str) -> str:
    """Return a path with a slash before it and none after it; its first name is not `reserved`."""
    path = "/" + text.strip("/")
    if not _BASE_PATH.fullmatch(path) or path.lower().split("/")[1] == reserved.strip("/"):
        what = f"without ? # % \\ or what is not visible, and not below {reserved}"
        raise SettingError(f"the base path {text!r} is not one such as /KeyfactorAPI, {what}")
    return path


def read_token(text: str | None) -> str | None:
    """Return a control token that a header can have, None where there is none."""
    if text is not None and not _TOKEN.fullmatch(text):
        what = "visible characters of ASCII, and blanks between them"
        raise SettingError(f"the control token is not one that a header can have: {what}")
    return text

"""A mock Keyfactor Command server for contract tests."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from mockserver.base.version import __version__

if TYPE_CHECKING:
    from mockserver.base.problems import Problem
    from mockserver.base.sockets import BindError
    from mockserver.http.settings import SettingError
    from mockserver.journal.assertions import View
    from mockserver.journal.message import Message
    from mockserver.journal.outside import SmtpSession, TokenCall
    from mockserver.journal.trace import Exchange, TokenRequest
    from mockserver.server import MockServer
    from mockserver.world.model import World
    from mockserver.world.reading import WorldError

__all__ = [
    "BindError",
    "Exchange",
    "Message",
    "MockServer",
    "Problem",
    "SettingError",
    "SmtpSession",
    "TokenCall",
    "TokenRequest",
    "View",
    "World",
    "WorldError",
    "__version__",
]

_HOMES: Final = {
    "base.problems": ("Problem",),
    "base.sockets": ("BindError",),
    "http.settings": ("SettingError",),
    "server": ("MockServer",),
    "journal.message": ("Message",),
    "journal.trace": ("Exchange", "TokenRequest"),
    "journal.outside": ("SmtpSession", "TokenCall"),
    "journal.assertions": ("View",),
    "world.model": ("World",),
    "world.reading": ("WorldError",),
}


def __getattr__(name: str) -> object:
    # A test session that imports the package, but starts no mock, pays for none of it.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"mockserver.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

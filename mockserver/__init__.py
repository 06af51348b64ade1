"""A mock Keyfactor Command server for contract tests."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mockserver.problems import Problem
    from mockserver.server import BindError, MockServer, SettingError
    from mockserver.trace import Exchange, Message, TokenRequest
    from mockserver.view import View
    from mockserver.world import World, WorldError

__all__ = [
    "BindError",
    "Exchange",
    "Message",
    "MockServer",
    "Problem",
    "SettingError",
    "TokenRequest",
    "View",
    "World",
    "WorldError",
    "__version__",
]
__version__ = "0.1.0"

_HOMES: Final = {
    "problems": ("Problem",),
    "server": ("BindError", "MockServer", "SettingError"),
    "trace": ("Exchange", "Message", "TokenRequest"),
    "view": ("View",),
    "world": ("World", "WorldError"),
}


def __getattr__(name: str) -> object:
    # A test session that imports the package, but starts no mock, pays for none of it.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"mockserver.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A mock Keyfactor Command server for contract tests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockserver.server import MockServer

__all__ = ["MockServer", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # A test session that imports the package, but starts no mock, pays for none of it.
    if name == "MockServer":
        from mockserver.server import MockServer  # noqa: PLC0415  # see above

        return MockServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

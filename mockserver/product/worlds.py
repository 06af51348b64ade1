"""Worlds that the mock can play: their edition, faults and objects are those of the documents."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from mockserver.base.documents import DocumentError
from mockserver.contract.editions import Editions, load_editions
from mockserver.product.api_faults import check_names
from mockserver.product.resources import check_paths
from mockserver.world.loading import load, patched
from mockserver.world.model import World
from mockserver.world.reading import WorldError


def load_world(
    source: str | PathLike[str] | Mapping[str, Any] | None,
    editions: Editions | None = None,
    edition: str | None = None,
) -> World:
    """Load a world, in another edition if wanted; WorldError, also for a fault of no operation."""
    loaded = load(source)
    editions = editions or load_editions()
    if edition is not None:
        loaded = patched(loaded, {"edition": editions[edition].name})
    name = "world" if source is None or isinstance(source, Mapping) else str(source)
    check_world(loaded, editions, name)
    return loaded


def check_world(world: World, editions: Editions, source: str) -> None:
    """Raise WorldError for a world that names what the documents do not have."""
    operations = editions.newest.contract.operations
    try:
        _ = editions[world.edition]
    except DocumentError as error:
        raise WorldError(source, [("/edition", str(error))]) from None
    check_names(world, operations, source)
    check_paths(world, operations, source)

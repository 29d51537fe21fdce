"""What a workspace searches knowledge with: the embedder a base was indexed with, and its index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from waremill.app.embedding import embedding
from waremill.errors import ConfigError, Conflict
from waremill.knowledge.embedding import Embedder, local_names, open_local
from waremill.knowledge.index import Index
from waremill.store.database import Database

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace
    from waremill.store.knowledge import Base

INDEXES = ".waremill/index"
_INDEXES: WeakKeyDictionary[Database, dict[tuple[Path, int], Index]] = WeakKeyDictionary()


@asynccontextmanager
async def embedder_of(workspace: Workspace, base: Base) -> AsyncIterator[Embedder]:
    """Give the embedder a base's index was made with, which the settings may name no more.

    Raises Conflict where it is not to be had any more.
    """
    async with embedding(workspace, base.team_id) as chosen:
        if base.embedder in (None, chosen.identity):
            yield chosen
            return
    async with embedding(workspace, base.team_id, _local_of(base)) as former:
        yield former


def _local_of(base: Base) -> str:
    """Give the name of the local embedder of a base's index."""
    for name in local_names():
        with suppress(ConfigError):
            if open_local(name).identity == base.embedder:
                return name
    raise Conflict(
        f"the knowledge base “{base.name}” was indexed with {base.embedder}, which is not here any "
        f"more: `waremill knowledge rebuild {base.name}` makes its index anew"
    )


def open_index(workspace: Workspace, base: Base, embedder: Embedder) -> Index:
    """Give a base's index, opened once for all who act in a workspace."""
    opened = _INDEXES.setdefault(workspace.database, {})
    key = (index_folder(workspace, base), embedder.dimensions)
    if key not in opened:
        opened[key] = Index.open(*key)
    return opened[key]


def index_folder(workspace: Workspace, base: Base) -> Path:
    """Give the folder of a base's index."""
    return workspace.settings.root / INDEXES / base.name

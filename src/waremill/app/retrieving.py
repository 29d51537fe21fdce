"""Other libraries' retrievers as knowledge bases: named in `waremill.toml`, searched like our own.

They belong to no team. What they hold is theirs: it has no documents to list, and no version, so
that a change in it makes no item anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from waremill.domain import Passage, Search
from waremill.errors import SourceError, WaremillError
from waremill.tools.adapters.opening import open_retriever

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

_opened = lru_cache(maxsize=64)(open_retriever)


def retriever_of(
    workspace: Workspace, name: str
) -> Callable[[Search], Awaitable[Sequence[Passage]]] | None:
    """Give the retriever the settings name as a knowledge base; None where they name none.

    Searching raises SourceError where the retriever fails.
    """
    path = workspace.settings.knowledge.retrievers.get(name)
    if path is None:
        return None
    workspace.actor.need_somewhere("viewer", f"the knowledge base “{name}”")
    found = _opened(path)

    async def search(wanted: Search) -> Sequence[Passage]:
        try:
            return await found(wanted)
        except WaremillError:
            raise
        except Exception as error:
            raise SourceError(
                f"the retriever “{name}” failed: {type(error).__name__}: {error}"[:500]
            ) from error

    return search


def retriever_version(workspace: Workspace, name: str) -> str | None:
    """Give what stands for the version of a retriever; None where the settings name none."""
    path = workspace.settings.knowledge.retrievers.get(name)
    return None if path is None else f"retriever {path}"


__all__ = ["retriever_of", "retriever_version"]

"""LlamaIndex's retrievers as knowledge bases.

LlamaIndex is no dependency of ours; this file is imported where a retriever of its is at hand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from waremill.domain import Passage, Search
from waremill.errors import ConfigError
from waremill.tools.adapters.passages import fits, passage_of


def retriever_from(found: Any) -> Callable[[Search], Awaitable[Sequence[Passage]]]:
    """Make a knowledge base of a retriever, or of an index by its `as_retriever`.

    What the search's `where` bounds is compared with the nodes' metadata afterwards.
    """
    from llama_index.core.indices.base import BaseIndex
    from llama_index.core.retrievers import BaseRetriever

    retriever = found.as_retriever() if isinstance(found, BaseIndex) else found
    if not isinstance(retriever, BaseRetriever):
        raise ConfigError(f"a {type(found).__name__} of LlamaIndex is no retriever")

    async def search(wanted: Search) -> Sequence[Passage]:
        nodes = await retriever.aretrieve(wanted.query)
        passages = [
            passage_of(one.get_content(), one.metadata, place, one.score)
            for place, one in enumerate(nodes)
        ]
        return [one for one in passages if fits(one, wanted.where)][: wanted.top]

    return search

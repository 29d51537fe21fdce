"""Hybrid search: by words and by meaning, the two rankings fused.

Fusion is by reciprocal ranks (Cormack, Clarke, Büttcher 2009, “Reciprocal rank fusion outperforms
Condorcet and individual rank learning methods”, SIGIR). It needs no scores of one scale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from waremill.domain import Passage
from waremill.knowledge.embedding import Embedder
from waremill.knowledge.index import Bounds, Index, Ranked

if TYPE_CHECKING:
    from waremill.knowledge.embedding import Vectors

CANDIDATES = 100
"""How many passages each of the two rankings brings, at least."""
K = 5
BY_WORDS, BY_VECTOR = 1.0, 0.7
"""The constant of reciprocal rank fusion, and what each ranking weighs: chosen once for all sets of
docs/benchmarks.md, which has the neighbouring values too. The paper's 60 is for many rankings that
are equally good; of two, a small one lets the first places count."""

Rerank: TypeAlias = Callable[[str, Sequence[Passage]], Awaitable[Sequence[float]]]
"""Scores passages for a query, higher is better: a cross-encoder, a hosted reranker."""


async def search(index: Index, embedder: Embedder, query: str, top: int, bounds: Bounds) -> Ranked:
    """Give the ids of the passages that answer a query best, with their fused scores.

    The same index and query give the same list; what is equal stands in the ids' order.
    """
    if not query.strip() or top < 1:
        return []
    most = max(CANDIDATES, 4 * top)
    lexical, semantic = await asyncio.gather(
        index.by_words(query, most, bounds), _semantic(index, embedder, query, most, bounds)
    )
    return fuse(((lexical, BY_WORDS), (semantic, BY_VECTOR)))[:top]


async def _semantic(
    index: Index, embedder: Embedder, query: str, most: int, bounds: Bounds
) -> Ranked:
    vectors: Vectors = await embedder.embed([query], "query")
    return await index.by_vector(vectors[0], most, bounds)


def fuse(rankings: Sequence[tuple[Ranked, float]], k: int = K) -> Ranked:
    """Fuse rankings, each with its weight: the sum of weight / (k + rank) over those with the id.

    Passages of one score share a rank, so that it does not depend on how ties are broken.
    """
    total: dict[str, float] = {}
    for ranking, weight in rankings:
        rank, last = 0, float("nan")
        for place, (id_, score) in enumerate(ranking, 1):
            if score != last:
                rank, last = place, score
            total[id_] = total.get(id_, 0.0) + weight / (k + rank)
    return sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))


async def rerank(query: str, passages: Sequence[Passage], by: Rerank) -> list[Passage]:
    """Order passages anew by a reranker's scores; equal ones keep their order."""
    scores = await by(query, passages)
    order = sorted(range(len(passages)), key=lambda place: -scores[place])
    return [passages[place] for place in order]

"""Rankings are fused by their ranks; equal scores share one."""

from __future__ import annotations

import pytest
from tests.knowledge.bagging import Bag

from waremill.domain import Passage
from waremill.knowledge.embedding import in_batches, local_names, open_local, text_of
from waremill.knowledge.searching import fuse, rerank


def test_what_both_rankings_have_comes_first() -> None:
    fused = fuse((([("a", 9.0), ("b", 8.0)], 1.0), ([("c", 0.9), ("b", 0.8)], 1.0)))
    assert [one for one, _ in fused] == ["b", "a", "c"]
    assert fused[0][1] == pytest.approx(2 / 7)


def test_equal_scores_share_a_rank() -> None:
    fused = dict(fuse((([("a", 1.0), ("b", 1.0), ("c", 0.5)], 1.0),)))
    assert fused["a"] == fused["b"] == pytest.approx(1 / 6)
    assert fused["c"] == pytest.approx(1 / 8)


def test_a_weight_counts() -> None:
    fused = fuse((([("a", 1.0)], 0.5), ([("b", 1.0)], 1.0)))
    assert [one for one, _ in fused] == ["b", "a"]


async def test_a_reranker_orders_anew_and_keeps_ties() -> None:
    passages = [Passage(one, "d", one) for one in ("a", "b", "c")]

    async def by(query: str, given: object) -> list[float]:
        assert query == "why"
        return [0.0, 1.0, 1.0]

    assert [one.id for one in await rerank("why", passages, by)] == ["b", "c", "a"]


def test_a_passage_is_written_under_its_headings_once() -> None:
    assert text_of("TV", ("TV", "Sound"), "Turn it up.") == "TV\nSound\nTurn it up."
    assert text_of("TV", (), "TV. Turn it up.") == "TV. Turn it up."
    assert text_of("", (), "Text") == "Text"


def test_batches_are_bounded_and_hold_every_text_once() -> None:
    texts = ["a" * size for size in (500, 3, 90, 90, 2, 1000)]
    batches = list(in_batches(texts, 3, 200))
    assert sorted(place for batch in batches for place in batch) == list(range(6))
    assert all(len(batch) <= 3 for batch in batches)
    assert all(len(batch) == 1 or sum(len(texts[p]) for p in batch) <= 200 for batch in batches)


@pytest.mark.model
@pytest.mark.parametrize("name", local_names())
async def test_a_local_model_knows_what_belongs_together(name: str) -> None:
    """Across languages too; rows are of unit length, and one text does not change another's."""
    embedder = open_local(name)
    try:
        passages = ["How to return shoes that are too small", "如何退回太小的鞋子", "Cake recipe"]
        rows = await embedder.embed(passages, "passage")
        (query,) = await embedder.embed(["Schuhe passen nicht, zurückschicken"], "query")
        assert rows.shape == (3, embedder.dimensions)
        assert [float((row @ row).round(3)) for row in rows] == [1.0, 1.0, 1.0]
        scores = rows @ query
        assert min(scores[0], scores[1]) > scores[2]
        alone = await embedder.embed([passages[0]], "passage")
        assert float(alone[0] @ rows[0]) > 0.999
        odd = await embedder.embed(["", "a\x00b", "\ud800"], "passage")
        assert odd.shape == (3, embedder.dimensions)
    finally:
        await embedder.aclose()


async def test_the_tests_own_embedder_gives_unit_vectors() -> None:
    rows = await Bag().embed(["", "a b"], "query")
    assert [round(float(row @ row), 5) for row in rows] == [1.0, 1.0]

"""What a result was given of the shop's knowledge, read from its provenance and its item."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.app.test_knowledge_in_runs import calm, run, shop, stocked

import waremill as package
from waremill.app.acting import Actor
from waremill.app.browsing import Browse
from waremill.app.knowing import remove_documents
from waremill.app.knowing.given import given_in, passages_seen
from waremill.app.reviewing import ReviewDesk
from waremill.errors import NotFound

__all__ = ["calm", "shop", "stocked"]


def verdict(sentence: str, kind: str, source: str = "", **more: object) -> dict[str, object]:
    return {"field": "body", "sentence": sentence, "verdict": kind, "source": source,
            "score": 0.6, "place": "", **more}  # fmt: skip


def test_sentences_are_numbered_by_the_passage_they_stand_on() -> None:
    place = {"knowledge": "guides", "document": "a.md", "score": 0.1}
    given = given_in(
        {
            "passages": [
                {**place, "id": "a", "place": "A"}, {**place, "id": "b", "place": "B"},
                {**place, "id": "a", "place": "A"},
            ],
            "grounded": [
                verdict("One.", "supported", "b"), verdict("Two.", "supported", "product"),
                verdict("Three.", "unsupported", missing=["1987"]),
                verdict("Four.", "weak", "gone"),
            ],
            "agreement": {"fields": {"body": 0.667}, "of": 3},
        }
    )  # fmt: skip
    assert [(one.number, one.id) for one in given.passages] == [(1, "a"), (2, "b")]
    assert [(one.passage, one.on_product) for one in given.of_field("body")] == [
        (2, False), (None, True), (None, False), (None, False),
    ]  # fmt: skip
    assert given.sentences[2].missing == ("1987",)
    assert (given.agreement, given.votes) == ({"body": 0.667}, 3)


@pytest.mark.parametrize("provenance", [{}, {"passages": None, "grounded": [], "agreement": None}])
def test_a_result_without_knowledge_was_given_nothing(provenance: dict[str, object]) -> None:
    given = given_in(provenance)
    assert not given.passages and not given.sentences and not given.agreement


def test_passages_are_shown_as_they_were_seen_to_the_runs_viewers_alone(shop: Path) -> None:
    asyncio.run(look(shop, run(shop, "--limit", "1")["run"]))


async def look(shop: Path, name: str) -> None:
    async with package.open(shop) as workspace:
        (row,) = (await Browse(workspace).items(name)).rows
        card = await ReviewDesk(workspace).card(name, row.id)
        (given,) = [given_in(one).passages for one in card.provenance.values()]
        (seen,) = (await passages_seen(workspace, name, row.id)).values()
        assert (seen.given, seen.still) == (given[0], True)
        assert "makes scents by hand" in seen.passage.text
        await remove_documents(workspace, "houses", [seen.passage.document])
        (after,) = (await passages_seen(workspace, name, row.id)).values()
        assert (after.passage, after.still) == (seen.passage, False)
        with pytest.raises(NotFound):
            await passages_seen(workspace.acting(Actor("sam", {2: "admin"})), name, row.id)

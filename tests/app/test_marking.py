"""Marking a trial: cards, verdicts, the accuracy they come to, and the gold they become."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.vendor import Vendor
from tests.workspaces import make_workspace, write_sheet

import waremill as library
from waremill.app import Workspace
from waremill.app.acting import Actor
from waremill.app.marking import Marking, TrialCard, TrialField
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound

KIND = """\
name: kind
instruction: Fill in what the notes say.
input:
  - notes: {required: true}
output:
  gender: {values: [women, men, unisex], required: false, write: fill}
"""
COPY = """\
name: copy
instruction: Write a title in {{ language }}.
input:
  - name: {required: true}
  - brand
output:
  title: {type: string, max_chars: 60}
"""
LAUNCH = """\
name: launch
targets: [en-US, de-DE]
steps:
  - generate: {template: kind, per: product, when: notes is not missing}
  - generate: {template: copy}
"""
FILES = {
    "templates/kind.yaml": KIND,
    "templates/copy.yaml": COPY,
    "pipelines/launch.yaml": LAUNCH,
}
ROWS = [
    {"sku": f"P{n}", "name": f"Eau {n}", "brand": "Maison", "notes": f"rose {n}", "shelf": "A1"}
    for n in range(4)
]


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    """A workspace with four products, its vendor answering."""
    async with Vendor() as vendor:
        make_workspace(tmp_path / "shop", vendor.url, files=FILES)
        sheet = write_sheet(tmp_path / "stock.csv", ROWS)
        async with library.open(tmp_path / "shop") as opened:
            await opened.import_catalog([sheet], key="sku")
            yield opened


async def trial(workspace: Workspace, **options: Any) -> str:
    """Work a trial of all products and give its name."""
    return (await workspace.trial("launch", size=4, **options)).status.run


def field(card: TrialCard, name: str) -> TrialField:
    """One field of a card."""
    return next(one for one in card.fields if one.name == name)


async def test_a_card_shows_what_the_templates_read_and_what_was_made(
    workspace: Workspace,
) -> None:
    cards = await Marking(workspace).cards(await trial(workspace))
    assert [card.target for card in cards] == ["en-US", "de-DE"] * 4
    first, second = cards[:2]
    assert set(first.source) == {"name", "brand", "notes"}
    assert set(first.more) == {"sku", "shelf"}
    assert [one.name for one in first.fields] == ["gender", "title"]
    assert field(first, "title").value and field(first, "title").limit == 60
    assert field(first, "gender").choices == ("women", "men", "unisex")
    # What is made once a product is marked once.
    assert [one.name for one in second.fields] == ["title"]


async def test_cards_come_in_pages(workspace: Workspace) -> None:
    run = await trial(workspace)
    marking = Marking(workspace)
    every = await marking.cards(run)
    one = await marking.cards(run, size=1)
    rest = await marking.cards(run, after=one[-1].item_id)
    assert (*one, *rest) == every


async def test_marks_are_the_accuracy_with_its_interval(workspace: Workspace) -> None:
    run = await trial(workspace)
    marking = Marking(workspace)
    empty = await marking.score(run)
    assert (empty.overall.share, empty.overall.low, empty.overall.high) == (None, 0.0, 1.0)
    assert empty.more_for_5_points == 381  # one half is the worst: Wilson's ±5 points need 381
    cards = await marking.cards(run)
    for card in cards[:3]:
        score = await marking.mark(run, card.item_id, "title", "right")
    score = await marking.mark(run, cards[3].item_id, "title", "wrong")
    score = await marking.mark(run, cards[0].item_id, "gender", "corrected", "men")
    assert [(one.field, one.right, one.marked) for one in score.by_field] == [
        ("gender", 0, 1),
        ("title", 3, 4),
    ]
    assert score == await marking.score(run)
    assert (score.overall.right, score.overall.marked) == (3, 5)
    # Wilson's interval of 3 of 5, by hand.
    assert score.overall.low == pytest.approx(0.2307, abs=1e-4)
    assert score.overall.high == pytest.approx(0.8824, abs=1e-4)
    assert score.more_for_5_points > 300


async def test_a_mark_can_be_changed_and_taken_back(workspace: Workspace) -> None:
    run = await trial(workspace)
    marking = Marking(workspace)
    card = (await marking.cards(run))[0]
    await marking.mark(run, card.item_id, "title", "wrong")
    score = await marking.mark(run, card.item_id, "title", "right")
    assert (score.overall.right, score.overall.marked) == (1, 1)
    shown = field((await marking.cards(run))[0], "title").mark
    assert shown is not None
    assert (shown.verdict, shown.value) == ("right", field(card, "title").value)
    score = await marking.unmark(run, card.item_id, "title")
    assert score.overall.marked == 0
    assert (await marking.unmark(run, card.item_id, "title")).overall.marked == 0


async def test_a_correction_that_changes_nothing_means_right(workspace: Workspace) -> None:
    run = await trial(workspace)
    marking = Marking(workspace)
    card = (await marking.cards(run))[0]
    same = field(card, "title").value
    score = await marking.mark(run, card.item_id, "title", "corrected", same)
    assert (score.overall.right, score.overall.marked) == (1, 1)


async def test_what_cannot_be_marked_is_said(workspace: Workspace) -> None:
    run = await trial(workspace)
    marking = Marking(workspace)
    card = (await marking.cards(run))[0]
    with pytest.raises(NotFound):
        await marking.mark(run, card.item_id, "colour", "right")
    with pytest.raises(NotFound):
        await marking.mark(run, card.item_id + 1000, "title", "right")
    with pytest.raises(ConfigError):
        await marking.mark(run, card.item_id, "title", "perhaps")
    status = await workspace.run("launch")
    with pytest.raises(Conflict):
        await marking.cards(status.run)


async def test_a_viewer_looks_and_a_reviewer_marks(workspace: Workspace) -> None:
    run = await trial(workspace)
    viewer = Marking(workspace.acting(Actor("vera", {1: "viewer"})))
    reviewer = Marking(workspace.acting(Actor("rita", {1: "reviewer"})))
    stranger = Marking(workspace.acting(Actor("sam", {2: "admin"})))
    card = (await viewer.cards(run))[0]
    with pytest.raises(Forbidden):
        await viewer.mark(run, card.item_id, "title", "right")
    with pytest.raises(NotFound):
        await stranger.cards(run)
    await reviewer.mark(run, card.item_id, "title", "right")
    mark = field((await viewer.cards(run))[0], "title").mark
    assert mark is not None
    assert mark.by == "rita"


async def mark_all(workspace: Workspace, run: str) -> tuple[TrialCard, ...]:
    """Mark: genders right but the last product's, titles right but the first card's."""
    marking = Marking(workspace)
    cards = await marking.cards(run)
    for place, card in enumerate(cards):
        await marking.mark(run, card.item_id, "title", "right" if place else "wrong")
        if place % 2 == 0:
            made = field(card, "gender").value
            other = next(one for one in ("men", "women") if one != made)
            if place < 6:
                await marking.mark(run, card.item_id, "gender", "right")
            else:
                await marking.mark(run, card.item_id, "gender", "corrected", other)
    return cards


async def test_marks_become_what_the_trial_says_of_itself(workspace: Workspace) -> None:
    run = await trial(workspace)
    await mark_all(workspace, run)
    await Marking(workspace).settle(run)
    summary = (await workspace.find_run(run)).summary
    assert summary is not None
    lines = {line["field"]: line["correct"] for line in summary["accuracy"]}
    assert (lines["title"][0], lines["title"][3]) == (7 / 8, 8)
    assert (lines["gender"][0], lines["gender"][3]) == (3 / 4, 4)
    score = await Marking(workspace).score(run)
    assert lines["all fields"][:3] == [
        score.overall.share, score.overall.low, score.overall.high,
    ]  # fmt: skip


async def test_a_later_trial_is_held_against_the_marks(
    workspace: Workspace, tmp_path: Path
) -> None:
    first = await trial(workspace)
    await mark_all(workspace, first)
    # Another text of the title's template: titles may differ and still be right, so they do not
    # count; genders are values of a list, so they do.
    template = workspace.settings.root / "templates" / "copy.yaml"
    template.write_text(COPY.replace("Write a title", "Write another title"), encoding="utf-8")
    result = await workspace.trial("launch", size=4, fresh=True)
    counted = {line["field"]: line["correct"][3] for line in result.accuracy}
    assert counted["gender"] == 4
    # Nothing is held against gold that somebody names.
    gold = tmp_path / "gold.jsonl"
    gold.write_text('{"key": "P0", "gender": "men"}\n', encoding="utf-8")
    named = await workspace.trial("launch", size=4, gold=str(gold))
    assert {line["field"]: line["correct"][3] for line in named.accuracy}["gender"] == 1


async def test_marks_leave_as_a_gold_file_that_a_trial_takes(
    workspace: Workspace, tmp_path: Path
) -> None:
    run = await trial(workspace)
    cards = await mark_all(workspace, run)
    text = await Marking(workspace).gold(run)
    lines = [orjson.loads(line) for line in text.splitlines()]
    once = [line for line in lines if "_target" not in line]
    assert len(once) == 4 and all(set(line) == {"key", "gender"} for line in once)
    titles = {(line["key"], line["_target"]): line["title"] for line in lines if "_target" in line}
    assert titles == {
        (card.key, card.target): field(card, "title").value for card in cards[1:]
    }  # the first is wrong, and nobody said what is right
    gold = tmp_path / "gold.jsonl"
    gold.write_text(text, encoding="utf-8")
    again = await workspace.trial("launch", size=4, gold=str(gold))
    counted = {line["field"]: line["correct"] for line in again.accuracy}
    assert (counted["title"][0], counted["title"][3]) == (1.0, 7)
    assert (counted["gender"][0], counted["gender"][3]) == (3 / 4, 4)


async def test_a_field_left_empty_can_be_marked_too(workspace: Workspace) -> None:
    run = await trial(workspace)
    marking = Marking(workspace)
    card = (await marking.cards(run))[0]
    empty = replace(field(card, "gender"), value=None)
    assert empty.mark is None
    score = await marking.mark(run, card.item_id, "gender", "corrected", None)
    expected = 1 if field(card, "gender").value is None else 0
    assert score.overall.right == expected

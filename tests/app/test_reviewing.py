"""The review desk: turns, verdicts, conflicts, undo, many at once, samples of lots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.app.desks import (
    ANN,
    BOB,
    STRANGER,
    VIEWER,
    desk,
    desk_workspace,
    finished_run,
    ids,
    item_rows,
    rows,
    signed,
    states,
)

from waremill.app import Workspace, auditing
from waremill.app.reviewing import REASONS, ItemFilters
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound
from waremill.store.tables import findings, items, leases, results, reviews
from waremill.store.tables_people import audit


@pytest.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with desk_workspace(tmp_path, database_url) as opened:
        yield opened


async def rows_of(workspace: Workspace, query: Any) -> list[Any]:
    return list(await workspace.database.read(lambda conn: conn.execute(query).all()))


# Cards and turns.


async def test_a_card_shows_value_source_findings_and_the_live_value(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    card = await desk(workspace).next(run.name)
    assert card is not None and (card.key, card.state, card.run) == ("P000", "review", run.name)
    assert card.used == ("name", "brand", "volume")
    assert list(card.source)[:3] == ["name", "brand", "volume"]
    title = card.field("title")
    assert (title.value, title.limit, title.type) == ("Eau 500 ml", 60, "string")
    assert [one.rule for one in title.findings] == ["grounded-numbers"]
    (span,) = title.spans
    assert title.value[span.start : span.end] == "500"
    assert title.previous == "An old title"
    assert ("removed", "An old title") in title.difference or title.difference[0][0] == "removed"
    assert title.sources[0] == "name"
    assert card.field("points").limit == 80
    assert card.field("points").sources[0] == "volume"
    assert card.provenance["copy"]["model"] == "m"


async def test_two_people_never_get_the_same_item(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    ann, bob = desk(workspace, ANN), desk(workspace, BOB)
    cards = await asyncio.gather(*(one.next(run.name) for one in (ann, bob)))
    first, second = cards
    assert first is not None and second is not None and first.item_id != second.item_id
    third = await bob.next(run.name, skip=[second.item_id])
    fourth = await bob.next(run.name, skip=[second.item_id, third.item_id])  # type: ignore[union-attr]
    assert {first.item_id, second.item_id, third.item_id, fourth.item_id} == set(  # type: ignore[union-attr]
        await ids(workspace, run)
    )
    assert await desk(workspace, ANN).next(run.name, skip=[first.item_id]) is None


async def test_ones_own_item_comes_again_until_it_is_judged_or_given_back(
    workspace: Workspace,
) -> None:
    run = await finished_run(workspace)
    ann, bob = desk(workspace, ANN), desk(workspace, BOB)
    first = await ann.next(run.name)
    again = await ann.next(run.name)
    assert first is not None and again is not None and first.item_id == again.item_id
    await ann.release(run.name, first.item_id)
    taken = await bob.next(run.name)
    assert taken is not None and taken.item_id == first.item_id
    await ann.release(run.name, first.item_id)  # Bob's lease is not Ann's to end
    assert (await ann.card(run.name, first.item_id)).holder == "Bob"


async def test_a_lease_ends_by_itself_and_looking_renews_it(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    card = await desk(workspace, ANN).next(run.name)
    assert card is not None
    old = update(leases).values(until=leases.c.until - 60)
    await workspace.database.write(lambda conn: conn.execute(old))
    await desk(workspace, ANN).card(run.name, card.item_id)
    await workspace.database.write(lambda conn: conn.execute(old))
    other = await desk(workspace, BOB).next(run.name)
    assert other is not None and other.item_id != card.item_id  # renewed: a minute is left
    await workspace.database.write(lambda conn: conn.execute(old))
    await workspace.database.write(lambda conn: conn.execute(old))
    taken = await desk(workspace, BOB).next(run.name, skip=[other.item_id])
    assert taken is not None and taken.item_id == card.item_id


async def test_what_needs_review_comes_before_what_is_ready(workspace: Workspace) -> None:
    run = await finished_run(workspace, every=3)
    seen: list[str] = []
    skipped: list[int] = []
    while card := await desk(workspace).next(run.name, skip=skipped):
        seen.append(card.state)
        skipped.append(card.item_id)
    assert seen == ["review", "review", "ready", "ready"]


async def test_similar_items_follow_each_other(tmp_path: Path, database_url: str) -> None:
    async with desk_workspace(tmp_path, database_url, 8) as workspace:
        run = await finished_run(workspace, every=100)
        numbers = await ids(workspace, run)
        await signed(workspace, run, [numbers[1], numbers[6]], "one and the same long title here")
        ann = desk(workspace)
        near = await ann.next(run.name, near=numbers[1])
        assert near is not None and near.item_id == numbers[6]
        # Without near-duplicates the same brand comes first among those that follow.
        brand = await ann.next(run.name, near=numbers[2], filters=ItemFilters(states=("ready",)))
        assert brand is not None and brand.item_id == numbers[4]
        alike = await ann.similar(run.name, numbers[1])
        assert [(one.item_id, one.likeness) for one in alike] == [(numbers[6], 1.0)]


async def test_members_of_a_group_follow_each_other(tmp_path: Path, database_url: str) -> None:
    products = [{**row, "spu": f"G{n % 3}"} for n, row in enumerate(rows(6))]
    async with desk_workspace(tmp_path, database_url, products=products) as workspace:
        await workspace.import_catalog([tmp_path / "stock.csv"], key="sku", group="spu",
                                       catalog="grouped")  # fmt: skip
        run = await finished_run(workspace, every=100, catalog="grouped")
        numbers = await ids(workspace, run)
        card = await desk(workspace).next(run.name, near=numbers[1])
        assert card is not None and card.item_id == numbers[4]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (ItemFilters(where="brand = 'House 1'"), ["P001", "P003"]),
        (ItemFilters(where="_findings > 0"), ["P000", "P002"]),
        (ItemFilters(states=("ready",)), ["P001", "P003"]),
        (ItemFilters(rule="grounded-numbers"), ["P000", "P002"]),
        (ItemFilters(field="title"), ["P000", "P002"]),
        (ItemFilters(rule="grounded-numbers", field="points"), []),
        (ItemFilters(text="EAU 3"), ["P003"]),
        (ItemFilters(text="p002"), ["P002"]),
        (ItemFilters(target="de-DE"), []),
    ],
)
async def test_filters_pick_items(
    workspace: Workspace, filters: ItemFilters, expected: list[str]
) -> None:
    run = await finished_run(workspace)
    keys, skipped = [], []
    while card := await desk(workspace).next(run.name, filters=filters, skip=skipped):
        keys.append(card.key)
        skipped.append(card.item_id)
    assert keys == expected
    assert await desk(workspace).count(run.name, filters) == len(expected)


async def test_roles_and_teams_are_kept(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[0]
    viewer, stranger = desk(workspace, VIEWER), desk(workspace, STRANGER)
    card = await viewer.card(run.name, item)
    with pytest.raises(Forbidden):
        await viewer.next(run.name)
    with pytest.raises(Forbidden):
        await viewer.accept(run.name, item, card.version)
    with pytest.raises(Forbidden):
        await viewer.accept_all(run.name, ItemFilters(), 4)
    for what in (stranger.card(run.name, item), stranger.count(run.name), stranger.lots(run.name)):
        with pytest.raises(NotFound):
            await what
    assert await rows_of(workspace, select(leases)) == []
    with pytest.raises(NotFound, match="no item"):
        await desk(workspace).card(run.name, 999_999)


# Verdicts.


async def test_accepting_changes_the_state_and_leaves_a_review_and_an_entry(
    workspace: Workspace,
) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    card = await ann.next(run.name)
    assert card is not None
    after = await ann.accept(run.name, card.item_id, card.version)
    assert (after.state, after.history[0].by, after.history[0].verdict) == (
        "accepted", "Ann", "accept",
    )  # fmt: skip
    (row,) = await rows_of(workspace, select(reviews))
    assert (row.before, row.result_id) == ("review", card.field("title").result_id)
    (entry,) = await rows_of(workspace, select(audit).where(audit.c.action == "item.accept"))
    assert (entry.by, entry.subject) == ("Ann", f"run {run.name}")
    assert await rows_of(workspace, select(leases)) == []


async def test_a_rejection_has_a_typed_reason_a_note_and_fields(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    card = await ann.next(run.name)
    assert card is not None and "wrong-fact" in REASONS
    with pytest.raises(ConfigError, match="not a reason"):
        await ann.reject(run.name, card.item_id, card.version, "ugly")
    with pytest.raises(ConfigError, match="no field"):
        await ann.reject(run.name, card.item_id, card.version, "style", fields=["colour"])
    after = await ann.reject(
        run.name, card.item_id, card.version, "wrong-fact", "50 ml,\nnot 500", ["title", "points"]
    )
    said = after.history[0]
    assert after.state == "rejected"
    assert (said.reason, said.note, said.fields) == (
        "wrong-fact", "50 ml, not 500", ("title", "points"),
    )  # fmt: skip


async def test_an_edit_is_a_new_result_that_current_points_to(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    card = await ann.next(run.name)
    assert card is not None
    after = await ann.edit(run.name, card.item_id, card.version, {"title": "Eau 50 ml"})
    title = after.field("title")
    assert (after.state, title.value, title.origin, title.by) == (
        "edited", "Eau 50 ml", "human", "Ann",
    )  # fmt: skip
    assert title.findings == () and after.field("points").value == ["A bottle", "of 50 ml"]
    made = await rows_of(workspace, select(results).where(results.c.item_id == card.item_id))
    assert [row.origin for row in made] == ["model", "human"]
    (row,) = [row for row in await item_rows(workspace, run) if row.id == card.item_id]
    assert row.findings == 0
    about = select(func.count()).where(findings.c.item_id == card.item_id)
    assert (await rows_of(workspace, about))[0][0] == 0
    # A later run's card shows it as the live value.
    later = await finished_run(workspace, fresh=True)
    shown = await ann.card(later.name, (await ids(workspace, later))[0])
    assert shown.field("title").previous == "Eau 50 ml"


async def test_what_a_person_writes_is_checked_and_the_finding_stays_with_it(
    workspace: Workspace,
) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    item = (await ids(workspace, run))[1]
    card = await ann.card(run.name, item)
    after = await ann.edit(run.name, item, card.version, {"title": "Eau of 75 ml " + "x" * 60})
    assert {one.rule for one in after.field("title").findings} == {"grounded-numbers", "contract"}
    matching = ItemFilters(rule="grounded-numbers", states=("edited",))
    found = await ann.next(run.name, filters=matching)
    assert found is not None and found.item_id == item


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"colour": "red"}, "no field “colour”; there are: title, points, weight"),
        ({"title": None}, "must not be empty"),
        ({"weight": "heavy"}, "“weight”"),
        ({"points": {"a": 1}}, "“points”"),
    ],
)
async def test_a_value_of_the_wrong_kind_is_refused(
    workspace: Workspace, values: dict[str, Any], said: str
) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[1]
    card = await desk(workspace).card(run.name, item)
    with pytest.raises(ConfigError, match=said):
        await desk(workspace).edit(run.name, item, card.version, values)
    assert (await desk(workspace).card(run.name, item)).version == card.version


async def test_an_edit_that_changes_nothing_does_nothing(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[1]
    card = await desk(workspace).card(run.name, item)
    after = await desk(workspace).edit(run.name, item, card.version, {"weight": ""})
    assert (after.version, after.state) == (card.version, "ready")
    assert await rows_of(workspace, select(audit).where(audit.c.action == "item.edit")) == []


async def test_a_stale_verdict_is_a_conflict_that_says_who_did_what(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[1]
    ann, bob = desk(workspace, ANN), desk(workspace, BOB)
    seen = await bob.card(run.name, item)
    await ann.edit(run.name, item, seen.version, {"title": "Ann's title"})
    with pytest.raises(Conflict, match=r"Ann edited title of P001 \d+ s ago"):
        await bob.edit(run.name, item, seen.version, {"title": "Bob's title"})
    newer = await bob.card(run.name, item)
    assert newer.field("title").value == "Ann's title"
    await bob.reject(run.name, item, newer.version, "style")
    with pytest.raises(Conflict, match=r"Bob rejected \(style\) P001"):
        await ann.accept(run.name, item, newer.version)


async def test_what_is_not_made_cannot_be_judged(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[1]
    card = await desk(workspace).card(run.name, item)
    failed = update(items).where(items.c.id == item).values(state="failed")
    await workspace.database.write(lambda conn: conn.execute(failed))
    with pytest.raises(Conflict, match="failed"):
        await desk(workspace).accept(run.name, item, card.version)


# Undo.


async def test_undo_brings_back_state_and_values_and_is_a_row_too(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    card = await ann.next(run.name)
    assert card is not None
    item = card.item_id
    accepted = await ann.accept(run.name, item, card.version)
    edited = await ann.edit(run.name, item, accepted.version, {"title": "Mine", "weight": 3})
    assert edited.state == "edited"
    back = await ann.undo(run.name, item)
    assert (back.state, back.field("title").value, back.field("weight").value) == (
        "accepted", "Eau 500 ml", None,
    )  # fmt: skip
    assert [one.rule for one in back.field("title").findings] == ["grounded-numbers"]
    first = await ann.undo(run.name, item)
    assert first.state == "review"
    with pytest.raises(Conflict, match="no verdict of Ann"):
        await ann.undo(run.name, item)
    verdicts = [row.verdict for row in await rows_of(workspace, select(reviews))]
    assert verdicts == ["accept", "edit", "edit", "undo", "undo", "undo"]
    (row,) = [row for row in await item_rows(workspace, run) if row.id == item]
    assert row.findings == 1


async def test_only_ones_own_last_verdict_can_be_undone(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    item = (await ids(workspace, run))[1]
    ann, bob = desk(workspace, ANN), desk(workspace, BOB)
    card = await ann.accept(run.name, item, (await ann.card(run.name, item)).version)
    with pytest.raises(Conflict, match="no verdict of Bob"):
        await bob.undo(run.name, item)
    await bob.reject(run.name, item, card.version, "style")
    with pytest.raises(Conflict, match="Bob rejected"):
        await ann.undo(run.name, item)
    await bob.undo(run.name, item)
    assert (await ann.undo(run.name, item)).state == "ready"


# Items that took over from others.


async def test_a_verdict_on_a_linked_item_is_its_own(workspace: Workspace) -> None:
    first = await finished_run(workspace)
    second = await finished_run(workspace)
    ann = desk(workspace)
    item = (await ids(workspace, second))[1]
    card = await ann.card(second.name, item)
    assert card.taken_over and card.field("title").value == "Eau 1 50 ml"
    await ann.accept(second.name, item, card.version)
    assert (await states(workspace, first))[1] == "ready"
    edited = await ann.edit(
        second.name, item, (await ann.card(second.name, item)).version, {"title": "Mine"}
    )
    assert not edited.taken_over and edited.field("title").value == "Mine"
    source = await ann.card(first.name, (await ids(workspace, first))[1])
    assert source.field("title").value == "Eau 1 50 ml"
    # The next run takes over what the person wrote.
    third = await finished_run(workspace)
    taken = await ann.card(third.name, (await ids(workspace, third))[1])
    assert (taken.state, taken.field("title").value) == ("edited", "Mine")


async def test_a_linked_item_follows_its_source_until_it_is_decided(workspace: Workspace) -> None:
    first = await finished_run(workspace)
    second = await finished_run(workspace)
    ann, bob = desk(workspace, ANN), desk(workspace, BOB)
    origin, following = (await ids(workspace, first))[1], (await ids(workspace, second))[1]
    seen = await bob.card(second.name, following)
    await ann.edit(first.name, origin, (await ann.card(first.name, origin)).version,
                   {"title": "Better"})  # fmt: skip
    with pytest.raises(Conflict, match="Ann changed title"):
        await bob.accept(second.name, following, seen.version)
    newer = await bob.card(second.name, following)
    assert (newer.state, newer.field("title").value) == ("ready", "Better")


async def test_what_was_accepted_does_not_change_behind_ones_back(workspace: Workspace) -> None:
    first = await finished_run(workspace)
    second = await finished_run(workspace)
    ann, bob = desk(workspace, ANN), desk(workspace, BOB)
    origin, following = (await ids(workspace, first))[0], (await ids(workspace, second))[0]
    card = await bob.card(second.name, following)
    kept = await bob.accept(second.name, following, card.version)
    await ann.edit(first.name, origin, (await ann.card(first.name, origin)).version,
                   {"title": "Better"})  # fmt: skip
    after = await bob.card(second.name, following)
    assert (after.version, after.field("title").value) == (kept.version, "Eau 500 ml")
    assert [one.rule for one in after.field("title").findings] == ["grounded-numbers"]
    found = ItemFilters(rule="grounded-numbers", states=("accepted",))
    assert (await bob.next(second.name, filters=found)) is not None
    # A third run still takes over the newest of the original.
    third = await finished_run(workspace)
    taken = await ann.card(third.name, (await ids(workspace, third))[0])
    assert taken.field("title").value == "Better"


# Many at once.


async def test_accepting_all_needs_the_count_that_was_confirmed(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    clean = ItemFilters(where="_findings = 0")
    with pytest.raises(Conflict, match="2 items match now, not 4"):
        await ann.accept_all(run.name, clean, 4)
    assert await ann.accept_all(run.name, clean, 2) == 2
    assert await states(workspace, run) == ["review", "accepted", "review", "accepted"]
    said = await rows_of(workspace, select(reviews).order_by(reviews.c.id))
    assert [(row.by, row.rule, row.before) for row in said] == [
        ("Ann", "accept all: where _findings = 0", "ready")
    ] * 2
    page = await auditing.entries(workspace, action="run.accept-all")
    (entry,) = page.rows
    assert (entry.by, entry.detail["items"]) == ("Ann", 2)
    assert await ann.accept_all(run.name, clean, 0) == 0


async def test_many_are_judged_in_several_transactions(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waremill.app.deciding.CHUNK", 3)
    async with desk_workspace(tmp_path, database_url, 8) as workspace:
        run = await finished_run(workspace)
        assert await desk(workspace).reject_all(run.name, ItemFilters(), 8, "style", "dull") == 8
        assert await states(workspace, run) == ["rejected"] * 8
        entries = await rows_of(workspace, select(audit).where(audit.c.action == "run.reject-all"))
        assert len(entries) == 1


async def test_decided_items_are_never_judged_in_bulk(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    numbers = await ids(workspace, run)
    card = await ann.card(run.name, numbers[0])
    await ann.reject(run.name, numbers[0], card.version, "style")
    everything = ItemFilters(states=("ready", "review", "rejected"))
    assert await ann.accept_all(run.name, everything, 3) == 3
    assert await states(workspace, run) == ["rejected", *["accepted"] * 3]


async def test_one_of_many_can_be_undone(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    ann = desk(workspace)
    await ann.accept_all(run.name, ItemFilters(), 4)
    card = await ann.undo(run.name, (await ids(workspace, run))[0])
    assert card.state == "review"
    assert await states(workspace, run) == ["review", *["accepted"] * 3]

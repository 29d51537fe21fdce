"""Acceptance sampling at the desk: a lot, its sample, the decision, and what the record says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.app.desks import (
    ANN,
    BOB,
    STRANGER,
    VIEWER,
    desk,
    desk_workspace,
    finished_run,
    ids,
    states,
)

from waremill.app import Workspace
from waremill.app.reviewing import ItemFilters, Lot
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound
from waremill.store.runs import Run
from waremill.store.tables import reviews
from waremill.store.tables_people import audit


@pytest.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with desk_workspace(tmp_path, database_url, 12) as opened:
        yield opened


async def opened(workspace: Workspace, run: Run) -> Lot:
    """A lot whose sample is part of it: 20 % bad at most, with 80 %."""
    return await desk(workspace).open_lot(run.name, confidence=0.8, most_bad=0.2)


async def look_at_all(workspace: Workspace, lot: Lot, bad: int = 0) -> Lot:
    seen = 0
    while card := await desk(workspace).lot_next(lot.id):
        lot = await desk(workspace).judge(lot.id, card.item_id, seen >= bad, version=card.version)
        seen += 1
    assert seen == lot.sample
    return lot


async def test_a_lot_is_what_matches_and_its_sample_is_part_of_it(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    assert (lot.size, lot.sample, lot.allowed, lot.state, lot.looked, lot.bad) == (
        12, 5, 0, "open", 0, 0,
    )  # fmt: skip
    assert lot.promise == "80 % sure of ≤ 20 % bad" and not lot.can_accept
    assert lot.statement == "0 of 0 bad, 5 left to look at"
    part = await desk(workspace).open_lot(run.name, ItemFilters(where="_findings = 0"))
    assert (part.size, part.filters) == (6, {"where": "_findings = 0"})
    assert [one.id for one in await desk(workspace).lots(run.name)] == [part.id, lot.id]


async def test_accepting_a_lot_accepts_the_rest_and_says_on_what_grounds(
    workspace: Workspace,
) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    with pytest.raises(Conflict, match="5 of the 5 sampled items were not looked at"):
        await desk(workspace).decide_lot(lot.id, True)
    lot = await look_at_all(workspace, lot)
    assert lot.can_accept and set(await states(workspace, run)) == {"ready", "review", "accepted"}
    done = await desk(workspace, BOB).decide_lot(lot.id, True)
    assert (done.state, done.decided_by) == ("accepted", "Bob")
    assert await states(workspace, run) == ["accepted"] * 12
    said = f"lot {lot.id}: 0 of 5 bad, 80 % sure of ≤ 20 % bad"
    assert done.statement == said
    rows = await workspace.database.read(lambda conn: conn.execute(select(reviews)).all())
    assert sorted((row.rule, row.by) for row in rows) == sorted(
        [(said, "Bob")] * 7 + [(f"sample of lot {lot.id}", "Ann")] * 5
    )
    actions = select(audit.c.action).where(audit.c.action.startswith("lot.")).order_by(audit.c.id)
    entries = await workspace.database.read(lambda conn: conn.execute(actions).scalars().all())
    assert entries == ["lot.open", *["lot.judge"] * 5, "lot.accept"]
    assert (await desk(workspace).decide_lot(lot.id, True)).state == "accepted"
    with pytest.raises(Conflict, match="is accepted already"):
        await desk(workspace).decide_lot(lot.id, False)


async def test_a_lot_with_too_many_bad_ones_cannot_be_accepted(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await look_at_all(workspace, await opened(workspace, run), bad=2)
    assert (lot.bad, lot.statement) == (2, "2 of 5 bad, more than the 0 allowed")
    with pytest.raises(Conflict, match="2 of 5 are bad and 0 allowed"):
        await desk(workspace).decide_lot(lot.id, True)
    done = await desk(workspace).decide_lot(lot.id, False)
    assert done.state == "rejected"
    said = f"lot {lot.id} rejected: 2 of 5 bad, 0 allowed; 7 items stay in review"
    assert done.statement == said
    left = await states(workspace, run)
    assert sorted(left).count("rejected") == 2 and left.count("accepted") == 3
    assert left.count("ready") + left.count("review") == 7


async def test_what_was_edited_counts_as_bad(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    ann = desk(workspace)
    card = await ann.lot_next(lot.id)
    assert card is not None
    edited = await ann.edit(run.name, card.item_id, card.version, {"title": "Mine"})
    with pytest.raises(Conflict, match="counts as bad"):
        await ann.judge(lot.id, card.item_id, True, version=edited.version)
    lot = await ann.judge(lot.id, card.item_id, False, version=edited.version)
    assert (lot.looked, lot.bad) == (1, 1)
    assert (await ann.card(run.name, card.item_id)).state == "edited"
    with pytest.raises(Conflict, match="looked at already"):
        await ann.judge(lot.id, card.item_id, True)


async def sampled(workspace: Workspace, run: Run) -> int:
    """The first item in order that the sample accepted."""
    numbers, now = await ids(workspace, run), await states(workspace, run)
    return numbers[now.index("accepted")]


async def test_a_sampled_item_that_is_rejected_later_is_bad(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await look_at_all(workspace, await opened(workspace, run))
    assert lot.can_accept
    bob = desk(workspace, BOB)
    one = await sampled(workspace, run)
    await bob.reject(run.name, one, (await bob.card(run.name, one)).version, "invented")
    lot = await bob.lot(lot.id)
    assert (lot.looked, lot.bad, lot.can_accept) == (5, 1, False)
    assert lot.statement == "1 of 5 bad, more than the 0 allowed"
    assert [found.bad for found in await bob.lots(run.name)] == [1]
    with pytest.raises(Conflict, match="1 of 5 are bad"):
        await bob.decide_lot(lot.id, True)
    done = await bob.decide_lot(lot.id, False)
    assert done.statement.startswith(f"lot {lot.id} rejected: 1 of 5 bad, 0 allowed")


async def test_what_was_edited_outside_the_lot_is_bad_and_need_not_be_looked_at(
    workspace: Workspace,
) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    ann = desk(workspace)
    card = await ann.lot_next(lot.id)
    assert card is not None
    await ann.edit(run.name, card.item_id, card.version, {"title": "Mine"})
    lot = await ann.lot(lot.id)
    assert (lot.looked, lot.bad) == (1, 1)
    while found := await ann.lot_next(lot.id):
        assert found.item_id != card.item_id
        lot = await ann.judge(lot.id, found.item_id, True, version=found.version)
    assert (lot.looked, lot.bad) == (5, 1)
    done = await ann.decide_lot(lot.id, False)
    # What a decided lot was decided on stays.
    await ann.undo(run.name, card.item_id)
    assert (await ann.lot(lot.id)).bad == done.bad == 1


async def test_a_slip_in_a_sample_is_undone_and_said_again(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    other = await opened(workspace, run)
    ann = desk(workspace)
    card = await ann.lot_next(lot.id)
    assert card is not None
    lot = await ann.judge(lot.id, card.item_id, False, version=card.version)
    assert (lot.looked, lot.bad) == (1, 1)
    back = await ann.undo(run.name, card.item_id)
    lot = await ann.lot(lot.id)
    assert (lot.looked, lot.bad, (await ann.lot(other.id)).looked) == (0, 0, 0)
    again = await ann.lot_next(lot.id)
    assert again is not None and again.item_id == card.item_id
    lot = await ann.judge(lot.id, card.item_id, True, version=back.version)
    assert (lot.looked, lot.bad) == (1, 0)


async def test_an_undo_that_is_refused_leaves_the_lot_as_it_was(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await look_at_all(workspace, await opened(workspace, run))
    with pytest.raises(Conflict, match="no verdict of Bob"):
        await desk(workspace, BOB).undo(run.name, await sampled(workspace, run))
    assert (await desk(workspace).lot(lot.id)).looked == 5


async def test_two_people_look_at_different_items_of_a_sample(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    first = await desk(workspace, ANN).lot_next(lot.id)
    second = await desk(workspace, BOB).lot_next(lot.id)
    assert first is not None and second is not None and first.item_id != second.item_id


async def test_items_decided_meanwhile_keep_their_verdict(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await look_at_all(workspace, await opened(workspace, run))
    ann = desk(workspace)
    numbers, now = await ids(workspace, run), await states(workspace, run)
    left = numbers[next(n for n, state in enumerate(now) if state != "accepted")]
    await ann.reject(run.name, left, (await ann.card(run.name, left)).version, "style")
    await ann.decide_lot(lot.id, True)
    assert sorted(await states(workspace, run)) == [*["accepted"] * 11, "rejected"]


async def test_only_sampled_items_are_judged_for_a_lot(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    with pytest.raises(NotFound, match="not in the sample"):
        await desk(workspace).judge(lot.id, 999_999, True)


async def test_roles_and_teams_are_kept(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    lot = await opened(workspace, run)
    assert (await desk(workspace, VIEWER).lot(lot.id)).id == lot.id
    with pytest.raises(Forbidden):
        await desk(workspace, VIEWER).lot_next(lot.id)
    with pytest.raises(Forbidden):
        await desk(workspace, VIEWER).decide_lot(lot.id, False)
    with pytest.raises(NotFound):
        await desk(workspace, STRANGER).lot(lot.id)


async def test_nothing_makes_no_lot(workspace: Workspace) -> None:
    run = await finished_run(workspace)
    with pytest.raises(Conflict, match="nothing that matches"):
        await desk(workspace).open_lot(run.name, ItemFilters(where="brand = 'nobody'"))
    with pytest.raises(ConfigError, match="confidence"):
        await desk(workspace).open_lot(run.name, confidence=1.0)

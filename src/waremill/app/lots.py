"""Acceptance sampling at the review desk: a lot, its random sample, and what the sample decides.

A lot is exactly the items that matched when it was opened. Accepting it accepts those of them that
still wait, and every one of their reviews says on what grounds.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app import auditing, notifying
from waremill.app.cards import Card, make_card
from waremill.app.waiting import given
from waremill.errors import Conflict
from waremill.review import sampling
from waremill.review.verdicts import state_after
from waremill.store import lots as store
from waremill.store import reviewing as store_reviewing
from waremill.store import runs as store_runs
from waremill.store import verdicts
from waremill.store.lots import LotRow
from waremill.store.reviewing import CHUNK, ItemView
from waremill.store.runs import Run, clock
from waremill.store.tables import dumps
from waremill.store.verdicts import Decision

if TYPE_CHECKING:
    from waremill.app.acting import Role
    from waremill.app.item_filters import ItemFilters
    from waremill.app.reviewing import ReviewDesk


@dataclass(frozen=True, slots=True)
class Promise:
    """What a sample is to prove: with `confidence`, at most a share `most_bad` of the lot is bad.

    `allowed` is how many bad ones the sample may hold.
    """

    confidence: float = 0.95
    most_bad: float = 0.01
    allowed: int = 0


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot of `size` items, of which `sample` were drawn; `allowed` of these may be bad.

    `state` is open, accepted or rejected; `looked` and `bad` count the sample so far: what was
    rejected or edited outside the lot while it is open is bad, too. `statement` says what the
    sample shows, and of a decided lot what became of the rest. Times are Unix seconds.
    """

    id: int
    run: str
    size: int
    sample: int
    allowed: int
    confidence: float
    most_bad: float
    state: str
    looked: int
    bad: int
    statement: str
    filters: Mapping[str, Any]
    by: str
    created_at: float
    decided_by: str | None = None
    decided_at: float | None = None

    @property
    def promise(self) -> str:
        """What the lot is to prove, in words."""
        return (
            f"{sampling.percent(self.confidence)} sure of ≤ {sampling.percent(self.most_bad)} bad"
        )

    @property
    def can_accept(self) -> bool:
        """Whether the whole sample was looked at and holds no more bad ones than allowed."""
        return self.state == "open" and self.looked == self.sample and self.bad <= self.allowed


@dataclass(frozen=True, slots=True)
class Looked:
    """What somebody says of a sampled item; `reason` counts where it is bad."""

    item_id: int
    good: bool
    version: int | None
    reason: str


async def open_lot(desk: ReviewDesk, name: str, filters: ItemFilters, promise: Promise) -> Lot:
    """Make a lot of what matches and waits, and draw its sample at random.

    Raises Conflict where nothing waits, ConfigError for numbers that promise nothing.
    """
    sampling.check_promise(promise.confidence, promise.most_bad, promise.allowed)
    run = await desk.find(name, "reviewer")
    database, actor = desk.workspace.database, desk.workspace.actor
    ids = await desk.matching(run, filters)
    if not ids:
        raise Conflict("nothing that matches waits for a verdict, so there is no lot to sample")
    count = sampling.plan(len(ids), promise.confidence, promise.most_bad, promise.allowed)
    seed = secrets.randbits(31)
    drawn = frozenset(sampling.draw(ids, count, seed))

    def fill(conn: Connection, lot_id: int, start: int) -> int:
        if not lot_id:
            lot_id = store.create(conn, {
                "run_id": run.id, "condition": dumps(given(filters)), "size": len(ids),
                "sample": count, "allowed": promise.allowed, "confidence": promise.confidence,
                "most_bad": promise.most_bad, "seed": seed, "by": actor.name,
            })  # fmt: skip
        store.add_members(conn, lot_id, ids[start : start + CHUNK], drawn)
        if start + CHUNK >= len(ids):
            store.set_lot(conn, lot_id, {"state": "open"})
            auditing.record(
                conn, actor, "lot.open", f"lot {lot_id} of run {run.name}", run.team_id,
                size=len(ids), sample=count, allowed=promise.allowed, seed=seed,
                confidence=promise.confidence, most_bad=promise.most_bad,
                filters=given(filters),
            )  # fmt: skip
        return lot_id

    lot_id = 0
    for start in range(0, len(ids), CHUNK):
        lot_id = await database.write(fill, lot_id, start)
    return await get_lot(desk, lot_id)


async def list_lots(desk: ReviewDesk, name: str) -> tuple[Lot, ...]:
    """Give a run's lots, the newest first."""
    run = await desk.find(name, "viewer")
    rows = await desk.workspace.database.read(store.of_run, run.id)
    return tuple(_lot(run, row) for row in rows)


async def get_lot(desk: ReviewDesk, lot_id: int) -> Lot:
    """Give a lot by its id; NotFound for a foreign team's too."""
    run, row = await _find(desk, lot_id, "viewer")
    return _lot(run, row)


async def _find(desk: ReviewDesk, lot_id: int, role: Role) -> tuple[Run, LotRow]:
    def read(conn: Connection) -> tuple[Run, LotRow]:
        row = store.get(conn, lot_id)
        return store_runs.get_run(conn, row.run_id), row

    run, row = await desk.workspace.database.read(read)
    desk.workspace.actor.need(role, run.team_id, f"lot {lot_id}")
    return run, row


def _lot(run: Run, row: LotRow) -> Lot:
    said = row.reason or sampling.statement(
        row.looked, row.bad, row.confidence, row.most_bad, row.allowed
    )
    if row.state == "open" and row.looked < row.sample and row.bad <= row.allowed:
        said = f"{row.bad:,} of {row.looked:,} bad, {row.sample - row.looked:,} left to look at"
    return Lot(
        row.id, run.name, row.size, row.sample, row.allowed, row.confidence, row.most_bad,
        row.state, row.looked, row.bad, said, row.filters, row.by, row.created_at, row.decided_by,
        row.decided_at,
    )  # fmt: skip


async def next_of_lot(
    desk: ReviewDesk, lot_id: int, skip: Collection[int], holder: str | None
) -> Card | None:
    """Lease the next item of a sample that nobody looked at, and give its card."""
    run, row = await _find(desk, lot_id, "reviewer")
    _must_be_open(row)
    frozen = await desk.frozen(run)

    def pick(conn: Connection) -> Card | None:
        item_id = store.next_drawn(conn, lot_id, desk.holder(holder), skip)
        if item_id is None:
            return None
        view = store_reviewing.load_item(conn, run.id, item_id)
        return make_card(run, view, frozen, store_reviewing.live_before(conn, view))

    return await desk.workspace.database.write(pick)


async def judge_sampled(desk: ReviewDesk, lot_id: int, looked: Looked) -> Lot:
    """Say whether a sampled item is good; the item is accepted or rejected by that.

    An item that was judged outside the lot meanwhile keeps that verdict; here it counts as said.
    """
    run, _ = await _find(desk, lot_id, "reviewer")
    actor = desk.workspace.actor

    def write(conn: Connection) -> LotRow:
        row = store.lock(conn, lot_id)
        _must_be_open(row)
        if store.verdict_of(conn, lot_id, looked.item_id) != "drawn":
            raise Conflict(f"item {looked.item_id} of lot {lot_id} was looked at already")
        word = "accept" if looked.good else "reject"

        def decide(view: ItemView) -> Decision | None:
            if looked.good and view.state in ("edited", "rejected"):
                raise Conflict(f"{verdicts.name_of(view)} was {view.state}, so it counts as bad")
            if view.state not in verdicts.WAITING:
                return None
            reason = None if looked.good else looked.reason
            state = state_after("accept" if looked.good else "reject", view.state)
            return Decision(word, state, actor.name, reason, f"sample of lot {lot_id}")

        with notifying.telling(conn, run):
            view = verdicts.judge(conn, run.id, looked.item_id, looked.version, decide)
        store.say(conn, lot_id, looked.item_id, "good" if looked.good else "bad")
        auditing.record(
            conn, actor, "lot.judge", f"lot {lot_id} of run {run.name}", run.team_id,
            item=looked.item_id, target=view.target, good=looked.good,
        )  # fmt: skip
        return store.get(conn, lot_id)

    return _lot(run, await desk.workspace.database.write(write))


async def decide_lot(desk: ReviewDesk, lot_id: int, accept: bool) -> Lot:
    """Accept the rest of a lot by its sample, or reject the lot, which leaves the rest in review.

    Accepting a lot that is accepted already goes on where that was cut off.
    """
    run, _ = await _find(desk, lot_id, "reviewer")
    actor, database = desk.workspace.actor, desk.workspace.database

    def settle(conn: Connection) -> LotRow:
        row = store.lock(conn, lot_id)
        if accept and row.state == "accepted":
            return row
        _must_be_open(row)
        store.keep_counts(conn, lot_id)
        row = store.get(conn, lot_id)
        said = f"lot {lot_id}: " + sampling.statement(
            row.looked, row.bad, row.confidence, row.most_bad, row.allowed
        )
        if accept:
            _must_prove(row)
        else:
            left = store.count_rest(conn, lot_id)
            counted = f"{row.bad:,} of {row.looked:,} bad, {row.allowed:,} allowed"
            said = f"lot {lot_id} rejected: {counted}; {left:,} items stay in review"
        store.set_lot(conn, lot_id, {
            "state": "accepted" if accept else "rejected", "reason": said,
            "decided_by": actor.name, "decided_at": clock(conn),
        })  # fmt: skip
        verb = "lot.accept" if accept else "lot.reject"
        subject = f"lot {lot_id} of run {run.name}"
        auditing.record(conn, actor, verb, subject, run.team_id, statement=said)
        return store.get(conn, lot_id)

    row = await database.write(settle)
    if accept:
        decision = Decision("accept", "accepted", row.decided_by, rule=row.reason)

        def accept_some(conn: Connection, after: int) -> int | None:
            ids = store.rest(conn, lot_id, after, CHUNK)
            with notifying.telling(conn, run):
                verdicts.judge_many(conn, run.id, ids, decision)
            return ids[-1] if ids else None

        after: int | None = 0
        while after is not None:
            after = await database.write(accept_some, after)
    return _lot(run, row)


def _must_be_open(row: LotRow) -> None:
    if row.state != "open":
        raise Conflict(f"lot {row.id} is {row.state} already, by {row.decided_by}")


def _must_prove(row: LotRow) -> None:
    if row.bad > row.allowed:
        raise Conflict(
            f"{row.bad:,} of {row.looked:,} are bad and {row.allowed:,} allowed: reject the lot"
        )
    if row.looked < row.sample:
        raise Conflict(
            f"{row.sample - row.looked:,} of the {row.sample:,} sampled items were not looked at"
        )


__all__ = ["Looked", "Lot", "Promise"]

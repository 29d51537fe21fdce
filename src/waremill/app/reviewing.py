"""The review desk: whose turn an item is, verdicts on one and on many, undo, samples of lots.

A reviewer's verdict is the only thing here that changes an item's state, besides a rule or a lot
somebody decided on. Every change is recorded in the transaction that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app import auditing, lots, notifying
from waremill.app.amending import amended
from waremill.app.cards import Card, CardField, Frozen, Said, frozen_of, make_card
from waremill.app.deciding import judge_all
from waremill.app.item_filters import ItemFilters
from waremill.app.lots import Lot
from waremill.app.waiting import EVERY, given, told, waiting_items, wanted_items
from waremill.checks import near_duplicates
from waremill.domain import Finding
from waremill.errors import ConfigError, Conflict
from waremill.review.highlighting import Span
from waremill.review.verdicts import REASONS, WAITING, Verdict, state_after, why
from waremill.store import lots as store_lots
from waremill.store import reviewing as store
from waremill.store import verdicts
from waremill.store.reviewing import ItemView, Wanted
from waremill.store.runs import Run
from waremill.store.verdicts import Decision

if TYPE_CHECKING:
    from waremill.app.acting import Role
    from waremill.app.workspace import Workspace

MOST_SKIPPED = 5_000
MOST_SIMILAR = 200


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """An item like another: `likeness` is from 0 to 1, None where only group or brand is the same.

    `values` are its fields by name.
    """

    item_id: int
    key: str
    target: str
    state: str
    version: int
    likeness: float | None
    values: Mapping[str, Any] = field(default_factory=dict)


class ReviewDesk:
    """The desk where a run's items are judged, for whoever the workspace acts as.

    To look needs the role viewer in the run's team, all else the role reviewer.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    async def find(self, run: str, role: Role) -> Run:
        """Find a run for somebody of a role."""
        return await self.workspace.find_run(run, role)

    async def frozen(self, run: Run) -> Frozen:
        """Give what the run was frozen with."""
        return await frozen_of(self.workspace.settings, self.workspace.database, run)

    # One item.

    async def next(
        self,
        run: str,
        *,
        filters: ItemFilters = EVERY,
        skip: Collection[int] = (),
        holder: str | None = None,
        near: int | None = None,
    ) -> Card | None:
        """Lease the next item that waits to the actor for 120 s and give its card; None: no more.

        Nobody gets an item that somebody else holds. `near` is the item that was shown before:
        those like it come first. `skip` are items not to be given; `holder` tells two desks of one
        person apart (default: the person).
        """
        found = await self.find(run, "reviewer")
        frozen = await self.frozen(found)
        if len(skip) > MOST_SKIPPED:
            raise ConfigError(f"at most {MOST_SKIPPED:,} items can be skipped; start over")
        name = self.holder(holder)

        dialect = self.workspace.database.dialect

        def look(conn: Connection, passed: set[int]) -> tuple[Wanted, list[int]]:
            wanted = wanted_items(conn, found, filters, dialect)
            views = store.load_items(conn, found.id, [near] if near is not None else [])
            last = views[0] if views else None
            return wanted, store.candidates(
                conn, wanted, name, skip=passed, near=last, keys=_keys(conn, last)
            )

        def lease(conn: Connection, wanted: Wanted, ids: list[int]) -> Card | None:
            item_id = store.lease_one(conn, wanted, ids, name)
            return None if item_id is None else _card(conn, found, frozen, item_id)

        # A rare filter looks long; nobody who writes need wait for that.
        passed = set(skip)
        while True:
            wanted, ids = await self.workspace.database.read(look, passed)
            if not ids:
                return None
            card = await self.workspace.database.write(lease, wanted, ids)
            if card is not None:
                return card
            passed.update(ids)

    async def card(self, run: str, item_id: int, *, holder: str | None = None) -> Card:
        """Give an item's card; a reviewer's lease on it is taken or renewed, if nobody else has it.

        Raises NotFound where the run has no such item.
        """
        found = await self.find(run, "viewer")
        frozen = await self.frozen(found)
        if not self.workspace.actor.may("reviewer", found.team_id):
            return await self.workspace.database.read(_card, found, frozen, item_id)
        name = self.holder(holder)

        def look(conn: Connection) -> Card:
            store.load_item(conn, found.id, item_id)
            taken = store.take_lease(conn, item_id, name)
            other = None if taken else store.lease_holder(conn, item_id)
            return _card(conn, found, frozen, item_id, other)

        return await self.workspace.database.write(look)

    async def release(self, run: str, item_id: int, *, holder: str | None = None) -> None:
        """Give an item back that the actor leased; somebody else's lease stays."""
        await self.find(run, "reviewer")
        name = self.holder(holder)
        await self.workspace.database.write(store.drop_lease, item_id, name)

    def holder(self, holder: str | None) -> str:
        """Name who leases: the actor, or one of the actor's desks."""
        name = self.workspace.actor.name
        return f"{name} · {holder}" if holder and holder != name else name

    async def accept(self, run: str, item_id: int, version: int) -> Card:
        """Accept an item as the card of that `version` showed it; give its new card.

        What a person edited stays `edited`, which is published too. Raises Conflict, saying who did
        what, where the item changed since.
        """

        def decide(view: ItemView) -> Decision:
            return Decision("accept", state_after("accept", view.state), self._me)

        return await self._judge(run, item_id, version, "accept", decide)

    async def reject(
        self,
        run: str,
        item_id: int,
        version: int,
        reason: str,
        note: str | None = None,
        fields: Collection[str] | None = None,
    ) -> Card:
        """Reject an item, or rather say which `fields` of it are wrong; give its new card.

        `reason` is one of REASONS. Raises Conflict where the item changed since.
        """
        said = why(reason, note)

        def decide(view: ItemView) -> Decision:
            known = {name for _, name in view.fields()} | {
                one.field for some in view.findings().values() for one in some
            }
            about = tuple(name.rpartition(".")[2] if name not in known else name
                          for name in fields or ())  # fmt: skip
            for name in about:
                if name not in known:
                    raise ConfigError(f"{verdicts.name_of(view)} has no field “{name}”")
            return Decision("reject", "rejected", self._me, said, fields=about)

        return await self._judge(run, item_id, version, "reject", decide, reason=said)

    async def edit(self, run: str, item_id: int, version: int, values: Mapping[str, Any]) -> Card:
        """Replace values of an item's fields, which accepts it as edited; give its new card.

        `values` are by the card's field names; those that are the same already change nothing, and
        where all are, nothing happens. The new values are a new result of origin `human`, with what
        the checks find wrong with them. Raises ConfigError for a value the contract cannot hold,
        and Conflict where the item changed since.
        """
        found = await self.find(run, "reviewer")
        frozen = await self.frozen(found)

        def decide(view: ItemView) -> Decision | None:
            edits = amended(view, frozen, values, {})
            return Decision("edit", "edited", self._me, edits=edits) if edits else None

        names = ", ".join(values)
        return await self._judge(run, item_id, version, "edit", decide, fields=names)

    async def undo(self, run: str, item_id: int) -> Card:
        """Take back the actor's own last verdict on an item; give its new card.

        Again takes back the one before. In an open lot's sample the item is to be looked at again.
        Raises Conflict where there is none, or where somebody else judged the item after it.
        """

        def decide(view: ItemView) -> Decision:
            return verdicts.undo(view, self._me)

        return await self._judge(run, item_id, None, "undo", decide)

    @property
    def _me(self) -> str:
        return self.workspace.actor.name

    async def _judge(
        self,
        run: str,
        item_id: int,
        version: int | None,
        verb: str,
        decide: Callable[[ItemView], Decision | None],
        **detail: Any,
    ) -> Card:
        found = await self.find(run, "reviewer")
        frozen = await self.frozen(found)
        actor = self.workspace.actor

        def write(conn: Connection) -> Card:
            if verb == "undo":
                store_lots.look_again(conn, found.id, item_id)
            with notifying.telling(conn, found):
                view = verdicts.judge(conn, found.id, item_id, version, decide)
            if view.version != version:
                auditing.record(
                    conn, actor, f"item.{verb}", f"run {found.name}", found.team_id,
                    item=item_id, target=view.target, **detail,
                )  # fmt: skip
            return make_card(found, view, frozen, store.live_before(conn, view))

        return await self.workspace.database.write(write)

    # Many items.

    async def count(self, run: str, filters: ItemFilters = EVERY) -> int:
        """Count the items that wait for a verdict and match: what accept_all would accept."""
        found = await self.find(run, "viewer")
        dialect = self.workspace.database.dialect

        def read(conn: Connection) -> int:
            return store.count(conn, waiting_items(conn, found, filters, dialect))

        return await self.workspace.database.read(read)

    async def accept_all(self, run: str, filters: ItemFilters, expected: int) -> int:
        """Accept all items that match and wait (states review and ready); give how many.

        `expected` is the count that was confirmed. Raises Conflict, and accepts none, where another
        number matches now. Items judged by others meanwhile are left to them.
        """
        return await self._judge_all(run, filters, expected, "accept", None)

    async def reject_all(
        self,
        run: str,
        filters: ItemFilters,
        expected: int,
        reason: str,
        note: str | None = None,
    ) -> int:
        """Reject all items that match and wait, as accept_all accepts them; give how many."""
        return await self._judge_all(run, filters, expected, "reject", why(reason, note))

    async def _judge_all(
        self, run: str, filters: ItemFilters, expected: int, verb: Verdict, reason: str | None
    ) -> int:
        found = await self.find(run, "reviewer")
        database, actor = self.workspace.database, self.workspace.actor
        ids = await self.matching(found, filters)
        if len(ids) != expected:
            raise Conflict(
                f"{len(ids):,} items match now, not {expected:,}; look at them and confirm again"
            )
        decision = Decision(
            verb, state_after(verb, "ready"), actor.name, reason, f"{verb} all: {told(filters)}"
        )

        def record(conn: Connection) -> None:
            auditing.record(
                conn, actor, f"run.{verb}-all", f"run {found.name}", found.team_id,
                items=len(ids), filters=given(filters), reason=reason,
            )  # fmt: skip

        if not ids:
            return 0
        return await judge_all(database, found, ids, decision, record)

    async def matching(self, run: Run, filters: ItemFilters) -> Any:
        """Give the ids of the run's items that match and wait, in order, as an array."""
        dialect = self.workspace.database.dialect

        def read(conn: Connection) -> Any:
            return store.ids_of(conn, waiting_items(conn, run, filters, dialect))

        return await self.workspace.database.read(read)

    async def similar(self, run: str, item_id: int, size: int = 20) -> tuple[SimilarItem, ...]:
        """Give items of the run that are like one: near-duplicates first, then of its group."""
        found = await self.find(run, "viewer")
        if not 1 <= size <= MOST_SIMILAR:
            raise ConfigError(f"from 1 to {MOST_SIMILAR} similar items can be shown")

        def read(conn: Connection) -> tuple[SimilarItem, ...]:
            return _similar(conn, store.load_item(conn, found.id, item_id), size)

        return await self.workspace.database.read(read)

    # Lots.

    async def open_lot(
        self,
        run: str,
        filters: ItemFilters = EVERY,
        *,
        confidence: float = 0.95,
        most_bad: float = 0.01,
        allowed: int = 0,
    ) -> Lot:
        """Make a lot of all items that match and wait, and draw its sample at random."""
        promise = lots.Promise(confidence, most_bad, allowed)
        return await lots.open_lot(self, run, filters, promise)

    async def lots(self, run: str) -> tuple[Lot, ...]:
        """Give a run's lots, the newest first."""
        return await lots.list_lots(self, run)

    async def lot(self, lot: int) -> Lot:
        """Give a lot by its id."""
        return await lots.get_lot(self, lot)

    async def lot_next(
        self, lot: int, *, skip: Collection[int] = (), holder: str | None = None
    ) -> Card | None:
        """Lease the next item of a lot's sample that nobody looked at yet; None: no more."""
        return await lots.next_of_lot(self, lot, skip, holder)

    async def judge(
        self,
        lot: int,
        item_id: int,
        good: bool,
        *,
        version: int | None = None,
        reason: str = "other",
        note: str | None = None,
    ) -> Lot:
        """Say whether an item of a lot's sample is good, which accepts it, or bad: rejects it.

        What is edited instead is bad for the lot. Raises Conflict for an item judged already.
        """
        looked = lots.Looked(item_id, good, version, why(reason, note))
        return await lots.judge_sampled(self, lot, looked)

    async def decide_lot(self, lot: int, accept: bool) -> Lot:
        """Accept the rest of a lot on the strength of its sample, or leave the rest in review.

        Raises Conflict where the sample does not prove what was promised.
        """
        return await lots.decide_lot(self, lot, accept)


def _card(
    conn: Connection, run: Run, frozen: Frozen, item_id: int, holder: str | None = None
) -> Card:
    view = store.load_item(conn, run.id, item_id)
    return make_card(run, view, frozen, store.live_before(conn, view), holder)


def _keys(conn: Connection, view: ItemView | None) -> dict[str, tuple[int, ...]]:
    """Give the near-duplicate keys of an item's texts by field."""
    if view is None:
        return {}
    signed = store.signatures_of(conn, view.source_id or view.id)
    return {name: near_duplicates.bands(one) for name, one in signed.items()}


def _similar(conn: Connection, view: ItemView, size: int) -> tuple[SimilarItem, ...]:
    own = store.signatures_of(conn, view.source_id or view.id)
    likeness: dict[int, float | None] = {}
    for item_id, _ in store.alike(conn, view, _keys(conn, view)):
        likeness[item_id] = 0.0
    for item_id in store.of_group(conn, view):
        likeness.setdefault(item_id, None)
    likeness.pop(view.id, None)
    views = store.load_items(conn, view.run_id, list(likeness)[: MOST_SIMILAR * 2])
    for one in views:
        if likeness[one.id] is not None:
            others = store.signatures_of(conn, one.source_id or one.id)
            likeness[one.id] = max(
                (near_duplicates.similarity(own[n], others[n]) for n in own if n in others),
                default=0.0,
            )
    views.sort(key=lambda one: (-(likeness[one.id] or 0.0), one.id))
    return tuple(
        SimilarItem(
            one.id, one.key, one.target, one.state, one.version, likeness[one.id],
            {name: made.values[name] for (_, name), made in one.fields().items()},
        )
        for one in views[:size]
    )  # fmt: skip


__all__ = [
    "EVERY",
    "REASONS",
    "WAITING",
    "Card",
    "CardField",
    "Finding",
    "ItemFilters",
    "Lot",
    "ReviewDesk",
    "Said",
    "SimilarItem",
    "Span",
]

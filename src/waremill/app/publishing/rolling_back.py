"""The use case *roll back*: what a publication replaced is published again.

A rollback is a publication of its own, with receipts; nothing is deleted. Only values that are
still that publication's are touched: what was published after it stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.publishing import background
from waremill.app.publishing.channels import Opened, find_channel, open_channel, outputs_of
from waremill.app.publishing.distinct import Distinct
from waremill.app.publishing.history import find_publication, shown
from waremill.app.publishing.making import opening
from waremill.app.publishing.shapes import PublicationShown
from waremill.app.publishing.tally import Tally
from waremill.app.publishing.writing import (
    add_receipts,
    fail,
    settle_unfinished,
    write_and_count,
)
from waremill.errors import Conflict
from waremill.store import published as store_published
from waremill.store import publishing as store
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.published import Live
from waremill.store.publishing import Publication, Receipt
from waremill.store.tables import AnyRow

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


async def roll_back(workspace: Workspace, name: str, out: Sequence[str] = ()) -> PublicationShown:
    """Publish again what a publication replaced, value by value; give the new publication.

    `out` names other files, or the database where the settings do not. For operators. Raises
    Conflict for a publication that is not done, or of which nothing is live any more.
    """
    async with _prepared(workspace, name, out) as (opened, found, publication):
        return await _restore(workspace, opened, publication, found)


async def begin_rollback(workspace: Workspace, name: str) -> PublicationShown:
    """Begin to roll a publication back, and give the rollback; it is finished by this process."""
    async with AsyncExitStack() as stack:
        prepared = _prepared(workspace, name, ())
        opened, found, publication = await stack.enter_async_context(prepared)
        rest = stack.pop_all()
    work = _restore(workspace, opened, publication, found)
    background.go_on(workspace, publication, rest, work)
    return await shown(workspace, publication.id)


@asynccontextmanager
async def _prepared(
    workspace: Workspace, name: str, out: Sequence[str]
) -> AsyncIterator[tuple[Opened, Publication, Publication]]:
    """Open the channel; give it, what is rolled back, and the publication that does so."""
    found = await find_publication(workspace, name)
    workspace.actor.need("operator", found.team_id, f"publication {found.name}")
    await settle_unfinished(workspace, found.channel)
    found = await workspace.database.read(store.get_publication, found.id)
    if found.state != "done":
        raise Conflict(f"publication {found.name} is {found.state}; only a done one is rolled back")
    settings = await find_channel(workspace, found.channel, found.team_id)
    opened = await asyncio.to_thread(open_channel, workspace, settings, out)
    try:
        outputs = dict(found.outputs)
        if out:
            outputs = outputs_of(opened, workspace.settings.root, out, tuple(outputs))
        publication = await workspace.database.write(_open, workspace, opened, found, outputs)
        yield opened, found, publication
    finally:
        opened.channel.close()


def _open(
    conn: Connection,
    workspace: Workspace,
    opened: Opened,
    found: Publication,
    outputs: dict[str, str],
) -> Publication:
    made = store.open_publication(
        conn,
        {**opening(workspace, opened, conn), "run_id": found.run_id, "team_id": found.team_id,
         "stage": found.stage, "rolls_back_id": found.id, "outputs": outputs},
    )  # fmt: skip
    auditing.record(
        conn, workspace.actor, "publication.rollback", f"publication {found.name}", found.team_id,
        channel=found.channel, by=made.name,
    )  # fmt: skip
    return made


async def _restore(
    workspace: Workspace, opened: Opened, publication: Publication, found: Publication
) -> PublicationShown:
    tally, stays, moved_on, taken = Tally(), 0, 0, 0
    database, whole = workspace.database, opened.channel.whole
    run = await database.read(store_runs.get_run, found.run_id)
    distinct = Distinct(workspace, run, opened)
    end = await database.read(store.last_receipt, found.id)
    try:
        async for page in _whole_rows(workspace, found.id):
            before = await database.read(_before, found, page, end, whole)
            moved_on, stays = moved_on + before.newer, stays + before.stays
            others = await _taken(database, opened, distinct, before)
            taken += len(others)
            receipts = [one for one in before.receipts if _place(one) not in others]
            for one in receipts:
                tally.count(one.field, "taken_back" if one.value is None else "changed")
            tally.rows["changed"] += len({_place(one) for one in receipts})
            await add_receipts(workspace, publication, receipts, tally)
        if not tally.fields:
            raise Conflict(f"nothing of publication {found.name} is live any more")
        if moved_on:
            tally.notes.append(f"{moved_on:,} values were published anew since; they stay")
        if stays:
            tally.notes.append(f"{stays:,} values had none before; they stay as they are")
        if taken:
            tally.notes.append(f"{taken:,} products stay as they are: others have their ids now")
        await write_and_count(workspace, opened, publication, tally)
    except BaseException as error:
        await fail(workspace, publication, error)
        raise
    finally:
        distinct.close()
    return await shown(workspace, publication.id)


async def _whole_rows(workspace: Workspace, publication_id: int) -> AsyncIterator[list[AnyRow]]:
    """Read a publication's receipts in pages that part no product's values."""
    held: list[AnyRow] = []
    after = 0
    while page := await workspace.database.read(store.receipts_page, publication_id, after):
        after = page[-1].id
        held += page
        whole = [row for row in held if _place(row) != _place(held[-1])]
        held = held[len(whole) :]
        if whole:
            yield whole
    if held:
        yield held


def _place(row: AnyRow | Receipt) -> tuple[str, int]:
    return row.target, row.product_id


async def _taken(
    database: Database, opened: Opened, distinct: Distinct, before: _Before
) -> set[tuple[str, int]]:
    """Find the products, by target, that would get an id back which another one has by now."""
    channel, found = opened.channel, set[tuple[str, int]]()
    again: dict[str, dict[int, dict[str, Any]]] = {}
    for (target, product_id), own in _by_place(before.receipts).items():
        now = {
            name: one.value for name, one in before.live[target].get(product_id, {}).items()
            if one.value is not None
        }  # fmt: skip
        then = {**now, **{one.field: one.value for one in own}}
        if (channel.identity(now), channel.group_identity(now)) != (
            channel.identity(then), channel.group_identity(then)
        ):  # fmt: skip
            again.setdefault(target, {})[product_id] = then
    for target, some in again.items():
        items = await database.read(store.as_accepted, sorted(some), target)
        refused, _ = await distinct.judge([(one, some[one.product_id]) for one in items])
        found |= {(target, number) for number in refused}
    return found


def _by_place(receipts: Sequence[Receipt]) -> dict[tuple[str, int], list[Receipt]]:
    found: dict[tuple[str, int], list[Receipt]] = {}
    for one in receipts:
        found.setdefault(_place(one), []).append(one)
    return found


@dataclass(frozen=True, slots=True)
class _Before:
    """What stood before a page of receipts, and what is live now.

    `newer` counts values that are not live any more, `stays` those that had none before.
    """

    receipts: list[Receipt]
    live: Mapping[str, Mapping[int, Mapping[str, Live]]]
    newer: int
    stays: int


def _before(
    conn: Connection, found: Publication, page: Sequence[AnyRow], end: int, whole: bool
) -> _Before:
    """Give what stood before a publication's values; count those not live now, and those that stay.

    What had nothing before is taken back, but stays in a database, and where its row has got newer
    values: a row is never left without its parts.
    """
    earlier = store.receipts_by_id(conn, [row.before_id for row in page if row.before_id])
    live = {
        target: store_published.live_values(
            conn, found.channel, target, sorted({one.product_id for one in page})
        )
        for target in {row.target for row in page}
    }
    shown = {
        one.receipt_id for some in live.values() for fields in some.values()
        for one in fields.values() if one.receipt_id > end
    }  # fmt: skip
    back = store.restored(conn, sorted(shown))
    receipts, newer, stays = [], 0, 0
    for row in page:
        fields = {
            name: back.get(one.receipt_id, one.receipt_id)
            for name, one in live[row.target].get(row.product_id, {}).items()
        }
        if fields.get(row.field) != row.id:
            newer += 1
            continue
        before = earlier.get(row.before_id)
        text = before.value if before is not None else row.before
        moved_on = any(one is not None and one > end for one in fields.values())
        if text is None and (moved_on or not whole):
            stays += 1
            continue
        value = None if text is None else orjson.loads(text)
        result = before.result_id if before is not None else None
        receipts.append(Receipt(row.target, row.product_id, row.field, value, result, row.id))
    return _Before(receipts, live, newer, stays)

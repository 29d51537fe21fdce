"""The use case *roll back*: what a publication replaced is published again.

A rollback is a publication of its own, with receipts; nothing is deleted. Only values that are
still that publication's are touched: what was published after it stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.publishing import background
from waremill.app.publishing.channels import Opened, find_channel, open_channel, outputs_of
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
    tally, after, last = Tally(), 0, ("", 0)
    stays = moved_on = 0
    end = await workspace.database.read(store.last_receipt, found.id)
    try:
        while page := await workspace.database.read(store.receipts_page, found.id, after):
            after = page[-1].id
            whole = opened.channel.whole
            receipts, newer, kept = await workspace.database.read(_before, found, page, end, whole)
            moved_on, stays = moved_on + newer, stays + kept
            for one in receipts:
                tally.count(one.field, "taken_back" if one.value is None else "changed")
                tally.rows["changed"] += (one.target, one.product_id) != last
                last = (one.target, one.product_id)
            await add_receipts(workspace, publication, receipts, tally)
        if not tally.fields:
            raise Conflict(f"nothing of publication {found.name} is live any more")
        if moved_on:
            tally.notes.append(f"{moved_on:,} values were published anew since; they stay")
        if stays:
            tally.notes.append(f"{stays:,} values had none before; they stay as they are")
        await write_and_count(workspace, opened, publication, tally)
    except BaseException as error:
        await fail(workspace, publication, error)
        raise
    return await shown(workspace, publication.id)


def _before(
    conn: Connection, found: Publication, page: Sequence[AnyRow], end: int, whole: bool
) -> tuple[list[Receipt], int, int]:
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
    return receipts, newer, stays

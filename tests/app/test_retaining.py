"""Retention of what runs leave behind: what is still somebody's stays, and all that counts."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, update
from tests.app.desks import desk, desk_workspace, finished_run
from tests.databases import database_url, migrated_postgres, migrated_sqlite

from waremill.app import Workspace, open_workspace
from waremill.app.keeping import storage_at
from waremill.app.operations.retaining import Retained, retain
from waremill.app.uploading import UPLOADS
from waremill.errors import ConfigError
from waremill.store import items as store_items
from waremill.store import runs as store_runs
from waremill.store.tables import (
    calls,
    current,
    derivations,
    items,
    marks,
    product_versions,
    products,
    recordings,
    results,
    runs,
)
from waremill.store.tables_batches import batch_requests, batches

__all__ = ["database_url", "migrated_postgres", "migrated_sqlite"]
DAY = 86_400


@pytest.fixture
async def shop(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with desk_workspace(tmp_path, database_url) as opened:
        yield opened


async def applied(shop: Workspace, settings: str, *, really: bool = True) -> dict[str, int]:
    """Retain by these settings; give how many were deleted, by kind."""
    file = shop.settings.root / "waremill.toml"
    before = file.read_text()
    file.write_text(f"{before}[retention]\n{settings}\n")
    try:
        async with open_workspace(shop.settings.root) as again:
            found: list[Retained] = await retain(again, really=really)
    finally:
        file.write_text(before)
    return {one.kind: one.rows for one in found}


async def rows(shop: Workspace, query: Any) -> list[Any]:
    return await shop.database.read(lambda conn: list(conn.execute(query)))


async def change(shop: Workspace, *statements: Any) -> None:
    def write(conn: Connection) -> None:
        for one in statements:
            conn.execute(one)

    await shop.database.write(write)


def ended(run: int, days: float) -> Any:
    return update(runs).where(runs.c.id == run).values(ended_at=time.time() - days * DAY)


async def test_what_an_old_run_made_goes_once_a_newer_one_made_it_again(shop: Workspace) -> None:
    old = await finished_run(shop)
    new = await finished_run(shop, title="Another {n}", fresh=True)
    await change(shop, ended(old.id, 40), ended(new.id, 35))
    live = await rows(shop, select(current).order_by(current.c.product_id))
    status = await shop.status(old.name)
    assert (await applied(shop, "runs = 30", really=False))["runs"] == 4
    assert (
        len(
            await rows(
                shop,
                select(results)
                .join(items, items.c.id == results.c.item_id)
                .where(items.c.run_id == old.id),
            )
        )
        == 4
    )
    assert (await applied(shop, "runs = 30"))["runs"] == 4
    left = await rows(
        shop, select(items.c.run_id, results.c.item_id).join(items, items.c.id == results.c.item_id)
    )
    assert {row.run_id for row in left} == {new.id}, "the newest of a field stays, however old"
    assert await rows(shop, select(current).order_by(current.c.product_id)) == live
    assert await shop.status(old.name) == status, "it counts as before"
    assert (await applied(shop, "runs = 30"))["runs"] == 0


async def test_the_last_accepted_a_mark_and_what_was_linked_to_stay(shop: Workspace) -> None:
    old = await finished_run(shop, every=9)
    first, second, third, fourth = await rows(
        shop, select(items.c.id, items.c.product_id).order_by(items.c.id)
    )
    new = await finished_run(shop, title="Another {n}", fresh=True, every=9)
    later = items.c.run_id == new.id
    await change(
        shop, ended(old.id, 40),
        update(items).where(items.c.id == first.id).values(state="accepted"),
        insert(marks).values(item_id=second.id, field="title", product_id=second.product_id,
                             target="", verdict="right", by="ann", created_at=0),
        update(items).where(later, items.c.product_id == third.product_id)
        .values(source_id=third.id),
    )  # fmt: skip
    assert (await applied(shop, "runs = 30"))["runs"] == 1
    kept = await rows(shop, select(results.c.item_id).distinct())
    assert {first.id, second.id, third.id} <= {row.item_id for row in kept}
    assert fourth.id not in {row.item_id for row in kept}
    # The last accepted is another one now.
    await change(shop, update(items).where(later, items.c.product_id == first.product_id)
                 .values(state="edited"))  # fmt: skip
    assert (await applied(shop, "runs = 30"))["runs"] == 1


async def test_versions_go_with_the_last_item_pinned_to_them(shop: Workspace) -> None:
    old = await finished_run(shop)
    pinned = await rows(shop, select(items.c.product_id, items.c.product_version))
    await change(
        shop, ended(old.id, 40),
        *(insert(product_versions).values(product_id=row.product_id, version=row.product_version,
                                          attributes={}) for row in pinned),
        update(products).where(products.c.id == pinned[0].product_id).values(version=5),
    )  # fmt: skip
    await finished_run(shop, title="Another {n}", fresh=True)
    await applied(shop, "runs = 30")
    left = await rows(shop, select(product_versions.c.product_id))
    assert pinned[0].product_id not in {row.product_id for row in left}
    assert len(left) == 3, "the newer run's items are pinned to the other ones"


async def test_nothing_of_a_run_that_goes_on_or_ended_lately_is_touched(shop: Workspace) -> None:
    old = await finished_run(shop)
    await finished_run(shop, title="Another {n}", fresh=True)
    await change(shop, ended(old.id, 10))
    assert (await applied(shop, "runs = 30\ncalls = 30"))["runs"] == 0
    await change(shop, ended(old.id, 99),
                 update(runs).where(runs.c.id == old.id).values(state="paused"))  # fmt: skip
    assert (await applied(shop, "runs = 30"))["runs"] == 0


async def test_an_emptied_item_that_failed_is_not_tried_again(shop: Workspace) -> None:
    old = await finished_run(shop)
    await finished_run(shop, title="Another {n}", fresh=True)
    await change(shop, ended(old.id, 40),
                 update(items).where(items.c.run_id == old.id).values(state="failed"))  # fmt: skip
    await applied(shop, "runs = 30")
    again = await shop.database.read(store_runs.get_run, old.id)
    assert await shop.database.write(store_items.retry_some, again) == 0


async def test_calls_and_batches_of_old_runs_go_and_their_sums_stay(shop: Workspace) -> None:
    old = await finished_run(shop)
    new = await finished_run(shop, title="Another {n}", fresh=True)
    for run in (old.id, new.id):
        await change(
            shop,
            insert(calls).values(
                run_id=run, item_id=1, step="copy", model="m", request_hash=b"x" * 16, attempt=1,
                outcome="complete", latency=1, input=1, cached=0, output=1, reasoning=0,
                started_at=0,
            ),
            insert(batches).values(
                run_id=run, key=f"{run}", model="m", state="settled", requests=1, bytes=1,
                tokens=1, reserved=0, paid=0, done=1, failed=0, answered=1, created_at=0,
            ),
            insert(batch_requests).values(
                run_id=run, hash=b"x" * 16, model="m", state="new", body=b"{}", item_id=1,
                step="copy", target="", tries=0,
            ),
        )  # fmt: skip
    await change(shop, ended(old.id, 40))
    found = await applied(shop, "calls = 30\nbatches = 30")
    assert (found["calls"], found["batches"]) == (1, 1)
    for table in (calls, batches, batch_requests):
        assert [row.run_id for row in await rows(shop, select(table.c.run_id))] == [new.id]


async def test_pictures_nothing_refers_to_go_and_others_stay(shop: Workspace) -> None:
    await finished_run(shop)
    storage = storage_at(shop.settings.pictures.storage)
    names = ("result", "photo", "marked", "made", "young", "again", "lost")
    kept = {name: await storage.keep(name.encode(), "image/png") for name in names}
    item = (await rows(shop, select(items)))[0]
    await change(
        shop,
        insert(results).values(
            item_id=item.id, product_id=item.product_id, target="", step="p", origin="model",
            values=f'{{"image": "{kept["result"]}"}}', created_at=0,
        ),
        insert(recordings).values(item_id=item.id, name="p", value=f'"{kept["photo"]}"'),
        insert(marks).values(item_id=item.id, field="image", product_id=item.product_id,
                             target="", verdict="corrected", value=f'"{kept["marked"]}"',
                             by="ann", created_at=0),
        insert(derivations).values(hash=b"d" * 16, what="cutout", value=f'"{kept["made"]}"',
                                   seconds=1, created_at=0),
    )  # fmt: skip
    old = time.time() - 40 * DAY
    for name in kept.keys() - {"young"}:
        path = storage.path(kept[name])
        assert path is not None
        os.utime(path, (old, old))
    assert await storage.keep(b"again", "image/png") == kept["again"]
    assert (await applied(shop, "pictures = 30", really=False))["pictures"] == 2
    assert (await applied(shop, "pictures = 30"))["pictures"] == 2
    left = {name for name, one in kept.items() if await storage.has(one)}
    assert left == {"result", "photo", "marked", "young", "again"}
    assert not await rows(shop, select(derivations)), "it is made again where it is wanted"


async def test_old_logs_and_uploads_go(shop: Workspace) -> None:
    root, old = shop.settings.root, time.time() - 40 * DAY
    for place in (".waremill/logs/old.log", ".waremill/logs/new.log",
                  f"{UPLOADS}/me/old/sheet.csv", f"{UPLOADS}/me/new/sheet.csv"):  # fmt: skip
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text("x")
    os.utime(root / ".waremill/logs/old.log", (old, old))
    os.utime(root / f"{UPLOADS}/me/old", (old, old))
    found = await applied(shop, "logs = 30")
    assert found == {"logs": 1, "uploads": 1}
    assert not (root / ".waremill/logs/old.log").exists()
    assert (root / ".waremill/logs/new.log").exists()
    assert [path.name for path in (root / UPLOADS / "me").iterdir()] == ["new"]


async def test_pictures_in_an_object_store_are_refused_in_one_sentence(shop: Workspace) -> None:
    file = shop.settings.root / "waremill.toml"
    file.write_text(f'{file.read_text()}[pictures]\nstorage = "memory://shop"\n')
    with pytest.raises(ConfigError, match="is for a local folder"):
        await applied(shop, "pictures = 30")


async def test_reviews_show_what_is_left(shop: Workspace) -> None:
    """A card of an emptied item is no bug: it has no fields any more."""
    old = await finished_run(shop)
    await finished_run(shop, title="Another {n}", fresh=True)
    await change(shop, ended(old.id, 40))
    await applied(shop, "runs = 30")
    item = (await rows(shop, select(func.min(items.c.id)).where(items.c.run_id == old.id)))[0][0]
    card = await desk(shop).card(old.name, item)
    assert card.key and all(field.value is None for field in card.fields)

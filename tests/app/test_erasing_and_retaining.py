"""Erasure takes a product's data and nobody else's; retention deletes what is old, no more."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, select, text, update
from tests.databases import database_url, migrated_postgres, migrated_sqlite
from tests.workspaces import make_workspace, perfumes, vendor_process, write_sheet

from waremill.app import Workspace, open_workspace
from waremill.app.keeping import storage_at
from waremill.app.operations.erasing import erase
from waremill.app.operations.retaining import retain
from waremill.errors import ConfigError, Conflict, NotFound
from waremill.store import retaining as store_retaining
from waremill.store.tables import answers, items, metadata, products, results, spend
from waremill.store.tables_chat import chat_turns, conversations
from waremill.store.tables_publishing import refusals

__all__ = ["database_url", "migrated_postgres", "migrated_sqlite"]


@pytest.fixture(scope="module")
def vendor_url() -> Iterator[str]:
    with vendor_process() as url:
        yield url


@pytest_asyncio.fixture
async def shop(tmp_path: Path, vendor_url: str, database_url: str) -> AsyncIterator[Workspace]:
    """Six products written twice, of which the last two are the same but for their keys."""
    folder = make_workspace(tmp_path / "shop", vendor_url, database=database_url)
    rows = perfumes(6, f"{tmp_path.name} zq")
    rows[5] = {**rows[4], "sku": rows[5]["sku"]}
    sheet = write_sheet(folder / "perfumes.csv", rows)
    async with open_workspace(folder) as workspace:
        await workspace.import_catalog([sheet], key="sku")
        await workspace.run("copy")
        yield workspace


async def everything(workspace: Workspace) -> str:
    """All rows of all tables, as text."""

    def read(conn: Connection) -> str:
        found = []
        for table in metadata.sorted_tables:
            found += [f"{table.name}: {tuple(row)}" for row in conn.execute(select(table))]
        return "\n".join(found)

    return await workspace.database.read(read)


async def rows(workspace: Workspace, query: Any) -> list[Any]:
    return await workspace.database.read(lambda conn: list(conn.execute(query)))


async def test_nothing_of_an_erased_product_is_left_but_sums(shop: Workspace) -> None:
    name = (await shop.products("_key = 'P0001'"))[1][0].attributes["name"]
    product = select(products.c.id).where(products.c.key == "P0001").scalar_subquery()
    refused = {"publication_id": 1, "number": 1, "product_id": product, "target": "",
               "field": "title", "message": f"“{name}” is too long"}  # fmt: skip
    await shop.database.write(lambda conn: conn.execute(insert(refusals).values(refused)))
    money = await rows(shop, select(spend))
    assert name in await everything(shop)
    dry = await erase(shop, ["P0001"])
    assert not dry.done and dry.counts["results"] == 1 and dry.counts["answers"] >= 1
    assert name in await everything(shop), "a dry run does nothing"
    done = await erase(shop, ["P0001"], really=True)
    assert done.counts == dry.counts and done.done
    left = await everything(shop)
    assert name not in left and "P0001" not in left
    assert hashlib.sha256(b"1:P0001").hexdigest() in left, "the audit log has the key's hash"
    assert await rows(shop, select(spend)) == money
    assert (await shop.products())[2] == 5
    status = await shop.status("last")
    assert (status.total, status.done) == (6, 6)
    with pytest.raises(NotFound):
        await erase(shop, ["P0001"], really=True)


async def test_what_others_have_too_stays(shop: Workspace) -> None:
    before = len(await rows(shop, select(answers)))
    dry = await erase(shop, ["P0004"])
    assert dry.counts["answers"] == 0, "its twin has the same answer"
    await erase(shop, ["P0004"], really=True)
    assert len(await rows(shop, select(answers))) == before
    both = await erase(shop, ["P0005"], really=True)
    assert both.counts["answers"] == 1
    assert len(await rows(shop, select(answers))) == before - 1


async def test_a_picture_goes_with_the_last_product_that_refers_to_it(shop: Workspace) -> None:
    storage = storage_at(shop.settings.pictures.storage)
    own = await storage.keep(b"own", "image/png")
    shared = await storage.keep(b"shared", "image/png")
    for key, reference in (("P0000", own), ("P0000", shared), ("P0001", shared)):

        def add(conn: Connection, key: str = key, reference: str = reference) -> None:
            item = conn.execute(
                select(items).join(products, products.c.id == items.c.product_id)
                .where(products.c.key == key)
            ).one()  # fmt: skip
            conn.execute(insert(results).values(
                item_id=item.id, product_id=item.product_id, target="", step="picture",
                origin="model", values=f'{{"image": "{reference}"}}', created_at=0,
            ))  # fmt: skip

        await shop.database.write(add)
    done = await erase(shop, ["P0000"], really=True)
    assert done.counts["pictures"] == 1
    assert not await storage.has(own) and await storage.has(shared)
    await erase(shop, ["P0001"], really=True)
    assert not await storage.has(shared)


async def test_an_unknown_key_or_a_run_that_waits_stops_everything(shop: Workspace) -> None:
    with pytest.raises(NotFound, match="P9999"):
        await erase(shop, ["P0000", "P9999"], really=True)
    await shop.database.write(lambda conn: conn.execute(update(items).values(state="pending")))
    await shop.database.write(lambda conn: conn.execute(text("UPDATE runs SET state = 'paused'")))
    with pytest.raises(Conflict, match="still to work"):
        await erase(shop, ["P0000"], really=True)
    assert (await shop.products())[2] == 6


async def test_an_erased_product_can_be_imported_and_written_again(shop: Workspace) -> None:
    await erase(shop, ["P0002"], really=True)
    sheet = shop.settings.root / "perfumes.csv"
    await shop.import_catalog([sheet], key="sku")
    assert (await shop.products())[2] == 6
    assert (await shop.run("copy")).done == 6
    await erase(shop, ["P0002"], really=True)
    assert (await shop.products())[2] == 5


async def test_everything_is_kept_unless_something_is_set(shop: Workspace) -> None:
    with pytest.raises(ConfigError, match="everything is kept"):
        await retain(shop, really=True)


async def test_only_what_is_older_than_its_days_is_deleted(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_retaining, "ROWS_AT_ONCE", 2)
    (shop.settings.root / "waremill.toml").open("a").write("[retention]\nanswers = 30\nchats = 7\n")
    now = time.time()

    def age(conn: Connection) -> None:
        old = [row.id for row in conn.execute(select(answers.c.id).order_by(answers.c.id))][:3]
        conn.execute(
            update(answers).where(answers.c.id.in_(old)).values(created_at=now - 31 * 86400)
        )
        for n, days in enumerate((8, 1, 9, 8)):
            chat = conn.execute(insert(conversations).values(
                owner="a", title=f"{n}", knowledge="[]", model="m", created_at=now - 90 * 86400,
                changed_at=now - days * 86400,
            ).returning(conversations.c.id)).scalar_one()  # fmt: skip
            conn.execute(insert(chat_turns).values(
                conversation_id=chat, take=0, state="complete", model="m", question="q", reply="r",
                made="{}", input=0, output=0, cached=0, seconds=0, created_at=now,
            ))  # fmt: skip

    await shop.database.write(age)
    count = len(await rows(shop, select(answers)))
    async with open_workspace(shop.settings.root) as again:
        dry = await retain(again)
        assert [(one.kind, one.rows) for one in dry] == [
            ("answers", 3),
            ("chats", 3),
            ("uploads", 0),
        ]
        assert len(await rows(again, select(answers))) == count
        done = await retain(again, really=True)
        assert [one.rows for one in done] == [3, 3, 0]
        assert len(await rows(again, select(answers))) == count - 3
        assert [row.title for row in await rows(again, select(conversations))] == ["1"]
        assert len(await rows(again, select(chat_turns))) == 1
        assert [one.rows for one in await retain(again, really=True)] == [0, 0, 0]

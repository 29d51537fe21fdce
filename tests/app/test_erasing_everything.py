"""A marker is planted in a product, everything is done with it, it is erased: nobody has it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, select, update
from tests.databases import database_url, migrated_postgres, migrated_sqlite
from tests.vendor import Vendor
from tests.workspaces import make_workspace, write_sheet

from waremill.app import Workspace, open_workspace
from waremill.app.keeping import storage_at
from waremill.app.notifying import Webhooks
from waremill.app.operations.erasing import erase
from waremill.app.reviewing import ReviewDesk
from waremill.checks import near_duplicates
from waremill.errors import Conflict
from waremill.store import requests as store_requests
from waremill.store.tables import dumps, items, marks, metadata, products, results, runs
from waremill.store.tables_batches import batch_requests, batch_waiters
from waremill.store.tables_publishing import publications, published, receipts

__all__ = ["database_url", "migrated_postgres", "migrated_sqlite"]
MARK = "ZQMARK"
KEY = f"{MARK}-1"
LEARNED = """\
name: copy
instruction: Write a title and points.
input:
  - name: {required: true}
  - notes: {max_chars: 400}
examples: {from: reviews, top: 2}
output:
  title: {type: string, max_chars: 60}
  points: {type: array, items: {type: string, max_chars: 80}, min: 1, max: 3}
"""
ROWS = [
    {"sku": KEY, "line": "G", "name": f"Eau {MARK} one", "notes": f"{MARK} moss",
     "photo": "photos/one.png"},
    {"sku": "MATE", "line": "G", "name": "Eau of the same line", "notes": "rose", "photo": ""},
    {"sku": "OTHER", "line": "", "name": "Eau quite another", "notes": "fig", "photo": ""},
]  # fmt: skip
ERASED = """products product_versions items results current answers calls recordings derivations
signatures reviews findings leases marks deliveries requests batch_requests batch_waiters vectors
documents receipts published refusals"""
NEVER_HAS_ANY = """catalogs pipeline_versions fingerprints runs workers rates bands spend outcomes
waits lots lot_items batches leads audit teams users members tokens sessions owners webhooks
schedules schedule_slots source_states source_files publications selections versions
identities"""
WRITTEN_BY_PEOPLE = """conversations chat_turns knowledge_bases knowledge_documents
knowledge_pieces"""


def _of_the_product(request: dict[str, Any], _path: str) -> str:
    """Word a reply from the product alone, which comes after the examples."""
    name = re.findall(r"name: ([\w ]+)", request["messages"][-1]["content"])[-1]
    return dumps({"title": name, "points": [f"all of {name}"]})


@pytest_asyncio.fixture
async def vendor_url() -> AsyncIterator[str]:
    async with Vendor(reply=_of_the_product) as vendor:
        yield vendor.url


@pytest_asyncio.fixture
async def shop(tmp_path: Path, vendor_url: str, database_url: str) -> AsyncIterator[Workspace]:
    folder = make_workspace(
        tmp_path / "shop", vendor_url, database=database_url, concurrency=1,
        files={"templates/copy.yaml": LEARNED},
    )  # fmt: skip
    with (folder / "waremill.toml").open("a") as file:
        file.write("[server]\nallow_private_webhooks = true\n")
    (folder / "photos").mkdir()
    (folder / "photos" / "one.png").write_bytes(MARK.encode())
    sheet = write_sheet(tmp_path / "perfumes.csv", ROWS)
    async with open_workspace(folder) as workspace:
        await workspace.import_catalog([sheet], key="sku", group="line")
        yield workspace


async def work(shop: Workspace, folder: Path) -> str:
    """Do with the product what leaves a trace, and give the reference of its picture.

    Earlier versions, runs and a trial, edits that become examples, messages, findings of others
    that name it; what takes a vendor's batch, a channel or a server is written as these write it.
    """
    await Webhooks(shop).add("http://127.0.0.1:9/told", ["item.accepted"])
    await shop.run("copy")
    desk = ReviewDesk(shop)
    while (card := await desk.next("last")) is not None:
        await desk.edit("last", card.item_id, card.version, {"title": f"For {card.key}"})
    rows = [{**ROWS[0], "notes": f"{MARK} vetiver"}, *ROWS[1:]]
    await shop.import_catalog([write_sheet(folder / "perfumes.csv", rows)], key="sku", group="line")
    await shop.run("copy")
    trial = await shop.trial("copy", size=3, fresh=True)
    storage = storage_at(shop.settings.pictures.storage)
    picture = await storage.keep(MARK.encode(), "image/png")
    await shop.database.write(_plant, picture)
    small = shop.settings.root / ".waremill" / "thumbnails" / picture[6:8]
    small.mkdir(parents=True)
    (small / f"{picture[6:70]}-160.webp").write_bytes(MARK.encode())
    assert trial.status.done == 3
    return picture


def _plant(conn: Connection, picture: str) -> None:
    """Write what only a picture step, a batch, a mark, a server and a channel write."""
    ids = dict(conn.execute(select(products.c.key, products.c.id)).all())
    of = {
        row.product_id: row
        for row in conn.execute(select(items).order_by(items.c.id))
    }  # fmt: skip
    mine, mate = of[ids[KEY]], of[ids["MATE"]]
    conn.execute(insert(results), [
        {"item_id": mine.id, "product_id": ids[KEY], "target": "", "step": "p", "origin": "model",
         "values": dumps({"image": picture}), "created_at": 0},
        {"item_id": mine.id, "product_id": ids["G"], "target": "", "step": "g", "origin": "model",
         "values": dumps({"line": f"with {MARK} moss"}), "created_at": 0},
        {"item_id": mine.id, "product_id": ids["G"], "target": "", "step": "h", "origin": "model",
         "values": dumps({"line": "with roses"}), "created_at": 0},
    ])  # fmt: skip
    near = near_duplicates.finding("title", KEY, 0.93)
    conn.execute(
        update(results).where(results.c.item_id == mate.id).values(findings=dumps([near.as_json()]))
    )
    store_requests.begin(conn, "ann", "a" * 20, b"digest")
    body = dumps({"key": KEY, "values": {}}).encode()
    store_requests.finish(conn, "ann", "a" * 20, (200, body, "application/json"))
    store_requests.begin(conn, "ann", "b" * 20, b"digest")
    store_requests.finish(conn, "ann", "b" * 20, (200, b"another's", "text/plain"))
    conn.execute(insert(batch_requests).values(
        run_id=mine.run_id, hash=b"x" * 16, model="m", state="new", body=MARK.encode(),
        item_id=mine.id, step="copy", target="", tries=0,
    ))  # fmt: skip
    conn.execute(insert(batch_waiters).values(
        run_id=mine.run_id, hash=b"x" * 16, item_id=mine.id
    ))  # fmt: skip
    conn.execute(insert(marks).values(
        item_id=mine.id, field="title", product_id=ids[KEY], target="", verdict="corrected",
        value=dumps(MARK), by="ann", created_at=0,
    ))  # fmt: skip
    number = conn.execute(insert(publications).values(
        name="p1", run_id=mine.run_id, channel="shop", format="workbook", stage="all", state="done",
        mapping="{}", outputs="[]", by="ann", created_at=0,
    ).returning(publications.c.id)).scalar_one()  # fmt: skip
    receipt = conn.execute(insert(receipts).values(
        publication_id=number, target="", product_id=ids[KEY], field="title", hash=b"h",
        value=MARK, before=MARK,
    ).returning(receipts.c.id)).scalar_one()  # fmt: skip
    conn.execute(insert(published).values(
        channel="shop", target="", product_id=ids[KEY], field="title", receipt_id=receipt
    ))  # fmt: skip


async def dump(shop: Workspace) -> dict[str, str]:
    """All rows of all tables, as text, by table."""

    def read(conn: Connection) -> dict[str, str]:
        return {
            table.name: "\n".join(str(tuple(row)) for row in conn.execute(select(table)))
            for table in metadata.sorted_tables
        }

    return await shop.database.read(read)


def files_with(folder: Path, marker: str) -> list[str]:
    return sorted(
        f"{path.relative_to(folder)}" for path in folder.rglob("*")
        if path.is_file() and marker.encode() in path.read_bytes()
    )  # fmt: skip


async def test_a_marker_is_nowhere_in_the_database_nor_below_the_workspace(
    shop: Workspace, tmp_path: Path
) -> None:
    picture = await work(shop, tmp_path)
    held = {table for table, text in (await dump(shop)).items() if MARK in text}
    assert held >= {
        "products", "product_versions", "results", "answers", "documents", "deliveries",
        "requests", "batch_requests", "receipts", "marks",
    }  # fmt: skip
    await erase(shop, [KEY], really=True)
    left = await dump(shop)
    assert {table: text for table, text in left.items() if MARK in text} == {}
    root = shop.settings.root
    # What people put beside it is theirs: the photo, like sheets, exports and backups.
    assert files_with(root, MARK) == ["photos/one.png"]
    assert not await storage_at(shop.settings.pictures.storage).has(picture)
    assert "with roses" in left["results"], "what a group's own results do not say of it stays"
    assert "another's" in left["requests"] and "MATE" in left["deliveries"]
    assert "Eau of the same line" in left["documents"], "others stay examples"
    group = next(line for line in left["products"].splitlines() if "'G'" in line)
    assert "MATE" in group and KEY not in group


async def test_runs_go_on_after_one_of_a_line_was_erased(shop: Workspace, tmp_path: Path) -> None:
    await work(shop, tmp_path)
    await erase(shop, [KEY], really=True)
    await shop.database.write(
        lambda conn: conn.execute(
            update(items).where(items.c.product_version != 0).values(state="failed")
        )
    )
    ended = await shop.resume("last", retry_failed=True)
    assert (ended.state, ended.failed) == ("done", 0)
    assert (await shop.run("copy", fresh=True)).done == 2


@pytest.mark.parametrize("state", ["pending", "waiting"])
@pytest.mark.parametrize("whose", [KEY, "MATE"])
async def test_a_batch_under_way_or_one_of_its_line_to_do_stops_an_erasure(
    shop: Workspace, state: str, whose: str
) -> None:
    """A group's pinned view goes with any of its members, so nobody may still need it."""
    await shop.run("copy")

    def hold(conn: Connection) -> None:
        group = conn.execute(select(products.c.id).where(products.c.key == "G")).scalar_one()
        mine = select(products.c.id).where(products.c.key == whose).scalar_subquery()
        held = update(items).where(items.c.product_id == mine)
        conn.execute(held.values(state=state, group_id=group))
        conn.execute(update(runs).values(state="paused"))

    await shop.database.write(hold)
    with pytest.raises(Conflict, match="still to work"):
        await erase(shop, [KEY], really=True)


def test_it_is_said_of_every_table_what_becomes_of_a_products_data() -> None:
    """A new table belongs into one of these lists, and a product's data out of it."""
    known = f"{ERASED} {NEVER_HAS_ANY} {WRITTEN_BY_PEOPLE}".split()
    assert len(known) == len(set(known))
    assert set(known) == set(metadata.tables), "say here what `erase` does with it"

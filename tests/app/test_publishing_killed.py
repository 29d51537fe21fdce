"""A publication that is killed half-way and repeated comes to the same as one that was not."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.workspaces import start_waremill, waremill_here

from app.publishing_shop import accepted_run, bring, make_shop, perfume_rows
from waremill.app import open_workspace

ROWS = 1_200


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = make_shop(tmp_path / "shop", None)

    async def fill() -> None:
        async with open_workspace(root) as workspace:
            await bring(workspace, perfume_rows(ROWS))
            await accepted_run(workspace)

    asyncio.run(fill())
    return root


def looked_up(root: Path, query: str) -> int:
    """Give a count from the database while others write it."""
    with closing(sqlite3.connect(root / ".waremill/waremill.db", timeout=30)) as conn:
        return int(conn.execute(query).fetchone()[0])


def test_killed_and_repeated_it_is_the_same_file_and_the_same_receipts(
    shop: Path, tmp_path: Path
) -> None:
    out = shop / "feeds/google.xml"
    process = start_waremill(shop, "publish", "last", "google")
    limit = time.monotonic() + 60
    while looked_up(shop, "SELECT count(*) FROM receipts") == 0 and time.monotonic() < limit:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not out.exists() and not list(shop.glob("feeds/.waremill-*"))
    assert looked_up(shop, "SELECT count(*) FROM published") == 0
    again = waremill_here(shop, "publish", "run", "last", "google", "--json")
    assert again.code == 0, again.err
    assert again.json["publications"][0]["rows"]["new"] == ROWS
    counted = looked_up(shop, "SELECT count(*) FROM published")
    assert counted == looked_up(
        shop, "SELECT count(*) FROM receipts r JOIN publications p ON p.id = r.publication_id "
        "WHERE p.state = 'done'",
    )  # fmt: skip
    other = tmp_path / "other"
    other.mkdir()
    third = waremill_here(shop, "publish", "last", "google", str(other / "g.xml"))
    assert third.code == 0 and (other / "g.xml").read_bytes() == out.read_bytes()
    listed = waremill_here(shop, "publish", "list", "--json").json
    assert [one["state"] for one in listed] == ["done", "done", "failed"]

"""Previews of imports: they say what the import then does, and save nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import polars
import pytest
import pytest_asyncio
from sqlalchemy import func, select
from tests.browsed import workspace_on
from tests.workspaces import write_sheet

from waremill.app.acting import Actor
from waremill.app.browsing import Browse
from waremill.app.import_preview import ImportPreview
from waremill.app.workspace import Workspace
from waremill.errors import Conflict, Forbidden, SourceError
from waremill.store.comparing import Verdict
from waremill.store.tables import catalogs, product_versions, products


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    async with workspace_on(tmp_path, database_url, readers=2) as opened:
        yield opened


async def contents(workspace: Workspace) -> tuple[Any, ...]:
    """All that an import could have changed."""

    def read(conn: Any) -> tuple[Any, ...]:
        counts = [
            conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (catalogs, products, product_versions)
        ]
        rows = conn.execute(select(products).order_by(products.c.id)).all()
        return (*counts, *rows, *conn.execute(select(catalogs)).all())

    return await workspace.database.read(read)


async def same_as_import(workspace: Workspace, path: Path, **options: Any) -> ImportPreview:
    """Preview and then import; both must agree, and the preview must have saved nothing."""
    before = await contents(workspace)
    seen = await Browse(workspace).preview_import([path], **options)
    assert await contents(workspace) == before
    done = await workspace.import_catalog([path], **options)
    assert (seen.new, seen.changed, seen.unchanged) == (done.new, done.changed, done.unchanged)
    assert (seen.catalog, seen.key) == (done.catalog, done.key)
    assert list(seen.problems) == done.problems and seen.problem_count == done.problem_count
    assert list(seen.notes) == done.notes
    return seen


async def test_a_new_a_changed_and_an_unchanged_product_and_a_bad_row(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {"sku": "1", "name": "Eau", "price": 3}, {"sku": "2", "name": "Bois", "price": 4},
        {"sku": "", "name": "Nameless", "price": 5},
    ]  # fmt: skip
    path = write_sheet(tmp_path / "stock.csv", rows)
    seen = await same_as_import(workspace, path)
    assert (seen.new, seen.fresh, seen.columns) == (2, True, ("sku", "name", "price"))
    assert [(one.row, one.message) for one in seen.problems] == [
        (4, "the key column “sku” is empty")
    ]
    rows[1]["price"] = 5
    rows.append({"sku": "3", "name": "Cuir", "price": 6})
    seen = await same_as_import(workspace, write_sheet(path, rows))
    assert (seen.new, seen.changed, seen.unchanged, seen.fresh) == (1, 1, 1, False)
    assert [(row.key, row.verdict) for row in seen.sample] == [
        ("2", Verdict.CHANGED), ("3", Verdict.NEW), ("1", Verdict.UNCHANGED),
    ]  # fmt: skip
    assert seen.sample[0].attributes == {"sku": "2", "name": "Bois", "price": 5}


async def test_columns_a_sheet_lacks_change_nothing(workspace: Workspace, tmp_path: Path) -> None:
    path = write_sheet(tmp_path / "stock.csv", [{"sku": "1", "name": "Eau", "price": 3}])
    await workspace.import_catalog([path])
    seen = await same_as_import(workspace, write_sheet(path, [{"sku": "1", "price": 3}]))
    assert (seen.changed, seen.unchanged) == (0, 1)
    seen = await same_as_import(workspace, write_sheet(path, [{"sku": "1", "price": 4}]))
    assert (seen.changed, seen.unchanged) == (1, 0)


async def test_moving_to_another_group_is_a_change(workspace: Workspace, tmp_path: Path) -> None:
    path = write_sheet(tmp_path / "stock.csv", [{"sku": "1", "spu": "A"}, {"sku": "2", "spu": "A"}])
    await same_as_import(workspace, path, group="spu")
    write_sheet(path, [{"sku": "1", "spu": "B"}, {"sku": "2", "spu": "A"}])
    seen = await same_as_import(workspace, path)
    assert (seen.changed, seen.unchanged) == (1, 1)
    seen = await same_as_import(workspace, write_sheet(path, [{"sku": "1"}, {"sku": "2"}]))
    assert (seen.changed, seen.unchanged) == (0, 2)


async def test_repeated_keys_count_once_across_batches(
    workspace: Workspace, tmp_path: Path
) -> None:
    chance = random.Random(7)
    rows = [{"sku": f"P{chance.randrange(4000)}", "n": n % 50} for n in range(9000)]
    path = write_sheet(tmp_path / "stock.csv", rows)
    seen = await same_as_import(workspace, path)
    assert seen.new == len({row["sku"] for row in rows})
    assert any("repeat a key" in note for note in seen.notes)
    # What a key's first row of a batch says is not what is kept, so the counts differ by those.
    again = await Browse(workspace).preview_import([path])
    assert (again.new, again.changed + again.unchanged) == (0, seen.new)


async def test_a_workbooks_sheet_and_json_lines_are_previewed(
    workspace: Workspace, tmp_path: Path
) -> None:
    book = tmp_path / "book.xlsx"
    polars.DataFrame({"sku": ["1", "2"], "volume": ["30 ml", "1 l"]}).write_excel(
        book, worksheet="Stock"
    )
    seen = await same_as_import(workspace, book, sheet="Stock")
    assert seen.columns == ("sku", "volume", "volume_ml")
    lines = tmp_path / "book.jsonl"
    lines.write_bytes(
        b"\n".join(orjson.dumps({"sku": str(n), "extra": n}) for n in range(3)) + b"\n{broken\n"
    )
    seen = await same_as_import(workspace, lines)
    assert seen.new == 1 and seen.changed == 2 and seen.problem_count == 1


async def test_progress_tells_rows_and_the_event_loop_goes_on(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = write_sheet(tmp_path / "stock.csv", [{"sku": str(n)} for n in range(3500)])
    told: list[int] = []
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await Browse(workspace).preview_import([path], progress=told.append)
    ticking.cancel()
    assert told == sorted(told) and told[-1] == 3500 and len(told) > 2
    assert ticks > 5


async def test_what_an_import_refuses_its_preview_refuses(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = write_sheet(tmp_path / "stock.csv", [{"sku": "1", "name": "Eau"}])
    browse = Browse(workspace)
    with pytest.raises(SourceError, match="no column “skew”"):
        await browse.preview_import([path], key="skew")
    with pytest.raises(SourceError, match="no such file"):
        await browse.preview_import([tmp_path / "nothing.csv"])
    await workspace.import_catalog([path], key="sku")
    with pytest.raises(Conflict, match="keyed by “sku”"):
        await browse.preview_import([path], key="name")
    viewer = Browse(workspace.acting(Actor("joe", {1: "viewer"})))
    with pytest.raises(Forbidden):
        await viewer.preview_import([path])
    assert (await contents(workspace))[0] == 1

"""A database without room: the server says it is not ready, and looking goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select
from tests.workspaces import COPY, make_workspace

from waremill.app import Workspace, measuring, open_workspace
from waremill.app.editing import Editor
from waremill.app.measuring import is_ready
from waremill.errors import LimitReached
from waremill.store.tables import documents

PATH = "templates/copy.yaml"


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    async with open_workspace(make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")) as opened:
        yield opened


async def most_pages(workspace: Workspace, more: int) -> None:
    """Let the database's file grow by so many pages and no further."""

    def limit(conn: Connection) -> None:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages + more}")

    await workspace.database.write(limit)


def add(conn: Connection, name: str, size: int) -> None:
    """Add a text."""
    conn.execute(insert(documents).values(hash=name, body="x" * size))


async def fill(workspace: Workspace) -> None:
    """Take all the room there is."""
    await most_pages(workspace, 0)
    for size in (4000, 400):
        with pytest.raises(LimitReached):
            for n in range(500):
                await workspace.database.write(add, f"{size} {n}", size)


async def test_a_server_whose_database_takes_nothing_is_not_ready(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "EVERY_SECONDS", 0.0)
    assert await is_ready(workspace)
    await fill(workspace)
    assert not await is_ready(workspace)
    await most_pages(workspace, 100)
    assert await is_ready(workspace)
    left = select(documents.c.hash).where(documents.c.hash.like("probe%"))
    assert not await workspace.database.read(lambda conn: conn.execute(left).all())


async def test_who_asks_often_does_not_make_it_write_often(workspace: Workspace) -> None:
    assert await is_ready(workspace)
    await fill(workspace)
    assert await is_ready(workspace), "a write of a moment ago went well"


async def test_a_file_is_read_where_its_version_cannot_be_written(workspace: Workspace) -> None:
    editor = Editor(workspace)
    known = await editor.read(PATH)
    assert known.version is not None
    await fill(workspace)
    text = COPY + "# " + "put on disk by hand " * 2_000 + "\n"
    (workspace.settings.root / PATH).write_text(text)
    found = await editor.read(PATH)
    assert (found.text, found.approved, found.version) == (text, text, None)
    assert (found.state, found.etag != known.etag) == ("approved", True)
    assert [one.id for one in (await editor.versions(PATH)).rows] == [known.version.id]
    with pytest.raises(LimitReached):
        await editor.save_draft(PATH, COPY, found.etag)
    await most_pages(workspace, 100)
    assert (again := await editor.read(PATH)).version is not None and again.etag == found.etag

"""Publications that fail, are interrupted, die, or meet another one, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import select

from app.publishing_shop import accepted_run, bring, count, feed, make_shop, perfume_rows
from waremill.app import Workspace, open_workspace, publishing
from waremill.app.publishing import PublishOptions
from waremill.errors import ConfigError, Conflict
from waremill.store import webhooks
from waremill.store.tables_people import deliveries
from waremill.store.tables_publishing import publications, published


@pytest_asyncio.fixture
async def workspace(tmp_path: Path, database_url: str) -> AsyncIterator[Workspace]:
    root = make_shop(tmp_path / "shop", database_url)
    async with open_workspace(root) as opened:
        await bring(opened, perfume_rows(9))
        yield opened


async def test_a_publication_cut_off_before_its_file_is_given_up(workspace: Workspace) -> None:
    run = await accepted_run(workspace)
    root = workspace.settings.root
    (root / "feeds").write_text("in the way")
    with pytest.raises(ConfigError, match="a part of this path is a file"):
        await publishing.publish(workspace, run, "google")
    (root / "feeds").unlink()
    page = await publishing.list_publications(workspace)
    assert [one.state for one in page.rows] == ["failed"] and page.rows[0].reason
    assert await count(workspace, published) == 0
    (made,) = await publishing.publish(workspace, run, "google")
    assert made.rows["new"] == 9 and len(feed(workspace)) == 9


async def test_an_interrupted_publication_says_so_and_writes_nothing_afterwards(
    workspace: Workspace,
) -> None:
    run = await accepted_run(workspace)

    def interrupt(what: str, _rows: int) -> None:
        if what == "writing":
            work.cancel()

    work = asyncio.ensure_future(publishing.publish(workspace, run, "google", on_page=interrupt))
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not (workspace.settings.root / "feeds/google.xml").exists()
    shown = await publishing.show_publication(workspace, "last")
    assert (shown.state, shown.reason) == ("failed", "it was interrupted before it was written")
    assert await count(workspace, published) == 0


async def test_who_listens_is_told_how_a_publication_ended(workspace: Workspace) -> None:
    values = {"team_id": 1, "url": "https://shop.example/hook", "secret": "s", "active": True,
              "events": ["publication.finished"], "by": "local"}  # fmt: skip
    await workspace.database.write(webhooks.insert_webhook, values)
    run = await accepted_run(workspace)
    (made,) = await publishing.publish(workspace, run, "google")
    (workspace.settings.root / "in the way").write_text("no folder")
    out = PublishOptions((str(workspace.settings.root / "in the way/google.xml"),))
    with pytest.raises(ConfigError):
        await publishing.publish(workspace, run, "google", out)
    bodies = select(deliveries.c.body).order_by(deliveries.c.id)
    told = await workspace.database.read(lambda conn: conn.execute(bodies).scalars().all())
    done, failed = map(orjson.loads, told)
    assert done["publication"] == made.publication and done["rows"]["new"] == 9
    assert (done["state"], done["channel"], failed["state"]) == ("done", "google", "failed")
    assert failed["reason"].startswith("google.xml: a part of this path is a file, not a folder")


async def test_one_that_died_after_its_file_was_written_is_brought_to_its_end(
    workspace: Workspace,
) -> None:
    run = await accepted_run(workspace)
    (made,) = await publishing.publish(workspace, run, "google")

    def as_if_killed(conn: Any) -> None:
        conn.execute(published.delete())
        conn.execute(
            publications.update().values(state="written", owner="elsewhere:1:1", heartbeat=0.0)
        )

    await workspace.database.write(as_if_killed)
    (again,) = await publishing.publish(workspace, run, "google")
    assert again.rows == {"new": 0, "changed": 0, "unchanged": 9, "refused": 0}
    ended = await publishing.show_publication(workspace, str(made.publication))
    assert ended.state == "done" and len(feed(workspace)) == 9


async def test_two_at_once_are_a_conflict(workspace: Workspace) -> None:
    from waremill.app.working import owner_name

    run = await accepted_run(workspace)
    await publishing.publish(workspace, run, "google")
    live = {"state": "working", "owner": owner_name()}
    await workspace.database.write(lambda conn: conn.execute(publications.update().values(live)))
    with pytest.raises(Conflict, match="is being published to just now"):
        await publishing.publish(workspace, run, "google")
    await workspace.database.write(
        lambda conn: conn.execute(publications.update().values(owner="elsewhere:1:1"))
    )
    with pytest.raises(Conflict, match="is being published to"):
        await publishing.publish(workspace, run, "google")  # another machine's, heard of just now

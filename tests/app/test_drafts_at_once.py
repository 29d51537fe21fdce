"""Several people who save, approve or reject one file at once: one does it, the rest are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import select
from tests.workspaces import COPY, make_workspace

from waremill.app import open_workspace
from waremill.app.acting import Actor
from waremill.app.editing import Editor
from waremill.errors import Conflict
from waremill.store.tables import versions

PATH = "templates/copy.yaml"
PEOPLE = ("ann", "bob", "eve", "joe")
ROUNDS = 12


@pytest_asyncio.fixture
async def editors(tmp_path: Path, database_url: str) -> AsyncIterator[list[Editor]]:
    """Editors of four people, each of a process of its own as far as the database can tell."""
    root = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=database_url)
    async with AsyncExitStack() as opened:
        spaces = [await opened.enter_async_context(open_workspace(root)) for _ in PEOPLE]
        yield [
            Editor(space.acting(Actor(name, {1: "operator"})))
            for space, name in zip(spaces, PEOPLE, strict=True)
        ]


async def at_once(*asked: Awaitable[Any]) -> tuple[list[Any], list[BaseException]]:
    """Await all at once; give what came of it, and the conflicts."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    failed = [one for one in found if isinstance(one, BaseException)]
    assert all(isinstance(one, Conflict) for one in failed), failed
    return [one for one in found if not isinstance(one, BaseException)], failed


async def rows(editor: Editor, *states: str) -> list[Any]:
    """The versions in certain states."""
    query = select(versions).where(versions.c.state.in_(states)).order_by(versions.c.id)
    database = editor._workspace.database
    return list(await database.read(lambda conn: conn.execute(query).all()))


def draft(number: int, name: str) -> str:
    return COPY.replace("in English", f"in English {number}, says {name}")


async def test_of_two_drafts_saved_over_one_text_one_is_kept(editors: list[Editor]) -> None:
    for number in range(ROUNDS):
        etag = (await editors[0].read(PATH)).etag
        saved, refused = await at_once(
            *(
                editor.save_draft(PATH, draft(number, name), etag)
                for editor, name in zip(editors, PEOPLE, strict=True)
            )
        )
        assert len(saved) == 1 and len(refused) == len(PEOPLE) - 1
        assert "saved a draft" in str(refused[0])
        (open_one,) = await rows(editors[0], "draft")
        assert open_one.author == saved[0].version.author
    assert len(await rows(editors[0], "draft", "replaced")) == ROUNDS


async def test_a_text_found_on_disk_becomes_one_version(editors: list[Editor]) -> None:
    place = editors[0]._workspace.settings.root / PATH
    for number in range(ROUNDS):
        place.write_text(draft(number, "nobody"))
        await asyncio.gather(*(editor.read(PATH) for editor in editors))
        assert len(await rows(editors[0], "approved")) == 1
    assert len(await rows(editors[0], "approved", "replaced")) == ROUNDS


async def test_a_draft_is_decided_once(editors: list[Editor]) -> None:
    for number in range(ROUNDS):
        etag = (await editors[0].read(PATH)).etag
        saved = await editors[0].save_draft(PATH, draft(number, "ann"), etag)
        assert saved.version is not None
        version = saved.version.id
        _, bob, eve, joe = editors
        decided, _ = await at_once(bob.approve(version), eve.reject(version), joe.approve(version))
        assert len(decided) == 1
        assert len(await rows(bob, "approved")) == 1
        assert await rows(bob, "draft") == []


async def test_a_draft_of_a_text_that_is_replaced_meanwhile_is_a_conflict(
    editors: list[Editor],
) -> None:
    ann, bob, eve, _ = editors
    for number in range(ROUNDS):
        etag = (await ann.read(PATH)).etag

        async def save_and_approve(number: int = number, etag: str = etag) -> str:
            saved = await ann.save_draft(PATH, draft(number, "ann"), etag)
            assert saved.version is not None
            await bob.approve(saved.version.id)
            return "approved"

        done, refused = await at_once(
            save_and_approve(), eve.save_draft(PATH, draft(number, "eve"), etag)
        )
        assert len(done) == 1 and len(refused) == 1
        left = await rows(ann, "draft")
        assert len(left) == (done != ["approved"])
        if left:  # the next round begins without one
            await ann.reject(left[0].id)

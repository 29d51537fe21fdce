"""Versions of files: one open draft and one approved text a path, the rest is history."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from waremill.errors import NotFound
from waremill.store.database import Database
from waremill.store.tables_people import owners, users
from waremill.store.versions import (
    add_version,
    decide_version,
    get_version,
    has_accounts,
    list_versions,
    newest_version,
    open_drafts,
    owned_by,
    owner_of,
    text_hash,
    version_text,
)

PATH = "templates/copy.yaml"


async def test_a_new_draft_replaces_the_one_before(database: Database) -> None:
    first = await database.write(add_version, PATH, "a: 1\n", "draft", "ann", "try")
    second = await database.write(add_version, PATH, "a: 2\n", "draft", "bob")
    assert (first.state, first.note, first.author, first.hash) == (
        "draft", "try", "ann", text_hash("a: 1\n"),
    )  # fmt: skip
    assert (await database.read(get_version, first.id)).state == "replaced"
    assert await database.read(newest_version, PATH, "draft") == second
    assert await database.read(open_drafts) == {PATH: second}
    assert await database.read(version_text, first) == "a: 1\n"


async def test_approving_replaces_what_was_approved_and_happens_once(database: Database) -> None:
    old = await database.write(add_version, PATH, "a: 1\n", "approved", "")
    draft = await database.write(add_version, PATH, "a: 2\n", "draft", "ann")
    assert (await database.read(get_version, old.id)).state == "approved"
    assert await database.write(decide_version, draft.id, "approved", "bob")
    assert not await database.write(decide_version, draft.id, "rejected", "eve")
    now = await database.read(get_version, draft.id)
    assert (now.state, now.decided_by) == ("approved", "bob")
    assert (await database.read(get_version, old.id)).state == "replaced"


async def test_rejecting_leaves_what_is_approved(database: Database) -> None:
    old = await database.write(add_version, PATH, "a: 1\n", "approved", "")
    draft = await database.write(add_version, PATH, "a: 2\n", "draft", "ann")
    assert await database.write(decide_version, draft.id, "rejected", "bob")
    assert await database.read(newest_version, PATH, "draft") is None
    assert await database.read(newest_version, PATH, "approved") == old


async def test_the_history_is_paged_newest_first_and_kept_apart_by_path(
    database: Database,
) -> None:
    made = [await database.write(add_version, PATH, f"a: {n}\n", "draft", "ann") for n in range(5)]
    await database.write(add_version, "templates/other.yaml", "a: 9\n", "draft", "ann")
    page = await database.read(list_versions, PATH, limit=2)
    rest = await database.read(list_versions, PATH, before=page[-1].id)
    assert [one.id for one in (*page, *rest)] == [one.id for one in reversed(made)]


async def test_one_text_is_stored_once(database: Database) -> None:
    first = await database.write(add_version, PATH, "a: 1\n", "draft", "ann")
    again = await database.write(add_version, PATH, "a: 1\n", "draft", "ann")
    assert first.hash == again.hash
    assert await database.read(version_text, again) == "a: 1\n"


async def test_an_unknown_version_is_said(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.read(get_version, 7)


async def test_what_belongs_to_a_team_and_whether_there_are_accounts(database: Database) -> None:
    assert await database.read(owner_of, "template", "copy") is None
    assert not await database.read(has_accounts)
    await database.write(
        lambda conn: conn.execute(insert(owners).values(kind="template", name="copy", team_id=1))
    )
    row = {"name": "ann", "admin": False, "language": "en", "disabled": False, "created_at": 0.0}
    await database.write(lambda conn: conn.execute(insert(users).values(row)))
    assert await database.read(owner_of, "template", "copy") == 1
    assert await database.read(owned_by) == {("template", "copy"): 1}
    assert await database.read(has_accounts)

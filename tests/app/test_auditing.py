"""The audit log: every change is in it, no secret is, and who may read it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from tests.app.staffed import PASSWORD, accounts, as_user, staff, workspace
from tests.workspaces import make_workspace, perfumes, vendor_process, write_sheet

from waremill.app import Workspace, auditing, launching, open_workspace
from waremill.app.accounts import Accounts, WrongPassword
from waremill.app.acting import Actor
from waremill.app.modelling import check_models
from waremill.app.owning import Owners
from waremill.errors import Conflict, Forbidden, NotFound
from waremill.store.tables_people import audit

__all__ = ["accounts", "workspace"]


async def test_every_change_is_recorded_and_no_secret_is(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    secret, csrf = await accounts.sign_in("ada", PASSWORD, "192.0.2.7")
    with pytest.raises(WrongPassword):
        await accounts.sign_in("ada", "wrong password", "192.0.2.7")
    with pytest.raises(WrongPassword):
        await accounts.sign_in("typed-into-the-wrong-box", "ada", "192.0.2.7")
    ada = await as_user(workspace, "ada")
    text, token = await ada.add_token("ci", role="operator")
    await ada.revoke(token.id)
    await accounts.sign_out(secret)
    await accounts.set_password("vera", "another horse battery")
    await accounts.disable("vera")
    await accounts.set_team("main", share=0.5)
    page = await auditing.entries(workspace, size=100)
    found = {(one.action, one.by, one.subject) for one in page.rows}
    assert {
        ("user.add", "local", "user ada"), ("team.add", "local", "team sale"),
        ("member.set", "local", "user ada"), ("session.begin", "ada", "user ada"),
        ("session.refused", "nobody", "user ada"), ("token.add", "ada", "token ci"),
        ("token.revoke", "ada", "token ci"), ("session.end", "ada", "user ada"),
        ("user.password", "local", "user vera"), ("user.disable", "local", "user vera"),
        ("team.set", "local", "team main"),
    } <= found  # fmt: skip
    refused = next(one for one in page.rows if one.action == "session.refused")
    assert refused.address == "192.0.2.7"
    rows = await workspace.database.read(lambda conn: str(conn.execute(select(audit)).all()))
    for hidden in (PASSWORD, "another horse", "wrong password", secret, csrf, text, "wrong-box",
                   "argon2"):  # fmt: skip
        assert hidden not in rows


async def test_what_changes_nothing_is_not_recorded(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    before = (await auditing.entries(workspace, size=1)).rows
    await accounts.set_role("ada", "main", "admin")
    await accounts.set_team("main")
    await accounts.sign_out("no session of ours")
    with pytest.raises(Conflict):
        await accounts.add_user("ada", PASSWORD)
    assert (await auditing.entries(workspace, size=1)).rows == before


async def test_a_change_that_fails_leaves_no_entry(workspace: Workspace) -> None:
    def fails(conn: Connection) -> None:
        auditing.record(conn, workspace.actor, "run.start", "run 1")
        raise Conflict("no")

    with pytest.raises(Conflict):
        await workspace.database.write(fails)
    assert (await auditing.entries(workspace)).rows == ()


@pytest.mark.parametrize("name", ["password", "token", "secret", "api_key"])
async def test_a_detail_named_like_a_secret_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(ValueError, match="takes no"):
        await workspace.database.write(
            lambda conn: auditing.record(conn, workspace.actor, "x", "y", None, **{name: "z"})
        )


async def test_an_admin_reads_the_log_of_the_own_team_and_a_viewer_none(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)

    async def seen(name: str, team: int | None = None) -> set[int | None]:
        actor = (await as_user(workspace, name))._actor
        page = await auditing.entries(workspace.acting(actor), team=team, size=100)
        return {one.team for one in page.rows}

    assert await seen("sam") == {2}
    assert await seen("ada", 1) == {1}
    assert await seen("manager") == {None, 1, 2}
    with pytest.raises(NotFound):
        await seen("ada", 2)
    with pytest.raises(Forbidden):
        await seen("vera")
    with pytest.raises(Forbidden):
        await seen("vera", 1)


async def test_what_stops_and_continues_a_run_is_recorded(tmp_path: Path) -> None:
    with vendor_process() as url:
        root = make_workspace(tmp_path / "shop", url)
        sheet = write_sheet(tmp_path / "stock.csv", perfumes(4))
        async with open_workspace(root) as workspace:
            await workspace.import_catalog([sheet], key="sku", catalog="stock")
            planned = await launching.plan(workspace, "run", "copy")
            name = planned.name
            await workspace.pause(name)
            assert (await workspace.resume(name, budget=5.0)).state == "done"
            await workspace.accept(name, "_findings = 0")
            await workspace.resume(name, retry_failed=True)
            with pytest.raises(Conflict):
                await workspace.cancel(name)
            second = await launching.plan(workspace, "run", "copy", fresh=True)
            await workspace.cancel(second.name)
            page = await auditing.entries(workspace, team=1, size=100)
    found = [(one.action, one.subject, one.detail) for one in reversed(page.rows)]
    ours = [(action, detail) for action, subject, detail in found if subject == f"run {name}"]
    assert [action for action, _ in ours if action != "run.plan"][:4] == [
        "run.pause", "run.budget", "run.resume", "run.accept-where",
    ]  # fmt: skip
    assert ("run.budget", {"old": None, "new": 5.0}) in ours
    assert ("run.accept-where", {"rule": "_findings = 0"}) in ours
    assert "run.cancel" not in {action for action, _ in ours}
    assert ("run.cancel", f"run {second.name}", {}) in found
    assert found[0] == (
        "catalog.import", "catalogue stock", {"source": "stock.csv", "number": 1},
    )  # fmt: skip


async def test_an_entry_says_which_token_it_came_with(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    ada = await as_user(workspace, "ada")
    text, _ = await ada.add_token("nightly", role="admin")
    holder = await accounts.actor_of_token(text, "192.0.2.7")
    assert holder is not None and holder.via == "nightly"
    for actor in (holder, ada._actor):
        note = partial(auditing.record, actor=actor, action="x.y", subject="z", team=1, count=2)
        await workspace.database.write(note)
    plain, tokens = (await auditing.entries(workspace, action="x.y")).rows
    assert (tokens.by, tokens.detail) == ("ada", {"count": 2, "via": "nightly"})
    assert plain.detail == {"count": 2}


async def test_models_are_checked_by_admins_once_a_minute_and_on_record(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    await Owners(workspace).give("model", "default", "sale")
    with pytest.raises(Forbidden):
        await check_models(workspace.acting(Actor("olga", {1: "operator"})))
    assert await check_models(workspace.acting(Actor("ada", {1: "admin"}))) == {}
    both = Actor("vic", {1: "admin", 2: "viewer"})
    assert await check_models(workspace.acting(both)) == {}
    assert (await auditing.entries(workspace, action="model.check")).rows == ()
    sam = workspace.acting(Actor("sam", {2: "admin"}))
    first, again = await asyncio.gather(check_models(sam), check_models(sam))
    assert first == again and not all(line["works"] for line in first["default"])
    (entry,) = (await auditing.entries(workspace, action="model.check")).rows
    assert (entry.by, entry.team, entry.subject) == ("sam", 2, "model default")

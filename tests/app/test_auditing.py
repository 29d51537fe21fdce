"""The audit log: every change is in it, no secret is, and who may read it."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select
from tests.app.staffed import PASSWORD, accounts, as_user, staff, workspace

from waremill.app import Workspace, auditing
from waremill.app.accounts import Accounts, WrongPassword
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

"""People: who may change what, how one signs in, and what a token leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, select, update
from tests.app.staffed import PASSWORD, accounts, as_user, staff, workspace

from waremill.app import Workspace, open_workspace, signing_in
from waremill.app.accounts import Accounts, TooManyAttempts, WrongPassword
from waremill.app.acting import Actor
from waremill.app.attempts import Attempts
from waremill.app.passwords import digest
from waremill.errors import ConfigError, Conflict, Forbidden, NotFound
from waremill.store.database import Database
from waremill.store.tables_people import audit, sessions, tokens, users

__all__ = ["accounts", "workspace"]

# Users.


async def test_the_first_account_manages_users_and_is_an_admin(accounts: Accounts) -> None:
    assert not await accounts.any_accounts()
    first = await accounts.add_user("Lin", PASSWORD)
    assert (first.name, first.manages, first.roles) == ("lin", True, {1: "admin"})
    second = await accounts.add_user("kim", PASSWORD)
    assert (second.manages, second.roles) == (False, {})
    assert await accounts.any_accounts()


async def test_the_first_account_must_be_able_to_sign_in(accounts: Accounts) -> None:
    with pytest.raises(ConfigError, match="needs a password"):
        await accounts.add_user("bot", None)
    assert not await accounts.any_accounts()


@pytest.mark.parametrize("name", ["", " ", "a b", "local", "Nobody", "x" * 65, "../x", "-x", "a\n"])
async def test_some_names_are_nobodys(accounts: Accounts, name: str) -> None:
    if name == "a\n":
        assert (await accounts.add_user(name, PASSWORD)).name == "a"
        return
    with pytest.raises(ConfigError):
        await accounts.add_user(name, PASSWORD)


async def test_names_are_one_whatever_their_case_and_width(accounts: Accounts) -> None:
    await accounts.add_user("ＬＩＮ", PASSWORD)
    with pytest.raises(Conflict):
        await accounts.add_user("lin", PASSWORD)
    assert (await accounts.add_user("王芳", PASSWORD)).name == "王芳"


@pytest.mark.parametrize("password", ["", "short", "123456789", "x" * 1001])
async def test_a_password_has_ten_characters_to_a_thousand(
    accounts: Accounts, password: str
) -> None:
    with pytest.raises(ConfigError, match="a password") as refused:
        await accounts.add_user("lin", password)
    assert not password or password not in str(refused.value)


async def test_a_password_is_kept_as_argon2id(workspace: Workspace, accounts: Accounts) -> None:
    await accounts.add_user("lin", PASSWORD)
    kept = await workspace.database.read(
        lambda conn: conn.execute(select(users.c.password)).scalar_one()
    )
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_the_last_one_who_manages_users_stays(accounts: Accounts) -> None:
    await accounts.add_user("lin", PASSWORD)
    await accounts.add_user("bot", None, manages=True)
    with pytest.raises(Conflict, match="the last one"):
        await accounts.disable("lin")
    with pytest.raises(Conflict, match="the last one"):
        await accounts.set_manages("lin", False)
    await accounts.add_user("kim", PASSWORD, manages=True)
    assert (await accounts.disable("lin")).disabled


async def test_who_manages_and_who_is_kept_out_change_together_or_not_at_all(
    workspace: Workspace, accounts: Accounts
) -> None:
    await accounts.add_user("lin", PASSWORD)
    await accounts.add_user("kim", PASSWORD)
    with pytest.raises(Conflict, match="the last one"):
        await accounts.change_user("lin", manages=True, disabled=True)
    with pytest.raises(Conflict, match="the last one"):
        await accounts.change_user("lin", manages=False, disabled=False)
    verbs = select(audit.c.action).order_by(audit.c.id)
    kept = await workspace.database.read(lambda conn: conn.execute(verbs).scalars().all())
    assert kept == ["user.add", "user.add"]
    kim = await accounts.change_user("kim", manages=True, disabled=True)
    assert (kim.manages, kim.disabled) == (True, True)
    assert await accounts.change_user("kim") == kim
    kept = await workspace.database.read(lambda conn: conn.execute(verbs).scalars().all())
    assert kept[2:] == ["user.manages", "user.disable"]


@asynccontextmanager
async def two_servers(workspace: Workspace) -> AsyncIterator[tuple[Accounts, Accounts]]:
    async with open_workspace(workspace.settings.root) as other:
        yield Accounts(workspace), Accounts(other)


async def at_once(workspace: Workspace, *changes: Awaitable[Any]) -> list[Any]:
    """What becomes of changes that all have looked before one of them can write."""
    inside, go_on = Event(), Event()

    def hold(conn: Connection) -> None:
        if conn.dialect.name == "postgresql":
            conn.exec_driver_sql("LOCK TABLE users, members IN SHARE MODE")
        inside.set()
        assert go_on.wait(30)

    third = Database(workspace.database.url)
    held = asyncio.create_task(third.write(hold))
    assert await asyncio.to_thread(inside.wait, 30)
    running = [asyncio.ensure_future(change) for change in changes]
    await asyncio.sleep(0.3)
    go_on.set()
    await held
    found = await asyncio.gather(*running, return_exceptions=True)
    await third.close()
    return found


async def test_two_managers_cannot_keep_one_another_out(
    workspace: Workspace, accounts: Accounts
) -> None:
    await accounts.add_user("lin", PASSWORD)
    await accounts.add_user("kim", PASSWORD, manages=True)
    async with two_servers(workspace) as (one, two):
        found = await at_once(workspace, one.disable("lin"), two.disable("kim"))
    assert sum(isinstance(result, Conflict) for result in found) == 1
    assert sorted(user.disabled for user in await accounts.users()) == [False, True]


async def test_of_two_first_accounts_one_manages_users(
    workspace: Workspace, accounts: Accounts
) -> None:
    async with two_servers(workspace) as (one, two):
        await at_once(workspace, one.add_user("lin", PASSWORD), two.add_user("kim", PASSWORD))
    shown = sorted((user.manages, dict(user.roles)) for user in await accounts.users())
    assert shown == [(False, {}), (True, {1: "admin"})]


async def test_a_role_that_two_give_at_once_is_one_of_them(
    workspace: Workspace, accounts: Accounts
) -> None:
    await accounts.add_user("lin", PASSWORD)
    await accounts.add_user("kim", PASSWORD)
    async with two_servers(workspace) as (one, two):
        found = await at_once(
            workspace, one.set_role("kim", "main", "viewer"), two.set_role("kim", "main", "admin")
        )
    assert found == [None, None]
    assert dict(await accounts.members("main"))["kim"] in ("viewer", "admin")


async def test_what_needs_a_manager_is_refused_to_others(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    ada = await as_user(workspace, "ada")
    for forbidden in (
        ada.add_user("new", PASSWORD), ada.disable("vera"), ada.set_manages("ada", True),
        ada.add_team("third"), ada.set_password("vera", PASSWORD), ada.tokens(everybody=True),
        ada.add_token("ci", user="manager"), ada.user("vera"),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await forbidden


async def test_an_admin_sees_roles_of_the_own_teams_only(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    await accounts.set_role("vera", "sale", "viewer")
    seen = {user.name: user.roles for user in await (await as_user(workspace, "sam")).users()}
    assert seen["vera"] == {2: "viewer"}
    assert seen["ada"] == {}
    with pytest.raises(Forbidden):
        await (await as_user(workspace, "vera")).users()


# Teams.


async def test_a_teams_limits_are_in_the_workspaces_currency(
    tmp_path: Path, workspace: Workspace
) -> None:
    file = workspace.settings.root / "waremill.toml"
    text = file.read_text(encoding="utf-8").replace("USD", "CNY")
    file.write_text(f"per_usd = 7.1\n{text}", encoding="utf-8")
    async with open_workspace(workspace.settings.root) as yuan:
        accounts = Accounts(yuan)
        await accounts.add_team("sale")
        team = await accounts.set_team("sale", monthly_budget=710.0, share=0.25)
        assert (team.monthly_budget, team.share, team.approve_above) == (710.0, 0.25, None)
        rows = await yuan.database.read(
            lambda conn: conn.exec_driver_sql("SELECT monthly_budget FROM teams ORDER BY id").all()
        )
        assert rows[1][0] == 100 * 10**9
        assert (await accounts.set_team("sale", monthly_budget=None)).monthly_budget is None
        assert (await accounts.team("Sale")).share == 0.25


@pytest.mark.parametrize(
    "changes",
    [{"share": 0.0}, {"share": 1.1}, {"monthly_budget": -1.0}, {"approve_above": float("nan")}],
)
async def test_a_limit_that_is_none_is_refused(
    accounts: Accounts, changes: dict[str, float]
) -> None:
    with pytest.raises(ConfigError):
        await accounts.set_team("main", **changes)


async def test_a_teams_admin_sets_it_and_its_members_and_no_other_teams(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    ada, vera = await as_user(workspace, "ada"), await as_user(workspace, "vera")
    await ada.set_team("main", approve_above=20.0)
    await ada.set_role("vera", "main", "operator")
    assert dict(await ada.members("main"))["vera"] == "operator"
    assert [team.name for team in await ada.teams()] == ["main"]
    for unknown in (ada.team("sale"), ada.members("sale"), ada.set_role("vera", "sale", "admin"),
                    ada.set_team("sale", share=1.0)):  # fmt: skip
        with pytest.raises(NotFound):
            await unknown
    for forbidden in (vera.set_role("vera", "main", "admin"), vera.set_team("main", share=0.5)):
        with pytest.raises(Forbidden):
            await forbidden
    with pytest.raises(ConfigError, match="no role"):
        await ada.set_role("vera", "main", "boss")


# Sign-in.


async def test_a_right_password_begins_a_session_that_signing_out_ends(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    secret, csrf = signed = await accounts.sign_in(" ADA ", PASSWORD, "192.0.2.1")
    assert secret not in repr(signed)
    found = await accounts.actor_of_session(secret, "192.0.2.1")
    assert found == (Actor("ada", {1: "admin"}, address="192.0.2.1"), csrf)
    kept = await workspace.database.read(
        lambda conn: conn.execute(select(sessions.c.hash)).scalars().all()
    )
    assert list(kept) == [digest(secret)]
    await accounts.sign_out(secret)
    assert await accounts.actor_of_session(secret) is None


async def test_nobody_gets_in_with_less(accounts: Accounts) -> None:
    await staff(accounts)
    await accounts.add_user("bot", None)
    await accounts.disable("vera")
    for name, password in (
        ("ada", "wrong password"), ("ada", ""), ("unknown", PASSWORD), ("bot", ""),
        ("bot", PASSWORD), ("vera", PASSWORD), ("a b", PASSWORD), ("x" * 10_000, "x" * 10_000),
        ("ada", "\ud800" * 10),
    ):  # fmt: skip
        with pytest.raises(WrongPassword, match="the name or the password is wrong"):
            await accounts.sign_in(name, password)


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(
    workspace: Workspace, accounts: Accounts
) -> None:
    await accounts.add_user("lin", PASSWORD)
    took: dict[str, list[float]] = {"lin": [], "unknown": []}
    for _ in range(7):
        for name, times in took.items():
            signing_in.attempts_of(workspace).succeeded(name, None)
            start = time.process_time()
            with pytest.raises(WrongPassword):
                await accounts.sign_in(name, "wrong password")
            times.append(time.process_time() - start)
    slow, fast = sorted((median(took["lin"]), median(took["unknown"])), reverse=True)
    assert fast > slow * 0.5


async def test_a_session_slides_and_its_end_is_not_written_each_time(
    workspace: Workspace, accounts: Accounts
) -> None:
    await accounts.add_user("lin", PASSWORD)
    secret, _ = await accounts.sign_in("lin", PASSWORD)

    def work(conn: Connection, values: dict[str, float]) -> float:
        if values:
            conn.execute(update(sessions).values(**values))
        return float(conn.execute(select(sessions.c.expires_at)).scalar_one())

    async def end(**values: float) -> float:
        return await workspace.database.write(work, values)

    first = await end()
    assert await accounts.actor_of_session(secret) is not None
    assert await end() == first
    await end(expires_at=time.time() + 600)
    assert await accounts.actor_of_session(secret) is not None
    assert await end() >= first
    await end(created_at=time.time() - signing_in.LONGEST_SESSION - 1)
    assert await accounts.actor_of_session(secret) is None
    await end(created_at=time.time(), expires_at=time.time() - 1)
    assert await accounts.actor_of_session(secret) is None


async def test_a_new_password_ends_the_sessions_and_an_own_one_needs_the_old(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    secret, _ = await accounts.sign_in("vera", PASSWORD)
    vera = await as_user(workspace, "vera")
    for current in (None, "", "wrong password"):
        with pytest.raises(Forbidden, match="current password"):
            await vera.set_password("vera", "another horse battery", current=current)
    await vera.set_password("Vera", "another horse battery", current=PASSWORD)
    assert await accounts.actor_of_session(secret) is None
    with pytest.raises(WrongPassword):
        await accounts.sign_in("vera", PASSWORD)
    await accounts.sign_in("vera", "another horse battery")


async def test_a_user_kept_out_is_out_at_once_and_comes_back_with_nothing_lost(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    secret, _ = await accounts.sign_in("ada", PASSWORD)
    text, _ = await accounts.add_token("ci", user="ada", role="admin")
    await accounts.disable("ada")
    assert await accounts.actor_of_session(secret) is None
    assert await accounts.actor_of_token(text) is None
    await accounts.disable("ada", False)
    assert await accounts.actor_of_session(secret) is None
    assert await accounts.actor_of_token(text) is not None


async def test_the_sixth_wrong_sign_in_in_a_minute_waits_and_keeps_nobody_else_out(
    accounts: Accounts,
) -> None:
    await staff(accounts)
    for _ in range(5):
        with pytest.raises(WrongPassword):
            await accounts.sign_in("vera", "wrong password", "192.0.2.1")
    with pytest.raises(TooManyAttempts) as waits:
        await accounts.sign_in("vera", PASSWORD, "192.0.2.1")
    assert 0 < waits.value.retry_after <= 60
    await accounts.sign_in("vera", PASSWORD, "192.0.2.2")
    await accounts.sign_in("ada", PASSWORD, "192.0.2.1")
    with pytest.raises(TooManyAttempts):  # being right elsewhere ends no waiting here
        await accounts.sign_in("vera", PASSWORD, "192.0.2.1")


def tries(attempts: Attempts, name: str | None, address: str | None, most: int = 200) -> int:
    """How many attempts are let through, none of them right."""
    for number in range(most):
        try:
            attempts.start(name, address)
        except TooManyAttempts:
            return number
    return most


def test_a_name_is_tried_five_times_from_one_address_and_twenty_from_all() -> None:
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    from_each = [tries(attempts, "lin", f"192.0.2.{number}") for number in range(5)]
    assert from_each == [5, 5, 5, 5, 0]
    now[0] = 60.0
    assert tries(attempts, "lin", "192.0.2.9") == 5


def test_one_address_tries_fifty_times_whatever_the_names() -> None:
    attempts = Attempts(clock=lambda: 0.0)
    assert sum(tries(attempts, f"user{n}", "192.0.2.1", 5) for n in range(20)) == 50
    assert tries(attempts, "lin", "192.0.2.2") == 5
    for _ in range(50):  # who signs in rightly behind the same proxy uses none of them up
        attempts.start("kim", "192.0.2.3")
        attempts.succeeded("kim", "192.0.2.3")
    assert tries(attempts, None, "192.0.2.3") == 50


async def test_a_hundred_at_once_get_no_more_tries_than_one_after_another(
    accounts: Accounts,
) -> None:
    await accounts.add_user("lin", PASSWORD)
    guesses = (accounts.sign_in("lin", f"guess number {n}", f"192.0.2.{n}") for n in range(100))
    found = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(one, WrongPassword) for one in found) == 20
    assert sum(isinstance(one, TooManyAttempts) for one in found) == 80


def test_right_sign_ins_do_not_count_and_memory_is_bounded() -> None:
    now = [0.0]
    attempts = Attempts(remembered=100, clock=lambda: now[0])
    for _ in range(50):
        attempts.start("lin", "192.0.2.1")
        attempts.succeeded("lin", "192.0.2.1")
    for number in range(1000):
        attempts.start(f"user{number}", None)
    assert len(attempts) == 100
    for _ in range(50):
        attempts.start(None, "2001:db8::1")
    with pytest.raises(TooManyAttempts):
        attempts.start(None, "2001:db8::2")  # the same customer's network
    attempts.start(None, "2001:db8:0:1::1")
    now[0] = 60.0
    attempts.start(None, "2001:db8::2")


# Tokens.


async def test_a_token_is_kept_as_a_hash_and_leaves_what_user_role_and_team_allow(
    workspace: Workspace, accounts: Accounts
) -> None:
    await staff(accounts)
    await accounts.set_role("ada", "sale", "reviewer")
    rights = {}
    for team, role in ((None, "admin"), (None, "operator"), ("sale", "admin"), ("main", "viewer")):
        text, token = await accounts.add_token("ci", user="ada", team=team, role=role)
        assert text.startswith("wm_")
        assert text not in repr(token)
        actor = await accounts.actor_of_token(text)
        assert actor is not None
        assert (actor.name, actor.everywhere, actor.manages) == ("ada", None, False)
        rights[team, role] = dict(actor.teams)
    assert rights == {
        (None, "admin"): {1: "admin", 2: "reviewer"},
        (None, "operator"): {1: "operator", 2: "reviewer"},
        ("sale", "admin"): {2: "reviewer"},
        ("main", "viewer"): {1: "viewer"},
    }
    assert await accounts.actor_of_token("wm_guessed") is None
    kept = await workspace.database.read(
        lambda conn: conn.execute(select(tokens.c.hash)).scalars().first()
    )
    assert kept is not None
    assert len(kept) == 32


async def test_a_token_manages_users_only_as_an_admins_of_no_single_team(
    accounts: Accounts,
) -> None:
    await staff(accounts)
    found = {}
    for team, role in ((None, "admin"), (None, "operator"), ("main", "admin")):
        text, _ = await accounts.add_token("ci", user="manager", team=team, role=role)
        actor = await accounts.actor_of_token(text)
        assert actor is not None
        found[team, role] = actor.manages
    assert list(found.values()) == [True, False, False]


async def test_a_token_makes_and_ends_no_tokens(workspace: Workspace, accounts: Accounts) -> None:
    await staff(accounts)
    text, token = await accounts.add_token("ci", user="ada", team="main", role="viewer")
    holder = await accounts.actor_of_token(text)
    assert holder is not None
    limited = Accounts(workspace.acting(holder))
    with pytest.raises(Forbidden):
        await limited.add_token("more", role="admin")
    with pytest.raises(Forbidden):
        await limited.revoke(token.id)
    ada = await as_user(workspace, "ada")
    assert [one.id for one in await ada.tokens()] == [token.id]
    assert (await ada.revoke(token.id)).revoked_at is not None
    assert await accounts.actor_of_token(text) is None
    with pytest.raises(NotFound):
        await (await as_user(workspace, "vera")).revoke(token.id)


async def test_a_token_expires_and_its_use_is_noted(accounts: Accounts) -> None:
    await staff(accounts)
    text, token = await accounts.add_token("ci", user="ada", days=1)
    assert token.expires_at is not None
    assert token.expires_at == pytest.approx(time.time() + 86_400, abs=60)
    assert token.used_at is None
    await accounts.actor_of_token(text)
    (used,) = await accounts.tokens(everybody=True)
    assert used.used_at == pytest.approx(time.time(), abs=60)
    for days in (0, -1, 4000, float("nan")):
        with pytest.raises(ConfigError):
            await accounts.add_token("ci", user="ada", days=days)

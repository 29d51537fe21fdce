"""The rows of people: names are unique, secrets are hashes, the audit log only grows."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from waremill.errors import ConfigError, Conflict
from waremill.store import auditing, people
from waremill.store.auditing import Entered
from waremill.store.database import Database
from waremill.store.tables_people import audit, sessions, tokens

HASH, OTHER = b"\1" * 32, b"\2" * 32


def lin(conn: Connection) -> int:
    return people.insert_user(conn, "lin", "$argon2id$…", False, 100.0)


async def test_a_name_is_given_once(database: Database) -> None:
    await database.write(lin)
    with pytest.raises(Conflict, match="“lin”"):
        await database.write(lin)
    with pytest.raises(Conflict, match="“main”"):
        await database.write(people.insert_team, "main", 100.0)
    assert [user.name for user in await database.read(people.list_users)] == ["lin"]


async def test_a_user_has_one_role_in_each_team(database: Database) -> None:
    user = await database.write(lin)
    team = await database.write(people.insert_team, "sale", 100.0)
    before = [
        await database.write(people.set_role, user, where, role)
        for where, role in ((1, "viewer"), (1, "admin"), (team, "reviewer"), (team, None))
    ]
    assert before == [None, "viewer", None, "reviewer"]
    found = await database.read(people.find_user, "lin")
    assert found is not None
    assert found.roles == {1: "admin"}
    assert await database.read(people.members_of, 1) == [("lin", "admin")]
    assert await database.read(people.members_of, team) == []


async def test_who_changes_accounts_waits_for_who_does(
    database: Database, database_url: str
) -> None:
    inside, go_on = Event(), Event()

    def first(conn: Connection) -> None:
        people.lock_accounts(conn)
        inside.set()
        assert go_on.wait(30)
        lin(conn)

    def second(conn: Connection) -> bool:
        people.lock_accounts(conn)
        return people.any_users(conn)

    other = Database(database_url)
    one = asyncio.create_task(database.write(first))
    assert await asyncio.to_thread(inside.wait, 30)
    two = asyncio.create_task(other.write(second))
    await asyncio.sleep(0.2)
    early = two.done()
    go_on.set()
    await one
    assert await two and not early
    await other.close()


async def test_a_session_lasts_until_its_end_or_until_its_user_is_kept_out(
    database: Database,
) -> None:
    user = await database.write(lin)
    await database.write(people.insert_session, HASH, user, "csrf", 100.0, 200.0)
    found = await database.read(people.live_session, HASH, 199.0)
    assert found is not None
    assert (found.user.name, found.csrf) == ("lin", "csrf")
    assert "csrf" not in repr(found)
    assert await database.read(people.live_session, HASH, 200.0) is None
    assert await database.read(people.live_session, OTHER, 150.0) is None
    await database.write(people.slide_session, HASH, 300.0)
    assert await database.read(people.live_session, HASH, 200.0) is not None
    await database.write(lambda conn: people.update_user(conn, user, disabled=True))
    assert await database.read(people.live_session, HASH, 150.0) is None


async def test_a_new_session_clears_away_those_that_have_ended(database: Database) -> None:
    user = await database.write(lin)
    await database.write(people.insert_session, HASH, user, "csrf", 100.0, 200.0)
    await database.write(people.insert_session, OTHER, user, "csrf", 200.0, 300.0)
    left = await database.read(lambda conn: conn.execute(select(sessions.c.hash)).scalars().all())
    assert list(left) == [OTHER]


def used_at(conn: Connection) -> float | None:
    found: float | None = conn.execute(select(tokens.c.used_at)).scalar_one()
    return found


def token_values(user: int, **more: Any) -> dict[str, Any]:
    return {
        "hash": HASH, "name": "ci", "user_id": user, "team_id": None, "role": "operator",
        "created_at": 100.0, "expires_at": 200.0, **more,
    }  # fmt: skip


async def test_a_token_works_until_it_expires_or_is_revoked(database: Database) -> None:
    user = await database.write(lin)
    token = await database.write(people.insert_token, token_values(user))
    found = await database.read(people.live_token, HASH, 199.0)
    assert found is not None
    assert (found[0].role, found[1].name) == ("operator", "lin")
    assert await database.read(people.live_token, HASH, 200.0) is None
    await database.write(people.revoke_token, token, 150.0)
    assert await database.read(people.live_token, HASH, 199.0) is None
    await database.write(people.revoke_token, token, 160.0)
    shown = await database.read(people.find_token, token)
    assert shown is not None
    assert shown.revoked_at == 150.0


async def test_the_use_of_a_token_is_noted_at_most_once_a_while(database: Database) -> None:
    token = await database.write(people.insert_token, token_values(await database.write(lin)))
    used = []
    for now in (100.0, 130.0, 159.0, 160.0):
        await database.write(people.touch_token, token, now, now - 60)
        used.append(await database.read(used_at))
    assert used == [100.0, 100.0, 100.0, 160.0]


def entries(conn: Connection) -> None:
    for number in range(60):
        team = (None, 1, 2)[number % 3]
        entry = Entered("lin", team, f"run.{number % 2}", f"run {number}", "127.0.0.1")
        auditing.append(conn, entry, {"number": number})


@pytest.mark.parametrize(
    "change",
    ["UPDATE audit SET subject = 'another'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1"],
)
async def test_the_database_refuses_to_change_the_audit_log(
    database: Database, change: str
) -> None:
    await database.write(entries)
    with pytest.raises((DBAPIError, ConfigError), match="only grows"):
        await database.write(lambda conn: conn.execute(text(change)))
    rows = await database.read(lambda conn: conn.execute(select(audit.c.subject)).all())
    assert len(rows) == 60


async def test_the_newest_entries_come_first_and_only_of_the_teams_asked_for(
    database: Database,
) -> None:
    await database.write(entries)
    whole = await database.read(auditing.newest, None, before=None, limit=100)
    assert [one.detail["number"] for one in whole] == list(range(59, -1, -1))
    both = await database.read(auditing.newest, [1, 2], before=None, limit=4)
    assert [one.detail["number"] for one in both] == [59, 58, 56, 55]
    after = await database.read(auditing.newest, [1, 2], before=both[-1].id, limit=2)
    assert [one.detail["number"] for one in after] == [53, 52]
    odd = await database.read(auditing.newest, [1], before=None, limit=9, action="run.1")
    assert [one.detail["number"] for one in odd] == [55, 49, 43, 37, 31, 25, 19, 13, 7]
    assert await database.read(auditing.newest, [3], before=None, limit=9) == []


async def test_no_listing_of_the_audit_log_scans_it(database: Database) -> None:
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL scans a table as small as this one, rightly")
    await database.write(entries)
    plans: list[str] = []

    def explain(conn: Connection) -> None:
        real = conn.execute

        def watched(statement: Any) -> Any:
            sql = str(statement.compile(conn.engine, compile_kwargs={"literal_binds": True}))
            plans.extend(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}"))
            return real(statement)

        conn.execute = watched  # type: ignore[method-assign, assignment]
        for teams, filters in (
            (None, {"before": 50}), ([1, 2], {"before": None}), ([1], {"before": 50}),
            (None, {"before": None, "action": "run.1"}), (None, {"before": 9, "by": "lin"}),
            ([1], {"before": None, "action": "run.1", "by": "lin"}),
        ):  # fmt: skip
            auditing.newest(conn, teams, limit=10, **filters)

    await database.read(explain)
    assert len(plans) == 7
    assert all(plan.startswith("SEARCH audit USING") for plan in plans)

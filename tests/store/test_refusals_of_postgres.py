"""What PostgreSQL refuses is told by its codes, in any language; what it gave up is done again."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection, select, text
from tests.planned import claimed, planned

from waremill.errors import ConfigError, Conflict, DatabaseGone, LimitReached
from waremill.store import runs as store_runs
from waremill.store.bulk import COPIED, BulkInsert
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.limits import draw_rate
from waremill.store.tables import answers, documents, rates


def raising(code: str) -> str:
    """A statement that fails with a code and words no English reader would look for."""
    return f"DO $$ BEGIN RAISE '由于管理员命令中断联接' USING ERRCODE = '{code}'; END $$"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("57P01", DatabaseGone),
        ("57P03", DatabaseGone),
        ("08006", DatabaseGone),
        ("25006", DatabaseGone),
        ("53100", LimitReached),
        ("57014", ConfigError),
    ],
)
async def test_a_refusal_is_known_by_its_code(
    migrated_postgres: str, code: str, kind: type[Exception]
) -> None:
    database = Database(migrated_postgres)
    with pytest.raises(kind) as told:
        await database.write(lambda conn: conn.execute(text(raising(code))))
    assert (type(told.value), "\n" in str(told.value)) == (kind, False)
    await database.close()


@pytest.mark.parametrize("count", [1, COPIED])
async def test_a_nul_is_refused_in_a_sentence(migrated_postgres: str, count: int) -> None:
    database = Database(migrated_postgres)
    rows = [(f"hash {n}", "a\0b") for n in range(count)]
    with pytest.raises(ConfigError, match="the character NUL"):
        await database.write(BulkInsert(documents, ("hash", "body")).run, rows)
    await database.close()


async def test_a_user_without_rights_is_told_in_a_sentence(migrated_postgres: str) -> None:
    database = Database(migrated_postgres)

    def write(conn: Connection) -> None:
        conn.execute(text("SET LOCAL ROLE pg_monitor"))
        draw_rate(conn, "m", 1, 1, 1)

    with pytest.raises(ConfigError, match="cannot be written: permission denied"):
        await database.write(write)
    await database.close()


async def test_what_was_given_up_in_a_deadlock_is_done_again(migrated_postgres: str) -> None:
    mine, other = Database(migrated_postgres), Database(migrated_postgres)
    both = ("one", "two")
    for name in both:
        await mine.write(draw_rate, name, 0, 0, 0)
    holds_two, tries = threading.Event(), 0

    def move(conn: Connection, name: str) -> None:
        conn.execute(rates.update().where(rates.c.model == name).values(tokens_at=1.0))

    def across(conn: Connection) -> None:
        nonlocal tries
        tries += 1
        conn.execute(text("SET LOCAL deadlock_timeout = '200ms'"))
        move(conn, "two")
        holds_two.set()
        move(conn, "one")

    with other.engine.connect() as conn, conn.begin():
        conn.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        move(conn, "one")

        def wait_for_two() -> None:
            holds_two.wait()
            move(conn, "two")
            conn.commit()

        thread = threading.Thread(target=wait_for_two)
        thread.start()
        await mine.repeat(across)
        thread.join()
    assert tries > 1
    await mine.close()
    await other.close()


async def test_answers_are_written_in_one_order_by_everybody(database: Database) -> None:
    """Two runs that make the same answers at once would else wait for each other for good."""
    run = await claimed(database, await planned(database))
    counted = dict.fromkeys(("request_bytes", "input", "cached", "output", "reasoning"), 0)
    rows = [
        {"hash": bytes([n] * 16), "model": "m", "outcome": "complete", "text": "",
         "reported_model": "m", "request_id": None, "list_cost": None, "created_at": 0.0, **counted}
        for n in (7, 3, 9, 1)
    ]  # fmt: skip
    await Journal(database, run).put("answers", rows)
    query = select(answers.c.hash).order_by(answers.c.id)
    written = await database.read(lambda conn: conn.execute(query).scalars().all())
    assert [bytes(one)[0] for one in written] == [1, 3, 7, 9]


async def test_a_run_is_released_once(database: Database) -> None:
    """So that it can be asked for again where no word of the first came."""
    run = await claimed(database, await planned(database))
    await database.write(store_runs.release, run, "paused", None, 1.0)
    with pytest.raises(Conflict):
        await database.write(store_runs.release, run, "paused", None, 1.0)
    assert (await database.read(store_runs.get_run, run.id)).worked_seconds == 1.0

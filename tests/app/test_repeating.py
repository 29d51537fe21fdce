"""Kept answers and deliveries on both databases: one of several servers does a thing once."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import update

from waremill.store import requests as store_requests
from waremill.store import webhooks as store_webhooks
from waremill.store.database import Database
from waremill.store.requests import ABANDONED_SECONDS, KEPT_SECONDS
from waremill.store.tables_people import requests

DIGEST = b"d" * 32


async def begin(database: Database, by: str = "lin", key: str = "k") -> store_requests.Kept | None:
    """Begin a request."""
    return await database.write(store_requests.begin, by, key, DIGEST)


async def test_a_request_is_begun_once_and_its_answer_kept(database: Database) -> None:
    assert await begin(database) is None
    working = await begin(database)
    assert working is not None and (working.digest, working.status) == (DIGEST, None)
    await database.write(store_requests.finish, "lin", "k", (202, b"{}\nbody", "text/plain"))
    kept = await begin(database)
    assert kept == store_requests.Kept(DIGEST, 202, b"{}\nbody", "text/plain")
    assert await begin(database, by="mei") is None, "a key is its user's own"


async def test_a_request_of_which_nothing_came_is_forgotten(database: Database) -> None:
    await begin(database)
    await database.write(store_requests.forget, "lin", "k")
    assert await begin(database) is None


async def test_answers_are_kept_for_a_day_and_abandoned_ones_for_minutes(
    database: Database,
) -> None:
    async def age(seconds: float) -> None:
        moment = time.time() - seconds
        statement = update(requests).values(created_at=moment)
        await database.write(lambda conn: conn.execute(statement))

    await begin(database)
    await age(ABANDONED_SECONDS - 60)
    assert await begin(database) is not None
    await age(ABANDONED_SECONDS + 60)
    assert await begin(database) is None
    await database.write(store_requests.finish, "lin", "k", (200, b"", None))
    await age(KEPT_SECONDS - 60)
    assert await begin(database) is not None
    await age(KEPT_SECONDS + 60)
    assert await begin(database) is None


async def test_a_delivery_is_claimed_by_one_and_again_after_its_lease(database: Database) -> None:
    row = {"team_id": 1, "url": "https://shop.example", "secret": "s", "events": ["run.finished"],
           "active": True, "by": "lin"}  # fmt: skip
    webhook = await database.write(store_webhooks.insert_webhook, row)
    assert await database.read(store_webhooks.subscribed, 1, "run.finished") == [webhook.id]
    assert await database.read(store_webhooks.subscribed, 1, "item.accepted") == []
    (number,) = await database.write(
        store_webhooks.enqueue, [webhook.id], "run.finished", '{"id": "evt"}'
    )
    now = time.time() + 1
    claims = await asyncio.gather(
        *(database.write(store_webhooks.claim_due, now, 60.0, 10) for _ in range(2))
    )
    (due,) = [one for claimed in claims for one in claimed]
    assert (due.delivery.id, due.webhook.url) == (number, "https://shop.example")
    assert await database.read(store_webhooks.count_due, now) == 0
    assert await database.read(store_webhooks.count_due, now + 61) == 1
    await database.write(
        store_webhooks.settle, number, "delivered", next_at=now, status=200, error=None
    )
    assert await database.write(store_webhooks.forget_before, now + 10) == 1
    await database.write(store_webhooks.delete_webhook, webhook.id)
    assert await database.read(store_webhooks.find_webhook, webhook.id) is None

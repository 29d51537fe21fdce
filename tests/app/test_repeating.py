"""Kept answers and deliveries on both databases: one of several servers does a thing once."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from waremill.app import repeating
from waremill.app.repeating import Repeats
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


async def test_a_request_that_takes_long_is_not_taken_for_abandoned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeating, "BEAT_SECONDS", 0.02)
    whose: Any = SimpleNamespace(database=database, actor=SimpleNamespace(name="lin"))
    long_ago = update(requests).values(created_at=time.time() - ABANDONED_SECONDS - 60)
    repeats = Repeats(whose)
    assert await repeats.begin("k", DIGEST) is None
    await database.write(lambda conn: conn.execute(long_ago))
    await asyncio.sleep(0.3)
    retried = await Repeats(whose).begin("k", DIGEST)
    assert retried is not None and retried.status is None, "it is being worked"
    await repeats.finish("k", (200, b"", None))
    assert not await database.write(store_requests.refresh, "lin", "k"), "it is answered"
    assert await repeats.begin("other", DIGEST) is None
    await repeats.forget("other")
    assert await repeats.begin("other", DIGEST) is None
    await repeats.forget("other")


async def hook(database: Database, url: str = "https://shop.example", team: int = 1) -> int:
    """Add a webhook."""
    row = {"team_id": team, "url": url, "secret": "s", "events": ["run.finished"],
           "active": True, "by": "lin"}  # fmt: skip
    return (await database.write(store_webhooks.insert_webhook, row)).id


async def told(database: Database, number: int, count: int = 1, event: str = "run.finished") -> Any:
    """Queue messages for a webhook; give their ids."""
    numbers = [number] * count
    return await database.write(store_webhooks.enqueue, numbers, event, '{"id": "evt"}')


async def claimed(database: Database, now: float, limit: int = 32, **more: Any) -> list[int]:
    """Claim what is due; give the webhooks it is for."""
    due = await database.write(store_webhooks.claim_due, now, 60.0, limit, **more)
    return [one.webhook.id for one in due]


async def test_what_waits_for_a_webhook_that_was_switched_off_waits_on(database: Database) -> None:
    number, now = await hook(database), time.time() + 1
    await told(database, number)
    await database.write(store_webhooks.update_webhook, number, {"active": False})
    assert await claimed(database, now) == []
    assert not await database.read(store_webhooks.is_due, now)
    assert await database.read(store_webhooks.count_due, now) == 0
    await told(database, number, event=store_webhooks.PING)
    assert await claimed(database, now) == [number], "a test message is sent all the same"
    await database.write(store_webhooks.update_webhook, number, {"active": True})
    assert await claimed(database, now) == [number]


async def test_a_delivery_that_takes_servers_down_is_given_up(database: Database) -> None:
    number, now = await hook(database), time.time() + 1
    (delivery,) = await told(database, number)
    for _ in range(store_webhooks.ATTEMPTS):
        assert await claimed(database, now) == [number]
        await database.write(store_webhooks.give_up, now, 0.0)
        now += 61
    assert await claimed(database, now) == []
    await database.write(store_webhooks.give_up, now, 0.0)
    found = await database.read(store_webhooks.find_delivery, delivery)
    assert found is not None and (found.state, found.error) == ("failed", "it was given up")


async def test_one_host_and_one_team_take_so_much_room_and_no_more(database: Database) -> None:
    slow = [await hook(database, f"https://slow.example/{n}") for n in range(3)]
    for number in slow:
        await told(database, number, 20)
    other = await hook(database, "https://quick.example", team=2)
    await told(database, other, 2)
    now = time.time() + 1
    first = await claimed(database, now)
    assert [one for one in first if one != other] == [slow[0]] * store_webhooks.AT_ONCE_A_HOST
    assert first.count(other) == 2
    busy: dict[str | int, int] = {"slow.example": store_webhooks.AT_ONCE_A_HOST}
    assert not await database.read(store_webhooks.is_due, now, busy)
    await told(database, other)
    now = time.time() + 1
    assert await claimed(database, now, busy=busy) == [other]
    assert await claimed(database, now, busy={"slow.example": 3}) == [slow[0]]
    team = {1: store_webhooks.AT_ONCE_A_TEAM - 1}
    assert len(await claimed(database, now, busy=team)) == 1
    assert len(await claimed(database, now, limit=2)) == 2

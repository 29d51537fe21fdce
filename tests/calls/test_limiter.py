"""How many calls are in flight: a 429 cuts once a burst, success grows, nothing leaks."""

from __future__ import annotations

import asyncio
import time

from waremill.calls.limiter import Limiter


async def held(limiter: Limiter, count: int) -> list[float]:
    return [await limiter.acquire() for _ in range(count)]


async def test_no_more_than_the_limit_are_in_flight() -> None:
    limiter = Limiter(4, time.monotonic)
    peak = 0

    async def call() -> None:
        nonlocal peak
        await limiter.acquire()
        peak = max(peak, limiter.flying)
        await asyncio.sleep(0)
        limiter.succeeded(0.01)

    await asyncio.gather(*(call() for _ in range(100)))
    assert peak == 4
    assert limiter.flying == 0


async def test_a_burst_of_429s_cuts_once() -> None:
    limiter = Limiter(16, time.monotonic)
    started = await held(limiter, 16)
    for one in started:
        limiter.rate_limited(one, None)
    assert limiter.limit == 8.0
    limiter.rate_limited(await limiter.acquire(), None)
    assert limiter.limit == 4.0
    for _ in range(20):
        limiter.rate_limited(await limiter.acquire(), None)
    assert limiter.limit == 1.0


async def test_the_limit_grows_back() -> None:
    limiter = Limiter(8, time.monotonic)
    limiter.rate_limited(await limiter.acquire(), None)
    assert limiter.limit == 4.0
    for _ in range(4):
        await limiter.acquire()
        limiter.succeeded(0.01)
    assert limiter.limit == 4.0  # a round of replies passes first
    for _ in range(100):
        await limiter.acquire()
        limiter.succeeded(0.01)
    assert limiter.limit == 8.0


async def test_a_server_error_pauses_growth_without_a_cut() -> None:
    limiter = Limiter(8, time.monotonic)
    limiter.rate_limited(await limiter.acquire(), None)
    await limiter.acquire()
    limiter.unavailable()
    assert limiter.limit == 4.0


async def test_a_steady_share_of_faults_does_not_hold_it_at_one() -> None:
    limiter = Limiter(64, time.monotonic)
    seen = []
    for number in range(2000):
        started = await limiter.acquire()
        if number % 20 == 0:
            limiter.rate_limited(started, None)
        elif number % 50 == 1:
            limiter.unavailable()
        else:
            limiter.succeeded(0.01)
        seen.append(limiter.limit)
    assert sum(seen[500:]) / 1500 > 2.5


async def test_retry_after_closes_the_door_for_everyone() -> None:
    limiter = Limiter(4, time.monotonic)
    limiter.rate_limited(await limiter.acquire(), 0.2)
    started = time.monotonic()
    await asyncio.gather(limiter.acquire(), limiter.acquire())
    assert time.monotonic() - started >= 0.19


async def test_a_slow_endpoint_is_given_less() -> None:
    now = [0.0]
    limiter = Limiter(32, lambda: now[0])
    for number in range(200):
        now[0] += 0.1
        await limiter.acquire()
        limiter.succeeded(0.05 if number < 60 else 1.0)
    assert limiter.limit < 20


async def test_cancelling_who_waits_never_leaks_a_place() -> None:
    limiter = Limiter(2, time.monotonic)
    await held(limiter, 2)
    waiting = [asyncio.create_task(limiter.acquire()) for _ in range(6)]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    limiter.left()  # hands its place to the first who still waits
    waiting[1].cancel()  # who is cancelled in the same turn
    await asyncio.gather(*waiting[:4:2], waiting[1], return_exceptions=True)
    await asyncio.sleep(0)
    assert waiting[3].done()
    limiter.left()
    await asyncio.sleep(0)
    assert waiting[5].done()
    assert limiter.flying == 2
    limiter.left()
    limiter.left()
    assert limiter.flying == 0


async def test_cancelling_behind_a_closed_door_never_leaks_a_place() -> None:
    limiter = Limiter(2, time.monotonic)
    limiter.rate_limited(await limiter.acquire(), 30.0)
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert limiter.flying == 0

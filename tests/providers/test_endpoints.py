"""Several base URLs and keys: spread, and failing ones left out."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.providers.asking import chat, opened
from tests.vendor import Vendor, openai_error

from waremill.errors import AccessDenied, RateLimited, Unavailable

GPT = "openai:gpt-4.1-mini"


async def test_calls_are_spread_evenly_over_the_addresses() -> None:
    async with Vendor() as one, Vendor() as two, Vendor() as three:
        async with opened(GPT, one.url, two.url, three.url) as provider:
            for _ in range(9):
                await provider(chat())
        assert (one.calls, two.calls, three.calls) == (3, 3, 3)


async def test_calls_are_spread_evenly_over_the_keys() -> None:
    async with Vendor() as vendor:
        async with opened(GPT, vendor.url, keys=("key-aaaaaa", "key-bbbbbb")) as provider:
            for _ in range(6):
                await provider(chat())
        used = Counter(one.headers["authorization"] for one in vendor.requests)
    assert used == {"Bearer key-aaaaaa": 3, "Bearer key-bbbbbb": 3}


async def test_as_many_keys_as_addresses_belong_together_in_order() -> None:
    async with Vendor(keys=("key-aaaaaa",)) as one, Vendor(keys=("key-bbbbbb",)) as two:
        keys = ("key-aaaaaa", "key-bbbbbb")
        async with opened(GPT, one.url, two.url, keys=keys) as provider:
            for _ in range(4):
                await provider(chat())
        assert (one.calls, two.calls) == (2, 2)


async def test_a_failing_address_is_left_out_for_a_while() -> None:
    async with Vendor(unavailable=1.0) as bad, Vendor() as good:
        async with opened(GPT, bad.url, good.url) as provider:
            failed = 0
            for _ in range(10):
                try:
                    await provider(chat())
                except Unavailable:
                    failed += 1
        assert failed == 1 and bad.calls == 1 and good.calls == 9


async def test_an_address_that_limits_the_rate_rests_as_long_as_it_says() -> None:
    async with Vendor(rate_limited=1.0, retry_after=30) as busy, Vendor() as free:
        async with opened(GPT, busy.url, free.url) as provider:
            with pytest.raises(RateLimited):
                await provider(chat())
            for _ in range(5):
                await provider(chat())
        assert busy.calls == 1


async def test_where_all_fail_the_one_that_rests_shortest_is_tried() -> None:
    async with Vendor(unavailable=1.0) as one, Vendor(unavailable=1.0) as two:
        async with opened(GPT, one.url, two.url) as provider:
            for _ in range(4):
                with pytest.raises(Unavailable):
                    await provider(chat())
        assert one.calls + two.calls == 4 and min(one.calls, two.calls) >= 1


async def test_one_refused_key_among_working_ones_is_left_out_and_does_not_stop_a_run() -> None:
    async with Vendor(keys=("key-good11",)) as vendor:
        async with opened(GPT, vendor.url, keys=("key-wrong1", "key-good11")) as provider:
            with pytest.raises(Unavailable, match="endpoint 1 of 2 is left out") as caught:
                await provider(chat())
            assert "key-wrong1" not in str(caught.value)
            for _ in range(5):
                await provider(chat())
        assert vendor.calls == 6


async def test_when_every_key_is_refused_access_is_denied() -> None:
    refused = openai_error(401, "no", code="invalid_api_key")
    keys = ("key-wrong1", "key-wrong2")
    async with (
        Vendor(reply=lambda *_: refused) as vendor,
        opened(GPT, vendor.url, keys=keys) as provider,
    ):
        for kind in (Unavailable, AccessDenied):
            with pytest.raises(kind):
                await provider(chat())


async def test_a_proxy_is_used() -> None:
    async with Vendor() as proxy:
        async with opened(GPT, "http://api.example.com/v1", proxy=proxy.origin) as provider:
            assert (await provider(chat())).outcome == "complete"
        assert proxy.requests[0].path == "http://api.example.com/v1/chat/completions"

"""`search` over the API: products by meaning, in listings, estimates and runs."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.web.shops import Shop, shop, stocked, vendor_url

__all__ = ["shop", "stocked", "vendor_url"]

LISTED = "/v1/catalogs/perfumes/products"


async def found(shop: Shop, **asked: Any) -> list[str]:
    """Search the products; the first time the server makes an index, and says so until it is."""
    async with asyncio.timeout(30):
        while True:
            reply = await shop.client.get(LISTED, params=asked)
            if reply.status_code != 409:
                break
            assert "made ready for search" in reply.json()["detail"]
            await asyncio.sleep(0.1)
    assert reply.status_code == 200, reply.text
    return [one["key"] for one in reply.json()["rows"]]


async def test_products_are_listed_by_meaning_within_the_where_and_paged(shop: Shop) -> None:
    every = await found(shop, search="Eau number 7", size=100)
    assert every[0] == "P0007" and len(every) == 30
    bounded = await found(shop, search="Eau number 7", where="brand = 'House 3'", size=100)
    assert bounded and set(bounded) < set(every) and "P0007" not in bounded
    first = (await shop.client.get(LISTED, params={"search": "Eau number 7", "size": 4})).json()
    asked = {"search": "Eau number 7", "size": 4, "cursor": first["next"]}
    second = (await shop.client.get(LISTED, params=asked)).json()
    assert [one["key"] for one in (*first["rows"], *second["rows"])] == every[:8]


async def test_a_search_takes_no_order_and_no_empty_text(shop: Shop) -> None:
    both = {"search": "rose", "order_by": "name"}
    refused = await shop.ask("GET", LISTED, status=422, params=both)
    assert "order of its own" in refused["detail"]
    await shop.ask("GET", LISTED, status=422, params={"search": ""})
    await shop.ask("GET", LISTED, status=422, params={"search": "x" * 2001})


async def test_an_estimate_and_a_run_take_what_a_search_finds(shop: Shop) -> None:
    await found(shop, search="Eau number 7")
    asked = {"pipeline": "copy", "search": "Eau number 7", "limit": 2}
    estimate = await shop.ask("POST", "/v1/estimates", asked)
    assert estimate["products"] == 2
    planned = await shop.ask("POST", "/v1/runs", {**asked, "start": False}, status=202)
    assert planned["total"] == 2
    rows = (await shop.ask("GET", f"/v1/runs/{planned['run']}/items"))["rows"]
    assert "P0007" in {one["key"] for one in rows}

"""One product at once, as JSON and as a stream; what is answered twice is done once."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from sqlalchemy import select
from tests.web.shops import Shop, shop, stocked, vendor_url
from tests.workspaces import vendor_stats

from waremill.store.tables_people import requests

__all__ = ["shop", "stocked", "vendor_url"]

BODY: dict[str, Any] = {"pipeline": "copy", "product": {"name": "Eau d'essai", "brand": "House"}}


def product(name: str) -> dict[str, Any]:
    """A request for a product no test has asked for."""
    return {"pipeline": "copy", "product": {"name": name, "brand": "House"}}


def events(text: str) -> list[tuple[str, Any]]:
    """Read server-sent events."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((lines["event"], orjson.loads(lines["data"])))
    return found


async def test_a_product_is_made_and_an_equal_request_costs_nothing(
    shop: Shop, vendor_url: str
) -> None:
    body = product("Eau de deux fois")
    first = await shop.ask("POST", "/v1/generate", body)
    calls = vendor_stats(vendor_url)["calls"]
    again = await shop.ask("POST", "/v1/generate", body)
    assert vendor_stats(vendor_url)["calls"] == calls
    assert first["values"] == again["values"] and first["values"]["title"]
    assert first["cost"] > 0 and again["cost"] == 0
    assert again["list_cost"] == first["list_cost"] and again["replayed"] == 1


async def test_a_stream_gives_tokens_then_the_result(shop: Shop) -> None:
    headers = {"Accept": "text/event-stream"}
    reply = await shop.client.post("/v1/generate", json=product("Eau qui coule"), headers=headers)
    assert reply.headers["content-type"].startswith("text/event-stream")
    found = events(reply.text)
    names = [name for name, _ in found]
    assert names[-1] == "result" and set(names[:-1]) == {"token"} and len(names) > 1
    text = "".join(data["text"] for name, data in found if name == "token")
    assert orjson.loads(text)["title"] == found[-1][1]["values"]["title"]


async def test_a_stream_ends_with_a_problem_where_it_cannot_work(shop: Shop) -> None:
    headers = {"Accept": "text/event-stream"}
    body = {**BODY, "targets": "x"}
    await shop.ask("POST", "/v1/generate", body, headers=headers, status=422)
    reply = await shop.client.post(
        "/v1/generate", json={**BODY, "target": "xx-YY@nowhere"}, headers=headers
    )
    (name, problem) = events(reply.text)[-1]
    assert name == "error" and problem["status"] == 422 and "nowhere" in problem["detail"]


async def test_what_is_generated_stands_in_the_ledger_and_in_no_list_of_runs(shop: Shop) -> None:
    before = await shop.ask("GET", "/v1/spend", params={"by": "user"})
    await shop.ask("POST", "/v1/generate", product("Eau du grand livre"))
    after = await shop.ask("GET", "/v1/spend", params={"by": "user"})
    assert sum(one["calls"] for one in after) == sum(one["calls"] for one in before) + 1
    runs = await shop.ask("GET", "/v1/runs")
    assert {one["kind"] for one in runs["rows"]} == {"run", "trial"}
    assert (await shop.ask("GET", "/v1/runs/last"))["kind"] == "trial"


async def test_equal_requests_at_once_are_paid_once(shop: Shop, vendor_url: str) -> None:
    calls = vendor_stats(vendor_url)["calls"]
    body = product("Eau de tous")
    made = await asyncio.gather(*(shop.ask("POST", "/v1/generate", body) for _ in range(20)))
    assert vendor_stats(vendor_url)["calls"] == calls + 1
    assert len({orjson.dumps(one["values"]) for one in made}) == 1
    assert sum(one["cost"] > 0 for one in made) == 1


async def test_a_missing_input_is_the_callers_to_mend(shop: Shop) -> None:
    problem = await shop.ask(
        "POST", "/v1/generate", {"pipeline": "copy", "product": {"brand": "x"}}, status=422
    )
    assert "name" in problem["detail"]


async def test_the_same_key_and_body_give_the_kept_answer(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k-1"}
    body = {"pipeline": "copy", "limit": 1, "start": False}
    first = await shop.client.post("/v1/runs", json=body, headers=headers)
    again = await shop.client.post("/v1/runs", json=body, headers=headers)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    runs = await shop.ask("GET", "/v1/runs", params={"state": "planned"})
    assert len(runs["rows"]) == 1


async def test_the_same_key_with_another_body_is_refused(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k-2"}
    body = {"pipeline": "copy", "limit": 1, "start": False}
    await shop.ask("POST", "/v1/runs", body, headers=headers, status=202)
    problem = await shop.ask("POST", "/v1/runs", {**body, "limit": 2}, headers=headers, status=422)
    assert problem["type"] == "urn:waremill:key-reused"


async def test_a_request_in_progress_is_a_conflict(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k-3"}
    body = product("Eau en cours")
    replies = await asyncio.gather(
        *(shop.client.post("/v1/generate", json=body, headers=headers) for _ in range(5))
    )
    codes = sorted(reply.status_code for reply in replies)
    assert codes[0] == 200 and set(codes) <= {200, 409}
    assert len({reply.text for reply in replies if reply.status_code == 200}) == 1


async def test_what_failed_may_be_sent_again_under_its_key(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k-4"}
    await shop.ask("POST", "/v1/runs", {"pipeline": "none"}, headers=headers, status=404)
    body = {"pipeline": "copy", "limit": 1, "start": False}
    await shop.ask("POST", "/v1/runs", body, headers=headers, status=202)


async def test_a_form_sent_again_with_another_boundary_is_the_same(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k-5"}
    content = b"sku,name\nN1,--New\n" + b"x" * 200_000
    replies = [
        await shop.client.post(
            "/v1/uploads", files={"file": ("a.csv", content, "text/csv")}, headers=headers
        )
        for _ in range(2)
    ]
    assert replies[0].request.headers["content-type"] != replies[1].request.headers["content-type"]
    assert replies[0].status_code == replies[1].status_code == 201
    assert replies[0].json() == replies[1].json() and replies[0].json()["size"] == len(content)


async def test_a_secret_is_not_kept_with_the_answer(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k-6"}
    body = {"url": "https://example.com/hook"}
    object.__setattr__(shop.workspace.settings.server, "allow_private_webhooks", True)
    made = await shop.ask("POST", "/v1/webhooks", body, headers=headers, status=201)
    problem = await shop.ask("POST", "/v1/webhooks", body, headers=headers, status=409)
    assert problem["type"] == "urn:waremill:secret-shown"
    assert len(await shop.ask("GET", "/v1/webhooks")) == 1
    kept = await shop.workspace.database.read(lambda conn: conn.execute(select(requests)).all())
    assert kept and not any(made["secret"].encode() in row.body for row in kept)


async def test_a_bad_key_is_refused(shop: Shop) -> None:
    headers = {"Idempotency-Key": "x" * 256}
    await shop.ask("POST", "/v1/estimates", {"pipeline": "copy"}, headers=headers, status=422)

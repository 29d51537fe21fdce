"""Publishing over the API: channels of the settings only, stages, refusals, and back again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest_asyncio

from app.publishing_shop import accepted_run, bring, make_shop, perfume_rows
from waremill.app import Workspace, open_workspace, publishing
from waremill.store.tables_publishing import publications
from waremill.web.server import create_app

ADDRESS = "http://127.0.0.1:8750"


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    async with open_workspace(make_shop(tmp_path / "shop", None), readers=2) as opened:
        await bring(opened, perfume_rows(6))
        yield opened


@pytest_asyncio.fixture
async def client(workspace: Workspace) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(workspace), client=("127.0.0.1", 5))
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, timeout=60) as opened:
        yield opened


async def ask(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    reply = await client.request(method, path, json=body)
    assert reply.status_code < 300, reply.text
    return reply.json()


async def accepted(
    workspace: Workspace, client: httpx.AsyncClient, path: str, body: Any = None
) -> Any:
    """Order a publication, and give it once it has ended."""
    reply = await client.post(path, json=body)
    assert reply.status_code == 202, reply.text
    place = reply.headers["Location"]
    await publishing.finish(workspace)
    return await ask(client, "GET", place)


async def test_a_run_is_published_shown_listed_and_rolled_back(
    workspace: Workspace, client: httpx.AsyncClient
) -> None:
    run = await accepted_run(workspace, values={"P001": {"title": "x" * 151}})
    names = [one["name"] for one in await ask(client, "GET", "/v1/publish/channels")]
    assert names == ["acp", "google", "shopify"]
    place = f"/v1/runs/{run}/publications"
    dry = await client.post(place, json={"channel": "google", "dry_run": True})
    assert dry.status_code == 200 and dry.json()["publications"][0]["publication"] is None
    assert not (workspace.settings.root / "feeds").exists()
    made = await accepted(workspace, client, place, {"channel": "google"})
    assert made["rows"] == {"new": 5, "changed": 0, "unchanged": 0, "refused": 1}
    assert made["state"] == "done" and made["total"] == 6
    assert made["refusals"][0]["key"] == "P001" and made["files"][0]["path"] == "google.xml"
    listed = await ask(client, "GET", "/v1/publications?channel=google&size=1")
    assert [one["publication"] for one in listed["rows"]] == [made["publication"]]
    assert listed["next"] is None
    back = await accepted(workspace, client, f"/v1/publications/{made['publication']}/rollback")
    assert back["rolls_back"] == made["publication"] and back["state"] == "done"
    again = await accepted(workspace, client, f"/v1/publications/{made['publication']}/rollback")
    assert again["state"] == "failed" and "is live any more" in again["reason"]


async def test_an_order_is_accepted_at_once_and_outlives_its_client(
    workspace: Workspace, client: httpx.AsyncClient
) -> None:
    run = await accepted_run(workspace)
    place = f"/v1/runs/{run}/publications"
    reply = await client.post(place, json={"channel": "google"})
    (begun,) = reply.json()["publications"]
    assert (reply.status_code, begun["state"], begun["total"]) == (202, "working", 6)
    second = await client.post(place, json={"channel": "google"})
    assert second.status_code == 409 and "published to just now" in second.text
    async with client.stream("GET", f"{reply.headers['Location']}/events") as events:
        said = [line async for line in events.aiter_lines() if line.startswith("data: ")]
    last = orjson.loads(said[-1].removeprefix("data: "))
    assert last["state"] == "done" and last["rows"]["new"] == 6


async def test_a_server_that_stops_interrupts_and_one_that_starts_settles(
    workspace: Workspace, client: httpx.AsyncClient
) -> None:
    run = await accepted_run(workspace)
    place = f"/v1/runs/{run}/publications"
    await client.post(place, json={"channel": "google"})
    await publishing.close(workspace)
    shown = await ask(client, "GET", "/v1/publications/last")
    assert shown["state"] == "failed" and "interrupted" in shown["reason"]
    made = await accepted(workspace, client, place, {"channel": "google"})
    newest = publications.update().where(publications.c.name == made["publication"])
    killed = newest.values(state="working", owner="gone:1:1", heartbeat=0.0)
    await workspace.database.write(lambda conn: conn.execute(killed))
    await publishing.settle_all(workspace)
    shown = await ask(client, "GET", f"/v1/publications/{made['publication']}")
    assert shown["state"] == "failed" and "its process ended" in shown["reason"]


async def test_the_file_is_given_byte_for_byte_until_another_is_in_its_place(
    workspace: Workspace, client: httpx.AsyncClient
) -> None:
    run = await accepted_run(workspace, targets=("en-US", "zh-CN"))
    place = f"/v1/runs/{run}/publications"
    first = await accepted(workspace, client, place, {"channel": "shopify"})
    path = f"/v1/publications/{first['publication']}/file"
    reply = await client.get(path, params={"target": "zh-CN"})
    there = workspace.settings.root / "feeds/shopify-zh-CN.csv"
    assert reply.content == there.read_bytes()
    assert "shopify-zh-CN.csv" in reply.headers["Content-Disposition"]
    assert (await client.get(path)).status_code == 422
    assert (await client.get(path, params={"target": "fr"})).status_code == 404
    second = await accepted_run(workspace, targets=("en-US", "zh-CN"), word="New")
    await accepted(workspace, client, f"/v1/runs/{second}/publications", {"channel": "shopify"})
    reply = await client.get(path, params={"target": "zh-CN"})
    assert reply.status_code == 409 and "written anew" in reply.text
    there.unlink()
    assert (await client.get(path, params={"target": "zh-CN"})).status_code == 404


async def test_all_refusals_are_read_by_page_and_as_a_file(
    workspace: Workspace, client: httpx.AsyncClient
) -> None:
    keys = [f"P{n:03}" for n in range(210)]
    await bring(workspace, perfume_rows(210, brand=""))
    run = await accepted_run(workspace, values={key: {"title": "x" * 151} for key in keys})
    made = await accepted(workspace, client, f"/v1/runs/{run}/publications", {"channel": "google"})
    assert made["refusal_count"] == sum(made["refused_for"].values()) == 210
    assert made["rows"]["refused"] == 210 and len(made["refusals"]) == 200
    path, found, cursor = f"/v1/publications/{made['publication']}/refusals", [], None
    while not found or cursor:
        params = {"size": 100} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(path, params=params)).json()
        found, cursor = found + page["rows"], page["next"]
    assert [one["key"] for one in found] == keys and found[209]["number"] == 210
    assert found[:200] == made["refusals"]
    sheet = await client.get(f"{path}/export", params={"format": "jsonl"})
    asked = {"channel": "google", "format": "jsonl"}
    assert (await client.get(f"/v1/runs/{run}/refusals", params=asked)).content == sheet.content
    rows = [orjson.loads(line) for line in sheet.content.splitlines()]
    assert [row["key"] for row in rows] == keys and "151 characters" in rows[-1]["message"]


async def test_what_cannot_be_published_is_a_problem_and_no_path_comes_in(
    workspace: Workspace, client: httpx.AsyncClient
) -> None:
    run = await accepted_run(workspace)
    place = f"/v1/runs/{run}/publications"
    for body, status, said in (
        ({"channel": "gogle"}, 404, "did you mean “google”"),
        ({"channel": "acp", "stage": "10%"}, 409, "opens after 1%"),
        ({"channel": "acp"}, 409, "in stages"),
        ({"channel": "acp", "stage": "2%"}, 422, "stages are"),
        ({"channel": "google", "out": "/tmp/x.xml"}, 422, "out"),
        ({"channel": "google", "targets": ["fr"]}, 422, "no target “fr”"),
    ):
        reply = await client.post(place, json=body)
        assert (reply.status_code, said in reply.text) == (status, True), reply.text
    missing = await client.post("/v1/publications/none/rollback")
    assert missing.status_code == 404

"""Publishing over the API: channels of the settings only, stages, refusals, and back again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from app.publishing_shop import accepted_run, bring, make_shop, perfume_rows
from waremill.app import Workspace, open_workspace
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


async def test_a_run_is_published_shown_listed_and_rolled_back(
    workspace: Workspace, client: httpx.AsyncClient
) -> None:
    run = await accepted_run(workspace, values={"P001": {"title": "x" * 151}})
    names = [one["name"] for one in await ask(client, "GET", "/v1/publish/channels")]
    assert names == ["acp", "google", "shopify"]
    place = f"/v1/runs/{run}/publications"
    dry = await ask(client, "POST", place, {"channel": "google", "dry_run": True})
    assert dry["publications"][0]["publication"] is None
    assert not (workspace.settings.root / "feeds").exists()
    (made,) = (await ask(client, "POST", place, {"channel": "google"}))["publications"]
    assert made["rows"] == {"new": 5, "changed": 0, "unchanged": 0, "refused": 1}
    assert made["refusals"][0]["key"] == "P001" and made["files"][0]["path"] == "google.xml"
    assert (workspace.settings.root / "feeds/google.xml").is_file()
    shown = await ask(client, "GET", f"/v1/publications/{made['publication']}")
    assert shown == made
    listed = await ask(client, "GET", "/v1/publications?channel=google&size=1")
    assert [one["publication"] for one in listed["rows"]] == [made["publication"]]
    assert listed["next"] is None
    back = await ask(client, "POST", f"/v1/publications/{made['publication']}/rollback")
    assert back["rolls_back"] == made["publication"]


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

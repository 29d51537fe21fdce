"""A stocked workspace behind the server: products, a finished run, a trial, and a real vendor."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI
from tests.workspaces import make_workspace, perfumes, vendor_process, waremill_here, write_sheet

from waremill.app import Workspace, open_workspace
from waremill.web.server import create_app

SCHEMAS = Path(__file__).resolve().parents[2] / "src" / "waremill" / "cli" / "schemas"
ADDRESS = "http://127.0.0.1:8750"
PRODUCTS, WORKED, TRIED = 30, 12, 5


@dataclass(frozen=True)
class Shop:
    """A served workspace and a client of its API."""

    workspace: Workspace
    app: FastAPI
    client: httpx.AsyncClient

    async def ask(
        self, method: str, path: str, json: Any = None, *, status: int = 200, **more: Any
    ) -> Any:
        """Send a request, hold its answer to a status, and give its document."""
        reply = await self.client.request(method, path, json=json, **more)
        assert reply.status_code == status, (method, path, reply.status_code, reply.text[:2000])
        is_problem = reply.headers.get("content-type") == "application/problem+json"
        assert is_problem == (status >= 400), reply.headers
        return reply.json() if reply.content and "json" in reply.headers["content-type"] else reply


def keeps(schema: str, document: Any) -> None:
    """Hold a document to the command line's committed schema."""
    rules = orjson.loads((SCHEMAS / f"{schema}.json").read_bytes())
    jsonschema_rs.validator_for(rules).validate(document)


@pytest.fixture(scope="session")
def vendor_url() -> Iterator[str]:
    """The loopback vendor's base URL."""
    with vendor_process() as url:
        yield url


@pytest.fixture(scope="session")
def stocked(vendor_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace's folder that nobody writes to."""
    folder = make_workspace(tmp_path_factory.mktemp("stocked") / "shop", vendor_url)
    sheet = write_sheet(folder / "perfumes.csv", perfumes(PRODUCTS))
    for command in (
        ("import", str(sheet), "--key", "sku"),
        ("run", "copy", "--limit", str(WORKED)),
        ("trial", "copy", "-n", str(TRIED)),
    ):
        done = waremill_here(folder, *command)
        assert done.code == 0, done
    return folder


@pytest_asyncio.fixture
async def shop(stocked: Path, tmp_path: Path) -> AsyncIterator[Shop]:
    """A copy of the stocked workspace, served in this process."""
    folder = tmp_path / "shop"
    shutil.copytree(stocked, folder)
    async with open_workspace(folder, readers=2) as workspace:
        app = create_app(workspace)
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, timeout=30) as client:
            yield Shop(workspace, app, client)

"""Importing from a database over the API: only what the settings name, only by admins, audited."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import create_engine
from tests.web.matrix import ORIGIN, PASSWORD
from tests.web.shops import ADDRESS, keeps
from tests.workspaces import make_workspace, perfumes, write_sheet

from waremill.app import Workspace, open_workspace
from waremill.app.accounts import Accounts
from waremill.web.server import create_app

SOURCES = """
[sources.store]
url = "sqlite:///store.db?table=goods"
[sources.secret]
url_env = "SECRET_URL"
[sources.unset]
url_env = "NOWHERE_URL"
[sources.gone]
url = "sqlite:///gone.db?query=SELECT sku FROM goods"
[sources.greedy]
url = "sqlite:///store.db?query=DELETE FROM goods"
"""


def write_store(path: Path, names: list[str]) -> None:
    """Write a database with a table of goods."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE goods (sku TEXT, name TEXT)")
        conn.executemany(
            "INSERT INTO goods VALUES (?, ?)", [(f"S{n}", v) for n, v in enumerate(names)]
        )


@asynccontextmanager
async def opened_shop(folder: Path, secret: str) -> AsyncIterator[Workspace]:
    """Open a workspace with named sources; one has its URL in a variable."""
    root = make_workspace(folder, "http://127.0.0.1:9/v1")
    settings = root / "waremill.toml"
    settings.write_text(settings.read_text() + SOURCES)
    (root / ".env").write_text(f"SECRET_URL={secret}\n")
    write_store(root / "store.db", ["Eau one", "Eau two"])
    async with open_workspace(root, readers=2) as opened:
        yield opened


@asynccontextmanager
async def asking(workspace: Workspace) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of a workspace's server."""
    transport = httpx.ASGITransport(create_app(workspace), client=("127.0.0.1", 5))
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, timeout=60) as opened:
        yield opened


@pytest_asyncio.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    """A workspace with named sources."""
    write_store(tmp_path / "far.db", ["Eau from afar"])
    secret = f"sqlite:///{tmp_path}/far.db?table=goods"
    async with opened_shop(tmp_path / "shop", secret) as opened:
        yield opened


@pytest_asyncio.fixture
async def client(workspace: Workspace) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its server."""
    async with asking(workspace) as opened:
        yield opened


async def ask(
    client: httpx.AsyncClient, method: str, path: str, body: Any = None, status: int = 200
) -> Any:
    reply = await client.request(method, path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_sources_are_listed_without_their_addresses(client: httpx.AsyncClient) -> None:
    listed = await client.get("/v1/sources")
    assert listed.json() == [
        {"name": "gone", "kind": "sqlite", "lacks": None},
        {"name": "greedy", "kind": "sqlite", "lacks": None},
        {"name": "secret", "kind": "sqlite", "lacks": None},
        {"name": "store", "kind": "sqlite", "lacks": None},
        {"name": "unset", "kind": None, "lacks": "NOWHERE_URL"},
    ]
    assert "://" not in listed.text


async def test_a_source_is_previewed_then_imported_by_its_key(
    client: httpx.AsyncClient, workspace: Workspace
) -> None:
    seen = await ask(client, "POST", "/v1/sources/store/preview", {"key": "sku"})
    assert (seen["catalog"], seen["fresh"], seen["new"]) == ("store", True, 2)
    assert await ask(client, "GET", "/v1/catalogs") == []
    done = await ask(client, "POST", "/v1/sources/store/import", {"key": "sku"}, 201)
    keeps("import", done)
    assert (done["catalog"], done["new"], done["changed"]) == ("store", 2, 0)
    write_store(workspace.settings.root / "store.db", ["Eau one", "Eau two anew", "Eau three"])
    done = await ask(client, "POST", "/v1/sources/store/import", {}, 201)
    assert (done["new"], done["changed"], done["unchanged"]) == (1, 1, 1)
    found = await ask(client, "GET", "/v1/catalogs/store/products/S1")
    assert found["attributes"]["name"] == "Eau two anew"
    (catalog,) = await workspace.catalogs()
    assert catalog.source == "store", "no address is kept"


async def test_every_reading_is_in_the_audit_log(client: httpx.AsyncClient) -> None:
    await ask(client, "POST", "/v1/sources/secret/preview", {"key": "sku"})
    await ask(client, "POST", "/v1/sources/secret/import", {"key": "sku"}, 201)
    rows = (await ask(client, "GET", "/v1/audit"))["rows"]
    assert [(one["action"], one["subject"]) for one in rows] == [
        ("catalog.import", "catalogue secret"), ("source.read", "source secret"),
        ("source.read", "source secret"),
    ]  # fmt: skip
    assert "://" not in str(rows)


async def test_a_postgresql_database_is_a_source(tmp_path: Path, postgres_url: str) -> None:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql("CREATE TABLE goods (sku TEXT, name TEXT)")
        conn.exec_driver_sql("INSERT INTO goods VALUES ('T1', 'Eau of a server')")
    engine.dispose()
    mark = "&" if "?" in postgres_url else "?"
    async with (
        opened_shop(tmp_path / "shop", f"{postgres_url}{mark}table=goods") as workspace,
        asking(workspace) as client,
    ):
        assert (await ask(client, "GET", "/v1/sources"))[2]["kind"] == "postgresql"
        done = await ask(client, "POST", "/v1/sources/secret/import", {"key": "sku"}, 201)
        assert (done["catalog"], done["new"]) == ("secret", 1)


async def test_what_cannot_be_read_is_one_sentence_without_an_address(
    client: httpx.AsyncClient,
) -> None:
    for name, said, status in (
        ("unset", "NOWHERE_URL", 422), ("gone", "gone", 422), ("greedy", "only reads", 422),
        ("none", "no source", 404),
    ):  # fmt: skip
        problem = await ask(client, "POST", f"/v1/sources/{name}/import", {"key": "sku"}, status)
        assert said in problem["detail"] + str(problem.get("where"))
        assert "sqlite://" not in str(problem)
    problem = await ask(client, "POST", "/v1/sources/store/import", {"key": "skuu"}, 422)
    assert "did you mean “sku”" in problem["detail"] and problem["where"] == {"file": "store"}


async def test_no_request_can_name_an_address_a_file_or_a_query(
    client: httpx.AsyncClient, workspace: Workspace
) -> None:
    place = workspace.settings.root / "store.db"
    for name in (f"sqlite:%2F%2F%2F{place}?table=goods", "store.db", "..", "store%3Ftable=goods"):
        reply = await client.post(f"/v1/sources/{name}/import", json={"key": "sku"})
        assert reply.status_code in (404, 405, 422), (name, reply.text)
    for more in ("url", "query", "table", "sheet", "upload"):
        body = {"key": "sku", more: f"sqlite:///{place}?table=goods"}
        await ask(client, "POST", "/v1/sources/store/import", body, 422)
    for upload in (f"sqlite:///{place}?table=goods", "sqlite:///store.db?table=goods"):
        body = {"upload": upload, "key": "sku"}
        for path, more in (("imports", {}), ("estimates", {"pipeline": "copy"})):
            reply = await client.post(f"/v1/{path}", json={**body, **more})
            assert reply.status_code in (404, 422), reply.text
    assert await workspace.catalogs() == []


@pytest.mark.parametrize(("role", "status"), [("operator", 403), ("viewer", 403), ("admin", 201)])
async def test_only_an_admin_of_the_catalogues_team_imports(
    client: httpx.AsyncClient, workspace: Workspace, tmp_path: Path, role: str, status: int
) -> None:
    sheet = write_sheet(tmp_path / "ours.csv", perfumes(2))
    await workspace.import_catalog([sheet], key="sku", catalog="ours")
    accounts = Accounts(workspace)
    await accounts.add_user("boss", PASSWORD)
    await accounts.add_user("kim", None)
    await accounts.set_role("kim", "main", role)
    await accounts.add_team("other")
    text, _ = await accounts.add_token("t", user="kim", role="admin")
    client.headers.update({"Authorization": f"Bearer {text}", "Origin": ORIGIN})
    await ask(client, "POST", "/v1/sources/store/import", {"key": "sku", "catalog": "ours"}, status)
    listed = await client.get("/v1/sources")
    assert listed.status_code == (200 if role == "admin" else 403)
    await accounts.set_role("kim", "other", "admin")
    if role != "admin":  # being admin elsewhere is no help here
        await ask(client, "POST", "/v1/sources/store/import", {"catalog": "ours"}, 403)
    done = await ask(client, "POST", "/v1/sources/store/import",
                     {"key": "sku", "catalog": "new"}, 201)  # fmt: skip
    assert done["catalog"] == "new"


async def test_the_server_answers_while_a_source_is_read(
    client: httpx.AsyncClient, workspace: Workspace
) -> None:
    write_store(workspace.settings.root / "store.db", [f"Eau {n}" for n in range(60_000)])
    importing = asyncio.create_task(
        ask(client, "POST", "/v1/sources/store/import", {"key": "sku"}, 201)
    )
    answered = 0
    while not importing.done():
        assert (await client.get("/healthz")).status_code == 200
        answered += 1
        await asyncio.sleep(0.005)
    assert (await importing)["new"] == 60_000
    assert answered > 10

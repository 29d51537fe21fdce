"""A server with accounts and things of every kind, for whoever asks it all there is to ask."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from tests.web.served import serving
from tests.workspaces import waremill_here, write_sheet

from waremill.app import launching, open_workspace
from waremill.app.accounts import Accounts
from waremill.app.options import TaskOptions

PASSWORD = "correct horse battery"
SETTINGS = """
[server]
allow_private_webhooks = true
[sources.store]
url = "sqlite:///store.db?table=goods"
"""
TASKS = ("/v1/estimates", "/v1/trials", "/v1/runs")
SHALLOW = {
    "gold_upload", "gold_column", "where", "order_by", "sheet", "stratify", "against", "text",
    "params", "group", "filters",
}  # fmt: skip
"""Parts of a body that mostly keep a request from being carried out."""


@dataclass
class Site:
    """A server, who asks, and what there is: by a name, and by how a path begins and a name.

    `own` is the id of the token that asks.
    """

    token: str
    own: int
    of_path: dict[str, dict[str, Any]]
    url: str = ""
    places: dict[str, Any] = field(default_factory=dict)
    bodies: dict[str, set[str]] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"Bearer {self.token}"}

    def there(self, path: str, names: Iterable[str]) -> dict[str, Any]:
        """What there is of the parameters of a path, or of a body's parts."""
        known = dict(self.places)
        for start, own in self.of_path.items():
            if path.startswith(start):
                known |= own
        return {name: known[name] for name in names if name in known}

    def aimed(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A body that is about what there is."""
        left = {name: value for name, value in body.items() if name not in SHALLOW}
        aimed = {**left, **self.there(path, self.bodies.get(path, set()) - SHALLOW)}
        if path in TASKS:  # a selection of the catalogue, no file
            aimed.pop("upload", None)
        return aimed

    def look(self) -> None:
        """Note what there is on the server, and what bodies its routes take."""
        with httpx.Client(base_url=self.url, timeout=30, headers=self.headers) as client:
            self.places = _places(client)
            trials = client.get("/v1/runs", params={"kind": "trial", "state": "done"}).json()
            trial = trials["rows"][0]["run"]
            tried = client.get(f"/v1/runs/{trial}/items").json()["rows"][0]["id"]
            self.of_path["/v1/trials/"] = {"run": trial, "item": tried, "field": "title"}
            document = client.get("/openapi.json").json()
        for path, methods in document["paths"].items():
            for one in methods.values():
                content = one.get("requestBody", {}).get("content", {}).get("application/json", {})
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                shape = document["components"]["schemas"].get(name, {})
                self.bodies.setdefault(path, set()).update(shape.get("properties", ()))


@contextmanager
def served_site(stocked: Path, folder: Path) -> Iterator[Site]:
    """Serve a copy of a stocked workspace that has accounts."""
    shutil.copytree(stocked, folder)
    toml = folder / "waremill.toml"
    toml.write_text(toml.read_text() + SETTINGS)
    with closing(sqlite3.connect(folder / "store.db")) as conn, conn:
        conn.execute("CREATE TABLE goods (sku TEXT, name TEXT)")
        conn.execute("INSERT INTO goods VALUES ('S1', 'Eau stored')")
    bad = write_sheet(folder / "bad.csv", [{"sku": "B1", "brand": "House"}])
    order = ("--from", str(bad), "--key", "sku", "--catalog", "bad", "--json")
    failed = waremill_here(folder, "run", "copy", *order)
    assert failed.code == 1, failed
    made = asyncio.run(_people_and_runs(folder, failed.json["run"]))
    with serving(folder) as server:
        made.url = server.url
        yield made


async def _people_and_runs(folder: Path, failed: str) -> Site:
    """Make who asks, somebody whom nobody misses, and runs to be started and gone on with."""
    async with open_workspace(folder) as workspace:
        accounts = Accounts(workspace)
        await accounts.add_user("root", PASSWORD)
        await accounts.add_team("spare")
        await accounts.set_role("root", "spare", "admin")
        await accounts.add_user("victim", None)
        await accounts.set_role("victim", "spare", "viewer")
        _, lost = await accounts.add_token("lost", user="victim")
        text, token = await accounts.add_token("asks", user="root", role="admin")
        runs = []
        for limit in (1, 2):
            options: TaskOptions = {"catalog": "perfumes", "limit": limit, "fresh": True}
            runs.append((await launching.plan(workspace, "run", "copy", **options)).name)
        await workspace.pause(runs[1])
    victim = {"name": "victim", "user": "victim", "role": "viewer"}
    return Site(text, token.id, {
        "/v1/runs/{run}/start": {"run": runs[0]},
        "/v1/runs/{run}/resume": {"run": runs[1]},
        "/v1/runs/{run}/retry": {"run": failed},
        "/v1/users/": victim, "/v1/teams/": victim, "/v1/tokens": {**victim, "token": lost.id},
        "/v1/owners/": {"name": "copy", "kind": "template"},
        "/v1/imports": {"key": "sku"}, "/v1/sources/": {"key": "sku"},
        "/v1/generate": {"team": "main"},
    })  # fmt: skip


def _places(client: httpx.Client) -> dict[str, Any]:
    """Find or make something of every kind."""

    def made(path: str, **sent: Any) -> Any:
        reply = client.post(path, **sent)
        assert reply.status_code < 300, reply.text
        return reply.json()

    listed = client.get("/v1/runs", params={"kind": "run"}).json()["rows"]
    run = next(one["run"] for one in listed if one["state"] == "done" and one["items"] > 5)
    item = client.get(f"/v1/runs/{run}/items").json()["rows"][0]
    changes = client.get(f"/v1/catalogs/perfumes/changes/{item['key']}").json()
    client.get("/v1/files/templates/copy.yaml")
    versions = client.get("/v1/versions", params={"path": "templates/copy.yaml"}).json()
    selection = "/v1/catalogs/perfumes/selections/mine"
    client.put(selection, json={}, headers={"If-None-Match": "*"})
    sheet = {"file": ("a.csv", BytesIO(b"sku,name\nN1,New\n"))}
    hook = {"url": "http://127.0.0.1:9/", "team": "spare"}
    return {
        "catalog": "perfumes", "run": run, "item": item["id"], "key": item["key"],
        "path": "templates/copy.yaml", "result": changes[0]["result_id"], "field": "title",
        "name": "mine", "team": "spare", "template": "copy", "source": "store",
        "version": versions["rows"][0]["id"], "pipeline": "copy", "keys": [item["key"]],
        "lot": made(f"/v1/runs/{run}/lots", json={})["id"], "model": "default", "limit": 1,
        "webhook": made("/v1/webhooks", json=hook)["id"], "target": "en-US", "targets": [],
        "upload": made("/v1/uploads", files=sheet)["id"],
        "product": {"name": "Eau", "brand": "House"},
    }  # fmt: skip

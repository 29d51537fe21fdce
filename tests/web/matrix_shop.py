"""Two teams' things in one workspace: what the matrix of routes is called upon.

`Things` are a team's: a catalogue, a template, a pipeline and a model of its own, runs that were
worked by the loopback vendor, a lot, a webhook, uploads. Every text of the other team says ABROAD.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from nicegui import core
from sqlalchemy import func, select
from tests.picture_servers import colour_of, png
from tests.vendor import Vendor
from tests.web.matrix import OTHER_TEAM, TEAM
from tests.workspaces import PRICE, make_workspace, perfumes, write_sheet

from waremill.app import Workspace, generating, knowing, launching, open_workspace, publishing
from waremill.app.acting import Actor
from waremill.app.browsing import Browse
from waremill.app.editing import Editor
from waremill.app.generating import generate
from waremill.app.item_filters import ItemFilters
from waremill.app.marking import Marking
from waremill.app.notifying import Webhooks
from waremill.app.owning import KINDS, Owners
from waremill.app.reviewing import ReviewDesk
from waremill.app.roundtrip import export_for_review
from waremill.app.scheduling import schedules
from waremill.app.scheduling.schedules import Wanted
from waremill.app.uploading import Uploads
from waremill.domain import Search
from waremill.store.tables import items, results, runs
from waremill.store.tables_people import teams
from waremill.web.server import create_app

ABROAD = "zanzibar"
"""Stands in everything of the other team's, and nowhere else."""
TEMPLATE = """\
name: {name}
description: For {name} alone.
instruction: |
  You write product copy for {name}.
input: [name, brand, notes]
output:
  title: {{type: string, max_chars: 60}}
  points: {{type: array, items: {{type: string, max_chars: 80}}, min: 1, max: 3}}
"""
PIPELINE = """\
name: {name}
params: {{tone: {name}}}
steps:
  - generate: {{template: {template}}}
"""
MODEL = """
[models.{name}-model]
use = "openai:{name}-large"
base_url = "{url}"
price = {{input = 1.0, output = 1.0}}
"""
SERVER = """
[server]
allow_private_webhooks = true
[sources.store]
url = "sqlite:///store.db?table=goods"
"""
CHANNEL = """
[publish.{name}]
format = "shopify-csv"
mapping = "publish/feed.yaml"
out = "{name}.csv"
"""
FEED = """\
columns: {Title: {from: title, default: Eau}, SKU: sku, URL handle: {from: sku, case: lower}}
"""
SHOTS = """\
name: shots
steps:
  - transcode: {image: photo, into: web_image, format: png, per: product}
"""
HOOK = "http://127.0.0.1:9/{name}"
PRODUCTS = 12


@dataclass
class Things:
    """What a team has: names and ids, as addresses take them."""

    word: str
    team: str
    catalog: str
    template: str
    pipeline: str
    model: str
    channel: str
    run: str = ""
    spare: str = ""
    again: str = ""
    trial: str = ""
    planned: str = ""
    doomed: str = ""
    items: list[int] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    result: int = 0
    version: int = 0
    lot: int = 0
    sampled: int = 0
    webhook: int = 0
    schedule: str = ""
    photos: str = ""
    shots: str = ""
    shot: int = 0
    picture: str = ""
    knowledge: str = ""
    passage: str = ""
    publication: str = ""
    document: str = ""
    sheet: bytes = field(default=b"", repr=False)
    review: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """The template's file."""
        return f"templates/{self.template}.yaml"


@dataclass
class Shop:
    """A served workspace with the things of both teams."""

    workspace: Workspace
    app: FastAPI
    ours: Things
    theirs: Things


def _things(word: str, team: str) -> Things:
    names = [f"{word}-{kind}" for kind in ("goods", "copy", "launch", "model", "feed")]
    return Things(word, team, *names)


@asynccontextmanager
async def open_shop(folder: Path, database: Path) -> AsyncIterator[Shop]:
    """Open a workspace with a copy of a database with people, serve it, and fill in our things."""
    ours, theirs = _things("home", TEAM), _things(ABROAD, OTHER_TEAM)
    files = {"pipelines/shots.yaml": SHOTS, "publish/feed.yaml": FEED}
    for one in (ours, theirs):
        files[one.path] = TEMPLATE.format(name=one.template)
        files[f"pipelines/{one.pipeline}.yaml"] = PIPELINE.format(
            name=one.word, template=one.template
        )
    async with Vendor() as vendor:
        both = (ours, theirs)
        more = "".join(MODEL.format(name=one.word, url=vendor.url) for one in both) + SERVER
        more += "".join(CHANNEL.format(name=one.channel) for one in both)
        root = make_workspace(folder, vendor.url, model=PRICE + more, files=files)
        (root / ".waremill").mkdir()
        _write_store(root / "store.db")
        shutil.copy(database, root / ".waremill" / "waremill.db")
        async with open_workspace(root, readers=2) as workspace:
            shop = Shop(workspace, create_app(workspace), ours, theirs)
            for one in (ours, theirs):
                await _own(workspace, one)
            await fill(shop, ours)
            # Pages are drawn on it. All else that a server begins stays out: webhooks stay due.
            core.loop = asyncio.get_running_loop()
            yield shop
            core.loop = None
            await generating.close(workspace)


def _write_store(path: Path) -> None:
    """Write the database that the settings name as a source."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE goods (sku TEXT, name TEXT, brand TEXT)")
        conn.execute("INSERT INTO goods VALUES ('S1', 'Eau stored', 'House 1')")


async def _own(workspace: Workspace, things: Things) -> None:
    """Give the template, the pipeline and the model to their team."""
    for kind in KINDS:
        await Owners(workspace).give(kind, getattr(things, kind), things.team)


async def member(workspace: Workspace, team: str) -> Workspace:
    """The workspace as an admin of a team has it who is nobody of the matrix."""

    query = select(teams.c.id).where(teams.c.name == team)
    number = await workspace.database.read(lambda conn: conn.execute(query).scalar_one())
    return workspace.acting(Actor(f"founder of {team}", {number: "admin"}))


async def fill(shop: Shop, things: Things) -> None:
    """Do all that a team does, so that every table has rows of it."""
    workspace = await member(shop.workspace, things.team)
    folder = workspace.settings.root
    await _pictures(workspace, things)
    await _knowledge(workspace, things)
    rows = perfumes(PRODUCTS, things.word)
    sheet = write_sheet(folder / f"{things.catalog}.csv", rows)
    await workspace.import_catalog([sheet], key="sku", catalog=things.catalog)
    things.keys = [row["sku"] for row in rows]
    options: Any = {"catalog": things.catalog}
    things.run = (await workspace.run(things.template, **options, limit=8)).run
    things.spare = (await workspace.run(things.template, **options, limit=2, fresh=True)).run
    things.again = (await workspace.run(things.template, **options, limit=1)).run
    things.trial = (await workspace.trial(things.template, **options, size=2)).status.run
    for name in ("planned", "doomed"):
        run = await launching.plan(workspace, "run", things.template, **options, limit=1)
        setattr(things, name, run.name)
    await workspace.pause(things.planned)
    things.items = await _items(workspace, things.run)
    things.tried = await _items(workspace, things.trial)
    await generate(workspace, things.template, {"name": f"Eau {things.word}", "brand": "House"})
    await Marking(workspace).mark(things.trial, things.tried[0], "title", "right")
    await _review(workspace, things)
    (published,) = await publishing.publish(workspace, things.run, things.channel)
    things.publication = str(published.publication)
    await Browse(workspace).save_selection(things.catalog, things.word, "brand = 'House 1'")
    made = await Webhooks(workspace).add(
        HOOK.format(name=things.word), team=next(iter(workspace.actor.teams))
    )
    things.webhook = made.webhook.id
    await Webhooks(workspace).ping(things.webhook)
    wanted = Wanted(
        f"{things.word} yearly", things.template, "@yearly", 1.0, "UTC", {"catalog": things.catalog}
    )
    things.schedule = (await schedules.add(workspace, wanted)).schedule.name
    await _draft(workspace, things)
    keep_for(workspace, workspace.actor.name, f"{things.word}.csv", sheet.read_bytes(), "own")
    things.sheet = sheet.read_bytes()
    place = folder / f"review-{things.word}.xlsx"
    await export_for_review(workspace, things.run, place)
    things.review = place.read_bytes()


async def _pictures(workspace: Workspace, things: Things) -> None:
    """Make a picture of a product of another catalogue of the team."""
    folder = workspace.settings.root / "photos"
    folder.mkdir(exist_ok=True)
    (folder / f"{things.word}.png").write_bytes(png(40, 30, colour_of(things.word)))
    row = {"sku": f"{things.word}-1", "photo": f"photos/{things.word}.png"}
    things.photos = f"{things.word}-photos"
    sheet = write_sheet(workspace.settings.root / f"{things.photos}.csv", [row])
    await workspace.import_catalog([sheet], key="sku", catalog=things.photos)
    options: Any = {"catalog": things.photos}
    things.shots = (await workspace.run("shots", **options)).run
    (things.shot,) = await _items(workspace, things.shots)
    card = await ReviewDesk(workspace).card(things.shots, things.shot)
    things.picture = str(card.field("web_image").value).removeprefix("asset:")
    await ReviewDesk(workspace).release(things.shots, things.shot)


async def _knowledge(workspace: Workspace, things: Things) -> None:
    """Make a knowledge base of one document."""
    things.knowledge, things.document = f"{things.word.lower()}-help", f"{things.word}.md"
    path = workspace.settings.root / things.document
    path.write_text(f"# {things.word}\n\nParcels of {things.word} take three days.")
    await knowing.add_documents(workspace, things.knowledge, [str(path)])
    (found,) = await workspace.search(Search(things.knowledge, "parcels"))
    things.passage = found.id


async def _items(workspace: Workspace, run: str) -> list[int]:
    found = await workspace.find_run(run)
    query = select(items.c.id).where(items.c.run_id == found.id).order_by(items.c.id)
    return list(await workspace.database.read(lambda conn: conn.execute(query).scalars().all()))


async def _review(workspace: Workspace, things: Things) -> None:
    """Edit the first item, and open a lot of the last ones."""
    desk = ReviewDesk(workspace)
    first = things.items[0]
    query = select(func.min(results.c.id)).where(results.c.item_id == first)
    things.result = await workspace.database.read(lambda conn: conn.execute(query).scalar_one())
    card = await desk.card(things.run, first)
    await desk.edit(things.run, first, card.version, {"title": f"Eau de {things.word}"})
    await desk.release(things.run, first)
    where = f"_key = '{things.keys[7]}'"
    lot = await desk.open_lot(things.run, ItemFilters(where=where))
    things.lot, things.sampled = lot.id, things.items[7]


async def _draft(workspace: Workspace, things: Things) -> None:
    editor = Editor(workspace)
    opened = await editor.read(things.path)
    assert opened.version is not None
    things.version = opened.version.id
    await editor.save_draft(things.path, opened.text + "# noted\n", opened.etag)


def keep_for(workspace: Workspace, user: str, name: str, content: bytes, number: str) -> str:
    """Keep an upload of somebody's under an id that is told beforehand; give the id."""
    number = number.ljust(22, "0")
    uploads = Uploads(workspace.acting(Actor(user, {1: "reviewer"})))
    kept = uploads.keep(name, BytesIO(content))
    place = kept.path.parent.with_name(number)
    shutil.rmtree(place, ignore_errors=True)
    kept.path.parent.rename(place)
    return number


async def run_names(shop: Shop, team: str) -> set[str]:
    """The names of all runs of a team, those of single products as well."""
    query = select(runs.c.name).join(teams, teams.c.id == runs.c.team_id)
    named = query.where(teams.c.name == team)
    return set(await shop.workspace.database.read(lambda c: c.execute(named).scalars().all()))

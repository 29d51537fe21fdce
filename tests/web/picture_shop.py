"""A workspace with drawn photos, worked for real: pictures composed, variants from a painter."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlalchemy import select
from tests.picture_servers import FAULT, WebUI, in_base64
from tests.planned import OWNER
from tests.web.drawn_photos import NAMES, bottle, room, saved, scene
from tests.workspaces import make_workspace, write_sheet

import waremill as library
from waremill.app import Workspace
from waremill.app.browsing import Browse
from waremill.app.keeping import storage_at
from waremill.domain import Finding
from waremill.images.encoding import Manner, encode
from waremill.images.reading import read_picture
from waremill.images.unchanged import compare
from waremill.store import runs as store_runs
from waremill.store.journal import Journal, finding_rows, result_row
from waremill.store.tables import dumps, items

PIPELINE = """\
name: shots
steps:
  - compose: {image: cutout_photo, into: main_image, preset: jd-main, enlarge: 4, per: product}
  - generate: {template: scene, model: painter, samples: 3, per: product}
  - transcode: {image: photo, into: web_image, format: webp, most_side: 600, per: product}
"""
SCENE = """\
name: scene
instruction: |
  A photo of {{ name }} in a room, number {{ number }}.
input: [name, number]
output: {scene: {type: picture, width: 512, height: 512}}
"""
PRESET = """\
marketplace: Our shop
sure: stated
presets:
  our-rooms: {about: Square in a room, size: 800x800, formats: [webp]}
"""
MODEL = """
[models.painter]
use = "automatic1111:base"
base_url = "{url}"
price = {{per_call = 0.01, input = 0, output = 0}}
"""
CATALOG = "perfumes"


class Painter(WebUI):
    """A server that paints the product the prompt names, in another room for each time.

    The first time it paints the product's label wrong.
    """

    async def _make(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.made(body, request[FAULT])
        number = int(str(body["prompt"]).rpartition("number ")[2].split(".")[0].split("\n")[0])
        size = (body["width"], body["height"])
        wrong = number == 0 and self.calls == 1
        picture = saved(scene(number, 1 + self.calls, *size, wrong=wrong), "png")
        info = {
            "prompt": body["prompt"], "seed": body["seed"], "all_seeds": [body["seed"]],
            "width": size[0], "height": size[1], "sd_model_name": "base",
            "index_of_first_image": 0,
        }  # fmt: skip
        return web.json_response(
            {"images": [in_base64(picture)], "parameters": body, "info": json.dumps(info)}
        )


def stock(folder: Path, count: int) -> list[dict[str, str]]:
    """Write photos of so many products, and backdrops; give the products' rows."""
    photos = folder / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        (photos / f"{number}.jpg").write_bytes(saved(scene(number, number)))
        (photos / f"{number}-cut.png").write_bytes(saved(bottle(number, 480), "png"))
        rows.append(
            {"sku": f"P{number:03}", "name": f"Eau {NAMES[number % len(NAMES)].title()}",
             "brand": f"House {number % 3}", "number": str(number),
             "photo": f"photos/{number}.jpg", "cutout_photo": f"photos/{number}-cut.png"}
        )  # fmt: skip
    backdrops = folder / "backdrops"
    backdrops.mkdir(exist_ok=True)
    for look, name in enumerate(("loft", "spa", "studio")):
        (backdrops / f"{name}.jpg").write_bytes(saved(room(look)))
    return rows


async def object_to(workspace: Workspace, name: str) -> None:
    """Object to the scene of a run's first item, whose label is wrong, as a check of pictures."""
    database = workspace.database
    run = await workspace.find_run(name)
    (item,) = (await Browse(workspace).items(name, size=1)).rows
    storage = storage_at(workspace.settings.pictures.storage)
    before = (workspace.settings.root / item.product["cutout_photo"]).read_bytes()
    made = await storage.read(item.values["scene"])
    compared = compare(read_picture(before), read_picture(made))
    assert compared.map is not None
    heat = encode(compared.map, Manner("png"))
    reference = await storage.keep(heat.content, heat.media_type)
    found = [
        Finding("scene", "product-unchanged", "error", change) for change in compared.changes
    ]  # fmt: skip
    query = select(items).where(items.c.id == item.id)
    first = await database.read(lambda conn: conn.execute(query).one())
    run = await database.write(
        lambda conn: (
            store_runs.set_run(conn, run.id, {"state": "paused"})
            or store_runs.claim(conn, run.id, OWNER)
        )
    )
    journal = Journal(database, run)
    journal.add("results", [
        result_row(
            (first.id, first.product_id, ""), "looked", {"scene_heat_map": reference},
            findings=dumps([one.as_json() for one in found]),
            provenance=dumps({"operation": "check", "pictures": ["scene", "cutout_photo"]}),
        )
    ])  # fmt: skip
    journal.add("findings", finding_rows(run.id, first.id, found))
    journal.add("items", [
        {"b_id": first.id, "state": "review", "attempts": 1, "findings": len(found),
         "paid": first.paid, "list_cost": first.list_cost, "latency": first.latency, "error": None}
    ])  # fmt: skip
    await journal.committed()
    await database.write(store_runs.release, run, "done", None, 1.0)


def make_shop(folder: Path, count: int, *, trial: int = 0) -> dict[str, str]:
    """Make a workspace whose products have pictures; give the run's name, and the trial's."""

    async def work() -> dict[str, str]:
        async with Painter() as painter:
            root = make_workspace(
                folder, "http://127.0.0.1:9/v1", model="price = {input = 1.0, output = 1.0}"
                + MODEL.format(url=painter.url),
                files={"pipelines/shots.yaml": PIPELINE, "templates/scene.yaml": SCENE,
                       "presets/own.yaml": PRESET},
            )  # fmt: skip
            sheet = write_sheet(root / "perfumes.csv", stock(root, count))
            async with library.open(root) as workspace:
                await workspace.import_catalog([sheet], key="sku", catalog=CATALOG)
                options: Any = {"catalog": CATALOG}
                status = await workspace.run("shots", **options)
                await object_to(workspace, status.run)
                found = {"run": status.run}
                if trial:
                    tried = await workspace.trial("shots", **options, size=trial)
                    found["trial"] = tried.status.run
                return found

    # A browser's test has an event loop of its own in this thread.
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work()).result()

"""A workspace with channels, and runs whose items are accepted, made without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
from sqlalchemy import Connection, func, select, update
from tests.workspaces import make_workspace, write_sheet

from waremill.app import Workspace
from waremill.app.options import order_run
from waremill.runs.plan import plan_run
from waremill.store.bulk import BulkInsert
from waremill.store.tables import items, products, results, runs

G = "{http://base.google.com/ns/1.0}"
CHANNELS = """
[publish.google]
format = "google-merchant"
targets = ["en-US"]
out = "feeds/google.xml"
[publish.shopify]
format = "shopify-csv"
out = "feeds/shopify-{target}.csv"
[publish.acp]
format = "acp"
staged = true
out = "feeds/acp-{target}.jsonl"
"""
GOOGLE = """\
feed: {title: 香水店, link: https://shop.example/}
columns:
  id: sku
  title: title
  description: {from: points, join: "\\n"}
  link: {from: sku, prefix: https://shop.example/p/}
  image_link: {from: sku, prefix: https://shop.example/i/, suffix: .jpg}
  availability: {value: in_stock}
  price: {from: price, suffix: " EUR"}
  brand: brand
"""
SHOPIFY = """\
columns:
  Title: title
  Description: {from: points, html: true}
  Vendor: brand
  SKU: sku
  Option1 name: {value: Size}
  Option1 value: size
  Price: price
"""
ACP = """\
columns:
  item_id: sku
  title: title
  description: {from: points, join: " "}
  url: {from: sku, prefix: https://shop.example/p/}
  image_url: {from: sku, prefix: https://shop.example/i/, suffix: .jpg}
  brand: brand
  price: {from: price, suffix: " USD"}
  availability: {value: in_stock}
  is_eligible_search: {value: true}
  is_eligible_checkout: {value: false}
  seller_name: {value: Shop}
  seller_url: {value: https://shop.example}
  store_country: {value: US}
  target_countries: {value: US}
"""
FILES = {
    "publish/google.yaml": GOOGLE, "publish/shopify.yaml": SHOPIFY, "publish/acp.yaml": ACP,
}  # fmt: skip
_RESULTS = BulkInsert(
    results, ("item_id", "product_id", "target", "step", "origin", "values", "created_at")
)


def perfume_rows(count: int, **more: Any) -> list[dict[str, Any]]:
    """Products, of which the first stands alone and the others are groups of two."""
    return [
        {"sku": f"P{n:03}", "spu": f"G{(n + 1) // 2}" if n else "", "name": f"香水 {n}",
         "brand": f"House {n % 3}", "price": f"{10 + n}.50", "size": f"{(n % 2 + 1) * 30} ml",
         "notes": "", **more}
        for n in range(count)
    ]  # fmt: skip


def make_shop(
    folder: Path, database: str | None, files: Mapping[str, str] = FILES, channels: str = CHANNELS
) -> Path:
    """Write a workspace with channels."""
    root = make_workspace(folder, "http://127.0.0.1:9/v1", database=database, files=files)
    with (root / "waremill.toml").open("a", encoding="utf-8") as file:
        file.write(channels)
    return root


async def bring(
    workspace: Workspace, rows: Sequence[Mapping[str, Any]], catalog: str | None = None
) -> None:
    """Import products into the only catalogue, or one of a name."""
    sheet = write_sheet(workspace.settings.root / "perfumes.csv", rows)
    await workspace.import_catalog([sheet], key="sku", group="spu", catalog=catalog)


async def accepted_run(
    workspace: Workspace,
    *,
    targets: Sequence[str] = ("en-US",),
    waiting: Sequence[str] = (),
    word: str = "Title",
    values: Mapping[str, Mapping[str, Any]] | None = None,
    catalog: str | None = None,
) -> str:
    """Plan a run and make all its items but the `waiting` accepted; give its name.

    `values` by key go over what is made otherwise.
    """
    options: Any = {"targets": tuple(targets), "catalog": catalog}
    prepared = await workspace._prepare("copy", options, "run")
    run = await plan_run(
        workspace.database, order_run(workspace.settings, prepared, options, "run")
    )

    def fill(conn: Connection) -> None:
        query = (
            select(items.c.id, items.c.product_id, items.c.target, products.c.key)
            .join(products, products.c.id == items.c.product_id)
            .where(items.c.run_id == run.id)
        )
        made = []
        rows = conn.execute(query).all()
        for row in rows:
            own: Mapping[str, Any] = {
                "title": f"{word} {row.key} 清新",
                "points": ["One", "第二点"],
            }
            own = {**own, **(values or {}).get(row.key, {})}
            made.append((row.id, row.product_id, row.target, "copy", "model",
                         orjson.dumps(own).decode(), 1.0))  # fmt: skip
        _RESULTS.run(conn, made)
        of_run = items.c.run_id == run.id
        conn.execute(update(items).where(of_run).values(state="accepted", source_id=None))
        some = [row.id for row in rows if row.key in waiting]
        conn.execute(update(items).where(of_run, items.c.id.in_(some)).values(state="review"))
        conn.execute(update(runs).where(runs.c.id == run.id).values(state="done"))

    await workspace.database.write(fill)
    return run.name


def feed(workspace: Workspace, name: str = "feeds/google.xml") -> dict[str, dict[str, str]]:
    """Give a feed's items by their id: attribute to text, or to all of its text inside."""
    root = ElementTree.parse(workspace.settings.root / name).getroot()
    found = {}
    for item in root.iter("item"):
        values = {one.tag.removeprefix(G): "|".join(one.itertext()) for one in item}
        found[values["id"]] = values
    return found


async def count(workspace: Workspace, table: Any) -> int:
    query = select(func.count()).select_from(table)
    return int(await workspace.database.read(lambda conn: conn.execute(query).scalar_one()))

"""The work every client does: one catalogue, one template, and the very prompts it renders to.

python -m bench.workload FOLDER COUNT [REQUESTS]
"""

from __future__ import annotations

import asyncio
import csv
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

CONCURRENCY = 256
MODEL = "gpt-4.1-mini"
LATENCY = 0.02
"""Seconds the vendor waits before it answers, the same for everybody."""
_SETTINGS = """\
languages = ["en", "zh", "de", "fr"]

[models.default]
use = "openai:{model}"
base_url = "{url}"
concurrency = {concurrency}

[limits]
concurrency = {concurrency}
"""
_TEMPLATE = """\
name: copy
description: A title and three selling points
instruction: |
  You write product copy in {{ language }} for shoppers in {{ market }}: a title and three short
  selling points. Write plainly, in the present tense, without superlatives or exclamation marks.
input:
  - name: {required: true}
  - brand
  - concentration: {label: type}
  - volume
  - notes: {label: fragrance notes, max_chars: 400}
requirements:
  - Use only facts from the input.
  - {text: "Name the volume as it is given.", when: volume}
  - Start every selling point with another word.
output:
  title: {type: string, max_chars: 90}
  selling_points: {type: array, items: {type: string, max_chars: 120}, min: 3, max: 3}
checks: [CHECKS]
"""
_CHECKS = "channel, forbidden, glossary, grounded-numbers, no-placeholders, no-markup, no-urls"
_FILES = {
    "templates/copy.yaml": _TEMPLATE.replace("CHECKS", _CHECKS),
    "templates/copy-language.yaml": _TEMPLATE.replace("name: copy", "name: copy-language").replace(
        "CHECKS", f"{_CHECKS}, language"
    ),
    "channels/shop.yaml": """\
description: A shop's own pages
source: the shop's style guide
date: 2026-01-01
fields:
  "*": {banned_phrases: [free shipping, best seller, money-back guarantee]}
  title: {max_chars: 90, banned_characters: "!$?{}^~", max_repeats: 3}
  selling_points: {max_chars: 255}
""",
    "forbidden/claims.csv": "term,language,market,reason\n"
    + "".join(
        f"{term},en,,unproven claim\n"
        for term in (
            "cures",
            "clinically proven",
            "miracle",
            "anti-ageing",
            "number one",
            "risk-free",
        )
    ),
    "glossary.csv": "source,de,fr,keep,market\nEau de Parfum,,,yes,\nEau de Toilette,,,yes,\n"
    "vetiver,Vetiver,vétiver,,\nbergamot,Bergamotte,bergamote,,\n",
}
_NOTES = (
    "bergamot", "black pepper", "cedar wood", "grey amber", "iris root", "jasmine", "lavender",
    "mandarin", "neroli", "orange blossom", "patchouli", "rose", "sandalwood", "tonka bean",
    "vanilla", "vetiver", "violet leaf", "white musk",
)  # fmt: skip
_KINDS = ("Eau de Parfum", "Eau de Toilette", "Parfum", "Eau de Cologne")
_WORDS = (
    "River", "Garden", "North", "Velvet", "Salt", "Amber", "Linen", "Harbour", "Moss", "Copper",
    "Orchard", "Winter", "Paper", "Saffron", "Quiet", "Cedar",
)  # fmt: skip
TARGET = "en-US@shop"
TEMPLATE = "copy"


def products(count: int) -> Iterator[dict[str, Any]]:
    """Give products that all differ; 12 attributes each."""
    for i in range(count):
        first, second = _WORDS[i % 16], _WORDS[i // 16 % 16]
        notes = [_NOTES[(i * 7 + step * 5) % len(_NOTES)] for step in range(5)]
        yield {
            "sku": f"P{i:08d}",
            "name": f"{first} {second} No {i}",
            "brand": f"Maison {_WORDS[i // 256 % 16]}",
            "category": "Perfume",
            "concentration": _KINDS[i % 4],
            "volume": f"{(30, 50, 75, 100)[i % 4]} ml",
            "notes": ", ".join(notes),
            "gender": ("unisex", "women", "men")[i % 3],
            "year": 1990 + i % 35,
            "country": ("France", "Italy", "Spain")[i % 3],
            "price": 39 + i % 160,
            "stock": i % 97,
        }


def make_workspace(folder: Path, count: int) -> None:
    """Write a workspace of `count` products and import them."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, body in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    point_at(folder, "http://127.0.0.1:9/v1")
    rows = products(count)
    first = next(rows)
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)
    asyncio.run(_import(folder))


def point_at(folder: Path, url: str) -> None:
    """Name the vendor's address in a workspace's settings."""
    settings = _SETTINGS.format(url=url, model=MODEL, concurrency=CONCURRENCY)
    (folder / "waremill.toml").write_text(settings, encoding="utf-8")


async def _import(folder: Path) -> None:
    from waremill.app import open_workspace

    async with open_workspace(folder) as workspace:
        await workspace.import_catalog([folder / "products.csv"], key="sku")


def write_requests(folder: Path, path: Path) -> None:
    """Write the body of every request the workspace's template makes, one a line.

    Everybody else sends the same messages, schema and limit.
    """
    asyncio.run(_write_requests(folder, path))


async def _write_requests(folder: Path, path: Path) -> None:
    from waremill.app import open_workspace
    from waremill.domain import Item, Target

    async with open_workspace(folder) as workspace:
        _, found, _ = await workspace.products(limit=10_000_000)
        step = workspace.assemble(TEMPLATE).steps[0]
    assert step.preview is not None
    target = Target.parse(TARGET)
    with path.open("wb") as file:
        for product in found:
            chat = step.preview(Item(0, product, target, {}), {})
            assert chat is not None
            shape = {"name": "reply", "strict": True, "schema": chat.schema}
            body = {
                "model": MODEL,
                "messages": [{"role": m.role, "content": m.content} for m in chat.messages],
                "max_tokens": chat.max_tokens,
                "response_format": {"type": "json_schema", "json_schema": shape},
            }
            file.write(orjson.dumps(body) + b"\n")


if __name__ == "__main__":
    make_workspace(Path(sys.argv[1]), int(sys.argv[2]))
    if len(sys.argv) > 3:
        write_requests(Path(sys.argv[1]), Path(sys.argv[3]))

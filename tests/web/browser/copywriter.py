"""A loopback vendor that writes perfume copy a person could read, with faults a reviewer can find.

It answers the example workspace's templates out of the product in the prompt, in English or
Chinese: the same product gets the same copy. Some products get a claim that stands nowhere in their
data, so that the checks have findings and the review desk has work.

    python -m tests.web.browser.copywriter [FILE]    prints {"url": …} as one line

With a FILE, a JSON list of texts, a product whose data say “text 7” gets the seventh as its copy.
"""

from __future__ import annotations

import asyncio
import csv
import re
import signal
import sys
from functools import cache
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from tests.vendor import Hook, Vendor
from tests.vendor_replies import prompt_text
from tests.workspaces import ROOT

GLOSSARY = ROOT / "src" / "waremill" / "example" / "perfume" / "glossary.csv"
LATENCY = 0.3
"""Seconds a reply takes: long enough to see a run go on, short enough for a test."""
FAMILIES = (
    "floral", "woody", "amber", "citrus", "aquatic", "aromatic", "chypre", "gourmand", "leather",
    "fruity",
)  # fmt: skip
_PRODUCT = re.compile(r"<product>\n(.*?)\n</product>", re.DOTALL)
_LINE = re.compile(r"^([\w ]+): (.+)$", re.MULTILINE)
_SCENT = re.compile(r"^- The scent: (.+)$", re.MULTILINE)
_NUMBERED = re.compile(r"\btext (\d+)\b")
_PARTS = re.compile(r"[;.]| then |, then | in the heart| on top| over ")
_CLAIMS = {
    "en": ("Lasts 12 hours on the skin", "With a touch of oud and saffron"),
    "zh": ("留香长达 12 小时", "融入一缕沉香与藏红花"),
}
CARE_NOTE = (
    "Opened perfume cannot be returned. Keep the bottle upright in a cool and dark place. "
    "It won the Grand Prix of 1987 in Lyon."
)
"""Two sentences that a guide says, and one that nothing says."""
_SEALED = count()
"""Replies about care so far: every third says another seal."""


@cache
def chinese() -> dict[str, str]:
    """The example glossary's notes: English to Chinese, longest first."""
    with GLOSSARY.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["fact"]]
    found = {line["source"]: line["zh"].partition("|")[0] for line in lines}
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def notes_in(text: str) -> list[str]:
    """The notes a text names, in its order, each once."""
    pattern = "|".join(re.escape(one) for one in chinese())
    found = re.findall(rf"\b({pattern})\b", text, re.IGNORECASE)
    return list(dict.fromkeys(one.lower() for one in found))


def pyramid(text: str) -> list[list[str]]:
    """The notes of a description in three parts: top, heart, base."""
    parts = [notes for part in _PARTS.split(text) if (notes := notes_in(part))]
    return [*parts[:2], [one for part in parts[2:] for one in part]] if parts else []


def repeating(texts: list[str]) -> Hook:
    """Give what answers with the text a product names by its number."""

    def answer(request: dict[str, Any], path: str) -> dict[str, Any] | None:
        asked = "\n".join(prompt_text(one) for one in request.get("messages") or ())
        found = _NUMBERED.search(asked)
        text = texts[int(found[1])] if found else "nothing"
        return {"title": text, "points": [text, "a second point"]}

    return answer


def answer(request: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The reply to one request; None leaves it to the vendor's usual words."""
    messages = request.get("messages") or ()
    asked = "\n".join(prompt_text(one) for one in messages)
    product = _PRODUCT.findall(asked)
    schema = (request.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    fields = schema.get("properties", {})
    if not product:
        return None
    values = dict(_LINE.findall(product[-1]))
    if "selling_points" in fields:
        scent = _SCENT.search(asked)
        in_chinese = "中文商品文案" in asked
        return copy(values, scent[1] if scent else "", "zh" if in_chinese else "en")
    if "care_note" in fields:
        return {"care_note": CARE_NOTE, "seal": "cork" if next(_SEALED) % 3 == 2 else "wax"}
    if "top_notes" in fields or "fragrance_family" in fields:
        return attributes(values.get("description", ""), fields)
    return None


def attributes(description: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What a description says, for the fields that are asked."""
    lower = description.lower()
    found: dict[str, Any] = dict.fromkeys(fields)
    parts = pyramid(description)
    for name, notes in zip(("top_notes", "heart_notes", "base_notes"), parts, strict=False):
        found[name] = notes[:5] or None
    found["fragrance_family"] = next((one for one in FAMILIES if one in lower), None)
    for word, gender in (("women", "women"), (" her", "women"), ("men", "men"), ("unisex",) * 2):
        if word in lower:
            found["gender"] = gender
            break
    kinds = ("Eau de Parfum", "Eau de Toilette", "Eau de Cologne")
    found["concentration"] = next((one for one in kinds if one.lower() in lower), None)
    return {name: found[name] for name in fields}


def copy(values: dict[str, str], scent: str, language: str) -> dict[str, Any]:
    """A title and three selling points; every fourth product with a claim it has no ground for."""
    name, brand = values.get("name", ""), values.get("brand", "")
    kind, volume = values.get("type", ""), values.get("volume", "")
    whom = values.get("for", "")
    own = brand if brand.lower() not in name.lower() else ""
    parts = pyramid(scent)
    given = [values.get(f"{part} notes", "") for part in ("top", "heart", "base")]
    if not any(given):
        words = chinese() if language == "zh" else {}
        given = [", ".join(words.get(one, one) for one in part[:3]) for part in parts]
    notes = [re.split(r",\s*", one)[:3] if one else [] for one in [*given, "", "", ""][:3]]
    if language == "zh":
        title = " ".join(part for part in (own, name, kind, volume) if part)
        starts = ("前调：", "中调：", "后调：")
        points = [start + "、".join(one) for start, one in zip(starts, notes, strict=False) if one]
        points += [f"{brand} 出品", f"{whom}之选" if whom else f"{name}", f"规格 {volume}"]
    else:
        suffix = f" for {whom.capitalize()}" if whom in ("women", "men", "Women", "Men") else ""
        title = " ".join(part for part in (own, name, kind) if part) + suffix
        title += f", {volume}" if volume else ""
        starts = ("Opens with ", "A heart of ", "A base of ")
        points = [start + _listed(one) for start, one in zip(starts, notes, strict=False) if one]
        points += [f"A scent by {brand}", f"{kind or 'Scent'} in its own bottle", f"Size: {volume}"]
    points = points[:3]
    number = blake2b(f"{name} {volume} {kind}".encode(), digest_size=2).digest()
    if number[0] % 4 == 0:
        points[2] = _CLAIMS[language][number[1] % 2]
    return {"title": title, "selling_points": points}


def _listed(words: list[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else words[0]


async def _serve(hook: Hook) -> None:
    async with Vendor(reply=hook, record=False, latency=LATENCY, seed=1) as vendor:
        print(orjson.dumps({"url": vendor.url}).decode(), flush=True)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await stop.wait()


if __name__ == "__main__":
    plan = sys.argv[1:] and repeating(orjson.loads(Path(sys.argv[1]).read_bytes()))
    asyncio.run(_serve(plan or answer))

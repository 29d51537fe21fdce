"""The use case *write*: what was gathered of a run's FAQ as a sheet or lines of JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from waremill.app.faqs.gathering import Faq
from waremill.app.faqs.merging import Entry, Open
from waremill.catalog.publishers import Column, Written, publish_rows, publisher_for

KEYS = 100
"""Keys in a table's cell."""
_MADE = {"question", "answer", "sources"}
ENTRY = (
    "category", "scope", "question", "answer", "sources", "products", "of", "keys", "also_asked",
    "target", "language",
)  # fmt: skip
OPEN = (
    "category", "question", "products", "of", "asked", "reasons", "keys", "also_asked", "target",
    "language",
)  # fmt: skip


async def write_faq(faq: Faq[Any], path: Path, *, long: bool = False) -> Written:
    """Write a row an entry, or with `long` a row for each of its products under its number.

    A table's cells hold the places of sources and the keys as text; lines of JSON and parquet have
    them as they are.
    """
    publisher_for(path)
    names: tuple[str, ...] = ENTRY if faq.kind is Entry else OPEN
    several = len({place.field for place in faq.places.values()}) > 1
    names = ("field", *names) if several else names
    if long:
        names = ("entry", "key", *(one for one in names if one != "keys"))
    columns = [Column(one, "generated" if one in _MADE else "source") for one in names]
    plain = path.suffix.lower() not in (".jsonl", ".parquet")

    def rows() -> Iterator[list[Any]]:
        for number, (one, lines) in enumerate(faq.with_lines(), 1):
            shown = {**shown_entry(one), "entry": number}
            if plain:
                shown = _as_text(shown)
            if not long:
                yield [shown[name] for name in names]
                continue
            last = None
            for line in lines:
                if line.product != last:
                    yield [{**shown, "key": line.key}[name] for name in names]
                last = line.product

    total = None if long else faq.total
    return await asyncio.to_thread(
        publish_rows, path, columns, rows(), sheet="FAQ" if faq.kind is Entry else "Open questions",
        total=total,
    )  # fmt: skip


def shown_entry(one: Entry | Open) -> dict[str, Any]:
    """Give an entry as JSON."""
    return asdict(one)


def _as_text(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Make a table's cells of what is a list."""
    found = dict(shown)
    keys = shown["keys"][:KEYS]
    more = shown["products"] - len(keys)
    found["keys"] = ", ".join(keys) + (f" and {more:,} more" if more else "")
    found["also_asked"] = "\n".join(shown["also_asked"])
    if "sources" in shown:
        places = (str(one.get("place") or one.get("id")) for one in shown["sources"])
        found["sources"] = "\n".join(places)
    if "reasons" in shown:
        found["reasons"] = ", ".join(f"{one} {count}" for one, count in shown["reasons"].items())
    return found


__all__ = ["shown_entry", "write_faq"]

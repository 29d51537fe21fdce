"""What looking into some parts of an index finds of what comparing every vector finds.

Over pieces of real text, embedded by a real embedder: 200 of them are asked of the others. The
vectors are kept in `.bench/vectors`, block by block, for embedding 100,000 pieces takes minutes.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from bench.process import PLACE
from bench.real_pieces import real_pieces
from waremill.knowledge.embedding import Embedder, open_local
from waremill.knowledge.index import PARTITION, Bounds, Index, Row
from waremill.knowledge.searching import CANDIDATES, search

QUESTIONS = 200
PIECES = 200_000
MOST = PIECES - QUESTIONS
TOP = 10
BRANDS, BRAND = 50, 7
TRIED = (5, 8, 15, 30)
"""How many parts are looked into, beside what the index does by itself."""
_BLOCK = 2_000
_WARM = 10
"""Searches that are not timed: they open files."""


@dataclass(frozen=True)
class _Pieces:
    """Texts and their vectors; the first QUESTIONS of them are asked, the others are indexed."""

    texts: Sequence[str]
    vectors: Any


class _Looking(Index):
    """An index that can be told how many parts to look into; 0 for what it does by itself."""

    told = 0

    @property
    def _probes(self) -> int:
        return self.told or super()._probes

    def by_itself(self) -> int:
        """Give how many parts it looks into when nobody tells."""
        return super()._probes


async def recall(sizes: Sequence[int], name: str) -> tuple[list[Sequence[str]], dict[str, Any]]:
    """Measure recall@10 and the time of searches in so many passages, and within one brand.

    With the smallest size three indexes are made of the same rows, and their answers compared.
    """
    embedder = open_local(name)
    pieces = await _embedded(embedder, max(sizes) + QUESTIONS)
    numbers: dict[str, Any] = {}
    rows: list[Sequence[str]] = [
        ("passages", "parts", "recall@10", "within a brand", "ms, p50 (p95)", "within a brand",
         "processor ms", "within a brand")
    ]  # fmt: skip
    for size in sorted(sizes):
        index = await _indexed(pieces, range(size), f"recall-{size}", embedder.dimensions)
        for tried, one in (await _by_parts(index, embedder, pieces, size)).items():
            numbers[f"{size} passages, {tried}"] = one
            every, brand = one["all"], one["brand"]
            rows.append(
                (f"{size:,}", tried, f"{every['recall']:.4f}", f"{brand['recall']:.4f}",
                 *(f"{each['p50']:.1f} ({each['p95']:.1f})" for each in (every, brand)),
                 *(f"{each['processor']:.1f}" for each in (every, brand)))
            )  # fmt: skip
        print(f"{size:,} passages: done", flush=True)
        if size == min(sizes):
            numbers["made again"] = await _made_again(index, pieces, size)
    return rows, numbers


async def _embedded(embedder: Embedder, count: int) -> _Pieces:
    texts = real_pieces(PIECES)
    random.Random(5).shuffle(texts)
    folder = PLACE / "vectors"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for start in range(0, count, _BLOCK):
        some = texts[start : start + _BLOCK]
        known = blake2b("\0".join((embedder.identity, *some)).encode(), digest_size=16)
        place = folder / f"{known.hexdigest()}.npy"
        if not place.exists():
            part = place.with_suffix(".part.npy")
            np.save(part, await embedder.embed(some, "passage"))
            part.replace(place)
            print(f"\rembedded: {start + len(some):,} of {count:,}", end="", flush=True)
        found.append(np.load(place))
    print(flush=True)
    return _Pieces(texts[:count], np.concatenate(found)[:count])


async def _indexed(pieces: _Pieces, order: Sequence[int], name: str, dimensions: int) -> _Looking:
    folder = PLACE / "knowledge" / name
    shutil.rmtree(folder, ignore_errors=True)
    index = _Looking(folder, dimensions)
    async with index.rebuilding() as change:
        for start in range(0, len(order), _BLOCK):
            await change.add(
                [
                    Row(_id(one), f"d{one // 10}", pieces.texts[QUESTIONS + one],
                        pieces.vectors[QUESTIONS + one], {"brand": f"b{one % BRANDS}"})
                    for one in order[start : start + _BLOCK]
                ]
            )  # fmt: skip
    return index


def _id(number: int) -> str:
    return f"{number:08}"


async def _by_parts(
    index: _Looking, embedder: Embedder, pieces: _Pieces, size: int
) -> dict[str, dict[str, Any]]:
    """Give recall and times by how many parts are looked into, of how many."""
    await index.by_words("a", 1, Bounds({}))  # it knows its parts once it is open
    parts = round(size / PARTITION)
    own = index.by_itself()
    found: dict[str, dict[str, Any]] = {}
    kept = {"all": Bounds({}), "brand": Bounds({"brand": f"b{BRAND}"})}
    numbers = np.arange(size)
    within = {"all": numbers, "brand": numbers[numbers % BRANDS == BRAND]}
    right = {label: _exact(pieces, chosen) for label, chosen in within.items()}
    for tried in sorted({*(one for one in TRIED if one < parts), min(own, parts)}):
        index.told = tried
        label = f"{tried} of {parts}" + (", as it does" if tried == min(own, parts) else "")
        found[label] = {
            name: {
                "recall": await _recall(index, pieces, right[name], bounds),
                **await _times(index, embedder, pieces, bounds),
            }
            for name, bounds in kept.items()
        }
    index.told = 0
    return found


def _exact(pieces: _Pieces, chosen: Any) -> list[list[str]]:
    """Compare every vector: the ids of the nearest of those chosen, a list a question."""
    among = pieces.vectors[QUESTIONS + chosen]
    found = []
    for vector in pieces.vectors[:QUESTIONS]:
        order = np.argsort(-(among @ vector), kind="stable")[:TOP]
        found.append([_id(int(chosen[one])) for one in order])
    return found


async def _recall(
    index: Index, pieces: _Pieces, right: Sequence[Sequence[str]], bounds: Bounds
) -> float:
    hits = 0
    for wanted, got in zip(right, await _nearest(index, pieces, bounds), strict=True):
        hits += len(set(wanted) & set(got))
    return hits / sum(map(len, right))


async def _nearest(index: Index, pieces: _Pieces, bounds: Bounds) -> list[list[str]]:
    """Ask as a search does; give the ids of the first ten, a list a question."""
    return [
        [one for one, _ in await index.by_vector(vector, CANDIDATES, bounds)][:TOP]
        for vector in pieces.vectors[:QUESTIONS]
    ]


async def _times(
    index: Index, embedder: Embedder, pieces: _Pieces, bounds: Bounds
) -> dict[str, float]:
    """Time whole searches, embedding included, in milliseconds: wall clock and processor time."""
    wall, processor = [], []
    for number, text in enumerate(pieces.texts[:QUESTIONS]):
        started, worked = time.perf_counter(), time.process_time()
        await search(index, embedder, text[:80], 5, bounds)
        if number >= _WARM:
            wall.append((time.perf_counter() - started) * 1000)
            processor.append((time.process_time() - worked) * 1000)
    return {
        "p50": float(np.percentile(wall, 50)), "p95": float(np.percentile(wall, 95)),
        "processor": float(np.percentile(processor, 50)),
    }  # fmt: skip


async def _made_again(index: Index, pieces: _Pieces, size: int) -> dict[str, dict[str, float]]:
    """Make two more indexes of the same rows, one in another order; give what share is the same.

    LanceDB's k-means cannot be seeded, so that they are not the same.
    """
    order = list(range(size))
    random.Random(1).shuffle(order)
    first = await _nearest(index, pieces, Bounds({}))
    found = {}
    for name, rows in (("same order", range(size)), ("another order", order)):
        other = await _indexed(pieces, rows, "recall-again", index.dimensions)
        second = await _nearest(other, pieces, Bounds({}))
        pairs = list(zip(first, second, strict=True))
        found[name] = {
            "same first": sum(one[:1] == two[:1] for one, two in pairs) / len(pairs),
            "same ten, in order": sum(one == two for one, two in pairs) / len(pairs),
            "of the ten": sum(len(set(one) & set(two)) for one, two in pairs) / len(pairs) / TOP,
        }
    return found


__all__ = ["MOST", "recall"]

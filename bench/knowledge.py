"""Measure knowledge: how often the right passage is found, and how fast.

    python -m bench.knowledge [--no-quality] [--no-speed] [--passages 100000] [--all-embedders]
    python -m bench.knowledge --recall 20000 100000

Found: over real questions, plain BM25 beside words alone, the embedder alone and the hybrid search
as it is used; with `--all-embedders` each local one, which takes half an hour. Fast: embedding,
indexing and searching, in a process of its own. With `--recall` neither of them, but what the
approximate search of so many passages of real text finds of what an exact one finds, and how fast;
the first time 100,000 passages have to be embedded.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import orjson

from bench.meter import peak_memory
from bench.process import PLACE, client
from bench.question_sets import Question, QuestionSet, question_sets
from bench.recall import MOST, recall
from bench.run import machine, show_table
from waremill.knowledge.embedding import DEFAULT, Embedder, local_names, open_local
from waremill.knowledge.index import APPROXIMATE_FROM, Bounds, Index, Row
from waremill.knowledge.searching import search

FOLDER = PLACE / "knowledge"
TOP = 10
Rank = Callable[[Question], Awaitable[Sequence[str]]]


def plain_words(text: str) -> list[str]:
    """Cut a text into words in small letters, and Chinese into pairs of characters."""
    found: list[str] = []
    for piece in re.findall(r"[\u4e00-\u9fff]+|[^\W\u4e00-\u9fff]+", text.lower()):
        chinese = "\u4e00" <= piece[0] <= "\u9fff" and len(piece) > 1
        found += [piece[n : n + 2] for n in range(len(piece) - 1)] if chinese else [piece]
    return found


async def score(questions: Sequence[Question], rank: Rank) -> dict[str, float]:
    """Give hit@1, hit@5 and the mean reciprocal rank of the first ten."""
    first = five = reciprocal = 0.0
    for question in questions:
        found = list(await rank(question))[:TOP]
        place = next((n for n, one in enumerate(found, 1) if one in question.answers), None)
        if place is not None:
            first += place == 1
            five += place <= 5
            reciprocal += 1 / place
    count = len(questions)
    return {"hit@1": first / count, "hit@5": five / count, "mrr@10": reciprocal / count}


def plain_bm25(chosen: QuestionSet, *, titles: bool) -> Rank:
    """Rank by BM25 over words and Chinese pairs of characters, without anything of ours."""
    model = bm25s.BM25()
    texts = [plain_words(one.text if titles else one.plain) for one in chosen.entries]
    model.index(texts, show_progress=False)
    ids = np.array([one.id for one in chosen.entries])
    documents = np.array([one.document for one in chosen.entries])

    async def rank(question: Question) -> list[str]:
        tokens = plain_words(question.text)
        scores = np.array(model.get_scores(tokens)) if tokens else np.zeros(len(ids))
        if chosen.within:
            scores[documents != question.document] = -1.0
        order = np.argsort(-scores, kind="stable")[:TOP]
        return [str(ids[one]) for one in order if scores[one] > 0]

    return rank


def bounds_of(chosen: QuestionSet, question: Question) -> Bounds:
    """Bound a search to the question's document, where the set asks for that."""
    within = chosen.within and question.document is not None
    return Bounds({}, documents=[str(question.document)] if within else None)


async def built(chosen: QuestionSet, embedder: Embedder) -> Index:
    """Index a set's passages."""
    folder = FOLDER / f"{chosen.name.partition(',')[0]}-{embedder.identity.split()[0]}"
    index = Index.open(folder, embedder.dimensions)
    if await index.count() != len(chosen.entries):
        vectors = await embedder.embed([one.meant for one in chosen.entries], "passage")
        async with index.rebuilding() as change:
            await change.add(
                [
                    Row(one.id, one.document, one.text, vector, {})
                    for one, vector in zip(chosen.entries, vectors, strict=True)
                ]
            )
    return index


async def quality(names: Sequence[str]) -> tuple[list[Sequence[str]], dict[str, Any]]:
    """Score every way of searching over every set."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    embedders = {name: open_local(name) for name in names}
    numbers: dict[str, Any] = {}
    for chosen in question_sets():
        each = numbers[chosen.name] = {}
        for titles in (False, True):
            name = "plain BM25, titles too" if titles else "plain BM25"
            each[name] = await score(chosen.questions, plain_bm25(chosen, titles=titles))
        for name, embedder in embedders.items():
            index = await built(chosen, embedder)
            if "words" not in each:
                each["words"] = await score(chosen.questions, _by_words(chosen, index))
            each[name] = await score(chosen.questions, _by_vector(chosen, index, embedder))
            each[f"hybrid, {name}"] = await score(
                chosen.questions, _hybrid(chosen, index, embedder)
            )
        print(f"{chosen.name}: done", flush=True)
    ways = list(next(iter(numbers.values())))
    rows: list[Sequence[str]] = [("set", "questions", *ways)]
    counts = {one.name: len(one.questions) for one in question_sets()}
    for name, each in numbers.items():
        cells = (f"{each[way]['hit@5']:.3f} ({each[way]['mrr@10']:.3f})" for way in ways)
        rows.append((name, str(counts[name]), *cells))
    return rows, numbers


def _by_words(chosen: QuestionSet, index: Index) -> Rank:
    async def rank(question: Question) -> list[str]:
        found = await index.by_words(question.text, TOP, bounds_of(chosen, question))
        return [one for one, _ in found]

    return rank


def _by_vector(chosen: QuestionSet, index: Index, embedder: Embedder) -> Rank:
    async def rank(question: Question) -> list[str]:
        vectors = await embedder.embed([question.text], "query")
        found = await index.by_vector(vectors[0], TOP, bounds_of(chosen, question))
        return [one for one, _ in found]

    return rank


def _hybrid(chosen: QuestionSet, index: Index, embedder: Embedder) -> Rank:
    async def rank(question: Question) -> list[str]:
        bounds = bounds_of(chosen, question)
        found = await search(index, embedder, question.text, TOP, bounds)
        return [one for one, _ in found]

    return rank


async def embedding_rates(name: str) -> dict[str, float]:
    """Time a model by itself and through indexing, over the same real passages, in turns."""
    texts = [one.text for chosen in question_sets()[:3] for one in chosen.entries][:1_500]
    embedder = open_local(name)
    await embedder.embed(texts[:64], "passage")
    alone, whole = [], []
    for number in range(3):
        started = time.perf_counter()
        await embedder.embed(texts, "passage")
        alone.append(len(texts) / (time.perf_counter() - started))
        folder = FOLDER / f"rate-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        index = Index.open(folder, embedder.dimensions)
        started = time.perf_counter()
        async with index.rebuilding() as change:
            vectors = await embedder.embed(texts, "passage")
            await change.add(
                [Row(str(place), str(place), text, vector, {})
                 for place, (text, vector) in enumerate(zip(texts, vectors, strict=True))]
            )  # fmt: skip
        whole.append(len(texts) / (time.perf_counter() - started))
    single = []
    for text in texts[:60]:
        started = time.perf_counter()
        await embedder.embed([text[:60]], "query")
        single.append(time.perf_counter() - started)
    shares = [mine / model for mine, model in zip(whole, alone, strict=True)]
    return {
        "alone": statistics.median(alone), "whole": statistics.median(whole),
        "share": statistics.median(shares), "single_ms": statistics.median(single) * 1000,
    }  # fmt: skip


async def large(count: int, name: str) -> dict[str, Any]:
    """Index many passages and search them.

    Texts are sentences of real passages put together anew; vectors are real ones moved a little,
    for embedding so many would take half an hour and tell nothing about searching.
    """
    base = [one for chosen in question_sets()[:3] for one in chosen.entries]
    questions = [one.text for chosen in question_sets()[:3] for one in chosen.questions]
    embedder = open_local(name)
    seeds = await embedder.embed([one.text for one in base[:2_000]], "passage")
    chance = np.random.default_rng(7)
    folder = FOLDER / "large"
    shutil.rmtree(folder, ignore_errors=True)
    index = Index.open(folder, embedder.dimensions)
    before = peak_memory()
    started = time.perf_counter()
    async with index.rebuilding() as change:
        for start in range(0, count, 2_000):
            some = range(start, min(start + 2_000, count))
            moved = seeds[chance.integers(len(seeds), size=len(some))]
            moved = moved + chance.normal(0, 0.04, moved.shape).astype(np.float32)
            moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            picks = chance.integers(len(base), size=(len(some), 3))
            rows = [
                Row(f"{number:08}", f"d{number // 10}",
                    "\n".join(base[pick].plain[:160] for pick in picked), vector,
                    {"brand": f"b{number % 50}"})
                for number, picked, vector in zip(some, picks, moved, strict=True)
            ]  # fmt: skip
            await change.add(rows)
    indexed = time.perf_counter() - started
    found: dict[str, Any] = {
        "passages": count, "index_seconds": indexed, "memory_before": before,
        "memory_indexed": peak_memory(),
    }  # fmt: skip
    asked = questions[:300]
    vectors = [(await embedder.embed([one], "query"))[0] for one in asked]
    for label, where in (("all", {}), ("one brand of fifty", {"brand": "b7"})):
        found[label] = await _latencies(index, embedder, asked, vectors, Bounds(where))
    found["memory_searched"] = peak_memory()
    return found


async def _latencies(
    index: Index,
    embedder: Embedder,
    asked: Sequence[str],
    vectors: Sequence[Any],
    bounds: Bounds,
) -> dict[str, list[float]]:
    """Give p50 and p95 in milliseconds: with the vector at hand, and from the text on."""
    known = _Known(embedder, dict(zip(asked, vectors, strict=True)))
    times: dict[str, list[float]] = {"search": [], "with embedding": []}
    for number, text in enumerate(asked):
        for label, by in (("search", known), ("with embedding", embedder)):
            started = time.perf_counter()
            await search(index, by, text, 5, bounds)
            if number >= 10:  # the first ones open files
                times[label].append((time.perf_counter() - started) * 1000)
    return {label: [float(np.percentile(each, 50)), float(np.percentile(each, 95))]
            for label, each in times.items()}  # fmt: skip


class _Known:
    """An embedder that has seen every question."""

    def __init__(self, embedder: Embedder, vectors: dict[str, Any]) -> None:
        self.identity = embedder.identity
        self.dimensions = embedder.dimensions
        self._vectors = vectors

    async def embed(self, texts: Sequence[str], _purpose: str) -> Any:
        return np.stack([self._vectors[one] for one in texts])

    async def aclose(self) -> None:
        return None


def main() -> None:
    """Measure what the command line asks for, print it and keep it under .bench."""
    parser = argparse.ArgumentParser(prog="python -m bench.knowledge", description=__doc__)
    parser.add_argument("--no-quality", action="store_true")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--child", choices=("rates", "large"), help=argparse.SUPPRESS)
    parser.add_argument("--embedder", default=DEFAULT)
    parser.add_argument("--all-embedders", action="store_true")
    parser.add_argument("--recall", type=_size, nargs="+", metavar="PASSAGES")
    options = parser.parse_args()
    names = local_names() if options.all_embedders else (options.embedder,)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.child:
        work = embedding_rates(options.embedder) if options.child == "rates" else large(
            options.passages, options.embedder
        )  # fmt: skip
        print(orjson.dumps(asyncio.run(work)).decode(), flush=True)
        return
    numbers: dict[str, Any] = {"machine": machine()}
    if options.recall:
        rows, numbers["recall"] = asyncio.run(recall(options.recall, options.embedder))
        show_table(rows)
        print("made again:", numbers["recall"]["made again"])
        _keep("knowledge-recall.json", numbers)
        return
    if not options.no_quality:
        rows, numbers["quality"] = asyncio.run(quality(names))
        print("hit@5 (mrr@10)")
        show_table(rows)
    if not options.no_speed:
        for name in names:
            numbers[f"rates {name}"] = _child("rates", name, options.passages)
            print(name, numbers[f"rates {name}"], flush=True)
        numbers["large"] = _child("large", options.embedder, options.passages)
        print(numbers["large"])
    _keep("knowledge.json", numbers)


def _size(text: str) -> int:
    if not text.isdigit() or not APPROXIMATE_FROM <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"from {APPROXIMATE_FROM:,} to {MOST:,}, not {text}")
    return int(text)


def _keep(name: str, numbers: dict[str, Any]) -> None:
    Path(PLACE / name).write_bytes(orjson.dumps(numbers, option=orjson.OPT_INDENT_2))


def _child(what: str, name: str, passages: int) -> Any:
    return client("bench.knowledge", "--child", what, "--embedder", name, "--passages", passages)


if __name__ == "__main__":
    main()

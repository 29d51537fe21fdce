"""How often the check *grounded* cries wolf, and how often it misses, on answers people wrote.

    .venv/bin/python -m bench.grounding

Each answer is judged beside the evidence it was written from, beside evidence of another product
(ePQA) or section, and beside evidence of its own product that answers another question. A false
alarm is an answer beside its own evidence that has an `unsupported` sentence; a miss is one beside
foreign evidence of which every claim counts as `supported`. Data: ../shared/data, see its README.
"""

from __future__ import annotations

import csv
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from waremill.checks import Draft, Rules
from waremill.checks.grounded import verdicts
from waremill.domain import Passage, Target

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "knowledge-and-questions"
Pair = tuple[str, dict[str, Any], Passage]
"""An answer, the product's facts, a passage."""


def judged(pairs: Iterable[Pair], language: str) -> Counter[str]:
    """Count answers by their worst sentence: supported, weak, unsupported, unclear, no claim."""
    found: Counter[str] = Counter()
    for answer, facts, passage in pairs:
        draft = Draft({"answer": answer}, facts, Target(language), passages=(passage,))
        every = {one.judgement for one in verdicts(draft, Rules())}
        order = ("unsupported", "unclear", "weak", "supported", "no claim")
        found[next((one for one in order if one in every), "no claim")] += 1
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


def qrels(path: Path) -> list[tuple[str, str, int]]:
    """Read BEIR's judgements."""
    with path.open(encoding="utf-8") as file:
        lines = csv.DictReader(file, delimiter="\t")
        return [(one["query-id"], one["corpus-id"], int(one["score"])) for one in lines]


def epqa() -> dict[str, list[Pair]]:
    """ePQA: real questions, evidence with grades, answers written from one piece of evidence."""
    folder = DATA / "epqa"
    corpus = {one["_id"]: one for one in rows(folder / "corpus.jsonl")}
    queries = {one["_id"]: one for one in rows(folder / "queries.jsonl")}
    useless: dict[str, list[str]] = {}
    for query, document, grade in qrels(folder / "qrels.tsv"):
        if grade == 0:
            useless.setdefault(query, []).append(document)
    chance = random.Random(1)
    own, other, same = [], [], []
    answers = rows(folder / "answers.jsonl")
    for one in answers:
        query, evidence = queries[one["query_id"]], corpus[one["corpus_id"]]
        facts = {"name": query["product_title"]}
        own.append((one["answer"], facts, _passage(evidence)))
        foreign = corpus[chance.choice(answers)["corpus_id"]]
        while foreign["asin"] == evidence["asin"]:
            foreign = corpus[chance.choice(answers)["corpus_id"]]
        other.append((one["answer"], facts, _passage(foreign)))
        if near := useless.get(one["query_id"]):
            same.append((one["answer"], facts, _passage(corpus[chance.choice(near)])))
    return {"own evidence": own, "another product's": other, "same product, graded 0": same}


def attributed() -> str:
    """Say how often an answer's source is found among three others of the same product (ePQA)."""
    folder = DATA / "epqa"
    corpus = {one["_id"]: one for one in rows(folder / "corpus.jsonl")}
    queries = {one["_id"]: one for one in rows(folder / "queries.jsonl")}
    useless: dict[str, list[str]] = {}
    for query, document, grade in qrels(folder / "qrels.tsv"):
        if grade == 0:
            useless.setdefault(query, []).append(document)
    right = supported = every = 0
    for one in rows(folder / "answers.jsonl"):
        others = useless.get(one["query_id"], [])[:3]
        given = sorted([one["corpus_id"], *others])
        facts = {"name": queries[one["query_id"]]["product_title"]}
        draft = Draft(
            {"answer": one["answer"]}, facts, Target("en"),
            passages=tuple(_passage(corpus[name]) for name in given),
        )  # fmt: skip
        sources = [found.source for found in verdicts(draft, Rules()) if found.source]
        if len(given) == 4:
            every += 1
            supported += bool(sources)
            right += one["corpus_id"] in sources
    return (
        f"epqa       own among four             n={every:5}  a source {supported / every:6.1%}  "
        f"the right one {right / every:6.1%}"
    )


def emanual() -> dict[str, list[Pair]]:
    """A television's manual: gold answers, their section, and other sections."""
    folder = DATA / "emanual_tv"
    corpus = {one["_id"]: one for one in rows(folder / "corpus.jsonl")}
    gold = {query: document for query, document, _ in qrels(folder / "qrels.tsv")}
    chance = random.Random(1)
    own, other = [], []
    for one in rows(folder / "queries.jsonl"):
        section = gold[one["_id"]]
        own.append((one["answer"], {}, _passage(corpus[section])))
        foreign = chance.choice([name for name in corpus if name != section])
        other.append((one["answer"], {}, _passage(corpus[foreign])))
    return {"own section": own, "another section": other}


def cmrc() -> dict[str, list[Pair]]:
    """Chinese passages: the question with its answer span, beside its own and another passage."""
    folder = DATA / "cmrc2018_zh"
    corpus = {one["_id"]: one for one in rows(folder / "corpus.jsonl")}
    gold = {query: document for query, document, _ in qrels(folder / "qrels.tsv")}
    chance = random.Random(1)
    names = sorted(corpus)
    own, other = [], []
    for one in rows(folder / "queries.jsonl"):
        said = f"{one['text'].rstrip('？?')}：{one['answers'][0]}"
        place = gold[one["_id"]]
        own.append((said, {}, _passage(corpus[place])))
        foreign = chance.choice(names)
        while foreign == place:
            foreign = chance.choice(names)
        other.append((said, {}, _passage(corpus[foreign])))
    return {"own passage": own, "another passage": other}


def _passage(one: dict[str, Any]) -> Passage:
    return Passage(one["_id"], one["_id"], one["text"], one.get("title") or "")


def show(name: str, sets: dict[str, list[Pair]], language: str) -> None:
    """Print one data set's lines."""
    for kind, pairs in sets.items():
        started = time.perf_counter()
        found = judged(pairs, language)
        micros = (time.perf_counter() - started) / max(len(pairs), 1) * 1e6
        shares = "  ".join(
            f"{word} {found[word] / max(len(pairs), 1):6.1%}"
            for word in ("supported", "weak", "unsupported", "no claim")
        )
        print(f"{name:10} {kind:24} n={len(pairs):5}  {shares}  {micros:6.0f} µs an answer")


def main(arguments: Sequence[str] = ()) -> None:
    """Measure all sets, or those that are named."""
    every = {"epqa": (epqa, "en"), "emanual": (emanual, "en"), "cmrc": (cmrc, "zh")}
    for name, (sets, language) in every.items():
        if not arguments or name in arguments:
            show(name, sets(), language)
    if not arguments or "epqa" in arguments:
        print(attributed())


if __name__ == "__main__":
    main(sys.argv[1:])

"""Measure how often the step *faq* leaves open what cannot be answered, and what can be.

    python -m bench.unanswerable [--each 64] [--minutes 25] [--no-model]

Real shoppers' questions (ePQA). One that can be answered stands beside all ten pieces of evidence
that were graded for it, at least one of which answers it (grade 2). One that cannot stands beside
pieces of its own product alone that do not answer it (grade 0): for some questions there are no
others, of more those that answer are taken away. Which questions they are is fixed.

*The check alone* judges, as the step does, answers that people wrote from the evidence: a right one
beside what it was written from, and the same with that taken away. *The model* is a run of the step
with the embedded model and the default embedder, which looks for its passages itself. Its template
is the step's own with answers of at most 200 characters, and nothing is asked twice: a small model
that repeats itself to the end would otherwise take most of the time. A second call goes on where
the first was stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.grounding import DATA, qrels, rows
from bench.process import PLACE
from bench.run import machine, show_table
from waremill.app import open_workspace
from waremill.app.knowing.adding import add_documents
from waremill.checks import Rules
from waremill.domain import Passage, Target
from waremill.pipeline import Context
from waremill.runs.intervals import wilson
from waremill.steps.asking.answering import Grounds, judged
from waremill.store.reporting import item_pages

FOLDER = PLACE / "unanswerable"
"""What was answered in an earlier call is kept here, by how many questions were asked for."""
KINDS = ("answerable", "nothing answers it", "what answers it taken away")
_PIPELINE = """\
name: questions
targets: [en-US]
steps:
  - faq:
      questions: questions/shoppers.csv
      knowledge: evidence
      where: {about: "{{ sku }}"}
      facts: [name]
      most: 1
      template: short-answer
"""
_TEMPLATE = """\
name: short-answer
instruction: |
  You answer one question that shoppers ask about a product.
  Write in {{ language }}.
  Use only the product's data and the numbered background; say nothing they do not say.
  If they do not answer the question, known is false and the answer is empty. Never guess.
input:
  - facts: {label: Product}
  - question: {label: Question}
output:
  answer: {type: string, max_chars: 200, required: false, description: "one sentence"}
  sources:
    type: array
    items: {type: integer}
    max: 4
    required: false
    description: "the numbers of the passages the answer rests on; 0 is the product's data"
  known: {type: boolean, description: "whether the data or the background answers it"}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A question with the evidence it is asked beside, and an answer somebody wrote, if any."""

    id: str
    kind: str
    product: str
    question: str
    evidence: tuple[tuple[str, str], ...]
    answers: frozenset[str]
    written: str | None = None


def cases() -> list[Case]:
    """Give every question in a fixed order; those with grade 2 can be answered or robbed of it."""
    folder = DATA / "epqa"
    texts = {one["_id"]: one["text"] for one in rows(folder / "corpus.jsonl")}
    graded: dict[str, list[tuple[str, int]]] = {}
    for query, piece, grade in qrels(folder / "qrels.tsv"):
        graded.setdefault(query, []).append((piece, grade))
    written: dict[str, str] = {}
    for one in rows(folder / "answers.jsonl"):
        if dict(graded[one["query_id"]]).get(one["corpus_id"]) == 2:
            written.setdefault(one["query_id"], one["answer"])
    queries = rows(folder / "queries.jsonl")
    random.Random(5).shuffle(queries)
    found = []
    turn = 0
    for one in queries:
        grades = graded[one["_id"]]
        best = max(grade for _, grade in grades)
        useless = [piece for piece, grade in grades if grade == 0]
        kind = KINDS[1]
        if best == 1 or (best == 2 and one["_id"] not in written):
            continue  # what answers a part is neither
        if best == 2:
            turn += 1
            kind = KINDS[0] if turn % 2 or len(useless) < 2 else KINDS[2]
        given = [piece for piece, _ in grades] if kind == KINDS[0] else useless
        found.append(
            Case(
                one["_id"], kind, one["product_title"], one["text"],
                tuple((piece, texts[piece]) for piece in given),
                frozenset(piece for piece, grade in grades if grade == 2 and piece in given),
                written.get(one["_id"]),
            )
        )  # fmt: skip
    return found


def sample(every: Sequence[Case], each: int) -> list[Case]:
    """Take `each` questions that can be answered and as many that cannot, real ones first."""
    good = [one for one in every if one.kind == KINDS[0]]
    bad = [one for one in every if one.kind == KINDS[1]]
    bad += [one for one in every if one.kind == KINDS[2]]
    pairs = zip(good[:each], bad[:each], strict=True)  # in turns: a run that is stopped has both
    return [one for pair in pairs for one in pair]


# The check alone.


async def _nothing(*_given: Any) -> Any:
    raise AssertionError("the check asks nobody")


async def check_alone(every: Iterable[Case]) -> dict[str, Counter[str]]:
    """Judge written answers beside the evidence that is given; count what was left open."""
    nobody: Any = _nothing
    context = Context(nobody, lambda *_: None, nobody, nobody, nobody)
    found: dict[str, Counter[str]] = {}
    for one in every:
        if one.written is None:
            continue
        passages = tuple(Passage(piece, piece, text) for piece, text in one.evidence)
        reply = {"known": True, "answer": one.written, "sources": [*range(1, len(passages) + 1)]}
        grounds = Grounds({"name": one.product}, passages, Rules(), Target("en"))
        made = await judged(reply, one.question, grounds, context)
        found.setdefault(one.kind, Counter())[made.reason or "answered"] += 1
    return found


# The step with the embedded model.


def write_workspace(folder: Path, chosen: Sequence[Case]) -> None:
    """Write the products, their questions and a document for each piece of evidence."""
    for name in ("pipelines", "templates", "questions", "knowledge/evidence"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    settings = '[models.default]\nuse = "local"\n\n[limits]\nasks_again = 0\n'
    (folder / "waremill.toml").write_text(settings, encoding="utf-8")
    (folder / "pipelines" / "questions.yaml").write_text(_PIPELINE, encoding="utf-8")
    (folder / "templates" / "short-answer.yaml").write_text(_TEMPLATE, encoding="utf-8")
    _write_csv(
        folder / "products.csv", ("sku", "name"), ((f"q{one.id}", one.product) for one in chosen)
    )
    _write_csv(
        folder / "questions" / "shoppers.csv", ("question", "key"),
        ((one.question, f"q{one.id}") for one in chosen),
    )  # fmt: skip
    for one in chosen:
        for piece, text in one.evidence:
            place = folder / "knowledge" / "evidence" / f"q{one.id}-{piece}.md"
            place.write_text(f"---\nabout: q{one.id}\n---\n\n{text}\n", encoding="utf-8")


def _write_csv(path: Path, names: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(lines)


async def with_model(chosen: Sequence[Case], minutes: float) -> list[dict[str, Any]]:
    """Run the step, so many minutes at most; give what came of each question that was worked, and
    whether a passage that answers it was given to the model.
    """
    folder = FOLDER / str(len(chosen))
    write_workspace(folder, chosen)
    async with open_workspace(folder) as workspace:
        await workspace.import_catalog([folder / "products.csv"], key="sku")
        await add_documents(workspace, "evidence")
        asyncio.get_running_loop().call_later(minutes * 60, workspace.interrupt)
        status = await workspace.run("questions")
        print(f"{status.done} of {len(chosen)} questions worked, {status.failed} failed")
        run = await workspace.find_run(status.run)
        states = ("ready", "review")
        pages = await workspace.database.read_all(lambda conn: [*item_pages(conn, run.id, states)])
    by_key = {f"q{one.id}": one for one in chosen}
    found = []
    for item in (one for page in pages for one in page):
        case, made = by_key[item.key], item.provenance["faq"]
        entry = made["faq"][0]
        given = {one["document"] for one in made.get("passages", ()) if "document" in one}
        right = {f"q{case.id}-{piece}.md" for piece in case.answers}
        answer = item.fields["faq"][0]["answer"] if item.fields["faq"] else entry.get("left_out")
        found.append(
            {"kind": case.kind, "question": case.question, "answer": answer,
             "outcome": entry.get("reason", "answered"), "found": bool(given & right)}
        )  # fmt: skip
    return found


# What is shown.


def share(count: int, of: int) -> str:
    """Write a share with its Wilson 95 % interval."""
    if not of:
        return "–"
    ends = wilson(count, of)
    return f"{count} of {of}: {count / of:.0%} ({ends.low:.0%}–{ends.high:.0%})"


def table(counted: dict[str, Counter[str]]) -> list[list[str]]:
    """Give a head, a line a kind, and one for all that cannot be answered."""
    kinds = dict(counted)
    if KINDS[1] in kinds and KINDS[2] in kinds:
        kinds["unanswerable, all"] = kinds[KINDS[1]] + kinds[KINDS[2]]
    reasons = ("not known", "no source", "not grounded", "no answer")
    lines = [
        [kind, share(sum(some[one] for one in reasons), some.total()),
         *(str(some[one]) for one in reasons)]
        for kind, some in kinds.items()
    ]  # fmt: skip
    return [["questions", "left open", *reasons], *lines]


def main() -> None:
    """Measure, print, and keep the figures with every reply under .bench."""
    parser = argparse.ArgumentParser(prog="python -m bench.unanswerable", description=__doc__)
    parser.add_argument("--each", type=int, default=6, help="questions of either kind")
    parser.add_argument("--minutes", type=float, default=25.0, help="until the run is stopped")
    parser.add_argument("--no-model", action="store_true")
    options = parser.parse_args()
    every = cases()
    numbers: dict[str, Any] = {"machine": machine()}
    counted = asyncio.run(check_alone(every))
    numbers["check"] = counted
    print("the check alone, on answers people wrote")
    show_table(table(counted))
    if not options.no_model:
        found = asyncio.run(with_model(sample(every, options.each), options.minutes))
        numbers["model"] = found
        outcomes: dict[str, Counter[str]] = {}
        for one in sorted(found, key=lambda one: KINDS.index(one["kind"])):
            outcomes.setdefault(one["kind"], Counter())[one["outcome"]] += 1
        print("the step with the embedded model and the default embedder")
        show_table(table(outcomes))
        good = [one["found"] for one in found if one["kind"] == KINDS[0]]
        print("an answering passage was among those given:", share(sum(good), len(good)))
    PLACE.mkdir(exist_ok=True)
    place = PLACE / "unanswerable.json"
    place.write_bytes(orjson.dumps(numbers, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()

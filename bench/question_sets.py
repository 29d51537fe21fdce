"""Real questions with what answers them, from the data beside the repository.

The questions to the shop's policies (`policy_questions.tsv`) are our own, one a policy, written in
shoppers' words before any ranking of them was looked at; all others came with their set.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.process import ROOT
from waremill.knowledge.embedding import meaning_of, text_of

DATA = ROOT.parent / "shared" / "data" / "knowledge-and-questions"
OWN = Path(__file__).with_name("policy_questions.tsv")


@dataclass(frozen=True)
class Entry:
    """A passage: `document` is its product where it has one, `text` and `meant` as the engine
    indexes and embeds it; a manual's sections and a policy stand under their headings.
    """

    id: str
    document: str
    text: str
    meant: str
    plain: str


@dataclass(frozen=True)
class Question:
    """A question, the passages that answer it, and the document it is kept to, if any."""

    text: str
    answers: frozenset[str]
    document: str | None = None


@dataclass(frozen=True)
class QuestionSet:
    """Passages and questions; of `within` questions each looks at one document alone."""

    name: str
    entries: Sequence[Entry]
    questions: Sequence[Question]
    within: bool = False


def question_sets() -> list[QuestionSet]:
    """Give every set there is."""
    found = [_beir(name) for name in ("emanual_tv", "multicpr_zh", "epqa", "cmrc2018_zh")]
    whole = found[2]
    found.insert(3, QuestionSet("epqa, within product", whole.entries, whole.questions, True))
    found[2] = QuestionSet(
        "epqa, all products", whole.entries, [Question(q.text, q.answers) for q in whole.questions]
    )
    return [*found, _policies()]


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _beir(name: str) -> QuestionSet:
    """Read a set in BEIR's layout; questions nothing answers are left out."""
    entries = [
        Entry(one["_id"], one.get("asin", one["_id"]), text_of(one["title"], (), one["text"]),
              meaning_of((one["title"],) if name == "emanual_tv" else (), one["text"]), one["text"])
        for one in _lines(DATA / name / "corpus.jsonl")
    ]  # fmt: skip
    answers: dict[str, set[str]] = {}
    with (DATA / name / "qrels.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                answers.setdefault(row["query-id"], set()).add(row["corpus-id"])
    questions = [
        Question(one["text"], frozenset(answers[one["_id"]]), one.get("asin"))
        for one in _lines(DATA / name / "queries.jsonl")
        if one["_id"] in answers
    ]
    return QuestionSet(name, entries, questions)


def _policies() -> QuestionSet:
    flows = json.loads((DATA / "policies" / "abcd_guidelines.json").read_text(encoding="utf-8"))
    entries = [
        _policy(flow, name, policy)
        for flow, about in flows.items()
        for name, policy in about["subflows"].items()
    ]
    with OWN.open(encoding="utf-8") as file:
        questions = [
            Question(text, frozenset([name])) for name, text in csv.reader(file, delimiter="\t")
        ]
    return QuestionSet("policies", entries, questions)


def _policy(flow: str, name: str, policy: Mapping[str, Any]) -> Entry:
    lines = list(policy["instructions"])
    for action in policy["actions"]:
        button = action.get("button")
        lines.append(f"[{button}] {action['text']}" if button else action["text"])
        lines += action["subtext"]
    text = "\n".join(lines)
    heading = f"{flow} > {name}"
    return Entry(name, name, text_of("", (heading,), text), meaning_of((heading,), text), text)

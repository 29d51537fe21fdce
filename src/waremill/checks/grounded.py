"""The check `grounded`: which sentence of the copy stands on which passage, and which on none.

Nobody is asked for an opinion; every sentence is compared with each passage the model was given and
with the product's own data:

1. **Numbers, units and names** of the sentence must stand in the passages or the product's data, by
   the rules of `grounded-numbers` and `grounded-names`; in another passage than the one the rest
   stands on, they make it `weak`.
2. **Content words**: the share of the sentence's stems (pairs of characters in Chinese and
   Japanese) that the passage or the product's data has. What the passage adds is what tells one
   passage from another.
3. **Meaning**, where vectors are at hand: how near the sentence is to the passage. It stands in for
   the words where the passage is in another language, and only there.

A sentence is `supported` by the source with the highest share when that is at least `ENOUGH` and
nothing of (1) is missing; `weak` between `LITTLE` and `ENOUGH`; else `unsupported`. `no claim` are
questions, and sentences with fewer than two content words and no number. `unclear` are sentences in
another language than the passages, where no vectors are at hand, and those of an item that was
given no passages at all: only (1) is judged of them.

What is not seen: a sentence that says the opposite in the same words, and one that joins facts of a
passage that do not belong together. What is sometimes blamed: a faithful paraphrase in other words.
How often either happens on real answers is in docs/how-to/retrieval.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from waremill.checks.draft import Draft, Rules, check
from waremill.checks.grounded_names import grounded_names
from waremill.checks.grounded_numbers import grounded_numbers
from waremill.checks.sentences import content_words, is_cjk, sentences
from waremill.domain import Finding, Passage

RULE = "grounded"
PRODUCT = "product"
"""The source of a sentence that stands on the product's own data."""
ENOUGH = 0.5
"""Share of content words from which a sentence counts as supported."""
LITTLE = 0.3
"""Share below which it counts as unsupported. Both were set before anything was measured; what was
measured then stands in docs/how-to/retrieval.md."""
NEAR, FAR = 0.3, 0.2
"""Nearness from which a sentence counts as supported by a passage in another language, and below
which as unsupported: 0 is as near as to unrelated sentences, 1 the same."""

Judgement = Literal["supported", "weak", "unsupported", "unclear", "no claim"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one sentence stands on: `source` is a passage's id, `product`, or "" for nothing.

    `score` is from 0 to 1. `missing` are the numbers and names that stand nowhere; `nearest` is the
    place of the source that has most of the sentence.
    """

    field: str
    sentence: str
    judgement: Judgement
    source: str = ""
    score: float = 0.0
    nearest: str = ""
    missing: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give the verdict as a JSON object."""
        found: dict[str, Any] = {
            "field": self.field, "sentence": self.sentence, "verdict": self.judgement,
            "source": self.source, "score": round(self.score, 3), "place": self.nearest,
        }  # fmt: skip
        return {**found, "missing": list(self.missing)} if self.missing else found


@check(RULE)
def grounded(draft: Draft, rules: Rules) -> list[Finding]:
    """Find sentences that stand on no passage nor the product's data; see the module for how."""
    found: list[Finding] = []
    for one in verdicts(draft, rules):
        if one.judgement not in ("unsupported", "weak"):
            continue
        severe = one.judgement == "unsupported"
        found.append(
            Finding(one.field, RULE, "error" if severe else "warning", _message(one), one.sentence)
        )
    return found


def _message(one: Verdict) -> str:
    if one.missing:
        shown = ", ".join(f"“{name}”" for name in one.missing[:3])
        return f"{shown} stands neither in the passages nor in the product's data; leave it out"
    near = f"; nearest: {one.nearest} ({one.score:.0%})" if one.nearest else ""
    return (
        "this sentence stands neither on the passages nor on the product's data; say only what "
        f"they say{near}"
    )


def verdicts(draft: Draft, rules: Rules) -> list[Verdict]:
    """Judge every sentence of a draft, field by field."""
    sources = _sources(draft)
    names = " ".join(draft.source).replace("_", " ")
    own = f"{names}\n{replace(draft, passages=()).source_text}"
    facts = frozenset(content_words(own))
    return [
        _judged(draft, rules, (name, sentence), sources, facts)
        for name, text in draft.texts
        for sentence in sentences(text)
    ]


@dataclass(frozen=True, slots=True)
class _Source:
    passage: Passage
    words: frozenset[str]
    cjk: bool


def _sources(draft: Draft) -> list[_Source]:
    found = []
    for one in draft.passages:
        text = f"{one.place}\n{one.text}"
        found.append(_Source(one, frozenset(content_words(text)), is_cjk(one.text)))
    return found


def _judged(
    draft: Draft,
    rules: Rules,
    said: tuple[str, str],
    sources: Sequence[_Source],
    facts: frozenset[str],
) -> Verdict:
    name, sentence = said
    words = content_words(sentence)
    counted = any(one.isdecimal() for one in sentence)
    if sentence.rstrip().endswith(("?", "？")) or (len(words) < 2 and not counted):
        return Verdict(name, sentence, "no claim")
    best, score, place, foreign = PRODUCT, _share(words, facts), PRODUCT, False
    own = score
    for one in sources:
        if _other_language(draft, sentence, one):
            near = (draft.likeness or {}).get((sentence, one.passage.id))
            foreign = foreign or near is None
            share = 0.0 if near is None else _scaled(near)
        else:
            share = _share(words, one.words | facts) if one.words & set(words) else 0.0
        # What a passage only repeats of the product's data is the product's.
        if share > score or (share == score and share > own):
            best, score, place = one.passage.id, share, one.passage.place
    missing = _missing(draft, rules, said, draft.passages)
    if missing:
        return Verdict(name, sentence, "unsupported", "", score, place, missing)
    if score >= ENOUGH and len(draft.passages) > 1:
        alone = tuple(one for one in draft.passages if one.id == best)
        if missing := _missing(draft, rules, said, alone):  # the number is another passage's
            return Verdict(name, sentence, "weak", best, score, place, missing)
    if score >= ENOUGH:
        return Verdict(name, sentence, "supported", best, score, place)
    if foreign or not draft.passages:
        return Verdict(name, sentence, "unclear", "", score, place)
    judgement: Judgement = "weak" if score >= LITTLE else "unsupported"
    return Verdict(name, sentence, judgement, best if judgement == "weak" else "", score, place)


def _share(words: Sequence[str], known: frozenset[str]) -> float:
    """Give the share of words that are known; a sentence without words is judged by its numbers."""
    if not words:
        return 1.0
    return sum(word in known for word in words) / len(words)


def _scaled(near: float) -> float:
    """Give what share of words a nearness counts as."""
    if near >= NEAR:
        return ENOUGH + (min(near, 1.0) - NEAR) / (1 - NEAR) * (1 - ENOUGH)
    if near >= FAR:
        return LITTLE + (near - FAR) / (NEAR - FAR) * (ENOUGH - LITTLE)
    return max(near, 0.0) / FAR * LITTLE


def _other_language(draft: Draft, sentence: str, source: _Source) -> bool:
    """Say whether words cannot be compared: another script, or another stated language."""
    if is_cjk(sentence) != source.cjk:
        return True
    stated = source.passage.metadata.get("language")
    if draft.target is None or not isinstance(stated, str) or not stated:
        return False
    return stated.partition("-")[0].casefold() != draft.target.language


def _missing(
    draft: Draft, rules: Rules, said: tuple[str, str], passages: tuple[Passage, ...]
) -> tuple[str, ...]:
    """Give the sentence's numbers and names that neither the passages nor the product have."""
    alone = replace(draft, values=dict((said,)), passages=passages, likeness=None)
    found = grounded_numbers(alone, rules) + grounded_names(alone, rules)
    return tuple(dict.fromkeys(one.evidence for one in found if one.severity == "error"))

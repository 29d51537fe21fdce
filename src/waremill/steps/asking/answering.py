"""What an answer to a shopper's question is worth: whether it is known, and what it stands on.

Nothing is asked here. An answer that says it is not known, that names no valid source, or with a
sentence that stands on none of the sources it names, is not known; there is no fourth case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from waremill.checks import Draft, Rules
from waremill.checks.grounded import Verdict, verdicts
from waremill.checks.sentences import sentences
from waremill.domain import Passage, Target
from waremill.pipeline import Context
from waremill.steps.asking.grounding import likeness

Reason: TypeAlias = Literal["", "not known", "no source", "not grounded", "no answer"]
PRODUCT = 0
"""The number a reply gives for the product's own data; passages are numbered from 1."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One question's outcome: an answer with its sources, or the reason why there is none."""

    question: str
    answer: str = ""
    sources: tuple[Passage, ...] = ()
    from_product: bool = False
    reason: Reason = ""
    found: tuple[Verdict, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is an answer to show."""
        return not self.reason

    def as_value(self) -> dict[str, Any]:
        """Give the answer as an entry of the FAQ."""
        sources = [{"id": one.id, "place": one.place} for one in self.sources]
        if self.from_product:
            sources.insert(0, {"id": "product", "place": "product"})
        return {"question": self.question, "answer": self.answer, "sources": sources}


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an answer may stand on: the product's facts, the passages as they were numbered."""

    facts: Mapping[str, Any]
    passages: Sequence[Passage]
    rules: Rules
    target: Target | None
    category: str | None = None


async def judged(reply: Mapping[str, Any], asked: str, grounds: Grounds, ctx: Context) -> Answered:
    """Decide what a reply is worth; the words of the question count as said where the answer is
    a bare yes or no.
    """
    question = _question(reply.get("question"), asked)
    answer = str(reply.get("answer") or "").strip()
    if not reply.get("known") or not answer:
        return Answered(question, reason="not known")
    numbers = {one for one in reply.get("sources") or () if isinstance(one, int)}
    cited = tuple(one for number, one in enumerate(grounds.passages, 1) if number in numbers)
    from_product = PRODUCT in numbers
    if not cited and not from_product:
        return Answered(question, answer, reason="no source")
    source = grounds.facts if from_product else {}
    said = {"answer": answer}
    draft = Draft(said, source, grounds.target, {}, grounds.category, passages=cited)
    found = await _verdicts(ctx, draft, grounds.rules)
    if not any(one.judgement == "supported" for one in found) and _bare(answer):
        said = {"answer": f"{asked.rstrip('?？ ')}: {answer}"}
        found = await _verdicts(ctx, replace(draft, values=said), grounds.rules)
    sound = any(one.judgement == "supported" for one in found)
    if not sound or any(one.judgement in ("unsupported", "unclear") for one in found):
        return Answered(question, answer, cited, from_product, "not grounded", tuple(found))
    return Answered(question, answer, cited, from_product, "", tuple(found))


async def _verdicts(ctx: Context, draft: Draft, rules: Rules) -> list[Verdict]:
    found = verdicts(draft, rules)
    if any(one.judgement == "unclear" for one in found):
        near = await likeness(ctx, [one.sentence for one in found], draft.passages)
        if near is not None:
            found = verdicts(replace(draft, likeness=near), rules)
    return found


def _bare(answer: str) -> bool:
    """Say whether an answer is too short to hold a claim without its question."""
    return len(sentences(answer)) == 1 and len(answer) <= 40


def _question(written: Any, asked: str) -> str:
    """Give the question as it was put into the target's language, else as it was asked."""
    text = " ".join(str(written or "").split())
    return text if text.endswith(("?", "？", "؟")) and len(text) <= 300 else asked

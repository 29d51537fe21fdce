"""What the check *grounded* found of one answer, for its provenance; and meaning across languages.

The check compares words. Where a passage is in another language than the copy, vectors of both say
how near they are; they come through the context, from the same embedder that searches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from waremill.checks import Draft, Rules
from waremill.checks.grounded import RULE, grounded, verdicts
from waremill.checks.sentences import sentences
from waremill.domain import Finding, Item, Passage
from waremill.knowledge.questions import nearness
from waremill.pipeline import Context

_UNRELATED = (
    "The parcel arrives within two working days.", "Tighten the screws after the first use.",
    "Made of soft organic cotton.", "The colour may differ from the picture.",
    "Charge the device before you switch it on.", "Best served cold with a slice of lemon.",
    "Our support answers on weekdays.", "One size fits most adults.",
)  # fmt: skip
__all__ = ["RULE", "ground", "likeness"]


async def ground(
    item: Item, ctx: Context, draft: Draft, rules: Rules, findings: Sequence[Finding]
) -> list[Finding]:
    """Enter every sentence's verdict into the provenance; give the findings as they are then.

    Sentences that words cannot judge are judged by their meaning, where there is an embedder.
    """
    found = verdicts(draft, rules)
    kept = list(findings)
    if any(one.judgement == "unclear" for one in found):
        near = await likeness(ctx, [one.sentence for one in found], draft.passages)
        if near is not None:
            draft = replace(draft, likeness=near)
            found = verdicts(draft, rules)
            kept = [one for one in findings if one.rule != RULE] + grounded(draft, rules)
    ctx.note(item, RULE, [one.as_json() for one in found])
    return kept


async def likeness(
    ctx: Context, said: Sequence[str], passages: Sequence[Passage]
) -> Mapping[tuple[str, str], float] | None:
    """Give how near sentences are to passages, by (sentence, id); None without an embedder.

    A passage is as near as its nearest sentence. Nearness is measured from unrelated sentences, so
    that it means the same with every embedder.
    """
    if ctx.embed is None or not said or not passages:
        return None
    parts = [(one.id, text) for one in passages for text in sentences(one.text)]
    vectors: Any = await ctx.embed([*said, *(text for _, text in parts), *_UNRELATED])
    first, last = len(said), len(said) + len(parts)
    near = nearness(vectors[:first], vectors[first:last], vectors[last:])
    found: dict[tuple[str, str], float] = {}
    for row, sentence in enumerate(said):
        for column, (name, _) in enumerate(parts):
            value = float(near[row, column])
            found[sentence, name] = max(value, found.get((sentence, name), -1.0))
    return found

"""The `check` step: rules over all fields made so far, and run-wide near-duplicates.

- check: [near-duplicates, language]
"""

from __future__ import annotations

from typing import Any

from waremill import checks
from waremill.checks import Draft, near_duplicates
from waremill.domain import Finding, Item, category_of
from waremill.errors import ConfigError, Where
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.rules.document import suggestion
from waremill.steps import Kit

NEAR_DUPLICATES = "near-duplicates"
SHORTEST = 40
"""Characters below which a text is too short for likeness to mean anything."""


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step from its list of rules."""
    wanted = tuple(step.settings.get("rules", ()))
    known = (*checks.names(), NEAR_DUPLICATES)
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"there is no check “{name}”{suggestion(name, known)}",
                Where(step.file, line=step.line),
            )
    plain = tuple(name for name in wanted if name != NEAR_DUPLICATES)

    async def check(item: Item, ctx: Context) -> dict[str, Any]:
        findings: list[Finding] = []
        if plain:
            category = category_of(item.values)
            draft = Draft(item.fields, item.product.attributes, item.target, {}, category)
            findings += checks.run_checks(plain, draft, kit.rules)
        if NEAR_DUPLICATES in wanted:
            findings += await _near_duplicates(item, ctx)
        ctx.report(item, findings)
        return {}

    return BoundStep(step.name, step.kind, step.per, check)


async def _near_duplicates(item: Item, ctx: Context) -> list[Finding]:
    findings = []
    for name, value in item.fields.items():
        text = " ".join(map(str, value)) if isinstance(value, list) else value
        if not isinstance(text, str) or len(text) < SHORTEST:
            continue
        for key, likeness in await ctx.similar(item, name, text):
            findings.append(near_duplicates.finding(name, key, likeness))
    return findings

"""The `check` step: rules over all fields made so far, and run-wide near-duplicates.

    - check: [near-duplicates, language]

With `image` it is the picture of a field that is checked:

    - check: {image: main_image, before: photo, product: cutout, preset: amazon-main,
              rules: [resolution, background-purity, fill, product-unchanged]}

`before` is the picture it was made from and `product` a cut-out of that one, which says where the
product is; `mask` is a cut-out of the checked picture itself. A `preset` sets the limits a
marketplace has; any limit can be set by its name. The heat map of `product-unchanged` becomes the
field `IMAGE_heat_map`.
"""

from __future__ import annotations

from typing import Any

from waremill import checks
from waremill.checks import Draft, near_duplicates
from waremill.domain import Finding, Item, category_of, refers
from waremill.errors import ConfigError, Where
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.rules.document import suggestion
from waremill.steps import Kit
from waremill.steps.asking import grounding
from waremill.steps.retrieve import as_passages

NEAR_DUPLICATES = "near-duplicates"
SHORTEST = 40
"""Characters below which a text is too short for likeness to mean anything."""


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step from its list of rules."""
    if "image" in step.settings:
        from waremill.steps.pictures import checking

        return checking.make(step, kit)
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
            looked_up = {name: as_passages(value) for name, value in item.fields.items()}
            passages = tuple(one for some in looked_up.values() for one in some)
            texts = {
                name: _said(value)
                for name, value in item.fields.items()
                if not refers(value) and not looked_up[name]
            }
            draft = Draft(
                texts, item.product.attributes, item.target, {}, category, passages=passages
            )
            findings += checks.run_checks(plain, draft, kit.rules)
            if grounding.RULE in plain:
                findings = await grounding.ground(item, ctx, draft, kit.rules, findings)
        if NEAR_DUPLICATES in wanted:
            findings += await _near_duplicates(item, ctx)
        ctx.report(item, findings)
        return {}

    return BoundStep(step.name, step.kind, step.per, check)


def _said(value: Any) -> Any:
    """Give what of a field is copy: of answers not the sources they name."""
    if isinstance(value, list) and any(isinstance(one, dict) and "sources" in one for one in value):
        return [
            {name: part for name, part in one.items() if name != "sources"}
            if isinstance(one, dict)
            else one
            for one in value
        ]
    return value


async def _near_duplicates(item: Item, ctx: Context) -> list[Finding]:
    findings = []
    for name, value in item.fields.items():
        text = value
        if isinstance(value, list):  # passages and answers with their sources are objects
            text = " ".join(str(one) for one in value if not isinstance(one, dict))
        if not isinstance(text, str) or len(text) < SHORTEST or refers(value):
            continue
        for key, likeness in await ctx.similar(item, name, near_duplicates.signed(text)):
            findings.append(near_duplicates.finding(name, key, likeness))
    return findings

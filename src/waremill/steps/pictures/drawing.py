"""A picture made by a model from a template: the `generate` step of `output: {NAME: picture}`.

    - generate: {template: scene, model: painter, samples: 3}

The prompt is filled like any other. With `samples` above one the field holds the first picture and
`NAME_variants` all of them, so that a reviewer takes the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from waremill.domain import Answer, ImageRequest, Item, Target
from waremill.errors import ConfigError, OutputInvalid, Refused, Where
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.steps import Kit
from waremill.templates import Template

MOST_SAMPLES = 8


def make(step: StepSettings, kit: Kit, template: Template) -> BoundStep:
    """Build the step of a template whose output is a picture."""
    output = template.picture
    assert output is not None, "only such templates are drawn"
    samples = samples_of(step)
    model = step.model or kit.model

    def request(item: Item, params: Mapping[str, Any]) -> ImageRequest:
        return asked(template, *view(item, step), params)

    async def draw(item: Item, ctx: Context) -> dict[str, Any]:
        made = await drawn(item, ctx, request(item, ctx.params), model, samples)
        return variants(output.name, made)

    fields = (output.name,) if samples == 1 else (output.name, f"{output.name}_variants")
    return BoundStep(
        step.name, step.kind, step.per, draw, model=model, preview=request, fields=fields,
        needs_target=template.uses_target,
        calls=samples,
        provenance={"template": template.name, "version": template.version, "model": model,
                    "made_by_model": "made"},
    )  # fmt: skip


def samples_of(step: StepSettings) -> int:
    """Read how many variants a step makes of one picture."""
    written = str(step.settings.get("samples", 1))
    if not written.isdecimal() or not 1 <= int(written) <= MOST_SAMPLES:
        raise ConfigError(
            f"samples must be a whole number from 1 to {MOST_SAMPLES}, not “{written}”",
            Where(step.file or None, line=step.line),
        )
    return int(written)


def view(item: Item, step: StepSettings) -> tuple[Mapping[str, Any], Target | None]:
    """Give the values and target a step's template is filled with."""
    if step.per == "group" and item.group is not None:
        return {**item.group.attributes, **item.fields}, None
    return item.values, item.target if step.per == "target" else None


def asked(
    template: Template,
    values: Mapping[str, Any],
    target: Target | None,
    params: Mapping[str, Any],
) -> ImageRequest:
    """Fill a template to the request for its picture."""
    output = template.picture
    assert output is not None, "only such templates are drawn"
    return ImageRequest(
        template.picture_prompt(values, target, params), output.negative, output.width,
        output.height, steps=output.steps, guidance=output.guidance,
    )  # fmt: skip


async def drawn(
    item: Item, ctx: Context, request: ImageRequest, model: str, samples: int
) -> list[str]:
    """Ask for every variant; give their references. Raises Refused where the model declines."""
    made = []
    for sample in range(samples):
        answer: Answer = await ctx.call(item, replace(request, sample=sample), model)
        if answer.response.outcome == "refused":
            reason = answer.response.text[:200] or "no reason given"
            raise Refused(f"the model declined: {reason}", model=answer.model)
        pictures = orjson.loads(answer.response.text)["images"]
        if not pictures:
            raise OutputInvalid("the model gave no picture")
        made.append(pictures[0])
    return made


def variants(name: str, made: list[str]) -> dict[str, Any]:
    """Give a field's picture, and beside it all of them where there is a choice."""
    return {name: made[0], f"{name}_variants": made} if len(made) > 1 else {name: made[0]}

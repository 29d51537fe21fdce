"""The `generate` step: render, call, parse, contract, the template's checks, re-ask.

    - generate: {template: selling-points, per: target, model: writer, when: "category != 'Sample'"}

A reply that breaks the contract or fails a check is asked again with the findings. What still
fails after the last ask is kept with its findings, for a person to look at. Inputs that are
pictures are shown to the model; a template whose output is a picture is drawn (`pictures/drawing`).
With `samples: 5` every answer is asked for five times and the majority counts (`voting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from waremill import checks
from waremill.checks import Draft
from waremill.domain import (
    Chat,
    Finding,
    Image,
    Item,
    Passage,
    Search,
    Target,
    category_of,
    refers,
)
from waremill.errors import ConfigError, Refused, Where
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.rules.document import suggestion
from waremill.steps import Kit
from waremill.steps.asking import grounding, prompting, tooling, voting
from waremill.steps.asking.surroundings import Surroundings
from waremill.steps.pictures import drawing
from waremill.steps.pictures.inputs import shown
from waremill.templates import Extras, Prompt, Template, load_template, render_prompt

_NO_FILE = "this names a stored file; write text"
_Made = tuple[dict[str, Any], list[Finding], Prompt]


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step: load its template, refuse settings it does not know."""
    where = Where(step.file or None, line=step.line)
    if not isinstance(step.settings.get("template"), str):
        raise ConfigError("generate needs a template", where)
    template = load_template(kit.files, step.settings["template"])
    known: tuple[str, ...] = ("template", *voting.SETTINGS, *tooling.SETTINGS)
    if template.picture is not None:
        known = ("template", "samples")
    for key in step.settings:
        if key not in known:
            raise ConfigError(f"generate has no setting “{key}”{suggestion(key, known)}", where)
    if template.retrieval is not None and template.picture is not None:
        place = Where(template.file, line=template.retrieval.line)
        raise ConfigError("a picture's prompt takes no `context`", place)
    if step.per != "target" and template.uses_target:
        raise ConfigError(
            f"the template “{template.name}” uses the target's language or market, so it cannot be "
            f"made once per {step.per}; take these names out or write per: target",
            where,
        )
    for name in template.checks:
        if name not in checks.names():
            raise ConfigError(
                f"the template “{template.name}” asks for a check “{name}”"
                f"{suggestion(name, checks.names())}",
                where,
            )
    if template.picture is not None:
        return drawing.make(step, kit, template)
    sampling = voting.sampling_of(step, tuple(template.fields))
    generation = Generation(template, step, kit, sampling)
    fields = (*template.fields, *([sampling.agreement] if sampling.agreement else ()))
    bound = BoundStep(
        step.name, step.kind, step.per, generation.generate,
        model=step.model or kit.model, preview=generation.preview, fields=fields,
        needs_target=template.uses_target, calls=sampling.samples * generation.tooling.asks,
        provenance={"template": template.name, "version": template.version,
                    "model": step.model or kit.model, **generation.tooling.provenance},
    )  # fmt: skip
    if template.retrieval is None:
        return replace(bound, knowledge=generation.tooling.knowledge)
    bases = dict.fromkeys((*template.retrieval.knowledge, *generation.tooling.knowledge))
    return replace(
        bound, knowledge=tuple(bases), searches=generation.searches,
        preview_with=generation.preview_with,
    )  # fmt: skip


class Generation:
    """One template at work in one pipeline."""

    def __init__(
        self,
        template: Template,
        step: StepSettings,
        kit: Kit,
        sampling: voting.Sampling = voting.ONCE,
    ) -> None:
        self._template = template
        self._sampling = sampling
        self._grounds = grounding.RULE in template.checks
        self._step = step
        self._kit = kit
        self.tooling = tooling.tooling_of(step, kit)
        self._extras = Surroundings(template, kit.rules).extras

    async def generate(self, item: Item, ctx: Context) -> dict[str, Any]:
        """Make the template's fields for one item."""
        values, target = self._view(item)
        extras = self._extras(item, values, target)
        if self._template.retrieval is not None:
            wanted = self.searches(item, ctx.params)
            extras = replace(extras, context=await prompting.retrieved(item, ctx, wanted))
        made = await self._made(item, ctx, extras)
        if made is None:
            return {}
        if self._sampling.samples > 1:
            return await self._voted(item, ctx, extras, made)
        fields, findings, _ = made
        if self._grounds:
            findings = await self._grounded(item, ctx, extras, made)
        ctx.report(item, findings)
        return fields

    async def _grounded(
        self, item: Item, ctx: Context, extras: Extras, made: _Made
    ) -> list[Finding]:
        """Keep which sentence stands on which passage."""
        fields, findings, prompt = made
        values, target = self._view(item)
        draft = self._draft(fields, prompt, values, target, extras.context)
        return await grounding.ground(item, ctx, draft, self._kit.rules, findings)

    async def _made(
        self, item: Item, ctx: Context, extras: Extras, sample: int = 0
    ) -> _Made | None:
        """Ask, and ask again with the findings; give the best. None: there is nothing to ask."""
        values, target = self._view(item)
        pictures = await shown(item, ctx, self._template.pictures)
        best: tuple[tuple[bool, int], dict[str, Any], list[Finding]] | None = None
        for ask in range(self._kit.asks):
            prompt = self._render(values, target, ctx.params, extras)
            if prompt.skipped:
                return None
            asked = _chat(prompt, pictures, sample)
            answer = await self.tooling.ask(item, ctx, asked, f"{sample}.{ask}")
            if answer.response.outcome == "refused":
                reason = f"the model declined: {answer.response.text[:200] or 'no reason given'}"
                if best is None:
                    raise Refused(reason, model=answer.model)
                best[2].append(Finding("", "refused", "error", reason))
                break  # what an earlier ask gave is kept, with its findings
            fields, findings = self._judge(
                answer.response.text, prompt, values, target, extras.context
            )
            errors = [finding for finding in findings if finding.severity == "error"]
            rank = (not fields, len(errors))  # any fields are better than none
            if best is None or rank < best[0]:
                best = (rank, fields, findings)
            if not errors:
                break
            extras = replace(
                extras, feedback=errors, previous=answer.response.text, attempt=ask + 1
            )
        assert best is not None, "asks is at least 1"
        return best[1], best[2], prompt

    async def _voted(
        self, item: Item, ctx: Context, extras: Extras, first: _Made
    ) -> dict[str, Any]:
        """Ask for the other answers and give what most of them say, with how much they agree."""
        every = [first]
        for sample in range(1, self._sampling.samples):
            with suppress(Refused):  # it is one voice less; a first refusal is told
                made = await self._made(item, ctx, extras, sample)
                every += [made] if made is not None else []
        sound = [one for one in every if not any(f.severity == "error" for f in one[1])]
        counted = voting.vote([one[0] for one in sound or every], first[2].contract.fields)
        ctx.note(item, "agreement", {"fields": counted.agreement, "of": len(sound or every)})
        fields, findings = self._judge(
            orjson.dumps(counted.values).decode(), first[2], *self._view(item), extras.context
        )
        if (finding := voting.doubt(counted, self._sampling)) is not None:
            findings.append(finding)
        if self._grounds:
            findings = await self._grounded(item, ctx, extras, (fields, findings, first[2]))
        ctx.report(item, findings)
        name = self._sampling.agreement
        return {**fields, name: counted.share} if name else fields

    def searches(self, item: Item, params: Mapping[str, Any]) -> tuple[Search, ...]:
        """Give what an item looks for in the shop's knowledge before it asks."""
        return prompting.searches(self._template, prompting.View(*self._view(item)), params)

    def preview(self, item: Item, params: Mapping[str, Any]) -> Chat | None:
        """Give the first request an item would send; None when nothing is left to write."""
        return self.preview_with(item, params, ())

    def preview_with(
        self, item: Item, params: Mapping[str, Any], found: Sequence[Sequence[Passage]]
    ) -> Chat | None:
        """Give the first request an item would send with these passages, a list for each search."""
        values, target = self._view(item)
        extras = self._extras(item, values, target)
        if found:
            wanted = self.searches(item, params)
            extras = replace(extras, context=prompting.together(wanted, found))
        prompt = self._render(values, target, params, extras)
        return None if prompt.skipped else self.tooling.offered(_chat(prompt))

    def _view(self, item: Item) -> tuple[Mapping[str, Any], Target | None]:
        if self._step.per == "group" and item.group is not None:
            return {**item.group.attributes, **item.fields}, None
        values = item.values if item.fields else item.product.attributes
        return values, item.target if self._step.per == "target" else None

    def _render(
        self,
        values: Mapping[str, Any],
        target: Target | None,
        params: Mapping[str, Any],
        extras: Extras,
    ) -> Prompt:
        return render_prompt(self._template, values, target, params, values, extras)

    def _judge(
        self,
        text: str,
        prompt: Prompt,
        values: Mapping[str, Any],
        target: Target | None,
        passages: Sequence[Any] = (),
    ) -> tuple[dict[str, Any], list[Finding]]:
        fields, broken = prompt.contract.read(text)
        if forged := [name for name, value in fields.items() if refers(value)]:
            # A model that was talked into writing one would hand out somebody's stored file.
            fields = {name: value for name, value in fields.items() if name not in forged}
            broken += [Finding(name, "contract", "error", _NO_FILE) for name in forged]
        if broken:
            return fields, list(broken)
        if not self._template.checks:
            return fields, []
        draft = self._draft(fields, prompt, values, target, passages)
        return fields, checks.run_checks(self._template.checks, draft, self._kit.rules)

    def _draft(
        self,
        fields: Mapping[str, Any],
        prompt: Prompt,
        values: Mapping[str, Any],
        target: Target | None,
        passages: Sequence[Any],
    ) -> Draft:
        category = category_of(values)
        known = tuple(passages)
        return Draft(fields, values, target, prompt.contract.fields, category, known)


def _chat(prompt: Prompt, pictures: tuple[Image, ...] = (), sample: int = 0) -> Chat:
    messages = prompt.messages
    if pictures:  # beside the product, in the first thing the user says
        place = next(i for i, one in enumerate(messages) if one.role == "user")
        text = str(messages[place].content)
        said = replace(messages[place], content=(text, *pictures))
        messages = (*messages[:place], said, *messages[place + 1 :])
    return Chat(messages, prompt.contract.max_tokens, prompt.contract.schema, sample=sample)

"""The `generate` step: render, call, parse, contract, the template's checks, re-ask.

    - generate: {template: selling-points, per: target, model: writer, when: "category != 'Sample'"}

A reply that breaks the contract or fails a check is asked again with the findings. What still
fails after the last ask is kept with its findings, for a person to look at. Inputs that are
pictures are shown to the model; a template whose output is a picture is drawn (`pictures/drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from waremill import checks
from waremill.checks import Draft
from waremill.domain import Chat, Finding, Image, Item, Target, category_of, refers
from waremill.errors import ConfigError, Refused, Where
from waremill.pipeline import BoundStep, Context, StepSettings
from waremill.rules.channel import FieldRule
from waremill.rules.document import suggestion
from waremill.steps import Kit
from waremill.steps.pictures import drawing
from waremill.steps.pictures.inputs import shown
from waremill.templates import Extras, Prompt, Template, load_template, render_prompt
from waremill.templates.lint import NO_KNOWLEDGE
from waremill.templates.values import write_value

_NO_FILE = "this names a stored file; write text"
_NO_LIMITS: Mapping[str, FieldRule] = {}


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step: load its template, refuse settings it does not know."""
    where = Where(step.file or None, line=step.line)
    if not isinstance(step.settings.get("template"), str):
        raise ConfigError("generate needs a template", where)
    template = load_template(kit.files, step.settings["template"])
    known = ("template", "samples") if template.picture else ("template",)
    for key in step.settings:
        if key not in known:
            raise ConfigError(f"generate has no setting “{key}”{suggestion(key, known)}", where)
    if template.retrieval is not None:
        raise ConfigError(NO_KNOWLEDGE, Where(template.file, line=template.retrieval.line))
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
    generation = Generation(template, step, kit)
    return BoundStep(
        step.name, step.kind, step.per, generation.generate,
        model=step.model or kit.model, preview=generation.preview, fields=tuple(template.fields),
        needs_target=template.uses_target,
        provenance={"template": template.name, "version": template.version,
                    "model": step.model or kit.model},
    )  # fmt: skip


class Generation:
    """One template at work in one pipeline."""

    def __init__(self, template: Template, step: StepSettings, kit: Kit) -> None:
        self._template = template
        self._step = step
        self._kit = kit
        self._model = step.model or kit.model
        self._shown = tuple(one.name for one in template.inputs) or tuple(
            sorted(template.variables)
        )
        tags = {tag for term in kit.rules.glossary.terms for tag in term.translations}
        self._languages = {tag.partition("-")[0] for tag in tags}
        self._limits = lru_cache(maxsize=1024)(self._limits_of)

    async def generate(self, item: Item, ctx: Context) -> dict[str, Any]:
        """Make the template's fields for one item."""
        values, target = self._view(item)
        extras = self._extras(item, values, target)
        pictures = await shown(item, ctx, self._template.pictures)
        best: tuple[tuple[bool, int], dict[str, Any], list[Finding]] | None = None
        for ask in range(self._kit.asks):
            prompt = self._render(values, target, ctx.params, extras)
            if prompt.skipped:
                return {}
            answer = await ctx.call(item, _chat(prompt, pictures), self._model)
            if answer.response.outcome == "refused":
                reason = f"the model declined: {answer.response.text[:200] or 'no reason given'}"
                if best is None:
                    raise Refused(reason, model=answer.model)
                best[2].append(Finding("", "refused", "error", reason))
                break  # what an earlier ask gave is kept, with its findings
            fields, findings = self._judge(answer.response.text, prompt, values, target)
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
        ctx.report(item, best[2])
        return best[1]

    def preview(self, item: Item, params: Mapping[str, Any]) -> Chat | None:
        """Give the first request an item would send; None when nothing is left to write."""
        values, target = self._view(item)
        prompt = self._render(values, target, params, self._extras(item, values, target))
        return None if prompt.skipped else _chat(prompt)

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

    def _extras(self, item: Item, values: Mapping[str, Any], target: Target | None) -> Extras:
        """Give what the prompt holds besides the product: terms and the channel's limits."""
        limits = _NO_LIMITS
        if target is not None and target.channel is not None:
            limits = self._limits(target.channel, category_of(values))
        return Extras(item.product.key, glossary=self._terms(values, target), channel=limits)

    def _limits_of(self, channel: str, category: str | None) -> Mapping[str, FieldRule]:
        shop = self._kit.rules.channels.get(channel)
        if shop is None:
            return _NO_LIMITS
        rules = {name: shop.rule(name, category) for name in self._template.fields}
        return {name: rule for name, rule in rules.items() if rule is not None}

    def _terms(
        self, values: Mapping[str, Any], target: Target | None
    ) -> tuple[tuple[str, str | None], ...]:
        """Give the glossary's terms in what the prompt shows, with what to write for the target.

        Nothing is translated without a target, nor into a language the glossary has no column of.
        """
        if target is None or not self._glossary_serves(target):
            return ()
        text = "\n".join(write_value(values.get(name)) for name in self._shown)
        found = []
        for term in self._kit.rules.glossary.matching(text, target):
            translation = term.translation(target)
            if translation is not None:
                found.append((term.source, None if term.keep else translation))
        return tuple(found)

    def _glossary_serves(self, target: Target) -> bool:
        """Say whether the glossary tells how to write in a language; one of names only always."""
        if not self._kit.rules.glossary:
            return False
        return not self._languages or target.language in self._languages

    def _judge(
        self, text: str, prompt: Prompt, values: Mapping[str, Any], target: Target | None
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
        draft = Draft(fields, values, target, prompt.contract.fields, category_of(values))
        return fields, checks.run_checks(self._template.checks, draft, self._kit.rules)


def _chat(prompt: Prompt, pictures: tuple[Image, ...] = ()) -> Chat:
    messages = prompt.messages
    if pictures:  # beside the product, in the first thing the user says
        place = next(i for i, one in enumerate(messages) if one.role == "user")
        text = str(messages[place].content)
        said = replace(messages[place], content=(text, *pictures))
        messages = (*messages[:place], said, *messages[place + 1 :])
    return Chat(messages, prompt.contract.max_tokens, prompt.contract.schema)

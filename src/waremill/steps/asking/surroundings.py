"""What a prompt holds besides the product and its passages: the channel's limits and the terms."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from waremill.checks import Rules
from waremill.domain import Item, Target, category_of
from waremill.rules.channel import FieldRule
from waremill.templates import Extras, Template
from waremill.templates.values import write_value

_NO_LIMITS: Mapping[str, FieldRule] = {}


class Surroundings:
    """What the workspace's rules say to one template's prompts."""

    def __init__(self, template: Template, rules: Rules) -> None:
        self._template = template
        self._rules = rules
        self._shown = tuple(one.name for one in template.inputs) or tuple(
            sorted(template.variables)
        )
        tags = {tag for term in rules.glossary.terms for tag in term.translations}
        self._languages = {tag.partition("-")[0] for tag in tags}
        self._limits = lru_cache(maxsize=1024)(self._limits_of)

    def extras(self, item: Item, values: Mapping[str, Any], target: Target | None) -> Extras:
        """Give what the prompt holds besides the product: terms and the channel's limits."""
        limits = _NO_LIMITS
        if target is not None and target.channel is not None:
            limits = self._limits(target.channel, category_of(values))
        return Extras(item.product.key, glossary=self._terms(values, target), channel=limits)

    def _limits_of(self, channel: str, category: str | None) -> Mapping[str, FieldRule]:
        shop = self._rules.channels.get(channel)
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
        for term in self._rules.glossary.matching(text, target):
            translation = term.translation(target)
            if translation is not None:
                found.append((term.source, None if term.keep else translation))
        return tuple(found)

    def _glossary_serves(self, target: Target) -> bool:
        """Say whether the glossary tells how to write in a language; one of names only always."""
        if not self._rules.glossary:
            return False
        return not self._languages or target.language in self._languages

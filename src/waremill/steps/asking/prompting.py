"""What a prompt holds besides the product's own values: passages of the shop's knowledge.

Renders nothing and asks no model; it looks for passages through the context, so that every search
is recorded and a replay sees the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from waremill.domain import Item, Passage, Search, Target
from waremill.pipeline import Context
from waremill.templates import Template
from waremill.templates.retrieval import merged


@dataclass(frozen=True, slots=True)
class View:
    """What a step sees of an item: the values its template reads, and for whom it writes."""

    values: Mapping[str, Any]
    target: Target | None


def searches(template: Template, view: View, params: Mapping[str, Any]) -> tuple[Search, ...]:
    """Give what a template looks for on behalf of an item; nothing where nothing is to be asked."""
    if template.retrieval is None:
        return ()
    if template.fills and not template.contract(view.values, view.target, view.values).fields:
        return ()
    return template.searches(view.values, view.target, params)


async def retrieved(item: Item, ctx: Context, wanted: Sequence[Search]) -> tuple[Passage, ...]:
    """Give what several bases hold, at most as many as one search wants."""
    found = [await ctx.retrieve(item, one) for one in wanted]
    return together(wanted, found)


def together(wanted: Sequence[Search], found: Sequence[Sequence[Passage]]) -> tuple[Passage, ...]:
    """Put the finds of one query in several bases together, as a prompt numbers them."""
    return merged(found, wanted[0].top) if wanted else ()

"""The use case *preview*: the prompt of one product as it would be sent, its tokens and its price.

No model is called.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, select

from waremill.app.assembly import Assembly
from waremill.app.estimating import facts_of
from waremill.app.informing import found_for, outlook_of, requests_of
from waremill.domain import Item, Passage, Request, Target
from waremill.errors import ConfigError, NotFound
from waremill.pipeline import BoundStep
from waremill.runs.estimate import NOTHING, ModelFacts, Range, estimate_step, text_of
from waremill.store import history
from waremill.store import products as store_products
from waremill.store.database import Database
from waremill.store.history import Past
from waremill.store.products import Catalog
from waremill.store.tables import products

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

_Known: TypeAlias = tuple[float, ModelFacts, Past | None]
"""When it was looked up, and what was found."""


@dataclass(frozen=True, slots=True)
class PromptPart:
    """One request a step would send: messages as (role, text), with its tokens in and most out.

    `skipped`: every field is there already, so nothing would be asked. `passages` are what was
    found for it in the shop's knowledge, as its prompt numbers them.
    """

    step: str
    model: str
    messages: tuple[tuple[str, str], ...]
    tokens: int = 0
    max_tokens: int = 0
    skipped: bool = False
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """The prompts of one product for one target. `cost` is what they are expected to cost at list
    price in nano-USD, None where a model's price is not known; `counted_by` says how tokens were.
    """

    key: str
    target: str
    parts: tuple[PromptPart, ...]
    tokens: int
    max_tokens: int
    cost: Range | None
    counted_by: str


async def item_for(
    workspace: Workspace, assembly: Assembly, catalog: Catalog, key: str, target: str | None
) -> Item:
    """Make the item of one product (or group) for one target, numbered 0; it is in no run.

    Without a target the pipeline's first one is taken.
    """
    texts = [target] if target else [str(one) for one in assembly.pipeline.targets]
    if not texts and any(step.needs_target for step in assembly.steps):
        raise ConfigError(
            f"“{assembly.pipeline.name}” writes for a language or market; name a target"
        )
    try:
        aim = Target.parse(texts[0]) if texts else None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if aim is not None and aim.channel and aim.channel not in assembly.rules.channels:
        known = ", ".join(sorted(assembly.rules.channels)) or "none"
        raise ConfigError(f"there is no file channels/{aim.channel}.yaml (channels: {known})")
    of_groups = bool(assembly.steps) and all(s.per == "group" for s in assembly.steps if s.preview)

    def read(conn: Connection) -> Item:
        named = select(products).where(
            products.c.catalog_id == catalog.id, products.c.is_group.is_(False),
            products.c.key == key,
        )  # fmt: skip
        row = conn.execute(named).one_or_none()
        if row is None:
            raise NotFound(f"there is no product “{key}” in the catalogue “{catalog.name}”")
        group = store_products.group_of(conn, row.group_id) if row.group_id else None
        if of_groups and group is not None:  # what a run would work
            return Item(0, group, aim, {}, 0)
        return Item(0, store_products.as_product(row), aim, {}, 0, group)

    return await workspace.database.read(read)


async def preview(
    workspace: Workspace, assembly: Assembly, item: Item, params: Mapping[str, Any]
) -> Preview:
    """Render an item's prompts and say what they come to.

    What earlier steps would make is not known, so later prompts are without it.
    """
    parts: list[PromptPart] = []
    outlook = outlook_of(workspace)
    found = await found_for(assembly.steps, item, params, outlook.search)
    cost: Range | None = NOTHING
    counted_by = ""
    for step in assembly.steps:
        if step.preview is None:
            continue
        if step.when is not None and not step.when(item.product.attributes):
            parts.append(PromptPart(step.name, step.model, (), skipped=True))
            continue
        asked = await requests_of(step, item, params, found, outlook)
        if not asked:
            parts.append(PromptPart(step.name, step.model, (), skipped=True))
            continue
        facts, past = await _known(workspace, assembly.pipeline.name, step)
        one = estimate_step(step, facts, [each.request for each in asked], 0, 1.0, past)
        cost = None if cost is None or one.list_cost is None else cost + one.list_cost
        counted_by = one.counted_by
        parts += (
            PromptPart(step.name, step.model, written(each.request),
                       facts.count(text_of(each.request)), each.request.max_tokens,
                       passages=each.passages)
            for each in asked
        )  # fmt: skip
    return Preview(
        item.product.key, str(item.target or ""), tuple(parts), sum(part.tokens for part in parts),
        sum(part.max_tokens for part in parts), cost, counted_by,
    )  # fmt: skip


_KEPT: WeakKeyDictionary[Database, dict[tuple[str, ...], _Known]] = WeakKeyDictionary()
KEPT_SECONDS = 120.0
MOST_KEPT = 200


async def _known(
    workspace: Workspace, pipeline: str, step: BoundStep
) -> tuple[ModelFacts, Past | None]:
    """Give what is known of a step's model and its past calls, looked up every few minutes.

    A preview is made anew as somebody types, and looking through past calls takes its time.
    """
    kept = _KEPT.setdefault(workspace.database, {})
    place = (pipeline, step.name, step.model, workspace.settings.model(step.model).use)
    known = kept.get(place)
    if known is None or time.monotonic() - known[0] > KEPT_SECONDS:
        database = workspace.database
        facts = await facts_of(workspace.settings, database, step, exact=False)
        past = await database.read(history.past_calls, pipeline, step.name, step.model)
        if len(kept) >= MOST_KEPT:
            kept.clear()
        known = kept[place] = (time.monotonic(), facts, past)
    return known[1:]


def written(request: Request) -> tuple[tuple[str, str], ...]:
    """Give a request's messages as text; a picture as its address."""
    found = []
    for message in request.messages:
        content = message.content
        texts = [content] if isinstance(content, str) else [
            part if isinstance(part, str) else f"[{part.url[:200]}]" for part in content
        ]  # fmt: skip
        found.append((message.role, "\n".join(texts)))
    return tuple(found)

"""The use case *play*: make one product's fields with a text that nobody approved yet.

Calls are made, paid and journalled as *generate* does it, under the team's budget and rates; what
is made is shown and not stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from waremill.app.assembly import Assembly
from waremill.app.generating import Generated, generate_with
from waremill.app.previewing import item_for
from waremill.calls.envelope import shown
from waremill.domain import Emit, Finding, Item, Passage
from waremill.errors import LimitReached, WaremillError
from waremill.store.products import Catalog
from waremill.store.tables import AnyRow, answers

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

AT_ONCE = 4
"""Products of a comparison that are worked at the same time."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a text, and the model that stands in for the default one."""

    text: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one product. `cost` is at list price in the workspace's currency, None where a
    price is unknown; `replayed` says that every answer was there already: nothing was paid.

    `error` is the sentence of what kept it from being made; `replies` are verbatim. `passages` are
    what was given to the model of the shop's knowledge.
    """

    key: str
    target: str
    model: str
    values: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    replies: tuple[str, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    replayed: bool = False
    error: str | None = None
    passages: tuple[Passage, ...] = ()


async def play_sides(
    workspace: Workspace,
    assemblies: Sequence[Assembly],
    keys: Sequence[str],
    about: tuple[Catalog, str | None, Mapping[str, Any]],
    *,
    emit: Emit | None = None,
    done: Callable[[int, int, Played], None] | None = None,
) -> tuple[tuple[Played, ...], ...]:
    """Make the products' fields with each pipeline: a row a product, an entry a pipeline.

    `about` is the catalogue, the target and the parameters. What goes wrong with one product is
    said in its entry; LimitReached is raised where the team's month is used up.
    """
    catalog, target, params = about
    items = [[await item_for(workspace, one, catalog, key, target) for one in assemblies]
             for key in keys]  # fmt: skip
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(row: int, side: int) -> Played:
        async with slots:
            player = _Player(workspace, assemblies[side], catalog.team_id, emit)
            made = await player.play(items[row][side], params)
            if done is not None:
                done(row, side, made)
            return made

    tasks = [
        [asyncio.create_task(one(row, side)) for side in range(len(assemblies))]
        for row in range(len(keys))
    ]
    every = [task for row in tasks for task in row]
    try:
        await asyncio.gather(*every)
    finally:
        for task in every:
            task.cancel()
        await asyncio.gather(*every, return_exceptions=True)
    return tuple(tuple(task.result() for task in row) for row in tasks)


class _Player:
    """Makes one product's fields with one pipeline; the team pays."""

    def __init__(
        self, workspace: Workspace, assembly: Assembly, team: int, emit: Emit | None
    ) -> None:
        self._workspace = workspace
        self._assembly = assembly
        self._team = team
        self._emit = emit
        self._heard = False

    async def play(self, item: Item, params: Mapping[str, Any]) -> Played:
        started = time.monotonic()
        key, target = item.product.key, str(item.target or "")
        try:
            made = await generate_with(
                self._workspace, self._assembly, {"key": key, **item.product.attributes},
                target or None, params=params, team=self._team,
                emit=self._hear if self._emit is not None else None,
            )  # fmt: skip
        except LimitReached:
            raise
        except WaremillError as error:
            return Played(key, target, self._assembly.model, error=str(error))
        seconds = time.monotonic() - started
        return await self._played(made, key, target, seconds)

    def _hear(self, text: str) -> None:
        self._heard = True
        if self._emit is not None:
            self._emit(text)

    async def _played(self, made: Generated, key: str, target: str, seconds: float) -> Played:
        rows = await self._workspace.database.read(_answers, made.answers)
        replies = tuple(shown(row.outcome, row.text) for row in rows)
        if not self._heard:  # answers that were there already come at once
            self._hear("\n\n".join(replies))
        return Played(
            key, target, made.model, made.values, made.findings, replies,
            sum(row.input for row in rows), sum(row.output for row in rows), made.list_cost,
            seconds, bool(rows) and made.replayed == len(rows), passages=made.passages,
        )  # fmt: skip


def _answers(conn: Connection, hashes: Sequence[str]) -> list[AnyRow]:
    """Give answers by their hashes, in this order."""
    wanted = [bytes.fromhex(one) for one in hashes]
    query = select(answers).where(answers.c.hash.in_(wanted))
    found = {bytes(row.hash): row for row in conn.execute(query)}
    return [found[one] for one in wanted if one in found]

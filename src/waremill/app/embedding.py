"""Which embedder a workspace uses, and what stands between it and whoever wants vectors.

A name is a local embedder's or a model's of `waremill.toml`. Vectors are kept in the database by
model and text, so that nothing is embedded twice. Calls over a network stand in the ledger under
the day's row of kind `generate`, as every single call does, and the team's budget pays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from waremill.app.assembly import BURST, price_of, require_keys
from waremill.app.standing import Errand, desk_of
from waremill.calls.caller import Sender
from waremill.calls.embedding import AT_ONCE, Account, Hosted, Kept
from waremill.calls.limiter import Limiter
from waremill.calls.rate import Rate
from waremill.domain import Model
from waremill.errors import ConfigError
from waremill.knowledge.embedding import DEFAULT, Embedder, local_names, open_local
from waremill.providers.openai_embeddings import OpenAIEmbeddings, open_embeddings
from waremill.store import vectors as store_vectors
from waremill.store.database import Database
from waremill.store.limits import Quota, draw_shared_rate
from waremill.store.tables_people import FIRST_TEAM

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

ERRAND = "knowledge"
"""What embedding is called in the ledger."""
_PROBE = "length"
"""A text whose vector tells how long a hosted model's vectors are; it is kept like any other."""


@dataclass(slots=True)
class _Open:
    """What one open database's workspaces embed with."""

    local: dict[str, Embedder] = field(default_factory=dict)
    hosted: dict[str, tuple[Model, OpenAIEmbeddings, Limiter]] = field(default_factory=dict)
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


_OPEN: WeakKeyDictionary[Database, _Open] = WeakKeyDictionary()


def embedder_name(workspace: Workspace) -> str:
    """Give the name of the embedder the settings choose."""
    return workspace.settings.knowledge.embedder or DEFAULT


def chosen_identity(workspace: Workspace) -> str | None:
    """Give the identity of the embedder the settings choose; None where it cannot be opened."""
    name = embedder_name(workspace)
    opened = _OPEN.setdefault(workspace.database, _Open())
    try:
        if name in local_names() and name not in workspace.settings.models:
            return _local(opened, name).identity
        return _hosted(workspace, opened, name)[1].identity
    except ConfigError:
        return None


@asynccontextmanager
async def embedding(
    workspace: Workspace, team: int = FIRST_TEAM, name: str | None = None
) -> AsyncIterator[Embedder]:
    """Give the workspace's embedder, or the one of a name, for as long as it is needed.

    Raises ConfigError for a name that is neither a local embedder's nor a model's, and for a model
    that lacks something.
    """
    name = name or embedder_name(workspace)
    opened = _OPEN.setdefault(workspace.database, _Open())
    if name in local_names() and name not in workspace.settings.models:
        yield Kept(_local(opened, name), workspace.database)
        return
    async with desk_of(workspace).standing(workspace, Errand(ERRAND), team) as standing:
        async with opened.opening:
            model, endpoint, limiter = _hosted(workspace, opened, name)
        rate = _rate(workspace.database, endpoint.identity, model, standing.quota)
        sender = Sender(standing.run.id, -time.time_ns(), "embed")
        account = Account(
            model, price_of(workspace.settings, model), limiter, rate, standing.journal,
            standing.budget, sender,
        )  # fmt: skip
        length = await _dimensions(workspace.database, endpoint, account)
        yield Kept(Hosted(endpoint, account, length), workspace.database)


def _local(opened: _Open, name: str) -> Embedder:
    if name not in opened.local:
        opened.local[name] = open_local(name)
    return opened.local[name]


def _hosted(
    workspace: Workspace, opened: _Open, name: str
) -> tuple[Model, OpenAIEmbeddings, Limiter]:
    model = workspace.settings.model(name)
    known = opened.hosted.get(name)
    if known is None or known[0] != model:
        require_keys(workspace.settings, (name,))
        limiter = Limiter(model.concurrency or AT_ONCE, time.monotonic)
        known = opened.hosted[name] = (model, open_embeddings(model), limiter)
    return known


def _rate(database: Database, identity: str, model: Model, quota: Quota) -> Rate:
    async def draw(requests: float, tokens: float) -> float:
        return await database.write(draw_shared_rate, identity, quota, (requests, tokens), BURST)

    return Rate(model.rpm, model.tpm, draw)


async def _dimensions(database: Database, endpoint: OpenAIEmbeddings, account: Account) -> int:
    """Give the length of a hosted model's vectors; it is asked once and for all."""
    key = store_vectors.key_of(endpoint.identity, _PROBE)
    known = await database.read(store_vectors.find, [key])
    if key not in known:
        known[key] = await Hosted(endpoint, account, 0).probe(_PROBE)
        await database.write(store_vectors.save, [(key, endpoint.identity, known[key])])
    return len(known[key]) // 4


async def close(workspace: Workspace) -> None:
    """Close what was opened for a workspace."""
    opened = _OPEN.pop(workspace.database, None)
    if opened is not None:
        await asyncio.gather(
            *(one.aclose() for one in opened.local.values()),
            *(endpoint.aclose() for _, endpoint, _ in opened.hosted.values()),
        )

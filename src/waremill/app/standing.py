"""What stands ready between single products: the day's row, its journal and budget, opened models.

Opening a model may take seconds, so that one request leaves it for the next. What is kept has a
limit: what was not used for longest, and is not at work, is closed. Nothing is lost with it: what
it noted was committed and what it did not spend went back when it became idle.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, select, update

from waremill.app.acting import Actor
from waremill.app.assembly import Assembly, Endpoints
from waremill.app.keeping import storage_at
from waremill.app.working import open_budget
from waremill.calls import Caller
from waremill.calls.budget import Budget
from waremill.errors import LimitReached, UserError
from waremill.settings import Settings
from waremill.store import pipelines as store_pipelines
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.limits import Quota, find_quota
from waremill.store.runs import GENERATE, Run, clock
from waremill.store.tables import dumps, runs
from waremill.store.tables_people import FIRST_TEAM

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

MOST_STANDING = 64
"""Rows of a day that stand ready; each text somebody tries is a pipeline version of its own."""
MOST_OPENED = 16
"""Sets of models that stay open; a person may name any model of a vendor the workspace knows."""
_Models: TypeAlias = tuple[int, float, tuple[str, ...]]
"""By what opened models are known: a team, its share of the rates, the models."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is asked for without a pipeline, vectors of texts for example, and the models it calls.

    `name` is what it is called in the ledger.
    """

    name: str
    models: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)


def _errand(what: Assembly | Errand) -> Errand:
    if isinstance(what, Errand):
        return what
    return Errand(what.pipeline.name, what.models, what.files, what.templates)


@dataclass(slots=True)
class _Opened:
    """Opened models, and how many standing rows use them."""

    endpoints: Endpoints
    users: int = 0


@dataclass(slots=True)
class Standing:
    """A day's row at work in this process."""

    run: Run
    journal: Journal
    caller: Caller
    budget: Budget | None
    quota: Quota
    opened: _Opened
    busy: int = 0


@dataclass(slots=True)
class _Lock:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Desk:
    """What one open database's single products are made with."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        most_standing: int = MOST_STANDING,
        most_opened: int = MOST_OPENED,
    ) -> None:
        self._settings = settings
        self._database = database
        self._most_standing = most_standing
        self._most_opened = most_opened
        self._opened: OrderedDict[_Models, _Opened] = OrderedDict()
        self._standing: OrderedDict[tuple[Any, ...], Standing] = OrderedDict()
        self._opening = asyncio.Lock()
        self._locks: dict[bytes, _Lock] = {}

    @property
    def kept(self) -> tuple[int, int]:
        """How many rows of a day stand ready, and how many sets of models are open."""
        return len(self._standing), len(self._opened)

    @asynccontextmanager
    async def alone(self, key: bytes) -> AsyncIterator[None]:
        """Be the only one in this process who asks for something."""
        lock = self._locks.setdefault(key, _Lock())
        lock.waiting += 1
        try:
            async with lock.lock:
                yield
        finally:
            lock.waiting -= 1
            if not lock.waiting:
                del self._locks[key]

    @asynccontextmanager
    async def standing(
        self, workspace: Workspace, what: Assembly | Errand, team: int
    ) -> AsyncIterator[Standing]:
        """Give the day's row of who asks; money it drew and did not use goes back afterwards."""
        quota = await self._database.read(find_quota, team)
        async with self._opening:
            found = await self._find(workspace.actor, _errand(what), quota)
            found.busy += 1
        try:
            yield found
        finally:
            found.busy -= 1
            if not found.busy:
                await self._settle(found)
            await self._close_some()

    async def close(self) -> None:
        """Close the models, after what is in flight was written down."""
        for standing in self._standing.values():
            await self._settle(standing)
        every = [one.endpoints.__aexit__() for one in self._opened.values()]
        self._standing.clear()
        self._opened.clear()
        await asyncio.gather(*every)

    async def _find(self, actor: Actor, errand: Errand, quota: Quota) -> Standing:
        version = store_pipelines.pipeline_hash(errand.name, errand.files)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        key = (quota.team_id, actor.name, version, errand.models)
        found = self._standing.get(key)
        fits = found is not None and found.quota == quota and found.journal.lost is None
        if found is not None and fits and found.run.plan["day"] == day:
            self._standing.move_to_end(key)
            return found
        run = await self._database.write(_open_day, errand, actor.name, quota.team_id, day)
        journal = Journal(self._database, run)
        budget = await open_budget(self._settings, self._database, run, errand.models)
        opened = await self._open(errand.models, quota)
        self._drop(key)
        opened.users += 1
        assets = storage_at(self._settings.pictures.storage)
        caller = Caller(opened.endpoints.by_name, journal, budget, assets=assets)
        found = self._standing[key] = Standing(run, journal, caller, budget, quota, opened)
        return found

    async def _open(self, models: tuple[str, ...], quota: Quota) -> _Opened:
        """Open models, each once for all who use the same ones under the same share of rates."""
        key = (quota.team_id, quota.share, models)
        if quota.share >= 1:
            key = (FIRST_TEAM, 1.0, models)
        found = self._opened.get(key)
        if found is None:
            endpoints = Endpoints(self._settings, self._database, models, quota)
            await endpoints.__aenter__()
            found = self._opened[key] = _Opened(endpoints)
        self._opened.move_to_end(key)
        return found

    def _drop(self, key: tuple[Any, ...]) -> None:
        gone = self._standing.pop(key, None)
        if gone is not None:
            gone.opened.users -= 1

    async def _close_some(self) -> None:
        """Close what was not used for longest, down to the limits; what is at work stays."""
        idle = [key for key, one in self._standing.items() if not one.busy]
        for key in idle[: max(0, len(self._standing) - self._most_standing)]:
            self._drop(key)
        unused = [key for key, one in self._opened.items() if not one.users]
        gone = unused[: max(0, len(self._opened) - self._most_opened)]
        # Taken out before the first wait, so that nobody finds what is being closed.
        closing = [self._opened.pop(key).endpoints for key in gone]
        await asyncio.gather(*(one.__aexit__() for one in closing))

    async def _settle(self, standing: Standing) -> None:
        """Commit what failed calls left in the journal, and give back money that was not used."""
        journal, budget = standing.journal, standing.budget
        if journal.backlog and journal.lost is None:
            # Where the database takes nothing now, whoever asked has been told already.
            with suppress(UserError, LimitReached):
                await journal.committed()
        if budget is not None and (unspent := budget.unspent()) > 0:
            budget.available = 0
            await self._database.write(_return, standing.run, unspent)


_DESKS: WeakKeyDictionary[Database, Desk] = WeakKeyDictionary()


def desk_of(workspace: Workspace) -> Desk:
    """Give the desk of a workspace's database; it is made with the first product."""
    found = _DESKS.get(workspace.database)
    if found is None:
        found = _DESKS[workspace.database] = Desk(workspace.settings, workspace.database)
    return found


async def close(workspace: Workspace) -> None:
    """Close the models that were opened for a workspace."""
    desk = _DESKS.pop(workspace.database, None)
    if desk is not None:
        await desk.close()


def _open_day(conn: Connection, errand: Errand, by: str, team: int, day: str) -> Run:
    """Find or make the row of a day, and end the team's of days before: they hold no money."""
    version_id, version = store_pipelines.save_pipeline(
        conn, errand.name, errand.files, errand.templates
    )
    name = f"{GENERATE}-{day}-"
    own = (runs.c.kind == GENERATE) & (runs.c.team_id == team) & (runs.c.state == "running")
    today = runs.c.name.startswith(name)
    conn.execute(update(runs).where(own, ~today).values(state="done", ended_at=clock(conn)))
    found = conn.execute(
        select(runs).where(
            own, today, runs.c.pipeline_version_id == version_id, runs.c.created_by == by
        )
    ).first()
    if found is not None:
        return store_runs.as_run(found)
    number = store_runs.create_run(
        conn,
        {
            "name": f"{name}{secrets.token_hex(4)}", "kind": GENERATE,
            "state": "running", "catalog_id": None, "pipeline_version_id": version_id,
            "pipeline": errand.name, "take": 0, "team_id": team, "created_by": by,
            "plan": dumps({"day": day, "version": version, "targets": [], "params": {}}),
        },
    )  # fmt: skip
    return store_runs.get_run(conn, number)


def _return(conn: Connection, run: Run, unspent: int) -> None:
    conn.execute(update(runs).where(runs.c.id == run.id).values(drawn=runs.c.drawn - unspent))


__all__ = ["MOST_OPENED", "MOST_STANDING", "Desk", "Errand", "Standing", "close", "desk_of"]

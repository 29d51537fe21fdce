"""The use case *generate*: one product now, for somebody who waits for it.

The product need not be in a catalogue and nothing of it is stored but what any call leaves: its
answer, so that the same request is never paid twice, and its line in the ledger. These stand under
a row of kind `generate`: one a day for each team, user and pipeline version, so that budgets,
rates and spending are the same as a run's.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, select, update

from waremill.app.acting import Actor, Role
from waremill.app.assembly import (
    Assembly,
    Endpoints,
    all_models,
    assemble,
    require_keys,
)
from waremill.app.owning import hidden_in, seen_settings
from waremill.app.status import money
from waremill.app.working import open_budget
from waremill.calls import Caller, canonical
from waremill.calls.budget import Budget
from waremill.calls.caller import Sender
from waremill.domain import Answer, Chat, Emit, Finding, Item, Product, Target
from waremill.errors import ConfigError
from waremill.pipeline import Context
from waremill.settings import Settings
from waremill.store import pipelines as store_pipelines
from waremill.store import runs as store_runs
from waremill.store import versions as store_versions
from waremill.store.database import Database
from waremill.store.journal import Journal
from waremill.store.limits import Quota, find_quota
from waremill.store.runs import GENERATE, Run, clock
from waremill.store.tables import dumps, runs
from waremill.store.tables_people import FIRST_TEAM

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


class GenerateOptions(TypedDict, total=False):
    """What may be said besides the product: a model instead of the default one, the templates'
    parameters, the id of the team that pays, and who receives the reply's pieces.
    """

    model: str | None
    params: Mapping[str, Any] | None
    team: int | None
    emit: Emit | None


@dataclass(frozen=True, slots=True)
class Generated:
    """What was made of one product.

    `cost` is what was paid for it now and `list_cost` what it costs unanswered, in the workspace's
    currency; None where a price is unknown. `answers` are the hashes of the answers used, in
    hexadecimal; `replayed` says how many of them were there already. `target` is as written.
    """

    values: Mapping[str, Any]
    findings: tuple[Finding, ...]
    cost: float | None
    list_cost: float | None
    currency: str
    model: str
    target: str | None
    answers: tuple[str, ...]
    replayed: int


async def generate(
    workspace: Workspace,
    pipeline: str,
    product: Mapping[str, Any],
    target: str | None = None,
    **options: Unpack[GenerateOptions],
) -> Generated:
    """Run a pipeline over one product, given by its attributes.

    Answers are journalled as a run's are. Near-duplicates are looked for in runs only. Raises
    UserError for what cannot work, ProviderError when no model answers, LimitReached when the
    team's month is used up.
    """
    assembly = _assembled(await workspace.seen(), pipeline, options.get("model"))
    return await generate_with(workspace, assembly, product, target, **options)


async def generate_with(
    workspace: Workspace,
    assembly: Assembly,
    product: Mapping[str, Any],
    target: str | None = None,
    **options: Unpack[GenerateOptions],
) -> Generated:
    """Run a pipeline that is assembled already, from a draft for example, over one product."""
    team = _team(workspace.actor, options.get("team"))
    await may_use(workspace, assembly)
    aim = _target(assembly, target)
    require_keys(workspace.settings, all_models(workspace.settings, assembly.models))
    # Below zero: in the ledger it is one item among others, and no run's.
    item = Item(-time.time_ns(), Product(0, str(product.get("key", "")), dict(product), 0), aim, {})
    params = {**assembly.pipeline.params, **(options.get("params") or {})}
    desk = _desk(workspace)
    async with desk.standing(workspace, assembly, team) as standing:
        one = _One(desk, standing, item, options.get("emit"))
        values = await one.run(assembly, params)
        await standing.journal.committed()
    settings = workspace.settings
    return Generated(
        values, tuple(one.findings),
        money(one.paid, settings.per_usd) if one.priced else None,
        money(one.list_cost, settings.per_usd) if one.priced else None,
        settings.currency, assembly.model, None if aim is None else str(aim),
        tuple(one.answers), one.replayed,
    )  # fmt: skip


async def may_use(workspace: Workspace, assembly: Assembly, role: Role = "operator") -> None:
    """Raise NotFound when a pipeline, or a template in it, is a foreign team's.

    Forbidden in an own team where the role is below `role`. A foreign model is told of as one that
    is not configured.
    """
    pipeline = assembly.pipeline.name
    wanted = [
        *(("template", name) for name in assembly.templates),
        *(("model", name) for name in assembly.models),
    ]
    # A template that is run by its name is no pipeline, whoever has one of that name.
    if any(f"pipelines/{pipeline}{ending}" in assembly.files for ending in (".yaml", ".yml")):
        wanted.insert(0, ("pipeline", pipeline))
    owned = await workspace.database.read(store_versions.owned_by)
    known = await seen_settings(workspace, owned)
    for name in assembly.models:
        known.model(name)
    for kind, name in wanted:
        if (team := owned.get((kind, name))) is not None:
            workspace.actor.need(role, team, f"{kind} “{name}”")


async def close(workspace: Workspace) -> None:
    """Close the models that were opened for a workspace."""
    desk = _DESKS.pop(workspace.database, None)
    if desk is not None:
        await desk.close()


class _One:
    """One product on its way through the steps; keeps what they say and cost."""

    def __init__(self, desk: _Desk, standing: _Standing, item: Item, emit: Emit | None) -> None:
        self._desk = desk
        self._standing = standing
        self._item = item
        self._emit = emit
        self._step = ""
        self.findings: list[Finding] = []
        self.answers: list[str] = []
        self.replayed = 0
        self.paid = 0
        self.list_cost = 0
        self.priced = True

    async def run(self, assembly: Assembly, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make the fields, step by step."""
        context = Context(self._call, self._report, _record, _similar, params)
        every: dict[str, Any] = {}
        common: dict[str, Any] = {}  # what does not depend on the target: all a shared step may see
        for step in assembly.steps:
            fields = every if step.per == "target" else common
            if step.when is not None and not step.when({**self._item.product.attributes, **fields}):
                continue
            self._step = step.name
            made = await step.run(replace(self._item, fields=dict(fields)), context)
            every.update(made)
            if step.per != "target":
                common.update(made)
        return every

    async def _call(self, item: Item, request: Chat, model: str | None = None) -> Answer:
        name = model or "default"
        target = str(item.target) if item.target is not None else ""
        sender = Sender(self._standing.run.id, item.id, self._step, target)
        heard = False

        def hear(text: str) -> None:
            nonlocal heard
            heard = True
            if self._emit is not None:
                self._emit(text)

        emit = hear if self._emit is not None else None
        # One at a time for one request, whoever asks: the second finds the first one's answer.
        async with self._desk.alone(name.encode() + b"\0" + canonical(request)):
            answer = await self._standing.caller.call(request, name, sender, emit)
        if not heard and self._emit is not None:  # it was there already
            self._emit(answer.response.text)
        self.answers.append(answer.hash.hex())
        self.replayed += answer.replayed
        if answer.list_cost is None:
            self.priced = False
        else:
            self.list_cost += answer.list_cost
            self.paid += 0 if answer.replayed else answer.list_cost
        return answer

    def _report(self, _item: Item, findings: Sequence[Finding]) -> None:
        self.findings.extend(findings)


async def _record(_item: Item, _name: str, make: Any) -> Any:
    return await make()


async def _similar(_item: Item, _name: str, _text: str) -> Sequence[tuple[str, float]]:
    return ()


@dataclass(slots=True)
class _Standing:
    """A day's row at work in this process."""

    run: Run
    journal: Journal
    caller: Caller
    budget: Budget | None
    quota: Quota
    busy: int = 0


@dataclass(slots=True)
class _Lock:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class _Desk:
    """What generating keeps open between requests: an embedded model takes seconds to load."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._endpoints: dict[tuple[int, float, tuple[str, ...]], Endpoints] = {}
        self._standing: dict[tuple[Any, ...], _Standing] = {}
        self._opening = asyncio.Lock()
        self._locks: dict[bytes, _Lock] = {}

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
        self, workspace: Workspace, assembly: Assembly, team: int
    ) -> AsyncIterator[_Standing]:
        """Give the day's row of who asks; money it drew and did not use goes back afterwards."""
        quota = await self._database.read(find_quota, team)
        async with self._opening:
            found = await self._find(workspace.actor, assembly, quota)
        found.busy += 1
        try:
            yield found
        finally:
            found.busy -= 1
            if not found.busy:
                await self._give_back(found)

    async def close(self) -> None:
        """Close the models, after what is in flight was written down."""
        for standing in self._standing.values():
            await self._give_back(standing)
        await asyncio.gather(*(one.__aexit__() for one in self._endpoints.values()))
        self._endpoints.clear()
        self._standing.clear()

    async def _find(self, actor: Actor, assembly: Assembly, quota: Quota) -> _Standing:
        version = store_pipelines.pipeline_hash(assembly.pipeline.name, assembly.files)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        key = (quota.team_id, actor.name, version, assembly.models)
        found = self._standing.get(key)
        fits = found is not None and found.quota == quota and found.journal.lost is None
        if found is not None and fits and found.run.plan["day"] == day:
            return found
        run = await self._database.write(_open_day, assembly, actor.name, quota.team_id, day)
        journal = Journal(self._database, run)
        budget = await open_budget(self._settings, self._database, run, assembly.models)
        caller = Caller(await self._opened(assembly.models, quota), journal, budget)
        found = self._standing[key] = _Standing(run, journal, caller, budget, quota)
        return found

    async def _opened(self, models: tuple[str, ...], quota: Quota) -> Mapping[str, Any]:
        """Open models, each once for all who use the same ones under the same share of rates."""
        key = (quota.team_id, quota.share, models)
        if quota.share >= 1:
            key = (FIRST_TEAM, 1.0, models)
        if key not in self._endpoints:
            opened = Endpoints(self._settings, self._database, models, quota)
            await opened.__aenter__()
            self._endpoints[key] = opened
        return self._endpoints[key].by_name

    async def _give_back(self, standing: _Standing) -> None:
        budget = standing.budget
        if budget is not None and (unspent := budget.unspent()) > 0:
            budget.available = 0
            await self._database.write(_return, standing.run, unspent)


_DESKS: WeakKeyDictionary[Database, _Desk] = WeakKeyDictionary()
_ASSEMBLIES: WeakKeyDictionary[Database, dict[tuple[Any, ...], tuple[Any, Assembly]]] = (
    WeakKeyDictionary()
)


def _desk(workspace: Workspace) -> _Desk:
    found = _DESKS.get(workspace.database)
    if found is None:
        found = _DESKS[workspace.database] = _Desk(workspace.settings, workspace.database)
    return found


def _assembled(workspace: Workspace, pipeline: str, model: str | None) -> Assembly:
    """Build a pipeline, or give the one built before while no file of the workspace has changed.

    Building takes a tenth of a second, looking at the files a thousandth.
    """
    root = workspace.settings.root
    state = tuple(
        (path, stat.st_mtime_ns, stat.st_size)
        for path in workspace.settings.files()
        if (stat := (root / path).stat())
    )
    kept = _ASSEMBLIES.setdefault(workspace.database, {})
    place = (pipeline, model, hidden_in(workspace.settings))
    before = kept.get(place)
    if before is not None and before[0] == state:
        return before[1]
    built = assemble(workspace.settings, pipeline, model)
    if len(kept) >= 100:
        kept.clear()
    kept[place] = (state, built)
    return built


def _open_day(conn: Connection, assembly: Assembly, by: str, team: int, day: str) -> Run:
    """Find or make the row of a day, and end the team's of days before: they hold no money."""
    version_id, version = store_pipelines.save_pipeline(
        conn, assembly.pipeline.name, assembly.files, assembly.templates
    )
    own = (runs.c.kind == GENERATE) & (runs.c.team_id == team) & (runs.c.state == "running")
    for row in conn.execute(select(runs).where(own)).all():
        run = store_runs.as_run(row)
        if run.plan["day"] != day:
            store_runs.set_run(conn, run.id, {"state": "done", "ended_at": clock(conn)})
        elif run.pipeline_version_id == version_id and run.created_by == by:
            return run
    number = store_runs.create_run(
        conn,
        {
            "name": f"{GENERATE}-{day}-{secrets.token_hex(4)}", "kind": GENERATE,
            "state": "running", "catalog_id": None, "pipeline_version_id": version_id,
            "pipeline": assembly.pipeline.name, "take": 0, "team_id": team, "created_by": by,
            "plan": dumps({"day": day, "version": version, "targets": [], "params": {}}),
        },
    )  # fmt: skip
    return store_runs.get_run(conn, number)


def _return(conn: Connection, run: Run, unspent: int) -> None:
    conn.execute(update(runs).where(runs.c.id == run.id).values(drawn=runs.c.drawn - unspent))


def _team(actor: Actor, wanted: int | None) -> int:
    """Give the team that pays: the one that was named, or the only one the actor operates."""
    if wanted is not None:
        actor.need("operator", wanted, f"team {wanted}")
        return wanted
    actor.need_somewhere("operator", "generating")
    if actor.everywhere is not None:
        return FIRST_TEAM
    mine = [team for team in sorted(actor.teams) if actor.may("operator", team)]
    if len(mine) > 1:
        raise ConfigError("you are in several teams; say which one pays: team")
    return mine[0]


def _target(assembly: Assembly, written: str | None) -> Target | None:
    """Read the target; without one, the pipeline's only one."""
    try:
        given = Target.parse(written) if written else None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if given is None and len(assembly.pipeline.targets) == 1:
        given = assembly.pipeline.targets[0]
    if given is None and any(step.needs_target for step in assembly.steps):
        raise ConfigError(
            f"“{assembly.pipeline.name}” writes for a language or market; name a target such as "
            "en-US"
        )
    if given is not None and given.channel and given.channel not in assembly.rules.channels:
        known = ", ".join(sorted(assembly.rules.channels)) or "none"
        raise ConfigError(f"there is no file channels/{given.channel}.yaml (channels: {known})")
    return given


__all__ = ["GenerateOptions", "Generated", "close", "generate", "generate_with", "may_use"]

"""The use case *generate*: one product now, for somebody who waits for it.

The product need not be in a catalogue and nothing of it is stored but what any call leaves: its
answer, so that the same request is never paid twice, and its line in the ledger. These stand under
a row of kind `generate`: one a day for each team, user and pipeline version, so that budgets,
rates and spending are the same as a run's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from weakref import WeakKeyDictionary

from waremill.app.acting import Actor, Role
from waremill.app.assembly import Assembly, all_models, assemble, require_keys
from waremill.app.equipping import using
from waremill.app.exemplars import with_reviews
from waremill.app.informing import embedding_by
from waremill.app.keeping import open_files
from waremill.app.owning import hidden_in, seen_settings
from waremill.app.standing import Desk, Standing, close, desk_of
from waremill.app.status import money
from waremill.calls import canonical
from waremill.calls.caller import Sender
from waremill.domain import (
    Answer,
    Emit,
    Finding,
    Item,
    Passage,
    Product,
    Request,
    Search,
    Signature,
    Target,
)
from waremill.errors import ConfigError
from waremill.pipeline import Context, Embed, Files, Use, no_knowledge, no_tools
from waremill.runs.searching import Searcher, entries
from waremill.store import versions as store_versions
from waremill.store.database import Database
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
    `passages` are what was given to the model from the shop's knowledge, `notes` what the steps
    say of how it was made, by step.
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
    passages: tuple[Passage, ...] = ()
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


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
    model = options.get("model")
    assembly = _assembled(await workspace.seen(), pipeline, model)
    assembly = await with_reviews(workspace, assembly, model)
    return await generate_with(workspace, assembly, product, target, **options)


async def generate_with(
    workspace: Workspace,
    assembly: Assembly,
    product: Mapping[str, Any],
    target: str | None = None,
    **options: Unpack[GenerateOptions],
) -> Generated:
    """Run a pipeline that is assembled already, from a draft for example, over one product."""
    team = paying_team(workspace.actor, options.get("team"))
    await may_use(workspace, assembly)
    aim = _target(assembly, target)
    require_keys(workspace.settings, all_models(workspace.settings, assembly.models))
    # Below zero: in the ledger it is one item among others, and no run's.
    item = Item(-time.time_ns(), Product(0, str(product.get("key", "")), dict(product), 0), aim, {})
    params = {**assembly.pipeline.params, **(options.get("params") or {})}
    desk = desk_of(workspace)
    async with desk.standing(workspace, assembly, team) as standing:
        one = _One(desk, standing, item, options.get("emit"))
        one.search, one.embed = workspace.search, embedding_by(workspace, team)
        one.use = using(workspace, team)
        files = open_files(workspace.settings, workspace.database, standing.journal)
        values = await one.run(assembly, params, files)
        await standing.journal.committed()
    settings = workspace.settings
    return Generated(
        values, tuple(one.findings),
        money(one.paid, settings.per_usd) if one.priced else None,
        money(one.list_cost, settings.per_usd) if one.priced else None,
        settings.currency, assembly.model, None if aim is None else str(aim),
        tuple(one.answers), one.replayed, tuple(one.passages.values()), one.notes,
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


class _One:
    """One product on its way through the steps; keeps what they say and cost."""

    def __init__(self, desk: Desk, standing: Standing, item: Item, emit: Emit | None) -> None:
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
        self.search: Searcher | None = None
        self.embed: Embed | None = None
        self.use: Use = no_tools
        self.passages: dict[str, Passage] = {}
        self.notes: dict[str, dict[str, Any]] = {}

    async def run(
        self, assembly: Assembly, params: Mapping[str, Any], files: Files
    ) -> dict[str, Any]:
        """Make the fields, step by step."""
        context = Context(
            self._call, self._report, _record, _similar, files, params, self._retrieve, self._note,
            self.embed, self.use,
        )  # fmt: skip
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

    async def _call(self, item: Item, request: Request, model: str | None = None) -> Answer:
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

    async def _retrieve(self, item: Item, search: Search) -> tuple[Passage, ...]:
        if self.search is None:
            return await no_knowledge(item, search)
        found = tuple(await self.search(search))
        self.passages.update((one.id, one) for one in found)
        noted = self.notes.setdefault(self._step, {})
        noted.setdefault("passages", []).extend(entries(search, found))
        return found

    def _note(self, _item: Item, name: str, value: Any) -> None:
        self.notes.setdefault(self._step, {})[name] = value


async def _record(_item: Item, _name: str, make: Any) -> Any:
    return await make()


async def _similar(_item: Item, _name: str, _made: Signature) -> Sequence[tuple[str, float]]:
    return ()


_ASSEMBLIES: WeakKeyDictionary[Database, dict[tuple[Any, ...], tuple[Any, Assembly]]] = (
    WeakKeyDictionary()
)


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


def paying_team(actor: Actor, wanted: int | None) -> int:
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


__all__ = [
    "GenerateOptions",
    "Generated",
    "close",
    "generate",
    "generate_with",
    "may_use",
    "paying_team",
]

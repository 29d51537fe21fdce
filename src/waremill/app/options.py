"""What a user may say about a task, and how it becomes a choice of products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from sqlalchemy import ColumnElement

from waremill.app.acting import Role
from waremill.app.assembly import Assembly, all_models, identities, require_keys, require_prices
from waremill.app.batching.allowing import require_batches
from waremill.app.clustering import require_cluster
from waremill.app.filtering import compile_order, compile_selection
from waremill.app.finding import find_catalog
from waremill.app.importing import ImportOptions, import_sources, options_for, shown
from waremill.app.increments.basis import Basis, result_settings
from waremill.app.informing import knowledge_of
from waremill.app.linting import unknown_reads
from waremill.app.product_search import narrowed
from waremill.app.scheduling.increments import increment
from waremill.app.slotting import NO_SLOTS, Slots
from waremill.app.status import NANO
from waremill.app.working import review_condition
from waremill.catalog.publishers import publisher_for
from waremill.domain import Target
from waremill.errors import ConfigError
from waremill.pipeline import scalar
from waremill.rules import slot_names
from waremill.runs.plan import Choice, Order
from waremill.settings import Settings
from waremill.store.database import Dialect
from waremill.store.products import Catalog
from waremill.store.tables import products

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

MOST_MONEY = 10**18
"""The largest budget in nano-USD: a column of the database holds nine times as much."""


class TaskOptions(TypedDict, total=False):
    """What may be said about an estimate, a trial or a run; everything has a default.

    `where` and `order_by` are SQL over attributes; `search` takes the products that fit a text
    best, as many as `limit` says; `stale` those for which what the pipeline made is outdated;
    `source` imports a file and takes exactly its rows; `targets` are written as `de-DE@amazon`;
    `params` fill the templates' parameters; `model` stands in for the default one. `budget` is in
    the workspace's currency; `engine` is `local` or `ray`, `priority` `high`, `normal` or `low`.
    `size`, `seed`, `gold`, `against` and `stratify` are a trial's. `only` takes products that are
    `new` or `changed` since they were worked by the schedule whose row id `schedule` is, or have a
    field that is `empty`; `mode` “batch” sends
    the calls through the vendors' batch endpoints.
    """

    where: str | None
    search: str | None
    stale: bool
    source: str | None
    key: str | None
    sheet: str | None
    catalog: str | None
    limit: int | None
    order_by: str | None
    targets: Sequence[str]
    params: Mapping[str, Any]
    model: str | None
    budget: float | None
    engine: str
    priority: str
    fresh: bool
    output: str | Path | None
    size: int
    seed: int
    gold: str | Path | None
    against: str | None
    stratify: str | None
    only: Sequence[str]
    schedule: int | None
    mode: Literal["live", "batch"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task understood: its pipeline built, its products chosen, its targets fixed.

    `knowledge` has the version of every base that is searched.
    """

    assembly: Assembly
    choice: Choice
    targets: tuple[str, ...]
    params: Mapping[str, Any]
    written: Mapping[str, Any]
    fresh: bool = False
    by: str | None = None
    knowledge: Mapping[str, str] = field(default_factory=dict)


async def prepare(
    workspace: Workspace, assembly: Assembly, options: TaskOptions, kind: str | None = None
) -> Prepared:
    """Understand a task; raise UserError about anything that cannot work.

    `kind` is the run's that will be ordered; None for an estimate, which needs no key and no
    budget. What can be checked without the products is checked before a file is imported.
    """
    settings, database, actor = workspace.settings, workspace.database, workspace.actor
    role: Role = "viewer" if kind is None else "operator"
    targets = targets_of(assembly, options)
    knowledge = await knowledge_of(workspace, assembly)
    _check_limit(options)
    _check_way(settings, assembly, options, kind)
    catalog, number = await _catalog(workspace, options, role)
    await knowledge_of(workspace.as_team(catalog.team_id), assembly)  # a run sees its team's alone
    for meant, message, place in unknown_reads(assembly, catalog.columns):
        if meant:  # a pipeline for several catalogues may well name what this one lacks
            raise ConfigError(message, place)
    slots = Slots(slot_names(assembly.rules.schemas), targets)
    choice = choose(catalog, database.dialect, options, number, slots)
    params = {**assembly.pipeline.params, **options.get("params", {})}
    if options.get("stale"):
        basis = Basis(settings, assembly, targets, params, knowledge)
        choice = narrowed_by(choice, await database.read(basis.outdated))
    if assembly.pipeline.accept is not None:  # found out now, not when all is paid
        review_condition(assembly.pipeline.accept, catalog.columns, database.dialect, slots.names)
    if assembly.pipeline.uses_groups and catalog.group_column is None:
        raise ConfigError(
            "a step is made per group, and this catalogue has no groups; import with --group COL"
        )
    if text := options.get("search"):
        choice = await narrowed(
            workspace, choice, text, wait=not workspace.serves, progress=workspace.on_index
        )
    choice = _left_to_do(choice, assembly, database.dialect, targets, options)
    written = {
        "where": options.get("where"), "search": options.get("search"),
        "source": shown(str(options["source"])) if number else None,
        "limit": options.get("limit"), "order_by": options.get("order_by"),
        "catalog": catalog.name, "sheet": catalog.sheet, "model": options.get("model"),
        "params": params, "columns": catalog.columns, "slots": slots.names,
        **({"only": list(options["only"])} if options.get("only") else {}),
        "stale": bool(options.get("stale")),
        "engine": options.get("engine", "local"),
        "priority": options.get("priority"),
    }  # fmt: skip
    fresh = bool(options.get("fresh"))
    return Prepared(assembly, choice, targets, params, written, fresh, actor.name, knowledge)


def _left_to_do(
    choice: Choice,
    assembly: Assembly,
    dialect: Dialect,
    targets: Sequence[str],
    options: TaskOptions,
) -> Choice:
    """Narrow a choice to what is worked: groups where each step is made once a group, and `only`
    what is new, changed or empty.
    """
    if assembly.steps and all(s.per == "group" for s in assembly.steps if s.preview):
        choice = replace(choice, groups=any(s.preview for s in assembly.steps))
    if only := options.get("only"):
        also = increment(assembly, dialect, targets, only, options.get("schedule"))
        choice = replace(choice, also=also)
    return choice


async def _catalog(
    workspace: Workspace, options: TaskOptions, role: Role
) -> tuple[Catalog, int | None]:
    """Give a task's catalogue; with a source to import first, the import's number too."""
    database, actor = workspace.database, workspace.actor
    if not options.get("source"):
        return await find_catalog(database, actor, options.get("catalog"), role), None
    done = await import_sources(
        database,
        [str(options["source"])],
        options_for(
            actor,
            ImportOptions(options.get("key"), None, options.get("sheet"), options.get("catalog"),
                          keyless=True),
            await workspace.catalogs(),
        ),
    )  # fmt: skip
    return await find_catalog(database, actor, done.catalog, role), done.number


def narrowed_by(choice: Choice, condition: ColumnElement[bool]) -> Choice:
    """Narrow a choice to the products a further condition picks."""
    return replace(choice, where=condition if choice.where is None else choice.where & condition)


def _check_way(
    settings: Settings, assembly: Assembly, options: TaskOptions, kind: str | None
) -> None:
    """Check how the models are called, and where the output goes."""
    check_engine(settings, assembly, options)
    if kind is None:
        return
    require_keys(settings, all_models(settings, assembly.models))
    _budget(settings, assembly, options, kind)
    if output := options.get("output"):
        publisher_for(Path(output))


def parameters(pairs: Iterable[str]) -> dict[str, Any]:
    """Read parameters written as NAME=VALUE; raise ConfigError for what is not."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"write --set NAME=VALUE, not “{pair}”")
        found[name] = scalar(value)
    return found


def check_engine(settings: Settings, assembly: Assembly, options: TaskOptions) -> None:
    """Raise ConfigError where a task cannot be worked by its engine, or its models in its mode."""
    engine = options.get("engine") or "local"
    batched = options.get("mode") == "batch"
    if batched and engine == "ray":
        raise ConfigError(
            "--mode batch and --engine ray do not go together: a run in batches only waits for its "
            "vendors, which one process does; leave --engine out for half the price, or --mode out "
            "to have the cluster work it now"
        )
    if batched:
        require_batches(settings, assembly.models)
    require_cluster(settings, engine)


def choose(
    catalog: Catalog,
    dialect: Dialect,
    options: TaskOptions,
    import_number: int | None = None,
    slots: Slots = NO_SLOTS,
) -> Choice:
    """Compile a selection over one catalogue."""
    where = None
    if text := options.get("where"):
        where = compile_selection(catalog, text, dialect, slots)
    if import_number is not None:
        own = products.c.import_number == import_number
        where = own if where is None else where & own
    order: Sequence[Any] = ()
    if text := options.get("order_by"):
        order = compile_order(catalog, text, dialect, slots)
    elif import_number is not None:
        order = (products.c.position,)
    _check_limit(options)
    return Choice(catalog, where, order, options.get("limit"))


def _check_limit(options: TaskOptions) -> None:
    limit = options.get("limit")
    if limit is not None and limit < 1:
        raise ConfigError("--limit must be at least 1")


def targets_of(assembly: Assembly, options: TaskOptions) -> tuple[str, ...]:
    """Give a task's targets as they are stored, the pipeline's own where none are named.

    Raises ConfigError for what is no target, and where a pipeline needs one and has none.
    """
    wanted = tuple(options.get("targets") or ())
    parsed = []
    for text in wanted:
        try:
            parsed.append(str(Target.parse(text)))
        except ValueError as error:
            raise ConfigError(str(error)) from None
    targets = tuple(dict.fromkeys(parsed or map(str, assembly.pipeline.targets)))
    if not targets and any(step.needs_target for step in assembly.steps):
        raise ConfigError(
            f"“{assembly.pipeline.name}” writes for a language or market; "
            "name one, such as --target en-US"
        )
    for text in targets:
        channel = Target.parse(text).channel
        if channel and channel not in assembly.rules.channels:
            known = ", ".join(sorted(assembly.rules.channels)) or "none"
            raise ConfigError(f"there is no file channels/{channel}.yaml (channels: {known})")
    return targets or ("",)


def budget_in_nano(settings: Settings, models: Iterable[str], budget: float) -> int:
    """Convert a budget to nano-USD; raise ConfigError where it cannot be kept."""
    if not budget > 0:
        raise ConfigError("--budget must be above zero")
    require_prices(settings, models, "a budget")
    amount = budget / settings.per_usd * NANO
    if amount > MOST_MONEY:
        raise ConfigError(f"--budget is at most {MOST_MONEY / NANO * settings.per_usd:.3g}")
    return round(amount)


def _budget(settings: Settings, assembly: Assembly, options: TaskOptions, kind: str) -> int | None:
    """Give a run's budget in nano-USD: its own, else the workspace's; a trial has only its own."""
    budget = options.get("budget")
    if budget is None and kind == "run":
        budget = settings.limits.budget
    return None if budget is None else budget_in_nano(settings, assembly.models, budget)


def order_run(
    settings: Settings, prepared: Prepared, options: TaskOptions, kind: str, **plan: Any
) -> Order:
    """Put a run's order together, with its budget checked against known prices."""
    assembly = prepared.assembly
    output = options.get("output")
    models = identities(settings, assembly.models)
    told: dict[str, Any] = {"knowledge": prepared.knowledge} if prepared.knowledge else {}
    if options.get("mode") == "batch":
        told["mode"] = "batch"
    return Order(
        kind=kind, pipeline=assembly.pipeline, files=assembly.files, templates=assembly.templates,
        choice=prepared.choice, targets=prepared.targets,
        models=models,
        settings=result_settings(settings),
        plan={**prepared.written, **plan, **told, "identities": models},
        budget=_budget(settings, assembly, options, kind), fresh=prepared.fresh,
        output=str(Path(output).resolve()) if output else None, by=prepared.by,
        knowledge=prepared.knowledge,
    )  # fmt: skip

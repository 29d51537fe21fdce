"""The use case *trial*: a sample, worked for real, and what it says about the whole.

What a trial forecasts is kept with it, and the full run is held against it later.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from waremill.app.assembly import (
    Assembly,
    all_models,
    assemble,
    concurrency_of,
    idle_provider,
    require_keys,
)
from waremill.app.estimating import estimate
from waremill.app.exemplars import assembled
from waremill.app.generating import may_use
from waremill.app.gold import (
    Compared,
    Gold,
    MarkedGold,
    accuracy_line,
    closed_fields,
    compare,
    gold_place,
    load_gold,
    made_once,
)
from waremill.app.informing import knowledge_of, outlook_of
from waremill.app.options import Prepared, TaskOptions, order_run
from waremill.app.status import RunStatus, money
from waremill.app.trial_results import Line, TrialResult, sentences
from waremill.app.working import OnStart, thaw
from waremill.catalog.selection import compile_order_by
from waremill.domain import UNMADE_STATES
from waremill.errors import ConfigError, NotFound, UserError
from waremill.runs.accuracy import Same, normalised
from waremill.runs.intervals import (
    Mean,
    compare_versions,
    paired_difference,
    project,
    project_duration,
)
from waremill.runs.plan import Order, count_chosen, plan_run
from waremill.store import history, reporting
from waremill.store import pipelines as store_pipelines
from waremill.store import products as store_products
from waremill.store import runs as store_runs
from waremill.store.marks import marks_of_products
from waremill.store.products import Catalog
from waremill.store.reporting import FinishedItem
from waremill.store.runs import Run
from waremill.store.tables import dumps, products, runs

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


async def trial(
    workspace: Workspace, prepared: Prepared, options: TaskOptions, on_start: OnStart | None
) -> TrialResult:
    """Work a sample and compute what it shows."""
    run, rival = await plan_trial(workspace, prepared, options)
    status = await workspace.work(run, on_start)
    if status.state != "done" or rival is None:
        return await summarise(workspace, run) or TrialResult(status, None)
    second = await plan_run(workspace.database, rival)
    status = await workspace.work(second, on_start)
    result = await summarise(workspace, run) or TrialResult(status, None)
    if status.state != "done":
        result = replace(result, status=status, against=None)
    return result


async def plan_trial(
    workspace: Workspace, prepared: Prepared, options: TaskOptions
) -> tuple[Run, Order | None]:
    """Plan a trial; give it with the order of what it is compared with, if anything.

    A rival is worked after the trial: whoever ends last completes the comparison.
    """
    settings, database = workspace.settings, workspace.database
    choice = prepared.choice
    whole = await database.read(count_chosen, choice)
    strata = None
    if column := options.get("stratify"):
        # Compiled for its error about an unknown column; a stratum is the value itself.
        compile_order_by(
            f'"{column}"', products.c.attributes, choice.catalog.columns, database.dialect
        )
        strata = products.c.attributes[column].as_string()
    size, seed = options.get("size", 20), options.get("seed", 0)
    drawn = replace(choice, sample=size, seed=seed, strata=strata)
    given = options.get("gold")
    gold = gold_place(given, workspace.settings.root) if given else None
    if gold is not None:  # what is wrong with it is said before anything is paid
        _load_gold(workspace, gold, choice.catalog, prepared.assembly)
    rival = await _rival(workspace, prepared, options)
    sampled = replace(prepared, choice=drawn)
    told = {"whole": whole, "seed": seed, "gold": gold}
    run = await plan_run(database, order_run(settings, sampled, options, "trial", **told))
    if rival is None:
        return run, None
    model = rival.model if rival.model != "default" else None  # as a plan names it
    other = replace(
        sampled, assembly=rival, written={**prepared.written, "model": model},
        knowledge=await knowledge_of(workspace, rival),
    )  # fmt: skip
    return run, order_run(settings, other, options, "trial", **told, rival_of=run.name)


async def summarise(workspace: Workspace, run: Run) -> TrialResult | None:
    """Compute what a finished trial shows and keep it with it; None when it is not finished.

    All it needs was frozen with the trial, so it does not matter who worked it to its end. A rival
    that is finished completes the trial it is compared with.
    """
    run = await workspace.database.read(store_runs.get_run, run.id)
    if run.state != "done":
        return None
    first = await _gathered(workspace, run)
    second = await workspace.database.read(_rival_of, run)
    other = None
    if second is not None and second.state == "done":
        other = await _gathered(workspace, second)
    result = await _result(workspace, first, other)
    if name := run.plan.get("rival_of"):
        await summarise(workspace, await workspace.find_run(name))
    return result


def _rival_of(conn: Connection, run: Run) -> Run | None:
    """Find the newest run that was planned to be compared with a trial."""
    query = select(runs).where(
        runs.c.kind == "trial",
        runs.c.id > run.id,
        runs.c.plan.contains(f'"rival_of":"{run.name}"', autoescape=True),
    )
    row = conn.execute(query.order_by(runs.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else store_runs.as_run(row)


@dataclass(frozen=True, slots=True)
class _Gathered:
    """A finished trial's items with what gold says of them."""

    run: Run
    status: RunStatus
    assembly: Assembly
    items: Sequence[FinishedItem]
    compared: Compared | None
    seconds: Mapping[int, float]
    """By item, how long its calls took; items that replayed all their answers are not in."""
    models: Sequence[Mapping[str, Any]]
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> int:
        """The number of products the sample stands for."""
        return int(self.run.plan.get("whole") or len(self.products))

    @property
    def products(self) -> dict[str, list[FinishedItem]]:
        """The finished items by product."""
        found: dict[str, list[FinishedItem]] = {}
        for item in self.items:
            if item.state not in UNMADE_STATES:
                found.setdefault(item.key, []).append(item)
        return found


def _load_gold(workspace: Workspace, text: str, catalog: Catalog, assembly: Assembly) -> Gold:
    root = workspace.settings.root
    return load_gold(text, root, catalog.columns, assembly.fields, catalog.key_column)


async def _rival(workspace: Workspace, prepared: Prepared, options: TaskOptions) -> Assembly | None:
    """Build what the trial is compared with: a stored version of the pipeline, or a model."""
    against = options.get("against")
    if not against:
        return None
    name = prepared.assembly.pipeline.name
    version = await workspace.database.read(store_pipelines.find_pipeline_version, name, against)
    if version is not None:
        _, files = await workspace.database.read(store_pipelines.load_pipeline_files, version)
        old = assemble(workspace.settings, name, options.get("model"), files)
        await may_use(workspace, old)
        return old
    try:
        rival = await assembled(workspace, name, against)
        await may_use(workspace, rival)
    except UserError:
        rival = None
    if rival is None or not _is_model(workspace, against):
        raise NotFound(
            f"“{against}” is neither a version of “{name}” that ran before nor a model; "
            "`waremill templates` shows the versions, `waremill models` the models"
        )
    require_keys(workspace.settings, all_models(workspace.settings, rival.models))
    return rival


def _is_model(workspace: Workspace, name: str) -> bool:
    try:
        workspace.settings.model(name)
    except ConfigError:
        return False
    return True


async def _gathered(workspace: Workspace, run: Run) -> _Gathered:
    database = workspace.database
    assembly = await thaw(workspace.settings, database, run, check_models=False)

    def read(conn: Connection) -> list[FinishedItem]:
        return [item for page in reporting.item_pages(conn, run.id) for item in page]

    items = await database.read(read)
    compared, notes = None, []
    text, once = run.plan.get("gold"), made_once(assembly)
    if not text:
        marks = await database.read(marks_of_products, [item.product_id for item in items])
        marked = MarkedGold(marks, closed_fields(assembly), once)
        compared = compare(items, marked, _sameness(assembly), once) if marks else None
    else:
        catalog = await database.read(store_products.find_catalog, run.plan["catalog"])
        try:
            gold = _load_gold(workspace, text, catalog, assembly)
        except UserError as error:  # it was there when the trial began
            notes.append(f"the gold values can no longer be read: {error}")
        else:
            compared = compare(items, gold, _sameness(assembly), once)
    return _Gathered(
        run, await workspace.status(run.name), assembly, items, compared,
        await database.read(history.item_seconds, run.id),
        await database.read(reporting.by_model, run.id), tuple(notes),
    )  # fmt: skip


def _sameness(assembly: Assembly) -> dict[str, Same]:
    """Compare a schema's closed values with all their spellings, and numbers in their unit."""
    found: dict[str, Same] = {}
    for schema in assembly.rules.schemas.values():
        for attribute in schema.attributes:
            found.setdefault(attribute.name, normalised(attribute))
    return found


async def _result(workspace: Workspace, first: _Gathered, second: _Gathered | None) -> TrialResult:
    whole, seed = first.whole, first.run.plan.get("seed", 0)
    note = f"{len(first.products)} of {whole} products, seed {seed}"
    accuracy: list[Line] = []
    marks: Mapping[int, Any] = {}
    if first.compared is not None:
        lines = [*first.compared.by_field, first.compared.overall]
        accuracy = [accuracy_line(line) for line in lines]
        marks = first.compared.marks
    forecast = _forecast(workspace, first, whole)
    comparison = _comparison(first, second) if second is not None else None
    summary = {
        "sample_note": note, "accuracy": accuracy, "forecast": forecast,
        "comparison": comparison, "marks": {str(number): mark for number, mark in marks.items()},
        "notes": first.notes,
    }  # fmt: skip
    await workspace.database.write(store_runs.set_run, first.run.id, {"summary": dumps(summary)})
    per_product = [sum(i.list_cost or 0 for i in items) for items in first.products.values()]
    priced = first.status.list_cost is not None and per_product
    return TrialResult(
        status=first.status,
        cost_per_product=money(statistics.fmean(per_product), workspace.settings.per_usd)
        if priced
        else None,
        accuracy=accuracy,
        forecast=forecast,
        comparison=comparison,
        sentences=sentences(workspace.settings, summary, whole),
        against=second.status if second else None,
        notes=first.notes,
    )


def _forecast(workspace: Workspace, one: _Gathered, whole: int) -> list[dict[str, Any]]:
    """Project the sample's list cost and seconds to the whole selection."""
    products_done = one.products
    if not products_done or whole < len(products_done):
        return []
    lines = []
    if one.status.list_cost is not None:
        costs = [float(sum(i.list_cost or 0 for i in part)) for part in products_done.values()]
        total = project(costs, whole)
        ends = _ends(total.interval)
        lines.append(
            {"name": "cost", "unit": "money", "forecast": [total.total, *ends, len(costs)]}
        )
        each = [None if end is None else end / whole for end in ends]
        lines.append(
            {"name": "cost a product", "unit": "money",
             "forecast": [total.total / whole, *each, len(costs)]}
        )  # fmt: skip
    timed = [
        one.seconds[i.id] for part in products_done.values() for i in part if i.id in one.seconds
    ]
    if timed:
        items = max(whole * len(one.run.plan["targets"]), len(timed))
        concurrency = _concurrency(workspace, one.assembly)
        least = _least(workspace, one.models, items / len(timed))
        took = project_duration(timed, items, concurrency, least)
        lines.append(
            {"name": "duration", "unit": "seconds",
             "forecast": [took.total, *_ends(took.interval), len(timed)]}
        )  # fmt: skip
    return lines


def _concurrency(workspace: Workspace, assembly: Assembly) -> int:
    settings = workspace.settings
    models = [settings.model(name) for name in assembly.models]
    return max((concurrency_of(settings, one, idle_provider(one)) for one in models), default=1)


def _least(workspace: Workspace, lines: Sequence[Mapping[str, Any]], scale: float) -> float:
    """Say how many seconds the accounts' limits alone make the calls of `lines` × `scale` take."""
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        calls, tokens = sums.get(line["model"], (0, 0))
        more = (line["input"] or 0) + (line["output"] or 0)
        sums[line["model"]] = (calls + line["calls"], tokens + more)
    least = 0.0
    for name, (calls, tokens) in sums.items():
        model = workspace.settings.model(name)
        least = max(
            least,
            calls * scale * 60 / model.rpm if model.rpm else 0.0,
            tokens * scale * 60 / model.tpm if model.tpm else 0.0,
        )
    return least


def _ends(interval: Any) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)


def _comparison(first: _Gathered, second: _Gathered) -> dict[str, Any]:
    """Compare two versions over the items both have finished."""
    theirs = {(i.key, i.target): i for i in second.items if i.state not in UNMADE_STATES}
    pairs = [
        (one, theirs[one.key, one.target])
        for one in first.items
        if one.state not in UNMADE_STATES and (one.key, one.target) in theirs
    ]
    lines = [_paired("checks passed", "rate", [
        (float(not _bad(a)), float(not _bad(b))) for a, b in pairs], "higher")]  # fmt: skip
    if first.compared is not None and second.compared is not None:
        for name in (line.field for line in first.compared.by_field):
            values = [
                (float(a[name][1]), float(b[name][1]))
                for one, other in pairs
                for a, b in [(first.compared.marks.get(one.id, {}),
                              second.compared.marks.get(other.id, {}))]
                if name in a and name in b
            ]  # fmt: skip
            lines.append(_paired(f"{name} right", "rate", values, "higher"))
    costs = [(float(a.list_cost), float(b.list_cost)) for a, b in pairs
             if a.list_cost is not None and b.list_cost is not None]  # fmt: skip
    lines.append(_paired("cost an item", "money", costs, "lower"))
    times = [(first.seconds[a.id], second.seconds[b.id]) for a, b in pairs
             if a.id in first.seconds and b.id in second.seconds]  # fmt: skip
    lines.append(_paired("seconds an item", "seconds", times, "lower"))
    return {
        "first": f"{first.run.pipeline} {first.run.plan['version'][:8]} ({first.assembly.model})",
        "second": f"{second.run.pipeline} {second.run.plan['version'][:8]} "
        f"({second.assembly.model})",
        "pairs": len(pairs),
        "lines": [line for line in lines if line is not None],
    }


def _bad(item: FinishedItem) -> bool:
    return any(found["severity"] == "error" for found in item.findings)


def _paired(
    name: str, unit: str, values: Sequence[tuple[float, float]], better: str
) -> dict[str, Any] | None:
    if not values:
        return None
    first, second = [a for a, _ in values], [b for _, b in values]
    difference: Mean | None = paired_difference(first, second)
    assert difference is not None
    line: dict[str, Any] = {
        "name": name, "unit": unit, "first": statistics.fmean(first),
        "second": statistics.fmean(second), "better": better,
        "difference": [difference.mean, *_ends(difference.interval), difference.n],
    }  # fmt: skip
    if unit == "rate":
        counts = compare_versions([bool(a) for a in first], [bool(b) for b in second])
        line |= {"wins": counts.only_second, "losses": counts.only_first}
    return line


_SAME_TASK = ("where", "search", "source", "limit", "order_by", "catalog", "model", "params")


async def forecast_for(workspace: Workspace, prepared: Prepared) -> Sequence[Line]:
    """Give what the newest trial of the same task forecast, else what an estimate says."""
    version = store_pipelines.pipeline_hash(
        prepared.assembly.pipeline.name, prepared.assembly.files
    )
    written = prepared.written

    def read(conn: Connection) -> Sequence[Line] | None:
        query = (
            select(runs)
            .where(runs.c.kind == "trial", runs.c.state == "done",
                   runs.c.pipeline == prepared.assembly.pipeline.name)
            .order_by(runs.c.id.desc())
            .limit(20)
        )  # fmt: skip
        for row in conn.execute(query):
            run = store_runs.as_run(row)
            same = all(run.plan.get(name) == written[name] for name in _SAME_TASK)
            targets = tuple(run.plan["targets"]) == prepared.targets
            if same and targets and run.plan["version"] == version and run.summary:
                return list(run.summary.get("forecast", ()))
        return None

    known = await workspace.database.read(read)
    if known is not None:
        return known
    guess = await estimate(
        workspace.settings, workspace.database, prepared, exact=False,
        outlook=outlook_of(workspace),
    )  # fmt: skip
    lines = []
    if (cost := guess.list_cost) is not None:  # as the finished run's cost is summed
        ends = (cost.expected, cost.low, cost.high)
        lines.append({"name": "cost", "unit": "money", "forecast": [*ends, guess.sample]})
    seconds = (guess.seconds.expected, guess.seconds.low, guess.seconds.high)
    lines.append({"name": "duration", "unit": "seconds", "forecast": [*seconds, guess.sample]})
    return lines

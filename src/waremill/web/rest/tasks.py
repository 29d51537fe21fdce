"""The routes that begin something: estimates, trials, runs, one product at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field, JsonValue
from starlette.responses import JSONResponse

from waremill.app import Estimate, Workspace, generating, launching
from waremill.app.options import TaskOptions
from waremill.app.status import RunStatus, money
from waremill.app.uploading import Uploads
from waremill.errors import ConfigError
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import (
    FindingShown,
    Given,
    Name,
    NamedTeam,
    SearchText,
    Shown,
    Sql,
    TargetText,
    absolute,
    file_name,
    team_id,
)
from waremill.web.rest.streaming import Say, may_stream, stream, wants_stream

router = APIRouter(prefix="/v1", tags=["runs"])
_Pipeline = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/\\]*$", examples=["launch"],
          description="A pipeline's or a single template's name."),
]  # fmt: skip
_Params = Annotated[dict[str, JsonValue], Field(max_length=100)]


class TaskGiven(Given):
    """Which pipeline works which products, for which targets."""

    pipeline: _Pipeline
    where: Sql | None = Field(None, description="Which products: SQL over attributes.")
    search: SearchText | None = Field(
        None, description="Those that fit this best, as many as `limit` (default: 100)."
    )
    stale: bool = Field(
        False, description="Only products whose results by this pipeline are outdated."
    )
    order_by: Sql | None = Field(None, description="The products' order.")
    limit: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        None, description="At most so many."
    )
    catalog: Name | None = Field(None, description="The catalogue (default: the only one).")
    upload: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Import this upload and take exactly its rows."
    )
    key: Name | None = Field(None, description="With `upload`: the key column.")
    sheet: Name | None = Field(None, description="With `upload`: the sheet.")
    targets: Annotated[list[TargetText], Field(max_length=200)] = Field(default_factory=list)
    params: _Params = Field(default_factory=dict)
    model: Name | None = Field(None, description="The model instead of the default one.")
    mode: Literal["live", "batch"] = Field(
        "live", description="batch: through the vendors' batches, for half the price."
    )


class EstimateGiven(TaskGiven):
    """What to estimate."""


class TrialGiven(TaskGiven):
    """What to try, on how many products."""

    size: Annotated[int, Field(ge=1, le=5000)] = Field(20, description="How many products.")
    seed: Annotated[int, Field(ge=0, lt=2**62)] = Field(0, description="Which sample is drawn.")
    stratify: Name | None = Field(None, description="Draw the same share of each of its values.")
    against: Name | None = Field(None, description="A version of the pipeline, or a model.")
    gold_column: Name | None = Field(None, description="The column that holds right values.")
    gold_upload: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="An upload that holds right values by key."
    )
    budget: Annotated[float, Field(gt=0, le=1e9)] | None = None
    fresh: bool = Field(False, description="Ask anew, even what was answered before.")
    start: bool = Field(True, description="False only plans it.")


class RunGiven(TaskGiven):
    """What to run, and how much it may spend."""

    budget: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="Most money, in the workspace's currency."
    )
    priority: Literal["high", "normal", "low"] = Field(
        "normal", description="Which of several runs draws on a model's limits first."
    )
    engine: Literal["local", "ray"] = Field(
        "local", description="Worked by one process, or on a Ray cluster."
    )
    fresh: bool = Field(False, description="Ask anew, even what was answered before.")
    start: bool = Field(True, description="False only plans it.")


class EstimatedStep(Shown):
    """What one step would ask."""

    step: str
    model: str
    calls: int
    answered_before: int
    input_tokens: int
    output_tokens: int
    counted_by: str


class EstimateShown(Shown):
    """What a run would cost and how long it would take; money is in `currency`."""

    products: int
    items: int
    calls: int
    cost: float | None
    cost_range: tuple[float, float] | None
    cost_per_product: float | None
    batch_cost: float | None = Field(
        description="The cost with mode batch; null where no model has batches."
    )
    batch_cost_range: tuple[float, float] | None
    currency: str
    seconds: float
    seconds_range: tuple[float, float]
    unknown_prices: list[str]
    notes: list[str]
    steps: list[EstimatedStep]


class BatchLine(Shown):
    """A batch at a vendor that items wait for; times are Unix seconds."""

    model: str
    state: str = Field(description="intended until the vendor has it for certain, then submitted.")
    id: str | None = Field(description="The vendor's name for it.")
    requests: int
    done: int
    failed: int
    submitted_at: float | None
    expires_at: float | None
    note: str | None = Field(description="What went wrong last.")


class StatusShown(Shown):
    """How far a run is and what it cost; `cost` is null where a price is unknown."""

    run: str
    kind: str
    pipeline: str
    state: str = Field(description="planning, planned, running, paused, done or cancelled.")
    reason: str | None = Field(description="Why it is paused, cancelled, or what it waits for.")
    total: int
    done: int
    failed: int
    in_review: int
    cost: float | None
    list_cost: float | None
    currency: str
    output: str | None
    budget: float | None
    seconds: float
    states: dict[str, int]
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    linked: int = Field(description="Items that took over what an equal one of before has.")
    asked: int = Field(description="Items a model was asked anew for.")
    knowledge: dict[str, str] = Field(description="The version of each knowledge base searched.")
    mode: str = Field(description="live or batch.")
    waiting: int = Field(description="Items that wait for a batch.")
    batches: list[BatchLine] = Field(description="Batches that are not settled.")
    batches_settled: int
    priority: str = Field(description="high, normal or low: which run of one model draws first.")
    rate_wait: float | None = Field(
        description="Seconds a call waited for a rate limit on average; null where there is none."
    )


class GenerateGiven(Given):
    """One product, by its attributes, and what to make of it."""

    pipeline: _Pipeline
    product: Annotated[dict[str, JsonValue], Field(max_length=2000)] = Field(
        description="Its attributes.", examples=[{"name": "Eau", "brand": "House"}]
    )
    target: TargetText | None = None
    model: Name | None = None
    params: _Params = Field(default_factory=dict)
    team: NamedTeam = None


class GivenPassage(Shown):
    """A passage of the shop's knowledge; `place` says where it stands, for people."""

    id: str
    document: str
    place: str
    text: str
    page: int | None
    score: float


class GeneratedShown(Shown):
    """What was made. `cost` was paid now, `list_cost` is the price of it unanswered."""

    values: dict[str, Any]
    findings: list[FindingShown]
    cost: float | None
    list_cost: float | None
    currency: str
    model: str
    target: str | None
    answers: list[str] = Field(description="The answers used, by hash.")
    replayed: int = Field(description="How many of them were there already.")
    passages: list[GivenPassage] = Field(
        default_factory=list, description="What was given to the model of the shop's knowledge."
    )
    notes: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="How it was made, by step: passages, verdicts, votes."
    )


@router.post("/estimates")
async def estimate(workspace: Acting, given: EstimateGiven) -> EstimateShown:
    """Say what a run would cost and how long it would take. No paid call is made."""
    if given.upload is not None:
        workspace.actor.need_somewhere("operator", "importing")
    found = await workspace.estimate(given.pipeline, **options_of(workspace, given))
    return shown_estimate(found, workspace)


@router.post("/trials", status_code=202)
async def start_trial(
    workspace: Acting, request: Request, response: Response, given: TrialGiven
) -> StatusShown:
    """Run a sample: it says how good, how dear and how fast the whole would be."""
    options: TaskOptions = {
        **options_of(workspace, given), "size": given.size, "seed": given.seed,
        "stratify": given.stratify, "against": given.against, "fresh": given.fresh,
        "budget": given.budget,
    }  # fmt: skip
    if given.gold_upload is not None:
        options["gold"] = Uploads(workspace).find(given.gold_upload).path
    elif given.gold_column is not None:
        # A name that is no column would be looked for among the server's files.
        if given.gold_column not in (await workspace.columns(given.catalog) or ()):
            raise ConfigError(f"the catalogue has no column “{given.gold_column}”")
        options["gold"] = given.gold_column
    return await _launched(
        workspace, request, response, ("trial", given.pipeline, given.start, options)
    )


@router.post("/runs", status_code=202)
async def start_run(
    workspace: Acting, request: Request, response: Response, given: RunGiven
) -> StatusShown:
    """Run a pipeline over a selection, in a process of its own.

    A run that may cost more than a team lets one person spend is planned and waits; its `reason`
    says so.
    """
    more: TaskOptions = {
        "budget": given.budget, "fresh": given.fresh, "priority": given.priority,
        "engine": given.engine,
    }  # fmt: skip
    options: TaskOptions = {**options_of(workspace, given), **more}
    return await _launched(
        workspace, request, response, ("run", given.pipeline, given.start, options)
    )


async def _launched(
    workspace: Workspace, request: Request, response: Response, wish: tuple[Any, str, bool, Any]
) -> StatusShown:
    kind, pipeline, now, options = wish
    if now:
        status = await launching.launch(workspace, kind, pipeline, **options)
    else:
        run = await launching.plan(workspace, kind, pipeline, **options)
        status = await workspace.status(run.name)
    response.headers["Location"] = absolute(request, f"/v1/runs/{status.run}")
    return shown_status(status)


def options_of(workspace: Workspace, given: TaskGiven) -> TaskOptions:
    """Give the options of a task; an upload becomes its file, no other path comes in."""
    source = None if given.upload is None else Uploads(workspace).find(given.upload).path
    return TaskOptions(
        where=given.where, search=given.search, stale=given.stale, order_by=given.order_by,
        limit=given.limit, catalog=given.catalog,
        source=None if source is None else str(source), key=given.key, sheet=given.sheet,
        targets=given.targets, params=given.params, model=given.model, mode=given.mode,
    )  # fmt: skip


def shown_status(status: RunStatus) -> StatusShown:
    """Give a run's status as the API shows it: the command line's document.

    A file the run writes is named, without the server's folder.
    """
    document = status.as_json()
    if document["output"] is not None:
        document["output"] = file_name(document["output"])
    return StatusShown.model_validate(document)


def shown_estimate(found: Estimate, workspace: Workspace) -> EstimateShown:
    """Give an estimate as the API shows it."""
    per_usd, cost, batch = workspace.settings.per_usd, found.cost, found.batch_cost
    seconds = found.seconds
    return EstimateShown(
        products=found.products, items=found.items, calls=round(found.calls),
        cost=None if cost is None else money(cost.expected, per_usd),
        cost_range=None if cost is None else (
            money(cost.low, per_usd) or 0.0, money(cost.high, per_usd) or 0.0
        ),
        cost_per_product=money(found.cost_per_product, per_usd),
        batch_cost=None if batch is None else money(batch.expected, per_usd),
        batch_cost_range=None if batch is None else (
            money(batch.low, per_usd) or 0.0, money(batch.high, per_usd) or 0.0
        ),
        currency=workspace.settings.currency, seconds=round(seconds.expected, 1),
        seconds_range=(round(seconds.low, 1), round(seconds.high, 1)),
        unknown_prices=list(found.unpriced), notes=list(found.notes),
        steps=[
            EstimatedStep(
                step=one.step, model=one.model, calls=round(one.calls),
                answered_before=round(one.answered), input_tokens=round(one.input.expected),
                output_tokens=round(one.output.expected), counted_by=one.counted_by,
            )
            for one in found.steps
        ],
    )  # fmt: skip


# One product now.


@router.post(
    "/generate",
    response_model=GeneratedShown,
    tags=["generate"],
    responses=may_stream("What was made; as events `token`, `result` and `error` on request."),
)
async def generate(workspace: Acting, request: Request, given: GenerateGiven) -> Response:
    """Make one product's fields now.

    With `Accept: text/event-stream` the model's reply comes as it is written: `token` events with
    `{"text": …}`, then one `result` with what is answered otherwise, or one `error` with a problem.
    """
    pays = await team_id(workspace, given.team)

    async def work(say: Say | None = None) -> Any:
        emit = None if say is None else (lambda text: say("token", {"text": text}))
        made = await generating.generate(
            workspace, given.pipeline, given.product, given.target,
            model=given.model, params=given.params, team=pays, emit=emit,
        )  # fmt: skip
        return GeneratedShown.model_validate(made).model_dump(mode="json")

    return stream(request, work) if wants_stream(request) else JSONResponse(await work())


__all__ = ["StatusShown", "router", "shown_estimate", "shown_status"]

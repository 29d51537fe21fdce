"""The routes about runs that exist: follow, steer, list items, export, report; a trial's marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field, JsonValue
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse

from waremill.app import launching
from waremill.app.browsing import Browse
from waremill.app.item_filters import STATES, ItemFilters
from waremill.app.listing import list_runs as runs_of
from waremill.app.marking import MOST_CARDS, Marking
from waremill.app.reporting import report_html
from waremill.app.trial_results import kept_result
from waremill.errors import Conflict
from waremill.web.rest.acting import Acting
from waremill.web.rest.attachments import SENT, Format, attachment
from waremill.web.rest.shapes import (
    Counted,
    Cursor,
    Given,
    Listing,
    Name,
    RowId,
    RunName,
    Shown,
    Size,
    Sql,
    TargetText,
    file_name,
    team_names,
)
from waremill.web.rest.streaming import EVENT_SCHEMA, EVENT_STREAM, followed
from waremill.web.rest.tasks import StatusShown, shown_status

router = APIRouter(prefix="/v1", tags=["runs"])
trials = APIRouter(prefix="/v1", tags=["trials"])

_AT_WORK = ("running", "planning")
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox allow-scripts"
)
"""A report is one file with its styles inside; the sandbox gives it no origin of ours."""

State = Literal["pending", "waiting", "ready", "review", "accepted", "edited", "rejected", "failed"]
assert set(STATES) == set(get_args(State))
_FieldName = Annotated[str, Path(min_length=1, max_length=200, description="A field's name.")]


class RunLine(Shown):
    """A run in a list; `done` and `failed` are as its worker last said."""

    run: str
    kind: str
    pipeline: str
    state: str
    items: int
    reason: str | None
    done: int | None
    failed: int | None
    created_at: float
    created_by: str | None
    approved_by: str | None
    team: str | None


class BudgetGiven(Given):
    """A run's new budget."""

    budget: Annotated[float, Field(gt=0, le=1e9)] = Field(
        description="Most money in all, in the workspace's currency."
    )


class ApprovalGiven(Given):
    """What a second person agrees to."""

    amount: Annotated[float, Field(ge=0, le=1e9)] | None = Field(
        description="What the run may cost as its `reason` says, in the workspace's currency; "
        "null for an unknown amount. Another amount by now is a conflict."
    )


class ItemShown(Shown):
    """An item: its product, what was made of it, and how that went."""

    id: int
    key: str
    target: str
    state: str
    findings: int
    found: list[dict[str, Any]]
    cost: float | None
    latency: float | None
    error: dict[str, Any] | None
    values: dict[str, Any]
    product: dict[str, Any]


class TrialShown(StatusShown):
    """A trial: its run, and what it showed. Intervals are [value, low, high, cases]."""

    cost_per_product: float | None
    accuracy: list[dict[str, Any]]
    forecast: list[dict[str, Any]]
    comparison: dict[str, Any] | None
    sentences: list[str]
    report: str


class MarkGiven(Given):
    """What is said of a field; a corrected one has the right value."""

    verdict: Literal["right", "wrong", "corrected"]
    value: JsonValue = None


class MarkShown(Shown):
    """A mark on a field."""

    verdict: str
    made: Any
    value: Any
    by: str
    at: float


class TrialFieldShown(Shown):
    """A field of a card."""

    name: str
    type: str
    value: Any
    findings: list[str]
    limit: int | None
    choices: list[Any]
    mark: MarkShown | None


class TrialCardShown(Shown):
    """A finished item of a trial, to be marked."""

    item_id: int
    key: str
    target: str
    state: str
    source: dict[str, Any]
    more: dict[str, Any]
    fields: list[TrialFieldShown]
    error: str | None


class FieldScoreShown(Shown):
    """How many marks of a field are right, with a 95 % interval."""

    field: str
    right: int
    marked: int
    low: float
    high: float


class ScoreShown(Shown):
    """A trial's accuracy by its marks."""

    by_field: list[FieldScoreShown]
    overall: FieldScoreShown
    more_for_5_points: int


def filters(
    where: Annotated[
        Sql | None,
        Query(description="SQL over attributes and `_findings`, `_status`, `_target`, `_key`."),
    ] = None,
    states: Annotated[list[State] | None, Query(description="Only of these states.")] = None,
    rule: Annotated[Name | None, Query(description="With a finding of this check.")] = None,
    field: Annotated[Name | None, Query(description="With a finding about this field.")] = None,
    target: Annotated[TargetText | None, Query()] = None,
    text: Annotated[Name | None, Query(description="How the product's key begins.")] = None,
) -> ItemFilters:
    """Read the filters of a request's query."""
    return ItemFilters(
        where=where, states=states or (), rule=rule, field=field, target=target, text=text
    )


Filters = Annotated[ItemFilters, Depends(filters)]


@router.get("/runs")
async def list_runs(
    workspace: Acting,
    kind: Annotated[Literal["run", "trial"] | None, Query()] = None,
    state: Annotated[
        Literal["planning", "planned", "running", "paused", "done", "cancelled"] | None, Query()
    ] = None,
    cursor: Cursor = None,
    size: Size = 50,
) -> Listing[RunLine]:
    """Page through the runs, the newest first."""
    page = await runs_of(workspace, cursor=cursor, size=size, kind=kind, state=state)
    names = await team_names(workspace)
    return Listing[RunLine](
        next=page.next,
        rows=[
            RunLine(
                run=one.run.name, kind=one.run.kind, pipeline=one.run.pipeline, state=one.state,
                items=one.run.total, reason=one.reason, done=one.done, failed=one.failed,
                created_at=one.run.created_at, created_by=one.run.created_by,
                approved_by=one.run.approved_by, team=names.get(one.run.team_id),
            )
            for one in page.rows
        ],
    )  # fmt: skip


@router.get("/runs/{run}")
async def show_run(workspace: Acting, run: RunName) -> StatusShown:
    """Say how far a run is and what it cost."""
    return shown_status(await workspace.status(run))


@router.get(
    "/runs/{run}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {EVENT_STREAM: {"schema": EVENT_SCHEMA}}}},
)
async def follow_run(workspace: Acting, request: Request, run: RunName) -> Response:
    """Follow a run: a `status` event whenever something of it changes, until it stops."""
    found = await workspace.find_run(run)  # an unknown one is a 404 and no stream

    async def look() -> tuple[Any, bool]:
        status = await workspace.status(found.name)
        return shown_status(status).model_dump(mode="json"), status.state not in _AT_WORK

    return followed(request, "status", look)


@router.post("/runs/{run}/start", status_code=202)
async def begin_run(workspace: Acting, run: RunName) -> StatusShown:
    """Start a planned run, or one whose worker is gone."""
    return shown_status(await launching.start(workspace, run))


@router.post("/runs/{run}/pause", status_code=202)
async def pause_run(workspace: Acting, run: RunName) -> StatusShown:
    """Ask a run's worker to stop after the calls in flight."""
    return shown_status(await workspace.pause(run))


@router.post("/runs/{run}/resume", status_code=202)
async def resume_run(workspace: Acting, run: RunName) -> StatusShown:
    """Go on with a paused run; what was answered is not paid again."""
    return shown_status(await launching.resume(workspace, run))


@router.post("/runs/{run}/retry", status_code=202)
async def retry_run(workspace: Acting, run: RunName) -> StatusShown:
    """Try a run's failed items again."""
    return shown_status(await launching.resume(workspace, run, retry_failed=True))


@router.post("/runs/{run}/cancel", status_code=202)
async def cancel_run(workspace: Acting, run: RunName) -> StatusShown:
    """Stop a run for good; what is finished stays."""
    return shown_status(await workspace.cancel(run))


@router.post("/runs/{run}/approve", status_code=202)
async def approve_run(
    workspace: Acting, run: RunName, given: ApprovalGiven | None = None
) -> StatusShown:
    """Approve, as a second person, a run that may cost more than one may spend; it is started.

    Without the amount that the run's `reason` names, only one of an unknown amount is approved.
    """
    amount = None if given is None else given.amount
    return shown_status(await launching.approve_run(workspace, run, amount))


@router.put("/runs/{run}/budget")
async def set_budget(workspace: Acting, run: RunName, given: BudgetGiven) -> StatusShown:
    """Set a run's budget. A paused run goes on with `resume`."""
    return shown_status(await launching.set_budget(workspace, run, given.budget))


@router.get("/runs/{run}/items", response_model=Listing[ItemShown])
async def list_items(
    workspace: Acting, run: RunName, chosen: Filters, cursor: Cursor = None, size: Size = 50
) -> Any:
    """Page through a run's items in their order. A page may be short and have a next one."""
    return await Browse(workspace).items(run, cursor=cursor, size=size, **chosen)


@router.get("/runs/{run}/count")
async def count_items(workspace: Acting, run: RunName, chosen: Filters) -> Counted:
    """Count a run's items that the filters pick."""
    return Counted(count=await Browse(workspace).count_items(run, **chosen))


@router.get("/runs/{run}/export", response_class=FileResponse, responses=SENT)
async def export_run(
    workspace: Acting,
    run: RunName,
    format: Annotated[Format, Query()] = "xlsx",
    accepted: Annotated[bool, Query(description="Only what was accepted.")] = False,
    wide: Annotated[bool, Query(description="A row a product, else a row an item.")] = True,
) -> Response:
    """Export a run's items: the source's columns, what was made, its state."""
    found = await workspace.find_run(run)

    async def write(place: FilePath) -> Sequence[str]:
        done = await workspace.export(found.name, place, accepted=accepted, wide=wide)
        return list(done["notes"])

    return await attachment(f"{found.name}.{format}", write)


@router.get("/runs/{run}/report", response_class=HTMLResponse)
async def show_report(workspace: Acting, run: RunName) -> Response:
    """Give a run's report: one HTML file that needs no network."""
    found = await workspace.find_run(run)
    if found.state == "planning":
        raise Conflict(f"run {found.name} is still being planned; it has no report yet")
    html = await report_html(workspace, found)
    return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})


# Trials.


@trials.get("/trials/{run}")
async def show_trial(workspace: Acting, run: RunName) -> TrialShown:
    """Say what a trial showed: accuracy, forecast, comparison; empty until it is done."""
    await launching.begin_rival(workspace, await workspace.find_run(run))
    result = await kept_result(workspace, run)
    document = {**result.as_json(), "report": f"/v1/runs/{result.status.run}/report"}
    if document["output"] is not None:
        document["output"] = file_name(document["output"])
    return TrialShown.model_validate(document)


@trials.get("/trials/{run}/cards", response_model=list[TrialCardShown])
async def list_cards(
    workspace: Acting,
    run: RunName,
    after: Annotated[int, Query(ge=0, lt=2**62, description="The last card's item.")] = 0,
    size: Annotated[int, Query(ge=1, le=MOST_CARDS)] = 100,
) -> Any:
    """Give a trial's finished items as cards to be marked, in their order."""
    return await Marking(workspace).cards(run, after=after, size=size)


@trials.put("/trials/{run}/marks/{item}/{field}", response_model=ScoreShown)
async def set_mark(
    workspace: Acting, run: RunName, item: RowId, field: _FieldName, given: MarkGiven
) -> Any:
    """Mark a field right, wrong or corrected; give the accuracy that follows."""
    return await Marking(workspace).mark(run, item, field, given.verdict, given.value)


@trials.delete("/trials/{run}/marks/{item}/{field}", response_model=ScoreShown)
async def take_mark(workspace: Acting, run: RunName, item: RowId, field: _FieldName) -> Any:
    """Take a field's mark back; give the accuracy that follows."""
    return await Marking(workspace).unmark(run, item, field)


@trials.get("/trials/{run}/score", response_model=ScoreShown)
async def show_score(workspace: Acting, run: RunName) -> Any:
    """Give a trial's accuracy by its marks, and how many more bring it to ±5 points."""
    return await Marking(workspace).score(run)


@trials.get(
    "/trials/{run}/gold",
    response_class=Response,
    responses={200: {"content": {"application/jsonl": {"schema": {"type": "string"}}}}},
)
async def show_gold(workspace: Acting, run: RunName) -> Response:
    """Give a trial's marks as a gold file: a JSON line a product and target."""
    return Response(await Marking(workspace).gold(run), media_type="application/jsonl")


__all__ = ["Filters", "router", "trials"]

"""The routes about schedules: runs that begin by themselves, and what came of each slot."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, JsonValue

from waremill.app.options import TaskOptions
from waremill.app.scheduling import schedules
from waremill.app.scheduling.schedules import LONGEST_TRIAL, ScheduleView, SlotView, Wanted
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import (
    Cursor,
    Given,
    Listing,
    Name,
    SearchText,
    Shown,
    Size,
    Sql,
    TargetText,
    absolute,
    file_name,
)

router = APIRouter(prefix="/v1", tags=["schedules"])
_ScheduleName = Annotated[
    str,
    Path(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f/]+$",
         description="A schedule's name.", examples=["nightly"]),
]  # fmt: skip
Only = Literal["new", "changed", "empty"]
_Cron = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ScheduleGiven(Given):
    """What is to be run when."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f/]+$")]
    pipeline: Name = Field(description="A pipeline's or a single template's name.")
    cron: _Cron = Field(
        description="Minute, hour, day, month, weekday; or @daily.", examples=["0 3 * * *"]
    )
    timezone: Name | None = Field(
        None, description="As Asia/Shanghai (default: the server's).", examples=["UTC"]
    )
    budget: Annotated[float, Field(gt=0, le=1e9)] = Field(
        description="Most money a run, in the workspace's currency."
    )
    where: Sql | None = None
    search: SearchText | None = None
    order_by: Sql | None = None
    limit: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    catalog: Name | None = None
    targets: Annotated[list[TargetText], Field(max_length=200)] = Field(default_factory=list)
    params: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    model: Name | None = None
    mode: Literal["live", "batch"] = Field(
        "live", description="batch: through the vendor's batches, for half the price."
    )
    stale: bool = Field(
        False, description="Only products whose results by this pipeline are outdated."
    )
    engine: Literal["local", "ray"] = Field(
        "local", description="Worked by one process, or on a Ray cluster."
    )
    priority: Literal["high", "normal", "low"] = Field(
        "normal", description="Which of several runs draws on a model's limits first."
    )
    fresh: bool = Field(False, description="Ask anew, even what was answered before.")
    source: Name | None = Field(
        None, description="Import this source of waremill.toml before each run; for admins."
    )
    only: Annotated[list[Only], Field(max_length=3)] = Field(
        default_factory=list,
        description="Products new or changed since this schedule worked them, or with a field "
        "nobody filled; any of them.",
    )
    trial: Annotated[int, Field(ge=1, le=LONGEST_TRIAL)] | None = Field(
        None, description="Try so many products first."
    )
    accuracy: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="What the trial must reach; below, nothing is run."
    )
    gold_column: Name | None = Field(None, description="The column that holds right values.")
    overlap: Literal["skip", "queue"] = Field(
        "skip", description="When the earlier run is not over."
    )
    catch_up: Literal["once", "none"] = Field("once", description="After slots that nobody fired.")


class SlotShown(Shown):
    """A moment at which a schedule was due, and what came of it. Times are Unix seconds."""

    at: float
    cause: str = Field(description="cron, late (made up for) or person.")
    state: str = Field(
        description="due, queued, trial, run, skipped, missed, nothing, stopped or failed."
    )
    settled: bool
    reason: str | None
    missed: int
    run: str | None
    run_state: str | None
    trial: str | None
    imported: dict[str, int] | None
    by: str
    ended_at: float | None


class ScheduleShown(Shown):
    """A schedule with its newest slot; money is in `currency`."""

    name: str
    pipeline: str
    cron: str
    timezone: str
    state: str = Field(description="active, paused, over or removed.")
    next_at: float | None
    only: list[str]
    source: str | None
    options: dict[str, Any]
    budget: float
    currency: str
    trial: int | None
    accuracy: float | None
    overlap: str
    catch_up: str
    by: str
    created_at: float
    removed_at: float | None
    last: SlotShown | None


@router.get("/schedules")
async def list_schedules(
    workspace: Acting,
    removed: Annotated[bool, Query(description="Those that were removed.")] = False,
) -> list[ScheduleShown]:
    """List the schedules of one's teams."""
    return [_shown(one) for one in await schedules.list_schedules(workspace, removed=removed)]


@router.post("/schedules", status_code=201)
async def add_schedule(
    workspace: Acting, request: Request, response: Response, given: ScheduleGiven
) -> ScheduleShown:
    """Add a schedule; its runs are begun with one's own rights."""
    told = {one: getattr(given, one) for one in schedules.KEPT if one != "gold"}
    options = cast("TaskOptions", {**told, "gold": given.gold_column})
    made = await schedules.add(
        workspace,
        Wanted(
            given.name, given.pipeline, given.cron, given.budget, given.timezone, options,
            tuple(given.only), given.source, given.trial, given.accuracy, given.overlap,
            given.catch_up,
        ),
        column_only=True,
    )  # fmt: skip
    response.headers["Location"] = absolute(request, f"/v1/schedules/{quote(given.name)}")
    return _shown(made)


@router.get("/schedules/{schedule}")
async def show_schedule(workspace: Acting, schedule: _ScheduleName) -> ScheduleShown:
    """Show a schedule with its newest slot; one that was removed, where no other has its name."""
    return _shown(await schedules.show(workspace, schedule))


@router.delete("/schedules/{schedule}", status_code=204)
async def remove_schedule(workspace: Acting, schedule: _ScheduleName) -> None:
    """Remove a schedule; its history and the runs it started stay."""
    await schedules.remove(workspace, schedule)


@router.post("/schedules/{schedule}/pause")
async def pause_schedule(workspace: Acting, schedule: _ScheduleName) -> ScheduleShown:
    """Fire no further slot; a run at work goes on."""
    return _shown(await schedules.pause(workspace, schedule))


@router.post("/schedules/{schedule}/resume")
async def resume_schedule(workspace: Acting, schedule: _ScheduleName) -> ScheduleShown:
    """Fire slots again, from the next one on."""
    return _shown(await schedules.resume(workspace, schedule))


@router.post("/schedules/{schedule}/run", status_code=202)
async def run_schedule(workspace: Acting, schedule: _ScheduleName) -> SlotShown:
    """Fire a slot now; its run begins within seconds, and the history says what came of it."""
    slot = await schedules.run_now(workspace, schedule)
    return _slot(SlotView(slot))


@router.get("/schedules/{schedule}/slots")
async def list_slots(
    workspace: Acting, schedule: _ScheduleName, cursor: Cursor = None, size: Size = 50
) -> Listing[SlotShown]:
    """Page through a schedule's slots with what came of each, newest first."""
    page = await schedules.history(workspace, schedule, cursor=cursor, size=size)
    return Listing(rows=[_slot(one) for one in page.rows], next=page.next)


def _shown(found: ScheduleView) -> ScheduleShown:
    document = found.as_json()
    if document["options"]["gold"]:  # a file is named, without the server's folder
        document["options"]["gold"] = file_name(document["options"]["gold"])
    return ScheduleShown.model_validate(document)


def _slot(found: SlotView) -> SlotShown:
    return SlotShown.model_validate(found.as_json())


__all__ = ["router"]

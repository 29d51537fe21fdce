"""The routes of the review desk: the next item, verdicts on one and on many, lots."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, JsonValue
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from waremill.app.reviewing import REASONS, Card, ItemFilters, ReviewDesk
from waremill.app.roundtrip import export_for_review, import_reviews
from waremill.app.uploading import Uploads
from waremill.web.rest.acting import Acting
from waremill.web.rest.runs import State
from waremill.web.rest.shapes import (
    Counted,
    FindingShown,
    Given,
    Name,
    RowId,
    RunName,
    Shown,
    Sql,
    TargetText,
    absolute,
)

router = APIRouter(prefix="/v1", tags=["reviews"])

SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Reason = Literal["wrong-fact", "invented", "language", "style", "too-long", "forbidden", "other"]
assert set(REASONS) == set(get_args(Reason))
_Version = Annotated[int, Field(ge=0, lt=2**62, description="As the card says.")]
_Note = Annotated[str, Field(max_length=2000)]
_Holder = Annotated[
    str | None, Field(max_length=100, description="Tells two desks of one person apart.")
]
_HolderAsked = Annotated[
    str | None, Query(max_length=100, description="Tells two desks of one person apart.")
]


class FiltersGiven(Given):
    """Which items are meant; without `states` the ones that wait for a verdict."""

    where: Sql | None = Field(
        default=None,
        description="SQL over attributes and `_findings`, `_status`, `_target`, `_key`.",
    )
    states: Annotated[list[State], Field(max_length=7)] = Field(default_factory=list)
    rule: Name | None = Field(default=None, description="With a finding of this check.")
    field: Name | None = Field(default=None, description="With a finding about this field.")
    target: TargetText | None = None
    text: Name | None = Field(
        default=None, description="Stands in the key or in a generated value."
    )

    def chosen(self) -> ItemFilters:
        """Give the filters as the desk takes them."""
        return ItemFilters(
            where=self.where, states=tuple(self.states), rule=self.rule, field=self.field,
            target=self.target, text=self.text,
        )  # fmt: skip


class NextGiven(Given):
    """What the next item must be."""

    filters: FiltersGiven = FiltersGiven()
    skip: Annotated[list[Annotated[int, Field(ge=1, lt=2**62)]], Field(max_length=5000)] = Field(
        default_factory=list, description="Items not to be given."
    )
    near: Annotated[int, Field(ge=1, lt=2**62)] | None = Field(
        None, description="The item before: those like it come first."
    )
    holder: _Holder = None


class VerdictGiven(Given):
    """A verdict on an item as a card showed it.

    `reject` has a reason; `edit` has values by the card's field names, which it accepts.
    """

    verdict: Literal["accept", "reject", "edit"]
    version: _Version
    reason: Reason | None = None
    note: _Note | None = None
    fields: Annotated[list[Name], Field(max_length=100)] | None = Field(
        None, description="With `reject`: which fields are wrong."
    )
    values: Annotated[dict[str, JsonValue], Field(max_length=100)] | None = Field(
        None, description="With `edit`: the new values."
    )


class ManyGiven(Given):
    """A verdict on all items that match and wait; `expected` is the count that was confirmed."""

    filters: FiltersGiven = FiltersGiven()
    expected: Annotated[int, Field(ge=0, lt=2**62)]


class ManyRejected(ManyGiven):
    """A rejection of all items that match and wait."""

    reason: Reason
    note: _Note | None = None


class RuleGiven(Given):
    """A rule that accepts: SQL over attributes and `_findings`."""

    where: Annotated[Sql, Field(min_length=1, examples=["_findings = 0"])]


class LotGiven(Given):
    """A lot to be judged by a random sample: so sure of at most that share of bad ones."""

    filters: FiltersGiven = FiltersGiven()
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    most_bad: Annotated[float, Field(gt=0, lt=1)] = 0.01
    allowed: Annotated[int, Field(ge=0, le=1000)] = 0


class LookedGiven(Given):
    """What is said of a sampled item."""

    good: bool
    version: _Version | None = None
    reason: Reason = "other"
    note: _Note | None = None


class DecisionGiven(Given):
    """What becomes of a lot's rest."""

    accept: bool


class SpanShown(Shown):
    """A marked piece of a value, in characters; `element` is the place in a list."""

    start: int
    end: int
    rule: str
    message: str
    severity: str
    element: int | None


class CardFieldShown(Shown):
    """A field to be judged; `previous` is the live value before, `sources` what it stands on."""

    name: str
    type: str
    value: Any
    previous: Any
    findings: list[FindingShown]
    spans: list[SpanShown]
    sources: list[str]
    result_id: int | None
    limit: int | None
    choices: list[str]
    origin: str
    by: str | None


class SaidShown(Shown):
    """What somebody, or a rule, said of an item."""

    at: float
    by: str | None
    verdict: str
    reason: str | None
    note: str | None
    fields: list[str]
    rule: str | None


class CardShown(Shown):
    """An item to be judged; `version` is to be handed back with a verdict."""

    item_id: int
    run: str
    key: str
    target: str
    state: str
    version: int
    source: dict[str, Any]
    used: list[str]
    fields: list[CardFieldShown]
    findings: list[FindingShown]
    provenance: dict[str, dict[str, Any]]
    history: list[SaidShown]
    taken_over: bool
    error: str | None
    holder: str | None


class SimilarShown(Shown):
    """An item like another; `likeness` is from 0 to 1, null where only the group is the same."""

    item_id: int
    key: str
    target: str
    state: str
    version: int
    likeness: float | None
    values: dict[str, Any]


class LotShown(Shown):
    """A lot: of `size` items `sample` were drawn, of which `allowed` may be bad."""

    id: int
    run: str
    size: int
    sample: int
    allowed: int
    confidence: float
    most_bad: float
    state: str
    looked: int
    bad: int
    statement: str
    filters: dict[str, Any]
    by: str
    created_at: float
    decided_by: str | None
    decided_at: float | None


class SheetGiven(Given):
    """A review sheet that came back."""

    upload: Annotated[str, Field(max_length=64, description="An upload's id.")]


class ConflictShown(Shown):
    """A field that the sheet and somebody else changed; `field` is empty for the verdict."""

    row: int
    key: str
    target: str
    field: str
    yours: Any
    theirs: Any
    who: str


class SheetProblem(Shown):
    """A row, or one field of it, that could not be taken."""

    row: int
    key: str
    field: str
    message: str


class RoundTripShown(Shown):
    """What a sheet changed."""

    accepted: int
    rejected: int
    edited: int
    unchanged: int
    conflicts: list[ConflictShown]
    problems: list[SheetProblem]
    more: int


def _no_more() -> Response:
    return Response(status_code=204)


@router.post(
    "/runs/{run}/reviews/next",
    response_model=CardShown,
    responses={204: {"description": "No item waits that is not in somebody else's hands."}},
)
async def next_item(workspace: Acting, run: RunName, given: NextGiven) -> Card | Response:
    """Take the next item that waits: it is nobody else's for two minutes."""
    card = await ReviewDesk(workspace).next(
        run, filters=given.filters.chosen(), skip=given.skip, near=given.near, holder=given.holder
    )
    return card or _no_more()


@router.get("/runs/{run}/items/{item}", response_model=CardShown)
async def show_item(
    workspace: Acting, run: RunName, item: RowId, holder: _HolderAsked = None
) -> Any:
    """Show an item with all that a verdict needs."""
    return await ReviewDesk(workspace).card(run, item, holder=holder)


@router.post("/runs/{run}/items/{item}/verdict", response_model=CardShown)
async def judge_item(workspace: Acting, run: RunName, item: RowId, given: VerdictGiven) -> Any:
    """Accept, reject or edit an item; 409 says who changed what in the meantime."""
    desk = ReviewDesk(workspace)
    if given.verdict == "accept":
        return await desk.accept(run, item, given.version)
    if given.verdict == "edit":
        return await desk.edit(run, item, given.version, given.values or {})
    return await desk.reject(
        run, item, given.version, given.reason or "other", given.note, given.fields
    )


@router.post("/runs/{run}/items/{item}/undo", response_model=CardShown)
async def undo_verdict(workspace: Acting, run: RunName, item: RowId) -> Any:
    """Take back one's own last verdict on an item."""
    return await ReviewDesk(workspace).undo(run, item)


@router.post("/runs/{run}/items/{item}/release", status_code=204)
async def release_item(
    workspace: Acting, run: RunName, item: RowId, holder: _HolderAsked = None
) -> None:
    """Give an item back that one has in hand."""
    await ReviewDesk(workspace).release(run, item, holder=holder)


@router.get("/runs/{run}/items/{item}/similar", response_model=list[SimilarShown])
async def list_similar(
    workspace: Acting, run: RunName, item: RowId, size: Annotated[int, Query(ge=1, le=200)] = 20
) -> Any:
    """Give items of the run that are like one: near-duplicates, then those of its group."""
    return await ReviewDesk(workspace).similar(run, item, size)


@router.post("/runs/{run}/reviews/count")
async def count_waiting(workspace: Acting, run: RunName, given: FiltersGiven) -> Counted:
    """Count the items that match and wait: what accepting all would accept."""
    return Counted(count=await ReviewDesk(workspace).count(run, given.chosen()))


@router.post("/runs/{run}/reviews/accept-all")
async def accept_all(workspace: Acting, run: RunName, given: ManyGiven) -> Counted:
    """Accept all items that match and wait; 409 when they are not as many as expected."""
    desk = ReviewDesk(workspace)
    return Counted(count=await desk.accept_all(run, given.filters.chosen(), given.expected))


@router.post("/runs/{run}/reviews/reject-all")
async def reject_all(workspace: Acting, run: RunName, given: ManyRejected) -> Counted:
    """Reject all items that match and wait; 409 when they are not as many as expected."""
    count = await ReviewDesk(workspace).reject_all(
        run, given.filters.chosen(), given.expected, given.reason, given.note
    )
    return Counted(count=count)


@router.post("/runs/{run}/reviews/accept-where")
async def accept_where(workspace: Acting, run: RunName, given: RuleGiven) -> Counted:
    """Accept by a rule; the reviews name it."""
    return Counted(count=await workspace.accept(run, given.where))


# There and back in Excel.


@router.post(
    "/runs/{run}/review-sheet",
    response_class=FileResponse,
    responses={
        200: {
            "content": {SHEET: {"schema": {"type": "string"}}},
            "description": "The sheet, as an attachment.",
        }
    },
)
async def export_reviews(workspace: Acting, run: RunName, given: FiltersGiven) -> Response:
    """Write the items that match to an Excel sheet, with drop-downs for the verdict."""
    found = await workspace.find_run(run)
    folder = FilePath(await asyncio.to_thread(tempfile.mkdtemp, prefix="waremill-review-"))
    try:
        place = folder / f"review-{found.name}.xlsx"
        await export_for_review(workspace, found.name, place, given.chosen())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        place, filename=place.name, media_type=SHEET,
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )  # fmt: skip


@router.post("/runs/{run}/review-sheet/import", response_model=RoundTripShown)
async def take_reviews(workspace: Acting, run: RunName, given: SheetGiven) -> Any:
    """Take the verdicts and edited cells of a sheet back; conflicts are told by row and field."""
    upload = Uploads(workspace).find(given.upload)
    return await import_reviews(workspace, run, upload.path)


# Lots.


@router.get("/runs/{run}/lots", response_model=list[LotShown])
async def list_lots(workspace: Acting, run: RunName) -> Any:
    """List a run's lots, the newest first."""
    return await ReviewDesk(workspace).lots(run)


@router.post("/runs/{run}/lots", status_code=201, response_model=LotShown)
async def open_lot(
    workspace: Acting, request: Request, response: Response, run: RunName, given: LotGiven
) -> Any:
    """Make a lot of what matches and waits, and draw its sample."""
    lot = await ReviewDesk(workspace).open_lot(
        run, given.filters.chosen(), confidence=given.confidence, most_bad=given.most_bad,
        allowed=given.allowed,
    )  # fmt: skip
    response.headers["Location"] = absolute(request, f"/v1/lots/{lot.id}")
    return lot


@router.get("/lots/{lot}", response_model=LotShown)
async def show_lot(workspace: Acting, lot: RowId) -> Any:
    """Show a lot."""
    return await ReviewDesk(workspace).lot(lot)


@router.post(
    "/lots/{lot}/next",
    response_model=CardShown,
    responses={204: {"description": "The whole sample was looked at, or is in other hands."}},
)
async def next_of_lot(
    workspace: Acting, lot: RowId, holder: _HolderAsked = None
) -> Card | Response:
    """Take the next item of a lot's sample."""
    card = await ReviewDesk(workspace).lot_next(lot, holder=holder)
    return card or _no_more()


@router.post("/lots/{lot}/items/{item}", response_model=LotShown)
async def judge_sampled(workspace: Acting, lot: RowId, item: RowId, given: LookedGiven) -> Any:
    """Say whether a sampled item is good, which accepts it, or bad."""
    return await ReviewDesk(workspace).judge(
        lot, item, given.good, version=given.version, reason=given.reason, note=given.note
    )


@router.post("/lots/{lot}/decision", response_model=LotShown)
async def decide_lot(workspace: Acting, lot: RowId, given: DecisionGiven) -> Any:
    """Accept a lot's rest on the strength of its sample, or leave it in review."""
    return await ReviewDesk(workspace).decide_lot(lot, given.accept)

"""The routes about what was: changes of values, taking them back, how they came about, spend."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query, Response
from pydantic import Field

from waremill.app import history
from waremill.app.spending import BY, as_csv, spending
from waremill.app.status import money
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import (
    CatalogName,
    Counted,
    FindingShown,
    Given,
    Name,
    ProductKey,
    RowId,
    RunName,
    Shown,
    TargetText,
)

router = APIRouter(prefix="/v1", tags=["spend"])
changes = APIRouter(prefix="/v1", tags=["history"])

By = Literal["model", "run", "user", "target", "month", "team"]
assert set(BY) == set(get_args(By))
_By = Annotated[By, Query(description="What the sums are by.")]
_Day = Annotated[date | None, Query(description="A day (UTC), included.")]


class SpentShown(Shown):
    """What calls came to; money is in `currency`, without the `unpriced` ones."""

    name: str
    calls: int
    failed: int
    tokens_in: int
    tokens_out: int
    paid: float
    list_cost: float
    unpriced: int
    currency: str


@router.get("/spend", response_model=list[SpentShown])
async def show_spend(
    workspace: Acting, by: _By = "model", since: _Day = None, until: _Day = None
) -> Any:
    """Sum what was paid, by model, run, user, target, month or team."""
    return await spending(workspace, by=by, since=since, until=until)


@router.get(
    "/spend.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def export_spend(
    workspace: Acting, by: _By = "model", since: _Day = None, until: _Day = None
) -> Response:
    """Give the same sums as a CSV file for Excel."""
    text = as_csv(await spending(workspace, by=by, since=since, until=until), by)
    name = f'attachment; filename="spend-by-{by}.csv"'
    return Response(
        text, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name}
    )


class ChangeShown(Shown):
    """A field that got another value. `result_id` can be reverted to."""

    at: float
    by: str | None
    run: str
    template: str | None
    version: str | None
    model: str | None
    field: str
    target: str
    old: Any
    new: Any
    result_id: int | None
    origin: str = Field(description="model, human or revert.")
    step: str
    item_id: int


class RevertGiven(Given):
    """Which value a field gets back."""

    key: Annotated[str, Field(min_length=1, max_length=2000, description="The product's key.")]
    field: Name
    target: Annotated[str, Field(max_length=100)] = Field(
        default="", description="The change's; empty for what is made once a product."
    )
    result_id: Annotated[int, Field(ge=1, lt=2**62)]


class MessageShown(Shown):
    """A message of a prompt; pictures are named, not shown."""

    role: str
    text: str


class AnswerShown(Shown):
    """A reply, verbatim."""

    hash: str
    model: str
    reported_model: str
    outcome: str
    text: str
    at: float
    cost: float | None


class MakingShown(Shown):
    """How a result came about; `exact` says that `messages` are what was sent, to the letter."""

    result_id: int
    at: float
    by: str | None
    origin: str
    run: str
    step: str
    values: dict[str, Any]
    provenance: dict[str, Any]
    findings: list[FindingShown]
    template_text: str | None
    messages: list[MessageShown]
    exact: bool
    answers: list[AnswerShown]
    currency: str


@changes.get("/catalogs/{catalog}/changes/{key:path}", response_model=list[ChangeShown])
async def list_changes(
    workspace: Acting,
    catalog: CatalogName,
    key: ProductKey,
    target: Annotated[TargetText | None, Query()] = None,
    field: Annotated[Name | None, Query(description="Only this field's.")] = None,
) -> Any:
    """Give every change of a product's values, the newest first."""
    return await history.changes(workspace, catalog, key, target=target, field=field)


@changes.post("/catalogs/{catalog}/revert", response_model=ChangeShown)
async def revert_field(workspace: Acting, catalog: CatalogName, given: RevertGiven) -> Any:
    """Give a field the value again that a result made."""
    return await history.revert_field(
        workspace, catalog, given.key, given.target, given.field, given.result_id
    )


@changes.post("/runs/{run}/revert")
async def revert_run(workspace: Acting, run: RunName) -> Counted:
    """Take back all a run made: fields get back what they had before."""
    return Counted(count=await history.revert_run(workspace, run))


@changes.get("/results/{result}")
async def show_result(workspace: Acting, result: RowId) -> MakingShown:
    """Say how a result came about: template, prompt, model, replies; or which person wrote it."""
    made = await history.made_how(workspace, result)
    settings = workspace.settings
    return MakingShown(
        result_id=made.result_id, at=made.at, by=made.by, origin=made.origin, run=made.run,
        step=made.step, values=dict(made.values), provenance=dict(made.provenance),
        findings=[FindingShown.model_validate(one) for one in made.findings],
        template_text=made.template_text, exact=made.exact, currency=settings.currency,
        messages=[
            MessageShown(role=one.role, text=_text(one.content)) for one in made.messages
        ],
        answers=[
            AnswerShown(
                hash=one.hash, model=one.model, reported_model=one.reported_model,
                outcome=one.outcome, text=one.text, at=one.at,
                cost=money(one.cost, settings.per_usd),
            )
            for one in made.answers
        ],
    )  # fmt: skip


def _text(content: str | tuple[Any, ...]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part if isinstance(part, str) else "[picture]" for part in content)

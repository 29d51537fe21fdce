"""The routes about what a run made of shoppers' questions: answers by category, open questions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from waremill.app.faqs import Entry, Open, gather
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import RunName, Shown

router = APIRouter(prefix="/v1", tags=["runs"])
_Most = Annotated[int, Query(ge=1, le=10_000, description="The most rows, from the first on.")]


class EntryShown(Shown):
    """An answer, and the products of a category it holds for."""

    field: str
    target: str
    language: str
    category: str
    scope: Literal["category", "products", "product"] = Field(
        description="Whether it holds for all products of the category, for several, or for one."
    )
    question: str
    answer: str
    sources: list[dict[str, Any]]
    products: int
    of: int = Field(description="How many products of the category the run worked.")
    keys: list[str] = Field(description="Their keys, the first thousand.")
    also_asked: list[str]


class OpenShown(Shown):
    """A question that nothing answers, and for how many products."""

    field: str
    target: str
    language: str
    category: str
    question: str
    products: int
    of: int = Field(description="How many products of the category the run worked.")
    asked: int = Field(description="How often shoppers asked it.")
    keys: list[str] = Field(description="Their keys, the first thousand.")
    reasons: dict[str, int] = Field(description="Why no answer was kept, and how often.")
    also_asked: list[str]


class EntriesShown(Shown):
    """The first answers of a run, those that say the same once."""

    run: str
    pipeline: str
    total: int
    rows: list[EntryShown]
    notes: list[str]


class UnansweredShown(Shown):
    """The first open questions of a run, those of most products first in each category."""

    run: str
    pipeline: str
    total: int
    rows: list[OpenShown]
    notes: list[str]


@router.get("/runs/{run}/faq")
async def list_entries(
    workspace: Acting,
    run: RunName,
    accepted: Annotated[bool, Query(description="Only of items that were accepted.")] = False,
    limit: _Most = 100,
) -> EntriesShown:
    """Give a run's answers by category, those that say the same for several products once."""
    with await gather(workspace, run, Entry, accepted=accepted) as faq:
        rows = [EntryShown.model_validate(one) for one in await faq.first(limit)]
        return EntriesShown(
            run=faq.run, pipeline=faq.pipeline, total=faq.total, rows=rows, notes=list(faq.notes)
        )


@router.get("/runs/{run}/faq/unanswered")
async def list_unanswered(workspace: Acting, run: RunName, limit: _Most = 100) -> UnansweredShown:
    """Give the questions of a run that nothing answers."""
    with await gather(workspace, run, Open) as faq:
        rows = [OpenShown.model_validate(one) for one in await faq.first(limit)]
        return UnansweredShown(
            run=faq.run, pipeline=faq.pipeline, total=faq.total, rows=rows, notes=list(faq.notes)
        )

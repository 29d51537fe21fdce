"""The routes about owners: whose the templates, pipelines, models and channels are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from waremill.app.owning import Kind, Owners
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import Given, Shown

router = APIRouter(prefix="/v1", tags=["people"])

_Kind = Annotated[
    Kind, Path(description="template, pipeline, model or channel.", examples=["template"])
]
_Name = Annotated[
    str,
    Path(
        min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$",
        description="The name it is used by.", examples=["copy"],
    ),
]  # fmt: skip


class OwnerShown(Shown):
    """A template, pipeline, model or channel, and whose it is."""

    kind: Kind
    name: str
    team: str | None = Field(description="The team it belongs to; null where it is everybody's.")


class OwnerGiven(Given):
    """Who gets it."""

    team: Annotated[
        str, Field(min_length=1, max_length=64, description="A team's name.", examples=["main"])
    ]


@router.get("/owners", response_model=list[OwnerShown])
async def list_owners(workspace: Acting) -> Any:
    """List the templates, pipelines, models and channels one may know of, and whose they are."""
    return await Owners(workspace).list()


@router.get("/owners/{kind}/{name:path}", response_model=OwnerShown)
async def show_owner(workspace: Acting, kind: _Kind, name: _Name) -> Any:
    """Say whose a template, pipeline, model or channel is."""
    return await Owners(workspace).find(kind, name)


@router.put("/owners/{kind}/{name:path}", response_model=OwnerShown)
async def give_to_team(workspace: Acting, kind: _Kind, name: _Name, given: OwnerGiven) -> Any:
    """Give a template, pipeline, model or channel to a team; it is not there for others then."""
    return await Owners(workspace).give(kind, name, given.team)


@router.delete("/owners/{kind}/{name:path}", response_model=OwnerShown)
async def give_to_everybody(workspace: Acting, kind: _Kind, name: _Name) -> Any:
    """Give a template, pipeline, model or channel to everybody."""
    return await Owners(workspace).give(kind, name, None)

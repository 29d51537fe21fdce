"""The routes of publishing: channels, a run to a channel, what was published, and back again.

A request names a channel of the settings; no file and no database's address ever comes in.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field

from waremill.app import publishing
from waremill.app.publishing import PublicationShown as Publication
from waremill.app.publishing import PublishOptions
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import (
    Cursor,
    Given,
    Listing,
    Name,
    RunName,
    Shown,
    Size,
    TargetText,
    file_name,
)

router = APIRouter(prefix="/v1", tags=["publishing"])

_Publication = Annotated[
    str,
    Path(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9-]+$",
         description="A publication's name, a unique beginning of one, or `last`."),
]  # fmt: skip


class ChannelShown(Shown):
    """A channel of the settings; never its database's address."""

    name: str
    format: str
    mapping: str
    targets: list[str] = Field(description="Its targets; none: all of the run.")
    staged: bool
    open_at_refused: float | None = Field(
        description="Share of refused rows up to which the next stage follows at once."
    )
    lacks: str | None = Field(description="The variable that should hold its database's address.")


class RefusalShown(Shown):
    """A value the channel would not take, and where it would stand."""

    key: str
    target: str | None
    field: str
    message: str
    place: str | None


class FileShown(Shown):
    """What was written; `path` is the file's name alone, null for a database."""

    target: str | None
    path: str | None
    rows: int | None


class PublicationShown(Shown):
    """A publication: counts of rows and fields, refusals, files."""

    publication: str | None = Field(description="Null for a dry run, which leaves none.")
    run: str
    channel: str
    format: str
    stage: str
    state: str
    rolls_back: str | None
    by: str
    created_at: float | None
    ended_at: float | None
    reason: str | None
    rows: dict[str, int]
    fields: dict[str, dict[str, int]]
    later: int = Field(description="Accepted rows of later stages.")
    left_out: dict[str, int] = Field(description="Items that are not accepted, by state.")
    refused_for: dict[str, int]
    refusals: list[RefusalShown] = Field(description="The first 200.")
    notes: list[str]
    files: list[FileShown]


class PublicationGiven(Given):
    """Where a run is published to, and how much of it."""

    channel: Name
    stage: Annotated[str, Field(max_length=10)] | None = Field(
        None, description="1%, 10% or all; each opens the next.", examples=["1%"]
    )
    targets: list[TargetText] = Field([], max_length=200, description="Default: the channel's.")
    dry_run: bool = Field(False, description="Say what would change, and write nothing.")


class PublishedShown(Shown):
    """The publications that were made, one a stage."""

    publications: list[PublicationShown]


@router.get("/publish/channels", response_model=list[ChannelShown])
async def list_channels(workspace: Acting) -> Any:
    """List the channels that can be published to."""
    return publishing.list_channels(workspace)


@router.post("/runs/{run}/publications")
async def publish_run(workspace: Acting, run: RunName, given: PublicationGiven) -> PublishedShown:
    """Publish a run's accepted items to a channel; only what differs from what is live is new."""
    options = PublishOptions((), given.stage, given.dry_run, tuple(given.targets))
    made = await publishing.publish(workspace, run, given.channel, options)
    return PublishedShown(publications=[_shown(one) for one in made])


@router.get("/publications")
async def list_publications(
    workspace: Acting,
    cursor: Cursor = None,
    size: Size = 50,
    channel: Annotated[str | None, Query(max_length=200)] = None,
    run: Annotated[str | None, Query(max_length=80)] = None,
) -> Listing[PublicationShown]:
    """List what was published, the newest first."""
    page = await publishing.list_publications(
        workspace, cursor=cursor, size=size, channel=channel, run=run
    )
    return Listing(rows=[_shown(one) for one in page.rows], next=page.next)


@router.get("/publications/{publication}")
async def show_publication(workspace: Acting, publication: _Publication) -> PublicationShown:
    """Show a publication."""
    return _shown(await publishing.show_publication(workspace, publication))


@router.post("/publications/{publication}/rollback")
async def roll_back(workspace: Acting, publication: _Publication) -> PublicationShown:
    """Publish again what a publication replaced; what was published after it stays."""
    return _shown(await publishing.roll_back(workspace, publication))


def _shown(one: Publication) -> PublicationShown:
    values = asdict(one)
    for file in values["files"]:
        file["path"] = None if file["path"] is None else file_name(file["path"])
    return PublicationShown(**values)


__all__ = ["router"]

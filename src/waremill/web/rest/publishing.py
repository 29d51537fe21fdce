"""The routes of publishing: channels, a run to a channel, what was published, and back again.

A request names a channel of the settings; no file and no database's address ever comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from starlette.responses import FileResponse, StreamingResponse

from waremill.app import publishing
from waremill.app.publishing import PublicationShown, PublishOptions, RefusalShown
from waremill.web.rest.acting import Acting
from waremill.web.rest.attachments import SENT, Format, attachment
from waremill.web.rest.shapes import (
    Cursor,
    Given,
    Listing,
    Name,
    RunName,
    Shown,
    Size,
    TargetText,
    absolute,
    file_name,
    team_names,
)
from waremill.web.rest.streaming import EVENT_SCHEMA, EVENT_STREAM, followed

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
    team: str | None = Field(description="The team it belongs to; null where it is everybody's.")


class PublicationGiven(Given):
    """Where a run is published to, and how much of it."""

    channel: Name
    stage: Annotated[str, Field(max_length=10)] | None = Field(
        None, description="1%, 10% or all; each opens the next.", examples=["1%"]
    )
    targets: list[TargetText] = Field([], max_length=200, description="Default: the channel's.")
    dry_run: bool = Field(False, description="Say what would change, and write nothing.")


class PublishedShown(Shown):
    """The publication that was begun, or what a dry run found."""

    publications: list[PublicationShown]


@router.get("/publish/channels")
async def list_channels(workspace: Acting) -> list[ChannelShown]:
    """List the channels that can be published to."""
    names = await team_names(workspace)
    return [
        ChannelShown.model_validate({**asdict(one), "team": names.get(one.team or 0)})
        for one in await publishing.list_channels(workspace)
    ]


@router.post(
    "/runs/{run}/publications", status_code=202, response_model=PublishedShown,
    responses={200: {"model": PublishedShown, "description": "What a dry run found."}},
)  # fmt: skip
async def publish_run(
    workspace: Acting, request: Request, response: Response, run: RunName, given: PublicationGiven
) -> Any:
    """Publish a run's accepted items to a channel; only what differs from what is live is new.

    It is accepted at once, and goes on whether or not the client stays: the publication, at
    `Location`, says how far it is, and in the end what came of it. The stages that follow by
    themselves are publications of their own. A dry run is answered when it is done, with 200.
    """
    options = PublishOptions((), given.stage, given.dry_run, tuple(given.targets))
    if given.dry_run:
        response.status_code = 200
        made = await publishing.publish(workspace, run, given.channel, options)
        return PublishedShown(publications=[_shown(one) for one in made])
    begun = await publishing.begin(workspace, run, given.channel, options)
    _located(request, response, begun)
    return PublishedShown(publications=[_shown(begun)])


@router.get("/runs/{run}/refusals", response_class=FileResponse, responses=SENT)
async def export_what_is_refused(
    workspace: Acting,
    run: RunName,
    channel: Annotated[Name, Query(description="The channel.")],
    stage: Annotated[str | None, Query(max_length=10, description="1%, 10% or all.")] = None,
    target: Annotated[list[TargetText] | None, Query(description="Default: the channel's.")] = None,
    format: Annotated[Format, Query()] = "csv",
) -> Response:
    """Give all that a channel would refuse of a run as a file: a dry run of its own."""
    found = await workspace.find_run(run, "operator")

    async def write(place: FilePath) -> Sequence[str]:
        options = PublishOptions(
            stage=stage, dry_run=True, targets=tuple(target or ()), refusals=str(place)
        )
        await publishing.publish(workspace, found.name, channel, options)
        return ()

    return await attachment(f"{found.name}-{channel}-refusals.{format}", write)


@router.get("/publications", response_model=Listing[PublicationShown])
async def list_publications(
    workspace: Acting,
    cursor: Cursor = None,
    size: Size = 50,
    channel: Annotated[str | None, Query(max_length=200)] = None,
    run: Annotated[str | None, Query(max_length=80)] = None,
) -> Any:
    """List what was published, the newest first."""
    page = await publishing.list_publications(
        workspace, cursor=cursor, size=size, channel=channel, run=run
    )
    return Listing[PublicationShown](rows=[_shown(one) for one in page.rows], next=page.next)


@router.get("/publications/{publication}", response_model=PublicationShown)
async def show_publication(workspace: Acting, publication: _Publication) -> Any:
    """Show a publication: how far it is, or what came of it."""
    return _shown(await publishing.show_publication(workspace, publication))


@router.get(
    "/publications/{publication}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {EVENT_STREAM: {"schema": EVENT_SCHEMA}}}},
)
async def follow_publication(
    workspace: Acting, request: Request, publication: _Publication
) -> Response:
    """Follow a publication: a `publication` event whenever something of it changes, to its end."""
    name = str((await publishing.show_publication(workspace, publication)).publication)

    async def look() -> tuple[Any, bool]:
        now = await publishing.show_publication(workspace, name)
        return asdict(_shown(now)), now.ended

    return followed(request, "publication", look)


@router.get("/publications/{publication}/refusals", response_model=Listing[RefusalShown])
async def list_refusals(
    workspace: Acting, publication: _Publication, cursor: Cursor = None, size: Size = 50
) -> Any:
    """Page through all that a publication refused; kept for a channel's last ten publications."""
    return await publishing.list_refusals(workspace, publication, cursor=cursor, size=size)


@router.get(
    "/publications/{publication}/refusals/export", response_class=FileResponse, responses=SENT
)
async def export_refusals(
    workspace: Acting, publication: _Publication, format: Annotated[Format, Query()] = "csv"
) -> Response:
    """Give all that a publication refused as a file."""
    name = (await publishing.show_publication(workspace, publication)).publication

    async def write(place: FilePath) -> Sequence[str]:
        return (await publishing.export_refusals(workspace, str(name), place)).notes

    return await attachment(f"{name}-refusals.{format}", write)


@router.get("/publications/{publication}/file", response_class=FileResponse, responses=SENT)
async def download_file(
    workspace: Acting,
    publication: _Publication,
    target: Annotated[TargetText | None, Query(description="Needed where there are several.")] = (
        None
    ),
) -> Response:
    """Give the file a publication wrote, byte for byte; 409 once another one is in its place.

    A feed holds all that is live in its channel. So it is given to who sees every team that
    published to it; a channel that belongs to one team has no others.
    """
    file = await publishing.find_file(workspace, publication, target)

    async def write(place: FilePath) -> Sequence[str]:
        await publishing.copy_file(workspace, file, place)
        return ()

    return await attachment(file_name(str(file.path)), write)


@router.post(
    "/publications/{publication}/rollback", status_code=202, response_model=PublicationShown
)
async def roll_back(
    workspace: Acting, request: Request, response: Response, publication: _Publication
) -> Any:
    """Publish again what a publication replaced; what was published after it stays.

    The rollback is a publication itself, at `Location`, and says what comes of it.
    """
    begun = await publishing.begin_rollback(workspace, publication)
    _located(request, response, begun)
    return _shown(begun)


def _located(request: Request, response: Response, one: PublicationShown) -> None:
    response.headers["Location"] = absolute(request, f"/v1/publications/{one.publication}")


def _shown(one: PublicationShown) -> PublicationShown:
    """Give a publication without the server's folders."""
    files = (
        file if file.path is None else replace(file, path=file_name(file.path))
        for file in one.files
    )
    return replace(one, files=tuple(files))


__all__ = ["router"]

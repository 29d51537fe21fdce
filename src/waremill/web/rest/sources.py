"""The routes about named sources: databases that the settings let admins import from."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from waremill.app.sourcing import import_source, list_sources, preview_source
from waremill.web.rest.acting import Acting
from waremill.web.rest.catalogue import (
    ImportPreviewed,
    ImportShown,
    shown_import,
    shown_preview,
)
from waremill.web.rest.shapes import Given, Name, Shown

router = APIRouter(prefix="/v1", tags=["catalogue"])

_Source = Annotated[
    str,
    Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/]+$",
         description="A name in [sources] of waremill.toml.", examples=["shop"]),
]  # fmt: skip


class SourceShown(Shown):
    """A database that may be imported from; never its address."""

    name: str
    kind: str | None = Field(description="The kind of database; null where its URL is not set.")
    lacks: str | None = Field(description="The environment variable that should hold its URL.")


class SourceGiven(Given):
    """How a source is imported."""

    key: Name | None = Field(None, description="The column that tells products apart.")
    group: Name | None = Field(None, description="The column that joins SKUs to one product.")
    catalog: Name | None = Field(
        None, description="The catalogue (default: the only one, else one named as the source)."
    )


@router.get("/sources", response_model=list[SourceShown])
async def list_named_sources(workspace: Acting) -> Any:
    """List the databases that may be imported from; for admins."""
    return list_sources(workspace)


@router.post("/sources/{source}/preview")
async def preview_named_source(
    workspace: Acting, source: _Source, given: SourceGiven
) -> ImportPreviewed:
    """Say what an import of a source would do; nothing is saved. For admins, and audited."""
    found = await preview_source(
        workspace, source, key=given.key, group=given.group, catalog=given.catalog
    )
    return shown_preview(found)


@router.post("/sources/{source}/import", status_code=201)
async def import_named_source(
    workspace: Acting, source: _Source, given: SourceGiven
) -> ImportShown:
    """Import a source into a catalogue, by key; for admins of its team, and audited.

    No other address is read: who runs the workspace names them in `waremill.toml`.
    """
    done = await import_source(
        workspace, source, key=given.key, group=given.group, catalog=given.catalog
    )
    return shown_import(done)


__all__ = ["router"]

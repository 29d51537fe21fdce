"""The routes about what there is to write about: catalogues, products, uploads, imports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Header, Path, Query, Request, Response, UploadFile
from pydantic import Field

from waremill.app import Imported
from waremill.app.browsing import Browse, ImportPreview, SavedSelection
from waremill.app.importing import Problem
from waremill.app.increments.stale import count_stale, stale_products
from waremill.app.paging import Page
from waremill.app.uploading import Uploads
from waremill.errors import ConfigError, NotFound
from waremill.web.rest.acting import Acting
from waremill.web.rest.problems import Answered
from waremill.web.rest.shapes import (
    CatalogName,
    Counted,
    Cursor,
    Given,
    IfMatch,
    Listing,
    Name,
    ProductKey,
    SearchText,
    Shown,
    Size,
    Sql,
    TargetText,
    absolute,
    file_name,
    must_match,
    tag,
    team_names,
)

router = APIRouter(prefix="/v1", tags=["catalogue"])

_Where = Annotated[
    Sql | None,
    Query(description="Which products: SQL over attributes.", examples=["brand = 'Dior'"]),
]  # fmt: skip
_Stale = Annotated[
    Name | None,
    Query(description="Those for which what this pipeline made is outdated."),
]
_Targets = Annotated[
    list[TargetText] | None,
    Query(
        max_length=50,
        description="For whom, such as `de-DE@amazon`; may be repeated. A picture slot is filled "
        "by what was made for every one of them, or once for all; without one, for any.",
    ),
]
_Selection = Annotated[str, Path(min_length=1, max_length=100, description="Its name.")]
_UploadId = Annotated[str, Path(max_length=64, description="An upload's id.")]


def _asked(
    where: _Where = None,
    search: Annotated[
        SearchText | None,
        Query(description="Those that fit this best, best first; the first 1,000 are paged."),
    ] = None,
    order_by: Annotated[Sql | None, Query(description="Such as `price DESC`.")] = None,
    stale: _Stale = None,
) -> _Asked:
    return _Asked(where, search, order_by, stale)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which products, in which order."""

    where: str | None
    search: str | None
    order_by: str | None
    stale: str | None


_AskedFor = Annotated[_Asked, Depends(_asked)]


class CatalogShown(Shown):
    """A catalogue."""

    name: str
    key: str | None = Field(description="The column that tells products apart.")
    group: str | None = Field(description="The column that joins SKUs to one product.")
    columns: list[str]
    imports: int
    team: str | None


class ReferenceShown(Shown):
    """A picture in a slot, or several as a list."""

    target: str = Field(description="For whom it is; empty for everybody.")
    value: Any = Field(description="A reference, or the path or address the catalogue gives.")
    made: bool = Field(description="Whether a run or a person put it there.")


class SlotShown(Shown):
    """A picture slot of a product: the catalogue's own picture first, then what was made."""

    name: str
    required: bool
    many: bool = Field(description="Whether it holds several pictures.")
    references: list[ReferenceShown] = Field(description="Empty where the slot is.")


class ProductShown(Shown):
    """A product; `slots` are the picture slots of its category, in their order."""

    key: str
    group: str | None
    attributes: dict[str, Any]
    slots: list[SlotShown]


class FacetShown(Shown):
    """A column with few values: pairs of a value and how many products have it."""

    column: str
    values: list[tuple[str, int]]
    missing: int
    more: int = Field(description="How many further values there are.")
    exact: bool = Field(description="Whether all products were counted, or a sample.")


class CompletenessShown(Shown):
    """How often an attribute or a picture slot is missing among the products of a category."""

    category: str
    attribute: str
    required: bool
    missing: int
    total: int
    exact: bool
    slot: bool = Field(description="Whether it is a picture slot.")
    target: str | None = Field(description="The target a slot was looked at for; null: any.")


class SelectionShown(Shown):
    """A selection somebody saved under a name."""

    name: str
    where: str
    order_by: str | None
    by: str
    at: float


class SelectionGiven(Given):
    """What to save under the name."""

    where: Sql | None = None
    order_by: Sql | None = None


class UploadShown(Shown):
    """A file that was sent; it is deleted at `until` (Unix seconds)."""

    id: str
    name: str
    size: int
    until: float


class ImportGiven(Given):
    """What to import, and how."""

    upload: Annotated[str, Field(max_length=64, description="An upload's id.")]
    key: Name | None = Field(None, description="The column that tells products apart.")
    group: Name | None = Field(None, description="The column that joins SKUs to one product.")
    sheet: Name | None = Field(None, description="A workbook's sheet, by name or number from 1.")
    catalog: Name | None = Field(None, description="The catalogue (default: the only one).")


class RowProblem(Shown):
    """A row that was not imported, and why."""

    file: str
    row: int
    message: str


class ImportShown(Shown):
    """What an import did."""

    catalog: str
    key: str | None
    new: int
    changed: int
    unchanged: int
    problems: int
    notes: list[str]
    first_problems: list[RowProblem]


class SampleRow(Shown):
    """A row as it would be stored; `verdict` is new, changed or unchanged."""

    key: str
    verdict: str
    attributes: dict[str, Any]


class ImportPreviewed(Shown):
    """What an import would do; nothing is saved. `fresh`: the catalogue would be a new one."""

    catalog: str
    fresh: bool
    key: str | None
    columns: list[str]
    new: int
    changed: int
    unchanged: int
    problems: int
    notes: list[str]
    first_problems: list[RowProblem]
    sample: list[SampleRow]


@router.get("/catalogs")
async def list_catalogs(workspace: Acting) -> list[CatalogShown]:
    """List the catalogues."""
    names = await team_names(workspace)
    return [
        CatalogShown(
            name=one.name, key=one.key_column, group=one.group_column, columns=list(one.columns),
            imports=one.imports, team=names.get(one.team_id),
        )
        for one in await workspace.catalogs()
    ]  # fmt: skip


@router.get("/catalogs/{catalog}/products", response_model=Listing[ProductShown])
async def list_products(
    workspace: Acting,
    catalog: CatalogName,
    asked: _AskedFor,
    target: _Targets = None,
    cursor: Cursor = None,
    size: Size = 50,
) -> Any:
    """Page through the products a selection picks. A page may be short and have a next one."""
    browse, targets = Browse(workspace), target or ()
    where = asked.where
    if asked.search is not None and asked.order_by is not None:
        raise ConfigError("a search has an order of its own: leave order_by out")
    if asked.stale is not None and (asked.search is not None or asked.order_by is not None):
        raise ConfigError(
            "stale products come in the order of import: leave search and order_by out"
        )
    if asked.stale is not None:
        page = await stale_products(
            workspace, catalog, asked.stale, where, targets=targets, cursor=cursor, size=size
        )
    elif asked.search is not None:
        page = await browse.fitting(
            catalog, asked.search, where, targets=targets, cursor=cursor, size=size
        )
    else:
        page = await browse.products(
            catalog, where, asked.order_by, targets=targets, cursor=cursor, size=size
        )
    return Page(await browse.with_slots(page.rows, targets), page.next)


@router.get("/catalogs/{catalog}/count")
async def count_products(
    workspace: Acting,
    catalog: CatalogName,
    where: _Where = None,
    target: _Targets = None,
    stale: _Stale = None,
) -> Counted:
    """Count the products a selection picks."""
    if stale is not None:
        count = await count_stale(workspace, catalog, stale, where, targets=target or ())
        return Counted(count=count)
    return Counted(count=await Browse(workspace).count(catalog, where, targets=target or ()))


@router.get("/catalogs/{catalog}/facets", response_model=list[FacetShown])
async def list_facets(
    workspace: Acting, catalog: CatalogName, where: _Where = None, target: _Targets = None
) -> Any:
    """Give the columns with few values, and how many products of a selection have each."""
    return await Browse(workspace).facets(catalog, where, targets=target or ())


@router.get("/catalogs/{catalog}/completeness", response_model=list[CompletenessShown])
async def show_completeness(
    workspace: Acting, catalog: CatalogName, where: _Where = None, target: _Targets = None
) -> Any:
    """Say which attribute is missing how often, by category; picture slots also by target.

    With targets there is a line for each slot that a target's channel takes.
    """
    return await Browse(workspace).completeness(catalog, where, targets=target or ())


@router.get("/catalogs/{catalog}/products/{key:path}", response_model=ProductShown)
async def show_product(
    workspace: Acting, catalog: CatalogName, key: ProductKey, target: _Targets = None
) -> Any:
    """Show one product; with targets, the slots their channels take and what is for them."""
    browse = Browse(workspace)
    product = await browse.product(catalog, key)
    return (await browse.with_slots([product], target or ()))[0]


# Saved selections.


@router.get("/catalogs/{catalog}/selections", response_model=list[SelectionShown])
async def list_selections(workspace: Acting, catalog: CatalogName) -> Any:
    """List a catalogue's saved selections by name."""
    return await Browse(workspace).selections(catalog)


@router.get("/catalogs/{catalog}/selections/{name}", response_model=SelectionShown)
async def show_selection(
    workspace: Acting, response: Response, catalog: CatalogName, name: _Selection
) -> Any:
    """Show a saved selection, with the ETag that a change of it must give."""
    found = await _selection(Browse(workspace), catalog, name)
    if found is None:
        raise NotFound(f"there is no selection “{name}”")
    tag(response, _etag(found))
    return found


@router.put("/catalogs/{catalog}/selections/{name}", response_model=SelectionShown)
async def save_selection(
    workspace: Acting,
    response: Response,
    catalog: CatalogName,
    name: _Selection,
    given: SelectionGiven,
    if_match: IfMatch = None,
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", max_length=200, description="`*` for a new one.")
    ] = None,
) -> Any:
    """Save a selection: a new one with `If-None-Match: *`, a known one with its `If-Match`."""
    browse = Browse(workspace)
    known = await _selection(browse, catalog, name)
    if known is not None:
        if if_none_match is not None and if_match is None:
            raise Answered(412, "Changed", f"there is a selection “{name}” already")
        must_match(if_match, _etag(known))
    elif if_match is not None:
        raise Answered(412, "Changed", f"there is no selection “{name}” to be changed")
    saved = await browse.save_selection(
        catalog, name, given.where, given.order_by, replace=known is not None
    )
    tag(response, _etag(saved))
    return saved


@router.delete("/catalogs/{catalog}/selections/{name}", status_code=204)
async def drop_selection(workspace: Acting, catalog: CatalogName, name: _Selection) -> None:
    """Delete a saved selection."""
    await Browse(workspace).drop_selection(catalog, name)


async def _selection(browse: Browse, catalog: str, name: str) -> SavedSelection | None:
    known = await browse.selections(catalog)
    return next((one for one in known if one.name == name.strip()), None)


def _etag(selection: SavedSelection) -> str:
    state = f"{selection.where}\n{selection.order_by}\n{selection.by}"
    return sha256(state.encode()).hexdigest()[:16]


# Files in.


@router.post("/uploads", status_code=201, response_model=UploadShown)
async def send_file(
    workspace: Acting,
    request: Request,
    response: Response,
    file: Annotated[UploadFile, File(description="xlsx, xls, ods, csv, tsv, jsonl, parquet, html")],
) -> Any:
    """Send a file of up to 512 MB, to be imported or used as gold; it is kept for a day."""
    uploads = Uploads(workspace)
    kept = await asyncio.to_thread(uploads.keep, file.filename or "upload", file.file)
    response.headers["Location"] = absolute(request, f"/v1/uploads/{kept.id}")
    return kept


@router.get("/uploads/{upload}", response_model=UploadShown)
async def show_upload(workspace: Acting, upload: _UploadId) -> Any:
    """Show an upload of one's own."""
    return Uploads(workspace).find(upload)


@router.delete("/uploads/{upload}", status_code=204)
async def drop_upload(workspace: Acting, upload: _UploadId) -> None:
    """Delete an upload of one's own."""
    await asyncio.to_thread(Uploads(workspace).drop, upload)


@router.post("/imports/preview")
async def preview_import(workspace: Acting, given: ImportGiven) -> ImportPreviewed:
    """Say what an import would make new and change, and which rows it would leave out."""
    upload = Uploads(workspace).find(given.upload)
    found = await Browse(workspace).preview_import(
        [upload.path], key=given.key, group=given.group, sheet=given.sheet, catalog=given.catalog
    )
    return shown_preview(found)


@router.post("/imports", status_code=201)
async def import_file(workspace: Acting, given: ImportGiven) -> ImportShown:
    """Import an upload into a catalogue: new products are added, changed ones updated, by key."""
    upload = Uploads(workspace).find(given.upload)
    done = await workspace.import_catalog(
        [upload.path], key=given.key, group=given.group, sheet=given.sheet, catalog=given.catalog
    )
    return shown_import(done)


def shown_preview(found: ImportPreview) -> ImportPreviewed:
    """Give what an import would do as the API shows it."""
    return ImportPreviewed(
        catalog=found.catalog, fresh=found.fresh, key=found.key, columns=list(found.columns),
        new=found.new, changed=found.changed, unchanged=found.unchanged,
        problems=found.problem_count, notes=list(found.notes),
        first_problems=_first(found.problems),
        sample=[SampleRow.model_validate(one) for one in found.sample],
    )  # fmt: skip


def shown_import(done: Imported) -> ImportShown:
    """Give what an import did as the API shows it."""
    return ImportShown(
        catalog=done.catalog, key=done.key, new=done.new, changed=done.changed,
        unchanged=done.unchanged, problems=done.problem_count, notes=done.notes,
        first_problems=_first(done.problems),
    )  # fmt: skip


def _first(problems: Sequence[Problem]) -> list[RowProblem]:
    return [
        RowProblem(file=file_name(one.source), row=one.row, message=one.message)
        for one in problems[:100]
    ]

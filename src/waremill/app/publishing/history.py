"""The use cases that look at publications: list them, show one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from waremill.app.paging import SIZE, Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.publishing.shapes import (
    SHOWN_REFUSALS,
    FileShown,
    PublicationShown,
    RefusalShown,
)
from waremill.app.publishing.tally import Tally
from waremill.settings import Publishing
from waremill.store import publishing as store
from waremill.store.publishing import Publication
from waremill.store.refusals import Refusal, refusals_page
from waremill.store.runs import Run
from waremill.store.tables import runs
from waremill.store.tables_publishing import publications

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


async def list_publications(
    workspace: Workspace,
    *,
    cursor: str | None = None,
    size: int = SIZE,
    channel: str | None = None,
    run: str | None = None,
) -> Page[PublicationShown]:
    """Give a page of the publications the actor sees, the newest first."""
    size = page_size(size)
    before = None
    if cursor is not None:
        before = decode_cursor(cursor).get("id")
        if type(before) is not int or not 0 < before < 1 << 62:
            raise bad_cursor()
    of_run = None if run is None else (await workspace.find_run(run)).id

    def read(conn: Connection) -> list[PublicationShown]:
        found = store.list_publications(
            conn, workspace.actor.sees, before=before, limit=size + 1, channel=channel,
            run_id=of_run,
        )  # fmt: skip
        places.extend(one.id for one in found)
        return [_shown(conn, one) for one in found]

    places: list[int] = []
    rows = await workspace.database.read(read)
    more = encode_cursor({"id": places[size - 1]}) if len(rows) > size else None
    return Page(tuple(rows[:size]), more)


async def show_publication(workspace: Workspace, name: str) -> PublicationShown:
    """Show a publication by its name, a unique prefix, or `last`."""
    found = await find_publication(workspace, name)
    return await shown(workspace, found.id)


async def find_publication(workspace: Workspace, name: str) -> Publication:
    """Find a publication the actor sees."""
    found = await workspace.database.read(store.find_publication, name, workspace.actor.sees)
    workspace.actor.need("viewer", found.team_id, f"publication {found.name}")
    return found


async def shown(workspace: Workspace, publication_id: int) -> PublicationShown:
    """Show a publication by its id."""
    return await workspace.database.read(
        lambda conn: _shown(conn, store.get_publication(conn, publication_id))
    )


def _shown(conn: Connection, one: Publication) -> PublicationShown:
    run = conn.execute(select(runs.c.name).where(runs.c.id == one.run_id)).scalar()
    back = None
    if one.rolls_back_id is not None:
        named = select(publications.c.name).where(publications.c.id == one.rolls_back_id)
        back = conn.execute(named).scalar()
    report = {**Tally().as_json(), **(one.report or {})}
    refused = refusals_page(conn, one.id, size=SHOWN_REFUSALS) if report["refusal_count"] else []
    return PublicationShown(
        publication=one.name, run=run or "", channel=one.channel, format=one.format,
        stage=one.stage, state=one.state, rolls_back=back, by=one.by, created_at=one.created_at,
        ended_at=one.ended_at, reason=one.reason,
        **_reported(report, refused, [FileShown(**file) for file in report["files"]]),
    )  # fmt: skip


def shown_dry(
    workspace: Workspace,
    run: Run,
    settings: Publishing,
    stage: str,
    tally: Tally,
    outputs: Mapping[str, str],
    refused: Sequence[Refusal],
) -> PublicationShown:
    """Show what a publication would come to, with the first of what it would refuse."""
    files = [FileShown(target or None, path or None) for target, path in outputs.items()]
    return PublicationShown(
        publication=None, run=run.name, channel=settings.name, format=settings.format, stage=stage,
        state="dry-run", rolls_back=None, by=workspace.actor.name, created_at=None, ended_at=None,
        reason=None, **_reported(tally.as_json(), refused, files),
    )  # fmt: skip


def _reported(
    report: Mapping[str, Any], refused: Sequence[Refusal], files: Sequence[FileShown]
) -> dict[str, Any]:
    """Give the part of a publication's shape that a tally has."""
    counted = ("total", "rows", "fields", "later", "left_out", "refused_for", "refusal_count")
    return {
        **{name: report[name] for name in counted}, "notes": tuple(report["notes"]),
        "refusals": tuple(shown_refusal(one) for one in refused), "files": tuple(files),
    }  # fmt: skip


def shown_refusal(one: Refusal) -> RefusalShown:
    """Show a refusal."""
    return RefusalShown(one.number, one.key, one.target or None, one.field, one.message, one.place)

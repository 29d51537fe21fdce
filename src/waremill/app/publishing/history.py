"""The use cases that look at publications: list them, show one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from waremill.app.paging import SIZE, Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.publishing.tally import Tally
from waremill.settings import Publishing
from waremill.store import publishing as store
from waremill.store.publishing import Publication
from waremill.store.runs import Run
from waremill.store.tables import runs
from waremill.store.tables_publishing import publications

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PublicationShown:
    """A publication as people see it; `publication` is None for a dry run, which leaves none.

    `rows` counts the judged rows that are new, changed, unchanged and refused; `later` are accepted
    rows outside the stage, `left_out` by state the items that are not accepted. `fields` has the
    same counts by the channel's column, and `kept`: missing now, and live from before.
    """

    publication: str | None
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
    rows: Mapping[str, int]
    fields: Mapping[str, Mapping[str, int]]
    later: int
    left_out: Mapping[str, int]
    refused_for: Mapping[str, int]
    refusals: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    files: Sequence[Mapping[str, Any]]

    @property
    def refused(self) -> int:
        """Rows that were refused."""
        return self.rows.get("refused", 0)

    @property
    def refused_share(self) -> float:
        """The share of judged rows that were refused."""
        considered = sum(self.rows.values())
        return self.refused / considered if considered else 0.0


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
    return PublicationShown(
        one.name, run or "", one.channel, one.format, one.stage, one.state, back, one.by,
        one.created_at, one.ended_at, one.reason, **report,
    )  # fmt: skip


def shown_dry(
    workspace: Workspace,
    run: Run,
    settings: Publishing,
    stage: str,
    tally: Tally,
    outputs: Mapping[str, str],
) -> PublicationShown:
    """Show what a publication would come to."""
    files = [
        {"target": target or None, "path": path or None, "rows": None}
        for target, path in outputs.items()
    ]
    report = {**tally.as_json(), "files": files}
    return PublicationShown(
        None, run.name, settings.name, settings.format, stage, "dry-run", None,
        workspace.actor.name, None, None, None, **report,
    )  # fmt: skip

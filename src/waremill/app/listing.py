"""The use case *list runs*: pages of runs, the newest first, with who ordered them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from waremill.app.paging import SIZE, Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.watching import Glance, glance
from waremill.store import runs as store_runs
from waremill.store.runs import GENERATE, Run
from waremill.store.tables import runs

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


async def list_runs(
    workspace: Workspace,
    *,
    cursor: str | None = None,
    size: int = SIZE,
    kind: str | None = None,
    state: str | None = None,
) -> Page[Glance]:
    """Give a page of the runs the actor sees, the newest first."""
    size = page_size(size)
    before = None
    if cursor is not None:
        before = decode_cursor(cursor).get("id")
        if not isinstance(before, int) or isinstance(before, bool) or not 0 < before < 1 << 62:
            raise bad_cursor()
    query = select(runs).where(runs.c.kind != GENERATE).order_by(runs.c.id.desc()).limit(size + 1)
    if before is not None:
        query = query.where(runs.c.id < before)
    if kind is not None:
        query = query.where(runs.c.kind == kind)
    if state is not None:
        query = query.where(runs.c.state == state)
    if (teams := workspace.actor.sees) is not None:
        query = query.where(runs.c.team_id.in_(teams))

    def read(conn: Connection) -> list[Run]:
        return [store_runs.as_run(row) for row in conn.execute(query)]

    found = await workspace.database.read(read)
    more = encode_cursor({"id": found[size - 1].id}) if len(found) > size else None
    return Page(tuple(glance(workspace, run) for run in found[:size]), more)


__all__ = ["list_runs"]

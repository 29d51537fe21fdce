"""Find things by name as somebody sees them: what belongs to a foreign team is not there."""

from __future__ import annotations

from waremill.app.acting import Actor, Role
from waremill.store import products as store_products
from waremill.store import runs as store_runs
from waremill.store.database import Database
from waremill.store.products import Catalog
from waremill.store.runs import Run


async def list_catalogs(database: Database, actor: Actor) -> list[Catalog]:
    """Give the catalogues the actor sees, by name."""
    known = await database.read(store_products.list_catalogs)
    return [one for one in known if actor.role(one.team_id) is not None]


async def find_catalog(
    database: Database, actor: Actor, name: str | None, role: Role = "viewer"
) -> Catalog:
    """Find a catalogue by its name, or the only one the actor sees.

    Raises Forbidden for somebody whose role is below `role`.
    """
    found = store_products.pick_catalog(await list_catalogs(database, actor), name)
    actor.need(role, found.team_id, f"catalogue “{found.name}”")
    return found


async def find_run(database: Database, actor: Actor, name: str, role: Role = "viewer") -> Run:
    """Find a run by its id, a unique prefix, or `last`.

    Raises Forbidden for somebody whose role is below `role`.
    """
    run = await database.read(store_runs.find_run, name, actor.sees)
    actor.need(role, run.team_id, f"run {run.name}")
    return run

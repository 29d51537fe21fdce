"""The use case *stale*: the products a pipeline's results are outdated for, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement

from waremill.app.exemplars import assembled
from waremill.app.filtering import choose_streams
from waremill.app.generating import may_use
from waremill.app.increments.basis import Basis
from waremill.app.informing import knowledge_of
from waremill.app.options import targets_of
from waremill.app.paging import SIZE, Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.slotting import named_slots
from waremill.app.walking import counting, of_products, products_in, walk
from waremill.domain import Product
from waremill.store.browsing import Stream
from waremill.store.products import Catalog
from waremill.store.tables import dumps

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


async def stale_condition(
    workspace: Workspace, pipeline: str, targets: Sequence[str] = ()
) -> ColumnElement[bool]:
    """Give the condition over products that what a pipeline made for them is outdated.

    With the pipeline's own parameters and model; without targets, for any of its own. For who may
    use the pipeline. Raises NotFound for an unknown one, ConfigError for targets that cannot be.
    """
    assembly = await assembled(workspace, pipeline)
    await may_use(workspace, assembly, "viewer")
    basis = Basis(
        workspace.settings, assembly, targets_of(assembly, {"targets": targets}),
        assembly.pipeline.params, await knowledge_of(workspace, assembly),
    )  # fmt: skip
    return await workspace.database.read(basis.outdated)


async def stale_products(
    workspace: Workspace,
    catalog: str | None,
    pipeline: str,
    where: str | None = None,
    *,
    targets: Sequence[str] = (),
    cursor: str | None = None,
    size: int = SIZE,
) -> Page[Product]:
    """Give a page of a catalogue's products for which what a pipeline made is outdated.

    In the order of import. As with all listings a page may be short and have a next one.
    """
    found, streams = await _streams(workspace, catalog, pipeline, where, targets)
    asked = dumps(["stale", found.id, pipeline, where, list(targets)])
    mark = blake2b(asked.encode(), digest_size=6).hexdigest()
    place = decode_cursor(cursor) if cursor else {"a": 0, "q": mark}
    after = place.get("a")
    if place.get("q") != mark or not isinstance(after, int) or not 0 <= after < 1 << 62:
        raise bad_cursor()
    rows, last = await walk(workspace.database, of_products(streams), after, page_size(size))
    return Page(tuple(rows), None if last is None else encode_cursor({"a": last, "q": mark}))


async def count_stale(
    workspace: Workspace,
    catalog: str | None,
    pipeline: str,
    where: str | None = None,
    *,
    targets: Sequence[str] = (),
) -> int:
    """Count a catalogue's products for which what a pipeline made is outdated."""
    _, streams = await _streams(workspace, catalog, pipeline, where, targets)
    return [number async for number in counting(workspace.database, products_in(streams))][-1]


async def _streams(
    workspace: Workspace,
    catalog: str | None,
    pipeline: str,
    where: str | None,
    targets: Sequence[str],
) -> tuple[Catalog, tuple[Stream, ...]]:
    found = await workspace.find_catalog(catalog)
    outdated = await stale_condition(workspace, pipeline, targets)
    slots = await named_slots(workspace.settings, targets, where)
    database = workspace.database
    streams = await database.read(choose_streams, found, database.dialect, where or None, slots)
    return found, tuple(
        replace(one, where=outdated if one.where is None else one.where & outdated)
        for one in streams
    )


__all__ = ["count_stale", "stale_condition", "stale_products"]

"""The use case *browse*: pages of products and of a run's items, their counts, saved selections.

Everybody sees what belongs to the own teams. Pages come through an index and are never counted;
counts are asked for by themselves and come as they grow. Nothing here calls a model.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from sqlalchemy import Connection

from waremill.app import auditing, faceting, ordering
from waremill.app.faceting import Completeness, Facet
from waremill.app.filtering import choose_streams, compile_selection
from waremill.app.import_preview import ImportPreview, preview_import
from waremill.app.importing import ImportOptions
from waremill.app.item_filters import ItemFilters, choose_item_streams
from waremill.app.ordering import Segment, Selection
from waremill.app.paging import (
    SIZE,
    Page,
    bad_cursor,
    decode_cursor,
    encode_cursor,
    page_size,
)
from waremill.app.product_search import find
from waremill.app.remembering import remembered
from waremill.app.slotting import (
    Slot,
    Slots,
    WithSlots,
    channels_of,
    named_slots,
    schemas_in,
    with_slots,
)
from waremill.app.status import money
from waremill.app.walking import (
    PATIENCE,
    counting,
    items_in,
    of_items,
    of_products,
    products_in,
    walk,
)
from waremill.domain import Product
from waremill.errors import ConfigError
from waremill.rules import slot_names as names_in
from waremill.store import browsing, run_items
from waremill.store import products as store_products
from waremill.store import selections as store_selections
from waremill.store.products import Catalog
from waremill.store.run_items import ItemStream, ListedItem
from waremill.store.runs import Run
from waremill.store.selections import SavedSelection
from waremill.store.tables import dumps

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

LONGEST_NAME = 100
MOST_FITTING = 1_000
"""Products of a search that can be paged through."""
Progress: TypeAlias = Callable[[int], None] | None
"""Is told growing counts."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item in a listing: `product` is what it worked on, `values` what was made of it.

    `findings` is how many there are, `found` says which; `cost` is what was paid for it, in the
    workspace's currency, None where that is unknown; `latency` is in seconds.
    """

    id: int
    key: str
    target: str
    state: str
    findings: int
    cost: float | None
    latency: float | None
    error: Mapping[str, Any] | None
    values: Mapping[str, Any]
    product: Mapping[str, Any]
    found: tuple[Mapping[str, Any], ...] = ()


class Browse:
    """Looks at catalogues and runs as the workspace's actor may see them."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._database = workspace.database

    # Products.

    async def products(
        self,
        catalog: str | None = None,
        where: str | None = None,
        order_by: str | None = None,
        *,
        targets: Sequence[str] = (),
        cursor: str | None = None,
        size: int = SIZE,
    ) -> Page[Product]:
        """Give a page of a selection, in the order of import where no other is asked for.

        A picture slot in a filter is filled where something was made for every one of `targets`, or
        without them for any. A page may hold fewer rows than `size` and still have a next one: what
        a filter picks may be far apart, and nobody waits longer than a second for it.
        """
        selection = await self._selection(
            await self._workspace.find_catalog(catalog), where, order_by, targets
        )
        found, aims = selection.catalog, selection.slots.targets
        asked = _digest("products", found.id, selection.where, selection.order_by, *(aims or ()))
        place = _place(cursor, asked)
        if selection.order_by is None:
            rows, following = await self._in_order(selection, place, page_size(size))
        else:
            rows, following = await self._sorted(selection, place, page_size(size))
        more = None if following is None else encode_cursor({**following, "q": asked})
        return Page(tuple(rows), more)

    async def fitting(
        self,
        catalog: str | None,
        search: str,
        where: str | None = None,
        *,
        targets: Sequence[str] = (),
        cursor: str | None = None,
        size: int = SIZE,
    ) -> Page[Product]:
        """Give a page of the products that fit a text best, best first, of those a filter picks.

        The first `MOST_FITTING` are paged. Raises Conflict while a catalogue is made ready for its
        first search.
        """
        selection = await self._selection(
            await self._workspace.find_catalog(catalog), where, None, targets
        )
        found = selection.catalog
        state = await faceting.signature(self._database, found, made=selection.of_slots)
        asked = _digest("fitting", search, selection.where, *state)
        place = _number(_place(cursor, asked), "i")
        slots = selection.slots
        condition = None
        if selection.where is not None:
            condition = compile_selection(found, selection.where, selection.dialect, slots)

        async def look() -> list[int]:
            return await find(self._workspace, found, search, MOST_FITTING, condition, wait=False)

        key = ("fitting", search, selection.where, slots, *state)
        numbers = await remembered(self._database).get(key, look, len)
        end = min(place + page_size(size), len(numbers))
        rows = await self._database.read(browsing.read_listed, numbers[place:end])
        more = encode_cursor({"i": end, "q": asked}) if end < len(numbers) else None
        return Page(tuple(rows), more)

    async def _selection(
        self, catalog: Catalog, where: str | None, order_by: str | None, targets: Sequence[str] = ()
    ) -> Selection:
        slots = await self._slots(targets, where, order_by)
        return Selection(catalog, self._database.dialect, where or None, order_by or None, slots)

    async def _slots(self, targets: Sequence[str], *asked: str | None) -> Slots:
        return await named_slots(self._workspace.settings, targets, *asked)

    async def _in_order(
        self, selection: Selection, place: _Place, size: int
    ) -> tuple[list[Product], _Place | None]:
        streams = await self._database.read(
            choose_streams, selection.catalog, selection.dialect, selection.where, selection.slots
        )
        rows, after = await walk(self._database, of_products(streams), _number(place, "a"), size)
        return rows, None if after is None else {"a": after}

    async def _sorted(
        self, selection: Selection, place: _Place, size: int
    ) -> tuple[list[Product], _Place | None]:
        selection.check()
        faceted = await self._database.read(ordering.facet_order, selection)
        if faceted is not None:
            texts = await faceting.facet_texts(self._database, selection.catalog, faceted[0])
            parts = None if texts is None else ordering.segments(selection, *faceted, texts)
            if parts is not None:
                return await self._by_segments(parts, place, size)
        return await self._by_sorting(selection, place, size)

    async def _by_segments(
        self, parts: tuple[Segment, ...], place: _Place, size: int
    ) -> tuple[list[Product], _Place | None]:
        names = [part.name for part in parts]
        number = names.index(place["s"]) if place.get("s") in names else 0
        after = _number(place, "a")
        until = time.monotonic() + PATIENCE
        found: list[Product] = []
        for part in parts[number:]:
            some, last = await walk(
                self._database, of_products(part.streams), after, size - len(found), until
            )
            found += some
            if last is not None:
                return found, {"s": part.name, "a": last}
            after = 0
            if len(found) == size and part is not parts[-1]:
                return found, {"s": names[names.index(part.name) + 1], "a": 0}
        return found, None

    async def _by_sorting(
        self, selection: Selection, place: _Place, size: int
    ) -> tuple[list[Product], _Place | None]:
        known = remembered(self._database)

        async def sort() -> array[int]:
            async with known.slowly:
                return await self._database.read(ordering.sort, selection)

        made = selection.of_slots
        mark = await faceting.signature(self._database, selection.catalog, made=made)
        asked = (selection.where, selection.order_by, selection.slots if made else None)
        key = ("order", *asked, *mark)
        order = await known.get(key, sort, len)
        start = 0
        if place:
            start = ordering.place_after(order, _number(place, "i"), _number(place, "a"))
        end = min(start + size, len(order))
        rows = await self._database.read(browsing.read_listed, order[start:end])
        return rows, {"i": end, "a": order[end - 1]} if end < len(order) else None

    async def counting(
        self,
        catalog: str | None = None,
        where: str | None = None,
        *,
        targets: Sequence[str] = (),
    ) -> AsyncIterator[int]:
        """Give growing counts of a selection; the last is the whole. Stop listening to stop it."""
        found = await self._workspace.find_catalog(catalog)
        slots = await self._slots(targets, where)
        streams = await self._database.read(
            choose_streams, found, self._database.dialect, where or None, slots
        )
        async for number in counting(self._database, products_in(streams)):
            yield number

    async def count(
        self,
        catalog: str | None = None,
        where: str | None = None,
        progress: Progress = None,
        *,
        targets: Sequence[str] = (),
    ) -> int:
        """Count a selection; cancelling it stops it. `progress` is told how many there are yet."""
        total = 0
        async for total in self.counting(catalog, where, targets=targets):
            if progress is not None:
                progress(total)
        return total

    async def facets(
        self,
        catalog: str | None = None,
        where: str | None = None,
        *,
        targets: Sequence[str] = (),
    ) -> tuple[Facet, ...]:
        """Give the columns with few values, each value with how many of a selection have it."""
        found = await self._workspace.find_catalog(catalog)
        slots = await self._slots(targets, where)
        return await faceting.facets_of(self._database, found, where or None, slots)

    async def completeness(
        self,
        catalog: str | None = None,
        where: str | None = None,
        *,
        targets: Sequence[str] = (),
    ) -> tuple[Completeness, ...]:
        """Say which attribute is missing how often, by the schema of the product's category.

        A picture slot is filled by what was made for any target; with `targets` there is a line
        for each, of the slots its channel takes.
        """
        found = await self._workspace.find_catalog(catalog)
        files = self._workspace.settings.files()
        schemas = await asyncio.to_thread(schemas_in, files)
        aims = await asyncio.to_thread(channels_of, files, targets)
        return await faceting.completeness_of(self._database, found, schemas, where or None, aims)

    async def slot_names(self) -> tuple[str, ...]:
        """Give the names of all picture slots, which filters may use like columns."""
        files = self._workspace.settings.files()
        return names_in(await asyncio.to_thread(schemas_in, files))

    async def with_slots(
        self, products: Sequence[Product], targets: Sequence[str] = ()
    ) -> tuple[WithSlots, ...]:
        """Give products with their picture slots in order, and what stands in each by target.

        With `targets` only what is for them, and only the slots their channels take. Whose products
        they are was found out when they were listed.
        """
        files = self._workspace.settings.files()
        return await with_slots(self._database, files, products, targets)

    async def product(self, catalog: str | None, key: str) -> Product:
        """Give one product; raise NotFound where there is none of that key."""
        found = await self._workspace.find_catalog(catalog)
        return await self._database.read(browsing.product_by_key, found, key)

    async def preview_import(
        self,
        sources: Sequence[str | Path],
        *,
        key: str | None = None,
        group: str | None = None,
        sheet: str | None = None,
        catalog: str | None = None,
        progress: Progress = None,
    ) -> ImportPreview:
        """Say what an import would make new, change and leave out, row by row; nothing is saved."""
        options = ImportOptions(key, group, sheet, catalog)
        return await preview_import(self._workspace, sources, options, progress)

    # Items of a run.

    async def items(
        self,
        run: str,
        *,
        cursor: str | None = None,
        size: int = SIZE,
        **filters: Unpack[ItemFilters],
    ) -> Page[ItemRow]:
        """Give a page of a run's items that all filters pick, in the order they were planned.

        As with products, a page may be short and have a next one.
        """
        found = await self._workspace.find_run(run)
        chosen = {name: value for name, value in filters.items() if value}
        asked = _digest("items", found.id, sorted(chosen.items()))
        after = _number(_place(cursor, asked), "a")
        limit = page_size(size)
        streams = await self._item_streams(found, filters)
        numbers, last = await walk(self._database, of_items(streams), after, limit)
        rows = await self._database.read(run_items.read_items, numbers) if numbers else []
        more = None if last is None else encode_cursor({"a": last, "q": asked})
        return Page(tuple(self._row(one) for one in rows), more)

    async def counting_items(self, run: str, **filters: Unpack[ItemFilters]) -> AsyncIterator[int]:
        """Give growing counts of a run's items that all filters pick; the last is the whole."""
        found = await self._workspace.find_run(run)
        streams = await self._item_streams(found, filters)
        async for number in counting(self._database, items_in(streams)):
            yield number

    async def count_items(
        self, run: str, progress: Progress = None, **filters: Unpack[ItemFilters]
    ) -> int:
        """Count a run's items that all filters pick; cancelling it stops it."""
        total = 0
        async for total in self.counting_items(run, **filters):
            if progress is not None:
                progress(total)
        return total

    async def _item_streams(self, run: Run, filters: ItemFilters) -> tuple[ItemStream, ...]:
        known = await self._database.read(store_products.list_catalogs)
        catalog = next((one for one in known if one.id == run.catalog_id), None)
        if catalog is None:  # such as what was generated one by one: it has no items
            return ()
        return await self._database.read(
            choose_item_streams, run, catalog, filters, self._database.dialect
        )

    def _row(self, item: ListedItem) -> ItemRow:
        cost = money(item.paid, self._workspace.settings.per_usd)
        return ItemRow(
            item.id, item.key, item.target, item.state, item.findings, cost, item.latency,
            item.error, item.values, item.product, item.found,
        )  # fmt: skip

    # Saved selections.

    async def selections(self, catalog: str | None = None) -> tuple[SavedSelection, ...]:
        """Give a catalogue's saved selections by name."""
        found = await self._workspace.find_catalog(catalog)
        return tuple(await self._database.read(store_selections.list_selections, found.id))

    async def save_selection(
        self,
        catalog: str | None,
        name: str,
        where: str | None,
        order_by: str | None = None,
        *,
        replace: bool = False,
    ) -> SavedSelection:
        """Save a selection under a name, for everybody of the catalogue's team.

        Needs the role operator. Raises Conflict for a name that is taken, unless it is to be
        replaced, and UserError for a selection that is not understood.
        """
        found = await self._workspace.find_catalog(catalog, "operator")
        name = name.strip()
        if not name or len(name) > LONGEST_NAME:
            raise ConfigError(f"a selection's name has from 1 to {LONGEST_NAME} characters")
        selection = await self._selection(found, where, order_by)
        selection.check()
        actor = self._workspace.actor
        saved = SavedSelection(name, where or "", order_by or None, actor.name, time.time())

        def save(conn: Connection) -> None:
            old = store_selections.save_selection(conn, found, saved, replace=replace)
            before = {} if old is None else {"old_where": old.where, "old_order_by": old.order_by}
            auditing.record(
                conn, actor, "selection.save", f"selection {name} of {found.name}", found.team_id,
                where=saved.where, order_by=saved.order_by, **before,
            )  # fmt: skip

        await self._database.write(save)
        return saved

    async def drop_selection(self, catalog: str | None, name: str) -> None:
        """Delete a saved selection; needs the role operator."""
        found = await self._workspace.find_catalog(catalog, "operator")
        actor = self._workspace.actor

        def drop(conn: Connection) -> None:
            store_selections.drop_selection(conn, found, name)
            subject = f"selection {name} of {found.name}"
            auditing.record(conn, actor, "selection.drop", subject, found.team_id)

        await self._database.write(drop)


_Place: TypeAlias = dict[str, Any]


def _digest(*parts: Any) -> str:
    return blake2b(dumps(parts).encode(), digest_size=6).hexdigest()


def _place(cursor: str | None, asked: str) -> _Place:
    """Read a cursor; one of another listing, filter or order is refused."""
    if not cursor:
        return {}
    place = decode_cursor(cursor)
    if place.get("q") != asked:
        raise bad_cursor()
    return place


def _number(place: _Place, name: str) -> int:
    number = place.get(name, 0)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 62:
        raise bad_cursor()
    return number


__all__ = [
    "Browse",
    "Completeness",
    "Facet",
    "ImportPreview",
    "ItemFilters",
    "ItemRow",
    "SavedSelection",
    "Slot",
    "WithSlots",
]

"""The page *Catalogue*: choose, bring in, browse and select products, and see what they lack."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from waremill.app.browsing import Browse, Facet
from waremill.errors import NotFound, UserError
from waremill.web.pages import dialogs, tables
from waremill.web.pages.catalogue_import import ImportDialog
from waremill.web.pages.completeness import Completeness
from waremill.web.pages.frame import plain
from waremill.web.pages.paging import Pager
from waremill.web.pages.pictures import load_pictures
from waremill.web.pages.product_drawer import ProductDrawer
from waremill.web.pages.product_grid import ProductGrid
from waremill.web.pages.selecting import OPERATORS, Clicked, condition, name_of
from waremill.web.pages.shell import View, console

SIZE = 100
FACET_VALUES = 8


@console("/catalogue", "nav.catalogue")
async def catalogue_page(
    view: View,
    catalog: str = "",
    where: str = "",
    key: str = "",
    tab: str = "products",
    search: str = "",
) -> None:
    """Draw a catalogue, or the place to drop a first file into."""
    load_pictures()
    workspace = await view.workspace()
    known = await workspace.catalogs()
    with view.frame.beside:
        place = ui.element("div").classes("wm-beside")
    if catalog and catalog not in [one.name for one in known]:
        raise NotFound(view.t("catalogue.unknown", name=catalog))
    chosen = next((one for one in known if one.name == catalog), known[0] if known else None)

    def imported(name: str) -> None:
        ui.navigate.to("/catalogue?" + urlencode({"catalog": name}))

    bring = ImportDialog(view, [one.name for one in known], imported)
    with place:
        if chosen is not None:
            names = [one.name for one in known]
            select = ui.select(names, value=chosen.name).props("dense")
            select.props["aria-label"] = view.t("catalogue.choose")
            select.on_value_change(lambda event: imported(str(event.value)))
        plain("span", "", "wm-gap")
        current = chosen.name if chosen else None
        ui.button(view.t("catalogue.import"), on_click=lambda: bring.open(current)).classes(
            "wm-quiet"
        )
    view.key("i", "catalogue.import", lambda: bring.open(current))
    if chosen is None:
        ui.label(view.t("catalogue.empty")).classes("wm-empty")
        return
    page = _CataloguePage(view, chosen.name, chosen.columns, chosen.key_column or "_key")
    page.draw(where, search, place, tab)
    await page.load()
    if key:
        await page.drawer.open(key)


class _CataloguePage:
    def __init__(self, view: View, catalog: str, columns: Sequence[str], key: str) -> None:
        self.view = view
        self.catalog = catalog
        self.columns = tuple(columns)
        self.key_column = key
        self.clicked = Clicked()
        self.order: tuple[str, bool] | None = None
        self.work: list[asyncio.Task[None]] = []
        self.asked = 0
        self.wide: set[str] = set()

    # What is drawn once.

    def draw(self, where: str, search: str, head: ui.element, tab: str) -> None:
        """Draw the selection bar, the facets, the grid and the tab of completeness."""
        view, t = self.view, self.view.t
        self.clicked.read(where)
        with head:
            self.new_run = tables.link(t("catalogue.new_run"), "/new", "wm-do")
        with ui.element("div").classes("wm-bar"):
            self.search = ui.input(t("catalogue.search"), value=search).style("width: 220px")
            self.search.props("clearable autocomplete=off maxlength=2000")
            self.search.props["placeholder"] = t("catalogue.search_example")
            self.search.on("keydown.enter", self._typed)
            self.search.on("clear", self._typed)
            self.where = ui.input(t("catalogue.where"), value=where).classes("wm-grow wm-mono")
            self.where.props("clearable data-filter spellcheck=false autocomplete=off")
            self.where.props["placeholder"] = t("catalogue.where_example")
            self.where.on("keydown.enter", self._typed)
            self.where.on("clear", self._typed)
            ui.button(t("catalogue.apply"), on_click=self._typed)
            ui.button(t("catalogue.add_condition"), on_click=self._build).classes("wm-quiet")
            self.saved = ui.select({}, label=t("catalogue.saved")).style("width: 170px")
            self.saved.on_value_change(self._load_saved)
            ui.button(t("catalogue.save"), on_click=self._save).classes("wm-quiet")
        self.problem = ui.element("div")
        with ui.tabs().props("align=left dense") as tabs:
            ui.tab("products", label=t("catalogue.tab_products"))
            ui.tab("completeness", label=t("catalogue.tab_completeness"))
        panels = ui.tab_panels(tabs, value="products", animated=False).classes("wm-fill")
        panels.props("keep-alive")
        with panels:
            with ui.tab_panel("products").classes("wm-products"):
                self._draw_products()
            with ui.tab_panel("completeness").classes("wm-scroll"):
                self.completeness = Completeness(view, self.catalog, self._pick_missing)
        self.tabs = tabs
        tabs.on_value_change(self._tab_shown)
        if tab == "completeness":
            tabs.set_value("completeness")
        self.drawer = ProductDrawer(view, self.catalog)

    def _draw_products(self) -> None:
        view, t = self.view, self.view.t
        with ui.element("div").classes("wm-side"):
            self.facets = ui.element("div").classes("wm-scroll wm-facets")
            self.facets.props["aria-label"] = t("catalogue.facets")
            self.facets.props["role"] = "group"
            with ui.element("div").classes("wm-rows"):
                self.grid = ProductGrid(
                    view, self.catalog, self.key_column,
                    [one for one in self.columns if one != self.key_column],
                    on_open=self._open, on_sort=self._sort,
                )  # fmt: skip
                with ui.element("div").classes("wm-pager"):
                    self.pager = Pager(view)
                    self.pager.on_turn(self._turned)
                    self.shown = plain("span", "")
                    self.count = plain("span", "", "wm-muted")
                    self.count.props["aria-live"] = "polite"

    # What is loaded.

    async def load(self) -> None:
        """Load the first page, and after it the facets, the count and the saved selections."""
        self.view.later(self._all)
        browse = Browse(await self.view.workspace())
        saved = await browse.selections(self.catalog)
        self.saved.set_options([one.name for one in saved])

    async def _all(self) -> None:
        self.pager.first()
        if not await self._page():
            return
        self.asked += 1
        for task in self.work:
            task.cancel()
        self.work = [
            self.view.beside(work(self.asked)) for work in (self._number, self._show_facets)
        ]
        if self.tabs.value == "completeness":
            await self.completeness.show(self.clicked.where)

    async def _page(self) -> bool:
        where = self.clicked.where
        self.problem.clear()
        self._link()
        try:
            browse = Browse(await self.view.workspace())
            if text := self._searched():
                page = await browse.fitting(
                    self.catalog, text, where or None, cursor=self.pager.cursor, size=SIZE
                )
            else:
                page = await browse.products(
                    self.catalog, where or None, self._order_by(), cursor=self.pager.cursor,
                    size=SIZE,
                )  # fmt: skip
        except UserError as error:
            self.view.problem(error, self.problem)
            return False
        self.pager.show(page.next)
        first = self.pager.number * SIZE + 1
        last = first + len(page.rows) - 1
        self.shown.set_text(f"{first:,}–{last:,}" if page.rows else "")
        self.grid.show(page.rows)
        return True

    def _searched(self) -> str:
        return (self.search.value or "").strip()

    def _order_by(self) -> str | None:
        if self.order is None:
            return None
        column, down = self.order
        return name_of(column) + (" DESC" if down else "")

    async def _number(self, asked: int) -> None:
        if self._searched():
            self.count.set_text(self.view.t("catalogue.best"))
            return
        browse = Browse(await self.view.workspace())
        found = 0
        async for found in browse.counting(self.catalog, self.clicked.where or None):
            if asked != self.asked:
                return
            self.count.set_text(self.view.t("catalogue.counting", count=found))
        self.count.set_text(self.view.t("catalogue.count", count=found))

    async def _show_facets(self, asked: int) -> None:
        browse = Browse(await self.view.workspace())
        found = await browse.facets(self.catalog, self.clicked.where or None)
        if asked != self.asked:
            return
        with self.view.steady(self.facets):
            for facet in found:
                self._facet(facet)

    def _facet(self, facet: Facet) -> None:
        picked = self.clicked.picked.get(facet.column, [])
        counted = dict(facet.values)
        shown = len(facet.values) if facet.column in self.wide else FACET_VALUES
        names: list[str | None] = [value for value, _ in facet.values[:shown]]
        names += [value for value in picked if value not in names]
        about = "" if facet.exact else "≈ "
        with ui.element("div").classes("wm-facet"):
            plain("div", facet.column, "wm-facet-name")
            for value in names:
                number = facet.missing if value is None else counted.get(value, 0)
                self._facet_value(facet.column, value, f"{about}{number:,}")
            if facet.missing and None not in names:
                self._facet_value(facet.column, None, f"{about}{facet.missing:,}")
            self._rest(facet, shown)

    def _rest(self, facet: Facet, shown: int) -> None:
        """Offer a facet's further values, or say how many there are that are not listed."""
        t = self.view.t

        async def turn() -> None:
            self.wide ^= {facet.column}
            await self._show_facets(self.asked)

        left = max(len(facet.values) - shown, 0) + facet.more
        if len(facet.values) > FACET_VALUES:
            words = t("catalogue.more_values", count=left) if left else t("catalogue.fewer")
            tables.button(words, turn, "wm-text-button wm-small")
        elif left:
            plain("div", t("catalogue.more_values", count=left), "wm-muted")

    def _facet_value(self, column: str, value: str | None, number: str) -> None:
        async def click() -> None:
            self.clicked.read(self.where.value or "")
            self.clicked.toggle(column, value)
            self.where.set_value(self.clicked.where)
            await self._all()

        button = ui.element("button").on("click", click)
        button.props["type"] = "button"
        button.props["aria-pressed"] = "true" if self.clicked.has(column, value) else "false"
        with button:
            if value is None:
                plain("span", self.view.t("catalogue.missing")).style("font-style: italic")
            else:
                plain("span", value)
            plain("span", number, "wm-muted")

    # What a person does.

    async def _typed(self) -> None:
        self.clicked.read(self.where.value or "")
        await self._all()

    async def _turned(self) -> None:
        await self._page()

    async def _sort(self, order: tuple[str, bool] | None) -> None:
        self.order = order
        self.pager.first()
        await self._page()

    async def _open(self, key: str) -> None:
        await self.drawer.open(key)

    async def _tab_shown(self, event: Any) -> None:
        if event.value == "completeness":
            await self.completeness.show(self.clicked.where)

    async def _pick_missing(self, category: str, attribute: str) -> None:
        """Select the products of a category that lack an attribute."""
        self.clicked.read(self.where.value or "")
        if category and "category" in self.columns and not self.clicked.has("category", category):
            self.clicked.toggle("category", category)
        if not self.clicked.has(attribute, None):
            self.clicked.toggle(attribute, None)
        self.where.set_value(self.clicked.where)
        self.tabs.set_value("products")
        await self._all()

    def _link(self) -> None:
        asked = {"catalog": self.catalog}
        if self.clicked.where:
            asked["where"] = self.clicked.where
        if text := self._searched():
            asked["search"] = text
        query = urlencode(asked)
        self.new_run.props["href"] = f"/new?{query}"
        self.new_run.update()
        ui.run_javascript(f"history.replaceState(null, '', '/catalogue?{query}')")

    async def _build(self) -> None:
        t = self.view.t
        slots = await Browse(await self.view.workspace()).slot_names()
        names = list(dict.fromkeys((*self.columns, *slots)))

        def draw() -> dialogs.Save:
            column = ui.select(names, label=t("catalogue.column"), with_input=True)
            column.props("autofocus")
            operators = {one: t(f"catalogue.op_{one}") for one in OPERATORS}
            operator = ui.select(operators, value="is", label=t("catalogue.operator"))
            value = ui.input(t("catalogue.value"))

            async def save() -> None:
                if not column.value:
                    raise UserError(t("catalogue.need_column"))
                try:
                    one = condition(column.value, operator.value, value.value or "")
                except ValueError:
                    raise UserError(t("catalogue.need_number")) from None
                self.clicked.read(self.where.value or "")
                self.clicked.add(one)

            return save

        if await dialogs.ask(self.view, t("catalogue.add_condition"), t("catalogue.add"), draw):
            self.where.set_value(self.clicked.where)
            await self._all()

    async def _save(self) -> None:
        t = self.view.t
        self.clicked.read(self.where.value or "")
        where, order = self.clicked.where, self._order_by()
        name = ""

        def draw() -> dialogs.Save:
            plain("code", where or t("run.everything"), "wm-code")
            box = ui.input(t("catalogue.save_as"), value=self.saved.value or "").props("autofocus")
            again = ui.checkbox(t("catalogue.replace"))

            async def save() -> None:
                nonlocal name
                browse = Browse(await self.view.workspace())
                saved = await browse.save_selection(
                    self.catalog, box.value or "", where, order, replace=again.value
                )
                name = saved.name

            return save

        if await dialogs.ask(self.view, t("catalogue.save"), t("catalogue.save"), draw):
            browse = Browse(await self.view.workspace())
            names = [one.name for one in await browse.selections(self.catalog)]
            self.saved.set_options(names, value=name)
            self.view.say(t("catalogue.saved_as", name=name))

    async def _load_saved(self, event: Any) -> None:
        browse = Browse(await self.view.workspace())
        found = [one for one in await browse.selections(self.catalog) if one.name == event.value]
        if not found or found[0].where == self.clicked.where:
            return
        self.clicked = Clicked()
        self.clicked.read(found[0].where)
        self.where.set_value(self.clicked.where)
        await self._all()

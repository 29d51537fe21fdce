"""A page of a run's items to choose from: a list of rows, or tiles where they have pictures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from nicegui import ui
from nicegui.element import Element

from waremill.web.pages.frame import plain
from waremill.web.pages.picture_tiles import TileGrid, fields_with_pictures
from waremill.web.pages.pictures import without_pictures
from waremill.web.pages.review_grid import GridRow, ItemGrid
from waremill.web.pages.shell import View

Layout = Literal["list", "tiles"]
SIZES: dict[Layout, int] = {"list": 50, "tiles": 200}
"""Rows of a page."""


class ItemBoard:
    """A page of items; `on_open` is handed a row, `on_chosen` is told that others are chosen, and
    `on_layout` that pages have another size now.
    """

    def __init__(
        self,
        view: View,
        run: str,
        *,
        on_open: Callable[[GridRow], Awaitable[None]],
        on_chosen: Callable[[], Awaitable[None]],
        on_layout: Callable[[], Awaitable[None]],
    ) -> None:
        self._view = view
        self._rows: dict[int, GridRow] = {}
        self._changed = on_layout
        self.layout: Layout = "list"
        self._list = ItemGrid(view, on_open=on_open, on_chosen=on_chosen)
        self._tiles = TileGrid(view, run, on_open=on_open, on_chosen=on_chosen)
        self._tiles.box.set_visibility(False)
        self._switch: Element | None = None
        self._field: ui.select | None = None

    @property
    def size(self) -> int:
        """How many rows a page has."""
        return SIZES[self.layout]

    def draw_switch(self) -> None:
        """Draw what chooses between list and tiles; seen only where there are pictures."""
        t = self._view.t
        with ui.element("span").classes("wm-bar wm-bar-middle") as self._switch:
            self._field = ui.select([], label=None).style("width: 150px")
            self._field.props["aria-label"] = t("pictures.shown_field")
            self._field.on_value_change(self._other_field)
            with ui.element("span").classes("px-modes").props("role=group") as group:
                group.props["aria-label"] = t("pictures.layout")
                self._buttons: dict[Layout, Element] = {}
                for layout in SIZES:
                    button = plain("button", t(f"pictures.layout_{layout}"), "px-button")
                    button.props["type"] = "button"
                    button.on("click", lambda layout=layout: self.choose(layout))
                    self._buttons[layout] = button
                plain("kbd", "t").props("aria-hidden=true")
        self._switch.set_visibility(False)

    def offer_tiles(self) -> None:
        """Begin with tiles, and offer the list beside them."""
        if self._switch is not None:
            self._switch.set_visibility(True)
        self._view.key("t", "pictures.key_layout", self._turn)
        self._view.key("*", "pictures.key_page", self._all)
        self._set("tiles")

    def _all(self) -> None:
        if self.layout == "tiles":
            self._tiles.choose_all()

    async def choose(self, layout: Layout) -> None:
        """Show the rows in another way."""
        if layout != self.layout:
            self._set(layout)
            await self._changed()

    async def _turn(self) -> None:
        await self.choose("list" if self.layout == "tiles" else "tiles")

    def _set(self, layout: Layout) -> None:
        self.layout = layout
        self._list.grid.set_visibility(layout == "list")
        self._tiles.box.set_visibility(layout == "tiles")
        if self._field is not None:
            self._field.set_visibility(layout == "tiles")
            for name, button in self._buttons.items():
                button.props["aria-pressed"] = "true" if name == layout else "false"
                button.update()

    def _other_field(self, event: Any) -> None:
        if event.value and self.layout == "tiles":
            self._tiles.show_field(event.value)

    def show(self, rows: Sequence[GridRow], about: str) -> None:
        """Show rows in place of those before; `about` names what stands beside the state."""
        self._rows = {row.item_id: row for row in rows}
        if self.layout == "list":
            self._list.show(
                [replace(row, values=without_pictures(row.values)) for row in rows], about
            )
            return
        fields = fields_with_pictures(rows)
        shown = ""
        if self._field is not None and fields:
            shown = self._field.value if self._field.value in fields else fields[-1]
            self._field.set_options(fields, value=shown)
        self._tiles.show(rows, shown)

    @property
    def _now(self) -> ItemGrid | TileGrid:
        return self._list if self.layout == "list" else self._tiles

    async def chosen(self) -> list[GridRow]:
        """Give the rows that are chosen, in the order they are shown."""
        return [self._rows[row.item_id] for row in await self._now.chosen()]

    async def focused(self) -> GridRow | None:
        """Give the row the keyboard is on; the first chosen one where it is on none."""
        row = await self._now.focused()
        return None if row is None else self._rows[row.item_id]

    async def open_focused(self) -> None:
        """Open the row the keyboard is on."""
        await self._now.open_focused()

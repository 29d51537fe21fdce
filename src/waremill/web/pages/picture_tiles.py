"""A page of a run's items as tiles with a picture each: the same rows as in the list of items.

The browser draws them (`tiles.js`) and fetches the pictures of those in sight alone. Words are
handed over as text and drawn as text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from nicegui import ui

from waremill.app.picture_cards import picture_fields
from waremill.web.pages.pictures import TILE, of_item
from waremill.web.pages.review_grid import GridRow
from waremill.web.pages.shell import View


class TileGrid:
    """A page of items; `on_open` is handed a row, `on_chosen` is told that others are chosen."""

    def __init__(
        self,
        view: View,
        run: str,
        *,
        on_open: Callable[[GridRow], Awaitable[None]],
        on_chosen: Callable[[], Awaitable[None]],
    ) -> None:
        self._view = view
        self._run = run
        self._rows: dict[int, GridRow] = {}
        self._open = on_open
        self.box = ui.element("div").classes("tl-box")
        ui.on("tiles_chosen", on_chosen, args=[])
        ui.on("tile_opened", self._opened, args=None)

    def show(self, rows: Sequence[GridRow], field: str) -> None:
        """Show rows in place of those before, each with its picture of a field."""
        self._rows = {row.item_id: row for row in rows}
        t = self._view.t
        words = {
            "label": t("pictures.tiles"), "none": t("pictures.no_picture"),
            "nothing": t("items.none"),
        }  # fmt: skip
        self._tell("show", [self._tile(row, field) for row in rows], words)

    def show_field(self, field: str) -> None:
        """Show another picture of the same rows."""
        found = {str(row.item_id): self._source(row, field) for row in self._rows.values()}
        self._tell("picture", {number: one for number, one in found.items() if one})

    def choose_all(self) -> None:
        """Choose all rows of the page, or none where all are chosen."""
        self._tell("all")

    def _tell(self, what: str, *given: Any) -> None:
        texts = ", ".join(orjson.dumps(one).decode() for one in (self.box.id, *given))
        with self.box:
            ui.run_javascript(f"waremillTiles.{what}({texts})")

    def _tile(self, row: GridRow, field: str) -> dict[str, Any]:
        view = self._view
        word = view.word("state", row.state)
        pictures = picture_fields(row.values)
        count = sum(map(len, pictures.values()))
        return {
            "id": row.item_id, "key": row.key, "target": row.target, "state": row.state,
            "word": word, "about": row.about, "src": self._source(row, field),
            "label": ", ".join(part for part in (row.key, row.target, word, row.about) if part),
            "more": view.t("pictures.more_pictures", count=count - 1) if count > 1 else "",
        }  # fmt: skip

    def _source(self, row: GridRow, field: str) -> str:
        """Give where a row's picture is: of the field that is looked at, else its last one."""
        pictures = picture_fields(row.values)
        if not pictures:
            return ""
        wanted = pictures.get(field) or list(pictures.values())[-1]
        return of_item(self._run, row.item_id, wanted[0], TILE)

    async def chosen(self) -> list[GridRow]:
        """Give the rows that are chosen, in the order they are shown."""
        with self.box:
            numbers = await ui.run_javascript(f"return waremillTiles.chosen({self.box.id})")
        return [self._rows[one] for one in numbers if one in self._rows]

    async def focused(self) -> GridRow | None:
        """Give the row the keyboard is on; the first chosen one where it is on none."""
        with self.box:
            number = await ui.run_javascript(f"return waremillTiles.focused({self.box.id})")
        if number in self._rows:
            return self._rows[number]
        return next(iter(await self.chosen()), None)

    async def open_focused(self) -> None:
        """Open the row the keyboard is on."""
        row = await self.focused()
        if row is not None:
            await self._open(row)

    async def _opened(self, event: Any) -> None:
        if event.args in self._rows:
            await self._open(self._rows[event.args])


def fields_with_pictures(rows: Sequence[GridRow]) -> list[str]:
    """Give the fields of some rows that hold pictures, in the order they are made."""
    return list(dict.fromkeys(name for row in rows for name in picture_fields(row.values)))

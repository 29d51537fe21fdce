"""Products in AG Grid, a page at a time: the server sorts and filters, the browser draws.

Cells are text. Columns go by number: a name out of the data never becomes a key of the options,
where one that begins with a colon would be run as script.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from waremill.app.picture_cards import photos
from waremill.domain import Product
from waremill.web.pages import tables
from waremill.web.pages.pictures import SMALL, of_product
from waremill.web.pages.shell import SECONDS_TO_ASK, View

MOST_COLUMNS = 60
PICTURE_HEIGHT = 60
"""Pixels of a row that shows a picture."""
_NARROWEST, _WIDEST = 80, 260
_LOCAL = {
    "zh": {"noRowsToShow": "没有商品", "loadingOoo": "加载中…"},
    "en": {"noRowsToShow": "No products"},
}


class ProductGrid:
    """A page of products; `on_open` is handed a key, `on_sort` an ordering or None."""

    def __init__(
        self,
        view: View,
        catalog: str,
        key_name: str,
        columns: Sequence[str],
        *,
        on_open: Callable[[str], Awaitable[None]],
        on_sort: Callable[[tuple[str, bool] | None], Awaitable[None]],
    ) -> None:
        self._columns = tuple(columns[:MOST_COLUMNS])
        self._keys: list[str] = []
        self._fitted = self._pictured = False
        self._view = view
        self._catalog = catalog
        self._key_name = key_name
        self._open = on_open
        self._sort = on_sort
        self.grid = ui.aggrid(
            {
                "columnDefs": self._definitions(()),
                "components": {":picture": "(params) => waremillPictures.cell(params)"},
                "rowData": [],
                "defaultColDef": {
                    "sortable": True, "resizable": True, "suppressMovable": True,
                    "filter": False, ":comparator": "() => 0", "tooltipComponent": None,
                    "suppressHeaderMenuButton": True,
                },
                "rowHeight": 27, "headerHeight": 29, "suppressCellFocus": False,
                "suppressMultiSort": True, "enableCellTextSelection": True,
                "localeText": _LOCAL[view.language], "tooltipShowDelay": 600,
                "animateRows": False, "suppressFieldDotNotation": True,
            },
            theme="balham", auto_size_columns=False,
        ).classes("wm-grid")  # fmt: skip
        self.grid.on("cellClicked", self._clicked, ["rowIndex", "colId"])
        self.grid.on("sortChanged", self._sorted, args=[])
        view.key("Enter", "catalogue.key_open", self._enter)

    def _definitions(self, rows: Sequence[Product]) -> list[dict[str, Any]]:
        """Give the columns, as wide as what the rows hold asks for."""
        return [
            {"field": "key", "headerName": self._key_name, "pinned": "left", "width": 130,
             "cellClass": "wm-key-cell"},
            *([{"field": "picture", "headerName": self._view.t("pictures.column"), "width": 72,
                "pinned": "left", "sortable": False, "cellRenderer": "picture"}]
              if self._pictured else ()),
            *({"field": f"c{place}", "headerName": name,
               "width": _width(name, [tables.shown(one.attributes.get(name)) for one in rows])}
              for place, name in enumerate(self._columns)),
        ]  # fmt: skip

    def show(self, rows: Sequence[Product]) -> None:
        """Show a page of products in place of the one before."""
        sources = [self._picture(one) for one in rows]
        if rows and (not self._fitted or (any(sources) and not self._pictured)):
            self._fitted = True  # once: a person may have made them wider since
            if any(sources):
                self._pictured = True
                self.grid.classes("px-grid")
                self.grid.run_grid_method("setGridOption", "rowHeight", PICTURE_HEIGHT)
            self.grid.run_grid_method("setGridOption", "columnDefs", self._definitions(rows))
        self._keys = [one.key for one in rows]
        data = [
            {"key": one.key, "picture": source}
            | {
                f"c{place}": tables.shown(one.attributes[name]).replace("\n", " · ")
                for place, name in enumerate(self._columns)
                if name in one.attributes
            }
            for one, source in zip(rows, sources, strict=True)
        ]
        self.grid.run_grid_method("setGridOption", "rowData", data)

    def _picture(self, product: Product) -> str:
        """Give where the first picture is that a product names; empty for none."""
        origin = next((origin for origin, _ in photos(product.attributes)), None)
        if origin is None:
            return ""
        return of_product(self._catalog, product.key, origin, SMALL)

    async def _clicked(self, event: Any) -> None:
        await self._show_row(event.args.get("rowIndex"))

    async def _enter(self) -> None:
        row = await ui.run_javascript(
            f"return getElement({self.grid.id}).api?.getFocusedCell()?.rowIndex ?? null",
            timeout=SECONDS_TO_ASK,
        )
        await self._show_row(row)

    async def _show_row(self, row: Any) -> None:
        if isinstance(row, int) and 0 <= row < len(self._keys):
            await self._open(self._keys[row])

    async def _sorted(self) -> None:
        state = await self.grid.run_grid_method("getColumnState")
        for column in state or ():
            if not column.get("sort"):
                continue
            number = str(column["colId"])
            name = "_key" if number == "key" else self._columns[int(number.removeprefix("c"))]
            await self._sort((name, column["sort"] == "desc"))
            return
        await self._sort(None)


def _width(name: str, texts: Sequence[str]) -> int:
    """Give a width in pixels at which the heading, and nine of ten cells, can be read whole."""
    lengths = sorted(sum(1 if char.isascii() else 2 for char in text) for text in texts)
    usual = lengths[len(lengths) * 9 // 10] if lengths else 0
    return min(_WIDEST, max(46 + 8 * len(name), 26 + 8 * usual, _NARROWEST))

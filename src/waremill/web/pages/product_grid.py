"""Products in AG Grid, a page at a time: the server sorts and filters, the browser draws.

Cells are text. Columns go by number: a name out of the data never becomes a key of the options,
where one that begins with a colon would be run as script.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from waremill.domain import Product
from waremill.web.pages import tables
from waremill.web.pages.shell import View

MOST_COLUMNS = 60
_LOCAL = {
    "zh": {"noRowsToShow": "没有商品", "loadingOoo": "加载中…"},
    "en": {"noRowsToShow": "No products"},
}


class ProductGrid:
    """A page of products; `on_open` is handed a key, `on_sort` an ordering or None."""

    def __init__(
        self,
        view: View,
        key_name: str,
        columns: Sequence[str],
        *,
        on_open: Callable[[str], Awaitable[None]],
        on_sort: Callable[[tuple[str, bool] | None], Awaitable[None]],
    ) -> None:
        self._columns = tuple(columns[:MOST_COLUMNS])
        self._keys: list[str] = []
        self._open = on_open
        self._sort = on_sort
        definitions: list[dict[str, Any]] = [
            {"field": "key", "headerName": key_name, "pinned": "left", "width": 130,
             "cellClass": "wm-key-cell"},
            *({"field": f"c{place}", "headerName": name, "width": _width(name)}
              for place, name in enumerate(self._columns)),
        ]  # fmt: skip
        self.grid = ui.aggrid(
            {
                "columnDefs": definitions,
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

    def show(self, rows: Sequence[Product]) -> None:
        """Show a page of products in place of the one before."""
        self._keys = [one.key for one in rows]
        data = [
            {"key": one.key}
            | {
                f"c{place}": tables.shown(one.attributes[name]).replace("\n", " · ")
                for place, name in enumerate(self._columns)
                if name in one.attributes
            }
            for one in rows
        ]
        self.grid.run_grid_method("setGridOption", "rowData", data)

    async def _clicked(self, event: Any) -> None:
        await self._show_row(event.args.get("rowIndex"))

    async def _enter(self) -> None:
        row = await ui.run_javascript(
            f"return getElement({self.grid.id}).api?.getFocusedCell()?.rowIndex ?? null"
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


def _width(name: str) -> int:
    long = any(
        part in name.lower() for part in ("description", "描述", "详情", "notes", "ingredient")
    )
    return 260 if long else max(96, min(200, 46 + 8 * len(name)))

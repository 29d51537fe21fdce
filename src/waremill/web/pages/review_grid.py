"""A page of a run's items in AG Grid, with rows to choose. Cells are text.

Columns go by number: a name out of the data never becomes a key of the options, where one that
begins with a colon would be run as script.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from waremill.domain import is_missing
from waremill.web.pages import tables
from waremill.web.pages.shell import SECONDS_TO_ASK, View

MOST_FIELDS = 30
_LOCAL = {
    "zh": {"noRowsToShow": "没有符合条件的条目", "ariaRowToggleSelection": "按空格键选择此行",
           "ariaHeaderSelection": "选择本页全部行"},
    "en": {"noRowsToShow": "No item matches"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GridRow:
    """An item as a row; `version` is known where the list told it."""

    item_id: int
    key: str
    target: str
    state: str
    about: str
    values: Mapping[str, Any]
    version: int | None = None


class ItemGrid:
    """A page of items; `on_open` is handed a row, `on_chosen` how many are chosen."""

    def __init__(
        self,
        view: View,
        *,
        on_open: Callable[[GridRow], Awaitable[None]],
        on_chosen: Callable[[], Awaitable[None]],
    ) -> None:
        self._view = view
        self._rows: dict[int, GridRow] = {}
        self._order: list[int] = []
        self._fields: list[str] = []
        self._open = on_open
        self._about = view.t("review.findings")
        self.grid = ui.aggrid(
            {
                "columnDefs": self._columns(), "rowData": [],
                "defaultColDef": {
                    "sortable": False, "resizable": True, "suppressMovable": True, "filter": False,
                    "tooltipComponent": None, "suppressHeaderMenuButton": True,
                },
                ":getRowId": "(params) => String(params.data.id)",
                "rowSelection": {
                    "mode": "multiRow", "checkboxes": True, "headerCheckbox": True,
                    "enableClickSelection": False,
                },
                "selectionColumnDef": {"width": 40, "pinned": "left"},
                "rowHeight": 27, "headerHeight": 29, "enableCellTextSelection": True,
                "localeText": _LOCAL[view.language], "animateRows": False,
                "suppressFieldDotNotation": True,
            },
            theme="balham", auto_size_columns=False,
        ).classes("wm-grid")  # fmt: skip
        self.grid.on("selectionChanged", on_chosen, args=[])
        self.grid.on("cellDoubleClicked", self._clicked, ["rowIndex"])

    def _columns(self) -> list[dict[str, Any]]:
        t = self._view.t
        fixed = [("key", t("review.key"), 130), ("target", t("review.target"), 140),
                 ("state", t("review.states"), 105), ("about", self._about, 160)]  # fmt: skip
        columns: list[dict[str, Any]] = [
            {"field": name, "headerName": label, "width": width} for name, label, width in fixed
        ]
        columns[0] |= {"pinned": "left", "cellClass": "wm-key-cell"}
        columns += [
            {"field": f"c{place}", "headerName": name, "minWidth": 240, "flex": 1}
            for place, name in enumerate(self._fields)
        ]
        return columns

    def show(self, rows: Sequence[GridRow], about: str) -> None:
        """Show rows in place of those before; `about` names the column beside the state."""
        fields = _fields(rows) or self._fields
        self._rows = {row.item_id: row for row in rows}
        self._order = [row.item_id for row in rows]
        if fields != self._fields or about != self._about:
            self._fields, self._about = fields, about
            self.grid.options["columnDefs"] = self._columns()
            self.grid.run_grid_method("setGridOption", "columnDefs", self._columns())
        data = [self._cells(row) for row in rows]
        self.grid.run_grid_method("deselectAll")
        self.grid.run_grid_method("setGridOption", "rowData", data)
        self.grid.options["rowData"] = data

    def _cells(self, row: GridRow) -> dict[str, Any]:
        return {
            "id": row.item_id, "key": row.key, "target": row.target or "—",
            "state": self._view.word("state", row.state), "about": row.about,
        } | {
            f"c{place}": tables.shown(row.values[name]).replace("\n", " · ")
            for place, name in enumerate(self._fields)
            if name in row.values
        }  # fmt: skip

    async def chosen(self) -> list[GridRow]:
        """Give the rows that are chosen, in the order they are shown."""
        rows = await self.grid.run_grid_method("getSelectedRows", timeout=SECONDS_TO_ASK)
        picked = {row.get("id") for row in rows or ()}
        return [self._rows[number] for number in self._order if number in picked]

    async def focused(self) -> GridRow | None:
        """Give the row the keyboard is on; the first chosen one where it is on none."""
        row = await ui.run_javascript(
            f"return getElement({self.grid.id}).api?.getFocusedCell()?.rowIndex ?? null",
            timeout=SECONDS_TO_ASK,
        )
        if isinstance(row, int) and 0 <= row < len(self._order):
            return self._rows[self._order[row]]
        return next(iter(await self.chosen()), None)

    async def _clicked(self, event: Any) -> None:
        row = event.args.get("rowIndex")
        if isinstance(row, int) and 0 <= row < len(self._order):
            await self._open(self._rows[self._order[row]])

    async def open_focused(self) -> None:
        """Open the row the keyboard is on."""
        row = await self.focused()
        if row is not None:
            await self._open(row)


def _fields(rows: Sequence[GridRow]) -> list[str]:
    """Give the fields to show: those that most rows have first, what no row has last."""
    filled: dict[str, int] = {}
    for row in rows:
        for name, value in row.values.items():
            filled[name] = filled.get(name, 0) + (not is_missing(value))
    return sorted(filled, key=lambda name: -filled[name])[:MOST_FIELDS]

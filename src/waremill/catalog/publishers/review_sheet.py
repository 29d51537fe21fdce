"""Write a sheet for review in Excel: drop-downs for the verdict, hidden columns that name the item.

Like every sheet written here it holds no formula and no link. It must not know what a run is, or
read a sheet that comes back (see `waremill.catalog.readers.review_sheet`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waremill.catalog.publishers.table import Written, json_text, plain, printable
from waremill.catalog.publishers.whole_file import whole_file
from waremill.catalog.publishers.xlsx import MAX_CELL_UNITS, MAX_EXACT_INTEGER, MAX_ROWS
from waremill.errors import ConfigError

_FILLS = {"verdict": "#FFF6DD", "field": "#EAF2FB", "status": "#F2F2F2"}
_WIDTHS = {"verdict": 12.0, "field": 44.0, "status": 16.0, "source": 22.0}
CUT = "…"


@dataclass(frozen=True, slots=True)
class ReviewColumn:
    """A column: `hidden` names the item, `verdict` is filled in, `field` may be edited, `status`
    and `source` are to be read. `choices` make a drop-down; `note` is shown on the heading.
    """

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    note: str = ""


@dataclass(slots=True)
class _Cells:
    names: Sequence[str]
    rows: int = 0
    cut: int = 0
    formats: Mapping[str, Any] = field(default_factory=dict)

    def record(self, row: Sequence[Any]) -> dict[str, Any]:
        self.rows += 1
        if self.rows > MAX_ROWS:
            raise ConfigError(
                f"more than {MAX_ROWS:,} items do not fit an Excel sheet: export fewer at a time"
            )
        cells = {name: cell(value) for name, value in zip(self.names, row, strict=True)}
        self.cut += sum(isinstance(one, str) and one.endswith(CUT) and is_cut(one)
                        for one in cells.values())  # fmt: skip
        return cells


def cell(value: Any) -> Any:
    """Turn a value into what a cell of a review sheet holds: a list has an entry a line.

    Text beyond what a cell can hold is cut and ends in `…`.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER else str(value)
    value = plain(value)
    if isinstance(value, list) and not any(isinstance(one, (list, dict)) for one in value):
        value = "\n".join("" if one is None else _word(one) for one in value)
    elif isinstance(value, (list, dict)):
        value = json_text(value)
    if not isinstance(value, str):
        return value
    text = printable(value)
    if len(text) * 2 > MAX_CELL_UNITS:
        units = text.encode("utf-16-le", "surrogatepass")
        if len(units) // 2 > MAX_CELL_UNITS:
            return units[: (MAX_CELL_UNITS - 1) * 2].decode("utf-16-le", "ignore") + CUT
    return text


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_cut(text: str) -> bool:
    """Say whether a cell's text is one that was cut to fit."""
    return text.endswith(CUT) and len(text.encode("utf-16-le", "surrogatepass")) // 2 >= (
        MAX_CELL_UNITS - 1
    )


def write_review_sheet(
    path: Path, columns: Sequence[ReviewColumn], rows: Iterable[Sequence[Any]]
) -> Written:
    """Write a review sheet, whole or not at all, in constant memory; say how many rows it has.

    Columns must have different names. Raises ConfigError where the place cannot be written, the
    suffix is not .xlsx, or the rows do not fit a sheet.
    """
    if path.suffix.lower() != ".xlsx":
        raise ConfigError("a review sheet is an Excel workbook: name it with .xlsx")
    cells = _Cells([one.name for one in columns])
    records = map(cells.record, rows)
    # A workbook needs a row for its header to be written: a blank one, which is not read back.
    first = list(itertools.islice(records, 1)) or [dict.fromkeys(cells.names)]
    with whole_file(path) as temporary:
        _save(itertools.chain(first, records), temporary, columns)
    notes = []
    if cells.cut:
        notes.append(
            f"{cells.cut:,} cells were longer than the {MAX_CELL_UNITS:,} characters Excel holds "
            f"and end in {CUT}; edits of them are not taken back"
        )
    return Written(cells.rows, tuple(notes))


def _save(records: Iterator[dict[str, Any]], path: Path, columns: Sequence[ReviewColumn]) -> None:
    import rustpy_xlsxwriter as writer

    formats = {}
    for one in columns:
        style = writer.Format().set_text_wrap().set_align("top")
        if one.kind in _FILLS:
            style = style.set_background_color(_FILLS[one.kind]).set_border("thin")
            style = style.set_border_color("#D9DEE5")
        formats[one.name] = style
    header = writer.Format().set_bold().set_background_color("#1F3A5F").set_font_color("#FFFFFF")
    validations = {
        one.name: {
            "type": "list", "values": list(one.choices), "error_style": "stop",
            "error_title": one.name, "error_message": f"Choose from the list: "
            f"{', '.join(one.choices)}."[:255],
        }
        for one in columns
        if one.choices
    }  # fmt: skip
    shown = next((place for place, one in enumerate(columns) if one.kind != "hidden"), 0)
    writer.write_worksheet(
        records, str(path), sheet_name="Review", freeze_row=1, freeze_col=shown + 1,
        autofilter=True, header_format=header, column_formats=formats,
        column_widths={one.name: 0.0 if one.kind == "hidden" else _WIDTHS[one.kind]
                       for one in columns},
        data_validations=validations, notes={one.name: one.note for one in columns if one.note},
        # Digits kept as text are meant: no green triangle on a GTIN.
        ignore_errors=[one.name for one in columns],
    )  # fmt: skip

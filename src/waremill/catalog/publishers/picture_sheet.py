"""Write an Excel sheet that shows pictures: each in its cell, with the file's path below it.

The usual writer knows no pictures, so sheets with some are written by another; what a sheet looks
like is handed in and the same for both. Text stays text here too, whatever it starts with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from waremill.catalog.publishers.table import Column, PictureCell

SIDE = 96
"""Pixels of the longest side of a picture in a cell."""
MOST_SHOWN = 5_000
"""Pictures a sheet shows; further ones are named by their paths alone, or Excel opens slowly."""
_ROW_PIXELS = SIDE + 24
_COLUMN_PIXELS = SIDE + 16
_CHARACTER_PIXELS = 7
"""Excel's column widths are in digits of the default font, Calibri 11, which are 7 pixels wide."""


def picture_cells(row: Iterable[Any]) -> list[PictureCell | None]:
    """Give each value's picture, of several the first; None for what is none."""
    return [_picture(value) for value in row]


def _picture(value: Any) -> PictureCell | None:
    if isinstance(value, list | tuple) and value:
        value = value[0]
    return value if isinstance(value, PictureCell) else None


def save_with_pictures(
    path: Path,
    columns: Sequence[Column],
    rows: Iterable[tuple[Mapping[str, Any], Sequence[PictureCell | None]]],
    appearance: Mapping[str, Any],
    fills: Mapping[str, str],
) -> int:
    """Write the sheet; give how many pictures were left out of it.

    `rows` are records of plain values by column name, in the order of `columns`, and the pictures
    of their cells. `appearance` has `sheet_name` and `column_widths` in characters.
    """
    import xlsxwriter

    names = [column.name for column in columns]
    shown = left = 0
    with contextlib.closing(xlsxwriter.Workbook(str(path), {"constant_memory": True})) as book:
        sheet = book.add_worksheet(appearance["sheet_name"])
        header = book.add_format({"bold": True, "bg_color": "#1F3A5F", "font_color": "#FFFFFF"})
        formats = [_format(book, fills.get(column.kind)) for column in columns]
        for place, name in enumerate(names):
            sheet.set_column(place, place, appearance["column_widths"][name])
            sheet.write_string(0, place, name, header)
        sheet.freeze_panes(1, 0)
        wide: set[int] = set()
        last = 0
        for last, (record, pictures) in enumerate(rows, 1):
            if any(pictures):
                sheet.set_row_pixels(last, _ROW_PIXELS)
            for place, value in enumerate(record.values()):
                _write(sheet, last, place, value, formats[place])
            for place, picture in enumerate(pictures):
                if picture is None:
                    continue
                if shown >= MOST_SHOWN or picture.thumbnail is None:
                    left += 1
                    continue
                wide.add(place)
                shown += 1
                sheet.insert_image(
                    last, place, str(picture.thumbnail),
                    {"x_offset": 4, "y_offset": 2, "object_position": 1,
                     "description": picture.path},
                )  # fmt: skip
        for place in wide:
            text = round(appearance["column_widths"][names[place]] * _CHARACTER_PIXELS)
            sheet.set_column_pixels(place, place, max(_COLUMN_PIXELS, text))
        sheet.autofilter(0, 0, last, max(len(names) - 1, 0))
    return left


def _format(book: Any, fill: str | None) -> Any:
    look: dict[str, Any] = {"valign": "bottom"}
    if fill is not None:
        look |= {"bg_color": fill, "border": 1, "border_color": "#D9DEE5"}
    return book.add_format(look)


def _write(sheet: Any, row: int, place: int, value: Any, style: Any) -> None:
    if value is None:
        sheet.write_blank(row, place, None, style)
    elif isinstance(value, bool):
        sheet.write_boolean(row, place, value, style)
    elif isinstance(value, int | float):
        sheet.write_number(row, place, value, style)
    else:
        sheet.write_string(row, place, str(value), style)

"""Finding the table inside a grid of cells: header rows, column names, and where the data begins.

Works on the first rows of a sheet or file and knows nothing about formats. It must not clean data
cells; header cells are cleaned because they become names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from waremill.catalog.cleaning import clean_text

Merge = tuple[tuple[int, int], tuple[int, int]]
"""A merged range: (first row, first column), (last row, last column), all from 0."""

_SEARCHED_ROWS = 100
_CANDIDATE_ROWS = 60
_VALUE = re.compile(
    r"\s*(?:[-+(]?[$€£¥￥]?\s?[\d.,'’\u00a0 ]*\d[\d.,'’ )]*\s?[%€$£¥元]?"  # numbers, money
    r"|\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}日?(?:[ T]\d{1,2}:\d{2}.*)?"  # dates
    r"|https?://\S+|true|false)\s*",
    re.IGNORECASE,
)
_NOTES_TITLE = re.compile(
    r"\s*(?:foot|end)?(?:notes?|sources?|remarks?|anmerkung(?:en)?|fußnoten?|quellen?|hinweise?"
    r"|notas?|fuentes?|remarques?|备注|注释|说明|注|来源)\s*(?:\(s\)|\(n\))?\s*[:：]?\s*",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_COMMON_NAMES_WORDS = (
    "id sku ean gtin upc asin mpn barcode code name title product brand vendor "
    "manufacturer price description category type color colour size quantity qty stock "
    "url image notes date year status handle label value key number region email weight "
    "width height gender season model 编号 序号 名称 商品名称 品名 标题 品牌 价格 规格 类目 分类 "
    "描述 备注 数量 颜色 材质 型号 条码 单位 nom marque prix produit bezeichnung marke preis "
    "artikel artikelnummer farbe menge nombre marca precio"
)
_COMMON_NAMES = frozenset(_COMMON_NAMES_WORDS.split())


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a table is: the names of its columns, which grid columns they are (from 0), and the
    index of the first data row in the searched grid. `header` is the index of the (last) header
    row, None where there is none, and `top` of the first; `blank` are the positions in `indexes`
    without a header text.
    """

    names: tuple[str, ...]
    indexes: tuple[int, ...]
    first: int
    header: int | None
    notes: tuple[str, ...] = ()
    blank: tuple[int, ...] = ()
    top: int = 0


def is_blank(cell: object) -> bool:
    """Say whether a cell is empty or white space."""
    return cell is None or cell == "" or (isinstance(cell, str) and not cell.strip())


def _is_value(cell: object) -> bool:
    """Say whether a cell looks like data (number, date, link, long prose), not like a name."""
    if isinstance(cell, str):
        return len(cell) > 300 or _VALUE.fullmatch(cell) is not None
    return True


def is_notes_title(row: Sequence[Any]) -> bool:
    """Say whether a row is nothing but a title such as `Notes:`, which opens a footer."""
    cells = [cell for cell in row if not is_blank(cell)]
    return len(cells) == 1 and isinstance(cells[0], str) and bool(_NOTES_TITLE.fullmatch(cells[0]))


def _notes_start(grid: Sequence[Sequence[Any]], first: int) -> int:
    for index in range(first + 1, len(grid)):
        if is_notes_title(grid[index]) and all(is_blank(cell) for cell in grid[index - 1]):
            return index
    return len(grid)


def find_layout(grid: Sequence[Sequence[Any]], merges: Sequence[Merge] = ()) -> Layout | None:
    """Find the table in the first rows of a grid; None where every cell is blank.

    Each early row is scored as a header: how many of the used columns it names, how many of those
    hold values rather than text below it, whether the next row looks like the data below, and how
    many wide rows stand above it. The best row wins, the first one among equals; a row that is
    itself data means there is no header and columns are numbered.
    """
    filled = [
        (index, [column for column, cell in enumerate(row) if not is_blank(cell)])
        for index, row in enumerate(grid)
    ]
    filled = [(index, columns) for index, columns in filled if columns][:_SEARCHED_ROWS]
    if not filled:
        return None
    header = _best_header(grid, filled)
    if header is None:
        return _without_header(grid, filled[0][0])
    rows = _header_rows(grid, header, merges)
    return _named(grid, rows, merges)


def _best_header(
    grid: Sequence[Sequence[Any]], filled: Sequence[tuple[int, list[int]]]
) -> int | None:
    widths = sorted(len(columns) for _, columns in filled)
    typical = widths[int(0.9 * (len(widths) - 1))]
    if len(filled) == 1:
        return filled[0][0]
    best: tuple[float, int] | None = None
    crowd = 0.0
    for place, (index, columns) in enumerate(filled[:_CANDIDATE_ROWS]):
        below = [item for item in filled[place + 1 :] if len(item[1]) * 2 >= typical]
        if below:
            score = _score(grid, index, columns, below, filled[place + 1][0]) - crowd
            if best is None or score > best[0] + 1e-9:
                best = (score, index)
        share = min(1.0, len(columns) / typical)
        crowd += 0.6 * share if share >= 0.5 else 0.0
    if best is None:
        return filled[0][0]
    return None if _is_data_row(grid, best[1], filled) else best[1]


def _score(
    grid: Sequence[Sequence[Any]],
    index: int,
    columns: Sequence[int],
    below: Sequence[tuple[int, list[int]]],
    following: int,
) -> float:
    row = grid[index]
    majority = _majorities(grid, below)
    values = _data_like(row, columns)
    names = [str(row[column]).strip() for column in columns]
    if not majority or len(values) * 5 > len(columns) * 2:
        return -10.0
    covered = sum(column in majority for column in columns) / len(majority)
    contrast = sum(majority.get(column, False) for column in columns if column not in values)
    next_row = grid[following]
    alike = sum(
        column < len(next_row)
        and not is_blank(next_row[column])
        and _is_value(next_row[column]) == kind
        for column, kind in majority.items()
    )
    score = covered + (0.5 * contrast + alike) / len(majority)
    score -= 0.3 * sum(any(map(str.isdigit, name)) for name in names) / len(names)
    score -= 0.5 * sum(len(name) > 80 for name in names) / len(names)
    score -= len(values) / len(columns)
    known = any(name.strip("*: ").casefold() in _COMMON_NAMES for name in names)
    return score + (0.5 if known else 0.0)


def _majorities(
    grid: Sequence[Sequence[Any]], below: Sequence[tuple[int, list[int]]]
) -> dict[int, bool]:
    """Give for each column that is used below whether it mostly holds values."""
    used: dict[int, list[bool]] = {}
    for index, columns in below[:30]:
        for column in columns:
            used.setdefault(column, []).append(_is_value(grid[index][column]))
    rare = len(below[:30]) * 0.1
    return {
        column: 2 * sum(kinds) > len(kinds) for column, kinds in used.items() if len(kinds) >= rare
    }


def _data_like(row: Sequence[Any], columns: Sequence[int]) -> set[int]:
    """Give the columns whose cell is a value; a row of rising years is a row of names."""
    values = {column for column in columns if _is_value(row[column])}
    years = [_year(row[column]) for column in columns if column in values]
    if len(years) >= 2 and None not in years:
        numbers = [year for year in years if year is not None]
        if numbers in (sorted(set(numbers)), sorted(set(numbers), reverse=True)):
            return set()
    return values


def _year(cell: object) -> int | None:
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    return int(text) if _YEAR.fullmatch(text) else None


def _is_data_row(
    grid: Sequence[Sequence[Any]], index: int, filled: Sequence[tuple[int, list[int]]]
) -> bool:
    columns = next(columns for at, columns in filled if at == index)
    values = _data_like(grid[index], columns)
    below = [item for item in filled if item[0] > index]
    if not values or not below:
        return bool(values) and len(values) == len(columns)
    majority = _majorities(grid, below)
    return any(majority.get(column, False) for column in values)


def _header_rows(grid: Sequence[Sequence[Any]], header: int, merges: Sequence[Merge]) -> list[int]:
    """Give the header's rows from top to bottom: a merged header cell may span several."""
    top = bottom = header
    for (first, left), (last, right) in merges:
        if first == header and last > first and last - first <= 10:
            bottom = max(bottom, last)
        if first == last == header - 1 and right > left and _is_group_row(grid, header - 1):
            top = header - 1
    if bottom >= len(grid):
        bottom = header
    if bottom == header and top == header:
        for (first, left), (last, right) in merges:
            if first == last == header and right > left and _is_second_header(grid, header, merges):
                bottom = header + 1
                break
    return list(range(top, bottom + 1))


def _is_group_row(grid: Sequence[Sequence[Any]], index: int) -> bool:
    """Say whether a row holds group titles: several texts, and no preamble right above them."""
    titles = [cell for cell in grid[index] if not is_blank(cell)]
    alone = index == 0 or all(is_blank(cell) for cell in grid[index - 1])
    return alone and len(titles) >= 2 and all(isinstance(cell, str) for cell in titles)


def _is_second_header(grid: Sequence[Sequence[Any]], header: int, merges: Sequence[Merge]) -> bool:
    """Say whether the row below names the columns under horizontally merged group titles."""
    if header + 2 >= len(grid):
        return False
    under = {
        column
        for (first, left), (last, right) in merges
        if first == last == header and right > left
        for column in range(left, right + 1)
    }
    row = grid[header + 1]
    cells = {column: cell for column, cell in enumerate(row) if not is_blank(cell)}
    return bool(cells) and all(
        column in under and isinstance(cell, str) and not _is_value(cell)
        for column, cell in cells.items()
    )


def _named(grid: Sequence[Sequence[Any]], rows: Sequence[int], merges: Sequence[Merge]) -> Layout:
    first = rows[-1] + 1
    width = max((len(row) for row in grid), default=0)
    texts: list[list[str]] = [[] for _ in range(width)]
    for index in rows:
        for column, cell in enumerate(grid[index]):
            text = "" if is_blank(cell) else _name_of(cell)
            if not text and (len(rows) == 1 or index != rows[-1]):
                text = _merged_text(grid, index, column, merges)
            if text and text not in texts[column]:
                texts[column].append(text)
    indexes: list[int] = []
    names: list[str] = []
    blank: list[int] = []
    body = grid[first : _notes_start(grid, first)]
    named = max(len(grid[index]) for index in rows)
    for column in range(width):
        name = " ".join(texts[column])
        if not name:
            used = sum(column < len(row) and not is_blank(row[column]) for row in body)
            # Beyond the header's own end, a few long rows are ragged ones and make no column.
            if not used or (column >= named and used * 2 < len(body)):
                continue
            blank.append(len(indexes))
            name = f"column_{column + 1}"
        indexes.append(column)
        names.append(name)
    notes = []
    if rows[0] > 0 and any(not is_blank(cell) for row in grid[: rows[0]] for cell in row):
        notes.append(f"the header was found in row {rows[0] + 1}; the rows above it were left out")
    if len(rows) > 1:
        notes.append(f"the header spans rows {rows[0] + 1} to {rows[-1] + 1}")
    unique = unique_names(names)
    return Layout(unique, tuple(indexes), first, rows[-1], tuple(notes), tuple(blank), top=rows[0])


def _merged_text(
    grid: Sequence[Sequence[Any]], row: int, column: int, merges: Sequence[Merge]
) -> str:
    for (first, left), (last, right) in merges:
        if first <= row <= last and left < column <= right and first < len(grid):
            cell = grid[first][left]
            return "" if is_blank(cell) else _name_of(cell)
    return ""


def _name_of(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return clean_text(str(cell)).replace("\n", " ")


def _without_header(grid: Sequence[Sequence[Any]], first: int) -> Layout:
    width = max(len(row) for row in grid)
    indexes = tuple(
        column
        for column in range(width)
        if any(column < len(row) and not is_blank(row[column]) for row in grid)
    )
    names = tuple(f"column_{column + 1}" for column in indexes)
    note = "no header row was found: the columns are numbered"
    return Layout(names, indexes, first, None, (note,))


def unique_names(names: Sequence[str], taken: Collection[str] = ()) -> tuple[str, ...]:
    """Give the names with `_2`, `_3` … added to repeated ones."""
    used = set(taken)
    originals = set(names)
    unique: list[str] = []
    for name in names:
        candidate, count = name, 1
        while candidate in used or (count > 1 and candidate in originals):
            count += 1
            candidate = f"{name}_{count}"
        used.add(candidate)
        unique.append(candidate)
    return tuple(unique)

"""From a stream of grid rows to batches: header, merged cells, blank rows, footers, clean columns.

Serves every reader of two-dimensional sources. Memory holds one batch and a short tail, whatever
the number of rows. It must not know file formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from waremill.catalog.readers.columns import Columns
from waremill.catalog.readers.layout import Layout, Merge, find_layout, is_blank, is_notes_title
from waremill.catalog.readers.shapes import BATCH_ROWS, LeftOut, Limits, Problems

_TOTALS_WORDS = (
    "total totals sum summe gesamt gesamtsumme totaal totale somme subtotal 合计 总计 小计 总数 "
    "итого"
)
_TOTALS = frozenset(_TOTALS_WORDS.split()) | {"grand total", "sub total"}
_MOST_FOOTER_ROWS = 50
Row = list[Any]


@dataclass(slots=True)
class ColumnBatch:
    """One batch column by column; `numbers` are the rows' 1-based numbers in the source."""

    numbers: list[int]
    columns: list[list[Any]]


@dataclass(slots=True)
class Options:
    """How a grid is to be read.

    `textual`: all cells are text, so numbers are recognised. `ragged`: called with the row number
    and the surplus or lack of cells, it says why such a row is bad, or None to keep it. `ended`:
    called after the last row, it joins the bad rows that never came to the grid and gives notes.
    """

    merges: Sequence[Merge] = ()
    textual: bool = False
    footers: bool = True
    ragged: Callable[[int, Row, int], str | None] | None = None
    ended: Callable[[Problems], list[str]] | None = None
    limits: Limits = field(default_factory=Limits)


class Table:
    """A table found in a grid: names first, then batches.

    `gaps` says after the last batch whether any cell of the grid, left out or not, was blank;
    `left_out` holds by then what stands above the header and below the rows.
    """

    def __init__(self, layout: Layout, rows: Iterator[Row], start: int, options: Options) -> None:
        self.notes = list(layout.notes)
        self.problems = Problems()
        self.gaps = False
        self.left_out: LeftOut = []
        self._layout = layout
        self._options = options
        self._width = max(layout.indexes, default=-1) + 1
        self._columns = Columns(layout.names, textual=options.textual)
        self._small = 0
        self._batches = self._read(rows, start)
        # The first batch decides the derived columns, so it is read before names are asked for.
        self._first = next(self._batches, None)
        if self.derived:
            listed = ", ".join(f"“{name}”" for name in self.derived)
            self.notes.append(f"added with normalised units: {listed}")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, each derived one directly after its source."""
        return self._columns.names

    @property
    def derived(self) -> dict[str, str]:
        """Derived columns and where each comes from."""
        return self._columns.derived

    @property
    def empty(self) -> bool:
        """Whether there is no data row at all."""
        return self._first is None

    @property
    def error_cells(self) -> int:
        """How many error texts (`#N/A` …) were read as missing so far."""
        return self._columns.notes["errors"]

    def batches(self) -> Iterator[ColumnBatch]:
        """Give the batches in order; `notes` and `problems` are complete afterwards."""
        if self._first is not None:
            first, self._first = self._first, None
            yield first
            yield from self._batches
        self._conclude()

    def _conclude(self) -> None:
        if self.error_cells:
            self.notes.append(
                f"{self.error_cells} cells with an error (#N/A …) were read as missing"
            )
        digits = self._columns.notes["digits"]
        if digits:
            self.notes.append(
                f"{digits} numbers have more than 15 digits and are kept as text; a workbook may "
                "already have rounded them"
            )
        if self._options.ended is not None:
            self.notes += self._options.ended(self.problems)

    def _read(self, rows: Iterator[Row], start: int) -> Iterator[ColumnBatch]:
        merges = _Merges(self._options.merges, start)
        tail: list[tuple[int, Row]] = []
        number = start
        decided = False
        chunk = list(islice(rows, BATCH_ROWS))
        while chunk:
            following = list(islice(rows, BATCH_ROWS))
            self.gaps = self.gaps or any("" in row for row in chunk)
            kept = [(at, row) for at, row in enumerate(chunk, number) if not _all_blank(row)]
            number += len(chunk)
            merges.fill(kept)
            pending = tail + kept
            if not decided and pending:
                self._small = self._small_rows(pending)
                decided = True
            # The last batch is cut once, so that a short file is one batch and decided as a whole.
            kept, tail = self._split_tail(pending) if following else ([], pending)
            if kept:
                yield from self._emit(kept)
            chunk = following
        tail = self._without_footer(tail)
        if tail:
            yield from self._emit(tail)

    def _small_rows(self, rows: Sequence[tuple[int, Row]]) -> int:
        """Give the number of cells up to which a row counts as small; 0 where none can be told."""
        fills = [_fill(row) for _, row in rows]
        typical = sorted(fills)[int(0.75 * (len(fills) - 1))]
        small = max(1, typical // 3)
        end = self._notes_title(rows)
        while end and fills[end - 1] <= small:
            end -= 1
        many = sum(fill <= small for fill in fills[:end]) > 0.25 * end
        return 0 if typical < 3 or many or not self._options.footers else small

    def _split_tail(
        self, rows: list[tuple[int, Row]]
    ) -> tuple[list[tuple[int, Row]], list[tuple[int, Row]]]:
        """Hold back what may be a footer: rows from a notes' title on or small rows at the end,
        and one row more, which may be a total.
        """
        end = self._notes_title(rows) if self._small else len(rows)
        if len(rows) - end > _MOST_FOOTER_ROWS:
            end = len(rows)
        while (
            end and len(rows) - end < _MOST_FOOTER_ROWS and _fill(rows[end - 1][1]) <= self._small
        ):
            end -= 1
        end = max(0, end - 1)
        return rows[:end], rows[end:]

    @staticmethod
    def _notes_title(rows: Sequence[tuple[int, Row]]) -> int:
        """Give the index of a title such as `Notes:` below a blank row, else the end."""
        for index in range(max(1, len(rows) - _MOST_FOOTER_ROWS), len(rows)):
            number, row = rows[index]
            if rows[index - 1][0] < number - 1 and is_notes_title(row):
                return index
        return len(rows)

    def _without_footer(self, tail: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
        end = self._notes_title(tail) if self._small else len(tail)
        while end and _fill(tail[end - 1][1]) <= self._small:
            end -= 1
        footer = tail[end:]
        # Continuation rows of a product (a further picture, say) fill several cells each.
        few = len(footer) <= _MOST_FOOTER_ROWS
        if end and footer and few and any(_fill(row) == 1 for _, row in footer):
            first, last = footer[0][0], footer[-1][0]
            place = f"row {first} at the end looks like a note and was"
            if last > first:
                place = f"rows {first}–{last} at the end look like notes and were"
            self.notes.append(f"{place} left out")
            self.leave_out(footer)
            tail = tail[:end]
        if tail and self._options.footers and _is_total(tail[-1][1]):
            self.notes.append(f"row {tail[-1][0]} at the end is a total and was left out")
            self.leave_out(tail[-1:])
            tail = tail[:-1]
        return tail

    def leave_out(self, rows: Sequence[tuple[int, Row]]) -> None:
        """Keep what rows say that are none of the table's."""
        for number, row in rows:
            if said := [_said(cell) for cell in row if not is_blank(cell)]:
                self.left_out.append((number, said))
        self.left_out.sort()

    def _emit(self, rows: list[tuple[int, Row]]) -> Iterator[ColumnBatch]:
        if any(len(row) != self._width for _, row in rows):
            rows = self._evened(rows)
        if not rows:
            return
        numbers, cells = zip(*rows, strict=True)
        grid = list(zip(*cells, strict=True))
        chosen = [grid[index] for index in self._layout.indexes]
        yield ColumnBatch(list(numbers), self._columns.convert(chosen))

    def _evened(self, rows: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
        """Give the rows at the table's width, without those whose width makes them bad."""
        width = self._width
        ragged = self._options.ragged
        even: list[tuple[int, Row]] = []
        for number, row in rows:
            if len(row) != width:
                reason = ragged(number, row, width) if ragged is not None else None
                if reason is not None:
                    self.problems.add(number, reason)
                    continue
                row = row[:width] + [""] * (width - len(row))
            even.append((number, row))
        return even


def _fill(row: Row) -> int:
    return len(row) - row.count("") - row.count(None)


def _all_blank(row: Row) -> bool:
    # Most rows start with a filled cell: look no further then.
    first = row[0] if row else None
    if first is not None and (not isinstance(first, str) or first.strip()):
        return False
    return row.count("") == len(row) or all(is_blank(cell) for cell in row)


def _said(cell: Any) -> str:
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell) if whole else cell).strip()


def _is_total(row: Row) -> bool:
    cells = [cell for cell in row if not is_blank(cell)]
    if not cells or not isinstance(cells[0], str):
        return False
    label = cells[0].strip().rstrip(":：").casefold()
    return label in _TOTALS and all(
        not isinstance(cell, str) or cell.strip()[:1].isdigit() for cell in cells[1:]
    )


class _Merges:
    """Repeats the value of a vertically merged cell in the rows it covers."""

    def __init__(self, merges: Sequence[Merge], start: int) -> None:
        self._waiting = sorted(
            (merge for merge in merges if merge[1][0] > merge[0][0] and merge[0][0] + 1 >= start),
            reverse=True,
        )
        self._active: list[tuple[int, int, Any]] = []

    def fill(self, rows: list[tuple[int, Row]]) -> None:
        """Fill rows in place; they come in order, over all calls."""
        if not self._waiting and not self._active:
            return
        for number, row in rows:
            self._active = [entry for entry in self._active if entry[0] >= number]
            for _, column, value in self._active:
                if column < len(row) and is_blank(row[column]):
                    row[column] = value
            while self._waiting and self._waiting[-1][0][0] + 1 <= number:
                (top, left), (bottom, _) = self._waiting.pop()
                if top + 1 == number and left < len(row) and not is_blank(row[left]):
                    self._active.append((bottom + 1, left, row[left]))


def open_table(rows: Iterator[Row], options: Options) -> Table | None:
    """Find the table in a grid whose first row is number 1; None where there is no filled cell."""
    head = list(islice(rows, BATCH_ROWS))
    skipped = 0
    while head and all(map(_all_blank, head)):
        skipped += len(head)
        head = list(islice(rows, BATCH_ROWS))
    if not head:
        return None
    merges = [
        ((top - skipped, left), (bottom - skipped, right))
        for (top, left), (bottom, right) in options.merges
    ]
    layout = find_layout(head, merges)
    if layout is None:
        return None
    start = skipped + layout.first + 1
    above, head = head[: layout.first], head[layout.first :]
    table = Table(layout, chain(head, rows), start, options)
    table.leave_out([(skipped + at + 1, row) for at, row in enumerate(above[: layout.top])])
    table.gaps = table.gaps or skipped > 0 or any("" in row for row in above)
    return table

"""Delimited text (csv, tsv, txt): encoding and dialect detected, bad rows set apart, flat memory.

Bad rows are those whose number of cells does not fit, and those where a quote is opened and never
closed; they become problems and the rows after them are read on.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from waremill.catalog.readers import encoding
from waremill.catalog.readers.shapes import Batch, Limits, Problems, Reader, Request
from waremill.catalog.readers.table import Options, Table, open_table
from waremill.errors import SourceError, Where

SUFFIXES: Final = (".csv", ".tsv", ".tab", ".txt")
RANK: Final = 90
_DELIMITERS: Final = ",;\t|\x01"
_SAMPLE_LINES: Final = 200
_MOST_LINES: Final = 2000
_PROSE: Final = 200
LARGE: Final = 8 << 20
"""Bytes from which on a process that reads saves more time than its start takes."""


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether the first bytes are text: hardly any control bytes, or UTF-16."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if suffix not in SUFFIXES and head.lstrip()[:1] in (b"<", b"{", b"["):
        return False
    stripped = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if stripped.startswith((b"<!doctype", b"<html", b"<?xml", b"%pdf", b"{\\rtf", b"<table")):
        return False
    controls = sum(byte < 32 and byte not in (0, 1, 9, 10, 11, 12, 13, 26, 27) for byte in head)
    wide = encoding.utf16_without_mark(head) is not None
    return controls * 100 <= len(head) and (wide or (head.count(0) - 2) * 50 <= len(head))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are set apart: `delimiter` (empty for one column), `escape` a backslash or None,
    `skip` leading lines that are not part of the table.
    """

    delimiter: str
    escape: str | None = None
    skip: int = 0


def open_reader(source: str, request: Request) -> Reader:
    """Open a delimited text file; raise SourceError where it is no table."""
    path = Path(source)
    if path.stat().st_size < LARGE:
        return read_here(path, request.limits)
    return read_elsewhere(path, request.limits)


def read_here(path: Path, limits: Limits) -> Reader:
    """Read a file in this process."""
    table, close, notes = _open(path, limits.cell, limits.columns)
    notes += table.notes
    reader = Reader(
        table.names,
        batches_of(table, notes),
        derived=table.derived,
        notes=notes,
        problems=table.problems,
        close=close,
    )
    reader.left_out = table.left_out
    return reader


def read_elsewhere(path: Path, limits: Limits) -> Reader:
    """Read a file in a process of its own, beside whatever is done with the rows."""
    from waremill.catalog.readers.process import Words, read_in_child

    words = Words(large="reading needs more than {memory} MB of memory: split the file")
    # Rows flow however many there are, so the time a file takes says nothing against it.
    return read_in_child(__name__, path, replace(limits, seconds=0), words=words)


def _read_text(request: dict[str, Any]) -> tuple[Table, None, list[str]]:
    table, _, notes = _open(Path(request["path"]), request["cell"], request["columns"])
    return table, None, notes


def _open(path: Path, cell: int, columns: int) -> tuple[Table, Callable[[], None], list[str]]:
    """Find the table of a file; give it, what closes the file, and notes on its encoding."""
    where = Where(file=str(path))
    csv.field_size_limit(max(csv.field_size_limit(), cell))
    found = encoding.detect(path)
    lines = encoding.read_lines(path, found, cell)
    sample = list(islice(lines, _SAMPLE_LINES))
    lines.close()
    dialect = sniff(sample, path.suffix.lower())
    if not dialect.delimiter and max(map(len, sample), default=0) > _PROSE:
        raise SourceError(
            "the text is not a table: no comma, semicolon, tab or | separates columns", where
        )
    records = _Records(encoding.read_lines(path, found, cell), dialect)
    options = Options(textual=True, ragged=records.ragged, ended=records.ended)
    table = open_table(iter(records), options)
    if table is None or table.empty:
        raise SourceError("the file has no rows below its header: fill it with rows", where)
    if len(table.names) > columns:
        raise SourceError(
            f"the file has {len(table.names)} columns, more than the {columns} allowed", where
        )
    return table, records.close, [found.note] if found.note else []


def batches_of(table: Table, notes: list[str]) -> Iterator[Batch]:
    """Give a table's batches; afterwards add to `notes` what the table learnt on the way."""
    seen = len(table.notes)
    names = table.names
    for batch in table.batches():
        rows = [dict(zip(names, row, strict=True)) for row in zip(*batch.columns, strict=True)]
        yield Batch(rows, batch.numbers)
    notes.extend(table.notes[seen:])


class _Records:
    """Cuts lines into records; a stray quote costs its own line only."""

    def __init__(self, lines: Generator[str], dialect: Dialect) -> None:
        self.problems = Problems()
        self.short = 0
        self._lines = lines
        self._dialect = dialect
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._line = dialect.skip
        self._number = dialect.skip
        self._widths: Counter[int] = Counter()
        self._tolerant = False

    def ended(self, problems: Problems) -> list[str]:
        """Join the rows that could not be read, and say what was noticed over the whole file."""
        problems.join(self.problems)
        if not self.short:
            return []
        return [f"{self.short} rows end early; their last cells are missing"]

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def __iter__(self) -> Iterator[list[str]]:
        for _ in range(self._dialect.skip):
            next(self._lines, None)
            yield []
        if not self._dialect.delimiter:
            for line in self._lines:
                self._number += 1
                yield _only_cell(line)
            return
        yield from self._records()

    def _records(self) -> Iterator[list[str]]:
        reader = self._reader(strict=True)
        while True:
            self._taken.clear()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                row = self._mend()
                reader = self._reader(strict=True)
            else:
                if len(self._taken) > 1 and self._swallowed(row):
                    row = self._mend()
                    reader = self._reader(strict=True)
            self._number += 1
            self._line += len(self._taken)
            if row:
                self._widths[len(row)] += 1
            yield row

    def _reader(self, *, strict: bool) -> Any:
        return csv.reader(
            self._feed(),
            delimiter=self._dialect.delimiter,
            escapechar=self._dialect.escape,
            strict=strict,
        )

    def _feed(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            self._taken.append(line)
            if len(self._taken) > _MOST_LINES:
                raise csv.Error("unexpected end of data")
            yield line

    def _swallowed(self, row: list[str]) -> bool:
        """Say whether a record over several lines is a stray quote that took rows with it."""
        usual = self._widths.most_common(1)
        return bool(usual) and len(row) != usual[0][0]

    def _mend(self) -> list[str]:
        """Read the first of the taken lines alone and give the others back."""
        first, *rest = self._taken
        self._again.extendleft(reversed(rest))
        self._taken = [first]
        try:
            row = next(
                csv.reader(
                    [first],
                    delimiter=self._dialect.delimiter,
                    escapechar=self._dialect.escape,
                    strict=False,
                ),
                [],
            )
        except csv.Error:
            row = []
        usual = self._widths.most_common(1)
        unclosed = first.count('"') % 2 == 1
        if row and not (unclosed and rest) and (not usual or len(row) == usual[0][0]):
            return row
        self.problems.add(
            self._number + 1, f"a quote is opened and never closed (line {self._line + 1})"
        )
        return []

    def ragged(self, number: int, row: list[str], width: int) -> str | None:
        """Say why a row with another number of cells than the header is bad; None to keep it."""
        if len(row) > width:
            surplus = sum(bool(cell.strip()) for cell in row[width:])
            return f"it has {len(row)} cells, the header {width}" if surplus else None
        if not self._tolerant:
            total = sum(self._widths.values())
            short = sum(count for cells, count in self._widths.items() if cells < width)
            # Files that leave out blank cells at the end do it all over, a broken row is rare.
            self._tolerant = total >= 4 and short * 5 >= total
        if self._tolerant:
            self.short += 1
            return None
        return f"it has {len(row)} cells, the header {width}"


def _only_cell(line: str) -> list[str]:
    """Give the single cell of a line in a file of one column, without its quotes."""
    cell = line.strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        cell = cell[1:-1].replace('""', '"')
    return [cell] if cell else []


def sniff(lines: list[str], suffix: str) -> Dialect:
    """Find delimiter and escape from the first lines: the choice whose rows agree best in width."""
    skip = 0
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
        return Dialect(lines[0].strip()[4], _escape(lines[1:], lines[0].strip()[4]), 1)
    best, best_score = "", 0.0
    for delimiter in _DELIMITERS:
        score = _agreement(lines, delimiter, None)
        if delimiter == "\t" and suffix in (".tsv", ".tab"):
            score *= 2
        if score > best_score:
            best, best_score = delimiter, score
    if not best:
        return Dialect("", None, skip)
    return Dialect(best, _escape(lines, best), skip)


def _escape(lines: list[str], delimiter: str) -> str | None:
    if not any("\\" in line for line in lines):
        return None
    with_escape = _agreement(lines, delimiter, "\\")
    return "\\" if with_escape > _agreement(lines, delimiter, None) + 1e-9 else None


def _agreement(lines: list[str], delimiter: str, escape: str | None) -> float:
    """Score a delimiter: the share of rows of the commonest width, more when it is wide."""
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, escapechar=escape))
    except csv.Error:
        return 0.0
    widths = Counter(len(row) for row in rows if len(row) > 1)
    filled = sum(1 for row in rows if any(cell.strip() for cell in row))
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    if count == 1 and filled > 2:
        return 0.0
    return count / max(1, filled) * (1 + 0.1 * min(width, 20))


if __name__ == "__main__":
    from waremill.catalog.readers.process import serve

    serve(_read_text)

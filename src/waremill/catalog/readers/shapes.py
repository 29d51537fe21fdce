"""What every reader shares: limits, the request, batches and the open reader itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from waremill.catalog.contents import split_documents, write_contents

BATCH_ROWS = 1000
"""Rows in one batch: large enough to work column by column, small enough to keep memory flat."""

MAX_PROBLEMS = 1000
"""Bad rows that are kept one by one; further ones are only counted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one source may cost; whatever exceeds a limit is a `SourceError`.

    `memory` is bytes of a child process; `seconds` is how long to wait for a child in all, 0 for
    ever; `size` bytes of a workbook file; `unpacked` bytes of all members of a workbook together;
    `ratio` how many times a large member may be packed; `members` files in a workbook; `columns` in
    a table; `cell` characters in one record of a delimited file or one line of JSON.
    """

    memory: int = 3 << 30
    seconds: float = 600.0
    size: int = 1 << 30
    unpacked: int = 6 << 30
    ratio: int = 400
    members: int = 20_000
    columns: int = 2_000
    cell: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """How a source is to be read: which sheet (name or 1-based number) and within which limits.

    `since` takes of a database the rows alone whose column holds at least a value.
    """

    sheet: str | None = None
    limits: Limits = field(default_factory=Limits)
    since: tuple[str, Any] | None = None


class Batch:
    """Some rows in order: clean attributes, and for each its 1-based row number in the source."""

    def __init__(self, rows: list[dict[str, Any]], numbers: list[int]) -> None:
        self._rows = rows
        self.numbers = numbers

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows' attributes; a missing cell is `None`."""
        return self._rows

    def column(self, name: str) -> list[Any]:
        """Give one column's cells, `None` where a row has none."""
        return [row.get(name) for row in self.rows]

    def contents(self) -> tuple[list[str], list[int]]:
        """Give each row as JSON text without missing cells, and its version."""
        documents: list[str] = []
        versions: list[int] = []
        for together, numbers in write_contents(self.rows):
            documents += split_documents(together.decode())
            versions += numbers
        return documents, versions


LeftOut = list[tuple[int, list[str]]]
"""Rows that are none of a table's, as (row number, the filled cells' texts)."""


class Problems:
    """Bad rows of a source, as (row number, reason); at most `MAX_PROBLEMS` are kept."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, str]] = []
        self.total = 0

    def add(self, row: int, reason: str) -> None:
        """Note a bad row."""
        self.total += 1
        if len(self._kept) < MAX_PROBLEMS:
            self._kept.append((row, reason))

    def join(self, others: Problems) -> None:
        """Note further bad rows among these, in the order of rows."""
        self.total += others.total
        self._kept = sorted(self._kept + others._kept)[:MAX_PROBLEMS]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(self._kept)

    def __len__(self) -> int:
        return self.total

    def __bool__(self) -> bool:
        return self.total > 0


class Reader:
    """An open source.

    Every row of a table holds every column, a missing cell as `None`; a row of JSON holds the names
    it came with. `columns` (derived ones directly after their source), `sheet` and the first
    `notes` are there from the start; `notes` and `problems` grow while `batches()` is read, and so
    do a JSON source's `columns`. `derived` maps each derived column to the one it was computed
    from. `left_out` has what stands above the header, and at the end the notes and totals below the
    rows. Leaving the context ends child processes and closes files and connections.
    """

    def __init__(
        self,
        columns: tuple[str, ...],
        batches: Iterator[Batch],
        *,
        sheet: str | None = None,
        derived: Mapping[str, str] | None = None,
        notes: list[str] | None = None,
        problems: Problems | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.columns = columns
        self.sheet = sheet
        self.derived = dict(derived or {})
        self.notes: list[str] = [] if notes is None else notes
        self.problems = Problems() if problems is None else problems
        self.left_out: LeftOut = []
        self._batches = batches
        self._close = close

    def batches(self) -> Iterator[Batch]:
        """Give the rows that were not given yet, in order; raise SourceError when reading fails."""
        return self._batches

    def replace_batches(self, batches: Iterator[Batch]) -> None:
        """Set what `batches()` gives; for readers whose batches change the reader itself."""
        self._batches = batches

    def close(self) -> None:
        """End what was started for reading; safe to call twice."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

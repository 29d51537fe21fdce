"""A source read to its end, for the tests of this room."""

from __future__ import annotations

from typing import Any

from waremill.catalog.reading import Reader, read_source


class Read:
    """A source read to its end."""

    def __init__(self, reader: Reader) -> None:
        with reader:
            self.rows: list[dict[str, Any]] = []
            self.numbers: list[int] = []
            for batch in reader.batches():
                self.rows += batch.rows
                self.numbers += batch.numbers
            self.columns = reader.columns
            self.sheet = reader.sheet
            self.notes = " | ".join(reader.notes)
            self.problems = list(reader.problems)


def read(source: object, sheet: str | None = None) -> Read:
    """Open a source and read it to its end."""
    return Read(read_source(str(source), sheet=sheet))

"""Write JSON Lines: one object a row, one row a line, UTF-8, types kept.

Text is kept as it is, lists stay lists and mappings mappings; a missing value is null, so every
line has every column.
"""

from __future__ import annotations

from pathlib import Path

from waremill.catalog.publishers.table import (
    Table,
    Written,
    column_names,
    json_bytes,
    plain,
    publisher,
)


@publisher(".jsonl", ".ndjson")
def write_jsonl(table: Table, path: Path) -> Written:
    """Write one JSON object a line, its names in the order of the columns."""
    names = column_names(table.columns)
    count = 0
    with path.open("wb", buffering=1 << 18) as file:
        for row in table.rows:
            record = {name: plain(value) for name, value in zip(names, row, strict=True)}
            file.write(json_bytes(record) + b"\n")
            count += 1
    return Written(count)

"""Write Parquet in row groups, each column with one type.

Parquet wants a column's type before its first row, so the rows are kept in a file beside while the
types are learnt, then written in groups: memory is bounded by one group. A column whose values are
all booleans, all integers, all numbers, all text or all lists of text gets that type; any other
column (mappings, other lists, several types) becomes JSON text, and the notes name it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from waremill.catalog.publishers.table import (
    Table,
    Written,
    column_names,
    json_bytes,
    json_text,
    plain,
    publisher,
)

if TYPE_CHECKING:
    import polars

_ROWS_PER_GROUP = 10_000
_BYTES_PER_GROUP = 8 << 20
_MAX_EXACT_INTEGER = 2**53
_OS_ERROR = re.compile(r"os error (\d+)")


@publisher(".parquet")
def write_parquet(table: Table, path: Path) -> Written:
    """Write a Parquet file, compressed with zstd; the notes name columns turned into JSON text."""
    names = column_names(table.columns)
    spool = path.with_name(path.name + ".rows")
    try:
        count, kinds = _spool(table, spool)
        types = [_column_type(found) for found in kinds]
        # Long texts must not make a group large.
        average = spool.stat().st_size // max(count, 1)
        group = max(1, min(_ROWS_PER_GROUP, _BYTES_PER_GROUP // max(average, 1)))
        frames = _frames(spool, group, names, types)
        _sink(frames, group, path, dict(zip(names, types, strict=True)))
    finally:
        spool.unlink(missing_ok=True)
    return Written(count, tuple(_notes(names, types)))


def _spool(table: Table, spool: Path) -> tuple[int, list[set[str]]]:
    """Write the rows to a working file, one JSON list a line; learn which kinds each column has."""
    kinds: list[set[str]] = [set() for _ in table.columns]
    count = 0
    with spool.open("wb", buffering=1 << 18) as file:
        for row in table.rows:
            values = [plain(value) for value in row]
            for found, value in zip(kinds, values, strict=True):
                found.add(_kind(value))
            file.write(json_bytes(values) + b"\n")
            count += 1
    return count, kinds


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if -_MAX_EXACT_INTEGER <= value <= _MAX_EXACT_INTEGER:
            return "integer"
        return "long integer" if -(2**63) <= value < 2**63 else "huge integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "texts"
    return "other"


def _column_type(found: set[str]) -> str:
    """Choose one type for the kinds a column holds: boolean, integer, number, text, texts, json."""
    kinds = found - {"none"}
    if kinds <= {"text"}:
        return "text"
    if kinds <= {"integer", "long integer"}:
        return "integer"
    if kinds <= {"integer", "number"}:
        return "number"
    return kinds.pop() if kinds in ({"boolean"}, {"texts"}) else "json"


def _frames(
    spool: Path, group: int, names: Sequence[str], types: Sequence[str]
) -> Iterator[polars.DataFrame]:
    import polars

    schema = _schema(dict(zip(names, types, strict=True)))

    def frame(rows: list[list[Any]]) -> polars.DataFrame:
        columns = {
            name: [_typed(row[place], types[place]) for row in rows]
            for place, name in enumerate(names)
        }
        return polars.DataFrame(columns, schema=schema, strict=True)

    with spool.open("rb") as file:
        while rows := [orjson.loads(line) for line in itertools.islice(file, group)]:
            yield frame(rows)


def _typed(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "number":
        return float(value)
    return json_text(value) if kind == "json" else value


def _schema(types: dict[str, str]) -> dict[str, Any]:
    import polars

    known: dict[str, Any] = {
        "boolean": polars.Boolean,
        "integer": polars.Int64,
        "number": polars.Float64,
        "texts": polars.List(polars.String),
    }
    return {name: known.get(kind, polars.String) for name, kind in types.items()}


def _sink(
    frames: Iterator[polars.DataFrame], group: int, path: Path, types: dict[str, str]
) -> None:
    """Stream the frames into one Parquet file, a row group each.

    The size of a group has to be given: without it polars keeps every frame until the end.
    """
    import polars
    from polars.io.plugins import register_io_source

    def source(
        with_columns: list[str] | None,
        predicate: polars.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[polars.DataFrame]:
        # Nothing is projected or filtered below: the plan is a scan into a sink.
        yield from frames

    lazy = register_io_source(source, schema=_schema(types))
    try:
        lazy.sink_parquet(path, compression="zstd", row_group_size=group)
    except polars.exceptions.PolarsError as error:
        code = _OS_ERROR.search(str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), str(error)) from error


def _notes(names: Sequence[str], types: Sequence[str]) -> Iterator[str]:
    mixed = [f"“{name}”" for name, kind in zip(names, types, strict=True) if kind == "json"]
    if mixed:
        yield f"written as JSON text, for values of several or nested types: {', '.join(mixed)}"

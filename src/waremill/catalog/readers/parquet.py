"""Parquet files, read by polars in a child process, a slice of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from waremill.catalog.readers.layout import Layout, unique_names
from waremill.catalog.readers.shapes import BATCH_ROWS, Reader, Request
from waremill.errors import SourceError, Where

SUFFIXES: Final = (".parquet", ".pq")
RANK: Final = 20
_SLICE_CELLS: Final = 400_000


def recognises(head: bytes, suffix: str) -> bool:
    """Say whether the file starts as Parquet files do."""
    return head.startswith(b"PAR1")


def open_reader(source: str, request: Request) -> Reader:
    """Open a Parquet file; raise SourceError where it is damaged or has no rows."""
    from waremill.catalog.readers.process import read_in_child

    path = Path(source)
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4))
        if stream.read(4) != b"PAR1":
            raise SourceError(
                "the Parquet file is cut off: copy or download it again", Where(file=source)
            )
    return read_in_child("waremill.catalog.readers.parquet", path, request.limits)


def _read_parquet(request: dict[str, Any]) -> tuple[Any, None, list[str]]:
    import polars

    from waremill.catalog.readers.table import Options, Table

    where = Where(file=request["path"])
    try:
        frame = polars.scan_parquet(request["path"], glob=False)
        names = frame.collect_schema().names()
        total = int(frame.select(polars.len()).collect().item())
    except (polars.exceptions.PolarsError, OSError) as error:
        raise SourceError("the Parquet file is damaged and cannot be read", where) from error
    if not names or not total:
        raise SourceError("the file has no rows", where)
    if len(names) > int(request["columns"]):
        raise SourceError(
            f"the file has {len(names)} columns, more than the {request['columns']} allowed", where
        )
    layout = Layout(unique_names(names), tuple(range(len(names))), 0, None)
    rows = _rows(frame, total, len(names), where)
    return Table(layout, rows, 1, Options(footers=False)), None, []


def _rows(frame: Any, total: int, width: int, where: Where) -> Iterator[list[Any]]:
    import polars

    step = max(BATCH_ROWS, _SLICE_CELLS // width // BATCH_ROWS * BATCH_ROWS)
    for offset in range(0, total, step):
        try:
            part = frame.slice(offset, step).collect()
        except (polars.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"the Parquet file is damaged after row {offset}", where) from error
        yield from map(list, part.iter_rows())


if __name__ == "__main__":
    from waremill.catalog.readers.process import serve

    serve(_read_parquet)

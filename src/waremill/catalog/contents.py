"""What of a row is stored: its JSON text, and the version that names its content.

Many rows are written with one call, since a call costs more than a row. This module must not read,
clean or store anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import orjson

from waremill.domain import content_version

Attributes = dict[str, Any]
_TOGETHER = 100
"""Rows written at once: what is larger than 128 kB the allocator takes from the system anew."""
_MARK = "\0\0\0"
"""Put between rows: clean text holds no NUL, and what is rare is found quickly."""
_BETWEEN = b"," + orjson.dumps(_MARK) + b","


def write_contents(rows: Sequence[Attributes]) -> Iterator[tuple[bytes, list[int]]]:
    """Give the rows as JSON and their versions, a hundred at a time; `split_documents` takes the
    JSON apart.

    `None` counts as no cell at all. The names keep their order. A version hashes the JSON with
    sorted names.
    """
    for start in range(0, len(rows), _TOGETHER):
        yield _write(rows[start : start + _TOGETHER])


def split_documents(together: str) -> list[str]:
    """Give each row's JSON out of what `write_contents` gave, decoded."""
    return together.split(_BETWEEN.decode())


def _write(rows: Sequence[Attributes]) -> tuple[bytes, list[int]]:
    together = _together(rows, 0)
    if b":null" in together:
        rows = [{name: cell for name, cell in row.items() if cell is not None} for row in rows]
        together = _together(rows, 0)
    ordered = _together(rows, orjson.OPT_SORT_KEYS).split(_BETWEEN)
    return together, list(map(content_version, ordered))


def _together(rows: Sequence[Attributes], option: int) -> bytes:
    marked = list(chain.from_iterable(zip(rows, repeat(_MARK), strict=False)))
    return orjson.dumps(marked[:-1], default=str, option=option)[1:-1]

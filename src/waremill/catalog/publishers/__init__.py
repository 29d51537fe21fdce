"""Write finished rows to a file that a person or a system opens: xlsx, csv, tsv, jsonl, parquet.

The room turns columns and a stream of rows into one whole file, with memory that does not grow with
the rows. It must not decide which rows are published, know what a run is, or read a database: it is
handed plain values.

A format is one module here with one function marked `@publisher`; adding a format is adding a file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from waremill.catalog.publishers.table import (
    Column,
    PictureCell,
    Publisher,
    Table,
    TextOptions,
    Written,
    suffixes_of,
)
from waremill.catalog.publishers.whole_file import whole_file
from waremill.errors import ConfigError, Where

__all__ = [
    "Column",
    "PictureCell",
    "TextOptions",
    "Written",
    "output_suffixes",
    "publish_rows",
    "publisher_for",
    "whole_file",
]


def publish_rows(
    path: Path,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Any]],
    *,
    sheet: str = "Products",
    total: int | None = None,
    text: TextOptions | None = None,
) -> Written:
    """Write rows to `path` in the format its suffix names, and say how many were written.

    `rows` is read once, in order, and each row has one value per column. Values are text, numbers,
    booleans, None, lists or mappings; dates and decimals are understood too. `sheet` names an
    Excel sheet; `total` is the number of rows where it is known, so that a format that cannot hold
    them says so before anything is written. `text` holds the choices of csv and tsv files.

    The file appears whole or not at all: it is written beside its place under another name and
    moved there at the end, so what was there before stays until then. Missing folders are made.
    Raises ConfigError, one sentence, for an unknown suffix, too many rows or columns, a full disk,
    or a place that cannot be written; whatever `rows` raises passes through, and nothing is left.
    """
    write = publisher_for(path)
    table = Table(tuple(columns), rows, sheet=sheet, total=total, text=text or TextOptions())
    with whole_file(path) as temporary:
        return write(table, temporary)


def publisher_for(path: Path) -> Publisher:
    """Find the publisher for a file's suffix; raise ConfigError naming the possible ones.

    Ask this before a run starts, so that a wrong name is said before money is spent.
    """
    known = _publishers()
    found = known.get(path.suffix.lower())
    if found is None:
        given = f"“{path.suffix}” files cannot be written" if path.suffix else "has no suffix"
        raise ConfigError(
            f"{given}: name the output {_listed(tuple(known))}", Where(file=str(path))
        )
    return found


def output_suffixes() -> tuple[str, ...]:
    """List the suffixes that can be written, each with its dot, in alphabetical order."""
    return tuple(_publishers())


def _publishers() -> dict[str, Publisher]:
    found: dict[str, Publisher] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            for suffix in suffixes_of(value):
                found[suffix] = value
    return dict(sorted(found.items()))


def _listed(suffixes: Sequence[str]) -> str:
    return ", ".join(suffixes[:-1]) + f" or {suffixes[-1]}"

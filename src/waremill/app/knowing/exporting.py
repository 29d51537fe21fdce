"""The use case *export*: the passages of a knowledge base as a sheet, a table or lines of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from waremill.app.knowing.changing import find_base
from waremill.catalog.publishers import Column, Written, publish_rows, publisher_for
from waremill.store.knowledge import Base, count_base
from waremill.store.knowledge_pieces import FoundPiece, pieces_in_order
from waremill.store.tables import dumps

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

COLUMNS = ("passage", "document", "title", "headings", "page", "text", "metadata")
_HEADINGS = " › "
"""Between headings in a table's cell, as where people are told a passage's place."""


async def export_base(workspace: Workspace, name: str, path: Path) -> Written:
    """Write a row a passage that can be found, by document and in its order; for viewers.

    Lines of JSON and parquet have the headings as a list, a table's cell has them as one text;
    metadata are a mapping in lines of JSON, and JSON elsewhere. Raises ConfigError as
    `publish_rows` does. Memory does not grow with the base.
    """
    publisher_for(path)
    base = await find_base(workspace, name)
    return await workspace.database.read_all(_write, base, path)


def _write(conn: Connection, base: Base, path: Path) -> Written:
    suffix = path.suffix.lower()
    lines = suffix in (".jsonl", ".ndjson")
    lists = lines or suffix == ".parquet"
    columns = [Column(one, "source") for one in COLUMNS]
    rows = (_row(one, lists=lists, mappings=lines) for one in pieces_in_order(conn, base.id))
    total = count_base(conn, base).pieces
    return publish_rows(path, columns, rows, sheet="Passages", total=total)


def _row(one: FoundPiece, *, lists: bool, mappings: bool) -> list[Any]:
    headings = list(one.headings) if lists else _HEADINGS.join(one.headings)
    metadata = one.metadata if mappings else dumps(one.metadata)
    return [one.passage, one.document, one.title, headings, one.page, one.text, metadata]


__all__ = ["export_base"]

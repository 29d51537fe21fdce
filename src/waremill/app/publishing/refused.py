"""What a channel refused, all of it: by page, and as a file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING

import orjson
from sqlalchemy import Connection

from waremill.app.paging import SIZE, Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.publishing.history import find_publication, shown_refusal
from waremill.app.publishing.shapes import SHOWN_REFUSALS, PublicationShown, RefusalShown
from waremill.catalog.publishers import Column, Written, publish_rows, publisher_for
from waremill.store.refusals import Refusal, refusals_page

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

_HELD_BYTES = 1 << 20
_COLUMNS = tuple(Column(one.name) for one in fields(RefusalShown) if one.name != "number")


async def list_refusals(
    workspace: Workspace, name: str, *, cursor: str | None = None, size: int = SIZE
) -> Page[RefusalShown]:
    """Give a page of what a publication refused, in the order it was found."""
    size, after = page_size(size), 0
    if cursor is not None:
        after = decode_cursor(cursor).get("number", -1)
        if type(after) is not int or not 0 < after < 1 << 62:
            raise bad_cursor()
    found = await find_publication(workspace, name)
    rows = await workspace.database.read(refusals_page, found.id, after, size + 1)
    more = encode_cursor({"number": rows[size - 1].number}) if len(rows) > size else None
    return Page(tuple(shown_refusal(one) for one in rows[:size]), more)


async def export_refusals(workspace: Workspace, name: str, path: Path) -> Written:
    """Write all that a publication refused to xlsx, csv, tsv, jsonl or parquet."""
    publisher_for(path)
    found = await find_publication(workspace, name)
    return await workspace.database.read_all(_export, found.id, path)


def _export(conn: Connection, publication_id: int, path: Path) -> Written:
    return _write(path, _all(conn, publication_id))


def _all(conn: Connection, publication_id: int) -> Iterator[Refusal]:
    after = 0
    while page := refusals_page(conn, publication_id, after):
        yield from page
        after = page[-1].number


def _write(path: Path, refused: Iterable[Refusal]) -> Written:
    rows = (astuple(shown_refusal(one))[1:] for one in refused)
    return publish_rows(path, _COLUMNS, rows, sheet="Refusals")


class RefusalFile:
    """Collects refusals, those of a dry run too, on disk; `first` are the first 200."""

    def __init__(self, file: IO[bytes], path: Path | None) -> None:
        self._file = file
        self._path = path
        self.first: list[Refusal] = []

    def add(self, refused: Sequence[Refusal]) -> None:
        """Add refusals in their order."""
        self.first += refused[: SHOWN_REFUSALS - len(self.first)]
        for one in refused if self._path is not None else ():
            self._file.write(orjson.dumps(one) + b"\n")

    async def fetch(self, workspace: Workspace, one: PublicationShown) -> None:
        """Add what a publication refused."""
        if self._path is None or one.publication is None or not one.refusal_count:
            return
        found = await find_publication(workspace, one.publication)
        await workspace.database.read_all(self._add_all, found.id)

    def _add_all(self, conn: Connection, publication_id: int) -> None:
        after = 0
        while page := refusals_page(conn, publication_id, after):
            self.add(page)
            after = page[-1].number

    def write(self) -> None:
        """Write what was collected to the file that was named, if one was."""
        if self._path is not None:
            self._file.seek(0)
            _write(self._path, (Refusal(**orjson.loads(line)) for line in self._file))


def _place(path: str) -> Path:
    place = Path(path).expanduser()
    publisher_for(place)
    return place


@asynccontextmanager
async def kept_refusals(path: str | None) -> AsyncIterator[RefusalFile]:
    """Give what collects refusals; they are written to `path` at a good end.

    Raises ConfigError at once for a path that no table can be written to.
    """
    place = None if path is None else _place(path)
    with tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES) as file:
        kept = RefusalFile(file, place)
        yield kept
        await asyncio.to_thread(kept.write)


__all__ = ["RefusalFile", "export_refusals", "kept_refusals", "list_refusals"]

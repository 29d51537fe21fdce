"""The use case *preview an import*: what it would do, by row, with nothing saved.

Rows are read, keyed and compared with the catalogue exactly as an import does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waremill.app import importing
from waremill.app.importing import Imported, ImportOptions, Problem, options_for
from waremill.app.reading import ReadingThread
from waremill.catalog.reading import expand_sources
from waremill.errors import Conflict, SourceError, Where
from waremill.rules.document import suggestion
from waremill.store import comparing
from waremill.store.comparing import Verdict
from waremill.store.products import Catalog, NewProduct

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

SAMPLE = 20


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A row of the sample: what it would be, with its attributes as they would be stored."""

    key: str
    verdict: Verdict
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What an import would do, counted in products; `problems` are the rows it would leave out.

    `catalog` is where they would go and `fresh` whether that is a new catalogue; `key` is the
    column products are known by. `problem_count` counts all problems, of which the first thousand
    are given. `sample` has the first rows that are new or changed, then unchanged ones.
    """

    catalog: str
    fresh: bool
    key: str | None
    columns: tuple[str, ...]
    new: int
    changed: int
    unchanged: int
    problems: tuple[Problem, ...]
    problem_count: int
    sample: tuple[PreviewRow, ...]
    notes: tuple[str, ...]


async def preview_import(
    workspace: Workspace,
    sources: Sequence[str | Path],
    options: ImportOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportPreview:
    """Say what an import of files, folders or database URLs would do; nothing is saved.

    `progress` is told the number of rows so far. Raises UserError wherever the import itself would
    before it reads its rows; cancelling it ends the reading.
    """
    wanted = options_for(workspace.actor, options or ImportOptions(), await workspace.catalogs())
    work = _Preview(workspace, wanted, progress)
    async with ReadingThread() as thread:
        return await work.run([str(one) for one in sources], thread)


@dataclass(slots=True)
class _Preview:
    """A preview under way."""

    workspace: Workspace
    options: ImportOptions
    progress: Callable[[int], None] | None
    done: Imported = field(default_factory=Imported)
    catalog: Catalog | None = None
    columns: dict[str, None] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    repeated: int = 0
    differing: list[PreviewRow] = field(default_factory=list)
    alike: list[PreviewRow] = field(default_factory=list)

    async def run(self, sources: Sequence[str], thread: ReadingThread) -> ImportPreview:
        """Look at all sources."""
        paths = await thread.run(expand_sources, sources)
        for path in paths:
            async with thread.open(path, self.options.sheet) as reader:
                of_several = len(paths) > 1
                source = importing.source_of(path, reader, self.options, sources, of_several)
                await self._one(source, thread)
        if self.catalog is None:
            raise SourceError("there is nothing to import; name a file, a folder or a database URL")
        done, catalog = self.done, self.catalog
        if self.repeated:
            done.notes.append(f"{self.repeated} rows repeat a key; of each key the last row counts")
        sample = [*self.differing, *self.alike][:SAMPLE]
        return ImportPreview(
            catalog.name, catalog.id == 0, catalog.key_column, tuple(self.columns), done.new,
            done.changed, done.unchanged, tuple(done.problems), done.problem_count, tuple(sample),
            tuple(done.notes),
        )  # fmt: skip

    async def _one(self, source: importing._Source, thread: ReadingThread) -> None:
        reader = source.reader
        database = self.workspace.database
        known = self.catalog
        if known is None:
            known = await database.read(
                importing._known_catalog, self.options, source.name, reader.columns
            )
        key = importing._key_column(source, self.options, known, self.done)
        group = self.options.group or (known.group_column if known else None)
        self._check(source, known, key, group)
        if self.catalog is None:
            self.catalog = known or Catalog(
                0, self.options.catalog or source.name, key, group, tuple(reader.columns)
            )
        found = False
        async for batch in thread.batches(reader):
            found = True
            rows = importing._rows(batch, source, key, group, self.options, self.done)
            self.done.position += len(batch.numbers)
            await self._compare(rows, reader.columns, group)
            if self.progress is not None:
                self.progress(self.done.position)
        if not found:
            raise SourceError(
                "this source holds no rows below its header",
                Where(file=source.place, sheet=reader.sheet),
            )
        self.columns |= dict.fromkeys(reader.columns)
        self.done.notes += [f"{source.file}: {note}" for note in reader.notes]
        for row, message in reader.problems:
            self.done.problem(source.place, row, message)

    def _check(
        self, source: importing._Source, known: Catalog | None, key: str | None, group: str | None
    ) -> None:
        columns = source.reader.columns
        for name, what in ((key, "key"), (group, "group")):
            if name is not None and name not in columns and (name is key or self.options.group):
                raise SourceError(
                    f"there is no column “{name}” for the {what}{suggestion(name, columns)}",
                    Where(file=source.place, sheet=source.reader.sheet),
                )
        if known is not None and known.key_column != key:
            own = f"“{known.key_column}”" if known.key_column else "sheet and row"
            raise Conflict(
                f"the catalogue “{known.name}” is keyed by {own}; import into another catalogue, "
                "or by that column"
            )

    async def _compare(
        self, rows: Sequence[NewProduct], columns: Sequence[str], group: str | None
    ) -> None:
        assert self.catalog is not None
        fresh = {row.key: row for row in rows}
        self.repeated += len(rows) - len(fresh)
        verdicts = dict.fromkeys(fresh, Verdict.NEW)
        if self.catalog.id:
            verdicts = await self.workspace.database.read(
                comparing.compare, self.catalog, list(fresh.values()), columns, group
            )
        for key, row in fresh.items():
            # A number for a key: a million keys themselves would take far more room.
            mark = hash(key)
            if mark in self.seen:
                self.repeated += 1
                continue
            self.seen.add(mark)
            self._count(row, verdicts[key])

    def _count(self, row: NewProduct, verdict: Verdict) -> None:
        done = self.done
        if verdict is Verdict.UNCHANGED:
            done.unchanged += 1
        else:
            done.new += verdict is Verdict.NEW
            done.changed += verdict is Verdict.CHANGED
        kept = self.alike if verdict is Verdict.UNCHANGED else self.differing
        if len(kept) < SAMPLE:
            kept.append(PreviewRow(row.key, verdict, comparing.attributes_of(row)))


__all__ = ["ImportPreview", "PreviewRow", "preview_import"]

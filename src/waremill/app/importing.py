"""The use case *import*: files, folders and databases into a catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.acting import Actor, Role
from waremill.app.reading import ReadingThread
from waremill.catalog.reading import Batch, Reader, expand_sources, is_url
from waremill.catalog.selection import facet_index
from waremill.domain import is_missing
from waremill.errors import Forbidden, SourceError, Where
from waremill.rules.document import suggestion
from waremill.store import products as store_products
from waremill.store.database import Database, Dialect
from waremill.store.facets import facets
from waremill.store.products import Catalog, Content, Counts, NewProduct
from waremill.store.tables import products
from waremill.store.tables_people import FIRST_TEAM

BATCH_COMMIT = 5000
PROBLEMS_KEPT = 1000
_SECRETS = ("password", "passwd", "pwd", "sslpassword", "token", "access_token")
_KEY_NAMES = (
    "sku",
    "key",
    "id",
    "product_id",
    "handle",
    "item_no",
    "article",
    "货号",
    "商品编码",
    "编号",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was not imported, and why."""

    source: str
    row: int
    message: str


@dataclass(slots=True)
class Imported:
    """What an import did. `number` tells which products it touched."""

    catalog: str = ""
    key: str | None = None
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    notes: list[str] = field(default_factory=list)
    number: int = 0
    aside: int = 0
    """Files of a folder that could not be read; `notes` say why."""
    position: int = 0
    """The place of the next row among all sources' rows."""

    @property
    def rows(self) -> int:
        """Rows that became or matched a product."""
        return self.new + self.changed + self.unchanged

    def counts(self) -> dict[str, int]:
        """Give what became of the rows, by word."""
        return {"new": self.new, "changed": self.changed, "unchanged": self.unchanged,
                "problems": self.problem_count}  # fmt: skip

    def problem(self, source: str, row: int, message: str) -> None:
        """Note a bad row; the first thousand are kept, all are counted."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(Problem(source, row, message))


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import: key and group columns, a sheet, a catalogue's name.

    `keyless` allows rows without a key, which get `sheet!row`. A source of such rows goes into a
    catalogue of its own, named after it, unless one is chosen. A new catalogue becomes the team's;
    only those of `teams` are known (None: of every team). `by` stands in the audit log; `role` is
    what it takes to import, and `called` a name by which a source is known instead of its address.
    `since` takes of a database the rows alone whose column holds at least a value.
    """

    key: str | None = None
    group: str | None = None
    sheet: str | None = None
    catalog: str | None = None
    keyless: bool = False
    team: int = FIRST_TEAM
    teams: tuple[int, ...] | None = None
    by: Actor | None = None
    role: Role = "operator"
    called: str | None = None
    since: tuple[str, Any] | None = None


def options_for(actor: Actor, options: ImportOptions, known: Sequence[Catalog]) -> ImportOptions:
    """Say into whose catalogues somebody imports; raise Forbidden where it is none.

    `known` are the catalogues the actor sees.
    """
    role = options.role
    team = actor.first_team(role)
    for catalog in known:
        if catalog.name == options.catalog or (options.catalog is None and len(known) == 1):
            actor.need(role, catalog.team_id, f"catalogue “{catalog.name}”")
            team = catalog.team_id
    if team is None:
        raise Forbidden(f"an import needs the role {role}")
    mine = {one.team_id for one in known if actor.may(role, one.team_id)}
    teams = None if actor.everywhere is not None else tuple(sorted(mine))
    return replace(options, team=team, teams=teams, by=actor)


async def import_sources(
    database: Database,
    sources: Sequence[str],
    options: ImportOptions,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Import sources into one catalogue; the counts are of products."""
    work = _Import(database, options, progress)
    catalog: Catalog | None = None
    async with ReadingThread() as thread:
        paths = await thread.run(expand_sources, sources)
        for path in paths:
            async with thread.open(path, options.sheet, options.since) as reader:
                source = source_of(path, reader, options, sources, len(paths) > 1)
                catalog = await work.one_source(source, thread.batches(reader), catalog)
    done, counts = work.done, work.counts
    if catalog is None:
        raise SourceError("there is nothing to import; name a file, a folder or a database URL")
    done.catalog, done.key, done.number = catalog.name, catalog.key_column, catalog.imports
    await database.write(_index_facets, catalog, database.dialect)
    if counts.repeated:
        done.notes.append(f"{counts.repeated} rows repeat a key; of each key the last row counts")
    done.new, done.changed, done.unchanged = counts.new, counts.changed, counts.unchanged
    if done.rows == 0:
        reason = done.problems[0].message if done.problems else "it holds no rows"
        raise SourceError(f"nothing was imported: {reason}", Where(file=shown(sources[0])))
    return done


def source_of(
    path: str, reader: Reader, options: ImportOptions, sources: Sequence[str], of_several: bool
) -> _Source:
    """Say what an open source is called: by its own name, or by the one it was given."""
    name = options.called or _name_after(path, sources)
    return _Source(options.called or shown(path), name, reader, of_several)


def shown(source: str) -> str:
    """Give a source as it may be stored and shown: a database URL without its password."""
    if not is_url(source):
        return source
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(source)
    except (ArgumentError, ValueError):
        return f"{source.partition('://')[0]}://…"
    secret = {name: "***" for name in url.query if name.lower() in _SECRETS}
    return url.update_query_dict(secret).render_as_string(hide_password=True)


@dataclass(frozen=True, slots=True)
class _Source:
    """An open source: how it is called, what a catalogue of its own is called, whether it is one
    of several.
    """

    place: str
    name: str
    reader: Reader
    of_several: bool

    @property
    def file(self) -> str:
        """The source's short name, for messages."""
        return self.place if is_url(self.place) else Path(self.place).name

    def row_key(self, number: int) -> str:
        """The key of a row that has none."""
        stem = self.name if is_url(self.place) else Path(self.place).stem
        sheet = self.reader.sheet
        if sheet is None:
            return f"{stem}!{number}"
        # Two workbooks of one import may both have a “Sheet1”.
        return f"{stem}:{sheet}!{number}" if self.of_several else f"{sheet}!{number}"


@dataclass(slots=True)
class _Import:
    """An import under way."""

    database: Database
    options: ImportOptions
    progress: Callable[[int], None] | None
    done: Imported = field(default_factory=Imported)
    counts: Counts = field(default_factory=Counts)

    async def one_source(
        self, source: _Source, batches: AsyncIterator[Batch], known: Catalog | None
    ) -> Catalog:
        """Import a source; the sources after the first one join its catalogue."""
        reader, options, done = source.reader, self.options, self.done
        if known is None:
            known = await self.database.read(_known_catalog, options, source.name, reader.columns)
        key = _key_column(source, options, known, done)
        group = options.group or (known.group_column if known else None)
        _check_columns(source, options, key, group)
        wanted = Catalog(
            0, known.name if known else options.catalog or source.name, key, group,
            tuple(reader.columns), reader.sheet, source.place,
            team_id=known.team_id if known else options.team,
        )  # fmt: skip
        catalog = None
        pending: list[NewProduct] = []
        async with _OneBehind() as saving:
            async for batch in batches:
                if catalog is None:  # nothing is written before the first rows could be read
                    catalog = await self.database.write(
                        _begin, wanted, source.file, options.by, further=done.number > 0
                    )
                    done.number = catalog.imports
                pending += _rows(batch, source, key, group, options, done)
                done.position += len(batch.numbers)
                if len(pending) >= BATCH_COMMIT:
                    await saving.start(self._save(catalog, tuple(reader.columns), pending))
                    pending = []
            if catalog is None:
                raise SourceError(
                    "this source holds no rows below its header",
                    Where(file=source.place, sheet=reader.sheet),
                )
            await saving.start(self._save(catalog, tuple(reader.columns), pending))
        done.notes += [f"{source.file}: {note}" for note in reader.notes]
        for row, message in reader.problems:
            done.problem(source.place, row, message)
        # The reader may have named more columns on the way (units beside their originals).
        return await self.database.write(_widen, catalog, tuple(reader.columns))

    async def _save(
        self, catalog: Catalog, columns: tuple[str, ...], rows: list[NewProduct]
    ) -> None:
        """Write rows; `columns` are those known when they were read."""
        counts = self.counts
        await self.database.write(store_products.upsert, catalog, columns, rows, counts)
        if self.progress and len(rows) >= BATCH_COMMIT:
            self.progress(counts.new + counts.changed + counts.unchanged)


class _OneBehind:
    """Lets one save go on while the next rows are read; an async context manager.

    Leaving it waits for the last one. A save that failed says so to whoever starts the next, or
    leaves.
    """

    def __init__(self) -> None:
        self._last: asyncio.Task[None] | None = None

    async def start(self, save: Coroutine[Any, Any, None]) -> None:
        """Begin a save once the one before it is done."""
        try:
            await self.ended()
        except BaseException:
            save.close()
            raise
        self._last = asyncio.create_task(save)

    async def ended(self) -> None:
        """Wait for the save at work, if any."""
        if self._last is not None:
            last, self._last = self._last, None
            await last

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_error: Any) -> None:
        if kind is None:
            await self.ended()
        elif self._last is not None:  # what is being written is written whole, as ever
            await asyncio.gather(self._last, return_exceptions=True)


def _check_columns(
    source: _Source, options: ImportOptions, key: str | None, group: str | None
) -> None:
    columns = source.reader.columns
    for name, what in ((key, "--key"), (group, "--group")):
        if name is not None and name not in columns and (name is key or options.group):
            raise SourceError(
                f"there is no column “{name}” for {what}{suggestion(name, columns)}",
                Where(file=source.place, sheet=source.reader.sheet),
            )


def _begin(
    conn: Connection, wanted: Catalog, file: str, by: Actor | None, *, further: bool
) -> Catalog:
    """Make or widen the catalogue, and record the import with the first thing it writes."""
    catalog = store_products.save_catalog(conn, wanted, further=further)
    if by is not None:
        subject = f"catalogue {catalog.name}"
        auditing.record(
            conn, by, "catalog.import", subject, catalog.team_id, source=file,
            number=catalog.imports,
        )  # fmt: skip
    return catalog


def _index_facets(conn: Connection, catalog: Catalog, dialect: Dialect) -> None:
    """Give columns with few different values an index each, so that filters on them are quick."""
    for column in facets(conn, catalog):
        # The queries for products name both leading columns: without them other indexes win.
        made = facet_index(
            column, products.c.attributes, dialect, leading=("catalog_id", "is_group")
        )
        if made is not None:
            conn.execute(made[1])


def _widen(conn: Connection, catalog: Catalog, columns: tuple[str, ...]) -> Catalog:
    store_products.widen_catalog(conn, catalog, columns)
    return store_products.find_catalog(conn, catalog.name)


def _known_catalog(
    conn: Connection, options: ImportOptions, name: str, columns: Sequence[str]
) -> Catalog | None:
    """Find the catalogue to import into; None for a new one.

    It is the named one, or the only one there is. Rows that need no key go where their key column
    is one, else into their source's own.
    """
    known = [
        catalog
        for catalog in store_products.list_catalogs(conn)
        if options.teams is None or catalog.team_id in options.teams
    ]
    if options.catalog is not None:
        return next((catalog for catalog in known if catalog.name == options.catalog), None)
    if options.keyless:
        keys = columns if options.key is None else (options.key,)
        fitting = [catalog for catalog in known if catalog.key_column in keys]
        if len(fitting) != 1:
            fitting = [catalog for catalog in known if catalog.name == name] or fitting
        if len(fitting) == 1:
            return fitting[0]
        if not fitting and options.key is None:
            return None
    return store_products.pick_catalog(known, None) if known else None


def _name_after(path: str, sources: Sequence[str]) -> str:
    """Name a catalogue after its source: a folder, a file, a kind of database."""
    if is_url(path):
        return path.partition("://")[0].partition("+")[0]
    folder = next((Path(one) for one in sources if not is_url(one) and Path(one).is_dir()), None)
    return folder.resolve().name if folder is not None else Path(path).stem


def _key_column(
    source: _Source, options: ImportOptions, known: Catalog | None, done: Imported
) -> str | None:
    if options.key is not None:
        return options.key
    if known is not None:
        return known.key_column
    columns = source.reader.columns
    lowered = {column.lower(): column for column in columns}
    for name in _KEY_NAMES:
        if name in lowered:
            done.notes.append(
                f"{source.file}: the column “{lowered[name]}” is taken as the key; "
                "--key names another"
            )
            return lowered[name]
    if options.keyless:
        return None
    raise SourceError(
        f"say which column holds the key: --key COL (columns: {', '.join(columns[:12])})",
        Where(file=source.place, sheet=source.reader.sheet),
    )


def _rows(
    batch: Batch,
    source: _Source,
    key: str | None,
    group: str | None,
    options: ImportOptions,
    done: Imported,
) -> list[NewProduct]:
    count = len(batch.numbers)
    nothing = [None] * count
    documents, versions = batch.contents()
    keys = batch.column(key) if key else nothing
    groups = batch.column(group) if group else nothing
    contents = map(Content, documents, versions)
    places = range(done.position, done.position + count)
    rows = []
    for place, number, own, belongs, content in zip(
        places, batch.numbers, keys, groups, contents, strict=True
    ):
        keyless = is_missing(own)
        if keyless:
            if key is not None and not options.keyless:
                done.problem(source.place, number, f"the key column “{key}” is empty")
                continue
            own = source.row_key(number)
        rows.append(
            NewProduct(
                str(own), None if is_missing(belongs) else str(belongs), place, content, keyless
            )
        )
    return rows


__all__ = ["ImportOptions", "Imported", "Problem", "import_sources", "shown"]

"""The use case *import*: files, folders and databases into a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from waremill.catalog.reading import Batch, Reader, expand_sources, read_source
from waremill.catalog.selection import facet_index
from waremill.domain import is_missing
from waremill.errors import SourceError, Where
from waremill.rules.document import suggestion
from waremill.store import products as store_products
from waremill.store.database import Database, Dialect
from waremill.store.products import Catalog, Counts, NewProduct
from waremill.store.tables import products

BATCH_COMMIT = 5000
PROBLEMS_KEPT = 1000
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

    @property
    def rows(self) -> int:
        """Rows that became or matched a product."""
        return self.new + self.changed + self.unchanged

    def problem(self, source: str, row: int, message: str) -> None:
        """Note a bad row; the first thousand are kept, all are counted."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(Problem(source, row, message))


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import: key and group columns, a sheet, a catalogue's name.

    `keyless` allows rows without a key, which get `sheet!row`.
    """

    key: str | None = None
    group: str | None = None
    sheet: str | None = None
    catalog: str | None = None
    keyless: bool = False


async def import_sources(
    database: Database,
    sources: Sequence[str],
    options: ImportOptions,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Import sources into one catalogue; the counts are of products."""
    done = Imported()
    counts = Counts()
    catalog: Catalog | None = None
    for source in expand_sources(sources):
        with read_source(source, sheet=options.sheet) as reader:
            catalog = await _one_source(database, source, reader, options, done, counts, progress)
            done.notes += [f"{Path(source).name}: {note}" for note in reader.notes]
            for row, message in reader.problems:
                done.problem(source, row, message)
    if catalog is None:
        raise SourceError("there is nothing to import; name a file, a folder or a database URL")
    after: int | None = 0
    while catalog.group_column is not None and after is not None:
        after = await database.write(store_products.refresh_groups, catalog, after)
    done.catalog, done.key, done.number = catalog.name, catalog.key_column, catalog.imports
    await database.write(_index_facets, catalog, database.dialect)
    if counts.repeated:
        done.notes.append(f"{counts.repeated} rows repeat a key; of each key the last row counts")
    done.new, done.changed, done.unchanged = counts.new, counts.changed, counts.unchanged
    if done.rows == 0:
        reason = done.problems[0].message if done.problems else "it holds no rows"
        raise SourceError(f"nothing was imported: {reason}", Where(file=str(sources[0])))
    return done


async def _one_source(
    database: Database,
    source: str,
    reader: Reader,
    options: ImportOptions,
    done: Imported,
    counts: Counts,
    progress: Callable[[int], None] | None,
) -> Catalog:
    known = await database.read(_known_catalog, options.catalog)
    key = _key_column(reader, options, known, source, done)
    group = options.group or (known.group_column if known else None)
    for name, what in ((key, "--key"), (group, "--group")):
        if name is not None and name not in reader.columns and (name is key or options.group):
            raise SourceError(
                f"there is no column “{name}” for {what}{suggestion(name, reader.columns)}",
                Where(file=source, sheet=reader.sheet),
            )
    wanted = Catalog(
        0, known.name if known else options.catalog or _catalog_name(source), key, group,
        tuple(reader.columns), reader.sheet, source,
    )  # fmt: skip
    catalog = None
    pending: list[NewProduct] = []
    position = 0
    for batch in reader.batches():
        if catalog is None:  # nothing is written before the first rows could be read
            catalog = await database.write(
                store_products.save_catalog, wanted, further=done.number > 0
            )
            done.number = catalog.imports
        pending += _rows(batch, position, (source, reader.sheet), key, group, options, done)
        position += len(batch.rows)
        if len(pending) >= BATCH_COMMIT:
            await _save(database, catalog, reader, pending, counts)
            pending = []
            if progress:
                progress(counts.new + counts.changed + counts.unchanged)
    if catalog is None:
        raise SourceError(
            "this source holds no rows below its header", Where(file=source, sheet=reader.sheet)
        )
    await _save(database, catalog, reader, pending, counts)
    # The reader may have named more columns on the way (units beside their originals).
    return await database.write(_widen, catalog, tuple(reader.columns))


def _index_facets(conn: Connection, catalog: Catalog, dialect: Dialect) -> None:
    """Give columns with few different values an index each, so that filters on them are quick."""
    for column in store_products.facets(conn, catalog):
        made = facet_index(column, products.c.attributes, dialect, leading=("catalog_id",))
        if made is not None:
            conn.execute(made[1])


def _widen(conn: Connection, catalog: Catalog, columns: tuple[str, ...]) -> Catalog:
    store_products.widen_catalog(conn, catalog, columns)
    return store_products.find_catalog(conn, catalog.name)


async def _save(
    database: Database,
    catalog: Catalog,
    reader: Reader,
    rows: list[NewProduct],
    counts: Counts,
) -> None:
    await database.write(store_products.upsert, catalog, tuple(reader.columns), rows, counts)


def _known_catalog(conn: Connection, name: str | None) -> Catalog | None:
    """Find the catalogue to import into: the named one, or the only one there is."""
    known = store_products.list_catalogs(conn)
    if name is None and known:
        return store_products.find_catalog(conn, None)
    return next((catalog for catalog in known if catalog.name == name), None)


def _catalog_name(source: str) -> str:
    if "://" in source:
        return source.partition("://")[0].partition("+")[0]
    return Path(source).stem


def _key_column(
    reader: Reader, options: ImportOptions, known: Catalog | None, source: str, done: Imported
) -> str | None:
    if options.key is not None:
        return options.key
    if known is not None:
        return known.key_column
    lowered = {column.lower(): column for column in reader.columns}
    for name in _KEY_NAMES:
        if name in lowered:
            done.notes.append(
                f"{Path(source).name}: the column “{lowered[name]}” is taken as the key; "
                "--key names another"
            )
            return lowered[name]
    if options.keyless:
        return None
    raise SourceError(
        f"say which column holds the key: --key COL (columns: {', '.join(reader.columns[:12])})",
        Where(file=source, sheet=reader.sheet),
    )


def _rows(
    batch: Batch,
    position: int,
    place: tuple[str, str | None],
    key: str | None,
    group: str | None,
    options: ImportOptions,
    done: Imported,
) -> list[NewProduct]:
    source, sheet = place
    rows = []
    for offset, (number, attributes) in enumerate(zip(batch.numbers, batch.rows, strict=True)):
        own = attributes.get(key) if key else None
        if is_missing(own):
            if key is not None and not options.keyless:
                done.problem(source, number, f"the key column “{key}” is empty")
                continue
            own = f"{sheet or Path(source).stem}!{number}"
        belongs = attributes.get(group) if group else None
        rows.append(
            NewProduct(
                str(own),
                None if is_missing(belongs) else str(belongs),
                position + offset,
                attributes,
            )
        )
    return rows


__all__ = ["ImportOptions", "Imported", "Problem", "import_sources"]

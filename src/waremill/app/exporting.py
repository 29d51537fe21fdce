"""The use case *export*: a run's items as a sheet, a table or lines of JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from waremill.app.assembly import Assembly
from waremill.app.keeping import storage_at
from waremill.app.picture_files import PictureFolder
from waremill.app.status import NANO
from waremill.catalog.publishers import Column, Written, publish_rows, publisher_for
from waremill.domain import refers
from waremill.settings import Settings
from waremill.store import reporting
from waremill.store.reporting import FinishedItem
from waremill.store.runs import Run
from waremill.store.tables import dumps

STATUS = ("_status", "_findings", "_cost")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of an export: source names, (step, field, heading) triples, targets when wide.

    Fields in `once` were made once a product, so a wide sheet shows them once for all targets.
    """

    source: tuple[str, ...]
    generated: tuple[tuple[str, str, str], ...]
    targets: tuple[str, ...]
    wide: bool
    once: frozenset[str] = frozenset()

    @property
    def shared(self) -> list[tuple[str, str, str]]:
        """The generated columns that stand once a row of a wide sheet."""
        return [part for part in self.generated if part[0] in self.once]

    @property
    def repeated(self) -> list[tuple[str, str, str]]:
        """The generated columns that stand once a target of a wide sheet."""
        return [part for part in self.generated if part[0] not in self.once]

    @property
    def columns(self) -> list[Column]:
        """All columns in order, with their kinds."""
        found = [Column(name, "source") for name in self.source]
        if not self.wide:
            if len(self.targets) > 1:
                found.append(Column("_target", "status"))
            found += [Column(heading, "generated") for _, _, heading in self.generated]
            found += [Column(name, "status") for name in STATUS]
        else:
            found += [Column(heading, "generated") for _, _, heading in self.shared]
            for target in self.targets:
                end = f"@{target}" if len(self.targets) > 1 else ""
                found += [Column(heading + end, "generated") for _, _, heading in self.repeated]
            for target in self.targets:
                end = f"@{target}" if len(self.targets) > 1 else ""
                found += [Column(name + end, "status") for name in STATUS]
        return [*found, Column("_run", "status")]


def layout(run: Run, assembly: Assembly, *, wide: bool) -> Layout:
    """Lay the columns out; a field's name is prefixed with its step's where it would clash."""
    source = tuple(run.plan["columns"])
    pairs = [(step.name, name) for step in assembly.steps for name in step.fields]
    often = Counter(name for _, name in pairs)
    taken = set(source)
    generated = tuple(
        (step, name, f"{step}.{name}" if often[name] > 1 or name in taken else name)
        for step, name in pairs
    )
    once = frozenset(step.name for step in assembly.steps if step.per != "target")
    return Layout(source, generated, tuple(run.plan["targets"]), wide, once)


def export_run(
    conn: Connection,
    settings: Settings,
    run: Run,
    assembly: Assembly,
    path: Path,
    *,
    accepted: bool = False,
    wide: bool = True,
) -> Written:
    """Write a run's items to a file, in the run's order; only accepted ones when asked."""
    publisher_for(path)
    states = ("accepted", "edited") if accepted else None
    fields = layout(run, assembly, wide=wide)
    if any(step.preview and not step.fields for step in assembly.steps):
        fields = _with_schema_fields(conn, run, fields, states)
    total = None if accepted else run.total // (len(fields.targets) if wide else 1)
    sheet = run.plan.get("sheet") or "Products"
    storage = storage_at(settings.pictures.storage)
    with PictureFolder(path, storage, path.suffix.lower() == ".xlsx") as folder:
        export = _Export(conn, settings, run, fields, states, folder)
        rows = export.wide() if wide else export.long()
        written = publish_rows(path, fields.columns, rows, sheet=sheet, total=total)
    return replace(written, notes=(*written.notes, *folder.notes))


def _with_schema_fields(
    conn: Connection, run: Run, fields: Layout, states: Sequence[str] | None
) -> Layout:
    """Add fields that only the data tell, as a category's schema decides them for each product."""
    known = {(step, name) for step, name, _ in fields.generated}
    taken = {*fields.source, *(heading for _, _, heading in fields.generated)}
    extra: dict[tuple[str, str], str] = {}
    for page in reporting.item_pages(conn, run.id, states):
        for item in page:
            for step, values in item.by_step.items():
                for name in values:
                    if (step, name) not in known and (step, name) not in extra:
                        extra[step, name] = f"{step}.{name}" if name in taken else name
    added = tuple((step, name, heading) for (step, name), heading in extra.items())
    return replace(fields, generated=(*fields.generated, *added)) if added else fields


@dataclass(frozen=True, slots=True)
class _Export:
    """One export at work: turns the run's items into rows."""

    conn: Connection
    settings: Settings
    run: Run
    fields: Layout
    states: Sequence[str] | None
    folder: PictureFolder

    def long(self) -> Iterator[list[Any]]:
        """Give a row an item."""
        fields = self.fields
        for page in reporting.item_pages(self.conn, self.run.id, self.states):
            for item in page:
                row = [item.attributes.get(name) for name in fields.source]
                if len(fields.targets) > 1:
                    row.append(item.target)
                made = self._made(item, fields.generated)
                yield [*row, *made, *_status(item, self.settings), self.run.name]

    def wide(self) -> Iterator[list[Any]]:
        """Give a row a product, its targets beside each other."""
        fields, several = self.fields, len(self.fields.targets) > 1
        for items in _by_product(self.conn, self.run, self.states):
            first = next(iter(items.values()))
            row = [first.attributes.get(name) for name in fields.source]
            row += self._shared(items.values(), fields.shared)
            for target in fields.targets:
                item, end = items.get(target), f"@{target}" if several else ""
                nothing = [None] * len(fields.repeated)
                row += self._made(item, fields.repeated, end) if item else nothing
            for target in fields.targets:
                item = items.get(target)
                row += _status(item, self.settings) if item else [None] * len(STATUS)
            yield [*row, self.run.name]

    def _made(
        self, item: FinishedItem, fields: Sequence[tuple[str, str, str]], end: str = ""
    ) -> list[Any]:
        return [self._cell(item, step, name, heading + end) for step, name, heading in fields]

    def _shared(
        self, items: Iterable[FinishedItem], fields: Sequence[tuple[str, str, str]]
    ) -> list[Any]:
        """Give what was made once a product: an item of one target may have failed."""
        found = []
        for step, name, heading in fields:
            of = (one for one in items if one.by_step.get(step, {}).get(name) is not None)
            item = next(of, None)
            found.append(None if item is None else self._cell(item, step, name, heading))
        return found

    def _cell(self, item: FinishedItem, step: str, name: str, heading: str) -> Any:
        value = item.by_step.get(step, {}).get(name)
        if not refers(value):
            return value
        return self.folder.cell(item, (step, name), heading, self.run.name)


def _by_product(
    conn: Connection, run: Run, states: Sequence[str] | None
) -> Iterator[dict[str, FinishedItem]]:
    """Give each product's items by target; a run's items of one product follow each other."""
    together: dict[str, FinishedItem] = {}
    product = None
    for page in reporting.item_pages(conn, run.id, states):
        for item in page:
            if item.product_id != product and together:
                yield together
                together = {}
            product = item.product_id
            together[item.target] = item
    if together:
        yield together


def _status(item: FinishedItem, settings: Settings) -> list[Any]:
    findings = list(item.findings)
    if item.error is not None:
        findings.append({"rule": item.error.get("type"), "message": item.error.get("message")})
    cost = None
    if item.list_cost is not None:
        cost = round(item.list_cost / NANO * settings.per_usd, 6)
    return [item.state, dumps(findings) if findings else None, cost]

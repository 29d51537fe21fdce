"""The use case *import from a named source*: a database, address or folder in `waremill.toml`.

A server never reads a database, a file or an address that a request names: who runs the workspace
writes down what may be read, and admins read it by its name. Each reading is in the audit log.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection

from waremill.app import auditing, importing
from waremill.app.feeding.folders import Folder
from waremill.app.feeding.pages import fetch
from waremill.app.feeding.values import has_grown, read_value, write_value
from waremill.app.import_preview import ImportPreview, preview_import
from waremill.app.importing import PROBLEMS_KEPT, Imported, ImportOptions
from waremill.catalog.readers.database import newest
from waremill.errors import ConfigError, NotFound, SourceError, Where
from waremill.settings.load import Source
from waremill.store import sources as store
from waremill.store.sources import ASIDE, FAILED, WAITING

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NamedSource:
    """What may be imported by its name. `kind` is `rest`, `folder` or a database's dialect, None
    where its URL is missing; `lacks` names the variable that should hold what is missing.
    """

    name: str
    kind: str | None
    lacks: str | None


def list_sources(workspace: Workspace) -> tuple[NamedSource, ...]:
    """List the named sources, for admins; of their addresses nothing is told."""
    workspace.actor.need_somewhere("admin", "the list of sources")
    known = sorted(workspace.settings.sources.items())
    return tuple(NamedSource(name, one.kind, one.lacks) for name, one in known)


def find_source(workspace: Workspace, name: str) -> Source:
    """Give a named source for an admin; raises NotFound for a name that is not in the settings."""
    workspace.actor.need_somewhere("admin", "importing from a source")
    found = workspace.settings.sources.get(name)
    if found is None:
        raise NotFound(f"there is no source “{name}”; waremill.toml names them as [sources.NAME]")
    return found


async def import_source(
    workspace: Workspace,
    name: str,
    *,
    key: str | None = None,
    group: str | None = None,
    catalog: str | None = None,
) -> Imported:
    """Import a named source into a catalogue, by key; for admins of the catalogue's team.

    Of a database with a column that grows, what changed since the last time; of a folder the new
    and changed files. Nothing new gives no rows. What is gone at the source stays in the catalogue.
    Raises NotFound for a name that is not in the settings, SourceError for what cannot be read.
    """
    options = await _options(workspace, name, (key, group, catalog))
    database = workspace.database

    async def files(paths: Sequence[str]) -> Imported:
        return await importing.import_sources(database, paths, options)

    async def work(source: Source) -> Imported:
        if source.kind == "folder":
            return await _import_folder(workspace, name, source, options)
        if source.kind == "rest":
            with _fetched(name) as place:
                await fetch(source, place)
                return await files([str(place)])
        assert source.url is not None, "it was checked"
        if source.changed_column is None:
            return await files([source.url])
        return await _import_changes(workspace, name, source, options)

    return await _read(workspace, name, options.team, work)


async def preview_source(
    workspace: Workspace,
    name: str,
    *,
    key: str | None = None,
    group: str | None = None,
    catalog: str | None = None,
) -> ImportPreview:
    """Say what `import_source` would do; nothing is saved, and the same rights are needed.

    Of a REST address the first page is looked at.
    """
    options = await _options(workspace, name, (key, group, catalog))

    async def work(source: Source) -> ImportPreview:
        if source.kind == "folder":
            raise ConfigError(f"“{name}” is a folder; import it, or look at one of its files")
        if source.kind == "rest":
            with _fetched(name) as place:
                await fetch(source, place, most=1)
                return await preview_import(workspace, [str(place)], options)
        assert source.url is not None, "it was checked"
        return await preview_import(workspace, [source.url], options)

    return await _read(workspace, name, options.team, work)


@contextmanager
def _fetched(name: str) -> Iterator[Path]:
    """Give a place for what a source gives, called as the source is."""
    with tempfile.TemporaryDirectory(prefix="waremill-source-") as folder:
        yield Path(folder) / f"{name}.jsonl"


async def _import_changes(
    workspace: Workspace, name: str, source: Source, options: ImportOptions
) -> Imported:
    """Import the rows of a database that changed; note how far it was read when all are in."""
    database, column = workspace.database, source.changed_column or ""
    url = source.url or ""
    greatest = await asyncio.to_thread(newest, url, column)
    if greatest is None:
        return Imported(catalog=options.catalog or "", notes=[f"{name}: it gives no rows"])
    known = await database.read(store.newest_read, name)
    least = None if known is None else read_value(known)
    back = least is not None and not has_grown(least, greatest)
    if least is not None and not back:
        options = replace(options, since=(column, least))
    done = await importing.import_sources(database, [url], options)
    if back:  # restored from a backup, for example: what changed since has smaller values
        done.notes.append(f"{name}: “{column}” went back, so all of it was read")
    await database.write(store.note_newest, name, write_value(greatest))
    return done


async def _import_folder(
    workspace: Workspace, name: str, source: Source, options: ImportOptions
) -> Imported:
    """Import the new and changed files of a folder; one that is bad is set aside and said."""
    if options.catalog is None and not await workspace.catalogs():
        options = replace(options, catalog=name)
    whole = Imported(catalog=options.catalog or "")

    async def work(path: str) -> None:
        called = f"{name}/{Path(path).name}"
        done = await importing.import_sources(
            workspace.database, [path], replace(options, called=called)
        )
        whole.catalog, whole.key, whole.number = done.catalog, done.key, done.number
        for count in ("new", "changed", "unchanged", "problem_count"):
            setattr(whole, count, getattr(whole, count) + getattr(done, count))
        whole.problems += done.problems[: PROBLEMS_KEPT - len(whole.problems)]
        whole.notes += done.notes

    outcomes = await Folder(workspace.database, name, source).feed(work)
    for one in outcomes:
        if one.state == ASIDE:
            whole.aside += 1
            whole.notes.append(f"{one.path} is set aside until it changes: {one.reason}")
        elif one.state == FAILED:
            whole.aside += 1
            whole.notes.append(f"{one.path} is tried again next time: {one.reason}")
        elif one.state == WAITING:
            whole.notes.append(f"{one.path} waits: {one.reason}")
    if not outcomes:
        whole.notes.append(f"{name}: no file is new or changed")
    return whole


async def _options(
    workspace: Workspace, name: str, given: tuple[str | None, str | None, str | None]
) -> ImportOptions:
    source = find_source(workspace, name)
    key, group, catalog = given
    wanted = ImportOptions(
        key or source.key, group or source.group, None, catalog or source.catalog, role="admin",
        called=name,
    )  # fmt: skip
    return importing.options_for(workspace.actor, wanted, await workspace.catalogs())


async def _read(
    workspace: Workspace, name: str, team: int, work: Callable[[Source], Awaitable[T]]
) -> T:
    """Note that a source is read, then read it; errors name it and not its address."""
    source = workspace.settings.sources[name]
    if source.lacks is not None:
        if source.kind is None:
            raise ConfigError(f"the source “{name}” has no address: set {source.lacks}")
        raise ConfigError(f"the source “{name}” has no key: set {source.lacks}")

    def note(conn: Connection) -> None:
        auditing.record(conn, workspace.actor, "source.read", f"source {name}", team)

    await workspace.database.write(note)
    try:
        return await work(source)
    except SourceError as error:
        raise SourceError(error.message, Where(file=name)) from error


__all__ = ["NamedSource", "find_source", "import_source", "list_sources", "preview_source"]

"""The use case *import from a named source*: a database that `waremill.toml` names.

A server never reads a database, a file or an address that a request names: who runs the workspace
writes down what may be read, and admins read it by its name. Each reading is in the audit log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection

from waremill.app import auditing, importing
from waremill.app.import_preview import ImportPreview, preview_import
from waremill.app.importing import Imported, ImportOptions
from waremill.errors import ConfigError, NotFound, SourceError, Where

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace
    from waremill.settings.load import Source

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A database that may be imported from. `kind` is its dialect, None where its URL is missing:
    then `lacks` names the variable that should hold it.
    """

    name: str
    kind: str | None
    lacks: str | None


def list_sources(workspace: Workspace) -> tuple[NamedSource, ...]:
    """List the named sources, for admins; of their addresses nothing is told."""
    workspace.actor.need_somewhere("admin", "the list of sources")
    found = []
    for name, one in sorted(workspace.settings.sources.items()):
        kind = None if one.url is None else one.url.partition("://")[0].partition("+")[0]
        found.append(NamedSource(name, kind, one.variable if one.url is None else None))
    return tuple(found)


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

    Raises NotFound for a name that is not in the settings, SourceError for what cannot be read.
    """
    options = await _options(workspace, name, (key, group, catalog))

    async def work(url: str) -> Imported:
        return await importing.import_sources(workspace.database, [url], options)

    return await _read(workspace, name, options.team, work)


async def preview_source(
    workspace: Workspace,
    name: str,
    *,
    key: str | None = None,
    group: str | None = None,
    catalog: str | None = None,
) -> ImportPreview:
    """Say what `import_source` would do; nothing is saved, and the same rights are needed."""
    options = await _options(workspace, name, (key, group, catalog))

    async def work(url: str) -> ImportPreview:
        return await preview_import(workspace, [url], options)

    return await _read(workspace, name, options.team, work)


async def _options(
    workspace: Workspace, name: str, given: tuple[str | None, str | None, str | None]
) -> ImportOptions:
    find_source(workspace, name)
    key, group, catalog = given
    wanted = ImportOptions(key, group, None, catalog, role="admin", called=name)
    return importing.options_for(workspace.actor, wanted, await workspace.catalogs())


async def _read(
    workspace: Workspace, name: str, team: int, work: Callable[[str], Awaitable[T]]
) -> T:
    """Note that a source is read, then read it; errors name it and not its address."""
    source = workspace.settings.sources[name]
    if source.url is None:
        raise ConfigError(f"the source “{name}” has no address: set {source.variable}")

    def note(conn: Connection) -> None:
        auditing.record(conn, workspace.actor, "source.read", f"source {name}", team)

    await workspace.database.write(note)
    try:
        return await work(source.url)
    except SourceError as error:
        raise SourceError(error.message, Where(file=name)) from error


__all__ = ["NamedSource", "import_source", "list_sources", "preview_source"]

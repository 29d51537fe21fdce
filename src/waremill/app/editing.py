"""The use case *edit a file of the workspace*: drafts, approval by a second person, history.

What is on disk is what was approved, and bulk runs work from that; drafts are in the database. A
text that somebody put on disk by other means is taken as approved, and becomes a version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.app.differing import DiffLine, diff_lines
from waremill.app.generating import may_use
from waremill.app.informing import base_names
from waremill.app.linting import (
    Kind,
    Lint,
    Variable,
    built,
    kind_of,
    lint_text,
    name_of,
    variables_for,
)
from waremill.app.owning import seen_settings
from waremill.app.paging import Page, bad_cursor, decode_cursor, encode_cursor, page_size
from waremill.app.playing import Played, Side, play_sides
from waremill.app.previewing import Preview, item_for, preview
from waremill.app.workfiles import (
    clean_text,
    is_editable,
    place_of,
    read_text_of,
    write_text_of,
)
from waremill.domain import Emit
from waremill.errors import ConfigError, Conflict, Forbidden, LimitReached, NotFound, Where
from waremill.pipeline import load_pipeline, pipeline_names
from waremill.store import versions as store
from waremill.store.versions import FileVersion, text_hash

if TYPE_CHECKING:
    from waremill.app.acting import Role
    from waremill.app.workspace import Workspace

LONGEST_NOTE = 500
MOST_COMPARED = 10
_OWNED: Mapping[str, str] = {"template": "template", "pipeline": "pipeline"}


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """A file that may be edited; `draft` is its open draft, `on_disk` False before its first
    approval, and `editable` whether whoever asks may change it.
    """

    path: str
    kind: Kind
    on_disk: bool
    draft: FileVersion | None
    editable: bool


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A file as it is to be edited: its open draft, or else what is approved.

    `etag` changes with whatever is saved, approved, or changed on disk. `approved` is the text on
    disk, None for a new file. `version` is the version `text` is, None for a new file, or where
    the database had no room to keep what was found on disk.
    """

    path: str
    kind: Kind
    text: str
    etag: str
    state: Literal["approved", "draft", "new"]
    version: FileVersion | None
    approved: str | None
    editable: bool


@dataclass(frozen=True, slots=True)
class Using:
    """With what a text is tried: the catalogue (the only one, if None), the model that stands in
    for the default one, and parameters over the pipeline's own.
    """

    catalog: str | None = None
    model: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


class Editor:
    """Edits the workspace's templates, pipelines and rules, as its actor may."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._root = workspace.settings.root

    # Looking.

    async def files(self) -> tuple[WorkspaceFile, ...]:
        """List the files that may be edited, drafts of new ones among them, by folder and name."""
        self._workspace.actor.need_somewhere("viewer", "the templates")
        on_disk = {path for path in self._workspace.settings.files() if is_editable(path)}
        drafts = await self._workspace.database.read(store.open_drafts)
        owned = await self._workspace.database.read(store.owned_by)
        found = []
        for path in sorted(on_disk | {path for path in drafts if is_editable(path)}):
            team = owned.get(_owner_key(path))
            if self._may("viewer", team):
                found.append(
                    WorkspaceFile(path, kind_of(path), path in on_disk, drafts.get(path),
                                  self._may("operator", team))
                )  # fmt: skip
        return tuple(found)

    async def read(self, path: str) -> TemplateText:
        """Give a file as it is to be edited; one that does not exist yet is empty and `new`."""
        team = await self._need("viewer", path)
        disk, approved, draft = await self._newest(path, looking=True)
        state: Literal["approved", "draft", "new"] = "new" if disk is None else "approved"
        text, version = disk or "", approved if disk is not None else None
        if draft is not None:
            state, version = "draft", draft
            text = await self._workspace.database.read(store.version_text, draft)
        return TemplateText(
            path, kind_of(path), text, _etag(disk, draft), state, version, disk,
            self._may("operator", team),
        )  # fmt: skip

    async def versions(
        self, path: str, *, cursor: str | None = None, size: int = 50
    ) -> Page[FileVersion]:
        """Page through a file's versions, newest first."""
        await self._need("viewer", path)
        await self._newest(path, looking=True)
        size = page_size(size)
        before = None
        if cursor is not None:
            before = decode_cursor(cursor).get("id")
            if not isinstance(before, int) or isinstance(before, bool):
                raise bad_cursor()
        rows = await self._workspace.database.read(
            store.list_versions, path, before=before, limit=size + 1
        )
        more = encode_cursor({"id": rows[size - 1].id}) if len(rows) > size else None
        return Page(tuple(rows[:size]), more)

    async def text(self, version: int) -> str:
        """Give a version's text."""
        found = await self._version(version, "viewer")
        return await self._workspace.database.read(store.version_text, found)

    async def diff(self, old: int, new: int, *, around: int = 3) -> tuple[DiffLine, ...]:
        """Give the difference of two versions by lines, with so many equal lines around."""
        before, after = await self.text(old), await self.text(new)
        return await asyncio.to_thread(diff_lines, before, after, around=around)

    async def needs_approval(self) -> bool:
        """Say whether a draft needs a second person: as it is set, else where there are accounts.

        A workspace without accounts has one person, who could never approve anything.
        """
        if (switched := self._workspace.settings.approvals) is not None:
            return switched
        return await self._workspace.database.read(store.has_accounts)

    # Trying.

    async def lint(self, path: str, text: str, catalog: str | None = None) -> tuple[Lint, ...]:
        """Judge a text as the file it is for; errors first."""
        await self._need("viewer", path)
        text = clean_text(path, text)
        columns = await self._workspace.columns(catalog)
        dialect = self._workspace.database.dialect
        knowledge = await base_names(self._workspace)
        seen = await seen_settings(self._workspace)
        return lint_text(seen, path, text, columns, dialect, knowledge)

    async def variables(
        self, path: str, text: str, catalog: str | None = None
    ) -> tuple[Variable, ...]:
        """Give the names a template may use: columns, earlier fields, parameters, the target's."""
        await self._need("viewer", path)
        columns = await self._workspace.columns(catalog) or ()
        return variables_for(await seen_settings(self._workspace), path, text, columns)

    async def targets(self) -> tuple[str, ...]:
        """Give the targets that pipelines name, then the languages, to choose from."""
        from waremill import steps

        self._workspace.actor.need_somewhere("viewer", "the templates")
        settings = await seen_settings(self._workspace)
        files = settings.files()
        found: dict[str, None] = {}
        for name in pipeline_names(files):
            try:
                pipeline = load_pipeline(files, name, steps.kinds())
            except (ConfigError, NotFound):
                continue  # it is said where that file is edited
            found |= dict.fromkeys(str(target) for target in pipeline.targets)
        return (*found, *(one for one in settings.languages if one not in found))

    async def preview(
        self,
        path: str,
        text: str,
        key: str,
        target: str | None = None,
        using: Using | None = None,
    ) -> Preview:
        """Render the prompts a text would send for one product; no model is called.

        Raises TemplateError with the line where the text cannot be used.
        """
        await self._need("viewer", path)
        using = using or Using()
        settings = await seen_settings(self._workspace)
        assembly = built(settings, _runnable(path), clean_text(path, text), using.model)
        await may_use(self._workspace, assembly, "viewer")
        found = await self._workspace.find_catalog(using.catalog)
        item = await item_for(self._workspace, assembly, found, key, target)
        chosen = {**assembly.pipeline.params, **using.params}
        return await preview(self._workspace, assembly, item, chosen)

    async def tried(self, path: str, text: str | None = None, version: int | None = None) -> str:
        """Give what is to be tried of a file: a text, or a version's, or what is edited now.

        Raises NotFound for a version that is not the file's.
        """
        if text is not None:
            return text
        if version is None:
            return (await self.read(path)).text
        found = await self._version(version, "viewer")
        if found.path != path:
            raise NotFound(f"{path} has no version {version}")
        return await self._workspace.database.read(store.version_text, found)

    async def play(
        self,
        path: str,
        text: str,
        key: str,
        target: str | None = None,
        emit: Emit | None = None,
        using: Using | None = None,
    ) -> Played:
        """Make one product's fields with a text, for real; `emit` gets the reply as it streams in.

        Answers are kept: the same request is not paid twice. Nothing else of it is stored.
        """
        using = using or Using()
        sides = (Side(text, using.model),)
        (row,) = await self._play(path, sides, (key,), target, using, emit=emit)
        return row[0]

    async def compare(
        self,
        path: str,
        sides: Sequence[Side],
        keys: Sequence[str],
        target: str | None = None,
        using: Using | None = None,
        done: Callable[[int, int, Played], None] | None = None,
    ) -> tuple[tuple[Played, ...], ...]:
        """Make the same products' fields with several texts or models: a row a product.

        `done` is called with (row, side, what was made) as each is there; at most 10 products.
        """
        if not 1 <= len(keys) <= MOST_COMPARED:
            raise ConfigError(f"compare from 1 to {MOST_COMPARED} products at once")
        return await self._play(path, sides, keys, target, using or Using(), done=done)

    async def _play(
        self,
        path: str,
        sides: Sequence[Side],
        keys: Sequence[str],
        target: str | None,
        using: Using,
        **told: Any,
    ) -> tuple[tuple[Played, ...], ...]:
        await self._need("operator", path)
        found = await self._workspace.find_catalog(using.catalog, "operator")
        settings = await seen_settings(self._workspace)
        assemblies = [
            built(settings, _runnable(path), clean_text(path, side.text), side.model)
            for side in sides
        ]
        return await play_sides(
            self._workspace, assemblies, keys, (found, target, using.params), **told
        )

    # Changing.

    async def save_draft(
        self, path: str, text: str, etag: str, note: str | None = None
    ) -> TemplateText:
        """Keep a text as the file's draft, in place of the one before; give it as it is then.

        `etag` is of the text that was edited: Conflict where somebody else saved meanwhile.
        """
        team = await self._need("operator", path)
        place_of(self._root, path)
        text = clean_text(path, text)
        note = (note or "").strip()[:LONGEST_NOTE] or None
        disk, _, draft = await self._newest(path)
        self._same(path, etag, disk, draft)
        if draft is None and text == disk:
            raise ConfigError("nothing is changed", Where(file=path))
        actor = self._workspace.actor

        def write(conn: Connection) -> None:
            store.lock_path(conn, path)
            now = read_text_of(self._root, path)  # an approval may have come first
            self._same(path, etag, now, store.newest_version(conn, path, "draft"))
            made = store.add_version(conn, path, text, "draft", actor.name, note)
            auditing.record(conn, actor, "file.draft", f"file {path}", team, version=made.id)

        await self._workspace.database.write(write)
        return await self.read(path)

    async def approve(self, version: int) -> FileVersion:
        """Approve a draft: it becomes the file on disk.

        Raises Forbidden for who wrote it, where a second person is needed; Conflict where it is not
        the newest; TemplateError where runs could not use it.
        """
        found = await self._version(version, "operator")
        path, actor = found.path, self._workspace.actor
        if found.author == actor.name and await self.needs_approval():
            raise Forbidden(
                "you wrote this draft; a second person must approve it "
                "(`[review] approvals = false` in waremill.toml switches that off)"
            )
        _, approved, _ = await self._newest(path)
        if approved is not None and approved.id > version:
            raise Conflict(
                f"{path} was changed on disk after this draft was saved; look at what differs and "
                "save the draft again"
            )
        text = await self._workspace.database.read(store.version_text, found)
        for problem in await self.lint(path, text):
            if problem.severity == "error":
                raise ConfigError(problem.message, Where(problem.file, line=problem.line))
        dialect = self._workspace.database.dialect
        every = lint_text(self._workspace.settings, path, text, None, dialect)
        if any(problem.severity == "error" for problem in every):
            raise ConfigError(
                "another team's template or pipeline would not work with it", Where(file=path)
            )
        team = await self._need("operator", path)

        def write(conn: Connection) -> FileVersion:
            store.lock_path(conn, path)
            if not store.decide_version(conn, version, "approved", actor.name):
                raise Conflict(f"version {version} of {path} is no draft any more")
            auditing.record(
                conn, actor, "file.approve", f"file {path}", team,
                version=version, author=found.author,
            )  # fmt: skip
            # Last, so that what cannot be written leaves the draft a draft.
            write_text_of(self._root, path, text)
            return store.get_version(conn, version)

        return await self._workspace.database.write(write)

    async def reject(self, version: int) -> FileVersion:
        """Turn a draft down, or take one's own back; its text stays in the history."""
        found = await self._version(version, "operator")
        team = await self._need("operator", found.path)
        actor = self._workspace.actor

        def write(conn: Connection) -> FileVersion:
            store.lock_path(conn, found.path)
            if not store.decide_version(conn, version, "rejected", actor.name):
                raise Conflict(f"version {version} of {found.path} is no draft any more")
            auditing.record(
                conn, actor, "file.reject", f"file {found.path}", team,
                version=version, author=found.author,
            )  # fmt: skip
            return store.get_version(conn, version)

        return await self._workspace.database.write(write)

    async def restore(self, version: int, etag: str) -> TemplateText:
        """Make an earlier version's text the draft; it goes through approval like any other."""
        found = await self._version(version, "operator")
        text = await self._workspace.database.read(store.version_text, found)
        return await self.save_draft(found.path, text, etag, f"restored from version {version}")

    # Who may, and what is there.

    def _may(self, role: Role, team: int | None) -> bool:
        actor = self._workspace.actor
        if team is not None:
            return actor.may(role, team)
        try:
            actor.need_somewhere(role, "")
        except Forbidden:
            return False
        return True

    async def _need(self, role: Role, path: str) -> int | None:
        """Raise unless the actor has a role for a file; give the team it belongs to, if to one."""
        place_of(self._root, path)
        kind, name = _owner_key(path)
        team = await self._workspace.database.read(store.owner_of, kind, name)
        if team is None:
            self._workspace.actor.need_somewhere(role, f"file {path}")
        else:
            self._workspace.actor.need(role, team, f"file {path}")
        return team

    async def _version(self, version: int, role: Role) -> FileVersion:
        found = await self._workspace.database.read(store.get_version, version)
        await self._need(role, found.path)
        return found

    async def _newest(
        self, path: str, *, looking: bool = False
    ) -> tuple[str | None, FileVersion | None, FileVersion | None]:
        """Give the text on disk, the version it is, and the open draft.

        A text on disk that is no version yet becomes one: somebody put it there. Where the database
        takes nothing (a full disk), who is only `looking` gets the text without a version.
        """
        disk = read_text_of(self._root, path)
        look = self._workspace.database.read
        approved = await look(store.newest_version, path, "approved")
        if disk is not None and (approved is None or approved.hash != text_hash(disk)):

            def write(conn: Connection) -> FileVersion:
                store.lock_path(conn, path)
                known = store.newest_version(conn, path, "approved")
                if known is not None and known.hash == text_hash(disk):
                    return known  # somebody else looked at the same time
                return store.add_version(conn, path, disk, "approved", "")

            try:
                approved = await self._workspace.database.write(write)
            except (LimitReached, ConfigError):
                if not looking:
                    raise
                approved = None
        return disk, approved, await look(store.newest_version, path, "draft")

    def _same(self, path: str, etag: str, disk: str | None, draft: FileVersion | None) -> None:
        if etag == _etag(disk, draft):
            return
        if draft is not None:
            raise Conflict(
                f"{draft.author} saved a draft of {path} meanwhile; open it again and put your "
                "changes into it"
            )
        raise Conflict(f"{path} was changed meanwhile; open it again and put your changes into it")


def _owner_key(path: str) -> tuple[str, str]:
    kind = _OWNED.get(kind_of(path))
    return (kind, name_of(path)) if kind else ("file", path)


def _runnable(path: str) -> str:
    if kind_of(path) not in ("template", "pipeline"):
        raise ConfigError("only templates and pipelines have a prompt", Where(file=path))
    return path


def _etag(disk: str | None, draft: FileVersion | None) -> str:
    return f"{'new' if disk is None else text_hash(disk)[:16]}-{draft.id if draft else 0}"


__all__ = [
    "DiffLine",
    "Editor",
    "FileVersion",
    "Lint",
    "Played",
    "Preview",
    "Side",
    "TemplateText",
    "Using",
    "Variable",
    "WorkspaceFile",
    "diff_lines",
]

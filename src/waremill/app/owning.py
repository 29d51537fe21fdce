"""What belongs to a team besides catalogues and runs: templates, pipelines, models, channels.

Who sees them, whose they are, and giving them away.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, get_args

from sqlalchemy import Connection

from waremill.app import auditing
from waremill.errors import Forbidden, NotFound
from waremill.settings import Settings
from waremill.store import people
from waremill.store import versions as store
from waremill.store.owners import owned_place, set_owner

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

Kind = Literal["template", "pipeline", "model", "channel"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_FOLDERS = {"template": "templates", "pipeline": "pipelines"}
_SETTINGS = ("model", "channel")
"""Kinds that stand in the settings and not in files of their own."""


@dataclass(frozen=True, slots=True)
class SeenSettings(Settings):
    """Settings without what somebody must not know of: a foreign model's name is nobody's name.

    `hidden` are the paths of the files that are not there.
    """

    hidden: frozenset[str] = field(default=frozenset(), kw_only=True)

    def files(self) -> Mapping[str, str]:
        """Give the workspace's files without the hidden ones."""
        return _Without(Settings.files(self), self.hidden)


@dataclass(frozen=True, slots=True)
class Owned:
    """A template, pipeline, model or channel, and whose it is; None where it is everybody's."""

    kind: Kind
    name: str
    team: str | None


class Owners:
    """Whose the workspace's templates, pipelines, models and channels are."""

    def __init__(self, workspace: Workspace) -> None:
        self._database = workspace.database
        self._settings = workspace.settings
        self._actor = workspace.actor

    async def list(self) -> tuple[Owned, ...]:
        """List what the actor may know of, by kind and name; who manages users knows of all."""
        if not self._actor.manages:
            self._actor.need_somewhere("viewer", "the list of owners")
        return await self._database.read(self._list)

    async def find(self, kind: Kind, name: str) -> Owned:
        """Give whose something is; raise NotFound for what the actor must not know of."""
        for one in await self.list():
            if (one.kind, one.name) == (kind, name):
                return one
        raise NotFound(f"there is no {kind} “{name}”")

    async def give(self, kind: Kind, name: str, team: str | None) -> Owned:
        """Give something to a team, or with None to everybody; give it as it is then.

        It takes an admin of the team it belongs to and of the one that gets it; what is everybody's
        is taken from every team, so from all of them. Who manages users may do it in any case.
        Raises NotFound for what the actor must not know of.
        """

        def change(conn: Connection) -> Owned:
            before = store.owner_of(conn, kind, name)
            self._need_known(conn, kind, name, before)
            teams = {one.id: one.name for one in people.list_teams(conn)}
            after = self._team(teams, team)
            self._need_admin(teams, kind, name, before, after)
            if after != before:
                set_owner(conn, kind, name, after)
                auditing.record(
                    conn, self._actor, f"{kind}.give", f"{kind} {name}",
                    before if before is not None else after,
                    before=None if before is None else teams[before],
                    after=None if after is None else teams[after],
                )  # fmt: skip
            return Owned(kind, name, None if after is None else teams[after])

        return await self._database.write(change)

    def _list(self, conn: Connection) -> tuple[Owned, ...]:
        owned = store.owned_by(conn)
        teams = {one.id: one.name for one in people.list_teams(conn)}
        places = self._places(conn) | owned.keys()
        return tuple(
            Owned(kind, name, teams[owned[kind, name]] if (kind, name) in owned else None)
            for kind in KINDS
            for one, name in sorted(places)
            if one == kind and self._knows(owned.get((kind, name)))
        )

    def _places(self, conn: Connection) -> set[tuple[str, str]]:
        """Give the kind and name of all there is, drafts of new files included."""
        paths = {*Settings.files(self._settings), *store.open_drafts(conn)}
        found = {place for path in paths if (place := owned_place(path)) is not None}
        found |= {("model", name) for name in self._settings.models}
        return found | {("channel", name) for name in self._settings.publish}

    def _knows(self, team: int | None) -> bool:
        return team is None or self._actor.manages or self._actor.role(team) is not None

    def _need_known(self, conn: Connection, kind: Kind, name: str, team: int | None) -> None:
        # What was deleted may still be given back to everybody.
        there = team is not None or (kind, name) in self._places(conn)
        if not there or not self._knows(team):
            raise NotFound(f"there is no {kind} “{name}”")

    def _team(self, teams: Mapping[int, str], name: str | None) -> int | None:
        if name is None:
            return None
        found = next((number for number, one in teams.items() if one == name), None)
        if found is None or not self._knows(found):
            raise NotFound(f"there is no team “{name}”")
        return found

    def _need_admin(
        self,
        teams: Mapping[int, str],
        kind: Kind,
        name: str,
        before: int | None,
        after: int | None,
    ) -> None:
        if self._actor.manages:
            return
        concerned = set(teams) if before is None else {before}
        if after is not None:
            concerned.add(after)
        if not all(self._actor.may("admin", team) for team in concerned):
            raise Forbidden(
                f"giving {kind} “{name}” away needs the role admin in every team that has it and "
                "in the one that gets it; those who manage users may do it, too"
            )


async def seen_settings(
    workspace: Workspace, owned: Mapping[tuple[str, str], int] | None = None
) -> Settings:
    """Give the settings without the files, models and channels of teams the actor is not in.

    `owned` is the team of each thing by kind and name, where it was looked up already.
    """
    settings, actor = workspace.settings, workspace.actor
    if actor.sees is None:
        return settings
    if owned is None:
        owned = await workspace.database.read(store.owned_by)
    foreign = {place for place, team in owned.items() if actor.role(team) is None}
    if not foreign:
        return settings
    hidden = {
        path for kind, name in foreign if kind not in _SETTINGS for path in _paths(kind, name)
    }
    models = {name: one for name, one in settings.models.items() if ("model", name) not in foreign}
    known = settings.publish.items()
    channels = {name: one for name, one in known if ("channel", name) not in foreign}
    values = {one.name: getattr(settings, one.name) for one in fields(Settings)}
    values |= {"models": models, "publish": channels}
    return SeenSettings(**values, hidden=frozenset(hidden))


def hidden_in(settings: Settings) -> frozenset[str]:
    """Give the paths of the files that settings hide."""
    return settings.hidden if isinstance(settings, SeenSettings) else frozenset()


def _paths(kind: str, name: str) -> tuple[str, ...]:
    folder = _FOLDERS.get(kind)
    return (f"{folder}/{name}.yaml", f"{folder}/{name}.yml") if folder else (name,)


class _Without(Mapping[str, str]):
    """Files of which some are not there; a text is read when it is asked for."""

    def __init__(self, files: Mapping[str, str], hidden: Container[object]) -> None:
        self._files = files
        self._hidden = hidden

    def __getitem__(self, path: str) -> str:
        if path in self._hidden:
            raise KeyError(path)
        return self._files[path]

    def __contains__(self, path: object) -> bool:
        return path not in self._hidden and path in self._files

    def __iter__(self) -> Iterator[str]:
        return (path for path in self._files if path not in self._hidden)

    def __len__(self) -> int:
        return sum(1 for _ in self)


__all__ = ["KINDS", "Kind", "Owned", "Owners", "SeenSettings", "hidden_in", "seen_settings"]

"""What belongs to a team besides catalogues and runs: files and models, as somebody sees them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from waremill.settings import Settings
from waremill.store import versions as store

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

_FOLDERS = {"template": "templates", "pipeline": "pipelines"}


@dataclass(frozen=True, slots=True)
class SeenSettings(Settings):
    """Settings without what somebody must not know of: a foreign model's name is nobody's name.

    `hidden` are the paths of the files that are not there.
    """

    hidden: frozenset[str] = field(default=frozenset(), kw_only=True)

    def files(self) -> Mapping[str, str]:
        """Give the workspace's files without the hidden ones."""
        return _Without(Settings.files(self), self.hidden)


async def seen_settings(
    workspace: Workspace, owned: Mapping[tuple[str, str], int] | None = None
) -> Settings:
    """Give the settings without the files and models of teams the actor is not in.

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
    hidden = {path for kind, name in foreign if kind != "model" for path in _paths(kind, name)}
    models = {name: one for name, one in settings.models.items() if ("model", name) not in foreign}
    values = {one.name: getattr(settings, one.name) for one in fields(Settings)}
    return SeenSettings(**{**values, "models": models}, hidden=frozenset(hidden))


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


__all__ = ["SeenSettings", "hidden_in", "seen_settings"]

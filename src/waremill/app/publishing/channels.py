"""Channels of the settings: found, opened with their mapping, checked against a run."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from waremill.app.owning import seen_settings
from waremill.catalog.publishers.channel import Channel, ChannelOptions, FormatInfo
from waremill.catalog.publishers.formats import find_format
from waremill.catalog.publishers.mapping import ChannelMapping, load_mapping
from waremill.errors import ConfigError, Conflict, NotFound, Where
from waremill.settings import Publishing
from waremill.store.versions import owned_by

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace

_DATABASE = "://"


@dataclass(frozen=True, slots=True)
class ChannelShown:
    """A channel as people see it; of a database's address nothing is told.

    `lacks` names the environment variable that should hold it and is not set; `team` is the number
    of the one it belongs to, None where it is everybody's.
    """

    name: str
    format: str
    mapping: str
    targets: tuple[str, ...]
    out: tuple[str, ...]
    staged: bool
    open_at_refused: float | None
    lacks: str | None
    team: int | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened channel: its settings, format and mapping, and the mapping's text."""

    settings: Publishing
    info: FormatInfo
    mapping: ChannelMapping
    text: str
    channel: Channel


async def list_channels(workspace: Workspace) -> tuple[ChannelShown, ...]:
    """List the channels of the settings by name, without those of teams one is not in."""
    workspace.actor.need_somewhere("viewer", "the list of channels")
    owned = await workspace.database.read(owned_by)
    settings = await seen_settings(workspace, owned)
    return tuple(
        ChannelShown(
            one.name, one.format, one.mapping, one.targets, one.out, one.staged,
            one.open_at_refused,
            one.variable if one.variable is not None and one.url is None else None,
            owned.get(("channel", one.name)),
        )
        for _, one in sorted(settings.publish.items())
    )  # fmt: skip


async def find_channel(workspace: Workspace, name: str, team: int) -> Publishing:
    """Find a channel for a team's run, for operators of the team it belongs to.

    Raises NotFound with the nearest name, also for a foreign team's channel, and Conflict for that
    of another team than the run's: a channel holds its own team's products alone.
    """
    owned = await workspace.database.read(owned_by)
    known = (await seen_settings(workspace, owned)).publish
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean “{near[0]}”?" if near else ""
        raise NotFound(f"waremill.toml has no [publish.{name}]{hint}")
    if (owner := owned.get(("channel", name))) is not None:
        workspace.actor.need("operator", owner, f"channel “{name}”")
        if owner != team:
            raise Conflict(f"the channel “{name}” belongs to another team than the run")
    return known[name]


def open_channel(workspace: Workspace, settings: Publishing, outs: Sequence[str] = ()) -> Opened:
    """Open a channel; `outs` may name another database than the settings do.

    Raises ConfigError or NotFound for a format, mapping, template or database that cannot work.
    """
    info = find_format(settings.format)
    url = settings.url
    if not info.suffixes and outs:
        if len(outs) > 1 or _DATABASE not in outs[0]:
            raise ConfigError(f"“{settings.name}” writes to a database: name its URL, or nothing")
        url = outs[0]
    if not info.suffixes and url is None:
        lacks = settings.variable or "url"
        raise ConfigError(
            f"the channel “{settings.name}” has no database: set {lacks}", Where("waremill.toml")
        )
    files = workspace.settings.files()
    mapping = load_mapping(files, settings.mapping, info.options)
    options = ChannelOptions(mapping, settings.template, url, settings.table)
    return Opened(settings, info, mapping, files[settings.mapping], info.open(options))


def targets_of(settings: Publishing, known: Sequence[str], only: Sequence[str]) -> tuple[str, ...]:
    """Give the targets of a run that a channel is published for, in their order.

    Raises ConfigError for one that the run has not.
    """
    wanted = tuple(only) or settings.targets or tuple(known)
    for target in wanted:
        if target not in known:
            listed = ", ".join(one for one in known if one) or "none"
            raise ConfigError(f"the run has no target “{target}”; it has {listed}")
    return tuple(dict.fromkeys(wanted))


def outputs_of(
    opened: Opened, root: Path, outs: Sequence[str], targets: Sequence[str]
) -> dict[str, str]:
    """Give the file of each target; none for a format without files.

    What the command names stands in the folder it was called in, what the settings name in the
    workspace. Raises ConfigError for names that are too few, or that the format cannot write.
    """
    info, name = opened.info, opened.settings.name
    if not info.suffixes:
        return dict.fromkeys(targets, "")
    named = list(outs) or [str(root / Path(one).expanduser()) for one in opened.settings.out]
    if not named:
        raise ConfigError(
            f"name the file that is written: waremill publish RUN {name} FILE{info.suffixes[0]}, "
            f'or out = "FILE{info.suffixes[0]}" in [publish.{name}]'
        )
    if len(named) == 1 and "{target}" in named[0]:
        named = [named[0].replace("{target}", target or "all") for target in targets]
    if len(named) != len(targets):
        raise ConfigError(
            f"the run has {len(targets)} targets and {len(named)} files are named: name a file "
            "for each, or write {target} into the name"
        )
    found = {}
    for target, path in zip(targets, named, strict=True):
        if info.suffix_of(path) is None:
            listed = ", ".join(info.suffixes)
            raise ConfigError(f"{info.name} writes {listed}, not this file", Where(file=path))
        template = opened.settings.template
        if template is not None and not path.lower().endswith(template.suffix.lower()):
            raise ConfigError(
                f"the template is {template.suffix}: name the file so, too", Where(file=path)
            )
        found[target] = str(Path(path).expanduser().absolute())
    if len(set(found.values())) < len(found):
        raise ConfigError("two targets would be written to the same file")
    return found

"""What a channel's format is handed and hands back: records, problems, the format's own face.

Pure data. A format is one module of `formats/` with one function marked `@channel_format`; it must
not decide which products are published, know what a run is, or read our database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from waremill.catalog.publishers.mapping import ChannelMapping
from waremill.catalog.publishers.table import Written


@dataclass(frozen=True, slots=True)
class Record:
    """One product for one target, by the channel's own columns.

    `values` has what the mapping gives now, without missing values; `live` what was published
    before. `made` are the columns whose value a model wrote. When it is written, `values` has
    everything that is live then, and `changed` are the columns that differ from before.
    """

    key: str
    group: str | None
    target: str
    values: Mapping[str, Any]
    live: Mapping[str, Any] = field(default_factory=dict)
    made: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()

    def effective(self, columns: Iterable[str]) -> dict[str, Any]:
        """Give what the channel holds after publishing: a missing value leaves the live one."""
        found = {}
        for name in columns:
            if name in self.values:
                found[name] = self.values[name]
            elif name in self.live:
                found[name] = self.live[name]
        return found


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a record is refused: the column, a sentence, and where in the target it would stand."""

    field: str
    message: str
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What a format makes of a record: final values, or problems, and then nothing is published.

    `before` is what the target itself holds now, where the format can tell.
    """

    values: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What a format is opened with: its mapping, and what of the settings it may need."""

    mapping: ChannelMapping
    template: Path | None = None
    url: str | None = field(default=None, repr=False)
    table: str | None = None


class Channel(Protocol):
    """An opened format.

    A `whole` one writes everything that is live into a file each time; another writes only what
    changed. A `grouped` one is handed the live products of a group together.
    """

    whole: bool
    grouped: bool

    def judge(self, records: Sequence[Record]) -> list[Judged]:
        """Judge some records, in their order."""

    def identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Give of a record's final values what no other product may have; () for nothing."""

    def group_identity(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Give what of a group's member no product of another group may have; () for nothing."""

    def write(self, rows: Iterable[Sequence[Record]], out: Path, kind: str) -> Written:
        """Write records, a group or a single one at a time, to an empty file of a suffix.

        A format without files writes to where it was opened for, and neither argument counts.
        """

    def close(self) -> None:
        """Let go of what it was opened with."""

    @property
    def notes(self) -> Sequence[str]:
        """What could not be checked, in sentences."""


OpenChannel = Callable[[ChannelOptions], Channel]


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """A format's name, the suffixes of its files (none: it writes no file), how to open it.

    `options` are the settings its mapping takes beside the columns.
    """

    name: str
    suffixes: tuple[str, ...]
    open: OpenChannel
    options: tuple[str, ...] = ()

    def suffix_of(self, path: str) -> str | None:
        """Give the suffix of a file's name that the format can write; None where it cannot."""
        fitting = [one for one in self.suffixes if path.lower().endswith(one)]
        return max(fitting, key=len, default=None)


def channel_format(
    name: str, *suffixes: str, options: tuple[str, ...] = ()
) -> Callable[[OpenChannel], OpenChannel]:
    """Mark a function as what opens a format; leave it as it is."""

    def mark(function: OpenChannel) -> OpenChannel:
        info = FormatInfo(name, suffixes, function, options)
        function.channel_format = info  # type: ignore[attr-defined]  # functions carry attributes
        return function

    return mark

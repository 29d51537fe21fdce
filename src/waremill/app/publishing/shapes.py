"""A publication as people see it: in Python, on the command line, over the API, in the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHOWN_REFUSALS = 200
"""Refusals that come with a publication; the others are read by page or as a file."""


@dataclass(frozen=True, slots=True)
class RefusalShown:
    """Something the channel would not take: of which product, and where it would stand.

    `field` is empty where it is about the whole row; `number` counts from 1.
    """

    number: int
    key: str
    target: str | None
    field: str
    message: str
    place: str | None


@dataclass(frozen=True, slots=True)
class FileShown:
    """A file that was written: `path` is null for a database, and over the API its name alone.

    `rows`, `bytes` and `sha256` are null where nothing was written.
    """

    target: str | None
    path: str | None
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class PublicationShown:
    """A publication; `publication` is null for a dry run, which leaves none.

    `rows` counts the judged rows that are new, changed, unchanged and refused, so far while it is
    working; `total` are the accepted rows there are, `later` those outside the stage, `left_out` by
    state the items that are not accepted. `fields` has the same counts by the channel's column, and
    `kept`: missing now, and live from before. `refusals` has the first 200 of `refusal_count`.
    """

    publication: str | None
    run: str
    channel: str
    format: str
    stage: str
    state: str
    rolls_back: str | None
    by: str
    created_at: float | None
    ended_at: float | None
    reason: str | None
    total: int | None
    rows: Mapping[str, int]
    fields: Mapping[str, Mapping[str, int]]
    later: int
    left_out: Mapping[str, int]
    refused_for: Mapping[str, int]
    refusal_count: int
    refusals: tuple[RefusalShown, ...]
    notes: tuple[str, ...]
    files: tuple[FileShown, ...]

    @property
    def refused(self) -> int:
        """Rows that were refused."""
        return self.rows.get("refused", 0)

    @property
    def refused_share(self) -> float:
        """The share of judged rows that were refused."""
        considered = sum(self.rows.values())
        return self.refused / considered if considered else 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state not in ("working", "written")


__all__ = ["SHOWN_REFUSALS", "FileShown", "PublicationShown", "RefusalShown"]

"""Changes of knowledge bases under way in this process, and how far each is.

What another process changes is seen by its claim in the database, not how far it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from waremill.app.knowing.changing import Progress, Report
from waremill.store.database import Database
from waremill.store.knowledge import Base

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


@dataclass(slots=True)
class Underway:
    """A change under way. Called with a progress it keeps it, and passes it on."""

    report: Report
    progress: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self.progress = progress
        self.report(progress)


_UNDERWAY: WeakKeyDictionary[Database, dict[int, Underway]] = WeakKeyDictionary()


@contextmanager
def followed(workspace: Workspace, base: Base, report: Report) -> Iterator[Report]:
    """Give what a change reports its progress to, for all of this process to see meanwhile."""
    known = _UNDERWAY.setdefault(workspace.database, {})
    known[base.id] = change = Underway(report)
    try:
        yield change
    finally:
        if known.get(base.id) is change:
            del known[base.id]


def progress_of(workspace: Workspace, base: Base) -> Progress | None:
    """Give how far a base's change in this process is; None where there is none, or no word yet."""
    change = _UNDERWAY.get(workspace.database, {}).get(base.id)
    return None if change is None else change.progress


__all__ = ["followed", "progress_of"]

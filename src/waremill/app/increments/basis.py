"""What an item's results are made from besides its product, and which products it outdated.

The same parts as a run's fingerprints have, looked up and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection

from waremill.app.assembly import Assembly, identities
from waremill.runs.plan import fingerprint_parts
from waremill.settings import Settings
from waremill.store import pipelines as store_pipelines
from waremill.store.outdated import Works, outdated


def result_settings(settings: Settings) -> dict[str, Any]:
    """Give the workspace's settings that change what is made although no file says so."""
    return {"languages": settings.languages, "asks_again": settings.limits.asks_again}


@dataclass(frozen=True, slots=True)
class Basis:
    """A pipeline as it is now, its targets and parameters, the versions of what it searches."""

    settings: Settings
    assembly: Assembly
    targets: tuple[str, ...]
    params: Mapping[str, Any]
    knowledge: Mapping[str, str]

    def outdated(self, conn: Connection) -> ColumnElement[bool]:
        """Give the condition over products that what was made for them was made from other parts.

        For at least one of the targets. Products nothing was made for are not outdated.
        """
        name = self.assembly.pipeline.name
        version = store_pipelines.pipeline_hash(name, self.assembly.files)
        told = {
            "models": identities(self.settings, self.assembly.models),
            "settings": result_settings(self.settings), "knowledge": self.knowledge,
        }  # fmt: skip
        aims = [
            (
                target,
                store_pipelines.find_fingerprint(
                    conn, fingerprint_parts(version, self.params, target, **told)
                ),
            )
            for target in self.targets
        ]
        return outdated(name, aims, self._works())

    def _works(self) -> Works:
        asking = [step for step in self.assembly.steps if step.preview]
        if asking and all(step.per == "group" for step in asking):
            return "groups"
        return "products in groups" if self.assembly.pipeline.uses_groups else "products"


__all__ = ["Basis", "result_settings"]

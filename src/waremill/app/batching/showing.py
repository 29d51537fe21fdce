"""The use case *show batches*: what a run waits for, as data for the command line and the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from waremill.app.batching.opening import is_batched
from waremill.store import batches as store
from waremill.store.runs import Run


@dataclass(frozen=True, slots=True)
class BatchShown:
    """A batch that is not settled: whose, how far, since and until when (Unix seconds).

    `state` is `intended` until the vendor has it for certain, then `submitted`. `note` is what went
    wrong last, None where nothing did.
    """

    model: str
    state: str
    id: str | None
    requests: int
    done: int
    failed: int
    submitted_at: float | None
    expires_at: float | None
    note: str | None

    def as_json(self) -> dict[str, Any]:
        """Give the batch in the shape `--json` prints."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class BatchesShown:
    """A run's batches: those it waits for, and how many are settled."""

    opened: tuple[BatchShown, ...] = ()
    settled: int = 0


def shown_batches(conn: Connection, run: Run) -> BatchesShown:
    """Give what a run waits for; nothing for one that is called live."""
    if not is_batched(run):
        return BatchesShown()
    opened, settled = store.overview(conn, run.id)
    return BatchesShown(
        tuple(
            BatchShown(one.model, one.state, one.vendor_id, one.requests, one.done, one.failed,
                       one.submitted_at, one.expires_at, one.note)
            for one in opened
        ),
        settled,
    )  # fmt: skip

"""Near-duplicates within a run: signatures are made by checks, their bands live in the store."""

from __future__ import annotations

from collections.abc import Sequence

from waremill.domain import Item, Signature
from waremill.store import recordings
from waremill.store.database import Database
from waremill.store.journal import Journal


class Likeness:
    """Files signatures of values and finds others of the run that are nearly the same."""

    def __init__(self, database: Database, journal: Journal, run_id: int) -> None:
        self._database = database
        self._journal = journal
        self._run_id = run_id

    async def similar(
        self, item: Item, field: str, made: Signature, request: int
    ) -> Sequence[tuple[str, float]]:
        """File a signature, then give (product key, likeness 0–1) of the others, likest first.

        Filing is committed before the search, so of two items at work at once at least one finds
        the other. `request` is the first 64 bits of the hash of the request that made the value;
        0 where no model was asked.
        """
        signature, keys = made.content, made.bands
        self._journal.add(
            "bands",
            [{"field": field, "band": band, "item_id": item.id} for band in keys],
        )
        await self._journal.put(
            "signatures",
            [{"item_id": item.id, "field": field, "request": request, "signature": signature}],
        )
        found = await self._database.read(recordings.neighbours, self._run_id, item.id, field, keys)
        alike = [(key, made.likeness(signature, other)) for key, other in found]
        close = [(key, value) for key, value in alike if value >= made.least]
        return sorted(close, key=lambda pair: (-pair[1], pair[0]))[:3]

"""Requests that may come twice: what was answered to the first, by who asked and by their key."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from waremill.errors import WaremillError
from waremill.store import requests as store
from waremill.store.requests import Kept

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


LOG = logging.getLogger("waremill.requests")
BEAT_SECONDS = store.ABANDONED_SECONDS / 10


class Repeats:
    """The kept answers of whoever acts.

    A request that was begun gives a sign of life until it is finished or forgotten.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._database = workspace.database
        self._by = workspace.actor.name
        self._beating: dict[str, asyncio.Task[None]] = {}

    async def begin(self, key: str, digest: bytes) -> Kept | None:
        """Note that a request is begun; give what is known of one with the same key instead."""
        known = await self._database.write(store.begin, self._by, key, digest)
        if known is None:
            self._beating[key] = asyncio.create_task(self._beat(key))
        return known

    async def finish(self, key: str, answer: tuple[int, bytes, str | None]) -> None:
        """Keep the answer: status, body, media type."""
        self._ended(key)
        await self._database.write(store.finish, self._by, key, answer)

    async def forget(self, key: str) -> None:
        """Forget a request of which nothing came."""
        self._ended(key)
        await self._database.write(store.forget, self._by, key)

    def _ended(self, key: str) -> None:
        if (beating := self._beating.pop(key, None)) is not None:
            beating.cancel()

    async def _beat(self, key: str) -> None:
        known = True
        while known:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                known = await self._database.write(store.refresh, self._by, key)
            except (WaremillError, SQLAlchemyError) as error:  # the next one may get through
                LOG.warning("a request gives no sign of life: %s", type(error).__name__)


__all__ = ["Kept", "Repeats"]

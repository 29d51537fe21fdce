"""Requests that may come twice: what was answered to the first, by who asked and by their key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waremill.store import requests as store
from waremill.store.requests import Kept

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace


class Repeats:
    """The kept answers of whoever acts."""

    def __init__(self, workspace: Workspace) -> None:
        self._database = workspace.database
        self._by = workspace.actor.name

    async def begin(self, key: str, digest: bytes) -> Kept | None:
        """Note that a request is begun; give what is known of one with the same key instead."""
        return await self._database.write(store.begin, self._by, key, digest)

    async def finish(self, key: str, answer: tuple[int, bytes, str | None]) -> None:
        """Keep the answer: status, body, media type."""
        await self._database.write(store.finish, self._by, key, answer)

    async def forget(self, key: str) -> None:
        """Forget a request of which nothing came."""
        await self._database.write(store.forget, self._by, key)


__all__ = ["Kept", "Repeats"]

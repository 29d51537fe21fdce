"""One person at a run's review: what run, which items, and under what name items are leased."""

from __future__ import annotations

from typing import ClassVar

from nicegui import ui

from waremill.app.reviewing import ReviewDesk
from waremill.web.pages.review_filters import FilterBar
from waremill.web.pages.shell import View


class Sitting:
    """What the ways to review share."""

    _latest: ClassVar[dict[str, Sitting]] = {}
    """The page that leases last under a name: a page that is loaded anew keeps what it held."""

    def __init__(self, view: View, run: str, catalog: str | None) -> None:
        self.view = view
        self.run = run
        self.catalog = catalog
        self.holder: str | None = None
        self.shown: int | None = None
        self.bar: FilterBar

    async def desk(self) -> ReviewDesk:
        """Give the use cases, as the viewer may use them now."""
        return ReviewDesk(await self.view.workspace())

    async def sit_down(self) -> int | None:
        """Wait for the browser, and lease under the name of its tab from now on.

        Gives the item that was in sight when the same page was loaded before, if it was.
        """
        client = ui.context.client
        await client.connected()
        self.holder = f"window {(client.tab_id or client.id)[:6]}"
        before = self._latest.get(self._name)
        self._latest[self._name] = self
        return before.shown if before is not None and before.run == self.run else None

    def stand_up(self) -> bool:
        """Say whether this page was the last of its tab, so that its leases are to be given up."""
        if self._latest.get(self._name) is not self:
            return False
        del self._latest[self._name]
        return True

    @property
    def _name(self) -> str:
        return f"{self.view.actor.name} · {self.holder}"

    def who(self, holder: str) -> tuple[str, bool]:
        """Give the person who leases under a name, and whether it is the viewer."""
        person = holder.partition(" · window ")[0]
        return person, person == self.view.actor.name

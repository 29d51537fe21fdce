"""Buttons to turn the pages of a listing: forth by its cursor, back by those that were seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from waremill.web.pages.shell import View


class Pager:
    """Two buttons and where the listing is; the listing reads `cursor` and says what follows."""

    def __init__(self, view: View) -> None:
        self._cursors: list[str | None] = [None]
        self._next: str | None = None
        self._turn: list[Callable[[], Awaitable[None]]] = []
        with ui.element("div").classes("wm-pager") as self._box:
            self._back = ui.button(view.t("shell.previous"), on_click=self.back)
            self._forth = ui.button(view.t("shell.next"), on_click=self.forth)
        for button in (self._back, self._forth):
            button.classes("wm-quiet").disable()
        view.key("]", "shell.next", self.forth)
        view.key("[", "shell.previous", self.back)

    @property
    def cursor(self) -> str | None:
        """The cursor of the page that is shown; None for the first."""
        return self._cursors[-1]

    @property
    def number(self) -> int:
        """How many pages stand before this one."""
        return len(self._cursors) - 1

    def on_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something whenever another page is asked for."""
        self._turn.append(work)

    def show(self, following: str | None) -> None:
        """Take note of what follows the page that is shown."""
        self._next = following
        self._back.set_enabled(self.number > 0)
        self._forth.set_enabled(following is not None)
        self._box.set_visibility(self.number > 0 or following is not None)

    def first(self) -> None:
        """Go back to the first page, as after another filter; draws nothing."""
        self._cursors = [None]

    async def forth(self) -> None:
        """Turn to the next page, if there is one."""
        if self._next is not None:
            self._cursors.append(self._next)
            self._next = None
            await self._turned()

    async def back(self) -> None:
        """Turn to the page before, if there is one."""
        if len(self._cursors) > 1:
            self._cursors.pop()
            await self._turned()

    async def _turned(self) -> None:
        for work in self._turn:
            await work()

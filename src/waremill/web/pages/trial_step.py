"""The step *Trial* of a new run: its settings, its progress, then its cards to be marked."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from waremill.app import launching
from waremill.app.marking import Score
from waremill.app.status import RunStatus
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.ordering import NewRun
from waremill.web.pages.shell import View
from waremill.web.pages.trial_cards import TrialCards

EVERY_SECONDS = 1.0
_ENDED = ("done", "paused", "cancelled")


class TrialStep:
    """A sample worked for real; whoever looks at it marks its fields."""

    def __init__(self, view: View, order: NewRun, changed: Callable[[], None]) -> None:
        self.view = view
        self.order = order
        self.cards: TrialCards | None = None
        self._changed = changed
        self._timer: ui.timer | None = None
        self._busy = False
        self._looking = False

    def leave(self) -> None:
        """Stop looking how far the trial is; it goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def draw(self) -> None:
        """Draw the settings, or the trial that is there."""
        self._clock = ui.element("div")
        self._head = ui.element("div")
        self._body = ui.element("div")
        if self.order.trial is None or self.order.stale:
            await self._form()
        else:
            await self._show()

    async def _form(self) -> None:
        view, order = self.view, self.order
        self.cards = None
        self._body.clear()
        self._head.clear()
        with self._head, ui.element("div").classes("nr-step"):
            if order.stale:
                ui.label(view.t("new.stale", name=order.trial)).classes("wm-warn")
            ui.label(view.t("new.trial_about")).classes("wm-note")
            with ui.element("div").classes("nr-row"):
                size = ui.number(view.t("new.size"), value=order.size, min=1, max=2000, format="%d")
                size.on_value_change(lambda event: setattr(order, "size", int(event.value or 1)))
                seed = ui.number(view.t("new.seed"), value=order.seed, min=0, format="%d")
                seed.on_value_change(lambda event: setattr(order, "seed", int(event.value or 0)))
                self._gold_box(await self._gold_places())
                workspace = await (await view.workspace()).seen()
                against = ui.select(
                    list(workspace.settings.models), value=order.against, with_input=True,
                    new_value_mode="add-unique", label=view.t("new.against"), clearable=True,
                ).style("min-width: 300px")  # fmt: skip
                against.on_value_change(lambda event: setattr(order, "against", event.value))
            with ui.element("div").classes("wm-bar wm-bar-middle"):
                self._button = ui.button(view.t("new.start_trial"), on_click=self._start)
                self._said = ui.label("").classes("wm-muted").props("role=status")

    async def _gold_places(self) -> list[str]:
        """Give the workspace's gold files and the catalogue's columns; no other file is read."""
        workspace = await self.view.workspace()
        files = [path for path in workspace.settings.files() if path.startswith("gold/")]
        return [*files, *(await workspace.columns(self.order.catalog) or ())]

    def _gold_box(self, places: list[str]) -> None:
        order = self.order
        value = order.gold if order.gold in places else None
        box = ui.select(
            places, value=value, label=self.view.t("new.gold"), clearable=True, with_input=True
        ).style("min-width: 260px")
        box.on_value_change(lambda event: setattr(order, "gold", event.value))

    async def _start(self) -> None:
        view, order = self.view, self.order
        if self._busy:
            return
        self._busy = True
        self._button.disable()
        self._said.set_text(view.t("new.starting"))
        try:
            options = order.trial_options()
            status = await launching.launch(
                await view.workspace(), "trial", order.pipeline, **options
            )
        finally:
            self._busy = False
            if not self._button.is_deleted:
                self._button.enable()
                self._said.set_text("")
        order.trial, order.trial_status, order.score = status.run, status, None
        order.trial_stands_for = order.said()
        self._changed()
        await self._show()

    async def _show(self) -> None:
        """Show how far the trial is, and its cards once it has ended."""
        view, order = self.view, self.order
        if order.trial is None:
            return
        status = await (await view.workspace()).status(order.trial)
        order.trial_status = status
        self._line(status)
        if status.state not in _ENDED:
            if self._timer is None:
                with self._clock:
                    self._timer = ui.timer(EVERY_SECONDS, self._look, immediate=False)
            return
        self.leave()
        self._changed()
        self._body.clear()
        with self._body:
            self.cards = TrialCards(view, order.trial, self._scored)
            await self.cards.draw()

    async def _look(self) -> None:
        """Look again, unless the last look is not over or was the last one."""
        if not self._looking and self._timer is not None:
            self._looking = True
            try:
                await self._show()
            finally:
                self._looking = False

    def _line(self, status: RunStatus) -> None:
        view = self.view
        with view.steady(self._head), ui.element("div").classes("wm-bar wm-bar-middle"):
            tables.state(view, status.state)
            if status.state in ("paused", "cancelled"):
                state = view.word("state", status.state)
                reason = view.sentence(status.reason or "")
                words = view.t("new.trial_stopped", name=status.run, state=state, reason=reason)
            else:
                words = view.t(
                    "new.trial_running", name=status.run, done=status.done + status.failed,
                    total=status.total,
                )  # fmt: skip
            plain("span", words).props("aria-live=polite")
            if status.state not in _ENDED:
                share = (status.done + status.failed) / max(status.total, 1)
                tables.meter(share, words).style("width: 260px")
            elif status.cost is not None:
                plain("span", view.money(status.cost), "wm-muted")
            tables.link(view.t("new.trial_open"), f"/runs/{status.run}")
            plain("span", "", "wm-gap")
            if status.state in _ENDED:
                ui.button(view.t("new.trial_again"), on_click=self._form).classes("wm-quiet")

    def _scored(self, score: Score) -> None:
        self.order.score = score
        self._changed()

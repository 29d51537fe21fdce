"""The page of one run: how it goes, what may be done with it, its items, what was ordered."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.element import Element

from waremill.app import launching
from waremill.app.watching import Glance, Watched, glance, watch
from waremill.domain import OPEN_STATES
from waremill.errors import UserError
from waremill.web.pages import run_charts, tables
from waremill.web.pages.frame import plain, put_away
from waremill.web.pages.run_items import RunItems
from waremill.web.pages.run_publishing import RunPublishing
from waremill.web.pages.shell import View, console

EVERY_SECONDS = 2.0
PATIENCE = 10.0
"""The figures are added up anew after so many times as long as it took the last time."""
EXPORTS = ("xlsx", "csv", "jsonl", "parquet")


@console("/runs/{name}", "nav.runs")
async def run_page(view: View, name: str, tab: str = "progress", state: str = "") -> None:
    """Draw a run and keep it up to date until it has ended."""
    workspace = await view.workspace()
    run = await workspace.find_run(name)
    view.title(view.t("run.trial" if run.kind == "trial" else "run.title", name=run.name))
    page = _RunPage(view, run.name)
    await page.draw(tab, state)


class _RunPage:
    def __init__(self, view: View, name: str) -> None:
        self.view = view
        self.name = name
        self.watched: Watched | None = None
        self.seen_at = 0.0
        self.took = 0.0
        self.shown: tuple[Any, ...] = ()
        self.busy = False

    async def draw(self, tab: str, state: str) -> None:
        """Draw the frame of the page at once; its sums come when they are added up."""
        view = self.view
        with view.frame.beside:
            self.head = ui.element("div").classes("wm-beside")
        self.reason = ui.element("div")
        self.batches = ui.element("div")
        self.figures = ui.element("div")
        with ui.tabs().props("align=left dense").classes("wm-tabs") as tabs:
            ui.tab("progress", label=view.t("run.tab_progress"))
            ui.tab("items", label=view.t("run.tab_items"))
            ui.tab("plan", label=view.t("run.tab_plan"))
            ui.tab("publish", label=view.t("run.tab_publish"))
        first = tab if tab in ("progress", "items", "plan", "publish") else "progress"
        with ui.tab_panels(tabs, value=first, animated=False).props("keep-alive"):
            with ui.tab_panel("progress"):
                self.charts = run_charts.RunCharts(view)
            with ui.tab_panel("items"):
                self.items = RunItems(view, self.name, state)
            with ui.tab_panel("plan"):
                self.plan = ui.element("div").classes("wm-columns wm-two")
            with ui.tab_panel("publish"):
                self.publishing = RunPublishing(view, self.name)
        tabs.on_value_change(self._tab_shown)
        self.first = first
        workspace = await view.workspace()
        now = glance(workspace, await workspace.find_run(self.name))
        self._head(now)
        self._figures(now)
        self._keys()
        view.later(self._begin)

    async def _begin(self) -> None:
        self.view.beside(self.refresh())
        if self.first == "items":
            await self.items.load()
        if self.first == "publish":
            await self.publishing.load()
        ui.timer(EVERY_SECONDS, self.refresh, immediate=False)

    async def _tab_shown(self, event: Any) -> None:
        if event.value == "items":
            await self.items.load()
        if event.value == "publish":
            await self.publishing.load()

    async def refresh(self) -> None:
        """Look at the run again: at its own row always, at its sums as often as they are cheap."""
        if self.busy:
            return
        self.busy = True
        try:
            workspace = await self.view.workspace()
            now = glance(workspace, await workspace.find_run(self.name))
            old = self.watched
            changed = old is None or old.run.state != now.run.state
            due = time.monotonic() - self.seen_at > max(EVERY_SECONDS, PATIENCE * self.took)
            self._figures(now)
            if changed or (due and now.state == "running"):
                await self._watch()
                self._figures(now)
            self._head(now)
        finally:
            self.busy = False

    async def _watch(self) -> None:
        started = time.monotonic()
        first = self.watched is None
        self.watched = await watch(await self.view.workspace(), self.name)
        self.seen_at = time.monotonic()
        self.took = self.seen_at - started
        self.charts.show(self.watched)
        if first:
            self._plan(self.watched)

    # What it is and what may be done.

    def _head(self, now: Glance) -> None:
        failed = self.watched.status.failed if self.watched else (now.failed or 0)
        shown = (now.state, now.reason, failed, now.run.approved_by, now.run.budget)
        if shown == self.shown:
            return
        self.shown = shown
        view = self.view
        with view.steady(self.head):
            tables.state(view, now.state)
            plain("span", now.run.pipeline, "wm-muted")
            plain("span", "", "wm-gap")
            self._commands(now, failed)
            self._links(now)
        self.reason.clear()
        if now.reason:
            with self.reason:
                plain("div", view.sentence(now.reason), "wm-warn")

    def _commands(self, now: Glance, failed: int) -> None:
        t, state = self.view.t, now.state
        waits = state == "planned" and (now.reason or "").startswith("waits for a second person")
        if waits:
            self._button(t("run.approve"), self._approve)
        elif state == "planned":
            self._button(t("run.start"), self._resume, first=True)
        if state == "running":
            self._button(t("run.pause"), self._pause)
        if state == "paused":
            self._button(t("run.resume"), self._resume, first=True)
        if failed and state in ("paused", "done"):
            self._button(t("run.retry", count=failed), self._retry)
        if state in ("planned", "running", "paused"):
            self._button(t("run.budget_more"), self._budget)
            self._button(t("run.cancel"), self._cancel)

    @staticmethod
    def _button(text: str, work: Any, *, first: bool = False) -> None:
        ui.button(text, on_click=work).classes("" if first else "wm-quiet")

    def _links(self, now: Glance) -> None:
        t = self.view.t
        if now.run.kind == "trial":
            tables.link(t("run.marks"), f"/new?trial={self.name}", "wm-plain")
        tables.link(t("run.review"), f"/review/{self.name}", "wm-do")
        report = tables.link(t("run.report"), f"/download/runs/{self.name}/report", "wm-plain")
        report.props["target"] = "_blank"
        with ui.button(t("run.export")).classes("wm-quiet"), ui.menu().props("role=menu"):
            for accepted in ("", "?accepted=1"):
                for kind in EXPORTS:
                    words = f".{kind}" + (f" — {t('run.accepted_only')}" if accepted else "")
                    path = f"/download/runs/{self.name}/items.{kind}{accepted}"
                    item = ui.menu_item(words, on_click=lambda path=path: ui.navigate.to(path))
                    item.props("role=menuitem")

    def _keys(self) -> None:
        self.view.key("v", "run.review", lambda: ui.navigate.to(f"/review/{self.name}"))
        self.view.key("p", "run.pause", self._pause)
        self.view.key("s", "run.resume", self._resume)

    async def _pause(self) -> None:
        view = self.view
        if await view.confirm(view.t("run.sure_pause", name=self.name), view.t("run.pause")):
            await (await view.workspace()).pause(self.name)
            await self.refresh()

    async def _resume(self) -> None:
        view = self.view
        workspace = await view.workspace()
        now = glance(workspace, await workspace.find_run(self.name))
        pending = now.run.total - (now.done or 0) - (now.failed or 0)
        question = view.t("run.sure_resume", name=self.name, count=pending)
        if await view.confirm(question, view.t("run.resume")):
            await launching.resume(await view.workspace(), self.name)
            await self.refresh()

    async def _retry(self) -> None:
        view = self.view
        failed = self.watched.status.failed if self.watched else 0
        question = view.t("run.sure_retry", count=failed)
        if await view.confirm(question, view.t("run.retry", count=failed)):
            await launching.resume(await view.workspace(), self.name, retry_failed=True)
            self.watched = None
            await self.refresh()

    async def _cancel(self) -> None:
        view = self.view
        states = self.watched.status.states if self.watched else {}
        pending = sum(states.get(one, 0) for one in OPEN_STATES)
        question = view.t("run.sure_cancel", name=self.name, count=pending)
        if await view.confirm(question, view.t("run.cancel"), danger=True):
            await (await view.workspace()).cancel(self.name)
            await self.refresh()

    async def _approve(self) -> None:
        view = self.view
        workspace = await view.workspace()
        run = await workspace.find_run(self.name)
        amount = launching.may_cost(workspace, run)
        cost = view.money(amount)
        question = view.t("run.sure_approve", name=self.name, by=run.created_by or "—", cost=cost)
        if await view.confirm(question, view.t("run.approve")):
            await launching.approve_run(await view.workspace(), self.name, amount)
            await self.refresh()

    async def _budget(self) -> None:
        view = self.view
        workspace = await view.workspace()
        now = glance(workspace, await workspace.find_run(self.name))
        with ui.dialog() as dialog, ui.element("form").classes("wm-dialog") as form:
            label = view.t("run.new_budget", currency=workspace.settings.currency)
            amount = ui.number(label, value=now.budget, min=0).props("autofocus step=any")
            place = ui.element("div")

            async def save() -> None:
                try:
                    acting = await view.workspace()
                    status = await launching.set_budget(acting, self.name, float(amount.value or 0))
                except UserError as error:
                    view.problem(error, place)
                    return
                dialog.submit(status.budget)

            form.on("submit.prevent", save)
            with ui.element("div").classes("wm-actions"):
                ui.button(view.t("shell.cancel"), on_click=dialog.close).classes("wm-quiet")
                ui.button(view.t("run.set")).props("type=submit")
        saved = await dialog
        put_away(dialog)
        if saved is not None:
            view.say(view.t("run.saved", name=self.name, budget=view.money(saved)))
            self.watched = None
            await self.refresh()

    # Figures.

    def _figures(self, now: Glance) -> None:
        """Show the figures: what the run's own row says at once, its sums once they are there."""
        view, t, run = self.view, self.view.t, now.run
        status = self.watched.status if self.watched else None
        running = now.state == "running"
        done, failed = now.done, now.failed
        if status is not None and not (running and done is not None):
            done, failed = status.done, status.failed
        share = (done or 0) / run.total if run.total else None
        rate = now.rate
        if not running and done and run.worked_seconds:
            rate = done / run.worked_seconds
        last = (t("run.worked"), view.duration(run.worked_seconds or None), "")
        lines = [
            (t("run.done"), f"{view.number(done)} / {view.number(run.total)}", view.share(share)),
            (t("run.rate"), t("run.per_second", rate=view.number(rate, 1)), ""),
            (t("run.left"), view.duration(now.left), "") if running else last,
            (t("run.paid"), *self._paid(now)),
            (t("run.calls"), view.number(status.calls if status else None), self._tokens()),
            (t("run.to_review"), view.number(status.in_review if status else None), ""),
            (t("run.failed"), view.number(failed), ""),
        ]
        self._batches(now)
        self.figures.clear()
        with self.figures:
            tables.figures(lines)
            if share is not None and running:
                tables.meter(share, t("runs.done_of", done=done or 0, total=run.total))

    def _batches(self, now: Glance) -> None:
        """List the batches that items wait for, as the worker last saw them."""
        view, found = self.view, (now.run.progress or {}).get("batches") or ()
        self.batches.clear()
        with self.batches:
            for one in found if now.state in ("running", "paused") else ():
                said = {"model": one["model"], "done": one["done"], "count": one["requests"]}
                until = view.moment(one["expires_at"])
                plain("div", view.t("run.batch", **said, until=until), "wm-muted")

    def _paid(self, now: Glance) -> tuple[str, str]:
        view, t = self.view, self.view.t
        cost = self.watched.status.cost if self.watched else None
        if not now.budget:
            return view.money(cost), t("run.no_budget")
        used = None if cost is None else cost / now.budget
        budget = t("run.of_budget", budget=view.money(now.budget), share=view.share(used))
        return view.money(cost), budget

    def _tokens(self) -> str:
        if self.watched is None:
            return ""
        status = self.watched.status
        return self.view.t("run.tokens", input=status.input_tokens, output=status.output_tokens)

    def _plan(self, seen: Watched) -> None:
        view, t, run = self.view, self.view.t, seen.run
        plan = run.plan
        lines: list[tuple[str, Any]] = [
            (t("runs.pipeline"), run.pipeline),
            (t("run.version"), str(plan.get("version") or "")[:12]),
            (t("run.catalog"), plan.get("catalog")),
            (t("run.selection"), plan.get("where") or t("run.everything")),
            (t("run.target"), ", ".join(one for one in plan["targets"] if one) or "—"),
            (t("run.model_used"), plan.get("model") or t("new.model_own")),
            (t("run.limit"), plan.get("limit") or "—"),
            (t("run.params"), plan.get("params") or "—"),
            (t("run.output"), Path(run.output).name if run.output else "—"),
            (t("run.created_by"), run.created_by or "—"),
            (t("run.approved_by"), run.approved_by or "—"),
            (t("runs.created"), view.moment(run.created_at)),
        ]
        self.plan.clear()
        with self.plan:
            with _column():
                tables.pairs(lines)
            with _column():
                run_charts.forecast_table(view, seen)


def _column() -> Element:
    return ui.element("div")

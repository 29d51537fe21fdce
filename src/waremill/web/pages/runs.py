"""The page *Runs*: the newest runs and trials, how far each is, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from waremill.app.listing import list_runs
from waremill.app.watching import Glance
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.paging import Pager
from waremill.web.pages.shell import View, console

EVERY_SECONDS = 2.0
SIZE = 50
STATES = ("planned", "running", "paused", "done", "cancelled")


@console("/runs", "nav.runs")
async def runs_page(view: View) -> None:
    """Draw the list and keep it up to date; typing narrows it."""
    with view.frame.beside:
        plain("span", "", "wm-gap")
        tables.link(view.t("nav.new"), "/new", "wm-do")
    with ui.element("div").classes("wm-bar"):
        words = ui.input(view.t("runs.filter")).props("clearable data-filter").style("width: 280px")
        kinds = {
            "": view.t("runs.both"),
            "run": view.t("runs.runs"),
            "trial": view.t("runs.trials"),
        }
        kind = ui.select(kinds, value="", label=view.t("runs.kind")).style("width: 150px")
        states = {"": view.t("items.any")} | {one: view.word("state", one) for one in STATES}
        state = ui.select(states, value="", label=view.t("runs.state")).style("width: 150px")
    box = ui.element("div")
    pager = Pager(view)
    drawn: list[tuple[str, ...]] = []

    async def show() -> None:
        workspace = await view.workspace()
        page = await list_runs(
            workspace, cursor=pager.cursor, size=SIZE, kind=kind.value or None,
            state=state.value or None,
        )  # fmt: skip
        pager.show(page.next)
        needle = (words.value or "").strip().lower()
        found = [
            one
            for one in page.rows
            if needle in f"{one.run.name} {one.run.pipeline} {one.run.created_by or ''}".lower()
        ]
        now = [_line(view, one) for one in found]
        if now == drawn and box.default_slot.children:
            return
        drawn[:] = now
        with view.steady(box):
            _draw(view, found)

    async def first() -> None:
        pager.first()
        await show()

    pager.on_turn(show)
    words.on_value_change(show)
    kind.on_value_change(first)
    state.on_value_change(first)
    await show()
    ui.timer(EVERY_SECONDS, show, immediate=False)


def _line(view: View, one: Glance) -> tuple[str, ...]:
    """Give what a line says, to see whether it has changed."""
    return (
        one.run.name, one.state, one.reason or "", f"{one.done} {one.failed} {one.run.total}",
        view.duration(one.left), f"{one.rate}",
    )  # fmt: skip


def _draw(view: View, found: Sequence[Glance]) -> None:
    t = view.t
    headings = (
        "!" + t("runs.run"), "!" + t("runs.what"), t("runs.pipeline"), "!" + t("runs.state"),
        t("runs.progress"), "#" + t("runs.items"), "#" + t("runs.failed"), "#" + t("runs.budget"),
        "!" + t("runs.by"), "!" + t("runs.created"), "#" + t("runs.took"),
    )  # fmt: skip
    tables.table(
        headings, [_row(view, one) for one in found], label=t("nav.runs"), empty=t("runs.none")
    )


def _row(view: View, one: Glance) -> Sequence[tables.Cell]:
    run = one.run
    share = (one.done or 0) / run.total if run.total else 0.0

    def progress() -> None:
        done = view.t("runs.done_of", done=one.done or 0, total=run.total)
        tables.meter(share, done)
        if one.state == "running" and one.rate:
            left = view.duration(one.left)
            plain("div", view.t("runs.pace", rate=f"{one.rate:.1f}", left=left), "wm-muted")
        elif one.state not in ("done", "planning"):
            plain("div", done, "wm-muted")
        if one.reason:
            plain("div", view.sentence(one.reason), "wm-muted")

    def took() -> str:
        seconds = run.worked_seconds
        if one.state == "running" and run.progress:
            seconds += float(run.progress.get("seconds") or 0)
        return view.duration(seconds) if seconds else "—"

    return (
        lambda: tables.link(run.name, f"/runs/{run.name}"),
        view.word("kind", run.kind), run.pipeline, lambda: tables.state(view, one.state), progress,
        view.number(run.total), view.number(one.failed), view.money(one.budget),
        run.created_by or "—", view.moment(run.created_at), took(),
    )  # fmt: skip

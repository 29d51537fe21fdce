"""The pages *Schedules*: what begins by itself and when, and what came of each slot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from waremill.app import Workspace
from waremill.app.scheduling import schedules
from waremill.app.scheduling.schedules import ScheduleView, SlotView
from waremill.web.pages import tables
from waremill.web.pages.dialogs import ask
from waremill.web.pages.frame import plain
from waremill.web.pages.paging import Pager
from waremill.web.pages.schedule_form import ScheduleForm, offered
from waremill.web.pages.shell import View, console

EVERY_SECONDS = 3.0
SIZE = 50
BAD = ("stopped", "failed", "missed", "skipped")
"""States of a slot that brought no run although one was meant."""
Change = Callable[[Workspace, str], Awaitable[Any]]


@console("/schedules", "nav.schedules")
async def schedules_page(view: View) -> None:
    """Draw the schedules with what came of each lately."""
    workspace = await view.workspace()
    if any(role in ("operator", "admin") for role in _roles(workspace)):
        with view.frame.beside:
            plain("span", "", "wm-gap")
            tables.button(view.t("sch.add"), partial(_add, view), "wm-do")
    box = ui.element("div")
    drawn: list[Any] = []

    async def show() -> None:
        found = await schedules.list_schedules(await view.workspace())
        now = [one.as_json() for one in found]
        if now == drawn and box.default_slot.children:
            return
        drawn[:] = now
        with view.steady(box):
            headings = (
                view.t("sch.name"), "!" + view.t("runs.pipeline"), "!" + view.t("sch.cron"),
                "!" + view.t("sch.state"), "!" + view.t("sch.next"), view.t("sch.last"),
                "#" + view.t("runs.budget"), "!" + view.t("runs.by"),
            )  # fmt: skip
            rows = [_row(view, one) for one in found]
            tables.table(headings, rows, label=view.t("nav.schedules"), empty=view.t("sch.none"))

    await show()
    ui.timer(EVERY_SECONDS, show, immediate=False)
    gone = await schedules.list_schedules(workspace, removed=True)
    if gone:
        _removed(view, gone)


def _removed(view: View, gone: Sequence[ScheduleView]) -> None:
    """Draw what was removed, folded away; a name leads to its history."""
    t = view.t
    with ui.element("details").classes("wm-fold"):
        plain("summary", t("sch.removed", count=len(gone)))
        headings = (t("sch.name"), "!" + t("runs.pipeline"), "!" + t("sch.cron"),
                    "!" + t("sch.removed_at"), t("sch.last"))  # fmt: skip
        rows = [
            (partial(tables.link, one.schedule.name, f"/schedules/{quote(one.schedule.name)}"),
             one.schedule.pipeline, f"{one.schedule.cron} {one.schedule.timezone}",
             view.moment(one.schedule.removed_at), partial(_outcome, view, one.last))
            for one in gone
        ]  # fmt: skip
        tables.table(headings, rows, label=t("sch.removed", count=len(gone)))


def _roles(workspace: Workspace) -> tuple[str, ...]:
    actor = workspace.actor
    return (*filter(None, (actor.everywhere,)), *actor.teams.values())


def _row(view: View, one: ScheduleView) -> Sequence[tables.Cell]:
    found = one.schedule
    return (
        lambda: tables.link(found.name, f"/schedules/{quote(found.name)}"),
        found.pipeline, f"{found.cron} {found.timezone}", view.word("sch_state", one.state),
        view.moment(one.next_at), lambda: _outcome(view, one.last), view.money(one.budget),
        found.by,
    )  # fmt: skip


def _outcome(view: View, last: SlotView | None) -> None:
    """Draw what came of a slot: its run, or why there is none."""
    if last is None:
        plain("span", "—")
        return
    shown = last.as_json()
    mark = "wm-state-failed" if shown["state"] in BAD else ""
    plain("span", view.word("slot", shown["state"]), f"wm-state {mark}")
    for name in (shown["trial"], shown["run"]):
        if name:
            plain("span", " ")
            tables.link(name, f"/runs/{name}")
    if shown["run_state"]:
        plain("span", " ")
        tables.state(view, shown["run_state"])
    if shown["reason"]:
        plain("div", view.sentence(shown["reason"]), "wm-muted")


@console("/schedules/{name}", "nav.schedules")
async def schedule_page(view: View, name: str) -> None:
    """Draw a schedule with its history, newest first."""
    workspace = await view.workspace()
    found = await schedules.show(workspace, name)
    view.title(found.schedule.name)
    present = found.schedule.removed_at is None
    if present and workspace.actor.may("operator", found.schedule.team_id):
        with view.frame.beside:
            plain("span", "", "wm-gap")
            _buttons(view, found)
    about, box, pager = ui.element("div"), ui.element("div"), Pager(view)
    drawn: list[Any] = []

    async def show() -> None:
        workspace = await view.workspace()
        now = await schedules.show(workspace, name)
        page = await schedules.history(workspace, name, cursor=pager.cursor, size=SIZE)
        pager.show(page.next)
        lines = [now.as_json(), *(one.as_json() for one in page.rows)]
        if lines == drawn and box.default_slot.children:
            return
        drawn[:] = lines
        with view.steady(about):
            _about(view, now)
        with view.steady(box):
            _history(view, page.rows)

    pager.on_turn(show)
    await show()
    ui.timer(EVERY_SECONDS, show, immediate=False)


def _about(view: View, found: ScheduleView) -> None:
    one, t = found.schedule, view.t
    only = t("sch.all")
    if one.only:
        only = ", ".join(view.word("only", word) for word in one.only)
    trial = "—"
    if one.trial:
        trial = t("sch.gate", count=one.trial, share=view.share(one.accuracy))
    tables.pairs(
        (
            (t("runs.pipeline"), one.pipeline), (t("sch.cron"), f"{one.cron} {one.timezone}"),
            (t("sch.state"), view.word("sch_state", found.state)),
            (t("sch.next"), view.moment(found.next_at)), (t("sch.only"), only),
            *_said(view, one.options), (t("sch.source"), one.source or "—"),
            (t("runs.budget"), view.money(found.budget)),
            (t("sch.trial"), trial), (t("sch.overlap"), view.word("overlap", one.overlap)),
            (t("sch.catch_up"), view.word("catch_up", one.catch_up)), (t("runs.by"), one.by),
        )
    )  # fmt: skip


def _said(view: View, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what else was said of the runs, where it was."""
    t = view.t
    named = (
        ("where", "new.where"), ("search", "new.search"), ("order_by", "new.order"),
        ("limit", "new.limit"), ("catalog", "new.catalog"), ("model", "new.model"),
    )  # fmt: skip
    for name, key in named:
        if options.get(name):
            yield t(key), str(options[name])
    if options.get("targets"):
        yield t("new.targets"), ", ".join(options["targets"])
    if options.get("params"):
        yield t("new.params"), ", ".join(f"{k}={v}" for k, v in options["params"].items())
    for name in ("mode", "engine", "priority"):
        if options.get(name):
            yield t(f"sch.{name}"), view.word(name, options[name])
    for name, key in (("stale", "sch.stale"), ("fresh", "new.fresh")):
        if options.get(name):
            yield t(key), t("shell.yes")
    if options.get("gold"):
        yield t("sch.gold"), str(options["gold"]).replace("\\", "/").rpartition("/")[2]


def _history(view: View, rows: Sequence[SlotView]) -> None:
    t = view.t
    headings = ("!" + t("sch.at"), "!" + t("sch.cause"), t("sch.outcome"), "!" + t("runs.by"))
    tables.table(
        headings,
        [
            (view.moment(one.slot.at), view.word("cause", one.slot.cause),
             partial(_outcome, view, one), one.slot.by)
            for one in rows
        ],
        label=t("sch.history"), empty=t("sch.never"),
    )  # fmt: skip


def _buttons(view: View, found: ScheduleView) -> None:
    name = found.schedule.name

    async def change(work: Change) -> None:
        await work(await view.workspace(), name)
        ui.navigate.reload()

    async def remove() -> None:
        if await view.confirm(
            view.t("sch.remove_sure", name=name), view.t("sch.remove"), danger=True
        ):
            await schedules.remove(await view.workspace(), name)
            ui.navigate.to("/schedules")

    tables.button(view.t("sch.run"), partial(change, schedules.run_now), "wm-do")
    if found.schedule.active:
        tables.button(view.t("sch.pause"), partial(change, schedules.pause))
    else:
        tables.button(view.t("sch.resume"), partial(change, schedules.resume))
    tables.button(view.t("sch.remove"), remove)


async def _add(view: View) -> None:
    """Ask for a schedule and add it."""
    form = ScheduleForm(view, await offered(view))
    if await ask(view, view.t("sch.add"), view.t("sch.add"), form.draw):
        ui.navigate.reload()


__all__ = ["schedule_page", "schedules_page"]

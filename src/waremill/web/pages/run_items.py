"""A run's items: a page at a time, by state, finding, target, words or a `WHERE`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from waremill.app.browsing import Browse, ItemRow
from waremill.app.picture_cards import picture_fields
from waremill.domain import is_missing
from waremill.errors import UserError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.paging import Pager
from waremill.web.pages.pictures import item_pictures, load_pictures, without_pictures
from waremill.web.pages.review_filters import rule_choices
from waremill.web.pages.shell import View

STATES = ("review", "ready", "accepted", "edited", "rejected", "failed", "waiting", "pending")
SIZE = 50


class RunItems:
    """The tab *Items*: filters, one page of items, and how many there are."""

    def __init__(self, view: View, name: str, state: str = "") -> None:
        self._view = view
        self._name = name
        self._loaded = False
        self._counting: asyncio.Task[None] | None = None
        t = view.t
        load_pictures()
        with ui.element("div").classes("wm-bar"):
            names = {one: view.word("state", one) for one in STATES}
            self._states = ui.select(
                names, multiple=True, value=[state] if state in STATES else [],
                label=t("items.states"),
            ).props("clearable").style("min-width: 180px")  # fmt: skip
            self._target = ui.select({}, label=t("items.target"), value=None)
            self._target.props("clearable").style("min-width: 150px")
            self._rule = ui.select(rule_choices(view), label=t("items.rule"), with_input=True)
            self._rule.props("clearable").style("width: 160px")
            self._text = ui.input(t("items.text")).props("clearable data-filter")
            self._text.style("width: 200px")
            self._where = ui.input(t("review.where"), placeholder=t("review.where_example"))
            self._where.props("clearable").classes("wm-grow wm-mono")
            self._where.tooltip(t("review.where_about"))
        self._problem = ui.element("div")
        with ui.element("div").classes("wm-bar wm-bar-middle"):
            self._pager = Pager(view)
            self._pager.on_turn(self._show)
            self._count = plain("span", "", "wm-muted")
            plain("span", "", "wm-gap")
            self._review = tables.link(t("items.review"), f"/review/{name}", "wm-plain")
        self._box = ui.element("div").style("margin-top: 8px")
        for one in (self._states, self._target, self._rule):
            one.on_value_change(self._filter)
        for box in (self._text, self._where):
            box.on("keydown.enter", self._filter)
            box.on("clear", self._filter)

    def _filters(self) -> dict[str, Any]:
        return {
            "states": tuple(self._states.value or ()), "target": self._target.value or None,
            "rule": self._rule.value or None,
            "text": (self._text.value or "").strip() or None,
            "where": (self._where.value or "").strip() or None,
        }  # fmt: skip

    async def load(self) -> None:
        """Load the first page, the first time the tab is shown."""
        if self._loaded:
            return
        self._loaded = True
        workspace = await self._view.workspace()
        run = await workspace.find_run(self._name)
        targets = [one for one in run.plan["targets"] if one]
        self._target.set_options(targets)
        await self._filter()

    async def _filter(self) -> None:
        self._pager.first()
        await self._show()
        if self._counting is not None:
            self._counting.cancel()
        self._counting = self._view.beside(self._number())

    async def _show(self) -> None:
        self._problem.clear()
        filters = self._filters()
        self._review.props["href"] = f"/review/{self._name}" + _query(filters)
        try:
            browse = Browse(await self._view.workspace())
            page = await browse.items(self._name, cursor=self._pager.cursor, size=SIZE, **filters)
        except UserError as error:
            self._view.problem(error, self._problem)
            return
        self._pager.show(page.next)
        with self._view.steady(self._box):
            self._draw(page.rows)

    async def _number(self) -> None:
        filters = self._filters()
        count = 0
        self._count.set_text(self._view.t("items.counting"))
        try:
            browse = Browse(await self._view.workspace())
            async for count in browse.counting_items(self._name, **filters):
                self._count.set_text(self._view.t("catalogue.counting", count=count))
        except UserError:  # the listing has said it already
            self._count.set_text("")
            return
        self._count.set_text(self._view.t("items.count", count=count))

    def _draw(self, rows: Sequence[ItemRow]) -> None:
        t = self._view.t
        headings = (
            "!" + t("items.key"), "!" + t("items.target"), "!" + t("items.states"),
            t("items.copy"), t("items.findings"), "#" + t("items.cost"), "#" + t("items.latency"),
            "!",
        )  # fmt: skip
        tables.table(
            headings, [self._row(one) for one in rows], label=t("run.tab_items"),
            empty=t("items.none"),
        ).classes("wm-items")  # fmt: skip

    def _row(self, one: ItemRow) -> Sequence[tables.Cell]:
        view = self._view

        def copy() -> None:
            for name, pictures in picture_fields(one.values).items():
                with ui.element("div").classes("px-named"):
                    plain("span", name, "px-caption")
                    item_pictures(view, self._name, one.id, one.key, pictures)
            for name, value in without_pictures(one.values).items():
                if is_missing(value):
                    continue
                with ui.element("div").classes("wm-clip"):
                    plain("span", f"{name}: ", "wm-muted")
                    plain("span", tables.shown(value).replace("\n", " · "))

        def findings() -> None:
            for found in one.found:
                rule, said = view.rule(str(found.get("rule"))), view.finding(found)
                plain("div", view.t("shell.pair", name=rule, value=said), "wm-clip")
            if one.error:
                kind, message = str(one.error.get("type")), tables.shown(one.error.get("message"))
                plain("div", view.failure(kind, message), "wm-clip wm-bad")

        def key() -> None:
            tables.link(one.key, "/history?" + urlencode({"key": one.key, "run": self._name}))

        review = f"/review/{self._name}?" + urlencode({"item": one.id})
        return (
            key, one.target or "—", lambda: tables.state(view, one.state), copy, findings,
            view.money(one.cost), view.number(one.latency, 1),
            lambda: tables.link(view.t("run.review"), review),
        )  # fmt: skip


def _query(filters: Mapping[str, Any]) -> str:
    """Write filters as the query of the review desk's address."""
    flat = {
        name: ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in filters.items()
        if value
    }
    return "?" + urlencode(flat) if flat else ""

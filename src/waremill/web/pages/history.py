"""The page *History*: every change of a product's copy, what made it, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from nicegui import ui

from waremill.app.history import Change, changes, revert_field, revert_run
from waremill.app.picture_cards import pictures_of
from waremill.domain import is_missing
from waremill.errors import UserError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.making import show_making
from waremill.web.pages.passages import load_knowledge
from waremill.web.pages.pictures import item_pictures, load_pictures
from waremill.web.pages.shell import View, console

_TAGS = {"same": "span", "added": "ins", "removed": "del"}


@console("/history", "nav.history")
async def history_page(
    view: View, catalog: str = "", key: str = "", run: str = "", target: str = "", field: str = ""
) -> None:
    """Draw one product's changes, newest first; and how a whole run is taken back."""
    load_pictures()
    load_knowledge()
    page = _HistoryPage(view)
    await page.draw(catalog, key, run, target, field)


class _HistoryPage:
    def __init__(self, view: View) -> None:
        self.view = view

    async def draw(self, catalog: str, key: str, run: str, target: str, field: str) -> None:
        """Draw the form and, where a product is named, its changes."""
        view, t = self.view, self.view.t
        workspace = await view.workspace()
        names = [one.name for one in await workspace.catalogs()]
        if run and not catalog:
            catalog = str((await workspace.find_run(run)).plan.get("catalog") or "")
        chosen = catalog if catalog in names else (names[0] if names else None)
        with ui.element("div").classes("wm-bar"):
            self.catalog = ui.select(names, value=chosen, label=t("catalogue.choose"))
            self.catalog.style("min-width: 160px")
            self.key = ui.input(t("items.key"), value=key).props("data-filter clearable")
            self.target = ui.input(t("run.target"), value=target).props("clearable")
            self.target.style("width: 150px")
            self.field = ui.input(t("history.field"), value=field).props("clearable")
            self.field.style("width: 150px")
            ui.button(t("history.show"), on_click=self.show)
        with view.frame.beside:
            plain("span", "", "wm-gap")
            self.run = ui.input(value=run, placeholder=t("history.run")).style("width: 150px")
            self.run.props["aria-label"] = t("history.run")
            ui.button(t("history.revert_run"), on_click=self._revert_run).classes("wm-quiet")
        for box in (self.key, self.target, self.field):
            box.on("keydown.enter", self.show)
        self.box = ui.element("div")
        if key:
            await self.show()
        else:
            with self.box:
                ui.label(t("history.ask")).classes("wm-empty")

    async def show(self) -> None:
        """Draw the changes of the product that is named."""
        view, key = self.view, (self.key.value or "").strip()
        if not key:
            return
        target, field = (self.target.value or "").strip(), (self.field.value or "").strip()
        given = {
            "catalog": self.catalog.value, "key": key, "target": target, "field": field,
        }  # fmt: skip
        query = urlencode({name: value for name, value in given.items() if value})
        ui.run_javascript(f"history.replaceState(null, '', '/history?{query}')")
        try:
            found = await changes(
                await view.workspace(), self.catalog.value, key, target=target or None,
                field=field or None,
            )  # fmt: skip
        except UserError as error:
            view.problem(error, self.box)
            return
        with view.steady(self.box):
            self._timeline(found)

    def _timeline(self, found: Sequence[Change]) -> None:
        if not found:
            ui.label(self.view.t("history.none")).classes("wm-empty")
            return
        live: set[tuple[str, str]] = set()
        with ui.element("ol").classes("wm-timeline"):
            for one in found:
                place = (one.target, one.field)
                self._change(one, live=place not in live)
                live.add(place)

    def _change(self, one: Change, *, live: bool) -> None:
        view, t = self.view, self.view.t
        at = datetime.fromtimestamp(one.at, UTC).isoformat()
        with ui.element("li"):
            with ui.element("div").classes("wm-bar wm-bar-middle"):
                moment = plain("time", view.moment(one.at), "wm-muted")
                moment.props["datetime"] = at
                plain("strong", one.field)
                plain("span", one.target or t("history.every_target"), "wm-muted")
                plain("span", view.word("origin", one.origin))
                if one.by:
                    plain("span", t("history.by", by=one.by))
                if one.run:
                    tables.link(one.run, f"/runs/{one.run}")
                version = (one.version or "")[:8] if one.template else ""
                made = " · ".join(part for part in (one.template, version, one.model) if part)
                plain("span", made, "wm-muted")
                if one.result_id is not None:
                    number = one.result_id
                    tables.button(t("history.how"), lambda: show_making(view, number))
                plain("span", "", "wm-gap")
                if live:
                    plain("span", t("history.live"), "wm-state wm-state-accepted")
                elif one.result_id is not None:
                    result = one.result_id
                    tables.button(t("history.revert"), lambda: self._revert(one, result))
            if one.old is None and one.new is None:
                plain("div", t("history.empty"), "wm-muted")
            elif pictures_of(one.old) or pictures_of(one.new):
                self._pictures(one)
            else:
                with ui.element("div").classes("wm-difference"):
                    for operation, text in one.difference:
                        plain(_TAGS[operation], text)

    def _pictures(self, one: Change) -> None:
        """Draw the pictures a field had before and has since."""
        key = (self.key.value or "").strip()
        with ui.element("div").classes("px-row"):
            for place, value in enumerate((one.old, one.new)):
                if place and pictures_of(one.old):
                    plain("span", "→", "wm-muted")
                if pictures := pictures_of(value):
                    item_pictures(self.view, one.run, one.item_id, key, pictures)
                elif not is_missing(value):
                    plain("span", tables.shown(value))

    async def _revert(self, one: Change, result: int) -> None:
        view, t = self.view, self.view.t
        question = t(
            "history.sure_revert", field=one.field, at=view.moment(one.at),
            value=t("pictures.column") if pictures_of(one.new) else tables.shown(one.new, 200),
        )  # fmt: skip
        if await view.confirm(question, t("history.revert")):
            await revert_field(
                await view.workspace(), self.catalog.value or "", (self.key.value or "").strip(),
                one.target, one.field, result,
            )  # fmt: skip
            view.say(t("history.reverted", field=one.field))
            await self.show()

    async def _revert_run(self) -> None:
        view, t = self.view, self.view.t
        name = (self.run.value or "").strip()
        if not name:
            view.problem(t("history.need_run"))
            return
        run = await (await view.workspace()).find_run(name)
        question = t("history.sure_run", name=run.name, items=run.total)
        if await view.confirm(question, t("history.revert_run"), danger=True):
            count = await revert_run(await view.workspace(), run.name)
            view.say(t("history.run_reverted", name=run.name, count=count))
            await self.show()

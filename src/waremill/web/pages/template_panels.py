"""Beside the editor: the rendered prompt, the names a template may use, the file's versions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from waremill.app.editing import DiffLine, FileVersion, Preview, diff_lines
from waremill.errors import WaremillError
from waremill.web.pages import tables
from waremill.web.pages.desk import Desk, heading, text_block
from waremill.web.pages.frame import plain

_ORIGINS = {"column": "columns", "field": "fields", "param": "params", "target": "target"}
_MARKS = {"-": "ed-minus", "+": "ed-plus", "…": "ed-gap", " ": ""}


class Prompt:
    """The tab *Prompt*: what would be sent for one product, its tokens and its price."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._box = ui.element("div").props("aria-live=polite")

    async def show(self) -> None:
        """Render the text as it is now."""
        desk = self._desk
        if not desk.tried:
            return
        editor = await desk.editor()
        try:
            found = await editor.preview(
                desk.path, desk.text, desk.key, desk.target or None, desk.using
            )
        except WaremillError as error:
            desk.view.problem(error, self._box)
            return
        self._box.clear()
        with self._box:
            self._draw(found)

    def _draw(self, found: Preview) -> None:
        view = self._desk.view
        tokens = view.t("tpl.tokens", tokens=found.tokens, most=found.max_tokens)
        cost = view.t("tpl.no_price")
        if found.cost is not None:
            ends = {"low": found.cost.low, "high": found.cost.high, "cost": found.cost.expected}
            cost = view.t("tpl.cost", **{name: view.nano(end) for name, end in ends.items()})
        ui.label(f"{tokens} · {cost}").style("font-weight: 600")
        if found.counted_by:
            by = view.word("counted", found.counted_by)
            ui.label(view.t("tpl.counted", by=by)).classes("wm-muted")
        for part in found.parts:
            if len(found.parts) > 1:
                heading(view.t("tpl.step", step=part.step, model=part.model))
            if part.skipped:
                ui.label(view.t("tpl.skipped")).classes("wm-note")
            for role, text in part.messages:
                plain("div", view.word("speaker", role), "ed-role")
                text_block(text)


class Names:
    """The tab *Variables*: what a template may read, by where it comes from."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._box = ui.element("div")
        self.insert: Callable[[str], None] = lambda _name: None

    async def show(self) -> None:
        """List the names for the text as it is now."""
        desk, view = self._desk, self._desk.view
        editor = await desk.editor()
        found = await editor.variables(desk.path, desk.text, desk.catalog)
        with view.steady(self._box):
            ui.label(view.t("tpl.names_hint")).classes("wm-note")
            for origin, title in _ORIGINS.items():
                names = [one for one in found if one.origin == origin]
                if not names:
                    continue
                heading(view.t(f"tpl.names_{title}"))
                with ui.element("div").classes("ed-names"):
                    for one in names:
                        classes = "ed-name ed-used" if one.used else "ed-name"
                        self._name(one.name, classes)

    def _name(self, name: str, classes: str) -> None:
        button = tables.button(name, lambda: self.insert(name), classes)
        button.props["title"] = self._desk.view.t("tpl.insert", name=name)


class Versions:
    """The tab *Versions*: the file's history, differences, restoring."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._shown: int | None = None
        self.restored: Callable[[str], Awaitable[None]] | None = None
        self._diff = ui.element("div")
        self._list = ui.element("div")

    async def show(self) -> None:
        """List the versions; what is not approved yet is shown as a difference."""
        desk, view = self._desk, self._desk.view
        editor = await desk.editor()
        page = await editor.versions(desk.path)
        if self._shown is None:
            approved = desk.opened.approved
            if approved is not None and approved != desk.text:
                lines = await asyncio.to_thread(diff_lines, approved, desk.text)
                self._draw_diff(view.t("tpl.diff_draft"), lines)
            else:
                self._diff.clear()
        else:
            await self._compare(self._shown)
        with view.steady(self._list):
            if not page.rows:
                ui.label(view.t("tpl.versions_none")).classes("wm-empty")
            with ui.element("ul").classes("ed-versions"):
                for version in page.rows:
                    self._version(version)

    def _version(self, version: FileVersion) -> None:
        view = self._desk.view
        with ui.element("li"):
            with ui.element("div").classes("wm-bar-middle wm-bar"):
                plain("span", f"{version.id}", "wm-number")
                tables.state(view, version.state)
                plain("span", version.author or view.t("tpl.from_file"))
                plain("span", view.moment(version.created_at), "wm-muted")
            with ui.element("div").classes("ed-do"):
                tables.button(view.t("tpl.show_diff"), lambda: self._compare(version.id))
                if self._desk.opened.editable:
                    tables.button(view.t("tpl.restore"), lambda: self._restore(version.id))
            what = [version.note or ""]
            if version.decided_by and version.decided_by != version.author:
                when = view.moment(version.decided_at)
                state = view.word("state", version.state)
                what.append(f"{state}: {view.t('tpl.decided', by=version.decided_by, when=when)}")
            if any(what):
                plain("div", " · ".join(one for one in what if one), "ed-what")

    async def _compare(self, version: int) -> None:
        desk = self._desk
        self._shown = version
        old = await (await desk.editor()).text(version)
        lines = await asyncio.to_thread(diff_lines, old, desk.text)
        self._draw_diff(desk.view.t("tpl.diff_of", old=version), lines)

    def _draw_diff(self, title: str, lines: Sequence[DiffLine]) -> None:
        self._diff.clear()
        with self._diff:
            heading(title)
            if not lines:
                ui.label(self._desk.view.t("tpl.same")).classes("wm-note")
                return
            with ui.element("div").classes("ed-diff") as box:
                box.props["aria-label"] = title
                box.props["role"] = "region"
                box.props["tabindex"] = "0"
                for line in lines:
                    with ui.element("div").classes(_MARKS[line.mark]):
                        plain("span", "" if line.old is None else str(line.old))
                        plain("span", "" if line.new is None else str(line.new))
                        plain("span", line.mark)
                        plain("span", line.text)

    async def _restore(self, version: int) -> None:
        desk, view = self._desk, self._desk.view
        if not await view.confirm(view.t("tpl.restore_sure"), view.t("tpl.restore")):
            return
        await (await desk.editor()).restore(version, desk.opened.etag)
        self._shown = None
        if self.restored is not None:
            await self.restored(view.t("tpl.saved"))

"""Beside the editor: one product written now, as it streams in, and two sides on a few products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from nicegui import ui

from waremill.app.editing import FileVersion, Played, Side
from waremill.errors import WaremillError
from waremill.web.pages import tables
from waremill.web.pages.desk import Desk, heading
from waremill.web.pages.frame import plain

FLUSH_SECONDS = 0.1
"""How often what has streamed in is shown."""
VERSIONS_OFFERED = 20
FIRST_KEYS = 3


class Play:
    """The tab *Try*: asks the model for the chosen product and shows the reply as it comes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        view = desk.view
        ui.label(view.t("tpl.play_about")).classes("wm-note")
        with ui.element("div").classes("wm-bar wm-bar-middle").style("margin: 6px 0"):
            self._button = ui.button(view.t("tpl.play"), on_click=self.write)
            plain("kbd", "Ctrl").props("aria-hidden=true")
            plain("kbd", "Enter").props("aria-hidden=true")
            self._said = ui.label("").classes("wm-muted").props("role=status")
        if not desk.opened.editable:
            self._button.disable()
        self._reply = ui.label("").classes("ed-prompt")
        self._reply.set_visibility(False)
        self._made = ui.element("div")
        self._heard: list[str] = []
        self._busy = False

    async def show(self) -> None:
        """Leave what was written last: it was paid for."""

    async def write(self) -> None:
        """Ask the model; what is at work already is not asked twice."""
        desk, view = self._desk, self._desk.view
        if self._busy or not desk.tried or not desk.opened.editable:
            return
        self._busy = True
        self._heard = []
        self._made.clear()
        self._reply.set_text("")
        self._reply.set_visibility(True)
        self._said.set_text(view.t("tpl.playing"))
        self._button.disable()
        timer = ui.timer(FLUSH_SECONDS, self._flush)
        try:
            editor = await desk.editor()
            played = await editor.play(
                desk.path, desk.text, desk.key, desk.target or None, self._heard.append, desk.using
            )
        except WaremillError as error:
            view.problem(error, self._made)
        else:
            self._reply.set_text("\n\n".join(played.replies))
            with self._made:
                self._draw(played)
        finally:
            timer.cancel()
            self._busy = False
            self._button.enable()
            self._said.set_text("")

    def _flush(self) -> None:
        text = "".join(self._heard)
        if text and text != self._reply.text:
            self._reply.set_text(text)

    def _draw(self, played: Played) -> None:
        view = self._desk.view
        if played.error is not None:
            view.problem(played.error, self._made)
            return
        used = {
            "input": played.input_tokens, "output": played.output_tokens,
            "cost": view.money(played.cost), "seconds": view.duration(played.seconds),
            "model": played.model,
        }  # fmt: skip
        line = view.t("tpl.used_before" if played.replayed else "tpl.used", **used)
        ui.label(line).style("font-weight: 600")
        heading(view.t("tpl.fields"))
        tables.pairs(played.values)
        heading(view.t("tpl.findings"))
        _findings(self._desk, played)


def _findings(desk: Desk, played: Played) -> None:
    view = desk.view
    if not played.findings:
        ui.label(view.t("tpl.no_findings")).classes("wm-note")
    for one in played.findings:
        said = view.t("shell.noted", value=view.finding(one), note=view.rule(one.rule))
        if one.field:
            said = view.t("shell.pair", name=one.field, value=said)
        plain("div", said, "ed-finding")


class Compare:
    """The tab *Side by side*: two texts or two models on the same products."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._busy = False
        self._sides: list[tuple[Any, Any]] = []
        self._drawn = False
        self._form = ui.element("div")
        self._out = ui.element("div")

    async def show(self) -> None:
        """Draw the form once; what was compared last stays."""
        desk, view = self._desk, self._desk.view
        if self._drawn:
            return
        self._drawn = True
        editor = await desk.editor()
        versions = (await editor.versions(desk.path, size=VERSIONS_OFFERED)).rows
        texts = {"now": view.t("tpl.now")}
        if desk.opened.approved is not None:
            texts["disk"] = view.t("tpl.on_disk")
        texts |= {str(one.id): self._named(one) for one in versions}
        workspace = await view.workspace()
        models = desk.models((await workspace.seen()).settings.models)
        with self._form:
            for letter in "AB":
                first = "disk" if letter == "A" and "disk" in texts else "now"
                with ui.element("div").classes("wm-bar").style("margin-bottom: 6px"):
                    plain("b", view.t("tpl.side", side=letter)).style("width: 60px")
                    text = ui.select(texts, value=first, label=view.t("tpl.side_text"))
                    text.classes("wm-grow")
                    model = ui.select(models, value=None, label=view.t("tpl.model"))
                    model.style("width: 150px")
                    self._sides.append((text, model))
            self._keys = ui.input_chips(view.t("tpl.keys"), value=desk.keys[:FIRST_KEYS])
            with ui.element("div").classes("wm-bar wm-bar-middle").style("margin: 6px 0"):
                self._button = ui.button(view.t("tpl.compare"), on_click=self._compare)
        if not desk.opened.editable:
            self._button.disable()

    def _named(self, version: FileVersion) -> str:
        view = self._desk.view
        return view.t("tpl.version", id=version.id, when=view.moment(version.created_at))

    async def _side(self, place: int) -> Side:
        desk = self._desk
        text, model = self._sides[place]
        if text.value == "now":
            return Side(desk.text, model.value)
        if text.value == "disk":
            return Side(desk.opened.approved or "", model.value)
        editor = await desk.editor()
        return Side(await editor.text(int(text.value)), model.value)

    async def _compare(self) -> None:
        desk, view = self._desk, self._desk.view
        if self._busy:
            return
        self._busy = True
        self._button.disable()
        keys = [str(key).strip() for key in self._keys.value or () if str(key).strip()]
        cells: dict[tuple[int, int], Played] = {}
        try:
            sides = [await self._side(place) for place in range(2)]
            self._draw(keys, cells)

            def done(row: int, side: int, played: Played) -> None:
                cells[row, side] = played
                self._draw(keys, cells)

            editor = await desk.editor()
            await editor.compare(desk.path, sides, keys, desk.target or None, desk.using, done)
        except WaremillError as error:
            view.problem(error, self._out)
        finally:
            self._busy = False
            self._button.enable()

    def _draw(self, keys: list[str], cells: dict[tuple[int, int], Played]) -> None:
        view = self._desk.view
        self._out.clear()
        headings = [view.t("tpl.product"), *(view.t("tpl.side", side=side) for side in "AB")]
        rows: list[Sequence[tables.Cell]] = [
            (key, *(partial(self._cell, cells.get((row, side))) for side in range(2)))
            for row, key in enumerate(keys)
        ]
        with self._out:
            tables.table(headings, rows, label=view.t("tpl.tab_compare"))

    def _cell(self, played: Played | None) -> None:
        view = self._desk.view
        if played is None:
            ui.label("…").classes("wm-muted")
            return
        if played.error is not None:
            ui.label(view.sentence(played.error)).classes("wm-bad")
            return
        for name, value in played.values.items():
            plain("div", name, "nr-field-name")
            plain("div", tables.shown(value, None), "ed-value")
        for one in played.findings:
            plain("div", view.finding(one), "ed-finding")
        words = view.t(
            "tpl.sum", findings=len(played.findings), cost=view.money(played.cost),
            seconds=view.duration(played.seconds),
        )  # fmt: skip
        plain("div", words, "wm-muted")

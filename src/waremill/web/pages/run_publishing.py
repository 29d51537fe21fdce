"""A run's tab *Publish*: to a channel of the settings, in stages, dry first, and back again."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from nicegui import ui

from waremill.app import publishing
from waremill.app.publishing import STAGES, PublicationShown, PublishOptions
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View

SHOWN = 50
"""Refusals that are shown; all of them are a file."""
EVERY_SECONDS = 1.0


class RunPublishing:
    """Chooses a channel and a stage, says what came of it, and lists what was published."""

    def __init__(self, view: View, name: str) -> None:
        self._view = view
        self._name = name
        self._loaded = False
        self._may = False
        self._followed: str | None = None
        t = view.t
        plain("p", t("publish.about"), "wm-muted")
        with ui.element("div").classes("wm-bar"):
            self._channel = ui.select({}, label=t("publish.channel"))
            self._channel.style("min-width: 200px")
            stages = {"": t("publish.any_stage"), **{one: one for one in STAGES}}
            self._stage = ui.select(stages, value="", label=t("publish.stage"))
            self._stage.style("min-width: 140px")
            self._buttons = ui.element("div").classes("wm-beside")
            with self._buttons:
                ui.button(t("publish.try"), on_click=self._try).classes("wm-quiet")
                ui.button(t("publish.do"), on_click=self._publish)
        self._said = ui.element("div")
        self._list = ui.element("div").style("margin-top: 12px")

    async def load(self) -> None:
        """Load the channels and what was published, the first time the tab is shown."""
        if self._loaded:
            return
        self._loaded = True
        workspace = await self._view.workspace()
        run = await workspace.find_run(self._name)
        self._may = workspace.actor.may("operator", run.team_id)
        self._buttons.set_visibility(self._may)
        channels = [
            one
            for one in await publishing.list_channels(workspace)
            if one.team in (None, run.team_id)
        ]
        names = [one.name for one in channels]
        self._channel.set_options(names, value=names[0] if names else None)
        await self._listed()
        ui.timer(EVERY_SECONDS, self._look, immediate=False)

    def _options(self, *, dry: bool) -> PublishOptions:
        return PublishOptions((), self._stage.value or None, dry)

    async def _try(self) -> None:
        self._said.clear()
        made = await publishing.publish(
            await self._view.workspace(), self._name, self._channel.value or "",
            self._options(dry=True),
        )  # fmt: skip
        with self._said:
            for one in made:
                self._said_of(one)

    async def _publish(self) -> None:
        view = self._view
        question = view.t("publish.sure", run=self._name, channel=self._channel.value or "")
        if await view.confirm(question, view.t("publish.do")):
            begun = await publishing.begin(
                await view.workspace(), self._name, self._channel.value or "",
                self._options(dry=False),
            )  # fmt: skip
            self._followed = begun.publication
            await self._listed()

    async def _look(self) -> None:
        """Say how far the publication is that was begun here, or is at work; leaving is no harm."""
        name = self._followed
        if name is None:
            return
        one = await publishing.show_publication(await self._view.workspace(), name)
        self._said.clear()
        with self._said:
            self._said_of(one)
        if one.ended:
            self._followed = None
            await self._listed()

    def _said_of(self, one: PublicationShown) -> None:
        view, t = self._view, self._view.t
        text = {"dry-run": "publish.would", "done": "publish.done"}.get(one.state)
        if one.reason:
            plain("p", view.sentence(one.reason))
        elif text is None:
            judged = sum(one.rows.values()) + one.later
            plain("p", t("publish.working", count=judged, total=one.total or judged))
        else:
            plain("p", t(text, **one.rows))
        if one.left_out:
            plain("p", t("publish.left_out", count=sum(one.left_out.values())), "wm-muted")
        for note in one.notes:
            plain("p", view.sentence(note), "wm-muted")
        if one.refusals:
            heads = ("key", "place", "column", "why")
            rows = [
                (no.key, no.place or no.target or "", no.field, view.sentence(no.message))
                for no in one.refusals[:SHOWN]
            ]
            tables.table([t(f"publish.{head}") for head in heads], rows, label=t("publish.refused"))
            if one.publication is None:
                asked = {"channel": one.channel, "stage": one.stage,
                         "format": "xlsx"}  # fmt: skip
                _link(t("publish.all_refusals", count=one.refusal_count),
                      f"runs/{one.run}/refusals?{urlencode(asked)}")  # fmt: skip
            else:
                _link(t("publish.all_refusals", count=one.refusal_count),
                      f"publications/{one.publication}/refusals/export?format=xlsx")  # fmt: skip

    async def _listed(self) -> None:
        view, t = self._view, self._view.t
        page = await publishing.list_publications(await view.workspace(), run=self._name)
        at_work = (one.publication for one in page.rows if not one.ended)
        self._followed = self._followed or next(at_work, None)
        self._list.clear()
        heads = [t("publish.name"), t("publish.at"), t("publish.channel"), t("publish.stage"),
                 t("publish.state"), t("publish.by"), "#" + t("publish.new"),
                 "#" + t("publish.changed"), "#" + t("publish.refused"), ""]  # fmt: skip
        with self._list:
            tables.table(
                heads, [self._row(one) for one in page.rows], label=t("run.tab_publish"),
                empty=t("publish.none"),
            )  # fmt: skip

    def _row(self, one: PublicationShown) -> list[tables.Cell]:
        view, t = self._view, self._view.t
        at = datetime.fromtimestamp(one.created_at or 0).astimezone()
        name = name_of = one.publication or ""
        if one.rolls_back:
            name += " · " + t("publish.takes_back", name=one.rolls_back)

        def back() -> object:
            if one.state != "done" or not self._may:
                return plain("span", view.sentence(one.reason or ""), "wm-muted")
            with ui.element("div").classes("wm-beside") as cell:
                for file in one.files:
                    if file.sha256 is not None:
                        asked = urlencode({"target": file.target or ""})
                        _link(file.target or t("publish.file"),
                              f"publications/{name_of}/file?{asked}")  # fmt: skip
                tables.button(t("publish.back"), lambda: self._back(one))
            return cell

        return [
            name, at.strftime("%Y-%m-%d %H:%M"), one.channel, one.stage,
            lambda: tables.state(view, one.state), one.by, view.number(one.rows["new"]),
            view.number(one.rows["changed"]), view.number(one.refused), back,
        ]  # fmt: skip

    async def _back(self, one: PublicationShown) -> None:
        view, name = self._view, one.publication or ""
        question = view.t("publish.sure_back", name=name)
        if await view.confirm(question, view.t("publish.back"), danger=True):
            begun = await publishing.begin_rollback(await view.workspace(), name)
            self._followed = begun.publication
            await self._listed()


def _link(text: str, path: str) -> None:
    tables.link(text, f"/v1/{path}").props["download"] = True

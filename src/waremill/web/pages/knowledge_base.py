"""One knowledge base: how it is, its documents, searching it, and what is done to it."""

from __future__ import annotations

import asyncio

from nicegui import ui

from waremill.app import knowing
from waremill.app.knowing import BaseShown, DocumentShown
from waremill.errors import NotFound
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.knowledge_adding import AddDialog
from waremill.web.pages.knowledge_search import KnowledgeSearch
from waremill.web.pages.knowledge_state import EVERY_SECONDS, show_progress, state
from waremill.web.pages.paging import Pager
from waremill.web.pages.passages import PassageDrawer, bytes_of, load_knowledge, written
from waremill.web.pages.shell import View, console

SIZE = 50
TAGS = 3
"""Metadata of a document that its row shows."""


@console("/knowledge/{name}", "nav.knowledge")
async def base_page(
    view: View, name: str, q: str = "", passage: str = "", document: str = ""
) -> None:
    """Draw a knowledge base; `q` is searched, `passage` or `document` is opened beside it."""
    load_knowledge()
    base = await knowing.show_base(await view.workspace(), name)
    view.title(base.name)
    page = _BasePage(view, base)
    await page.draw(q)
    try:
        if passage:
            await page.drawer.passage(name, passage, q)
        elif document:
            await page.drawer.document(name, document)
    except NotFound as error:
        view.problem(error)


class _BasePage:
    def __init__(self, view: View, base: BaseShown) -> None:
        self.view = view
        self.base = base
        self.may = view.actor.may("operator", base.team)

    async def draw(self, query: str) -> None:
        """Draw what is done to the base, how it is, the search, and its documents."""
        view, t = self.view, self.view.t
        with view.frame.beside:
            self.state = ui.element("div").classes("wm-bar wm-bar-middle")
            plain("span", "", "wm-gap")
            if self.may:
                self._commands()
        self.now = ui.element("div").classes("wm-body").style("flex: none")
        self.drawer = PassageDrawer(view)
        self.search = KnowledgeSearch(view, self.base.name, self._open_passage)
        await self.search.draw_bar(query)
        with ui.tabs().props("align=left dense") as self.tabs:
            ui.tab("documents", label=t("knowledge.tab_documents"))
            ui.tab("passages", label=t("knowledge.tab_passages"))
        panels = ui.tab_panels(self.tabs, value="documents", animated=False).props("keep-alive")
        with panels:
            with ui.tab_panel("documents"):
                self.listed = ui.element("div").classes("kn-documents")
                self.pager = Pager(view)
                self.pager.on_turn(self._documents)
            with ui.tab_panel("passages"):
                self.search.draw_results()
        self.search.on_search(self._to_passages)
        self._now()
        await self._documents()
        if query:
            await self.search.run()
        ui.timer(EVERY_SECONDS / 2, self._look, immediate=False)

    def _to_passages(self) -> None:
        self.tabs.set_value("passages")

    def _commands(self) -> None:
        view, t = self.view, self.view.t
        adding = AddDialog(view, self.base.name, self.refresh)
        ui.button(t("knowledge.add"), on_click=adding.open)
        ui.button(t("knowledge.rebuild"), on_click=self._rebuild).classes("wm-quiet")
        ui.button(t("knowledge.remove"), on_click=self._remove).classes("wm-quiet")
        view.key("a", "knowledge.key_add", adding.open)

    # How it is.

    async def refresh(self) -> None:
        """Show the base as it is now."""
        self.base = await knowing.show_base(await self.view.workspace(), self.base.name)
        self._now()
        await self._documents()
        await self.search.offer()

    async def _look(self) -> None:
        if self.base.state != "changing":
            return
        try:
            now = await knowing.show_base(await self.view.workspace(), self.base.name)
        except NotFound:
            ui.navigate.to("/knowledge")
            return
        ended = now.state != "changing"
        self.base = now
        self._now()
        if ended:
            await self.refresh()

    def _now(self) -> None:
        view, t, base = self.view, self.view.t, self.base
        self.state.clear()
        with self.state:
            if base.state != "changing":
                state(view, base)
        repeats = t("knowledge.repeats", count=base.repeats) if base.repeats else ""
        waiting = t("knowledge.waiting", count=base.waiting) if base.waiting else ""
        with view.steady(self.now):
            if base.state == "changing":
                show_progress(view, base.progress)
                if base.progress is None:
                    plain("div", t("knowledge.hint_elsewhere"), "wm-muted")
            elif base.state != "ready":
                plain("div", t(f"knowledge.hint_{base.state}"), "wm-warn")
            tables.figures(
                [
                    (t("knowledge.documents"), view.number(base.documents), waiting),
                    (t("knowledge.passages"), view.number(base.passages), repeats),
                    (t("knowledge.tokens"), view.number(base.tokens), ""),
                    (t("knowledge.changed"), view.moment(base.changed_at), ""),
                    (t("knowledge.embedder"), base.embedder or "—", ""),
                ]
            )

    # Documents.

    async def _documents(self) -> None:
        view, t = self.view, self.view.t
        page = await knowing.list_documents(
            await view.workspace(), self.base.name, after=self.pager.cursor, size=SIZE
        )
        self.pager.show(page.next)
        headings = [
            t("knowledge.document"), t("knowledge.title"), "#" + t("knowledge.passages"),
            "#" + t("knowledge.size"), t("knowledge.metadata_column"),
            "!" + t("knowledge.changed"), "!",
        ]  # fmt: skip
        with view.steady(self.listed):
            tables.table(
                headings, [self._row(one) for one in page.rows], label=t("knowledge.documents"),
                empty=t("knowledge.no_documents"),
            )  # fmt: skip

    def _row(self, one: DocumentShown) -> list[tables.Cell]:
        view, t = self.view, self.view.t

        def commands() -> None:
            if self.may:
                button = tables.button(t("knowledge.remove"), lambda: self._remove_document(one))
                button.props["aria-label"] = f"{t('knowledge.remove')} {one.name}"

        def tags() -> None:
            with ui.element("div").classes("kn-tags"):
                for name, value in sorted(one.metadata.items())[:TAGS]:
                    said = t("shell.pair", name=name, value=written(value))
                    plain("span", said, "kn-tag").props["title"] = said
                if len(one.metadata) > TAGS:
                    plain("span", f"+{len(one.metadata) - TAGS}", "wm-muted")

        return [
            lambda: tables.button(one.name, lambda: self._open_document(one), "kn-open"),
            "" if one.title == one.name else one.title, view.number(one.passages),
            bytes_of(view, one.size), tags, view.moment(one.changed_at), commands,
        ]  # fmt: skip

    async def _open_document(self, one: DocumentShown) -> None:
        await self.drawer.document(self.base.name, one.name)

    async def _open_passage(self, passage: str) -> None:
        await self.drawer.passage(self.base.name, passage, self.search.query)

    # What is done to it.

    async def _remove_document(self, one: DocumentShown) -> None:
        view, t = self.view, self.view.t
        question = t("knowledge.remove_document_question", name=one.name)
        if not await view.confirm(question, t("knowledge.remove"), danger=True):
            return
        await knowing.remove_documents(await view.workspace(), self.base.name, [one.name])
        view.say(t("knowledge.removed", name=one.name))
        self.pager.first()
        await self.refresh()

    async def _rebuild(self) -> None:
        view, t, base = self.view, self.view.t, self.base
        key = "knowledge.rebuild_question"
        if base.state == "outdated":
            key += "_embedder"
        question = t(key, name=base.name, count=base.passages)
        if not await view.confirm(question, t("knowledge.rebuild")):
            return
        view.beside(self._follow())
        done = await knowing.rebuild(await view.workspace(), base.name)
        if self.listed.is_deleted or self.listed.client.is_deleted:
            return
        view.say(t("knowledge.rebuilt", count=done.passages))
        await self.refresh()

    async def _follow(self) -> None:
        """Look once more, so that the page sees that a change has begun."""
        await asyncio.sleep(EVERY_SECONDS / 4)
        self.base = await knowing.show_base(await self.view.workspace(), self.base.name)
        self._now()

    async def _remove(self) -> None:
        view, t, base = self.view, self.view.t, self.base
        question = t("knowledge.remove_question", name=base.name, count=base.documents)
        if not await view.confirm(question, t("knowledge.remove"), danger=True):
            return
        await knowing.remove_base(await view.workspace(), base.name)
        ui.navigate.to("/knowledge")


__all__ = ["base_page"]

"""Which attribute is missing how often, by category: bars, and a click selects what lacks it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import groupby

from nicegui import ui

from waremill.app.browsing import Browse
from waremill.app.browsing import Completeness as Line
from waremill.errors import UserError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View


class Completeness:
    """The tab *Completeness*; `pick` is handed a category and an attribute."""

    def __init__(
        self, view: View, catalog: str, pick: Callable[[str, str], Awaitable[None]]
    ) -> None:
        self._view = view
        self._catalog = catalog
        self._pick = pick
        self._shown: str | None = None
        self._box = ui.element("div")

    async def show(self, where: str) -> None:
        """Add up what a selection lacks, unless it stands here already."""
        if self._shown == where:
            return
        self._shown = where
        view = self._view
        self._box.clear()
        with self._box:
            ui.label(view.t("shell.loading")).classes("wm-muted")
        try:
            browse = Browse(await view.workspace())
            found = await browse.completeness(self._catalog, where or None)
        except UserError as error:
            view.problem(error, self._box)
            self._shown = None
            return
        self._box.clear()
        with self._box:
            if not found:
                ui.label(view.t("catalogue.none")).classes("wm-empty")
            for category, lines in groupby(found, key=lambda line: line.category):
                self._category(category, list(lines))

    def _category(self, category: str, lines: list[Line]) -> None:
        view, t = self._view, self._view.t
        total = max(line.total for line in lines)
        plain("h2", category or t("catalogue.no_schema"))
        words = t("catalogue.of_products", count=total)
        if not all(line.exact for line in lines):
            words += f" · {t('catalogue.sampled')}"
        plain("div", words, "wm-muted")
        lines.sort(key=lambda line: (-line.missing / max(line.total, 1), line.attribute))

        def row(line: Line) -> tuple[tables.Cell, ...]:
            share = line.missing / line.total if line.total else 0.0
            label = t("catalogue.missing_share", attribute=line.attribute, share=view.share(share))

            def attribute() -> None:
                tables.button(line.attribute, lambda: self._pick(category, line.attribute))

            marks = (("required", line.required), ("slot", line.slot))
            need = " · ".join(t(f"catalogue.{name}") for name, holds in marks if holds)
            return (
                attribute, need,
                lambda: tables.meter(share, label, over=line.required and share > 0),
                view.share(share), view.number(line.missing),
            )  # fmt: skip

        headings = (
            t("catalogue.attribute"), "!", t("catalogue.missing_bar"),
            "#" + t("catalogue.share"), "#" + t("catalogue.lacking"),
        )  # fmt: skip
        tables.table(
            headings, [row(line) for line in lines], label=category or t("nav.catalogue")
        ).classes("wm-lacking")

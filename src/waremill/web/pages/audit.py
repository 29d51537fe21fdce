"""The page *Audit log*: who changed what, newest first; nothing here can be changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from waremill.app import auditing
from waremill.app.auditing import AuditEntry
from waremill.errors import UserError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.paging import Pager
from waremill.web.pages.shell import View, console

SIZE = 50


@console("/audit", "nav.audit")
async def audit_page(view: View, by: str = "", action: str = "") -> None:
    """Draw a page of entries at a time, filtered by who and what."""
    t = view.t
    with ui.element("div").classes("wm-bar"):
        who = ui.input(t("audit.by"), value=by).props("clearable data-filter")
        what = ui.input(t("audit.action"), value=action).props("clearable")
        pager = Pager(view)
        plain("span", t("audit.append_only"), "wm-muted")
    box = ui.element("div")

    async def show() -> None:
        try:
            page = await auditing.entries(
                await view.workspace(), after=pager.cursor, size=SIZE,
                by=(who.value or "").strip() or None, action=(what.value or "").strip() or None,
            )  # fmt: skip
        except UserError as error:
            view.problem(error, box)
            return
        pager.show(page.next)
        with view.steady(box):
            _draw(view, page.rows)

    async def first() -> None:
        pager.first()
        await show()

    for one in (who, what):
        one.on("keydown.enter", first)
        one.on("clear", first)
    pager.on_turn(show)
    await show()


def _draw(view: View, rows: Sequence[AuditEntry]) -> None:
    t = view.t
    headings = (
        "!" + t("audit.at"), "!" + t("audit.by"), "!" + t("audit.action"), t("audit.subject"),
        t("audit.detail"), "!" + t("audit.address"),
    )  # fmt: skip

    def row(one: AuditEntry) -> Sequence[tables.Cell]:
        return (
            view.moment(one.at), one.by, view.word("action", one.action), one.subject,
            "; ".join(f"{name}: {_value(value)}" for name, value in one.detail.items()),
            one.address or "—",
        )  # fmt: skip

    tables.table(headings, [row(one) for one in rows], label=t("nav.audit"), empty=t("audit.none"))


def _value(value: Any) -> str:
    return tables.shown(value, 120) or "—"

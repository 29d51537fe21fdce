"""The page *Audit log*: who changed what, newest first; nothing here can be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from waremill.app import auditing
from waremill.app.auditing import AuditEntry
from waremill.errors import UserError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.paging import Pager
from waremill.web.pages.shell import View, console
from waremill.web.strings import all_texts

SIZE = 50


@console("/audit", "nav.audit")
async def audit_page(view: View, by: str = "", action: str = "") -> None:
    """Draw a page of entries at a time, filtered by who and what."""
    t = view.t
    with ui.element("div").classes("wm-bar"):
        who = ui.input(t("audit.by"), value=by).props("clearable data-filter")
        known = {one: view.word("action", one) for one in _actions()}
        actions = {"": t("audit.any_action")} | dict(sorted(known.items(), key=lambda one: one[1]))
        if action:
            actions.setdefault(action, action)
        what = ui.select(actions, value=action, with_input=True, label=t("audit.action"))
        pager = Pager(view)
        plain("span", t("audit.append_only"), "wm-muted")
    box = ui.element("div")

    async def show() -> None:
        try:
            page = await auditing.entries(
                await view.workspace(), after=pager.cursor, size=SIZE,
                by=(who.value or "").strip() or None, action=what.value or None,
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

    who.on("keydown.enter", first)
    who.on("clear", first)
    what.on_value_change(first)
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
            view.moment(one.at), one.by, view.word("action", one.action),
            view.sentence(one.subject), _detail(view, one.detail),
            one.address or "—",
        )  # fmt: skip

    tables.table(headings, [row(one) for one in rows], label=t("nav.audit"), empty=t("audit.none"))


def _detail(view: View, detail: Mapping[str, Any]) -> str:
    """Write the details that say something."""
    return view.t("audit.join").join(
        view.t("shell.pair", name=view.word("detail", name), value=_value(view, name, value))
        for name, value in detail.items()
        if value is not None and value not in ("", [], {})
    )


def _value(view: View, name: str, value: Any) -> str:
    areas = {"verdict": "mark", "role": "role", "before": "role", "reason": "reason"}
    return view.word(areas[name], value) if name in areas and isinstance(value, str) else (
        tables.shown(value, 120)
    )  # fmt: skip


def _actions() -> list[str]:
    """Give the actions that have words."""
    return [key.removeprefix("action.") for key in all_texts() if key.startswith("action.")]

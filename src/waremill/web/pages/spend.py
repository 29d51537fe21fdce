"""The page *Spend*: what was paid by month, model, run, user, target or team."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from waremill.app.spending import Spent, spending
from waremill.errors import UserError
from waremill.web.pages import charts, serving, tables
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View, console

WAYS = ("month", "model", "run", "user", "target", "team")
CHARTED = 24


@console("/spend", "nav.spend")
async def spend_page(view: View, by: str = "month", since: str = "", until: str = "") -> None:
    """Draw the sums of one way of adding up; the way and the days are in the address."""
    t = view.t
    with ui.element("div").classes("wm-bar"):
        names = {one: t(f"spend.by_{one}") for one in WAYS}
        way = ui.select(names, value=by if by in WAYS else "month", label=t("spend.by"))
        way.style("width: 160px")
        first = ui.input(t("spend.since"), value=since, placeholder="YYYY-MM-DD")
        first.props("type=date").style("width: 150px")
        last = ui.input(t("spend.until"), value=until, placeholder="YYYY-MM-DD")
        last.props("type=date").style("width: 150px")
        download = tables.link(t("spend.csv"), "/download/spend.csv", "wm-plain")
    place = ui.element("div").classes("wm-body")

    async def show() -> None:
        given = {"by": way.value, "since": first.value or None, "until": last.value or None}
        asked = {name: value for name, value in given.items() if value}
        download.props["href"] = "/download/spend.csv?" + urlencode(asked)
        ui.run_javascript(f"history.replaceState(null, '', '/spend?{urlencode(asked)}')")
        try:
            workspace = await view.workspace()
            found = await spending(workspace, **given)
        except UserError as error:
            view.problem(error, place)
            return
        place.clear()
        with place:
            _draw(view, str(way.value), found)

    for box in (way, first, last):
        box.on_value_change(show)
    await show()


def _draw(view: View, way: str, found: Sequence[Spent]) -> None:
    t = view.t
    if not found:
        ui.label(t("spend.none")).classes("wm-empty")
        return
    unpriced = sum(one.unpriced for one in found)
    lines = [
        (t("spend.paid"), view.money(sum(one.paid for one in found)), ""),
        (t("spend.list"), view.money(sum(one.list_cost for one in found)), t("spend.list_more")),
        (t("spend.calls"), view.number(sum(one.calls for one in found)),
         t("spend.failed_calls", count=sum(one.failed for one in found))),
        (t("spend.tokens"), view.number(sum(one.tokens_in + one.tokens_out for one in found)), ""),
    ]  # fmt: skip
    tables.figures(lines)
    if unpriced:
        plain("div", t("spend.unpriced", count=unpriced), "wm-warn")
    settings = serving.served().settings
    shown = list(found[:CHARTED])
    if way == "month":
        shown = list(found[-CHARTED:])
    values = [one.paid for one in shown]
    names = [_name(view, way, one) for one in shown]
    axis = t("run.cost_axis", currency=settings.currency)
    words = f"{t('spend.paid')}: " + ", ".join(
        f"{name} {view.money(one.paid)}" for name, one in zip(names[:6], shown, strict=False)
    )
    charts.chart(charts.bars(names, values, axis), words, 200)
    _table(view, way, found)


def _name(view: View, way: str, one: Spent) -> str:
    return one.name or view.t("run.no_target" if way == "target" else "spend.nobody")


def _table(view: View, way: str, found: Sequence[Spent]) -> None:
    t = view.t
    most = max((one.paid for one in found), default=0)

    def row(one: Spent) -> Sequence[tables.Cell]:
        name: Any = _name(view, way, one)
        linked = partial(tables.link, name, f"/runs/{name}")
        cell: tables.Cell = linked if way == "run" else name
        share = one.paid / most if most else 0.0
        return (
            cell, lambda: tables.meter(share, view.money(one.paid)), view.money(one.paid),
            view.money(one.list_cost), f"{one.calls:,}", f"{one.failed:,}", f"{one.tokens_in:,}",
            f"{one.tokens_out:,}", f"{one.unpriced:,}" if one.unpriced else "—",
        )  # fmt: skip

    first = t(f"spend.by_{way}")
    headings = (
        first[:1].upper() + first[1:], "", "#" + t("spend.paid"), "#" + t("spend.list"),
        "#" + t("spend.calls"), "#" + t("spend.failed"), "#" + t("run.tokens_in"),
        "#" + t("run.tokens_out"), "#" + t("spend.no_price"),
    )  # fmt: skip
    tables.table(headings, [row(one) for one in found], label=t("nav.spend"))

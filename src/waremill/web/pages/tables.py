"""Plain HTML tables and lists: a cell is text, always shown as text, or a function that draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

from waremill.web.pages.frame import plain

if TYPE_CHECKING:
    from waremill.web.pages.shell import View

Cell = str | Callable[[], object]
LONGEST = 300
"""Characters of a value shown in a cell."""


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, label: str, empty: str = ""
) -> Element:
    """Draw a table; a heading with `#` before it stands over numbers, with `!` over short text."""
    rows = list(rows)
    with ui.element("div").classes("wm-table-box") as box:
        if not rows and empty:
            ui.label(empty).classes("wm-empty").style("padding: 12px")
            return box
        with ui.element("table").classes("wm-table") as drawn:
            drawn.props["aria-label"] = label
            with ui.element("thead"), ui.element("tr"):
                for heading in headings:
                    head = plain("th", _words(heading), _class(heading))
                    head.props["scope"] = "col"
            with ui.element("tbody"):
                for row in rows:
                    with ui.element("tr"):
                        for heading, cell in zip(headings, row, strict=True):
                            _draw(cell, _class(heading))
    return box


def _words(heading: str) -> str:
    return heading[1:] if heading[:1] in ("#", "!") else heading


def _class(heading: str) -> str:
    return "wm-number" if heading.startswith("#") else "wm-tight" if heading[:1] == "!" else ""


def _draw(cell: Cell, classes: str) -> None:
    if isinstance(cell, str):
        plain("td", cell, classes)
        return
    with ui.element("td").classes(classes):
        cell()


def link(text: str, path: str, classes: str = "") -> Element:
    """Draw a link to another page."""
    drawn = plain("a", text, classes)
    drawn.props["href"] = path
    return drawn


def button(text: str, work: Callable[[], Any], classes: str = "wm-text-button") -> Element:
    """Draw a button that looks like text, for tables and lists."""
    drawn = plain("button", text, classes)
    drawn.props["type"] = "button"
    drawn.on("click", work)
    return drawn


def state(view: View, name: str) -> Element:
    """Draw a state as a word with its mark."""
    return plain("span", view.word("state", name), f"wm-state wm-state-{name}")


def meter(share: float, label: str, *, over: bool = False) -> Element:
    """Draw a bar for a share of 0 to 1, with the words for who does not see it."""
    with ui.element("div").classes("wm-meter") as drawn:
        drawn.props["role"] = "img"
        drawn.props["aria-label"] = label
        width = max(0.0, min(share, 1.0)) * 100
        ui.element("div").style(f"width: {width:.1f}%")
    if over:
        drawn.classes("wm-over")
    return drawn


def figures(lines: Iterable[tuple[str, str, str]]) -> Element:
    """Draw figures in a row: a name, the figure, and what more there is to say of it."""
    with ui.element("div").classes("wm-figures") as drawn:
        for name, value, more in lines:
            with ui.element("div").classes("wm-figure"):
                plain("div", name, "wm-figure-name")
                plain("div", value, "wm-figure-value")
                if more:
                    plain("div", more, "wm-figure-more")
    return drawn


def pairs(lines: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Element:
    """Draw names with their values, such as a product's attributes."""
    items = lines.items() if isinstance(lines, Mapping) else lines
    with ui.element("dl").classes("wm-pairs") as drawn:
        for name, value in items:
            plain("dt", name)
            plain("dd", shown(value, None))
    return drawn


def shown(value: Any, longest: int | None = LONGEST) -> str:
    """Write an attribute's or a field's value as text; lists with a line each."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, (list, tuple)):
        text = "\n".join(shown(one, None) for one in value)
    elif isinstance(value, Mapping):
        text = "\n".join(f"{name}: {shown(one, None)}" for name, one in value.items())
    elif isinstance(value, float):
        text = f"{value:.10g}"
    else:
        text = str(value)
    if longest is not None and len(text) > longest:
        return text[: longest - 1] + "…"
    return text

"""Which items a review is about: the filter bar, its words, and its place in the address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element

from waremill.app.browsing import Browse
from waremill.app.reviewing import WAITING, ItemFilters
from waremill.errors import UserError
from waremill.web.pages.shell import View
from waremill.web.strings import all_texts

STATES = ("review", "ready", "accepted", "edited", "rejected")
LOOKED_THROUGH = 200
"""Items whose findings are offered to filter by; others can be typed."""
NAMES = ("states", "target", "rule", "field", "text", "where")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items are meant; what is None or empty picks all, no states those that wait."""

    states: tuple[str, ...] = ()
    target: str | None = None
    rule: str | None = None
    field: str | None = None
    text: str | None = None
    where: str | None = None

    @property
    def asked(self) -> ItemFilters:
        """The filters as the use cases take them."""
        return {
            "states": self.states, "target": self.target, "rule": self.rule, "field": self.field,
            "text": self.text, "where": self.where,
        }  # fmt: skip

    @property
    def listed(self) -> ItemFilters:
        """The same filters as a listing takes them, where no states means all of them."""
        return {**self.asked, "states": self.states or WAITING}

    @property
    def query(self) -> dict[str, str]:
        """The filters as the parts of an address, without what is not filtered by."""
        parts = {"states": ",".join(self.states)}
        parts |= {name: getattr(self, name) or "" for name in NAMES[1:]}
        return {name: text for name, text in parts.items() if text}


def read_filters(query: Mapping[str, str]) -> Wanted:
    """Read filters from an address."""
    states = tuple(one for one in query.get("states", "").split(",") if one in STATES)
    return Wanted(states, *((query.get(name) or "").strip() or None for name in NAMES[1:]))


def in_words(view: View, filters: Wanted) -> str:
    """Say what is filtered by, for a person who is to confirm it."""
    said = []
    if filters.states:
        names = ", ".join(view.word("state", one) for one in filters.states)
        said.append(view.t("review.filter_states", what=names))
    for name in NAMES[1:]:
        if value := getattr(filters, name):
            value = view.rule(value) if name == "rule" else value
            said.append(view.t(f"review.filter_{name}", what=value))
    return "; ".join(said) or view.t("review.no_filter")


def rule_choices(view: View, *more: str | None) -> dict[str, str]:
    """Give the checks to filter by with their names, and those that turned up besides."""
    known = [key.removeprefix("rule.") for key in all_texts() if key.startswith("rule.")]
    return {rule: view.rule(rule) for rule in dict.fromkeys((*known, *more)) if rule}


class FilterBar:
    """The inputs; `on_change` is called with other filters than before."""

    def __init__(
        self,
        view: View,
        run: str,
        targets: list[str],
        filters: Wanted,
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self.view = view
        self.run = run
        self.filters = filters
        self._changed = on_change
        self._settling = False
        t = view.t
        with ui.element("div").classes("wm-bar rv-filter") as self.box:
            self._states = ui.select(
                {one: view.word("state", one) for one in STATES}, multiple=True,
                value=list(filters.states), label=t("review.states_waiting"),
            ).props("clearable").style("width: 160px")  # fmt: skip
            self._target = self._choice("review.target", targets, filters.target, 150)
            self._rule = ui.select(
                rule_choices(view, filters.rule), value=filters.rule, with_input=True,
                label=t("review.rule"), clearable=True,
            ).style("width: 160px")  # fmt: skip
            self._field = self._choice("review.about", [], filters.field, 130)
            self._text = ui.input(t("review.text"), value=filters.text or "").props("clearable")
            self._text.style("width: 120px")
            self._where = ui.input(
                t("review.where"), value=filters.where or "", placeholder=t("review.where_example")
            )
            self._where.props("clearable data-filter").classes("wm-grow wm-mono")
            self._where.tooltip(t("review.where_about"))
            ui.button(t("review.clear"), on_click=self.clear).classes("wm-quiet")
        for choice in (self._states, self._target, self._rule, self._field):
            choice.on_value_change(self._read)
        for box in (self._text, self._where):
            for event in ("keydown.enter", "blur", "clear"):
                box.on(event, self._read)

    def _choice(self, label: str, known: list[str], value: str | None, width: int) -> ui.select:
        options = list(dict.fromkeys([*known, *([value] if value else [])]))
        choice = ui.select(
            options, value=value, label=self.view.t(label), with_input=True,
            new_value_mode="add-unique",
        )  # fmt: skip
        choice.props("clearable").style(f"width: {width}px")
        return choice

    async def offer(self) -> None:
        """Offer the findings and fields that stand in the first items to choose from."""
        browse = Browse(await self.view.workspace())
        try:
            page = await browse.items(self.run, states=WAITING, size=LOOKED_THROUGH)
        except UserError:  # the page itself says it
            return
        rules, fields = set[str](), set[str]()
        for row in page.rows:
            rules |= {str(one.get("rule")) for one in row.found}
            fields |= {*row.values, *(str(one["field"]) for one in row.found if one.get("field"))}
        if self._rule.is_deleted:
            return
        rule, field = self._rule.value, self._field.value
        self._rule.set_options(rule_choices(self.view, rule, *rules), value=rule)
        chosen = {field} if field else set()
        self._field.set_options(sorted(fields | chosen), value=field)

    async def clear(self) -> None:
        """Take every filter away."""
        self._settling = True
        self._states.set_value([])
        for box in (self._target, self._rule, self._field):
            box.set_value(None)
        self._text.set_value("")
        self._where.set_value("")
        self._settling = False
        await self._read()

    async def _read(self) -> None:
        """Read the inputs; where they say something else than before, tell the page."""
        if self._settling:
            return
        new = Wanted(
            tuple(self._states.value or ()), self._target.value or None, self._rule.value or None,
            self._field.value or None, (self._text.value or "").strip() or None,
            (self._where.value or "").strip() or None,
        )  # fmt: skip
        if new == self.filters:
            return
        self.filters = new
        await self._changed()

    def show(self, on: bool) -> None:
        """Show the inputs or hide them."""
        self.box.set_visibility(on)

    @property
    def element(self) -> Element:
        """The bar itself."""
        return self.box


def address(run: str, mode: str, filters: Wanted, **more: str) -> str:
    """Give the address of a way to review with its filters."""
    query = {"mode": mode} if mode != "focus" else {}
    query |= filters.query | more
    return f"/review/{run}" + (f"?{urlencode(query)}" if query else "")

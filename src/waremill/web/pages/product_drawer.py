"""One product beside the list: its attributes, its copy as it is live, and what changed."""

from __future__ import annotations

from urllib.parse import urlencode

from nicegui import ui

from waremill.app.browsing import Browse, Slot
from waremill.app.history import Change, changes
from waremill.app.picture_cards import picture_fields, pictures_of
from waremill.domain import Product, is_missing
from waremill.errors import UserError
from waremill.web.pages import tables
from waremill.web.pages.frame import plain
from waremill.web.pages.pictures import item_pictures, product_pictures, without_pictures
from waremill.web.pages.shell import View

CHANGES = 12


class ProductDrawer:
    """A drawer at the right; Escape closes it."""

    def __init__(self, view: View, catalog: str) -> None:
        self._view = view
        self._catalog = catalog
        self._box = ui.element("aside").classes("wm-drawer")
        self._box.set_visibility(False)
        self._shown = ""
        view.key("Escape", "catalogue.key_close", self.close)

    def close(self) -> None:
        """Close the drawer."""
        self._box.set_visibility(False)

    async def open(self, key: str) -> None:
        """Show a product."""
        view = self._view
        workspace = await view.workspace()
        browse = Browse(workspace)
        product = await browse.product(self._catalog, key)
        self._box.clear()
        self._shown = key
        self._box.props["aria-label"] = key
        with self._box:
            self._head(product)
            product_pictures(view, self._catalog, key, product.attributes)
            slots = ui.element("div")
            plain("h2", view.t("catalogue.attributes"))
            tables.pairs(product.attributes)
            copy = ui.element("div")
        self._box.set_visibility(True)
        ui.run_javascript(f"document.querySelector('#c{self._box.id} .wm-close')?.focus()")
        try:
            (pictured,) = await browse.with_slots([product])
            found = await changes(workspace, self._catalog, key)
        except UserError as error:
            view.problem(error, copy)
            return
        with slots:
            self._slots(pictured.slots)
        with copy:
            self._copy(found)
            self._changes(found)

    def _head(self, product: Product) -> None:
        t = self._view.t
        with ui.element("div").classes("wm-drawer-head"):
            plain("h2", product.key).style("margin: 0; flex: 1; overflow-wrap: anywhere")
            query = urlencode({"catalog": self._catalog, "key": product.key})
            tables.link(t("nav.history"), f"/history?{query}", "wm-plain")
            close = plain("button", "×", "wm-close")
            close.props["type"] = "button"
            close.props["aria-label"] = t("shell.close")
            close.on("click", self.close)
        if product.group:
            plain("div", t("catalogue.in_group", group=product.group), "wm-muted")

    def _slots(self, slots: tuple[Slot, ...]) -> None:
        """Draw the image set: each slot in its order, and for whom something stands in it."""
        t = self._view.t
        if not slots:
            return
        plain("h2", t("catalogue.image_set"))
        rows: list[tuple[tables.Cell, ...]] = []
        for slot in slots:
            own, every = t("catalogue.own_picture"), t("history.every_target")
            filled = [(one.target or every) if one.made else own for one in slot.references]
            need = t("catalogue.required") if slot.required else ""
            rows.append((slot.name, need, ", ".join(filled) or t("catalogue.missing")))
        headings = ("!" + t("catalogue.slot_column"), "!", t("catalogue.in_slot"))
        tables.table(headings, rows, label=t("catalogue.image_set"))

    def _copy(self, found: tuple[Change, ...]) -> None:
        """Draw what is live: the newest value of each field, by target."""
        t = self._view.t
        plain("h2", t("catalogue.copy"))
        live: dict[str, dict[str, Change]] = {}
        for one in reversed(found):
            live.setdefault(one.target, {})[one.field] = one
        filled = {
            target: {name: one for name, one in fields.items() if not is_missing(one.new)}
            for target, fields in live.items()
        }
        if not any(filled.values()):
            ui.label(t("catalogue.no_copy")).classes("wm-muted")
        for target, fields in filled.items():
            if fields:
                plain("h3", target or t("history.every_target"))
                self._live(fields)

    def _live(self, fields: dict[str, Change]) -> None:
        values = {name: one.new for name, one in fields.items()}
        for name, pictures in picture_fields(values).items():
            one = fields[name]
            with ui.element("div").classes("px-named"):
                plain("span", name, "px-caption")
                item_pictures(self._view, one.run, one.item_id, self._shown, pictures)
        if texts := without_pictures(values):
            tables.pairs(texts)

    def _changes(self, found: tuple[Change, ...]) -> None:
        view, t = self._view, self._view.t
        if not found:
            return
        plain("h2", t("catalogue.changes"))
        newest = found[:CHANGES]
        rows: list[tuple[tables.Cell, ...]] = [
            (view.moment(one.at), one.target or "—", one.field, one.by or one.model or "—",
             t("pictures.column") if pictures_of(one.new) else tables.shown(one.new, 80))
            for one in newest
        ]  # fmt: skip
        headings = (
            "!" + t("audit.at"), "!" + t("run.target"), "!" + t("history.field"),
            "!" + t("audit.by"), t("history.new"),
        )  # fmt: skip
        tables.table(headings, rows, label=t("catalogue.changes"))

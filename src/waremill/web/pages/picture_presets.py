"""The dialog that makes a pipeline for pictures out of a few choices, without writing any YAML."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from waremill.app.browsing import Browse
from waremill.app.picture_offers import BACKDROPS, Offer, offered, photo_columns
from waremill.app.picture_plans import PicturePlan, draft_pipeline
from waremill.errors import ConfigError, UserError
from waremill.web.pages import dialogs
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View

LOOKED_AT = 50
"""Products in which columns with pictures are looked for."""
NO_PRESET = ""
SHADOWS = ("none", "contact", "cast")
GROUNDS = ("colour", "file", "column", "scene")
"""What may lie behind a product: a colour, a picture of the workspace, one that each product names
in an attribute, one that a model makes.
"""


async def plan_pictures(view: View, catalog: str | None) -> str | None:
    """Ask what is to be done with a catalogue's pictures, and save it as a pipeline's draft.

    Gives the pipeline's name where runs may use it by now; None where it was called off, or waits
    for a second person, which the page then says.
    """
    workspace = await view.workspace()
    workspace.actor.need_somewhere("operator", view.t("pictures.plan"))
    offer = await asyncio.to_thread(offered, (await workspace.seen()).settings)
    columns = list(await workspace.columns(catalog) or ())
    try:
        page = await Browse(workspace).products(catalog, size=LOOKED_AT)
        photos = photo_columns(columns, page.rows)
    except UserError:  # no catalogue yet: the column can be typed
        photos = []
    made: list[tuple[str, bool]] = []

    def draw() -> dialogs.Save:
        form = _Form(view, offer, columns, photos)

        async def save() -> None:
            plan = form.plan()
            _, usable = await draft_pipeline(await view.workspace(), plan)
            made.append((plan.name, usable))

        return save

    title = view.t("pictures.plan_title")
    if not await dialogs.ask(view, title, view.t("pictures.plan_save"), draw) or not made:
        return None
    name, usable = made[-1]
    view.say(view.t("pictures.plan_ready" if usable else "pictures.plan_waits", name=name))
    return name if usable else None


class _Form:
    """The inputs, from the photo to the file."""

    def __init__(self, view: View, offer: Offer, columns: list[str], photos: list[str]) -> None:
        t = view.t
        self._view = view
        self._offer = offer
        known = list(dict.fromkeys((*photos, *columns)))
        plain("div", t("pictures.plan_about"), "wm-muted").style("max-width: 460px")
        self._photo = ui.select(
            known, value=photos[0] if photos else None, label=t("pictures.plan_photo"),
            with_input=True, new_value_mode="add-unique",
        )  # fmt: skip
        self._preset = ui.select(
            {NO_PRESET: t("pictures.plan_no_preset")}
            | {name: f"{name} · {about}" for name, about in offer.presets.items()},
            value=NO_PRESET, label=t("pictures.plan_preset"), with_input=True,
        )  # fmt: skip
        self._size = ui.number(t("pictures.plan_size"), value=1600, min=100, max=8000, format="%d")
        self._cut = ui.checkbox(t("pictures.plan_cut"), value="cutout" in offer.operations)
        self._ground = _Ground(view, offer, known)
        self._enlarge = ui.checkbox(t("pictures.plan_enlarge"), value=False)
        self._check = ui.checkbox(t("pictures.plan_check"), value=bool(offer.checks))
        self._shadow = ui.select(
            {one: t(f"pictures.shadow_{one}") for one in SHADOWS}, value="none",
            label=t("pictures.plan_shadow"),
        )  # fmt: skip
        self._name = ui.input(t("pictures.plan_name"), value="photos")
        for box, name in ((self._cut, "cutout"), (self._enlarge, "upscale")):
            box.set_enabled(name in offer.operations)
        self._check.set_enabled(bool(offer.checks))
        self._preset.on_value_change(self._chosen)
        self._cut.on_value_change(self._shown)
        self._ground.kind.on_value_change(self._stands)
        self._shown()

    def _chosen(self, event: Any) -> None:
        """A preset says the size itself, mostly the background too, and names the pipeline."""
        named = self._name.value in ("", "photos") or self._name.value in self._preset.options
        if named:
            self._name.set_value(event.value or "photos")
        self._shown()

    def _stands(self, event: Any) -> None:
        """What is put into a picture without a shadow seems to float."""
        if event.value != "colour" and self._shadow.value == "none":
            self._shadow.set_value("contact")
        self._shown()

    def _shown(self) -> None:
        """Show the inputs that count."""
        preset, cut = self._preset.value, bool(self._cut.value)
        self._size.set_visibility(not preset)
        self._shadow.set_visibility(cut)
        self._ground.show(free=preset not in self._offer.plain, cut=cut)

    def plan(self) -> PicturePlan:
        """Give what was chosen; raises ConfigError where something is missing."""
        t = self._view.t
        if not self._photo.value:
            raise ConfigError(t("pictures.plan_need_photo"))
        if not (self._name.value or "").strip():
            raise ConfigError(t("pictures.plan_need_name"))
        return PicturePlan(
            name=self._name.value.strip(), photo=str(self._photo.value),
            cut_out=bool(self._cut.value), preset=self._preset.value or None,
            size=int(self._size.value or 1600), shadow=self._shadow.value,
            enlarge=bool(self._enlarge.value), check=bool(self._check.value),
            **self._ground.chosen(),
        )  # fmt: skip


class _Ground:
    """What lies behind the product: its kind, and for each kind the choice."""

    def __init__(self, view: View, offer: Offer, columns: list[str]) -> None:
        t = view.t
        self._view = view
        self._free = self._cut = True
        self.kind = ui.select(
            {one: t(f"pictures.ground_{one}") for one in GROUNDS}, value="colour",
            label=t("pictures.plan_ground"),
        )  # fmt: skip
        self._colour = ui.input(t("pictures.plan_colour"), value="#ffffff")
        self._file = _choice(
            {one: one.removeprefix(f"{BACKDROPS}/") for one in offer.backdrops},
            t("pictures.plan_file"),
        )
        self._column = _choice(
            {one: one for one in columns}, t("pictures.plan_column"), first=False
        )
        self._scene = _choice(
            {one: f"{one} · {about}" if about else one for one, about in offer.scenes.items()},
            t("pictures.plan_scene"),
        )
        self._painter = _choice(
            {one: f"{one} · {use}" for one, use in offer.painters.items()},
            t("pictures.plan_painter"),
        )
        self._no_file = plain("div", t("pictures.no_backdrop", folder=f"{BACKDROPS}/"), "wm-note")
        self._no_scene = plain("div", t("pictures.no_scene"), "wm-note")
        self._no_painter = plain("div", t("pictures.no_painter"), "wm-note")

    def show(self, *, free: bool, cut: bool) -> None:
        """Show the inputs that count; `free` says that no preset demands a plain background."""
        self._free, self._cut = free, cut
        kind = self._kind()
        self.kind.set_visibility(free and cut)
        self._colour.set_visibility(kind == "colour" and free)
        for name, inputs, hints in (
            ("file", [self._file], [self._no_file]),
            ("column", [self._column], []),
            ("scene", [self._scene, self._painter], [self._no_scene, self._no_painter]),
        ):
            for one in inputs:
                one.set_visibility(kind == name and bool(one.options))
            for one, hint in zip(inputs, hints, strict=False):
                hint.set_visibility(kind == name and not one.options)

    def _kind(self) -> str:
        return str(self.kind.value) if self._free and self._cut else "colour"

    def chosen(self) -> dict[str, Any]:
        """Give what a plan says of the background; raises ConfigError where a choice is missing."""
        t, kind = self._view.t, self._kind()
        if kind == "colour":
            return {"colour": (self._colour.value or "#ffffff").strip()}
        if kind == "scene":
            if not self._scene.value or not self._painter.value:
                raise ConfigError(t("pictures.plan_need_scene"))
            return {"scene": str(self._scene.value), "painter": str(self._painter.value)}
        backdrop = self._file.value if kind == "file" else self._column.value
        if not backdrop:
            raise ConfigError(t("pictures.plan_need_backdrop"))
        return {"backdrop": str(backdrop)}


def _choice(options: dict[str, str], label: str, *, first: bool = True) -> ui.select:
    """Draw a list to choose from, with its first entry chosen."""
    value = next(iter(options), None) if first else None
    return ui.select(options, value=value, label=label, with_input=True)

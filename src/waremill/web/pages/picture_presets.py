"""The dialog that makes a pipeline for pictures out of a few choices, without writing any YAML."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from waremill.app.browsing import Browse
from waremill.app.picture_plans import Offer, PicturePlan, draft_pipeline, offered, photo_columns
from waremill.errors import ConfigError, UserError
from waremill.web.pages import dialogs
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View

LOOKED_AT = 50
"""Products in which columns with pictures are looked for."""
NO_PRESET = ""
SHADOWS = ("none", "contact", "cast")


async def plan_pictures(view: View, catalog: str | None) -> str | None:
    """Ask what is to be done with a catalogue's pictures, and save it as a pipeline's draft.

    Gives the pipeline's name where runs may use it by now; None where it was called off, or waits
    for a second person, which the page then says.
    """
    workspace = await view.workspace()
    workspace.actor.need_somewhere("operator", view.t("pictures.plan"))
    offer = await asyncio.to_thread(offered)
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
        with ui.element("div").classes("nr-row") as self._own:
            self._size = ui.number(
                t("pictures.plan_size"), value=1600, min=100, max=8000, format="%d"
            )
            self._colour = ui.input(t("pictures.plan_colour"), value="#ffffff")
        self._cut = ui.checkbox(t("pictures.plan_cut"), value="cutout" in offer.operations)
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
        self._cut.on_value_change(lambda event: self._shadow.set_visibility(bool(event.value)))

    def _chosen(self, event: Any) -> None:
        """A marketplace says size and background itself, and names the pipeline."""
        named = self._name.value in ("", "photos") or self._name.value in self._preset.options
        self._own.set_visibility(not event.value)
        if named:
            self._name.set_value(event.value or "photos")

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
            colour=(self._colour.value or "#ffffff").strip(), size=int(self._size.value or 1600),
            shadow=self._shadow.value, enlarge=bool(self._enlarge.value),
            check=bool(self._check.value),
        )  # fmt: skip

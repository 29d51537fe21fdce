"""A stage: one picture large, beside or over what it was made from, to be looked at closely.

Zoom, the line between before and after, the heat-map and the choice among variants are the
browser's (`pictures.js`); a stage says what there is and in which words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nicegui import ui
from nicegui.element import Element

from waremill.app.picture_cards import Before, Origin, Shot
from waremill.domain import Asset
from waremill.web.pages.frame import plain
from waremill.web.pages.pictures import LARGE, SMALL, image
from waremill.web.pages.shell import View

Address = Callable[[Before, int | None], str]
"""Gives where the browser gets a picture, in a width or whole."""
KEYS = (
    ("x", "pictures.key_compare"), ("z", "pictures.key_whole"), ("+", "pictures.key_in"),
    ("-", "pictures.key_out"), ("0", "pictures.key_fit"), ("h", "pictures.key_heat"),
)  # fmt: skip
"""What can be done with a picture in sight by key; the browser does it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture to be put on a stage.

    `before` is what it is compared with, and `said` how that is called. `choosing` says that a
    variant may be taken in its place.
    """

    title: str
    shot: Shot
    before: Before | None
    said: str
    choosing: bool = False


def scene_of(view: View, shot: Shot, *, live: bool = False, choosing: bool = False) -> Scene:
    """Say what a picture is compared with: its source, or with `live` what is live now."""
    if live and shot.live is not None:
        return Scene(shot.name, shot, shot.live, view.t("pictures.live"), choosing)
    said = view.t("pictures.before")
    if isinstance(shot.before, Origin):
        said = view.t("pictures.before_of", column=shot.before.column)
    return Scene(shot.name, shot, shot.before, said, choosing)


def bind_keys(view: View) -> None:
    """List the keys of pictures under `?`."""
    for key, label in KEYS:
        view.key(key, label, lambda: None)


def draw_stage(view: View, scene: Scene, address: Address, *, hidden: bool = False) -> Element:
    """Draw a stage; a hidden one loads nothing until it is shown."""
    shot = scene.shot
    with ui.element("figure").classes("px-stage") as stage:
        stage.props["data-shot"] = str(shot.number)
        stage.props["aria-label"] = scene.title
        if hidden:
            stage.props["hidden"] = True
        _bar(view, scene, address)
        _view(view, scene, address)
        if len(shot.pictures) > 1:
            _choices(view, scene, shot.pictures, address, choosing=False)
        elif len(shot.variants) > 1:
            _choices(view, scene, shot.variants, address, choosing=scene.choosing)
    return stage


def _bar(view: View, scene: Scene, address: Address) -> None:
    t = view.t
    with ui.element("figcaption").classes("px-bar"):
        plain("b", scene.title, "px-title")
        if scene.before is not None:
            with ui.element("span").classes("px-modes").props("role=group") as group:
                group.props["aria-label"] = t("pictures.compare")
                for mode in ("slide", "beside", "made"):
                    button = _button(t(f"pictures.mode_{mode}"), "data-mode", mode)
                    button.props["aria-pressed"] = "false"
                plain("kbd", "x").props("aria-hidden=true")
        if scene.shot.heat_map is not None:
            button = _button(t("pictures.heat"), "data-heat", "1")
            button.props["aria-pressed"] = "false"
            with button:
                plain("kbd", "h").props("aria-hidden=true")
            _strength(view)
        plain("span", "", "wm-gap")
        with ui.element("span").classes("px-zoom").props("role=group") as group:
            group.props["aria-label"] = t("pictures.zoom")
            _button("−", "data-zoom", "out").props["aria-label"] = t("pictures.key_out")
            plain("span", "1.0×", "px-times").props["data-times"] = "1"
            _button("+", "data-zoom", "in").props["aria-label"] = t("pictures.key_in")
            whole = _button("1:1", "data-zoom", "whole")
            whole.props["aria-label"] = t("pictures.key_whole")
            whole.props["title"] = t("pictures.key_whole")
            plain("kbd", "z").props("aria-hidden=true")
        link = plain("a", "↓", "px-open")
        link.props["aria-label"] = link.props["title"] = t("pictures.save")
        link.props["href"] = f"{address(scene.shot.pictures[0], None)}?download=true"
        link.props["download"] = True


def _strength(view: View) -> None:
    """Draw what says how strongly the heat-map covers the picture; seen while that is shown."""
    slider = ui.element("input").classes("px-strength")
    slider.props["type"] = "range"
    for name, value in (("min", "10"), ("max", "100"), ("step", "5"), ("value", "100")):
        slider.props[name] = value
    slider.props["aria-label"] = slider.props["title"] = view.t("pictures.heat_strength")


def _button(text: str, name: str, value: str) -> Element:
    button = plain("button", text, "px-button")
    button.props["type"] = "button"
    button.props[name] = value
    return button


def _view(view: View, scene: Scene, address: Address) -> None:
    t, shot = view.t, scene.shot
    with ui.element("div").classes("px-view").props("tabindex=0 role=group") as box:
        box.props["aria-label"] = t("pictures.about_view", name=scene.title)
        box.props["data-mode"] = "made" if scene.before is None else ""
        box.props["data-same-frame"] = "1" if shot.same_frame else ""
        with ui.element("div").classes("px-pane px-made"):
            with ui.element("div").classes("px-hold"):
                _large(address, shot.pictures[0], t("pictures.made_of", name=scene.title))
                if shot.heat_map is not None:
                    heat = _large(address, shot.heat_map, t("pictures.heat_of", name=scene.title))
                    heat.classes("px-heat")
            plain("span", t("pictures.made"), "px-tag px-tag-made")
            if shot.heat_map is not None:
                plain("span", t("pictures.heat"), "px-tag px-tag-heat")
        if scene.before is None:
            return
        with ui.element("div").classes("px-pane px-before"):
            with ui.element("div").classes("px-hold"):
                _large(address, scene.before, scene.said)
            plain("span", scene.said, "px-tag px-tag-before")
        with ui.element("div").classes("px-line").props("role=slider tabindex=0") as line:
            line.props["aria-label"] = t("pictures.line")
            line.props["aria-valuemin"] = "0"
            line.props["aria-valuemax"] = "100"
            line.props["aria-valuenow"] = "50"
            plain("span", "", "px-knob").props("aria-hidden=true")


def _large(address: Address, picture: Before, says: str) -> Element:
    drawn = ui.element("img").classes("px-large")
    drawn.props["src"] = address(picture, LARGE)
    drawn.props["alt"] = says
    drawn.props["loading"] = "lazy"
    drawn.props["decoding"] = "async"
    drawn.props["draggable"] = "false"
    drawn.props["data-whole"] = address(picture, None)
    return drawn


def _choices(
    view: View, scene: Scene, pictures: Sequence[Asset], address: Address, *, choosing: bool
) -> None:
    """Draw small pictures to look at one after the other, each with the key that shows it."""
    t = view.t
    with ui.element("div").classes("px-choices").props("role=group") as row:
        row.props["aria-label"] = t("pictures.choices" if choosing else "pictures.several")
        if choosing:
            row.props["data-choosing"] = "1"
        for number, one in enumerate(pictures, 1):
            button = ui.element("button").classes("px-choice")
            button.props["type"] = "button"
            button.props["data-choice"] = str(number)
            button.props["data-large"] = address(one, LARGE)
            button.props["data-whole"] = address(one, None)
            shown = one == scene.shot.pictures[0]
            button.props["data-own"] = "1" if shown else ""
            button.props["aria-pressed"] = "true" if shown else "false"
            says = t("pictures.choice", number=number)
            button.props["aria-label"] = says
            with button:
                image(address(one, SMALL), "", "px-small")
                plain("kbd", str(number)).props("aria-hidden=true")
        if choosing:
            plain("span", t("pictures.choose_hint"), "wm-muted px-hint")


__all__ = ["KEYS", "Address", "Scene", "bind_keys", "draw_stage", "scene_of"]

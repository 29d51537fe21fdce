"""A pipeline for pictures, written from a few choices: cut out, enlarge, place, write, check.

What comes out is a plain pipeline file, which people read and change like any other; it goes the
way of every draft. What there is to choose from is told by `picture_offers`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from waremill.app.editing import Editor, TemplateText
from waremill.app.picturing import all_operations
from waremill.errors import ConfigError, Conflict
from waremill.settings import Settings
from waremill.templates import load_template

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace
    from waremill.images.presets import Preset

Shadow = Literal["none", "contact", "cast"]
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
ENLARGE = 4
"""How many times a product may be enlarged into its place."""
SIZE = 1600
"""Pixels of a picture's sides where no marketplace asks for others."""
_MADE = ("cutout", "enlarged", "main_image", "main_file")
"""The fields such a pipeline makes, but for a scene."""


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """What is to be done with the pictures that an attribute names.

    `preset` is a marketplace's or the workspace's; without one, width and height are `size` pixels.
    `enlarge` doubles a photo's pixels before it is placed, which takes long.

    Behind a product that is cut out lies `colour`, or a picture: `backdrop` is the path of one in
    the workspace or the attribute that names one, `scene` the template that a model makes one from,
    `painter` that model (None: the run's). Presets that demand a plain background take none.
    """

    name: str
    photo: str
    cut_out: bool = True
    preset: str | None = None
    colour: str = "#ffffff"
    size: int = SIZE
    shadow: Shadow = "none"
    enlarge: bool = False
    check: bool = True
    backdrop: str | None = None
    scene: str | None = None
    painter: str | None = None

    @property
    def behind(self) -> str | None:
        """The picture that lies behind the product, by what names it; None for a colour."""
        return self.scene or self.backdrop


@dataclass(frozen=True, slots=True)
class _Scene:
    """A picture that is made for the background: the field it is in, and for what it is made."""

    field: str
    per: str


def pipeline_of(plan: PicturePlan, settings: Settings) -> str:
    """Write a plan as a pipeline's file; raises ConfigError for choices that cannot work."""
    preset = _preset_of(plan, settings)
    scene = _scene_of(plan, settings) if plan.scene else None
    # What is made for a target's scene is made for each target.
    late = scene.per if scene is not None else "product"
    steps: list[tuple[str, dict[str, Any]]] = []
    at = plan.photo
    if plan.cut_out:
        steps.append(("cutout", {"image": at, "into": "cutout", "per": "product"}))
        at = "cutout"
    if plan.enlarge:
        steps.append(("upscale", {"image": at, "into": "enlarged", "scale": 2, "per": "product"}))
        at = "enlarged"
    if scene is not None:
        model = {"model": plan.painter} if plan.painter else {}
        steps.append(("generate", {"template": plan.scene, **model, "per": scene.per}))
    behind = scene.field if scene is not None else plan.backdrop
    kind, placed = _placed(plan, preset, at, behind)
    steps.append((kind, {**placed, "per": late}))
    if plan.check:
        steps.append(("check", {**_checked(plan, preset), "per": late}))
    file = {"image": "main_image", "into": "main_file", **_written(preset), "per": late}
    steps.append(("transcode", file))
    known = all_operations()
    for kind, _ in steps:
        if kind not in known and kind not in ("check", "generate"):
            raise ConfigError(f"there is no operation “{kind}” on pictures here")
    lines = [f"name: {_text(plan.name)}", f"description: {_text(_about(plan, preset))}", "steps:"]
    for kind, options in steps:
        given = ", ".join(f"{name}: {_text(value)}" for name, value in options.items())
        lines.append(f"  - {kind}: {{{given}}}")
    return "\n".join(lines) + "\n"


async def draft_pipeline(workspace: Workspace, plan: PicturePlan) -> tuple[TemplateText, bool]:
    """Save a plan as a pipeline's draft, and approve it where no second person is needed.

    Gives the file, and whether runs may use it by now. Needs the role operator. Raises Conflict
    where there is a pipeline of that name, ConfigError for a name or choices that cannot work.
    """
    editor = Editor(workspace)
    path = f"pipelines/{plan.name.strip()}.yaml"
    opened = await editor.read(path)
    if opened.state != "new":
        raise Conflict(f"there is a pipeline “{plan.name}”; choose another name")
    text = pipeline_of(plan, (await workspace.seen()).settings)
    saved = await editor.save_draft(path, text, opened.etag)
    if await editor.needs_approval() or saved.version is None:
        return saved, False
    await editor.approve(saved.version.id)
    return await editor.read(path), True


def _preset_of(plan: PicturePlan, settings: Settings) -> Preset | None:
    """Find the plan's preset, and hold the background to it."""
    from waremill.images.presets import presets

    preset = presets(settings.files()).get(plan.preset) if plan.preset else None
    if plan.preset and preset is None:
        raise ConfigError(f"there is no preset “{plan.preset}”")
    if plan.behind and not plan.cut_out:
        raise ConfigError("a picture lies behind a product only where it is cut out")
    if plan.behind and preset is not None and preset.background is not None:
        raise ConfigError(f"the preset “{plan.preset}” demands a plain background; choose a colour")
    return preset


def _scene_of(plan: PicturePlan, settings: Settings) -> _Scene:
    """Say which field the plan's template fills, and whether it needs a target."""
    template = load_template(settings.files(), str(plan.scene))
    if template.picture is None:
        raise ConfigError(
            f"the template “{plan.scene}” makes no picture; give it output: "
            "{scene: {type: picture}}"
        )
    name = template.picture.name
    if name in (*_MADE, plan.photo):
        raise ConfigError(
            f"the template “{plan.scene}” makes a field “{name}”, which this pipeline has already; "
            "give its output another name"
        )
    return _Scene(name, "target" if template.uses_target else "product")


def _placed(
    plan: PicturePlan, preset: Preset | None, at: str, behind: str | None
) -> tuple[str, dict[str, Any]]:
    """Say how the product is put on its background."""
    if not plan.cut_out:
        # As it was photographed: only its size is made right.
        width, height = preset.size if preset is not None else (plan.size, plan.size)
        size = {"width": width, "height": height, "fit": "pad", "enlarge": ENLARGE}
        return "resize", {"image": at, "into": "main_image", **size, "colour": plan.colour}
    settings: dict[str, Any] = {"image": at, "into": "main_image", "enlarge": ENLARGE}
    if preset is not None:
        settings["preset"] = plan.preset
    else:
        settings["size"] = [plan.size, plan.size]
    if behind is not None:
        settings["picture"] = behind
    elif preset is None or preset.background is None:
        settings["colour"] = plan.colour
    settings["shadow"] = plan.shadow
    return "compose", settings


def _checked(plan: PicturePlan, preset: Preset | None) -> dict[str, Any]:
    """Say what the picture is held to: its pixels, and the product to that of the photo."""
    width, height = preset.size if preset is not None else (plan.size, plan.size)
    found: dict[str, Any] = {"image": "main_image"}
    rules = ["resolution"]
    if plan.cut_out:
        found |= {"before": plan.photo, "product": "cutout"}
        rules = ["product-unchanged", "resolution"]
        if not plan.behind:  # where a product ends is seen before a plain background alone
            rules += ["uncropped", "fill"]
        if preset is not None:
            found["preset"] = plan.preset
    found |= {"least_side": min(width, height), "least_long_side": max(width, height)}
    return {**found, "rules": rules}


def _written(preset: Preset | None) -> dict[str, Any]:
    """Say how the file is written: as the marketplace takes it, with little loss."""
    wanted = ("jpeg", "png", "webp", "avif")
    kinds = [one for one in (preset.formats if preset is not None else ()) if one in wanted]
    found: dict[str, Any] = {"format": kinds[0] if kinds else "jpeg", "quality": 90}
    if preset is not None and preset.most_bytes:
        found["most_bytes"] = preset.most_bytes
    return found


def _about(plan: PicturePlan, preset: Preset | None) -> str:
    what = preset.about if preset is not None else f"{plan.size} × {plan.size}"
    if plan.behind:
        what = f"{what} on {plan.behind}"
    elif preset is None:
        what = f"{what} on {plan.colour}"
    return f"Pictures from {plan.photo}: {what}"


def _text(value: Any) -> str:
    """Write a value for a pipeline's file; text that YAML could read otherwise is quoted."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    plain = _PLAIN.fullmatch(value.replace("-", "_")) and value.lower() not in _WORDS
    return str(value) if plain else orjson.dumps(value).decode()


__all__ = ["PicturePlan", "Shadow", "draft_pipeline", "pipeline_of"]

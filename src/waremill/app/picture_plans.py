"""A pipeline for pictures, written from a few choices: cut out, enlarge, place, write, check.

What comes out is a plain pipeline file, which people read and change like any other; it goes the
way of every draft.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from waremill.app.editing import Editor, TemplateText
from waremill.app.picture_cards import names_picture
from waremill.app.picturing import all_operations
from waremill.checks import pictures
from waremill.domain import is_missing
from waremill.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from waremill.app.workspace import Workspace
    from waremill.domain import Product
    from waremill.images.presets import Preset

Shadow = Literal["none", "contact", "cast"]
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
ENLARGE = 4
"""How many times a product may be enlarged into its place."""
SIZE = 1600
"""Pixels of a picture's sides where no marketplace asks for others."""


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """What is to be done with the pictures that an attribute names.

    `preset` is a marketplace's; without one, `colour` is put behind, and width and height are
    `size` pixels. `enlarge` doubles a photo's pixels before it is placed, which takes long.
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


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from: presets by name with what they say of themselves, and the
    operations and checks of pictures that there are.
    """

    presets: Mapping[str, str]
    operations: frozenset[str]
    checks: frozenset[str]


def offered() -> Offer:
    """Say what there is to choose from; raises ConfigError where pictures cannot be worked on."""
    operations = frozenset(all_operations())
    found = {name: _said(one) for name, one in _presets().items()}
    return Offer(found, operations, frozenset(pictures.names()))


def photo_columns(columns: Sequence[str], products: Sequence[Product]) -> list[str]:
    """Give the columns whose values name pictures, those that do most often first."""
    often = {
        column: sum(
            names_picture(column, one)
            for product in products
            if not is_missing(value := product.attributes.get(column))
            for one in (value if isinstance(value, list) else [value])
        )
        for column in columns
    }
    return sorted((one for one in columns if often[one]), key=lambda one: -often[one])


def pipeline_of(plan: PicturePlan) -> str:
    """Write a plan as a pipeline's file."""
    preset = _presets().get(plan.preset) if plan.preset else None
    if plan.preset and preset is None:
        raise ConfigError(f"there is no preset “{plan.preset}”")
    known = offered()
    steps: list[tuple[str, dict[str, Any]]] = []
    at = plan.photo
    if plan.cut_out:
        steps.append(("cutout", {"image": at, "into": "cutout"}))
        at = "cutout"
    if plan.enlarge:
        steps.append(("upscale", {"image": at, "into": "enlarged", "scale": 2}))
        at = "enlarged"
    steps.append(_placed(plan, preset, at))
    if plan.check:
        steps.append(("check", _checked(plan, preset)))
    steps.append(("transcode", {"image": "main_image", "into": "main_file", **_written(preset)}))
    for kind, _ in steps:
        if kind not in known.operations and kind != "check":
            raise ConfigError(f"there is no operation “{kind}” on pictures here")
    lines = [f"name: {_text(plan.name)}", f"description: {_text(_about(plan, preset))}", "steps:"]
    for kind, settings in steps:
        given = ", ".join(f"{name}: {_text(value)}" for name, value in settings.items())
        lines.append(f"  - {kind}: {{{given}, per: product}}")
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
    saved = await editor.save_draft(path, pipeline_of(plan), opened.etag)
    if await editor.needs_approval() or saved.version is None:
        return saved, False
    await editor.approve(saved.version.id)
    return await editor.read(path), True


def _said(preset: Preset) -> str:
    size = f"{preset.size[0]} × {preset.size[1]}"
    return preset.about if size in preset.about else f"{preset.about} · {size}"


def _placed(plan: PicturePlan, preset: Preset | None, at: str) -> tuple[str, dict[str, Any]]:
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
    if preset is None or preset.background is None:
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
        rules = ["product-unchanged", "resolution", "uncropped", "fill"]
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
    what = preset.about if preset is not None else f"{plan.size} × {plan.size} on {plan.colour}"
    return f"Pictures from {plan.photo}: {what}"


def _text(value: Any) -> str:
    """Write a value for a pipeline's file; text that YAML could read otherwise is quoted."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    plain = _PLAIN.fullmatch(value.replace("-", "_")) and value.lower() not in _WORDS
    return str(value) if plain else orjson.dumps(value).decode()


def _presets() -> Mapping[str, Preset]:
    from waremill.images.presets import presets

    return presets()


__all__ = [
    "Offer",
    "PicturePlan",
    "Shadow",
    "draft_pipeline",
    "offered",
    "photo_columns",
    "pipeline_of",
]

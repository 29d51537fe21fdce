"""The operation `compose`: a product placed on a background of an exact size, with its shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from waremill.errors import ConfigError
from waremill.images.colour import parse_colour
from waremill.images.cutouts import Anchor, Cutout, Placing, Wish, place_of, placed, trimmed
from waremill.images.measures import pixels_of, ratio_of
from waremill.images.operation import Tools, operation, option
from waremill.images.operations.background import BackgroundOptions, ground
from waremill.images.picture import Picture, Pixels
from waremill.images.presets import Preset, find_preset, presets
from waremill.images.shadows import Direction, Kind, Lamp
from waremill.images.staging import Staging, staged

_FILL = 0.8
"""Share of the frame a product spans where nobody says."""
_MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class ComposeOptions(BackgroundOptions):
    """The background, and how the product stands on it."""

    preset: str = option("", "a marketplace's rules for size, background and fill: amazon-main …")
    size: tuple[int, ...] = option(
        (), "width and height in pixels; one number is the longer side", least=16, most=20000
    )
    ratios: tuple[str, ...] = option((), "one picture for each ratio, such as 1:1, 4:5, 16:9")
    fill: float | None = option(
        None, "share of the frame the product spans, of width or height", least=0.05, most=1
    )
    margin: str = option("0%", "least distance to the edges: 5%, 40px; a share of the shorter side")
    anchor: Anchor = option("centre", "where the product goes")
    position: tuple[float, ...] = option(
        (), "instead of anchor: shares of the free room, from left and top", least=0, most=1
    )
    enlarge: float = option(
        1.0, "how many times the product may be enlarged; more is refused", least=1, most=8
    )
    shadow: Kind | None = option(
        None, "contact, cast (with contact), drop (for flat things) or none; by itself: contact"
    )
    keep_shadow: bool = option(False, "keep a shadow that was cut out with the product")
    light: Direction | None = option(None, "where the light comes from; front is behind the camera")
    light_height: float = option(
        50, "how high the light stands, in degrees; lower is a longer shadow", least=15, most=85
    )
    shadow_strength: float = option(0.5, "how dark the shadow is", least=0, most=1)
    shadow_softness: float = option(0.5, "how soft the shadow is", least=0, most=1)
    harmonise: float = option(
        2.0, "most the product's colours may move to a picture's light, in ΔE; 0: off", least=0,
        most=5,
    )  # fmt: skip


@operation("compose", ComposeOptions, version=2, uses=("presets",))
def compose(
    picture: Picture, options: ComposeOptions, tools: Tools
) -> Picture | tuple[Picture, ...]:
    """Place a cut-out on a background of an exact size, with shadow, for one or several ratios.

    The product is trimmed by its alpha first. With `ratios` the pictures come in their order.
    Raises SourceError where the product would be enlarged too much, ConfigError for settings that
    contradict each other or the preset.
    """
    preset = find_preset(options.preset, presets(tools.files)) if options.preset else None
    cutout = trimmed(picture, options.keep_shadow)
    fill = _fill(options, preset)
    made = tuple(
        Picture(_composed(cutout, canvas, fill, options, preset))
        for canvas in _canvases(cutout, fill, options, preset)
    )
    return made if options.ratios else made[0]


def _composed(
    cutout: Cutout,
    canvas: tuple[int, int],
    fill: float,
    options: ComposeOptions,
    preset: Preset | None,
) -> Pixels:
    """Draw one canvas."""
    margin = pixels_of(options.margin, min(canvas), "margin")
    place = place_of(options.anchor, options.position)
    placing = placed(cutout, canvas, Wish(fill, margin, place, options.enlarge))
    if preset is not None:
        _check_fill(placing, canvas, preset)
    backdrop = _backdrop(options, preset, canvas)
    lively = preset is None or preset.background is None
    lively = lively and (options.picture is not None or options.gradient != "none")
    kind = options.shadow
    if kind is None:
        kind = "none" if preset is not None and preset.background is not None else "contact"
    lamp = Lamp(
        options.light or ("back-left" if kind == "drop" else "front-left"),
        options.light_height,
        options.shadow_strength,
        options.shadow_softness,
    )
    staging = Staging(kind, lamp, options.harmonise if lively else 0)
    return staged(cutout, placing, backdrop, staging)


def _fill(options: ComposeOptions, preset: Preset | None) -> float:
    """Give the share of the frame to span: as asked, else the middle of what the preset allows."""
    bounds = preset.fill if preset is not None else None
    if bounds is None:
        return options.fill or _FILL
    if options.fill is None:
        return sum(bounds) / 2
    if not bounds[0] <= options.fill <= bounds[1]:
        raise ConfigError(
            f"the preset “{options.preset}” wants a fill from {bounds[0]:.0%} to {bounds[1]:.0%}, "
            f"not {options.fill:.0%}"
        )
    return options.fill


def _check_fill(placing: Placing, canvas: tuple[int, int], preset: Preset) -> None:
    """Refuse a placing that a margin made smaller than the preset demands."""
    if preset.fill is None:
        return
    spans = max(placing.solid.width / canvas[0], placing.solid.height / canvas[1])
    if spans < preset.fill[0] - 1 / min(canvas):
        raise ConfigError(
            f"the margin leaves the product {spans:.0%} of the frame, and the preset "
            f"“{preset.name}” wants {preset.fill[0]:.0%}; make the margin smaller"
        )


def _canvases(
    cutout: Cutout, fill: float, options: ComposeOptions, preset: Preset | None
) -> list[tuple[int, int]]:
    """Give the width and height of every picture to make."""
    if len(options.size) > 2:
        raise ConfigError("size must be width and height, or the longer side alone")
    if options.ratios:
        if len(options.size) == 2:
            raise ConfigError("give size as one number, the longer side, where ratios are given")
        longer = options.size[0] if options.size else None
        if longer is None and preset is not None:
            longer = max(preset.size)
        ratios = [ratio_of(text, "ratios") for text in options.ratios]
        found = [_canvas(cutout, fill, ratio, longer) for ratio in ratios]
    elif len(options.size) == 2:
        found = [(options.size[0], options.size[1])]
    elif preset is not None:
        longer = options.size[0] if options.size else max(preset.size)
        found = [_canvas(cutout, fill, preset.size[0] / preset.size[1], longer)]
    elif options.picture is not None and not options.size:
        found = [(options.picture.width, options.picture.height)]
    else:
        found = [_canvas(cutout, fill, 1, options.size[0] if options.size else None)]
    for width, height in found:
        if width * height > _MOST_PIXELS:
            raise ConfigError(f"{width} × {height} is more than {_MOST_PIXELS:,} pixels")
        wrong = preset.refuses(width, height) if preset is not None else None
        if wrong:
            raise ConfigError(f"a picture for “{options.preset}” {wrong}, not {width} × {height}")
    return found


def _canvas(cutout: Cutout, fill: float, ratio: float, longer: int | None) -> tuple[int, int]:
    """Give a canvas of a ratio: with its longer side, or as large as the product needs unscaled."""
    if longer is not None:
        return (
            (longer, max(1, round(longer / ratio)))
            if ratio >= 1
            else (max(1, round(longer * ratio)), longer)
        )
    height = max(cutout.solid.height, cutout.solid.width / ratio) / fill
    return max(1, round(height * ratio)), max(1, round(height))


def _backdrop(options: ComposeOptions, preset: Preset | None, canvas: tuple[int, int]) -> Pixels:
    """Make the ground: the preset's plain one where it demands one, else what the options say."""
    width, height = canvas
    if preset is not None and preset.background is not None:
        if options.picture is not None or options.gradient != "none":
            raise ConfigError(
                f"the preset “{preset.name}” demands a plain background; "
                "leave picture and gradient out"
            )
        return np.full((height, width, 3), preset.background, np.uint8)
    if options.colour == "transparent" and options.picture is None:
        return np.zeros((height, width, 4), np.uint8)
    parse_colour(options.colour)
    return ground(options, width, height)

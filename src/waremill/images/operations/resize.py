"""The operation `resize`: a picture at another size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from waremill.errors import ConfigError, SourceError
from waremill.images.colour import parse_colour, to_srgb
from waremill.images.cropping import cropped, with_alpha
from waremill.images.cutouts import Box
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Picture
from waremill.images.resampling import resized


@dataclass(frozen=True)
class ResizeOptions:
    """The size, and what happens where its shape differs from the picture's."""

    width: int | None = option(None, "width in pixels", least=1, most=20000)
    height: int | None = option(None, "height in pixels", least=1, most=20000)
    longest: int | None = option(None, "the longer side, in place of both", least=1, most=20000)
    fit: Literal["contain", "cover", "pad", "stretch"] = option(
        "contain", "contain: fit into the size; cover: fill it and cut; pad: fit and fill up"
    )
    colour: str = option("#ffffff", "the colour that pad fills up with, or transparent")
    enlarge: float = option(
        1.0, "how many times the picture may be enlarged; more is refused", least=1, most=8
    )


@operation("resize", ResizeOptions)
def resize(picture: Picture, options: ResizeOptions, tools: Tools) -> Picture:
    """Scale a picture to a size, in linear light.

    Raises ConfigError where no size is given, SourceError where the picture would have to be
    enlarged more than allowed.
    """
    picture = to_srgb(picture)
    width, height = _frame(picture, options)
    across, down = width / picture.width, height / picture.height
    if options.fit != "stretch":
        across = down = max(across, down) if options.fit == "cover" else min(across, down)
    if max(across, down) > options.enlarge * 1.0005:
        raise SourceError(
            f"the picture is {picture.width} × {picture.height} pixels and would be enlarged "
            f"{max(across, down):.1f} times; upscale it first, or raise enlarge"
        )
    wide, tall = max(1, round(picture.width * across)), max(1, round(picture.height * down))
    made = Picture(resized(picture.pixels, wide, tall))
    if options.fit in ("contain", "stretch") or (wide, tall) == (width, height):
        return made
    if options.fit == "pad" and options.colour == "transparent":
        made = Picture(with_alpha(made.pixels))
    colour = (0, 0, 0) if options.colour == "transparent" else parse_colour(options.colour)
    return cropped(made, Box((wide - width) // 2, (tall - height) // 2, width, height), colour)


def _frame(picture: Picture, options: ResizeOptions) -> tuple[int, int]:
    """Give the width and height asked for; a side that is not given follows from the other."""
    if options.longest is not None:
        if options.width is not None or options.height is not None:
            raise ConfigError("give width and height, or longest, but not both")
        scale = options.longest / max(picture.width, picture.height)
        return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if options.width is None and options.height is None:
        raise ConfigError("give a width, a height or longest, in pixels")
    width = options.width or round(picture.width * (options.height or 1) / picture.height)
    height = options.height or round(picture.height * (options.width or 1) / picture.width)
    return max(1, width), max(1, height)

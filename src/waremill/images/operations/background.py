"""The operation `background`: a cut-out on a background, at the same frame."""

from __future__ import annotations

from dataclasses import dataclass

from waremill.images.backdrops import Fit, Gradient, fitted, gradient
from waremill.images.colour import parse_colour
from waremill.images.cutouts import need_alpha
from waremill.images.light import from_light, lay_over, to_light
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Picture, Pixels


@dataclass(frozen=True)
class BackgroundOptions:
    """What lies behind the product."""

    picture: Picture | None = option(None, "a picture to put behind; without it, the colour")
    colour: str = option("#ffffff", "the background's colour, such as #ffffff or white")
    colour_to: str = option("#d9d9d9", "the colour a gradient ends in")
    gradient: Gradient = option("none", "let the colour run into colour_to")
    angle: float = option(
        180, "where a linear gradient runs to, in degrees clockwise from up", least=-360, most=360
    )
    fit: Fit = option("cover", "how the picture fills the frame")
    blur: float = option(0, "blur of the picture, as a share of its longer side", least=0, most=0.2)


def ground(options: BackgroundOptions, width: int, height: int) -> Pixels:
    """Make the background the options ask for, of a size in pixels."""
    colour = parse_colour(options.colour)
    if options.picture is not None:
        return fitted(options.picture, (width, height), options.fit, colour, options.blur)
    second = parse_colour(options.colour_to)
    return gradient(width, height, options.gradient, (colour, second), options.angle)


@operation("background", BackgroundOptions)
def background(picture: Picture, options: BackgroundOptions, tools: Tools) -> Picture:
    """Put a cut-out on a colour, a gradient or a picture, without moving it.

    Raises SourceError for a picture that has no transparent background.
    """
    pixels = need_alpha(picture)
    canvas = to_light(ground(options, picture.width, picture.height))
    lay_over(canvas, to_light(pixels), 0, 0)
    return Picture(from_light(canvas))

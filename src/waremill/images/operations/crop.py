"""The operation `crop`: a picture cut round its subject, to one or several ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from waremill.errors import SourceError
from waremill.images.colour import Colour, parse_colour
from waremill.images.cropping import around, cropped, nudged, reaches_beyond, within
from waremill.images.cutouts import Box
from waremill.images.measures import pixels_of, ratio_of
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Picture
from waremill.images.subject import By, plain_border, subject_box

Beyond = Literal["auto", "pad", "cut", "refuse"]


@dataclass(frozen=True)
class CropOptions:
    """How the subject is found, and how it is framed."""

    ratios: tuple[str, ...] = option((), "one picture for each ratio, such as 1:1, 4:5, 16:9")
    margin: str = option("5%", "room round the subject: 40px, or a share of its longer side: 5%")
    by: By = option("auto", "how the subject is found")
    mask: Picture | None = option(None, "a picture that is white where the subject is")
    beyond: Beyond = option(
        "auto",
        "where a ratio does not fit in: pad, cut or refuse; auto pads plain ones, cuts others",
    )
    colour: str = option("", "the colour to pad with; by itself that of the border")


@operation("crop", CropOptions)
def crop(picture: Picture, options: CropOptions, tools: Tools) -> Picture | tuple[Picture, ...]:
    """Cut a picture round its subject, with a margin, to one or several ratios.

    With `ratios` the pictures come in their order. Raises SourceError where no subject is found, or
    where a ratio does not fit and `beyond` is refuse.
    """
    subject = subject_box(picture, options.by, options.mask)
    margin = pixels_of(options.margin, max(subject.width, subject.height), "margin")
    if not options.ratios:
        box = within(around(subject, 0, None), picture.width, picture.height)
        return cropped(picture, _clipped(around(box, margin, None), picture), (0, 0, 0))
    return tuple(
        _framed(picture, around(subject, margin, ratio_of(text, "ratios")), text, options)
        for text in options.ratios
    )


def _clipped(box: Box, picture: Picture) -> Box:
    """Cut off what of a box lies beyond a picture."""
    left, top = max(0, box.left), max(0, box.top)
    right, bottom = min(picture.width, box.right), min(picture.height, box.bottom)
    return Box(left, top, right - left, bottom - top)


def _framed(picture: Picture, box: Box, ratio: str, options: CropOptions) -> Picture:
    """Take the box, by the way chosen where it reaches beyond the picture."""
    if not reaches_beyond(box, picture.width, picture.height):
        return cropped(picture, within(box, picture.width, picture.height), (0, 0, 0))
    if options.beyond == "refuse":
        raise SourceError(
            f"{ratio} round the subject needs {box.width} × {box.height} pixels and the picture "
            f"has {picture.width} × {picture.height}; take beyond: pad or cut, or a smaller margin"
        )
    colour: Colour | None = parse_colour(options.colour) if options.colour else None
    if colour is None:
        colour = plain_border(picture)
    if options.beyond == "cut" or (
        options.beyond == "auto" and colour is None and picture.alpha is None
    ):
        return cropped(picture, within(box, picture.width, picture.height), (0, 0, 0))
    return cropped(picture, nudged(box, picture.width, picture.height), colour or (255, 255, 255))

"""The operation `cutout`: the product without its background, or its alpha matte alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from waremill.errors import ConfigError, NotFound, SourceError
from waremill.images import matting, segmentation
from waremill.images.measures import pixels_of
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Picture, Pixels
from waremill.images.segmentation import Box, Coarse

GRABCUT = "grabcut"
CUT_ALREADY = 0.02
"""A picture of which more than this part is transparent has been cut out already."""


@dataclass(frozen=True, slots=True)
class CutoutOptions:
    """What is cut out, and how."""

    model: str = option(
        "u2netp", "u2netp, u2net, isnet, birefnet, an ONNX file's path, or grabcut with a box"
    )
    box: tuple[float, ...] = option(
        (), "left, top, right, bottom around the product, in percent", least=0, most=100
    )
    closer: bool = option(True, "look again, closer, at the part the product fills")
    refine: Literal["colour", "none"] = option(
        "colour", "find the edge by the colours on both sides, or keep the model's soft one"
    )
    foreground: bool = option(True, "take the background's colour out of the product's edge")
    smallest_part: float = option(
        5.0, "drop loose parts smaller than this percent of the largest", least=0, most=100
    )
    holes: bool = option(
        False, "open where a plain backdrop shows through the product, such as between handles"
    )
    margin: str | None = option(
        None, "crop to the product with this much around it, such as 5% of its longer side or 20px"
    )
    output: Literal["cutout", "matte", "mask"] = option(
        "cutout", "the product on transparency, its alpha as grey, or black and white"
    )


@operation("cutout", CutoutOptions, uses=("weights",))
def cutout(picture: Picture, options: CutoutOptions, tools: Tools) -> Picture:
    """Cut the product out of its background.

    Raises SourceError where nothing stands out, or the box holds nothing; ConfigError for a box
    that is none; NotFound where the model's weights cannot be had.
    """
    alpha = _alpha(picture, options, tools)
    if options.output == "mask":
        alpha = np.where(alpha >= 128, np.uint8(255), np.uint8(0))
    part = _kept(alpha, options.margin)
    alpha = alpha[part]
    if options.output != "cutout":
        return Picture(np.repeat(alpha[:, :, None], 3, axis=2))
    rgb = picture.rgb[part]
    if options.foreground:
        return Picture(matting.with_own_colours(rgb, alpha), picture.profile)
    return Picture(np.dstack((rgb, alpha)), picture.profile)


def _alpha(picture: Picture, options: CutoutOptions, tools: Tools) -> Pixels:
    """Give the matte; a picture that is cut out already has it."""
    rgb = np.ascontiguousarray(picture.rgb)
    own = picture.alpha
    if own is not None and float(np.mean(own < 128)) > CUT_ALREADY:
        if not own.any():
            raise SourceError("the picture is wholly transparent; there is no product in it")
        return own
    coarse = _coarse(rgb, options, tools)
    coarse = segmentation.without_small_parts(coarse, options.smallest_part / 100)
    alpha = matting.alpha_of(rgb, coarse, refine=options.refine == "colour")
    if own is not None:
        alpha = np.asarray(cv2.multiply(alpha, own, scale=1 / 255), np.uint8)
    return alpha


def _coarse(rgb: Pixels, options: CutoutOptions, tools: Tools) -> Coarse:
    box = _box(options.box, rgb)
    if options.model == GRABCUT:
        if box is None:
            raise ConfigError(
                "cutout: grabcut needs the box the product is in, such as 10,10,90,90"
            )
        return segmentation.cut_by_box(rgb, box)
    try:
        weights = tools.weights(options.model)
    except NotFound as error:
        raise NotFound(
            f"{error.message}; or cut out with grabcut and a box, which needs no model"
        ) from error
    coarse = segmentation.find_object(
        rgb, weights, box=box, closer=options.closer, threads=tools.threads
    )
    return segmentation.before_backdrop(rgb, coarse, holes=options.holes)


def _box(percent: tuple[float, ...], rgb: Pixels) -> Box | None:
    if not percent:
        return None
    if len(percent) != 4 or percent[0] >= percent[2] or percent[1] >= percent[3]:
        raise ConfigError("cutout: box must be left, top, right, bottom, such as 10,10,90,90")
    height, width = rgb.shape[:2]
    left, top, right, bottom = (
        round(part * whole / 100) for part, whole in zip(percent, (width, height) * 2, strict=True)
    )
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _kept(alpha: Pixels, margin: str | None) -> tuple[slice, slice]:
    """Give the part of the picture that is kept: all of it, or the product and some margin."""
    if margin is None or not alpha.any():
        return slice(None), slice(None)
    left, top, width, height = cv2.boundingRect(alpha)
    extra = round(pixels_of(margin, max(width, height), "cutout: margin"))
    return (
        slice(max(0, top - extra), top + height + extra),
        slice(max(0, left - extra), left + width + extra),
    )

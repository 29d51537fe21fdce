"""The operation `upscale`: a picture two, three or four times as large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from waremill.errors import NotFound, SourceError
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Picture
from waremill.images.upscaling import Enlarging, enlarged

LANCZOS = "lanczos"
MOST_PIXELS = 200_000_000
"""Pixels of the largest picture that is made."""

_SHARES = {"faithful": 0.5, "sharp": 1.0}
"""How much of the network's detail is taken: half gives the smallest error, all the sharpest."""


@dataclass(frozen=True, slots=True)
class UpscaleOptions:
    """How much larger, and how much of the detail may be a network's."""

    scale: Literal[2, 3, 4] = option(2, "how many times as wide and high")
    mode: Literal["faithful", "sharp"] = option(
        "faithful", "closest to the original, or with all the detail the model draws"
    )
    model: str = option(
        "realesrgan-animevideov3-x4",
        "realesrgan-animevideov3-x4, realesrgan-x4plus (slow), an ncnn .param file, or lanczos, "
        "which draws nothing",
    )
    letters: bool = option(True, "keep the model away from lettering, which it would redraw")


@operation("upscale", UpscaleOptions, uses=("weights",))
def upscale(picture: Picture, options: UpscaleOptions, tools: Tools) -> Picture:
    """Enlarge a picture so that, scaled down again, it is what it was.

    Raises SourceError where the result would be too large, NotFound where the model's weights
    cannot be had.
    """
    pixels = picture.width * picture.height * options.scale**2
    if pixels > MOST_PIXELS:
        raise SourceError(
            f"upscale: the picture would have {pixels / 1e6:.0f} million pixels, and "
            f"{MOST_PIXELS / 1e6:.0f} is the most; choose a smaller scale"
        )
    weights = None
    if options.model != LANCZOS:
        try:
            weights = tools.weights(options.model)
        except NotFound as error:
            raise NotFound(
                f"{error.message}; or upscale with lanczos, which needs no model"
            ) from error
    how = Enlarging(options.scale, weights, _SHARES[options.mode], options.letters, tools.threads)
    return Picture(enlarged(picture.pixels, how), picture.profile)

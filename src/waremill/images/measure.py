"""Figures about a picture: how sharp, how noisy, how pure its background, how well filled.

Pure numbers; what is good enough is decided by the checks. Luma is ITU-R BT.601 of sRGB values
from 0 to 255. A product's mask comes from `product_masks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.colour import Colour, luminance, over, to_srgb
from waremill.images.encoding import Manner, encode
from waremill.images.picture import Picture, Plane
from waremill.images.product_masks import box_of, solid
from waremill.images.reading import read_picture

Side = Literal["left", "top", "right", "bottom"]

_MEASURED_AT = 512
"""The product's longer side in pixels when its sharpness is measured."""
_NOISE_SIDE = 2048
_OUTLINE = 0.006
_ROWS = 1024
_WHITE = (255, 255, 255)


def sharpness(picture: Picture, mask: Plane | None = None) -> float:
    """Give the variance of the luma's Laplacian, in (steps of 255)²; the higher, the sharper.

    Var(∇²I) with the 3 × 3 kernel (0 1 0; 1 −4 1; 0 1 0) (Pech-Pacheco et al., Diatom
    autofocusing in brightfield microscopy, ICPR 2000). Measured on the product where there is a
    mask, without the two pixels along its outline, which tell of the cut rather than the lens.
    Larger products are scaled down to 512 pixels first, so that figures of different sizes compare;
    smaller ones are not enlarged. Depends on contrast: a plain surface is not sharp to it.
    """
    luma, inside = _scaled(*_cropped(picture, mask))
    within = cv2.erode(inside, np.ones((5, 5), np.uint8), borderValue=1) > 0
    if within.sum() < 64:
        return 0.0
    return float(cv2.Laplacian(luma, cv2.CV_32F)[within].var())


def blur(picture: Picture, mask: Plane | None = None) -> float:
    """Give how blurred a picture looks, from 0 (crisp) to 1, whatever its contrast.

    The luma is blurred once more with a box of 9 along one direction; D are the absolute
    differences of neighbours before, B after, and the figure is Σ(D − max(0, D − B)) / Σ D, the
    larger of both directions (Crété-Roffet et al., The blur effect, SPIE 6492, 2007). What is
    blurred already hardly changes. Scaled and masked as for `sharpness`; 1 where all is flat.
    """
    luma, inside = _scaled(*_cropped(picture, mask))
    found = []
    for axis, kernel in ((0, (1, 9)), (1, (9, 1))):
        again = cv2.blur(luma, kernel)
        within = np.minimum(inside, np.roll(inside, 1, axis))[1:, 1:] > 0
        before = np.abs(np.diff(luma, axis=axis))
        after = np.abs(np.diff(again, axis=axis))
        before, after = ((d[:, 1:] if axis == 0 else d[1:, :])[within] for d in (before, after))
        total = float(before.sum())
        lost = float(np.maximum(0, before - after).sum())
        found.append(1.0 if total <= 0 else (total - lost) / total)
    return max(found)


def noise(picture: Picture, mask: Plane | None = None) -> float | None:
    """Estimate the noise's standard deviation in steps of 255; None where nothing is smooth.

    σ = √(π/2) · mean|I ∗ N| / 6 with N = (1 −2 1; −2 4 −2; 1 −2 1), which is blind to slopes
    (Immerkær, Fast noise variance estimation, CVIU 64, 1996). Only the smoother half of what is
    measured counts, so that texture is not taken for noise, and no value near black or white, where
    noise is cut off. Measured at full size, on the product where there is a mask, and of large ones
    in the middle 2,048 × 2,048 pixels.
    """
    luma, inside = _middle(*_cropped(picture, mask))
    if min(luma.shape) < 16:
        return None
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    residual = np.abs(cv2.filter2D(luma, cv2.CV_32F, kernel))
    smooth = cv2.GaussianBlur(luma, (0, 0), 2.0)
    slope = np.hypot(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    within = (cv2.erode(inside, np.ones((5, 5), np.uint8), borderValue=1) > 0) & (
        (smooth > 8) & (smooth < 247)
    )
    within[:2] = within[-2:] = within[:, :2] = within[:, -2:] = False
    if within.sum() < 256:
        return None
    within &= slope <= np.median(slope[within])
    return float(np.sqrt(np.pi / 2) / 6 * residual[within].mean())


def background_purity(
    picture: Picture,
    background: Colour,
    mask: Plane,
    *,
    tolerance: int = 0,
    margin: int | None = None,
) -> float | None:
    """Give the share, 0 to 1, of pixels off the product whose channels are all the background's.

    A channel may differ by `tolerance` steps of 255. Pixels within `margin` of the product are
    left out, for its outline is a mixture; without a margin these are 0.6 % of the longer side, as
    wide as the edge of a cut-out that was enlarged four times. Transparent pixels count as the
    background. None where the product covers everything.
    """
    if margin is None:
        margin = max(2, round(_OUTLINE * max(picture.width, picture.height)))
    outside = _outside(mask, margin)
    total = int(outside.sum())
    if not total:
        return None
    pixels = over(to_srgb(picture), background).pixels
    wanted = np.array(background, np.int16)
    pure = 0
    for top in range(0, picture.height, _ROWS):
        seen = pixels[top : top + _ROWS][outside[top : top + _ROWS]].astype(np.int16)
        pure += int((np.abs(seen - wanted) <= tolerance).all(axis=1).sum())
    return pure / total


def background_purity_as_jpeg(
    picture: Picture, background: Colour, mask: Plane, *, quality: int = 85, tolerance: int = 2
) -> float | None:
    """Give the background's purity after the picture was written as JPEG at a quality and read.

    JPEG works in blocks of 8 × 8 pixels, of 16 × 16 for colour, so the 16 pixels around the product
    are left out, and channels may differ by `tolerance` steps of 255. None where nothing is left.
    """
    written = encode(picture, Manner("jpeg", quality=quality, background=background))
    again = read_picture(written.content)
    return background_purity(again, background, mask, tolerance=tolerance, margin=16)


@dataclass(frozen=True, slots=True)
class Fill:
    """How the product lies in the frame.

    `box` is left, top, right, bottom in pixels; `side` the larger of box width to picture width and
    box height to picture height; `box_area` the box's share of the picture, `area` the product's
    own; `cut` are the sides of the picture where the product is cut off.
    """

    box: tuple[int, int, int, int]
    side: float
    box_area: float
    area: float
    cut: tuple[Side, ...]


def fill(mask: Plane) -> Fill | None:
    """Measure how the product fills the frame; None without a product.

    It counts as cut off at a side where its outermost row of pixels belongs to the product over
    more than 1 % of that side, and over 3 pixels at least: a tip may touch the frame.
    """
    box = box_of(mask)
    if box is None:
        return None
    height, width = mask.shape
    left, top, right, bottom = box
    across, down = (right - left) / width, (bottom - top) / height
    inside = solid(mask)
    rows: tuple[tuple[Side, NDArray[np.bool_]], ...] = (
        ("left", inside[:, 0]), ("top", inside[0]), ("right", inside[:, -1]),
        ("bottom", inside[-1]),
    )  # fmt: skip
    cut = tuple(side for side, row in rows if row.sum() > max(3, 0.01 * len(row)))
    return Fill(box, max(across, down), across * down, float(mask.mean()), cut)


def _outside(mask: Plane, margin: int) -> NDArray[np.bool_]:
    """Say which pixels are not the product's, nor within a margin of it."""
    any_part = np.asarray(mask > 0.004, np.uint8)
    if margin:
        # A square in two passes costs as much as its sides, not its area.
        kernel = np.ones((1, 2 * margin + 1), np.uint8)
        any_part = np.asarray(cv2.dilate(cv2.dilate(any_part, kernel), kernel.T), np.uint8)
    outside: NDArray[np.bool_] = any_part == 0
    return outside


def _middle(
    luma: NDArray[np.float32], inside: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Give the middle of the luma and of its mask, at most 2,048 pixels a side."""
    top, left = (max(0, (n - _NOISE_SIDE) // 2) for n in luma.shape)
    part = np.s_[top : top + _NOISE_SIDE, left : left + _NOISE_SIDE]
    return luma[part], inside[part]


def _scaled(
    luma: NDArray[np.float32], inside: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Scale the luma down to the size that sharpness is measured at, and its mask with it."""
    height, width = luma.shape
    if max(height, width) <= _MEASURED_AT:
        return luma, inside
    scale = _MEASURED_AT / max(height, width)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return (
        np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32),
        np.asarray(cv2.resize(inside, size, interpolation=cv2.INTER_AREA), np.uint8),
    )


def _cropped(picture: Picture, mask: Plane | None) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Give the luma in the product's box, and which of its pixels are the product's."""
    box = box_of(mask) if mask is not None else None
    if mask is None or box is None:
        luma = luminance(over(to_srgb(picture), _WHITE).pixels)
        return luma, np.ones(luma.shape, np.uint8)
    left, top, right, bottom = box
    part = Picture(picture.pixels[top:bottom, left:right], picture.profile)
    luma = luminance(over(to_srgb(part), _WHITE).pixels)
    return luma, solid(mask)[top:bottom, left:right].astype(np.uint8)

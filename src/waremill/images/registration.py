"""Finds a product again in another picture: how far it moved, by how much it was scaled and turned.

Numbers on grey planes only. A warp or a change of shape is not followed, on purpose: what the
best shift, scale and turn leave over is a change of the product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.picture import Plane

Grey = NDArray[np.float32]
"""Luma, height × width, from 0 to 255."""
Matrix = NDArray[np.float64]
"""2 × 3: where a place (x, y) of the first picture lies in the second."""

_SEARCHED = 512
"""The longer side of what is searched, in pixels."""
_ROUNDS = 25
_SURE = 0.97
"""At this correlation a coarse fit needs no rival."""
_MOST_POINTS = 20_000
_FLAT = 0.15
"""Below this mean slope, in steps of 255 a pixel, there is nothing to fit by."""
_FAINT = 16.0
_FEWEST = 8
"""Points that must agree on a place for it to be tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where a product lies in another picture.

    `matrix` takes places of the first picture to the second; `scale` and `turn` (degrees,
    clockwise) are in it. `agreement` is the correlation of both over the product, −1 to 1.
    """

    matrix: Matrix
    agreement: float

    @property
    def scale(self) -> float:
        """How much larger the product is in the second picture."""
        return float(math.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    @property
    def turn(self) -> float:
        """By how many degrees it is turned clockwise."""
        return float(math.degrees(math.atan2(self.matrix[1, 0], self.matrix[0, 0])))


def register(first: Grey, mask: Plane, second: Grey, second_mask: Plane | None) -> Placement | None:
    """Find the shift, scale and turn that lay a product of the first picture on the second.

    Guesses come from matching points (SIFT, Lowe 2004, with RANSAC), from both masks' extents,
    from the pictures' frames and from a coarse search over sizes. The most promising are refined by
    Gauss-Newton on the differences of brightness (Lucas and Kanade 1981), with a free gain and
    offset and Tukey's weights, so that neither light nor a changed part pulls; that is exact to a
    small part of a pixel. None where the product has no pixels or nothing agrees at all.
    """
    left, top, width, height = cv2.boundingRect((mask > 0.5).astype(np.uint8))
    box = left, top, width, height
    if box[2] < 8 or box[3] < 8:
        return None
    # A coarse fit tells which guess is worth a fine one.
    best: tuple[float, Placement] | None = None
    for guess in _guesses(first, mask, second, second_mask, box):
        coarse = _refined(first, mask, second, guess, box, (2,))
        if coarse and (best is None or coarse[0] > best[0]):
            best = coarse
        if best and best[0] > _SURE:
            break
    if best is None:
        return None
    return (_refined(first, mask, second, best[1].matrix, box, (1, 0)) or best)[1]


def to_grid(second: Grey, matrix: Matrix, size: tuple[int, int]) -> Grey:
    """Resample a plane, or planes, to where `matrix` takes a grid of a size (width, height).

    What is made smaller is averaged first, so that nothing flickers between pixels.
    """
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    if scale > 1.05:
        small = max(1, round(second.shape[1] / scale)), max(1, round(second.shape[0] / scale))
        ratio = np.array((small[0] / second.shape[1], small[1] / second.shape[0]))
        second = np.asarray(cv2.resize(second, small, interpolation=cv2.INTER_AREA), np.float32)
        # Pixels are counted at their centres, so a half moves with the scale.
        matrix = matrix * ratio[:, None]
        matrix[:, 2] += (ratio - 1) / 2
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(second, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(laid, np.float32)


def _guesses(
    first: Grey,
    mask: Plane,
    second: Grey,
    second_mask: Plane | None,
    box: tuple[int, int, int, int],
) -> Iterator[Matrix]:
    """Give places where the product may be, the likeliest first."""
    yield _by_frame(first, second)
    if second_mask is not None and (guess := _by_masks(mask, second_mask)) is not None:
        yield guess
    if (guess := _by_points(first, mask, second, box)) is not None:
        yield guess
    if (guess := _by_search(first, mask, second, box)) is not None:
        yield guess


def _similarity(scale: float, shift: tuple[float, float]) -> Matrix:
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def _by_frame(first: Grey, second: Grey) -> Matrix:
    """Guess that the picture was only resized."""
    scale = second.shape[1] / first.shape[1]
    return scaling(scale)


def _by_masks(mask: Plane, second_mask: Plane) -> Matrix | None:
    """Guess from the masks' areas and centres."""
    one, two = (cv2.moments((m > 0.5).astype(np.uint8), True) for m in (mask, second_mask))
    if one["m00"] < 16 or two["m00"] < 16:
        return None
    scale = math.sqrt(two["m00"] / one["m00"])
    centres = [(m["m10"] / m["m00"], m["m01"] / m["m00"]) for m in (one, two)]
    (x1, y1), (x2, y2) = centres
    return _similarity(scale, (x2 - scale * x1, y2 - scale * y1))


def _by_points(
    first: Grey, mask: Plane, second: Grey, box: tuple[int, int, int, int]
) -> Matrix | None:
    """Guess from points that look alike in both."""
    left, top, width, height = box
    part = np.s_[top : top + height, left : left + width]
    small_one, scale_one = _small(first[part])
    small_two, scale_two = _small(second, 2 * _SEARCHED)
    inside, _ = _small((mask[part] > 0.5).astype(np.float32))
    finder = cv2.SIFT.create(nfeatures=1500)
    points_one, about_one = finder.detectAndCompute(
        small_one.astype(np.uint8), (inside > 0.5).astype(np.uint8)
    )
    points_two, about_two = finder.detectAndCompute(small_two.astype(np.uint8), None)
    if about_one is None or about_two is None or min(len(about_one), len(about_two)) < _FEWEST:
        return None
    pairs = cv2.BFMatcher().knnMatch(about_one, about_two, k=2)
    good = [
        pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < 0.8 * pair[1].distance
    ]
    if len(good) < _FEWEST:
        return None
    from_places = np.array([points_one[m.queryIdx].pt for m in good]) / scale_one + (left, top)
    to_places = np.array([points_two[m.trainIdx].pt for m in good]) / scale_two
    matrix, agreeing = cv2.estimateAffinePartial2D(
        from_places, to_places, ransacReprojThreshold=4 / scale_two, maxIters=4000
    )
    if matrix is None or agreeing is None or int(agreeing.sum()) < _FEWEST:
        return None
    return np.asarray(matrix, np.float64)


def _by_search(
    first: Grey, mask: Plane, second: Grey, box: tuple[int, int, int, int]
) -> Matrix | None:
    """Guess by laying the product on every place in two dozen sizes, on coarse pictures."""
    left, top, width, height = box
    coarse, scale_two = _small(second, 160)
    best, guess = 0.2, None
    part = first[top : top + height, left : left + width]
    inside = (mask[top : top + height, left : left + width] > 0.5).astype(np.float32)
    largest = min(coarse.shape[1] / width, coarse.shape[0] / height)
    for step in range(16):
        scale = largest * 0.9**step
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if min(size) < 12:
            break
        pattern = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
        likeness = cv2.matchTemplate(coarse, pattern, cv2.TM_CCOEFF_NORMED, mask=weight)
        likeness = np.nan_to_num(likeness, nan=-1, posinf=-1, neginf=-1)
        _, value, _, place = cv2.minMaxLoc(likeness)
        if value > best:
            real = scale / scale_two
            best = value
            guess = _similarity(
                real, (place[0] / scale_two - real * left, place[1] / scale_two - real * top)
            )
    return guess


def _small(plane: Grey, longest: int = _SEARCHED) -> tuple[Grey, float]:
    scale = min(1.0, longest / max(plane.shape))
    if scale == 1.0:
        return plane, 1.0
    size = max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32), scale


def _refined(
    first: Grey,
    mask: Plane,
    second: Grey,
    guess: Matrix,
    box: tuple[int, int, int, int],
    levels: tuple[int, ...],
) -> tuple[float, Placement] | None:
    """Refine a guess, level after level, where that makes it better; give its merit with it.

    The merit is the agreement, less for a product that is brighter or darker than before: a plain
    product agrees with every plain wall.
    """
    scale = math.hypot(guess[0, 0], guess[1, 0])
    left, top, width, height = box
    if not 0.02 < scale < 50:
        return None
    # The product's box on a grid no finer than either picture, nor than what is searched.
    fine = min(1.0, scale, _SEARCHED / max(width, height))
    size = max(8, round(width * fine)), max(8, round(height * fine))
    grid = scaling(1 / fine, left, top)
    here = to_grid(first, grid, size)
    weight = to_grid((mask > 0.5).astype(np.float32), grid, size)
    ratio = min(1.0, fine / scale)
    wide = max(8, round(second.shape[1] * ratio)), max(8, round(second.shape[0] * ratio))
    whole = scaling(1 / ratio)
    there = second if ratio == 1 else to_grid(second, whole, wide)
    start = joined(_inverse(whole), joined(guess, grid))
    fitted: Matrix | None = start
    for level in levels:
        if fitted is not None:
            fitted = _fitted(here, weight, there, fitted, level)
    found = []
    for total in (start, fitted):
        if total is not None:
            agreement, gap = _agreement(here, to_grid(there, total, size), weight)
            placement = Placement(joined(whole, joined(total, _inverse(grid))), agreement)
            found.append((agreement - gap / 255, placement))
    return max(found, key=lambda one: one[0])


def scaling(factor: float, left: float = 0, top: float = 0) -> Matrix:
    """Give the matrix from a grid to a picture that is `factor` times as fine, from a corner on.

    Pixels are counted at their centres.
    """
    shift = (factor - 1) / 2
    return np.array([[factor, 0.0, left + shift], [0.0, factor, top + shift]])


def joined(after: Matrix, before: Matrix) -> Matrix:
    """Give the matrix that does `before` and then `after`."""
    both: Matrix = np.vstack([after, (0, 0, 1)])[:2] @ np.vstack([before, (0, 0, 1)])
    return both


def _inverse(matrix: Matrix) -> Matrix:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def _fitted(here: Grey, weight: Grey, there: Grey, matrix: Matrix, level: int) -> Matrix | None:
    """Fit at one level of detail: both planes are blurred by two to its power."""
    step = 2**level
    height, width = here.shape
    if min(height, width) // step < 16:
        return matrix
    blurred = [cv2.GaussianBlur(plane, (0, 0), 0.6 * step) for plane in (here, there)]
    slopes = [
        cv2.Sobel(blurred[1], cv2.CV_32F, *axes, ksize=3, scale=1 / 8) for axes in ((1, 0), (0, 1))
    ]
    thin = max(step, math.ceil(math.sqrt(height * width / _MOST_POINTS)))
    rows, columns = np.mgrid[thin // 2 : height : thin, thin // 2 : width : thin]
    inside = weight[rows, columns] > 0.5
    if inside.sum() < 64:
        return None
    wanted = blurred[0][rows, columns][inside].astype(np.float64)
    if float(np.abs(np.diff(blurred[0], axis=1))[weight[:, 1:] > 0.5].mean()) < _FLAT:
        return matrix
    middle = float(columns[inside].mean()), float(rows[inside].mean())
    near_x, near_y = columns[inside] - middle[0], rows[inside] - middle[1]
    for _ in range(_ROUNDS):
        at_x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
        at_y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
        seen, slope_x, slope_y = (
            cv2.remap(
                plane, at_x.astype(np.float32), at_y.astype(np.float32), cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )[inside].astype(np.float64)
            for plane in (blurred[1], *slopes)
        )  # fmt: skip
        design = np.stack(
            [
                slope_x * near_x + slope_y * near_y, slope_y * near_x - slope_x * near_y,
                slope_x, slope_y, -wanted, -np.ones_like(wanted),
            ],
            axis=1,
        )  # fmt: skip
        answer = _robust(design, -seen)
        if answer is None:
            return None
        grown, turned = answer[0], answer[1]
        if max(abs(grown), abs(turned)) > 0.3 or max(abs(answer[2:4])) > max(height, width) / 4:
            return None
        matrix = matrix + np.array(
            [
                [grown, -turned, answer[2] - grown * middle[0] + turned * middle[1]],
                [turned, grown, answer[3] - turned * middle[0] - grown * middle[1]],
            ]
        )
        if max(abs(answer[2]), abs(answer[3])) < 0.002 and max(abs(grown), abs(turned)) < 1e-5:
            break
    return matrix


def _robust(design: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Solve by least squares, twice reweighted with Tukey's biweight (c = 4.685 σ of the MAD)."""
    weights = np.ones(len(wanted))
    answer = None
    for _ in range(3):
        heavy = design * weights[:, None]
        try:
            answer = np.linalg.solve(heavy.T @ design + 1e-6 * np.eye(6), heavy.T @ wanted)
        except np.linalg.LinAlgError:
            return None
        left = np.abs(design @ answer - wanted)
        spread = 1.4826 * float(np.median(left)) + 1e-3
        weights = np.clip(1 - (left / (4.685 * spread)) ** 2, 0, 1) ** 2
    if answer is None or not np.isfinite(answer).all():
        return None
    return np.asarray(answer, np.float64)


def _agreement(one: Grey, two: Grey, weight: Grey) -> tuple[float, float]:
    """Give the weighted correlation of two planes, −1 to 1, and how far their means are apart.

    A variance of 4² is added to everything, as if both had a faint pattern in common: what is plain
    in both agrees, and noise decides nothing.
    """
    total = float(weight.sum())
    if total <= 0:
        return 0.0, 255.0
    means = [float((plane * weight).sum()) / total for plane in (one, two)]
    first, second = one - means[0], two - means[1]
    both = float((first * second * weight).sum()) / total
    each = [float((plane**2 * weight).sum()) / total for plane in (first, second)]
    of_all = math.sqrt((each[0] + _FAINT) * (each[1] + _FAINT))
    return (both + _FAINT) / of_all, abs(means[0] - means[1])

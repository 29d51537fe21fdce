"""Products in new pictures: the same product again, and products with something changed.

Made from cut-outs, so that what was done is known exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import cv2
import numpy as np
from made_pictures import PHOTOS, saved
from numpy.typing import NDArray

from waremill.images.picture import Picture
from waremill.images.reading import read_picture

CUTOUTS = PHOTOS / "saleor_cutouts"
Rgba = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@lru_cache(maxsize=4)
def cutout(name: str) -> Rgba:
    return read_picture((CUTOUTS / f"{name}.webp").read_bytes()).pixels


def names() -> list[str]:
    return [path.stem for path in sorted(CUTOUTS.glob("*.webp"))]


# New pictures of the same product.


def plain(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), (222, 205, 190), np.uint8)


def gradient(height: int, width: int) -> NDArray[np.uint8]:
    down = np.linspace(0, 1, height)[:, None, None]
    shade = (1 - down) * np.array((240, 225, 250)) + down * np.array((70, 90, 130))
    return np.broadcast_to(shade, (height, width, 3)).astype(np.uint8)


def scene(height: int, width: int) -> NDArray[np.uint8]:
    photo = read_picture((PHOTOS / "ecssd" / "images" / "0198.jpg").read_bytes()).pixels
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def placed(
    product: Rgba,
    background: Callable[[int, int], NDArray[np.uint8]],
    size: int,
    scale: float,
    turn: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """Put a product into a new picture of size × size; the shift is a share of the size."""
    matrix = cv2.getRotationMatrix2D((product.shape[1] / 2, product.shape[0] / 2), turn, scale)
    matrix[:, 2] += size / 2 - np.array((product.shape[1], product.shape[0])) / 2
    matrix[:, 2] += np.array(shift) * size
    light = product.astype(np.float32)
    light[..., :3] *= light[..., 3:] / 255
    if scale < 1:
        light = cv2.GaussianBlur(light, (0, 0), 0.45 / scale)
    moved = cv2.warpAffine(light, matrix, (size, size), flags=cv2.INTER_CUBIC)
    alpha = np.clip(moved[..., 3:] / 255, 0, 1)
    mixed = np.clip(moved[..., :3], 0, 255) + background(size, size) * (1 - alpha)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def same(product: Rgba) -> Iterator[tuple[str, Picture]]:
    """The same product in other pictures."""
    yield (
        "plain, JPEG 80",
        read_picture(saved(placed(product, plain, 800, 1.0), "JPEG", quality=80)),
    )
    pixels = placed(product, gradient, 640, 0.62)
    yield "gradient, smaller, JPEG 85", read_picture(saved(pixels, "JPEG", quality=85))
    pixels = placed(product, scene, 900, 0.8, 2.0, (0.1, 0.06))
    yield "scene, turned, WebP 80", read_picture(saved(pixels, "WEBP", quality=80))
    pixels = placed(product, gradient, 1100, 1.25, -1.0, (0.02, -0.03))
    yield "larger, AVIF 65", read_picture(saved(pixels, "AVIF", quality=65, speed=8))
    pixels = placed(product, scene, 700, 0.7)
    brighter = np.clip(pixels.astype(np.float32) * 1.03, 0, 255).astype(np.uint8)
    yield "a little brighter, JPEG 75", read_picture(saved(brighter, "JPEG", quality=75))
    pixels = placed(product, plain, 500, 0.5, 0.0, (-0.05, 0.04))
    yield "small, JPEG 50", read_picture(saved(pixels, "JPEG", quality=50))
    pixels = placed(product, gradient, 800, 0.9)
    soft = cv2.GaussianBlur(pixels, (0, 0), 1.2)
    sharp = np.clip(pixels.astype(np.float32) * 1.5 - soft * 0.5, 0, 255).astype(np.uint8)
    yield "sharpened, JPEG 85", read_picture(saved(sharp, "JPEG", quality=85))


# Changed products.


def print_box(product: Rgba) -> Box | None:
    """Find where something is printed: the window with the most edges, away from the outline.

    None where the product is plain there.
    """
    inside = (product[..., 3] > 250).astype(np.uint8)
    rows, columns = np.nonzero(inside)
    extent = max(np.ptp(rows), np.ptp(columns))
    deep = cv2.erode(inside, np.ones((21, 21), np.uint8), borderValue=0)
    grey = cv2.cvtColor(np.ascontiguousarray(product[..., :3]), cv2.COLOR_RGB2GRAY).astype(
        np.float32
    )
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 8
    busy = ((slope > 14) & (deep > 0)).astype(np.float32)
    wide, high = int(extent * 0.3), int(extent * 0.14)
    share = cv2.boxFilter(busy, -1, (wide, high), borderType=cv2.BORDER_CONSTANT)
    covered = cv2.boxFilter(
        deep.astype(np.float32), -1, (wide, high), borderType=cv2.BORDER_CONSTANT
    )
    share[covered < 0.98] = 0
    if share.max() < 0.06:
        return None
    y, x = np.unravel_index(int(share.argmax()), share.shape)
    return int(x) - wide // 2, int(y) - high // 2, wide, high


def recoloured(product: Rgba, box: Box) -> Rgba:
    """The label in another colour."""
    left, top, wide, high = box
    made = product.copy()
    part = np.ascontiguousarray(made[top : top + high, left : left + wide, :3])
    hls = cv2.cvtColor(part, cv2.COLOR_RGB2HLS)
    hls[..., 0] = (hls[..., 0].astype(int) + 60) % 180
    hls[..., 2] = np.maximum(hls[..., 2], 90)
    made[top : top + high, left : left + wide, :3] = cv2.cvtColor(hls, cv2.COLOR_HLS2RGB)
    return made


def erased(product: Rgba, box: Box) -> Rgba:
    """A line of print painted over with what is around it."""
    left, top, wide, high = box
    hole = np.zeros(product.shape[:2], np.uint8)
    hole[top : top + high, left : left + wide] = 255
    made = product.copy()
    made[..., :3] = cv2.inpaint(np.ascontiguousarray(product[..., :3]), hole, 5, cv2.INPAINT_TELEA)
    return made


def mirrored(product: Rgba, box: Box) -> Rgba:
    """Another logo, of the same colours and size."""
    left, top, wide, high = box
    made = product.copy()
    part = made[top : top + high, left : left + wide, :3]
    made[top : top + high, left : left + wide, :3] = part[::-1, ::-1]
    return made


def bent(product: Rgba) -> Rgba:
    """Bent sideways by 2 % of its size, as a wrong perspective does."""
    height, width = product.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    shifted = columns + 0.02 * width * np.sin(2 * np.pi * rows / height)
    return np.asarray(cv2.remap(product, shifted, rows, cv2.INTER_CUBIC), np.uint8)


def widened(product: Rgba, share: float = 0.07) -> Rgba:
    """Wider by a share."""
    height, width = product.shape[:2]
    matrix = np.array([[1 + share, 0, -share / 2 * width], [0, 1, 0]])
    return np.asarray(
        cv2.warpAffine(product, matrix, (width, height), flags=cv2.INTER_CUBIC), np.uint8
    )


def tinted(product: Rgba) -> Rgba:
    """All of it in another shade: warmer and darker."""
    made = product.copy()
    lab = cv2.cvtColor(product[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    lab += np.array((-5, 7, 9), np.float32)
    made[..., :3] = np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) * 255, 0, 255)
    return made


def stamped(product: Rgba) -> Rgba:
    """With a word on it that was not there."""
    inside = (product[..., 3] > 250).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    made = product.copy()
    dark = product[int(y), int(x), :3].mean() < 128
    colour = (245, 245, 245, 255) if dark else (20, 20, 30, 255)
    size = max(0.5, float(distance.max()) / 90)
    place = (int(x) - int(40 * size), int(y) + int(8 * size))
    canvas = np.ascontiguousarray(made)
    cv2.putText(canvas, "SALE", place, cv2.FONT_HERSHEY_DUPLEX, size, colour, 2, cv2.LINE_AA)
    return canvas


def changed(product: Rgba) -> Iterator[tuple[str, Picture]]:
    """The product with a change, in a new picture each."""
    made: list[tuple[str, Rgba]] = [
        ("bent", bent(product)), ("widened", widened(product)), ("tinted", tinted(product)),
        ("stamped", stamped(product)), ("widened a little", widened(product, 0.04)),
    ]  # fmt: skip
    if (box := print_box(product)) is not None:
        left, top, wide, high = box
        part = (left + wide // 3, top + high // 4, wide // 3, high // 2)
        made += [
            ("recoloured print", recoloured(product, box)), ("erased print", erased(product, box)),
            ("another logo", mirrored(product, box)), ("erased a little", erased(product, part)),
        ]  # fmt: skip
    for what, pixels in made:
        after = placed(pixels, gradient, 800, 0.8, 0.0, (0.03, 0.02))
        yield what, read_picture(saved(after, "JPEG", quality=85))

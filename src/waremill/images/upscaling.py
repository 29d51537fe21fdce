"""Larger pictures: a network's detail, held to what the picture really shows.

A network's picture is corrected until, scaled down again, it is the picture it came from; so what
it adds can only be detail the pixels leave open. Works tile by tile with enough around each that no
seam is left. Must not fetch weights: it is handed a file.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from waremill.errors import ConfigError
from waremill.images.lettering import lettering_in
from waremill.images.picture import Pixels, Plane

_Numbers: TypeAlias = NDArray[np.float32]

TILE = 256
"""Pixels of a tile's side before it is enlarged, at most: 0.4 GB for each thread at four times."""

HEAVY = 4_000_000
"""Bytes of numbers from which on a network takes tiles of `SMALL_TILE`: 0.6 GB for each thread."""
SMALL_TILE = 64

HALO = 20
"""Pixels around a tile that are enlarged with it and thrown away: the default network sees 18."""

BORDER = 8
"""Pixels by which the picture is mirrored at its border, where a network would see black."""

ROUNDS = 8
"""Steps of the correction; each leaves less than half of what the one before did."""

_NETWORKS = 3
_networks: OrderedDict[tuple[str, int], Any] = OrderedDict()
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Enlarging:
    """How a picture is enlarged.

    `share` is how much of the network's own detail is taken, from 0 (none, the network is not run)
    to 1; with `letters`, none is taken where there is lettering.
    """

    scale: int
    weights: Path | None = None
    share: float = 0.5
    letters: bool = True
    threads: int = 1


def enlarged(pixels: Pixels, how: Enlarging) -> Pixels:
    """Enlarge RGB or RGBA pixels by a whole number.

    Alpha is enlarged by itself, and colours nobody sees are replaced by their nearest visible ones
    before, so that none of them bleeds in. Raises ConfigError for a file that is no such network.
    """
    height, width, channels = pixels.shape
    scale = how.scale
    made = np.empty((height * scale, width * scale, channels), np.uint8)
    network = _network(how.weights) if how.weights and how.share else None

    def fill(tile: tuple[slice, slice]) -> None:
        rows, columns = tile
        target = made[
            rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale
        ]
        part, above, before = _with_surroundings(pixels, rows, columns)
        core = (
            slice(above * scale, above * scale + target.shape[0]),
            slice(before * scale, before * scale + target.shape[1]),
        )
        _fill(target, part, core, how, network)

    # Networks and filters leave Python's lock alone, and a tile on one thread wastes no waiting.
    with ThreadPoolExecutor(how.threads, thread_name_prefix="upscale") as pool:
        for _ in pool.map(fill, _tiles(height, width, how.threads, _side(how))):
            pass
    return made


def _fill(
    target: Pixels, part: Pixels, core: tuple[slice, slice], how: Enlarging, network: Any
) -> None:
    """Write the core of an enlarged tile where it belongs."""
    colours = part[:, :, :3]
    if part.shape[2] == 3:
        target[:] = _rounded(_coloured(colours, how, network))[core]
        return
    alpha = part[:, :, 3:].astype(np.float32)
    wide = _rounded(_stretched(alpha, how.scale, Image.Resampling.BICUBIC))
    colours = _without_hidden(colours, part[:, :, 3])
    target[:, :, :3] = _rounded(_coloured(colours, how, network))[core]
    target[:, :, 3] = wide[core][:, :, 0]
    # Far outside, colours would only make the file larger.
    reach = np.ones((4 * how.scale + 1, 4 * how.scale + 1), np.uint8)
    target[cv2.dilate(wide, reach)[core] == 0] = 0


def _coloured(rgb: Pixels, how: Enlarging, network: Any) -> _Numbers:
    """Enlarge one tile: Lanczos, corrected; then as much of the network's as is wanted."""
    true = rgb.astype(np.float32)
    made = _stretched(_corrected(true, true, how.scale), how.scale)
    if network is None:
        return made
    share: Plane | float = how.share
    if how.letters:
        letters = lettering_in(rgb)
        share = (1 - cv2.resize(letters, made.shape[1::-1]))[:, :, None] * np.float32(share)
    made += share * (_redrawn(rgb, network, made.shape[:2]) - made)
    off = true - _shrunk(made, how.scale)
    return made + _stretched(_solved(off, how.scale), how.scale)


def _corrected(pixels: _Numbers, wanted: _Numbers, scale: int) -> _Numbers:
    """Give what must be stretched for the result, scaled down, to be as `wanted`."""
    return pixels + _solved(wanted - _there_and_back(pixels, scale), scale)


def _solved(off: _Numbers, scale: int) -> _Numbers:
    """Give what must be stretched and added for the scaled-down result to change by `off`.

    This is iterated back-projection (Irani and Peleg, 1991). Since stretching and then shrinking by
    the same whole number is one small filter on the small grid, all its steps are taken there.
    """
    total = off
    for _ in range(ROUNDS - 1):
        total = off + total - _there_and_back(total, scale)
    return total


def _there_and_back(pixels: _Numbers, scale: int) -> _Numbers:
    """Give what stretching and shrinking again makes of pixels, without leaving their grid."""
    taps = _response(scale)
    filtered = cv2.sepFilter2D(pixels, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(filtered, np.float32).reshape(pixels.shape)


@lru_cache
def _response(scale: int) -> _Numbers:
    """Give the filter that stretching and shrinking amounts to, from what it makes of one point."""
    point = np.zeros((1, 33, 1), np.float32)
    point[0, 16] = 1
    wide = _resized(point, (33 * scale, 1), Image.Resampling.LANCZOS)
    back = _resized(wide, (33, 1), Image.Resampling.BICUBIC)[0, :, 0]
    return np.ascontiguousarray(back[16 - 6 : 16 + 7])


def _stretched(
    pixels: _Numbers, scale: int, how: Image.Resampling = Image.Resampling.LANCZOS
) -> _Numbers:
    return _resized(pixels, (pixels.shape[1] * scale, pixels.shape[0] * scale), how)


def _shrunk(pixels: _Numbers, scale: int) -> _Numbers:
    """Scale down with the anti-aliased cubic (Keys, a = −0.5) that most software uses."""
    size = (pixels.shape[1] // scale, pixels.shape[0] // scale)
    return _resized(pixels, size, Image.Resampling.BICUBIC)


def _resized(pixels: _Numbers, size: tuple[int, int], how: Image.Resampling) -> _Numbers:
    made = np.empty((size[1], size[0], pixels.shape[2]), np.float32)
    for channel in range(pixels.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(pixels[:, :, channel]))
        made[:, :, channel] = np.asarray(plane.resize(size, how))
    return made


def _rounded(pixels: _Numbers) -> Pixels:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _side(how: Enlarging) -> int:
    if how.weights and how.share and how.weights.with_suffix(".bin").stat().st_size > HEAVY:
        return SMALL_TILE
    return TILE


def _tiles(height: int, width: int, threads: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Divide a picture evenly into tiles, into as many as there are threads where it is small."""
    down, across = -(-height // side), -(-width // side)
    if down * across < threads:
        down, across = (threads, 1) if height > width else (1, threads)
    rows = [height * number // down for number in range(down + 1)]
    columns = [width * number // across for number in range(across + 1)]
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            if top < bottom and left < right:
                yield slice(top, bottom), slice(left, right)


def _with_surroundings(pixels: Pixels, rows: slice, columns: slice) -> tuple[Pixels, int, int]:
    """Give a tile with what is around it, and by how much there is more above and before it.

    Where the picture ends it is mirrored.
    """
    height, width = pixels.shape[:2]
    top, left = max(0, rows.start - HALO), max(0, columns.start - HALO)
    bottom, right = min(height, rows.stop + HALO), min(width, columns.stop + HALO)
    above, before = BORDER * (top == 0), BORDER * (left == 0)
    below, behind = BORDER * (bottom == height), BORDER * (right == width)
    part = cv2.copyMakeBorder(
        pixels[top:bottom, left:right], above, below, before, behind, cv2.BORDER_REFLECT_101
    )
    return np.asarray(part, np.uint8), rows.start - top + above, columns.start - left + before


def _without_hidden(colours: Pixels, alpha: Pixels) -> Pixels:
    """Replace the colours under full transparency by those of the nearest pixel that is seen."""
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colours
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    seen = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    seen[labels[~hidden]] = colours[~hidden]
    return seen[labels]


def _redrawn(rgb: Pixels, network: Any, size: tuple[int, int]) -> _Numbers:
    """Run the network over a tile and bring what it gives to a height and width."""
    import ncnn

    fed = np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32)
    fed /= 255
    with network.create_extractor() as extractor:
        # A Mat made of an array borrows its memory: the copy is one the extractor may keep.
        extractor.input(network.input_names()[0], ncnn.Mat(fed).clone())
        failed, answer = extractor.extract(network.output_names()[0])
        if failed:
            raise ConfigError("the network for upscaling could not be run on this picture")
        made = np.array(answer, np.float32).transpose(1, 2, 0) * 255
    if made.shape[:2] == size:
        return np.asarray(made, np.float32)
    larger = made.shape[0] > size[0]
    how = cv2.INTER_AREA if larger else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(made, size[::-1], interpolation=how), np.float32)


def _network(weights: Path) -> Any:
    """Load a network once for each file and its time of change; it works on one thread a tile."""
    import ncnn

    numbers = weights.with_suffix(".bin")
    if weights.suffix != ".param" or not numbers.is_file():
        raise ConfigError(
            f"“{weights}” is not a network for upscaling; it takes an ncnn .param file with its "
            ".bin beside it"
        )
    key = (str(weights), weights.stat().st_mtime_ns)
    with _opening:
        if key in _networks:
            _networks.move_to_end(key)
            return _networks[key]
        network = ncnn.Net()
        network.opt.num_threads = 1
        network.opt.use_vulkan_compute = False
        if network.load_param(str(weights)) or network.load_model(str(numbers)):
            raise ConfigError(f"“{weights}” is not a network that can be run here")
        if len(network.input_names()) != 1 or not network.output_names():
            raise ConfigError(f"“{weights}” is not a network that takes one picture")
        _networks[key] = network
        while len(_networks) > _NETWORKS:
            _networks.popitem(last=False)
        return network

"""Where the product is: a network that sees what stands out, or GrabCut inside a box.

Gives a coarse map over a box of the picture; its edges are `matting`'s to find. Must not fetch
weights: it is handed a file.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.errors import ConfigError, SourceError
from waremill.images.picture import Pixels, Plane

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom are just outside."""

OBJECT = 0.5
"""From here on a map's value means the product."""

FOUND = 0.3
"""A map whose highest value is below this shows nothing."""

MARGIN = 0.1
"""What the closer look adds around the product, as a part of its longer side."""

CLOSER_AREA = 0.7
"""A box that fills more of the picture than this gains nothing from a closer look."""

AGREEMENT = 0.8
"""How much of both maps must overlap (IoU) for the closer one to be believed: without what is
around it, a network now and then takes a part for the whole."""

BACKDROP = 4
"""How far a channel of a plain backdrop may be from its colour, of 255."""

BACKDROP_PART = 0.9
"""How much of the picture's rim must have the backdrop's colour for it to be plain."""

HINT = 0.2
"""What differs from a plain backdrop is the product where a network gives at least this; shadows on
the backdrop get less."""

HOLE = 0.001
"""The least area of a hole, as a part of the map's."""

_SESSIONS = 3
_sessions: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
_opening = threading.Lock()

_PLAIN = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet, by which U²-Net and BiRefNet were trained."""
_ISNET = ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
"""Those of IS-Net (xuebinqin/DIS)."""


@dataclass(frozen=True, slots=True, eq=False)
class Coarse:
    """A map of the product: `plane` covers `box` of the picture at the network's own resolution.

    Outside of the box there is no product. A pixel of the plane is one cell.
    """

    plane: Plane
    box: Box

    @property
    def cell(self) -> float:
        """The picture's pixels a cell is wide."""
        height, width = self.plane.shape
        return float(max((self.box[2] - self.box[0]) / width, (self.box[3] - self.box[1]) / height))


def find_object(
    rgb: Pixels, weights: Path, *, box: Box | None = None, closer: bool = True, threads: int = 1
) -> Coarse:
    """Find what stands out in a picture, or in a box of it.

    With `closer`, the network looks a second time at the part the product fills, which shows it
    larger; what it sees then counts only where it agrees with the first look.

    Raises SourceError where nothing stands out, ConfigError for a file that is no such network.
    """
    session = _session(weights, threads)
    means = _ISNET if "isnet" in weights.name.lower() else _PLAIN
    first = _look(rgb, session, means, box or (0, 0, rgb.shape[1], rgb.shape[0]))
    if first.plane.max() < FOUND:
        raise SourceError(
            "nothing in this picture stands out as a product; name the box it is in, or another "
            "model"
        )
    around = _around(first) if closer else None
    if around is None or not _worth(around, first, session):
        return first
    second = _look(rgb, session, means, around)
    return second if _overlap(first, second) >= AGREEMENT else first


def cut_by_box(rgb: Pixels, box: Box) -> Coarse:
    """Find the product inside a box by its colours alone (GrabCut: Rother and others, 2004).

    Works on at most `_GRAB_SIDE` pixels a side. Everything outside the box is background.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, _GRAB_SIDE / max(height, width))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, top, right, bottom = (round(side * scale) for side in box)
    left, top = min(left, small.shape[1] - 2), min(top, small.shape[0] - 2)
    area = (left, top, max(right - left, 2), max(bottom - top, 2))
    if area[2] * area[3] >= small.shape[0] * small.shape[1]:
        raise ConfigError("cutout: a box that is smaller than the picture is needed for grabcut")
    mask = np.zeros(small.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(small, mask, area, *models, 5, cv2.GC_INIT_WITH_RECT)
    plane = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    if not plane.any():
        raise SourceError("nothing in this box stands out from what is around it; name another box")
    soft = np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.0), np.float32)
    return Coarse(soft, (0, 0, width, height))


def before_backdrop(rgb: Pixels, coarse: Coarse, *, holes: bool = False) -> Coarse:
    """Correct a map where the backdrop is of one plain colour; else give it unchanged.

    Of a white product before white a network loses parts: a cell is the product's where it and all
    around it differ from the backdrop, or are cut off from the rim by what differs, and the network
    at least saw a hint. With `holes`, what shows the backdrop through the product is opened, which
    would take white print on a product before white too.
    """
    colour = _backdrop(rgb)
    if colour is None:
        return coarse
    left, top, right, bottom = coarse.box
    cells = cv2.resize(
        rgb[top:bottom, left:right], coarse.plane.shape[::-1], interpolation=cv2.INTER_AREA
    )
    alike = np.asarray(cv2.inRange(cells, colour - BACKDROP, colour + BACKDROP), np.uint8)
    count, parts = cv2.connectedComponents(np.pad(alike, 1, constant_values=1), connectivity=4)
    outside = int(parts[0, 0])
    parts = parts[1:-1, 1:-1]
    inside = cv2.erode((parts != outside).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    plane = np.where(inside & (coarse.plane >= HINT), np.float32(1), coarse.plane)
    if holes:
        areas = np.bincount(parts.ravel(), minlength=count)
        large = areas >= HOLE * parts.size
        large[[0, outside]] = False
        hole = large[parts].astype(np.uint8)
        # Its rim is left unsure, so that colours decide there.
        plane[cv2.dilate(hole, np.ones((5, 5), np.uint8)) > 0] = 0.5
        plane[cv2.erode(hole, np.ones((3, 3), np.uint8)) > 0] = 0
    return Coarse(plane, coarse.box)


def _backdrop(rgb: Pixels) -> NDArray[np.float64] | None:
    """Give the colour of a plain backdrop by the picture's rim, or None."""
    height, width = rgb.shape[:2]
    scale = min(1.0, 320 / max(height, width))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    deep = max(1, min(small.shape[:2]) // 50)
    rim = np.concatenate([
        side.reshape(-1, 3) for side in
        (small[:deep], small[-deep:], small[:, :deep], small[:, -deep:])
    ]).astype(np.int16)  # fmt: skip
    colour = np.asarray(np.median(rim, axis=0), np.float64)
    plain = np.mean(np.abs(rim - colour).max(axis=1) <= BACKDROP) >= BACKDROP_PART
    return colour if plain else None


def without_small_parts(coarse: Coarse, least: float) -> Coarse:
    """Leave out loose parts whose area is less than this part of the largest one's, from 0 to 1."""
    seen = (coarse.plane >= OBJECT / 5).astype(np.uint8)
    count, parts = cv2.connectedComponents(seen, connectivity=8)
    areas = np.bincount(parts[coarse.plane >= OBJECT], minlength=count)
    small = areas < least * areas[1:].max(initial=0)
    small[0] = False
    if not small.any():
        return coarse
    return Coarse(np.where(small[parts], np.float32(0), coarse.plane), coarse.box)


_GRAB_SIDE = 480


def _look(
    rgb: Pixels, session: Any, means: tuple[tuple[float, ...], tuple[float, ...]], box: Box
) -> Coarse:
    """Run the network over a box, which is made square by repeating its border."""
    wanted = session.get_inputs()[0]
    side = wanted.shape[-1] if isinstance(wanted.shape[-1], int) else 1024
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    scale = side / max(width, height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    shrunk = cv2.resize(
        rgb[top:bottom, left:right], inner,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )  # fmt: skip
    before = (side - inner[0]) // 2, (side - inner[1]) // 2
    square = np.asarray(cv2.copyMakeBorder(
        shrunk, before[1], side - inner[1] - before[1], before[0], side - inner[0] - before[0],
        cv2.BORDER_REPLICATE,
    ), np.float32)  # fmt: skip
    # The published code of these networks divides by the brightest value, not by 255.
    square /= max(float(square.max()), 1.0)
    square -= np.array(means[0], np.float32)
    square /= np.array(means[1], np.float32)
    fed = np.ascontiguousarray(square.transpose(2, 0, 1)[None])
    plane = _answer(session, fed)
    if plane.min() < -0.01 or plane.max() > 1.01:
        plane = (np.tanh(plane / 2) / 2 + 0.5).astype(np.float32)  # the logistic function
    if (highest := float(plane.max())) >= FOUND:
        plane /= highest
    plane = plane[before[1] : before[1] + inner[1], before[0] : before[0] + inner[0]]
    return Coarse(np.ascontiguousarray(plane), box)


def _answer(session: Any, fed: NDArray[np.float32]) -> Plane:
    """Run the network and give its map.

    The further outputs of U²-Net and IS-Net are coarser stages of the same map, the earlier ones of
    BiRefNet too, which names its last.
    """
    names = [output.name for output in session.get_outputs()]
    wanted = "output_image" if "output_image" in names else names[0]
    try:
        answer = session.run([wanted], {session.get_inputs()[0].name: fed})[0]
        return np.array(answer, np.float32).reshape(fed.shape[2:])
    except Exception as error:  # ONNX Runtime's own errors share no class but this
        raise ConfigError("the model for cutting out is no network for this task") from error


def _session(weights: Path, threads: int) -> Any:
    """Open a network once for each file, its time of change and number of threads."""
    import onnxruntime

    key = (str(weights), weights.stat().st_mtime_ns, threads)
    with _opening:
        if key in _sessions:
            _sessions.move_to_end(key)
            return _sessions[key]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Planning memory from the first run on takes 200 MB more, and is no quicker.
        options.enable_mem_pattern = False
        # Waiting threads that spin take the cores from the other pictures at work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        there = onnxruntime.get_available_providers()
        try:
            session = onnxruntime.InferenceSession(
                str(weights), options, providers=[one for one in wanted if one in there]
            )
        except Exception as error:  # ONNX Runtime's own errors share no class but this
            raise ConfigError(f"“{weights}” is not a network that can be run here") from error
        if len(session.get_inputs()) != 1 or len(session.get_inputs()[0].shape) != 4:
            raise ConfigError(f"“{weights}” is not a network that takes one picture")
        _sessions[key] = session
        while len(_sessions) > _SESSIONS:
            _sessions.popitem(last=False)
        return session


def _around(found: Coarse) -> Box | None:
    """Give a box with some margin around the product, square where the map has the room."""
    rows, columns = np.nonzero(found.plane >= OBJECT)
    if not len(rows):
        return None
    left, top, right, bottom = found.box
    cell = found.cell
    x0, x1 = left + columns.min() * cell, left + (columns.max() + 1) * cell
    y0, y1 = top + rows.min() * cell, top + (rows.max() + 1) * cell
    side = round(max(x1 - x0, y1 - y0) * (1 + 2 * MARGIN))
    x = round(max(min((x0 + x1 - side) / 2, right - side), left))
    y = round(max(min((y0 + y1 - side) / 2, bottom - side), top))
    return x, y, min(right, x + side), min(bottom, y + side)


def _worth(around: Box, first: Coarse, session: Any) -> bool:
    """Say whether a closer look would show more: it is smaller, and has more pixels than cells."""

    def area(box: Box) -> int:
        return (box[2] - box[0]) * (box[3] - box[1])

    return area(around) <= CLOSER_AREA * area(first.box) and first.cell > 1


def _overlap(first: Coarse, second: Coarse) -> float:
    """Give the IoU of what two maps take for the product, on the grid of the second."""
    step = second.cell / first.cell
    half = (step - 1) / 2  # cells' centres lie at halves
    shift = np.array(
        [[step, 0, half + (second.box[0] - first.box[0]) / first.cell],
         [0, step, half + (second.box[1] - first.box[1]) / first.cell]], np.float32,
    )  # fmt: skip
    there = cv2.warpAffine(
        first.plane, shift, second.plane.shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    a, b = there >= OBJECT, second.plane >= OBJECT
    return float((a & b).sum()) / max(float((a | b).sum()), 1.0)

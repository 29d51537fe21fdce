"""Text in a picture: what stands where, read by RapidOCR where that package is installed.

RapidOCR (Apache-2.0, models of PaddleOCR included, Chinese and Latin letters) is optional and
loaded at the first reading. Without it nothing is guessed: the answer is None, “not checked”.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.colour import over, to_srgb
from waremill.images.picture import Picture, Pixels, Plane

SUREST = 0.75
"""Readings less sure than this, from 0 to 1, are texture as often as text."""
_UNSURE = 0.4
_PACKAGE = "rapidocr"
_WHITE = (255, 255, 255)
# The engine keeps the size of the picture at hand in itself.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class TextLine:
    """One line of text: what it says, how sure the reader is (0 to 1), and its four corners.

    `corners` are 4 × 2, x and y in pixels, clockwise from the top left.
    """

    text: str
    sureness: float
    corners: NDArray[np.float32]


def can_read() -> bool:
    """Say whether text can be read here: whether RapidOCR is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


def read_text(picture: Picture, *, threads: int = 1) -> tuple[TextLine, ...] | None:
    """Read the lines of text in a picture, from top to bottom; None where no reader is installed.

    Transparency counts as white. Pictures are read at no more than 2,000 pixels a side. Readings
    with a sureness under 0.75 are left out.
    """
    if not can_read():
        return None
    pixels = over(to_srgb(picture), _WHITE).pixels
    blue_first = np.ascontiguousarray(pixels[:, :, ::-1])
    with _ONE_AT_A_TIME:
        found = _engine(threads)(blue_first, use_det=True)
    if found.boxes is None or found.txts is None:
        return ()
    lines = [
        TextLine(str(text), float(sureness), np.asarray(corners, np.float32))
        for corners, text, sureness in zip(found.boxes, found.txts, found.scores, strict=True)
        if float(sureness) >= SUREST and str(text).strip()
    ]
    return tuple(sorted(lines, key=lambda line: (line.corners[:, 1].min(), line.corners[0, 0])))


def reread(
    picture: Picture, lines: tuple[TextLine, ...], *, threads: int = 1
) -> tuple[str, ...] | None:
    """Read what a picture says where other lines of text stood; "" where it says nothing.

    Each place is read by itself, whether or not a line would be found there. None where no reader
    is installed.
    """
    if not can_read():
        return None
    pixels = np.ascontiguousarray(over(to_srgb(picture), _WHITE).pixels[:, :, ::-1])
    found = []
    for line in lines:
        with _ONE_AT_A_TIME:
            read = _engine(threads)(_straightened(pixels, line.corners), use_det=False)
        sure = bool(read.txts) and float(read.scores[0]) >= _UNSURE
        found.append(str(read.txts[0]) if sure else "")
    return tuple(found)


def _straightened(pixels: Pixels, corners: NDArray[np.float32]) -> Pixels:
    """Cut a line of text out as a level box."""
    wide = float(np.linalg.norm(corners[1] - corners[0]))
    high = float(np.linalg.norm(corners[3] - corners[0]))
    size = max(8, round(wide)), max(8, round(high))
    target = np.array(((0, 0), (size[0], 0), size, (0, size[1])), np.float32)
    matrix = cv2.getPerspectiveTransform(np.asarray(corners, np.float32), target)
    cut = cv2.warpPerspective(
        pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def off_product(lines: tuple[TextLine, ...], mask: Plane) -> tuple[TextLine, ...]:
    """Give the lines that are not printed on the product: a third of their box or more is off it.

    A banner, a price or a watermark laid over product and background is among them; one that lies
    wholly on the product cannot be told from print.
    """
    return tuple(line for line in lines if _share_on(line, mask) <= 2 / 3)


def on_product(lines: tuple[TextLine, ...], mask: Plane) -> tuple[TextLine, ...]:
    """Give the lines that are printed on the product: nine tenths of their box are on it."""
    return tuple(line for line in lines if _share_on(line, mask) >= 0.9)


def _share_on(line: TextLine, mask: Plane) -> float:
    """Give the share of a line's box that is the product's."""
    box = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(box, [np.rint(line.corners).astype(np.int32)], 1)
    area = int(box.sum())
    return float(mask[box > 0].sum()) / area if area else 0.0


@lru_cache(maxsize=2)
def _engine(threads: int) -> Any:
    return importlib.import_module(_PACKAGE).RapidOCR(
        params={
            "Global.log_level": "critical",
            # Upside down is rare on products, and short lines are often taken for it.
            "Global.use_cls": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )

"""Drawn product pictures for the tests of the picture checks."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from waremill.checks.pictures import Judged, PictureDraft, get
from waremill.images.picture import Picture

SIZE = 1200


def bottle(label: str = "AURORA", colour: tuple[int, int, int] = (40, 110, 90)) -> Picture:
    """A bottle with a printed label on white, 1200 × 1200."""
    pixels = np.full((SIZE, SIZE, 3), 255, np.uint8)
    cv2.rectangle(pixels, (400, 300), (800, 1080), colour, -1)
    cv2.rectangle(pixels, (520, 120), (680, 300), (30, 80, 70), -1)
    cv2.rectangle(pixels, (440, 520), (760, 900), (245, 240, 225), -1)
    for row, text, size in ((640, label, 2.2), (730, "eau de parfum", 1.1), (840, "50 ml", 1.5)):
        wide = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 4)[0][0]
        put(pixels, text, (600 - wide // 2, row), size)
    return Picture(pixels)


def put(
    pixels: NDArray[np.uint8], text: str, place: tuple[int, int], size: float, thick: int = 4
) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(pixels, text, place, font, size, (60, 30, 50), thick, cv2.LINE_AA)


def file_of(picture: Picture) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture.pixels).save(stream, "PNG")
    return stream.getvalue()


def judged(
    name: str, picture: Picture, limits: dict[str, Any] | None = None, **more: Any
) -> Judged:
    found = get(name)(PictureDraft("image", picture, file_of(picture), **more), limits or {})
    for one in found.findings:
        assert (one.field, one.rule) == ("image", name)
        assert one.message and "\n" not in one.message
    return found


def said(name: str, picture: Picture, limits: dict[str, Any] | None = None, **more: Any) -> str:
    """What a check says of a picture, severities included; empty where it finds nothing."""
    findings = judged(name, picture, limits, **more).findings
    return " / ".join(f"{one.severity}: {one.message}" for one in findings)

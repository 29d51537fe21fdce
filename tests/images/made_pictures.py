"""Pictures made for the tests of this room: files of every kind, profiles, drawn products."""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from waremill.images.picture import Picture, Plane

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "product-photos"
"""Real product photos beside the repository; absent on a plain checkout."""


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@lru_cache(maxsize=8)
def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A picture without sharp edges, which survives lossy formats well."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = (
        across / width,
        down / height,
        0.5 + 0.4 * np.sin(3 * across / width + 5 * down / height),
    )
    made = np.stack([np.rint(plane * 255) for plane in planes], axis=-1).astype(np.uint8)
    made.flags.writeable = False
    return made


def saved(pixels: NDArray[Any] | Image.Image, kind: str, **settings: Any) -> bytes:
    stream = BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **settings)
    return stream.getvalue()


def turned(orientation: int) -> bytes:
    """An EXIF block that asks to turn the picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def wide_profile() -> bytes:
    """An ICC profile with Adobe RGB's primaries (1998), D50-adapted, and a gamma of 2.2."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    xyz = [b"XYZ \0\0\0\0" + fixed(*values) for values in (
        (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457),
        (0.96420, 1.0, 0.82491),
    )]  # fmt: skip
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) + b"\0\0"
    text = b"wide"
    words = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(80)
    words += bytes(-len(words) % 4)
    tags = (b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"rTRC", b"gTRC", b"bTRC", b"desc")
    bodies = (*xyz, curve, curve, curve, words)
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for tag, body in zip(tags, bodies, strict=True):
        table += struct.pack(">4sII", tag, start + len(data), len(body))
        data += body
    head = struct.pack(
        ">I4sI4s4s4s", start + len(data), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ "
    )
    head += (
        struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.82491)
    )
    return head + bytes(128 - len(head)) + table + data


def bottle(size: int = 480, label: str = "AURORA") -> tuple[Picture, Plane]:
    """A drawn bottle on white with a printed label, and its mask."""
    scale = size / 480
    mask = np.zeros((size, size), np.uint8)
    pixels = np.full((size, size, 3), 255, np.uint8)

    def box(target: NDArray[np.uint8], corners: tuple[int, int, int, int], colour: Any) -> None:
        left, top, right, bottom = (round(n * scale) for n in corners)
        cv2.rectangle(target, (left, top), (right - 1, bottom - 1), colour, -1)

    for corners, colour in (
        ((160, 140, 320, 430), (40, 110, 90)),
        ((210, 70, 270, 140), (30, 85, 70)),
        ((205, 50, 275, 90), (190, 160, 60)),
        ((175, 220, 305, 370), (245, 240, 225)),
    ):
        box(pixels, corners, colour)
        box(mask, corners, 255)
    for row, text, height in ((265, label, 0.9), (300, "eau de parfum", 0.5), (340, "50 ml", 0.6)):
        place = (round(185 * scale), round(row * scale))
        thick = max(1, round(1.6 * scale))
        cv2.putText(
            pixels, text, place, cv2.FONT_HERSHEY_SIMPLEX, height * scale, (60, 30, 50), thick,
            cv2.LINE_AA,
        )  # fmt: skip
    return Picture(pixels), mask.astype(np.float32) / 255

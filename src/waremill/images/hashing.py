"""Perceptual hashes: 64 bits that stay nearly the same when a picture is resized or recompressed.

Two pictures are alike where few bits differ; `distance` counts them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from waremill.images.colour import luminance, over, to_srgb
from waremill.images.picture import Picture

_WHITE = (255, 255, 255)


def phash(picture: Picture) -> int:
    """Give the 64-bit hash of a picture's coarse structure, from 0 to 2⁶⁴ − 1.

    The luma, scaled to 32 × 32, is transformed by a DCT; each of the 8 × 8 lowest frequencies
    gives a bit: whether it is above their median, the mean brightness left out of that (Zauner,
    Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1).
    Transparency counts as white.
    """
    frequencies = cv2.dct(_small(picture, 32, 32))[:8, :8].ravel()
    return _packed(frequencies > np.median(frequencies[1:]))


def dhash(picture: Picture) -> int:
    """Give the 64-bit hash of a picture's brightness steps, from 0 to 2⁶⁴ − 1.

    The luma is scaled to 9 × 8; each bit says whether a pixel is brighter than its left neighbour
    (Krawetz, Kind of Like That, 2013). Transparency counts as white.
    """
    small = _small(picture, 9, 8)
    return _packed((small[:, 1:] > small[:, :-1] + 0.5).ravel())


def tint(picture: Picture) -> bytes:
    """Give the mean colour of a picture's four quarters: eight bytes, Cb and Cr of each by rows.

    As in JPEG (ITU-T T.871), 128 being grey. The hashes see no colour, and the same product in
    another colour is another product. Transparency counts as white.
    """
    pixels = over(to_srgb(picture), _WHITE).pixels
    small = np.asarray(cv2.resize(pixels, (2, 2), interpolation=cv2.INTER_AREA), np.float32)
    blue = 128 + small @ np.array((-0.168736, -0.331264, 0.5), np.float32)
    red = 128 + small @ np.array((0.5, -0.418688, -0.081312), np.float32)
    return np.clip(np.rint(np.stack([blue, red], axis=-1)), 0, 255).astype(np.uint8).tobytes()


def distance(first: int, second: int) -> int:
    """Count the bits in which two hashes differ (Hamming distance), from 0 to 64."""
    return (first ^ second).bit_count()


def _small(picture: Picture, width: int, height: int) -> NDArray[np.float32]:
    luma = luminance(over(to_srgb(picture), _WHITE).pixels)
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _packed(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")

"""Colours: profiles to sRGB, colours by their written names, a background under transparency.

Every operation that mixes pictures takes them to sRGB here first. Nothing in this module reads or
writes a file's format.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageColor

from waremill.errors import ConfigError
from waremill.images.picture import Picture, Pixels

Colour = tuple[int, int, int]
"""Red, green and blue from 0 to 255, in sRGB."""

_ROWS = 1024
"""Rows that are converted at once, so that a conversion needs little beside its result."""
_SPACE = slice(16, 20)
"""Where an ICC profile names its colour space (ICC.1:2022, 7.2.8)."""


def parse_colour(text: str) -> Colour:
    """Read a colour: `#ffffff`, `#fff`, `white`, `rgb(255, 255, 255)` or `hsl(0, 0%, 100%)`.

    Raises ConfigError for anything else.
    """
    try:
        red, green, blue = ImageColor.getrgb(text.strip())[:3]
    except ValueError:
        raise ConfigError(
            f"“{text}” is no colour; write it like #f5f5f5, white or rgb(245, 245, 245)"
        ) from None
    return red, green, blue


def to_srgb(picture: Picture) -> Picture:
    """Give the picture in sRGB: colours are converted from its profile, alpha stays as it is.

    The conversion is relative colorimetric with black point compensation. The pixels of a picture
    without a profile, or with one that cannot be used, are sRGB already.
    """
    if picture.profile is None:
        return picture
    if not is_usable(picture.profile) or is_srgb(picture.profile):
        return dataclasses.replace(picture, profile=None)
    pixels = np.empty_like(picture.pixels)
    if picture.alpha is not None:
        pixels[:, :, 3] = picture.alpha
    transform = _transform(picture.profile, "RGB")
    for top in range(0, picture.height, _ROWS):
        rows = np.ascontiguousarray(picture.rgb[top : top + _ROWS])
        converted = ImageCms.applyTransform(Image.fromarray(rows), transform)
        pixels[top : top + _ROWS, :, :3] = np.asarray(converted)
    return dataclasses.replace(picture, pixels=pixels, profile=None)


def over(picture: Picture, background: Colour) -> Picture:
    """Lay the picture on a plain background, so that it has no alpha any more.

    Straight alpha, mixed in the picture's own (gamma-encoded) values as browsers do (W3C
    Compositing and Blending Level 1, section 5.1). A picture with a profile comes back in sRGB,
    for that is what the background is in.
    """
    if picture.alpha is None:
        return picture
    picture = to_srgb(picture)
    made = np.empty((picture.height, picture.width, 3), np.uint8)
    below = np.array(background, np.uint16)
    for top in range(0, picture.height, _ROWS):
        rows = picture.pixels[top : top + _ROWS].astype(np.uint16)
        alpha = rows[:, :, 3:]
        mixed = rows[:, :, :3] * alpha + below * (255 - alpha)
        made[top : top + _ROWS] = (mixed + 127) // 255
    return Picture(made)


@lru_cache(maxsize=64)
def is_usable(profile: bytes) -> bool:
    """Say whether bytes are an ICC profile of RGB colours that can be converted to sRGB."""
    return profile[_SPACE] == b"RGB " and _converts(profile, "RGB")


@lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """Say whether a usable profile is sRGB in effect: no colour moves by more than one step.

    Tried on a lattice of 9 × 9 × 9 colours.
    """
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    moved = ImageCms.applyTransform(Image.fromarray(lattice), _transform(profile, "RGB"))
    return int(np.abs(np.asarray(moved).astype(int) - lattice).max()) <= 1


def convert(image: Image.Image, profile: bytes | None) -> Pixels | None:
    """Convert a Pillow image in a space other than RGB by its profile: height × width × 3 in sRGB.

    None where the profile does not fit the image's mode, is broken or missing; Lab needs none. CMYK
    is converted perceptually, as printers' profiles are made for.
    """
    spaces = {"CMYK": b"CMYK", "L": b"GRAY"}
    if image.mode == "LAB":
        profile = _lab_profile()
    elif profile is None or profile[_SPACE] != spaces.get(image.mode):
        return None
    if not _converts(profile, image.mode):
        return None
    transform = _transform(profile, image.mode)
    made = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        made[top : top + _ROWS] = np.asarray(ImageCms.applyTransform(rows, transform))
    return made


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Give an ICC profile of sRGB, the same bytes at any time."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # The header's date and checksum differ from run to run (ICC.1:2022, 7.2.10 and 7.2.18).
    made[24:36] = bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
    made[84:100] = bytes(16)
    return bytes(made)


@lru_cache(maxsize=1)
def _lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def luminance(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give the luma of sRGB pixels, height × width from 0 to 255 (ITU-R BT.601 weights)."""
    weights = np.array((0.299, 0.587, 0.114), np.float32)
    made = np.empty(rgb.shape[:2], np.float32)
    for top in range(0, rgb.shape[0], _ROWS):
        made[top : top + _ROWS] = rgb[top : top + _ROWS, :, :3] @ weights
    return made


def _converts(profile: bytes, mode: str) -> bool:
    try:
        _transform(profile, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    return True


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    intent = ImageCms.Intent.PERCEPTUAL if mode == "CMYK" else ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=intent,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )

"""Writes pictures as files: JPEG, PNG, WebP, AVIF, within a budget of bytes where there is one.

The same picture and the same settings give the same bytes, however many threads are about. What
a label says of AI is carried into every file (`provenance`). Must not open a path.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image

from waremill.errors import ConfigError, SourceError
from waremill.images import colour, xmp
from waremill.images.embedding import write_xmp
from waremill.images.picture import Encoded, Picture
from waremill.images.provenance import Provenance, packet, provenance_in
from waremill.images.reading import Photo
from waremill.images.resampling import resized

Format = Literal["jpeg", "png", "webp", "avif"]
Kept = Literal["nothing", "profile", "everything"]

LEAST_QUALITY = 40
"""Below this a budget is not met by quality: blocks and smears show on a plain background."""
_LEAST_SIDE = 64
_FINE = 90
"""From this quality on colours keep their full resolution (4:4:4), so red print stays sharp."""
_SLOW_AVIF = 8_000_000
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Manner:
    """How a picture is written.

    `quality` runs from 1 to 100 and means little across formats; `lossless` is for WebP (PNG always
    is). `most_bytes` is a budget: quality goes down to 40 for it, and then, if `may_shrink`, the
    size. `background` goes under transparency in JPEG. `srgb` converts colours; without it they
    stay in the picture's profile, which is then written whatever `keep` says. `keep` is what is
    written besides: nothing, an ICC profile, or the profile and the EXIF and XMP that were read.
    `quick` writes PNG in two fifths of the time and a seventh larger: for what a step reads next.
    """

    format: Format = "jpeg"
    quality: int = 85
    lossless: bool = False
    most_bytes: int | None = None
    may_shrink: bool = True
    background: colour.Colour = (255, 255, 255)
    srgb: bool = True
    keep: Kept = "nothing"
    quick: bool = False


def encode(picture: Picture, manner: Manner, provenance: Provenance | None = None) -> Encoded:
    """Write a picture as a file.

    A label of AI is written if `provenance` gives one or the picture was read with one, whatever
    `manner.keep` says. Raises ConfigError for a format that cannot be without loss and SourceError
    where the budget cannot be met.
    """
    if manner.lossless and manner.format in ("jpeg", "avif"):
        raise ConfigError(f"{manner.format} is not written without loss; use webp or png for that")
    notes = _Notes.of(picture, manner, provenance)
    if manner.srgb:
        picture = colour.to_srgb(picture)
    if manner.format == "jpeg":
        # A profile other than sRGB is gone where a background is mixed in.
        picture = colour.over(picture, manner.background)
    notes = dataclasses.replace(notes, profile=_profile(picture, manner))
    if manner.most_bytes is None:
        return _written(picture, manner, manner.quality, notes)
    return _within(picture, manner, manner.most_bytes, notes)


def shrink(picture: Picture, most_side: int) -> Picture:
    """Scale a picture down so that its longer side has at most `most_side` pixels; never up."""
    longer = max(picture.width, picture.height)
    if longer <= most_side:
        return picture
    width, height = (max(1, round(n * most_side / longer)) for n in (picture.width, picture.height))
    return Picture(resized(picture.pixels, width, height), picture.profile)


@dataclass(frozen=True, slots=True)
class _Notes:
    """What is written beside the pixels."""

    exif: bytes | None
    xmp: bytes | None
    profile: bytes | None = None

    @classmethod
    def of(cls, picture: Picture, manner: Manner, provenance: Provenance | None) -> _Notes:
        read = picture if isinstance(picture, Photo) else Photo(picture.pixels, picture.profile)
        if provenance is None and read.xmp is not None:
            provenance = provenance_in(read.xmp)
        before = read.xmp if manner.keep == "everything" else None
        if before is not None:
            before = xmp.write({}, before, drop=("tiff:Orientation",))
        exif = _upright_exif(read.exif) if manner.keep == "everything" else None
        return cls(exif, packet(provenance, before) if provenance else before)


def _upright_exif(block: bytes | None) -> bytes | None:
    """Give an EXIF block that no longer asks to turn the picture; None for a broken one."""
    if block is None:
        return None
    exif = Image.Exif()
    try:
        exif.load(block)
        if _ORIENTATION in exif:
            exif[_ORIENTATION] = 1
        return exif.tobytes()
    except Exception:  # a broken block may raise anything, and is no loss
        return None


def _profile(picture: Picture, manner: Manner) -> bytes | None:
    if picture.profile is not None and not colour.is_srgb(picture.profile):
        return picture.profile
    return None if manner.keep == "nothing" else colour.srgb_profile()


def _written(picture: Picture, manner: Manner, quality: int, notes: _Notes) -> Encoded:
    """Write once, at a quality, with all notes."""
    stream = BytesIO()
    settings = _settings(picture, manner, quality)
    if notes.profile is not None:
        settings["icc_profile"] = notes.profile
    if notes.exif is not None:
        settings["exif"] = notes.exif
    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    try:
        image.save(stream, manner.format, **settings)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"a picture of {picture.width} × {picture.height} pixels cannot be written as "
            f"{manner.format}; make it smaller or use another format"
        ) from error
    content, media_type = stream.getvalue(), f"image/{manner.format}"
    if notes.xmp is not None:
        content = write_xmp(content, media_type, notes.xmp)
    return Encoded(content, media_type, picture.width, picture.height)


def _settings(picture: Picture, manner: Manner, quality: int) -> dict[str, Any]:
    """Give Pillow's settings for a format; none of them depends on the machine."""
    fine = quality >= _FINE
    if manner.format == "jpeg":
        return {
            "quality": quality,
            "optimize": True,
            "progressive": True,
            "subsampling": "4:4:4" if fine else "4:2:0",
        }
    if manner.format == "png":
        return {"compress_level": 1 if manner.quick else 6}
    if manner.format == "webp":
        return {"quality": quality, "lossless": manner.lossless, "method": 4, "exact": False}
    # The encoder's bytes differ between one thread and several, but not between two and more.
    slow = picture.width * picture.height <= _SLOW_AVIF
    return {
        "quality": quality,
        "subsampling": "4:4:4" if fine else "4:2:0",
        "speed": 6 if slow else 8,
        "max_threads": 2,
        "autotiling": False,
    }


def _within(picture: Picture, manner: Manner, budget: int, notes: _Notes) -> Encoded:
    """Write within a budget: the best quality that fits, then a smaller picture.

    A smaller picture is tried at quality 40 with the area the last try suggests, until it fits;
    then quality rises again as far as the budget goes.
    """
    fixed = manner.format == "png" or manner.lossless
    least = manner.quality if fixed else min(manner.quality, LEAST_QUALITY)
    first = _written(picture, manner, manner.quality, notes)
    if len(first.content) <= budget:
        return first
    small = first if fixed else _written(picture, manner, least, notes)
    while len(small.content) > budget:
        longer = max(picture.width, picture.height)
        if not manner.may_shrink or longer <= _LEAST_SIDE:
            raise SourceError(_over_budget(small, least, budget, fixed, manner.may_shrink))
        scale = min(0.95, math.sqrt(budget / len(small.content)))
        picture = shrink(picture, max(_LEAST_SIDE, int(longer * scale)))
        small = _written(picture, manner, least, notes)
    return small if fixed else _best(picture, manner, (least, small), budget, notes)


def _best(
    picture: Picture, manner: Manner, fits: tuple[int, Encoded], budget: int, notes: _Notes
) -> Encoded:
    """Find by halving the highest quality within the budget, from one that `fits`."""
    low, best = fits
    high = manner.quality
    while high - low > 1:
        middle = (low + high) // 2
        tried = _written(picture, manner, middle, notes)
        if len(tried.content) <= budget:
            low, best = middle, tried
        else:
            high = middle
    return best


def _over_budget(last: Encoded, least: int, budget: int, fixed: bool, may_shrink: bool) -> str:
    at = "" if fixed else f" at quality {least}"
    advice = "allow more bytes" if may_shrink else "allow more bytes, or a smaller picture"
    return (
        f"the picture takes {len(last.content):,} bytes{at} at {last.width} × {last.height} "
        f"pixels, and {budget:,} are allowed; {advice}"
    )

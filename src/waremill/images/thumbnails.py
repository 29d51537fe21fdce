"""Small previews of picture files, made fast enough for a grid of hundreds.

A JPEG is decoded at an eighth, a quarter or half of its size, as its blocks allow, instead of
whole. What may be read at all is decided in `reading`.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from waremill.images.colour import is_usable, to_srgb
from waremill.images.encoding import shrink
from waremill.images.picture import Encoded, Picture
from waremill.images.reading import identify, read_picture

_EFFORT = 2
"""WebP's effort of 0 to 6: 4 takes twice as long for files some percent smaller."""


def thumbnail(content: bytes, longest: int = 320, *, quality: int = 78, name: str = "") -> Encoded:
    """Make a WebP preview of a picture file whose longer side is at most `longest` pixels.

    Upright, in sRGB, with the transparency the picture has; never enlarged. `name` is the file's
    name for error messages. Raises SourceError as `read_picture` does.
    """
    facts = identify(content, name=name)
    picture = _drafted(content, longest) if facts.media_type == "image/jpeg" else None
    if picture is None:
        picture = read_picture(content, name=name)
    return thumbnail_of(picture, longest, quality=quality)


def thumbnail_of(picture: Picture, longest: int = 320, *, quality: int = 78) -> Encoded:
    """Make a WebP preview of a picture whose longer side is at most `longest` pixels."""
    small = to_srgb(shrink(picture, longest))
    stream = BytesIO()
    image = Image.fromarray(np.ascontiguousarray(small.pixels))
    image.save(stream, "webp", quality=quality, method=_EFFORT)
    return Encoded(stream.getvalue(), "image/webp", small.width, small.height)


def _drafted(content: bytes, longest: int) -> Picture | None:
    """Decode a JPEG at the least size that is twice the wanted one.

    None for a JPEG that is not plain RGB, or that breaks: reading it whole says what is wrong.
    """
    try:
        image = Image.open(BytesIO(content), formats=("JPEG", "MPO"))
        image.draft("RGB", (longest * 2, longest * 2))
        if image.mode != "RGB":
            return None
        profile = image.info.get("icc_profile")
        image.load()
        upright = ImageOps.exif_transpose(image)
    except Exception:  # decoders raise nearly anything; `read_picture` names the fault
        return None
    usable = isinstance(profile, bytes) and is_usable(profile)
    return Picture(np.asarray(upright), profile if usable else None)

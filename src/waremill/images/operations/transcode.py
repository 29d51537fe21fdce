"""The operation `transcode`: a picture as a file of a format, a size, a quality and a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from waremill.images.colour import parse_colour
from waremill.images.encoding import Manner, encode, shrink
from waremill.images.operation import Tools, operation, option
from waremill.images.picture import Encoded, Picture
from waremill.images.reading import Photo


@dataclass(frozen=True, slots=True)
class TranscodeOptions:
    """How the file is written."""

    format: Literal["jpeg", "png", "webp", "avif"] = option("jpeg", "the file's format")
    quality: int = option(85, "how close it stays to the picture", least=1, most=100)
    lossless: bool = option(False, "write without any loss; for webp, png always is")
    most_bytes: int | None = option(None, "the largest file allowed, in bytes", least=200)
    may_shrink: bool = option(True, "make the picture smaller where quality alone cannot do it")
    most_side: int | None = option(None, "the longer side's most pixels", least=1, most=65535)
    background: str = option("white", "the colour under transparency, for jpeg")
    srgb: bool = option(True, "convert colours to sRGB")
    keep: Literal["nothing", "profile", "everything"] = option(
        "nothing", "what is kept besides the pixels; a label of AI always is"
    )


@operation("transcode", TranscodeOptions)
def transcode(picture: Picture, options: TranscodeOptions, tools: Tools) -> Encoded:
    """Write the picture as JPEG, PNG, WebP or AVIF, in a size, a quality and a budget of bytes."""
    manner = Manner(
        format=options.format,
        quality=options.quality,
        lossless=options.lossless,
        most_bytes=options.most_bytes,
        may_shrink=options.may_shrink,
        background=parse_colour(options.background),
        srgb=options.srgb,
        keep=options.keep,
    )
    if options.most_side is not None:
        small = shrink(picture, options.most_side)
        if isinstance(picture, Photo) and small is not picture:
            small = Photo(small.pixels, small.profile, None, picture.exif, picture.xmp)
        picture = small
    return encode(picture, manner)

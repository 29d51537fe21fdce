"""Reads picture files: what a header says, and the pixels, upright and with eight bits a channel.

Bytes come from anywhere, so nothing of them is believed: only the decoders of seven formats are
ever tried, sizes are judged from the header before a pixel is decoded, and whatever a decoder
raises becomes one plain sentence. Must not write a format nor open a path.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from waremill.errors import SourceError, Where
from waremill.images import colour, sniffing
from waremill.images.picture import Picture, Pixels

MOST_PIXELS = 200_000_000
"""Pixels of the largest picture that is read unless told otherwise: 14,142 × 14,142."""
MOST_ASPECT = 50.0
"""The longer side divided by the shorter one, at most."""

# Naming them here registers them, and keeps Pillow from loading every plugin it has.
_FORMATS: Mapping[str, str] = {
    JpegImagePlugin.JpegImageFile.format: "image/jpeg",
    PngImagePlugin.PngImageFile.format: "image/png",
    WebPImagePlugin.WebPImageFile.format: "image/webp",
    AvifImagePlugin.AvifImageFile.format: "image/avif",
    GifImagePlugin.GifImageFile.format: "image/gif",
    TiffImagePlugin.TiffImageFile.format: "image/tiff",
    BmpImagePlugin.BmpImageFile.format: "image/bmp",
}
_MEDIA_TYPES = {**_FORMATS, MpoImagePlugin.MpoImageFile.format: "image/jpeg"}

# Pillow's own limit is one for the whole process and lower than ours; ours is kept in `_checked`.
# This one only stops what nobody could mean before a decoder takes memory for it.
Image.MAX_IMAGE_PIXELS = 1_000_000_000
# A broken EXIF block or a stray byte is nothing the owner of a picture has to be told of.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_REDUCED = 0x00FE
_DNG = 0xC612
_SUBFILES = 0x014A


@dataclass(frozen=True, slots=True)
class Facts:
    """What a picture's header says.

    `media_type` is by content, such as `image/webp`; `width` and `height` are in pixels of the
    upright picture; `several` says that there are more frames or pages than the first.
    """

    media_type: str
    width: int
    height: int
    has_alpha: bool
    several: bool = False

    @property
    def note(self) -> str:
        """What a reader should be told of how the picture is read; mostly empty."""
        return "it has several frames or pages; only the first is used" if self.several else ""


@dataclass(frozen=True, slots=True, eq=False)
class Photo(Picture):
    """A picture as it was read from a file: with its facts, and its EXIF and XMP as they were.

    An operation that makes new pixels gives a plain Picture, and what a camera noted is gone.
    """

    facts: Facts | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


def identify(content: bytes, *, name: str = "", most_pixels: int = MOST_PIXELS) -> Facts:
    """Read what a picture's header says, without decoding a pixel.

    `name` is the file's name for error messages. Raises SourceError for what `read_picture` would
    refuse from the header alone: no picture of a format that is read, more than `most_pixels`, or
    a side more than 50 times the other.
    """
    image = _open(content, name, most_pixels)
    try:
        return _facts(image)
    except Exception as error:
        raise _damaged(name) from error


def read_picture(content: bytes, *, name: str = "", most_pixels: int = MOST_PIXELS) -> Photo:
    """Decode a picture: upright, RGB or RGBA, eight bits a channel.

    Reads JPEG, PNG, WebP, AVIF, and of GIF, TIFF, BMP and animations the first frame. The file's
    content counts, not its suffix. EXIF orientation is applied. Greyscale, palette and CMYK become
    RGB, CMYK and greyscale by their profile where they have one; 16 bits are rounded to 8. An ICC
    profile of RGB colours is kept, unless it is sRGB in effect or broken: then `profile` is None.
    `name` is the file's name for error messages. Raises SourceError as `identify` does, and for a
    file that is cut off or damaged.
    """
    image = _open(content, name, most_pixels)
    try:
        facts = _facts(image)
        exif, xmp = _bytes(image, "exif"), _bytes(image, "xmp")
        turned = 1 if image.format == "TIFF" else _orientation(image)
        image.load()
        pixels, profile = _pixels(image)
        pixels = _upright(pixels, turned)
    except SourceError:
        raise
    except Exception as error:
        # Decoders raise nearly anything on hostile bytes, from struct.error to MemoryError.
        raise _damaged(name) from error
    if pixels.shape[:2] != (facts.height, facts.width):
        raise _damaged(name)
    return Photo(pixels, profile, facts, exif, xmp)


def metadata_of(content: bytes, *, name: str = "") -> tuple[bytes | None, bytes | None]:
    """Give a picture's EXIF block and XMP packet as its file has them; None for each it has not.

    Raises SourceError as `identify` does.
    """
    image = _open(content, name, MOST_PIXELS)
    return _bytes(image, "exif"), _bytes(image, "xmp")


def _open(content: bytes, name: str, most_pixels: int) -> ImageFile.ImageFile:
    """Open a picture lazily, and refuse it where its header is enough for that."""
    if sniffing.is_raw(content):
        raise SourceError(sniffing.refusal(content), _where(name))
    if size := _webp_canvas(content):
        # The decoder takes memory for the whole canvas as soon as it is made.
        _check_size(size, name, most_pixels)
    try:
        image = Image.open(BytesIO(content), formats=tuple(_FORMATS))
        size = image.size
    except Image.DecompressionBombError:
        raise _too_large(None, name, most_pixels) from None
    except UnidentifiedImageError:
        raise SourceError(sniffing.refusal(content), _where(name)) from None
    except Exception as error:
        raise _damaged(name) from error
    _check_size(size, name, most_pixels)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiff(image, name)
    if image.mode in ("I", "F"):
        raise SourceError(
            "the picture holds 32-bit measurements rather than colours; save it with 8 or 16 bits",
            _where(name),
        )
    return image


def _check_size(size: tuple[int, int], name: str, most_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise _damaged(name)
    if width * height > most_pixels:
        raise _too_large(size, name, most_pixels)
    if max(size) > MOST_ASPECT * min(size):
        raise SourceError(
            f"the picture is {width} × {height} pixels, a strip rather than a picture; one side "
            f"may be at most {MOST_ASPECT:g} times the other",
            _where(name),
        )


def _check_tiff(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Refuse cameras' raw files, whose first page is a thumbnail."""
    tags = image.tag_v2
    reduced = tags.get(_REDUCED, 0)
    if _DNG in tags or (_SUBFILES in tags and isinstance(reduced, int) and reduced & 1):
        raise SourceError(
            "this is a camera's raw file; develop it and save it as JPEG or PNG", _where(name)
        )


def _facts(image: ImageFile.ImageFile) -> Facts:
    width, height = image.size
    # Pillow swaps the sides of a TIFF by itself, those of all others are ours to swap.
    if image.format != "TIFF" and _orientation(image) in _SIDEWAYS:
        width, height = height, width
    # A phone's JPEG with a depth map or a preview behind it is still one picture.
    several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    image.seek(0)
    return Facts(
        _MEDIA_TYPES[image.format or ""], width, height, bool(image.has_transparency_data), several
    )


def _orientation(image: ImageFile.ImageFile) -> int:
    """Give the EXIF orientation, 1 to 8; 1 where it is missing or nonsense."""
    found = 1
    if block := _bytes(image, "exif"):
        exif = Image.Exif()
        try:
            exif.load(block)
            found = exif.get(_ORIENTATION, 1)
        except Exception:  # a broken block says nothing about the picture
            found = 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (CIPA DC-008, table of tag 274)."""
    if orientation == 1:
        return pixels
    if orientation in (5, 7):
        pixels = np.swapaxes(pixels, 0, 1)
    turned = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels,
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1],
        8: np.rot90(pixels),
    }
    return np.ascontiguousarray(turned[orientation])


def _pixels(image: Image.Image) -> tuple[Pixels, bytes | None]:
    """Give a loaded image's pixels as RGB or RGBA, and the profile they are in."""
    profile = _bytes(image, "icc_profile")
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    has_alpha = image.has_transparency_data
    if not has_alpha:
        grey = image.convert("L") if image.mode == "1" else image
        converted = colour.convert(grey, profile)
        if converted is not None:
            return converted, None
    kept = profile is not None and colour.is_usable(profile) and not colour.is_srgb(profile)
    in_rgb = image.mode in ("RGB", "RGBA", "RGBX", "P", "PA", "RGBa")
    pixels = np.array(image.convert("RGBA" if has_alpha else "RGB"))
    return pixels, profile if kept and in_rgb else None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Round sixteen bits of grey to eight: v / 257, so that white stays white."""
    values = np.asarray(image).astype(np.uint32)
    rounded = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    rounded.info = {key: image.info[key] for key in ("icc_profile",) if key in image.info}
    return rounded


def _webp_canvas(content: bytes) -> tuple[int, int] | None:
    """Read the canvas of an extended WebP file (RFC 9649, section 2.7); None for any other."""
    if content[:4] != b"RIFF" or content[8:16] != b"WEBPVP8X" or len(content) < 30:
        return None
    return (
        1 + int.from_bytes(content[24:27], "little"),
        1 + int.from_bytes(content[27:30], "little"),
    )


def _bytes(image: Image.Image, key: str) -> bytes | None:
    found = image.info.get(key)
    return found if isinstance(found, bytes) and found else None


def _where(name: str) -> Where | None:
    return Where(file=name) if name else None


def _damaged(name: str) -> SourceError:
    return SourceError("the picture is cut off or damaged; send the whole file again", _where(name))


def _too_large(size: tuple[int, int] | None, name: str, most_pixels: int) -> SourceError:
    what = f"is {size[0]} × {size[1]} pixels" if size else "claims to be immense"
    most = f"{most_pixels / 1e6:g} million"
    return SourceError(
        f"the picture {what}, and at most {most} pixels are read; scale it down first",
        _where(name),
    )

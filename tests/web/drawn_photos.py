"""Product photos that are drawn, not taken: perfume bottles on a table, cut out, or in a scene.

They stand in the how-to's pictures, so nothing of anybody else's may be in them.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
GLASSES: tuple[Colour, ...] = (
    (196, 84, 92), (58, 112, 168), (92, 148, 98), (206, 158, 70), (132, 92, 166), (70, 152, 152),
)  # fmt: skip
NAMES = ("AURORA", "MARE", "VERDE", "SOLE", "VIOLA", "LAGO")


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


@lru_cache(maxsize=64)
def bottle(number: int, size: int = 720, *, wrong: bool = False) -> Image.Image:
    """A bottle on nothing: RGBA, in a square; a `wrong` one has lost a line and half its name."""
    glass, name = GLASSES[number % len(GLASSES)], NAMES[number % len(NAMES)]
    big = size * 2
    image = Image.new("RGBA", (big, big))
    unit = big / 100
    left, right, top, bottom = 30 * unit, 70 * unit, 34 * unit, 92 * unit

    mask = Image.new("L", (big, big))
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle((left, top, right, bottom), 4 * unit, fill=255)
    draw.rectangle((44 * unit, 27 * unit, 56 * unit, 36 * unit), fill=255)
    across = np.linspace(0, 1, big, dtype=np.float32)
    shine = 0.55 + 0.45 * np.sin(np.clip((across - 0.3) / 0.4, 0, 1) * np.pi)
    down = np.linspace(1.1, 0.72, big, dtype=np.float32)[:, None]
    body = np.clip(np.array(glass, np.float32) * shine[None, :, None] * down[..., None], 0, 255)
    image.paste(Image.fromarray(body.astype(np.uint8)), mask=mask)

    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle(
        (41 * unit, 10 * unit, 59 * unit, 28 * unit), 1.5 * unit, fill=(44, 40, 38, 255)
    )
    pen.rectangle((44 * unit, 11 * unit, 46 * unit, 27 * unit), fill=(96, 90, 86, 255))
    for x, width, light in ((33, 2.2, 120), (65.5, 1.2, 70)):
        streak = Image.new("RGBA", (big, big))
        ImageDraw.Draw(streak).rounded_rectangle(
            (x * unit, 38 * unit, (x + width) * unit, 88 * unit), unit, fill=(255, 255, 255, light)
        )
        image.alpha_composite(streak.filter(ImageFilter.GaussianBlur(unit * 0.5)))
    pen = ImageDraw.Draw(image)
    pen.rectangle((36 * unit, 50 * unit, 64 * unit, 78 * unit), fill=(246, 240, 228, 255))
    pen.rectangle(
        (37 * unit, 51 * unit, 63 * unit, 77 * unit), outline=_mix(glass, (60, 50, 40), 0.4),
        width=max(1, round(unit * 0.3)),
    )  # fmt: skip
    lines = ((name, 58, 5.4), ("eau de parfum", 65.5, 2.7), ("50 ml", 71.5, 2.9))
    if wrong:
        lines = ((name[:3], 57, 4.6), ("aeu de parfun", 65.5, 2.7), ("", 71.5, 2.9))
    for text, row, height in lines:
        font = ImageFont.load_default(height * unit)
        pen.text((50 * unit, row * unit), text, (62, 52, 46, 255), font, anchor="mm")
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _ground(width: int, height: int, wall: Colour, table: Colour, seed: int) -> Image.Image:
    """A wall that grows darker to its corners, and a table."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    far = np.hypot(across / width - 0.42, down / height - 0.3)
    light = np.clip(1.12 - 0.55 * far, 0.4, 1.2)[..., None]
    pixels = np.array(wall, np.float32) * light
    edge = round(height * 0.74)
    grain = cv2.GaussianBlur(random.normal(0, 9, (height, width)).astype(np.float32), (1, 1), 0)
    grain = cv2.blur(grain, (81, 1))[..., None] * 4
    board = np.array(table, np.float32) * np.clip(1.1 - 0.4 * far, 0.5, 1.1)[..., None] + grain
    pixels[edge:] = board[edge:]
    pixels[edge - 2 : edge + 2] *= 0.82
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


SCENES: tuple[tuple[Colour, Colour], ...] = (
    ((214, 206, 196), (150, 112, 82)), ((176, 200, 206), (206, 200, 190)),
    ((228, 200, 190), (120, 84, 74)), ((190, 204, 176), (170, 142, 104)),
    ((96, 104, 122), (64, 58, 60)),
)  # fmt: skip


def room(look: int, width: int = 900, height: int = 900) -> Image.Image:
    """A table before a wall with nothing on it; `look` chooses the room."""
    return _ground(width, height, *SCENES[look % len(SCENES)], look)


@lru_cache(maxsize=64)
def scene(
    number: int, look: int, width: int = 900, height: int = 900, *, wrong: bool = False
) -> Image.Image:
    """A bottle on a table before a wall; `look` chooses the room."""
    image = room(look, width, height)
    side = round(min(width, height) * 0.78)
    cut = bottle(number, 720, wrong=wrong).resize((side, side), Image.Resampling.LANCZOS)
    place = ((width - side) // 2 + round((look % 3 - 1) * width * 0.06), round(height * 0.9) - side)
    shade = Image.new("L", image.size)
    foot = (place[0] + round(side * 0.26), round(height * 0.9) - round(side * 0.1))
    ImageDraw.Draw(shade).ellipse(
        (*foot, foot[0] + round(side * 0.56), foot[1] + round(side * 0.07)), fill=150
    )
    shade = shade.filter(ImageFilter.GaussianBlur(side / 45))
    image.paste((20, 16, 14), mask=shade)
    image.paste(cut, place, cut)
    return image


def saved(image: Image.Image, kind: str = "jpeg") -> bytes:
    """A picture as a file."""
    stream = BytesIO()
    image.save(stream, kind, quality=90, compress_level=1)
    return stream.getvalue()


def pixels(content: bytes) -> NDArray[np.uint8]:
    """A file's pixels."""
    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))

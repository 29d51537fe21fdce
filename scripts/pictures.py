"""Copy the how-tos' pictures out of the browser tests' screenshots, small enough to be kept.

    python scripts/pictures.py artifacts/screenshots docs/images

A screenshot of the console has few colours: each is written with a palette of at most 256, which
makes it a third as large. PNG by the W3C specification, third edition; standard library only. One
with photos in it has many colours and is written as WebP, with Pillow.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections import Counter
from pathlib import Path

WANTED = {
    "en": ("import", "catalogue", "content", "trial", "run", "review", "confirm", "history"),
    "zh": ("import", "trial", "review", "confirm"),
}
"""The steps of the story that the how-to shows, by language."""
PHOTOS = {
    "en": ("catalogue", "preset", "trial", "stage", "heat", "variants", "tiles"),
    "zh": ("preset", "heat", "tiles"),
}
"""The pages with photos that the how-tos on pictures show, by language."""
KNOWLEDGE = ("base", "found", "passage")
"""The screenshots of the page *Knowledge* that its how-tos show, in both languages."""
SIZE = (1280, 800)
LARGEST = 150_000
"""Bytes a picture may have."""
COLOURS = 256
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data: bytes) -> dict[bytes, bytes]:
    """Give a PNG's chunks by name, the parts of the picture joined."""
    found: dict[bytes, bytes] = {}
    place = len(SIGNATURE)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        name = data[place + 4 : place + 8]
        found[name] = found.get(name, b"") + data[place + 8 : place + 8 + length]
        place += 12 + length
    return found


def chunk(name: bytes, body: bytes) -> bytes:
    """Write a chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def unfiltered(filtered: bytes, width: int, size: int) -> list[bytearray]:
    """Give the rows of pixels of `size` bytes, their filters undone."""
    stride = width * size
    rows: list[bytearray] = []
    above = bytearray(stride)
    for start in range(0, len(filtered), stride + 1):
        kind, row = filtered[start], bytearray(filtered[start + 1 : start + 1 + stride])
        if kind == 2:
            row = bytearray((one + up) & 255 for one, up in zip(row, above, strict=True))
        elif kind:
            _undo(kind, row, above, size)
        rows.append(row)
        above = row
    return rows


def _undo(kind: int, row: bytearray, above: bytearray, size: int) -> None:
    for place, value in enumerate(row):
        left = row[place - size] if place >= size else 0
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + above[place]) // 2
        else:
            up, corner = above[place], above[place - size] if place >= size else 0
            near = left + up - corner
            to_left, to_up, to_corner = abs(near - left), abs(near - up), abs(near - corner)
            if to_left <= to_up and to_left <= to_corner:
                guess = left
            else:
                guess = up if to_up <= to_corner else corner
        row[place] = (value + guess) & 255


def with_palette(data: bytes) -> bytes:
    """Write a PNG of true colour anew, with its most frequent colours as a palette."""
    parts = chunks(data)
    width, height, depth, kind, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    if (depth, kind, *rest) not in ((8, 2, 0, 0, 0), (8, 6, 0, 0, 0)):
        raise SystemExit("a picture is no plain PNG of 8 bits a channel")
    size = 4 if kind == 6 else 3
    rows = unfiltered(zlib.decompress(parts[b"IDAT"]), width, size)
    pixels = [[bytes(row[place : place + 3]) for place in range(0, len(row), size)] for row in rows]
    counted = Counter(pixel for line in pixels for pixel in line)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    index = {colour: number for number, colour in enumerate(palette)}
    for colour in counted.keys() - index.keys():
        index[colour] = min(range(len(palette)), key=lambda one: _distance(palette[one], colour))
    body = b"".join(b"\0" + bytes(index[pixel] for pixel in line) for line in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"".join(
        (SIGNATURE, chunk(b"IHDR", head), chunk(b"PLTE", b"".join(palette)),
         chunk(b"IDAT", zlib.compress(body, 9)), chunk(b"IEND", b""))
    )  # fmt: skip


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def with_photos(source: Path, target: Path) -> None:
    """Write a screenshot with photos in it as WebP; stop where it is too large or oddly sized."""
    from PIL import Image

    with Image.open(source) as screenshot:
        if screenshot.size != SIZE:
            raise SystemExit(f"{source} is {screenshot.size}")
        screenshot.convert("RGB").save(target, "webp", quality=84, method=6)
    if target.stat().st_size > LARGEST:
        raise SystemExit(f"{target} has {target.stat().st_size:,} bytes")


def small(source: Path, target: Path) -> None:
    """Write a screenshot with a palette; stop where it is too large or oddly sized."""
    picture = with_palette(source.read_bytes())
    size = struct.unpack_from(">II", picture, 16)
    if size != SIZE or len(picture) > LARGEST:
        raise SystemExit(f"{source} is {size} with {len(picture):,} bytes")
    target.write_bytes(picture)


def one_of(source: Path, pattern: str) -> Path:
    """Give the only screenshot of a pattern; stop where there is none or more."""
    found = [*source.glob(pattern)]
    if len(found) != 1:
        raise SystemExit(f"{len(found)} screenshots of “{pattern}” in {source}, not one")
    return found[0]


def name_of(kind: str, page: str, language: str, ending: str) -> str:
    """Name a page's picture in a language."""
    return f"{kind}-{page}{'' if language == 'en' else f'-{language}'}.{ending}"


def main(source: Path, target: Path) -> None:
    """Copy the pictures that are wanted; stop where one is missing, too large or oddly sized."""
    target.mkdir(parents=True, exist_ok=True)
    for language, pages in PHOTOS.items():
        for page in pages:
            found = one_of(source, f"pictures-[0-9]*-{page}.{language}.png")
            with_photos(found, target / name_of("pictures", page, language, "webp"))
    for language, steps in WANTED.items():
        for step in steps:
            shot = one_of(source, f"[0-9]*-{step}.{language}.png")
            small(shot, target / name_of("console", step, language, "png"))
        for page in KNOWLEDGE:
            shot = one_of(source, f"knowledge-{page}-{language}.png")
            small(shot, target / name_of("knowledge", page, language, "png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

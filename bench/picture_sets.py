"""Real pictures with what is true of them: masks, alpha, and originals of reduced pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.process import ROOT

DATA = ROOT.parent / "shared" / "data" / "product-photos"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, eq=False)
class Cut:
    """A picture and its product's true alpha, from 0 to 1; `counts` is 0 where a shadow lies."""

    file: Path
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    counts: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pair:
    """A small picture, the true large one, and by how much it is larger."""

    name: str
    small: NDArray[np.uint8]
    large: NDArray[np.uint8]
    scale: int


def photographs() -> list[Path]:
    """Give the files that folders are made of for timing: studio and everyday photographs."""
    folders = ("composites/images", "magento_photos", "subjects", "grocery")
    found = [path for folder in folders for path in sorted((DATA / folder).rglob("*"))]
    return [path for path in found if path.suffix.lower() in SUFFIXES]


def cuts(name: str) -> Iterator[Cut]:
    """Go over `composites`, `ecssd` or `saleor_cutouts`; the last are put on white."""
    if name == "saleor_cutouts":
        for file in sorted((DATA / name).glob("*.webp")):
            rgba = np.asarray(Image.open(file).convert("RGBA"))
            share = rgba[:, :, 3:].astype(np.float32) / 255
            mixed = rgba[:, :, :3] * share + 255 * (1 - share)
            yield _cut(file, np.asarray(np.rint(mixed), np.uint8), share[:, :, 0])
        return
    masks = "alpha" if name == "composites" else "masks"
    for file in sorted((DATA / name / "images").glob("*.jpg")):
        mask = np.asarray(Image.open(DATA / name / masks / f"{file.stem}.png").convert("L"))
        rgb = np.asarray(Image.open(file).convert("RGB"))
        yield _cut(file, rgb, np.asarray(mask.astype(np.float32) / 255, np.float32))


def _cut(file: Path, rgb: NDArray[np.uint8], alpha: NDArray[np.float32]) -> Cut:
    """Leave out of account what is partly covered but far from the product: its cast shadow."""
    near = cv2.dilate((alpha >= 0.5).astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    return Cut(file, rgb, alpha, near | (alpha < 0.02))


def pairs(name: str, scale: int) -> Iterator[Pair]:
    """Go over `set5`, whose small pictures are published, or `products`, reduced with a cubic."""
    if name == "set5":
        for file in sorted((DATA / "sr_set5/HR").glob("*.png")):
            reduced = DATA / f"sr_set5/LR_bicubic/X{scale}/{file.stem}x{scale}.png"
            small = np.asarray(Image.open(reduced).convert("RGB"))
            height, width = small.shape[0] * scale, small.shape[1] * scale
            large = np.asarray(Image.open(file).convert("RGB"))[:height, :width]
            yield Pair(file.stem, small, large, scale)
        return
    for file in photographs()[::4]:
        large = np.asarray(Image.open(file).convert("RGB"))
        # The middle is enough, and a network needs seconds for each million pixels.
        side = min(384, *(length // scale * scale for length in large.shape[:2]))
        top, left = (large.shape[0] - side) // 2, (large.shape[1] - side) // 2
        large = large[top : top + side, left : left + side]
        small = Image.fromarray(large).resize((side // scale,) * 2, Image.Resampling.BICUBIC)
        yield Pair(file.stem, np.asarray(small), large, scale)

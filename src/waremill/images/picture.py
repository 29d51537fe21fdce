"""What every operation takes and gives: pixels with their colour profile, or an encoded file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Plane: TypeAlias = NDArray[np.float32]
"""One channel as height × width, from 0 to 1: an alpha matte, a mask, a map."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    `pixels` are height × width × 3 (RGB) or 4 (RGBA, straight alpha), eight bits a channel, the
    right way up. `profile` is the ICC profile they are in; None means sRGB.
    """

    pixels: Pixels
    profile: bytes | None = None

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def rgb(self) -> Pixels:
        """The colours without alpha: height × width × 3, a view."""
        return self.pixels[:, :, :3]

    @property
    def alpha(self) -> Pixels | None:
        """The alpha channel, height × width from 0 to 255, a view; None for an opaque format."""
        return self.pixels[:, :, 3] if self.pixels.shape[2] == 4 else None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as the bytes of a file; `media_type` is such as `image/webp`."""

    content: bytes
    media_type: str
    width: int
    height: int


Made: TypeAlias = Picture | Encoded | tuple[Picture, ...]
"""What an operation gives: one picture, one finished file, or several pictures in order."""

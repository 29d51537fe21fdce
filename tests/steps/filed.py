"""Files for steps under test: real storage in a folder, and a count of what was made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image as PillowImage

from waremill.images.reading import identify
from waremill.pipeline import Derivation
from waremill.runs.files import derivation_hash
from waremill.store.assets import Assets

T = TypeVar("T")


class Filed:
    """The files of a context; `made` lists what was derived, each once, `worked` counts what was
    computed for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Derivation] = []
        self.worked = 0
        self._known: dict[bytes, Any] = {}
        self._assets = Assets(str(folder / "files"))

    async def read(self, reference: str) -> bytes:
        return await self._assets.read(reference)

    async def keep(self, content: bytes, media_type: str) -> str:
        return await self._assets.keep(content, media_type)

    async def bring(self, source: str) -> str:
        content = (self.folder / source).read_bytes()
        return await self.keep(content, identify(content).media_type)

    async def derive(self, derivation: Derivation, make: Callable[[], Awaitable[Any]]) -> Any:
        digest = derivation_hash(derivation)
        if digest not in self._known:
            self._known[digest] = await make()
            self.made.append(derivation)
        return self._known[digest]

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        self.worked += 1
        return function(*args)


def as_png(pixels: Any) -> bytes:
    """Write pixels (height × width × 3 or 4) as a PNG file."""
    stream = BytesIO()
    PillowImage.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()

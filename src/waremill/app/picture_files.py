"""Pictures of an export: written beside the file, named by product and field.

A field's value that refers to a stored picture becomes a file and, in the sheet, its path. Each
sheet has a folder of its own, `copy-csv-pictures/` for `copy.csv`: files are named by product and
field, so another run's sheet of the same name would write over them. Pictures that a model made
carry the record of it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from waremill.catalog.publishers import PictureCell, whole_file
from waremill.catalog.publishers.picture_sheet import MOST_SHOWN, SIDE
from waremill.domain import Asset
from waremill.errors import WaremillError
from waremill.store.assets import Assets
from waremill.store.reporting import FinishedItem

_UNSAFE = re.compile(r"[^\w.@+-]+")
_LONGEST_NAME = 180
"""Bytes of a picture's name without its ending: file systems take 255 in all, and a character may
be four of them."""


class PictureFolder:
    """Writes the pictures of one export; a context manager, since thumbnails are temporary."""

    def __init__(self, export: Path, assets: Assets, thumbnails: bool) -> None:
        self._folder = folder_of(export)
        self._assets = assets
        self._wanted = thumbnails
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._names: set[str] = set()
        self._repeats: dict[str, int] = {}
        self._written = 0
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: Any) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()

    def cell(self, item: FinishedItem, field: tuple[str, str], heading: str, run: str) -> Any:
        """Give what stands in the sheet for a value that refers to pictures, writing them.

        `field` is a step's name and its field's; `run` stands in what is written of a model's part.
        """
        value = item.by_step.get(field[0], {}).get(field[1])
        if isinstance(value, list):
            return [
                self._written_picture(item, field[1], f"{heading}-{number}", (one, run))
                for number, one in enumerate(value, 1)
            ]
        return self._written_picture(item, field[1], heading, (value, run))

    def _written_picture(
        self, item: FinishedItem, field: str, heading: str, wanted: tuple[Any, str]
    ) -> Any:
        value, run = wanted
        asset = Asset.parse(value)
        if asset is None:
            return value
        try:
            content = self._assets.read_now(str(asset))
        except WaremillError as error:
            self.notes.append(f"{item.key}: {error}")
            return None
        content = labelled(content, asset, item, field, run)
        name = self._name(item.key, heading, asset.ending)
        path = self._folder / name
        with whole_file(path) as temporary:
            temporary.write_bytes(content)
        self._written += 1
        return PictureCell(f"{self._folder.name}/{name}", self._thumbnail(asset, content))

    def _name(self, key: str, heading: str, ending: str) -> str:
        whole = _UNSAFE.sub("_", f"{key}-{heading}").strip("._")
        stem = whole.encode()[:_LONGEST_NAME].decode("utf-8", "ignore") or "picture"
        name = f"{stem}.{ending}"
        while name.casefold() in self._names:
            repeat = self._repeats[stem.casefold()] = self._repeats.get(stem.casefold(), 1) + 1
            name = f"{stem}-{repeat}.{ending}"
        self._names.add(name.casefold())
        return name

    def _thumbnail(self, asset: Asset, content: bytes) -> Path | None:
        if not self._wanted or self._written > MOST_SHOWN:
            return None
        from waremill.images.encoding import Manner, encode, shrink
        from waremill.images.reading import read_picture

        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="waremill-")
        path = Path(self._temporary.name) / f"{asset.sha256}.png"
        if not path.exists():
            small = shrink(read_picture(content), SIDE)
            path.write_bytes(encode(small, Manner("png")).content)  # what Excel shows everywhere
        return path


def folder_of(export: Path) -> Path:
    """Give the folder for the pictures of a sheet, which no other sheet has."""
    return export.with_name(f"{export.stem}-{export.suffix.removeprefix('.')}-pictures")


def labelled(content: bytes, asset: Asset, item: FinishedItem, field: str, run: str) -> bytes:
    """Write into a picture that a model made or changed it, where one did."""
    found = _made_by(item.provenance, field, set())
    if found is None or not asset.media_type.startswith("image/"):
        return content
    from waremill.images.provenance import Provenance, label

    kind, model = found
    return label(content, Provenance(kind, model, content_id=asset.sha256, run=run), name=item.key)


def _made_by(
    provenance: Mapping[str, Mapping[str, Any]], field: str, seen: set[str]
) -> tuple[Literal["made", "edited"], str] | None:
    """Say how a model took part in a field's picture, through what it was made from."""
    own = provenance.get(field)
    if own is None or field in seen:
        return None
    seen.add(field)
    if (kind := own.get("made_by_model")) in ("made", "edited"):
        return kind, str(own.get("model", ""))
    for other in own.get("pictures", ()):
        found = _made_by(provenance, other, seen)
        if found is not None:
            return "edited", found[1]
    return None


__all__ = ["PictureFolder", "folder_of", "labelled"]

"""Stored files, named by their content."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENDINGS = {
    "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif",
    "image/gif": "gif", "image/tiff": "tif", "image/bmp": "bmp",
}  # fmt: skip
_REFERENCE = re.compile(r"asset:(?P<sha256>[0-9a-f]{64})\.(?P<ending>[a-z0-9]{1,8})")


@dataclass(frozen=True, slots=True)
class Asset:
    """A stored file, named by its content: `asset:<sha256>.<ending>` as a field's value.

    The bytes lie in file storage; whoever has the reference has the hash to check them by.
    """

    sha256: str
    ending: str

    @staticmethod
    def parse(text: object) -> Asset | None:
        """Read a reference; None for anything else."""
        match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
        return Asset(**match.groupdict()) if match is not None else None

    @staticmethod
    def of(sha256: str, media_type: str) -> Asset:
        """Name content of a media type, `image/png` for example; an unknown type ends in `bin`."""
        return Asset(sha256, _ENDINGS.get(media_type, "bin"))

    @property
    def media_type(self) -> str:
        """The media type its ending stands for."""
        kinds = {ending: kind for kind, ending in _ENDINGS.items()}
        return kinds.get(self.ending, "application/octet-stream")

    @property
    def path(self) -> str:
        """Where it lies below the storage's root; two letters a folder keep folders small."""
        return f"{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}.{self.ending}"

    def __str__(self) -> str:
        return f"asset:{self.sha256}.{self.ending}"


def references_in(text: str) -> list[str]:
    """Give every reference that stands anywhere in a text, in order."""
    return [match[0] for match in _REFERENCE.finditer(text)]


def refers(value: object) -> bool:
    """Say whether a field's value refers to a stored file, or is a list in which an entry does."""
    if isinstance(value, str):
        return "asset:" in value and Asset.parse(value.strip()) is not None
    return isinstance(value, list | tuple) and any(map(refers, value))


# What surrounds a separator is stripped, not matched: runs of blanks would be looked at again
# from each of their places.
_BETWEEN = re.compile(r"\n|[|;](?=\s|\Z|https?://)|,(?=\s*https?://)", re.IGNORECASE)
_BETWEEN_PATHS = re.compile(r"[|;]")
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def named_pictures(value: object) -> tuple[str, ...]:
    """Give the paths or addresses a value names pictures by, in order.

    Several stand in a list, or in one cell of a sheet between line ends, `|` or `;`; a comma parts
    them only before an address, since it may be part of a name. Within an address `|` and `;` are
    its own, unless a blank or another address follows.
    """
    entries = value if isinstance(value, list | tuple) else (value,)
    texts = [str(one) for one in entries if one is not None]
    parts = [part.strip() for text in texts for part in _BETWEEN.split(text)]
    named = (
        one for part in parts
        for one in ([part] if _ADDRESS.match(part) else _BETWEEN_PATHS.split(part))
    )  # fmt: skip
    return tuple(one.strip() for one in named if one.strip())

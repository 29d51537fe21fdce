"""An operation applied to a picture: what it makes is labelled as its sources were, and encoded.

The one way from pixels to files, for steps, the command line and the server alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from waremill.images.encoding import Manner, encode
from waremill.images.operation import Operation, Tools
from waremill.images.picture import Encoded, Picture
from waremill.images.provenance import carried

FORMATS: Mapping[str, Literal["jpeg", "png", "webp", "avif"]] = {
    "image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/avif": "avif",
}  # fmt: skip
"""What can be written."""
QUALITY = 92
"""Of results written with loss, which only their media type asks for; `transcode` takes one."""
STORED = Manner("png", srgb=False, keep="profile", quick=True)
"""How what one step makes for the next is kept: without loss, in its own colours."""


def apply(
    operation: Operation[Any],
    picture: Picture,
    options: Any,
    tools: Tools,
    others: Iterable[Picture] = (),
    media_type: str | None = None,
) -> list[Encoded]:
    """Give what an operation makes of a picture as files, mostly one.

    `others` are the pictures among its options. Results that the operation encodes itself stay as
    they are; the rest are written as `media_type` (one of FORMATS; PNG where JPEG cannot hold the
    transparency), or as STORED. Raises what the operation raises.
    """
    made = operation.run(picture, options, tools)
    label = carried((picture, *others))
    parts = made if isinstance(made, tuple) else (made,)
    return [
        part if isinstance(part, Encoded) else encode(part, _manner(part, media_type), label)
        for part in parts
    ]


def _manner(made: Picture, media_type: str | None) -> Manner:
    if media_type is None:
        return STORED
    if media_type == "image/jpeg" and made.alpha is not None:
        media_type = "image/png"
    return Manner(FORMATS[media_type], QUALITY, srgb=False, keep="profile")

"""The check `background-purity`: the background is exactly one colour, also once it is a JPEG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.checks.pictures.draft import Judged, PictureDraft, picture_check, settled
from waremill.domain import Finding
from waremill.images.colour import parse_colour
from waremill.images.measure import background_purity as purity
from waremill.images.measure import background_purity_as_jpeg
from waremill.images.product_masks import find_product

LIMITS = {
    "background": "#ffffff",
    "least_purity": 0.995,
    "least_purity_as_jpeg": 0.995,
    "jpeg_quality": 85,
    "jpeg_tolerance": 2,
}


@picture_check("background-purity", LIMITS)
def background_purity(draft: PictureDraft, limits: Mapping[str, Any]) -> Judged:
    """Find backgrounds that are not of the colour wanted.

    `background` ("#ffffff") is that colour; `least_purity` (0.995) the share of the pixels off the
    product that must have exactly it; `least_purity_as_jpeg` (0.995) the share after writing the
    picture as JPEG with `jpeg_quality` (85), where `jpeg_tolerance` (2) steps of 255 are forgiven.
    """
    chosen = settled(LIMITS, limits)
    wanted = parse_colour(chosen["background"])
    mask = find_product(draft.picture, draft.mask)
    if mask is None:
        message = f"the background is not plain; it must be {chosen['background']}"
        return Judged((Finding(draft.field, "background-purity", "error", message),))
    exact = purity(draft.picture, wanted, mask)
    if exact is None:
        return Judged()
    if exact < chosen["least_purity"]:
        message = (
            f"{_percent(exact)} of the background is exactly {chosen['background']}, at least "
            f"{_percent(chosen['least_purity'])} must be"
        )
        return Judged((Finding(draft.field, "background-purity", "error", message),))
    as_jpeg = background_purity_as_jpeg(
        draft.picture,
        wanted,
        mask,
        quality=int(chosen["jpeg_quality"]),
        tolerance=int(chosen["jpeg_tolerance"]),
    )
    if as_jpeg is None or as_jpeg >= chosen["least_purity_as_jpeg"]:
        return Judged()
    message = (
        f"as a JPEG only {_percent(as_jpeg)} of the background stays {chosen['background']} within "
        f"{chosen['jpeg_tolerance']:g} steps of 255, at least "
        f"{_percent(chosen['least_purity_as_jpeg'])} must; use a higher quality"
    )
    return Judged((Finding(draft.field, "background-purity", "error", message),))


def _percent(share: float) -> str:
    """Write a share so that what is not everything does not read 100 %."""
    shown = f"{share * 100:.1f}"
    return f"{'99.9' if shown == '100.0' and share < 1 else shown} %".replace(".0 %", " %")

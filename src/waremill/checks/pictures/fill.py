"""The check `fill`: the product is neither small in the frame nor squeezed into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.checks.pictures.draft import (
    Judged,
    PictureDraft,
    not_checked,
    picture_check,
    settled,
)
from waremill.domain import Finding
from waremill.images.measure import fill as measured
from waremill.images.product_masks import find_product

LIMITS = {"least_fill": 0.5, "most_fill": 0.98}


@picture_check("fill", LIMITS)
def fill(draft: PictureDraft, limits: Mapping[str, Any]) -> Judged:
    """Find products that fill too little or too much of the frame.

    What is measured is the larger of the product's width to the picture's width and its height to
    the picture's height: at least `least_fill` (0.5), at most `most_fill` (0.98).
    """
    chosen = settled(LIMITS, limits)
    mask = find_product(draft.picture, draft.mask)
    found = None if mask is None else measured(mask)
    if mask is None:
        why = "the product cannot be told from the background; give its mask"
        return not_checked(draft, "fill", why)
    if found is None:
        message = "there is no product in the picture"
        return Judged((Finding(draft.field, "fill", "error", message),))
    if chosen["least_fill"] <= found.side <= chosen["most_fill"]:
        return Judged()
    bound = (
        f"at least {chosen['least_fill']:.0%} is wanted"
        if found.side < chosen["least_fill"]
        else f"at most {chosen['most_fill']:.0%} is allowed"
    )
    message = f"the product takes {found.side:.0%} of the frame, {bound}"
    return Judged((Finding(draft.field, "fill", "error", message, f"{found.side:.3f}"),))

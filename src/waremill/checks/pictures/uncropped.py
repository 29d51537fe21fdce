"""The check `uncropped`: the frame cuts nothing off the product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.checks.pictures.draft import Judged, PictureDraft, not_checked, picture_check
from waremill.domain import Finding
from waremill.images.measure import fill
from waremill.images.product_masks import find_product


@picture_check("uncropped", {})
def uncropped(draft: PictureDraft, limits: Mapping[str, Any]) -> Judged:
    """Find products that go on beyond the picture's frame: they lie along a side of it."""
    mask = find_product(draft.picture, draft.mask)
    if mask is None:
        why = "the product cannot be told from the background; give its mask"
        return not_checked(draft, "uncropped", why)
    found = fill(mask)
    if found is None or not found.cut:
        return Judged()
    sides = " and ".join(found.cut)
    message = f"the product is cut off at the {sides} of the picture; leave room around it"
    return Judged((Finding(draft.field, "uncropped", "error", message, sides),))

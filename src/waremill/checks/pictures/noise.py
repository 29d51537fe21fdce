"""The check `noise`: the picture is not grainy.

A hint only: fabric and knitwear look like noise to it (`images.measure.noise`), up to about 7 steps
of 255 on the product photographs it was tried on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.checks.pictures.draft import Judged, PictureDraft, picture_check, settled
from waremill.domain import Finding
from waremill.images.measure import noise as measured
from waremill.images.product_masks import find_product

LIMITS = {"most_noise": 9.0}


@picture_check("noise", LIMITS)
def noise(draft: PictureDraft, limits: Mapping[str, Any]) -> Judged:
    """Find grainy pictures; on the product alone where it can be told from the background.

    `most_noise` (9) is the noise's standard deviation in steps of 255.
    """
    chosen = settled(LIMITS, limits)
    found = measured(draft.picture, find_product(draft.picture, draft.mask))
    if found is None or found <= chosen["most_noise"]:
        return Judged()
    message = (
        f"the picture is grainy: noise of {found:.1f} steps of 255, at most "
        f"{chosen['most_noise']:g} is allowed"
    )
    return Judged((Finding(draft.field, "noise", "warning", message, f"{found:.1f}"),))

"""The check `resolution`: the picture has enough pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.checks.pictures.draft import Judged, PictureDraft, picture_check, settled
from waremill.domain import Finding

LIMITS = {"least_side": 500, "least_long_side": 1000}


@picture_check("resolution", LIMITS)
def resolution(draft: PictureDraft, limits: Mapping[str, Any]) -> Judged:
    """Find pictures that are too small.

    `least_side` (500) are the pixels the shorter side needs, `least_long_side` (1000) those of the
    longer one, from which on shops offer a zoom.
    """
    chosen = settled(LIMITS, limits)
    sides = sorted((draft.picture.width, draft.picture.height))
    size = f"{draft.picture.width} × {draft.picture.height}"
    wants = (("shorter", sides[0], "least_side"), ("longer", sides[1], "least_long_side"))
    for which, pixels, name in wants:
        if pixels < chosen[name]:
            message = (
                f"the picture is {size} pixels; its {which} side needs at least {chosen[name]:g}"
            )
            return Judged((Finding(draft.field, "resolution", "error", message, size),))
    return Judged()

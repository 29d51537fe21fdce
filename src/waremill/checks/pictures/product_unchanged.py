"""The check `product-unchanged`: the product is the one of the picture before.

See `images.unchanged` for how it is found again and compared, and for how often that is right. The
map over the product shows where it differs.
"""

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
from waremill.errors import SourceError
from waremill.images.unchanged import Tolerance, compare

_USUAL = Tolerance()
LIMITS = {
    "most_colour_change": _USUAL.colour,
    "most_patch_change": _USUAL.patch,
    "most_spots_change": _USUAL.spots,
    "most_structure_change": _USUAL.structure,
    "most_edge_change": _USUAL.edges,
    "most_outline_change": _USUAL.outline,
    "most_cut_off": _USUAL.cut,
    "least_text_likeness": _USUAL.text,
    "compare_text": True,
}


@picture_check("product-unchanged", LIMITS)
def product_unchanged(draft: PictureDraft, limits: Mapping[str, Any]) -> Judged:
    """Find what became of the product: another colour, another shape, lost or new print.

    `most_colour_change` (ΔE 2000 that half of the product may be off), `most_patch_change` and
    `most_spots_change` (shares of it that may be of another colour, in one place and together),
    `most_structure_change` (share of another structure), `most_edge_change` (share of its lines
    lost or new), `most_outline_change` (share by which the masks differ, where the draft has the
    new one), `most_cut_off` (share outside the picture), `least_text_likeness` (0 to 1).
    `compare_text` (true) reads its text as well, where a reader is installed.
    """
    chosen = settled(LIMITS, limits)
    if draft.before is None:
        return not_checked(draft, "product-unchanged", "there is no picture of the product before")
    tolerance = Tolerance(
        colour=chosen["most_colour_change"],
        patch=chosen["most_patch_change"],
        spots=chosen["most_spots_change"],
        structure=chosen["most_structure_change"],
        edges=chosen["most_edge_change"],
        outline=chosen["most_outline_change"],
        cut=chosen["most_cut_off"],
        text=chosen["least_text_likeness"],
    )
    try:
        found = compare(
            draft.before,
            draft.picture,
            mask=draft.before_mask,
            after_mask=draft.mask,
            tolerance=tolerance,
            threads=draft.threads,
            with_text=chosen["compare_text"],
        )
    except SourceError as error:
        return not_checked(draft, "product-unchanged", error.message)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in found.figures.items())
    findings = tuple(
        Finding(draft.field, "product-unchanged", "error", change, figures)
        for change in found.changes
    )
    return Judged(findings, found.map)

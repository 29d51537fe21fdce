"""The check `no-overlaid-text`: nothing is written over the picture, no price, no watermark.

Print on the product is not meant. It is told apart by the product's mask, so a watermark that lies
wholly on the product passes; without a mask every text is only a hint. Text is read by RapidOCR
where that package is installed (`images.text_reading`); without it the check says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waremill.checks.pictures.draft import Judged, PictureDraft, not_checked, picture_check
from waremill.domain import Finding, Severity
from waremill.images.product_masks import find_product, large_parts
from waremill.images.text_reading import off_product, read_text

_SHOWN = 3


@picture_check("no-overlaid-text", {})
def no_overlaid_text(draft: PictureDraft, limits: Mapping[str, Any]) -> Judged:
    """Find text written over the picture: lines of which a third or more is off the product.

    Single characters are left out, for texture is taken for them. Where no mask is given, the
    product are the large connected parts that differ from a plain background.
    """
    lines = read_text(draft.picture, threads=draft.threads)
    if lines is None:
        why = "no reader of text is installed; install the package rapidocr"
        return not_checked(draft, "no-overlaid-text", why)
    lines = tuple(line for line in lines if len(line.text.strip()) > 1)
    mask = find_product(draft.picture, draft.mask)
    if mask is not None and draft.mask is None:
        mask = large_parts(mask)
    if mask is not None:
        lines = off_product(lines, mask)
    if not lines:
        return Judged()
    shown = ", ".join(f"“{line.text}”" for line in lines[:_SHOWN])
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    if mask is None:
        message = f"there is text in the picture, on the product or over it: {shown}{more}"
    else:
        message = f"text is written over the picture: {shown}{more}; leave it out"
    severity: Severity = "warning" if mask is None else "error"
    evidence = " | ".join(line.text for line in lines)
    return Judged((Finding(draft.field, "no-overlaid-text", severity, message, evidence),))

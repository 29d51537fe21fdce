"""What every text must be before it is kept."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """Replace what no database keeps by U+FFFD: NUL, and halves of surrogate pairs."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)

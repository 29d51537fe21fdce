"""Suggestions for names that nothing answers to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str:
    """Give “, did you mean …?” where a known name is close, else an empty text."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean “{close[0]}”?" if close else ""

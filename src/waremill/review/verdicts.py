"""The words of a review: verdicts, reasons, and which state a verdict leads to.

Pure. What nobody judged keeps its state: silence never publishes.
"""

from __future__ import annotations

from typing import Final, Literal

from waremill.errors import ConfigError

Verdict = Literal["accept", "reject", "edit"]
REASONS: Final = (
    "wrong-fact",
    "invented",
    "language",
    "style",
    "too-long",
    "forbidden",
    "other",
)
"""Why something is rejected, in the words that are counted."""
WAITING: Final = ("review", "ready")
"""States that wait for a verdict; bulk verdicts and lots act on these alone."""
PUBLISHABLE: Final = ("accepted", "edited")
"""States whose values may be published."""
DECIDED: Final = (*PUBLISHABLE, "rejected")
_LONGEST_NOTE = 2_000


def state_after(verdict: Verdict, before: str) -> str:
    """Give the state a verdict leads to; accepting what a person edited leaves it edited."""
    if verdict == "reject":
        return "rejected"
    if verdict == "edit":
        return "edited"
    return "edited" if before == "edited" else "accepted"


def why(reason: str, note: str | None) -> str:
    """Write a typed reason with its note, as `wrong-fact: the bottle holds 50 ml`.

    Raises ConfigError for a reason that is not in the list.
    """
    if reason not in REASONS:
        raise ConfigError(f"“{reason}” is not a reason; there are {', '.join(REASONS)}")
    note = " ".join((note or "").split())[:_LONGEST_NOTE]
    return f"{reason}: {note}" if note else reason


def split_reason(text: str | None) -> tuple[str | None, str | None]:
    """Take a reason and its note apart again."""
    if text is None:
        return None, None
    reason, _, note = text.partition(": ")
    return reason, note or None

"""Rules that stop a run before it burns its budget on failures."""

from __future__ import annotations

import re
from collections import deque

from waremill.errors import LimitReached, Rejected

REJECTED_IN_A_ROW = 5
"""The same rejection this often, one after the other, is the run's fault and not an item's."""


_REQUEST_ID = re.compile(r"\b(?=[\w-]*\d)[\w-]{12,}\b")
"""What a vendor writes into each message anew: long words with digits. Short numbers are left:
they tell items apart that are rejected each for its own length."""


class StopRules:
    """Watches finished items; `failed` says why the run should stop, or None."""

    def __init__(self, share: float, window: int = 100, least: int = 30) -> None:
        self._share = share
        self._least = least
        self._recent: deque[bool] = deque(maxlen=window)
        self._rejection = ""
        self._rejections = 0

    def succeeded(self) -> None:
        """Count an item that did not fail."""
        self._recent.append(False)
        self._rejections = 0

    def failed(self, error: BaseException) -> LimitReached | None:
        """Count a failed item; give the limit it reached, if any."""
        self._recent.append(True)
        if isinstance(error, Rejected):
            cause = _REQUEST_ID.sub("#", str(error))
            self._rejections = self._rejections + 1 if cause == self._rejection else 1
            self._rejection = cause
            if self._rejections >= REJECTED_IN_A_ROW:
                return LimitReached(
                    f"the endpoint rejected {self._rejections} items running: {error}",
                    limit="rejections",
                )
        bad = sum(self._recent)
        if len(self._recent) >= self._least and bad > self._share * len(self._recent):
            return LimitReached(
                f"{bad} of the last {len(self._recent)} items failed, the last one with: {error}",
                limit="error rate",
            )
        return None

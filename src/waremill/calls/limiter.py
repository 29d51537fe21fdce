"""How many calls may be in flight to one endpoint, learned from how it answers.

Additive increase, multiplicative decrease (Chiu and Jain 1989): a 429 halves the limit once per
burst, every success lets it grow by 1/limit, 5xx only pauses growth. Pauses are counted in replies
and not in seconds, so that a steady share of faults cannot hold a fast endpoint at one call.
Latency counts too, since self-hosted servers queue and never say 429: as seconds an output token,
so that short and long replies of one model can be compared, and never below a quarter of the limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

SLOW = 4.0
"""A smoothed pace this many times the best smoothed one cuts the limit by a tenth."""
START_TOKENS = 40
"""What reading a prompt counts as, in output tokens, when paces are compared."""
FORGET = 1.002
"""The best pace is forgotten by this factor a reply, so that an old best cannot hold for ever."""


class Limiter:
    """A semaphore whose size adapts between 1 and `most`."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self.limit = float(most)
        self.flying = 0
        self._clock = clock
        self._queue: deque[asyncio.Future[None]] = deque()
        self._last_cut = float("-inf")
        self._quiet = 0  # replies to come before the limit grows again
        self._closed_until = float("-inf")
        self._smooth = 0.0
        self._best = float("inf")
        self._seen = 0

    async def acquire(self) -> float:
        """Wait for a place in flight; give the time it was got."""
        if self.flying >= int(self.limit) or self._queue:
            place = asyncio.get_running_loop().create_future()
            self._queue.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._leave()
                raise
        else:
            self.flying += 1
        while (wait := self._closed_until - self._clock()) > 0:
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self._leave()
                raise
        return self._clock()

    def succeeded(self, latency: float, tokens: int = 0) -> None:
        """Leave after a reply that took `latency` seconds and wrote `tokens` tokens."""
        now = self._clock()
        self._seen += 1
        weight = 0.1 if self._seen > 10 else 1 / self._seen
        self._smooth += weight * (latency / (tokens + START_TOKENS) - self._smooth)
        if self._seen >= 10:
            self._best = min(self._best * FORGET, self._smooth)
        slow = self._seen > 50 and self._smooth > SLOW * self._best
        if slow and now - self._last_cut > 1.0 and self.limit > self.most / 4:
            self._cut(now, 0.9)
        elif self._quiet > 0:
            self._quiet -= 1
        elif self.limit < self.most:
            self.limit = min(float(self.most), self.limit + 1.0 / self.limit)
        self._leave()

    def rate_limited(self, started: float, retry_after: float | None) -> None:
        """Leave after a 429 to a call that was sent at `started`; one burst cuts once."""
        now = self._clock()
        if started > self._last_cut:
            self._cut(now, 0.5)
        if retry_after:
            self._closed_until = max(self._closed_until, now + min(retry_after, 120.0))
        self._leave()

    def unavailable(self) -> None:
        """Leave after a 5xx, a time-out or a cut connection."""
        self._quiet = int(self.limit)  # one round of replies
        self._leave()

    def left(self) -> None:
        """Leave after a reply that says nothing about load."""
        self._leave()

    def _cut(self, now: float, factor: float) -> None:
        self.limit = max(1.0, self.limit * factor)
        self._last_cut = now
        self._quiet = int(self.limit)

    def _leave(self) -> None:
        self.flying -= 1
        while self._queue and self.flying < int(self.limit):
            place = self._queue.popleft()
            if not place.done():
                self.flying += 1
                place.set_result(None)

"""Requests and tokens per minute, drawn from the database in slices of about a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

DrawRate = Callable[[float, float], Awaitable[float]]
"""Draws seconds of the request and of the token limit; gives the seconds to wait before use.

Below zero nothing was drawn, and after so many seconds it may be tried again."""
SLICE = 1.0
"""Seconds of a limit drawn at once."""


class Rate:
    """One process's share of an account's limits per minute; None means no limit."""

    def __init__(self, rpm: int | None, tpm: int | None, draw: DrawRate) -> None:
        self._rpm = rpm
        self._tpm = tpm
        self._draw = draw
        self._requests = 0.0
        self._tokens = 0.0
        self._lock = asyncio.Lock()

    async def take(self, tokens: int) -> float | None:
        """Wait until one request of `tokens` tokens may be sent; give how many seconds that took.

        None where there is no limit to wait for.
        """
        if self._rpm is None and self._tpm is None:
            return None
        began = time.monotonic()
        async with self._lock:
            requests = self._missing(self._rpm, 1.0 - self._requests)
            wanted = self._missing(self._tpm, tokens - self._tokens)
            if requests or wanted:
                slices = (requests * 60 / (self._rpm or 1), wanted * 60 / (self._tpm or 1))
                wait = await self._draw(*slices)
                while wait < 0:
                    await asyncio.sleep(-wait)
                    wait = await self._draw(*slices)
                self._requests += requests
                self._tokens += wanted
                if wait > 0:
                    await asyncio.sleep(wait)
            self._requests -= 1.0
            self._tokens -= tokens
        return time.monotonic() - began

    def settle(self, reserved: int, used: int) -> None:
        """Give back the tokens a reply did not use, for the next calls of this process."""
        if self._tpm is not None:
            self._tokens = min(self._tokens + reserved - used, self._tpm / 60 * 2)

    @staticmethod
    def _missing(limit: int | None, amount: float) -> float:
        if limit is None or amount <= 0:
            return 0.0
        return max(amount, float(int(limit / 60 * SLICE)))

"""A run's money: slices drawn from the run's row, reservations, settlements.

A reservation is the most a call can cost; it is settled to what it did cost. The sum of what every
process drew never exceeds the budget, and what a dead process did not return counts as spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from waremill.errors import LimitReached

Draw = Callable[[int], Awaitable[bool]]
"""Draws an amount in nano-USD from the run; False when that much is not left."""


SLICES = 64
"""Into how many slices a budget is cut."""


class Budget:
    """One process's share of a run's budget; amounts are nano-USD.

    `parts` is how many processes share it from the start: the more they are, the smaller are their
    slices, so that together they hold little that they do not need. `whose` names the budget that
    refused last, for the message.
    """

    whose = "the budget"

    def __init__(self, total: int, draw: Draw, parts: int = 1) -> None:
        self._draw = draw
        self._slice = max(1, total // (SLICES * max(parts, 1)))
        self.available = 0
        self._reserved = 0
        self._settled = asyncio.Event()
        self._drawing = asyncio.Lock()

    async def reserve(self, amount: int) -> None:
        """Set an amount aside, or raise LimitReached when the run cannot afford it any more."""
        while amount > self.available:
            async with self._drawing:
                if amount <= self.available:
                    break
                missing = amount - self.available
                for size in dict.fromkeys((max(missing, self._slice), missing)):
                    if await self._draw(size):
                        self.available += size
                        break
                else:
                    if amount <= self.available:  # a call was settled while we asked
                        break
                    if not self._reserved:
                        raise LimitReached(
                            f"{self.whose} does not cover the next call", limit="budget"
                        )
                    self._settled.clear()
            if amount > self.available:
                await self._settled.wait()
        self.available -= amount
        self._reserved += amount

    def settle(self, reserved: int, cost: int) -> None:
        """Give back what a reservation did not use; `cost` above it is taken from the slice."""
        self._reserved -= reserved
        self.available += reserved - cost
        self._settled.set()

    async def offer(self, amount: int) -> bool:
        """Set an amount aside for long, if the run can afford it now; see `release`.

        Nobody who reserves waits for it: a batch may take a day.
        """
        async with self._drawing:
            missing = amount - self.available
            if missing > 0:
                for size in dict.fromkeys((max(missing, self._slice), missing)):
                    if await self._draw(size):
                        self.available += size
                        break
            if amount > self.available:
                return False
            self.available -= amount
            return True

    def release(self, offered: int, cost: int) -> None:
        """Give back what is left of an offer, also of one that another process made."""
        self.available += offered - cost
        self._settled.set()

    def unspent(self) -> int:
        """Give what may be returned to the run when the process stops working it."""
        return self.available

"""How often somebody may try to sign in: per address and per name, in memory of bounded size."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil

from waremill.errors import UserError, Where

ALLOWED, WINDOW = 5, 60.0
"""So many wrong attempts in so many seconds."""
REMEMBERED = 10_000
"""Names and addresses that are remembered at most; the one not tried for longest goes first."""


class TooManyAttempts(UserError):
    """Too many wrong sign-ins; `retry_after` is in whole seconds."""

    retry_after: int

    def __init__(self, message: str, where: Where | None = None, retry_after: int = 60) -> None:
        super().__init__(message, where)
        self.retry_after = self._fields["retry_after"] = retry_after


class Attempts:
    """Counts attempts. One counts as wrong from its start until it is said to have succeeded.

    So a hundred at once get no more tries than a hundred one after another.
    """

    def __init__(
        self, *, remembered: int = REMEMBERED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remembered = remembered
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def start(self, name: str | None, address: str | None) -> None:
        """Note an attempt. Raises TooManyAttempts where five were wrong within a minute."""
        now = self._clock()
        keys = _keys(name, address)
        waits = [self._wait(key, now) for key in keys]
        if (longest := max(waits, default=0.0)) > 0:
            seconds = ceil(longest)
            raise TooManyAttempts(
                f"too many wrong sign-ins; try again in {seconds} s", retry_after=seconds
            )
        for key in keys:
            self._times.setdefault(key, deque(maxlen=ALLOWED)).append(now)
            self._times.move_to_end(key)
        while len(self._times) > self._remembered:
            self._times.popitem(last=False)

    def succeeded(self, name: str | None, address: str | None) -> None:
        """Take an attempt back that was right, and forget the name's wrong ones."""
        by_name, *by_address = _keys(name, None) + _keys(None, address)
        self._times.pop(by_name, None)
        for key in by_address:
            if times := self._times.get(key):
                times.pop()

    def _wait(self, key: str, now: float) -> float:
        times = self._times.get(key)
        while times and times[0] <= now - WINDOW:
            times.popleft()
        return times[0] + WINDOW - now if times and len(times) >= ALLOWED else 0.0


def _keys(name: str | None, address: str | None) -> list[str]:
    keys = [] if name is None else [f"name {name}"]
    return keys if address is None else [*keys, f"address {_network(address)}"]


def _network(address: str) -> str:
    """Give an address; for IPv6 its /64, which one customer has to himself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)

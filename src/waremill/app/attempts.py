"""How often somebody may try to sign in, in memory of bounded size.

Wrong tries are counted three ways. For one name from one address few are allowed: who guesses there
keeps out nobody but those at the same address. For one name from anywhere more are, so that a guess
from many addresses is slow; and from one address more still, since behind a proxy that is not
trusted, and in one office, all have the one.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil

from waremill.errors import UserError, Where

WINDOW = 60.0
"""The seconds in which wrong attempts are counted."""
ALLOWED, BY_NAME, BY_ADDRESS = 5, 20, 50
"""So many of them: for a name from an address, for a name, and from an address."""
REMEMBERED = 10_000
"""Names, addresses and pairs remembered at most; the one not tried for longest goes first."""


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
        self._times: OrderedDict[_Key, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def start(self, name: str | None, address: str | None) -> None:
        """Note an attempt. Raises TooManyAttempts where as many as allowed were wrong."""
        now = self._clock()
        keys = _keys(name, address)
        waits = [self._wait(key, allowed, now) for key, allowed in keys.items()]
        if (longest := max(waits, default=0.0)) > 0:
            seconds = ceil(longest)
            raise TooManyAttempts(
                f"too many wrong sign-ins; try again in {seconds} s", retry_after=seconds
            )
        for key in keys:
            self._times.setdefault(key, deque()).append(now)
            self._times.move_to_end(key)
        while len(self._times) > self._remembered:
            self._times.popitem(last=False)

    def succeeded(self, name: str | None, address: str | None) -> None:
        """Take an attempt back that was right, and forget the name's wrong ones from there.

        Those from other addresses stay: that somebody signs in rightly makes them no better.
        """
        for key, allowed in _keys(name, address).items():
            if allowed == ALLOWED:
                self._times.pop(key, None)
            elif times := self._times.get(key):
                times.pop()

    def _wait(self, key: _Key, allowed: int, now: float) -> float:
        times = self._times.get(key)
        while times and times[0] <= now - WINDOW:
            times.popleft()
        return times[0] + WINDOW - now if times and len(times) >= allowed else 0.0


_Key = tuple[str | None, str | None]
"""A name and an address; None is any."""


def _keys(name: str | None, address: str | None) -> dict[_Key, int]:
    """Give what an attempt is counted under, and how many are allowed there."""
    place = "" if address is None else _network(address)
    keys: dict[_Key, int] = {}
    if name is not None:
        keys |= {(name, place): ALLOWED, (name, None): BY_NAME}
    if place:
        keys[None, place] = BY_ADDRESS
    return keys


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

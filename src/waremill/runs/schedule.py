"""When a schedule comes due, and what is decided about a slot: pure, all state is handed in.

A *slot* is a moment at which a schedule is due, in Unix seconds. APScheduler reads the cron line;
here it only ever sees a wall clock without a time zone, so that what a change of the clocks does is
decided here: an hour that is skipped puts its slots off by as much, an hour that comes twice counts
once, and a line for every hour goes by real hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from waremill.errors import ConfigError

Overlap = Literal["skip", "queue"]
CatchUp = Literal["once", "none"]
Only = Literal["new", "changed", "empty"]
OVERLAPS, CATCH_UPS, ONLY = get_args(Overlap), get_args(CatchUp), get_args(Only)
GRACE_SECONDS = 60.0
"""A slot that is seen so late is on time: another server took over, or this one was restarted."""
MOST_COUNTED = 10_000
"""Missed slots that are counted one by one."""
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_CALLED = ("minute", "hour", "day of the month", "month", "weekday")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""A cron line's weekdays: 0 and 7 are Sunday."""
_WINDOWS = (3600.0, 86_400.0, 32 * 86_400.0, 370 * 86_400.0, 9 * 370 * 86_400.0)
"""How far back the newest slot is looked for; a 29 February may be eight years away."""


class Cron:
    """A cron line in a time zone; `after` gives the slots one by one."""

    def __init__(self, text: str, zone: str) -> None:
        self.text, self.zone = text, zone
        self._zone = _zone(zone)
        fields = _fields(text)
        self._hourly = fields[1].startswith("*")
        self._triggers = _triggers(text, fields)

    def after(self, moment: float) -> float | None:
        """Give the first slot after a moment, in Unix seconds; None where none ever comes."""
        return self._real(moment) if self._hourly else self._by_wall(moment)

    def _by_wall(self, moment: float) -> float | None:
        wall: datetime | None = datetime.fromtimestamp(moment, self._zone).replace(tzinfo=None)
        while wall is not None and (wall := self._next(wall)) is not None:
            # An hour that comes twice is its first; in one that does not come the clock's old
            # offset still holds, which puts the slot off by what the clock is put on.
            found = wall.replace(tzinfo=self._zone, fold=0).timestamp()
            if found > moment:
                return found
        return None

    def _real(self, moment: float) -> float | None:
        """Give the next slot by real hours, over a change of the clocks as well."""
        offset = self._offset(moment)
        found = self._shifted(moment, offset)
        if found is None or self._offset(found) == offset:
            return found
        before, after = moment, found
        while after - before > 1:  # when the clocks change, to the second
            middle = (before + after) // 2
            before, after = (middle, after) if self._offset(middle) == offset else (before, middle)
        return self._shifted(after - 1, self._offset(after))

    def _shifted(self, moment: float, offset: timedelta) -> float | None:
        wall = (datetime.fromtimestamp(moment, UTC) + offset).replace(tzinfo=None)
        found = self._next(wall)
        return None if found is None else (found - offset).replace(tzinfo=UTC).timestamp()

    def _offset(self, moment: float) -> timedelta:
        return datetime.fromtimestamp(moment, self._zone).utcoffset() or timedelta()

    def _next(self, wall: datetime) -> datetime | None:
        start = wall.replace(microsecond=0, tzinfo=UTC) + timedelta(seconds=1)
        found = [one.get_next_fire_time(None, start) for one in self._triggers]
        known = [one for one in found if one is not None]
        return min(known).replace(tzinfo=None) if known else None


@lru_cache(maxsize=256)
def parse_cron(text: str, zone: str) -> Cron:
    """Read a cron line of five fields, or one such as `@daily`, in a time zone.

    Weekdays are 0 to 7 from Sunday to Sunday; where both days are restricted either will do, as
    with cron. Raises ConfigError, which says what cannot be read.
    """
    return Cron(text, zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"there is no time zone “{name}”; write one such as Europe/Berlin or UTC"
        ) from None


def _fields(text: str) -> tuple[str, ...]:
    fields = tuple(_MACROS.get(text.strip().lower(), text).lower().split())
    if len(fields) != len(_FIELDS):
        raise ConfigError(
            f"the cron line “{text}” has {len(fields)} fields and needs five: minute, hour, day, "
            "month, weekday, as in “0 3 * * *”"
        )
    return fields


def _triggers(text: str, fields: Sequence[str]) -> list[Any]:
    from apscheduler.triggers.cron import CronTrigger

    values = dict(zip(_FIELDS, fields, strict=True))
    for name, called in zip(_FIELDS, _CALLED, strict=True):
        try:
            if name == "day_of_week":
                values[name] = _weekdays(values[name])
            CronTrigger(timezone=UTC, **{name: values[name]})
        except (ValueError, TypeError):
            given = fields[_FIELDS.index(name)]
            raise ConfigError(
                f"the cron line “{text}” cannot be read: “{given}” is no {called}"
            ) from None
    if not any(fields[place].startswith("*") for place in (2, 4)):
        either = ({**values, "day_of_week": "*"}, {**values, "day": "*"})
        return [CronTrigger(timezone=UTC, second=0, **one) for one in either]
    return [CronTrigger(timezone=UTC, second=0, **values)]


def _weekdays(text: str) -> str:
    """Write weekdays by name: APScheduler counts them from Monday."""
    found: list[str] = []
    for part in text.split(","):
        days, slash, step = part.partition("/")
        low, dash, high = days.partition("-")
        if not (low.isdecimal() or low in _DAYS):
            found.append(part)
            continue
        first = _day(low)
        last = _day(high) if dash else (first + 6 if slash else first)
        if int(step or 1) < 1:
            raise ValueError(part)
        last += 7 if last < first else 0  # as sat-mon
        found += [_DAYS[day % 7] for day in range(first, last + 1, int(step or 1))]
    return ",".join(dict.fromkeys(found))


def _day(text: str) -> int:
    day = int(text) if text.isdecimal() else _DAYS.index(text)
    if day > 7:
        raise ValueError(text)
    return day


# What is due.


@dataclass(frozen=True, slots=True)
class Due:
    """What came of a look at the clock.

    `slot` is to be fired now; None where nothing is. `missed` slots, the last of them at
    `last_missed`, passed while nobody looked; `late` says that `slot` is one of them, made up for.
    `next_at` is when to look again; None where no slot comes any more.
    """

    slot: float | None
    next_at: float | None
    missed: int = 0
    last_missed: float | None = None
    late: bool = False


def look(cron: Cron, next_at: float, now: float, catch_up: CatchUp) -> Due:
    """Decide what is due at a moment, where `next_at` is the first slot that was not seen yet.

    A clock that was put back makes the slots after it due again; that one is never fired twice is
    for the caller, who has a row for each.
    """
    if next_at > now:
        first = cron.after(now)
        return Due(None, first if first is not None and first < next_at else next_at)
    newest, count = _newest(cron, next_at, now)
    following = cron.after(now)
    if now - newest <= GRACE_SECONDS:
        before = count - 1
        last = _before(cron, next_at, newest) if before else None
        return Due(newest, following, before, last)
    if catch_up == "once":
        return Due(newest, following, count, newest, late=True)
    return Due(None, following, count, newest)


def _newest(cron: Cron, first: float, now: float) -> tuple[float, int]:
    """Give the last slot up to now and how many there are from `first` on, at most some."""
    newest, count = first, 1
    while count < MOST_COUNTED and (found := cron.after(newest)) is not None and found <= now:
        newest, count = found, count + 1
    if count < MOST_COUNTED:
        return newest, count
    return _before(cron, first, now + 1), count


def _before(cron: Cron, first: float, moment: float) -> float:
    """Give the last slot before a moment; `first` is one."""
    for window in _WINDOWS:
        start = cron.after(max(first, moment - window) - 1)
        if start is None or start >= moment:
            continue
        found = start
        while (later := cron.after(found)) is not None and later < moment:
            found = later
        return found
    return first


# What is decided about a slot.


@dataclass(frozen=True, slots=True)
class Gate:
    """What a trial must show: so many right of those compared, or without gold, sound."""

    size: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What a trial showed: `good` of `count`; `compared` with gold or marks, else by findings."""

    good: float
    count: int
    compared: bool


def refused(gate: Gate, shown: Shown) -> str | None:
    """Say why a trial does not let its run start; None where it does."""
    if not shown.count:
        return "the trial finished no item, so nothing is known of the accuracy"
    if shown.good >= gate.accuracy:
        return None
    share, wanted = f"{shown.good:.1%}", f"{gate.accuracy:.1%}"
    if shown.compared:
        return f"the trial's accuracy is {share} of {shown.count} values, below the {wanted} asked"
    return (
        f"{share} of the trial's {shown.count} items are without an error, below the {wanted} asked"
    )


def too_dear(expected: float | None, budget: float, currency: str) -> str | None:
    """Say why an estimate does not let a run start; None where it does."""
    if expected is None or expected <= budget:
        return None
    return f"it would cost about {expected:.4g} {currency}, above the budget of {budget:g}"


__all__ = [
    "CATCH_UPS",
    "ONLY",
    "OVERLAPS",
    "CatchUp",
    "Cron",
    "Due",
    "Gate",
    "Only",
    "Overlap",
    "Shown",
    "look",
    "parse_cron",
    "refused",
    "too_dear",
]

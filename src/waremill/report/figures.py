"""Numbers as people read them, each with its unit. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from waremill.report.data import Interval, Unit

THIN = "\u202f"
MISSING = "–"


def count(value: float | None) -> str:
    """Show a count with thousands marked: `12,480`."""
    return MISSING if value is None else f"{value:,.0f}"


def short_count(value: float | None) -> str:
    """Show a large count in three figures: `12.5 k`, `3.41 M`."""
    if value is None:
        return MISSING
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (10 if name == "k" else 1):
            return f"{significant(value / size)}{THIN}{name}"
    return count(value)


def significant(value: float, figures: int = 3) -> str:
    """Show a number in so many significant figures, never in scientific notation."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    decimals = max(0, figures - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 9)}f}"


def seconds(value: float | None) -> str:
    """Show a duration: `0.84 s`, `42 s`, `38 min 12 s`, `5 h 03 min`, `2 d 4 h`."""
    if value is None:
        return MISSING
    if value < 1:
        return f"{value * 1000:.0f}{THIN}ms"
    if value < 10:
        return f"{value:.1f}{THIN}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}{THIN}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02}{THIN}s"
    hours, minutes = divmod(round(value / 60), 60)
    if hours < 48:
        return f"{hours}{THIN}h {minutes:02}{THIN}min"
    days, hours = divmod(round(value / 3600), 24)
    return f"{days}{THIN}d {hours}{THIN}h"


def percent(value: float | None, decimals: int | None = None) -> str:
    """Show a rate: `90 %`; one decimal below 10 % and above 99 %, where it matters.

    In a column give the decimals, so that its figures line up.
    """
    if value is None:
        return MISSING
    shown = _hundredths(value) if decimals is None else f"{value * 100:.{decimals}f}"
    return f"{shown}{THIN}%"


def _hundredths(value: float) -> str:
    shown = value * 100
    fine = 0 < abs(shown) < 10 or 99 < shown < 100
    text = f"{shown:.1f}" if fine else f"{shown:.0f}"
    return text.removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Money:
    """Shows nano-USD in the report's currency."""

    currency: str
    per_usd: float

    def amount(self, nano: float) -> float:
        """Convert nano-USD to units of the currency."""
        return nano * self.per_usd / 1e9

    def show(self, nano: float | None, unknown: str = MISSING) -> str:
        """Show an amount with its currency: `0.112 CNY`, `1,240.50 CNY`."""
        return unknown if nano is None else f"{self.bare(nano)} {self.currency}"

    def bare(self, nano: float) -> str:
        """Show an amount without its currency."""
        value = self.amount(nano)
        return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else significant(value)

    def column(self, amounts: Iterable[float | None]) -> ColumnOfMoney:
        """Choose one number of decimals for a column, so that its amounts line up."""
        values = [abs(self.amount(nano)) for nano in amounts if nano]
        largest = max(values, default=1.0)
        decimals = 2 if largest >= 10 else min(8, max(2, 3 - math.floor(math.log10(largest))))
        return ColumnOfMoney(self, decimals)


@dataclass(frozen=True, slots=True)
class ColumnOfMoney:
    """Shows the amounts of one column with equal decimals, without the currency."""

    money: Money
    decimals: int

    def show(self, nano: float | None, unknown: str = MISSING) -> str:
        """Show one amount."""
        return unknown if nano is None else f"{self.money.amount(nano):,.{self.decimals}f}"


def shown(value: float | None, unit: Unit, money: Money) -> str:
    """Show a value in its unit."""
    if value is None:
        return MISSING
    if unit == "money":
        return money.show(value)
    if unit == "seconds":
        return seconds(value)
    if unit == "rate":
        return percent(value)
    if unit == "tokens":
        return short_count(value)
    return significant(value) if unit == "per second" else count(value)


def difference(value: float, unit: Unit, money: Money) -> str:
    """Show a signed difference; rates differ in percentage points."""
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    size = abs(value)
    body = f"{_hundredths(size)}{THIN}pp" if unit == "rate" else shown(size, unit, money)
    return sign + body


def difference_span(interval: Interval, unit: Unit, money: Money) -> str:
    """Show the ends of a difference's interval, signed: `+1.2 … +16 pp`; the unit once."""
    if interval.low is None or interval.high is None:
        return ""
    low, high = (difference(end, unit, money) for end in (interval.low, interval.high))
    for suffix in (f"{THIN}pp", f" {money.currency}"):
        if low.endswith(suffix) and high.endswith(suffix):
            low = low.removesuffix(suffix)
            high = high if unit == "rate" else high.removesuffix(suffix)
    return f"{low} … {high}"


def span(interval: Interval, unit: Unit, money: Money) -> str:
    """Show an interval's ends: `70–97 %`, `0.09–0.13 CNY`; nothing where there are none."""
    if interval.low is None or interval.high is None:
        return ""
    if unit == "rate":
        return f"{_hundredths(interval.low)}–{_hundredths(interval.high)}{THIN}%"
    if unit == "money":
        return f"{money.bare(interval.low)}–{money.bare(interval.high)} {money.currency}"
    if unit == "seconds":
        for size, name in ((3600.0, "h"), (60.0, "min"), (1.0, "s")):
            if interval.high >= 2 * size or name == "s":
                low, high = (_short(end / size) for end in (interval.low, interval.high))
                return f"{low}–{high}{THIN}{name}"
    return f"{shown(interval.low, unit, money)} – {shown(interval.high, unit, money)}"


def _short(value: float) -> str:
    return (
        f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else significant(value, 2)
    )

"""Numbers, money, moments and durations as a language writes them. Pure; draws nothing."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from waremill.web.strings import Language

NANO = 1_000_000_000


def number(value: float | None, digits: int = 0) -> str:
    """Write a number grouped by thousands; a dash for None."""
    return "—" if value is None else f"{value:,.{digits}f}"


def amount(value: float | None, currency: str) -> str:
    """Write an amount of money with its currency; small ones keep two significant digits."""
    if value is None:
        return "—"
    size = abs(value)
    if size == 0 or size >= 1:
        return f"{value:,.2f} {currency}"
    text = format(Decimal(f"{value:.1e}"), "f")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest:0<2} {currency}"


def share(value: float | None) -> str:
    """Write a rate of 0 to 1 as per cent, never rounding what is not all up to 100 %."""
    if value is None:
        return "—"
    percent = value * 100
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent == int(percent) else f"{percent:.1f} %"


def zone_of(name: str | None) -> tzinfo | None:
    """Find a time zone by its name; None, the server's own, for a name nobody knows."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def moment(seconds: float | None, language: Language, zone: tzinfo | None = None) -> str:
    """Write Unix seconds as a date and time, `4 Mar 2026, 15:04` or `2026-03-04 15:04`."""
    if seconds is None:
        return "—"
    local = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    if language == "zh":
        return f"{local:%Y-%m-%d %H:%M}"
    return f"{local.day} {_MONTHS[local.month - 1]} {local:%Y, %H:%M}"


_UNITS = {"en": (" s", " min", " h", " d"), "zh": (" 秒", " 分", " 小时", " 天")}


def duration(seconds: float | None, language: Language) -> str:
    """Write a duration in at most two units, such as `1 h 24 min`."""
    if seconds is None:
        return "—"
    second, minute, hour, day = _UNITS[language]
    if seconds < 10:
        return f"{seconds:.1f}{second}"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{second}"
    parts = (
        (whole // 86400, day), (whole % 86400 // 3600, hour),
        (whole % 3600 // 60, minute), (whole % 60, second),
    )  # fmt: skip
    first = next(place for place, (count, _) in enumerate(parts) if count)
    shown = [f"{count}{unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown)

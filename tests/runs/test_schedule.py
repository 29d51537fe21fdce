"""Cron lines in time zones, what a look at the clock decides, and what lets a run start."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from waremill.errors import ConfigError
from waremill.runs.schedule import Gate, Shown, look, parse_cron, refused, too_dear

DAY = 86_400.0


def moment(text: str, zone: str = "UTC", *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def slots(line: str, zone: str, start: str, count: int) -> list[str]:
    """The first slots after a local moment, as local times with their offset."""
    cron, found, at = parse_cron(line, zone), [], moment(start, zone)
    for _ in range(count):
        following = cron.after(at)
        assert following is not None
        at = following
        found.append(datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%m-%dT%H:%M%z"))
    return found


def test_a_line_counts_in_its_own_time_zone() -> None:
    assert slots("0 3 * * *", "Asia/Shanghai", "2026-11-29T12:00", 1) == ["11-30T03:00+0800"]
    assert slots("0 3 * * *", "UTC", "2026-11-29T12:00", 1) == ["11-30T03:00+0000"]


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 9 * * 0", ["11-29", "12-06"]),
        ("0 9 * * 7", ["11-29", "12-06"]),
        ("0 9 * * sun", ["11-29", "12-06"]),
        ("0 9 * * 1-5", ["11-27", "11-30"]),
        ("0 9 * * sat-mon", ["11-28", "11-29"]),
        ("0 9 * * 0/3", ["11-28", "11-29"]),
        ("@weekly", ["11-29", "12-06"]),
        ("0 9 29 2 *", ["02-29", "02-29"]),
    ],
)
def test_weekdays_are_those_of_cron(line: str, days: list[str]) -> None:
    """0 and 7 are Sunday, though APScheduler counts from Monday."""
    assert [one[:5] for one in slots(line, "UTC", "2026-11-26T12:00", 2)] == days


def test_of_two_restricted_days_either_will_do() -> None:
    """Friday the 13th or any Friday, or any 13th: as with cron."""
    found = slots("0 9 13 * 5", "UTC", "2026-12-01T00:00", 3)
    assert [one[:5] for one in found] == ["12-04", "12-11", "12-13"]


def test_an_hour_that_is_skipped_puts_its_slot_off() -> None:
    assert slots("30 2 * * *", "Europe/Berlin", "2026-03-28T03:00", 2) == [
        "03-29T03:30+0200", "03-30T02:30+0200",
    ]  # fmt: skip


def test_an_hour_that_comes_twice_counts_once() -> None:
    assert slots("30 2 * * *", "Europe/Berlin", "2026-10-24T03:00", 2) == [
        "10-25T02:30+0200", "10-26T02:30+0100",
    ]  # fmt: skip
    # Also for whoever looks in the second of the two hours.
    second = moment("2026-10-25T02:10", "Europe/Berlin", fold=1)
    assert parse_cron("30 2 * * *", "Europe/Berlin").after(second) == moment(
        "2026-10-26T02:30", "Europe/Berlin"
    )


def test_a_line_for_every_hour_goes_by_real_hours() -> None:
    assert slots("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:30", 5) == [
        "10-25T02:00+0200", "10-25T02:30+0200", "10-25T02:00+0100", "10-25T02:30+0100",
        "10-25T03:00+0100",
    ]  # fmt: skip
    assert slots("0 * * * *", "Europe/Berlin", "2026-03-29T00:30", 2) == [
        "03-29T01:00+0100", "03-29T03:00+0200",
    ]  # fmt: skip
    # Half an hour is skipped here.
    assert slots("15 * * * *", "Australia/Lord_Howe", "2026-10-04T01:00", 2) == [
        "10-04T01:15+1030", "10-04T03:15+1100",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 25 * * *", "“25” is no hour"),
        ("60 * * * *", "“60” is no minute"),
        ("0 0 0 * *", "“0” is no day of the month"),
        ("0 0 * foo *", "“foo” is no month"),
        ("0 0 * * 8", "“8” is no weekday"),
        ("*/0 * * * *", "is no minute"),
        ("0 3 * *", "has 4 fields and needs five"),
        ("每天", "has 1 fields and needs five"),
    ],
)
def test_what_cannot_be_read_is_said(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_cron(line, "UTC")


@pytest.mark.parametrize("zone", ["Asia/Beijing", "", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ConfigError, match="there is no time zone"):
        parse_cron("@daily", zone)


def test_a_day_that_never_comes_has_no_slot() -> None:
    assert parse_cron("0 0 31 2 *", "UTC").after(moment("2026-01-01")) is None


# A look at the clock.

NIGHTLY = parse_cron("0 3 * * *", "UTC")
FIRST = moment("2026-11-30T03:00")


def test_nothing_is_due_before_its_time() -> None:
    due = look(NIGHTLY, FIRST, FIRST - 1, "once")
    assert (due.slot, due.next_at, due.missed) == (None, FIRST, 0)


def test_a_slot_is_fired_at_its_time_and_a_little_after() -> None:
    for late in (0.0, 1.0, 60.0):
        due = look(NIGHTLY, FIRST, FIRST + late, "none")
        assert (due.slot, due.next_at, due.missed, due.late) == (FIRST, FIRST + DAY, 0, False)


def test_after_a_downtime_one_slot_makes_up_for_all() -> None:
    due = look(NIGHTLY, FIRST, FIRST + 2 * DAY + 600, "once")
    assert (due.slot, due.missed, due.late) == (FIRST + 2 * DAY, 3, True)
    assert due.next_at == FIRST + 3 * DAY


def test_or_none_does() -> None:
    due = look(NIGHTLY, FIRST, FIRST + 2 * DAY + 600, "none")
    assert (due.slot, due.missed, due.last_missed) == (None, 3, FIRST + 2 * DAY)
    assert due.next_at == FIRST + 3 * DAY


def test_a_slot_on_time_after_a_downtime_is_itself_and_the_others_are_missed() -> None:
    due = look(NIGHTLY, FIRST, FIRST + 2 * DAY + 5, "none")
    assert (due.slot, due.late) == (FIRST + 2 * DAY, False)
    assert (due.missed, due.last_missed) == (2, FIRST + DAY)


def test_a_clock_that_was_put_back_is_looked_at_anew() -> None:
    """A machine whose clock ran a year ahead for a moment does not stand still for a year."""
    due = look(NIGHTLY, FIRST + 365 * DAY, FIRST + 60, "once")
    assert (due.slot, due.next_at) == (None, FIRST + DAY)


def test_very_many_missed_slots_take_no_time_to_count() -> None:
    minutely = parse_cron("* * * * *", "Asia/Shanghai")
    due = look(minutely, FIRST, FIRST + 3 * 365 * DAY + 20, "none")
    assert due.slot == FIRST + 3 * 365 * DAY
    assert due.missed == 9_999 and due.last_missed == due.slot - 60


# What lets a run start.


def test_a_gate_lets_pass_what_reaches_it() -> None:
    gate = Gate(20, 0.9)
    assert refused(gate, Shown(0.9, 20, compared=True)) is None
    assert "85.0% of 20 values" in str(refused(gate, Shown(0.85, 20, compared=True)))
    assert "without an error" in str(refused(gate, Shown(0.85, 20, compared=False)))
    assert "nothing is known" in str(refused(gate, Shown(0.0, 0, compared=False)))


def test_what_is_too_dear_does_not_start() -> None:
    assert too_dear(1.0, 1.0, "CNY") is None
    assert too_dear(None, 1.0, "CNY") is None
    assert "about 1.5 CNY, above the budget of 1" in str(too_dear(1.5, 1.0, "CNY"))

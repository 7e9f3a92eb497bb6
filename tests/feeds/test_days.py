from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.feeds.days import day_bounds, day_start

HOUR = 3_600_000_000
ZONES = [
    "UTC",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
    "Pacific/Pago_Pago",
]


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def local_date(instant: int, zone: str) -> date:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
    return moment.astimezone(ZoneInfo(zone)).date()


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 8), "America/New_York", 23),
        (date(2026, 11, 1), "America/New_York", 25),
        (date(2026, 3, 9), "America/New_York", 24),
        (date(2026, 3, 8), "Asia/Kathmandu", 24),
        (date(2026, 4, 5), "Australia/Lord_Howe", 24.5),
        (date(2018, 11, 4), "America/Sao_Paulo", 23),  # no midnight: the day starts at 01:00
        (date(2018, 2, 17), "America/Sao_Paulo", 25),  # 23:00 to midnight twice
        (date(2026, 11, 1), "America/Havana", 25),  # midnight twice
        (date(2026, 3, 8), "America/Havana", 23),
        (date(2026, 2, 15), "Africa/Casablanca", 25),  # Ramadan
        (date(2026, 3, 22), "Africa/Casablanca", 23),
        (date(2016, 7, 3), "Antarctica/Troll", 24),
        (date(2016, 3, 27), "Antarctica/Troll", 22),
        (date(2011, 12, 29), "Pacific/Apia", 24),
        (date(2011, 12, 30), "Pacific/Apia", 0),  # left out
        (date(2011, 12, 31), "Pacific/Apia", 24),
    ],
)
def test_length_of_a_day(day: date, zone: str, hours: float) -> None:
    start, end = day_bounds(day, zone)
    assert (end - start) / HOUR == hours


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        (date(1970, 1, 1), "UTC", "1970-01-01T00:00"),
        (date(2026, 3, 8), "Asia/Kathmandu", "2026-03-07T18:15"),
        (date(2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00"),
        (date(2026, 11, 1), "America/Havana", "2026-11-01T04:00"),
        (date(2011, 12, 30), "Pacific/Apia", "2011-12-30T10:00"),
        (date(2011, 12, 31), "Pacific/Apia", "2011-12-30T10:00"),
        (date.min, "Asia/Tokyo", None),  # before the first instant that Python knows
    ],
)
def test_start_of_a_day(day: date, zone: str, start: str | None) -> None:
    if start is None:
        assert day_start(day, zone) < micros(datetime.min.replace(tzinfo=UTC))
    else:
        assert day_start(day, zone) == micros(datetime.fromisoformat(f"{start}+00:00"))


@settings(max_examples=500, deadline=None)
@given(st.dates(date(1990, 1, 1), date(2040, 12, 31)), st.sampled_from(ZONES))
def test_start_is_the_first_instant_on_or_after_the_date(day: date, zone: str) -> None:
    start = day_start(day, zone)
    assert local_date(start, zone) >= day
    assert local_date(start - 1, zone) < day


@settings(max_examples=500, deadline=None)
@given(st.dates(date(1990, 1, 1), date(2040, 12, 31)), st.sampled_from(ZONES))
def test_days_follow_each_other_without_gap(day: date, zone: str) -> None:
    assert day_bounds(day, zone)[1] == day_bounds(day + timedelta(days=1), zone)[0]
    assert 0 <= day_bounds(day, zone)[1] - day_bounds(day, zone)[0] <= 26 * HOUR

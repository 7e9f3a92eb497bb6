from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.feeds.sites import Site, Sites
from isopach.transforms.stamp import (
    business_dates,
    calendar,
    day_number,
    encoded,
    local_dates,
    unknown_sites,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ZONES = [
    "UTC",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Argentina/San_Luis",
    "America/Asuncion",
    "America/Caracas",
    "America/Goose_Bay",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Fakaofo",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
    "Pacific/Pago_Pago",
]
FIRST = (datetime(1990, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
LAST = (datetime(2041, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
INSTANTS = st.integers(FIRST, LAST)
NEAR_MIDNIGHT = st.builds(
    lambda day, hours, second, micro: (
        (datetime.combine(day, time(), UTC) - EPOCH) // MICROSECOND
        + hours * 900_000_000
        + second * 1_000_000
        + micro
    ),
    st.dates(date(1990, 1, 1), date(2040, 12, 31)),
    st.integers(-56, 48),  # quarters of an hour: all offsets from UTC there are
    st.integers(-61, 61),
    st.sampled_from([-1, 0, 1]),
)


def reference(instant: int, zone: str) -> date:
    """Return the latest date that a zone's clocks have shown: once begun, a day is not left.

    Clocks that were put back from 00:01 to 23:01 (Newfoundland and Labrador, until 2011) or over
    midnight (Casey, once) showed yesterday's date again.
    """
    moment = EPOCH + instant * MICROSECOND
    local = moment.astimezone(ZoneInfo(zone))
    if not local.fold:
        return local.date()
    before, after = instant - 4 * 3_600_000_000, instant
    while after - before > 1:
        middle = (before + after) // 2
        shown = (EPOCH + middle * MICROSECOND).astimezone(ZoneInfo(zone))
        before, after = (before, middle) if shown.fold else (middle, after)
    return max(local.date(), (EPOCH + before * MICROSECOND).astimezone(ZoneInfo(zone)).date())


def registered(*zones: str) -> Sites:
    return Sites(
        {
            zone: Site(site=f"s{number}", name=zone, time_zone=zone, deadline=time(2))
            for number, zone in enumerate(zones)
        }
    )


def dates(days: np.ndarray) -> list[date]:
    return [calendar(int(day)) for day in days]


def stamped(rows: list[tuple[int | None, str | None]], sites: Sites) -> np.ndarray:
    times = pa.array([instant for instant, _ in rows], pa.timestamp("us", "UTC"))
    return business_dates(times, encoded(pa.array([s for _, s in rows], pa.large_string())), sites)


@settings(max_examples=400, deadline=None)
@given(st.lists(INSTANTS | NEAR_MIDNIGHT, min_size=1, max_size=40), st.sampled_from(ZONES))
def test_dates_are_those_of_the_zone(instants: list[int], zone: str) -> None:
    found = local_dates(np.array(instants, np.int64), zone)
    assert dates(found) == [reference(instant, zone) for instant in instants]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(INSTANTS | NEAR_MIDNIGHT, st.sampled_from(ZONES)), min_size=1, max_size=40)
)
def test_sites_of_many_zones_in_one_batch(rows: list[tuple[int, str]]) -> None:
    found = stamped([*rows], registered(*ZONES))
    assert dates(found) == [reference(instant, zone) for instant, zone in rows]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.dates(date(1990, 1, 2), date(2040, 12, 30)),
    st.lists(st.integers(-40 * 3600, 40 * 3600), min_size=1, max_size=60),
)
def test_days_in_a_row_and_outliers_give_the_same(zone: str, day: date, seconds: list[int]) -> None:
    around = (datetime.combine(day, time(), UTC) - EPOCH) // MICROSECOND
    instants = np.array([around + second * 1_000_000 for second in seconds], np.int64)
    outliers = np.array([-62135510400000000, 253402127999999999], np.int64)
    alone = local_dates(instants, zone)
    assert (local_dates(np.concatenate([outliers, instants]), zone)[2:] == alone).all()


@pytest.mark.parametrize(
    ("zone", "instant", "expected"),
    [
        ("America/New_York", "2026-03-08T04:59:59", "2026-03-07"),
        ("America/New_York", "2026-03-08T05:00:00", "2026-03-08"),
        ("America/New_York", "2026-03-09T03:59:59", "2026-03-08"),  # 23 hours later
        ("America/New_York", "2026-03-09T04:00:00", "2026-03-09"),
        ("America/New_York", "2026-11-02T04:59:59", "2026-11-01"),  # 25 hours
        ("Asia/Kathmandu", "2026-03-08T18:14:59", "2026-03-08"),
        ("Asia/Kathmandu", "2026-03-08T18:15:00", "2026-03-09"),
        ("America/Sao_Paulo", "2018-11-04T02:59:59", "2018-11-03"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00", "2018-11-04"),  # 01:00 there
        ("America/Sao_Paulo", "2018-02-18T02:59:59", "2018-02-17"),  # 23:59:59 a second time
        ("America/Havana", "2026-11-01T04:30:00", "2026-11-01"),
        ("America/Havana", "2026-11-01T05:30:00", "2026-11-01"),  # 00:30 a second time
        ("Pacific/Apia", "2011-12-30T09:59:59", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00:00", "2011-12-31"),
        ("Africa/Casablanca", "2026-02-15T23:30:00", "2026-02-15"),
        ("Africa/Casablanca", "2026-03-22T23:30:00", "2026-03-23"),
        ("America/St_Johns", "2010-11-07T02:30:30", "2010-11-07"),  # 00:00:30
        ("America/St_Johns", "2010-11-07T02:31:30", "2010-11-07"),  # 23:01:30, once more
        ("UTC", "0001-01-02T00:00:00", "0001-01-02"),
        ("Asia/Tokyo", "0001-01-02T00:00:00", "0001-01-02"),
        ("America/New_York", "0001-01-02T00:00:00", "0001-01-01"),
        ("Pacific/Kiritimati", "9999-12-29T23:59:59", "9999-12-30"),
        ("Etc/GMT+12", "9999-12-30T00:00:00", "9999-12-29"),
    ],
)
def test_date_of_an_instant(zone: str, instant: str, expected: str) -> None:
    moment = (datetime.fromisoformat(f"{instant}+00:00") - EPOCH) // MICROSECOND
    assert dates(local_dates(np.array([moment]), zone)) == [date.fromisoformat(expected)]


def test_no_instants_no_dates() -> None:
    assert len(local_dates(np.array([], np.int64), "UTC")) == 0
    assert len(stamped([], registered("UTC"))) == 0


def test_dates_go_on_through_nulls_and_unknown_sites() -> None:
    noon = 1_772_971_200_000_000  # 2026-03-08T12:00Z
    sites = registered("Pacific/Kiritimati", "Asia/Kathmandu")
    rows = [(noon, "Pacific/Kiritimati"), (None, "Asia/Kathmandu"), (noon, "x"), (noon, None)]
    found = dates(stamped([*rows, (noon, "Asia/Kathmandu")], sites))
    assert [found[0], found[4]] == [date(2026, 3, 9), date(2026, 3, 8)]


def test_slices_of_a_batch_are_stamped_alike() -> None:
    rows = [(FIRST + n * 7_000_000_000_000, ZONES[n % len(ZONES)]) for n in range(200)]
    sites = registered(*ZONES)
    times = pa.array([instant for instant, _ in rows], pa.timestamp("us", "UTC"))
    site = encoded(pa.array([zone for _, zone in rows], pa.large_string()))
    whole = business_dates(times, site, sites)
    part = business_dates(times.slice(33, 50), site.slice(33, 50), sites)
    assert (part == whole[33:83]).all()


def test_unknown_sites() -> None:
    sites = registered("UTC", "Asia/Kolkata")
    site = encoded(pa.array(["UTC", None, "x", "Asia/Kolkata", "utc"], pa.large_string()))
    assert unknown_sites(site, sites).tolist() == [False, True, True, False, True]
    nothing = encoded(pa.array([None, None], pa.large_string()))
    assert unknown_sites(nothing, sites).tolist() == [True, True]


@given(st.dates())
def test_day_numbers_and_dates_are_the_same(day: date) -> None:
    assert calendar(day_number(day)) == day
    assert pa.scalar(day_number(day), pa.int32()).cast(pa.date32()).as_py() == day

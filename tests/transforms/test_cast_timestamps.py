from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.transforms.cast import FIRST, LAST, Cast, cast

KIND = pa.timestamp("us", "UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = [
    "UTC",
    "Africa/Casablanca",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
]
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28))
RECENT = st.datetimes(datetime(1990, 1, 1), datetime(2036, 12, 31))
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


def instants(result: Cast) -> list[Any]:
    """Return microseconds since 1970, with the word `failed` for what did not fit."""
    assert result.column.type == KIND
    found = result.column.view(pa.int64()).to_pylist()
    failed = result.failed if result.failed is not None else np.zeros(len(found), bool)
    assert all(value is None for value, bad in zip(found, failed, strict=True) if bad)
    return ["failed" if bad else value for value, bad in zip(found, failed, strict=True)]


def read(texts: list[str | None], zones: pl.Series | str | None = None) -> list[Any]:
    return instants(cast(pa.array(texts, pa.large_string()), KIND, zones))


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def local(naive: datetime, zone: str) -> int | str:
    """Return a wall time's first occurrence in a zone; `failed` if clocks never showed it."""
    instant = naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return micros(instant) if shown == naive else "failed"


def offset_text(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(MOMENTS, OFFSETS), min_size=1, max_size=12), st.booleans())
def test_iso_with_offset(rows: list[tuple[datetime, int]], spoiled: bool) -> None:
    texts = [f"{moment.isoformat()}{offset_text(minutes)}" for moment, minutes in rows]
    zones = [timezone(timedelta(minutes=minutes)) for _, minutes in rows]
    expected = [micros(row[0].replace(tzinfo=z)) for row, z in zip(rows, zones, strict=True)]
    assert read([*texts, "x"] if spoiled else texts)[: len(texts)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-08T10:20:30Z", "10:20:30"),
        ("2026-03-08T10:20:30z", "10:20:30"),
        ("2026-03-08 10:20:30Z", "10:20:30"),
        ("2026-03-08 10:20:30 +02:00", "08:20:30"),
        ("2026-03-08T10:20:30+0200", "08:20:30"),
        ("2026-03-08T10:20:30-02", "12:20:30"),
        ("2026-03-08T10:20:30+05:45", "04:35:30"),
        ("2026-03-08T10:20:30-00:00", "10:20:30"),
        ("2026-03-08T10:20Z", "10:20:00"),
        ("2026-03-08T10Z", "10:00:00"),
        ("2026-03-08T10:20:30.5Z", "10:20:30.500000"),
        ("2026-03-08T10:20:30.123456Z", "10:20:30.123456"),
        ("2026-03-08T10:20:30.123456000Z", "10:20:30.123456"),
        ("2026-03-08T10:20:30.000000000+01:00", "09:20:30"),
    ],
)
def test_forms_of_iso(text: str, expected: str) -> None:
    moment = micros(datetime.fromisoformat(f"2026-03-08T{expected}+00:00"))
    assert read([text]) == read([text, "x"])[:1] == read([text], "Asia/Tokyo") == [moment]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2026-03-08",
        "2026-03-08Z",
        "2026-03-08T10:20:30",
        "2026-03-08T10:20:30.1234567Z",  # finer than a microsecond
        "2026-03-08T10:20:60Z",  # a leap second would become another minute
        "2026-03-08T24:00:00Z",
        "2026-03-08T10:60:00Z",
        "2026-02-29T10:20:30Z",
        "2026-13-01T10:20:30Z",
        "2026-3-8T10:20:30Z",
        "20260308T102030Z",
        "2026-03-08T10:20:30+24:00",
        "2026-03-08T10:20:30+02:60",
        "2026-03-08T10:20:30 UTC",
        "2026-03-08T10:20:30+01:00[Europe/Berlin]",
        "2026-03-08T10:20:30,5Z",
        "2026-03-08T10:20:30.Z",
        " 2026-03-08T10:20:30Z",
        "2026-03-08T10:20:30Z ",
        "2026-03-08T10:20:30\u221202:00",
        "08/03/2026 10:20:30",
        "12026-03-08T10:20:30Z",
        "0000-03-08T10:20:30Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1772965230",  # seconds
        "20260308102030",  # not milliseconds of the year 2612
        "1772965230000.5",
        "17729652300000",
        "+1772965230000",
    ],
)
def test_what_is_no_timestamp(text: str) -> None:
    assert read([text]) == ["failed"]
    assert read([text, "2026-03-08T10:20:30Z"])[0] == "failed"


def test_epoch_millis_in_text_have_thirteen_digits() -> None:
    assert read(["1772965230123", None, "-1000000000000"]) == [
        1_772_965_230_123_000,
        None,
        -1_000_000_000_000_000,
    ]
    assert read(["1772965230123", "2026-03-08T10:20:30Z"], "Asia/Tokyo")[0] == 1_772_965_230_123_000


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(RECENT, OFFSETS | st.none()).map(
            lambda row: row[0].isoformat() + ("" if row[1] is None else offset_text(row[1]))
        )
        | st.integers(10**12, 2 * 10**12).map(str)
        | st.sampled_from(["2026-03-08 10:20", "2026-03-08T10:20:30 Z", "x"])
        | st.none(),
        min_size=1,
        max_size=10,
    ),
    st.sampled_from([None, *ZONES]),
    st.integers(0, 10),
)
def test_what_becomes_of_a_value_does_not_depend_on_the_others(
    texts: list[str | None], zone: str | None, cut: int
) -> None:
    parts = [part for part in (texts[:cut], texts[cut:]) if part]
    in_parts = [value for part in parts for value in read(part, zone)]
    alone = [value for text in texts for value in read([text], zone)]
    assert read(texts, zone) == in_parts == alone


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(RECENT, st.sampled_from(ZONES)), min_size=1, max_size=12))
def test_local_times_of_many_sites(rows: list[tuple[datetime, str]]) -> None:
    texts = [moment.isoformat(" ") for moment, _ in rows]
    zones = pl.Series([zone for _, zone in rows])
    expected = [local(moment, zone) for moment, zone in rows]
    assert read([*texts], zones) == expected
    typed = pa.array([moment for moment, _ in rows], pa.timestamp("us"))
    assert instants(cast(typed, KIND, zones)) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.dates(datetime(1990, 1, 1).date(), datetime(2036, 12, 31).date()),
    st.integers(0, 24 * 60 - 1),
)
def test_local_times_of_one_zone(zone: str, day: Any, minute: int) -> None:
    naive = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    assert read([naive.isoformat(timespec="minutes")], zone) == [local(naive, zone)]


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-03-29T02:30:00", "Europe/Berlin", None),  # skipped
        ("2026-03-29T01:59:59", "Europe/Berlin", "2026-03-29T00:59:59"),
        ("2026-03-29T03:00:00", "Europe/Berlin", "2026-03-29T01:00:00"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00"),  # the first of two
        ("2026-10-25T03:00:00", "Europe/Berlin", "2026-10-25T02:00:00"),
        ("2018-11-04T00:30:00", "America/Sao_Paulo", None),
        ("2011-12-30T12:00:00", "Pacific/Apia", None),
        ("2026-03-08T12:00:00", "Asia/Kathmandu", "2026-03-08T06:15:00"),
        ("2026-03-08T12:00:00", "Mars/Base", None),
    ],
)
def test_gaps_and_folds(text: str, zone: str, expected: str | None) -> None:
    wanted = [micros(datetime.fromisoformat(f"{expected}+00:00"))] if expected else ["failed"]
    known = pl.Series([zone if zone in ZONES else None], dtype=pl.String)
    assert read([text], known) == wanted
    if zone in ZONES:
        assert read([text, "x"], zone) == [*wanted, "failed"]


def test_zone_is_for_times_without_offset_alone() -> None:
    texts = ["2026-03-08T10:00:00", "2026-03-08T10:00:00Z", None]
    assert read([*texts], "Asia/Tokyo") == [1_772_931_600_000_000, 1_772_964_000_000_000, None]
    assert read([*texts]) == ["failed", 1_772_964_000_000_000, None]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from(["UTC", "Europe/Berlin", "+05:45", "Asia/Kathmandu"]),
    st.lists(
        st.integers(-(2**63), 2**63 - 1)
        | st.integers(-(10**11), 10**11)
        | st.sampled_from([FIRST, FIRST - 1, LAST, LAST + 1, -(2**63), 2**63 - 1])
        | st.none(),
        max_size=12,
    ),
)
def test_zoned_timestamps_of_every_unit(unit: str, zone: str, raw: list[int | None]) -> None:
    def exact(value: int | None) -> Any:
        if value is None:
            return None
        scaled, rest = divmod(value * 10**6, PER_SECOND[unit])
        return scaled if rest == 0 and FIRST <= scaled <= LAST else "failed"

    column = pa.array(raw, pa.int64()).view(pa.timestamp(unit, zone))
    assert instants(cast(column, KIND)) == [exact(value) for value in raw]
    assert instants(cast(column.dictionary_encode(), KIND)) == [exact(value) for value in raw]


@pytest.mark.parametrize("unit", PER_SECOND)
def test_timestamps_without_zone_of_every_unit(unit: str) -> None:
    raw = [1_772_965_230 * PER_SECOND[unit], 2**63 - 1, -(2**63) + 1, None]
    column = pa.array(raw, pa.int64()).view(pa.timestamp(unit))
    assert instants(cast(column, KIND)) == ["failed"] * 3 + [None]
    tokyo = 1_772_965_230_000_000 - 9 * 3_600_000_000
    assert instants(cast(column, KIND, "Asia/Tokyo")) == [tokyo, "failed", "failed", None]
    berlin = pl.Series([None, "Asia/Tokyo", None, "UTC"], dtype=pl.String)
    assert instants(cast(column, KIND, berlin))[0] == "failed"


def test_timestamps_beyond_the_calendar_of_a_zone() -> None:
    column = pa.array([FIRST, LAST], pa.int64()).view(pa.timestamp("us"))
    assert instants(cast(column, KIND, "Asia/Tokyo"))[0] == "failed"
    assert instants(cast(column, KIND, "America/New_York"))[1] == "failed"
    assert instants(cast(column, KIND, "UTC")) == [FIRST, LAST]


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"]))
def test_epoch_millis(data: st.DataObject, given_as: str) -> None:
    info = np.iinfo(given_as)
    edge = st.sampled_from([int(info.min), int(info.max)])
    usual = st.integers(max(int(info.min), -(10**14)), min(int(info.max), 10**15))
    raw = data.draw(st.lists(usual | edge | st.none(), max_size=12))
    expected = [
        None if x is None else x * 1000 if FIRST <= x * 1000 <= LAST else "failed" for x in raw
    ]
    assert instants(cast(pa.array(raw, given_as), KIND)) == expected


def test_other_numbers_are_no_timestamps() -> None:
    for column in (pa.array([1.772965e12]), pa.array([True]), pa.array([EPOCH.date()])):
        assert instants(cast(column, KIND)) == ["failed"]


def test_slices_are_read_alike() -> None:
    raw = pa.array(range(1_772_965_230, 1_772_965_330), pa.int64())
    seconds = raw.view(pa.timestamp("s", "UTC"))
    whole = instants(cast(seconds, KIND))
    assert instants(cast(seconds.slice(31, 40), KIND)) == whole[31:71]
    text = pa.array([f"2026-03-08T10:20:{n:02}Z" for n in range(60)])
    assert instants(cast(text.slice(7, 9), KIND)) == instants(cast(text, KIND))[7:16]

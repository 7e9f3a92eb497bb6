from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isopach.feeds.feed import Feed
from isopach.feeds.sites import Site, Sites
from isopach.transforms.batches import single_batch
from isopach.transforms.lateness import UNKNOWN, Timeliness, timeliness, watermark_after

MINUTE = 60_000_000
ZONES = {"nyc": "America/New_York", "pago": "Pacific/Pago_Pago", "utc": "UTC"}
SITES = Sites(
    {
        site: Site.model_validate(
            {"site": site, "name": site, "time_zone": zone, "deadline": "02:00"}
        )
        for site, zone in ZONES.items()
    }
)
FEED = Feed.model_validate(
    {
        "feed": "visits",
        "columns": {
            "id": {"type": "string", "required": True},
            "clinic": {"type": "string", "required": True},
            "at": {"type": "timestamp", "required": True},
        },
        "site": "clinic",
        "key": ["id"],
        "event_time": "at",
        "lateness": {"out_of_order": "10m", "allowed": "2h"},
    }
)


def utc(text: str) -> int:
    """Return a UTC time such as `2026-03-08T12:00` in microseconds since 1970."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


NOW = utc("2026-03-12T00:00")
Row = tuple[str, int]
"""A site, and an event time in UTC microseconds."""
ROWS = st.lists(
    st.tuples(
        st.sampled_from(list(ZONES)),
        st.integers(utc("2026-03-06T00:00") // MINUTE, NOW // MINUTE + 3000).map(
            lambda minute: minute * MINUTE
        ),
    ),
    max_size=30,
)


def day_of(site: str, at: int) -> date:
    moment = pl.from_epoch(pl.Series([at]), "us").dt.replace_time_zone("UTC")
    return moment.dt.convert_time_zone(ZONES[site]).dt.date()[0]


def batch(rows: list[Row]) -> pa.RecordBatch:
    """Return rows as Prepare gives them, in the order of their positions."""
    return single_batch(
        pa.table(
            {
                "at": pa.array([at for _, at in rows], pa.timestamp("us", "UTC")),
                "site": pa.array([site for site, _ in rows], pa.large_string()),
                "business_date": pa.array([day_of(*row) for row in rows], pa.date32()),
            }
        )
    )


def judged(rows: list[Row], watermark: int = UNKNOWN, closed: int = UNKNOWN) -> Timeliness:
    return timeliness(batch(rows), FEED, SITES, watermark, closed, NOW)


@given(ROWS, st.sampled_from([UNKNOWN, utc("2026-03-09T08:00")]))
def test_each_row_is_judged_by_the_rows_before_it(rows: list[Row], closed: int) -> None:
    found = judged(rows, closed=closed)

    watermark, late, early = UNKNOWN, [], []
    for site, at in rows:
        start, end = SITES.window(site, day_of(site, at))
        late.append(end + 120 * MINUTE <= max(watermark, closed))
        early.append(start > NOW)
        watermark = max(watermark, at - 10 * MINUTE if at <= NOW else UNKNOWN)
    assert found.late.tolist() == late
    assert found.early.tolist() == early
    assert found.watermark == watermark
    assert watermark_after(batch(rows), FEED, UNKNOWN, NOW) == watermark


@given(ROWS, st.lists(st.integers(0, 30), max_size=6))
def test_however_rows_are_cut_the_same_are_late(rows: list[Row], cuts: list[int]) -> None:
    whole = judged(rows)
    watermark, late = UNKNOWN, []
    for first, end in pairwise([0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]):
        part = judged(rows[first:end], watermark)
        assert watermark_after(batch(rows[first:end]), FEED, watermark, NOW) == part.watermark
        late += part.late.tolist()
        watermark = part.watermark
    assert late == whole.late.tolist()
    assert watermark == whole.watermark


@pytest.mark.parametrize(("passed", "late"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("by", ["own", "closed", "before"])
def test_a_window_closes_when_the_watermark_reaches_its_end_and_what_is_allowed(
    by: str, passed: int, late: bool
) -> None:
    closes = utc("2026-03-09T04:00") + 120 * MINUTE + passed  # New York has EDT from this day on
    row = ("nyc", utc("2026-03-08T12:00"))
    if by == "own":
        found = judged([row], watermark=closes)
    elif by == "closed":
        found = judged([row], closed=closes)
    else:
        found = judged([("pago", closes + 10 * MINUTE), row])
    assert found.late.tolist()[-1] == late
    assert found.watermark == (closes if by != "closed" else row[1] - 10 * MINUTE)


def test_a_time_to_come_says_nothing_of_others() -> None:
    found = judged([("utc", utc("2031-01-01T00:00")), ("utc", NOW - MINUTE)])
    assert (found.late.tolist(), found.early.tolist()) == ([False, False], [True, False])
    assert found.watermark == NOW - 11 * MINUTE
    assert judged([("utc", NOW + 1)]).watermark == UNKNOWN


def test_a_day_that_has_begun_somewhere_is_not_early_there() -> None:
    rows = [("pago", utc("2026-03-12T10:59")), ("pago", utc("2026-03-12T11:00"))]
    assert judged(rows).early.tolist() == [False, True]


@pytest.mark.parametrize("watermark", [UNKNOWN, 5])
def test_no_rows_leave_the_watermark(watermark: int) -> None:
    found = judged([], watermark)
    assert (found.late.tolist(), found.early.tolist(), found.watermark) == ([], [], watermark)
    assert watermark_after(None, FEED, watermark, NOW) == watermark
    assert watermark_after(batch([]), FEED, watermark, NOW) == watermark


def test_a_watermark_never_goes_back() -> None:
    late = judged([("utc", utc("2026-03-08T00:00"))], watermark=NOW)
    assert (late.watermark, late.late.tolist()) == (NOW, [True])

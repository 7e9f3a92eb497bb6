from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pytest
from small_night import DAY, declare
from small_stream import STREAM, SmallStream, line

from isopach.lake.landings import Reached
from isopach.pipelines.intervals import Interval
from isopach.pipelines.judging import Judged, Known, judge
from isopach.transforms.batches import frame, single_batch
from isopach.transforms.keys import KeyIndex
from isopach.transforms.lateness import UNKNOWN

A, B = "spool/a", "spool/b"
NOW = int(datetime(2026, 3, 20, tzinfo=UTC).timestamp()) * 1_000_000
AT = "2026-03-08T12:00"


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> SmallStream:
    folder = tmp_path_factory.mktemp("judging")
    return SmallStream(folder, declare(folder, STREAM))


class Found(NamedTuple):
    """Positions by source that are kept, and that are set aside with the reason."""

    kept: list[tuple[str, int]]
    aside: list[tuple[str, int, str]]


def windows(*found: tuple[str, date]) -> pl.DataFrame:
    schema = {"site": pl.String, "business_date": pl.Date}
    return pl.DataFrame(list(found), schema=schema, orient="row")


def known(
    sources: dict[str, Reached] | None = None,
    closed: int = UNKNOWN,
    keys: KeyIndex | None = None,
    settled: pl.DataFrame | None = None,
) -> Known:
    empty = windows() if settled is None else settled
    return Known(sources or {}, closed, keys or KeyIndex(["id"]), empty)


def judged(stream: SmallStream, intervals: Sequence[Interval], by: Known | None = None) -> Judged:
    feed, sites = stream.declaration.feed, stream.declaration.sites
    return judge(intervals, by or known(), feed, sites, NOW)


def found(result: Judged) -> Found:
    kept = [] if result.rows is None else frame(result.rows).select("_source", "_position").rows()
    aside = [
        row
        for part in result.aside
        for row in frame(part).select("_source", "_position", "reason").rows()
    ]
    return Found(sorted(kept), sorted(aside))


def lines(count: int, site: str = "nyc") -> list[str]:
    return [line(site, f"{site}{n}", AT) for n in range(count)]


def at(fence: int, rows: int | None = None, watermark: int | None = None) -> Reached:
    return Reached(fence, fence if rows is None else rows, watermark)


def test_what_lies_below_the_fence_has_landed(stream: SmallStream) -> None:
    replayed = [stream.interval(A, lines(5), 0, 5), stream.interval(A, lines(5), 1, 3)]
    result = judged(stream, replayed, known({A: at(5)}))
    assert found(result) == ([], [])
    assert result.sources == {A: at(5)}
    assert result.waiting == []


@pytest.mark.parametrize("fence", range(1, 5))
def test_what_straddles_the_fence_is_trimmed(stream: SmallStream, fence: int) -> None:
    sent = [line("nyc", "0", AT), "{", line("nyc", "2", AT), "[]", line("nyc", "4", AT)]
    result = judged(stream, [stream.interval(A, sent, 0, 5)], known({A: at(fence)}))
    assert found(result).kept == [(A, n) for n in (0, 2, 4) if n >= fence]
    assert [row[:2] for row in found(result).aside] == [(A, n) for n in (1, 3) if n >= fence]
    assert (result.sources[A].fence, result.sources[A].rows) == (5, 5)


def test_what_comes_after_a_gap_waits(stream: SmallStream) -> None:
    sent = lines(6)
    first, middle, last = (stream.interval(A, sent, n, n + 2) for n in (0, 2, 4))
    result = judged(stream, [last, first])
    assert found(result).kept == [(A, 0), (A, 1)]
    assert result.waiting == [last]
    assert result.sources[A].fence == 2
    again = judged(stream, [*result.waiting, middle], known(result.sources))
    assert found(again).kept == [(A, n) for n in range(2, 6)]
    assert again.waiting == []


def test_intervals_in_any_order_and_overlapping_are_taken_once(stream: SmallStream) -> None:
    sent = lines(10)
    cuts = [(4, 10), (0, 3), (2, 7), (0, 5), (2, 7), (9, 10), (0, 0)]
    result = judged(stream, [stream.interval(A, sent, *cut) for cut in cuts])
    assert found(result) == ([(A, n) for n in range(10)], [])
    assert (result.sources[A].fence, result.sources[A].rows) == (10, 10)


def test_a_gap_of_one_source_holds_up_no_other(stream: SmallStream) -> None:
    intervals = [stream.interval(A, lines(4), 2, 4), stream.interval(B, lines(2, "pago"), 0, 2)]
    result = judged(stream, intervals)
    assert found(result).kept == [(B, 0), (B, 1)]
    assert [one.source for one in result.waiting] == [A]


def test_positions_without_rows_move_the_fence(stream: SmallStream) -> None:
    result = judged(stream, [Interval(A, 0, 7, 0), Interval(B, 3, 3, 3)])
    assert result.sources == {A: Reached(7, 0, None), B: Reached(3, 0, None)}


def test_a_source_that_is_new_begins_at_its_origin(stream: SmallStream) -> None:
    there = stream.interval(A, lines(8), 5, 8)
    assert judged(stream, [there._replace(origin=5)]).sources[A].fence == 8
    assert judged(stream, [there._replace(origin=4)]).waiting != []


def test_duplicates_are_found_within_an_interval_across_intervals_and_in_the_lake(
    stream: SmallStream,
) -> None:
    twice = [line("nyc", "x", AT), line("nyc", "y", AT), line("nyc", "x", AT, minutes=1)]
    other = [line("nyc", "z", AT), line("nyc", "y", AT), line("pago", "x", AT)]
    intervals = [stream.interval(B, other, 0, 3), stream.interval(A, twice, 0, 3)]
    reason = "duplicate_key"
    result = judged(stream, intervals)
    assert found(result) == ([(A, 0), (A, 1), (B, 0), (B, 2)], [(A, 2, reason), (B, 1, reason)])

    index = KeyIndex(["id"])
    assert result.rows is not None
    index.add(result.rows)
    later = [line("nyc", "z", AT), line("nyc", "new", AT), line("nyc", "new", AT)]
    again = judged(stream, [stream.interval("spool/c", later, 0, 3)], known(keys=index))
    assert found(again) == ([("spool/c", 1)], [("spool/c", 0, reason), ("spool/c", 2, reason)])


def clashing(interval: Interval) -> Interval:
    """Give all of an interval's rows one key hash."""
    assert interval.accepted is not None
    batch = interval.accepted
    column = pa.array([7] * batch.num_rows, pa.uint64())
    table = pa.Table.from_batches([batch])
    table = table.set_column(table.schema.get_field_index("_key"), "_key", column)
    return interval._replace(accepted=single_batch(table))


def test_keys_of_one_hash_are_told_apart(stream: SmallStream) -> None:
    sent = [line("nyc", "x", AT), line("nyc", "y", AT), line("pago", "x", AT), line("nyc", "x", AT)]
    result = judged(stream, [clashing(stream.interval(A, sent, 0, 4))])
    assert found(result) == ([(A, 0), (A, 1), (A, 2)], [(A, 3, "duplicate_key")])
    index = KeyIndex(["id"])
    assert result.rows is not None
    index.add(result.rows)
    later = [line("nyc", "y", AT), line("pago", "y", AT), line("nyc", "z", AT)]
    again = judged(stream, [clashing(stream.interval(B, later, 0, 3))], known(keys=index))
    assert found(again) == ([(B, 1), (B, 2)], [(B, 0, "duplicate_key")])


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


CLOSES = "2026-03-09T06:00"
"""When New York's DAY is over, and two hours have passed."""


def test_rows_are_late_by_the_watermark_of_their_own_source(stream: SmallStream) -> None:
    early, late = line("nyc", "e", AT), line("nyc", "l", AT)
    passing = line("pago", "p", "2026-03-09T06:10")
    sent = [early, passing, late]
    result = judged(stream, [stream.interval(A, sent, 0, 3)])
    assert found(result) == ([(A, 0), (A, 1)], [(A, 2, "window_closed")])
    assert result.sources[A].watermark == micros(CLOSES)
    other = judged(stream, [stream.interval(A, sent[:2], 0, 2), stream.interval(B, [late], 0, 1)])
    assert found(other) == ([(A, 0), (A, 1), (B, 0)], [])
    on = judged(stream, [stream.interval(A, sent, 2, 3)], known({A: at(2, 2, micros(CLOSES))}))
    assert found(on).aside == [(A, 2, "window_closed")]


def test_rows_of_closed_windows_are_late_and_those_of_others_are_not(stream: SmallStream) -> None:
    sent = [line("nyc", "n", AT), line("pago", "p", AT)]
    by = known(closed=micros(CLOSES))
    assert found(judged(stream, [stream.interval(A, sent, 0, 2)], by)) == (
        [(A, 1)],
        [(A, 0, "window_closed")],
    )
    assert found(
        judged(stream, [stream.interval(A, sent, 0, 2)], known(closed=micros(CLOSES) - 1))
    ).kept == [(A, 0), (A, 1)]


def test_rows_of_settled_windows_are_late(stream: SmallStream) -> None:
    sent = [line("nyc", "n", AT), line("nyc", "m", "2026-03-09T12:00"), "{", line("pago", "p", AT)]
    by = known(settled=windows(("nyc", DAY)))
    assert found(judged(stream, [stream.interval(A, sent, 0, 4)], by)) == (
        [(A, 1), (A, 3)],
        [(A, 0, "window_settled"), (A, 2, "not_json")],
    )


def test_a_late_row_is_no_duplicate_and_takes_no_key(stream: SmallStream) -> None:
    index = KeyIndex(["id"])
    before = judged(stream, [stream.interval(A, [line("nyc", "n", AT)], 0, 1)])
    assert before.rows is not None
    index.add(before.rows)
    sent = [line("nyc", "n", AT)] * 2
    by = known(keys=index, closed=micros(CLOSES))
    assert [
        row[2] for row in found(judged(stream, [stream.interval(B, sent, 0, 2)], by)).aside
    ] == [
        "window_closed",
        "window_closed",
    ]


def test_rows_of_days_to_come_are_rejected_and_leave_the_watermark(stream: SmallStream) -> None:
    sent = [line("nyc", "f", "2027-01-01T12:00"), line("nyc", "n", "2026-03-19T23:00")]
    result = judged(stream, [stream.interval(A, sent, 0, 2)])
    assert found(result) == ([(A, 1)], [(A, 0, "outside_window")])
    assert result.sources[A].watermark == micros("2026-03-19T22:50")


def test_what_is_set_aside_keeps_its_original(stream: SmallStream) -> None:
    sent = [line("nyc", "n", AT, note="é"), line("nyc", "n", AT, note="again")]
    (aside,) = judged(stream, [stream.interval(A, sent, 0, 2)]).aside
    (row,) = frame(aside).to_dicts()
    assert (row["disposition"], row["key"], row["column"]) == ("duplicate", "n", "id")
    assert '"note":"again"' in row["raw"]
    assert (row["site"], row["business_date"], row["row_date"]) == ("nyc", DAY, DAY)


@pytest.mark.parametrize(("fence", "mark"), [(3, "taken"), (2, "waits"), (4, "dropped")])
def test_an_idle_sources_watermark_counts_where_nothing_is_unread(
    stream: SmallStream, fence: int, mark: str
) -> None:
    beat = Interval(A, 3, 3, 0, idle=micros(CLOSES))
    result = judged(stream, [beat], known({A: at(fence, 3, 5)}))
    expected: dict[str, Any] = {
        "taken": (micros(CLOSES), []), "waits": (5, [beat]), "dropped": (5, [])
    }  # fmt: skip
    assert (result.sources[A].watermark, result.waiting) == expected[mark]


def test_an_idle_watermark_does_not_take_one_back(stream: SmallStream) -> None:
    beat = Interval(A, 3, 3, 0, idle=micros(CLOSES))
    by = known({A: at(3, 3, micros(CLOSES) + 1)})
    assert judged(stream, [beat], by).sources[A].watermark == micros(CLOSES) + 1


def test_rows_set_aside_count_and_move_the_fence_and_not_the_watermark(stream: SmallStream) -> None:
    result = judged(stream, [stream.interval(A, ["{", "["], 0, 2)])
    assert result.sources == {A: Reached(2, 2, None)}
    assert result.rows is None
    assert len(found(result).aside) == 2

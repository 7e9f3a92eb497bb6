"""A night and a stream of the same day: both are counted, and only the night's rows stay."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from small_night import DAY
from small_stream import SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.nightly import feed_tables
from isopach.jobs.queries import window_counts
from isopach.jobs.stream import Summary, run_stream
from isopach.lake.ledger import new_run, record_run
from isopach.lake.publish import publish
from isopach.lake.staged import Staged, write_staged
from isopach.lake.verdicts import Verdict, write_verdicts
from isopach.lake.windows import close_to_streams, reopen
from isopach.pipelines.intervals import Interval
from isopach.pipelines.spool import Spool
from isopach.pipelines.staging import staging

AT = f"{DAY}T12:00"
NEXT = DAY + timedelta(1)


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    return SmallStream.at(tmp_path)


def send(stream: SmallStream, lines: list[str], partition: str = "0") -> None:
    with SpoolWriter(stream.folder / "spool", "visits", partition) as writer:
        writer.append(lines)


def streamed(stream: SmallStream) -> Summary:
    log = Spool(stream.folder / "spool", "visits")
    return run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {})


def sent(site: str, first: int, end: int, at: str = AT) -> list[str]:
    return [line(site, f"{site}{n}", at, minutes=n % 3) for n in range(first, end)]


def counted(stream: SmallStream, mode: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return what was read, accepted, rejected, late and duplicate, by site and date."""
    found = stream.table("counts").filter(mode=mode).drop_nulls("site")
    figures = ["read", "accepted", "rejected", "late", "duplicate"]
    sums = found.group_by("site", "business_date").agg(pl.col(figures).sum())
    return {(row[0], f"{row[1]}"): row[2:] for row in sums.iter_rows()}


def test_a_stream_then_its_night_then_more_events(stream: SmallStream) -> None:
    send(stream, [*sent("nyc", 0, 5), "{", *sent("nyc", 0, 1), *sent("pago", 0, 3)])
    assert streamed(stream).rows == {"accepted": 8, "rejected": 1, "late": 0, "duplicate": 1}
    assert stream.findings() == []
    assert set(stream.states().values()) == {"provisional"}

    stream.deliver("nyc", map(json.loads, sent("nyc", 0, 7)))
    stream.run(only=frozenset({"nyc"}))
    assert stream.findings() == []
    assert stream.states() == {("nyc", DAY): "settled", ("pago", DAY): "provisional"}

    send(stream, [*sent("nyc", 5, 7), *sent("pago", 3, 5), *sent("nyc", 9, 10, f"{NEXT}T12:00")])
    assert streamed(stream).rows == {"accepted": 3, "rejected": 0, "late": 2, "duplicate": 0}
    assert stream.findings() == []
    day, following = f"{DAY}", f"{NEXT}"
    assert counted(stream, "batch") == {("nyc", day): (7, 7, 0, 0, 0)}
    assert counted(stream, "stream") == {
        ("nyc", day): (8, 5, 0, 2, 1), ("pago", day): (5, 5, 0, 0, 0),
        ("nyc", following): (1, 1, 0, 0, 0),
    }  # fmt: skip
    rows = stream.table("records").group_by("site", "business_date", "_mode").len()
    assert {*rows.rows()} == {
        ("nyc", DAY, "batch", 7), ("pago", DAY, "stream", 5), ("nyc", NEXT, "stream", 1)
    }  # fmt: skip
    shown = window_counts(stream.lake, "visits", DAY, None)
    assert {*shown.filter(site="nyc")["mode"]} == {"batch", "stream"}


def test_a_night_before_the_first_event(stream: SmallStream) -> None:
    stream.deliver("nyc", map(json.loads, sent("nyc", 0, 4)))
    stream.run(only=frozenset({"nyc"}))
    send(stream, [*sent("nyc", 0, 5), *sent("pago", 0, 2)])
    assert streamed(stream).rows == {"accepted": 2, "rejected": 0, "late": 5, "duplicate": 0}
    assert stream.findings() == []
    assert counted(stream, "stream")["nyc", f"{DAY}"] == (5, 0, 0, 5, 0)
    assert set(stream.table("quarantine")["reason"]) == {"window_settled"}


def test_a_night_that_is_run_again_counts_once_and_leaves_what_a_stream_set_aside(
    stream: SmallStream,
) -> None:
    send(stream, [*sent("nyc", 0, 3), *sent("nyc", 0, 3)])
    streamed(stream)
    stream.deliver("nyc", map(json.loads, sent("nyc", 0, 4)))
    for _ in range(2):
        stream.run(only=frozenset({"nyc"}))
        assert stream.findings() == []
    stream.deliver("nyc", map(json.loads, sent("nyc", 0, 6)), name="d2", at="2026-03-09T09:00:00Z")
    stream.run(only=frozenset({"nyc"}))
    assert stream.findings() == []
    assert stream.table("records").height == 6
    assert stream.table("quarantine").height == 3
    assert counted(stream, "stream") == {("nyc", f"{DAY}"): (6, 3, 0, 0, 3)}


def test_a_held_night_keeps_what_the_stream_has_and_gets(stream: SmallStream) -> None:
    send(stream, sent("nyc", 0, 3))
    streamed(stream)
    stream.deliver("nyc", map(json.loads, sent("nyc", 0, 3)), rows=9)
    assert stream.run(only=frozenset({"nyc"})).outcome == "held"
    assert stream.findings() == []
    send(stream, sent("nyc", 3, 5))
    assert streamed(stream).rows["accepted"] == 2
    assert stream.findings() == []
    assert stream.states() == {("nyc", DAY): "held"}
    assert stream.table("windows")["rows"].to_list() == [5]
    stream.deliver("nyc", map(json.loads, sent("nyc", 0, 5)), name="d2", at="2026-03-09T09:00:00Z")
    stream.run(only=frozenset({"nyc"}))
    assert stream.findings() == []
    assert stream.states() == {("nyc", DAY): "settled"}
    assert stream.table("records")["_mode"].to_list() == ["batch"] * 5


def test_a_night_plans_by_the_rows_of_nights_alone(stream: SmallStream) -> None:
    from isopach.jobs.nightly import usual_rows

    send(stream, ["{", *sent("nyc", 0, 50)])
    streamed(stream)
    assert usual_rows(stream.lake, "visits", NEXT) == {}
    stream.deliver("nyc", map(json.loads, sent("nyc", 0, 4)))
    stream.run(only=frozenset({"nyc"}))
    send(stream, sent("nyc", 50, 60))
    streamed(stream)
    assert usual_rows(stream.lake, "visits", NEXT) == {"nyc": 4}


@pytest.mark.parametrize("ending", ["given up", "held", "published"])
def test_what_landed_before_a_night_closed_its_window_is_counted_after(
    stream: SmallStream, ending: str
) -> None:
    """The records land first; counts and totals may follow while the night is at work."""
    to = feed_tables(stream.declaration)
    lander = stream.lander()
    lander.learn()
    lines = sent("nyc", 0, 4)
    assert lander.land([Interval("spool/0", 0, 0, 0)]) == []
    assert lander.land([stream.interval("spool/0", lines, 0, 4)]) == []
    folder = staging(stream.lake, "visits") / "night"
    close_to_streams(stream.lake, to, "night", [("nyc", DAY)])
    if ending == "published":  # of a night without rows: nothing there tells that it is done
        write_staged(folder, Staged())
        write_verdicts(folder, [Verdict("nyc", DAY, None, 0, "d1")])
        record_run(
            stream.lake, replace(new_run("visits", "nightly", "batch", "x", {}), run="night")
        )
        publish(stream.lake, to, "night", folder)
        lander.flush()
    elif ending == "held":
        lander.flush()
        write_staged(folder, Staged())
        write_verdicts(folder, [Verdict("nyc", DAY, "differs", 9, "d1")])
        publish(stream.lake, to, "night", folder)
    else:
        lander.flush()
        reopen(stream.lake, "visits", "night")
    settled = ending == "published"
    assert stream.table("totals_all")["visits"].to_list() == ([] if settled else [4])
    assert stream.table("windows")["rows"].to_list() == [0 if settled else 4]
    assert stream.findings() == []

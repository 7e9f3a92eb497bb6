"""Micro-batches over a spool, run as the command runs them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_stream import SmallStream, line, once_each
from tenacity import wait_none

from isopach.feeds.load import load_declaration
from isopach.feeds.produce import produce
from isopach.feeds.sales_events import Plan
from isopach.feeds.spool import SpoolWriter
from isopach.feeds.targets import SpoolTarget
from isopach.jobs import micro_batches
from isopach.jobs.micro_batches import Options
from isopach.jobs.nightly import feed_tables
from isopach.jobs.stream import Summary, run_stream
from isopach.lake.commits import newest, scan
from isopach.lake.landings import NUMBER, LandingLostError, Reached
from isopach.lake.places import Place
from isopach.pipelines import micro_batch
from isopach.pipelines.committing import Committer
from isopach.pipelines.followers import Due, Followers
from isopach.pipelines.landing import Lander
from isopach.pipelines.logs import Bounds, LogError
from isopach.pipelines.micro_batch import Range, plan_ranges, read_range
from isopach.pipelines.spool import Spool
from isopach.pipelines.verify import verify

LINES = [line("nyc", f"{n}", f"2026-03-08T{12 + n % 9}:00", minutes=n % 3) for n in range(30)]


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallStream:
    monkeypatch.setattr(micro_batches, "wait_exponential", lambda **_: wait_none())
    return SmallStream.at(tmp_path)


def send(stream: SmallStream, lines: list[str], partition: str = "0") -> Path:
    with SpoolWriter(stream.folder / "spool", "visits", partition) as writer:
        writer.append(lines)
        return writer.folder


def streamed(stream: SmallStream, **options: Any) -> Summary:
    log = Spool(stream.folder / "spool", "visits")
    return run_stream(stream.declaration, log, stream.lake, Options(until_idle=True, **options), {})


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_however_many_rows_a_micro_batch_has_the_tables_are_the_same(
    stream: SmallStream, rows: int
) -> None:
    logs = {"spool/0": [*LINES[:9], "{", LINES[0]], "spool/1": LINES[10:14]}
    if rows == 1:
        logs = {source: lines[:4] for source, lines in logs.items()}
    for source, lines in logs.items():
        send(stream, lines, source[-1])
    done = streamed(stream, rows=rows, every=timedelta(0))
    assert (done.outcome, done.fences) == ("idle", {s: len(lines) for s, lines in logs.items()})
    assert stream.positions() == once_each(logs)
    assert stream.findings() == []
    expected = stream.other_lake("at once")
    expected.landed_once(logs)
    assert stream.streamed()["records"].equals(expected.streamed()["records"])


def test_a_source_that_has_no_rows_yet_holds_the_windows_open(stream: SmallStream) -> None:
    send(stream, [LINES[0], line("nyc", "x", "2026-03-20T12:00")])
    (stream.folder / "spool/visits/1").mkdir()
    streamed(stream)
    send(stream, LINES[5:7], "1")
    assert streamed(stream).rows == {"accepted": 2, "rejected": 0, "late": 0, "duplicate": 0}
    assert {*stream.table("windows")["progress"]} == {"open"}


def test_a_source_that_cannot_be_read_on_is_told_and_holds_up_no_other(
    stream: SmallStream, caplog: pytest.LogCaptureFixture
) -> None:
    folder = send(stream, LINES[:5])
    send(stream, LINES[10:12], "1")
    streamed(stream)
    (folder / f"{0:020}.jsonl").write_text("")
    send(stream, LINES[12:14], "1")
    done = streamed(stream)
    assert (done.outcome, done.rows["accepted"]) == ("stuck", 2)
    assert "spool/0: positions [0, 5) are gone" in done.stuck["spool/0"]
    assert caplog.text.count("positions [0, 5) are gone") == 1
    assert stream.findings() == []


@pytest.mark.parametrize(
    ("where", "times"), [(Lander.land, micro_batches.ATTEMPTS - 1), (Followers.flush, 1)]
)
def test_storage_that_fails_for_a_moment_is_tried_again(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch, where: Callable[..., Any], times: int
) -> None:
    send(stream, LINES[:5])
    failed: list[str] = []

    def failing(self: Any, given: Any, *more: Any) -> Any:
        given = given if isinstance(given, Due) else list(given)
        begun = given.landings if isinstance(given, Due) else given
        if begun and len(failed) < times:
            failed.append(where.__name__)
            raise OSError(5, os.strerror(5))
        return where(self, given, *more)

    monkeypatch.setattr(Lander if where is Lander.land else Followers, where.__name__, failing)
    assert streamed(stream).rows["accepted"] == 5
    assert len(failed) == times
    assert stream.findings() == []
    assert stream.table("counts")["read"].sum() == 5


def test_storage_that_goes_on_failing_ends_the_stream(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(stream, LINES[:5])
    tried: list[int] = []

    def failing(*_: Any) -> None:
        tried.append(1)
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(Committer, "_land", failing)
    with pytest.raises((OSError, RuntimeError), match="Input/output error"):
        streamed(stream)
    assert len(tried) == micro_batches.ATTEMPTS
    assert stream.table("runs")["outcome"][0].startswith("failed: ")


def lost() -> Exception:
    """Return the error for a description of a landing that is gone, as it is raised."""
    try:
        raise LandingLostError("gone") from FileNotFoundError()
    except LandingLostError as error:
        return error


@pytest.mark.parametrize("error", [lost(), ValueError("wrong")])
def test_what_does_not_pass_is_not_tried_again(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    send(stream, LINES[:5])
    tried: list[int] = []

    def failing(*_: Any) -> None:
        tried.append(1)
        raise error

    monkeypatch.setattr(Committer, "_land", failing)
    with pytest.raises(type(error), match=str(error)):
        streamed(stream)
    assert len(tried) == 1


@pytest.mark.parametrize("rows", [1500, 100_000])
def test_each_sale_with_a_known_fault_lands_where_it_should(tmp_path: Path, rows: int) -> None:
    plan = Plan(rows=3000, faults=True, partitions=3)
    days = [date(2026, 3, 8), date(2026, 3, 9)]
    truth = produce(SpoolTarget(tmp_path / "spool"), days, plan).truth
    declaration, lake = load_declaration("sales"), Place.of(tmp_path / "lake")
    options = Options(until_idle=True, rows=rows, every=timedelta(0))
    log = Spool(tmp_path / "spool", "sales")
    assert run_stream(declaration, log, lake, options, {}).rows["accepted"] == truth.accepted

    to = feed_tables(declaration)
    stored = scan(lake, to.quarantine).collect()
    place = pl.format("spool/{}", "partition").alias("_source")
    faults = truth.faults.drop_nulls("position").filter(pl.col("disposition") != "accepted")
    expected = faults.select(place, pl.col("position").alias("_position"), "disposition")
    assert {*stored.select(expected.columns).rows()} == {*expected.rows()}
    assert stored.height == expected.height
    assert scan(lake, to.records).select(pl.len()).collect().item() == truth.accepted
    assert verify(lake, declaration.feed, to, None).findings == []


class Lengths:
    """A log with nothing but bounds."""

    def __init__(self, **bounds: tuple[int, int]) -> None:
        self.all = bounds

    def sources(self) -> list[str]:
        return sorted(self.all)

    def bounds(self, source: str) -> Bounds:
        return Bounds(*self.all[source])


@pytest.mark.parametrize(
    ("rows", "ends"),
    [
        (1000, {"a": 100, "b": 10, "c": 40}),
        (90, {"a": 40, "b": 10, "c": 40}),
        (30, {"a": 10, "b": 10, "c": 10}),
        (1, {"a": 1, "b": 1, "c": 1}),
    ],
)
def test_sources_share_what_one_micro_batch_reads(rows: int, ends: dict[str, int]) -> None:
    log: Any = Lengths(a=(0, 100), b=(0, 10), c=(0, 40))
    assert plan_ranges(log, {}, rows) == [Range(s, 0, end, 0) for s, end in ends.items()]


def test_ranges_begin_at_the_fence_or_where_there_are_rows() -> None:
    log: Any = Lengths(new=(5, 9), known=(0, 9), done=(0, 9), cut=(0, 3), empty=(4, 4))
    reached = {"known": Reached(4), "done": Reached(9), "cut": Reached(7)}
    assert plan_ranges(log, reached, 100) == [
        Range("cut", 7, 3, 0), Range("known", 4, 9, 0), Range("new", 5, 9, 5)
    ]  # fmt: skip


def test_a_range_that_cannot_be_read_to_its_end_gives_what_is_before(
    stream: SmallStream, caplog: pytest.LogCaptureFixture
) -> None:
    folder = send(stream, LINES[:5])
    (folder / f"{9:020}.jsonl").write_text(f"{LINES[9]}\n")
    log = Spool(stream.folder / "spool", "visits")
    polls = list(read_range(Range("spool/0", 0, 10, 0), log, 1000))
    assert [(poll.first, poll.next, origin) for poll, origin in polls] == [(0, 5, 0)]
    assert "positions [5, 9) are gone" in caplog.text
    with pytest.raises(LogError):
        log.read("spool/0", 5, 1)


def test_a_micro_batch_reads_no_more_bytes_than_it_may(
    stream: SmallStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for partition in "ab":
        send(stream, LINES, partition)
    monkeypatch.setattr(micro_batch, "POLL_ROWS", 4)
    log, mean = Spool(stream.folder / "spool", "visits"), sum(map(len, LINES)) / len(LINES)
    assert [p.next for p, _ in read_range(Range("spool/a", 0, 20, 0), log, mean / 3)] == [4, 8]
    monkeypatch.setattr(micro_batch, "MOST_BYTES", mean * 2 * 10)
    streamed(stream, every=timedelta(0))
    assert stream.positions() == once_each({"spool/a": LINES, "spool/b": LINES})
    now = newest(stream.lake, feed_tables(stream.declaration).records)
    assert now is not None
    assert now.fence(NUMBER) == 3  # of 24 lines, 24 and 12


def test_a_committer_that_was_sent_away_finds_its_lander(stream: SmallStream) -> None:
    feed, sites = stream.declaration.feed, stream.declaration.sites
    committer = Committer(stream.lake, feed, sites, "sent")
    assert pickle.loads(pickle.dumps(committer)).lander is committer.lander
    before = committer.lander
    committer.close()
    assert committer.lander is not before
    committer.close()

"""A stream gated by its feed's suite while it runs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from commands import isopach
from small_night import DAY, declare
from small_stream import STREAM, SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs.micro_batches import Options
from isopach.jobs.status import status
from isopach.jobs.stream import Summary, run_stream
from isopach.jobs.stream_gate import StreamGate
from isopach.lake.compact import compact
from isopach.lake.ledger import new_run
from isopach.lake.pausing import totals_paused
from isopach.pipelines.spool import Spool

AT = f"{DAY}T16:00"
BETWEEN = "expect_column_values_to_be_between"
MEAN = "expect_column_mean_to_be_between"


def gated(folder: Path, *expectations: dict[str, Any], **gate: Any) -> SmallStream:
    """Return a stream whose feed has a suite."""
    suite = {"name": "visits", "expectations": list(expectations)}
    feed = {**STREAM, "suite": suite, "gate": gate}
    return SmallStream(folder, declare(folder, feed))


def mean_below(most: float) -> dict[str, Any]:
    return {"type": MEAN, "kwargs": {"column": "minutes", "max_value": most}}


def send(stream: SmallStream, *lines: str) -> None:
    with SpoolWriter(stream.folder / "spool", "visits", "0") as writer:
        writer.append(list(lines))


def run(stream: SmallStream) -> Summary:
    """Land what the spool has, and end."""
    log = Spool(stream.folder / "spool", "visits")
    feed = json.loads(stream.declaration.feed.model_dump_json())
    options = Options(until_idle=True)
    return run_stream(stream.declaration, log, stream.lake, options, {"feed": feed})


def visits(first: int, count: int, minutes: int) -> list[str]:
    return [line("nyc", f"v{n}", AT, minutes=minutes) for n in range(first, first + count)]


def totals(stream: SmallStream) -> list[tuple[Any, ...]]:
    return stream.table("totals_by_minutes").select("minutes", "visits").sort("minutes").rows()


def test_a_critical_failure_is_an_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stream = gated(tmp_path, mean_below(30))
    send(stream, *visits(0, 5, 50))
    with caplog.at_level(logging.ERROR, "isopach.stream"):
        done = run(stream)
    assert done.outcome == "idle"
    assert done.gate == [f"{MEAN}(minutes): observed 50.0"]
    assert [r.getMessage() for r in caplog.records] == [f"gate: {MEAN}(minutes): observed 50.0"]
    (row,) = stream.table("gates").select("mode", "run", "outcome", "windows").rows()
    assert row == ("stream", done.run, "failed", 1)
    assert totals(stream) == [(50, 5)]
    alarms = status(stream.lake, stream.declaration, datetime.now(UTC)).alarms
    (alarm,) = alarms.filter(alarm="gate_failed").rows(named=True)
    assert alarm["message"].endswith(f"UTC does not meet {MEAN}(minutes): observed 50.0")
    send(stream, *visits(5, 5, 10))
    run(stream)
    later = status(stream.lake, stream.declaration, datetime.now(UTC)).alarms
    assert "gate_failed" not in later["alarm"]


def test_totals_wait_until_a_look_finds_nothing(tmp_path: Path) -> None:
    stream = gated(tmp_path, mean_below(30), pause="totals")
    send(stream, *visits(0, 5, 10))
    run(stream)
    send(stream, *visits(5, 5, 50))
    assert run(stream).gate
    assert totals_paused(stream.lake, "visits")
    send(stream, *visits(10, 4, 50))
    run(stream)
    assert stream.table("records").height == 14
    assert totals(stream) == [(10, 5), (50, 5)], "those of the look that paused were there before"
    send(stream, *visits(14, 3, 10))
    run(stream)
    assert not totals_paused(stream.lake, "visits")
    run(stream)
    assert totals(stream) == [(10, 8), (50, 9)]
    assert stream.findings() == []


def test_the_feed_stops_where_that_is_asked(tmp_path: Path) -> None:
    stream = gated(tmp_path, mean_below(30), pause="feed", every="1s")
    send(stream, *visits(0, 5, 50))
    log = Spool(stream.folder / "spool", "visits")
    found: list[Summary] = []

    def follow() -> None:
        found.append(run_stream(stream.declaration, log, stream.lake, Options(), {}))

    thread = Thread(target=follow, daemon=True)
    thread.start()
    thread.join(60)
    assert [done.outcome for done in found] == ["paused"]
    assert stream.table("records").height == 5
    assert stream.table("runs")["outcome"].to_list() == ["paused"]


def test_a_paused_feed_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    stream = gated(tmp_path, mean_below(30), pause="feed")
    send(stream, *visits(0, 5, 50))
    spool, feed = tmp_path / "spool", tmp_path / "visits.yaml"
    lake = ("--lake", stream.lake.uri)
    result = isopach("stream", feed, "--source", f"spool:{spool}", *lake, "--until-idle")
    assert result.code == 3
    assert "not met expect_column_mean_to_be_between(minutes): observed 50.0" in result.out
    assert "mend the cause, then start it again" in result.out


def test_what_rules_set_aside_counts_against_mostly(tmp_path: Path) -> None:
    most = {"column": "minutes", "max_value": 30, "mostly": 0.8}
    stream = gated(tmp_path, {"type": BETWEEN, "kwargs": most})
    send(stream, *visits(0, 8, 10), *visits(8, 2, 50))
    assert run(stream).gate == []
    send(stream, *visits(10, 7, 10), *visits(17, 3, 50))
    assert run(stream).gate == [
        f"{BETWEEN}(minutes): 3 of 10 rows (30.00%) do not meet it, 20.00% may"
    ]
    assert stream.table("quarantine")["reason"].to_list() == [BETWEEN] * 5


def test_each_row_is_looked_at_once_also_when_files_are_compacted(tmp_path: Path) -> None:
    anything = {"type": BETWEEN, "kwargs": {"column": "minutes", "min_value": 0}}
    stream = gated(tmp_path, {**anything, "severity": "warning"})
    name = new_run("visits", "micro-batch", "stream", "", {}).run
    lander = stream.lander(name)
    lander.learn()
    looks = StreamGate(stream.lake, stream.declaration.feed, name)
    sent = visits(0, 12, 10)
    seen = []
    for first in range(0, 12, 2):
        lander.land([stream.interval("a", sent, first, first + 2)])
        if first % 4 == 2:
            compact(stream.lake, lander.records, 2)
            seen += [one.evaluated for one in looks.look()]
    assert seen == [4, 4, 4]
    assert looks.look() == []


def test_looks_are_kept_where_something_failed(tmp_path: Path) -> None:
    stream = gated(tmp_path, mean_below(30))
    name = new_run("visits", "micro-batch", "stream", "", {}).run
    lander = stream.lander(name)
    lander.learn()
    looks = StreamGate(stream.lake, stream.declaration.feed, name)
    sent = [*visits(0, 2, 10), *visits(2, 2, 50), *visits(4, 4, 10)]
    for first in range(0, 8, 2):
        lander.land([stream.interval("a", sent, first, first + 2)])
        looks.look()
    outcomes = stream.table("gates").sort("at")["outcome"].to_list()
    assert outcomes == ["failed", "passed"]


def test_expectations_on_whole_days_are_left_out_of_a_stream(tmp_path: Path) -> None:
    count = {
        "type": "expect_table_row_count_to_be_between",
        "kwargs": {"min_value": 1000},
        "meta": {"stream": False},
    }
    stream = gated(tmp_path, count)
    send(stream, *visits(0, 5, 10))
    assert run(stream).gate == []
    assert stream.table("gates").is_empty()


def test_a_stream_without_suite_has_no_gate(tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    send(stream, *visits(0, 5, 10))
    run(stream)
    assert stream.table("gates").is_empty()

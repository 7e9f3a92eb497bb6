"""Spark maintains what delta-rs writes, while a stream appends and a run waits."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from commands import isopach
from maintained import data_files, fences, lost_file, maintained, said
from sales_nights import SPARK
from small_night import DAY, rows
from small_stream import SmallStream, announced, assert_same_streams, line, once_each

from isopach.jobs.maintaining_on_spark import OnSpark

pytestmark = SPARK
SOURCE = "spool:visits/0"
LONG_AGO = timedelta(days=20)


def sent(first: int, end: int) -> list[str]:
    return [
        line("nyc" if n % 3 else "pago", f"x{n}", f"{DAY}T{16 + n % 7}:00", minutes=n % 3)
        for n in range(first, end)
    ]


def land(stream: SmallStream, lines: list[str], first: int) -> None:
    lander = stream.lander()
    lander.learn()
    lander.land(announced({SOURCE: lines}))
    for n in range(first, len(lines)):
        assert lander.land([stream.interval(SOURCE, lines, n, n + 1)]) == []
    lander.flush()


def aged(stream: SmallStream) -> None:
    """Have all that was written so far be old."""
    for path in Path(stream.lake.path).rglob("*"):
        then = (datetime.now(UTC) - LONG_AGO).timestamp()
        os.utime(path, (then, then))


def test_beside_a_stream_nothing_is_lost(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, lines = SmallStream.at(tmp_path), sent(0, 40)
    with monkeypatch.context() as then:  # Delta goes by what commits say of when they removed
        now = time.time
        then.setattr("isopach.lake.commits.time.time", lambda: now() - LONG_AGO.total_seconds())
        land(stream, lines[:20], 0)
        maintained(stream, days=0)
        stream.deliver("kathmandu", rows("kathmandu", 5), rows=7)
        stream.run(only=frozenset({"kathmandu"}))
    aged(stream)
    lost_file(stream.lake)
    held = {name for name in data_files(stream, "records") if name.startswith("20")}
    assert held
    before = data_files(stream, "records")
    reached = fences(stream)
    failed: list[BaseException] = []

    def streamed() -> None:
        try:
            land(stream, lines, 20)
        except BaseException as error:
            failed.append(error)

    writer = Thread(target=streamed)
    writer.start()
    gone = 0
    while writer.is_alive() or not gone:
        done = maintained(stream, days=0, engine=OnSpark(spark))
        gone += next(one for one in done if one.table == "visits/records").deleted
    writer.join()
    assert failed == []
    assert stream.positions() == once_each({SOURCE: lines})
    assert stream.findings() == []
    for table, names in reached.items():
        assert fences(stream)[table].keys() >= names.keys()
    said_before, reached = said(stream), fences(stream)
    maintained(stream, days=0, engine=OnSpark(spark))
    assert_same_streams(said_before, said(stream))
    assert fences(stream) == reached, "Spark's commits leave them as they are"
    after = data_files(stream, "records")
    assert len(before - after) == 21, "those joined weeks ago, and the orphan"
    assert held <= after


def test_z_order_keeps_rows_and_streams_go_on(spark: Any, tmp_path: Path) -> None:
    stream, lines = SmallStream.at(tmp_path), sent(0, 8)
    land(stream, lines, 0)
    before = said(stream)
    (records, *_) = maintained(stream, days=0, engine=OnSpark(spark))
    assert (records.files_before, records.files_after) == (8, 1)
    assert_same_streams(before, said(stream))
    lines = sent(0, 12)
    land(stream, lines, 8)
    assert stream.positions() == once_each({SOURCE: lines})
    stream.deliver("nyc", rows("nyc", 4))
    stream.run(only=frozenset({"nyc"}))
    assert stream.findings() == []


def test_the_command_prints_one_document(spark: Any, tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    land(stream, sent(0, 4), 0)
    aged(stream)
    orphan = lost_file(stream.lake)
    feed, java = tmp_path / "visits.yaml", spark.sparkContext._gateway.proc.pid
    done = isopach("maintain", feed, "--lake", stream.lake.path, "--engine", "spark", "--json")
    assert done.code == 0, done.err
    assert done.document["engine"] == "spark"
    assert done.document["tables"][0]["files_after"] == 1
    assert not orphan.exists()
    files = Path(f"/proc/{java}/fd")
    if files.exists():  # on Linux
        out, err = ((files / name).readlink() for name in "12")
        assert out == err, "Delta prints what it deletes"

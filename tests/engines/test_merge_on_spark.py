"""Spark reads, merges into and maintains what delta-rs writes, while a stream appends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import polars as pl
from maintained import fences, maintained
from sales_nights import SPARK
from small_night import DAY, row
from small_stream import SmallStream, announced, line, once_each

from isopach.jobs.maintaining_on_spark import OnSpark

pytestmark = SPARK
SOURCE = "spool:visits/0"
BEFORE = DAY - timedelta(1)
CHANGE = """
    MERGE INTO delta.`{table}` t USING (SELECT 'kathmandu-1' AS id, {note} AS note) s
    ON t.business_date = DATE '{day}' AND t.site = 'kathmandu' AND t.id = s.id
    WHEN MATCHED THEN UPDATE SET t.note = s.note
"""
INSERT = """
    MERGE INTO delta.`{table}` t
    USING (SELECT 'else' AS id, 'kiritimati' AS site, DATE '2020-02-02' AS business_date) s
    ON t.business_date = DATE '2020-02-02' AND t.id = s.id
    WHEN NOT MATCHED THEN INSERT (id, site, business_date) VALUES (s.id, s.site, s.business_date)
"""
DELETE = """
    MERGE INTO delta.`{table}` t USING (SELECT 'else' AS id) s
    ON t.business_date = DATE '2020-02-02' AND t.id = s.id
    WHEN MATCHED THEN DELETE
"""
THERE = [CHANGE, INSERT]
BACK = [CHANGE, DELETE]


def merged(spark: Any, statement: str, table: str, note: str) -> None:
    """Merge into dates that the stream does not write to: else Delta refuses while it commits."""
    spark.sql(statement.format(table=table, day=BEFORE, note=note))


def by_spark(spark: Any, table: str, to: Path, like: pl.DataFrame) -> pl.DataFrame:
    """Return a table's rows as Spark reads them."""
    spark.read.format("delta").load(table).write.parquet(str(to))
    found = pl.read_parquet(to / "*.parquet").select(like.columns)
    return found.cast(like.schema).sort("_source", "_position")  # type: ignore[arg-type]


@dataclass
class Sender:
    """Lands rows one by one, a few each second, until it is told to stop."""

    stream: SmallStream
    lines: list[str] = field(default_factory=list)
    ended: Event = field(default_factory=Event)
    failed: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        try:
            self.land()
        except BaseException as error:
            self.failed.append(error)

    def land(self) -> None:
        lander = self.stream.lander()
        lander.learn()
        lander.land(announced({SOURCE: []}))
        while not self.ended.wait(0.2):
            n = len(self.lines)
            self.lines.append(line("nyc", f"x{n}", f"{DAY}T{16 + n % 7}:00", minutes=n % 3))
            assert lander.land([self.stream.interval(SOURCE, self.lines, n, n + 1)]) == []
        lander.flush()


@contextmanager
def sending(sender: Sender) -> Iterator[None]:
    """Stream beside what is done meanwhile."""
    sender.ended.clear()
    thread = Thread(target=sender.run)
    thread.start()
    try:
        yield
    finally:
        sender.ended.set()
        thread.join()
    assert sender.failed == []


def test_spark_merges_beside_a_stream(spark: Any, tmp_path: Path) -> None:
    stream = SmallStream.at(tmp_path)
    earlier = [row("kathmandu", f"kathmandu-{n}", at=f"{BEFORE}T06:15:00Z") for n in range(5)]
    stream.deliver("kathmandu", earlier, day=BEFORE)
    stream.run(BEFORE, only=frozenset({"kathmandu"}))
    before, reached = stream.table("records"), fences(stream)["visits/records"]
    table, sender = f"{stream.lake.path}/visits/records", Sender(stream)
    with sending(sender):
        for statement in THERE:
            merged(spark, statement, table, "'changed'")
        assert set(stream.table("records")["note"].to_list()) == {None, "changed"}
        assert "checksum" in {one.check for one in stream.findings() if one.site == "kathmandu"}
        landed = len(sender.lines)
        for statement in BACK:
            merged(spark, statement, table, "CAST(NULL AS STRING)")
        (records, *_) = maintained(stream, days=0, engine=OnSpark(spark))
        assert records.files_before > records.files_after
        assert 0 < landed < len(sender.lines), "each waited for the other"
    assert stream.positions() == once_each({SOURCE: sender.lines})
    assert stream.findings() == []
    now = stream.table("records").sort("_source", "_position")
    assert now.filter(_mode="batch").equals(before.sort("_source", "_position"))
    assert by_spark(spark, table, tmp_path / "read", now).equals(now)
    assert fences(stream)["visits/records"].keys() >= reached.keys()
    landed = len(sender.lines)
    with sending(sender):
        sleep(1)
    assert len(sender.lines) > landed, "another stream goes on from the fences"
    assert stream.positions() == once_each({SOURCE: sender.lines})
    assert stream.findings() == []

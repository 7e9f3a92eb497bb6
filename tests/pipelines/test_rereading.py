"""Nights without files: a date's rows, read once more from the stream's own log."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from small_night import DAY, EXAMPLES, NOON, ZONES, declare, lines, row
from small_stream import STREAM, SmallStream, line

from isopach.feeds.spool import SpoolWriter
from isopach.jobs import nightly
from isopach.jobs.micro_batches import Options
from isopach.jobs.nightly import Summary, run_night
from isopach.jobs.progress import Progress
from isopach.jobs.reread import Events
from isopach.jobs.stream import run_stream
from isopach.pipelines import rereading
from isopach.pipelines.kafka import KafkaLog
from isopach.pipelines.logs import Log, LogError, Poll
from isopach.pipelines.micro_batch import Range
from isopach.pipelines.spool import Spool

if TYPE_CHECKING:
    from broker import Broker

BEFORE = DAY - timedelta(days=1)


def at(site: str, minute: int = 0) -> str:
    """A time on DAY at a site, UTC."""
    hour, _ = NOON[site].split(":")
    return f"{DAY}T{hour}:{minute:02}"


def write(stream: SmallStream, *rows: str, partition: str = "0") -> None:
    with SpoolWriter(stream.folder / "spool", "visits", partition) as writer:
        writer.append(list(rows))


def spool(stream: SmallStream) -> Spool:
    return Spool(stream.folder / "spool", "visits")


def landed(stream: SmallStream) -> None:
    """Land what there is."""
    options = Options(until_idle=True)
    run_stream(stream.declaration, spool(stream), stream.lake, options, {})


def settle(stream: SmallStream, log: Log | None = None, **options: Any) -> Summary:
    silent = Progress(Console(quiet=True))
    events = Events(log or spool(stream), "spool:here")
    given = nightly.Options(**options)
    return run_night(stream.declaration, events, stream.lake, DAY, given, silent)


def without_places(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return tables without where their rows are from, and what only a delivery says."""
    drop = ["_source", "_position", "declared", "delivery", "bytes"]
    return {n: (t := table.drop(drop, strict=False)).sort(t.columns) for n, table in tables.items()}


@pytest.fixture
def stream(tmp_path: Path) -> SmallStream:
    return SmallStream.at(tmp_path)


def test_night_settles_from_the_log_as_the_stream_has_it(stream: SmallStream) -> None:
    write(stream, line("nyc", "a", at("nyc")), line("nyc", "a", at("nyc")), "{", partition="0")
    bad = line("nyc", "b", at("nyc", 5), minutes="many")
    other = line("nyc", "c", f"{BEFORE}T16:00")
    write(stream, other, bad, line("pago", "d", at("pago")), partition="1")
    landed(stream)
    done = settle(stream)
    assert (done.settled, done.compared, done.differing) == (2, 2, 0)
    assert [held["reason"] for held in done.held] == ["the log has no event of this date"] * 2
    counted = {r["site"]: r for r in stream.table("counts").filter(mode="batch").to_dicts()}
    figures = ("read", "accepted", "rejected", "late", "duplicate")
    assert [counted["nyc"][name] for name in figures] == [3, 1, 1, 0, 1]
    assert [counted["pago"][name] for name in figures] == [1, 1, 0, 0, 0]
    records = stream.table("records")
    assert records.filter(business_date=DAY)["_mode"].unique().to_list() == ["batch"]
    assert records.filter(business_date=BEFORE)["_mode"].to_list() == ["stream"]
    assert stream.findings() == []
    landed(stream)
    again = settle(stream)
    assert (again.settled, again.compared) == (2, 0)
    assert stream.findings() == []


ROWS = st.lists(
    st.tuples(
        st.sampled_from(sorted(ZONES)),
        st.integers(0, 8),
        st.sampled_from([{}, {"minutes": "many"}, {"fee": "2.25"}, {"id": None}]),
        st.sampled_from([0, 0, 0, 1, -1]),
    ),
    max_size=40,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(ROWS, st.integers(1, 3), st.sampled_from([None, 1]), st.integers(1, 7))
def test_night_from_the_log_is_the_night_from_files(
    tmp_path_factory: pytest.TempPathFactory,
    given_rows: list[tuple[str, int, dict[str, Any], int]],
    partitions: int,
    memory: int | None,
    target: int,
) -> None:
    feed = {**STREAM, "salting": {"target_rows": target}}
    both = [tmp_path_factory.mktemp(name) for name in ("files", "log")]
    files, log = (SmallStream(folder, declare(folder, feed)) for folder in both)
    by_site: dict[str, list[dict[str, Any]]] = {}
    for number, (site, id, other, days) in enumerate(given_rows):
        moment = datetime.fromisoformat(row(site, "")["at"]) + timedelta(days=days)
        one = row(site, f"{site}-{id}", at=moment.isoformat()) | other
        write(log, json.dumps(one), partition=str(hash(one["id"]) % partitions))
        if days == 0:
            by_site.setdefault(site, []).append(one)
        assert number < 40
    for site, some in by_site.items():
        files.deliver(site, some)
    if not by_site:
        return
    only = frozenset(by_site)
    files.run(only=only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rereading, "RANGE_ROWS", 7)
        done = settle(log, only=only, memory=memory)
    assert done.held == []
    first, second = without_places(files.content()), without_places(log.content())
    columns = ["id", "site", "business_date"]
    for name in first:
        if name in ("records", "quarantine"):  # which of two rows with one key is kept may differ
            chosen = [c for c in (*columns, "key", "disposition") if c in first[name].columns]
            assert (
                first[name]
                .select(chosen)
                .sort(chosen)
                .equals(second[name].select(chosen).sort(chosen))
            )
    counted = ["site", "read", "accepted", "rejected", "late", "duplicate"]
    assert first["counts"].select(counted).equals(second["counts"].select(counted))
    assert log.findings() == []


def test_what_the_stream_does_not_have_is_explained_by_its_position(stream: SmallStream) -> None:
    write(stream, line("nyc", "a", at("nyc")), line("nyc", "b", at("nyc")))
    landed(stream)
    later = f"{DAY + timedelta(days=3)}T12:00"
    write(stream, line("nyc", "next", later))
    landed(stream)
    write(stream, line("nyc", "too late", at("nyc")))
    landed(stream)
    write(stream, line("nyc", "not yet", at("nyc")))
    done = settle(stream, only=frozenset({"nyc"}))
    assert done.causes == {"late": 2}
    told = dict(stream.table("differences").select("key", "evidence").iter_rows())
    assert told["too late"].startswith("the stream set it aside as late, ")
    assert told["not yet"] == ("the stream had landed up to 4, and this is at spool/0 position 4")
    landed(stream)
    assert stream.table("records").filter(business_date=DAY).height == 4
    late = stream.table("quarantine").filter(_mode="stream")
    assert set(late["key"]) == {"too late", "not yet"}
    assert stream.findings() == []


def test_landed_row_that_is_nowhere_is_lost(stream: SmallStream) -> None:
    from deltalake import DeltaTable

    write(stream, line("nyc", "a", at("nyc")), line("nyc", "b", at("nyc")))
    landed(stream)
    DeltaTable(f"{stream.lake.uri}/visits/records").delete("id = 'b'")
    done = settle(stream, only=frozenset({"nyc"}))
    assert done.causes == {"lost": 1}
    (told,) = stream.table("differences")["evidence"]
    assert told == "spool/0 position 1 has landed, and is neither in records nor in quarantine"


def test_only_files_written_since_the_day_began_are_read(stream: SmallStream) -> None:
    write(stream, line("nyc", "old", f"{BEFORE}T16:00"))
    folder = stream.folder / "spool/visits/0"
    (first,) = folder.iterdir()
    old = datetime(2026, 3, 5, tzinfo=UTC).timestamp()
    os.utime(first, (old, old))
    (folder / f"{1:020}.jsonl").write_bytes(lines([json.loads(line("nyc", "a", at("nyc")))]))
    log = spool(stream)
    assert log.since("spool/0", datetime(2026, 3, 7, tzinfo=UTC)) == 1
    assert log.since("spool/0", datetime(2026, 3, 4, tzinfo=UTC)) == 0
    assert log.since("spool/0", datetime(2100, 1, 1, tzinfo=UTC)) == 2
    assert planned(stream, log) == [Range("spool/0", 1, 2, 0)]


def planned(stream: SmallStream, log: Log, landed: dict[str, int] | None = None) -> list[Range]:
    declared = stream.declaration
    day = rereading.Day(DAY, declared.feed, declared.sites, frozenset({"nyc"}))
    return rereading.plan_rereads(log, day, landed or {})


def test_rows_that_landed_and_are_gone_from_the_log_are_named(stream: SmallStream) -> None:
    folder = stream.folder / "spool/visits/0"
    write(stream, line("nyc", "a", at("nyc")), line("nyc", "b", at("nyc")))
    landed(stream)
    (file,) = folder.iterdir()
    file.unlink()
    (folder / f"{2:020}.jsonl").write_bytes(lines([json.loads(line("nyc", "c", at("nyc")))]))
    spool(stream).close()
    with pytest.raises(LogError, match="rows of 2026-03-08 from position 0 on have landed, and"):
        settle(stream)
    assert stream.table("runs").filter(cadence="nightly").is_empty()


def test_log_that_is_not_there_is_an_error(stream: SmallStream) -> None:
    with pytest.raises(LogError, match="spool:here: no partition of visits there"):
        settle(stream)


def test_log_that_stands_still_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rereading, "PATIENCE_SECONDS", 0.1)

    class Silent:
        def read(self, *_: Any, **__: Any) -> None:
            return None

    with pytest.raises(LogError, match="nothing came from position 3 on"):
        list(rereading.read_whole(Range("spool/0", 3, 5, 0), Silent()))  # type: ignore[arg-type]


def test_what_a_poll_has_beyond_its_range_is_left_to_the_next() -> None:
    class Much:
        def read(self, source: str, position: int, *_: Any, **__: Any) -> Poll:
            positions = np.arange(position, position + 10, 2)
            return Poll(source, position, position + 10, positions, pl.Series(map(str, positions)))

    reads = [*rereading.read_whole(Range("k", 0, 13, 0), Much())]  # type: ignore[arg-type]
    assert [p for read in reads for p in read.poll.positions.tolist()] == [0, 2, 4, 6, 8, 10, 12]
    assert reads[-1].poll.next == 13
    assert len(reads[-1].poll.lines) == 2


def produce(broker: Broker, topic: str, rows: Iterable[tuple[str, datetime]]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.address})
    for value, moment in rows:
        producer.produce(topic, value, timestamp=int(moment.timestamp() * 1000))
    assert producer.flush(30) == 0


def test_night_settles_from_a_topic(broker: Broker, stream: SmallStream) -> None:
    topic = f"night.{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, 1)
    noon = datetime.fromisoformat(f"{at('nyc')}:00+00:00")
    old = [(line("nyc", f"old{n}", f"{BEFORE}T16:00"), noon - timedelta(days=4)) for n in range(5)]
    new = [(line("nyc", f"n{n}", at("nyc")), noon) for n in range(5)]
    produce(broker, topic, [*old, *new])
    log = KafkaLog(broker.address, topic).pinned()
    source = f"kafka/{topic}-0"
    assert log.since(source, noon) == 5
    assert log.since(source, noon + timedelta(days=1)) == 10
    assert planned(stream, log) == [Range(source, 5, 10, 0)]
    run_stream(stream.declaration, log, stream.lake, Options(until_idle=True), {})
    done = settle(stream, log, only=frozenset({"nyc"}))
    assert (done.read, done.settled, done.differing) == (5, 1, 0)
    assert stream.findings() == []

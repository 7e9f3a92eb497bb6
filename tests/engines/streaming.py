"""Logs that tests fill, streams that run beside a test, and what these leave in a lake."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Protocol
from unittest.mock import patch
from uuid import uuid4

import polars as pl
from small_stream import HISTORY, Content, summed

from isopach.feeds.load import Declaration
from isopach.jobs import continuous, micro_batches, stream
from isopach.jobs.engines import EngineError, find_tool
from isopach.jobs.flink_jars import find_jars
from isopach.jobs.nightly import feed_tables
from isopach.jobs.prism import find_prism
from isopach.jobs.stream import Summary, run_stream
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.pipelines.logs import Log
from isopach.pipelines.spool import Spool
from isopach.pipelines.verify import Finding, verify

if TYPE_CHECKING:
    from broker import Broker

SOON = 90.0
Options = micro_batches.Options | continuous.Options


def missing(engine: str) -> str:
    """Return why an engine cannot run here; empty if it can."""
    try:
        if engine == "prism":
            find_prism()
        elif engine == "flink":
            find_tool("java", "Flink runs on it", "install Java 17")
            find_jars()
    except EngineError as error:
        return f"no {engine}: {error}"
    return ""


def until(happened: Callable[[], Any], seconds: float = SOON) -> None:
    """Wait until something has happened."""
    end = monotonic() + seconds
    while not happened():
        assert monotonic() < end, f"not in {seconds} s"
        sleep(0.3)  # looking takes longer than it would take to see it


class Filled(Protocol):
    """A log with partitions that a test fills."""

    def source(self, partition: int) -> str: ...
    def address(self) -> str: ...
    def open(self) -> Log: ...
    def send(self, partition: int, lines: Iterable[str | bytes]) -> None: ...
    def grow(self, partitions: int) -> None: ...
    def lose(self, partition: int, before: int) -> None: ...


class FilledSpool:
    """A spool; what is sent at once is a file of its own."""

    def __init__(self, root: Path, feed: str, partitions: int) -> None:
        self.root, self.feed = root, feed
        self.ends: Counter[int] = Counter()
        self.grow(partitions)

    def source(self, partition: int) -> str:
        return f"spool/{partition}"

    def address(self) -> str:
        return f"spool:{self.root}"

    def open(self) -> Log:
        return Spool(self.root, self.feed)

    def send(self, partition: int, lines: Iterable[str | bytes]) -> None:
        data = [as_bytes(line) + b"\n" for line in lines]
        folder = self._folder(partition)
        unfinished = folder / "unfinished"
        unfinished.write_bytes(b"".join(data))
        unfinished.rename(folder / f"{self.ends[partition]:020}.jsonl")
        self.ends[partition] += len(data)

    def grow(self, partitions: int) -> None:
        """Add partitions until there are so many."""
        for partition in range(partitions):
            self._folder(partition).mkdir(parents=True, exist_ok=True)

    def lose(self, partition: int, before: int) -> None:
        """Lose the lines before a position, which is one that a file begins with."""
        for file in self._folder(partition).glob("*.jsonl"):
            if int(file.stem) < before:
                file.unlink()

    def _folder(self, partition: int) -> Path:
        return self.root / self.feed / str(partition)


class FilledTopic:
    """A topic of a real broker; `patience` is how long streams wait for its answers, in seconds."""

    def __init__(self, broker: Broker, feed: str, partitions: int, patience: float = 30.0) -> None:
        self.patience = patience
        self.broker, self.name = broker, f"{feed}.{uuid4().hex[:8]}"
        broker.create_topic(self.name, partitions)
        self.producer = producer(broker)

    def source(self, partition: int) -> str:
        return f"kafka/{self.name}-{partition}"

    def address(self) -> str:
        return f"kafka:{self.broker.address}/{self.name}"

    def open(self) -> Log:
        from isopach.pipelines.kafka import KafkaLog

        return KafkaLog(self.broker.address, self.name, patience=self.patience).pinned()

    def send(self, partition: int, lines: Iterable[str | bytes]) -> None:
        for line in lines:
            self.producer.produce(self.name, as_bytes(line), partition=partition)
        assert self.producer.flush(60) == 0

    def grow(self, partitions: int) -> None:
        """Add partitions until there are so many."""
        from confluent_kafka.admin import NewPartitions

        wanted = NewPartitions(self.name, partitions)
        self.broker.admin.create_partitions([wanted])[self.name].result(30)
        self.broker.settle(self.name, partitions)
        self.producer = producer(self.broker)  # one that knows them

    def lose(self, partition: int, before: int) -> None:
        """Lose the records before an offset."""
        from confluent_kafka import TopicPartition

        place = TopicPartition(self.name, partition, before)
        self.broker.admin.delete_records([place])[place].result(30)


def producer(broker: Broker) -> Any:
    from confluent_kafka import Producer

    return Producer({"bootstrap.servers": broker.address, "linger.ms": 1})


def as_bytes(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode()


def options(engine: str, *, idle_after: float = 3600, **more: Any) -> Options:
    """Return how to stream: on an engine, a commit as soon as may be."""
    idle = timedelta(seconds=idle_after)
    if engine == "micro-batch":
        return micro_batches.Options(timedelta(milliseconds=200), idle_after=idle, **more)
    return continuous.Options(engine, timedelta(milliseconds=200), idle_after=idle, **more)


@dataclass
class Lake:
    """A feed's lake."""

    place: Place
    declaration: Declaration

    @staticmethod
    def at(folder: Path, declaration: Declaration) -> Lake:
        return Lake(Place.of(folder / "lake"), declaration)

    def copied(self, folder: Path) -> Lake:
        shutil.copytree(self.place.path, folder / "lake")
        return Lake.at(folder, self.declaration)

    def drain(self, filled: Filled, engine: str, **more: Any) -> Summary:
        """Stream until idle."""
        how = options(engine, until_idle=True, **more)
        return run_stream(self.declaration, filled.open(), self.place, how, {})

    @contextmanager
    def streaming(self, filled: Filled, engine: str, **more: Any) -> Iterator[Running]:
        """Stream beside the test, and stop at the end, when all that was read has landed."""
        running = Running(self, filled.open(), options(engine, **more))
        often = patch.object(stream, "FLUSH_SECONDS", 0.3)
        with often, patch.object(stream, "stopping", running.stopping):
            running.thread.start()
            try:
                yield running
            finally:
                running.stop.set()
                running.thread.join(SOON)
        assert not running.thread.is_alive()
        if running.errors:
            raise running.errors[0]

    def table(self, name: str) -> pl.DataFrame:
        """Return a table: `records`, `quarantine`, a total's or one of the ledger's."""
        to = feed_tables(self.declaration)
        found = {
            "records": to.records,
            "quarantine": to.quarantine,
            "windows": tables.WINDOWS,
            "counts": tables.COUNTS,
            "runs": tables.RUNS,
            **{f"totals_{total}": table for total, table in to.totals.items()},
        }
        return scan(self.place, found[name]).collect()

    def positions(self) -> Counter[tuple[str, int]]:
        """Return how often each position of a source is stored."""
        where = ["_source", "_position"]
        both = [self.table(name).filter(_mode="stream") for name in ("records", "quarantine")]
        return Counter(pl.concat([one.select(where) for one in both]).iter_rows())

    def content(self) -> Content:
        """Return what all tables say, without when and by which run; counts as sums over runs.

        Of sources only the partition is told.
        """
        names = [f"totals_{total}" for total in self.declaration.feed.totals]
        found = {
            name: self.table(name).drop(HISTORY, strict=False)
            for name in ("records", "quarantine", "windows", *names)
        }
        partition = pl.col("_source").str.extract(r"(\d+)$")
        for name in ("records", "quarantine"):
            found[name] = found[name].with_columns(partition.alias("_source"))
        found["counts"] = summed(self.table("counts"))
        return {name: table.sort(table.columns) for name, table in found.items()}

    def findings(self) -> list[Finding]:
        """Return what verification finds wrong."""
        to = feed_tables(self.declaration)
        return verify(self.place, self.declaration.feed, to, None).findings


@dataclass
class Running:
    """A stream that runs in a thread."""

    lake: Lake
    log: Log
    how: Options
    stop: Event = field(default_factory=Event)
    summaries: list[Summary] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._run)

    def _run(self) -> None:
        try:
            lake = self.lake
            done = run_stream(lake.declaration, self.log, lake.place, self.how, {})
            self.summaries.append(done)
        except BaseException as error:
            self.errors.append(error)

    @contextmanager
    def stopping(self) -> Iterator[Event]:
        yield self.stop

    def until(self, happened: Callable[[], Any], seconds: float = SOON) -> None:
        """Wait until something has happened, or the stream has failed."""
        until(lambda: not self.thread.is_alive() or happened(), seconds)
        self.check()

    def check(self) -> None:
        """Raise what the stream has failed with."""
        if self.errors:
            raise self.errors[0]

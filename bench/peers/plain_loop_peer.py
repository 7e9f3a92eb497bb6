"""The stream by a loop: consume, parse by Polars, append by deltalake.

It goes on from the offsets in the table, which each commit carries; it looks for no row that came
before.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from threading import Event

import polars as pl
from confluent_kafka import Consumer, TopicPartition
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from bench.peers.stream_task import StreamTask, parse
from bench.peers.task import REQUIRED

COMMIT_SECONDS = 1.0
COMMIT_ROWS = 200_000
CONSUME_ROWS = 10_000
CONSUME_SECONDS = 0.05
TEXTS = pl.Schema(
    {
        "event_id": pl.String(),
        "store": pl.String(),
        "sold_at": pl.String(),
        "sku": pl.String(),
        "quantity": pl.Int32(),
        "unit_price": pl.String(),
        "customer": pl.String(),
    }
)
OFFSET_TIME = "%Y-%m-%dT%H:%M:%S%.f%:z"


@dataclass
class Loop:
    """Reads a topic's partitions from where the table ends; `next` are their next offsets."""

    task: StreamTask
    consumer: Consumer
    next: dict[int, int]
    ends: dict[int, int]
    waiting: list[bytes] = field(default_factory=list)
    committed: float = field(default_factory=time.monotonic)

    def run(self, stop: Event) -> None:
        """Append what comes, until stopped or until all that was there at the start is."""
        while not stop.is_set() and not (self.task.until_idle and self.done):
            self.consume()
            late = time.monotonic() - self.committed >= COMMIT_SECONDS
            if late or len(self.waiting) >= COMMIT_ROWS:
                self.commit()
        self.commit()

    @property
    def done(self) -> bool:
        """Whether everything has been read that was there at the start."""
        return all(self.next[number] >= end for number, end in self.ends.items())

    def consume(self) -> None:
        """Take what the client has."""
        for message in self.consumer.consume(CONSUME_ROWS, CONSUME_SECONDS):
            if message.error():
                raise RuntimeError(message.error())
            self.waiting.append(message.value())
            self.next[message.partition()] = message.offset() + 1

    def commit(self) -> None:
        """Append what waits, with the offsets up to which it goes."""
        self.committed = time.monotonic()
        if not self.waiting:
            return
        offsets = [Transaction(str(number), at) for number, at in self.next.items()]
        write_deltalake(
            self.task.out,
            rows(self.waiting),
            mode="append",
            commit_properties=CommitProperties(app_transactions=offsets),
        )
        self.waiting.clear()


def rows(lines: list[bytes]) -> pl.DataFrame:
    """Parse lines, and keep complete rows."""
    texts = pl.read_ndjson(b"\n".join(lines), schema=TEXTS)
    typed = texts.with_columns(
        pl.col("sold_at").str.to_datetime(OFFSET_TIME, time_unit="us", time_zone="UTC"),
        pl.col("unit_price").cast(pl.Decimal(10, 2)),
    )
    return typed.drop_nulls(REQUIRED)


def opened(task: StreamTask) -> Loop:
    """Open a consumer on all partitions where the table ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": task.brokers,
            "group.id": "plain-loop",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,  # by default a full queue rests for 1 s
        }
    )
    partitions = consumer.list_topics(task.topic, 30).topics[task.topic].partitions
    starts, ends = {}, {}
    for number in partitions:
        first, ends[number] = consumer.get_watermark_offsets(TopicPartition(task.topic, number))
        starts[number] = max(first, landed(task, number))
    consumer.assign([TopicPartition(task.topic, number, at) for number, at in starts.items()])
    return Loop(task, consumer, starts, ends)


def landed(task: StreamTask, partition: int) -> int:
    """Return the offset up to which the table has a partition."""
    if not DeltaTable.is_deltatable(str(task.out)):
        return 0
    return DeltaTable(task.out).transaction_version(str(partition)) or 0


def main() -> None:
    """Run until interrupted, or until all has landed where that is asked."""
    stop = Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    loop = opened(parse())
    try:
        loop.run(stop)
    finally:
        loop.consumer.close()


if __name__ == "__main__":
    main()

"""Topics that peers are given, what fills them, and what is in them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from bench.measure import measure
from bench.night import DAY
from bench.services import Broker

PARTITIONS = 4
CONSUME_ROWS = 10_000
DAYS_BEFORE = tuple(DAY - timedelta(days=number) for number in (3, 2, 1))
LINES = pa.schema([("line", pa.string())])


@dataclass(frozen=True)
class Topic:
    """A topic of plain sales events, one JSON object a message."""

    brokers: str
    name: str

    def producer(self, rows: int, *, day: date = DAY, rate: float | None = None) -> list[str]:
        """Return the command that sends a date's events, at a rate as they happen, or at once."""
        options = {"--to": f"kafka:{self.brokers}/{self.name}", "--date": day, "--rows": rows}
        flags = [str(word) for option in options.items() for word in option]
        paced = ["--now", "--rate", str(rate)] if rate is not None else []
        partitions = ["--partitions", str(PARTITIONS)]
        return [sys.executable, "-m", "isopach.feeds.produce", *flags, *partitions, *paced]

    def fill(self, rows: int, *, day: date = DAY, rate: float | None = None) -> None:
        """Send events and wait until all are there; raises RuntimeError if that fails."""
        done = measure(self.producer(rows, day=day, rate=rate))
        if done.code:
            raise RuntimeError(f"no events in topic {self.name}: {done.errors}")


def create(broker: Broker, name: str) -> Topic:
    """Create a topic with nothing in it."""
    broker.create_topic(name, PARTITIONS)
    return Topic(broker.address, name)


def read_back(topic: Topic, to: Path) -> Path:
    """Write all lines of a topic to a Parquet file and return it."""
    consumer = Consumer({"bootstrap.servers": topic.brokers, "group.id": "read-back"})
    try:
        left = assigned(consumer, topic)
        with pq.ParquetWriter(to, LINES) as writer:
            while left > 0:
                lines = consumed(consumer)
                left -= len(lines)
                writer.write_table(pa.table({"line": lines}, LINES))
    finally:
        consumer.close()
    return to


def assigned(consumer: Consumer, topic: Topic) -> int:
    """Have a consumer read all partitions from the beginning; return how many messages follow."""
    places = [TopicPartition(topic.name, number, 0) for number in range(PARTITIONS)]
    consumer.assign(places)
    return sum(consumer.get_watermark_offsets(place, 30)[1] for place in places)


def consumed(consumer: Consumer) -> list[str]:
    """Return the values of the next messages; raises RuntimeError if there are none in time."""
    messages = consumer.consume(CONSUME_ROWS, 5)
    errors = [message.error() for message in messages if message.error()]
    if errors or not messages:
        raise RuntimeError(f"the topic cannot be read back: {errors or 'no answer in 5 s'}")
    return [message.value().decode() for message in messages]

"""Where events are sent: a spool, or a Kafka topic."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from isopach.feeds.sales_lines import BROKEN
from isopach.feeds.spool import SpoolWriter

QUEUED = 400_000
"""How many messages wait in the Kafka client at most."""
FLUSH_SECONDS = 30.0


class TargetError(Exception):
    """A target that takes no events: the message says which, why, and what to do."""


class Target(Protocol):
    """A log that events are appended to."""

    binary: bool
    """Whether lines may hold bytes that are not UTF-8."""

    def send(self, partition: int, lines: pl.Series) -> int | None:
        """Append lines to a partition; return the position of the first, if that is known."""
        ...

    def close(self) -> None:
        """Send what still waits; raises if that fails."""
        ...


class SpoolTarget:
    """A spool; partitions are named by their numbers."""

    binary = False

    def __init__(self, root: Path, feed: str = "sales") -> None:
        self.root, self.feed = root, feed
        self.writers: dict[int, SpoolWriter] = {}

    def send(self, partition: int, lines: pl.Series) -> int:
        """Append lines to a partition and return the position of the first."""
        if partition not in self.writers:
            self.writers[partition] = SpoolWriter(self.root, self.feed, str(partition))
        return self.writers[partition].append(lines)

    def close(self) -> None:
        """Close all partitions."""
        for writer in self.writers.values():
            writer.close()


class KafkaTarget:
    """A Kafka topic; each message goes to the partition of its number, in order, once.

    `producer` takes the place of a producer for the brokers.
    """

    binary = True

    def __init__(self, brokers: str, topic: str, producer: Any = None) -> None:
        self.brokers, self.topic = brokers, topic
        self.failed: Any = None
        self.producer = _producer(brokers) if producer is None else producer

    def send(self, partition: int, lines: pl.Series) -> None:
        """Queue lines for a partition, waiting while the queue is long."""
        whole = lines.cast(pl.Binary)
        if lines.str.contains(BROKEN, literal=True).any():
            values = [value.replace(BROKEN.encode(), b"\xff") for value in whole]
        else:
            values = whole.to_list()
        self._wait(len(values))
        messages = [{"value": value} for value in values]
        queued = self.producer.produce_batch(
            self.topic, messages, partition=partition, on_delivery=self._reported
        )
        if queued < len(messages):
            error = next(m["_error"] for m in messages if "_error" in m)
            raise TargetError(f"{self._name(partition)}: {error}")
        self.producer.poll(0)
        self._check()

    def _wait(self, more: int) -> None:
        """Wait until so many more messages fit into the queue."""
        while (waiting := len(self.producer)) and waiting + more > QUEUED:
            self.producer.poll(0.01)
            self._check()

    def close(self) -> None:
        """Wait until the brokers have everything; raises TargetError if they do not take it."""
        end = time.monotonic() + FLUSH_SECONDS
        while (left := len(self.producer)) and time.monotonic() < end and not self.failed:
            self.producer.flush(0.5)
        self._check()
        if left:
            raise TargetError(
                f"up to {left} messages not delivered to topic {self.topic!r} within"
                f" {FLUSH_SECONDS:.0f} s: see whether the brokers {self.brokers} answer"
            )

    def _reported(self, error: Any, message: Any) -> None:
        if error is not None and self.failed is None:
            self.failed = TargetError(
                f"{self._name(message.partition())}: {error}; see whether the brokers answer, and"
                " whether the topic has so many partitions"
            )

    def _check(self) -> None:
        if self.failed is not None:
            raise self.failed

    def _name(self, partition: int) -> str:
        return f"topic {self.topic!r}, partition {partition}, at {self.brokers}"


def _producer(brokers: str) -> Any:
    try:
        from confluent_kafka import Producer
    except ImportError as error:
        raise TargetError("Kafka needs confluent-kafka: pip install 'isopach[kafka]'") from error
    return Producer(
        {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "compression.type": "lz4",
            "delivery.timeout.ms": 60_000,
            "queue.buffering.max.messages": 2 * QUEUED,
            "delivery.report.only.error": True,
        }
    )


def target(address: str) -> Target:
    """Return the target at an address, `spool:DIR` or `kafka:BROKERS/TOPIC`."""
    kind, _, place = address.partition(":")
    if kind == "spool" and place:
        return SpoolTarget(Path(place))
    if kind == "kafka" and (match := re.fullmatch(r"([^/\s]+)/([A-Za-z0-9._-]+)", place)):
        return KafkaTarget(match[1], match[2])
    raise ValueError(f"{address!r} is no target: give spool:DIR or kafka:BROKERS/TOPIC")

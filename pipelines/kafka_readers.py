"""Readers of Kafka partitions: one consumer each, which reads on from where it was opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from isopach.pipelines.kafka_settings import confluent_kafka, connected, consumer_settings
from isopach.pipelines.kafka_topics import TRANSIENT, Topic, UnansweredError
from isopach.pipelines.logs import Bounds, LogError, Poll, texts

WAIT_SECONDS = 0.05
OPEN_SECONDS = 0.25
CHECK_SECONDS = 1.0
CHUNK_ROWS = 10_000  # more message objects at a time leave the processor's cache: 30 % slower
OUT_OF_RANGE = {"_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"}


class Chunk(NamedTuple):
    """Rows of one call to the client, and what it reported between them."""

    positions: np.ndarray
    lines: pl.Series
    errors: list[Any]


class Reader:
    """A partition's consumer; one thread reads at a time.

    A consumer reads on from where it was opened and is never moved, so that nothing fetched for
    one position can be taken for what follows another.
    """

    def __init__(self, topic: Topic, partition: int) -> None:
        self.source = f"kafka/{topic.name}-{partition}"
        self._topic = topic
        self._partition = partition
        self._lock = Lock()
        self._errors: deque[Any] = deque(maxlen=100)
        self._consumer: Any = None
        self._next = -1  # what it reads next

    def read(self, position: int, rows: int, wait: bool = True) -> Poll | None:
        """Return what there is from a position on; None if nothing, or brokers are away."""
        with self._lock:
            try:
                poll = self._read(position, rows, wait)
            except BaseException:
                self._close()
                raise
            return poll if poll and poll.next > position else None

    def close(self) -> None:
        """End the consumer once who reads has read."""
        with self._lock:
            self._close()

    def _read(self, position: int, rows: int, wait: bool) -> Poll | None:
        moment = self._go_to(position)
        chunks = list(self._chunks(rows, moment if wait else 0))
        poll = self._poll(position, chunks)
        failed = self._failed(position, chunks, poll)
        sound = poll.next == position or self._is_sound(poll)
        if failed or not sound:
            self._close()
        self._next = poll.next
        return poll if sound else None

    def _go_to(self, position: int) -> float:
        """Have a consumer that reads next from there; return how long to wait for its rows."""
        if self._consumer is not None and position == self._next:
            return WAIT_SECONDS
        self._close()
        if position < 0:  # to Kafka, some such numbers are names: the end, the first
            raise LogError(f"{self.source}: there is no offset {position}; offsets start at 0")
        self._consumer = connected(
            confluent_kafka().Consumer,
            consumer_settings(self._topic.settings),
            self._topic.settings_file,
            self._errors.append,
        )
        self._consumer.assign([self._place(position)])
        return OPEN_SECONDS

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None
        self._errors.clear()

    def _place(self, position: int) -> Any:
        return confluent_kafka().TopicPartition(self._topic.name, self._partition, position)

    def _chunks(self, rows: int, wait: float) -> Iterator[Chunk]:
        """Wait a moment for the first row, but not for more: they are there or come next time."""
        first = self._consumer.poll(wait)
        messages = [] if first is None else [first]
        while messages:
            messages += self._consumer.consume(min(rows, CHUNK_ROWS) - len(messages), 0)
            yield chunk(messages)
            rows -= len(messages)
            messages = self._consumer.consume(1, 0) if rows > 0 else []

    def _poll(self, position: int, chunks: Sequence[Chunk]) -> Poll:
        """Join chunks; the next offset is the consumer's own, which knows what it left out."""
        (at,) = self._consumer.position([self._place(position)])
        return Poll(
            self.source,
            position,
            max(at.offset, position),  # negative until there was something
            np.concatenate([c.positions for c in chunks] or [np.empty(0, np.int64)]),
            pl.concat([c.lines for c in chunks] or [texts([])]),
        )

    def _failed(self, position: int, chunks: Sequence[Chunk], poll: Poll) -> bool:
        """Tell whether reading broke off; raises LogError if waiting does not mend it.

        Rows before a gap are given first, and the error comes with the next read. After another
        error there may be rows too, but not all: the client leaves out what is corrupt.
        """
        errors = [error for one in chunks for error in one.errors]
        errors += [self._errors.popleft() for _ in range(len(self._errors))]
        errors = [error for error in errors if error.name() not in TRANSIENT]
        for error in errors:
            if error.name() not in OUT_OF_RANGE:
                raise self._topic.fatal(error, self.source)
        if errors and not len(poll.positions):
            check_within(self.source, position, self._topic.bounds(self._partition))
        return bool(errors)

    def _is_sound(self, poll: Poll) -> bool:
        """Tell whether rows are the topic's, or could not be checked; raises LogError."""
        gap = first_gap(poll)
        if gap and self._topic.compacted:
            raise LogError(
                f"{self.source}: offsets [{gap[0]}, {gap[1]}) are not there and the topic is "
                "compacted (cleanup.policy): records may be gone that were never read; read from "
                "a topic with cleanup.policy=delete"
            )
        try:
            self._topic.check_same(CHECK_SECONDS)
        except UnansweredError:
            return False  # the rows are read again when brokers are back
        return True


def chunk(messages: Sequence[Any]) -> Chunk:
    """Return messages as columns, apart from those that report an error."""
    kind = type(messages[0])  # whose methods, mapped, make no object for each call
    errors = [error for error in map(kind.error, messages) if error is not None]
    rows = [m for m in messages if m.error() is None] if errors else messages
    positions = np.fromiter(map(kind.offset, rows), np.int64, len(rows))
    return Chunk(positions, texts([*map(kind.value, rows)]), errors)


def first_gap(poll: Poll) -> tuple[int, int] | None:
    """Return the first offsets `[from, to)` that a poll covers without a row."""
    if len(poll.positions) == poll.next - poll.first:
        return None
    edges = np.concatenate(([poll.first - 1], poll.positions, [poll.next]))
    place = int(np.flatnonzero(np.diff(edges) > 1)[0])
    return int(edges[place]) + 1, int(edges[place + 1])


def check_within(source: str, position: int, bounds: Bounds) -> None:
    """Raise LogError if a position is before or after all that a partition has."""
    if position < bounds.first:
        raise LogError(
            f"{source}: offsets [{position}, {bounds.first}) are gone: deleted before they were "
            "read, by retention.ms, retention.bytes or by hand; have them sent again or delivered "
            f"as files, and lengthen the retention. The topic now has [{bounds.first}, "
            f"{bounds.end})"
        )
    if position > bounds.end:
        raise LogError(
            f"{source}: offsets [{bounds.end}, {position}) are gone: the topic ends at "
            f"{bounds.end}, but was read up to {position}. It was made anew, or its brokers lost "
            "rows; load it under another feed or topic name"
        )

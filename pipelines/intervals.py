"""Intervals: what a poll of a source became, good rows and others, on the way to the committer."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from isopach.feeds.feed import Feed
from isopach.feeds.rules import Rule
from isopach.feeds.sites import Sites
from isopach.pipelines.json_lines import decode_json
from isopach.pipelines.logs import Poll
from isopach.transforms.batches import frame, pack, repeated, single_batch, unpack, with_column
from isopach.transforms.counts import Tally, Window
from isopach.transforms.prepare import Arrival, prepare
from isopach.transforms.quarantine import REJECTED, quarantined

LOG = logging.getLogger("isopach.stream")


class Interval(NamedTuple):
    """All that a source has in `[first, next)`; it may hold no rows.

    `origin` is where reading began when nothing of the source had landed. `idle` is the watermark
    (UTC microseconds) of a source that has had nothing for a while and follows the clock.
    `expected` says how many of its rows do not meet the rules of a suite, by window.
    """

    source: str
    first: int
    next: int
    origin: int
    accepted: pa.RecordBatch | None = None
    aside: pa.RecordBatch | None = None
    idle: int | None = None
    expected: tuple[tuple[Window, Tally], ...] = ()

    @property
    def rows(self) -> int:
        return sum(part.num_rows for part in (self.accepted, self.aside) if part is not None)

    def windows(self) -> dict[tuple[str | None, date | None], int]:
        """Return how many rows it has of each site and business date, where these are known."""
        where = ["site", "business_date"]
        parts = [frame(p.select(where)) for p in (self.accepted, self.aside) if p is not None]
        counts = pl.concat(parts).group_by(where).len() if parts else None
        return {} if counts is None else {(s, d): n for s, d, n in counts.iter_rows()}

    def since(self, position: int) -> Interval:
        """Return what of it lies at or after a position."""
        accepted, aside = (_since(part, position) for part in (self.accepted, self.aside))
        return self._replace(first=position, accepted=accepted, aside=aside)

    def pack(self) -> bytes:
        """Return it as bytes, its batches packed."""
        return pickle.dumps(
            self._replace(accepted=_packed(self.accepted), aside=_packed(self.aside))
        )

    @staticmethod
    def unpack(packed: bytes) -> Interval:
        """Return the interval that was packed."""
        found: Interval = pickle.loads(packed)
        accepted, aside = (part and unpack(part) for part in (found.accepted, found.aside))
        return found._replace(accepted=accepted, aside=aside)


class IntervalCoder(beam.coders.Coder):  # type: ignore[misc]
    """Code intervals packed."""

    def encode(self, interval: Interval) -> bytes:
        return interval.pack()

    def decode(self, encoded: bytes) -> Interval:
        return Interval.unpack(encoded)

    def estimate_size(self, interval: Interval) -> int:
        parts = interval.accepted, interval.aside
        return sum(part.nbytes for part in parts if part is not None)

    def to_type_hint(self) -> Any:
        return Interval


beam.coders.registry.register_coder(Interval, IntervalCoder)


def _packed(batch: pa.RecordBatch | None) -> bytes | None:
    return None if batch is None else pack(batch)


def _since(batch: pa.RecordBatch | None, position: int) -> pa.RecordBatch | None:
    if batch is None:
        return None
    return batch.filter(pc.greater_equal(batch.column("_position"), position))


def intervals_of(
    poll: Poll, origin: int, feed: Feed, sites: Sites, rules: list[Rule]
) -> Iterator[Interval]:
    """Yield what a poll's lines become, decoded and prepared.

    Lines that the kernels fail on, whatever the reason, are found by halving; each is set aside
    alone, with the error.
    """
    if not len(poll.lines):
        yield Interval(poll.source, poll.first, poll.next, origin)
        return
    try:
        yield _interval(poll, origin, feed, sites, rules)
    except (Exception, pl.exceptions.PanicException) as error:
        if len(poll.lines) == 1:
            LOG.exception("%s: position %d cannot be prepared", poll.source, poll.positions[0])
            yield _failed(poll, origin, error)
            return
        middle = len(poll.lines) // 2
        at = int(poll.positions[middle])
        first = poll._replace(next=at, positions=poll.positions[:middle], lines=poll.lines[:middle])
        second = poll._replace(
            first=at, positions=poll.positions[middle:], lines=poll.lines[middle:]
        )
        yield from intervals_of(first, origin, feed, sites, rules)
        yield from intervals_of(second, origin, feed, sites, rules)


def _interval(poll: Poll, origin: int, feed: Feed, sites: Sites, rules: list[Rule]) -> Interval:
    batch = single_batch(pa.Table.from_batches(decode_json(poll.lines, feed)))
    batch = with_column(batch, "_source", repeated(poll.source, batch.num_rows))
    batch = with_column(batch, "_position", pa.array(poll.positions, pa.int64()))
    outcome = prepare(Arrival(None, None, batch), feed, sites, rules)
    bounds = poll.source, poll.first, poll.next, origin
    expected = tuple(outcome.expected)
    return Interval(*bounds, outcome.accepted, outcome.quarantined, expected=expected)


def _failed(poll: Poll, origin: int, error: BaseException) -> Interval:
    """Return a line that cannot be prepared, with the error, as the row that it is."""
    row = pl.DataFrame(
        {
            "disposition": [REJECTED],
            "reason": [f"cannot_be_prepared: {type(error).__name__}: {error}"[:500]],
            "raw": poll.lines,
            "_source": [poll.source],
            "_position": poll.positions,
        }
    )
    return Interval(poll.source, poll.first, poll.next, origin, None, quarantined(row))

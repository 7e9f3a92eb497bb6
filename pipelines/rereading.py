"""Re-reading a log: the rows of one business date, staged as a night stages deliveries.

Nothing that a stream remembers is used: the range to read comes from the log itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa

from isopach.expectations.rules import row_rules
from isopach.feeds.days import MICROSECOND
from isopach.feeds.feed import Feed
from isopach.feeds.rules import Rule
from isopach.feeds.sites import Sites
from isopach.pipelines.intervals import Interval, intervals_of
from isopach.pipelines.logs import Log, LogError, Poll
from isopach.pipelines.micro_batch import POLL_ROWS, Range, Read
from isopach.pipelines.nightly import Wave, stage
from isopach.pipelines.staging import Target
from isopach.transforms.batches import frame
from isopach.transforms.counts import Tally, Window
from isopach.transforms.prepare import Prepared
from isopach.transforms.salt import SaltingPlan
from isopach.transforms.threads import flat_map

RANGE_ROWS = 1 << 20
AHEAD = timedelta(days=1)
"""How far a site's clock may be ahead: its rows are looked for so long before their day begins."""
PATIENCE_SECONDS = 60.0
UNIX = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Day:
    """The business date whose rows are read, and how they are prepared; rows of `only` sites."""

    date: date
    feed: Feed
    sites: Sites
    only: frozenset[str]


def plan_rereads(log: Log, day: Day, landed: Mapping[str, int]) -> list[Range]:
    """Return the ranges of a log that may hold rows of a business date, up to its present end.

    They begin with what was written to the log a day before the date began anywhere.

    Args:
        landed: the lowest position of each source that has landed with a row of the date; raises
            LogError where the log no longer has it.
    """
    start = min((day.sites.window(site, day.date)[0] for site in day.only), default=0)
    moment = UNIX + start * MICROSECOND - AHEAD
    ranges: list[Range] = []
    for source in log.sources():
        first, end = log.bounds(source)
        if source in landed and landed[source] < first:
            raise LogError(
                f"{source}: rows of {day.date} from position {landed[source]} on have landed, and "
                f"the log begins at {first}: what is gone from it cannot be read again. Settle the "
                "date from deliveries (--landing), or lengthen the retention"
            )
        begin = max(first, min(log.since(source, moment), landed.get(source, end)))
        edges = [*range(begin, end, RANGE_ROWS), end]
        ranges += [Range(source, a, b, first) for a, b in pairwise(edges)]
    return ranges


def build(
    pipeline: beam.Pipeline,
    *,
    log: Log,
    ranges: Sequence[Range],
    day: Day,
    target: Target,
    plan: SaltingPlan,
    wave: Wave,
) -> None:
    """Add the flow that stages a wave of a business date's rows from a log."""
    outputs = (
        pipeline
        | "Ranges" >> beam.Create(ranges)
        | "Read" >> beam.FlatMap(read_whole, log=log).with_output_types(Read)
        | "Prepare"
        >> flat_map(_tagged, day=day, rules=row_rules(day.feed), counted=wave.number == 0)
        .with_output_types(pa.RecordBatch, quarantined=pa.RecordBatch, tallies=tuple[Window, Tally])
        .with_outputs("quarantined", "tallies", main="accepted")
    )
    rows = sum(one.end - one.first for one in ranges)
    prepared = Prepared(outputs.accepted, outputs.quarantined, outputs.tallies)
    stage(prepared, day.sites, target, plan, wave, rows)


def read_whole(bounds: Range, log: Log) -> Iterator[Read]:
    """Yield a range's polls; raises LogError where its rows do not come, or are gone."""
    position, until = bounds.first, time.monotonic() + PATIENCE_SECONDS
    while position < bounds.end:
        poll = log.read(bounds.source, position, min(bounds.end - position, POLL_ROWS))
        if poll is not None:
            yield Read(_before(poll, bounds.end), bounds.origin)
            position, until = poll.next, time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > until:
            raise LogError(
                f"{bounds.source}: nothing came from position {position} on within "
                f"{PATIENCE_SECONDS:.0f} s, and it ends at {bounds.end}; check that it can be read"
            )


def _before(poll: Poll, end: int) -> Poll:
    """Return a poll without what lies beyond a range: another one has that."""
    if poll.next <= end:
        return poll
    rows = int(np.searchsorted(poll.positions, end))
    return poll._replace(next=end, positions=poll.positions[:rows], lines=poll.lines[:rows])


def _tagged(read: Read, day: Day, rules: list[Rule], counted: bool) -> Iterator[Any]:
    """Yield a poll's rows of the date; their counts and those set aside in one wave only."""
    for interval in intervals_of(*read, day.feed, day.sites, rules):
        accepted, aside = of_day(interval, day)
        if accepted is not None:
            yield accepted
        if not counted:
            continue
        if aside is not None:
            yield beam.pvalue.TaggedOutput("quarantined", aside)
        own = [t for t in interval.expected if t[0][1] == day.date and t[0][0] in day.only]
        for tally in (*tallies_of(accepted, aside, day.date), *own):
            yield beam.pvalue.TaggedOutput("tallies", tally)


def of_day(interval: Interval, day: Day) -> tuple[pa.RecordBatch | None, pa.RecordBatch | None]:
    """Return an interval's rows of a date, good ones and others; of others the date is known."""
    accepted = _dated(interval.accepted, "business_date", day)
    return accepted, _dated(interval.aside, "row_date", day)


def _dated(batch: pa.RecordBatch | None, column: str, day: Day) -> pa.RecordBatch | None:
    if batch is None:
        return None
    own = pl.col("site").cast(pl.String).is_in(list(day.only)) & (pl.col(column) == day.date)
    mask = frame(batch.select(["site", column])).select(own.fill_null(False)).to_series()
    rows = batch.filter(mask.to_arrow())
    return rows if rows.num_rows else None


def tallies_of(
    accepted: pa.RecordBatch | None, aside: pa.RecordBatch | None, day: date
) -> Iterator[tuple[Window, Tally]]:
    """Yield how many rows were read and rejected, by site; accepted ones are counted as staged."""
    for batch, name in ((accepted, None), (aside, "rejected")):
        if batch is None:
            continue
        counts = frame(batch.select(["site"])).select(pl.col("site").cast(pl.String))
        for site, rows in counts.to_series().value_counts().iter_rows():
            yield (site, day), Tally(read=rows, rejected=rows if name else 0)

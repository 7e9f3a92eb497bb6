"""The micro-batch graph: what logs have at this moment, landed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import apache_beam as beam

from isopach.feeds.rules import declared_rules
from isopach.lake.landings import Reached
from isopach.pipelines.committing import Committer
from isopach.pipelines.intervals import Interval, intervals_of
from isopach.pipelines.logs import Log, LogError, Poll
from isopach.transforms.batches import BATCH_ROWS
from isopach.transforms.threads import flat_map

POLL_ROWS = BATCH_ROWS // 2
LOG = logging.getLogger("isopach.stream")


class Range(NamedTuple):
    """Positions `[first, end)` of a source to be read; `origin` is where its reading began."""

    source: str
    first: int
    end: int
    origin: int


def plan_ranges(log: Log, reached: Mapping[str, Reached], rows: int) -> list[Range]:
    """Return what there is to read after the fences, about so many rows at most.

    Each source has an equal share; what one does not need, others have.
    """
    ranges = []
    for source in log.sources():
        first, end = log.bounds(source)
        fence = reached[source].fence if source in reached else first
        if end != fence:
            ranges.append(Range(source, fence, end, first))
    share = _share([abs(r.end - r.first) for r in ranges], rows)
    return [r._replace(end=min(r.end, r.first + share)) if r.end > r.first else r for r in ranges]


def _share(wanted: Sequence[int], rows: int) -> int:
    """Return the most that each may have so that together they have no more than so many."""
    left, share = rows, 0
    for number, amount in enumerate(sorted(wanted)):
        share = left // (len(wanted) - number)
        left -= min(amount, share)
    return max(share, 1)


def build(pipeline: beam.Pipeline, *, log: Log, ranges: Sequence[Range], to: Committer) -> None:
    """Add the flow that reads ranges and lands them in one commit."""
    _ = (
        pipeline
        | "Ranges" >> beam.Create(ranges)
        | "Read" >> beam.FlatMap(read_range, log=log).with_output_types(tuple[Poll, int])
        | "Prepare" >> flat_map(packed, to=to).with_output_types(tuple[int, bytes])
        | "Gather" >> beam.GroupByKey()
        | "Land" >> beam.Map(land, to=to)
    )


def read_range(bounds: Range, log: Log) -> Iterator[tuple[Poll, int]]:
    """Yield a range's polls; one that cannot be read ends there, and others go on."""
    position = bounds.first
    try:
        while position < bounds.end:
            poll = log.read(bounds.source, position, min(bounds.end - position, POLL_ROWS))
            if poll is None:
                return
            yield poll, bounds.origin
            position = poll.next
    except LogError as error:
        LOG.error("%s", error, extra={"source": bounds.source})


def packed(polled: tuple[Poll, int], to: Committer) -> Iterator[tuple[int, bytes]]:
    """Yield what a poll became, packed for the committer."""
    for interval in intervals_of(*polled, to.feed, to.sites, declared_rules(to.feed)):
        yield 0, interval.pack()


def land(gathered: tuple[int, Iterable[bytes]], to: Committer) -> None:
    """Land packed intervals."""
    to.land(Interval.unpack(one) for one in gathered[1])

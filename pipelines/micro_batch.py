"""The micro-batch graph: what logs have at this moment, landed."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam

from isopach.expectations.rules import row_rules
from isopach.feeds.rules import Rule
from isopach.lake.landings import Reached
from isopach.pipelines.committing import Committer
from isopach.pipelines.intervals import Interval, intervals_of
from isopach.pipelines.logs import Log, LogError, Poll
from isopach.transforms.batches import BATCH_ROWS
from isopach.transforms.threads import flat_map

POLL_ROWS = BATCH_ROWS // 2
MOST_BYTES = 256 << 20
"""Of lines that one micro-batch reads; the next is read while it lands, and each takes some eight
times as much memory."""
LOG = logging.getLogger("isopach.stream")


class Range(NamedTuple):
    """Positions `[first, end)` of a source to be read; `origin` is where its reading began."""

    source: str
    first: int
    end: int
    origin: int


class Read(NamedTuple):
    """A poll, and where the reading of its source began."""

    poll: Poll
    origin: int


class ReadCoder(beam.coders.Coder):  # type: ignore[misc]
    """Code what was read; the default coder pickles it even to learn how large it is."""

    def encode(self, value: Read) -> bytes:
        return pickle.dumps(value)

    def decode(self, encoded: bytes) -> Read:
        value: Read = pickle.loads(encoded)
        return value

    def estimate_size(self, value: Read) -> int:
        return int(value.poll.lines.estimated_size())

    def to_type_hint(self) -> Any:
        return Read


beam.coders.registry.register_coder(Read, ReadCoder)


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


def build(
    pipeline: beam.Pipeline,
    *,
    log: Log,
    ranges: Sequence[Range],
    to: Committer,
    beats: Sequence[Interval] = (),
    behind: bool = False,
) -> None:
    """Add the flow that reads ranges and lands them in one commit.

    Args:
        beats: intervals without rows that land with them.
        behind: let the pipeline end before they have landed, where it runs in this process.
    """
    most = MOST_BYTES / max(sum(max(r.end - r.first, 0) for r in ranges), 1)
    prepared = (
        pipeline
        | "Ranges" >> beam.Create(ranges, reshuffle=not behind)
        | "Read" >> beam.FlatMap(read_range, log=log, most=most).with_output_types(Read)
        | "Prepare"
        >> flat_map(prepared_intervals, to=to, rules=row_rules(to.feed)).with_output_types(
            tuple[int, Interval]
        )
    )
    if behind:
        _ = prepared | "Land behind" >> beam.ParDo(LandBehind(to, beats))
    else:
        _ = prepared | "Gather" >> beam.GroupByKey() | "Land" >> beam.Map(land, to=to, beats=beats)


def read_range(bounds: Range, log: Log, most: float) -> Iterator[Read]:
    """Yield a range's polls; one that cannot be read ends there, and others go on.

    Args:
        most: bytes that its lines may have on average; the rest is left to the next micro-batch.
    """
    position, left = bounds.first, most * (bounds.end - bounds.first)
    try:
        while position < bounds.end and left > 0:
            poll = log.read(bounds.source, position, min(bounds.end - position, POLL_ROWS))
            if poll is None:
                return
            yield Read(poll, bounds.origin)
            position, left = poll.next, left - int(poll.lines.str.len_bytes().sum())
    except LogError as error:
        LOG.error("%s", error, extra={"source": bounds.source})


def prepared_intervals(
    polled: Read, to: Committer, rules: list[Rule]
) -> Iterator[tuple[int, Interval]]:
    """Yield what a poll became, all under one key for the committer."""
    for interval in intervals_of(*polled, to.feed, to.sites, rules):
        yield 0, interval


def land(
    gathered: tuple[int, Iterable[Interval]], to: Committer, beats: Sequence[Interval]
) -> None:
    """Land intervals that were gathered from all workers."""
    to.land([*beats, *gathered[1]])


class LandBehind(beam.DoFn):  # type: ignore[misc]
    """Land the one bundle of a pipeline that runs in this process: no interval is packed."""

    def __init__(self, to: Committer, beats: Sequence[Interval]) -> None:
        self.to, self.beats = to, beats

    def start_bundle(self) -> None:
        self.intervals = [*self.beats]

    def process(self, element: tuple[int, Interval]) -> None:
        self.intervals.append(element[1])

    def finish_bundle(self) -> None:
        intervals, self.intervals = self.intervals, []  # this may be kept for long after
        self.to.land_behind(intervals)

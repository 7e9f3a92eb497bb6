"""Read logs without end: find their sources as they come, and follow each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from time import monotonic, time_ns
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Duration, Timestamp

from isopach.expectations.rules import row_rules
from isopach.feeds.days import MICROSECOND
from isopach.lake import tables
from isopach.lake.commits import newest
from isopach.lake.landings import landed
from isopach.pipelines.committing import Committer
from isopach.pipelines.intervals import Interval, intervals_of
from isopach.pipelines.logs import Log, LogError, Poll
from isopach.pipelines.micro_batch import POLL_ROWS
from isopach.pipelines.provisional import CLOSED, progress
from isopach.pipelines.unsplittable import AsFound, FromPosition
from isopach.pipelines.watermarks import Watermarks
from isopach.transforms.counts import Tally
from isopach.transforms.lateness import UNKNOWN, watermark_after

LOG = logging.getLogger("isopach.stream")
MANUAL = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())
NAMES = beam.DoFn.RestrictionParam(AsFound())
POSITION = beam.DoFn.RestrictionParam(FromPosition())
BUNDLE_POLLS = 4
"""Polls of a source in one bundle: what an engine must do again after a failure."""
SOON = Duration(micros=100_000)
"""When a source is asked again that had few rows: each time costs a bundle and an interval."""
FEW_ROWS = 1000
"""A source that has brought fewer is not asked again at once."""
LATER = Duration(seconds=5)
BEAT_SECONDS = 2.0
"""How often a source without rows says so: the committer writes counts and totals then."""

KEY = b"feed"
TIMELY, LATE, KNOWN = "timely", "late", "known"

STOP = threading.Event()
"""Set in the launcher's process when no more is to be read."""

STUCK: dict[str, str] = {}
"""Sources that cannot be read on, and why."""

WATERMARKS = Watermarks()
"""How far the sources that this process reads have come."""


class Start(NamedTuple):
    """Where the reading of a source begins; `origin` is as in an interval."""

    source: str
    position: int
    origin: int
    watermark: int | None


class FindSources(beam.DoFn):  # type: ignore[misc]
    """Emit a start for each source of a log, at its fence in the lake; later ones as they come.

    The committer is told of each by an empty interval, so that no window is closed before a source
    whose reading has not begun has had a say.
    """

    def __init__(self, log: Log, to: Committer) -> None:
        self.log, self.to = log, to

    @beam.DoFn.unbounded_per_element()  # type: ignore[untyped-decorator]
    def process(
        self,
        element: bytes,
        tracker: Any = NAMES,
        watermark: Any = MANUAL,
    ) -> Iterator[Any]:
        known = tracker.current_restriction()
        fresh = list(self._new(known))
        if not tracker.try_claim((*known, *(start.source for start in fresh))):
            return
        for start in fresh:  # all, before the first of them is read
            WATERMARKS.begin(start.source, _recorded(start))
        for start in fresh:
            at = start.position
            yield TaggedOutput(KNOWN, (KEY, Interval(start.source, at, at, start.origin).pack()))
            yield start
        watermark.set_watermark(Timestamp.now())  # each source holds back for itself
        tracker.defer_remainder(LATER)

    def _new(self, known: tuple[str, ...]) -> Iterator[Start]:
        """Yield starts of sources that are not known yet; none while the log cannot be asked."""
        try:
            names = [source for source in self.log.sources() if source not in known]
            bounds = {source: self.log.bounds(source) for source in names}
        except LogError as error:
            LOG.error("%s", error)
            return
        table = tables.records(self.to.feed.feed, self.to.feed.payload)
        reached = landed(newest(self.to.lake, table), names)
        for source in names:
            there, first = reached.get(source), bounds[source].first
            at, mark = (there.fence, there.watermark) if there else (first, None)
            yield Start(source, at, first, mark)


class Follow(beam.DoFn):  # type: ignore[misc]
    """Read a source from its start on, and prepare what it brings: packed, under the one key.

    Rows are counted by window beside; those of windows that their source's watermark has closed
    apart, as an engine would drop them without a word (the committer sets the rows aside as late).
    A poll is claimed whole. A source that cannot be read on is told of, and tried again; it holds
    up no other.
    """

    def __init__(self, log: Log, to: Committer, idle_after: timedelta) -> None:
        self.log, self.to, self.idle_after = log, to, idle_after.total_seconds()

    def setup(self) -> None:
        self.rules = row_rules(self.to.feed)
        self.busy: dict[str, float] = {}
        self.beat: dict[str, float] = {}

    @beam.DoFn.unbounded_per_element()  # type: ignore[untyped-decorator]
    def process(
        self,
        element: Start,
        tracker: Any = POSITION,
        watermark: Any = MANUAL,
    ) -> Iterator[TimestampedValue]:
        position = tracker.current_restriction().start
        reported = watermark.current_watermark() or MIN_TIMESTAMP
        mark = WATERMARKS.begin(element.source, _micros(reported, element))
        for _ in range(BUNDLE_POLLS):
            poll = self._poll(element.source, position)
            more = poll is not None and len(poll.lines) >= FEW_ROWS
            if poll is None:
                break
            if not tracker.try_claim(poll.next):
                return
            for interval in intervals_of(
                poll, element.origin, self.to.feed, self.to.sites, self.rules
            ):
                yield _timed((KEY, interval.pack()), mark)
                yield from self._tallies(interval, mark)
                now = time_ns() // 1000
                mark = watermark_after(interval.accepted, self.to.feed, mark, now)
            position = poll.next
            if not more:
                break
        if poll is not None:
            self.busy[element.source] = monotonic()
        elif (beat := self._beat(element, position)) is not None:
            if not tracker.try_claim(position):
                return
            yield _timed((KEY, beat.pack()), mark)
            mark = max(mark, UNKNOWN if beat.idle is None else beat.idle)
        WATERMARKS.note(element.source, mark)
        least = WATERMARKS.least()
        if least != UNKNOWN and Timestamp(micros=least) > reported:
            watermark.set_watermark(Timestamp(micros=least))
        tracker.defer_remainder(Duration(0) if more else SOON)

    def _tallies(self, interval: Interval, mark: int) -> Iterator[TaggedOutput]:
        sites, feed = self.to.sites, self.to.feed
        for (site, day), rows in interval.windows().items():
            if site is None or day is None or site not in sites:
                continue
            tag = LATE if progress((site, day), sites, feed, mark) == CLOSED else TIMELY
            yield TaggedOutput(tag, _timed(((site, day), Tally(read=rows)), mark))

    def _poll(self, source: str, position: int) -> Poll | None:
        if STOP.is_set():
            return None
        try:
            poll = self.log.read(source, position, POLL_ROWS, wait=False)
        except LogError as error:
            if STUCK.get(source) != str(error):
                LOG.error("%s", error, extra={"source": source})
            STUCK[source] = str(error)
            return None
        STUCK.pop(source, None)
        return poll

    def _beat(self, start: Start, position: int) -> Interval | None:
        """Return an empty interval, if it is time for one; after a while with the clock's time."""
        now, source = monotonic(), start.source
        since = self.busy.setdefault(source, now)
        if now - self.beat.get(source, 0.0) < BEAT_SECONDS:
            return None
        self.beat[source] = now
        idle = None
        if now - since >= self.idle_after and source not in STUCK:
            idle = time_ns() // 1000 - self.to.feed.lateness.out_of_order // MICROSECOND
        return Interval(source, position, position, start.origin, idle=idle)


def _micros(watermark: Timestamp, start: Start) -> int:
    """Return a source's watermark as it was reported; at its start, as the lake recorded it."""
    recorded = _recorded(start)
    return recorded if watermark <= MIN_TIMESTAMP else max(watermark.micros, recorded)


def _recorded(start: Start) -> int:
    return UNKNOWN if start.watermark is None else start.watermark


def _timed(value: Any, mark: int) -> TimestampedValue:
    return TimestampedValue(value, MIN_TIMESTAMP if mark == UNKNOWN else Timestamp(micros=mark))

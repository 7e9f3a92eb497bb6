"""The continuous graph: a log followed without end, landed every so often, and counted live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import apache_beam as beam
from apache_beam.coders import BooleanCoder, BytesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming

from isopach.feeds.days import MICROSECOND
from isopach.pipelines.committing import Committer
from isopach.pipelines.intervals import Interval
from isopach.pipelines.logs import Log
from isopach.pipelines.tailing import KNOWN, LATE, TIMELY, FindSources, Follow, Start
from isopach.pipelines.watching import note_late, note_pane
from isopach.transforms.counts import SiteCounts, Tally, Window


def build(
    pipeline: beam.Pipeline, *, log: Log, to: Committer, every: timedelta, idle_after: timedelta
) -> None:
    """Add the flow that follows a log for ever."""
    found = (
        pipeline
        | "Log" >> beam.Create([b"log"], reshuffle=False)
        | "Find sources"
        >> beam.ParDo(FindSources(log, to))
        .with_output_types(Start, known=tuple[bytes, bytes])
        .with_outputs(KNOWN, main="starts")
    )
    read = found.starts | "Follow" >> beam.ParDo(Follow(log, to, idle_after)).with_output_types(
        tuple[bytes, bytes], timely=tuple[Window, Tally], late=tuple[Window, Tally]
    ).with_outputs(TIMELY, LATE, main="intervals")
    _ = (
        (found[KNOWN], read.intervals)
        | "Flatten intervals" >> beam.Flatten().with_output_types(tuple[bytes, bytes])
        | "Land" >> beam.ParDo(Land(to, every)).with_output_types(None)
    )
    _ = (
        read[TIMELY]
        | "Count sites" >> SiteCounts(to.sites, to.feed.lateness.allowed)
        | "Show panes" >> beam.Map(show_pane, to.feed.feed).with_output_types(None)
    )
    _ = read[LATE] | "Show late" >> beam.Map(show_late, to.feed.feed).with_output_types(None)


def show_pane(
    element: tuple[Window, Tally], feed: str, pane: Any = beam.DoFn.PaneInfoParam
) -> None:
    """Keep and log a live count."""
    window, tally = element
    timing = PaneInfoTiming.to_string(pane.timing).lower()
    if tally.read:  # Flink fires empty panes at the end
        note_pane(feed, window, timing, tally.read)


def show_late(element: tuple[Window, Tally], feed: str) -> None:
    """Keep and log rows of a window that the engine has closed."""
    note_late(feed, element[0], element[1].read)


class Land(beam.DoFn):  # type: ignore[misc]
    """Keep what arrives, and land it every so often; one key, and so one committer.

    What was handed over is in the engine's state until it has landed, so that a worker's failure
    loses nothing; the fences drop what is handed over again.
    """

    ARRIVED = BagStateSpec("arrived", BytesCoder())
    ARMED = ReadModifyWriteStateSpec("armed", BooleanCoder())
    DUE = TimerSpec("due", TimeDomain.REAL_TIME)

    def __init__(self, to: Committer, every: timedelta) -> None:
        self.to, self.every = to, Duration(micros=every // MICROSECOND)

    def process(
        self,
        element: tuple[bytes, bytes],
        arrived: Any = beam.DoFn.StateParam(ARRIVED),
        armed: Any = beam.DoFn.StateParam(ARMED),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        arrived.add(element[1])
        if not armed.read():
            armed.write(True)
            due.set(Timestamp.now() + self.every)

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def land(
        self,
        arrived: Any = beam.DoFn.StateParam(ARRIVED),
        armed: Any = beam.DoFn.StateParam(ARMED),
    ) -> None:
        waiting = self.to.land([Interval.unpack(one) for one in arrived.read()])
        arrived.clear()
        armed.clear()
        for interval in waiting:
            arrived.add(interval.pack())

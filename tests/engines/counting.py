"""An unbounded stream of numbers, and a committer that writes each to a file once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.coders import BooleanCoder, BytesCoder
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.io.restriction_trackers import OffsetRange
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

END = 1 << 62
"""The end of a partition that never ends."""

SEEN: dict[str, int] = {}
"""Where workers ran: only filled here if they share this process."""


class Unsplittable(RestrictionTracker):  # type: ignore[misc]
    """Tracks the next offset of a partition; what is left of it stays in one piece."""

    def __init__(self, restriction: OffsetRange) -> None:
        self.restriction = restriction
        self.next = restriction.start

    def current_restriction(self) -> OffsetRange:
        return self.restriction

    def current_progress(self) -> RestrictionProgress:
        return RestrictionProgress(fraction=0.0)

    def try_claim(self, position: int) -> bool:
        """Claim everything before a position; false once what is left was given away."""
        if position > self.restriction.stop:
            return False
        self.next = position
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[OffsetRange, OffsetRange] | None:
        if fraction_of_remainder != 0 or self.next >= self.restriction.stop:
            return None
        rest = OffsetRange(self.next, self.restriction.stop)
        self.restriction = OffsetRange(self.restriction.start, self.next)
        return self.restriction, rest

    def check_done(self) -> bool:
        if self.next < self.restriction.stop:
            raise ValueError(f"{self.restriction}: {self.next} and what follows was not claimed")
        return True

    def is_bounded(self) -> bool:
        return False


class Partitions(RestrictionProvider):  # type: ignore[misc]
    """Reads every partition from its start."""

    def initial_restriction(self, element: Any) -> OffsetRange:
        return OffsetRange(0, END)

    def create_tracker(self, restriction: OffsetRange) -> Unsplittable:
        return Unsplittable(restriction)

    def restriction_size(self, element: Any, restriction: OffsetRange) -> int:
        return 1

    def split(self, element: Any, restriction: OffsetRange) -> Iterator[OffsetRange]:
        yield restriction

    def truncate(self, element: Any, restriction: OffsetRange) -> None:
        return None


class Count(beam.DoFn):  # type: ignore[misc]
    """Emit `(first, next)` ranges of numbers up to a count, then idle for ever."""

    def __init__(self, count: int, step: int, pause: float = 0.0) -> None:
        self.count, self.step, self.pause = count, step, pause

    @beam.DoFn.unbounded_per_element()  # type: ignore[untyped-decorator]
    def process(
        self,
        element: bytes,
        tracker: Any = beam.DoFn.RestrictionParam(Partitions()),  # noqa: B008
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(  # noqa: B008
            ManualWatermarkEstimator.default_provider()  # noqa: B008
        ),
    ) -> Iterable[TimestampedValue]:
        first = tracker.current_restriction().start
        last = min(first + self.step, self.count)
        if first == last:
            watermark.set_watermark(Timestamp.now())
            tracker.defer_remainder(Duration(micros=200_000))
            return
        if not tracker.try_claim(last):
            return
        SEEN[threading.current_thread().name] = os.getpid()
        yield TimestampedValue((first, last), Timestamp(last))
        watermark.set_watermark(Timestamp(last))
        tracker.defer_remainder(Duration(micros=int(self.pause * 1e6)))


class Commit(beam.DoFn):  # type: ignore[misc]
    """Append to a file, each half second, the numbers that came since."""

    ARRIVED = BagStateSpec("arrived", BytesCoder())
    ARMED = ReadModifyWriteStateSpec("armed", BooleanCoder())
    DUE = TimerSpec("due", TimeDomain.REAL_TIME)

    def __init__(self, path: Path) -> None:
        self.path = path

    def process(
        self,
        element: tuple[str, bytes],
        arrived: Any = beam.DoFn.StateParam(ARRIVED),
        armed: Any = beam.DoFn.StateParam(ARMED),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> None:
        arrived.add(element[1])
        if not armed.read():  # set again, a timer is put off, and under load for ever
            armed.write(True)
            due.set(Timestamp.now() + Duration(micros=500_000))

    @on_timer(DUE)  # type: ignore[untyped-decorator]
    def commit(
        self,
        arrived: Any = beam.DoFn.StateParam(ARRIVED),
        armed: Any = beam.DoFn.StateParam(ARMED),
    ) -> None:
        lines = sorted(arrived.read())
        arrived.clear()
        armed.clear()
        with self.path.open("ab") as file:
            file.write(b"".join(lines))


def lines_of(numbers: tuple[int, int]) -> tuple[str, bytes]:
    """Return a range of numbers as lines under the one key."""
    return "table", b"".join(b"%09d\n" % number for number in range(*numbers))


def build(pipeline: beam.Pipeline, path: Path, count: int, step: int, pause: float = 0.0) -> None:
    """Count to a number, and write each to a file."""
    (
        pipeline
        | "Start" >> beam.Create([b"0"], reshuffle=False)
        | "Count" >> beam.ParDo(Count(count, step, pause)).with_output_types(tuple[int, int])
        | "Lines" >> beam.Map(lines_of).with_output_types(tuple[str, bytes])
        | "Commit" >> beam.ParDo(Commit(path))
    )

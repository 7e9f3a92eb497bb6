"""Business days as Beam windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import apache_beam as beam
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
)
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from isopach.feeds.sites import Sites

EARLY_SECONDS = 5
LAST = 1
"""Seconds: the length of the window at a day's end that stands for the day."""


@dataclass
class BusinessDays(beam.PTransform):  # type: ignore[misc]
    """Put each `((..., site, business date), value)` in the window of that site-local day.

    The day's last second stands for it: an element is stamped with the day's last instant, and the
    key says which day it is. So windows close when the watermark passes the end of the local day,
    of 23, 24 or 25 hours, on engines too that know no window functions of others. Sites that are
    not registered count in UTC days.

    A bounded run gives one pane for each window. With an allowed lateness, an unbounded one gives
    early panes, one when the watermark passes the day's end, and one for whatever comes after.
    Each holds what came since the one before: what an engine keeps does not grow with the day.
    """

    sites: Sites
    allowed: timedelta | None = None

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[Any]:
        stamped = elements | "Stamp with day's end" >> beam.Map(
            at_days_end, sites=self.sites
        ).with_output_types(elements.element_type)
        return stamped | "Window" >> self._windows()

    def _windows(self) -> beam.WindowInto:
        if self.allowed is None:
            return beam.WindowInto(FixedWindows(LAST))
        return beam.WindowInto(
            FixedWindows(LAST),
            trigger=AfterWatermark(early=AfterProcessingTime(EARLY_SECONDS), late=AfterCount(1)),
            accumulation_mode=AccumulationMode.DISCARDING,
            allowed_lateness=int(self.allowed.total_seconds()),
        )


def at_days_end(element: Any, sites: Sites) -> TimestampedValue:
    """Return an element with the last instant of its business day for its timestamp."""
    site, day = element[0][-2:]
    end = sites.window(site, day)[1]
    return TimestampedValue(element, Timestamp(micros=end - 1))

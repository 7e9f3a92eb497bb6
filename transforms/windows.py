"""Business days as Beam windows."""

from __future__ import annotations

from typing import Any

from apache_beam.coders import coders
from apache_beam.transforms.window import IntervalWindow, NonMergingWindowFn
from apache_beam.utils.timestamp import Timestamp

from isopach.feeds.sites import Sites


class BusinessDays(NonMergingWindowFn):  # type: ignore[misc]
    """Put each `((site, business date), ...)` in the UTC interval of that site-local day.

    A window is the grain of counting; a day has 23 or 25 hours where daylight saving starts or
    ends. Sites that are not registered count in UTC days.
    """

    def __init__(self, sites: Sites) -> None:
        self.sites = sites

    def assign(self, context: Any) -> list[IntervalWindow]:
        site, day = context.element[0][-2:]
        start, end = self.sites.window(site, day)
        return [IntervalWindow(Timestamp(micros=start), Timestamp(micros=end))]

    def get_window_coder(self) -> coders.IntervalWindowCoder:
        return coders.IntervalWindowCoder()

    def __eq__(self, other: object) -> bool:
        return type(other) is BusinessDays and self.sites == other.sites

    def __hash__(self) -> int:
        return hash(type(self))

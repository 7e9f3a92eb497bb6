"""Counts per site and business date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import apache_beam as beam
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
)

from isopach.feeds.sites import Sites
from isopach.transforms.windows import BusinessDays

Window = tuple[str, date]
MODULUS = 1 << 64
EARLY_SECONDS = 5


class Tally(NamedTuple):
    """What became of a window's rows and files.

    The checksums are sums modulo 2^64 over the accepted rows.
    """

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    late: int = 0
    duplicate: int = 0
    bytes: int = 0
    unreadable: int = 0  # files, not rows
    checksum_a: int = 0
    checksum_b: int = 0
    extra: tuple[tuple[str, int], ...] = ()  # undeclared columns, and how many rows have a value


def add_tallies(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    *counts, extras = zip(Tally(), *tallies, strict=True)
    extra: Counter[str] = Counter()
    for pairs in extras:
        extra.update(dict(pairs))
    sums = [sum(column) % MODULUS for column in counts]
    return Tally._make([*sums, tuple(sorted(extra.items()))])


@dataclass
class SiteCounts(beam.PTransform):  # type: ignore[misc]
    """Sum tallies per site and business date, in the window of that business day.

    A bounded run gives one pane for each window. With an allowed lateness, an unbounded one gives
    early panes, one when the watermark passes the window's end, and one for whatever comes after;
    each pane holds all that came so far.
    """

    sites: Sites
    allowed: timedelta | None = None

    def expand(
        self, tallies: beam.PCollection[tuple[Window, Tally]]
    ) -> beam.PCollection[tuple[Window, Tally]]:
        return (
            tallies
            | "Window by business day" >> self._windows()
            | "Sum per window" >> beam.CombinePerKey(add_tallies)
        )

    def _windows(self) -> beam.WindowInto:
        days = BusinessDays(self.sites)
        if self.allowed is None:
            return beam.WindowInto(days)
        return beam.WindowInto(
            days,
            trigger=AfterWatermark(early=AfterProcessingTime(EARLY_SECONDS), late=AfterCount(1)),
            accumulation_mode=AccumulationMode.ACCUMULATING,
            allowed_lateness=int(self.allowed.total_seconds()),
        )

"""Counts per site and business date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import apache_beam as beam

from isopach.feeds.sites import Sites
from isopach.transforms.windows import BusinessDays

Window = tuple[str, date]
MODULUS = 1 << 64


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

    Args:
        allowed: the lateness of an unbounded run; see BusinessDays for its panes.
    """

    sites: Sites
    allowed: timedelta | None = None

    def expand(
        self, tallies: beam.PCollection[tuple[Window, Tally]]
    ) -> beam.PCollection[tuple[Window, Tally]]:
        return (
            tallies
            | "Window by business day" >> BusinessDays(self.sites, self.allowed)
            | "Sum per window" >> beam.CombinePerKey(add_tallies)
        )

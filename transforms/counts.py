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
Pairs = tuple[tuple[str, int], ...]
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
    extra: Pairs = ()  # undeclared columns, and how many rows have a value
    unexpected: Pairs = ()  # rules of a suite, and how many rows do not meet them
    evaluated: Pairs = ()  # rules of a suite, and how many rows have a value to look at


NAMED = ("extra", "unexpected", "evaluated")
"""Fields of a tally that are figures by name."""


def add_tallies(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    columns = dict(zip(Tally._fields, zip(Tally(), *tallies, strict=True), strict=True))
    return Tally._make(
        _summed(column) if name in NAMED else sum(column) % MODULUS
        for name, column in columns.items()
    )


def _summed(column: Iterable[Pairs]) -> Pairs:
    sums: Counter[str] = Counter()
    for pairs in column:
        for name, rows in pairs:
            sums[name] += rows
    return tuple(sorted(sums.items()))


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

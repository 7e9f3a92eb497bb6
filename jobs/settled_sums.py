"""Rows and checksums of sites, summed over rows that come in any batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl

from isopach.feeds.feed import Feed
from isopach.lake.windows import checksum_text
from isopach.pipelines.verify import checksums

MODULUS = 1 << 64


class Sum(NamedTuple):
    """How many rows, and their checksum's two halves."""

    rows: int = 0
    first: int = 0
    second: int = 0

    @property
    def said(self) -> str:
        return f"{self.rows:,} rows of checksum {checksum_text(self.first, self.second)}"


def sum_of_text(rows: int, text: str) -> Sum:
    """Return the sum that the ledger writes as rows and a checksum's text."""
    return Sum(rows, int(text[:16], 16), int(text[16:], 16))


def sums_together(sums: Iterable[Sum]) -> Sum:
    """Return the sum of sums."""
    rows, first, second = (sum(column) for column in zip(Sum(), *sums, strict=True))
    return Sum(rows, first % MODULUS, second % MODULUS)


def sums_of(rows: pl.DataFrame, feed: Feed) -> dict[str, Sum]:
    """Return the sum of each site of rows of one business date."""
    counts = dict(rows.group_by("site").len().iter_rows())
    found = checksums(rows, feed)
    return {site: sum_of_text(counts[site], text) for (site, _), text in found.items()}


def added(sums: Mapping[str, Sum], more: Mapping[str, Sum]) -> dict[str, Sum]:
    """Return sums by site, with more added to them."""
    return {
        site: sums_together([sums.get(site, Sum()), more.get(site, Sum())])
        for site in {*sums, *more}
    }

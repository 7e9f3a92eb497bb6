"""Propose a suite from what nights have settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from isopach.expectations.profiling import propose
from isopach.feeds.feed import Feed
from isopach.feeds.suites import Suite
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.windows import SETTLED, WINDOW


class NothingSettledError(OSError):
    """Dates of which no window is settled."""


def proposed(lake: Place, feed: Feed, days: Sequence[date]) -> Suite:
    """Return a suite that the settled records of some dates meet; raises NothingSettledError."""
    on_days = pl.col("business_date").is_in(list(days))
    windows = scan(lake, tables.WINDOWS).filter(on_days, feed=feed.feed, state=SETTLED)
    settled = windows.select(WINDOW).collect()
    if settled.is_empty():
        raise NothingSettledError(
            f"{lake.uri}: no window of {feed.feed} is settled on {days[0]}..{days[-1]}; "
            "run the nights first, or name other dates"
        )
    records = scan(lake, tables.records(feed.feed, feed.payload)).filter(on_days)
    rows = records.join(settled.lazy(), on=WINDOW, how="semi")
    return propose(feed.suite.name if feed.suite else feed.feed, rows, feed)

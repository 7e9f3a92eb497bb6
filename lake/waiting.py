"""Windows that wait: held by a run, whose files stay staged until somebody publishes them."""

from __future__ import annotations

import polars as pl

from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.windows import WINDOW


def held_windows(lake: Place, feed: str) -> pl.DataFrame:
    """Return a feed's windows that are held, each with the newest run that staged it.

    Columns: `site, business_date, reason, run, declared, delivery, arrived, manifest, accepted`.
    """
    of_feed = pl.col("feed") == feed
    windows = scan(lake, tables.WINDOWS).filter(of_feed, pl.col("reason").is_not_null())
    counted = (
        scan(lake, tables.COUNTS)
        .filter(of_feed, pl.col("mode") == "batch", pl.col("reason").is_not_null())
        .sort("run")
        .group_by(WINDOW)
        .agg(pl.col("run", "declared", "delivery", "arrived", "manifest", "accepted").last())
    )
    held = windows.select(*WINDOW, "reason").join(counted, on=WINDOW)
    return held.sort("business_date", "site").collect()

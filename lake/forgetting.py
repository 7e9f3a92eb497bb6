"""Forget: what rows set aside said, once it has been kept for as long as a feed says."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from isopach.lake.commits import Snapshot, scan
from isopach.lake.places import Place
from isopach.lake.replace import revise
from isopach.lake.tables import Table

TEXTS = ["raw", "key"]


def forget_texts(lake: Place, quarantine: Table, before: datetime) -> int:
    """Empty `raw` and `key` of rows that runs before a moment (UTC) set aside; return how many.

    The rows stay, with reason, source and position, so that every row read is still accounted
    for. They can no longer be replayed, and evidence written before no longer holds.
    """
    oldest = f"{before:%Y%m%dT%H%M%S%f}"
    full = pl.any_horizontal(pl.col(TEXTS).is_not_null())
    old = scan(lake, quarantine).filter(full, pl.col("_run") < oldest)
    rows = old.group_by("business_date", "_run").len().collect()
    if rows.is_empty():
        return 0
    keys = rows.select("business_date", "_run")
    revise(lake, quarantine, keys, _without_texts)
    return int(rows["len"].sum())


def _without_texts(_: Snapshot, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in TEXTS)

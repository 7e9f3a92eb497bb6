"""Questions to the lake that the commands answer."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from datetime import date

import polars as pl

from isopach.feeds.columns import MASK
from isopach.feeds.feed import Feed
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

WINDOW = ["site", "business_date"]
FIGURES = ["read", "accepted", "rejected", "late", "duplicate", "declared", "bytes"]


def chosen(day: date | None, sites: Sequence[str] | None) -> pl.Expr:
    """Return which windows are asked for."""
    some = pl.lit(True)
    if day is not None:
        some &= pl.col("business_date") == day
    if sites:
        some &= pl.col("site").is_in(list(sites))
    return some


def window_counts(
    lake: Place, feed: str, day: date | None, sites: Sequence[str] | None
) -> pl.DataFrame:
    """Return the counts of each window, with its state: a night's newest run, a stream's all."""
    some = chosen(day, sites) & (pl.col("feed") == feed)
    windows = scan(lake, tables.WINDOWS).filter(some).collect()
    by_mode = scan(lake, tables.COUNTS).filter(some).sort("run").group_by(*WINDOW, "mode")
    batch = by_mode.agg(pl.col(*FIGURES, "run", "delivery").last()).filter(mode="batch")
    every_run = by_mode.agg(pl.col(FIGURES).sum(), pl.col("run", "delivery").last()).filter(
        mode="stream"
    )
    nothing = pl.lit(None, pl.Int64)
    counted = pl.concat(
        [batch, every_run.with_columns(nothing.alias("declared"), nothing.alias("bytes"))]
    ).collect()
    states = windows.select(*WINDOW, "state", "rows", "settled_by", "reason")
    return states.join(counted, on=WINDOW, how="left").sort("business_date", "site", "mode")


def quarantined_reasons(
    lake: Place, feed: str, day: date | None, sites: Sequence[str] | None, reason: str | None
) -> pl.DataFrame:
    """Return how many rows were set aside for which reason."""
    group = ["disposition", "reason", "column"]
    rows = _aside(lake, feed, day, sites, reason)
    return rows.group_by(group).agg(rows=pl.len()).sort("rows", *group, descending=True).collect()


def quarantined_rows(
    lake: Place,
    feed: Feed,
    day: date | None,
    sites: Sequence[str] | None,
    reason: str | None,
    limit: int,
) -> pl.DataFrame:
    """Return rows that were set aside, sensitive columns masked."""
    rows = _aside(lake, feed.feed, day, sites, reason).head(limit).collect()
    sensitive = {name for name, column in feed.columns.items() if column.sensitive}
    if not sensitive:
        return rows
    raw = pl.Series("raw", [masked(text, sensitive) for text in rows["raw"]], pl.String)
    key = pl.lit(MASK) if sensitive.intersection(feed.key) else pl.col("key")
    return rows.with_columns(raw, key.alias("key"))


def masked(raw: str, sensitive: Container[str]) -> str:
    """Return a raw row with its sensitive columns masked; all of it if they cannot be told."""
    try:
        row = json.loads(raw)
    except ValueError:
        return MASK
    if not isinstance(row, dict):
        return MASK
    shown = {name: MASK if name in sensitive else value for name, value in row.items()}
    return json.dumps(shown, ensure_ascii=False)


def recorded_differences(
    lake: Place, feed: str, day: date, sites: Sequence[str] | None
) -> pl.DataFrame:
    """Return what nights have found to differ from the stream: of each window the newest."""
    some = chosen(day, sites) & (pl.col("feed") == feed)
    rows = scan(lake, tables.DIFFERENCES).filter(some).collect()
    newest = rows.group_by(WINDOW).agg(pl.col("run").max())
    found = rows.join(newest, on=[*WINDOW, "run"], how="semi")
    return found.sort(*WINDOW, "kind", "cause", "key")


def _aside(
    lake: Place, feed: str, day: date | None, sites: Sequence[str] | None, reason: str | None
) -> pl.LazyFrame:
    rows = scan(lake, tables.quarantine(feed)).filter(chosen(day, sites))
    return rows if reason is None else rows.filter(pl.col("reason") == reason)

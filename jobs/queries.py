"""Questions to the lake that the commands answer."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Chosen:
    """Which rows set aside are asked for; those that were replayed are, or are not."""

    day: date | None = None
    sites: tuple[str, ...] = ()
    reason: str | None = None
    replayed: bool = False


def window_counts(
    lake: Place, feed: str, day: date | None, sites: Sequence[str] | None
) -> pl.DataFrame:
    """Return the counts of each window, with its state: a night's newest run, a stream's all.

    What was replayed is among them, as if it had been accepted at first.
    """
    some = chosen(day, sites) & (pl.col("feed") == feed)
    windows = scan(lake, tables.WINDOWS).filter(some).collect()
    counts = scan(lake, tables.COUNTS).filter(some).collect()
    nights = counts.filter(pl.col("replay_of").is_null(), mode="batch").sort("run")
    newest = nights.group_by(WINDOW).agg(pl.col("run", "delivery", "declared", "bytes").last())
    batch = counts.filter(mode="batch").join(
        newest.select(*WINDOW, "run").rename({"run": "night"}), on=WINDOW, nulls_equal=True
    )
    batch = batch.filter(pl.coalesce("replay_of", "run") == pl.col("night"))
    figures = batch.group_by(*WINDOW, "mode").agg(pl.col(FIGURES[:5]).sum())
    nothing = pl.lit(None, pl.Int64)
    stream = counts.filter(mode="stream").sort("run").group_by(*WINDOW, "mode")
    counted = [
        figures.join(newest, on=WINDOW, nulls_equal=True),
        stream.agg(
            pl.col(FIGURES[:5]).sum(),
            pl.col("run", "delivery").last(),
            nothing.alias("declared"),
            nothing.alias("bytes"),
        ),
    ]
    names = [*WINDOW, "mode", *FIGURES, "run", "delivery"]
    both = pl.concat([part.select(names) for part in counted])
    states = windows.select(*WINDOW, "state", "rows", "settled_by", "reason")
    return states.join(both, on=WINDOW, how="left").sort("business_date", "site", "mode")


def quarantined_reasons(lake: Place, feed: str, chosen: Chosen) -> pl.DataFrame:
    """Return how many rows were set aside for which reason."""
    group = ["disposition", "reason", "column"]
    rows = _aside(lake, feed, chosen)
    return rows.group_by(group).agg(rows=pl.len()).sort("rows", *group, descending=True).collect()


def quarantined_rows(lake: Place, feed: Feed, chosen: Chosen, limit: int) -> pl.DataFrame:
    """Return rows that were set aside, sensitive columns masked."""
    rows = _aside(lake, feed.feed, chosen).head(limit).collect()
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
    """Return what each window's newest comparison has found to differ, if anything."""
    some = chosen(day, sites) & (pl.col("feed") == feed)
    rows = scan(lake, tables.DIFFERENCES).filter(some).collect()
    compared = scan(lake, tables.COUNTS).filter(some, pl.col("streamed").is_not_null())
    runs = [part.select(*WINDOW, "run") for part in (rows, compared.collect())]
    newest = pl.concat(runs).group_by(WINDOW).agg(pl.col("run").max())
    found = rows.join(newest, on=[*WINDOW, "run"], how="semi")
    return found.sort(*WINDOW, "kind", "cause", "key")


def _aside(lake: Place, feed: str, asked: Chosen) -> pl.LazyFrame:
    replayed = pl.col("replayed_run").is_not_null()
    rows = scan(lake, tables.quarantine(feed)).filter(
        chosen(asked.day, asked.sites), replayed if asked.replayed else ~replayed
    )
    return rows if asked.reason is None else rows.filter(pl.col("reason") == asked.reason)

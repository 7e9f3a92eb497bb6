"""Trends: what the last business dates of a feed have in common, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from isopach.feeds.load import Declaration
from isopach.jobs.queries import WINDOW
from isopach.jobs.report_data import Headline
from isopach.jobs.report_history import (
    between,
    gate_outcomes,
    run_times,
    shares,
    window_figures,
)
from isopach.jobs.report_sites import HELD, MISSING, SETTLED
from isopach.jobs.site_ledger import NothingRunError
from isopach.jobs.three_way import FIGURES
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place

MOST_SITES = 20
STATES = (SETTLED, HELD, MISSING)


@dataclass(frozen=True)
class Trends:
    """What is known of a feed's nights over some business dates.

    `nights` has a row for each date, `states` and `causes` one for each date and kind (`count`).
    """

    feed: str
    first: date
    last: date
    headline: Headline
    nights: pl.DataFrame
    states: pl.DataFrame
    causes: pl.DataFrame
    gates: pl.DataFrame
    sites: pl.DataFrame
    reasons: pl.DataFrame
    shares: pl.DataFrame
    times: pl.DataFrame

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def trends_of(lake: Place, feed: str, days: int, declaration: Declaration | None) -> Trends:
    """Gather the trends of a feed's last business dates; raises NothingRunError."""
    batch = (pl.col("feed") == feed) & (pl.col("mode") == "batch")
    last = scan(lake, tables.COUNTS).filter(batch).select(pl.col("business_date").max()).collect()
    newest = last.item()
    if newest is None:
        raise NothingRunError(f"{lake.uri}: no night of {feed} was run in this lake yet")
    first = newest - timedelta(days - 1)
    figures = window_figures(lake, feed, first, newest)
    windows = _windows(lake, feed, first, newest, figures)
    different = _differences(lake, feed, first, newest, windows)
    states = _by_date(windows.rename({"outcome": "kind"}))
    times = run_times(lake, feed)
    nights = _nights(windows, different, times)
    return Trends(
        feed=feed,
        first=first,
        last=newest,
        headline=_headline(nights),
        nights=nights,
        states=states,
        causes=_on_each(nights["business_date"], _by_date(different.rename({"cause": "kind"}))),
        gates=gate_outcomes(lake, feed),
        sites=_sites(windows, different, declaration),
        reasons=_reasons(lake, feed, first, newest),
        shares=shares(figures),
        times=times,
    )


def _windows(
    lake: Place, feed: str, first: date, last: date, figures: pl.DataFrame
) -> pl.DataFrame:
    """Return each window that a night has looked at: its `outcome`, newest run and counts."""
    now = scan(lake, tables.WINDOWS).filter(between(feed, first, last))
    states = now.select(*WINDOW, "state").collect()
    outcome = (
        pl.when((pl.col("state") == SETTLED) | pl.col("reason").is_null())
        .then(pl.lit(SETTLED))
        .when(pl.col("delivery").is_null())
        .then(pl.lit(MISSING))
        .otherwise(pl.lit(HELD))
    )
    nights = figures.filter(mode="batch").join(states, on=WINDOW, how="left")
    return nights.with_columns(outcome=outcome)


def _differences(
    lake: Place, feed: str, first: date, last: date, windows: pl.DataFrame
) -> pl.DataFrame:
    """Return the records that differed in the newest run of each window."""
    rows = scan(lake, tables.DIFFERENCES).filter(between(feed, first, last))
    found = rows.select(*WINDOW, "run", "cause").collect()
    return found.join(windows.select(*WINDOW, "run"), on=[*WINDOW, "run"], how="semi")


def _by_date(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `business_date, kind, count`."""
    counted = rows.group_by("business_date", "kind").agg(count=pl.len().cast(pl.Int64))
    return counted.sort("business_date", "kind")


def _on_each(days: pl.Series, counted: pl.DataFrame) -> pl.DataFrame:
    """Return counts of each kind on each of some dates, 0 where there is none."""
    every = days.to_frame().join(counted.select("kind").unique(), how="cross")
    found = every.join(counted, on=["business_date", "kind"], how="left")
    return found.with_columns(pl.col("count").fill_null(0)).sort("business_date", "kind")


def _nights(windows: pl.DataFrame, different: pl.DataFrame, times: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each business date, the newest last."""
    states = [(pl.col("outcome") == state).sum().cast(pl.Int64).alias(state) for state in STATES]
    counted = windows.group_by("business_date").agg(*states, pl.col(FIGURES).sum())
    records = different.group_by("business_date").agg(differences=pl.len().cast(pl.Int64))
    last = times.group_by("business_date", maintain_order=True).agg(pl.col("seconds").last())
    joined = counted.join(records, on="business_date", how="left").join(
        last, on="business_date", how="left"
    )
    return joined.with_columns(pl.col("differences").fill_null(0)).sort("business_date")


def _sites(
    windows: pl.DataFrame, different: pl.DataFrame, declaration: Declaration | None
) -> pl.DataFrame:
    """Return the sites that were held or missing most often, or differ the most."""
    counted = windows.group_by("site").agg(
        nights=pl.len().cast(pl.Int64),
        held=(pl.col("outcome") == HELD).sum().cast(pl.Int64),
        missing=(pl.col("outcome") == MISSING).sum().cast(pl.Int64),
        last_reason=pl.col("reason").filter(pl.col("outcome") != SETTLED).last(),
    )
    records = different.group_by("site").agg(differences=pl.len().cast(pl.Int64))
    rows = [] if declaration is None else [(s.site, s.name, s.region) for s in declaration.sites]
    schema = {"site": pl.String, "name": pl.String, "region": pl.String}
    registry = pl.DataFrame(rows, schema=schema, orient="row")
    joined = counted.join(records, on="site", how="left").join(registry, on="site", how="left")
    known = joined.with_columns(
        pl.col("differences").fill_null(0), pl.col("name", "region").fill_null("")
    )
    odd = pl.col("held") + pl.col("missing")
    some = known.filter((odd > 0) | (pl.col("differences") > 0))
    order = [odd, pl.col("differences"), pl.col("site")]
    return some.sort(order, descending=[True, True, False]).head(MOST_SITES)


def _reasons(lake: Place, feed: str, first: date, last: date) -> pl.DataFrame:
    """Return how many rows were set aside for which reason, and on how many dates."""
    rows = scan(lake, tables.quarantine(feed)).filter(
        pl.col("business_date").is_between(first, last)
    )
    streamed = pl.col("_mode") == "stream"
    group = ["disposition", "reason", "column"]
    return (
        rows.group_by(group)
        .agg(
            batch=(~streamed).sum(),
            stream=streamed.sum(),
            dates=pl.col("business_date").n_unique(),
            sites=pl.col("site").n_unique(),
        )
        .sort("batch", "stream", *group, descending=[True, True, False, False, False])
        .collect()
    )


def _headline(nights: pl.DataFrame) -> Headline:
    sums = nights.select(pl.col(*STATES, *FIGURES, "differences").sum()).row(0, named=True)
    windows = sum(sums[state] for state in STATES)
    waiting = sums[HELD] + sums[MISSING]
    said = (
        f"{nights.height:,} nights: {sums[SETTLED]:,} of {windows:,} windows settled, "
        f"{sums[HELD]:,} held, {sums[MISSING]:,} missing; {sums['accepted']:,} of "
        f"{sums['read']:,} rows read were accepted; {sums['differences']:,} records differed "
        "between batch and stream."
    )
    if waiting:
        return Headline("held", "Some held", said)
    return Headline("published", "All settled", said)

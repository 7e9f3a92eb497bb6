"""What reports look back on: shares of rows, run times and gates, night after night."""

from __future__ import annotations

import json
from datetime import date

import polars as pl

from isopach.jobs.queries import WINDOW
from isopach.jobs.report_runs import NIGHTLY
from isopach.jobs.three_way import FIGURES
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.pipelines.verify_replays import with_replays

BACK = 30
"""Business dates, and runs, looked back on."""
SHARES = ["rejected", "late", "duplicate"]
EXPECTATION = ["suite", "expectation"]


def between(feed: str, first: date, last: date) -> pl.Expr:
    """Return which rows of the ledger are of a feed's business dates, both included."""
    return (pl.col("feed") == feed) & pl.col("business_date").is_between(first, last)


def window_figures(lake: Place, feed: str, first: date, last: date) -> pl.DataFrame:
    """Return by window and mode what was read and became of it: a night's newest, a stream's all.

    What was replayed is among them, as if it had been accepted at first.
    """
    counts = scan(lake, tables.COUNTS).filter(between(feed, first, last)).collect()
    batch = with_replays(counts).filter(mode="batch").sort("run")
    newest = batch.group_by(WINDOW, maintain_order=True).agg(
        pl.col("mode", "run", "delivery", "reason", *FIGURES).last()
    )
    stream = counts.filter(mode="stream").group_by(*WINDOW, "mode").agg(pl.col(FIGURES).sum())
    both = pl.concat([newest, stream], how="diagonal")
    return both.drop_nulls("site").sort("business_date", "site", "mode")


def shares(figures: pl.DataFrame) -> pl.DataFrame:
    """Return by business date and mode the rows read, and how many of each kind were set aside.

    Dates of which no row was accepted are left out: they are strays of a stream, all of them late.
    """
    daily = figures.group_by("business_date", "mode").agg(pl.col("read", "accepted", *SHARES).sum())
    return daily.filter(pl.col("accepted") > 0).sort("business_date", "mode")


def run_times(lake: Place, feed: str, until: str | None = None) -> pl.DataFrame:
    """Return how long a feed's last nights took (up to a run), in order.

    Columns: `run, business_date, outcome, seconds`, and `phases`: JSON, null where it is not known.
    """
    nights = (pl.col("feed") == feed) & (pl.col("cadence") == NIGHTLY)
    if until is not None:
        nights &= pl.col("run") <= until
    date_in = pl.col("parameters").str.extract(r'"date": "(\d{4}-\d{2}-\d{2})"')
    return (
        scan(lake, tables.RUNS)
        .filter(nights & pl.col("ended").is_not_null())
        .sort("run")
        .tail(BACK)
        .select(
            "run",
            "outcome",
            business_date=date_in.str.to_date(),
            started="started",
            seconds=(pl.col("ended") - pl.col("started")).dt.total_microseconds() / 1e6,
            phases="timings",
        )
        .collect()
    )


def phases_of(times: pl.DataFrame) -> pl.DataFrame:
    """Return `run, business_date, phase, seconds` of runs; those of unknown phases are whole."""
    rows = [
        (run, day, phase, float(seconds))
        for run, day, whole, text in times.select(
            "run", "business_date", "seconds", "phases"
        ).iter_rows()
        for phase, seconds in _phases(text, whole).items()
    ]
    schema = {"run": pl.String, "business_date": pl.Date, "phase": pl.String, "seconds": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _phases(timings: str | None, whole: float) -> dict[str, float]:
    return json.loads(timings)["phases"] if timings else {"whole run": whole}


def gate_outcomes(lake: Place, feed: str, until: str | None = None) -> pl.DataFrame:
    """Return by expectation how it came out in the last runs it was looked at in, oldest first."""
    lines = (pl.col("feed") == feed) & pl.col("site").is_null() & (pl.col("mode") == "batch")
    if until is not None:
        lines &= pl.col("run") <= until
    rows = scan(lake, tables.GATES).filter(lines).select("run", *EXPECTATION, "severity", "outcome")
    seen = rows.sort("run").collect()
    last = seen["run"].unique().sort().tail(BACK)
    return (
        seen.filter(pl.col("run").is_in(last.implode()))
        .group_by(EXPECTATION, maintain_order=True)
        .agg(
            pl.col("severity").last(),
            trend=pl.col("outcome"),
            passed=(pl.col("outcome") == "passed").sum(),
            looked=pl.len(),
        )
    )

"""Verify the ledger: its rows fit each other, and every window and run it needs is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import polars as pl

from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.replays import CADENCE as REPLAY
from isopach.lake.tables import FeedTables
from isopach.lake.windows import SETTLED, SETTLING
from isopach.pipelines.findings import Finding
from isopach.pipelines.verify_replays import with_replays

WINDOW = ["site", "business_date"]


def verify_ledger(
    lake: Place, to: FeedTables, windows: pl.DataFrame, counts: pl.DataFrame, on_day: pl.Expr
) -> Iterator[Finding]:
    """Check rows of the ledger against each other.

    Args:
        windows: the feed's rows of `ledger/windows`, and `counts` those of `ledger/counts`.
    """
    yield from _unknown_windows(lake, to, windows, counts, on_day)
    yield from repeated("ledger", windows, WINDOW, "ledger/windows has it more than once")
    yield from repeated("counts", counts, [*WINDOW, "run"], "ledger/counts has a run's twice")
    yield from _states(windows)
    yield from _checksums(windows, with_replays(counts))
    yield from _runs(lake, to.feed, windows, counts)
    yield from _differences(lake, to.feed, windows, on_day)


def repeated(check: str, rows: pl.DataFrame, key: Sequence[str], message: str) -> Iterator[Finding]:
    """Name windows in which rows with the same key stand more than once."""
    twice = rows.filter(rows.select(key).is_duplicated()).select(WINDOW).unique()
    yield from (Finding(check, site, day, message) for site, day in twice.rows())


def _unknown_windows(
    lake: Place, to: FeedTables, windows: pl.DataFrame, counts: pl.DataFrame, on_day: pl.Expr
) -> Iterator[Finding]:
    stored = scan(lake, to.records).filter(on_day).group_by(WINDOW).len().collect()
    for site, day, rows in stored.join(windows, on=WINDOW, how="anti").iter_rows():
        yield Finding("ledger", site, day, f"{rows:,} records of a window the ledger does not know")
    of_nights = counts.filter(mode="batch").join(windows, on=WINDOW, how="anti")
    for site, day in of_nights.select(WINDOW).unique().iter_rows():
        text = "ledger/counts has it by a night, ledger/windows does not know it"
        yield Finding("ledger", site, day, text)


def _states(windows: pl.DataFrame) -> Iterator[Finding]:
    """Check that windows which rest on a night are settled (or about to be), and only these."""
    settled = pl.col("settled_by").is_not_null()
    fits = pl.when(settled).then(pl.col("state").is_in([SETTLED, SETTLING]))
    odd = windows.filter(~fits.otherwise(pl.col("state") != SETTLED))
    for site, day, state, run in odd.select(*WINDOW, "state", "settled_by").iter_rows():
        yield Finding("ledger", site, day, f"ledger/windows: {state}, and settled by run {run}")


def _checksums(windows: pl.DataFrame, counts: pl.DataFrame) -> Iterator[Finding]:
    """Check that a settled window has the checksum of the run that it rests on."""
    counted = counts.select(*WINDOW, "run", counted="checksum")
    both = windows.join(counted, left_on=[*WINDOW, "settled_by"], right_on=[*WINDOW, "run"])
    odd = both.filter(pl.col("checksum").ne_missing(pl.col("counted")))
    for site, day, settled, found in odd.select(*WINDOW, "checksum", "counted").iter_rows():
        text = f"ledger/counts has {found}, ledger/windows has {settled}"
        yield Finding("checksum", site, day, text)


def _runs(lake: Place, feed: str, windows: pl.DataFrame, counts: pl.DataFrame) -> Iterator[Finding]:
    """Check that runs which settled windows are known, and are what they were recorded as."""
    names = pl.concat([windows["settled_by"], counts["run"]]).drop_nulls().unique()
    chosen = (pl.col("feed") == feed) & pl.col("run").is_in(names.to_list())
    runs = scan(lake, tables.RUNS).filter(chosen).collect()
    settled = windows.drop_nulls("settled_by")
    missing = settled.join(runs, left_on="settled_by", right_on="run", how="anti")
    for site, day, run in missing.select(*WINDOW, "settled_by").iter_rows():
        yield Finding(
            "runs",
            site,
            day,
            f"ledger/runs does not know run {run}, which settled it in ledger/windows",
        )
    for run in runs.filter(runs["run"].is_duplicated())["run"].unique():
        yield Finding("runs", None, None, f"ledger/runs has run {run} more than once")
    for run, given, recorded in runs.select("run", "parameters", "parameters_hash").iter_rows():
        found = hashlib.sha256((given or "").encode()).hexdigest()
        if found != recorded:
            text = f"ledger/runs: the parameters of run {run} give hash {found}, not {recorded}"
            yield Finding("runs", None, None, text)
    own = runs.filter(pl.col("cadence") != REPLAY)  # a replay counts rows of both modes
    both = counts.join(own.select("run", other="mode"), on="run")
    for run, said in (
        both.filter(pl.col("mode") != pl.col("other")).select("run", "other").unique().iter_rows()
    ):
        yield Finding(
            "runs", None, None, f"ledger/runs: run {run} is of mode {said}, its counts are not"
        )


def _differences(
    lake: Place, feed: str, windows: pl.DataFrame, on_day: pl.Expr
) -> Iterator[Finding]:
    """Check that differences are of windows and runs that are known; how many there were is not."""
    rows = scan(lake, tables.DIFFERENCES).filter(on_day, pl.col("feed") == feed)
    found = rows.select(*WINDOW, "run").unique().collect()
    runs = scan(lake, tables.RUNS).filter(pl.col("feed") == feed).select("run").collect()
    for known, key, name in ((windows, WINDOW, "window"), (runs, ["run"], "run")):
        for site, day, run in found.join(known, on=key, how="anti").iter_rows():
            text = f"ledger/differences of run {run} are of a {name} the ledger does not know"
            yield Finding("differences", site, day, text)

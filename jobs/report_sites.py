"""The map of a night: how each site's window came out of a run."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from isopach.feeds.load import Declaration
from isopach.feeds.sites import Site
from isopach.jobs.audits import deadline
from isopach.jobs.report_runs import NIGHTLY, parameters_of_run
from isopach.lake.ledger import Run

SETTLED, WARNED, HELD, MISSING = "settled", "warned", "held", "missing"
AWAITED, LEFT_OUT, UNJUDGED = "not due yet", "not asked for", "not judged"
STATES = (HELD, MISSING, WARNED, SETTLED, AWAITED, LEFT_OUT, UNJUDGED)
"""Worst first."""
PUBLISHED = (SETTLED, WARNED)
APPROVED = "approved by "
UNREGISTERED = "not registered"
ELSEWHERE = "no region"

SITES: dict[str, Any] = {
    "region": pl.String,
    "site": pl.String,
    "name": pl.String,
    "state": pl.String,
    "reason": pl.String,
    "now": pl.String,
}


def site_map(
    run: Run,
    day: date,
    declaration: Declaration | None,
    counts: pl.DataFrame,
    windows: pl.DataFrame,
    warned: pl.DataFrame,
) -> pl.DataFrame:
    """Return a row for each site of a night, by region: its state, and the reason.

    `now` says what became of the window since, where that is something else.

    Args:
        counts: the run's rows of `ledger/counts`.
        windows: the date's rows of `ledger/windows`.
        warned: `site, warnings`: expectations that failed there and held nothing.
    """
    judged = _judged(run, counts, windows, warned)
    registry = pl.DataFrame(
        [(s.region or ELSEWHERE, s.site, s.name, _unjudged(run, s, day)) for s in _of(declaration)],
        schema={"region": pl.String, "site": pl.String, "name": pl.String, "absent": pl.String},
        orient="row",
    )
    found = registry.join(judged, on="site", how="full", coalesce=True).with_columns(
        state=pl.coalesce("state", "absent"),
        region=pl.col("region").fill_null(UNREGISTERED if declaration else ELSEWHERE),
        name=pl.col("name").fill_null(""),
    )
    return found.drop_nulls("state").select(list(SITES)).sort("region", "site")


def _of(declaration: Declaration | None) -> list[Site]:
    return [] if declaration is None else list(declaration.sites)


def _judged(
    run: Run, counts: pl.DataFrame, windows: pl.DataFrame, warned: pl.DataFrame
) -> pl.DataFrame:
    """Return the state of each site that a run has judged."""
    mine = pl.col("settled_by") == run.run
    approved = pl.col("reason").str.starts_with(APPROVED) | mine
    passed = pl.col("reason").is_null() | approved.fill_null(False)
    now = windows.select("site", "settled_by", window="state", held="reason")
    state = (
        pl.when(passed & pl.col("warnings").is_not_null())
        .then(pl.lit(WARNED))
        .when(passed)
        .then(pl.lit(SETTLED))
        .when(pl.col("delivery").is_null())
        .then(pl.lit(MISSING))
        .otherwise(pl.lit(HELD))
    )
    since = pl.when(pl.col("settled_by").is_not_null() & ~mine.fill_null(False)).then(
        pl.format("settled by run {}", "settled_by")
    )
    rows = counts.select("site", "reason", "delivery").join(now, on="site", how="left")
    return rows.join(warned, on="site", how="left").select(
        "site",
        state=state,
        reason=pl.concat_str("reason", "warnings", separator="; ", ignore_nulls=True).replace(
            "", None
        ),
        now=since,
    )


def _unjudged(run: Run, site: Site, day: date) -> str | None:
    """Return why a site has no verdict; None if nothing was owed."""
    asked = parameters_of_run(run).get("sites") or ()
    if not site.active(day):
        return None
    if run.cadence != NIGHTLY or (asked and site.site not in asked):
        return LEFT_OUT
    return AWAITED if deadline(site, day) > run.started else UNJUDGED


def regions(sites: pl.DataFrame) -> pl.DataFrame:
    """Return how many sites of each region are in which state."""
    counted = [(pl.col("state") == state).sum().alias(state) for state in STATES]
    return sites.group_by("region").agg(*counted, sites=pl.len()).sort("region")

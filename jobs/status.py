"""The ledger of sites: who delivered, who is silent, and which windows are not settled in time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from isopach.feeds.load import Declaration
from isopach.feeds.sites import Sites
from isopach.jobs.alarms import alarms_of, gate_alarms
from isopach.jobs.audits import deadline
from isopach.jobs.queries import WINDOW
from isopach.jobs.site_ledger import Ledger, NothingRunError, read_ledger
from isopach.lake import tables
from isopach.lake.commits import scan
from isopach.lake.places import Place
from isopach.lake.windows import HELD, PROVISIONAL, SETTLED, SETTLING

NIGHTS = 28
"""Business dates looked back on."""
FEWEST = 7
"""Nights that a band of usual rows needs."""
DEVIATIONS, NORMAL = 3, 1.4826
"""How wide the band is, in standard deviations; and of these, what a MAD of 1 is worth."""

STATES = [SETTLED, HELD, PROVISIONAL, SETTLING]


@dataclass(frozen=True)
class Status:
    """Of a feed: the newest business date that was due, a row for each site, and alarms."""

    feed: str
    date: date | None
    sites: pl.DataFrame
    alarms: pl.DataFrame


def status(
    lake: Place,
    declaration: Declaration,
    now: datetime,
    day: date | None = None,
    only: Collection[str] | None = None,
) -> Status:
    """Return how a feed's sites stand, by the ledger alone; raises NothingRunError.

    Each site is looked at on the newest business date whose deadline has passed there. What was
    not due yet is missed by nobody.

    Args:
        now: what deadlines are held against.
        day: the newest business date to look at.
    """
    feed = declaration.feed.feed
    ledger = read_ledger(lake, feed, day)
    if ledger.first is None:
        until = f" up to {day}" if day else ""
        raise NothingRunError(
            f"{lake.uri}: the ledger has nothing of {feed}{until}: no night or stream of it was "
            "run there; is --lake right?"
        )
    passed = _passed(declaration.sites, ledger, now, day)
    sites = _sites(declaration.sites, ledger, passed)
    gates = scan(lake, tables.GATES).filter(feed=feed, mode="stream").collect()
    alarms = pl.concat(
        [alarms_of(passed.filter("expected"), sites, ledger.events), gate_alarms(gates)]
    )
    if only is not None:
        sites = sites.filter(pl.col("site").is_in(list(only)))
        alarms = alarms.filter(pl.col("site").is_in(list(only)) | pl.col("site").is_null())
    newest = passed["business_date"].max()
    return Status(feed, newest if isinstance(newest, date) else None, sites, alarms)


def _passed(sites: Sites, ledger: Ledger, now: datetime, day: date | None) -> pl.DataFrame:
    """Return each site's last windows whose deadlines have passed, with what the ledger has.

    `expected` are those on active dates since the first night (or, without one, the first event),
    and whatever else has rows in the ledger; `newest` is the site's newest date due.
    """
    grid = _deadlines(sites, ledger.first, now, day)
    known = ledger.windows.filter(pl.col("business_date").is_in(grid["business_date"].implode()))
    strangers = known.filter(~pl.col("site").is_in([site.site for site in sites]))
    active = [
        pl.col("business_date") >= pl.col("active_from").fill_null(date.min),
        pl.col("business_date") <= pl.col("active_to").fill_null(date.max),
    ]
    due = _registry(sites).join(grid, on=["time_zone", "clock"])
    rows = pl.concat(
        [
            due.select(*WINDOW, "deadline", active=pl.all_horizontal(active)),
            strangers.select(*WINDOW, deadline=pl.lit(None, grid.schema["deadline"]), active=False),
        ]
    )
    for part in (ledger.windows, ledger.nights, ledger.events):
        rows = rows.join(part, on=WINDOW, how="left")
    start = pl.lit(ledger.first_night or ledger.first)
    empty = (pl.col("state") == PROVISIONAL) & (pl.col("rows") == 0)  # all that came was set aside
    owed = pl.col("active") & (pl.col("business_date") >= start)
    return rows.with_columns(
        pl.col("looked", "delivered").fill_null(False),
        newest=pl.col("business_date").max().over("site"),
        expected=owed | (pl.col("state").is_not_null() & ~empty),
    ).filter(pl.col("business_date") > pl.col("newest") - timedelta(NIGHTS))


def _registry(sites: Sites) -> pl.DataFrame:
    rows = [(s.site, s.time_zone, s.deadline, s.active_from, s.active_to) for s in sites]
    schema: dict[str, Any] = {
        "site": pl.String,
        "time_zone": pl.String,
        "clock": pl.Time,
        "active_from": pl.Date,
        "active_to": pl.Date,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _deadlines(sites: Sites, first: date | None, now: datetime, day: date | None) -> pl.DataFrame:
    """Return the deadlines that have passed, by time zone, time of day and business date."""
    last = min(now.date() + timedelta(1), day or date.max)
    since = max(first or last, last - timedelta(NIGHTS + 2))
    days = [since + timedelta(n) for n in range((last - since).days + 1)]
    clocks = {(site.time_zone, site.deadline): site for site in sites}
    rows = [(*clock, day, deadline(site, day)) for clock, site in clocks.items() for day in days]
    schema: dict[str, Any] = {
        "time_zone": pl.String,
        "clock": pl.Time,
        "business_date": pl.Date,
        "deadline": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame(rows, schema=schema, orient="row").filter(pl.col("deadline") <= now)


def _sites(sites: Sites, ledger: Ledger, passed: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each site that is registered, or that the ledger has windows of."""
    names = pl.concat([_registry(sites).select("site"), passed.select("site")]).unique()
    made = pl.col("delivered")
    newest = passed.filter(pl.col("business_date") == pl.col("newest")).select(
        "site",
        "business_date",
        "active",
        "deadline",
        deadline_met=pl.when(made)
        .then(pl.col("first_arrived") <= pl.col("deadline"))
        .when(pl.col("active") & pl.col("looked"))
        .then(False),
    )
    rows = names
    for part in (newest, _last(ledger), _nights(passed), _states(ledger, newest), usual(passed)):
        rows = rows.join(part, on="site", how="left")
    return rows.with_columns(
        pl.col("active").fill_null(False), pl.col("misses", "zero_rows", *STATES).fill_null(0)
    ).sort("site")


def _last(ledger: Ledger) -> pl.DataFrame:
    """Return each site's last delivery, and its last event."""
    delivery = ledger.nights.filter("delivered").sort("business_date").group_by("site").last()
    event = ledger.events.filter(pl.col("events") > 0).sort("business_date").group_by("site").last()
    return delivery.select(
        "site",
        last_delivery="delivery",
        last_delivery_date="business_date",
        last_delivery_at="arrived",
        last_delivery_rows="delivered_rows",
    ).join(
        event.select("site", last_event_date="business_date", last_event_at="landed"),
        on="site",
        how="full",
        coalesce=True,
    )


def _nights(passed: pl.DataFrame) -> pl.DataFrame:
    """Return how often sites missed their last deliveries, and how often they delivered no rows.

    Dates that no night has looked at are nobody's miss, and end no row of misses.
    """
    seen = passed.filter("expected", "looked").sort("site", "business_date", descending=True)
    zero = (pl.col("state") == SETTLED) & pl.col("delivered") & (pl.col("settled_rows") == 0)
    missed = ~pl.col("delivered").cum_max()
    return seen.group_by("site", maintain_order=True).agg(
        misses=missed.sum().cast(pl.Int64), zero_rows=zero.sum().cast(pl.Int64)
    )


def _states(ledger: Ledger, newest: pl.DataFrame) -> pl.DataFrame:
    """Return how many windows of each site are in which state, of the last nights and since."""
    since = pl.col("newest") - timedelta(NIGHTS)
    dated = ledger.windows.join(newest.select("site", newest="business_date"), on="site")
    recent = dated.filter(pl.col("business_date") > since)
    return recent.group_by("site").agg(
        (pl.col("state") == state).sum().cast(pl.Int64).alias(state) for state in STATES
    )


def usual(passed: pl.DataFrame) -> pl.DataFrame:
    """Return the band of rows that each site's settled nights usually have.

    Median ± 3 standard deviations, estimated as 1.4826 times the median absolute deviation, which
    up to half of the nights may be odd without moving (Leys et al., Detecting outliers, Journal of
    Experimental Social Psychology 49, 2013). Weekdays are not told apart. Null for fewer than
    FEWEST nights.
    """
    rows = pl.col("settled_rows")
    middle = rows.median()
    reach = DEVIATIONS * NORMAL * (rows - middle).abs().median()
    enough = pl.len() >= FEWEST
    return (
        passed.filter(pl.col("settled_rows").is_not_null())
        .group_by("site")
        .agg(
            usual_nights=pl.len().cast(pl.Int64),
            usual_rows=pl.when(enough).then(middle),
            usual_low=pl.when(enough).then((middle - reach).clip(0)),
            usual_high=pl.when(enough).then(middle + reach),
        )
        .with_columns(pl.col("usual_rows", "usual_low", "usual_high").round().cast(pl.Int64))
    )

"""Alarms: sites that are silent, and windows that are not settled in time."""

from __future__ import annotations

import polars as pl

from isopach.lake.windows import HELD, PROVISIONAL, SETTLED, SETTLING

DEAD_SITE, NOT_SETTLED, NO_NIGHT = "dead_site", "not_settled", "no_night"
GATE_FAILED = "gate_failed"
COLUMNS = ["alarm", "site", "business_date", "message"]


def alarms_of(due: pl.DataFrame, sites: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return what somebody should look at, one row for each site and kind of alarm.

    - `dead_site`: an active site without a delivery and without an event for its newest business
      date due, or any later one, though a night or the stream has seen that date.
    - `not_settled`: windows past their deadline that no night has settled.
    - `no_night`: business dates that no night has looked at, once for all sites.

    Args:
        due: windows past their deadline that should be settled.
        events: what a stream has read, by window.
    """
    looked = due.filter("looked")["business_date"].unique().implode()
    seen = pl.col("business_date").is_in(looked)
    return pl.concat(
        [_no_night(due.filter(~seen)), _dead(due, sites, events), _open(due.filter(seen))]
    )


def gate_alarms(gates: pl.DataFrame) -> pl.DataFrame:
    """Name the critical expectations that the newest look at a stream found not met.

    Args:
        gates: a feed's rows of `ledger/gates`.
    """
    looks = gates.filter(pl.col("site").is_null(), mode="stream")
    last = looks.filter(pl.col("at") == pl.col("at").max())
    return last.filter(severity="critical", outcome="failed").select(
        alarm=pl.lit(GATE_FAILED),
        site=pl.lit(None, pl.String),
        business_date="business_date",
        message=pl.format(
            "what the stream landed up to {} does not meet {}: {}",
            pl.col("at").dt.strftime("%H:%M:%S UTC"),
            "expectation",
            pl.col("observed").fill_null(""),
        ),
    )


def _no_night(due: pl.DataFrame) -> pl.DataFrame:
    """Name the dates without a night, those in a row together."""
    late = due.filter(pl.col("state").is_null() | (pl.col("state") != SETTLED))
    days = late.group_by("business_date").agg(windows=pl.len()).sort("business_date")
    row = pl.col("business_date") - pl.duration(days=pl.int_range(pl.len()))
    first, last = pl.col("business_date").first(), pl.col("business_date").last()
    return (
        days.group_by(_row=row)
        .agg(
            last=last,
            said=pl.when(first == last)
            .then(pl.format("{}", last))
            .otherwise(pl.format("{}..{}", first, last)),
            windows=pl.col("windows").sum(),
        )
        .sort("last")
        .select(
            alarm=pl.lit(NO_NIGHT),
            site=pl.lit(None, pl.String),
            business_date="last",
            message=pl.format(
                "no night was run for {}: {} windows past their deadline are not settled",
                "said",
                "windows",
            ),
        )
    )


def _dead(due: pl.DataFrame, sites: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Name active sites that are silent on their newest date due, though that date was seen."""
    date = pl.col("business_date")
    streamed = pl.lit(events.filter(pl.col("accepted") > 0)["business_date"].max(), pl.Date)
    newest = due.filter(date == pl.col("newest"))
    last = pl.max_horizontal("last_delivery_date", "last_event_date")
    since = pl.when(last.is_null()).then(pl.lit("")).otherwise(pl.format(" since {}", last))
    return (
        sites.join(newest.select("site", "looked"), on="site")
        .filter("active", pl.col("looked") | (streamed >= date), (last < date).fill_null(True))
        .select(
            alarm=pl.lit(DEAD_SITE),
            site="site",
            business_date="business_date",
            message=pl.format("no delivery and no event{}", since),
        )
    )


def _open(due: pl.DataFrame) -> pl.DataFrame:
    """Name each site's windows that are not settled: the newest, and how many before."""
    state = pl.col("state")
    said = (
        pl.when(state == HELD)
        .then(pl.format("held: {}", pl.col("reason").fill_null("")))
        .when(state == PROVISIONAL)
        .then(pl.lit("provisional: no night has settled it"))
        .when(state == SETTLING)
        .then(pl.lit("settling: a night is publishing it, or was stopped"))
        .otherwise(pl.lit("no night has looked at it since its deadline"))
    )
    late = due.filter(state.is_null() | (state != SETTLED)).sort("site", "business_date")
    more = pl.when(pl.col("more") > 0).then(pl.format(" (and {} before)", "more"))
    return (
        late.with_columns(said=said)
        .group_by("site", maintain_order=True)
        .agg(pl.col("business_date", "said").last(), more=pl.len() - 1)
        .select(
            alarm=pl.lit(NOT_SETTLED),
            site="site",
            business_date="business_date",
            message=pl.format("{}{}", "said", more.otherwise(pl.lit(""))),
        )
    )
